"""What the Hessian of a loss says, in one dict of numbers and one of their uncertainties."""

import numpy as np

from landscape_viz.curvature.density import condition_number, negative_eigenvalues, spectral_density
from landscape_viz.curvature.eigenpairs import top_eigenpairs
from landscape_viz.curvature.xtrace import trace
from multifractal.base.checks import refuse

_EXACT_UP_TO = 512  # parameters: below, the whole Hessian is computed and its eigenvalues are exact
# of the largest |eigenvalue|: smaller ones count neither as negative nor for the condition number
_THRESHOLD = 1e-3


def hessian_summary(operator, count, rng=0):
    """Return the numbers of a `HessianOperator` by name, `num_negative` twice, and `uncertainty`, a dict of their errors.

    Parameters
    ----------
    operator : HessianOperator
        With its damping, if any. Up to 512 parameters the whole matrix is computed and its eigenvalues are exact to rounding.
    count : int
        Largest eigenvalues returned, or all there are.
    rng : int, SeedSequence or Generator
        Of probes and first vectors.
    """
    _check_finite(operator)
    count = min(count, operator.shape[0])
    small = operator.shape[0] <= _EXACT_UP_TO
    found = _exact(operator, count) if small else _estimated(operator, count, rng)
    return found | {"num_negative": found["num_negative_eigenvalues"]}


def _check_finite(operator):
    """Refuse a loss without gradient or second derivative at the weights, as at the tip of a square root."""
    product = operator.matvec(np.ones(operator.shape[0], operator.dtype))
    if not (np.isfinite(product).all() and np.isfinite(operator.gradient).all()):
        raise refuse(
            "criterion",
            "a gradient or Hessian that is not finite",
            "be twice differentiable at the weights",
            "look for square roots or logarithms of 0, or probe other weights",
        )


def _exact(operator, count):
    values = np.linalg.eigvalsh(operator.to_dense().astype(np.float64))[::-1]
    threshold = _threshold(values)
    rounding = float(np.finfo(operator.dtype).eps * np.abs(values).max() * len(values))
    words = "all eigenvalues, exact to rounding"
    return {
        "top_eigenvalues": values[:count].copy(),
        "trace": float(values.sum()),
        "threshold": threshold,
        "condition_number": condition_number(values, threshold).value,
        "spectral_gap": _gap(values),
        "max_eigenvalue": float(values[0]),
        "min_eigenvalue": float(values[-1]),
        "num_negative_eigenvalues": int((values < -threshold).sum()),
        "uncertainty": {
            "top_eigenvalues": [rounding] * count,
            "trace": rounding * len(values),
            "max_eigenvalue": rounding,
            "min_eigenvalue": rounding,
            "condition_number": words,
            "spectral_gap": 2 * rounding,
            "num_negative_eigenvalues": 0.0,
        },
    }


def _estimated(operator, count, rng):
    pairs = top_eigenpairs(operator, count, rng=rng)
    threshold = _threshold(pairs.values)
    density = spectral_density(operator, rng=rng)
    negative = negative_eigenvalues(density, threshold)
    estimate = trace(operator, rng=rng)
    lowest = top_eigenpairs(operator, 1, "SA", rng=rng)
    words = f"a lower bound: over the {count} largest eigenvalues only, those above the threshold {threshold:.2g}"
    return {
        "top_eigenvalues": pairs.values,
        "trace": estimate.value,
        "threshold": threshold,
        "condition_number": condition_number(pairs.values, threshold).value,
        "spectral_gap": _gap(pairs.values),
        "max_eigenvalue": float(pairs.values[0]),
        "min_eigenvalue": float(lowest.values[0]),
        "num_negative_eigenvalues": round(negative.count),
        "uncertainty": {
            "top_eigenvalues": pairs.residuals.tolist(),
            "trace": estimate.standard_error,
            "max_eigenvalue": float(pairs.residuals[0]),
            "min_eigenvalue": float(lowest.residuals[0]),
            "condition_number": words,
            "spectral_gap": float(pairs.residuals[:2].sum()),
            "num_negative_eigenvalues": negative.standard_error,
        },
    }


def _threshold(values):
    return float(_THRESHOLD * np.abs(values).max()) or np.finfo(float).tiny


def _gap(values):
    return float(values[0] - values[1]) if len(values) > 1 else np.nan
