"""The house style: global settings stay as they were, notebooks show every figure, and a figure goes with its numbers."""

import matplotlib
import nbclient
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from multifractal import fbm_surface, figures
from multifractal.figures._style import axes_or_new, styled

SETUP = """
import multifractal as mf
from multifractal import figures
surface = mf.fbm_surface(64, 0.5, rng=0)
walk = mf.descend(surface, [5, 5], learning_rate=10, n_steps=20)
"""


@styled
def drawn(ax=None):
    """Draw a line."""
    ax = axes_or_new(ax)
    ax.plot([0, 1])
    return ax


def test_global_settings_are_left_alone():
    """A styled function restores every setting, and draws in the house's size."""
    before = dict(matplotlib.rcParams)
    ax = drawn()
    assert dict(matplotlib.rcParams) == before
    assert tuple(ax.figure.get_size_inches()) == (4.6, 3.5)


def test_a_notebook_shows_every_figure():
    """In a kernel without any magic, each of three cells shows its figure."""
    cells = [new_code_cell("figures.surface_with_walk(surface, walk);") for _ in range(3)]
    notebook = new_notebook(cells=[new_code_cell(SETUP), *cells])
    nbclient.NotebookClient(notebook).execute()
    shown = [["image/png" in output.get("data", {}) for output in cell.outputs] for cell in notebook.cells[1:]]
    assert shown == [[True]] * 3


def test_a_figure_is_saved_with_its_numbers(tmp_path):
    """PNG, PDF and the arrays behind it; without arrays it is refused."""
    values = fbm_surface(16, 0.5, rng=0).values
    figures.save_figure(drawn(), tmp_path, "line", values=values)
    assert (tmp_path / "line.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "line.pdf").read_bytes().startswith(b"%PDF")
    with np.load(tmp_path / "line.npz", allow_pickle=False) as stored:
        assert np.array_equal(stored["values"], values)
    with pytest.raises(ValueError, match="numbers must hold the arrays behind the figure"):
        figures.save_figure(drawn(), tmp_path, "line")
