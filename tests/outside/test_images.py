"""What is read off an image, its minima and its basins, against closed forms, scipy, scikit-learn and numpy."""

import numpy as np
import pytest
from scipy import sparse, stats
from scipy.spatial import cKDTree

from multifractal import (
    Landscape,
    basins,
    clustering_curve,
    fbm_surface,
    increment_law,
    local_hoelder,
    local_minima,
    loss_histogram,
    noise_share,
    power_spectrum,
    shuffle_within_blocks,
    start_near_maximum,
    variogram,
)


def test_the_variogram_of_a_plane_and_of_a_sine_is_their_closed_form():
    """A plane a x + b y has (a r)^2 and (b r)^2; a sine over whole periods 1 - cos(k r), summed over one period by hand."""
    y, x = np.mgrid[:40, :64].astype(float)
    found = variogram(0.3 * x - 0.7 * y, [1, 3, 8])
    assert found.along_x == pytest.approx((0.3 * np.array([1, 3, 8])) ** 2, rel=1e-9)
    assert found.along_y == pytest.approx((0.7 * np.array([1, 3, 8])) ** 2, rel=1e-9)
    k, lag = 2 * np.pi / 8, 8
    wave = variogram(np.sin(k * np.mgrid[:64, :64][1].astype(float)), [lag, 4])
    assert wave.along_x == pytest.approx(1 - np.cos(k * np.array([lag, 4])), abs=1e-9)


def test_the_power_spectrum_of_exact_surfaces_falls_with_2H_plus_2():
    """The spectrum of fractional Brownian motion in the plane is k^-(2H+2) (Flandrin 1989): mean of 12 surfaces, .1 for the window."""
    for hurst in (0.3, 0.7):
        found = [power_spectrum(fbm_surface(128, hurst, rng=seed)).exponent for seed in range(12)]
        error = np.std(found, ddof=1) / np.sqrt(12)
        assert abs(np.mean(found)) == pytest.approx(2 * hurst + 2, abs=4 * error + 0.1)


def test_local_exponents_of_exact_surfaces_average_to_H():
    """Over 6 surfaces of 128 pixels the mean local exponent is H within 5 standard errors and .02."""
    for hurst in (0.4, 0.7):
        found = [
            local_hoelder(fbm_surface(128, hurst, rng=seed)).hoelder.mean() for seed in range(6)
        ]
        assert np.mean(found) == pytest.approx(
            hurst, abs=5 * np.std(found, ddof=1) / np.sqrt(6) + 0.02
        )


def test_noise_that_was_added_is_found_and_none_in_a_smooth_image():
    """A paraboloid's first differences and white noise of variance s^2 make shares 2 s^2 / (2 s^2 + mean of gradient^2)."""
    y, x = (np.mgrid[:128, :128] - 64) / 16.0
    smooth, s = x**2 + y**2, 0.5
    noisy = smooth + s * np.random.default_rng(0).normal(size=smooth.shape)
    found, none = (
        noise_share(noisy, rng=0, n_bootstrap=49),
        noise_share(smooth, rng=0, n_bootstrap=49),
    )
    assert np.max(np.abs(none.share)) < 1e-6
    assert found.sd == pytest.approx(s, rel=0.05)  # 16 000 pixels: 5 x sqrt(3 / 16 000)
    twins = noise_share(
        noisy,
        smooth + s * np.random.default_rng(1).normal(size=smooth.shape),
        rng=0,
        n_bootstrap=49,
    )
    assert twins.sd == pytest.approx(s, rel=0.05)
    edge = int(found.lags.max())
    squares = np.mean(
        np.diff(smooth[edge:-edge, edge:-edge], axis=0) ** 2
    )  # the same along both axes
    for measured in (found, twins):
        assert measured.share[0] == pytest.approx(2 * s**2 / (2 * s**2 + squares), rel=0.02)


def test_increments_of_a_parabola_grow_as_its_squares():
    """Second differences of x^2 + y^2 over lag r are 2 r^2 at every pixel, so their mean square grows with exponent 4 (or H = 2)."""
    y, x = np.mgrid[:96, :96] - 48.0
    found = increment_law(x**2 + y**2, rng=0, n_bootstrap=19)
    ratio = found.second / found.second[0]
    lags = found.lags / found.lags[0]
    assert np.log(ratio[1:]) / np.log(lags[1:]) == pytest.approx(
        np.full(len(lags) - 1, 4.0), abs=1e-6
    )


def test_a_histogram_is_numpys():
    """Counts and edges are numpy.histogram's of the box, ends included."""
    surface = fbm_surface(32, 0.5, rng=0)
    found = loss_histogram(surface, (3, 20, 5, 30), bins=12)
    counts, edges = np.histogram(np.asarray(surface)[5:31, 3:21], bins=12)
    assert np.array_equal(found.counts, counts)
    assert found.edges == pytest.approx(edges, rel=1e-12)


def test_basins_are_scipys_connected_components():
    """Minima closer than the link length, joined by scipy's k-d tree and components: the same partition."""
    minima = local_minima(fbm_surface(96, 0.5, rng=1))
    found = basins(minima, link_length=6.0)
    pairs = cKDTree(minima.positions).query_pairs(6.0, output_type="ndarray")
    n = len(minima.positions)
    graph = sparse.coo_matrix((np.ones(len(pairs)), pairs.T), shape=(n, n))
    count, labels = sparse.csgraph.connected_components(graph, directed=False)
    assert len(np.unique(found.labels)) == count
    assert len(set(zip(found.labels.tolist(), labels.tolist(), strict=True))) == count


def test_counts_around_centres_are_scipys():
    """N(R) is the mean of scipy's k-d tree counts below R, the point itself included."""
    points = np.random.default_rng(0).uniform(0, 100, (400, 2))
    radii = np.logspace(0, 2, 20)
    found = clustering_curve(points, radii=radii)
    tree = cKDTree(points)
    wanted = [tree.query_ball_point(points, r, return_length=True).mean() for r in radii]
    assert found.counts == pytest.approx(wanted, rel=1e-12)
    grid = np.stack(np.meshgrid(np.arange(100.0), np.arange(100.0)), axis=-1).reshape(-1, 2)
    even = clustering_curve(grid, grid[4040:4060], np.logspace(0.7, 1.5, 30), fit_range=(6, 30))
    # Gauss's circle problem: pi R^2 points, to O(R^(2/3)); 5 % of slope over these radii
    assert [even.power, even.outer_power] == pytest.approx([2, 2], abs=0.1)


def test_shuffling_keeps_each_blocks_values_and_every_order_is_as_likely():
    """Blocks keep their values; over 600 draws each of a block's 4 values is first equally often (scipy's chi-squared test)."""
    values = np.arange(64.0).reshape(8, 8)
    first = []
    generator = np.random.default_rng(0)
    for _ in range(600):
        shuffled = shuffle_within_blocks(values, 2, rng=generator)
        assert sorted(shuffled[:2, :2].ravel()) == [0, 1, 8, 9]
        first.append(shuffled[0, 0])
    assert stats.chisquare(np.unique(first, return_counts=True)[1]).pvalue > 1e-4


def test_starts_near_the_maximum_are_a_standard_normal_step_away():
    """Folded back at no wall here, both coordinates about the maximum pass scipy's test for the standard normal law."""
    y, x = np.mgrid[:61, :61]
    hill = Landscape(-((x - 25.0) ** 2) - (y - 31.0) ** 2)
    generator = np.random.default_rng(0)
    starts = np.array([start_near_maximum(hill, generator) for _ in range(400)])
    for k, centre in enumerate((25, 31)):
        assert stats.kstest(starts[:, k] - centre, "norm").pvalue > 1e-4
