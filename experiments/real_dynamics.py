"""Walk on measured sections beside model surfaces of the same roughness, and ask whether real training is chaotic.

    python experiments/real_dynamics.py

trains a perceptron on digits, maps three sections of it (dropout off, one fixed mask, live), walks on each and on model
surfaces with its local exponents, follows a tangent vector along full-batch training of small networks, and writes the
numbers to one file. About ten minutes of one core; stopped at any moment, the same command with --resume goes on where it
was. The airfoil table and the paper's sections are used where they are found (--data_root, --source_data); nothing is fetched.
With --out experiments/results/real_dynamics.npz the tables of docs/real_and_model.md are written as well.
"""

import argparse
import subprocess
import sys
from functools import partial
from pathlib import Path

from multifractal.base.command import Parser, as_command, can_go_on, refuse_results

ROOT = Path(__file__).resolve().parents[1]
# of the supplement's network: from 0.1 of the edge to where it diverges
RATES = (0.01, 0.03, 0.1, 0.2, 0.25, 0.3, 0.4)
DROPOUTS = (0.0, 0.75)  # paper, Supplementary
PUBLISHED = (
    "vgg_sgd_cifar10",
    "vgg_sgd_fashionmnist",
    "vgg_adam_fashionmnist",
    "vgg_nodrop_sgd_fashionmnist",
    "resnet_sgd_fashionmnist",
)


def parser():
    """Return the command line's parser."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = flags.add_argument
    add(
        "--runs",
        default=5,
        type=int,
        metavar="N",
        help="seeds, draws of surfaces, sets of starts (%(default)s)",
    )
    add(
        "--n_points",
        default=129,
        type=int,
        metavar="N",
        help="of a section, along either axis; at least 64 (%(default)s)",
    )
    add(
        "--epochs",
        default=4000,
        type=int,
        metavar="N",
        help="of the supplement's network (%(default)s)",
    )
    add("--steps", default=160, type=int, metavar="N", help="of the small networks (%(default)s)")
    add("--side", default=1024, type=int, metavar="N", help="of the paper's surface (%(default)s)")
    add(
        "--data_root",
        default="data",
        metavar="PATH",
        help="where the airfoil table is looked for (%(default)s)",
    )
    add(
        "--source_data",
        default=None,
        metavar="FOLDER",
        help="where the paper's source data are looked for",
    )
    add(
        "--save_dir",
        default="experiments/outputs/real_dynamics",
        metavar="FOLDER",
        help="of finished parts (%(default)s)",
    )
    add("--out", default=None, metavar="FILE", help="the numbers (SAVE_DIR/real_dynamics.npz)")
    can_go_on(flags)
    return flags


def main(argv=None):
    """Measure as the flags say; return the `RealDynamics`."""
    flags = parser().parse_args(argv)
    from landscape_viz.studies.experiment import Experiment
    from multifractal.base.result import Provenance
    from multifractal.measured.descent_table import DescentTable, joined, schedule
    from multifractal.measured.real_dynamics import (
        RealDynamics,
        all_sections,
        walk_on_paper_surface,
    )

    own = ("save_dir", "data_root", "source_data", "out", "resume", "overwrite")
    for name in ("epochs", "steps"):  # too few are refused before anything is trained
        schedule(getattr(flags, name), f"--{name}")
    settings = {name: value for name, value in vars(flags).items() if name not in own}
    if flags.out is not None:
        refuse_results("--out", Path(flags.out).parent, [flags.out], flags)
    experiment = Experiment.asked("--save_dir", flags.save_dir, settings, flags)
    out = experiment.path("real_dynamics.npz") if flags.out is None else Path(flags.out)
    print(f"output: {out}", flush=True)
    surface = experiment.result(
        "surface", DescentTable, partial(walk_on_paper_surface, runs=flags.runs, side=flags.side)
    )
    parts = [*own_sections(experiment, flags), *published_sections(experiment, flags)]
    walks = all_sections(parts, n_pictures=2)
    training = joined([*supplement(experiment, flags), *small_networks(experiment, flags)])
    found = RealDynamics(
        walks=walks,
        training=training,
        surface=surface,
        provenance=Provenance.of("experiments/real_dynamics.py", rng=0, **settings),
    )
    found.save(out, overwrite=True)
    if out.resolve() == ROOT / "experiments" / "results" / "real_dynamics.npz":
        subprocess.run([sys.executable, ROOT / "tools" / "tables.py"], check=True)
    print(f"output: {out}")
    return found


def own_sections(experiment, flags):
    """Yield the walks on each of our sections."""
    from landscape_viz import Section
    from landscape_viz.studies.real_dynamics import DROPOUT, mlp_section, trained_mlp
    from multifractal.measured.real_dynamics import SectionWalks, walk_on_section

    network = trained_mlp()
    for mode in DROPOUT:
        name = mode.replace(" ", "_")
        print(f"section: {mode}", flush=True)
        mapped = experiment.result(
            f"section_{name}",
            Section,
            partial(
                mlp_section,
                mode,
                flags.n_points,
                network=network,
                path=experiment.path(f"{name}.store"),
                resume=True,
            ),
        )
        experiment.path(f"{name}.store").unlink(missing_ok=True)
        yield experiment.result(
            f"walks_{name}",
            SectionWalks,
            partial(walk_on_section, f"MLP, {mode}", mapped.to_landscape(), runs=flags.runs),
        )


def published_sections(experiment, flags):
    """Yield the walks on each of the paper's sections that is there."""
    from multifractal import Landscape, source_data
    from multifractal.measured.real_dynamics import SectionWalks, walk_on_section

    for name in PUBLISHED:
        stored = f"real_loss_landscape/{name}.npy"
        if not source_data.available(stored, folder=flags.source_data):
            print(f"not here, left out: {stored}")
            continue
        section = Landscape(source_data.read(stored, folder=flags.source_data)["loss"])
        yield experiment.result(
            f"walks_{name}",
            SectionWalks,
            partial(walk_on_section, f"published {name}", section, runs=flags.runs, smoothing=16.0),
        )


def supplement(experiment, flags):
    """Yield the table of the supplement's network on each data set, with and without dropout."""
    from multifractal import load_table
    from multifractal.measured.descent_table import DescentTable
    from multifractal.training.chaos import training_table

    tables = [load_table("diabetes")]
    try:
        tables.insert(0, load_table("airfoil", flags.data_root, fetch=False))
    except FileNotFoundError:
        print("no airfoil table, left out (python train_supplementary.py fetches it)")
    for table in tables:
        for dropout in DROPOUTS:
            print(f"training: {table.name}, dropout {dropout:g}", flush=True)
            yield experiment.result(
                f"training_{table.name}_{dropout:g}",
                DescentTable,
                partial(
                    training_table,
                    table,
                    learning_rates=RATES,
                    dropout=dropout,
                    n_runs=flags.runs,
                    n_steps=flags.epochs,
                ),
            )


def small_networks(experiment, flags):
    """Yield the table of each small network on digits."""
    from landscape_viz.studies.real_dynamics import NETWORKS, network_table
    from multifractal.measured.descent_table import DescentTable

    for kind in NETWORKS:
        print(f"training: {kind} network", flush=True)
        yield experiment.result(
            f"network_{kind}",
            DescentTable,
            partial(network_table, kind, n_runs=flags.runs, n_steps=flags.steps),
        )


if __name__ == "__main__":
    raise SystemExit(as_command(main, "real_dynamics.py", again="the same command with --resume"))
