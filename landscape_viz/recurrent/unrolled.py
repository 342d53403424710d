"""Training as a forward pass: the loss after k steps as a function of learning rates and initial weights."""

from __future__ import annotations

from typing import Any

import torch

from landscape_viz.recurrent.through_time import ThroughTime, normal
from multifractal.base.checks import finite_number, whole_number
from multifractal.base.rng import as_generator
from multifractal.base.types import Rng


class UnrolledOptimizer(ThroughTime):
    """Gradient descent of a 1-h-1 tanh network, its initial weights and the logarithm of its learning rates being parameters.

    The state holds the weights of the inner network; the cost is its loss on all data, (inputs, targets) of shapes (n, 1).
    All data are one sample of the outer problem.

    Parameters
    ----------
    n_hidden, horizon : int
        Units of the inner network; steps of its training.
    learning_rate : float
        Of both layers at first.
    rng : int, SeedSequence or Generator
        Of the initial weights.
    """

    def __init__(self, n_hidden: int, *, horizon: int, learning_rate: float, rng: Rng = 0) -> None:
        super().__init__(horizon)
        draws, n = as_generator(rng), whole_number("n_hidden", n_hidden)
        rate = finite_number("learning_rate", learning_rate)
        self.n_hidden = n
        self.initial = normal(draws, 3, n)
        self.log_rates = torch.nn.Parameter(torch.full((1, 2), rate, dtype=torch.float64).log())

    def start(self, batch: Any) -> torch.Tensor:
        """Return the initial weights of the inner network, shape (1, 3 n_hidden): slopes, biases, outputs."""
        return self.initial.reshape(1, -1)

    def step(self, state: torch.Tensor, t: int, batch: Any) -> torch.Tensor:
        """Return the weights after one step of descent, its gradient written out."""
        slope, bias, out = state.view(3, self.n_hidden)
        inputs, targets = batch
        hidden = torch.tanh(inputs * slope + bias)
        error = 2 / len(inputs) * (hidden @ out / self.n_hidden - targets[:, 0])
        through = error[:, None] * (1 - hidden**2) * (out / self.n_hidden)
        first, second = self.log_rates.exp()[0]
        moved = [
            slope - first * (through * inputs).sum(dim=0),
            bias - first * through.sum(dim=0),
            out - second * (error[:, None] * hidden).sum(dim=0) / self.n_hidden,
        ]
        return torch.cat(moved).reshape(1, -1)

    def cost(self, state: torch.Tensor, t: int, batch: Any) -> torch.Tensor:
        """Return the inner network's mean squared error."""
        slope, bias, out = state.view(3, self.n_hidden)
        inputs, targets = batch
        given = torch.tanh(inputs * slope + bias) @ out / self.n_hidden
        return ((given - targets[:, 0]) ** 2).mean().reshape(1)
