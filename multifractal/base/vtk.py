"""Files of VTK's XML format, which ParaView opens: a uniform grid of points (.vti) and a surface of triangles (.vtp).

Arrays are written inline in base64, each behind its number of bytes (VTK File Formats, "XML File Formats").
"""

from __future__ import annotations

import base64
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from multifractal.base import files
from multifractal.base.checks import require
from multifractal.base.types import PathLike

_TYPES = {"f": "Float64", "i": "Int64"}


def write_grid(path: PathLike, axes: Any, fields: Any, *, overwrite: bool = False) -> None:
    """Write fields on a uniform grid as `.vti`.

    Parameters
    ----------
    path : path-like
    axes : sequence of ndarray
        One to three, equally spaced.
    fields : dict of str to ndarray
        Index [i, j, k] along the axes.
    """
    spacings = [_spacing(axis) for axis in axes] + [1.0] * (3 - len(axes))
    origin = [float(axis[0]) for axis in axes] + [0.0] * (3 - len(axes))
    counts = [len(axis) for axis in axes] + [1] * (3 - len(axes))
    extent = " ".join(f"0 {count - 1}" for count in counts)
    # x runs fastest in VTK
    data = "".join(_array(name, values.flatten(order="F")) for name, values in fields.items())
    body = (
        f'<ImageData WholeExtent="{extent}" Origin="{_numbers(origin)}" Spacing="{_numbers(spacings)}">'
        f'<Piece Extent="{extent}"><PointData>{data}</PointData></Piece></ImageData>'
    )
    _write(path, "ImageData", body, overwrite)


def write_surface(
    path: PathLike, x: Any, y: Any, height: Any, fields: Any, *, overwrite: bool = False
) -> None:
    """Write the surface z = height[i, j] over (x_i, y_j) as triangles, `.vtp`; those with a corner that is not finite are left out."""
    points = np.stack([*np.meshgrid(x, y, indexing="ij"), height], axis=-1).reshape(-1, 3)
    numbers = np.arange(height.size).reshape(height.shape)
    a, b, c, d = numbers[:-1, :-1], numbers[1:, :-1], numbers[1:, 1:], numbers[:-1, 1:]
    triangles = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    finite = np.isfinite(points[:, 2])
    triangles = triangles[finite[triangles].all(axis=1)]
    points = np.where(finite[:, None], points, 0.0)
    data = "".join(_array(name, values.reshape(-1)) for name, values in fields.items())
    ends = 3 * np.arange(1, len(triangles) + 1)
    body = (
        f'<PolyData><Piece NumberOfPoints="{len(points)}" NumberOfVerts="0" NumberOfLines="0" NumberOfStrips="0" '
        f'NumberOfPolys="{len(triangles)}"><PointData>{data}</PointData>'
        f"<Points>{_array('points', points, 3)}</Points>"
        f"<Polys>{_array('connectivity', triangles.reshape(-1))}{_array('offsets', ends)}</Polys></Piece></PolyData>"
    )
    _write(path, "PolyData", body, overwrite)


def _write(path: PathLike, kind: str, body: Any, overwrite: bool) -> None:
    text = (
        f'<?xml version="1.0"?><VTKFile type="{kind}" version="1.0" byte_order="LittleEndian" '
        f'header_type="UInt64">{body}</VTKFile>\n'
    )
    with files.atomic_write(path, overwrite=overwrite) as file:
        file.write(text.encode())


def _array(name: str, values: Any, components: int = 1) -> Any:
    kind = "i" if np.issubdtype(values.dtype, np.integer) else "f"
    raw = np.ascontiguousarray(values, dtype=f"<{kind}8").tobytes()
    coded = base64.b64encode(np.uint64(len(raw)).astype("<u8").tobytes() + raw).decode()
    return (
        f'<DataArray type="{_TYPES[kind]}" Name={quoteattr(name)} NumberOfComponents="{components}" '
        f'format="binary">{coded}</DataArray>'
    )


def _spacing(axis: Any) -> Any:
    steps = np.diff(axis)
    good = len(steps) and steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-9, atol=0)
    require(
        len(axis) == 1 or bool(good),
        "axes",
        axis,
        "ascend in equal steps",
        "map the section on such axes, or write a .vtp",
    )
    return float((axis[-1] - axis[0]) / len(steps)) if len(steps) else 1.0


def _numbers(values: Any) -> Any:
    return " ".join(repr(value) for value in values)
