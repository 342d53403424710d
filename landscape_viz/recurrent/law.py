"""The law: which exponent and which spectrum a discounted loss should have, from how its forward pass stretches differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from multifractal.base.checks import finite_number, real_array, require
from multifractal.base.result import Provenance, Result
from multifractal.base.types import Array, ArrayLike


def predicted_exponent(lyapunov: ArrayLike, discount: float) -> Any:
    """Return the Hölder exponent min(1, -ln(discount) / lyapunov) of a discounted loss (Wang, Herbert and Gao 2023).

    Parameters
    ----------
    lyapunov : float or array_like
        Largest Lyapunov exponent of the forward pass, per step. Where it is not positive the exponent is 1; NaN stays NaN.
    discount : float
        In (0, 1].

    Raises
    ------
    ValueError
        When the discount is no number in (0, 1].
    """
    lyapunov = real_array("lyapunov", lyapunov, dtype=np.float64)
    cost = _log_of(discount)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(lyapunov <= 0, 1.0, cost / lyapunov)
    return np.minimum(1.0, ratio)[()]


def _log_of(discount):
    """Return ln(1 / discount), which is checked."""
    discount = finite_number("discount", discount)
    require(0 < discount <= 1, "discount", discount, "lie in (0, 1]", "pass for instance 0.9")
    return abs(float(np.log(discount)))


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Stretching(Result):
    """How a forward pass stretches small differences, over the passes of a plane.

    Its methods raise a ValueError for a discount that is no number in (0, 1].

    Attributes
    ----------
    lyapunov : float
        Mean finite-time exponent, per step.
    variance : float
        Of finite-time exponents, times the steps they are taken over: v in I(s) = (s - lyapunov)^2 / (2 v).
    finite_time : ndarray, shape (n_passes,)
        The exponents themselves.
    n_steps : int
        That they are taken over.
    provenance : Provenance
    """

    lyapunov: float
    variance: float
    finite_time: Array
    n_steps: int
    provenance: Provenance

    def exponent(self, discount: float) -> float:
        """Return `predicted_exponent` for this pass."""
        return float(predicted_exponent(self.lyapunov, discount))

    def c2(self, discount: float) -> float:
        """Return the second log-cumulant, -v ln(discount)^2 / lyapunov^3; NaN where the pass is not chaotic."""
        cost = _log_of(discount)
        if self.lyapunov <= 0:
            return float("nan")
        return float(-self.variance * cost**2 / self.lyapunov**3)

    def zeta(self, discount: float, q: ArrayLike) -> Any:
        """Return the exponents of the moments of order q, [(lyapunov^2 - 2 v q ln(discount))^(1/2) - lyapunov] / v.

        It is the Legendre transform of `spectrum`; q ln(1/discount) / lyapunov where v is 0. Mean squared differences grow
        with the exponent zeta(2).
        """
        pull = 2 * _log_of(discount) * real_array("q", q, dtype=np.float64)
        # the same number without the difference of two that are near each other
        return pull / (np.sqrt(self.lyapunov**2 + self.variance * pull) + self.lyapunov)

    def spectrum(self, discount: float, h: ArrayLike) -> Any:
        """Return D at the positive exponents h: 2 - I(s)/s with s = -ln(discount) / h, to second order in s - lyapunov.

        Where the stretching is the same everywhere (v = 0) that is -inf but at one exponent.
        """
        h = real_array("h", h, dtype=np.float64)
        require((h > 0).all(), "h", h, "hold positive exponents", "leave out those at or below 0")
        s = _log_of(discount) / h
        with np.errstate(divide="ignore"):
            return 2 - (s - self.lyapunov) ** 2 / (2 * self.variance * s)


def stretching(growth: ArrayLike, first: int | None = None) -> Stretching:
    """Return the `Stretching` that `growth_at` measured.

    Parameters
    ----------
    growth : array_like, shape (n_passes, n_steps)
        Logarithms of lengths, by step.
    first : int, optional
        Steps left out, while the tangent vector turns into the direction that grows most. Default a fifth (our choice).

    Raises
    ------
    ValueError
        When there are fewer than two passes, or `first` is negative or leaves fewer than two steps.
    """
    growth = real_array("growth", growth, ndim=2, dtype=np.float64)
    first = growth.shape[1] // 5 if first is None else int(first)
    good = 0 <= first < growth.shape[1] - 1 and len(growth) > 1
    require(good, "growth", growth.shape, "hold two passes and some steps", "take more")
    n_steps = growth.shape[1] - 1 - first
    finite_time = (growth[:, -1] - growth[:, first]) / n_steps
    return Stretching(
        lyapunov=float(finite_time.mean()),
        variance=float(finite_time.var(ddof=1) * n_steps),
        finite_time=finite_time,
        n_steps=n_steps,
        provenance=Provenance.of("stretching", passes=len(growth), first=first),
    )
