"""Rounding: how large the differences of a loss are that only rounding makes, measured at the origin of a section."""

import warnings

import numpy as np
import torch

from landscape_viz.loss import sameness

_STEPS = 6  # positions of the line, a few roundings of the weights apart (our choice)
_PROBE = 0.25  # along the first direction, for a problem's identity (our choice)


def line(evaluator):
    """Return the loss at positions that are a few roundings of the weights apart, from the origin on, shape (6,)."""
    eps = max(torch.finfo(kind).eps for kind in sameness.kinds(evaluator.objective))
    step = 4 * eps * evaluator.relative_size
    return np.array(
        [evaluator.loss_at_origin, *(evaluator.loss_at(step * k) for k in range(1, _STEPS))]
    )


def probe(evaluator):
    """Return the loss at one point off the origin, by which sections of other networks are told apart."""
    return evaluator.loss_at(_PROBE)


def floor(values):
    """Return the standard deviation that rounding gives the loss: of second differences over sqrt(6), which has no trend."""
    second = np.diff(values, 2)
    return float(np.sqrt(np.mean(second**2) / 6))


def warn_if_reached(grid, rounding):
    """Warn when a section's points are so close that its differences are those of rounding: white noise, no landscape."""
    if grid.ndim < 1 or not grid.size or grid.shape[0] < 3 or rounding == 0:
        return
    second = np.abs(np.diff(grid, 2, axis=0))
    typical = float(np.median(second[np.isfinite(second)])) if np.isfinite(second).any() else np.inf
    if typical < 4 * rounding:
        warnings.warn(
            f"neighbouring points of the section differ by about {typical:.2g} (second differences), and rounding alone makes "
            f"{rounding:.2g}: it shows noise, not landscape; map a wider range, or make the Problem(..., precision='float64')",
            stacklevel=3,
        )
