"""Figures of the theory of diffusion: fits of the law, the diagram of exponents and its slice, the Langevin path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import Normalize

from multifractal.base.types import Array, ArrayLike, Pair
from multifractal.figures._style import (
    OURS,
    PUBLISHED,
    THEORY,
    axes_or_new,
    hurst_colour,
    number,
    rate_colour,
    styled,
)
from multifractal.figures.displacement import (
    draw_by_waiting_time,
    exponent_key,
    scale_of,
    waiting_colours,
    waiting_scale,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from multifractal.base.curves import Curves
    from multifractal.diffusion.diagram import DiffusionDiagram
    from multifractal.diffusion.displacement import DiffusionExponent, Displacement
    from multifractal.diffusion.langevin import LangevinPath
    from multifractal.figures._style import ManyAxes


_MARKS = "os^D"
_COLLAPSED = 5  # Hurst exponents drawn against the step's correlation: more are not told apart


@styled
def tamsd_fits(panels: Mapping[str, Mapping[float, Any]], *, ax: ManyAxes | None = None) -> Array:
    """Draw displacement curves with the theory's fits, one panel a set of curves.

    Parameters
    ----------
    panels : dict of str to dict of float to (lag_times, tamsd, TamsdFit or None, scale)
        By title and the surface's Hurst exponent; curve and fit are both multiplied by `scale`, which the key says where it is
        not 1. None for a walk at rest, which has no fit.
    ax : array of Axes, optional

    Returns
    -------
    array of Axes, one per panel
    """
    ax = np.atleast_1d(axes_or_new(ax, 1, len(panels)))
    for panel, (title, curves) in zip(ax, panels.items(), strict=True):
        for k, (hurst, (lags, values, fit, scale)) in enumerate(curves.items()):
            lags = np.asarray(lags)
            shown = np.unique(np.searchsorted(lags, np.geomspace(lags[lags > 0][0], lags[-1], 40)))
            factor = "" if scale == 1 else f" (×{scale:g})"
            fitted = "at rest" if fit is None else f"fitted {fit.hurst:.2f}"
            panel.plot(
                lags[shown],
                scale * np.asarray(values)[shown],
                _MARKS[k % 4],
                color=hurst_colour(hurst),
                ms=3.5,
                label=f"H = {hurst:g}{factor}: {fitted}",
            )
            if fit is not None:
                panel.plot(lags[shown], scale * fit.curve(lags[shown]), color=THEORY, lw=1)
        panel.plot([], [], color=THEORY, lw=1, label="fit of the theory")
        panel.set(
            xscale="log",
            yscale=scale_of([values for _, values, _, _ in curves.values()]),
            xlabel="lag (steps)",
            ylabel="TAMSD (pixels²)",
            title=title,
        )
        panel.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.17),
            ncols=2,
            fontsize=8,
            title="the fitted H is the memory's, not the surface's",
            title_fontsize=8,
        )
    return ax


@styled
def alpha_diagram(diagram: DiffusionDiagram, *, ax: ManyAxes | None = None) -> Array:
    """Draw the exponents of a `DiffusionDiagram` by Hurst exponent and learning rate, and against the step's correlation.

    Left: the diagram, grey where walks are trapped, circles where the theory holds (its interval comes within 0.05 of it),
    with the contours of a typical step of 2 pixels and of 2 % gradient correlation across a step. Right: the exponents of
    all moving cells against that correlation.

    Parameters
    ----------
    diagram : DiffusionDiagram
    ax : pair of Axes, optional

    Returns
    -------
    array of Axes, shape (2,)
    """
    ax = axes_or_new(ax, 1, 2, figsize=(10.2, 4.4))
    moving = diagram.regions > 0
    n = diagram.curves.shape[1]
    hursts, rates = diagram.hursts, diagram.learning_rates
    mesh = ax[0].pcolormesh(
        _edges(hursts),
        np.exp(_edges(np.log(rates))),
        np.where(moving, diagram.exponents, np.nan).T,
        norm=Normalize(0, 1),
        edgecolors="face",
        lw=0.2,
    )
    ax[0].set_facecolor("#dddddd")
    ax[0].figure.colorbar(mesh, ax=ax[0], label="diffusion exponent α", extend="both")
    x, y = np.meshgrid(hursts, rates, indexing="ij")
    ax[0].plot(
        x[diagram.law_holds],
        y[diagram.law_holds],
        "o",
        mfc="none",
        mec=PUBLISHED,
        ms=6,
        mew=1.3,
        label="theory holds to 0.05 (95 % interval)",
    )
    for values, threshold, style, words in (
        (diagram.typical_step, 2.0, "-", "step of 2 pixels"),
        (diagram.step_correlation, 0.02, "--", "2 % gradient correlation"),
    ):
        ax[0].contour(x, y, values, [threshold], colors="white", linewidths=3, linestyles=style)
        ax[0].contour(x, y, values, [threshold], colors=THEORY, linewidths=1.3, linestyles=style)
        ax[0].plot([], [], style, color=THEORY, lw=1.3, label=words)
    ax[0].text(0.97, 0.03, "trapped", transform=ax[0].transAxes, ha="right")
    ax[0].set(
        yscale="log",
        xlabel="Hurst exponent of the surface",
        ylabel="learning rate (pixels² per unit of loss)",
        title=f"lags {diagram.lag_times[0]} to {diagram.lag_times[-1]}, {n} surfaces a cell",
    )
    ax[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=1, fontsize=8)
    _draw_collapse(ax[1], diagram, moving)
    if ax[0].figure.get_layout_engine() is not None:
        ax[0].figure.get_layout_engine().set(wspace=0.06)  # the scale's label beside the next axis
    return ax


def _draw_collapse(ax, diagram, moving):
    shown = np.linspace(0, len(moving) - 1, min(_COLLAPSED, len(moving))).round().astype(int)
    for mark, k in enumerate(shown):
        chosen = moving[k]
        ax.plot(
            diagram.step_correlation[k, chosen],
            diagram.exponents[k, chosen],
            (_MARKS + "v")[mark] + "-",
            color=hurst_colour(diagram.hursts[k]),
            lw=0.8,
            ms=4,
            label=f"{diagram.hursts[k]:.1f}",
        )
    ax.axvline(0.02, color=THEORY, ls="--", lw=1, label="2 %")
    ax.set(
        xscale="log",
        xlim=(1e-5, 1.5),
        title="moving walks only",
        ylabel="diffusion exponent α",
        xlabel="gradient correlation across one typical step",
    )
    ax.legend(
        title="Hurst exponent of the surface, and 2 % correlation",
        ncols=3,
        fontsize=8,
        title_fontsize=8,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.17),
    )


@styled
def alpha_slice(
    diagram: DiffusionDiagram,
    law: tuple[ArrayLike, ArrayLike],
    *,
    learning_rates: Sequence[float] = (1000.0, 3000.0, 1e5),
    published: Curves | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw exponents by Hurst exponent at some learning rates, with intervals, the theory, and the paper's where given.

    Parameters
    ----------
    diagram : DiffusionDiagram
    law : (hursts, exponents)
        The theory's curve.
    learning_rates : tuple of float
        The nearest rates of the diagram are drawn; 1000 is the published setting.
    published : Curves, optional
        The paper's exponents over H, one curve for each trial (`alphas.mat`), drawn as mean and range.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    ax.plot(*law, color=THEORY, label="theory: 1, then 2 − 2H")
    for k, wanted in enumerate(learning_rates):
        at = np.abs(np.log(diagram.learning_rates / wanted)).argmin()
        chosen = diagram.regions[:, at] > 0
        mean, low, high = (
            values[chosen, at] for values in (diagram.exponents, diagram.low, diagram.high)
        )
        bars = np.nan_to_num([np.maximum(mean - low, 0), np.maximum(high - mean, 0)])
        ax.errorbar(
            diagram.hursts[chosen],
            mean,
            bars,
            fmt=_MARKS[k % 4] + ("-" if k == 0 else ":"),
            lw=1,
            capsize=2,
            color=rate_colour(diagram.learning_rates[at]),
            label=f"ours, rate {number(diagram.learning_rates[at])}",
        )
    if published is not None:
        middle = published.mean.value
        ax.errorbar(
            published.x,
            middle,
            np.abs(published.range - middle),
            fmt="x",
            capsize=2,
            color=PUBLISHED,
            label="paper (mean, range)",
        )
    ax.set(
        xlabel="Hurst exponent of the surface",
        ylabel="diffusion exponent α",
        title=f"lags {diagram.lag_times[0]} to {diagram.lag_times[-1]}, {diagram.curves.shape[1]} surfaces, moving walks",
    )
    ax.legend(loc="lower left")
    return ax


@styled
def langevin_path(
    path: LangevinPath,
    potential: tuple[ArrayLike, ArrayLike],
    displacement: Displacement,
    *,
    exponents: Sequence[Sequence[DiffusionExponent]] = ((), ()),
    guides: Sequence[Sequence[tuple[float, Pair]]] = ((), ()),
    split: int = 3800,
    ax: ManyAxes | None = None,
) -> Array:
    """Draw a fractional Langevin path, its potential beside it, and its displacement by waiting time in two panels.

    Parameters
    ----------
    path : LangevinPath
        One path.
    potential : pair of arrays
        Positions and the potential there.
    displacement : Displacement
        Of the path.
    exponents : pair of lists of DiffusionExponent
        Fits to draw in the left and in the right panel of the displacement.
    guides : pair of lists of (exponent, (first lag, last lag))
        Exponents that the paper shows, drawn below the curves.
    split : int
        Waiting time in steps from which a curve goes to the right panel (3800 in the paper's figure).
    ax : four Axes, optional

    Returns
    -------
    array of Axes, shape (4,)
    """
    ax = axes_or_new(ax, 1, 4, figsize=(14.2, 3.5), width_ratios=(1.4, 0.7, 1.3, 1.3))
    ax[0].plot(path.positions, lw=0.6, color=OURS, rasterized=True)
    ax[0].set(
        xlabel="step",
        ylabel="position x",
        title=f"H = {path.hurst:g}, η = {number(path.learning_rate)}, β = {number(path.beta)}",
    )
    ax[1].plot(potential[1], potential[0], color=THEORY)
    ax[1].set(
        xlabel="potential V(x)", ylabel="position x", title="potential", ylim=ax[0].get_ylim()
    )
    longest = displacement.waiting_times.max()
    colours = waiting_colours(longest)
    draw_by_waiting_time(ax[2:], displacement, exponents, guides, split=split, colours=colours)
    limits = np.array([panel.get_ylim() for panel in ax[2:]])
    for panel in ax[2:]:
        panel.set(xlabel="lag (steps)", ylim=(limits[:, 0].min(), limits[:, 1].max()))
    ax[2].set_ylabel("TAMSD (units of x²)")
    ax[2].legend(handles=exponent_key(any(map(len, guides))), loc="upper left")
    waiting_scale(ax[2:], colours, longest)
    return ax


def _edges(centres):
    """Return the edges of cells around `centres`."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])
