"""Old names that still work: one warning for all, saying the new name and when the old one goes."""

from __future__ import annotations

import functools
import importlib
import sys
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])
GOES = "2.0"  # the version in which old names go, unless another is given


def renamed(*, goes: str = GOES, **old_to_new: str) -> Callable[[F], F]:
    """Decorate a function (or a class) some of whose arguments have new names: the old ones are accepted with a warning.

    `@renamed(seed="rng")` lets callers pass `seed=`; the function itself, its signature and its docstring know `rng` only.

    Raises
    ------
    TypeError
        By the decorated function, when a caller passes both names.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def accepting(*args: Any, **kwargs: Any) -> Any:
            for old in old_to_new.keys() & kwargs.keys():
                new = old_to_new[old]
                if new in kwargs:
                    raise TypeError(
                        f"{function.__name__}() got {new!r} and also {old!r}, its former name; pass {new}= only"
                    )
                warn(f"the argument {old!r} of {function.__name__}()", f"{new!r}", goes)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return cast(F, accepting)

    return decorate


class FormerName:
    """The old name of an attribute, which gives the new one with a warning: `window = FormerName("smoothing")`."""

    def __init__(self, new: str, *, goes: str = GOES) -> None:
        self.new, self.goes = new, goes

    def __set_name__(self, owner: type, name: str) -> None:
        self.old = f"{owner.__name__}.{name}"

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Return the new attribute."""
        if instance is None:
            return self
        warn(self.old, self.new, self.goes)
        return getattr(instance, self.new)


def renamed_names(
    module: str,
    *,
    goes: str = GOES,
    otherwise: Callable[[str], Any] | None = None,
    **old_to_new: str,
) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module some of whose names are new: each old one gives the new object, with a warning.

    Parameters
    ----------
    module : str
        `__name__` of the module.
    otherwise : callable, optional
        The `__getattr__` that the module has already, asked for all other names.
    **old_to_new : str
        Old name to new name in the same module, or to "other.module:name".
    """

    def getattr_(name: str) -> Any:
        if name in old_to_new:
            home, _, new = old_to_new[name].rpartition(":")
            warn(f"{module}.{name}", f"{home or module}.{new}", goes)
            return getattr(importlib.import_module(home or module), new)
        if otherwise is not None:
            return otherwise(name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return getattr_


def renamed_module(old: str, new: str, *, goes: str = GOES) -> None:
    """Make `import old` give the module `new`, with a warning: the one line of a file that holds the old name."""
    warn(old, new, goes, stacklevel=4)  # whoever imports the file
    sys.modules[old] = importlib.import_module(new)


def warn(old: str, new: str, goes: str = GOES, *, stacklevel: int = 3) -> None:
    """Warn that `old` is now `new`, by default whoever called the function that calls this one."""
    message = f"{old} is now {new}; the old name goes in version {goes}"
    warnings.warn(message, DeprecationWarning, stacklevel=stacklevel)
