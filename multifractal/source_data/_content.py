"""Check what a file of the source data holds: keys, shapes and finite numbers, in the catalogue's form."""

import os

import numpy as np

from multifractal.base.files import DamagedFileError


def checked(arrays, shapes, path):
    """Return `arrays` in the catalogue's shapes, refusing missing keys, other shapes, and what is not a finite number."""
    lengths = {}
    return {key: _checked_array(arrays, key, shape, lengths, path) for key, shape in shapes.items()}


def _checked_array(arrays, key, shape, lengths, path):
    if key not in arrays:
        raise DamagedFileError(
            f"{os.fspath(path)!r} must hold {key!r}, got {sorted(arrays)}; fetch it again"
        )
    array = np.asarray(arrays[key])
    if array.dtype.kind not in "iuf" or array.size == 0:
        raise DamagedFileError(
            f"{key!r} of {os.fspath(path)!r} must hold real numbers, got {array.dtype} of shape "
            f"{array.shape}; fetch it again"
        )
    fitted = _fitted(array, shape, lengths)
    if fitted is None:
        raise DamagedFileError(
            f"{key!r} of {os.fspath(path)!r} must have shape {_in_words(shape, lengths)}, got "
            f"{array.shape}; fetch it again"
        )
    if not np.isfinite(fitted).all():
        raise DamagedFileError(
            f"{key!r} of {os.fspath(path)!r} must be finite everywhere, got "
            f"{np.count_nonzero(~np.isfinite(fitted))} values that are not; fetch it again"
        )
    kind = np.int64 if fitted.dtype.kind in "iu" else np.float64
    return np.ascontiguousarray(fitted, dtype=kind).reshape(fitted.shape)


def _fitted(array, shape, lengths):
    """Return the view of `array` that has `shape`, entering the words' lengths; None when there is none."""
    for view in _views(array, shape):
        if view.ndim == len(shape):
            now = dict(lengths)
            if all(
                size == (now.setdefault(want, size) if isinstance(want, str) else want)
                for size, want in zip(view.shape, shape, strict=True)
            ):
                lengths.update(now)
                return view
    return None


def _views(array, shape):
    """Yield `array` as it is, then as MATLAB may have stored it: vectors as matrices, tracks transposed or repeated."""
    yield array
    if len(shape) == 1 and array.size == max(array.shape, default=1):
        yield array.reshape(-1)
    if not shape and array.size == 1:
        yield array.reshape(())
    if shape == ("positions", 2):
        # The published code appends one and the same list at every reflection, so a track may be stored many times over.
        track = array[0] if array.ndim == 3 and (array == array[0]).all() else array
        yield track
        yield track.T


def _in_words(shape, lengths):
    return "(" + ", ".join(str(lengths.get(want, want)) for want in shape) + ")"
