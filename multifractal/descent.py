"""Gradient descent on a grid landscape: one walker or ensembles, with walls that reflect and tracks that unfold.

One step is v <- reflect(v - g lr) on each axis, g the bilinearly interpolated gradient (Ly & Gong 2025, Methods). The
unfolded track is the walk on the landscape mirrored at its walls: folding it back gives the position.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from multifractal._checks import finite_array, one_of, positive_number, refuse, require, whole_number
from multifractal._parallel import map_chunks
from multifractal._result import Provenance, Result
from multifractal._rng import as_generator
from multifractal.landscape import _values_at, interpolate_gradient

WALKERS_PER_CHUNK = 64  # in lockstep: enough to hide the latency of memory, few enough that their state stays in cache
REACH = 1e6  # a step beyond this many widths of the landscape stops the walker (our choice): folding it back is pointless


@dataclass(frozen=True, repr=False, eq=False)
class Walk(Result):
    """One walk: positions and losses after 0, 1, ..., n_steps steps; NaN after the step that stopped it, if any."""

    positions: np.ndarray
    """(n_steps + 1, 2) float64, (x, y) within the walls."""
    unfolded: np.ndarray
    """(n_steps + 1, 2) float64, the continuous track: exact, or as published."""
    losses: np.ndarray
    """(n_steps + 1,) float64, the interpolated loss at each position."""
    steps_taken: int
    """n_steps, or how many steps were good before the one that was not finite or left the walls' reach."""
    learning_rate: float
    unfold: str
    provenance: Provenance

    @property
    def completed(self):
        """Whether the walk was never stopped."""
        return self.steps_taken == len(self.positions) - 1


@dataclass(frozen=True, repr=False, eq=False)
class Ensemble(Result):
    """Walks from each start at each learning rate, at the steps that were kept; NaN once a walker was stopped."""

    positions: np.ndarray
    """(n_rates, n_starts, kept, 2) float64, (x, y) within the walls."""
    unfolded: np.ndarray
    """(n_rates, n_starts, kept, 2) float64, the continuous tracks."""
    losses: np.ndarray
    """(n_rates, n_starts, kept) float64."""
    steps: np.ndarray
    """(kept,) int64, how many steps had been taken at each kept position."""
    steps_taken: np.ndarray
    """(n_rates, n_starts) int64, n_steps, or how many steps were good before the walker was stopped."""
    learning_rates: np.ndarray
    """(n_rates,) float64."""
    n_steps: int
    unfold: str
    provenance: Provenance

    @property
    def completed(self):
        """Whether each walker was never stopped, shape (n_rates, n_starts)."""
        return self.steps_taken == self.n_steps


def descend(landscape, start, *, learning_rate, n_steps, unfold="exact"):
    """Walk downhill from `start`.

    Parameters
    ----------
    landscape : Landscape
    start : array_like, shape (2,)
        Position (x, y) in grid units, within the walls.
    learning_rate : float
        In grid units squared per unit of loss.
    n_steps : int
        The published '10 000 steps' are 10 000 positions, `n_steps=9999`.
    unfold : {"exact", "published"}
        "exact" mirrors the landscape at its walls; "published" is the published code's track, which ignores reflections
        (see `docs` and the tests: its displacements are off by factors of .3 to 8 at large learning rates).

    Returns
    -------
    Walk

    Raises
    ------
    ValueError
        When the start lies outside the grid, or the learning rate or the number of steps is not positive.
    """
    start = np.asarray(start, dtype=np.float64)
    require(start.shape == (2,), "start", start.shape, "have shape (2,)", "pass one position, or use descend_ensemble")
    rate = positive_number("learning_rate", learning_rate)
    many = descend_ensemble(landscape, start[None], learning_rates=[rate], n_steps=n_steps, unfold=unfold)
    made_by = Provenance.of("descend", landscape=landscape, start=start, learning_rate=rate, n_steps=n_steps, unfold=unfold)
    return Walk(many.positions[0, 0], many.unfolded[0, 0], many.losses[0, 0], int(many.steps_taken[0, 0]), rate, unfold,
                made_by)


def descend_ensemble(landscape, starts, *, learning_rates, n_steps, unfold="exact", keep_last=None, keep_every=1):
    """Walk downhill from each start at each learning rate; each walk is the same to the bit as `descend` gives it alone.

    Parameters
    ----------
    landscape : Landscape
    starts : array_like, shape (n_starts, 2)
        Positions (x, y) in grid units, within the walls.
    learning_rates : array_like, shape (n_rates,)
    n_steps : int
    unfold : {"exact", "published"}
        As for `descend`.
    keep_last : int, optional
        Keep the last so many of the n_steps + 1 positions (default: all). Memory is 40 bytes a kept position and walker.
    keep_every : int
        Of these, keep every so many-th, counted from the first.

    Returns
    -------
    Ensemble

    Raises
    ------
    ValueError
        When a start lies outside the grid, or a rate or a count is not positive.
    """
    starts = checked_starts(landscape, starts)
    rates = checked_rates(learning_rates)
    n_steps = whole_number("n_steps", n_steps)
    one_of("unfold", unfold, ("exact", "published"))
    keep_last = whole_number("keep_last", n_steps + 1 if keep_last is None else keep_last)
    keep_every = whole_number("keep_every", keep_every)
    require(keep_last <= n_steps + 1, "keep_last", keep_last, f"be at most n_steps + 1 = {n_steps + 1}", "keep fewer")
    steps = np.arange(n_steps + 1 - keep_last, n_steps + 1, keep_every)

    n_walkers = len(rates) * len(starts)
    positions, unfolded = np.empty((2, n_walkers, len(steps), 2))
    losses, taken = np.empty((n_walkers, len(steps))), np.empty(n_walkers, np.int64)
    which_rate, which_start = np.divmod(np.arange(n_walkers), len(starts))
    chunks = [slice(first, first + WALKERS_PER_CHUNK) for first in range(0, n_walkers, WALKERS_PER_CHUNK)]
    map_chunks(_walk_chunk, [(landscape.values, landscape.gradient, starts[which_start[c]], rates[which_rate[c]], n_steps,
                              steps[0], keep_every, unfold == "exact", positions[c], unfolded[c], losses[c], taken[c])
                             for c in chunks])
    shape = (len(rates), len(starts))
    made_by = Provenance.of("descend_ensemble", landscape=landscape, starts=starts, learning_rates=rates, n_steps=n_steps,
                            unfold=unfold, keep_last=keep_last, keep_every=keep_every)
    return Ensemble(positions.reshape(*shape, -1, 2), unfolded.reshape(*shape, -1, 2), losses.reshape(*shape, -1), steps,
                    taken.reshape(shape), rates, n_steps, unfold, made_by)


def start_near_maximum(landscape, rng):
    """Return the global maximum's position plus a standard normal step, reflected into the grid, shape (2,), float64.

    Parameters
    ----------
    landscape : Landscape
    rng : int, SeedSequence or Generator
        Of equal maxima the first in row order is taken.
    """
    row, column = np.unravel_index(np.argmax(landscape.values), landscape.shape)
    step = as_generator(rng).standard_normal(2)
    return np.array([reflect(column + step[0], landscape.shape[1] - 1.0)[0],
                     reflect(row + step[1], landscape.shape[0] - 1.0)[0]])


def checked_starts(landscape, starts):
    """Return `starts` as (n, 2) float64 within the walls of `landscape`."""
    starts = finite_array("starts", starts, ndim=2, dtype=np.float64)
    require(starts.shape[1] == 2 and len(starts), "starts", starts.shape, "have shape (n_starts, 2)", "stack (x, y) rows")
    walls = np.array(landscape.shape[::-1]) - 1
    outside = ((starts < 0) | (starts > walls)).any(axis=1)
    if outside.any():
        raise refuse("starts", starts[outside][0], f"lie within 0 <= x <= {walls[0]} and 0 <= y <= {walls[1]}",
                     "move the start into the grid")
    return np.ascontiguousarray(starts)


def checked_rates(learning_rates):
    """Return `learning_rates` as (n,) float64, all positive and finite."""
    rates = finite_array("learning_rates", np.atleast_1d(learning_rates), ndim=1, dtype=np.float64)
    require(len(rates) and (rates > 0).all(), "learning_rates", rates, "be positive", "drop the others")
    return rates


def _walk_chunk(values, gradient, starts, rates, n_steps, first, every, exact, positions, unfolded, losses, taken):
    _walk(gradient, starts, rates, n_steps, first, every, exact, positions, unfolded, taken)
    _values_at(values, positions.reshape(-1, 2), losses.reshape(-1))


@njit(nogil=True, cache=True)
def reflect(v, wall):
    """Return (v folded into [0, wall], the sign by which motion along it now runs); NaN when out of reach (kernel)."""
    sign = 1.0
    if not abs(v) <= REACH * wall:
        return np.nan, sign
    while v < 0 or v > wall:
        v = -v if v < 0 else wall - (v - wall)
        sign = -sign
    return v, sign


@njit(nogil=True, cache=True)
def _walk(gradient, starts, rates, n_steps, first, every, exact, positions, unfolded, taken):
    """Advance all walkers in lockstep: their steps do not depend on each other, so their memory latencies overlap."""
    wall_x, wall_y = gradient.shape[1] - 1.0, gradient.shape[0] - 1.0
    n_walkers = len(starts)
    position, track, sign = starts.copy(), starts.copy(), np.ones((n_walkers, 2))
    taken[:] = n_steps
    for t in range(n_steps + 1):
        if t >= first and (t - first) % every == 0:
            positions[:, (t - first) // every] = position
            unfolded[:, (t - first) // every] = track
        if t == n_steps:
            break
        for w in range(n_walkers):
            x, y = position[w]
            if x != x:  # stopped before
                continue
            gx, gy = interpolate_gradient(gradient, x, y)
            dx, dy = gx * rates[w], gy * rates[w]
            track[w, 0] -= sign[w, 0] * dx
            track[w, 1] -= sign[w, 1] * dy
            x -= dx
            y -= dy
            if not (0 <= x <= wall_x and 0 <= y <= wall_y):
                x, sign_x = reflect(x, wall_x)
                y, sign_y = reflect(y, wall_y)
                if exact:
                    sign[w, 0] *= sign_x
                    sign[w, 1] *= sign_y
                if x != x or y != y:
                    x = y = track[w, 0] = track[w, 1] = np.nan
                    taken[w] = t
            position[w, 0], position[w, 1] = x, y
