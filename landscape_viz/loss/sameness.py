"""Sameness: before a probe starts, its loss is computed twice and compared, and the weights of its batches are checked.

A difference is named by its cause: random numbers, weights or data that the network changes itself, or a kernel.
"""

import re
from dataclasses import dataclass

import torch

from landscape_viz.devices import random_state
from landscape_viz.loss import batches
from landscape_viz.loss.batch_loss import OwnLoss
from landscape_viz.loss.calling import labels_of
from landscape_viz.loss.criteria import IGNORED
from landscape_viz.loss.metrics import applicable
from landscape_viz.loss.precision import tolerance
from multifractal.base.checks import refuse, require

_OF_DTYPE = re.compile(r"double|float|half|dtype", re.IGNORECASE)  # in an error of torch
_CHECKED = 3  # batches that are compared with their halves (our choice)


@dataclass
class Facts:
    """What was found out about the loss of a problem on one device."""

    needs_grad: bool = False
    """Whether even its value needs autograd (a network that differentiates inside)."""
    weighting: str = "samples"
    divisor: float = 1.0
    loss: float = float("nan")
    """At the problem's weights."""
    metrics: tuple = ("loss",)
    """Those that apply."""
    clones: bool = False
    """Whether the network changes its inputs in place, so that each call is given copies."""
    counting: list | None = None
    """Numbers of the batches that have labels; None where all do."""


def facts(objective):
    """Return what is known of an objective's loss, measured at its first use on this device; raise if it has no loss."""
    problem = objective.problem
    known = problem.facts.get(str(objective.device))
    if known is None:
        known = problem.facts[str(objective.device)] = _found(objective)
        return known
    if isinstance(objective.loss_of, OwnLoss):
        objective.loss_of.weighting = known.weighting
        objective.batches = counting(objective.batches, known)
    return known


def kinds(objective):
    """Return the dtypes that the loss is computed in: those of the parameters, and of autocast."""
    autocast = objective.problem.autocast.values()
    return {p.dtype for p in objective.parameters.values()} | set(autocast)


def weight_of(term):
    """Return the weight of a term as a float, refusing one that is not positive."""
    require(
        term.weight is not None and float(term.weight) > 0,
        "loss",
        None if term.weight is None else float(term.weight),
        "have a known positive weight",
        "return (total, weight) from landscape_viz.batch_loss(function)",
    )
    return float(term.weight)


def _found(objective):
    found = objective.facts = Facts()
    before = _traces(objective)
    terms = _evaluated(objective, found, first=True)
    changed = {name for name, value in _traces(objective).items() if value != before[name]}
    several = objective.problem.ranks is not None or len(objective.batches) > 1
    if isinstance(objective.loss_of, OwnLoss) and several:
        _in_evaluation(objective, _settle, found)
        terms = _evaluated(objective, found)
        found.counting = [k for k, t in enumerate(terms) if t.weight is None or float(t.weight) > 0]
        terms = [terms[k] for k in found.counting]
        require(
            len(terms) > 0,
            "data",
            "batches whose labels are all ignored",
            "have labels that count, on every rank",
            "leave the batches out, or mix them",
        )
        objective.batches = counting(objective.batches, found)
    found.loss = _loss_of(objective, found, terms)
    found.metrics = applicable(objective.loss_of, terms[0])
    again = _loss_of(objective, found, _evaluated(objective, found))
    if again != found.loss or "weights" in changed:
        _refuse_difference(objective, found.loss, again, changed)
    if several and not objective.loss_of.exact and not terms[0].given:
        _in_evaluation(objective, _check_halves, found)
    return found


def counting(all_batches, found):
    """Return the batches that count: those of which not all labels are ignored."""
    if found.counting is None or not isinstance(all_batches, list):
        return all_batches
    return [all_batches[k] for k in found.counting]


def _evaluated(objective, found, first=False):
    """Return the terms of all batches, those of the first with its outputs; `first` looks how they can be had at all."""
    terms = []
    while len(terms) < len(objective.batches):
        batch = batches.mapped(torch.clone, objective.placed(len(terms))) if first else None
        versions = [t._version for t in batches.leaves(batch)]
        try:
            with objective.evaluating(), torch.set_grad_enabled(found.needs_grad):
                term = objective.term(len(terms)) if batch is None else objective.of_batch(batch)
        except RuntimeError as error:
            _refuse_precision(objective.problem.precision, error)
            if not first or found.needs_grad or "grad" not in str(error):
                raise
            found.needs_grad = True
            continue
        found.clones = found.clones or versions != [t._version for t in batches.leaves(batch)]
        terms.append(_light(term, len(terms)))
    return terms


def _refuse_precision(precision, error):
    """Explain an error of torch that the precision asked for may be the cause of."""
    if precision == "as-is" or not _OF_DTYPE.search(str(error)):
        return
    raise refuse(
        "precision",
        precision,
        f"be one that each operation of the network knows (torch: {str(error).splitlines()[0]})",
        "pass 'as-is', or let the network take plain operations, one with experts of transformers by "
        "model.set_experts_implementation('eager')",
    ) from error


def _light(term, k):
    term.total = term.total.detach()
    if k:
        term.outputs = term.targets = None
    return term


def _loss_of(objective, found, terms):
    """Return the loss that terms make, and note the divisor."""
    if objective.loss_of.reduction != "sum":
        found.divisor = _total_weight(objective, terms)
    loss = objective.number(sum(term.total for term in terms)) / found.divisor
    require(
        torch.isfinite(torch.tensor(loss)).item(),
        "loss",
        f"{loss}, which is not finite,",
        "be a finite number at the weights",
        "look for overflow, a logarithm of 0, or an earlier checkpoint",
    )
    return loss


def _total_weight(objective, terms):
    unknown = any(term.weight is None for term in terms)
    if unknown and len(terms) == 1 and objective.problem.ranks is None:
        return 1.0
    require(
        not unknown,
        "loss",
        "batches whose tensors share no first length",
        "have a known weight a batch",
        "return (total, weight) from landscape_viz.batch_loss(function)",
    )
    total = objective.number(sum(term.weight for term in terms))
    require(
        0 < total < float("inf"),
        "data",
        f"a total weight of {total}",
        "have samples that count",
        "not all labels may be ignored, and class weights must be positive",
    )
    return total


def _traces(objective):
    """Return what a pure function would not change: random state, and versions of weights and buffers."""
    model = objective.model
    return {
        "random numbers": None if objective.problem.dropout != "off" else random_state.states(),
        "weights": [p._version for p in model.parameters()],
        "buffers": [b._version for b in model.buffers()],
    }


def _refuse_difference(objective, first, again, changed):
    """Refuse a loss that is another one at the same weights, naming why; rounding of kernels on a device is let pass."""
    rounding = abs(again - first) <= tolerance(kinds(objective), first)
    if rounding and not changed:
        return
    if "random numbers" in changed:
        cause = "forward draws random numbers (noise, or dropout that is live in evaluation mode)"
        remedy = "make the Problem(..., dropout='fixed'), which draws the same ones each time, or take the noise out"
    elif changed:
        cause = f"the network changes its own {' and '.join(sorted(changed))} when it is called"
        remedy = "switch that off (max_norm of embeddings, power iteration, caches)"
    else:
        cause = "a kernel is not deterministic, or the network keeps a state between calls"
        remedy = "try torch.use_deterministic_algorithms(True), or compute on the CPU"
    raise refuse(
        "loss", (first, again), f"be the same when it is computed twice, but {cause}", remedy
    )


def _in_evaluation(objective, check, found):
    """Run a check of batches against parts of them with the network in evaluation mode, where samples do not mix."""
    modes = [(module, module.training) for module in objective.model.modules()]
    objective.model.eval()
    try:
        check(objective, found)
    finally:
        for module, training in modes:
            module.training = training


def check_samples(objective, batch):
    """Refuse a batch whose rows are no samples that stand for themselves: the nodes of a graph, sequences with time first."""
    count, compared = batches.n_samples(batch), []
    try:
        _in_evaluation(
            objective, lambda o, found: compared.append(_halved(o, found, batch)), objective.facts
        )
        whole, parts, close = compared[0]
    except (RuntimeError, ValueError, IndexError) as error:
        whole, parts, close = "a number", f"'{str(error).splitlines()[0]}'", False
    require(
        count is not None and close,
        "data",
        f"{whole} for a batch and {parts} for its two halves" if count else "other lengths",
        "have samples along the first axis of each tensor that can be taken one by one",
        "this probe needs the loss of single samples: put them first, one graph or one sequence a row",
    )


def _check_halves(objective, found):
    """Compare the loss of batches with that of their halves, weighted; what does not add up has no loss of a data set."""
    if isinstance(objective.loss_of, OwnLoss) or _draws(
        objective, found
    ):  # halves have other noise
        return
    for k in range(min(_CHECKED, len(objective.batches))):
        whole, parts, close = _halved(objective, found, objective.batches[k])
        if not close:
            raise _mismatch(objective, whole, f"{parts:.6g}")


def _draws(objective, found):
    """Whether the network draws random numbers even in evaluation mode."""
    with objective.evaluating(), torch.set_grad_enabled(found.needs_grad):
        before = random_state.states()
        objective.term(0)
        return before != random_state.states()


def _settle(objective, found):
    """Choose the weighting under which batches of the model's own loss are the weighted means of their halves."""
    probes, told = _probes(objective.placed(0)), []
    for weighting in OwnLoss.weightings:
        objective.loss_of.weighting = found.weighting = weighting
        try:
            compared = [_halved(objective, found, probe) for probe in probes]
        except (ValueError, TypeError, AttributeError, IndexError, ZeroDivisionError):
            continue
        if all(close for _, _, close in compared):
            return
        whole, parts = next((whole, parts) for whole, parts, close in compared if not close)
        told.append(f"{parts:.6g} by {weighting}")
    raise _mismatch(objective, whole, ", ".join(told))


def _probes(batch):
    """Return batches that tell the weightings apart: of tokens, two with labels at chosen places of either half."""
    count = batches.n_samples(batch)
    batch = batches.taken(batch, [0, 0]) if count == 1 else batch
    labels, count = labels_of(batch), batches.n_samples(batch)
    if labels is None or count is None or labels.is_floating_point():
        return [batch]
    if labels.ndim < 2 or labels.shape[1] < 3:
        return [batch]
    half = (count + 1) // 2
    # labels count 2 : 2, shifted ones 1 : 2; then both count all but the first against one
    first = _labelled(labels, half, slice(0, 2), slice(1, 3))
    second = _labelled(labels, half, slice(1, None), slice(1, 2))
    return [_with_labels(batch, labels, found) for found in (first, second)]


def _labelled(labels, half, early, late):
    """Return labels that count only at `early` in the first half of the samples and at `late` in the second."""
    found = torch.full_like(labels, IGNORED)
    found[:half, early] = labels[:half, early].clamp(min=0)
    found[half:, late] = labels[half:, late].clamp(min=0)
    return found


def _with_labels(batch, labels, found):
    return batches.mapped(lambda tensor: found if tensor is labels else tensor, batch)


def _halved(objective, found, batch):
    """Return the loss of a batch, that of its two halves together, and whether they agree to the square root of rounding."""
    count = batches.n_samples(batch)
    if count is None or count < 2:
        return 0.0, 0.0, True
    parts = [batch, *batches.split(batch, (count + 1) // 2)]
    with objective.evaluating(), torch.set_grad_enabled(found.needs_grad):
        terms = [objective.term(part) for part in parts]
    values = [float(t.total.detach()) / (float(t.weight) or 1.0) for t in terms]
    weights = [float(t.weight) for t in terms[1:]]
    together = sum(v * w for v, w in zip(values[1:], weights, strict=True) if w) / sum(weights)
    eps = max(torch.finfo(kind).eps for kind in kinds(objective))
    largest = max(abs(v) for v in values)
    return values[0], together, abs(values[0] - together) <= eps**0.5 * max(largest, eps)


def _mismatch(objective, whole, parts):
    return refuse(
        "loss",
        f"{whole:.6g} for a batch, but {parts} for its two halves",
        "be a mean over samples where there are several batches",
        "return (total, weight), or wrap it as landscape_viz.batch_loss(function, reduction='sum'); or take all data in one "
        "batch, with Problem(..., batch_size=None)",
    )
