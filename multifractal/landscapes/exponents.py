"""An exponent that varies over a plane of many dimensions: the paper's map, for `FractalField`.

Symbols: u, v coordinates in the plane, H the Hurst exponent; a unit of length is the longer side of the paper's surface.
"""

from __future__ import annotations

import numpy as np

from multifractal.base import elementary
from multifractal.base.checks import finite_number, real_array, require, whole_number
from multifractal.base.products import product
from multifractal.base.rng import as_generator
from multifractal.base.types import Array, ArrayLike, Rng

_TURNS = np.array([2.0, 1.5])  # pi u and pi v of the map


class SubspaceExponent:
    """H = mean + swing sin(2 pi u) cos(3 pi v / 2), u and v the coordinates of x in a plane; the same along all other directions.

    It is the paper's map of 1024 pixels, H(x, y) = 0.5 + 0.2 sin(pi x / 512) cos(3 pi y / 2048), with 1024 pixels as the unit.

    Parameters
    ----------
    dimension : int
        Number of coordinates d, at least 2.
    mean, swing : float
        Exponents lie in mean ± swing, within (0, 0.99]; default 0.5 and 0.2 (paper).
    rng : int, SeedSequence or Generator, optional
        Draws the plane, uniformly; by default it is that of the first two coordinates.

    Attributes
    ----------
    axes : ndarray, shape (2, d), float64
        Orthonormal.
    hurst_range : (float, float)

    Raises
    ------
    ValueError
        When d is below 2, or an exponent leaves (0, 0.99].

    Examples
    --------
    >>> from multifractal import FractalField, SubspaceExponent
    >>> exponent = SubspaceExponent(100, rng=0)
    >>> field = FractalField(100, exponent, rng=1, n_modes=256, tol=0.2)
    """

    def __init__(
        self, dimension: int, *, mean: float = 0.5, swing: float = 0.2, rng: Rng | None = None
    ) -> None:
        d = whole_number("dimension", dimension, 2)
        self.mean, self.swing = finite_number("mean", mean), finite_number("swing", swing)
        low, high = self.mean - abs(self.swing), self.mean + abs(self.swing)
        rule = "keep mean - swing and mean + swing in (0, 0.99]"
        require(0 < low and high <= 0.99, "swing", swing, rule, "pass a smaller swing")
        self.hurst_range = low, high
        self.axes = np.eye(2, d) if rng is None else _plane(d, rng)
        self._provenance = f"SubspaceExponent({dimension}, mean={mean}, swing={swing}, rng={rng})"

    def __call__(self, points: ArrayLike) -> tuple[Array, Array]:
        """Return the exponents (n,) at points (n, d), and their gradients (n, d)."""
        sines, cosines = self._waves(points)
        by_plane = self.swing * np.stack([cosines[0] * cosines[1], -sines[0] * sines[1]], axis=1)
        exponents = self.mean + self.swing * sines[0] * cosines[1]
        return exponents, product(by_plane * (np.pi * _TURNS), self.axes)

    def hessian_product(self, points: ArrayLike, vectors: ArrayLike) -> Array:
        """Return the second derivative of the exponent at points (n, d) times vectors (n, d)."""
        sines, cosines = self._waves(points)
        along = product(_rows(vectors), np.ascontiguousarray(self.axes.T)) * (np.pi * _TURNS)
        twice, cross = sines[0] * cosines[1], cosines[0] * sines[1]
        by_plane = -self.swing * np.stack(
            [twice * along[:, 0] + cross * along[:, 1], cross * along[:, 0] + twice * along[:, 1]],
            axis=1,
        )
        return product(by_plane * (np.pi * _TURNS), self.axes)

    def _waves(self, points):
        """Return the sines and cosines of 2 pi u and 3 pi v / 2, each (2, n)."""
        at = product(_rows(points), np.ascontiguousarray(self.axes.T)) * _TURNS
        return elementary.sinpi(at.T), elementary.cospi(at.T)

    def __repr__(self) -> str:
        return self._provenance


def _rows(points):
    return np.ascontiguousarray(real_array("points", points, ndim=2, dtype=np.float64))


def _plane(d, rng):
    """Return two orthonormal vectors, uniform, (2, d)."""
    first, second = as_generator(rng).standard_normal((2, d))
    first = first / np.sqrt(product(first[None], first[:, None])[0, 0])
    second = second - product(first[None], second[:, None])[0, 0] * first
    return np.stack([first, second / np.sqrt(product(second[None], second[:, None])[0, 0])])
