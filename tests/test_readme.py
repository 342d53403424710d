"""Every block and command of the README and of docs/ does what it says."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (
        ROOT / "README.md",
        ROOT / "data" / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
    )
}
PYTHON_BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
RUN_ELSEWHERE = {  # the tests that run the python blocks of a page
    "docs/curvature.md": "test_docs.py",
    "docs/walkthrough.md": "test_notebooks.py",
    "docs/beyond_one_machine.md": "test_beyond_one_machine.py",
    "docs/heavy_tails.md": "test_docs.py",
    "docs/learning_coefficient.md": "test_learning_coefficient_study.py",
    "docs/topology.md": "test_docs.py",
    "docs/edge_monitor.md": "test_edge_study.py",
    "docs/from_landscaper.md": "test_migration.py",
    "docs/from_plot_surface.md": "test_migration.py",
    "docs/from_loss_landscapes.md": "test_migration.py",
    "docs/from_pyhessian.md": "test_migration.py",
    "docs/wavelet_leaders.md": "test_migration.py",
    "docs/model_in_five_minutes.md": "test_docs.py",
    "docs/section_study.md": "test_section_study.py",
    **dict.fromkeys(
        [
            f"docs/{name}.md"
            for name in ("your_surface", "your_network", "your_training_run", "gpu")
        ],
        "test_docs.py",
    ),
}
OTHER_TESTS = "\n".join(
    path.read_text()
    for path in (ROOT / "tests").rglob("test_*.py")
    if path.name != "test_readme.py"
)


def shell_commands():
    """Return every command of a shell block, and every `make ...` or `python X.py ...` in the text, of all pages."""
    found = set()
    for text in PAGES.values():
        fences = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
        blocks = "\n".join(block for language, block in fences if language in ("", "sh"))
        found |= {
            line.split("#")[0].strip()
            for line in blocks.splitlines()
            if line.startswith(("make ", "python ", "pip ", "mpiexec "))
        }
        found |= set(
            re.findall(r"`((?:make|pip install|python [\w/]+\.py|python -m) ?[^`\n]*)`", text)
        )
    return sorted(found)


COMMANDS = shell_commands()
SCRIPTS = [
    command
    for command in COMMANDS
    if re.match(r"python [\w/]+\.py", command) and "sweep_" not in command
]


@pytest.mark.parametrize("block", PYTHON_BLOCKS, ids=range(len(PYTHON_BLOCKS)))
def test_python_block_runs(block, tmp_path):
    """Each python block runs as it stands, in an empty folder, without a display."""
    (tmp_path / "block.py").write_text(block)
    subprocess.run(
        [sys.executable, "block.py"],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg"},
    )


def test_there_are_blocks_and_commands():
    """The README shows code, and commands are found in it (so that the other tests are not empty)."""
    assert len(PYTHON_BLOCKS) == 3
    assert {
        "make demo",
        "make test",
        "pip install -e .",
        "python train_supplementary.py --lr 0.1 --dropout 0.75",
    } <= set(COMMANDS)
    assert len(SCRIPTS) >= 8


def test_python_blocks_of_other_pages_are_run_by_a_test():
    """A page with python blocks is one that a test opens and runs."""
    for page, text in PAGES.items():
        if "```python" in text and page != "README.md":
            assert Path(page).stem in (ROOT / "tests" / RUN_ELSEWHERE[page]).read_text(), page


def test_links_lead_somewhere():
    """Each local link of each page leads to a file, and each anchor within the reference to a heading."""
    for page, text in PAGES.items():
        for link in re.findall(r"\]\((?!http|#)([^)#]+)", text):
            assert (ROOT / page).parent.joinpath(link).exists(), f"{page}: {link}"


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_target(command):
    """A documented target is one that make knows, variables included: a dry run gives commands, or says it is up to date."""
    done = subprocess.run(
        [*shlex.split(command), "--dry-run"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("pip install")])
def test_pip_install(command):
    """What is to be installed is this checkout with extras that it has, a requirement of it, or a recipe's own library."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    words = shlex.split(command)[2:]
    if words[0] == "-e":
        assert re.fullmatch(r"\.(\[\w+(,\w+)*\])?", words[1]), command
        assert set(re.findall(r"\w+", words[1])) <= set(extras), command
    else:
        known = [re.split(r"[\[><=]", line)[0] for lines in extras.values() for line in lines] + [
            "mpi4py",
            "submitit",
        ]
        assert all(re.split(r"[\[><=]", word)[0] in known for word in words), command


_ASKED_FOR_HELP = """
import contextlib, io, json, pathlib, runpy, sys, traceback
told = {}
for command, words in json.load(sys.stdin).items():
    sys.argv, sys.path[0], status = words, str(pathlib.Path(words[0]).parent.resolve()), 0
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as wrong:
        try:
            runpy.run_path(words[0], run_name="__main__")
        except SystemExit as ended:
            status = ended.code or 0
        except BaseException:
            status = traceback.format_exc()
    told[command] = status, out.getvalue(), wrong.getvalue()
json.dump(told, sys.stdout)
"""


@pytest.fixture(scope="module")
def helped():
    """What each documented script answers to its flags and --help: (status, stdout, stderr); one process loads torch for all."""
    asked = {command: [*shlex.split(command)[1:], "--help"] for command in SCRIPTS}
    told = subprocess.run(
        [sys.executable, "-c", _ASKED_FOR_HELP],
        input=json.dumps(asked),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(told.stdout)


@pytest.mark.parametrize("command", SCRIPTS)
def test_script_takes_these_flags_and_is_run_by_a_test(command, helped):
    """Each script exists, knows every flag that is shown, and is run (with smaller numbers) by another test."""
    script, *flags = shlex.split(command)[1:]
    status, out, wrong = helped[command]
    assert status == 0, f"{status}\n{wrong}"
    for flag in flags:
        assert not flag.startswith("--") or flag in out, flag
    assert Path(script).stem in OTHER_TESTS, f"no test runs {script}"


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in SCRIPTS if "cifar10" not in c and "<" not in c])
def test_script_runs_as_it_is_shown(command, tmp_path):
    """The commands themselves, to the letter, in an empty folder (the paper's CIFAR-10 needs the network)."""
    script, *flags = shlex.split(command)[1:]
    dataset = (
        ["--dataset", "diabetes"]
        if script == "train_supplementary.py" and "--dataset" not in flags
        else []
    )
    subprocess.run([sys.executable, ROOT / script, *flags, *dataset], check=True, cwd=tmp_path)


def test_numbers_to_expect():
    """Each number that docs/expect.md gives for a figure is printed by the cell of the executed demo that draws it."""
    printed = {}
    for cell in nbformat.read(ROOT / "demo.ipynb", 4).cells:
        for name in re.findall(r"save_figure\([^\"]*\"([\w-]+)\"", cell.source):
            printed[name] = "\n".join(output.get("text", "") for output in cell.outputs)
    rows = dict(
        re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", PAGES["docs/expect.md"], flags=re.MULTILINE)
    )
    assert set(rows) == set(printed)
    for name, told in rows.items():
        told = re.sub(r"\S+ … \S+", "", told)  # ranges: the test below
        for number in re.findall(r"-?\d[\d.,]*\d|\d+", told):
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d])", printed[name]), (
                f"{name}: {number}"
            )


# how the demo prints what hangs on chaotic walks
PRINTED = {
    "surface: loss at the end": r"falls from \S+ to (-?[\d.]+)",
    "unfolded_tracks: pixels apart": r"end (\d+) pixels apart",
    "tamsd_by_waiting_time: lags 3-10": r"exact unfolding.*lags 3-10 ([\d.]+)",
    "tamsd_by_waiting_time: lags 150-400": r"exact unfolding.*lags 150-400 ([\d.]+)",
    "tamsd_by_waiting_time: lags 2-8": r"exact unfolding.*lags 2-8 ([\d.]+)",
    "tamsd_by_waiting_time: published over exact": r"waiting time 5000, lags.* ([\d.]+)\n",
    "loss_by_step: rate 300 at the end": r"rate +300: .*start, (-?[\d.]+) at the end",
    "edge_of_stability: lowest rate that holds": r"map: .*contains 2/rate at ([\d.]+)",
    "edge_of_stability: highest rate that holds": r"map: .*contains 2/rate at .*\b([\d.]+)\n",
    "lyapunov_by_rate: exact at rate 1194": r"rate +1194: exact +([\d.]+)",
    "lyapunov_by_rate: published estimator at rate 1194": r"rate +1194.*estimator ([\d.]+)",
}


def test_chaotic_numbers_are_ranges():
    """The pages quote the ranges over perturbed copies, and what the demo printed lies within them, by half their width.

    Of 24 copies the range leaves out one draw in 12; half the width beyond either end takes in all but strays.
    """
    found = json.loads((ROOT / "docs" / "chaotic_ranges.json").read_text())
    assert found["copies"] >= 20
    cells = nbformat.read(ROOT / "demo.ipynb", 4).cells
    printed = "".join(output.get("text", "") for c in cells for output in c.get("outputs", []))
    for name, (low, high) in found["ranges"].items():
        quoted = f"{low:g} … {high:g}"
        if name in PRINTED:
            assert quoted in PAGES["docs/expect.md"], name
            number = float(re.search(PRINTED[name], printed)[1])
            margin = (high - low) / 2
            assert low - margin <= number <= high + margin, name
        else:
            assert f"{low:g} to {high:g}" in PAGES["README.md"], name
