"""The same bits: every computation in fresh processes, by threads, by worker processes, and on emulated older processors."""

import functools
import json
import os
import subprocess
import sys
import tempfile

from campaign.harness import HERE, Kind

SAME = "all hashes equal"
# threads, worker processes; the first is the reference
_SETTINGS = ((1, 0), (1, 0), (1, 1), (2, 0), (2, 0), (2, 2))
# what makes numpy, the C library, BLAS and numba take the code of an older processor; newer names than a library knows are
# passed over by it
OLDER = {
    "older numpy": {
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL X86_V4 X86_V3"
    },
    "older C library and BLAS": {
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
    "older numba": {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": ""},
    "numba of the first AVX2": {"NUMBA_CPU_NAME": "haswell"},
}


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
        ),
        Kind(
            "same-bits-processors",
            "every generator, walk and path, and TAMSD, as an older x86-64 processor computes them",
            len(OLDER),
            (SAME,),
            _processor_trial,
            batch=len(OLDER),
            seconds=900,
            unit="processes",
        ),
    ]


def _trial(index, folder):
    reference, found = _hashes(0), _hashes(index + 1)
    other = [name for name in reference if found[name] != reference[name]]
    threads, workers = _SETTINGS[index + 1]
    setting = f"{len(reference)} computations on {threads} threads, {workers} workers"
    return (SAME, setting) if not other else ("OTHER BITS", f"{setting}: {', '.join(other)}")


def _processor_trial(index, folder):
    name = list(OLDER)[index]
    reference, found = promised_hashes(), promised_hashes(name)
    other = [key for key in reference if found[key] != reference[key]]
    setting = f"{len(reference)} computations, {name}"
    return (SAME, setting) if not other else ("OTHER BITS", f"{setting}: {', '.join(other)}")


@functools.cache
def promised_hashes(older=None):
    """Return {name: hash} of what is promised bit for bit, from a fresh process, as it is or with libraries of `older`."""
    with tempfile.TemporaryDirectory() as kept:
        changed = OLDER[older] | {"NUMBA_CACHE_DIR": kept} if older else {}
        return _run(os.environ | changed, "promised")


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
    return _run(environment, str(workers))


def _run(environment, argument):
    done = subprocess.run(
        [sys.executable, "-m", "campaign.computations", argument],
        env=environment,
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-800:]
    return json.loads(done.stdout)
