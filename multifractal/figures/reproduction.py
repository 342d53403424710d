"""Figures of the reproduction report on the surface and its spectra.

Each takes `measured`, a claim's `Measured`, and optionally `ax` or `axes` to draw on; it computes nothing, and returns the
axes.
"""

import numpy as np
from matplotlib.lines import Line2D

from multifractal.figures._style import CONTROL, OURS, PUBLISHED, THEORY, axes_or_new, styled

_FLATTEST = 10  # enlarged (paper)


@styled
def curvature(measured, ax=None):
    """Draw curvature against the paper's abscissa: ours, the exact law of the stencil, and the paper's law."""
    ax, arrays = axes_or_new(ax), measured.arrays
    x, y, m = arrays["x"], arrays["curvature"], measured["prefactor"].value * 1e-8
    ax.errorbar(
        x,
        y.mean(axis=0),
        yerr=y.std(axis=0, ddof=1),
        fmt="o",
        color=OURS,
        label=f"ours, {len(y)} surfaces",
    )
    ax.plot(x, arrays["exact"], color=THEORY, label="exact law of this stencil")
    ax.plot(x, m * x, "--", color=PUBLISHED, label="the paper's law, m x")
    ax.set(
        xscale="log",
        yscale="log",
        xlabel=r"$x = r(H)\,\chi^{2H-2}$  (rough $\rightarrow$)",
        ylabel=r"$\Vert\mathrm{Hess}\Vert_F^2$ (loss$^2$/pixel$^4$)",
        title=f"H from {arrays['hoelder'].max():.2f} to {arrays['hoelder'].min():.2f}",
    )
    ax.legend(loc="upper left")
    return ax


@styled
def minima(measured, ax=None):
    """Draw the lowest minima of one surface, coloured by flatness; the ten flattest enlarged."""
    ax = axes_or_new(ax, figsize=(5.2, 4.2))
    positions, flat, (rows, cols) = (
        measured.arrays[name] for name in ("positions", "flatness", "size")
    )
    style = {"cmap": "viridis", "vmin": 0, "vmax": 20}
    points = ax.scatter(*positions.T, c=flat, s=4, linewidths=0, **style)
    flattest = np.argsort(flat)[-_FLATTEST:]
    ax.scatter(
        *positions[flattest].T, c=flat[flattest], s=60, edgecolors=THEORY, linewidths=0.8, **style
    )
    if len(flat):
        low, high = np.quantile(positions, [0.005, 0.995], axis=0)
        side = min((high - low).max() + 40, cols - 1, rows - 1)  # a square that holds nearly all
        corner = np.clip((low + high - side) / 2, 0, np.array([cols, rows]) - 1 - side)
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
def clustering(measured, ax=None):
    """Draw N(R) of the smoother and the rougher basins of all surfaces, and the published power laws up to their R0."""
    ax, arrays = axes_or_new(ax), measured.arrays
    handles = []
    for name, colour, power, radius in (
        ("smoother", OURS, 1.72, 36.7),
        ("rougher", CONTROL, 1.60, 29.4),
    ):
        if f"{name}_counts" not in arrays:
            continue
        radii, counts = arrays[f"{name}_radii"], arrays[f"{name}_counts"]
        ax.plot(radii, counts.T, color=colour, linewidth=0.7, alpha=0.7)
        handles.append(
            Line2D([], [], color=colour, label=f"ours, {name} basin, {len(counts)} surfaces")
        )
        drawn = np.geomspace(4, radius, 20)
        anchor = np.interp(radius, radii, np.median(counts, axis=0))
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
def losses(measured, ax=None):
    """Draw the densities of the losses in the basin's box and on the whole surface; the paper's box where it is here."""
    ax, arrays = axes_or_new(ax), measured.arrays
    edges = arrays["edges"]
    middle = (edges[1:] + edges[:-1]) / 2
    for name, colour, words in (
        ("whole", CONTROL, "whole surface"),
        ("box", OURS, "box of the smoother basin"),
    ):
        density = arrays[name][np.isfinite(arrays[name]).all(axis=1)]
        if not len(density):
            continue
        mean, spread = density.mean(axis=0), density.std(axis=0)
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
    if "published" in arrays:
        ax.stairs(
            arrays["published"],
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
def surface_spectrum(measured, ax=None):
    """Draw the spectra of multifractal and monofractal surfaces, ours and published, over the prescribed exponents."""
    ax, arrays = axes_or_new(ax), measured.arrays
    ax.axvspan(0.3, 0.7, color=CONTROL, alpha=0.15, linewidth=0)
    for name, prefix, marker, words in (
        ("multi", "", "o", "multifractal"),
        ("mono", "mono_", "s", "monofractal"),
    ):
        h, D = arrays[f"{prefix}h"], arrays[f"{prefix}D"]
        ax.errorbar(
            h.mean(axis=0),
            D.mean(axis=0),
            xerr=h.std(axis=0, ddof=1),
            fmt=f"{marker}-",
            color=OURS,
            elinewidth=0.8,
            label=f"{words}, ours ({len(h)} surfaces)",
        )
        if f"published_{name}_h" in arrays:
            ax.plot(
                arrays[f"published_{name}_h"],
                arrays[f"published_{name}_D"],
                f"{marker}--",
                color=PUBLISHED,
                mfc="none",
                label=f"{words}, published",
            )
    ax.set(xlabel="Hölder exponent h", ylabel="dimension D(h)", ylim=(1.2, 2.05))
    ax.legend(loc="lower center", fontsize=8)
    return ax


@styled
def section_spectra_by_rule(measured, axes=None):
    """Draw the published spectra by epoch beside noise and a monofractal, and those of the published sections."""
    axes, arrays = axes_or_new(axes, 2, 1, figsize=(4.6, 8.4)), measured.arrays
    for name, colour, words in (
        ("noise", CONTROL, "smooth bowl, pixel noise"),
        ("mono", OURS, "exact monofractal, H = .5"),
    ):
        h, D = arrays[f"{name}_h"].mean(axis=0), arrays[f"{name}_D"].mean(axis=0)
        axes[0].plot(h, D, "-", color=colour, label=f"{words} (mean of {len(arrays[f'{name}_h'])})")
    epochs = [name[:-2] for name in arrays if name.startswith("epoch_") and name.endswith("_h")]
    for name, marker in zip(epochs, "osD", strict=False):
        axes[0].plot(
            arrays[f"{name}_h"],
            arrays[f"{name}_D"],
            f"{marker}--",
            color=PUBLISHED,
            mfc="none",
            label=f"published, {name.replace('_', ' ')}",
        )
    sections = [
        name[8:-2] for name in arrays if name.startswith("section_") and name.endswith("_h")
    ]
    for name, marker in zip(sections, "osD^v", strict=False):
        axes[1].plot(
            arrays[f"section_{name}_h"],
            arrays[f"section_{name}_D"],
            f"{marker}-",
            color=PUBLISHED,
            mfc="none",
            linewidth=0.8,
            label=name.replace("_", " "),
        )
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
