"""What a figure draws, read back from its artists, is the result it was given: each number on the axis that its label names."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pytest

from multifractal import (
    diffusion_exponent,
    fbm_surface,
    lyapunov_exponents,
    multifractal_spectrum,
    tamsd,
)
from multifractal.figures import displacement, dynamics, spectra


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_displacement_curves_stand_in_the_panel_of_their_waiting_time():
    """Left the waiting times below the split, right the others, each line at its lags and values; the fit's slope is drawn."""
    walks = np.random.default_rng(0).normal(size=(3, 900, 2)).cumsum(axis=1)
    lags = np.array([0, 1, 2, 5, 10, 30])
    found = tamsd(walks, waiting_times=[0, 100, 400], lag_times=lags, window=300)
    fit = diffusion_exponent(lags[1:], found.values[0, 1:], lag_range=(1, 10))
    axes = displacement.tamsd_by_waiting_time(
        {"walks": found}, exponents={"walks": ([fit], [])}, split=400
    )
    for panel, expected in ((axes[0, 0], found.values[:2]), (axes[0, 1], found.values[2:])):
        drawn = [line for line in panel.lines if len(line.get_xdata()) >= 5]
        curves = [line for line in drawn if np.isin(line.get_xdata(), lags).all()][: len(expected)]
        assert len(curves) == len(expected)
        for line, values in zip(curves, expected, strict=True):
            assert line.get_ydata() == pytest.approx(values[np.isin(lags, line.get_xdata())])
        assert panel.get_xscale() == panel.get_yscale() == "log"
    slopes = [np.diff(np.log(line.get_ydata()))[0] / np.diff(np.log(line.get_xdata()))[0]
              for line in axes[0, 0].lines[2:] if len(line.get_xdata()) > 1]  # fmt: skip
    assert any(slope == pytest.approx(fit.exponent, abs=1e-9) for slope in slopes)


def test_bands_of_exponents_are_their_intervals():
    """The band of the largest exponent spans its interval and holds its mean; the second's has its own."""
    surface = fbm_surface(64, 0.5, rng=0)
    starts = np.random.default_rng(0).uniform(5, 58, (6, 2))
    found = lyapunov_exponents(surface, learning_rates=[20.0, 200.0, 900.0], starts=starts, n_steps=300, burn_in=50)  # fmt: skip
    axis = dynamics.lyapunov_by_rate(found)[0]
    bands = [np.unique(band.get_paths()[0].vertices, axis=0) for band in axis.collections[:2]]
    for k, band in enumerate(bands):
        low, high = found.interval[..., k]
        for rate, a, b in zip(found.learning_rates, low, high, strict=True):
            drawn = band[np.isclose(band[:, 0], rate), 1]
            assert [drawn.min(), drawn.max()] == pytest.approx([a, b])
    assert axis.lines[0].get_ydata() == pytest.approx(found.mean[:, 0])
    assert axis.lines[1].get_ydata() == pytest.approx(found.mean[:, 1])


def test_error_bars_of_a_spectrum_lie_along_their_own_axes():
    """Horizontal bars end at the interval of h, vertical ones at that of D."""
    found = multifractal_spectrum(fbm_surface(128, 0.5, rng=0), scales=(2, 3))
    h, D = found.h, found.D
    found = dataclasses.replace(
        found, h_interval=np.stack([h - 0.1, h + 0.2]), D_interval=np.stack([D - 0.3, D + 0.05])
    )
    axis = spectra.section_spectra({"a section": found})[0]
    across, along = axis.containers[0].lines[2]
    drawn_h = np.array([segment[:, 0] for segment in across.get_segments()])
    drawn_D = np.array([segment[:, 1] for segment in along.get_segments()])
    assert drawn_h == pytest.approx(np.stack([h - 0.1, h + 0.2], axis=1))
    assert drawn_D == pytest.approx(np.stack([D - 0.3, D + 0.05], axis=1))
