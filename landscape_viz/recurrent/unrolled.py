"""Training as a forward pass: the loss after k steps as a function of learning rates and initial weights."""

from __future__ import annotations

from typing import Any

import torch

from landscape_viz.recurrent.through_time import ThroughTime, normal
from multifractal.base.checks import finite_number, positive_number, require, whole_number
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
    learning_rate : float or (float, float)
        Of the first and the second layer at first; one number for both. A first layer that learns fast, 100 beside 8, trains
        chaotically without diverging.
    weight_decay : float
        Of the inner training; default 0.
    rng : int, SeedSequence or Generator
        Of the initial weights.
    """

    def __init__(
        self,
        n_hidden: int,
        *,
        horizon: int,
        learning_rate: float | tuple[float, float],
        weight_decay: float = 0.0,
        rng: Rng = 0,
    ) -> None:
        super().__init__(horizon)
        draws, n = as_generator(rng), whole_number("n_hidden", n_hidden)
        pair = learning_rate if isinstance(learning_rate, tuple) else (learning_rate, learning_rate)
        rates = [positive_number("learning_rate", rate) for rate in pair]
        require(
            len(rates) == 2, "learning_rate", pair, "be one number or two", "pass (first, second)"
        )
        self.weight_decay = finite_number("weight_decay", weight_decay)
        self.n_hidden = n
        self.initial = normal(draws, 3, n)
        self.log_rates = torch.nn.Parameter(torch.tensor([rates], dtype=torch.float64).log())

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
            slope - first * ((through * inputs).sum(dim=0) + self.weight_decay * slope),
            bias - first * (through.sum(dim=0) + self.weight_decay * bias),
            out
            - second
            * ((error[:, None] * hidden).sum(dim=0) / self.n_hidden + self.weight_decay * out),
        ]
        return torch.cat(moved).reshape(1, -1)

    def cost(self, state: torch.Tensor, t: int, batch: Any) -> torch.Tensor:
        """Return the inner network's mean squared error."""
        slope, bias, out = state.view(3, self.n_hidden)
        inputs, targets = batch
        given = torch.tanh(inputs * slope + bias) @ out / self.n_hidden
        return ((given - targets[:, 0]) ** 2).mean().reshape(1)
