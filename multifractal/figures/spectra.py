"""Figures of the analysis: multifractal spectra of model surfaces and real sections, sections in relief, Hoelder maps."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np

from multifractal.analysis.spectra import Spectra, of_file, several
from multifractal.base import files
from multifractal.base.checks import require
from multifractal.base.extras import needed
from multifractal.base.types import Array, ArrayLike, PathLike
from multifractal.figures._style import (
    CONTROL,
    FURTHER,
    OURS,
    PUBLISHED,
    THEORY,
    axes_or_new,
    in_words,
    styled,
)
from multifractal.figures.html_report import write_page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from multifractal.analysis.roughness import LocalHoelder
    from multifractal.analysis.spectrum import Spectrum
    from multifractal.figures._style import ManyAxes
    from multifractal.walkers.descent import Walk


_TURNED = 256  # points drawn along a side of a surface that can be turned
CLIP = 10.0  # loss above the minimum at which a section is cut for display (paper)
_MARKERS = "osD^v<>"


@styled
def model_spectra(
    spectra: Mapping[str, Any],
    published: Mapping[str, Any] | None = None,
    ax: Axes | None = None,
    *,
    theory: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
) -> Axes:
    """Draw the spectra of model surfaces, from scratch and as published, in one panel.

    Parameters
    ----------
    spectra : dict of str to Spectrum, sequence of Spectrum or Spectra
        From scratch, by label; of several realisations the mean is drawn, and the standard deviation of h as a bar.
    published : dict of str to dict or Spectra, optional
        By the same labels: what `source_data.read` gives for a published spectrum ("hq" and "Dq"), or `published_spectrum`.
    ax : Axes, optional
    theory : dict of str to pair of array_like, optional
        By the same labels: h and D of the law; of a monofractal one point.

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    for (label, found), marker, colour in zip(
        spectra.items(), _MARKERS, (OURS, *FURTHER), strict=False
    ):
        found = several(found)
        told = f"{label}, ours"
        if len(found) > 1:
            told += f" (mean of {len(found)}, bars: sd)"
        ax.errorbar(
            found.h.mean.value,
            found.D.mean.value,
            xerr=found.h.spread if len(found) > 1 else None,
            fmt=f"{marker}-",
            color=colour,
            elinewidth=0.8,
            label=told,
        )
    for (label, found), marker in zip((published or {}).items(), _MARKERS, strict=False):
        found = found if isinstance(found, Spectra) else of_file(found, None)
        ax.plot(
            found.h.samples[0],
            found.D.samples[0],
            f"{marker}--",
            color=PUBLISHED,
            mfc="none",
            label=f"{label}, published",
        )
    for (label, (h, D)), style in zip((theory or {}).items(), ("-", ":"), strict=False):
        mark = {"marker": "+", "ms": 13, "mew": 1.8, "ls": ""} if np.size(h) == 1 else {"ls": style}
        ax.plot(h, D, color=THEORY, label=f"{label}, law", zorder=4, **mark)
    ax.set(xlabel="Hölder exponent h", ylabel="dimension D(h)")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)
    return ax


@styled
def spectrum_with_intervals(spectrum: Spectrum, *, ax: Axes | None = None) -> Axes:
    """Draw D(h) of one image, with the 95 % intervals of both where there are any.

    Parameters
    ----------
    spectrum : Spectrum
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    ax.errorbar(
        spectrum.h,
        spectrum.D,
        xerr=_reach(spectrum.h, spectrum.h_interval),
        yerr=_reach(spectrum.D, spectrum.D_interval, highest=2),
        fmt="o-",
        color=OURS,
        elinewidth=0.8,
    )
    c1, c2 = spectrum.log_cumulants[:2]
    known = spectrum.h_interval is not None and np.isfinite(spectrum.h_interval).any()
    ax.set(xlabel="Hölder exponent h", ylabel="dimension D(h)")
    ax.set_title(
        f"{spectrum.diagnostics.verdict}\n$c_1 = {c1:.3f}$, $c_2 = {c2:.4f}$"
        + ("; bars: 95 %" if known else "")
    )
    return ax


def _reach(values, interval, highest=np.inf):
    """Return how far an interval reaches below and above its values, shape (2, n), or None; no bar ends above `highest`."""
    if interval is None:
        return None
    return np.maximum([values - interval[0], np.minimum(interval[1], highest) - values], 0)


@styled
def published_epochs(published: Mapping[int, Any], axes: ManyAxes | None = None) -> Array:
    """Draw the published spectra of a network's section after some epochs, a panel each; missing ones are named as such.

    Parameters
    ----------
    published : dict of int to (dict or None)
        By epoch: what `source_data.read` gives ("hq" and "Dq"), or None where the file is not available.
    axes : sequence of Axes, optional
        One for each epoch that is available.

    Returns
    -------
    ndarray of Axes

    Raises
    ------
    ValueError
        When no epoch is available: there is nothing to draw.
    """
    present = {epoch: arrays for epoch, arrays in published.items() if arrays is not None}
    require(
        len(present) > 0,
        "published",
        list(published),
        "hold the spectrum of an epoch",
        "fetch them: python -m multifractal.source_data fetch",
    )
    n, width = len(present), 3.2 * len(present)
    axes = np.atleast_1d(axes_or_new(axes, 1, n, sharey=True, sharex=True, figsize=(width, 3.0)))
    for ax, (epoch, arrays) in zip(axes, present.items(), strict=False):
        h, D = np.ravel(arrays["hq"]), np.ravel(arrays["Dq"])
        ax.plot(h, D, "o-", color=PUBLISHED)
        ax.set(
            title=f"epoch {epoch}: h from {h.min():.2f} to {h.max():.2f}",
            xlabel="Hölder exponent h",
        )
    axes[0].set_ylabel("dimension D(h)")
    missing = [str(epoch) for epoch in published if epoch not in present]
    if missing:
        axes[0].figure.suptitle(
            f"published (epoch {', '.join(missing)} not available here)", fontsize=9
        )
    return axes


@styled
def section_spectra(
    spectra: Mapping[str, Spectrum],
    shuffled: Mapping[str, Spectrum] | None = None,
    axes: ManyAxes | None = None,
) -> Array:
    """Draw the spectra of sections with 95 % intervals, a panel each, under the verdict on each.

    Parameters
    ----------
    spectra : dict of str to Spectrum
        By the name of the section; with intervals if they were asked for.
    shuffled : dict of str to Spectrum, optional
        Spectra of the same sections after `shuffle_within_blocks`, drawn in grey.
    axes : sequence of Axes, optional

    Returns
    -------
    ndarray of Axes
    """
    n_rows = max(1, (len(spectra) + 1) // 2)
    drawn = np.concatenate(
        [spectrum.h for spectrum in (*spectra.values(), *(shuffled or {}).values())]
    )
    low, high = drawn.min(), drawn.max()
    axes = np.ravel(
        axes_or_new(axes, n_rows, min(len(spectra), 2), figsize=(9.2, 3.5 * n_rows), squeeze=False)
    )
    for ax, (name, spectrum) in zip(axes, spectra.items(), strict=False):
        bars = (
            {}
            if spectrum.h_interval is None
            else {
                "xerr": np.abs(spectrum.h_interval - spectrum.h),
                "yerr": np.abs(spectrum.D_interval - spectrum.D),
            }
        )
        ax.errorbar(
            spectrum.h,
            spectrum.D,
            fmt="o-",
            color=OURS,
            elinewidth=0.6,
            label="section, bars 95 %",
            zorder=2,
            **bars,
        )
        if shuffled and name in shuffled:
            ax.plot(
                shuffled[name].h,
                shuffled[name].D,
                "s-",
                color=CONTROL,
                ms=3,
                label="pixels shuffled in blocks of 4 × 4",
                zorder=3,
            )
        found = spectrum.diagnostics
        ax.set_title(
            f"{in_words(name)}\n{_folded(found.verdict)}\nvariogram ratio {found.pixel_noise_ratio:.2f}, "
            rf"$c_1$ = {spectrum.log_cumulants[0]:.2f}"
            + ("" if found.valid else ", method not valid"),
            fontsize=9,
        )
        ax.set(
            xlabel="Hölder exponent h",
            ylabel="dimension D(h)",
            xlim=(low - 0.1, high + 0.1),
            ylim=(0, 2.15),
        )
    axes[0].figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    for ax in axes[len(spectra) :]:
        ax.remove()
    return axes[: len(spectra)]


@styled
def section_relief(
    loss: ArrayLike,
    coordinates: Sequence[ArrayLike] | None = None,
    *,
    clip: float = CLIP,
    ax: Axes | None = None,
) -> Axes:
    """Draw a section of a loss in relief, cut at `clip` above its minimum.

    Parameters
    ----------
    loss : array_like, shape (rows, cols)
    coordinates : (array_like, array_like), optional
        Along the columns and along the rows; default grid points.
    clip : float
        Default 10 (paper).
    ax : Axes, optional
        With a 3-D projection.

    Returns
    -------
    Axes
    """
    if ax is None:
        ax = plt.figure(figsize=(5.6, 4.2)).add_subplot(projection="3d")
    x, y, clipped = _clipped(loss, coordinates, clip)
    step = max(max(clipped.shape) // 128, 1)
    ax.plot_surface(
        *np.meshgrid(x[::step], y[::step]),
        clipped[::step, ::step],
        cmap="cividis",
        rstride=1,
        cstride=1,
        linewidth=0,
        antialiased=False,
        rasterized=True,
    )
    unit = "pixels" if coordinates is None else "filter norms"
    ax.set_xlabel(f"x ({unit})", labelpad=8)
    ax.set_ylabel(f"y ({unit})", labelpad=8)
    ax.set_zlabel("loss", labelpad=2)
    ax.set_title(
        f"{_share_clipped(loss, clip):.0%} of the section lies above the cut at minimum + {clip:g}",
        y=0.95,
    )
    ax.set_box_aspect((1, 1, 0.55), zoom=0.9)
    return ax


@styled
def sections_in_relief(
    sections: Mapping[str, ArrayLike], *, clip: float = CLIP, axes: ManyAxes | None = None
) -> Array:
    """Draw several sections in relief, each cut at `clip` above its minimum.

    Parameters
    ----------
    sections : dict of str to array_like of shape (rows, cols)
        A title and the losses.
    clip : float
        Default 10 (paper).
    axes : array of Axes, optional
        With a 3-D projection, one per section.

    Returns
    -------
    array of Axes, one per section
    """
    if axes is None:
        n_rows = -(-len(sections) // 2)
        figure = plt.figure(figsize=(8.6, 3.9 * n_rows))
        axes = np.array(
            [figure.add_subplot(n_rows, 2, k + 1, projection="3d") for k in range(len(sections))]
        )
    for ax, (title, loss) in zip(axes, sections.items(), strict=True):
        section_relief(loss, clip=clip, ax=ax)
        ax.set_title(
            f"{in_words(title)}\n{_share_clipped(loss, clip):.0%} lies above the cut", y=0.95
        )
    return axes


def write_section_page(
    path: PathLike,
    loss: ArrayLike,
    coordinates: Sequence[ArrayLike] | None = None,
    *,
    walk: Walk | None = None,
    clip: float = CLIP,
    title: str = "",
    overwrite: bool = False,
) -> Path:
    """Write a landscape or section as a surface that can be turned: one HTML file that needs no network.

    Parameters
    ----------
    path : path-like
    loss, coordinates, clip
        As for `section_relief`; a landscape's values are a loss.
    walk : Walk, optional
        Drawn on the surface, with its start and finish.
    title : str
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    FileExistsError
        When `path` exists and `overwrite` is False.
    ModuleNotFoundError
        When plotly is not installed.
    """
    objects = needed("plotly.graph_objects")  # slow to import, and not needed for the figures
    files.refuse_existing(path, overwrite)
    x, y, clipped = _clipped(loss, coordinates, clip)
    step = max(max(clipped.shape) // _TURNED, 1)
    surface = objects.Surface(
        x=x[::step],
        y=y[::step],
        z=clipped[::step, ::step].astype(np.float32),
        colorscale="Cividis",
        colorbar={
            "title": {"text": "loss"},
            "orientation": "h",
            "y": 0,
            "yanchor": "bottom",
            "thickness": 12,
        },
        opacity=1 if walk is None else 0.85,
    )
    figure = objects.Figure([surface, *([] if walk is None else _turned_walk(objects, walk))])
    unit = "pixels" if coordinates is None else "filter norms"
    scene = {"xaxis_title": f"x ({unit})", "yaxis_title": f"y ({unit})", "zaxis_title": "loss"}
    figure.update_layout(
        scene=scene | {"aspectratio": {"x": 1, "y": 1, "z": 0.55}, "domain": {"y": [0.12, 1]}},
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        legend={"x": 0, "y": 1},
    )
    drawing = figure.to_html(
        include_plotlyjs=True,
        full_html=False,
        default_height="100%",
        config={"responsive": True, "displaylogo": False},
    )
    share = _share_clipped(loss, clip)
    cut = f"; {share:.0%} lies above the cut at the minimum + {clip:g}" if share else ""
    told = f"<p>Drag to turn it, scroll to come near; one point in {step} along each side is drawn{cut}.</p>"
    body = f'<h1>{html.escape(title)}</h1>{told}<div class="drawing">{drawing}</div>'
    return write_page(path, title, body, window=True, overwrite=overwrite)


def _turned_walk(objects, walk):
    """Return the track of a walk and its two ends as what plotly draws."""
    x, y = walk.positions.T
    line = {"color": PUBLISHED, "width": 2}
    track = objects.Scatter3d(x=x, y=y, z=walk.losses, mode="lines", line=line, name="walk")
    ends = [
        objects.Scatter3d(
            x=x[at : at + 1],
            y=y[at : at + 1],
            z=walk.losses[at : at + 1],
            mode="markers",
            marker={"size": 5, "symbol": symbol, "color": "white", "line": {"width": 2}},
            name=name,
        )
        for at, symbol, name in ((0, "diamond", "start"), (len(x) - 1, "square", "finish"))
    ]
    return [track, *ends]


@styled
def hoelder_maps(
    prescribed: ArrayLike, found: LocalHoelder, axes: ManyAxes | None = None, *, border: int = 0
) -> Array:
    """Draw a prescribed Hoelder map, the one recovered from a surface, and one against the other.

    Parameters
    ----------
    prescribed : array_like, shape (rows, cols)
    found : LocalHoelder
        Of a surface of that map.
    axes : three Axes, optional
    border : int
        Pixels from the walls that are left out of the third panel and of its error: there the window is cut.

    Returns
    -------
    ndarray of 3 Axes
    """
    prescribed = np.asarray(prescribed)
    rows, cols = prescribed.shape
    axes = axes_or_new(axes, 1, 3, figsize=(10.8, 3.2))
    low, high = prescribed.min(), prescribed.max()
    for ax, values, title in (
        (axes[0], prescribed, "prescribed"),
        (axes[1], found.hoelder, "recovered from the surface"),
    ):
        image = ax.imshow(values, vmin=low, vmax=high, rasterized=True)
        ax.set(title=title, xlabel="x (pixels)", ylabel="y (pixels)")
    axes[1].figure.colorbar(image, ax=axes[1], label="Hölder exponent", shrink=0.85)
    inner = np.s_[border : rows - border, border : cols - border]
    counted = axes[2].hexbin(
        prescribed[inner].ravel(),
        found.hoelder[inner].ravel(),
        gridsize=60,
        bins="log",
        mincnt=1,
        rasterized=True,
    )
    axes[2].plot([low, high], [low, high], color=THEORY, ls="--", lw=1, label="equal")
    correlation, error = found.compared_with(prescribed, border=border)
    axes[2].set(
        xlabel="prescribed exponent",
        ylabel="recovered exponent",
        title=f"rms error {error:.4f}\n" + (f"{border} pixels from the border" if border else ""),
    )
    axes[2].figure.colorbar(counted, ax=axes[2], label="pixels", shrink=0.85)
    axes[2].legend(loc="upper left")
    return axes


def _clipped(loss, coordinates, clip):
    loss = np.asarray(loss, dtype=float)
    x, y = (
        (np.arange(loss.shape[1]), np.arange(loss.shape[0]))
        if coordinates is None
        else map(np.asarray, coordinates)
    )
    return x, y, np.minimum(loss, np.nanmin(loss) + clip)


def _folded(verdict):
    """Return a verdict in lines that fit above a panel."""
    return verdict.replace("; ", ";\n").replace(", ", ",\n", int(len(verdict) > 45))


def _share_clipped(loss, clip):
    """Return the share of the points that the cut of the drawing hides."""
    return np.count_nonzero(np.asarray(loss) > np.nanmin(loss) + clip) / np.size(loss)
