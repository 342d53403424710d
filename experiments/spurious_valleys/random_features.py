"""Random ReLU features with a least-squares output: the errors of all widths from one factorisation.

Inputs x lie on the sphere in R^n, hidden weights (w, b) are uniform on the sphere in R^(n+1), features are relu(<w, x> + b).
Width p uses the first p of the features drawn, so that its Gram matrix is the leading block of the largest one, its
Cholesky factor the leading block of the largest factor, and its forward substitution the first p entries of the largest.
"""

import numpy as np
from scipy.linalg import blas, cholesky, solve_triangular

from multifractal.base.checks import require

_BLOCK = 1000  # rows of features held at a time: 16 MB at width 2048


def on_sphere(n_points, dimension, generator):
    """Return points uniform on the unit sphere, shape (n_points, dimension)."""
    points = generator.standard_normal((n_points, dimension))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def relu_features(inputs, directions):
    """Return relu(<w, x> + b), shape (n_points, p), of inputs (n_points, n) and directions (p, n + 1), the bias last."""
    products = inputs @ directions[:, :-1].T
    products += directions[:, -1]
    return np.maximum(products, 0, out=products)


def teacher_values(inputs, directions, amplitudes):
    """Return each teacher's values, shape (n_points, n_teachers), scaled to variance 1 over `inputs`.

    `amplitudes`, shape (units, n_teachers), are the output weights of the teachers' shared units `directions`.
    """
    rows = [relu_features(part, directions) @ amplitudes for part in _blocks(inputs)]
    values = np.concatenate(rows)
    return values / values.std(axis=0)


def nested_errors(directions, widths, train, test, *, sample_sizes, ridge):
    """Return test errors of the ridge fit at all widths and sample sizes, by one factorisation a sample size.

    The fit minimises mean (features u - y)^2 + ridge |u|^2 over the first `size` training points.

    Parameters
    ----------
    directions : ndarray, shape (p, n + 1)
        Of the features; width w uses the first w.
    widths : sequence of int
        Ascending, the last at most p.
    train, test : (inputs, targets)
        Shapes (n_points, n) and (n_points, n_targets).
    sample_sizes : sequence of int
        Ascending, the last at most the number of training points; the Gram matrix of the larger continues the smaller's.
    ridge : float
        Positive.

    Returns
    -------
    ndarray, shape (len(sample_sizes), len(widths), n_targets)
        Mean squared error over the test points.
    """
    _check(directions, widths, train, sample_sizes, ridge)
    directions = directions[: widths[-1]]
    gram = np.zeros((len(directions),) * 2, order="F")
    moments = np.zeros((len(directions), train[1].shape[1]))
    weights, first = [], 0
    for size in sample_sizes:
        for inputs, targets in zip(*(_blocks(part[first:size]) for part in train), strict=True):
            features = relu_features(inputs, directions)
            gram = blas.dsyrk(1.0, features.T, beta=1.0, c=gram, lower=True, overwrite_c=True)
            moments += features.T @ targets
        weights.append(_all_widths(gram / size, moments / size, widths, ridge))
        first = size
    return _errors(np.concatenate(weights, axis=1), directions, test).reshape(
        len(sample_sizes), len(widths), -1
    )


def _all_widths(gram, moments, widths, ridge):
    """Return the output weights of all widths side by side, zero beyond each width: (p, len(widths) * n_targets)."""
    gram[np.diag_indices_from(gram)] += ridge
    factor = cholesky(gram, lower=True, overwrite_a=True, check_finite=False)
    forward = solve_triangular(factor, moments, lower=True, check_finite=False)
    weights = np.zeros((len(gram), len(widths), moments.shape[1]))
    for k, width in enumerate(widths):
        weights[:width, k] = solve_triangular(
            factor[:width, :width], forward[:width], lower=True, trans="T", check_finite=False
        )
    return weights.reshape(len(gram), -1)


def _errors(weights, directions, test):
    """Return the mean squared error of each column of `weights`; columns go through the targets in turn."""
    total = np.zeros(weights.shape[1])
    for inputs, targets in zip(*map(_blocks, test), strict=True):
        misses = relu_features(inputs, directions) @ weights
        misses -= np.tile(targets, weights.shape[1] // targets.shape[1])
        total += np.einsum("ij,ij->j", misses, misses)
    return total / len(test[0])


def _blocks(rows):
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]


def _check(directions, widths, train, sample_sizes, ridge):
    require(
        list(widths) == sorted(set(widths)) and 1 <= widths[0] and widths[-1] <= len(directions),
        "widths",
        widths,
        f"ascend from at least 1 to at most the {len(directions)} features",
        "draw more features",
    )
    require(
        list(sample_sizes) == sorted(set(sample_sizes))
        and 1 <= sample_sizes[0]
        and sample_sizes[-1] <= len(train[0]),
        "sample_sizes",
        sample_sizes,
        f"ascend from at least 1 to at most {len(train[0])}",
        "draw more points",
    )
    require(
        0 < ridge < np.inf,
        "ridge",
        ridge,
        "be positive, since widths may exceed samples",
        "pass for example 1e-8",
    )
