"""The committed numbers of docs/real_and_model.md load and are drawn; the script makes such a file."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from experiments import real_dynamics
from multifractal.measured.real_dynamics import RealDynamics
from tests.helpers import approved

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "experiments" / "results" / "real_dynamics.npz"


@pytest.fixture(scope="module")
def found():
    """The committed numbers."""
    return RealDynamics.load(FILE)


def test_the_file_loads_without_torch_and_jax():
    """The numbers need numpy only; the file is small."""
    code = (
        f"import sys, multifractal as mf; mf.RealDynamics.load({str(FILE)!r}); "
        "assert not {'torch', 'jax', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert FILE.stat().st_size < 1e6


def test_the_figures_draw_the_file(found, drawn):
    """Both figures draw every system that the file holds."""
    from multifractal import figures

    axes = figures.section_beside_model(found.walks, [np.zeros((2, 3, 2))] * 2)
    assert len(axes[2].containers) == 2
    axes = figures.training_beside_model(found)
    assert len(axes[2].containers) == len(found.training.systems)


@pytest.mark.slow
def test_the_script_runs_and_goes_on(tmp_path):
    """A small run gives every system, and a second one the same numbers from the parts that are kept."""
    flags = "--runs 2 --n_points 64 --epochs 160 --steps 160 --side 64 --data_root none".split()
    command = [
        sys.executable,
        str(ROOT / "experiments" / "real_dynamics.py"),
        *flags,
        "--save_dir",
        str(tmp_path / "run"),
    ]
    results = []
    for _ in range(2):
        subprocess.run(command, check=True, cwd=tmp_path)
        results.append(RealDynamics.load(tmp_path / "run" / "real_dynamics.npz"))
    assert len(results[0].training.systems) == 4
    np.testing.assert_array_equal(results[0].training.stretch, results[1].training.stretch)


class Asked:
    """An experiment that computes nothing: it notes what each result would be made by."""

    def __init__(self, folder):
        self.folder, self.parts = folder, {}

    def path(self, name):
        """Return where a file would be."""
        return self.folder / name

    def result(self, name, kind, compute):
        """Note the part; return what stands for it."""
        self.parts[name] = (kind.__name__, compute.func.__name__, compute.args, compute.keywords)
        return SimpleNamespace(to_landscape=lambda: f"landscape of {name}")


def test_each_part_is_asked_for_with_the_flags(tmp_path, monkeypatch, capsys):
    """Walks on sections of three modes of dropout, the supplement's tables with and without it, and three small networks."""
    from landscape_viz.studies import real_dynamics as studies

    monkeypatch.setattr(studies, "trained_mlp", lambda: "network")
    flags = real_dynamics.parser().parse_args(
        ["--data_root", str(tmp_path), "--source_data", str(tmp_path), "--runs", "3"]
    )
    asked = Asked(tmp_path)
    for part in ("own_sections", "published_sections", "supplement", "small_networks"):
        list(getattr(real_dynamics, part)(asked, flags))
    found = {
        name: [kind, function, [a if isinstance(a, str) else "" for a in given],
               {k: v for k, v in more.items() if isinstance(v, int | float | str)}]
        for name, (kind, function, given, more) in asked.parts.items()
    }  # fmt: skip
    approved.check("test_real_dynamics", "parts", found)
    said = capsys.readouterr().out
    assert "no airfoil table, left out" in said
    assert said.count("not here, left out") == len(real_dynamics.PUBLISHED)
    (tmp_path / "airfoil_self_noise.dat").write_text("no table")
    with pytest.raises(ValueError, match="airfoil"):
        list(real_dynamics.supplement(asked, flags))


def test_the_parts_are_joined_and_kept(found, tmp_path, monkeypatch):
    """What the parts give is one file, where it is asked for; no page is written unless it is the committed one."""
    from multifractal.measured import real_dynamics as measured

    pages = []
    monkeypatch.setattr(measured, "walk_on_paper_surface", lambda runs, side: found.surface)
    monkeypatch.setattr(measured, "all_sections", lambda parts, n_pictures: found.walks)
    parts = {"own_sections": [found.walks], "supplement": [found.training]}
    for name in ("own_sections", "published_sections", "supplement", "small_networks"):
        monkeypatch.setattr(real_dynamics, name, lambda *_, name=name: parts.get(name, []))
    monkeypatch.setattr(real_dynamics.subprocess, "run", lambda *_, **__: pages.append("written"))
    flags = ["--save_dir", str(tmp_path / "kept"), "--runs", "3"]
    for name in ("--epochs", "--steps"):
        with pytest.raises(ValueError, match=f"{name} must .*160"):
            real_dynamics.main([*flags, name, "159"])
    assert not (tmp_path / "kept").exists()
    made = real_dynamics.main(flags)
    kept = RealDynamics.load(tmp_path / "kept" / "real_dynamics.npz")
    for one in (made, kept):
        np.testing.assert_array_equal(one.surface.stretch, found.surface.stretch)
        np.testing.assert_array_equal(one.training.loss, found.training.loss)
    assert "runs=3" in made.provenance.call
    assert not pages
    monkeypatch.setattr(real_dynamics, "ROOT", tmp_path)
    committed = tmp_path / "experiments" / "results" / "real_dynamics.npz"
    committed.parent.mkdir(parents=True)
    real_dynamics.main([*flags, "--out", str(committed), "--resume"])
    assert pages == ["written"]
    assert committed.exists()


def test_a_descent_begins_at_the_network_that_was_built(monkeypatch):
    """The first loss is torch's own of the initial weights, and the last that after the steps by plain gradient descent."""
    from landscape_viz import small_models
    from landscape_viz.studies import real_dynamics as studies

    draws = torch.Generator().manual_seed(0)
    batch = torch.randn(16, 1, 28, 28, generator=draws), torch.arange(16) % 10
    model = small_models.build("shallow", rng=3, parameters=studies._PARAMETERS)
    losses = []
    for _ in range(161):
        loss = torch.nn.functional.cross_entropy(model(batch[0]), batch[1])
        losses.append(loss.item())
        slopes = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for parameter, slope in zip(model.parameters(), slopes, strict=True):
                parameter -= 0.1 * slope
    bar = SimpleNamespace(update=lambda: None)
    monkeypatch.setattr(studies, "_over_edge", lambda operator, rate: np.nan)
    times = np.array([80, 120, 160])
    found = studies._trained("shallow", batch, 0.1, 3, times, bar)[4]
    np.testing.assert_allclose(found, [losses[0], losses[-1]], rtol=1e-5)
    assert losses[1] < 0.999 * losses[0]
