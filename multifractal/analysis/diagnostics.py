"""What a spectrum is worth: conditions of the method, quality of its fits, the verdict on the image, and warnings."""

import math
from dataclasses import dataclass

import numpy as np

from multifractal.analysis.scaling import fit_residuals, slope
from multifractal.analysis.verdict import verdict_of

# exact surfaces of H = 0.1 and 0.2 give c1 = 0.20 and 0.23 at the default settings
LOWEST_C1 = 0.26
# one coefficient gives 3x3 leaders: a moment that rests on fewer is the moment of that coefficient
_ONE_LEADER = 9
_ROUNDING = 32  # coefficients below so many epsilon of the largest value are rounding

NOISE_WARNING = (
    "the image is dominated by pixel noise: the spectrum measures that noise as much as the landscape; a "
    "section of a network with live dropout draws a new mask at every point, so map it in eval mode or with a "
    "fixed mask"
)
SMOOTH_WARNING = (
    "the image is smooth at pixel scale: exponents near or above 1 tell smoothness, not roughness"
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Diagnostics:
    """What a spectrum is worth.

    Attributes
    ----------
    valid : bool
        Whether the method's condition holds: hmin > 0 for p = inf, eta(p) > 0 for p-leaders, integration counted in.
    hmin : float
        Exponent of the largest wavelet coefficient (integration taken off): the lowest Hoelder exponent. It rests on one
        coefficient a scale and reads about 0.1 low on Gaussian surfaces (finer scales have more coefficients to pick the
        largest from), so that some exact surfaces of H = 0.3 fall below zero.
    eta_orders, eta : ndarray
        Orders p (1, 2 and the one asked for) and eta(p), the exponents of the mean |coefficient|^p (integration taken off).
    verdict, kind, rough_range, rough_exponent, pixel_noise_ratio, lags, exponents
        The judgement of the image at pixel scale; see
        `multifractal.analysis.verdict.Verdict`, of which `verdict` is the words.
    fit_residuals, r_squared : ndarray, shape (n_q,)
        Root mean square residual (log2 units) and explained share of each log-log fit behind zeta(q), weighted as the fit;
        at q = 0, where there is nothing to fit, 0 and 1.
    exponents_by_scale : ndarray, shape (n_scales - 1,)
        c1 from each pair of neighbouring scales alone (integration taken off): constant if the law is a power.
    """

    valid: bool
    hmin: float
    eta_orders: np.ndarray
    eta: np.ndarray
    verdict: str
    kind: str
    rough_range: tuple
    rough_exponent: float
    pixel_noise_ratio: float
    lags: np.ndarray
    exponents: np.ndarray
    fit_residuals: np.ndarray
    r_squared: np.ndarray
    exponents_by_scale: np.ndarray


def diagnostics_of(values, coefficients, *, scales, b, w, p, integration, S, cumulants):
    """Return the Diagnostics of a fit: the coefficients of its scales, weights b and w, S and cumulants by scale."""
    orders = np.array(sorted({1.0, 2.0} | ({p} if p != math.inf else set())))
    eta = (
        np.array([coefficient_exponent(coefficients, w, order) for order in orders])
        - integration * orders
    )
    hmin = float(slope(w, np.log2([largest(level) for level in coefficients]))) - integration
    valid = (hmin if p == math.inf else eta[orders == p][0] / p) + integration > 0
    residuals, mean = fit_residuals(scales, b, S), (b[:, None] * S).sum(axis=0) / b.sum()
    spread = np.sqrt((b[:, None] * (S - mean) ** 2).sum(axis=0) / b.sum())
    r_squared = (
        1 - np.divide(residuals, spread, out=np.zeros_like(spread), where=spread > 1e-12) ** 2
    )
    image = verdict_of(values)
    by_scale = np.diff(cumulants[:, 0]) / np.log(2) - integration
    return Diagnostics(
        valid=bool(valid),
        hmin=hmin,
        eta_orders=orders,
        eta=eta,
        verdict=image.words,
        kind=image.kind,
        rough_range=image.rough_range,
        rough_exponent=image.rough_exponent,
        pixel_noise_ratio=image.pixel_noise_ratio,
        lags=image.lags,
        exponents=image.exponents,
        fit_residuals=residuals,
        r_squared=r_squared,
        exponents_by_scale=by_scale,
    )


def coefficient_exponent(coefficients, w, p):
    """Return eta(p), the slope of log2 of the mean |coefficient|^p over all valid coefficients of a scale."""
    means = []
    for level in coefficients:
        total = sum((band.astype(np.float64) ** p).sum() for band in level)
        means.append(total / sum(band.size for band in level))
    return float(slope(w, np.log2(means)))


def largest(level):
    """Return the largest of the coefficients of one scale."""
    return max(float(band.max()) for band in level)


def warnings_of(
    diagnostics, *, p, c1, q, scales, moments, n_dropped, coefficients, largest_value, epsilon
):
    """Return the warnings that a spectrum carries, as a tuple of sentences."""
    said = []
    if not diagnostics.valid:
        name, value = (
            ("hmin", diagnostics.hmin) if p == math.inf else (f"eta({p:g})", _eta(diagnostics, p))
        )
        said.append(
            f"invalid: {name} = {value:.2f} is not positive, so leaders of p = {p:g} are not defined for this "
            "image; use a smaller p, or integrate (and read the exponents with care)"
        )
    if diagnostics.kind != "rough":
        said.append(NOISE_WARNING if diagnostics.kind == "noise" else SMOOTH_WARNING)
    if c1 < LOWEST_C1 and diagnostics.kind == "rough":
        said.append(
            f"c1 = {c1:.2f} is not reliable: leaders of surfaces rougher than H = 0.25 are biased upwards "
            "(H = 0.1 reads 0.20, H = 0.2 reads 0.23), so the exponent may be anything below 0.25"
        )
    alone = np.array([m.n_effective for m in moments]) < _ONE_LEADER
    for j, row in zip(scales, alone, strict=True):
        if row.any():
            said.append(
                f"at scale {j} the moments of q = {_listed(q[row])} rest on one neighbourhood of leaders; use a "
                "smaller |q|"
            )
    if n_dropped:
        said.append(
            f"{n_dropped} leaders below machine epsilon were left out: part of the image is constant or linear"
        )
    if max(largest(level) for level in coefficients) < _ROUNDING * epsilon * largest_value:
        said.append(
            "the wavelet coefficients are rounding: the image is a polynomial to machine precision"
        )
    if len(scales) == 2:
        said.append(
            "only two scales: the line through them has no residual, so linearity is not tested"
        )
    return tuple(said)


def _eta(diagnostics, p):
    return float(diagnostics.eta[diagnostics.eta_orders == p][0])


def _listed(q):
    return ", ".join(f"{value:.3g}" for value in q)
