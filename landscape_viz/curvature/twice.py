"""Layers whose second derivative torch computes slowly, wrongly or not at all, rewritten: the same function, to rounding.

BatchNorm in evaluation mode is x -> s x + t for each channel; torch differentiates its backward pass piece by piece over
whole activations (a quarter of a Hessian-vector product of ResNet-20, measured). For ReLU it adds up tensors of zeros.
"""

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class CheapSecondDerivatives(TorchFunctionMode):
    """Inside this block a network's ReLU and evaluation-mode BatchNorm are those of this module."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Replace the two functions, pass all others on."""
        return _REPLACED.get(func, func)(*args, **(kwargs or {}))


def _relu(input, inplace=False):
    return functional.relu(input, inplace) if inplace else _Relu.apply(input)


def _batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    if training or running_mean is None:
        return functional.batch_norm(
            input, running_mean, running_var, weight, bias, training, momentum, eps
        )
    scale = (running_var + eps).rsqrt() if weight is None else weight * (running_var + eps).rsqrt()
    shift = -running_mean * scale if bias is None else bias - running_mean * scale
    return _Scale.apply(input, scale, shift)


def _weight_norm(v, g, dim=0):
    """Return g v / |v|, by its formula: the second derivative of torch's fused kernel is wrong (torch 2.14, measured)."""
    others = [axis for axis in range(v.ndim) if dim == -1 or axis != dim]
    return v * (g / v.pow(2).sum(others, keepdim=True).sqrt())


def _embedding_bag(
    input,
    weight,
    offsets=None,
    max_norm=None,
    norm_type=2,
    scale_grad_by_freq=False,
    mode="mean",
    sparse=False,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
):
    special = (max_norm, per_sample_weights, padding_idx)
    if input.ndim == 2 and mode in ("mean", "sum") and all(x is None for x in special):
        return getattr(functional.embedding(input, weight), mode)(dim=1)
    return functional.embedding_bag(
        input,
        weight,
        offsets,
        max_norm,
        norm_type,
        scale_grad_by_freq,
        mode,
        sparse,
        per_sample_weights,
        include_last_offset,
        padding_idx,
    )


_REPLACED = {
    functional.embedding_bag: _embedding_bag,
    torch._weight_norm: _weight_norm,
    functional.relu: _relu,
    torch.relu: _relu,
    torch.Tensor.relu: _relu,
    functional.batch_norm: _batch_norm,
}


class _Relu(torch.autograd.Function):
    """max(x, 0); the backward pass depends on x by its sign only, which has no derivative."""

    @staticmethod
    def forward(ctx, x):
        y = torch.relu(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        return torch.ops.aten.threshold_backward(g, ctx.saved_tensors[0].detach(), 0)


class _Scale(torch.autograd.Function):
    """y = s x + t, s and t a number a channel."""

    @staticmethod
    def forward(ctx, x, s, t):
        ctx.save_for_backward(x, s)
        return _scaled(x, s, t)

    @staticmethod
    def backward(ctx, g):
        return _ScaleBackward.apply(g, *ctx.saved_tensors)


class _ScaleBackward(torch.autograd.Function):
    """(g, x, s) -> (s g, sum g x, sum g), the sums over all but channels; and the pullback of that."""

    @staticmethod
    def forward(ctx, g, x, s):
        ctx.save_for_backward(g, x, s)
        return _pulled_back(g, x, s, (True, True, True))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, u, v, w):
        g, x, s = ctx.saved_tensors
        to_g = _scaled(u, s, w).add_(_scaled(x, v, torch.zeros_like(v)))
        return (
            to_g,
            _scaled(g, v, torch.zeros_like(v)),
            _pulled_back(g, u, s, (False, True, False))[1],
        )


def _scaled(x, s, t):
    zero, one = torch.zeros_like(s), torch.ones_like(s)
    return torch.batch_norm(x, s, t, zero, one, False, 0.0, 0.0, False)


def _pulled_back(g, x, s, wanted):
    zero, one = torch.zeros_like(s), torch.ones_like(s)
    return torch.ops.aten.native_batch_norm_backward(
        g, x, s, zero, one, zero, one, False, 0.0, wanted
    )
