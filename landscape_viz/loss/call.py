"""Callables and code: importable by name, described in words, and distinguished by digests, without pickling anything."""

import ast
import functools
import hashlib
import importlib
import inspect
import os
import sys
import textwrap
import types

import numpy as np
import torch
from torch import nn

from multifractal.base.checks import refuse

_LIBRARIES = ("torch", "numpy", "builtins", "multifractal")


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
    """Return `value` as text that differs when the value differs: names of callables, digests of tensors and networks."""
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
    if isinstance(value, dict):
        return f"{{{', '.join(f'{k!r}: {in_words(v)}' for k, v in value.items())}}}"
    if isinstance(value, np.ndarray) or hasattr(value, "untyped_storage"):
        return digest([("", value)])
    if isinstance(value, torch.nn.Module):
        return f"{_kind(value)} {digest(_tensors(value))}"
    return f"{_kind(value)}{_plain_attributes(value)}"


def digest(named_arrays):
    """Return a short SHA-256 of (name, tensor or array) pairs: their names, dtypes, shapes and bytes."""
    total = hashlib.sha256()
    for name, array in named_arrays:
        array = np.ascontiguousarray(_as_numpy(array))
        total.update(f"{name}|{array.dtype.str}|{array.shape}".encode())
        total.update(array.reshape(-1).view(np.uint8).data if array.size else b"")
    return f"sha256:{total.hexdigest()[:32]}"


def code_digest(*values):
    """Return a short SHA-256 of the code of functions, classes, partials and networks, and of what they call in their module.

    Comments and layout do not count; installed packages are left to their versions.
    """
    seen, waiting, parts = set(), list(values), []
    while waiting:
        value = waiting.pop(0)
        for piece in _pieces(value):
            if id(piece) in seen or _of_library(piece):
                continue
            seen.add(id(piece))
            parts.append(_text(piece))
            waiting += _called_by(piece)
    return f"sha256:{hashlib.sha256(chr(0).join(sorted(parts)).encode()).hexdigest()[:32]}"


def _kind(value):
    return f"{type(value).__module__}:{type(value).__qualname__}"


def _tensors(module):
    return [(k, v) for k, v in sorted(module.state_dict().items()) if isinstance(v, torch.Tensor)]


def _plain_attributes(value):
    """Return an object's attributes in words, those that have any."""
    plain = (str, int, float, bool, torch.Tensor, np.ndarray, functools.partial, type(in_words))
    own = {k: v for k, v in getattr(value, "__dict__", {}).items() if isinstance(v, plain)}
    return f"({', '.join(f'{k}={in_words(v)}' for k, v in sorted(own.items()))})" if own else ""


def _as_numpy(array):
    if isinstance(array, np.ndarray):
        return array
    array = array.detach().cpu()
    if array.is_sparse or array.layout is not torch.strided:
        array = array.to_dense()
    array = array.resolve_conj().resolve_neg()
    return array.float().numpy() if array.dtype is torch.bfloat16 else array.numpy()


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


def _pieces(value):
    """Return the functions and classes that a value is made of."""
    if isinstance(value, functools.partial):
        return [
            p for part in (value.func, *value.args, *value.keywords.values()) for p in _pieces(part)
        ]
    if isinstance(value, nn.Module):
        kinds = {type(module) for module in value.modules()}
        own = [v for m in value.modules() for v in vars(m).values() if inspect.isfunction(v)]
        return sorted(kinds, key=lambda kind: kind.__qualname__) + own
    if inspect.ismethod(value):
        return [value.__func__]
    if inspect.isfunction(value) or inspect.isclass(value):
        return [value]
    inner = [v for v in getattr(value, "__dict__", {}).values() if callable(v)]
    return [p for part in inner for p in _pieces(part)]


def _of_library(piece):
    """Whether a piece belongs to an installed package, whose version tells its code."""
    name = getattr(piece, "__module__", None) or "builtins"
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return (
        name.split(".")[0] in _LIBRARIES
        or name in sys.builtin_module_names
        or ("site-packages" in file or file.startswith(os.path.dirname(os.__file__)))
    )


def _text(piece):
    """Return the code of a function or class without comments and layout; its bytecode where there is no source."""
    try:
        source = textwrap.dedent(inspect.getsource(piece))
    except (OSError, TypeError):
        return _bytecode(piece)
    try:
        return ast.dump(ast.parse(source))
    except SyntaxError:  # a lambda inside an expression
        return source.strip()


def _bytecode(piece):
    functions = [piece] if inspect.isfunction(piece) else _functions(piece)
    return repr([_constants(function.__code__) for function in functions])


def _constants(code):
    inner = [_constants(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return code.co_code.hex(), code.co_names, inner


def _functions(piece):
    return [v for _, v in sorted(vars(piece).items()) if inspect.isfunction(v)]


def _called_by(piece):
    """Return the functions and classes of the same module that a piece names."""
    module = sys.modules.get(piece.__module__)
    functions = [piece] if inspect.isfunction(piece) else _functions(piece)
    names = {name for function in functions for name in _names(function.__code__)}
    found = [vars(module).get(name) for name in sorted(names)] if module else []
    bases = list(piece.__bases__) if inspect.isclass(piece) else []
    return [v for v in found if inspect.isfunction(v) or inspect.isclass(v)] + bases


def _names(code):
    inner = [_names(c) for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*inner)
