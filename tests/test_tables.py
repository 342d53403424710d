"""The tables in pages are those of the committed results, and only the command that measures writes them."""

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
    monkeypatch.setattr(tables, "tables", lambda: {(page, "a"): lambda: "| measured |"})
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
