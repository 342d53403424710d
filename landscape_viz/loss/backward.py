"""Backward: what autograd finds for each parameter is written into one vector as it comes, never all in memory twice."""

import numpy as np
import torch


def empty_vector(size, dtype, device):
    """Return a vector of any numbers; on the CPU in numpy's memory, whose large pages cost a third of torch's to touch."""
    if torch.device(device).type != "cpu":
        return torch.empty(size, dtype=dtype, device=device)
    return torch.from_numpy(np.empty(size, str(dtype).removeprefix("torch.")))


def backward_into(total, parameters, roots, directions=None, *, add=False, **options):
    """Write the derivatives of `roots` (along `directions`) in the parameters into the vector `total`, or add them to it.

    `parameters` is a list of leaves without a `.grad`, whose parts follow each other in `total`; those that the roots do not
    depend on give zeros. `options` are those of `torch.autograd.backward`; without `inputs` other leaves get a `.grad`, and what
    is checkpointed by nested backward passes is differentiated too.
    """
    parts = torch.split(total, [parameter.numel() for parameter in parameters])
    left = dict(enumerate(parts))
    hooks = [
        parameter.register_post_accumulate_grad_hook(_taker(left, k, part, add))
        for k, (parameter, part) in enumerate(zip(parameters, parts, strict=True))
    ]
    try:
        torch.autograd.backward(roots, directions, **options)
    finally:
        for parameter, hook in zip(parameters, hooks, strict=True):
            hook.remove()
            parameter.grad = None
    if not add:
        for part in left.values():
            part.zero_()


def _taker(left, k, part, add):
    """Return a hook that takes the gradient of parameter `k` into its part, and notes it."""

    def take(parameter):
        gradient = parameter.grad.reshape(-1)
        if (
            left.pop(k, None) is None or add
        ):  # a second part comes where a backward pass runs inside this one
            part.add_(gradient)
        else:
            part.copy_(gradient)
        parameter.grad = None

    return take
