"""The tables in pages are those of the committed results, and only the command that measures writes them."""

import subprocess
import sys

import pytest

from tools import marks, tables

pytestmark = pytest.mark.quick


def test_the_tables_are_those_of_the_results(capsys):
    """Each table of the pages is what the results of today give; `python tools/tables.py` writes it anew."""
    assert tables.main(["--check"]) == 0, capsys.readouterr().out


def test_a_stale_table_is_named_and_written_anew(tmp_path, monkeypatch):
    """A table that was changed by hand is found by --check, which leaves it, and replaced without; the rest stays."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a: begin -->\nby hand\n<!-- a: end -->\nafter\n")
    monkeypatch.setattr(tables, "tables", lambda pages: {(page, "a"): lambda: "| measured |"})
    assert tables.main(["--check"]) == 1
    assert "by hand" in page.read_text()
    assert tables.main([]) == 0
    assert page.read_text() == "before\n<!-- a: begin -->\n| measured |\n<!-- a: end -->\nafter\n"
    assert tables.main(["--check"]) == 0


def test_every_mark_has_its_writer():
    """No page holds marks that `tables` (or, for the findings, their own command) does not write."""
    pages = [tables.ROOT / "README.md", *(tables.ROOT / "docs").glob("*.md")]
    marked = {
        (page, line.split()[1].rstrip(":"))
        for page in pages
        for line in page.read_text().splitlines()
        if line.startswith("<!-- ") and line.endswith(": begin -->")
    }
    assert marked - set(tables.tables()) == {(tables.ROOT / "docs" / "findings.md", "findings")}
    assert all(marks.between(*place) for place in marked)


WITHOUT_TORCH = """
import sys
class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
from tools import tables
sys.exit(tables.main(sys.argv[1:]))
"""


def test_the_reports_tables_need_no_torch():
    """`make report` installs the demo's environment only: its pages are made where torch cannot be imported."""
    pages = next(
        line.split("tools/tables.py")[1].split()
        for line in (tables.ROOT / "Makefile").read_text().splitlines()
        if "tools/tables.py" in line
    )
    subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "--check", *pages], check=True, cwd=tables.ROOT
    )


def test_a_page_without_tables_is_refused(capsys):
    """The words name those that there are."""
    with pytest.raises(SystemExit):
        tables.main(["README.md"])
    assert "no tables are made for README.md" in capsys.readouterr().err
