"""Multifractional Brownian surfaces: fractional Brownian surfaces whose exponent varies from place to place.

Surfaces of K exponents (Chebyshev nodes on the range of the map) are drawn from one noise, and the value at each pixel is
interpolated between them in H by the polynomial through all K; they are added up one after the other, so memory does not
grow with K. K is found beforehand, without a draw, from the mean square error of that interpolation.

Symbols: H Hoelder exponent, H_k nodes, l_k Lagrange polynomials on the nodes, s_H square roots of the eigenvalues of B_H.
"""

from __future__ import annotations

import functools

import numpy as np

from multifractal.base.checks import (
    finite_array,
    float_dtype,
    grid_shape,
    positive_number,
    refuse,
    require,
)
from multifractal.base.chunks import map_chunks
from multifractal.base.elementary import cospi, sinpi
from multifractal.base.kernels import kernel
from multifractal.base.types import Array, ArrayLike, DTypeLike, Rng, Shape
from multifractal.landscapes import brownian
from multifractal.landscapes.brownian import SurfaceNoise
from multifractal.landscapes.landscape import Landscape

_ROWS_PER_CHUNK = 128
_PROXY_SIDE = 64  # the interpolation error is computed on this grid and scaled up by (N / 64)^Hmax,
# which falls short by a factor that grows as log N does: 1.4 at N = 512 on 0.3 to 0.7
_SAFETY = 2.0
_PROBES = 33  # exponents at which the interpolation error is evaluated
_MOST_LEVELS = 80


def paper_hoelder_map(n: Shape = 1024) -> Array:
    """Return the paper's Hoelder map, H(x, y) = 0.5 + 0.2 sin(2 pi x / cols) cos(3 pi y / (2 rows)).

    Parameters
    ----------
    n : int or (rows, cols)
        Size in pixels; 1024 is the paper's, other sizes stretch the same pattern.

    Returns
    -------
    ndarray, shape (rows, cols), float64, between 0.3 and 0.7

    References
    ----------
    Ly & Gong (2025), Methods.
    """
    rows, cols = grid_shape("n", n)
    x, y = np.arange(cols), np.arange(rows)[:, None]
    return 0.5 + 0.2 * sinpi(2 * x / cols) * cospi(1.5 * y / rows)


def mbm_surface(
    hoelder_map: ArrayLike,
    *,
    rng: Rng | None = None,
    dtype: DTypeLike = np.float64,
    tol: float = 1e-4,
    noise: SurfaceNoise | None = None,
) -> Landscape:
    """Draw a multifractional Brownian surface: near each pixel it is a fractional Brownian surface of that pixel's exponent.

    Parameters
    ----------
    hoelder_map : array_like, shape (rows, cols), each at least 4
        The Hoelder exponent at each pixel, in (0, 0.99].
    rng : int, SeedSequence or Generator
        Source of randomness; required unless `noise` is given.
    dtype : float64 (default) or float32
    tol : float
        Largest root-mean-square error of the interpolation in H, in units of N^(-H), which is the rms difference between
        neighbouring pixels; our choice 1e-4.
    noise : SurfaceNoise, optional
        A draw of `surface_noise`, in place of `rng` and `dtype`: surfaces from one draw share their randomness.

    Returns
    -------
    Landscape
        With `.hoelder` set to the map. The value at the first pixel is 0.

    Raises
    ------
    ValueError
        When the map holds NaN, leaves (0, 0.99], is not two-dimensional or too small, or `noise` does not fit it.

    Examples
    --------
    >>> import multifractal as mf
    >>> exponents = mf.paper_hoelder_map(64)
    >>> surface = mf.mbm_surface(exponents, rng=1)
    >>> surface.shape, bool((surface.hoelder == exponents).all())
    ((64, 64), True)
    """
    hoelder = finite_array("hoelder_map", hoelder_map, ndim=2, dtype=np.float64)
    require(
        min(hoelder.shape) >= 4,
        "hoelder_map",
        hoelder.shape,
        "be at least 4x4",
        "pass a larger map",
    )
    lowest, highest = float(hoelder.min()), float(hoelder.max())
    if lowest <= 0 or highest > brownian.LARGEST_HURST:
        raise refuse(
            "hoelder_map",
            np.array([lowest, highest]),
            f"lie in (0, {brownian.LARGEST_HURST}] everywhere",
            "rescale the map",
        )
    tol, dtype = positive_number("tol", tol), float_dtype(dtype)
    noise = brownian.noise_or_draw(
        noise, hoelder.shape, brownian.reach_for(highest, margin=True), rng, dtype
    )
    nodes = level_exponents(hoelder.shape, lowest, highest, noise.reach, tol)
    provenance = brownian.provenance_of("mbm_surface", noise, hoelder_map=hoelder, tol=tol)
    return Landscape(_interpolated(noise, hoelder, nodes), hoelder, provenance=provenance)


@functools.lru_cache(maxsize=32)
def level_exponents(shape, lowest, highest, reach, tol):
    """Return the fewest exponents H_k on [lowest, highest] whose interpolation error is at most `tol` N^(-H)."""
    if highest - lowest < 1e-9:
        return np.array([(lowest + highest) / 2])
    proxy = tuple(max(4, round(side * _PROXY_SIDE / max(shape))) for side in shape)
    growth = _SAFETY * (max(shape) / max(proxy)) ** highest
    for n_levels in range(2, _MOST_LEVELS):
        nodes = chebyshev_nodes(lowest, highest, n_levels)
        if (
            growth * interpolation_error(proxy, nodes, np.linspace(lowest, highest, _PROBES), reach)
            <= tol
        ):
            return nodes
    raise refuse(
        "tol", tol, f"be reachable with fewer than {_MOST_LEVELS} levels", "pass a larger tolerance"
    )


def interpolation_error(shape, nodes, probes, reach):
    """Return the rms error of a value interpolated between `nodes`, in units of N^(-H), at the worst of `probes`."""
    exact = np.array([_amplitudes(shape, hurst, reach) for hurst in probes])
    levels = np.array([_amplitudes(shape, hurst, reach) for hurst in nodes])
    missed = exact - np.array([lagrange(hurst, nodes) for hurst in probes]) @ levels
    return float(np.max(max(shape) ** probes * np.sqrt(2 * np.sum(missed**2, axis=1))))


def chebyshev_nodes(lowest, highest, n_levels):
    """Return the Chebyshev nodes of the first kind on [lowest, highest], descending."""
    half_turns = (2 * np.arange(n_levels) + 1) / (2 * n_levels)
    return (lowest + highest) / 2 + (highest - lowest) / 2 * cospi(half_turns)


def lagrange(hurst, nodes):
    """Return the K Lagrange polynomials on `nodes` at one exponent."""
    return np.array(
        [
            np.prod(np.delete((hurst - nodes) / (node - nodes + (nodes == node)), k))
            for k, node in enumerate(nodes)
        ]
    )


@functools.lru_cache(maxsize=128)
def _amplitudes(shape, hurst, reach):
    """Return s_H, weighted so that the sum of their squares is half the mean square of a surface minus its first value.

    The zero frequency, which the surface does not see, is left out, and the plane at one diagonal's distance is put in.
    """
    side = brownian.torus_side(shape, reach)
    eigenvalues, c2 = brownian.surface_eigenvalues(shape, hurst, reach, side)
    # how often a row of the quarter plane occurs on the torus
    times = np.r_[1.0, np.full(side // 2 - 1, 2.0), 1.0]
    eigenvalues *= np.outer(times, times) / (2 * side**2)
    eigenvalues[0, 0] = c2 / 2
    return (
        np.sqrt(eigenvalues).ravel() * (np.hypot(shape[0] - 1, shape[1] - 1) / max(shape)) ** hurst
    )


def _interpolated(noise, hoelder, nodes):
    values = np.zeros(hoelder.shape, noise.spectrum.real.dtype)
    work = np.empty_like(noise.spectrum)
    for k in range(len(nodes)):
        surface = brownian.level(noise, nodes[k], work)
        map_chunks(
            _add_level,
            [
                (
                    values[first : first + _ROWS_PER_CHUNK],
                    surface[first : first + _ROWS_PER_CHUNK],
                    hoelder[first : first + _ROWS_PER_CHUNK],
                    nodes,
                    k,
                )
                for first in range(0, len(values), _ROWS_PER_CHUNK)
            ],
        )
    return values


@kernel
def _add_level(values, surface, hoelder, nodes, k):
    scale = 1.0
    for i in range(len(nodes)):
        if i != k:
            scale /= nodes[k] - nodes[i]
    for row in range(values.shape[0]):
        for col in range(values.shape[1]):
            weight = scale
            for i in range(len(nodes)):
                if i != k:
                    weight *= hoelder[row, col] - nodes[i]
            values[row, col] += weight * surface[row, col]
