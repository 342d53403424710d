"""Recurrent networks driven by an input, with a linear readout: tanh RNN, GRU, LSTM. `gain` is what makes them chaotic."""

from __future__ import annotations

from typing import Any

import torch

from landscape_viz.recurrent.through_time import ThroughTime, checked_series, normal
from multifractal.base.checks import finite_number, require, whole_number
from multifractal.base.rng import as_generator
from multifractal.base.types import Rng


class Recurrent(ThroughTime):
    """What the three cells share: data (inputs, targets) of shapes (n_samples, >= horizon, n_inputs or n_outputs).

    Recurrent weights are N(0, gain^2 / n_units) (Sompolinsky, Crisanti and Sommers 1988: a large tanh network without input
    is chaotic above gain 1), input weights N(0, 1), readout weights N(0, 1 / n_units), biases 0. The first state is drawn
    once. The cost is the mean squared error of the readout.

    Parameters
    ----------
    n_units : int
    horizon : int
    gain : float
    n_inputs, n_outputs : int
    rng : int, SeedSequence or Generator
        Of the weights and the first state.
    """

    gates, parts = 1, 1

    def __init__(
        self,
        n_units: int,
        *,
        horizon: int,
        gain: float,
        n_inputs: int = 1,
        n_outputs: int = 1,
        rng: Rng = 0,
    ) -> None:
        super().__init__(horizon)
        self.n_units = whole_number("n_units", n_units)
        draws, n = as_generator(rng), n_units
        scale = finite_number("gain", gain) / n**0.5
        self.recurrent = normal(draws, self.gates * n, n, scale=scale)
        self.input = normal(draws, self.gates * n, whole_number("n_inputs", n_inputs))
        self.bias = normal(draws, self.gates * n, scale=0.0)
        self.readout = normal(draws, whole_number("n_outputs", n_outputs), n, scale=n**-0.5)
        first = torch.from_numpy(draws.standard_normal(self.parts * n))
        self.register_buffer("first", torch.tanh(first))

    def start(self, batch: Any) -> torch.Tensor:
        """Return the drawn first state, for each sample."""
        pair = isinstance(batch, tuple | list) and len(batch) == 2
        require(pair, "data", type(batch).__name__, "be (inputs, targets)", "pass two tensors")
        widths = self.input.shape[1], self.readout.shape[0]
        for name, series, width in zip(("inputs", "targets"), batch, widths, strict=True):
            checked_series(name, series, self.horizon, width, self.recurrent)
        return self.first.repeat(len(batch[0]), 1)

    def cost(self, state: torch.Tensor, t: int, batch: Any) -> torch.Tensor:
        """Return the squared error of the readout, its mean over outputs."""
        read = state[:, : self.n_units] @ self.readout.T
        return ((read - batch[1][:, t]) ** 2).mean(dim=-1)

    def _driven(self, t, batch):
        return batch[0][:, t] @ self.input.T + self.bias


class TanhRNN(Recurrent):
    """h <- tanh(W h + U x + b)."""

    def step(self, state: torch.Tensor, t: int, batch: Any) -> torch.Tensor:
        """Return the next state."""
        return torch.tanh(state @ self.recurrent.T + self._driven(t, batch))


class GRU(Recurrent):
    """The gated recurrent unit (Cho et al. 2014), in the form of torch's: reset, update and new gate.

    r, z = sigmoid(W h + U x + b); n = tanh(U_n x + b_n + r W_n h); h <- (1 - z) n + z h.
    """

    gates = 3

    def step(self, state: torch.Tensor, t: int, batch: Any) -> torch.Tensor:
        """Return the next state."""
        r, z, n = torch.chunk(state @ self.recurrent.T, 3, dim=-1)
        dr, dz, dn = torch.chunk(self._driven(t, batch), 3, dim=-1)
        update = torch.sigmoid(z + dz)
        new = torch.tanh(dn + torch.sigmoid(r + dr) * n)
        return (1 - update) * new + update * state


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997), in the form of torch's; the state is (h, c).

    i, f, g, o = W h + U x + b; c <- sigmoid(f) c + sigmoid(i) tanh(g); h <- sigmoid(o) tanh(c).
    """

    gates, parts = 4, 2

    def step(self, state: torch.Tensor, t: int, batch: Any) -> torch.Tensor:
        """Return the next state."""
        h, c = torch.chunk(state, 2, dim=-1)
        driven = h @ self.recurrent.T + self._driven(t, batch)
        i, f, g, o = torch.chunk(driven, 4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.cat([torch.sigmoid(o) * torch.tanh(c), c], dim=-1)
