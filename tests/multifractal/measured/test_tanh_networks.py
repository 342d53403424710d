"""Losses of tanh networks in numpy: they are those of landscape_viz, and the claim on the premise says where they are rough."""

import numpy as np
import pytest
import torch

from landscape_viz import Problem, recurrent
from multifractal.measured import tanh_networks
from multifractal.reproduction import spectra_claims
from multifractal.reproduction.claim import CORRECTED
from multifractal.reproduction.study import Study


def test_the_premise_holds_where_the_pass_is_chaotic():
    """Quiet networks have smooth losses and chaotic ones rough losses as the law has them: with a correction."""
    found = spectra_claims.measure_premise(Study(n_surfaces=8, size=32), (0.8, 3.0))
    judgement = spectra_claims.PREMISE.judge(found.quantities)
    assert judgement.verdict == CORRECTED
    assert "where the forward pass is chaotic" in judgement.reason
    assert found["quiet"].above(1.9)


@pytest.mark.parametrize("gain", [0.8, 3.0])
def test_its_networks_are_those_of_the_recurrent_chapter(gain):
    """Torch's network of the same weights has the same stretching and, where rounding is not enlarged, the same exponent."""
    draws = np.random.default_rng(0)
    n = tanh_networks.UNITS
    weights, along = draws.standard_normal((2, n, n)) / np.sqrt(n)
    readout, first = draws.standard_normal((2, n)) / np.sqrt(n)
    exponent, lyapunov = tanh_networks.along_a_line(gain, weights, along, readout, first, draws)
    made = recurrent.TanhRNN(n, horizon=tanh_networks.HORIZON, gain=gain, rng=0)
    with torch.no_grad():
        made.recurrent.copy_(torch.from_numpy(gain * weights))
        made.readout.copy_(torch.from_numpy(readout[None]))
        made.first.copy_(torch.from_numpy(first))
    nothing = torch.zeros(1, tanh_networks.HORIZON, 1, dtype=torch.float64)
    problem = Problem(made, None, recurrent.discounted_loss(0.92), (nothing, nothing))
    vector = np.concatenate(
        [
            (gain * along).ravel() if name == "recurrent" else np.zeros(p.numel())
            for name, p in made.named_parameters()
        ]
    )
    at = tanh_networks.SPACING * (np.arange(257) - 128)[:, None]
    costs = recurrent.costs_at(problem, [vector], at)
    theirs = tanh_networks.second_exponent(costs @ recurrent.step_weights(costs.shape[1], 0.92))
    # rounding, 1e-16, has grown by e^(0.25 * 90) = 6e9 at most when the pass ends
    assert exponent == pytest.approx(theirs, abs=1e-3)
    growth = recurrent.growth_at(problem, [vector], at[::16])
    # the first tangents differ: an offset of the logarithm of a few units over 72 steps
    assert lyapunov == pytest.approx(recurrent.stretching(growth).lyapunov, abs=0.05)


def test_a_line_is_as_rough_as_the_law_says_only_where_chaos_reaches_the_pixel():
    """Where growth over the whole run is below the inverse of the distance between points the loss is smooth: exponent 2."""
    edge = -np.log(tanh_networks.SPACING) / tanh_networks.HORIZON
    below, above = tanh_networks.law_of_the_line(np.array([edge * (1 - 1e-6), edge * (1 + 1e-6)]))
    assert below == 2
    assert above == pytest.approx(min(1, -np.log(tanh_networks.DISCOUNT) / edge), rel=1e-5)
