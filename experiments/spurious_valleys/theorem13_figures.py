"""Figures of theorem 13: they take numbers, return axes and compute nothing."""

import numpy as np

from multifractal.figures._style import CONTROL, OURS, PUBLISHED, THEORY, axes_or_new, styled

_COLOURS = (CONTROL, OURS, "#009E73", PUBLISHED)


@styled
def straight(lines):
    """Draw the loss along straight lines from perturbed starts on the sample, their mean, and the exact risk."""
    ax = axes_or_new(None)
    n_samples = len(lines["sampled"])
    ax.plot(lines["t"], lines["sampled"].T, color=CONTROL, linewidth=0.6, alpha=0.7)
    ax.plot([], [], color=CONTROL, label=f"{n_samples} perturbed starts, sample")
    ax.plot(lines["t"], lines["sampled"].mean(axis=0), color=PUBLISHED, label="their mean")
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
    axes[0].axhline(floor + rim, color=THEORY, linestyle="--", linewidth=1)
    axes[1].axhline(rim, color=THEORY, linestyle="--", linewidth=1)
    axes[1].text(-0.4, rim * 0.94, "rim: no path can stay below", va="top", fontsize=8.5)
    axes[0].set(
        xlabel="position along the path", ylabel="exact risk", title="best path of each family"
    )
    axes[0].legend(loc="lower left")
    names = [name.replace(", ", "\n") for name in families]
    axes[1].set(
        yscale="log",
        ylabel="highest risk above 2.25",
        title=f"all {len(risks)} restarts of each family",
        xlim=(-0.5, len(families) - 0.5),
        ylim=(rim / 1.6, None),
    )
    axes[1].yaxis.set_major_formatter("{x:.1f}")
    axes[1].yaxis.set_minor_formatter("{x:.1f}")
    axes[1].set_xticks(range(len(families)), names, fontsize=8)
    widths = np.array(list(numbers["grown"])) - 1
    axes[2].semilogx(widths, list(numbers["grown"].values()), "o-", color=OURS)
    axes[2].set(
        xlabel="width $p$, with $p+1$ inputs",
        ylabel="rim above the valley (smallest found)",
        ylim=(0, None),
        title="data that grow with the width",
    )
    axes[2].set_xticks(widths, [str(w) for w in widths])
    axes[2].minorticks_off()
    return axes
