"""The PAC-Bayes bound: its inversion, what it must say of a world that is learnt, and of one that cannot be."""

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import rel_entr
from torch import nn

from landscape_viz import Problem
from landscape_viz.curvature.pac_bayes import _kl_inverse, pac_bayes_bound


def linear_world(n, labels, scale=2.0):
    """Return (problem, inputs, targets): a fixed linear rule that knows the answer, on points in the plane."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(n, 2, generator=generator)
    targets = (inputs[:, 0] > 0).long()
    if labels == "random":
        targets = torch.randint(2, (n,), generator=generator)
    model = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-scale, 0.0], [scale, 0.0]]))
    return Problem(model, None, "cross_entropy", (inputs, targets)), model


@pytest.mark.parametrize("limit", [1e-3, 0.1, 2.0])
def test_inverse_of_the_divergence(limit):
    """At no errors the bound is 1 - exp(-limit); elsewhere the divergence at the bound is the limit."""
    np.testing.assert_allclose(_kl_inverse(0.0, limit), 1 - np.exp(-limit), rtol=1e-12)
    p = _kl_inverse(0.2, limit)
    if p < 1:
        found = 0.2 * np.log(0.2 / p) + 0.8 * np.log(0.8 / (1 - p))
        np.testing.assert_allclose(found, limit, rtol=1e-9)


def test_a_learnt_world_has_a_bound_that_says_something():
    """2000 points that a rule of four weights explains: the bound is below one in five, and holds on 20 000 new points."""
    problem, model = linear_world(2000, "true")
    found = pac_bayes_bound(problem, n_draws=300)
    assert found.noisy_error < found.value < 0.2
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(20_000, 2, generator=generator)
    wrong = []
    for _ in range(50):
        weights = model.weight + found.deviation * torch.randn(2, 2, generator=generator)
        wrong.append(((inputs @ weights.T).argmax(1) != (inputs[:, 0] > 0)).double().mean().item())
    assert np.mean(wrong) < found.value
    # by hand, without Monte Carlo's share: four weights of norm 2 sqrt 2 from zero
    np.testing.assert_allclose(found.divergence, 8 / (2 * found.deviation**2), rtol=1e-6)
    near = pac_bayes_bound(problem, model.state_dict(), n_draws=300)
    assert near.divergence == 0
    assert near.value < found.value


def test_random_labels_are_bounded_by_no_less_than_a_half():
    """What nobody can learn has an expected error of one half; the bound stays above it."""
    problem, _ = linear_world(500, "random")
    assert pac_bayes_bound(problem, n_draws=50).value > 0.5


def test_bad_input_is_refused():
    """Too few samples, a delta of 1, a loss without right answers."""
    problem, _ = linear_world(5, "true")
    with pytest.raises(ValueError, match="at least 8 samples"):
        pac_bayes_bound(problem)
    problem, _ = linear_world(50, "true")
    with pytest.raises(ValueError, match="delta must be below 1"):
        pac_bayes_bound(problem, delta=1.0)
    regression = Problem(nn.Linear(2, 1), None, "mse", (torch.randn(20, 2), torch.randn(20, 1)))
    with pytest.raises(ValueError, match="accuracy|class indices"):
        pac_bayes_bound(regression)


def test_the_bound_is_maurers_with_langford_and_caruanas_share_for_the_draws():
    """Both inversions solved by scipy from the formulae of the docstring: a tenth of delta for 60 draws, .9 over 20 for the rest."""

    def above(q, limit):
        def excess(p):
            return rel_entr(q, p) + rel_entr(1 - q, 1 - p) - limit

        return brentq(excess, q + 1e-15, 1 - 1e-15, xtol=1e-15)

    problem, _ = linear_world(400, "true")
    found = pac_bayes_bound(problem, delta=0.2, n_draws=60)
    assert found.noisy_error > 0
    drawn = above(found.noisy_error, np.log(2 / 0.02) / 60)
    limit = (found.divergence + np.log(2 * np.sqrt(400) / (0.9 * 0.2 / 20))) / 400
    assert found.value == pytest.approx(above(drawn, limit), rel=1e-9)


def test_a_network_without_derivatives_has_a_bound():
    """Nothing is differentiated, so that a network with live dropout is bounded too."""
    model = nn.Sequential(nn.Dropout(0.1), nn.Linear(2, 2))
    data = torch.randn(50, 2), torch.arange(50) % 2
    assert (
        0
        < pac_bayes_bound(
            Problem(model, None, "cross_entropy", data, dropout="live"), n_draws=2
        ).value
        <= 1
    )
