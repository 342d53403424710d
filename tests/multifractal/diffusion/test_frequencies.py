"""Power spectra of walks: known exponents, a line at its frequency, Parseval, and refusals."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import get_window

import multifractal as mf


def covariance_of(hurst, n):
    """Return the covariance of fractional Brownian motion at times 1 to n."""
    t = np.arange(1, n + 1.0)
    return (
        t[:, None] ** (2 * hurst) + t ** (2 * hurst) - np.abs(t[:, None] - t) ** (2 * hurst)
    ) / 2


def fractional_motion(hurst, n_walks, n, seed):
    """Return exact fractional Brownian motion, shape (n_walks, n, 1), by the Cholesky factor of its covariance."""
    covariance = covariance_of(hurst, n)
    noise = np.random.default_rng(seed).standard_normal((n, n_walks))
    return (np.linalg.cholesky(covariance) @ noise).T[..., None]


def expected_power(hurst, n, frequencies):
    """Return the mean of the periodogram under a Hann window of motion less its best line, from the covariance, in any unit."""
    times = np.arange(n)
    line = np.linalg.qr(np.column_stack([np.ones(n), times]))[0]
    waves = np.exp(-2j * np.pi * frequencies[:, None] * times) * get_window("hann", n)
    waves -= waves @ line @ line.T
    return np.sum((waves @ covariance_of(hurst, n)) * waves.conj(), axis=1).real


@pytest.mark.parametrize("hurst", [0.3, 0.5, 0.7])
def test_exponent_of_fractional_motion(hurst):
    """Power falls as frequency^-(2H + 1), and more exactly as the covariance says, within 5 standard errors.

    The logarithm of a periodogram's ordinate has variance pi^2 / 6; a Hann window correlates neighbours by at most (2/3)^2 and
    (1/6)^2, which makes the variance of a slope at most 1.95 times that of independent ones.
    """
    spectrum, fitted = mf.walk_spectrum(fractional_motion(hurst, 60, 1024, 0)), (0.004, 0.05)
    found = spectrum.exponent(fitted)
    half = (found.high - found.low) / 2
    inside = (spectrum.frequencies >= fitted[0]) & (spectrum.frequencies <= fitted[1])
    x = np.log(spectrum.frequencies[inside])
    error = np.sqrt(np.pi**2 / 6 * 1.95 / np.sum((x - x.mean()) ** 2) / 60)
    # Student's factor for 60 walks, and 5 standard deviations of a standard deviation of 60 numbers
    assert half < 2.001 * error * (1 + 5 / np.sqrt(2 * 59))
    exact = replace(spectrum, per_walk=expected_power(hurst, 1024, spectrum.frequencies)[None])
    assert abs(found.value - exact.exponent(fitted).value) < 2.5 * half
    # aliases and the window bend the law of sampled motion, in these frequencies by less than this
    assert abs(exact.exponent(fitted).value - (2 * hurst + 1)) < 0.05


def test_white_noise_is_flat_and_a_ballistic_part_does_not_matter():
    """Independent positions have exponent 0, also on top of a straight line, which is taken off."""
    noise = np.random.default_rng(0).standard_normal((40, 512, 2))
    flat = mf.walk_spectrum(noise)
    exponent = flat.exponent((0.01, 0.4))
    assert abs(exponent.value) < 2.5 * (exponent.high - exponent.low) / 2
    steep = mf.walk_spectrum(noise + 3.0 * np.arange(512)[:, None])
    np.testing.assert_allclose(steep.per_walk, flat.per_walk, rtol=1e-6, atol=1e-9)
    # mean power at 1/2 of the range: each coordinate's variance is spread over frequencies up to 1/2, both coordinates add up;
    # 40 x 2 x 256 ordinates of relative deviation 1, correlated by the window: 5 standard errors are 0.05
    np.testing.assert_allclose(flat.values.mean() / 2, 2.0, rtol=0.05)


def test_a_circle_has_its_power_at_its_frequency():
    """A walk around a circle 40 times in 1000 steps: the peak is at 0.04."""
    angle = 2 * np.pi * 0.04 * np.arange(1000)
    found = mf.walk_spectrum(np.column_stack([np.cos(angle), np.sin(angle)]))
    assert found.frequencies[found.values.argmax()] == pytest.approx(0.04)
    assert np.isnan(found.exponent((0.01, 0.4)).low)


def test_refusals():
    """Short walks, NaN, and ranges without frequencies."""
    with pytest.raises(ValueError, match="at least 32 steps"):
        mf.walk_spectrum(np.zeros((10, 2)))
    with pytest.raises(ValueError, match="positions must be finite"):
        mf.walk_spectrum(np.full((50, 2), np.nan))
    with pytest.raises(ValueError, match="frequency_range must hold"):
        mf.walk_spectrum(np.random.default_rng(0).normal(size=(64, 2))).exponent((1e-5, 1e-4))


def test_level_of_an_exact_power_law():
    """On power 3 f^-2 at every frequency the level is 3 and the exponent 2, by the definition."""
    frequencies = np.arange(1, 65) / 128
    found = mf.WalkSpectrum(
        frequencies=frequencies,
        per_walk=3 * frequencies[None] ** -2.0,
        n_steps=128,
        provenance=mf.Provenance("by hand"),
    )
    assert found.level((0.05, 0.4), 2.0) == pytest.approx(3)
    assert found.exponent((0.02, 0.4)).value == pytest.approx(2)


def test_a_line_needs_three_bins():
    """Three bins give the exponent of a power law, two are refused by their own name."""
    spectrum = mf.walk_spectrum(np.random.default_rng(0).normal(size=(2, 512, 1)).cumsum(axis=1))
    exact = replace(spectrum, per_walk=np.tile(spectrum.frequencies**-1.7, (2, 1)))
    assert exact.exponent((0.01, 0.3), bins=3).value == pytest.approx(1.7, abs=1e-9)
    with pytest.raises(ValueError, match="bins must be"):
        exact.exponent((0.01, 0.3), bins=2)
