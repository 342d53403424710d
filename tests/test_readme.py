"""Every block of the README does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PYTHON_BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", PYTHON_BLOCKS, ids=range(len(PYTHON_BLOCKS)))
def test_python_block_runs(block, tmp_path):
    """Each python block runs as it stands, in an empty folder, without a display."""
    (tmp_path / "block.py").write_text(block)
    subprocess.run([sys.executable, "block.py"], check=True, cwd=tmp_path, env={**os.environ, "MPLBACKEND": "Agg"})


def test_there_are_blocks():
    """The README shows code (so that the test above is not empty)."""
    assert len(PYTHON_BLOCKS) >= 3


def test_commands_name_targets_and_files_that_exist():
    """Each `make X` is a target of the Makefile, each `python FILE` exists, and each local link leads somewhere."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", README)) <= targets
    for script in re.findall(r"\bpython ([\w/]+\.py)", README):
        assert (ROOT / script).exists(), script
    for link in re.findall(r"\]\((?!http|#)([^)#]+)", README):
        assert (ROOT / link).exists(), link
