"""StackedEvaluator: several positions in one launch, for devices that one network does not fill.

The parameters of several positions are stacked and the network is called once by `torch.func.vmap`. On a CPU this gains for
tiny networks only; convolutions lose (measured), so that it is used there only when asked for.
"""

import numpy as np
import torch
from torch.func import functional_call, vmap

from landscape_viz.loss.evaluate import METRICS, Evaluator, batches, dropout_masks, quiet_numerics
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
    problem, vectors, metrics, device
        As for `Evaluator`; BatchNorm not "recalibrate", dropout not "live".
    at_once : int, optional
        None: as many as fit in half of the device's memory, at most 64, judged by the peak of one position.
    """

    def __init__(self, problem, vectors, metrics=METRICS, *, at_once=None, device="cpu"):
        require(
            can_stack(problem),
            "at_once",
            at_once,
            "be 1 with recalibrated BatchNorm or live dropout",
            "pass at_once=1",
        )
        super().__init__(problem, vectors, metrics, device=device)
        self._buffers = dict(self._model.named_buffers())
        self._stack = torch.empty(
            (at_once or self._fitting(), len(self._origin)),
            dtype=self._origin.dtype,
            device=self.device,
        )

    def run(self, positions, first=0):
        """Return the metrics at `positions` as an array of shape (n_metrics, n_positions)."""
        size = len(self._stack)
        groups = [positions[k : k + size] for k in range(0, len(positions), size)]
        with torch.no_grad(), quiet_numerics(self.device):
            return np.concatenate([self._launch(group) for group in groups], axis=1)

    def _launch(self, positions):
        for row, position in zip(self._stack, positions, strict=False):
            self.move(position)
            row.copy_(self._weights)
        parameters = self._named(self._stack[: len(positions)])
        sums = torch.zeros(
            (len(positions), len(self.metrics)), dtype=torch.float64, device=self.device
        )
        with dropout_masks(self.problem, 0, self.device):
            for inputs, targets in batches(self.problem, self._inputs, self._targets):
                outputs = vmap(self._call, in_dims=(0, None), randomness="same")(parameters, inputs)
                sums += torch.stack([self._sums(one, targets) for one in outputs])
        return (sums / len(self._inputs)).cpu().numpy().T

    def _call(self, parameters, inputs):
        return functional_call(self._model, (parameters, self._buffers), (inputs,))

    def _named(self, stack):
        """Return the rows of `stack` as stacked parameters by name, in the order the flat buffer keeps them."""
        parts = torch.split(
            stack, [parameter.numel() for parameter in self._model.parameters()], dim=1
        )
        named = {}
        for (name, shape), part in zip(self.problem.shapes.items(), parts, strict=True):
            rows = len(stack)
            named[name] = (
                part.view(rows, shape[0], shape[2], shape[3], shape[1]).permute(0, 1, 4, 2, 3)
                if len(shape) == 4
                else part.view(rows, *shape)
            )
        return named

    def _fitting(self):
        """Return how many positions fit, by what one of them takes at its peak."""
        if self.device.type != "cuda":
            return _MOST
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        self.measure()
        one = torch.cuda.max_memory_allocated(self.device) - before + self._origin.nbytes
        total = torch.cuda.get_device_properties(self.device).total_memory
        return max(1, min(_MOST, int(_SHARE_OF_MEMORY * total / one)))
