"""Full-batch gradient descent of the 5-16-1 ReLU network on airfoil self-noise (Ly & Gong 2025, Supplementary), resumable.

    python train_supplementary.py --lr 0.1 --dropout 0.75 --analyse

trains a million epochs into results/lr=0.1_dropout=0.75_epochs=1000000/: trajectory.npy, learning_curves.npz, max_eigs.npy
and run.json. Killed at any moment, the same command with --resume gives the same bits as a run never stopped.
"""

import argparse
import sys

from multifractal.tables import load_table
from multifractal.training_run import Training, train_full_batch


def parser():
    """Return the command line's parser."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    paper = Training()
    flags.add_argument("--lr", type=float, default=paper.learning_rate, help="learning rate (default: %(default)s)")
    flags.add_argument("--dropout", type=float, default=paper.dropout, help="of hidden units, in [0, 1) (%(default)s)")
    flags.add_argument("--epochs", type=int, default=paper.epochs, help="full-batch steps (%(default)s)")
    flags.add_argument("--ntrain", type=int, help="first rows that train (all: 1503 of airfoil)")
    flags.add_argument("--hess_every", type=int, default=paper.hess_every, help="epochs between Hessians (%(default)s)")
    flags.add_argument("--hess_term", type=int, default=paper.hess_term, help="no Hessian from this epoch on (%(default)s)")
    flags.add_argument("--seed", type=int, default=paper.seed, help="of the start and the dropout masks (%(default)s)")
    flags.add_argument("--dataset", choices=("airfoil", "diabetes"), default="airfoil", help="(%(default)s)")
    flags.add_argument("--data", default="data", help="the airfoil file, or the folder it is in or fetched to (%(default)s)")
    flags.add_argument("--out", help="the run's folder (results/lr=..._dropout=..._epochs=.../)")
    flags.add_argument("--resume", action="store_true", help="continue the run in the folder")
    flags.add_argument("--overwrite", action="store_true", help="delete the run in the folder and start again")
    flags.add_argument("--dtype", choices=("float32", "float64"), default=paper.dtype, help="(%(default)s)")
    flags.add_argument("--every", type=int, default=paper.every, metavar="N", help="store each N-th epoch (%(default)s)")
    flags.add_argument("--standardise", choices=("train", "all"), default=paper.standardise,
                       help="rows that mean and variance are taken over (%(default)s, as published)")
    flags.add_argument("--analyse", action="store_true", help="displacement, sharpness and embedding after the run")
    return flags


def main(argv=None):
    """Train as the flags say, and return the `TrainingRun`."""
    flags = parser().parse_args(argv)
    training = Training(learning_rate=flags.lr, dropout=flags.dropout, epochs=flags.epochs, n_train=flags.ntrain,
                        hess_every=flags.hess_every, hess_term=flags.hess_term, seed=flags.seed, dtype=flags.dtype,
                        every=flags.every, standardise=flags.standardise)
    table = load_table(flags.dataset, flags.data)
    run = train_full_batch(table, training, flags.out or training.default_folder, resume=flags.resume,
                           overwrite=flags.overwrite)
    return run


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, ArithmeticError) as error:
        sys.exit(f"error: {error}")
