"""The spectral density of a symmetric operator by stochastic Lanczos quadrature, and what is read off it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator

from landscape_viz.curvature.lanczos import Lanczos, three_term_recurrence
from landscape_viz.curvature.products import Products, checked_operator
from multifractal.base.checks import finite_vector, positive_number, require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import realisation
from multifractal.base.statistics import mean_and_error, student_interval
from multifractal.base.types import Array, ArrayLike, Rng

_BUDGET = 2e9  # bytes


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class SpectralDensity(Result):
    """Density of eigenvalues: quadrature nodes and weights of each probe, and the same smoothed on a grid.

    Attributes
    ----------
    nodes : ndarray, shape (n_probes, n_steps), float64
        Ritz values, ascending.
    weights : ndarray, shape (n_probes, n_steps), float64
        Adding up to 1 for each probe; steps that were not needed have weight 0.
    grid : ndarray, shape (n_grid,), float64
        Eigenvalues at which the density is given.
    density : ndarray, shape (n_grid,), float64
        Per unit of eigenvalue, Gaussian kernel of width `width`.
    standard_error : ndarray, shape (n_grid,), float64
        Of `density`, from probe to probe.
    width : float
    n : int
        Size of the operator: n times the integral of the density is the number of eigenvalues.
    products : int
    reorthogonalised : bool
        Whether the basis was kept; without it an eigenvalue that was found comes again, as several nodes that share its weight.
    provenance : Provenance
    """

    nodes: np.ndarray
    weights: np.ndarray
    grid: np.ndarray
    density: np.ndarray
    standard_error: np.ndarray
    width: float
    n: int
    products: int
    reorthogonalised: bool = True
    provenance: Provenance

    @property
    def interval(self) -> Array:
        """95 % Student interval of `density` over probes, shape (2, n_grid)."""
        return student_interval(self.density, self.standard_error, len(self.nodes) - 1)

    def moment(self, order: int) -> tuple[float, float]:
        """Return (mean, standard error over probes) of the mean of eigenvalue**order; exact a probe up to 2 n_steps - 1.

        Where the basis was not kept, rounding enters once a Ritz value has converged.
        """
        values = np.sum(self.weights * self.nodes**order, axis=1)
        return float(values.mean()), self.error_of_mean(values)

    def error_of_mean(self, values: Array) -> float:
        """Return the standard error of the mean of one value a probe; 0 where the probes are all n unit vectors."""
        return 0.0 if len(values) == self.n else float(mean_and_error(values)[1])


def spectral_density(
    operator: LinearOperator | Array,
    *,
    n_probes: int = 10,
    n_steps: int = 60,
    width: float | None = None,
    rng: Rng = 0,
    memory_budget: float = _BUDGET,
) -> SpectralDensity:
    """Estimate the density of eigenvalues of a symmetric operator.

    Parameters
    ----------
    operator : scipy LinearOperator or ndarray, shape (n, n)
    n_probes : int
        Rademacher vectors, at least 2 (our choice 10); probe i draws from realisation i of `rng`. From n on the n unit
        vectors serve instead: moments up to 2 n_steps - 1 are then exact and the standard errors 0.
    n_steps : int
        Lanczos steps a probe, one product each, at most n (our choice 60).
    width : float, optional
        Standard deviation of the smoothing kernel; our choice: 1 % of the range of the Ritz values.
    rng : int, SeedSequence or Generator
    memory_budget : float
        Bytes that the basis may take (our choice 2e9): n_steps vectors, fully reorthogonalised. Where these do not fit, the
        three-term recurrence takes its place, with three vectors. It finds converged eigenvalues again and again; their weights
        add up to the right one, so that the density is the same to rounding (measured: 1e-5 of its maximum in float32).

    Returns
    -------
    SpectralDensity
        `reorthogonalised` says which.

    Raises
    ------
    ValueError
        When `n_probes` is below 2, or another count, the width or the budget is not positive.

    References
    ----------
    T. Chen, T. Trogdon, S. Ubaru, "Randomized matrix-free quadrature for spectrum and spectral sum approximation",
    arXiv 2204.01941; A. Greenbaum, "Behavior of slightly perturbed Lanczos and conjugate-gradient recurrences", Linear Algebra
    Appl. 113 (1989) 7: what rounding does to the recurrence.
    """
    n = checked_operator(operator).shape[0]
    n_probes, n_steps = (
        whole_number("n_probes", n_probes, 2),
        min(whole_number("n_steps", n_steps), n),
    )
    made_by = Provenance.of(
        "spectral_density",
        rng=rng,
        operator=operator,
        n_probes=n_probes,
        n_steps=n_steps,
        width=width,
    )
    budget = positive_number("memory_budget", memory_budget)
    product, exact = Products(operator), n_probes >= n
    kept = n_steps * n * product.dtype.itemsize <= budget
    n_probes = min(n_probes, n)
    quadratures = [
        _quadrature(product, n_steps, realisation(rng, i), i if exact else None, kept)
        for i in range(n_probes)
    ]
    nodes, weights = (np.stack(parts) for parts in zip(*quadratures, strict=True))
    span = float(nodes.max() - nodes.min())
    width = (
        positive_number("width", width)
        if width is not None
        else (0.01 * span or 0.01 * abs(nodes.max()) or 0.01)
    )
    grid = np.linspace(nodes.min() - 4 * width, nodes.max() + 4 * width, 1000)
    curves = np.stack([_smoothed(grid, *pair, width) for pair in quadratures])
    error = np.zeros(len(grid)) if exact else mean_and_error(curves, axis=0)[1]
    return SpectralDensity(
        nodes=nodes,
        weights=weights,
        grid=grid,
        density=curves.mean(axis=0),
        standard_error=error,
        width=width,
        n=n,
        products=n_probes * n_steps,
        reorthogonalised=kept,
        provenance=made_by,
    )


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class NegativeEigenvalues(Result):
    """How many eigenvalues lie below -threshold, as counted by the density; and the share of the n they are.

    Attributes
    ----------
    count, standard_error : float
        The number and its standard error, from probe to probe.
    share : float
        Of all n eigenvalues.
    threshold : float
    provenance : Provenance
    """

    count: float
    standard_error: float
    share: float
    threshold: float
    provenance: Provenance


def negative_eigenvalues(density: SpectralDensity, threshold: float) -> NegativeEigenvalues:
    """Estimate the number of eigenvalues below -`threshold`: n times the weight the probes put there.

    Its meaning: directions in which the loss curves down more than the threshold. The bulk around zero of a trained network
    holds many eigenvalues of either sign that are small beside the top one, so the count depends on the threshold; a count
    without a threshold says nothing. A share below about 1 / (n_probes n) cannot be seen.

    Parameters
    ----------
    density : SpectralDensity
    threshold : float
        Positive, in units of the eigenvalues.

    Returns
    -------
    NegativeEigenvalues

    Raises
    ------
    ValueError
        When the threshold is not positive.
    """
    threshold = positive_number("threshold", threshold)
    shares = np.sum(np.where(density.nodes < -threshold, density.weights, 0.0), axis=1)
    made_by = Provenance.of("negative_eigenvalues", density=density, threshold=threshold)
    share, error = float(shares.mean()), density.error_of_mean(shares)
    return NegativeEigenvalues(
        count=density.n * share,
        standard_error=density.n * error,
        share=share,
        threshold=threshold,
        provenance=made_by,
    )


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class ConditionNumber(Result):
    """Ratio of the largest to the smallest |eigenvalue| above a threshold, with the two and the threshold.

    Attributes
    ----------
    value, largest, smallest, threshold : float
    provenance : Provenance
    """

    value: float
    largest: float
    smallest: float
    threshold: float
    provenance: Provenance


def condition_number(eigenvalues: ArrayLike, threshold: float) -> ConditionNumber:
    """Return the ratio of the largest to the smallest |eigenvalue| among those above `threshold` in magnitude.

    Over the whole spectrum a network's condition number is infinite or rounding noise, because its Hessian is singular; this
    one is that of the subspace where the curvature exceeds the threshold, and must be quoted with it.

    Parameters
    ----------
    eigenvalues : array_like, shape (k,)
        All eigenvalues of a small network, or those that were computed.
    threshold : float
        Positive, in units of the eigenvalues.

    Returns
    -------
    ConditionNumber

    Raises
    ------
    ValueError
        When the threshold is not positive, or no eigenvalue is above it.
    """
    threshold = positive_number("threshold", threshold)
    sizes = np.abs(finite_vector("eigenvalues", eigenvalues))
    require(len(sizes) > 0, "eigenvalues", eigenvalues, "not be empty", "pass one at least")
    kept = sizes[sizes > threshold]
    require(
        len(kept) > 0,
        "threshold",
        threshold,
        f"be below the largest |eigenvalue| {sizes.max():.3g}",
        "lower it",
    )
    made_by = Provenance.of("condition_number", eigenvalues=eigenvalues, threshold=threshold)
    return ConditionNumber(
        value=float(kept.max() / kept.min()),
        largest=float(kept.max()),
        smallest=float(kept.min()),
        threshold=threshold,
        provenance=made_by,
    )


def _quadrature(product, n_steps, generator, unit, kept):
    """Return n_steps Ritz values and the squared FIRST components of their vectors, which are the weights."""
    probe = product.signs(generator) if unit is None else product.unit(unit)
    if not kept:
        theta, s = np.linalg.eigh(three_term_recurrence(product, probe, n_steps))
        return theta, s[0] ** 2
    lanczos = Lanczos(product, probe, n_steps, generator)
    lanczos.advance(n_steps)
    theta, s, _ = lanczos.ritz()
    return theta, s[0] ** 2


def _smoothed(grid, nodes, weights, width):
    kernel = np.exp(-0.5 * ((grid[:, None] - nodes) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    return kernel @ weights
