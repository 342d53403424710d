"""Descent in batches: the paper's full-batch step, the closed Hessian, numpy's gradient, and where a run stops."""

import jax
import numpy as np
import pytest

from multifractal.training import full_batch, minibatch
from multifractal.training.minibatch import descend_in_batches


@pytest.fixture(scope="module")
def table():
    """60 rows of 3 features, a smooth target and its sign as a class."""
    inputs = np.random.default_rng(0).standard_normal((60, 3))
    target = np.sin(inputs.sum(axis=1))
    return inputs, target, (target > 0).astype(int)


def run(inputs, target, **changed):
    """Return where a run ends."""
    settings = {
        "n_train": 40,
        "n_outputs": 1,
        "learning_rate": 0.05,
        "batch_size": 8,
        "stop_at": 0.0,
        "max_epochs": 3,
        "rng": np.random.default_rng(1),
    }
    return descend_in_batches(inputs, target, **(settings | changed))


def test_a_batch_of_all_rows_is_the_full_batch_step(table):
    """Thirty epochs of one batch each end where the hand-derived full-batch descent does, to float32's rounding."""
    inputs, target, _ = (np.asarray(part, np.float32) for part in table)
    whole = full_batch.FullBatchDescent(
        inputs, target, n_train=60, learning_rate=0.05, dropout=0.0, seed=3
    )
    orders = np.array([np.random.default_rng(k).permutation(60) for k in range(30)])
    found, loss, done = minibatch._looks(
        whole.start(),
        inputs,
        target,
        orders[:, None].astype(np.int32),
        np.float32(0.05),
        np.float32(0),
        30,
        1,
    )
    positions, _ = whole.advance(whole.start(), 0, 30)
    assert done == 30
    np.testing.assert_allclose(found, positions[-1], atol=2e-5)
    np.testing.assert_allclose(loss, whole.loss_without_dropout(positions[-1]), rtol=1e-4)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_sharpness_is_the_largest_eigenvalue_of_the_whole_hessian(table, n_outputs):
    """By products and Lanczos, against the closed form (a number) and jax's own Hessian (a class), in float64."""
    inputs, target, classes = table
    theta = minibatch.initial(3, n_outputs, np.random.default_rng(5)).astype(np.float64)
    data = inputs.astype(np.float32), (target.astype(np.float32) if n_outputs == 1 else classes)
    with minibatch._float64():
        exact = (
            full_batch.hessian(theta, data[0].astype(np.float64), data[1].astype(np.float64))
            if n_outputs == 1
            else jax.hessian(minibatch.mean_loss)(theta, data[0].astype(np.float64), data[1], 2)
        )
    found = minibatch.sharpness_at(minibatch._NetworkLoss(*data, n_outputs), theta[None])[0]
    np.testing.assert_allclose(found, np.linalg.eigvalsh(np.asarray(exact))[-1], rtol=1e-5)


def test_the_gradient_of_a_class_is_numpys_by_differences(table):
    """Cross-entropy by numpy, differenced in float64, at a few parameters."""
    inputs, _, classes = table
    theta = minibatch.initial(3, 2, np.random.default_rng(6)).astype(np.float64)

    def cross_entropy(theta):
        first, bias, second, last = np.split(theta, [48, 64, 96])
        hidden = np.maximum(inputs @ first.reshape(3, 16) + bias, 0)
        outputs = hidden @ second.reshape(16, 2) + last
        outputs -= np.log(np.exp(outputs).sum(axis=1, keepdims=True))
        return -outputs[np.arange(60), classes].mean()

    loss = minibatch._NetworkLoss(inputs, classes, 2)
    value, gradient = loss.value_and_gradient(theta)
    assert value == pytest.approx(cross_entropy(theta), rel=1e-12)
    for k in (0, 50, 70, 97):
        step = 1e-6 * np.eye(len(theta))[k]
        difference = (cross_entropy(theta + step) - cross_entropy(theta - step)) / 2e-6
        assert gradient[k] == pytest.approx(difference, abs=1e-8)


def test_a_run_stops_where_it_should_and_tells_the_gap(table):
    """It ends at the first look at or below the loss asked for (4 steps of 8 rows); without one after all its epochs."""
    inputs, target, _ = table
    long = run(inputs, target, max_epochs=200)
    assert long.steps == 200 * 4  # 40 rows are one look of 4 steps; 8 rows of each epoch wait
    first = run(inputs, target, max_epochs=200, stop_at=0.05)
    assert 0.04 < first.train <= 0.05
    assert 4 < first.steps < 800
    before = run(inputs, target, max_epochs=first.steps // 4 - 1)
    assert before.train > 0.05
    assert run(inputs, target, max_epochs=200, stop_at=0.05) == first
    assert first.gap + first.train > 0
    assert long.distance > first.distance > 0
