"""The curvature-roughness law: the squared Frobenius norm of the grid Hessian against the Hoelder exponent.

Rough ground is curved: E||Hess||_F^2 falls with H as N^(-2H), times a constant that belongs to the difference stencil.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multifractal.base.checks import require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.statistics import mean_and_error
from multifractal.landscapes.landscape import LandscapeLike, as_landscape

_EDGE = 2  # rows and columns at each wall where the twice-applied stencil is one-sided


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class CurvatureRoughness(Result):
    """Squared Frobenius norm of the Hessian against the Hoelder exponent, in bins.

    Attributes
    ----------
    hoelder : ndarray, shape (bins,), float64
        Mean exponent of the grid points in each bin.
    curvature, lower, upper : ndarray, shape (bins,), float64
        Mean of ||Hess||_F^2 in each bin, and its quartiles, in loss^2 / pixel^4.
    counts : ndarray, shape (bins,), int64
        Grid points in each bin.
    exact : ndarray, shape (bins,), float64
        The exact law of the stencil in use, averaged over each bin: what `curvature` should be.
    published_x : ndarray, shape (bins,), float64
        The paper's abscissa r(H) chi^(2H-2), averaged over each bin.
    prefactor, prefactor_error : float
        The fitted m of y = m x with x the paper's abscissa: mean of curvature / published_x over bins, and its standard
        error over bins, in loss^2 / pixel^4. The exact law is not proportional to x, so m depends on the range of H.
    provenance : Provenance
    """

    hoelder: np.ndarray
    curvature: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    counts: np.ndarray
    exact: np.ndarray
    published_x: np.ndarray
    prefactor: float
    prefactor_error: float
    provenance: Provenance


def curvature_roughness(landscape: LandscapeLike, *, bins: int = 20) -> CurvatureRoughness:
    """Average the squared Frobenius norm of the Hessian in bins of the Hoelder exponent, against two laws.

    The exact law of `numpy.gradient` applied twice is in `exact_curvature`, the paper's abscissa in `published_curvature`:
    the latter's constant belongs to another stencil, hence the fitted prefactor. Points within 2 pixels of a wall, where the
    stencil is one-sided, are left out.

    Parameters
    ----------
    landscape : Landscape
        With a Hoelder map, normalised as the surfaces of this package: E|B(u)-B(v)|^2 = (|u-v|/N)^(2H), N the longer side.
    bins : int
        Bins of equal width in log x, x the paper's abscissa; empty ones are left out. Default: our choice.

    Returns
    -------
    CurvatureRoughness

    Raises
    ------
    ValueError
        When the landscape has no Hoelder map or no interior.
    """
    landscape = as_landscape(landscape)
    require(
        landscape.hoelder is not None,
        "landscape.hoelder",
        None,
        "be known",
        "pass Landscape(values, hoelder=...)",
    )
    require(
        min(landscape.shape) > 2 * _EDGE,
        "landscape",
        landscape.shape,
        "be at least 5x5",
        "pass a larger one",
    )
    inner, size = (slice(_EDGE, -_EDGE),) * 2, max(landscape.shape)
    hoelder = np.asarray(landscape.hoelder)[inner].ravel()
    curvature = sum(
        np.square(e[inner], dtype=np.float64) for e in landscape.hessian_eigenvalues
    ).ravel()
    x = published_curvature(hoelder, size)
    index = _log_bins(x, whole_number("bins", bins))
    counts = np.bincount(index)
    mean_of = [
        np.bincount(index, field) / counts
        for field in (hoelder, curvature, exact_curvature(hoelder, size), x)
    ]
    quartiles = np.stack(
        [np.quantile(part, (0.25, 0.75)) for part in _split(curvature, index, counts)], axis=1
    )
    ratios = mean_of[1] / mean_of[3]
    prefactor, error, _ = mean_and_error(ratios)
    return CurvatureRoughness(
        hoelder=mean_of[0],
        curvature=mean_of[1],
        lower=quartiles[0],
        upper=quartiles[1],
        counts=counts,
        exact=mean_of[2],
        published_x=mean_of[3],
        prefactor=float(prefactor),
        prefactor_error=float(error),
        provenance=Provenance.of("curvature_roughness", landscape=landscape, bins=bins),
    )


def exact_curvature(hoelder, size):
    """Return E||Hess||_F^2 = 2^(2H) (16 - 2 2^(2H) - 4 2^H)/16 N^(-2H) of a surface with N = `size`, loss^2 / pixel^4."""
    hoelder = np.asarray(hoelder, dtype=np.float64)
    two = np.exp2(hoelder)
    four = two * two
    return four * (16 - 2 * four - 4 * two) / 16 * float(size) ** (-2 * hoelder)


def published_curvature(hoelder, size):
    """Return the paper's abscissa r(H) chi^(2H-2), r = 16 - 2^(2H+2) + 2^(2H) - 2^(3H-1), chi = 1/`size`."""
    hoelder = np.asarray(hoelder, dtype=np.float64)
    two = np.exp2(hoelder)
    four = two * two
    return (16 - 4 * four + four - four * two / 2) * float(size) ** (2 - 2 * hoelder)


def _log_bins(x, bins):
    """Return the bin of each x among `bins` of equal width in log x, empty bins closed up."""
    edges = np.geomspace(x.min(), x.max(), bins + 1)[1:-1]
    index = np.searchsorted(edges, x)
    return (np.cumsum(np.bincount(index) > 0) - 1)[index]


def _split(values, index, counts):
    # which numpy sorts by its digits, 10 times as fast
    small = index.astype(np.min_scalar_type(len(counts)))
    return np.split(values[np.argsort(small, kind="stable")], np.cumsum(counts)[:-1])
