"""The fast part of the test suite, again and again, its tests in another order each time."""

import os
import re
import subprocess
import sys

from campaign.harness import HERE, Kind

PASSED = "passed"
FAST = ("test_io.py", "multifractal/test_laws.py", "multifractal/test_landscape.py", "multifractal/test_geometry.py",
        "multifractal/test_displacement.py", "multifractal/test_theory.py", "multifractal/test_measures.py",
        "multifractal/test_descent.py", "multifractal/test_run_folder.py", "multifractal/test_tables.py",
        "multifractal/test_verdict.py", "multifractal/test_leaders.py", "multifractal/test_weierstrass.py",
        "multifractal/test_figures_style.py", "multifractal/test_embedding.py", "landscape_viz/test_checkpoint.py",
        "landscape_viz/test_directions.py", "landscape_viz/test_models.py", "landscape_viz/test_problem.py")


def kinds():
    """Return twenty runs."""
    return [Kind("suite", "the fast part of the test suite, in a random order", 20, (PASSED,), _trial, batch=1, seconds=1500,
                 unit="runs")]


def _trial(index, folder):
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "campaign.shuffled",
                           f"--basetemp={folder / 'tests'}", *(f"tests/{name}" for name in FAST)], cwd=HERE.parent,
                          env=os.environ | {"CAMPAIGN_ORDER": str(index)}, capture_output=True, text=True, check=False)
    last = done.stdout.strip().splitlines()[-1]
    if done.returncode == 0 and re.search(r"\d+ passed", last):
        return PASSED, last
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return "FAILED", "; ".join([*failed, last])[:800]
