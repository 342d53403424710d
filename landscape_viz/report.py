"""A report of an experiment: one HTML file that holds its figures, fetches nothing and needs no scripts."""

import base64
import html
from dataclasses import dataclass, field
from pathlib import Path

from multifractal import _io

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h1,h2{line-height:1.2}h2{margin-top:2.5rem;border-top:1px solid #ccc;padding-top:1rem}img{max-width:100%;height:auto}
table{border-collapse:collapse;margin:1rem 0}td{border-bottom:1px solid #ddd;padding:.2rem 1.2rem .2rem 0;vertical-align:top}
td:nth-child(2){font-variant-numeric:tabular-nums}figure{margin:1rem 0}figcaption{color:#555;font-size:.9rem}"""


@dataclass(frozen=True)
class Chapter:
    """One part of a report.

    Attributes
    ----------
    title : str
    words : list of str
        Paragraphs: what was measured and what it does and does not mean.
    numbers : dict of str to str
        Values with their uncertainties, by what they are.
    pictures : dict of Path to str
        PNG files with their captions.
    """

    title: str
    words: list
    numbers: dict = field(default_factory=dict)
    pictures: dict = field(default_factory=dict)


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
    page = (f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
            f"<body>\n{body}\n</body></html>\n")
    with _io.atomic_write(path, overwrite=overwrite) as file:
        file.write(page.encode())
    return Path(path)


def _chapter(chapter):
    parts = [f"<h2>{html.escape(chapter.title)}</h2>"]
    if chapter.numbers:
        rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
                       for name, value in chapter.numbers.items())
        parts.append(f"<table>{rows}</table>")
    for picture, caption in chapter.pictures.items():
        encoded = base64.b64encode(Path(picture).read_bytes()).decode()
        parts.append(f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{encoded}">'
                     f"<figcaption>{html.escape(caption)}</figcaption></figure>")
    parts += [f"<p>{html.escape(paragraph)}</p>" for paragraph in chapter.words]
    return "\n".join(parts)
