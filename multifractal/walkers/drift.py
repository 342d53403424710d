"""Drift to flat regions: where descent spends its time, how soon it arrives, and what controls without descent do.

The paper's central claim is that gradient descent, without noise, drifts to flat regions. Each control keeps one property of
the same walks: the lengths of their steps in their order, their increments in a random order, or how long a step is at each
place. The last one tells what comes from steps being short where it is flat from what comes from descending.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.ndimage import uniform_filter

from multifractal.base.checks import one_of, positive_number, require, whole_number
from multifractal.base.chunks import map_chunks
from multifractal.base.deprecation import FormerName, renamed
from multifractal.base.elementary import cospi, sinpi
from multifractal.base.kernels import kernel
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import realisation
from multifractal.base.statistics import Estimate, mean_interval
from multifractal.base.types import Array, ArrayLike, Rng
from multifractal.landscapes.landscape import LandscapeLike, as_landscape, interpolate_gradient
from multifractal.walkers.descent import descend_ensemble, start_near_maximum
from multifractal.walkers.walls import reflect

KINDS = (
    "descent",
    "same steps, random directions",
    "shuffled increments",
    "local steps, random directions",
)
FIELDS = ("flatness", "regional flatness", "low loss")
N_DECILES = 10
NEVER = -1


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Drift(Result, renamed={"window": "smoothing"}):
    """Walks and their controls on several landscapes.

    Attributes
    ----------
    kinds : tuple of str
        "descent" and its three controls, see `drift_to_flat`; always `KINDS`.
    fields : tuple of str
        "flatness", pointwise; "regional flatness", of the squared curvature averaged over a window; "low loss".
    shares : ndarray, shape (n_kinds, n_fields, n_surfaces, 10), float64
        Share of all positions in each tenth of the grid by each field, lowest first: .1 each without preference.
    arrivals : ndarray, shape (n_kinds, n_surfaces, n_walkers), int64
        Steps until a walker is first in the regionally flattest tenth of the grid; -1 if it never is.
    n_steps : int
    learning_rate : float
    start : str
        "maximum" or "uniform".
    smoothing : int
        Side of the square that regional flatness is averaged over, pixels.
    provenance : Provenance
    """

    kinds = KINDS
    fields = FIELDS
    shares: np.ndarray
    arrivals: np.ndarray
    n_steps: int
    learning_rate: float
    start: str
    smoothing: int
    provenance: Provenance

    window = FormerName("smoothing")

    def mean_shares(self, kind: str, field: str) -> Estimate:
        """Return the Estimate of the share in each tenth over surfaces, shape (10,): each surface is the mean of its walkers."""
        shares = self.shares[self.kinds.index(kind), self.fields.index(field)]
        return mean_interval(shares, axis=0, of="surfaces")

    def arrived(self, kind: str, steps: ArrayLike) -> Array:
        """Return the share of all walkers of `kind` that have arrived within `steps` (an array), shape of `steps`."""
        arrivals = self.arrivals[self.kinds.index(kind)].ravel()
        arrivals = np.sort(arrivals[arrivals != NEVER])
        return np.searchsorted(arrivals, np.asarray(steps), side="right") / self.arrivals[0].size


@renamed(window="smoothing")
def drift_to_flat(
    landscapes: Iterable[LandscapeLike],
    *,
    learning_rate: float = 1000.0,
    n_steps: int = 9999,
    n_walkers: int = 20,
    start: Literal["maximum", "uniform"] = "maximum",
    smoothing: int = 64,
    rng: Rng,
) -> Drift:
    """Measure how descent prefers flat ground, on several landscapes, against three controls.

    The controls start where the walkers do and have the same walls:

    - "same steps, random directions": ordinary diffusion with the walk's own step lengths, in their order;
    - "shuffled increments": the walk's own steps, unfolded, in a random order;
    - "local steps, random directions": at each place a step as long as descent's would be, learning rate times gradient,
      in a random direction.

    Parameters
    ----------
    landscapes : iterable of Landscape or array_like of shape (rows, cols)
        At least one, taken one at a time; a generator is fine.
    learning_rate : float
        Default: paper.
    n_steps : int
        Default: paper (10 000 positions).
    n_walkers : int
        Walkers on each landscape. Default: our choice.
    start : {"maximum", "uniform"}
        `start_near_maximum` (paper), or uniform on the grid, where no preference is built in.
    smoothing : int
        Side of the square over which the squared curvature is averaged for regional flatness, pixels. Default: our choice.
    rng : int, SeedSequence or Generator
        Landscape i draws from realisation i of it.

    Returns
    -------
    Drift

    Raises
    ------
    ValueError
        When an argument is out of its range, or the learning rate makes a walker leave for infinity.

    Notes
    -----
    On 10 surfaces of the paper's kind at rate 1000, descent is in the flattest tenth of the grid .28 +- .11 of the time,
    ordinary diffusion and shuffled increments .10 +- .01: the claim holds. But local steps in random directions are there
    .30 +- .01 too: flat ground holds walkers because steps are short on it, and what descending adds is low loss (.54 +- .21
    of the time in the lowest tenth, every control .10 or less). Descent does not arrive sooner than its controls, and at
    rates up to 300, where walkers are trapped near their starts, it does not prefer flat ground.
    """
    learning_rate = positive_number("learning_rate", learning_rate)
    n_steps, n_walkers = whole_number("n_steps", n_steps), whole_number("n_walkers", n_walkers)
    start = one_of("start", start, ("maximum", "uniform"))
    smoothing = whole_number("smoothing", smoothing)
    made_by = Provenance.of(
        "drift_to_flat",
        rng=rng,
        learning_rate=learning_rate,
        n_steps=n_steps,
        n_walkers=n_walkers,
        start=start,
        smoothing=smoothing,
    )
    # one array would be taken for its rows
    good = hasattr(landscapes, "__iter__") and not hasattr(landscapes, "__array__")
    require(good, "landscapes", landscapes, "be several landscapes", "pass a list of them")
    by_surface, passages = [], []
    for i, landscape in enumerate(landscapes):
        landscape = as_landscape(landscape, "landscapes")
        stream = realisation(rng, i)
        walks = _walks(landscape, learning_rate, n_steps, n_walkers, start, stream)
        maps = decile_maps(landscape, smoothing)
        by_surface.append([[_shares(tenths, walk) for tenths in maps] for walk in walks])
        passages.append([first_passage(maps[1] == N_DECILES - 1, walk) for walk in walks])
    require(
        len(by_surface) > 0,
        "landscapes",
        len(by_surface),
        "hold at least one landscape",
        "pass a list of landscapes",
    )
    shares = np.moveaxis(np.array(by_surface), 0, 2)
    arrivals = np.moveaxis(np.array(passages), 0, 1)
    return Drift(
        shares=shares,
        arrivals=arrivals,
        n_steps=n_steps,
        learning_rate=learning_rate,
        start=start,
        smoothing=smoothing,
        provenance=made_by,
    )


def decile_maps(landscape, smoothing):
    """Return the tenth of the grid that each point is in by pointwise flatness, regional flatness and low loss.

    Parameters
    ----------
    landscape : Landscape
    smoothing : int
        Side of the square that regional flatness is averaged over, pixels; reflected at the walls.

    Returns
    -------
    ndarray, shape (3, rows, cols), int64
        0 the sharpest (highest) tenth, 9 the flattest (lowest).
    """
    curvature = np.square(landscape.hessian_eigenvalues, dtype=np.float64).sum(axis=0)
    return np.stack(
        [
            _tenths(-curvature),
            _tenths(-uniform_filter(curvature, smoothing)),
            _tenths(-landscape.values),
        ]
    )


def first_passage(target, positions):
    """Return how many steps each walker takes until its nearest grid point is in `target`; -1 if it never is.

    Parameters
    ----------
    target : ndarray of bool, shape (rows, cols)
    positions : ndarray, shape (n_walkers, n_steps + 1, 2)
        (x, y) within the walls.

    Returns
    -------
    ndarray, shape (n_walkers,), int64
    """
    inside = _at_nearest(target, positions)
    return np.where(inside.any(axis=1), inside.argmax(axis=1), NEVER)


def _walks(landscape, learning_rate, n_steps, n_walkers, start, stream):
    """Return the positions of descent and of its three controls, each (n_walkers, n_steps + 1, 2)."""
    walls = np.array([landscape.shape[1] - 1.0, landscape.shape[0] - 1.0])
    starts = (
        stream.uniform(0, walls, (n_walkers, 2))
        if start == "uniform"
        else np.array([start_near_maximum(landscape, stream) for _ in range(n_walkers)])
    )
    descent = descend_ensemble(landscape, starts, learning_rates=[learning_rate], n_steps=n_steps)
    require(
        descent.completed.all(),
        "learning_rate",
        learning_rate,
        "keep every walker finite",
        "take a smaller one",
    )
    steps = np.diff(descent.unfolded[0], axis=1)
    half_turns = stream.uniform(0, 2, steps.shape[:2])
    directions = np.stack([cospi(half_turns), sinpi(half_turns)], axis=-1)
    lengths = np.sqrt(steps[..., :1] ** 2 + steps[..., 1:] ** 2)
    shuffled = np.stack([walk[stream.permutation(n_steps)] for walk in steps])
    return (
        descent.positions[0],
        _from_increments(starts, lengths * directions, walls),
        _from_increments(starts, shuffled, walls),
        _local_walks(landscape, starts, learning_rate, directions),
    )


def _from_increments(starts, increments, walls):
    """Return the positions that increments lead to, folded into the walls."""
    free = np.concatenate(
        [starts[:, None], starts[:, None] + np.cumsum(increments, axis=1)], axis=1
    )
    folded = np.abs(free) % (2 * walls)
    return np.where(folded > walls, 2 * walls - folded, folded)


def _local_walks(landscape, starts, learning_rate, directions):
    positions = np.empty((len(starts), directions.shape[1] + 1, 2))
    map_chunks(
        _walk_with_local_steps,
        [
            (landscape.gradient, starts[w], learning_rate, directions[w], positions[w])
            for w in range(len(starts))
        ],
    )
    return positions


def _tenths(values):
    edges = np.quantile(values, np.arange(1, N_DECILES) / N_DECILES)
    return np.searchsorted(edges, values)


def _shares(tenths, positions):
    """Return the share of positions in each tenth, over all walkers, shape (10,)."""
    return (
        np.bincount(_at_nearest(tenths, positions).ravel(), minlength=N_DECILES)
        / positions[..., 0].size
    )


def _at_nearest(grid, positions):
    x, y = np.moveaxis(np.rint(positions).astype(np.int64), -1, 0)
    return grid[y, x]


@kernel
def _walk_with_local_steps(gradient, start, learning_rate, directions, positions):
    wall_x, wall_y = gradient.shape[1] - 1.0, gradient.shape[0] - 1.0
    x, y = start[0], start[1]
    positions[0, 0], positions[0, 1] = x, y
    for t in range(len(directions)):
        gx, gy = interpolate_gradient(gradient, x, y)
        length = learning_rate * np.sqrt(gx * gx + gy * gy)
        x = reflect(x + length * directions[t, 0], wall_x)[0]
        y = reflect(y + length * directions[t, 1], wall_y)[0]
        positions[t + 1, 0], positions[t + 1, 1] = x, y
