"""Figures of docs/where_losses_are_fractal.md: the law and its boundary; the bent plant's spectrum and the zoom series."""

import numpy as np

import multifractal as mf
from experiments.where_fractal.rules import chosen, column, crossing
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
    for name, some, path, colour, marker in (
        ("doubling plant", rows["plant"], ("measured", "exponent"), OURS, "o"),
        ("tanh RNN, gain 0.8 to 3", rows["boundary"], ("exponent",), FURTHER[1], "s"),
        ("GRU, LSTM", rows["gated"], ("exponent",), FURTHER[0], "^"),
    ):
        if some:
            left.plot(
                _moment(some),
                column(some, *path),
                marker,
                ms=3.5,
                alpha=0.6,
                color=colour,
                label=name,
            )
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
    left.legend(loc="upper left", fontsize=8)
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
def spectrum(results=None, n=512, discount=0.6):
    """Draw the measured spectrum of one bent plant's loss over the predicted D(h), and an exact surface's; return the figure."""
    from experiments.where_fractal import measures as m
    from landscape_viz import recurrent

    ax = axes_or_new(None, figsize=(5.6, 4.0))
    made = recurrent.DoublingPlant(8, horizon=40, bend=0.9, rng=0)
    data = m.gaussian(np.random.default_rng(1), 1, 40, 8)
    problem, plane = m.problem_of(made, data, 0)
    _, found = m.stretching(problem, plane, 0.1, 0, passes=512)
    axis = np.linspace(-0.1, 0.1, n)
    loss = recurrent.plane_losses(problem, plane, [axis, axis], [discount])[0]
    h = np.linspace(0.45, 1.35, 200)
    predicted = found.spectrum(discount, h)
    ax.plot(h[predicted > 0], predicted[predicted > 0], color=THEORY, label="predicted $D(h)$")
    control = mf.fbm_surface(n, found.exponent(discount), rng=0).values
    for values, colour, label in (
        (control, CONTROL, "exact monofractal surface"),
        (loss, OURS, "loss of the bent plant"),
    ):
        measured = mf.multifractal_spectrum(values)
        ax.plot(measured.h, measured.D, "o-", ms=3, color=colour, label=label)
    ax.set(xlabel="exponent $h$", ylabel="dimension $D(h)$", ylim=(0, 2.15))
    ax.legend(loc="lower center", fontsize=8)
    return ax.figure


FIGURES = {"fractal_law": law, "fractal_zoom": zoom, "fractal_spectrum": spectrum}
