"""Extreme eigenpairs of a symmetric operator by Lanczos iteration, fully reorthogonalised, with an honest stop.

Symbols: Q basis, T the operator seen in it, theta Ritz values, s their vectors in the basis, beta the next coupling.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator

from multifractal.base.checks import one_of, positive_number, require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_generator

_STEPS_BETWEEN_CHECKS = 5


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Eigenpairs(Result):
    """Eigenvalues and eigenvectors of a symmetric operator, with what is known of their errors.

    Attributes
    ----------
    values : ndarray, shape (k,), float64
        The most extreme first.
    vectors : ndarray, shape (n, k)
        Unit columns.
    residuals : ndarray, shape (k,), float64
        |H v - theta v|: an eigenvalue lies within it of each value.
    products : int
        How many products with the operator were made.
    converged : bool
        Whether every residual met the tolerance before `max_products`.
    provenance : Provenance
    """

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
    products: int
    converged: bool
    provenance: Provenance


def top_eigenpairs(operator, k, which="LA", tol=1e-3, *, rng=0, start=None, max_products=None):
    """Return the k eigenpairs at one end of the spectrum of a symmetric operator.

    Parameters
    ----------
    operator : scipy LinearOperator or ndarray, shape (n, n)
        Symmetric; a `HessianOperator`, say.
    k : int
        At most n.
    which : {"LA", "SA", "LM"}
        Largest, smallest (most negative), or largest in magnitude, as in scipy's `eigsh`.
    tol : float
        Relative error of the eigenvalues aimed at (our choice 1e-3). Stops when each residual is at most sqrt(tol)
        max(|theta|, 1e-6 |theta_1|), since errors of eigenvalues go with the square of residuals, and no value moved by
        more than a tenth of tol between two checks, 5 steps apart.
    rng : int, SeedSequence or Generator
        For the first vector, and for a new one where the iteration breaks down.
    start : array_like, shape (n,) or (n, m), optional
        First vector, or vectors whose sum is taken: the eigenvectors of an earlier point of a training run save products.
    max_products : int, optional
        Our choice: min(n, 20 k + 100).

    Returns
    -------
    Eigenpairs
        With `converged` False where `max_products` was reached first.

    Raises
    ------
    ValueError
        When the operator is not square, `k` exceeds its size, or a setting is out of its range.

    Notes
    -----
    An eigenvalue that is repeated exactly shows once for each time the iteration breaks down (as it does when few distinct
    eigenvalues are left); clusters of distinct ones are resolved.
    """
    n = checked_operator(operator).shape[0]
    require(
        len(operator.shape) == 2 and operator.shape[1] == n,
        "operator",
        operator.shape,
        "be square",
        "pass a Hessian",
    )
    k = whole_number("k", k)
    require(k <= n, "k", k, f"be at most n = {n}", "ask for fewer")
    one_of("which", which, ("LA", "SA", "LM"))
    tol = positive_number("tol", tol)
    limit = (
        min(n, 20 * k + 100)
        if max_products is None
        else min(n, whole_number("max_products", max_products))
    )
    made_by = Provenance.of("top_eigenpairs", rng=rng, operator=operator, k=k, which=which, tol=tol)
    generator = as_generator(rng)
    lanczos = Lanczos(operator, _first_vector(n, start, generator), limit, generator)
    values, converged = np.full(k, np.nan), False
    while not converged and lanczos.steps < limit:
        lanczos.advance(
            min(limit - lanczos.steps, _STEPS_BETWEEN_CHECKS if lanczos.steps >= k else k)
        )
        before = values
        values, s, residuals = _wanted(*lanczos.ritz(), which, k)
        floor = 1e-6 * np.abs(values[0])
        settled = np.abs(values - before) <= 0.1 * tol * np.maximum(np.abs(values), floor)
        small = residuals <= np.sqrt(tol) * np.maximum(np.abs(values), floor)
        converged = bool(len(values) == k and (settled & small).all()) or lanczos.steps == n
    return Eigenpairs(
        values=values,
        vectors=lanczos.basis[:, : lanczos.steps] @ s.astype(lanczos.basis.dtype),
        residuals=residuals,
        products=lanczos.steps,
        converged=converged,
        provenance=made_by,
    )


class Lanczos:
    """The Lanczos recurrence with Gram-Schmidt applied twice against the whole basis, so that no ghost appears."""

    def __init__(self, operator, first, max_steps, generator):
        self._product = operator.matvec if hasattr(operator, "matvec") else operator.__matmul__
        self._generator = generator
        dtype = np.result_type(getattr(operator, "dtype", np.float64), np.float32)
        self.basis = np.empty((len(first), max_steps), dtype, order="F")
        self._alpha, self._beta = np.zeros(max_steps), np.zeros(max_steps)
        self._next = (first / np.linalg.norm(first)).astype(dtype)
        self.steps = 0

    def advance(self, n_steps):
        """Add `n_steps` vectors to the basis, one product each."""
        for _ in range(n_steps):
            m = self.steps
            self.basis[:, m] = self._next
            w = np.asarray(self._product(self._next), dtype=self.basis.dtype).reshape(-1)
            if not np.isfinite(w).all():
                raise ArithmeticError(
                    f"product {m + 1} with the operator is not finite; check the loss at these weights"
                )
            scale = np.linalg.norm(w)
            self._alpha[m] = float(self._next @ w)
            self.steps += 1
            w = self._orthogonal(w)
            self._beta[m] = np.linalg.norm(w)
            if self.steps < self.basis.shape[1]:
                self._next = self._continue(w, self._beta[m], scale)

    def ritz(self):
        """Return (theta, s, residuals) of all Ritz pairs, ascending."""
        alpha, beta = self._alpha[: self.steps], self._beta[: self.steps]
        theta, s = np.linalg.eigh(np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1))
        return theta, s, beta[-1] * np.abs(s[-1])

    def _continue(self, w, beta, scale):
        if beta > 50 * np.finfo(self.basis.dtype).eps * max(
            scale, np.abs(self._alpha[: self.steps]).max()
        ):
            return w / beta
        # the basis is invariant: go on from a direction it does not hold
        self._beta[self.steps - 1] = 0.0
        w = self._orthogonal(self._generator.standard_normal(len(w)).astype(w.dtype))
        return w / np.linalg.norm(w)

    def _orthogonal(self, w):
        filled = self.basis[:, : self.steps]
        for _ in range(2):
            w = w - filled @ (filled.T @ w)
        return w


def _first_vector(n, start, generator):
    if start is None:
        return generator.standard_normal(n)
    start = np.asarray(start, dtype=np.float64)
    require(
        start.shape[0] == n and start.ndim in (1, 2) and np.isfinite(start).all() and start.any(),
        "start",
        start.shape,
        f"be finite, not zero, and have shape ({n},) or ({n}, m)",
        "pass earlier eigenvectors of the same parameters",
    )
    return start if start.ndim == 1 else start.sum(axis=1)


def _wanted(theta, s, residuals, which, k):
    order = {"LA": np.argsort(-theta), "SA": np.argsort(theta), "LM": np.argsort(-np.abs(theta))}[
        which
    ][:k]
    return theta[order], s[:, order], residuals[order]


def checked_operator(operator):
    """Return `operator`, refusing what cannot be multiplied with vectors of its own length."""
    shape = getattr(operator, "shape", None)
    good = (
        isinstance(operator, LinearOperator | np.ndarray)
        and len(shape) == 2
        and shape[0] == shape[1] > 0
    )
    require(
        good,
        "operator",
        operator,
        "be a square LinearOperator or array",
        "pass for example HessianOperator(problem)",
    )
    return operator
