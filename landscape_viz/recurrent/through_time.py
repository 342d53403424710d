"""A network whose loss is a sum over time: a state, a step, a cost; and that sum as a batch loss."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from landscape_viz.loss.batch_loss import batch_loss
from multifractal.base.checks import finite_number, require, whole_number
from multifractal.base.rng import as_generator
from multifractal.base.types import Array, Rng

FINAL = "final"


class ThroughTime(nn.Module):
    """A map of states, x_(t+1) = F(x_t; w), and the cost of each state: what `Problem` and the probes take as a network.

    A subclass says what `start`, `step` and `cost` are. `forward(batch)` returns the costs of the states after 1, 2, ...
    `horizon` steps, shape (n_samples, horizon); `discounted_loss` adds them up. Weights are float64, since a chaotic pass
    enlarges rounding as it does everything else.

    Parameters
    ----------
    horizon : int
        Steps.
    """

    def __init__(self, horizon: int) -> None:
        super().__init__()
        self.horizon = whole_number("horizon", horizon)

    def start(self, batch: Any) -> torch.Tensor:
        """Return the first state, shape (n_samples, n_state)."""
        raise NotImplementedError

    def step(self, state: torch.Tensor, t: int, batch: Any) -> torch.Tensor:
        """Return the state after step `t`, counted from 0."""
        raise NotImplementedError

    def cost(self, state: torch.Tensor, t: int, batch: Any) -> torch.Tensor:
        """Return the cost of the state after step `t`, shape (n_samples,)."""
        raise NotImplementedError

    def forward(self, batch: Any) -> torch.Tensor:
        """Return the cost of each state, shape (n_samples, horizon)."""
        state, costs = self.start(batch), []
        for t in range(self.horizon):
            state = self.step(state, t, batch)
            costs.append(self.cost(state, t, batch))
        return torch.stack(costs, dim=-1)


def step_weights(horizon: int, discount: float | str) -> Array:
    """Return the weights of the costs in the loss, discount^t for t = 0, 1, ..., shape (horizon,), float64.

    Parameters
    ----------
    horizon : int
    discount : float or "final"
        In (0, 1]; "final" takes the last cost only.

    Raises
    ------
    ValueError
        When the discount is neither.
    """
    if isinstance(discount, str) and discount == FINAL:
        return np.eye(horizon)[-1]
    good = not isinstance(discount, str) and 0 < finite_number("discount", discount) <= 1
    require(good, "discount", discount, "lie in (0, 1], or be 'final'", "pass for instance 0.9")
    return float(discount) ** np.arange(horizon)


def discounted_loss(discount: float | str) -> Any:
    """Return the batch loss sum over t of discount^t times the cost of step t, the mean over samples, for `Problem`.

    Examples
    --------
    >>> import torch
    >>> from landscape_viz import Problem, recurrent
    >>> network = recurrent.TanhRNN(8, horizon=20, gain=3.0, rng=0)
    >>> data = torch.zeros(1, 20, 1), torch.zeros(1, 20, 1)
    >>> problem = Problem(network, None, recurrent.discounted_loss(0.9), data)
    """
    step_weights(1, discount)
    return batch_loss(partial(_discounted, discount=discount))


def _discounted(model, batch, discount):
    costs = model(batch)
    return (costs @ torch.as_tensor(step_weights(costs.shape[-1], discount))).mean()


def checked_series(
    name: str, series: Any, n_steps: int, width: int, weights: torch.Tensor
) -> torch.Tensor:
    """Return data of shape (n_samples, >= n_steps, width) and the dtype of the weights, or say what they have to be."""
    require(
        isinstance(series, torch.Tensor), name, type(series).__name__, "be a tensor", "convert it"
    )
    shape = tuple(series.shape)
    good = len(shape) == 3 and shape[1] >= n_steps and shape[2] == width
    wanted = f"have the shape (n_samples, at least {n_steps} steps, {width})"
    require(good, name, shape, wanted, "pass as many steps as the horizon has")
    same = series.dtype == weights.dtype
    require(
        same, name, series.dtype, f"be {weights.dtype} as the weights are", "convert one of them"
    )
    return series


def normal(rng: Rng, *shape: int, scale: float = 1.0) -> nn.Parameter:
    """Return a parameter of Gaussian float64 weights of this standard deviation, drawn by numpy's generator."""
    return nn.Parameter(torch.from_numpy(scale * as_generator(rng).standard_normal(shape)))
