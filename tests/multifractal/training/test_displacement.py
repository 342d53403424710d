"""Displacement of training runs: published lags, exponents by regime, the published files, figures."""

from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

import multifractal as mf
from multifractal import figures
from multifractal.training.displacement import published_name


def made_up_run(positions, every=1, **arrays):
    """Stand for a FullBatchRun with these positions."""
    return SimpleNamespace(
        positions=positions, parameters={"every": every, "learning_rate": 0.1}, **arrays
    )


@pytest.fixture(scope="module")
def noisy():
    """Displacement of a Brownian path, and of the same with an oscillation of period two on top."""
    path = np.cumsum(np.random.default_rng(0).normal(size=(40_000, 20)), axis=0)
    oscillation = np.where(np.arange(40_000) % 2, 3.0, -3.0)[:, None] * np.ones(20)
    return mf.training_displacement(made_up_run(path)), mf.training_displacement(
        made_up_run(path + oscillation)
    )


def test_waiting_times_and_lags_are_the_published_ones(zenodo):
    """A run of a million epochs gets the window, waiting times and distinct lags of the published files."""
    ours = mf.training_displacement(made_up_run(np.zeros((1_000_001, 1), np.float32)))
    published = mf.published_displacement(0.1, 0.75, folder=zenodo)
    assert ours.window == published.window == 100_000
    assert np.array_equal(ours.waiting_times, published.waiting_times)
    assert np.array_equal(ours.lag_times, published.lag_times)
    assert published.values.shape == (10, len(published.lag_times))


def test_a_short_run_shrinks_all_in_proportion():
    """The window is the run's length over 2.1, the longest waiting time as long, the longest lag a tenth of it."""
    found = mf.training_displacement(made_up_run(np.random.default_rng(1).normal(size=(21_001, 3))))
    assert found.window == found.waiting_times[-1] == 10_000
    assert found.lag_times[-1] == 1000
    assert len(np.unique(found.lag_times)) == len(found.lag_times)


def test_exponents_of_a_brownian_path_are_one(noisy):
    """Exponent 1 to 5 standard errors: the curve's is sqrt(8 lag/(3 window 20)), .8 % at lag 10 and 8 % at 1000."""
    found = mf.regime_exponents(noisy[0])
    assert [regime.waiting_time for regime in found] == noisy[0].waiting_times[[0, 0, 7]].tolist()
    assert [regime.even_lags_only for regime in found] == [False] * 3
    assert found[0].fit.exponent == pytest.approx(1, abs=5 * 0.008 / np.log(10))
    assert [regime.fit.exponent for regime in found] == pytest.approx(
        [1, 1, 1], abs=5 * 0.08 / np.log(1000 / 300)
    )


def test_an_oscillation_of_period_two_is_left_out(noisy):
    """With a flip-flop on top the exponents are those without, from even lags; all lags together would give about 0."""
    plain, flipping = (mf.regime_exponents(found) for found in noisy)
    assert all(regime.even_lags_only for regime in flipping)
    chosen = noisy[0].lag_times % 2 == 0
    for index, regime in zip((0, 0, 7), flipping, strict=True):
        expected = mf.diffusion_exponent(
            noisy[0].lag_times[chosen],
            noisy[0].values[index][chosen],
            lag_range=tuple(regime.fit.lag_range),
        )
        assert regime.fit.exponent == pytest.approx(expected.exponent, abs=1e-9)
    all_lags = mf.diffusion_exponent(
        noisy[1].lag_times, noisy[1].values[0], lag_range=(1, 10)
    ).exponent
    assert abs(all_lags - plain[0].fit.exponent) > 0.5


def test_the_published_exponents_come_out_of_the_published_file(zenodo):
    """With dropout .75 the regimes give .7, 1.3 and .2, as the paper's supplementary figure shows, to its one digit."""
    found = mf.regime_exponents(mf.published_displacement(0.1, 0.75, folder=zenodo))
    assert [round(regime.fit.exponent, 1) for regime in found] == [0.7, 1.3, 0.2]
    assert all(
        r.even_lags_only
        for r in mf.regime_exponents(mf.published_displacement(0.1, 0.0, folder=zenodo))
    )
    assert published_name(0.1, 0.75) in mf.source_data.NAMES


def test_regimes_that_a_run_does_not_reach_are_left_out():
    """2101 epochs reach lag 100 only: one regime is left."""
    found = mf.training_displacement(
        made_up_run(np.random.default_rng(2).normal(size=(2101, 3)).cumsum(axis=0))
    )
    assert [regime.regime for regime in mf.regime_exponents(found)] == ["early, short lags"]


def test_bad_runs_are_refused():
    """A thinned run and one of a few epochs are refused with the remedy."""
    with pytest.raises(ValueError, match="every must be 1.*--every 1"):
        mf.training_displacement(made_up_run(np.zeros((1000, 3)), every=10))
    with pytest.raises(ValueError, match="positions must be at least 420, got 419"):
        mf.training_displacement(made_up_run(np.zeros((419, 3))))


def test_sharpness_over_edge_is_in_units_of_two_over_the_rate():
    """Sharpness 20 at rate .1 is 1."""
    assert mf.sharpness_over_edge(made_up_run(None, sharpness=np.array([20.0, 5.0]))).tolist() == [
        1,
        0.25,
    ]


@pytest.mark.usefixtures("drawn")
def test_figures_show_their_data(noisy):
    """Curves, even lags as lines and odd lags as dots, fitted lines, the edge 2/rate and all axes labelled."""
    exponents = {"a": mf.regime_exponents(noisy[0]), "b": mf.regime_exponents(noisy[1])}
    ax = figures.training_tamsd({"a": noisy[0], "b": noisy[1]}, exponents)
    lags = noisy[1].lag_times
    first = ax[1].lines[0], ax[1].lines[1]
    assert np.array_equal(first[0].get_xdata(), lags[lags % 2 == 0])
    assert np.array_equal(first[1].get_ydata(), noisy[1].values[0][lags % 2 == 1])
    assert (
        len([line for line in ax[0].lines if line.get_linestyle() == "--"])
        == len(exponents["a"])
        == 3
    )
    assert figures.training_tamsd({"a": noisy[0]}).shape == (1,)
    numbers = {f"{r.fit.exponent:.2f}" for r in exponents["a"]}
    assert {text.get_text() for text in ax[0].texts} == numbers | {"a"}  # the panel's letter

    run = made_up_run(
        None,
        losses=np.geomspace(1, 0.1, 500)[:, None],
        epochs=500,
        sharpness=np.arange(5.0),
        sharpness_epochs=np.arange(5) * 10,
    )
    curves, sharpness = figures.learning_and_sharpness({"a": run})
    assert curves.lines[0].get_xdata()[[0, -1]].tolist() == [1, 500]
    assert sharpness.lines[1].get_ydata() == [20, 20]

    path = np.random.default_rng(3).normal(size=(300, 4)).cumsum(axis=0)
    embedding = mf.embed_path(path, sample=100, perplexity=5)
    angles = np.linspace(
        0, 6, len(embedding.points)
    )  # t-SNE itself hangs on the release of what it stands on
    embedding = replace(embedding, points=np.column_stack([np.cos(angles), np.sin(angles)]))
    left, right = figures.training_paths({"a": embedding})
    assert np.array_equal(left.collections[0].get_offsets(), embedding.components)
    assert np.array_equal(right.collections[0].get_offsets(), embedding.points)
    assert all(panel.get_xlabel() for panel in (*ax, curves, sharpness, left, right))
    plt.close("all")
