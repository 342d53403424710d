"""Intervals: right by scipy and statsmodels, and covering what they say they cover, on both sides."""

import numpy as np
import pytest
from scipy import stats

from multifractal.base.statistics import (
    Estimate,
    jackknife_interval,
    mean_and_error,
    mean_interval,
    median_interval,
    one_more_interval,
    percentile_interval,
    student_interval,
)

NAN = float("nan")


@pytest.mark.parametrize("n", [2, 3, 10, 100])
def test_the_interval_of_a_mean_is_students(n):
    """Mean and ends are those of scipy's t.interval, along any axis, samples that are NaN left out."""
    samples = np.random.default_rng(n).standard_exponential((n + 1, 5))
    samples[0] = NAN
    found = mean_interval(samples, axis=0)
    kept = samples[1:]
    ends = stats.t.interval(0.95, n - 1, kept.mean(axis=0), stats.sem(kept, axis=0))
    np.testing.assert_allclose(found.interval, ends, rtol=1e-13)
    np.testing.assert_allclose(found.value, kept.mean(axis=0), rtol=1e-14)
    assert (found.n == n).all()
    assert f"of {n} samples" in found.how
    assert "5 NaN left out" in found.how
    np.testing.assert_array_equal(mean_interval(samples.T, axis=1).interval, found.interval)


def test_the_interval_of_a_mean_is_statsmodels():
    """The same ends as statsmodels.stats.weightstats.DescrStatsW.tconfint_mean."""
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    samples = np.random.default_rng(1).normal(3, 2, 7)
    ends = weightstats.DescrStatsW(samples).tconfint_mean(0.05)
    np.testing.assert_allclose(mean_interval(samples).interval, ends, rtol=1e-12)


def test_too_few_samples_have_no_interval():
    """One sample is its own mean without an interval; none has no mean; each column is counted for itself."""
    found = mean_interval([[1.0, NAN, 2.0], [NAN, NAN, 4.0]], axis=0)
    np.testing.assert_array_equal(found.value, [1, NAN, 3])
    np.testing.assert_array_equal(np.isnan(found.interval), [[True, True, False]] * 2)
    assert found.n.tolist() == [1, 0, 2]
    assert "mean of 0 to 2 samples" in found.how
    assert "3 NaN left out" in found.how
    assert not found.contains(1.0)[0]
    empty = mean_interval([])
    assert (empty.n, np.isnan(empty.value), np.isnan(empty.interval).all()) == (0, True, True)


def test_infinite_samples_make_an_infinite_mean_without_interval():
    """An exponent of minus infinity is a value, not a gap: the mean is minus infinity and the interval unknown."""
    found = mean_interval([-np.inf, 0.0, 1.0])
    assert (found.value, found.n) == (-np.inf, 3)
    assert np.isnan(found.interval).all()


def test_single_numbers_are_plain_and_print():
    """One mean gives floats and an int, and a line for people with two digits of its interval's width."""
    found = mean_interval([1.0, 2.0, NAN], of="walks")
    assert str(found) == "1.5 [-4.9, 7.9] (mean of 2 walks, Student's t; 1 NaN left out)"
    assert isinstance(found.value, float)
    assert int(found.n) == 2
    np.testing.assert_allclose(found.bars, 6.353102368 * np.ones(2))
    assert "no interval" in str(mean_interval([1.0]))


def coverage(interval, truth, draws):
    """Return the share of repetitions whose interval holds the truth, and its standard error if it is .95."""
    held = [low <= truth <= high for low, high in map(interval, draws)]
    return np.mean(held), np.sqrt(0.95 * 0.05 / len(held))


@pytest.mark.parametrize("n", [2, 5, 30])
def test_means_are_covered(n):
    """Over 4000 repetitions the interval holds the true mean in 95 % of them, neither less nor more (4 standard errors)."""
    draws = np.random.default_rng(5).normal(1, 3, (4000, n))
    share, error = coverage(lambda x: mean_interval(x).interval, 1.0, draws)
    assert abs(share - 0.95) < 4 * error
    normal = coverage(
        lambda x: x.mean() + 1.96 * x.std(ddof=1) / np.sqrt(n) * np.array([-1, 1]), 1.0, draws
    )[0]
    assert (
        n == 30 or normal < 0.95 - 4 * error
    )  # the rule can fail: 1.96 of few samples is not 95 %


def test_one_more_sample_is_covered():
    """The interval of one more sample holds a fresh one in 95 % of 4000 repetitions, on both sides."""
    draws = np.random.default_rng(6).normal(1, 3, (4000, 6))
    low, high = one_more_interval(draws[:, :5])
    share = np.mean((low <= draws[:, 5]) & (draws[:, 5] <= high))
    assert abs(share - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 4000)
    by_default = one_more_interval(draws[:, :5].reshape(40, 100, 5))  # along the last axis
    np.testing.assert_array_equal(by_default, np.reshape([low, high], (2, 40, 100)))


def test_medians_are_covered_as_the_binomial_law_says():
    """Order statistics hold the median with the probability that k and n give exactly, at least 95 %, whatever the law."""
    n = 20
    draws = np.random.default_rng(7).standard_exponential((4000, n))
    share, _ = coverage(lambda x: median_interval(x).interval, np.log(2), draws)
    exact = 1 - 2 * stats.binom.cdf(5, n, 0.5)  # between the 6th smallest and the 6th largest
    assert exact >= 0.95 > 1 - 2 * stats.binom.cdf(6, n, 0.5)
    assert abs(share - exact) < 4 * np.sqrt(exact * (1 - exact) / 4000)
    for few in range(6):
        assert np.isnan(median_interval(np.arange(few)).interval).all()
    assert median_interval(np.arange(6.0)).interval.tolist() == [0, 5]
    assert "1 NaN left out" in median_interval([1.0, NAN]).how


def test_percentiles_leave_nan_out():
    """Ends are numpy's quantiles of the draws that are not NaN, by column; NaN where there are none."""
    draws = np.random.default_rng(8).normal(size=(40, 3))
    draws[3, 0], draws[:, 2] = NAN, NAN
    found = percentile_interval(draws)
    np.testing.assert_array_equal(
        found[:, 0], np.quantile(np.delete(draws[:, 0], 3), [0.025, 0.975])
    )
    np.testing.assert_array_equal(found[:, 1], np.quantile(draws[:, 1], [0.025, 0.975]))
    assert np.isnan(found[:, 2]).all()


def test_a_slope_has_the_interval_of_linregress():
    """An error with its degrees of freedom gives scipy.stats.linregress's interval; without freedom there is none."""
    x = np.arange(6.0)
    y = 2 * x + np.random.default_rng(9).normal(size=6)
    fit = stats.linregress(x, y)
    factor = stats.t.ppf(0.975, 4)
    np.testing.assert_allclose(
        student_interval(fit.slope, fit.stderr, 4),
        [fit.slope - factor * fit.stderr, fit.slope + factor * fit.stderr],
    )
    assert np.isnan(student_interval(1.0, 0.0, 0)).all()


def test_the_error_is_the_standard_error():
    """`mean_and_error` is numpy's mean and scipy's standard error of it."""
    samples = np.random.default_rng(10).normal(size=(3, 8))
    mean, error, n = mean_and_error(samples)
    np.testing.assert_allclose([mean, error], [samples.mean(axis=1), stats.sem(samples, axis=1)])
    assert n.tolist() == [8, 8, 8]


def test_estimates_are_built_by_keyword():
    """Five numbers in a row are easily exchanged, so that they have names."""
    with pytest.raises(TypeError):
        Estimate(1.0, 0.0, 2.0, 3, "made up")


def test_the_jackknife_of_a_mean_is_students_interval():
    """Leaving one out of a mean gives its standard error exactly, hence the interval of the mean itself."""
    samples = np.random.default_rng(11).normal(size=9)
    left_out = (samples.sum() - samples) / 8
    np.testing.assert_allclose(
        jackknife_interval(samples.mean(), left_out), mean_interval(samples).interval, rtol=1e-12
    )


def test_few_resampled_samples_widen_the_percentiles():
    """A bootstrap of 8 normal samples covers the mean in 95 % with moved percentiles, and less without."""
    rng = np.random.default_rng(12)
    samples = rng.normal(size=(1500, 8))
    means = np.take_along_axis(samples[:, None], rng.integers(0, 8, (1500, 400, 8)), axis=2).mean(
        axis=2
    )
    shares = [
        np.mean((ends[0] <= 0) & (0 <= ends[1]))
        for ends in (percentile_interval(means, 1, n=8), percentile_interval(means, 1))
    ]
    assert abs(shares[0] - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 1500)
    assert shares[1] < 0.95 - 4 * np.sqrt(0.95 * 0.05 / 1500)
    assert np.isnan(percentile_interval(means[0], n=1)).all()
