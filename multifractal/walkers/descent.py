"""Walkers on a landscape or a field: one or ensembles, with walls that reflect or are periodic, and tracks that unfold.

One step of plain descent is v <- reflect(v - g lr) on each axis, g the bilinearly interpolated gradient (Ly & Gong 2025,
Methods); the other rules are in `optimizers`. The unfolded track is the walk on the landscape mirrored at its walls: folding
it back gives the position. A field has no walls, and there the two are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, cast

import numpy as np

from multifractal.base.checks import (
    finite_array,
    finite_vector,
    one_of,
    positive_number,
    real_array,
    refuse,
    require,
    whole_number,
)
from multifractal.base.chunks import map_chunks
from multifractal.base.picture import Pictured
from multifractal.base.result import Provenance, Result, late
from multifractal.base.rng import as_generator, as_seed_sequence
from multifractal.base.statistics import mean_and_error
from multifractal.base.types import Array, ArrayLike, Executor, Rng
from multifractal.landscapes.landscape import Landscape, LandscapeLike, as_landscape
from multifractal.walkers.field import Field, as_ground, check_field
from multifractal.walkers.optimizers import checked_rule, require_rng
from multifractal.walkers.walking import Plan, losses_along, walk_together
from multifractal.walkers.walls import enclosed, reflect

_TASKS = 16  # an ensemble is cut into so many; an executor gets the landscape with each
_WALKERS_PER_CALL = 1024  # at most, so that what is held besides the results stays small


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Walk(Pictured, Result):
    """One walk: positions and losses after 0, 1, ..., n_steps steps; NaN after the step that stopped it, if any.

    Attributes
    ----------
    positions : ndarray, shape (n_steps + 1, d), float64
        On a landscape d = 2 and (x, y) lies within the walls.
    unfolded : ndarray, shape (n_steps + 1, d), float64
        The continuous track: exact, or as published.
    losses : ndarray, shape (n_steps + 1,), float64
        The loss at each position.
    steps_taken : int
        `n_steps`, or how many steps were good before the one that was not finite or went out of
        reach.
    learning_rate : float
    method : str
    parameters : dict
    unfold : str
    provenance : Provenance
    """

    _figure: ClassVar[str] = "multifractal.figures.surface:walk_track"

    positions: np.ndarray
    unfolded: np.ndarray
    losses: np.ndarray
    steps_taken: int
    learning_rate: float
    method: str
    parameters: dict
    unfold: str
    provenance: Provenance

    @property
    def completed(self) -> Any:
        """Whether the walk was never stopped."""
        return self.steps_taken == len(self.positions) - 1


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Ensemble(Result):
    """Walks from each start at each learning rate, at the steps that were kept; NaN once a walker was stopped.

    Attributes
    ----------
    positions : ndarray, shape (n_rates, n_starts, kept, d), float64
        On a landscape d = 2 and (x, y) lies within the walls.
    unfolded : ndarray, shape (n_rates, n_starts, kept, d), float64
        The continuous tracks.
    losses : ndarray, shape (n_rates, n_starts, kept), float64
        On a landscape they are read from it when they are first asked for, and kept from then on; `positions` is read-only there.
    steps : ndarray, shape (kept,), int64
        How many steps had been taken at each kept position.
    steps_taken : ndarray, shape (n_rates, n_starts), int64
        `n_steps`, or how many steps were good before the walker was stopped.
    learning_rates : ndarray, shape (n_rates,), float64
    n_steps : int
    method : str
    parameters : dict
    unfold : str
    provenance : Provenance
    """

    positions: np.ndarray
    unfolded: np.ndarray
    losses: np.ndarray = late()
    steps: np.ndarray
    steps_taken: np.ndarray
    learning_rates: np.ndarray
    n_steps: int
    method: str
    parameters: dict
    unfold: str
    provenance: Provenance

    @property
    def completed(self) -> Any:
        """Whether each walker was never stopped, shape (n_rates, n_starts)."""
        return self.steps_taken == self.n_steps

    @property
    def mean_losses(self) -> Array:
        """Mean loss over the walkers that were not stopped, shape (n_rates, kept)."""
        return mean_and_error(self.losses, axis=1)[0]


def descend(
    landscape: LandscapeLike | Field,
    start: ArrayLike,
    *,
    learning_rate: float,
    n_steps: int,
    unfold: Literal["exact", "published"] = "exact",
    walls: Literal["reflecting", "periodic"] = "reflecting",
    method: str = "gd",
    rng: Rng | None = None,
    **parameters: Any,
) -> Walk:
    """Walk downhill from `start`.

    Parameters
    ----------
    landscape : Landscape, array_like of shape (rows, cols), or Field
        A field (d dimensions, no walls: `FractalField`, or a loss of your own as `Field` says) is evaluated at each step.
    start : array_like, shape (2,) or (d,)
        Position (x, y) in grid units, within the walls; or any position in the field's units.
    learning_rate : float
        In units of position squared per unit of loss (Adam: units of position).
    n_steps : int
        The published '10 000 steps' are 10 000 positions, `n_steps=9999`.
    unfold : {"exact", "published"}
        "exact" mirrors the landscape at its walls; "published" is the published code's track, which ignores reflections and
        is no unfolding (its mean squared displacements are off by factors of .3 to 8 at large learning rates).
    walls : {"reflecting", "periodic"}
        Of a landscape of shape (R, C). "reflecting" (paper): at x = C - 1 and y = R - 1. "periodic": column C is column 0 and row R
        is row 0, gradients go across the seam, positions lie in [0, C] x [0, R], and the unfolded track is the sum of the steps.
        A landscape that is not periodic itself has a cliff there.
    method : {"gd", "momentum", "nesterov", "adam", "sgd"}
        The update rule, in torch's conventions; the paper's is "gd". The velocity is reflected with the walker; Nesterov's
        positions are those where the gradient is taken. "sgd" adds noise to the gradient at each step: `noise="isotropic"`
        adds `noise_scale` xi, xi standard normal; `noise="curvature"` adds `noise_scale` J xi, J the derivative of the
        gradient: to first order the gradient of a landscape shifted at random by `noise_scale` (in units of position);
        `noise="stable"` adds `noise_scale` xi, each component of xi symmetric stable, E exp(i t xi) = exp(-|t|^alpha)
        (Chambers, Mallows and Stuck 1976): at alpha = 2 it is normal with variance 2.
    rng : int, SeedSequence or Generator
        For "sgd", and only there.
    **parameters
        momentum=0.9 ("momentum", "nesterov"); beta1=0.9, beta2=0.999, epsilon=1e-8 ("adam"); noise="isotropic",
        noise_scale=1.0 ("sgd"), alpha in (0, 2] (with noise="stable", no default). Adam's are its authors', the others our choice.

    Returns
    -------
    Walk

    Raises
    ------
    ValueError
        When the start lies outside the grid, the learning rate or the number of steps is not positive, or a parameter does
        not belong to the method.

    Examples
    --------
    In a bowl of curvature 0.2 each step shrinks the distance to the minimum by 1 - 0.2 learning_rate:

    >>> import numpy as np
    >>> from multifractal import Landscape, descend
    >>> y, x = np.mgrid[:21, :21] - 10
    >>> walk = descend(Landscape(0.1 * (x**2 + y**2)), (18, 6), learning_rate=2.5, n_steps=3)
    >>> walk.positions.round(6).tolist()
    [[18.0, 6.0], [14.0, 8.0], [12.0, 9.0], [11.0, 9.5]]
    """
    start = real_array("start", start, dtype=np.float64)
    require(
        start.ndim == 1,
        "start",
        start.shape,
        "have one dimension",
        "pass one position, or use descend_ensemble",
    )
    rate, given = positive_number("learning_rate", learning_rate), as_ground(landscape)
    ground = enclosed(given, walls)
    starts, rates = checked_starts(ground, start[None], "start"), np.array([rate])
    plan = _checked(ground, starts, n_steps, unfold, method, parameters, rng, None, 1)
    streams = [] if rng is None else [as_generator(rng)]
    made_by = Provenance.of(
        "descend",
        rng=rng,
        landscape=given,
        start=start,
        learning_rate=rate,
        n_steps=n_steps,
        unfold=unfold,
        walls=walls,
        method=method,
        **parameters,
    )
    positions, unfolded, losses, taken = out = plan.room(*starts.shape)
    walk_together(ground, plan, starts, rates, streams, out)
    return Walk(
        positions=positions[0],
        unfolded=unfolded[0],
        losses=losses[0],
        steps_taken=int(taken[0]),
        learning_rate=rate,
        method=method,
        parameters=dict(plan.rule.parameters),
        unfold=unfold,
        provenance=made_by,
    )


def descend_ensemble(
    landscape: LandscapeLike | Field,
    starts: ArrayLike,
    *,
    learning_rates: ArrayLike,
    n_steps: int,
    unfold: Literal["exact", "published"] = "exact",
    walls: Literal["reflecting", "periodic"] = "reflecting",
    keep_last: int | None = None,
    keep_every: int = 1,
    method: str = "gd",
    rng: Rng | None = None,
    executor: Executor | None = None,
    **parameters: Any,
) -> Ensemble:
    """Walk downhill from each start at each learning rate; each walk is the same to the bit as `descend` gives it alone.

    Parameters
    ----------
    landscape : Landscape, array_like of shape (rows, cols), or Field
    starts : array_like, shape (n_starts, d)
        Positions, as for `descend`.
    learning_rates : array_like, shape (n_rates,)
    n_steps : int
    unfold : {"exact", "published"}
    walls : {"reflecting", "periodic"}
        As for `descend`.
    keep_last : int, optional
        Keep the last `keep_last` of the n_steps + 1 positions (default: all). What is held is 32 bytes a kept position and
        walker (40 once its loss is asked for, and on a field), and 8 a walker: a million walkers with `keep_last=1` take 40 MB.
    keep_every : int
        Of these, keep every `keep_every`-th, counted from the first.
    method, **parameters
        As for `descend`.
    rng : int, SeedSequence or Generator
        Seed of the noise of "sgd". With an int or a SeedSequence, walker (i, j), at rate i from start j, draws as
        `descend(rng=SeedSequence(seed, spawn_key=(i, j)))` does.
    executor : concurrent.futures.Executor, optional
        Runs the walkers elsewhere (processes, dask, MPI); by default they run on the threads of this process. The bits are
        the same.

    Returns
    -------
    Ensemble

    Raises
    ------
    ValueError
        When a start lies outside the grid, a rate or a count is not positive, or a parameter does not belong to the method.

    Examples
    --------
    >>> import numpy as np
    >>> from multifractal import Landscape, descend_ensemble
    >>> y, x = np.mgrid[:21, :21] - 10
    >>> bowl = Landscape(0.1 * x**2 + 0.05 * y**2)
    >>> walks = descend_ensemble(bowl, [[18, 6], [3, 3]], learning_rates=[1.0, 2.0, 4.0], n_steps=100)
    >>> walks.positions.shape  # learning rates, starts, steps and the start, (x, y)
    (3, 2, 101, 2)
    >>> walks.positions[0, :, -1].round(3).tolist()
    [[10.0, 10.0], [10.0, 10.0]]
    """
    given = as_ground(landscape)
    ground = enclosed(given, walls)
    starts, rates = checked_starts(ground, starts), checked_rates(learning_rates)
    plan = _checked(ground, starts, n_steps, unfold, method, parameters, rng, keep_last, keep_every)
    n_walkers = len(rates) * len(starts)
    size = (
        -(-n_walkers // _TASKS)
        if executor is not None
        else min(max(-(-n_walkers // _TASKS), 64), _WALKERS_PER_CALL)
    )
    on_grid = isinstance(ground, Landscape)
    whole = plan.room(n_walkers, starts.shape[1], losses=not on_grid)
    seed = None if rng is None else as_seed_sequence(rng)
    chunks = [(begin, min(begin + size, n_walkers)) for begin in range(0, n_walkers, size)]
    if executor is None:
        _ = getattr(ground, "gradient", None)  # made here, once, rather than by each thread
        map_chunks(
            _walk_slice,
            (
                (
                    ground,
                    plan,
                    starts,
                    rates,
                    seed,
                    *chunk,
                    [array[slice(*chunk)] for array in whole],
                )
                for chunk in chunks
            ),
        )
    else:
        parts = map_chunks(
            _walk_slice, ((ground, plan, starts, rates, seed, *chunk) for chunk in chunks), executor
        )
        for chunk, part in zip(chunks, parts, strict=True):
            for array, piece in zip(whole, part, strict=True):
                array[slice(*chunk)] = piece
    positions, unfolded, losses, taken = (
        array.reshape(len(rates), len(starts), *array.shape[1:]) for array in whole
    )
    # a Generator goes on: record the child that was used
    drawn_from = seed if isinstance(rng, np.random.Generator) else rng
    made_by = Provenance.of(
        "descend_ensemble",
        rng=drawn_from,
        landscape=given,
        starts=starts,
        learning_rates=rates,
        n_steps=n_steps,
        unfold=unfold,
        walls=walls,
        keep_last=keep_last,
        keep_every=keep_every,
        method=method,
        **parameters,
    )
    positions.flags.writeable = not on_grid  # losses are read there later
    return Ensemble(
        positions=positions,
        unfolded=unfolded,
        losses=cast(Any, partial(losses_along, ground, positions) if on_grid else losses),
        steps=plan.steps,
        steps_taken=taken,
        learning_rates=rates,
        n_steps=n_steps,
        method=method,
        parameters=dict(plan.rule.parameters),
        unfold=unfold,
        provenance=made_by,
    )


def start_near_maximum(landscape: LandscapeLike, rng: Rng) -> Array:
    """Return the global maximum's position plus a standard normal step, reflected into the grid, shape (2,), float64.

    Parameters
    ----------
    landscape : Landscape or array_like of shape (rows, cols)
        Of equal maxima the first in row order is taken.
    rng : int, SeedSequence or Generator
    """
    landscape = as_landscape(landscape)
    row, column = np.unravel_index(np.argmax(landscape.values), landscape.shape)
    step = as_generator(rng).standard_normal(2)
    return np.array(
        [
            reflect(column + step[0], landscape.shape[1] - 1.0)[0],
            reflect(row + step[1], landscape.shape[0] - 1.0)[0],
        ]
    )


def _checked(ground, starts, n_steps, unfold, method, parameters, rng, keep_last, keep_every):
    n_steps = whole_number("n_steps", n_steps)
    one_of("unfold", unfold, ("exact", "published"))
    keep_last = whole_number("keep_last", n_steps + 1 if keep_last is None else keep_last)
    if keep_last > n_steps + 1:
        rule = f"be at most n_steps + 1 = {n_steps + 1}"
        raise refuse("keep_last", keep_last, rule, "keep fewer")
    rule = checked_rule(method, parameters)
    require_rng(rule, rng)
    keep_every = whole_number("keep_every", keep_every)
    if not isinstance(ground, Landscape):
        check_field(ground, starts[0], rule)
    return Plan(rule, n_steps, unfold == "exact", n_steps + 1 - keep_last, keep_every)


def checked_starts(ground: Any, starts: ArrayLike, argument: str = "starts") -> Array:
    """Return `starts` as (n, d) float64: within the walls of a landscape, or in the dimension of a field."""
    starts = real_array(argument, starts, ndim=2, dtype=np.float64)
    dimension = 2 if isinstance(ground, Landscape) else ground.dimension
    one = argument == "start"  # a single position, which the user gave without the first axis
    require(
        starts.shape[1] == dimension and len(starts),
        argument,
        starts.shape[1:] if one else starts.shape,
        f"have shape ({dimension},)" if one else f"have shape (n_starts, {dimension})",
        "pass as many coordinates as the landscape has" if one else "stack one position a row",
    )
    if not isinstance(ground, Landscape):
        return np.ascontiguousarray(finite_array(argument, starts))
    walls = (ground.shape[1] - 1, ground.shape[0] - 1)
    x, y = starts[0].tolist()
    if len(starts) == 1 and 0 <= x <= walls[0] and 0 <= y <= walls[1]:
        return np.ascontiguousarray(starts)
    inside = (starts >= 0) & (starts <= walls)
    if not inside.all():
        finite_array(argument, starts)
        raise refuse(
            argument,
            starts[~inside.all(axis=1)][0],
            f"lie within 0 <= x <= {walls[0]} and 0 <= y <= {walls[1]}",
            "move the start into the grid",
        )
    return np.ascontiguousarray(starts)


def checked_rates(learning_rates: ArrayLike) -> Array:
    """Return `learning_rates` as (n,) float64, all positive and finite."""
    rates = finite_vector("learning_rates", learning_rates)
    require(
        len(rates) and (rates > 0).all(), "learning_rates", rates, "be positive", "drop the others"
    )
    return rates


def _walk_slice(ground, plan, starts, rates, seed, begin, end, out=None):
    """Walk walkers begin..end, some at a time; walker k runs at rate k // n_starts from start k % n_starts."""
    if out is None:
        out = plan.room(end - begin, starts.shape[1], losses=not isinstance(ground, Landscape))
    for first in range(begin, end, _WALKERS_PER_CALL):
        last = min(first + _WALKERS_PER_CALL, end)
        i, j = np.divmod(np.arange(first, last), len(starts))
        streams = (
            []
            if seed is None
            else [_stream(seed, *pair) for pair in zip(i.tolist(), j.tolist(), strict=True)]
        )
        walk_together(
            ground,
            plan,
            starts[j],
            rates[i],
            streams,
            [array[first - begin : last - begin] for array in out],
        )
    return out


def _stream(seed, i, j):
    return np.random.default_rng(
        np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, i, j))
    )
