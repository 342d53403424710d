"""The data of theorem 13 and their exact risk for a one-hidden-layer network: no Monte Carlo.

Half of the inputs are standard normal in the first n - 1 coordinates and zero in the last, half the other way round; the
target is alpha sum_i relu(<v_i, x>) - beta relu(x_n), with unit vectors v_i in the first n - 1 coordinates, by default the axes.
A network is u . relu(W x), W of shape (p, n), u of shape (p,). `SquareMixture` has z^2 in the place of relu.

With k(a, b) = E relu(<a, z>) relu(<b, z>), z standard normal (the arc-cosine kernel of order 1, Cho & Saul 2009), w_i the
first n - 1 entries and v_i the last entry of row i, the risk is half of

    sum_ij u_i u_j k(w_i, w_j) - 2 alpha sum_il u_i k(w_i, v_l) + alpha^2 sum_lm k(v_l, v_m)    (first subspace)
    + [(sum_{v_i > 0} u_i v_i + beta)^2 + (sum_{v_i < 0} u_i v_i)^2] / 2                        (last coordinate).
"""

from dataclasses import dataclass, field

import numpy as np

from multifractal.base.checks import finite_array, positive_number, require, whole_number
from multifractal.base.rng import as_generator

_NO_LENGTH = 1e-150  # a filter shorter than this is taken as zero; its square must not underflow


@dataclass(frozen=True)
class Mixture:
    """The mixture in R^n_inputs (paper: 10), with weights alpha (2) and beta (3) of the target.

    `directions`, shape (k, n_inputs - 1), are the unit vectors of the target's first part: the axes where left out.
    """

    n_inputs: int = 10
    alpha: float = 2.0
    beta: float = 3.0
    directions: np.ndarray | None = field(default=None, compare=False)

    def __post_init__(self):
        whole_number("n_inputs", self.n_inputs, 2)
        positive_number("alpha", self.alpha)
        positive_number("beta", self.beta)
        given = np.eye(self.n_inputs - 1) if self.directions is None else self.directions
        given = finite_array("directions", given, 2, np.float64)
        require(
            given.shape[1] == self.n_inputs - 1
            and np.allclose(np.linalg.norm(given, axis=1), 1, atol=1e-9),
            "directions",
            given.shape,
            f"have rows of norm 1 and {self.n_inputs - 1} columns",
            "divide each row by its norm",
        )
        object.__setattr__(self, "directions", given)

    @classmethod
    def in_plane(cls, n_directions, alpha=2.0, beta=3.0):
        """Return data in R^3 whose target has any number of directions, at angles pi i / n_directions in the plane."""
        angle = np.pi * np.arange(n_directions) / n_directions
        return cls(3, alpha, beta, np.column_stack([np.cos(angle), np.sin(angle)]))

    @property
    def floor(self):
        """The risk beta^2 / 4 at the bottom of the valley: half of the samples miss beta relu(x_n), of mean square beta^2 / 2."""
        return self.beta**2 / 4

    def sample(self, n_samples, rng):
        """Return inputs (n_samples, n) and targets (n_samples,); the first half lies in the first n - 1 coordinates."""
        inputs = as_generator(rng).standard_normal((n_samples, self.n_inputs))
        inputs[: n_samples // 2, -1] = 0
        inputs[n_samples // 2 :, :-1] = 0
        return inputs, self.target(inputs)

    def active(self, products):
        """Return the activation of each entry: relu."""
        return np.maximum(products, 0)

    def target(self, inputs):
        """Return alpha sum_i rho(<v_i, x>) - beta rho(x_n), shape (n_samples,)."""
        first = self.active(inputs[:, :-1] @ self.directions.T).sum(axis=1)
        return self.alpha * first - self.beta * self.active(inputs[:, -1])

    def bad_point(self, width=None):
        """Return (hidden, output) of units v_1 to v_p, all with alpha; p = k unless `width` is less.

        With p = k the first subspace is fitted exactly and the risk is `floor`.
        """
        width = len(self.directions) if width is None else whole_number("width", width)
        hidden = np.zeros((width, self.n_inputs))
        hidden[:, :-1] = self.directions[:width]
        return hidden, np.full(width, self.alpha)

    def other_point(self):
        """Return the bad point with its last unit turned to e_n with -beta: one target missed, not proven to be minimal.

        For ReLU and orthonormal directions its risk is alpha^2 / 4.
        """
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
        n_targets = len(self.directions)
        targets = np.broadcast_to(self.directions, (*inner.shape[:-2], *self.directions.shape))
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


@dataclass(frozen=True)
class SquareMixture(Mixture):
    """The same data with rho(z) = z^2: the valley of a polynomial, at widths below the dimension of its filters.

    On the first subspace the network is z . B z, B = sum_i u_i w_i w_i^T, and the target z . T z; with E = B - T the mean square
    of z . E z is 2 |E|^2 + (tr E)^2. On the last coordinate E x_n^4 = 3.
    """

    @property
    def floor(self):
        """The risk 3 beta^2 / 2 at the bottom of the valley, where beta x_n^2 is missed."""
        return 1.5 * self.beta**2

    def active(self, products):
        """Return the activation of each entry: its square."""
        return products**2

    def risk_and_gradient(self, hidden, output):
        """Return the exact risk (...) and its derivatives by hidden (..., p, n) and output (..., p)."""
        inner, last = hidden[..., :-1], hidden[..., -1]
        weighted = output[..., None] * inner
        target = self.alpha * self.directions.T @ self.directions
        error = np.swapaxes(weighted, -1, -2) @ inner - target
        trace = np.trace(error, axis1=-2, axis2=-1)
        miss = np.sum(output * last**2, axis=-1) + self.beta
        risk = np.sum(error**2, axis=(-2, -1)) + trace**2 / 2 + 1.5 * miss**2
        slope = 2 * error + trace[..., None, None] * np.eye(inner.shape[-1])  # by B
        by_output = np.sum((inner @ slope) * inner, axis=-1) + 3 * miss[..., None] * last**2
        by_last = 6 * miss[..., None] * output * last
        return risk, np.concatenate([2 * weighted @ slope, by_last[..., None]], axis=-1), by_output


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
