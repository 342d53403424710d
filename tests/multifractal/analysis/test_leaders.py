"""Wavelet leaders: against the naive twin, published counts, polynomials, integration, threads, and refusals."""

import re

import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st

from multifractal import WaveletLeaders, wavelet_leaders
from multifractal.analysis.leaders import _widest, leaders_of, wavelet_coefficients
from tests.helpers import naive

pytestmark = pytest.mark.quick


def taps(wavelet):
    """The low-pass filter the naive twin takes."""
    return np.array(pywt.Wavelet(wavelet).rec_lo)


@pytest.mark.parametrize(
    ("wavelet", "p", "first_scale", "shape"),
    [
        ("db2", np.inf, 2, (130, 97)),
        ("db2", np.inf, 1, (64, 64)),
        ("db3", 1.0, 1, (91, 150)),
        ("db4", 2.0, 1, (120, 131)),
        ("sym5", 0.5, 2, (140, 111)),
    ],
)
def test_leaders_match_the_naive_twin(wavelet, p, first_scale, shape):
    """Values and valid region equal the transcription with invalid = inf, to rounding."""
    x = np.random.default_rng(0).normal(size=shape)
    ours = wavelet_leaders(x, wavelet=wavelet, p=p, first_scale=first_scale)
    expected = naive.leaders(x, taps(wavelet), p, first_scale=first_scale)
    for j, leaders in zip(ours.scales, ours.leaders, strict=True):
        np.testing.assert_allclose(leaders, expected[j], rtol=1e-12)
    assert all(level.size == 0 for j, level in expected.items() if j not in ours.scales)


@settings(max_examples=25)
@given(st.integers(14, 80), st.integers(14, 80), st.sampled_from(["db2", "db3"]))
def test_coefficients_match_the_naive_twin_at_any_size(rows, cols, wavelet):
    """Each orientation holds exactly the valid coefficients of the naive twin's whole grid."""
    rows, cols = max(rows, 2 * len(taps(wavelet)) + 6), max(cols, 2 * len(taps(wavelet)) + 6)
    x = np.random.default_rng(rows * 100 + cols).normal(size=(rows, cols))
    ours, expected = wavelet_coefficients(x, wavelet), naive.wavelet_coefficients(x, taps(wavelet))
    assert len(ours) == len(expected)
    for level, whole in zip(ours, expected, strict=True):
        for band, grid in zip(level, whole, strict=True):
            assert band.size == np.isfinite(grid).sum()
            np.testing.assert_allclose(band.ravel(), grid[np.isfinite(grid)], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0])
def test_one_orientation_more_multiplies_p_leaders_by_its_count(p):
    """Three equal orientations have 3^(1/p) times the p-leaders of one with the others at zero; leaders are the same."""
    one = np.random.default_rng(7).exponential(size=(40, 40))
    alike = [(one, one, one)]
    alone = [(one, 0 * one, 0 * one)]
    # db1 has its common region from the first entry on
    ratio = leaders_of(alike, "db1", p, 1)[0] / leaders_of(alone, "db1", p, 1)[0]
    np.testing.assert_allclose(ratio, 3 ** (1 / p), rtol=1e-12)
    assert np.array_equal(
        leaders_of(alike, "db1", np.inf, 1)[0], leaders_of(alone, "db1", np.inf, 1)[0]
    )


def test_counts_are_those_of_the_published_sections():
    """A 257 x 257 section with db3 has 14884, 3249, 576 and 64 p-leaders at the scales 1 to 4 (paper's source data)."""
    leaders = wavelet_leaders(
        np.random.default_rng(0).normal(size=(257, 257)), wavelet="db3", p=1, first_scale=1
    )
    assert [level.size for level in leaders.leaders] == [14884, 3249, 576, 64]
    assert leaders.scales.tolist() == [1, 2, 3, 4]


def test_polynomials_have_no_coefficients():
    """A wavelet with three vanishing moments sees no polynomial of degree 2: only rounding is left."""
    x, y = np.mgrid[-1:1:200j, -1:1:200j]
    values = 3 + x - 2 * y + x**2 - 4 * x * y + y**2
    assert (
        max(band.max() for level in wavelet_coefficients(values, "db3") for band in level) < 1e-12
    )
    assert max(band.max() for level in wavelet_coefficients(values, "db2") for band in level) > 1e-5


def test_a_step_has_leaders_of_constant_size():
    """Across a step the L1-normalised coefficients, hence the leaders, do not depend on the scale (exponent 0)."""
    values = np.where(np.arange(512)[:, None] < 255, 0.0, 1.0) * np.ones(512)
    largest = [level.max() for level in wavelet_leaders(values, first_scale=1).leaders]
    assert max(largest) / min(largest) < 1.2


def test_integration_multiplies_coefficients_by_a_power_of_two():
    """Integration of order 3 multiplies the coefficients of level j by exactly 8^j."""
    x = np.random.default_rng(1).normal(size=(70, 80))
    pairs = zip(wavelet_coefficients(x), wavelet_coefficients(x, integration=3), strict=True)
    for j, (plain, integrated) in enumerate(pairs, 1):
        assert all(np.array_equal(a * 8.0**j, b) for a, b in zip(plain, integrated, strict=True))


def test_float32_is_kept_and_close():
    """float32 stays float32 and agrees with float64 to its rounding."""
    x = np.random.default_rng(2).normal(size=(256, 300))
    single, double = wavelet_leaders(x.astype(np.float32)), wavelet_leaders(x)
    assert all(level.dtype == np.float32 for level in single.leaders)
    for a, b in zip(single.leaders, double.leaders, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_threads_do_not_change_a_bit(monkeypatch):
    """One thread and three give the same bits."""
    x = np.random.default_rng(3).normal(size=(700, 300))
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        found.append(wavelet_leaders(x).leaders)
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


def test_a_turned_image_has_turned_leaders():
    """Transposing the image transposes the leaders, to rounding."""
    x = np.random.default_rng(4).normal(size=(90, 133))
    for a, b in zip(wavelet_leaders(x).leaders, wavelet_leaders(x.T).leaders, strict=True):
        np.testing.assert_allclose(a, b.T, rtol=1e-12)


def test_save_and_load(tmp_path):
    """Leaders of every scale survive a round trip."""
    leaders = wavelet_leaders(np.random.default_rng(5).normal(size=(64, 90)))
    leaders.save(tmp_path / "leaders.npz")
    again = WaveletLeaders.load(tmp_path / "leaders.npz")
    assert all(np.array_equal(a, b) for a, b in zip(leaders.leaders, again.leaders, strict=True))
    assert again.p == np.inf
    assert repr(leaders) == repr(again)
    assert len(repr(leaders)) < 300


NOISE = np.random.default_rng(6).normal(size=(40, 40))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"landscape": NOISE[:13]},
            "landscape must be at least 14 pixels a side for db2, got (13, 40)",
        ),
        (
            {"landscape": np.where(np.arange(1600).reshape(40, 40) == 83, np.nan, 0.0)},
            "index (2, 3)",
        ),
        ({"landscape": np.full((40, 40), 2.5)}, "landscape must vary, got"),
        ({"landscape": NOISE[0]}, "landscape must have 2 dimension(s)"),
        ({"wavelet": "morl"}, "wavelet must name a discrete wavelet of PyWavelets, got 'morl'"),
        ({"wavelet": "bior2.2"}, "wavelet must be orthogonal, got 'bior2.2'"),
        ({"p": 0}, "p must be a positive number or infinity, got 0"),
        ({"integration": 21}, "integration must lie in [0, 20], got 21"),
        ({"first_scale": 0}, "first_scale must be a whole number, at least 1"),
        ({"first_scale": 5}, "have leaders at level 5"),
    ],
)
def test_bad_input_is_refused_with_its_rule(change, words):
    """Each refusal names the argument, its value and the rule."""
    with pytest.raises(ValueError, match=re.escape(words)):
        wavelet_leaders(**({"landscape": NOISE} | change))


def test_overflow_is_refused():
    """Leaders too large for a float64 are refused, not returned as inf."""
    with pytest.raises(ValueError, match=re.escape("lower the integration or p")):
        leaders_of(wavelet_coefficients(NOISE * 1e200), p=2, first_scale=1)


@pytest.mark.parametrize("n", [6, 7])
@pytest.mark.parametrize("reach", [1, 2, 3, 9])
def test_the_widest_value_is_looked_for_nearer_than_the_reach(n, reach):
    """Of each pair and of the pairs less than `reach` away, to either side; a last value without a partner is a pair of its own."""
    x = np.random.default_rng(n).random((n, 2))
    pairs = [x[k : k + 2].max(axis=0) for k in range(0, n, 2)]
    expected = [np.max(pairs[max(k - reach + 1, 0) : k + reach], axis=0) for k in range(len(pairs))]
    np.testing.assert_array_equal(_widest(x, reach), expected)
