"""Figures of theorem 16: they take numbers, return axes and compute nothing."""

import numpy as np

from multifractal.figures._style import CONTROL, FURTHER, OURS, THEORY, axes_or_new, styled

_SIZE_COLOURS = (FURTHER[2], OURS, "#004166")  # from fewest to most samples


@styled
def errors(numbers, all_errors):
    """Draw the error against width, each trial and the median, with 1/p; right, the slope per octave with its interval."""
    left, right = axes_or_new(None, 1, 2)
    widths = np.array(numbers["widths"])
    left.loglog(widths, all_errors[..., 0].T, color=CONTROL, linewidth=0.4, alpha=0.5)
    left.plot([], [], color=CONTROL, linewidth=0.8, label=f"each of {len(all_errors)} trials")
    left.loglog(widths, numbers["median_rough"], color=OURS, linewidth=2.2, label="median")
    left.loglog(
        widths,
        numbers["median_rough"][2] * widths[2] / widths,
        color=THEORY,
        linestyle="--",
        label=r"$1/p$",
    )
    left.set(
        xlabel="width $p$ (units)",
        ylabel="test error / variance of the teacher",
        title=f"8,000 samples, {len(all_errors)} trials",
    )
    left.legend()
    found = numbers["rough"]
    middles = [np.sqrt(narrow * wide) for narrow, wide in found["octaves"]]
    around = [found["slopes"] - found["low"], found["high"] - found["slopes"]]
    right.errorbar(
        middles,
        found["slopes"],
        around,
        fmt="o",
        color=OURS,
        capsize=3,
        label="median, 95 % interval",
    )
    right.axhline(-1, color=THEORY, linestyle="--", label=r"$1/p$")
    right.set(
        xscale="log",
        xlabel="width $p$ (units)",
        ylabel="slope per octave of width",
        title="slope of the median",
    )
    right.legend(loc="upper left")
    for ax in (left, right):
        _octave_ticks(ax, widths)
    return np.array([left, right])


@styled
def causes(numbers):
    """Draw the median error for three sample sizes, rough teachers left and a smooth one right, with bound and floor."""
    axes = axes_or_new(None, 1, 2)
    widths = np.array(numbers["widths"])
    for k, (ax, kind) in enumerate(zip(axes, ("rough", "smooth"), strict=True)):
        for size, colour, rows in zip(
            numbers["sample_sizes"], _SIZE_COLOURS, numbers["median_by_size"], strict=True
        ):
            ax.loglog(widths, rows[:, k], color=colour, marker="o", label=f"{size:,} samples")
        bound = numbers[f"norm_{kind}"] ** 2 * numbers["feature_mean_square"] / widths
        ax.loglog(
            widths,
            bound,
            color=THEORY,
            linestyle="--",
            label=r"bound $\Vert f\Vert^2\,\mathrm{E}\,\sigma^2/p$",
        )
        ax.set(
            xlabel="width $p$ (units)", title=f"{kind} teacher, norm {numbers[f'norm_{kind}']:.3g}"
        )
    axes[0].loglog(
        widths,
        numbers["kernel_tail"],
        color=THEORY,
        linestyle=":",
        linewidth=2,
        label="floor: tail of the kernel's spectrum",
    )
    axes[0].set_ylabel("test error / variance of the teacher")
    axes[0].set_ylim(bottom=1e-6)
    axes[0].legend(loc="lower left")
    for ax in axes:
        _octave_ticks(ax, widths)
    return axes


@styled
def octaves(numbers, all_errors):
    """Draw the published view: powers of two only, each trial grey, the median, and the line 1/p from its first point."""
    ax = axes_or_new(None)
    widths, shown = np.array(numbers["widths"])[::2], all_errors[:, ::2, 0]
    ax.loglog(widths, shown.T, color=CONTROL, linewidth=0.4, alpha=0.5)
    ax.plot([], [], color=CONTROL, linewidth=0.8, label=f"each of {len(shown)} trials")
    median = np.median(shown, axis=0)
    ax.loglog(widths, median, "o-", color=OURS, label="median")
    ax.loglog(widths, median[0] * widths[0] / widths, "--", color=THEORY, label="$1/p$")
    ax.set(
        xlabel="width $p$ (units)",
        ylabel="test error / variance of the teacher",
        title=f"{len(widths)} widths, {len(shown)} trials",
    )
    ax.set_xticks(widths, [str(w) for w in widths])
    ax.minorticks_off()
    ax.legend()
    return ax


@styled
def trapped(ends):
    """Draw the shares of descents that end in or above theorem 13's valley by width, and of starts in its cone."""
    left, right = axes_or_new(None, 1, 2)
    for kind, key, colour, label in (
        ("given", "above_floor", OURS, "4 inputs, at or above the floor"),
        ("grown", "trapped", FURTHER[0], "$p+1$ inputs, trapped for good"),
    ):
        widths = np.array(list(ends[kind]))
        share, low, high = np.array([found[key] for found in ends[kind].values()]).T
        left.errorbar(
            widths,
            share,
            [share - low, high - share],
            fmt="o-",
            color=colour,
            capsize=3,
            label=label,
        )
    widths = np.arange(1, 13)
    left.plot(
        widths, 0.5**widths, "--", color=THEORY, label="$2^{-p}$: all output weights positive"
    )
    left.plot(widths, 0.75**widths, ":", color=THEORY, label="$(3/4)^p$: no unit fit for $-x_n$")
    left.set(
        yscale="log", xlabel="width $p$", ylabel="share of runs (95 % intervals)", ylim=(1e-3, 1.2)
    )
    left.legend(loc="lower left", fontsize=8)
    given = ends["given"]
    for key, colour, label in (
        ("median_end", OURS, "both layers trained"),
        ("median_output_only", FURTHER[0], "output layer alone"),
    ):
        right.semilogy(
            list(given), [f[key] for f in given.values()], "o-", color=colour, label=label
        )
    right.axhline(2.25, color=THEORY, linestyle="--", linewidth=1, label="the valley's bottom")
    right.set(xlabel="width $p$", ylabel="median risk at the end", title="4 inputs")
    right.legend()
    return np.array([left, right])


def _octave_ticks(ax, widths):
    ax.set_xticks(widths[::2], [str(w) for w in widths[::2]], rotation=45)
    ax.minorticks_off()
