"""Files of plot_surface.py (Li et al. 2018): surfaces and directions in HDF5, read and written as plain arrays; needs h5py.

Their surface of two directions is filled in the order of meshgrid(x, y), x fastest, whatever its shape says: that of a grid
that is not square is written (len(x), len(y)) there, with its numbers in the order of (len(y), len(x)). Here both are read,
and the second is written, which their plotters draw rightly.
"""

import io

import numpy as np

from multifractal.base import checks, files
from multifractal.base.checks import refuse, require
from multifractal.base.extras import needed

# their names of our metrics, and what theirs are in ours
NAMES = {"loss": ("{}_loss", 1.0), "accuracy": ("{}_acc", 100.0)}
EIGENVALUES = {"largest_eigenvalue": ("max_eig", 1.0), "smallest_eigenvalue": ("min_eig", 1.0)}
UNFILLED = -1.0  # of a loss that was not computed yet
_WAYS = ("xdirection", "ydirection")


def write_surface(path, axes, values, *, split="train", overwrite=False):
    """Write metrics by name, arrays [i, j] over one or two axes, as a surface file."""
    require(len(axes) <= 2, "section", f"{len(axes)} directions", "have one or two", "write a .vti")
    with _writing(path, overwrite) as file:
        for name, axis in zip(("xcoordinates", "ycoordinates"), axes, strict=False):
            file[name] = axis
        for name, array in values.items():
            theirs, factor = _named(split).get(name, (name, 1.0))
            file[theirs] = factor * array.T


def read_surface(path, *, split="train"):
    """Return (axes, {metric: array [i, j]}) of a surface file; losses that were not computed are NaN, and so all else there."""
    with _reading(path) as file:
        require(
            "xcoordinates" in file,
            "path",
            f"{path} with {', '.join(file)}",
            "be a surface file, which has xcoordinates",
            "read a file of directions by directions.from_h5",
        )
        axes = [file[n][:] for n in ("xcoordinates", "ycoordinates") if n in file]
        ours = {theirs: (name, factor) for name, (theirs, factor) in _named(split).items()}
        shape = [len(axis) for axis in axes]
        found = {}
        for theirs, stored in file.items():
            if np.prod(stored.shape) == np.prod(shape) and stored.ndim == len(shape):
                name, factor = ours.get(theirs, (theirs, 1.0))
                values = np.asarray(stored[()], np.float64).ravel() / factor
                found[name] = values.reshape(shape[::-1]).T
    order = [*_named(split), *(n for n in found if n not in ("xcoordinates", "ycoordinates"))]
    good = {name: found[name] for name in order if name in found}
    require(
        len(good) > 0,
        "path",
        str(path),
        f"hold values on its {' x '.join(map(str, shape))} points",
        "compute it first",
    )
    return axes, _without_unfilled(good)


def write_directions(path, directions, *, overwrite=False):
    """Write one or two directions, each a list of arrays, as a direction file."""
    require(
        1 <= len(directions) <= 2,
        "directions",
        f"{len(directions)} directions",
        "be one or two",
        "write the others to a file of their own",
    )
    with _writing(path, overwrite) as file:
        for name, arrays in zip(_WAYS, directions, strict=False):
            group = file.create_group(name)
            for k, array in enumerate(arrays):
                group[str(k)] = array


def read_directions(path):
    """Return the directions of a direction file, one or two lists of float32 or float64 arrays."""
    with _reading(path) as file:
        found = [file[name] for name in _WAYS if name in file]
        require(
            len(found) > 0,
            "path",
            f"{path} with {', '.join(file)}",
            "be a direction file, which has xdirection",
            "read a surface by Section.from_h5",
        )
        return [[_floats(group[str(k)][()]) for k in range(len(group))] for group in found]


def _named(split):
    return {name: (word.format(split), f) for name, (word, f) in NAMES.items()} | EIGENVALUES


def _without_unfilled(values):
    """Return values with NaN wherever a loss (or where there is none, a largest eigenvalue) says that nothing was computed."""
    key = values.get("loss", values.get("largest_eigenvalue"))
    if key is None:
        return values
    return {name: np.where(key == UNFILLED, np.nan, array) for name, array in values.items()}


def _floats(array):
    return np.asarray(array, array.dtype if array.dtype.kind == "f" else np.float32)


class _writing:
    """An HDF5 file in memory, put in its place at the end."""

    def __init__(self, path, overwrite):
        self.path, self.overwrite, self.buffer = checks.path("path", path), overwrite, io.BytesIO()
        files.refuse_existing(self.path, overwrite)

    def __enter__(self):
        self.file = needed("h5py").File(self.buffer, "w")
        return self.file

    def __exit__(self, kind, *_):
        self.file.close()
        if kind is None:
            with files.atomic_write(self.path, overwrite=self.overwrite) as file:
                file.write(self.buffer.getbuffer())


def _reading(path):
    h5py, path = needed("h5py"), checks.path("path", path)
    if not path.exists():
        raise FileNotFoundError(f"path must be a file, got {str(path)!r}; check the spelling")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise refuse("path", str(path), "be an HDF5 file", f"h5py says: {error}") from error
