"""An experiment in a folder: its settings on record, each finished result kept, so that a stopped one can be resumed."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from landscape_viz import checkpoint, datasets, models, training
from landscape_viz.loss.problem import Problem
from multifractal.base import files
from multifractal.base.command import refuse_results

RECORD, WRITTEN = (
    "experiment.json",
    "experiment_files.txt",
)  # the settings; names of the files, one a line
_CHECKPOINTS = "checkpoints"
_RESULTS = ("npz", "pth", "png", "html")  # by which a folder is known to hold some
# Shape as CIFAR-10's, so that a perceptron is 3072-512-256-10; noise such that it gets some 84 % of test images right.
_SYNTHETIC = {"input_shape": (3, 32, 32), "noise": 12.0}


@dataclass(frozen=True)
class Experiment:
    """A folder that belongs to one set of settings.

    Attributes
    ----------
    folder : Path
        Absolute; made if missing.
    settings : dict
        What decides the results: plain values by name. Kept as JSON in the folder.

    Raises
    ------
    FileExistsError
        When the folder holds results of other settings (says which differ), or results without a record.
    """

    folder: Path
    settings: dict

    def __post_init__(self):
        object.__setattr__(self, "folder", Path(self.folder).resolve())
        record = self.folder / RECORD
        if record.exists():
            self._refuse_others(record)
            return
        there = _results_in(self.folder)
        if there or (self.folder / _CHECKPOINTS).exists():
            raise FileExistsError(
                f"the save directory must hold no other results, got {self.folder} with "
                f"{', '.join(there[:5]) or _CHECKPOINTS}; choose another one"
            )
        _write_record(self.folder, self.settings)

    @classmethod
    def asked(cls, flag, folder, settings, flags):
        """Return the experiment of a command: in a new folder, or gone on with, or begun anew, as the flags say.

        Parameters
        ----------
        flag : str
            What names the folder at the shell.
        folder : path-like
        settings : dict
        flags : Namespace
            With `resume` and `overwrite`, which deletes the files that the experiment wrote by its own list; others stay.

        Raises
        ------
        FileExistsError
            When the folder holds an experiment and neither flag is given, when there is nothing to tell its files from others
            by, or as for the class.
        """
        folder = Path(folder).resolve()
        if (folder / RECORD).exists():
            listed = (folder / WRITTEN).exists()
            there = _written(folder) if listed else _results_in(folder)
            refuse_results(flag, folder, [RECORD, *there], flags)
            if flags.overwrite and there and not listed:
                raise FileExistsError(
                    f"{flag} must be of an experiment that lists its files in {WRITTEN}, got {folder}, made by an earlier "
                    "version; choose another folder, or delete what is not wanted"
                )
            if flags.overwrite:
                _begin_anew(folder, settings)
        return cls(folder, settings)

    def path(self, name):
        """Return the path of one of this experiment's files, and list it among those that it writes."""
        if name not in _written(self.folder):
            with open(self.folder / WRITTEN, "a", encoding="utf-8") as file:
                file.write(f"{name}\n")
        return self.folder / name

    def result(self, name, kind, compute):
        """Return the result kept as `name`.npz, of class `kind`; where there is none, that of `compute()`, and keep it."""
        path = self.path(f"{name}.npz")
        if path.exists():
            return kind.load(path)
        made = compute()
        made.save(path)
        return made

    def picture(self, name, axes):
        """Write the figure of `axes` as `name`.png, redrawn from its results each time, and return the path."""
        import matplotlib.pyplot as plt

        figure, path = np.ravel(np.asarray(axes, dtype=object))[0].figure, self.path(f"{name}.png")
        with files.atomic_write(path, overwrite=True) as file:
            figure.savefig(file, format="png", dpi=150, bbox_inches="tight")
        plt.close(figure)
        return path

    def trained(self, subject, **options):
        """Train the subject's network, or resume its training, and keep the best epoch's weights as `model.pth`.

        That is a bare state dict; its epoch, the settings and its SHA-256 are in `model.json`.

        Parameters
        ----------
        subject : Subject
        **options
            As for `training.train`.

        Returns
        -------
        Trained
            The best epoch is that of the highest accuracy on the test images, the first of equals: chosen on them, so that
            its accuracy is slightly flattering.
        """
        folder = self.folder / _CHECKPOINTS
        run = training.train(
            subject.factory(), subject.data, folder, resume=True, any_threads=True, **options
        )
        states = {epoch: folder / f"epoch_{epoch:04d}.pt" for epoch in run.saved_epochs}
        best = min(max(1, int(np.argmax(run.test_accuracy)) + 1), max(states))
        state = checkpoint.load(states[best]).state_dict
        model, history = self.path("model.pth"), self.path("training.npz")
        self.path("model.json")  # which is written with the weights
        if not model.exists():
            checkpoint.save_state(
                model,
                state,
                {"epoch": best, "settings": self.settings},
                overwrite=True,  # of a record without its file
            )
        if not history.exists():
            run.save(history)
        return Trained(run, best, state, states)

    def _refuse_others(self, record):
        try:
            before = json.loads(record.read_text())
        except ValueError as error:
            raise FileExistsError(
                f"{record} cannot be read ({error}); choose another save directory"
            ) from error
        now = json.loads(json.dumps(self.settings))
        differing = [
            f"{name} {before.get(name)!r}, now {now.get(name)!r}"
            for name in {**now, **before}
            if before.get(name) != now.get(name)
        ]
        if differing:
            raise FileExistsError(
                f"the save directory must not hold other results, got {self.folder}, made with "
                f"{'; '.join(differing)}; use those settings to resume it, or choose another directory"
            )


def _write_record(folder, settings):
    with files.atomic_write(folder / RECORD, overwrite=True) as file:
        file.write(json.dumps(settings, indent=1).encode())


def _begin_anew(folder, settings):
    """Delete the files of an experiment, and put the record of another in the place of its own."""
    for name in _written(folder):
        (folder / name).unlink(missing_ok=True)
    for path in (folder / _CHECKPOINTS).glob("epoch_*.pt"):
        path.unlink()
    (folder / WRITTEN).unlink(missing_ok=True)
    _write_record(folder, settings)


def _written(folder):
    """Return the names of the files that an experiment has written into its folder, or was about to."""
    path = folder / WRITTEN
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _results_in(folder):
    """Return the names of files that look like results."""
    return [path.name for ending in _RESULTS for path in sorted(folder.glob(f"*.{ending}"))]


@dataclass(frozen=True, repr=False, eq=False)
class Trained:
    """A trained network: its history, the best epoch, that epoch's state dict, and the path of each checkpoint by epoch."""

    run: training.TrainingHistory
    best_epoch: int
    state: dict
    checkpoints: dict

    @property
    def best_accuracy(self):
        """Share of right answers on the test images at the best epoch."""
        return float(self.run.test_accuracy[self.best_epoch - 1])


@dataclass(frozen=True, repr=False, eq=False)
class Subject:
    """A data set and a network for it."""

    data: datasets.Dataset
    factory: partial

    def problem(self, state, n_samples, **options):
        """Return the loss on `n_samples` training images, drawn once, as a `Problem` at the weights `state`."""
        return Problem(
            self.factory, state, "cross_entropy", self.data.batch(n_samples, rng=0), **options
        )


def subject(dataset, model, *, seed=0, data_root="data", download=False):
    """Return a data set by name and a factory of a network that fits it.

    Parameters
    ----------
    dataset : str
        As for `datasets.load`; "synthetic" has images of 3x32x32, as CIFAR-10, under strong noise.
    model : str
        As for `models.build`.
    seed : int
        Of the initial weights.
    data_root, download
        As for `datasets.load`.
    """
    options = _SYNTHETIC if dataset == "synthetic" else {}
    data = datasets.load(dataset, data_root=data_root, download=download, **options)
    factory = partial(
        models.build, model, rng=seed, input_shape=data.input_shape, n_classes=data.n_classes
    )
    factory()  # a network that does not go with the images is refused here
    return Subject(data, factory)


def device_named(name):
    """Return "cuda" or "cpu" for "auto", "cuda" or "cpu"; refuses CUDA where there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "device must be one that torch finds, got 'cuda' and no CUDA device; take 'cpu' or 'auto'"
        )
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"
