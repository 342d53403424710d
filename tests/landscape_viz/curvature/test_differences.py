"""Products by differences: the exact operator's where that exists, a network that has none, and kinks, which the bias tells."""

import numpy as np
import pytest
import torch
from torch import nn

from landscape_viz import DifferenceHessian, HessianOperator, Problem, top_eigenpairs
from tests.landscape_viz.curvature.test_hessian import classification

X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_products_are_the_exact_ones_to_the_stated_bias():
    """In float64 each product is `HessianOperator`'s within the stated bias, which is below 1e-7, and falls as the step squared."""
    exact, operator = HessianOperator(classification()), DifferenceHessian(classification())
    for seed in range(3):
        v = np.random.default_rng(seed).normal(size=operator.shape[0])
        error = np.linalg.norm(operator @ v - exact @ v) / np.linalg.norm(exact @ v)
        assert error < 3 * operator.bias  # the bias is that of one vector
    assert operator.bias < 1e-7
    assert operator.products == 3
    biases = [DifferenceHessian(classification(), step=step).bias for step in (1e-3, 2e-3)]
    assert biases[1] / biases[0] == pytest.approx(4, rel=0.01)
    np.testing.assert_array_equal(operator @ np.zeros(operator.shape[0]), 0)
    np.testing.assert_array_equal(operator.gradient, exact.gradient)


def test_the_step_is_relative_to_weights_longer_than_one():
    """Cube root of the rounding times the norm of the weights, or times 1 where that is larger; a step given takes its place."""
    for size, length in ((2.0, 4.0), (0.1, 1.0)):
        network = nn.Linear(4, 1, bias=False).double()
        with torch.no_grad():
            network.weight.fill_(size)
        problem = Problem(network, None, "mse", (X[:, :1].repeat(1, 4), X[:, :1]))
        assert DifferenceHessian(problem).step == pytest.approx(2 ** (-52 / 3) * length)
        assert DifferenceHessian(problem, step=1e-3).step == pytest.approx(1e-3 * length)


class Once(torch.autograd.Function):
    """tanh, whose derivative torch is told not to differentiate again."""

    @staticmethod
    def forward(ctx, x):
        """Return tanh(x)."""
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        """Return its pullback."""
        return g * (1 - ctx.saved_tensors[0] ** 2)


class Network(nn.Module):
    """A layer, and a function of it."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(3, 5).double(), nn.Linear(5, 3).double()
        self.function = function

    def forward(self, x):
        """Return logits."""
        return self.second(self.function(self.first(x)))


def test_a_network_without_second_derivative():
    """Where `HessianOperator` refuses, the largest eigenvalue is that of the same network written with torch's tanh, to 1e-6."""
    once, twice = (
        Problem(Network(f), None, "cross_entropy", (X, X.argmax(1)))
        for f in (Once.apply, torch.tanh)
    )
    with pytest.raises(ValueError, match="differentiable twice"):
        HessianOperator(once)
    found = top_eigenpairs(DifferenceHessian(once), 1, tol=1e-8).values
    exact = np.linalg.eigvalsh(HessianOperator(twice).to_dense())
    np.testing.assert_allclose(found, exact[-1], rtol=1e-6)


def test_kinks_are_told_by_the_bias():
    """Under ReLU a step of a hundredth crosses kinks: a bias above 1 %; tanh in its place has less than a tenth of that."""
    biases = [
        DifferenceHessian(
            Problem(Network(f), None, "cross_entropy", (X, X.argmax(1))), step=1e-2
        ).bias
        for f in (torch.relu, torch.tanh)
    ]
    assert biases[0] > 0.01
    assert biases[1] < 0.1 * biases[0]


def test_a_step_that_is_not_positive_is_refused():
    """The refusal names the argument."""
    with pytest.raises(ValueError, match="step must be a positive"):
        DifferenceHessian(classification(), step=0.0)
