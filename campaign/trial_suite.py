"""The fast part of the test suite, again and again, its tests in another order each time."""

import os
import re
import subprocess
import sys

from campaign.harness import HERE, Kind

PASSED = "passed"
FAST = (
    "multifractal/base/test_base.py",
    "multifractal/landscapes/test_laws.py",
    "multifractal/landscapes/test_landscape.py",
    "multifractal/geometry/test_minima.py",
    "multifractal/diffusion/test_displacement.py",
    "multifractal/diffusion/test_theory.py",
    "multifractal/landscapes/test_measures.py",
    "multifractal/walkers/test_descent.py",
    "multifractal/training/test_run_folder.py",
    "multifractal/training/test_tables.py",
    "multifractal/analysis/test_verdict.py",
    "multifractal/analysis/test_leaders.py",
    "multifractal/landscapes/test_weierstrass.py",
    "multifractal/figures/test_style.py",
    "multifractal/training/test_embedding.py",
    "landscape_viz/test_checkpoint.py",
    "landscape_viz/test_directions.py",
    "landscape_viz/test_models.py",
    "landscape_viz/loss/test_problem.py",
)


def kinds():
    """Return twenty runs."""
    return [
        Kind(
            "suite",
            "the fast part of the test suite, in a random order",
            20,
            (PASSED,),
            _trial,
            batch=1,
            seconds=1500,
            unit="runs",
        )
    ]


def _trial(index, folder):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "campaign.shuffled",
            f"--basetemp={folder / 'tests'}",
            *(f"tests/{name}" for name in FAST),
        ],
        cwd=HERE.parent,
        env=os.environ | {"CAMPAIGN_ORDER": str(index)},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stdout.strip().splitlines()[-1]
    if done.returncode == 0 and re.search(r"\d+ passed", last):
        return PASSED, last
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return "FAILED", "; ".join([*failed, last])[:800]
