"""The fractal report: rough, smooth and noisy losses told apart at three zooms, the model left as it was."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import multifractal as mf
from landscape_viz import FractalReport, fractal_report, fractality
from landscape_viz.figures import probes

DATA = [(torch.zeros(1, 1), torch.zeros(1))]
N = 113


def value(outputs, targets):
    """The mean output as the loss."""
    return outputs.mean()


class Waves(nn.Module):
    """A loss that is rough with exponent 0.4 at all zooms: waves of random direction, lengths from 1e-6 to 10."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(2, 3, generator=generator, dtype=torch.float64))
        size = torch.logspace(-1, 6, 7000, dtype=torch.float64)
        k = torch.randn(7000, 6, generator=generator, dtype=torch.float64)
        self.register_buffer("k", size[:, None] * k / k.norm(dim=1, keepdim=True))
        self.register_buffer(
            "phase", 7 * torch.rand(7000, generator=generator, dtype=torch.float64)
        )

    def forward(self, inputs):
        """Return the sum of the waves."""
        return (
            (self.k.norm(dim=1) ** -0.4 * torch.cos(self.k @ self.weight.flatten() + self.phase))
            .sum()
            .reshape(1, 1)
        )


def replaced(monkeypatch, images):
    """Let the maps of a report be these images."""
    left = iter(images)
    monkeypatch.setattr(
        fractality,
        "section",
        lambda *a, **k: SimpleNamespace(to_landscape=lambda: mf.Landscape(next(left))),
    )


def report(**options):
    """A report of a small network."""
    torch.manual_seed(0)
    return fractal_report(nn.Linear(1, 1), DATA, value, n_points=N, **options)


@pytest.mark.slow
def test_a_rough_loss_is_rough_at_every_zoom():
    """The exponent of the waves, 0.4, at every distance within 0.1, 4 standard deviations over draws; words too."""
    model = Waves()
    before = copy.deepcopy(model.state_dict())
    found = fractal_report(model, DATA, value, n_points=N)
    assert found.kinds == ["rough"] * 3
    np.testing.assert_allclose(found.exponents, 0.4, atol=0.1)
    assert "Rough over some distances" in str(found)
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert model.training


def test_words_follow_what_the_sections_are(monkeypatch):
    """Exact surfaces are called rough with their exponent and distances, white noise noise, a bowl smooth."""
    noise = np.random.default_rng(0).standard_normal((N, N))
    y, x = np.mgrid[:N, :N] / N - 0.5
    rough = [mf.fbm_surface(N, 0.5, rng=seed).values for seed in range(3)]
    replaced(monkeypatch, [*rough, noise, x**2 + y**2, noise, *[x**2 + y**2] * 3, *[noise] * 3])
    found = report()
    assert found.kinds == ["rough"] * 3
    assert (
        (found.exponents_interval[0] <= 0.5) & (0.5 <= found.exponents_interval[1])
    ).mean() > 0.8
    np.testing.assert_allclose(found.rough_distances[:, 0], found.distances[:, 0])
    np.testing.assert_allclose(found.distances[:, 0], 2 / (N - 1) / np.array([1, 10, 100]))
    assert "Rough over some distances: exponent 0.5" in str(found)
    mixed = report()
    assert mixed.kinds == ["noise", "smooth", "noise"]
    assert (
        "Noise, not landscape, makes up the differences at ± 1, ± 0.01: neighbouring points are unrelated"
        in str(mixed)
    )
    assert "the spectrum is not defined here" in str(mixed)
    assert "Smooth at every zoom: no sign of a fractal" in str(report())
    assert "every point drew its own dropout mask" in str(report(dropout="live"))


def test_figure_and_file(monkeypatch, tmp_path):
    """The figure draws the arrays of the report; a saved one says the same."""
    replaced(monkeypatch, [mf.fbm_surface(N, 0.5, rng=seed).values for seed in range(3)])
    found = report()
    axes = probes.fractality(found)
    assert axes.shape == (2, 3)
    np.testing.assert_array_equal(axes[0, 1].images[0].get_array(), found.losses[1])
    np.testing.assert_array_equal(axes[1, 1].lines[0].get_ydata(), found.D[0])
    assert [text.get_text() for text in axes[1, 1].get_legend().get_texts()][0].startswith("± 1")
    found.save(tmp_path / "report.npz")
    assert str(FractalReport.load(tmp_path / "report.npz")) == str(found)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_points": 65}, "at least 113"),
        ({"half_width": 0}, "positive"),
        ({"dropout": "no"}, "dropout must be one of"),
    ],
)
def test_refusals(options, words):
    """Too few points for a spectrum, no width, an unknown mode."""
    with pytest.raises(ValueError, match=words):
        fractal_report(nn.Linear(1, 1), DATA, value, **options)
