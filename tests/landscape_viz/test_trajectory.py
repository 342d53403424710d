"""Trajectories: coordinates and residuals against plain least squares, true losses, and the end of the run."""

import numpy as np
import pytest
import torch

from landscape_viz import Problem, Trajectory, directions, section, trajectory
from tests.helpers import naive_networks
from tests.helpers.small_networks import SmallConv, images
from tests.landscape_viz.test_directions import run_of

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def problem():
    """A small convolutional problem."""
    return Problem(SmallConv, None, "cross_entropy", images())


@pytest.fixture(scope="module")
def states(problem):
    """A run of eight states that ends at the problem's weights."""
    return run_of(problem, 8)


@pytest.mark.parametrize("oblique", [False, True])
def test_coordinates_and_residuals_are_those_of_least_squares(problem, states, oblique):
    """Also along directions that are not orthogonal, coordinates and residuals equal the naive twin's."""
    plane = directions.pca(problem, states)
    if oblique:
        plane = directions.from_vectors(
            problem, [plane.vectors[0], plane.vectors[1] + 0.8 * plane.vectors[0]]
        )
    path = trajectory.project(problem, states, plane)
    moves = directions.displacements(problem, states)
    coordinates, off_plane = naive_networks.projected(moves, plane.vectors)
    np.testing.assert_allclose(path.coordinates, coordinates, atol=1e-9)
    distances = np.linalg.norm(moves, axis=1)
    np.testing.assert_allclose(path.distances, distances, rtol=1e-6)
    np.testing.assert_allclose(
        path.residuals[:-1], (off_plane / np.where(distances, distances, 1))[:-1], rtol=1e-6
    )


def test_the_end_of_the_run_lies_in_the_plane_and_at_the_origin(problem, states):
    """Residual, distance and coordinates of the last state are exactly 0, and its two losses are equal."""
    path = trajectory.project(problem, states, directions.pca(problem, states))
    assert path.residuals[-1] == path.distances[-1] == 0
    assert not path.coordinates[-1].any()
    assert path.true_loss[-1] == path.plane_loss[-1]


def test_true_losses_are_the_states_own(problem, states):
    """The true loss is that of each state with its own running statistics, not that of the contour under it."""
    drifted = [
        {**state, "norm.running_mean": state["norm.running_mean"] + k}
        for k, state in enumerate(states)
    ]
    path = trajectory.project(problem, drifted, directions.pca(problem, states))
    for k, state in enumerate(drifted):
        expected = naive_networks.section(problem.with_state(state), [], [])[0]
        np.testing.assert_allclose(path.true_loss[k], expected, rtol=1e-5)
    assert (np.abs(path.true_loss - path.plane_loss)[:-1] > 1e-3).all()


def test_plane_losses_lie_on_the_section(problem, states):
    """The loss in the plane is bit for bit what a section gives at the same coordinates."""
    plane = directions.pca(problem, states)
    path = trajectory.project(problem, states, plane)
    for (x, y), loss in zip(path.coordinates, path.plane_loss, strict=True):
        assert section(problem, plane, [[x], [y]], metrics=("loss",)).grid.item() == loss


def test_a_run_inside_its_plane_has_no_residual(problem):
    """States that lie in a plane have residual 0 to rounding."""
    basis = np.random.default_rng(1).standard_normal((2, len(problem.weights())))
    vectors = problem.weights().numpy() + np.array([[3, 1], [2, 2], [1, 0], [0, 0]]) @ basis
    buffers = dict(problem.build().named_buffers())
    states = [
        dict(problem.unflatten(torch.tensor(v, dtype=torch.float32))) | buffers for v in vectors
    ]
    path = trajectory.project(problem, states, directions.pca(problem, states))
    assert (path.residuals < 1e-6).all()


def test_save_and_load_give_the_same_trajectory(problem, states, tmp_path):
    """All arrays survive a round trip."""
    path = trajectory.project(problem, states, directions.pca(problem, states))
    path.save(tmp_path / "path.npz")
    again = Trajectory.load(tmp_path / "path.npz")
    assert np.array_equal(again.coordinates, path.coordinates)
    assert np.array_equal(again.true_loss, path.true_loss)
    assert again.directions_hash == path.directions_hash


def test_the_embedding_keeps_the_principal_components_and_is_repeatable(problem):
    """Rotating the states into their span leaves their principal components, and one seed gives one picture."""
    states = run_of(problem, 12)
    first, again = (trajectory.embedding(problem, states, rng=1, progress=False) for _ in range(2))
    assert np.array_equal(first.points, again.points)
    moves = directions.displacements(problem, states).astype(float)
    twin = (moves - moves.mean(0)) @ naive_networks.principal_directions(moves - moves.mean(0), 2).T
    np.testing.assert_allclose(np.abs(first.components), np.abs(twin), rtol=1e-5)
    assert first.perplexity == 11 / 3
    with pytest.raises(ValueError, match="states must be at least 7"):
        trajectory.embedding(problem, states[:6])


def test_live_dropout_has_no_true_loss(problem, states):
    """A run cannot be measured under live dropout."""
    live = Problem(SmallConv, None, "cross_entropy", images(), dropout="live")
    with pytest.raises(ValueError, match="dropout must not be live"):
        trajectory.project(live, states, directions.pca(problem, states))
