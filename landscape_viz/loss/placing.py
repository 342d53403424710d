"""Batches near a device: kept there within a budget, the others in pinned memory, from which they are sent while it computes."""

import torch

from landscape_viz.loss import batches

SHARE = 0.25  # of the device's free memory that data may take (our choice)


def near(found, device, place):
    """Return batches as near to `device` as its free memory allows; `place` moves one there, in its final form.

    Those that fit are moved now, in their order; the others stay in this machine's memory, pinned where CUDA can fetch them
    without waiting. Data that are streamed stay what they are.
    """
    if not isinstance(found, list):
        return found
    left, placed = _budget(device), []
    for batch in found:
        needed = sum(t.nbytes for t in batches.leaves(batch) if t.device.type != device.type)
        moved = _moved(batch, place) if needed <= left else None
        left = left - needed if moved is not None else 0  # none after the first that did not fit
        placed.append(batches.mapped(_pinned(device), batch) if moved is None else moved)
    return placed


def are_plain(found, device):
    """Whether all batches are tuples of tensors on the device, which can be handed to a network as they are."""
    return isinstance(found, list) and all(
        type(batch) is tuple
        and all(isinstance(part, torch.Tensor) and part.device == device for part in batch)
        for batch in found
    )


def free_bytes(device):
    """Return the free bytes of a device's memory; None where torch does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return None


def sent(tensor, device):
    """Return a tensor on a device; the program does not wait where it comes from pinned memory."""
    if device.type == "cpu":
        return tensor.to(device)
    return tensor.to(device, non_blocking=tensor.is_pinned())


def _budget(device):
    free = free_bytes(device)
    return float("inf") if free is None else SHARE * free


def _moved(batch, place):
    """Return a batch on the device, or None where its memory is full after all."""
    try:
        return place(batch)
    except torch.OutOfMemoryError:
        return None


def _pinned(device):
    return torch.Tensor.pin_memory if device.type == "cuda" else lambda tensor: tensor
