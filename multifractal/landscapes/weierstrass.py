"""The Weierstrass-Mandelbrot surface: plane waves of geometrically growing frequency, each in its own direction."""

from __future__ import annotations

import math

import numpy as np

from multifractal.base.checks import (
    finite_number,
    float_dtype,
    grid_shape,
    positive_number,
    require,
)
from multifractal.base.chunks import map_chunks
from multifractal.base.elementary import cospi, exp, log, power, sinpi
from multifractal.base.products import product
from multifractal.base.result import Provenance
from multifractal.base.rng import as_generator
from multifractal.base.types import DTypeLike, Rng, Shape
from multifractal.landscapes.fields import log_variogram_constant, wavenumbers_for
from multifractal.landscapes.landscape import Landscape

# largest share of the variogram that the missing waves may take between one pixel and the longer side
_TRUNCATION = 0.02
_BAND = 64  # rows that a thread takes at a time
_LARGEST_HURST = 0.99  # beyond it the longest wave exceeds the range of a double


def weierstrass_mandelbrot(
    n: Shape, hurst: float, *, base: float = 1.05, rng: Rng, dtype: DTypeLike = np.float64
) -> Landscape:
    """Draw sum over m of a b^(-H m) [cos phi_m - cos(b^m k_m . x + phi_m)], k_m a random direction for each m.

    The amplitude a = (ln b / C)^(1/2) gives E|f(u) - f(v)|^2 = (|u - v|/N)^(2 hurst) between pixels, N the longer side, up
    to the missing waves (2 %) and, for large bases, log-periodic oscillations.

    Parameters
    ----------
    n : int or (rows, cols)
        Size in pixels, each side at least 4.
    hurst : float
        Hoelder exponent at every point, in [0.1, 0.99].
    base : float
        Ratio b of successive frequencies, above 1; our choice 1.05, some 14 waves an octave.
    rng : int, SeedSequence or Generator
        Phases and directions.
    dtype : float64 (default) or float32

    Returns
    -------
    Landscape
        With `.hoelder` equal to `hurst`. Waves shorter than two pixels are sampled, not filtered.

    Raises
    ------
    ValueError
        When `hurst` leaves [0.1, 0.99] or `base` is not above 1.

    References
    ----------
    M. V. Berry, Z. V. Lewis, "On the Weierstrass-Mandelbrot fractal function", Proc. R. Soc. A 370 (1980) 459.
    """
    (rows, cols), dtype = grid_shape("n", n), float_dtype(dtype)
    require(
        0.1 <= finite_number("hurst", hurst) <= _LARGEST_HURST,
        "hurst",
        hurst,
        f"lie in [0.1, {_LARGEST_HURST}]",
        "use fbm_surface below, and smooth the surface beyond",
    )
    require(
        positive_number("base", base) > 1, "base", base, "be above 1", "pass for instance 1.05 or 2"
    )
    provenance = Provenance.of(
        "weierstrass_mandelbrot", rng=rng, n=(rows, cols), hurst=hurst, base=base, dtype=dtype.name
    )
    generator, longer = as_generator(rng), max(rows, cols)
    kmin, kmax = (
        math.sqrt(2) * k
        for k in wavenumbers_for(2, np.array([hurst]), 1 / longer, 1.0, _TRUNCATION)
    )
    steps = np.arange(math.ceil(log(kmax / kmin) / log(base)) + 1)
    k = exp(log(kmin) + steps * log(base))
    direction, phase = generator.uniform(0, 2, (2, len(k)))  # in half turns
    amplitudes = np.sqrt(log(base) / exp(log_variogram_constant(2, hurst))) * power(k, -hurst)
    half_turns = k / (math.pi * longer)
    values = _sum_of_waves(
        amplitudes * cospi(phase),
        amplitudes * sinpi(phase),
        np.outer(half_turns * cospi(direction), np.arange(cols)),
        np.outer(half_turns * sinpi(direction), np.arange(rows)),
    )
    return Landscape(values.astype(dtype, copy=False), float(hurst), provenance=provenance)


def _sum_of_waves(cosines, sines, along_x, along_y):
    """Return the sum of cos phi - cos(x + y + phi) over the waves, times their amplitudes, at (rows, cols).

    cos phi - cos(u + phi) = cos phi (1 - cos u) + sin phi sin u, where 1 - cos u = 2 sin^2(u/2) is exact for long waves too;
    with u = x + y both factors split into products of x and y, and the sum over waves is a matrix product.
    """
    sin_x, sin_y = sinpi(along_x), sinpi(along_y)
    less_x, less_y = (2 * sinpi(along / 2) ** 2 for along in (along_x, along_y))
    c, s = cosines[:, None], sines[:, None]
    of_x, of_y = c * less_x + s * sin_x, c * less_y + s * sin_y
    left = np.ascontiguousarray(np.concatenate([sin_y, -less_y]).T)
    right = np.concatenate([c * sin_x - s * less_x, of_x])
    bands = map_chunks(
        product, [(left[row : row + _BAND], right) for row in range(0, len(left), _BAND)]
    )
    return np.concatenate(bands) + (of_x.sum(axis=0) + of_y.sum(axis=0)[:, None])
