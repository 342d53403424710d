"""One word for one thing in every public signature, and remedies that name arguments which exist."""

import inspect
import re
import textwrap

import pytest

from multifractal.base.result import Result
from tests.conftest import ROOT
from tests.helpers import remedies
from tools import api_reference

pytestmark = pytest.mark.quick

CALLABLES = {
    f"{package}.{name}": thing
    for package in api_reference.PACKAGES
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


NEVER_READ = {  # remedies that this reader never meets, and why
    "LossLandscapeAnalyzer.visualize_2d_landscape calls section": "only a section with a file meets an old one",
    "diffusion_diagram calls save_arrays": "it writes the files that it has just found missing",
}


def test_remedies_name_arguments_that_exist():
    """Whoever is told to pass x= called a public function that takes x, and hands it on to where it matters."""
    public = {name.split(".")[-1] for name in CALLABLES}
    functions = remedies.functions_of((ROOT / "multifractal", ROOT / "landscape_viz"), public)
    assert sum(len(function.asks) for function in functions) > 20
    found = remedies.complaints(functions)
    assert [one for one in found if one.split(", ")[0] not in NEVER_READ] == []
    assert all(any(one.startswith(known) for one in found) for known in NEVER_READ)


def test_a_remedy_without_its_argument_is_found(tmp_path):
    """The rule can fail: a reader that lacks the argument, and one that does not hand it on, are both named."""
    (tmp_path / "module.py").write_text(
        textwrap.dedent("""
        def check(path):
            raise ValueError(f"path must not exist, got {path}; pass overwrite=True")

        def write(path, overwrite=False):
            raise ValueError("path must not exist; pass overwrite=True or another")

        def draw(path):
            check(path)

        def save(path, overwrite=False):
            write(path)
        """)
    )
    functions = remedies.functions_of([tmp_path], {"draw", "save"})
    assert remedies.complaints(functions) == [
        "draw is told to pass overwrite= by check, and has no such argument",
        "save calls write, whose remedy is overwrite=, without it",
    ]
