"""Calling a network on a batch, and finding outputs, targets, labels and its own loss in what comes back."""

import dataclasses
import inspect
from collections.abc import Mapping

import torch

from multifractal.base.checks import refuse, require

_TARGETS = ("labels", "label", "targets", "target", "y")
_OWN = "make the Problem with loss=landscape_viz.batch_loss(function), a function of (model, batch)"


def outputs_and_targets(model, batch):
    """Return (the network's outputs, the targets) of a batch: of (inputs, ..., targets), or of a mapping with labels."""
    inputs, targets = inputs_and_targets(batch)
    return called(model, inputs), targets


def called(model, inputs):
    """Return the network's outputs for a tensor, for several as arguments, or for a mapping as keywords.

    A container goes in whole where `forward` takes one argument, or not those keywords.
    """
    inputs = _as_container(inputs)
    if isinstance(inputs, tuple | list) and _takes(model, len(inputs)):
        return model(*inputs)
    if isinstance(inputs, Mapping) and _takes_keywords(model, inputs):
        return model(**inputs)
    return model(inputs)


def labels_of(batch):
    """Return the labels of a batch, those of a mapping or the last of several tensors; None where there are none."""
    batch = _as_container(batch)
    if isinstance(batch, Mapping):
        name = _target_name(batch)
        return None if name is None else batch[name]
    if isinstance(batch, tuple | list) and len(batch) > 1 and isinstance(batch[-1], torch.Tensor):
        return batch[-1]
    return None


def own_loss(returned):
    """Return the loss in what a model returned: itself a scalar, `.loss`, ["loss"], or the first of several."""
    if isinstance(returned, torch.Tensor):
        return returned
    found = getattr(returned, "loss", None)
    if found is None and isinstance(returned, Mapping):
        found = returned.get("loss")
    if found is None and isinstance(returned, tuple | list) and len(returned):
        found = returned[0]
    require(
        isinstance(found, torch.Tensor),
        "loss",
        type(returned).__name__,
        "be returned by the model where loss=None",
        "give the model its labels, or " + _OWN,
    )
    return found


def logits_of(outputs, name):
    """Return outputs as a tensor: themselves, or the logits of a mapping or of an object that has them."""
    if isinstance(outputs, torch.Tensor):
        return outputs
    found = outputs.get("logits") if isinstance(outputs, Mapping) else None
    found = getattr(outputs, "logits", None) if found is None else found
    if not isinstance(found, torch.Tensor):
        raise refuse(
            "loss",
            f"{name} of a {type(outputs).__name__}",
            "be of outputs that are a tensor, or have logits",
            _OWN,
        )
    return found


def inputs_and_targets(batch):
    """Return what a batch gives to the network, and its targets."""
    given, batch = batch, _as_container(batch)
    if isinstance(batch, tuple | list) and len(batch) > 1:
        return (batch[0] if len(batch) == 2 else tuple(batch[:-1])), batch[-1]
    name = _target_name(batch) if isinstance(batch, Mapping) else None
    if name is None:
        raise refuse(
            "data",
            sorted(batch) if isinstance(batch, Mapping) else type(batch).__name__,
            f"be batches (inputs, targets), or mappings with one of {', '.join(_TARGETS)}",
            _OWN,
        )
    inputs = {key: item for key, item in batch.items() if key != name}
    if given is not batch and len(inputs) == 1:  # a dataclass of two fields is a pair
        return next(iter(inputs.values())), batch[name]
    return inputs, batch[name]


def _as_container(batch):
    """Return a dataclass as a mapping of its fields; all else as it is."""
    if dataclasses.is_dataclass(batch) and not isinstance(batch, Mapping | type):
        return {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    return batch


def _target_name(batch):
    return next((name for name in _TARGETS if name in batch), None)


def _signature(model):
    try:
        return inspect.signature(model.forward if hasattr(model, "forward") else model)
    except (TypeError, ValueError):
        return None


def _takes(model, count):
    """Whether `forward` takes that many arguments rather than one container."""
    signature = _signature(model)
    if signature is None:
        return True
    kinds = inspect.Parameter
    named = [
        p
        for p in signature.parameters.values()
        if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    ]
    many = any(p.kind is kinds.VAR_POSITIONAL for p in signature.parameters.values())
    return many or len(named) >= count


def _takes_keywords(model, inputs):
    signature = _signature(model)
    if signature is None:
        return True
    try:
        signature.bind(**inputs)
    except TypeError:
        return False
    return True
