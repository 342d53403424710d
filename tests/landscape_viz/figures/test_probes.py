"""Figures of probes show the numbers of their results."""

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
from landscape_viz.figures import probes
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
    assert "n = 6, 2 probes of 4 steps" in ax.get_title(loc="left")


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
