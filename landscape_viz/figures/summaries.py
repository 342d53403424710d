"""Figures of training runs and Hessians: they take results, return matplotlib axes and compute nothing."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from multifractal.figures._style import CONTROL, OURS, PUBLISHED, THEORY, axes_or_new, styled

__all__ = ["architectures", "hessian", "sharpness_along", "training"]


@styled
def training(run, *, ax=None):
    """Draw the losses of a `TrainingHistory` and, on the right axis, its accuracy; returns both axes."""
    ax = axes_or_new(ax)
    epochs = np.arange(1, len(run.train_loss) + 1)
    ax.plot(epochs, run.train_loss, "o-", color=OURS, label="training loss")
    ax.plot(epochs, run.test_loss, "s--", color=THEORY, label="test loss")
    ax.set(xlabel="epoch", ylabel="loss (nats)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    right = ax.twinx()
    right.spines["right"].set_visible(True)
    right.plot(epochs, run.test_accuracy, "^:", color=PUBLISHED, label="test accuracy (right)")
    right.set(ylabel="accuracy", ylim=(0, 1.02))
    lines = ax.get_lines() + right.get_lines()
    ax.legend(lines, [drawn.get_label() for drawn in lines], loc="center right")
    return np.array([ax, right])


@styled
def hessian(pairs, density, *, ax=None):
    """Draw the largest eigenvalues with their residuals, and the spectral density with its error; returns both axes."""
    left, right = axes_or_new(ax, 1, 2)
    ranks = np.arange(1, len(pairs.values) + 1)
    left.errorbar(ranks, pairs.values, yerr=pairs.residuals, fmt="o", color=OURS, capsize=3)
    left.set(
        xlabel="rank",
        ylabel="eigenvalue of the Hessian",
        ylim=(min(0, 1.1 * pairs.values.min()), None),
    )
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    found = "converged" if pairs.converged else "NOT converged"
    left.set_title(
        f"largest eigenvalues, bars: residuals\n({pairs.products} products, {found})", loc="left"
    )
    # a hundredth of what one eigenvalue shows as, times some 5
    floor = 0.02 / (density.n * density.width)
    low, high = np.maximum(density.interval, floor)
    right.fill_between(density.grid, low, high, color=OURS, alpha=0.3, linewidth=0)
    right.semilogy(density.grid, np.maximum(density.density, floor), color=OURS)
    right.axvline(0, color=CONTROL, linewidth=0.8, zorder=0)
    right.plot(
        pairs.values, np.full(len(pairs.values), 1.6 * floor), "|", color=PUBLISHED, markersize=12
    )
    right.set(
        xlabel="eigenvalue of the Hessian",
        ylabel="density per unit of eigenvalue",
        ylim=(floor, None),
    )
    right.set_title(
        f"all {density.n} eigenvalues, band: 95 % over {len(density.nodes)} probes\nticks: those on the left",
        loc="left",
    )
    return np.array([left, right])


@styled
def sharpness_along(epochs, values, residuals, *, ax=None):
    """Draw the largest Hessian eigenvalue along training with its residuals."""
    ax = axes_or_new(ax)
    ax.errorbar(epochs, values, yerr=residuals, fmt="o-", color=OURS, capsize=3)
    ax.set(
        xlabel="epoch",
        ylabel="largest Hessian eigenvalue",
        ylim=(min(0, 1.1 * float(np.min(values))), None),
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


@styled
def architectures(networks, *, rise=5.0, ax=None):
    """Draw planes of several networks side by side on one colour scale: by how much the loss rises from the trained point.

    Parameters
    ----------
    networks : dict of str to Compared
        By the network's name.
    rise : float
        Where the colours end, in nats above the middle (our choice 5).
    ax : array of Axes, optional
    """
    axes = axes_or_new(
        ax,
        1,
        len(networks),
        sharex=True,
        sharey=True,
        figsize=(2.8 * len(networks), 3.6),
        layout="constrained",
    )
    levels = np.linspace(0, rise, 21)
    for (name, found), panel in zip(networks.items(), np.ravel(axes), strict=True):
        higher = found.plane.T - found.plane[len(found.axis) // 2, len(found.axis) // 2]
        filled = panel.contourf(found.axis, found.axis, np.clip(higher, 0, rise), levels)
        panel.contour(
            found.axis, found.axis, higher, [0.1, 1], colors="white", linewidths=[1.6, 0.7]
        )
        panel.plot(0, 0, "+", color=PUBLISHED, markersize=9, markeredgewidth=1.8)
        right, loss = (
            found.values[found.names.index(column)] for column in ("accuracy", "loss_train")
        )
        panel.set_title(
            f"{name}: {right:.0%} of test right\nloss at the cross {loss:.3f} nats", fontsize=9
        )
        panel.set(xlabel="random direction 1 (filter norms)", aspect="equal")
    first = np.ravel(axes)[0]
    first.set_ylabel("random direction 2 (filter norms)")
    first.figure.colorbar(
        filled, ax=axes, label="rise of the loss (nats)", ticks=levels[::4], shrink=0.8
    )
    first.figure.suptitle(
        "How far can each network's weights be moved before the loss rises? White: by 0.1 (bold) and 1. "
        "Unit: the weights' own size, filter by filter.",
        fontsize=9,
    )
    return np.ravel(axes)
