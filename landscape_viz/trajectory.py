"""A training run seen in two dimensions: projected, with its distance from the plane and its true losses, or embedded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from landscape_viz.directions import _checked_directions, _checked_states, displacements, gram
from landscape_viz.loss.evaluate import Evaluator
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.loss.problem import Problem, checked_problem
from multifractal.base.checks import finite_array, require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.types import Array, ArrayLike, Rng
from multifractal.training.embedding import embed_path

if TYPE_CHECKING:
    from landscape_viz.directions import Directions
    from multifractal.training.embedding import PathEmbedding


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Trajectory(Result):
    """A run projected on directions.

    Attributes
    ----------
    coordinates : ndarray, shape (T, n), float64
        Least-squares coordinates along the directions, in the units of a section's axes.
    residuals : ndarray, shape (T,)
        |theta_t - its projection| / |theta_t - origin|: 0 in the plane, 1 where the plane shows nothing of the state; 0 at
        the origin itself.
    distances : ndarray, shape (T,)
        |theta_t - origin|.
    true_loss : ndarray, shape (T,)
        The loss of each state itself, with its own running statistics.
    plane_loss : ndarray, shape (T,)
        The loss at its projection, which is what a section's contours show under it.
    labels : list of str
        What each direction is.
    directions_hash : str
    provenance : Provenance
    """

    coordinates: np.ndarray
    residuals: np.ndarray
    distances: np.ndarray
    true_loss: np.ndarray
    plane_loss: np.ndarray
    labels: list
    directions_hash: str
    provenance: Provenance


def project(
    problem: Problem,
    states: Sequence[Mapping[str, torch.Tensor]],
    directions: Directions,
    *,
    threads: int = 1,
    device: str | torch.device = "cpu",
) -> Trajectory:
    """Project a training run on directions, and measure the loss on and off them.

    Parameters
    ----------
    problem : Problem
        Its weights are the origin, usually the end of the run; its dropout must not be live.
    states : sequence of state dicts
        The run, in order.
    directions : Directions
        For example `directions.pca(problem, states)`; they need not be orthogonal.
    threads : int
        Threads of torch; 1 is our choice, as in `section`.
    device : str or torch.device

    Returns
    -------
    Trajectory

    Raises
    ------
    ValueError
        When the problem's dropout is live.
    """
    states, threads = _checked_states(states), whole_number("threads", threads)
    _checked_directions(directions)
    require(
        checked_problem(problem).dropout != "live",
        "dropout",
        problem.dropout,
        "not be live",
        "make the Problem(..., dropout='off') or 'fixed'",
    )
    directions.check(problem)
    moves = displacements(problem, states)
    n = len(directions)
    products = gram(np.concatenate([directions.vectors, moves]))
    coordinates = np.linalg.lstsq(products[:n, :n], products[:n, n:], rcond=None)[0].T
    distances = np.sqrt(np.diag(products)[n:])
    off_plane = np.array(
        [_distance(move, directions.vectors, c) for move, c in zip(moves, coordinates, strict=True)]
    )
    residuals = np.divide(off_plane, distances, out=np.zeros_like(distances), where=distances > 0)
    with pinned_threads(threads):
        true_loss = [
            Evaluator(problem.with_state(state), [], ("loss",), device=device).measure()[0]
            for state in states
        ]
        plane_loss = losses_at(problem, directions, coordinates, device=device)
    return Trajectory(
        coordinates=coordinates,
        residuals=residuals,
        distances=distances,
        true_loss=np.array(true_loss),
        plane_loss=plane_loss,
        labels=list(directions.labels),
        directions_hash=directions.hash,
        provenance=Provenance.of(
            "trajectory.project",
            packages=("numpy", "torch"),
            problem=problem,
            n_states=len(states),
            directions=directions.provenance.call,
        ),
    )


def embedding(
    problem: Problem,
    states: Sequence[Mapping[str, torch.Tensor]],
    *,
    perplexity: float | None = None,
    rng: Rng = 0,
    progress: bool = True,
) -> PathEmbedding:
    """Return the run's states embedded in two dimensions by t-SNE, with their principal components.

    The parameters are first rotated into the space that the states span, which leaves all distances alone; then
    `multifractal.embed_path` places them.

    Parameters
    ----------
    problem : Problem
        The network the states belong to.
    states : sequence of state dicts
        At least 7.
    perplexity : float, optional
        At most a third of the states after the first; None (our choice) takes that, or 30 if it is more.
    rng, progress
        As for `multifractal.embed_path`.

    Returns
    -------
    multifractal.PathEmbedding
        A picture of neighbourhoods: neither its distances nor its axes have a meaning.

    Raises
    ------
    ValueError
        When there are fewer than 7 states.
    """
    good = isinstance(states, list | tuple)
    held = len(states) if good else type(states).__name__
    require(
        good and len(states) >= 7, "states", held, "be at least 7 state dicts", "save more states"
    )
    sizes, axes = np.linalg.eigh(gram(displacements(problem, states)))
    rotated = (axes * np.sqrt(np.maximum(sizes, 0)))[:, ::-1]
    return embed_path(
        rotated,
        perplexity=min(30, (len(states) - 1) / 3) if perplexity is None else perplexity,
        rng=rng,
        progress=progress,
    )


def losses_at(
    problem: Problem,
    directions: Directions,
    coordinates: ArrayLike,
    *,
    device: str | torch.device = "cpu",
) -> Array:
    """Return the loss of `problem` at each row of `coordinates`, shape (T, n), along `directions`; shape (T,), float64.

    The network runs on `device`. Raises ValueError where the columns are not as many as the directions, or are not finite.
    """
    coordinates = finite_array("coordinates", coordinates, ndim=2, dtype=np.float64)
    directions = _checked_directions(directions)
    require(
        coordinates.shape[1] == len(directions),
        "coordinates",
        coordinates.shape,
        f"have shape (T, {len(directions)}), one column a direction",
        "pass as many columns as there are directions",
    )
    evaluator = Evaluator(checked_problem(problem), directions.vectors, ("loss",), device=device)
    losses = []
    for row in coordinates:
        evaluator.move([float(c) for c in row])
        losses.append(evaluator.measure()[0])
    return np.array(losses)


def _distance(move, vectors, coordinates, block=1 << 20):
    """Return |move - coordinates @ vectors| in float64, block by block."""
    total = 0.0
    for first in range(0, len(move), block):
        part = slice(first, first + block)
        total += np.sum(
            (move[part].astype(np.float64) - coordinates @ vectors[:, part].astype(np.float64)) ** 2
        )
    return np.sqrt(total)
