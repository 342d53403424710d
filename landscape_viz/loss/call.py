"""Importable callables: named so that a worker can find them, and described so that two of them can be compared."""

import functools
import hashlib
import importlib
import pickle

import numpy as np

from multifractal.base.checks import refuse


def importable(argument, value):
    """Return the callable that `value` stands for: a module-level callable, a partial of one, or "module:function"."""
    if isinstance(value, str) and value.count(":") == 1:
        value = _found(argument, value)
    inner = value.func if isinstance(value, functools.partial) else value
    name = getattr(inner, "__qualname__", "<")
    if not callable(inner) or "<" in name or not hasattr(inner, "__module__"):
        raise refuse(
            argument,
            value,
            "be importable: a function or class of a module, a functools.partial of one, or "
            "'module:function'",
            "define it at the top level of a module; lambdas cannot be sent to a worker",
        )
    return value


def in_words(value):
    """Return `value` as text that differs when the value differs: names of callables, digests of tensors and arrays."""
    if isinstance(value, functools.partial):
        arguments = [in_words(v) for v in value.args] + [
            f"{k}={in_words(v)}" for k, v in sorted(value.keywords.items())
        ]
        return f"{in_words(value.func)}({', '.join(arguments)})"
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}:{value.__qualname__}"
    if isinstance(value, str | int | float | bool | None):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(in_words, value))}]"
    if isinstance(value, np.ndarray) or hasattr(value, "untyped_storage"):
        return digest([("", value)])
    return f"{type(value).__name__} sha256:{hashlib.sha256(pickle.dumps(value)).hexdigest()[:16]}"


def digest(named_arrays):
    """Return a short SHA-256 of (name, tensor or array) pairs: their names, dtypes, shapes and bytes."""
    total = hashlib.sha256()
    for name, array in named_arrays:
        array = np.ascontiguousarray(_as_numpy(array))
        total.update(f"{name}|{array.dtype.str}|{array.shape}".encode())
        total.update(array.reshape(-1).view(np.uint8).data if array.size else b"")
    return f"sha256:{total.hexdigest()[:32]}"


def _as_numpy(array):
    if isinstance(array, np.ndarray):
        return array
    array = array.detach().cpu()
    return array.float().numpy() if str(array.dtype) == "torch.bfloat16" else array.numpy()


def _found(argument, name):
    module, _, function = name.partition(":")
    try:
        return functools.reduce(getattr, function.split("."), importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise refuse(
            argument,
            name,
            f"name something that can be imported ({error})",
            "check the spelling of 'module:function'",
        ) from error
