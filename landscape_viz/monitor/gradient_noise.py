"""The noise of a network's gradient by layer: how its tails read, along random directions and as it is mostly read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from landscape_viz.loss import batches, sameness
from landscape_viz.loss.objective import Objective
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.loss.problem import Problem, checked_problem
from multifractal.analysis.tails import TailIndex, tail_index
from multifractal.base.checks import refuse, require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_seed_sequence, realisation
from multifractal.base.types import Array, Rng

_BOOTSTRAPS = 100


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class GradientNoise(Result):
    """The noise of batch gradients of each layer, seen along a few directions and in a few coordinates.

    Attributes
    ----------
    layers : tuple of str
        Names of the modules whose parameters move; those without noise are left out.
    projections : ndarray, shape (n_layers, n_directions, n_batches), float64
        The noise of each layer along random directions of its own, over its standard deviation along each of them.
    coordinates : ndarray, shape (n_layers, n_directions, n_batches), float64
        The noise of single parameters, drawn from those that have any in most batches; as many as there are, NaN beyond.
    deviations : ndarray, shape (n_layers,), float64
        Root mean square of the noise over a layer's parameters.
    projected : tuple of TailIndex
        Of the projections of each layer, one direction after the other.
    pooled : tuple of TailIndex
        Of the coordinates of each layer, one batch after the other: how it is read in the literature.
    batch_size : int
    provenance : Provenance
    """

    layers: tuple
    projections: np.ndarray
    coordinates: np.ndarray
    deviations: np.ndarray
    projected: tuple
    pooled: tuple
    batch_size: int
    provenance: Provenance


def gradient_noise(
    problem: Problem,
    *,
    batch_size: int,
    n_batches: int = 500,
    n_directions: int = 8,
    rng: Rng = 0,
    device: str | torch.device = "cpu",
) -> GradientNoise:
    """Draw batches at fixed weights and estimate how heavy the tails of their gradients' noise are, layer by layer.

    The noise is the gradient of a batch minus the mean over the batches. Projected on random directions it is one quantity, of
    which batches are independent samples. Pooled over the coordinates of a layer it is a mixture of unequal variances, from
    which the block estimator reads alpha < 2 whatever the tails (`tail_index`; docs/heavy_tails.md): both are given.

    Parameters
    ----------
    problem : Problem
        Batches are drawn from its data, without replacement within a batch; its own `batch_size` is not used.
    batch_size : int
        Below the number of samples.
    n_batches : int
        At least 100. Our choice.
    n_directions : int
        Directions, and coordinates, of each layer. Our choice.
    rng : int, SeedSequence or Generator
        Child 0 draws directions and coordinates, child 1 + i batch i.
    device : str

    Returns
    -------
    GradientNoise

    Raises
    ------
    ValueError
        When the batch has no room in the data, or no layer has noise.

    References
    ----------
    U. Simsekli, L. Sagun, M. Gurbuzbalaban, ICML 2019, for the pooled reading.

    Examples
    --------
    >>> from landscape_viz import Problem
    >>> inputs, targets = torch.randn(300, 4, generator=torch.Generator().manual_seed(0)), torch.arange(300) % 3
    >>> problem = Problem(torch.nn.Linear(4, 3), None, "cross_entropy", (inputs, targets))
    >>> found = gradient_noise(problem, batch_size=30, n_batches=100, n_directions=2)
    >>> found.layers, found.projections.shape
    (('weights',), (1, 2, 100))
    """
    data = checked_problem(problem).load()
    count, size = batches.n_samples(data), whole_number("batch_size", batch_size)
    n_batches = whole_number("n_batches", n_batches, 100)
    n_directions = whole_number("n_directions", n_directions)
    require(
        count is not None and size < count,
        "batch_size",
        size,
        f"be below the number of samples, {count}",
        "take smaller batches",
    )
    seed = as_seed_sequence(rng)
    with pinned_threads(1):
        objective = Objective(problem, device=device)
        sameness.check_samples(objective, data)
        seen = _Seen(_places(objective.problem.shapes), n_directions, realisation(seed, 0))
        for i in range(n_batches):
            rows = realisation(seed, 1 + i).choice(count, size, replace=False)
            seen.add(objective.batch_gradient(batches.taken(data, torch.from_numpy(rows))))
    made_by = Provenance.of(
        "gradient_noise",
        rng=seed if isinstance(rng, np.random.Generator) else rng,
        packages=("numpy", "torch"),
        problem=problem,
        batch_size=size,
        n_batches=n_batches,
        n_directions=n_directions,
    )
    return _result(seen, size, made_by)


class _Seen:
    """What is kept of each batch's gradient: projections, some coordinates, and the sums that the deviations need."""

    def __init__(self, places, n_directions, generator):
        self.places, self.n_directions = places, n_directions
        self.rows: dict[str, list[Array]] = {name: [] for name in places}
        self.squares = dict.fromkeys(places, 0.0)
        self.sums = {name: 0.0 for name in places}
        self.directions, self.candidates = {}, {}
        for name, place in places.items():
            size = place.stop - place.start
            drawn = generator.standard_normal((n_directions, size))
            self.directions[name] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
            self.candidates[name] = generator.permutation(size)[: 16 * n_directions]

    def add(self, gradient):
        """Take in the gradient of a batch."""
        for name, place in self.places.items():
            part = gradient[place].astype(np.float64)
            self.sums[name] = self.sums[name] + part
            self.squares[name] += float(part @ part)
            projected = np.sum(self.directions[name] * part, axis=1)
            self.rows[name].append(np.append(projected, part[self.candidates[name]]))

    def noise(self, name):
        """Return projections, coordinates, (n, n_batches) each, and the root mean square of a layer's noise."""
        values = np.array(self.rows[name]).T
        n_batches = values.shape[1]
        mean = self.sums[name] / n_batches
        variance = self.squares[name] / n_batches - float(mean @ mean)
        along, single = np.split(values, [self.n_directions])
        live = single[(single != 0).mean(axis=1) > 0.5][: self.n_directions]
        deviation = np.sqrt(max(variance, 0.0) / len(mean))
        return _centred(along), _centred(live), float(deviation)


def _centred(values):
    return values - values.mean(axis=1, keepdims=True)


def _places(shapes):
    """Return where each module's parameters lie in a vector, by the module's name; they follow one another there."""
    places, at = {}, 0
    for name, shape in shapes.items():
        module, size = name.rpartition(".")[0] or "weights", int(np.prod(shape))
        first = places[module].start if module in places else at
        places[module], at = slice(first, at + size), at + size
    return places


def _result(seen, size, made_by):
    layers, projections, coordinates, deviations, projected, pooled = [], [], [], [], [], []
    for name in seen.places:
        along, single, deviation = seen.noise(name)
        spread = along.std(axis=1, keepdims=True)
        if not (spread > 0).all() or len(single) == 0:
            continue
        layers.append(name)
        projections.append(along / spread)
        padding = np.full((seen.n_directions - len(single), single.shape[1]), np.nan)
        coordinates.append(np.concatenate([single, padding]))
        deviations.append(deviation)
        projected.append(_tails(projections[-1]))
        pooled.append(_tails(single.T))
    if not layers:
        raise refuse(
            "problem", size, "have noise in some layer", "take smaller batches, or other data"
        )
    return GradientNoise(
        layers=tuple(layers),
        projections=np.array(projections),
        coordinates=np.array(coordinates),
        deviations=np.array(deviations),
        projected=tuple(projected),
        pooled=tuple(pooled),
        batch_size=size,
        provenance=made_by,
    )


def _tails(noise) -> TailIndex:
    return tail_index(noise, n_bootstrap=_BOOTSTRAPS, rng=0)
