"""Exact learning coefficients: published formulae written otherwise, and the volumes whose exponent they are."""

import itertools

import numpy as np
import pytest

from landscape_viz import linear_network_coefficient, monomial_coefficient

pytestmark = pytest.mark.quick


def by_aoyagi_and_watanabe(n, h, m, r):
    """Return the four cases of the theorem of 2005 for reduced-rank regression of n inputs, h hidden units, m outputs."""
    if n + r <= m + h and m + r <= n + h and h + r <= m + n:
        odd = (m + h + n + r) % 2
        total = -((h + r) ** 2) - m**2 - n**2 + 2 * (h + r) * (m + n) + 2 * m * n + odd
        return total / 8, 1 + odd
    if m + h < n + r:
        return (h * m - h * r + n * r) / 2, 1
    if n + h < m + r:
        return (h * n - h * r + m * r) / 2, 1
    return m * n / 2, 1


def test_three_layers_are_the_theorem_of_2005():
    """Aoyagi's formula of 2024 with three widths is Aoyagi and Watanabe's of 2005, in all its cases."""
    for n, h, m in itertools.product(range(1, 8), repeat=3):
        for r in range(min(n, h, m) + 1):
            found = linear_network_coefficient([n, h, m], rank=r)
            assert found == pytest.approx(by_aoyagi_and_watanabe(n, h, m, r)), (n, h, m, r)


def test_narrow_networks_are_monomials():
    """A chain of layers one unit wide, of rank 0, is the square of a product of its weights."""
    for n_layers in range(1, 6):
        assert linear_network_coefficient([1] * (n_layers + 1), rank=0) == monomial_coefficient(
            [1] * n_layers
        )


def test_volumes_of_monomials_fall_with_their_exponent():
    """In the unit square P(w1^2 w2^4 < e) is (2 e^(1/4) - e^(1/2)), and P(w1^2 w2^2 < e) is e^(1/2) (1 - ln(e) / 2)."""
    w = np.random.default_rng(0).random((2, 400_000))
    for e in (1e-2, 1e-4):
        for k, exact in (([1, 2], 2 * e**0.25 - e**0.5), ([1, 1], e**0.5 * (1 - np.log(e) / 2))):
            share = np.mean(np.prod(w ** (2 * np.array(k)[:, None]), axis=0) < e)
            assert abs(share - exact) < 5 * np.sqrt(exact / w.shape[1])
    assert monomial_coefficient([1, 2]) == (0.25, 1)
    assert monomial_coefficient([1, 1]) == (0.5, 2)


def test_refusals():
    """Exponents and widths that are no model, and a rank that no product has."""
    with pytest.raises(ValueError, match="exponents must hold one above 0"):
        monomial_coefficient([0, 0])
    with pytest.raises(ValueError, match="widths must hold input and output"):
        linear_network_coefficient([3], rank=1)
    with pytest.raises(ValueError, match="rank must be at most 2"):
        linear_network_coefficient([3, 2, 4], rank=3)
