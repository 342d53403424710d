"""The trace of a symmetric operator from few products, with its standard error: XTrace, or Hutchinson where memory is short.

Symbols: Omega test vectors, Y = A Omega = Q R, S the unit vectors that each leave one test vector's image out of Q.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator

from landscape_viz.curvature.products import Products, checked_operator
from multifractal.base.checks import positive_number, require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_generator
from multifractal.base.statistics import mean_and_error
from multifractal.base.types import Array, Rng

_BUDGET, _BLOCKS = 2e9, 4  # bytes; test vectors, images, basis and what it is made in


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Trace(Result):
    """An unbiased estimate of a trace and its standard error.

    Attributes
    ----------
    value, standard_error : float
    products : int
        How many products with the operator were made.
    method : {"XTrace", "Hutchinson", "exact"}
    provenance : Provenance
    """

    value: float
    standard_error: float
    products: int
    method: str = "XTrace"
    provenance: Provenance


def trace(
    operator: LinearOperator | Array,
    *,
    n_products: int = 32,
    rng: Rng = 0,
    memory_budget: float = _BUDGET,
) -> Trace:
    """Estimate the trace of a symmetric operator.

    Parameters
    ----------
    operator : scipy LinearOperator or ndarray, shape (n, n)
    n_products : int
        Products with the operator, even, at least 4 (our choice 32). From n on the trace is exact: then n products are made.
    rng : int, SeedSequence or Generator
    memory_budget : float
        Bytes that vectors may take (our choice 2e9). XTrace holds 2 n_products of them; where these do not fit, Hutchinson's
        estimate takes its place, with two vectors and as many products, and a larger error where few eigenvalues are large.

    Returns
    -------
    Trace
        `method` says which. The standard error is that of the mean of the leave-one-out estimates, 0 where the trace is exact.
        These share test vectors, so that it is low on steep spectra: true over stated error 1.0 on flat ones, up to 1.3
        measured where a few eigenvalues hold the trace (60 seeds, 32 products). Hutchinson's are independent.

    Raises
    ------
    ValueError
        When `n_products` is odd or below 4, or the budget is not positive.
    ArithmeticError
        When a product with the operator is not finite.

    References
    ----------
    E. N. Epperly, J. A. Tropp, R. J. Webber, "XTrace: making the most of every sample in stochastic trace estimation",
    SIAM J. Matrix Anal. Appl. 45 (2024) 1 (with test vectors uniform on the sphere and residuals normalised).
    M. F. Hutchinson, "A stochastic estimator of the trace of the influence matrix for Laplacian smoothing splines", Comm. Stat.
    Simul. Comput. 19 (1990) 433.

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
    budget = positive_number("memory_budget", memory_budget)
    made_by = Provenance.of("trace", rng=rng, operator=operator, n_products=n_products)
    product, generator = Products(operator), as_generator(rng)
    if n_products >= n:
        value, error, method = _exact(product), 0.0, "exact"
    else:
        fits = _BLOCKS * half * n * product.dtype.itemsize <= budget
        estimates = (_xtrace if fits else _hutchinson)(product, half, generator)
        value, error = float(estimates.mean()), float(mean_and_error(estimates)[1])
        method = "XTrace" if fits else "Hutchinson"
    return Trace(
        value=value,
        standard_error=error,
        products=min(n, n_products),
        method=method,
        provenance=made_by,
    )


def _exact(product):
    return sum(float(product(product.unit(k))[k]) for k in range(product.size))


def _hutchinson(product, half, generator):
    """Return z' A z for vectors of random signs, one at a time: two vectors of memory."""
    vectors = (product.signs(generator) for _ in range(2 * half))
    return np.array([float(vector @ product(vector)) for vector in vectors])


def _xtrace(product, half, generator):
    """Return the leave-one-out estimates."""
    omega = product.rows(half)
    for row in omega:
        row.copy_(product.normal(generator))
        row *= product.size**0.5 / row.norm()
    q, r = torch.linalg.qr(product.of_rows(omega).T)
    small = (r, q.T @ product.of_rows(q.T.contiguous()).T, q.T @ omega.T)
    r, h, w = (matrix.cpu().double().numpy() for matrix in small)
    return _leave_one_out(product.size, r, h, w)


def _leave_one_out(n, r, h, w):
    """Return each estimate tr(P A P) + omega_i' (1 - P) A (1 - P) omega_i, P the projector on Q without image i."""
    half = len(r)
    s = _left_out_directions(r)
    x = w - s * np.sum(s * w, axis=0)
    residual = np.sum(w * r, axis=0) - 2 * np.sum(x * r, axis=0) + np.sum(x * (h @ x), axis=0)
    norms = n - np.sum(x**2, axis=0)  # each test vector has the squared norm n
    dimension = n - half + np.sum(s**2, axis=0)
    return np.trace(h) - np.sum(s * (h @ s), axis=0) + residual * dimension / norms


def _left_out_directions(r):
    """Return unit columns s_i, orthogonal to every column of R but the i-th; 0 where that one depends on the others."""
    inverse = np.linalg.pinv(r, rcond=1e-12)
    independent = np.abs(np.diag(inverse @ r) - 1) < 1e-6
    s = np.where(independent, inverse.T, 0.0)
    return s / np.maximum(np.linalg.norm(s, axis=0), np.finfo(float).tiny)
