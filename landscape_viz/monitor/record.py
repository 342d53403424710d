"""EdgeRecord: what a monitor measured along a run, a row a measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from multifractal.base.checks import one_of, require
from multifractal.base.result import Provenance, Result
from multifractal.base.types import Array, ArrayLike, Pair
from multifractal.diffusion.displacement import (
    DiffusionExponent,
    Displacement,
    diffusion_exponent,
    tamsd,
)

ALWAYS = (
    "learning_rate",
    "loss",
    "gradient_norm",
    "update_norm",
    "distance",
    "critical_sharpness",
    "critical_sharpness_error",
)
WITH_CURVATURE = (
    "batch_sharpness",
    "batch_sharpness_error",
    "directional_sharpness",
    "largest_eigenvalue",
    "largest_eigenvalue_error",
    "preconditioned_sharpness",
    "preconditioned_sharpness_error",
    "noise_scale",
    "noise_scale_error",
    "stability_edge",
)
COLUMNS = ALWAYS + WITH_CURVATURE
INDICATORS = (
    "critical_sharpness",
    "batch_sharpness",
    "directional_sharpness",
    "largest_eigenvalue",
    "preconditioned_sharpness",
)


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class EdgeRecord(Result):
    """Indicators of the edge of stability along a training run; `record["loss"]` is a column.

    Attributes
    ----------
    steps : ndarray, shape (m,), int64
        The run's steps at which was measured.
    columns : dict of str to ndarray, shape (m,)
        `learning_rate` (eta); `loss`, `gradient_norm` and `update_norm` of the batch of that step; `distance` from where the
        run began; `critical_sharpness` 2 / eta_c, eta_c the learning rate at which the next update would leave the batch's
        loss as it is, and half the width of its bracket. NaN where the curvature was not measured: `batch_sharpness`
        E[g'Hg / |g|^2] over the last batches with its standard error; `directional_sharpness` u'Hu / -(g'u) along the update
        eta u; `largest_eigenvalue` of the Hessian and `preconditioned_sharpness`, that of P^(-1/2) H P^(-1/2), with their
        residuals; `noise_scale` in samples with its jackknife error; `stability_edge`, where steps on a quadratic diverge.
    positions : ndarray, shape (n, d)
        The weights projected on d random directions, so that squared distances are kept in the mean.
    position_steps : ndarray, shape (n,), int64
        Equally spaced.
    optimizer : str
    n_parameters : int
    seconds, seconds_of_run : float
        Spent in the monitor; and in all since its first step.
    provenance : Provenance
    """

    steps: np.ndarray
    columns: dict
    positions: np.ndarray
    position_steps: np.ndarray
    optimizer: str
    n_parameters: int
    seconds: float
    seconds_of_run: float
    provenance: Provenance

    def __getitem__(self, name: str) -> Array:
        """Return a column."""
        return self.columns[one_of("name", name, COLUMNS)]

    @property
    def cost(self) -> float:
        """The share of the run's time, without the monitor's, that the monitor took."""
        return self.seconds / max(self.seconds_of_run - self.seconds, 1e-9)

    def bound(self, indicator: str) -> Array:
        """Return what an indicator is held against, shape (m,).

        `stability_edge` for the eigenvalue that the optimiser's momentum and preconditioner act on, else 2 / eta; NaN for an
        eigenvalue that is not the one of this optimiser.
        """
        one_of("indicator", indicator, INDICATORS)
        with np.errstate(divide="ignore"):
            simple = 2 / self["learning_rate"]
        scaled = np.isfinite(self["preconditioned_sharpness"])
        if indicator == "preconditioned_sharpness":
            return np.where(scaled, self["stability_edge"], np.nan)
        if indicator == "largest_eigenvalue":
            return np.where(scaled, np.nan, self["stability_edge"])
        return simple

    def displacement(
        self,
        *,
        waiting_times: ArrayLike = (0,),
        lag_times: ArrayLike | None = None,
        window: int | None = None,
    ) -> Displacement:
        """Return the time-averaged displacement of the projected weights, times counted in kept positions.

        By default the lags grow by a factor of 1.3 up to a quarter of the positions, and the window takes the rest.
        """
        n = len(self.position_steps)
        require(
            n >= 16,
            "record",
            f"{n} positions",
            "hold at least 16 positions",
            "watch more steps, or pass a smaller `every`",
        )
        if lag_times is None:
            lag_times = np.unique(np.round(1.3 ** np.arange(np.log(n / 4) / np.log(1.3) + 1e-9)))
        lag_times = np.asarray(lag_times, dtype=np.int64)
        window = n - max(waiting_times) - int(lag_times.max()) if window is None else window
        return tamsd(
            self.positions, waiting_times=waiting_times, lag_times=lag_times, window=window
        )

    def displacement_exponent(
        self, lag_range: Pair | None = None, **settings: Any
    ) -> DiffusionExponent:
        """Return the `DiffusionExponent` of the run over a range of lags, in kept positions; None takes all lags."""
        found = self.displacement(**settings)
        ends = (found.lag_times[0], found.lag_times[-1]) if lag_range is None else lag_range
        return diffusion_exponent(found.lag_times, found.values[0], lag_range=ends)

    def __repr__(self):
        """Say how much was measured of what run."""
        n = int(np.isfinite(self["largest_eigenvalue"]).sum())
        return (
            f"EdgeRecord({len(self.steps)} measurements, {n} of the curvature, {self.optimizer}, "
            f"{self.n_parameters} parameters, {self.cost:.1%} of the run's time)"
        )
