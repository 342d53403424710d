"""The tool of `make mutants`: the slips that it makes, and the table that it writes."""

import ast
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = '''"""Words with 7 in them."""

_SHARE = 0.95


@njit(cache=True)
def kernel(x, n):
    """Return 3 things."""
    return (x[0] + n) * -x[1]


class Store:
    def write(self, file, values, rng=None):
        require(len(values) > 2, "values", values, "hold 3", "pass 3")
        file.flush()
        spread = np.std(values, axis=0, ddof=1)
        noise = [realisation(rng, 0), *(realisation(rng, k) for k in range(2))]
        if spread is None or not spread < 0.5:
            raise ValueError(f"spread {1 + 1}")
        return values.max(), noise, np.log2(spread)
'''


@pytest.fixture(scope="module")
def mutation():
    """The module that makes slips, and the tool over it."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import mutation

        yield mutation
    finally:
        sys.path.remove(str(ROOT / "tools"))


def test_each_kind_of_slip_is_made_where_it_should_be(mutation, tmp_path):
    """Constants, signs, comparisons, axes, streams, names and calls are tried; docstrings, messages and decorators are not."""
    (tmp_path / "multifractal").mkdir()
    (tmp_path / "multifractal/store.py").write_text(TEXT)
    found = mutation.mutants_of("multifractal/store.py", tmp_path)
    slips = {(m.scope, m.kind, m.new.strip()) for m in found}
    expected = {
        ("<module>", "number", "0.9"),
        ("kernel", "operator", "-"),
        ("kernel", "operator", ") /"),
        ("kernel", "sign", ""),
        ("Store.write", "comparison", "<"),
        ("Store.write", "call deleted", "pass"),
        ("Store.write", "axis", "1"),
        ("Store.write", "ddof", "0"),
        ("Store.write", "stream reused", "0"),
        ("Store.write", "and, or", "and"),
        ("Store.write", "comparison", "is not"),
        ("Store.write", "name exchanged", "values.min"),
        ("Store.write", "name exchanged", "np.log"),
        ("Store.write", "number", "0.6"),
    }
    assert expected <= slips
    assert {m.area for m in found if m.scope == "kernel"} == {"kernels"}
    assert not [m for m in found if "7" in m.old or m.line in (6, 19)]
    for mutant in found:
        changed = mutant.apply(TEXT)
        assert changed != TEXT
        ast.parse(changed)
    assert len({m.key for m in found}) == len(found)


def test_the_slips_of_this_tree_are_many_and_can_be_parsed(mutation):
    """320 are drawn over all eight areas, every second one again when fewer are asked for, and each is Python."""
    drawn = mutation.chosen(ROOT, 320)
    assert 300 <= len(drawn) <= 340
    assert {m.area for m in drawn} == {"kernels", *mutation.AREAS}
    assert {m.key for m in mutation.chosen(ROOT, 100)} < {m.key for m in drawn}
    for mutant in drawn[::8]:
        ast.parse(mutant.apply((ROOT / mutant.path).read_text()))


def test_the_table_counts_by_area_and_names_the_survivors(mutation, tmp_path):
    """One killed and one surviving slip give 50 %, the survivor with its reason; the rest of the page stays; outcomes are kept."""
    tool = runpy.run_path(str(ROOT / "tools/mutants.py"))
    names = tool["write_table"].__globals__
    names["PAGE"], names["EXPLAINED"] = tmp_path / "page.md", tmp_path / "why.json"
    drawn = [m for m in mutation.chosen(ROOT, 320) if m.area == "files"][:2]
    names["PAGE"].write_text("# Reliability\n\nWords.\n")
    names["EXPLAINED"].write_text(f'{{"{drawn[1].key}": "only its speed"}}')
    names["RECORD"] = tmp_path / "record.json"
    results = {
        drawn[0].key: {"outcome": "killed", "at": "abc", "first": "survived", "seconds": 3.0},
        drawn[1].key: {"outcome": "survived", "at": "def"},
    }
    for _ in range(2):
        tool["write_table"](results, drawn)
    page = names["PAGE"].read_text()
    assert page.count("| files | 2 | 1 | 0 | 1 | 50 %, 95 % | 0 of 1 |") == 1
    assert "2 slips were tried (1 at abc, 1 at def) of 2 that are drawn." in page
    tool["write_record"](results | {"of no slip": {"outcome": "killed"}}, drawn)
    assert tool["recorded"]() == {
        drawn[0].key: {"key": drawn[0].key, "outcome": "killed", "at": "abc", "first": "survived"},
        drawn[1].key: {"key": drawn[1].key, "outcome": "survived", "at": "def"},
    }
    assert page.count(f"`{drawn[1].key}`") == page.count(": only its speed") == 1
    assert page.startswith("# Reliability\n\nWords.\n")
