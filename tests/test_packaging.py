"""What a user installs: requirements that agree, a wheel that draws, an import that is light."""

import json
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
    listed = set(PROJECT["dependencies"]).union(*(extras[name] for name in named))
    assert set(named) == set(extras) - {"all"}
    assert requirements_file() == listed


def test_requirements_are_ranges_that_this_environment_satisfies():
    """Each requirement is a lower bound without a pin, and the environment of the tests meets it."""
    from importlib.metadata import version

    from packaging.requirements import Requirement

    for line in requirements_file():
        requirement = Requirement(line)
        assert [s.operator for s in requirement.specifier] == [">="], line
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
        (one := Requirement(line)).name.lower(): Version(next(iter(one.specifier)).version)
        for line in requirements_file()
    }
    assert pinned == bounds


def test_core_needs_neither_torch_nor_jax():
    """The core installs no deep-learning framework."""
    assert not any(name in line for line in PROJECT["dependencies"] for name in ("torch", "jax"))


def test_conda_environment_gives_the_same():
    """environment.yaml asks for Python 3.12 and installs requirements.txt and this checkout."""
    environment = yaml.safe_load((ROOT / "environment.yaml").read_text())
    assert "python=3.12" in environment["dependencies"]
    assert environment["dependencies"][-1] == {"pip": ["-r requirements.txt", "-e ."]}


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
    subprocess.run([installed, "-c", DRAW], check=True, cwd=tmp_path)
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
