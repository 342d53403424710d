"""Theory: the displacement law in its closed forms, its fit on exact, noisy and published curves, and refusals."""

import re
import warnings

import numpy as np
import pytest
from scipy import signal
from scipy.special import erfcx, gamma

import multifractal as mf
from multifractal import TamsdFit, diffusion_exponent_law, fit_tamsd, source_data, theoretical_tamsd
from multifractal.diffusion import theory
from tests.helpers import naive

pytestmark = pytest.mark.quick

LAGS = np.arange(1000)
FILES = {
    "fractional_brownian_surfaces/TAMSD_H=0.4.mat": 10,
    "fractional_brownian_surfaces/TAMSD_H=0.5.mat": 10,
    "fractional_brownian_surfaces/TAMSD_H=0.7.mat": 1,
    "multifractional_brownian_surface/TAMSD.mat": 14,
}


def test_the_law_at_three_quarters_is_an_error_function():
    """E_{1/2}(-z) = erfcx(z), from tiny to huge arguments, to 1e-11 relative."""
    lags = np.logspace(-20, 12, 200)
    z = 2.0 * 3e-3 * np.sqrt(lags) / gamma(0.5)
    ours = theoretical_tamsd(lags, learning_rate=2.0, hurst=0.75, theta=5.0, stiffness=3e-3)
    np.testing.assert_allclose(
        ours, np.where(z < 1e-6, 10 * z * (2 / np.sqrt(np.pi) - z), 10 * (1 - erfcx(z))), rtol=1e-9
    )


def test_the_law_matches_its_power_series():
    """For arguments up to 2 the law equals the naive series."""
    lags = np.array([0, 1, 3, 10, 30])
    z = 1000 * 1e-4 * lags**0.6 / gamma(0.4)
    ours = theoretical_tamsd(lags, learning_rate=1000, hurst=0.7, theta=7.0, stiffness=1e-4)
    np.testing.assert_allclose(ours, 14 * (1 - naive.mittag_leffler(-z, 0.6)), rtol=1e-11)


def test_towards_one_half_the_law_is_exponential():
    """With kappa = k / Gamma(2H-1) held, H -> 1/2 gives 2 theta (1 - exp(-rate kappa tau))."""
    hurst, kappa = 0.5 + 1e-9, 3e-3
    ours = theoretical_tamsd(
        LAGS, learning_rate=1.0, hurst=hurst, theta=2.0, stiffness=kappa * gamma(2 * hurst - 1)
    )
    np.testing.assert_allclose(ours, -4 * np.expm1(-kappa * LAGS), rtol=1e-6)


def test_a_fit_finds_the_law_it_is_given():
    """On an exact curve the fit gives its parameters to 1e-5 and says that it saw the plateau."""
    curve = theoretical_tamsd(LAGS, learning_rate=100, hurst=0.63, theta=40.0, stiffness=2e-3)
    fit = fit_tamsd(LAGS, curve, learning_rate=100)
    np.testing.assert_allclose([fit.hurst, fit.theta, fit.stiffness], [0.63, 40.0, 2e-3], rtol=1e-5)
    assert fit.plateau_seen
    np.testing.assert_allclose(fit.curve(LAGS), curve, rtol=1e-5)


@pytest.mark.parametrize(("correlation", "correlated"), [(0.0, False), (0.0, True), (0.7, True)])
def test_the_stated_covariance_of_a_line_is_that_of_repetition(correlation, correlated):
    """Slopes and intercepts of 2000 lines under an autoregression of known correlation: variances as stated, within 5 errors."""
    rng, n = np.random.default_rng(0), 400
    design = np.stack([np.ones(n), np.linspace(-1, 1, n)], axis=1)
    noise = signal.lfilter(
        [np.sqrt(1 - correlation**2)], [1, -correlation], rng.normal(size=(2000, n + 50))
    )[:, 50:]
    fitted = noise @ np.linalg.pinv(design).T
    left = noise - fitted @ design.T
    stated = np.mean(
        [np.diag(theory._covariance(design, one, correlated)) for one in left[:50]], axis=0
    )
    # at 0 the correlation is held at or above 0, which adds its mean of .4/sqrt(n) twice
    allowed = 5 * np.sqrt(2 / 2000) + (
        2 * 0.4 / np.sqrt(n) if correlated and not correlation else 0
    )
    np.testing.assert_allclose(stated, fitted.var(axis=0), rtol=allowed)


def test_the_residual_of_a_fit_is_the_root_mean_square_in_decades():
    """Of a curve bent by 5 % of noise, at the lags that the fit chose."""
    lags = np.unique(np.round(np.logspace(0, 3, 20)))
    curve = theoretical_tamsd(lags, learning_rate=100, hurst=0.63, theta=40.0, stiffness=2e-3)
    curve *= np.exp(0.05 * np.random.default_rng(0).normal(size=len(lags)))
    fit = fit_tamsd(lags, curve, learning_rate=100)
    left = np.log10(fit.curve(lags) / curve)
    assert fit.rms_log10 == pytest.approx(np.sqrt(np.mean(left**2)), rel=1e-6)
    assert 0.3 * 0.05 < fit.rms_log10 * np.log(10) < 2 * 0.05


def test_one_path_is_fitted_with_three_times_the_error_of_independent_lags():
    """A Langevin path's residuals are correlated (.7 by the table of calibration): the interval grows, the estimate stays."""
    well = mf.HarmonicPotential(stiffness=1e-4)
    path = mf.fractional_langevin(
        well, 0.0, n_steps=20_000, beta=5e3, rng=0, learning_rate=1000.0, hurst=0.7
    )
    curve = mf.tamsd(
        path.positions.reshape(-1), waiting_times=[4000], lag_times=LAGS, window=12_000
    )
    fits = [
        fit_tamsd(LAGS, curve.values[0], learning_rate=1000, residuals=how)
        for how in ("correlated", "independent")
    ]
    assert fits[0].hurst == fits[1].hurst
    assert np.ptp(fits[0].hurst_interval) > 1.5 * np.ptp(fits[1].hurst_interval)


@pytest.mark.parametrize("squared", [1e-12, "first is one", 1e12])
def test_another_unit_of_length_changes_theta_only(squared):
    """A curve times a constant, however large, or such that it begins at 1: the same H and stiffness, theta times it."""
    curve = theoretical_tamsd(LAGS, learning_rate=100, hurst=0.63, theta=40.0, stiffness=2e-3)
    factor = 1 / curve[1] if squared == "first is one" else squared
    fit = fit_tamsd(LAGS, factor * curve, learning_rate=100)
    np.testing.assert_allclose(
        [fit.hurst, fit.theta, fit.stiffness], [0.63, factor * 40.0, 2e-3], rtol=1e-5
    )


def test_intervals_cover_under_independent_noise():
    """With independent noise on the lags, 95 % intervals cover each parameter 95 % of 60 times, within 5 standard errors."""
    truth = {"hurst": 0.63, "theta": 40.0, "stiffness": 2e-3}
    curve = theoretical_tamsd(LAGS, learning_rate=100, **truth)
    rng = np.random.default_rng(0)
    fits = [
        fit_tamsd(
            LAGS,
            curve * 10 ** rng.normal(0, 0.02, 1000),
            learning_rate=100,
            residuals="independent",
        )
        for _ in range(60)
    ]
    for name, value in truth.items():
        inside = [
            getattr(fit, f"{name}_interval")[0] <= value <= getattr(fit, f"{name}_interval")[1]
            for fit in fits
        ]
        assert abs(np.mean(inside) - 0.95) < 5 * np.sqrt(0.95 * 0.05 / 60), name


def test_a_curve_without_plateau_says_so():
    """A pure power law has no plateau: theta and stiffness are declared undetermined, H is still the slope's."""
    fit = fit_tamsd(LAGS, 3.0 * LAGS**0.7, learning_rate=100)
    assert not fit.plateau_seen
    assert fit.theta_interval.tolist() == [0, np.inf]
    assert 2 - 2 * fit.hurst == pytest.approx(0.7, abs=1e-3)


@pytest.mark.parametrize(
    ("lags", "n_lags", "expected"),
    [
        ("distinct", 19, (0.52737, 36404.0, 7.4496e-5)),
        ("published", 20, (0.52868, 36647.2, 7.1083e-5)),
    ],
)
def test_the_two_reference_fits(zenodo, lags, n_lags, expected):
    """Line 2 of the file for H = 0.5 is fitted as it was elsewhere, to five figures; lag 1 twice moves it a little."""
    file = source_data.read("fractional_brownian_surfaces/TAMSD_H=0.5.mat", folder=zenodo)
    fit = fit_tamsd(file["xs"][2], file["ys"][2], learning_rate=1000, lag_choice=lags)
    assert len(fit.lag_times) == n_lags
    np.testing.assert_allclose([fit.hurst, fit.theta, fit.stiffness], expected, rtol=2e-5)


def test_the_fitted_exponent_is_not_the_surfaces(zenodo):
    """The file for a surface of 0.4 is fitted by .513: below 1/2 the law cannot follow the surface at all."""
    file = source_data.read("fractional_brownian_surfaces/TAMSD_H=0.4.mat", folder=zenodo)
    assert fit_tamsd(file["xs"][3], file["ys"][3], learning_rate=1000).hurst == pytest.approx(
        0.513, abs=5e-4
    )


@pytest.mark.parametrize("name", FILES)
def test_every_published_curve_is_fitted_without_warnings(zenodo, name):
    """All lines of all files, first with distinct lags, then one line as published, give finite fits and no warning."""
    file = source_data.read(name, folder=zenodo)
    assert len(file["xs"]) == FILES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fits = [
            fit_tamsd(x, y, learning_rate=1000) for x, y in zip(file["xs"], file["ys"], strict=True)
        ]
        fits.append(
            fit_tamsd(file["xs"][0], file["ys"][0], learning_rate=1000, lag_choice="published")
        )
    assert all(
        0.5 < fit.hurst < 1 and np.isfinite([fit.theta, fit.stiffness, fit.rms_log10]).all()
        for fit in fits
    )


def test_a_fit_survives_a_round_trip(tmp_path):
    """A saved fit loads and draws the same curve."""
    fit = fit_tamsd(
        LAGS,
        theoretical_tamsd(LAGS, learning_rate=1, hurst=0.6, theta=1, stiffness=0.1),
        learning_rate=1,
    )
    fit.save(tmp_path / "fit.npz")
    assert np.array_equal(TamsdFit.load(tmp_path / "fit.npz").curve(LAGS), fit.curve(LAGS))


def test_the_law_of_the_exponent():
    """1 up to H = 1/2, 2 - 2H above."""
    np.testing.assert_allclose(diffusion_exponent_law([0.1, 0.5, 0.7, 0.9]), [1, 1, 0.6, 0.2])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: theoretical_tamsd([1], learning_rate=1, hurst=0.5, theta=1, stiffness=1),
            "hurst must lie in (1/2, 1), got",
        ),
        (
            lambda: theoretical_tamsd([-1], learning_rate=1, hurst=0.7, theta=1, stiffness=1),
            "lag_times must be at least 0",
        ),
        (
            lambda: theoretical_tamsd([1], learning_rate=1, hurst=0.7, theta=0, stiffness=1),
            "theta must be a positive finite",
        ),
        (
            lambda: fit_tamsd([0, 1, 2, 3], np.ones(4), learning_rate=1),
            "lag_times must hold five distinct positive lags",
        ),
        (
            lambda: fit_tamsd(LAGS, np.zeros(1000), learning_rate=1),
            "tamsd must be finite and positive",
        ),
        (
            lambda: fit_tamsd(LAGS, np.ones((2, 1000)), learning_rate=1),
            "tamsd must have the shape (1000,)",
        ),
        (
            lambda: fit_tamsd(LAGS, LAGS, learning_rate=1, lag_choice="all"),
            "lag_choice must be one of 'distinct', 'published', got 'all'",
        ),
        (lambda: diffusion_exponent_law(1.2), "hurst must lie in (0, 1), got 1.2"),
    ],
)
def test_bad_input_is_refused_with_its_rule(call, words):
    """Each refusal names the argument, its value and the rule."""
    with pytest.raises(ValueError, match=re.escape(words)):
        call()


@pytest.mark.parametrize(
    ("exponent", "steep"), [(2.0, True), (1.3, True), (1.0, False), (0.6, False)]
)
def test_a_curve_that_rises_faster_than_the_law_can_is_said_to(exponent, steep):
    """Ballistic (2) and super-diffusive (1.3) power laws warn with their slope, diffusion and slower ones do not."""
    lags = np.arange(1, 400)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit_tamsd(lags, 3.0 * lags**exponent, learning_rate=1.0)
    assert [f"rises as tau^{exponent:.2f} " in str(w.message) for w in said] == [True] * steep


@pytest.mark.parametrize(("errors_above", "warns"), [(2.8, False), (3.6, True)])
def test_a_slope_is_steep_where_students_interval_of_three_degrees_says_so(errors_above, warns):
    """Five lags on a line of slope 1.1 + k of its standard errors: k lies on either side of t(.975, 3) = 3.18."""
    x, off = np.arange(12) * np.log10(2), 0.02 * np.array([1, -2, 0, 2, -1])
    error = 0.02 / (
        np.sqrt(3) * np.log10(2)
    )  # of the slope: residuals of sum of squares 10 at spacing log10 2
    y = np.minimum(x, x[4]) * (1.1 + errors_above * error) + 0.3 * np.maximum(x - x[4], 0)
    y[:5] += off
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit_tamsd(2 ** np.arange(12), 10**y, learning_rate=1.0)
    assert any("rises as" in str(one.message) for one in said) == warns
