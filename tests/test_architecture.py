"""The layout shows the architecture: chapters import downwards only, folders stay small, each has its paragraph."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.quick

# Lower chapters first; a chapter may import itself and what stands before it. "" is the package's own folder.
MODEL = (
    "base landscapes source_data analysis geometry walkers diffusion measured training figures reproduction"
).split()
NETWORKS = "devices loss bridge recurrent curvature degeneracy mapping monitor figures".split() + [
    "",
    "studies",
]
FULLEST = 18


def chapters(package):
    """Return the folders of a package that hold Python files, by name."""
    return sorted(path.name for path in (ROOT / package).iterdir() if list(path.glob("*.py")))


def imports(package, path):
    """Yield the modules of `package` that a file imports, without the package's name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            head, _, rest = node.module.partition(".")
            if head == package:
                yield from [rest] if rest else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                head, _, rest = alias.name.partition(".")
                if head == package and rest:
                    yield rest


def room(package, module):
    """Return the chapter of a module; "" for one in the package's own folder."""
    chapter = module.split(".")[0]
    return chapter if (ROOT / package / chapter).is_dir() else ""


def climbing(package, order):
    """Return 'file imports module' wherever a file imports a higher chapter than its own."""
    found = []
    for path in (ROOT / package).rglob("*.py"):
        within = path.relative_to(ROOT / package)
        own = within.parts[0] if len(within.parts) > 1 else ""
        if within.name == "__main__.py" or (within.name == "__init__.py" and not own):
            continue  # doors: they lead into every room
        found += [
            f"{within} imports {module}"
            for module in imports(package, path)
            if module != "_version" and order.index(room(package, module)) > order.index(own)
        ]
    return found


@pytest.mark.parametrize(
    ("package", "order"), [("multifractal", MODEL), ("landscape_viz", NETWORKS)]
)
def test_imports_run_downwards(package, order):
    """No file imports a higher chapter, and every chapter has its place in the order."""
    assert set(chapters(package)) == set(order) - {""}
    assert climbing(package, order) == []


def test_a_climbing_import_is_found(tmp_path, monkeypatch):
    """The rule can fail: a file on the ground floor that imports figures is named."""
    for folder in ("base", "figures"):
        (tmp_path / "multifractal" / folder).mkdir(parents=True)
    (tmp_path / "multifractal" / "base" / "bad.py").write_text(
        "from multifractal.figures import x\n"
    )
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    assert climbing("multifractal", MODEL) == [str(Path("base") / "bad.py") + " imports figures"]


def test_the_model_never_imports_the_networks():
    """`landscape_viz` may import `multifractal`, never the reverse."""
    sources = (ROOT / "multifractal").rglob("*.py")
    assert [path.name for path in sources if list(imports("landscape_viz", path))] == []


@pytest.mark.parametrize("package", ["multifractal", "landscape_viz"])
def test_folders_stay_small_and_say_what_they_are(package):
    """No folder holds more than 18 Python files (its command not counted), and each chapter's __init__ opens with a paragraph."""
    for folder in [ROOT / package, *(ROOT / package / name for name in chapters(package))]:
        rooms = [path for path in folder.glob("*.py") if path.name != "__main__.py"]
        assert len(rooms) <= FULLEST, folder
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text())), folder
