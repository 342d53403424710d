"""Products with a symmetric operator, of tensors that stay on its device; what iterates over products starts here.

A `HessianOperator` multiplies tensors (`product_torch`); any other operator is given arrays on the CPU.
"""

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator

from landscape_viz.loss.objective import as_tensor, empty_vector
from multifractal.base.checks import require

_DRAWN = 2**20  # numbers drawn at once: draws are float64, vectors seldom


def checked_operator(operator):
    """Return `operator`; raise if it cannot be multiplied with vectors of its length."""
    shape = getattr(operator, "shape", None)
    good = (
        isinstance(operator, LinearOperator | np.ndarray)
        and len(shape) == 2
        and shape[0] == shape[1] > 0
    )
    require(
        good,
        "operator",
        operator,
        "be a square LinearOperator or array",
        "pass for example HessianOperator(problem)",
    )
    return operator


class Products:
    """The function v -> operator @ v of tensors, which refuses a product that is not finite.

    Attributes
    ----------
    size : int
    dtype : torch.dtype
        Of vectors: float64, or float32 for an operator of no more.
    device : torch.device
    eps : float
        Of `dtype`.
    wide : torch.dtype
        What sums are taken in.
    """

    def __init__(self, operator):
        self.size = operator.shape[0]
        kind = np.result_type(getattr(operator, "dtype", None) or np.float64, np.float32)
        self.dtype = torch.float32 if kind == np.float32 else torch.float64
        self.eps = torch.finfo(self.dtype).eps
        self._own = getattr(operator, "product_torch", None)
        self.device = operator.objective.device if self._own else torch.device("cpu")
        self.wide = torch.float32 if self.device.type == "mps" else torch.float64
        self._of_array = operator.matvec if hasattr(operator, "matvec") else operator.__matmul__

    def __call__(self, vector, into=None):
        """Return the product with a tensor of shape (size,); `into` may serve for it."""
        image = self._own(vector, into) if self._own else self._through_numpy(vector, into)
        if not torch.isfinite(image.sum()):
            bad = int((~torch.isfinite(image)).sum())
            if bad:
                raise ArithmeticError(
                    f"a product with the operator is not finite in {bad} of {len(image)} entries; of a Hessian: "
                    "look for NaN in the weights, or a loss without second derivative there (sqrt or log at 0)"
                )
        return image

    def of_rows(self, rows):
        """Return the products with each of the rows, shape (k, size)."""
        images = torch.empty_like(rows)
        for row, image in zip(rows, images, strict=True):
            self(row, into=image)
        return images

    def rows(self, count):
        """Return `count` vectors of any numbers on the device, shape (count, size)."""
        return torch.empty((count, self.size), dtype=self.dtype, device=self.device)

    def on_device(self, array):
        """Return a small array on the device, in the dtype of vectors."""
        return torch.as_tensor(np.ascontiguousarray(array), dtype=self.dtype, device=self.device)

    def normal(self, generator):
        """Return a standard normal vector; the numbers are numpy's, whatever the device."""
        return self.drawn(generator.standard_normal)

    def signs(self, generator):
        """Return a vector of -1 and 1 with equal chances."""
        return self.drawn(lambda count: generator.choice([-1.0, 1.0], count))

    def unit(self, k):
        """Return the k-th unit vector."""
        vector = self.rows(1)[0].zero_()
        vector[k] = 1.0
        return vector

    def drawn(self, draw):
        """Return a vector of what `draw(count)` gives, piece by piece."""
        vector = empty_vector(self.size, self.dtype, self.device)
        for part in vector.split(_DRAWN):
            part.copy_(torch.from_numpy(draw(len(part))))
        return vector

    def _through_numpy(self, vector, into):
        image = as_tensor(self._of_array(vector.numpy()))
        return torch.empty_like(vector).copy_(image) if into is None else into.copy_(image)
