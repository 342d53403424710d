"""The pages for users of other packages: each call that they are told to make runs, in the order of its page."""

import re
import shlex

import matplotlib.pyplot as plt
import numpy as np
import pytest

import LL_visualisation
from landscape_viz import Objective, checkpoint
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.studies import surface_flags
from landscape_viz.studies.surface_subject import Subject
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


def test_the_flags_of_plot_surface_have_their_counterparts():
    """Each right-hand side of the page parses, and each flag of the script is told on the page or in its help alone."""
    text = (DOCS / "from_plot_surface.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| `([^`|]+)`", text, re.MULTILINE)
    assert len(rows) >= 40
    for words in rows:
        LL_visualisation.parser().parse_args(surface_flags.joined(shlex.split(words)))


def test_the_commands_for_users_of_plot_surface_run(tmp_path, monkeypatch, capsys):
    """Each command of the page in its order; the last picture, the projected run and the map of eigenvalues are there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    text = (DOCS / "from_plot_surface.md").read_text()
    (tmp_path / "mine.py").write_text(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0])
    (block,) = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    commands = [shlex.split(line)[2:] for line in block.splitlines() if line[0] != "#"]
    found = {}
    with pinned_threads(1):
        for words in commands:
            name = words[words.index("--out") + 1]
            found[name] = LL_visualisation.main(
                [*words, "--html", "n", "--workers", "1", "--device", "cpu"]
            )
            plt.close("all")
    # a section towards a state has that state's own loss at 1, running statistics included
    line, plane = found["line"], found["three"]
    problem = Subject(_flags(commands[1])).problem(checkpoint.load("one/epoch_0000.pt").state_dict)
    assert line.values["loss"][-1] == pytest.approx(
        Objective(problem, derivatives=False).loss(), rel=1e-5
    )
    np.testing.assert_array_equal(found["drawn"].values["loss"], plane.values["loss"])
    assert found["again"].directions_hash == found["kept"].directions_hash
    assert (found["curved"].values["largest_eigenvalue"] >= found["curved"].grid[2]).all()
    for file in ("drawn/section.png", "run/trajectory.png", "curved/eigenvalues.png", "three.h5"):
        assert (tmp_path / file).stat().st_size > 500
    assert (tmp_path / "three/section.vtp").exists()


def _flags(words):
    return LL_visualisation.parser().parse_args(surface_flags.joined(words))
