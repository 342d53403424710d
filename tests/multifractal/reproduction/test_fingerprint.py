"""The hash of what a function is made of: it changes with what is reached, and with nothing else."""

from types import SimpleNamespace

import pytest

from multifractal.reproduction import fingerprint

FILES = {
    "claim.py": """
        from multifractal.low import helper
        from multifractal import tools
        from multifractal.figures import drawn

        FACTOR = 2.0

        def measure(study):
            from multifractal.late import on_demand
            drawn()
            return helper(FACTOR) + tools.used() + on_demand()

        def judge(found):
            return FACTOR + 1
    """,
    "low.py": """
        LIMIT = 3

        class Thing:
            def method(self):
                return LIMIT

        def helper(x):
            '''Say what it does.'''
            return Thing().method() + x  # why

        def never():
            return 0
    """,
    "tools/__init__.py": "",
    "tools/__init__.pyi": "from ._hidden import used as used\n",
    "tools/_hidden.py": "def used():\n    return 1\n\ndef unused():\n    return 2\n",
    "late.py": "def on_demand():\n    return 1\n",
    "figures/__init__.py": "def drawn():\n    return 1\n",
}
MEASURE = SimpleNamespace(__module__="multifractal.claim", __qualname__="measure")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in the place of this one, read anew at each question."""
    import textwrap

    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    monkeypatch.setattr(fingerprint, "_ROOT", tmp_path)
    yield tmp_path
    forget()


def forget():
    """Empty what has been read."""
    for kept in (fingerprint._module, fingerprint._definition, fingerprint._stub):
        kept.cache_clear()


def asked():
    """Return the hash of `measure` from the files as they are."""
    forget()
    return fingerprint.fingerprint(MEASURE)


def test_what_is_reached_is_found(package):
    """Functions, constants, classes, names handed on by a stub and imports in bodies; no figures, nothing that is not named."""
    forget()
    assert set(fingerprint.reached(MEASURE)) == {
        "multifractal.claim.measure",
        "multifractal.claim.FACTOR",
        "multifractal.low.helper",
        "multifractal.low.Thing",
        "multifractal.low.LIMIT",
        "multifractal.tools._hidden.used",
        "multifractal.late.on_demand",
    }


@pytest.mark.parametrize(
    ("name", "before", "after", "changes"),
    [
        ("claim.py", "FACTOR = 2.0", "FACTOR = 2.5", True),
        ("claim.py", "FACTOR + 1", "FACTOR + 2", False),
        ("low.py", "LIMIT = 3", "LIMIT = 4", True),
        ("low.py", "return LIMIT", "return -LIMIT", True),
        ("low.py", "Say what it does.", "Say more.", False),
        ("low.py", "# why", "# because", False),
        ("low.py", "return 0", "return 1", False),
        ("tools/_hidden.py", "return 1", "return 3", True),
        ("tools/_hidden.py", "return 2", "return 3", False),
        ("late.py", "return 1", "return 3", True),
        ("figures/__init__.py", "return 1", "return 3", False),
    ],
)
def test_it_changes_with_what_is_reached_only(package, name, before, after, changes):
    """One edit at a time: code and constants that are reached count; comments, docstrings and the rest do not."""
    first = asked()
    text = (package / name).read_text()
    assert before in text
    (package / name).write_text(text.replace(before, after))
    assert (asked() != first) == changes


def test_a_function_from_outside_counts_by_its_file():
    """A claim of a user's own is not followed: its whole file counts."""
    assert list(fingerprint.reached(forget)) == [f"{__name__}.forget"]
