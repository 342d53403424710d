"""Where walkers settle, and whether they are chaotic: sharpness against 2/lr, and Lyapunov exponents of the map.

One step of descent is the map x -> reflect(x - lr g(x)). Inside a grid cell its derivative is S (I - lr Dg), S the signs of
the reflections and Dg the derivative of the interpolated gradient, so Lyapunov exponents need no second trajectory. On a
field without walls it is I - lr H, H the Hessian, and `tangent` carries the vectors.
Symbols: g gradient, Dg its derivative, v tangent vector, d0 and T start distance and period of the published estimator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from multifractal.base.checks import one_of, require, whole_number
from multifractal.base.chunks import map_chunks
from multifractal.base.elementary import log_of
from multifractal.base.kernels import kernel
from multifractal.base.result import Provenance, Result
from multifractal.base.statistics import Estimate, mean_and_error, mean_interval, median_interval
from multifractal.base.types import Array, ArrayLike
from multifractal.landscapes.landscape import Landscape, LandscapeLike, _values_at, cell_and_weights
from multifractal.walkers.descent import checked_rates, checked_starts, descend_ensemble
from multifractal.walkers.field import Field, as_ground
from multifractal.walkers.tangent import carry, require_products, sharpness_on_field
from multifractal.walkers.two_trajectories import STEPS_RUN, two_trajectories
from multifractal.walkers.walking import interpolate_jacobian
from multifractal.walkers.walls import Torus, enclosed, fold

_WALKERS_IN_LOCKSTEP = 64  # as in `descent`
# cos and sin of 0.7: along no axis and no diagonal, so that symmetry does not keep a vector from turning
_COS, _SIN = 0.7648421872844885, 0.644217687237691
# of the exact exponents, and the sizes that the products in between must stay within
_STEPS_PER_LOGARITHM, _SMALL, _LARGE = 8, 1e-100, 1e100
SHARPNESSES = ("hessian", "map", "published")


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class EdgeOfStability(Result):
    """Sharpness at the last positions of walks, by learning rate.

    Attributes
    ----------
    sharpness : ndarray, shape (n_rates, n_starts, last), float64
        Loss per position squared; NaN where a walker was stopped.
    learning_rates : ndarray, shape (n_rates,), float64
    n_steps : int
    kind : str
    provenance : Provenance
    """

    sharpness: np.ndarray
    learning_rates: np.ndarray
    n_steps: int
    kind: str
    provenance: Provenance

    @property
    def share_positive(self) -> Array:
        """Share of the positions where the sharpness is positive, (n_rates,): only these have a logarithm.

        Positions of walkers that were stopped (NaN) are not counted; NaN where all were.
        """
        known = (~np.isnan(self.sharpness)).sum(axis=(1, 2))
        return _divided((self.sharpness > 0).sum(axis=(1, 2)), known)

    @property
    def log10_by_start(self) -> Array:
        """Mean log10 sharpness of each walk over its positions of positive sharpness, (n_rates, n_starts); NaN if none."""
        positive = self.sharpness > 0
        logs = np.log10(np.where(positive, self.sharpness, 1.0))
        return _divided(logs.sum(axis=2), positive.sum(axis=2))

    @property
    def mean_log10(self) -> Array:
        """Mean over walks of `log10_by_start`, (n_rates,)."""
        return self._estimate.value

    @property
    def interval(self) -> Array:
        """95 % Student interval of `mean_log10` over walks, (2, n_rates); NaN with fewer than two walks."""
        return self._estimate.interval

    @property
    def _estimate(self):
        return mean_interval(self.log10_by_start, of="walks")

    @property
    def holds(self) -> Array:
        """Whether the interval contains log10(2 / learning rate), (n_rates,) bool."""
        edge = np.log10(2 / self.learning_rates)
        return self._estimate.contains(edge)

    @property
    def range(self) -> Array:
        """Lowest and highest rate of the longest run of neighbouring rates at which it holds, (2,); NaN if there is none."""
        runs = np.split(np.arange(len(self.holds)), np.flatnonzero(np.diff(self.holds)) + 1)
        longest = max((run for run in runs if self.holds[run[0]]), key=len, default=None)
        return np.full(2, np.nan) if longest is None else self.learning_rates[longest[[0, -1]]]


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class LyapunovExponents(Result):
    """Lyapunov exponents of each walk, per step, the largest first; NaN where a walker was stopped.

    Attributes
    ----------
    exponents : ndarray, shape (n_rates, n_starts, n_exponents), float64
        Both on a landscape, of which "two_trajectories" knows the largest only; on a field as many as were asked for.
    learning_rates : ndarray, shape (n_rates,), float64
    n_steps : int
    burn_in : int
    method : str
    provenance : Provenance
    """

    exponents: np.ndarray
    learning_rates: np.ndarray
    n_steps: int
    burn_in: int
    method: str
    provenance: Provenance

    @property
    def mean(self) -> Array:
        """Mean over walks, (n_rates, n_exponents)."""
        return mean_and_error(self.exponents, axis=1)[0]

    @property
    def standard_error(self) -> Array:
        """Standard error of `mean` over walks, (n_rates, n_exponents)."""
        return mean_and_error(self.exponents, axis=1)[1]

    @property
    def interval(self) -> Array:
        """95 % Student interval of `mean` over walks, (2, n_rates, n_exponents); NaN with fewer than two walks.

        Where most walks are chaotic and a few are trapped, eight of them say little of the mean, and the interval is too short
        (docs/calibration.md has a case where it holds the truth 65 times in 100): use `median_interval` there, or more walks.
        """
        return mean_interval(self.exponents, axis=1, of="walks").interval

    @property
    def median(self) -> Array:
        """Median over walks, (n_rates, n_exponents): the mean mixes trapped and chaotic ones."""
        some = ~np.isnan(self.exponents).all(axis=1)
        return np.where(
            some, np.nanmedian(np.where(some[:, None], self.exponents, 0.0), axis=1), np.nan
        )

    @property
    def median_interval(self) -> Array:
        """95 % interval of `median` by order statistics, (2, n_rates, n_exponents); NaN with fewer than six walks.

        It asks for no law of the walks.
        """
        ends = np.apply_along_axis(
            lambda walks: median_interval(walks, of="walks").interval, 1, self.exponents
        )
        return np.moveaxis(ends, 1, 0)

    @property
    def share_positive(self) -> Array:
        """Share of walks whose largest exponent is positive, (n_rates,)."""
        largest = self.exponents[..., 0]
        return _divided((largest > 0).sum(axis=1), (~np.isnan(largest)).sum(axis=1))

    def running(self, rate_index: int) -> Estimate:
        """Return the Estimate of the mean of the largest exponent over the first 1, 2, ... walks, each (n_starts,)."""
        largest = self.exponents[rate_index, :, 0]
        first = np.where(np.tri(len(largest), dtype=bool), largest, np.nan)
        return mean_interval(first, of="walks, the first so many")


def edge_of_stability(
    landscape: LandscapeLike | Field,
    *,
    learning_rates: ArrayLike,
    starts: ArrayLike,
    n_steps: int,
    last: int = 100,
    sharpness: Literal["hessian", "map", "published"] = "hessian",
    walls: Literal["reflecting", "periodic"] = "reflecting",
) -> EdgeOfStability:
    """Walk from each start at each rate and return the sharpness at the last positions.

    Parameters
    ----------
    landscape : Landscape, array_like of shape (rows, cols), or Field
        A field needs the method `hessian_product(x, v)`.
    learning_rates : array_like, shape (n_rates,)
        Paper: `logspace(0, 4, 40)`.
    starts : array_like, shape (n_starts, 2) or (n_starts, d)
        Paper: 10.
    n_steps : int
        Paper: 4999, that is 5000 positions.
    last : int
        Positions used, at the end of each walk; paper.
    sharpness : {"hessian", "map", "published"}
        "hessian": the largest eigenvalue of the grid Hessian, interpolated bilinearly. "map": the largest real part of an
        eigenvalue of Dg, the derivative of the gradient that the walker feels, whose 2/lr is the map's own stability limit.
        "published": the largest absolute eigenvalue of the grid Hessian, which counts negative curvature as sharp. On a field
        "hessian" and "map" are the same: the largest eigenvalue, from the whole Hessian up to 48 dimensions and by Lanczos to
        a relative 1e-6 beyond (by LAPACK: its last bits depend on the processor).
    walls : {"reflecting", "periodic"}
        As for `descend`.

    Returns
    -------
    EdgeOfStability

    Raises
    ------
    ValueError
        As `descend_ensemble` does.

    Examples
    --------
    >>> import numpy as np
    >>> from multifractal import Landscape, edge_of_stability
    >>> y, x = np.mgrid[:21, :21] - 10
    >>> bowl = Landscape(0.1 * x**2 + 0.05 * y**2)
    >>> found = edge_of_stability(bowl, learning_rates=[1.0], starts=[[13, 8]], n_steps=200)
    >>> found.sharpness.mean().round(6).item()
    0.2
    """
    one_of("sharpness", sharpness, SHARPNESSES)
    landscape = as_ground(landscape)
    if not isinstance(landscape, Landscape):
        require_products(landscape)
    n_steps, last = whole_number("n_steps", n_steps), whole_number("last", last)
    require(
        last <= n_steps + 1,
        "last",
        last,
        f"be at most n_steps + 1 = {n_steps + 1}",
        "measure fewer positions",
    )
    walks = descend_ensemble(
        landscape,
        starts,
        learning_rates=learning_rates,
        n_steps=n_steps,
        keep_last=last,
        walls=walls,
    )
    made_by = Provenance.of(
        "edge_of_stability",
        landscape=landscape,
        learning_rates=walks.learning_rates,
        starts=np.asarray(starts),
        n_steps=n_steps,
        last=last,
        sharpness=sharpness,
        walls=walls,
    )
    values = sharpness_at(enclosed(landscape, walls), walks.positions, sharpness)
    return EdgeOfStability(
        sharpness=values,
        learning_rates=walks.learning_rates,
        n_steps=n_steps,
        kind=sharpness,
        provenance=made_by,
    )


def sharpness_at(
    landscape: LandscapeLike | Field,
    positions: ArrayLike,
    kind: Literal["hessian", "map", "published"] = "hessian",
) -> Array:
    """Return the sharpness of a `landscape` at positions (..., 2) inside the walls, or of a field at (..., d): (...) float64.

    `kind` is as `sharpness` of `edge_of_stability`.

    Raises
    ------
    ValueError
        When a position lies outside the grid, or the kind is unknown.
    """
    landscape, one = as_ground(landscape), one_of("kind", kind, SHARPNESSES)
    if not isinstance(landscape, Landscape):
        return sharpness_on_field(landscape, positions, "LM" if one == "published" else "LA")
    points, shape = landscape.checked_positions("positions", positions)
    out = np.empty(len(points))
    if kind == "map":
        _map_sharpness(landscape.gradient, points, out)
    else:
        eigenvalues = landscape.hessian_eigenvalues
        _values_at(
            eigenvalues[1] if kind == "hessian" else np.abs(eigenvalues).max(axis=0), points, out
        )
    return out.reshape(shape)


def lyapunov_exponents(
    landscape: LandscapeLike | Field,
    *,
    learning_rates: ArrayLike,
    starts: ArrayLike,
    n_steps: int,
    burn_in: int,
    method: Literal["tangent", "two_trajectories"] = "tangent",
    n_exponents: int | None = None,
    walls: Literal["reflecting", "periodic"] = "reflecting",
) -> LyapunovExponents:
    """Return the Lyapunov exponents of plain descent from each start at each rate.

    Parameters
    ----------
    landscape : Landscape, array_like of shape (rows, cols), or Field
        A field needs the method `hessian_product(x, v)`.
    learning_rates : array_like, shape (n_rates,)
        Paper: `logspace(0, 4, 40)`.
    starts : array_like, shape (n_starts, 2) or (n_starts, d)
        Paper: 100.
    n_steps : int
        Steps in all.
    burn_in : int
        Steps left out of the averages, at the beginning of each walk.
    method : {"tangent", "two_trajectories"}
        "tangent": both exponents by the exact tangent map; the second from ln|det|, as Gram-Schmidt would give it.
        "two_trajectories": the published estimator, for comparison: the separation of a walker started d0 = 0.1 away,
        brought back to d0 every T = 10 steps (9 are run, 10 divided by), of which the last period counts. Separations
        cannot outgrow the landscape, so it saturates; see `two_trajectories_ceiling`. A field has "tangent" only.
    n_exponents : int, optional
        How many exponents on a field, the first so many of its d: by default the largest. A landscape has both.
    walls : {"reflecting", "periodic"}
        As for `descend`; the published estimator has walls that reflect only.

    Returns
    -------
    LyapunovExponents

    Raises
    ------
    ValueError
        When a start lies outside the grid, a rate or a count is not positive, or nothing is left after the burn-in.

    Notes
    -----
    The mean mixes trapped walks with chaotic ones and depends on when it is taken: report `median`, `share_positive`,
    `n_steps` and `burn_in` with it. `logspace(0, 4, 40)` differs in its last bits between numpy versions, and then chaotic
    walks differ altogether: compare in law, or store the rates.

    Examples
    --------
    In a bowl of curvatures 0.2 and 0.1 the exponents are ln|1 - 0.2 learning_rate| and ln|1 - 0.1 learning_rate|:

    >>> import numpy as np
    >>> from multifractal import Landscape, lyapunov_exponents
    >>> y, x = np.mgrid[:21, :21] - 10
    >>> bowl = Landscape(0.1 * x**2 + 0.05 * y**2)
    >>> found = lyapunov_exponents(bowl, learning_rates=[2.5], starts=[[18, 6]], n_steps=200, burn_in=100)
    >>> np.exp(found.mean).round(6).tolist()
    [[0.75, 0.5]]
    """
    given = as_ground(landscape)
    landscape = enclosed(given, walls)
    starts, rates = checked_starts(landscape, starts), checked_rates(learning_rates)
    n_steps, burn_in = whole_number("n_steps", n_steps), whole_number("burn_in", burn_in, minimum=0)
    on_grid = isinstance(landscape, Landscape)
    one_of("method", method, ("tangent", "two_trajectories") if on_grid else ("tangent",))
    periodic = isinstance(landscape, Torus)
    require(
        method == "tangent" or not periodic,
        "walls",
        walls,
        "be 'reflecting' with method='two_trajectories'",
        "pass method='tangent'",
    )
    n_exponents = _checked_count(n_exponents, on_grid, starts.shape[1])
    shortest = 1 if method == "tangent" else STEPS_RUN
    require(
        burn_in <= n_steps - shortest,
        "burn_in",
        burn_in,
        f"leave {shortest} of the n_steps = {n_steps}",
        "walk longer or leave out less",
    )
    exponents = np.empty((len(rates) * len(starts), n_exponents))
    which_rate, which_start = np.divmod(np.arange(len(exponents)), len(starts))
    if isinstance(landscape, Landscape):
        kernel = _tangent if method == "tangent" else two_trajectories
        more: tuple[Any, ...] = (periodic,) if method == "tangent" else ()
        gradient = landscape.gradient
        parts = range(0, len(exponents), _WALKERS_IN_LOCKSTEP)
        chunks = [slice(first, first + _WALKERS_IN_LOCKSTEP) for first in parts]
        work = [
            (
                gradient,
                starts[which_start[c]],
                rates[which_rate[c]],
                n_steps,
                burn_in,
                exponents[c],
                *more,
            )
            for c in chunks
        ]
        map_chunks(kernel, work)
    else:
        exponents[:] = carry(
            landscape, starts[which_start], rates[which_rate], n_steps, burn_in, n_exponents
        )
    said: dict[str, Any] = {"walls": walls} if on_grid else {"n_exponents": n_exponents}
    made_by = Provenance.of(
        "lyapunov_exponents",
        landscape=given,
        learning_rates=rates,
        starts=starts,
        n_steps=n_steps,
        burn_in=burn_in,
        method=method,
        **said,
    )
    return LyapunovExponents(
        exponents=exponents.reshape(len(rates), len(starts), n_exponents),
        learning_rates=rates,
        n_steps=n_steps,
        burn_in=burn_in,
        method=method,
        provenance=made_by,
    )


def _checked_count(n_exponents, on_grid, dimension):
    if n_exponents is None:
        return 2 if on_grid else 1
    n_exponents = whole_number("n_exponents", n_exponents)
    good = n_exponents == 2 if on_grid else n_exponents <= dimension
    rule = "be 2 on a landscape" if on_grid else f"be at most the field's {dimension} dimensions"
    require(good, "n_exponents", n_exponents, rule, "leave it out")
    return n_exponents


def _divided(total, count):
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)


@kernel
def _map_sharpness(gradient, points, out):
    for k in range(len(points)):
        x, y = points[k, 0], points[k, 1]
        if x != x:
            out[k] = np.nan
            continue
        xx, xy, yx, yy = interpolate_jacobian(gradient, x, y)
        out[k] = 0.5 * (xx + yy) + np.sqrt(max(0.25 * (xx - yy) ** 2 + xy * yx, 0.0))


@kernel
def _tangent(gradient, starts, rates, n_steps, burn_in, exponents, periodic):
    """Mean ln|v| after the burn-in for a generic first v, and mean ln|det J| less that; all walkers in lockstep.

    Logarithms are taken every eighth step, or sooner where a vector would leave the range of a double.
    """
    position, v, volume = starts.copy(), np.empty(starts.shape), np.ones(len(starts))
    v[:, 0], v[:, 1] = _COS, _SIN
    exponents[:] = 0.0
    for t in range(n_steps):
        settle = (t + 1 - burn_in) % _STEPS_PER_LOGARITHM == 0 or t + 1 == n_steps
        for w in range(len(position)):
            x, y = position[w, 0], position[w, 1]
            if x != x:
                continue
            x, y, vx, vy, stretch = _tangent_step(
                gradient, x, y, v[w, 0], v[w, 1], rates[w], periodic
            )
            position[w, 0], position[w, 1] = x, y
            volume[w] *= stretch
            size = abs(vx) + abs(vy)
            if settle or not (_SMALL < size < _LARGE and _SMALL < volume[w] < _LARGE):
                length = np.sqrt(vx * vx + vy * vy)
                if t >= burn_in:
                    exponents[w, 0] += log_of(length)
                    exponents[w, 1] += log_of(volume[w])
                volume[w] = 1.0
                vx, vy = (vx / length, vy / length) if length > 0 else (_COS, _SIN)
            v[w, 0], v[w, 1] = vx, vy
    exponents /= n_steps - burn_in
    for w in range(len(position)):
        if exponents[w, 1] > -np.inf:
            exponents[w, 1] -= exponents[w, 0]
        if position[w, 0] != position[w, 0]:
            exponents[w] = np.nan


@kernel
def _tangent_step(gradient, x, y, vx, vy, rate, periodic):
    """Return the next position, the tangent vector carried along and |det J|, from one look at the cell (kernel).

    The position is that of `_step` to the bit, and the derivative that of `interpolate_jacobian`.
    """
    i, j, a, b, c, d = cell_and_weights(x, y, gradient.shape[0], gradient.shape[1])
    x00, x10, x01, x11 = (
        gradient[j, i, 0],
        gradient[j, i + 1, 0],
        gradient[j + 1, i, 0],
        gradient[j + 1, i + 1, 0],
    )
    y00, y10, y01, y11 = (
        gradient[j, i, 1],
        gradient[j, i + 1, 1],
        gradient[j + 1, i, 1],
        gradient[j + 1, i + 1, 1],
    )
    gx = x00 * a * c + x10 * b * c + x01 * a * d + x11 * b * d
    gy = y00 * a * c + y10 * b * c + y01 * a * d + y11 * b * d
    xx = 1 - rate * ((x10 - x00) * c + (x11 - x01) * d)
    xy = -rate * ((x01 - x00) * a + (x11 - x10) * b)
    yx = -rate * ((y10 - y00) * c + (y11 - y01) * d)
    yy = 1 - rate * ((y01 - y00) * a + (y11 - y10) * b)
    vx, vy = xx * vx + xy * vy, yx * vx + yy * vy
    wall_x, wall_y = gradient.shape[1] - 1.0, gradient.shape[0] - 1.0
    x, y = x - gx * rate, y - gy * rate
    if not (0 <= x <= wall_x and 0 <= y <= wall_y):
        x, sign_x = fold(x, wall_x, periodic)
        y, sign_y = fold(y, wall_y, periodic)
        vx, vy = sign_x * vx, sign_y * vy
        if x != x or y != y:
            x = y = np.nan
    return x, y, vx, vy, abs(xx * yy - xy * yx)
