"""The one decorator of all compiled kernels: free of the GIL, kept on disk, and never older than the sources they are made of.

Numba's own `cache=True` watches the kernel's file only, while a kernel's machine code holds the kernels it calls and the
constants it names, from whatever file. Here the code kept on disk is marked with a hash of all of them.
"""

from __future__ import annotations

import functools
import hashlib
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numba
import numpy as np
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache

_OPTIONS = {"nogil": True, "fastmath": False, "parallel": False}


def kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile `function` at its first call: it releases the GIL, and its machine code is kept for later processes.

    `@kernel`, or `@kernel(inline="always")` with options of `numba.njit`. Never `fastmath` nor `parallel`: bits must
    depend neither on the processor nor on the number of threads. Where no folder can be written, which is said once, each
    process compiles for itself.
    """
    if function is None:
        return functools.partial(kernel, **options)
    dispatcher = numba.njit(**_OPTIONS, **options)(function)
    _source_hash(
        function.__code__.co_filename
    )  # of what was imported, not of what an edit leaves there later
    dispatcher._cache = _LateCache(cast(types.FunctionType, function))
    return dispatcher


def fingerprint(function: types.FunctionType) -> str:
    """Return a hash of the sources that the machine code of a kernel's Python `function` is made of, and of its constants."""
    package, digest, seen = function.__module__.partition(".")[0], hashlib.sha256(), set()

    def take(value: Any) -> None:
        value = getattr(value, "py_func", value)
        if isinstance(value, types.FunctionType):
            take_function(value)
        elif isinstance(value, types.ModuleType | type):
            module = value if isinstance(value, types.ModuleType) else sys.modules[value.__module__]
            if module.__name__.partition(".")[0] == package and getattr(module, "__file__", None):
                digest.update(_source_hash(module.__file__))
        elif isinstance(value, np.ndarray):
            digest.update(f"{value.dtype} {value.shape}".encode() + value.tobytes())
        else:
            digest.update(repr(value).encode())

    def take_function(f: types.FunctionType) -> None:
        if f in seen:
            return
        seen.add(f)
        digest.update(f.__qualname__.encode() + _source_hash(f.__code__.co_filename))
        for cell in f.__closure__ or ():
            take(cell.cell_contents)
        for name in sorted(_names(f.__code__)):
            if name in f.__globals__:
                digest.update(name.encode())
                take(f.__globals__[name])

    take_function(function)
    return digest.hexdigest()


def _names(code: types.CodeType) -> set[str]:
    """Return all names that a code object and those inside it refer to."""
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


@functools.cache
def _source_hash(path: str) -> bytes:
    try:
        return hashlib.sha256(Path(path).read_bytes()).digest()
    except OSError:  # typed at a prompt, or in an archive
        return b"?" + path.encode()


class _StampedImpl(CompileResultCacheImpl):
    """Where numba would keep the code, with our mark in place of its own."""

    def __init__(self, function: types.FunctionType) -> None:
        super().__init__(function)
        self._locator.get_source_stamp = functools.partial(fingerprint, function)


class _StampedCache(FunctionCache):
    _impl_class = _StampedImpl


class _LateCache(NullCache):
    """Opens the cache at the first compilation, when all that the kernel calls has been defined."""

    def __init__(self, function: types.FunctionType) -> None:
        self._function = function

    @functools.cached_property
    def _cache(self) -> Any:
        try:
            return _StampedCache(self._function)
        except RuntimeError:  # numba found no place
            return _not_kept("no folder for it can be written")

    @property
    def cache_path(self) -> Any:
        return self._cache.cache_path

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return self._cache.load_overload(sig, target_context)
        except OSError as error:
            self.__dict__["_cache"] = _not_kept(error)

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            self._cache.save_overload(sig, data)
        except OSError as error:  # a full disk, a folder that was taken away
            self.__dict__["_cache"] = _not_kept(error)

    def flush(self) -> None:
        self._cache.flush()


@functools.cache
def _warn_once() -> None:
    warnings.warn(
        "compiled kernels cannot be kept on disk, so each process compiles them again (some seconds); "
        "set NUMBA_CACHE_DIR to a folder that you can write",
        RuntimeWarning,
        stacklevel=2,
    )


def _not_kept(reason: object) -> Any:
    _warn_once()
    return NullCache()
