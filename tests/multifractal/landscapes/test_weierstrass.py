"""The Weierstrass-Mandelbrot surface: the naive sum, its variogram, its exponent, refusals."""

import re

import numpy as np
import pytest
from scipy.special import j0
from threadpoolctl import threadpool_limits

from multifractal import multifractal_spectrum, weierstrass_mandelbrot
from multifractal.landscapes.fields import log_variogram_constant, wavenumbers_for
from tests.helpers import naive


def frequencies(n, hurst, base):
    """Frequencies b^m of the surface."""
    kmin, kmax = (np.sqrt(2) * k for k in wavenumbers_for(2, np.array([hurst]), 1 / n, 1.0, 0.02))
    return kmin * base ** np.arange(np.ceil(np.log(kmax / kmin) / np.log(base)) + 1)


@pytest.mark.parametrize(("hurst", "base"), [(0.3, 2.0), (0.8, 1.2)])
def test_surface_is_the_naive_sum(hurst, base):
    """The matrix product is the sum over waves, one after the other."""
    k = frequencies(30, hurst, base)
    angles, phases = np.random.default_rng(4).uniform(0, 2 * np.pi, (2, len(k)))
    amplitude = np.sqrt(np.log(base) / np.exp(log_variogram_constant(2, hurst)))
    expected = naive.weierstrass_mandelbrot((20, 30), k, angles, phases, amplitude, hurst)
    # Phases reach 1e5 radians; their rounding of 1e-11 bounds the error.
    np.testing.assert_allclose(
        weierstrass_mandelbrot((20, 30), hurst, base=base, rng=4).values, expected, atol=1e-9
    )


@pytest.mark.parametrize("hurst", [0.1, 0.5, 0.95, 0.99])
def test_variogram_is_the_law(hurst):
    """Over 150 seeds the variogram is the sum of a^2 (1 - J0(k r)), to 5 standard errors, which is (r/N)^(2H) to 2 %."""
    surfaces = np.array([weierstrass_mandelbrot(64, hurst, rng=seed).values for seed in range(150)])
    k = frequencies(64, hurst, 1.05)
    scale = np.log(1.05) / np.exp(log_variogram_constant(2, hurst))
    for r in (1, 4, 12, 48):
        squares = (
            ((surfaces[:, :, r:] - surfaces[:, :, :-r]) ** 2).mean(axis=(1, 2))
            + ((surfaces[:, r:] - surfaces[:, :-r]) ** 2).mean(axis=(1, 2))
        ) / 2
        z = k * r / 64
        apart = np.where(
            z < 0.01, z**2 / 4 * (1 - z**2 / 16), 1 - j0(z)
        )  # the long waves by their series
        expected = scale * np.sum(k ** (-2 * hurst) * apart)
        assert abs(squares.mean() - expected) < 5 * squares.std(ddof=1) / np.sqrt(150)
        assert abs(expected / (r / 64) ** (2 * hurst) - 1) < 0.02


@pytest.mark.parametrize("hurst", [0.3, 0.6])
def test_exponent_is_hurst_and_nothing_else(hurst):
    """Leaders at 1024 give c1 = H and c2 = 0 over 8 seeds, within 5 standard errors and .01."""
    estimates = [
        multifractal_spectrum(weierstrass_mandelbrot(1024, hurst, rng=seed)).log_cumulants
        for seed in range(8)
    ]
    mean, error = np.mean(estimates, axis=0), np.std(estimates, axis=0, ddof=1) / np.sqrt(8)
    assert abs(mean[0] - hurst) < 5 * error[0] + 0.01
    assert abs(mean[1]) < 5 * error[1] + 0.005
    assert error[0] < 0.02


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: weierstrass_mandelbrot(64, 0.05, rng=0),
            "hurst must lie in [0.1, 0.99], got 0.05",
        ),
        (
            lambda: weierstrass_mandelbrot(64, 0.995, rng=0),
            "hurst must lie in [0.1, 0.99], got 0.995",
        ),
        (lambda: weierstrass_mandelbrot(64, 0.5, base=1.0, rng=0), "base must be above 1, got 1.0"),
        (
            lambda: weierstrass_mandelbrot(2, 0.5, rng=0),
            "n must be a whole number or (rows, cols), each at least 4",
        ),
    ],
)
def test_bad_input_is_refused_with_its_rule(call, words):
    """Each refusal names the argument, its value, the rule and the remedy."""
    with pytest.raises(ValueError, match=re.escape(words)):
        call()


def test_bits_do_not_depend_on_the_threads_of_blas():
    """A surface has the same bits where BLAS may use one thread and where it may use two."""
    surfaces = []
    for threads in (1, 2):
        with threadpool_limits(threads, "blas"):
            surfaces.append(weierstrass_mandelbrot(128, 0.5, rng=0).values)
    assert np.array_equal(*surfaces)
