"""Losses of recurrent tanh networks along a line of their weights, in numpy: how rough they are, and how chaotic the pass.

`landscape_viz.recurrent` has them as torch networks, with others; here they need none, for the report on the paper's premise.
"""

import numpy as np

# Our choices, those of docs/where_losses_are_fractal.md:
UNITS, HORIZON, DISCOUNT = 60, 90, 0.92
POINTS, SPACING = 257, 1e-4  # of a line; the unit is the norm of each row of weights
_LAGS = (1, 2, 4, 8)  # points
_TANGENTS = 4  # one point in so many carries a tangent vector


def of_gains(gains, draws):
    """Return (exponent, Lyapunov exponent) of one network at each gain, along one line of recurrent weights.

    Parameters
    ----------
    gains : sequence of float
        Factors of the recurrent weights, N(0, 1 / n_units).
    draws : Generator

    Returns
    -------
    ndarray, shape (n_gains, 2)
    """
    weights, along = draws.standard_normal((2, UNITS, UNITS)) / np.sqrt(UNITS)
    along *= np.linalg.norm(weights, axis=1)[:, None] / np.linalg.norm(along, axis=1)[:, None]
    readout, first = draws.standard_normal((2, UNITS))
    made = (weights, along, readout / np.sqrt(UNITS), np.tanh(first), draws)
    return np.array([along_a_line(gain, *made) for gain in gains])


def along_a_line(gain, weights, along, readout, first, draws):
    """Return the exponent of the discounted loss along the line, and the mean Lyapunov exponent there."""
    at = SPACING * (np.arange(POINTS) - POINTS // 2)[:, None]
    state, loss = np.tile(first, (POINTS, 1)), np.zeros(POINTS)
    tangent = np.tile(draws.standard_normal(UNITS), (len(at[::_TANGENTS]), 1))
    growth = np.zeros((HORIZON, len(tangent)))
    for t in range(HORIZON):
        state = np.tanh(_moved(state, gain, weights, along, at))
        slopes = 1 - state[::_TANGENTS] ** 2
        tangent = slopes * _moved(tangent, gain, weights, along, at[::_TANGENTS])
        size = np.linalg.norm(tangent, axis=1)
        growth[t], tangent = np.log(size), tangent / size[:, None]
        loss += DISCOUNT**t * (state @ readout) ** 2
    # a fifth is left out, while tangent vectors turn into the direction that grows most
    return second_exponent(loss), growth[HORIZON // 5 :].mean()


def _moved(vectors, gain, weights, along, at):
    """Return each vector times the weights at its own place of the line."""
    return gain * (vectors @ weights.T + at * (vectors @ along.T))


def second_exponent(line):
    """Return half the slope of the log of mean squared second differences on the log of the lag."""
    squares = [np.mean((line[2 * k :] - 2 * line[k:-k] + line[: -2 * k]) ** 2) for k in _LAGS]
    return float(np.polyfit(np.log(_LAGS), np.log(squares), 1)[0] / 2)


def law(lyapunov):
    """Return the exponent that the law gives the loss, min(1, -ln discount / lyapunov), 1 where the pass is not chaotic."""
    with np.errstate(divide="ignore"):
        return np.where(lyapunov > 0, np.minimum(1, -np.log(DISCOUNT) / lyapunov), 1.0)


def law_of_the_line(lyapunov):
    """Return it where differences of one point grow to the size of the states, else 2: smooth."""
    return np.where(lyapunov * HORIZON > -np.log(SPACING), law(lyapunov), 2.0)
