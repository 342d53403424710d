"""The multifractal spectrum of an image from its wavelet leaders, with intervals and a judgement of its validity."""

import math
import numbers
from dataclasses import dataclass

import numpy as np

from multifractal._checks import finite_array, one_of, refuse, require, whole_number
from multifractal._result import Provenance, Result
from multifractal.leaders import leaders_of, wavelet_coefficients
from multifractal.scaling import log2_leaders, regression_weights, scale_moments, slope

MIN_LEADERS = 64  # a scale with fewer (8 x 8) enters only when asked for: a bootstrap block would be most of it


@dataclass(frozen=True, repr=False, eq=False)
class Spectrum(Result):
    """The multifractal spectrum of an image. Arrays over q have shape (n_q,), intervals (2, n_q): lower and upper end.

    Attributes
    ----------
    q : ndarray
        Orders of the moments, ascending.
    h, D : ndarray
        Hoelder exponent (fractional integration taken off) and dimension, a point of the spectrum for each q.
    zeta : ndarray
        Scaling exponents of the structure functions (integration taken off).
    log_cumulants : ndarray, shape (4,)
        c1 to c4; c1 is the most frequent exponent, c2 = 0 for a monofractal.
    scales, n_leaders : ndarray of int, shape (n_scales,)
        The levels j of the fit and how many leaders each has.
    structure_functions : ndarray, shape (n_scales, n_q)
        log2 of the mean of leader^q (integration not taken off).
    cumulants : ndarray, shape (n_scales, 4)
        Cumulants of ln(leader).
    settings : dict
        The keywords of the call.
    """

    q: np.ndarray
    h: np.ndarray
    D: np.ndarray
    zeta: np.ndarray
    log_cumulants: np.ndarray
    scales: np.ndarray
    n_leaders: np.ndarray
    structure_functions: np.ndarray
    cumulants: np.ndarray
    warnings: tuple
    settings: dict
    provenance: Provenance


def q_grid(smallest=0.01, largest=5.0, n=10):
    """Return the paper's orders of moments: 0, +-1, +-2 and +-n values log-spaced between two orders, ascending, distinct.

    Parameters
    ----------
    smallest, largest : float
        Ends of the log-spaced values; defaults the paper's for model surfaces (its real sections: 0.1 and 1).
    n : int
        How many on each side; default 10 (paper).

    Returns
    -------
    ndarray, float64
        25 values by default.
    """
    require(0 < smallest < largest < np.inf, "smallest, largest", (smallest, largest), "be positive and ascending",
            "pass for instance 0.01 and 5")
    positive = np.logspace(np.log10(smallest), np.log10(largest), whole_number("n", n, minimum=2))
    return np.unique(np.concatenate([-positive, positive, [-2, -1, 0, 1, 2]]))


PAPER_SECTION_SETTINGS = {
    "wavelet": "db3", "p": 1.0, "integration": 0.0, "correction": False, "first_scale": 1, "scales": (1, None),
    "weights": "count", "q": tuple(q_grid(0.1, 1, 10).tolist()), "floor": "absolute"}
PAPER_SURFACE_SETTINGS = {
    "wavelet": "db2", "p": math.inf, "integration": 10.0, "correction": True, "first_scale": 1, "scales": (1, 7),
    "weights": "uniform", "q": tuple(q_grid(0.01, 5, 10).tolist()), "floor": "absolute"}


def multifractal_spectrum(values, *, wavelet="db2", p=math.inf, integration=0.0, correction=True, first_scale=2,
                          scales=(3, None), weights="count", q=None, floor="relative", n_bootstrap=0, rng=None):
    """Return the multifractal spectrum of an image by wavelet leaders.

    Returns
    -------
    Spectrum
    """
    one_of("weights", weights, ("count", "uniform"))
    one_of("floor", floor, ("relative", "absolute"))
    q = _checked_q(q)
    settings = {"wavelet": wavelet, "p": p, "integration": integration, "correction": correction, "first_scale": first_scale,
                "scales": tuple(scales), "weights": weights, "floor": floor, "n_bootstrap": n_bootstrap}
    coefficients = wavelet_coefficients(values, wavelet, integration)
    leaders = leaders_of(coefficients, wavelet, p, first_scale)
    used = _scales_to_fit(scales, first_scale, [level.size for level in leaders])
    logs = [log2_leaders(leaders[j - first_scale], floor) for j in used]
    counts = np.array([len(y) for y in logs])
    b = counts if weights == "count" else np.ones(len(used))
    w = regression_weights(used, b)
    if correction and p != math.inf:
        eta = slope(w, [np.log2((coefficients[j - 1] ** p).mean()) for j in used])
        if eta > 0:
            logs = [y + _finite_size_shift(j - first_scale + 1, eta, p) for j, y in zip(used, logs, strict=True)]
    moments = [scale_moments(y, q) for y in logs]
    S, cumulants = np.array([m.S for m in moments]), np.array([m.cumulants for m in moments])
    log_cumulants = slope(w, cumulants) / np.log(2) - np.array([integration, 0, 0, 0])
    provenance = Provenance.of("multifractal_spectrum", rng=rng, values=np.asarray(values), **settings)
    return Spectrum(q, slope(w, [m.V for m in moments]) - integration, 2 + slope(w, [m.U for m in moments]),
                    slope(w, S) - integration * q, log_cumulants, used, counts, S, cumulants, (), settings, provenance)


def _finite_size_shift(n_levels, eta, p):
    """Return log2 of the p-leader correction for a scale that sums over so many levels (Leonarduzzi et al. 2016)."""
    return -np.log2((1 - 2 ** (-n_levels * eta)) / (1 - 2**-eta)) / p


def _checked_q(q):
    if q is None:
        return q_grid()
    q = finite_array("q", q, ndim=1, dtype=np.float64)
    require(len(q) > 0 and len(np.unique(q)) == len(q), "q", q, "hold distinct orders", "drop the repeated ones")
    return np.sort(q)


def _scales_to_fit(scales, first_scale, sizes):
    """Return the levels to fit as an array, refusing what the image does not have."""
    good = isinstance(scales, tuple | list) and len(scales) == 2 and all(
        j is None or (isinstance(j, numbers.Integral) and j >= first_scale) for j in scales) and scales[0] is not None
    require(good, "scales", scales, f"be (first, last) with {first_scale} = first_scale <= first, last may be None",
            "pass for instance (3, None)")
    first, last = scales
    available = first_scale + len(sizes) - 1
    if last is None:
        last = max([j for j in range(first, available + 1) if sizes[j - first_scale] >= MIN_LEADERS], default=0)
    if not first < last <= available:
        told = ", ".join(f"{j}: {size}" for j, size in enumerate(sizes, first_scale))
        raise refuse("scales", tuple(scales), f"give at least two scales of this image (scale: leaders are {told}; None "
                     f"stands for the last with {MIN_LEADERS} leaders)", "pass a larger image, a shorter wavelet or finer scales")
    return np.arange(first, last + 1)
