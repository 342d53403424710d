"""Settings are approved: defaults of public functions, options of the scripts, and the constants that protocols are made of.

No outside truth says that a study takes 30 seeds or that a default is 0.1: what can be said is that nobody changed it without
meaning to. `tests/helpers/approved.py` tells how a change is approved; a changed default is a line of the CHANGELOG.
"""

import argparse
import dataclasses
import importlib
import inspect
import re

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.helpers import approved
from tests.helpers.drawn import digest
from tests.test_types import functions_of
from tests.test_vocabulary import CALLABLES

SCRIPTS = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for pattern in (
        "*.py",
        "experiments/**/*.py",
        "multifractal/*/__main__.py",
        "landscape_viz/studies/*_command.py",
    )
    for path in ROOT.glob(pattern)
    if "published_findings" not in path.parts and "\ndef main(" in path.read_text()
)
PROTOCOLS = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for folder in (
        "multifractal/reproduction",
        "multifractal/measured",
        "landscape_viz/studies",
        "experiments",
    )
    for path in (ROOT / folder).rglob("*.py")
    if "published_findings" not in path.parts
    and path.name not in ("__init__.py", "__main__.py")
    and "figures" not in path.name
)


class Parsed(Exception):  # noqa: N818  no error: it brings the parser
    """What a script's command line is, instead of its work."""


def written(value):
    """Return a setting as JSON can hold it, without addresses; None for what is no setting."""
    if isinstance(value, bool | int | float | str | type(None)):
        return value
    if isinstance(value, np.ndarray):
        return digest(value)
    if isinstance(value, dict):
        return {getattr(key, "__name__", str(key)): written(v) for key, v in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return [
            written(v)
            for v in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)
        ]
    if isinstance(value, slice | range):
        return repr(value)
    return getattr(value, "__name__", type(value).__name__)


def options(parser):
    """Return every option of a parser and of its commands."""
    found = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {name: options(command) for name, command in action.choices.items()}
        elif not isinstance(action, argparse._HelpAction):
            name = " ".join(action.option_strings) or action.dest
            kind = getattr(action.type, "__name__", None)
            choices = list(map(str, action.choices or ()))
            default = re.sub(
                r"^/.*/", "", str(written(action.default))
            )  # no folder of this machine
            found[name] = [default, kind, str(action.nargs), choices, type(action).__name__]
    return found


@pytest.mark.parametrize("package", ["multifractal", "landscape_viz"])
def test_defaults_are_as_approved(package):
    """Each default of each public function, method and constructor."""
    found = {}
    for name, function in functions_of(CALLABLES):
        if name.startswith(f"{package}."):
            arguments = inspect.signature(function).parameters.values()
            given = {a.name: written(a.default) for a in arguments if a.default is not a.empty}
            found |= {name: given} if given else {}
    approved.check_all(f"defaults.{package}", found)


@pytest.mark.parametrize("script", SCRIPTS)
def test_options_are_as_approved(script, monkeypatch):
    """Each option of a script with its default, type and choices; nothing of its work is done."""

    def parsed(parser, *_, **__):
        raise Parsed(parser)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", parsed)
    with pytest.raises(Parsed) as caught:
        importlib.import_module(script).main([])
    approved.check("options", script, options(caught.value.args[0]), rtol=1e-12)


@pytest.mark.parametrize("module", PROTOCOLS)
def test_constants_of_protocols_are_as_approved(module):
    """Numbers, names and tables at the top of the modules that measure for the report, the studies and the experiments."""
    there = importlib.import_module(module)
    found = {
        name: written(value)
        for name, value in sorted(vars(there).items())
        if re.fullmatch(r"_?[A-Z][A-Z0-9_]*", name)
        and isinstance(value, bool | int | float | str | tuple | list | dict | slice | np.ndarray)
        and not str(value).startswith("/")
    }
    approved.check("constants", module, found, rtol=1e-12)


def constants_and_defaults(module):
    """Return the numbers at the top of a module, and the defaults of its own functions and classes, private ones included."""
    found = {}
    for name, value in sorted(vars(module).items()):
        if re.fullmatch(r"_?[A-Z][A-Z0-9_]*", name):
            if isinstance(value, dict) and value and all(map(inspect.isclass, value.values())):
                continue  # a register of classes holds what has been imported so far
            if isinstance(value, int | float | tuple | list | dict | np.ndarray):
                found |= {} if isinstance(value, bool) else {name: written(value)}
            elif dataclasses.is_dataclass(value) and not isinstance(value, type):
                parts = {k: v for k, v in vars(value).items() if isinstance(v, int | float | tuple)}
                found |= {name: written(parts)} if parts else {}
        elif getattr(value, "__module__", "") == module.__name__ and inspect.isroutine(value):
            found |= defaults_of(name, value)
        elif getattr(value, "__module__", "") == module.__name__ and inspect.isclass(value):
            for part, method in sorted(vars(value).items()):
                if inspect.isfunction(method):
                    found |= defaults_of(f"{name}.{part}", method)
    return found


def defaults_of(name, function):
    """Return the numbers that a function's arguments are by default."""
    arguments = inspect.signature(function).parameters.values()
    return {
        f"{name}({a.name})": written(a.default)
        for a in arguments
        if isinstance(a.default, int | float | tuple)  # bools too
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of modules under their old names
@pytest.mark.parametrize("package", ["multifractal", "landscape_viz", "experiments"])
def test_numbers_that_algorithms_are_made_of_are_as_approved(package):
    """Constants of all modules and defaults of all their functions; a new one is taken in when the form is next written."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        if "published_findings" in name or path.name.startswith("__"):
            continue
        try:
            numbers = constants_and_defaults(importlib.import_module(name))
        except ImportError:  # of an extra that is not installed
            continue
        found |= {name: numbers} if numbers else {}
    approved.check_kept(f"numbers.{package}", found)
