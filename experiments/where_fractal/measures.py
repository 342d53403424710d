"""What is measured of one network, one seed: exponents along a line or over a plane, stretching, controls of the same size."""

import numpy as np
import torch

import multifractal as mf
from landscape_viz import Problem, directions, recurrent
from multifractal.base.rng import realisation
from multifractal.measured.section_study import SMALL_SECTION_SETTINGS

LAGS = (1, 2, 4, 8)  # pixels
PASSES = 128  # along which lambda is measured
LINE = 257  # points


def zeros(horizon):
    """Return the data of an autonomous network: no input, and a target of 0."""
    nothing = torch.zeros(1, horizon, 1, dtype=torch.float64)
    return nothing, nothing


def gaussian(rng, *shape):
    """Return a float64 tensor drawn by numpy's generator."""
    return torch.from_numpy(rng.standard_normal(shape))


def problem_of(network, data, seed, norm="filter"):
    """Return the problem of a network and two random directions."""
    problem = Problem(network, None, recurrent.discounted_loss(1.0), data)
    return problem, directions.random(problem, 2, norm=norm, rng=realisation(seed, 1))


def second_exponent(values):
    """Return half the slope of log2 of mean squared second differences from 1 to 8 pixels; NaN where one is 0 or not finite."""
    values = np.asarray(values)
    squares = np.zeros(len(LAGS))
    for axis in range(values.ndim):
        along = np.moveaxis(values, axis, 0)
        squares += [
            np.mean((along[2 * k :] - 2 * along[k:-k] + along[: -2 * k]) ** 2) for k in LAGS
        ]
    if not (np.isfinite(squares).all() and squares.min() > 0):
        return float("nan")
    return float(np.polyfit(np.log2(LAGS), np.log2(squares), 1)[0] / 2)


def line(problem, plane, spacing, n=LINE):
    """Return the costs along the first direction about the weights, shape (n, horizon)."""
    steps = spacing * (np.arange(n) - n // 2)
    return recurrent.costs_at(problem, plane.vectors[:1], steps[:, None], at_once=n)


def weighted(costs, discount):
    """Return the losses of costs by step, shape (n,)."""
    return (costs * recurrent.step_weights(costs.shape[-1], discount)).sum(axis=-1)


def stretching(problem, plane, half, seed, passes=PASSES):
    """Return (growth, Stretching) at random points of the plane."""
    at = realisation(seed, 2).uniform(-half, half, (passes, 2))
    growth = recurrent.growth_at(problem, plane.vectors, at, rng=realisation(seed, 3))
    return growth, recurrent.stretching(growth)


def spectrum(values):
    """Return exponent, c1, c2 (settings of small sections), whether the spectrum's condition holds, and the kind."""
    found = mf.multifractal_spectrum(values, **SMALL_SECTION_SETTINGS)
    c1, c2 = map(float, found.log_cumulants[:2])
    told = {"valid": bool(found.diagnostics.valid), "kind": found.diagnostics.kind}
    return {"c1": c1, "c2": c2, "exponent": second_exponent(values)} | told


def whole_spectrum(values):
    """Return c1, c2 and the spectrum (h, D) by moment, with the default settings."""
    found = mf.multifractal_spectrum(values)
    c1, c2 = map(float, found.log_cumulants[:2])
    return {"c1": c1, "c2": c2, "h": found.h.tolist(), "D": found.D.tolist()}


def control(exponent, n, seed):
    """Return the same numbers of an exact surface of that exponent, held to [0.05, 0.95]."""
    surface = mf.fbm_surface(n, float(np.clip(exponent, 0.05, 0.95)), rng=realisation(seed, 4))
    return spectrum(surface.values)


def predicted(found, discount):
    """Return what the law says for a discount, from the stretching of a plane."""
    chaotic = found.lyapunov > 0
    return {
        "H": found.exponent(discount),
        "zeta2": float(found.zeta(discount, 2.0)) / 2 if chaotic else float("nan"),
        "c2": found.c2(discount),
    }
