"""One table a family: a member without a test, a line of documentation or a place in the campaign fails here.

A family's members are read from the code itself; what covers them is read from the tables that the common tests are
parametrised over. Nothing has to be entered here when a member is added, and nothing can be forgotten.
"""

import inspect
import re
import types
from collections.abc import Callable
from dataclasses import dataclass

import pytest

import landscape_viz
import multifractal
from campaign import boundary
from landscape_viz.loss import metrics
from multifractal.reproduction import page
from multifractal.walkers import optimizers
from tests.conftest import ROOT
from tests.landscape_viz import test_probes_leave_no_trace as probes
from tests.landscape_viz.loss import test_metrics
from tests.multifractal.landscapes import test_generators
from tests.multifractal.walkers import test_field
from tools import api_reference

NOT_IN_THE_CAMPAIGN = {  # public functions that the odd arguments of the campaign do not reach, and why
    "multifractal.figures": "draws results that this package has made",
    "landscape_viz.recurrent": "networks by size, and arrays that belong to them",
    "landscape_viz.models": "networks by size; `models.build`, which calls them, is reached",
    "landscape_viz.checkpoint": "tried with damaged files instead (campaign/trial_damage.py)",
    **dict.fromkeys(
        ("fetch", "accept", "inventory", "verify", "find"),
        "needs the record's files; damaged ones and downloads have trials of their own",
    ),
    **dict.fromkeys(
        ("train_full_batch", "training_table", "walk_table", "fractal_report", "seconds_per_step"),
        "takes seconds a call; killed and resumed by trials of their own",
    ),
    **dict.fromkeys(
        (
            "sharpness_over_edge",
            "training_displacement",
            "regime_exponents",
            "negative_eigenvalues",
        ),
        "takes a result or a run that this package has made",
    ),
    "digits": "takes no arguments",
    "in_words": "takes what `training.evaluate` returned",
    "from_h5": "needs a file of plot_surface.py; damaged ones have a test of their own",
}


@dataclass(frozen=True)
class Family:
    """Members by name, as the code has them, and the names that each kind of cover holds."""

    members: Callable
    covers: dict  # kind: function that returns names


def public_functions():
    """Return {name: function} of every public function, by package and name."""
    return {
        f"{package}.{name}": thing
        for package in api_reference.PACKAGES
        for name, thing in api_reference.public(package)
        if inspect.isfunction(thing)
    }


def drawn():
    """Return the generators: public functions of the chapter of landscapes that draw from `rng`."""
    return {
        name.split(".")[-1]
        for name, function in public_functions().items()
        if function.__module__.startswith("multifractal.landscapes.")
        and "rng" in inspect.signature(function).parameters
    }


def probing():
    """Return the probes: public functions of the networks' chapters that take a problem or an operator, and run it."""
    chapters = ("curvature", "degeneracy", "monitor", "sharpness", "dynamics", "connectivity")
    return {
        name.split(".")[-1]
        for name, function in public_functions().items()
        if name.startswith("landscape_viz.")
        and function.__module__.split(".")[1] in chapters
        and {"problem", "operator"} & set(inspect.signature(function).parameters)
    }


def reached():
    """Return the names of the campaign's calls, and of what is left out with a reason."""
    called = {name.split(" ")[0].split(".")[-1] for name in boundary.calls()}
    return called | {
        name.split(".")[-1]
        for name in public_functions()
        if any(
            name.startswith(f"{reason}.") or name.split(".")[-1] == reason
            for reason in NOT_IN_THE_CAMPAIGN
        )
    }


def words_of(function):
    """Return the words in a docstring."""
    return set(re.findall(r"[\w-]+", inspect.getdoc(function)))


def words_of_tests(*folders):
    """Return the words in the test files below folders, this file left out."""
    files = (path for folder in folders for path in (ROOT / "tests" / folder).rglob("test_*.py"))
    return set(re.findall(r"\w+", "".join(path.read_text() for path in files)))


FAMILIES = {
    "update rules": Family(
        lambda: set(optimizers._DEFAULTS),
        {
            "the textbook's steps": lambda: set(test_field.RULES),
            "the docstring of descend": lambda: words_of(multifractal.descend),
        },
    ),
    "metrics": Family(
        lambda: set(metrics.METRICS),
        {
            "the docstring of section": lambda: words_of(landscape_viz.section),
            "the test against plain torch": lambda: set(test_metrics.TRUTH),
        },
    ),
    "probes": Family(
        probing,
        {"the test that they leave no trace": lambda: set(probes.PROBES), "the campaign": reached},
    ),
    "claims": Family(
        lambda: {claim.name for claim in page.claims()},
        {"tests on controls": lambda: words_of_tests("multifractal/reproduction")},
    ),
    "generators": Family(
        drawn,
        {
            "the test that bits are kept": lambda: set(test_generators.CALLS),
            "tests": lambda: words_of_tests("multifractal/landscapes"),
            "the campaign": lambda: {n.split(" ")[0].split(".")[-1] for n in boundary.calls()},
        },
    ),
    "public functions": Family(
        lambda: {name.split(".")[-1] for name in public_functions()}, {"the campaign": reached}
    ),
}
CASES = [(name, kind) for name, family in FAMILIES.items() for kind in family.covers]


def uncovered(name, kind):
    """Return the members of a family that a kind of cover lacks."""
    family = FAMILIES[name]
    return family.members() - family.covers[kind]()


@pytest.mark.parametrize(("name", "kind"), CASES, ids=[": ".join(case) for case in CASES])
def test_every_member_is_covered(name, kind):
    """Each member of a family has its test, its words and its place in the campaign."""
    assert FAMILIES[name].members(), name
    assert uncovered(name, kind) == set()


NOBODY = "tested_by_" + "nobody"  # in two parts, so that no test file holds the word


def fake(problem, *, rng):
    """Do what nobody has tested."""


def add_function(monkeypatch, package, home):
    """Let a package have a public function `fake` of a module."""
    monkeypatch.setattr(fake, "__module__", home)
    public = api_reference.public
    monkeypatch.setattr(
        api_reference,
        "public",
        lambda asked: public(asked) + ([(NOBODY, fake)] if asked == package else []),
    )


FAKES = {  # how a careless contributor would add a member to each family
    "update rules": lambda m: m.setitem(optimizers._DEFAULTS, NOBODY, {}),
    "metrics": lambda m: m.setattr(metrics, "METRICS", (*metrics.METRICS, NOBODY)),
    "probes": lambda m: add_function(m, "landscape_viz", "landscape_viz.sharpness"),
    "claims": lambda m: m.setattr(page, "claims", lambda: [types.SimpleNamespace(name=NOBODY)]),
    "generators": lambda m: add_function(m, "multifractal", "multifractal.landscapes.brownian"),
    "public functions": lambda m: add_function(m, "multifractal", "multifractal.geometry.minima"),
}


@pytest.mark.parametrize(("name", "kind"), CASES, ids=[": ".join(case) for case in CASES])
def test_a_member_without_cover_is_found(name, kind, monkeypatch):
    """A member that is added to a family's own table, and nowhere else, fails the test above."""
    assert set(FAKES) == set(FAMILIES)
    FAKES[name](monkeypatch)
    assert uncovered(name, kind) == {NOBODY}


def test_each_reason_is_still_needed():
    """What is said to be out of the campaign's reach exists, and is out of reach."""
    called = {name.split(" ")[0].split(".")[-1] for name in boundary.calls()}
    short = {name.split(".")[-1] for name in public_functions()}
    for reason in NOT_IN_THE_CAMPAIGN:
        if "." not in reason:
            assert reason in short - called, reason
