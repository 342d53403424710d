"""Multiplicative measures and box-sum spectra, exact against the multinomial law."""

import re

import numpy as np
import pytest

from multifractal import Multinomial, measure_spectrum, multiplicative_measure

pytestmark = pytest.mark.quick

WEIGHTS = (0.45, 0.3, 0.2, 0.05)


def test_each_square_shares_its_mass_by_the_weights():
    """At every scale the four quarters of each square hold the four shares, in an order that varies; masses sum to 1."""
    boxes = multiplicative_measure(64, WEIGHTS, rng=1).values
    assert abs(boxes.sum() - 1) < 1e-14
    orders = set()
    while len(boxes) > 1:
        quarters = boxes.reshape(len(boxes) // 2, 2, -1, 2).transpose(0, 2, 1, 3).reshape(-1, 4)
        boxes = boxes.reshape(len(boxes) // 2, 2, -1, 2).sum(axis=(1, 3))
        shares = quarters / quarters.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(
            np.sort(shares, axis=1), np.tile(sorted(WEIGHTS), (len(shares), 1)), rtol=1e-12
        )
        orders |= {tuple(order) for order in np.argsort(shares, axis=1)}
    assert len(orders) == 24


@pytest.mark.parametrize("seed", range(8))
def test_box_sums_have_the_law_exactly(seed):
    """tau, h and D by box sums are those of the law for every seed, to rounding, for q from -10 to 10."""
    q = np.linspace(-10, 10, 21)
    measured, law = (
        measure_spectrum(multiplicative_measure(128, WEIGHTS, rng=seed), q),
        Multinomial(WEIGHTS),
    )
    np.testing.assert_allclose(measured.tau, law.zeta(q) - 2, atol=1e-11)
    np.testing.assert_allclose(measured.h, law.exponent(q), atol=1e-11)
    np.testing.assert_allclose(measured.D, law.spectrum(q)[1], atol=1e-11)


def test_uniform_measure_has_one_exponent():
    """Lebesgue measure has h = D = 2 at every order."""
    measured = measure_spectrum(np.ones((32, 32)), [-3.0, 0.0, 2.0])
    np.testing.assert_allclose([measured.h, measured.D], 2, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: multiplicative_measure(60, WEIGHTS, rng=0), "n must be a power of two, got 60"),
        (
            lambda: multiplicative_measure(64, (0.5, 0.5), rng=0),
            "weights must be four positive shares of sum 1",
        ),
        (lambda: measure_spectrum(np.ones((32, 16)), [1.0]), "masses must be square, got (32, 16)"),
        (lambda: measure_spectrum(np.zeros((32, 32)), [1.0]), "masses must be positive, got"),
        (lambda: measure_spectrum(np.ones((32, 32)), [np.inf]), "q must be finite everywhere"),
    ],
)
def test_bad_input_is_refused_with_its_rule(call, words):
    """Each refusal names the argument, its value, the rule and the remedy."""
    with pytest.raises(ValueError, match=re.escape(words)):
        call()
