"""The supplementary experiment: train a small network by full-batch descent, keep every position, and read the run back."""

from __future__ import annotations

import dataclasses
import datetime
import os
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from multifractal.base import files
from multifractal.base.checks import float_dtype, one_of, positive_number, require, whole_number
from multifractal.base.deprecation import FormerName, renamed
from multifractal.base.result import Provenance
from multifractal.base.types import Array, PathLike
from multifractal.training.run_folder import RunFolder, read_record, read_rows, require_space
from multifractal.training.tables import Table

CURVES = "learning_curves.npz"
OUTPUTS = (CURVES, "displacement.npz", "embedding.npz")
_STATE_BYTES = 1 << 20  # room for the checkpoint and the record


@dataclass(frozen=True)
class Training:
    """What is run; the defaults are the published ones (Supplementary), except where marked as ours."""

    learning_rate: float = 0.01
    dropout: float = 0.0
    epochs: int = 1_000_000
    n_train: int | None = None  # first rows that train; None: all rows (paper: 1503, which is all)
    hess_every: int = 10
    hess_term: int = 1000  # the Hessian is computed in epochs below this
    rng: int = 0  # a number, since a stopped run is resumed from it
    dtype: str = "float32"
    every: int = 1  # ours: each N-th epoch is stored
    standardise: str = "all"

    seed = FormerName("rng")

    def __post_init__(self):
        positive_number("learning_rate", self.learning_rate)
        good = isinstance(self.dropout, float | int) and 0 <= self.dropout < 1
        require(
            good,
            "dropout",
            self.dropout,
            "lie in [0, 1)",
            "pass the probability that a hidden unit is dropped",
        )
        for name in ("epochs", "every", "hess_every"):
            whole_number(name, getattr(self, name))
        whole_number("hess_term", self.hess_term, minimum=0)
        whole_number("rng", self.rng, minimum=0)
        require(self.rng < 2**31, "rng", self.rng, "be below 2^31", "pass a smaller number")
        float_dtype(self.dtype)
        one_of("standardise", self.standardise, ("all", "train"))

    @property
    def default_folder(self) -> Path:
        """Folder of the run, in the published form."""
        return Path(
            "results",
            f"lr={float(self.learning_rate)}_dropout={float(self.dropout)}_epochs={self.epochs}",
        )


Training.__init__ = renamed(seed="rng")(Training.__init__)  # type: ignore[method-assign]


@renamed(out="folder")
def train_full_batch(
    table: Table,
    training: Training,
    folder: PathLike,
    *,
    resume: bool = False,
    overwrite: bool = False,
    chunk: int = 10_000,
) -> FullBatchRun:
    """Train the 16-unit network of the paper's supplement by full-batch gradient descent, into a folder.

    Parameters
    ----------
    table : Table
        From `load_table`.
    training : Training
        Learning rate, dropout, epochs and the rest.
    folder : path-like
        The run's folder. ``trajectory.npy`` (positions, parameters) grows as the run goes, row 0 the start; ``max_eigs.npy``
        holds the largest Hessian eigenvalue (without dropout) of epochs 0, hess_every, ... below hess_term; ``losses.npy``
        the losses so far; at the end ``learning_curves.npz`` holds ``train_losses`` and ``test_losses`` (empty without test
        rows), each before the epoch's step: the training loss with the epoch's dropout mask, the test loss without.
    resume : bool
        Continue the run in `folder`, to the same bits as a run never stopped (on the same kind of device, with as many
        threads). `epochs` may be larger than before.
    overwrite : bool
        Delete the run in `folder` first.
    chunk : int, default 10 000 (our choice)
        Epochs between checkpoints; without effect on the result.

    Returns
    -------
    FullBatchRun

    Raises
    ------
    FileExistsError, ValueError, DamagedFileError, BlockingIOError
        When the folder holds a run and `resume` or `overwrite` is not given, or has other parameters, more epochs, damage,
        or another process writing to it.
    OSError
        When the disk has no room; what was done stays and can be resumed.
    FloatingPointError
        When the training diverges; what was done before stays.

    Examples
    --------
    >>> import tempfile
    >>> from multifractal import Training, load_table, train_full_batch
    >>> settings = Training(learning_rate=0.1, epochs=20, hess_every=20)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train_full_batch(load_table("diabetes"), settings, f"{folder}/run")
    ...     fallen = bool(run.losses[-1, 0] < run.losses[0, 0])
    output: ...
    no test set: all 442 rows train
    estimate: 20 epochs at ...
    output: ...
    >>> fallen
    True
    """
    from multifractal.training.full_batch import FullBatchDescent

    chunk = whole_number("chunk", chunk)
    n_train = len(table.target) if training.n_train is None else training.n_train
    inputs, target = table.standardised(n_train, training.standardise)
    descent = FullBatchDescent(
        inputs,
        target,
        n_train=n_train,
        learning_rate=training.learning_rate,
        seed=training.rng,
        dropout=training.dropout,
        dtype=training.dtype,
        chunk=min(chunk, training.epochs),
    )
    parameters = dataclasses.asdict(training) | {
        "seed": training.rng,  # its name in the folders of every version
        "n_train": n_train,
        "dataset": table.name,
        "data_sha256": table.sha256,
    }
    del parameters["rng"]
    theta = descent.start()
    run_folder = RunFolder(
        folder,
        {
            "trajectory": (theta.shape, descent.dtype),
            "max_eigs": ((), np.float64),
            "losses": ((1 + descent.has_test,), descent.dtype),
        },
        OUTPUTS,
    )
    print(f"output: {run_folder.path.absolute()}")
    if not descent.has_test:
        print(f"no test set: all {n_train} rows train")
    state = run_folder.start(parameters, resume=resume, overwrite=overwrite, may_grow=("epochs",))
    try:
        epoch = 0 if state is None else state[1]["epoch"]
        theta = theta if state is None else state[0]["theta"]
        require(
            training.epochs >= epoch,
            "epochs",
            training.epochs,
            f"be at least the {epoch} epochs done",
            "pass more epochs, or --overwrite to start again",
        )
        if state is None:
            run_folder.arrays["trajectory"].append(theta[None])
            run_folder.checkpoint({"theta": theta}, epoch=0)
        _print_estimate(descent, training, theta, epoch, run_folder.path)
        _run(descent, training, theta, epoch, run_folder, chunk)
    finally:
        run_folder.close()
    print(f"output: {run_folder.path.absolute()}")
    return FullBatchRun(folder)


def _run(descent, training, theta, epoch, folder, chunk):
    """Train from `epoch` to the end: a chunk, its rows, a checkpoint, and again; chunks end at multiples of `chunk`."""
    with tqdm(
        desc="training",
        total=training.epochs,
        initial=epoch,
        unit=" epochs",
        unit_scale=True,
        disable=None,
    ) as progress:
        while epoch < training.epochs:
            n = min(chunk - epoch % chunk, training.epochs - epoch)
            positions, losses = descent.advance(theta, epoch, n)
            _refuse_divergence(positions, losses, epoch)
            before = np.concatenate([theta[None], positions[:-1]])
            sharp = [
                descent.sharpness(before[e - epoch])
                for e in _multiples(training.hess_every, epoch, epoch + n)
                if e < training.hess_term
            ]
            stored = [e - epoch - 1 for e in _multiples(training.every, epoch + 1, epoch + n + 1)]
            for name, rows in (
                ("trajectory", positions[stored]),
                ("max_eigs", np.array(sharp)),
                ("losses", losses),
            ):
                folder.arrays[name].append(rows)
            theta, epoch = positions[-1].copy(), epoch + n
            folder.checkpoint({"theta": theta}, epoch=epoch)
            progress.update(n)
    losses = np.load(folder.arrays["losses"].path)
    curves = {
        "train_losses": losses[:, 0],
        "test_losses": losses[:, 1] if descent.has_test else losses[:0, 0],
    }
    files.save_arrays(folder.path / CURVES, curves, {"epochs": epoch}, overwrite=True)


def _multiples(step, first, stop):
    return range(-(-first // step) * step, stop, step)


def _refuse_divergence(positions, losses, epoch):
    bad = ~np.isfinite(positions).all(axis=1) | ~np.isfinite(losses).all(axis=1)
    if bad.any():
        raise FloatingPointError(
            f"the training must stay finite, got NaN or inf in epoch {epoch + int(np.argmax(bad))}; "
            "pass a smaller learning rate (--lr)"
        )


def _print_estimate(descent, training, theta, epoch, path):
    """Print how long the rest will take and how much disk it needs, measured; refuse if the disk has no room."""
    left = training.epochs - epoch
    row_bytes = descent.dtype.itemsize * theta.size
    n_bytes = left // training.every * row_bytes + 4 * left * descent.dtype.itemsize + _STATE_BYTES
    free = require_space(path, n_bytes)
    trial = min(descent.chunk, 300)
    descent.advance(theta, epoch, 1)  # compiles
    start = time.perf_counter()
    descent.advance(theta, epoch, trial)
    per_epoch = (time.perf_counter() - start) / trial
    n_hessians = len(
        [
            e
            for e in _multiples(training.hess_every, epoch, training.epochs)
            if e < training.hess_term
        ]
    )
    duration = datetime.timedelta(seconds=round(left * per_epoch))
    print(
        f"estimate: {left} epochs at {1 / per_epoch:.0f} a second, {duration}, and {n_hessians} Hessians; "
        f"{n_bytes / 1e6:.0f} MB of {free / 1e9:.1f} GB free"
    )


class FullBatchRun:
    """A run's folder, read back up to its last checkpoint, whose SHA-256 are checked; the trajectory stays on disk.

    Parameters
    ----------
    folder : path-like
        What `train_full_batch` wrote to; a run still going, or killed, can be read too.

    Raises
    ------
    DamagedFileError
        Here, or when an array is first asked for: a file is missing, cut short or altered.
    """

    @renamed(path="folder")
    def __init__(self, folder: PathLike) -> None:
        self.path = Path(folder)
        self.parameters = read_record(self.path)["parameters"]

    @property
    def provenance(self) -> Provenance:
        """The settings of the run, its seed and the versions that it was begun with, from its record."""
        told = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        versions = read_record(self.path)["versions"]
        return Provenance(f"train_full_batch({told})", str(self.parameters.get("seed")), versions)

    @cached_property
    def _rows(self):
        return read_rows(self.path)

    @property
    def positions(self) -> Array:
        """Parameters at epochs 0, every, 2 every, ..., shape (positions, parameters), a read-only memory map."""
        return self._rows["trajectory"]

    @property
    def losses(self) -> Array:
        """Training loss, and test loss if there are test rows, before each epoch's step; shape (epochs, 1 or 2)."""
        return self._rows["losses"]

    @property
    def sharpness(self) -> Array:
        """Largest eigenvalue of the full Hessian at `sharpness_epochs`, shape (n,), float64."""
        return self._rows["max_eigs"]

    @property
    def sharpness_epochs(self) -> Array:
        """Epochs of `sharpness`, shape (n,)."""
        return np.arange(len(self.sharpness)) * self.parameters["hess_every"]

    @property
    def epochs(self) -> int:
        """Epochs done."""
        return len(self.losses)

    def in_words(self) -> str:
        """Return the run in words, for a title."""
        p = self.parameters
        return f"{p['dataset']}, rate {p['learning_rate']:g}, dropout {p['dropout']:g}, {self.epochs:,} epochs"

    def __repr__(self):
        return f"FullBatchRun({os.fspath(self.path)!r}: {self.in_words()})"
