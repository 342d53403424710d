"""Figures of probes show the numbers of their results."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from landscape_viz import (
    HessianOperator,
    dynamics,
    linear_path,
    spectral_density,
    top_eigenpairs,
    trained_path,
)
from landscape_viz.figures import probes, summaries
from tests.landscape_viz.test_connectivity import ACROSS, RING
from tests.landscape_viz.test_dynamics import QUADRATIC


@pytest.fixture(autouse=True)
def closed():
    """Close the figures of a test."""
    yield
    plt.close("all")


def test_spectrum_shows_density_band_and_eigenvalues():
    """The line is the density, the ticks are the eigenvalues, the title states n, probes and width."""
    operator = HessianOperator(QUADRATIC)
    density, pairs = spectral_density(operator, n_probes=2, n_steps=4), top_eigenpairs(operator, 2)
    ax = probes.spectrum(density, pairs)
    line, _, ticks = ax.get_lines()
    shown = line.get_ydata() > line.get_ydata().min()
    np.testing.assert_array_equal(line.get_ydata()[shown], density.density[shown])
    np.testing.assert_array_equal(ticks.get_xdata(), pairs.values)
    edges = ax.collections[0].get_paths()[0].vertices
    for at, (low, high) in zip(density.grid[::50], density.interval.T[::50], strict=True):
        ends = edges[edges[:, 0] == at, 1]
        floor = ax.get_ylim()[0]  # nothing is drawn below it
        assert [ends.min(), ends.max()] == pytest.approx([max(low, floor), max(high, floor)])
    assert "n = 6, 2 probes of 4 steps" in ax.get_title(loc="left")


def test_the_summary_of_a_hessian_shows_residuals_density_and_band():
    """Bars reach one residual to either side of each eigenvalue; curve, band and ticks stand at their own eigenvalues."""
    operator = HessianOperator(QUADRATIC)
    density, pairs = spectral_density(operator, n_probes=2, n_steps=4), top_eigenpairs(operator, 2)
    pairs = replace(pairs, residuals=0.1 * np.arange(1, 3))
    left, right = summaries.hessian(pairs, density)
    bars = np.array([bar[:, 1] for bar in left.containers[0].lines[2][0].get_segments()])
    np.testing.assert_allclose(
        bars, pairs.values[:, None] + pairs.residuals[:, None] * np.array([-1, 1])
    )
    curve, _, ticks = right.get_lines()
    np.testing.assert_array_equal(curve.get_xdata(), density.grid)
    floor = right.get_ylim()[0]
    np.testing.assert_allclose(curve.get_ydata(), np.maximum(density.density, floor))
    np.testing.assert_array_equal(ticks.get_xdata(), pairs.values)
    edges = right.collections[0].get_paths()[0].vertices
    assert edges[:, 1].max() == pytest.approx(density.interval.max())


def test_edge_of_stability_shows_sharpness_and_edge():
    """Loss above, sharpness and 2 / eta below; a record without sharpness is refused."""
    record = dynamics.full_batch_descent(QUADRATIC, learning_rate=0.1, n_steps=6, sharpness_every=3)
    above, below = probes.edge_of_stability(record)
    np.testing.assert_array_equal(above.get_lines()[0].get_ydata(), record.losses)
    np.testing.assert_array_equal(below.get_lines()[0].get_ydata(), record.sharpness)
    assert below.get_lines()[-1].get_ydata()[0] == 20
    with pytest.raises(ValueError, match="record must hold the sharpness"):
        probes.edge_of_stability(
            dynamics.full_batch_descent(QUADRATIC, learning_rate=0.1, n_steps=2)
        )


def test_paths_mark_their_barriers():
    """Each path's highest point is marked and its barrier stands in the legend."""
    measured = [
        linear_path(RING, ACROSS, n_points=5),
        trained_path(RING, ACROSS, n_steps=2, n_points=5),
    ]
    ax = probes.paths(measured)
    marks = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert [mark.get_ydata()[0] for mark in marks] == [path.losses.max() for path in measured]
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == [f"{path.kind}, barrier {path.barrier_height:.2g}" for path in measured]
    assert probes.paths(measured[0]).get_lines()
