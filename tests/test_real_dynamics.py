"""The committed numbers of docs/real_and_model.md load and are drawn; the script makes such a file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from multifractal.measured.real_dynamics import RealDynamics

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
