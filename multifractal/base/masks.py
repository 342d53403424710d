"""Masked entries: found whatever wraps them, so that no fill value is ever taken for data.

`numpy.asarray` drops a mask without a word. Every array that a user passes is asked here first: `base.checks` refuses masked
entries, and where a formula leaves them out exactly (the variogram and TAMSD over pairs, wavelet coefficients that touch data
only) they are read as NaN.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from multifractal.base.types import Array


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
    if isinstance(values, numbers.Number | str | bytes) or values is None:
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
    masks = [mask_of(item) for item in values if not isinstance(item, numbers.Number)]
    if all(mask is None for mask in masks):
        return None
    return np.array([_mask_or_clear(item) for item in values])


def _mask_or_clear(item: Any) -> Array:
    mask = mask_of(item)
    return np.zeros(np.shape(item), bool) if mask is None else mask


def _unless_empty(mask: Array) -> Array | None:
    return mask if mask.any() else None
