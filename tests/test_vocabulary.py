"""One word for one thing in every public signature, and remedies that name arguments which exist."""

import inspect
import re

import pytest

from multifractal.base.result import Result
from tests.conftest import ROOT
from tools import api_reference

pytestmark = pytest.mark.quick

CALLABLES = {
    f"{package}.{name}": thing
    for package in ("multifractal", "multifractal.figures", "multifractal.source_data")
    for name, thing in api_reference.public(package)
    if inspect.isfunction(thing) or inspect.isclass(thing)
}


def names_table():
    """Return {word never used: (the name, where it is right)} of CONTRIBUTING's table of names."""
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## Names")[1].split("## Conventions")[0]
    rows = [line.strip("|\n").split("|") for line in text.splitlines() if line.startswith("| `")]
    return {
        word: (re.findall(r"`(\w+)`", name)[0], re.findall(r"`([\w.]+)`", but))
        for name, _, never, but in rows
        for word in re.findall(r"`(\w+)`", never)
    }


def signatures(callables):
    """Yield (name, arguments) of each function, constructor and public method; a result is built by the package alone."""
    for name, thing in callables.items():
        if inspect.isfunction(thing):
            yield name, list(inspect.signature(thing).parameters)
            continue
        if not issubclass(thing, Result) and "__init__" in vars(thing):
            yield name, list(inspect.signature(thing.__init__).parameters)[1:]
        for member, value in vars(thing).items():
            function = getattr(value, "__func__", value)
            if not member.startswith("_") and inspect.isfunction(function):
                yield f"{name}.{member}", list(inspect.signature(function).parameters)[1:]


def strangers(callables):
    """Return 'function.argument: name' for each argument that goes by a word which the table rules out."""
    table = names_table()
    return [
        f"{name}.{argument}: {table[argument][0]}"
        for name, arguments in signatures(callables)
        for argument in arguments
        if argument in table
        and not any(f"{name}.{argument}".endswith(f".{but}") for but in table[argument][1])
    ]


def test_one_word_for_one_thing():
    """No public signature of either library uses a word that the table of names rules out."""
    assert len(names_table()) > 20
    assert strangers(CALLABLES) == []


def test_a_stranger_is_found():
    """The rule can fail: a function that takes `seed` and `eta` is named with the words it should use."""

    def walk(surface, eta, *, seed):
        """Do nothing."""

    assert strangers({"multifractal.walk": walk}) == [
        "multifractal.walk.surface: landscape",
        "multifractal.walk.eta: learning_rate",
        "multifractal.walk.seed: rng",
    ]


def test_each_exception_is_one():
    """What the table allows by name exists and would be refused without: no exception outlives its reason."""
    used = {f"{name}.{argument}" for name, found in signatures(CALLABLES) for argument in found}
    for word, (_, allowed) in names_table().items():
        for but in allowed:
            if but.endswith(f".{word}"):
                assert any(one.endswith(f".{but}") for one in used), but
