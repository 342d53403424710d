"""Noise of gradients by layer: a loss whose gradient's noise is the data's, with laws that are known, and refusals."""

import numpy as np
import pytest
import torch
from torch import nn

from experiments.heavy_tails import stable
from landscape_viz import GradientNoise, Problem, batch_loss, gradient_noise
from landscape_viz.monitor import gradient_noise as module

SIZE, DIMENSION = 1200, 6


class Mean(nn.Module):
    """Two layers that are only weights: the loss is half the squared distance to the samples, so its gradient is w - mean."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(DIMENSION, 1, bias=False).double()
        self.second = nn.Linear(DIMENSION, 1, bias=False).double()


def half_square(model, batch):
    """Return the mean over the samples, a row each, of half the squared distance of both layers to it."""
    both = torch.cat([model.first.weight[0], model.second.weight[0]])
    return ((both - batch) ** 2).sum(1).mean() / 2


def problem(samples):
    """Return the problem of samples of shape (SIZE, 2 DIMENSION)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Problem(Mean(), None, batch_loss(half_square), torch.as_tensor(samples))


def found(samples, **settings):
    """Return the noise of batches of four."""
    standard = {"batch_size": 4, "n_batches": 400, "n_directions": 6, "rng": 1}
    return gradient_noise(problem(samples), **standard | settings)


@pytest.fixture(autouse=True, scope="module")
def fewer_resamples():
    """Let the intervals, which no test here reads, take little time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BOOTSTRAPS", 20)
        yield


@pytest.fixture(scope="module")
def unequal():
    """Return the noise of normal samples: of one variance in the first layer, of unequal ones in the second."""
    rng = np.random.default_rng(0)
    scales = np.r_[np.ones(DIMENSION), 0.02, 0.05, 0.2, 1.0, 4.0, 20.0]
    return scales, found(rng.normal(size=(SIZE, 2 * DIMENSION)) * scales)


def test_deviations_are_those_of_batch_means(unequal):
    """The mean of B of n samples without replacement has variance s^2 (1 - B/n) / B: the textbook's finite population."""
    scales, noise = unequal
    assert noise.layers == ("first", "second")
    for name, own in zip(noise.deviations, (scales[:6], scales[6:]), strict=True):
        exact = np.sqrt(np.mean(own**2) / 4 * (1 - 4 / SIZE))
        assert name == pytest.approx(exact, rel=5 / np.sqrt(2 * 400))
    np.testing.assert_allclose(noise.projections.std(axis=2), 1.0)


def test_pooled_coordinates_of_unequal_variance_read_heavy_where_projections_do_not(unequal):
    """Normal noise: alpha = 2 by every estimator on projections, and by the pooled ones where variances are equal only."""
    _, noise = unequal
    for tails in (noise.projected[0], noise.pooled[0]):
        assert tails.alpha[1:3].min() > 1.85  # quantiles and characteristic function
    assert (
        noise.projected[1].alpha[1:3].min() > 1.6
    )  # all directions see one parameter: 400 samples
    pooled = dict(zip(noise.pooled[1].methods, noise.pooled[1].alpha, strict=True))
    assert max(pooled["quantiles"], pooled["characteristic"]) < 1.2
    assert not noise.pooled[1].agree


def test_stable_noise_is_found_in_both_readings():
    """Samples of a stable law have stable means: alpha is read from projections and from coordinates."""
    draw = stable(1.5, np.random.default_rng(2), (20 * SIZE, 2 * DIMENSION))
    noise = found(draw, batch_size=5)
    for tails in (*noise.projected, *noise.pooled):
        assert tails.alpha[1:3] == pytest.approx(1.5, abs=0.2)


def test_the_same_seed_gives_the_same_bits_and_the_result_loads(tmp_path):
    """Again, and from its file, with the tail indices of each layer."""
    samples = np.random.default_rng(0).normal(size=(SIZE, 2 * DIMENSION))
    noise, again = (found(samples, n_batches=100, n_directions=2) for _ in range(2))
    np.testing.assert_array_equal(again.projections, noise.projections)
    noise.save(tmp_path / "noise.npz")
    loaded = GradientNoise.load(tmp_path / "noise.npz")
    np.testing.assert_array_equal(loaded.pooled[1].alpha, noise.pooled[1].alpha)


def test_refusals():
    """A batch as large as the data, too few batches, and data without noise."""
    samples = np.random.default_rng(0).normal(size=(SIZE, 2 * DIMENSION))
    with pytest.raises(ValueError, match="batch_size must be below the number of samples, 1200"):
        found(samples, batch_size=SIZE)
    with pytest.raises(ValueError, match="n_batches must be a whole number, at least 100"):
        found(samples, n_batches=99)
    with pytest.raises(ValueError, match="problem must have noise in some layer"):
        found(np.ones_like(samples), n_batches=100)
