"""Checks at the public boundary: every refusal names the argument, its value, the rule and the remedy.

`numpy.asarray` drops the mask of masked entries without a word, and their fill values would be taken for data. So every array
that a user passes is asked for masks here first: masked entries are refused, and where a formula leaves them out exactly (the
variogram and TAMSD over pairs, wavelet coefficients that touch data only) they are read as NaN.
"""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from multifractal.base.types import Array, DTypeLike

_SHOWN = 6  # numbers of an array in a message
_MASKLESS = (
    np.ndarray,
    float,
    int,
    type(None),
)  # the most frequent first: checks are most of a short walk's time
_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))
_PLAIN_NUMBERS = {float, int}

S = TypeVar("S", bound=str | None)


def refuse(argument: str, value: Any, rule: str, remedy: str) -> ValueError:
    """Return the ValueError that says `argument` broke `rule`; the caller raises it."""
    return ValueError(f"{argument} must {rule}, got {_in_words(value)}; {remedy}")


def _in_words(value: Any) -> str:
    """Return a value as a line of text: large tables of numbers by their shape."""
    if not isinstance(value, np.ndarray):
        return repr(value)
    if value.ndim > 1 and value.size > _SHOWN:
        return f"an array of {value.dtype} of shape {value.shape}"
    return np.array2string(value, threshold=_SHOWN, precision=6)


class DivergedError(ValueError, FloatingPointError):
    """A run whose numbers are no longer finite: the words are those of a refusal of what made it diverge."""


def diverged(argument: str, value: Any, rule: str, remedy: str) -> DivergedError:
    """Return the DivergedError that says, in the words of `refuse`, what made a run diverge; the caller raises it."""
    return DivergedError(str(refuse(argument, value, rule, remedy)))


def require(condition: object, argument: str, value: Any, rule: str, remedy: str) -> None:
    """Raise the ValueError of `refuse` unless `condition` holds."""
    if not condition:
        raise refuse(argument, value, rule, remedy)


def positive_number(
    argument: str, value: Any, remedy: str = "pass a positive finite number"
) -> float:
    """Return `value` as a float; raise if it is not a positive finite number."""
    require(_is_finite(value) and value > 0, argument, value, "be a positive finite number", remedy)
    return float(value)


def finite_number(argument: str, value: Any, remedy: str = "pass a finite number") -> float:
    """Return `value` as a float; raise if it is not a finite number."""
    require(_is_finite(value), argument, value, "be a finite number", remedy)
    return float(value)


def ascending_pair(
    argument: str,
    value: Any,
    remedy: str = "pass (first, last)",
    rule: str = "be two finite numbers, the first the smaller",
) -> tuple[float, float]:
    """Return `value` as two floats; raise if it is not a pair of finite numbers, the first the smaller."""
    good = isinstance(value, tuple | list) or (isinstance(value, np.ndarray) and value.ndim == 1)
    good = good and len(value) == 2 and all(map(_is_finite, value)) and value[0] < value[1]
    require(good, argument, value, rule, remedy)
    return float(value[0]), float(value[1])


def whole_number(argument: str, value: Any, minimum: int = 1, remedy: str | None = None) -> int:
    """Return `value` as an int; raise if it is not a whole number of at least `minimum`."""
    if type(value) is int and minimum <= value < 2**63:
        return value
    good = (
        isinstance(value, numbers.Integral)
        and not isinstance(value, bool | np.bool_)
        and int(value) >= minimum
    )
    require(
        good,
        argument,
        value,
        f"be a whole number, at least {minimum}",
        remedy or f"pass an int >= {minimum}",
    )
    require(value < 2**63, argument, value, "be below 2^63", "pass a smaller one")
    return int(value)


def path(argument: str, value: Any) -> Path:
    """Return `value` as a Path; raise if it is not a path."""
    require(
        isinstance(value, str | os.PathLike),
        argument,
        value,
        "be a path",
        "pass a str or a pathlib.Path",
    )
    return Path(value)


def one_of(argument: str, value: S, choices: Collection[str]) -> S:
    """Return `value`; raise if it is not one of `choices`."""
    good = isinstance(value, str) and value in choices
    require(
        good,
        argument,
        value,
        f"be one of {', '.join(map(repr, choices))}",
        "choose one of these names",
    )
    return value


def mask_of(values: object) -> Array | None:
    """Return where entries are masked, or None where none is.

    Seen are numpy's masked arrays and other array classes with a `mask` (astropy's), those within lists, and those that
    carry units or labels (pint's `magnitude`, xarray's `data`). Missing values that are stored as NaN are no mask.

    Parameters
    ----------
    values : anything that `numpy.asarray` takes

    Returns
    -------
    ndarray of bool, of the shape of `numpy.asarray(values)`, or None
    """
    if type(values) in _MASKLESS or isinstance(values, numbers.Number | str | bytes):
        return None
    if isinstance(values, np.ma.MaskedArray):
        return _unless_empty(np.ma.getmaskarray(values))
    if isinstance(values, np.ndarray):
        return _unless_empty(np.asarray(getattr(values, "mask", False)))
    if isinstance(values, list | tuple):
        return _mask_of_items(values)
    for name in ("magnitude", "data"):
        inside = getattr(values, name, None)
        if isinstance(inside, np.ndarray) or hasattr(inside, "magnitude"):
            return mask_of(inside)
    return None


def _mask_of_items(values: Sequence[object]) -> Array | None:
    if _PLAIN_NUMBERS.issuperset(map(type, values)):
        return None
    masks = [mask_of(item) for item in values if not isinstance(item, numbers.Number)]
    if all(mask is None for mask in masks):
        return None
    return np.array([_mask_or_clear(item) for item in values])


def _mask_or_clear(item: Any) -> Array:
    mask = mask_of(item)
    return np.zeros(np.shape(item), bool) if mask is None else mask


def _unless_empty(mask: Array) -> Array | None:
    return mask if mask.any() else None


def refuse_masked(argument: str, values: Any) -> None:
    """Refuse masked entries."""
    mask = mask_of(values)
    if mask is not None:
        raise refuse(
            argument,
            f"{mask.sum()} masked entries",
            "hold no masked entries",
            "fill them, or crop to where there are none",
        )


def real_array(
    argument: str, values: Any, ndim: int | None = None, dtype: DTypeLike | None = None
) -> Array:
    """Return `values` as a real float array (float32 kept, all else float64), NaN and inf as they are.

    Masked entries are refused: their fill values are no data.
    """
    plain = type(values) is np.ndarray and values.dtype in _FLOATS
    if not plain:
        refuse_masked(argument, values)
        values = _of_numbers(argument, values)
    if ndim is not None:
        require(
            values.ndim == ndim,
            argument,
            values.shape,
            f"have {ndim} dimension(s)",
            "reshape or slice it",
        )
    kept = dtype or (np.float32 if values.dtype == np.float32 else np.float64)
    return np.asarray(values, dtype=kept)


def _of_numbers(argument: str, values: Any) -> Array:
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError) as error:
        raise refuse(
            argument, values, "be an array of numbers", "give all its rows the same length"
        ) from error
    require(
        array.dtype.kind in "iuf",
        argument,
        array.dtype,
        "hold real numbers",
        "convert it to a float array first",
    )
    return array


def finite_array(
    argument: str, values: Any, ndim: int | None = None, dtype: DTypeLike | None = None
) -> Array:
    """Return `values` as by `real_array`, refusing NaN and inf and saying where."""
    array = real_array(argument, values, ndim, dtype)
    if not np.isfinite(array).all():
        bad = ~np.isfinite(array)
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise refuse(
            argument,
            array[first],
            f"be finite everywhere (first of {int(bad.sum())} bad values at index {first})",
            "fill or crop the bad values",
        )
    return array


def finite_unless_masked(argument: str, values: Any, ndim: int | None = None) -> Array:
    """Return `values` as by `finite_array`, with NaN in place of masked entries, which are the only ones that may be."""
    mask = mask_of(values)
    if mask is None:
        return finite_array(argument, values, ndim)
    if isinstance(values, list | tuple):
        values = np.stack([np.ma.getdata(item) for item in values])
    values = np.asarray(getattr(values, "magnitude", getattr(values, "data", values)))
    require(
        mask.shape == values.shape, argument, mask.shape, "have a mask of its shape", "mask all"
    )
    array = finite_array(argument, np.where(mask, np.ones((), values.dtype), values), ndim)
    require(not mask.all(), argument, "all entries masked", "hold data", "pass unmasked entries")
    return np.where(mask, np.array(np.nan, array.dtype), array)


def finite_vector(argument: str, values: Any) -> Array:
    """Return one number or a sequence of them as (n,) float64; raise where `finite_array` does."""
    vector = np.atleast_1d(finite_array(argument, values, dtype=np.float64))
    require(vector.ndim == 1, argument, vector.shape, "have 1 dimension(s)", "reshape or slice it")
    return vector


def float_dtype(dtype: object) -> np.dtype[Any]:
    """Return the numpy dtype, refusing all but float32 and float64."""
    try:
        kind: Any = np.dtype(cast(Any, dtype))
    except (TypeError, ValueError, KeyError):
        kind = None
    good = kind is not None and kind in (np.dtype(np.float32), np.dtype(np.float64))
    require(good, "dtype", dtype, "be float32 or float64", "pass numpy.float32 or numpy.float64")
    return kind


def grid_shape(argument: str, n: Any, minimum: int = 4) -> tuple[int, int]:
    """Return (rows, cols) from an int (square) or a pair of ints, each at least `minimum`."""
    pair = (n, n) if isinstance(n, numbers.Integral) else n
    good = (
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and all(
            isinstance(k, numbers.Integral)
            and not isinstance(k, bool)
            and minimum <= int(k) < 2**31
            for k in pair
        )
    )
    require(
        good,
        argument,
        n,
        f"be a whole number or (rows, cols), each at least {minimum} and below 2^31",
        "pass a size that fits",
    )
    return int(pair[0]), int(pair[1])


def _is_finite(value: Any) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    if not isinstance(value, numbers.Real) or isinstance(value, bool | np.bool_):
        return False
    try:
        return bool(np.isfinite(float(value)))
    except OverflowError:
        return False
