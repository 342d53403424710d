"""Figures of docs/where_losses_are_fractal.md: the law and its boundary; the bent plant's spectrum and the zoom series."""

import numpy as np

from experiments.where_fractal.rules import chosen, column, crossing
from landscape_viz.recurrent.law import Stretching
from multifractal.base.result import Provenance
from multifractal.figures._style import CONTROL, FURTHER, OURS, THEORY, axes_or_new, styled
from multifractal.measured.section_study import SectionStudy


def _moment(rows):
    """Return the predicted exponent of mean squared second differences: zeta(2)/2, at most 2."""
    chaotic = column(rows, "lyapunov") > 0
    moment = np.where(chaotic, column(rows, "predicted", "zeta2"), 2.0)
    return np.minimum(2.0, moment)


def feed_forward():
    """Return the exponents from 1 to 2 pixels of the committed float64 sections of feed-forward networks, no live dropout."""
    from experiments.where_fractal.page import ROOT

    study = SectionStudy.load(ROOT / "experiments" / "results" / "section_study.npz")
    left_out = ("live", "published", "float32")
    names = [name for name in study.names if not any(word in name for word in left_out)]
    return np.array([study.row(name).second_exponents.value[0] for name in names])


@styled
def law(results):
    """Draw predicted against measured exponents, and the boundary that the gain crosses; return the figure."""
    left, right = axes_or_new(None, 1, 2, figsize=(10.6, 4.6))
    rows = results["rows"]
    line = np.array([0.0, 2.0])
    left.plot(line, line, color=THEORY, lw=1, zorder=1, label="the law")
    plane, along = ("measured", "exponent"), ("exponent",)
    for name, some, path, colour, marker in (
        ("tanh RNN, lines, gain 0.8 to 3", rows["boundary"], along, FURTHER[1], "s"),
        ("GRU and LSTM, lines", rows["gated"], along, FURTHER[0], "^"),
        ("tanh RNN, planes", rows["RNN"], plane, FURTHER[1], "s"),
        ("GRU and LSTM, planes", rows["GRU"] + rows["LSTM"], plane, FURTHER[0], "^"),
        ("doubling plant, planes", rows["plant"], plane, OURS, "o"),
    ):
        style = {"ms": 3.5, "alpha": 0.7, "label": name, "color": colour}
        style |= {"mfc": "none"} if path == along else {"mec": THEORY, "mew": 0.4}
        left.plot(_moment(some), column(some, *path), marker, **style)
    smooth = feed_forward()
    left.plot(
        np.full(len(smooth), 2.0), smooth, "D", ms=4, color=CONTROL, label="feed-forward networks"
    )
    left.set(
        xlabel=r"predicted exponent, $\zeta(2)/2$ at most 2 ($\lambda \leq 0$: 2)",
        ylabel="measured exponent of second differences",
        xlim=(0, 2.1),
        ylim=(-0.1, 2.15),
    )
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=8)
    _boundary(right, rows["boundary"])
    return left.figure


def _boundary(ax, rows):
    for discount, colour, marker in ((0.85, OURS, "o"), (0.92, FURTHER[0], "s")):
        some = chosen(rows, discount=discount)
        gains = sorted({row["gain"] for row in some})
        found = [column(chosen(some, gain=gain), "exponent") for gain in gains]
        middle = [np.nanmedian(values) for values in found]
        ends = [np.nanquantile(values, [0.1, 0.9]) for values in found]
        low, high = np.transpose(ends)
        ax.fill_between(gains, low, high, color=colour, alpha=0.2, lw=0)
        ax.plot(gains, middle, marker, ls="-", ms=4, color=colour, label=f"discount {discount:g}")
    ax.set(
        xlabel="gain of the tanh RNN",
        ylabel="measured exponent (median, 80 % of seeds)",
        ylim=(-0.1, 2.15),
    )
    ax.legend(loc="upper right", fontsize=8)


@styled
def zoom(results):
    """Draw how exponents of an RNN's loss change with distance in units of e^(-lambda T); return the figure."""
    ax = axes_or_new(None, figsize=(5.6, 4.0))
    for horizon, colour in ((20, OURS), (40, FURTHER[0]), (60, FURTHER[1])):
        some = chosen(results["rows"]["zoom"], horizon=horizon)
        for row in some:
            over = np.array(row["spacings"]) * np.exp(row["lyapunov"] * horizon)
            ax.plot(over, column([row], "exponents")[0], color=colour, lw=0.7, alpha=0.5)
        ax.plot([], [], color=colour, label=f"{horizon} steps")
        where = np.nanmedian([crossing(row) for row in some])
        ax.axvline(10**where, color=colour, ls=":", lw=1)
    ax.plot([], [], ":", color=CONTROL, label="median crossing of 1")
    ax.axvline(1, color=THEORY, lw=1, label=r"$e^{-\lambda T}$, the law")
    ax.set(
        xscale="log",
        xlabel=r"distance between points, in units of $e^{-\lambda T}$",
        ylabel="exponent of second differences",
        ylim=(-0.2, 2.4),
    )
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3, fontsize=8)
    return ax.figure


@styled
def spectrum(results):
    """Draw measured spectra of larger planes over the predicted D(h), and exact surfaces' beside them; return the figure."""
    kinds = (("bent plant", 0.6), ("RNN", 0.85), ("RNN", 0.92))
    axes = axes_or_new(None, 1, 3, figsize=(10.6, 3.8), sharex=True, sharey=True)
    for ax, (kind, discount) in zip(axes, kinds, strict=True):
        some = chosen(results["rows"]["spectra"], kind=kind, discount=discount)
        _spectra(ax, some, discount)
        ax.set_title(f"{kind}, discount {discount:g}, {some[0]['points']} x {some[0]['points']}")
        ax.set(xlabel="$h$ less the law's exponent $H$", xlim=(-0.5, 0.8), ylim=(0, 2.15))
    axes[0].set_ylabel("dimension $D(h)$")
    figure, keys = axes[0].figure, axes[0].get_legend_handles_labels()
    figure.legend(*keys, loc="outside lower center", ncols=5, fontsize=8)
    return figure


def _spectra(ax, rows, discount):
    """Draw each seed's spectra and their mean by moment, about the exponent that its own lambda predicts."""
    centre = column(rows, "predicted", "H")[:, None]
    for of, colour, label in (
        ("control", CONTROL, "exact monofractal surfaces"),
        ("measured", OURS, "losses"),
    ):
        h, D = (np.array([row[of][name] for row in rows]) for name in ("h", "D"))
        h = h - centre
        ax.plot(h.T, D.T, color=colour, lw=0.6, alpha=0.35)
        ax.plot(h.mean(axis=0), D.mean(axis=0), "o-", ms=3, color=colour, label=f"{label}, mean")
        ax.plot([], [], color=colour, lw=0.6, alpha=0.6, label=f"{label}, each seed")
    # h has to be positive, at every seed
    x = np.linspace(max(-0.5, 0.02 - centre.min()), 0.8, 300)
    law = np.mean([_law(row, discount, x) for row in rows], axis=0)
    ax.plot(x[law > 0], law[law > 0], color=THEORY, label="predicted $D(h)$, mean")


def _law(row, discount, x):
    """Return the predicted D at exponents x above the law's."""
    of = Stretching(
        lyapunov=row["lyapunov"],
        variance=row["variance"],
        finite_time=np.array([row["lyapunov"]]),
        n_steps=1,
        provenance=Provenance.of("where_losses_are_fractal"),
    )
    return of.spectrum(discount, row["predicted"]["H"] + x)


FIGURES = {"fractal_law": law, "fractal_zoom": zoom, "fractal_spectrum": spectrum}
