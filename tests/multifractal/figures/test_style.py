"""The house style, and saving: global settings stay as they were, and a figure goes with its numbers and what made them."""

import base64
import io
import math
from concurrent.futures import Future
from types import SimpleNamespace

import matplotlib
import nbclient
import numpy as np
import PIL.Image
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from multifractal import fbm_surface, figures
from multifractal.base import files
from multifractal.figures import _style
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


@pytest.mark.slow
def test_a_notebook_shows_every_figure_once(tmp_path):
    """In a kernel without any magic, each of three cells shows its figure; a saved one is the written picture, smaller."""
    drawing = "figures.surface_with_walk(surface, walk)"
    saving = f"figures.save_figure({drawing}, {str(tmp_path)!r}, 'walk', losses=walk.losses);"
    book = (
        f"book = figures.FigureBook({str(tmp_path)!r}, formats=['png'], beside=True)\n"
        f"book.save_figure({drawing}, 'one', caption='What is seen.', of=[walk], losses=walk.losses)\n"
        f"book.save_figure({drawing}, 'two', losses=walk.losses);"
    )
    sources = (SETUP, f"{drawing};", f"{drawing};", saving, book, "book.close()")
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    nbclient.NotebookClient(notebook).execute()
    pictures = [
        [output for output in cell.outputs if "image/png" in output.get("data", {})]
        for cell in notebook.cells[1:]
    ]
    assert [len(some) for some in pictures] == [1, 1, 1, 2, 0]
    shown = [[output["data"]["image/png"] for output in some] for some in pictures]
    told = [output["data"].get("text/markdown") for output in notebook.cells[4].outputs]
    assert told == [None, "**Figure 1.** What is seen.", None]
    assert [output["data"]["text/plain"] for output in pictures[3]] == [
        "Figure 1: one",
        "Figure 2: two",
    ]
    assert shown[3] == [shown[2][0]] * 2  # drawn beside or here: the same picture
    assert not (tmp_path / "one.pdf").exists()
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


def test_what_made_a_figure_is_kept_with_its_numbers(tmp_path, zenodo, monkeypatch):
    """Calls, seeds and versions of the results, the caption, and the SHA-256 of the paper's files that it shows."""
    monkeypatch.setenv("MULTIFRACTAL_DATA", str(zenodo))
    surface, file = fbm_surface(16, 0.5, rng=3), "multifractional_brownian_surface/eos.mat"
    book = figures.FigureBook(tmp_path, formats=["png"])
    words = {"caption": "A line.", "of": [surface], "data": [file]}
    assert [book.save_figure(drawn(), name, **words, x=[0, 1]) for name in ("a", "b")] == [1, 2]
    book.close()
    _, made = files.load_arrays(tmp_path / "a.npz")
    assert (made["figure"], made["caption"]) == ("a", "A line.")
    assert made["calls"] == [{"call": surface.provenance.call, "seed": surface.provenance.seed}]
    assert {"multifractal", "matplotlib", "numpy"} <= set(made["versions"])
    assert made["data"] == {file: files.file_sha256(zenodo / file)}


def test_a_book_says_what_went_wrong_beside_it(tmp_path):
    """A figure that cannot be written in the other process raises there, at the latest when the book is closed."""
    (tmp_path / "taken").write_text("a file, not a folder")
    book = figures.FigureBook(tmp_path / "taken", formats=["png"], beside=True)
    book.save_figure(drawn(), "line", x=[0, 1])
    with pytest.raises(OSError):
        book.close()


def test_the_next_figure_says_what_went_wrong_with_an_earlier_one(tmp_path):
    """What is still being written is waited for at the end only; a writing that failed is told by the next call."""
    book, jobs = figures.FigureBook(tmp_path), []
    beside = SimpleNamespace(submit=lambda *_: jobs.append(Future()) or jobs[-1], shutdown=int)
    book._executor = beside  # no process: what it would do is done below
    for name in ("one", "two"):
        book.save_figure(drawn(), name, numbers=[1.0])
    jobs[1].set_result(b"")
    book.save_figure(drawn(), "three", numbers=[1.0])
    assert list(book._waiting) == ["Figure 1: one", "Figure 3: three"]
    jobs[0].set_exception(OSError("the disk is full"))
    with pytest.raises(OSError, match="full"):
        book.save_figure(drawn(), "four", numbers=[1.0])


def test_one_meaning_has_one_colour():
    """No two roles share a colour; Hurst exponents a tenth apart and rates a factor of three apart are told apart."""
    roles = [_style.OURS, _style.PUBLISHED, _style.THEORY, _style.CONTROL, _style.ESTIMATOR]
    assert len({*roles, *_style.FURTHER}) == 8
    for colours in (
        [_style.hurst_colour(h / 10) for h in range(1, 10)],
        [_style.rate_colour(rate) for rate in (10, 30, 100, 300, 1000, 3000, 10_000)],
    ):
        assert np.abs(np.diff(colours, axis=0)).max(axis=1).min() > 0.06


def test_panels_have_letters_and_ticks_their_commas():
    """Only panels of a new figure with several, and only axes that reach a thousand."""

    @styled
    def two(ax=None):
        axes = axes_or_new(ax, 1, 2)
        axes[0].plot([0, 5000], [0, 0.5])
        return axes

    axes = two()
    assert [[text.get_text() for text in ax.texts] for ax in axes] == [["a"], ["b"]]
    axes[0].figure.canvas.draw()
    assert "2,000" in [label.get_text() for label in axes[0].get_xticklabels()]
    assert any("0.2" in label.get_text() for label in axes[0].get_yticklabels())
    assert not drawn().texts
    own = matplotlib.pyplot.subplots(1, 2)[1]
    assert not any(ax.texts for ax in two(own))
    assert _style.number(-12345.0) == "\N{MINUS SIGN}12,345"
    assert _style.in_words("vgg_nodrop_sgd_fashionmnist") == "VGG, no dropout, SGD, FashionMNIST"


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


@pytest.mark.parametrize("beside", [False, True])
def test_a_book_does_other_work_beside_the_drawing(tmp_path, beside):
    """A function's result, or its error, comes by a Future; a figure drawn after it holds the same bytes as one drawn here."""
    book = figures.FigureBook(tmp_path / "book", formats=["png"], beside=beside)
    product, broken = book.submit(math.prod, [6, 7], start=2), book.submit(math.sqrt, -1)
    axes = drawn()
    axes.set(xscale="log", yscale="log", xlim=(1, 1e4), ylim=(1e-3, 1), xlabel="$10^{-3}$")
    figures.save_figure(axes, tmp_path, "line", formats=["png"], x=[0, 1])
    for name in ("line", "again"):  # its formulae are parsed once
        book.save_figure(axes, name, x=[0, 1])
    book.close()
    assert product.result() == 84
    with pytest.raises(ValueError, match="math domain error"):
        broken.result()
    first = (tmp_path / "line.png").read_bytes()
    assert all(
        (tmp_path / "book" / f"{name}.png").read_bytes() == first for name in ("line", "again")
    )
