"""Figures of the reproduction report on walks, stability, the theory and training; each takes a claim's `Measured`.

Panels stand one above the other, so that they stay legible on a narrow screen.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import FuncFormatter

from multifractal.base.result import Provenance
from multifractal.diffusion.diagram import DiffusionDiagram
from multifractal.diffusion.theory import diffusion_exponent_law, theoretical_tamsd
from multifractal.figures._style import CONTROL, OURS, PUBLISHED, THEORY, axes_or_new, styled
from multifractal.figures.drift import drift_shares
from multifractal.figures.theory import alpha_slice
from multifractal.training.displacement import REGIMES
from multifractal.walkers.drift import Drift

_RATE = "learning rate (pixel² per unit of loss)"
_LAG, _TAMSD = "lag (steps)", "TAMSD (pixel²)"
# of Okabe & Ito's palette
_GREEN, _ORANGE, _SKY, _PINK = "#009E73", "#E69F00", "#56B4E9", "#CC79A7"
_PALEST = 0.88  # share of the colour map in use: its end is too pale on white
_OFFSET = 1.9  # fitted lines stand above their curves by this factor


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
    ax = axes_or_new(ax)
    found = measured.arrays
    typical = _geometric_mean(found["exact"])
    colours = _by_waiting_time(ax, found["waiting_times"], typical, found["lag_times"])
    early = typical[found["waiting_times"] == 3200][0]
    late = typical[found["waiting_times"] >= 3800].mean(axis=0)
    _draw_exponent(ax, found["lag_times"], early, (3, 10), measured["early"].value, _OFFSET)
    _draw_exponent(ax, found["lag_times"], late, (2, 8), measured["late"].value, 1 / _OFFSET)
    if _draw_file(ax, found):
        ax.legend(loc="upper left")
    ax.set(
        xscale="log",
        yscale=_scale_of(found["exact"]),
        xlabel=_LAG,
        ylabel=_TAMSD,
        title=f"{len(found['exact'])} surfaces, exact unfolding",
    )
    _draw_scale(ax, colours, found["waiting_times"], "waiting time (steps)")
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
    ax = axes_or_new(ax)
    found = measured.arrays
    chosen = found["waiting_times"] == 3200
    for name, key, colour, words, factor in (
        ("long", "exact", OURS, "exact unfolding", 1 / _OFFSET),
        ("published unfolding", "as_published", _ORANGE, "as published", _OFFSET),
    ):
        curves = found[key][:, chosen][:, 0]
        _draw_band(ax, found["lag_times"], curves, colour, f"{words}: {measured[name].value:.2f}")
        _draw_exponent(
            ax,
            found["lag_times"],
            _geometric_mean(curves),
            (150, 400),
            measured[name].value,
            factor,
        )
    _draw_file(ax, found)
    ax.set(
        xscale="log",
        yscale=_scale_of(curves),
        xlabel=_LAG,
        ylabel=_TAMSD,
        title=f"waiting time 3200, {len(curves)} surfaces, 95 %",
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
    axes = axes_or_new(axes, 3, 1, figsize=(5.2, 11))
    found = measured.arrays
    drawn = Drift(
        shares=found["shares"],
        arrivals=found["arrivals"],
        n_steps=int(found["n_steps"]),
        learning_rate=1000.0,
        start="maximum",
        window=64,
        provenance=Provenance("drift"),
    )
    return drift_shares(drawn, axes=axes)


@styled
def sharpness_over_edge(measured, ax=None):
    """Draw sharpness times rate over 2 against the rate: its mean with 95 %, and where one more surface is expected.

    Parameters
    ----------
    measured : Measured
        Of the claim `edge_of_stability`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    found = measured.arrays
    rates, logs = found["learning_rates"], found["over_edge"]
    mean, spread, t = logs.mean(axis=0), logs.std(axis=0, ddof=1), _t(len(logs))
    more, half = t * spread * np.sqrt(1 + 1 / len(logs)), t * spread / np.sqrt(len(logs))
    ax.axvspan(*found["range"], color=CONTROL, alpha=0.2, lw=0, label="range stated by the paper")
    ax.axhline(1, color=THEORY, ls="--", lw=1, label="2 / rate")
    ax.fill_between(
        rates,
        10 ** (mean - more),
        10 ** (mean + more),
        color=OURS,
        alpha=0.2,
        lw=0,
        label="one more surface, 95 %",
    )
    ax.errorbar(
        rates,
        10**mean,
        [10**mean - 10 ** (mean - half), 10 ** (mean + half) - 10**mean],
        color=OURS,
        marker="o",
        ms=3,
        lw=1,
        label=f"{len(logs)} surfaces, mean and 95 %",
    )
    if "published" in found:
        ax.plot(
            rates,
            10 ** found["published_over_edge"],
            "s",
            ms=3.5,
            color=PUBLISHED,
            label="the paper's file",
        )
    ax.set(xscale="log", yscale="log", xlabel=_RATE, ylabel="sharpness × rate / 2")
    ax.legend(loc="upper left", fontsize=8)
    return ax


@styled
def lyapunov(measured, axes=None):
    """Draw Lyapunov exponents against the rate (above) and the share of chaotic walks (below).

    Parameters
    ----------
    measured : Measured
        Of the claim `lyapunov`.
    axes : two Axes, optional

    Returns
    -------
    array of Axes, shape (2,)
    """
    axes = axes_or_new(axes, 2, 1, figsize=(5.2, 6.8), sharex=True, height_ratios=(2, 1))
    found = measured.arrays
    rates, exact = found["learning_rates"], found["exact"][..., 0]
    estimate = np.where(np.isfinite(found["estimate"]), found["estimate"], np.nan)
    for values, colour, marker, words in (
        (exact, OURS, "o", "exact"),
        (estimate, _ORANGE, "^", "published estimator, our walks"),
    ):
        means = np.nanmean(values, axis=2)
        half = _t(len(means)) * means.std(axis=0, ddof=1) / np.sqrt(len(means))
        axes[0].errorbar(
            rates, means.mean(axis=0), half, color=colour, marker=marker, ms=3, lw=1, label=words
        )
        axes[1].plot(rates, (values > 0).mean(axis=(0, 2)), color=colour, marker=marker, ms=3, lw=1)
    axes[0].plot(
        rates, np.nanmedian(exact, axis=(0, 2)), "--", color=OURS, lw=1, label="exact, median walk"
    )
    if "published" in found:
        inside = (found["published_rates"] >= rates[0]) & (found["published_rates"] <= rates[-1])
        axes[0].plot(
            found["published_rates"][inside],
            found["published"][inside],
            "s",
            ms=3.5,
            color=PUBLISHED,
            label="the paper's file",
        )
    axes[0].axhline(
        measured["ceiling"].value,
        color=CONTROL,
        ls="-.",
        lw=1,
        label="ceiling of the published estimator",
    )
    axes[0].axhline(0, color=THEORY, lw=0.6)
    for ax in axes:
        ax.axvspan(25, 1000, color=CONTROL, alpha=0.2, lw=0)
    axes[0].set(
        xscale="log",
        ylabel="largest Lyapunov exponent (per step)",
        title=f"{exact.shape[0]} surfaces × {exact.shape[2]} walks, means over surfaces with 95 %",
    )
    axes[1].set(xlabel=_RATE, ylabel="share of chaotic walks", ylim=(-0.03, 1.03))
    axes[0].legend(loc="upper left", fontsize=8)
    return axes


@styled
def alpha_of_hurst(measured, axes=None):
    """Draw the diffusion exponent against H at three rates (above) and by H and rate (below).

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
    found = measured.arrays
    diagram = DiffusionDiagram.of(
        *(found[name] for name in ("curves", "at_rest", "hursts", "learning_rates", "lag_times")),
        int(found["waiting_time"]),
        int(found["n_starts"]),
        Provenance("diagram"),
    )
    hursts = np.linspace(0.25, 0.85, 61)
    alpha_slice(
        diagram,
        (hursts, diffusion_exponent_law(hursts)),
        learning_rates=(1000, 3000, 10_000),
        published=found.get("published"),
        ax=axes[0],
    )
    moving = np.where(diagram.regions > 0, diagram.exponents, np.nan)
    mesh = axes[1].imshow(moving.T, origin="lower", aspect="auto", norm=Normalize(0, 1))
    for k, j in np.ndindex(moving.shape):
        label = "rest" if np.isnan(moving[k, j]) else f"{moving[k, j]:.2f}"
        axes[1].text(
            k,
            j,
            label,
            ha="center",
            va="center",
            fontsize=8.5,
            color="white" if moving[k, j] < 0.5 else "black",
        )
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
    found = measured.arrays
    scales = dict(zip(found["hursts"].tolist(), (8, 1, 1, 0.3), strict=True))  # for display (paper)
    ours = [
        (hurst, found["lag_times"], curve, fit, 1)
        for hurst, curve, fit in zip(
            found["hursts"].tolist(), found["curves"], found["fits"], strict=True
        )
    ]
    theirs = [
        (hurst, found[f"lags_{hurst}"], found[f"curve_{hurst}"], found[f"fit_{hurst}"], scale)
        for hurst, scale in scales.items()
        if f"lags_{hurst}" in found
    ]
    panels = [
        ("ours, one surface each", ours),
        *([("the paper's files", theirs)] if theirs else []),
    ]
    axes = np.atleast_1d(
        axes_or_new(axes, len(panels), 1, figsize=(5.2, 3.6 * len(panels)), sharex=True)
    )
    for ax, (title, curves) in zip(axes, panels, strict=True):
        for curve, marker, colour in zip(
            curves, "os^D", (OURS, _GREEN, _PINK, _ORANGE), strict=False
        ):
            _draw_law(ax, *curve, marker, colour)
        ax.plot([], [], color=THEORY, lw=1, label="fit of the law")
        ax.set(
            xscale="log",
            yscale=_scale_of([curve[2] for curve in curves]),
            ylabel=_TAMSD,
            title=title,
        )
        bottom, top = ax.get_ylim()
        ax.set_ylim(bottom, 100 * top)  # room for the legend
        ax.legend(loc="upper left", fontsize=8)
    axes[-1].set_xlabel(_LAG)
    return axes


def _draw_law(ax, hurst, lags, curve, fit, scale, marker, colour):
    shown = np.unique(np.searchsorted(lags, np.geomspace(lags[0], lags[-1], 40)))
    factor = "" if scale == 1 else f" (×{scale:g})"
    ax.plot(
        lags[shown],
        scale * curve[shown],
        marker,
        color=colour,
        ms=3.5,
        label=f"surface {hurst:g}{factor}: fitted H {fit[0]:.2f}",
    )
    if np.isfinite(fit).all():
        law = theoretical_tamsd(
            lags[shown], learning_rate=1000.0, hurst=fit[0], theta=fit[1], stiffness=fit[2]
        )
        ax.plot(lags[shown], scale * law, color=THEORY, lw=1)


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
    ax = axes_or_new(ax)
    found = measured.arrays
    lags, curves = found["lag_times"], found["curves"]
    for k, (colour, words) in enumerate(((OURS, "on the way"), (_GREEN, "in the well"))):
        low, middle, high = np.quantile(curves[:, k], [0.025, 0.5, 0.975], axis=0)
        ax.fill_between(lags, low, high, color=colour, alpha=0.2, lw=0)
        ax.plot(
            lags, middle, color=colour, label=f"{words} (waiting time {found['waiting_times'][k]})"
        )
        ax.plot(
            lags,
            found["published_curves"][k],
            "--",
            color=PUBLISHED,
            lw=1,
            label="the published path" if k == 0 else None,
        )
    for name, lag_range, k, factor in (
        ("short", (2, 20), 0, _OFFSET),
        ("long", (100, 500), 0, _OFFSET),
        ("well", (2, 10), 1, 1 / _OFFSET),
    ):
        _draw_exponent(
            ax, lags, np.median(curves[:, k], axis=0), lag_range, measured[name].value, factor
        )
    ax.set(
        xscale="log",
        yscale="log",
        xlabel=_LAG,
        ylabel="TAMSD (units of x²)",
        title=f"{len(curves)} paths: median and 95 %",
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
    found = measured.arrays
    panels = [
        (
            f"{len(found['curves'])} seeds, {found['dataset']}, window {found['window']:,} epochs",
            found["lag_times"],
            _geometric_mean(found["curves"]),
        )
    ]
    if "published" in found:
        shown = found["published_lags"] <= found["lag_times"].max()
        panels.append(
            (
                "the paper's file, airfoil, one seed",
                found["published_lags"][shown],
                found["published"][:, shown],
            )
        )
    axes = np.atleast_1d(
        axes_or_new(
            axes, len(panels), 1, figsize=(5.2, 3.6 * len(panels)), sharex=True, sharey=True
        )
    )
    for ax, (title, lags, curves) in zip(axes, panels, strict=True):
        colours = _by_waiting_time(ax, found["waiting_times"], curves, lags, logarithmic=True)
        ax.set(xscale="log", yscale="log", ylabel="TAMSD (squared parameters)", title=title)
    for name, k, lag_range in REGIMES:
        _draw_exponent(
            axes[0],
            panels[0][1],
            panels[0][2][k],
            lag_range,
            measured[name].value,
            1 / _OFFSET if name.startswith("late") else _OFFSET,
        )
    axes[-1].set_xlabel("lag (epochs)")
    bar = _draw_scale(list(axes), colours, found["waiting_times"], "waiting time (epochs)")
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return axes


def _geometric_mean(curves):
    """Return the geometric mean over the first axis, of the curves that move."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(curves > 0, np.log(curves), np.nan)
        return np.exp(np.nansum(logs, axis=0) / np.isfinite(logs).sum(axis=0))


def _scale_of(curves):
    """Return the name of the scale for displacement: curves of walks that all rest have no logarithm."""
    return "log" if any((np.asarray(curve) > 0).any() for curve in curves) else "linear"


def _by_waiting_time(ax, waiting_times, curves, lags, logarithmic=False):
    scale = (
        LogNorm(1, waiting_times.max() ** (1 / _PALEST))
        if logarithmic
        else Normalize(0, waiting_times.max() / _PALEST)
    )
    colours = ScalarMappable(scale, plt.rcParams["image.cmap"])
    for waiting, curve in zip(waiting_times, curves, strict=True):
        ax.plot(lags, curve, color=colours.to_rgba(waiting), lw=1.1)
    return colours


def _draw_scale(axes, colours, waiting_times, label):
    bar = np.ravel(axes)[0].figure.colorbar(colours, ax=axes, label=label, aspect=30)
    bar.ax.set_ylim(waiting_times.min(), waiting_times.max())
    bar.outline.set_edgecolor(CONTROL)
    return bar


def _draw_band(ax, lags, curves, colour, label):
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(curves)
        half = _t(len(logs)) * logs.std(axis=0, ddof=1) / np.sqrt(len(logs))
        mean = logs.mean(axis=0)
    ax.plot(lags, np.exp(mean), color=colour, label=label)
    ax.fill_between(lags, np.exp(mean - half), np.exp(mean + half), color=colour, alpha=0.25, lw=0)


def _draw_file(ax, found):
    """Draw the paper's displacement at waiting time 3200 if its file is here; tell whether it is."""
    if "published" in found:
        shown = np.unique(
            np.searchsorted(
                found["published_lags"], np.geomspace(1, found["published_lags"].max(), 40)
            )
        )
        curve = found["published"][found["waiting_times"] == 3200][0]
        ax.plot(
            found["published_lags"][shown],
            curve[shown],
            "s",
            ms=3,
            color=PUBLISHED,
            label="the paper's file, waiting time 3200",
        )
    return "published" in found


def _draw_exponent(ax, lags, curve, lag_range, exponent, factor):
    """Draw a line of this slope over its lags, above (or under) the middle of the curve there."""
    ends = np.asarray(lag_range, dtype=float)
    inside = (lags >= ends[0]) & (lags <= ends[1])
    if not np.isfinite(exponent) or not (curve[inside] > 0).all():
        return
    at, height = np.exp(np.log(lags[inside]).mean()), np.exp(np.log(curve[inside]).mean())
    heights = factor * height * (ends / at) ** exponent
    ax.plot(ends, heights, "--", color=THEORY, lw=1.2)
    ax.annotate(
        f"{exponent:.2f}",
        (np.sqrt(ends.prod()), np.sqrt(heights.prod())),
        xytext=(0, 5 if factor > 1 else -5),
        textcoords="offset points",
        ha="center",
        va="bottom" if factor > 1 else "top",
        fontsize=8.5,
        bbox={"fc": "white", "ec": "none", "pad": 0.5, "alpha": 0.8},
    )


def _t(n):
    from scipy import stats

    return float(stats.t.ppf(0.975, n - 1))
