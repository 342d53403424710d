"""The overdamped fractional Langevin equation: memory by a sum of exponentials, potentials, the published path.

Friction remembers the past and the noise is the increments of fractional Brownian motion B of exponent 1 - H, as the
fluctuation-dissipation theorem asks (Ly & Gong 2025, Methods). With alpha = 2 - 2H and g the potential's gradient,

    x_j = x_0 - c1 sum over n = 1 ... j of w(n) g(x_{j-n}) - c2 B_j,      w(n) = n^alpha - (n - 1)^alpha,
    c1 = eta / (Gamma(2H-1) Gamma(3-2H)),      c2 = eta sqrt(2 / (beta Gamma(3-2H) Gamma(2H-1))).

The noise enters with eta^2 / beta and the force with eta, so the effective temperature is eta / beta, not 1 / beta: paths of
different learning rates are at different temperatures.

Symbols: w(n) = sum over nodes l of W_l e^(-s_l (n-1)) for n >= 2, from w(n) = alpha / Gamma(1-alpha) times the integral over
s > 0 of s^(-alpha-1) (1 - e^-s) e^(-s (n-1)); z_l is the memory of node l.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np

from multifractal.base.checks import (
    finite_array,
    finite_number,
    positive_number,
    refuse,
    require,
    whole_number,
)
from multifractal.base.chunks import map_chunks
from multifractal.base.deprecation import FormerName, renamed
from multifractal.base.elementary import exp, log_gamma, power
from multifractal.base.kernels import kernel
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_seed_sequence, realisation
from multifractal.base.types import Array, ArrayLike, Rng
from multifractal.diffusion.potentials import Potential, gradient_of, named_gradient
from multifractal.landscapes.brownian import fbm_path

_ORDER = 10  # of each quadrature panel: the kernel is right to 1e-14 with it
_SWEEPS = 12  # of Jacobi's rotations; 5 or 6 are enough for a matrix of order 10
_LARGEST_RATE = 30.0  # beyond, e^-s is below 1e-13 of the kernel at n = 2
# nodes side by side, so that the compiler can use vector registers without reordering a sum
_LANES = 32


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class LangevinPath(Result, renamed={"eta": "learning_rate"}):
    """One path, or one for each start, of the overdamped fractional Langevin equation.

    Attributes
    ----------
    positions : ndarray, shape of x0 + (n_steps + 1,)
    noise : ndarray, the same shape
        The fractional Brownian paths of exponent 1 - hurst that drove it.
    hurst, learning_rate, beta : float
    provenance : Provenance
    """

    positions: np.ndarray
    noise: np.ndarray
    hurst: float
    learning_rate: float
    beta: float
    provenance: Provenance

    eta = FormerName("learning_rate")


@renamed(eta="learning_rate")
def fractional_langevin(
    gradient: Potential | Callable[[float], float],
    x0: ArrayLike,
    *,
    n_steps: int,
    hurst: float,
    learning_rate: float,
    beta: float,
    rng: Rng | None = None,
    noise: ArrayLike | None = None,
) -> LangevinPath:
    """Integrate the overdamped fractional Langevin equation in one dimension.

    Parameters
    ----------
    gradient : Potential or jitted function of one float
        `HarmonicPotential`, `TiltedWashboard` or `PaperPotential`, or the derivative of a potential of your own, decorated
        with `numba.njit` (compiled once a function, about 0.1 s).
    x0 : float or array_like
        The start, or one start a path.
    n_steps : int
        Steps of unit time; work and memory grow as n_steps (log n_steps).
    hurst : float
        Exponent H of the friction's memory, in (1/2, 1); the noise has exponent 1 - H.
    learning_rate : float
        The mobility, eta in the paper.
    beta : float
        Inverse noise strength; the effective temperature is learning_rate / beta.
    rng : int, SeedSequence or Generator
        Path i draws from realisation i of it. Required unless `noise` is given.
    noise : array_like, shape of x0 + (n_steps + 1,), optional
        B_0 ... B_n of fractional Brownian motion with unit steps, E|B_i - B_j|^2 = |i - j|^(2 - 2 hurst); B_0 is not used.

    Returns
    -------
    LangevinPath

    Raises
    ------
    ValueError
        When `hurst` lies outside (1/2, 1), or the gradient returns NaN or infinity: it says at which step and position.

    Examples
    --------
    >>> import multifractal as mf
    >>> path = mf.fractional_langevin(mf.HarmonicPotential(1e-3), 5.0, n_steps=100, hurst=0.7, learning_rate=1.0, beta=1.0, rng=0)
    >>> path.positions.shape
    (101,)
    """
    starts = finite_array("x0", x0, dtype=np.float64)
    n_steps = whole_number("n_steps", n_steps)
    hurst = finite_number("hurst", hurst)
    require(
        0.5 < hurst < 1,
        "hurst",
        hurst,
        "lie in (1/2, 1)",
        "the equation has no memory of this kind outside",
    )
    rate, beta = positive_number("learning_rate", learning_rate), positive_number("beta", beta)
    driver = gradient_of(gradient)
    noise = _checked_noise(noise, (*starts.shape, n_steps + 1))
    seed = as_seed_sequence(cast(Rng, rng)) if noise is None else None
    provenance = Provenance.of(
        "fractional_langevin",
        rng=rng,
        gradient=gradient,
        x0=starts,
        n_steps=n_steps,
        hurst=hurst,
        learning_rate=rate,
        beta=beta,
        noise=noise,
    )
    positions, paths = np.empty((2, starts.size, n_steps + 1))
    paths[...] = np.nan if noise is None else noise.reshape(paths.shape)
    equation = _Equation(driver, n_steps, hurst, rate, beta)
    stopped = map_chunks(
        equation.integrate,
        [(seed, i, start, paths[i], positions[i]) for i, start in enumerate(starts.reshape(-1))],
    )
    for i, step in enumerate(stopped):
        if step >= 0:
            raise refuse(
                "gradient",
                f"NaN or infinity at step {step} of path {i}, x = {positions[i, step]:.17g}",
                "return finite numbers",
                "take a smaller learning_rate, or a potential that is defined there",
            )
    shape = (*starts.shape, n_steps + 1)
    return LangevinPath(
        positions=positions.reshape(shape),
        noise=paths.reshape(shape),
        hurst=float(hurst),
        learning_rate=rate,
        beta=beta,
        provenance=provenance,
    )


class _Equation:
    """The constants of one call, and the integration of one of its paths."""

    def __init__(self, driver, n_steps, hurst, eta, beta):
        scale, *memory = _memory(hurst, n_steps)
        self.driver, self.exponent = driver, 1 - hurst
        self.kernel_arguments = (eta / scale, eta * np.sqrt(2 / (beta * scale)), *memory)

    def integrate(self, seed, index, start, noise, path):
        """Fill `path`, and `noise` from realisation `index` of `seed` if there is one; return the failing step or -1."""
        if seed is not None:  # fbm_path spans unit time, and a step here is 1
            noise[:] = fbm_path(len(noise), self.exponent, rng=realisation(seed, index)) * power(
                len(noise), self.exponent
            )
        return _integrate(*self.driver, start, noise, *self.kernel_arguments, path)


@functools.lru_cache(maxsize=16)
def _memory(hurst, n_steps):
    """Return Gamma(2H-1) Gamma(3-2H), the decay of each node in a step, and its weight then: 10 kB for a million steps."""
    rates, weights = memory_nodes(2 - 2 * hurst, n_steps)
    scale = exp(log_gamma(2 * hurst - 1) + log_gamma(3 - 2 * hurst))
    return scale, _in_lanes(exp(-rates)), _in_lanes(weights * exp(-rates))


@kernel
def _integrate(own_gradient, kind, numbers, start, noise, c1, c2, decay, weights, path):
    """Fill `path`; return -1, or the step at whose position the gradient was not finite."""
    memory, lanes = np.zeros(decay.shape), np.empty(decay.shape[1])
    path[0] = start
    gradient = 0.0
    for j in range(1, len(noise)):
        before = gradient
        gradient = (
            own_gradient(path[j - 1]) if kind == 0 else named_gradient(kind, numbers, path[j - 1])
        )
        if not np.isfinite(gradient):
            return j - 1
        lanes[:] = 0.0
        for b in range(len(memory)):
            z, fade, weight = memory[b], decay[b], weights[b]
            for i in range(len(lanes)):
                z[i] = z[i] * fade[i] + before
                lanes[i] += weight[i] * z[i]
        past = 0.0
        for i in range(len(lanes)):
            past += lanes[i]
        path[j] = start - c1 * (gradient + past) - c2 * noise[j]
    return -1


def published_noise(n_steps: int, hurst: float, *, seed: int = 0) -> Array:
    """Draw the noise of the paper's path: a Davies-Harte path of the `fbm` package, from a seed of numpy's old generator.

    Parameters
    ----------
    n_steps : int
    hurst : float
        Exponent of the equation, in (1/2, 1).
    seed : int
        Seed of numpy's legacy generator, whose state is put back afterwards; 0 in the paper.

    Returns
    -------
    ndarray, shape (n_steps + 1,), float64
        B_0 = 0 ... B_n, with unit steps.

    Raises
    ------
    ValueError
        When `n_steps` is not positive or `hurst` outside (1/2, 1).
    """
    from fbm import FBM

    n_steps = whole_number("n_steps", n_steps)
    hurst, seed = finite_number("hurst", hurst), whole_number("seed", seed, minimum=0)
    require(
        0.5 < hurst < 1,
        "hurst",
        hurst,
        "lie in (1/2, 1)",
        "pass the exponent of the equation, not of the noise",
    )
    state = np.random.get_state()  # noqa: NPY002  the published path was drawn with the legacy generator
    try:
        np.random.seed(seed)  # noqa: NPY002
        return FBM(n=n_steps, hurst=1 - hurst, length=n_steps, method="daviesharte").fbm()
    finally:
        np.random.set_state(state)  # noqa: NPY002


def memory_nodes(alpha, n_steps):
    """Return rates s_l and weights W_l with n^alpha - (n-1)^alpha = sum_l W_l e^(-s_l (n-1)) for 2 <= n <= n_steps.

    Gauss-Jacobi quadrature with the weight s^(-alpha) on [0, 1/n_steps], Gauss-Legendre on panels that double up to s = 30:
    260 nodes and a relative error of 1e-14 for a million steps.
    """
    edge = 1.0 / n_steps
    points, quadrature = gauss_points(_ORDER, -alpha)
    rates, weights = [edge * points], [power(edge, 1 - alpha) * quadrature]
    points, quadrature = gauss_points(_ORDER, 0.0)
    n_panels = max(0, math.ceil(math.log2(_LARGEST_RATE / edge)))
    edges = np.ldexp(edge, np.arange(n_panels))[:, None]
    panels = edges * (1.0 + points)
    weights.append((edges * quadrature * power(panels, -alpha)).ravel())
    rates = np.concatenate([*rates, panels.ravel()])
    return rates, alpha * exp(-log_gamma(1 - alpha)) * np.concatenate(weights) * _decay(rates)


def _decay(s):
    """Return (1 - e^-s) / s: where s is small by 2 e^(-s/2) sinh(s/2), whose series loses no digits."""
    half_squared, term, series = 0.25 * s * s, np.ones_like(s), np.ones_like(s)
    for n in range(1, 12):
        term = term * half_squared / (2 * n * (2 * n + 1))
        series = series + term
    return np.where(s < 2, exp(-0.5 * s) * series, (1 - exp(-s)) / s)


@kernel
def gauss_points(order, beta):
    """Return points and weights of the Gauss quadrature of s^beta on [0, 1] (kernel): Golub & Welsch (1969), by rotations.

    The points are the eigenvalues of the symmetric matrix of the recurrence of the Jacobi polynomials, and the weights come
    from the first components of its eigenvectors. LAPACK would give other bits on another processor.
    """
    a, vectors = np.zeros((order, order)), np.eye(order)
    for n in range(order):
        total = 2.0 * n + beta
        a[n, n] = 0.5 * (
            1.0 + (beta / (2.0 + beta) if n == 0 else beta * beta / (total * (total + 2.0)))
        )
    for n in range(1, order):
        total, m = 2.0 * n + beta, float(n)
        square = m * m * (m + beta) * (m + beta) / (total * total * (total + 1.0) * (total - 1.0))
        a[n, n - 1] = a[n - 1, n] = np.sqrt(square)
    for _ in range(_SWEEPS):
        for p in range(order):
            for q in range(p + 1, order):
                if a[p, q] != 0.0:
                    _rotate(a, vectors, p, q)
    points, weights = np.empty(order), np.empty(order)
    for n in range(order):
        points[n] = a[n, n]
        weights[n] = vectors[0, n] * vectors[0, n] / (1.0 + beta)
    return points, weights


@kernel
def _rotate(a, vectors, p, q):
    """Turn the plane of axes p and q so that a[p, q] becomes 0 (Jacobi)."""
    theta = (a[q, q] - a[p, p]) / (2.0 * a[p, q])
    t = (1.0 if theta >= 0.0 else -1.0) / (abs(theta) + np.sqrt(theta * theta + 1.0))
    c = 1.0 / np.sqrt(t * t + 1.0)
    s = t * c
    for k in range(len(a)):
        x, y = a[k, p], a[k, q]
        a[k, p], a[k, q] = c * x - s * y, s * x + c * y
    for k in range(len(a)):
        x, y = a[p, k], a[q, k]
        a[p, k], a[q, k] = c * x - s * y, s * x + c * y
    for k in range(len(a)):
        x, y = vectors[k, p], vectors[k, q]
        vectors[k, p], vectors[k, q] = c * x - s * y, s * x + c * y
    a[p, q] = a[q, p] = 0.0


def _checked_noise(noise: ArrayLike | None, shape: tuple[int, ...]) -> Array | None:
    if noise is not None:
        noise = finite_array("noise", noise, dtype=np.float64)
        require(
            noise.shape == shape,
            "noise",
            noise.shape,
            f"have shape {shape}",
            "pass B_0 ... B_n for each start",
        )
    return noise


def _in_lanes(values):
    padded = np.zeros(-(-len(values) // _LANES) * _LANES)
    padded[: len(values)] = values
    return padded.reshape(-1, _LANES)
