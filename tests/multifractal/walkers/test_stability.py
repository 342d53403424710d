"""Edge of stability and Lyapunov exponents: closed forms, naive twins, the published estimator's ceiling, refusals."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from multifractal import (
    EdgeOfStability,
    Landscape,
    LyapunovExponents,
    descend_ensemble,
    edge_of_stability,
    lyapunov_exponents,
    sharpness_at,
    two_trajectories_ceiling,
)
from multifractal.walkers.two_trajectories import carried_on
from tests.helpers import naive


def rough(shape=(31, 57), seed=0):
    """Return white noise as a landscape: every cell is steep."""
    return Landscape(np.random.default_rng(seed).normal(size=shape))


def bowl(k=(0.3, 0.1)):
    """Return a quadratic bowl of curvatures `k`, along x and y, around (40, 30)."""
    y, x = np.mgrid[:64, :80]
    return Landscape(0.5 * (k[0] * (x - 40) ** 2 + k[1] * (y - 30) ** 2))


def points(n, shape=(31, 57), seed=1):
    """Return uniform positions."""
    return np.random.default_rng(seed).uniform(0, [shape[1] - 1, shape[0] - 1], size=(n, 2))


def test_exponents_of_a_bowl_are_those_of_its_curvatures():
    """The map shrinks each axis by |1 - k lr|, whichever of them is the larger."""
    rates = np.array([0.5, 2.0, 4.0, 5.5])
    found = lyapunov_exponents(
        bowl(), learning_rates=rates, starts=[[45.3, 33.1], [36.2, 27.4]], n_steps=400, burn_in=200
    )
    expected = np.sort(np.log(np.abs(1 - rates[:, None] * [0.3, 0.1])), axis=1)[:, ::-1]
    np.testing.assert_allclose(
        found.exponents, np.broadcast_to(expected[:, None], (4, 2, 2)), atol=1e-9
    )
    np.testing.assert_allclose(found.standard_error, 0, atol=1e-9)
    assert found.share_positive.tolist() == [0, 0, 0, 0]


def test_a_rate_that_lands_on_the_minimum_has_exponent_minus_infinity():
    """At lr = 1/k in both directions the map forgets everything at once."""
    found = lyapunov_exponents(
        bowl((0.25, 0.25)), learning_rates=[4.0], starts=[[45.5, 33.5]], n_steps=10, burn_in=0
    )
    assert (found.exponents == -np.inf).all()


@pytest.mark.parametrize(
    ("learning_rate", "burn_in"), [(0.1, 0), (0.6, 50), (30.0, 100), (1000.0, 0)]
)
def test_exponents_are_those_of_naive_qr(learning_rate, burn_in):
    """Both exponents of rough walks with reflections agree with QR at each step, to rounding of 300 logarithms."""
    landscape = rough()
    starts = points(3)
    found = lyapunov_exponents(
        landscape, learning_rates=[learning_rate], starts=starts, n_steps=300, burn_in=burn_in
    )
    for j in range(3):
        twin = naive.lyapunov(landscape.gradient, starts[j], learning_rate, 300, burn_in)
        np.testing.assert_allclose(found.exponents[0, j], twin, atol=1e-9)


def test_the_exponent_is_the_growth_of_a_tiny_separation():
    """Two walks 1e-9 apart separate as exp(exponent t) while they stay within 1e-3 of a cell of each other."""
    landscape, start = (
        Landscape(np.cumsum(np.random.default_rng(3).normal(size=(200, 200)), axis=0)),
        points(1, (200, 200)),
    )
    near = start + 1e-9 * np.array([[np.cos(0.7), np.sin(0.7)]])
    walks = descend_ensemble(
        landscape, np.concatenate([start, near]), learning_rates=[3.0], n_steps=4
    )
    separation = np.linalg.norm(walks.unfolded[0, 1] - walks.unfolded[0, 0], axis=1)
    found = lyapunov_exponents(landscape, learning_rates=[3.0], starts=start, n_steps=4, burn_in=0)
    assert separation[-1] < 1e-3
    np.testing.assert_allclose(
        np.log(separation[-1] / separation[0]) / 4, found.exponents[0, 0, 0], atol=1e-3
    )


def test_the_published_estimator_is_its_naive_twin():
    """Log separation over the last period on rough walks, to rounding grown by the chaos within 9 steps."""
    landscape, starts = rough((60, 90)), points(4, (60, 90))
    found = lyapunov_exponents(
        landscape,
        learning_rates=[0.2, 2.0],
        starts=starts,
        n_steps=100,
        burn_in=30,
        method="two_trajectories",
    )
    for i, rate in enumerate([0.2, 2.0]):
        twin = [
            naive.two_trajectories(landscape.gradient, start, rate, 100, 30) for start in starts
        ]
        np.testing.assert_allclose(found.exponents[i, :, 0], twin, atol=1e-6)
    assert np.isnan(found.exponents[..., 1]).all()


def test_trials_that_carry_on_are_their_naive_twin_and_are_no_independent_draws():
    """Each trial goes on from where the one before ended; on a smooth slope the second is not where the first began."""
    landscape, rng = rough((60, 90)), np.random.default_rng(4)
    arguments = {"learning_rates": [0.2, 1.0], "n_steps": 60, "burn_in": 30}
    found = carried_on(landscape, (50, 20), n_trials=3, rng=4, **arguments)
    steps = rng.standard_normal((2, 3, 2))
    twin = naive.carried_on(landscape.gradient, np.array([50.0, 20.0]), steps, [0.2, 1.0], 60, 30)
    np.testing.assert_allclose(found, twin, atol=1e-6)


def test_the_published_estimator_saturates_at_its_ceiling_and_the_tangent_map_does_not():
    """At violent rates the exact exponent grows by ln 10 a decade; the published one stays below the ceiling."""
    landscape, starts = rough((200, 300)), points(200, (200, 300))
    arguments = {"learning_rates": [1e3, 1e4], "starts": starts, "n_steps": 200, "burn_in": 100}
    exact = lyapunov_exponents(landscape, **arguments)
    published = lyapunov_exponents(landscape, method="two_trajectories", **arguments)
    typical, hard = two_trajectories_ceiling(landscape.shape)
    np.testing.assert_allclose(exact.mean[1, 0] - exact.mean[0, 0], np.log(10), atol=0.05)
    assert (published.exponents[..., 0] <= hard).all()
    mean, error = published.mean[:, 0], published.standard_error[:, 0]
    # The mean logarithm lies below the logarithm of the mean by half the relative variance of distance, here .12 or so.
    assert (mean - 5 * error < typical).all()
    assert (mean + 5 * error > typical - 0.3 / 10).all()


def test_the_ceiling_uses_the_mean_distance_of_uniform_points():
    """The closed form of a rectangle agrees with a Monte Carlo mean within 5 standard errors; DESIGN's .858 and .958."""
    distances = np.linalg.norm(
        points(200_000, (101, 41)) - points(200_000, (101, 41), seed=2), axis=1
    )
    mean = 0.1 * np.exp(10 * two_trajectories_ceiling((101, 41))[0])
    assert abs(mean - distances.mean()) < 5 * distances.std() / np.sqrt(200_000)
    np.testing.assert_allclose(two_trajectories_ceiling((1024, 1024)), [0.858, 0.958], atol=5e-4)


def at_two_rates(exponents):
    """Return made-up exponents (2, n_starts, 2) as a result."""
    return LyapunovExponents(
        exponents=exponents,
        learning_rates=np.array([1.0, 2.0]),
        n_steps=10,
        burn_in=0,
        method="tangent",
        provenance=None,
    )


def test_the_interval_of_the_median_is_that_of_order_statistics():
    """Of nine walks the second lowest and highest (their chance to miss is 3.9 %, of the third 18 %); of five none."""
    walks = np.array([9.0, -50, 3, 4, 5, 6, 7, 80, 2])
    exponents = np.stack([np.stack([walks, -walks], axis=-1), np.full((9, 2), np.nan)])
    exponents[1, :5] = 1.0
    result = at_two_rates(exponents)
    assert result.median_interval.shape == (2, 2, 2)
    assert result.median_interval[:, 0].tolist() == [[2, -9], [9, -2]]
    assert np.isnan(result.median_interval[:, 1]).all()


def test_statistics_over_walks_leave_stopped_ones_out():
    """Mean, error, median, share positive and the running mean use the walks that went on."""
    exponents = np.full((2, 4, 2), np.nan)
    exponents[0, :, 0] = [1.0, np.nan, -2.0, 4.0]
    result = at_two_rates(exponents)
    assert result.mean[0, 0] == 1.0
    np.testing.assert_allclose(result.standard_error[0, 0], 3.0 / np.sqrt(3))
    assert result.median[0, 0] == 1.0
    np.testing.assert_allclose(result.share_positive, [2 / 3, np.nan])
    running = result.running(0)
    np.testing.assert_allclose(running.value, [1, 1, -0.5, 1])
    assert running.n.tolist() == [1, 1, 2, 3]
    # Student, 1 and 2 degrees of freedom
    np.testing.assert_allclose(running.bars[1, 2:], [12.706205 * 1.5, 4.302653 * 3**0.5], rtol=1e-6)
    np.testing.assert_array_equal(result.interval[:, 0, 0], running.interval[:, 3])
    assert result.interval.shape == (2, 2, 2)
    assert np.isnan(result.interval[:, 1]).all()
    assert np.isnan(result.mean[1]).all()
    assert np.isnan(result.median[1]).all()
    stopped = lyapunov_exponents(
        rough(), learning_rates=[1.0, 1e12], starts=points(2), n_steps=20, burn_in=0
    )
    assert np.isnan(stopped.exponents[1]).all()
    assert np.isfinite(stopped.exponents[0]).all()


@pytest.mark.parametrize("kind", ["hessian", "map", "published"])
def test_sharpness_is_its_definition(kind):
    """Against numpy's derivatives and eigenvalues, at random positions and NaN."""
    landscape, xy = rough(), np.append(points(30), [[np.nan, np.nan]], axis=0)
    low, high = naive.hessian_eigenvalues(landscape.values)
    grid = high if kind == "hessian" else np.maximum(np.abs(low), np.abs(high))
    expected = [
        np.linalg.eigvals(naive.jacobian(landscape.gradient, x, y)).real.max()
        if kind == "map"
        else naive.interpolate(grid, x, y)
        for x, y in xy[:-1]
    ]
    np.testing.assert_allclose(sharpness_at(landscape, xy, kind), [*expected, np.nan], atol=1e-12)


def test_the_edge_of_stability_of_a_bowl_is_empty():
    """Every stable rate settles at the same minimum, with the same sharpness, which is not 2/lr at any of them."""
    starts = np.random.default_rng(4).uniform([30, 20], [50, 40], size=(10, 2))
    found = edge_of_stability(
        bowl(), learning_rates=np.logspace(-1, 0.8, 10), starts=starts, n_steps=500, last=20
    )
    np.testing.assert_allclose(found.sharpness, 0.3, atol=1e-12)
    assert not found.holds.any()
    assert np.isnan(found.range).all()
    assert (found.share_positive == 1).all()


def test_the_range_is_where_the_interval_holds_the_edge():
    """Made-up sharpness on the edge at rates 4, 8, 16 and 64 and far from it elsewhere: the longest run is 4 to 16."""
    rates = 2.0 ** np.arange(8)
    factor = np.where(np.isin(rates, [4, 8, 16, 64]), 1.0, 10.0)[:, None, None]
    spread = np.array([0.9, 1.0, 1 / 0.9])[:, None]
    result = EdgeOfStability(
        sharpness=2 / rates[:, None, None] * factor * spread,
        learning_rates=rates,
        n_steps=9,
        kind="hessian",
        provenance=None,
    )
    assert result.range.tolist() == [4, 16]
    assert result.holds.sum() == 4
    half = 4.302653 * np.log10(1 / 0.9) / np.sqrt(3)  # Student, 2 degrees of freedom
    np.testing.assert_allclose(
        result.interval - np.log10(2 / rates * factor[:, 0, 0]), [[-half] * 8, [half] * 8]
    )


def test_negative_sharpness_is_counted_not_logged():
    """Positions of negative sharpness and stopped walkers are left out of the logarithm and show in the share."""
    sharpness = np.array([[[10.0, -1.0], [1000.0, np.nan], [-1.0, -1.0]]])
    result = EdgeOfStability(
        sharpness=sharpness,
        learning_rates=np.array([1.0]),
        n_steps=9,
        kind="hessian",
        provenance=None,
    )
    np.testing.assert_allclose(result.log10_by_start, [[1, 3, np.nan]])
    np.testing.assert_allclose(result.mean_log10, [2])
    np.testing.assert_allclose(result.share_positive, [2 / 5])  # of those that were not stopped


def test_results_survive_saving(tmp_path):
    """Both results load as they were saved."""
    found = lyapunov_exponents(
        rough(), learning_rates=[1.0], starts=points(3), n_steps=10, burn_in=1
    )
    found.save(tmp_path / "exponents.npz")
    again = LyapunovExponents.load(tmp_path / "exponents.npz")
    assert np.array_equal(again.exponents, found.exponents)
    assert again.burn_in == 1
    edge = edge_of_stability(rough(), learning_rates=[1.0], starts=points(3), n_steps=10, last=2)
    edge.save(tmp_path / "edge.npz")
    assert np.array_equal(EdgeOfStability.load(tmp_path / "edge.npz").interval, edge.interval)


PRINT_DIGEST = """
import hashlib, numpy as np
from multifractal import Landscape, lyapunov_exponents
landscape = Landscape(np.random.default_rng(0).normal(size=(40, 50)))
starts = np.random.default_rng(1).uniform(0, [49, 39], size=(200, 2))
for method in ("tangent", "two_trajectories"):
    found = lyapunov_exponents(landscape, learning_rates=[3.0, 30.0], starts=starts, n_steps=100, burn_in=9, method=method)
    print(hashlib.sha256(found.exponents.tobytes()).hexdigest())
"""


def test_one_and_two_threads_give_the_same_bits():
    """Two processes, one with NUMBA_NUM_THREADS=1 and one with 2, print the same digests."""
    digests = [
        subprocess.run(
            [sys.executable, "-c", PRINT_DIGEST],
            env=os.environ | {"NUMBA_NUM_THREADS": n},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for n in "12"
    ]
    assert digests[0] == digests[1] != ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"burn_in": 100}, "burn_in must leave 1 of the n_steps = 100, got 100"),
        (
            {"burn_in": 95, "method": "two_trajectories"},
            "burn_in must leave 9 of the n_steps = 100, got 95",
        ),
        ({"burn_in": -1}, "burn_in must be a whole number, at least 0"),
        ({"method": "wolf"}, "method must be one of 'tangent', 'two_trajectories'"),
        ({"starts": [[57, 3]]}, "starts must lie within"),
        ({"learning_rates": [-1]}, "learning_rates must be positive"),
        ({"n_steps": 0}, "n_steps must be a whole number"),
    ],
)
def test_bad_input_is_refused_with_its_rule(change, words):
    """Each refusal names the argument, its value and the rule."""
    arguments = {
        "learning_rates": [1.0],
        "starts": [[3, 4]],
        "n_steps": 100,
        "burn_in": 10,
    } | change
    with pytest.raises(ValueError, match=re.escape(words)):
        lyapunov_exponents(rough(), **arguments)


def test_the_kind_of_sharpness_is_checked():
    """Before any walking."""
    with pytest.raises(ValueError, match="sharpness must be one of"):
        edge_of_stability(
            rough(), learning_rates=[1.0], starts=[[3, 4]], n_steps=10, sharpness="largest"
        )


def test_sharpness_outside_the_grid_is_refused():
    """Positions beyond a wall are refused, not read from beyond the array; so is what is no landscape or no kind."""
    surface = rough()
    for positions in ([[-1.0, 3.0]], [[56.5, 3.0]], [[3.0, 30.1]]):
        with pytest.raises(
            ValueError, match="positions must lie within 0 <= x <= 56 and 0 <= y <= 30"
        ):
            sharpness_at(surface, positions)
    with pytest.raises(ValueError, match="kind must be one of"):
        sharpness_at(surface, [[1.0, 1.0]], "sharp")
    with pytest.raises(ValueError, match="landscape must have 2 dimension"):
        edge_of_stability(surface.values[0], learning_rates=[1.0], starts=[[1.0, 1.0]], n_steps=5)
