"""Sharpness: closed forms on a quadratic, invariance under rescaling, kinks, and refusals."""

import functools

import numpy as np
import pytest
import torch
from torch import nn

from landscape_viz import sharpness
from landscape_viz.curvature.hessian import HessianOperator
from landscape_viz.loss.objective import Objective
from landscape_viz.loss.problem import Problem
from tests.landscape_viz.curvature.test_hessian import Quadratic, classification, mean_output

QUADRATIC = Problem(Quadratic, None, mean_output, (torch.zeros(4, 1), torch.zeros(4)))
RAGGED = Problem(nn.Linear(1, 1), None, mean_output, [(torch.zeros(3, 1), torch.zeros(4))])
W = np.linspace(-1, 1, 6)
H = np.diag(np.arange(1.0, 7.0))
H[0, 1] = H[1, 0] = 1


def loss(w):
    """Return the quadratic's loss."""
    return w @ H @ w / 2


def relu_network(factor=1.0):
    """Return a fixed ReLU network, its first layer multiplied and its second divided by `factor`: the same function."""
    network = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 3)).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        network[0].weight *= factor
        network[0].bias *= factor
        network[2].weight /= factor
    return network


def rescaled(factor):
    """Return the problem of `relu_network(factor)`."""
    return Problem(
        functools.partial(relu_network, factor), None, "cross_entropy", classification().data
    )


def test_sam_and_adaptive_on_a_quadratic():
    """Both equal their closed forms on the known quadratic, to rounding."""
    g = H @ W
    assert sharpness.sam_sharpness(QUADRATIC, 0.1).value == pytest.approx(
        loss(W + 0.1 * g / np.linalg.norm(g)) - loss(W)
    )
    delta = 0.1 * W**2 * g / np.linalg.norm(np.abs(W) * g)
    assert sharpness.adaptive_sharpness(QUADRATIC, 0.1).value == pytest.approx(
        loss(W + delta) - loss(W)
    )


def test_average_case_on_a_quadratic():
    """E L(w + xi) - L(w) = rho^2/2 sum H_ii w_i^2: within 4 standard errors, whose size is right."""
    found = sharpness.average_sharpness(QUADRATIC, 0.3, n_samples=400)
    exact = 0.5 * 0.3**2 * np.sum(np.diag(H) * W**2)
    assert abs(found.value - exact) < 4 * found.standard_error
    assert found.standard_error < 0.1 * exact


def test_ball_on_a_quadratic():
    """The mean over the sphere is r^2 tr H / 2n within 4 standard errors, and ascent finds the maximum from below to 1 %."""
    radius = 0.5
    found = sharpness.ball_sharpness(QUADRATIC, radius, n_samples=400, n_ascent=200)
    assert abs(found.mean - radius**2 * np.trace(H) / 12) < 4 * found.standard_error
    directions = np.random.default_rng(0).normal(size=(200_000, 6))
    directions *= radius / np.linalg.norm(directions, axis=1, keepdims=True)
    best = (directions @ H @ W + np.einsum("ij,jk,ik->i", directions, H, directions) / 2).max()
    assert found.sampled_maximum <= found.ascent
    assert 0.98 * best < found.ascent < 1.02 * best


def test_keskar_on_a_quadratic():
    """The box's maximum of a convex quadratic lies at a corner; all 64 are tried."""
    box = 0.05 * (np.abs(W) + 1)
    corners = [
        loss(W + box * np.array(signs))
        for signs in np.stack(np.meshgrid(*[[-1, 1]] * 6), -1).reshape(-1, 6)
    ]
    exact = 100 * (max(corners) - loss(W)) / (1 + loss(W))
    assert sharpness.keskar_sharpness(QUADRATIC, 0.05).value == pytest.approx(exact, rel=1e-6)


def test_fisher_rao_is_the_mean_square_of_radial_derivatives():
    """Each sample's derivative along the weights agrees with central differences of its loss."""
    problem = classification(batch_size=16)
    model, (inputs, targets) = problem.build(), problem.load()
    w, step = problem.weights(), 1e-6

    def losses(scale):
        outputs = torch.func.functional_call(model, problem.unflatten(w * scale), (inputs,))
        return nn.functional.cross_entropy(outputs, targets, reduction="none").detach().numpy()

    rates = (losses(1 + step) - losses(1 - step)) / (2 * step)
    found = sharpness.fisher_rao_norm(problem)
    assert found.value == pytest.approx(np.mean(rates**2), rel=1e-6)


def test_adaptive_sharpness_survives_a_rescaling_that_changes_the_others():
    """Multiplying one ReLU layer and dividing the next leaves the function and the adaptive measures alone, to 1e-6.

    The ball's and SAM's sharpness of the same function change by more than a factor 1.5.
    """
    one, other = rescaled(1.0), rescaled(7.0)
    assert Objective(one).loss() == pytest.approx(Objective(other).loss(), rel=1e-12)
    for measure in (
        sharpness.adaptive_sharpness,
        sharpness.average_sharpness,
        sharpness.fisher_rao_norm,
    ):
        assert measure(other).value == pytest.approx(measure(one).value, rel=1e-6), measure.__name__
    ball = [sharpness.ball_sharpness(problem, 0.5).mean for problem in (one, other)]
    sam = [sharpness.sam_sharpness(problem).value for problem in (one, other)]
    assert max(ball) > 1.5 * min(ball)
    assert max(sam) > 1.5 * min(sam)


def test_scale_dependent_curvature_tends_to_the_hessian_when_smooth():
    """For a tanh network it is |H v| at small distances, to 1e-6."""
    problem = classification()
    found = sharpness.scale_dependent_curvature(problem, [1e-4], n_directions=3)
    operator = HessianOperator(problem)
    from multifractal.base.rng import realisation

    directions = [realisation(0, i).standard_normal(operator.shape[0]) for i in range(3)]
    exact = np.mean([np.linalg.norm(operator.matvec(v / np.linalg.norm(v))) for v in directions])
    assert found.values[0] == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: sharpness.ball_sharpness(QUADRATIC, -1),
            "radius must be a positive finite number, got -1",
        ),
        (
            lambda: sharpness.ball_sharpness(QUADRATIC, 1, n_samples=1),
            "n_samples must be a whole number, at least 2",
        ),
        (lambda: sharpness.fisher_rao_norm(RAGGED), "tensors share their first length"),
        (lambda: sharpness.sam_sharpness(QUADRATIC, 0), "rho must be a positive finite number"),
        (
            lambda: sharpness.scale_dependent_curvature(QUADRATIC, [0.1, 0]),
            "epsilons must be positive",
        ),
    ],
)
def test_bad_arguments_are_refused(call, words):
    """Each refusal names argument, value and rule."""
    with pytest.raises(ValueError, match=words):
        call()
