"""The exponent over a plane: the paper's map, its derivatives, and the field that it makes; a bowl with a field on it."""

import re

import numpy as np
import pytest

from multifractal import (
    ConfinedField,
    FractalField,
    SubspaceExponent,
    descend,
    edge_of_stability,
    paper_hoelder_map,
)

pytestmark = pytest.mark.quick


def hoelder_along_x(points):
    """An exponent that varies with the first coordinate only, and its gradient; of its second derivative it says nothing."""
    gradient = np.zeros_like(points)
    gradient[:, 0] = 0.2 * np.cos(points[:, 0])
    return 0.5 + 0.2 * np.sin(points[:, 0]), gradient


def extrapolated(f, x, v, h):
    """The derivative of f at x along v by central differences of two steps, Richardson's extrapolation."""
    wide, narrow = ((f(x + k * h * v) - f(x - k * h * v)) / (2 * k * h) for k in (1.0, 0.5))
    return (4 * narrow - wide) / 3


def test_on_the_first_two_coordinates_it_is_the_papers_map():
    """At pixels over 1024 it is `paper_hoelder_map`, to rounding, whatever the other coordinates are."""
    rows, cols = np.random.default_rng(0).integers(0, 1024, (2, 200))
    points = np.random.default_rng(1).normal(size=(200, 7))
    points[:, 0], points[:, 1] = cols / 1024, rows / 1024
    exponents, gradients = SubspaceExponent(7)(points)
    np.testing.assert_allclose(exponents, paper_hoelder_map(1024)[rows, cols], atol=1e-14)
    assert not gradients[:, 2:].any()


def test_a_drawn_plane_is_orthonormal_and_the_derivatives_are_those_of_the_exponent():
    """In 30 dimensions the axes are orthonormal to rounding; gradient and Hessian agree with extrapolated differences to 1e-8."""
    exponent = SubspaceExponent(30, mean=0.6, swing=0.15, rng=3)
    assert np.abs(exponent.axes @ exponent.axes.T - np.eye(2)).max() < 1e-15
    assert exponent.hurst_range == pytest.approx((0.45, 0.75))
    x, v = np.random.default_rng(4).normal(size=(2, 5, 30))
    slope = extrapolated(lambda p: exponent(p)[0], x, v, 1e-3)
    np.testing.assert_allclose((exponent(x)[1] * v).sum(axis=1), slope, atol=1e-8)
    bend = extrapolated(lambda p: exponent(p)[1], x, v, 1e-3)
    np.testing.assert_allclose(exponent.hessian_product(x, v), bend, atol=1e-7)


@pytest.mark.parametrize("hurst", ["plane", "function"])
def test_the_hessian_of_a_varying_exponent_is_the_derivative_of_the_gradient(hurst):
    """With the exponent's own second derivative or without, to 1e-7 of the largest entry; it is symmetric to 1e-9."""
    exponent = SubspaceExponent(4, rng=2) if hurst == "plane" else hoelder_along_x
    field = FractalField(
        4, exponent, rng=5, hurst_range=(0.3, 0.7), n_modes=300, wavenumbers=(0.5, 40.0)
    )
    points, vectors = np.random.default_rng(6).normal(size=(2, 6, 4)) * 0.4
    products = field.hessian_product(points, vectors)
    slope = extrapolated(field.gradient, points, vectors, 2e-4)
    np.testing.assert_allclose(products, slope, atol=1e-7 * np.abs(slope).max())
    hessian = field.hessian(points[0])
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-9 * np.abs(hessian).max())
    alone = np.array([field.hessian_product(x, v) for x, v in zip(points, vectors, strict=True)])
    assert np.array_equal(alone, products)
    _, both = field.gradient_and_hessian_products(points, np.stack([vectors, points], axis=1))
    assert np.array_equal(both[:, 0], products)
    assert np.array_equal(both[:, 1], field.hessian_product(points, points))


def test_an_exponent_that_does_not_vary_gives_the_hessian_of_a_constant_one():
    """With swing 0 the general formula gives the numbers of the short one to 1e-12."""
    settings = {"rng": 0, "n_modes": 100, "wavenumbers": (1.0, 50.0)}
    varying = FractalField(3, SubspaceExponent(3, mean=0.4, swing=0.0), **settings)
    constant, x = FractalField(3, 0.4, **settings), np.array([0.1, 0.2, -0.3])
    expected = constant.hessian(x)
    np.testing.assert_allclose(varying.hessian(x), expected, atol=1e-12 * np.abs(expected).max())


def test_a_bowl_is_added_with_all_its_derivatives():
    """Loss, gradient and Hessian product are A times the field's plus those of the quadratic form; walks stay inside."""
    field = FractalField(3, 0.5, rng=0, n_modes=64, wavenumbers=(1.0, 30.0))
    curvature, centre = np.array([1.0, 10.0, 100.0]), np.array([0.5, 0.0, -0.5])
    confined = ConfinedField(field, curvature, amplitude=0.3, centre=centre)
    x, v = np.random.default_rng(0).normal(size=(2, 4, 5, 3))
    values, gradients = confined.value_and_gradient(x)
    bowl = 0.5 * (curvature * (x - centre) ** 2).sum(axis=-1)
    np.testing.assert_allclose(values, 0.3 * field.value(x) + bowl, rtol=1e-13)
    np.testing.assert_allclose(confined.value(x), values)
    expected = 0.3 * field.gradient(x) + curvature * (x - centre)
    np.testing.assert_allclose(gradients, expected, rtol=1e-13)
    np.testing.assert_allclose(confined.gradient(x), expected, rtol=1e-13)
    product = 0.3 * field.hessian_product(x, v) + curvature * v
    np.testing.assert_allclose(confined.hessian_product(x, v), product, rtol=1e-13)
    walk = descend(confined, np.full(3, 2.0), learning_rate=0.002, n_steps=2000)
    assert np.linalg.norm(walk.positions[-1] - centre) < 1.0
    edge = edge_of_stability(
        ConfinedField(field, 7.0, amplitude=0.0),
        learning_rates=[0.1],
        starts=np.zeros((1, 3)),
        n_steps=3,
        last=1,
    )
    assert float(np.ravel(edge.sharpness)[0]) == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SubspaceExponent(1), "dimension must be a whole number, at least 2"),
        (lambda: SubspaceExponent(3, swing=0.6), "swing must keep mean - swing and mean + swing"),
        (lambda: ConfinedField(_field(), -1.0), "curvature must be at least 0, got -1.0"),
        (lambda: ConfinedField(_field(), np.ones(4)), "curvature must be a finite number or 2"),
        (lambda: ConfinedField(_field(), 1.0, centre=np.nan), "centre must be a finite number or"),
    ],
)
def test_bad_exponents_and_bowls_are_refused(make, words):
    """Each refusal names the argument and the rule."""
    with pytest.raises(ValueError, match=re.escape(words)):
        make()


def _field():
    return FractalField(2, 0.5, rng=0, n_modes=10)
