"""Figures of the theory: cells of a diagram, its collapse on the step's correlation, and fits beside their curves."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from multifractal import DiffusionDiagram, Provenance, figures

LAGS = np.array([1, 2, 5, 10])


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def made_up_diagram(hursts, rates):
    """Walks that grow as lag^(H + 1/10) from a step of rate / 100 pixels; at the first rate most of them rest."""
    exponents = np.add.outer(np.array(hursts), np.full(len(rates), 0.1))
    curves = (np.array(rates) / 100)[:, None] ** 2 * LAGS ** exponents[..., None]
    at_rest = np.zeros((len(hursts), 2, len(rates)))
    at_rest[..., 0] = 1.0
    return DiffusionDiagram.of(
        curves=np.repeat(curves[:, None], 2, axis=1),
        at_rest=at_rest,
        hursts=np.array(hursts),
        learning_rates=np.array(rates),
        lag_times=LAGS,
        waiting_time=60,
        n_walkers=4,
        provenance=Provenance("made up"),
    )


@pytest.mark.parametrize(
    ("hursts", "shown"), [([0.2, 0.5, 0.8], [0, 1, 2]), (np.linspace(0.1, 0.9, 9), [0, 2, 4, 6, 8])]
)
def test_a_diagram_is_coloured_by_its_exponents_and_collapsed(hursts, shown):
    """Cells that rest have no colour, the others H + 0.1; beside it the same exponents lie over the correlation of one step."""
    diagram = made_up_diagram(hursts, [10.0, 100.0, 300.0, 1000.0])
    cells, collapse = figures.alpha_diagram(diagram)
    drawn = cells.collections[0].get_array()
    assert drawn.shape == (4, len(hursts))  # rates upwards, exponents to the right
    assert np.ma.getmaskarray(drawn)[0].all()
    for row in drawn[1:]:
        np.testing.assert_allclose(row, np.array(hursts) + 0.1, rtol=1e-12)
    lines = [line for line in collapse.lines if len(line.get_xdata()) == 3]
    assert len(lines) == len(shown)
    for line, k in zip(lines, shown, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), diagram.step_correlation[k, 1:])
        np.testing.assert_allclose(line.get_ydata(), hursts[k] + 0.1, rtol=1e-12)
        assert line.get_label() == f"{hursts[k]:.1f}"


def test_fits_lie_on_their_curves():
    """Curve and fit are multiplied alike, and the key says by what; a walk at rest has no fit."""
    lags = np.arange(1, 200)
    fit = SimpleNamespace(hurst=0.62, curve=lambda lags: 2.0 * lags**0.7)
    moving, still = (lags, 2.0 * lags**0.7, fit, 10), (lags, np.full(199, 1e-3), None, 1)
    (panel,) = figures.tamsd_fits({"walks": {0.5: moving, 0.3: still}})
    dots, line, rest = panel.lines[:3]
    np.testing.assert_allclose(dots.get_ydata(), 20.0 * dots.get_xdata() ** 0.7)
    np.testing.assert_array_equal(line.get_xydata(), dots.get_xydata())
    assert rest.get_ydata() == pytest.approx(1e-3)
    assert len(panel.lines) == 4  # and the key's
    assert [dots.get_label(), rest.get_label()] == [
        "H = 0.5 (×10): fitted 0.62",
        "H = 0.3: at rest",
    ]
