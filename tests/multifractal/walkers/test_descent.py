"""Walkers: bits against the naive twin, walls, unfolding, closed forms, workers, memory, and refusals."""

import os
import re
import subprocess
import sys
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from multifractal import (
    Ensemble,
    FractalField,
    Landscape,
    Walk,
    descend,
    descend_ensemble,
    start_near_maximum,
)
from multifractal.landscapes import fields
from multifractal.walkers import walking
from tests.helpers import naive

pytestmark = pytest.mark.quick

RULES = {"momentum": naive.momentum, "nesterov": naive.nesterov, "adam": naive.adam}


def rough(shape=(31, 57), seed=0):
    """Return white noise as a landscape: every cell is steep."""
    return Landscape(np.random.default_rng(seed).normal(size=shape))


def fold(track, walls):
    """Fold an unfolded track back into the grid."""
    walls = np.asarray(walls, dtype=float)
    return walls - np.abs(np.mod(track, 2 * walls) - walls)


def same(ours, theirs):
    """Equality of bits, NaN being equal to NaN."""
    return np.array_equal(ours, theirs, equal_nan=True)


@pytest.mark.parametrize("unfold", ["exact", "published"])
@pytest.mark.parametrize("learning_rate", [0.3, 40.0, 1e4, 1e9])
@pytest.mark.parametrize("shape", [(4, 4), (5, 33), (40, 9)])
def test_a_walk_is_the_naive_one_to_the_bit(shape, learning_rate, unfold):
    """From corners, walls, integer and random positions, gentle or beyond reach, on grids that are not square."""
    landscape = rough(shape)
    wall_y, wall_x = shape[0] - 1, shape[1] - 1
    for start in [
        (0, 0),
        (wall_x, wall_y),
        (wall_x, 1.5),
        (1.25, wall_y),
        (2, 1),
        (2, 1.3),
        (1.7, 2.9),
    ]:
        walk = descend(landscape, start, learning_rate=learning_rate, n_steps=300, unfold=unfold)
        positions, unfolded = naive.descend(landscape.values, start, learning_rate, 300, unfold)
        assert same(walk.positions, positions)
        assert same(walk.unfolded, unfolded)
        assert walk.steps_taken == np.isfinite(positions[1:, 0]).sum()
        assert walk.completed == (walk.steps_taken == 300)


def test_float32_values_walk_in_double_precision():
    """A float32 landscape walks as its values' double-precision gradient does, to float32 rounding of the gradient."""
    landscape = Landscape(rough().values.astype(np.float32))
    walk = descend(landscape, (20, 10), learning_rate=0.01, n_steps=20)
    positions, _ = naive.descend(landscape.values.astype(float), (20, 10), 0.01, 20)
    np.testing.assert_allclose(walk.positions, positions, atol=20 * 0.01 * 4 * 6e-8)
    assert walk.positions.dtype == np.float64


def test_a_walker_out_of_reach_is_stopped_and_reported_while_others_go_on():
    """NaN from the step that leaves a million widths behind; the walkers beside it are untouched."""
    landscape = rough()
    many = descend_ensemble(
        landscape, [[3.5, 4.5], [20.25, 8]], learning_rates=[1.0, 1e12], n_steps=50
    )
    assert many.completed.tolist() == [[True, True], [False, False]]
    assert many.steps_taken.tolist() == [[50, 50], [0, 0]]
    assert np.isnan(many.positions[1, :, 1:]).all()
    assert np.isnan(many.unfolded[1, :, 1:]).all()
    assert np.isnan(many.losses[1, :, 1:]).all()
    assert np.isfinite(many.positions[0]).all()
    assert same(
        many.positions[0, 1],
        descend(landscape, [20.25, 8], learning_rate=1.0, n_steps=50).positions,
    )


def test_a_walk_into_an_abyss_stops_there():
    """Half a pixel a step down a plane, then a pit of depth 1e9: the steps before are the naive ones, and counted."""
    values = np.add.outer(np.zeros(12), 0.5 * np.arange(20.0))
    values[5, 3] = -1e9
    walk = descend(Landscape(values), (15.25, 5.0), learning_rate=1.0, n_steps=60)
    positions, unfolded = naive.descend(values, (15.25, 5.0), 1.0, 60)
    assert same(walk.positions, positions)
    assert same(walk.unfolded, unfolded)
    assert walk.steps_taken == 21  # 15.25, 14.75, ..., 4.75, where the pit is felt
    assert not walk.completed


@pytest.mark.parametrize("method", ["gd", "momentum", "nesterov", "adam"])
def test_the_exact_track_folds_back_onto_the_position(method):
    """Folding the unfolded track gives the position, up to rounding of the track's own size."""
    walk = descend(rough(), (20, 10), learning_rate=20.0, n_steps=2000, method=method)
    beyond = np.abs(walk.unfolded).max()
    assert beyond > 5 * 57
    np.testing.assert_allclose(
        fold(walk.unfolded, (56, 30)), walk.positions, atol=2000 * 4 * beyond * 2**-53
    )


def test_the_published_track_does_not_fold_back():
    """Without the signs the published track drifts off: the distance to the position is that of a random point."""
    walk = descend(rough(), (20, 10), learning_rate=20.0, n_steps=2000, unfold="published")
    assert np.median(np.abs(fold(walk.unfolded, (56, 30)) - walk.positions)) > 1
    exact = descend(rough(), (20, 10), learning_rate=20.0, n_steps=2000)
    assert same(walk.positions, exact.positions)


def test_a_quadratic_bowl_has_its_closed_form():
    """Central differences of a quadratic are exact, so each coordinate shrinks by 1 - k lr a step."""
    y, x = np.mgrid[:64, :80]
    bowl = Landscape(0.5 * (0.3 * (x - 40) ** 2 + 0.1 * (y - 30) ** 2))
    walk = descend(bowl, (60, 50), learning_rate=2.0, n_steps=60)
    expected = (
        np.array([40, 30])
        + np.array([20, 20]) * (1 - 2.0 * np.array([0.3, 0.1])) ** np.arange(61)[:, None]
    )
    np.testing.assert_allclose(walk.positions, expected, atol=1e-12)
    assert walk.completed
    np.testing.assert_array_equal(walk.losses, bowl.value_at(walk.positions))


@pytest.mark.parametrize("method", ["momentum", "nesterov", "adam"])
def test_each_rule_is_its_naive_twin_to_the_bit(method):
    """With walls, whose reflections turn the velocity with the walker."""
    landscape = rough()
    walk = descend(landscape, (20, 10.5), learning_rate=30.0, n_steps=400, method=method)
    positions, unfolded = naive.optimise(landscape.gradient, (20, 10.5), 30.0, 400, RULES[method])
    assert same(walk.positions, positions)
    assert same(walk.unfolded, unfolded)
    assert np.abs(unfolded - positions).max() > 1, "no reflection was tested"


@pytest.mark.parametrize("method", ["momentum", "nesterov", "adam"])
def test_each_rule_is_torchs(method):
    """The same gradients through torch.optim give the same positions to rounding."""
    torch = pytest.importorskip("torch")
    landscape = Landscape(np.add.outer(np.linspace(-1, 1, 40) ** 2, np.linspace(-1, 1, 50) ** 4))
    position = torch.tensor([31.0, 12.5], dtype=torch.float64, requires_grad=True)
    optimizer = {
        "momentum": lambda p: torch.optim.SGD(p, lr=2.0, momentum=0.8),
        "nesterov": lambda p: torch.optim.SGD(p, lr=2.0, momentum=0.8, nesterov=True),
        "adam": lambda p: torch.optim.Adam(p, lr=2.0, betas=(0.8, 0.9), eps=1e-6),
    }[method]([position])
    ours = {"adam": {"beta1": 0.8, "beta2": 0.9, "epsilon": 1e-6}}.get(method, {"momentum": 0.8})
    walk = descend(landscape, [31.0, 12.5], learning_rate=2.0, n_steps=40, method=method, **ours)
    for expected in walk.positions[1:]:
        position.grad = torch.from_numpy(landscape.gradient_at(position.detach().numpy()).copy())
        optimizer.step()
        np.testing.assert_allclose(position.detach().numpy(), expected, atol=1e-10)


def test_isotropic_noise_adds_its_scale_times_the_rate():
    """On a plane the steps are -lr (g + scale xi): mean and deviation within 5 standard errors."""
    plane = Landscape(np.add.outer(np.zeros(900), 0.02 * np.arange(900.0)))
    walk = descend(
        plane, (800, 450), learning_rate=0.5, n_steps=8000, method="sgd", noise_scale=0.4, rng=1
    )
    steps = np.diff(walk.unfolded, axis=0)
    np.testing.assert_allclose(steps.mean(axis=0), [-0.5 * 0.02, 0], atol=5 * 0.2 / np.sqrt(8000))
    np.testing.assert_allclose(steps.std(axis=0), 0.2, rtol=5 / np.sqrt(2 * 8000))
    np.testing.assert_allclose(np.corrcoef(steps.T)[0, 1], 0, atol=5 / np.sqrt(8000))


def test_curvature_noise_is_the_gradient_of_a_shifted_bowl():
    """On a bowl with a mixed term the noise is scale J xi to rounding, xi from the seed."""
    y, x = np.mgrid[:60, :60] - 30.0
    hessian = np.array([[0.3, 0.1], [0.1, 0.2]])
    bowl = Landscape(0.15 * x**2 + 0.1 * x * y + 0.1 * y**2)
    walk = descend(
        bowl,
        (38, 24),
        learning_rate=0.5,
        n_steps=200,
        method="sgd",
        noise="curvature",
        noise_scale=0.7,
        rng=5,
    )
    position = np.array([8.0, -6.0])
    for xi, expected in zip(
        np.random.default_rng(5).standard_normal((200, 2)), walk.positions[1:], strict=True
    ):
        position = position - 0.5 * hessian @ (position + 0.7 * xi)
        np.testing.assert_allclose(position + 30, expected, atol=1e-11)


def test_curvature_noise_on_a_rough_landscape_is_the_naive_jacobian_times_normal_numbers():
    """Each step is -lr (g + scale J xi), g and J interpolated at the position before it."""
    landscape = rough()
    walk = descend(
        landscape,
        (20, 10),
        learning_rate=0.2,
        n_steps=50,
        method="sgd",
        noise="curvature",
        noise_scale=0.3,
        rng=5,
    )
    steps = np.diff(walk.unfolded, axis=0)
    assert np.array_equal(walk.unfolded, walk.positions), "a reflection would turn the step"
    for (x, y), xi, step in zip(
        walk.positions, np.random.default_rng(5).standard_normal((50, 2)), steps, strict=False
    ):
        jacobian = naive.jacobian(landscape.gradient, x, y)
        np.testing.assert_allclose(
            step, -0.2 * (landscape.gradient_at([x, y]) + 0.3 * jacobian @ xi), atol=1e-12
        )


@pytest.mark.parametrize("method", ["gd", "momentum", "adam", "sgd"])
def test_an_ensemble_is_its_walks_to_the_bit(method):
    """Every walker, over several calls, groups and blocks of steps, is the walk that `descend` gives alone."""
    landscape = rough()
    starts = np.random.default_rng(2).uniform(0, [56, 30], size=(400, 2))
    seed = {"rng": 9} if method == "sgd" else {}
    many = descend_ensemble(
        landscape,
        starts,
        learning_rates=[0.5, 5.0, 50.0],
        n_steps=1100,
        keep_last=150,
        method=method,
        **seed,
    )
    for i, j in [(0, 0), (0, 70), (1, 23), (1, 24), (2, 399)]:
        alone = {"rng": np.random.SeedSequence(9, spawn_key=(i, j))} if seed else {}
        walk = descend(
            landscape,
            starts[j],
            learning_rate=[0.5, 5.0, 50.0][i],
            n_steps=1100,
            method=method,
            **alone,
        )
        assert same(many.positions[i, j], walk.positions[-150:])
        assert same(many.unfolded[i, j], walk.unfolded[-150:])
        assert same(many.losses[i, j], walk.losses[-150:])


@pytest.mark.parametrize("walls", ["reflecting", "periodic"])
@pytest.mark.parametrize("unfold", ["exact", "published"])
def test_a_walker_alone_is_one_among_others_to_the_bit(unfold, walls, monkeypatch):
    """One walker's own kernel gives what lockstep gives, across its blocks, whatever is kept, stopped walkers included."""
    monkeypatch.setattr(walking, "_STEPS_ALONE", 37)
    rates, starts = [3.0, 30.0, 3e6, 3e7], [[5.0, 6.0], [20.5, 11.25]]
    rest = {"n_steps": 150, "unfold": unfold, "walls": walls}
    for kept in ({}, {"keep_last": 60, "keep_every": 7}, {"keep_last": 1}):
        together = descend_ensemble(rough(), starts, learning_rates=rates, **rest, **kept)
        for i, j in np.ndindex(len(rates), len(starts)):
            some = {"learning_rates": rates[i : i + 1], **rest, **kept}
            alone = descend_ensemble(rough(), starts[j : j + 1], **some)
            for name in ("positions", "unfolded", "losses", "steps_taken"):
                ours, theirs = getattr(alone, name)[0, 0], getattr(together, name)[i, j]
                assert np.array_equal(ours, theirs, equal_nan=True)
    assert 0 < together.completed.sum() < together.completed.size


def test_what_is_kept_is_part_of_the_whole():
    """keep_last and keep_every select positions, by `.steps`, and change nothing else."""
    starts = np.random.default_rng(3).uniform(0, [56, 30], size=(5, 2))
    whole = descend_ensemble(rough(), starts, learning_rates=[2.0, 9.0], n_steps=100)
    part = descend_ensemble(
        rough(), starts, learning_rates=[2.0, 9.0], n_steps=100, keep_last=31, keep_every=7
    )
    assert whole.steps.tolist() == list(range(101))
    assert part.steps.tolist() == [70, 77, 84, 91, 98]
    for name in ("positions", "unfolded", "losses"):
        assert same(getattr(part, name), getattr(whole, name)[:, :, part.steps])


def test_losses_cost_memory_once_they_are_asked_for():
    """An ensemble on a landscape holds 32 bytes a position; with its losses 40, and these are the landscape's values there."""
    surface, starts = rough(), np.random.default_rng(3).uniform(0, [56, 30], size=(100, 2))
    assert descend_ensemble(surface, starts, learning_rates=[2.0], n_steps=1).losses.size == 200
    tracemalloc.start()  # now that the kernels are there
    walks = descend_ensemble(surface, starts, learning_rates=[2.0, 3e7], n_steps=500)
    before = tracemalloc.get_traced_memory()[0]
    losses = walks.losses
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert 32 <= before / losses.size < 33
    assert 8 <= (after - before) / losses.size < 8.5
    np.testing.assert_array_equal(losses, surface.value_at(walks.positions))
    assert np.isnan(losses).any()
    with pytest.raises(
        ValueError, match="read-only"
    ):  # or losses asked for later would be those of other places
        walks.positions[0] = -1e6


PRINT_DIGEST = """
import hashlib, numpy as np
from multifractal import Landscape, descend_ensemble
landscape = Landscape(np.random.default_rng(0).normal(size=(40, 50)))
starts = np.random.default_rng(1).uniform(0, [49, 39], size=(300, 2))
for method, seed in (("gd", {}), ("sgd", {"rng": 4})):
    many = descend_ensemble(landscape, starts, learning_rates=[3.0, 30.0], n_steps=200, method=method, **seed)
    print(hashlib.sha256(many.positions.tobytes() + many.unfolded.tobytes() + many.losses.tobytes()).hexdigest())
"""


def test_one_and_two_threads_give_the_same_bits():
    """Two processes, one with NUMBA_NUM_THREADS=1 and one with 2, print the same digests, twice the same."""
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


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_process_pool_gives_the_same_bits(context):
    """With forked and with fresh processes, plain and noisy, on a landscape and on a field."""
    landscape, starts = rough(), np.random.default_rng(4).uniform(0, [56, 30], size=(90, 2))
    field = FractalField(3, 0.7, rng=0, n_modes=64)
    points = np.random.default_rng(5).normal(size=(20, 3))
    with ProcessPoolExecutor(2, mp_context=get_context(context)) as executor:
        for source, at, extra in (
            (landscape, starts, {}),
            (landscape, starts, {"method": "sgd", "rng": 3}),
            (field, points, {}),
        ):
            arguments = {"learning_rates": [3.0, 30.0], "n_steps": 60, "keep_last": 10} | extra
            here = descend_ensemble(source, at, **arguments)
            there = descend_ensemble(source, at, executor=executor, **arguments)
            for name in ("positions", "unfolded", "losses", "steps_taken"):
                assert same(getattr(here, name), getattr(there, name))


@pytest.mark.slow  # tests/test_beyond_one_machine.py walks on a landscape under dask, and the pools above on a field
def test_a_dask_cluster_gives_the_same_bits():
    """Two dask workers on loopback, a landscape and a field."""
    distributed = pytest.importorskip("dask.distributed")
    landscape, starts = rough(), np.random.default_rng(4).uniform(0, [56, 30], size=(90, 2))
    field = FractalField(3, 0.7, rng=0, n_modes=64)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
        client.get_executor() as executor,
    ):
        for source, points in (
            (landscape, starts),
            (field, np.random.default_rng(5).normal(size=(20, 3))),
        ):
            here = descend_ensemble(source, points, learning_rates=[0.1, 30.0], n_steps=40)
            there = descend_ensemble(
                source, points, learning_rates=[0.1, 30.0], n_steps=40, executor=executor
            )
            for name in ("positions", "unfolded", "losses", "steps_taken"):
                assert same(getattr(here, name), getattr(there, name))


def test_a_million_walkers_take_bounded_memory():
    """What is held are the results, 40 bytes a walker with one kept position, and less than as much again."""
    landscape = rough((200, 300))
    starts = np.random.default_rng(6).uniform(0, [299, 199], size=(1000, 2))
    rates = np.linspace(1, 20, 1000)
    tracemalloc.start()
    many = descend_ensemble(landscape, starts, learning_rates=rates, n_steps=10, keep_last=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert many.positions.shape == (1000, 1000, 1, 2)
    assert peak < 80e6
    alone = descend(landscape, starts[7], learning_rate=rates[500], n_steps=10)
    assert same(many.positions[500, 7, 0], alone.positions[-1])


@pytest.mark.parametrize("method", ["gd", "momentum", "nesterov", "adam", "sgd"])
def test_walks_on_a_field_follow_its_gradient_in_any_dimension(method):
    """Against the rules applied to the field's own gradient, to rounding; the two tracks are one."""
    field, start = FractalField(4, 0.7, rng=0, n_modes=64), np.array([0.1, -0.2, 0.3, 0.05])
    seed = {"rng": 7} if method == "sgd" else {}
    walk = descend(field, start, learning_rate=0.02, n_steps=50, method=method, **seed)
    rule = RULES.get(method, lambda g, memory, t: g)
    stream, memory, position = np.random.default_rng(7), np.zeros((4, 2)), start.copy()
    for t in range(50):
        np.testing.assert_allclose(walk.positions[t], position, atol=1e-9)
        np.testing.assert_allclose(walk.losses[t], field.value(position), atol=1e-9)
        g = field.gradient(position) + (stream.standard_normal(4) if seed else 0)
        position = position - 0.02 * np.array([rule(g[k], memory[k], t) for k in range(4)])
    assert same(walk.unfolded, walk.positions)


def test_plain_descent_on_a_field_is_the_naive_loop():
    """Position by position, to the bit: the same gradient, the same two operations."""
    field, start = FractalField(7, 0.6, rng=3, n_modes=64), np.full(7, 0.1)
    walk = descend(field, start, learning_rate=0.02, n_steps=30)
    assert np.array_equal(walk.positions, naive.descend_on_field(field.gradient, start, 0.02, 30))


def test_curvature_noise_on_a_field_is_its_hessian_times_normal_numbers():
    """One noisy step differs from the plain one by lr scale J xi, J from differences of the gradient along the axes."""
    field, start, h = (
        FractalField(3, 0.7, rng=0, n_modes=32, scales=(0.1, 1.0)),
        np.array([0.1, -0.2, 0.3]),
        1e-6,
    )
    jacobian = np.stack(
        [
            (field.gradient(start + h * e) - field.gradient(start - h * e)) / (2 * h)
            for e in np.eye(3)
        ],
        1,
    )
    plain = descend(field, start, learning_rate=0.01, n_steps=1).positions[1]
    noisy = descend(
        field,
        start,
        learning_rate=0.01,
        n_steps=1,
        method="sgd",
        noise="curvature",
        noise_scale=0.3,
        rng=8,
    ).positions[1]
    expected = -0.01 * 0.3 * jacobian @ np.random.default_rng(8).standard_normal(3)
    np.testing.assert_allclose(noisy - plain, expected, rtol=1e-4)


def test_an_ensemble_on_a_field_is_its_walks_and_reports_who_diverged():
    """A rate beyond all measure stops its walkers, the others are as `descend` gives them, to the bit."""
    field, starts = (
        FractalField(5, 0.6, rng=1, n_modes=64),
        np.random.default_rng(2).normal(size=(7, 5)),
    )
    many = descend_ensemble(field, starts, learning_rates=[0.01, 1e300, 0.1], n_steps=30)
    assert many.steps_taken.tolist() == [[30] * 7, [0] * 7, [30] * 7]
    assert np.isnan(many.positions[1, :, 1:]).all()
    assert np.isnan(many.losses[1, :, 1:]).all()
    walk = descend(field, starts[6], learning_rate=0.1, n_steps=30)
    assert same(many.positions[2, 6], walk.positions)
    assert same(many.losses[2, 6], walk.losses)


def test_the_start_is_near_the_maximum_and_inside():
    """A standard normal step around the maximum, folded at the walls when the maximum is a corner; the seed repeats it."""
    values = np.zeros((30, 60))
    values[12, 47] = 1
    starts = np.array([start_near_maximum(Landscape(values), seed) for seed in range(400)])
    np.testing.assert_allclose(starts.mean(axis=0), [47, 12], atol=5 / np.sqrt(400))
    np.testing.assert_allclose(starts.std(axis=0), 1, rtol=5 / np.sqrt(800))
    assert same(starts[3], start_near_maximum(Landscape(values), 3))
    values[0, 59] = 2
    corner = np.array([start_near_maximum(Landscape(values), seed) for seed in range(100)])
    assert (corner >= 0).all()
    assert (corner <= [59, 29]).all()
    assert np.abs(corner - [59, 0]).max() > 1


def test_results_are_saved_and_loaded(tmp_path):
    """A walk and an ensemble survive a round trip, parameters and provenance included."""
    walk = descend(rough(), (3, 4), learning_rate=2.0, n_steps=9, method="adam", beta1=0.5)
    many = descend_ensemble(rough(), [[3, 4]], learning_rates=2.0, n_steps=9, method="sgd", rng=1)
    for name, result in (("walk", walk), ("many", many)):
        result.save(tmp_path / f"{name}.npz")
    again, many_again = Walk.load(tmp_path / "walk.npz"), Ensemble.load(tmp_path / "many.npz")
    assert same(again.positions, walk.positions)
    assert again.parameters == {"beta1": 0.5, "beta2": 0.999, "epsilon": 1e-8}
    assert again.provenance == walk.provenance
    assert again.completed
    assert same(many_again.losses, many.losses)
    assert many_again.provenance.seed == "1"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"starts": [[3, 31.5]]},
            "starts must lie within 0 <= x <= 56 and 0 <= y <= 30, got [ 3.  31.5]",
        ),
        ({"starts": [[-0.1, 3]]}, "starts must lie within"),
        ({"starts": [[np.nan, 3]]}, "starts must be finite"),
        ({"starts": [[1, 2, 3]]}, "starts must have shape (n_starts, 2), got (1, 3)"),
        ({"learning_rates": [1.0, 0.0]}, "learning_rates must be positive"),
        ({"learning_rates": [np.inf]}, "learning_rates must be finite"),
        ({"learning_rates": []}, "learning_rates must be positive"),
        ({"n_steps": 0}, "n_steps must be a whole number, at least 1, got 0"),
        ({"n_steps": 5.0}, "n_steps must be a whole number"),
        ({"keep_last": 12}, "keep_last must be at most n_steps + 1 = 11, got 12"),
        ({"keep_every": 0}, "keep_every must be"),
        ({"unfold": "no"}, "unfold must be one of 'exact', 'published'"),
        ({"method": "lbfgs"}, "method must be one of"),
        ({"beta1": 0.5}, "beta1 must be left out with method='gd'"),
        ({"method": "momentum", "momentum": 1.0}, "momentum must lie in [0, 1), got 1.0"),
        ({"method": "sgd", "rng": 0, "noise": "pink"}, "noise must be one of"),
        ({"method": "sgd"}, "rng must be given with method='sgd'"),
        ({"rng": 0}, "rng must be left out with method='gd'"),
    ],
)
def test_bad_input_is_refused_with_its_rule(change, words):
    """Each refusal names the argument, its value and the rule."""
    arguments = {"starts": [[3, 4]], "learning_rates": [1.0], "n_steps": 10} | change
    with pytest.raises(ValueError, match=re.escape(words)):
        descend_ensemble(rough(), **arguments)


def test_a_single_walk_refuses_too():
    """Descend speaks of its own arguments."""
    with pytest.raises(ValueError, match="learning_rate must be a positive finite number, got -1"):
        descend(rough(), (3, 4), learning_rate=-1, n_steps=3)
    with pytest.raises(ValueError, match=re.escape("start must have one dimension, got (1, 2)")):
        descend(rough(), [(3, 4)], learning_rate=1, n_steps=3)


@pytest.mark.parametrize("method", ["gd", "momentum", "adam"])
def test_the_compiled_walk_on_a_field_is_the_general_one(method, monkeypatch):
    """A field of one piece walks in one kernel, with the bits of the loop that any field takes, stopped walkers included."""
    field = FractalField(6, 0.5, rng=0, n_modes=200)
    starts = np.random.default_rng(0).normal(size=(3, 6)) * 0.1
    settings = {"learning_rates": [0.01, 1e30], "n_steps": 1300, "keep_every": 7, "method": method}
    assert field.only_waves is not None
    compiled = descend_ensemble(field, starts, **settings)
    monkeypatch.setattr(FractalField, "only_waves", None)
    general = descend_ensemble(field, starts, **settings)
    for name in ("positions", "unfolded", "losses", "steps_taken"):
        assert np.array_equal(getattr(compiled, name), getattr(general, name), equal_nan=True)


def test_a_field_of_several_pieces_is_walked_on_with_all_of_them(monkeypatch):
    """Waves drawn in three pieces: the losses of a walk are the field's own values at its positions, not those of one piece."""
    monkeypatch.setattr(fields, "_PIECE", 6 * 80)
    field = FractalField(6, 0.5, rng=0, n_modes=200)
    walk = descend(field, np.full(6, 0.1), learning_rate=0.01, n_steps=3)
    np.testing.assert_allclose(walk.losses, field.value(walk.positions), rtol=1e-12)
