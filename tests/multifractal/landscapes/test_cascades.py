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


@pytest.mark.parametrize(
    ("shift", "settings", "low", "high"),
    [
        ((1, 1), {"wavelet": "db3"}, 0.32, 0.40),
        ((7, 7), {"wavelet": "db3"}, 0.83, 0.91),
        ((200, 200), {"wavelet": "db3"}, 1.26, 1.34),
        ((341, 341), {"wavelet": "db3"}, 0.46, 0.56),
        ((341, 341), {"p": 2}, 0.66, 0.74),
        ((200, 700), {"p": 2}, 0.41, 0.47),
        ((5, 5), {"p": 2}, 0.73, 0.79),
    ],
)
def test_cascade_off_its_grid_reads_as_the_docstring_says(shift, settings, low, high):
    """c1 = .5 reads .36 to 1.30 with leaders of the same wavelet and .44 to .76 with db2 p-leaders, by the shift: 2 seeds.

    The bounds are the docstring's numbers and 3 standard errors of 2 seeds (one seed scatters by .02).
    """
    found = [
        multifractal_spectrum(
            np.roll(wavelet_cascade(1024, LAWS[0], rng=seed).values, shift, (0, 1)), **settings
        ).log_cumulants[0]
        for seed in range(2)
    ]
    assert low < np.mean(found) < high


@pytest.mark.parametrize(
    ("hurst", "intermittency"),
    [
        (0.5, 0.05),
        pytest.param(0.3, 0.02, marks=pytest.mark.slow),
        pytest.param(0.7, 0.08, marks=pytest.mark.slow),
    ],
)
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


@pytest.mark.parametrize("hurst", [0.05, 0.5, 0.99])
@pytest.mark.parametrize("intermittency", [0.0, 0.05])
def test_walk_has_its_variogram(hurst, intermittency):
    """E|X(u) - X(v)|^2 = (r/N)^(2H) at all distances, with intermittency too: 60 seeds to 5 standard errors."""
    surfaces = np.array(
        [
            multifractal_random_walk_2d((48, 64), hurst, intermittency, rng=seed).values
            for seed in range(60)
        ]
    )
    for r in (1, 4, 16, 40):
        along_x = ((surfaces[:, :, r:] - surfaces[:, :, :-r]) ** 2).mean(axis=(1, 2))
        along_y = ((surfaces[:, r:] - surfaces[:, :-r]) ** 2).mean(axis=(1, 2))
        mean, error = mean_and_error((along_x + along_y) / 2 / (r / 64) ** (2 * hurst))
        assert abs(mean - 1) < 5 * error
        assert error < 0.2  # one squared Gaussian a seed would leave sqrt(2/60) = .18


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
            "hurst must lie in (0, 0.99], got 1.2",
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
