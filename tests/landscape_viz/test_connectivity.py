"""Paths and matching: closed forms on a quadratic, barriers that training lowers, permutations that are found again."""

import functools

import numpy as np
import pytest
import torch
from torch import nn

from landscape_viz import directions, matching, trajectory
from landscape_viz.connectivity import NetworkPath, linear_path, trained_path
from landscape_viz.devices.random_state import seeded
from landscape_viz.loss.evaluate import Evaluator
from landscape_viz.loss.problem import Problem
from multifractal.base.result import Provenance
from tests.landscape_viz.curvature.test_hessian import classification, mean_output, small_network


class Ring(nn.Module):
    """Loss (|w|^2 - 1)^2 in the plane: a circular valley, with a barrier of 1 across it."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, 0.0], dtype=torch.float64))

    def forward(self, inputs):
        """Return the loss once a sample."""
        return ((self.w**2).sum() - 1).square().expand(len(inputs))


RING = Problem(Ring, None, mean_output, (torch.zeros(4, 1), torch.zeros(4)))
ACROSS = {"w": torch.tensor([-1.0, 1e-3], dtype=torch.float64)}


def convolutional():
    """Return a VGG-like network: convolutions, BatchNorm, pooling, flattening, two linear layers."""
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(5),
        nn.Conv2d(5, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 9, 7),
        nn.ReLU(),
        nn.Linear(7, 3),
    ).double()


def trained_statistics(network):
    """Return a network whose running statistics have seen data."""
    inputs = (
        torch.randn(30, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 3 + 1
    )
    for _ in range(30):
        network.train()(inputs)
    return network


def images():
    """Return a problem of `convolutional` with running statistics that are not trivial."""
    generator = torch.Generator().manual_seed(0)
    data = (
        torch.randn(20, 2, 6, 6, generator=generator, dtype=torch.float64),
        torch.randint(3, (20,), generator=generator),
    )
    model = Problem(convolutional, None, "cross_entropy", data).build().train()
    model(data[0])
    return Problem(convolutional, model.state_dict(), "cross_entropy", data)


def test_straight_path_across_a_ring():
    """The losses are the closed form, the barrier is 1, and so is half the distance."""
    path = linear_path(RING, ACROSS, n_points=101)
    w = np.stack([1 - 2 * path.t, 1e-3 * path.t])
    np.testing.assert_allclose(path.losses, (np.sum(w**2, axis=0) - 1) ** 2, atol=1e-12)
    assert path.barrier_height == pytest.approx(1, abs=1e-5)
    assert path.barrier_above_line == pytest.approx(1, abs=1e-5)
    assert path.norm == pytest.approx(2, abs=1e-5)


def ring_losses(x, y, t, kind):
    """Return the ring's losses along a path with one bend at (x, y), shape (..., len(t))."""
    x, y = np.asarray(x)[..., None], np.asarray(y)[..., None]
    middle, end = (
        (2 * t * (1 - t), t**2)
        if kind == "bezier"
        else (1 - np.abs(2 * t - 1), np.maximum(2 * t - 1, 0))
    )
    start = 1 - middle - end
    return ((start - end + middle * x) ** 2 + (1e-3 * end + middle * y) ** 2 - 1) ** 2


@pytest.mark.parametrize("kind", ["bezier", "polychain"])
def test_trained_paths_go_round_the_ring(kind):
    """Training one bend brings the mean loss along the path within 5 % of the best bend on a fine grid; the ends stay."""
    path = trained_path(RING, ACROSS, kind=kind, n_steps=500, learning_rate=0.03, n_points=201)
    grid = np.meshgrid(np.linspace(-0.5, 0.5, 41), np.linspace(-3, 3, 241))
    best = ring_losses(*grid, path.t, kind).mean(axis=-1).min()
    assert path.losses.mean() < 1.05 * best
    assert path.barrier_height < 0.7 * linear_path(RING, ACROSS).barrier_height
    assert path.losses[0] == 0
    np.testing.assert_allclose(path.coordinates[[0, -1]], [[0, 0], [0, 1]], atol=1e-15)


def test_more_bends_follow_the_ring_more_closely():
    """Three bends leave a lower barrier than one."""
    barriers = [
        trained_path(
            RING, ACROSS, kind="polychain", n_bends=n, n_steps=300, learning_rate=0.03
        ).barrier_height
        for n in (1, 3)
    ]
    assert barriers[1] < 0.5 * barriers[0]


def test_recalibrated_statistics_give_the_other_networks_own_loss():
    """With batch_norm='recalibrate' the last point is the other network's recalibrated loss; with 'eval' it is not."""
    with seeded(1):
        start, other = classification(), trained_statistics(small_network()).state_dict()
    ends = {}
    for mode in ("eval", "recalibrate"):
        problem = Problem(
            small_network, start.build().state_dict(), "cross_entropy", start.data, batch_norm=mode
        )
        own = Evaluator(problem.with_state(other), [], ("loss",)).measure()[0]
        ends[mode] = linear_path(problem, other, n_points=3).losses[-1], own
    assert ends["recalibrate"][0] == pytest.approx(ends["recalibrate"][1], rel=1e-12)
    assert ends["eval"][0] != pytest.approx(ends["eval"][1], rel=1e-3)
    assert trained_path(
        Problem(small_network, None, "cross_entropy", start.data, batch_norm="recalibrate"),
        other,
        n_steps=3,
        n_points=3,
    ).losses.shape == (3,)


@pytest.mark.parametrize("make", [images, classification])
def test_a_permuted_network_is_found_again(make):
    """Matching a permuted copy to its original undoes the permutation to the bit."""
    problem = make()
    original = problem.build().state_dict()
    groups = matching.sequential_groups(problem.build())
    rng = np.random.default_rng(3)
    shuffled = matching.permuted(
        original, groups, [rng.permutation(n) for n in matching._sizes(original, groups)]
    )
    found = matching.match(problem, shuffled)
    again = matching.permuted(shuffled, groups, found.permutations)
    for name, tensor in original.items():
        assert torch.equal(again[name], tensor), name
    assert found.similarity_after > found.similarity_before
    assert linear_path(problem, shuffled, n_points=11).norm > 0


def test_matching_never_lowers_the_similarity():
    """Between unrelated networks the matched similarity is at least what it was, for five seeds."""
    problem = images()
    for seed in range(5):
        torch.manual_seed(seed)
        found = matching.match(problem, convolutional().state_dict(), rng=seed)
        assert found.similarity_after >= found.similarity_before


UNKNOWN = {
    "Conv1d": lambda: nn.Sequential(nn.Conv1d(1, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)),
    "ConvTranspose2d": lambda: nn.Sequential(
        nn.ConvTranspose2d(1, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)
    ),
    "grouped Conv2d": lambda: nn.Sequential(nn.Conv2d(2, 4, 2, groups=2), nn.Conv2d(4, 2, 1)),
    "LayerNorm": lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_networks_it_does_not_know_are_refused(name):
    """A layer whose units would be left out is named, with the way to write groups by hand."""
    layer = name.rsplit(" ", 1)[-1]
    with pytest.raises(ValueError, match=rf"model must be made of.*\({layer}\).*groups by hand"):
        matching.sequential_groups(UNKNOWN[name]())


def test_a_network_without_hidden_units_is_refused():
    """One linear layer has nothing to match, which is said instead of an empty answer."""
    with pytest.raises(ValueError, match="model must have hidden units"):
        matching.sequential_groups(nn.Linear(3, 2))


def test_groups_that_change_the_function_are_refused():
    """A group that forgets a tensor is refused before matching, with the change of the outputs."""
    problem = images()
    groups = matching.sequential_groups(problem.build())
    groups[0] = [entry for entry in groups[0] if "running" not in entry[0]]
    with pytest.raises(
        ValueError, match="groups must leave the network's function alone when permuted"
    ):
        matching.match(problem, problem.build().state_dict(), groups)


def test_networks_of_another_shape_are_refused():
    """A path to a network that does not fit names the tensors."""
    wider = nn.Sequential(
        nn.Linear(3, 9), nn.Tanh(), nn.BatchNorm1d(9), nn.Dropout(0.0), nn.Linear(9, 3)
    ).double()
    with pytest.raises(ValueError, match="0.weight has shape"):
        linear_path(classification(), wider.state_dict())
    with pytest.raises(ValueError, match="kind must be one of"):
        trained_path(RING, ACROSS, kind="spline")


def test_same_seed_same_path():
    """Training a path twice from one seed gives the same bits."""
    make = functools.partial(
        trained_path,
        classification(batch_size=8),
        small_network().state_dict(),
        n_steps=5,
        n_points=3,
    )
    other = make.args[1]
    assert np.array_equal(make(rng=4).vectors, make(rng=4).vectors)
    assert not np.array_equal(make(rng=4).vectors, make(rng=5).vectors)
    assert set(other) == set(small_network().state_dict())


def test_both_barriers_of_a_path_with_unequal_ends():
    """Losses 1, 5, 2, 3 at t = 0, .25, .5, 1: above the chord 5 - 1.5 = 3.5, above the higher end 5 - 3 = 2."""
    made = NetworkPath(
        t=np.array([0, 0.25, 0.5, 1]),
        losses=np.array([1.0, 5, 2, 3]),
        coordinates=np.zeros((4, 1)),
        vectors=np.array([[3.0, 4.0]]),
        kind="linear",
        provenance=Provenance.of("made up"),
    )
    assert made.barrier_above_line == pytest.approx(3.5)
    assert made.barrier_height == pytest.approx(2)


@pytest.mark.parametrize(
    "probe",
    [
        lambda problem, state, device: linear_path(problem, state, device=device),
        lambda problem, state, device: trained_path(problem, state, n_steps=1, device=device),
        lambda problem, state, device: trajectory.project(
            problem, [state], directions.random(problem, 1), device=device
        ),
        lambda problem, state, device: directions.hessian(problem, 1, device=device),
    ],
)
def test_probes_compute_on_the_device_asked_for(probe):
    """A device that is not there is refused, so that none of these probes stays on the CPU in silence."""
    problem = classification()
    state = {name: 1.1 * weights for name, weights in problem.build().state_dict().items()}
    with pytest.raises(ValueError, match="device must be a device that torch finds here"):
        probe(problem, state, "cuda:99")
