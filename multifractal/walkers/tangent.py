"""Descent on a field with tangent vectors carried along, and the largest curvature where it goes.

One step x -> x - lr g(x) takes a tangent vector v to v - lr H(x) v, H the Hessian: exact, and without forming it. Vectors are
made orthonormal again at each step (Benettin et al., Meccanica 15, 1980); their mean log growth gives the first exponents.
"""

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from multifractal.base.checks import real_array, require
from multifractal.base.chunks import map_chunks
from multifractal.base.elementary import log_of
from multifractal.base.kernels import kernel
from multifractal.landscapes.fields import FractalField

_DENSE = 48  # coordinates up to which the whole Hessian is formed (our choice: about as many products as Lanczos takes)


def carry(field, starts, rates, n_steps, burn_in, n_vectors, visit=None):
    """Descend from `starts` (n, d) at `rates` (n,) and return the first exponents, (n, n_vectors), largest first.

    `visit(t, positions)` is called with the positions (n, d) after t = 0, 1, ..., n_steps steps. A walker that leaves the
    field's reach stops there: its positions and exponents are NaN.
    """
    require_products(field)
    position, moving = starts.copy(), np.arange(len(starts))
    vectors = np.broadcast_to(
        _first_vectors(n_vectors, starts.shape[1]), (len(starts), n_vectors, starts.shape[1])
    )
    vectors, growth = vectors.copy(), np.zeros((len(starts), n_vectors))
    for t in range(n_steps):
        if visit is not None:
            visit(t, position)
        if not len(moving):
            continue
        x, v = position[moving], vectors[moving]
        gradient, product = derivatives(field, x, v)
        v -= rates[moving, None, None] * product
        vectors[moving] = v
        position[moving] = x - rates[moving, None] * gradient
        _orthonormalise(vectors, growth, t >= burn_in)
        lost = moving[~(np.abs(position[moving]).max(axis=1) < field.reach)]
        position[lost] = vectors[lost] = growth[lost] = np.nan
        moving = np.setdiff1d(moving, lost)
    if visit is not None:
        visit(n_steps, position)
    return growth / (n_steps - burn_in)


def derivatives(field, x, v):
    """Return the gradients (n, d) at points `x` and the Hessian times each point's vectors `v`, (n, k, d)."""
    if isinstance(field, FractalField):  # whose bits do not depend on the other points
        return field.gradient_and_hessian_products(x, v)
    gradients = np.array([field.value_and_gradient(point.copy())[1] for point in x])
    products = [
        [field.hessian_product(p.copy(), one.copy()) for one in vs]
        for p, vs in zip(x, v, strict=True)
    ]
    return gradients, np.array(products)


def top_curvature(field, point, which="LA", tol=1e-6):
    """Return the largest eigenvalue of the Hessian at a point (d,), or with "LM" the largest by size, as a number.

    From the whole Hessian in few dimensions, by Lanczos to a relative `tol` in many. NaN at a point that is not finite.
    """
    d = len(point)
    if not np.isfinite(point).all():
        return np.nan
    if d <= _DENSE:
        hessian = derivatives(field, point[None], np.eye(d)[None])[1][0]
        values = np.linalg.eigvalsh((hessian + hessian.T) / 2)
        return float(values[-1] if which == "LA" else np.abs(values).max())
    operator = LinearOperator(
        (d, d),
        lambda v: derivatives(field, point[None], v.reshape(1, 1, d))[1][0, 0],
        dtype=np.float64,
    )
    first = _first_vectors(1, d)[0]
    found = eigsh(operator, k=1, which=which, v0=first, tol=tol, return_eigenvectors=False)[0]
    return float(found if which == "LA" else abs(found))


def sharpness_on_field(field, positions, which):
    """Return the top curvature at positions (..., d), refusing what has another shape: (...) float64."""
    require_products(field)
    positions = real_array("positions", positions, dtype=np.float64)
    good = positions.ndim >= 1 and positions.shape[-1] == field.dimension
    rule = f"have shape (..., {field.dimension})"
    require(good, "positions", positions.shape, rule, "stack the coordinates last")
    points = positions.reshape(-1, field.dimension)
    found = map_chunks(top_curvature, [(field, point, which) for point in points])
    return np.array(found, dtype=np.float64).reshape(positions.shape[:-1])


def require_products(field):
    """Refuse a field that cannot multiply its Hessian by a vector."""
    require(
        hasattr(field, "hessian_product"),
        "landscape",
        field,
        "have the method hessian_product(x, v)",
        "return the derivative of the gradient at x along v; multifractal.Field describes it",
    )


def _first_vectors(count, dimension):
    """Return generic orthonormal vectors (count, d), the same at each call."""
    vectors = np.random.default_rng(0).standard_normal((1, count, dimension))
    _orthonormalise(vectors, np.zeros((1, count)), False)
    return vectors[0]


@kernel
def _orthonormalise(vectors, growth, count):
    """Make each walker's vectors orthonormal in their order; add the logarithms of their lengths to `growth` if they count.

    A vector that vanishes has grown by a factor of 0: it starts again along an axis.
    """
    for w in range(len(vectors)):
        for i in range(vectors.shape[1]):
            v = vectors[w, i]
            for _ in range(2):  # once leaves what rounding of a large projection leaves
                for j in range(i):
                    _take_away(v, vectors[w, j])
            length = np.sqrt(_scalar_product(v, v))
            if count:
                growth[w, i] += log_of(length)
            if length == 0:
                v[i % len(v)] = 1.0
                length = 1.0
            for k in range(len(v)):
                v[k] /= length


@kernel
def _take_away(v, direction):
    share = _scalar_product(v, direction)
    for k in range(len(v)):
        v[k] -= share * direction[k]


@kernel
def _scalar_product(a, b):
    total = 0.0
    for k in range(len(a)):
        total += a[k] * b[k]
    return total
