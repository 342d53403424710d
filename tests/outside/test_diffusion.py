"""Displacement, the fractional theory and its equation against mpmath, MFDFA, scipy, statsmodels and the published files."""

import mpmath
import numpy as np
import pytest
from MFDFA import fgn
from scipy import optimize, stats
from scipy.special import gamma

from multifractal import (
    diffusion_exponent,
    fit_tamsd,
    fractional_langevin,
    source_data,
    tamsd,
    theoretical_tamsd,
)
from multifractal.diffusion import theory


@pytest.mark.parametrize("hurst", [0.3, 0.5, 0.8])
def test_tamsd_of_another_packages_fractional_noise_grows_as_its_law(hurst):
    """Sums of MFDFA's fractional Gaussian noise have displacement c tau^(2H) (c set by lag 1), to 5 errors over 60 walks."""
    np.random.seed(7)  # noqa: NPY002  MFDFA draws from numpy's global state
    walks = np.array([np.cumsum(fgn(1000, hurst)) for _ in range(60)])[..., None]
    found = tamsd(walks, waiting_times=[0, 300], lag_times=[1, 2, 4, 8, 16], window=600)
    ratio = found.per_walk / found.per_walk[..., :1].mean(axis=0)
    error = ratio.std(axis=0, ddof=1) / np.sqrt(60)
    law = np.array([1, 2, 4, 8, 16]) ** (2 * hurst)
    # lag 1 is measured too: its error enters once more
    assert np.all(np.abs(ratio.mean(axis=0) - law) <= 5 * (error + law * error[:, :1]) + 1e-12)


def test_tamsd_of_a_circle_is_its_chord():
    """Steps of angle a on a circle of radius r: the displacement is (2 r sin(a tau / 2))^2 at every window, both paths."""
    t, a, r = np.arange(4000), 0.37, 5.0
    circle = r * np.stack([np.cos(a * t), np.sin(a * t)], axis=1)
    for lags in ([1, 7, 100], np.arange(1000)):
        found = tamsd(circle, waiting_times=[0, 17, 900], lag_times=lags, window=2000).values
        chord = (2 * r * np.sin(a * np.asarray(lags) / 2)) ** 2
        assert found == pytest.approx(np.tile(chord, (3, 1)), abs=1e-10)


@pytest.mark.parametrize("hurst", [0.51, 0.6, 0.75, 0.95])
def test_the_law_is_mpmaths_mittag_leffler_function(hurst):
    """2 theta [1 - E_a(-z)] by the power series in 60 digits, for z up to 8: 1e-10 of the value."""
    mpmath.mp.dps = 60
    order, rate, stiffness, theta = 2 - 2 * hurst, 3.0, 0.02, 7.0
    for z in (1e-6, 0.03, 0.9, 8.0)[: 3 if hurst > 0.8 else 4]:  # else terms of 10^8 digits
        kappa = rate * stiffness / gamma(2 * hurst - 1)
        lag = (z / kappa) ** (1 / order)
        series = mpmath.nsum(
            lambda n, z=z: mpmath.mpf(-z) ** n / mpmath.gamma(order * n + 1), [0, 600], method="d"
        )
        found = theoretical_tamsd(
            [lag], learning_rate=rate, hurst=hurst, theta=theta, stiffness=stiffness
        )
        assert found[0] == pytest.approx(float(2 * theta * (1 - series)), rel=1e-10)


def test_the_laws_plateau_and_first_rise_are_its_asymptotes():
    """2 theta z / Gamma(1 + a) for short lags (Podlubny 1999, 1.80), 2 theta [1 - 1/(z Gamma(1 - a))] for long ones."""
    hurst, order = 0.7, 0.6
    kappa = 1e-3 / gamma(0.4)
    early, late = theoretical_tamsd(
        [1e-6, 1e12], learning_rate=1.0, hurst=hurst, theta=3.0, stiffness=1e-3
    )
    assert early == pytest.approx(6 * kappa * 1e-6**order / gamma(1 + order), rel=1e-5)
    z = kappa * 1e12**order
    assert 6 - late == pytest.approx(6 / (z * gamma(1 - order)), rel=1e-3)


def test_the_fit_is_scipys_with_its_intervals_by_curve_fit():
    """Parameters and 95 % intervals are those of scipy's curve_fit of the same law, with its covariance and Student's t."""
    generator = np.random.default_rng(3)
    lags = np.arange(1, 1001)
    curve = theoretical_tamsd(lags, learning_rate=2.0, hurst=0.7, theta=40.0, stiffness=0.01)
    curve = curve * np.exp(0.05 * generator.normal(size=1000))
    found = fit_tamsd(lags, curve, learning_rate=2.0, residuals="independent")
    chosen = theory._chosen_lags(lags.astype(float), "distinct")

    def law(tau, hurst, log_theta, log_stiffness):
        return np.log10(
            theoretical_tamsd(
                tau,
                learning_rate=2.0,
                hurst=hurst,
                theta=np.exp(log_theta),
                stiffness=np.exp(log_stiffness),
            )
        )

    best, covariance = optimize.curve_fit(
        law,
        lags[chosen],
        np.log10(curve[chosen]),
        p0=[0.7, np.log(40), np.log(0.01)],
        bounds=([0.501, 0, -12], [0.99, 9, 3]),
    )
    assert [found.hurst, found.theta, found.stiffness] == pytest.approx(
        [best[0], *np.exp(best[1:])], rel=1e-3
    )
    half = stats.t.ppf(0.975, len(chosen) - 3) * np.sqrt(np.diag(covariance))
    assert np.diff(found.hurst_interval) / 2 == pytest.approx(half[0], rel=0.01)
    assert np.diff(np.log(found.theta_interval)) / 2 == pytest.approx(half[1], rel=0.01)
    assert np.diff(np.log(found.stiffness_interval)) / 2 == pytest.approx(half[2], rel=0.01)


def test_a_fit_of_the_published_curve_is_the_published_fit(zenodo):
    """The paper's H = 0.5 file, line 2, with lag 1 counted twice: H = .52868, theta = 36647.2, k = 7.108e-5 (its code)."""
    file = source_data.read("fractional_brownian_surfaces/TAMSD_H=0.5.mat", zenodo)
    found = fit_tamsd(file["xs"][2], file["ys"][2], learning_rate=1000.0, lag_choice="published")
    assert found.hurst == pytest.approx(0.52868, abs=5e-6)
    assert found.theta == pytest.approx(36647.2, rel=1e-4)
    assert found.stiffness == pytest.approx(7.108e-5, rel=1e-3)


def test_exponents_of_the_published_curves_are_the_papers(zenodo):
    """Figure 4 shows .7 at lags 3 to 10, 1.1 at 150 to 400, and in its second panel .6 at 2 to 8, to its rounding or nearly.

    The paper draws the lines by eye: .1 is allowed.
    """
    file = source_data.read("multifractional_brownian_surface/TAMSD.mat", zenodo)
    early, late = file["ys"][:8].mean(axis=0), file["ys"][8:].mean(axis=0)
    lags = file["xs"][0]
    assert diffusion_exponent(lags, early, lag_range=(3, 10)).exponent == pytest.approx(
        0.7, abs=0.1
    )
    assert diffusion_exponent(lags, late, lag_range=(2, 8)).exponent == pytest.approx(0.6, abs=0.1)


def test_a_diffusion_exponent_is_scipys_regression():
    """One curve's exponent and prefactor are those of scipy.stats.linregress of log10 on log10."""
    lags = np.arange(1, 40)
    curve = 3 * lags**0.8 * np.exp(0.1 * np.random.default_rng(0).normal(size=39))
    found = diffusion_exponent(lags, curve, lag_range=(2, 20))
    line = stats.linregress(np.log10(lags[1:20]), np.log10(curve[1:20]))
    assert found.exponent == pytest.approx(line.slope, rel=1e-10)
    assert found.prefactor == pytest.approx(10**line.intercept, rel=1e-9)


def test_the_langevin_equation_has_its_exact_moments():
    """Under a constant force the mean is -c1 F t^a and the variance c2^2 t^a, a = 2 - 2H, at steps 1, 2 and 5.

    c1 = eta / (Gamma(2H-1) Gamma(3-2H)) and c2^2 = 2 eta^2 / (beta Gamma(3-2H) Gamma(2H-1)) (the paper's Methods, integrated
    once): 8000 paths of 5 steps, so that a noise scaled by n - 1 in place of n would be 15 % off where 5 errors are 8 %.
    """
    import numba

    @numba.njit
    def force(x):
        return 0.3

    hurst, eta, beta = 0.7, 2.0, 5.0
    order, scale = 2 - 2 * hurst, gamma(2 * hurst - 1) * gamma(3 - 2 * hurst)
    found = fractional_langevin(
        force, np.zeros(8000), n_steps=5, hurst=hurst, learning_rate=eta, beta=beta, rng=0
    ).positions
    for step in (1, 2, 5):
        variance = 2 * eta**2 / (beta * scale) * step**order
        mean, error = found[:, step].mean(), np.sqrt(variance / 8000)
        assert mean == pytest.approx(-eta / scale * 0.3 * step**order, abs=5 * error)
        assert found[:, step].var() / variance == pytest.approx(1, abs=5 * np.sqrt(2 / 8000))


def test_without_noise_a_harmonic_well_relaxes_as_mpmaths_mittag_leffler():
    """x(t) = x0 E_a(-eta k t^a / Gamma(2H-1)) for the continuous equation; unit steps of a slow well are that to 1 %."""
    from multifractal import HarmonicPotential

    hurst, eta, stiffness, n = 0.7, 1.0, 2e-3, 4000
    order = 2 - 2 * hurst
    path = fractional_langevin(
        HarmonicPotential(stiffness),
        1.0,
        n_steps=n,
        hurst=hurst,
        learning_rate=eta,
        beta=1.0,
        noise=np.zeros(n + 1),
    ).positions
    for step in (100, 1000, 4000):
        z = eta * stiffness * step**order / gamma(2 * hurst - 1)
        exact = mpmath.nsum(
            lambda k, z=z: mpmath.mpf(-z) ** k / mpmath.gamma(order * k + 1), [0, 300], method="d"
        )
        assert path[step] == pytest.approx(float(exact), rel=0.01)
