"""The page of the edge monitor runs, and the study's rule says yes and no where it must."""

import json
import re

import numpy as np
import pytest
import torch
from scipy.linalg import polar

from experiments import edge_monitor, edge_optimizers
from landscape_viz.loss.precision import pinned_threads
from tests.conftest import ROOT


def test_the_page_runs():
    """The block of edge_monitor.md runs, and its record holds what it says."""
    page = ROOT / "docs" / "edge_monitor.md"
    found = {}
    with pinned_threads(1):
        exec(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)[0], found)  # noqa: S102
    record = found["record"]
    assert record.steps.tolist() == list(range(0, 200, 10))
    assert np.isfinite(record["preconditioned_sharpness"]).sum() == 4


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        (np.linspace(0.9, 1.1, 20), "hovers"),
        (np.linspace(0.2, 0.6, 20), "below"),
        (np.linspace(1.5, 9, 20), "above"),
        (np.r_[np.full(8, 0.1), np.full(4, 1.0), np.full(8, 30.0)], "wanders"),
        (np.full(20, np.nan), "none"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_rule_on_made_worlds(second, verdict):
    """Only the second half counts: the first half of each world would say otherwise."""
    first = np.full(20, 1.0) if verdict != "hovers" else np.full(20, 50.0)
    assert edge_monitor.judged(np.r_[first, second])[0] == verdict


def test_descent_on_all_data_hovers_as_published():
    """Cohen et al. 2021: with nearly all images a step, SGD's largest eigenvalue and critical sharpness hover in the results kept."""
    rows = json.loads(edge_monitor.RESULTS.read_text())["runs"]
    row = next(r for r in rows if r["optimizer"] == "SGD" and r["batch_size"] == 1024)
    for seed in row["seeds"]:
        assert seed["largest_eigenvalue"][0] == seed["critical_sharpness"][0] == "hovers"


def test_a_short_run_is_recorded():
    """One run of each optimiser gives a record with the columns that the table reads."""
    with pinned_threads(1):
        for name in edge_monitor.OPTIMIZERS:
            record = edge_monitor.run(name, 16, 0, 0.01, n_steps=20)
            assert np.isfinite(record["critical_sharpness"]).any(), name


@pytest.mark.parametrize(
    ("losses", "good"),
    [([3.0, 2.0] + [1.0] * 18, True), ([3.0, np.inf], False), ([1.0] * 18 + [4.0, 0.1], False)],
)
def test_a_run_that_trains(losses, good):
    """Finite throughout, and the last tenth on average below the first loss: what the rule of the rates asks."""
    assert edge_monitor.trains(iter(losses)) is good


def test_the_rate_is_the_largest_that_trains(monkeypatch):
    """In a made world where rates above 0.2 blow up with one batch size, 0.2 is taken."""
    made = lambda name, size, seed, rate, n, before: iter([1.0, 0.5 if rate < 0.3 or size > 20 else np.nan])  # noqa: E731  # fmt: skip
    monkeypatch.setattr(edge_monitor, "steps", made)
    assert edge_monitor.chosen_rate("SGD") == 0.2


def test_the_muon_like_step_is_the_orthogonal_factor():
    """Two steps: matrices, and kernels as matrices, by the polar factor of the momentum as scipy has it; vectors by its sign."""
    rng = np.random.default_rng(0)
    shapes, rate, momentum = ((3, 4), (2, 3, 2, 2), (5,)), 0.1, 0.9
    weights = [torch.nn.Parameter(torch.from_numpy(rng.normal(size=shape))) for shape in shapes]
    optimizer = edge_optimizers.MuonLike(weights, rate, momentum)
    moving, right = [0.0] * 3, [w.detach().numpy().copy() for w in weights]
    for _ in range(2):
        for k, shape in enumerate(shapes):
            slope = rng.normal(size=shape)
            weights[k].grad = torch.from_numpy(slope)
            moving[k] = momentum * moving[k] + slope
            rows = moving[k].reshape(shape[0], -1)
            step = np.sign(moving[k]) if len(shape) == 1 else polar(rows)[0].reshape(shape)
            right[k] -= rate * step
        optimizer.step()
    for found, expected in zip(weights, right, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-10)


def test_sam_steps_by_the_slope_uphill():
    """On a bowl of curvatures h the slope at w + rho g / |g| is h w (1 + rho h / |h w|); the weights come back before the step."""
    h, start = torch.tensor([1.0, 4.0]), torch.tensor([3.0, 1.0])
    w = torch.nn.Parameter(start.clone())
    optimizer = edge_optimizers.Sam([w], 0.1, rho=0.5)

    def closure():
        optimizer.zero_grad()
        (h * w**2).sum().div(2).backward()

    closure()
    optimizer.step(closure)
    expected = start - 0.1 * h * start * (1 + 0.5 * h / 5)  # |h w| = |(3, 4)|
    torch.testing.assert_close(w.detach(), expected)
