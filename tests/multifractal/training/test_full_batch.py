"""Full-batch descent: loss, gradient and Hessian against naive twins, the law of the dropout masks, bits."""

import jax
import numpy as np
import pytest

from multifractal import load_table
from multifractal.training import full_batch
from multifractal.training.full_batch import FullBatchDescent, initial_parameters, parameter_count
from tests.helpers import naive


@pytest.fixture(scope="module")
def data():
    """The diabetes table, standardised."""
    return load_table("diabetes").standardised(442)


def descent(data, **settings):
    """Return a loop over the table with settings other than the defaults here."""
    usual = {
        "n_train": 442,
        "learning_rate": 0.01,
        "dropout": 0.0,
        "seed": 0,
        "dtype": np.float64,
        "chunk": 600,
    }
    return FullBatchDescent(*data, **usual | settings)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_600_epochs_match_the_naive_twin(data, dropout):
    """In float64 the positions, training and test losses of 600 epochs agree with the naive twin's to 1e-10."""
    ours = descent(data, dropout=dropout, n_train=400)
    positions, losses = ours.advance(ours.start(), 0, 600)
    (x, y), masks = data, ours.masks(0, 600).swapaxes(1, 2) if dropout else None
    expected, train = naive.full_batch_descent(
        ours.start(), x[:400], y[:400], 0.01, 600, masks, 1 - dropout
    )
    before = np.concatenate([ours.start()[None], expected[:-1]])
    test = [naive.network_loss_and_gradient(theta, x[400:], y[400:])[0] for theta in before]
    assert positions.dtype == np.float64
    np.testing.assert_allclose(positions, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(losses, np.column_stack([train, test]), rtol=0, atol=1e-10)
    assert train[-1] < 0.8 * train[0]


def test_the_gradient_in_float32_is_right_to_rounding(data):
    """One float32 step differs from the naive twin's float64 step by rounding: 442 terms of 6e-8, of order 1."""
    ours = descent(data, dtype=np.float32, dropout=0.5, learning_rate=1.0)
    start = ours.start()
    step = start - ours.advance(start, 7, 1)[0][0]
    _, gradient = naive.network_loss_and_gradient(
        start.astype(np.float64), *data, ours.masks(7)[0].T, 0.5
    )
    np.testing.assert_allclose(step, gradient, rtol=0, atol=442 * 6e-8)


def test_sharpness_is_the_largest_eigenvalue_of_the_hessian(data):
    """The Hessian equals central differences of the naive gradient: step 1e-7, so rounding 1e-16/1e-7 times some 100."""
    ours = descent(data)
    theta = ours.advance(ours.start(), 0, 50)[0][-1]
    ahead, behind = (
        [
            naive.network_loss_and_gradient(theta + sign * step, *data)[1]
            for step in 1e-7 * np.eye(len(theta))
        ]
        for sign in (1, -1)
    )
    hessian = np.subtract(ahead, behind) / 2e-7
    assert ours.sharpness(theta) == pytest.approx(np.linalg.eigvalsh(hessian)[-1], abs=1e-6)
    assert ours.sharpness(theta) > 0


def test_the_hessian_is_that_of_automatic_differentiation(data):
    """In float32 the closed form is `jax.hessian` of the loss, to some 16 roundings of its largest entry."""
    theta = descent(data).start().astype(np.float32)
    inputs, target = (np.asarray(part, np.float32) for part in data)
    expected = np.asarray(jax.hessian(full_batch.loss)(theta, inputs, target))
    ours = np.asarray(full_batch.hessian(theta, inputs, target))
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_the_start_has_the_published_law():
    """113 parameters; weights N(0, 2/5) and N(0, 2/16), 5 standard errors over 200 seeds; biases 0; one for both dtypes."""
    starts = np.array([initial_parameters(5, seed=seed) for seed in range(200)], np.float64)
    assert starts.shape[1] == parameter_count(5) == 113
    assert parameter_count(10) == 193
    assert not starts[:, 80:96].any()
    assert not starts[:, -1].any()
    for weights, variance in ((starts[:, :80], 2 / 5), (starts[:, 96:112], 2 / 16)):
        assert abs(weights.mean()) < 5 * np.sqrt(variance / weights.size)
        assert abs(weights.var() / variance - 1) < 5 * np.sqrt(2 / weights.size)
    assert np.array_equal(
        initial_parameters(5, seed=3, dtype=np.float64), initial_parameters(5, seed=3)
    )


def mask_scores(masks, keep):
    """Return how many standard deviations masks (epochs, cells) are off independent draws, by statistic."""
    epochs, cells = masks.shape
    variance = keep * (1 - keep)
    centred = (masks - keep) / np.sqrt(variance)

    def mean_score(products):
        return products.mean() * np.sqrt(products.size)

    # of normalised sums, which are nearly normal: variance 1 with standard error sqrt(2/n)
    def dispersion_score(sums):
        return (np.mean(sums**2) - 1) / np.sqrt(2 / len(sums))

    return {
        "share kept": mean_score(centred),
        "next epoch": mean_score(centred[1:] * centred[:-1]),
        "next row": mean_score(centred[:, 1:] * centred[:, :-1]),
        "another unit": mean_score(centred[:, 442:] * centred[:, :-442]),
        "sum of an epoch": dispersion_score(centred.sum(axis=1) / np.sqrt(cells)),
        "sum of a cell": dispersion_score(centred.sum(axis=0) / np.sqrt(epochs)),
    }


@pytest.mark.parametrize("dropout", [0.75, 0.1])
def test_masks_are_independent_draws(data, dropout):
    """Share kept, pairs of epochs, rows and units, and sums by epoch and by cell are those of independent draws (5 sd)."""
    ours = descent(data, dropout=dropout)
    scores = mask_scores(ours.masks(0, 400).reshape(400, -1).astype(np.float64), 1 - dropout)
    assert max(map(abs, scores.values())) < 5, scores


def test_the_mask_test_can_fail(data):
    """Negative control: masks from a weak hash (no multiplication) are told from independent draws."""
    cells = descent(data)._cells.ravel()
    weak = np.array([(cells ^ np.uint32(epoch)) < 2**30 for epoch in range(400)], np.float64)
    scores = mask_scores(weak, 0.25)
    assert max(map(abs, scores.values())) > 50, scores


def test_masks_equal_the_naive_twin_and_depend_on_seed_and_epoch_only(data):
    """A mask is the hash of cell and key bit for bit, the same in both dtypes, another for another seed or epoch."""
    ours = descent(data, dropout=0.3)
    keys = np.asarray(full_batch._epoch_keys(0, np.uint32(5), 1))[0]
    mask = ours.masks(5)[0]
    assert np.array_equal(mask, naive.dropout_mask(ours._cells, keys, 0.3))
    assert np.array_equal(mask, descent(data, dropout=0.3, dtype=np.float32).masks(0, 9)[5])
    for other in (ours.masks(6)[0], descent(data, dropout=0.3, seed=1).masks(5)[0]):
        assert np.mean(other != mask) == pytest.approx(
            2 * 0.3 * 0.7, abs=5 * np.sqrt(0.25 / other.size)
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_cutting_into_chunks_gives_the_same_bits(data, dtype):
    """Calls of random lengths, on loops compiled for other chunk sizes, end in the same bits as one call."""
    whole = descent(data, dropout=0.5, dtype=dtype, learning_rate=0.1)
    expected, losses = whole.advance(whole.start(), 0, 600)
    rng, epoch, theta, pieces = np.random.default_rng(0), 0, whole.start(), []
    parts = descent(data, dropout=0.5, dtype=dtype, learning_rate=0.1, chunk=97)
    while epoch < 600:
        n = min(int(rng.integers(1, 98)), 600 - epoch)
        positions, piece = parts.advance(theta, epoch, n)
        pieces.append(piece)
        theta, epoch = positions[-1], epoch + n
        assert np.array_equal(positions, expected[epoch - n : epoch])
    assert np.array_equal(np.concatenate(pieces), losses)


def test_jax_keeps_its_global_precision(data):
    """A float64 run leaves jax in float32 mode."""
    import jax

    ours = descent(data)
    ours.advance(ours.start(), 0, 2)
    assert not jax.config.jax_enable_x64
    assert jax.numpy.zeros(1).dtype == np.float32
