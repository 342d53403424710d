"""Figures of the reproduction report on walks, stability, the theory and training; each takes a claim's `Measured`.

Panels stand one above the other, so that they stay legible on a narrow screen.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from multifractal.diffusion.theory import diffusion_exponent_law
from multifractal.figures._style import (
    CONTROL,
    ESTIMATOR,
    FURTHER,
    OURS,
    PALEST,
    PUBLISHED,
    THEORY,
    axes_or_new,
    styled,
)
from multifractal.figures.displacement import OFFSET, draw_exponent, scale_of
from multifractal.figures.drift import drift_shares
from multifractal.figures.theory import alpha_slice, tamsd_fits
from multifractal.figures.training import training_tamsd

_RATE = "learning rate (pixels² per unit of loss)"
_LAG, _TAMSD = "lag (steps)", "TAMSD (pixels²)"
_SHOWN = 3200  # waiting time of the paper's file that is drawn, in steps
_STATED_RATES = (25, 1000)  # of the edge of stability and of weak chaos (paper)
# protocol, colour, marker and words, of the edge of stability
_PROTOCOLS = (
    ("paper", ESTIMATOR, "^", "near the maximum, max|λ|"),
    ("near", FURTHER[0], "v", "near the maximum, largest λ"),
    ("anywhere", OURS, "o", "anywhere, largest λ"),
)
# Lyapunov exponents: name, colour, marker and words
_ESTIMATES = (
    ("exact", OURS, "o", "exact, anywhere"),
    ("estimate", ESTIMATOR, "^", "published, anywhere"),
    ("paper", FURTHER[0], "v", "published, near the maximum, independent trials"),
    ("carried", FURTHER[1], "D", "published, near the maximum, trials that carry on"),
)
_SCALES = (8, 1, 1, 0.3)  # of the published curves by H, for display (paper)


@styled
def displacement_short(measured, ax=None):
    """Draw displacement by waiting time, exact unfolding, with the exponents at short lags.

    Parameters
    ----------
    measured : Measured
        Of the claim `tamsd_short`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax, found = axes_or_new(ax), measured.results["displacement"]
    colours = ScalarMappable(
        Normalize(0, found.waiting_times.max() / PALEST), plt.rcParams["image.cmap"]
    )
    for waiting, curve in zip(found.waiting_times, found.geometric_mean, strict=True):
        ax.plot(found.lag_times, curve, color=colours.to_rgba(waiting), lw=1.1)
    for fit, factor in zip(measured.results["exponents"], (OFFSET, 1 / OFFSET), strict=True):
        draw_exponent(ax, fit, factor)
    if _draw_file(ax, measured):
        ax.legend(loc="upper left")
    ax.set(
        xscale="log",
        yscale=scale_of(found.per_walk),
        xlabel=_LAG,
        ylabel=_TAMSD,
        title=f"{len(found.per_walk)} surfaces, exact unfolding",
    )
    bar = ax.figure.colorbar(colours, ax=ax, label="waiting time (steps)", aspect=30)
    bar.ax.set_ylim(found.waiting_times.min(), found.waiting_times.max())
    bar.outline.set_edgecolor(CONTROL)
    return ax


@styled
def displacement_long(measured, ax=None):
    """Draw displacement at one waiting time, unfolded exactly and as published, with its interval over surfaces.

    Parameters
    ----------
    measured : Measured
        Of the claim `tamsd_long`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax, exponents = axes_or_new(ax), measured.results["exponents"]
    for (name, colour, words, factor), fit in zip(
        (
            ("long", OURS, "exact unfolding", 1 / OFFSET),
            ("published unfolding", ESTIMATOR, "as published", OFFSET),
        ),
        exponents,
        strict=True,
    ):
        curves = measured.results[name]
        label = f"{words}: {measured[name].value:.2f}"
        _draw_band(
            ax, curves.x, curves.geometric_mean.value, curves.geometric_mean.interval, colour, label
        )
        draw_exponent(ax, fit, factor)
    _draw_file(ax, measured)
    ax.set(
        xscale="log",
        yscale=scale_of(curves.samples),
        xlabel=_LAG,
        ylabel=_TAMSD,
        title=f"waiting time {_SHOWN:,}, {len(curves)} surfaces, 95 %",
    )
    ax.legend(loc="upper left")
    return ax


@styled
def drift(measured, axes=None):
    """Draw the share of time in each tenth of the grid by flatness and by loss, and first passages, with the controls.

    Parameters
    ----------
    measured : Measured
        Of the claim `drift`.
    axes : three Axes, optional

    Returns
    -------
    array of Axes, shape (3,)
    """
    return drift_shares(measured.results["drift"], axes=axes_or_new(axes, 3, 1, figsize=(5.2, 11)))


@styled
def sharpness_over_edge(measured, ax=None):
    """Draw sharpness times rate over 2 against the rate by three protocols, with 95 %, and where one more surface is expected.

    Parameters
    ----------
    measured : Measured
        Of the claim `edge_of_stability`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax, figsize=(5.2, 5.6))
    ax.axvspan(*_STATED_RATES, color=CONTROL, alpha=0.2, lw=0)
    ax.axhline(1, color=THEORY, ls="--", lw=1, label="2 / rate")
    for arm, colour, marker, words in _PROTOCOLS:
        found = measured.results[arm]
        mean = found.mean
        if arm == "paper":
            ax.fill_between(
                found.x,
                *10**found.one_more,
                color=colour,
                alpha=0.2,
                lw=0,
                label="one more surface, 95 %",
            )
        ax.errorbar(
            found.x,
            10**mean.value,
            np.abs(10**mean.interval - 10**mean.value),
            color=colour,
            marker=marker,
            ms=3,
            lw=1,
            label=f"{words}, {len(found)} surfaces",
        )
    if "published" in measured.results:
        published = measured.results["published"]
        ax.plot(
            published.x,
            10 ** published.samples[0],
            "s",
            ms=3.5,
            color=PUBLISHED,
            label="the paper's file",
        )
    ax.set(xscale="log", yscale="log", xlabel=_RATE, ylabel="sharpness × rate / 2")
    ax.legend(loc="upper left", bbox_to_anchor=(0, -0.14), fontsize=8)
    return ax


@styled
def range_by_start(measured, ax=None):
    """Draw the rate at which sharpness rises through 2/rate against H at the maximum, by protocol, one point a surface.

    Parameters
    ----------
    measured : Measured
        Of the claim `range_set_by_start`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    ax.axhspan(*_STATED_RATES, color=CONTROL, alpha=0.2, lw=0)
    for arm, colour, marker, words in _PROTOCOLS:
        found = measured.results[arm]
        ax.plot(
            found.x, found.samples[0], marker, color=colour, ms=4.5, ls="", label=words, alpha=0.8
        )
    ax.set(
        yscale="log",
        xlabel="Hölder exponent at the global maximum",
        ylabel="rate where sharpness is 2/rate\n(pixel² per unit of loss)",
    )
    ax.legend(loc="best", fontsize=8)
    return ax


@styled
def variants(measured, ax=None):
    """Draw displacement by lag of each update rule and rate, the geometric mean over surfaces.

    Parameters
    ----------
    measured : Measured
        Of the claim `variants`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax, figsize=(5.2, 5.6))
    colours = {"gd": OURS, "momentum": ESTIMATOR, "adam": FURTHER[0], "sgd": FURTHER[1]}
    dashes, used = ("-", "--", ":"), dict.fromkeys(colours, 0)
    for name, curves in measured.results.items():
        method = name.split()[0]
        colour, dash = colours[method], dashes[used[method]]
        used[method] += 1
        alpha, share = measured[f"{name} exponent"], measured[f"{name} share"]
        middle = curves.geometric_mean
        label = f"{name}: {alpha.value:.2f}, {share.value:.2f}"
        ax.plot(curves.x, middle.value, dash, color=colour, label=label)
    ax.set(
        xscale="log",
        yscale=scale_of(np.concatenate([each.samples for each in measured.results.values()])),
        xlabel=_LAG,
        ylabel=_TAMSD,
        title=f"{len(curves)} surfaces, waiting time {_SHOWN}",
    )
    ax.legend(
        loc="upper left",
        bbox_to_anchor=(-0.1, -0.22),
        ncols=2,
        title="rule and setting: exponent, share of the time in the flattest tenth",
    )
    return ax


@styled
def lyapunov(measured, axes=None):
    """Draw Lyapunov exponents against the rate, the share of chaotic walks, and where the estimator turns positive by H.

    Parameters
    ----------
    measured : Measured
        Of the claim `lyapunov`.
    axes : three Axes, optional

    Returns
    -------
    array of Axes, shape (3,)
    """
    axes = axes_or_new(axes, 3, 1, figsize=(5.2, 10.6), height_ratios=(2, 1, 1.4))
    results, rates = measured.results, measured.results["exact"].x
    for name, colour, marker, words in _ESTIMATES:
        mean, style = results[name].mean, {"color": colour, "marker": marker, "ms": 3, "lw": 1}
        axes[0].errorbar(rates, mean.value, mean.bars, label=words, **style)
        axes[1].plot(rates, results[f"{name}, walks"].share_above(0), **style)
        if f"{name} turns" in results:
            turns = results[f"{name} turns"]
            axes[2].plot(turns.x, turns.samples[0], marker, color=colour, ms=4.5)
    axes[0].plot(
        rates, results["exact, walks"].median, "--", color=OURS, lw=1, label="exact, median walk"
    )
    if "published" in results:
        published = results["published"]
        inside = (published.x >= rates[0]) & (published.x <= rates[-1])
        axes[0].plot(
            published.x[inside],
            published.samples[0, inside],
            "s",
            ms=3.5,
            color=PUBLISHED,
            label="the paper's file",
        )
        at = 10 ** measured["carried turns"].in_file
        axes[2].axhline(
            at, color=PUBLISHED, lw=1, ls=":", label="where the paper's file turns positive"
        )
    ceiling = measured["ceiling"].value
    label = "ceiling of the published estimator"
    axes[0].axhline(ceiling, color=CONTROL, ls="-.", lw=1, label=label)
    axes[0].axhline(0, color=THEORY, lw=0.6)
    for ax in axes[:2]:
        ax.axvspan(*_STATED_RATES, color=CONTROL, alpha=0.2, lw=0)
        ax.set(xscale="log", xlabel=_RATE)
    axes[2].axhspan(*_STATED_RATES, color=CONTROL, alpha=0.2, lw=0)
    axes[0].set(
        ylabel="largest Lyapunov exponent (per step)",
        title=f"{len(results['exact'])} surfaces, means with 95 %",
    )
    axes[1].set(ylabel="share of chaotic walks", ylim=(-0.03, 1.03))
    axes[2].set(
        yscale="log",
        xlabel="Hölder exponent at the global maximum",
        ylabel="rate where the exponent\nturns positive",
    )
    keys = [each for ax in (axes[0], axes[2]) for each in ax.get_legend_handles_labels()[0]]
    axes[2].legend(handles=keys, loc="upper left", bbox_to_anchor=(-0.1, -0.24), ncols=1)
    return axes


@styled
def alpha_of_hurst(measured, axes=None):
    """Draw the diffusion exponent against H at equal step and at three rates (above) and by H and rate (below).

    Parameters
    ----------
    measured : Measured
        Of the claim `alpha_of_hurst`.
    axes : two Axes, optional

    Returns
    -------
    array of Axes, shape (2,)
    """
    axes = axes_or_new(axes, 2, 1, figsize=(5.2, 7.4))
    diagram, hursts = measured.results["diagram"], np.linspace(0.25, 0.85, 61)
    alpha_slice(
        diagram,
        (hursts, diffusion_exponent_law(hursts)),
        learning_rates=(1000, 3000, 10_000),
        published=measured.results.get("published"),
        ax=axes[0],
    )
    equal = measured.results["equal"]
    axes[0].errorbar(
        equal.x,
        equal.mean.value,
        np.nan_to_num(equal.mean.bars),
        fmt="D-",
        ms=4,
        color="black",
        capsize=2,
        label="ours, at equal step",
    )
    axes[0].legend(fontsize=8)
    moving = np.where(diagram.regions > 0, diagram.exponents, np.nan)
    mesh = axes[1].imshow(moving.T, origin="lower", aspect="auto", norm=Normalize(0, 1))
    for k, j in np.ndindex(moving.shape):
        label = "rest" if np.isnan(moving[k, j]) else f"{moving[k, j]:.2f}"
        colour = "white" if moving[k, j] < 0.5 else "black"
        axes[1].text(k, j, label, ha="center", va="center", fontsize=8.5, color=colour)
    axes[1].set_facecolor("#dddddd")
    axes[1].set(
        xticks=range(len(moving)),
        xticklabels=[f"{hurst:g}" for hurst in diagram.hursts],
        ylabel=_RATE,
        yticks=range(moving.shape[1]),
        yticklabels=[f"{rate:,.0f}" for rate in diagram.learning_rates],
        xlabel="Hurst exponent of the surface",
    )
    axes[1].figure.colorbar(mesh, ax=axes[1], label="diffusion exponent α", extend="both")
    return axes


@styled
def subdiffusion_fits(measured, axes=None):
    """Draw displacement curves with the theory's fits: ours (above), the paper's files (below) where they are.

    Parameters
    ----------
    measured : Measured
        Of the claim `subdiffusion_fits`.
    axes : one or two Axes, optional

    Returns
    -------
    array of Axes
    """
    results = measured.results
    hursts = [name.removeprefix("ours ") for name in results if name.startswith("ours ")]
    panels = {
        "ours, one surface each": _fitted(results, hursts, "ours", "fit", (1,) * len(hursts)),
        "the paper's files": _fitted(results, hursts, "published", "published fit", _SCALES),
    }
    panels = {title: curves for title, curves in panels.items() if curves}
    return tamsd_fits(
        panels, ax=axes_or_new(axes, len(panels), 1, figsize=(5.2, 4.4 * len(panels)))
    )


def _fitted(results, hursts, curve, fit, scales):
    """Return what `tamsd_fits` takes of the surfaces whose curves are there."""
    return {
        float(hurst): (
            results[f"{curve} {hurst}"].lag_times,
            results[f"{curve} {hurst}"].values[0],
            results.get(f"{fit} {hurst}"),
            scale,
        )
        for hurst, scale in zip(hursts, scales, strict=True)
        if f"{curve} {hurst}" in results
    }


@styled
def langevin(measured, ax=None):
    """Draw displacement of Langevin paths on the way and in the well, with the exponents and the published path.

    Parameters
    ----------
    measured : Measured
        Of the claim `langevin`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax, found = axes_or_new(ax), measured.results["displacement"]
    published = measured.results["published"]
    for k, (colour, words) in enumerate(((OURS, "on the way"), (FURTHER[0], "in the well"))):
        waiting = found.waiting_times[k]
        curves = found.curves(waiting, "paths")
        label = f"{words} (waiting time {waiting})"
        _draw_band(ax, curves.x, curves.median, curves.middle, colour, label)
        ax.plot(
            published.lag_times,
            published.values[k],
            "--",
            color=PUBLISHED,
            lw=1,
            label="the published path" if k == 0 else None,
        )
    factors = (OFFSET, OFFSET, 1 / OFFSET)
    for fit, factor in zip(measured.results["exponents"], factors, strict=True):
        draw_exponent(ax, fit, factor)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel=_LAG,
        ylabel="TAMSD (units of x²)",
        title=f"{len(found.per_walk)} paths: median and 95 %",
    )
    ax.legend(loc="upper left")
    return ax


@styled
def training(measured, axes=None):
    """Draw displacement of training runs by waiting time: ours (above), the paper's file (below) where it is.

    Parameters
    ----------
    measured : Measured
        Of the claim `training`.
    axes : one or two Axes, optional

    Returns
    -------
    array of Axes
    """
    ours, published = measured.results["ours"], measured.results.get("published")
    over = next(iter(measured.quantities.values())).over
    title = f"{len(ours.per_walk)} {over}, window {ours.window:,} epochs"
    panels = {title: ours} | (
        {} if published is None else {"the paper's file, airfoil, one seed": published}
    )
    return training_tamsd(panels, {title: measured.results["exponents"]}, n_columns=1, ax=axes)


def _draw_band(ax, x, middle, interval, colour, label):
    ax.plot(x, middle, color=colour, label=label)
    ax.fill_between(x, *interval, color=colour, alpha=0.22, lw=0)


def _draw_file(ax, measured):
    """Draw the paper's displacement at waiting time 3200 if its file is here; tell whether it is."""
    found = measured.results.get("published")
    if found is not None:
        lags, curve = found.lag_times, found.curves(_SHOWN).samples[0]
        shown = np.unique(np.searchsorted(lags, np.geomspace(1, lags.max(), 40)))
        words = f"the paper's file, waiting time {_SHOWN:,}"
        ax.plot(lags[shown], curve[shown], "s", ms=3, color=PUBLISHED, label=words)
    return found is not None
