"""Intervals of a spectrum: covered as often as they say, from both sides; only where calibrated; the bootstrap behind them."""

import hashlib
import inspect
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import linregress, ncx2

from multifractal import fbm_surface, multifractal_spectrum, validate_estimator
from multifractal.analysis import bootstrap as module
from multifractal.analysis.bootstrap import bootstrap
from multifractal.analysis.intervals import CALIBRATIONS, _half, calibration_of, intervals_around
from multifractal.analysis.scaling import fit_residuals, misfit, regression_weights, scale_moments
from multifractal.analysis.spectrum import _checked_settings
from multifractal.base.rng import realisation

Q = np.array([-2.0, -0.5, 0.0, 1.0, 2.0])
LEADERS = [np.random.default_rng(k).normal(size=(n, n)) - k for k, n in enumerate((24, 16, 8))]
WEIGHTS = regression_weights([3, 4, 5], [576, 256, 64])


class EveryBlockOnce:
    """A generator that draws each block once."""

    def integers(self, low, high, size):
        """Return low, ..., high - 1 in each row, as many as asked."""
        return np.tile(np.arange(low, high), (size[0], 1))


def test_a_bootstrap_that_draws_every_block_once_returns_the_estimates(monkeypatch):
    """Blocks overlap 16-fold, so that all of them together are the leaders 16 times: h, D, zeta, cumulants of the fit itself."""
    monkeypatch.setattr(module, "as_generator", lambda rng: EveryBlockOnce())
    draws = bootstrap(LEADERS, Q, WEIGHTS, 2, rng=0)
    moments = [scale_moments(y.ravel(), Q) for y in LEADERS]
    for name, of in (("h", "V"), ("D", "U"), ("zeta", "S"), ("log_cumulants", "cumulants")):
        parts = np.array([getattr(one, of) for one in moments])
        expected = WEIGHTS @ parts
        expected = expected + 2 if name == "D" else expected
        expected = expected / np.log(2) if name == "log_cumulants" else expected
        np.testing.assert_allclose(getattr(draws, name)[0], expected, rtol=1e-10, atol=1e-12)
        assert np.array_equal(draws.of_scales[name], 0 * draws.of_scales[name])


def test_every_scale_has_its_own_stream():
    """The same leaders at two scales are resampled differently: their errors add up as independent ones do."""
    y = np.random.default_rng(9).normal(size=(20, 20))
    one = bootstrap([y], Q, np.array([1.0]), 4000, rng=0)
    both = bootstrap([y, y], Q, np.array([1.0, 1.0]), 4000, rng=0)
    ratio = both.log_cumulants.std(axis=0) / one.log_cumulants.std(axis=0)
    # a standard deviation from 4000 draws is good to 1.1 %; were the streams one, the ratio would be 2
    np.testing.assert_allclose(ratio, np.sqrt(2), rtol=0.08)
    assert both.of_scales["zeta"].shape == (2, len(Q))
    np.testing.assert_allclose(both.of_scales["zeta"][0], one.of_scales["zeta"][0], rtol=1e-12)


def settings(**changes):
    """The settings of a call as they are recorded."""
    keywords = CALIBRATIONS["default, 512 and more"].settings | changes
    return _checked_settings(**keywords, floor="relative", n_bootstrap=9)


def test_calibrations_carry_their_settings():
    """Each holds at its own settings and sizes; with any one setting changed, or at another size, none does."""
    for name, one in CALIBRATIONS.items():
        side = one.sides[0]
        assert calibration_of(settings(**one.settings), (side, 10**6)) is one, name
        assert calibration_of(settings(**one.settings), (side - 1, 10**6)) is not one
    assert calibration_of(settings(), (255, 255)) is None
    assert calibration_of(settings(correction=False), (512, 512)) is not None  # of p = inf: nothing
    for change in (
        {"wavelet": "db3"},
        {"p": 2.0},
        {"integration": 1.0},
        {"first_scale": 1},
        {"scales": (3, 5)},
        {"weights": "uniform"},
    ):
        recorded = settings() | change
        assert calibration_of(recorded, (512, 512)) is None, change
    paper = settings(**CALIBRATIONS["paper's sections, 129 to 257"].settings)
    assert calibration_of(paper | {"correction": True}, (257, 257)) is None


MEASURED = {  # by benchmarks/calibrate_intervals.py; only a new run of it changes a table, and then this digest of it
    "default, 512 and more": "79a0e3459229a46f",
    "default, 256 to 511": "d86ced1c9f4d4636",
    "scales from 2, 129 to 255": "679be6ff5c4f6983",
    "paper's sections, 129 to 257": "231db645857fe61d",
}


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_tables_are_what_was_measured(name):
    """c1's mean less the exponent is its bias, the stretches lie on a line in H (both to the last digit), and no entry was changed."""
    table = CALIBRATIONS[name].table
    hurst = np.arange(2, 10) / 10
    np.testing.assert_allclose(table[:, 0] - hurst, table[:, 1], atol=1.01e-4)
    for stretch in table[:, 5:].T:
        line = np.polyval(np.polyfit(hurst, stretch, 1), hurst)
        np.testing.assert_allclose(stretch, line, atol=1.01e-4)
    assert hashlib.sha256(table.round(4).tobytes()).hexdigest()[:16] == MEASURED[name]


def test_another_default_does_not_inherit_the_calibration(monkeypatch):
    """Were the default wavelet db3, db2's corrections would not be served for it."""
    monkeypatch.setitem(inspect.unwrap(multifractal_spectrum).__kwdefaults__, "wavelet", "db3")
    found = multifractal_spectrum(fbm_surface(256, 0.5, rng=0), n_bootstrap=9, rng=0)
    assert found.settings["wavelet"] == "db3"
    assert np.isnan(found.log_cumulants_interval).all()
    assert any("no intervals" in warning for warning in found.warnings)


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0, 5.0])
def test_half_widths_hold_a_biased_normal_error(ratio):
    """A normal error of bias b and spread 1 lies within the half width in 95 of 100 cases, by its own law."""
    half = _half(np.array([1.0]), np.array([ratio]))[0]
    assert (
        ncx2.cdf(half**2, 1, ratio**2) == pytest.approx(0.95, abs=1e-6)
        if ratio
        else half == pytest.approx(1.959964)
    )


def made_up(c1=0.5, scatter=0.02):
    """Estimates, replicates of a known spread, and a fit of four scales on a line."""
    rng = np.random.default_rng(0)
    estimates = {
        "h": 0 * Q + c1,
        "D": 0 * Q + 2,
        "zeta": c1 * Q,
        "log_cumulants": np.array([c1, 0, 0, 0.0]),
    }
    draws = {
        name: value + scatter * rng.normal(size=(20_000, len(value)))
        for name, value in estimates.items()
    }
    fit = SimpleNamespace(
        scales=np.arange(3, 7), b=np.ones(4), w=regression_weights(range(3, 7), np.ones(4))
    )
    lines = {name: np.outer(fit.scales, value) for name, value in estimates.items()}
    small = {name: np.full((4, len(value)), 1e-3) for name, value in estimates.items()}
    return estimates, SimpleNamespace(**draws, of_scales=small), fit, lines


def test_intervals_are_stretched_normal_ones_and_no_others():
    """With a bias of nothing the half width is 1.96 stretches of the draws' spread (to 2 %): not 90 %, not a fifth less."""
    estimates, draws, fit, lines = made_up(0.6)
    calibration = CALIBRATIONS["default, 512 and more"]
    found = intervals_around(estimates, draws, Q, calibration, fit, lines)
    _, (wide, narrow) = calibration.at(0.6)
    for name, stretch in (("h", wide), ("zeta", wide), ("D", narrow)):
        low, high = found[name]
        middle = np.abs(Q) < 1  # where the bias of c2 does not enter
        np.testing.assert_allclose((high - low)[middle] / 2, 1.96 * stretch * 0.02, rtol=0.06)
        np.testing.assert_allclose((high + low) / 2, estimates[name], atol=1e-12)
    halves = np.diff(found["log_cumulants"], axis=0)[0] / 2
    np.testing.assert_allclose(
        halves, 1.96 * 0.02 * np.array([wide, narrow, narrow, narrow]), rtol=0.06
    )


def test_a_bias_widens_its_interval_and_no_other():
    """At c1 = 0.3 the bias of c2 is half a spread: its interval is that of the table, through h and D at q = 2 as well."""
    estimates, draws, fit, lines = made_up(0.2974, 0.002)
    calibration = CALIBRATIONS["default, 512 and more"]
    found = intervals_around(estimates, draws, Q, calibration, fit, lines)
    biases, (wide, narrow) = calibration.at(0.2974)
    assert biases.tolist() == calibration.table[1, 1:5].tolist()
    for k, stretch in enumerate((wide, narrow, narrow, narrow)):
        spread = stretch * draws.log_cumulants[:, k].std(ddof=1)
        expected = _half(np.array([spread]), biases[k : k + 1])[0]
        assert np.diff(found["log_cumulants"][:, k])[0] / 2 == pytest.approx(expected, rel=1e-9)
    of_h = biases[0] + biases[1] * 2 + biases[2] * 2 + biases[3] * 8 / 6
    of_zeta = biases[0] * 2 + biases[1] * 2 + biases[2] * 8 / 6 + biases[3] * 16 / 24
    for name, stretch, bias in (
        ("h", wide, of_h),
        ("zeta", wide, of_zeta),
        ("D", narrow, 2 * of_h - of_zeta),
    ):
        spread = np.array([stretch * getattr(draws, name)[:, -1].std(ddof=1)])
        expected = _half(spread, np.array([bias]))[0]
        assert np.diff(found[name][:, -1])[0] / 2 == pytest.approx(expected, rel=1e-9), name


def test_no_interval_where_no_surface_has_such_a_c1():
    """Beyond the calibrating surfaces by more than two standard deviations there is none; within, there is."""
    calibration = CALIBRATIONS["default, 512 and more"]
    lowest, highest = calibration.table[[0, -1], 0]
    for c1, known in (
        (lowest - 0.07, False),
        (lowest - 0.04, True),
        (highest + 0.04, True),
        (highest + 0.07, False),
    ):
        estimates, draws, fit, lines = made_up(c1)
        found = intervals_around(estimates, draws, Q, calibration, fit, lines)
        assert np.isfinite(found["log_cumulants"]).all() == known
    assert np.isnan(intervals_around(*made_up()[:2], Q, None, *made_up()[2:])["h"]).all()


def test_a_poor_fit_enters_the_interval():
    """Scales off the line by more than resampling allows widen the interval by the error that the misfit gives the slope."""
    estimates, draws, fit, lines = made_up(0.6)
    calibration = CALIBRATIONS["default, 512 and more"]
    plain = intervals_around(estimates, draws, Q, calibration, fit, lines)
    lines["log_cumulants"] = lines["log_cumulants"] + np.array([0.3, -0.3, -0.3, 0.3])[:, None]
    bent = intervals_around(estimates, draws, Q, calibration, fit, lines)
    slope = linregress(fit.scales, lines["log_cumulants"][:, 0])
    expected = np.hypot(np.diff(plain["log_cumulants"][:, 0])[0] / 2, 2 * slope.stderr)
    assert np.diff(bent["log_cumulants"][:, 0])[0] / 2 == pytest.approx(expected, rel=1e-3)
    assert np.array_equal(bent["h"], plain["h"])


def test_the_misfit_is_the_error_of_linregress():
    """With nothing allowed and residuals alike in size it is scipy's standard error of the slope; with enough allowed, 0."""
    scales, b = np.arange(5), np.ones(5)
    y = (0.7 * scales + np.array([1, -1, 0, -1, 1]) * 0.1)[:, None]
    w = regression_weights(scales, b)
    off = y[:, 0] - np.polyval(np.polyfit(scales, y[:, 0], 1), scales)
    expected = np.sqrt(np.sum(w**2 * off**2) * 5 / 3)
    assert misfit(scales, b, w, y, 0 * y)[0] == pytest.approx(expected, rel=1e-12)
    assert expected == pytest.approx(linregress(scales, y[:, 0]).stderr, rel=0.5)
    assert misfit(scales, b, w, y, 0 * y + 0.2)[0] == 0
    assert fit_residuals(scales, b, y)[0] == pytest.approx(np.sqrt(np.mean(off**2)), rel=1e-12)
    two = np.array([[0.0], [1.0]])
    assert (
        misfit([1, 2], np.ones(2), regression_weights([1, 2], np.ones(2)), two, 0 * two)[0] < 1e-12
    )


@pytest.fixture(scope="module")
def of_60_surfaces():
    """Estimates of c1 and c2, and their intervals, of 60 fresh surfaces of 256 pixels: 20 for each of three exponents."""
    found = []
    for hurst in (0.4, 0.5, 0.6):
        for k in range(20):
            rng = realisation(77, round(1000 * hurst) + k)
            surface = fbm_surface(256, hurst, rng=rng, dtype=np.float32)
            spectrum = multifractal_spectrum(surface, n_bootstrap=199, rng=rng)
            found.append(
                (
                    spectrum.log_cumulants[:2] - [hurst, 0],
                    np.diff(spectrum.log_cumulants_interval[:, :2], axis=0)[0] / 2,
                )
            )
    return np.array([one for one, _ in found]), np.array([half for _, half in found])


def test_intervals_are_neither_too_short_nor_too_long(of_60_surfaces):
    """Half widths over 1.96 standard deviations of the estimates: 0.75 to 1.6, four errors of 9 % about 1 and room for bias."""
    errors, half = of_60_surfaces
    ratio = half.mean(axis=0) / (1.96 * errors.std(axis=0, ddof=1))
    assert (ratio > 0.75).all()
    assert (ratio < 1.6).all()


def test_intervals_of_256_pixels_hold_the_truth_from_both_sides(of_60_surfaces):
    """c1 and c2 are covered in 85 % or more (3.5 binomial errors); half as wide an interval would not: under 93 %."""
    errors, half = of_60_surfaces
    covered = (np.abs(errors) <= half).mean(axis=0)
    assert (covered >= 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / 60)).all()
    assert ((np.abs(errors) <= half / 2).mean(axis=0) < 0.93).all()
    # and those that miss lie on both sides of it: 9 of 40 surfaces had c2 wholly below 0 before it was calibrated
    assert (errors[:, 1] + half[:, 1] < 0).mean() < 0.12


def test_coverage_counts_intervals_that_hold_the_truth(monkeypatch):
    """validate_estimator: intervals that always, never, and for half of the surfaces hold the truth; none counts as none."""
    import multifractal.analysis.validation as validation

    def spectra(intervals):
        queue = iter(intervals)
        monkeypatch.setattr(
            validation,
            "multifractal_spectrum",
            lambda surface, **_: SimpleNamespace(
                log_cumulants=np.zeros(4),
                log_cumulants_interval=next(queue),
                diagnostics=SimpleNamespace(valid=True),
            ),
        )
        return validate_estimator((0.5,), n=16, n_surfaces=2, rng=0, n_bootstrap=9).coverage[0]

    wide, off = np.array([[-1.0] * 4, [1.0] * 4]), np.array([[0.6] * 4, [1.0] * 4])
    assert spectra([wide, wide]).tolist() == [1, 1, 1, 1]
    assert spectra([off, off]).tolist() == [0, 0, 0, 0]
    assert spectra([wide, off]).tolist() == [0.5, 0.5, 0.5, 0.5]
    assert spectra([wide, np.full((2, 4), np.nan)]).tolist() == [1, 1, 1, 1]
    assert np.isnan(spectra([None, None])).all()
