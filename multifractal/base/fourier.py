"""Fourier transforms of two-dimensional arrays on threads, with the same bits on any number of them.

scipy's own `workers` change bits (scipy 1.18, complex64): lines share vector registers, and which ones depends on the split.
Here the lines are cut into blocks of a fixed number.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import fft

from multifractal.base.chunks import map_chunks
from multifractal.base.types import Array

_LINES = 64


def along(
    transform: Callable[..., Array], values: Array, axis: int, out: Array | None = None
) -> Array:
    """Write `transform(block, axis=axis)` of each block of lines along `axis` to `out` (default: in place) and return it."""
    out = values if out is None else out

    def on_block(first: int) -> None:
        lines = slice(first, first + _LINES)
        block = (slice(None), lines) if axis == 0 else lines
        out[block] = transform(values[block], axis=axis)

    map_chunks(on_block, [(first,) for first in range(0, values.shape[1 - axis], _LINES)])
    return out


def rfft2(values: Array) -> Array:
    """Return the real transform over both axes, shape (rows, cols // 2 + 1)."""
    kind = np.complex64 if values.dtype == np.float32 else np.complex128
    half = np.empty((values.shape[0], values.shape[1] // 2 + 1), kind)
    return along(fft.fft, along(fft.rfft, values, 1, half), 0)


def irfft2(spectrum: Array, n_cols: int) -> Array:
    """Return the real inverse of `rfft2`, of `n_cols` columns; `spectrum` is overwritten."""
    values = np.empty((spectrum.shape[0], n_cols), spectrum.real.dtype)
    return along(
        lambda block, axis: fft.irfft(block, n_cols, axis=axis),
        along(fft.ifft, spectrum, 0),
        1,
        values,
    )
