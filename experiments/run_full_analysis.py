"""Train a network and analyse the loss around it: one self-contained HTML report with every figure, number and meaning.

    python experiments/run_full_analysis.py --dataset digits --model mlp --visualize --compute_hessian --track_trajectory

takes some 90 s of processor time, needs no files, and ends with the path of report.html. With the files of CIFAR-10 under
--data_root (or --download_data), on a machine with a GPU:

    python experiments/run_full_analysis.py --model resnet18 --dataset cifar10 --visualize --save_dir results/ \
        --compute_hessian --track_trajectory

Stopped at any moment, the same command with --resume goes on where it was; flags that add chapters may be added then.
"""

import argparse
import time

from multifractal.base.command import Parser, as_command, can_go_on


def parser():
    """Return the command line's parser."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = flags.add_argument
    add(
        "--model",
        default="mlp",
        choices=("mlp", "resnet18", "resnet20", "vgg"),
        help="(%(default)s)",
    )
    add(
        "--dataset",
        default="digits",
        choices=("digits", "synthetic", "fashionmnist", "cifar10"),
        help="(%(default)s)",
    )
    add(
        "--visualize",
        action="store_true",
        help="map the line to the initial weights and a random plane",
    )
    add(
        "--compute_hessian",
        action="store_true",
        help="largest eigenvalues, trace and spectral density",
    )
    add(
        "--track_trajectory",
        action="store_true",
        help="the run in its principal plane, and its sharpness by epoch",
    )
    add("--save_dir", metavar="FOLDER", help="(results/full_analysis_MODEL_DATASET)")
    can_go_on(flags)
    add("--epochs", default=10, type=int, metavar="N", help="(%(default)s)")
    add(
        "--samples",
        default=256,
        type=int,
        metavar="N",
        help="training images that losses are taken on (%(default)s)",
    )
    add(
        "--points",
        default=15,
        type=int,
        metavar="N",
        help="odd number of points along an axis of a plane (%(default)s)",
    )
    add(
        "--data_root",
        default="data",
        metavar="FOLDER",
        help="where the data sets' files are (%(default)s)",
    )
    add("--download_data", action="store_true", help="fetch a data set that is not there")
    add("--seed", default=0, type=int, help="of weights and order of images (%(default)s)")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="(%(default)s)")
    return flags


def main(argv=None):
    """Train and analyse as the flags say; return the report's path."""
    flags = parser().parse_args(argv)
    from landscape_viz.studies.experiment import Experiment, device_named, subject
    from landscape_viz.studies.full_analysis import FullAnalysis
    from multifractal.figures.html_report import write_report

    if flags.points < 3 or flags.points % 2 == 0:
        raise ValueError(
            f"--points must be odd and at least 3, got {flags.points}; the middle one is the trained point"
        )
    start, device = time.perf_counter(), device_named(flags.device)
    chosen = subject(
        flags.dataset,
        flags.model,
        seed=flags.seed,
        data_root=flags.data_root,
        download=flags.download_data,
    )
    settings = {
        name: getattr(flags, name)
        for name in ("model", "dataset", "epochs", "samples", "points", "seed")
    }
    folder = flags.save_dir or f"results/full_analysis_{flags.model}_{flags.dataset}"
    experiment = Experiment.asked("--save_dir", folder, settings, flags)
    print(f"{chosen.data}\noutput: {experiment.folder}", flush=True)
    trained = experiment.trained(
        chosen, epochs=flags.epochs, optimizer="momentum", rng=flags.seed, device=device
    )
    analysis = FullAnalysis(experiment, chosen, trained, flags.samples, device, flags.points)
    chapters = []
    for wanted, chapter in (
        (True, analysis.training),
        (flags.visualize, analysis.landscape),
        (flags.compute_hessian, analysis.hessian),
        (True, analysis.sharpness),
        (flags.track_trajectory, analysis.trajectory),
    ):
        if wanted:
            chapters.append(chapter())
            _show(chapters[-1])
    report = write_report(
        experiment.path("report.html"),
        f"{flags.model} on {flags.dataset}",
        chapters,
        overwrite=True,
    )
    print(f"took {time.perf_counter() - start:.0f} s\nreport: {report}")
    return report


def _show(chapter):
    print(f"\n{chapter.title}")
    for name, value in chapter.numbers.items():
        print(f"  {name}: {value}", flush=True)


if __name__ == "__main__":
    raise SystemExit(
        as_command(main, "run_full_analysis.py", again="the same command with --resume")
    )
