"""A deep residual network that uses one block again and again: depth is its horizon."""

from __future__ import annotations

from typing import Any

import torch

from landscape_viz.recurrent.through_time import ThroughTime, normal
from multifractal.base.checks import finite_number, whole_number
from multifractal.base.rng import as_generator
from multifractal.base.types import Rng


class SharedResidual(ThroughTime):
    """x <- x + V tanh(W x + b) - leak x, the input being the first x and each depth having its cost (deep supervision).

    Data are (inputs, targets) of shapes (n_samples, n_units) and (n_samples, n_outputs). W is N(0, gain^2 / n_units), V
    N(0, 1 / n_units), the readout N(0, 1 / n_units).

    Parameters
    ----------
    n_units, horizon : int
    gain : float
    leak : float
        Share of x that a block forgets; default 0.1 (our choice), so that x stays bounded at any depth.
    n_outputs : int
    rng : int, SeedSequence or Generator
    """

    def __init__(
        self,
        n_units: int,
        *,
        horizon: int,
        gain: float,
        leak: float = 0.1,
        n_outputs: int = 1,
        rng: Rng = 0,
    ) -> None:
        super().__init__(horizon)
        n, draws = whole_number("n_units", n_units), as_generator(rng)
        self.leak = finite_number("leak", leak)
        self.inner = normal(draws, n, n, scale=finite_number("gain", gain) / n**0.5)
        self.outer = normal(draws, n, n, scale=n**-0.5)
        self.bias = normal(draws, n, scale=0.0)
        self.readout = normal(draws, whole_number("n_outputs", n_outputs), n, scale=n**-0.5)

    def start(self, batch: Any) -> torch.Tensor:
        """Return the inputs."""
        return batch[0]

    def step(self, state: torch.Tensor, t: int, batch: Any) -> torch.Tensor:
        """Return what the next block gives."""
        block = torch.tanh(state @ self.inner.T + self.bias) @ self.outer.T
        return (1 - self.leak) * state + block

    def cost(self, state: torch.Tensor, t: int, batch: Any) -> torch.Tensor:
        """Return the squared error of the readout."""
        return ((state @ self.readout.T - batch[1]) ** 2).mean(dim=-1)
