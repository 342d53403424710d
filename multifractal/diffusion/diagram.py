"""The diagram of diffusion on rough surfaces: the short-time exponent alpha by Hurst exponent and learning rate.

Walks start anywhere on exact fractional Brownian surfaces; after a waiting time their mean displacement ~ lag^alpha. The
theory says 1 up to H = 1/2 and 2 - 2H above, whatever the rate. What is found is a diagram (1024 pixels, 5 surfaces each):

- trapped, where the typical step is below some 2 pixels, the width of the stencil on which the gradient varies smoothly
  (half of the walks rest at a step of 1.7 to 2.8 pixels, for every H from .4 to .9);
- diffusive (alpha near 1), where the gradient at the end of a step has forgotten the one at its start: their correlation
  has fallen to a few per cent or less (`gradient_correlation`);
- sub-diffusive between, with alpha rising steadily with the rate. For H > 1/2 it passes through 2 - 2H on its way, at rates
  of 1800 to 3000 (H = .6, .7), 3000 to 5500 (.8) and 5500 to 10 000 (.9), so the law holds on a narrow band there: a
  crossing, not a plateau. For H = .1 ... .5 it holds from rates of about 30, 100, 300, 1000 and 3000 on.
"""

from __future__ import annotations

import copy
import threading
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from multifractal.base import files
from multifractal.base.checks import (
    ascending_pair,
    finite_array,
    finite_vector,
    path,
    positive_number,
    refuse,
    require,
    whole_number,
)
from multifractal.base.chunks import checked_executor, died, thread_count
from multifractal.base.deprecation import FormerName, renamed
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_seed_sequence, describe, realisation
from multifractal.base.statistics import percentile_interval
from multifractal.base.types import Array, ArrayLike, Executor, Pair, PathLike, Rng
from multifractal.diffusion.displacement import tamsd
from multifractal.diffusion.theory import diffusion_exponent_law
from multifractal.landscapes.brownian import fbm_surface, noise_or_draw, reach_for
from multifractal.walkers.descent import descend_ensemble

HURSTS = tuple(np.round(np.arange(0.1, 0.91, 0.1), 1).tolist())
LEARNING_RATES = (30.0, 55.0, 100.0, 180.0, 300.0, 550.0, 1e3, 1.8e3, 3e3, 5.5e3, 1e4, 3e4, 1e5)
REGIONS = ("trapped", "sub-diffusive", "diffusive")

_WINDOW = 900  # steps of each time average (our choice)
# a walk that displaces by less than one pixel rms over the longest lag is trapped (our choice)
AT_REST = 1.0
_DIFFUSIVE = 0.9  # exponents from here count as plain diffusion (our choice)
_CLOSE = 0.05  # the theory holds where the interval comes so near to it (our choice)
_RESAMPLES = 5000


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class DiffusionDiagram(Result, renamed={"n_starts": "n_walkers"}):
    """Displacement of walks by Hurst exponent, surface and learning rate, with the exponents and regions they give.

    Attributes
    ----------
    curves : ndarray, shape (n_hursts, n_surfaces, n_rates, n_lags)
        Mean squared displacement over starts, pixels squared.
    at_rest : ndarray, shape (n_hursts, n_surfaces, n_rates)
        Share of the walks that are trapped.
    exponents : ndarray, shape (n_hursts, n_rates)
        Slope of the mean curve in log-log coordinates; NaN where nothing moves.
    low, high : ndarray, shape (n_hursts, n_rates)
        Ends of its 95 % bootstrap interval over surfaces.
    hursts, learning_rates, lag_times : ndarray
    waiting_time, n_walkers : int
    provenance : Provenance
    """

    curves: np.ndarray
    at_rest: np.ndarray
    exponents: np.ndarray
    low: np.ndarray
    high: np.ndarray
    hursts: np.ndarray
    learning_rates: np.ndarray
    lag_times: np.ndarray
    waiting_time: int
    n_walkers: int
    provenance: Provenance

    n_starts = FormerName("n_walkers")

    @classmethod
    def of(
        cls,
        *,
        curves: Array,
        at_rest: Array,
        hursts: Array,
        learning_rates: Array,
        lag_times: Array,
        waiting_time: int,
        n_walkers: int,
        provenance: Provenance,
    ) -> DiffusionDiagram:
        """Return the diagram that curves and shares at rest make, with its exponents and their intervals over surfaces."""
        exponents, low, high = _exponents(curves, lag_times)
        return cls(
            curves=curves,
            at_rest=at_rest,
            exponents=exponents,
            low=low,
            high=high,
            hursts=hursts,
            learning_rates=learning_rates,
            lag_times=lag_times,
            waiting_time=waiting_time,
            n_walkers=n_walkers,
            provenance=provenance,
        )

    @property
    def regions(self) -> Array:
        """Index into `REGIONS`, shape (n_hursts, n_rates): trapped where most walks rest, diffusive from exponent 0.9."""
        moving = np.where(self.exponents >= _DIFFUSIVE, 2, 1)
        return np.where((self.at_rest.mean(axis=1) > 0.5) | np.isnan(self.exponents), 0, moving)

    @property
    def law_holds(self) -> Array:
        """Where walks move and the interval comes within 0.05 of the theory's exponent, shape (n_hursts, n_rates)."""
        law = diffusion_exponent_law(self.hursts)[:, None]
        return (self.low - _CLOSE <= law) & (law <= self.high + _CLOSE) & (self.regions > 0)

    @property
    def typical_step(self) -> Array:
        """Root mean square step after the waiting time, in pixels, shape (n_hursts, n_rates)."""
        return np.sqrt(self.curves[..., 0].mean(axis=1))

    @property
    def step_correlation(self) -> Array:
        """Correlation of the gradient across one typical step, shape (n_hursts, n_rates)."""
        pairs = zip(self.typical_step, self.hursts, strict=True)
        return np.stack([gradient_correlation(step, hurst) for step, hurst in pairs])


@renamed(n_starts="n_walkers")
def diffusion_diagram(
    *,
    hursts: ArrayLike = HURSTS,
    learning_rates: ArrayLike = LEARNING_RATES,
    n_surfaces: int = 5,
    n_walkers: int = 30,
    waiting_time: int = 1000,
    lag_range: Pair = (1, 10),
    size: int = 1024,
    rng: Rng,
    folder: PathLike | None = None,
    executor: Executor | None = None,
) -> DiffusionDiagram:
    """Measure the short-time diffusion exponent on exact surfaces for each Hurst exponent and learning rate.

    Parameters
    ----------
    hursts : array_like
        Hurst exponents, in (0, 0.99]; 0.1 ... 0.9 in the paper.
    learning_rates : array_like
        In pixels squared per unit of loss; our choice of 13 from 30 to 100 000.
    n_surfaces : int
        Exact surfaces for each exponent. Surface i of each exponent is drawn from the same seed.
    n_walkers : int
        Walks for each surface and rate, from positions drawn uniformly.
    waiting_time : int
        Steps before displacement is measured, over a window of 900 steps (our choice).
    lag_range : (int, int)
        First and last lag of the fit; every lag between is used. The first is 1 for `typical_step` to be a step.
    size : int
        Pixels on a side.
    rng : int, SeedSequence or Generator
    folder : path-like, optional
        Each surface's result is written there when it is done; a call with the same settings resumes from what is there.
    executor : concurrent.futures.Executor, optional
        Computes the surfaces, one per job; threads of this process otherwise. The result does not depend on it.

    Returns
    -------
    DiffusionDiagram

    Raises
    ------
    ValueError
        When a setting is out of range, or `folder` holds results of other settings.

    Notes
    -----
    Intervals are percentile bootstrap over surfaces, with the percentiles moved out for the small number of surfaces
    (Hesterberg, Am. Stat. 69 (2015) 371): with two surfaces they are the range of the resampled exponents, with one NaN.
    """
    folder = None if folder is None else path("folder", folder)
    hursts = finite_vector("hursts", hursts)
    rates = finite_vector("learning_rates", learning_rates)
    require(
        (rates > 0).all() and len(rates), "learning_rates", rates, "be positive", "drop the others"
    )
    require(
        ((hursts > 0) & (hursts <= 0.99)).all() and len(hursts),
        "hursts",
        hursts,
        "lie in (0, 0.99]",
        "drop the others",
    )
    n_surfaces, n_walkers = (
        whole_number("n_surfaces", n_surfaces),
        whole_number("n_walkers", n_walkers),
    )
    waiting_time, size = (
        whole_number("waiting_time", waiting_time, minimum=0),
        whole_number("size", size, minimum=16),
    )
    rule, remedy = (
        "hold three lags at least, from 1",
        "pass (first, last) in steps, such as (1, 10)",
    )
    first, last = ascending_pair("lag_range", lag_range, remedy, rule)
    require(first >= 1 and first + 2 <= last, "lag_range", lag_range, rule, remedy)
    lags = np.arange(lag_range[0], lag_range[1] + 1)
    provenance = Provenance.of(
        "diffusion_diagram",
        rng=rng,
        hursts=hursts,
        learning_rates=rates,
        n_surfaces=n_surfaces,
        n_walkers=n_walkers,
        waiting_time=waiting_time,
        lag_range=tuple(lag_range),
        size=size,
    )
    seed = as_seed_sequence(rng)
    settings = {
        "learning_rates": rates.tolist(),
        "n_starts": n_walkers,  # its name in folders of older versions, which go on
        "waiting_time": waiting_time,
        "size": size,
        "lags": lags.tolist(),
        "window": _WINDOW,
        "seed": describe(seed),
    }
    jobs = [(hurst, index) for hurst in hursts for index in range(n_surfaces)]
    done = {job: _stored(folder, job, settings) for job in jobs}
    missing = sorted((job for job in jobs if done[job] is None), key=lambda job: job[1])
    noises = _Noises(seed, size)
    work = [(*job, noises, rates, n_walkers, waiting_time, lags) for job in missing]
    for job, result in zip(missing, _in_turn(_one_surface, work, executor), strict=True):
        done[job] = result
        if folder is not None:
            files.save_arrays(
                _file(folder, job), dict(zip(("curves", "at_rest"), result, strict=True)), settings
            )
    curves = np.stack([done[job][0] for job in jobs]).reshape(
        len(hursts), n_surfaces, len(rates), len(lags)
    )
    at_rest = np.stack([done[job][1] for job in jobs]).reshape(len(hursts), n_surfaces, len(rates))
    return DiffusionDiagram.of(
        curves=curves,
        at_rest=at_rest,
        hursts=hursts,
        learning_rates=rates,
        lag_times=lags,
        waiting_time=waiting_time,
        n_walkers=n_walkers,
        provenance=provenance,
    )


def gradient_correlation(distance: ArrayLike, hurst: float) -> Array:
    """Return the correlation of the grid gradient of a fractional Brownian surface with itself at a distance in pixels.

    Exact for central differences, averaged over directions: the covariance at separation r is proportional to the sum over
    the two axes e of |r + 2e|^(2H) + |r - 2e|^(2H) - 2 |r|^(2H); far out it falls as r^(2H-2), the more slowly the larger H.

    Parameters
    ----------
    distance : array_like
        In pixels, at least 0.
    hurst : float
        In (0, 1).

    Returns
    -------
    ndarray, shape of `distance`, float64

    Raises
    ------
    ValueError
        When a distance is negative or `hurst` outside (0, 1).

    Examples
    --------
    >>> import multifractal as mf
    >>> mf.gradient_correlation([0, 2, 20, 200], 0.7).round(3).tolist()
    [1.0, 0.505, 0.123, 0.031]
    """
    distance = finite_array("distance", distance, dtype=np.float64)
    require((distance >= 0).all(), "distance", distance, "be at least 0", "pass its size")
    hurst = positive_number("hurst", hurst)
    require(hurst < 1, "hurst", hurst, "lie in (0, 1)", "pass the surface's exponent")
    angles = (np.arange(256) + 0.5) * (np.pi / 512)
    x, y = distance[..., None] * np.cos(angles), distance[..., None] * np.sin(angles)
    shifted = sum(
        ((x + dx) ** 2 + (y + dy) ** 2) ** hurst for dx, dy in ((2, 0), (-2, 0), (0, 2), (0, -2))
    )
    return (shifted.mean(axis=-1) - 4 * distance ** (2 * hurst)) / (4 * 4**hurst)


class _Noises:
    """The noise of each realisation: exponents of one torus share it, so the last draw is kept for the jobs that follow."""

    def __init__(self, seed, size):
        self._seed, self._size = seed, size
        self._lock, self._key, self._drawn = threading.Lock(), None, None

    def __reduce__(self):  # another process draws for itself
        return _Noises, (self._seed, self._size)

    def draw(self, index, hurst):
        """Return the `SurfaceNoise` of realisation `index` for this exponent, and the Generator as the draw leaves it."""
        key = index, reach_for(hurst)
        with self._lock:
            if self._key != key:
                generator, shape = realisation(self._seed, index), (self._size, self._size)
                noise = noise_or_draw(None, shape, key[1], generator, np.dtype(np.float32))
                self._key, self._drawn = key, (noise, generator)
            return self._drawn[0], copy.deepcopy(self._drawn[1])


def _one_surface(hurst, index, noises, rates, n_walkers, waiting_time, lags):
    """Return the mean curves (n_rates, n_lags) and the share of walks at rest (n_rates,) on one surface."""
    noise, generator = noises.draw(index, hurst)
    surface = fbm_surface(noise.shape, hurst, noise=noise)
    return curves_on(surface, generator, rates, n_walkers, waiting_time, lags)


def curves_on(surface, generator, rates, n_walkers, waiting_time, lags):
    """Return what a diagram holds of one landscape: mean curves (n_rates, n_lags), share of walks at rest (n_rates,)."""
    starts = generator.uniform(0, np.array(surface.shape[::-1]) - 1, (n_walkers, 2))
    n_steps = waiting_time + _WINDOW + int(lags[-1]) - 1
    walks = descend_ensemble(
        surface, starts, learning_rates=rates, n_steps=n_steps, keep_last=n_steps + 1 - waiting_time
    )
    unfolded = walks.unfolded.reshape(len(rates) * n_walkers, -1, 2)
    curves = tamsd(unfolded, waiting_times=[0], lag_times=lags, window=_WINDOW).per_walk[:, 0]
    curves = curves.reshape(len(rates), n_walkers, len(lags))
    return curves.mean(axis=1), np.mean(curves[:, :, -1] < AT_REST, axis=1)


def _in_turn(function, work, executor):
    """Yield the results of the jobs in order, so that each can be kept before the next; cancel the rest on an error."""
    with (
        nullcontext(checked_executor(executor))
        if executor is not None
        else ThreadPoolExecutor(thread_count()) as pool
    ):
        futures = [pool.submit(function, *arguments) for arguments in work]
        try:
            for future in futures:
                yield future.result()
        except BrokenExecutor as error:
            raise died(
                error, "call again with a new executor; surfaces that are done stay in `folder`"
            ) from error
        finally:
            for future in futures:
                future.cancel()


def _file(folder, job):
    return Path(folder) / f"surface_H={float(job[0])!r}_{job[1]}.npz"


def _stored(folder, job, settings):
    if folder is None or not _file(folder, job).exists():
        return None
    arrays, stored = files.load_arrays(_file(folder, job))
    if stored != settings:
        raise refuse(
            "folder",
            str(folder),
            "hold results of the same settings",
            "pass another folder, or delete this one",
        )
    return arrays["curves"], arrays["at_rest"]


def _exponents(curves, lags):
    """Return the exponents of the mean curves and the ends of their intervals, each (n_hursts, n_rates)."""
    n_hursts, n, n_rates, _ = curves.shape
    exponents, low, high = np.full((3, n_hursts, n_rates), np.nan)
    draws = np.random.default_rng(0).integers(0, n, (_RESAMPLES, n))
    counts = np.stack([(draws == k).sum(axis=1) for k in range(n)], axis=1) / n
    centred = np.log(lags) - np.log(lags).mean()
    for place in np.ndindex(n_hursts, n_rates):
        cell = curves[place[0], :, place[1]]
        if (cell > 0).all():
            exponents[place] = np.log(cell.mean(axis=0)) @ centred / (centred @ centred)
            resampled = np.log(counts @ cell) @ centred / (centred @ centred)
            low[place], high[place] = percentile_interval(resampled, n=n)
    return exponents, low, high
