"""Models whose learning coefficient is known exactly, by algebra: monomials, reduced-rank regression, deep linear networks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

from multifractal.base.checks import require, whole_number


def monomial_coefficient(exponents: Sequence[int]) -> tuple[float, int]:
    """Return (coefficient, multiplicity) of the loss w_1^(2 k_1) ... w_d^(2 k_d) at the origin.

    Parameters
    ----------
    exponents : sequence of int
        k_1, ..., k_d: half the exponent of each weight, at least 0 and not all 0.

    Returns
    -------
    tuple of float and int
        The smallest 1 / (2 k_i), and how many of the weights have it.

    Raises
    ------
    ValueError
        When an exponent is no whole number from 0 on, or all are 0.

    References
    ----------
    S. Watanabe, Algebraic Geometry and Statistical Learning Theory, Cambridge University Press 2009, section 4.5.

    Examples
    --------
    >>> monomial_coefficient([1, 2])
    (0.25, 1)
    """
    halves = [whole_number("exponents", k, 0) for k in exponents]
    require(any(halves), "exponents", halves, "hold one above 0", "pass for example [1, 2]")
    most = max(halves)
    return 1 / (2 * most), halves.count(most)


def linear_network_coefficient(widths: Sequence[int], rank: int) -> tuple[float, int]:
    """Return (coefficient, multiplicity) of a deep linear network whose layers multiply to a matrix of a given rank.

    Parameters
    ----------
    widths : sequence of int
        Units of each layer, input and output included; three of them are reduced-rank regression.
    rank : int
        Of the true matrix, at most the smallest width.

    Returns
    -------
    tuple of float and int
        For the mean squared error, inputs of full rank, and all weights that multiply to the true matrix taken together: the
        coefficient of the most degenerate of them. At weights of another kind the local coefficient is larger.

    Raises
    ------
    ValueError
        With fewer than two widths, or a rank above the smallest.

    References
    ----------
    M. Aoyagi, Neural Networks 172, 2024 (deep linear networks); M. Aoyagi and S. Watanabe, Neural Networks 18, 2005
    (reduced-rank regression).

    Examples
    --------
    >>> linear_network_coefficient([3, 3], rank=2)  # a single matrix: half its entries
    (4.5, 1)
    """
    sizes = [whole_number("widths", width) for width in widths]
    require(len(sizes) >= 2, "widths", sizes, "hold input and output", "pass at least two widths")
    rank = whole_number("rank", rank, 0)
    require(rank <= min(sizes), "rank", rank, f"be at most {min(sizes)}", "no product has more")
    excess = sorted(size - rank for size in sizes)
    chosen = _bottleneck(excess)
    layers = len(chosen) - 1
    total = sum(chosen)
    rest = total - (-(-total // layers) - 1) * layers
    pairs = sum(a * b for a, b in itertools.combinations(chosen, 2))
    found = Fraction(rank * (sizes[0] + sizes[-1]) - rank**2, 2)
    found += Fraction(rest * (layers - rest), 4 * layers) - Fraction(
        total**2 * (layers - 1), 4 * layers
    )
    return float(found + Fraction(pairs, 2)), rest * (layers - rest) + 1


def _bottleneck(excess):
    """Return the smallest of the sorted excess widths, as many as shape the coefficient (Aoyagi 2024, theorem 1)."""
    for count in range(len(excess), 1, -1):
        chosen = excess[:count]
        if sum(chosen) >= (count - 1) * chosen[-1]:
            return chosen
    return excess[:2]
