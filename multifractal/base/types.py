"""The types of arguments and results that recur: what a signature says in one word."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike as ArrayLike
from numpy.typing import DTypeLike as DTypeLike

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""What results hold and functions return."""

Rng: TypeAlias = int | np.integer[Any] | np.random.SeedSequence | np.random.Generator
"""What random numbers come from: a seed, or a source of them."""

PathLike: TypeAlias = str | os.PathLike[str]
"""Where a file or a folder is."""

Shape: TypeAlias = int | tuple[int, int]
"""Sides of a grid: one for a square, or (rows, cols)."""

Pair: TypeAlias = tuple[float, float] | list[float] | Array
"""Two numbers, the first the smaller."""


class Executor(Protocol):
    """What runs work elsewhere: that of concurrent.futures, dask, mpi4py or submitit, or any that can be submitted to."""

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Any:
        """Return the future of `function(*args)`, whose `result()` waits for it."""
