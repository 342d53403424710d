"""Theorem 8 made executable: from any start, a path of non-increasing loss to the least loss there is.

The network is U (W x)^d, entry by entry, with hidden weights W of shape (p, n) and output weights U of shape (m, p). Its
filters are the functions psi_w(x) = <w, x>^d, which span the homogeneous polynomials of degree d, of dimension
D = C(n + d - 1, d). With p >= D the path has three legs:

1. the output weights of units whose filter depends on the others go to zero, those of the others make up for it: the
   function, and the loss, do not change;
2. the hidden weights of those units, which no longer count, move until all filters span the whole space: nor does it;
3. the output weights move straight to the least-squares solution: the loss is a convex quadratic on this line, its minimum
   at the end, so that it falls.

The end is a global minimum, because the span holds every function that any network of this kind can be.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb, factorial, prod

import numpy as np
from scipy.linalg import lstsq, qr

from multifractal.base.checks import finite_array, require, whole_number
from multifractal.base.rng import as_generator

RANK_TOLERANCE = 1e-12  # a filter within this, relative, of the span of the others depends on them
_CANDIDATES = 8  # drawn for each new filter, so that the best-conditioned can be chosen


@dataclass(frozen=True)
class RankPath:
    """A path through (hidden, output); `leg` says which of the three legs (0, 1, 2) each point ends.

    Attributes
    ----------
    hidden : ndarray, shape (t, p, n)
    output : ndarray, shape (t, m, p)
    losses : ndarray, shape (t,)
        Mean over samples of the squared distance, summed over outputs.
    leg : ndarray, shape (t,), int
    rank_before : int
    rank_after : int
    dimension : int
        D, the width from which the theorem holds.
    """

    hidden: np.ndarray
    output: np.ndarray
    losses: np.ndarray
    leg: np.ndarray
    rank_before: int
    rank_after: int
    dimension: int

    @property
    def failed_condition(self):
        """Say which condition of the theorem does not hold, or None."""
        width = self.hidden.shape[1]
        if width >= self.dimension:
            return None
        return f"width {width} is below {self.dimension}, the dimension of the space of the filters"

    @property
    def largest_rise(self):
        """The largest rise of the loss from one point to a later one: 0, to rounding, on a non-increasing path."""
        return float(np.max(self.losses - np.minimum.accumulate(self.losses)))


def filter_dimension(n_inputs, degree):
    """Return D = C(n + d - 1, d), the dimension of the homogeneous polynomials of degree d in n variables."""
    return comb(whole_number("n_inputs", n_inputs) + whole_number("degree", degree) - 1, degree)


def monomials(vectors, degree):
    """Return all monomials of `degree`, times the root of their multinomial coefficient, shape (rows, D).

    Then monomials(w) . monomials(x) = <w, x>^degree, so that filters and inputs share these coordinates.
    """
    vectors = np.asarray(vectors)
    terms = list(combinations_with_replacement(range(vectors.shape[1]), degree))
    roots = np.sqrt(
        [factorial(degree) / prod(factorial(term.count(i)) for i in set(term)) for term in terms]
    )
    return np.stack([vectors[:, term].prod(axis=1) for term in terms], axis=1) * roots


def outputs(hidden, output, degree, inputs):
    """Return U (W x)^d for each input, shape (n_samples, m)."""
    return (inputs @ hidden.T) ** degree @ output.T


def loss(hidden, output, degree, inputs, targets):
    """Return the mean over samples of |output - target|^2."""
    return float(np.sum((outputs(hidden, output, degree, inputs) - targets) ** 2) / len(inputs))


def least_loss(inputs, targets, degree):
    """Return the least loss of any network of this kind, of whatever width: least squares on all monomials."""
    features = monomials(inputs, degree)
    return float(np.sum((features @ lstsq(features, targets)[0] - targets) ** 2) / len(inputs))


def rank_path(hidden, output, degree, inputs, targets, *, n_points=50, rng=0):
    """Return the path of theorem 8 from (hidden, output).

    Parameters
    ----------
    hidden : array_like, shape (p, n)
    output : array_like, shape (m, p)
    degree : int
        Of the activation z^degree, at least 1.
    inputs, targets : array_like, shapes (n_samples, n) and (n_samples, m)
    n_points : int
        Points of each leg.
    rng : int, SeedSequence or Generator
        Of the new filters.

    Returns
    -------
    RankPath
        With a width below D too: its end is then the least-squares solution of filters that cannot span the space, and
        `failed_condition` says so.
    """
    hidden, output, inputs, targets = _checked(hidden, output, inputs, targets)
    dimension = filter_dimension(hidden.shape[1], degree)
    features = monomials(hidden, degree)
    kept, spare = independent_rows(features)
    freed = _freed_output(features, output, kept, spare)
    full = _completed(hidden, features, kept, spare, dimension, degree, as_generator(rng))
    start = outputs(full, freed, degree, inputs)
    solved = freed + lstsq((inputs @ full.T) ** degree, targets - start)[0].T
    corners = [(hidden, output), (hidden, freed), (full, freed), (full, solved)]
    t = np.linspace(0, 1, whole_number("n_points", n_points, 2) + 1)[1:, None, None]
    legs = [
        tuple(a + t * (b - a) for a, b in zip(*pair, strict=True))
        for pair in zip(corners, corners[1:], strict=False)
    ]
    all_hidden = np.concatenate([hidden[None], *(leg[0] for leg in legs)])
    all_output = np.concatenate([output[None], *(leg[1] for leg in legs)])
    losses = np.array(
        [loss(w, u, degree, inputs, targets) for w, u in zip(all_hidden, all_output, strict=True)]
    )
    after = len(independent_rows(monomials(full, degree))[0])
    return RankPath(
        all_hidden,
        all_output,
        losses,
        np.repeat([0, 0, 1, 2], [1, *[n_points] * 3]),
        len(kept),
        after,
        dimension,
    )


def independent_rows(rows, tolerance=RANK_TOLERANCE):
    """Return (kept, spare): indices of a maximal set of independent rows, best first, and of the rest.

    Rows are compared by direction (each is scaled to norm 1), zero rows are always spare, and QR with pivoting decides.
    """
    norms = np.linalg.norm(rows, axis=1)
    units = rows / np.where(norms > 0, norms, 1)[:, None]
    triangle, order = qr(units.T, mode="r", pivoting=True)
    rank = int(np.sum(np.abs(np.diag(triangle)) > tolerance))
    return order[:rank], np.sort(order[rank:])


def _freed_output(features, output, kept, spare):
    """Return output weights of the same function in which the spare units have none."""
    freed = output.copy()
    freed[:, spare] = 0
    if len(kept) and len(spare):
        freed[:, kept] += output[:, spare] @ lstsq(features[kept].T, features[spare].T)[0].T
    return freed


def _completed(hidden, features, kept, spare, dimension, degree, generator):
    """Return hidden weights whose spare rows are new filters that complete the span, as far as there are enough."""
    missing = min(dimension - len(kept), len(spare))
    hidden = hidden.copy()
    if missing:
        candidates = generator.standard_normal((_CANDIDATES * missing, hidden.shape[1]))
        rest = monomials(candidates / np.linalg.norm(candidates, axis=1, keepdims=True), degree)
        basis = qr(features[kept].T, mode="economic")[0]
        rest = rest - (rest @ basis) @ basis.T
        chosen = qr(rest.T, mode="r", pivoting=True)[1][:missing]
        hidden[spare[:missing]] = candidates[chosen]
    return hidden


def _checked(hidden, output, inputs, targets):
    arrays = [
        finite_array(name, array, 2, np.float64)
        for name, array in (
            ("hidden", hidden),
            ("output", output),
            ("inputs", inputs),
            ("targets", targets),
        )
    ]
    hidden, output, inputs, targets = arrays
    require(
        output.shape[1] == len(hidden),
        "output",
        output.shape,
        f"have one column for each of {len(hidden)} units",
        "transpose it, or pass the hidden weights that belong to it",
    )
    require(
        inputs.shape[1] == hidden.shape[1],
        "inputs",
        inputs.shape,
        f"have {hidden.shape[1]} columns, as hidden has",
        "pass inputs of the network's dimension",
    )
    require(
        targets.shape == (len(inputs), len(output)),
        "targets",
        targets.shape,
        f"have shape {(len(inputs), len(output))}",
        "pass one target a sample and output",
    )
    return arrays
