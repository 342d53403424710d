"""A bound on the error of a network that stands in a flat place: PAC-Bayes, with its assumptions."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import rel_entr

from landscape_viz.loss import metrics
from landscape_viz.loss.objective import Objective
from multifractal.base.checks import positive_number, require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import realisation

_DEVIATIONS = 2.0 ** -np.arange(20)  # of the noise, fixed before any data are seen (our choice)
_PILOT = 5  # draws a deviation, to choose one; others estimate its error


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class PacBayesBound(Result):
    """A bound on the share of wrong answers of a network with Gaussian noise on its weights.

    Attributes
    ----------
    value : float
        With probability 1 - `delta` over the training sample and the draws, the expected share of wrong answers on new samples
        is at most this; 1 says nothing.
    noisy_error : float
        Mean share of wrong answers on the training samples over the draws.
    deviation : float
        Standard deviation of the noise, chosen from a grid fixed beforehand.
    divergence : float
        Kullback-Leibler divergence of the noisy weights from the prior, in nats.
    n_samples, n_draws : int
    delta : float
    provenance : Provenance
    """

    value: float
    noisy_error: float
    deviation: float
    divergence: float
    n_samples: int
    n_draws: int
    delta: float
    provenance: Provenance


def pac_bayes_bound(problem, prior=None, *, delta=0.05, n_draws=200, rng=0, device="cpu"):
    """Return a PAC-Bayes bound on the expected share of wrong answers, a loss in [0, 1].

    For weights w + sigma g, g standard normal, and a prior N(w0, sigma^2 I), Maurer's form of Langford and Seeger's theorem
    (arXiv cs/0411099) gives, with probability 1 - delta_1 over n >= 8 samples, kl(e, E) <= (KL + ln(2 sqrt(n) / delta_1)) / n, where
    KL = |w - w0|^2 / (2 sigma^2), e is the training error and E the expected one, both averaged over g. Twenty values of sigma are
    tried, each with its share of delta. e is estimated from `n_draws` draws, whose own error, kl(e_drawn, e) <=
    ln(2 / delta_2) / n_draws (Langford and Caruana 2001), takes a tenth of delta.

    It ASSUMES that the problem's samples are independent draws from one distribution, that they were not used to choose w0, and
    that new samples come from the same distribution. It is a statement about the noisy network, not about w itself.

    Parameters
    ----------
    problem : Problem
        Of classes; its data are the training samples, all of them.
    prior : state dict, optional
        w0: the initial weights, say. None takes zeros.
    delta : float
        In (0, 1): 0.05 is our choice.
    n_draws : int
    rng : int, SeedSequence or Generator
    device : str
    """
    delta, n_draws = positive_number("delta", delta), whole_number("n_draws", n_draws, 2)
    require(delta < 1, "delta", delta, "be below 1", "pass for example 0.05")
    objective = Objective(problem, device=device, derivatives=False)
    origin = objective.origin.astype(np.float64)
    start = 0.0 if prior is None else objective.problem.flatten(prior).double().numpy()
    squared, n = float(np.sum((origin - start) ** 2)), _wrong(objective)[1]
    require(n >= 8, "problem", n, "have at least 8 samples", "pass more data")
    share = 0.9 * delta / len(_DEVIATIONS)

    def bound(error, deviation):
        divergence = squared / (2 * deviation**2)
        return _kl_inverse(error, (divergence + np.log(2 * np.sqrt(n) / share)) / n)

    def drawn(deviation, draws):
        noise = (realisation(rng, i).standard_normal(len(origin)) for i in draws)
        return float(
            np.mean([np.divide(*_wrong(objective, origin + deviation * g)) for g in noise])
        )

    pilots = [bound(drawn(sigma, range(_PILOT)), sigma) for sigma in _DEVIATIONS]
    deviation = float(_DEVIATIONS[int(np.argmin(pilots))])
    error = drawn(deviation, range(_PILOT, _PILOT + n_draws))
    upper = _kl_inverse(error, np.log(2 / (0.1 * delta)) / n_draws)
    return PacBayesBound(
        value=bound(upper, deviation),
        noisy_error=error,
        deviation=deviation,
        divergence=squared / (2 * deviation**2),
        n_samples=n,
        n_draws=n_draws,
        delta=delta,
        provenance=Provenance.of(
            "pac_bayes_bound",
            rng=rng,
            packages=("numpy", "torch"),
            problem=problem,
            delta=delta,
            n_draws=n_draws,
        ),
    )


def _wrong(objective, weights=None):
    """Return (wrong answers, answers) of the network at `weights`."""
    right = total = 0
    with torch.no_grad(), objective.at(weights), objective.evaluating():
        for k in range(len(objective.batches)):
            term = objective.term(k)
            found = metrics.accuracy(objective.loss_of, term.outputs, term.targets)
            found = metrics.require_accuracy(("accuracy",), found)
            right, total = right + int(found[0]), total + int(found[1])
    found = objective.summed(torch.tensor([total - right, total], device=objective.device))
    return tuple(found.tolist())


def _kl_inverse(q, limit):
    """Return the largest p with q ln(q / p) + (1 - q) ln((1 - q) / (1 - p)) <= limit, by bisection, rounded up."""
    low, high = q, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if rel_entr(q, middle) + rel_entr(1 - q, 1 - middle) > limit:
            high = middle
        else:
            low = middle
    return float(high)
