"""Tangent vectors along full-batch training: a closed form at a saddle, two runs side by side, divergence."""

import numpy as np
import pytest

from multifractal import load_table
from multifractal.training import chaos
from multifractal.training.chaos import training_table
from multifractal.training.full_batch import FullBatchDescent
from tests.helpers import naive


@pytest.fixture(scope="module")
def data():
    """The diabetes table, standardised."""
    return load_table("diabetes").standardised(442)


def descent(data, **settings):
    """Return a loop over the table in float64."""
    usual = {
        "n_train": 442,
        "learning_rate": 1.0,
        "dropout": 0.0,
        "seed": 0,
        "dtype": np.float64,
        "chunk": 300,
    }
    return FullBatchDescent(*data, **usual | settings)


def unit(n, seed=0):
    """Return a random vector of length 1."""
    vector = np.random.default_rng(seed).normal(size=n)
    return vector / np.linalg.norm(vector)


def test_the_exponent_at_a_saddle_is_its_closed_form(data):
    """With all weights 0 and hidden biases 1 the network rests at a saddle of least curvature -2|c|, c_i = mean(x_i y).

    There the exponent is ln(1 + 2 rate |c|): along all other directions vectors grow less.
    """
    x, y = data
    theta, rate = np.zeros(12 * 16 + 1), 0.05
    theta[160:176] = 1.0
    states, growth = descent(data).advance_with_tangent(np.stack([theta, unit(193)]), rate, 0, 200)
    np.testing.assert_allclose(states[-1, 0], theta, atol=1e-9)
    expected = np.log(1 + 2 * rate * np.linalg.norm(x.T @ y / len(y)))
    np.testing.assert_allclose(growth[-20:], expected, rtol=1e-6)


@pytest.mark.parametrize(("dropout", "rate"), [(0.0, 0.1), (0.5, 0.1)])
def test_the_stretch_is_the_separation_of_two_runs_with_the_same_masks(data, dropout, rate):
    """Two naive runs 1e-9 apart separate as the stretch says, to 2e-3 after 150 epochs (kinks of ReLU between them)."""
    ours = descent(data, dropout=dropout)
    start, tangent = ours.start(), unit(193, seed=3)
    states, growth = ours.advance_with_tangent(np.stack([start, tangent]), rate, 0, 150)
    masks = ours.masks(0, 150).swapaxes(1, 2) if dropout else None
    one, other = (
        naive.full_batch_descent(theta, *data, rate, 150, masks, 1 - dropout)[0]
        for theta in (start, start + 1e-9 * tangent)
    )
    np.testing.assert_allclose(states[:, 0], one, atol=1e-10)
    separation = np.linalg.norm(other - one, axis=1) / 1e-9
    np.testing.assert_allclose(np.cumsum(growth), np.log(separation), atol=2e-3)
    assert np.abs(growth).sum() > 0.05  # something happened


def test_a_run_goes_on_over_calls_until_it_diverges(data, monkeypatch):
    """In calls of 40 epochs all 100 are there, bit by bit those of one call; at rate 1e3 what follows the divergence is NaN."""
    ours = descent(data, dropout=0.5)
    whole = chaos._run(ours, 0.1, 0, 100)
    monkeypatch.setattr(chaos, "_CHUNK", 40)
    parts = chaos._run(ours, 0.1, 0, 100)
    for one, other in zip(whole, parts, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one, other)
    positions, growth = chaos._run(ours, 1e3, 0, 100)
    assert np.isnan(positions[-1]).all()
    assert np.isnan(growth[-1])


def test_cutting_a_run_changes_nothing(data):
    """The same bits in one call of 200 epochs and in two; the positions are those of `advance` at that rate."""
    ours = descent(data, learning_rate=0.1, dropout=0.5)
    state = np.stack([ours.start(), unit(193)])
    whole = ours.advance_with_tangent(state, 0.1, 0, 200)
    first = ours.advance_with_tangent(state, 0.1, 0, 70)
    second = ours.advance_with_tangent(first[0][-1], 0.1, 70, 130)
    np.testing.assert_array_equal(np.concatenate([first[0], second[0]]), whole[0])
    np.testing.assert_array_equal(np.concatenate([first[1], second[1]]), whole[1])
    np.testing.assert_allclose(whole[0][:, 0], ours.advance(ours.start(), 0, 200)[0], atol=1e-10)


def test_the_table_of_a_training_run():
    """Fields agree with the run; a rate beyond stability is NaN; the system says what it is."""
    table = training_table(
        load_table("diabetes"), learning_rates=[0.05, 5.0], n_runs=1, n_steps=160
    )
    assert table.systems == ["10-16-1, diabetes, dropout 0"]
    assert np.isnan(table.stretch[0, 1, :, -1]).all()
    assert np.isnan(table.share_growing[0, 1]).all()
    assert (table.loss[0, 0, :, 1] < table.loss[0, 0, :, 0]).all()
    ours = descent(load_table("diabetes").standardised(442), learning_rate=0.05)
    end = ours.advance(ours.start(), 0, 160)[0][-1]
    np.testing.assert_allclose(
        table.edge_at_end[0, 0, 0], ours.sharpness(end) * 0.05 / 2, rtol=1e-9
    )


def test_dropout_beyond_its_range_is_refused():
    """Dropout 1 would leave nothing."""
    with pytest.raises(ValueError, match=r"dropout must lie in \[0, 1\)"):
        training_table(load_table("diabetes"), learning_rates=[0.1], dropout=1.0)
