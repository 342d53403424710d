"""The published estimator of the Lyapunov exponent: how two walkers part, brought back together every so many steps.

It saturates, because walkers cannot part farther than the landscape is wide; the exact exponents are those of `stability`.
Symbols: d0 and T start distance and period, D mean distance of two uniform points.
"""

from __future__ import annotations

import math

import numpy as np

from multifractal.base.checks import grid_shape
from multifractal.base.elementary import log_of
from multifractal.base.kernels import kernel
from multifractal.base.types import Array
from multifractal.landscapes.landscape import interpolate_gradient
from multifractal.walkers.walls import reflect

# cos and sin of 0.7: along no axis and no diagonal
_COS, _SIN = 0.7648421872844885, 0.644217687237691
_D0, _T, STEPS_RUN = 0.1, 10, 9  # the published code's: it divides by 10 steps after running 9


def two_trajectories_ceiling(shape: tuple[int, int]) -> Array:
    """Return where the published estimator saturates on a landscape of this shape: ln(D/d0)/T, and its hard limit.

    D is the mean distance of two independent uniform points (a separation that has forgotten where it began), and for the
    hard limit the diagonal.
    """
    b, a = (side - 1.0 for side in grid_shape("shape", shape))
    c = math.hypot(a, b)
    mean = (
        a**3 / b**2
        + b**3 / a**2
        + c * (3 - (a / b) ** 2 - (b / a) ** 2)
        + 2.5 * (b**2 / a * math.log((a + c) / b) + a**2 / b * math.log((b + c) / a))
    ) / 15
    return np.log(np.array([mean, c]) / _D0) / _T


@kernel
def _step(gradient, x, y, rate):
    """Return the next position and the signs of its reflections; NaN when out of reach (kernel)."""
    gx, gy = interpolate_gradient(gradient, x, y)
    x, sign_x = reflect(x - gx * rate, gradient.shape[1] - 1.0)
    y, sign_y = reflect(y - gy * rate, gradient.shape[0] - 1.0)
    if x != x or y != y:
        x = y = np.nan
    return x, y, sign_x, sign_y


@kernel
def two_trajectories(gradient, starts, rates, n_steps, burn_in, exponents):
    """Log separation after the last period, per counted step; the second walker restarts d0 away in the same direction."""
    wall_x, wall_y = gradient.shape[1] - 1.0, gradient.shape[0] - 1.0
    for w in range(len(starts)):
        x, y = starts[w, 0], starts[w, 1]
        for _ in range(burn_in):
            if x == x:
                x, y, _sx, _sy = _step(gradient, x, y, rates[w])
        dx, dy, distance, separation = _COS * _D0, _SIN * _D0, _D0, np.nan
        for _ in range((n_steps - burn_in) // STEPS_RUN):
            x2, y2 = (
                reflect(x + dx * _D0 / distance, wall_x)[0],
                reflect(y + dy * _D0 / distance, wall_y)[0],
            )
            for _t in range(STEPS_RUN):
                if x == x and x2 == x2:
                    x, y, _sx, _sy = _step(gradient, x, y, rates[w])
                    x2, y2, _sx, _sy = _step(gradient, x2, y2, rates[w])
            separation = np.sqrt((x2 - x) ** 2 + (y2 - y) ** 2)
            if separation > 0:  # else both have become one: start again in the old direction
                dx, dy, distance = x2 - x, y2 - y, separation
        exponents[w, 0] = log_of(separation / _D0) / _T
        exponents[w, 1] = np.nan
