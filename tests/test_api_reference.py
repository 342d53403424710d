"""The API reference is what the docstrings say, and they name every argument."""

import inspect
import re

import pytest

from tools import api_reference

pytestmark = pytest.mark.quick

NAMES = [
    (f"{package}.{name}", thing)
    for package in api_reference.PACKAGES
    for name, thing in api_reference.public(package)
]
FUNCTIONS = [(name, thing) for name, thing in NAMES if inspect.isfunction(thing)]
_CHECKS = re.compile(r"\b(require|refuse|one_of|whole_number|positive_number|finite_array)\(")
_AS_ELSEWHERE = re.compile(r"as (?:for|there|`\w+` of) *`?(\w*)`?")


@pytest.mark.parametrize(("name", "thing"), NAMES, ids=[name for name, _ in NAMES])
def test_every_name_is_told(name, thing):
    """A function or class has a docstring of its own, not one that it inherits; a function's names each argument."""
    if not callable(thing):
        return
    assert thing.__doc__, name
    if inspect.isclass(thing) and thing.__bases__[0].__doc__:
        assert thing.__doc__ != thing.__bases__[0].__doc__, name
    if inspect.isfunction(thing):
        # a module may tell what all its functions take
        doc = inspect.getdoc(thing) + inspect.getmodule(thing).__doc__
        named_elsewhere = " ".join(
            inspect.getdoc(other)
            for word in _AS_ELSEWHERE.findall(doc)
            for full, other in FUNCTIONS
            if full.split(".")[-1] == word
        )
        missing = [
            argument
            for argument in inspect.signature(thing).parameters
            if not re.search(rf"\b{argument}\b", doc + named_elsewhere)
        ]
        assert not missing, f"the docstring of {name} does not tell {missing}"


def test_what_is_refused_is_told():
    """A public function that checks an argument itself says what it raises, or names the rule in words."""
    silent = [
        name
        for name, thing in FUNCTIONS
        if _CHECKS.search(inspect.getsource(thing))
        and not re.search(r"Rais|rais|ValueError|TypeError|refuse", inspect.getdoc(thing))
    ]
    assert silent == []
