"""Generators against the covariances of their definitions, scipy's special functions and other packages' estimators."""

import mpmath as mp
import numpy as np
import pytest
from MFDFA import MFDFA
from scipy.special import j0

from multifractal import (
    ConfinedField,
    FractalField,
    SubspaceExponent,
    fbm_path,
    fbm_surface,
    mbm_surface,
    multifractal_random_walk_2d,
    multiplicative_measure,
    paper_hoelder_map,
    weierstrass_mandelbrot,
)


def _covariance_of_increments(points, hurst):
    """Return E B(u) B(v), B(0) = 0, of fractional Brownian motion from its definition (Mandelbrot & Van Ness 1968)."""
    radius = np.linalg.norm(points, axis=-1) ** (2 * hurst)
    apart = np.linalg.norm(points[:, None] - points, axis=-1) ** (2 * hurst)
    return (radius[:, None] + radius - apart) / 2


def _agree(samples, covariance):
    """Compare every entry of the samples' second moments with the law, to 5 standard errors (Wishart)."""
    found = samples.T @ samples / len(samples)
    variances = np.diag(covariance)
    error = np.sqrt((covariance**2 + np.outer(variances, variances)) / len(samples))
    assert np.abs((found - covariance) / error).max() < 5


@pytest.mark.parametrize("hurst", [0.2, 0.5, 0.85])
def test_paths_have_the_covariance_of_the_definition(hurst):
    """Five points, 20 000 draws: a wrong normalisation by n - 1 in place of n would change variances by 20 to 50 %."""
    generator = np.random.default_rng(0)
    draws = np.array([fbm_path(5, hurst, rng=generator)[1:] for _ in range(20_000)])
    _agree(draws, _covariance_of_increments(np.arange(1, 5)[:, None] / 5, hurst))


@pytest.mark.parametrize("hurst", [0.1, 0.5, 0.9])
def test_surfaces_have_the_covariance_of_the_definition(hurst):
    """All 12 points of a 3 x 5 surface but the first, 4000 draws, N = 5 the longer side; refused below 4 pixels: 4 x 5."""
    generator = np.random.default_rng(1)
    draws = [np.asarray(fbm_surface((4, 5), hurst, rng=generator)).ravel()[1:] for _ in range(4000)]
    rows, cols = np.divmod(np.arange(1, 20), 5)
    _agree(np.array(draws), _covariance_of_increments(np.stack([cols, rows], axis=-1) / 5, hurst))


def test_a_multifractional_surface_has_each_points_own_variance():
    """E B(u)^2 = |u/N|^(2 H(u)) (Benassi, Jaffard & Roux 1997), H from .3 to .7 over 4 x 6 pixels, 4000 draws, 5 sd."""
    hoelder = np.linspace(0.3, 0.7, 24).reshape(4, 6)
    generator = np.random.default_rng(2)
    draws = np.array([np.asarray(mbm_surface(hoelder, rng=generator)).ravel() for _ in range(4000)])
    rows, cols = np.divmod(np.arange(24), 6)
    law = (np.hypot(rows, cols) / 6) ** (2 * hoelder.ravel())
    assert np.mean(draws[:, 1:] ** 2, axis=0) / law[1:] == pytest.approx(
        1, abs=5 * np.sqrt(2 / 4000)
    )
    assert not draws[:, 0].any()


def test_the_papers_map_is_its_formula():
    """H = .5 + .2 sin(pi x / 512) cos(3 pi y / 2048) at N = 1024, x the column and y the row (Ly & Gong 2025, Methods)."""
    found = paper_hoelder_map(1024)
    for x, y in ((0, 0), (256, 0), (256, 512), (700, 123), (1023, 1023)):
        law = 0.5 + 0.2 * np.sin(np.pi * x / 512) * np.cos(3 * np.pi * y / 2048)
        assert found[y, x] == pytest.approx(law, abs=1e-12)


def test_mfdfa_reads_the_hurst_exponent_of_our_paths():
    """Detrended fluctuations of 20 paths of 4096 steps (package MFDFA, Rydin Gorjao et al. 2022) grow as lag^H, q = 2."""
    for hurst in (0.3, 0.7):
        slopes = []
        for seed in range(20):
            path = fbm_path(4097, hurst, rng=seed)
            lags, fluctuation = MFDFA(
                np.diff(path), lag=np.unique(np.logspace(1.2, 2.7, 12).astype(int)), q=2.0, order=1
            )
            slopes.append(np.polyfit(np.log(lags), np.log(fluctuation[:, 0]), 1)[0])
        error = np.std(slopes, ddof=1) / np.sqrt(20)
        # order-1 detrending biases the exponent at short lags by .02 at most (Kantelhardt et al. 2001, figure 2)
        assert np.mean(slopes) == pytest.approx(hurst, abs=5 * error + 0.02)


@pytest.mark.parametrize("hurst", [0.3, 0.8])
def test_weierstrass_increments_are_sums_of_bessel_functions(hurst):
    """E|f(u) - f(v)|^2 = sum of a^2 (1 - J0(k r)) over the waves, by scipy's J0; it is r^(2H) to the stated 2 %."""
    n, draws = 64, 400
    squares = []
    for seed in range(draws):
        f = np.asarray(weierstrass_mandelbrot(n, hurst, rng=seed))
        squares.append([np.mean((f[:, lag:] - f[:, :-lag]) ** 2) for lag in (1, 4, 16)])
    error = np.std(squares, axis=0) / np.sqrt(draws)
    lags = np.array([1, 4, 16])
    # any amplitudes a^2 = c k^(-2H) over enough octaves: the integral of k^(-2H-1) (1 - J0(k r)) is c' r^(2H)
    k = np.exp(np.arange(-18, 22, 0.02))
    integral = [np.sum(k ** (-2 * hurst) * (1 - j0(k * lag / n))) for lag in lags]
    law = np.array(integral) / integral[-1] * (16 / n) ** (2 * hurst)
    assert np.abs(np.mean(squares, axis=0) - law).max() < np.max(5 * error + 0.03 * law)
    assert np.all(np.abs(np.mean(squares, axis=0) - law) < 5 * error + 0.03 * law)


def test_a_fields_gradient_is_the_derivative_by_richardsons_extrapolation():
    """Central differences of two steps, extrapolated, agree with the analytic gradient to 1e-4 of it."""
    for field in (
        FractalField(2, 0.6, rng=0, n_modes=256),
        FractalField(3, 0.4, rng=1, n_modes=256),
    ):
        point = np.full(field.dimension, 0.37)
        for axis in range(field.dimension):
            step = np.eye(field.dimension)[axis]

            def central(h, field=field, point=point, step=step):
                return (field.value(point + h * step) - field.value(point - h * step)) / (2 * h)

            h = 2e-5
            wanted = (4 * central(h / 2) - central(h)) / 3
            assert field.gradient(point)[axis] == pytest.approx(float(wanted), rel=1e-4, abs=1e-4)


def _by_mpmath(field, hurst, bowl=0):
    """Return the field's definition as a function of d numbers of any precision, from its waves' vectors and phases alone."""
    waves, (cosines, sines) = field._kept[0], field._phases.tolist()
    vectors = [[mp.mpf(v) * mp.mpf(s) * 2 * mp.pi for v in column]
               for column, s in zip(waves.vectors.T, waves.scales, strict=True)]  # fmt: skip
    low, high = map(mp.mpf, field.wavenumbers)
    d = mp.mpf(field.dimension)

    def value(*x):
        h = hurst(*x)
        c = mp.gamma(1 - h) * mp.gamma(d / 2) / (2 ** (2 * h + 1) * h * mp.gamma(d / 2 + h))
        total = bowl * mp.fdot(x, x) / 2
        for k, cosine, sine in zip(vectors, cosines, sines, strict=True):
            a = mp.sqrt(mp.log(high / low) / (len(vectors) * c)) * mp.norm(k) ** -h
            angle = mp.fdot(k, x)
            total += a * (mp.cos(angle) * cosine - mp.sin(angle) * sine - cosine)
        return total

    return value


@pytest.mark.parametrize(
    ("d", "hurst", "bowl"),
    [(1, 0.01, 0), (1, 0.99, 0), (3, 0.01, 0), (3, 0.99, 0), (3, 0.5, 7), (2, None, 0)],
)
def test_a_field_is_its_definition_in_forty_digits(d, hurst, bowl):
    """One dimension, H at both ends, a bowl, the paper's map: value and gradient by mpmath, which differentiates by itself."""
    field = FractalField(
        d, hurst or SubspaceExponent(2), rng=d, n_modes=12, wavenumbers=(1.0, 1000.0)
    )
    x = np.array([0.3, -0.2, 0.1])[:d]
    of = (lambda *x: mp.mpf(hurst)) if hurst else _map_of_the_paper
    found = ConfinedField(field, bowl) if bowl else field
    with mp.workdps(40):
        value, at = _by_mpmath(field, of, bowl), [mp.mpf(float(c)) for c in x]
        wanted = float(value(*at))
        slopes = [float(mp.diff(value, at, [int(i == j) for j in range(d)])) for i in range(d)]
    # a phase is rounded by some 2^-53 of itself and of the whole turns in it, and the error goes into the value by a, into the
    # gradient by a k; where H varies it goes there by a ln k as well, which is less
    k = np.linalg.norm(field._kept[0].vectors * field._kept[0].scales, axis=0) * 2 * np.pi
    a = np.sqrt(np.log(1000) / 12 * 1.6) * k ** -(hurst or 0.3)  # 1 / C is below 1.6 for these
    rounding = 8 * 2.0**-53 * (1 + k * np.abs(x).sum())
    assert float(found.value(x)) == pytest.approx(wanted, abs=(a * rounding).sum(), rel=1e-14)
    assert found.gradient(x) == pytest.approx(slopes, abs=(a * k * rounding).sum(), rel=1e-14)


def _map_of_the_paper(u, v):
    return mp.mpf("0.5") + mp.mpf("0.2") * mp.sin(2 * mp.pi * u) * mp.cos(3 * mp.pi * v / 2)


def test_a_measures_masses_are_the_products_of_its_shares():
    """The 256 pixels of a 16 x 16 measure are exactly the products of four of the shares, each as often as it can be had."""
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    masses = np.asarray(multiplicative_measure(16, tuple(shares), rng=3))
    products = np.array([1.0])
    for _ in range(4):
        products = np.outer(products, shares).ravel()
    assert np.sort(masses.ravel()) == pytest.approx(np.sort(products), rel=1e-12)


def test_the_random_walk_of_no_intermittency_is_gaussian_and_with_it_heavy_tailed():
    """Without exp(omega) second differences have Gaussian kurtosis 3; at lambda^2 = .1 it is e^(4 lambda^2 ln(L)) times as large.

    Bacry, Delour & Muzy (2001): the fourth moment over the squared second one is 3 e^(4 Var omega) at the smallest scale; half
    of its logarithm is asked for, since differences average omega over a neighbourhood.
    """
    excess = {}
    for intermittency in (1e-9, 0.1):
        values = []
        for seed in range(12):
            f = np.asarray(multifractal_random_walk_2d(128, 0.5, intermittency, rng=seed))
            x = np.diff(f, 2, axis=0)
            values.append(np.log(np.mean(x**4) / np.mean(x**2) ** 2 / 3))
        excess[intermittency] = np.mean(values), np.std(values, ddof=1) / np.sqrt(12)
    mean, error = excess[1e-9]
    assert mean == pytest.approx(0, abs=5 * error)
    mean, error = excess[0.1]
    assert mean - 5 * error > 0.5 * 4 * 0.1 * np.log(64) / 2


def test_the_random_walks_variance_is_that_of_fractional_motion_whatever_its_intermittency():
    """E|X(u) - X(v)|^2 = (r/N)^(2H) at lags 1, 3 and 8 of 16 pixels, lambda^2 = .05: exp(omega) times noise is white, variance 1."""
    draws = [
        np.asarray(multifractal_random_walk_2d(16, 0.4, 0.05, rng=seed)) for seed in range(600)
    ]
    for lag in (1, 3, 8):
        squares = [np.mean((f[:, lag:] - f[:, :-lag]) ** 2) for f in draws]
        error = np.std(squares, ddof=1) / np.sqrt(600)
        assert np.mean(squares) == pytest.approx((lag / 16) ** 0.8, abs=5 * error)
        assert error < 0.1 * (lag / 16) ** 0.8
