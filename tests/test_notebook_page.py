"""The page of an executed notebook: contents, numbered figures, formulae, folded code, in a browser."""

import base64
import io

import nbformat
import numpy as np
import PIL.Image
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.helpers.browser import seen_in_a_browser
from tools import notebook_page


@pytest.fixture
def page(tmp_path):
    """The page of a notebook of two chapters, one figure and one interactive surface."""
    with io.BytesIO() as file:
        PIL.Image.fromarray(np.zeros((40, 1600, 3), np.uint8)).save(file, "png", dpi=(200, 200))
        small = base64.b64encode(file.getvalue()).decode()
    shown = [
        new_output("display_data", {"image/png": small, "text/plain": "Figure 1: line"}),
        new_output("display_data", {"text/markdown": "**Figure 1.** A line & a $x^2$."}),
        new_output("display_data", {"text/html": '<iframe src="results/figures/a.html"></iframe>'}),
        new_output("stream", name="stdout", text="1 < 2\n"),
    ]
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# A title\n\nWords with $\\lambda_1 < 2$."),
            new_markdown_cell("## First & foremost\n\nWords."),
            new_code_cell("x = 1 < 2", outputs=shown),
            new_markdown_cell("## Second\n\n### Below it"),
        ]
    )
    nbformat.validate(notebook)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.html").write_text("<p>turn me</p>")
    return notebook_page.write(notebook, tmp_path / "demo.html")


def test_a_page_has_contents_figures_formulae_and_folded_code(page):
    """Links lead to headings, the caption stands below its picture, formulae are MathML, code is folded and escaped."""
    text = page.read_text()
    assert "<title>A title</title>" in text
    for title in ("First &amp; foremost", "Second"):
        anchor = text.split(f'">{title}</a>')[0].rpartition('href="#')[2]
        assert f'id="{anchor}"' in text, title
    assert "Below it</a>" not in text
    figure = text.split("<figure>")[1].split("</figure>")[0]
    assert "<figcaption><strong>Figure 1.</strong> A line &amp; a <math" in figure
    assert text.count("<math") == 2
    assert "<details><summary>Code</summary><pre><code>x = 1 &lt; 2</code></pre></details>" in text
    assert "<pre>1 &lt; 2\n</pre>" in text
    assert '<iframe title="interactive surface" src="figures/a.html"' in text


def test_a_page_fits_a_phone(page, tmp_path):
    """Nothing reaches beyond the window, a wide picture scrolls within its frame, and no text is below 11 pixels."""
    found, _ = seen_in_a_browser(page, tmp_path, 400)
    assert (found["width"], found["page"], found["beyond"]) == (400, 400, 0)
    assert found["small"] >= 11
    assert all(found["images"])
