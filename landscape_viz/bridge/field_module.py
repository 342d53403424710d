"""A field as a network without data: its one parameter is the position, and what it returns is the loss there.

The gradient is the field's own, exact; differentiated once more it gives the field's Hessian product. So `torch.optim` walks on
a field as on a network, and `HessianOperator`, `section` and `sharpness` measure it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from multifractal.base.checks import finite_array, require
from multifractal.base.types import ArrayLike
from multifractal.walkers.field import is_field


class FieldModule(nn.Module):
    """A `multifractal.Field` at one position or several, as a module: `module()` is the loss, a tensor of float64.

    Parameters
    ----------
    field : Field
        `FractalField`, `ConfinedField` or one of your own. What has only `value_and_gradient` can be differentiated once;
        twice needs `hessian_product`.
    start : array_like, shape (d,) or (..., d)
        First value of the parameter `position`. Several positions are independent walkers; the field must then take points
        of shape (n, d), as `FractalField` does.

    Raises
    ------
    ValueError
        When `field` is no field, or the start does not end with d finite coordinates.

    Examples
    --------
    >>> import torch
    >>> from landscape_viz import FieldModule
    >>> from multifractal import FractalField
    >>> module = FieldModule(FractalField(10, 0.5, rng=0, n_modes=64, tol=0.2), [0.1] * 10)
    >>> optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    >>> first = module()
    >>> for _ in range(20):
    ...     optimizer.zero_grad()
    ...     module().sum().backward()
    ...     optimizer.step()
    >>> bool(module() < first)
    True
    """

    def __init__(self, field: Any, start: ArrayLike) -> None:
        super().__init__()
        good = is_field(field)
        remedy = "multifractal.Field describes what it has; a Landscape is walked on by descend"
        require(good, "field", type(field).__name__, "be a field", remedy)
        start = finite_array("start", start, dtype=np.float64)
        good = start.ndim >= 1 and start.shape[-1] == field.dimension
        rule = f"have shape (..., {field.dimension})"
        require(good, "start", start.shape, rule, "stack the coordinates last")
        self.field = field
        self.position = nn.Parameter(torch.tensor(start))

    def forward(self, *_: Any) -> torch.Tensor:
        """Return the loss at each position, shape (...), float64; a batch that is given is ignored."""
        return _Value.apply(self.position, self.field)


class _Value(torch.autograd.Function):
    """The field's value; its derivative is a function that can be differentiated in turn."""

    @staticmethod
    def forward(ctx, position, field):
        ctx.save_for_backward(position)
        ctx.field = field
        value, _ = field.value_and_gradient(_points(position))
        return _tensor(value, position)

    @staticmethod
    def backward(ctx, weight):
        (position,) = ctx.saved_tensors
        return weight[..., None] * _Gradient.apply(position, ctx.field), None


class _Gradient(torch.autograd.Function):
    """The field's gradient; its derivative along a vector is the Hessian's product, the Hessian being symmetric."""

    @staticmethod
    def forward(ctx, position, field):
        ctx.save_for_backward(position)
        ctx.field = field
        return _tensor(field.value_and_gradient(_points(position))[1], position)

    @staticmethod
    def backward(ctx, vector):
        (position,) = ctx.saved_tensors
        return _Product.apply(position, vector, ctx.field), None


class _Product(torch.autograd.Function):
    """The Hessian's product: linear in the vector; its derivative by the position is refused, for torch would take it as 0."""

    @staticmethod
    def forward(ctx, position, vector, field):
        ctx.save_for_backward(position)
        ctx.field = field
        return _tensor(field.hessian_product(_points(position), _points(vector)), position)

    @staticmethod
    def backward(ctx, weight):
        if ctx.needs_input_grad[0]:
            raise RuntimeError(
                "a FieldModule has derivatives up to the second; difference its Hessian products"
            )
        (position,) = ctx.saved_tensors
        return None, _Product.apply(position, weight, ctx.field), None


def _points(tensor):
    """Return a copy as an array: what a user's function does with its argument must not move the walker."""
    return tensor.detach().cpu().double().numpy().copy()


def _tensor(numbers, like):
    return torch.as_tensor(np.asarray(numbers), dtype=like.dtype, device=like.device)
