"""Curves: one for each sample (a surface, a walk, a seed) over one abscissa; what figures draw with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multifractal.base.result import Provenance, Result
from multifractal.base.statistics import (
    Estimate,
    mean_and_error,
    mean_interval,
    one_more_interval,
    percentile_interval,
)
from multifractal.base.types import Array


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Curves(Result):
    """A quantity along an abscissa, measured on several samples.

    Attributes
    ----------
    x : ndarray, shape (n_x,)
        The abscissa; n_x + 1 edges where the samples are histograms.
    samples : ndarray, shape (n_samples, n_x)
        NaN where not measured.
    over : str
        What the samples are: "surfaces", "walks", "seeds", ...
    provenance : Provenance
    """

    x: np.ndarray
    samples: np.ndarray
    over: str
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def mean(self) -> Estimate:
        """Estimate of the mean over samples, shape (n_x,)."""
        return mean_interval(self.samples, axis=0, of=self.over)

    @property
    def geometric_mean(self) -> Estimate:
        """Estimate of the geometric mean over the samples that are positive, shape (n_x,): Student's interval of the logarithm.

        Where none is, though some were measured, it is 0 without an interval.
        """
        positive = self.samples > 0
        logs = np.where(positive, np.log(np.where(positive, self.samples, 1.0)), np.nan)
        found = mean_interval(logs, axis=0, of=f"logarithms, {self.over}")
        value, low, high = np.exp(np.array([found.value, found.low, found.high]))
        value = np.where((found.n == 0) & ~np.isnan(self.samples).all(axis=0), 0.0, value)
        return Estimate(value=value, low=low, high=high, n=found.n, how=found.how)

    @property
    def prefactor(self) -> float:
        """The m of y = m x: the mean over the abscissa of the mean curve over x."""
        return float((self.mean.value / self.x).mean())

    def log_centre(self, part: slice = slice(None)) -> tuple[float, float]:
        """Return (x, y) in the middle of a part of the geometric mean on log axes; y is NaN where the part is not all positive."""
        x, y = self.x[part], np.asarray(self.geometric_mean.value)[part]
        height = np.exp(np.log(y).mean()) if (y > 0).all() else np.nan
        return float(np.exp(np.log(x).mean())), float(height)

    @property
    def median(self) -> Array:
        """Median over samples, shape (n_x,); NaN where there are none."""
        known = ~np.isnan(self.samples).all(axis=0)
        return np.where(known, np.nanmedian(np.where(known, self.samples, 0.0), axis=0), np.nan)

    @property
    def spread(self) -> Array:
        """Standard deviation of the samples, shape (n_x,); NaN with fewer than two."""
        _, error, n = mean_and_error(self.samples, axis=0)
        return error * np.sqrt(n)

    @property
    def one_more(self) -> Array:
        """Where one further sample is expected with 95 %, samples being normal, shape (2, n_x)."""
        return one_more_interval(self.samples, axis=0)

    @property
    def middle(self) -> Array:
        """What the middle 95 % of the samples fill, shape (2, n_x)."""
        return percentile_interval(self.samples, axis=0)

    @property
    def range(self) -> Array:
        """Smallest and largest sample, shape (2, n_x)."""
        return np.array([np.nanmin(self.samples, axis=0), np.nanmax(self.samples, axis=0)])

    def share_above(self, threshold: float) -> Array:
        """Return the share of the samples above `threshold` among those that were measured, shape (n_x,)."""
        known = (~np.isnan(self.samples)).sum(axis=0)
        above = (self.samples > threshold).sum(axis=0)
        return np.divide(above, known, out=np.full(known.shape, np.nan), where=known > 0)
