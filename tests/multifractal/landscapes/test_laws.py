"""Scaling laws: log-cumulants, exponents and spectra against each other and against the multipliers they draw."""

import re

import numpy as np
import pytest

from multifractal import LogNormal, LogPoisson, Multinomial

pytestmark = pytest.mark.quick

LAWS = [
    LogNormal(0.5, -0.05),
    LogNormal(0.7),
    LogPoisson(0.3, 0.8, 0.6),
    LogPoisson(0.8, 1.3, 0.4),
    Multinomial((0.4, 0.3, 0.2, 0.1)),
]


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_log_cumulants_are_the_derivatives_of_zeta(law):
    """zeta, its derivative and the log-cumulants agree with finite differences around q = 0; zeta(0) = 0."""
    step = 0.01
    q = step * np.arange(-3, 4)
    zeta = law.zeta(q)
    assert abs(law.zeta(0.0)) < 1e-15
    np.testing.assert_allclose(np.gradient(zeta, step)[2:-2], law.exponent(q)[2:-2], atol=1e-4)
    fitted = np.polynomial.Polynomial.fit(q, zeta, 6, domain=[-1, 1], window=[-1, 1]).coef[1:5] * [
        1,
        2,
        6,
        24,
    ]
    np.testing.assert_allclose(fitted, law.log_cumulants, atol=1e-4)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_spectrum_is_the_legendre_transform(law):
    """D(h) is the minimum over q of 2 + q h - zeta(q), 2 at q = 0, and NaN where it would be negative."""
    q = np.linspace(-4, 4, 17)
    h, dimension = law.spectrum(q)
    fine = np.linspace(-12, 12, 24001)
    expected = np.array([(2 + fine * one - law.zeta(fine)).min() for one in h])
    np.testing.assert_allclose(dimension, expected, atol=1e-6)
    assert dimension[8] == 2
    assert np.isnan(LogNormal(0.5, -0.2).spectrum(5.0)[1])


@pytest.mark.parametrize("law", LAWS[:4], ids=repr)
def test_multipliers_have_the_moments_of_the_law(law):
    """Mean W^q is 2^(-zeta(q)) within 5 standard errors of 200 000 draws."""
    drawn = law.multipliers(np.random.default_rng(0), (400, 500))
    for q in (-1.0, 0.5, 2.0):
        powers = drawn**q
        assert (
            abs(powers.mean() - 2 ** -law.zeta(q))
            <= 5 * powers.std() / np.sqrt(powers.size) + 1e-12
        )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: LogNormal(0.5, 0.05),
            "c2 must be at most 0: the variance of the multipliers is -c2 ln 2, got 0.05",
        ),
        (lambda: LogNormal(-0.5), "c1 must be a positive finite number, got -0.5"),
        (lambda: LogPoisson(0.3, -1, 0.5), "beta must be a positive finite number, got -1"),
        (lambda: LogPoisson(0.3, 1, 0.5), "beta must differ from 1"),
        (lambda: LogPoisson(0.3, 0.5, 0), "rate must be a positive finite number, got 0"),
        (
            lambda: LogPoisson(-1, 0.9, 0.1),
            "gamma must make c1 = gamma - rate ln(beta)/ln 2 positive, got -1",
        ),
        (
            lambda: Multinomial((0.5, 0.5, 0.1, 0.1)),
            "weights must be four positive shares of sum 1",
        ),
        (
            lambda: Multinomial((0.5, 0.5, 0.0, 0.0)),
            "weights must be four positive shares of sum 1",
        ),
    ],
)
def test_impossible_laws_are_refused(call, words):
    """Negative variances, rates and shares are refused with argument, value and rule."""
    with pytest.raises(ValueError, match=re.escape(words)):
        call()
