"""Geometry of a landscape: its minima, their flatness, the basins they form, and the losses in a basin.

A minimum is strictly below its 4 neighbours, at interior points only. Flatness is F = (l1^2 + l2^2)^(-1/4) with the
eigenvalues l1, l2 of the grid Hessian (`numpy.gradient` applied twice), so 1/F^4 is its squared Frobenius norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from multifractal.base.checks import finite_array, positive_number, require, whole_number
from multifractal.base.chunks import map_chunks
from multifractal.base.kernels import kernel
from multifractal.base.result import Provenance, Result
from multifractal.base.types import Array
from multifractal.landscapes.landscape import LandscapeLike, as_landscape, eigenvalues_inside

_ROWS_PER_CHUNK = 256


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Minima(Result):
    """Local minima of a landscape, lowest first.

    Attributes
    ----------
    positions : ndarray, shape (n, 2), float64
        (x, y) in pixels.
    losses, flatness : ndarray, shape (n,), float64
        The value, and F = (l1^2 + l2^2)^(-1/4) in pixel loss^(-1/2), at each minimum.
    hoelder : ndarray, shape (n,), float64, or None
        The Hoelder exponent that the landscape was built with there, if it is known.
    provenance : Provenance
    """

    positions: np.ndarray
    losses: np.ndarray
    flatness: np.ndarray
    hoelder: np.ndarray | None
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.losses)

    def lowest(self, count: int = 3000) -> Minima:
        """Return the `count` lowest minima (default: paper), or all when there are fewer."""
        return self.at(slice(0, whole_number("count", count)))

    def within(self, box: Sequence[float]) -> Minima:
        """Return the minima in `box`, (x first, x last, y first, y last) in pixels, ends included."""
        x, y = self.positions.T
        return self.at((x >= box[0]) & (x <= box[1]) & (y >= box[2]) & (y <= box[3]))

    def at(self, index: slice | Array) -> Minima:
        """Return the minima at `index`, a slice, mask or array of indices."""
        hoelder = None if self.hoelder is None else self.hoelder[index]
        return replace(
            self,
            positions=self.positions[index],
            losses=self.losses[index],
            flatness=self.flatness[index],
            hoelder=hoelder,
        )


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Basins(Result):
    """Connected components of a set of minima, largest first.

    Attributes
    ----------
    labels : ndarray, shape (n_minima,), int64
        The basin of each minimum, 0 the largest.
    sizes : ndarray, shape (n_basins,), int64
        Minima in each basin.
    smoothness : ndarray, shape (n_basins,), float64
        Mean Hoelder exponent of each basin's minima; where that is unknown their mean log flatness.
    boxes : ndarray, shape (n_basins, 4), int64
        Bounding box of each basin's minima, (x first, x last, y first, y last), in pixels, ends included.
    smoother, rougher : int
        Among the `among` largest basins, the one of largest and the one of smallest smoothness.
    link_length : float
        Minima closer than this belong together, pixels.
    provenance : Provenance
    """

    labels: np.ndarray
    sizes: np.ndarray
    smoothness: np.ndarray
    boxes: np.ndarray
    smoother: int
    rougher: int
    link_length: float
    provenance: Provenance


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class LossHistogram(Result):
    """Histogram of the losses in a box, of its grid points or of its minima.

    Attributes
    ----------
    edges : ndarray, shape (bins + 1,), float64
        In units of the loss, above `reference`.
    counts : ndarray, shape (bins,), int64
        Grid points or minima in each bin.
    box : ndarray, shape (4,), int64
        (x first, x last, y first, y last) in pixels, ends included.
    reference : float
        The loss that `edges` are counted from: 0, or for minima the landscape's global minimum.
    counted : str
        "grid points" or "minima".
    provenance : Provenance
    """

    edges: np.ndarray
    counts: np.ndarray
    box: np.ndarray
    reference: float = 0.0
    counted: str = "grid points"
    provenance: Provenance


def local_minima(landscape: LandscapeLike) -> Minima:
    """Find the local minima of a landscape.

    Parameters
    ----------
    landscape : Landscape or array_like of shape (rows, cols)
        Of any shape.

    Returns
    -------
    Minima
        Lowest first; equal losses in the order of rows, then columns.

    Examples
    --------
    >>> import numpy as np
    >>> from multifractal import local_minima
    >>> y, x = np.mgrid[:21, :21] - 10
    >>> found = local_minima((abs(x) - 5.0) ** 2 + y**2 + 0.1 * x)
    >>> found.positions.tolist()
    [[5.0, 10.0], [15.0, 10.0]]
    """
    landscape = as_landscape(landscape)
    rows = landscape.shape[0]
    found = map_chunks(
        _minima_between,
        [
            (landscape.values, first, min(first + _ROWS_PER_CHUNK, rows - 1))
            for first in range(1, rows - 1, _ROWS_PER_CHUNK)
        ],
    )
    index, losses, flat = map(np.concatenate, zip(*found, strict=True))
    order = _ascending(losses)
    y, x = np.divmod(index, landscape.shape[1])
    hoelder = None if landscape.hoelder is None else landscape.hoelder[y, x][order]
    positions = np.empty((len(index), 2))
    positions[:, 0], positions[:, 1] = x[order], y[order]
    return Minima(
        positions=positions,
        losses=losses[order],
        flatness=flat[order],
        hoelder=hoelder,
        provenance=Provenance.of("local_minima", landscape=landscape),
    )


def flatness(landscape: LandscapeLike) -> Array:
    """Return F = (l1^2 + l2^2)^(-1/4) of the grid Hessian's eigenvalues at every grid point.

    Parameters
    ----------
    landscape : Landscape or array_like of shape (rows, cols)

    Returns
    -------
    ndarray, shape (rows, cols), float64
        In pixel loss^(-1/2); inf where the Hessian is zero.
    """
    landscape = as_landscape(landscape)
    out = np.empty(landscape.shape)
    _flatness_of(*landscape.hessian_eigenvalues, out)
    return out


def basins(minima: Minima, *, link_length: float = 12.0, among: int = 6) -> Basins:
    """Group minima into basins: connected components under a link length.

    Parameters
    ----------
    minima : Minima
        Usually the 3000 lowest.
    link_length : float
        Minima closer than this belong to one basin, pixels. Default: our choice.
    among : int
        The smoother and the rougher basin are looked for among this many of the largest. Default: our choice.

    Returns
    -------
    Basins

    Raises
    ------
    ValueError
        When there are no minima, or `link_length` or `among` is not positive.
    """
    require(
        isinstance(minima, Minima),
        "minima",
        minima,
        "be Minima",
        "pass those of local_minima(landscape)",
    )
    link_length, among = positive_number("link_length", link_length), whole_number("among", among)
    require(
        len(minima) > 0,
        "minima",
        len(minima),
        "hold at least one minimum",
        "pass local_minima(landscape)",
    )
    labels = _components_by_size(minima.positions, link_length)
    sizes = np.bincount(labels)
    quality = np.log(minima.flatness) if minima.hoelder is None else minima.hoelder
    smoothness = np.bincount(labels, quality) / sizes
    largest = smoothness[:among]
    return Basins(
        labels=labels,
        sizes=sizes,
        smoothness=smoothness,
        boxes=_bounding_boxes(minima.positions, labels),
        smoother=int(largest.argmax()),
        rougher=int(largest.argmin()),
        link_length=link_length,
        provenance=Provenance.of("basins", minima=minima, link_length=link_length, among=among),
    )


def loss_histogram(
    landscape: LandscapeLike, box: Any, *, minima: Minima | None = None, bins: int = 50
) -> LossHistogram:
    """Count the losses in a box: of its grid points, or of minima above the landscape's global minimum.

    Parameters
    ----------
    landscape : Landscape or array_like of shape (rows, cols)
    box : sequence of 4 ints
        (x first, x last, y first, y last) in pixels, ends included; e.g. a row of `Basins.boxes`.
    minima : Minima, optional
        Count those of them that lie in the box (paper: of the 3000 lowest) and measure from the global minimum.
    bins : int
        Equal bins from the lowest to the highest loss. Default: our choice.

    Returns
    -------
    LossHistogram

    Raises
    ------
    ValueError
        When the box is empty or leaves the grid, or no minimum lies in it.
    """
    box = finite_array("box", box).astype(np.int64)
    landscape = as_landscape(landscape)
    rows, cols = landscape.shape
    fits = box.shape == (4,) and 0 <= box[0] <= box[1] < cols and 0 <= box[2] <= box[3] < rows
    require(
        fits,
        "box",
        box,
        f"be (x first, x last, y first, y last) within a grid of {rows} rows and {cols} columns",
        "clip it",
    )
    if minima is None:
        reference, inside = 0.0, landscape.values[box[2] : box[3] + 1, box[0] : box[1] + 1]
    else:
        reference, inside = float(landscape.values.min()), minima.within(box).losses
        require(
            len(inside) > 0,
            "box",
            box,
            "hold one of the minima",
            "pass a row of basins(minima).boxes",
        )
    counts, edges = np.histogram(inside - reference, bins=whole_number("bins", bins))
    return LossHistogram(
        edges=edges.astype(np.float64),
        counts=counts,
        box=box,
        reference=reference,
        counted="grid points" if minima is None else "minima",
        provenance=Provenance.of(
            "loss_histogram", landscape=landscape, box=box, minima=minima, bins=bins
        ),
    )


def _minima_between(values, first, stop):
    index = _minima_in_rows(values, first, stop)
    return index, values.ravel()[index].astype(np.float64), _flatness_inside(values, index)


def _ascending(losses):
    order = np.argsort(losses)
    tied = (np.diff(losses[order]) == 0).any()
    # four times slower, and needed for ties only
    return np.argsort(losses, kind="stable") if tied else order


def _components_by_size(positions, link_length):
    pairs = cKDTree(positions).query_pairs(link_length, output_type="ndarray")
    links = coo_array((np.ones(len(pairs), dtype=np.int8), pairs.T), shape=(len(positions),) * 2)
    _, labels = connected_components(links, directed=False)
    rank = np.argsort(np.argsort(-np.bincount(labels), kind="stable"))
    return rank[labels]


def _bounding_boxes(positions, labels):
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    x, y = positions[order].T
    ends = [
        extreme.reduceat(axis, starts) for axis in (x, y) for extreme in (np.minimum, np.maximum)
    ]
    return np.column_stack(ends).astype(np.int64)


@kernel
def _minima_in_rows(values, first, stop):
    n_cols = values.shape[1]
    found = np.empty((stop - first) * (n_cols // 2 + 1), np.int64)
    n = 0
    for j in range(first, stop):
        for i in range(1, n_cols - 1):
            v = values[j, i]
            found[n] = j * n_cols + i
            # no branch: whether a rough point is a minimum cannot be predicted
            n += (
                (v < values[j, i - 1])
                & (v < values[j, i + 1])
                & (v < values[j - 1, i])
                & (v < values[j + 1, i])
            )
    return found[:n].copy()


@kernel
def _flatness_inside(values, index):
    out = np.empty(len(index))
    for k in range(len(index)):
        j, i = divmod(index[k], values.shape[1])
        low, high = eigenvalues_inside(values, j, i)
        out[k] = _flatness(low, high)
    return out


@kernel
def _flatness_of(low, high, out):
    for j in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[j, i] = _flatness(low[j, i], high[j, i])


@kernel
def _flatness(low, high):
    first, second = np.float64(low), np.float64(high)
    squared = first * first + second * second
    return 1 / np.sqrt(np.sqrt(squared)) if squared > 0 else np.inf
