"""Theorem 8 made executable: from any start, a path of non-increasing loss to the least loss there is.

The network is U rho(W x), entry by entry, with hidden weights W of shape (p, n) and output weights U of shape (m, p). Its
filters are the functions psi_w(x) = rho(<w, x>), which span a space of dimension D: for rho(z) = z^d the homogeneous
polynomials of degree d, D = C(n + d - 1, d); for ReLU on N points at most N (`activations`). With p >= D the path has three legs:

1. the output weights of units whose filter depends on the others go to zero, those of the others make up for it: the
   function, and the loss, do not change;
2. the hidden weights of those units, which no longer count, move until all filters span the whole space: nor does it;
3. the output weights move straight to where the loss is least: it is convex on this line, its minimum at the end, so that
   it falls.

The end is a global minimum, because the span holds every function that any network of this kind can be.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lstsq, qr

from experiments.spurious_valleys.activations import as_activation
from experiments.spurious_valleys.convex_losses import SQUARE
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
        Of the kind that the path was built for.
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
        if width < self.dimension:
            return f"width {width} is below {self.dimension}, the dimension of the space of the filters"
        if self.rank_after < self.dimension:
            return (
                f"the inputs allow only {self.rank_after} of {self.dimension} independent filters"
            )
        return None

    @property
    def largest_rise(self):
        """The largest rise of the loss from one point to a later one: 0, to rounding, on a non-increasing path."""
        return float(np.max(self.losses - np.minimum.accumulate(self.losses)))


def outputs(hidden, output, activation, inputs):
    """Return U rho(W x) for each input, shape (n_samples, m)."""
    return as_activation(activation)(inputs @ hidden.T) @ output.T


def loss(hidden, output, activation, inputs, targets, kind=SQUARE):
    """Return the loss of a network, by default the mean over samples of |output - target|^2."""
    return kind.value(outputs(hidden, output, activation, inputs), targets)


def least_loss(inputs, targets, activation, kind=SQUARE):
    """Return the least loss of any network of this kind, of whatever width: the fit of all functions that filters span."""
    features = as_activation(activation).functions(inputs)
    start = np.zeros((targets.shape[1], features.shape[1]))
    return kind.value(features @ kind.least(features, start, targets).T, targets)


def rank_path(hidden, output, activation, inputs, targets, *, kind=SQUARE, n_points=50, rng=0):
    """Return the path of theorem 8 from (hidden, output).

    Parameters
    ----------
    hidden : array_like, shape (p, n)
    output : array_like, shape (m, p)
    activation : int, Polynomial or OnPoints
        A whole number d >= 1 stands for z^d.
    inputs, targets : array_like, shapes (n_samples, n) and (n_samples, m)
    kind : Square or Logistic
        The loss; logistic takes targets of -1 and 1.
    n_points : int
        Points of each leg.
    rng : int, SeedSequence or Generator
        Of the new filters.

    Returns
    -------
    RankPath
        With a width below D too: its end is then the least of filters that cannot span the space, and
        `failed_condition` says so.
    """
    hidden, output, inputs, targets = _checked(hidden, output, inputs, targets)
    rho = as_activation(activation)
    freed, spare = freed_output(rho.filters(hidden, inputs), output)
    full = completed(hidden, spare, rho, inputs, rng=rng)
    solved = kind.least(rho(inputs @ full.T), freed, targets)
    hiddens, outs, leg = along(
        [(hidden, output), (hidden, freed), (full, freed), (full, solved)], n_points
    )
    losses = losses_along(hiddens, outs, rho, inputs, targets, kind)
    after = len(independent_rows(rho.filters(full, inputs))[0])
    before = len(hidden) - len(spare)
    return RankPath(hiddens, outs, losses, leg, before, after, rho.dimension(inputs))


def along(corners, n_points):
    """Return (hidden (t, p, n), output (t, m, p), leg (t,)) on the straight lines that join networks, `n_points` each."""
    t = np.linspace(0, 1, whole_number("n_points", n_points, 2) + 1)[1:-1, None, None]
    pairs = list(zip(corners, corners[1:], strict=False))
    hidden, output = (
        np.concatenate(
            [corners[0][k][None]]
            + [part for a, b in pairs for part in (a[k] + t * (b[k] - a[k]), b[k][None])]
        )
        for k in (0, 1)
    )
    return hidden, output, np.repeat([0, *range(len(pairs))], [1, *[n_points] * len(pairs)])


def losses_along(hidden, output, activation, inputs, targets, kind=SQUARE):
    """Return the loss of each network of a path, shape (t,)."""
    return np.array(
        [loss(w, u, activation, inputs, targets, kind) for w, u in zip(hidden, output, strict=True)]
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


def freed_output(features, output):
    """Return (output weights of the same function in which units that can be spared have none, indices of these units)."""
    kept, spare = independent_rows(features)
    freed = output.copy()
    freed[:, spare] = 0
    if len(kept) and len(spare):
        freed[:, kept] += output[:, spare] @ lstsq(features[kept].T, features[spare].T)[0].T
    return freed, spare


def completed(hidden, spare, activation, inputs, *, rng=0):
    """Return hidden weights whose `spare` rows are new filters that complete the span, as far as there are enough."""
    generator, kept = as_generator(rng), np.setdiff1d(np.arange(len(hidden)), spare)
    missing = min(activation.dimension(inputs) - len(kept), len(spare))
    hidden = hidden.copy()
    if missing > 0:
        candidates = generator.standard_normal((_CANDIDATES * missing, hidden.shape[1]))
        rest = activation.filters(
            candidates / np.linalg.norm(candidates, axis=1, keepdims=True), inputs
        )
        basis = qr(activation.filters(hidden[kept], inputs).T, mode="economic")[0]
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
