"""What a user installs: requirements that agree, a wheel that draws, an import that is light."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


OURSELVES = "multifractal-landscapes["  # what opens an extra that brings other extras
WITHIN_OTHERS = {"interactive", "fetch"}


def requirements_file():
    """Return the requirements of requirements.txt, without comments."""
    lines = (
        line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()
    )
    return {line for line in lines if line}


def test_requirements_are_the_extra_all():
    """requirements.txt lists exactly what the core and the extras that make up `all` list."""
    extras = PROJECT["optional-dependencies"]
    named = extras["all"][0].removeprefix("multifractal-landscapes[").removesuffix("]").split(",")
    lines = set(PROJECT["dependencies"]).union(*extras.values())
    assert set(named) == set(extras) - {"all"} - WITHIN_OTHERS
    assert requirements_file() == {line for line in lines if not line.startswith(OURSELVES)}
    assert all(
        any(f"{OURSELVES}{name}" in line or f",{name}]" in line for line in lines)
        for name in WITHIN_OTHERS
    )


def test_requirements_are_ranges_that_this_environment_satisfies():
    """Each requirement is a lower bound, never a pin, with an upper one at most; the environment of the tests meets it."""
    from importlib.metadata import version

    from packaging.requirements import Requirement

    for line in requirements_file():
        requirement = Requirement(line)
        assert sorted(s.operator for s in requirement.specifier) in ([">="], ["<", ">="]), line
        assert requirement.specifier.contains(version(requirement.name), prereleases=True), line


def test_lower_bounds_are_the_versions_that_are_tested():
    """tests/helpers/oldest.txt pins each requirement to its lower bound: the suite is run with those too."""
    from packaging.requirements import Requirement
    from packaging.version import Version

    pins = [
        line
        for line in (ROOT / "tests" / "helpers" / "oldest.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    pinned = {name.lower(): Version(version) for name, version in (pin.split("==") for pin in pins)}
    bounds = {
        requirement.name.lower(): Version(bound.version)
        for requirement in map(Requirement, requirements_file())
        for bound in requirement.specifier
        if bound.operator == ">="
    }
    assert pinned == bounds


def test_the_version_has_one_source_and_all_agree():
    """CITATION and the changelog's top entry name the version of `_version.py`; a date of release stands in both or neither."""
    from multifractal import __version__

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    heading = re.search(
        r"^## (\S+) \((.+)\)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE
    )
    assert "version" in PROJECT["dynamic"]
    assert citation["version"] == heading[1] == __version__
    assert str(citation.get("date-released", "unreleased")) == heading[2]


def test_the_project_names_who_made_it_and_what_it_is_about():
    """The authors are those of CITATION, every address is on a page of this repository already, and there are keywords."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert [one["name"] for one in PROJECT["authors"]] == [
        one["name"] for one in citation["authors"]
    ]
    known = (ROOT / "README.md").read_text() + (ROOT / "CITATION.cff").read_text()
    for address in PROJECT["urls"].values():
        assert address.removeprefix("https://doi.org/") in known, address
    assert len(PROJECT["keywords"]) >= 5


def test_the_workflow_calls_make():
    """Each job runs a target of the Makefile, the supported Pythons and the oldest pins must pass, and macOS is tried."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yaml").read_text())
    jobs = workflow["jobs"]["test"]["strategy"]["matrix"]["include"]
    targets = re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert all(re.fullmatch(r"make (\w+).*", job["command"])[1] in targets for job in jobs)
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    must = {job["python"] for job in jobs if not job["may_fail"]}
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert must == set(promised)
    assert any("CONSTRAINTS=tests/helpers/oldest.txt" in job["command"] for job in jobs)
    assert any(job["os"].startswith("macos") for job in jobs)


POSIX_ONLY = {"fcntl", "resource", "pwd", "grp", "termios"}


def test_no_module_needs_posix_to_be_imported():
    """Modules that Windows lacks are imported under `try` only, and a lock is no error without them."""
    for package in ("multifractal", "landscape_viz"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.Import | ast.ImportFrom):
                    names = {getattr(node, "module", None), *(alias.name for alias in node.names)}
                    assert not names & POSIX_ONLY, path
    code = (
        "import sys; sys.modules['fcntl'] = None; import tempfile; from multifractal.base import files; "
        "from landscape_viz.mapping.section_store import SectionStore; "
        "SectionStore(tempfile.mkdtemp() + '/store', {}).close(); assert files.fcntl is None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_published_noise_alone_needs_fbm():
    """`fbm`, of 2019, is imported where the published noise is redrawn, and nowhere else."""
    importing = [
        (path.name, node.col_offset > 0)
        for package in ("multifractal", "landscape_viz")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ImportFrom) and node.module == "fbm")
        or (isinstance(node, ast.Import) and "fbm" in [alias.name for alias in node.names])
    ]
    assert importing == [("langevin.py", True)]


def test_core_needs_neither_torch_nor_jax():
    """The core installs no deep-learning framework."""
    assert not any(name in line for line in PROJECT["dependencies"] for name in ("torch", "jax"))


def test_conda_environment_gives_the_same():
    """environment.yaml asks for Python 3.12 and installs requirements.txt and this checkout."""
    environment = yaml.safe_load((ROOT / "environment.yaml").read_text())
    assert "python=3.12" in environment["dependencies"]
    assert environment["dependencies"][-1] == {"pip": ["-r requirements.txt", "-e ."]}


def test_the_recipe_asks_for_what_the_core_asks_for():
    """The conda recipe lists the core's requirements with their bounds, under conda-forge's names, and its commands."""
    text = (ROOT / "tools" / "conda" / "meta.yaml").read_text()
    others = {"pywavelets": "PyWavelets", "matplotlib-base": "matplotlib"}
    run = text.partition("  run:\n")[2].partition("test:\n")[0]
    asked = [line.removeprefix("    - ").split(" >=") for line in run.splitlines() if line]
    listed = {f"{others.get(name, name)}>={bound}" for name, bound in asked if name != "python"}
    assert listed == set(PROJECT["dependencies"])
    commands = {f"- {name} = {target}" for name, target in PROJECT["scripts"].items()}
    assert commands <= {line.strip() for line in text.splitlines()}


def test_the_paper_has_its_sections_and_its_sources():
    """JOSS asks for a summary, a statement of need and references; each citation has its entry."""
    paper = (ROOT / "paper" / "paper.md").read_text()
    for heading in ("# Summary", "# Statement of need", "# State of the field", "# References"):
        assert f"\n{heading}\n" in paper
    entries = re.findall(r"^@\w+\{(\w+),", (ROOT / "paper" / "paper.bib").read_text(), re.MULTILINE)
    assert set(re.findall(r"@(\w+)", paper.partition("\n---\n")[2])) == set(entries)


IMPORT = """
import json, sys, time
start = time.perf_counter()
import multifractal
seconds = time.perf_counter() - start
print(json.dumps([seconds, [m for m in ("torch", "jax", "matplotlib", "plotly") if m in sys.modules]]))
assert set(multifractal.__all__) <= set(dir(multifractal))
"""


def test_import_is_light():
    """`import multifractal` loads no framework and no plotting library; the fastest of three takes under a second."""
    runs = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", IMPORT], check=True, capture_output=True, text=True
            ).stdout
        )
        for _ in range(3)
    ]
    assert all(loaded == [] for _, loaded in runs)
    assert min(seconds for seconds, _ in runs) < 1


def test_every_public_name_resolves():
    """Each public name of both libraries and of the figures exists and is documented."""
    import landscape_viz
    import multifractal
    from multifractal import figures

    for package in (multifractal, figures, landscape_viz):
        for name in package.__all__:
            assert getattr(package, name).__doc__, f"{package.__name__}.{name} has no docstring"


DRAW = """
import matplotlib
matplotlib.use("Agg")
import multifractal as mf
from multifractal import figures
assert "site-packages" in mf.__file__, mf.__file__
surface = mf.fbm_surface(64, 0.6, rng=0)
walk = mf.descend(surface, [5, 5], learning_rate=10, n_steps=20)
figures.save_figure(figures.surface_with_walk(surface, walk), "drawn", "surface", values=surface.values)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return the Python of a fresh environment that holds only the wheel, seeing this environment's dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for package in ("multifractal", "landscape_viz"):
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, folder],
        check=True,
        capture_output=True,
    )
    venv.create(folder / "env", with_pip=False, system_site_packages=False)
    python = folder / "env" / "bin" / "python"
    purelib = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            purelib,
            *folder.glob("*.whl"),
        ],
        check=True,
    )
    here = subprocess.run(
        [sys.executable, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    # The dependencies come from this environment; appended last, without its .pth files (so not the editable install).
    (Path(purelib) / "dependencies.pth").write_text(here + "\n")
    return python


def test_wheel_draws_a_figure_outside_the_repository(installed, tmp_path):
    """The wheel carries style and data: a figure is drawn from a folder outside the repository."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([installed, "-c", DRAW], check=True, cwd=tmp_path, env=outside)
    assert {path.suffix for path in (tmp_path / "drawn").iterdir()} == {".png", ".pdf", ".npz"}


@pytest.mark.parametrize("package", ["multifractal", "landscape_viz"])
def test_no_module_has_a_public_name_of_its_own(package):
    """No module is called like something it gives the package: importing it would put the module in the name's place."""
    stub = (ROOT / package / "__init__.pyi").read_text()
    pairs = re.findall(r"^from \.([\w.]+) import \w+ as (\w+)$", stub, flags=re.MULTILINE)
    assert len(pairs) > 20
    modules = {path.stem for path in (ROOT / package).iterdir()}
    assert not [name for module, name in pairs if name in modules or name == module]


def test_every_module_has_a_room():
    """CONTRIBUTING names each module of both libraries."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`([\w/]+)`", page))
    drawn = (
        "figures",
        "reproduction",
        "source_data",
    )  # a module for each chapter, claim or file kind
    modules = {
        path.stem
        for package in ("multifractal", "landscape_viz")
        for path in (ROOT / package).rglob("*.py")
        if not path.stem.startswith("_")
        and not (package == "multifractal" and path.parent.name in drawn)
    }
    assert not modules - named
