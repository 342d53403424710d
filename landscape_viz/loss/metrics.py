"""Metrics measured beside the loss: the share of right answers where the targets have one, and the user's own by name."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from landscape_viz.loss.batch_loss import OfCriterion, OfModel, OwnLoss
from landscape_viz.loss.calling import logits_of
from landscape_viz.loss.criteria import IGNORED, class_axis
from multifractal.base.checks import one_of, refuse, require

METRICS = ("loss", "accuracy")
EIGENVALUES = ("largest_eigenvalue", "smallest_eigenvalue")  # of the Hessian: `curvature.ends`
_BETTER = {"loss": "low", "accuracy": "high"}


@dataclass(frozen=True)
class Metric:
    """A metric of your own by name, which knows whether low or high is better; taken wherever metrics are.

    Attributes
    ----------
    name : str
    function : callable
        Is given (model, batch) and returns (sum, count) of the batch; the metric is the sum of sums over the sum of counts.
    better : {"low", "high"}

    Examples
    --------
    >>> import torch
    >>> from landscape_viz import Metric
    >>> def wrong(model, batch):
    ...     inputs, targets = batch
    ...     return (model(inputs).argmax(1) != targets).sum(), len(targets)
    >>> Metric("error", wrong, better="low").better
    'low'
    """

    name: str
    function: Callable
    better: str

    def __post_init__(self):
        taken = METRICS + EIGENVALUES
        good = isinstance(self.name, str) and self.name and self.name not in taken
        require(good, "name", self.name, f"be a word, and none of {taken}", "pass another name")
        good = callable(self.function)
        require(
            good, "function", self.function, "be a function of (model, batch)", "pass a function"
        )
        one_of("better", self.better, ("low", "high"))

    def __call__(self, model, batch):
        """Return (sum, count) of a batch."""
        return self.function(model, batch)


def better_of(metrics):
    """Return {name: "low", "high" or None} of metrics by name; of a plain function it is not known."""
    return {
        name: _BETTER.get(metric) if isinstance(metric, str) else getattr(metric, "better", None)
        for name, metric in metrics.items()
    }


def named(metrics):
    """Return {name: "loss", "accuracy", a Metric or a function}, from these in a sequence, or a dict of functions by name.

    A function is given (model, batch) and returns (sum, count); the metric is the sum of sums over the sum of counts.
    """
    good = isinstance(metrics, tuple | list | dict) and len(metrics) > 0
    require(good, "metrics", metrics, "name at least one, in a tuple or list", "pass ('loss',)")
    if isinstance(metrics, dict):
        found = dict(metrics)
    else:
        found = {_name_of(m): m for m in metrics}
    for name, metric in found.items():
        if not callable(metric):
            one_of("metrics", name if metric is None else metric, METRICS + EIGENVALUES)
    require(
        len(found) == len(metrics), "metrics", metrics, "have names of their own", "pass a dict"
    )
    return found


def _name_of(metric):
    if isinstance(metric, str):
        return metric
    return metric.name if isinstance(metric, Metric) else getattr(metric, "__name__", "metric")


def accuracy(loss, outputs, targets):
    """Return (right answers, answers that count) of a batch, as tensors; None where the targets have no right answer.

    Classes on axis 1, or on the last axis for (N, T, C) with (N, T), or rows of tokens; labels that the loss ignores do not
    count; one logit a target is right by its sign (a probability by 1/2). Outputs that are NaN are wrong.
    """
    criterion = loss.criterion if isinstance(loss, OfCriterion) else None
    if not isinstance(targets, torch.Tensor) or isinstance(loss, OfModel):
        return None
    try:
        outputs = logits_of(outputs, "accuracy")
    except ValueError:
        return None
    if outputs.numel() == targets.numel() and _same_but_ones(outputs, targets):
        return _of_signs(criterion, outputs, targets)
    if targets.is_floating_point() or (criterion is not None and not criterion.of_classes):
        return None
    return _of_classes(loss, criterion, outputs, targets)


def require_accuracy(metrics, found):
    """Refuse accuracy where it does not apply."""
    if found is None:
        raise refuse(
            "metrics",
            tuple(metrics),
            "be ('loss',) where targets are not class indices",
            "leave 'accuracy' out, or pass your own function of (model, batch)",
        )
    return found


def of_function(function, model, batch, device):
    """Return the user's (sum, count) of a batch as float64 tensors."""
    found = function(model, batch)
    require(
        isinstance(found, tuple | list) and len(found) == 2,
        "metrics",
        _name_of(function),
        "return (sum, count)",
        "return the sum over the batch and what to divide it by",
    )
    return [torch.as_tensor(part, device=device).detach().double().reshape(()) for part in found]


def _same_but_ones(outputs, targets):
    return [n for n in outputs.shape if n != 1] == [n for n in targets.shape if n != 1]


def _of_signs(criterion, outputs, targets):
    yes_or_no = criterion is not None and criterion.of_yes_or_no
    if criterion is not None and not yes_or_no:
        return None
    if not yes_or_no and targets.is_floating_point():
        return None
    if not bool(((targets == 0) | (targets == 1)).all()):
        return None
    probability = yes_or_no and criterion.function is torch.nn.functional.binary_cross_entropy
    outputs = outputs.reshape(targets.shape)
    right = ((outputs > (0.5 if probability else 0)) == (targets > 0.5)) & ~outputs.isnan()
    return right.sum(), targets.numel()


def _of_classes(loss, criterion, outputs, targets):
    if outputs.ndim == 2 and targets.numel() == len(outputs):
        targets = targets.reshape(-1)
    axis = class_axis(outputs, targets)
    if outputs.ndim != targets.ndim + 1 or outputs.movedim(axis, -1).shape[:-1] != targets.shape:
        return None
    if isinstance(loss, OwnLoss) and loss.weighting == "shifted labels":
        outputs, targets = outputs[..., :-1, :], targets[..., 1:]
    counted = targets != (IGNORED if criterion is None else criterion.ignored)
    right = (outputs.argmax(axis) == targets) & ~outputs.isnan().any(axis) & counted
    return right.sum(), counted.sum()


def applicable(loss, term):
    """Return the names of the metrics that apply to a problem, judged by one term of its loss."""
    found = accuracy(loss, term.outputs, term.targets)
    return METRICS if found is not None else METRICS[:1]
