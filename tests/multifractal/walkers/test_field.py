"""A user's own loss, written in plain numpy, walks by every rule; what is no field is refused before any work."""

import numpy as np
import pytest

from multifractal import (
    FractalField,
    Landscape,
    descend,
    descend_ensemble,
    edge_of_stability,
    fbm_surface,
)
from multifractal.walkers.field import Field, is_field
from multifractal.walkers.optimizers import METHODS

pytestmark = pytest.mark.quick


class Valley:
    """The loss of a user: a bowl of curvatures 1 and 10 in four dimensions, with a quartic term."""

    dimension = 4
    reach = 100.0
    curvatures = np.array([1.0, 10.0, 1.0, 10.0])

    def value_and_gradient(self, x):
        """Return the loss and its gradient at a point."""
        loss = 0.5 * np.sum(self.curvatures * x**2) + np.sum(x**4) / 4
        gradient = self.curvatures * x + x**3
        x[:] = 0  # a careless user's function may use its argument as scratch space
        return loss, gradient


RULES = {  # the textbook rules: (gradient, memory, number of the step) to the direction; memory starts as (0, 0)
    "gd": lambda g, m, s, t: (g, m, s),
    "sgd": lambda g, m, s, t: (g, m, s),
    "momentum": lambda g, m, s, t: (0.9 * m + g, 0.9 * m + g, s),
    "nesterov": lambda g, m, s, t: (g + 0.9 * (0.9 * m + g), 0.9 * m + g, s),
    "adam": lambda g, m, s, t: (
        (0.9 * m + 0.1 * g)
        / (1 - 0.9**t)
        / (np.sqrt((0.999 * s + 0.001 * g * g) / (1 - 0.999**t)) + 1e-8),
        0.9 * m + 0.1 * g,
        0.999 * s + 0.001 * g * g,
    ),
}


def steps(method, x, rate, n_steps, rng):
    """Return the positions that a rule of the table leads to, one a row."""
    field, rng = Valley(), np.random.default_rng(rng)
    m, s, track = np.zeros(4), np.zeros(4), [x]
    for t in range(1, n_steps + 1):
        g = field.value_and_gradient(x.copy())[1]
        if method == "sgd":
            g = g + 0.3 * rng.standard_normal(4)
        direction, m, s = RULES[method](g, m, s, t)
        x = x - rate * direction
        track.append(x)
    return np.array(track)


@pytest.mark.parametrize("method", METHODS)
def test_a_users_loss_walks_by_every_rule(method):
    """Each rule of the table takes the steps of the rule written out in numpy, to rounding."""
    start = np.array([1.0, -0.5, 0.3, 2.0])
    noisy = {"rng": 5, "noise_scale": 0.3} if method == "sgd" else {}
    walk = descend(Valley(), start, learning_rate=0.02, n_steps=30, method=method, **noisy)
    right = steps(method, start, 0.02, 30, 5)
    np.testing.assert_allclose(walk.positions, right, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(walk.unfolded, walk.positions)
    losses = [Valley().value_and_gradient(x.copy())[0] for x in right]
    np.testing.assert_allclose(walk.losses, losses, rtol=1e-11)


def test_an_ensemble_of_a_users_loss_is_its_walks():
    """Each walk of an ensemble, on threads, is the one that `descend` gives, to the bit."""
    starts = np.random.default_rng(0).normal(size=(3, 4))
    found = descend_ensemble(Valley(), starts, learning_rates=[0.01, 0.1], n_steps=20)
    for i, rate in enumerate((0.01, 0.1)):
        for j, start in enumerate(starts):
            walk = descend(Valley(), start, learning_rate=rate, n_steps=20)
            np.testing.assert_array_equal(found.positions[i, j], walk.positions)


def test_a_walker_beyond_reach_is_stopped():
    """The quartic term throws a walker out at a large rate; it is stopped where its coordinates pass the field's reach."""
    walk = descend(Valley(), [3.0, 3.0, 3.0, 3.0], learning_rate=5.0, n_steps=50)
    assert not walk.completed
    last = walk.positions[walk.steps_taken]
    assert np.abs(last).max() < Valley.reach
    assert np.isnan(walk.positions[walk.steps_taken + 1 :]).all()


def test_curvature_noise_asks_for_a_hessian_product():
    """Without the method it is refused by name; with it the noise is J xi, the derivative along a standard normal vector."""

    class Curved(Valley):
        def hessian_product(self, x, v):
            return (self.curvatures + 3 * x**2) * v

    start = np.array([1.0, -0.5, 0.3, 2.0])
    noise = {"method": "sgd", "noise": "curvature", "noise_scale": 0.5, "rng": 3}
    with pytest.raises(ValueError, match=r"^noise must be 'isotropic' on a field without"):
        descend(Valley(), start, learning_rate=0.01, n_steps=1, **noise)
    walk = descend(Curved(), start, learning_rate=0.01, n_steps=1, **noise)
    xi = np.random.default_rng(3).standard_normal(4)
    gradient = Valley().value_and_gradient(start.copy())[1]
    kick = 0.5 * (Valley.curvatures + 3 * start**2) * xi
    np.testing.assert_allclose(walk.positions[1], start - 0.01 * (gradient + kick), rtol=1e-13)


def test_the_fractal_field_is_a_field_with_the_right_hessian_product():
    """Its product along a vector is a central difference of the analytic gradient with another step, to 1e-6."""
    field = FractalField(3, 0.7, rng=0, n_modes=32, scales=(0.1, 1.0))
    assert is_field(field)
    assert not is_field(FractalField)
    x, v, h = np.array([0.1, 0.2, -0.1]), np.array([1.0, -2.0, 0.5]), 3e-7
    slope = (field.gradient(x + h * v) - field.gradient(x - h * v)) / (2 * h)
    np.testing.assert_allclose(field.hessian_product(x, v), slope, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"dimension": 0}, r"landscape.dimension must be a whole number"),
        ({"reach": None}, r"landscape.reach must be a positive number"),
        (
            {"value_and_gradient": lambda self, x: x},
            r"landscape.value_and_gradient must return a number",
        ),
        ({"value_and_gradient": lambda self, x: (x @ x, x[:2])}, r"got \(\(\), \(2,\)\)"),
        ({"value_and_gradient": lambda self, x: (x, x)}, r"got \(\(4,\), \(4,\)\)"),
        ({"value_and_gradient": lambda self, x: ("a", "b")}, r"got \('str', 'str'\)"),
        ({"value_and_gradient": lambda self, x: x @ x}, r"got 'float64'"),  # the loss alone
        ({"value_and_gradient": lambda self, x: (x @ x, x, x)}, r"got 'tuple'"),
    ],
)
def test_what_is_no_field_is_refused(change, match):
    """A wrong attribute, or a value or gradient of a wrong shape, is named before any step is taken."""
    wrong = type("Wrong", (Valley,), change)()
    with pytest.raises(ValueError, match=match):
        descend(wrong, np.zeros(max(wrong.dimension, 1)), learning_rate=0.1, n_steps=5)


def test_a_missing_attribute_is_named():
    """A loss without `reach` is told to add it; a field where a grid is needed is refused as an array."""

    class Unbounded:
        dimension = 2

        def value_and_gradient(self, x):
            return x @ x, 2 * x

    with pytest.raises(ValueError, match=r"have dimension, reach, value_and_gradient.*add reach"):
        descend(Unbounded(), [0.0, 0.0], learning_rate=0.1, n_steps=1)
    with pytest.raises(ValueError, match=r"^landscape must"):
        edge_of_stability(Valley(), learning_rates=[1.0], starts=[[0, 0, 0, 0]], n_steps=200)


def test_a_wrong_start_is_named_as_the_argument_it_is():
    """`descend` complains of `start`, an ensemble of `starts`."""
    surface = Landscape(np.zeros((5, 5)))
    with pytest.raises(ValueError, match=r"^start must lie within"):
        descend(surface, [9, 9], learning_rate=1, n_steps=1)
    with pytest.raises(ValueError, match=r"^start must have shape \(4,\), got \(2,\)"):
        descend(Valley(), [0, 0], learning_rate=1, n_steps=1)
    with pytest.raises(ValueError, match=r"^starts must lie within"):
        descend_ensemble(surface, [[9, 9]], learning_rates=[1], n_steps=1)


def test_the_protocol_can_be_checked():
    """`isinstance(thing, Field)` tells a field from what is none."""
    assert isinstance(Valley(), Field)
    assert not isinstance(Landscape(np.zeros((4, 4))), Field)


@pytest.mark.parametrize("n_walkers", [1, 40])
@pytest.mark.parametrize(
    ("ground", "rate"),
    [
        (Valley(), 0.01),
        (FractalField(3, 0.7, rng=0, n_modes=32, scales=(0.1, 1.0)), 1e-3),
        (fbm_surface(32, 0.5, rng=0), 5.0),
    ],
)
def test_what_is_kept_of_a_walk_is_part_of_the_whole(ground, rate, n_walkers):
    """Every third of the last ten positions, and their losses, are those of the walk of which all is kept, to the bit."""
    start = np.random.default_rng(0).uniform(0.1, 0.5, (n_walkers, getattr(ground, "dimension", 2)))
    walk = {"learning_rates": [rate], "n_steps": 13}
    whole = descend_ensemble(ground, start, **walk)
    kept = descend_ensemble(ground, start, keep_last=10, keep_every=3, **walk)
    np.testing.assert_array_equal(kept.positions, whole.positions[:, :, 4::3])
    np.testing.assert_array_equal(kept.losses, whole.losses[:, :, 4::3])
    assert (np.ptp(whole.losses, axis=-1) > 0).all()
