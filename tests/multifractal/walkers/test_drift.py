"""Drift to flat regions and passage into the well: controls, deciles, arrivals, and what theory says of each."""

import re

import numpy as np
import pytest
from scipy.stats import norm

from multifractal import (
    Drift,
    Landscape,
    drift_to_flat,
    fbm_surface,
    mbm_surface,
    paper_hoelder_map,
    well_passage,
)
from multifractal.base.rng import realisation
from multifractal.diffusion.passage import one_step_coefficients
from multifractal.walkers.drift import (
    NEVER,
    _from_increments,
    _local_walks,
    _shares,
    _walks,
    decile_maps,
    first_passage,
)
from tests.helpers import naive


@pytest.fixture
def rough():
    """A small rough surface, not square."""
    return fbm_surface((48, 90), 0.5, rng=0)


def test_local_steps_are_the_naive_twins_bit_for_bit(rough):
    """The control with local step lengths equals its transcription, walls included."""
    rng = np.random.default_rng(1)
    starts, angles = rng.uniform(0, 47, (3, 2)), rng.uniform(0, 2 * np.pi, (3, 300))
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    walks = _local_walks(rough, starts, 900.0, directions)
    for walk, start, way in zip(walks, starts, directions, strict=True):
        assert np.array_equal(walk, naive.local_walk(rough.gradient, start, 900.0, way))
    assert np.ptp(walks[..., 0]) > 80  # so walls were met


def test_controls_keep_what_they_should(rough):
    """Same starts; the same step lengths, the same sum of steps, and local lengths times the gradient."""
    descent, same, shuffled, local = _walks(rough, 2.0, 40, 4, "uniform", np.random.default_rng(2))
    for control in (same, shuffled, local):
        assert np.array_equal(control[:, 0], descent[:, 0])
        assert np.all((control >= 0) & (control <= [89, 47]))
    lengths = [np.linalg.norm(np.diff(walk, axis=1), axis=-1) for walk in (descent, same, shuffled)]
    clear = np.all(
        [((walk > 3) & (walk < [86, 44])).all(axis=(1, 2)) for walk in (descent, same, shuffled)],
        axis=0,
    )
    assert clear.any()  # walkers that never come near a wall, where lengths can be compared
    np.testing.assert_allclose(lengths[1][clear], lengths[0][clear], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        np.sort(lengths[2][clear]), np.sort(lengths[0][clear]), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(shuffled[clear, -1], descent[clear, -1], atol=1e-9)
    first = 2.0 * np.linalg.norm(rough.gradient_at(local[:, 0]), axis=-1)
    np.testing.assert_allclose(
        np.linalg.norm(local[clear, 1] - local[clear, 0], axis=-1), first[clear], rtol=1e-9
    )


def test_increments_are_folded_into_the_walls():
    """A straight line out of the grid comes back from the wall, twice."""
    track = _from_increments(
        np.array([[1.0, 1.0]]), np.full((1, 9, 2), 2.0), np.array([5.0, 100.0])
    )
    assert track[0, :, 0].tolist() == [1, 3, 5, 3, 1, 1, 3, 5, 3, 1]
    assert track[0, :, 1].tolist() == list(range(1, 20, 2))


def test_each_decile_holds_a_tenth_of_the_grid(rough):
    """The flattest tenth is where curvature is least, the lowest where loss is least; all tenths are equal."""
    pointwise, regional, low = decile_maps(rough, 8)
    for tenths in (pointwise, regional, low):
        assert np.abs(np.bincount(tenths.ravel()) - rough.values.size / 10).max() <= 1
    flat = naive.flatness(rough.values)
    assert flat[pointwise == 9].min() >= flat[pointwise < 9].max()
    assert rough.values[low == 9].max() <= rough.values[low < 9].min()
    curvature = flat**-4
    centre = np.array(
        [[curvature[j - 4 : j + 4, i - 4 : i + 4].mean() for i in (20, 60)] for j in (20, 30)]
    )
    order = np.argsort(-centre.ravel())
    assert np.all(np.diff(regional[np.ix_([20, 30], [20, 60])].ravel()[order]) >= 0)


def test_first_passage_and_shares_of_a_known_track():
    """A walker crossing the grid arrives when its nearest point is in the target, one that stays out never does."""
    target = np.zeros((4, 10), bool)
    target[:, 7:] = True
    tracks = np.stack(
        [
            np.column_stack([np.linspace(0, 9, 19), np.ones(19)]),
            np.ones((19, 2)),
            np.full((19, 2), 8.0),
        ]
    )
    tracks[2, :, 1] = 3
    assert first_passage(target, tracks).tolist() == [14, NEVER, 0]
    np.testing.assert_allclose(
        _shares(np.tile(np.arange(10), (4, 1)), tracks[1:]), [0, 0.5, 0, 0, 0, 0, 0, 0, 0.5, 0]
    )


def test_walkers_with_local_steps_gather_where_steps_are_short():
    """On a roof of slopes s and 2s, random directions with local steps spend 4/5 of their time on the flatter side.

    Diffusion with a coefficient that depends on place, D ~ slope^2, taken as Ito does, is stationary at a density ~ 1/D, so
    4 : 1 for equal areas. Steps of 1 and 2 pixels blur the edge by about one step in 100 pixels, .02 of the share; the rest
    is scatter over walkers, of which 5 standard errors are allowed.
    """
    x = np.arange(201.0)
    roof = Landscape(np.tile(np.where(x < 100, x, 100 + 2 * (x - 100)), (41, 1)))
    rng = np.random.default_rng(3)
    angles = rng.uniform(0, 2 * np.pi, (60, 40_000))
    walks = _local_walks(
        roof,
        rng.uniform(0, [200, 40], (60, 2)),
        1.0,
        np.stack([np.cos(angles), np.sin(angles)], -1),
    )
    share = (walks[:, 10_000:, 0] < 100).mean(axis=1)
    assert abs(share.mean() - 0.8) < 0.02 + 5 * share.std(ddof=1) / np.sqrt(60)


def test_the_study_does_not_depend_on_how_many_landscapes(rough, tmp_path):
    """Landscape i gives the same numbers whatever comes after it; shares sum to one; a file brings all back."""
    other = fbm_surface((48, 90), 0.6, rng=1)
    settings = {
        "learning_rate": 30.0,
        "n_steps": 200,
        "n_walkers": 3,
        "start": "uniform",
        "smoothing": 5,
        "rng": 7,
    }
    both, alone = (
        drift_to_flat(iter([rough, other]), **settings),
        drift_to_flat([rough], **settings),
    )
    assert both.shares.shape == (4, 3, 2, 10)
    assert np.array_equal(both.shares[:, :, :1], alone.shares)
    assert np.array_equal(both.arrivals[:, :1], alone.arrivals)
    np.testing.assert_allclose(both.shares.sum(axis=-1), 1, rtol=1e-12)
    walks = _walks(rough, 30.0, 200, 3, "uniform", realisation(7, 0))
    pointwise, regional, low = decile_maps(rough, 5)
    for k, walk in enumerate(walks):
        assert np.array_equal(alone.arrivals[k, 0], first_passage(regional == 9, walk))
        for f, tenths in enumerate((pointwise, regional, low)):
            assert np.array_equal(alone.shares[k, f, 0], _shares(tenths, walk))
    both.save(tmp_path / "drift.npz")
    again = Drift.load(tmp_path / "drift.npz")
    assert np.array_equal(
        again.mean_shares("descent", "low loss").interval,
        both.mean_shares("descent", "low loss").interval,
    )
    assert np.isnan(alone.mean_shares("descent", "flatness").interval).all()


def test_means_and_arrivals_follow_their_definitions():
    """Student's interval over surfaces, and the share arrived counts those that never arrive."""
    shares = np.zeros((4, 3, 3, 10))
    shares[0, 0, :, 9] = [0.2, 0.3, 0.4]
    arrivals = np.full((4, 3, 2), NEVER)
    arrivals[0] = [[0, 5], [NEVER, 7], [9, 9]]
    drift = Drift(
        shares=shares,
        arrivals=arrivals,
        n_steps=10,
        learning_rate=1.0,
        start="maximum",
        smoothing=1,
        provenance=None,
    )
    found, half = drift.mean_shares("descent", "flatness"), 4.30265 * 0.1 / 3**0.5
    np.testing.assert_allclose(found.value[9], 0.3)
    np.testing.assert_allclose(found.interval[:, 9], [0.3 - half, 0.3 + half], rtol=1e-5)
    np.testing.assert_allclose(
        drift.arrived("descent", [0, 4, 5, 9, 10]), np.array([1, 1, 2, 5, 5]) / 6
    )
    assert drift.arrived("shuffled increments", 10) == 0


def test_descent_and_its_step_lengths_prefer_flat_ground():
    """On one surface of the paper's kind at its setting, both walks with local step lengths prefer flat ground.

    Their shares of the flattest tenth are .28 +- .15 and .30 +- .01 (mean and standard deviation over 10 surfaces); the two
    controls that forget the place spend .1 there, and only descent prefers low loss.
    """
    drift = drift_to_flat(
        [mbm_surface(paper_hoelder_map(), rng=0, dtype=np.float32)], n_walkers=10, rng=0
    )
    shares = {kind: drift.mean_shares(kind, "flatness").value[9] for kind in drift.kinds}
    assert 0.25 < shares["local steps, random directions"] < 0.35
    assert shares["descent"] > 0.15
    assert 0.05 < shares["same steps, random directions"] < 0.15
    assert 0.05 < shares["shuffled increments"] < 0.15


@pytest.mark.slow
def test_the_claim_over_ten_surfaces():
    """Over 10 surfaces descent is on flat ground more than both controls, beyond 95 % intervals, but arrives no sooner."""
    surfaces = (mbm_surface(paper_hoelder_map(), rng=seed, dtype=np.float32) for seed in range(10))
    drift = drift_to_flat(surfaces, rng=0)
    for field in ("flatness", "regional flatness"):
        descent = drift.mean_shares("descent", field)
        for kind in ("same steps, random directions", "shuffled increments"):
            assert descent.low[9] > drift.mean_shares(kind, field).high[9]
        local = drift.mean_shares("local steps, random directions", field)
        # short steps on flat ground explain it, without descending
        apart = abs(descent.value[9] - local.value[9])
        assert apart < descent.bars[0, 9] + local.bars[0, 9]
    lowest = [
        drift.mean_shares(kind, "low loss").value[9]
        for kind in ("descent", "local steps, random directions")
    ]
    assert lowest[0] > 3 * lowest[1]
    assert drift.arrived("descent", 9999) < drift.arrived("same steps, random directions", 9999)


# --- the well --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def passage():
    """The paper's setting, 200 paths."""
    return well_passage(n_walkers=200, rng=0)


def test_both_motions_settle_at_the_temperature(passage):
    """In the well the spread is sqrt(T/k) = 20, for the ordinary equation's finite steps 20 / sqrt(1 - c1 k / 2).

    200 paths x 5000 steps: the fractional ones remember some 1000 steps, so about 1000 independent values, and 5 standard
    errors of their spread are 5 / sqrt(2000) = 11 %; the ordinary ones forget within 10 steps, 100 000 values, 1.2 %.
    """
    mobility, _ = one_step_coefficients(0.7, 1000.0, 5e3)
    assert passage.temperature == 0.2
    assert passage.spread[0] == pytest.approx(20, rel=0.11)
    assert passage.spread[1] == pytest.approx(20 / np.sqrt(1 - mobility * 5e-4 / 2), rel=0.012)
    # a path may leave again for a step or two right after it crossed the rim
    assert np.nanmin(passage.inside[:2]) > 0.99


def test_noise_alone_arrives_as_the_reflection_principle_says(passage):
    """Ordinary noise crosses 500 within n steps of size c2 with probability 2 (1 - Phi((500 + .5826 c2) / (c2 sqrt n)))."""
    _, amplitude = one_step_coefficients(0.7, 1000.0, 5e3)
    expected = 2 * norm.sf((500 + 0.5826 * amplitude) / (amplitude * 100))
    assert abs(passage.arrived("ordinary, noise only", 10_000) - expected) < 5 * np.sqrt(
        expected * (1 - expected) / 200
    )


def test_the_force_brings_ordinary_motion_in_at_its_mobility(passage):
    """The tilt of .01 at mobility c1 covers the 500 pixels to the well's rim in 500 / (.01 c1) = 99 steps, a median.

    The washboard slows it: its force .01 - .00628 sin(...) has the harmonic mean .01 sqrt(1 - .628^2) = .00778, so 127 steps
    without noise; noise smears it out, towards 99. Noise also spreads the time by sqrt(2 T / (F 500)) = .3 of it a path, so
    5 standard errors of the median of 200 paths are 13 %.
    """
    mobility, _ = one_step_coefficients(0.7, 1000.0, 5e3)
    median = np.median(passage.arrivals[1])
    assert 500 / (0.01 * mobility) * 0.87 < median < 500 / (0.00778 * mobility) * 1.13
    assert np.median(passage.arrivals[0]) > 5 * median  # memory holds the fractional motion back
    assert passage.arrived("fractional", 10_000) == 1
    assert passage.arrived("fractional, noise only", 10_000) < 0.2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: drift_to_flat([], rng=0), "landscapes must hold at least one landscape"),
        (
            lambda s: drift_to_flat([s], rng=0, start="top"),
            "start must be one of 'maximum', 'uniform', got 'top'",
        ),
        (
            lambda s: drift_to_flat([s], rng=0, smoothing=0),
            "smoothing must be a whole number, at least 1",
        ),
        (
            lambda s: drift_to_flat([s], rng=0, learning_rate=-1),
            "learning_rate must be a positive finite number",
        ),
        (
            lambda s: drift_to_flat([s], rng=0, learning_rate=1e12, n_steps=3),
            "learning_rate must keep every walker finite",
        ),
        (
            lambda s: well_passage(rng=0, n_walkers=0),
            "n_walkers must be a whole number, at least 1",
        ),
        (lambda s: well_passage(rng=0, hurst=0.4), "hurst must lie in (1/2, 1), got 0.4"),
    ],
)
def test_bad_input_is_refused_with_its_rule(rough, call, words):
    """Each refusal names the argument and the rule."""
    with pytest.raises(ValueError, match=re.escape(words)):
        call(rough)
