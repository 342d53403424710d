"""Potentials for the fractional Langevin equation: a harmonic well, a tilted washboard, and the paper's combination.

A potential is a small frozen object with `value(x)` and `gradient(x)`; kernels see its kind and its numbers, so that new
numbers never need a new compilation. A gradient of your own enters as a function that `numba.njit` has compiled.
"""

from __future__ import annotations

import functools
from dataclasses import astuple, dataclass
from typing import ClassVar

import numpy as np
from numba import cfunc

from multifractal.base.checks import require
from multifractal.base.elementary import sinpi_of
from multifractal.base.kernels import kernel
from multifractal.base.types import Array, ArrayLike

_OWN, _HARMONIC, _WASHBOARD, _PAPER = range(4)


@dataclass(frozen=True)
class Potential:
    """Base of the named potentials: V(x) and its derivative, for arrays."""

    _kind: ClassVar[int]

    def gradient(self, x: ArrayLike) -> Array:
        """Return dV/dx at `x`, of the shape of `x`, float64."""
        x = np.asarray(x, dtype=np.float64)
        out = np.empty(x.size)
        _gradients(self._kind, np.array(astuple(self)), x.reshape(-1), out)
        return out.reshape(x.shape)[()]


@dataclass(frozen=True)
class HarmonicPotential(Potential):
    """V = stiffness x^2 / 2; the default is the well of the paper's combined potential."""

    stiffness: float = 5e-4

    _kind = _HARMONIC

    def value(self, x: ArrayLike) -> Array:
        """Return V at `x`."""
        return 0.5 * self.stiffness * np.square(x)


@dataclass(frozen=True)
class TiltedWashboard(Potential):
    """V = -amplitude cos(2 pi x / period) - bias x: wells of one size on a slope down to the right (defaults: paper)."""

    amplitude: float = 0.1
    period: float = 100.0
    bias: float = 0.01

    _kind = _WASHBOARD

    def value(self, x: ArrayLike) -> Array:
        """Return V at `x`."""
        return -self.amplitude * np.cos(
            2 * np.pi * np.asarray(x) / self.period
        ) - self.bias * np.asarray(x)


@dataclass(frozen=True)
class PaperPotential(Potential):
    """A harmonic well within `radius` of 0, a washboard tilted towards it on the left, minus its gradient on the right.

    dV/dx = stiffness x for abs(x) < radius, w(x) for x <= -radius and -w(x) for x >= radius, w the washboard's gradient.
    V as returned is continuous, but dV/dx jumps at the radius and V is not even (it would be with -w(-x) on the right). All
    defaults are the paper's.
    """

    stiffness: float = 5e-4
    radius: float = 200.0
    amplitude: float = 0.1
    period: float = 100.0
    bias: float = 0.01

    _kind = _PAPER

    def value(self, x: ArrayLike) -> Array:
        """Return V at `x`, continuous, with V(0) = 0."""
        x = np.asarray(x, dtype=np.float64)
        washboard = TiltedWashboard(self.amplitude, self.period, self.bias).value
        rim = 0.5 * self.stiffness * self.radius**2
        outside = rim + np.where(
            x < 0, washboard(x) - washboard(-self.radius), washboard(self.radius) - washboard(x)
        )
        return np.where(np.abs(x) < self.radius, 0.5 * self.stiffness * x**2, outside)[()]


def gradient_of(gradient):
    """Return (compiled function, kind, numbers) for a kernel, from a named potential or a jitted function of one float."""
    if isinstance(gradient, Potential):
        return _not_called, gradient._kind, np.array(astuple(gradient))
    require(
        hasattr(gradient, "py_func"),
        "gradient",
        gradient,
        "be a named potential or a function compiled by numba.njit",
        "decorate it with @numba.njit",
    )
    return _compiled(gradient), _OWN, np.zeros(0)


@cfunc("float64(float64)", cache=True)
def _not_called(x):
    return x


@functools.lru_cache(maxsize=64)
def _compiled(function):
    """Compile a jitted function to one C signature, so that the kernel that calls it is compiled once for all functions."""
    return cfunc("float64(float64)")(function.py_func)


@kernel
def named_gradient(kind, numbers, x):
    """Return dV/dx of a named potential at one position (kernel)."""
    if kind == _HARMONIC:
        return numbers[0] * x
    if kind == _WASHBOARD:
        return _washboard(numbers[0], numbers[1], numbers[2], x)
    if abs(x) < numbers[1]:
        return numbers[0] * x
    slope = _washboard(numbers[2], numbers[3], numbers[4], x)
    return slope if x < 0 else -slope


@kernel
def _washboard(amplitude, period, bias, x):
    return 2 * np.pi * amplitude / period * sinpi_of(2.0 * x / period) - bias


@kernel
def _gradients(kind, numbers, x, out):
    for k in range(len(x)):
        out[k] = named_gradient(kind, numbers, x[k])
