"""Claim on the premise: that losses are rough. Measured on recurrent networks, where one number decides whether they are."""

from functools import partial

import numpy as np

from multifractal.base.curves import Curves
from multifractal.base.result import Provenance
from multifractal.figures import reproduction as figures
from multifractal.reproduction.claim import (
    CORRECTED,
    NOT_REPRODUCED,
    REPRODUCED,
    Claim,
    Judgement,
    Measured,
    Protocol,
    Quantity,
)

# second index of what this claim draws for a network
_STREAM = 40
# Our choices, those of docs/where_losses_are_fractal.md:
_UNITS, _HORIZON, _DISCOUNT = 60, 90, 0.92
_POINTS, _SPACING = 257, 1e-4  # of a line; the unit is the norm of each row of weights
_LAGS = (1, 2, 4, 8)  # points
_TANGENTS = 4  # one point in so many carries a tangent vector
QUIET, CHAOTIC = 0.8, 3.0  # gains below and above the onset of chaos at 1
GAINS = (QUIET, 1.2, 1.6, 2.0, 2.5, CHAOTIC)
_LAW_WITHIN = 0.1


def measured(study, gains=GAINS):
    """Return the Measured of tanh networks of these gains; the rule looks at the first and the last."""
    found = study.each(partial(_network, study, gains), title="recurrent networks")
    exponents, lyapunov = np.transpose(found, (2, 0, 1))
    with np.errstate(divide="ignore"):
        law = np.where(lyapunov > 0, np.minimum(1, -np.log(_DISCOUNT) / lyapunov), 1.0)
    call = study.provenance(
        "tanh network", units=_UNITS, horizon=_HORIZON, discount=_DISCOUNT, gains=gains
    )
    samples = {
        "quiet": (f"gain {gains[0]:g}: exponent of the loss", exponents[:, 0]),
        "quiet_lyapunov": (f"gain {gains[0]:g}: largest Lyapunov exponent", lyapunov[:, 0]),
        "chaotic": (f"gain {gains[-1]:g}: exponent of the loss", exponents[:, -1]),
        "lyapunov": (f"gain {gains[-1]:g}: largest Lyapunov exponent", lyapunov[:, -1]),
        "law": (f"gain {gains[-1]:g}: the exponent that the law gives", law[:, -1]),
        "difference": ("measured less law", (exponents - law)[:, -1]),
    }
    return Measured(
        quantities={
            name: Quantity.mean(words, values, call, over="networks")
            for name, (words, values) in samples.items()
        },
        results={
            name: _over_gains(gains, values, call)
            for name, values in (("exponent", exponents), ("law", _of_the_line(law, lyapunov)))
        },
    )


def _of_the_line(law, lyapunov):
    """Return the law's exponent where differences of one point grow to the size of the states, else 2: smooth."""
    return np.where(lyapunov * _HORIZON > -np.log(_SPACING), law, 2.0)


def _over_gains(gains, values, call: Provenance):
    return Curves(x=np.array(gains), samples=values, over="networks", provenance=call)


def _network(study, gains, i):
    """Return (exponent, Lyapunov exponent) of network i at each gain, along one line of recurrent weights."""
    draws = study.rng(i, _STREAM)
    weights, along = draws.standard_normal((2, _UNITS, _UNITS)) / np.sqrt(_UNITS)
    along *= np.linalg.norm(weights, axis=1)[:, None] / np.linalg.norm(along, axis=1)[:, None]
    readout, first = draws.standard_normal((2, _UNITS))
    made = (weights, along, readout / np.sqrt(_UNITS), np.tanh(first), draws)
    return [_along_a_line(gain, *made) for gain in gains]


def _along_a_line(gain, weights, along, readout, first, draws):
    """Return the exponent of the discounted loss along the line, and the mean Lyapunov exponent there."""
    at = _SPACING * (np.arange(_POINTS) - _POINTS // 2)[:, None]
    state, loss = np.tile(first, (_POINTS, 1)), np.zeros(_POINTS)
    tangent = np.tile(draws.standard_normal(_UNITS), (len(at[::_TANGENTS]), 1))
    growth = np.zeros((_HORIZON, len(tangent)))
    for t in range(_HORIZON):
        state = np.tanh(_moved(state, gain, weights, along, at))
        slopes = 1 - state[::_TANGENTS] ** 2
        tangent = slopes * _moved(tangent, gain, weights, along, at[::_TANGENTS])
        size = np.linalg.norm(tangent, axis=1)
        growth[t], tangent = np.log(size), tangent / size[:, None]
        loss += _DISCOUNT**t * (state @ readout) ** 2
    # a fifth is left out, while tangent vectors turn into the direction that grows most
    return second_exponent(loss), growth[_HORIZON // 5 :].mean()


def _moved(vectors, gain, weights, along, at):
    """Return each vector times the weights at its own place of the line."""
    return gain * (vectors @ weights.T + at * (vectors @ along.T))


def second_exponent(line):
    """Return half the slope of the log of mean squared second differences on the log of the lag."""
    squares = [np.mean((line[2 * k :] - 2 * line[k:-k] + line[: -2 * k]) ** 2) for k in _LAGS]
    return float(np.polyfit(np.log(_LAGS), np.log(squares), 1)[0] / 2)


def _judge(found):
    quiet, chaotic, difference = (found[name] for name in ("quiet", "chaotic", "difference"))
    told = f"{chaotic.value:.2f} at a Lyapunov exponent of {found['lyapunov'].value:.2f}"
    if not chaotic.below(1):
        return Judgement(
            NOT_REPRODUCED,
            f"No loss is rough: the exponents are {quiet.value:.2f} and {told}, where 2 is twice differentiable.",
        )
    as_law = difference.above(-_LAW_WITHIN) and difference.below(_LAW_WITHIN)
    law = f"{'as' if as_law else 'not as'} the law has it ({found['law'].value:.2f})"
    if quiet.below(1):
        return Judgement(REPRODUCED, f"Losses are rough on both sides: {quiet.value:.2f}; {told}.")
    return Judgement(
        CORRECTED,
        f"The premise holds where the forward pass is chaotic: the loss has the exponent {told}, {law}; where it is not, "
        f"{quiet.value:.2f}. Losses of the feed-forward networks we measured are on the smooth side.",
    )


PREMISE = Claim(
    "premise",
    "Loss landscapes are rough",
    "The premise: losses of deep networks are multifractal, rough with exponents below 1 down to small distances, which the "
    "model surface stands for.",
    "Not reproduced unless the loss of a recurrent network whose forward pass is chaotic (gain 3) has an exponent of second "
    "differences below 1, the whole interval; reproduced if that of a network that is not chaotic (gain 0.8) has, too; else with a "
    "correction: it holds where the pass is chaotic. Then the reason says whether the exponent is that of the law, min(1, −ln γ / λ), "
    "to within 0.1 (Wang, Herbert & Gao 2023). The rule was written after docs/where_losses_are_fractal.md was run.",
    measured,
    _judge,
    figures.premise,
    "Exponent of second differences of discounted losses of tanh networks (60 units, 90 steps, discount 0.92) along a line of weights, "
    "10⁻⁴ of their norm from point to point: mean over networks, bars: their standard deviation. Line: the law, where the largest "
    "Lyapunov exponent λ is positive and λ times the steps reaches beyond a point, else 2, twice differentiable.",
    Protocol(
        "Spectra of sections of feed-forward networks, mapped with live dropout: see the claim on sections.",
        "Recurrent networks without input, whose gain sets how chaotic they are, from scratch; no noise anywhere.",
    ),
    headline={"chaotic": "exponent where chaotic", "law": "by the law", "quiet": "where not"},
)

CLAIMS = (PREMISE,)
