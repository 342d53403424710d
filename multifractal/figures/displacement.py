"""Figures of displacement: the TAMSD by waiting time, in two panels, with its fitted exponents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from multifractal.base.types import Array, Pair
from multifractal.figures._style import (
    CONTROL,
    ESTIMATOR,
    FURTHER,
    OURS,
    PALEST,
    PUBLISHED,
    THEORY,
    axes_or_new,
    number,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from multifractal.base.statistics import Estimate
    from multifractal.diffusion.displacement import Displacement
    from multifractal.diffusion.frequencies import WalkSpectrum
    from multifractal.figures._style import ManyAxes
    from multifractal.walkers.descent import Walk


OFFSET = 1.9  # fitted lines stand above their curves by this factor, so that both are seen


@styled
def tamsd_by_waiting_time(
    displacements: Mapping[str, Displacement],
    *,
    exponents: Mapping[str, Any] | None = None,
    guides: Sequence[Sequence[tuple[float, Pair]]] = ((), ()),
    split: int = 3800,
    y_label: str | None = None,
    ax: ManyAxes | None = None,
) -> Array:
    """Draw displacement curves by waiting time: one row a set of curves, waiting times below `split` left, the rest right.

    Parameters
    ----------
    displacements : dict of str to Displacement
        A title and the curves, one row each.
    exponents : dict of str to (list of DiffusionExponent, list of DiffusionExponent), optional
        By the same titles: the fits to show in the left and in the right panel, with the half width of their interval over
        walks (a single curve has none).
    guides : pair of lists of (exponent, (first lag, last lag))
        Exponents to draw under the curves of the left and of the right panels: those that the paper shows.
    split : int
        Waiting time in steps from which a curve goes to the right panel (3800 in the paper's figure).
    y_label : str, optional
        Default: TAMSD in pixels².
    ax : array of Axes of shape (rows, 2), optional

    Returns
    -------
    array of Axes, shape (rows, 2)
    """
    if ax is None:
        width, height = plt.rcParams["figure.figsize"]
        figure, ax = plt.subplots(
            len(displacements),
            2,
            sharex=True,
            sharey=True,
            squeeze=False,
            figsize=(1.75 * width, 0.85 * height * len(displacements)),
        )
    ax = np.asarray(ax, dtype=object).reshape(len(displacements), 2)
    longest = max(d.waiting_times.max() for d in displacements.values())
    colours = waiting_colours(longest)
    for row, (title, found) in zip(ax, displacements.items(), strict=True):
        fits = (exponents or {}).get(title, ((), ()))
        draw_by_waiting_time(row, found, fits, guides, split=split, colours=colours)
        for panel in row:
            panel.set_title(f"{title}\n{panel.get_title()}")
        row[0].set_ylabel(y_label or "TAMSD (pixels²)")
    for panel in ax[-1]:
        panel.set_xlabel("lag (steps)")
    waiting_scale(ax, colours, longest)
    ax[0, 0].legend(handles=exponent_key(any(map(len, guides))), loc="lower right")
    return ax


@styled
def displacement_curves(found: Displacement, *, ax: Axes | None = None) -> Axes:
    """Draw the mean displacement over walks against the lag, a curve for each waiting time.

    Parameters
    ----------
    found : Displacement
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    longest = max(int(found.waiting_times.max()), 1)
    colours = waiting_colours(longest)
    _draw_curves(ax, found, np.ones(len(found.waiting_times), bool), colours)
    ax.set(xscale="log", yscale="log", xlabel="lag (steps)", ylabel="TAMSD (pixels²)")
    ax.set_title(
        f"mean of {len(found.per_walk):,} walk{'s' * (len(found.per_walk) > 1)}, window {found.window:,} steps"
    )
    if len(found.waiting_times) > 1:
        waiting_scale(ax, colours, longest)
    return ax


@styled
def unfolded_tracks(
    walk: Walk,
    as_published: Walk,
    published: Array | None = None,
    *,
    walls: Pair | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one walk where it is on the grid, unfolded exactly and as published, and the paper's own track where given.

    Parameters
    ----------
    walk : Walk
        Unfolded exactly.
    as_published : Walk
        The same walk with the published unfolding.
    published : ndarray, shape (positions, 2), optional
        ``trajectory_continuous`` of the paper's `trajectory.mat`.
    walls : (x, y), optional
        Where the far walls of the grid stand, in pixels; the near ones stand at 0.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    tracks = [
        (walk.positions, CONTROL, "position on the grid"),
        (as_published.unfolded, ESTIMATOR, "as published"),
        (walk.unfolded, OURS, "unfolded exactly"),
    ]
    if published is not None:
        tracks.append((published, PUBLISHED, "the paper's track"))
    for track, colour, label in tracks:
        ax.plot(*track.T, color=colour, lw=0.5, rasterized=True)
        ax.plot([], [], color=colour, label=label)
    ax.plot(*walk.positions[0], "^", color="white", mec=THEORY, ms=8, label="start")
    for track, colour, _ in tracks:
        ax.plot(*track[-1], "s", color=colour, mec=THEORY, ms=6)
    ax.plot([], [], "s", color="white", mec=THEORY, ms=6, label="finish")
    if walls is not None:
        x, y = walls
        ax.plot([0, x, x, 0, 0], [0, 0, y, y, 0], color=THEORY, ls="--", lw=1, label="walls")
    ax.set(
        xlabel="x (pixels)",
        ylabel="y (pixels)",
        aspect="equal",
        adjustable="datalim",
        title=f"one walk, learning rate {number(walk.learning_rate)}, {len(walk.positions):,} positions",
    )
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)
    return ax


def draw_by_waiting_time(panels, found, fits, guides, *, split, colours):
    """Draw the curves of a `Displacement` in two panels, below and from `split`, with fits and guides of each."""
    early = found.waiting_times < split
    for panel, chosen, fitted, guided, where in zip(
        panels, (early, ~early), fits, guides, ("<", "≥"), strict=True
    ):
        _draw_curves(panel, found, chosen, colours)
        for fit in fitted:
            draw_exponent(panel, fit, spread=bool(np.isfinite(fit.low)))
        for exponent, lags in guided:
            _draw_guide(panel, found, chosen, exponent, np.asarray(lags))
        panel.set(xscale="log", yscale="log", title=f"waiting time {where} {split:,} steps")


def exponent_key(guided):
    """Return the entries of a key for fitted exponents and, if there are any, for the paper's."""
    entries = [Line2D([], [], color=THEORY, ls="--", lw=1.2, label="fitted exponent")]
    paper = Line2D([], [], color=PUBLISHED, ls="-.", lw=1.2, label="exponent in the paper")
    return [*entries, *[paper] * guided]


def _draw_guide(panel, found, chosen, exponent, lags):
    """Draw a power law of the paper's exponent below the lowest of the curves."""
    if not chosen.any():
        return
    within = (found.lag_times >= lags[0]) & (found.lag_times <= lags[1])
    lowest = (found.values[chosen][:, within] / found.lag_times[within] ** exponent).min()
    if not lowest > 0:
        return
    heights = lowest * lags**exponent / 1.6
    panel.plot(lags, heights, color=PUBLISHED, ls="-.", lw=1.2)
    _tell_exponent(panel, f"{exponent:g}", lags, heights, above=False, colour=PUBLISHED)


def _draw_curves(panel, found, chosen, colours):
    positive = found.lag_times > 0
    for waiting, curve in zip(found.waiting_times[chosen], found.values[chosen], strict=True):
        panel.plot(
            found.lag_times[positive], curve[positive], color=colours.to_rgba(waiting), lw=1.1
        )


def draw_exponent(panel, fit, factor=OFFSET, spread=False):
    """Draw a DiffusionExponent as a line over its lags, by a factor above its curve (or, below 1, under it); none if NaN."""
    if not np.isfinite(fit.exponent * fit.prefactor):
        return
    lags = np.asarray(fit.lag_range)
    heights = factor * fit.prefactor * lags**fit.exponent
    panel.plot(lags, heights, color=THEORY, ls="--", lw=1.2)
    told = f"{fit.exponent:.2f}" + (f" ± {(fit.high - fit.low) / 2:.2f}" if spread else "")
    _tell_exponent(panel, told, lags, heights, above=factor > 1, colour=THEORY)


def _tell_exponent(panel, told, lags, heights, *, above, colour):
    """Write an exponent beside its rising line: above to the left of its end, or below to the right of its middle."""
    early = lags[1] < np.sqrt(
        np.prod(panel.dataLim.intervalx)
    )  # else there is room to the left of its middle too
    ends = above and early
    x, y = (lags[1], heights[1]) if ends else np.sqrt([lags.prod(), heights.prod()])
    panel.annotate(
        told,
        (x, y),
        xytext=(-3 if above and not ends else 4, 4 if above else -4),
        textcoords="offset points",
        ha="right" if above else "left",
        va="bottom" if above else "top",
        fontsize=8.5,
        color=colour,
    )


def scale_of(curves):
    """Return the name of the scale for displacement: curves of walks that all rest have no logarithm."""
    return "log" if any((np.asarray(curve) > 0).any() for curve in curves) else "linear"


def waiting_colours(longest):
    """Return the scale of colours of waiting times up to `longest`."""
    return ScalarMappable(Normalize(0, longest / PALEST), plt.rcParams["image.cmap"])


def waiting_scale(ax, colours, longest):
    """Draw the scale of colours of waiting times beside the axes."""
    bar = np.ravel(ax)[0].figure.colorbar(
        colours, ax=list(np.ravel(ax)), label="waiting time (steps)", shrink=0.8, pad=0.02
    )
    bar.ax.set_ylim(0, longest)
    bar.outline.set_edgecolor(CONTROL)


@styled
def walk_spectra(
    spectra: Mapping[str, WalkSpectrum],
    *,
    exponents: Mapping[str, Sequence[tuple[Pair, Estimate]]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the power of walks against frequency, with the power laws fitted.

    Parameters
    ----------
    spectra : dict of str to WalkSpectrum
        By title; the mean over walks is drawn.
    exponents : dict of str to list of ((low, high), Estimate), optional
        By the same titles: the range of frequencies of a fit and what `WalkSpectrum.exponent` gave.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    colours = (OURS, *FURTHER, CONTROL)
    for k, (title, found) in enumerate(spectra.items()):
        colour, power = colours[k % len(colours)], found.values
        (drawn,) = ax.loglog(found.frequencies, power, color=colour, lw=0.7, alpha=0.8)
        told = [title]
        for (low, high), exponent in (exponents or {}).get(title, ()):
            level = found.level((low, high), float(exponent.value))
            ends, beta = np.array([low, high]), float(exponent.value)
            ax.loglog(ends, 4 * level * ends**-beta, "--", color=colour)
            told.append(f"β = {number(beta, '.2f')} ± {exponent.bars[1]:.2f}")
        drawn.set_label(", ".join(told))
    ax.plot([], [], "--", color=THEORY, label="fitted power law, 4 times as high")
    ax.set(xlabel="frequency (cycles a step)", ylabel="power (pixels² × steps)")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17))
    return ax
