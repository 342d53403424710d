"""The data of theorem 13 and their exact risk for a one-hidden-layer ReLU network: no Monte Carlo.

Half of the inputs are standard normal in the first n - 1 coordinates and zero in the last, half the other way round; the
target is alpha sum_{i<n} relu(x_i) - beta relu(x_n). A network is u . relu(W x), W of shape (p, n), u of shape (p,).

With k(a, b) = E relu(<a, z>) relu(<b, z>), z standard normal (the arc-cosine kernel of order 1, Cho & Saul 2009), w_i the
first n - 1 entries and v_i the last entry of row i, the risk is half of

    sum_ij u_i u_j k(w_i, w_j) - 2 alpha sum_il u_i k(w_i, e_l) + alpha^2 sum_lm k(e_l, e_m)    (first subspace)
    + [(sum_{v_i > 0} u_i v_i + beta)^2 + (sum_{v_i < 0} u_i v_i)^2] / 2                        (last coordinate).
"""

from dataclasses import dataclass

import numpy as np

from multifractal.base.checks import positive_number, whole_number
from multifractal.base.rng import as_generator

_NO_LENGTH = 1e-150  # a filter shorter than this is taken as zero; its square must not underflow


@dataclass(frozen=True)
class Mixture:
    """The mixture in R^n_inputs (paper: 10), with weights alpha (2) and beta (3) of the target."""

    n_inputs: int = 10
    alpha: float = 2.0
    beta: float = 3.0

    def __post_init__(self):
        whole_number("n_inputs", self.n_inputs, 2)
        positive_number("alpha", self.alpha)
        positive_number("beta", self.beta)

    def sample(self, n_samples, rng):
        """Return inputs (n_samples, n) and targets (n_samples,); the first half lies in the first n - 1 coordinates."""
        inputs = as_generator(rng).standard_normal((n_samples, self.n_inputs))
        inputs[: n_samples // 2, -1] = 0
        inputs[n_samples // 2 :, :-1] = 0
        return inputs, self.target(inputs)

    def target(self, inputs):
        """Return alpha sum_{i<n} relu(x_i) - beta relu(x_n), shape (n_samples,)."""
        positive = np.maximum(inputs, 0)
        return self.alpha * positive[:, :-1].sum(axis=1) - self.beta * positive[:, -1]

    def bad_point(self, width=None):
        """Return (hidden, output) of units e_1 to e_p, all with alpha; p = n - 1 unless `width` is less.

        With p = n - 1 the first subspace is fitted exactly and the risk is beta^2 / 4: half of the samples miss
        beta relu(x_n), whose mean square is beta^2 / 2.
        """
        width = self.n_inputs - 1 if width is None else whole_number("width", width)
        return np.eye(width, self.n_inputs), np.full(width, self.alpha)

    def other_point(self):
        """Return the bad point with its last unit turned to e_n with -beta: risk alpha^2 / 4, not proven to be minimal."""
        hidden, output = self.bad_point()
        hidden[-1] = np.eye(self.n_inputs)[-1]
        output[-1] = -self.beta
        return hidden, output

    def risk(self, hidden, output):
        """Return the exact risk; leading axes of hidden (..., p, n) and output (..., p) are networks."""
        return self.risk_and_gradient(hidden, output)[0]

    def risk_and_gradient(self, hidden, output):
        """Return the exact risk (...) and its derivatives by hidden (..., p, n) and output (..., p)."""
        inner, last = hidden[..., :-1], hidden[..., -1]
        n_targets = inner.shape[-1]
        targets = np.broadcast_to(np.eye(n_targets), (*inner.shape[:-2], n_targets, n_targets))
        atoms = np.concatenate([inner, targets], axis=-2)
        weights = np.concatenate(
            [output, np.full((*output.shape[:-1], n_targets), -self.alpha)], axis=-1
        )
        kernel, slopes = _kernel(atoms, weights)
        p = output.shape[-1]
        by_weight = np.einsum("...ij,...j->...i", kernel, weights)
        first = np.einsum("...i,...i->...", weights, by_weight)
        up, down = np.maximum(last, 0), np.minimum(last, 0)
        high = np.sum(output * up, axis=-1) + self.beta
        low = np.sum(output * down, axis=-1)
        risk = first / 2 + (high**2 + low**2) / 4
        by_output = by_weight[..., :p] + (high[..., None] * up + low[..., None] * down) / 2
        by_last = (
            output * np.where(last > 0, high[..., None], np.where(last < 0, low[..., None], 0)) / 2
        )
        by_inner = output[..., None] * slopes[..., :p, :]
        return risk, np.concatenate([by_inner, by_last[..., None]], axis=-1), by_output


def _kernel(atoms, weights):
    """Return k(a_i, a_j), shape (..., m, m), and sum_j weights_j dk(a_i, a_j)/da_i, shape (..., m, n)."""
    lengths = np.linalg.norm(atoms, axis=-1)
    safe = np.maximum(lengths, _NO_LENGTH)
    units = atoms / safe[..., None]
    cosine = np.clip(units @ np.swapaxes(units, -1, -2), -1, 1)
    theta, sine = np.arccos(cosine), np.sqrt(1 - cosine**2)
    kernel = (
        (lengths[..., :, None] * lengths[..., None, :])
        * (sine + (np.pi - theta) * cosine)
        / (2 * np.pi)
    )
    along = np.einsum("...ij,...j->...i", sine, weights * lengths)
    slopes = along[..., None] * units + np.einsum(
        "...ij,...jk->...ik", np.pi - theta, weights[..., None] * atoms
    )
    return kernel, slopes / (2 * np.pi)
