"""Matrix products whose bits depend neither on the processor nor on the number of rows: each sum has a written order.

BLAS adds up in a different order on each processor, and for each shape. Here 16 numbers at a time are added to 16 sums that
stay in registers; how many instructions that takes is the processor's business, how it rounds is not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import intrinsic, models, register_model

from multifractal.base.kernels import kernel
from multifractal.base.types import Array

_COLS = 512  # of a tile of `product`: what it holds stays in the first level of cache
_LANES = 16  # numbers that are added to as many sums at once; partial sums of a scalar product
_COLUMNS = 32  # of `out` whose sums are held in registers, for four rows
_DEPTH = 64  # rows of a tile of the right factor, which stays in the second level of cache
_PAIRS = 32  # the same for scalar products


@kernel
def product(left: Array, right: Array) -> Array:
    """Return `left @ right`, (n, k) by (k, m), each entry summed in the order of k (kernel)."""
    rows = np.ascontiguousarray(right)
    out = np.zeros((left.shape[0], right.shape[1]))
    tile = np.empty((left.shape[0], _COLS))
    for first in range(0, right.shape[1], _COLS):
        stop = min(first + _COLS, right.shape[1])
        tile[:] = 0.0
        add_product(left, rows, first, stop, tile)
        _copy(tile, 0, out, first, stop - first)
    return out


@kernel
def add_product(left: Array, right: Array, first: int, stop: int, out: Array) -> None:
    """Add `left @ right[:, first:stop]` to the first columns of `out`; each entry is summed in order (kernel)."""
    width, depth = stop - first, left.shape[1]
    whole = width - width % _COLUMNS
    for top in range(0, depth, _DEPTH):
        rows = right[top : min(top + _DEPTH, depth)]
        for m in range(0, whole, _COLUMNS):
            _add_to_columns(left, top, rows, first + m, out, m)
        if whole < width:
            _add_to_last_columns(left, top, rows, first + whole, out, whole, width - whole)


@kernel
def _add_to_last_columns(
    left: Array, top: int, right: Array, first: int, out: Array, m: int, count: int
) -> None:
    """Do what `_add_to_columns` does for fewer columns than that takes: with zeros beside them (kernel)."""
    if len(left) == 1:  # to copy the right factor would take longer than the sums
        for k in range(len(right)):
            for i in range(count):
                out[0, m + i] += left[0, top + k] * right[k, first + i]
        return
    rest, padded = np.zeros((len(right), _COLUMNS)), np.zeros((len(left), _COLUMNS))
    _copy(right, first, rest, 0, count)
    _copy(out[: len(left)], m, padded, 0, count)
    _add_to_columns(left, top, rest, 0, padded, 0)
    _copy(padded, 0, out, m, count)


@kernel
def _copy(source: Array, first: int, target: Array, at: int, count: int) -> None:
    """Copy some columns of each row of a matrix to another (kernel)."""
    for row in range(len(source)):
        for m in range(count):
            target[row, at + m] = source[row, first + m]


@kernel
def _add_to_columns(left: Array, top: int, right: Array, first: int, out: Array, m: int) -> None:
    """Add the product of columns of `left`, from `top` on, and 32 of `right` to 32 columns of `out` (kernel)."""
    n = len(left)
    for row in range(0, n - n % 4, 4):
        _add_to_four_rows(left, row, top, right, first, out, m)
    for row in range(n - n % 4, n):
        _add_to_row(left[row], top, right, first, out[row], m)


@kernel
def _add_to_four_rows(
    left: Array, row: int, top: int, right: Array, first: int, out: Array, m: int
) -> None:
    """Do so for four rows (kernel)."""
    left0, left1, left2, left3 = left[row], left[row + 1], left[row + 2], left[row + 3]
    out0, out1, out2, out3 = out[row], out[row + 1], out[row + 2], out[row + 3]
    a0, b0, a1, b1 = load(out0, m), load(out0, m + 16), load(out1, m), load(out1, m + 16)
    a2, b2, a3, b3 = load(out2, m), load(out2, m + 16), load(out3, m), load(out3, m + 16)
    for k in range(len(right)):
        factors = right[k]
        u, v = load(factors, first), load(factors, first + 16)
        a0, b0 = plus(a0, left0[top + k], u), plus(b0, left0[top + k], v)
        a1, b1 = plus(a1, left1[top + k], u), plus(b1, left1[top + k], v)
        a2, b2 = plus(a2, left2[top + k], u), plus(b2, left2[top + k], v)
        a3, b3 = plus(a3, left3[top + k], u), plus(b3, left3[top + k], v)
    store(out0, m, a0)
    store(out0, m + 16, b0)
    store(out1, m, a1)
    store(out1, m + 16, b1)
    store(out2, m, a2)
    store(out2, m + 16, b2)
    store(out3, m, a3)
    store(out3, m + 16, b3)


@kernel
def _add_to_row(left: Array, top: int, right: Array, first: int, out: Array, m: int) -> None:
    """Do so for one row (kernel)."""
    a, b = load(out, m), load(out, m + 16)
    for k in range(len(right)):
        factors = right[k]
        a = plus(a, left[top + k], load(factors, first))
        b = plus(b, left[top + k], load(factors, first + 16))
    store(out, m, a)
    store(out, m + 16, b)


@kernel
def add_scalar_products(left: Array, right: Array, first: int, stop: int, out: Array) -> None:
    """Add `left[:, : stop - first] @ right[:, first:stop].T` to `out`: 16 partial sums, then their sum in order (kernel)."""
    n, depth = len(out), right.shape[0]
    if stop - first <= _LANES:
        _add_short_products(left, right, first, stop, out)
        return
    partial = np.empty((8, _LANES))
    for top in range(0, depth, _PAIRS):
        bottom = min(top + _PAIRS, depth)
        for i in range(0, n - n % 4, 4):
            for k in range(top, bottom - 1, 2):
                _four_by_two(left, i, right, k, first, stop, partial)
                for r in range(4):
                    one, other = 0.0, 0.0
                    for lane in range(_LANES):
                        one += partial[r, lane]
                        other += partial[r + 4, lane]
                    out[i + r, k] += one
                    out[i + r, k + 1] += other
        for i in range(n):
            for k in range(top if i >= n - n % 4 else bottom - bottom % 2, bottom):
                _one_by_one(left[i], right[k], first, stop, partial[0])
                out[i, k] += _sum_of_lanes(partial[0])


@kernel
def _add_short_products(left: Array, right: Array, first: int, stop: int, out: Array) -> None:
    """Do so for at most 16 numbers, each of which is a partial sum (kernel)."""
    for i in range(len(out)):
        for k in range(right.shape[0]):
            total = 0.0
            for m in range(stop - first):
                total += left[i, m] * right[k, first + m]
            out[i, k] += total


@kernel
def _four_by_two(
    left: Array, i: int, right: Array, k: int, first: int, stop: int, partial: Array
) -> None:
    """Write the partial sums of four rows of `left` times two of `right` to the eight rows of `partial` (kernel)."""
    left0, left1, left2, left3 = left[i], left[i + 1], left[i + 2], left[i + 3]
    right0, right1 = right[k], right[k + 1]
    a0, b0, a1, b1 = zeros(), zeros(), zeros(), zeros()
    a2, b2, a3, b3 = zeros(), zeros(), zeros(), zeros()
    for m in range(0, stop - first - _LANES + 1, _LANES):
        u, v = load(right0, first + m), load(right1, first + m)
        x, y = load(left0, m), load(left1, m)
        a0, b0, a1, b1 = plus(a0, x, u), plus(b0, x, v), plus(a1, y, u), plus(b1, y, v)
        x, y = load(left2, m), load(left3, m)
        a2, b2, a3, b3 = plus(a2, x, u), plus(b2, x, v), plus(a3, y, u), plus(b3, y, v)
    store(partial[0], 0, a0)
    store(partial[1], 0, a1)
    store(partial[2], 0, a2)
    store(partial[3], 0, a3)
    store(partial[4], 0, b0)
    store(partial[5], 0, b1)
    store(partial[6], 0, b2)
    store(partial[7], 0, b3)
    if (stop - first) % _LANES:
        for r in range(8):
            _add_rest(left[i + r % 4], right[k + r // 4], first, stop, partial[r])


@kernel
def _one_by_one(left: Array, right: Array, first: int, stop: int, partial: Array) -> None:
    """Write the partial sums of one row times another to `partial` (kernel)."""
    sums = zeros()
    for m in range(0, stop - first - _LANES + 1, _LANES):
        sums = plus(sums, load(left, m), load(right, first + m))
    store(partial, 0, sums)
    _add_rest(left, right, first, stop, partial)


@kernel
def _add_rest(left: Array, right: Array, first: int, stop: int, partial: Array) -> None:
    """Add what is beyond a multiple of 16 to the first of the partial sums (kernel)."""
    width = stop - first
    whole = width - width % _LANES
    for m in range(whole, width):
        partial[m - whole] += left[m] * right[first + m]


@kernel
def _sum_of_lanes(partial: Array) -> float:
    """Return the sum of 16 numbers in their order (kernel)."""
    total = 0.0
    for lane in range(_LANES):
        total += partial[lane]
    return total


# --- 16 numbers at once, as kernels hold them -------------------------------------------------------------------------


class Lanes(types.Type):
    """The type of 16 numbers in registers; only kernels hold such values."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


_lanes, _vector = Lanes(), ir.VectorType(ir.DoubleType(), _LANES)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Any) -> None:
        super().__init__(manager, lanes, _vector)


def _place(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Return where 16 numbers of a contiguous array begin."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _vector.as_pointer())


def _contiguous(array: Any) -> Any:
    if not (isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C"):
        raise TypingError(f"{array} is no contiguous row: 16 of its numbers cannot be read at once")
    return array


@intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """Return the 16 numbers of a contiguous row from `index` on (of a kernel)."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_place(context, builder, signature.args[0], *arguments), align=8)

    return _lanes(_contiguous(array), types.intp), write


@intrinsic
def store(typing: Any, array: Any, index: Any, lanes: Any) -> Any:
    """Write 16 numbers to a contiguous row from `index` on (of a kernel)."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], place, align=8)
        return context.get_dummy_value()

    return types.void(_contiguous(array), types.intp, lanes), write


@intrinsic
def zeros(typing: Any) -> Any:
    """Return 16 zeros (of a kernel)."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(_vector, [0.0] * _LANES)

    return _lanes(), write


@intrinsic
def plus(typing: Any, sums: Any, factors: Any, numbers: Any) -> Any:
    """Return sums + factors * numbers, 16 at once, both rounded; `factors` may be one number for all (of a kernel)."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        added, factor, times = arguments
        if signature.args[1] == types.float64:
            nothing, first = ir.Constant(_vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
            every = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
            factor = builder.insert_element(nothing, factor, first)
            factor = builder.shuffle_vector(factor, nothing, every)
        return builder.fadd(added, builder.fmul(factor, times))

    return _lanes(sums, factors, numbers), write
