"""The study of where losses are fractal: its cheapest part runs as a command, is resumed, and its rule asks for seeds."""

import subprocess
import sys

import pytest

from experiments.where_fractal import figures, page
from tests.conftest import ROOT


def run(folder, seeds):
    """Run the plant's part of experiments/where_losses_are_fractal.py; return what it printed."""
    command = [sys.executable, "-W", "ignore", "experiments/where_losses_are_fractal.py"]
    command += [
        "--seeds",
        str(seeds),
        "--parts",
        "plant",
        "--points",
        "128",
        "--save-dir",
        str(folder),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_plant_runs_and_is_resumed(tmp_path):
    """One seed leaves its file, which a second run with two seeds reads instead of measuring again; both are undecided."""
    first = run(tmp_path, 1)
    kept = (tmp_path / "plant_0.json").stat().st_mtime_ns
    second = run(tmp_path, 2)
    assert (tmp_path / "plant_0.json").stat().st_mtime_ns == kept
    assert (tmp_path / "plant_1.json").exists()
    assert "undecided (1 seeds)" in first
    assert "undecided (2 seeds)" in second


@pytest.mark.parametrize("name", figures.FIGURES)
def test_figures_are_as_approved(name, drawn):
    """Those of the committed rows: lines, labels, limits and legends."""
    figures.FIGURES[name](page.kept())
