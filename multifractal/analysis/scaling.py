"""Scaling laws of leaders: moments and cumulants at each scale, and the weighted regression of each over the scales.

Symbols: l leaders of one scale, n their number, R = l^q / sum l^q; S = log2 mean l^q, V = sum R log2 l,
U = sum R log2 R + log2 n, kappa_p the cumulants of ln l. With regression weights w_j: zeta = sum w S, h = sum w V,
D = 2 + sum w U, c_p = sum w kappa_p / ln 2 (Wendt et al. 2009, equations 25 to 30).
"""

from dataclasses import dataclass

import numpy as np

N_CUMULANTS = 4
_EPSILON = np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False, kw_only=True)
class ScaleMoments:
    """Moments of the leaders of one scale, in arrays over q (S, V, U, n_effective) and over the order (cumulants)."""

    n: int
    S: np.ndarray
    V: np.ndarray
    U: np.ndarray
    cumulants: np.ndarray
    n_effective: np.ndarray  # 1 / sum R^2, how many leaders the moment rests on


def log2_leaders(leaders, floor):
    """Return log2 of the leaders of one scale, with NaN in place of those below machine epsilon.

    `floor` is "relative" (epsilon times the scale's largest leader) or "absolute" (the paper's toolbox: epsilon itself).
    """
    leaders = leaders.astype(np.float64)
    lowest = _EPSILON * (np.fmax.reduce(leaders, axis=None) if floor == "relative" else 1.0)
    with np.errstate(divide="ignore"):
        return np.where((leaders >= lowest) & (leaders > 0), np.log2(leaders), np.nan)


def scale_moments(y, q):
    """Return the ScaleMoments of the leaders 2^y for every q; y is flat."""
    S, V, U, n_effective = np.empty((4, len(q)))
    for i, exponent in enumerate(q):
        reference = y.max() if exponent > 0 else y.min()
        weight = np.exp2(exponent * (y - reference))
        total = weight.sum()
        relative_V = (weight * (y - reference)).sum() / total
        log_mean = np.log2(total / len(y))
        S[i], V[i], U[i] = (
            log_mean + exponent * reference,
            relative_V + reference,
            exponent * relative_V - log_mean,
        )
        n_effective[i] = total**2 / (weight**2).sum()
    mean = y.mean()
    about_mean = (y - mean) * np.log(2)
    central = np.array([(about_mean**k).mean() for k in range(1, N_CUMULANTS + 1)])
    return ScaleMoments(
        n=len(y),
        S=S,
        V=V,
        U=U,
        cumulants=cumulants_of(mean * np.log(2), central),
        n_effective=n_effective,
    )


def cumulants_of(origin, powers):
    """Return the first four cumulants of a variable from the means of powers 1 to 4 of (variable - origin), first axis."""
    m1, m2, m3, m4 = powers
    k2 = m2 - m1**2
    k3 = m3 - 3 * m1 * m2 + 2 * m1**3
    k4 = m4 - 4 * m1 * m3 - 3 * m2**2 + 12 * m1**2 * m2 - 6 * m1**4
    return np.array([origin + m1, k2, k3, k4])


def regression_weights(scales, b):
    """Return w with sum_j w_j y_j the slope of the line fitted to y by least squares weighted with b."""
    j, b = np.asarray(scales, dtype=float), np.asarray(b, dtype=float)
    S0, S1, S2 = (b.sum(), (b * j).sum(), (b * j**2).sum())
    return b * (S0 * j - S1) / (S0 * S2 - S1**2)


def slope(w, y):
    """Return sum_j w_j y_j over the first axis, added in the order of the scales."""
    total = np.zeros(np.shape(y)[1:])
    for weight, value in zip(w, y, strict=True):
        total = total + weight * value
    return total


def _off_the_line(scales, b, y):
    """Return y less its fitted line, first axis the scales."""
    j, b = np.asarray(scales, dtype=float)[:, None], np.asarray(b, dtype=float)[:, None] / np.sum(b)
    w = regression_weights(scales, b[:, 0])
    return y - (b * y).sum(axis=0) - slope(w, y) * (j - (b * j).sum())


def fit_residuals(scales, b, y):
    """Return the root of the mean (weighted with b) squared residual of the fitted line, over the first axis of y."""
    return np.sqrt(np.average(_off_the_line(scales, b, np.asarray(y)) ** 2, axis=0, weights=b))


def misfit(scales, b, w, y, allowed):
    """Return the standard error that a slope has because scales lie off the line by more than `allowed`, both like y.

    The residuals beyond that, as those of n - 2 degrees of freedom; 0 with two scales, which lie on their line.
    """
    beyond = np.maximum(_off_the_line(scales, b, y) ** 2 - allowed**2, 0)
    n = len(w)
    return np.sqrt(slope(w**2, beyond) * n / max(n - 2, 1))
