"""Shared fixtures: the paper's source data, no sockets beyond loopback, hypothesis that repeats itself."""

import os
import runpy
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("MULTIFRACTAL_SHARED", ROOT.parent / "shared"))

# Sockets are held to loopback here and, through the path, in every Python that a test starts.
_NO_NETWORK = Path(__file__).parent / "helpers" / "no_network"
runpy.run_path(str(_NO_NETWORK / "sitecustomize.py"))
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(_NO_NETWORK), os.environ.get("PYTHONPATH")])
)

settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("repeatable")


LONG = (
    "test_demo.py",
    "test_notebooks.py",
    "test_site.py",
    "test_lint.py",
)  # files that would leave a worker idle at the end


def pytest_collection_modifyitems(items):
    """Put the longest files first (with `--no-loadscope-reorder`, which keeps this order)."""
    items.sort(key=lambda item: item.path.name not in LONG)


def shared_file(relative):
    """Return a file or folder of the data kept beside the checkout; skip without it, but fail in CI."""
    path = SHARED / relative
    if not path.exists():
        message = f"{relative} is not beside this checkout (set MULTIFRACTAL_SHARED to the folder that holds it)"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def zenodo():
    """Folder with the part of the paper's source data that is kept beside the checkout."""
    return shared_file("zenodo")


@pytest.fixture(scope="session")
def airfoil_table():
    """The UCI airfoil self-noise table kept beside the checkout."""
    return shared_file("airfoil_self_noise.dat")


@pytest.fixture
def drawn(request):
    """Compare every figure that a test leaves with its approved form in tests/approved; `helpers.approved` says how to approve."""
    from tests.helpers import approved
    from tests.helpers.drawn import figures_made, forms_of

    with figures_made() as made:
        yield
    if forms := forms_of(made):
        file, _, name = request.node.nodeid.removeprefix("tests/").partition(".py::")
        approved.check(file.replace("/", "."), name, forms)
