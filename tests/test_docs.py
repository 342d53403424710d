"""The code of the pages in docs/ runs, and says what the text says."""

import json
import re
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments import persistence
from landscape_viz.loss.precision import pinned_threads

PAGE = Path(__file__).parent.parent / "docs" / "curvature.md"


@pytest.fixture(scope="module")
def names():
    """Yield what the page's blocks, run one after the other, define."""
    found = {}
    with pinned_threads(1):  # small operations: threads would only wait for each other
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
            exec(compile(block, str(PAGE), "exec"), found)  # noqa: S102
        yield found


def test_the_page_agrees_with_the_oracle(names):
    """Our product equals curvlinops' in float32 to 1e-5."""
    assert names["agreement"] < 1e-5


def test_the_relations_that_the_page_states(names):
    """The GGN is positive semi-definite, the Hessian is not; the sampled Fisher's trace is the GGN's within its sampling."""
    ggn = names["ggn"] @ np.eye(names["hessian"].shape[0], dtype=np.float32)
    scale = np.linalg.norm(ggn)
    assert np.linalg.eigvalsh(ggn).min() > -1e-5 * scale
    assert np.linalg.eigvalsh(names["hessian"].to_dense()).min() < -1e-4 * scale
    exact, found = np.trace(ggn), names["traces"]
    assert abs(found["GGN"].value - exact) < 4 * found["GGN"].standard_error + 1e-5 * exact
    assert abs(found["Fisher, sampled"].value / exact - 1) < 0.4


FIVE_MINUTES = Path(__file__).parent.parent / "docs" / "model_in_five_minutes.md"


def test_the_five_minutes_page_runs_and_names_what_exists():
    """The blocks of model_in_five_minutes.md run in order, and each name in backticks is public."""
    import landscape_viz
    import multifractal

    text = FIVE_MINUTES.read_text()
    found = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, str(FIVE_MINUTES), "exec"), found)  # noqa: S102
    assert found["walk"].positions.shape == (2001, 2)
    names = [name.removeprefix("landscape_viz.") for name in re.findall(r"`([\w.]+)`", text)]
    assert len(names) > 15
    assert not [n for n in names if not (hasattr(multifractal, n) or hasattr(landscape_viz, n))]


def test_the_glossary_holds_the_words_of_the_readme():
    """Each term stands once, and the technical words that README uses have an entry."""
    glossary = FIVE_MINUTES.read_text().split("## Glossary")[1]
    terms = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", glossary, re.MULTILINE)[1:]
    assert len(set(terms)) == len(terms) > 25
    for word in (
        "Lyapunov exponent",
        "edge of stability",
        "pixel-noise ratio",
        "live dropout",
        "TAMSD",
    ):
        assert word in terms, word


def test_the_heavy_tails_page_runs():
    """The block of heavy_tails.md runs, and on Student's t the estimators disagree, as the page says."""
    page = Path(__file__).parent.parent / "docs" / "heavy_tails.md"
    found = {}
    exec(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)[0], found)  # noqa: S102
    assert not found["found"].agree


@pytest.mark.parametrize("page", ["your_surface", "your_network", "your_training_run", "gpu"])
def test_a_how_to_page_runs(page, tmp_path, monkeypatch):
    """The blocks of a page run in order, in an empty folder, and draw without a display."""
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    text = (PAGE.parent / f"{page}.md").read_text()
    found = {}
    with pinned_threads(1):
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            exec(compile(block, f"{page}.md", "exec"), found)  # noqa: S102
    plt.close("all")


def test_the_topology_page_runs_and_says_what_was_measured():
    """The block of topology.md runs; on rough surfaces every mean falls as pixel^H, and on waves persistence stays."""
    page, found = Path(__file__).parent.parent / "docs" / "topology.md", {}
    exec(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)[0], found)  # noqa: S102
    assert "pixel^0." in found["found"].warnings[0]
    results = json.loads(persistence.RESULTS.read_text())
    for name in results["worlds"]:
        slopes = persistence.slopes(results, name)
        right = float(name.rpartition("= ")[2]) if name.startswith("fBm") else 0.0
        assert np.abs(slopes.value[0] - right) < 0.1
