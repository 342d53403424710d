"""Whether chains agree: the rank-normalised split R-hat of Vehtari et al. (Bayesian Analysis 16, 2021, section 4)."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from multifractal.base.types import Array


def r_hat(draws: Array) -> float:
    """Return R-hat of draws of shape (n_chains, n_draws): the larger of that of their ranks and that of how far out they lie.

    NaN where the draws are all equal or some are not finite, and with fewer than four draws a chain.
    """
    half = draws.shape[1] // 2
    if half < 2 or not np.isfinite(draws).all() or np.ptp(draws) == 0:
        return np.nan
    split = np.concatenate([draws[:, :half], draws[:, -half:]])
    folded = np.abs(split - np.median(split))
    return max(_of_normal_scores(split), _of_normal_scores(folded))


def _of_normal_scores(chains):
    ranks = rankdata(chains).reshape(chains.shape)
    scores = ndtri((ranks - 3 / 8) / (chains.size + 1 / 4))
    n = chains.shape[1]
    within = scores.var(axis=1, ddof=1).mean()
    between = n * scores.mean(axis=1).var(ddof=1)
    return float(np.sqrt((n - 1) / n + between / (n * within)))
