"""Batches: any nesting of tuples, lists, mappings and dataclasses of tensors, the first axis of each being the samples."""

import dataclasses
from collections.abc import Mapping

import torch

from multifractal.base.checks import require


def mapped(function, batch):
    """Return a new batch of the same structure with `function` applied to each tensor; anything else stays as it is."""
    if isinstance(batch, torch.Tensor):
        return function(batch)
    if isinstance(batch, Mapping):
        return _like_mapping(batch, {key: mapped(function, item) for key, item in batch.items()})
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(mapped(function, item) for item in batch))
    if type(batch) in (tuple, list):
        return type(batch)(mapped(function, item) for item in batch)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        changes = {
            f.name: mapped(function, getattr(batch, f.name))
            for f in dataclasses.fields(batch)
            if f.init
        }
        return dataclasses.replace(batch, **changes)
    return _moved(function, batch)


def leaves(batch):
    """Return the tensors of a batch, in order."""
    found = []
    mapped(lambda tensor: found.append(tensor) or tensor, batch)
    return found


def n_samples(batch):
    """Return the first length that all tensors of a batch share, or None where they share none."""
    lengths = {len(tensor) if tensor.ndim else None for tensor in leaves(batch)}
    return lengths.pop() if len(lengths) == 1 else None


def taken(batch, rows):
    """Return the samples `rows` (a slice or indices) of a batch."""
    return mapped(lambda tensor: tensor[rows], batch)


def split(batch, size):
    """Return a batch cut into batches of at most `size` samples, which are views of it."""
    count = n_samples(batch)
    if size is None or (count is not None and count <= size):
        return [batch]
    require(
        count is not None,
        "data",
        [tuple(tensor.shape) for tensor in leaves(batch)],
        "have tensors of one first length where batch_size is given",
        "leave batch_size out, or pass a list of batches",
    )
    return [taken(batch, slice(first, first + size)) for first in range(0, count, size)]


def joined(batches):
    """Return several batches of one structure as a single one, joined along the samples."""
    if len(batches) == 1:
        return batches[0]
    columns = list(zip(*map(leaves, batches), strict=True))
    shapes = [{tuple(tensor.shape[1:]) for tensor in column} for column in columns]
    require(
        all(len(shape) == 1 for shape in shapes),
        "data",
        shapes,
        "have batches of one shape to be taken as one data set",
        "pad the samples to one length",
    )
    whole = iter([torch.cat(column) for column in columns])
    return mapped(lambda tensor: next(whole), batches[0])


def n_bytes(batch):
    """Return the bytes that the tensors of a batch take."""
    return sum(tensor.nbytes for tensor in leaves(batch))


def _like_mapping(batch, items):
    if type(batch) is dict:
        return items
    try:
        return type(batch)(items)
    except TypeError:
        return items


def _moved(function, batch):
    """Return `batch`, an object that is no container, moved as its own `to` moves it, where it has one (packed sequences)."""
    if isinstance(batch, torch.nn.utils.rnn.PackedSequence):
        return torch.nn.utils.rnn.PackedSequence(function(batch.data), *batch[1:])
    return batch
