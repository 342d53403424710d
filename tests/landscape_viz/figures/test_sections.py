"""Figures show the numbers they are given; the interactive page opens in a real browser without a network."""

import dataclasses
import json
import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from plotly import graph_objects

from landscape_viz import Problem, directions, figures, section, trajectory
from landscape_viz.figures import page
from tests.helpers.browser import browse, seen_in_a_browser
from tests.helpers.small_networks import SmallConv, images
from tests.landscape_viz.test_directions import run_of


@pytest.fixture(scope="module")
def problem():
    """A small convolutional problem."""
    return Problem(SmallConv, None, "cross_entropy", images())


@pytest.fixture(scope="module")
def run(problem):
    """A run, its plane's section and its trajectory."""
    states = run_of(problem, 6)
    plane = directions.pca(problem, states)
    return section(problem, plane, ["-2:6:9", "-3:3:7"]), trajectory.project(problem, states, plane)


@pytest.fixture(scope="module")
def holed(run):
    """The same section with three holes."""
    result, _ = run
    grid = result.grid.copy()
    grid[:, [2, 2, 3], [1, 2, 2]] = np.nan
    return dataclasses.replace(
        result, grid=grid, status=np.where(np.isfinite(grid[0]), 1, 2).astype(np.int8)
    )


@pytest.fixture(autouse=True)
def _closed():
    """Close what a test has drawn, and see that the global settings were left alone."""
    before = dict(mpl.rcParams)
    yield
    plt.close("all")
    assert dict(mpl.rcParams) == before


def drawn(axes):
    """Draw the figure of `axes` and return all its texts."""
    figure = np.ravel(axes)[0].figure
    figure.canvas.draw()
    return " | ".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def test_contours_have_x_along_x(run):
    """The image spans x horizontally and y vertically, with the directions as labels and the modes in the title."""
    ax = figures.contour(run[0])
    words = drawn(ax)
    assert ax.get_xlim() == (-2, 6)
    assert ax.get_ylim() == (-3, 3)
    assert ax.get_xlabel().startswith("weights along PC 1")
    assert "9 × 7 points, BatchNorm eval, dropout off" in words
    assert "loss (nats)" in words


def test_contours_follow_the_values():
    """For a section that rises along x alone, the contour lines are vertical."""
    result = rising_along_x()
    ax = figures.contour(result)
    lines = ax.collections[1].get_paths()
    ends = np.concatenate([path.vertices for path in lines if len(path.vertices)])
    assert set(np.round(ends[:, 1], 6)) >= {0.0, 3.0}
    for path in lines:
        assert np.ptp(path.vertices[:, 0]) < 1e-9 if len(path.vertices) else True


def rising_along_x():
    """A section whose loss is x, on a 5 x 4 grid."""
    problem = Problem(SmallConv, None, "cross_entropy", images())
    flat = section(
        problem, directions.random(problem), [np.arange(5.0), np.arange(4.0)], metrics=("loss",)
    )
    return dataclasses.replace(
        flat, grid=np.broadcast_to(np.arange(5.0)[:, None], (1, 5, 4)).copy()
    )


def test_holes_are_shown_and_counted(holed):
    """Points that are NaN are marked where they are, and their number is said."""
    ax = figures.contour(holed)
    marks = next(line for line in ax.get_lines() if line.get_marker() == "x")
    assert sorted(zip(*marks.get_data(), strict=True)) == [(0, -2), (0, -1), (1, -1)]
    assert "3 points NaN or inf" in drawn(ax)


def test_clipping_is_said_and_changes_no_contour_below(run):
    """With `clip` the colours end at the minimum plus clip, marked by an arrow."""
    result, low = run[0], run[0].values["loss"].min()
    clip = np.ptp(run[0].values["loss"]) / 2
    ax = figures.contour(result, clip=clip)
    filled = ax.collections[0]
    assert filled.extend == "max"
    assert low + clip <= filled.levels[-1] < low + 1.1 * clip
    assert figures.contour(result, clip=1e9).collections[0].extend == "neither"
    assert "cut at" in drawn(figures.surface(result, clip=clip))


def test_lines_show_loss_and_accuracy(problem):
    """A 1-D section has two axes, each with its own curve."""
    line = section(problem, directions.random(problem, 1), ["-1:1:9"])
    loss, accuracy = figures.line(line)
    assert np.array_equal(loss.get_lines()[0].get_ydata(), line.values["loss"])
    assert np.array_equal(accuracy.get_lines()[0].get_ydata(), line.values["accuracy"])
    assert {"loss (nats)", "accuracy"} <= set(drawn(loss).split(" | "))
    only = dataclasses.replace(line, metrics=["loss"], grid=line.grid[:1])
    assert figures.line(only).get_lines()[0].get_ydata().shape == (9,)


def test_trajectories_show_path_true_loss_and_residual(run):
    """The path lies over the contours, and the true loss and the residual are drawn below."""
    result, path = run
    plane, below = figures.trajectory(path, result)
    assert any(
        np.array_equal(np.column_stack(line.get_data()), path.coordinates)
        for line in plane.get_lines()
    )
    assert np.array_equal(below.get_lines()[0].get_ydata(), path.true_loss)
    assert "residual" in drawn(plane)
    other = dataclasses.replace(path, directions_hash="other")
    with pytest.raises(ValueError, match="directions_hash"):
        figures.trajectory(other, result)


def test_live_dropout_is_marked(run):
    """The title of a section under live dropout says that each point drew a new mask."""
    live = dataclasses.replace(run[0], problem=run[0].problem | {"dropout": "live"})
    assert "each point draws a new mask" in drawn(figures.contour(live))


def test_the_page_opens_in_a_browser_without_a_network(run, holed, tmp_path):
    """A headless Chromium that can resolve no host draws surface, run and title, and the picture has their colours."""
    path = tmp_path / "page.html"
    script = (
        "<script>window.addEventListener('load', () => setTimeout(() => {"
        "document.body.dataset.kinds = document.getElementById('section').data.map(d => d.type).join();"
        "document.body.dataset.drawn = document.querySelectorAll('#section .gl-container canvas').length}, 500))"
        "</script>"
    )
    page.write_page(holed, path, run=run[1])
    path.write_text(path.read_text().replace("</body>", f"{script}</body>"))
    dom = browse(
        tmp_path,
        "--enable-unsafe-swiftshader",
        "--virtual-time-budget=8000",
        "--window-size=900,700",
        f"--screenshot={tmp_path / 'page.png'}",
        "--dump-dom",
        path.as_uri(),
    ).stdout
    assert 'data-kinds="surface,scatter3d,scatter3d"' in dom
    assert re.search(r'data-drawn="[1-9]', dom)
    assert "3 points NaN or inf" in dom
    colours = (plt.imread(tmp_path / "page.png")[..., :3] * 7).astype(int).reshape(-1, 3)
    yellow = (colours[:, 0] > 4) & (colours[:, 1] > 4) & (colours[:, 2] < 4)
    dark_blue = (colours[:, 0] < 2) & (colours[:, 1] < 3) & (colours[:, 2] > 1)
    assert min(yellow.sum(), dark_blue.sum()) > 500


def test_the_page_holds_everything_and_is_not_overwritten(run, tmp_path):
    """No script or style is fetched from elsewhere; an existing page is kept unless asked."""
    path = tmp_path / "page.html"
    page.write_page(run[0], path, clip=0.5)
    text = path.read_text()
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=(?!\"data:)", text)
    assert "cut at minimum + 0.5" in text
    with pytest.raises(FileExistsError, match="overwrite=True"):
        page.write_page(run[0], path)


def test_a_surface_has_a_face_between_any_four_points(run):
    """Of 9 by 7 points there are 48, none left out for speed."""
    ax = figures.surface(run[0])
    drawn(ax)
    assert len(ax.collections[0].get_facecolor()) == 48


def test_the_surface_of_the_page_has_its_holes_and_its_cut(holed):
    """Rows run along y, no gap is bridged, nothing lies above the cut, and the pointer tells the values uncut."""
    values = holed.values["loss"]
    plain, cut = (page._surface(graph_objects, holed, "loss", clip) for clip in (None, 0.5))
    assert plain.connectgaps is False
    np.testing.assert_array_equal(plain.x, holed.x)
    np.testing.assert_array_equal(plain.y, holed.y)
    np.testing.assert_array_equal(plain.z, values.T)
    assert np.isnan(plain.z).sum() == 3
    np.testing.assert_array_equal(cut.z, np.minimum(values, np.nanmin(values) + 0.5).T)
    np.testing.assert_array_equal(cut.customdata[..., 0], holed.values[holed.metrics[0]].T)


def test_pages_of_other_sections_are_refused(problem, run, tmp_path):
    """A line has no page, and a run along other directions is refused."""
    with pytest.raises(ValueError, match="two-dimensional"):
        page.write_page(
            section(problem, directions.random(problem, 1), ["-1:1:3"]), tmp_path / "page.html"
        )
    plane = section(problem, directions.random(problem, 2), ["-1:1:3", "-1:1:3"])
    with pytest.raises(ValueError, match="along the directions of the section"):
        page.write_page(plane, tmp_path / "page.html", run=run[1])


def seen(path, folder, script, width=1280, height=900):
    """Return the DOM of a page, and its picture's path, after `script` has run in a headless Chromium without a network."""
    probe = f"<script>window.addEventListener('load', () => setTimeout(() => {{{script}}}, 500))</script>"
    text = path.read_text()
    at = text.rindex("</body>")
    (folder / "probed.html").write_text(text[:at] + probe + text[at:])
    picture = folder / f"page_{width}.png"
    options = [f"--window-size={width},{height}"]
    options += ["--enable-unsafe-swiftshader", "--virtual-time-budget=8000"]
    options += [f"--screenshot={picture}", "--dump-dom", (folder / "probed.html").as_uri()]
    ran = browse(folder, *options)
    return ran.stdout, picture


def descended(section, start, rate, n_steps):
    """Return the path of gradient descent on the bilinear interpolation between reflecting walls: the page's slow twin."""
    from scipy.interpolate import RegularGridInterpolator

    axes = section.axes
    height = RegularGridInterpolator(axes, section.values["loss"])
    path, tiny = [np.array(start)], 1e-6
    for _ in range(n_steps):
        here = path[-1]
        slope = [(height(here + e) - height(here - e))[0] / (2 * tiny) for e in tiny * np.eye(2)]
        there = here - rate * np.array(slope)
        for k, axis in enumerate(axes):
            width = np.ptp(axis)
            m = (there[k] - axis[0]) % (2 * width)
            there[k] = axis[0] + min(m, 2 * width - m)
        path.append(there)
    return np.column_stack([path, height(path)])


def test_a_walker_descends_on_the_page(run, tmp_path):
    """Twenty steps of the walker are those of descent on scipy's bilinear interpolation, walls included."""
    path, (result, _) = tmp_path / "page.html", run
    page.write_page(result, path)
    start, rate = (1.03, -0.61), 0.9
    script = (
        f"document.getElementById('rate').value = {rate};"
        f"walker.drop({start[0]}, {start[1]}); walker.step(20);"
        "document.body.dataset.path = JSON.stringify(walker.path());"
        "document.body.dataset.said = document.getElementById('said').textContent;"
        "document.body.dataset.traces = document.getElementById('section').data.length"
    )
    dom, _ = seen(path, tmp_path, script)
    walked = np.array(json.loads(re.search(r'data-path="([^"]*)"', dom)[1]))
    assert walked.shape == (21, 3)
    assert np.allclose(walked, descended(result, start, rate, 20), atol=1e-5)
    assert re.search(r'data-said="step 20, loss', dom)
    assert 'data-traces="3"' in dom  # the surface, the trained point and the walker


def test_a_walker_stops_at_a_hole(holed, tmp_path):
    """Dropped beside missing points it says so instead of walking on, and dropped into them it does not start."""
    path = tmp_path / "page.html"
    page.write_page(holed, path)
    x, y = holed.x[2], holed.y[1]
    script = (
        f"walker.drop({x}, {y}); document.body.dataset.none = walker.path().length;"
        "document.body.dataset.kinds = document.getElementById('section').data.length"
    )
    dom, _ = seen(path, tmp_path, script)
    assert 'data-none="0"' in dom
    assert 'data-kinds="2"' in dom


# What plotly does with an update, without drawing: each trace takes its own value of every attribute.
STUB = """<script>const plot = document.getElementById('section'), walker = {{stop() {{ document.body.dataset.stopped = 1; }}}};
plot.data = [{{name: null}}, {{name: 'trained point'}}]; plot.layout = {{}};
const Plotly = {{ relayout: (p, l) => Object.assign(p.layout, l), update(p, d, l, traces) {{
  for (const k in d) traces.forEach((t, n) => {{ p.data[t][k] = d[k][n]; }}); Object.assign(p.layout, l); }} }};</script>
<script>{}</script><script>
const told = document.body.dataset, press = (name) => document.getElementById(name).click();
press('log'); told.axis = plot.layout['scene.zaxis.type']; told.colour = plot.data[0].surfacecolor[1][2];
press('contour'); told.view = plot.layout['scene.camera.projection.type'];
const choice = document.getElementById('metric'); choice.value = 'accuracy'; choice.onchange();
told.height = plot.data[0].z[1][2]; told.title = plot.layout['scene.zaxis.title.text'];
told.place = plot.data[1].z[0]; told.waits = document.getElementById('drop').disabled;</script>"""


def test_the_switches_of_the_page_redraw_it(run, tmp_path):
    """Accuracy and logarithm change the height and its label, contours the view; the walker waits while accuracy is shown."""
    result, _ = run
    script = Path(page.__file__).with_name("switches.js").read_text()
    bar = page._bar(result, "loss", None)
    stub = f'<!doctype html><body><div id="section"></div>{bar}{STUB.format(script)}</body>'
    (tmp_path / "stub.html").write_text(stub)
    dom = browse(tmp_path, "--dump-dom", (tmp_path / "stub.html").as_uri()).stdout
    told = dict(re.findall(r'data-(\w+)="([^"]*)"', re.search(r"<body[^>]*>", dom)[0]))
    loss, accuracy = result.values["loss"], result.values["accuracy"]
    assert (told["axis"], told["view"], told["title"]) == ("log", "orthographic", "accuracy")
    assert float(told["colour"]) == pytest.approx(np.log10(loss[2, 1]))
    assert float(told["height"]) == pytest.approx(accuracy[2, 1])
    i, j = (int(np.flatnonzero(axis == 0)[0]) for axis in result.axes)
    assert float(told["place"]) == pytest.approx(accuracy[i, j])
    assert (told["waits"], told["stopped"]) == ("true", "1")


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_fits_its_window(run, tmp_path, width):
    """In a frame of 400 and of 1280 pixels nothing reaches beyond it, and no text is smaller than 11 pixels."""
    path = tmp_path / "page.html"
    page.write_page(run[0], path)
    found, log = seen_in_a_browser(path, tmp_path, width)
    assert found["width"] == width
    assert found["page"] <= width
    assert found["beyond"] == 0
    assert found["small"] >= 11
