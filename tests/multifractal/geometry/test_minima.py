"""Geometry: minima, basins, N(R) and its power law, the curvature law; against naive twins, known sets and exact laws."""

import re

import numpy as np
import pytest

from multifractal import (
    ClusteringCurve,
    Landscape,
    Minima,
    basins,
    clustering_curve,
    curvature_roughness,
    flatness,
    local_minima,
    loss_histogram,
    mbm_surface,
    paper_hoelder_map,
)
from multifractal.geometry.clustering import PAPER_RADII, _default_fit_range, _two_segments
from multifractal.geometry.curvature import exact_curvature, published_curvature
from tests.helpers import naive

pytestmark = pytest.mark.quick


@pytest.fixture
def rough():
    """White noise on a non-square grid that spans several chunks of rows."""
    return Landscape(np.random.default_rng(0).normal(size=(530, 41)), hoelder=0.4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_minima_are_the_naive_twins(rough, dtype):
    """Positions, losses and flatness of all minima, lowest first, equal the transcription of their definitions."""
    values = rough.values.astype(dtype)
    minima = local_minima(Landscape(values, hoelder=0.4))
    expected = naive.local_minima(values)
    assert np.array_equal(minima.positions, expected)
    assert np.array_equal(minima.losses, values[expected[:, 1], expected[:, 0]])
    tolerance = 1e-11 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(
        minima.flatness, naive.flatness(values)[expected[:, 1], expected[:, 0]], rtol=tolerance
    )
    assert np.all(minima.hoelder == 0.4)


def test_ties_plateaus_and_walls_are_no_surprise():
    """Equal minima come in the order of the grid; a plateau, a wall point and a diagonal neighbour make no difference."""
    values = np.ones((6, 7))
    # two of them touch at a corner, which a 4-neighbour minimum may
    values[4, 2] = values[1, 5] = values[3, 3] = -1
    values[1, 2] = values[1, 3] = -2  # a plateau: not strictly below
    values[0, 0] = values[3, 6] = -9  # on the walls
    minima = local_minima(Landscape(values))
    assert minima.positions.tolist() == [[5, 1], [3, 3], [2, 4]]
    assert minima.hoelder is None


def test_flatness_of_a_quadratic_bowl():
    """On a x^2/2 + b y^2/2 + c x y, flatness is (a^2 + b^2 + 2 c^2)^(-1/4) wherever the stencil is central."""
    y, x = np.mgrid[:9, :12] - 4.0
    bowl = Landscape(0.5 * 3 * x**2 + 0.5 * 2 * y**2 + 0.25 * x * y)
    np.testing.assert_allclose(flatness(bowl)[2:-2, 2:-2], (9 + 4 + 2 / 16) ** -0.25, rtol=1e-12)
    assert flatness(Landscape(np.zeros((5, 5))))[2, 2] == np.inf


def test_minima_are_selected_and_saved(rough, tmp_path):
    """The lowest, those in a box, and a round trip through a file."""
    minima = local_minima(rough)
    low = minima.lowest(50)
    assert len(low) == 50
    assert low.losses.max() < minima.losses[50]
    boxed = minima.within((10, 20, 100, 200))
    assert 0 < len(boxed) < len(minima)
    assert boxed.positions.min(axis=0).tolist() >= [10, 100]
    assert boxed.positions.max(axis=0).tolist() <= [20, 200]
    low.save(tmp_path / "minima.npz")
    assert np.array_equal(Minima.load(tmp_path / "minima.npz").positions, low.positions)


def _minima_at(positions, hoelder):
    n = len(positions)
    return Minima(
        positions=np.asarray(positions, float),
        losses=np.arange(n, dtype=float),
        flatness=np.ones(n),
        hoelder=np.asarray(hoelder, float),
        provenance=None,
    )


def test_basins_are_the_connected_components():
    """Chains under the link length join, a wider gap parts, and the smoother and rougher are told by mean exponent."""
    chain = [(5 * k, 0) for k in range(10)]
    square = [(100 + 4 * a, 50 + 4 * b) for a in range(3) for b in range(2)]
    # the smoothest and the roughest of all, but not among the 2 largest
    lonely = [(300, 300), (400, 400)]
    found = basins(
        _minima_at(lonely + square + chain, [0.9, 0.1] + [0.6] * 6 + [0.3] * 10),
        link_length=6,
        among=2,
    )
    assert found.sizes.tolist() == [10, 6, 1, 1]
    assert found.labels.tolist() == [2, 3] + [1] * 6 + [0] * 10
    assert (found.smoother, found.rougher) == (1, 0)
    assert found.boxes[:3].tolist() == [[0, 45, 0, 0], [100, 108, 50, 54], [300, 300, 300, 300]]
    assert basins(_minima_at(chain, [0.5] * 10), link_length=4.9).sizes.tolist() == [1] * 10


def test_basins_without_an_exponent_go_by_flatness():
    """Where the Hoelder exponent is unknown, the flatter basin is the smoother one."""
    positions = np.array([(0, 0), (1, 0), (2, 0), (50, 50), (51, 50)], float)
    minima = Minima(
        positions=positions,
        losses=np.arange(5.0),
        flatness=np.array([1, 1, 1, 4, 4.0]),
        hoelder=None,
        provenance=None,
    )
    found = basins(minima)
    assert (found.smoother, found.rougher) == (1, 0)
    np.testing.assert_allclose(found.smoothness, [0, np.log(4)])


@pytest.mark.parametrize("on_grid", [True, False])
def test_counts_equal_brute_force(on_grid):
    """N(R) equals the double loop exactly, on integer positions, where distances equal radii, and on real ones."""
    rng = np.random.default_rng(1)
    points = (
        rng.integers(0, 200, (700, 2)).astype(float) if on_grid else rng.uniform(0, 200, (700, 2))
    )
    radii = (
        np.concatenate([PAPER_RADII[:60], [100, 142, 150, 300]])
        if not on_grid
        else np.arange(1.0, 60)
    )
    curve = clustering_curve(points, points[:530], radii)
    assert np.array_equal(curve.counts, naive.mean_counts(points, points[:530], radii))


def test_counts_include_the_centre_and_not_the_rim():
    """A point at exactly R is not within R; the centre counts itself; beyond the last radius nothing is counted."""
    points = np.array([[0, 0], [3, 4], [0, 2], [900, 0.0]])
    curve = clustering_curve(points, points[:1], [1, 2, 5, 5.0000001, 6, 7], fit_range=(1, 7))
    assert curve.counts.tolist() == [1, 1, 2, 3, 3, 3]


def _cantor(levels):
    ends = np.zeros(1)
    for level in range(levels):
        ends = np.concatenate([ends, ends + 2 * 3**level])
    return ends


def _dust(levels):
    x, y = np.meshgrid(_cantor(levels), _cantor(levels))
    return np.column_stack([x.ravel(), y.ravel()])


def test_the_power_of_a_line_a_square_and_cantor_dust():
    """N(R) grows with the dimension of the set: 1, 2 and log 4 / log 3, on either side of whatever R0 is found.

    Radii stay well inside the sets. At half-integer radii the line's counts are 2R exactly. A square lattice holds
    pi R^2 + e points with |e| < 2.5 R^(2/3) here (Gauss's circle problem), so ln N is off by at most .015 at R = 20; the
    shortest segment spans ln R = .34 by 10 radii, over which independent errors of that size put .05 on its slope.
    The dust's counts at 3^k sqrt 2 are powers of 4 exactly.
    """
    line = np.column_stack([np.arange(2001.0), np.zeros(2001)])
    curve = clustering_curve(
        line, line[900:1101], np.geomspace(10, 800, 40) // 1 + 0.5, fit_range=(10, 801)
    )
    np.testing.assert_allclose([curve.power, curve.outer_power], 1, atol=1e-12)
    y, x = np.mgrid[:601.0, :601.0]
    square, radii = np.column_stack([x.ravel(), y.ravel()]), np.geomspace(20, 290, 80)
    curve = clustering_curve(square, [[300.0, 300.0]], radii, fit_range=(20, 290))
    assert np.all(np.abs(curve.counts - np.pi * radii**2) < 2.5 * radii ** (2 / 3))
    np.testing.assert_allclose([curve.power, curve.outer_power], 2, atol=0.05)
    dust = _dust(6)
    radii = 3.0 ** np.arange(1, 7) * 2**0.5  # square cells of side 3^k, seen from a corner
    curve = clustering_curve(dust, dust[:1], radii, fit_range=(1, 3**7))
    assert curve.counts.tolist() == [4.0**k for k in range(1, 7)]
    np.testing.assert_allclose([curve.power, curve.outer_power], np.log(4) / np.log(3), atol=1e-12)


def test_the_crossover_of_a_disc_is_its_size():
    """Round the middle of a disc of radius 60, N(R) follows R^2 up to 60 and is flat beyond."""
    y, x = np.mgrid[-60:61.0, -60:61.0]
    points = np.column_stack([x[x**2 + y**2 < 3600], y[x**2 + y**2 < 3600]])
    curve = clustering_curve(points, [[0.0, 0.0]], PAPER_RADII, fit_range=(3, 900))
    step = PAPER_RADII[1] / PAPER_RADII[0]
    assert 60 / step < curve.crossover < 60 * step
    assert curve.power == pytest.approx(2, abs=0.05)
    assert curve.outer_power == pytest.approx(0, abs=0.02)
    np.testing.assert_allclose(curve.fit([10, 300]), [314, len(points)], rtol=0.1)


def test_the_fit_begins_at_two_and_ends_at_the_basin_or_half_of_all():
    """By default N of the first radius fitted is the first of 2 at least, that of the last the last up to its bound."""
    radii, counts = np.arange(1.0, 8), np.array([1, 1.99, 2, 5, 20, 20.01, 30])
    assert _default_fit_range(radii, counts, 20) == (3, 5)
    points = np.random.default_rng(2).uniform(0, 1000, (400, 2))
    for centres, most in ((None, 200), (points[:150], 150), (points[:250], 200)):
        curve = clustering_curve(points, centres)
        first, last = np.searchsorted(curve.radii, curve.fit_range)
        assert curve.counts[first - 1] < 2 <= curve.counts[first]
        assert curve.counts[last] <= most < curve.counts[last + 1]
        fitted = slice(first, last + 1)
        off = np.log(curve.counts[fitted]) - np.log(curve.fit(curve.radii[fitted]))
        assert curve.residual == pytest.approx(np.sqrt(np.mean(off**2)), rel=1e-9)


def test_the_fit_recovers_two_powers_exactly(tmp_path):
    """Counts that follow two powers give back both, the crossover and the prefactor; and survive a file."""
    points = np.random.default_rng(2).uniform(0, 1000, (400, 2))
    curve = clustering_curve(points, fit_range=(5, 800))
    curve.save(tmp_path / "curve.npz")
    assert ClusteringCurve.load(tmp_path / "curve.npz").power == curve.power
    x = np.log(PAPER_RADII)
    y = 0.3 + 1.7 * x - 1.2 * np.maximum(x - x[40], 0)
    np.testing.assert_allclose(
        _two_segments(x, y), [1.7, 0.5, PAPER_RADII[40], np.exp(0.3), 0], atol=1e-11
    )


def test_curvature_laws_at_known_exponents():
    """At H = 1/2 and N = 1024: 2 (16 - 4 - 4 sqrt 2)/16/1024, and (16 - 8 + 2 - sqrt 2) 1024 for the paper's abscissa."""
    assert exact_curvature(0.5, 1024) == pytest.approx((12 - 4 * 2**0.5) / 8 / 1024, rel=1e-14)
    assert published_curvature(0.5, 1024) == pytest.approx((10 - 2**0.5) * 1024, rel=1e-14)


def test_curvature_is_averaged_in_bins():
    """Means, quartiles, counts and prefactor equal their definitions, computed by masks."""
    rng = np.random.default_rng(3)
    landscape = Landscape(rng.normal(size=(60, 90)), hoelder=rng.uniform(0.2, 0.8, (60, 90)))
    result = curvature_roughness(landscape, bins=7)
    hoelder = landscape.hoelder[2:-2, 2:-2].ravel()
    curvature = (naive.hessian_eigenvalues(landscape.values) ** 2).sum(axis=0)[2:-2, 2:-2].ravel()
    x = published_curvature(hoelder, 90)
    edges = np.geomspace(x.min(), x.max(), 8)
    for k, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        inside = (x >= low if k == 0 else x > low) & ((x <= high) | (k == 6))
        assert result.counts[k] == inside.sum()
        np.testing.assert_allclose(result.curvature[k], curvature[inside].mean(), rtol=1e-12)
        np.testing.assert_allclose(
            [result.lower[k], result.upper[k]], np.quantile(curvature[inside], [0.25, 0.75])
        )
        np.testing.assert_allclose(
            result.exact[k], exact_curvature(hoelder[inside], 90).mean(), rtol=1e-12
        )
    np.testing.assert_allclose(
        result.prefactor, (result.curvature / result.published_x).mean(), rtol=1e-12
    )


def test_the_curvature_law_holds_in_every_bin():
    """The mean over 8 exact surfaces at 1024 x 1024 lies within 1 % of the exact law in every bin of H (issue's bound)."""
    hoelder = paper_hoelder_map()
    results = [
        curvature_roughness(mbm_surface(hoelder, rng=seed, dtype=np.float32), bins=12)
        for seed in range(8)
    ]
    ratio = np.mean([r.curvature for r in results], axis=0) / results[0].exact
    np.testing.assert_allclose(ratio, 1, atol=0.01)


def test_the_loss_histogram_counts_the_box(rough):
    """Counts are numpy's, of exactly the grid points in the box."""
    histogram = loss_histogram(rough, (3, 12, 100, 139), bins=9)
    assert histogram.counts.sum() == 10 * 40
    assert np.array_equal(histogram.counts, np.histogram(rough.values[100:140, 3:13], 9)[0])


def test_the_loss_histogram_counts_minima_above_the_global_one(rough):
    """Of given minima those in the box, their losses from the lowest grid point of all; a box without one is refused."""
    minima, box = local_minima(rough), (3, 12, 100, 139)
    histogram = loss_histogram(rough, box, minima=minima, bins=5)
    inside = [
        loss - rough.values.min()
        for (x, y), loss in zip(minima.positions, minima.losses, strict=True)
        if 3 <= x <= 12 and 100 <= y <= 139
    ]
    assert np.array_equal(histogram.counts, np.histogram(inside, bins=5)[0])
    assert (histogram.edges[0], histogram.edges[-1]) == pytest.approx((min(inside), max(inside)))
    assert (histogram.reference, histogram.counted) == (rough.values.min(), "minima")
    x, y = rough.global_minimum
    assert rough.values[y, x] == histogram.reference
    with pytest.raises(ValueError, match="hold one of the minima"):
        loss_histogram(rough, (0, 0, 0, 0), minima=minima)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda s: basins(local_minima(s), link_length=0),
            "link_length must be a positive finite number, got 0",
        ),
        (lambda s: basins(local_minima(s), among=0), "among must be a whole number, at least 1"),
        (
            lambda s: basins(local_minima(s).lowest(1).at([])),
            "minima must hold at least one minimum",
        ),
        (lambda s: local_minima(s).lowest(0), "count must be a whole number, at least 1, got 0"),
        (lambda s: clustering_curve(np.zeros((5, 3))), "points must have shape (n, 2)"),
        (lambda s: clustering_curve([[0, np.nan]]), "points must be finite everywhere"),
        (
            lambda s: clustering_curve([[0, 0.0]], radii=[2.0, 1.0]),
            "radii must be positive and increase",
        ),
        (lambda s: clustering_curve([[0, 0.0]]), "fit_range must hold at least 4 radii"),
        (
            lambda s: loss_histogram(s, (0, 41, 0, 3)),
            "box must be (x first, x last, y first, y last) within a grid of 530 rows",
        ),
        (
            lambda s: curvature_roughness(Landscape(s.values)),
            "landscape.hoelder must be known, got None",
        ),
        (
            lambda s: curvature_roughness(Landscape(s.values[:4, :4], hoelder=0.5)),
            "landscape must be at least 5x5",
        ),
    ],
)
def test_bad_input_is_refused_with_its_rule(rough, call, words):
    """Each refusal names the argument and the rule."""
    with pytest.raises(ValueError, match=re.escape(words)):
        call(rough)
