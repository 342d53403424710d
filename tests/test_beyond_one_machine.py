"""The scripts of docs/beyond_one_machine.md run as they stand, and end with what the serial computation gives."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "beyond_one_machine.md").read_text()
SCRIPTS = dict(
    zip(
        re.findall(r"[Aa]s `(\w+\.py)`", PAGE),
        re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL),
        strict=True,
    )
)


def run(name, folder, *launcher, replace=None):
    """Run a script of the page in an empty folder; it must say that both results are equal."""
    script = SCRIPTS[name]
    for old, new in (replace or {}).items():
        assert old in script
        script = script.replace(old, new)
    (folder / name).write_text(script)
    done = subprocess.run(
        [*launcher, name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.strip().endswith("equal to the bit"), done.stderr
    assert (folder / "section.store").exists()


def needs(*modules):
    """Skip where a module that the recipe installs is missing."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{missing} not installed")


def test_the_page_has_four_scripts():
    """One for dask, one for MPI, one for Slurm; the one for torchrun is run by tests/landscape_viz/devices/test_ranks.py."""
    names = ["sweep_dask.py", "sweep_mpi.py", "sweep_slurm.py", "sweep_ranks.py"]
    assert list(SCRIPTS) == names


@pytest.mark.slow
def test_torchrun(tmp_path):
    """Two processes, started by torchrun itself."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    run("sweep_ranks.py", tmp_path, *launcher)


@needs("distributed")
def test_dask(tmp_path):
    """Two workers on this machine."""
    run("sweep_dask.py", tmp_path, sys.executable)


@needs("mpi4py")
@pytest.mark.skipif(shutil.which("mpiexec") is None, reason="no mpiexec")
def test_mpi(tmp_path):
    """Three ranks on this machine, however few cores it has, and whoever runs it."""
    allowed = ["--oversubscribe", *(["--allow-run-as-root"] if os.geteuid() == 0 else [])]
    run(
        "sweep_mpi.py",
        tmp_path,
        "mpiexec",
        *allowed,
        "-n",
        "3",
        sys.executable,
        "-m",
        "mpi4py.futures",
    )


@needs("submitit")
def test_submitit(tmp_path):
    """Each chunk a process of submitit's local executor, which stands for the cluster; two chunks, as each process loads torch."""
    changes = {'cluster="slurm"': 'cluster="local"', '"-1:1:5"': '"-1:1:2"'}
    run("sweep_slurm.py", tmp_path, sys.executable, replace=changes)
