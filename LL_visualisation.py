"""Train a network on images and map a section of its loss (Ly & Gong 2025, Methods), resumable, on all processors.

    python LL_visualisation.py --visualize y

trains a ResNet-20 on handwritten digits for an epoch and maps 51 x 51 points of its loss around the trained weights, along
two random directions with the norms of the filters, on one batch of training images drawn once. Everything goes into one
folder: checkpoints, training.npz, section.npz, section.png and section.html. Stopped at any moment, the same command with
--resume goes on where it was. The paper's network, on CIFAR-10 as published:

    python LL_visualisation.py --optimizer sgd --epochs 20 --dataset cifar10 --model vgg --visualize y --train_mode y

With --published_layout the folder is in trained_nets/, and holds the published names too: model_{epoch}.t7, opt_state_{epoch}.t7 and
loss_landscape_{epoch}_{interpolate}_{train or eval}_{shuffle}.npy; --load_model reads the first.
"""

import argparse
import errno
import sys
import time
from functools import partial
from pathlib import Path

_CLIP = 10  # above the minimum, for display only (paper)
_MOST_WORKERS = 8  # each holds a few copies of the network (our choice)
_PRODUCTS = ("section.npz", "section.png", "section.html", "section.store", "training.npz")
# a forward pass over a training step, for the estimate only (measured: .3 to .4)
_FORWARD_SHARE = 0.35


def parser():
    """Return the command line's parser."""
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    yes_or_no = {"choices": ("y", "n")}
    training = flags.add_argument_group("training")
    add = training.add_argument
    add(
        "--dataset",
        default="digits",
        help="digits | fashionmnist | cifar10 | mnist | synthetic (default: %(default)s)",
    )
    add(
        "--model",
        "-m",
        default="resnet20",
        choices=("vgg", "resnet", "resnet20", "mlp"),
        help="vgg is VGG-13 for 28x28 images and VGG-16 for 32x32, resnet is ResNet-18 (%(default)s)",
    )
    add(
        "--no_drop",
        default="n",
        **yes_or_no,
        help="leave the dropout layer of vgg out: y | n (%(default)s)",
    )
    add("--optimizer", default="adam", choices=("sgd", "adam", "momentum"), help="(%(default)s)")
    add("--epochs", default=1, type=int, metavar="N", help="number of epochs in all (%(default)s)")
    add(
        "--batch_size", default=64, type=int, help="images a step, and of the section (%(default)s)"
    )
    add(
        "--save_every",
        default=1,
        type=int,
        metavar="N",
        help="a checkpoint every N epochs (%(default)s)",
    )
    add("--load_model", metavar="FILE", help="map this checkpoint instead of training")
    add("--data_root", default="data", help="folder of the data sets' files (%(default)s)")
    add("--download_data", action="store_true", help="fetch a data set that is not there")
    section = flags.add_argument_group("section")
    add = section.add_argument
    add(
        "--visualize",
        default="n",
        **yes_or_no,
        help="map a section of the loss: y | n (%(default)s)",
    )
    add(
        "--interpolate",
        default="linear",
        choices=("linear",),
        help="how weights move along the directions (%(default)s)",
    )
    add(
        "--x",
        default="-2.4:2.4:51",
        metavar="MIN:MAX:NUM",
        help="coordinates along the first direction (%(default)s)",
    )
    add(
        "--y",
        default="-2.4:2.4:51",
        metavar="MIN:MAX:NUM",
        help="and along the second (%(default)s)",
    )
    add(
        "--train_mode",
        default="n",
        **yes_or_no,
        help="BatchNorm by the statistics of the batch and live dropout, as "
        "published: y | n (%(default)s: as evaluated)",
    )
    add(
        "--map_dropout",
        choices=("off", "fixed", "live"),
        help="no dropout, one mask for all points, or a new mask at each "
        "(off; with --train_mode y live, where the network has dropout)",
    )
    add(
        "--shuffle",
        default="n",
        **yes_or_no,
        help="random labels on the batch: y | n (%(default)s)",
    )
    add(
        "--html",
        default="y",
        nargs="?",
        const="y",
        **yes_or_no,
        help="write an interactive page: y | n (%(default)s)",
    )
    run = flags.add_argument_group("run")
    add = run.add_argument
    add(
        "--seed",
        default=0,
        type=int,
        help="of weights, order, masks, batch and directions (%(default)s)",
    )
    add(
        "--device",
        default="auto",
        choices=("auto", "cpu", "cuda"),
        help="auto takes cuda where there is one (%(default)s)",
    )
    add(
        "--workers",
        type=int,
        metavar="N",
        help=f"processes that map, a thread each (processors, at most {_MOST_WORKERS})",
    )
    add("--out", metavar="FOLDER", help="where everything goes (results/MODEL_OPTIMIZER_...)")
    add(
        "--published_layout",
        action="store_true",
        help="write the published names too, in trained_nets/MODEL_OPTIMIZER_...",
    )
    add(
        "--f", "-f", help=argparse.SUPPRESS
    )  # what a notebook passes to a script; published, and unused
    add("--resume", action="store_true", help="go on with what is in the folder")
    add(
        "--any_threads",
        action="store_true",
        help="resume training though torch's number of threads is another: other bits",
    )
    add("--overwrite", action="store_true", help="replace what is in the folder")
    return flags


def main(argv=None):
    """Train and map as the flags say; return the `Section`, or without --visualize the trained network."""
    flags = parser().parse_args(_joined(sys.argv[1:] if argv is None else argv))
    from landscape_viz import datasets
    from multifractal.base.checks import whole_number

    device, axes, out = (
        _device(flags.device),
        [_axis("--x", flags.x), _axis("--y", flags.y)],
        _folder(flags),
    )
    for name, least in (
        ("workers", 1),
        ("seed", 0),
        ("epochs", 1),
        ("batch_size", 1),
        ("save_every", 1),
    ):
        if getattr(flags, name) is not None:
            whole_number(f"--{name}", getattr(flags, name), least)
    data = datasets.load(flags.dataset, data_root=flags.data_root, download=flags.download_data)
    work = _Work(flags, device, axes, out, data, _factory(flags, data))
    print(f"{data}\noutput: {out}")
    print(f"estimate: about {_duration(work.estimate())} in all", flush=True)
    start = time.perf_counter()
    network = work.loaded() if flags.load_model else work.trained()
    result = work.mapped(network) if flags.visualize == "y" else network
    if flags.published_layout:
        work.published(result)
    print(f"took {_duration(time.perf_counter() - start)}")
    for what, path in work.written.items():
        print(f"{what + ':':11} {path}")
    return result


class _Work:
    """One run of the script: what was asked for, and what has been written."""

    def __init__(self, flags, device, axes, out, data, factory):
        from torch.nn import Dropout

        self.flags, self.device, self.axes, self.out, self.data, self.factory = (
            flags,
            device,
            axes,
            out,
            data,
            factory,
        )
        self.written = {}
        self.replace = flags.overwrite or flags.resume
        self.batch = data.batch(
            flags.batch_size, rng=flags.seed, random_labels=flags.shuffle == "y"
        )
        self.drops = any(isinstance(module, Dropout) for module in factory().modules())
        self.workers = 1 if device != "cpu" else flags.workers or _default_workers()

    def trained(self):
        """Return the network after training, in evaluation mode."""
        from landscape_viz import training

        flags, network = self.flags, self.factory()
        run = training.train(
            network,
            self.data,
            self.out,
            epochs=flags.epochs,
            batch_size=flags.batch_size,
            optimizer=flags.optimizer,
            save_every=flags.save_every,
            rng=flags.seed,
            device=self.device,
            resume=flags.resume,
            any_threads=flags.any_threads,
            overwrite=flags.overwrite,
        )
        for epoch, (train, test, right) in enumerate(
            zip(run.train_loss, run.test_loss, run.test_accuracy, strict=True), 1
        ):
            print(
                f"epoch {epoch}: training loss {train:.4f}, test loss {test:.4f}, test accuracy {right:.1%}"
            )
        self.written["checkpoint"] = self.out / f"epoch_{flags.epochs:04d}.pt"
        self.written["history"] = self.out / "training.npz"
        run.save(self.written["history"], overwrite=self.replace)
        return network.eval()

    def loaded(self):
        """Return the network of --load_model, in evaluation mode."""
        from landscape_viz import checkpoint, training

        stored = checkpoint.load(self.flags.load_model)
        network = self._problem(stored.state_dict).build().to(self.device)
        right = training.evaluate(
            network, self.data.test_inputs, self.data.test_targets, device=self.device
        )
        print(
            f"{self.flags.load_model}: {'verified' if stored.verified else 'UNVERIFIED, it carries no SHA-256 of ours'}; "
            f"test loss {right['loss']:.4f}, test accuracy {right['accuracy']:.1%}"
        )
        self.written["checkpoint"] = Path(self.flags.load_model).resolve()
        return network

    def mapped(self, network):
        """Map the section of a network and write it, its picture and its page."""
        from landscape_viz import directions, section

        problem = self._problem(network.state_dict())
        plane = directions.random(problem, 2, rng=self.flags.seed)
        with self._executor() as executor:
            mapped = section(
                problem,
                plane,
                self.axes,
                device=self.device,
                executor=executor,
                resume=self.flags.resume,
                overwrite=self.flags.overwrite,
                path=self.out / "section.store",
            )
        self.written["section"] = self.out / "section.npz"
        mapped.save(self.written["section"], overwrite=self.replace)
        if mapped.n_not_finite:
            print(
                f"{mapped.n_not_finite} of {mapped.status.size} are NaN or inf: kept in the file, holes in the picture"
            )
        self._draw(mapped)
        return mapped

    def published(self, result):
        """Write the checkpoints and the section under their published names too."""
        from landscape_viz import Section
        from landscape_viz.studies import published_layout as layout

        flags, epoch = self.flags, self.flags.epochs
        if flags.load_model:
            epoch = layout.epoch_of(flags.load_model)
        else:
            layout.write_checkpoints(self.out, overwrite=self.replace)
            self.written["published"] = self.out / f"model_{epoch}.t7"
        if isinstance(result, Section):
            self.written["landscape"] = layout.section_path(
                self.out,
                epoch,
                interpolate=flags.interpolate,
                train_mode=flags.train_mode,
                shuffle=flags.shuffle,
            )
            layout.write_section(self.written["landscape"], result, overwrite=self.replace)

    def estimate(self):
        """Return about how many seconds everything takes, from a few steps and points; the network is not trained yet."""
        from landscape_viz import directions, training
        from landscape_viz.sections import estimate_seconds

        flags, seconds = self.flags, 0.0
        if not flags.load_model:
            step = training.seconds_per_step(
                self.factory,
                self.data,
                batch_size=flags.batch_size,
                optimizer=flags.optimizer,
                device=self.device,
            )
            images = len(self.data.train_targets) + _FORWARD_SHARE * len(self.data.test_targets)
            done = (
                max((e for e in training.saved_epochs(self.out) if e <= flags.epochs), default=0)
                if flags.resume
                else 0
            )
            seconds += (flags.epochs - done) * images / flags.batch_size * step
        if flags.visualize == "y":
            problem = self._problem(self.factory().state_dict())
            plane = directions.random(problem, 2, rng=flags.seed)
            seconds += estimate_seconds(
                problem, plane, self.axes, device=self.device, n_workers=self.workers
            )
        return seconds

    def _problem(self, state):
        from landscape_viz import Problem

        published = self.flags.train_mode == "y"
        return Problem(
            self.factory,
            state,
            "cross_entropy",
            self.batch,
            rng=self.flags.seed,
            batch_norm="batch" if published else "eval",
            dropout=self.flags.map_dropout or ("live" if published and self.drops else "off"),
        )

    def _executor(self):
        from multifractal.base.chunks import workers

        return workers(self.workers if self.workers > 1 else 0)

    def _draw(self, mapped):
        import matplotlib.pyplot as plt

        from landscape_viz import figures
        from landscape_viz.figures import page
        from multifractal.base.files import atomic_write

        if mapped.n_not_finite == mapped.status.size:
            return
        self.written["picture"] = self.out / "section.png"
        figure = figures.overview(mapped, clip=_CLIP)[0].figure
        with atomic_write(self.written["picture"], overwrite=self.replace) as file:
            figure.savefig(file, format="png", dpi=200, bbox_inches="tight")
        plt.close(figure)
        if self.flags.html == "y":
            self.written["page"] = self.out / "section.html"
            page.write_page(mapped, self.written["page"], clip=_CLIP, overwrite=self.replace)


def _joined(argv):
    """Join --x and --y to their values, which begin with a minus sign and would be taken for flags."""
    joined = []
    for word in argv:
        if joined and joined[-1] in ("--x", "--y"):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _axis(flag, text):
    from landscape_viz.sections import parse_axis

    try:
        axis = parse_axis(text)
    except ValueError as error:
        raise ValueError(f"{flag}: {error}") from error
    if len(axis) < 2 or axis[0] == axis[-1]:
        raise ValueError(
            f"{flag} must have two different points at least, got {text!r}; write for example -2.4:2.4:51"
        )
    return axis


def _device(name):
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "--device must be one that torch finds, got 'cuda' and no CUDA device; pass --device cpu, or "
            "install a torch built for CUDA"
        )
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def _factory(flags, data):
    from landscape_viz import models

    options = {"dropout": 0.0} if flags.no_drop == "y" and flags.model in ("vgg", "mlp") else {}
    return partial(
        models.build,
        flags.model,
        rng=flags.seed,
        input_shape=data.input_shape,
        n_classes=data.n_classes,
        **options,
    )


def _folder(flags):
    """Return the output folder, absolute, having refused what it holds unless asked to go on or to replace it."""
    name = (
        f"{flags.model}{'_no_drop' if flags.no_drop == 'y' else ''}_{flags.optimizer}_bs={flags.batch_size}"
        f"_dataset={flags.dataset}_epochs={flags.epochs}"
    )
    if flags.load_model:
        name = f"{Path(flags.load_model).stem}_{flags.model}_dataset={flags.dataset}"
    root = "trained_nets" if flags.published_layout else "results"
    out = Path(flags.out or Path(root) / name).resolve()
    there = [
        found.name
        for found in (
            *map(out.joinpath, _PRODUCTS),
            *out.glob("epoch_*.pt"),
            *(out.glob("model_*.t7") if flags.published_layout else ()),
        )
        if found.exists()
    ]
    if flags.load_model and Path(flags.load_model).resolve().parent == out:
        # mapping a trained network beside its checkpoints
        there = [name for name in there if name in _PRODUCTS[:4]]
    if there and not (flags.resume or flags.overwrite):
        raise FileExistsError(
            f"--out must hold no results yet, got {out} with {', '.join(sorted(there)[:6])}; pass "
            "--resume to go on, --overwrite to replace them, or another folder"
        )
    return out


def _default_workers():
    from multifractal.base.chunks import processor_count

    return min(_MOST_WORKERS, processor_count())


def _duration(seconds):
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _command():
    """Run the command; return its exit status."""
    try:
        main()
    except KeyboardInterrupt:
        print("\nstopped; the same command with --resume goes on", file=sys.stderr)
        return 130
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"LL_visualisation.py: error: {error}", file=sys.stderr)
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            print("what was finished stays; make room and pass --resume", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(_command())
