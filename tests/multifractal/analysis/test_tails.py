"""Tail exponents: quantiles against scipy and closed forms, estimators on laws of known exponent, intervals against repetition."""

import numpy as np
import pytest
from scipy.stats import levy_stable

from experiments.heavy_tails import WORLDS, stable
from multifractal import tail_index
from multifractal.analysis import tails


@pytest.mark.parametrize("alpha", [0.6, 1.3, 1.9])
def test_quantiles_of_stable_laws_are_scipys(alpha):
    """Quantiles by our integral equal those of scipy's own implementation of the stable law to 1e-6."""
    expected = levy_stable.ppf([0.75, 0.95], alpha, 0)
    found = [tails.stable_quantile(p, alpha) for p in (0.75, 0.95)]
    assert found == pytest.approx(expected, rel=1e-6)


def test_ratios_are_mccullochs_table():
    """The ratio of the 90 % to the 50 % range: closed at alpha = 1 and 2, printed by McCulloch (1986, table III) between."""
    ratio = dict(zip(tails._ALPHAS.round(3), tails._ratios(), strict=True))
    assert ratio[1.0] == pytest.approx(np.tan(0.45 * np.pi) / np.tan(0.25 * np.pi), rel=1e-9)
    assert ratio[2.0] == pytest.approx(1.6448536269514722 / 0.6744897501960817, rel=1e-6)
    for alpha, printed in ((1.5, 3.148), (1.2, 4.447), (0.8, 10.448)):
        assert ratio[alpha] == pytest.approx(
            printed, rel=3e-3
        )  # the table was computed to three digits


def test_hill_on_an_exact_power_law():
    """On Pareto samples, where every tail is exact, Hill's estimate is the exponent within 4 of its standard errors."""
    alpha, size = tails._tail(np.random.default_rng(0).pareto(2.5, 20_000) + 1)
    assert size > 300
    assert abs(alpha - 2.5) < 4 * 2.5 / np.sqrt(size)


def test_block_estimate_by_hand():
    """Four Cauchy-like numbers in blocks of two: log 2 over the gain, computed on paper."""
    gains = tails._gains(np.array([1.0, 3.0, 2.0, -8.0]), 2)
    assert gains == pytest.approx([np.log(4) - np.log(3) / 2, np.log(6) - np.log(16) / 2])
    assert tails._alpha_of_gain(gains.mean(), 2) == pytest.approx(np.log(2) / gains.mean())


def test_draws_are_stable():
    """The draws of the study follow scipy's stable law: Kolmogorov's distance of 20 000 draws below its 0.1 % point."""
    draws = stable(1.5, np.random.default_rng(0), 20_000)
    grid = np.linspace(-6, 6, 25)
    distance = np.abs((draws[:, None] < grid).mean(axis=0) - levy_stable.cdf(grid, 1.5, 0)).max()
    assert distance < 1.95 / np.sqrt(20_000)


@pytest.mark.parametrize("alpha", [1.3, 1.7])
def test_intervals_cover_as_often_as_they_say(alpha):
    """Over 40 samples of a stable law the 95 % intervals of the three stable estimators hold alpha in 32 to 40 cases.

    The binomial law of 40 trials of 0.95 lies in 33 to 40 with probability 0.999; a percentile bootstrap may be a little
    narrow, which 32 allows (0.80); half the width would give some 0.67, or 27.
    """
    methods = ("quantiles", "characteristic", "blocks")
    held = np.zeros(3)
    widths = []
    for k in range(40):
        found = tail_index(
            stable(alpha, np.random.default_rng(k), 1500), methods=methods, n_bootstrap=60, rng=k
        )
        held += (found.interval[0] <= alpha) & (alpha <= found.interval[1])
        widths.append(found.alpha)
    assert (held >= 32).all(), held
    spread = np.std(widths, axis=0)
    width = (found.interval[1] - found.interval[0]) / 3.92
    assert (
        np.abs(np.log(width / spread)) < np.log(1.8)
    ).all()  # two-sided: neither half nor twice as wide


def test_light_tails_of_unequal_scale_look_heavy_to_blocks_and_are_found_out():
    """Gaussian noise whose scale changes every 100 samples reads alpha < 2, and the estimators do not agree on a stable law."""
    alphas, agree = [], []
    for k in range(5):
        found = tail_index(
            WORLDS["Gaussian, log-normal scales in runs of 100"][1](np.random.default_rng(k), 4000),
            n_bootstrap=40,
        )
        alphas.append(found.alpha[3])
        agree.append(found.agree)
    assert np.mean(alphas) < 1.9
    assert not any(agree)
    assert tail_index(np.random.default_rng(0).standard_cauchy(4000), n_bootstrap=40).agree


def test_bad_input_is_refused():
    """Too few samples, samples that do not vary and unknown methods are named."""
    with pytest.raises(ValueError, match="samples must hold at least 100 numbers"):
        tail_index(np.ones(5))
    with pytest.raises(ValueError, match="samples must vary"):
        tail_index(np.zeros(500))
    with pytest.raises(ValueError, match="methods must be one of 'hill'"):
        tail_index(np.arange(500.0), methods=("moments",))


def test_same_seed_same_interval():
    """The bootstrap draws from `rng` alone."""
    x = np.random.default_rng(0).standard_t(3, 400)
    assert np.array_equal(tail_index(x, rng=5).interval, tail_index(x, rng=5).interval)
