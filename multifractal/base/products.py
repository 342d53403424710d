"""Matrix products whose bits depend neither on the processor nor on the number of rows: each sum has a written order.

BLAS adds up in a different order on each processor, and for each shape.
"""

from __future__ import annotations

import numpy as np

from multifractal.base.kernels import kernel
from multifractal.base.types import Array

_COLS = 512  # of a tile of `product`: what it holds stays in the first level of cache
_LANES = 16  # partial sums of a scalar product


@kernel
def product(left: Array, right: Array) -> Array:
    """Return `left @ right`, (n, k) by (k, m), each entry summed in the order of k (kernel)."""
    out = np.zeros((left.shape[0], right.shape[1]))
    tile = np.empty((left.shape[0], _COLS))
    for first in range(0, right.shape[1], _COLS):
        stop = min(first + _COLS, right.shape[1])
        tile[:] = 0.0
        add_product(left, right, first, stop, tile)
        out[:, first:stop] = tile[:, : stop - first]
    return out


@kernel
def add_product(left: Array, right: Array, first: int, stop: int, out: Array) -> None:
    """Add `left @ right[:, first:stop]` to the first columns of `out`; each entry is summed in order (kernel)."""
    n, depth = left.shape
    width = stop - first
    for row in range(0, n - n % 4, 4):
        c0, c1 = out[row, :width], out[row + 1, :width]
        c2, c3 = out[row + 2, :width], out[row + 3, :width]
        for k in range(0, depth - depth % 2, 2):
            b0, b1 = right[k, first:stop], right[k + 1, first:stop]
            p0, q0, p1, q1 = left[row, k], left[row, k + 1], left[row + 1, k], left[row + 1, k + 1]
            p2, q2 = left[row + 2, k], left[row + 2, k + 1]
            p3, q3 = left[row + 3, k], left[row + 3, k + 1]
            for m in range(width):
                u, v = b0[m], b1[m]
                c0[m] = (c0[m] + p0 * u) + q0 * v
                c1[m] = (c1[m] + p1 * u) + q1 * v
                c2[m] = (c2[m] + p2 * u) + q2 * v
                c3[m] = (c3[m] + p3 * u) + q3 * v
        if depth % 2:
            for r in range(row, row + 4):
                _add_multiple(left[r, depth - 1], right[depth - 1, first:stop], out[r])
    for row in range(n - n % 4, n):
        for k in range(depth):
            _add_multiple(left[row, k], right[k, first:stop], out[row])


@kernel
def _add_multiple(factor: float, values: Array, out: Array) -> None:
    for m in range(len(values)):
        out[m] += factor * values[m]


@kernel
def add_scalar_products(left: Array, right: Array, first: int, stop: int, out: Array) -> None:
    """Add `left[:, : stop - first] @ right[:, first:stop].T` to `out`: 16 partial sums, then their sum in order (kernel)."""
    n, width = len(out), stop - first
    whole = width - width % _LANES
    partial = np.empty((4, _LANES))
    s0, s1, s2, s3 = partial[0], partial[1], partial[2], partial[3]
    for i in range(0, n - n % 4, 4):
        a0, a1, a2, a3 = left[i], left[i + 1], left[i + 2], left[i + 3]
        for k in range(right.shape[0]):
            b = right[k, first:stop]
            partial[:] = 0.0
            for m in range(0, whole, _LANES):
                for lane in range(_LANES):
                    u = b[m + lane]
                    s0[lane] += a0[m + lane] * u
                    s1[lane] += a1[m + lane] * u
                    s2[lane] += a2[m + lane] * u
                    s3[lane] += a3[m + lane] * u
            for m in range(whole, width):
                u, lane = b[m], m - whole
                s0[lane] += a0[m] * u
                s1[lane] += a1[m] * u
                s2[lane] += a2[m] * u
                s3[lane] += a3[m] * u
            for r in range(4):
                out[i + r, k] += _sum_of_lanes(partial[r])
    for i in range(n - n % 4, n):
        a0 = left[i]
        for k in range(right.shape[0]):
            b = right[k, first:stop]
            s0[:] = 0.0
            for m in range(0, whole, _LANES):
                for lane in range(_LANES):
                    s0[lane] += a0[m + lane] * b[m + lane]
            for m in range(whole, width):
                s0[m - whole] += a0[m] * b[m]
            out[i, k] += _sum_of_lanes(s0)


@kernel
def _sum_of_lanes(partial: Array) -> float:
    total = 0.0
    for lane in range(_LANES):
        total += partial[lane]
    return total
