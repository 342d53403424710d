"""Every public probe leaves the caller's network, its gradients and every random state as they were, also when it raises."""

import copy
import functools
import random

import numpy as np
import pytest
import torch
from torch import nn

from landscape_viz import (
    HessianOperator,
    LossLandscapeAnalyzer,
    Problem,
    dynamics,
    gradient_noise,
    linear_path,
    local_learning_coefficient,
    match,
    sharpness,
    spectral_density,
    top_eigenpairs,
    trace,
    trained_path,
)
from tests.landscape_viz.curvature.test_hessian import classification, small_network

PROBES = {
    "top_eigenpairs": lambda p: top_eigenpairs(HessianOperator(p), 2),
    "trace": lambda p: trace(HessianOperator(p), n_products=4),
    "spectral_density": lambda p: spectral_density(HessianOperator(p, "4"), n_probes=2, n_steps=3),
    "ball_sharpness": lambda p: sharpness.ball_sharpness(p, 0.1, n_samples=2, n_ascent=2),
    "sam_sharpness": lambda p: sharpness.sam_sharpness(p),
    "adaptive_sharpness": lambda p: sharpness.adaptive_sharpness(p),
    "average_sharpness": lambda p: sharpness.average_sharpness(p, n_samples=2),
    "fisher_rao_norm": lambda p: sharpness.fisher_rao_norm(p),
    "keskar_sharpness": lambda p: sharpness.keskar_sharpness(p, n_iterations=1),
    "scale_dependent_curvature": lambda p: sharpness.scale_dependent_curvature(
        p, [0.1], n_directions=2
    ),
    "linear_path": lambda p: linear_path(p, _other(), n_points=3),
    "trained_path": lambda p: trained_path(p, _other(), n_steps=2, n_points=3),
    "full_batch_descent": lambda p: dynamics.full_batch_descent(
        p, learning_rate=0.1, n_steps=2, sharpness_every=1
    ),
    "training_lyapunov": lambda p: dynamics.training_lyapunov(p, learning_rate=0.1, n_steps=20),
    "local_learning_coefficient": lambda p: local_learning_coefficient(
        p, learning_rate=1e-3, n_chains=2, n_draws=4, n_burn_in=0
    ),
    "gradient_noise": lambda p: gradient_noise(p, batch_size=8, n_batches=100, n_directions=1),
    "gradient_noise_scale": lambda p: dynamics.gradient_noise_scale(p, small=2, big=8, n_draws=3),
}
CALLS = {"left": np.inf}


def counted(outputs, targets):
    """Return the cross-entropy; raise once the calls that are left are used up."""
    CALLS["left"] -= 1
    if CALLS["left"] < 0:
        raise ArithmeticError("the loss gave up")
    return nn.functional.cross_entropy(outputs, targets)


def _other():
    with torch.random.fork_rng():
        return small_network().state_dict()


@pytest.fixture
def network():
    """Return a network of the caller's, in training mode, with gradients and statistics that are not trivial."""
    model = small_network(0.3).train()
    model(torch.randn(5, 3, dtype=torch.float64)).sum().backward()
    return model


def snapshot(model):
    """Return all that a probe must not change."""
    tensors = [
        *model.state_dict().values(),
        *(p.grad for p in model.parameters()),
        torch.get_rng_state(),
    ]
    flags = (
        torch.get_float32_matmul_precision(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.backends.cuda.flash_sdp_enabled(),
        random.getstate(),
        np.random.get_state()[1].tobytes(),  # noqa: NPY002
    )
    modes = [module.training for module in model.modules()] + [
        p.requires_grad for p in model.parameters()
    ]
    return [tensor.numpy().tobytes() for tensor in tensors], flags, modes


@pytest.mark.parametrize("calls", [np.inf, 0, 3])
@pytest.mark.parametrize("name", PROBES)
def test_a_probe_leaves_no_trace(name, calls, network, monkeypatch):
    """With a loss that works, or raises at the first or the fourth call: all is byte-equal afterwards."""
    problem = Problem(
        functools.partial(copy.deepcopy, network),
        None,
        counted,
        classification().data,
        dropout="fixed",
        batch_size=20,
    )
    before = snapshot(network)
    monkeypatch.setitem(CALLS, "left", calls)
    try:
        PROBES[name](problem)
    except ArithmeticError:
        assert calls < np.inf
    else:
        assert calls > 0
    assert snapshot(network) == before


def test_matching_leaves_no_trace(network):
    """Matching, whose groups may be refused, changes neither network."""
    problem = Problem(
        functools.partial(copy.deepcopy, network), None, "cross_entropy", classification().data
    )
    other = _other()
    before, kept = snapshot(network), copy.deepcopy(other)
    match(problem, other)
    with pytest.raises(ValueError, match="groups must leave"):
        match(problem, other, [[("0.weight", 0)]])
    assert snapshot(network) == before
    assert all(torch.equal(other[name], kept[name]) for name in kept)


@pytest.mark.parametrize("calls", [np.inf, 3])
@pytest.mark.parametrize(
    "method",
    [
        lambda a, m: a.full_analysis(),
        lambda a, m: a.visualize_2d_landscape(resolution=3),
        lambda a, m: a.analyze_optimization_trajectory(
            torch.optim.SGD(m.parameters(), lr=0.1), 2, 1
        ),
        lambda a, m: a.compute_mode_connectivity(small_of(m), 3),
        lambda a, m: a.compare_architectures({"same": m}),
    ],
    ids=["analysis", "landscape", "trajectory", "connectivity", "architectures"],
)
def test_the_analyzer_leaves_no_trace(method, calls, network, monkeypatch):
    """Each method, with a criterion that works or gives up; reading shuffled loaders leaves the random state alone too."""
    before = snapshot(network)
    data = torch.utils.data.TensorDataset(*classification().data)
    loader = torch.utils.data.DataLoader(data, batch_size=20, shuffle=True)
    analyzer = LossLandscapeAnalyzer(network, loader, loader, counted)
    assert snapshot(network) == before
    monkeypatch.setitem(CALLS, "left", calls)
    if calls == np.inf:
        method(analyzer, network)
    else:
        with pytest.raises(ArithmeticError, match="gave up"):
            method(analyzer, network)
    assert snapshot(network) == before


def small_of(model):
    """Return another network of the same shape."""
    other = copy.deepcopy(model)
    other.load_state_dict(_other())
    return other
