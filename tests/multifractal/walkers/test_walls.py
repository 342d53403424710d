"""Periodic walls: the naive twin, a landscape laid side by side with itself, closed forms across the seam, and refusals."""

import pickle

import numpy as np
import pytest

from multifractal import Landscape, descend, descend_ensemble, edge_of_stability, lyapunov_exponents
from multifractal.walkers.walls import Torus, fold
from tests.helpers import naive
from tests.multifractal.walkers.test_descent import RULES, rough, same
from tests.multifractal.walkers.test_field import Valley

pytestmark = pytest.mark.quick

PERIODIC = {"walls": "periodic"}


def waves(shape):
    """Return minus a cosine along each axis, of one period: its minimum lies at (0, 0), on the seam."""
    y, x = (2 * np.pi * np.arange(n) / n for n in shape)
    return Landscape(-np.add.outer(np.cos(y), np.cos(x)))


@pytest.mark.parametrize("method", ["gd", *RULES])
@pytest.mark.parametrize("learning_rate", [0.3, 40.0, 1e9])
def test_a_walk_is_the_naive_one_to_the_bit(method, learning_rate):
    """Every rule, from corners and the seam, gentle or beyond reach, on a grid that is not square."""
    landscape = rough((6, 33))
    rule = RULES.get(method, lambda g, memory, t: g)
    for start in [(0, 0), (33, 6), (32.5, 1.5), (2, 1.3)]:
        walk = descend(
            landscape, start, learning_rate=learning_rate, n_steps=150, method=method, **PERIODIC
        )
        grid = naive.periodic_gradient(landscape.values)
        positions, unfolded = naive.optimise(grid, start, learning_rate, 150, rule, fold=naive.wrap)
        assert same(walk.positions, positions)
        assert same(walk.unfolded, unfolded)


def test_a_torus_is_the_landscape_side_by_side_with_itself():
    """A noisy walk around the torus is one on 25 x 25 copies, folded, and so are its losses; many turns are made."""
    landscape, start = waves((9, 12)), np.array([3.3, 4.4])
    options = {"learning_rate": 1.0, "n_steps": 60, "method": "sgd", "noise_scale": 6.0, "rng": 1}
    around = descend(landscape, start, **options, **PERIODIC)
    copies, offset = Landscape(np.tile(landscape.values, (25, 25))), np.array([144, 108])
    beside = descend(copies, start + offset, **options)
    np.testing.assert_array_equal(beside.unfolded, beside.positions)  # far from its walls
    np.testing.assert_allclose(around.unfolded, beside.positions - offset, atol=1e-10)
    np.testing.assert_allclose(around.losses, beside.losses, atol=1e-10)
    assert np.ptp(around.unfolded, axis=0).min() > 2 * 12
    apart = np.abs(around.unfolded - around.positions) / [12, 9]
    np.testing.assert_allclose(apart, apart.round(), atol=1e-12)


def test_gradients_go_across_the_seam():
    """Central differences of cos(k x) are sin(k) sin(k x) at every column, the first and the last included."""
    torus = Torus(waves((20, 16)))
    k = 2 * np.pi / 16
    np.testing.assert_allclose(
        torus.gradient[0, :, 0], np.sin(k) * np.sin(k * np.arange(17)), atol=1e-15
    )
    sharpest = torus.hessian_eigenvalues[1]
    assert sharpest[0, 0] == pytest.approx(np.sin(k) ** 2)
    np.testing.assert_array_equal(sharpest[0], sharpest[-1])
    again = pickle.loads(pickle.dumps(torus))
    np.testing.assert_array_equal(again.gradient, torus.gradient)


def test_a_minimum_on_the_seam_has_its_exponents_and_sharpness():
    """Within a cell of the seam the map's slope is 1 - rate sin^2 k; at a rate that overshoots, each step crosses the seam."""
    landscape, rate = waves((20, 16)), 10.0
    slopes = np.sin(2 * np.pi / np.array([16, 20])) ** 2
    assert 1 < rate * slopes[0] < 2  # along x each step changes sides
    options = {"learning_rates": [rate], "starts": [[0.3, 19.8]], **PERIODIC}
    walk = descend(landscape, (0.3, 19.8), learning_rate=rate, n_steps=4, **PERIODIC)
    assert walk.positions[1, 0] > 15
    found = lyapunov_exponents(landscape, n_steps=60, burn_in=20, **options)
    np.testing.assert_allclose(
        found.exponents[0, 0], np.sort(np.log(np.abs(1 - rate * slopes)))[::-1]
    )
    sharp = edge_of_stability(landscape, n_steps=200, last=5, sharpness="map", **options)
    np.testing.assert_allclose(sharp.sharpness, slopes.max(), rtol=1e-9)


def test_an_ensemble_is_its_walks():
    """Each walk of an ensemble is the one that `descend` gives, to the bit, with noise as well."""
    starts, noise = [[3.5, 4.5], [20.25, 8]], {"method": "sgd", **PERIODIC}
    many = descend_ensemble(rough(), starts, learning_rates=[30.0], n_steps=50, rng=3, **noise)
    for j, start in enumerate(starts):
        stream = np.random.SeedSequence(3, spawn_key=(0, j))
        one = descend(rough(), start, learning_rate=30.0, n_steps=50, rng=stream, **noise)
        assert same(many.positions[0, j], one.positions)
        assert same(many.unfolded[0, j], one.unfolded)
        assert same(many.losses[0, j], one.losses)


def test_folding_stays_within_the_walls():
    """Whatever rounding does to v / wall, the folded position lies in [0, wall]."""
    rng = np.random.default_rng(0)
    for wall in (7.0, 1023.0, 3.1):
        near = wall * rng.integers(-1000, 1000, 300) * (1 + rng.integers(-2, 3, 300) * 2.0**-52)
        for v in [*near, -1e-20, np.nextafter(wall, 0)]:
            folded, sign = fold(v, wall, True)
            assert 0 <= folded <= wall
            assert sign == 1
    assert np.isnan(fold(2e6, 1.0, True)[0])


def test_refusals():
    """Walls of another name, on a field, and under the published estimator, which has its own."""
    with pytest.raises(ValueError, match="walls must be one of 'reflecting', 'periodic'"):
        descend(rough(), (3, 3), learning_rate=1, n_steps=1, walls="open")
    with pytest.raises(ValueError, match="walls must be left out on a field"):
        descend(Valley(), np.ones(4), learning_rate=0.1, n_steps=1, **PERIODIC)
    with pytest.raises(ValueError, match="walls must be 'reflecting' with method='two_traj"):
        lyapunov_exponents(
            rough(),
            learning_rates=[1.0],
            starts=[[3, 3]],
            n_steps=100,
            burn_in=0,
            method="two_trajectories",
            **PERIODIC,
        )
