"""Figures of full-batch training: displacement by waiting time, pictures of the path, learning curves and sharpness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from multifractal.base.types import Array
from multifractal.figures._style import CONTROL, FURTHER, OURS, PALEST, THEORY, styled

if TYPE_CHECKING:
    from multifractal.diffusion.displacement import Displacement
    from multifractal.figures._style import ManyAxes
    from multifractal.training.displacement import RegimeExponent
    from multifractal.training.embedding import PathEmbedding
    from multifractal.training.run import FullBatchRun


# fitted lines stand above their curves (late ones below) by this factor, so that both are seen
_OFFSET = 2.2
_DOTS = 8000  # most points of a path that are drawn
_CURVE_POINTS = 2000  # of a learning curve, at epochs evenly spaced in the logarithm


@styled
def training_tamsd(
    panels: Mapping[str, Displacement],
    exponents: Mapping[str, Sequence[RegimeExponent]] | None = None,
    *,
    n_columns: int = 2,
    ax: ManyAxes | None = None,
) -> Array:
    """Draw displacement curves of training runs by waiting time, one panel a run, with the exponents of its regimes.

    Where a run oscillates with period two (one epoch moves further than two), even lags are a line and odd lags dots.

    Parameters
    ----------
    panels : dict of str to Displacement
        A title and the curves; filled in row by row.
    exponents : dict of str to list of RegimeExponent, optional
        By the same titles.
    n_columns : int
    ax : array of Axes, optional
        At least as many as panels.

    Returns
    -------
    array of Axes, shape (panels,)
    """
    ax = _grid(ax, len(panels), n_columns, sharex=True, sharey="row")
    longest = max(found.waiting_times.max() for found in panels.values())
    colours = ScalarMappable(LogNorm(1, longest ** (1 / PALEST)), plt.rcParams["image.cmap"])
    for panel, (title, found) in zip(ax, panels.items(), strict=True):
        for waiting, curve in zip(found.waiting_times, found.values, strict=True):
            _draw_curve(panel, found.lag_times, curve, colours.to_rgba(waiting))
        for regime in (exponents or {}).get(title, ()):
            _draw_exponent(panel, regime)
        panel.set(xscale="log", yscale="log", title=title)
        _label_outside(panel, "lag (epochs)", "TAMSD (squared parameter units)")
    key = [
        Line2D([], [], color=THEORY, ls="--", lw=1.2, label="fitted exponent"),
        Line2D([], [], color=CONTROL, lw=1.1, label="even lags, or all"),
        Line2D(
            [], [], color=CONTROL, marker=".", ls="", label="odd lags, where period two parts them"
        ),
    ]
    ax[0].figure.legend(handles=key, loc="outside lower center", ncols=3)
    bar = ax[0].figure.colorbar(
        colours, ax=list(ax), label="waiting time (epochs)", shrink=0.8, pad=0.02
    )
    bar.ax.set_ylim(1, longest)
    bar.outline.set_edgecolor(CONTROL)
    return ax


@styled
def training_paths(
    embeddings: Mapping[str, PathEmbedding],
    *,
    published: Mapping[str, Array] | None = None,
    every: int = 1,
    ax: ManyAxes | None = None,
) -> Array:
    """Draw each run's path in its first two principal components (left) and by t-SNE (right), coloured by the epoch.

    Parameters
    ----------
    embeddings : dict of str to PathEmbedding
        A title and the embedding, one row each.
    published : dict of str to ndarray of shape (n, 2), optional
        A title and the t-SNE of the paper's file (``trajectory_tsne.npy``), in the rows below.
    every : int
        Epochs between stored positions.
    ax : array of Axes, optional
        Two for each run, and one for each published picture.

    Returns
    -------
    array of Axes, shape (2 x runs + published,)
    """
    published = published or {}
    ax = _grid(ax, 2 * len(embeddings) + len(published), 2)
    for panel, (title, points) in zip(ax[2 * len(embeddings) :], published.items(), strict=True):
        dots = np.unique(np.linspace(0, len(points) - 1, min(_DOTS, len(points))).astype(int))
        panel.scatter(*points[dots].T, c=dots, s=1.5, linewidths=0, cmap="cividis", rasterized=True)
        panel.set(title=title, xlabel="t-SNE 1 (arbitrary units)", ylabel="t-SNE 2")
    for (left, right), (title, found) in zip(
        ax[: 2 * len(embeddings)].reshape(-1, 2), embeddings.items(), strict=True
    ):
        dots = np.unique(
            np.linspace(0, len(found.points) - 1, min(_DOTS, len(found.points))).astype(int)
        )
        epochs = (found.first + dots) * every
        for panel, coordinates in ((left, found.components), (right, found.points)):
            drawn = panel.scatter(
                *coordinates[dots].T, c=epochs, s=1.5, linewidths=0, cmap="cividis", rasterized=True
            )
        left.set(
            title=f"{title}\nprincipal components",
            xlabel=f"first ({found.explained[0]:.0%} of the variance)",
            ylabel=f"second ({found.explained[1]:.0%})",
        )
        right.set(
            title=f"t-SNE of {len(found.sample):,} of {len(found.points):,} positions",
            ylabel="t-SNE 2",
            xlabel="t-SNE 1 (arbitrary units)",
        )
        bar = right.figure.colorbar(drawn, ax=[left, right], label="epoch", shrink=0.8, pad=0.02)
        bar.outline.set_edgecolor(CONTROL)
    return ax


@styled
def learning_and_sharpness(runs: Mapping[str, FullBatchRun], ax: ManyAxes | None = None) -> Array:
    """Draw each run's learning curve (left) and its largest Hessian eigenvalue against 2/learning rate (right).

    Parameters
    ----------
    runs : dict of str to FullBatchRun
        A title and the run; at most three.
    ax : pair of Axes, optional

    Returns
    -------
    array of 2 Axes
    """
    ax = _grid(ax, 2, 2)
    for (title, run), colour in zip(runs.items(), (OURS, *FURTHER[:2]), strict=False):
        at = np.unique(np.logspace(0, np.log10(run.epochs), _CURVE_POINTS).round().astype(int)) - 1
        for losses, style, kind in zip(
            run.losses.T, ("-", "--"), ("training", "test"), strict=False
        ):
            ax[0].plot(at + 1, losses[at], style, color=colour, lw=0.9, label=f"{title}, {kind}")
        ax[1].plot(run.sharpness_epochs, run.sharpness, "-", color=colour, lw=1.1, label=title)
    edges = {2 / run.parameters["learning_rate"] for run in runs.values()}
    for edge in edges:
        ax[1].axhline(edge, color=THEORY, ls="--", lw=1, label=f"2 / rate = {edge:g}")
    ax[0].set(xscale="log", yscale="log", xlabel="epoch + 1", ylabel="loss (target variances)")
    ax[1].set(xlabel="epoch", ylabel="largest Hessian eigenvalue", ylim=(0, None))
    ax[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax[0].yaxis.set_major_formatter("{x:g}")
    ax[0].yaxis.set_minor_formatter("")
    for panel in ax:
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return ax


def _draw_curve(panel, lags, curve, colour):
    odd = (lags % 2 == 1) & (curve[lags == 1] > curve[lags == 2])
    panel.plot(lags[~odd], curve[~odd], color=colour, lw=1.1)
    panel.plot(lags[odd], curve[odd], ".", color=colour, ms=1.8)


def _draw_exponent(panel, regime):
    lags = np.asarray(regime.fit.lag_range)
    late = regime.regime.startswith("late")
    heights = regime.fit.prefactor * lags**regime.fit.exponent * (1 / _OFFSET if late else _OFFSET)
    panel.plot(lags, heights, color=THEORY, ls="--", lw=1.2)
    panel.annotate(
        f"{regime.fit.exponent:.2f}",
        (np.sqrt(lags.prod()), np.sqrt(heights.prod())),
        xytext=(3, -3) if late else (-2, 3),
        textcoords="offset points",
        ha="left" if late else "right",
        va="top" if late else "bottom",
        fontsize=8.5,
    )


def _grid(ax, n_panels, n_columns, **subplots):
    if ax is not None:
        return np.ravel(np.asarray(ax, dtype=object))[:n_panels]
    n_columns = min(n_columns, n_panels)
    n_rows = -(-n_panels // n_columns)
    width, height = plt.rcParams["figure.figsize"]
    figure, ax = plt.subplots(
        n_rows,
        n_columns,
        squeeze=False,
        figsize=(0.95 * width * n_columns, 0.85 * height * n_rows),
        **subplots,
    )
    for unused in ax.ravel()[n_panels:]:
        unused.remove()
    return ax.ravel()[:n_panels]


def _label_outside(panel, x_label, y_label):
    place = panel.get_subplotspec()
    if place is None or place.is_last_row():
        panel.set_xlabel(x_label)
    if place is None or place.is_first_col():
        panel.set_ylabel(y_label)
