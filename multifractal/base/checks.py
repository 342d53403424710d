"""Checks at the public boundary: every refusal names the argument, its value, the rule and the remedy."""

from __future__ import annotations

import numbers
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from multifractal.base.masks import mask_of
from multifractal.base.types import Array, DTypeLike

S = TypeVar("S", bound=str | None)


def refuse(argument: str, value: Any, rule: str, remedy: str) -> ValueError:
    """Return the ValueError that says `argument` broke `rule`; the caller raises it."""
    text = (
        np.array2string(value, threshold=6, precision=6)
        if isinstance(value, np.ndarray)
        else repr(value)
    )
    return ValueError(f"{argument} must {rule}, got {text}; {remedy}")


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


def refuse_masked(argument: str, values: Any) -> None:
    """Refuse masked entries."""
    mask = mask_of(values)
    require(
        mask is None,
        argument,
        f"{0 if mask is None else mask.sum()} masked entries",
        "hold no masked entries",
        "fill them, or crop to where there are none",
    )


def real_array(
    argument: str, values: Any, ndim: int | None = None, dtype: DTypeLike | None = None
) -> Array:
    """Return `values` as a real float array (float32 kept, all else float64), NaN and inf as they are.

    Masked entries are refused: their fill values are no data.
    """
    refuse_masked(argument, values)
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError) as error:
        raise refuse(
            argument, values, "be an array of numbers", "give all its rows the same length"
        ) from error
    require(
        np.issubdtype(array.dtype, np.number) and not np.iscomplexobj(array),
        argument,
        array.dtype,
        "hold real numbers",
        "convert it to a float array first",
    )
    if ndim is not None:
        require(
            array.ndim == ndim,
            argument,
            array.shape,
            f"have {ndim} dimension(s)",
            "reshape or slice it",
        )
    kept = dtype or (np.float32 if array.dtype == np.float32 else np.float64)
    return np.asarray(array, dtype=kept)


def finite_array(
    argument: str, values: Any, ndim: int | None = None, dtype: DTypeLike | None = None
) -> Array:
    """Return `values` as by `real_array`, refusing NaN and inf and saying where."""
    array = real_array(argument, values, ndim, dtype)
    bad = ~np.isfinite(array)
    if bad.any():
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
    if not isinstance(value, numbers.Real) or isinstance(value, bool | np.bool_):
        return False
    try:
        return bool(np.isfinite(float(value)))
    except OverflowError:
        return False
