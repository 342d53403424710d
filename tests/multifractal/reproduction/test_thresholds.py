"""Rules turn at their thresholds, to either side by epsilon; what a study draws, it draws once."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from multifractal.reproduction import (
    alpha_claims,
    drift_claims,
    edge_claims,
    exponents,
    surface_claims,
    training_claims,
)
from multifractal.reproduction.claim import CORRECTED, NOT_REPRODUCED, REPRODUCED
from multifractal.reproduction.study import Study
from tests.helpers.made_up import CALL, HALF, SPREAD, N, told

EPSILON = 1e-6
ONE_MORE = stats.t.ppf(0.975, N - 1) * SPREAD * np.sqrt(1 + 1 / N)


def verdict(published, mean, one=None, n=N):
    """Return the verdict on a stated exponent."""
    stated = exponents.Stated("mean", "one", published, (1, 9), "somewhere")
    found = {"mean": told(mean, n), "one": told(mean if one is None else one)}
    return exponents.judge([stated], found).verdict


@pytest.mark.parametrize(
    ("published", "threshold", "above", "below"),
    [
        (0.9, 1 - HALF, NOT_REPRODUCED, CORRECTED),  # the whole interval below ordinary diffusion
        (0.9, HALF, CORRECTED, NOT_REPRODUCED),  # and above rest
        (1.1, 1 + HALF, CORRECTED, NOT_REPRODUCED),
    ],
)
def test_the_kind_of_diffusion_turns_at_ordinary_diffusion_and_at_rest(
    published, threshold, above, below
):
    """The end of the interval of the mean decides, whatever one walk shows."""
    assert verdict(published, threshold + EPSILON, one=3) == above
    assert verdict(published, threshold - EPSILON, one=3) == below


@pytest.mark.parametrize("side", [-1, 1])
def test_a_number_is_another_beyond_one_more_walk_and_its_decimal(side):
    """Student's interval of one more sample (n - 1 degrees of freedom), and half a unit of the paper's one decimal."""
    reach = ONE_MORE + 0.05
    assert verdict(0.5, 0.5, one=0.5 + side * (reach - EPSILON)) == REPRODUCED
    assert verdict(0.5, 0.5, one=0.5 + side * (reach + EPSILON)) == CORRECTED


def test_one_walk_is_no_mean():
    """With one sample nothing is reproduced; two have an interval."""
    assert verdict(0.5, 0.5, n=1) == NOT_REPRODUCED
    assert verdict(0.5, 0.5, n=2) == REPRODUCED


def test_no_surface_is_drawn_twice():
    """Surfaces and monofractal ones of a study differ from each other; so do the streams of (i), (i, k) and (k, i)."""
    study = Study(n_surfaces=4, size=32)
    surfaces = [study.surface(i).values.tobytes() for i in range(4)]
    surfaces += [
        study.monofractal(hurst, i).values.tobytes() for hurst in (0.4, 0.5) for i in range(4)
    ]
    assert len(set(surfaces)) == len(surfaces)
    keys = [(i,) for i in range(4)] + list(itertools.product(range(4), repeat=2))
    assert len({study.rng(*key).random() for key in keys}) == len(keys)


def test_powers_are_compared_where_there_are_two_basins(monkeypatch):
    """A surface with one basin has no curves at all; one whose rougher basin has none counts for the smoother power only."""
    curve = {"power": 1.7, "crossover": 30.0}
    both = {
        "smoother": SimpleNamespace(**curve),
        "rougher": SimpleNamespace(power=1.5, crossover=9.0),
    }
    drawn = [both, {}, {"smoother": SimpleNamespace(**curve)}, both]
    with monkeypatch.context() as patch:
        patch.setattr(surface_claims, "lowest_and_basins", lambda study, i: (None, ["a basin"]))
        assert surface_claims._curves_of(None, 0) == {}
    monkeypatch.setattr(surface_claims, "_curves_of", lambda study, i: drawn[i])
    monkeypatch.setattr(surface_claims, "_monofractal_power", lambda study, i: 1.6)
    monkeypatch.setattr(surface_claims, "_drawn_curves", lambda *_: {})
    found = surface_claims._measure_clustering(Study(n_surfaces=4, size=32)).quantities
    assert found["difference"].value == pytest.approx(0.2)
    counts = [found[name].n for name in ("difference", "smoother_power", "rougher_power")]
    assert counts == [2, 3, 2]


def test_the_exponent_where_a_surface_is_highest_is_read_from_its_map(monkeypatch):
    """Row 1, column 2 of a surface of two rows and three columns; a surface without a map has none."""
    values, exponents = np.array([[0.0, -8.0, 1.0], [2.0, 3.0, 4.0]]), np.arange(6.0).reshape(2, 3)
    for hoelder, expected in ((exponents, 5.0), (None, np.nan)):
        surface = SimpleNamespace(values=values, shape=values.shape, hoelder=hoelder)
        monkeypatch.setattr(Study, "surface", lambda study, i, found=surface: found)
        np.testing.assert_equal(Study(n_surfaces=2, size=32).hoelder_at_maximum(0), expected)


@pytest.mark.parametrize("too_small", [(), ("flat",), ("steep",), ("flat", "steep")])
def test_the_flatter_basin_is_the_smoother_one_and_one_too_small_has_no_curve(
    monkeypatch, too_small
):
    """Of three basins the flattest and the steepest are taken; a basin with too few radii for a fit is left out by its name."""
    flatness = {"steep": 1.0, "middle": 2.0, "flat": 3.0}
    basins = [
        SimpleNamespace(flatness=np.full(4, flatness[name]), positions=name) for name in flatness
    ]

    def fit(points, centres):
        assert points == "the lowest minima"
        if centres in too_small:
            raise ValueError("too few radii")
        return centres

    lowest = SimpleNamespace(positions="the lowest minima")
    monkeypatch.setattr(surface_claims, "lowest_and_basins", lambda *_: (lowest, basins))
    monkeypatch.setattr(surface_claims, "clustering_curve", fit)
    expected = {"smoother": "flat", "rougher": "steep"}
    expected = {name: basin for name, basin in expected.items() if basin not in too_small}
    assert surface_claims._curves_of(None, 0) == expected


def test_the_published_rate_is_1000():
    """Of curves 1000 t^0.4 there and 10 t^0.9 at all other rates, exponent and step are those of that rate."""
    there = (alpha_claims.RATES == 1000)[:, None]
    one_surface = np.where(there, 1000 * alpha_claims.LAGS**0.4, 10 * alpha_claims.LAGS**0.9)
    curves = np.broadcast_to(one_surface, (len(alpha_claims.HURSTS), 2, *one_surface.shape))
    rest = np.zeros(curves.shape[:3])
    found = alpha_claims.numbers(curves, rest, Study(n_surfaces=2, size=32)).quantities
    for hurst in alpha_claims.HURSTS:
        assert found[f"rate {hurst}"].value == pytest.approx(0.4)
        assert found[f"step {hurst}"].value == pytest.approx(3.0)


def test_the_ends_of_the_range_are_the_rates_27_and_943():
    """Of sharpness 2 at every rate, the logarithms of those rates, the 15th and the 30th of 40 from 1 to 10 000; the slope is 0."""
    flat = edge_claims.Settled(
        np.full((3, 40), np.log10(2)), np.full((3, 40), 0.1), np.zeros((3, 40), bool)
    )
    found = edge_claims.edge_numbers(
        dict.fromkeys(edge_claims.ARMS, flat), np.ones(3), None, lambda arm: CALL
    ).quantities
    for arm in edge_claims.ARMS:
        assert found[f"{arm} lowest"].value == pytest.approx(4 * 14 / 39)
        assert found[f"{arm} highest"].value == pytest.approx(4 * 29 / 39)
        assert found[f"{arm} slope"].value == pytest.approx(0, abs=1e-12)


def test_the_correlation_with_the_start_is_pearsons():
    """Of pairs that are known; without spread in either, or of three pairs, there is none."""
    x, y = np.array([1.0, 2.0, 4.0, 7.0, np.nan]), np.array([2.0, 1.0, 5.0, 6.0, 9.0])
    value, (low, high), n = edge_claims.correlation(x, y)
    assert value == pytest.approx(stats.pearsonr(x[:4], y[:4]).statistic)
    assert n == 4
    assert low < value < high
    assert edge_claims.correlation((x - 1) / 6, y)[0] == pytest.approx(value)  # of range 1 in x
    assert edge_claims.correlation(x, (y - 1) / 5)[0] == pytest.approx(value)  # and in y
    for a, b in ((x[:3], y[:3]), (np.ones(5), y), (x, np.ones(5))):
        value, interval, _ = edge_claims.correlation(a, b)
        assert np.isnan([value, *interval]).all()


@pytest.mark.filterwarnings("error")
def test_the_rank_correlation_of_settings_is_spearmans():
    """Over the settings that both arrived at; with fewer than five, or without spread in one of them, there is none."""
    one, other = (
        np.array([1.0, 2.0, 4.0, 7.0, 5.0, np.nan]),
        np.array([2.0, 1.0, 5.0, 6.0, 9.0, 1.0]),
    )
    expected = stats.spearmanr(one[:5], other[:5]).statistic
    found = training_claims._rank_correlation
    assert found(one, other) == found(other, one) == pytest.approx(expected)
    assert found(one, 1000 + other) == pytest.approx(expected)
    none = [found(one[1:], other[1:]), found(np.ones(6), other), found(other, np.ones(6))]
    assert np.isnan(none).all()


def test_a_run_counts_where_it_arrives(monkeypatch):
    """Sharpness, distance and gap of the runs that came to the training loss, NaN for others; all from the seed's own rows."""
    stop, asked = training_claims._STOP["digits"], []

    def descend(inputs, target, **settings):
        asked.append((inputs[0, 0], target[0], settings))
        late = len(asked) % 2
        return SimpleNamespace(
            train=stop + late * 1e-9, sharpness=3.0, distance=2.0, gap=len(asked)
        )

    monkeypatch.setattr("multifractal.training.minibatch.descend_in_batches", descend)
    data = np.arange(50.0)
    found = np.array(training_claims._of_seed(Study(n_surfaces=4, size=32), "digits", data[:, None], data, 10, 1))  # fmt: skip
    assert found.shape == (9, 3)
    assert np.isnan(found[::2]).all()
    np.testing.assert_array_equal(found[1::2], [[3, 2, k] for k in (2, 4, 6, 8)])
    assert len({(x, y) for x, y, _ in asked}) == 1
    assert asked[0][0] == asked[0][1]
    assert {(s["learning_rate"], s["batch_size"]) for *_, s in asked} == set(training_claims.settings_of("digits"))  # fmt: skip
    assert {s["n_train"] for *_, s in asked} == {min(training_claims.N_TRAIN, 25)}


def test_rates_of_the_update_rules_are_stated_by_their_steps():
    """In the long run plain and heavy-ball descent move by the strength times the gradient; Adam's steps and the noise are as long."""
    m = drift_claims._MOMENTUM
    for name, (method, strength) in drift_claims.VARIANTS.items():
        rate, more = drift_claims.setting(name, gradient=0.25)
        if method == "gd":
            assert (rate, more) == (strength, {})
        elif method == "momentum":
            assert rate / (1 - more["momentum"]) == pytest.approx(strength)
        elif method == "adam":
            assert rate == 0.25 * strength
            assert more == {"beta1": m}
        else:
            assert rate == drift_claims._RATE
            assert more == {"noise": "isotropic", "noise_scale": strength / 4}


@pytest.mark.parametrize(("low", "says"), [(HALF - EPSILON, False), (HALF + EPSILON, True)])
def test_low_loss_is_told_where_descending_adds_it(low, says):
    """Descent that is no more on flat ground than steps of its lengths is said to find low loss where its whole interval is above 0."""
    found = dict.fromkeys(drift_claims.KINDS[1:3], told(0.1)) | {drift_claims.KINDS[3]: told(0.0)}
    judged = drift_claims._judge_drift(found | {"low loss": told(low)})
    assert judged.verdict == CORRECTED
    assert ("What descending adds is low loss" in judged.reason) is says
