"""The demo notebook runs from top to bottom and leaves every figure with its numbers."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

from multifractal.base.files import load_arrays

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "demo.ipynb"


def figure_names():
    """Return the names that the notebook saves figures under."""
    source = "\n".join(
        cell.source for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"
    )
    return re.findall(r"save_figure\([^\"]*\"([\w-]+)\"", source)


def run_demo(folder, **environment):
    """Execute the committed notebook in `folder` and return what the command printed."""
    for file in (NOTEBOOK, ROOT / "train_supplementary.py"):
        shutil.copy(file, folder)
    shutil.copytree(ROOT / "experiments" / "results", folder / "experiments" / "results")
    command = [
        sys.executable,
        ROOT / "tools" / "execute_notebook.py",
        "demo.ipynb",
        "--html",
        "results/demo.html",
    ]
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MULTIFRACTAL_DATA", "PROFILE")
    }
    done = subprocess.run(
        command, cwd=folder, env={**clean, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# Figures of the paper's own sections and their spectra: left out, and said so, where these are not at hand.
OF_SOURCE_DATA = {"all_sections", "published_epochs", "real_section", "section_spectra"}


def check_outputs(folder, without=frozenset()):
    """Check that each figure is there as PNG, with finite numbers and what made them, and that the page fetches nothing."""
    drawn = {path.stem for path in (folder / "results" / "figures").glob("*.png")}
    assert drawn == set(figure_names()) - without
    for name in drawn:
        stem = folder / "results" / "figures" / name
        assert stem.with_suffix(".png").stat().st_size > 5000, name
        assert not stem.with_suffix(".pdf").exists(), name  # those belong to the full profile
        with np.load(stem.with_suffix(".npz"), allow_pickle=False) as numbers:
            assert len(numbers.files) > 1, name
            assert any(
                np.isfinite(numbers[k]).any() for k in numbers.files if numbers[k].dtype.kind == "f"
            ), name
        _, made = load_arrays(stem.with_suffix(".npz"))
        assert made["calls"] or made["data"], name
        assert len(made["caption"].replace("Fig. ", "").split(". ")) == 2, name
    page = (folder / "results" / "demo.html").read_text()
    assert page.count("<figcaption>") == len(drawn)
    assert all(f"<strong>Figure {k}.</strong>" in page for k in range(1, len(drawn) + 1))
    assert "<math" in page
    assert "is being drawn" not in page
    assert "Traceback" not in page
    assert not re.findall(r"<(?:script|img|link)[^>]+(?:src|href)=\"https?:", page)


def test_demo_runs_beside_the_source_data(tmp_path, zenodo):
    """With the paper's files at hand, the quick profile leaves every figure."""
    printed = run_demo(tmp_path, MULTIFRACTAL_DATA=str(zenodo))
    check_outputs(tmp_path)
    assert str(tmp_path / "results" / "figures") in printed


@pytest.mark.slow
def test_demo_runs_without_source_data(tmp_path):
    """Without any data at all, the quick profile leaves every figure that is computed from scratch."""
    run_demo(tmp_path, MULTIFRACTAL_DATA=str(tmp_path / "nothing"))
    check_outputs(tmp_path, OF_SOURCE_DATA)


def test_committed_notebook_is_executed_and_small():
    """The notebook is committed with its outputs, without an error, at most 3 MB."""
    notebook = nbformat.read(NOTEBOOK, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    pictures = [o for c in code for o in c.outputs if "image/png" in o.get("data", {})]
    assert len(pictures) >= len(figure_names())
    assert NOTEBOOK.stat().st_size < 3e6
