"""Figures of the surface and of drift: they draw what they are given, and touch nothing else."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from multifractal import (
    Landscape,
    basins,
    clustering_curve,
    curvature_roughness,
    descend,
    drift_to_flat,
    fbm_surface,
    figures,
    local_minima,
    loss_histogram,
    mbm_surface,
    paper_hoelder_map,
    sharpness_at,
    start_near_maximum,
    walk_spectrum,
    well_passage,
)


@pytest.fixture(scope="module")
def surface():
    """A small surface of the paper's kind."""
    return mbm_surface(paper_hoelder_map(128), rng=0)


@pytest.fixture(autouse=True)
def _closed_and_untouched():
    plt.switch_backend("agg")
    before = dict(plt.rcParams)
    yield
    plt.close("all")
    assert dict(plt.rcParams) == before


def test_every_figure_draws_its_result(surface):
    """Each function returns axes whose labels carry units and whose data are the result's."""
    lowest = local_minima(surface).lowest(300)
    found = basins(lowest)
    curves = [
        clustering_curve(
            lowest.positions, lowest.positions[found.labels == k], np.geomspace(1, 181, 60)
        )
        for k in (0, 1)
    ]
    law = curvature_roughness(surface)
    ax = figures.curvature_law(law)
    assert np.array_equal(
        ax.lines[0].get_xydata(), np.column_stack([law.published_x, law.curvature])
    )
    ax = figures.clustering_curves(*curves)
    assert f"{curves[0].power:.2f}" in ax.get_legend().get_texts()[0].get_text()
    ax = figures.minima_map(lowest, found, surface)
    assert np.array_equal(ax.collections[0].get_offsets(), lowest.positions)
    assert len(ax.collections[1].get_offsets()) == 10
    inset, scale = ax.child_axes
    assert [[text.get_text() for text in one.texts] for one in (ax, inset, scale)] == [
        ["a"],
        ["b"],
        [],
    ]
    histogram = loss_histogram(surface, found.boxes[0])
    ax = figures.basin_losses(histogram)
    assert np.array_equal(ax.patches[0].get_data().values, histogram.counts)
    assert ax.get_xlabel() == "loss"
    ax = figures.basin_losses(loss_histogram(surface, found.boxes[0], minima=lowest), line=0.5)
    assert ax.lines[0].get_xdata()[0] == 0.5
    assert ax.get_xlabel() == "loss above the global minimum"
    walk = descend(surface, start_near_maximum(surface, rng=0), learning_rate=10, n_steps=50)
    relief, flat = figures.surface_with_walk(surface, walk)
    assert np.array_equal(flat.collections[0].get_offsets(), walk.positions)
    assert all("pixels" in axis.get_xlabel() for axis in (relief, flat))
    places = {line.get_label(): line.get_xydata()[0] for line in flat.lines}
    assert places["start"] == pytest.approx(walk.positions[0])
    assert places["finish"] == pytest.approx(walk.positions[-1])
    x, y = places["global minimum"].astype(int)
    assert surface.values[y, x] == surface.values.min()


def test_drift_is_drawn_with_its_controls(surface, tmp_path):
    """One curve a kind in each panel, the number of surfaces and walkers in the title, and a file of it all."""
    drift = drift_to_flat([surface, surface], learning_rate=10, n_steps=60, n_walkers=2, rng=0)
    axes = figures.drift_shares(drift, fields=("flatness", "regional flatness"))
    assert len(axes) == 3
    assert "2 surfaces × 2 walkers" in axes[0].get_title()
    assert len(axes[-1].lines) == len(drift.kinds)
    figures.save_figure(axes, tmp_path, "drift", shares=drift.shares)
    assert (tmp_path / "drift.png").stat().st_size > 10_000
    ax = figures.passage_into_well(well_passage(n_walkers=2, n_steps=50, rng=0))
    assert "2 paths" in ax.get_title()


def test_gallery_map_and_tracks(surface):
    """Reliefs under their titles, the exponent's map beside its surface, sharpness with its edge: the data are the inputs'."""
    axes = figures.surface_gallery({f"H = {h}": fbm_surface(64, h, rng=0) for h in (0.3, 0.5, 0.7)})
    assert [ax.get_title() for ax in axes] == ["H = 0.3", "H = 0.5", "H = 0.7"]
    left, right = figures.map_beside_surface(surface)
    assert np.array_equal(left.images[0].get_array(), surface.hoelder)
    assert right.name == "3d"
    with pytest.raises(ValueError, match="prescribed Hoelder exponents"):
        figures.map_beside_surface(Landscape(np.zeros((8, 8))))
    walk = descend(surface, (60.0, 60.0), learning_rate=5.0, n_steps=200)
    sharpness = sharpness_at(surface, walk.positions)
    (ax,) = figures.sharpness_along({"walk": (np.arange(201), sharpness, 5.0)})
    assert np.array_equal(ax.lines[0].get_ydata(), sharpness)
    assert ax.lines[1].get_ydata()[0] == 0.4


def test_walk_spectra_show_their_fits(surface):
    """A line a walk, and a guide of the fitted exponent, written beside it."""
    steps = np.random.default_rng(0).normal(size=(4, 512, 2)).cumsum(axis=1)
    found = walk_spectrum(steps)
    fit = found.exponent((0.01, 0.1))
    ax = figures.walk_spectra({"free": found}, exponents={"free": [((0.01, 0.1), fit)]})
    x, y = ax.lines[1].get_data()
    np.testing.assert_allclose(np.diff(np.log(y)) / np.diff(np.log(x)), -fit.value)
    assert f"{float(fit.value):.2f}" in ax.get_legend().get_texts()[0].get_text()
