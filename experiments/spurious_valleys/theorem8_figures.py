"""Figures of theorem 8: they take numbers, return axes and compute nothing."""

import numpy as np
from matplotlib.colors import LogNorm

from multifractal.figures._style import (
    CONTROL,
    FURTHER,
    OURS,
    PUBLISHED,
    THEORY,
    axes_or_new,
    styled,
)

_COLOURS = (OURS, *FURTHER)


@styled
def planes(starts):
    """Draw each start's run over the contours of its PCA plane, all with the same limits; the end is the origin."""
    axes = axes_or_new(None, 2, 2)
    planes = [start["section"] for start in starts]
    high = max(plane.values["loss"].max() for plane in planes)
    low = max(min(plane.values["loss"].min() for plane in planes), 1e-3 * high)
    levels = np.geomspace(low, high, 20)
    for k, (ax, start) in enumerate(zip(axes.flat, starts, strict=True)):
        plane, path = start["section"], start["path"]
        values = np.maximum(plane.values["loss"].T, low)
        filled = ax.contourf(plane.x, plane.y, values, levels, norm=LogNorm())
        ax.plot(*path.coordinates.T, color=PUBLISHED, marker=".", linewidth=1.2)
        ax.plot(0, 0, "+", color="white", markersize=11, markeredgewidth=2)
        for words, place in (("start", path.coordinates[0]), ("finish", (0, 0))):
            colour = THEORY if words == "start" else "white"
            ax.annotate(words, place, xytext=(6, 4), textcoords="offset points", color=colour)
        ax.set(
            xlabel=plane.labels[0],
            ylabel=plane.labels[1],
            title=f"start {k + 1}: loss {start['losses'][0]:.0f} → {_in_tens(start['losses'][-1])}",
        )
        bar = ax.figure.colorbar(filled, ax=ax, label="loss in the plane", format="%.3g")
        bar.ax.minorticks_off()
    return axes


def _in_tens(value):
    """Return a small number as a formula: 2.0 × 10^-16."""
    digits, _, power = f"{value:.1e}".partition("e")
    return rf"${digits} \times 10^{{{int(power)}}}$"


@styled
def widths(by_width):
    """Draw the loss against epoch at each width, with the levels that it cannot go below."""
    axes = axes_or_new(None, 1, 2, sharey=True)
    for ax, kind, level, name in (
        (axes[0], "both", "rank_bound", "best rank-$p$ map"),
        (axes[1], "output", "least_squares", "least squares"),
    ):
        for colour, (width, run) in zip(_COLOURS, by_width.items(), strict=True):
            ax.semilogy(run[kind], color=colour, label=f"width {width}")
            if run[level] > 1e-6:
                ax.axhline(run[level], color=colour, linestyle="--", linewidth=1)
        ax.plot([], [], color=CONTROL, linestyle="--", label=name)
        ax.set(xlabel="epoch", ylim=(1e-6, 500))
        ax.legend()
    axes[0].set(ylabel="loss", title="both layers trained")
    axes[1].set(title="hidden weights fixed")
    return axes


@styled
def built(paths):
    """Draw the loss along theorem 8's path, above the least there is, for each degree and start."""
    axes = axes_or_new(None, 1, len(paths))
    for ax, (degree, found) in zip(axes, paths.items(), strict=True):
        dashes = iter(("-", "--", ":", "-."))
        for colour, (name, path) in zip(_COLOURS, found["paths"].items(), strict=True):
            t = np.linspace(0, 3, len(path.losses))
            ax.semilogy(
                t,
                np.maximum(path.losses - found["least"], 1e-4),
                color=colour,
                label=name,
                linestyle=next(dashes),
            )
        for end in (1, 2):
            ax.axvline(end, color=THEORY, linewidth=0.6, linestyle=":")
        n_inputs = next(iter(found["paths"].values())).hidden.shape[2]
        dimension = next(iter(found["paths"].values())).dimension
        ax.set(
            title=f"degree {degree}, {n_inputs} inputs, dimension {dimension}", ylim=(1e-2, None)
        )
        ax.set_xticks(
            [0.5, 1.5, 2.5], ["free\nunits", "complete\nthe span", "descend in\nthe output"]
        )
        ax.tick_params(axis="x", length=0)
    axes[0].set_ylabel("loss − least loss")
    axes[0].legend(loc="lower left")
    return axes


@styled
def certified(found):
    """Draw, for each case, the loss along theorem 8's path and along a path between two minima, above the least there is."""
    left, right = axes_or_new(None, 1, 2)
    dashes = ("-", "--", ":", "-.", (0, (1, 1)))
    colours = (*_COLOURS, THEORY)
    for (name, one), colour, dash in zip(found.items(), colours, dashes, strict=True):
        t = np.linspace(0, 3, len(one["path"].losses))
        above = np.maximum(one["path"].losses - one["least"], 1e-6)
        left.semilogy(t, above, color=colour, linestyle=dash, label=name)
        for losses, width in ((one["straight"], 1.2), (one["joined"].losses, 2.5)):
            above = np.maximum(losses - one["least"], 1e-6)
            right.semilogy(
                np.linspace(0, 1, len(losses)), above, color=colour, linestyle=dash, linewidth=width
            )
    left.set(
        ylabel="loss − least loss (at least $10^{-6}$)",
        title="width $D$: from a start",
        ylim=(4e-7, 200),
    )
    left.set_xticks(
        [0.5, 1.5, 2.5], ["free\nunits", "complete\nthe span", "descend in\nthe output"]
    )
    left.tick_params(axis="x", length=0)
    left.legend(loc="lower left")
    right.set(
        xlabel="position along the path",
        title="width $2D$: between two minima",
        ylim=left.get_ylim(),
    )
    right.text(0.5, 1.3e-6, "seven legs: constant", ha="center", va="bottom")
    right.text(0.5, 0.2, "straight lines", ha="center", va="top")
    return np.array([left, right])
