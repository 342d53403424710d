"""A report: one HTML file that holds its figures and tables, fetches nothing and needs no scripts."""

import base64
import html
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

from multifractal.base import files

_STYLE = """*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;
color:#222;overflow-wrap:break-word}h1,h2{line-height:1.2}
h2{margin-top:3rem;border-top:1px solid #ccc;padding-top:1rem}a{color:#00518a}
table{border-collapse:collapse;margin:1rem 0;max-width:100%}
th{text-align:left;white-space:nowrap;border-bottom:2px solid #999}
th,td{padding:.3rem 1.2rem .3rem 0;vertical-align:top}td{border-bottom:1px solid #ddd;font-variant-numeric:tabular-nums}
figure{margin:1.2rem 0}.scroll{overflow-x:auto}img{display:block;height:auto}figcaption{color:#444;font-size:15px}
summary{cursor:pointer}details{margin:1rem 0;font-size:15px}
code{font:14px/1.45 ui-monospace,monospace;overflow-wrap:anywhere}
.mark{display:inline-block;padding:.05rem .5rem;border-radius:.3rem;border:1px solid;font-size:15px;font-weight:600;
background:#eee;color:#333}h2 .mark{margin-left:.6rem;vertical-align:.15em}
.good{background:#e3f1fb;color:#00436b}.changed{background:#fdf0d5;color:#6b4500}.bad{background:#fbe3d6;color:#8a2f00}
@media(min-width:641px){td:first-child{min-width:14rem}.mark{white-space:nowrap}}
@media(max-width:640px){body{margin:1rem auto}thead{display:none}table,tbody,tr,td{display:block}table{width:100%}
tr{border-bottom:2px solid #bbb;padding:.4rem 0}td{border:0;padding:.1rem 0}
td.none{display:none}td[data-of]:not([data-of=""])::before{content:attr(data-of) ": ";color:#555}h2 .mark{margin-left:0}}"""
# CSS pixels an inch of a figure is shown at: 9-point text is 14 or, on a phone, 9 pixels
_WIDEST, _NARROWEST = 115.0, 70.0
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
    body = "\n".join([f"<h1>{html.escape(title)}</h1>", *map(_chapter, chapters)])
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
    with files.atomic_write(path, overwrite=overwrite) as file:
        file.write(page.encode())
    return Path(path)


def _chapter(chapter):
    mark = "" if chapter.mark is None else f" {_cell(chapter.mark)}"
    parts = [
        f'<h2 id="{_anchor(chapter.title)}">{html.escape(chapter.title)}{mark}</h2>',
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
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(words))


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
        return f'<a href="#{_anchor(cell[1])}">{html.escape(cell[0])}</a>'
    return _words(cell)


def _picture(path, caption):
    png = Path(path).read_bytes()
    inches = _inches_wide(png)
    size = f"width:100%;max-width:{inches * _WIDEST:.0f}px;min-width:{inches * _NARROWEST:.0f}px"
    return (
        f'<figure><div class="scroll"><img style="{size}" alt="{html.escape(caption)}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}"></div>'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _inches_wide(png):
    """Return the width of a PNG file in inches, from the resolution that it states (else 200 pixels an inch)."""
    pixels = struct.unpack(">I", png[16:20])[0]
    at = png.find(_PNG_DPI_CHUNK)
    per_metre = struct.unpack(">I", png[at + 4 : at + 8])[0] if at > 0 else 200 / 0.0254
    return pixels / (per_metre * 0.0254)


def _anchor(title):
    return "".join(letter if letter.isalnum() else "-" for letter in title.lower())
