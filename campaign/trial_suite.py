"""The tests marked `quick`, again and again, in another order each time."""

import os
import re
import subprocess
import sys

from campaign.harness import HERE, Kind

PASSED = "passed"


def kinds():
    """Return twenty runs."""
    return [
        Kind(
            "suite",
            "the quick part of the test suite, in a random order",
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
            "-m",
            "quick and not slow",
            "tests",
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
