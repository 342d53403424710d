"""Analytic scaling laws of the landscapes: exponents zeta(q), log-cumulants and the spectrum D(h), to measure against.

For a field, mean |increment or wavelet coefficient|^q at scale s grows as s^zeta(q), and zeta(q) = c1 q + c2 q^2/2 + ... in
the log-cumulants; D(h) = min over q of 2 + q h - zeta(q), reached at h = zeta'(q) (Legendre transform).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np

from multifractal.base.checks import finite_array, finite_number, positive_number, require
from multifractal.base.elementary import LN2, exp, power
from multifractal.base.types import Array, ArrayLike


@dataclass(frozen=True)
class ScalingLaw:
    """Base of the laws: `zeta(q)` and its derivative `exponent(q)`; here what follows from them."""

    def zeta(self, q: ArrayLike) -> Array:
        """Return the scaling exponents at orders `q`."""
        raise NotImplementedError

    def exponent(self, q: ArrayLike) -> Array:
        """Return zeta'(q)."""
        raise NotImplementedError

    def spectrum(self, q: ArrayLike) -> tuple[Array, Array]:
        """Return h(q) and D(q), each of the shape of `q`; D is NaN where it would be negative (no such point is seen)."""
        q = finite_array("q", q)
        h = self.exponent(q)
        dimension = 2 + q * h - self.zeta(q)
        return h, np.where(dimension >= 0, dimension, np.nan)


@dataclass(frozen=True)
class LogNormal(ScalingLaw):
    """zeta(q) = c1 q + c2 q^2/2: log-normal cascades and random walks; with c2 = 0 a monofractal of exponent c1.

    Parameters
    ----------
    c1 : float
        The most frequent Hoelder exponent, positive.
    c2 : float
        Minus the variance of the exponents per octave, at most 0: the intermittency.

    Raises
    ------
    ValueError
        When c1 is not positive or c2 is positive (the multipliers' variance -c2 ln 2 would be negative).
    """

    c1: float
    c2: float = 0.0

    def __post_init__(self):
        positive_number("c1", self.c1)
        finite_number("c2", self.c2)
        require(
            -np.inf < self.c2 <= 0,
            "c2",
            self.c2,
            "be at most 0: the variance of the multipliers is -c2 ln 2",
            "pass a negative c2, such as -0.05",
        )

    @property
    def log_cumulants(self) -> Array:
        """c1 to c4."""
        return np.array([self.c1, self.c2, 0.0, 0.0])

    def zeta(self, q: ArrayLike) -> Array:
        """Return the scaling exponents at orders `q`."""
        q = finite_array("q", q)
        return self.c1 * q + self.c2 * q**2 / 2

    def exponent(self, q: ArrayLike) -> Array:
        """Return zeta'(q)."""
        return self.c1 + self.c2 * finite_array("q", q)

    def multipliers(self, generator: np.random.Generator, shape: int | tuple[int, ...]) -> Array:
        """Draw independent multipliers W, ln W normal of mean -c1 ln 2 and variance -c2 ln 2."""
        # abs: -0.0 is no scale
        return exp(generator.normal(-self.c1 * LN2, np.sqrt(abs(self.c2) * LN2), shape))


@dataclass(frozen=True)
class LogPoisson(ScalingLaw):
    """zeta(q) = gamma q + rate (1 - beta^q)/ln 2, of multipliers W = 2^(-gamma) beta^P with P Poisson of mean `rate`.

    Parameters
    ----------
    gamma : float
        Exponent without events: the largest Hoelder exponent for beta > 1, the smallest for beta < 1.
    beta : float
        Factor of one event, positive and not 1.
    rate : float
        Mean number of events an octave, positive.

    Raises
    ------
    ValueError
        When beta or rate is not positive, beta is 1, or the most frequent exponent c1 is not positive.
    """

    gamma: float
    beta: float
    rate: float

    def __post_init__(self):
        positive_number("beta", self.beta)
        positive_number("rate", self.rate)
        finite_number("gamma", self.gamma)
        require(
            self.beta != 1,
            "beta",
            self.beta,
            "differ from 1",
            "pass a factor below 1 for a few strong smooth places",
        )
        require(
            self.log_cumulants[0] > 0,
            "gamma",
            self.gamma,
            "make c1 = gamma - rate ln(beta)/ln 2 positive",
            "pass a larger gamma",
        )

    @property
    def log_cumulants(self) -> Array:
        """c1 to c4: c_n = -rate ln(beta)^n / ln 2, plus gamma in c1."""
        return (
            np.array([self.gamma, 0, 0, 0]) - self.rate * np.log(self.beta) ** np.arange(1, 5) / LN2
        )

    def zeta(self, q: ArrayLike) -> Array:
        """Return the scaling exponents at orders `q`."""
        return (
            self.gamma * np.asarray(q) + self.rate * (1 - self.beta ** finite_array("q", q)) / LN2
        )

    def exponent(self, q: ArrayLike) -> Array:
        """Return zeta'(q)."""
        return self.gamma - self.rate * np.log(self.beta) * self.beta ** finite_array("q", q) / LN2

    def multipliers(self, generator: np.random.Generator, shape: int | tuple[int, ...]) -> Array:
        """Draw independent multipliers W = 2^(-gamma) beta^P."""
        return power(2.0, -self.gamma) * power(self.beta, generator.poisson(self.rate, shape))


@dataclass(frozen=True)
class Multinomial(ScalingLaw):
    """The measure that splits each square in four with given shares: zeta(q) = 2 + tau(q), tau(q) = -log2 sum m_i^q.

    Here mean mu(box)^q over boxes of side s grows as s^zeta(q), and h is the local dimension of the measure.

    Parameters
    ----------
    weights : four floats
        Shares m_i of the mass, positive, of sum 1.

    Raises
    ------
    ValueError
        When there are not four, one is not positive, or their sum is not 1.
    """

    weights: Sequence[float]

    def __post_init__(self):
        weights = finite_array("weights", self.weights, ndim=1)
        good = len(weights) == 4 and (weights > 0).all() and abs(weights.sum() - 1) < 1e-9
        require(
            good, "weights", weights, "be four positive shares of sum 1", "divide them by their sum"
        )
        object.__setattr__(self, "weights", tuple(map(float, weights / weights.sum())))

    @property
    def log_cumulants(self) -> Array:
        """c1 to c4 of zeta around q = 0."""
        cumulants, moments = np.zeros(4), [np.mean(np.log(self.weights) ** n) for n in range(5)]
        for n in range(1, 5):
            cumulants[n - 1] = moments[n] - sum(
                factorial(n - 1)
                / factorial(k - 1)
                / factorial(n - k)
                * cumulants[k - 1]
                * moments[n - k]
                for k in range(1, n)
            )
        return -cumulants / LN2

    def zeta(self, q: ArrayLike) -> Array:
        """Return 2 + tau(q) at orders `q`."""
        logs = np.multiply.outer(np.log2(self.weights), finite_array("q", q))
        return 2 - np.logaddexp2.reduce(logs, axis=0)

    def exponent(self, q: ArrayLike) -> Array:
        """Return tau'(q)."""
        logs = np.multiply.outer(np.log2(self.weights), finite_array("q", q))
        powers = np.exp2(logs - logs.max(axis=0))  # of the largest, so that no order overflows
        return -np.tensordot(np.log2(self.weights), powers, 1) / powers.sum(axis=0)
