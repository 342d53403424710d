"""Full-batch training: epochs of the compiled loop against a plain jitted `lax.scan` of the obvious step, idea by idea.

For the figures on one core, pin the process: ``taskset -c 0 python -m benchmarks training``. The table has made-up numbers
of the airfoil table's size, since time does not depend on the values.
"""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import Case
from multifractal.training.full_batch import FullBatchDescent, _epoch_keys, _kept

ROWS, FEATURES, EPOCHS, RATE = 1503, 5, 4000, 0.01


def cases():
    """Return this chapter's cases."""
    data = _data()
    plain, dropped = (_obvious(*data, dropout=p) for p in (0.0, 0.75))
    against = "obvious lax.scan"
    return [
        Case(
            "training, 4000 epochs, dropout .75",
            _ours(*data, dropout=0.75),
            dropped,
            against=against,
            aim="3 times",
        ),
        Case(
            "training: hashed masks only",
            _obvious(*data, dropout=0.75, hashed=True),
            dropped,
            against=against,
        ),
        Case(
            "training: hashed masks, rows last",
            _obvious(*data, dropout=0.75, hashed=True, rows_last=True),
            dropped,
            against=against,
        ),
        Case(
            "training, 4000 epochs, no dropout", _ours(*data, dropout=0.0), plain, against=against
        ),
    ]


def _data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, FEATURES)).astype(np.float32), rng.normal(size=ROWS).astype(
        np.float32
    )


def _descent(x, y, dropout):
    return FullBatchDescent(
        x, y, n_train=ROWS, learning_rate=RATE, dropout=dropout, seed=0, chunk=EPOCHS
    )


def _ours(x, y, *, dropout):
    descent = _descent(x, y, dropout)
    return lambda: descent.advance(descent.start(), 0, EPOCHS)


def _obvious(x, y, *, dropout, hashed=False, rows_last=False):
    """Return a call that trains by value_and_grad of the forward pass as one writes it down, scanned and jitted."""
    descent = _descent(x, y, dropout)
    start, cells, threshold = descent.start(), descent._cells, descent._threshold
    parameters = start[:80].reshape(5, 16), start[80:96], start[96:112], start[112]

    def kept(key):
        if not hashed:
            return jax.random.bernoulli(key, 1 - dropout, (16, ROWS) if rows_last else (ROWS, 16))
        return _kept(cells, key, threshold) if rows_last else _kept(cells.T, key, threshold)

    def loss(parameters, key):
        first, bias, second, last = parameters
        before = first.T @ x.T + bias[:, None] if rows_last else x @ first + bias
        hidden = jax.nn.relu(before)
        if dropout:
            hidden = jnp.where(kept(key), hidden / (1 - dropout), 0)
        return jnp.mean(((second @ hidden if rows_last else hidden @ second) + last - y) ** 2)

    def step(parameters, key):
        value, gradient = jax.value_and_grad(loss)(parameters, key)
        parameters = jax.tree.map(lambda p, g: p - RATE * g, parameters, gradient)
        return parameters, (value, jnp.concatenate([jnp.ravel(p) for p in parameters]))

    @jax.jit
    def run(parameters):
        keys = (
            _epoch_keys(0, np.uint32(0), EPOCHS)
            if hashed
            else jax.random.split(jax.random.key(0), EPOCHS)
        )
        return jax.lax.scan(step, parameters, keys)

    return lambda: jax.block_until_ready(run(parameters))
