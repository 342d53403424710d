"""What a walker needs of a loss without a grid: how many parameters, the loss with its gradient, and how far out both hold.

`FractalField` is one; a user's own loss, written in numpy or anything else, is one as soon as it has these three names.
"""

from __future__ import annotations

import numbers
from typing import Any, Protocol, runtime_checkable

import numpy as np

from multifractal.base.checks import refuse, require
from multifractal.landscapes.landscape import Landscape, as_landscape
from multifractal.walkers.optimizers import CURVATURE

_NAMES = ("dimension", "reach", "value_and_gradient")
_SEE = "multifractal.Field describes what a field has"


@runtime_checkable
class Field(Protocol):
    """A loss on R^d that a walker can descend: any object with these three attributes; it need not inherit from this class.

    Attributes
    ----------
    dimension : int
        Number of coordinates d.
    reach : float
        A walker whose largest coordinate is not below this is stopped (`numpy.inf`: only where it is no longer finite).

    Notes
    -----
    An optional method `hessian_product(x, v)` returns the derivative of the gradient at `x` along `v`, shape (d,);
    `method="sgd"` with `noise="curvature"`, `lyapunov_exponents`, `edge_of_stability` and `sharpness_at` need it.
    Ensembles call a field from several threads, one walker at a time;
    with an executor of processes the field is sent to each, so it must be picklable there.

    Examples
    --------
    A bowl in three dimensions; each step of gradient descent shrinks the distance to the minimum by 1 - learning_rate:

    >>> import numpy as np
    >>> from multifractal import descend
    >>> class Bowl:
    ...     dimension, reach = 3, np.inf
    ...
    ...     def value_and_gradient(self, x):
    ...         return x @ x / 2, x
    >>> descend(Bowl(), (4, 2, 0), learning_rate=0.5, n_steps=2).positions[-1].tolist()
    [1.0, 0.5, 0.0]
    """

    dimension: int
    reach: float

    def value_and_gradient(self, x: Any) -> tuple[Any, Any]:
        """Return the loss (a number) and its gradient (shape (d,)) at a point `x` of shape (d,), float64."""


def is_field(thing):
    """Whether `thing` has what a field needs, and is no class of fields."""
    return isinstance(thing, Field) and not isinstance(thing, type)


def as_ground(landscape):
    """Return what can be walked on: a field as it is, anything else as a `Landscape`."""
    if isinstance(landscape, Landscape):
        return landscape
    if is_field(landscape):
        size, reach = landscape.dimension, landscape.reach
        good = isinstance(size, numbers.Integral) and size >= 1
        require(good, "landscape.dimension", size, "be a whole number, at least 1", _SEE)
        good = isinstance(reach, numbers.Real) and reach > 0
        require(good, "landscape.reach", reach, "be a positive number", "numpy.inf is one")
        return landscape
    missing = [name for name in _NAMES if not hasattr(landscape, name)]
    require(
        len(missing) == len(_NAMES) or isinstance(landscape, Landscape),
        "landscape",
        landscape,
        f"have {', '.join(_NAMES)}",
        f"add {', '.join(missing)}: {_SEE}" if missing else "pass an object of this class",
    )
    return as_landscape(landscape)


def check_field(field, start, rule):
    """Refuse a field whose value and gradient at `start` are not what a walker can use, or that lacks what a rule needs."""
    shapes = _shapes_at(field, start)
    right = ((), (int(field.dimension),))
    require(
        shapes == right,
        "landscape.value_and_gradient",
        shapes,
        f"return a number and its gradient, of shapes {right}",
        "return the loss of one point and as many derivatives as it has coordinates",
    )
    if rule.noise == CURVATURE and not hasattr(field, "hessian_product"):
        raise refuse(
            "noise",
            "curvature",
            "be 'isotropic' on a field without the method hessian_product(x, v)",
            "give the field that method, or pass noise='isotropic'",
        )


def _shapes_at(field, start):
    """Return the shapes of value and gradient; of what is no pair of real arrays, its type."""
    given = field.value_and_gradient(start.copy())
    if not isinstance(given, tuple | list) or len(given) != 2:
        return type(given).__name__
    try:
        return tuple(np.asarray(part, dtype=np.float64).shape for part in given)
    except (TypeError, ValueError):
        return tuple(type(part).__name__ for part in given)
