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
from multifractal.base.rng import as_generator
from multifractal.base.types import Array, ArrayLike, Rng
from multifractal.landscapes.landscape import Landscape, interpolate_gradient
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
    for w in range(len(starts)):
        exponents[w, 0], _x, _y = _last_period(
            gradient, starts[w, 0], starts[w, 1], rates[w], n_steps, burn_in
        )
        exponents[w, 1] = np.nan


@kernel
def _last_period(gradient, x, y, rate, n_steps, burn_in):
    """Return the exponent of one walk and where it ends."""
    wall_x, wall_y = gradient.shape[1] - 1.0, gradient.shape[0] - 1.0
    for _ in range(burn_in):
        if x == x:
            x, y, _sx, _sy = _step(gradient, x, y, rate)
    dx, dy, distance, separation = _COS * _D0, _SIN * _D0, _D0, np.nan
    for _ in range((n_steps - burn_in) // STEPS_RUN):
        x2, y2 = (
            reflect(x + dx * _D0 / distance, wall_x)[0],
            reflect(y + dy * _D0 / distance, wall_y)[0],
        )
        for _t in range(STEPS_RUN):
            if x == x and x2 == x2:
                x, y, _sx, _sy = _step(gradient, x, y, rate)
                x2, y2, _sx, _sy = _step(gradient, x2, y2, rate)
        separation = np.sqrt((x2 - x) ** 2 + (y2 - y) ** 2)
        if separation > 0:  # else both have become one: start again in the old direction
            dx, dy, distance = x2 - x, y2 - y, separation
    return log_of(separation / _D0) / _T, x, y


def carried_on(
    landscape: Landscape,
    start: ArrayLike,
    *,
    learning_rates: ArrayLike,
    n_trials: int,
    n_steps: int,
    burn_in: int,
    rng: Rng,
) -> Array:
    """Return the published estimate for trials of which each goes on from where the one before ended, (n_rates, n_trials).

    That is how the published notebook has it (cell 20): a trial begins a standard normal step from the end of the former, rate
    after rate, so that trials are no independent draws, and each rate begins where lower ones have led. Into the grid the step
    is reflected; a walk that is stopped ends all that follow (NaN).

    Parameters
    ----------
    landscape : Landscape
    start : array_like, shape (2,)
        Of the first trial, less its step; paper: the global maximum.
    learning_rates : array_like, shape (n_rates,)
        In this order; paper: `logspace(0, 4, 40)`.
    n_trials : int
        Of each rate; paper: 100.
    n_steps, burn_in : int
        Of each trial, as for `lyapunov_exponents`; paper: 5900 with 5000 before the periods.
    rng : int, SeedSequence or Generator
    """
    rates = np.asarray(learning_rates, dtype=np.float64)
    exponents = np.empty((len(rates), n_trials))
    steps = as_generator(rng).standard_normal((*exponents.shape, 2))
    first = np.asarray(start, dtype=np.float64)
    _carry_on(landscape.gradient, first, steps, rates, n_steps, burn_in, exponents)
    return exponents


@kernel
def _carry_on(gradient, start, steps, rates, n_steps, burn_in, exponents):
    wall_x, wall_y = gradient.shape[1] - 1.0, gradient.shape[0] - 1.0
    x, y = start[0], start[1]
    for i in range(len(rates)):
        for j in range(steps.shape[1]):
            x, y = reflect(x + steps[i, j, 0], wall_x)[0], reflect(y + steps[i, j, 1], wall_y)[0]
            exponents[i, j], x, y = _last_period(gradient, x, y, rates[i], n_steps, burn_in)
