"""The figure of docs/d_dimensions.md: four diagrams for each dimension."""

from pathlib import Path

import numpy as np

from experiments import d_dimensions_jobs as study
from experiments.d_dimensions_tables import edge_of_semicircle


def draw(found, folder):
    """Write d_dimensions.png: alpha, largest exponent, share trapped and sharpness over the edge, H against s."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = ("exponent α", "Lyapunov exponent", "share trapped", "sharpness × rate / 2")
    kinds = (("viridis", 0, 2), ("RdBu_r", -4, 4), ("cividis", 0, 1), ("PuOr", 0.1, 10))
    dimensions = [d for d in study.DIMENSIONS if any(found.cell(d, h) for h in study.HURSTS)]
    figure, axes = plt.subplots(
        4, len(dimensions), figsize=(1.9 * len(dimensions) + 1.2, 8.2), sharex=True, sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    x, y = _edges(np.log10(study.STEPS), 0.25), _edges(np.array(study.HURSTS), 0.1)
    for row, (name, (colours, low, high)) in enumerate(zip(names, kinds, strict=True)):
        norm = matplotlib.colors.LogNorm(low, high) if row == 3 else plt.Normalize(low, high)
        for column, d in enumerate(dimensions):
            ax = axes[row, column]
            ax.set_facecolor("0.85")
            image = ax.pcolormesh(10**x, y, _values(found, d)[row], cmap=colours, norm=norm)
            ax.set_xscale("log")
            edge = [edge_of_semicircle(d, h) for h in study.HURSTS]
            ax.plot(edge, study.HURSTS, "w-", lw=2.5)
            ax.plot(edge, study.HURSTS, "k--", lw=1.2)
            if row == 0:
                ax.set_title(f"d = {d}")
            if row == 3:
                ax.set_xlabel("step s")
        axes[row, 0].set_ylabel("H")
        figure.colorbar(
            image, ax=list(axes[row]), label=name, extend="both" if row != 2 else "neither"
        )
    key = [
        plt.Line2D(
            [], [], color="k", ls="--", lw=1.2, label="the semicircle's edge is 2 / learning rate"
        ),
        plt.Rectangle((0, 0), 1, 1, fc="0.85", label="trapped (exponent α), or not measured"),
    ]
    figure.legend(handles=key, loc="outside lower center", ncols=2)
    Path(folder).mkdir(parents=True, exist_ok=True)
    figure.savefig(Path(folder) / "d_dimensions.png", dpi=110)
    plt.close(figure)


def _values(found, d):
    """Return the four quantities of a dimension, each (n_hursts, n_rates); NaN where nothing is known."""
    values = np.full((4, len(study.HURSTS), len(study.STEPS)), np.nan)
    for i, hurst in enumerate(study.HURSTS):
        cell = found.cell(d, hurst)
        if cell is not None:
            values[:, i] = cell.alpha[0], cell.exponent.value, cell.trapped, cell.edge
    return values


def _edges(middles, width):
    return np.append(middles - width / 2, middles[-1] + width / 2)
