"""The ends of the Hessian's spectrum over a plane, against torch's own Hessian at each point."""

import numpy as np
import pytest
import torch

from landscape_viz import Problem, directions, section

pytestmark = pytest.mark.quick


def network():
    """Return a network of 13 parameters in float64."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)
    ).double()


def test_the_map_is_that_of_dense_hessians():
    """Both eigenvalues at 6 points, to the stated 1e-3, and the loss between them in the order asked for."""
    draws = torch.Generator().manual_seed(1)
    x = torch.randn(20, 2, generator=draws, dtype=torch.float64)
    y = torch.sin(3 * x[:, :1])
    model = network()
    problem = Problem(model, None, "mse", (x, y))
    plane = directions.random(problem, 2)
    names = ("smallest_eigenvalue", "loss", "largest_eigenvalue")
    mapped = section(problem, plane, ["-1:1:3", "0:1:2"], metrics=names)
    assert mapped.metrics == list(names)

    def loss(vector):
        parts = torch.split(vector, [p.numel() for p in model.parameters()])
        named = {
            n: v.view(p.shape) for (n, p), v in zip(model.named_parameters(), parts, strict=True)
        }
        return torch.nn.functional.mse_loss(torch.func.functional_call(model, named, (x,)), y)

    for i, a in enumerate(mapped.x):
        for j, b in enumerate(mapped.y):
            at = problem.weights() + torch.as_tensor(a * plane.vectors[0] + b * plane.vectors[1])
            values = np.linalg.eigvalsh(torch.autograd.functional.hessian(loss, at).numpy())
            found = mapped.grid[:, i, j]
            assert found[[0, 2]] == pytest.approx(values[[0, -1]], rel=1e-3, abs=1e-9)
            assert found[1] == pytest.approx(float(loss(at)), rel=1e-12)


def test_a_point_does_not_depend_on_the_others():
    """A point alone has the bits it has as the first of a line."""
    data = torch.eye(2, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)
    problem = Problem(network(), None, "mse", data)
    line = directions.random(problem, 1)
    names = ("largest_eigenvalue",)
    alone, all_of_them = (
        section(problem, line, [axis], metrics=names).grid for axis in ([0.5], [0.5, 1.0, -2.0])
    )
    assert alone[0, 0] == all_of_them[0, 0]
