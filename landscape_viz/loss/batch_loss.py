"""The batch loss: a function of (model, batch), the one primitive from which every probe's loss is made.

The loss of a data set is sum(total) / sum(weight) over its batches, in float64, whatever their size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from landscape_viz.loss import batches, calling
from landscape_viz.loss.call import importable
from landscape_viz.loss.criteria import IGNORED, LOSSES, known_criterion
from multifractal.base.checks import one_of, refuse, require

REDUCTIONS = ("mean", "sum")
NAMED = LOSSES


@dataclass
class Term:
    """What one batch adds to the loss: `total` (a differentiable float64 scalar), its weight, and what the network gave."""

    total: torch.Tensor
    weight: object
    """A number or a tensor; None where it is not known, which is allowed for a data set of one batch only."""
    outputs: object = None
    targets: object = None
    given: bool = False
    """Whether a user's function gave the weight itself."""


class BatchLoss:
    """A loss of (model, batch); `batch_loss` and `made` make them.

    Attributes
    ----------
    reduction : {"mean", "sum"}
        "sum": the loss of a data set is the sum of the totals, whatever the weights.
    exact : bool
        Whether the weights are known; otherwise a batch is compared with its halves before the weights are believed.
    """

    reduction = "mean"
    exact = True

    def __call__(self, model, batch):
        """Return the `Term` of a batch."""
        raise NotImplementedError

    def total(self, model, batch):
        """Return the total of a batch alone, for which a loss may know a shorter way."""
        return self(model, batch).total


class OfModel(BatchLoss):
    """The user's own function of (model, batch)."""

    def __init__(self, function, reduction="mean"):
        self.function, self.reduction = function, reduction
        self.exact = reduction == "sum"

    def __call__(self, model, batch):
        """Return the term of what the function gives: a scalar, or (total, weight)."""
        weight = 1.0 if self.reduction == "sum" else None
        return _term(self.function(model, batch), batch, weight=weight)


class OfOutputs(BatchLoss):
    """A function of (outputs, targets) that gives the mean over the samples of a batch."""

    exact = False

    def __init__(self, function):
        self.function = function

    def __call__(self, model, batch):
        """Return the term of a batch."""
        return self.of_outputs(*calling.outputs_and_targets(model, batch), batch)

    def of_outputs(self, outputs, targets, batch):
        """Return the term of outputs that are known already: the function's value, weighted by the number of samples."""
        return _term(self.function(outputs, targets), batch, outputs, targets)


class OfCriterion(OfOutputs):
    """A criterion of torch, whose weights are known."""

    exact = True

    def __init__(self, criterion):
        self.criterion = criterion
        self.reduction = "sum" if criterion.reduction == "sum" else "mean"

    def total(self, model, batch):
        """Return the total of a batch; its weight is not counted."""
        return self.criterion.total(*calling.outputs_and_targets(model, batch))

    def of_outputs(self, outputs, targets, batch):
        """Return the term: the sum over the elements, weighted as the criterion weights its mean."""
        return Term(*self.criterion(outputs, targets), outputs, targets)


class OwnLoss(BatchLoss):
    """The loss that the model itself returns, weighted by samples, by labels that count, or by those after the shift.

    Which of the three is found out by `checking.settle`, from values and not from names.
    """

    exact = False
    weightings = ("samples", "labels", "shifted labels")

    def __init__(self, weighting="samples"):
        self.weighting = one_of("weighting", weighting, self.weightings)

    def __call__(self, model, batch):
        """Return the term of the model's loss."""
        returned = calling.called(model, batch)
        value, labels = calling.own_loss(returned), calling.labels_of(batch)
        return _term(value, batch, returned, labels, weight=self._weight(batch, labels))

    def _weight(self, batch, labels):
        if self.weighting == "samples":
            return batches.n_samples(batch)
        counted = labels[..., 1:] if self.weighting == "shifted labels" else labels
        return (counted != IGNORED).sum()


def batch_loss(function: Callable[..., Any], reduction: Literal["mean", "sum"] = "mean") -> Any:
    """Return your own loss of (model, batch) as a loss for `Problem`, the analyzer and `fractal_report`.

    Parameters
    ----------
    function : callable
        Is given the network and one batch, and returns a differentiable scalar, or (total, weight): the loss of the data
        set is then sum(total) / sum(weight) over its batches. A scalar is taken as the mean over the samples of the batch,
        and compared once with the two halves of that batch.
    reduction : {"mean", "sum"}
        "sum": the scalar is a sum over the batch, and the loss of the data set the sum over all of it.

    Raises
    ------
    ValueError
        If `function` cannot be called, or `reduction` is neither word.

    Examples
    --------
    >>> import landscape_viz
    >>> def reconstruction(model, batch):
    ...     return ((model(batch) - batch) ** 2).mean()
    >>> loss = landscape_viz.batch_loss(reconstruction)
    """
    require(
        callable(function),
        "function",
        function,
        "be a function of (model, batch)",
        "return a scalar or (total, weight)",
    )
    return OfModel(function, one_of("reduction", reduction, REDUCTIONS))


def made(loss):
    """Return the batch loss that a `Problem`'s `loss` stands for."""
    if isinstance(loss, BatchLoss):
        return loss
    if loss is None:
        return OwnLoss()
    criterion = known_criterion(loss)
    if criterion is not None:
        return OfCriterion(criterion)
    if isinstance(loss, str):
        loss = importable("loss", loss)
        return made(loss)
    require(
        callable(loss),
        "loss",
        loss,
        "be None, 'cross_entropy', 'mse', a criterion, or landscape_viz.batch_loss(function)",
        "pass one of these",
    )
    return OfOutputs(loss)


def _term(value, batch, outputs=None, targets=None, weight=None):
    """Return the term of what a user's function returned: a mean over the batch, or (total, weight)."""
    if isinstance(value, tuple | list) and len(value) == 2:
        total, weight = value
        return Term(_scalar(total), _scalar(weight).detach(), outputs, targets, given=True)
    weight = batches.n_samples(batch) if weight is None else weight
    scalar = _scalar(value)
    return Term(scalar if weight is None else scalar * weight, weight, outputs, targets)


def _scalar(value):
    """Return a loss as a float64 scalar (float32 where the device has no float64)."""
    good = isinstance(value, torch.Tensor | float | int) and not isinstance(value, Mapping)
    value = torch.as_tensor(value) if good else value
    if not good or value.numel() != 1 or value.is_complex():
        raise refuse(
            "loss",
            tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__,
            "give one number a batch",
            "average over the batch (reduction='mean'), or return (total, weight)",
        )
    return value.reshape(()).to(torch.float32 if value.device.type == "mps" else torch.float64)
