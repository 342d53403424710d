r"""Lower bounds on the rim of a valley that are proved, not found: no path out of it stays below.

The targets of the first subspace are alpha sum_{i <= k} rho(<v_i, z>), z standard normal, and whoever leaves the valley must at
one moment fit them with fewer than k units. For ReLU with |v_i| = 1, expand relu in Hermite polynomials of <v, z>, orthonormal
under z: the part of degree 2m of u relu(<w, z>) is c_2m u |w| (w / |w|)^(x)2m, a symmetric tensor of norm c_2m u |w|, and flattened
to a square matrix of order (dim)^m it has rank 1. So r units give rank r at most, whatever their weights, while the target's matrix has the
singular values of alpha c_2m G_m, G_m = [<v_i, v_j>^m]. By Eckart and Young the squared distance is at least the sum of the
squares of all but the r largest of these. Parts of different degree are orthogonal, so that the bounds of all degrees add up:

    mean square error  >=  alpha^2 sum_m c_2m^2 sum_{i > r} lambda_i(G_m)^2.

The risk is half of it, as half of the samples lie in the first subspace. For orthonormal v_i each G_m is the identity and
sum_{m >= 1} c_2m^2 = 1/2 - 1/4 - 1/(2 pi): one unit too few costs alpha^2 (pi - 2) / (8 pi), whatever the number of inputs.
"""

import numpy as np
from scipy.special import gammaln

from multifractal.base.checks import finite_array, require, whole_number

_N_DEGREES = 1000  # even degrees added up; each one left out only lowers the bound (our choice)


def even_hermite_squares(n_degrees):
    """Return c_2m^2 for m = 1 to n_degrees: shares of E relu(g)^2 = 1/2, g standard normal, by Hermite degree.

    c_2m = (2m - 3)!! / sqrt(2 pi (2m)!), up to its sign.
    """
    m = np.arange(1, whole_number("n_degrees", n_degrees) + 1)
    log_double_factorial = gammaln(2 * m - 1) - (m - 1) * np.log(2) - gammaln(m)
    return np.exp(2 * log_double_factorial - gammaln(2 * m + 1)) / (2 * np.pi)


def relu_rim_bound(directions, n_units, alpha=2.0, n_degrees=_N_DEGREES):
    """Return a proved lower bound on the risk of `n_units` ReLU units, of any weights, on the first subspace.

    Parameters
    ----------
    directions : array_like, shape (k, n - 1)
        The unit vectors v_i of the target.
    n_units : int
        Of the network, at most k for a bound above 0.
    alpha : float
        Of the target.
    n_degrees : int
        Even degrees that are added up.
    """
    directions = finite_array("directions", directions, 2, np.float64)
    lengths = np.linalg.norm(directions, axis=1)
    require(np.allclose(lengths, 1), "directions", lengths, "have norm 1", "divide by the norms")
    gram = np.clip(directions @ directions.T, -1, 1)
    left_out = max(len(gram) - whole_number("n_units", n_units, 0), 0)
    smallest = np.array(
        [np.sort(np.abs(np.linalg.eigvalsh(gram**m)))[:left_out] for m in 1 + np.arange(n_degrees)]
    )
    rounding = 1e-13 * len(gram)  # of eigenvalues of a matrix of norm at most k
    kept = np.maximum(smallest - rounding, 0)
    return float(alpha**2 / 2 * even_hermite_squares(n_degrees) @ (kept**2).sum(axis=1))


def orthonormal_rim_bound(alpha=2.0):
    """Return alpha^2 (pi - 2) / (8 pi), the bound for orthonormal directions and one unit too few: .1817 at alpha = 2."""
    return alpha**2 * (np.pi - 2) / (8 * np.pi)


def square_rim(n_inputs, alpha=2.0):
    """Return the rim of the valley of z^2, exactly: the least risk of n - 2 units with weights >= 0 on alpha |z|^2, z in R^(n-1).

    The network is z . B z with B >= 0 of rank at most n - 2. With E = alpha I - B, E(z . E z)^2 = 2 |E|^2 + (tr E)^2, a function of
    the eigenvalues of E, one of which is alpha. The others, d, are free up to alpha; by symmetry and convexity they are equal,
    and 2 alpha^2 + 2 (n - 2) d^2 + (alpha + (n - 2) d)^2 is least at d = -alpha / n: 2 alpha^2 (1 + 1 / n), of which half counts.
    """
    return alpha**2 * (1 + 1 / whole_number("n_inputs", n_inputs, 2))
