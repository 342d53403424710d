"""Figures of the surface and of drift: they draw what they are given, and touch nothing else."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from multifractal import (
    basins,
    clustering_curve,
    curvature_roughness,
    descend,
    drift_to_flat,
    figures,
    local_minima,
    loss_histogram,
    mbm_surface,
    paper_hoelder_map,
    start_near_maximum,
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
    histogram = loss_histogram(surface, found.boxes[0])
    ax = figures.basin_losses(histogram)
    assert np.array_equal(ax.patches[0].get_data().values, histogram.counts)
    walk = descend(surface, start_near_maximum(surface, rng=0), learning_rate=10, n_steps=50)
    relief, flat = figures.surface_with_walk(surface, walk)
    assert np.array_equal(flat.collections[0].get_offsets(), walk.positions)
    assert all("pixels" in axis.get_xlabel() for axis in (relief, flat))


def test_drift_is_drawn_with_its_controls(surface, tmp_path):
    """One curve a kind in each panel, the number of surfaces and walkers in the title, and a file of it all."""
    drift = drift_to_flat([surface, surface], learning_rate=10, n_steps=60, n_walkers=2, rng=0)
    axes = figures.drift_shares(drift, fields=("flatness", "regional flatness"))
    assert len(axes) == 3
    assert "2 surfaces x 2 walkers" in axes[0].get_title()
    assert len(axes[-1].lines) == len(drift.kinds)
    figures.save_figure(axes, tmp_path, "drift", shares=drift.shares)
    assert (tmp_path / "drift.png").stat().st_size > 10_000
    ax = figures.passage_into_well(well_passage(n_walkers=2, n_steps=50, rng=0))
    assert "2 paths" in ax.get_title()
