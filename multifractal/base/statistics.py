"""Estimates with their 95 % intervals: the one place where an interval is made.

An interval of a mean is Student's t always: with two samples its factor is 12.7, not 1.96. NaN marks what was not measured: it is
left out, and both the count `n` and the words of `how` say so. Every interval in the library is an array whose axis 0 is
(low, high); where an interval cannot be known, it is NaN.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import bdtr, ndtr, stdtrit

from multifractal.base.checks import real_array, require
from multifractal.base.types import Array, ArrayLike

TAIL = 0.025  # on either side of the 95 %


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """A number, or an array of numbers, with its 95 % interval.

    Attributes
    ----------
    value, low, high : float or ndarray
        The estimate and the ends of its 95 % interval, all of one shape; NaN ends where no interval is known.
    n : int or ndarray
        Independent samples that it rests on, without those that were NaN.
    how : str
        How value and interval were made, and of what.
    """

    value: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray
    n: int | np.ndarray
    how: str

    @property
    def interval(self) -> Array:
        """The ends of the interval, axis 0 = (low, high)."""
        return np.array([self.low, self.high])

    @property
    def bars(self) -> Array:
        """How far the interval reaches below and above the value, axis 0 = (below, above): what `errorbar` takes."""
        return np.array([self.value - self.low, self.high - self.value])

    def contains(self, number: float | Array) -> Any:
        """Return whether `number` lies in the interval, elementwise; False where there is no interval."""
        return (self.low <= number) & (number <= self.high)

    def __str__(self) -> str:
        if np.ndim(self.value):
            return f"{np.shape(self.value)} estimates, {self.how}"
        if not np.isfinite(self.interval).all():
            return f"{self.value:.3g} (no interval, {self.how})"
        digits = max(0, min(8, 2 - int(np.floor(np.log10(max(float(self.high - self.low), 1e-8))))))
        return (
            f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}] ({self.how})"
        )


def mean_interval(samples: ArrayLike, axis: int = -1, of: str = "samples") -> Estimate:
    """Return the mean of independent samples with its 95 % interval by Student's t.

    Parameters
    ----------
    samples : array_like
        NaN marks samples that were not measured: they are left out, and counted in the words of the estimate.
    axis : int
        The axis of the samples.
    of : str
        What the samples are, in the plural, for the words of the estimate.

    Returns
    -------
    Estimate
        Of the shape of `samples` without `axis`. The interval is NaN with fewer than two samples, the value with none.
        A mean of infinite samples is infinite, and its interval NaN.

    Raises
    ------
    ValueError
        When `samples` are no real numbers, have no such `axis`, or `of` is no text.

    Examples
    --------
    >>> print(mean_interval([1.0, 2.0, float("nan")]))
    1.5 [-4.9, 7.9] (mean of 2 samples, Student's t; 1 NaN left out)
    """
    samples = real_array("samples", samples, dtype=np.float64)
    axes = range(-samples.ndim, samples.ndim)
    require(
        isinstance(axis, numbers.Integral) and not isinstance(axis, bool) and axis in axes,
        "axis",
        axis,
        f"be an axis of samples of shape {samples.shape}",
        "pass an array of one dimension or more, and a number from -ndim to ndim - 1",
    )
    require(isinstance(of, str), "of", of, "be words", "pass a noun in the plural")
    mean, error, n = mean_and_error(samples, axis)
    low, high = student_interval(mean, error, n - 1)
    left_out = np.shape(samples)[axis] - n
    counts = (
        f"{np.min(n)} to {np.max(n)}" if np.size(n) and np.ptp(n) else f"{np.max(n, initial=0)}"
    )
    how = f"mean of {counts} {of}, Student's t"
    if np.sum(left_out):
        how += f"; {int(np.sum(left_out))} NaN left out"
    return Estimate(value=mean, low=low, high=high, n=n, how=how)


def mean_and_error(samples: ArrayLike, axis: int = -1) -> tuple[Any, Any, Any]:
    """Return (mean, standard error of it, count) over `axis` of the samples that are not NaN; NaN where too few."""
    samples = np.moveaxis(real_array("samples", samples, dtype=np.float64), axis, -1)
    there = ~np.isnan(samples)
    n = there.sum(axis=-1)
    mean = _divided(np.where(there, samples, 0.0).sum(axis=-1), n)
    with np.errstate(invalid="ignore"):  # an infinite mean has no deviations
        deviations = np.where(there, samples - mean[..., None], 0.0)
        error = np.sqrt(_divided((deviations**2).sum(axis=-1), (n - 1) * n))
    return mean[()], error[()], n[()]


def student_interval(value: float | Array, error: float | Array, degrees: int | Array) -> Array:
    """Return the 95 % interval of estimates with a standard error of `degrees` degrees of freedom, axis 0 = (low, high).

    For a jackknife or a regression. NaN without a degree of freedom, where the factor is infinite.
    """
    degrees = np.asarray(degrees)
    with np.errstate(invalid="ignore"):
        half = stdtrit(np.maximum(degrees, 1), 1 - TAIL) * np.where(degrees > 0, error, np.nan)
        return np.array([value - half, value + half])


def jackknife_interval(value: float | Array, left_out: Array) -> Array:
    """Return the 95 % interval of an estimate by its values with one sample `left_out` each, axis 0 = (low, high).

    The jackknife's standard error with Student's t of n - 1 degrees of freedom; samples along axis 0 of `left_out`.
    """
    n = len(left_out)
    error = np.sqrt((n - 1) / n * np.sum((left_out - np.mean(left_out, axis=0)) ** 2, axis=0))
    return student_interval(value, error, n - 1)


def percentile_interval(draws: ArrayLike, axis: int = 0, n: int | None = None) -> Array:
    """Return the interval that the middle 95 % of `draws` (a bootstrap's, or samples themselves) fill, axis 0 = (low, high).

    NaN are left out; NaN where all are. With `n`, the number of samples that a bootstrap resampled, the percentiles are moved
    out as far as Student's factor and the bootstrap's sqrt((n - 1) / n) ask for (Hesterberg, The American Statistician 69,
    2015); NaN for one sample.
    """
    draws = np.moveaxis(real_array("draws", draws, dtype=np.float64), axis, 0)
    require(len(draws) > 0, "draws", draws.shape, "hold at least one draw", "draw some")
    known = ~np.isnan(draws).all(axis=0) & (n is None or n > 1)
    tail = TAIL if n is None or n < 2 else ndtr(stdtrit(n - 1, TAIL) * np.sqrt(n / (n - 1)))
    ends = np.nanquantile(np.where(known, draws, 0.0), [tail, 1 - tail], axis=0)
    return np.where(known, ends, np.nan)


def median_interval(samples: ArrayLike, of: str = "samples") -> Estimate:
    """Return the median of independent samples with its interval by order statistics, which asks for no law of them.

    The k-th smallest and k-th largest, with k the largest for which the chance of missing the median is at most 5 %. NaN are
    left out. The interval is NaN with fewer than six samples, of which no two ends reach 95 %.
    """
    samples = real_array("samples", samples, ndim=1, dtype=np.float64)
    kept = np.sort(samples[~np.isnan(samples)])
    n = len(kept)
    # the chance that fewer than k of n lie below the median is below 0.025
    k = int(np.searchsorted(bdtr(np.arange(n), n, 0.5), TAIL)) if n else 0
    low, high = (float(kept[k - 1]), float(kept[n - k])) if k >= 1 else (np.nan, np.nan)
    how = f"median of {n} {of}, order statistics"
    if n < len(samples):
        how += f"; {len(samples) - n} NaN left out"
    value = float(np.median(kept)) if n else np.nan
    return Estimate(value=value, low=low, high=high, n=n, how=how)


def one_more_interval(samples: ArrayLike, axis: int = -1) -> Array:
    """Return the interval in which one further sample is expected with 95 %, samples being normal, axis 0 = (low, high).

    mean +- t sd sqrt(1 + 1/n): wider than the interval of the mean, and what a single published number is compared with.
    """
    mean, error, n = mean_and_error(samples, axis)
    return student_interval(mean, error * np.sqrt(n + 1), n - 1)


def _divided(total: Array, count: Array) -> Any:
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
