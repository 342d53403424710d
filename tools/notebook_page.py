"""Make one page of an executed notebook: contents, numbered figures with captions, formulae as MathML, code folded away."""

import base64
import html
import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import PIL.Image
from latex2mathml.converter import convert
from nbconvert.filters import markdown2html

from multifractal.base.chunks import processor_count
from multifractal.figures import html_report
from multifractal.figures._saving import in_few_colours

_FORMULA = re.compile(r"\$([^$\n]+)\$")
_HEADING = re.compile(r"^(#{1,3}) (.+)$", re.MULTILINE)
_FRAME = re.compile(r'<iframe[^>]*src="([^"]+)"', re.DOTALL)


def write(notebook, path):
    """Write an executed notebook as one page that fetches nothing; pictures are taken from `figures` beside it, where they are.

    Parameters
    ----------
    notebook : nbformat notebook
    path : pathlib.Path
        The page; replaced if it exists.
    """
    figures = path.parent / "figures"
    headings = [head for cell in notebook.cells for head in _headings(cell)]
    title = next(words for level, words in headings if level == 1)
    chapters = [words for level, words in headings if level == 2]
    with ThreadPoolExecutor(processor_count()) as pool:  # making pictures lighter frees the others
        parts = list(pool.map(lambda cell: _cell(cell, figures), notebook.cells))
    parts.insert(1, html_report.contents(chapters))
    return html_report.write_page(path, title, "\n".join(parts), overwrite=True)


def _headings(cell):
    if cell.cell_type != "markdown":
        return []
    return [(len(level), words) for level, words in _HEADING.findall(cell.source)]


def _cell(cell, figures):
    if cell.cell_type == "markdown":
        return _anchored(markdown(cell.source))
    folded = f"<details><summary>Code</summary><pre><code>{html.escape(cell.source)}</code></pre></details>"
    return "\n".join([*_shown(cell.outputs, figures), folded])


def markdown(source):
    """Return Markdown as HTML, its formulae as MathML, which browsers draw without a script or a network."""
    formulae = []

    def keep(match):
        formulae.append(convert(match[1]))
        return f"FORMULA{len(formulae) - 1}HERE"

    told = markdown2html(_FORMULA.sub(keep, source))
    return re.sub(r"FORMULA(\d+)HERE", lambda match: formulae[int(match[1])], told)


def _anchored(told):
    """Give each heading the anchor that the contents lead to."""

    def head(match):
        words = re.sub(r"<[^>]+>|&#182;", "", match[2])
        return f'<h{match[1]} id="{html_report.anchor(html.unescape(words))}">{words}</h{match[1]}>'

    return re.sub(r"<h(\d)[^>]*>(.*?)</h\1>", head, told, flags=re.DOTALL)


def _shown(outputs, figures):
    """Return what the outputs of a cell show; a caption is the Markdown right after its picture."""
    outputs, parts = list(outputs), []
    while outputs:
        output = outputs.pop(0)
        data = output.get("data", {})
        if "image/png" in data:
            follows = bool(outputs) and "text/markdown" in outputs[0].get("data", {})
            caption = outputs.pop(0)["data"]["text/markdown"] if follows else data["text/plain"]
            parts.append(_picture(data, caption, figures))
        elif "text/html" in data:
            parts.append(_FRAME.sub(_beside, data["text/html"]))
        elif output.get("text") or "text/plain" in data:
            parts.append(f"<pre>{html.escape(output.get('text') or data['text/plain'])}</pre>")
    return parts


def _picture(data, caption, figures):
    written = figures / f"{data['text/plain'].partition(': ')[2]}.png"
    png = _lighter(written) if written.is_file() else base64.b64decode(data["image/png"])
    alternative = html.escape(caption.replace("*", ""))
    told = re.sub(r"^<p>|</p>\s*$", "", markdown(caption).strip())
    return html_report.picture(png, alternative, told)


def _lighter(path):
    """Return a written picture at its full size in 256 colours, which look the same and take a third of the room."""
    with PIL.Image.open(path) as written, io.BytesIO() as file:
        few = in_few_colours(written.convert("RGB"), 256)
        few.save(file, "png", dpi=written.info.get("dpi", (200, 200)))
        return file.getvalue()


def _beside(match):
    """Let an interactive page lie where it does as seen from the page, which stands in the folder of the results."""
    src = Path(match[1])
    seen = src.relative_to(src.parts[0]) if src.parts[0] == "results" else src
    return f'<iframe title="interactive surface" src="{seen}"'
