"""Probes of a real network, ResNet-20 at 32 x 32 x 3, one thread. Yardstick: one gradient, so .0125 means 80 gradients."""

import functools

import numpy as np
import torch
from torch import nn

from benchmarks.harness import Case
from landscape_viz import (
    HessianOperator,
    Problem,
    dynamics,
    models,
    spectral_density,
    top_eigenpairs,
    trace,
)


def tanh_network():
    """Return a small network whose descent goes to the edge of stability."""
    return nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1)).double()


def _resnet(samples, batch_size=None):
    generator = torch.Generator().manual_seed(0)
    data = (
        torch.randn(samples, 3, 32, 32, generator=generator),
        torch.randint(10, (samples,), generator=generator),
    )
    factory = functools.partial(models.build, "resnet20", input_shape=(3, 32, 32))
    return Problem(factory, None, "cross_entropy", data, batch_size=batch_size)


def _regression():
    inputs = torch.randn(64, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Problem(
        tanh_network,
        None,
        "mse",
        (inputs, torch.sin(2 * inputs[:, :1]) + inputs[:, 1:2] * inputs[:, 2:3]),
    )


def _cold_sharpness(problem, positions):
    """Return the products that the sharpness takes when each measurement starts from a random vector."""
    operator = HessianOperator(problem)
    for position in positions:
        operator.move(position)
        top_eigenpairs(operator, 1)
    return operator.products


def cases():
    """Return this chapter's cases; the memory of the graphs and the products saved by warm starts stand in the names."""
    torch.set_num_threads(1)
    kept, small = HessianOperator(_resnet(64)), HessianOperator(_resnet(16))
    anew = HessianOperator(_resnet(64, batch_size=32), memory_budget=0.7 * kept.memory)
    vector = np.random.default_rng(0).normal(size=kept.shape[0]).astype(np.float32)
    problem, descent = _regression(), {"learning_rate": 0.3, "n_steps": 300, "sharpness_every": 10}
    record = dynamics.full_batch_descent(problem, keep_every=10, **descent)
    cold = _cold_sharpness(problem, record.positions)
    gradient = {"yardstick": kept.objective.gradient, "against": "one gradient"}
    smaller = {"yardstick": small.objective.gradient, "against": "one gradient", "repeats": 1}
    name = "Hessian-vector product, ResNet-20, batch 64"
    return [
        Case(
            f"{name}, graph kept ({kept.memory / 1e6:.0f} MB)",
            lambda: kept.matvec(vector),
            aim="1/2.2",
            **gradient,
        ),
        Case(f"{name}, computed anew", lambda: anew.matvec(vector), aim="1/4", **gradient),
        Case(
            "top 10 eigenpairs to 1e-3, ResNet-20, batch 16",
            lambda: top_eigenpairs(small, 10),
            aim="80 products",
            **smaller,
        ),
        Case(
            "trace, 32 products, ResNet-20, batch 16",
            lambda: trace(small),
            aim="33 products",
            **smaller,
        ),
        Case(
            "spectral density, 2 probes x 40 steps, ResNet-20, batch 16",
            lambda: spectral_density(small, n_probes=2, n_steps=40),
            aim="80 products",
            **smaller,
        ),
        Case(
            f"31 sharpnesses along a descent, each from the last ({record.products} products; {cold} from random vectors)",
            lambda: dynamics.full_batch_descent(problem, **descent),
            lambda: _cold_sharpness(problem, record.positions),
            against="without the descent, from random vectors",
            repeats=3,
        ),
    ]
