"""Elementary functions and ordered products: right to rounding by mpmath, and the same alone as in an array."""

import mpmath
import numpy as np
import pytest

from multifractal.base import elementary, products

mpmath.mp.dps = 40
STREAM = np.random.default_rng(0)


def in_ulps(found, exact):
    """Return the largest error in units in the last place."""
    return max(
        float(abs(mpmath.mpf(float(f)) - e)) / np.spacing(abs(float(e)))
        for f, e in zip(found, exact, strict=True)
    )


WIDE = np.exp(STREAM.uniform(-700, 700, 1000))
NEAR_ONE = 1 + 1e-6 * STREAM.normal(size=200)
CASES = {
    "exp": (mpmath.exp, np.r_[STREAM.uniform(-708, 709, 1000), STREAM.normal(size=1000)]),
    "log": (mpmath.log, np.r_[WIDE, NEAR_ONE, STREAM.uniform(0.5, 2, 1000), 1e-310]),
    "sinpi": (mpmath.sinpi, np.r_[STREAM.uniform(-2, 2, 1500), STREAM.uniform(-1e9, 1e9, 500)]),
    "cospi": (mpmath.cospi, np.r_[STREAM.uniform(-2, 2, 1500), STREAM.uniform(-1e9, 1e9, 500)]),
}


@pytest.mark.parametrize("name", CASES)
def test_error_is_below_one_unit(name):
    """Against 40 digits, the error is below one unit in the last place, over the range and near the zeros."""
    exact, x = CASES[name]
    assert in_ulps(getattr(elementary, name)(x), [exact(mpmath.mpf(float(v))) for v in x]) < 1


def test_power_is_right_to_one_unit():
    """x^y is right to one unit in the last place from 1e-300 to 1e300, where exp(y ln x) would lose ten bits."""
    x = np.r_[np.exp(STREAM.uniform(-14, 14, 1000)), STREAM.uniform(0, 2, 1000)]
    y = np.r_[STREAM.uniform(0, 2, 1000), STREAM.uniform(-300, 300, 1000)]
    exact = [mpmath.mpf(float(a)) ** mpmath.mpf(float(b)) for a, b in zip(x, y, strict=True)]
    assert in_ulps(elementary.power(x, y), exact) < 1


@pytest.mark.parametrize(
    ("ours", "exact"),
    [
        (elementary.log_gamma, mpmath.loggamma),
        (elementary.digamma, mpmath.digamma),
        (elementary.trigamma, lambda x: mpmath.polygamma(1, x)),
    ],
)
def test_gamma_functions(ours, exact):
    """Ln Gamma and its first two derivatives: 1e-14, absolute up to values of 1 and relative beyond."""
    x = np.r_[STREAM.uniform(0.01, 40, 300), 500.0, 1e6]
    expected = np.array([float(exact(mpmath.mpf(float(v)))) for v in x])
    assert (np.abs(ours(x) - expected) < 1e-14 * np.maximum(1, np.abs(expected))).all()


@pytest.mark.parametrize(
    "name", ["exp", "log", "sinpi", "cospi", "log_gamma", "digamma", "trigamma"]
)
def test_a_number_alone_has_the_bits_it_has_in_an_array(name):
    """Vector instructions and the rest of a loop round alike, and the kernel for one number as that for arrays."""
    function, x = getattr(elementary, name), np.exp(STREAM.uniform(-3, 3, 101))
    alone = [getattr(elementary, f"{name}_of")(v) for v in x]
    assert np.array_equal(function(x), alone)
    assert np.array_equal([function(v) for v in x], alone)
    powers = elementary.power(x, 0.7)
    assert np.array_equal(powers, [elementary.power_of(v, 0.7) for v in x])


def test_ends_of_the_range():
    """Infinity, NaN, zero and overflow give what IEEE 754 asks for."""
    inf, nan = np.inf, np.nan
    same = np.testing.assert_array_equal
    same(elementary.exp([inf, -inf, nan, 710.0, -746.0, 0.0]), [inf, 0, nan, inf, 0, 1])
    same(elementary.log([inf, nan, -1.0, 0.0, 1.0]), [inf, nan, nan, -inf, 0])
    same(
        elementary.power([0, 0, 0, inf, -1, 1, 2], [2, 0, -1, 2, 2, nan, 1e300]),
        [0, 1, inf, inf, nan, 1, inf],
    )
    same(elementary.sinpi([0.5, 1.0, 1.5, 2.0]), [1, 0, -1, 0])
    same(elementary.cospi([0.0, 0.5, 1.0, 1.5]), [1, 0, -1, 0])


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 3, 16), (7, 5, 700), (9, 40, 33)])
def test_products_are_those_of_blas_and_of_each_row_alone(shape):
    """Ordered products agree with BLAS to rounding, and a row's bits do not depend on the other rows."""
    n, depth, m = shape
    left, right = STREAM.normal(size=(n, depth)), STREAM.normal(size=(depth, m))
    found = products.product(left, right)
    np.testing.assert_allclose(found, left @ right, atol=1e-15 * depth * 10)
    for i in range(n):
        assert np.array_equal(products.product(left[i : i + 1], right)[0], found[i])
    back = np.zeros((n, depth))
    products.add_scalar_products(found, right, 0, m, back)
    np.testing.assert_allclose(back, found @ right.T, atol=1e-14 * m * depth)
    for i in range(n):
        alone = np.zeros((1, depth))
        products.add_scalar_products(found[i : i + 1], right, 0, m, alone)
        assert np.array_equal(alone[0], back[i])


@pytest.mark.parametrize("y", [1e15, -1e15, 3e16, 9.9e18, -9.9e18, 1e19, 1e25, 1e300])
@pytest.mark.parametrize("x", [1 - 2**-53, 1 + 2**-52, 1 - 2**-40, 0.5, 1e-300, 1e300])
def test_large_powers_of_numbers_near_one_and_far_from_it(x, y):
    """The values are mpmath's: neither 0 nor infinite too early, nor what is left of a product's rounding."""
    exponent = y * mpmath.log(mpmath.mpf(x))
    exact = float(mpmath.exp(max(min(exponent, 800), -800)))
    assert elementary.power_of(x, y) == pytest.approx(exact, rel=1e-15, abs=0)
    assert elementary.power([x], [y])[0] == elementary.power_of(x, y)
