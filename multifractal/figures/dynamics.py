"""Dynamics: loss by step, sharpness where walkers settle, Lyapunov exponents by rate and by trial."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from multifractal.base.types import Array, ArrayLike
from multifractal.figures._style import (
    CONTROL,
    ESTIMATOR,
    FURTHER,
    OURS,
    PUBLISHED,
    THEORY,
    axes_or_new,
    number,
    rate_colour,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from multifractal.figures._style import ManyAxes
    from multifractal.walkers.descent import Ensemble
    from multifractal.walkers.stability import EdgeOfStability, LyapunovExponents


_RATE = "learning rate (pixels² per unit of loss)"
_SHOWN_STEPS = 60  # of a loss by step, evenly spaced in the logarithm: all of them are a band
_KINDS = {
    "hessian": "largest Hessian eigenvalue",
    "map": "largest eigenvalue of the map's Jacobian",
    "published": "largest |Hessian eigenvalue|",
}


@styled
def loss_by_step(ensemble: Ensemble, *, ax: Axes | None = None) -> Axes:
    """Draw the loss against the step, one curve a learning rate: the mean over starts.

    Parameters
    ----------
    ensemble : Ensemble
        A handful of rates; every position kept.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    last = ensemble.steps[-1]
    wanted = np.geomspace(1, last, _SHOWN_STEPS)
    shown = np.unique(np.searchsorted(ensemble.steps, wanted.round()))
    markers = itertools.cycle("os^Dv")
    for rate, losses in zip(ensemble.learning_rates, ensemble.mean_losses, strict=True):
        colour = rate_colour(rate)
        ax.plot(ensemble.steps[1:], losses[1:], lw=0.4, color=colour, alpha=0.25, rasterized=True)
        look = {"lw": 1.4, "marker": next(markers), "ms": 3.5, "markevery": 6}
        ax.plot(ensemble.steps[shown], losses[shown], color=colour, label=number(rate), **look)
    n_starts = ensemble.losses.shape[1]
    over = "one walk a rate" if n_starts == 1 else f"mean of {n_starts} walks a rate"
    ax.set(
        xscale="log",
        xlabel="step",
        ylabel="loss",
        title=f"{over}; bold at {len(shown)} steps, pale at all",
    )
    ax.legend(
        title=_RATE, title_fontsize=8.5, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.17)
    )
    return ax


@styled
def sharpness_by_rate(
    *results: EdgeOfStability,
    names: Sequence[str] | None = None,
    published: EdgeOfStability | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the sharpness where walkers settle against the learning rate, with 2/rate and the range where they agree.

    Parameters
    ----------
    *results : EdgeOfStability
        One or more kinds of sharpness, or sets of starts; the shaded range is the first one's.
    names : sequence of str, optional
        Of the results, for the key. Default: the kinds of sharpness.
    published : EdgeOfStability, optional
        Made from the paper's `eos.mat`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax, figsize=(5.0, 5.2))
    first = results[0]
    lowest, highest = first.range
    if lowest == lowest:
        ax.axvspan(
            lowest,
            highest,
            color=OURS,
            alpha=0.12,
            lw=1,
            label=f"2 / rate within the first one's 95 %: {lowest:.3g} to {highest:.3g}",
        )
    ax.plot(
        first.learning_rates,
        2 / first.learning_rates,
        color=THEORY,
        ls="--",
        lw=1,
        label="2 / rate",
    )
    styles = [
        *zip(
            results,
            (OURS, *FURTHER),
            "o^vD",
            names or [_KINDS[result.kind] for result in results],
            strict=False,
        )
    ]
    if published is not None:
        styles.append((published, PUBLISHED, "s", "published file"))
    for result, colour, marker, label in styles:
        centre, (low, high) = 10**result.mean_log10, 10**result.interval
        ax.errorbar(
            result.learning_rates,
            centre,
            [centre - low, high - centre],
            color=colour,
            marker=marker,
            ms=3,
            lw=0,
            elinewidth=0.8,
            label=label,
        )
    n_walks, last = first.sharpness.shape[1:]
    ax.set(
        xscale="log",
        yscale="log",
        xlabel=_RATE,
        ylabel="sharpness (loss per pixel²)",
        title=f"last {last} of {first.n_steps + 1:,} positions, {n_walks} walks a rate, mean and 95 %",
        ylim=(1e-3, 3),
    )
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13))
    return ax


@styled
def lyapunov_by_rate(
    exact: LyapunovExponents,
    estimate: LyapunovExponents | None = None,
    *,
    published: Mapping[str, Array] | None = None,
    ceiling: float | None = None,
    edge: EdgeOfStability | None = None,
    ax: ManyAxes | None = None,
) -> Array:
    """Draw Lyapunov exponents against the learning rate, and beside them the share of walks that are chaotic.

    Parameters
    ----------
    exact : LyapunovExponents
        By the tangent map.
    estimate : LyapunovExponents, optional
        By the published estimator, from the same starts.
    published : dict of arrays, optional
        `lrs`, `mle_mean` (n_rates,) and `mle_95` (n_rates, 2) of the paper's `chaos.mat`.
    ceiling : float, optional
        Where the published estimator saturates.
    edge : EdgeOfStability, optional
        Its range is shaded.
    ax : array of 2 Axes, optional

    Returns
    -------
    array of 2 Axes
    """
    axes = axes_or_new(ax, 1, 2, figsize=(10.0, 4.4))
    rates = exact.learning_rates
    for k, (name, style) in enumerate((("largest", "-"), ("second", ":"))):
        low, high = exact.interval[..., k]
        axes[0].plot(
            rates, exact.mean[:, k], color=OURS, ls=style, label=f"exact, {name}, mean and 95 %"
        )
        axes[0].fill_between(rates, low, high, color=OURS, alpha=0.25, lw=0)
    axes[0].plot(
        rates, exact.median[:, 0], color=FURTHER[2], ls="--", label="exact, largest, median"
    )
    if estimate is not None:
        axes[0].errorbar(
            rates,
            estimate.mean[:, 0],
            np.abs(estimate.interval[..., 0] - estimate.mean[:, 0]),
            color=ESTIMATOR,
            marker="o",
            ms=3,
            lw=1,
            label="published estimator, our walks",
        )
        axes[1].plot(
            rates,
            estimate.share_positive,
            color=ESTIMATOR,
            marker="o",
            ms=3,
            lw=1,
            label="published estimator, our walks",
        )
    if published is not None:
        mean, bounds = published["mle_mean"].ravel(), published["mle_95"]
        axes[0].errorbar(
            published["lrs"].ravel(),
            mean,
            np.abs(bounds.T - mean),
            color=PUBLISHED,
            marker="s",
            ms=3,
            ls="",
            label="published file",
        )
    if ceiling is not None:
        axes[0].axhline(
            ceiling,
            color=CONTROL,
            ls="-.",
            lw=1,
            label=f"ceiling of the published estimator, {ceiling:.2f}",
        )
    axes[1].plot(rates, exact.share_positive, color=OURS, label="exact")
    for each in axes:
        each.axhline(0, color=THEORY, lw=0.6)
        if edge is not None and edge.range[0] == edge.range[0]:
            each.axvspan(*edge.range, color=CONTROL, alpha=0.2, lw=1, label="edge of stability")
        each.set(xscale="log", xlabel=_RATE)
        each.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)
    walks, steps = exact.exponents.shape[1], f"steps {exact.burn_in:,} to {exact.n_steps:,}"
    axes[0].set(ylabel="Lyapunov exponent (per step)", title=f"{walks} walks a rate, {steps}")
    axes[1].set(
        ylabel="share of walks",
        title="walks with a positive largest exponent",
        ylim=(-0.05, 1.05),
        yticks=np.linspace(0, 1, 6),
    )
    return axes


@styled
def lyapunov_by_trial(
    *results: LyapunovExponents,
    rate_index: int = 0,
    published: tuple[float, float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the running estimate of the largest exponent against the number of trials, with its 95 % interval.

    Parameters
    ----------
    *results : LyapunovExponents
        The exact exponents first, then perhaps the published estimator.
    rate_index : int
        Which of their learning rates.
    published : (float, float, float), optional
        The paper's number with the ends of its interval, drawn beside our last.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    names = {
        "tangent": ("exact tangent map", OURS),
        "two_trajectories": ("published estimator", ESTIMATOR),
    }
    for result in results:
        found = result.running(rate_index)
        trials = np.arange(1, np.size(found.value) + 1)
        name, colour = names[result.method]
        ends = f"[{number(found.low[-1], '.3f')}, {number(found.high[-1], '.3f')}]"
        told = f"{name}: {number(found.value[-1], '.3f')} {ends}"
        ax.plot(trials, found.value, color=colour, label=told)
        ax.fill_between(trials, found.low, found.high, color=colour, alpha=0.25, lw=0)
        ax.plot(trials, result.exponents[rate_index, :, 0], ".", color=colour, ms=2.5, alpha=0.6)
    ax.set(
        xlabel="trials",
        ylabel="largest Lyapunov exponent (per step)",
        title=f"running mean and 95 %, learning rate {number(results[0].learning_rates[rate_index])}",
    )
    if published is not None:
        value, low, high = published
        told = f"the paper: {value:.3f} [{low:.3f}, {high:.3f}]"
        bars = [[value - low], [high - value]]
        beside = {"color": PUBLISHED, "marker": "s", "ls": "", "capsize": 3, "label": told}
        ax.errorbar([1.03 * trials[-1]], [value], bars, **beside)
    ax.plot([], [], ".", color=CONTROL, label="dots: single trials")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17))
    return ax


@styled
def sharpness_along(
    tracks: Mapping[str, tuple[ArrayLike, ArrayLike, float]], axes: ManyAxes | None = None
) -> Array:
    """Draw the sharpness along walks or training runs, a panel each, with the edge of stability, 2 over the learning rate.

    Parameters
    ----------
    tracks : dict of str to (steps, sharpness, learning_rate)
        By title; `steps` and `sharpness` of shape (n,), the sharpness in units of loss over squared weight or pixel.
        `multifractal.sharpness_at(landscape, walk.positions)` gives a walk's, `run.sharpness_epochs` and `run.sharpness` a
        network's.
    axes : array of Axes, one per track, optional

    Returns
    -------
    ndarray of Axes
    """
    axes = np.atleast_1d(axes_or_new(axes, 1, len(tracks)))
    for ax, (title, (steps, sharpness, rate)) in zip(axes, tracks.items(), strict=True):
        ax.plot(steps, sharpness, color=OURS, linewidth=0.8, label="sharpness", rasterized=True)
        ax.axhline(2 / rate, color=THEORY, linestyle="--", label="2 / learning rate")
        ax.set(xlabel="step", title=title)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)
    axes[0].set(ylabel="largest Hessian eigenvalue")
    return axes
