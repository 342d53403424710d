"""Training: SGD, momentum or Adam on any loss, with checkpoints from which a killed run is resumed to the same bits.

The order of the images and the dropout masks of an epoch are drawn from the seed and the number of the epoch, so no random
state has to be kept. Sums in torch depend on its number of threads: bits are promised on the CPU, at the recorded number,
with the same version of torch on the same kind of machine.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from landscape_viz import checkpoint
from landscape_viz.devices.random_state import seeded
from landscape_viz.loss.batch_loss import made
from landscape_viz.loss.call import digest
from landscape_viz.loss.call import in_words as words_of
from landscape_viz.loss.network import checked_module
from landscape_viz.loss.precision import checked_device
from landscape_viz.optimizers import MILESTONES, Rule
from multifractal.base import checks
from multifractal.base.checks import refuse, require, whole_number
from multifractal.base.deprecation import renamed, renamed_names
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import realisation
from multifractal.base.types import PathLike

if TYPE_CHECKING:
    from landscape_viz.datasets import Dataset


__getattr__ = renamed_names(
    __name__,
    LEARNING_RATES="landscape_viz.optimizers:LEARNING_RATES",
    SCHEDULES="landscape_viz.optimizers:SCHEDULES",
)
_EVALUATION_BATCH = 500
_COLUMNS = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class TrainingHistory(Result, formerly=("TrainingRun",)):
    """History of a training run, one entry an epoch, and its settings.

    Attributes
    ----------
    train_loss : float64 array, shape (epochs,)
        Mean loss over the batches of each epoch, in training mode, while the weights change.
    test_loss, test_accuracy : float64 array, shape (epochs,)
        Loss and share of right answers on the test images after each epoch, in evaluation mode.
    saved_epochs : list of int
        Epochs with a checkpoint in the folder; 0 is the initial network.
    optimizer : str
    learning_rate : float
    batch_size, seed : int
    threads : int
        torch's number of CPU threads.
    device : str
    provenance : Provenance
    train_accuracy : float64 array, shape (epochs,), or None
        Share of right answers over the batches of each epoch, as `train_loss`; NaN for epochs of a run begun before it was
        kept, None in files from then.
    """

    train_loss: np.ndarray
    test_loss: np.ndarray
    test_accuracy: np.ndarray
    saved_epochs: list
    optimizer: str
    learning_rate: float
    batch_size: int
    seed: int
    threads: int
    device: str
    provenance: Provenance
    train_accuracy: np.ndarray | None = None


@renamed(seed="rng")
def train(
    model: torch.nn.Module,
    data: Dataset,
    folder: PathLike | None = None,
    *,
    epochs: int = 1,
    batch_size: int = 64,
    optimizer: Literal["adam", "sgd", "momentum", "nesterov"] = "adam",
    learning_rate: float | None = None,
    momentum: float | None = None,
    weight_decay: float = 0.0,
    schedule: Literal["constant", "cosine", "steps"] = "constant",
    decay: float = 0.1,
    milestones: tuple[int, ...] = MILESTONES,
    loss: Any = "cross_entropy",
    save_every: int = 1,
    rng: int = 0,
    device: str | torch.device = "cpu",
    resume: bool = False,
    any_threads: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> TrainingHistory:
    """Train a network in place, a classifier by cross-entropy if no other loss is asked for.

    Parameters
    ----------
    model : torch.nn.Module
        Network that gives logits; changed in place and left on `device`.
    data : Dataset
        What `datasets.load` returns.
    folder : path, optional
        Where checkpoints go, `epoch_0000.pt` (before the first step) onwards; None writes none.
    epochs : int
        Epochs in all, those before a resume included (paper: 1 to 20).
    batch_size : int
        Images a step (paper: 64); the last batch of an epoch may be smaller.
    optimizer : {"adam", "sgd", "momentum", "nesterov"}
        Adam with torch's defaults, plain SGD, or SGD with momentum, Nesterov's if so named (Li et al. 2018).
    learning_rate : float, optional
        None takes .001 for Adam and SGD (paper), .01 with momentum (our choice).
    momentum : float, optional
        In [0, 1). None takes 0 for SGD (paper) and 0.9 with momentum.
    weight_decay : float
        Of torch's optimizer (paper: 0).
    schedule : {"constant", "cosine", "steps"}
        The rate of epoch k = 0, 1, ... is the learning rate (paper), or that times (1 + cos(pi k / epochs)) / 2, or times
        `decay` for each of the `milestones` that are over.
    decay, milestones : float, tuple of int
        Of "steps": 0.1 after 150, 225 and 275 epochs are those of Li et al. 2018.
    loss : any loss of `Problem`
        "cross_entropy" (paper), or another; the accuracies are NaN where the targets have no right answer.
    save_every : int
        Save a checkpoint every `save_every`-th epoch, and after the last.
    rng : int
        Decides the order of the images and the dropout masks (paper: 0).
    device : str
        "cpu", "cuda" or another of torch's devices. Bits are promised on the CPU only.
    resume : bool
        Go on from the newest checkpoint in `folder`, or start if there is none.
    any_threads : bool
        Go on although torch's number of threads is not the recorded one; the bits will differ.
    overwrite : bool
        Delete the checkpoints in `folder` first.
    progress : bool
        Print a line to the standard error when an epoch ends (our choice).

    Returns
    -------
    TrainingHistory

    Raises
    ------
    FileExistsError
        When `folder` holds checkpoints and neither `resume` nor `overwrite` is set.
    ValueError
        When a checkpoint is of other settings (which) or of another number of threads.
    DivergedError
        When the loss is no longer finite; earlier checkpoints stay.
    DamagedFileError
        When the newest checkpoint is damaged.
    """
    checked_module("model", model)
    require(
        hasattr(data, "train_inputs"), "data", data, "be a Dataset", "take one of datasets.load"
    )
    checked_device(device)
    folder = None if folder is None else checks.path("folder", folder)
    rule = Rule(
        optimizer,
        whole_number("epochs", epochs),
        learning_rate,
        momentum,
        weight_decay,
        schedule,
        decay,
        tuple(milestones),
    )
    for name, value in (("batch_size", batch_size), ("save_every", save_every)):
        whole_number(name, value)
    whole_number("rng", rng, minimum=0)
    require(
        folder is not None or not resume,
        "resume",
        resume,
        "be False without a folder",
        "say which folder to resume in",
    )
    saved = [epoch for epoch in _kept(folder, resume, overwrite) if epoch <= epochs]
    run = _Run(model.to(device), data, rule, batch_size, rng, device, loss)
    if saved:
        run.restore(_path(folder, max(saved)), any_threads)
    elif folder is not None:
        run.save(folder)
    while run.done < epochs:
        run.epoch()
        if folder is not None and (run.done % save_every == 0 or run.done == epochs):
            run.save(folder)
        if progress:
            print(run.in_words(epochs), file=sys.stderr, flush=True)
    return TrainingHistory(
        **{name: np.array(values) for name, values in run.history.items()},
        saved_epochs=sorted(saved_epochs(folder)),
        optimizer=optimizer,
        learning_rate=rule.learning_rate,
        batch_size=batch_size,
        seed=rng,
        threads=torch.get_num_threads(),
        device=str(device),
        provenance=Provenance.of(
            "landscape_viz.training.train",
            rng=rng,
            packages=("numpy", "torch"),
            model=type(model).__name__,
            data=data.name,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=rule.learning_rate,
            momentum=rule.momentum,
            weight_decay=weight_decay,
            schedule=schedule,
            loss=words_of(loss),
        ),
    )


def evaluate(
    model: torch.nn.Module,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    *,
    loss: Any = "cross_entropy",
    device: str | torch.device = "cpu",
) -> dict[str, float]:
    """Return {"loss", "accuracy"} of a network in evaluation mode: the mean loss and the share of right answers.

    Parameters
    ----------
    model : torch.nn.Module
        On `device`; its mode is put back afterwards.
    inputs : Tensor, shape (n, ...)
    targets : Tensor, shape (n,), int64 with cross-entropy
    loss : any loss of `Problem`
        The accuracy is NaN where the targets have no right answer.
    device : str

    Raises
    ------
    ValueError
        When `model` is no module, or `inputs` and `targets` are no tensors of one length with class indices as targets.
    """
    checked_module("model", model)
    _check_labelled(inputs, targets, loss)
    device = checked_device(device)
    loss_of, total, weight, right = _Loss(loss), 0.0, 0.0, 0.0
    training = model.training
    model.eval()
    with torch.no_grad():
        for images, labels in zip(
            inputs.split(_EVALUATION_BATCH), targets.split(_EVALUATION_BATCH), strict=True
        ):
            sums = loss_of.sums(model, images.to(device), labels.to(device))
            total, weight, right = total + sums[0], weight + sums[1], right + sums[2]
    model.train(training)
    return {"loss": total / weight, "accuracy": right / len(targets)}


def in_words(found: dict[str, float], name: str) -> str:
    """Return what `evaluate` found in words, "test loss 0.1, test accuracy 97.0%" for the `name` "test"."""
    accuracy = found["accuracy"]
    words = f", {name} accuracy {accuracy:.1%}" if accuracy == accuracy else ""
    return f"{name} loss {found['loss']:.4f}{words}"


def _check_labelled(inputs, targets, loss):
    for name, tensor in (("inputs", inputs), ("targets", targets)):
        good = isinstance(tensor, torch.Tensor) and tensor.ndim > 0 and len(tensor) > 0
        require(
            good, name, type(tensor).__name__, "be a tensor of samples", "pass one sample at least"
        )
    require(
        len(inputs) == len(targets)
        and (loss != "cross_entropy" or targets.ndim == 1 and not targets.is_floating_point()),
        "targets",
        f"{targets.dtype} of shape {tuple(targets.shape)}",
        f"be one class index for each of the {len(inputs)} inputs",
        "pass int64 labels",
    )


def saved_epochs(folder: PathLike) -> list[int]:
    """Return the epochs that have a checkpoint in `folder`, in no order; none when there is no such folder."""
    files = checks.path("folder", folder).glob("epoch_*.pt") if folder is not None else ()
    return [
        int(found[1]) for file in files if (found := re.fullmatch(r"epoch_(\d+)\.pt", file.name))
    ]


def seconds_per_step(
    factory: Callable[[], torch.nn.Module],
    data: Dataset,
    *,
    batch_size: int = 64,
    optimizer: str = "adam",
    loss: Any = "cross_entropy",
    device: str | torch.device = "cpu",
) -> float:
    """Return the seconds of one training step of a network made by `factory`, the second of two; nothing is kept.

    `data`, `batch_size`, `optimizer`, `loss` and `device` as for `train`.
    """
    run = _Run(factory().to(device), data, Rule(optimizer), batch_size, 0, device, loss)
    chosen = torch.arange(min(batch_size, len(data.train_targets)))
    with seeded(0):
        run.step(chosen)
        start = time.perf_counter()
        run.step(chosen)
        return time.perf_counter() - start


class _Loss:
    """The loss of training: cross-entropy as torch has it, or another one of `Problem`."""

    def __init__(self, loss):
        self.plain = isinstance(loss, str) and loss == "cross_entropy"
        self.given, self.loss_of = loss, made(loss)

    def mean(self, model, images, labels):
        """Return (differentiable mean over a batch, number of right answers or NaN)."""
        if self.plain:
            outputs = model(images)
            return cross_entropy(outputs, labels), _right(outputs, labels)
        term = self.loss_of(model, (images, labels))
        summed = self.loss_of.reduction == "sum" or term.weight is None
        return term.total / (1.0 if summed else term.weight), _right(term.outputs, labels)

    def sums(self, model, images, labels):
        """Return (total, weight, number of right answers or NaN) of a batch."""
        if self.plain:
            outputs = model(images)
            total = cross_entropy(outputs.double(), labels, reduction="sum")
            return float(total), len(labels), _right(outputs, labels)
        term = self.loss_of(model, (images, labels))
        weight = len(labels) if term.weight is None else float(term.weight)
        return float(term.total), weight, _right(term.outputs, labels)


def _right(outputs, labels):
    """Return the number of right answers of a classifier; NaN for what is none."""
    classes = isinstance(outputs, torch.Tensor) and outputs.ndim == 2 and labels.ndim == 1
    if not classes or labels.is_floating_point():
        return float("nan")
    return int((outputs.detach().argmax(1) == labels).sum())


class _Run:
    """A run between two epochs: the network, its optimizer, the history, and the number of epochs done."""

    def __init__(self, model, data, rule, batch_size, seed, device, loss):
        self.model, self.data, self.device, self.rule = model, data, device, rule
        self.batch_size, self.seed, self.loss = batch_size, seed, _Loss(loss)
        self.stepper = rule.made(model)
        self.history = {name: [] for name in _COLUMNS}
        self.done = 0
        self.settings = {
            "model": f"{type(model).__name__} {checkpoint.content_sha256(repr(model))[:16]}",
            "data": f"{data.name} {digest([('x', data.train_inputs), ('y', data.train_targets)])}",
            "batch_size": batch_size,
            "seed": seed,
            **rule.settings(),
        }
        self.settings |= {} if self.loss.plain else {"loss": words_of(loss)}

    def epoch(self):
        """Run one epoch and put the mean training loss, and the loss and accuracy on the test images, in the history."""
        draws = realisation(self.seed, self.done + 1)
        if self.rule.schedule != "constant":
            for group in self.stepper.param_groups:
                group["lr"] = self.rule.rate(self.done)
        order = torch.from_numpy(draws.permutation(len(self.data.train_targets)))
        was_training = self.model.training
        self.model.train()
        with seeded(int(draws.integers(2**63))):  # dropout masks
            total, right = self._steps(order)
        self.model.train(was_training)
        if not np.isfinite(total):
            raise checks.diverged(
                "learning_rate",
                self.rule.learning_rate,
                f"leave the training loss finite, which is {total} in epoch {self.done + 1}",
                "lower the learning rate; checkpoints of earlier epochs stay",
            )
        inputs, targets = self.data.test_inputs, self.data.test_targets
        result = evaluate(self.model, inputs, targets, loss=self.loss.given, device=self.device)
        seen = (total / len(order), right / len(order), result["loss"], result["accuracy"])
        for name, value in zip(_COLUMNS, seen, strict=True):
            self.history[name].append(value)
        self.done += 1

    def _steps(self, order):
        """Take a step on each batch of the epoch; return the sums of the losses and of the right answers before them."""
        bar = tqdm(
            _batches(order, self.batch_size), f"epoch {self.done + 1}", leave=False, disable=None
        )
        total, right = 0.0, 0
        for chosen in bar:
            loss, correct = self.step(chosen)
            total, right = total + loss * len(chosen), right + correct
        return total, right

    def step(self, chosen):
        """Take one step on the chosen images; return the loss and the number of right answers before it."""
        images = self.data.train_inputs[chosen].to(self.device)
        labels = self.data.train_targets[chosen].to(self.device)
        self.stepper.zero_grad()
        loss, right = self.loss.mean(self.model, images, labels)
        loss.backward()
        self.stepper.step()
        return loss.item(), right

    def in_words(self, epochs):
        """Return what the epoch just done came to, in a line."""
        train, right, test, accuracy = (self.history[name][-1] for name in _COLUMNS)
        share = f", accuracy {right:.1%}" if right == right else ""
        tested = in_words({"loss": test, "accuracy": accuracy}, "test")
        return f"epoch {self.done} of {epochs}: training loss {train:.4f}{share}; {tested}"

    def save(self, folder):
        """Write the checkpoint of the epoch just done."""
        record = {
            "epoch": self.done,
            "history": self.history,
            "settings": self.settings,
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
            "optimizer": self.stepper.state_dict(),
        }
        checkpoint.save(_path(folder, self.done), self.model.state_dict(), record, overwrite=True)

    def restore(self, path, any_threads):
        """Put everything in the state of a checkpoint, if its settings are ours."""
        stored = checkpoint.load(path)
        before, threads = stored.training.get("settings", {}), stored.training.get("threads")
        differing = [
            f"{name} {before.get(name)!r}, now {self.settings.get(name)!r}"
            for name in {**self.settings, **before}
            if before.get(name) != self.settings.get(name)
        ]
        if differing:
            raise ValueError(
                f"resume must keep the settings of {str(path)!r}, which has {'; '.join(differing)}; use those "
                "settings, or another folder"
            )
        if threads != torch.get_num_threads() and not any_threads:
            raise refuse(
                "threads",
                torch.get_num_threads(),
                f"be {threads} as recorded in {str(path)!r}, for the same bits",
                f"call torch.set_num_threads({threads}) or set OMP_NUM_THREADS={threads}, or allow other bits by "
                "any_threads=True (--any_threads)",
            )
        self.model.load_state_dict(stored.state_dict)
        self.stepper.load_state_dict(stored.training["optimizer"])
        self.done = stored.training["epoch"]
        unknown = [float("nan")] * self.done  # a column that the checkpoint is too old to have
        self.history = {
            name: list(stored.training["history"].get(name, unknown)) for name in _COLUMNS
        }


def _batches(order, size):
    """Cut the order into batches; a last one of a single image joins the one before (BatchNorm cannot take it alone)."""
    batches = list(order.split(size))
    if len(batches) > 1 and len(batches[-1]) == 1 < size:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _kept(folder, resume, overwrite):
    """Return the epochs in `folder` to resume from, having refused or deleted what else may not stay."""
    saved = saved_epochs(folder)
    if resume or not saved:
        return saved
    if not overwrite:
        raise FileExistsError(
            f"folder must hold no results yet, got {str(folder)!r} with {len(saved)} checkpoints; pass "
            "resume=True (--resume) to go on, overwrite=True (--overwrite) to replace them, or another folder"
        )
    for epoch in saved:
        _path(folder, epoch).unlink()
    return []


def _path(folder, epoch):
    return Path(folder) / f"epoch_{epoch:04d}.pt"
