"""Exact fractional Brownian surfaces (Stein 2002) and paths (Davies & Harte 1987), by circulant embedding.

A surface B whose longer side has N pixels obeys E|B(u) - B(v)|^2 = (|u - v| / N)^(2H), and B = 0 at the first pixel.

Symbols: H Hurst exponent, alpha = 2H, L diagonal of the grid in pixels, R reach of the covariance in units of L, M side of
the torus in pixels, lambda eigenvalues of the torus covariance, c0, c2, beta constants that join its pieces at r = L.
"""

from __future__ import annotations

import functools
import math
import numbers
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import fft

from multifractal.base.checks import float_dtype, grid_shape, refuse, require, whole_number
from multifractal.base.chunks import map_chunks
from multifractal.base.elementary import power, power_of
from multifractal.base.fourier import along
from multifractal.base.kernels import kernel
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_generator
from multifractal.base.types import Array, DTypeLike, Rng, Shape
from multifractal.landscapes.landscape import Landscape

# (largest H, R): the smallest reach, in steps, at which no eigenvalue is negative for grids of 4 to 2048 pixels.
_REACHES = ((0.75, 1.0), (0.9, 1.1), (0.95, 1.2), (0.97, 1.4), (0.98, 1.6), (0.99, 2.0))
# The same with a margin: the square roots of the eigenvalues must also be smooth in H, to be interpolated between levels.
_REACHES_WITH_MARGIN = (
    (0.7, 1.0),
    (0.8, 1.1),
    (0.9, 1.2),
    (0.95, 1.3),
    (0.97, 1.6),
    (0.98, 2.0),
    (0.99, 2.4),
)
LARGEST_HURST = _REACHES[-1][0]
_BAND = 64  # rows that a thread takes at a time
# square roots of eigenvalues are kept up to so many bytes, if 8 of their size fit
_KEPT_BYTES, _KEPT_AT_LEAST = 2**28, 8
_kept: OrderedDict[Any, Any] = OrderedDict()
_lock = threading.Lock()
# negative eigenvalues down to this share of the largest are rounding of the transform, and become zero
_ROUNDING = 1e-14


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class SurfaceNoise(Result):
    """The randomness of a surface, apart from its exponents: pass one draw to several surfaces to couple them.

    Attributes
    ----------
    spectrum : ndarray, shape (M, M // 2 + 1), complex64 or complex128
        Independent standard complex normal numbers: the white noise of a torus of M x M pixels, in the half plane of a real
        Fourier transform. Its dtype decides that of the surfaces.
    slopes : ndarray, shape (2,)
        Standard normal numbers, the slopes along x and y of the plane that completes the surface.
    shape : tuple
        (rows, cols) of the surfaces.
    reach : float
        Reach R of the torus covariance in diagonals; it limits the Hurst exponent.
    provenance : Provenance
    """

    spectrum: np.ndarray
    slopes: np.ndarray
    shape: tuple
    reach: float
    provenance: Provenance


def surface_noise(
    n: Shape, *, max_hurst: float, rng: Rng, dtype: DTypeLike = np.float64
) -> SurfaceNoise:
    """Draw the noise that couples surfaces of different exponents: one `rng`, one torus, any H up to `max_hurst`.

    Parameters
    ----------
    n : int or (rows, cols)
        Size of the surfaces in pixels, each side at least 4.
    max_hurst : float
        The largest exponent that will be asked of it, in (0, 0.99].
    rng : int, SeedSequence or Generator
    dtype : float64 (default) or float32

    Returns
    -------
    SurfaceNoise
    """
    shape, max_hurst, dtype = grid_shape("n", n), _hurst("max_hurst", max_hurst), float_dtype(dtype)
    return noise_or_draw(None, shape, reach_for(max_hurst, margin=True), rng, dtype)


def fbm_surface(
    n: Shape,
    hurst: float,
    *,
    rng: Rng | None = None,
    dtype: DTypeLike = np.float64,
    noise: SurfaceNoise | None = None,
) -> Landscape:
    """Draw an exact fractional Brownian surface, E|B(u) - B(v)|^2 = (|u - v| / N)^(2 hurst), N the longer side in pixels.

    Parameters
    ----------
    n : int or (rows, cols)
        Size in pixels, each side at least 4.
    hurst : float
        Hurst exponent, in (0, 0.99].
    rng : int, SeedSequence or Generator
        Source of randomness; required unless `noise` is given.
    dtype : float64 (default) or float32
        The covariance is computed in float64 either way.
    noise : SurfaceNoise, optional
        A draw of `surface_noise`, in place of `rng` and `dtype`: surfaces from one draw share their randomness.

    Returns
    -------
    Landscape
        With `.hoelder` equal to `hurst` everywhere. The value at the first pixel is 0.

    Raises
    ------
    ValueError
        When `n` is too small, `hurst` lies outside (0, 0.99], or `noise` was drawn for another size or for lower exponents.

    References
    ----------
    M. L. Stein, "Fast and exact simulation of fractional Brownian surfaces", J. Comput. Graph. Stat. 11 (2002) 587.

    Examples
    --------
    >>> import multifractal as mf
    >>> surface = mf.fbm_surface((64, 96), 0.3, rng=1)
    >>> surface.shape, float(surface.hoelder[0, 0])
    ((64, 96), 0.3)
    """
    shape, hurst, dtype = grid_shape("n", n), _hurst("hurst", hurst), float_dtype(dtype)
    drawn = noise_or_draw(noise, shape, reach_for(hurst), rng, dtype)
    provenance = provenance_of("fbm_surface", drawn, n=shape, hurst=hurst)
    # our own draw is not needed any more
    values = level(drawn, hurst, work=drawn.spectrum if noise is None else None)
    return Landscape(values, hurst, provenance=provenance)


def fbm_path(n: int, hurst: float, *, rng: Rng) -> Array:
    """Draw an exact fractional Brownian path of `n` points, B_0 = 0 and E|B_i - B_j|^2 = (|i - j| / n)^(2 hurst).

    Parameters
    ----------
    n : int
        Number of points, at least 2.
    hurst : float
        Hurst exponent, in (0, 1).
    rng : int, SeedSequence or Generator

    Returns
    -------
    ndarray, shape (n,), float64

    Raises
    ------
    ValueError
        When `n` is below 2 or `hurst` outside (0, 1].

    References
    ----------
    R. B. Davies and D. S. Harte, "Tests for Hurst effect", Biometrika 74 (1987) 95.
    """
    n, hurst = whole_number("n", n, minimum=2), _hurst("hurst", hurst, largest=1.0)
    root = np.sqrt(path_eigenvalues(n - 1, hurst))
    half_spectrum = _half_plane_noise(as_generator(rng), root.shape, np.dtype(np.float64))
    side = 2 * (len(root) - 1)
    path = np.zeros(n)
    np.cumsum((fft.irfft(root * half_spectrum) * np.sqrt(side))[: n - 1], out=path[1:])
    return path * power(n, -hurst)


def path_eigenvalues(n_steps, hurst):
    """Return the eigenvalues of the circulant covariance of `n_steps` unit increments of fBm: its half spectrum."""
    half = fft.next_fast_len(n_steps, real=True)
    covariance = np.empty(half + 1)
    _increment_covariance(2 * hurst, covariance)
    return _without_rounding(fft.dct(covariance, type=1))


def reach_for(hurst, *, margin=False):
    """Return the reach R of an embedding of exponent `hurst`; `margin` keeps it smooth in H, for interpolation."""
    return next(
        reach
        for largest, reach in (_REACHES_WITH_MARGIN if margin else _REACHES)
        if hurst <= largest + 1e-12
    )


def noise_or_draw(noise, shape, reach, rng, dtype):
    """Return `noise` if it fits a grid of `shape` and covers `reach`, or a new draw when it is None."""
    if noise is None:
        provenance = Provenance.of("surface_noise", rng=rng, n=shape, reach=reach, dtype=dtype.name)
        generator, side = as_generator(rng), torus_side(shape, reach)
        slopes = generator.standard_normal(2)
        spectrum = _half_plane_noise(generator, (side, side // 2 + 1), dtype)
        return SurfaceNoise(
            spectrum=spectrum, slopes=slopes, shape=shape, reach=reach, provenance=provenance
        )
    require(
        isinstance(noise, SurfaceNoise),
        "noise",
        type(noise),
        "be a SurfaceNoise",
        "draw it with surface_noise",
    )
    require(
        tuple(noise.shape) == shape,
        "noise",
        noise.shape,
        f"be drawn for the size {shape}",
        f"draw it with n={shape}",
    )
    require(
        noise.reach >= reach,
        "noise",
        noise.reach,
        f"have a reach of at least {reach} for this exponent",
        "draw it with a larger max_hurst",
    )
    return noise


def provenance_of(function, noise, **arguments):
    """Return the Provenance of a surface, with the seed of its noise."""
    record = Provenance.of(
        function, **arguments, noise=f"reach {noise.reach}, {noise.spectrum.dtype}"
    )
    return replace(record, seed=noise.provenance.seed)


def torus_side(shape, reach):
    """Return the side M of the torus, even and a product of small primes, that holds a grid of `shape`."""
    return 2 * fft.next_fast_len(int(np.ceil(reach * _diagonal(shape) + 0.5)), real=True)


def surface_eigenvalues(shape, hurst, reach, side):
    """Return the eigenvalues of the torus covariance in the quarter plane (side/2 + 1 squared), and c2."""
    c0, c2, beta = _constants(2 * hurst, reach)
    axis = (np.arange(side // 2 + 1) / _diagonal(shape)) ** 2
    covariance = np.empty((len(axis), len(axis)))

    def fill(first):  # a band of the upper triangle, and its mirror image
        band = slice(first, first + _BAND)
        squared = axis[band, None] + axis[first:]
        part = power(squared, hurst)
        part *= -1.0
        part += c0
        part += c2 * squared
        beyond = np.flatnonzero(squared > 1.0)
        r = np.sqrt(squared.ravel()[beyond])
        gap = np.maximum(reach - r, 0.0)
        part.ravel()[beyond] = beta * (gap * gap * gap) / r
        covariance[band, first:], covariance[first:, band] = part, part.T

    _in_bands(fill, len(axis))
    for axis in (0, 1):
        along(functools.partial(fft.dct, type=1), covariance, axis)
    return _without_rounding(covariance), c2


def level(noise, hurst, work=None):
    """Return the values of the fractional Brownian surface of exponent `hurst` that `noise` gives, in its dtype.

    `work`, an array like `noise.spectrum`, is overwritten; passing it spares the allocation of one at each level.
    """
    side, (rows, cols) = noise.spectrum.shape[0], noise.shape
    root, slope = _kept_root((noise.shape, hurst, noise.reach, side, noise.spectrum.real.dtype))
    product = np.empty_like(noise.spectrum) if work is None else work

    def multiply(first):
        band = slice(first, first + _BAND)
        frequency = np.arange(side)[band]
        np.multiply(
            noise.spectrum[band], root[np.minimum(frequency, side - frequency)], out=product[band]
        )

    _in_bands(multiply, side)
    # Only the rows of the grid need the second transform.
    columns = along(fft.ifft, product, 0)[:rows]
    values = np.empty((rows, cols), root.dtype)
    along(lambda block, axis: fft.irfft(block, side, axis=axis)[:, :cols], columns, 1, values)
    values -= values[0, 0]
    slope = slope * noise.slopes
    values += (slope[0] * np.arange(cols) + slope[1] * np.arange(rows)[:, None]).astype(
        values.dtype, copy=False
    )
    return values


def _root(shape, hurst, reach, side, dtype):
    """Return what multiplies the noise (the square roots of the eigenvalues, scaled) and the slopes of the plane."""
    eigenvalues, c2 = surface_eigenvalues(shape, hurst, reach, side)
    # Half the eigenvalues, and the plane at 1/sqrt(2): the torus covariance gives twice the variogram.
    scale = power(_diagonal(shape) / max(shape), hurst)
    root = np.empty(eigenvalues.shape, dtype)

    def take(first):
        band = slice(first, first + _BAND)
        root[band] = np.sqrt(0.5 * eigenvalues[band]) * (scale * side)

    _in_bands(take, len(root))
    return root, scale * np.sqrt(c2) / _diagonal(shape)


def _kept_root(key):
    """Return `_root(*key)`; those used last are kept while small, since most studies draw many surfaces of one law."""
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
        wide = _kept.get((*key[:-1], np.dtype(np.float64)))
    # that of float32 is the other, rounded
    made = _root(*key) if wide is None else (wide[0].astype(key[-1]), wide[1])
    with _lock:
        if _KEPT_AT_LEAST * made[0].nbytes <= _KEPT_BYTES:
            _kept[key] = made
        while sum(root.nbytes for root, _ in _kept.values()) > _KEPT_BYTES:
            _kept.popitem(last=False)
    return made


def _in_bands(function, n_rows):
    map_chunks(function, [(first,) for first in range(0, n_rows, _BAND)])


def _diagonal(shape):
    return math.sqrt((shape[0] - 1) ** 2 + (shape[1] - 1) ** 2)


def _constants(alpha, reach):
    beta = 0.0 if reach == 1 else alpha * (2 - alpha) / (3 * reach * (reach**2 - 1))
    c2 = (alpha - beta * (reach - 1) ** 2 * (reach + 2)) / 2
    return beta * (reach - 1) ** 3 + 1 - c2, c2, beta


def _half_plane_noise(generator, shape, dtype):
    """Draw complex normal numbers for an inverse real transform along the last axis.

    Its first and last columns enter by their real (Hermitian) part only, which halves their variance; hence the factor.
    """
    pairs = generator.standard_normal((*shape, 2), dtype=dtype)
    spectrum = pairs.view(np.complex64 if dtype == np.float32 else np.complex128)[..., 0]
    spectrum *= dtype.type(np.sqrt(0.5))
    spectrum[..., [0, -1]] *= dtype.type(np.sqrt(2.0))
    return spectrum


def _without_rounding(eigenvalues):
    """Return the eigenvalues with rounding below zero set to zero; a truly negative one means the embedding failed."""
    smallest, largest = eigenvalues.min(), eigenvalues.max()
    if smallest < -_ROUNDING * largest:
        raise ArithmeticError(
            f"the circulant embedding has the negative eigenvalue {smallest:.3g} (largest {largest:.3g}); "
            "please report the size and exponent that gave it"
        )
    return np.maximum(eigenvalues, 0.0, out=eigenvalues)


def _hurst(argument, hurst, largest=LARGEST_HURST):
    good = (
        isinstance(hurst, numbers.Real)
        and not isinstance(hurst, bool)
        and 0 < hurst <= largest
        and hurst < 1
    )
    rule = "lie in (0, 1)" if largest == 1 else f"lie in (0, {largest}]"
    if not good:
        raise refuse(argument, hurst, rule, "for a differentiable surface smooth the field instead")
    return float(hurst)


@kernel
def _increment_covariance(alpha, out):
    """Write half the second difference of |k|^alpha at lags 0, 1, ...: its series in k^-2, which loses no digits."""
    out[0], out[1] = 1.0, 0.5 * (power_of(2.0, alpha) - 2.0)
    for k in range(2, len(out)):
        term, total, n = 1.0, 0.0, 0
        while n < 120:
            term *= (alpha - n) * (alpha - n - 1) / ((n + 1) * (n + 2)) / (float(k) * k)
            total += term
            n += 2
            if abs(term) < 1e-19 * abs(total):
                break
        out[k] = power_of(float(k), alpha) * total
