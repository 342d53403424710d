"""Sections of a network's loss: a point against the bare forward pass, and against setting each parameter in a loop."""

import atexit
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import torch

from benchmarks.harness import Case
from landscape_viz import Problem, directions, models, section
from landscape_viz.loss.evaluate import Evaluator
from landscape_viz.loss.precision import pinned_threads

_NETWORKS = {
    "ResNet-20, batch 512": ("resnet20", 512, 1.33),
    "ResNet-20, batch 64": ("resnet20", 64, 1.11),
    "VGG-16, batch 64": ("vgg16", 64, 0.91),
    "MLP, batch 512": ("mlp", 512, 0.91),
    "MLP, batch 64": ("mlp", 64, 0.91),
}


def cases():
    """Return this chapter's cases, all on one thread of torch; a ratio of 1.33 is a cost of .75 of the bare forward pass."""
    return [case for name in _NETWORKS for case in _point_cases(name)] + [_two_workers()]


def _point_cases(name):
    network, size, aim = _NETWORKS[name]
    made = _Lazy(network, size)
    return [
        Case(
            f"section point, {name}",
            made.point,
            made.forward,
            against="contiguous forward pass",
            aim=f"≥ {aim}",
        ),
        Case(f"section point, {name}", made.point, made.loop, against="set parameters and forward"),
    ]


class _Lazy:
    """A problem of one network on random 3x32x32 images, built when first timed."""

    def __init__(self, network, size):
        self._network, self._size, self._made, self._count = network, size, None, 0

    def point(self):
        """Move to the next point of a row and measure loss and accuracy."""
        self._count += 1
        with pinned_threads(1):
            self._evaluator().move((0.1, 1e-3 * self._count))
            self._evaluator().measure()

    def forward(self):
        """Run the forward pass alone, in torch's contiguous memory format."""
        self._evaluator()
        with pinned_threads(1), torch.no_grad():
            self._model(self._images)

    def loop(self):
        """Set every parameter on its own, then take the forward pass, loss and accuracy."""
        self._evaluator()
        with pinned_threads(1), torch.no_grad():
            for name, parameter in self._model.named_parameters():
                parameter.copy_(
                    self._start[name] + 0.1 * self._parts[0][name] + 1e-3 * self._parts[1][name]
                )
            outputs = self._model(self._images)
            float(torch.nn.functional.cross_entropy(outputs, self._classes))
            float((outputs.argmax(1) == self._classes).double().mean())

    def _evaluator(self):
        if self._made is None:
            self._images, self._classes = _random_images(self._size)
            problem = _problem(self._network, self._size)
            vectors = directions.random(problem, 2).vectors
            self._made = Evaluator(problem, vectors)
            self._model = problem.build()
            self._start = {
                name: tensor.clone() for name, tensor in self._model.state_dict().items()
            }
            self._parts = [problem.unflatten(torch.tensor(np.array(vector))) for vector in vectors]
        return self._made


def _two_workers():
    """Return the case of two single-threaded worker processes against one, all started before the clock is."""
    problem = _problem("resnet20", 8)
    plane = directions.random(problem, 2)
    pools = {}

    def run(n):
        if not pools:
            for count in (1, 2):
                pools[count] = ProcessPoolExecutor(
                    count, mp_context=multiprocessing.get_context("spawn")
                )
                atexit.register(pools[count].shutdown)
                section(problem, plane, ["-1:1:4", "-1:1:4"], executor=pools[count], progress=False)
        section(problem, plane, ["-1:1:32", "-1:1:32"], executor=pools[n], progress=False)

    return Case(
        "section of 1024 points, ResNet-20, batch 8, two workers",
        partial(run, 2),
        partial(run, 1),
        against="one worker",
        aim="≥ 1.8",
        repeats=3,
    )


def _problem(network, size):
    return Problem(
        partial(models.build, network, input_shape=(3, 32, 32)),
        None,
        "cross_entropy",
        partial(_random_images, size),
    )


def _random_images(size):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(size, 3, 32, 32, generator=generator), torch.randint(
        0, 10, (size,), generator=generator
    )
