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

RECORD = "experiment.json"
_CHECKPOINTS = "checkpoints"
_RESULTS = ("npz", "pth", "png", "html")  # by which a folder is known to hold some
_BESIDE = ("csv", "json", "store")  # what else an experiment leaves
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
        there = [path.name for path in _ending(self.folder, _RESULTS)]
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
            With `resume` and `overwrite`, which deletes what experiments leave in a folder with a record of theirs; other files
            stay.

        Raises
        ------
        FileExistsError
            When the folder holds an experiment and neither flag is given, or as for the class.
        """
        folder = Path(folder).resolve()
        if (folder / RECORD).exists():
            there = _ending(folder, _RESULTS + _BESIDE)
            refuse_results(flag, folder, there, flags)
            if flags.overwrite:
                _begin_anew(folder, settings, there)
        return cls(folder, settings)

    def result(self, name, kind, compute):
        """Return the result kept as `name`.npz, of class `kind`; where there is none, that of `compute()`, and keep it."""
        path = self.folder / f"{name}.npz"
        if path.exists():
            return kind.load(path)
        made = compute()
        made.save(path)
        return made

    def picture(self, name, axes):
        """Write the figure of `axes` as `name`.png, redrawn from its results each time, and return the path."""
        import matplotlib.pyplot as plt

        figure, path = (
            np.ravel(np.asarray(axes, dtype=object))[0].figure,
            self.folder / f"{name}.png",
        )
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
        if not (self.folder / "model.pth").exists():
            checkpoint.save_state(
                self.folder / "model.pth",
                state,
                {"epoch": best, "settings": self.settings},
                overwrite=True,  # of a record without its file
            )
        if not (self.folder / "training.npz").exists():
            run.save(self.folder / "training.npz")
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


def _begin_anew(folder, settings, there):
    """Delete the files of an experiment, and put the record of another in the place of its own."""
    for path in (*there, *(folder / _CHECKPOINTS).glob("epoch_*.pt")):
        if path.name != RECORD:
            path.unlink()
    _write_record(folder, settings)


def _ending(folder, endings):
    """Return the files in a folder that end in one of these."""
    return [path for ending in endings for path in sorted(folder.glob(f"*.{ending}"))]


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
