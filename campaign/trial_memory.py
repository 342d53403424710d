"""Flat memory: the same computation many times over, with the memory of the process after each."""

import gc
import resource

import numpy as np

from campaign import computations
from campaign.harness import Kind

FLAT = "flat"
_NAMES = (
    "ensemble",
    "ensemble, noisy",
    "spectrum with bootstrap",
    "mbm_surface",
    "tamsd",
    "lyapunov_exponents",
    "section",
    "top_eigenpairs",
)
_WARM, _REPEATS = 20, 200
_ALLOWED = 20e3  # bytes a repeat: the smallest of these results holds more


def kinds():
    """Return one series for each computation."""
    return [
        Kind(
            "memory",
            f"{_REPEATS} repeats of an ensemble, a spectrum, a section ...: growth of memory",
            len(_NAMES),
            (FLAT,),
            _trial,
            batch=1,
            seconds=1800,
            environment=(("NUMBA_NUM_THREADS", "1"), ("OMP_NUM_THREADS", "1")),
            unit="series",
        )
    ]


def _trial(index, folder):
    name = _NAMES[index]
    compute, used = computations.everything()[name], []
    for repeat in range(_WARM + _REPEATS):
        compute(None)
        if repeat >= _WARM:
            gc.collect()
            used.append(_resident())
    slope, error = _slope(np.array(used))
    said = f"{name}: {slope / 1e3:.2f} ± {error / 1e3:.2f} kB a repeat, at {used[-1] / 1e6:.0f} MB"
    return (FLAT if slope + 2 * error < _ALLOWED else "GROWING"), said


def _slope(used):
    """Return the mean growth a repeat and its standard error, from ten blocks, since repeats are not independent."""
    blocks = used.reshape(10, -1).mean(axis=1)
    steps = np.diff(blocks) / (len(used) / 10)
    return steps.mean(), steps.std(ddof=1) / np.sqrt(len(steps))


def _resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
