"""Figures of probes: they take results, return matplotlib axes and compute nothing."""

import numpy as np

from multifractal.figures._saving import save_figure
from multifractal.figures._style import (
    CONTROL,
    FURTHER,
    OURS,
    PUBLISHED,
    THEORY,
    axes_or_new,
    styled,
)

__all__ = ["edge_of_stability", "edge_record", "fractality", "paths", "save_figure", "spectrum"]


@styled
def spectrum(density, eigenpairs=None, *, ax=None):
    """Draw a spectral density on a logarithmic axis, its 95 % band over probes, and eigenvalues as ticks below.

    Parameters
    ----------
    density : SpectralDensity
    eigenpairs : Eigenpairs, optional
        Those of the same operator, say the largest.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    floor = max(0.1 / density.n / density.width, 1e-12)  # a tenth of one eigenvalue
    low, high = np.maximum(density.interval, floor)
    ax.fill_between(
        density.grid, low, high, color=OURS, alpha=0.3, linewidth=0, label="95 % over probes"
    )
    ax.plot(
        density.grid, np.maximum(density.density, floor), color=OURS, linewidth=1.2, label="density"
    )
    ax.set_yscale("log")
    ax.set_ylim(floor, 2 * high.max())
    ax.axvline(0, color=CONTROL, linewidth=0.8, zorder=0)
    if eigenpairs is not None:
        ax.plot(
            eigenpairs.values,
            np.full(len(eigenpairs.values), 1.6 * floor),
            "|",
            color=PUBLISHED,
            markersize=9,
            markeredgewidth=1.5,
            label=f"{len(eigenpairs.values)} eigenvalues by Lanczos",
        )
    ax.set(xlabel="eigenvalue of the Hessian", ylabel="density (per unit of eigenvalue)")
    ax.set_title(
        f"n = {density.n}, {len(density.nodes)} probes of {density.nodes.shape[1]} steps, "
        f"kernel width {density.width:.2g}",
        loc="left",
    )
    ax.legend(loc="upper right")
    return ax


@styled
def edge_of_stability(record, *, ax=None):
    """Draw a descent's loss, and below it its sharpness with errors against 2 / eta.

    Parameters
    ----------
    record : DescentRecord
        With the sharpness measured.
    ax : array of two Axes, optional

    Returns
    -------
    array of two Axes

    Raises
    ------
    ValueError
        When the record holds no sharpness.
    """
    if len(record.sharpness) == 0:
        raise ValueError(
            "record must hold the sharpness, got none; pass sharpness_every to full_batch_descent"
        )
    above, below = ax = axes_or_new(ax, 2, 1, figsize=(4.6, 4.8), sharex=True)
    above.semilogy(record.losses, color=OURS)
    above.set(ylabel="loss")
    above.set_title(f"full-batch descent, η = {record.learning_rate:g}", loc="left")
    below.errorbar(
        record.sharpness_steps,
        record.sharpness,
        record.sharpness_errors,
        color=OURS,
        marker="o",
        markersize=3,
        label="largest eigenvalue",
    )
    below.axhline(record.edge, color=THEORY, linestyle="--", label=f"2/η = {record.edge:.3g}")
    below.set(xlabel="step", ylabel="sharpness")
    below.set_ylim(bottom=0)
    below.legend(loc="lower right")
    return ax


@styled
def paths(measured, *, ax=None):
    """Draw the loss along paths between the same two networks, each one's highest point marked, its barrier in the legend.

    Parameters
    ----------
    measured : NetworkPath or sequence of NetworkPath
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    measured = [measured] if hasattr(measured, "losses") else list(measured)
    looks = [(PUBLISHED, "--"), (OURS, "-"), (THEORY, "-."), (CONTROL, ":")]
    for path, (colour, dashes) in zip(measured, looks * (1 + len(measured) // 4), strict=False):
        top = int(np.argmax(path.losses))
        ax.plot(
            path.t,
            path.losses,
            color=colour,
            linestyle=dashes,
            label=f"{path.kind}, barrier {path.barrier_height:.2g}",
        )
        ax.plot(path.t[top], path.losses[top], "o", color=colour, markersize=5)
    first = measured[0]
    if first.barrier_height > 0:
        top, ends = int(np.argmax(first.losses)), max(first.losses[0], first.losses[-1])
        ax.hlines(ends, 0, 1, color=CONTROL, linewidth=0.8, zorder=0)
        ax.annotate(
            "",
            (first.t[top], first.losses[top]),
            (first.t[top], ends),
            arrowprops={"arrowstyle": "<->", "color": CONTROL, "shrinkA": 0, "shrinkB": 0},
        )
    ax.set(xlabel="t along the path", ylabel="loss")
    ax.set_ylim(top=ax.get_ylim()[0] + 1.4 * np.ptp(ax.get_ylim()))  # room for the legend
    ax.set_title(
        f"{len(measured[0].t)} points, distance of the ends {measured[0].norm:.3g}", loc="left"
    )
    ax.legend(loc="upper center")
    return ax


@styled
def fractality(report, *, ax=None):
    """Draw a `FractalReport`: three planes (or the lines of smooth ones), and below exponents by distance, spectra, differences.

    Parameters
    ----------
    report : FractalReport
    ax : 2 x 3 array of Axes, optional

    Returns
    -------
    array of 2 x 3 Axes
    """
    axes = axes_or_new(ax, 2, 3, figsize=(10.4, 6.2))
    looks = list(zip((THEORY, OURS, PUBLISHED), "osD", strict=True))
    for k, width in enumerate(report.half_widths):
        if np.isnan(report.losses[k]).all():
            _lines_of_zoom(axes[0, k], report.lines[k], width)
        else:
            _plane_of_zoom(axes[0, k], report.losses[k], width, k)
        axes[0, k].set_title(
            "\n".join([f"± {width:g}", *report.verdicts[k].split("; ")]), fontsize=9
        )
        axes[0, k].locator_params(nbins=5)
        (colour, marker), reach = looks[k], report.distances[k]
        between = np.sqrt(reach[1:] * reach[:-1])
        bars = np.abs(report.exponents_interval[:, k] - report.exponents[k])
        axes[1, 0].errorbar(
            between, report.exponents[k], bars, fmt=f"{marker}-", color=colour, label=f"± {width:g}"
        )
        axes[1, 1].plot(
            report.h[k],
            report.D[k],
            f"{marker}-",
            color=colour,
            ms=4,
            label=f"± {width:g}" + ("" if report.valid[k] else " (not defined)"),
        )
        axes[1, 2].loglog(reach, report.first[k], f"{marker}-", color=colour, ms=4)
        axes[1, 2].loglog(reach, report.second[k], f"{marker}--", color=colour, mfc="none", ms=4)
    for exponent, words in (
        (2, "twice differentiable"),
        (1.5, "gradient jumps"),
        (1, "rough below"),
        (0, "white noise"),
    ):
        axes[1, 0].axhline(exponent, color=CONTROL, linewidth=0.8, zorder=0)
        axes[1, 0].annotate(
            words,
            (0, exponent),
            xycoords=("axes fraction", "data"),
            fontsize=7,
            xytext=(3, 2),
            textcoords="offset points",
            color="#555555",
        )
    axes[1, 0].set(
        xscale="log",
        xlabel="distance (filter norms)",
        ylabel="exponent of second differences",
        ylim=(-0.2, 2.35),
        title="how the loss bends with distance, 95 % bars",
    )
    axes[1, 1].set(
        xlabel="Hölder exponent h",
        ylabel="dimension D(h)",
        ylim=(0, 2.1),
        title="spectra (two scales only)",
    )
    axes[1, 2].set(
        xlabel="distance (filter norms)",
        ylabel="mean square",
        title="first (full), second (dashed) differences",
    )
    axes[1, 1].legend(loc="lower center")
    return axes


def _plane_of_zoom(ax, losses, width, k):
    image = ax.imshow(losses, origin="lower", extent=2 * [-width, width], rasterized=True)
    ax.set(
        xlabel="random direction 1 (filter norms)",
        ylabel="random direction 2 (filter norms)" if k == 0 else "",
    )
    ax.figure.colorbar(image, ax=ax, label="loss" if k == 2 else None, shrink=0.85)


def _lines_of_zoom(ax, lines, width):
    """Draw losses along the lines of a zoom whose plane was not mapped."""
    ax.plot(np.linspace(-width, width, lines.shape[1]), lines.T, color=OURS, lw=0.8, alpha=0.7)
    ax.set(xlabel=f"distance along {len(lines)} lines (filter norms)", ylabel="loss")


_WORDS = {
    "critical_sharpness": ("critical sharpness", OURS, "-"),
    "batch_sharpness": ("batch sharpness", FURTHER[2], "o"),
    "directional_sharpness": ("directional sharpness", FURTHER[0], "s"),
    "largest_eigenvalue": ("largest eigenvalue", FURTHER[1], "^"),
    "preconditioned_sharpness": ("preconditioned sharpness", FURTHER[1], "v"),
}


@styled
def edge_record(record, *, ax=None):
    """Draw a watched run: its loss, and below it each indicator over its own bound, where 1 is the edge.

    Parameters
    ----------
    record : EdgeRecord
    ax : array of two Axes, optional

    Returns
    -------
    array of two Axes
    """
    above, below = ax = axes_or_new(ax, 2, 1, figsize=(4.8, 5.2), sharex=True)
    above.plot(record.steps, record["loss"], color=OURS, linewidth=1)
    above.set(ylabel="loss of the batch", yscale="log" if (record["loss"] > 0).all() else "linear")
    above.set_title(f"{record.optimizer}, {record.n_parameters:,} parameters", loc="left")
    for name, (words, colour, mark) in _WORDS.items():
        ratio = record[name] / record.bound(name)
        if not np.isfinite(ratio).any():
            continue
        error = record.columns.get(f"{name}_error", np.zeros(len(ratio)))
        error = error / record.bound(name)
        if mark == "-":
            below.fill_between(
                record.steps, ratio - error, ratio + error, color=colour, alpha=0.3, linewidth=0
            )
            below.plot(record.steps, ratio, color=colour, linewidth=1, label=words)
        else:
            there = np.isfinite(ratio)
            below.errorbar(
                record.steps[there],
                ratio[there],
                np.nan_to_num(error[there]),
                color=colour,
                marker=mark,
                markersize=3,
                linewidth=0.8,
                label=words,
            )
    below.axhline(1, color=THEORY, linestyle="--", linewidth=0.8, label="the edge: 1")
    below.set(xlabel="step", ylabel="indicator / its bound", yscale="log")
    below.legend(loc="best", fontsize="small")
    return ax
