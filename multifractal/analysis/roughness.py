"""How rough an image is, without wavelets: variogram, isotropic power spectrum, and a map of local Hoelder exponents."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from multifractal.base.checks import (
    ascending_pair,
    finite_array,
    finite_unless_masked,
    one_of,
    real_array,
    require,
    whole_number,
)
from multifractal.base.chunks import map_chunks
from multifractal.base.deprecation import FormerName, renamed
from multifractal.base.fourier import along, rfft2
from multifractal.base.kernels import kernel
from multifractal.base.result import Provenance, Result
from multifractal.base.types import ArrayLike, Pair
from multifractal.landscapes.landscape import LandscapeLike

_H_TABLE = np.linspace(0.002, 0.998, 499)  # exponents between which the amplitude law is inverted
_SECOND_DIFFERENCE = {-1: 1.0, 0: -2.0, 1: 1.0}
# sum over the plane of the squared correlations of Fourier coefficients under a Hann window: (1 + 2 (2/3)^2 + 2 (1/6)^2)^2
_CORRELATED = (35 / 18) ** 2
# pixels up to which correlations of second differences are added; they fall as r^(2H - 4)
_REACH = 24


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Variogram(Result):
    """Mean squared increments of an image.

    Attributes
    ----------
    lags : ndarray of int, shape (n,)
        In pixels.
    along_x, along_y, values : ndarray, shape (n,)
        Mean of |v(u + lag) - v(u)|^2 along the rows, along the columns, and the mean of both; in squared units of the image.
    hurst : float
        Half the slope of log values on log lags, unweighted, all lags; NaN with a single lag.
    provenance : Provenance
    """

    lags: np.ndarray
    along_x: np.ndarray
    along_y: np.ndarray
    values: np.ndarray
    hurst: float
    provenance: Provenance


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class PowerSpectrum(Result):
    """Isotropic power spectrum of an image: means over rings of wave numbers.

    Attributes
    ----------
    frequencies : ndarray, shape (n,)
        Mean wave number of each ring, in cycles per pixel.
    power : ndarray, shape (n,)
        Mean power of each ring, in squared units of the image times pixels^2 (its mean over all wave numbers of the plane
        is the variance of the image).
    n_modes : ndarray of int, shape (n,)
        Wave numbers in each ring.
    exponent, exponent_error : float
        beta in power ~ frequency^(-beta) over `fit_range`, and its standard error: that of a Gaussian image with such a
        spectrum under the window, or of the scatter of the rings where that is more.
    hurst : float
        (beta - 2) / 2, the exponent of a surface with that spectrum.
    fit_range : tuple
        Lowest and highest frequency of the fit.
    provenance : Provenance
    """

    frequencies: np.ndarray
    power: np.ndarray
    n_modes: np.ndarray
    exponent: float
    exponent_error: float
    hurst: float
    fit_range: tuple
    provenance: Provenance


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class LocalHoelder(Result, renamed={"window": "smoothing"}):
    """A map of local Hoelder exponents.

    Attributes
    ----------
    hoelder, standard_error : ndarray, shape (rows, cols)
        The exponent in a Gaussian window about each pixel, and the standard error it would have on an exact fractional
        Brownian surface of that exponent (a variation of the exponent within the window comes on top).
    smoothing : float
        Standard deviation of the window in pixels.
    method : str
    provenance : Provenance
    """

    hoelder: np.ndarray
    standard_error: np.ndarray
    smoothing: float
    method: str
    provenance: Provenance

    window = FormerName("smoothing")

    def compared_with(self, prescribed: ArrayLike, *, border: int = 0) -> Any:
        """Return (correlation, root mean square difference) of the exponents and prescribed ones, both (rows, cols).

        `border` pixels from each wall are left out: there the window is cut.
        """
        prescribed = real_array("prescribed", prescribed, dtype=np.float64)
        border = whole_number("border", border, 0)
        rows, cols = prescribed.shape
        inner = np.s_[border : rows - border, border : cols - border]
        expected, found = prescribed[inner], self.hoelder[inner]
        require(
            expected.size > 0,
            "border",
            border,
            "leave some pixels",
            "pass less than half the shorter side",
        )
        correlation = np.corrcoef(expected.ravel(), found.ravel())[0, 1]
        return float(correlation), float(np.sqrt(np.mean((found - expected) ** 2)))


@renamed(values="landscape")
def variogram(landscape: LandscapeLike, lags: ArrayLike | None = None) -> Variogram:
    """Return the variogram of an image along both axes.

    Parameters
    ----------
    landscape : Landscape or array_like of shape (rows, cols)
        Of a masked array the pairs are taken of which neither end is masked.
    lags : array_like of int, optional
        In pixels, at least 1 and below both sides. Default: about four an octave from 1 to a quarter of the shorter side
        (our choice).

    Returns
    -------
    Variogram

    Raises
    ------
    ValueError
        When the image holds NaN or inf, or a lag does not fit into it, or has no pair of unmasked pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from multifractal import variogram
    >>> y, x = np.mgrid[:32, :32]
    >>> variogram(3.0 * (x + y), lags=[1, 2, 4]).values.tolist()
    [9.0, 36.0, 144.0]
    """
    values = finite_unless_masked("landscape", landscape, ndim=2)
    mean_square = _mean_square if np.isfinite(values.sum()) else _mean_square_of_unmasked
    shortest = min(values.shape)
    require(shortest >= 4, "landscape", values.shape, "be at least 4x4", "pass a larger image")
    if lags is None:
        lags = np.unique(
            np.round(2 ** np.arange(0, np.log2(shortest / 4) + 1e-9, 0.25)).astype(int)
        )
    good = isinstance(lags, list | tuple | range) or (
        isinstance(lags, np.ndarray) and lags.ndim == 1
    )
    require(good, "lags", lags, "be a sequence of whole numbers", "pass a list")
    lags = np.array([whole_number("lags", lag) for lag in cast(Iterable[int], lags)])
    require(
        len(lags) > 0 and lags.max() < shortest,
        "lags",
        lags,
        f"hold lags below {shortest}, the shorter side",
        "pass shorter lags",
    )
    along_x, along_y = (
        np.array(
            map_chunks(
                mean_square, [(values, *step) for lag in lags for step in ((0, lag), (lag, 0))]
            )
        )
        .reshape(-1, 2)
        .T
    )
    mean = (along_x + along_y) / 2
    fits = len(lags) > 1 and mean.min() > 0
    hurst = float(np.polyfit(np.log(lags), np.log(mean), 1)[0] / 2) if fits else float("nan")
    return Variogram(
        lags=lags,
        along_x=along_x,
        along_y=along_y,
        values=mean,
        hurst=hurst,
        provenance=Provenance.of("variogram", landscape=values, lags=lags),
    )


@renamed(values="landscape")
def power_spectrum(landscape: LandscapeLike, fit_range: Pair | None = None) -> PowerSpectrum:
    """Return the isotropic power spectrum of an image, with its exponent.

    The mean is taken off and a Hann window applied, since the jump between opposite borders would otherwise leak a spectrum
    of its own into that of a rough surface.

    Parameters
    ----------
    landscape : Landscape or array_like of shape (rows, cols), at least 16x16
    fit_range : (float, float), optional
        Frequencies of the fit, in cycles per pixel. Default (our choice): from 4 cycles in the shorter side to 1/16, above
        which sampling folds back what lies beyond 1/2 (or to 12 cycles in the shorter side, if that is more).

    Returns
    -------
    PowerSpectrum

    Raises
    ------
    ValueError
        When the image is too small, constant, or holds NaN or inf, or fewer than three rings lie in `fit_range`.
    """
    values = finite_array("landscape", landscape, ndim=2)
    shortest = min(values.shape)
    require(shortest >= 16, "landscape", values.shape, "be at least 16x16", "pass a larger image")
    require(
        values.min() < values.max(),
        "landscape",
        values[0, 0],
        "vary",
        "a constant image has no spectrum",
    )
    low, high = (
        (4 / shortest, max(1 / 16, 12 / shortest))
        if fit_range is None
        else (ascending_pair("fit_range", fit_range, "pass two wave numbers in cycles a pixel"))
    )
    window = np.multiply.outer(*(_hann(size) for size in values.shape))
    transform = rfft2((values - values.mean()) * window)
    power = np.abs(transform) ** 2 / (window**2).sum()
    frequencies, power, n_modes = _ring_means(power, values.shape)
    fitted = (frequencies >= low) & (frequencies <= high) & (power > 0)
    require(
        fitted.sum() >= 3,
        "fit_range",
        (low, high),
        "hold at least 3 rings of wave numbers",
        "widen it",
    )
    exponent, error = _weighted_slope(
        np.log(frequencies[fitted]), np.log(power[fitted]), n_modes[fitted]
    )
    provenance = Provenance.of("power_spectrum", landscape=values, fit_range=fit_range)
    return PowerSpectrum(
        frequencies=frequencies,
        power=power,
        n_modes=n_modes,
        exponent=-exponent,
        exponent_error=error,
        hurst=(-exponent - 2) / 2,
        fit_range=(float(low), float(high)),
        provenance=provenance,
    )


@renamed(window="smoothing")
def local_hoelder(
    landscape: LandscapeLike,
    smoothing: float = 16.0,
    *,
    method: Literal["ratio", "amplitude"] = "ratio",
) -> LocalHoelder:
    """Return a map of local Hoelder exponents from second differences, in a Gaussian window about each pixel.

    With e_k the local mean square of v(u + k) - 2 v(u) + v(u - k), both axes:

    - "ratio" (default, our choice): H = log2(e_2 / e_1) / 2, for any image.
    - "amplitude": the H with e_1 = (4 - 2^(2H)) N^(-2H), N the longer side; far sharper, but only for surfaces normalised as
      this package's are, E|B(u) - B(v)|^2 = (|u - v| / N)^(2H). It is held within [0.002, 0.998].

    Parameters
    ----------
    landscape : Landscape or array_like of shape (rows, cols)
    smoothing : float
        Standard deviation of the window in pixels, at least 2; default 16 (our choice).
    method : {"ratio", "amplitude"}

    Returns
    -------
    LocalHoelder

    Raises
    ------
    ValueError
        When the image is smaller than 4 windows, holds NaN or inf, or is constant in some window.

    Examples
    --------
    >>> import multifractal as mf
    >>> surface = mf.fbm_surface(256, 0.4, rng=1)
    >>> found = mf.local_hoelder(surface)
    >>> abs(float(found.hoelder.mean()) - 0.4) < 0.1
    True
    """
    one_of("method", method, ("ratio", "amplitude"))
    good = (
        isinstance(smoothing, numbers.Real)
        and not isinstance(smoothing, bool)
        and 2 <= smoothing < 2**31
    )
    require(
        good, "smoothing", smoothing, "be a number of at least 2 pixels", "pass for instance 16"
    )
    values = finite_array("landscape", landscape, ndim=2, dtype=np.float64)
    require(
        min(values.shape) >= 4 * smoothing,
        "landscape",
        values.shape,
        f"be at least {4 * smoothing:g} pixels a side for this smoothing",
        "pass a larger image or a smaller smoothing",
    )
    energy = [
        _local_energy(values, step, smoothing) for step in ((1, 2) if method == "ratio" else (1,))
    ]
    require(
        min(e.min() for e in energy) > 0,
        "landscape",
        "a constant or linear patch",
        "vary within every window",
        "pass a larger smoothing",
    )
    hoelder = (
        np.log2(energy[1] / energy[0]) / 2
        if method == "ratio"
        else _from_amplitude(energy[0], max(values.shape))
    )
    nodes, unit_error = _unit_errors(method, max(values.shape))
    error = np.interp(hoelder, nodes, unit_error) * np.sqrt(
        _sum_of_squared_weights(values.shape, smoothing)
    )
    provenance = Provenance.of(
        "local_hoelder", landscape=values, smoothing=smoothing, method=method
    )
    return LocalHoelder(
        hoelder=hoelder,
        standard_error=error,
        smoothing=float(smoothing),
        method=method,
        provenance=provenance,
    )


def _mean_square_of_unmasked(values, down, right):
    """Return the mean that `_mean_square` does, over the pairs of which neither end is masked (NaN)."""
    n_rows, n_cols = values.shape
    steps = values[down:, right:].astype(np.float64) - values[: n_rows - down, : n_cols - right]
    there = np.isfinite(steps)
    require(
        there.any(),
        "landscape",
        f"no pair of unmasked pixels {down or right} apart",
        "have unmasked pairs at each lag",
        "pass shorter lags",
    )
    return np.square(steps[there]).mean()


def _hann(n):
    return np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2


def _ring_means(power, shape):
    """Return (frequency, power, modes) of rings as wide as one cycle in the shorter side, up to 1/2 cycle per pixel."""
    ky, kx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])
    radius = np.hypot(ky, kx)
    # The half plane stands for both halves, except its first column and, for an even side, its last.
    modes = np.where((kx == 0) | (kx == 0.5), 1.0, 2.0) * np.ones_like(ky)
    ring = np.round(radius * min(shape)).astype(np.int64).ravel()
    n_rings = min(shape) // 2 + 1
    n_modes, frequency, total = (
        np.bincount(ring, (modes * x).ravel(), n_rings)[1:n_rings] for x in (1, radius, power)
    )
    return frequency / n_modes, total / n_modes, np.round(n_modes).astype(int)


def _weighted_slope(x, y, n_modes):
    """Return the slope of y on x, weighted with the modes of each ring, and its standard error.

    The power of a mode has a relative variance of 1; modes k and -k are one; and the window correlates the power of modes with
    their neighbours', so that N of them tell what N / (2 _CORRELATED) independent ones would. The rings' own scatter cannot tell
    that, since rings share modes' noise: by itself it is half the error.
    """
    weights = n_modes / n_modes.sum()
    x, y = x - (weights * x).sum(), y - (weights * y).sum()
    spread = (weights * x**2).sum()
    slope = (weights * x * y).sum() / spread
    of_rings = np.sqrt((weights**2 * x**2 * (y - slope * x) ** 2).sum()) / spread
    of_modes = np.sqrt(2 * _CORRELATED / (n_modes.sum() * spread))
    return float(slope), float(max(of_modes, of_rings))


def _local_energy(values, step, window):
    """Return the Gaussian mean of the squared second differences along both axes, from those inside the image."""
    squared = np.zeros(values.shape)
    for axis in (0, 1):
        v, s = np.moveaxis(values, axis, 0), np.moveaxis(squared, axis, 0)
        s[step:-step] += (v[2 * step :] - 2 * v[step:-step] + v[: -2 * step]) ** 2
    everywhere, inside = [], []
    for size in values.shape:
        ones = np.ones(size)
        everywhere.append(gaussian_filter(ones, window, mode="constant"))
        ones[:step] = ones[-step:] = 0
        inside.append(gaussian_filter(ones, window, mode="constant"))
    weight = np.multiply.outer(inside[0], everywhere[1]) + np.multiply.outer(
        everywhere[0], inside[1]
    )
    for axis in (0, 1):
        along(functools.partial(gaussian_filter1d, sigma=window, mode="constant"), squared, axis)
    return squared / weight


def _from_amplitude(energy, n):
    law = np.log(4 - 4**_H_TABLE) - 2 * _H_TABLE * np.log(n)
    return np.interp(np.log(energy), law[::-1], _H_TABLE[::-1])


def _sum_of_squared_weights(shape, window):
    """Return, at each pixel, the sum of the squared weights of the normalised window."""
    along = []
    for size in shape:
        ones = np.ones(size)
        sums = gaussian_filter(ones, window, mode="constant")
        squares = gaussian_filter(ones, window / np.sqrt(2), mode="constant") / (
            2 * np.sqrt(np.pi) * window
        )
        along.append(squares / sums**2)
    return np.multiply.outer(*along)


@functools.cache
def _unit_errors(method, n):
    """Return (exponents, standard error of the local exponent for a sum of squared weights of 1).

    For a Gaussian field the covariance of two windowed mean squares is 2 sum_d rho(d)^2 per unit of squared weights, rho the
    covariance of the second differences at distance d; the error of H follows by linearisation.
    """
    nodes = np.linspace(0.02, 0.98, 25)
    errors = []
    for hurst in nodes:
        steps = (1, 2) if method == "ratio" else (1,)
        covariance = np.array([[_relative_covariance(hurst, a, b) for b in steps] for a in steps])
        if method == "ratio":
            slope = np.array([-1, 1]) / (2 * np.log(2))
        else:
            slope = np.array([1 / (2 * np.log(n) + 2 * np.log(2) * 4**hurst / (4 - 4**hurst))])
        errors.append(np.sqrt(slope @ covariance @ slope))
    return nodes, np.array(errors)


def _relative_covariance(hurst, step_a, step_b):
    """Return the covariance of the two relative mean squares (mean over both axes) per unit of squared weights."""
    scale = (4 - 4**hurst) * (step_a * step_b) ** (hurst)
    total = sum(
        (_second_difference_covariance(hurst, step_a, step_b, crossed) ** 2).sum()
        for crossed in (False, True)
    )
    # 2 per pair of axes, 4 pairs of which 2 alike and 2 crossed, over 2^2 for the mean of the axes
    return total / scale**2


def _second_difference_covariance(hurst, step_a, step_b, crossed):
    """Return the covariance of a second difference along x and another along x (or y, if crossed) at each distance."""
    y, x = np.mgrid[-_REACH : _REACH + 1, -_REACH : _REACH + 1].astype(float)
    total = np.zeros_like(x)
    for i, a in _SECOND_DIFFERENCE.items():
        for k, b in _SECOND_DIFFERENCE.items():
            dx = x + (0 if crossed else k * step_b) - i * step_a
            dy = y + (k * step_b if crossed else 0)
            total -= 0.5 * a * b * (dx**2 + dy**2) ** hurst
    return total


@kernel
def _mean_square(values, down, right):
    """Return the mean of |v[i + down, k + right] - v[i, k]|^2, summed by columns side by side, as vector units like it."""
    n_rows, n_cols = values.shape[0] - down, values.shape[1] - right
    columns = np.zeros(n_cols)
    for i in range(n_rows):
        here, there = values[i, :n_cols], values[i + down, right:]
        for k in range(n_cols):
            step = np.float64(there[k]) - np.float64(here[k])
            columns[k] += step * step
    return columns.sum() / (n_rows * n_cols)
