"""Each indicator against what is known without it: roots, numpy's eigenvalues, divergence itself, repeated draws."""

import numpy as np
import pytest
import torch

from landscape_viz.monitor import indicators
from multifractal.base.statistics import mean_and_error

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("guess", [0.01, 2.0, 300.0])
@pytest.mark.parametrize(
    ("loss", "slope", "root"),
    [
        (lambda s: 1 - 2 * s + s**2, -2.0, 2.0),
        (lambda s: 1 - s + s**3, -1.0, 1.0),
        (lambda s: 5 + 1e-3 * np.expm1(s) - 2e-3 * s, -1e-3, 1.2564312086261697),  # e^s - 1 = 2 s
        (lambda s: np.inf if s > 3 else -s, -1.0, 3.0),
        (lambda s: 1 - s + 1e-4 * s**2, -1.0, 1e4),
    ],
    ids=["parabola", "cubic", "exponential", "cliff", "far away"],
)
def test_critical_factor_brackets_the_root(loss, slope, root, guess):
    """The known root lies within the error, and the error within 5 % of it, from a near, far and distant guess."""
    factor, error = indicators.critical_factor(loss, loss(0.0), slope, guess=guess, most=30)
    assert abs(factor - root) <= error * (1 + 1e-9)
    assert error <= 0.05 * root * 1.05


def test_critical_factor_of_a_parabola_takes_few_losses():
    """On a quadratic three losses are enough from any guess, and two to four after a change of 10 %."""
    for guess in (0.3, 2.0, 2.2, 7.0):
        asked = []

        def loss(s, asked=asked):
            asked.append(s)
            return (1 - s) ** 2

        indicators.critical_factor(loss, 1.0, -2.0, guess=guess)
        assert len(asked) <= 4, guess


def test_critical_factor_where_there_is_none():
    """An update uphill, a flat one, a slope that is NaN and a loss that never rises give NaN."""
    for slope in (1.0, 0.0, np.nan):
        assert np.isnan(indicators.critical_factor(lambda s: s, 0.0, slope)).all()
    assert np.isnan(indicators.critical_factor(lambda s: -s, 0.0, -1.0)).all()


@pytest.mark.parametrize("seed", range(5))
def test_largest_eigenpair_is_numpys(seed):
    """On random symmetric matrices with an outlier, and on one of negative eigenvalues, the value is numpy's within residual."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(60, 60))
    q = np.linalg.qr(a)[0]
    for matrix in (
        a + a.T + 30 * np.outer(a[0], a[0]) / (a[0] @ a[0]),
        -(q * np.arange(1, 61)) @ q.T,
    ):
        product = torch.as_tensor(matrix).matmul
        start = torch.as_tensor(rng.normal(size=60))
        found = indicators.largest_eigenpair(product, start, tol=1e-6, most=400)
        value, residual, vector, products = found
        assert value == pytest.approx(np.linalg.eigvalsh(matrix)[-1], rel=1e-6, abs=1e-6)
        again = indicators.largest_eigenpair(product, vector, tol=1e-5)
        assert again[3] == 1 < products


def test_largest_eigenpair_of_a_tiny_operator():
    """One and two dimensions, where the basis has more vectors than the space."""
    one = indicators.largest_eigenpair(lambda v: -3 * v, torch.ones(1))
    assert one[:2] == (-3, 0)
    two = indicators.largest_eigenpair(lambda v: v * torch.tensor([1.0, 4.0]), torch.ones(2))
    assert two[0] == pytest.approx(4, abs=two[1] + 1e-6)


OPTIMIZERS = {
    "plain": lambda p, lr: torch.optim.SGD(p, lr=lr),
    "momentum": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
    "damped": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.8, dampening=0.5),
    "Nesterov": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, nesterov=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_stability_edge_is_where_steps_diverge(name):
    """On the parabola of curvature 1, steps below the stated edge shrink, and steps above it grow."""
    for factor, grows in ((0.97, False), (1.03, True)):
        w = torch.ones(1, dtype=torch.float64, requires_grad=True)
        edge_at_one = indicators.stability_edge(OPTIMIZERS[name]([w], 1.0))
        optimizer = OPTIMIZERS[name](
            [w], factor * edge_at_one
        )  # curvature 1 = factor times the edge
        for _ in range(600):
            optimizer.zero_grad()
            (0.5 * w**2).sum().backward()
            optimizer.step()
        assert (abs(float(w.detach())) > 1) == grows


def test_the_edge_of_adam_is_where_its_frozen_recursion_diverges():
    """Of m <- b m + (1 - b) lambda x, x <- x - eta m the spectral radius passes 1 at the stated lambda."""
    w = torch.ones(1, requires_grad=True)
    for b in (0.0, 0.5, 0.9):
        edge = indicators.stability_edge(torch.optim.AdamW([w], lr=0.1, betas=(b, 0.999)))
        for factor, grows in ((0.99, False), (1.01, True)):
            g = (1 - b) * factor * edge
            steps = np.array([[b, g], [-0.1 * b, 1 - 0.1 * g]])
            assert (np.abs(np.linalg.eigvals(steps)).max() > 1) == grows
    assert np.isnan(indicators.stability_edge(torch.optim.NAdam([w])))
    assert np.isnan(indicators.stability_edge(torch.optim.SGD([w], lr=0.0)))


def test_noise_scale_and_its_error_against_repetition():
    """tr(Sigma) / |G|^2 = 40 / 4: the mean over 2000 draws, and the jackknife's error against the spread, where signal is clear."""
    rng = np.random.default_rng(0)
    signal, size, n = np.r_[2.0, np.zeros(39)], 32, 8
    found = []
    for _ in range(2000):
        gradients = signal + rng.normal(size=(n, 40)) / np.sqrt(size)
        found.append(indicators.noise_scale(gradients @ gradients.T, size))
    values, errors = np.array(found).T
    mean, error, _ = mean_and_error(values)
    assert mean == pytest.approx(
        10, abs=5 * error + 0.2
    )  # a ratio is biased by about its squared error
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(values.std(), rel=0.2)


def test_noise_scale_without_enough():
    """One batch tells nothing, two tell no error, and batches without signal are NaN."""
    assert np.isnan(indicators.noise_scale(np.eye(1), 8)).all()
    value, error = indicators.noise_scale(np.array([[2.0, 1.0], [1.0, 2.0]]), 8)
    assert value == 8
    assert np.isnan(error)
    assert np.isnan(indicators.noise_scale(np.array([[2.0, -1.0], [-1.0, 2.0]]), 8)[0])


def test_the_search_for_the_factor_begins_at_two_and_ends_after_ten():
    """The first loss is that of twice the update, as of a sharpness at the edge; a loss that never rises is asked ten times."""
    asked = []
    indicators.critical_factor(lambda factor: asked.append(factor) or -factor, 0.0, -1.0)
    assert asked[0] == 2.0
    assert len(asked) == 10
