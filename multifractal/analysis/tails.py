"""Heavy tails: the exponent of a sample's tail by four estimators, whose agreement tells stable noise from what only looks like it.

A sum of alpha-stable variables is alpha-stable: its tail P(|X| > x) falls as x^(-alpha), alpha < 2, and grouping samples changes
its scale only. Each estimator below assumes something that data need not have. Hill's asks only for a power-law tail and says
nothing of stability; the other three assume a symmetric stable law, so on light tails they are wrong in their own ways. In
particular the block estimator used for the noise of SGD reads alpha < 2 from light-tailed samples of unequal variance.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

from multifractal.base.checks import finite_array, one_of, require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_generator
from multifractal.base.statistics import percentile_interval
from multifractal.base.types import ArrayLike, Rng

METHODS = ("hill", "quantiles", "characteristic", "blocks")
_LEAST = 100  # samples
_ALPHAS = np.linspace(0.5, 2.0, 61)
_T = np.array(
    [0.2, 0.4, 0.6, 0.8, 1.0]
)  # arguments of the characteristic function, in units of the scale


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class TailIndex(Result):
    """The tail exponent of a sample by several estimators.

    Attributes
    ----------
    methods : tuple of str
        The estimators, in the order of the arrays below.
    alpha : ndarray, shape (n_methods,), float64
        "hill" may be any positive number; the others, which assume a stable law, end at 2.
    interval : ndarray, shape (2, n_methods), float64
        95 % interval (low, high) by a bootstrap of runs of `run_length` samples; of "blocks" by one of whole blocks.
    tail_size : int
        Largest samples that Hill's estimator used.
    block_sizes : ndarray, shape (n_blocks,), int64
    by_block : ndarray, shape (n_blocks,), float64
        The block estimator for each size of block: constant for stable noise.
    block_interval : ndarray, shape (2, n_blocks), float64
        Its 95 % interval, axis 0 = (low, high).
    n : int
        Samples.
    provenance : Provenance
    """

    methods: tuple
    alpha: np.ndarray
    interval: np.ndarray
    tail_size: int
    block_sizes: np.ndarray
    by_block: np.ndarray
    block_interval: np.ndarray
    n: int
    provenance: Provenance

    @property
    def steady(self) -> bool:
        """Whether the block estimates of the smallest and the largest blocks agree within their intervals."""
        low, high = self.block_interval
        return bool(low[0] <= high[-1] and low[-1] <= high[0])

    @property
    def agree(self) -> bool:
        """Whether the intervals of all estimators that assume a stable law (all but Hill's) share a value."""
        stable = [k for k, method in enumerate(self.methods) if method != "hill"]
        low, high = self.interval[:, stable]
        return bool(low.max(initial=-np.inf) <= high.min(initial=np.inf))


def tail_index(
    samples: ArrayLike,
    *,
    methods: Sequence[str] = METHODS,
    run_length: int = 1,
    n_bootstrap: int = 200,
    rng: Rng | None = None,
) -> TailIndex:
    """Estimate the tail exponent alpha of samples, each estimator with its interval.

    Parameters
    ----------
    samples : array_like, any shape
        At least 100 finite numbers, taken in the order of the flattened array; they are centred at their median.
    methods : sequence of {"hill", "quantiles", "characteristic", "blocks"}
        Hill (1975) on the tail where the power law fits best (Clauset, Shalizi & Newman 2009); McCulloch's quantiles (1986)
        of a symmetric stable law; regression on the empirical characteristic function (Koutrouvelis 1980, one step); the
        block estimator of Mohammadi, Mohammadpour & Ogata (2015), as used for the noise of SGD.
    run_length : int
        Consecutive samples that the bootstrap draws together; take it longer than the samples' memory. Our choice: 1.
    n_bootstrap : int
    rng : int, SeedSequence or Generator
        For the bootstrap.

    Returns
    -------
    TailIndex

    Raises
    ------
    ValueError
        With fewer than 100 samples, or if half of them are equal.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_cauchy(4000)
    >>> found = tail_index(noise, rng=0)
    >>> bool(found.agree), bool(found.steady)
    (True, True)
    """
    x = finite_array("samples", samples, dtype=np.float64).ravel()
    require(
        len(x) >= _LEAST, "samples", len(x), f"hold at least {_LEAST} numbers", "pass more of them"
    )
    x = x - np.median(x)
    require(
        np.median(np.abs(x)) > 0,
        "samples",
        float(np.median(np.abs(x))),
        "vary: half of them are equal, so they have no scale",
        "pass samples of a continuous quantity",
    )
    require(
        isinstance(methods, list | tuple) and len(methods) > 0,
        "methods",
        methods,
        "be a list or tuple of names, one at least",
        f"choose among {METHODS}",
    )
    methods = tuple(one_of("methods", method, METHODS) for method in methods)
    run = whole_number("run_length", run_length)
    count = whole_number("n_bootstrap", n_bootstrap, minimum=20)
    sizes = _block_sizes(len(x))
    generator = as_generator(0 if rng is None else rng)
    single = [method for method in methods if method != "blocks"]
    found = {method: _RULES[method](x) for method in single}
    draws = [[_RULES[m](x[r]) for m in single] for r in _resamples(len(x), run, count, generator)]
    interval = dict(zip(single, percentile_interval(np.reshape(draws, (count, -1))).T, strict=True))
    by_block, block_interval = _over_sizes(x, sizes, count, generator)
    found["blocks"], interval["blocks"] = (
        by_block[len(sizes) // 2],
        block_interval[:, len(sizes) // 2],
    )
    return TailIndex(
        methods=methods,
        alpha=np.array([found[method] for method in methods]),
        interval=np.array([interval[method] for method in methods]).T,
        tail_size=_tail(x)[1],
        block_sizes=sizes,
        by_block=by_block,
        block_interval=block_interval,
        n=len(x),
        provenance=Provenance.of(
            "tail_index", rng=rng, samples=x, methods=methods, run_length=run, n_bootstrap=count
        ),
    )


def _resamples(n, run, count, generator):
    """Yield the rows of each bootstrap sample: runs of consecutive samples, drawn with replacement, around the end."""
    for _ in range(count):
        begins = generator.integers(n, size=-(-n // run))
        yield ((begins[:, None] + np.arange(run)) % n).ravel()[:n]


def _over_sizes(x, sizes, count, generator):
    """Return the block estimate for each size of block, and its interval by a bootstrap of whole blocks."""
    found, intervals = [], []
    for size in sizes:
        gains = _gains(x, size)
        picked = generator.integers(len(gains), size=(count, len(gains)))
        found.append(_alpha_of_gain(gains.mean(), size))
        low, high = percentile_interval(
            gains[picked].mean(axis=1)
        )  # finite, where alpha may not be
        intervals.append(_alpha_of_gain(np.array([high, low]), size))
    return np.array(found), np.array(intervals).T


def _block_sizes(n):
    """Return four sizes of block between 4 and a size that leaves some 30 blocks."""
    return np.unique(np.geomspace(4, max(5, n // 30), 4).astype(np.int64))


def _by_hill(x):
    return _tail(x)[0]


def _tail(x):
    """Return Hill's estimate and the size of the tail whose law is closest to a power law (Kolmogorov's distance)."""
    magnitudes = np.abs(x)
    tail = np.sort(np.log(magnitudes[magnitudes > 0]))[::-1]
    sums = np.cumsum(tail)
    best = (np.inf, np.nan, 0)
    for k in np.unique(np.geomspace(20, max(21, len(tail) // 4), 40).astype(np.int64)):
        alpha = k / (sums[k - 1] - k * tail[k])
        survival = np.exp(-alpha * (tail[:k] - tail[k]))  # of the fitted law, largest sample first
        distance = np.abs(survival - np.arange(1, k + 1) / k).max()
        if distance < best[0]:
            best = (distance, alpha, int(k))
    return best[1], best[2]


def _by_quantiles(x):
    """Return McCulloch's estimate for a symmetric law, from the ratio of the 90 % to the 50 % range."""
    q05, q25, q75, q95 = np.quantile(x, [0.05, 0.25, 0.75, 0.95])
    ratio = (q95 - q05) / (q75 - q25)
    return float(np.interp(ratio, _ratios()[::-1], _ALPHAS[::-1]))


@functools.cache
def _ratios():
    """Return the ratio of the 90 % to the 50 % range of symmetric stable laws, for each of `_ALPHAS`."""
    return np.array([stable_quantile(0.95, a) / stable_quantile(0.75, a) for a in _ALPHAS])


def stable_quantile(probability, alpha):
    """Return a quantile above the median of the symmetric stable law with characteristic function exp(-|t|^alpha)."""
    top = 10.0 * (1 - probability) ** (-1 / alpha)
    return brentq(lambda x: _stable_distribution(x, alpha) - probability, 0.0, top, xtol=1e-10)


def _stable_distribution(x, alpha):
    """Return P(X < x), x >= 0, by Zolotarev's integral (Nolan 1997, theorem 1, beta = 0)."""
    if x == 0:
        return 0.5
    if abs(alpha - 1) < 1e-9:
        return 0.5 + np.arctan(x) / np.pi
    power = alpha / (alpha - 1)

    def integrand(theta):
        v = (
            (np.cos(theta) / np.sin(alpha * theta)) ** power
            * np.cos((alpha - 1) * theta)
            / np.cos(theta)
        )
        return np.exp(-(x**power) * v)

    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        area = quad(integrand, 1e-12, np.pi / 2 - 1e-12, limit=200)[0] / np.pi
    return 1 - area if alpha > 1 else 0.5 + area


def _by_characteristic(x):
    """Return the slope of log(-log |phi(t)|^2) against log t, t in units of the scale; at most 2."""
    q25, q75 = np.quantile(x, [0.25, 0.75])
    unit = x / ((q75 - q25) / 2)
    phi = np.abs(np.exp(1j * np.outer(_T, unit)).mean(axis=1)) ** 2
    slope = np.polyfit(np.log(_T), np.log(-np.log(np.clip(phi, 1e-12, 1 - 1e-12))), 1)[0]
    return float(min(slope, 2.0))


def _gains(x, size):
    """Return, for each block, log |its sum| minus the mean of log |its samples|; blocks with a zero are left out."""
    blocks = x[: len(x) // size * size].reshape(-1, size)
    with np.errstate(divide="ignore"):
        gains = np.log(np.abs(blocks.sum(axis=1))) - np.log(np.abs(blocks)).mean(axis=1)
    return gains[np.isfinite(gains)]


def _alpha_of_gain(gain, size):
    """Return Mohammadi's estimate: the gain of a stable law is (log size) / alpha; inf where there is no gain."""
    with np.errstate(divide="ignore"):
        return np.where(gain > 0, np.log(size) / np.maximum(gain, 1e-300), np.inf)[()]


_RULES = {"hill": _by_hill, "quantiles": _by_quantiles, "characteristic": _by_characteristic}
