"""What a figure shows, in words and numbers that can be compared with an approved form."""

import contextlib
import warnings
from unittest import mock

import numpy as np
from matplotlib import collections, image, text
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

# Where the frame of an inset and its connectors lie: before matplotlib 3.10 they are listed as patches, since then they are not.
_OF_INSETS = 4.99


@contextlib.contextmanager
def figures_made():
    """Yield a list of all figures that are made within the block."""
    made, begin = [], Figure.__init__

    def note(figure, *arguments, **options):
        begin(figure, *arguments, **options)
        made.append(figure)

    with mock.patch.object(Figure, "__init__", note):
        yield made


def forms_of(figures):
    """Return the descriptions of all figures that show something, one after the other."""
    return [part for figure in figures if figure.axes for part in described(figure)]


def described(figure):
    """Return one dict for the figure and each of its axes: labels, scales, limits, legend, and every artist with its data."""
    parts = [{"inches": figure.get_size_inches().tolist(), "words": _words(figure.texts)}]
    for ax in figure.axes:
        parts.append(_axes(ax))
    return parts


def _axes(ax):
    found = {"title": ax.get_title(), "legend": _legend(ax.get_legend()), "words": _words(ax.texts)}
    for name in "xyz" if hasattr(ax, "zaxis") else "xy":
        axis = getattr(ax, f"{name}axis")
        found[name] = [getattr(ax, f"get_{name}label")(), axis.get_scale()]
        found[f"{name} limits"] = np.asarray(getattr(ax, f"get_{name}lim")(), dtype=float).tolist()
        found[f"{name} ticks"] = _fixed(axis)
    found["lines"] = [_line(line) for line in ax.lines]
    found["filled"] = [_collection(c) for c in ax.collections]
    found["images"] = [
        [digest(i.get_array()), list(i.get_extent()), list(i.get_clim())]
        for i in ax.images
        if isinstance(i, image.AxesImage)
    ]
    patches = [p for p in ax.patches if p.zorder != _OF_INSETS]
    found["patches"] = [[p.get_label(), digest(p.get_path().vertices)] for p in patches]
    return {key: value for key, value in found.items() if value}


def _fixed(axis):
    """Return the ticks that the figure asked for; where the locator chooses, none."""
    locator = axis.get_major_locator()
    if type(locator).__name__ != "FixedLocator":
        return []
    named = type(axis.get_major_formatter()).__name__ in ("FixedFormatter", "FuncFormatter")
    labels = [t.get_text() for t in axis.get_majorticklabels()] if named else []
    return [np.asarray(locator.locs, dtype=float).tolist(), labels]


def _line(line):
    kind = [_label(line), to_hex(line.get_color()), line.get_linestyle(), str(line.get_marker())]
    return [kind, digest(line.get_xdata()), digest(line.get_ydata())]


def _collection(found):
    if isinstance(found, collections.PathCollection):
        return ["points", _label(found), digest(found.get_offsets()), digest(found.get_array())]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = [path.vertices for path in found.get_paths()]
    kind = "segments" if isinstance(found, collections.LineCollection) else "areas"
    corners = np.concatenate(paths) if paths else []
    return [kind, _label(found), digest(corners), digest(found.get_array())]


def _label(artist):
    label = str(artist.get_label())
    return "" if label.startswith("_") else label


def _legend(legend):
    return [t.get_text() for t in (legend.get_title(), *legend.get_texts())] if legend else []


def _words(texts):
    return [t.get_text() for t in texts if isinstance(t, text.Text) and t.get_text()]


def digest(values):
    """Return count, unknown count, least, largest, mean and a sum weighted by place of an array of numbers."""
    if values is None:
        return []
    try:
        values = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan).ravel()
    except (TypeError, ValueError):  # categories, dates
        return [str(v) for v in values]
    known = values[np.isfinite(values)]
    if not len(known):
        return [len(values), len(values)]
    weighted = float(known @ np.cos(np.arange(len(known))))
    numbers = [known.min(), known.max(), known.mean(), weighted / len(known)]
    return [len(values), len(values) - len(known), *(float(f"{n:.6g}") for n in numbers)]
