"""Multifractal landscapes with a known law: random wavelet cascades and the two-dimensional multifractal random walk.

Symbols: W multipliers, c_j L1-normalised wavelet coefficients at scale 2^j, J = log2 N, omega the log-volatility of the
walk, lambda^2 its intermittency, L its integral scale in pixels.
"""

from __future__ import annotations

import numpy as np
import pywt

from multifractal.base.checks import (
    finite_number,
    float_dtype,
    grid_shape,
    positive_number,
    refuse,
    require,
    whole_number,
)
from multifractal.base.elementary import exp, log
from multifractal.base.fourier import irfft2, rfft2
from multifractal.base.result import Provenance
from multifractal.base.rng import as_generator
from multifractal.base.types import Array, DTypeLike, Rng, Shape
from multifractal.landscapes import brownian
from multifractal.landscapes.landscape import Landscape
from multifractal.landscapes.laws import LogNormal, LogPoisson


def wavelet_cascade(
    n: int,
    law: LogNormal | LogPoisson,
    *,
    rng: Rng,
    wavelet: str = "db3",
    dtype: DTypeLike = np.float64,
) -> Landscape:
    """Draw a random wavelet cascade: coefficients are products of multipliers down a quadtree, with random signs.

    One tree of multipliers serves the three orientations, whose signs are independent. It starts from one coefficient of
    size 1 at scale N, and E|c_j|^q = 2^(-(J - j) zeta(q)) for the coefficients of `wavelet` on the grid that
    `wavelet_leaders` uses.

    Parameters
    ----------
    n : int
        Side in pixels, a power of two, at least 4.
    law : LogNormal or LogPoisson
        Draws the multipliers and tells zeta(q), D(h) and the log-cumulants that follow.
    rng : int, SeedSequence or Generator
    wavelet : str
        An orthogonal wavelet of PyWavelets; our choice "db3".
    dtype : float64 (default) or float32

    Returns
    -------
    Landscape
        Periodic, of mean 0.

    Raises
    ------
    ValueError
        When `n` is not a power of two, `law` has no multipliers, or `wavelet` is not orthogonal.

    Notes
    -----
    Off that grid, or with another wavelet, coefficients mix their neighbours, and what is estimated depends on the shift: for
    LogNormal(0.5, -0.05) at 1024 pixels c1 reads 0.36 when both axes are shifted by 1 pixel, 0.87 by 7 and 1.30 by 200, with
    leaders of the same wavelet; with p-leaders (p = 2) of db2 it reads 0.44 by (200, 700) and 0.76 by 5. No shift is safe (by a
    third of the side: 0.51 and 0.70), so test on the grid.

    References
    ----------
    A. Arneodo, E. Bacry, J. F. Muzy, "Random cascades on wavelet dyadic trees", J. Math. Phys. 39 (1998) 4142.

    Examples
    --------
    >>> import multifractal as mf
    >>> surface = mf.wavelet_cascade(64, mf.LogNormal(0.6, -0.05), rng=1)
    >>> surface.shape
    (64, 64)
    """
    n_scales, dtype = power_of_two("n", n), float_dtype(dtype)
    require(
        isinstance(law, LogNormal | LogPoisson),
        "law",
        law,
        "be a LogNormal or LogPoisson law",
        "pass for instance LogNormal(0.5, -0.05)",
    )
    good = (
        isinstance(wavelet, str)
        and wavelet in pywt.wavelist(kind="discrete")
        and pywt.Wavelet(wavelet).orthogonal
    )
    require(
        good,
        "wavelet",
        wavelet,
        "name an orthogonal wavelet of PyWavelets",
        "pass for instance 'db3'",
    )
    provenance = Provenance.of(
        "wavelet_cascade", rng=rng, n=n, law=law, wavelet=wavelet, dtype=dtype.name
    )
    generator, details = as_generator(rng), []
    sizes: Array = np.ones((1, 1))
    for scale in range(n_scales, 0, -1):
        signs = 2.0 * generator.integers(0, 2, (3, *sizes.shape), dtype=np.int8) - 1
        details.append(tuple((signs * sizes * 2.0**scale).astype(dtype)))
        if scale > 1:
            children = 2 * len(sizes)
            sizes = np.kron(sizes, np.ones((2, 2))) * law.multipliers(
                generator, (children, children)
            )
    values = pywt.waverec2([np.zeros((1, 1), dtype), *details], wavelet, mode="periodization")
    # the periodic transform of PyWavelets starts so many pixels later
    shift = 1 - pywt.Wavelet(wavelet).rec_len // 2
    return Landscape(np.roll(values, (shift, shift), axis=(0, 1)), provenance=provenance)


def multifractal_random_walk_2d(
    n: Shape,
    hurst: float,
    intermittency: float,
    *,
    rng: Rng,
    integral_scale: float | None = None,
    dtype: DTypeLike = np.float64,
) -> Landscape:
    """Draw a two-dimensional multifractal random walk: a fractional integral of order H + 1 of exp(omega) x white noise.

    omega is Gaussian with covariance lambda^2 ln+(L/r), and lambda^2 (ln L + 1) at r = 0. The law is
    zeta(q) = (H + lambda^2) q - lambda^2 q^2/2, that is LogNormal(hurst + intermittency, -intermittency), below L.
    The integral is the one that makes an exact fractional Brownian surface of white noise (`fbm_surface`), on its torus.

    Parameters
    ----------
    n : int or (rows, cols)
        Size in pixels, each side at least 4.
    hurst : float
        H, in (0, 0.99].
    intermittency : float
        lambda^2, at least 0; with 0 the walk is a fractional Brownian surface.
    rng : int, SeedSequence or Generator
    integral_scale : float, optional
        L in pixels, from 2 to half the shorter side; our choice: half the shorter side.
    dtype : float64 (default) or float32

    Returns
    -------
    Landscape
        With E|X(u) - X(v)|^2 = (|u - v|/N)^(2H) at all distances, whatever lambda^2: the noise exp(omega) x white noise is
        uncorrelated and of variance 1. The value at the first pixel is 0.

    Raises
    ------
    ValueError
        When `hurst` leaves (0, 0.99], `intermittency` is negative or `integral_scale` leaves its range.

    Notes
    -----
    Leaders of the walk itself are biased (c1 = .60 in place of .55 at H = .5); analyse it with `integration=1`.

    References
    ----------
    E. Bacry, J. Delour, J. F. Muzy, "Multifractal random walk", Phys. Rev. E 64 (2001) 026103.
    """
    shape, dtype = grid_shape("n", n), float_dtype(dtype)
    require(
        0 < finite_number("hurst", hurst) <= brownian.LARGEST_HURST,
        "hurst",
        hurst,
        f"lie in (0, {brownian.LARGEST_HURST}]",
        "integrate the field for a larger one",
    )
    require(
        finite_number("intermittency", intermittency) >= 0,
        "intermittency",
        intermittency,
        "be at least 0: it is the variance of omega an e-fold of scale",
        "pass for instance 0.05",
    )
    largest = min(shape) / 2
    scale = largest if integral_scale is None else positive_number("integral_scale", integral_scale)
    require(
        2 <= scale <= largest,
        "integral_scale",
        scale,
        f"lie in [2, {largest:g}], up to half the shorter side",
        "leave it out, or pass a larger n",
    )
    provenance = Provenance.of(
        "multifractal_random_walk_2d",
        rng=rng,
        n=shape,
        hurst=hurst,
        intermittency=intermittency,
        integral_scale=scale,
        dtype=dtype.name,
    )
    generator, reach = as_generator(rng), brownian.reach_for(hurst)
    side = brownian.torus_side(shape, reach)
    slopes = generator.standard_normal(2)
    noise = _log_volatility((side, side), intermittency, scale, generator)
    noise = exp(noise - intermittency * (log(scale) + 1)) * generator.standard_normal(noise.shape)
    drawn = brownian.SurfaceNoise(
        spectrum=rfft2(noise) / side, slopes=slopes, shape=shape, reach=reach, provenance=provenance
    )
    values = brownian.level(drawn, float(hurst), work=drawn.spectrum)
    return Landscape(values.astype(dtype, copy=False), provenance=provenance)


def power_of_two(argument, n):
    """Return log2 of `n`; raise if it is not a power of two of at least 4."""
    n = whole_number(argument, n, minimum=4)
    require(
        n & (n - 1) == 0,
        argument,
        n,
        "be a power of two",
        f"pass {1 << n.bit_length() - 1} or {1 << n.bit_length()}",
    )
    return n.bit_length() - 1


def _log_volatility(shape, intermittency, scale, generator):
    """Draw omega, of mean 0, on the torus; E exp(2 omega) = exp(2 variance), which the caller takes off."""
    y, x = np.ix_(*(np.arange(side // 2 + 1) for side in shape))
    r = np.sqrt(x * x + y * y)
    r[0, 0] = 1.0
    quarter = np.maximum(log(scale / r), 0.0)
    quarter[0, 0] = log(scale) + 1
    lags = (np.minimum(np.arange(side), side - np.arange(side)) for side in shape)
    eigenvalues = rfft2(quarter[np.ix_(*lags)]).real
    if eigenvalues.min() < -1e-12 * eigenvalues.max():
        raise refuse(
            "integral_scale",
            scale,
            "give a covariance on the torus, without negative eigenvalues",
            "pass a smaller one",
        )
    root = np.sqrt(intermittency * np.maximum(eigenvalues, 0.0))
    white = rfft2(generator.standard_normal(shape))
    return irfft2(root * white, shape[1])
