"""Sections whose nature is known, for what spectra say of them: noise on a bowl, a monofractal, kinks, a network under dropout.

Each takes its side in points and a Generator, and returns an array (side, side).
"""

from __future__ import annotations

import numpy as np

from multifractal.base.types import Array
from multifractal.landscapes.brownian import fbm_surface

# standard deviation of the log of the noise that multiplies a bowl: our choice, of the size of the loss itself
NOISE = 1.0
HURST = 0.5  # of the monofractal
KINKS = 200  # our choice
# a network with the dropout of the paper's VGG on its one hidden layer, over so many rows: our choice
FEATURES, HIDDEN, ROWS, DROPOUT = 5, 16, 16, 0.5


def noisy_bowl(side: int, rng: np.random.Generator) -> Array:
    """Return a bowl whose every point is multiplied by noise of its own, as live dropout does to a section."""
    axis = np.linspace(-1, 1, side)
    noise = rng.standard_normal((side, side))
    return (0.2 + axis[:, None] ** 2 + axis**2) * np.exp(NOISE * noise)


def monofractal(side: int, rng: np.random.Generator) -> Array:
    """Return an exact fractional Brownian surface."""
    return fbm_surface(side, HURST, rng=rng).values


def kinks(side: int, rng: np.random.Generator) -> Array:
    """Return a sum of ReLU kinks along random lines, as a section of a network of one hidden layer is: piecewise linear."""
    axis = np.linspace(-1, 1, side)
    angle, offset, height = (
        rng.uniform(0, 2 * np.pi, KINKS),
        rng.uniform(-1, 1, KINKS),
        rng.standard_normal(KINKS),
    )
    total = np.zeros((side, side))
    for a, b, c in zip(angle, offset, height, strict=True):
        total += c * np.maximum(np.cos(a) * axis + np.sin(a) * axis[:, None] - b, 0)
    return total


def fresh_masks(side: int, rng: np.random.Generator) -> Array:
    """Return a section of a small network's loss under dropout with a mask of its own at each point, as published ones have."""
    return _under_dropout(side, rng, fresh=True)


def paired_masks(side: int, rng: np.random.Generator) -> Array:
    """Return the same with one mask for all points: a function of the weights."""
    return _under_dropout(side, rng, fresh=False)


def _under_dropout(side, rng, fresh):
    """Return mean squared errors over the rows; weights, both directions, rows and target are random (float32)."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    rows, target = (
        rng.standard_normal(shape).astype(np.float32) for shape in ((ROWS, FEATURES), ROWS)
    )
    first, second = (  # of the point and of two directions; before the mask, and behind it
        rng.normal(0, np.sqrt(2 / fan_in), (3, *shape)).astype(np.float32)
        for fan_in, shape in ((FEATURES, (FEATURES, HIDDEN)), (HIDDEN, (HIDDEN,)))
    )
    before, one = rows @ first, rng.random((ROWS, HIDDEN), np.float32) < 1 - DROPOUT
    loss = np.empty((side, side))
    for k, b in enumerate(axis):  # a line of the section at a time
        hidden = np.maximum(before[0] + axis[:, None, None] * before[1] + b * before[2], 0)
        kept = rng.random(hidden.shape, np.float32) < 1 - DROPOUT if fresh else one
        weights = (second[0] + axis[:, None] * second[1] + b * second[2])[:, None]
        outputs = (hidden * kept * weights).sum(axis=-1) / (1 - DROPOUT)
        loss[k] = np.square(outputs - target).mean(axis=-1)
    return loss
