"""How values along straight lines grow with distance, all lines of one place together, and whether any is rough.

Mean squares are pooled before their exponents are taken, so that the roughest line counts most. Smooth lines have exponent 2
of second differences, kinks 1.5, rough ones less than 1.
"""

from __future__ import annotations

import numpy as np

from multifractal.base.statistics import jackknife_interval
from multifractal.base.types import Array

# Our choice, between kinks (1.5) and the roughest differentiable line (1). From 8 lines of 257 points of a rough loss of
# exponent near 1 each exponent has a standard error of .03, .05 and .1 at 1, 2 and 4 steps (`verdict.UNIT_ERROR`).
CLEARLY_SMOOTH = 1.25
_STEPS = np.array([1, 2, 4, 8])
_ROUNDINGS = 64  # epsilons of the largest value, that a second difference must exceed


def mean_squares(lines: Array, lags: Array) -> tuple[Array, Array]:
    """Return the mean squares of first and of second differences of each line, each of shape (n_lags, n_lines)."""
    first = [np.mean((lines[:, r:] - lines[:, :-r]) ** 2, axis=1) for r in lags]
    bends = [lines[:, 2 * r :] - 2 * lines[:, r:-r] + lines[:, : -2 * r] for r in lags]
    return np.array(first), np.array([np.mean(bend**2, axis=1) for bend in bends])


def exponents(second: Array) -> Array:
    """Return half the log2 of the ratio of pooled mean squares at neighbouring lags, shape (n_lags - 1,)."""
    pooled = second.mean(axis=1)
    return np.log2(pooled[1:] / pooled[:-1]) / 2


def exponents_interval(second: Array) -> Array:
    """Return the 95 % interval of `exponents`, leaving out one line at a time, shape (2, n_lags - 1)."""
    left_out = [exponents(np.delete(second, k, axis=1)) for k in range(second.shape[1])]
    return jackknife_interval(exponents(second), np.array(left_out))


def clearly_smooth(lines: Array, eps: float) -> bool:
    """Return whether pooled second differences grow as distance^1.25 or faster from 1 to 8 steps, and exceed rounding.

    Parameters
    ----------
    lines : ndarray, shape (n_lines, n_points), float64
        Equally spaced values.
    eps : float
        Relative size of their rounding.
    """
    second = mean_squares(lines, _STEPS)[1]
    if second.mean(axis=1).min() <= (_ROUNDINGS * eps * np.abs(lines).max()) ** 2:
        return False
    return bool((exponents(second) >= CLEARLY_SMOOTH).all())
