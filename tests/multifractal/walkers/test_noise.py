"""Alpha-stable noise: the law by its characteristic function and by scipy, its walks, its bits, and refusals."""

import numpy as np
import pytest
import scipy.stats

from multifractal import Landscape, descend, descend_ensemble
from multifractal.walkers.noise import draw
from multifractal.walkers.optimizers import checked_rule
from tests.helpers import naive
from tests.multifractal.walkers.test_field import Valley

pytestmark = pytest.mark.quick

STABLE = {"method": "sgd", "noise": "stable"}


def stable(alpha, size, seed=0):
    """Draw stable numbers of unit scale."""
    rule = checked_rule("sgd", {"noise": "stable", "alpha": alpha})
    return draw(rule, np.random.default_rng(seed), (size,))


def agrees(samples, alpha, scale, t):
    """Whether the mean of cos(t x) is exp(-|scale t|^alpha) within 5 standard errors, whose law is closed as well."""
    at, twice = (np.exp(-((scale * s) ** alpha)) for s in (t, 2 * t))
    error = np.sqrt((1 + twice - 2 * at**2) / 2 / len(samples))
    return abs(np.cos(t * samples).mean() - at) < 5 * error


@pytest.mark.parametrize("alpha", [0.7, 1.0, 1.3, 1.8, 2.0])
def test_characteristic_function(alpha):
    """E cos(t x) is exp(-|t|^alpha) from the middle of the law to its tail."""
    samples = stable(alpha, 40_000)
    assert all(agrees(samples, alpha, 1.0, t) for t in (0.01, 0.1, 0.5, 1.0, 2.0))
    assert not agrees(samples, alpha, 1.1, 0.5)


def test_normal_and_cauchy_are_scipys():
    """The law is normal of variance 2 for alpha = 2, Cauchy's for 1, and scipy's stable law at two quantiles for 1.5."""
    assert (
        scipy.stats.kstest(stable(2.0, 5000), scipy.stats.norm(scale=np.sqrt(2)).cdf).pvalue > 1e-3
    )
    assert scipy.stats.kstest(stable(1.0, 5000), "cauchy").pvalue > 1e-3
    low, high = scipy.stats.levy_stable.ppf([0.25, 0.95], 1.5, 0.0)
    for quantile, share in ((low, 0.25), (high, 0.95)):
        found = np.mean(stable(1.5, 20_000) < quantile)
        assert abs(found - share) < 5 * np.sqrt(share * (1 - share) / 20_000)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.5, 2.0])
def test_numbers_are_the_naive_ones(alpha):
    """The kernel, whose functions do not depend on the processor, gives numpy's formula to rounding."""
    uniform = np.random.default_rng(3).random((1000, 2))
    np.testing.assert_allclose(stable(alpha, 1000, 3), naive.stable(uniform, alpha), rtol=1e-12)


def test_extreme_uniform_numbers_give_finite_noise():
    """Uniform numbers at the ends of [0, 1) give large numbers, not inf or NaN."""

    class Ends:
        def random(self, shape):
            return np.array([[[a, b] for b in (0.0, 1 - 2.0**-53)] for a in (0.0, 1 - 2.0**-53)])

    for alpha in (0.5, 1.0, 1.5, 2.0):
        rule = checked_rule("sgd", {"noise": "stable", "alpha": alpha})
        assert np.isfinite(draw(rule, Ends(), (2, 2))).all()


@pytest.mark.parametrize("walls", ["reflecting", "periodic"])
def test_unfolded_displacement_on_a_plain_is_a_stable_law(walls):
    """Without a gradient n steps are a sum of n stable numbers: of scale rate s n^(1/alpha), whatever the walls."""
    flat, alpha, n = Landscape(np.zeros((8, 12))), 1.4, 25
    walks = descend_ensemble(
        flat,
        np.tile([5.0, 3.0], (3000, 1)),
        learning_rates=[0.5],
        n_steps=n,
        walls=walls,
        keep_last=1,
        rng=2,
        noise_scale=0.3,
        alpha=alpha,
        **STABLE,
    )
    moved = (walks.unfolded[0, :, 0] - [5.0, 3.0]).ravel()
    scale = 0.5 * 0.3 * n ** (1 / alpha)
    assert all(agrees(moved, alpha, scale, t / scale) for t in (0.05, 0.3, 1.0))
    assert walks.parameters == {"noise": "stable", "noise_scale": 0.3, "alpha": 1.4}


def test_a_field_feels_the_same_noise():
    """On a user's loss the step is rate (g + s xi), xi the naive numbers of the walker's own stream."""
    start = np.array([1.0, -0.5, 0.3, 2.0])
    walk = descend(Valley(), start, learning_rate=0.02, n_steps=3, rng=5, alpha=1.7, **STABLE)
    uniform, x = np.random.default_rng(5), start
    for t in range(3):
        x = x - 0.02 * (
            Valley().value_and_gradient(x.copy())[1] + naive.stable(uniform.random((4, 2)), 1.7)
        )
        np.testing.assert_allclose(walk.positions[t + 1], x, rtol=1e-11)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"noise": "gaussian"}, "noise must be .*'isotropic'"),
        ({"noise": "stable"}, "alpha must be given with noise='stable'"),
        ({"noise": "stable", "alpha": 0.0}, r"alpha must lie in \(0, 2\]"),
        ({"noise": "stable", "alpha": 2.1}, r"alpha must lie in \(0, 2\]"),
        ({"noise": "isotropic", "alpha": 1.5}, "alpha must be left out"),
    ],
)
def test_refusals(options, words):
    """A tail exponent that is missing, no stable law's, or of no use is refused."""
    with pytest.raises(ValueError, match=words):
        descend(Landscape(np.zeros((8, 8))), (3, 3), learning_rate=1, n_steps=1, method="sgd", rng=0, **options)  # fmt: skip
