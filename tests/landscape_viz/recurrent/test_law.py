"""The law of discounted losses: stretching against closed forms, moments against the spectrum, exponents of made losses."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from landscape_viz import Problem, directions, recurrent
from multifractal.base import chunks
from multifractal.base.result import Provenance

pytestmark = pytest.mark.quick


def plant(horizon=30):
    """A doubling plant, its plane, and a policy that sees five random numbers a step."""
    seen = torch.from_numpy(np.random.default_rng(1).standard_normal((1, horizon, 5)))
    made = recurrent.DoublingPlant(5, horizon=horizon, rng=0)
    problem = Problem(made, None, recurrent.discounted_loss(0.8), seen)
    return problem, directions.random(problem, 2, rng=0)


def quiet_rnn(gain):
    """An RNN without input, and its plane."""
    nothing = torch.zeros(1, 300, 1, dtype=torch.float64)
    made = recurrent.TanhRNN(12, horizon=300, gain=gain, rng=3)
    problem = Problem(made, None, recurrent.discounted_loss(0.8), (nothing, nothing))
    return problem, directions.random(problem, 2, rng=0)


def test_stretching_of_a_doubling_map_is_ln_2():
    """Every step of the plant doubles each difference, at every weight."""
    problem, plane = plant()
    growth = recurrent.growth_at(problem, plane.vectors, np.eye(2) * 0.1)
    np.testing.assert_allclose(growth, np.log(2) * np.arange(1, 31) * np.ones((2, 1)), rtol=1e-12)
    found = recurrent.stretching(growth)
    assert found.exponent(0.8) == pytest.approx(-np.log2(0.8))
    assert found.variance < 1e-20


def test_stretching_about_rest_is_the_largest_eigenvalue():
    """Below the transition a network comes to rest at 0, where differences grow by the spectral radius, as numpy has it."""
    problem, plane = quiet_rnn(0.6)
    growth = recurrent.growth_at(problem, plane.vectors, np.zeros((2, 2)))
    radius = np.abs(np.linalg.eigvals(problem.state["recurrent"].numpy())).max()
    # a pair of complex eigenvalues makes the logarithm swing by a few units over all 200 steps
    found = recurrent.stretching(growth, first=100)
    assert found.lyapunov == pytest.approx(np.log(radius), abs=0.02)
    assert found.exponent(0.8) == 1.0


def made_stretching(lyapunov=0.3, variance=0.1):
    """A stretching of these two numbers."""
    return recurrent.Stretching(
        lyapunov=lyapunov,
        variance=variance,
        finite_time=np.zeros(1),
        n_steps=1,
        provenance=Provenance.of("made"),
    )


@pytest.mark.parametrize("q", [-0.5, 0.5, 1.0, 2.0, 5.0])
def test_moments_are_the_legendre_transform_of_the_spectrum(q):
    """zeta(q) is the minimum over h of q h + 2 - D(h), which scipy finds."""
    found = made_stretching()
    least = minimize_scalar(
        lambda h: q * h + 2 - found.spectrum(0.85, h), bounds=(1e-3, 20), method="bounded"
    )
    assert found.zeta(0.85, q) == pytest.approx(least.fun, abs=1e-7)


def test_cumulants_are_the_derivatives_of_the_moments():
    """zeta(q) = c1 q + c2 q^2 / 2 + ...: its first two derivatives at 0, and D(c1) = 2."""
    found, step = made_stretching(), 1e-3
    low, high = found.zeta(0.85, [-step, step])
    assert (high - low) / (2 * step) == pytest.approx(found.exponent(0.85), rel=1e-5)
    assert (high + low) / step**2 == pytest.approx(found.c2(0.85), rel=1e-5)
    assert found.spectrum(0.85, found.exponent(0.85)) == 2
    assert made_stretching(variance=0.0).zeta(0.85, 2.0) == pytest.approx(2 * found.exponent(0.85))


@pytest.mark.parametrize("method", ["c2", "zeta", "spectrum", "exponent"])
@pytest.mark.parametrize("discount", [0.0, 1.5, np.nan])
def test_what_is_no_discount_is_refused_by_all(method, discount):
    """Nothing is computed with a logarithm that is infinite, of the other sign, or NaN."""
    more = () if method in ("c2", "exponent") else (1.0,)
    with pytest.raises(ValueError, match="discount must"):
        getattr(made_stretching(), method)(discount, *more)


def test_what_the_law_cannot_say():
    """An exponent that is not known stays unknown; exponents at or below 0 have no dimension; even stretching has one exponent."""
    np.testing.assert_array_equal(
        recurrent.predicted_exponent([np.nan, -1.0, 0.0], 0.9), [np.nan, 1, 1]
    )
    with pytest.raises(ValueError, match="h must hold positive exponents"):
        made_stretching().spectrum(0.85, [0.5, 0.0])
    assert made_stretching(variance=0.0).spectrum(0.85, 0.3) == -np.inf


def second_exponent(values):
    """log2(W(4)/W(1))/4 of mean squared second differences, both axes."""
    squares = [
        sum(np.mean((v[2 * r :] - 2 * v[r:-r] + v[: -2 * r]) ** 2) for v in (values, values.T))
        for r in (1, 4)
    ]
    return np.log2(squares[1] / squares[0]) / 4


def test_a_chaotic_loss_is_rough_by_the_law_and_a_quiet_one_smooth():
    """The plant's loss has the exponent -log2(gamma), within .08 (the spread over planes is .02); a quiet RNN's has 2."""
    axis = np.linspace(-0.1, 0.1, 64)
    losses = recurrent.plane_losses(*plant(), [axis, axis], [0.6, 0.8])
    assert second_exponent(losses[0]) == pytest.approx(-np.log2(0.6), abs=0.08)
    assert second_exponent(losses[1]) == pytest.approx(-np.log2(0.8), abs=0.08)
    problem, plane = quiet_rnn(0.6)
    costs = recurrent.plane_losses(problem, plane, [axis[:16] / 100] * 2, [0.8])[0]
    assert second_exponent(costs) == pytest.approx(2, abs=0.01)


def test_threads_do_not_change_a_bit(monkeypatch):
    """One thread and three give the same costs, of a network that is chaotic."""
    problem, plane = quiet_rnn(3.0)
    at = np.random.default_rng(0).uniform(-0.1, 0.1, (7, 2))
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(chunks, "thread_count", lambda threads=threads: threads)
        found.append(recurrent.costs_at(problem, plane.vectors, at, at_once=2))
    np.testing.assert_array_equal(*found)
