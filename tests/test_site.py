"""The site builds offline without a warning, holds every public name once, and reads well on a phone."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.helpers.browser import seen_in_a_browser
from tools import api_reference, gallery


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site; any warning of Sphinx is an error."""
    docs, built = (tmp_path_factory.mktemp("site") / name for name in ("docs", "html"))
    shutil.copytree(ROOT / "docs", docs / "docs", ignore=shutil.ignore_patterns("_build"))
    for name in ("tools", "demo.ipynb", "multifractal", "landscape_viz"):
        (docs / name).symlink_to(ROOT / name)
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", docs / "docs", built],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return built


def test_every_public_name_has_one_place(site):
    """Each name of both libraries is an anchor of exactly one page, also where two differ only in case."""
    pages = {path.stem: path.read_text() for path in (site / "api").glob("*.html")}
    for package in api_reference.PACKAGES:
        for name, thing in api_reference.public(package):
            chapter = api_reference.chapter_of(package, name, thing)
            anchor = f'id="{api_reference.anchor(chapter, name)}"'
            assert pages[chapter].count(anchor) == 1, name
    assert api_reference.anchor("c", "Basins") != api_reference.anchor("c", "basins")


def test_every_figure_of_the_demo_is_in_the_gallery(site):
    """Each saved figure of the demo has a page with its code, and its picture if the committed demo drew one."""
    found = gallery.names(ROOT / "demo.ipynb")
    assert len(found) > 25
    for name in found:
        text = (site / "gallery" / f"{name}.html").read_text()
        assert "save_figure" in text, name


def test_every_page_is_reached(site):
    """The pages that a reader looks for first are linked from the first one."""
    index = (site / "index.html").read_text()
    for page in ("model_in_five_minutes", "gallery/index", "api/index", "walkthrough"):
        assert f'href="{page}.html"' in index, page


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("page", ["index", "model_in_five_minutes", "api/multifractal.landscapes"])
def test_a_page_fits_its_window(site, page, width):
    """No sideways scrolling at 1280 and at 400 pixels, no script error, and nothing fetched from another host."""
    path = site / f"{page}.html"
    seen, log = seen_in_a_browser(path, path.parent, width)
    assert not re.search("CONSOLE.*(Uncaught|Error)", log)
    assert [name for name in seen["fetched"] if not name.startswith("file:")] == []
    assert seen["width"] == width
    assert seen["page"] <= width
