"""Saving figures: the picture, the numbers behind it and what made them, at once or in a process beside the computing."""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import multiprocessing
import pickle
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
from matplotlib.mathtext import MathTextParser

from multifractal._version import __version__
from multifractal.base import files
from multifractal.base.checks import require
from multifractal.base.chunks import end_with_parent
from multifractal.base.result import Result
from multifractal.base.types import Array, ArrayLike, PathLike
from multifractal.figures._style import HOUSE_STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from multifractal.figures._style import ManyAxes


_FORMATS = ("png", "pdf")
# what a figure without a layout engine would be given by default, at each writing anew
_NO_LAYOUT = {"figure.constrained_layout.use": False, "figure.autolayout": False}
_COLOURS = 192  # of a picture in a notebook
_NEARLY_WHITE = 246  # what a tree of colours makes of white
_FORMULAE = 4096  # that a worker keeps; the demo has 400 at the resolutions that it draws them in


def save_figure(
    axes: Axes | ManyAxes,
    folder: PathLike,
    name: str,
    *,
    caption: str = "",
    of: Iterable[Result] = (),
    data: Iterable[str] = (),
    formats: Sequence[str] = _FORMATS,
    **numbers: ArrayLike,
) -> Figure:
    """Write the figure of `axes` as `name.png` and `name.pdf` in `folder`, and the `numbers` behind it as `name.npz`.

    In a notebook the picture that was written is shown, smaller, and the figure is not drawn once more. A `FigureBook` saves
    many, in a process beside the computing.

    Parameters
    ----------
    axes : Axes or array of Axes
        What a figure function returned.
    folder : path-like
        Created if missing; files of the same name are replaced, since a figure is always redrawn from its results.
    name : str
        The file name without ending.
    caption : str
        Shown under the picture in a notebook and kept with the numbers.
    of : iterable of Result
        The results that the figure shows: their calls, seeds and versions are kept with the numbers.
    data : iterable of str
        Names of files of the paper's record that the figure shows: kept with their SHA-256.
    formats : sequence of str
        Among the endings that matplotlib writes; "png" is always written.
    **numbers : array_like
        The arrays the figure shows, by name; at least one. `multifractal.base.files.load_arrays` gives them back with what made
        them; `numpy.load` reads the arrays alone.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ValueError
        When there are no `numbers`.
    """
    job, figure = _job(axes, folder, name, caption, of, data, formats, numbers)
    shown = _write(figure, *job)
    if _in_notebook():
        plt.close(figure)
        _show(shown, name, caption)
    return figure


class FigureBook:
    """Figures of one folder, numbered in the order in which they are saved; each can be drawn in a process beside the computing.

    In a notebook a figure appears in its cell when it is ready, at the latest when the book is closed. In a script a book with
    `beside` belongs under ``if __name__ == "__main__":``, as every use of processes does.

    Parameters
    ----------
    folder : path-like
        As for `save_figure`.
    formats : sequence of str
        As for `save_figure`.
    beside : bool
        Whether a second process draws and writes; else each call does, before it returns. The files are the same.

    Examples
    --------
    >>> import tempfile
    >>> import multifractal as mf
    >>> from multifractal import figures
    >>> walk = mf.descend(mf.fbm_surface(32, 0.5, rng=0), [9, 9], learning_rate=10, n_steps=20)
    >>> book = figures.FigureBook(tempfile.mkdtemp(), formats=["png"])
    >>> track = {"walk": (range(21), walk.losses, 10.0)}
    >>> book.save_figure(figures.sharpness_along(track), "walk", of=[walk], losses=walk.losses)
    1
    >>> book.close()
    """

    def __init__(
        self, folder: PathLike, *, formats: Sequence[str] = _FORMATS, beside: bool = False
    ) -> None:
        self.folder, self.formats = Path(folder), tuple(formats)
        self._count = 0
        self._waiting: dict[str, Future[bytes]] = {}
        self._executor = (
            ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_start_worker)
            if beside
            else None
        )

    def save_figure(
        self,
        axes: Axes | ManyAxes,
        name: str,
        *,
        caption: str = "",
        of: Iterable[Result] = (),
        data: Iterable[str] = (),
        **numbers: ArrayLike,
    ) -> int:
        """Save a figure as `multifractal.figures.save_figure` does and return its number in the book.

        Raises
        ------
        ValueError
            When there are no `numbers`.
        Exception
            What went wrong with the writing of an earlier figure.
        """
        job, figure = _job(axes, self.folder, name, caption, of, data, self.formats, numbers)
        self._count += 1
        plt.close(figure)  # so that it is drawn in one place only
        title = f"Figure {self._count}: {name}"
        if self._executor is None:
            _show(_write(figure, *job), title, caption)
            return self._count
        _show(None, title, caption)
        self._waiting[title] = self._executor.submit(_write_pickled, pickle.dumps(figure), *job)
        self._show_finished([title for title, job in self._waiting.items() if job.done()])
        return self._count

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Begin `function(*args, **kwargs)` in the process that draws, and return the `Future` of its result.

        For what takes long and is shown later on. It is done in turn with the figures, and what it prints is left out. A book
        without `beside` does it before this returns.

        Parameters
        ----------
        function : callable
            Of a module that can be imported; it and its arguments travel by pickle.
        *args, **kwargs
            Of the function.

        Returns
        -------
        concurrent.futures.Future
            Its `result()` waits for what the function returns, or raises what it raises.
        """
        if self._executor is not None:
            return self._executor.submit(_quietly, function, args, kwargs)
        done: Future[Any] = Future()
        try:
            done.set_result(_quietly(function, args, kwargs))
        except Exception as error:
            done.set_exception(error)
        return done

    def close(self) -> None:
        """Wait until every figure is written, and show those that are not shown yet."""
        self._show_finished(list(self._waiting))
        if self._executor is not None:
            self._executor.shutdown()

    def _show_finished(self, titles):
        for title in titles:
            picture = self._waiting.pop(title).result()
            if _in_notebook():
                from IPython.display import update_display

                update_display(_bundle(picture, title), raw=True, display_id=title)


def _job(axes, folder, name, caption, of, data, formats, numbers):
    """Return what `_write` needs beside the figure, all of it plain and checked, and the figure."""
    require(
        bool(numbers),
        "numbers",
        "none",
        "hold the arrays behind the figure",
        "pass them by keyword",
    )
    figure = np.ravel(np.asarray(axes, dtype=object))[0].figure
    arrays = {key: np.asarray(value) for key, value in numbers.items()}
    made = _made_by(name, caption, of, data)
    return (Path(folder), name, tuple(dict.fromkeys(("png", *formats))), arrays, made), figure


def _made_by(name, caption, of, data) -> dict[str, Any]:
    """Return what is kept with a figure's numbers: calls, seeds, versions and the data used."""
    from multifractal import source_data

    versions = {
        "multifractal": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "matplotlib": matplotlib.__version__,
    }
    calls = []
    for result in of:
        record = result.provenance
        calls.append({"call": record.call, "seed": record.seed})
        versions |= record.versions
    used = {file: files.file_sha256(source_data.find(file)) for file in data}
    return {"figure": name, "caption": caption, "calls": calls, "versions": versions, "data": used}


def _write(
    figure: Figure,
    folder: Path,
    name: str,
    formats: tuple[str, ...],
    arrays: Mapping[str, Array],
    made: Mapping[str, Any],
) -> bytes:
    """Write a figure and its numbers, and return the picture that a notebook shows."""
    with plt.style.context([HOUSE_STYLE, _NO_LAYOUT]):
        frame = _lay_out(figure)
        for ending in formats:
            with files.atomic_write(folder / f"{name}.{ending}", overwrite=True) as file:
                figure.savefig(file, format=ending, bbox_inches=frame)
    files.save_arrays(folder / f"{name}.npz", arrays, made, overwrite=True)
    return _small(folder / f"{name}.png", figure.dpi)


def _write_pickled(content, *job):
    """Write a figure in the worker. Its bytes come through the pipe of our own pool, from `FigureBook.save_figure` alone.

    They are made there, and not by the pool, whose thread would pickle the figure while the caller goes on drawing.
    """
    figure = pickle.loads(content)  # noqa: S301  from our own parent, see above
    try:
        return _write(figure, *job)
    finally:
        plt.close(figure)


def _quietly(function, args, kwargs):
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*args, **kwargs)


def _start_worker():
    matplotlib.use("agg")
    _keep_formulae()
    end_with_parent()


def _keep_formulae():
    """Let this process parse each formula once. Matplotlib keeps 50 for each canvas, and most labels of ticks are formulae.

    That is a fifth of the time of drawing. Where a version of matplotlib does it otherwise, it stays as it is.
    """
    parse = getattr(getattr(MathTextParser, "_parse_cached", None), "__wrapped__", None)
    if parse is None or not hasattr(MathTextParser("agg"), "_output_type"):
        return
    parsers: dict[str, MathTextParser] = {}
    kept = functools.lru_cache(_FORMULAE)(parse)

    def parse_once(parser, *key):  # parsers of one kind of output differ in nothing else
        return kept(parsers.setdefault(parser._output_type, parser), *key)

    MathTextParser._parse_cached = parse_once


def _lay_out(figure):
    """Lay the figure out once, at the resolution it is written in, and return the box in inches that holds all of it.

    Each writing would otherwise lay it out and measure it anew; and it draws a figure that has any layout engine, be it one that
    does nothing, once more without ink.
    """
    shown, figure.dpi = figure.dpi, plt.rcParams["savefig.dpi"]
    try:
        engine = figure.get_layout_engine()
        if engine is None:
            figure.draw_without_rendering()
        else:
            engine.execute(figure)
        figure.set_layout_engine(None)
        return figure.get_tightbbox().padded(plt.rcParams["savefig.pad_inches"])
    finally:
        figure.dpi = shown


def _small(path, dpi):
    """Return a written picture as a notebook shows it: a PNG file at the resolution of its figures."""
    with PIL.Image.open(path) as written, io.BytesIO() as shown:
        scale = dpi / written.info["dpi"][0]
        size = [round(scale * side) for side in written.size]
        small = written.convert("RGB").resize(size, PIL.Image.Resampling.BOX)
        in_few_colours(small, _COLOURS).save(shown, "png")
        return shown.getvalue()


def in_few_colours(picture: PIL.Image.Image, n_colours: int) -> PIL.Image.Image:
    """Return a picture in at most `n_colours` colours, white kept white: it looks the same and takes a third of the room."""
    few = picture.quantize(n_colours, PIL.Image.Quantize.FASTOCTREE, dither=PIL.Image.Dither.NONE)
    palette = few.getpalette() or []
    entries = [palette[k : k + 3] for k in range(0, len(palette), 3)]
    white = [[255] * 3 if min(entry) >= _NEARLY_WHITE else entry for entry in entries]
    few.putpalette([level for entry in white for level in entry])
    return few


def _in_notebook():
    return "inline" in matplotlib.get_backend()


def _show(picture, title, caption):
    """Show a picture with its caption in a notebook; without one a place is kept, which `update_display` fills."""
    if not _in_notebook():
        return
    from IPython.display import Markdown, display

    display(_bundle(picture, title), raw=True, display_id=title)
    if caption:
        head, colon, _ = title.partition(":")
        display(Markdown(f"**{head}.** {caption}" if colon else caption))


def _bundle(picture, title):
    if picture is None:
        return {"text/plain": f"{title} is being drawn."}
    return {"text/plain": title, "image/png": base64.b64encode(picture).decode()}
