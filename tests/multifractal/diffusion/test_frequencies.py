"""Power spectra of walks: known exponents, a line at its frequency, Parseval, and refusals."""

import numpy as np
import pytest

import multifractal as mf


def fractional_motion(hurst, n_walks, n, seed):
    """Return exact fractional Brownian motion, shape (n_walks, n, 1), by the Cholesky factor of its covariance."""
    t = np.arange(1, n + 1.0)
    covariance = (
        t[:, None] ** (2 * hurst) + t ** (2 * hurst) - np.abs(t[:, None] - t) ** (2 * hurst)
    ) / 2
    noise = np.random.default_rng(seed).standard_normal((n, n_walks))
    return (np.linalg.cholesky(covariance) @ noise).T[..., None]


@pytest.mark.parametrize("hurst", [0.3, 0.5, 0.7])
def test_exponent_of_fractional_motion(hurst):
    """Power falls as frequency^-(2H + 1): within five half-intervals, or 0.05 for the bend towards 1/2 of sampled motion."""
    found = mf.walk_spectrum(fractional_motion(hurst, 60, 1024, 0)).exponent((0.004, 0.05))
    half = (found.high - found.low) / 2
    assert half < 0.2  # so that the next line can fail
    assert abs(found.value - (2 * hurst + 1)) < 2.5 * half + 0.05


def test_white_noise_is_flat_and_a_ballistic_part_does_not_matter():
    """Independent positions have exponent 0, also on top of a straight line, which is taken off."""
    noise = np.random.default_rng(0).standard_normal((40, 512, 2))
    flat = mf.walk_spectrum(noise)
    assert abs(flat.exponent((0.01, 0.4)).value) < 0.05
    steep = mf.walk_spectrum(noise + 3.0 * np.arange(512)[:, None])
    np.testing.assert_allclose(steep.per_walk, flat.per_walk, rtol=1e-6, atol=1e-9)
    # mean power at 1/2 of the range: each coordinate's variance is spread over frequencies up to 1/2, both coordinates add up
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
