"""Cascades and multifractal random walks against their analytic laws, on and off the generating grid; refusals."""

import re

import numpy as np
import pytest
import pywt

from multifractal import (
    LogNormal,
    LogPoisson,
    multifractal_random_walk_2d,
    multifractal_spectrum,
    wavelet_cascade,
)
from multifractal.analysis.leaders import wavelet_coefficients
from multifractal.landscapes.cascades import _log_volatility
from multifractal.landscapes.fields import log_variogram_constant
from tests.helpers import naive

LAWS = [LogNormal(0.5, -0.05), LogPoisson(0.3, 0.8, 0.6)]


def mean_and_error(samples):
    """Mean over the first axis and its standard error."""
    return np.mean(samples, axis=0), np.std(samples, axis=0, ddof=1) / np.sqrt(len(samples))


@pytest.mark.parametrize("wavelet", ["haar", "db2", "db3", "db4", "sym5"])
def test_cascade_equals_the_naive_synthesis(wavelet):
    """The image is the sum of all wavelets times their coefficients, one at a time, for any wavelet."""
    cascade = wavelet_cascade(16, LAWS[0], rng=3, wavelet=wavelet)
    low = np.array(pywt.Wavelet(wavelet).rec_lo)
    np.testing.assert_allclose(
        cascade.values, naive.wavelet_cascade(16, LAWS[0], 3, low), atol=1e-12
    )


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_coefficients_have_the_moments_of_the_law(law):
    """On the grid mean |c_j|^q is 2^(-(J-j) zeta(q)) at every scale, over 60 seeds to 5 standard errors."""
    powers = {q: [] for q in (-0.5, 1.0, 2.0)}
    for seed in range(60):
        levels = [
            [np.asarray(band) for band in level]
            for level in wavelet_coefficients(wavelet_cascade(256, law, rng=seed), "db3")
        ]
        for q, kept in powers.items():
            kept.append([np.mean([np.mean(band**q) for band in level]) for level in levels])
    for q, kept in powers.items():
        mean, error = mean_and_error(kept)
        law_of_scale = 2.0 ** (-(8 - np.arange(1, len(mean) + 1)) * law.zeta(q))
        assert (np.abs(mean - law_of_scale) < 5 * error).all()
        assert (error < 0.2 * law_of_scale).all()


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_cascade_on_its_grid_has_the_log_cumulants(law):
    """Mean over 24 seeds at 1024: c1 within .01 and c2 within 10 % of the law, and both within 5 standard errors."""
    mean, error = mean_and_error(
        [
            multifractal_spectrum(wavelet_cascade(1024, law, rng=seed), wavelet="db3").log_cumulants
            for seed in range(24)
        ]
    )
    c1, c2 = law.log_cumulants[:2]
    assert abs(mean[0] - c1) < min(0.01, 5 * error[0])
    assert abs(mean[1] - c2) < min(0.1 * abs(c2), 5 * error[1])


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_cascade_off_its_grid_with_another_wavelet(law):
    """Shifted by a third of the side, off the grid at every scale, and seen by db2 p-leaders: 8 seeds, 5 standard errors."""
    mean, error = mean_and_error(
        [
            multifractal_spectrum(
                np.roll(wavelet_cascade(1024, law, rng=seed).values, (341, 683), (0, 1)), p=2
            ).log_cumulants
            for seed in range(8)
        ]
    )
    assert (np.abs(mean[:2] - law.log_cumulants[:2]) < 5 * error[:2]).all()
    assert (error[:2] < [0.02, 0.01]).all()


@pytest.mark.parametrize(("hurst", "intermittency"), [(0.5, 0.05), (0.3, 0.02), (0.7, 0.08)])
def test_walk_has_the_log_cumulants(hurst, intermittency):
    """With one order of integration, c1 = H + lambda^2 and c2 = -lambda^2 over 8 seeds within 5 standard errors."""
    walks = (multifractal_random_walk_2d(1024, hurst, intermittency, rng=seed) for seed in range(8))
    mean, error = mean_and_error(
        [multifractal_spectrum(walk, integration=1).log_cumulants for walk in walks]
    )
    assert (np.abs(mean[:2] - [hurst + intermittency, -intermittency]) < 5 * error[:2]).all()
    assert (error[:2] < [0.03, 0.01]).all()


def test_log_volatility_has_its_covariance():
    """Over 400 draws the covariance is lambda^2 ln+(L/r), and lambda^2 (ln L + 1) at 0, within 5 standard errors."""
    shape, scale = (48, 64), 20.0
    draws = np.array(
        [_log_volatility(shape, 0.3, scale, np.random.default_rng(seed)) for seed in range(400)]
    )
    for down, right in [(0, 0), (0, 1), (1, 0), (3, 4), (0, 19), (24, 0), (20, 30)]:
        products = (draws * np.roll(draws, (down, right), (1, 2))).mean(axis=(1, 2))
        mean, error = mean_and_error(products)
        r = np.hypot(down, right)
        expected = 0.3 * (np.log(scale) + 1 if r == 0 else max(np.log(scale / r), 0))
        assert abs(mean - expected) < 5 * error


@pytest.mark.parametrize("hurst", [0.3, 0.7])
def test_walk_without_intermittency_is_fractional(hurst):
    """With lambda^2 = 0 the variogram is (r/N)^(2H) less the shares of waves that grid and torus cannot hold."""
    surfaces = np.array(
        [multifractal_random_walk_2d((256, 512), hurst, 0.0, rng=seed).values for seed in range(30)]
    )
    for r in (8, 16):
        mean, error = mean_and_error(((np.roll(surfaces, r, 2) - surfaces) ** 2).mean(axis=(1, 2)))
        # Missing are waves beyond pi per pixel, and at most those below one period of the shorter side.
        constant = np.exp(log_variogram_constant(2, hurst))
        short = (np.pi * r) ** (-2 * hurst) / (2 * hurst * constant)
        long = (2 * np.pi / 256 * r) ** (2 - 2 * hurst) / (4 * (2 - 2 * hurst) * constant)
        law = (r / 512) ** (2 * hurst)
        assert 1 - short - long < (mean + 5 * error) / law
        assert (mean - 5 * error) / law < 1 - 0.9 * short


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_seed_and_thread_count_fix_every_bit(dtype, monkeypatch):
    """The same seed gives the same bits, whatever the number of threads, in the dtype asked."""
    drawn = []
    for threads in ("1", "3"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        drawn.append(
            [
                wavelet_cascade(64, LAWS[1], rng=5, dtype=dtype).values,
                multifractal_random_walk_2d((64, 90), 0.4, 0.1, rng=5, dtype=dtype).values,
            ]
        )
    for first, second in zip(*drawn, strict=True):
        assert np.array_equal(first, second)
        assert first.dtype == dtype


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: wavelet_cascade(100, LAWS[0], rng=0),
            "n must be a power of two, got 100; pass 64 or 128",
        ),
        (
            lambda: wavelet_cascade(64, 0.5, rng=0),
            "law must be a LogNormal or LogPoisson law, got 0.5",
        ),
        (
            lambda: wavelet_cascade(64, LAWS[0], rng=0, wavelet="bior2.2"),
            "wavelet must name an orthogonal wavelet",
        ),
        (
            lambda: multifractal_random_walk_2d(64, 1.2, 0.1, rng=0),
            "hurst must lie in (0, 1), got 1.2",
        ),
        (
            lambda: multifractal_random_walk_2d(64, 0.5, -0.1, rng=0),
            "intermittency must be at least 0",
        ),
        (
            lambda: multifractal_random_walk_2d(64, 0.5, 0.1, rng=0, integral_scale=33),
            "integral_scale must lie in [2, 32]",
        ),
        (
            lambda: multifractal_random_walk_2d(3, 0.5, 0.1, rng=0),
            "n must be a whole number or (rows, cols), each at least 4",
        ),
    ],
)
def test_bad_input_is_refused_with_its_rule(call, words):
    """Each refusal names the argument, its value, the rule and the remedy."""
    with pytest.raises(ValueError, match=re.escape(words)):
        call()
