"""Figures of the reproduction report on the surface and its spectra, on where walks go, and on generalisation.

Each takes `measured`, a claim's `Measured`, and optionally `ax` or `axes` to draw on; it computes nothing, and returns the
axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    styled,
)
from multifractal.figures.spectra import model_spectra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from multifractal.figures._style import ManyAxes


_FLATTEST = 10  # enlarged (paper)
_MARKERS = ("o", "s", "^")


@styled
def curvature(measured: Any, ax: Axes | None = None) -> Axes:
    """Draw curvature against the paper's abscissa: ours, the exact law of the stencil, and the paper's law."""
    ax, (law, found) = axes_or_new(ax), (measured.results[name] for name in ("law", "curvature"))
    m = measured["prefactor"].value * 1e-8
    ax.errorbar(
        found.x,
        found.mean.value,
        yerr=found.spread,
        fmt="o",
        color=OURS,
        label=f"ours, {len(found)} surfaces",
    )
    ax.plot(found.x, law.exact, color=THEORY, label="exact law of this stencil")
    ax.plot(found.x, m * found.x, "--", color=PUBLISHED, label="the paper's law, m x")
    compact = measured.results["compact"]
    ax.plot(
        compact.x,
        compact.mean.value,
        "s",
        ms=3.5,
        color=CONTROL,
        label="compact stencil [1, −2, 1]",
    )
    ax.plot(
        compact.x,
        compact.prefactor * compact.x,
        ":",
        color=CONTROL,
        label="m x of the compact stencil",
    )
    ax.set(
        xscale="log",
        yscale="log",
        xlabel=r"$x = r(H)\,\chi^{2H-2}$  (rough $\rightarrow$)",
        ylabel=r"$\Vert\mathrm{Hess}\Vert_F^2$ (loss$^2$/pixel$^4$)",
        title=f"H from {law.hoelder.max():.2f} to {law.hoelder.min():.2f}",
    )
    ax.legend(loc="upper left")
    return ax


@styled
def scales(measured: Any, ax: Axes | None = None) -> Axes:
    """Draw mean squared increments by lag, one line a surface, with the exponents at either end."""
    ax, found = axes_or_new(ax), measured.results["increments"]
    ax.plot(found.x, found.samples.T, color=OURS, lw=0.7, alpha=0.6)
    half = len(found.x) // 2
    for name, part in (("fine", slice(half)), ("coarse", slice(half, None))):
        x, exponent = found.x[part], measured[name].value
        centre, height = found.log_centre(part)
        line = 1.4 * height * (x / centre) ** (2 * exponent)
        ax.plot(x, line, "--", color=THEORY, label=f"{name}: exponent {exponent:.2f}")
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="lag (pixels)",
        ylabel="mean squared increment (loss²)",
        title=f"{len(found)} surfaces",
    )
    ax.legend(loc="upper left")
    return ax


@styled
def minima(measured: Any, ax: Axes | None = None) -> Axes:
    """Draw the lowest minima of one surface, coloured by flatness; the ten flattest enlarged."""
    ax = axes_or_new(ax, figsize=(5.2, 4.2))
    lowest = measured.results["lowest"]
    positions, flat = lowest.positions, lowest.flatness
    style = {"cmap": "viridis", "vmin": 0, "vmax": 20}
    points = ax.scatter(*positions.T, c=flat, s=4, linewidths=0, **style)
    flattest = np.argsort(flat)[-_FLATTEST:]
    ax.scatter(
        *positions[flattest].T, c=flat[flattest], s=60, edgecolors=THEORY, linewidths=0.8, **style
    )
    if len(flat):
        low, high = _holding_nearly_all(positions)
        side = (high - low).max() + 40  # pixels, of a square that holds nearly all
        corner = np.maximum((low + high - side) / 2, 0)
        ax.set(xlim=(corner[0], corner[0] + side), ylim=(corner[1], corner[1] + side))
    ax.set(
        aspect="equal",
        xlabel="x (pixels)",
        ylabel="y (pixels)",
        title=f"surface 0, {len(flat)} lowest minima",
    )
    ax.figure.colorbar(points, ax=ax, extend="max", label=r"flatness (pixel loss$^{-1/2}$)")
    return ax


@styled
def clustering(measured: Any, ax: Axes | None = None) -> Axes:
    """Draw N(R) of the smoother and the rougher basins of all surfaces, and the published power laws up to their R0."""
    ax, handles = axes_or_new(ax), []
    for name, colour, power, radius in (
        ("smoother", OURS, 1.72, 36.7),
        ("rougher", CONTROL, 1.60, 29.4),
    ):
        if name not in measured.results:
            continue
        found = measured.results[name]
        ax.plot(found.x, found.samples.T, color=colour, linewidth=0.7, alpha=0.7)
        handles.append(
            Line2D([], [], color=colour, label=f"ours, {name} basin, {len(found)} surfaces")
        )
        drawn = np.geomspace(4, radius, 20)
        anchor = np.interp(radius, found.x, found.median)
        ax.plot(
            drawn,
            anchor * (drawn / radius) ** power,
            color=PUBLISHED,
            linewidth=2.5,
            linestyle="-" if name == "smoother" else "--",
        )
        ax.axvline(
            radius, color=PUBLISHED, linewidth=0.8, linestyle="-" if name == "smoother" else "--"
        )
        handles.append(
            Line2D(
                [],
                [],
                color=PUBLISHED,
                linestyle="-" if name == "smoother" else "--",
                linewidth=2.5,
                label=f"published: $R^{{{power:.2f}}}$ to $R_0$ = {radius}",
            )
        )
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="R (pixels)",
        ylabel="N(R), minima within R",
        ylim=(0.8, None),
    )
    if handles:
        ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.17))
    else:
        ax.text(0.5, 0.5, "no two basins of minima", transform=ax.transAxes, ha="center")
    return ax


@styled
def losses(measured: Any, ax: Axes | None = None) -> Axes:
    """Draw the densities of the losses in the basin's box and on the whole surface; the paper's box where it is here."""
    ax, results = axes_or_new(ax), measured.results
    edges = results["whole"].x
    middle = (edges[1:] + edges[:-1]) / 2
    for name, colour, words in (
        ("whole", CONTROL, "whole surface"),
        ("box", OURS, "box of the smoother basin"),
    ):
        density = results[name]
        if not len(density):
            continue
        mean, spread = density.mean.value, np.nan_to_num(density.spread)
        ax.stairs(
            mean, edges, color=colour, linewidth=1.5, label=f"{words}, {len(density)} surfaces"
        )
        ax.fill_between(
            middle,
            np.maximum(mean - spread, 0),
            mean + spread,
            step="mid",
            color=colour,
            alpha=0.2,
            linewidth=0,
        )
    if "published" in results:
        ax.stairs(
            results["published"].samples[0],
            edges,
            color=PUBLISHED,
            linestyle="--",
            label="published surface, the paper's box",
        )
    ax.set(
        xlabel="loss (0 to 1: central 98 % of the surface)",
        ylabel="density",
        xlim=(edges[0], edges[-1]),
        ylim=(0, None),
    )
    ax.legend(loc="upper right")
    return ax


@styled
def surface_spectrum(measured: Any, ax: Axes | None = None) -> Axes:
    """Draw the spectra of multifractal and monofractal surfaces, ours and published, over the prescribed exponents."""
    ax, results = axes_or_new(ax), measured.results
    ax.axvspan(0.3, 0.7, color=CONTROL, alpha=0.15, linewidth=0)
    kinds = ("multifractal", "monofractal")
    published = {
        kind: results[f"published {kind}"] for kind in kinds if f"published {kind}" in results
    }
    model_spectra({kind: results[kind] for kind in kinds}, published, ax)
    ax.set(ylim=(1.0, 2.05))
    return ax


@styled
def section_spectra_by_rule(measured: Any, axes: ManyAxes | None = None) -> Array:
    """Draw the published spectra by epoch beside noise and a monofractal, and those of the published sections."""
    axes, results = axes_or_new(axes, 2, 1, figsize=(4.6, 8.4)), measured.results
    for name, colour, words in (
        ("noise", CONTROL, "smooth bowl, pixel noise"),
        ("monofractal", OURS, "exact monofractal, H = .5"),
    ):
        found = results[name]
        told = f"{words} (mean of {len(found)})"
        axes[0].plot(found.h.mean.value, found.D.mean.value, "-", color=colour, label=told)
    epochs = [name for name in results if name.startswith("epoch ")]
    for name, marker in zip(epochs, "osD", strict=False):
        _draw_one(axes[0], results[name], f"{marker}--", f"published, {name}")
    sections = [name for name in results if name.startswith("section ")]
    for name, marker in zip(sections, "osD^v", strict=False):
        words = name.removeprefix("section ").replace("_", " ")
        _draw_one(axes[1], results[name], f"{marker}-", words, linewidth=0.8)
    axes[0].set(
        xlabel="Hölder exponent h",
        ylabel="dimension D(h)",
        title="by epoch, and from scratch",
        ylim=(1.2, 2.05),
    )
    axes[1].set(
        xlabel="Hölder exponent h",
        ylabel="dimension D(h)",
        ylim=(0, 2.1),
        title="published sections" if sections else "no published section is here",
    )
    for ax in axes[: 2 if sections else 1]:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17))
    return axes


@styled
def sharpening(measured: Any, axes: ManyAxes | None = None) -> Array:
    """Draw the rank of the sharpness among that of all ground by step and rate, from anywhere and from near the maximum."""
    axes = axes_or_new(axes, 2, 1, figsize=(5.2, 6.8), sharex=True)
    for ax, (arm, words) in zip(
        axes, (("anywhere", "from anywhere"), ("near", "from near the global maximum")), strict=True
    ):
        curves = {k: v for k, v in measured.results.items() if k.startswith(f"{arm} ")}
        colours = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(curves)))
        for colour, (name, found) in zip(colours, curves.items(), strict=True):
            mean, at = found.mean, np.maximum(found.x, 0.5)  # the start stands left of step 1
            ax.plot(at, mean.value, color=colour, label=f"rate {name.split()[1]}")
            ax.fill_between(at, *mean.interval, color=colour, alpha=0.2, lw=0)
        ax.axhline(0.5, color=CONTROL, ls=":", lw=1, label="no preference")
        ax.set(
            xscale="log",
            ylim=(0, 1),
            ylabel="share of the grid that is less sharp",
            title=f"{words}, {len(found)} surfaces",
        )
    axes[1].set(xlabel="step (the start at the left end)")
    axes[1].legend(loc="upper left", bbox_to_anchor=(0, -0.2), ncols=3)
    return axes


@styled
def generalisation(measured: Any, axes: ManyAxes | None = None) -> Array:
    """Draw the test gap against sharpness at one training loss, a point for each learning rate and batch size, by table."""
    tables = list(dict.fromkeys(name.split()[0] for name in measured.results))
    axes = np.atleast_1d(axes_or_new(axes, len(tables), 1, figsize=(5.2, 4.9 * len(tables))))
    for ax, table in zip(axes, tables, strict=True):
        settings = {k: v for k, v in measured.results.items() if k.startswith(f"{table} ")}
        rates, batches = (list(dict.fromkeys(k.split()[at] for k in settings)) for at in (1, 2))
        for name, found in settings.items():
            _, rate, batch = name.split()
            mean = found.mean  # columns: sharpness, distance, gap, gap beyond the seed's mean
            ax.errorbar(
                mean.value[0],
                mean.value[3],
                xerr=mean.bars[:, 0, None],
                yerr=mean.bars[:, 3, None],
                marker=_MARKERS[batches.index(batch)],
                color=(OURS, *FURTHER)[rates.index(rate)],
                ms=5,
                lw=1,
                ls="",
                label=f"{rate}, {batch}",
            )
        ax.set(
            xlabel="sharpness (largest eigenvalue of the Hessian)",
            ylabel="test gap beyond the seed's mean",
            title=f"{table}, {len(found)} seeds",
        )
        ax.legend(
            title="learning rate, batch size", loc="upper left", bbox_to_anchor=(0, -0.16), ncols=3
        )
    return axes


def _draw_one(ax, found, line, label, **style):
    h, D = found.h.samples[0], found.D.samples[0]
    ax.plot(h, D, line, color=PUBLISHED, mfc="none", label=label, **style)


def _holding_nearly_all(positions):
    """Return the corners (x, y) of an upright box that holds all positions but the outermost 1 %: the limits of the axes."""
    n = len(positions)
    ordered, left_out = np.sort(positions, axis=0), n // 200
    return ordered[left_out], ordered[n - 1 - left_out]


@styled
def premise(measured: Any, ax: Axes | None = None) -> Axes:
    """Draw the exponents of losses of recurrent networks against their gain, and what the law has there."""
    ax, found = axes_or_new(ax), measured.results["exponent"]
    law = measured.results["law"].mean
    ax.axhspan(0, 1, color=CONTROL, alpha=0.15, lw=0)
    ax.text(found.x[0], 0.05, "rough", color=CONTROL)
    ax.text(found.x[0], 1.05, "smooth", color=CONTROL)
    ax.errorbar(
        found.x,
        found.mean.value,
        yerr=found.spread,
        fmt="o",
        color=OURS,
        label=f"measured, {len(found)} networks",
    )
    ax.plot(found.x, law.value, color=THEORY, label=r"law, $-\ln\gamma\,/\,\lambda$")
    ax.set(
        xlabel="gain of the tanh network", ylabel="exponent of second differences", ylim=(0, 2.2)
    )
    ax.legend(loc="upper right")
    return ax
