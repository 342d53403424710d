"""Figures of drift: time by tenth of the grid and first passages, against controls; passage into the harmonic well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from multifractal.base.types import Array
from multifractal.figures._style import CONTROL, FURTHER, OURS, THEORY, axes_or_new, number, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from multifractal.diffusion.passage import WellPassage
    from multifractal.figures._style import ManyAxes
    from multifractal.walkers.drift import Drift


_STYLES = (
    {"color": OURS, "marker": "o"},
    {"color": CONTROL, "marker": "s"},
    {"color": FURTHER[1], "marker": "^"},
    {"color": FURTHER[0], "marker": "D"},
)
_LABELS = {
    "flatness": "tenth of the grid by flatness\n(1 sharpest, 10 flattest)",
    "regional flatness": "tenth of the grid by regional flatness\n(1 sharpest, 10 flattest)",
    "low loss": "tenth of the grid by loss\n(1 highest, 10 lowest)",
}


@styled
def drift_shares(
    drift: Drift, *, fields: Sequence[str] = ("flatness", "low loss"), axes: ManyAxes | None = None
) -> Array:
    """Draw the share of time in each tenth of the grid, one panel a field, and the first passages to the flattest.

    Parameters
    ----------
    drift : Drift
        Bars are 95 % intervals over surfaces; shares of one surface have none.
    fields : sequence of str
        Among `Drift.fields`.
    axes : array of Axes, optional
        One a field and one for the passages.

    Returns
    -------
    ndarray of Axes
    """
    axes = axes_or_new(axes, 1, len(fields) + 1, figsize=(4.1 * (len(fields) + 1), 3.7))
    n_surfaces = drift.shares.shape[2]
    for ax, field in zip(axes, fields, strict=False):
        for shift, (kind, style) in enumerate(zip(drift.kinds, _STYLES, strict=True)):
            found = drift.mean_shares(kind, field)
            ax.errorbar(
                np.arange(1, 11) + 0.12 * (shift - 1.5),
                found.value,
                _within_shares(found),
                label=kind,
                capsize=2,
                linewidth=1.2,
                **style,
            )
        ax.axhline(0.1, color=THEORY, lw=0.8, ls=":", label="no preference, 0.1")
        ax.set(
            xticks=range(1, 11),
            ylim=(0, min(ax.get_ylim()[1], 1)),
            xlabel=_LABELS[field],
            ylabel="share of time",
        )
    axes[0].figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(_STYLES) + 1
    )
    axes[0].set_title(
        f"{n_surfaces} surfaces × {drift.arrivals.shape[2]} walkers, starts\n"
        + ("near the maximum" if drift.start == "maximum" else "anywhere")
        + (", bars 95 % over surfaces" if n_surfaces > 1 else "")
    )
    _arrivals(axes[-1], drift)
    axes[-1].set(
        xlabel="steps",
        ylabel="share of walkers that have arrived",
        title=f"first passage to the flattest tenth\n(curvature over {drift.smoothing} pixels)",
    )
    return axes


@styled
def passage_into_well(passage: WellPassage, ax: Axes | None = None) -> Axes:
    """Draw the share of paths that have entered the well against time, with and without force, fractional and ordinary.

    Parameters
    ----------
    passage : WellPassage
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    _arrivals(ax, passage)
    ax.legend(loc="upper left")
    ax.set(
        xlabel="steps",
        ylabel="share of paths that have arrived",
        title=f"first passage into the well, |x| < {passage.radius:g}\n{passage.arrivals.shape[1]:,} paths, "
        f"temperature {number(passage.temperature)}",
    )
    return ax


def _within_shares(found):
    """Return the bars of shares, cut at 0 and 1: an interval of few surfaces reaches where no share can be."""
    low, high = np.clip(found.interval, 0, 1)
    return [found.value - low, high - found.value]


def _arrivals(ax, result):
    steps = np.unique(np.geomspace(1, result.n_steps, 200).astype(int))
    for kind, style in zip(result.kinds, _STYLES, strict=True):
        ax.plot(
            steps,
            result.arrived(kind, steps),
            color=style["color"],
            marker=style["marker"],
            markevery=25,
            label=kind,
        )
    ax.set(xscale="log", ylim=(-0.02, 1.02))
