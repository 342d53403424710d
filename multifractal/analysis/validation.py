"""What a setting of the spectrum is worth: its bias, spread and coverage on exact surfaces of known exponents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from multifractal.analysis.spectrum import multifractal_spectrum
from multifractal.base.checks import finite_vector, require, whole_number
from multifractal.base.chunks import map_chunks
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_seed_sequence, realisation
from multifractal.base.statistics import mean_and_error
from multifractal.base.types import ArrayLike, DTypeLike, Executor, Rng
from multifractal.landscapes.brownian import fbm_surface

N_CUMULANTS = 4


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class EstimatorValidation(Result):
    """Estimates of exact fractional Brownian surfaces against what is true: c1 = H, c2 = c3 = c4 = 0.

    Attributes
    ----------
    hurst : ndarray, shape (n_hurst,)
    log_cumulants : ndarray, shape (n_hurst, n_surfaces, 4)
        Every estimate.
    bias, spread, coverage : ndarray, shape (n_hurst, 4)
        Mean error of c1..c4, standard deviation between surfaces, and share of the surfaces with a 95 % interval whose
        interval holds the truth (NaN where none has one, or without bootstrap).
    valid : ndarray, shape (n_hurst,)
        Share of the surfaces on which the condition of the method holds.
    n, n_surfaces : int
        Side in pixels, and surfaces for each exponent.
    settings : dict
    provenance : Provenance
    """

    hurst: np.ndarray
    log_cumulants: np.ndarray
    bias: np.ndarray
    spread: np.ndarray
    coverage: np.ndarray
    valid: np.ndarray
    n: int
    n_surfaces: int
    settings: dict
    provenance: Provenance

    def table(self) -> str:
        """Return the validation as a Markdown table, one row for each exponent."""
        rows = [
            "| H | c1 bias | c1 spread | c2 bias | c2 spread | c1 covered | c2 covered | valid |",
            "|---" * 8 + "|",
        ]
        for hurst, bias, spread, covered, valid in zip(
            self.hurst, self.bias, self.spread, self.coverage, self.valid, strict=True
        ):
            rows.append(
                f"| {hurst:g} | {bias[0]:+.4f} | {spread[0]:.4f} | {bias[1]:+.4f} | {spread[1]:.4f} | "
                f"{_percent(covered[0])} | {_percent(covered[1])} | {_percent(valid)} |"
            )
        return "\n".join(rows)


def validate_estimator(
    hurst: ArrayLike = (0.3, 0.5, 0.7, 0.9),
    *,
    n: int = 512,
    n_surfaces: int = 8,
    rng: Rng,
    dtype: DTypeLike = np.float32,
    executor: Executor | None = None,
    **settings: Any,
) -> EstimatorValidation:
    """Return the bias and spread of `multifractal_spectrum` at some setting, measured on exact surfaces.

    Parameters
    ----------
    hurst : array_like
        Exponents, in (0, 0.99]. Default 0.3, 0.5, 0.7, 0.9 (our choice).
    n : int
        Side of the surfaces in pixels; default 512 (our choice).
    n_surfaces : int
        For each exponent, at least 2; default 8 (our choice).
    rng : int, SeedSequence or Generator
    dtype : float32 (default) or float64
    executor : concurrent.futures.Executor, optional
        Runs the surfaces; the result is the same.
    **settings
        Keywords of `multifractal_spectrum`; with `n_bootstrap` the coverage of the intervals is measured too.

    Returns
    -------
    EstimatorValidation

    Raises
    ------
    ValueError
        When `n_surfaces` is below 2, or an exponent or a setting is out of its range.
    """
    hurst = finite_vector("hurst", hurst)
    whole_number("n_surfaces", n_surfaces, minimum=2)
    require("rng" not in settings, "settings", "rng", "not hold a second rng", "pass rng once")
    provenance = Provenance.of(
        "validate_estimator", rng=rng, hurst=hurst, n=n, n_surfaces=n_surfaces, **settings
    )
    parent = as_seed_sequence(rng)
    chunks = [
        (float(H), n, realisation(parent, i * n_surfaces + m), dtype, settings)
        for i, H in enumerate(hurst)
        for m in range(n_surfaces)
    ]
    outcomes = (
        map_chunks(_one_surface, chunks, executor)
        if executor
        else [_one_surface(*chunk) for chunk in chunks]
    )
    estimates, covered, valid = (
        np.array(part).reshape(len(hurst), n_surfaces, -1) for part in zip(*outcomes, strict=True)
    )
    truth = np.zeros((len(hurst), 1, N_CUMULANTS))
    truth[:, 0, 0] = hurst
    return EstimatorValidation(
        hurst=hurst,
        log_cumulants=estimates,
        bias=(estimates - truth).mean(axis=1),
        spread=estimates.std(axis=1, ddof=1),
        coverage=mean_and_error(covered, axis=1)[0],
        valid=valid.mean(axis=(1, 2)),
        n=n,
        n_surfaces=n_surfaces,
        settings=settings,
        provenance=provenance,
    )


def _one_surface(hurst, n, generator, dtype, settings):
    """Return (c1..c4, whether each interval holds the truth or NaN, whether the method's condition holds)."""
    surface = fbm_surface(n, hurst, rng=generator, dtype=dtype)
    spectrum = multifractal_spectrum(
        surface, rng=generator if settings.get("n_bootstrap") else None, **settings
    )
    truth = np.array([hurst, 0.0, 0.0, 0.0])
    if spectrum.log_cumulants_interval is None:
        covered = np.full(N_CUMULANTS, np.nan)
    else:
        low, high = spectrum.log_cumulants_interval
        covered = np.where(np.isfinite(low), (low <= truth) & (truth <= high), np.nan)
    return spectrum.log_cumulants, covered, float(spectrum.diagnostics.valid)


def _percent(share):
    return "" if np.isnan(share) else f"{100 * share:.0f} %"
