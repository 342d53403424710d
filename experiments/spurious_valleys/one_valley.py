"""The second half of theorem 8 made executable: from twice the dimension of the filters on, all global minima are connected.

Between two minima A and B of width p >= 2D the path has seven legs. The loss is constant on each: on all but the third the
function does not change, and on the third, a straight line in U between two minima, a convex function cannot rise.

1. A's function moves to at most D units whose filters are independent; the other p - D or more no longer count;
2. among them the filters that carry B's function are copied, each to its own place in B where that is free;
3. the output weights pass from A's function to B's;
4. the places that B's filters still want are free now: they take them;
5. their output weights follow;
6. all other units, which do not count, take B's filters;
7. B's function spreads over B's output weights, the first leg backwards.
"""

from dataclasses import dataclass

import numpy as np

from experiments.spurious_valleys.activations import as_activation
from experiments.spurious_valleys.convex_losses import SQUARE
from experiments.spurious_valleys.rank_path import along, freed_output, losses_along
from multifractal.base.checks import require


@dataclass(frozen=True)
class MinimaPath:
    """A path from one network to another; `leg` says which of the seven legs (0 to 6) each point ends.

    Attributes
    ----------
    hidden : ndarray, shape (t, p, n)
    output : ndarray, shape (t, m, p)
    losses : ndarray, shape (t,)
    leg : ndarray, shape (t,), int
    dimension : int
        D; the width is at least twice as large.
    """

    hidden: np.ndarray
    output: np.ndarray
    losses: np.ndarray
    leg: np.ndarray
    dimension: int

    @property
    def barrier(self):
        """The highest loss above the higher end: 0, to rounding, between two global minima."""
        return float(np.max(self.losses) - max(self.losses[0], self.losses[-1]))


def minima_path(first, second, activation, inputs, targets, *, kind=SQUARE, n_points=20):
    """Return a path between two networks of one width p >= 2D, of constant loss where both are global minima.

    Between other networks the loss on the third leg stays below the higher end, as a convex function does.

    Parameters
    ----------
    first, second : (hidden, output)
        Arrays of shapes (p, n) and (m, p).
    activation, inputs, targets, kind, n_points
        As for `rank_path.rank_path`.
    """
    rho = as_activation(activation)
    (hidden_a, output_a), (hidden_b, output_b) = first, second
    dimension = rho.dimension(inputs)
    require(
        len(hidden_a) == len(hidden_b) >= 2 * dimension,
        "width",
        (len(hidden_a), len(hidden_b)),
        f"be equal and at least {2 * dimension}, twice the dimension of the filters",
        "take wider networks; between D and 2D minima may lie apart",
    )
    freed_a, free = freed_output(rho.filters(hidden_a, inputs), output_a)
    freed_b, spare_b = freed_output(rho.filters(hidden_b, inputs), output_b)
    wanted = np.setdiff1d(np.arange(len(hidden_b)), spare_b)
    places = _places(wanted, free)
    copied = hidden_a.copy()
    copied[places] = hidden_b[wanted]
    passed = np.zeros_like(output_a)
    passed[:, places] = freed_b[:, wanted]
    home = copied.copy()
    home[wanted] = hidden_b[wanted]
    corners = [
        (hidden_a, output_a),
        (hidden_a, freed_a),
        (copied, freed_a),
        (copied, passed),
        (home, passed),
        (home, freed_b),
        (hidden_b, freed_b),
        (hidden_b, output_b),
    ]
    hidden, output, leg = along(corners, n_points)
    losses = losses_along(hidden, output, rho, inputs, targets, kind)
    return MinimaPath(hidden, output, losses, leg, dimension)


def _places(wanted, free):
    """Return a free unit for each wanted one: itself where it is free, else one that nobody wants."""
    others = iter(np.setdiff1d(free, wanted))
    at_home = set(free.tolist())
    return np.array([unit if unit in at_home else next(others) for unit in wanted])
