"""Noise of "sgd": normal, or symmetric alpha-stable by the formula of Chambers, Mallows and Stuck, whatever the processor."""

from __future__ import annotations

import numpy as np

from multifractal.base.elementary import cospi_of, log_of, power_of, sinpi_of
from multifractal.base.kernels import kernel
from multifractal.base.types import Array
from multifractal.walkers.optimizers import STABLE, Rule

_HALF_STEP = 2.0**-54  # moves uniform numbers k / 2^53 to the middle of their steps, off 0


def draw(rule: Rule, stream: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return noise of a rule's kind and unit scale, which the rule's own scale multiplies."""
    if rule.noise != STABLE:
        return stream.standard_normal(shape)
    uniform = stream.random((*shape, 2))
    out = np.empty(shape)
    _stable(uniform.reshape(-1, 2), rule.alpha, out.reshape(-1))
    return out


@kernel(error_model="numpy")  # beyond the largest double it is inf, which stops a walker
def _stable(uniform: Array, alpha: float, out: Array) -> None:
    """Turn pairs of uniform numbers into symmetric stable ones, of characteristic function exp(-|t|^alpha).

    J. M. Chambers, C. L. Mallows, B. W. Stuck, J. Am. Stat. Assoc. 71 (1976) 340, equation 2.3 with beta = 0.
    """
    for k in range(len(out)):
        phi = uniform[k, 0] - 0.5 + _HALF_STEP  # in units of pi
        wait = max(-log_of(uniform[k, 1] + _HALF_STEP), _HALF_STEP)  # the last step rounds to 1
        out[k] = (
            sinpi_of(alpha * phi)
            / power_of(cospi_of(phi), 1 / alpha)
            * power_of(cospi_of((1 - alpha) * phi) / wait, (1 - alpha) / alpha)
        )
