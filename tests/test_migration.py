"""The pages for users of other packages: each call that they are told to make runs, in the order of its page."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from landscape_viz.loss.precision import pinned_threads
from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = ("from_loss_landscapes", "from_pyhessian", "from_landscaper", "wavelet_leaders")


@pytest.mark.parametrize("page", PAGES)
def test_the_new_calls_run(page, tmp_path, monkeypatch):
    """The block of the page and then each right-hand side of its table."""
    monkeypatch.chdir(tmp_path)
    text = (DOCS / f"{page}.md").read_text()
    found = {}
    calls = re.findall(r"^\| [^|]+ \| `([^`|]+)`", text, re.MULTILINE)
    assert len(calls) >= 6
    with pinned_threads(1):
        for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) + calls:
            exec(compile(code, page, "exec"), found)  # noqa: S102
            plt.close("all")


def test_the_page_of_wavelet_leaders_finds_the_law_it_states():
    """C1 and c2 of the cascade lie within the page's bootstrap intervals widened to twice, the law being 0.5 and -0.05."""
    found = {}
    text = (DOCS / "wavelet_leaders.md").read_text()
    exec(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0], found)  # noqa: S102
    spectrum = found["found"]
    widths = np.ptp(spectrum.log_cumulants_interval, axis=0)[:2]
    assert (abs(spectrum.log_cumulants[:2] - [0.5, -0.05]) < 2 * widths).all()
