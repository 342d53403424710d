"""Full-batch gradient descent of the 5-16-1 ReLU network on airfoil self-noise (Ly & Gong 2025, Supplementary), resumable.

    multifractal train --lr 0.1 --dropout 0.75 --analyse    # or python train_supplementary.py, in a checkout

trains a million epochs into results/lr=0.1_dropout=0.75_epochs=1000000/: trajectory.npy, learning_curves.npz, max_eigs.npy
and run.json. Killed at any moment, the same command with --resume gives the same bits as a run never stopped.
"""

import argparse

import numpy as np

import multifractal as mf
from multifractal.base.command import Parser, as_command, can_go_on
from multifractal.base.extras import needed
from multifractal.base.files import atomic_write


def parser():
    """Return the command line's parser."""
    flags = Parser(
        prog="multifractal train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    paper = mf.Training()
    flags.add_argument(
        "--lr", type=float, default=paper.learning_rate, help="learning rate (default: %(default)s)"
    )
    flags.add_argument(
        "--dropout",
        type=float,
        default=paper.dropout,
        help="of hidden units, in [0, 1) (%(default)s)",
    )
    flags.add_argument(
        "--epochs", type=int, default=paper.epochs, help="full-batch steps (%(default)s)"
    )
    flags.add_argument("--ntrain", type=int, help="first rows that train (all: 1503 of airfoil)")
    flags.add_argument(
        "--hess_every",
        type=int,
        default=paper.hess_every,
        help="epochs between Hessians (%(default)s)",
    )
    flags.add_argument(
        "--hess_term",
        type=int,
        default=paper.hess_term,
        help="no Hessian from this epoch on (%(default)s)",
    )
    flags.add_argument(
        "--seed",
        type=int,
        default=paper.rng,
        help="of the start and the dropout masks (%(default)s)",
    )
    flags.add_argument(
        "--dataset", choices=("airfoil", "diabetes"), default="airfoil", help="(%(default)s)"
    )
    flags.add_argument(
        "--data",
        default="data",
        help="the airfoil file, or the folder it is in or fetched to (%(default)s)",
    )
    flags.add_argument("--out", help="the run's folder (results/lr=..._dropout=..._epochs=.../)")
    can_go_on(flags)
    flags.add_argument(
        "--dtype", choices=("float32", "float64"), default=paper.dtype, help="(%(default)s)"
    )
    flags.add_argument(
        "--every",
        type=int,
        default=paper.every,
        metavar="N",
        help="store each N-th epoch (%(default)s)",
    )
    flags.add_argument(
        "--standardise",
        choices=("train", "all"),
        default=paper.standardise,
        help="rows that mean and variance are taken over (%(default)s, as published)",
    )
    flags.add_argument(
        "--analyse", action="store_true", help="displacement, sharpness and embedding after the run"
    )
    flags.add_argument(
        "--published_layout",
        action="store_true",
        help="with --analyse: TAMSDs.npz and trajectory_tsne.npy too, as in the paper's source data",
    )
    # what a notebook passes to a script
    flags.add_argument("--f", "-f", help=argparse.SUPPRESS)
    return flags


def main(argv=None):
    """Train as the flags say, and return the `FullBatchRun`."""
    flags = parser().parse_args(argv)
    training = mf.Training(
        learning_rate=flags.lr,
        dropout=flags.dropout,
        epochs=flags.epochs,
        n_train=flags.ntrain,
        hess_every=flags.hess_every,
        hess_term=flags.hess_term,
        rng=flags.seed,
        dtype=flags.dtype,
        every=flags.every,
        standardise=flags.standardise,
    )
    if flags.published_layout and not flags.analyse:
        raise ValueError("--published_layout needs --analyse, which makes what it writes; add it")
    if flags.analyse and flags.every != 1:
        raise ValueError(
            f"--every must be 1 with --analyse, whose lags are in epochs, got {flags.every}; leave one out"
        )
    needed("jax")  # before a table is fetched for a training that could not begin
    table = mf.load_table(flags.dataset, flags.data)
    run = mf.train_full_batch(
        table,
        training,
        flags.out or training.default_folder,
        resume=flags.resume,
        overwrite=flags.overwrite,
    )
    if flags.analyse:
        displacement, embedding = analyse(run)
        if flags.published_layout:
            write_published(run.path, displacement, embedding)
    return run


def write_published(folder, displacement, embedding):
    """Write displacement and embedding as the paper's source data have them."""
    with atomic_write(folder / "TAMSDs.npz", overwrite=True) as file:
        np.savez(
            file,
            TAMSDs=displacement.values,
            waiting_times=displacement.waiting_times,
            lag_times=displacement.lag_times,
            window_size=displacement.window,
        )
    with atomic_write(folder / "trajectory_tsne.npy", overwrite=True) as file:
        np.save(file, embedding.points, allow_pickle=False)


def analyse(run):
    """Print displacement exponents and sharpness of a run, save displacement, embedding and figures in its folder.

    Returns the `Displacement` and the embedding.
    """
    from multifractal import figures

    displacement = mf.training_displacement(run)
    displacement.save(run.path / "displacement.npz", overwrite=True)
    exponents = mf.regime_exponents(displacement)
    for found in exponents:
        print(
            f"diffusion exponent {found.fit.exponent:.3f} ({found.regime} {found.fit.lag_range[0]:g} to "
            f"{found.fit.lag_range[1]:g}, waiting time {found.waiting_time}{', even lags' * found.even_lags_only})"
        )
    share, epochs = mf.sharpness_over_edge(run), run.sharpness_epochs
    if len(share):
        half = len(share) // 2
        print(
            f"largest Hessian eigenvalue x rate / 2 (1 is the edge of stability): {share[0]:.3f} at the start, "
            f"{np.median(share[half:]):.3f} in epochs {epochs[half]} to {epochs[-1]} (median)"
        )
    n_sampled = min(10_000, max(len(run.positions) // 20, 400))
    # 500 of 10 000, as in the paper
    embedding = mf.embed_path(run.positions, sample=n_sampled, perplexity=n_sampled / 20)
    embedding.save(run.path / "embedding.npz", overwrite=True)
    title, folder = run.in_words(), run.path / "figures"
    figures.save_figure(
        figures.training_tamsd({title: displacement}, {title: exponents}),
        folder,
        "displacement",
        tamsd=displacement.values,
        waiting_times=displacement.waiting_times,
        lag_times=displacement.lag_times,
    )
    figures.save_figure(
        figures.learning_and_sharpness({title: run}),
        folder,
        "learning",
        losses=run.losses,
        sharpness=run.sharpness,
    )
    figures.save_figure(
        figures.training_paths({title: embedding}),
        folder,
        "path",
        points=embedding.points,
        components=embedding.components,
    )
    print(f"output: {run.path.absolute()}")
    return displacement, embedding


def command(argv=None):
    """Run the command; return its exit status."""
    return as_command(
        lambda: main(argv), "multifractal train", again="the same command with --resume"
    )


if __name__ == "__main__":
    raise SystemExit(command())
