"""A bowl with a field on it: what keeps walkers from leaving, and what makes an ill-conditioned loss rough.

Symbols: f the field, A its amplitude, c_k the bowl's curvature along coordinate k, m its centre.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from multifractal.base.checks import finite_number, real_array, require
from multifractal.base.products import product
from multifractal.base.types import Array, ArrayLike


class ConfinedField:
    """The loss A f(x) + sum over k of c_k (x_k - m_k)^2 / 2, with gradient and Hessian product in closed form.

    Parameters
    ----------
    field : Field
        With `value_and_gradient` at points (..., d) and, for Hessian products, `hessian_product`: a `FractalField` or alike.
    curvature : float or array_like, shape (d,)
        c, at least 0; unequal numbers make a bowl that is ill-conditioned.
    amplitude : float
        A; default 1 (our choice), 0 leaves the bowl alone.
    centre : float or array_like, shape (d,)
        m; default the origin (our choice).

    Attributes
    ----------
    dimension : int
    reach : float

    Raises
    ------
    ValueError
        When `field` is none, a curvature is negative, or an array has another shape than (d,).

    Examples
    --------
    >>> import numpy as np
    >>> from multifractal import ConfinedField, FractalField, descend
    >>> field = FractalField(50, 0.5, rng=0, n_modes=256, tol=0.2)
    >>> walk = descend(ConfinedField(field, 10.0), np.ones(50), learning_rate=0.001, n_steps=5)
    """

    def __init__(
        self,
        field: Any,
        curvature: float | ArrayLike,
        *,
        amplitude: float = 1.0,
        centre: float | ArrayLike = 0.0,
    ) -> None:
        require(
            all(hasattr(field, name) for name in ("dimension", "reach", "value_and_gradient")),
            "field",
            field,
            "have dimension, reach and value_and_gradient",
            "pass a FractalField, or an object of your own with these three",
        )
        self.field, self.dimension, self.reach = field, int(field.dimension), float(field.reach)
        self.amplitude = finite_number("amplitude", amplitude)
        self.curvature = self._spread("curvature", curvature)
        self.centre = self._spread("centre", centre)
        good = (self.curvature >= 0).all()
        require(
            good,
            "curvature",
            curvature,
            "be at least 0",
            "a bowl that opens downwards confines nothing",
        )

    def value(self, x: ArrayLike) -> Any:
        """Return the loss at points `x` of shape (..., d): an array of shape (...), float64."""
        return self.value_and_gradient(x)[0]

    def gradient(self, x: ArrayLike) -> Array:
        """Return the gradient at points `x` of shape (..., d): an array of the same shape, float64."""
        return self.value_and_gradient(x)[1]

    def value_and_gradient(self, x: ArrayLike) -> tuple[Any, Array]:
        """Return the loss (...) and its gradient (..., d) at points `x` of shape (..., d), float64."""
        values, gradients = self.field.value_and_gradient(x)
        away = real_array("x", x, dtype=np.float64) - self.centre
        pull = self.curvature * away
        heights = product((pull * away).reshape(-1, self.dimension), np.ones((self.dimension, 1)))
        bowl = 0.5 * heights.reshape(away.shape[:-1])
        return (self.amplitude * values + bowl)[()], self.amplitude * gradients + pull

    def hessian_product(self, x: ArrayLike, v: ArrayLike) -> Array:
        """Return the Hessian at points `x` times vectors `v`, both of shape (..., d), float64."""
        return self.amplitude * self.field.hessian_product(x, v) + self.curvature * np.asarray(
            v, dtype=np.float64
        )

    def __repr__(self) -> str:
        return f"ConfinedField({self.field!r}, amplitude={self.amplitude})"

    def _spread(self, argument, given):
        numbers = real_array(argument, given, dtype=np.float64)
        good = numbers.shape in ((), (self.dimension,)) and np.isfinite(numbers).all()
        rule = f"be a finite number or {self.dimension} of them"
        require(good, argument, given, rule, "pass one for each coordinate")
        return np.broadcast_to(numbers, (self.dimension,))
