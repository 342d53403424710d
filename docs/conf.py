"""The site: pages in Markdown, the API by chapter from the docstrings, the gallery from the executed demo. `make docs` builds it."""

import re
import sys
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from multifractal import __version__  # noqa: E402
from tools import api_reference, gallery  # noqa: E402

project = "multifractal-landscapes"
author = "The multifractal-landscapes maintainers"
release = version = __version__
extensions = ["myst_parser", "sphinx_copybutton", "sphinx_design"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
exclude_patterns = ["_build"]
html_theme = "pydata_sphinx_theme"
html_title = "multifractal-landscapes"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_math_renderer = "mathml"
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_context = {"default_mode": "light"}
pygments_style = "tango"

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]+)(?:#[^)]*)?\)")


def _write_pages(app):
    """Write the pages that are made from code: the API reference and the gallery."""
    api_reference.write(HERE / "api")
    gallery.write(HERE.parent / "demo.ipynb", HERE / "gallery")


def _files_outside(app, name, source):
    """Name files of the repository that are no pages of the site instead of linking to them."""
    if "/" not in name:
        source[0] = _OUTSIDE.sub(lambda m: f"{m[1]} (`{m[2].lstrip('./')}`)", source[0])


def _inline_math(translator, node):
    """Show an inline formula as MathML, which browsers draw without a script or a network."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _display_math(translator, node):
    """Show a formula on a line of its own as MathML."""
    translator.body.append(convert(node.astext(), display="block"))
    raise nodes.SkipNode


def setup(app):
    """Connect the pages made from code and the renderer of formulas."""
    app.add_html_math_renderer("mathml", (_inline_math, None), (_display_math, None))
    app.connect("builder-inited", _write_pages)
    app.connect("source-read", _files_outside)
