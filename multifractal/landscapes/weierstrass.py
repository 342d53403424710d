"""The Weierstrass-Mandelbrot surface: plane waves of geometrically growing frequency, each in a direction of its own."""

import math

import numpy as np
from threadpoolctl import threadpool_limits

from multifractal.base.checks import (
    finite_number,
    float_dtype,
    grid_shape,
    positive_number,
    require,
)
from multifractal.base.result import Provenance
from multifractal.base.rng import as_generator
from multifractal.landscapes.fields import log_variogram_constant, wavenumbers_for
from multifractal.landscapes.landscape import Landscape

# largest share of the variogram that the missing waves may take between one pixel and the longer side
_TRUNCATION = 0.02


def weierstrass_mandelbrot(n, hurst, *, base=1.05, rng, dtype=np.float64):
    """Draw sum over m of a b^(-H m) [cos phi_m - cos(b^m k_m . x + phi_m)], k_m a random direction for each m.

    The amplitude a = (ln b / C)^(1/2) gives E|f(u) - f(v)|^2 = (|u - v|/N)^(2 hurst) between pixels, N the longer side, up
    to the missing waves (2 %) and, for large bases, log-periodic oscillations.

    Parameters
    ----------
    n : int or (rows, cols)
        Size in pixels, each side at least 4.
    hurst : float
        Hoelder exponent at every point, in [0.1, 1).
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
        When `hurst` leaves [0.1, 1) or `base` is not above 1.

    References
    ----------
    M. V. Berry, Z. V. Lewis, "On the Weierstrass-Mandelbrot fractal function", Proc. R. Soc. A 370 (1980) 459.
    """
    (rows, cols), dtype = grid_shape("n", n), float_dtype(dtype)
    require(
        0.1 <= finite_number("hurst", hurst) < 1,
        "hurst",
        hurst,
        "lie in [0.1, 1)",
        "use fbm_surface below",
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
    k = kmin * float(base) ** np.arange(math.ceil(math.log(kmax / kmin) / math.log(base)) + 1)
    angles, phases = generator.uniform(0, 2 * np.pi, (2, len(k)))
    amplitudes = np.sqrt(math.log(base) / np.exp(log_variogram_constant(2, hurst))) * k**-hurst
    along_x = np.exp(1j * np.outer(k * np.cos(angles) / longer, np.arange(cols)))
    along_y = np.exp(1j * np.outer(k * np.sin(angles) / longer, np.arange(rows)))
    # cos(x + y) = cos x cos y - sin x sin y: the sum over waves is a matrix product.
    along_y *= (amplitudes * np.exp(1j * phases))[:, None]
    # BLAS rounds its sums in another order on other numbers of threads
    with threadpool_limits(1, "blas"):
        values = amplitudes @ np.cos(phases) - (
            along_y.real.T @ along_x.real - along_y.imag.T @ along_x.imag
        )
    return Landscape(values.astype(dtype, copy=False), float(hurst), provenance=provenance)
