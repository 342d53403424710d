"""The analyzer: exact on a known quadratic, the quick-start through every method, and what it refuses."""

import copy
import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from landscape_viz import LossLandscapeAnalyzer
from landscape_viz.analyzer import Analysis
from tests.landscape_viz.curvature.test_hessian import Quadratic, dense_hessian, mean_output
from tests.landscape_viz.test_sharpness import H

DATA = (
    torch.randn(1000, 20, generator=torch.Generator().manual_seed(0)),
    torch.randint(2, (1000,), generator=torch.Generator().manual_seed(1)),
)


def network(width=64):
    """Return the quick-start's network, 20-64-2."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, width), nn.ReLU(), nn.Linear(width, 2))


def loaders():
    """Return a shuffled training loader and a test loader on random data."""
    data = TensorDataset(*DATA)
    return (
        DataLoader(torch.utils.data.Subset(data, range(800)), batch_size=400, shuffle=True),
        DataLoader(torch.utils.data.Subset(data, range(800, 1000)), batch_size=100),
    )


@pytest.fixture(scope="module")
def trained():
    """Return (model, analyzer) after ten epochs of Adam."""
    model, (train, test) = network(), loaders()
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(10):
        for inputs, targets in train:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
    return model, LossLandscapeAnalyzer(model, train, test, nn.CrossEntropyLoss())


def test_a_known_quadratic_is_exact():
    """On a quadratic with a known Hessian every field is its closed form."""
    batch = [(torch.zeros(4, 1, dtype=torch.float64), torch.zeros(4))]
    analyzer = LossLandscapeAnalyzer(Quadratic(), batch, batch, mean_output)
    found, exact = analyzer.full_analysis(), np.linalg.eigvalsh(H)[::-1]
    np.testing.assert_allclose(found.top_eigenvalues, exact, rtol=1e-12)
    assert found.trace == pytest.approx(21)
    assert found.condition_number == pytest.approx(exact[0] / exact[-1])
    assert found.flatness == pytest.approx(exact[0] ** -0.5)
    assert found.spectral_gap == pytest.approx(exact[0] - exact[1])
    assert found.num_negative_eigenvalues == 0
    radius = found.sharpness_radius
    bound = radius * np.linalg.norm(H @ np.linspace(-1, 1, 6)) + exact[0] * radius**2 / 2
    assert 0 < found.sharpness <= bound
    assert set(found.uncertainty) == {
        "condition_number",
        "sharpness",
        "flatness",
        "spectral_gap",
        "trace",
        "num_negative_eigenvalues",
        "top_eigenvalues",
        "max_eigenvalue",
        "min_eigenvalue",
    }


def test_quick_start_runs_every_method(trained, tmp_path):
    """1000 x 20 random data, a 20-64-2 ReLU network, ten epochs of Adam: every method, with results that fit together."""
    model, analyzer = trained
    found = analyzer.full_analysis()
    assert isinstance(found, Analysis)
    assert (np.diff(found.top_eigenvalues) <= 0).all()
    assert found.flatness == pytest.approx(found.top_eigenvalues[0] ** -0.5)
    exact = np.linalg.eigvalsh(dense_hessian(analyzer.problem).astype(np.float64))[::-1]
    np.testing.assert_allclose(found.top_eigenvalues[:5], exact[:5], rtol=1e-3)
    assert abs(found.trace - exact.sum()) < 4 * found.uncertainty["trace"]
    assert abs(found.num_negative_eigenvalues - (exact < -found.threshold).sum()) < 4 * max(
        found.uncertainty["num_negative_eigenvalues"], 1
    )
    assert len(analyzer.compute_hessian_metrics(num_eigenvalues=3)["top_eigenvalues"]) == 3

    mapped = analyzer.visualize_2d_landscape(resolution=7, path=tmp_path / "landscape.png")
    assert mapped.values["loss"].shape == (7, 7)
    assert mapped.values["loss"][3, 3] == pytest.approx(found.loss, rel=1e-5)
    assert (tmp_path / "landscape.png").stat().st_size > 5000
    with pytest.raises(FileExistsError):
        analyzer.visualize_2d_landscape(resolution=7, path=tmp_path / "landscape.png")

    watched = analyzer.analyze_optimization_trajectory(
        torch.optim.SGD(model.parameters(), lr=0.05), 30, 3
    )
    assert watched["steps"].tolist() == list(range(0, 31, 3))
    assert len(watched["sharpness"]) == len(watched["steps"][::5])
    assert watched["losses_train"][0] == pytest.approx(found.loss, rel=1e-5)
    assert watched["losses_train"][-1] < watched["losses_train"][0]
    assert watched["sharpness"][0] == pytest.approx(found.top_eigenvalues[0], rel=1e-3)

    joined = analyzer.compute_mode_connectivity(network(), num_points=11)
    assert joined["connectivity_score"] == 1 / (1 + joined["barrier_height"])
    assert joined["barrier_above_line"] >= 0
    assert joined["path_norm"] > 0

    frame = analyzer.compare_architectures({"wide": model, "narrow": network(8)})
    assert frame.loc["wide", "largest_eigenvalue"] == pytest.approx(found.top_eigenvalues[0])
    assert frame.loc["narrow", "parameters"] == 20 * 8 + 8 + 16 + 2

    words = analyzer.interpret(found, joined)
    assert words.count("Caveat:") == 4
    assert f"{found.condition_number:.4g}" in words


def test_the_model_is_left_as_it_was(trained):
    """Weights, modes, gradients, optimizer state and random state are as before after training a copy and probing."""
    model, analyzer = trained
    model.train()
    optimizer = torch.optim.Adam(model.parameters())
    before, gradients = (
        copy.deepcopy(model.state_dict()),
        [p.grad.clone() for p in model.parameters()],
    )
    state = torch.get_rng_state()
    analyzer.analyze_optimization_trajectory(optimizer, 3, 2)
    analyzer.compute_hessian_metrics(2)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert not optimizer.state


def test_an_analysis_that_is_given_is_told_and_not_made_again(trained, monkeypatch):
    """`interpret` puts into words what it is given; without, what `full_analysis` returns; a barrier from 0.1 on is not low."""
    _, analyzer = trained
    made = Analysis(**dict.fromkeys(Analysis.__annotations__, 1.0) | {"uncertainty": {}})
    given = replace(made, condition_number=8765.4321)
    monkeypatch.setattr(analyzer, "full_analysis", lambda: made)
    assert "8765" in analyzer.interpret(given)
    assert "8765" not in analyzer.interpret()
    for height, words in (
        (0.0999999, "below 0.1."),
        (0.1000001, "between 0.1 and 1."),
        (1.0000001, "above 1."),
    ):
        assert words in analyzer.interpret(made, {"barrier_height": height}).splitlines()[-1]


class Noisy(TensorDataset):
    """A data set with random augmentation."""

    def __getitem__(self, index):
        """Return a sample with new noise."""
        x, y = super().__getitem__(index)
        return x + torch.randn_like(x), y


def test_bad_input_is_refused():
    """A frozen model, an empty loader, samples that change, an optimizer of another model and a misfit are refused."""
    model, (train, test) = network(), loaders()
    make = functools.partial(LossLandscapeAnalyzer, criterion=nn.CrossEntropyLoss())
    with pytest.raises(ValueError, match="model must have trainable parameters"):
        make(copy.deepcopy(model).requires_grad_(False), train, test)
    with pytest.raises(ValueError, match="test_loader must give at least one batch"):
        make(model, train, [])
    with pytest.raises(ValueError, match="train_loader must give the same samples at each pass"):
        make(model, DataLoader(Noisy(*DATA), batch_size=100), test)
    analyzer = make(model, train, test)
    with pytest.raises(ValueError, match="optimizer must hold parameters of the analyzed model"):
        analyzer.analyze_optimization_trajectory(
            torch.optim.SGD(network().parameters(), lr=0.1), 2, 1
        )
    with pytest.raises(ValueError, match="0.weight has shape"):
        analyzer.compute_mode_connectivity(network(9))
    with pytest.raises(ValueError, match="loss must give one number"):
        make(model, train, test, criterion=nn.CrossEntropyLoss(reduction="none")).full_analysis()
