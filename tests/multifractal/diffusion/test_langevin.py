"""Fractional Langevin equation: the quadratic sum, the memory, the thermal law, the published path, refusals."""

import re

import numba
import numpy as np
import pytest
from scipy.special import roots_jacobi

from multifractal import (
    HarmonicPotential,
    LangevinPath,
    PaperPotential,
    TiltedWashboard,
    diffusion_exponent,
    fractional_langevin,
    published_noise,
    tamsd,
    theoretical_tamsd,
)
from multifractal.diffusion import potentials
from multifractal.diffusion.langevin import gauss_points, memory_nodes
from tests.helpers import naive

SETTINGS = {"hurst": 0.7, "learning_rate": 1000.0, "beta": 5e3}  # the paper's


@pytest.mark.parametrize("hurst", [0.501, 0.6, 0.7, 0.9, 0.99])
def test_memory_is_a_sum_of_exponentials(hurst):
    """The nodes give n^alpha - (n-1)^alpha to 5e-14 relative for every n up to a million."""
    alpha = 2 - 2 * hurst
    rates, weights = memory_nodes(alpha, 10**6)
    n = np.unique(np.round(np.logspace(np.log10(2), 6, 800)))
    kernel = -(n**alpha) * np.expm1(alpha * np.log1p(-1 / n))
    sums = np.exp(-np.outer(n - 1, rates)) @ weights
    np.testing.assert_allclose(sums, kernel, rtol=5e-14)
    assert len(rates) == 260


@pytest.mark.parametrize("hurst", [0.51, 0.7, 0.95])
@pytest.mark.parametrize("potential", [HarmonicPotential(), TiltedWashboard(), PaperPotential()])
def test_path_matches_the_quadratic_sum(potential, hurst):
    """The recursion agrees with the sum over the whole past to 1e-12 of the path's scale."""
    noise = published_noise(1500, hurst, seed=3)
    ours = fractional_langevin(
        potential, -300.0, n_steps=1500, hurst=hurst, learning_rate=1000, beta=5e3, noise=noise
    ).positions
    theirs = naive.fractional_langevin(potential.gradient, -300.0, noise, hurst, 1000, 5e3)
    assert np.abs(ours - theirs).max() < 1e-12 * np.abs(theirs).max()


@pytest.mark.slow
def test_long_path_matches_the_quadratic_sum():
    """Twenty thousand steps agree with the quadratic sum to 1e-12 of the path's scale."""
    noise = published_noise(20_000, 0.7)
    ours = fractional_langevin(
        PaperPotential(), -700.0, n_steps=20_000, noise=noise, **SETTINGS
    ).positions
    theirs = naive.fractional_langevin(PaperPotential().gradient, -700.0, noise, 0.7, 1000, 5e3)
    assert np.abs(ours - theirs).max() < 1e-12 * np.abs(theirs).max()


def test_a_jitted_gradient_is_as_good_as_a_named_one():
    """A function of one's own gives the named potential's path bit for bit, a closure too."""
    stiffness = 5e-4
    own = numba.njit(lambda x: stiffness * x)
    paths = [
        fractional_langevin(gradient, 10.0, n_steps=500, rng=1, **SETTINGS).positions
        for gradient in (own, HarmonicPotential(5e-4))
    ]
    assert np.array_equal(*paths)


def test_without_force_the_path_is_its_noise():
    """In a flat potential x - x0 is -c2 B, with the mean square c2^2 lag^(2-2H) within 5 standard errors over 100 paths."""
    hurst, eta, beta, n = 0.8, 2.0, 4.0, 1000
    found = fractional_langevin(
        HarmonicPotential(0.0),
        np.zeros(100),
        n_steps=n,
        hurst=hurst,
        learning_rate=eta,
        beta=beta,
        rng=2,
    )
    scale = eta * np.sqrt(2 / (beta * naive.gamma(3 - 2 * hurst) * naive.gamma(2 * hurst - 1)))
    np.testing.assert_allclose(found.positions[:, 1:], -scale * found.noise[:, 1:], rtol=1e-13)
    lags = np.array([1, 10, 100])
    curve = tamsd(found.positions[..., None], waiting_times=[0], lag_times=lags, window=800)
    assert np.all(
        np.abs(curve.values[0] - scale**2 * lags ** (2 - 2 * hurst)) < 5 * curve.standard_error[0]
    )


def test_a_harmonic_well_shows_the_theory_at_temperature_eta_over_beta():
    """From thermal starts the displacement is the Mittag-Leffler law with theta = eta / (beta k), over 300 paths.

    Tolerance: 5 standard errors, and c1 k = 1.5 %, the force's relative effect in one step: the scheme is of first order.
    """
    hurst, eta, beta, stiffness = 0.7, 1.0, 1.0, 0.03
    theta = eta / (beta * stiffness)
    starts = np.random.default_rng(3).normal(0, np.sqrt(theta), 300)
    found = fractional_langevin(
        HarmonicPotential(stiffness),
        starts,
        n_steps=6000,
        hurst=hurst,
        learning_rate=eta,
        beta=beta,
        rng=4,
    )
    lags = np.array([1, 10, 100, 1000, 3000])
    curve = tamsd(found.positions[..., None], waiting_times=[0, 2000], lag_times=lags, window=1000)
    law = theoretical_tamsd(lags, learning_rate=eta, hurst=hurst, theta=theta, stiffness=stiffness)
    assert np.all(np.abs(curve.values - law) < 5 * curve.standard_error + 0.015 * law)
    assert law[-1] > theta  # the lags reach the bend


def test_ensembles_are_paths_of_their_own(monkeypatch):
    """Path i depends on realisation i only: not on how many paths or threads there are, and its noise gives it again."""
    arguments = {"n_steps": 400, **SETTINGS}
    starts = np.linspace(-700, 100, 5)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    alone = fractional_langevin(PaperPotential(), starts[:2], rng=7, **arguments)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "4")
    together = fractional_langevin(PaperPotential(), starts, rng=7, **arguments)
    assert np.array_equal(together.positions[:2], alone.positions)
    again = fractional_langevin(PaperPotential(), starts[3], noise=together.noise[3], **arguments)
    assert np.array_equal(again.positions, together.positions[3])
    assert not np.array_equal(together.noise[0], together.noise[1])


def test_the_published_path():
    """From the published seed x slides into the well and stays, with the exponents .6 and .35 that the paper shows.

    Lag ranges are ours, so the paper's numbers are met to .05; numpy's legacy generator is left as it was.
    """
    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    noise = published_noise(10_000, 0.7)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    path = fractional_langevin(
        PaperPotential(), -700.0, n_steps=10_000, noise=noise, **SETTINGS
    ).positions
    assert np.all(np.abs(path[4000:]) < 200)
    curves = tamsd(path, waiting_times=[0, 4000], lag_times=np.arange(1, 21), window=3000)
    fits = [
        diffusion_exponent(curves.lag_times, curve, lag_range=lags).exponent
        for curve, lags in zip(curves.values, [(2, 20), (2, 10)], strict=True)
    ]
    np.testing.assert_allclose(fits, [0.6, 0.35], atol=0.05)


@pytest.mark.parametrize("potential", [HarmonicPotential(2.0), TiltedWashboard(), PaperPotential()])
def test_potentials_and_their_gradients_belong_together(potential):
    """Central differences of the value give the gradient, away from the rim where the paper's jumps."""
    x = np.linspace(-431.5, 433.3, 200)
    slope = (potential.value(x + 1e-4) - potential.value(x - 1e-4)) / 2e-4
    np.testing.assert_allclose(potential.gradient(x), slope, rtol=1e-6, atol=1e-9)


def test_the_papers_gradient_is_its_formula_place_by_place():
    """Well, washboard on its left and minus that on its right, at and around the rims too."""
    potential, x = PaperPotential(), np.r_[np.linspace(-900, 900, 37), -200.0, 200.0]
    np.testing.assert_allclose(
        potential.gradient(x), naive.paper_potential_gradient(potential, x), atol=1e-15
    )


def test_the_papers_potential_is_continuous_but_not_even():
    """Its value joins at both rims; its force jumps there, and left and right are not mirror images."""
    potential = PaperPotential()
    rims = np.array([-200.0, 200.0])
    np.testing.assert_allclose(
        potential.value(rims - 1e-9), potential.value(rims + 1e-9), rtol=1e-9
    )
    assert np.all(np.abs(potential.gradient(rims - 1e-9) - potential.gradient(rims + 1e-9)) > 0.05)
    assert potential.value(325.0) != pytest.approx(potential.value(-325.0), abs=1e-3)


def test_a_path_survives_a_round_trip(tmp_path):
    """A saved path loads with its arrays and settings."""
    path = fractional_langevin(HarmonicPotential(), 1.0, n_steps=50, rng=0, **SETTINGS)
    path.save(tmp_path / "path.npz")
    assert np.array_equal(LangevinPath.load(tmp_path / "path.npz").positions, path.positions)


def test_a_gradient_that_fails_is_reported_with_step_and_position():
    """NaN says at which step of which path and where."""
    broken = numba.njit(lambda x: np.sqrt(x))
    words = (
        r"gradient must return finite numbers, got 'NaN or infinity at step \d+ of path 1, x = -"
    )
    with pytest.raises(ValueError, match=words):
        fractional_langevin(broken, [1e9, 0.5], n_steps=3000, rng=0, **SETTINGS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hurst": 0.5}, "hurst must lie in (1/2, 1), got 0.5"),
        ({"hurst": 1.0}, "hurst must lie in (1/2, 1), got 1.0"),
        ({"learning_rate": 0}, "learning_rate must be a positive finite number, got 0"),
        ({"beta": -1.0}, "beta must be a positive finite number"),
        ({"n_steps": 0}, "n_steps must be a whole number, at least 1"),
        ({"x0": np.nan}, "x0 must be finite"),
        (
            {"gradient": np.sin},
            "gradient must be a named potential or a function compiled by numba.njit",
        ),
        ({"rng": None}, "rng must be a seed"),
        ({"noise": np.zeros(10)}, "noise must have shape (101,), got (10,)"),
    ],
)
def test_bad_input_is_refused_with_its_rule(change, words):
    """Each refusal names the argument, its value and the rule."""
    good = {"gradient": HarmonicPotential(), "x0": 0.0, "n_steps": 100, "rng": 0, **SETTINGS}
    with pytest.raises(ValueError, match=re.escape(words)):
        fractional_langevin(**(good | change))


@pytest.mark.parametrize("beta", [0.0, -0.02, -0.5, -0.98])
def test_gauss_points_are_those_of_scipy(beta):
    """Points and weights of the quadrature agree with scipy's, whose weights err by 2e-12 there, and integrate s^19 s^beta."""
    points, weights = gauss_points(10, beta)
    order = np.argsort(points)
    expected, their_weights = roots_jacobi(10, 0, beta)
    np.testing.assert_allclose(points[order], (1 + expected) / 2, rtol=1e-12, atol=2e-15)
    np.testing.assert_allclose(weights[order], their_weights / 2 ** (1 + beta), rtol=1e-11)
    np.testing.assert_allclose(weights @ points**19, 1 / (20 + beta), rtol=1e-13)


def test_slopes_of_the_three_potentials_are_their_formulas():
    """Harmonic, washboard and the paper's, a well in one, at places inside and on either side; all numbers differ."""
    x, numbers = np.array([-3.1, -0.3, 0.2, 2.7]), np.array([2.0, 0.5, 3.0, 4.0, 0.25])
    harmonic = [potentials.named_gradient(potentials._HARMONIC, numbers, at) for at in x]
    np.testing.assert_allclose(harmonic, 2 * x)
    washboard = [potentials.named_gradient(potentials._WASHBOARD, numbers, at) for at in x]
    formula = 2 * np.pi * 2.0 / 0.5 * np.sin(2 * np.pi * x / 0.5) - 3.0
    np.testing.assert_allclose(washboard, formula, rtol=1e-12, atol=1e-12)
    paper = [potentials.named_gradient(potentials._PAPER, numbers, at) for at in x]
    outer = 2 * np.pi * 3.0 / 4.0 * np.sin(2 * np.pi * x / 4.0) - 0.25
    expected = np.where(np.abs(x) < 0.5, 2 * x, -np.sign(x) * outer)
    np.testing.assert_allclose(paper, expected, rtol=1e-12, atol=1e-12)
