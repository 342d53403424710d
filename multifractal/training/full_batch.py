"""Full-batch gradient descent of a one-hidden-layer ReLU network with dropout, as one compiled jax loop.

The network of Ly & Gong 2025 (Supplementary): y = relu(x W1 + b1) W2 + b2, 16 hidden units, mean squared error, inverted
dropout on the hidden layer. Its parameters are one flat vector, W1 (features x hidden, row by row), b1, W2, b2.

What makes it fast, in processor time an epoch on one core with dropout .75, against 146 µs of a plain jitted `lax.scan` of
the obvious step (`benchmarks/bench_training.py`; in one run):

- 38 µs: dropout masks come from a hash of (cell, epoch's key), two multiplications each, not from a generator's stream.
- 37 µs: samples run along the last axis, so that elementwise operations are over long contiguous rows.
- 34 µs: one pass back. With g = mask * (pre > 0) / keep and S = [x, 1]^T (g * residual), the gradient of (W1, b1) is S * W2
  and that of W2 is the column sum of (W1, b1) * S, because relu(pre) * mask / keep = g * pre.

Without dropout: 25 µs against 48. Measured and left out, because they gave nothing: unrolling by 2 and 4, donated buffers, a
signed comparison in the masks, a dot in place of the sum; two 16-bit masks out of one hash were three times slower.
"""

from contextlib import nullcontext
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np

from multifractal.base.rng import realisation

N_HIDDEN = 16  # paper, Supplementary

# Odd multipliers of a 32-bit mixing function of good avalanche, found by search (hash-prospector's list, 2018 and after).
_MULTIPLY_1, _MULTIPLY_2 = 0x21F0AAAD, 0xD35A2D97
# what a seed's random streams are for; a third, of jax, gives the epochs' keys
_START, _CELLS = 0, 1
_EXACT = jax.lax.Precision.HIGHEST  # a GPU would otherwise round float32 products to 10 bits


def parameter_count(n_features, n_hidden=N_HIDDEN):
    """Return how many parameters the network has: 113 for 5 features and 16 hidden units."""
    return (n_features + 2) * n_hidden + 1


def initial_parameters(n_features, *, seed, n_hidden=N_HIDDEN, dtype=np.float32):
    """Return the start, flat: weights N(0, 2/features) and N(0, 2/hidden), biases 0 (paper); rounded to float32 always."""
    rng = realisation(seed, _START)
    first = rng.normal(0, np.sqrt(2 / n_features), n_features * n_hidden)
    second = rng.normal(0, np.sqrt(2 / n_hidden), n_hidden)
    return (
        np.concatenate([first, np.zeros(n_hidden), second, [0.0]]).astype(np.float32).astype(dtype)
    )


def loss(theta, inputs, target):
    """Return the mean squared error without dropout, as a jax scalar.

    Parameters
    ----------
    theta : array, shape (parameters,)
        As `initial_parameters` lays it out.
    inputs : array, shape (rows, features)
    target : array, shape (rows,)
    """
    n_features = inputs.shape[1]
    n_hidden = (theta.shape[0] - 1) // (n_features + 2)
    first = theta[: n_features * n_hidden].reshape(n_features, n_hidden)
    bias, second = theta[n_features * n_hidden : -1].reshape(2, n_hidden)
    hidden = jax.nn.relu(jnp.dot(inputs, first, precision=_EXACT) + bias)
    return jnp.mean((jnp.dot(hidden, second, precision=_EXACT) + theta[-1] - target) ** 2)


def hessian(theta, inputs, target):
    """Return the Hessian of `loss`, a jax array of shape (parameters, parameters), by its closed form.

    It is 2/N (J'J + sum_n r_n H_n), J the derivative of the N outputs, r the residuals, H_n the Hessian of output n: relu is
    piecewise linear, so that H_n holds nothing but x (and 1) where weights into and out of the same active unit meet. Equal to
    `jax.hessian(loss)`, which takes one pass for each parameter.

    Parameters
    ----------
    theta, inputs, target : array
        As for `loss`.
    """
    n_features, rows = inputs.shape[1], inputs.shape[0]
    n_hidden = (theta.shape[0] - 1) // (n_features + 2)
    first, second = theta[: (n_features + 1) * n_hidden], theta[-n_hidden - 1 : -1]
    with_ones = jnp.concatenate([inputs, jnp.ones((rows, 1), inputs.dtype)], axis=1)
    pre = jnp.dot(with_ones, first.reshape(n_features + 1, n_hidden), precision=_EXACT)
    active = (pre > 0).astype(inputs.dtype)
    outputs = jnp.dot(pre * active, second, precision=_EXACT) + theta[-1]
    to_first = (with_ones[:, :, None] * (active * second)[:, None, :]).reshape(rows, -1)
    slopes = jnp.concatenate([to_first, pre * active, jnp.ones((rows, 1), inputs.dtype)], axis=1)
    weighted = (outputs - target)[:, None] * active
    meeting = jnp.dot(with_ones.T, weighted, precision=_EXACT)  # of (feature, unit) with that unit
    corner = (meeting[:, :, None] * jnp.eye(n_hidden, dtype=inputs.dtype)).reshape(-1, n_hidden)
    squares = jnp.dot(slopes.T, slopes, precision=_EXACT)
    squares = squares.at[: len(first), -n_hidden - 1 : -1].add(corner)
    return 2 / rows * squares.at[-n_hidden - 1 : -1, : len(first)].add(corner.T)


class FullBatchDescent:
    """The compiled loop for one table, learning rate, dropout and seed.

    Parameters
    ----------
    inputs : array_like, shape (rows, features)
        Standardised inputs; the first `n_train` rows train, the others test.
    target : array_like, shape (rows,)
    n_train : int
        With all rows for training there is no test loss.
    learning_rate : float
    dropout : float in [0, 1)
        Probability that a hidden unit is dropped for a row in an epoch, rounded to a multiple of 2^-32.
    seed : int
        Of the start and of the dropout masks (two streams).
    dtype : {float32, float64}
        float32 is the published one.
    chunk : int
        Most epochs that one call of `advance` does (our choice: 10 000).

    Notes
    -----
    The mask of an epoch depends on the seed and the epoch only, and the compiled step is the same whatever the number of
    epochs asked for: any cutting of a run into calls of `advance` gives the same bits on the same device.
    """

    def __init__(
        self,
        inputs,
        target,
        *,
        n_train,
        learning_rate,
        dropout,
        seed,
        dtype=np.float32,
        chunk=10_000,
    ):
        self.dtype = np.dtype(dtype)
        inputs, target = np.asarray(inputs, self.dtype), np.asarray(target, self.dtype)
        self._train = inputs[:n_train], target[:n_train]
        self._test = (inputs[n_train:], target[n_train:]) if n_train < len(inputs) else None
        self.learning_rate, self.dropout, self.seed, self.chunk = (
            learning_rate,
            dropout,
            seed,
            chunk,
        )
        # One random word for each hidden unit and training row: what tells the cells of a mask apart.
        self._cells = realisation(seed, _CELLS).integers(0, 2**32, (N_HIDDEN, n_train), np.uint32)

    @property
    def has_test(self):
        """Whether some rows are left for testing."""
        return self._test is not None

    def start(self):
        """Return the parameters at epoch 0, shape (parameters,)."""
        return initial_parameters(self._train[0].shape[1], seed=self.seed, dtype=self.dtype)

    def advance(self, theta, epoch, n_epochs):
        """Do `n_epochs` epochs from `theta` at `epoch`.

        Returns
        -------
        positions : ndarray, shape (n_epochs, parameters)
            After each epoch's step.
        losses : ndarray, shape (n_epochs, 2) or (n_epochs, 1)
            Before each epoch's step: the training loss that is descended (with the epoch's dropout mask), and the test loss
            without dropout if there are test rows.
        """
        with self._precision():
            positions, losses = self._loop(
                np.asarray(theta, self.dtype), np.uint32(epoch), np.int32(n_epochs)
            )
        return np.asarray(positions)[:n_epochs], np.asarray(losses)[:n_epochs]

    def advance_with_tangent(self, state, learning_rate, epoch, n_epochs):
        """Do `n_epochs` epochs from parameters and a tangent vector, which the derivative of each step turns and stretches.

        The derivative of theta - rate grad L(theta) is 1 - rate H, H the Hessian of that epoch's loss: with dropout, of the
        loss under that epoch's mask, so that the tangent vector is the difference of two runs with the same masks.

        Parameters
        ----------
        state : array, shape (2, parameters)
            The parameters at `epoch`, and a tangent vector of length 1.
        learning_rate : float
            In place of this object's: one compiled loop serves all rates.

        Returns
        -------
        states : ndarray, shape (n_epochs, 2, parameters)
            After each epoch's step; the tangent vector brought back to length 1.
        growth : ndarray, shape (n_epochs,)
            Logarithm of the tangent vector's length after each step, before it was brought back.
        """
        with self._precision():
            states, growth = self._tangent_loop(
                np.asarray(state, self.dtype),
                self.dtype.type(learning_rate),
                np.uint32(epoch),
                np.int32(n_epochs),
            )
        return np.asarray(states)[:n_epochs], np.asarray(growth)[:n_epochs]

    def loss_without_dropout(self, theta):
        """Return the training loss without dropout, at `theta`."""
        with self._precision():
            return float(loss(np.asarray(theta, self.dtype), *self._train))

    def sharpness(self, theta):
        """Return the largest eigenvalue of the full Hessian of the training loss without dropout, at `theta`."""
        with self._precision():
            hessian = np.asarray(self._hessian(np.asarray(theta, self.dtype)), np.float64)
        return float(np.linalg.eigvalsh((hessian + hessian.T) / 2)[-1])

    def masks(self, epoch, n_epochs=1):
        """Return which hidden units are kept in `n_epochs` epochs from `epoch` on, bool, shape (n_epochs, hidden, rows)."""
        keys = _epoch_keys(self.seed, np.uint32(epoch), n_epochs)
        return np.asarray(jax.vmap(_kept, (None, 0, None))(self._cells, keys, self._threshold))

    def _precision(self):
        """Context in which jax computes in this run's dtype; it leaves the global setting alone."""
        if self.dtype == np.float32:
            return nullcontext()
        return (jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64)(True)

    @property
    def _threshold(self):
        """A cell is kept where its hash is below this."""
        return np.uint32(min(round((1 - self.dropout) * 2**32), 2**32 - 1))

    @cached_property
    def _hessian(self):
        return jax.jit(partial(hessian, inputs=self._train[0], target=self._train[1]))

    @cached_property
    def _losses_and_gradient(self):
        """The function (theta, an epoch's key) -> (losses, gradient of the training loss) with that epoch's mask."""
        inputs, target = self._train
        with_ones = np.concatenate([inputs.T, np.ones((1, len(inputs)), self.dtype)])
        n_first = len(with_ones) * N_HIDDEN
        rate, scale = self.dtype.type(2 / len(target)), self.dtype.type(1 / (1 - self.dropout))

        def kept(key):
            return _kept(self._cells, key, self._threshold) if self.dropout > 0 else True

        def losses_and_gradient(theta, key):
            first, second = theta[:n_first].reshape(-1, N_HIDDEN), theta[n_first:-1]
            before = jnp.einsum("ij,in->jn", first, with_ones, precision=_EXACT)
            gate = jnp.where((before > 0) & kept(key), scale, self.dtype.type(0))
            residual = jnp.dot(second, gate * before, precision=_EXACT) + theta[-1] - target
            back = jnp.einsum("in,jn->ij", with_ones, gate * (rate * residual), precision=_EXACT)
            gradient = [(back * second).ravel(), (first * back).sum(0), rate * residual.sum()[None]]
            losses = [jnp.dot(residual, residual, precision=_EXACT) / len(target)]
            losses += [loss(theta, *self._test)] if self.has_test else []
            return jnp.stack(losses), jnp.concatenate(gradient)

        return losses_and_gradient

    @cached_property
    def _loop(self):
        step_size, size = (
            self.dtype.type(self.learning_rate),
            parameter_count(self._train[0].shape[1]),
        )

        @jax.jit
        def loop(theta, epoch, n_epochs):
            keys = _epoch_keys(self.seed, epoch, self.chunk)

            def step(i, carry):
                theta, positions, losses = carry
                now, gradient = self._losses_and_gradient(theta, keys[i])
                theta = theta - step_size * gradient
                return theta, positions.at[i].set(theta), losses.at[i].set(now)

            buffers = (
                jnp.zeros((self.chunk, size), self.dtype),
                jnp.zeros((self.chunk, 1 + self.has_test), self.dtype),
            )
            return jax.lax.fori_loop(0, n_epochs, step, (theta, *buffers))[1:]

        return loop

    @cached_property
    def _tangent_loop(self):
        size = parameter_count(self._train[0].shape[1])

        @jax.jit
        def loop(state, step_size, epoch, n_epochs):
            keys = _epoch_keys(self.seed, epoch, self.chunk)

            def step(i, carry):
                state, states, growth = carry
                gradient, product = jax.jvp(
                    lambda theta: self._losses_and_gradient(theta, keys[i])[1],
                    (state[0],),
                    (state[1],),
                )
                theta, tangent = state - step_size * jnp.stack([gradient, product])
                length = jnp.sqrt(jnp.sum(tangent**2))
                state = jnp.stack([theta, tangent / length])
                return state, states.at[i].set(state), growth.at[i].set(jnp.log(length))

            buffers = (
                jnp.zeros((self.chunk, 2, size), self.dtype),
                jnp.zeros(self.chunk, self.dtype),
            )
            return jax.lax.fori_loop(0, n_epochs, step, (state, *buffers))[1:]

        return loop


def _epoch_keys(seed, epoch, n):
    """Return two random words for each of `n` epochs from `epoch` on, shape (n, 2): a function of seed and epoch alone."""
    key = jax.random.key(seed, impl="threefry2x32")
    epochs = epoch + jnp.arange(n, dtype=jnp.uint32)
    return jax.vmap(lambda e: jax.random.bits(jax.random.fold_in(key, e), (2,), jnp.uint32))(epochs)


def _kept(cells, key, threshold):
    """Return where the hash of (cell, key) lies below `threshold`."""
    z = cells ^ key[0]
    z = (z ^ (z >> 16)) * jnp.uint32(_MULTIPLY_1) ^ key[1]
    z = (z ^ (z >> 15)) * jnp.uint32(_MULTIPLY_2)
    return (z ^ (z >> 15)) < threshold
