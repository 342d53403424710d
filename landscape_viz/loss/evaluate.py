"""Evaluator: the metrics of a problem at one position after another along directions, at little more than the forward pass.

Images and weights of convolutions are held in channels_last order, which torch's convolutions are fastest in, where that
gives the same loss at the origin; `path` says so.
"""

from contextlib import nullcontext

import numpy as np
import torch
from torch.nn.modules.batchnorm import _NormBase

from landscape_viz.loss import batches, metrics, sameness
from landscape_viz.loss.objective import SMALL, Objective, as_tensor
from landscape_viz.loss.precision import tolerance


class Evaluator:
    """A network that can be moved along directions and measured.

    Parameters
    ----------
    problem : Problem
    vectors : array_like, shape (n_directions, n_parameters)
        Directions, in the order of `problem.shapes`.
    measured : sequence or dict, optional
        As for `section`; None takes those that apply.
    device : str or torch.device

    Attributes
    ----------
    path : str
        How positions are computed: "plain", "channels last", or "n at once".
    loss_at_origin : float
        Computed so, one position at a time.

    Raises
    ------
    ValueError
        As `Objective`; also when accuracy is asked for and the targets are not class indices.
    """

    def __init__(self, problem, vectors, measured=None, *, device="cpu"):
        self.objective = Objective(problem, device=device, derivatives=False)
        self.problem, self.device = self.objective.problem, self.objective.device
        self.metrics = metrics.named(self.objective.facts.metrics if measured is None else measured)
        if "accuracy" in self.metrics.values() and "accuracy" not in self.objective.facts.metrics:
            metrics.require_accuracy(self.metrics, None)
        self._vectors = [self._as_vector(vector) for vector in vectors]
        self._weights = self.objective.vector
        self._positions = _positions(self.problem, self._vectors, self._weights)
        self._loss_alone = list(self.metrics.values()) == ["loss"]
        self.path, self.loss_at_origin = "plain", self.objective.facts.loss
        self.objective.keep_near()
        self._try_channels_last()

    def move(self, position):
        """Set the weights to origin + sum_k position[k] vectors[k], added up in this order whatever came before."""
        self._positions.go(position)
        self.objective.point(self._weights)

    def measure(self, index=0):
        """Return the metrics at the present weights as a list of floats; `index` numbers the position for live dropout."""
        objective = self.objective
        with torch.set_grad_enabled(objective.facts.needs_grad):
            if self.problem.batch_norm == "recalibrate":
                with objective.evaluating(index):
                    self._recalibrate()
            if self._loss_alone:
                return [objective.loss(index=index)]
            with objective.evaluating(index):
                sums = sum(self._sums(k) for k in range(len(objective.batches)))
        return self._quotients(objective.summed(sums)).tolist()

    @property
    def relative_size(self):
        """Norm of the weights over that of the first direction; 1 where there is none."""
        ours = self._positions.norm_of_origin
        theirs = float(self._vectors[0].norm()) if self._vectors else 0.0
        return ours / theirs if ours > 0 and theirs > 0 else 1.0

    def loss_at(self, coordinate):
        """Return the loss at a coordinate along the first direction (at the origin without any), under the first masks."""
        if self._vectors:
            self.move([coordinate] + [0.0] * (len(self._vectors) - 1))
        return self.objective.loss()

    def run(self, positions, first=0):
        """Return the metrics at `positions`, numbered from `first` on, as an array of shape (n_metrics, n_positions)."""
        values = np.empty((len(self.metrics), len(positions)))
        masked = self.problem.dropout != "off"
        with nullcontext() if masked else self.objective.evaluating():
            for k, position in enumerate(positions):
                self.move(position)
                values[:, k] = self.measure(first + k)
        return values

    def _sums(self, k):
        """Return (sum, count) of each metric over batch k, shape (n_metrics, 2), float64."""
        batch = self.objective.placed(k)
        needs_term = any(not callable(metric) for metric in self.metrics.values())
        term = self.objective.loss_of(self.objective.model, batch) if needs_term else None
        return torch.stack([self._pair(metric, term, batch) for metric in self.metrics.values()])

    def _pair(self, metric, term, batch):
        """Return a metric's sum over a batch and its count, float64; what the loss is divided by is known."""
        if callable(metric):
            pair = metrics.of_function(metric, self.objective.model, batch, self.device)
        elif metric == "loss":
            pair = term.total.detach(), 1.0
        else:
            found = metrics.accuracy(self.objective.loss_of, term.outputs, term.targets)
            pair = metrics.require_accuracy(self.metrics, found)
        return torch.stack([self._number(part) for part in pair])

    def _number(self, value):
        kind = torch.float32 if self.device.type == "mps" else torch.float64
        return torch.as_tensor(value, dtype=kind, device=self.device)

    def _quotients(self, sums):
        """Return sums over counts; the loss is divided by what all batches weigh, to the bit as elsewhere."""
        sums = sums.cpu().numpy()
        counts = sums[..., 1].copy()
        for k, metric in enumerate(self.metrics.values()):
            if metric == "loss":
                counts[..., k] = self.objective.facts.divisor
        return sums[..., 0] / counts

    def _recalibrate(self):
        model = self.objective.model
        layers = [m for m in model.modules() if isinstance(m, _NormBase) and m.track_running_stats]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # a plain average over the batches
            layer.train()
        for k in range(len(self.objective.batches)):
            self.objective.term(k)
        for layer in layers:
            layer.eval()

    def _try_channels_last(self):
        """Change to channels_last order if the loss at the origin stays what it is, to rounding."""
        objective = self.objective
        images = isinstance(objective.batches, list) and any(
            tensor.ndim == 4 for tensor in batches.leaves(objective.batches[0])
        )
        if not images or not any(p.ndim == 4 for p in objective.parameters.values()):
            return
        kept, before = objective.batches, sameness.kinds(objective)
        objective.memory_format = torch.channels_last
        objective.point(self._weights)
        try:
            objective.keep_near()
            there = objective.loss()
        except RuntimeError:  # a network that takes the memory order for granted, by view
            there = np.nan
        if abs(there - objective.facts.loss) <= tolerance(before, objective.facts.loss):
            self.path, self.loss_at_origin = "channels last", there
            return
        objective.memory_format, objective.batches = torch.contiguous_format, kept
        objective.point(self._weights)

    def _as_vector(self, vector):
        return as_tensor(vector).to(self.objective.vector)


def _positions(problem, vectors, weights):
    """Return the positions along `vectors` of a problem whose weights, a tensor, are at the origin now."""
    return _Kept(vectors, weights) if weights.nbytes <= SMALL else _Lean(problem, vectors, weights)


class _Kept:
    """Positions of a small network: the origin and the sums of all directions but the last, which change once a row, are kept."""

    def __init__(self, vectors, weights):
        self._vectors, self._weights, self._origin = vectors, weights, weights.clone()
        self._partial = [torch.empty_like(weights) for _ in vectors[1:]]
        self._position = [None] * len(vectors)

    @property
    def norm_of_origin(self):
        """Euclidean norm of the weights at the origin."""
        return float(self._origin.norm())

    def go(self, position):
        """Write the weights at a position."""
        start, last, changed = self._origin, len(position) - 1, False
        for k, coordinate in enumerate(position):
            changed = changed or coordinate != self._position[k]
            target = self._weights if k == last else self._partial[k]
            if changed or k == last:
                torch.add(start, self._vectors[k], alpha=coordinate, out=target)
            start = target
        self._position = list(position)


class _Lean:
    """Positions of a large network: the origin is what the problem holds, tensor by tensor."""

    def __init__(self, problem, vectors, weights):
        self._vectors, self._weights = vectors, weights
        self._origin = [problem.state[name].reshape(-1).to(weights) for name in problem.shapes]

    @property
    def norm_of_origin(self):
        """Euclidean norm of the weights at the origin."""
        return float(sum(part.norm().double() ** 2 for part in self._origin) ** 0.5)

    def go(self, position):
        """Write the weights at a position."""
        for k, coordinate in enumerate(position):
            if k:
                self._weights.add_(self._vectors[k], alpha=coordinate)
            else:
                self._start(coordinate)

    def _start(self, coordinate):
        sizes = [len(part) for part in self._origin]
        ways = torch.split(self._vectors[0], sizes), torch.split(self._weights, sizes)
        for origin, way, target in zip(self._origin, *ways, strict=True):
            torch.add(origin, way, alpha=coordinate, out=target)
