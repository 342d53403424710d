"""Stability on fields: exponents and sharpness of bowls in closed form, against other routes, bits, refusals."""

import numpy as np
import pytest

from multifractal import FractalField, descend, edge_of_stability, lyapunov_exponents, sharpness_at
from multifractal.walkers import tangent
from multifractal.walkers.walking import interpolate_jacobian
from tests.helpers import naive

pytestmark = pytest.mark.quick


class Bowl:
    """A quadratic bowl with a Hessian of given eigenvalues, in a rotated frame."""

    reach = np.inf

    def __init__(self, curvatures, reach=np.inf):
        self.dimension, self.reach = len(curvatures), reach
        frame = np.linalg.qr(np.random.default_rng(1).normal(size=(len(curvatures),) * 2))[0]
        self.matrix = frame * np.asarray(curvatures) @ frame.T

    def value_and_gradient(self, x):
        """Return the loss and its gradient."""
        return x @ self.matrix @ x / 2, self.matrix @ x

    def hessian_product(self, x, v):
        """Return the Hessian times v."""
        return self.matrix @ v


@pytest.mark.parametrize("d", [3, 60])
def test_exponents_and_sharpness_of_a_bowl_are_those_of_its_curvatures(d):
    """The map shrinks each axis by |1 - k lr|: the first exponents are the largest logarithms; the sharpness is the largest k."""
    curvatures = np.linspace(-0.2, 1.0, d) ** 3
    bowl, start = Bowl(curvatures), np.ones((1, d))
    rates = [0.3, 1.7]
    found = lyapunov_exponents(
        bowl, learning_rates=rates, starts=start, n_steps=3000, burn_in=1000, n_exponents=2
    )
    logs = np.log(np.abs(1 - np.multiply.outer(rates, curvatures)))
    expected = np.sort(logs, axis=1)[:, :-3:-1]
    # vectors turn towards their axes as the ratio of neighbouring factors allows; what is left is one factor in 2000 steps
    np.testing.assert_allclose(found.exponents[:, 0], expected, atol=3e-3)
    edge = edge_of_stability(bowl, learning_rates=rates, starts=start, n_steps=3, last=2)
    np.testing.assert_allclose(edge.sharpness, 1.0, rtol=1e-6)
    twice = Bowl(-2 * curvatures)
    assert np.isclose(sharpness_at(twice, start[0], "published"), 2.0, rtol=1e-6)


def test_exponents_of_a_field_are_those_of_the_product_of_its_jacobians():
    """All three exponents on a rough field in R^3, against the singular values of the product of I - lr H over 12 steps."""
    field = FractalField(3, 0.6, rng=0, n_modes=64)
    rate, x, product = 1e-3, np.zeros(3), np.eye(3)
    for _ in range(12):
        product = (np.eye(3) - rate * field.hessian(x)) @ product
        x = x - rate * field.gradient(x)
    found = lyapunov_exponents(
        field, learning_rates=[rate], starts=np.zeros((1, 3)), n_steps=12, burn_in=0, n_exponents=3
    ).exponents[0, 0]
    # the volume is exact; of one vector the growth is that of the first of the fixed frame
    assert np.isclose(found.sum() * 12, np.log(abs(np.linalg.det(product))), rtol=1e-9)
    first = tangent._first_vectors(3, 3)
    assert np.isclose(found[0] * 12, np.log(np.linalg.norm(product @ first[0])), rtol=1e-9)


def test_exponent_of_a_field_is_that_of_two_close_walks():
    """The separation of two walks that begin 1e-9 apart grows, while small, as the tangent vector does."""
    field = FractalField(5, 0.5, rng=3, n_modes=128, wavenumbers=(1, 30))
    rate = 0.02
    first = tangent._first_vectors(1, 5)[0]
    x, y = np.zeros(5), 1e-9 * first
    for _ in range(4):
        x, y = x - rate * field.gradient(x), y - rate * field.gradient(y)
    found = tangent.carry(field, np.zeros((1, 5)), np.array([rate]), 4, 0, 1)[0, 0]
    # the Hessian changes by a part k = 67 of itself a unit of length, along a separation that stays below 1e-6
    assert np.linalg.norm(y - x) < 1e-6
    assert abs(found * 4 - np.log(np.linalg.norm(y - x) / 1e-9)) < 4 * 67 * 1e-6


def test_a_walkers_exponents_do_not_depend_on_the_others():
    """The same bits alone and among others."""
    field = FractalField(7, 0.4, rng=2, n_modes=100)
    starts, rates = np.random.default_rng(0).normal(size=(5, 7)), np.linspace(1e-4, 1e-2, 5)
    together = tangent.carry(field, starts, rates, 20, 5, 2)
    for w in range(5):
        alone = tangent.carry(field, starts[w : w + 1], rates[w : w + 1], 20, 5, 2)
        np.testing.assert_array_equal(alone[0], together[w])


def test_a_walker_that_leaves_is_stopped_and_the_others_go_on():
    """NaN for the one whose bowl throws it out, a number for the other."""
    found = lyapunov_exponents(
        Bowl([1.0, 1.0], reach=100.0),
        learning_rates=[0.5, 5.0],
        starts=[[1.0, 1.0]],
        n_steps=50,
        burn_in=0,
    )
    assert np.isfinite(found.exponents[0]).all()
    assert np.isnan(found.exponents[1]).all()


def test_a_step_to_the_minimum_forgets_everything():
    """At lr = 1/k the map sends every vector to zero: minus infinity."""
    found = lyapunov_exponents(
        Bowl([0.5, 0.5]), learning_rates=[2.0], starts=[[1.0, 1.0]], n_steps=3, burn_in=0
    )
    assert found.exponents[0, 0, 0] < -30


def test_refusals():
    """A field without products, more exponents than dimensions, a method that only grids have."""

    class Bare:
        dimension, reach = 2, np.inf

        def value_and_gradient(self, x):
            return 0.0, x

    walk = {"learning_rates": [0.1], "starts": [[0.0, 1.0]], "n_steps": 5}
    with pytest.raises(ValueError, match="hessian_product"):
        lyapunov_exponents(Bare(), burn_in=0, **walk)
    with pytest.raises(ValueError, match="hessian_product"):
        edge_of_stability(Bare(), last=1, **walk)
    with pytest.raises(ValueError, match="n_exponents"):
        lyapunov_exponents(Bowl([1.0, 2.0]), burn_in=0, n_exponents=3, **walk)
    with pytest.raises(ValueError, match="n_exponents"):
        lyapunov_exponents(np.zeros((9, 9)), burn_in=0, n_exponents=1, **walk)
    with pytest.raises(ValueError, match="method"):
        lyapunov_exponents(Bowl([1.0, 2.0]), burn_in=0, method="two_trajectories", **walk)
    with pytest.raises(ValueError, match="positions"):
        sharpness_at(Bowl([1.0, 2.0]), [1.0, 2.0, 3.0])


def test_a_vector_that_vanishes_starts_again_as_a_unit_vector():
    """Of three dependent vectors all end orthonormal, the second along its own axis; a growth that does not count is left."""
    vectors = np.array([[[2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 3.0]]])
    growth = np.zeros((1, 3))
    tangent._orthonormalise(vectors, growth, True)
    np.testing.assert_array_equal(vectors[0], np.eye(3))
    assert growth[0].tolist() == [np.log(2.0), -np.inf, np.log(3.0)]
    tangent._orthonormalise(5 * vectors, growth, False)
    assert growth[0].tolist() == [np.log(2.0), -np.inf, np.log(3.0)]


def test_the_derivative_inside_a_cell_is_the_naive_one():
    """All four entries, at places with four unequal weights, on a gradient without symmetry."""
    gradient = np.random.default_rng(3).normal(size=(5, 6, 2))
    for x, y in ((0.2, 0.7), (3.9, 2.1), (4.4, 3.8)):
        xx, xy, yx, yy = interpolate_jacobian(gradient, x, y)
        expected = naive.jacobian(gradient, x, y)
        np.testing.assert_allclose([[xx, xy], [yx, yy]], expected, rtol=1e-12, atol=1e-14)


def test_the_walk_is_shown_on_the_way():
    """What visits is told each step, the start and the end included, with the positions that plain descent has."""
    field = FractalField(5, 0.5, rng=3, n_modes=128, wavenumbers=(1, 30))
    starts, rates, seen = np.full((1, 5), 0.1), np.array([0.01]), []
    tangent.carry(field, starts, rates, 6, 2, 1, lambda t, x: seen.append((t, x[0].copy())))
    walk = descend(field, starts[0], learning_rate=0.01, n_steps=6)
    assert [t for t, _ in seen] == list(range(7))
    np.testing.assert_allclose([x for _, x in seen], walk.positions, rtol=1e-12)
