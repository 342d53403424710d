"""The demo: every code cell in turn in a fresh process, as a notebook runs them; drawing and writing timed apart."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Parts

ROOT = Path(__file__).resolve().parents[1]
_DROPPED = ("MULTIFRACTAL_DATA", "PROFILE")


def cases():
    """Return the quick profile from nothing, without the paper's files: computing, drawing and writing, and total."""
    return [Parts("the demo, quick profile", replay, aim="a minute")]


def replay():
    """Return {part: seconds} of the demo in a process and a folder of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "experiments" / "results", Path(folder, "experiments", "results"))
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.bench_demo", ROOT / "demo.ipynb"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        total = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"the demo failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    drawing = json.loads(done.stdout.splitlines()[-1])
    return {"computing": total - drawing, "drawing and writing figures": drawing, "total": total}


def drawing_seconds(notebook):
    """Run the notebook's code cells in this process; return the seconds that its figure functions took."""
    import nbformat
    from IPython.core.interactiveshell import InteractiveShell

    from multifractal import figures

    spent = []
    for name in figures.__all__:
        if callable(getattr(figures, name)):
            setattr(figures, name, _timed(getattr(figures, name), spent))
    shell = InteractiveShell.instance()
    for cell in nbformat.read(notebook, 4).cells:
        if cell.cell_type == "code":
            shell.run_cell(cell.source).raise_error()
    return sum(spent)


def _timed(function, spent):
    def run(*args, **kwargs):
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent.append(time.perf_counter() - start)

    return run


if __name__ == "__main__":
    print(json.dumps(drawing_seconds(sys.argv[1])))
