"""Walkers and their stability against scipy's interpolation, the method of images, known maps and closed forms."""

import gudhi
import numpy as np
import pytest
from scipy import integrate
from scipy.interpolate import RegularGridInterpolator

from multifractal import (
    Landscape,
    descend,
    edge_of_stability,
    fbm_surface,
    flatness,
    local_minima,
    lyapunov_exponents,
    sharpness_at,
    two_trajectories_ceiling,
)

Y, X = np.mgrid[:41, :61].astype(float)


@pytest.fixture(scope="module")
def rough():
    """A rough surface."""
    return fbm_surface((48, 64), 0.5, rng=0)


def _gradient_at(values):
    """Return the function (x, y) -> gradient, by numpy's differences and scipy's bilinear interpolation."""
    axes = [np.arange(n) for n in values.shape]
    along_y, along_x = (RegularGridInterpolator(axes, g) for g in np.gradient(values))
    return lambda p: np.array([along_x(p[::-1])[0], along_y(p[::-1])[0]])


def test_the_gradient_is_numpys_one_sided_at_the_walls(rough):
    """Inside and on all four walls the gradient on the grid is numpy.gradient's, which is one-sided at the edge."""
    along_y, along_x = np.gradient(np.asarray(rough))
    assert np.array_equal(rough.gradient[..., 0], along_x)
    assert np.array_equal(rough.gradient[..., 1], along_y)
    bowl = Landscape(X**2)
    assert bowl.gradient[5, [0, 1, -1], 0].tolist() == [1.0, 2.0, 119.0]


def test_a_walk_is_descent_on_scipys_interpolation(rough):
    """Each of 40 steps is one down scipy's gradient between mirrors; the exact track unfolds it, the published one does not."""
    gradient, walls, rate = _gradient_at(np.asarray(rough)), np.array([63.0, 47.0]), 600.0
    ours = descend(rough, [20.3, 17.1], learning_rate=rate, n_steps=40)
    published = descend(rough, [20.3, 17.1], learning_rate=rate, n_steps=40, unfold="published")
    sign, hits = np.ones(2), 0
    for t in range(40):  # from our position each time: a chaotic walk would magnify rounding
        step = -rate * gradient(ours.positions[t])
        p = ours.positions[t] + step
        assert np.diff(ours.unfolded, axis=0)[t] == pytest.approx(sign * step, abs=1e-9)
        assert np.diff(published.unfolded, axis=0)[t] == pytest.approx(step, abs=1e-9)
        while (outside := (p < 0) | (p > walls)).any():
            p = np.where(p < 0, -p, np.where(p > walls, 2 * walls - p, p))
            sign = np.where(outside, -sign, sign)
            hits += 1
        assert ours.positions[t + 1] == pytest.approx(p, abs=1e-9)
    assert hits >= 2


@pytest.mark.parametrize("method", ["momentum", "nesterov", "adam"])
def test_reflected_velocities_are_those_of_the_mirror_image(method):
    """The method of images: between walls a walk is one on the surface continued by its mirror image, and folded back.

    The surface is flat over its outermost three pixels, so that one-sided differences at the wall are those of the image.
    """
    f = 0.6 * np.arange(40) + 0.5 * np.sin(np.arange(40) / 2)
    f[:3], f[-3:] = f[3], f[-4]
    mirrored = np.concatenate([f[:0:-1], f, f[-2::-1]])  # wall at 0 stands at 39 of it
    small, large = (Landscape(np.tile(line, (5, 1))) for line in (f, mirrored))
    settings = {"learning_rate": 3.0 if method == "adam" else 1.0, "n_steps": 40, "method": method}
    walk = descend(small, [21.25, 2.0], **settings)
    there = descend(large, [39 + 21.25, 2.0], **settings).positions[:, 0] - 39
    assert -39 < there.min() < -3
    folded = np.where(there < 0, -there, np.where(there > 39, 78 - there, there))
    assert walk.positions[:, 0] == pytest.approx(folded, abs=1e-9)
    assert walk.unfolded[:, 0] == pytest.approx(there, abs=1e-9)


def test_sharpness_of_a_saddle_is_by_its_hessians_eigenvalues():
    """F = a x^2/2 + b x y + c y^2/2: "hessian" and "map" give the larger eigenvalue, "published" the larger absolute one."""
    a, b, c = 0.3, 0.2, -0.9
    saddle = Landscape(0.5 * a * X**2 + b * X * Y + 0.5 * c * Y**2)
    low, high = np.linalg.eigvalsh([[a, b], [b, c]])
    at = [[20.3, 11.7], [30.0, 20.0]]
    assert sharpness_at(saddle, at) == pytest.approx(high, abs=1e-9)
    assert sharpness_at(saddle, at, "map") == pytest.approx(high, abs=1e-9)
    assert sharpness_at(saddle, at, "published") == pytest.approx(-low, abs=1e-9)
    assert flatness(saddle)[20, 30] == pytest.approx((low**2 + high**2) ** -0.25, rel=1e-9)


def test_map_sharpness_is_the_derivative_of_scipys_interpolated_gradient(rough):
    """The largest real part of numpy's eigenvalues of the differentiated bilinear gradient, at 20 points."""
    gradient, h = _gradient_at(np.asarray(rough)), 1e-5
    for p in np.random.default_rng(0).uniform(3, 40, (20, 2)):
        p = np.floor(p) + np.clip(p % 1, 0.1, 0.9)  # a derivative within one cell
        jacobian = np.stack(
            [(gradient(p + d) - gradient(p - d)) / (2 * h) for d in h * np.eye(2)], axis=1
        )
        wanted = np.linalg.eigvals(jacobian).real.max()
        assert sharpness_at(rough, [p], "map")[0] == pytest.approx(wanted, rel=1e-6, abs=1e-9)


def test_descent_settles_where_the_bowls_own_edge_allows():
    """In a bowl of curvature k the sharpness at the last positions is k, below and above the edge 2/k."""
    bowl = Landscape(0.05 * ((X - 30) ** 2 + (Y - 20) ** 2))
    found = edge_of_stability(
        bowl, learning_rates=[1.0, 5.0], starts=[[25, 15], [33, 24]], n_steps=60, last=5
    )
    assert found.sharpness == pytest.approx(0.1, abs=1e-9)


def test_lyapunov_exponents_of_a_triangle_map_are_ln_of_its_slope():
    """F = k x^2/2 seen between walls is x -> reflect((1 - k rate) x): like a tent map, chaotic when the slope is beyond 1.

    The exponent is the orbit's mean of ln |slope| (Ott 2002, equation 2.36); one-sided differences halve the curvature in the
    outermost cells. Along y nothing moves: exponent 0.
    """
    k = 0.1
    trough = Landscape(np.tile(0.5 * k * (np.arange(81) - 40.0) ** 2, (5, 1)))
    for rate, chaotic in ((5.0, False), (15.0, False), (25.0, True), (43.0, True)):
        found = lyapunov_exponents(
            trough, learning_rates=[rate], starts=[[33.7, 2.0]], n_steps=3000, burn_in=100
        )
        x = descend(trough, [33.7, 2.0], learning_rate=rate, n_steps=3000).positions[100:3000, 0]
        curvature = np.where((x < 1) | (x >= 79), k / 2, k)
        along_x = np.mean(np.log(np.abs(1 - rate * curvature)))
        assert np.sort(found.mean[0]) == pytest.approx(np.sort([along_x, 0]), abs=1e-3)
        assert (along_x > 0) == chaotic
        assert chaotic == (found.share_positive[0] == 1) or not chaotic


def test_two_trajectories_read_nine_tenths_of_a_contraction():
    """In a bowl a separation shrinks by |1 - k rate| a step; nine are run and ten divided by (the published code's)."""
    bowl = Landscape(0.05 * ((X - 30) ** 2 + (Y - 20) ** 2))
    rates = np.array([2.0, 5.0, 16.0])
    found = lyapunov_exponents(
        bowl,
        learning_rates=rates,
        starts=[[29.5, 20.25]],
        n_steps=60,
        burn_in=3,
        method="two_trajectories",
    )
    assert found.exponents[:, 0, 0] == pytest.approx(
        0.9 * np.log(np.abs(1 - 0.1 * rates)), abs=1e-6
    )


def test_the_published_estimators_ceiling_is_the_mean_distance_in_the_rectangle(zenodo):
    """By scipy's quadrature over both differences; the published exponents (chaos.mat) stay below the hard limit."""
    from multifractal import source_data

    a, b = 1023.0, 511.0
    mean, _ = integrate.dblquad(
        lambda u, v: np.hypot(a * u, b * v) * 4 * (1 - u) * (1 - v), 0, 1, 0, 1
    )
    ceiling = two_trajectories_ceiling((512, 1024))
    assert ceiling == pytest.approx(np.log(np.array([mean, np.hypot(a, b)]) / 0.1) / 10, rel=1e-8)
    published = source_data.read("multifractional_brownian_surface/chaos.mat", zenodo)
    saturated, limit = two_trajectories_ceiling((1024, 1024))
    assert published["mle_mean"].max() < saturated < limit
    assert published["mle_mean"].max() > 0.8 * saturated


def test_local_minima_are_the_births_of_gudhis_sublevel_components(rough):
    """On a raised rim every finite or infinite bar of dimension 0 of the cubical complex starts at one minimum."""
    values = np.asarray(rough).copy()
    values[[0, -1]] += 50
    values[:, [0, -1]] += 50
    complex_ = gudhi.CubicalComplex(vertices=values)
    complex_.compute_persistence()
    births = np.sort(complex_.persistence_intervals_in_dimension(0)[:, 0])
    found = local_minima(Landscape(values))
    assert np.sort(found.losses) == pytest.approx(births, abs=0)
