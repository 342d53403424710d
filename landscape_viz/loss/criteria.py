"""Criteria of torch with their exact weights: what a mean over a batch is divided by, so that batches add up to the data set.

Cross-entropy and NLL: the class weights of the labels that are not ignored (label smoothing keeps them), and the number of
positions for targets that are probabilities. All others: the number of elements ("batchmean" of KL: of samples). Outputs are
taken in float64, so that rounding adds no roughness to a section.
"""

import functools
import inspect

import torch
from torch import nn
from torch.nn import functional

from landscape_viz.loss.calling import logits_of
from multifractal.base.checks import refuse

IGNORED = -100
_AT_ONCE = (
    2**18
)  # logits taken in float64 at once where no gradient is asked for: the cache holds them (our choice)


class Criterion:
    """A criterion by name and options; called with (outputs, targets) it gives the total over a batch and its weight.

    Parameters
    ----------
    function : callable
        Of `torch.nn.functional`.
    options : dict
        Its keyword arguments without `reduction`.
    reduction : {"mean", "sum", "batchmean", "none"}
    """

    def __init__(self, function, options, reduction="mean"):
        self.function, self.options, self.reduction = function, options, reduction

    @property
    def of_classes(self):
        """Whether targets are classes, one of several."""
        return self.function in (functional.cross_entropy, functional.nll_loss)

    @property
    def of_yes_or_no(self):
        """Whether each output is a yes or no."""
        return self.function in (
            functional.binary_cross_entropy,
            functional.binary_cross_entropy_with_logits,
        )

    @property
    def ignored(self):
        """The label that does not count."""
        return self.options.get("ignore_index", IGNORED)

    def __call__(self, outputs, targets):
        """Return (total, weight) of a batch: a differentiable float64 scalar, and a number."""
        outputs, targets, options = self._ready(outputs, targets)
        return self._sum(outputs, targets, options), self._weight(targets, options)

    def total(self, outputs, targets):
        """Return the total of a batch without its weight."""
        return self._sum(*self._ready(outputs, targets))

    def _ready(self, outputs, targets):
        """Return outputs and targets that fit each other, and the options where they are."""
        if self.reduction == "none":
            raise refuse(
                "loss",
                "reduction='none'",
                "give one number a batch",
                "average over the batch (reduction='mean')",
            )
        outputs = logits_of(outputs, self.function.__name__)
        if self.of_classes:
            outputs, targets = aligned_classes(outputs, targets)
        else:
            outputs, targets = same_shape(self.function.__name__, outputs, targets)
        options = {
            name: _wide_like(outputs, value) if isinstance(value, torch.Tensor) else value
            for name, value in self.options.items()
        }
        return outputs, targets, options

    def _sum(self, outputs, targets, options):
        """Return the total in float64; of many classes without a gradient some rows after the other, in a third of the time."""
        if self.of_classes and outputs.ndim > 2:
            outputs, targets = _as_rows(outputs, targets)
        whole = torch.is_grad_enabled() or outputs.numel() <= _AT_ONCE
        if whole or outputs.ndim != 2 or not self.of_classes:
            return self.function(_wide(outputs), targets, reduction="sum", **options)
        rows = max(1, _AT_ONCE // outputs.shape[1])
        parts = zip(outputs.split(rows), targets.split(rows), strict=True)
        sums = [self.function(_wide(o), t, reduction="sum", **options) for o, t in parts]
        return torch.stack(sums).sum()

    def _weight(self, targets, options):
        if self.reduction == "batchmean":
            return float(len(targets))
        if not self.of_classes:
            return float(targets.numel())
        if targets.is_floating_point():
            return float(targets.numel() // targets.shape[1 if targets.ndim > 1 else 0])
        counts, weights = targets != self.ignored, options.get("weight")
        if weights is None:
            return counts.sum()
        return (weights[torch.where(counts, targets, 0)] * counts).sum()


def _as_rows(outputs, targets):
    """Return classes of tokens that follow each other in memory as rows, whose softmax is several times as fast."""
    rows = outputs.movedim(1, -1)
    if targets.is_floating_point() or not rows.is_contiguous():
        return outputs, targets
    return rows.reshape(-1, rows.shape[-1]), targets.reshape(-1)


def aligned_classes(outputs, targets):
    """Return (outputs with the classes on axis 1, int64 targets), also for (N, T, C) with (N, T), and for rows of tokens."""
    if targets.is_floating_point():
        return outputs, _wide_like(outputs, targets)
    targets = targets.long()
    axis = class_axis(outputs, targets)
    if outputs.ndim > 1 and outputs.shape[axis] == 1:
        raise refuse(
            "loss",
            f"outputs of shape {tuple(outputs.shape)}",
            "have more than one column for classes (the cross-entropy of a single one is 0)",
            "use torch.nn.BCEWithLogitsLoss() for one logit a sample",
        )
    if outputs.ndim == 2 and targets.numel() == len(outputs):
        return outputs, targets.reshape(-1)
    return outputs.movedim(axis, 1) if outputs.ndim > 2 else outputs, targets


def class_axis(outputs, targets):
    """Return the axis of the classes: 1, torch's own, wherever the shapes allow it, else the last."""
    second = outputs.shape[:1] + outputs.shape[2:]
    return -1 if second != targets.shape and outputs.shape[:-1] == targets.shape else 1


def same_shape(name, outputs, targets):
    """Return outputs and targets of one shape; raise where torch would broadcast; axes of length 1 may be missing."""

    def bare(tensor):
        return [length for length in tensor.shape if length != 1]

    if not isinstance(targets, torch.Tensor) or bare(outputs) != bare(targets):
        shapes = tuple(outputs.shape), tuple(getattr(targets, "shape", ()))
        raise refuse(
            "loss",
            f"outputs {shapes[0]} and targets {shapes[1]}",
            f"be of outputs and targets of one shape for {name} (torch would broadcast them)",
            "reshape the targets",
        )
    return outputs, _wide_like(outputs, targets).reshape(outputs.shape)


def known_criterion(loss):
    """Return the `Criterion` that a name, a criterion of torch or a function of torch.nn.functional stands for, or None."""
    if isinstance(loss, str) and loss in _NAMED:
        return Criterion(_NAMED[loss], {})
    if isinstance(loss, nn.Module) and type(loss) in _MODULES:
        function, names = _MODULES[type(loss)]
        given = {name: getattr(loss, name) for name in names if hasattr(loss, name)}
        return Criterion(function, given, loss.reduction)
    inner, options = (
        (loss.func, dict(loss.keywords)) if isinstance(loss, functools.partial) else (loss, {})
    )
    plain = not isinstance(loss, functools.partial) or not loss.args
    plain = plain and ("weight" not in options or inner in _WEIGHTED)
    if plain and any(inner is function for function, _ in _MODULES.values()):
        return Criterion(inner, options, options.pop("reduction", "mean"))
    return None


def _wide(outputs):
    return outputs.to(_kind(outputs))


def _wide_like(outputs, other):
    """Return another tensor where the outputs are, in what they are taken in."""
    return other.to(outputs.device, _kind(outputs))


def _kind(outputs):
    narrow = not outputs.is_floating_point() or outputs.device.type == "mps"
    return outputs.dtype if narrow else torch.float64


def _options(function):
    left_out = {"input", "target", "size_average", "reduce", "reduction"}
    return [name for name in inspect.signature(function).parameters if name not in left_out]


_WEIGHTED = (
    functional.cross_entropy,
    functional.nll_loss,
    functional.binary_cross_entropy,
    functional.binary_cross_entropy_with_logits,
)
_NAMED = {"cross_entropy": functional.cross_entropy, "mse": functional.mse_loss}
_MODULES = {
    module: (function, _options(function))
    for module, function in {
        nn.CrossEntropyLoss: functional.cross_entropy,
        nn.NLLLoss: functional.nll_loss,
        nn.BCELoss: functional.binary_cross_entropy,
        nn.BCEWithLogitsLoss: functional.binary_cross_entropy_with_logits,
        nn.MSELoss: functional.mse_loss,
        nn.L1Loss: functional.l1_loss,
        nn.SmoothL1Loss: functional.smooth_l1_loss,
        nn.HuberLoss: functional.huber_loss,
        nn.KLDivLoss: functional.kl_div,
        nn.PoissonNLLLoss: functional.poisson_nll_loss,
        nn.SoftMarginLoss: functional.soft_margin_loss,
    }.items()
}
LOSSES = tuple(_NAMED)
