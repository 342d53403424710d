"""Tables in pages stand between marks, `<!-- name: begin -->` and `<!-- name: end -->`: what lies between is written by a command."""

from multifractal.base import files


def between(page, name):
    """Return what stands between the marks of that name in a page."""
    return _parts(page, name)[1]


def put(page, name, text):
    """Put `text` between the marks of that name; what stands around them is left alone."""
    before, old, after = _parts(page, name)
    if old != text:
        with files.atomic_write(page, overwrite=True) as file:
            file.write((before + text + after).encode())


def _parts(page, name):
    begin, end = f"<!-- {name}: begin -->\n", f"\n<!-- {name}: end -->"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    text, after = rest.split(end)
    return before + begin, text, end + after
