"""Plants that a policy steers: one that doubles, whose loss has a known exponent, and a cart with a pole."""

from __future__ import annotations

import math
from typing import Any

import torch

from landscape_viz.recurrent.through_time import ThroughTime, checked_series, normal
from multifractal.base.checks import finite_number, require, whole_number
from multifractal.base.rng import as_generator
from multifractal.base.types import Rng

_TAU = 2 * math.pi


class DoublingPlant(ThroughTime):
    """x <- 2 x + bend sin(2 pi x) / (2 pi) + w . d_t (mod 1): a chaotic plant under a policy linear in what it observes.

    With bend 0 all is stretched by 2 a step: lambda = ln 2, and if d_t = (1, 0, 0, ...) for the first step only, the loss is
    a Weierstrass function of the first weight, whose exponent is -log2(discount). Otherwise the stretching differs from
    place to place. The cost is 1 - cos(2 pi x). Data are one tensor, the d_t, of shape (n_samples, >= horizon, n_weights).

    Parameters
    ----------
    n_weights : int
        Of the policy.
    horizon : int
        At most 45: a double that is doubled has lost its last digit by then.
    bend : float
        In (-1, 1), so that the map expands everywhere; default 0.
    rng : int, SeedSequence or Generator
        Of the policy's weights.
    """

    def __init__(self, n_weights: int, *, horizon: int, bend: float = 0.0, rng: Rng = 0) -> None:
        super().__init__(horizon)
        require(horizon <= 45, "horizon", horizon, "be at most 45", "take fewer steps")
        good = abs(finite_number("bend", bend)) < 1
        require(good, "bend", bend, "lie between -1 and 1", "pass for instance 0.5")
        self.bend = float(bend)
        self.policy = normal(rng, 1, whole_number("n_weights", n_weights))

    def start(self, batch: Any) -> torch.Tensor:
        """Return 0 for each sample."""
        checked_series("data", batch, self.horizon, self.policy.shape[1], self.policy)
        return torch.zeros(len(batch), 1, dtype=batch.dtype)

    def step(self, state: torch.Tensor, t: int, batch: Any) -> torch.Tensor:
        """Return the next state, in [0, 1)."""
        bent = self.bend / _TAU * torch.sin(_TAU * state) if self.bend else 0.0
        return torch.remainder(2 * state + bent + batch[:, t] @ self.policy.T, 1.0)

    def cost(self, state: torch.Tensor, t: int, batch: Any) -> torch.Tensor:
        """Return 1 - cos(2 pi x)."""
        return 1 - torch.cos(_TAU * state[:, 0])


class CartPole(ThroughTime):
    """A cart that a small tanh network pushes, with a pole that may go round (Barto, Sutton and Anderson 1983).

    The state is (position, velocity, angle from upright, angular velocity); Euler steps of `dt` seconds, masses 1 and 0.1
    kg, half length 0.5 m, no friction, no end of the track. The policy sees position, velocity, sine and cosine of the
    angle, and angular velocity. The cost is (1 - cos angle) / 2 + 0.1 position^2 / (1 + position^2). Data are first states,
    of shape (n_samples, 4).

    Parameters
    ----------
    n_hidden, horizon : int
    gain : float
        Of the policy's weights, N(0, gain^2 / inputs).
    force : float
        The largest, in newtons; default 10 (Barto et al.).
    dt : float
        Default 0.02 s (Barto et al.).
    rng : int, SeedSequence or Generator
    """

    gravity, cart, pole, half_length = 9.8, 1.0, 0.1, 0.5

    def __init__(
        self,
        n_hidden: int,
        *,
        horizon: int,
        gain: float = 1.0,
        force: float = 10.0,
        dt: float = 0.02,
        rng: Rng = 0,
    ) -> None:
        super().__init__(horizon)
        draws, n = as_generator(rng), whole_number("n_hidden", n_hidden)
        gain = finite_number("gain", gain)
        self.force, self.dt = finite_number("force", force), finite_number("dt", dt)
        self.hidden = normal(draws, n, 5, scale=gain / 5**0.5)
        self.output = normal(draws, 1, n, scale=gain / n**0.5)

    def start(self, batch: Any) -> torch.Tensor:
        """Return the first states that are the data."""
        return batch

    def step(self, state: torch.Tensor, t: int, batch: Any) -> torch.Tensor:
        """Return the state dt later."""
        x, v, angle, spin = state.unbind(-1)
        sine, cosine = torch.sin(angle), torch.cos(angle)
        seen = torch.stack([x, v, sine, cosine, spin], dim=-1)
        push = self.force * torch.tanh(torch.tanh(seen @ self.hidden.T) @ self.output.T)[:, 0]
        total = self.cart + self.pole
        pushed = (push + self.pole * self.half_length * spin**2 * sine) / total
        turned = (self.gravity * sine - cosine * pushed) / (
            self.half_length * (4 / 3 - self.pole * cosine**2 / total)
        )
        moved = pushed - self.pole * self.half_length * turned * cosine / total
        return state + self.dt * torch.stack([v, moved, spin, turned], dim=-1)

    def cost(self, state: torch.Tensor, t: int, batch: Any) -> torch.Tensor:
        """Return how far the pole is from upright and the cart from the middle."""
        x, _, angle, _ = state.unbind(-1)
        return (1 - torch.cos(angle)) / 2 + 0.1 * x**2 / (1 + x**2)
