"""Merge trees, persistence, SMAD and contour trees: against gudhi, an obvious flood, level sets, and a law on exact surfaces."""

import gudhi
import numpy as np
import pytest

from multifractal import contour_tree, fbm_surface, figures, topology
from tests.helpers import naive


def images(count, seed):
    """Yield random images of one to three dimensions, every second one with many ties."""
    rng = np.random.default_rng(seed)
    for k in range(count):
        shape = rng.integers(1, 9, size=rng.integers(1, 4))
        yield rng.integers(0, 5, size=shape).astype(float) if k % 2 else rng.normal(size=shape)


def finite_pairs(birth, death):
    """Return sorted (birth, death) of positive persistence."""
    pairs = np.column_stack([birth, death])
    pairs = pairs[pairs[:, 1] > pairs[:, 0]]
    return pairs[np.lexsort(pairs.T)]


def test_persistence_is_gudhis():
    """On 200 random and tied images, births and deaths are those of gudhi's cubical complex with values at vertices."""
    for values in images(200, 0):
        found = topology(values)
        cubes = gudhi.CubicalComplex(vertices=values)
        cubes.compute_persistence(min_persistence=-1)
        theirs = finite_pairs(*cubes.persistence_intervals_in_dimension(0).T)
        assert np.array_equal(finite_pairs(found.births, found.deaths), theirs)


def test_merge_tree_is_the_naive_floods():
    """Minima, deaths, heirs, first saddles and volumes equal those of a flood that recounts components at every level."""
    for values in images(40, 1):
        found, expected = topology(values), naive.flood(values)
        for name, wanted in expected.items():
            assert np.array_equal(getattr(found, name), wanted), name


def test_tree_is_one_tree():
    """Every node but one has a parent that is no lower; minima are strictly below or tied with it, and volumes cover the grid."""
    for values in images(40, 2):
        found = topology(values)
        above = found.parents[found.parents >= 0]
        assert (found.parents == -1).sum() == 1
        assert np.all(found.node_values[above] >= found.node_values[found.parents >= 0])
        assert found.volumes.sum() == values.size
        assert (found.volumes > 0).all()


def test_maxima_are_the_minima_of_the_negative():
    """The split tree of an image is the merge tree of its negative."""
    values = np.random.default_rng(3).normal(size=(20, 30))
    assert np.array_equal(topology(values, of="maxima").deaths, topology(-values).deaths)


def test_smad_of_a_landscape_that_can_be_drawn():
    """Wells of depth 3, 1 and 2 behind walls at 0: first saddles by hand, weighted by volume and by persistence."""
    found = topology([0.0, -3, -1, -2, 0, -1.5, 0])
    assert found.births.tolist() == [-3, -2, -1.5]
    assert found.deaths.tolist() == [np.inf, -1, 0]
    assert found.heirs.tolist() == [-1, 0, 0]
    assert found.first_saddles.tolist() == [-1, -1, 0]
    assert found.smad() == pytest.approx((2 + 1 + 1.5) / 3)
    assert found.smad(normalize=True) == pytest.approx((2 + 1 + 1.5) / 3 / 3)
    assert found.smad(weights="persistence") == pytest.approx((2 * 2 + 1 * 1 + 1.5**2) / 4.5)
    assert found.volumes.tolist() == [3, 2, 2]
    assert found.smad(weights="volume") == pytest.approx((2 * 3 + 1 * 2 + 1.5 * 2) / 7)
    assert found.simplified(1.2).tolist() == [0, 2]


def test_contour_tree_counts_the_contours_of_every_level():
    """As many arcs span each level as the level set of the triangulated image has pieces, and arcs make a tree."""
    rng = np.random.default_rng(4)
    for _ in range(15):
        values = rng.normal(size=rng.integers(2, 8, size=2))
        tree = contour_tree(values)
        assert len(tree.arcs) == len(tree.values) - 1
        lower, upper = tree.values[tree.arcs].T
        assert (lower < upper).all()
        levels = np.sort(values.ravel())
        for level in (levels[1:] + levels[:-1]) / 2:
            assert ((lower < level) & (level < upper)).sum() == naive.level_components(
                values, level
            )


def test_ends_of_the_contour_tree_are_minima_and_maxima():
    """Its lower leaves are the minima of the flood from below, its upper leaves those from above."""
    for values in images(30, 5):
        if values.size < 2:
            continue
        tree = contour_tree(values)
        lower = tree.nodes[tree.degrees[:, 0] == 0]
        upper = tree.nodes[tree.degrees[:, 1] == 0]
        minima = topology(values, connectivity="simplicial").minima
        assert {*map(tuple, lower)} == {*map(tuple, minima)}
        assert len(upper) >= 1


@pytest.mark.parametrize("hurst", [0.3, 0.7])
def test_mean_persistence_measures_the_grid_of_a_rough_surface(hurst):
    """On exact surfaces the mean persistence falls as pixel^H as the grid is refined: within 4 standard errors of 6 draws."""
    sides = np.array([64, 128, 256])
    slopes = []
    for seed in range(6):
        means = [
            topology(
                fbm_surface(256, hurst, rng=seed).values[:: 256 // n, :: 256 // n]
            ).persistence.mean()
            for n in sides
        ]
        slopes.append(-np.polyfit(np.log(sides), np.log(means), 1)[0])
    error = np.std(slopes, ddof=1) / np.sqrt(len(slopes))
    assert abs(np.mean(slopes) - hurst) < 4 * error + 0.03


def test_a_rough_image_is_warned_of_and_a_smooth_one_is_not():
    """The warning names the exponent by which the mean falls; a bowl with waves carries none."""
    rough = topology(fbm_surface(128, 0.4, rng=0))
    assert len(rough.warnings) == 1
    assert "pixel^0." in rough.warnings[0]
    y, x = np.mgrid[-2:2:128j, -2:2:128j]
    assert topology(x**2 + y**2 + np.sin(3 * x)).warnings == ()


def test_bad_input_is_refused():
    """What is not finite or has four dimensions is refused by name."""
    with pytest.raises(ValueError, match="landscape must be finite"):
        topology([[0.0, np.nan]])
    with pytest.raises(ValueError, match="landscape must have 1 to 3 dimensions"):
        topology(np.zeros((2, 2, 2, 2)))
    with pytest.raises(ValueError, match="connectivity must be one of 'axis', 'simplicial'"):
        topology([0.0, 1.0], connectivity="diagonal")


@pytest.mark.usefixtures("drawn")
def test_the_figures_show_the_pairs():
    """The diagram holds every pair; the tree one upright for each kept minimum, none of which cross a crossbar."""
    surface = fbm_surface(64, 0.7, rng=0)
    found = topology(surface)
    ax = figures.persistence_diagram(found)
    drawn = next(line for line in ax.lines if "minima" in line.get_label())
    assert np.array_equal(drawn.get_xydata(), found.pairs)
    axes = figures.merge_tree(found, surface, persistence=0.2)
    kept = found.simplified(0.2)
    lines = [line.get_xydata() for line in axes[1].lines if len(line.get_xydata()) == 2]
    uprights = [line for line in lines if line[0, 0] == line[1, 0]]
    bars = [line for line in lines if line[0, 1] == line[1, 1]]
    assert len(uprights) == len(kept)
    for bar in bars:
        low, high = sorted(bar[:, 0])
        crossed = [
            u
            for u in uprights
            if low < u[0, 0] < high and u[:, 1].max() > bar[0, 1] > u[:, 1].min()
        ]
        assert not crossed
