"""Packages that not every user needs: which extra of this one brings each, and the pip line where one is missing."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

DISTRIBUTION = "multifractal-landscapes"

EXTRAS = {  # by the name that is imported
    "plotly": "interactive",
    "pooch": "fetch",
    "sklearn": "training",
    "jax": "training",
    "jaxlib": "training",
    "openTSNE": "training",
    "torch": "networks",
    "torchvision": "networks",
    "pandas": "networks",
    "tabulate": "exchange",
    "xarray": "exchange",
    "h5py": "exchange",
    "nbformat": "demo",
    "nbclient": "demo",
    "nbconvert": "demo",
    "latex2mathml": "demo",
}


class MissingExtraError(ModuleNotFoundError):
    """A package of an extra is not installed; the message holds the line that installs it."""


def needed(name: str) -> Any:
    """Import a module of an optional package and return it.

    Raises
    ------
    MissingExtraError
        Where it is not installed, with the line that installs it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise in_words(error) from None


def explained(get: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a module's `__getattr__` that names the pip line where what it loads needs a package that is not installed."""

    @functools.wraps(get)
    def wrapped(name: str) -> Any:
        try:
            return get(name)
        except ModuleNotFoundError as error:
            raise in_words(error) from error

    return wrapped


def in_words(error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Return the error that names the pip line where a package of an extra is missing; any other error as it is."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return error
    line = f"pip install '{DISTRIBUTION}[{EXTRAS[package]}]'"
    checkout = f"in a checkout: pip install -e '.[{EXTRAS[package]}]'"
    return MissingExtraError(
        f"this needs {package}, which is not installed; {line} ({checkout})", name=error.name
    )
