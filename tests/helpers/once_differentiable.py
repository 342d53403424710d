"""A function of torch that has a first derivative and no second: what refusals of Hessian products are tried on."""

import torch


class Once(torch.autograd.Function):
    """The square, differentiable once."""

    @staticmethod
    def forward(ctx, x):
        """Return the square."""
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, slope):
        """Return the slope."""
        return 2 * ctx.saved_tensors[0] * slope
