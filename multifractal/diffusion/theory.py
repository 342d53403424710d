"""The fractional theory of diffusion: the displacement law with its fit, and the law of the diffusion exponent.

In a harmonic well the overdamped fractional Langevin equation gives (Ly & Gong 2025, Methods)

    TAMSD(tau) = 2 theta [1 - E_{2-2H}(-learning_rate k tau^(2-2H) / Gamma(2H-1))],

with the Mittag-Leffler function E, a plateau 2 theta, and a stiffness k; H lies in (1/2, 1). With kappa = k / Gamma(2H-1)
held fixed the law tends to 2 theta [1 - exp(-learning_rate kappa tau)] as H -> 1/2, so fits work in kappa.

The H of a fit describes the walk's memory. It is NOT the exponent of the surface the walk ran on: the paper's files for
surfaces of 0.4 and 0.5 are fitted by .513 and .527.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize, stats
from scipy.special import gamma, gammaln, psi

from multifractal.base.checks import (
    finite_array,
    finite_number,
    one_of,
    positive_number,
    real_array,
    require,
)
from multifractal.base.deprecation import renamed
from multifractal.base.result import Provenance, Result
from multifractal.base.statistics import student_interval
from multifractal.base.types import Array, ArrayLike

_N_LAGS = 20  # log-spaced lags of a fit, before repeats are dropped (paper's code)
_MARGIN = 1e-6  # fits stay so far inside H in (1/2, 1)
_STARTS = (0.53, 0.65, 0.85)  # exponents from which a fit sets out; the best end is taken
_NO_PLATEAU = 100.0  # a theta beyond so many times the largest value was not seen
_STEEPEST = 1.1  # a slope surely above this is outside the law; independent steps give 1.00 +- .02
_LARGEST_CORRELATION = 0.95  # of neighbouring residuals; at 1 the errors are without bound
_LARGEST_PLATEAU = 1e6  # times the largest value; a curve that still rises wants an infinite one


def theoretical_tamsd(
    lag_times: ArrayLike, *, learning_rate: float, hurst: float, theta: float, stiffness: float
) -> Array:
    """Return the law's displacement at each lag.

    Parameters
    ----------
    lag_times : array_like
        Lags in steps, at least 0.
    learning_rate : float
    hurst : float
        Exponent H of the memory, in (1/2, 1).
    theta : float
        Half the plateau, in squared units of the positions.
    stiffness : float
        Stiffness k of the well.

    Returns
    -------
    ndarray, shape of `lag_times`, float64

    Raises
    ------
    ValueError
        When `hurst` lies outside (1/2, 1), a lag is negative, or another argument is not positive.

    Examples
    --------
    >>> import multifractal as mf
    >>> curve = mf.theoretical_tamsd([0, 1, 1e9], learning_rate=1000.0, hurst=0.7, theta=50.0, stiffness=1e-3)
    >>> [round(float(value), 2) for value in curve]
    [0.0, 36.35, 100.0]
    """
    hurst = finite_number("hurst", hurst)
    require(
        0.5 < hurst < 1,
        "hurst",
        hurst,
        "lie in (1/2, 1)",
        "for H -> 1/2 the law is 2 theta (1 - exp(-rate kappa tau))",
    )
    learning_rate, theta = (
        positive_number("learning_rate", learning_rate),
        positive_number("theta", theta),
    )
    stiffness = positive_number("stiffness", stiffness)
    lag_times = finite_array("lag_times", lag_times, dtype=np.float64)
    require(
        (lag_times >= 0).all(), "lag_times", lag_times, "be at least 0", "drop the negative lags"
    )
    return _law(
        lag_times, learning_rate, hurst, np.log(theta), np.log(stiffness) - gammaln(2 * hurst - 1)
    )


def diffusion_exponent_law(hurst: ArrayLike) -> Array:
    """Return the theory's short-time diffusion exponent on a surface of Hurst exponent `hurst`: 1 to 1/2, then 2 - 2 hurst.

    Parameters
    ----------
    hurst : float or array_like
        In (0, 1).

    Returns
    -------
    ndarray of the shape of `hurst`, float64

    Raises
    ------
    ValueError
        When an exponent lies outside (0, 1).
    """
    hurst = finite_array("hurst", hurst, dtype=np.float64)
    require(
        ((hurst > 0) & (hurst < 1)).all(),
        "hurst",
        hurst,
        "lie in (0, 1)",
        "pass the surface's exponent",
    )
    return np.minimum(1.0, 2 - 2 * hurst)


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class TamsdFit(Result):
    """The law fitted to one displacement curve; `hurst` is the memory's, not the surface's.

    Attributes
    ----------
    hurst, theta, stiffness : float
    hurst_interval, theta_interval, stiffness_interval : ndarray, shape (2,)
        Of 95 %.
    rms_log10 : float
        Root mean square residual, in decades.
    plateau_seen : bool
        If not, the curve still rises, and only H and the product theta x stiffness mean anything.
    learning_rate : float
    lag_times : ndarray, shape (n,)
        The lags that were fitted.
    provenance : Provenance
    """

    hurst: float
    theta: float
    stiffness: float
    hurst_interval: np.ndarray
    theta_interval: np.ndarray
    stiffness_interval: np.ndarray
    rms_log10: float
    plateau_seen: bool
    learning_rate: float
    lag_times: np.ndarray
    provenance: Provenance

    def curve(self, lag_times: ArrayLike) -> Array:
        """Return the fitted law at each lag."""
        return theoretical_tamsd(
            lag_times,
            learning_rate=self.learning_rate,
            hurst=self.hurst,
            theta=self.theta,
            stiffness=self.stiffness,
        )


@renamed(lags="lag_choice")
def fit_tamsd(
    lag_times: ArrayLike,
    tamsd: ArrayLike,
    *,
    learning_rate: float,
    lag_choice: Literal["distinct", "published"] = "distinct",
    residuals: Literal["correlated", "independent"] = "correlated",
) -> TamsdFit:
    """Fit the law to a displacement curve by least squares of log10, at 20 log-spaced lags up to the longest.

    Parameters
    ----------
    lag_times : array_like, shape (n_lags,)
        Lags in steps; lag 0 is left out. Where a log-spaced lag is missing the nearest one stands in.
    tamsd : array_like, shape (n_lags,)
        One curve: the mean over walks, or one waiting time of one walk.
    learning_rate : float
        Of the walk; only its product with the stiffness matters to the curve.
    lag_choice : {"distinct", "published"}
        "distinct" (our choice) counts each lag once; "published" counts lag 1 twice, as the paper's code does.
    residuals : {"correlated", "independent"}
        What the intervals take the residuals of neighbouring lags for. "correlated" (our choice), as those of one walk are:
        a first-order autoregression, its correlation estimated from the residuals and corrected for what the fit takes
        (Marriott & Pope 1954, three parameters; never below 0). "independent" is what scipy's curve_fit states: a third of
        the true error for one walk.

    Returns
    -------
    TamsdFit
        With 95 % intervals by linearisation, in log theta and log stiffness (docs/calibration.md has what they cover).

    Raises
    ------
    ValueError
        When fewer than five distinct positive lags are left, or a value there is not positive.

    Warns
    -----
    UserWarning
        When the curve's log-log slope over the five shortest of the fit's lags lies surely (95 %) above 1.1: a ballistic or
        super-diffusive curve. The law rises as tau^(2-2H) at most, with an exponent below 1, so its parameters are not the
        curve's.

    Examples
    --------
    >>> import numpy as np
    >>> import multifractal as mf
    >>> lags = np.unique(np.round(np.logspace(0, 3, 20)))
    >>> curve = mf.theoretical_tamsd(lags, learning_rate=100.0, hurst=0.6, theta=50.0, stiffness=1e-3)
    >>> round(mf.fit_tamsd(lags, curve, learning_rate=100.0).hurst, 4)
    0.6
    """
    learning_rate = positive_number("learning_rate", learning_rate)
    lag_times = finite_array("lag_times", lag_times, ndim=1, dtype=np.float64)
    curve = real_array("tamsd", tamsd, dtype=np.float64)
    require(
        curve.shape == lag_times.shape,
        "tamsd",
        curve.shape,
        f"have the shape {lag_times.shape} of lag_times",
        "fit one curve at a time",
    )
    one_of("residuals", residuals, ("correlated", "independent"))
    chosen = _chosen_lags(lag_times, one_of("lag_choice", lag_choice, ("distinct", "published")))
    tau, observed = lag_times[chosen], curve[chosen]
    good = np.isfinite(observed) & (observed > 0)
    require(
        good.all(),
        "tamsd",
        observed,
        "be finite and positive at every positive lag",
        "leave out walkers at rest",
    )
    _warn_of_steep(tau, observed)
    best = _least_squares(tau, np.log10(observed), learning_rate)
    covariance = _covariance(best.jac, best.fun, correlated=residuals == "correlated")
    hurst, log_theta, log_kappa = best.x
    log_stiffness = log_kappa + gammaln(2 * hurst - 1)
    to_stiffness = np.array([2 * psi(2 * hurst - 1), 0.0, 1.0])
    errors = np.sqrt([covariance[0, 0], covariance[1, 1], to_stiffness @ covariance @ to_stiffness])
    intervals = student_interval(np.array([hurst, log_theta, log_stiffness]), errors, len(tau) - 3)
    # a parameter that the curve does not determine has no upper end
    with np.errstate(over="ignore"):
        theta_interval, stiffness_interval = np.exp(intervals[:, 1:]).T
    plateau_seen = bool(np.exp(log_theta) < _NO_PLATEAU * observed.max())
    if not plateau_seen:
        theta_interval, stiffness_interval = np.array([[0.0, np.inf]] * 2)
    provenance = Provenance.of(
        "fit_tamsd",
        lag_times=lag_times,
        tamsd=curve,
        learning_rate=learning_rate,
        lag_choice=lag_choice,
        residuals=residuals,
        packages=("numpy", "scipy", "pymittagleffler"),
    )
    return TamsdFit(
        hurst=float(hurst),
        theta=float(np.exp(log_theta)),
        stiffness=float(np.exp(log_stiffness)),
        hurst_interval=np.clip(intervals[:, 0], 0.5, 1.0),
        theta_interval=theta_interval,
        stiffness_interval=stiffness_interval,
        rms_log10=float(np.sqrt(np.mean(best.fun**2))),
        plateau_seen=plateau_seen,
        learning_rate=learning_rate,
        lag_times=tau,
        provenance=provenance,
    )


def _law(tau, learning_rate, hurst, log_theta, log_kappa):
    from pymittagleffler import mittag_leffler

    order = 2 - 2 * hurst
    with np.errstate(over="ignore", under="ignore"):  # the plateau is reached long before
        z = np.minimum(learning_rate * np.exp(log_kappa) * tau**order, 1e17)
    # 1 - E_a(-z) = z E_{a,1+a}(-z)
    return 2 * np.exp(log_theta) * (z * np.real(mittag_leffler(-z, order, 1 + order)))


def _warn_of_steep(tau, observed):
    first = np.unique(tau, return_index=True)[1][:5]
    line = stats.linregress(np.log10(tau[first]), np.log10(observed[first]))
    low, high = student_interval(line.slope, line.stderr, len(first) - 2)
    if low > _STEEPEST:
        warnings.warn(
            f"tamsd rises as tau^{line.slope:.2f} [{low:.2f}, {high:.2f}] over lags {tau[first[0]]:g} to {tau[first[-1]]:g}, the law "
            "as tau^1 at most: the fit's parameters mean nothing here; fit from a lag where the walk is no longer ballistic",
            UserWarning,
            3,
        )


def _chosen_lags(lag_times, lag_choice):
    """Return the indices of the lags nearest to 20 log-spaced ones."""
    positive, place = np.unique(np.where(lag_times > 0, lag_times, np.inf), return_index=True)
    positive, place = positive[np.isfinite(positive)], place[np.isfinite(positive)]
    require(
        len(positive) >= 5,
        "lag_times",
        lag_times,
        "hold five distinct positive lags at least",
        "compute more lags",
    )
    wanted = np.round(np.logspace(np.log10(positive[0]), np.log10(positive[-1]), _N_LAGS))
    nearest = np.abs(np.log(positive / wanted[:, None])).argmin(axis=1)
    return place[np.unique(nearest) if lag_choice == "distinct" else nearest]


def _least_squares(tau, log_observed, learning_rate):
    """Fit (H, log theta, log kappa) within bounds from several starts; return the best end."""

    def residuals(parameters):
        return np.log10(_law(tau, learning_rate, *parameters)) - log_observed

    largest = np.log(10) * log_observed.max()
    slowest = np.log(10) * log_observed[0] - largest - np.log(learning_rate)
    bounds = np.array(
        [
            (0.5 + _MARGIN, 1 - _MARGIN),
            (largest - np.log(10), largest + np.log(_LARGEST_PLATEAU)),
            (slowest - 2 * np.log(_LARGEST_PLATEAU), slowest + 100),
        ]
    ).T
    ends = [
        optimize.least_squares(
            residuals,
            [hurst, largest, slowest + np.log(gamma(3 - 2 * hurst) / 2)],
            x_scale=[0.1, 1.0, 1.0],
            bounds=bounds,
        )
        for hurst in _STARTS
    ]
    return min(ends, key=lambda end: end.cost)


def _covariance(jacobian, residuals, correlated):
    """Return the covariance of fitted parameters: C'RC s^2 with C = J (J'J)^-1 and residuals whose correlations are R."""
    n, k = jacobian.shape
    inverse = np.linalg.pinv(jacobian.T @ jacobian)
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    correlations = (_autocorrelation(residuals, k) if correlated else 0.0) ** distance
    weights = jacobian @ inverse
    left = np.trace(
        (np.eye(n) - weights @ jacobian.T) @ correlations
    )  # n - k where they are independent
    return weights.T @ correlations @ weights * (residuals @ residuals) / left


def _autocorrelation(residuals, n_parameters):
    """Return the correlation of neighbouring residuals, in [0, 0.95], without the bias of order 1/n."""
    n, square = len(residuals), residuals @ residuals
    seen = residuals[1:] @ residuals[:-1] / square if square else 0.0
    return np.clip(
        (seen * n + n_parameters) / max(n - n_parameters - 2, 1), 0.0, _LARGEST_CORRELATION
    )
