"""Paths between two networks: straight, Bezier or polygonal, trained to keep the loss low, and the barriers along them.

A path is theta(t) = theta_0 + sum_k c_k(t) d_k with fixed directions d_k, so that its losses are those of a section.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from scipy.special import comb

from landscape_viz import directions
from landscape_viz.loss.objective import Objective
from landscape_viz.loss.problem import Problem, checked_state
from landscape_viz.trajectory import losses_at
from multifractal.base.checks import one_of, positive_number, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_generator
from multifractal.base.types import Rng


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class NetworkPath(Result, formerly=("Path",)):
    """The loss along a path from one network (t = 0) to another (t = 1).

    Attributes
    ----------
    t : ndarray, shape (n,), float64
        From 0 to 1.
    losses : ndarray, shape (n,), float64
    coordinates : ndarray, shape (n, n_directions), float64
        Where the path is, along the rows of `vectors` from the first network.
    vectors : ndarray, shape (n_directions, n_parameters)
        The control points' displacements from the first network, the other network's last.
    kind : str
    provenance : Provenance
    """

    t: np.ndarray
    losses: np.ndarray
    coordinates: np.ndarray
    vectors: np.ndarray
    kind: str
    provenance: Provenance

    @property
    def barrier_above_line(self) -> float:
        """max_t [L(theta_t) - (1 - t) L_0 - t L_1]: at least 0, since it is 0 at the ends."""
        return float(np.max(self.losses - (1 - self.t) * self.losses[0] - self.t * self.losses[-1]))

    @property
    def barrier_height(self) -> float:
        """max_t L(theta_t) - max(L_0, L_1): at least 0."""
        return float(self.losses.max() - max(self.losses[0], self.losses[-1]))

    @property
    def norm(self) -> float:
        """|theta_1 - theta_0|, Euclidean."""
        return float(np.linalg.norm(self.vectors[-1].astype(np.float64)))


def linear_path(
    problem: Problem,
    other: Mapping[str, torch.Tensor],
    *,
    n_points: int = 51,
    device: str | torch.device = "cpu",
) -> NetworkPath:
    """Return the loss along the straight line from a problem's network to another.

    Parameters
    ----------
    problem : Problem
        Its weights are t = 0. With batch_norm="recalibrate" the running statistics are recomputed at each t; in "eval"
        mode all points use those of the first network, so that L(1) is not the other network's own loss.
    other : dict of str to Tensor
        State dict of a network of the same shape.
    n_points : int
        At least 3 (our choice 51).
    device : str or torch.device

    Returns
    -------
    NetworkPath

    Raises
    ------
    ValueError
        When the state does not fit the network, or `n_points` is below 3.
    """
    n_points = whole_number("n_points", n_points, 3)
    vectors = directions.toward(problem, checked_state("other", other)).vectors
    return _measured(problem, vectors, "linear", n_points, device)


def trained_path(
    problem: Problem,
    other: Mapping[str, torch.Tensor],
    *,
    kind: Literal["bezier", "polychain"] = "bezier",
    n_bends: int = 1,
    n_steps: int = 200,
    learning_rate: float = 0.01,
    n_points: int = 51,
    rng: Rng = 0,
    device: str | torch.device = "cpu",
) -> NetworkPath:
    """Return a curved path between two networks whose control points were trained to lower the mean loss along it.

    Parameters
    ----------
    problem : Problem
        As for `linear_path`; training runs in its own mode of BatchNorm, or in "batch" where that is "recalibrate".
    other : dict of str to Tensor
    kind : {"bezier", "polychain"}
        Bezier curve of degree n_bends + 1, or n_bends + 1 straight pieces.
    n_bends : int
        Control points between the ends (Garipov et al. 2018: 1), on the straight line at first.
    n_steps : int
        Adam steps (our choice 200), each at one t ~ U(0, 1) on one batch of the problem.
    learning_rate : float
        Of Adam at first (our choice 0.01); it falls linearly to almost 0, so that the path settles.
    n_points : int
        At which the trained path is measured, at least 3 (our choice 51).
    rng : int, SeedSequence or Generator
    device : str

    Returns
    -------
    NetworkPath

    Raises
    ------
    ValueError
        When the kind is unknown, or a count or the rate is not positive.

    References
    ----------
    T. Garipov et al., "Loss surfaces, mode connectivity, and fast ensembling of DNNs", NeurIPS 2018, section 3.
    """
    one_of("kind", kind, ("bezier", "polychain"))
    n_bends, n_steps = whole_number("n_bends", n_bends), whole_number("n_steps", n_steps)
    rate = positive_number("learning_rate", learning_rate)
    end = torch.tensor(directions.toward(problem, checked_state("other", other)).vectors[0])
    objective = Objective(_differentiable(problem), device=device)
    origin = torch.as_tensor(objective.origin)
    points = torch.stack([end * (k + 1) / (n_bends + 1) for k in range(n_bends)])
    optimizer = torch.optim.Adam([points.requires_grad_()], lr=rate)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1e-3, n_steps)
    generator = as_generator(rng)
    for _ in range(n_steps):
        t, batch = generator.random(), int(generator.integers(len(objective.batches)))
        weights = torch.as_tensor(_coordinates(kind, t, n_bends)).to(points.dtype)
        with torch.no_grad():
            at = origin + weights[:-1] @ points + weights[-1] * end
        gradient = torch.as_tensor(objective.batch_gradient(batch, at.numpy()))
        points.grad = weights[:-1, None] * gradient
        optimizer.step()
        decay.step()
    vectors = torch.cat([points.detach(), end[None]]).numpy()
    return _measured(
        problem, vectors, kind, n_points, device, rng=rng, n_steps=n_steps, learning_rate=rate
    )


def _differentiable(problem):
    """Return the problem with batch statistics where its own mode has no derivative."""
    return replace(problem, batch_norm="batch") if problem.batch_norm == "recalibrate" else problem


def _measured(problem, vectors, kind, n_points, device, rng=None, **settings):
    t = np.linspace(0, 1, whole_number("n_points", n_points, 3))
    coordinates = np.array([_coordinates(kind, s, len(vectors) - 1) for s in t])
    losses = losses_at(
        problem, directions.from_vectors(problem, vectors), coordinates, device=device
    )
    made_by = Provenance.of(
        f"{kind}_path", rng=rng, packages=("numpy", "torch"), problem=problem, **settings
    )
    return NetworkPath(
        t=t, losses=losses, coordinates=coordinates, vectors=vectors, kind=kind, provenance=made_by
    )


def _coordinates(kind, t, n_bends):
    """Return the weights of the control points and of the end, shape (n_bends + 1,), at t."""
    if kind == "bezier":
        k = np.arange(1, n_bends + 2)
        return comb(n_bends + 1, k) * t**k * (1 - t) ** (n_bends + 1 - k)
    weights = np.zeros(n_bends + 2)
    piece = min(int(t * (n_bends + 1)), n_bends)
    along = t * (n_bends + 1) - piece
    weights[piece], weights[piece + 1] = 1 - along, along
    return weights[1:]
