"""The networks of these experiments as torch modules, so that `landscape_viz` can map them."""

import torch
from torch import nn


class OneHiddenLayer(nn.Module):
    """output . activation(hidden . x), without biases, in float64.

    Parameters
    ----------
    n_inputs, width, n_outputs : int
    degree : int, optional
        The activation is z^degree; None makes it relu(z).
    """

    def __init__(self, n_inputs, width, n_outputs, degree=None):
        super().__init__()
        self.degree = degree
        self.hidden = nn.Parameter(
            torch.randn(width, n_inputs, dtype=torch.float64) / n_inputs**0.5
        )
        self.output = nn.Parameter(torch.randn(n_outputs, width, dtype=torch.float64) / width**0.5)

    def forward(self, inputs):
        """Return outputs of shape (n_samples, n_outputs)."""
        products = inputs @ self.hidden.T
        active = torch.relu(products) if self.degree is None else products**self.degree
        return active @ self.output.T


def state_of(hidden, output):
    """Return the state dict with these weights: arrays of shapes (p, n) and (m, p), or (p,) for one output."""
    hidden, output = torch.as_tensor(hidden), torch.as_tensor(output)
    return {"hidden": hidden, "output": output.reshape(-1, hidden.shape[0])}


def square_loss(outputs, targets):
    """Return the mean over samples of |output - target|^2, summed over outputs as in the paper."""
    return ((outputs - targets) ** 2).sum(dim=1).mean()
