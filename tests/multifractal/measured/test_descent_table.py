"""The table of descents: closed forms in a bowl, rules on made-up numbers, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from multifractal import Landscape
from multifractal.measured.descent_table import (
    SHORT,
    DescentTable,
    joined,
    over_runs,
    schedule,
    stretch_times,
    walk_table,
)
from multifractal.measured.descent_table import _walked as walked

pytestmark = pytest.mark.quick


def bowl(k=0.2):
    """Return a round bowl of curvature `k`."""
    y, x = np.mgrid[:41, :41] - 20
    return Landscape(0.5 * k * (x**2 + y**2))


@pytest.fixture(scope="module")
def table():
    """Walks in two bowls at two rates."""
    return walk_table(
        "bowl", [bowl(), bowl(0.1)], learning_rates=[1.0, 2.5], n_walkers=3, n_steps=160
    )


def test_a_bowl_stretches_by_its_curvature(table):
    """The stretch after t steps is t ln|1 - k rate| inside the bowl, the sharpness over the edge k rate / 2; contracting."""
    expected = np.log(np.abs(1 - np.outer([1.0, 2.5], [0.2, 0.1])))
    inside = table.stretch[0, :, :, -1] - table.stretch[0, :, :, -3]
    np.testing.assert_allclose(inside, 80 * expected, rtol=1e-5)
    np.testing.assert_allclose(table.exponents[0], expected, rtol=1e-5)
    np.testing.assert_allclose(
        table.edge_at_end[0], np.outer([1.0, 2.5], [0.2, 0.1]) / 2, rtol=1e-9
    )
    assert (table.share_growing == 0).all()
    assert (
        walk_table("bowl", [bowl(), bowl()], learning_rates=[1.0], n_steps=160).sign == -1
    ).all()
    assert (table.loss[..., 1] < 0.01 * table.loss[..., 0]).all()


@pytest.mark.parametrize(("rate", "share"), [(10.0, 0), (10.1, 1)])
def test_a_walk_grows_where_its_last_half_is_an_e_fold(rate, share):
    """On a hill of curvature -0.001 a perturbation grows by ln(1 + rate / 1000) a step: over 100 steps 0.995 or 1.005.

    A walk so near to the top stays on it, and its exponent is the closed form's.
    """
    hill = Landscape(-bowl(0.001).values)
    times = stretch_times(200)
    gained = (times[-1] - times[-3]) * np.log1p(0.001 * rate)
    found = walked(hill, np.full((2, 2), 20.0), np.array([rate]), times)
    assert (gained > 1) == bool(share)
    np.testing.assert_allclose(found["stretch"][0], times * np.log1p(0.001 * rate), rtol=1e-6)
    assert found["share_growing"] == share


def test_a_walk_at_rest_has_no_diffusion_exponent(table):
    """Late in a steep bowl nothing moves: NaN, not a fit to rounding."""
    assert np.isnan(table.diffusion(2, SHORT)[0, 1]).all()


def test_the_mean_over_runs_is_students():
    """Mean and bounds are scipy's; values that are not finite are left out; one value has no interval."""
    samples = np.array(
        [[0.3, -0.1, 0.7, 1.1], [0.3, -0.1, 0.7, np.nan], [0.3, np.nan, np.nan, -np.inf]]
    )
    found = over_runs(samples)
    for row, n in ((0, 4), (1, 3)):
        good = samples[row, :n]
        bounds = stats.t.interval(0.95, n - 1, good.mean(), stats.sem(good))
        np.testing.assert_allclose(found.value[row], good.mean(), rtol=1e-12)
        np.testing.assert_allclose(found.interval[:, row], bounds, rtol=1e-12)
    assert np.isnan(found.interval[:, 2]).all()
    assert found.n.tolist() == [4, 3, 1]


@pytest.mark.parametrize(
    ("late", "sign"),
    [
        ([3, 4, 5], 1),
        ([-3, -4, -5], -1),
        ([0.5, 0.6, 0.7], 0),  # surely positive, but less than e-fold in half a run
        ([-1, 8, 30], 0),  # large, but not told from zero
        ([np.nan, np.nan, 4], np.nan),
    ],
)
def test_the_sign_needs_an_interval_beyond_an_e_fold(table, late, sign):
    """A run is chaotic when the interval over runs of the late stretch lies above 1; the same below -1."""
    stretch = np.zeros((1, 1, 3, 24))
    stretch[0, 0, :, -1] = late
    made = replace(table, stretch=stretch)
    np.testing.assert_equal(made.sign, [[sign]])


def test_diffusion_reads_even_lags(table):
    """Of lag^0.7 plus a swing of period two, which odd lags see, the exponent is 0.7."""
    lags = table.lag_times[0].astype(float)
    curve = lags**0.7 + 50.0 * (lags % 2)
    made = replace(table, tamsd=np.broadcast_to(curve, table.tamsd.shape))
    np.testing.assert_allclose(made.diffusion(0, SHORT), 0.7, atol=1e-9)
    np.testing.assert_allclose(made.diffusion(1, (2 / 160, 10 / 160)), 0.7, atol=1e-9)


def test_schedules_fit_the_run():
    """Every window with its waiting time and longest lag lies within the run; half of the run is among the times."""
    for n_steps in (160, 800, 4000):
        waiting, lags, window = schedule(n_steps)
        assert waiting.max() + lags.max() + window <= n_steps
        assert lags.min() == 1
        assert (lags[1:] % 2 == 0).all()
        assert stretch_times(n_steps)[[0, -3, -1]].tolist() == [1, n_steps // 2, n_steps]


def test_tables_join_and_part(table, tmp_path):
    """Joined tables give back each system; a saved one loads as it was; other shapes are refused."""
    both = joined([table, replace(table, systems=["again"])])
    assert both.systems == ["bowl", "again"]
    np.testing.assert_array_equal(both.of("again").stretch, table.stretch)
    both.save(tmp_path / "both.npz")
    np.testing.assert_array_equal(DescentTable.load(tmp_path / "both.npz").tamsd, both.tamsd)
    with pytest.raises(ValueError, match="tables must have the same shapes"):
        joined([table, replace(table, tamsd=table.tamsd[:, :1])])


def test_an_odd_number_of_steps_is_refused():
    """Half of the run must be a step."""
    with pytest.raises(ValueError, match="n_steps must be even, got 161"):
        walk_table("bowl", [bowl()], learning_rates=[1.0], n_steps=161)
