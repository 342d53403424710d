"""Train a network on images and map a section of its loss (Ly & Gong 2025, Methods), resumable, on all processors.

    landscape visualise --visualize y    # or python LL_visualisation.py, in a checkout

trains a ResNet-20 on handwritten digits for an epoch and maps 51 x 51 points of its loss around the trained weights, along
two random directions with the norms of the filters, on one batch of training images drawn once. Everything goes into one
folder: checkpoints, training.npz, section.npz, section.png and section.html. Stopped at any moment, the same command with
--resume goes on where it was. The paper's network, on CIFAR-10 as published:

    landscape visualise --optimizer sgd --epochs 20 --dataset cifar10 --model vgg --visualize y --train_mode y

With --published_layout the folder is in trained_nets/, and holds the published names too: model_{epoch}.t7, opt_state_{epoch}.t7 and
loss_landscape_{epoch}_{interpolate}_{train or eval}_{shuffle}.npy; --load_model reads the first.

Your own network, data and loss are --model mypackage.module:factory --data mypackage.module:data --loss mypackage.module:loss. Users of
plot_surface.py (Li et al. 2018) find its flags, one by one, in docs/from_plot_surface.md.
"""

import os
import sys
from pathlib import Path

from landscape_viz.studies import surface_flags
from multifractal.base.checks import whole_number
from multifractal.base.chunks import processor_count
from multifractal.base.command import as_command, refuse_results

_PRODUCTS = (
    "section.npz",
    "section.png",
    "section.html",
    "section.store",
    "eigenvalues.png",
    "trajectory.npz",
    "trajectory.png",
    "training.npz",
)


def parser():
    """Return the command line's parser."""
    return surface_flags.parser(__doc__)


def main(argv=None):
    """Train and map as the flags say; return the `Section`, or without --visualize the trained network."""
    flags = parser().parse_args(surface_flags.joined(sys.argv[1:] if argv is None else argv))
    if os.getcwd() not in sys.path:  # where users keep what they name as module:function
        sys.path.insert(0, os.getcwd())
    if flags.draw:
        from landscape_viz.studies.surface_pictures import drawn_again

        return drawn_again(flags, Path(flags.out or ".").resolve())
    device, axes = _device(flags.device), surface_flags.axes(flags)
    flags.devices, out = surface_flags.devices(flags), _folder(flags)
    for name, least in (
        ("workers", 1),
        ("seed", 0),
        ("epochs", 1),
        ("batch_size", 1),
        ("save_every", 1),
    ):
        if getattr(flags, name) is not None:
            whole_number(f"--{name}", getattr(flags, name), least)
    from landscape_viz.studies.surface_run import Run

    n_workers = flags.workers or min(surface_flags.MOST_WORKERS, processor_count())
    return Run(flags, device, axes, out, 1 if device != "cpu" else n_workers).do()


def _device(name):
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "--device must be one that torch finds, got 'cuda' and no CUDA device; pass --device cpu, or "
            "install a torch built for CUDA"
        )
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def _folder(flags):
    """Return the output folder, absolute, having refused what it holds unless asked to go on or to replace it."""
    model = flags.model.replace(":", "_")
    name = (
        f"{model}{'_no_drop' if flags.no_drop == 'y' else ''}_{flags.optimizer}_bs={flags.batch_size}"
        f"_dataset={(flags.data or flags.dataset).replace(':', '_')}_epochs={flags.epochs}"
    )
    if flags.load_model:
        name = f"{Path(flags.load_model).stem}_{model}_dataset={flags.dataset}"
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
        there = [name for name in there if name in _PRODUCTS[:-1]]
    refuse_results("--out", out, there, flags)
    return out


def command(argv=None, name="landscape visualise"):
    """Run `main` as a shell's command of this name; return the exit status."""
    return as_command(lambda: main(argv), name, again="the same command with --resume")
