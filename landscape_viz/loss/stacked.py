"""StackedEvaluator: several positions in one launch, for devices that one network does not fill.

The parameters of several positions are stacked and the network is called once by `torch.func.vmap`. On a CPU this gains for
tiny networks only; convolutions lose (measured), so that it is used there only when asked for. A network that vmap refuses,
or for which it gives another loss at the origin, is measured position by position instead.
"""

import numpy as np
import torch
from torch.func import functional_call, vmap

from landscape_viz.loss import batches, calling, placing, sameness
from landscape_viz.loss.batch_loss import OfOutputs
from landscape_viz.loss.evaluate import Evaluator
from landscape_viz.loss.precision import tolerance
from multifractal.base.checks import require

_SHARE_OF_MEMORY, _MOST = 0.5, 64  # our choices


def can_stack(problem):
    """Return whether positions can share a launch: not where each changes buffers or draws masks of its own."""
    return problem.batch_norm != "recalibrate" and problem.dropout != "live"


class StackedEvaluator(Evaluator):
    """An `Evaluator` whose `run` measures `at_once` positions a launch.

    The weights are those of `Evaluator` to the bit, the metrics to rounding, since stacked kernels sum in another order.

    Parameters
    ----------
    problem, vectors, measured, device
        As for `Evaluator`; BatchNorm not "recalibrate", dropout not "live".
    at_once : int, optional
        None: as many as fit in half of the device's memory, at most 64, judged by what the modules of one position give.
    """

    def __init__(self, problem, vectors, measured=None, *, at_once=None, device="cpu"):
        require(
            can_stack(problem),
            "at_once",
            at_once,
            "be 1 with recalibrated BatchNorm or live dropout",
            "pass at_once=1",
        )
        super().__init__(problem, vectors, measured, device=device)
        alone = self.objective.facts.needs_grad  # vmap does not differentiate for it
        self.at_once = 1 if alone else at_once or self._fitting()
        if not self._gives_the_same():
            self.at_once = 1
            return
        self.path = f"{self.at_once} at once"

    def run(self, positions, first=0):
        """Return the metrics at `positions` as an array of shape (n_metrics, n_positions)."""
        if self.at_once == 1:
            return super().run(positions, first)
        values, done = [], 0
        while done < len(positions):
            group = positions[done : done + self.at_once]
            try:
                values.append(self._launch(group))
                done += len(group)
            except torch.OutOfMemoryError:
                if len(group) == 1:
                    raise
                self.at_once = max(1, len(group) // 2)
        return np.concatenate(values, axis=1)

    def _launch(self, positions):
        stack = torch.empty(
            (len(positions), len(self._weights)), dtype=self._weights.dtype, device=self.device
        )
        for row, position in zip(stack, positions, strict=True):
            self.move(position)
            row.copy_(self._weights)
        parameters, sums = self._named(stack), 0
        with torch.no_grad(), self.objective.evaluating():
            for k in range(len(self.objective.batches)):
                sums = sums + self._stacked_sums(parameters, self.objective.placed(k), len(stack))
        return self._quotients(self.objective.summed(sums)).T

    def _stacked_sums(self, parameters, batch, count):
        """Return (sum, count) of each metric over a batch, shape (n_positions, n_metrics, 2)."""
        inputs, targets = calling.inputs_and_targets(batch)
        outputs = vmap(self._call, in_dims=(0, None), randomness="same")(parameters, inputs)
        rows = []
        for k in range(count):
            one = batches.mapped(lambda tensor, k=k: tensor[k], outputs)
            term = self.objective.loss_of.of_outputs(one, targets, batch)
            rows.append(torch.stack([self._pair(m, term, batch) for m in self.metrics.values()]))
        return torch.stack(rows)

    def _call(self, parameters, inputs):
        model = self.objective.model
        return functional_call(
            _Called(model), ({f"model.{k}": v for k, v in parameters.items()}, {}), (inputs,)
        )

    def _named(self, stack):
        """Return the rows of `stack` as stacked parameters by name."""
        parameters = self.objective.parameters
        parts = torch.split(stack, [p.numel() for p in parameters.values()], dim=1)
        named = {}
        for (name, parameter), part in zip(parameters.items(), parts, strict=True):
            part = part.view(len(stack), *parameter.shape).to(parameter.dtype)
            if parameter.ndim == 4 and self.objective.memory_format == torch.channels_last:
                part = part.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
            named[name] = part
        return named

    def _gives_the_same(self):
        """Whether two stacked positions at the origin give the loss of the plain path, to rounding."""
        functions = any(callable(metric) for metric in self.metrics.values())
        if self.at_once == 1 or functions or not isinstance(self.objective.loss_of, OfOutputs):
            return False
        expected, row = (
            self.objective.facts.loss,
            list(self.metrics).index("loss") if "loss" in self.metrics else None,
        )
        try:
            values = self._launch([[0.0] * len(self._vectors)] * 2)
        except (RuntimeError, ValueError, NotImplementedError):  # vmap refuses in many ways
            return False
        close = tolerance(sameness.kinds(self.objective), expected)
        return row is None or bool((abs(values[row] - expected) <= close).all())

    def _fitting(self):
        """Return how many positions fit, by the bytes that the modules of one position give; no statistics are touched."""
        if placing.free_bytes(self.device) is None:
            return _MOST
        given = []
        hooks = [
            module.register_forward_hook(lambda m, args, out: given.append(batches.n_bytes(out)))
            for module in self.objective.model.modules()
        ]
        with torch.no_grad(), self.objective.evaluating():
            self.objective.term(0)
        for hook in hooks:
            hook.remove()
        free = placing.free_bytes(self.device)
        return max(
            1, min(_MOST, int(_SHARE_OF_MEMORY * free / (sum(given) + self._weights.nbytes)))
        )


class _Called(torch.nn.Module):
    """A network called on inputs as the loss calls it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, inputs):
        """Return the outputs."""
        return calling.called(self.model, inputs)
