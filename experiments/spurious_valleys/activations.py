"""The activations whose filters' space is finite: polynomials by their degrees, and any activation on finitely many points.

A filter is the function psi_w(x) = rho(<w, x>). What theorem 8 needs of rho is a set of coordinates in which linear relations
between filters can be read off, and the dimension of the space that all filters span together.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb, factorial, prod

import numpy as np

from multifractal.base.checks import finite_vector, require, whole_number


def filter_dimension(n_inputs, degree):
    """Return D = C(n + d - 1, d), the dimension of the homogeneous polynomials of degree d in n variables."""
    return comb(whole_number("n_inputs", n_inputs) + whole_number("degree", degree, 0) - 1, degree)


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


@dataclass(frozen=True)
class Polynomial:
    """rho(z) = sum_d coefficients[d] z^d: the filters span the polynomials of the degrees whose coefficient is not zero.

    Their dimension is the sum of C(n + d - 1, d) over these degrees, whatever the data.
    """

    coefficients: tuple

    def __post_init__(self):
        values = finite_vector("coefficients", self.coefficients)
        require(values.any(), "coefficients", values, "have one that is not zero", "pass (0, 0, 1)")
        object.__setattr__(self, "coefficients", tuple(values.tolist()))

    @property
    def degrees(self):
        """The degrees whose coefficient is not zero."""
        return [degree for degree, value in enumerate(self.coefficients) if value]

    def __call__(self, products):
        """Return rho of each entry."""
        return np.polynomial.polynomial.polyval(products, self.coefficients)

    def filters(self, hidden, inputs):
        """Return coordinates (p, D) of the filters of `hidden` (p, n); `inputs` do not matter."""
        return np.hstack([self.coefficients[d] * monomials(hidden, d) for d in self.degrees])

    def functions(self, inputs):
        """Return a basis of all filters' span at the inputs, shape (n_samples, D)."""
        return np.hstack([monomials(inputs, d) for d in self.degrees])

    def dimension(self, inputs):
        """Return the dimension of the filters' span."""
        return sum(filter_dimension(inputs.shape[1], d) for d in self.degrees)


def power(degree):
    """Return the activation z^degree."""
    return Polynomial((0.0,) * whole_number("degree", degree) + (1.0,))


@dataclass(frozen=True)
class OnPoints:
    """Any activation, on the N points of a sample: filters are compared by their values there, so that D is at most N.

    This is what theorem 8 says of generic activations: a risk over N points has no spurious valley once p >= N. For ReLU the
    dimension is N when no two inputs are parallel, since relu(<w, x>), as a function of w, has its kink where <w, x> = 0.
    """

    function: object

    def __call__(self, products):
        """Return rho of each entry."""
        return self.function(products)

    def filters(self, hidden, inputs):
        """Return the filters' values at the points, shape (p, N)."""
        return self.function(hidden @ inputs.T)

    def functions(self, inputs):
        """Return a basis of all functions on the points, shape (N, N)."""
        return np.eye(len(inputs))

    def dimension(self, inputs):
        """Return N."""
        return len(inputs)


def relu(products):
    """Return max(z, 0)."""
    return np.maximum(products, 0)


RELU = OnPoints(relu)


def as_activation(activation):
    """Return the activation for a whole number (a power), or the one given."""
    return activation if hasattr(activation, "filters") else power(activation)
