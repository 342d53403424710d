"""The same bits: every computation in fresh processes, on 1 and 2 threads, with 0 to 2 worker processes."""

import functools
import json
import os
import subprocess
import sys

from campaign.harness import HERE, Kind

SAME = "all hashes equal"
# threads, worker processes; the first is the reference
_SETTINGS = ((1, 0), (1, 0), (1, 1), (2, 0), (2, 0), (2, 2))


def kinds():
    """Return one comparison with the reference for each further setting."""
    return [
        Kind(
            "same-bits",
            "every computation in fresh processes, on 1 and 2 threads and workers",
            len(_SETTINGS) - 1,
            (SAME,),
            _trial,
            batch=len(_SETTINGS),
            seconds=900,
            unit="processes",
        )
    ]


def _trial(index, folder):
    reference, found = _hashes(0), _hashes(index + 1)
    other = [name for name in reference if found[name] != reference[name]]
    threads, workers = _SETTINGS[index + 1]
    setting = f"{len(reference)} computations on {threads} threads, {workers} workers"
    return (SAME, setting) if not other else ("OTHER BITS", f"{setting}: {', '.join(other)}")


@functools.cache
def _hashes(number):
    threads, workers = _SETTINGS[number]
    environment = os.environ | {
        name: str(threads)
        for name in (
            "NUMBA_NUM_THREADS",
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS",
        )
    }
    done = subprocess.run(
        [sys.executable, "-m", "campaign.computations", str(workers)],
        env=environment,
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-800:]
    return json.loads(done.stdout)
