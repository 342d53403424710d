"""Figures of theorem 13: they take numbers, return axes and compute nothing."""

import numpy as np
from matplotlib.ticker import NullLocator

from multifractal.figures._style import CONTROL, FURTHER, OURS, THEORY, axes_or_new, styled

_COLOURS = (CONTROL, OURS, *FURTHER[:2])


@styled
def straight(lines):
    """Draw the loss along straight lines from perturbed starts on the sample, their mean, and the exact risk."""
    ax = axes_or_new(None)
    n_samples = len(lines["sampled"])
    ax.plot(lines["t"], lines["sampled"].T, color=CONTROL, linewidth=0.6, alpha=0.7)
    ax.plot([], [], color=CONTROL, label=f"{n_samples} perturbed starts, sample")
    mean = lines["sampled"].mean(axis=0)
    ax.plot(lines["t"], mean, color=FURTHER[1], label="their mean")
    top = mean.argmax()
    ax.plot(
        lines["t"][top],
        mean[top],
        "o",
        color=FURTHER[1],
        label=f"its maximum: {mean[top]:.2f} at $t$ = {lines['t'][top]:.2f}",
    )
    ax.plot(
        lines["t"],
        lines["from_bad_point_sampled"],
        color=OURS,
        linewidth=2.2,
        label="from the bad point, sample",
    )
    ax.plot(
        lines["t"],
        lines["from_bad_point"],
        color=THEORY,
        linestyle="--",
        label="from the bad point, exact",
    )
    ax.set(
        xlabel="position $t$ along the line",
        ylabel="mean squared error",
        title="from the bad point ($t=0$) to the other ($t=1$)",
    )
    ax.legend(loc="lower left")
    return ax


@styled
def barriers(numbers, families):
    """Draw the best path of each family, all barriers by family, and the barrier when data grow with the width."""
    axes = axes_or_new(None, 1, 3)
    rim, floor = numbers["rims"][0], numbers["risk_bad_point"]
    for k, (colour, (name, risks)) in enumerate(zip(_COLOURS, families.items(), strict=True)):
        best = risks[risks.max(axis=1).argmin()]
        axes[0].plot(np.linspace(0, 1, len(best)), best, color=colour, label=name)
        spread = np.linspace(-0.18, 0.18, len(risks))
        axes[1].plot(k + spread, risks.max(axis=1) - floor, "o", color=colour, alpha=0.7)
    axes[0].axhline(floor + rim, color=THEORY, ls="--", lw=1, label="valley's bottom + rim found")
    axes[1].axhline(rim, color=THEORY, linestyle="--", linewidth=1)
    axes[1].axhline(numbers["rim_bound"], color=THEORY, linestyle=":", linewidth=1)
    axes[1].text(-0.4, rim * 1.05, "rim found", va="bottom", fontsize=8.5)
    axes[1].text(
        -0.4, numbers["rim_bound"] * 0.95, "no path stays below: proved", va="top", fontsize=8.5
    )
    axes[0].set(
        xlabel="position along the path", ylabel="exact risk", title="best path of each family"
    )
    axes[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)
    names = [name.replace(", ", "\n") for name in families]
    axes[1].set(
        yscale="log",
        ylabel=f"highest risk above {floor:g}",
        title=f"all {len(risks)} restarts of each family",
        xlim=(-0.5, len(families) - 0.5),
        ylim=(numbers["rim_bound"] / 1.6, None),
    )
    axes[1].set_yticks([0.2, 0.5, 1.0, 2.0], ["0.2", "0.5", "1.0", "2.0"])
    axes[1].yaxis.set_minor_formatter("")
    axes[1].set_xticks(range(len(families)), names, fontsize=8)
    _rims(axes[2], numbers)
    return axes


def _rims(ax, numbers):
    """Draw the rims found and the bounds proved, by width: data that grow with it, and data in R^3."""
    grown = np.array(list(numbers["grown"])) - 1
    ax.loglog(grown, list(numbers["grown"].values()), "o-", color=OURS, label="$p+1$ inputs")
    ax.axhline(numbers["orthonormal_bound"], color=OURS, linestyle=":")
    plane = np.array(list(numbers["in_plane"]))
    found, proved = np.array(list(numbers["in_plane"].values())).T
    ax.loglog(plane, found, "s-", color=FURTHER[1], label="3 inputs, $p$ directions")
    ax.loglog(plane, proved, ":", color=FURTHER[1])
    ax.plot([], [], ":", color=THEORY, label="proved lower bound")
    ax.set(
        xlabel="width $p$",
        ylabel="rim above the valley",
        title=r"any width, $\alpha$ = 2",
        ylim=(5e-5, 1),
    )
    ticks = sorted({*grown, *plane})
    ax.set_xticks(ticks, [str(w) if w not in (3, 6) else "" for w in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.legend(loc="lower left")
