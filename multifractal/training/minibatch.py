"""Mini-batch descent of a one-hidden-layer ReLU network to a given training loss, and how sharp and how far away it ends (jax).

The network is that of Ly & Gong 2025 (Supplementary) with any number of outputs: one for a number (mean squared error), several
for a class (cross-entropy). Its parameters are one flat vector: W1 (features x hidden, row by row), b1, W2, b2.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from multifractal.base.types import Array
from multifractal.training.full_batch import N_HIDDEN
from multifractal.walkers.stability import sharpness_at

_SHUFFLES = 64  # epochs whose batches are drawn ahead, in one compiled call
LOOK_EVERY = 32  # rows descended on between two looks at the training loss (or one batch, if that is more): our choice


@dataclass(frozen=True)
class Ended:
    """Where a run stopped.

    Attributes
    ----------
    sharpness : float
        Largest eigenvalue of the Hessian of the training loss, all rows of it.
    distance : float
        From the start, in the space of all parameters.
    gap : float
        Test loss less training loss.
    train : float
        Training loss where it stopped.
    steps : int
    """

    sharpness: float
    distance: float
    gap: float
    train: float
    steps: int


def descend_in_batches(
    inputs: Array,
    target: Array,
    *,
    n_train: int,
    n_outputs: int,
    learning_rate: float,
    batch_size: int,
    stop_at: float,
    max_epochs: int,
    rng: np.random.Generator,
) -> Ended:
    """Descend from a random start until the training loss, looked at every `LOOK_EVERY` rows, is at most `stop_at`.

    Parameters
    ----------
    inputs : ndarray, shape (rows, features)
        The first `n_train` rows train, the others test.
    target : ndarray, shape (rows,)
        Numbers, or classes from 0 on if `n_outputs` is above 1.
    batch_size : int
        Rows of a step, drawn without replacement within an epoch; rows that fill no batch wait for another epoch.
    stop_at : float
        So that runs are compared at equal fit; a run that has not come there after `max_epochs` tells its loss. Looked at once
        an epoch, fast runs would overshoot by up to a factor of 2.
    rng : Generator
        Of the start (weights N(0, 2/fan-in), biases 0, paper) and of the batches.
    """
    data = (
        np.asarray(inputs, np.float32),
        np.asarray(target, np.float32 if n_outputs == 1 else np.int32),
    )
    train, test = tuple(part[:n_train] for part in data), tuple(part[n_train:] for part in data)
    theta = first = initial(inputs.shape[1], n_outputs, rng)
    between = max(LOOK_EVERY // batch_size, 1)  # steps
    looks = n_train // (batch_size * between)  # of an epoch
    rows, most, done, now = looks * between * batch_size, max_epochs * looks, 0, np.inf
    while done < most and not now <= stop_at:
        orders = np.array([rng.permutation(n_train)[:rows] for _ in range(_SHUFFLES)], np.int32)
        theta, now, more = _looks(
            theta,
            *train,
            orders.reshape(-1, between, batch_size),
            np.float32(learning_rate),
            np.float32(stop_at),
            min(_SHUFFLES * looks, most - done),
            n_outputs,
        )
        done, now = done + int(more), float(now)
    theta = np.asarray(theta)
    loss = _NetworkLoss(train[0], train[1], n_outputs)
    return Ended(
        sharpness=float(sharpness_at(loss, theta.astype(np.float64)[None])[0]),
        distance=float(np.linalg.norm(theta.astype(np.float64) - first)),
        gap=float(mean_loss(theta, *test, n_outputs)) - now,
        train=now,
        steps=done * between,
    )


def initial(n_features: int, n_outputs: int, rng: np.random.Generator) -> Array:
    """Return the start, flat float32: weights N(0, 2/fan-in), biases 0 (paper)."""
    first = rng.normal(0, np.sqrt(2 / n_features), n_features * N_HIDDEN)
    second = rng.normal(0, np.sqrt(2 / N_HIDDEN), N_HIDDEN * n_outputs)
    return np.concatenate([first, np.zeros(N_HIDDEN), second, np.zeros(n_outputs)]).astype(
        np.float32
    )


@functools.partial(jax.jit, static_argnames="n_outputs")
def mean_loss(theta, inputs, target, n_outputs):
    """Return the mean loss over rows, a jax scalar: squared error of one output, cross-entropy of several."""
    n_first = inputs.shape[1] * N_HIDDEN
    first, bias = theta[:n_first].reshape(-1, N_HIDDEN), theta[n_first : n_first + N_HIDDEN]
    second = theta[n_first + N_HIDDEN : -n_outputs].reshape(N_HIDDEN, n_outputs)
    outputs = jax.nn.relu(inputs @ first + bias) @ second + theta[-n_outputs:]
    if n_outputs == 1:
        return jnp.mean((outputs[:, 0] - target) ** 2)
    logs = jax.nn.log_softmax(outputs)
    return -jnp.mean(jnp.take_along_axis(logs, target[:, None], axis=1))


@functools.partial(jax.jit, static_argnames="n_outputs")
def _looks(theta, inputs, target, orders, rate, stop_at, n_looks, n_outputs):
    """Descend until the loss is at most `stop_at` at a look, at the latest the last: (parameters, loss, looks taken).

    `orders` (n, steps, batch) are the rows of each step before each look.
    """
    gradient = jax.grad(mean_loss)

    def step(theta, rows):
        return theta - rate * gradient(theta, inputs[rows], target[rows], n_outputs), None

    def look(state):
        theta, _, done = state
        theta = jax.lax.scan(step, theta, orders[done])[0]
        return theta, mean_loss(theta, inputs, target, n_outputs), done + 1

    def going(state):
        return (state[2] < n_looks) & ~(state[1] <= stop_at)

    return jax.lax.while_loop(going, look, (theta, jnp.float32(jnp.inf), jnp.int32(0)))


class _NetworkLoss:
    """The training loss as a field (`multifractal.Field`), float64: its Hessian by products."""

    reach = np.inf

    def __init__(self, inputs, target, n_outputs):
        self._data = inputs.astype(np.float64), target
        self._n_outputs = n_outputs
        self.dimension = (inputs.shape[1] + 1) * N_HIDDEN + (N_HIDDEN + 1) * n_outputs

    def value_and_gradient(self, x):
        with _float64():
            value, gradient = _value_and_gradient(x, *self._data, self._n_outputs)
        return float(value), np.asarray(gradient)

    def hessian_product(self, x, v):
        with _float64():
            return np.asarray(_hessian_product(x, v, *self._data, self._n_outputs))


_value_and_gradient = jax.jit(jax.value_and_grad(mean_loss), static_argnames="n_outputs")


@functools.partial(jax.jit, static_argnames="n_outputs")
def _hessian_product(x, v, inputs, target, n_outputs):
    return jax.jvp(lambda theta: jax.grad(mean_loss)(theta, inputs, target, n_outputs), (x,), (v,))[
        1
    ]


def _float64():
    """Context in which jax computes in float64; it leaves the global setting alone."""
    return (jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64)(True)
