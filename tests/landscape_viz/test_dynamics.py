"""Dynamics of training: closed forms on quadratics, the edge of stability on a real network, and the noise scale."""

import functools

import numpy as np
import pytest
import torch
from torch import nn

from landscape_viz import dynamics
from landscape_viz.curvature.eigenpairs import top_eigenpairs
from landscape_viz.curvature.hessian import HessianOperator
from landscape_viz.loss.problem import Problem
from tests.landscape_viz.curvature.test_hessian import (
    Quadratic,
    classification,
    mean_output,
    small_network,
)
from tests.landscape_viz.test_sharpness import H, W

QUADRATIC = Problem(Quadratic, None, mean_output, (torch.zeros(4, 1), torch.zeros(4)))


def test_descent_on_a_quadratic_is_its_closed_form():
    """Positions are (1 - eta H)^t w, the sharpness is the largest eigenvalue, the modified term is (eta/4) |H w|^2."""
    record = dynamics.full_batch_descent(
        QUADRATIC, learning_rate=0.1, n_steps=12, sharpness_every=6, keep_every=1
    )
    expected = [np.linalg.matrix_power(np.eye(6) - 0.1 * H, t) @ W for t in range(13)]
    np.testing.assert_allclose(record.positions, expected, atol=1e-14)
    np.testing.assert_allclose(record.losses, [w @ H @ w / 2 for w in expected], atol=1e-14)
    np.testing.assert_allclose(record.sharpness, np.linalg.eigvalsh(H)[-1], rtol=1e-6)
    np.testing.assert_allclose(
        record.implicit_regularisation, [0.025 * w @ H @ H @ w for w in expected], atol=1e-14
    )
    assert record.edge == 20
    curve = record.tamsd(waiting_times=[0], lag_times=[1, 2], window=10).values
    np.testing.assert_allclose(
        curve[0, 0], np.mean(np.sum(np.diff(expected[:11], axis=0) ** 2, axis=1))
    )


def test_modified_loss_has_the_constant_a_quarter():
    """Descent follows the flow of L + (eta/4)|grad L|^2 to third order in eta: the error falls by 8 when eta is halved.

    The flow of L alone, or with eta/2, is off at second order: its error falls by 4.
    """
    errors = {}
    for constant in (0.0, 0.25, 0.5):
        modified = H + 2 * constant * 0.02 * H @ H, H + 2 * constant * 0.01 * H @ H
        errors[constant] = [
            np.linalg.norm(_flow(matrix, eta) @ W - (np.eye(6) - eta * H) @ W)
            for matrix, eta in zip(modified, (0.02, 0.01), strict=True)
        ]
    ratios = {constant: two[0] / two[1] for constant, two in errors.items()}
    assert 6 < ratios[0.25] < 10
    assert ratios[0.0] < 5
    assert ratios[0.5] < 5
    assert errors[0.25][1] < 0.2 * min(errors[0.0][1], errors[0.5][1])


def _flow(matrix, time):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.exp(-time * values)) @ vectors.T


def wide_tanh():
    """Return a tanh network on 8 inputs."""
    return nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1)).double()


def regression():
    """Return a problem whose sharpness, left alone, grows from 4.5 to 13."""
    inputs = torch.randn(64, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Problem(
        wide_tanh,
        None,
        "mse",
        (inputs, torch.sin(2 * inputs[:, :1]) + inputs[:, 1:2] * inputs[:, 2:3]),
    )


def test_a_real_network_goes_to_the_edge_of_stability():
    """At eta = 0.3 the sharpness rises to 2/eta and stays within 5 % of it; at 0.08 it rises as far, below 2/eta."""
    record = dynamics.full_batch_descent(
        regression(), learning_rate=0.3, n_steps=700, sharpness_every=35
    )
    assert record.sharpness[0] < 0.7 * record.edge
    assert (np.abs(record.sharpness[-10:] / record.edge - 1) < 0.05).all(), (
        record.sharpness / record.edge
    )
    assert record.losses[-1] < 0.01 * record.losses[0]
    slow = dynamics.full_batch_descent(
        regression(), learning_rate=0.08, n_steps=700, sharpness_every=350
    )
    assert slow.sharpness[-1] > 1.5 * record.edge
    assert slow.sharpness[-1] < 0.7 * slow.edge


def test_warm_starts_along_a_run_cost_no_products():
    """Each sharpness starts from the last eigenvector: no more products than from random vectors, the same values to 1e-3."""
    record = dynamics.full_batch_descent(
        regression(), learning_rate=0.3, n_steps=100, sharpness_every=10, keep_every=10
    )
    operator = HessianOperator(regression())
    cold = []
    for position in record.positions:
        operator.move(position)
        cold.append(top_eigenpairs(operator, 1).values[0])
    np.testing.assert_allclose(record.sharpness, cold, rtol=1e-3)
    assert record.products <= operator.products


def test_lyapunov_exponent_of_a_quadratic():
    """On a quadratic the exponent is ln of the largest |1 - eta lambda|, to the accuracy that the burn-in allows."""
    found = dynamics.training_lyapunov(QUADRATIC, learning_rate=0.1, n_steps=50, burn_in=200)
    assert found.value == pytest.approx(
        np.log(np.abs(1 - 0.1 * np.linalg.eigvalsh(H)).max()), abs=1e-6
    )
    assert (
        dynamics.training_lyapunov(QUADRATIC, learning_rate=0.4, n_steps=20, burn_in=100).value > 0
    )


def test_the_exponent_of_a_network_is_the_separation_of_two_runs():
    """Two runs 1e-6 apart along the first tangent vector separate as the growth says, to 1e-3 (tanh, float64, 30 steps)."""
    problem = regression()
    found = dynamics.training_lyapunov(problem, learning_rate=0.3, n_steps=30, keep_every=1, rng=5)
    tangent = np.random.default_rng(5).standard_normal(found.positions.shape[1])
    tangent /= np.linalg.norm(tangent)
    runs = []
    for shift in (0.0, 1e-6):
        start = problem.unflatten(torch.from_numpy(found.positions[0] + shift * tangent))
        moved = Problem(wide_tanh, start, "mse", problem.data)
        runs.append(dynamics.full_batch_descent(moved, learning_rate=0.3, n_steps=30, keep_every=1))
    np.testing.assert_allclose(found.positions, runs[0].positions, atol=1e-12)
    np.testing.assert_allclose(found.losses, runs[0].losses[:-1], rtol=1e-12)
    separation = np.linalg.norm(runs[1].positions - runs[0].positions, axis=1)[1:] / 1e-6
    np.testing.assert_allclose(np.cumsum(found.rates), np.log(separation), atol=1e-3)


def test_noise_scale_of_a_known_mixture():
    """For a linear loss with gaussian inputs |G|^2 and S are known: estimates within their jackknife interval's reach."""
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randn(4000, 6, generator=generator, dtype=torch.float64) + 0.5
    problem = Problem(linear_map, None, mean_output, (inputs, torch.zeros(4000)))
    found = dynamics.gradient_noise_scale(problem, small=4, big=400, n_draws=200)
    signal = float((inputs.mean(0) ** 2).sum())
    noise = float(inputs.var(0).sum())
    assert found.gradient_squared == pytest.approx(signal, rel=0.1)
    assert found.variance == pytest.approx(noise, rel=0.1)
    assert found.low < noise / signal < found.high
    assert found.high / found.low < 2


def linear_map():
    """Return a linear map to one number."""
    return nn.Linear(6, 1, bias=False).double()


def test_the_problem_stays_as_it_was():
    """Descent moves a network of its own: the problem's weights and torch's random state are as before."""
    model = small_network()
    problem = Problem(
        functools.partial(small_network), model.state_dict(), "cross_entropy", classification().data
    )
    before, state = problem.weights().clone(), torch.get_rng_state()
    dynamics.full_batch_descent(problem, learning_rate=0.1, n_steps=3, sharpness_every=2)
    assert torch.equal(problem.weights(), before)
    assert torch.equal(torch.get_rng_state(), state)


def test_divergence_is_reported_with_its_step():
    """A rate beyond stability raises, naming step and rate."""
    for kind in (ValueError, FloatingPointError):
        with pytest.raises(
            kind, match=r"learning_rate must .* at step \d+, got 100.0; lower the learning rate"
        ):
            dynamics.full_batch_descent(QUADRATIC, learning_rate=100.0, n_steps=400)


def test_the_exponent_of_a_run_that_diverges_is_nan():
    """It warns, says in words where it stopped, and keeps what it measured up to there; a finite run says so."""
    with pytest.warns(UserWarning, match=r"diverged at step \d+ at the learning rate 100: no"):
        found = dynamics.training_lyapunov(
            QUADRATIC, learning_rate=100.0, n_steps=400, keep_every=1
        )
    step = found.diverged_at
    assert np.isnan([found.value, found.standard_error]).all()
    assert np.isfinite(found.rates[:step]).all()
    assert np.isnan(found.rates[step:]).all()
    assert len(found.positions) == step + 1
    assert found.status.startswith(f"diverged at step {step}, so that it has no exponent; lower")
    calm = dynamics.training_lyapunov(QUADRATIC, learning_rate=0.1, n_steps=20)
    assert calm.status == "finite"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: dynamics.full_batch_descent(QUADRATIC, learning_rate=0, n_steps=3),
            "learning_rate must be a positive",
        ),
        (
            lambda: dynamics.training_lyapunov(QUADRATIC, learning_rate=1, n_steps=3),
            "n_steps must be a whole number",
        ),
        (
            lambda: dynamics.gradient_noise_scale(QUADRATIC, small=3, big=3),
            "big must lie between small",
        ),
    ],
)
def test_bad_arguments_are_refused(call, words):
    """Each refusal names argument, value and rule."""
    with pytest.raises(ValueError, match=words):
        call()
