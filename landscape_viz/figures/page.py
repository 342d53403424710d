"""An interactive page of a section: one self-contained HTML file that needs no network."""

import html
import json
from importlib.resources import files as resources

import numpy as np

from landscape_viz.figures.sections import quantity
from multifractal.base import files
from multifractal.base.checks import require
from multifractal.base.extras import needed
from multifractal.figures import html_report
from multifractal.figures._style import PUBLISHED

_COLOURS = "Cividis"


def write_page(section, path, *, metric="loss", clip=None, run=None, overwrite=False):
    """Write a two-dimensional section as a surface that can be turned, with plotly inside the file, and return the path.

    A walker that the reader drops on the surface descends it at a chosen learning rate, by the gradient of the bilinear
    interpolation between the points, with reflecting walls.

    Parameters
    ----------
    section : Section
        Two-dimensional; points that are NaN or inf are holes.
    path : path-like
        The `.html` file to write.
    metric : str
        What the height is; the colour shows the same, and the pointer all metrics.
    clip : float, optional
        Values more than this above the minimum are drawn there (paper: 10); the pointer still shows them as they are.
    run : Trajectory, optional
        Drawn over the surface at the losses of the plane; the pointer shows the true losses and the residuals.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ValueError
        When the section is not two-dimensional, or the run lies along other directions.
    FileExistsError
        When `path` exists and `overwrite` is False.
    """
    require(
        len(section.axes) == 2,
        "section",
        section.grid.shape[1:],
        "be two-dimensional",
        "take a slice",
    )
    go = needed("plotly.graph_objects")
    files.refuse_existing(path, overwrite)
    figure = go.Figure(_surface(go, section, metric, clip))
    if run is not None:
        figure.update_traces(opacity=0.85)
        figure.add_trace(_run(go, section, run))
    if _trained(section) is not None:
        figure.add_trace(_trained_point(go, section, metric, clip))
    figure.update_layout(
        template="plotly_white",
        autosize=True,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        legend={"x": 0.01, "y": 0.99},
        scene={
            "xaxis_title": section.labels[0],
            "yaxis_title": section.labels[1],
            "zaxis_title": quantity(section, metric),
            "camera": {
                "eye": {"x": 1.8, "y": -1.8, "z": 1.1},
                "center": {"x": 0, "y": 0, "z": -0.2},
            },
            "aspectmode": "cube",
        },
    )
    drawing = figure.to_html(
        include_plotlyjs=True,
        full_html=False,
        div_id="section",
        default_height="100%",
        config={"responsive": True, "displaylogo": False},
    )
    scripts = "".join(
        f"<script>{resources(__package__).joinpath(name).read_text()}</script>"
        for name in ("walker.js", "switches.js")
    )
    body = (
        f"<h1>{_words(section)}</h1><p>{_details(section, clip)}</p>{_bar(section, metric, clip)}"
        f'<div class="drawing">{drawing}</div>{scripts}'
    )
    return html_report.write_page(path, _words(section), body, window=True, overwrite=overwrite)


def _bar(section, metric, clip):
    """Return the controls of the walker and of the drawing, and the grid that both stand on."""
    grid = {
        "x": section.x.tolist(),
        "y": section.y.tolist(),
        "z": _rows(_finite(section, metric)),
        "name": metric,
        "metrics": {name: quantity(section, name) for name in section.metrics},
        "heights": {
            name: _rows(_height(section, name, clip if name == metric else None))
            for name in section.metrics
        },
    }
    text = json.dumps(grid).replace("<", "\\u003c")
    options = "".join(
        f"<option{' selected' if name == metric else ''}>{html.escape(name)}</option>"
        for name in section.metrics
    )
    choice = f'<label>height <select id="metric">{options}</select></label>'
    return (
        f'<div class="bar">{choice if len(section.metrics) > 1 else ""}'
        '<button id="log" aria-pressed="false">logarithmic</button>'
        '<button id="contour" aria-pressed="false">contours from above</button>'
        '<button id="drop">drop a walker</button> or click the surface; '
        f'<label>learning rate <input id="rate" type="number" step="any" min="0" size="8" '
        f'value="{_rate(section, metric):.3g}"></label>'
        '<button id="stop">stop</button><span id="said"></span></div>'
        f'<script type="application/json" id="grid">{text}</script>'
    )


def _finite(section, metric):
    return np.where(np.isfinite(section.values[metric]), section.values[metric], np.nan)


def _height(section, metric, clip):
    """Return what is drawn of a metric: cut above its minimum, holes as NaN."""
    values = _finite(section, metric)
    return values if clip is None else np.minimum(values, np.nanmin(values) + clip)


def _rows(grid):
    """Return a grid as rows of y, holes as None."""
    return [[None if np.isnan(z) else z for z in row] for row in grid.T.tolist()]


def _rate(section, metric):
    """Return the learning rate at which a step at the mean slope is a hundredth of the width."""
    slope = section.mean_slope(metric)
    return float(np.ptp(section.x) / 100 / slope) if slope > 0 else 1.0


def _surface(go, section, metric, clip):
    height = _height(section, metric, clip)
    shown = np.stack([section.values[name].T for name in section.metrics], axis=-1)
    pointer = "<br>".join(
        [f"{section.labels[0]}: %{{x:.4g}}", f"{section.labels[1]}: %{{y:.4g}}"]
        + [f"{name}: %{{customdata[{k}]:.5g}}" for k, name in enumerate(section.metrics)]
    )
    return go.Surface(
        x=section.x,
        y=section.y,
        z=height.T,
        customdata=shown,
        colorscale=_COLOURS,
        colorbar={
            "title": {"text": quantity(section, metric)},
            "orientation": "h",
            "y": -0.02,
            "yanchor": "top",
            "thickness": 12,
        },
        connectgaps=False,
        hovertemplate=pointer + "<extra></extra>",
    )


def _run(go, section, run):
    require(
        run.directions_hash == section.directions_hash,
        "run",
        run.directions_hash,
        "lie along the directions of the section",
        "project it on those",
    )
    return go.Scatter3d(
        x=run.coordinates[:, 0],
        y=run.coordinates[:, 1],
        z=run.plane_loss,
        mode="lines+markers",
        marker={"size": 3, "color": PUBLISHED},
        line={"color": PUBLISHED, "width": 4},
        name="the optimiser's path",
        customdata=np.stack([run.true_loss, run.residuals], axis=-1),
        hovertemplate="true loss %{customdata[0]:.5g}<br>residual %{customdata[1]:.3f}<extra></extra>",
    )


def _trained(section):
    """Return the index (i, j) of the trained point; None where it is no point of the grid."""
    at = [np.flatnonzero(axis == 0) for axis in section.axes]
    return tuple(int(found[0]) for found in at) if all(map(len, at)) else None


def _trained_point(go, section, metric, clip):
    return go.Scatter3d(
        x=[0],
        y=[0],
        z=[_height(section, metric, clip)[_trained(section)]],
        mode="markers",
        marker={"size": 6, "symbol": "diamond", "color": "white", "line": {"width": 3}},
        name="trained point",
        hovertemplate="the trained weights<extra></extra>",
    )


def _words(section):
    return "The loss round a trained network, on a plane through its weights"


def _details(section, clip):
    """Return what the section is of: network, points, modes, holes and cut."""
    points = " × ".join(str(len(axis)) for axis in section.axes)
    modes = f"BatchNorm {section.problem['batch_norm']}, dropout {section.problem['dropout']}"
    live = "; each point draws a new mask" if section.live_dropout else ""
    holes = f"; {section.n_not_finite} points NaN or inf" if section.n_not_finite else ""
    cut = "" if clip is None else f"; cut at minimum + {clip:g}"
    return html.escape(f"{section.problem['factory']}: {points} points; {modes}{live}{holes}{cut}")
