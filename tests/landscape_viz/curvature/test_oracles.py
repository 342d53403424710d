"""Which Hessians may serve as an oracle: each against differences of float64 gradients, under every kind of normalisation."""

import functools

import curvlinops
import numpy as np
import pytest
import torch
from torch import nn

from landscape_viz import HessianOperator, Problem
from tests.helpers.naive_networks import hessian_by_differences

NORMS = {
    "none": nn.Identity,
    "layer": lambda: nn.LayerNorm([2, 2, 2]),
    "group": lambda: nn.GroupNorm(1, 2),
    "instance": lambda: nn.InstanceNorm2d(2, affine=True),
    "batch": lambda: nn.BatchNorm2d(2, track_running_stats=False),
    "running": lambda: nn.BatchNorm2d(2),
    "rms": lambda: nn.RMSNorm([2, 2, 2]),
}
SOUND = ("none", "running", "rms")


def network(name):
    """Return a small float64 network on images with that normalisation."""
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 2, 2), NORMS[name](), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)
    return nn.Sequential(*layers).double().eval()


@pytest.fixture(scope="module")
def data():
    """Return 20 images and labels."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(20, 1, 3, 3, dtype=torch.float64, generator=generator)
    return images, torch.randint(3, (20,), generator=generator)


def error(found, true):
    """Return the largest error of an entry over the largest entry."""
    return np.abs(found - true).max() / np.abs(true).max()


@pytest.fixture(scope="module")
def truth(data):
    """Return the Hessian of each network by differences."""
    loss = lambda model: nn.functional.cross_entropy(model(data[0]), data[1])  # noqa: E731
    return {name: hessian_by_differences(network(name), loss) for name in NORMS}


@pytest.mark.parametrize("name", NORMS)
def test_ours_is_right_under_every_norm(name, data, truth):
    """The operator agrees with differences to 1e-6 of the largest entry: their truncation error at a step of 1e-5."""
    mode = "batch" if name == "batch" else "eval"
    factory = functools.partial(network, name)
    problem = Problem(factory, None, "cross_entropy", data, batch_norm=mode)
    assert error(HessianOperator(problem).to_dense(), truth[name]) < 1e-6


NORMED = {
    "rows": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 6)),
    "columns": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 6), dim=1),
    "one norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 6), dim=None),
}


@pytest.mark.parametrize("name", NORMED)
def test_ours_is_right_under_weight_norm(name):
    """Under weight_norm, whose fused second derivative torch gets wrong, the operator agrees with differences to 1e-6."""

    def network():
        torch.manual_seed(0)
        return nn.Sequential(NORMED[name](), nn.Tanh(), nn.Linear(6, 3)).double()

    inputs = torch.randn(20, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    targets = inputs.argmax(1) % 3
    true = hessian_by_differences(
        network(), lambda model: nn.functional.cross_entropy(model(inputs), targets)
    )
    operator = HessianOperator(Problem(network(), None, "cross_entropy", (inputs, targets)))
    assert error(operator.to_dense(), true) < 1e-6


@pytest.mark.parametrize("name", SOUND)
def test_curvlinops_is_right_where_nothing_is_normalised_over_data(name, data, truth):
    """Without a norm, with stored statistics and with RMSNorm curvlinops agrees as well: it may serve as an oracle there."""
    model = network(name)
    theirs = curvlinops.HessianLinearOperator(
        model, nn.CrossEntropyLoss(), list(model.parameters()), [data]
    ).to_scipy()
    columns = [theirs @ unit for unit in np.eye(len(truth[name]))]
    assert error(np.stack(columns, axis=1), truth[name]) < 1e-6
