"""Networks and plants whose loss is a sum over time, each against the same step written elsewhere."""

import numpy as np
import pytest
import torch
from torch import nn

from landscape_viz import Problem, directions, recurrent, section

pytestmark = pytest.mark.quick

T = 12


def normal(*shape):
    """Gaussian float64 data."""
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape))


DRIVEN = (normal(2, T, 1), normal(2, T, 1))
CASES = {
    "TanhRNN": (lambda: recurrent.TanhRNN(6, horizon=T, gain=1.0, rng=0), DRIVEN),
    "GRU": (lambda: recurrent.GRU(6, horizon=T, gain=1.0, rng=0), DRIVEN),
    "LSTM": (lambda: recurrent.LSTM(6, horizon=T, gain=1.0, rng=0), DRIVEN),
    "SharedResidual": (
        lambda: recurrent.SharedResidual(5, horizon=T, gain=1.0, rng=0),
        (normal(2, 5), normal(2, 1)),
    ),
    "DoublingPlant": (lambda: recurrent.DoublingPlant(3, horizon=T, rng=0), normal(2, T, 3)),
    "CartPole": (lambda: recurrent.CartPole(4, horizon=T, rng=0), normal(2, 4)),
    "UnrolledOptimizer": (
        lambda: recurrent.UnrolledOptimizer(3, horizon=T, learning_rate=0.5, rng=0),
        (normal(7, 1), normal(7, 1)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_losses_at_many_weights_are_those_of_the_section(name):
    """The stacked passes give what `section` gives point by point, to the rounding that 12 steps enlarge."""
    make, data = CASES[name]
    problem = Problem(make(), None, recurrent.discounted_loss(0.9), data)
    plane = directions.random(problem, 2, norm="model", rng=1)
    x, y = np.linspace(-0.1, 0.1, 4), np.linspace(-0.1, 0.1, 5)
    expected = section(problem, plane, [x, y], metrics=("loss",)).to_landscape().values
    found = recurrent.plane_losses(problem, plane, [x, y], [0.9, "final"])
    assert found.shape == (2, 5, 4)
    np.testing.assert_allclose(found[0], expected, rtol=1e-9)
    costs = recurrent.costs_at(problem, plane.vectors, [[0.0, 0.0]])
    np.testing.assert_allclose(costs[0], problem.build()(data).detach().mean(dim=0), rtol=1e-9)


@pytest.mark.parametrize(("name", "cell"), [("GRU", nn.GRUCell), ("LSTM", nn.LSTMCell)])
def test_gated_cells_are_torchs(name, cell):
    """The same weights in torch's own cell give the same states."""
    ours = CASES[name][0]()
    theirs = cell(1, 6, dtype=torch.float64)
    with torch.no_grad():
        theirs.weight_hh.copy_(ours.recurrent)
        theirs.weight_ih.copy_(ours.input)
        theirs.bias_ih.copy_(ours.bias.normal_())
        theirs.bias_hh.zero_()
        state = ours.start(DRIVEN)
        other = state if name == "GRU" else torch.chunk(state, 2, dim=-1)
        for t in range(T):
            state, other = ours.step(state, t, DRIVEN), theirs(DRIVEN[0][:, t], other)
    other = other if name == "GRU" else torch.cat(other, dim=-1)
    torch.testing.assert_close(state, other)


def test_the_doubling_plant_is_a_weierstrass_function():
    """With an impulse as the only observation the loss is the sum of gamma^t (1 - cos(2 pi 2^t w)), by numpy."""
    impulse = torch.zeros(1, T, 1, dtype=torch.float64)
    impulse[0, 0] = 1
    plant = recurrent.DoublingPlant(1, horizon=T, rng=0)
    problem = Problem(plant, None, recurrent.discounted_loss(0.8), impulse)
    at = np.linspace(0, 1, 50)
    costs = recurrent.costs_at(problem, [[1.0]], at[:, None])
    w = plant.policy.item() + at
    expected = sum(0.8**t * (1 - np.cos(2 * np.pi * 2**t * w)) for t in range(T))
    # a state's error of 2^-52 is doubled T times, and 2 pi is the steepest slope of the cost
    np.testing.assert_allclose(costs @ recurrent.step_weights(T, 0.8), expected, atol=1e-10)


def test_the_cart_and_pole_obey_lagranges_equations():
    """The accelerations solve the two equations of motion of a cart with a uniform rod, as numpy solves them."""
    made, start = recurrent.CartPole(4, horizon=T, gain=2.0, rng=0), normal(3, 4)
    after = made.step(start, 0, start)
    for before, then in zip(start.numpy(), after.detach().numpy(), strict=True):
        _, v, a, w = before
        seen = torch.tensor([before[0], v, np.sin(a), np.cos(a), w])
        force = 10 * torch.tanh(torch.tanh(made.hidden @ seen) @ made.output[0]).item()
        system = [[1.1, 0.1 * 0.5 * np.cos(a)], [np.cos(a), 4 / 3 * 0.5]]
        pushes = [force + 0.1 * 0.5 * w**2 * np.sin(a), 9.8 * np.sin(a)]
        moved, turned = np.linalg.solve(system, pushes)
        np.testing.assert_allclose(
            then, before + 0.02 * np.array([v, moved, w, turned]), rtol=1e-12
        )


def test_a_step_of_the_unrolled_optimizer_is_autograds():
    """The written-out gradient is that of torch, weight decay included, and each layer moves at its own rate."""
    data = CASES["UnrolledOptimizer"][1]
    made = recurrent.UnrolledOptimizer(
        3, horizon=T, learning_rate=(0.5, 1.3), weight_decay=0.2, rng=0
    )
    state = made.start(data).detach().requires_grad_()
    decayed = made.cost(state, 0, data).sum() + 0.1 * (state**2).sum()
    (slope,) = torch.autograd.grad(decayed, state)
    rates = made.log_rates.exp().detach()[0, [0, 0, 1]].repeat_interleave(3)
    torch.testing.assert_close(made.step(state, 0, data), state - rates * slope)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: recurrent.DoublingPlant(2, horizon=60), "at most 45"),
        (lambda: recurrent.DoublingPlant(2, horizon=6, bend=1.5), "bend must lie between"),
        (
            lambda: recurrent.UnrolledOptimizer(2, horizon=6, learning_rate=(1.0, 2.0, 3.0)),
            "learning_rate must be one number or two",
        ),
        (lambda: recurrent.step_weights(3, 1.5), "discount must lie in"),
        (lambda: recurrent.predicted_exponent(0.1, 0.0), "discount must lie in"),
        (lambda: recurrent.stretching([[0.0, 1.0]]), "growth must hold two passes"),
    ],
)
def test_refusals(call, words):
    """Horizons that a double cannot follow, maps that fold, discounts that are none, a single pass."""
    with pytest.raises(ValueError, match=words):
        call()


def losses_of(name, data, axes=((0.0,), (0.0,)), discounts=(0.9,), n_directions=2):
    """The losses of a system over a plane of one point."""
    problem = Problem(CASES[name][0](), None, recurrent.discounted_loss(0.9), data)
    plane = directions.random(problem, n_directions, norm="model", rng=1)
    return recurrent.plane_losses(problem, plane, axes, discounts)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: losses_of("GRU", (normal(2, 5, 1), normal(2, T, 1))),
            "inputs must have .* at least 12 steps",
        ),
        (
            lambda: losses_of("LSTM", (normal(2, T, 1), normal(2, T, 3))),
            "targets must have the shape",
        ),
        (
            lambda: losses_of("TanhRNN", normal(2, T, 1)),
            "data must be .inputs, targets., got 'Tensor'",
        ),
        (
            lambda: losses_of("TanhRNN", tuple(d.float() for d in DRIVEN)),
            "inputs must be torch.float64",
        ),
        (lambda: losses_of("DoublingPlant", normal(2, T, 4)), "data must have the shape"),
        (lambda: losses_of("GRU", DRIVEN, discounts=()), "discounts must be a list"),
        (lambda: losses_of("GRU", DRIVEN, discounts=0.9), "discounts must be a list"),
        (lambda: losses_of("GRU", DRIVEN, axes=((0.0,),) * 3), "axes must be two"),
        (lambda: losses_of("GRU", DRIVEN, axes=((0.0,), (np.nan,))), "axes must be finite"),
        (lambda: losses_of("GRU", DRIVEN, n_directions=1), "directions must be two"),
    ],
)
def test_data_axes_and_discounts_that_do_not_fit(call, words):
    """Each is refused before the first step, and told what it should be."""
    with pytest.raises(ValueError, match=words):
        call()


def test_what_is_no_loss_through_time_is_refused():
    """A plain network has no steps: `section` is named."""
    problem = Problem(nn.Linear(2, 1), None, "mse", (torch.zeros(3, 2), torch.zeros(3, 1)))
    with pytest.raises(ValueError, match="hold a ThroughTime network, got 'Linear'; use `section`"):
        recurrent.costs_at(problem, np.ones((1, 3)), [[0.0]])
