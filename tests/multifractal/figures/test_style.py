"""The house style: global settings stay as they were, notebooks show every figure, and a figure goes with its numbers."""

import base64
import io

import matplotlib
import nbclient
import numpy as np
import PIL.Image
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


def test_a_notebook_shows_every_figure_once(tmp_path):
    """In a kernel without any magic, each of three cells shows its figure; a saved one is the written picture, smaller."""
    drawing = "figures.surface_with_walk(surface, walk)"
    saving = f"figures.save_figure({drawing}, {str(tmp_path)!r}, 'walk', losses=walk.losses);"
    notebook = new_notebook(
        cells=[new_code_cell(source) for source in (SETUP, f"{drawing};", f"{drawing};", saving)]
    )
    nbclient.NotebookClient(notebook).execute()
    shown = [
        [output["data"]["image/png"] for output in cell.outputs] for cell in notebook.cells[1:]
    ]
    assert [len(pictures) for pictures in shown] == [1, 1, 1]
    small, written = (
        PIL.Image.open(file)
        for file in (io.BytesIO(base64.b64decode(shown[2][0])), tmp_path / "walk.png")
    )
    scale = 85 / 200  # the house style's resolutions, on screen and written
    assert small.size == pytest.approx([scale * side for side in written.size], abs=1)
    pixels = [
        np.asarray(picture.convert("L").resize((40, 20))).astype(float)
        for picture in (small, written)
    ]
    assert np.abs(pixels[0] - pixels[1]).max() < 20
    assert pixels[0].std() > 20


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


def test_a_saved_figure_is_framed_as_its_writer_would(tmp_path):
    """The frame, measured once, is the one that writing with a tight frame measures; the figure keeps its resolution."""
    ax = drawn()
    ax.annotate("beside", (1.3, 0.5), xycoords="axes fraction")
    dpi = ax.figure.dpi
    figures.save_figure(ax, tmp_path, "line", x=[0, 1])
    ax.figure.savefig(tmp_path / "tight.png", dpi=200, bbox_inches="tight")
    ours, tight = (
        np.asarray(PIL.Image.open(tmp_path / f"{name}.png")) for name in ("line", "tight")
    )
    assert np.array_equal(ours, tight)
    assert ax.figure.dpi == dpi
