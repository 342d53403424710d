"""Evaluator: the loss of a problem at one position after another, at little more than the cost of the forward pass.

All parameters are views of one flat buffer, so that moving to the next position is one addition over that buffer. Weights of
convolutions and images are held in channels_last order, which torch's convolutions are fastest in.
"""

from contextlib import ExitStack, contextmanager, nullcontext

import numpy as np
import torch
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase

from landscape_viz.loss.problem import checked_problem, seeded
from multifractal.base.checks import one_of, require

METRICS = ("loss", "accuracy")
_LOSSES = {"cross_entropy": functional.cross_entropy, "mse": functional.mse_loss}


class Evaluator:
    """A network that can be moved along directions and measured.

    Parameters
    ----------
    problem : Problem
    vectors : array_like, shape (n_directions, n_parameters)
        Directions, in the order of `problem.shapes`.
    metrics : sequence of str
        Among "loss" and "accuracy".
    device : str or torch.device

    Raises
    ------
    ValueError
        When accuracy is asked for and the targets are not class indices.
    """

    def __init__(self, problem, vectors, metrics=METRICS, *, device="cpu"):
        self.problem, self.metrics, self.device = (
            checked_problem(problem),
            tuple(metrics),
            checked_device(device),
        )
        self._model = problem.build().to(self.device)
        self._inputs, self._targets = (part.to(self.device) for part in problem.load())
        if self._inputs.ndim == 4 and any(
            parameter.ndim == 4 for parameter in self._model.parameters()
        ):
            self._inputs = self._inputs.contiguous(memory_format=torch.channels_last)
        check_metrics(self.metrics, self._targets)
        self._loss = loss_function(problem)
        self._origin = self._in_memory_order(problem.weights())
        self._vectors = [
            self._in_memory_order(torch.as_tensor(np.array(v))).to(self._origin.dtype)
            for v in vectors
        ]
        self._partial = [torch.empty_like(self._origin) for _ in self._vectors[1:]]
        self._weights = self._origin.clone()
        self._point_the_model_at(self._weights)
        self._position = [None] * len(self._vectors)

    def move(self, position):
        """Set the weights to origin + sum_k position[k] vectors[k], added up in this order whatever came before."""
        start = self._origin
        last = len(position) - 1
        changed = False
        for k, coordinate in enumerate(position):
            changed = changed or coordinate != self._position[k]
            target = self._weights if k == last else self._partial[k]
            if changed or k == last:
                torch.add(start, self._vectors[k], alpha=coordinate, out=target)
            start = target
        self._position = list(position)

    def measure(self, index=0):
        """Return the metrics at the present weights as a list of floats; `index` numbers the position for live dropout."""
        with torch.no_grad(), quiet_numerics(self.device):
            if self.problem.batch_norm == "recalibrate":
                with dropout_masks(self.problem, index, self.device):
                    self._recalibrate()
            with dropout_masks(self.problem, index, self.device):
                return self._measured()

    def run(self, positions, first=0):
        """Return the metrics at `positions`, numbered from `first` on, as an array of shape (n_metrics, n_positions)."""
        values = np.empty((len(self.metrics), len(positions)))
        for k, position in enumerate(positions):
            self.move(position)
            values[:, k] = self.measure(first + k)
        return values

    def _measured(self):
        sums = torch.zeros(len(self.metrics), dtype=torch.float64, device=self.device)
        for inputs, targets in batches(self.problem, self._inputs, self._targets):
            sums += self._sums(self._model(inputs), targets)
        return (sums / len(self._inputs)).tolist()

    def _sums(self, outputs, targets):
        """Return each metric summed over a batch, shape (n_metrics,), float64; outputs that are NaN predict nothing."""
        values = {}
        if "loss" in self.metrics:
            loss = torch.as_tensor(
                self._loss(outputs, targets), dtype=torch.float64, device=self.device
            )
            require(
                loss.numel() == 1,
                "loss",
                tuple(loss.shape),
                "be one number a batch",
                "average over the batch",
            )
            values["loss"] = loss.reshape(()) * len(outputs)
        if "accuracy" in self.metrics:
            values["accuracy"] = (
                ((outputs.argmax(1) == targets) & ~outputs.isnan().any(1)).sum().double()
            )
        return torch.stack([values[metric] for metric in self.metrics])

    def _recalibrate(self):
        layers = [
            m for m in self._model.modules() if isinstance(m, _NormBase) and m.track_running_stats
        ]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # a plain average over the batches
            layer.train()
        for inputs, _ in batches(self.problem, self._inputs, self._targets):
            self._model(inputs)
        for layer in layers:
            layer.eval()

    def _in_memory_order(self, vector):
        parts = self.problem.unflatten(vector).values()
        return torch.cat(
            [(p.permute(0, 2, 3, 1) if p.ndim == 4 else p).reshape(-1) for p in parts]
        ).to(self.device)

    def _point_the_model_at(self, buffer):
        first = 0
        for parameter in self._model.parameters():
            shape = parameter.shape
            part = buffer[first : first + parameter.numel()]
            if parameter.ndim == 4:
                parameter.data = part.view(shape[0], shape[2], shape[3], shape[1]).permute(
                    0, 3, 1, 2
                )
            else:
                parameter.data = part.view(shape)
            first += parameter.numel()


def check_metrics(metrics, targets):
    """Refuse unknown metrics, and accuracy where targets are not class indices."""
    good = isinstance(metrics, tuple | list) and len(metrics) > 0
    require(good, "metrics", metrics, "name at least one, in a tuple or list", "pass ('loss',)")
    for metric in metrics:
        one_of("metrics", metric, METRICS)
    classes = not targets.is_floating_point() and targets.ndim == 1
    require(
        "accuracy" not in metrics or classes,
        "metrics",
        metrics,
        "be ('loss',) where targets are not class indices",
        "leave 'accuracy' out",
    )


def loss_function(problem):
    """Return the function (outputs, targets) -> mean loss; the named losses are taken in float64."""
    if callable(problem.loss):
        return problem.loss
    named = _LOSSES[problem.loss]
    return lambda outputs, targets: named(outputs.double(), targets)


def dropout_masks(problem, index, device):
    """Return the context that dropout draws its masks in: the same draws at each position, or those of position `index`."""
    if problem.dropout == "off":
        return nullcontext()
    seed = problem.seed
    if problem.dropout == "live":
        seed = int(
            np.random.SeedSequence(seed, spawn_key=(index,)).generate_state(1, np.uint64)[0]
            >> np.uint64(1)
        )
    return seeded(seed, [device] if device.type == "cuda" else [])


@contextmanager
def pinned_threads(count):
    """Let torch use `count` threads in this block, and as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quiet_numerics(device):
    """Switch off what makes a section rough or wrong: autocast, which keeps stale copies of weights, TF32 and bfloat16."""
    with ExitStack() as stack:
        stack.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
        torch.set_float32_matmul_precision("highest")
        stack.enter_context(torch.autocast(device.type, enabled=False))
        if device.type == "cuda":
            stack.enter_context(
                torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False)
            )
        yield


def batches(problem, inputs, targets):
    """Return (inputs, targets) in batches of the problem's size, in order."""
    size = problem.batch_size or len(inputs)
    return zip(inputs.split(size), targets.split(size), strict=True)


def checked_device(device):
    """Return the torch.device of that name, refusing what this machine does not have."""
    try:
        found = torch.device(device) if isinstance(device, str | torch.device) else None
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError):
        found = None
    require(
        found is not None,
        "device",
        device,
        "be a device that torch finds here",
        "pass 'cpu', or 'cuda' on a GPU",
    )
    return found
