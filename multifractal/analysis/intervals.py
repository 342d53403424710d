"""95 % intervals of a spectrum: the bootstrap's standard errors, stretched, and room for the bias and for a poor fit.

A block bootstrap understates the error here: leaders stay correlated beyond a block of 4x4, and the estimate has a bias that no
resampling sees. `benchmarks/calibrate_intervals.py` measures both on exact fractional Brownian surfaces (8 exponents), for each
`Calibration` below: the true standard deviation over the bootstrap's (`stretch`) and the mean error of c1..c4 (`bias`), both
functions of c1. The interval reaches as far to either side of the estimate as a normal error of that bias b and standard
deviation s does in 95 of 100 cases: s times the root of the 0.95 quantile of the non-central chi-square law with one degree of
freedom and non-centrality (b/s)^2. The biases of h, D and zeta follow from zeta(q) = sum_p c_p q^p / p!, h = dzeta/dq,
D = 2 + q h - zeta. Where the scales of the fit lie off their line by more than twice what resampling allows, that misfit is
added to the error of the slope.

A calibration holds for the settings and sizes that it carries and for no others: elsewhere, and where c1 is one that no
calibrating surface had, the intervals are NaN. `docs/calibration.md` has the coverage that was measured on fresh surfaces.
On multifractals of 512 pixels, which had no part in the calibration, intervals err on the long side: they held c1 and c2 of
40 + 40 log-normal cascades (c2 = -0.02 and -0.08) every time.
"""

import math
from dataclasses import dataclass
from math import factorial

import numpy as np
from scipy.special import chndtrix

from multifractal.analysis.scaling import misfit

LEVEL = 0.95
# a scale may lie off the line by so many of its own (stretched) standard deviations before that enters the interval
_ALLOWED = 2.0
_REACH = 2.0  # standard deviations that c1 may lie beyond the calibrating surfaces'


@dataclass(frozen=True, eq=False, kw_only=True)
class Calibration:
    """What was measured on exact surfaces at some settings.

    Attributes
    ----------
    settings : dict
        Keywords of `multifractal_spectrum` that it holds for; `correction` counts where p is finite.
    sides : (int, float)
        Shorter sides of images in pixels that it holds for, the second excluded.
    table : ndarray, shape (n_hurst, 7)
        By H ascending: mean estimate of c1; mean errors of c1, c2, c3, c4; true over resampled standard deviation of c1, h
        and zeta, and of c2, c3, c4 and D.
    """

    settings: dict
    sides: tuple
    table: np.ndarray

    def holds(self, settings, shape):
        """Return whether the calibration was measured at these settings and sizes."""
        asked = {name: settings[name] for name in self.settings}
        if settings["p"] == math.inf:
            asked["correction"] = self.settings["correction"]
        return asked == self.settings and self.sides[0] <= min(shape) < self.sides[1]

    def at(self, c1):
        """Return (biases of c1..c4, the two stretches) at an estimated c1."""
        columns = np.array([np.interp(c1, self.table[:, 0], one) for one in self.table[:, 1:].T])
        return columns[:4], columns[4:]


_OURS = {
    "wavelet": "db2",
    "p": math.inf,
    "integration": 0.0,
    "correction": True,
    "first_scale": 2,
    "scales": (3, None),
    "weights": "count",
}
_PAPER_SECTIONS = {
    "wavelet": "db3",
    "p": 1.0,
    "integration": 0.0,
    "correction": False,
    "first_scale": 1,
    "scales": (1, None),
    "weights": "count",
}
CALIBRATIONS = {
    "default, 512 and more": Calibration(
        settings=_OURS,
        sides=(512, math.inf),
        table=np.array(
            [  # H = 0.2, 0.3, ... 0.9
                [0.2314, 0.0314, -0.0098, -0.0002, -0.0000, 1.43, 1.34],
                [0.2974, -0.0026, -0.0065, 0.0005, 0.0001, 1.43, 1.34],
                [0.3884, -0.0116, -0.0035, 0.0006, -0.0000, 1.43, 1.34],
                [0.4875, -0.0125, -0.0016, 0.0001, -0.0002, 1.43, 1.34],
                [0.5948, -0.0052, 0.0002, 0.0001, -0.0003, 1.43, 1.34],
                [0.6926, -0.0074, -0.0002, 0.0002, -0.0001, 1.43, 1.34],
                [0.8028, 0.0028, 0.0001, -0.0002, -0.0001, 1.43, 1.34],
                [0.8990, -0.0010, -0.0001, -0.0006, -0.0002, 1.43, 1.34],
            ]
        ),
    ),
    "default, 256 to 511": Calibration(
        settings=_OURS,
        sides=(256, 512),
        table=np.array(
            [  # H = 0.2, 0.3, ... 0.9
                [0.2431, 0.0431, -0.0121, -0.0004, -0.0001, 0.9836, 1.5357],
                [0.3010, 0.0010, -0.0106, 0.0001, 0.0001, 1.0248, 1.5447],
                [0.3906, -0.0094, -0.0063, 0.0001, -0.0002, 1.0660, 1.5538],
                [0.4843, -0.0157, -0.0025, 0.0004, -0.0003, 1.1072, 1.5629],
                [0.5982, -0.0018, -0.0003, -0.0000, -0.0005, 1.1484, 1.5719],
                [0.7007, 0.0007, 0.0007, -0.0006, -0.0005, 1.1896, 1.5810],
                [0.8058, 0.0058, 0.0009, -0.0005, -0.0007, 1.2308, 1.5901],
                [0.9022, 0.0022, -0.0024, 0.0004, -0.0003, 1.2720, 1.5992],
            ]
        ),
    ),
    "scales from 2, 129 to 255": Calibration(
        settings=_OURS | {"scales": (2, None)},
        sides=(129, 256),
        table=np.array(
            [  # H = 0.2, 0.3, ... 0.9
                [0.3586, 0.1586, -0.0349, 0.0005, 0.0000, 0.9648, 1.3750],
                [0.4230, 0.1230, -0.0355, 0.0013, 0.0004, 1.0160, 1.3969],
                [0.4946, 0.0946, -0.0360, 0.0015, 0.0003, 1.0672, 1.4189],
                [0.5538, 0.0538, -0.0303, 0.0022, -0.0000, 1.1184, 1.4408],
                [0.6399, 0.0399, -0.0226, 0.0045, -0.0002, 1.1695, 1.4628],
                [0.7208, 0.0208, -0.0191, 0.0031, -0.0007, 1.2207, 1.4847],
                [0.8058, 0.0058, -0.0135, 0.0035, -0.0010, 1.2719, 1.5067],
                [0.9100, 0.0100, -0.0092, 0.0029, -0.0012, 1.3231, 1.5286],
            ]
        ),
    ),
    "paper's sections, 129 to 257": Calibration(
        settings=_PAPER_SECTIONS,
        sides=(129, 258),
        table=np.array(
            [  # H = 0.2, 0.3, ... 0.9
                [0.7420, 0.5420, -0.0189, 0.0008, -0.0001, 1.1416, 1.2784],
                [0.8343, 0.5343, -0.0183, 0.0009, -0.0001, 1.1637, 1.2752],
                [0.9180, 0.5180, -0.0178, 0.0009, -0.0001, 1.1859, 1.2719],
                [1.0028, 0.5028, -0.0175, 0.0008, -0.0001, 1.2080, 1.2687],
                [1.0834, 0.4834, -0.0175, 0.0009, -0.0001, 1.2301, 1.2654],
                [1.1681, 0.4681, -0.0171, 0.0009, -0.0001, 1.2522, 1.2622],
                [1.2443, 0.4443, -0.0167, 0.0009, -0.0001, 1.2743, 1.2589],
                [1.3252, 0.4252, -0.0163, 0.0009, -0.0001, 1.2964, 1.2557],
            ]
        ),
    ),
}


def calibration_of(settings, shape):
    """Return the Calibration that holds for settings (of `multifractal_spectrum`, recorded) and an image, or None."""
    return next((one for one in CALIBRATIONS.values() if one.holds(settings, shape)), None)


def intervals_around(estimates, replicates, q, calibration, fit, by_scale):
    """Return the intervals of h, D, zeta and log-cumulants by name, each of shape (2, ...), lower end first; NaN where unknown.

    Parameters
    ----------
    estimates : dict of four ndarrays
    replicates : Replicates
    q : ndarray
    calibration : Calibration or None
    fit : object
        With the scales, their weights `b` and the regression weights `w`.
    by_scale : dict of four ndarrays, first axis the scales
        What the estimates are the slopes of.
    """
    spreads = {name: getattr(replicates, name).std(axis=0, ddof=1) for name in estimates}
    c1 = float(estimates["log_cumulants"][0])
    if calibration is None or not _known(calibration, c1, spreads["log_cumulants"][0]):
        return {name: np.full((2, *value.shape), np.nan) for name, value in estimates.items()}
    of_cumulants, (wide, narrow) = calibration.at(c1)
    stretches = {"h": wide, "D": narrow, "zeta": wide}
    stretches["log_cumulants"] = np.array([wide, narrow, narrow, narrow])
    biases, found = _biases(of_cumulants, q), {}
    for name, value in estimates.items():
        half = _half(stretches[name] * spreads[name], biases[name])
        allowed = _ALLOWED * stretches[name] * replicates.of_scales[name]
        off = misfit(fit.scales, fit.b, fit.w, by_scale[name], allowed)
        half = np.hypot(half, _ALLOWED * off)
        found[name] = np.stack([value - half, value + half])
    return found


def _known(calibration, c1, spread):
    """Return whether a calibrating surface could have had such a c1."""
    reach = _REACH * calibration.at(c1)[1][0] * spread
    return calibration.table[0, 0] - reach <= c1 <= calibration.table[-1, 0] + reach


def _half(spread, bias):
    # so that their ratio stays within what chndtrix can do
    spread = np.maximum(spread, 1e-12 + 1e-3 * np.abs(bias))
    return spread * np.sqrt(chndtrix(LEVEL, 1, (bias / spread) ** 2))


def _biases(of_cumulants, q):
    """Return the biases of h, D and zeta, arrays over q, and of the four log-cumulants, by name."""
    orders = np.arange(1, 5)
    zeta = sum(c * q**p / factorial(p) for p, c in zip(orders, of_cumulants, strict=True))
    h = sum(
        c * q ** (p - 1.0) / factorial(p - 1) for p, c in zip(orders, of_cumulants, strict=True)
    )
    return {"h": h, "D": q * h - zeta, "zeta": zeta, "log_cumulants": of_cumulants}
