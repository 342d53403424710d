"""`device=` of every probe: whatever runs a network has it, and the network then runs nowhere else."""

import contextlib
import inspect

import numpy as np
import pytest
import torch

from landscape_viz import (
    HessianOperator,
    LossLandscapeAnalyzer,
    Objective,
    Problem,
    directions,
    dynamics,
    fractal_report,
    linear_path,
    local_learning_coefficient,
    match,
    matching,
    recurrent,
    section,
    sharpness,
    trained_path,
    trajectory,
)
from landscape_viz.curvature.pac_bayes import pac_bayes_bound
from landscape_viz.loss import objective
from landscape_viz.recurrent import plane
from tools import api_reference

pytestmark = pytest.mark.quick

HERE = "cpu:0"  # where "cpu" is the default, this name tells that the argument has arrived
RUN_NO_NETWORK = {
    "Problem",
    "EdgeMonitor",  # watches a network where that is
    "Section",
    "directions.displacements",
    "directions.from_h5",
    "directions.from_vectors",
    "directions.pca",
    "directions.random",
    "directions.toward",
    "models.moving_statistics",
    "models.parameter_count",
    "sequential_groups",
    "trajectory.embedding",
}


def small():
    """Return a network of 17 parameters."""
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))


def made(rng=0):
    """Return a problem of two batches."""
    draws = torch.Generator().manual_seed(rng)
    data = torch.randn(8, 2, generator=draws), torch.arange(8) % 2
    return Problem(small, None, "cross_entropy", data, batch_size=4, rng=rng)


def plant():
    """Return a recurrent problem, its vectors and one position."""
    seen = torch.randn(1, 3, 2, dtype=torch.float64)
    network = recurrent.DoublingPlant(2, horizon=3, rng=0)
    problem = Problem(network, None, recurrent.discounted_loss(0.8), seen)
    return problem, np.ones((1, len(problem.weights()))), [[0.1]]


def line(problem):
    """Return one direction."""
    return directions.random(problem, 1)


def other():
    """Return the weights of another network."""
    return made(1).state


def gives_up(outputs, targets):
    """Raise: the network has been placed by then, and a whole report takes seconds."""
    raise ArithmeticError


def report(device):
    """Begin a report."""
    with contextlib.suppress(ArithmeticError):
        fractal_report(small(), made().data, gives_up, n_points=113, device=device)


def connectivity(device):
    """Run the analyzer's path between two networks."""
    analyzer = LossLandscapeAnalyzer(
        small(), made().data, made().data, torch.nn.CrossEntropyLoss(), device
    )
    return analyzer.compute_mode_connectivity(small(), 3)


def plane_losses(device):
    """Run a plane of two points."""
    problem, vectors, _ = plant()
    both = directions.from_vectors(problem, np.vstack([vectors, vectors]))
    return recurrent.plane_losses(problem, both, [[0.0], [0.0, 0.1]], [0.8], device=device)


CALLS = {
    "Objective": lambda d: Objective(made(), device=d),
    "HessianOperator": lambda d: HessianOperator(made(), device=d),
    "LossLandscapeAnalyzer": connectivity,
    "directions.hessian": lambda d: directions.hessian(made(), 1, tol=0.1, device=d),
    "dynamics.full_batch_descent": lambda d: dynamics.full_batch_descent(
        made(), learning_rate=0.1, n_steps=2, sharpness_every=1, device=d
    ),
    "dynamics.gradient_noise_scale": lambda d: dynamics.gradient_noise_scale(
        made(), small=2, big=8, n_draws=3, device=d
    ),
    "dynamics.training_lyapunov": lambda d: dynamics.training_lyapunov(
        made(), learning_rate=0.1, n_steps=20, device=d
    ),
    "fractal_report": report,
    "linear_path": lambda d: linear_path(made(), other(), n_points=3, device=d),
    "local_learning_coefficient": lambda d: local_learning_coefficient(
        made(), learning_rate=1e-3, n_chains=2, n_draws=4, n_burn_in=1, device=d
    ),
    "match": lambda d: match(made(), other(), device=d),
    "pac_bayes_bound": lambda d: pac_bayes_bound(made(), n_draws=2, device=d),
    "recurrent.costs_at": lambda d: recurrent.costs_at(*plant(), device=d),
    "recurrent.growth_at": lambda d: recurrent.growth_at(*plant(), device=d),
    "recurrent.plane_losses": plane_losses,
    "section": lambda d: section(made(), line(made()), ["0:1:2"], device=d),
    "sharpness.adaptive_sharpness": lambda d: sharpness.adaptive_sharpness(made(), device=d),
    "sharpness.average_sharpness": lambda d: sharpness.average_sharpness(
        made(), n_samples=2, device=d
    ),
    "sharpness.ball_sharpness": lambda d: sharpness.ball_sharpness(
        made(), 0.1, n_samples=2, n_ascent=1, device=d
    ),
    "sharpness.fisher_rao_norm": lambda d: sharpness.fisher_rao_norm(made(), device=d),
    "sharpness.keskar_sharpness": lambda d: sharpness.keskar_sharpness(
        made(), n_iterations=1, device=d
    ),
    "sharpness.sam_sharpness": lambda d: sharpness.sam_sharpness(made(), device=d),
    "sharpness.scale_dependent_curvature": lambda d: sharpness.scale_dependent_curvature(
        made(), [0.1], n_directions=2, device=d
    ),
    "trained_path": lambda d: trained_path(made(), other(), n_steps=1, n_points=3, device=d),
    "trajectory.losses_at": lambda d: trajectory.losses_at(made(), line(made()), [[0.0]], device=d),
    "trajectory.project": lambda d: trajectory.project(made(), [other()], line(made()), device=d),
}


def running():
    """Return {name: its function} of all that is public and takes a problem, a network or what makes one."""
    found = {}
    for package in api_reference.PACKAGES:
        if package.startswith("landscape_viz"):
            prefix = package.removeprefix("landscape_viz").strip(".")
            for name, thing in api_reference.public(package):
                function = thing.__init__ if inspect.isclass(thing) else thing
                takes = inspect.signature(function).parameters if callable(function) else {}
                if {"problem", "model", "factory"} & set(takes):
                    found[f"{prefix}.{name}".strip(".")] = takes
    return found


def test_whatever_runs_a_network_takes_a_device():
    """Every public function and class that takes a network has `device`, or is one of those that run none."""
    lacking = {name for name, takes in running().items() if "device" not in takes}
    assert lacking <= RUN_NO_NETWORK


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_the_network_runs_on_the_device_asked_for(name, monkeypatch):
    """Each device that a probe asks for is the one it was given."""
    asked = []

    def noted(device):
        asked.append(str(device))
        return torch.device("cpu")

    for module in (objective, matching, plane):
        monkeypatch.setattr(module, "checked_device", noted)
    CALLS[name](HERE)
    assert set(asked) == {HERE}
