"""Extreme eigenpairs of a symmetric operator by Lanczos iteration, fully reorthogonalised, with an honest stop.

One sequence of Lanczos steps sees each eigenvalue once, however often it is repeated. So each sequence is followed by one from
a fresh random vector on the complement of what was found, until such a sequence finds nothing that belongs to the k. The
residuals are then measured, by one product each.

Symbols: Q basis, T the operator seen in it, theta Ritz values, s their vectors in the basis, beta the next coupling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse.linalg import LinearOperator

from multifractal.base.checks import one_of, positive_number, require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_generator
from multifractal.base.types import Array, ArrayLike, Rng

_STEPS_BETWEEN_CHECKS = 5
_BLOCK = 16  # columns by which a basis grows (our choice)
_RANKS = {"LA": lambda theta: theta, "SA": lambda theta: -theta, "LM": np.abs}


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Eigenpairs(Result):
    """Eigenvalues and eigenvectors of a symmetric operator, with what is known of their errors.

    Attributes
    ----------
    values : ndarray, shape (k,), float64
        The most extreme first; a repeated eigenvalue comes as often as it is repeated.
    vectors : ndarray, shape (n, k)
        Orthonormal columns.
    residuals : ndarray, shape (k,), float64
        |H v - theta v| as measured by a product: an eigenvalue lies within it of each value.
    products : int
        How many products with the operator were made, those that measure the residuals included.
    converged : bool
        Whether each residual met the tolerance and no further copy was left to find before `max_products`.
    provenance : Provenance
    """

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
    products: int
    converged: bool
    provenance: Provenance


def top_eigenpairs(
    operator: LinearOperator | Array,
    k: int,
    which: Literal["LA", "SA", "LM"] = "LA",
    tol: float = 1e-3,
    *,
    rng: Rng = 0,
    start: ArrayLike | None = None,
    max_products: int | None = None,
) -> Eigenpairs:
    """Return the k eigenpairs at one end of the spectrum of a symmetric operator, copies of repeated ones included.

    Parameters
    ----------
    operator : scipy LinearOperator or ndarray, shape (n, n)
        Symmetric; a `HessianOperator`, say.
    k : int
        At most n.
    which : {"LA", "SA", "LM"}
        Largest, smallest (most negative), or largest in magnitude, as in scipy's `eigsh`.
    tol : float
        Relative error of the eigenvalues aimed at (our choice 1e-3). A sequence stops when each residual is at most
        sqrt(tol) max(|theta|, 1e-6 |theta_1|), or within rounding, since errors of eigenvalues go with the square of
        residuals, and no value moved by more than a tenth of tol between two checks, 5 steps apart.
    rng : int, SeedSequence or Generator
        For the first vector, for those of the later sequences, and for a new one where the iteration breaks down.
    start : array_like, shape (n,) or (n, m), optional
        First vector, or vectors whose sum is taken: the eigenvectors of an earlier point of a training run save products.
    max_products : int, optional
        At least 2 k: k to find the pairs and k to measure them. Our choice: 30 k + 150.

    Returns
    -------
    Eigenpairs
        With `converged` False where `max_products` was reached first, or where rounding keeps the residuals above the
        tolerance.

    Raises
    ------
    ValueError
        When the operator is not square, `k` exceeds its size, or a setting is out of its range.
    ArithmeticError
        When a product with the operator is not finite.

    Notes
    -----
    An eigenvalue repeated m times takes m sequences, and one more that finds no further copy. A value found late replaces
    the k-th only where it exceeds it by more than `tol`.

    Examples
    --------
    >>> import numpy as np
    >>> from landscape_viz import top_eigenpairs
    >>> top_eigenpairs(np.diag(np.arange(50.0)), 2).values.round(2).tolist()
    [49.0, 48.0]
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
    one_of("which", which, tuple(_RANKS))
    tol = positive_number("tol", tol)
    most = 30 * k + 150 if max_products is None else whole_number("max_products", max_products)
    require(
        most >= 2 * k,
        "max_products",
        max_products,
        f"be at least 2 k = {2 * k}, k to find the pairs and k to measure them",
        "raise it, or ask for fewer pairs",
    )
    made_by = Provenance.of("top_eigenpairs", rng=rng, operator=operator, k=k, which=which, tol=tol)
    search = _Search(operator, k, _RANKS[which], tol, as_generator(rng), most - k)
    search.sequence(_first_vector(n, start, search.generator))
    while not search.complete and search.left > 0:
        search.sequence(search.generator.standard_normal(n))
    values, vectors, residuals = _measured(operator, search.vectors, search.rank)
    converged = search.complete and search.small(values, residuals, 1e-6 * np.abs(values[0]))
    return Eigenpairs(
        values=values,
        vectors=vectors,
        residuals=residuals,
        products=most - search.left,
        converged=converged,
        provenance=made_by,
    )


class _Search:
    """The k most extreme pairs found so far, and sequences of Lanczos steps for those still missing.

    `left` is the number of products that may still be made; `complete` says that no pair is missing.
    """

    def __init__(self, operator, k, rank, tol, generator, left):
        self._operator, self._k, self.rank, self._tol = operator, k, rank, tol
        self.generator, self.left, self.complete = generator, left, False
        self.values, self.vectors, self._rounding = np.empty(0), None, 0.0

    def sequence(self, first):
        """Run Lanczos steps on the complement of the pairs found, and take in those that belong to the k."""
        room = self._operator.shape[0] - len(self.values)
        limit = min(room, self.left)
        lanczos = Lanczos(self._operator, first, limit, self.generator, self.vectors)
        before, done = np.empty(0), False
        while not done and lanczos.steps < limit:
            steps = _STEPS_BETWEEN_CHECKS if lanczos.steps >= self._k else self._k
            lanczos.advance(min(limit - lanczos.steps, steps))
            theta, s, residuals = lanczos.ritz()
            self._rounding = 10 * np.finfo(lanczos.dtype).eps * np.abs(theta).max()
            wanted = np.argsort(-self.rank(theta), kind="stable")[: self._k]
            new = self._count_of_new(theta[wanted])
            wanted = wanted[: max(new, 1)]  # without a new one the first must settle all the same
            done = self._settled(theta[wanted], before, residuals[wanted]) or lanczos.steps == room
            before = theta[wanted]
        self.left -= lanczos.steps
        self.complete = done and (new == 0 or lanczos.steps == room)
        self._take_in(theta[wanted[:new]], lanczos.combined(s[:, wanted[:new]]))

    def _count_of_new(self, theta):
        """Return how many of these values, in order, belong to the k: each beats one of those found by more than tol."""
        if len(self.values) < self._k:
            return len(theta)
        worst = self.values[::-1][: len(theta)]
        margin = self._tol * np.maximum(np.abs(worst), 1e-6 * np.abs(self.values[0]))
        return int(np.sum(self.rank(theta) > self.rank(worst) + margin))

    def _settled(self, theta, before, residuals):
        # a first sequence must settle all k; a last one need only show that nothing above the k-th is left
        floor = 1e-6 * np.abs(theta[0]) if len(self.values) < self._k else np.abs(self.values[-1])
        if len(theta) != len(before) or len(self.values) + len(theta) < self._k:
            return False
        moves = np.abs(theta - before)
        still = moves <= np.maximum(
            0.1 * self._tol * np.maximum(np.abs(theta), floor), self._rounding
        )
        return bool(still.all()) and self.small(theta, residuals, floor)

    def small(self, theta, residuals, floor):
        """Whether the residuals are within the tolerance, or within rounding of the largest eigenvalue seen."""
        allowed = np.sqrt(self._tol) * np.maximum(np.abs(theta), floor)
        return bool((residuals <= np.maximum(allowed, self._rounding)).all())

    def _take_in(self, theta, vectors):
        if self.vectors is not None:
            vectors = np.concatenate([self.vectors, vectors], axis=1)
        values = np.r_[self.values, theta]
        kept = np.argsort(-self.rank(values), kind="stable")[: self._k]
        self.values, self.vectors = values[kept], vectors[:, kept]


def _measured(operator, vectors, rank):
    """Return (values, vectors, residuals): the best pairs within the span of these vectors, measured by products."""
    product = finite_product(operator)
    images = np.stack([product(v) for v in vectors.T], axis=1).astype(np.float64)
    inside = vectors.T.astype(np.float64) @ images
    theta, s = np.linalg.eigh((inside + inside.T) / 2)
    order = np.argsort(-rank(theta), kind="stable")
    theta, s = theta[order], s[:, order]
    turned = vectors.astype(np.float64) @ s
    residuals = np.linalg.norm(images @ s - turned * theta, axis=0)
    return theta, turned.astype(vectors.dtype), residuals


class Lanczos:
    """The Lanczos recurrence with Gram-Schmidt applied twice against the whole basis, so that no ghost appears.

    With `apart`, orthonormal columns, the operator is that on their complement.
    """

    def __init__(self, operator, first, max_steps, generator, apart=None):
        self._product, self._generator = finite_product(operator), generator
        self.dtype = np.result_type(getattr(operator, "dtype", np.float64), np.float32)
        self._apart = np.empty((len(first), 0), self.dtype) if apart is None else apart
        self._blocks, self._max_steps = [], max_steps  # the basis, 16 columns a block
        self._alpha, self._beta = np.zeros(max_steps), np.zeros(max_steps)
        self.steps = 0
        first = self._orthogonal((first / np.linalg.norm(first)).astype(self.dtype))
        self._next = first / np.linalg.norm(first)

    def advance(self, n_steps):
        """Add `n_steps` vectors to the basis, one product each."""
        for _ in range(n_steps):
            m = self.steps
            self._keep(self._next)
            w = self._product(self._next).astype(self.dtype)
            scale = np.linalg.norm(w)
            self._alpha[m] = float(self._next @ w)
            self.steps += 1
            w = self._orthogonal(w)
            self._beta[m] = np.linalg.norm(w)
            if self.steps < self._max_steps:
                self._next = self._continue(w, self._beta[m], scale)

    def combined(self, s):
        """Return the basis times `s`, shape (n, k): the vectors of Ritz pairs."""
        total = np.zeros((len(self._next), s.shape[1]), self.dtype)
        for k, block in enumerate(self._filled()):
            total += block @ s[_BLOCK * k : _BLOCK * k + block.shape[1]].astype(self.dtype)
        return total

    def ritz(self):
        """Return (theta, s, residuals) of all Ritz pairs, ascending."""
        alpha, beta = self._alpha[: self.steps], self._beta[: self.steps]
        theta, s = np.linalg.eigh(np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1))
        return theta, s, beta[-1] * np.abs(s[-1])

    def _continue(self, w, beta, scale):
        if beta > 50 * np.finfo(self.dtype).eps * max(
            scale, np.abs(self._alpha[: self.steps]).max()
        ):
            return w / beta
        # the basis is invariant: go on from a direction it does not hold
        self._beta[self.steps - 1] = 0.0
        w = self._orthogonal(self._generator.standard_normal(len(w)).astype(w.dtype))
        return w / np.linalg.norm(w)

    def _orthogonal(self, w):
        for _ in range(2):
            w = w - self._apart @ (self._apart.T @ w)
            for block in self._filled():
                w = w - block @ (block.T @ w)
        return w

    def _keep(self, vector):
        """Add a column to the basis, whose memory grows with the steps."""
        column = self.steps % _BLOCK
        if column == 0:
            width = min(_BLOCK, self._max_steps - self.steps)
            self._blocks.append(np.empty((len(vector), width), self.dtype, order="F"))
        self._blocks[-1][:, column] = vector

    def _filled(self):
        """Return the blocks of the basis, each up to its last column that is filled."""
        return [block[:, : self.steps - _BLOCK * k] for k, block in enumerate(self._blocks)]


def finite_product(operator):
    """Return the function v -> operator @ v, which refuses a product that is not finite."""
    product = operator.matvec if hasattr(operator, "matvec") else operator.__matmul__

    def checked(vector):
        image = np.asarray(product(vector)).reshape(-1)
        bad = np.count_nonzero(~np.isfinite(image))
        if bad:
            raise ArithmeticError(
                f"a product with the operator is not finite in {bad} of {image.size} entries; of a Hessian: "
                "look for NaN in the weights, or a loss without second derivative there (sqrt or log at 0)"
            )
        return image

    return checked


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
    """Return `operator`; raise if it cannot be multiplied with vectors of its length."""
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
