"""Figures of the surface: a walk on it, curvature against roughness, its minima and their clustering, losses in a basin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D

from multifractal.base.types import Array
from multifractal.figures._style import (
    CONTROL,
    FURTHER,
    OURS,
    PUBLISHED,
    THEORY,
    axes_or_new,
    number,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from multifractal.figures._style import ManyAxes
    from multifractal.geometry.clustering import ClusteringCurve
    from multifractal.geometry.curvature import CurvatureRoughness
    from multifractal.geometry.minima import Basins, LossHistogram, Minima
    from multifractal.landscapes.landscape import Landscape
    from multifractal.walkers.descent import Walk


_DRAWN = 80  # points drawn along a side of the surface in three dimensions
_FLATTEST = 10  # enlarged (paper)
_PLACES = (
    ("^", "white", 8, "start"),
    ("s", "white", 7, "finish"),
    ("*", PUBLISHED, 13, "global minimum"),
)


@styled
def surface_with_walk(landscape: Landscape, walk: Walk, axes: ManyAxes | None = None) -> Array:
    """Draw the landscape in relief and as a map, with a walk on it coloured by the step, its ends and the global minimum.

    Parameters
    ----------
    landscape : Landscape
    walk : Walk
    axes : pair of Axes, optional
        The first with a 3-D projection.

    Returns
    -------
    ndarray of 2 Axes
    """
    if axes is None:
        figure = plt.figure(figsize=(10.4, 4.4))
        grid = figure.add_gridspec(1, 2, wspace=0.14)
        axes = np.array([figure.add_subplot(grid[0], projection="3d"), figure.add_subplot(grid[1])])
    steps = {"c": np.arange(len(walk.positions)), "cmap": "plasma", "linewidths": 0}
    _relief(axes[0], landscape, walk, steps)
    axes[0].set(title=f"{len(walk.positions):,} positions")
    image = axes[1].imshow(landscape.values, cmap="gray", rasterized=True)
    shown = axes[1].scatter(*walk.positions.T, s=2, rasterized=True, **steps)
    _mark_places(axes[1], walk.positions, landscape.global_minimum)
    axes[1].legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, handletextpad=0.2, columnspacing=1
    )
    axes[1].set(
        xlabel="x (pixels)",
        ylabel="y (pixels)",
        title=f"learning rate {number(walk.learning_rate)}",
    )
    axes[1].figure.colorbar(shown, ax=axes[1], label="step", shrink=0.8)
    axes[1].figure.colorbar(image, ax=axes[1], label="loss", shrink=0.8)
    return axes


@styled
def surface_gallery(landscapes: Mapping[str, Landscape], axes: ManyAxes | None = None) -> Array:
    """Draw landscapes in relief in a row, under their titles: surfaces of three Hurst exponents, say.

    Parameters
    ----------
    landscapes : dict of str to Landscape
    axes : array of 3-D Axes, one per landscape, optional

    Returns
    -------
    ndarray of Axes
    """
    if axes is None:
        figure = plt.figure(figsize=(3.4 * len(landscapes), 3.3))
        grid = figure.add_gridspec(1, len(landscapes), wspace=0.25)
        axes = np.array([figure.add_subplot(cell, projection="3d") for cell in grid])
    for ax, (title, landscape) in zip(axes, landscapes.items(), strict=True):
        _relief(ax, landscape)
        ax.set(title=title)
    return axes


@styled
def map_beside_surface(landscape: Landscape, axes: ManyAxes | None = None) -> Array:
    """Draw the prescribed Hoelder exponent of each place as a map, and the surface in relief beside it.

    Parameters
    ----------
    landscape : Landscape
        With `hoelder`.
    axes : pair of Axes, optional
        The second with a 3-D projection.

    Returns
    -------
    ndarray of 2 Axes
    """
    if landscape.hoelder is None:
        raise ValueError(
            "landscape must have prescribed Hoelder exponents, got none; make it by mbm_surface or fbm_surface"
        )
    if axes is None:
        figure = plt.figure(figsize=(9.0, 3.8))
        grid = figure.add_gridspec(1, 2, wspace=0.2)
        axes = np.array([figure.add_subplot(grid[0]), figure.add_subplot(grid[1], projection="3d")])
    image = axes[0].imshow(landscape.hoelder, rasterized=True)
    axes[0].set(xlabel="x (pixels)", ylabel="y (pixels)", title="prescribed exponent")
    axes[0].figure.colorbar(image, ax=axes[0], label="Hölder exponent H(x, y)", shrink=0.8)
    _relief(axes[1], landscape)
    axes[1].set(title="surface")
    return axes


@styled
def curvature_law(result: CurvatureRoughness, ax: Axes | None = None) -> Axes:
    """Draw the binned curvature with its quartile band against the exact law and the paper's, y = m x.

    Parameters
    ----------
    result : CurvatureRoughness
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    x = result.published_x
    ax.fill_between(
        x,
        result.lower,
        result.upper,
        color=OURS,
        alpha=0.2,
        linewidth=0,
        label="quartiles of the grid points",
    )
    ax.plot(x, result.curvature, "o", color=OURS, label="mean in each bin")
    ax.plot(x, result.exact, color=THEORY, label="exact law of this stencil")
    ax.plot(
        x,
        result.prefactor * x,
        "--",
        color=PUBLISHED,
        label=f"paper's law, m = {result.prefactor * 1e8:.2f}({result.prefactor_error * 1e8:.2f})"
        r"$\times 10^{-8}$",
    )
    ax.set(
        xscale="log",
        yscale="log",
        xlabel=r"$r(H)\,\chi^{2H-2}$  (rough $\rightarrow$)",
        ylabel=r"$\Vert\mathrm{Hess}\Vert_F^2$ (loss$^2$/pixel$^4$)",
        title=f"H from {result.hoelder.max():.2f} to {result.hoelder.min():.2f}, {result.counts.sum():,} points",
    )
    ax.legend(loc="lower right")
    return ax


@styled
def minima_map(
    minima: Minima,
    basins: Basins,
    landscape: Landscape,
    *,
    basin: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the minima coloured by flatness, with an inset on one basin and one contour of the loss in it.

    Parameters
    ----------
    minima : Minima
        The lowest ones; the ten flattest are enlarged.
    basins : Basins
        Of these minima.
    landscape : Landscape
    basin : int, optional
        The basin of the inset; default the smoother one. The contour is drawn at the loss of its highest minimum.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    if ax is None:
        ax = plt.subplots(figsize=(8.6, 4.6))[1]
    basin = basins.smoother if basin is None else basin
    chosen = basins.labels == basin
    points = _flatness_points(ax, minima, 3)
    rows, cols = landscape.shape
    ax.set(
        xlim=(0, cols - 1),
        ylim=(0, rows - 1),
        aspect="equal",
        xlabel="x (pixels)",
        ylabel="y (pixels)",
        title=f"{len(minima):,} lowest minima, the {_FLATTEST} flattest enlarged",
    )
    inset = ax.inset_axes([1.12, 0.22, 0.78, 0.78])
    _flatness_points(inset, minima, 9)
    level = minima.losses[chosen].max()
    x0, x1, y0, y1 = frame = _frame(basins.boxes[basin], landscape.shape)
    inset.contour(
        np.arange(x0, x1 + 1),
        np.arange(y0, y1 + 1),
        landscape.values[y0 : y1 + 1, x0 : x1 + 1],
        levels=[level],
        colors=[CONTROL],
        linestyles="solid",
        linewidths=0.8,
    )
    inset.yaxis.tick_right()
    inset.spines["right"].set_visible(True)
    inset.set(
        xlim=frame[:2],
        ylim=frame[2:],
        aspect="equal",
        title=f"basin {basin}: {basins.sizes[basin]:,} minima,\ncontour at loss {number(level, '.2f')}",
    )
    ax.indicate_inset_zoom(inset, edgecolor=THEORY)
    bar = ax.inset_axes([1.12, 0.02, 0.78, 0.035], label="<colorbar>")
    ax.figure.colorbar(
        points,
        cax=bar,
        orientation="horizontal",
        extend="max",
        label=r"flatness (pixel loss$^{-1/2}$)",
    )
    return ax


@styled
def clustering_curves(
    smoother: ClusteringCurve,
    rougher: ClusteringCurve,
    *,
    names: Sequence[str] = ("smoother basin", "rougher basin"),
    ax: Axes | None = None,
) -> Axes:
    """Draw N(R) of two basins with their two-segment power laws and crossovers.

    Parameters
    ----------
    smoother, rougher : ClusteringCurve
    names : pair of str
        For the legend.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    for curve, name, colour, marker in zip(
        (smoother, rougher), names, (OURS, FURTHER[0]), "os", strict=True
    ):
        ax.plot(
            curve.radii,
            curve.counts,
            marker,
            color=colour,
            markersize=3,
            alpha=0.7,
            label=f"{name}: $N \\sim R^{{{curve.power:.2f}}}$, $R_0$ = {curve.crossover:.1f}",
        )
        drawn = np.geomspace(*curve.fit_range, 100)
        ax.plot(drawn, curve.fit(drawn), color=THEORY, linewidth=1)
        ax.axvline(curve.crossover, color=colour, linewidth=0.8, linestyle=":")
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(
        [*handles, Line2D([], [], color=THEORY, lw=1), Line2D([], [], color=CONTROL, ls=":")],
        [*labels, "two-segment fit", "crossover $R_0$"],
        loc="lower right",
    )
    ax.set(xscale="log", yscale="log", xlabel="R (pixels)", ylabel="N(R), minima within R")
    return ax


@styled
def basin_losses(
    histogram: LossHistogram,
    *,
    name: str = "basin",
    line: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the histogram of the losses in a basin's box, of its minima or of its grid points.

    Parameters
    ----------
    histogram : LossHistogram
    name : str
        For the title.
    line : float, optional
        A loss, above the histogram's reference, that is marked (0.5 in the paper's figure).
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    ax.stairs(
        histogram.counts,
        histogram.edges,
        fill=True,
        color=OURS,
        alpha=0.8,
        label=f"{histogram.counts.sum():,} {histogram.counted}",
    )
    if line is not None:
        ax.axvline(
            line,
            color=THEORY,
            linestyle="--",
            linewidth=1,
            label=f"{line:g} above the global minimum",
        )
    x0, x1, y0, y1 = histogram.box
    above = histogram.reference != 0
    ax.set(
        xlabel="loss above the global minimum" if above else "loss",
        ylabel=f"{histogram.counted} in each bin",
        title=f"{name}: x {x0} to {x1}, y {y0} to {y1} pixels",
    )
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)
    return ax


@styled
def landscape_map(landscape: Landscape, *, ax: Axes | None = None) -> Axes:
    """Draw the values of a landscape as a map, x to the right and y upwards, with a colour bar.

    Parameters
    ----------
    landscape : Landscape
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    drawn = ax.imshow(landscape.values, origin="lower", cmap="gray")
    ax.figure.colorbar(drawn, ax=ax, label="loss")
    rows, cols = landscape.shape
    ax.set(xlabel="x (pixels)", ylabel="y (pixels)", title=f"{rows:,} × {cols:,} pixels")
    return ax


@styled
def walk_track(walk: Walk, *, axes: ManyAxes | None = None) -> Array:
    """Draw a walk: its first two coordinates, unfolded, and its loss by step.

    Parameters
    ----------
    walk : Walk
    axes : array of two Axes, optional

    Returns
    -------
    array of two Axes
    """
    track, loss = axes_or_new(axes, 1, 2)
    track.plot(*walk.unfolded[:, :2].T, color=OURS, lw=0.6, rasterized=True)
    _mark_places(track, walk.unfolded[: walk.steps_taken + 1, :2])
    track.legend(loc="upper left", frameon=True)
    track.set(xlabel="x, unfolded", ylabel="y, unfolded", aspect="equal", adjustable="datalim")
    track.set_title(f"learning rate {number(walk.learning_rate)}")
    loss.plot(walk.losses, color=OURS, lw=0.6, rasterized=True)
    loss.set(xlabel="step", ylabel="loss", title=f"{walk.steps_taken:,} steps")
    return np.array([track, loss])


def _relief(ax, landscape, walk=None, steps=None):
    rows, cols = landscape.shape
    # every so many-th point: means would hide the roughness
    step = max(1, max(rows, cols) // _DRAWN)
    y, x = np.mgrid[:rows:step, :cols:step]
    ax.plot_surface(
        x,
        y,
        landscape.values[::step, ::step],
        cmap="gray",
        rcount=_DRAWN,
        ccount=_DRAWN,
        linewidth=0,
        antialiased=False,
        alpha=1.0 if walk is None else 0.75,
        rasterized=True,
    )
    ax.view_init(elev=50, azim=-60)
    ax.set(xlabel="x (pixels)", ylabel="y (pixels)", zlabel="loss")
    ax.set_box_aspect(None, zoom=0.9)  # room for the label of the loss
    ax.locator_params(nbins=4)
    if walk is None:
        return
    lift = 0.02 * np.ptp(landscape.values)  # so that the surface does not hide the walk
    ax.computed_zorder = False  # the walk is drawn over the whole surface
    ax.scatter(
        *walk.positions.T, walk.losses + lift, s=1.5, depthshade=False, rasterized=True, **steps
    )
    lowest = landscape.global_minimum
    _mark_places(
        ax, walk.positions, lowest, walk.losses + lift, landscape.values[lowest[1], lowest[0]]
    )


def _mark_places(ax, positions, lowest=None, heights=None, lowest_height=None):
    """Mark the start, the end and, if it is known, the global minimum of the surface; on a relief at their heights."""
    places = [positions[:1].T, positions[-1:].T]
    places += [] if lowest is None else [np.reshape(lowest, (2, 1))]
    third = [] if heights is None else [heights[:1], heights[-1:], [lowest_height]]
    for k, (place, (marker, colour, size, label)) in enumerate(zip(places, _PLACES, strict=False)):
        look = {"color": colour, "markeredgecolor": THEORY, "markersize": size, "zorder": 10}
        ax.plot(*place, *third[k : k + 1], marker, label=label, **look)


def _flatness_points(ax, minima, size):
    flattest = np.argsort(minima.flatness)[-_FLATTEST:]
    style = {"cmap": "viridis", "vmin": 0, "vmax": 20, "rasterized": True}
    points = ax.scatter(*minima.positions.T, c=minima.flatness, s=size, linewidths=0, **style)
    ax.scatter(
        *minima.positions[flattest].T,
        c=minima.flatness[flattest],
        s=60,
        edgecolors=THEORY,
        linewidths=0.8,
        **style,
    )
    return points


def _frame(box, shape, margin=10):
    """Return (x first, x last, y first, y last) of a square frame round a box, in pixels, within the grid."""
    half = max(box[1] - box[0], box[3] - box[2]) // 2 + margin
    x, y = (box[0] + box[1]) // 2, (box[2] + box[3]) // 2
    return (
        max(x - half, 0),
        min(x + half, shape[1] - 1),
        max(y - half, 0),
        min(y + half, shape[0] - 1),
    )
