"""The trace of a symmetric operator from few products, with its standard error: XTrace.

Symbols: Omega test vectors, Y = A Omega = Q R, S the unit vectors that each leave one test vector's image out of Q.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator

from landscape_viz.curvature.eigenpairs import checked_operator, finite_product
from multifractal.base.checks import require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_generator
from multifractal.base.statistics import mean_and_error
from multifractal.base.types import Array, Rng


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Trace(Result):
    """An unbiased estimate of a trace and its standard error.

    Attributes
    ----------
    value, standard_error : float
    products : int
        How many products with the operator were made.
    provenance : Provenance
    """

    value: float
    standard_error: float
    products: int
    provenance: Provenance


def trace(operator: LinearOperator | Array, *, n_products: int = 32, rng: Rng = 0) -> Trace:
    """Estimate the trace of a symmetric operator.

    Parameters
    ----------
    operator : scipy LinearOperator or ndarray, shape (n, n)
    n_products : int
        Products with the operator, even, at least 4 (our choice 32). From n on the trace is exact: then n products are made.
    rng : int, SeedSequence or Generator

    Returns
    -------
    Trace
        The standard error is that of the mean of the leave-one-out estimates, 0 where the trace is exact. These share test
        vectors, so that it is low on steep spectra: true over stated error 1.0 on flat ones, up to 1.3 measured where a few
        eigenvalues hold the trace (60 seeds, 32 products).

    Raises
    ------
    ValueError
        When `n_products` is odd or below 4.
    ArithmeticError
        When a product with the operator is not finite.

    References
    ----------
    E. N. Epperly, J. A. Tropp, R. J. Webber, "XTrace: making the most of every sample in stochastic trace estimation",
    SIAM J. Matrix Anal. Appl. 45 (2024) 1 (with test vectors uniform on the sphere and residuals normalised).

    Examples
    --------
    >>> import numpy as np
    >>> from landscape_viz import trace
    >>> found = trace(np.diag(np.arange(10.0)), n_products=20)
    >>> round(found.value, 6)
    45.0
    """
    n = checked_operator(operator).shape[0]
    half, rest = divmod(whole_number("n_products", n_products, 4), 2)
    require(
        rest == 0,
        "n_products",
        n_products,
        "be even",
        "half are spent on random vectors, half on what they span",
    )
    made_by = Provenance.of("trace", rng=rng, operator=operator, n_products=n_products)
    if n_products >= n:
        columns = _columns(operator, np.eye(n))
        return Trace(
            value=float(np.trace(columns)), standard_error=0.0, products=n, provenance=made_by
        )
    omega = as_generator(rng).standard_normal((n, half))
    omega *= np.sqrt(n) / np.linalg.norm(omega, axis=0)
    q, r = np.linalg.qr(_columns(operator, omega))
    estimates = _leave_one_out(omega, q, r, q.T @ _columns(operator, q))
    return Trace(
        value=float(estimates.mean()),
        standard_error=float(mean_and_error(estimates)[1]),
        products=2 * half,
        provenance=made_by,
    )


def _columns(operator, vectors):
    product = finite_product(operator)
    return np.stack([product(v).astype(np.float64) for v in vectors.T], axis=1)


def _leave_one_out(omega, q, r, h):
    """Return each estimate tr(P A P) + omega_i' (1 - P) A (1 - P) omega_i, P the projector on Q without image i."""
    n, half = omega.shape
    s = _left_out_directions(r)
    w = q.T @ omega
    x = w - s * np.sum(s * w, axis=0)
    residual = np.sum(w * r, axis=0) - 2 * np.sum(x * r, axis=0) + np.sum(x * (h @ x), axis=0)
    norms = np.sum(omega**2, axis=0) - np.sum(x**2, axis=0)
    dimension = n - half + np.sum(s**2, axis=0)
    return np.trace(h) - np.sum(s * (h @ s), axis=0) + residual * dimension / norms


def _left_out_directions(r):
    """Return unit columns s_i, orthogonal to every column of R but the i-th; 0 where that one depends on the others."""
    inverse = np.linalg.pinv(r, rcond=1e-12)
    independent = np.abs(np.diag(inverse @ r) - 1) < 1e-6
    s = np.where(independent, inverse.T, 0.0)
    return s / np.maximum(np.linalg.norm(s, axis=0), np.finfo(float).tiny)
