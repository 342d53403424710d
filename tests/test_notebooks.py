"""The tutorials and the walk-through run, and the numbers that they state are the numbers that come out."""

import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest

from tests.conftest import ROOT
from tools import execute_notebook

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = (
    "1_introduction_to_loss_landscapes",
    "2_hessian_computation_tutorial",
    "3_sharpness_and_generalization",
    "4_architecture_comparison",
    "5_advanced_visualizations",
)


def stated(notebook):
    """Return (name, value, tolerance) of the number that the text states."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    name, value, tolerance = re.search(
        r"\*\*Number to see: (\w+) = ([\d.]+) ± ([\d.]+)\*\*", text
    ).groups()
    return name, float(value), float(tolerance)


def printed(notebook):
    """Return (name, value) of the number in the outputs."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return number_in("\n".join(output.get("text", "") for cell in code for output in cell.outputs))


def number_in(text):
    """Return (name, value) of the number to see in what was printed."""
    name, value = re.search(r"^Number to see: (\w+) = ([\d.]+)", text, flags=re.MULTILINE).groups()
    return name, float(value)


def check_number(notebook, found=None):
    """The printed number has the stated name and lies within its stated tolerance."""
    (name, value, tolerance), (name_out, value_out) = stated(notebook), found or printed(notebook)
    assert name == name_out
    assert abs(value_out - value) <= tolerance
    assert tolerance < value  # else it would state nothing


def executed(path, folder, **environment):
    """Return the notebook after executing a copy of it in `folder`."""
    shutil.copy(path, folder)
    clean = {name: value for name, value in os.environ.items() if name != "PROFILE"}
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "execute_notebook.py", path.name, "--in-place"],
        cwd=folder,
        env={**clean, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return nbformat.read(folder / path.name, 4)


def test_all_tutorials_are_there():
    """The five of the issue, under their names."""
    assert tuple(path.stem for path in NOTEBOOKS) == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_committed_executed_and_small(path):
    """Outputs are in the file, without an error, with a picture, the number, an exercise; at most 1 MB."""
    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    assert all(cell.execution_count for cell in code)
    assert not [
        output
        for output in outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]
    assert [output for output in outputs if "image/png" in output.get("data", {})]
    assert any("**Exercise.**" in cell.source for cell in notebook.cells)
    check_number(notebook)
    assert path.stat().st_size < 1e6


@pytest.mark.parametrize("path", [*NOTEBOOKS, ROOT / "demo.ipynb"], ids=lambda path: path.stem)
def test_its_outputs_are_those_of_its_source(path):
    """Each code cell carries the hash of the source that was executed: an edited cell has stale outputs."""
    notebook = nbformat.read(path, 4)
    assert execute_notebook.stale_cells(notebook) == [], (
        "run tools/execute_notebook.py --in-place on it"
    )


def test_an_edited_cell_is_stale(tmp_path, capfd):
    """The command signs what it executes; an edited cell is told, and none before; nothing warns a reader who did nothing wrong."""
    sources = (
        "import sys\nx = 1\nprint('epoch 1 of 2: loss 3', file=sys.stderr)",
        "print(x)",
        "print('epoch 1 of 2: loss 3\\na warning', file=sys.stderr)",
    )
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "small.ipynb")
    assert execute_notebook.stale_cells(nbformat.read(tmp_path / "small.ipynb", 4)) == [0, 1, 2]
    execute_notebook.main([str(tmp_path / "small.ipynb"), "--in-place"])
    assert "WARNING" not in capfd.readouterr().err
    notebook = nbformat.read(tmp_path / "small.ipynb", 4)
    assert notebook.cells[0].outputs == []
    assert notebook.cells[1].outputs[0].text == "1\n"
    assert notebook.cells[2].outputs[0].text == "a warning\n"  # progress goes, the rest is kept
    assert execute_notebook.stale_cells(notebook) == []
    notebook.cells[1].source = "print(x + 1)"
    assert execute_notebook.stale_cells(notebook) == [1]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """For each notebook an empty folder in which it was run anew."""
    folders = {path: tmp_path_factory.mktemp(path.stem) for path in NOTEBOOKS}
    pairs = [word for pair in folders.items() for word in pair]
    clean = {name: value for name, value in os.environ.items() if name != "PROFILE"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.forked_notebooks", *pairs],
        cwd=ROOT,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return folders


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_gives_the_number_it_states(path, ran):
    """Run anew in an empty folder, by one process for all five."""
    text = (ran[path] / "printed.txt").read_text()
    check_number(nbformat.read(path, 4), number_in(text))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_kernel_runs_it_and_gives_the_number_it_states(path, tmp_path):
    """Executed by the command, in a kernel of its own."""
    check_number(executed(path, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_full_size_runs(path, tmp_path):
    """With PROFILE=full."""
    assert printed(executed(path, tmp_path, PROFILE="full"))


def test_the_walkthrough_gives_the_numbers_it_states(tmp_path):
    """Its blocks, run as one script, print each number that the text expects, within the stated tolerance."""
    text = (ROOT / "docs" / "walkthrough.md").read_text()
    (tmp_path / "walk.py").write_text(
        "\n".join(re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))
    )
    done = subprocess.run([sys.executable, "walk.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = re.findall(r"^expect (\w+) = ([\d.]+)", done.stdout, re.MULTILINE)
    printed_numbers = {name: float(value) for name, value in found}
    expected = {
        name: (float(value), float(tolerance))
        for name, value, tolerance in re.findall(r"expect (\w+) = ([\d.]*\d) ± ([\d.]*\d)", text)
    }
    assert expected.keys() == printed_numbers.keys()
    assert len(expected) == 7
    for name, (value, tolerance) in expected.items():
        assert abs(printed_numbers[name] - value) <= tolerance, name


@pytest.mark.parametrize("page", ["theory.md", "walkthrough.md"])
def test_links_and_sources_of_the_pages_lead_somewhere(page):
    """Local links are files, and each source cited is listed and each listed one is cited."""
    text = (ROOT / "docs" / page).read_text()
    for link in re.findall(r"\]\((?!http|#)([^)#]+)", text):
        assert (ROOT / "docs" / link).exists(), link
    body, _, sources = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL).partition(
        "## Sources"
    )
    listed = re.findall(r"^(\d+)\. ", sources, flags=re.MULTILINE)
    cited = {
        number
        for group in re.findall(r"\[(\d+(?:, \d+)*)\](?!\()", body)
        for number in group.split(", ")
    }
    assert cited == set(listed)
