"""loss_landscape_analysis.py: scripts as users of the published framework write them, in our words, run to their end."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import loss_landscape_analysis
from landscape_viz.loss.precision import pinned_threads
from loss_landscape_analysis import LossLandscapeAnalyzer
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def world():
    """Return (model, analyzer): a small classifier, trained, with shuffled loaders that drop their last batch."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(300, 6, generator=generator)
    targets = (inputs[:, 0] + inputs[:, 1] > 0).long()
    train = DataLoader(
        TensorDataset(inputs[:230], targets[:230]), batch_size=50, shuffle=True, drop_last=True
    )
    test = DataLoader(TensorDataset(inputs[230:], targets[230:]), batch_size=32)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(20):
        for x, y in train:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    with pinned_threads(1):
        yield model, LossLandscapeAnalyzer(model, train, test, nn.CrossEntropyLoss(), device="cpu")


def test_the_hessian_under_its_published_names(world):
    """Both ends of the spectrum, the count of negative eigenvalues as an integer, and damping as H + lambda I."""
    _, analyzer = world
    found = analyzer.compute_hessian_metrics(num_eigenvalues=5)
    assert found["max_eigenvalue"] == found["top_eigenvalues"][0] > found["min_eigenvalue"]
    assert isinstance(found["num_negative"], int)
    assert found["num_negative"] == found["num_negative_eigenvalues"]
    assert "num_negative_eigenvalues" in found["uncertainty"]
    damped = analyzer.compute_hessian_metrics(num_eigenvalues=5, damping=0.5)
    for name in ("max_eigenvalue", "min_eigenvalue"):
        np.testing.assert_allclose(damped[name], found[name] + 0.5, rtol=1e-4, atol=1e-5)
    whole = analyzer.full_analysis(damping=0.5)
    assert whole.top_eigenvalues[0] == pytest.approx(damped["max_eigenvalue"])
    assert isinstance(whole.num_negative_eigenvalues, int)


def test_an_estimated_count_is_an_integer_with_its_error():
    """Beyond 512 parameters the smallest eigenvalue is found too, and the count is rounded, its error beside it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 24), nn.Tanh(), nn.Linear(24, 2))
    data = [(torch.randn(40, 20), torch.randint(2, (40,)))]
    analyzer = LossLandscapeAnalyzer(model, data, data, nn.CrossEntropyLoss())
    found = analyzer.compute_hessian_metrics(3)
    from landscape_viz import HessianOperator

    exact = np.linalg.eigvalsh(HessianOperator(analyzer.problem).to_dense().astype(np.float64))
    assert isinstance(found["num_negative"], int)
    error = found["uncertainty"]["num_negative_eigenvalues"]
    assert error > 0
    assert abs(found["num_negative"] - (exact < -found["threshold"]).sum()) < 5 * max(error, 1)
    np.testing.assert_allclose(found["min_eigenvalue"], exact[0], rtol=2e-3)


def test_sharpness_with_its_published_arguments(world):
    """Epsilon and num_samples in, sharpness and max_loss out, which fit together."""
    _, analyzer = world
    found = analyzer.compute_sharpness(epsilon=0.02, num_samples=20)
    assert found["max_loss"] == pytest.approx(found["loss"] + found["sharpness"])
    assert found["sharpness"] <= found["ascent"]
    wider = analyzer.compute_sharpness(epsilon=0.2, num_samples=20)
    assert wider["sharpness"] > found["sharpness"]
    assert wider["radius"] == pytest.approx(10 * found["radius"])


def test_trajectory_without_arguments(world):
    """100 steps, measured every 10, with the correlation of training and test loss."""
    model, analyzer = world
    fresh = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    fresh.load_state_dict(model.state_dict())
    analyzer = LossLandscapeAnalyzer(fresh, *world_loaders(analyzer), nn.CrossEntropyLoss())
    found = analyzer.analyze_optimization_trajectory(torch.optim.SGD(fresh.parameters(), lr=0.05))
    assert found["steps"].tolist() == list(range(0, 101, 10))
    by_hand = np.corrcoef(found["losses_train"], found["losses_test"])[0, 1]
    assert found["train_test_correlation"] == pytest.approx(by_hand)
    one = analyzer.analyze_optimization_trajectory(
        torch.optim.SGD(fresh.parameters(), lr=0.05), 1, 1
    )
    assert np.isnan(one["train_test_correlation"])


def world_loaders(analyzer):
    """Return the two sets that an analyzer read."""
    return analyzer._train, analyzer._test


def test_plane_along_directions_of_the_users_own(world, tmp_path):
    """A flat array, one tensor a parameter, or one of the two: the loss is that of the moved weights; overwrite replaces."""
    model, analyzer = world
    sizes = [p.numel() for p in model.parameters()]
    first = [torch.randn(p.shape) for p in model.parameters()]
    second = np.random.default_rng(0).standard_normal(sum(sizes))
    path = tmp_path / "plane.png"
    mapped = analyzer.visualize_2d_landscape(
        0.5, 3, path, direction1=first, direction2=second, overwrite=True
    )
    moved = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    flat = torch.cat([t.reshape(-1) for t in first])
    weights = nn.utils.parameters_to_vector(model.parameters()).detach()
    nn.utils.vector_to_parameters(weights + 0.5 * flat, moved.parameters())
    inputs, targets = (
        torch.cat(parts) for parts in zip(*world_loaders(analyzer)[0].split(None), strict=True)
    )
    with torch.no_grad():
        by_hand = nn.functional.cross_entropy(moved(inputs).double(), targets).item()
    np.testing.assert_allclose(mapped.values["loss"][2, 1], by_hand, rtol=1e-4)
    with pytest.raises(FileExistsError):
        analyzer.visualize_2d_landscape(0.5, 3, path)
    analyzer.visualize_2d_landscape(0.5, 3, path, direction2=second, overwrite=True)


def test_generalization_bound(world):
    """It lies above the noisy network's training error and the test error here, and says when it says nothing."""
    _, analyzer = world
    found = analyzer.compute_generalization_bound(num_draws=30)
    assert found["n_samples"] == 200  # drop_last leaves 30 out
    assert found["noisy_error"] < found["bound"] <= 1
    assert found["vacuous"] == (found["bound"] >= 1)
    assert 0 <= found["train_error"] < found["bound"]


def test_comparison_as_markdown(world):
    """The frame of compare_architectures prints as markdown where tabulate is installed."""
    _, analyzer = world
    torch.manual_seed(1)
    other = nn.Sequential(nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 2))
    frame = analyzer.compare_architectures({"wide": analyzer._model, "narrow": other})
    assert frame["num_negative_eigenvalues"].dtype.kind == "i"
    pytest.importorskip("tabulate")
    assert "| narrow |" in frame.to_markdown()


def test_it_runs_as_a_script():
    """The module at the root is the comparison's command."""
    run = subprocess.run(
        [sys.executable, "loss_landscape_analysis.py", "--points", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "--points must be at least 3" in run.stderr
    assert loss_landscape_analysis.__all__ == ["Analysis", "LossLandscapeAnalyzer", "main"]
