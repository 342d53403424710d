"""An interactive page of a section: one self-contained HTML file that needs no network."""

import html
import json
from importlib.resources import files as resources

import numpy as np

from multifractal.base import files
from multifractal.base.checks import require
from multifractal.base.extras import needed

go = needed("plotly.graph_objects")

_COLOURS = "Cividis"
_HEAD = """<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body { margin: 0; font: 15px sans-serif; } #walk { padding: 8px; display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: center; }
#walk input { width: 6em; font: inherit; } #walk button { font: inherit; } #said { min-width: 12em; }
</style>"""


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
    files.refuse_existing(path, overwrite)
    figure = go.Figure(_surface(section, metric, clip))
    if run is not None:
        figure.update_traces(opacity=0.85)
        figure.add_trace(_run(section, run))
    figure.update_layout(
        title={"text": _title(section, clip), "font": {"size": 16}, "x": 0.02, "xanchor": "left"},
        template="plotly_white",
        autosize=True,
        margin={"l": 0, "r": 0, "t": 90, "b": 0},
        scene={
            "xaxis_title": section.labels[0],
            "yaxis_title": section.labels[1],
            "zaxis_title": metric,
            "camera": {
                "eye": {"x": 1.8, "y": -1.8, "z": 1.1},
                "center": {"x": 0, "y": 0, "z": -0.2},
            },  # far enough for a narrow window
            "aspectmode": "cube",
        },
    )
    page = figure.to_html(
        include_plotlyjs=True,
        full_html=True,
        div_id="section",
        default_height="calc(100vh - 90px)",
        config={"responsive": True},
    )
    head = f"{_HEAD}<title>{html.escape(_words(section))}</title>"
    page = page.replace("<head>", f"<head>{head}", 1)
    page = page.replace("<body>", f"<body>{_bar(section, metric)}", 1)
    script = resources(__package__).joinpath("walker.js").read_text()
    page = page[::-1].replace("</body>"[::-1], f"<script>{script}</script></body>"[::-1], 1)[::-1]
    with files.atomic_write(path, overwrite=overwrite) as file:
        file.write(page.encode())
    return path


def _bar(section, metric):
    """Return the controls of the walker, and the grid that it walks on."""
    grid = np.where(np.isfinite(section.values[metric]), section.values[metric], np.nan)
    rows = [[None if np.isnan(z) else z for z in row] for row in grid.T.tolist()]
    kept = {"x": section.x.tolist(), "y": section.y.tolist(), "z": rows, "name": metric}
    text = json.dumps(kept).replace("<", "\\u003c")
    return (
        '<div id="walk"><button id="drop">drop a walker</button> or click the surface; '
        f'<label>learning rate <input id="rate" type="number" step="any" min="0" value="{_rate(section, metric):.3g}"></label>'
        '<button id="stop">stop</button><span id="said"></span></div>'
        f'<script type="application/json" id="grid">{text}</script>'
    )


def _rate(section, metric):
    """Return the learning rate at which a step at the mean slope is a hundredth of the width."""
    slope = section.mean_slope(metric)
    return float(np.ptp(section.x) / 100 / slope) if slope > 0 else 1.0


def _surface(section, metric, clip):
    values = np.where(np.isfinite(section.values[metric]), section.values[metric], np.nan)
    height = values if clip is None else np.minimum(values, np.nanmin(values) + clip)
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
            "title": metric,
            "orientation": "h",
            "y": -0.02,
            "yanchor": "top",
            "thickness": 12,
        },
        connectgaps=False,
        hovertemplate=pointer + "<extra></extra>",
    )


def _run(section, run):
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
        marker={"size": 3, "color": "#D55E00"},
        line={"color": "#D55E00", "width": 4},
        name="training run",
        customdata=np.stack([run.true_loss, run.residuals], axis=-1),
        hovertemplate="true loss %{customdata[0]:.5g}<br>residual %{customdata[1]:.3f}<extra></extra>",
    )


def _words(section):
    return f"Section of {section.problem['factory']}"


def _title(section, clip):
    modes = f"BatchNorm {section.problem['batch_norm']}, dropout {section.problem['dropout']}"
    live = "; each point draws a new mask" if section.live_dropout else ""
    holes = f"; {section.n_not_finite} points NaN or inf" if section.n_not_finite else ""
    cut = "" if clip is None else f"; cut at minimum + {clip:g}"
    return f"{html.escape(_words(section))}<br><sub>{modes}{live}{holes}{cut}</sub>"
