"""Multifractional surfaces: interpolation between levels, the recovered Hoelder map, the curvature law, refusals."""

import re

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from multifractal import fbm_surface, mbm_surface, paper_hoelder_map, surface_noise
from multifractal.landscapes import brownian, multifractional
from tests.helpers import naive


def test_paper_map_is_the_published_formula():
    """H = 0.5 + 0.2 sin(pi x/512) cos(3 pi y/2048), x the column, y the row; other sizes stretch it."""
    y, x = np.mgrid[:1024, :1024]
    published = 0.5 + 0.2 * np.sin(np.pi * x / 512) * np.cos(3 * np.pi * y / 2048)
    np.testing.assert_allclose(paper_hoelder_map(), published, atol=1e-14)
    np.testing.assert_allclose(paper_hoelder_map((256, 512)), published[::4, ::2], atol=1e-14)


@pytest.mark.parametrize("shape", [(90, 40), (31, 64)])
def test_surface_is_the_naive_interpolation_of_its_levels(shape):
    """At each pixel the value is the polynomial in H through all levels, by scipy, and a level at its own exponent."""
    noise = surface_noise(shape, max_hurst=0.8, rng=2)
    hoelder = np.random.default_rng(0).uniform(0.2, 0.8, shape)
    hoelder.flat[:2] = 0.2, 0.8
    exponents = multifractional.level_exponents(shape, 0.2, 0.8, noise.reach, 1e-4)
    hoelder[7, : len(exponents)] = exponents
    levels = np.array([fbm_surface(shape, exponent, noise=noise).values for exponent in exponents])
    surface = mbm_surface(hoelder, noise=noise)
    np.testing.assert_allclose(
        surface.values, naive.interpolate_levels(levels, exponents, hoelder), atol=1e-12
    )
    np.testing.assert_allclose(
        surface.values[7, : len(exponents)], np.diagonal(levels[:, 7]), atol=1e-13
    )
    assert np.array_equal(surface.hoelder, hoelder)


def test_a_constant_map_gives_the_fractional_surface():
    """With one exponent everywhere there is one level: the surface of `fbm_surface` on the same noise, bit for bit."""
    noise = surface_noise((30, 50), max_hurst=0.6, rng=4)
    assert np.array_equal(
        mbm_surface(np.full((30, 50), 0.6), noise=noise).values,
        fbm_surface((30, 50), 0.6, noise=noise).values,
    )


@pytest.mark.parametrize(
    ("lowest", "highest", "most"),
    [(0.3, 0.7, 8), (0.2, 0.8, 11), (0.5, 0.9, 13), (0.1, 0.9, 18), (0.05, 0.95, 27)],
)
def test_interpolation_error_stays_below_tol(lowest, highest, most):
    """Chosen on a small grid, the levels for N = 512 keep the error computed at N = 512 below tol, and are not many."""
    reach = brownian.reach_for(highest, margin=True)
    nodes = multifractional.level_exponents((512, 512), lowest, highest, reach, 1e-4)
    probes = lowest + (highest - lowest) * np.array([0.0, 0.01, 0.47, 0.98, 1.0])
    error = multifractional.interpolation_error((512, 512), nodes, probes, reach)
    assert 1e-6 < error < 1e-4
    assert len(nodes) <= most


def test_interpolation_error_is_that_of_surfaces():
    """The predicted error, computed without a draw, is what levels drawn from 40 noises miss: within 5 standard errors."""
    shape, hurst, reach = (24, 24), 0.31, 1.0
    nodes = multifractional.chebyshev_nodes(0.3, 0.7, 3)
    predicted = multifractional.interpolation_error(shape, nodes, np.array([hurst]), reach)
    squares = []
    for seed in range(40):
        noise = surface_noise(shape, max_hurst=0.7, rng=seed)
        levels = np.array([fbm_surface(shape, node, noise=noise).values for node in nodes])
        interpolated = naive.interpolate_levels(levels, nodes, np.full(shape, hurst))
        missed = fbm_surface(shape, hurst, noise=noise).values - interpolated
        squares.append((24 ** (2 * hurst) * missed**2).mean())
    # The prediction adds the field's variance at the far end of the torus to that of the first pixel: an upper bound that
    # is reached where the error is rough, up to the share of scales longer than the grid.
    ratio, standard_error = (
        np.mean(squares) / predicted**2,
        np.std(squares) / np.sqrt(40) / predicted**2,
    )
    assert 0.5 - 5 * standard_error < ratio < 1 + 5 * standard_error


def test_hoelder_map_is_recovered():
    """The local amplitude of second differences, variance (4 - 2^(2H)) N^(-2H), gives the map back to an RMSE below .005."""
    hoelder = paper_hoelder_map()
    values = mbm_surface(hoelder, rng=0).values
    squares = (np.diff(values, 2, axis=0)[:, 1:-1] ** 2 + np.diff(values, 2, axis=1)[1:-1] ** 2) / 2
    exponents = np.linspace(0.2, 0.8, 2001)
    law = (4 - 4**exponents) * 1024.0 ** (-2 * exponents)
    recovered = np.interp(-np.log(gaussian_filter(squares, 16)), -np.log(law), exponents)
    assert np.sqrt(np.mean((recovered - hoelder[1:-1, 1:-1]) ** 2)) < 0.005


def test_curvature_law_in_every_bin():
    """E|Hessian|^2 = 2^(2H) (16 - 2 2^(2H) - 4 2^H)/16 N^(-2H), to 1 % in each of 8 bins of H, mean of 8 surfaces."""
    hoelder = paper_hoelder_map()
    power = 4**hoelder
    law = power * (16 - 2 * power - 4 * 2**hoelder) / 16 * 1024.0 ** (-2 * hoelder)
    inside = (slice(2, -2), slice(2, -2))
    bins = np.minimum(((hoelder[inside] - 0.3) / 0.05).astype(int), 7).ravel()
    measured = np.zeros(8)
    for seed in range(8):
        l1, l2 = mbm_surface(hoelder, rng=seed, dtype=np.float32).hessian_eigenvalues
        measured += (
            np.bincount(
                bins, (l1[inside].astype(float) ** 2 + l2[inside].astype(float) ** 2).ravel()
            )
            / 8
        )
    np.testing.assert_allclose(measured / np.bincount(bins, law[inside].ravel()), 1, atol=0.01)


@pytest.mark.parametrize(
    ("hoelder", "words"),
    [
        (
            np.where(np.arange(64).reshape(8, 8) == 10, np.nan, 0.5),
            "hoelder_map must be finite everywhere",
        ),
        (np.full((8, 8), 1.2), "hoelder_map must lie in (0, 0.99] everywhere, got [1.2 1.2]"),
        (np.zeros((8, 8)), "hoelder_map must lie in (0, 0.99] everywhere"),
        (np.full(8, 0.5), "hoelder_map must have 2 dimension(s), got (8,)"),
        (np.full((3, 8), 0.5), "hoelder_map must be at least 4x4, got (3, 8)"),
    ],
)
def test_bad_maps_are_refused_with_the_rule(hoelder, words):
    """Each refusal names the argument, its value and the rule."""
    with pytest.raises(ValueError, match=re.escape(words)):
        mbm_surface(hoelder, rng=0)


def test_other_bad_input_is_refused(monkeypatch):
    """A tolerance that is not positive, or needs too many levels, and noise of another size are refused."""
    monkeypatch.setattr(multifractional, "_MOST_LEVELS", 6)
    with pytest.raises(ValueError, match="tol must be a positive finite number, got 0"):
        mbm_surface(np.full((8, 8), 0.5), rng=0, tol=0)
    with pytest.raises(
        ValueError, match="tol must be reachable with fewer than 6 levels, got 1e-05"
    ):
        mbm_surface(paper_hoelder_map(16), rng=0, tol=1e-5)
    with pytest.raises(ValueError, match=re.escape("noise must be drawn for the size (8, 8)")):
        mbm_surface(np.full((8, 8), 0.5), noise=surface_noise(9, max_hurst=0.5, rng=0))
