"""What descent does, by system, learning rate and run: the same numbers for walks on a surface and for real training.

A run is a training from one seed, or some walkers on one surface, of which the mean is kept. The stretch of a run is the
logarithm of the length of a tangent vector of the map theta -> theta - rate grad L(theta) that was 1 long at the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from multifractal.base.checks import require, whole_number
from multifractal.base.deprecation import renamed
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import realisation
from multifractal.base.statistics import Estimate, mean_and_error, mean_interval
from multifractal.base.types import Array, ArrayLike, Pair, Rng
from multifractal.diffusion.displacement import diffusion_exponent, tamsd
from multifractal.landscapes.landscape import LandscapeLike, as_landscape
from multifractal.walkers.descent import checked_rates, descend_ensemble
from multifractal.walkers.stability import EdgeOfStability, lyapunov_exponents, sharpness_at

# lags of the fits: in steps; and as shares of a run (our choice)
SHORT, LONG = (2, 20), (1 / 160, 1 / 16)
_N_TIMES, _N_LAGS = 24, 24
_LAST = 100  # positions at the end of a walk whose sharpness counts (paper)
# mean squared displacement, in squared units of the start's, below which there is nothing to fit
_AT_REST = 1e-12


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class DescentTable(Result):
    """Chaos, displacement and sharpness of descent by system, learning rate and run; NaN marks a run that diverged.

    Attributes
    ----------
    systems : list of str, s names
    learning_rates : ndarray, shape (s, rates)
    times : ndarray of int, shape (s, t)
        Steps at which the stretch is kept; the last is n_steps, the third last half of it.
    stretch : ndarray, shape (s, rates, runs, t)
        ln of the length of the tangent vector; mean over the run's walkers.
    share_growing : ndarray, shape (s, rates, runs)
        Share of a run's walkers whose tangent vector grew more than e-fold in the second half.
    edge_at_start, edge_at_end : ndarray, shape (s, rates, runs)
        Largest Hessian eigenvalue x rate / 2, at the start and at the end (median over walkers and last positions); 1 is the
        edge of stability.
    loss : ndarray, shape (s, rates, runs, 2)
        At the start and at the end (mean over walkers and last positions).
    edge_range : ndarray, shape (s, runs, 2)
        Of walks: `EdgeOfStability.range`, lowest and highest rate; NaN where there is none, and for training.
    tamsd : ndarray, shape (s, rates, runs, waiting times, lags)
        Time-averaged mean squared displacement; mean over the run's walkers.
    waiting_times, lag_times : ndarray of int, shapes (s, waiting times) and (s, lags)
        As `schedule` gives them.
    provenance : Provenance
    """

    systems: list
    learning_rates: np.ndarray
    times: np.ndarray
    stretch: np.ndarray
    share_growing: np.ndarray
    edge_at_start: np.ndarray
    edge_at_end: np.ndarray
    loss: np.ndarray
    edge_range: np.ndarray
    tamsd: np.ndarray
    waiting_times: np.ndarray
    lag_times: np.ndarray
    provenance: Provenance

    @property
    def exponents(self) -> Array:
        """Largest Lyapunov exponent per step over the second half of each run, shape (s, rates, runs)."""
        with np.errstate(invalid="ignore"):  # minus infinity, where a step forgot everything
            grown = self.stretch[..., -1] - self.stretch[..., -3]
        return grown / (self.times[:, -1] - self.times[:, -3])[:, None, None]

    @property
    def mean_exponents(self) -> Estimate:
        """Estimate of the mean of `exponents` over the runs that lasted, shape (s, rates)."""
        return over_runs(self.exponents)

    @property
    def mean_edge_at_start(self) -> Array:
        """Mean of `edge_at_start` over runs, shape (s, rates): NaN if one diverged."""
        return np.mean(self.edge_at_start, axis=-1)

    @property
    def mean_tamsd(self) -> Array:
        """Mean of `tamsd` over the runs that lasted, shape (s, rates, waiting times, lags)."""
        return mean_and_error(self.tamsd, axis=2)[0]

    @property
    def resolution(self) -> Array:
        """The exponent of a vector that grew e-fold in the second half, shape (s,): smaller ones are not told from 0."""
        return 1.0 / (self.times[:, -1] - self.times[:, -3])

    @property
    def sign(self) -> Array:
        """Sign of the largest exponent, shape (s, rates): 1 chaotic, -1 contracting, 0 not told from zero, NaN diverged.

        The 95 % interval over runs lies above `resolution` (or below minus that), or it does not. NaN unless two runs
        lasted.
        """
        low, high = self.mean_exponents.interval
        limit = self.resolution[:, None]
        told = np.where(low > limit, 1.0, np.where(high < -limit, -1.0, 0.0))
        return np.where(np.isfinite(low), told, np.nan)

    def diffusion(self, waiting: int, lag_range: Pair) -> Array:
        """Return the exponent of displacement ~ lag^alpha of each run, shape (s, rates, runs); NaN where it is at rest.

        Parameters
        ----------
        waiting : int
            Which of the waiting times.
        lag_range : (float, float)
            First and last lag, in steps (`SHORT`), or below 1 as shares of the run (`LONG`). Only even lags are used: at the
            edge of stability descent swings with period two, and odd lags measure the swing.
        """
        found = np.full(self.share_growing.shape, np.nan)
        for place in np.ndindex(found.shape):
            lags, curve = self.lag_times[place[0]], self.tamsd[(*place, waiting)]
            n_steps = self.times[place[0], -1]
            reach = [share * n_steps if share < 1 else share for share in lag_range]
            even = lags % 2 == 0
            moves = (
                np.isfinite(curve).all()
                and curve[even].min() > _AT_REST * self.tamsd[(*place, 0)].max()
            )
            if moves:
                found[place] = diffusion_exponent(lags[even], curve[even], lag_range=reach).exponent
        return found

    def of(self, system: str | int) -> DescentTable:
        """Return the table of one system, by name or number."""
        k = self.systems.index(system) if isinstance(system, str) else system
        parts = {
            f.name: getattr(self, f.name)[k : k + 1] for f in fields(self) if f.name != "provenance"
        }
        return replace(self, **parts)


def joined(tables):
    """Return the tables of several systems as one; they must have the same numbers of rates, runs, times and lags."""
    tables = list(tables)
    require(
        len({table.tamsd.shape[1:] for table in tables}) == 1,
        "tables",
        [table.tamsd.shape for table in tables],
        "have the same shapes but for the first axis",
        "measure with the same settings",
    )
    parts = {
        f.name: [getattr(table, f.name) for table in tables]
        for f in fields(DescentTable)
        if f.name != "provenance"
    }
    systems = sum(parts.pop("systems"), [])
    return DescentTable(
        systems=systems,
        **{name: np.concatenate(part) for name, part in parts.items()},
        provenance=Provenance.of("joined", systems=systems),
    )


def training_record(system, rates, times, provenance, **measured):
    """Return the table of one system that was trained; `measured` are its arrays, (rates, runs, ...), by name."""
    waiting_times, lag_times, _ = schedule(int(times[-1]))
    no_range = np.full((1, measured["loss"].shape[1], 2), np.nan)
    measured = {name: array[None] for name, array in measured.items()}
    return _compact(
        DescentTable(
            systems=[system],
            learning_rates=rates[None],
            times=times[None],
            edge_range=no_range,
            waiting_times=waiting_times[None],
            lag_times=lag_times[None],
            provenance=provenance,
            **measured,
        )
    )


def _compact(table):
    """Return the table with its large arrays in float32, which is what their scatter is worth."""
    return replace(
        table, stretch=table.stretch.astype(np.float32), tamsd=table.tamsd.astype(np.float32)
    )


def over_runs(samples):
    """Return the Estimate of the mean over runs, the last axis; runs that diverged or forgot everything are left out."""
    return mean_interval(np.where(np.isfinite(samples), samples, np.nan), of="runs")


def stretch_times(n_steps):
    """Return 24 steps from 1 to `n_steps`, two an octave, so that the third last is half of it."""
    require(
        whole_number("n_steps", n_steps) % 2 == 0, "n_steps", n_steps, "be even", "add one step"
    )
    return np.maximum(1, np.round(n_steps * 2.0 ** (-np.arange(_N_TIMES - 1, -1, -1) / 2))).astype(
        np.int64
    )


def schedule(n_steps, argument="n_steps"):
    """Return (waiting times, lags, window) for the displacement of a run: early, later and late; lags 1 and even ones.

    The window is a quarter of the run, the waiting times are 0, an eighth and a half, lags reach an eighth (our choice).
    """
    n_steps = whole_number(argument, n_steps, minimum=160)
    lags = np.r_[1, 2 * np.round(np.geomspace(1, n_steps / 16, _N_LAGS - 1))].astype(np.int64)
    return np.array([0, n_steps // 8, n_steps // 2]), lags, n_steps // 4


def displacement_of(positions, n_steps):
    """Return the displacement of walks (n, n_steps + 1, d) on a run's `schedule`, mean over walks; NaN if one stopped."""
    waiting_times, lag_times, window = schedule(n_steps)
    if not np.isfinite(positions).all():
        return np.full((len(waiting_times), len(lag_times)), np.nan)
    return tamsd(positions, waiting_times=waiting_times, lag_times=lag_times, window=window).values


@renamed(surfaces="landscapes")
def walk_table(
    system: str,
    landscapes: Sequence[LandscapeLike],
    *,
    learning_rates: ArrayLike,
    n_walkers: int = 8,
    n_steps: int = 4000,
    rng: Rng = 0,
) -> DescentTable:
    """Walk on surfaces and return the table of one system, with one run a surface.

    Parameters
    ----------
    system : str
    landscapes : sequence of Landscape or array_like of shape (rows, cols)
        Draws of one model; or one measured section, given once for each set of starts that is wanted.
    learning_rates : array_like, shape (rates,)
    n_walkers : int
        Walkers on each surface, from uniform starts that depend on `rng` and the run's number only.
    n_steps : int
        Even, at least 160.
    rng : int, SeedSequence or Generator

    Returns
    -------
    DescentTable
    """
    rates = checked_rates(learning_rates)
    times, (waiting_times, lag_times, _) = stretch_times(n_steps), schedule(n_steps)
    runs = []
    surfaces = [as_landscape(one, "landscapes") for one in landscapes]
    for k, surface in enumerate(surfaces):
        walls = np.array(surface.shape[::-1]) - 1
        starts = realisation(rng, k).uniform(0, walls, size=(n_walkers, 2))
        runs.append(_walked(surface, starts, rates, times))
    columns = {name: np.stack([run[name] for run in runs]) for name in runs[0]}
    ranges = columns.pop("edge_range")
    made_by = Provenance.of(
        "walk_table",
        rng=rng,
        landscapes=len(surfaces),
        learning_rates=rates,
        n_walkers=n_walkers,
        n_steps=n_steps,
    )
    return _compact(
        DescentTable(
            systems=[system],
            learning_rates=rates[None],
            times=times[None],
            **{name: np.swapaxes(column, 0, 1)[None] for name, column in columns.items()},
            edge_range=ranges[None],
            waiting_times=waiting_times[None],
            lag_times=lag_times[None],
            provenance=made_by,
        )
    )


def _walked(surface, starts, rates, times):
    """Return one run's columns of `DescentTable`, by name; by learning rate first, but for the range."""
    n_steps = int(times[-1])
    stretch = np.stack(
        [
            lyapunov_exponents(
                surface, learning_rates=rates, starts=starts, n_steps=int(t), burn_in=0
            ).exponents[..., 0]
            * t
            for t in times
        ],
        axis=-1,
    )
    with np.errstate(invalid="ignore"):
        growing = np.mean(stretch[..., -1] - stretch[..., -3] > 1, axis=1)
    walks = descend_ensemble(surface, starts, learning_rates=rates, n_steps=n_steps)
    sharpness = sharpness_at(surface, walks.positions[:, :, -_LAST:])
    settled = EdgeOfStability(
        sharpness=sharpness,
        learning_rates=rates,
        n_steps=n_steps,
        kind="hessian",
        provenance=walks.provenance,
    )
    at_start = np.median(sharpness_at(surface, starts)) * rates / 2
    at_end = np.nanmedian(sharpness, axis=(1, 2)) * rates / 2
    loss = np.stack(
        [walks.losses[:, :, 0].mean(axis=1), walks.losses[:, :, -_LAST:].mean(axis=(1, 2))], axis=-1
    )
    curves = np.stack([displacement_of(unfolded, n_steps) for unfolded in walks.unfolded])
    return {
        "stretch": stretch.mean(axis=1),
        "share_growing": growing,
        "edge_at_start": at_start,
        "edge_at_end": at_end,
        "loss": loss,
        "edge_range": settled.range,
        "tamsd": curves,
    }
