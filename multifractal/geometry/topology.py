"""Topology of a landscape in one to three dimensions: which minima merge where, and how persistent each of them is.

Flood the landscape from below. A basin is born at each minimum; where two basins meet, at a saddle, the one with the higher minimum
ends there (the elder rule): its *persistence* is the height of that saddle above its minimum. The tree of these meetings is the
merge tree. Flooding from above, of the maxima, gives the split tree; both together the contour tree (Carr, Snoeyink & Axen,
Comput. Geom. 24, 2003). Equal values are ordered by their place in the array, so that every image has one answer.

"axis" joins the 2 d neighbours along the axes, as `local_minima` does; "simplicial" also those along the diagonals of one sign
(Freudenthal's triangulation: 6 neighbours in two dimensions, 14 in three), on which merge and split tree belong together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from multifractal.analysis.verdict import verdict_of
from multifractal.base.checks import finite_array, one_of, require
from multifractal.base.kernels import kernel
from multifractal.base.result import Provenance, Result
from multifractal.base.types import Array
from multifractal.landscapes.landscape import LandscapeLike

CONNECTIVITY = ("axis", "simplicial")
_LEAST_SIDE = 16  # pixels that a verdict on roughness needs


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Topology(Result):
    """The merge tree of a landscape and the persistence of its minima.

    Attributes
    ----------
    minima : ndarray, shape (n, d), int64
        Index of each minimum in the array, lowest first.
    births : ndarray, shape (n,), float64
        Its value.
    deaths : ndarray, shape (n,), float64
        The value of the saddle at which its basin is taken over by one with a lower minimum; inf for the lowest of all.
    saddles : ndarray, shape (n, d), int64
        Index of that saddle; -1 for the lowest minimum.
    heirs : ndarray, shape (n,), int64
        The minimum whose basin takes it over there, always a lower one; -1 for the lowest.
    first_saddles : ndarray, shape (n,), float64
        The value of the lowest saddle at which the minimum's basin meets any other; inf if there is no other.
    parents : ndarray, shape (m,), int64
        The merge tree: nodes 0 to n - 1 are the minima, the others saddles; the node above each, -1 for the root.
    node_values : ndarray, shape (m,), float64
        The value at each node.
    volumes : ndarray, shape (n,), int64
        Grid points from which steepest descent leads to each minimum.
    shape : tuple of int
        Of the array.
    connectivity : str
    warnings : tuple of str
        Said of a rough image, whose mean persistence measures the grid; empty otherwise.
    provenance : Provenance
    """

    minima: np.ndarray
    births: np.ndarray
    deaths: np.ndarray
    saddles: np.ndarray
    heirs: np.ndarray
    first_saddles: np.ndarray
    parents: np.ndarray
    node_values: np.ndarray
    volumes: np.ndarray
    shape: tuple
    connectivity: str
    warnings: tuple
    provenance: Provenance

    @property
    def pairs(self) -> Array:
        """(birth, death) of each minimum but the lowest, shape (n - 1, 2): the persistence diagram of dimension 0."""
        return np.column_stack([self.births, self.deaths])[1:]

    @property
    def persistence(self) -> Array:
        """How far each minimum but the lowest lies below the saddle that ends it, shape (n - 1,), units of the loss."""
        return (self.deaths - self.births)[1:]

    def smad(
        self, *, weights: Literal["volume", "persistence"] | None = None, normalize: bool = False
    ) -> float:
        """Return the saddle-minimum average distance: the mean height of a minimum's first saddle above it.

        Parameters
        ----------
        weights : None, "volume" or "persistence"
            None: every minimum counts once, as published with Landscaper (2025). "volume": by the share of grid points
            that descend to it. "persistence": by its persistence, so that ripples of the size of a pixel hardly count
            (the lowest minimum, which has none, by that of the first saddle).
        normalize : bool
            Divide by the range of values of the nodes, root to lowest minimum.

        Returns
        -------
        float
            In units of the loss; 0 with a single minimum. On a rough landscape it falls as pixel^H: it measures the grid.
        """
        if len(self.births) < 2:
            return 0.0
        gaps = self.first_saddles - self.births
        if weights is None:
            mean = gaps.mean()
        else:
            one_of("weights", weights, ("volume", "persistence"))
            share = self.volumes if weights == "volume" else np.r_[gaps[0], self.persistence]
            mean = np.average(gaps, weights=share) if np.sum(share) else 0.0
        height = self.node_values.max() - self.births[0]
        return float(mean / height if normalize and height else mean)

    def simplified(self, persistence: float) -> Array:
        """Return the indices of the minima whose persistence is at least `persistence`, the lowest always among them."""
        return np.flatnonzero(self.deaths - self.births >= persistence)


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class ContourTree(Result):
    """The contour tree of a landscape, reduced to the points where contours appear, meet, part or vanish.

    Attributes
    ----------
    nodes : ndarray, shape (n, d), int64
        Index of each critical point in the array, lowest first.
    values : ndarray, shape (n,), float64
    arcs : ndarray, shape (n - 1, 2), int64
        Lower and upper node of each arc.
    provenance : Provenance
    """

    nodes: np.ndarray
    values: np.ndarray
    arcs: np.ndarray
    provenance: Provenance

    @property
    def degrees(self) -> Array:
        """Arcs that go down and up from each node, shape (n, 2); a minimum has (0, 1), a maximum (1, 0)."""
        n = len(self.values)
        return np.column_stack([np.bincount(self.arcs[:, k], minlength=n) for k in (1, 0)])


def topology(
    landscape: LandscapeLike,
    *,
    connectivity: Literal["axis", "simplicial"] = "axis",
    of: Literal["minima", "maxima"] = "minima",
) -> Topology:
    """Flood a landscape and return its merge tree, the persistence of its minima and the volumes of their basins.

    Parameters
    ----------
    landscape : Landscape, Section or array_like
        One to three dimensions, finite; a `landscape_viz.Section` by its `to_landscape()`.
    connectivity : {"axis", "simplicial"}
        Which grid points are neighbours; see the module. Our choice.
    of : {"minima", "maxima"}
        "maxima" floods from above: the split tree. Values are then negated in the result: births are minus the maxima.

    Returns
    -------
    Topology

    Raises
    ------
    ValueError
        If the landscape is not finite or has more than three dimensions, or a word is not one of those above.

    Examples
    --------
    >>> found = topology([3, 1, 2, 0, 5])
    >>> found.births, found.deaths
    (array([0., 1.]), array([inf,  2.]))
    """
    values = _values_of(landscape)
    one_of("connectivity", connectivity, CONNECTIVITY)
    sign = 1.0 if one_of("of", of, ("minima", "maxima")) == "minima" else -1.0
    flat = sign * values.ravel()
    order = np.argsort(flat, kind="stable")
    minima, pair, heirs, first, saddles, parents, above, volumes = _merge(
        order, *_neighbours(values.shape, connectivity)
    )
    heights = np.append(flat, np.inf)  # index -1 is "never"
    return Topology(
        minima=_indices(minima, values.shape),
        births=flat[minima],
        deaths=heights[pair],
        saddles=_indices(pair, values.shape),
        heirs=heirs,
        first_saddles=heights[first],
        parents=np.concatenate([parents, above]),
        node_values=flat[np.concatenate([minima, saddles])],
        volumes=volumes,
        shape=values.shape,
        connectivity=connectivity,
        warnings=_warnings(values),
        provenance=Provenance.of("topology", landscape=values, connectivity=connectivity, of=of),
    )


def contour_tree(landscape: LandscapeLike) -> ContourTree:
    """Return the contour tree of a landscape on Freudenthal's triangulation of its grid.

    Parameters
    ----------
    landscape : Landscape, Section or array_like
        One to three dimensions, finite.

    Returns
    -------
    ContourTree
        A tree: one arc fewer than nodes. Carr, Snoeyink & Axen (2003), section 4.
    """
    values = _values_of(landscape)
    flat = values.ravel()
    order = np.argsort(flat, kind="stable")
    steps = _neighbours(values.shape, "simplicial")
    joins = _augmented(order, *steps)
    splits = _augmented(order[::-1].copy(), *steps)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    lower, upper = _reduced(order, rank, *_arcs(order, joins, splits))
    kept = np.unique(np.concatenate([rank[lower], rank[upper], rank[order[[0, -1]]]]))
    places = order[kept]
    ends = [np.searchsorted(kept, rank[end]) for end in (lower, upper)]
    return ContourTree(
        nodes=_indices(places, values.shape),
        values=flat[places],
        arcs=np.column_stack(ends),
        provenance=Provenance.of("contour_tree", landscape=values),
    )


def _values_of(landscape):
    if hasattr(landscape, "to_landscape"):  # a section, whose values are its metrics by name
        flat = len(landscape.axes) == 2
        landscape = landscape.to_landscape() if flat else landscape.values["loss"]
    values = finite_array("landscape", getattr(landscape, "values", landscape), dtype=np.float64)
    require(
        1 <= values.ndim <= 3 and values.size > 0,
        "landscape",
        values.shape,
        "have 1 to 3 dimensions",
        "pass a line, an image or a box",
    )
    return np.ascontiguousarray(values)


def _warnings(values):
    """Return what a reader of mean persistences must know: on a rough image they fall with the pixel's size."""
    if values.ndim != 2 or min(values.shape) < _LEAST_SIDE:
        return ()
    verdict = verdict_of(values)
    if verdict.kind != "rough":
        return ()
    return (
        f"the image is {verdict.words}: its minima are as many as the grid resolves, and the mean of their persistence, SMAD "
        f"included, falls as pixel^{verdict.rough_exponent:.2f}; compare images of one sampling only",
    )


def _neighbours(shape, connectivity):
    """Return the shape, always of three axes, and the steps to the neighbours of a point, shape (n, 3)."""
    d = len(shape)
    if connectivity == "axis":
        steps = np.concatenate([np.eye(d, dtype=np.int64), -np.eye(d, dtype=np.int64)])
    else:
        positive = np.array(list(np.ndindex(*(2,) * d)), np.int64)[1:]
        steps = np.concatenate([positive, -positive])
    full = np.zeros((len(steps), 3), np.int64)
    full[:, 3 - d :] = steps
    return np.array((1,) * (3 - d) + tuple(shape), np.int64), full


def _indices(flat, shape):
    """Return the array indices of flat places, shape (n, d); -1 for the place -1."""
    found = np.column_stack(np.unravel_index(np.maximum(flat, 0), shape)).astype(np.int64)
    found[flat < 0] = -1
    return found


@kernel
def _root(tree, point):
    """Return the root of a point in a union-find forest, halving the path on the way."""
    while tree[point] != point:
        tree[point] = tree[tree[point]]
        point = tree[point]
    return point


@kernel
def _neighbour(point, shape, step):
    """Return the flat index of the point one step away; -1 outside the grid."""
    z, rest = divmod(point, shape[1] * shape[2])
    y, x = divmod(rest, shape[2])
    z, y, x = z + step[0], y + step[1], x + step[2]
    if z < 0 or y < 0 or x < 0 or z >= shape[0] or y >= shape[1] or x >= shape[2]:
        return -1
    return (z * shape[1] + y) * shape[2] + x


@kernel
def _merge(order, shape, steps):
    """Flood in `order`; return minima, their pairs, heirs and first saddles, saddles, parents, and volumes.

    Basins are numbered as their minima appear, so a smaller number is an older basin; a saddle's node is stored as
    -2 - its number until the number of minima is known.
    """
    n = len(order)
    rank = np.empty(n, np.int64)
    for k in range(n):
        rank[order[k]] = k
    tree = np.full(n, -1, np.int64)
    oldest = np.empty(n, np.int64)  # at a root: the number of its basin's lowest minimum
    head = np.empty(n, np.int64)  # at a root: the topmost node of its part of the merge tree
    label = np.empty(n, np.int64)  # the minimum that steepest descent ends at
    minima, heirs = np.empty(n, np.int64), np.full(n, -1, np.int64)
    pair, first = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    parents, above = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    saddles, volumes = np.empty(n, np.int64), np.zeros(n, np.int64)
    n_minima = n_saddles = 0
    for k in range(n):
        point = order[k]
        tree[point] = point
        steepest, home, node = k, -1, -1
        for s in range(len(steps)):
            other = _neighbour(point, shape, steps[s])
            if other < 0 or rank[other] > k:
                continue
            if rank[other] < steepest:
                steepest = rank[other]
            basin = _root(tree, other)
            if home < 0:
                home = basin
                tree[point] = home
            elif basin != home:
                if node < 0:  # a second basin: this point is a saddle
                    node = n_saddles
                    saddles[node] = point
                    n_saddles += 1
                    _hang(head[home], node, point, parents, above, first)
                _hang(head[basin], node, point, parents, above, first)
                elder, younger = home, basin
                if oldest[younger] < oldest[elder]:
                    elder, younger = younger, elder
                pair[oldest[younger]] = point
                heirs[oldest[younger]] = oldest[elder]
                tree[younger] = elder
                home = elder
                head[home] = -2 - node
        if home < 0:
            minima[n_minima] = point
            oldest[point] = head[point] = label[point] = n_minima
            n_minima += 1
        else:
            label[point] = label[order[steepest]]
        volumes[label[point]] += 1
    for i in range(n_minima):
        if parents[i] < -1:
            parents[i] = n_minima - 2 - parents[i]
    for i in range(n_saddles):
        if above[i] < -1:
            above[i] = n_minima - 2 - above[i]
    return (
        minima[:n_minima],
        pair[:n_minima],
        heirs[:n_minima],
        first[:n_minima],
        saddles[:n_saddles],
        parents[:n_minima],
        above[:n_saddles],
        volumes[:n_minima],
    )


@kernel
def _hang(child, node, point, parents, above, first):
    """Hang a minimum (0, 1, ...) or a saddle (-2, -3, ...) under saddle `node`."""
    if child >= 0:
        parents[child] = -2 - node
        first[child] = point
    else:
        above[-2 - child] = -2 - node


@kernel
def _augmented(order, shape, steps):
    """Return for each point the next one of its component of the flood in `order`; -1 for the last point of all."""
    n = len(order)
    tree, last, following = (
        np.full(n, -1, np.int64),
        np.empty(n, np.int64),
        np.full(n, -1, np.int64),
    )
    for k in range(n):
        point = order[k]
        tree[point] = last[point] = point
        for s in range(len(steps)):
            other = _neighbour(point, shape, steps[s])
            if other < 0 or tree[other] < 0 or other == point:
                continue
            root = _root(tree, other)
            mine = _root(tree, point)
            if root != mine:
                following[last[root]] = point
                tree[root] = mine
                last[mine] = point
    return following


@kernel
def _next_kept(following, gone, point):
    """Return the next point along a tree that has not been removed, and remember the way."""
    found = following[point]
    while found >= 0 and gone[found]:
        found = following[found]
    while following[point] != found and following[point] >= 0:
        following[point], point = found, following[point]
    return found


@kernel
def _arcs(order, joins, splits):
    """Return the arcs (lower, upper) of the contour tree of all points, by taking leaf after leaf off both trees."""
    n = len(order)
    below, over = (
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
    )  # children in the join and the split tree
    for point in range(n):
        if joins[point] >= 0:
            below[joins[point]] += 1
        if splits[point] >= 0:
            over[splits[point]] += 1
    gone = np.zeros(n, np.bool_)
    queue, size = np.empty(n, np.int64), 0
    for k in range(n):
        if below[order[k]] + over[order[k]] == 1:
            queue[size] = order[k]
            size += 1
    lower, upper = np.empty(n - 1, np.int64), np.empty(n - 1, np.int64)
    done, first = 0, 0
    while done < n - 1:
        leaf = queue[first]
        first += 1
        gone[leaf] = True
        if below[leaf] == 0:  # a minimum of what is left
            other = _next_kept(joins, gone, leaf)
            lower[done], upper[done] = leaf, other
            below[other] -= 1
        else:
            other = _next_kept(splits, gone, leaf)
            lower[done], upper[done] = other, leaf
            over[other] -= 1
        done += 1
        if below[other] + over[other] == 1:
            queue[size] = other
            size += 1
    return lower, upper


@kernel
def _reduced(order, rank, lower, upper):
    """Join arcs that meet at points with one arc down and one up; return the arcs between the other points."""
    n = len(order)
    up, down, next_up = np.zeros(n, np.int64), np.zeros(n, np.int64), np.full(n, -1, np.int64)
    for a in range(len(lower)):
        up[lower[a]] += 1
        down[upper[a]] += 1
        next_up[lower[a]] = upper[a]  # read only where a point has a single arc up
    kept_lower, kept_upper, size = np.empty(len(lower), np.int64), np.empty(len(lower), np.int64), 0
    for a in range(len(lower)):
        if up[lower[a]] == 1 and down[lower[a]] == 1:
            continue
        end = upper[a]
        while up[end] == 1 and down[end] == 1:
            end = next_up[end]
        kept_lower[size], kept_upper[size] = lower[a], end
        size += 1
    return kept_lower[:size], kept_upper[:size]
