"""Figures of the family of landscapes: each as a map, with its measured spectrum on its analytic one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm

from multifractal.base.types import Array
from multifractal.figures._style import OURS, THEORY, axes_or_new, styled

if TYPE_CHECKING:
    from multifractal.figures._style import ManyAxes
    from multifractal.landscapes.landscape import Landscape


_DRAWN = 512  # pixels drawn along a side: no more would be seen
_LEAST_EXTENT = 0.5  # of a spectrum's axis along h, so that a monofractal's spread is not blown up


@styled
def landscape_gallery(
    landscapes: Mapping[str, Landscape],
    measured: Mapping[str, tuple[Array, Array]],
    analytic: Mapping[str, tuple[Array, Array]],
    *,
    logarithmic: Collection[str] = (),
    axes: ManyAxes | None = None,
) -> Array:
    """Draw landscapes in a row, each above its spectrum D(h): measured, one line a realisation, and analytic.

    Parameters
    ----------
    landscapes : dict of str to Landscape
        Titles and what to show; colours span the values of each.
    measured : dict of str to pair of ndarrays, each of shape (n_realisations, n_q)
        h and D of every realisation.
    analytic : dict of str to pair of ndarrays, each of shape (n,)
        h and D of the law; a monofractal's is a point.
    logarithmic : collection of str
        Titles of the landscapes whose colours are spread over the logarithm: measures.
    axes : ndarray of Axes, shape (2, n_landscapes), optional

    Returns
    -------
    ndarray of Axes, shape (2, n_landscapes)
    """
    n = len(landscapes)
    bottom = max(
        0.0,
        min(np.min(dimension) for _, dimension in [*measured.values(), *analytic.values()]) - 0.4,
    )
    axes = axes_or_new(axes, 2, n, figsize=(2.3 * n, 4.9), height_ratios=(1, 1), squeeze=False)
    for column, (title, landscape) in enumerate(landscapes.items()):
        image, ax = axes[:, column]
        norm = LogNorm() if title in logarithmic else None
        step = -(-max(landscape.shape) // _DRAWN)
        image.imshow(landscape.values[::step, ::step], norm=norm, rasterized=True)
        image.set(title=title, xticks=[], yticks=[])
        image.spines[:].set_visible(False)
        rows, cols = landscape.shape
        image.set_xlabel(f"{cols} × {rows} pixels" + (", log colours" if norm else ""), fontsize=8)
        _spectrum(ax, *measured[title], *analytic[title])
        ax.set(xlabel="h", ylabel="D(h)" if column == 0 else None, ylim=(bottom, 2.15))
    _legend(axes[1, 0], len(next(iter(measured.values()))[0]))
    return axes


def _spectrum(ax, h, dimension, law_h, law_dimension):
    ax.plot(h.T, dimension.T, "-", color=OURS, linewidth=0.8, alpha=0.8, marker="o", markersize=2.5)
    if np.ptp(law_h) > 0:
        ax.plot(law_h, law_dimension, color=THEORY, linewidth=1.2)
    else:
        ax.plot(law_h[:1], law_dimension[:1], "+", color=THEORY, markersize=11, markeredgewidth=1.5)
    lowest, highest = min(h.min(), np.min(law_h)), max(h.max(), np.max(law_h))
    margin = max(0.05 * (highest - lowest), (_LEAST_EXTENT - (highest - lowest)) / 2)
    ax.set_xlim(lowest - margin, highest + margin)


def _legend(ax, n_realisations):
    each = "one realisation" if n_realisations == 1 else f"{n_realisations} realisations"
    ax.plot(
        [], [], color=OURS, marker="o", markersize=2.5, linewidth=0.8, label=f"measured, {each}"
    )
    ax.plot([], [], color=THEORY, linewidth=1.2, label="analytic (+ : a single h)")
    ax.legend(loc="lower center", fontsize=7.5)
