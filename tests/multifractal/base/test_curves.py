"""Curves over samples: their statistics are scipy's and numpy's, NaN left out."""

import numpy as np
from scipy import stats

from multifractal import Curves, Provenance


def curves(samples):
    """Return curves over two places."""
    return Curves(x=np.arange(2), samples=samples, over="walks", provenance=Provenance("made"))


def test_statistics_are_those_of_scipy():
    """Means, geometric means, spreads, medians and shares, with their intervals, at each place."""
    samples = np.random.default_rng(0).lognormal(size=(9, 2))
    found = curves(np.vstack([samples, [[np.nan, np.nan]]]))
    ends = stats.t.interval(0.95, 8, samples.mean(axis=0), stats.sem(samples, axis=0))
    np.testing.assert_allclose(found.mean.interval, ends)
    assert "9 walks" in found.mean.how
    logs = np.log(samples)
    np.testing.assert_allclose(found.geometric_mean.value, stats.gmean(samples, axis=0))
    ends = stats.t.interval(0.95, 8, logs.mean(axis=0), stats.sem(logs, axis=0))
    np.testing.assert_allclose(found.geometric_mean.interval, np.exp(ends))
    np.testing.assert_allclose(found.spread, samples.std(axis=0, ddof=1))
    np.testing.assert_allclose(found.median, np.median(samples, axis=0))
    np.testing.assert_allclose(found.range, [samples.min(axis=0), samples.max(axis=0)])
    np.testing.assert_allclose(found.middle, np.quantile(samples, [0.025, 0.975], axis=0))
    np.testing.assert_allclose(found.share_above(1), (samples > 1).mean(axis=0))


def test_what_does_not_move_has_no_logarithm():
    """A geometric mean is of the positive samples, 0 without any; NaN, as is all, where nothing was measured."""
    found = curves(np.array([[0.0, 1.0], [0.0, 4.0], [0.0, np.nan]]))
    np.testing.assert_array_equal(found.geometric_mean.value, [0, 2])
    np.testing.assert_array_equal(np.isnan(found.geometric_mean.interval), [[True, False]] * 2)
    np.testing.assert_array_equal(found.share_above(2), [0, 0.5])
    nothing = curves(np.full((3, 2), np.nan))
    assert np.isnan(nothing.median).all()
    assert np.isnan(nothing.geometric_mean.value).all()
    assert np.isnan(nothing.share_above(0)).all()


def test_prefactor_and_centre_are_means_over_the_abscissa():
    """The m of y = m x is the mean of y / x; the middle on log axes is the geometric mean of x and of y, NaN unless positive."""
    x, samples = np.array([1.0, 2.0, 8.0]), np.array([[1.0, 2.0, 6.0], [3.0, 6.0, 26.0]])
    found = Curves(x=x, samples=samples, over="walks", provenance=Provenance("made"))
    assert np.isclose(found.prefactor, np.mean(samples.mean(axis=0) / x))
    part = slice(1, None)
    expected = stats.gmean(x[part]), stats.gmean(samples[:, part], axis=None)
    np.testing.assert_allclose(found.log_centre(part), expected)
    flat = Curves(x=x, samples=samples * [0, 1, 1], over="walks", provenance=Provenance("made"))
    np.testing.assert_allclose(flat.log_centre(), [stats.gmean(x), np.nan])
