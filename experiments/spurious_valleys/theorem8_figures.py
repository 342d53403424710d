"""Figures of theorem 8: they take numbers, return axes and compute nothing."""

import numpy as np
from matplotlib.colors import LogNorm

from multifractal.figures._style import CONTROL, OURS, PUBLISHED, THEORY, axes_or_new, styled

_COLOURS = (OURS, PUBLISHED, "#009E73", "#CC79A7")


@styled
def planes(panels):
    """Draw each run over the contours of its PCA plane, one panel a start; the end of the run is the origin."""
    axes = axes_or_new(None, 2, 2)
    for k, (ax, panel) in enumerate(zip(axes.flat, panels, strict=True)):
        plane, path = panel["section"], panel["path"]
        values = plane.values["loss"].T
        levels = np.geomspace(max(values.min(), 1e-3 * values.max()), values.max(), 20)
        filled = ax.contourf(
            plane.x, plane.y, np.maximum(values, levels[0]), levels, norm=LogNorm()
        )
        ax.plot(*path.coordinates.T, color=PUBLISHED, marker=".", linewidth=1.2)
        ax.plot(0, 0, "+", color="white", markersize=11, markeredgewidth=2)
        ax.annotate(
            "start", path.coordinates[0], textcoords="offset points", xytext=(6, 4), color=THEORY
        )
        ax.set(
            xlabel=plane.labels[0],
            ylabel=plane.labels[1],
            title=f"start {k + 1}: loss {panel['losses'][0]:.0f} → {panel['losses'][-1]:.1e}",
        )
        bar = ax.figure.colorbar(filled, ax=ax, label="loss in the plane", format="%.3g")
        bar.ax.minorticks_off()
    return axes


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
