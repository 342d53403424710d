"""Figures of real landscapes and real training beside the model: walks on a section, and chaos and displacement by rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from multifractal.base.types import Array
from multifractal.figures._style import (
    CONTROL,
    ESTIMATOR,
    FURTHER,
    OURS,
    PUBLISHED,
    THEORY,
    axes_or_new,
    in_words,
    number,
    styled,
)
from multifractal.measured.descent_table import SHORT, over_runs

if TYPE_CHECKING:
    from multifractal.figures._style import ManyAxes
    from multifractal.measured.real_dynamics import RealDynamics, SectionWalks


_COLOURS = (OURS, *FURTHER, ESTIMATOR, PUBLISHED)  # of walkers and of networks: no roles among them
_FLOOR = 1e-5  # exponents smaller than this are drawn in the linear middle of the axis


@styled
def section_beside_model(
    walks: SectionWalks, paths: Sequence[Array], *, section: int = 0, ax: ManyAxes | None = None
) -> Array:
    """Draw a measured section and the model surface of its local exponents, and what walkers do on both.

    Parameters
    ----------
    walks : SectionWalks
    paths : pair of ndarray, shape (walkers, positions, 2)
        Walks on the section and on the model, from the same starts at the same step length.
    section : int
        Which one; one of those with a picture.
    ax : array of 4 Axes, optional
        Section, model, Lyapunov exponent and diffusion exponent by step length.

    Returns
    -------
    array of 4 Axes
    """
    axes = np.ravel(axes_or_new(ax, 2, 2))
    name, n = in_words(walks.names[section]), len(walks.names)
    for panel, values, tracks, title in zip(
        axes,
        (walks.sections[section], walks.models[section]),
        paths,
        (name, "model, same local exponents"),
        strict=False,
    ):
        drawn = panel.imshow(values, cmap="Greys_r", origin="lower")
        for track, colour in zip(tracks, _COLOURS, strict=False):
            panel.plot(*track.T, color=colour, lw=0.8)
            panel.plot(*track[0], "^", color=colour, mec=THEORY, mew=0.6, ms=5)
            panel.plot(*track[-1], "s", color=colour, mec=THEORY, mew=0.6, ms=4.5)
        panel.set(title=title, xlabel="x (pixels)", ylabel="y (pixels)")
        panel.figure.colorbar(drawn, ax=panel, label="loss", shrink=0.8)
    short = walks.table.diffusion(0, SHORT)
    for system, colour, marker, label in (
        (section, OURS, "o", "section"),
        (n + section, CONTROL, "s", "model"),
    ):
        _error_bars(
            axes[2], walks.step_lengths, walks.table.exponents[system], colour, marker, label
        )
        _error_bars(axes[3], walks.step_lengths, short[system], colour, marker, label)
    runs = walks.table.stretch.shape[2]
    for marker, words in (("^", "start"), ("s", "finish")):
        axes[0].plot([], [], marker, color="white", mec=THEORY, ms=5, label=words)
    axes[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    axes[2].axhline(0, color=THEORY, lw=0.6, ls="--", label="edge of chaos")
    axes[3].axhline(1, color=THEORY, lw=0.6, ls="--", label="diffusion")
    axes[3].set_ylim(-1, 2.3)  # an interval of a walk nearly at rest may reach far beyond
    axes[2].set(
        ylabel="Lyapunov exponent (per step)",
        title=f"chaos, {runs} runs of 8 walkers, mean and 95 %",
    )
    axes[3].set(
        ylabel="diffusion exponent",
        title=f"displacement at lags {SHORT[0]} to {SHORT[1]}, from the start",
    )
    for panel in axes[2:]:
        panel.set(xscale="log", xlabel="learning rate × rms gradient (pixels)")
        panel.legend()
    return axes


@styled
def training_beside_model(
    found: RealDynamics,
    *,
    curves: Sequence[tuple[str, int]] = (("dropout 0", 2), ("dropout 0.75", 2)),
    surface_rate: float = 300.0,
    ax: ManyAxes | None = None,
) -> Array:
    """Draw real training and walks on the paper's surface: displacement by waiting time, and Lyapunov exponent by rate.

    Parameters
    ----------
    found : RealDynamics
    curves : pairs of (str, int)
        Which trainings' displacement is drawn: the end of a system's name (the first that ends so), and which of its rates.
    surface_rate : float
        Learning rate on the surface whose displacement is drawn.
    ax : array of 4 Axes, optional
        Displacement of the trainings and of the surface, then exponents of both.

    Returns
    -------
    array of 4 Axes
    """
    axes = np.ravel(axes_or_new(ax, 2, 2))
    for (ending, rate), style in zip(curves, ("-", "--"), strict=False):
        k = next(i for i, name in enumerate(found.training.systems) if name.endswith(ending))
        _displacement(axes[0], found.training, k, rate, style, ending)
    system = found.training.systems[k].rpartition(",")[0]
    axes[0].set(
        title=f"training: {system}, rate {found.training.learning_rates[k, rate]:g}",
        ylabel="TAMSD (squared parameter units)",
        xlabel="even lag (epochs)",
    )
    at = int(np.argmin(np.abs(found.surface.learning_rates[0] - surface_rate)))
    _displacement(axes[1], found.surface, 0, at, "-", "")
    axes[1].set(
        title=f"model: the paper's surface, rate {number(found.surface.learning_rates[0, at])}",
        ylabel="TAMSD (pixels²)",
        xlabel="even lag (steps)",
    )
    for k, (name, colour) in enumerate(zip(found.training.systems, _COLOURS, strict=False)):
        _by_edge(axes[2], found.training, k, colour, "osv^D<"[k], name)
    _by_edge(axes[3], found.surface, 0, THEORY, "o", "paper's surface")
    n = found.training.stretch.shape[2]
    axes[2].set_title(f"training, second half, {n} seeds, mean and 95 %")
    axes[3].set_title(
        f"model, second half, {found.surface.stretch.shape[2]} surfaces, mean and 95 %"
    )
    for panel in axes[2:]:
        panel.axhline(0, color=THEORY, lw=0.6)
        panel.axvline(1, color=CONTROL, ls="--", lw=1, label="edge of stability at the start")
        panel.set(
            xscale="log",
            xlabel="learning rate × sharpness at the start / 2",
            ylabel="Lyapunov exponent (per step)",
        )
        _mark_linear_part(panel, _FLOOR if panel is axes[2] else 1e-2)
    axes[2].set(ylim=(-0.1, 10), yticks=[-1e-2, -1e-4, 0, 1e-4, 1e-2, 1])
    for panel in axes[2:]:
        panel.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)
    return axes


def _mark_linear_part(panel, threshold):
    """Draw the exponents' axis logarithmic on both sides of 0, and grey where it is linear."""
    panel.set_yscale("symlog", linthresh=threshold)
    told = rf"linear between $\pm10^{{{np.log10(threshold):.0f}}}$"
    panel.axhspan(-threshold, threshold, color=CONTROL, alpha=0.15, lw=0, label=told, zorder=0)


def _error_bars(panel, x, samples, colour, marker, label):
    found = over_runs(samples)
    panel.errorbar(
        x,
        found.value,
        found.bars,
        color=colour,
        marker=marker,
        ms=3,
        lw=0.8,
        elinewidth=0.8,
        label=label,
    )


def _by_edge(panel, table, k, colour, marker, label):
    _error_bars(panel, table.mean_edge_at_start[k], table.exponents[k], colour, marker, label)


def _displacement(panel, table, k, rate, style, label):
    """Draw the mean over runs at even lags, one curve a waiting time, late ones paler."""
    lags = table.lag_times[k]
    even = lags % 2 == 0
    for w, waiting in enumerate(table.waiting_times[k]):
        panel.plot(
            lags[even],
            table.mean_tamsd[k, rate, w, even],
            style,
            lw=1.1,
            color=plt.get_cmap("cividis")(0.42 * w),
            label=f"{label}{', ' if label else ''}waiting {waiting:,}",
        )
    panel.set(xscale="log", yscale="log")
    panel.legend(fontsize=7)
