"""What a spectrum is worth: conditions of the method, quality of its fits, the verdict on the image, and warnings."""

import math
from dataclasses import dataclass

import numpy as np

from multifractal.analysis.artefacts import ANISOTROPY
from multifractal.analysis.scaling import fit_residuals, slope
from multifractal.analysis.verdict import UNIT_ERROR, verdict_of

# exact surfaces of H = 0.1 and 0.2 give c1 = 0.20 and 0.23 at the default settings
LOWEST_C1 = 0.26
# one coefficient gives 3x3 leaders: a moment that rests on fewer is the moment of that coefficient
_ONE_LEADER = 9
# A scatter of c2 by e makes D exceed 2 by up to e q^2 / 2 and h rise by e over each unit of q. On exact surfaces e has a standard
# deviation of 0.05 to 0.3 errors of a slope over the scales (H = 0.2 to 0.9, 129 to 1024 pixels): a result is no spectrum where it
# takes more than this.
NO_SPECTRUM = 1.0
# c1 scatters by 0.7 to 0.9 such errors there; c1 + c2 and the exponent of second differences, which are one number of a scale
# invariant image, may differ by this (our choice: more than the bias of c1 at any H and size) beyond twice their errors.
C1_ERROR, RANGE_TOLERANCE = 0.9, 0.1

NOISE_WARNING = (
    "the image is dominated by pixel noise: the spectrum measures that noise as much as the landscape; a "
    "section of a network with live dropout draws a new mask at every point, so map it in eval mode or with a "
    "fixed mask"
)
SMOOTH_WARNING = (
    "the image is smooth at pixel scale: exponents near or above 1 tell smoothness, not roughness"
)
KIND_WARNINGS = {
    "noise": NOISE_WARNING,
    "smooth": SMOOTH_WARNING,
    "jumps": "the image jumps along curves: moments of order 1 and more measure the jumps, not roughness",
    "cannot tell": "what the image is at pixel scale cannot be told: its second differences shrink with distance, as those of a "
    "pattern that alternates from pixel to pixel do, or soon grow no more, as those of smoothed noise do, or they are rounding",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Diagnostics:
    """What a spectrum is worth.

    Attributes
    ----------
    valid : bool
        Whether the method's condition holds (hmin > 0 for p = inf, eta(p) > 0 for p-leaders, integration counted in), the
        result is a spectrum (D at most 2 and h falling with q, within errors), and it is not one of a flat image.
    hmin : float
        Exponent of the largest wavelet coefficient (integration taken off): the lowest Hoelder exponent. It rests on one
        coefficient a scale and reads about 0.1 low on Gaussian surfaces (finer scales have more coefficients to pick the
        largest from), so that some exact surfaces of H = 0.3 fall below zero.
    eta_orders, eta : ndarray
        Orders p (1, 2 and the one asked for) and eta(p), the exponents of the mean |coefficient|^p (integration taken off).
    verdict, kind, rough_range, rough_exponent, pixel_noise_ratio, lags, exponents, anisotropy
        The judgement of the image at pixel scale; see
        `multifractal.analysis.verdict.Verdict`, of which `verdict` is the words.
    fit_residuals, r_squared : ndarray, shape (n_q,)
        Root mean square residual (log2 units) and explained share of each log-log fit behind zeta(q), weighted as the fit;
        at q = 0, where there is nothing to fit, 0 and 1.
    exponents_by_scale : ndarray, shape (n_scales - 1,)
        c1 from each pair of neighbouring scales alone (integration taken off): constant if the law is a power.
    flat_share : float
        Share of the pixels that are constant or linear to rounding.
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
    anisotropy: float
    fit_residuals: np.ndarray
    r_squared: np.ndarray
    exponents_by_scale: np.ndarray
    flat_share: float


def diagnostics_of(values, fit, *, p, integration, S, cumulants):
    """Return the Diagnostics of a fit, with S and cumulants by scale; `valid` is of the method's condition only."""
    orders = np.array(sorted({1.0, 2.0} | ({p} if p != math.inf else set())))
    eta = (
        np.array([coefficient_exponent(fit.coefficients, fit.w, order) for order in orders])
        - integration * orders
    )
    hmin = float(slope(fit.w, np.log2([largest(level) for level in fit.coefficients])))
    hmin -= integration
    valid = (hmin if p == math.inf else eta[orders == p][0] / p) + integration > 0
    residuals, mean = fit_residuals(fit.scales, fit.b, S), np.average(S, axis=0, weights=fit.b)
    spread = np.sqrt(np.average((S - mean) ** 2, axis=0, weights=fit.b))
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
        anisotropy=image.anisotropy,
        fit_residuals=residuals,
        r_squared=r_squared,
        exponents_by_scale=by_scale,
        flat_share=fit.flat_share,
    )


def coefficient_exponent(coefficients, w, p):
    """Return eta(p), the slope of log2 of the mean |coefficient|^p over all valid coefficients of a scale."""
    means = []
    for level in coefficients:
        powers = [band[np.isfinite(band)].astype(np.float64) ** p for band in level]
        means.append(sum(part.sum() for part in powers) / sum(part.size for part in powers))
    return float(slope(w, np.log2(means)))


def largest(level):
    """Return the largest of the coefficients of one scale."""
    return max(float(np.fmax.reduce(band, axis=None)) for band in level)


def reasons_against(diagnostics, fit, estimates, *, p, q):
    """Return why a spectrum is not valid, as a tuple of sentences: empty where it is."""
    said = []
    if not diagnostics.valid:
        name, value = (
            ("hmin", diagnostics.hmin) if p == math.inf else (f"eta({p:g})", _eta(diagnostics, p))
        )
        said.append(
            f"invalid: {name} = {value:.2f} is not positive, so leaders of p = {p:g} are not defined for this "
            "image; use a smaller p, or integrate (and read the exponents with care)"
        )
    if fit.flat_share and not fit.left_out:
        said.append(
            f"invalid: {_percent(fit.flat_share)} of the image is constant or linear to rounding, and too few leaders would be left "
            "without it: the spectrum measures rounding and the edges of the flat part"
        )
    h, D = estimates["h"], estimates["D"]
    allowed = NO_SPECTRUM * np.sqrt((fit.w**2 / fit.counts).sum())
    excess, rise = D - 2 - allowed * q**2 / 2, np.max(h - np.minimum.accumulate(h))
    if excess.max() > 0 or rise > allowed * np.ptp(q):
        said.append(
            f"invalid: this is no spectrum (D up to {D.max():.2f}, at q = {q[D.argmax()]:.3g}, where 2 is the most; h rises by "
            f"{rise:.2f} with q, which it never does): the scales of the fit do not follow one law"
        )
    return tuple(said)


def warnings_of(diagnostics, fit, estimates, values, *, q, moments):
    """Return the warnings that a spectrum carries, valid or not, as a tuple of sentences."""
    said = []
    c1, c2 = estimates["log_cumulants"][:2]
    if diagnostics.kind != "rough":
        said.append(KIND_WARNINGS[diagnostics.kind])
    if c1 < LOWEST_C1 and diagnostics.kind == "rough":
        said.append(
            f"c1 = {c1:.2f} is not reliable: leaders of surfaces rougher than H = 0.25 are biased upwards "
            "(H = 0.1 reads 0.20, H = 0.2 reads 0.23), so the exponent may be anything below 0.25"
        )
    pixels = int(np.isfinite(values).sum())
    said += _of_the_range(diagnostics, fit, c1, c2, pixels)
    if abs(diagnostics.anisotropy) > ANISOTROPY + 4 * np.sqrt(2) * UNIT_ERROR / np.sqrt(pixels):
        said.append(
            f"the image is anisotropic: the exponents of its differences along rows and along columns differ by "
            f"{diagnostics.anisotropy:+.2f}, and a spectrum of both together looks multifractal"
        )
    alone = np.array([m.n_effective for m in moments]) < _ONE_LEADER
    for j, row in zip(fit.scales, alone, strict=True):
        if row.any():
            said.append(
                f"at scale {j} the moments of q = {_listed(q[row])} rest on one neighbourhood of leaders; use a "
                "smaller |q|"
            )
    said += _of_what_is_left_out(fit, values)
    if len(fit.scales) == 2:
        said.append(
            "only two scales: the line through them has no residual, so linearity is not tested"
        )
    return tuple(said)


def _of_the_range(diagnostics, fit, c1, c2, pixels):
    """Return what is to say where leaders and second differences do not tell the same exponent."""
    found = diagnostics.rough_exponent
    if diagnostics.kind != "rough":
        return []
    if not diagnostics.rough_range:
        return [
            "no range of distances has a steady exponent: one number does not describe this image"
        ]
    error = np.hypot(
        C1_ERROR * np.sqrt((fit.w**2 / fit.counts).sum()),
        UNIT_ERROR * diagnostics.rough_range[0] / np.sqrt(pixels),
    )
    if c1 < LOWEST_C1 or abs(c1 + c2 - found) <= RANGE_TOLERANCE + 2 * error:
        return []
    first, last = diagnostics.rough_range
    return [
        f"c1 + c2 = {c1 + c2:.2f} over the scales of {2 ** fit.scales[0]} to {2 ** fit.scales[-1]} pixels, but second "
        f"differences grow with the exponent {found:.2f} from {first} to {last} pixels: the spectrum is of other structure"
    ]


def _of_what_is_left_out(fit, values):
    """Return what is to say of masked pixels, flat parts and leaders that are rounding."""
    said, masked = [], np.isnan(values)
    if masked.any():
        said.append(
            f"{_percent(masked.mean())} of the image is masked; leaders that need it were left out"
        )
    if fit.left_out:
        said.append(
            f"{_percent(fit.flat_share)} of the image is constant or linear to rounding; its leaders were "
            "left out"
        )
    elif n := sum(int((~np.isfinite(y)).sum()) for y in fit.logs) if not masked.any() else 0:
        said.append(
            f"{n} leaders below machine epsilon were left out: part of the image is constant or linear"
        )
    return said


def _percent(share):
    return f"{100 * share:.3g} %"


def _eta(diagnostics, p):
    return float(diagnostics.eta[diagnostics.eta_orders == p][0])


def _listed(q):
    return ", ".join(f"{value:.3g}" for value in q)
