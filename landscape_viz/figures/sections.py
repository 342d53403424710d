"""Figures of sections and training runs: they take results, return matplotlib axes and compute nothing."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from multifractal.figures._style import CONTROL, OURS, PUBLISHED, THEORY, axes_or_new, styled

__all__ = ["contour", "eigenvalues", "line", "overview", "section", "surface", "trajectory"]

_N_LEVELS = 24
_QUANTITIES = {"loss": "loss (nats)", "accuracy": "accuracy"}


@styled
def contour(section, metric="loss", *, clip=None, levels=None, log=False, ax=None):
    """Draw a two-dimensional section as filled contours; points that are NaN or inf are white holes, and counted.

    Parameters
    ----------
    section : Section
    metric : str
    clip : float, optional
        Values more than this above the minimum share one colour, shown by an arrow on the colour bar (paper: 10).
    levels : array_like, optional
        Where the contours lie, in their order, in the place of round numbers.
    log : bool
        Colours and contours in equal ratios; values must be positive.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    values = np.ma.masked_invalid(section.values[metric])
    top = _top(values, clip)
    levels = _levels(values, top, log) if levels is None else np.asarray(levels, dtype=float)
    beyond = {(True, True): "both", (True, False): "min", (False, True): "max"}
    outside = (values.min() < levels[0], min(top, levels[-1]) < values.max())
    filled = ax.contourf(
        section.x,
        section.y,
        values.T,
        levels,
        extend=beyond.get(outside, "neither"),
        norm=LogNorm(levels[0], levels[-1]) if log else None,
    )
    ax.contour(
        section.x, section.y, values.T, levels[::2], colors="white", linewidths=0.4, alpha=0.7
    )
    ax.plot(0, 0, "+", color=PUBLISHED, markersize=9, markeredgewidth=1.8)
    _mark_holes(ax, section)
    bar = ax.figure.colorbar(filled, ax=ax, label=quantity(section, metric), ticks=levels[::4])
    if log:
        bar.ax.yaxis.set_major_formatter(StrMethodFormatter("{x:.3g}"))
        bar.ax.minorticks_off()
    _label_plane(ax, section)
    ax.set_title(_title(section), loc="left")
    return ax


@styled
def surface(section, metric="loss", *, clip=None, log=False, ax=None):
    """Draw a two-dimensional section as a surface seen from the side; arguments as for `contour`; returns the axes."""
    ax = axes_or_new(ax, subplot_kw={"projection": "3d"}, figsize=(5.6, 4.6))
    values = np.ma.masked_invalid(section.values[metric])
    top = _top(values, clip)
    x, y = np.meshgrid(section.x, section.y, indexing="ij")
    ax.plot_surface(
        x,
        y,
        np.ma.log10(np.ma.minimum(values, top)) if log else np.ma.minimum(values, top),
        cmap=plt.rcParams["image.cmap"],
        rstride=1,
        cstride=1,
        linewidth=0,
        antialiased=False,
    )
    _label_plane(ax, section)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_major_locator(MaxNLocator(5))
    ax.xaxis.labelpad = ax.yaxis.labelpad = 8
    ax.set_zlabel(
        ("log10 of " if log else "")
        + quantity(section, metric)
        + (f"\n(cut at {top:.3g})" if top < values.max() else ""),
        labelpad=8,
    )
    ax.set_title(_title(section), loc="left")
    return ax


@styled
def overview(section, metric="loss", *, clip=None, levels=None, log=False):
    """Draw a two-dimensional section as a surface and as contours side by side.

    Arguments as for `contour`; returns both axes, shape (2,).
    """
    figure = plt.figure(figsize=(11, 4.4))
    figure.get_layout_engine().set(wspace=0.12)  # the surface's labels reach out of its box
    left, right = figure.add_subplot(1, 2, 1, projection="3d"), figure.add_subplot(1, 2, 2)
    return np.array(
        [
            surface(section, metric, clip=clip, log=log, ax=left),
            contour(section, metric, clip=clip, levels=levels, log=log, ax=right),
        ]
    )


@styled
def line(section, *, top=None, log=False, ax=None):
    """Draw a one-dimensional section: the loss on the left axis and, where measured, the accuracy on the right one.

    `top` is the highest loss shown (None: all), `log` a logarithmic axis of the loss; other arguments as for `contour`. Returns
    the axes of the loss, or an array of both axes.
    """
    ax = axes_or_new(ax)
    ax.plot(section.x, section.values["loss"], color=OURS)
    ax.axvline(0, color=CONTROL, linewidth=0.8, zorder=0)
    ax.set(xlabel=_axis(section, 0), ylabel=quantity(section, "loss"))
    ax.yaxis.label.set_color(OURS)
    if log:
        ax.set_yscale("log")
    if top is not None:
        ax.set_ylim(top=top)
    ax.set_title(_title(section), loc="left")
    if "accuracy" not in section.metrics:
        return ax
    right = ax.twinx()
    right.spines["right"].set_visible(True)
    right.plot(section.x, section.values["accuracy"], color=PUBLISHED, linestyle="--")
    right.set(ylabel=quantity(section, "accuracy"), ylim=(-0.02, 1.02))
    right.yaxis.label.set_color(PUBLISHED)
    return np.array([ax, right])


@styled
def section(found, *, ax=None):
    """Draw a section in one picture: a line, or a plane's contours; returns the axes.

    Raises
    ------
    ValueError
        For a section of three directions, of which planes can be drawn.
    """
    draw = {1: line, 2: contour}.get(found.status.ndim)
    if draw is None:
        raise ValueError(
            f"a section of {found.status.ndim} directions has no picture; write it with to_vtk, or measure a plane"
        )
    return draw(found, ax=ax)


@styled
def eigenvalues(section, *, axes=None):
    """Draw the largest Hessian eigenvalue over a plane, and beside it the smallest one's size over it (Li et al. 2018, figure 7).

    Parameters
    ----------
    section : Section
        Of two directions, with the metrics "largest_eigenvalue" and "smallest_eigenvalue".
    axes : array of two Axes, optional

    Returns
    -------
    array of two Axes
        Dark on the right is nearly convex: no eigenvalue is as negative as others are positive.
    """
    if axes is None:
        axes = plt.figure(figsize=(9.6, 4.2)).subplots(1, 2)
    largest, smallest = (section.values[f"{end}_eigenvalue"] for end in ("largest", "smallest"))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.abs(smallest / largest)
    for ax, values, words, most in (
        (axes[0], largest, "largest Hessian eigenvalue", None),
        (axes[1], ratio, "|smallest / largest| Hessian eigenvalue", 1.0),
    ):
        drawn = ax.pcolormesh(
            section.x, section.y, np.ma.masked_invalid(values).T, vmax=most, shading="nearest"
        )
        above = most is not None and np.nanmax(values) > most
        ax.figure.colorbar(drawn, ax=ax, label=words, extend="max" if above else "neither")
        _mark_holes(ax, section)
        _label_plane(ax, section)
    axes[0].set_title(_title(section), loc="left")
    return np.asarray(axes)


@styled
def trajectory(path, section, *, clip=None, ax=None):
    """Draw a run over the contours of the section of its plane; below, its true loss, the contours' loss and its residual.

    Parameters
    ----------
    path : Trajectory
    section : Section
        Along the same directions.
    clip : float, optional
        As in `contour`.
    ax : array of two Axes, optional

    Returns
    -------
    array of two Axes

    Raises
    ------
    ValueError
        When section and path are along different directions.
    """
    if path.directions_hash != section.directions_hash:
        raise ValueError(
            "section must lie along the directions of path, got another directions_hash; map it along those"
        )
    if ax is None:
        figure = plt.figure(figsize=(5.2, 6.6))
        ax = figure.subplots(2, 1, height_ratios=[2.2, 1], gridspec_kw={"hspace": 0.08})
    plane, below = ax
    contour(section, clip=clip, ax=plane)
    plane.plot(*path.coordinates.T[:2], color=PUBLISHED, marker="o", markersize=3, linewidth=1)
    plane.annotate(
        "start",
        path.coordinates[0, :2],
        textcoords="offset points",
        xytext=(-6, 2),
        ha="right",
        color=THEORY,
    )
    state = np.arange(len(path.true_loss))
    below.plot(state, path.true_loss, color=OURS, marker="o", label="true loss")
    below.plot(state, path.plane_loss, color=THEORY, linestyle="--", label="loss in the plane")
    below.set(xlabel="saved state", ylabel="loss (nats)")
    right = below.twinx()
    right.spines["right"].set_visible(True)
    right.plot(state, path.residuals, color=CONTROL, linestyle=":", label="residual (right)")
    right.set(ylabel="residual", ylim=(-0.02, 1.02))
    lines = below.get_lines() + right.get_lines()
    below.legend(
        lines,
        [drawn.get_label() for drawn in lines],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
        columnspacing=1,
        handlelength=1.6,
    ).set_in_layout(False)
    return np.array([plane, below])


def _levels(values, top, log):
    """Return round contours, or with `log` those in equal ratios."""
    if not log:
        return MaxNLocator(_N_LEVELS).tick_values(values.min(), top)
    if values.min() <= 0:
        raise ValueError(
            f"values must be positive on a logarithmic scale, got {values.min():.3g}; leave log out"
        )
    return np.geomspace(values.min(), top, _N_LEVELS)


def _top(values, clip):
    """Return the largest value to draw."""
    return values.max() if clip is None else min(values.max(), values.min() + clip)


def _mark_holes(ax, section):
    if section.n_not_finite:
        i, j = np.nonzero(section.status == 2)
        ax.plot(section.x[i], section.y[j], "x", color=CONTROL, markersize=3)
        ax.text(
            0.02,
            0.02,
            f"× {section.n_not_finite} points NaN or inf",
            transform=ax.transAxes,
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
        )


def _label_plane(ax, section):
    ax.set(xlabel=_axis(section, 0), ylabel=_axis(section, 1))


def _axis(section, k):
    return section.labels[k]


def quantity(section, metric):
    """Return the label of a metric, with its unit."""
    if metric == "loss" and section.problem["loss"] != "'cross_entropy'":
        return "loss"
    return _QUANTITIES.get(metric, metric.replace("_", " "))


def _title(section):
    points = " × ".join(str(len(axis)) for axis in section.axes)
    modes = f"{points} points, BatchNorm {section.problem['batch_norm']}, dropout {section.problem['dropout']}"
    return modes + ("\n(each point draws a new mask)" if section.live_dropout else "")
