"""No two draws of one call share a stream: the keys of the seed sequences that a call makes are all different."""

import numpy as np
import pytest
import torch

from landscape_viz import Problem, directions, dynamics, section, sharpness, spectral_density, trace


def network():
    """Dropout before a linear map of three inputs."""
    return torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(3, 2, dtype=torch.float64))


DATA = torch.arange(60.0, dtype=torch.float64).reshape(20, 3) / 60, torch.ones(20, 2).double()


def _live(problem):
    plane = directions.random(problem, 1, rng=1)
    return section(
        Problem(network, None, "mse", DATA, dropout="live"), plane, [np.linspace(0, 1, 9)]
    )


CALLS = {
    "ball": (lambda p: sharpness.ball_sharpness(p, 0.1, n_samples=7), 7),
    "average": (lambda p: sharpness.average_sharpness(p, n_samples=7), 7),
    "curvature": (lambda p: sharpness.scale_dependent_curvature(p, [0.1], n_directions=7), 7),
    "noise scale": (lambda p: dynamics.gradient_noise_scale(p, small=2, big=8, n_draws=7), 7),
    "directions": (lambda p: directions.random(p, 7), 7),
    "density": (lambda p: spectral_density(np.diag(np.arange(40.0)), n_probes=7), 7),
    "live dropout": (_live, 9),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_draw_has_a_stream_of_its_own(name, monkeypatch):
    """Of the keys below the seed that one call draws from, as many are different as there are draws."""
    call, n_draws = CALLS[name]
    problem = Problem(network, None, "mse", DATA)
    keys, original = [], np.random.SeedSequence

    class Noted(original):
        def __init__(self, entropy=None, *, spawn_key=(), **rest):
            super().__init__(entropy, spawn_key=spawn_key, **rest)
            if spawn_key:
                keys.append((str(entropy), tuple(spawn_key)))

    monkeypatch.setattr(np.random, "SeedSequence", Noted)
    call(problem)
    if name == "live dropout":
        keys = [key for key in keys if key[0] == "0"]  # those of the masks, not of the direction
    assert len(set(keys)) >= n_draws
    if name != "live dropout":
        assert len(set(keys)) == len(keys)


def test_live_masks_of_neighbouring_points_and_seeds_differ():
    """Losses at 9 points of two seeds, all with masks of their own, are 18 different numbers."""
    problem = Problem(network, None, "mse", DATA)
    plane = directions.random(problem, 1, rng=1)
    live = [Problem(network, problem.state, "mse", DATA, dropout="live", rng=s) for s in (0, 1)]
    values = [section(one, plane, [np.linspace(0, 1e-9, 9)]).values["loss"] for one in live]
    assert len(np.unique(values)) == 18


def test_the_products_of_trace_are_independent():
    """Two seeds give other estimates of a trace, one seed the same."""
    matrix = np.diag(np.arange(50.0)) + 0.1
    found = [trace(matrix, n_products=10, rng=seed).value for seed in (0, 1, 0)]
    assert found[0] == found[2] != found[1]
