"""Figures of the theory of diffusion: fits of the law, the diagram of exponents and its slice, the Langevin path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import Normalize

from multifractal.base.types import Array, ArrayLike
from multifractal.figures._style import OURS, PUBLISHED, THEORY, axes_or_new, styled
from multifractal.figures.displacement import draw_exponent, scale_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from multifractal.base.curves import Curves
    from multifractal.diffusion.diagram import DiffusionDiagram
    from multifractal.diffusion.displacement import DiffusionExponent, Displacement
    from multifractal.diffusion.langevin import LangevinPath
    from multifractal.figures._style import ManyAxes


_MARKS = "os^D"
_COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00")  # of Okabe & Ito's palette


@styled
def tamsd_fits(panels: Mapping[str, Mapping[str, Any]], *, ax: ManyAxes | None = None) -> Array:
    """Draw displacement curves with the theory's fits, one panel a set of curves.

    Parameters
    ----------
    panels : dict of str to dict of str to (lag_times, tamsd, TamsdFit or None, scale)
        By title and label; curve and fit are both multiplied by `scale`, which the label says where it is not 1. None for a
        walk at rest, which has no fit.
    ax : array of Axes, optional

    Returns
    -------
    array of Axes, one per panel
    """
    ax = np.atleast_1d(axes_or_new(ax, 1, len(panels)))
    for panel, (title, curves) in zip(ax, panels.items(), strict=True):
        for k, (label, (lags, values, fit, scale)) in enumerate(curves.items()):
            lags = np.asarray(lags)
            shown = np.unique(np.searchsorted(lags, np.geomspace(lags[lags > 0][0], lags[-1], 40)))
            factor = "" if scale == 1 else f" (×{scale:g})"
            fitted = "at rest" if fit is None else f"fitted H {fit.hurst:.2f}"
            panel.plot(
                lags[shown],
                scale * np.asarray(values)[shown],
                _MARKS[k % 4],
                color=_COLOURS[k % 4],
                ms=3.5,
                label=f"{label}{factor}: {fitted}",
            )
            if fit is not None:
                panel.plot(lags[shown], scale * fit.curve(lags[shown]), color=THEORY, lw=1)
        panel.plot([], [], color=THEORY, lw=1, label="fit of the theory")
        panel.set(
            xscale="log",
            yscale=scale_of([values for _, values, _, _ in curves.values()]),
            xlabel="lag (steps)",
            ylabel="TAMSD (grid units²)",
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
    ax = axes_or_new(ax, 1, 2)
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
        ylabel="learning rate (grid units² / loss)",
        title=f"lags {diagram.lag_times[0]}-{diagram.lag_times[-1]}, {n} surfaces a cell",
    )
    ax[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=1, fontsize=8)
    _draw_collapse(ax[1], diagram, moving)
    return ax


def _draw_collapse(ax, diagram, moving):
    for k, (hurst, chosen) in enumerate(zip(diagram.hursts, moving, strict=True)):
        colour = plt.get_cmap("cividis")(0.9 * k / max(1, len(moving) - 1))
        ax.plot(
            diagram.step_correlation[k, chosen],
            diagram.exponents[k, chosen],
            _MARKS[k % 4] + "-",
            color=colour,
            lw=0.8,
            ms=3.5,
            label=f"{hurst:.1f}",
        )
    ax.axvline(0.02, color=THEORY, ls="--", lw=1)
    ax.set(
        xscale="log",
        xlim=(1e-5, 1.5),
        title="moving walks only",
        ylabel="diffusion exponent α",
        xlabel="gradient correlation across one typical step",
    )
    ax.legend(title="Hurst exponent", ncols=2, fontsize=7.5, title_fontsize=8, loc="lower left")


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
            color=OURS if k == 0 else _COLOURS[k % 4],
            label=f"ours, rate {diagram.learning_rates[at]:,.0f}",
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
        title=f"lags {diagram.lag_times[0]}-{diagram.lag_times[-1]}, {diagram.curves.shape[1]} surfaces, moving walks",
    )
    ax.legend(loc="lower left")
    return ax


@styled
def langevin_path(
    path: LangevinPath,
    potential: tuple[ArrayLike, ArrayLike],
    displacement: Displacement,
    *,
    exponents: Sequence[tuple[DiffusionExponent, float]] = (),
    ax: ManyAxes | None = None,
) -> Array:
    """Draw a fractional Langevin path, its potential beside it, and its displacement by waiting time.

    Parameters
    ----------
    path : LangevinPath
        One path.
    potential : pair of arrays
        Positions and the potential there.
    displacement : Displacement
        Of the path.
    exponents : sequence of (DiffusionExponent, float)
        Fits to draw, each by a factor above (or, below 1, under) its curve.
    ax : three Axes, optional

    Returns
    -------
    array of Axes, shape (3,)
    """
    ax = axes_or_new(ax, 1, 3, figsize=(11.5, 3.5), width_ratios=(1.5, 0.7, 1.4))
    ax[0].plot(path.positions, lw=0.6, color=OURS)
    ax[0].set(
        xlabel="step",
        ylabel="position x",
        title=f"H = {path.hurst:g}, η = {path.learning_rate:g}, β = {path.beta:g}",
    )
    ax[1].plot(potential[1], potential[0], color=THEORY)
    ax[1].set(
        xlabel="potential V(x)", ylabel="position x", title="potential", ylim=ax[0].get_ylim()
    )
    lags = displacement.lag_times
    for k, (waiting, curve) in enumerate(
        zip(displacement.waiting_times, displacement.values, strict=True)
    ):
        colour = plt.get_cmap("cividis")(0.9 * k / max(1, len(displacement.values) - 1))
        ax[2].plot(lags[lags > 0], curve[lags > 0], color=colour, lw=1.1, label=f"{waiting}")
    for fit, factor in exponents:
        draw_exponent(ax[2], fit, factor)
    ax[2].set(
        xscale="log",
        yscale="log",
        xlabel="lag (steps)",
        ylabel="TAMSD (units of x²)",
        title="one path",
    )
    ax[2].legend(
        title="waiting time\n(steps)",
        fontsize=7,
        title_fontsize=7.5,
        loc="center left",
        bbox_to_anchor=(1, 0.5),
    )
    return ax


def _edges(centres):
    """Return the edges of cells around `centres`."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])
