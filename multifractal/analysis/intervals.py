"""95 % intervals of a spectrum: the bootstrap's standard errors, stretched, and room for the bias of the estimator.

A block bootstrap understates the error here: leaders stay correlated beyond a block of 4x4, and at low exponents the
estimate has a bias that no resampling sees. `benchmarks/calibrate_intervals.py` measures both on exact fractional Brownian
surfaces of 512 and 1024 pixels at the default settings (60 and 30 for each of 8 exponents, seed 1): the true standard
deviation is the bootstrap's times STRETCH, and the mean error of c1..c4 is BIAS, a function of c1. The interval reaches as
far to either side of the estimate as a normal error of that bias b and standard deviation s does in 95 of 100 cases: s times
the root of the 0.95 quantile of the non-central chi-square law with one degree of freedom and non-centrality (b/s)^2. The
biases of h, D and zeta follow from zeta(q) = sum_p c_p q^p / p!, h = dzeta/dq, D = 2 + q h - zeta.

Coverage measured on fresh surfaces, means over H = 0.3 to 0.9 (100 and 60 for each, seed 2) and, for h, D, zeta, over q:

====== ===== ===== ===== ===== =====
pixels c1    c2    h     D     zeta
====== ===== ===== ===== ===== =====
512    0.954 0.934 0.946 0.925 0.949
1024   0.938 0.952 0.937 0.951 0.937
====== ===== ===== ===== ===== =====

By exponent it ranges from 0.88 to 1.00 for c1 and from 0.86 to 0.98 for c2. On multifractals of 512 pixels, which had no
part in the calibration, intervals err on the long side: they held c1 and c2 of 40 + 40 log-normal cascades (c2 = -0.02 and
-0.08) and of 40 multifractal random walks every time. Of other settings and smaller images nothing is known;
`validate_estimator` measures them.
"""

from math import factorial

import numpy as np
from scipy.special import chndtrix

LEVEL = 0.95
STRETCH = (1.43, 1.34)  # of c1, h, zeta; and of c2, c3, c4, D
BIAS = np.array(
    [  # mean estimate of c1, mean errors of c1, c2, c3, c4; for H = 0.2, 0.3, ... 0.9
        [0.2314, 0.0314, -0.0098, -0.0002, -0.0000],
        [0.2974, -0.0026, -0.0065, 0.0005, 0.0001],
        [0.3884, -0.0116, -0.0035, 0.0006, -0.0000],
        [0.4875, -0.0125, -0.0016, 0.0001, -0.0002],
        [0.5948, -0.0052, 0.0002, 0.0001, -0.0003],
        [0.6926, -0.0074, -0.0002, 0.0002, -0.0001],
        [0.8028, 0.0028, 0.0001, -0.0002, -0.0001],
        [0.8990, -0.0010, -0.0001, -0.0006, -0.0002],
    ]
)


def intervals_around(estimates, replicates, q):
    """Return the intervals of (h, D, zeta, log-cumulants), each of shape (2, ...), lower end first.

    Parameters
    ----------
    estimates : tuple of four ndarrays
    replicates : tuple of four ndarrays
        Their resampled values, first axis.
    q : ndarray
    """
    biases = _biases(float(estimates[3][0]), q)
    stretches = (STRETCH[0], STRETCH[1], STRETCH[0], np.array([STRETCH[0], *[STRETCH[1]] * 3]))
    return [
        _around(estimate, stretch * draws.std(axis=0, ddof=1), bias)
        for estimate, draws, stretch, bias in zip(
            estimates, replicates, stretches, biases, strict=True
        )
    ]


def _around(estimate, spread, bias):
    # so that their ratio stays within what chndtrix can do
    spread = np.maximum(spread, 1e-12 + 1e-3 * np.abs(bias))
    half = spread * np.sqrt(chndtrix(LEVEL, 1, (bias / spread) ** 2))
    return np.stack([estimate - half, estimate + half])


def _biases(c1, q):
    """Return the biases of (h, D, zeta), arrays over q, and of the four log-cumulants, at an estimated c1."""
    of_cumulant = np.array([np.interp(c1, BIAS[:, 0], column) for column in BIAS[:, 1:].T])
    orders = np.arange(1, 5)
    zeta = sum(c * q**p / factorial(p) for p, c in zip(orders, of_cumulant, strict=True))
    h = sum(c * q ** (p - 1.0) / factorial(p - 1) for p, c in zip(orders, of_cumulant, strict=True))
    return h, q * h - zeta, zeta, of_cumulant
