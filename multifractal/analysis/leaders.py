"""Wavelet leaders and p-leaders of an image.

Formulae: Wendt, Roux, Jaffard & Abry, Signal Processing 89 (2009), and for p-leaders Leonarduzzi et al., IEEE Trans. Signal
Process. 64 (2016). No border is ever extended: coefficients that would need data beyond the image are left out, and so are
the leaders that need such a coefficient; a masked pixel is no data either. A coefficient that is nothing but rounding (of a
flat or linear part of the image) is set to zero, so that no moment of negative order lives on it.

Symbols of the kernels: h low-pass filter of L = 2 N taps, g_m = (-1)^m h_m; with x the approximation at the level before,
a_k = sum_m h_m x[2k + m] and d_k = sum_m g_m x[2k + 1 - m]; rows first, then columns. At every level valid a_k start at
k = 0 and valid d_k at k = N - 1. Each orientation is kept on its own valid region; leaders need the common one, from N - 1
on in both directions, where entry r is k = r + N - 1 and its children are entries 2r + N - 1 and 2r + N of the level before.
"""

from __future__ import annotations

import dataclasses
import math
import numbers

import numpy as np
import pywt

from multifractal.base.checks import finite_unless_masked, refuse, require, whole_number
from multifractal.base.chunks import map_chunks
from multifractal.base.deprecation import renamed
from multifractal.base.kernels import kernel
from multifractal.base.result import Provenance, Result
from multifractal.landscapes.landscape import LandscapeLike

_ROWS_PER_CHUNK = 128
# Coefficients below this many epsilon of the largest |value| that they touch are rounding: constants and planes gave up to 2.7
# (db2 to db12, sym8, coif3, float32 and float64, 7 levels).
_ROUNDING = 8


@dataclasses.dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class WaveletLeaders(Result):
    """Leaders of an image, scale by scale.

    Attributes
    ----------
    scales : ndarray of int, shape (n,)
        The levels j; a leader of level j stands for 2^j pixels.
    leaders : tuple of n ndarrays, each two-dimensional
        Leaders of each level, row and column in step with the image, valid region only; in units of the image. 0 where
        all coefficients are rounding, NaN where one touches a masked pixel.
    wavelet : str
    p, integration : float
    first_scale : int
        As asked.
    provenance : Provenance
    """

    scales: np.ndarray
    leaders: tuple
    wavelet: str
    p: float
    integration: float
    first_scale: int
    provenance: Provenance


@renamed(values="landscape")
def wavelet_leaders(
    landscape: LandscapeLike,
    *,
    wavelet: str = "db2",
    p: float = math.inf,
    integration: float = 0.0,
    first_scale: int = 2,
) -> WaveletLeaders:
    """Return the wavelet leaders (p = inf) or p-leaders of an image at every scale, without finite-size correction.

    A leader is the largest |coefficient| (L1-normalised) in the 3x3 neighbourhood of its place, at its own and all finer
    levels down to `first_scale`, over the three orientations; a p-leader has a sum of p-th powers, over all of these, in
    place of the maximum (Leonarduzzi et al. 2016).

    Parameters
    ----------
    landscape : Landscape or array_like of shape (rows, cols)
        The image; float32 is kept, all else becomes float64. Of a masked array the leaders are left out (NaN) that need
        a masked pixel.
    wavelet : str
        An orthogonal wavelet that PyWavelets knows. Default "db2" (our choice; the paper's sections: "db3").
    p : float
        Order, positive; default infinity (our choice: no condition but hmin > 0).
    integration : float
        Order of the fractional integration applied to the coefficients, 0 to 20. Default 0 (our choice).
    first_scale : int
        The finest level from which leaders are built. Default 2 (our choice: coefficients of level 1 are aliased, and
        leaders would carry that to all scales; the paper: 1).

    Returns
    -------
    WaveletLeaders

    Raises
    ------
    ValueError
        When the image holds NaN or inf, is constant, or is too small for one level of leaders.
    """
    coefficients = wavelet_coefficients(landscape, wavelet, integration)
    leaders = leaders_of(coefficients, wavelet, p, first_scale)
    provenance = Provenance.of(
        "wavelet_leaders",
        landscape=np.asarray(landscape),
        wavelet=wavelet,
        p=p,
        integration=integration,
        first_scale=first_scale,
    )
    scales = np.arange(first_scale, first_scale + len(leaders))
    return WaveletLeaders(
        scales=scales,
        leaders=tuple(leaders),
        wavelet=wavelet,
        p=float(p),
        integration=float(integration),
        first_scale=int(first_scale),
        provenance=provenance,
    )


def wavelet_coefficients(landscape, wavelet="db2", integration=0.0, *, keep_rounding=False):
    """Return |wavelet coefficients| of an image, L1-normalised, for the levels 1 to J = floor(log2(n / (L + 3))).

    Parameters
    ----------
    landscape, wavelet, integration
        As for `wavelet_leaders`; n is the image's shorter side, L the number of taps.
    keep_rounding : bool
        Whether to leave coefficients that are rounding as they are, instead of setting them to 0.

    Returns
    -------
    list of tuples of three two-dimensional ndarrays
        |d_j| 2^(-j) 2^(integration j) of each level: details along the columns, along the rows, and along both, each on its
        own valid region; 0 where that is rounding, NaN where it touches a masked pixel.
    """
    low_pass = taps(wavelet)
    good = isinstance(integration, numbers.Real) and 0 <= integration <= 20
    require(
        good,
        "integration",
        integration,
        "lie in [0, 20]",
        "pass the order of fractional integration, 0 for none",
    )
    values = writeable(finite_unless_masked("landscape", landscape, ndim=2))
    smallest = 2 * (len(low_pass) + 3)
    require(
        min(values.shape) >= smallest,
        "landscape",
        values.shape,
        f"be at least {smallest} pixels a side for {wavelet}",
        "pass a larger image or a shorter wavelet",
    )
    require(
        np.nanmin(values) < np.nanmax(values),
        "landscape",
        values[0, 0],
        "vary",
        "a constant image has no leaders",
    )
    low_pass = low_pass.astype(values.dtype)
    image, coefficients = values, []
    for level in range(1, math.floor(math.log2(min(values.shape) / (len(low_pass) + 3))) + 1):
        values, details = _one_level(values, low_pass, 2.0 ** ((integration - 1) * level))
        coefficients.append(details)
    if not keep_rounding:
        _zero_rounding(coefficients, image, low_pass, integration)
    return coefficients


def writeable(values):
    """Return `values` in C order and writeable, copied only if needed: kernels are compiled for one kind of array only."""
    return np.require(values, requirements=["C", "W"])


def leaders_of(coefficients, wavelet="db2", p=math.inf, first_scale=2):
    """Return the leaders of `wavelet_coefficients` from level `first_scale` on, as long as any are valid.

    Returns
    -------
    list of two-dimensional ndarrays, the first of level `first_scale`
    """
    good = isinstance(p, numbers.Real) and not isinstance(p, bool) and p > 0
    require(
        good,
        "p",
        p,
        "be a positive number or infinity",
        "pass p=inf for leaders, p=1 or 2 for p-leaders",
    )
    whole_number("first_scale", first_scale)
    leaders, gathered, skipped = [], None, len(taps(wavelet)) // 2 - 1
    for level in range(first_scale, len(coefficients) + 1):
        gathered = _gathered(
            common_region(coefficients[level - 1], skipped), gathered, skipped, p, level
        )
        if min(gathered.shape) < 3:
            break
        leaders.append(_neighbourhoods(gathered, p, level))
        require(
            not np.isinf(leaders[-1]).any(),
            "p",
            p,
            "keep the leaders finite",
            "lower the integration or p",
        )
    if not leaders:
        raise refuse(
            "landscape",
            f"an image with {len(coefficients)} levels",
            f"have leaders at level {first_scale}",
            "pass a larger image, a shorter wavelet or a lower first_scale",
        )
    return leaders


def taps(wavelet):
    """Return the low-pass filter of an orthogonal wavelet of PyWavelets."""
    if not isinstance(wavelet, str) or wavelet not in pywt.wavelist(kind="discrete"):
        raise refuse(
            "wavelet",
            wavelet,
            "name a discrete wavelet of PyWavelets",
            "pass for instance 'db2' or 'db3'",
        )
    filters = pywt.Wavelet(wavelet)
    require(
        filters.orthogonal,
        "wavelet",
        wavelet,
        "be orthogonal",
        "pass a Daubechies wavelet such as 'db3'",
    )
    return np.array(filters.rec_lo)


def _one_level(values, low_pass, scale):
    """Return the next approximation and the scaled |details| of the three orientations, all valid ones."""
    n_taps = len(low_pass)
    low = [max((size - n_taps) // 2 + 1, 0) for size in values.shape]
    high = [max(size // 2 - n_taps // 2 + 1, 0) for size in values.shape]
    approximation, along_y, along_x, along_both = (
        np.empty(shape, values.dtype) for shape in (low, (high[0], low[1]), (low[0], high[1]), high)
    )
    shared = (
        values,
        low_pass,
        values.dtype.type(scale),
        approximation,
        along_y,
        along_x,
        along_both,
    )
    places = values.shape[0] // 2
    map_chunks(
        _filter_rows,
        [
            (*shared, first, min(first + _ROWS_PER_CHUNK, places))
            for first in range(0, places, _ROWS_PER_CHUNK)
        ],
    )
    return approximation, (along_y, along_x, along_both)


def _zero_rounding(coefficients, image, low_pass, integration):
    """Set to zero, in place, what is below the rounding of the largest |value| that a coefficient touches."""
    touched, skipped = np.nan_to_num(np.abs(image)), len(low_pass) // 2 - 1
    unit = _rounding_unit(low_pass)
    units = unit * 2.0 ** (integration * np.arange(1, len(coefficients) + 1))
    lowest = [min(band.min() for band in details if band.size) for details in coefficients]
    if (np.array(lowest) >= units * touched.max()).all():
        return
    for details, unit in zip(coefficients, units, strict=True):
        touched = _widest(_widest(touched, len(low_pass) // 2).T, len(low_pass) // 2).T
        for band, (down, right) in zip(details, ((1, 0), (0, 1), (1, 1)), strict=True):
            top, left = down * skipped, right * skipped
            under = touched[top : top + band.shape[0], left : left + band.shape[1]]
            band[band < unit * under] = 0


def _widest(x, reach):
    """Return the largest of the pairs 2k, 2k + 1 along the first axis, and of those nearer than `reach` pairs, for every k."""
    n = len(x) // 2
    pairs = np.maximum(x[: 2 * n : 2], x[1 : 2 * n : 2])
    if len(x) % 2:
        pairs = np.concatenate([pairs, x[-1:]])
    widest = pairs.copy()
    for shift in range(1, min(reach, len(pairs))):
        np.maximum(widest[shift:], pairs[:-shift], out=widest[shift:])
        np.maximum(widest[:-shift], pairs[shift:], out=widest[:-shift])
    return widest


def _rounding_unit(low_pass):
    """Return the rounding of a coefficient over the largest |value| it touches: of the sums, and of the filter's own table."""
    eps = np.finfo(low_pass.dtype).eps
    return _ROUNDING * eps + 2 * abs(low_pass[::2].sum() - low_pass[1::2].sum())


def common_region(details, skipped):
    """Return the three orientations on their common valid region, shape (3, rows, cols)."""
    along_y, along_x, along_both = details
    rows, cols = max(along_x.shape[0] - skipped, 0), max(along_y.shape[1] - skipped, 0)
    return np.stack([along_y[:rows, skipped:], along_x[skipped:, :cols], along_both[:rows, :cols]])


def _gathered(coefficients, finer, skipped, p, level):
    """Return the largest coefficient, or the sum of 4^j |c|^p, of each place: its three orientations and its descendants."""
    if p == math.inf:
        own, join = coefficients.max(axis=0), np.maximum
    else:
        with np.errstate(over="ignore"):  # refused later
            own, join = (coefficients.astype(np.float64) ** p).sum(axis=0) * 4.0**level, np.add
    if finer is not None:
        rows, cols = own.shape
        for i, k in ((0, 0), (0, 1), (1, 0), (1, 1)):
            own = join(own, finer[skipped + i :, skipped + k :][: 2 * rows : 2, : 2 * cols : 2])
    return own


def _neighbourhoods(gathered, p, level):
    """Return the leaders: `gathered` over each 3x3 neighbourhood that is whole."""
    join = np.maximum if p == math.inf else np.add
    over_rows = join(join(gathered[:-2], gathered[1:-1]), gathered[2:])
    joined = join(join(over_rows[:, :-2], over_rows[:, 1:-1]), over_rows[:, 2:])
    return joined if p == math.inf else (joined * 4.0**-level) ** (1 / p)


@kernel
def _filter_rows(values, h, scale, approximation, along_y, along_x, along_both, first, stop):
    """Write what belongs to the places first <= k < stop along the columns: approximation and scaled |details|."""
    n_taps = len(h)
    skipped = n_taps // 2 - 1
    g = h.copy()
    for m in range(1, n_taps, 2):
        g[m] = -g[m]
    top, bottom = max(2 * first + 2 - n_taps, 0), min(2 * stop + n_taps - 2, len(values))
    low = np.empty((bottom - top, approximation.shape[1]), values.dtype)
    high = np.empty((bottom - top, along_both.shape[1]), values.dtype)
    for i in range(top, bottom):
        _filter_one_row(values[i], h, g, low[i - top], high[i - top])
    for k in range(first, stop):
        if k < len(approximation):
            _combine(low, 2 * k - top, 1, h, approximation[k])
            _combine(high, 2 * k - top, 1, h, along_x[k])
            _scale_absolute(along_x[k], scale)
        if k >= skipped:
            _combine(low, 2 * k + 1 - top, -1, g, along_y[k - skipped])
            _scale_absolute(along_y[k - skipped], scale)
            _combine(high, 2 * k + 1 - top, -1, g, along_both[k - skipped])
            _scale_absolute(along_both[k - skipped], scale)


@kernel
def _filter_one_row(x, h, g, low, high):
    """Write a_k = sum_m h_m x[2k + m] and, from k = N - 1 on, d_k = sum_m g_m x[2k + 1 - m]."""
    even, odd = x[::2].copy(), x[1::2].copy()
    low[:] = 0
    high[:] = 0
    skipped = len(h) // 2 - 1
    for t in range(len(h) // 2):
        for k in range(len(low)):
            low[k] += h[2 * t] * even[k + t] + h[2 * t + 1] * odd[k + t]
        shift = skipped - t
        for k in range(len(high)):
            high[k] += g[2 * t] * odd[k + shift] + g[2 * t + 1] * even[k + shift]


@kernel
def _combine(rows, start, step, weights, out):
    """Write sum_m weights_m rows[start + step m]."""
    out[:] = 0
    for m in range(0, len(weights), 2):
        one, two = rows[start + step * m], rows[start + step * (m + 1)]
        for c in range(len(out)):
            out[c] += weights[m] * one[c] + weights[m + 1] * two[c]


@kernel
def _scale_absolute(x, scale):
    for c in range(len(x)):
        x[c] = abs(x[c]) * scale
