"""Pages: one HTML file each, in one look, that holds its figures and tables and fetches nothing."""

import base64
import html
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

from multifractal.base import files

_STYLE = Path(__file__).with_name("page.css")
_NARROWEST = 70.0  # CSS pixels an inch of a figure is shown at, at least: 9-point text is 9 pixels on a phone
_PNG_DPI_CHUNK = b"pHYs"
NOTHING = "–"  # a cell that is left out on a narrow screen
_EMPTY = ' class="none"'


@dataclass(frozen=True)
class Mark:
    """A word that is shown as a badge; `tone` is "good", "changed", "bad" or "" (neutral)."""

    words: str
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """A table: names of the columns, and rows of as many cells, each a str, a `Mark`, or a (words, chapter title) link."""

    columns: tuple
    rows: list


@dataclass(frozen=True)
class Chapter:
    """One part of a report; what is there is shown in the order of the attributes.

    Attributes
    ----------
    title : str
    words : list of str
        Paragraphs: what was measured and what it does and does not mean. Shown below the pictures.
    numbers : dict of str to str
        Values with their uncertainties, by what they are.
    pictures : dict of Path to str
        PNG files with their captions.
    mark : Mark, optional
        Beside the title.
    lead : list of str
        Paragraphs above the numbers.
    table : Table, optional
        Below the numbers.
    details : dict of str to list of str
        Lines that are folded away, by their heading.
    """

    title: str
    words: list = field(default_factory=list)
    numbers: dict = field(default_factory=dict)
    pictures: dict = field(default_factory=dict)
    mark: Mark | None = None
    lead: list = field(default_factory=list)
    table: Table | None = None
    details: dict = field(default_factory=dict)


def write_report(path, title, chapters, *, overwrite=False):
    """Write chapters as one self-contained page and return its path.

    Parameters
    ----------
    path : path-like
    title : str
    chapters : sequence of Chapter
    overwrite : bool
        Whether an existing file may be replaced.
    """
    body = "\n".join(
        [
            f"<h1>{html.escape(title)}</h1>",
            contents([chapter.title for chapter in chapters]) if len(chapters) > 2 else "",
            *map(_chapter, chapters),
        ]
    )
    return write_page(path, title, body, overwrite=overwrite)


def write_page(path, title, body, *, window=False, overwrite=False):
    """Write HTML as one page in the look that all pages share, and return its path.

    Parameters
    ----------
    path : path-like
    title : str
        Of the page, as text.
    body : str
        HTML.
    window : bool
        Whether the page fills the window and does not scroll: one interactive drawing below its title and controls.
    overwrite : bool
        Whether an existing file may be replaced.
    """
    kind = ' class="window"' if window else ""
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{_STYLE.read_text()}</style></head>\n<body{kind}>\n{body}\n</body></html>\n"
    )
    with files.atomic_write(path, overwrite=overwrite) as file:
        file.write(page.encode())
    return Path(path)


def contents(titles):
    """Return the list of contents: links to headings of these titles."""
    links = "".join(f'<li><a href="#{anchor(t)}">{html.escape(t)}</a></li>' for t in titles)
    return f'<nav class="contents" aria-label="Contents"><ol>{links}</ol></nav>'


def _chapter(chapter):
    mark = "" if chapter.mark is None else f" {_cell(chapter.mark)}"
    parts = [
        f'<h2 id="{anchor(chapter.title)}">{html.escape(chapter.title)}{mark}</h2>',
        *map(_paragraph, chapter.lead),
    ]
    if chapter.numbers:
        parts.append(_table(Table((), list(chapter.numbers.items()))))
    if chapter.table is not None:
        parts.append(_table(chapter.table))
    parts += [_picture(*item) for item in chapter.pictures.items()] + list(
        map(_paragraph, chapter.words)
    )
    parts += [
        f"<details><summary>{html.escape(heading)}</summary><ul>"
        + "".join(f"<li><code>{html.escape(line)}</code></li>" for line in lines)
        + "</ul></details>"
        for heading, lines in chapter.details.items()
    ]
    return "\n".join(parts)


def _paragraph(words):
    opening, stop, rest = words.partition(":: ")  # "Rule:: ..." has its first words in bold
    return f"<p><b>{_words(opening)}.</b> {_words(rest)}</p>" if stop else f"<p>{_words(words)}</p>"


def _words(words):
    told = re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(words))
    return re.sub(r"(?<=[\w)])\^(-?[\d.]*\d|\([^)]*\))", _raised, told)


def _raised(match):
    return f"<sup>{match[1].strip('()').replace('-', '&minus;')}</sup>"


def _table(table):
    names = table.columns or [""] * len(table.rows[0])
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
    rows = [
        "".join(
            f'<td data-of="{html.escape(name) if k else ""}"{_EMPTY * (cell == NOTHING)}>{_cell(cell)}</td>'
            for k, (name, cell) in enumerate(zip(names, row, strict=True))
        )
        for row in table.rows
    ]
    return (
        f'<div class="scroll"><table>{f"<thead><tr>{head}</tr></thead>" if head else ""}<tbody>'
        + "".join(f"<tr>{row}</tr>" for row in rows)
        + "</tbody></table></div>"
    )


def _cell(cell):
    if isinstance(cell, Mark):
        return f'<span class="mark {cell.tone}">{html.escape(cell.words)}</span>'
    if isinstance(cell, tuple):
        return f'<a href="#{anchor(cell[1])}">{html.escape(cell[0])}</a>'
    return _words(cell)


def _picture(path, caption):
    return picture(Path(path).read_bytes(), html.escape(caption), _words(caption))


def picture(png, alternative, caption):
    """Return a PNG file as wide as the column, with its caption (HTML) below; on a phone it keeps its text legible."""
    least = f"min-width:{_inches_wide(png) * _NARROWEST:.0f}px"
    return (
        f'<figure><div class="scroll"><img style="{least}" alt="{alternative}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}"></div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _inches_wide(png):
    """Return the width of a PNG file in inches, from the resolution that it states (else 200 pixels an inch)."""
    pixels = struct.unpack(">I", png[16:20])[0]
    at = png.find(_PNG_DPI_CHUNK)
    per_metre = struct.unpack(">I", png[at + 4 : at + 8])[0] if at > 0 else 200 / 0.0254
    return pixels / (per_metre * 0.0254)


def anchor(title):
    """Return the anchor of the heading with this title."""
    return "".join(letter if letter.isalnum() else "-" for letter in title.lower())
