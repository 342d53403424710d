"""docs/evidence.md names every algorithm, and tests that exist."""

import inspect
import re
from pathlib import Path

import landscape_viz
import multifractal
from landscape_viz import directions, dynamics, sharpness, trajectory

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/evidence.md").read_text()


def _algorithms():
    """Return the public functions of both libraries, and of the chapters of `landscape_viz` that are used by name."""
    found = {
        n: f
        for m in (multifractal, landscape_viz)
        for n in set(m.__all__) - {"probe_figures"}
        if inspect.isfunction(f := getattr(m, n))
    }
    for module in (directions, dynamics, sharpness, trajectory):
        functions = inspect.getmembers(module, inspect.isfunction)
        found |= {n: f for n, f in functions if n[0] != "_" and f.__module__ == module.__name__}
    return found


def test_every_algorithm_is_on_the_page():
    """Each public function is named in backticks: with its evidence, as put together from others, or as without any."""
    named = set(re.findall(r"`(\w+)`", PAGE))
    assert sorted(set(_algorithms()) - named) == []


def test_every_test_on_the_page_exists():
    """Each `file::test` is a function of that file, and each row has one."""
    rows = [
        row for row in PAGE.splitlines() if row.startswith("| ") and "value from outside" not in row
    ]
    for row in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert tests, row
        for file, test in tests:
            assert f"def {test}(" in (ROOT / file).read_text(), row


def test_what_has_no_evidence_says_so_in_its_docstring():
    """The functions of the last section carry the sentence, and no other does."""
    without = set(re.findall(r"`(\w+)`", PAGE.split("## Nothing from outside")[1]))
    saying = {
        n
        for n, f in _algorithms().items()
        if "No value from outside stands behind it" in " ".join(f.__doc__.split())
    }
    assert without == saying
    assert without
