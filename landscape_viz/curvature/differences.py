"""The Hessian of a problem's loss by differences of gradients: for networks that torch cannot differentiate twice."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator

from landscape_viz.loss.objective import Objective, as_tensor
from landscape_viz.loss.problem import Problem
from multifractal.base.checks import positive_number
from multifractal.base.rng import as_generator
from multifractal.base.types import Array


class DifferenceHessian(LinearOperator):
    """The Hessian's products as central differences of two gradients, with their measured bias; `HessianOperator` is exact.

    It needs no second derivative and no graph of the gradient. Where the loss has kinks (ReLU) the differences see those that
    lie within the step, and `bias` is large: such products are those of another function, smoothed over the step.

    Parameters
    ----------
    problem : Problem
    params : None, str, list of str, or callable
        As for `Problem`, in the place of the problem's own choice.
    step : float, optional
        Length of the step to either side, in units of the norm of the weights (of 1, if that is less). Our choice: the cube
        root of the dtype's epsilon, which balances the two errors of a loss without scales of its own.
    device : str or torch.device

    Attributes
    ----------
    shape : (n, n)
    step : float
        Length of the step to either side, in units of weights.
    bias : float
        Of a product along one random vector: its distance from that with twice the step, over its own norm. Of a smooth loss
        the bias is a third of that, and falls as the square of the step until rounding takes over.
    products : int
        How many products were made, the two that measured the bias left out.

    Raises
    ------
    ValueError
        As `Objective`, or when the step is not positive.

    Examples
    --------
    >>> import torch
    >>> from landscape_viz import DifferenceHessian, Problem
    >>> data = torch.eye(3).double(), torch.tensor([[1.0], [2.0], [3.0]]).double()
    >>> operator = DifferenceHessian(Problem(torch.nn.Linear(3, 1, bias=False).double(), None, "mse", data))
    >>> (operator @ [1.0, 0.0, 0.0]).round(6).tolist()
    [0.666667, 0.0, 0.0]
    """

    def __init__(
        self,
        problem: Problem,
        params: object = None,
        *,
        step: float | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        step = None if step is None else positive_number("step", step)
        self.objective = Objective(problem, params, device=device)
        super().__init__(self.objective.dtype, (self.objective.size, self.objective.size))
        self._origin = self.objective.vector.clone()
        relative = float(np.finfo(self.dtype).eps) ** (1 / 3) if step is None else step
        self.step = relative * max(1.0, float(self._origin.norm()))
        self.bias, self.products = self._measured_bias(), 0

    @property
    def gradient(self) -> Array:
        """The gradient at the problem's weights, shape (n,)."""
        return self.objective.gradient()

    def product_torch(self, vector: torch.Tensor, into: torch.Tensor | None = None) -> torch.Tensor:
        """Return the product with a tensor of shape (n,) on the operator's device, where it stays; in `into`, if given."""
        self.products += 1
        found = self._difference(vector, self.step)
        return found if into is None else into.copy_(found)

    def _matvec(self, vector):
        vector = as_tensor(vector, self.dtype).to(self.objective.device)
        return self.product_torch(vector).cpu().numpy()

    def _adjoint(self):
        return self

    def _difference(self, vector, step):
        length = float(vector.norm())
        if length == 0:
            return torch.zeros_like(vector)
        here = self.objective.vector
        try:
            ahead = self._gradient_at(vector, step / length)
            return ahead.sub_(self._gradient_at(vector, -step / length)).mul_(length / (2 * step))
        finally:
            here.copy_(self._origin)
            self.objective.point(here)

    def _gradient_at(self, vector, scale):
        torch.add(self._origin, vector, alpha=scale, out=self.objective.vector)
        self.objective.point(self.objective.vector)
        return self.objective.value_and_gradient_torch()[1]

    def _measured_bias(self):
        draw = as_generator(0).standard_normal(self.shape[0]).astype(self.dtype)
        vector = torch.from_numpy(draw).to(self._origin)
        near, far = (self._difference(vector, steps * self.step) for steps in (1, 2))
        size = float(near.norm())
        return float((far - near).norm()) / size if size > 0 else 0.0
