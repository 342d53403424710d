"""What a figure draws, read back from its artists, is the result it was given: each number on the axis that its label names."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from multifractal import (
    CurvatureRoughness,
    EdgeOfStability,
    LyapunovExponents,
    Provenance,
    SectionStudy,
    descend,
    diffusion_exponent,
    fbm_surface,
    figures,
    lyapunov_exponents,
    multifractal_spectrum,
    tamsd,
)
from multifractal.base.curves import Curves
from multifractal.figures import (
    displacement,
    dynamics,
    reproduction,
    spectra,
    surface,
    theory,
    training,
)
from multifractal.figures.section_study import _MODES
from multifractal.reproduction.claim import Measured, Quantity


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


X = np.array([1.0, 2.0, 5.0])
LAW = CurvatureRoughness(
    hoelder=np.array([0.8, 0.6, 0.4]),
    curvature=7e-8 * X,
    lower=3e-8 * X,
    upper=11e-8 * X,
    counts=np.array([3, 4, 5]),
    exact=5e-8 * X**2,
    published_x=X,
    prefactor=6.87e-8,
    prefactor_error=0.12e-8,
    provenance=Provenance("made up"),
)


def drawn_as(axis, words):
    """Return the points of the line whose label holds these words."""
    (line,) = [line for line in axis.lines if words in line.get_label()]
    return line.get_xydata()


def test_laws_of_curvature_stand_where_they_are():
    """Means, quartiles, the exact law and the paper's each at the paper's abscissa; the prefactor is told in its own power of ten."""
    axis = surface.curvature_law(LAW)
    assert drawn_as(axis, "mean") == pytest.approx(np.column_stack([X, 7e-8 * X]), rel=1e-12)
    assert drawn_as(axis, "exact") == pytest.approx(np.column_stack([X, 5e-8 * X**2]), rel=1e-12)
    assert drawn_as(axis, "paper") == pytest.approx(np.column_stack([X, 6.87e-8 * X]), rel=1e-12)
    band = axis.collections[0].get_paths()[0].vertices
    for x in X:
        ends = band[band[:, 0] == x, 1]
        assert [ends.min(), ends.max()] == pytest.approx([3e-8 * x, 11e-8 * x], rel=1e-12)
    (told,) = [
        text.get_text() for text in axis.get_legend().get_texts() if "m =" in text.get_text()
    ]
    assert told == r"paper's law, m = 6.87(0.12)$\times 10^{-8}$"


def test_the_report_draws_the_law_with_the_prefactor_it_measured():
    """A prefactor of 6.5, told in 1e-8, is drawn as 6.5e-8 x beside our means, the exact law and the compact stencil's own line."""
    found = Curves(x=X, samples=np.outer([6e-8, 8e-8], X), over="surfaces", provenance=None)
    m = Quantity.single("prefactor", 6.5, Provenance("made up"))
    small = np.outer([1e-8, 3e-8], [1.0, 2.0, 8.0])  # 1, 1 and 1.6 times 2e-8 x
    compact = Curves(x=X, samples=small, over="surfaces", provenance=None)
    results = {"law": LAW, "curvature": found, "compact": compact}
    measured = Measured(quantities={"prefactor": m}, results=results)
    axis = reproduction.curvature(measured)
    assert drawn_as(axis, "paper") == pytest.approx(np.column_stack([X, 6.5e-8 * X]), rel=1e-12)
    assert drawn_as(axis, "exact") == pytest.approx(np.column_stack([X, LAW.exact]), rel=1e-12)
    assert axis.containers[0].lines[0].get_xydata() == pytest.approx(
        np.column_stack([X, 7e-8 * X]), rel=1e-12
    )
    points, line = np.column_stack([X, small.mean(axis=0)]), np.column_stack([X, 2.4e-8 * X])
    assert drawn_as(axis, "compact stencil [") == pytest.approx(points, rel=1e-12)
    assert drawn_as(axis, "m x of the compact") == pytest.approx(line, rel=1e-12)


def test_bars_of_sharpness_and_bands_of_trials_are_their_intervals():
    """Sharpness has a skewed interval on its axis, 10^interval; the running mean its own band, both ends."""
    spread = np.array([-1.0, 0, 0, 2.0])
    edge = EdgeOfStability(
        sharpness=10.0 ** (np.array([0.5, 0.2])[:, None, None] + spread[:, None]),
        learning_rates=np.array([1.0, 2.0]),
        n_steps=9,
        kind="hessian",
        provenance=None,
    )
    axis = dynamics.sharpness_by_rate(edge)
    bars = np.array([one[:, 1] for one in axis.containers[0].lines[2][0].get_segments()])
    assert bars == pytest.approx(10**edge.interval.T, rel=1e-9)
    found = LyapunovExponents(
        exponents=(0.1 * np.arange(2)[:, None] + spread)[..., None] * np.ones(2),
        learning_rates=np.array([1.0, 2.0]),
        n_steps=9,
        burn_in=3,
        method="tangent",
        provenance=None,
    )
    axis, running = dynamics.lyapunov_by_trial(found, rate_index=1), found.running(1)
    band = axis.collections[0].get_paths()[0].vertices
    for trial in (2, 3, 4):
        ends = band[band[:, 0] == trial, 1]
        expected = [running.low[trial - 1], running.high[trial - 1]]
        assert [ends.min(), ends.max()] == pytest.approx(expected)


def test_a_langevin_path_its_potential_and_its_displacement_each_have_a_panel():
    """Positions by step, the potential across, and one line of positive lags for each waiting time, in its order."""
    found = tamsd(
        np.random.default_rng(0).normal(size=400).cumsum(),
        waiting_times=[0, 50],
        lag_times=[0, 1, 3, 9],
        window=200,
    )
    path = SimpleNamespace(positions=np.arange(5.0) ** 2, hurst=0.7, learning_rate=10.0, beta=3.0)
    x = np.linspace(-1, 1, 7)
    fit = diffusion_exponent([1, 3, 9], found.values[0, 1:], lag_range=(1, 9))
    walk, well, early, late = theory.langevin_path(
        path, (x, x**2), found, exponents=([fit], []), guides=([(0.6, (1, 9))], []), split=50
    )
    assert walk.lines[0].get_ydata() == pytest.approx(path.positions)
    assert well.lines[0].get_xydata() == pytest.approx(np.column_stack([x**2, x]))
    for panel, values in ((early, found.values[0]), (late, found.values[1])):
        assert panel.lines[0].get_xydata() == pytest.approx(
            np.column_stack([[1, 3, 9], values[1:]])
        )
    slopes = [np.diff(np.log(line.get_xydata()), axis=0)[0] for line in early.lines[1:]]
    assert [y / x for x, y in slopes] == pytest.approx([fit.exponent, 0.6])
    told = [text.get_text() for text in early.get_legend().get_texts()]
    assert told == ["fitted exponent", "exponent in the paper"]
    assert "units" in early.get_ylabel()


def test_a_learning_curve_begins_at_epoch_one():
    """The first point is epoch 1 with the first loss, the last the last; sharpness stands at its epochs below its edge."""
    run = SimpleNamespace(
        epochs=300,
        losses=np.column_stack([1 / np.arange(1.0, 301), 2 / np.arange(1.0, 301)]),
        sharpness_epochs=np.array([0, 150, 300]),
        sharpness=np.array([1.0, 3.0, 2.0]),
        parameters={"learning_rate": 0.5},
    )
    curves, edges = training.learning_and_sharpness({"a": run})
    for line, factor, kind in zip(curves.lines, (1, 2), ("training", "test"), strict=False):
        at = line.get_xdata()
        assert (at[0], at[-1]) == (1, 300)
        assert line.get_ydata() == pytest.approx(factor / at)
        assert line.get_label() == f"a, {kind}"
    assert edges.lines[0].get_xydata() == pytest.approx(
        np.column_stack([run.sharpness_epochs, run.sharpness])
    )
    assert any(np.allclose(line.get_ydata(), 4) for line in edges.lines[1:])


@pytest.mark.parametrize(
    ("box", "frame"),
    [
        ((100, 140, 200, 220), (90, 150, 180, 240)),  # half the longer side, 20, and a margin of 10
        ((0, 20, 5, 25), (0, 30, 0, 35)),  # cut at the walls of the grid
        ((280, 299, 380, 399), (270, 299, 370, 399)),
    ],
)
def test_a_frame_is_a_square_round_its_box_within_the_grid(box, frame):
    """Of a grid of 400 rows and 300 columns."""
    assert surface._frame(box, (400, 300)) == frame


def test_single_results_have_a_picture():
    """A landscape of unequal sides, a walk, its displacement, tracks within walls and a spectrum, each on axes of its own."""
    ground = fbm_surface((24, 40), 0.5, rng=0)
    image = figures.landscape_map(ground).images[0]
    np.testing.assert_array_equal(image.get_array(), ground.values)
    assert list(image.get_extent()) == [-0.5, 39.5, -0.5, 23.5]
    walk, published = (
        descend(ground, (30.0, 9.0), learning_rate=30.0, n_steps=60, unfold=how)
        for how in ("exact", "published")
    )
    track, loss = figures.walk_track(walk)
    np.testing.assert_array_equal(track.lines[0].get_xydata(), walk.unfolded)
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), walk.losses)
    ax = displacement.unfolded_tracks(walk, published, walls=(39, 23))
    assert ax.lines[-1].get_xydata().tolist() == [[0, 0], [39, 0], [39, 23], [0, 23], [0, 0]]
    walks = np.random.default_rng(0).normal(size=(3, 900, 2)).cumsum(axis=1)
    found = tamsd(walks, waiting_times=[0, 400], lag_times=[1, 2, 5, 30], window=300)
    ax = displacement.displacement_curves(found)
    for line, curve in zip(ax.lines, found.values, strict=False):
        np.testing.assert_allclose(line.get_ydata(), curve)
    one = multifractal_spectrum(fbm_surface(128, 0.5, rng=0), scales=(2, 3))
    one = dataclasses.replace(one, h_interval=np.stack([one.h - 0.1, one.h + 0.2]))
    bars = spectra.spectrum_with_intervals(one).containers[0].lines[2][0]
    across = np.array([segment[:, 0] for segment in bars.get_segments()])
    assert across == pytest.approx(np.stack([one.h - 0.1, one.h + 0.2], axis=1))


def test_three_sections_have_two_rows_and_their_titles():
    """Two panels a row; above each relief stands the share of it that lies above the cut, one in 25 or none of 25 points."""
    found = multifractal_spectrum(fbm_surface(128, 0.5, rng=0), scales=(2, 3))
    axes = spectra.section_spectra(dict.fromkeys("abc", found))
    assert axes[0].figure.get_size_inches()[1] == 7
    assert {ax.get_subplotspec().get_gridspec().get_geometry() for ax in axes} == {(2, 2)}
    high = np.ones((5, 5))
    high[0, 0] = 11.5
    axes = spectra.sections_in_relief({"one": high, "other": np.ones((5, 5)), "third": high})
    told = [ax.get_title().split("\n")[1] for ax in axes]
    assert told == ["4% lies above the cut", "0% lies above the cut", "4% lies above the cut"]
    assert axes[0].figure.get_size_inches()[1] == pytest.approx(7.8)


def test_the_papers_exponents_lie_beside_ours():
    """Bars reach to the ends of the interval of ours, of moving cells only, and to the lowest and highest trial of the paper's."""
    diagram = SimpleNamespace(
        hursts=np.array([0.2, 0.5, 0.8]),
        learning_rates=np.array([900.0, 1e5]),
        regions=np.array([[0, 1], [1, 1], [2, 1]]),
        exponents=np.array([[9.0, 1.0], [0.8, 1.0], [0.3, 0.9]]),
        low=np.array([[9.0, 0.9], [0.7, 0.9], [0.25, np.nan]]),
        high=np.array([[9.0, 1.2], [1.0, 1.1], [0.45, np.nan]]),
        lag_times=np.array([1, 3, 10]),
        curves=np.empty((3, 7, 1)),
    )
    paper = Curves(
        x=np.array([0.3, 0.6]),
        samples=np.array([[1.0, 0.5], [0.7, 0.6], [0.9, 1.0]]),
        over="trials",
        provenance=None,
    )
    ax = theory.alpha_slice(
        diagram, ([0.1, 0.9], [1.0, 0.2]), learning_rates=(1000.0, 1e5), published=paper
    )
    slow, fast, theirs = ax.containers
    assert [one.get_label() for one in ax.containers][::2] == [
        "ours, rate 900",
        "paper (mean, range)",
    ]
    for drawn, expected in (
        (slow, [[[0.5, 0.7], [0.5, 1.0]], [[0.8, 0.25], [0.8, 0.45]]]),
        (fast, [[[0.2, 0.9], [0.2, 1.2]], [[0.5, 0.9], [0.5, 1.1]], [[0.8, 0.9], [0.8, 0.9]]]),
        (theirs, [[[0.3, 0.7], [0.3, 1.0]], [[0.6, 0.5], [0.6, 1.0]]]),
    ):
        np.testing.assert_allclose(drawn.lines[2][0].get_segments(), expected)
    np.testing.assert_allclose(theirs.lines[0].get_ydata(), [2.6 / 3, 0.7])


def test_the_section_study_draws_its_rows(study):
    """The middle line of each mode, second exponents with their bars, shares with theirs, spectra and what they are worth."""
    axes = figures.section_study(study).ravel()
    for line, (name, _) in zip(axes[0].lines, _MODES.items(), strict=True):
        values, half = study.landscape(name).values, study.row(name).settings["half_width"]
        assert line.get_xdata()[[0, -1]].tolist() == [-half, half]
        seen = np.isfinite(line.get_ydata())
        np.testing.assert_array_equal(line.get_ydata()[seen], values[len(values) // 2][seen])
    for drawn in axes[2].containers:
        ends = np.array([segment[:, 1] for segment in drawn.lines[2][0].get_segments()])
        rows = [study.row(name).second_exponents for name in study.names]
        assert any(
            found.value.shape == (len(ends),) and np.allclose(ends, found.interval.T)
            for found in rows
        )
    for drawn, row in zip(axes[4].lines, _MODES, strict=False):
        np.testing.assert_array_equal(drawn.get_ydata(), study.row(row).paper_D)
    for drawn, check in zip(axes[5].containers, study.checks, strict=True):
        np.testing.assert_allclose(drawn.lines[0].get_ydata() - check.hurst, check.bias[:, 0])


@pytest.fixture(scope="module")
def study():
    """The committed study of sections."""
    root = Path(__file__).resolve().parents[3]
    return SectionStudy.load(root / "experiments" / "results" / "section_study.npz")


def test_the_square_of_the_lowest_minima_holds_them_where_they_lie_in_a_row():
    """Points along a column of 300 pixels and 10 across: a square of their longer side and 40 pixels, with them in its middle."""
    places = np.random.default_rng(0).uniform((200, 400), (210, 700), size=(400, 2))
    lowest = SimpleNamespace(positions=places, flatness=np.linspace(1, 9, 400))
    ax = reproduction.minima(Measured(quantities={}, results={"lowest": lowest}))
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert right - left == pytest.approx(top - bottom)
    assert right - left == pytest.approx(340, abs=10)  # nearly all of 300
    assert (left + right) / 2 == pytest.approx(205, abs=3)
    inside = (places > [left, bottom]) & (places < [right, top])
    assert inside.all()
