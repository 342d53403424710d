"""Walls of a grid: they reflect, or they are periodic and the landscape goes on at the other side as a torus."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from multifractal.base.checks import one_of, require
from multifractal.base.kernels import kernel
from multifractal.base.types import Array
from multifractal.landscapes.landscape import Landscape

WALLS = ("reflecting", "periodic")
# a step beyond this many widths of the landscape stops the walker (our choice): folding it back is pointless
REACH = 1e6


class Torus(Landscape):
    """A landscape of shape (R, C) whose column C is its column 0 and whose row R is its row 0; derivatives go across the seam."""

    def __init__(self, landscape: Landscape) -> None:
        super().__init__(_around(landscape.values, 0, 1), provenance=landscape.provenance)
        self.landscape = landscape

    @cached_property
    def gradient(self) -> Array:
        """Central differences at every point, shape (R + 1, C + 1, 2)."""
        return _kept(self._wider(1).gradient[1:-1, 1:-1])

    @cached_property
    def hessian_eigenvalues(self) -> Array:
        """Eigenvalues of central differences applied twice, shape (2, R + 1, C + 1), ascending."""
        return _kept(self._wider(2).hessian_eigenvalues[:, 2:-2, 2:-2])

    def _wider(self, width):
        return Landscape(
            _around(self.landscape.values, width, width + 1), provenance=self.provenance
        )

    def __reduce__(self) -> Any:
        """Pickle without the derivatives."""
        return Torus, (self.landscape,)


def enclosed(ground: Any, walls: str) -> Any:
    """Return what walkers walk on with these walls: a `Torus` of a landscape where they are periodic; a field has none."""
    one_of("walls", walls, WALLS)
    if walls == "reflecting":
        return ground
    require(
        isinstance(ground, Landscape),
        "walls",
        walls,
        "be left out on a field, which has none",
        "make the field itself periodic",
    )
    return Torus(ground)


def _kept(array):
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array


def _around(values, before, after):
    return np.pad(values, (before, after), mode="wrap")


@kernel
def fold(v: float, wall: float, periodic: bool) -> tuple[float, float]:
    """Return (v brought back into [0, wall], the sign by which motion along it now runs); NaN when out of reach (kernel)."""
    sign = 1.0
    if not abs(v) <= REACH * wall:
        return np.nan, sign
    if periodic:
        v -= wall * np.floor(v / wall)
        return min(max(v, 0.0), wall), sign
    while v < 0 or v > wall:
        v = -v if v < 0 else wall - (v - wall)
        sign = -sign
    return v, sign


@kernel
def reflect(v: float, wall: float) -> tuple[float, float]:
    """Return `fold` at walls that reflect (kernel)."""
    return fold(v, wall, False)
