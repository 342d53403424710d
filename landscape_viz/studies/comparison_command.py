"""Compare a shallow, a deep, a residual and a dense network of one size: a table, and one figure of their landscapes.

    landscape compare    # or python loss_landscape_analysis.py, in a checkout

trains each from three seeds on handwritten digits and takes some 40 s of processor time. The folder gets table.csv,
architectures.png, and what each network gave as .npz. Stopped at any moment, the same command with
--resume goes on where it was.
"""

import argparse

from multifractal.base.command import Parser, as_command, can_go_on


def parser():
    """Return the command line's parser."""
    flags = Parser(
        prog="landscape compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = flags.add_argument
    add(
        "--dataset",
        default="digits",
        choices=("digits", "synthetic", "fashionmnist", "cifar10"),
        help="(%(default)s)",
    )
    add("--epochs", default=15, type=int, metavar="N", help="(%(default)s)")
    add("--seeds", default=3, type=int, metavar="N", help="networks of each kind (%(default)s)")
    add(
        "--samples",
        default=512,
        type=int,
        metavar="N",
        help="training images that losses are taken on (%(default)s)",
    )
    add(
        "--points",
        default=31,
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
    add("--save_dir", default="results/architectures", metavar="FOLDER", help="(%(default)s)")
    can_go_on(flags)
    return flags


def main(argv=None):
    """Compare as the flags say; return the table."""
    flags = parser().parse_args(argv)
    from landscape_viz import small_models
    from landscape_viz.figures import summaries
    from landscape_viz.studies import comparison
    from landscape_viz.studies.experiment import Experiment, subject
    from multifractal.base.files import atomic_write

    for name, least in (("seeds", 1), ("points", 3)):
        if getattr(flags, name) < least:
            raise ValueError(f"--{name} must be at least {least}, got {getattr(flags, name)}")
    data = subject(
        flags.dataset, "mlp", data_root=flags.data_root, download=flags.download_data
    ).data
    settings = {name: getattr(flags, name) for name in ("dataset", "epochs", "samples", "points")}
    experiment = Experiment.asked("--save_dir", flags.save_dir, settings, flags)
    print(f"{data}\noutput: {experiment.folder}", flush=True)
    networks = {}
    for kind in small_models.DEPTHS:
        for seed in range(flags.seeds):
            networks[kind, seed] = experiment.result(
                f"{kind}_{seed}",
                comparison.Compared,
                lambda kind=kind, seed=seed: comparison.compared(
                    kind,
                    data,
                    seed=seed,
                    epochs=flags.epochs,
                    n_samples=flags.samples,
                    n_points=flags.points,
                ),
            )
    table = comparison.table(networks)
    print(comparison.as_text(table))
    with atomic_write(experiment.path("table.csv"), overwrite=True) as file:
        file.write(table.to_csv().encode())
    experiment.picture(
        "architectures",
        summaries.architectures({kind: networks[kind, 0] for kind in small_models.DEPTHS}),
    )
    print(f"output: {experiment.folder}")
    return table


def command(argv=None, name="landscape compare"):
    """Run `main` as a shell's command of this name; return the exit status."""
    return as_command(lambda: main(argv), name, again="the same command with --resume")
