"""Variogram, power spectrum and local Hoelder map: naive twins, the laws of exact surfaces, stated errors, refusals."""

import re

import numpy as np
import pytest
from statsmodels.api import WLS, add_constant

from multifractal import (
    LocalHoelder,
    fbm_surface,
    local_hoelder,
    mbm_surface,
    paper_hoelder_map,
    power_spectrum,
    variogram,
)
from multifractal.analysis import roughness
from tests.helpers import naive

pytestmark = pytest.mark.quick

HURST = (0.2, 0.5, 0.8)


def test_variogram_is_the_mean_square_of_differences():
    """Each value is the naive mean; the default lags are distinct and end at a quarter of the shorter side."""
    x = np.random.default_rng(0).normal(size=(30, 47)).cumsum(axis=0)
    found = variogram(x, [1, 2, 5])
    np.testing.assert_allclose(
        found.values, [naive.mean_squares(x, lag)[0] for lag in (1, 2, 5)], rtol=1e-13
    )
    np.testing.assert_allclose(found.along_y[2], np.mean((x[5:] - x[:-5]) ** 2), rtol=1e-13)
    lags = variogram(np.ones((64, 80))).lags
    assert lags[0] == 1
    assert lags[-1] == 16
    assert (np.diff(lags) > 0).all()


@pytest.mark.parametrize("hurst", HURST)
def test_variogram_and_power_spectrum_give_the_exponent(hurst):
    """Over 8 exact surfaces the mean exponents are within 4 standard errors of H (0.005 more for the frequency range)."""
    surfaces = [fbm_surface(256, hurst, rng=seed) for seed in range(8)]
    estimates = (
        (lambda s: variogram(s, [1, 2, 4, 8]).hurst, 0.0),
        (lambda s: power_spectrum(s).hurst, 0.005),
    )
    for estimate, systematic in estimates:
        found = np.array([estimate(surface) for surface in surfaces])
        assert abs(found.mean() - hurst) < 4 * found.std(ddof=1) / np.sqrt(8) + systematic


def test_the_stated_error_of_the_power_spectrum_is_that_between_surfaces():
    """exponent_error over the scatter of 60 surfaces of 128 pixels is 1.2 as measured on 80 others; 4 errors of 9 % each way."""
    found = [power_spectrum(fbm_surface(128, 0.5, rng=k)) for k in range(60)]
    scatter = np.std([one.exponent for one in found], ddof=1)
    assert 0.8 < np.mean([one.exponent_error for one in found]) / scatter < 1.65


def test_the_error_of_a_spectrum_with_a_bend_is_that_of_its_rings():
    """Where the rings lie off the line by far more than their noise, the stated error is that of their scatter."""
    rng = np.random.default_rng(0)
    ripple = 30 * np.cos(2 * np.pi * np.arange(256) / 17) * np.ones((256, 1))
    plain, bent = (power_spectrum(rng.normal(size=(256, 256)) + x) for x in (0, ripple))
    assert bent.exponent_error > 2 * plain.exponent_error


def test_the_slope_of_rings_and_its_error_are_another_packages():
    """Slope and error by scatter are statsmodels' weighted regression with White's (HC0) error, to 1e-12 of themselves."""
    rng = np.random.default_rng(1)
    x, n_modes = np.linspace(0, 3, 12), np.arange(1, 13.0) * 1e6  # so many that the scatter decides
    y = 2 - 1.3 * x + rng.normal(size=12)
    slope, error = roughness._weighted_slope(x, y, n_modes)
    other = WLS(y, add_constant(x), weights=n_modes).fit(cov_type="HC0")
    assert (slope, error) == pytest.approx((other.params[1], other.bse[1]), rel=1e-10)


def test_the_power_of_white_noise_is_its_variance():
    """White noise of variance 4 has a flat spectrum of height 4, at every ring within 5 standard errors."""
    noise = 2 * np.random.default_rng(1).normal(size=(256, 200))
    found = power_spectrum(noise)
    # a mode and its mirror are one; the window ties (35/18)^2 neighbours
    effective = found.n_modes / 2 / (35 / 18) ** 2
    assert (np.abs(found.power / 4 - 1)[2:] < 5 / np.sqrt(effective[2:])).all()
    assert abs(found.exponent) < 4 * found.exponent_error


@pytest.mark.parametrize("step", [1, 2])
def test_local_energy_is_the_windowed_mean(step):
    """The ratio map equals that of the naive twin at the corner, at a border and inside."""
    x = np.random.default_rng(2).normal(size=(24, 30)).cumsum(axis=1)
    found = local_hoelder(x, 3.0).hoelder
    for row, col in ((0, 0), (12, 0), (11, 17)):
        energy = [naive.local_second_differences(x, k, 3.0, row, col) for k in (1, 2)]
        assert abs(found[row, col] - np.log2(energy[1] / energy[0]) / 2) < 1e-10


@pytest.mark.parametrize("method", ["ratio", "amplitude"])
@pytest.mark.parametrize("hurst", HURST)
def test_local_hoelder_errors_are_as_stated(method, hurst):
    """Over the interior of 4 exact surfaces the rms error is the stated standard error within 10 % (1000 windows)."""
    squares = []
    for seed in range(4):
        found = local_hoelder(fbm_surface(256, hurst, rng=seed), 4, method=method)
        squares.append(
            (((found.hoelder - hurst) / found.standard_error)[32:-32, 32:-32] ** 2).mean()
        )
    assert abs(np.sqrt(np.mean(squares)) - 1) < 0.1


def test_stated_errors_grow_at_the_border():
    """A corner window holds a quarter of the data: twice the error, to the 10 % that the border itself takes."""
    error = local_hoelder(fbm_surface(256, 0.5, rng=0), 8, method="amplitude").standard_error
    assert abs(error[0, 0] / error[128, 128] / 2 - 1) < 0.1


def test_the_papers_map_is_recovered():
    """On a multifractional surface of the paper's map, 512 pixels a side, the amplitude map follows the prescribed one."""
    prescribed = paper_hoelder_map(512)
    found = local_hoelder(mbm_surface(prescribed, rng=0), 8, method="amplitude")
    error = found.hoelder - prescribed
    assert np.corrcoef(found.hoelder.ravel(), prescribed.ravel())[0, 1] > 0.999
    assert np.sqrt((error[32:-32, 32:-32] ** 2).mean()) < 2 * np.sqrt(
        (found.standard_error[32:-32, 32:-32] ** 2).mean()
    )


def test_results_are_saved(tmp_path):
    """A map survives a round trip."""
    found = local_hoelder(np.random.default_rng(3).normal(size=(40, 50)), 5)
    found.save(tmp_path / "map.npz")
    assert np.array_equal(LocalHoelder.load(tmp_path / "map.npz").hoelder, found.hoelder)


RAMP = np.add.outer(np.arange(80.0), np.arange(80.0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: variogram(np.ones((3, 9))), "landscape must be at least 4x4"),
        (lambda: variogram(RAMP, [0]), "lags must be a whole number, at least 1"),
        (lambda: variogram(RAMP, [80]), "lags must hold lags below 80, the shorter side"),
        (lambda: variogram(np.where(RAMP == 3, np.inf, RAMP)), "at index (0, 3)"),
        (
            lambda: variogram(np.ma.masked_where(RAMP % 2 == 1, RAMP), [2, 1]),
            "have unmasked pairs at each lag, got 'no pair of unmasked pixels 1 apart'",
        ),
        (lambda: power_spectrum(np.ones((40, 40))), "landscape must vary"),
        (lambda: power_spectrum(RAMP[:15]), "landscape must be at least 16x16"),
        (lambda: power_spectrum(RAMP, (0.1, 0.11)), "fit_range must hold at least 3 rings"),
        (lambda: local_hoelder(RAMP, 5), "vary within every window"),
        (lambda: local_hoelder(RAMP, 21), "landscape must be at least 84 pixels a side"),
        (lambda: local_hoelder(RAMP, 1), "smoothing must be a number of at least 2 pixels, got 1"),
        (
            lambda: local_hoelder(RAMP, 5, method="wavelet"),
            "method must be one of 'ratio', 'amplitude'",
        ),
    ],
)
def test_bad_input_is_refused_with_its_rule(call, words):
    """Each refusal names the argument, its value and the rule."""
    with pytest.raises(ValueError, match=re.escape(words)):
        call()
