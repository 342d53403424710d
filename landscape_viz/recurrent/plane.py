"""The costs of a `ThroughTime` network at many weights at once, and how its forward pass stretches a small difference there.

Positions are cut into chunks of a fixed size, each run by `torch.func.vmap` in one thread, so that the number of threads never
changes a bit.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.func import functional_call, jvp, vmap

from landscape_viz.loss import batches
from landscape_viz.loss.precision import checked_device, pinned_threads
from landscape_viz.loss.problem import Problem, checked_problem
from landscape_viz.recurrent.through_time import ThroughTime, step_weights
from multifractal.base.checks import finite_vector, real_array, require, whole_number
from multifractal.base.chunks import map_chunks
from multifractal.base.rng import as_generator
from multifractal.base.types import Array, ArrayLike, Rng

AT_ONCE = 128  # positions: the weights of so many small networks stay in the cache


def costs_at(
    problem: Problem,
    vectors: ArrayLike,
    positions: ArrayLike,
    *,
    at_once: int = AT_ONCE,
    device: str | torch.device = "cpu",
) -> Array:
    """Return the mean cost of each step at positions in the space of weights, shape (n_positions, horizon), float64.

    Parameters
    ----------
    problem : Problem
        Of a `ThroughTime` network.
    vectors : array_like, shape (n, n_parameters)
        As `Directions.vectors`.
    positions : array_like, shape (n_positions, n)
        Coordinates along the vectors, from the problem's weights.
    at_once : int
        Positions of a launch; default 128 (our choice). It may change the last bits, and so what chaos makes of them.
    device : str or torch.device
        Where the network runs; bits are promised on the CPU only.

    Raises
    ------
    ValueError
        When the network is no `ThroughTime` network, or the arrays do not fit.
    """
    return _launched(_costs, problem, vectors, positions, at_once, device)


def growth_at(
    problem: Problem,
    vectors: ArrayLike,
    positions: ArrayLike,
    *,
    rng: Rng = 0,
    at_once: int = AT_ONCE,
    device: str | torch.device = "cpu",
) -> Array:
    """Return by how much a small random difference of states has grown after each step, as a natural logarithm.

    The tangent vector is carried along by the derivative of each step (forward mode) and has length 1 at first. Largest
    finite-time Lyapunov exponents are its differences over time, see `stretching`.

    Parameters
    ----------
    problem, vectors, positions, at_once, device
        As for `costs_at`.
    rng : int, SeedSequence or Generator
        Of the first tangent vector, the same at all positions.

    Returns
    -------
    ndarray, shape (n_positions * n_samples, horizon), float64
    """
    draws = as_generator(rng)
    return _launched(_growth, problem, vectors, positions, at_once, device, draws)


def plane_losses(
    problem: Problem,
    directions: Any,
    axes: Sequence[ArrayLike],
    discounts: Sequence[float | str],
    *,
    at_once: int = AT_ONCE,
    device: str | torch.device = "cpu",
) -> Array:
    """Return the loss over a plane for several discounts, as landscapes: shape (n_discounts, n_y, n_x), float64.

    Parameters
    ----------
    problem : Problem
        Of a `ThroughTime` network; its own loss is not used.
    directions : Directions
        Two.
    axes : (array_like, array_like)
        Coordinates along the first (x) and the second direction (y).
    discounts : list of float or "final"
        As for `step_weights`: all are made from one set of forward passes.
    at_once, device
        As for `costs_at`.

    Raises
    ------
    ValueError
        When there are not two axes and two directions, an axis is empty or not finite, or no discount is given or one is none.
    """
    require(len(axes) == 2, "axes", f"{len(axes)} of them", "be two", "pass [x, y]")
    x, y = (finite_vector("axes", axis) for axis in axes)
    two = len(directions.vectors) == 2
    require(
        two, "directions", len(directions.vectors), "be two", "use directions.random(problem, 2)"
    )
    several = not isinstance(discounts, str) and np.ndim(discounts) == 1 and len(discounts) > 0
    require(several, "discounts", discounts, "be a list of at least one", "pass for instance [0.9]")
    positions = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    costs = costs_at(problem, directions.vectors, positions, at_once=at_once, device=device)
    weights = np.stack([step_weights(costs.shape[1], discount) for discount in discounts])
    # one weighted sum a discount: a matrix product would leave its order of summing to BLAS
    return np.array([(costs * w).sum(axis=1) for w in weights]).reshape(-1, len(y), len(x))


def _launched(function, problem, vectors, positions, at_once, device, *more):
    device = checked_device(device)
    model = checked_problem(problem).build().to(device)
    good = isinstance(model, ThroughTime)
    require(good, "problem", type(model).__name__, "hold a ThroughTime network", "use `section`")
    n = sum(int(np.prod(shape)) for shape in problem.shapes.values())
    vectors = real_array("vectors", vectors, ndim=2, dtype=np.float64)
    require(
        vectors.shape[1] == n, "vectors", vectors.shape, f"be (n, {n})", "use directions.random"
    )
    positions = real_array("positions", positions, ndim=2, dtype=np.float64)
    fits = positions.shape[1] == len(vectors) and len(positions) > 0
    require(fits, "positions", positions.shape, f"be (n, {len(vectors)})", "one number a vector")
    batch, origin, size = (
        batches.mapped(lambda tensor: tensor.to(device), problem.load()),
        problem.weights().double(),
        whole_number("at_once", at_once),
    )
    tangent = _first_tangent(model, batch, *more)

    def chunk(first):
        at, weights = positions[first : first + size], origin.numpy()
        moved = [weights + sum(a * v for a, v in zip(p, vectors, strict=True)) for p in at]
        stacked = _named(problem, model, torch.from_numpy(np.array(moved)).to(device))
        return function(copy.deepcopy(model), stacked, batch, tangent)

    chunks = [(i,) for i in range(0, len(positions), size)]
    with pinned_threads(1), torch.no_grad():
        # torch's forward mode is not made for several threads: its levels belong to the process
        found = map_chunks(chunk, chunks) if not more else [chunk(*one) for one in chunks]
    return np.concatenate(found)


def _named(problem, model, stack):
    """Return the rows of `stack` as stacked parameters by name, in the dtype of each."""
    dtypes = {name: p.dtype for name, p in model.named_parameters()}
    sizes = [int(np.prod(shape)) for shape in problem.shapes.values()]
    return {
        name: part.reshape(len(stack), *shape).to(dtypes[name])
        for (name, shape), part in zip(
            problem.shapes.items(), torch.split(stack, sizes, dim=1), strict=True
        )
    }


def _costs(model, stacked, batch, tangent):
    def of(parameters):
        return functional_call(model, parameters, (batch,)).mean(dim=0)

    with torch.no_grad():
        return vmap(of)(stacked).double().cpu().numpy()


def _first_tangent(model, batch, draws=None):
    if draws is None:
        return None
    state = model.start(batch)
    tangent = torch.from_numpy(draws.standard_normal(tuple(state.shape))).to(state)
    return tangent / tangent.norm(dim=-1, keepdim=True)


def _growth(model, stacked, batch, tangent):
    caller = _Growing(model)
    named = {f"model.{name}": value for name, value in stacked.items()}

    def of(parameters):
        return functional_call(caller, parameters, (batch, tangent))

    with torch.no_grad():
        grown = vmap(of)(named)
    return grown.reshape(-1, grown.shape[-1]).double().cpu().numpy()


class _Growing(torch.nn.Module):
    """A network called for the growth of a tangent vector instead of its costs."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, batch, tangent):
        """Return the logarithm of its length after each step, shape (n_samples, horizon)."""
        state, total, grown = self.model.start(batch), 0.0, []
        for t in range(self.model.horizon):
            state, tangent = jvp(lambda s, t=t: self.model.step(s, t, batch), (state,), (tangent,))
            size = tangent.norm(dim=-1)
            total, tangent = total + size.log(), tangent / size[..., None]
            grown.append(total)
        return torch.stack(grown, dim=-1)
