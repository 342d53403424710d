"""A loss landscape on a grid: values, gradient, Hessian eigenvalues, and both interpolated at any position.

Derivatives are those of `numpy.gradient` (central differences inside, one-sided on the walls) with unit spacing; between
grid points the value and each gradient component are interpolated bilinearly (Ly & Gong 2025, Methods).
"""

from __future__ import annotations

from functools import cached_property
from typing import TypeAlias

import numpy as np

from multifractal.base import files
from multifractal.base.checks import finite_array, real_array, refuse, require
from multifractal.base.chunks import map_chunks
from multifractal.base.kernels import kernel
from multifractal.base.picture import Pictured
from multifractal.base.result import Provenance
from multifractal.base.types import Array, ArrayLike, DTypeLike, PathLike

_ROWS_PER_CHUNK = 256


class Landscape(Pictured):
    """Values on a grid, with what a walker needs to know of them.

    Parameters
    ----------
    values : array_like, shape (rows, cols), each at least 4
        The loss at x = column, y = row. float32 is kept, everything else becomes float64. A copy is made, but of a
        read-only array, and of one that is handed over with a `provenance`: it must not be changed afterwards.
    hoelder : float or array_like of shape (rows, cols), optional
        The Hoelder exponent that the surface was built with, if known, in (0, 1).
    provenance : Provenance, optional
        What made the values; generators fill it in.

    Raises
    ------
    ValueError
        When `values` is not two-dimensional, is smaller than 4x4, or holds NaN or inf; when `hoelder` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from multifractal import Landscape
    >>> y, x = np.mgrid[:9, :9] - 4.0
    >>> bowl = Landscape(x**2 + 2 * y**2)
    >>> bowl.value_at([5.0, 4.0]).item(), bowl.gradient_at([5.0, 5.0]).tolist()
    (1.0, [2.0, 4.0])
    """

    _figure = "multifractal.figures.surface:landscape_map"

    def __init__(
        self,
        values: ArrayLike,
        hoelder: ArrayLike | None = None,
        *,
        provenance: Provenance | None = None,
    ) -> None:
        kept = checked_values(values, "values")
        if provenance is None and kept.flags.writeable and np.may_share_memory(kept, values):
            kept = kept.copy()  # else a later change of it would leave the derivatives behind
        self.values = _read_only(kept)
        self._hoelder = None if hoelder is None else _checked_hoelder(hoelder, kept.shape)
        self.provenance = provenance or Provenance.of("Landscape", values=kept)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.values.shape

    @property
    def hoelder(self) -> Array | None:
        """The prescribed Hoelder exponent at each grid point, shape (rows, cols), or None; read-only."""
        return None if self._hoelder is None else np.broadcast_to(self._hoelder, self.shape)

    @cached_property
    def gradient(self) -> Array:
        """`numpy.gradient` of the values, shape (rows, cols, 2) and their dtype: [..., 0] is d/dx, [..., 1] is d/dy."""
        gradient = np.empty((*self.shape, 2), self.values.dtype)
        _over_rows(_gradient_rows, self.shape[0], self.values, gradient)
        return _read_only(gradient)

    @cached_property
    def global_minimum(self) -> tuple[int, int]:
        """(x, y) of the lowest grid point, in pixels; of equal ones the first in row order."""
        row, column = np.unravel_index(np.argmin(self.values), self.shape)
        return int(column), int(row)

    @cached_property
    def hessian_eigenvalues(self) -> Array:
        """Eigenvalues of the grid Hessian (`numpy.gradient` applied twice), shape (2, rows, cols), ascending."""
        eigenvalues = np.empty((2, *self.shape), self.values.dtype)
        _over_rows(_hessian_eigenvalue_rows, self.shape[0], self.gradient, eigenvalues)
        return _read_only(eigenvalues)

    def value_at(self, xy: ArrayLike) -> Array:
        """Return the bilinearly interpolated value at positions `xy`.

        Parameters
        ----------
        xy : array_like, shape (..., 2)
            Positions (x, y) in grid units, within the walls; NaN gives NaN.

        Returns
        -------
        ndarray, shape (...), float64

        Raises
        ------
        ValueError
            When `xy` does not end in an axis of length 2, or a position lies outside the grid.
        """
        points, shape = self.checked_positions("xy", xy)
        out = np.empty(len(points))
        _values_at(self.values, points, out)
        return out.reshape(shape)[()]

    def gradient_at(self, xy: ArrayLike) -> Array:
        """Return the gradient (d/dx, d/dy), interpolated bilinearly from the grid, at positions `xy`.

        Parameters
        ----------
        xy : array_like, shape (..., 2)
            Positions (x, y) in grid units, within the walls; NaN gives NaN.

        Returns
        -------
        ndarray, shape (..., 2), float64

        Raises
        ------
        ValueError
            When `xy` does not end in an axis of length 2, or a position lies outside the grid.
        """
        points, shape = self.checked_positions("xy", xy)
        out = np.empty((len(points), 2))
        _gradients_at(self.gradient, points, out)
        return out.reshape(*shape, 2)

    def save(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Write values, Hoelder map and provenance to one `.npz` that carries a SHA-256.

        Raises FileExistsError when `path` exists and `overwrite` is False.
        """
        arrays = {"values": self.values} | (
            {} if self._hoelder is None else {"hoelder": self._hoelder}
        )
        metadata = {"class": "Landscape", "provenance": vars(self.provenance)}
        files.save_arrays(path, arrays, metadata, overwrite=overwrite)

    @classmethod
    def load(cls, path: PathLike) -> Landscape:
        """Read what `save` wrote, after checking its SHA-256; raises `DamagedFileError` when that fails."""
        arrays, metadata = files.load_arrays(path)
        if metadata.get("class") != "Landscape":
            raise files.DamagedFileError(
                f"{path!r} holds a {metadata.get('class')}, not a Landscape"
            )
        return cls(
            arrays["values"], arrays.get("hoelder"), provenance=Provenance(**metadata["provenance"])
        )

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Let `numpy.asarray(landscape)` give the values."""
        return np.array(self.values, dtype=dtype, copy=copy)

    def __reduce__(self):
        """Pickle without the derivatives, which are quicker made again than sent."""
        return _rebuilt, (self.values, self._hoelder, self.provenance)

    def __repr__(self):
        return self._words

    @cached_property
    def _words(self):
        return f"Landscape(<{self.values.dtype} {self.shape}>, {self.provenance.call})"

    def checked_positions(self, argument: str, xy: ArrayLike) -> tuple[Array, tuple[int, ...]]:
        """Return positions within the walls, or NaN, as (n, 2) float64, and the shape of what has one value a position."""
        xy = real_array(argument, xy, dtype=np.float64)
        require(
            xy.ndim >= 1 and xy.shape[-1] == 2,
            argument,
            xy.shape,
            "have shape (..., 2)",
            "stack x and y last",
        )
        walls = np.array([self.shape[1] - 1, self.shape[0] - 1], dtype=np.float64)
        outside = ((xy < 0) | (xy > walls)).any(axis=-1)
        if outside.any():
            raise refuse(
                argument,
                xy[outside][0],
                f"lie within 0 <= x <= {walls[0]:g} and 0 <= y <= {walls[1]:g}",
                "reflect or clip the positions first",
            )
        return np.ascontiguousarray(xy.reshape(-1, 2)), xy.shape[:-1]


LandscapeLike: TypeAlias = Landscape | ArrayLike
"""What every function that reads a landscape takes: one, or an array of shape (rows, cols)."""


def _rebuilt(values, hoelder, provenance):
    return Landscape(values, hoelder, provenance=provenance)


def _checked_hoelder(hoelder, shape):
    hoelder = finite_array("hoelder", hoelder, dtype=np.float64)
    require(
        hoelder.shape in ((), shape),
        "hoelder",
        hoelder.shape,
        f"be a number or have the shape {shape} of the values",
        "pass the map the surface was built from",
    )
    inside = (hoelder > 0) & (hoelder < 1)
    require(inside.all(), "hoelder", hoelder, "lie in (0, 1)", "rescale the map")
    return _read_only(hoelder)


def _read_only(array: Array) -> Array:
    array = np.asarray(array, order="C").view()
    array.setflags(write=False)
    return array


def _over_rows(kernel, n_rows, source, out):
    map_chunks(
        kernel,
        [
            (source, out, first, min(first + _ROWS_PER_CHUNK, n_rows))
            for first in range(0, n_rows, _ROWS_PER_CHUNK)
        ],
    )


def as_landscape(landscape: LandscapeLike, argument: str = "landscape") -> Landscape:
    """Return `landscape` as a `Landscape`, which an array of values becomes; refuse anything else by the argument's name."""
    if isinstance(landscape, Landscape):
        return landscape
    return Landscape(checked_values(landscape, argument))


def checked_values(values: ArrayLike, argument: str) -> Array:
    """Return a finite 2-D array of at least 4x4, float32 kept and all else float64."""
    values = finite_array(argument, values, ndim=2)
    require(min(values.shape) >= 4, argument, values.shape, "be at least 4x4", "pass a larger grid")
    return values


@kernel
def _gradient_rows(values, out, first, stop):
    n_rows, n_cols = values.shape
    half = values.dtype.type(0.5)
    for j in range(first, stop):
        above, below = max(j - 1, 0), min(j + 1, n_rows - 1)
        scale = half if below - above == 2 else values.dtype.type(1)
        for i in range(1, n_cols - 1):
            out[j, i, 0] = (values[j, i + 1] - values[j, i - 1]) * half
            out[j, i, 1] = (values[below, i] - values[above, i]) * scale
        for i, left, right in ((0, 0, 1), (n_cols - 1, n_cols - 2, n_cols - 1)):
            out[j, i, 0] = values[j, right] - values[j, left]
            out[j, i, 1] = (values[below, i] - values[above, i]) * scale


@kernel
def _hessian_eigenvalue_rows(gradient, out, first, stop):
    n_rows, n_cols = gradient.shape[:2]
    half = gradient.dtype.type(0.5)
    one = gradient.dtype.type(1)
    for j in range(first, stop):
        above, below = max(j - 1, 0), min(j + 1, n_rows - 1)
        scale_y = half if below - above == 2 else one
        for i in range(n_cols):
            left, right = max(i - 1, 0), min(i + 1, n_cols - 1)
            scale_x = half if right - left == 2 else one
            xx = (gradient[j, right, 0] - gradient[j, left, 0]) * scale_x
            xy = (gradient[below, i, 0] - gradient[above, i, 0]) * scale_y
            yy = (gradient[below, i, 1] - gradient[above, i, 1]) * scale_y
            out[0, j, i], out[1, j, i] = _eigenvalues(xx, xy, yy, half)


@kernel
def _eigenvalues(xx, xy, yy, half):
    middle = (xx + yy) * half
    difference = (xx - yy) * half
    spread = np.sqrt(difference * difference + xy * xy)
    return middle - spread, middle + spread


@kernel
def _slopes_at(values, j, i):
    """Return (d/dx, d/dy) at one pixel, as `_gradient_rows` writes them."""
    n_rows, n_cols = values.shape
    half, one = values.dtype.type(0.5), values.dtype.type(1)
    above, below = max(j - 1, 0), min(j + 1, n_rows - 1)
    left, right = max(i - 1, 0), min(i + 1, n_cols - 1)
    dx = (values[j, right] - values[j, left]) * (half if right - left == 2 else one)
    dy = (values[below, i] - values[above, i]) * (half if below - above == 2 else one)
    return dx, dy


@kernel
def eigenvalues_inside(values, j, i):
    """Return both eigenvalues of the grid Hessian at one pixel that lies on no wall, the smaller first (kernel).

    To the bit those of `Landscape.hessian_eigenvalues`, for a few pixels without the derivatives everywhere.
    """
    half = values.dtype.type(0.5)
    below, above = _slopes_at(values, j + 1, i), _slopes_at(values, j - 1, i)
    xx = (_slopes_at(values, j, i + 1)[0] - _slopes_at(values, j, i - 1)[0]) * half
    xy = (below[0] - above[0]) * half
    yy = (below[1] - above[1]) * half
    return _eigenvalues(xx, xy, yy, half)


@kernel(inline="always")
def cell_and_weights(x, y, n_rows, n_cols):
    """Return the cell (column i, row j) of a position and its bilinear weights a, b along x and c, d along y."""
    i = min(int(x), n_cols - 2)
    j = min(int(y), n_rows - 2)
    return i, j, (i + 1) - x, x - i, (j + 1) - y, y - j


@kernel
def interpolate_value(values, x, y):
    """Return the bilinear value at one position inside the walls (kernel)."""
    i, j, a, b, c, d = cell_and_weights(x, y, values.shape[0], values.shape[1])
    return (
        values[j, i] * a * c
        + values[j, i + 1] * b * c
        + values[j + 1, i] * a * d
        + values[j + 1, i + 1] * b * d
    )


@kernel
def interpolate_gradient(gradient, x, y):
    """Return (d/dx, d/dy) at one position inside the walls (kernel); each product is taken as (g a) c, summed in order."""
    i, j, a, b, c, d = cell_and_weights(x, y, gradient.shape[0], gradient.shape[1])
    dx = (
        gradient[j, i, 0] * a * c
        + gradient[j, i + 1, 0] * b * c
        + gradient[j + 1, i, 0] * a * d
        + gradient[j + 1, i + 1, 0] * b * d
    )
    dy = (
        gradient[j, i, 1] * a * c
        + gradient[j, i + 1, 1] * b * c
        + gradient[j + 1, i, 1] * a * d
        + gradient[j + 1, i + 1, 1] * b * d
    )
    return dx, dy


@kernel
def _values_at(values, points, out):
    for k in range(len(points)):
        x, y = points[k]
        out[k] = interpolate_value(values, x, y) if x == x and y == y else np.nan


@kernel
def _gradients_at(gradient, points, out):
    for k in range(len(points)):
        x, y = points[k]
        if x == x and y == y:
            out[k, 0], out[k, 1] = interpolate_gradient(gradient, x, y)
        else:
            out[k, 0] = out[k, 1] = np.nan
