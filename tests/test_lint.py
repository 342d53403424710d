"""Ruff and mypy find nothing: `make test` runs them here, beside the other tests, and `make lint` by themselves."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize("checker", [["ruff", "check", "."], ["mypy"]], ids=" ".join)
def test_a_checker_finds_nothing(checker):
    """Each with the settings of pyproject.toml, over the whole checkout."""
    done = subprocess.run(
        [sys.executable, "-m", *checker], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
