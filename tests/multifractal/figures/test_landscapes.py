"""The gallery of landscapes: it draws what it is given, and touches nothing else."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from multifractal import LogNormal, Multinomial, fbm_surface, figures, multiplicative_measure
from multifractal.figures.landscapes import _spectrum


def test_gallery_draws_every_landscape_and_both_spectra():
    """One map and one spectrum a landscape; a line a realisation, then the law; a monofractal's law is one marker."""
    plt.switch_backend("agg")
    before = dict(plt.rcParams)
    q, weights = np.linspace(-3, 3, 7), (0.4, 0.3, 0.2, 0.1)
    landscapes = {
        "surface": fbm_surface((40, 600), 0.5, rng=0),
        "measure": multiplicative_measure(64, weights, rng=0),
    }
    measured = {
        "surface": (np.full((3, 7), 0.5), np.full((3, 7), 1.99)),
        "measure": tuple(np.tile(part, (3, 1)) for part in Multinomial(weights).spectrum(q)),
    }
    analytic = {"surface": LogNormal(0.5).spectrum(q), "measure": Multinomial(weights).spectrum(q)}
    axes = figures.landscape_gallery(landscapes, measured, analytic, logarithmic=["measure"])
    assert axes.shape == (2, 2)
    assert [ax.get_title() for ax in axes[0]] == ["surface", "measure"]
    assert axes[0, 0].get_xlabel() == "600 × 40 pixels"
    assert "log" in axes[0, 1].get_xlabel()
    assert [ax.get_xlabel() for ax in axes[1]] == ["h", "h"]
    monofractal, multifractal = axes[1, 0].lines, axes[1, 1].lines
    assert len(monofractal[3].get_xdata()) == 1
    np.testing.assert_array_equal(multifractal[3].get_ydata(), analytic["measure"][1])
    np.testing.assert_array_equal(multifractal[0].get_xdata(), measured["measure"][0][0])
    assert "3 realisations" in axes[1, 0].get_legend().get_texts()[0].get_text()
    plt.close("all")
    assert dict(plt.rcParams) == before


def test_a_gallery_of_one_has_two_panels():
    """A map above its spectrum, in an array of two rows and one column as for several."""
    surface, spectrum = fbm_surface((8, 12), 0.5, rng=0), (np.full((1, 3), 0.5), np.full((1, 3), 2.0))  # fmt: skip
    law = {"surface": (np.full(1, 0.5), np.full(1, 2.0))}
    axes = figures.landscape_gallery({"surface": surface}, {"surface": spectrum}, law)
    assert axes.shape == (2, 1)
    assert axes[0, 0].get_title() == "surface"
    assert axes[1, 0].get_ylabel() == "D(h)"
    assert "one realisation" in axes[1, 0].get_legend().get_texts()[0].get_text()
    plt.close("all")


@pytest.mark.parametrize(("law", "low", "high"), [([0.4, 0.6], 0.2, 0.9), ([0.1, 1.2], 0.1, 1.2)])
def test_a_spectrum_and_its_law_are_both_in_view(law, low, high):
    """The limits hold the lowest and the highest exponent of either with a twentieth on each side; a law of some width is a line."""
    ax = plt.subplots()[1]
    h, dimension = np.array([[0.2, 0.5, 0.9]]), np.array([[1.0, 2.0, 1.5]])
    _spectrum(ax, h, dimension, np.array(law), np.array([1.2, 1.4]))
    margin = 0.05 * (high - low)
    assert ax.get_xlim() == pytest.approx((low - margin, high + margin))
    assert [list(line.get_xdata()) for line in ax.lines] == [[0.2, 0.5, 0.9], law]
