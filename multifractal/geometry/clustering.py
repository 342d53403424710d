"""Clustering of points: N(R), the mean number of points within R of a centre, its power law and its crossover.

N(R) ~ R^a up to a crossover R0, the size of the cluster, and grows at another pace beyond it (Ly & Gong 2025, Fig. 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multifractal.base.checks import ascending_pair, finite_array, refuse, require
from multifractal.base.chunks import map_chunks
from multifractal.base.kernels import kernel
from multifractal.base.result import Provenance, Result
from multifractal.base.types import Array, ArrayLike, Pair

_CENTRES_PER_CHUNK = 512
_CELLS = 4096  # of the table that gives the first radius to look at
PAPER_RADII = np.geomspace(1, 1024 * np.sqrt(2), 100)


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class ClusteringCurve(Result):
    """N(R) with its two-segment power law.

    Attributes
    ----------
    radii, counts : ndarray, shape (n_radii,), float64
        R in pixels; N(R), the mean over centres of the number of points at a distance < R, the centre itself included.
    power, outer_power : float
        Exponents of the fit below and above the crossover.
    crossover : float
        R0 in pixels, where the two segments meet.
    prefactor : float
        N = prefactor R^power below the crossover.
    fit_range : ndarray, shape (2,), float64
        Radii that were fitted, pixels.
    residual : float
        Root mean square of ln N - ln fit over the fitted radii.
    provenance : Provenance
    """

    radii: np.ndarray
    counts: np.ndarray
    power: float
    outer_power: float
    crossover: float
    prefactor: float
    fit_range: np.ndarray
    residual: float
    provenance: Provenance

    def fit(self, radii: ArrayLike) -> Array:
        """Return the fitted N at `radii` (pixels)."""
        radii = finite_array("radii", radii, dtype=np.float64)
        slope = np.where(radii < self.crossover, self.power, self.outer_power)
        return self.prefactor * self.crossover**self.power * (radii / self.crossover) ** slope


def clustering_curve(
    points: ArrayLike,
    centres: ArrayLike | None = None,
    radii: ArrayLike | None = None,
    *,
    fit_range: Pair | None = None,
) -> ClusteringCurve:
    """Count points around centres as a function of distance, and fit a power law with a crossover.

    Parameters
    ----------
    points : array_like, shape (n, 2)
        All points that are counted, (x, y) in pixels: the paper's are the 3000 lowest minima.
    centres : array_like, shape (m, 2), optional
        Where the circles are drawn: the minima of one basin. Default: `points`.
    radii : array_like, shape (n_radii,), optional
        Positive and increasing, pixels. Default (paper): 100 from 1 to 1024 sqrt(2), equal in log.
    fit_range : (float, float), optional
        Radii that are fitted. Default (our choice): where N lies between 2 and the number of centres (the whole basin is
        counted there), and below half of all points.

    Returns
    -------
    ClusteringCurve

    Raises
    ------
    ValueError
        When shapes do not fit, radii do not increase, or fewer than 4 radii remain for the fit.

    Notes
    -----
    The two segments are straight in log-log and meet at R0; least squares, each radius weighted alike, R0 the best of the
    fitted radii that leave an eighth of them on either side. Where both powers are equal R0 means nothing.

    Examples
    --------
    >>> line = np.column_stack([np.arange(3000.0), np.zeros(3000)])  # of dimension 1
    >>> print(f"{clustering_curve(line, fit_range=(10, 100)).power:.1f}")
    1.0
    """
    points = _as_points("points", points)
    centres = points if centres is None else _as_points("centres", centres)
    radii = PAPER_RADII if radii is None else finite_array("radii", radii, ndim=1, dtype=np.float64)
    require(
        len(radii) and radii[0] > 0 and (np.diff(radii) > 0).all(),
        "radii",
        radii,
        "be positive and increase",
        "sort them",
    )
    counts = _mean_counts(points, centres, radii)
    if fit_range is None:
        low, high = _default_fit_range(radii, counts, min(len(centres), len(points) / 2))
    else:
        low, high = ascending_pair("fit_range", fit_range)
    chosen = (radii >= low) & (radii <= high) & (counts > 0)
    require(
        chosen.sum() >= 4,
        "fit_range",
        (float(low), float(high)),
        "hold at least 4 radii",
        "widen it or add radii",
    )
    power, outer, crossover, prefactor, residual = _two_segments(
        np.log(radii[chosen]), np.log(counts[chosen])
    )
    return ClusteringCurve(
        radii=radii,
        counts=counts,
        power=power,
        outer_power=outer,
        crossover=crossover,
        prefactor=prefactor,
        fit_range=radii[chosen][[0, -1]],
        residual=residual,
        provenance=Provenance.of(
            "clustering_curve", points=points, centres=centres, radii=radii, fit_range=fit_range
        ),
    )


def _as_points(argument: str, points: ArrayLike) -> Array:
    points = finite_array(argument, points, ndim=2, dtype=np.float64)
    if points.shape[1] != 2 or len(points) == 0:
        raise refuse(
            argument, points.shape, "have shape (n, 2), n at least 1", "stack x and y last"
        )
    return np.ascontiguousarray(points)


def _mean_counts(points, centres, radii):
    columns = np.ascontiguousarray(points.T)
    chunks = [
        (
            columns,
            centres[first : first + _CENTRES_PER_CHUNK],
            np.append(radii, np.inf),
            *_table(radii),
        )
        for first in range(0, len(centres), _CENTRES_PER_CHUNK)
    ]
    return np.cumsum(sum(map_chunks(_counts_by_ring, chunks)))[:-1] / len(centres)


def _table(radii):
    """Return cells per pixel, and for each cell of distance the first radius beyond its lower end."""
    per_pixel = _CELLS / radii[-1]
    return per_pixel, np.searchsorted(
        radii, np.arange(_CELLS + 1) / per_pixel * (1 - 1e-12), side="right"
    )


def _default_fit_range(radii, counts, most):
    useful = radii[(counts >= 2) & (counts <= most)]
    return (useful[0], useful[-1]) if len(useful) else (np.inf, -np.inf)


def _two_segments(x, y):
    """Return (slope, outer slope, crossover, prefactor, rms residual) of the best continuous pair of straight lines."""
    least = max(1, len(x) // 8)
    fits = [(*_hinge(x, y, x0), x0) for x0 in x[least:-least]]
    squared, (level, slope, outer), x0 = min(fits, key=lambda fit: fit[0])
    return (
        slope,
        outer,
        float(np.exp(x0)),
        float(np.exp(level - slope * x0)),
        float(np.sqrt(squared / len(x))),
    )


def _hinge(x, y, x0):
    """Return the residual sum of squares and (level at x0, slope below, slope above) of the hinge at x0."""
    basis = np.column_stack([np.ones_like(x), np.minimum(x - x0, 0), np.maximum(x - x0, 0)])
    solution = np.linalg.lstsq(basis, y)[0]
    return float(np.square(y - basis @ solution).sum()), tuple(map(float, solution))


@kernel
def _counts_by_ring(points, centres, radii, cells_per_pixel, first_radius):
    """Count, for each pair, the first radius that exceeds its distance; the last radius is infinite."""
    counts = np.zeros(len(radii), np.int64)
    distance, cell = np.empty(points.shape[1]), np.empty(points.shape[1], np.int32)
    for m in range(len(centres)):
        for n in range(points.shape[1]):  # a loop of its own, for vector registers
            dx, dy = points[0, n] - centres[m, 0], points[1, n] - centres[m, 1]
            distance[n] = np.sqrt(dx * dx + dy * dy)
            cell[n] = np.int32(min(distance[n] * cells_per_pixel, len(first_radius) - 1.0))
        for n in range(points.shape[1]):
            k = first_radius[cell[n]]
            while radii[k] <= distance[n]:
                k += 1
            counts[k] += 1
    return counts
