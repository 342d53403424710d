"""What a worker computes: a chunk of positions, with the network built once a worker and kept for the next chunk."""

import hashlib
import pickle
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch

from landscape_viz.curvature.ends import EndsEvaluator
from landscape_viz.devices.claims import claimed
from landscape_viz.loss.evaluate import Evaluator
from landscape_viz.loss.metrics import EIGENVALUES
from landscape_viz.loss.network import unsendable
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.loss.stacked import StackedEvaluator, can_stack
from landscape_viz.mapping import rounding

_SECONDS_BETWEEN_LOOKS = 0.1
_held = threading.local()  # one task a thread: the latest


@dataclass
class Task:
    """The points of a section, numbered in C order of its axes; `run` computes some of them."""

    problem: object
    vectors: np.ndarray
    axes: tuple
    metrics: object = None
    threads: int = 1
    device: str = "cpu"
    at_once: int | None = None
    devices: tuple = ()
    """Of the workers, one each; none where all use `device`."""
    _evaluator: Evaluator | None = field(default=None, repr=False)

    @property
    def evaluator(self):
        """The network of this process, made when it is first asked for."""
        if self._evaluator is None:
            self._evaluator = self._made()
        return self._evaluator

    def __getstate__(self):
        """Leave the network behind: a worker makes its own."""
        return vars(self) | {"_evaluator": None}

    @property
    def n_points(self):
        """Number of points of the whole grid."""
        return int(np.prod([len(axis) for axis in self.axes]))

    @property
    def chunk_size(self):
        """Points a chunk: at most 1 % of the grid (or one point), and at most 256; our choice."""
        return min(256, max(1, self.n_points // 100))

    def chunks(self):
        """Return (first, stop) of all chunks."""
        size, n = self.chunk_size, self.n_points
        return [(first, min(first + size, n)) for first in range(0, n, size)]

    def run(self, first, stop):
        """Return the metrics of the points `first` to `stop` - 1, shape (n_metrics, stop - first), float64."""
        positions = [self._position(number) for number in range(first, stop)]
        with pinned_threads(self.threads):
            return self.evaluator.run(positions, first)

    def _position(self, number):
        """Return the coordinates of a point; of one alone this is quicker than numpy."""
        found = []
        for axis in reversed(self.axes):
            number, k = divmod(number, len(axis))
            found.append(float(axis[k]))
        return found[::-1]

    @contextmanager
    def steady(self):
        """Keep threads and switches of torch for many chunks, which cost as much as a point of a small network."""
        with pinned_threads(self.threads):
            masked = self.problem.dropout != "off"
            with nullcontext() if masked else self.evaluator.objective.evaluating():
                yield

    def look(self):
        """Return what is known before any point: the metrics, the path, and the rounding."""
        with self.steady():
            found = self.evaluator
            return Known(list(found.metrics), found.path, rounding.floor(rounding.line(found)))

    def values(self):
        """Return the loss at the weights and at one more point, by words, which tell whether two sections are the same."""
        with self.steady():
            there = rounding.probe(self.evaluator)
        at_weights = self.evaluator.objective.facts.loss
        return {"loss at the weights": at_weights, "loss at a probe point": there}

    def _made(self):
        arguments = (self.problem, self.vectors, self.metrics)
        if set((self.metrics or {}).values()) & set(EIGENVALUES):
            return EndsEvaluator(*arguments, device=self.device)
        on_cpu = torch.device(self.device).type == "cpu"
        if self.at_once == 1 or (self.at_once is None and (on_cpu or not can_stack(self.problem))):
            return Evaluator(*arguments, device=self.device)
        return StackedEvaluator(*arguments, at_once=self.at_once, device=self.device)


@dataclass(frozen=True)
class Known:
    """What is known of a section before its points."""

    metrics: list
    path: str
    rounding: float


class Parcel:
    """A task made ready to be sent: pickled once, and known to workers by its hash."""

    def __init__(self, task):
        try:
            self._content = pickle.dumps(task, protocol=5)
        except Exception as error:
            raise ValueError(
                f"problem must be picklable to be sent to a worker, got {task.problem!r}, where "
                f"{unsendable(task.problem) or error} is not; define the factory, loss and loader at the top level of a "
                "module, or leave the executor out"
            ) from error
        self._key = _key_of(self._content)

    def submit(self, executor, chunk, *, whole):
        """Submit a chunk, with the task itself if `whole`; the future gives None where a worker does not hold the task."""
        return executor.submit(run_chunk, self._key, self._content if whole else None, *chunk)


def _key_of(content):
    return hashlib.sha256(content).hexdigest()


def run_chunk(key, content, first, stop):
    """Compute a chunk in a worker; returns None when this worker neither holds the task nor was sent it.

    The content comes through the executor from the process that made it, as the call itself does, never from a file or a user.
    """
    if getattr(_held, "key", None) != key:
        if content is None:
            return None
        if _key_of(content) != key:
            raise ValueError(
                "content must be the task that its key names, got other bytes; send the section's work again"
            )
        _held.task, _held.key = pickle.loads(content), key  # noqa: S301  from our own parent, see above
        if _held.task.devices:
            _held.task.device = claimed(_held.task.devices)
    return _held.task.run(first, stop)


def finished(futures):
    """Return those of `futures` that are done, waiting for at least one; submitit's jobs can only be asked again."""
    if all(isinstance(future, Future) for future in futures):
        return wait(futures, return_when=FIRST_COMPLETED).done
    while not (done := [future for future in futures if future.done()]):
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return done


def count(executor):
    """Return how many chunks `executor` runs at once, or None where it does not say."""
    client = getattr(executor, "_client", None)
    if hasattr(client, "nthreads"):
        return sum(client.nthreads().values()) or None
    return getattr(executor, "num_workers", None) or getattr(executor, "_max_workers", None)
