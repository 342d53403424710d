"""The house style, applied in a context (global settings are never touched), and saving a figure with its numbers."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import PIL.Image

from multifractal.base import files
from multifractal.base.types import Array, ArrayLike, PathLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    ManyAxes: TypeAlias = Sequence[Axes] | Array  # one for each panel


HOUSE_STYLE = Path(__file__).with_name("house.mplstyle")

F = TypeVar("F", bound=Callable[..., Any])

# Okabe & Ito's palette by role: the same thing has the same colour in every figure.
OURS, PUBLISHED, THEORY, CONTROL = "#0072B2", "#D55E00", "#000000", "#999999"


def styled(figure_function: F) -> F:
    """Decorate a figure function: it draws in the house style and leaves global settings alone."""

    @functools.wraps(figure_function)
    def draw(*args, **kwargs):
        # loads the backend; inside the context a notebook's interactive mode would not outlive it
        plt.draw_if_interactive()
        with plt.style.context(HOUSE_STYLE):
            return figure_function(*args, **kwargs)

    return cast(F, draw)


def axes_or_new(ax, n_rows=1, n_cols=1, **subplots):
    """Return `ax` as given, else the axes of a new figure: one, or an array of `n_rows` x `n_cols` (squeezed)."""
    if ax is not None:
        return ax
    width, height = plt.rcParams["figure.figsize"]
    subplots.setdefault("figsize", (width * n_cols, height * n_rows))
    return plt.subplots(n_rows, n_cols, **subplots)[1]


def save_figure(axes: Axes | ManyAxes, folder: PathLike, name: str, **numbers: ArrayLike) -> Figure:
    """Write the figure of `axes` as `name.png` and `name.pdf` in `folder`, and the `numbers` behind it as `name.npz`.

    In a notebook the picture that was written is shown, smaller, and the figure is not drawn once more.

    Parameters
    ----------
    axes : Axes or array of Axes
        What a figure function returned.
    folder : path-like
        Created if missing; files of the same name are replaced, since a figure is always redrawn from its results.
    name : str
        The file name without ending.
    **numbers : array_like
        The arrays the figure shows, by name; at least one.

    Returns
    -------
    matplotlib Figure
    """
    if not numbers:
        raise ValueError(
            "numbers must hold the arrays behind the figure, got none; pass them by keyword"
        )
    folder = Path(folder)
    figure = np.ravel(np.asarray(axes, dtype=object))[0].figure
    with plt.style.context(HOUSE_STYLE):
        frame = _lay_out(figure)
        for ending in ("png", "pdf"):
            with files.atomic_write(folder / f"{name}.{ending}", overwrite=True) as file:
                figure.savefig(file, format=ending, bbox_inches=frame)
    files.save_arrays(folder / f"{name}.npz", numbers, {"figure": name}, overwrite=True)
    if "inline" in matplotlib.get_backend():
        plt.close(figure)
        _show(folder / f"{name}.png", figure.dpi)
    return figure


def _lay_out(figure):
    """Lay the figure out once, at the resolution it is written in, and return the box in inches that holds all of it.

    Each writing would otherwise lay it out and measure it anew, and parse its formulae once more.
    """
    shown, figure.dpi = figure.dpi, plt.rcParams["savefig.dpi"]
    try:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        return figure.get_tightbbox().padded(plt.rcParams["savefig.pad_inches"])
    finally:
        figure.dpi = shown


def _show(path, dpi):
    """Show a written picture in the notebook, at the resolution of its figures."""
    from IPython.display import Image, display

    with PIL.Image.open(path) as written, io.BytesIO() as shown:
        scale = dpi / written.info["dpi"][0]
        size = [round(scale * side) for side in written.size]
        small = written.convert("RGB").resize(size, PIL.Image.Resampling.BOX)
        # Levels in steps of 5 of 255 look the same and take a third less room in the notebook.
        small.point([round(level / 5) * 5 for level in range(256)] * 3).save(
            shown, "png", optimize=True
        )
        display(Image(shown.getvalue()))
