"""Figures of a landscape's topology: the persistence diagram, and the merge tree beside its contour map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from multifractal.base.types import Array
from multifractal.figures._style import CONTROL, OURS, PUBLISHED, axes_or_new, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from multifractal.figures._style import ManyAxes
    from multifractal.geometry.topology import Topology
    from multifractal.landscapes.landscape import LandscapeLike


_LEVELS = 20  # contour lines of the map


@styled
def persistence_diagram(found: Topology, *, ax: Axes | None = None) -> Axes:
    """Draw where basins are born and where they end; far above the diagonal are the minima that matter.

    Parameters
    ----------
    found : Topology
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes_or_new(ax)
    birth, death = found.pairs.T
    top = found.node_values.max()
    ax.plot(
        [found.births[0], top],
        [found.births[0], top],
        color=CONTROL,
        linewidth=0.8,
        label="birth = death",
    )
    ax.plot(birth, death, ".", color=OURS, markersize=3, alpha=0.6, label=f"{len(birth):,} minima")
    ax.plot(
        found.births[:1],
        [top],
        "*",
        color=PUBLISHED,
        markersize=10,
        label="lowest minimum (never ends)",
    )
    ax.set(xlabel="loss of the minimum (birth)", ylabel="loss of the saddle that ends it (death)")
    ax.legend(loc="lower right")
    return ax


@styled
def merge_tree(
    found: Topology,
    landscape: LandscapeLike,
    *,
    persistence: float = 0.0,
    axes: ManyAxes | None = None,
) -> Array:
    """Draw a map of an image with its minima, and beside it the tree in which their basins merge.

    Parameters
    ----------
    found : Topology
        Of a two-dimensional image.
    landscape : Landscape or array_like, shape (rows, columns)
        The image it was made of.
    persistence : float
        Leave out minima of smaller persistence, in units of the loss: a rough image has too many to be drawn.
    axes : pair of Axes, optional

    Returns
    -------
    ndarray of Axes, shape (2,)
    """
    axes = axes_or_new(axes, 1, 2)
    kept = found.simplified(persistence)
    values = np.asarray(getattr(landscape, "values", landscape))
    drawn = axes[0].contourf(values, levels=_LEVELS, cmap="gray")
    axes[0].figure.colorbar(drawn, ax=axes[0], label="loss")
    axes[0].plot(*found.minima[kept, ::-1].T, "o", color=OURS, markersize=4)
    axes[0].plot(*found.minima[:1, ::-1].T, "*", color=PUBLISHED, markersize=11)
    axes[0].set(xlabel="x (pixels)", ylabel="y (pixels)", aspect="equal")
    _draw_branches(axes[1], found, kept)
    return axes


def _draw_branches(ax, found, kept):
    """Draw each minimum as an upright from its value to the saddle that ends it, hung on the basin that takes it over."""
    column = _columns(found, kept)
    top = found.node_values.max()
    for minimum, place in column.items():
        end = min(found.deaths[minimum], top)
        ax.plot([place, place], [found.births[minimum], end], color=OURS, linewidth=1)
        if minimum:
            ax.plot([place, column[found.heirs[minimum]]], [end, end], color=OURS, linewidth=1)
        mark = "o" if minimum else "*"
        ax.plot(
            place,
            found.births[minimum],
            mark,
            color=OURS if minimum else PUBLISHED,
            markersize=5 + 6 * (not minimum),
        )
    ax.set(xticks=[], ylabel="loss", xlabel=f"{len(kept)} minima")


def _columns(found, kept):
    """Return the place of each kept minimum along the axis, such that no two branches cross."""
    guests = {int(m): [] for m in kept}
    for minimum in kept[1:]:
        guests[int(found.heirs[minimum])].append(int(minimum))
    order, waiting = [], [int(kept[0])]
    while waiting:
        minimum = waiting.pop()
        order.append(minimum)
        waiting += sorted(guests[minimum], key=lambda m: -found.deaths[m])
    return {minimum: place for place, minimum in enumerate(order)}
