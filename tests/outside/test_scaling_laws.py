"""Scaling, spectra and intervals against deterministic cascades, whose laws are exact, and against statsmodels and scipy."""

import numpy as np
import pytest
import pywt
import statsmodels.api as sm
from scipy import stats

from multifractal import measure_spectrum, wavelet_leaders
from multifractal.analysis.bootstrap import bootstrap
from multifractal.analysis.leaders import leaders_of, wavelet_coefficients
from multifractal.analysis.scaling import log2_leaders, regression_weights, scale_moments, slope
from multifractal.analysis.spectrum import _finite_size_shifts
from multifractal.landscapes.laws import LogPoisson, Multinomial

Q = np.array([-5.0, -2, -1, -0.3, 0, 0.01, 1, 2, 5])
SCALES = np.arange(1, 7)


def _cascade(factors, levels):
    """Return the 4^levels products of a deterministic cascade: every choice of one of four factors at each level, once."""
    products = np.ones((1, 1))
    for _ in range(levels):
        products = np.kron(products, np.reshape(factors, (2, 2)))
    return products


def _fitted(factors):
    """Return q-wise zeta, h and D, and c1 to c4, fitted to the cascade's products as leaders of scales 1 to 6."""
    logs = [log2_leaders(_cascade(factors, 7 - j), "relative") for j in SCALES]
    moments = [scale_moments(y.ravel(), Q) for y in logs]
    w = regression_weights(SCALES, [y.size for y in logs])
    zeta, h, U, c = (
        slope(w, [getattr(m, k) for m in moments]) for k in ("S", "V", "U", "cumulants")
    )
    return zeta, h, 2 + U, c / np.log(2)


FACTORS = np.array([0.43, 0.31, 0.17, 0.61])


def test_a_deterministic_cascade_has_its_closed_law_at_every_order():
    """Mean of l^q is (mean of f^q)^k at level k, so zeta, its derivative h, D = 2 + q h - zeta and c1 to c4 are exact.

    Frisch & Parisi (1985) and Halsey et al. (1986), equation 2.9, for the law; the derivative is taken by hand.
    """
    zeta, h, D, c = _fitted(FACTORS)
    powers, logs = FACTORS ** Q[:, None], np.log2(FACTORS)
    law = -np.log2(powers.mean(axis=1))
    slope_of_law = -(powers * logs).sum(axis=1) / powers.sum(axis=1)
    assert zeta == pytest.approx(law, abs=1e-11)
    assert h == pytest.approx(slope_of_law, abs=1e-11)
    assert D == pytest.approx(2 + Q * slope_of_law - law, abs=1e-11)
    x = np.log(FACTORS)
    m2, m3, m4 = (stats.moment(x, order=k) for k in (2, 3, 4))
    assert c == pytest.approx(-np.array([x.mean(), m2, m3, m4 - 3 * m2**2]) / np.log(2), abs=1e-10)


def test_the_multinomial_law_is_that_of_its_deterministic_cascade():
    """The p-model's law and the box sums of its deterministic measure are those of its masses as leaders, at every order."""
    weights = FACTORS / FACTORS.sum()
    zeta, h, D, c = _fitted(weights)
    law = Multinomial(tuple(weights))
    assert law.zeta(Q) == pytest.approx(zeta, abs=1e-11)
    assert law.exponent(Q) == pytest.approx(h, abs=1e-11)
    assert law.log_cumulants == pytest.approx(c, abs=1e-10)
    found = measure_spectrum(_cascade(weights, 7), Q)  # box sums of the deterministic measure
    assert found.tau == pytest.approx(zeta - 2, abs=1e-11)
    assert found.h == pytest.approx(h, abs=1e-11)
    assert found.D == pytest.approx(D, abs=1e-11)


def test_the_log_poisson_law_is_the_cumulant_function_of_scipys_poisson():
    """zeta(q) = -log2 E W^q by scipy's Poisson weights; c1 to c4 from its mean, variance, skewness and kurtosis."""
    law = LogPoisson(0.9, 0.7, 0.8)
    events = np.arange(80)
    weights = stats.poisson.pmf(events, 0.8)
    for q in Q:
        mean = np.sum(weights * (2.0**-0.9 * 0.7**events) ** q)
        assert law.zeta(q) == pytest.approx(-np.log2(mean), abs=1e-12)
    mean, var, skew, kurtosis = map(float, stats.poisson.stats(0.8, moments="mvsk"))
    b = np.log(0.7)
    cumulants = [
        b * mean - 0.9 * np.log(2),
        b**2 * var,
        b**3 * skew * var**1.5,
        b**4 * kurtosis * var**2,
    ]
    assert law.log_cumulants == pytest.approx(-np.array(cumulants) / np.log(2), abs=1e-12)


def test_regression_weights_are_statsmodels_weighted_least_squares():
    """The slope is that of statsmodels' WLS with the same weights."""
    generator = np.random.default_rng(0)
    y, b = generator.normal(size=6), generator.uniform(1, 1000, 6)
    fitted = sm.WLS(y, sm.add_constant(SCALES.astype(float)), weights=b).fit()
    assert slope(regression_weights(SCALES, b), y) == pytest.approx(fitted.params[1], abs=1e-12)


def test_bootstrap_of_h_D_and_zeta_has_the_spread_of_repetition():
    """For independent log-normal leaders the resamples spread as 150 fresh samples do, at q = -2, 1 and 2, and for c1, c2.

    Two spreads of 150 and 400 draws agree to 5 standard errors of their logarithm, sqrt(1/300 + 1/800); blocks of 16 of
    24 x 24 independent leaders are drawn from few, which lowers the bootstrap's variance by 1/36.
    """
    q, w = np.array([-2.0, 1, 2]), regression_weights([1, 2, 3], [1, 1, 1])

    def logs(seed):
        return list(np.random.default_rng(seed).normal(0, 0.3, (3, 24, 24)))

    fresh = []
    for seed in range(150):
        moments = [scale_moments(y.ravel(), q) for y in logs(seed)]
        S, V, U, c = (
            slope(w, [getattr(m, k) for m in moments]) for k in ("S", "V", "U", "cumulants")
        )
        fresh.append([*S, *V, *U, *c[:2] / np.log(2)])
    resampled = []
    for seed in range(4):
        found = bootstrap(logs(1000 + seed), q, w, 400, seed)
        parts = [found.zeta, found.h, found.D, found.log_cumulants[:, :2]]
        resampled.append(np.hstack(parts).var(axis=0, ddof=1))
    ratio = np.sqrt(np.mean(resampled, axis=0) * 36 / 35) / np.std(fresh, axis=0, ddof=1)
    assert np.log(ratio) == pytest.approx(0, abs=5 * np.sqrt(1 / 300 + 1 / 800))


def test_bootstrap_signs_follow_the_sample():
    """Resamples of one sample scatter about that sample's own h, D and zeta: the sign of U would move D by several sd."""
    q, w = np.array([-1.5, 1.5]), regression_weights([1, 2, 3], [1, 1, 1])
    logs = [np.random.default_rng(j).normal(-j, 0.2 * j, (24, 24)) for j in (1, 2, 3)]
    moments = [scale_moments(y.ravel(), q) for y in logs]
    found = bootstrap(logs, q, w, 400, 0)
    for resampled, name, plus in ((found.zeta, "S", 0), (found.h, "V", 0), (found.D, "U", 2)):
        own = plus + slope(w, [getattr(m, name) for m in moments])
        assert np.abs(resampled.mean(axis=0) - own).max() < resampled.std(axis=0).max()


def test_coefficients_are_pywavelets_own():
    """Away from the border the coefficients of levels 1 and 2 are pywt's, divided by 2^j."""
    values = np.random.default_rng(0).normal(size=(64, 48))
    ours = wavelet_coefficients(values, "db3")
    approximation = values
    for j in (1, 2):
        approximation, details = pywt.dwt2(approximation, "db3", mode="zero")
        # each orientation's interior appears in ours, shifted by the toolbox's convention: compare as sets of numbers
        for d in details:
            inner = np.abs(d[6:-6, 6:-6]) / 2**j
            assert any(np.isin(inner.round(10), band.round(10)).all() for band in ours[j - 1])


def test_numbers_of_leaders_are_those_of_the_published_sections():
    """A 257 x 257 section has 122^2, 57^2, 24^2 and 8^2 db3 leaders: the weights in the paper's section spectra."""
    found = wavelet_leaders(
        np.random.default_rng(0).normal(size=(257, 257)), wavelet="db3", first_scale=1
    )
    assert [x.size for x in found.leaders[:4]] == [122**2, 57**2, 24**2, 8**2]


def test_a_leader_is_left_out_exactly_where_a_tap_would_leave_the_image():
    """Leaders change with the image's outermost pixel rows, and one row more at each side adds what the support says."""
    generator = np.random.default_rng(1)
    values = generator.normal(size=(96, 96))
    base = wavelet_leaders(values, wavelet="db2", first_scale=1)
    changed = values.copy()
    changed[0], changed[-1] = 50.0, -50.0
    moved = wavelet_leaders(changed, wavelet="db2", first_scale=1)
    rows = np.flatnonzero((base.leaders[0] != moved.leaders[0]).any(axis=1))
    assert rows.min() == 0
    assert rows.max() == len(base.leaders[0]) - 1
    assert (
        len(rows) <= 6
    )  # the rest rests on no outer row: a support of 4 taps and its two neighbours


@pytest.mark.parametrize(("p", "eta"), [(1.0, 0.4), (2.0, 1.1), (0.5, 0.7)])
def test_the_p_leader_correction_makes_a_geometric_series_whole(p, eta):
    """|c| = 2^(j eta / p) everywhere: the sum over levels is a geometric series, and corrected p-leaders grow as 2^(j eta / p).

    Leonarduzzi et al. (2016): each level adds 2^(-eta) times the one above; the correction is the series' limit.
    """
    sides, levels = [256, 128, 64, 32, 16, 8], np.arange(1, 7)
    coefficients = [
        (np.full((s, s), 2.0 ** (j * eta / p)),) * 3 for j, s in zip(levels, sides, strict=True)
    ]
    leaders = leaders_of(coefficients, "db1", p, 1)
    n = len(leaders)
    shifts = _finite_size_shifts(
        coefficients[:n], levels[:n], regression_weights(levels[:n], np.ones(n)), p
    )
    middle = [np.log2(x[len(x) // 2, len(x) // 2]) for x in leaders] + shifts
    assert np.diff(middle) == pytest.approx(np.full(n - 1, eta / p), abs=1e-9)
