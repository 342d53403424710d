"""Displacement: both paths against the naive twin, closed forms, threads, memory, exponents and refusals."""

import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit
from scipy.stats import linregress

from multifractal import Displacement, diffusion_exponent, fbm_path, source_data, tamsd
from multifractal.diffusion import displacement
from tests.helpers import naive

pytestmark = pytest.mark.quick


def _walk(steps, dim, seed=0, dtype=np.float64):
    return np.cumsum(np.random.default_rng(seed).normal(size=(steps, dim)), axis=0).astype(dtype)


@given(
    st.integers(1, 5),
    st.integers(1, 60),
    st.lists(st.integers(0, 90), min_size=1, max_size=5),
    st.lists(st.integers(0, 50), min_size=1, max_size=6),
    st.sampled_from([np.float32, np.float64]),
)
def test_segments_match_the_naive_twin(dim, window, waiting_times, lag_times, dtype):
    """Windows that overlap, touch, repeat or lie apart, in any order, give the naive sums to 1e-12 relative."""
    walk = _walk(200, dim, seed=dim, dtype=dtype)
    ours = displacement._direct_curves(
        walk[None], np.array(waiting_times), np.array(lag_times), window
    )[0]
    np.testing.assert_allclose(
        ours, naive.tamsd(walk, waiting_times, lag_times, window), rtol=1e-12, atol=0
    )


def test_long_segments_match_the_naive_twin():
    """Segments longer than one cache block, with a remainder, lose nothing."""
    walk = _walk(9001, 3, dtype=np.float32)
    ours = tamsd(walk, waiting_times=[0, 37], lag_times=[1, 100, 1501], window=6007).values
    np.testing.assert_allclose(ours, naive.tamsd(walk, [0, 37], [1, 100, 1501], 6007), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("dim", "offset"), [(1, 0.0), (2, 1e3), (5, -1e4)])
def test_fourier_path_is_exact_to_the_window_variance(dim, offset, dtype):
    """The transforms alone agree with the naive twin to 1e-12 of the window's variance, far from the origin too."""
    walk, waiting, lags = (
        _walk(600, dim, dtype=dtype) + dtype(offset),
        np.array([0, 13, 200]),
        np.arange(150),
    )
    values, _ = displacement._fourier_curve(walk, waiting, lags, 200)
    variance = np.array([walk[w : w + 349].astype(float).var(axis=0).sum() for w in waiting])[
        :, None
    ]
    assert np.max(np.abs(values - naive.tamsd(walk, waiting, lags, 200)) / variance) < 1e-12


def test_small_values_are_summed_directly_after_the_transforms():
    """A slow walk on a large drift keeps its relative accuracy: 1e-14 of the variance over its smallest share, 1e-2."""
    walk = _walk(3000, 2) + np.linspace(0, 3e4, 3000)[:, None]
    lags, waiting = np.arange(1000), np.array([0, 500, 1000])
    assert displacement._fourier_is_cheaper(waiting, lags, 1000)
    ours = tamsd(walk, waiting_times=waiting, lag_times=lags, window=1000).values
    direct = displacement._direct_curves(walk[None], waiting, lags, 1000)[0]
    np.testing.assert_allclose(ours, direct, rtol=1e-12)
    raw, accurate = displacement._fourier_curve(walk, waiting, lags, 1000)
    assert not accurate.all()
    # which the transforms alone would not
    assert np.abs(raw[:, 1] / direct[:, 1] - 1).max() > 1e-12


def test_the_cheaper_path_is_taken():
    """Dense lags on long windows go through transforms, a few lags over long walks do not."""
    assert displacement._fourier_is_cheaper(np.arange(0, 5001, 400), np.arange(1000), 3000)
    published = np.unique(np.round(np.logspace(0, 4, 100)).astype(int))
    assert not displacement._fourier_is_cheaper(
        np.round(np.logspace(0, 5, 10)).astype(int), published, 100_000
    )


def test_ballistic_motion_is_quadratic_to_the_bit():
    """Uniform motion v t in whole numbers gives |v|^2 lag^2 exactly."""
    walk = np.arange(500)[:, None] * np.array([3, -4])
    lags = np.array([0, 1, 7, 100])
    values = tamsd(walk, waiting_times=[0, 50, 99], lag_times=lags, window=300).values
    assert np.array_equal(values, np.broadcast_to(25.0 * lags**2, (3, 4)))


def test_circular_motion_has_its_closed_form():
    """Motion on a unit circle gives 2 - 2 cos(omega lag) at every lag and waiting time, by transforms."""
    angle, lags = 0.01 * np.arange(5000), np.arange(1500)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    values = tamsd(circle, waiting_times=[0, 400], lag_times=lags, window=3000).values
    assert displacement._fourier_is_cheaper(np.array([0, 400]), lags, 3000)
    np.testing.assert_allclose(
        values, np.broadcast_to(4 * np.sin(0.005 * lags) ** 2, values.shape), rtol=1e-11, atol=1e-13
    )


@pytest.mark.parametrize("hurst", [0.3, 0.5, 0.8])
def test_brownian_motion_has_its_law(hurst):
    """Fractional Brownian walks in 2 dimensions show 2 lag^(2H), within 5 standard errors over 200 walks."""
    n, steps = 200, 600
    walks = (
        np.array([[fbm_path(steps, hurst, rng=2 * k + axis) for axis in (0, 1)] for k in range(n)])
        * steps**hurst
    )
    lags = np.array([1, 2, 5, 20, 100])
    found = tamsd(walks.transpose(0, 2, 1), waiting_times=[0, 200], lag_times=lags, window=300)
    assert np.all(np.abs(found.values - 2 * lags ** (2 * hurst)) < 5 * found.standard_error)
    fit = diffusion_exponent(lags, found.per_walk[:, 1], lag_range=(1, 20))
    assert abs(fit.exponent - 2 * hurst) < 5 * (fit.high - fit.low) / (2 * 1.97)


def test_every_walk_of_an_ensemble_is_its_own():
    """An ensemble gives each walk's curve, their mean, and the same as walk by walk."""
    walks = np.stack([_walk(300, 2, seed) for seed in range(3)])
    together = tamsd(walks, waiting_times=[0, 20], lag_times=[1, 9], window=100)
    alone = [
        tamsd(walk, waiting_times=[0, 20], lag_times=[1, 9], window=100).values for walk in walks
    ]
    assert np.array_equal(together.per_walk, alone)
    assert np.array_equal(together.values, np.mean(alone, axis=0))
    assert np.isnan(
        tamsd(walks[0], waiting_times=[0], lag_times=[1], window=9).standard_error
    ).all()


def test_lags_may_repeat_and_come_in_any_order():
    """The published list counts lag 1 twice: each entry gets its own column, and strided input is welcome."""
    walk = _walk(400, 4)[::2, 1]
    values = tamsd(walk, waiting_times=[3, 0, 3], lag_times=[7, 1, 1], window=50).values
    np.testing.assert_allclose(
        values, naive.tamsd(walk[:, None], [3, 0, 3], [7, 1, 1], 50), rtol=1e-12
    )


@pytest.mark.parametrize("lags", [np.arange(500), np.array([1, 5, 400])])
def test_the_number_of_threads_changes_no_bit(lags, monkeypatch):
    """One thread and four threads give the same bits on both paths."""
    walks = np.stack([_walk(2500, 2, seed) for seed in range(5)])
    found = []
    for threads in ("1", "4"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        found.append(
            tamsd(walks, waiting_times=[0, 500, 900], lag_times=lags, window=1000).per_walk
        )
    assert np.array_equal(*found)


def test_a_memory_map_is_read_without_a_copy(tmp_path):
    """A float32 memory map gives the array's bits while less than a twentieth of it is allocated."""
    walk = _walk(60_000, 50, dtype=np.float32)
    np.save(tmp_path / "walk.npy", walk)
    mapped = np.load(tmp_path / "walk.npy", mmap_mode="r")
    settings = {"waiting_times": [0, 10_000], "lag_times": [1, 30, 900], "window": 20_000}
    expected = tamsd(walk, **settings).values
    tracemalloc.start()
    found = tamsd(mapped, **settings).values
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(found, expected)
    assert peak < walk.nbytes / 20


def test_displacement_survives_a_round_trip(tmp_path):
    """A saved displacement loads with its arrays, settings and provenance."""
    found = tamsd(_walk(99, 2), waiting_times=[0, 5], lag_times=[1, 2], window=40)
    found.save(tmp_path / "tamsd.npz")
    again = Displacement.load(tmp_path / "tamsd.npz")
    assert np.array_equal(again.per_walk, found.per_walk)
    assert (again.window, again.provenance) == (40, found.provenance)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"window": 90},
            "waiting time + window + lag must be at most the 100 positions of the walk, got '5 + 90 + 7 = 102'",
        ),
        ({"lag_times": [-1]}, "lag_times must be one or more whole numbers, at least 0"),
        ({"lag_times": []}, "lag_times must be one or more whole numbers"),
        ({"waiting_times": [0.5]}, "waiting_times must be one or more whole numbers"),
        ({"window": 0}, "window must be a whole number, at least 1, got 0"),
        (
            {"positions": np.zeros((2, 2, 2, 2))},
            "positions must have shape (T,), (T, d) or (n, T, d), got (2, 2, 2, 2)",
        ),
        ({"positions": np.full(100, 1j)}, "positions must hold real numbers"),
    ],
)
def test_bad_input_is_refused_with_its_rule(change, words):
    """Each refusal names the argument, its value and the rule."""
    good = {
        "positions": np.zeros((100, 2)),
        "waiting_times": [0, 5],
        "lag_times": [1, 7],
        "window": 50,
    }
    with pytest.raises(ValueError, match=re.escape(words)):
        tamsd(**(good | change))


@pytest.mark.parametrize("lags", [[0, 3], np.arange(40)])
def test_a_stopped_walker_is_named(lags):
    """NaN inside the windows is refused with its walk and step; outside them it is not looked at."""
    walks = np.stack([_walk(200, 2), _walk(200, 2)])
    walks[1, 120:] = np.nan
    with pytest.raises(ValueError, match=re.escape("(walk 1, step 120)")):
        tamsd(walks, waiting_times=[0, 30], lag_times=lags, window=100)
    assert np.isfinite(tamsd(walks, waiting_times=[0], lag_times=lags, window=80).values).all()


def test_exponent_of_an_exact_power_law():
    """tau^alpha gives alpha and its prefactor; repeated lags count once, lag 0 is left out."""
    lags = np.array([0, 1, 1, 2, 3, 5, 8, 13])
    curve = 4.0 * lags**1.3
    curve[2] = 1e9  # the second entry of lag 1 is not used
    fit = diffusion_exponent(lags, curve, lag_range=(0, 8))
    np.testing.assert_allclose([fit.exponent, fit.prefactor], [1.3, 4.0], rtol=1e-12)
    assert np.isnan([fit.low, fit.high]).all()
    assert fit.interval_of.startswith("one curve (no interval")


def test_the_interval_over_walks_covers_the_truth():
    """95 % intervals from 8 Brownian walks cover the exponent 1 in 95 % of 300 trials, within 5 standard errors."""
    lags = np.arange(1, 21)
    rng = np.random.default_rng(1)
    walks = np.cumsum(rng.normal(size=(300 * 8, 400, 1)), axis=1)
    curves = (
        tamsd(walks, waiting_times=[0], lag_times=lags, window=300)
        .per_walk[:, 0]
        .reshape(300, 8, -1)
    )
    fits = [diffusion_exponent(lags, curve, lag_range=(1, 20)) for curve in curves]
    covered = np.mean([fit.low <= 1 <= fit.high for fit in fits])
    assert abs(covered - 0.95) < 5 * np.sqrt(0.95 * 0.05 / 300)
    assert fits[0].interval_of == "8 walks (jackknife)"
    # why one curve has none: the regression's would hold the truth too rarely
    alone = [linregress(np.log(lags), np.log(curve[0])) for curve in curves]
    held = [abs(fit.slope - 1) < stdtrit(18, 0.975) * fit.stderr for fit in alone]
    assert np.mean(held) < 0.4


def test_masked_positions_are_left_out_pair_by_pair():
    """Frames that a tracker lost (masked) take no part: the sums over the pairs that are left, as written."""
    walks = np.random.default_rng(4).normal(size=(2, 60, 2)).cumsum(axis=1)
    lost = np.zeros(walks.shape, bool)
    lost[0, 20:23, 0] = lost[1, 41] = True  # one missing component is enough
    filled = np.where(lost, 9999.0, walks)
    found = tamsd(
        np.ma.masked_array(filled, lost), waiting_times=[0, 7], lag_times=[0, 3, 5], window=40
    )
    gone = lost.any(axis=2)
    for i, walk in enumerate(walks):
        for j, first in enumerate((0, 7)):
            for k, lag in enumerate((0, 3, 5)):
                pairs = [
                    np.sum((walk[t + lag] - walk[t]) ** 2)
                    for t in range(first, first + 40)
                    if not gone[i, t] and not gone[i, t + lag]
                ]
                assert found.per_walk[i, j, k] == pytest.approx(np.mean(pairs), rel=1e-13)
    unmasked = np.ma.masked_array(walks, np.zeros(walks.shape, bool))
    keywords = {"waiting_times": [3], "lag_times": [1, 2], "window": 30}
    assert np.array_equal(tamsd(unmasked, **keywords).per_walk, tamsd(walks, **keywords).per_walk)


def test_a_window_without_a_pair_is_refused():
    """Where every pair of a window has a masked end there is nothing to average."""
    lost = np.ma.masked_array(np.arange(50.0), np.arange(50) < 20)
    with pytest.raises(ValueError, match="positions must be finite within the windows"):
        tamsd(lost, waiting_times=[0], lag_times=[1], window=19)


@pytest.mark.parametrize(
    ("lag_range", "curve", "words"),
    [
        (
            (30, 40),
            np.ones(10),
            "lag_range must hold three distinct positive lags at least, got (30, 40)",
        ),
        ((5, 5), np.ones(10), "lag_range must be (first, last) with 0 <= first < last, got (5, 5)"),
        ((1, 5), np.ones(9), "tamsd must have shape (10,) or (n, 10), got (9,)"),
        ((1, 5), np.zeros(10), "at lag 1"),
        ((1, 5), np.r_[1, 1, 1, np.nan, np.ones(6)], "at lag 3"),
    ],
)
def test_bad_exponent_input_is_refused(lag_range, curve, words):
    """Empty ranges, wrong shapes, zeros and NaN are refused with the lag."""
    with pytest.raises(ValueError, match=re.escape(words)):
        diffusion_exponent(np.arange(10), curve, lag_range=lag_range)


def test_the_published_exponents_come_from_the_published_file(zenodo):
    """The paper's guide lines .7, 1.1 and .6 are the exponents of its file at waiting times 3200 and 3800."""
    file = source_data.read("multifractional_brownian_surface/TAMSD.mat", folder=zenodo)
    fits = [
        diffusion_exponent(file["xs"][line], file["ys"][line], lag_range=lags).exponent
        for line, lags in [(7, (3, 10)), (7, (150, 400)), (10, (2, 8))]
    ]
    assert np.array_equal(np.round(fits, 1), [0.7, 1.1, 0.6])


def test_the_exponent_of_a_displacement_is_that_of_its_curves():
    """`.exponent` is `diffusion_exponent` of the walks' own curves at one waiting time; of several, one must be named."""
    walks = np.random.default_rng(0).normal(size=(5, 400, 2)).cumsum(axis=1)
    found = tamsd(walks, waiting_times=[0, 50], lag_times=[1, 2, 4, 8], window=300)
    ours = found.exponent((1, 8), waiting_time=50)
    theirs = diffusion_exponent([1, 2, 4, 8], found.per_walk[:, 1], lag_range=(1, 8))
    assert (ours.exponent, ours.low, ours.high) == (theirs.exponent, theirs.low, theirs.high)
    alone = tamsd(walks, waiting_times=[50], lag_times=[1, 2, 4, 8], window=300).exponent((1, 8))
    assert alone.exponent == pytest.approx(ours.exponent, rel=1e-12)
    with pytest.raises(ValueError, match=r"waiting_time must be one of \[0, 50\], got None"):
        found.exponent((1, 8))


@pytest.mark.parametrize(("n_steps", "last"), [(400, 40), (5, 1)])
def test_default_lags_reach_a_tenth_of_the_walk(n_steps, last):
    """From one step on, each a whole number and none twice; a walk of a few steps has the lag 1."""
    lags = tamsd(np.arange(n_steps + 1.0)).lag_times
    assert lags[[0, -1]].tolist() == [1, last]
    assert (np.diff(lags) > 0).all()
    assert (lags == lags.round()).all()
    assert len(lags) >= last**0.6
