"""The model beside the twenty lines that one would write for the same job, at several sizes: `python -m benchmarks obvious`.

The jobs take turns with those lines (`twenty_lines`), which are held to the same numbers first. Times are processor seconds on one
core, and the ratio is the median over the turns, so that what else the machine does meets both. Above 1 ours is slower: it checks
its input, says where a result came from, and keeps the promised bits.
"""

import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import harness, twenty_lines
from benchmarks.bench_training import _obvious, _ours
from multifractal import (
    HarmonicPotential,
    Landscape,
    descend,
    descend_ensemble,
    fbm_surface,
    fractional_langevin,
    local_minima,
    lyapunov_exponents,
    tamsd,
)
from multifractal.base.checks import require
from multifractal.training.full_batch import FullBatchDescent

RECORD = Path(__file__).with_name("obvious.json")
_TURNS, _SECONDS = 9, 0.02  # turns, and processor time of each at least
_RATE, _STEPS, _HURST = 30.0, 1000, 0.7


@dataclass(frozen=True)
class Job:
    """One job at several sizes: `prepare(size)` returns our call and theirs; each gives an array.

    Half of the two arrays' numbers or more must agree, to `error` of the largest: a chaotic walk enlarges a rounding.
    """

    name: str
    sizes: tuple
    prepare: Callable
    against: str = "numba loop"
    error: float = 1e-9


def main():
    """Measure every job, print its rows as they come, and keep the table."""
    if hasattr(os, "sched_setaffinity"):  # threads that share a core slow each other
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    rows = []
    for job in jobs():
        rows += [measure(job, size) for size in job.sizes]
        print("\n".join(table(rows).splitlines()[-len(job.sizes) :]), flush=True)
    record = {"machine": harness.where_and_when(), "rows": rows}
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


def measure(job, size):
    """Return the row of a job at one size: processor seconds of a call of ours and of theirs, and their ratio."""
    ours, theirs = job.prepare(size)
    off, largest = np.median(np.abs(ours() - theirs())), np.abs(theirs()).max()
    require(off <= job.error * largest, "theirs", off, f"be within {job.error:g}", "mend the lines")
    counts = [max(1, round(_SECONDS / max(_seconds(call, 2), 1e-7))) for call in (ours, theirs)]
    pairs = [(_seconds(ours, counts[0]), _seconds(theirs, counts[1])) for _ in range(_TURNS)]
    medians = [statistics.median(side) for side in zip(*pairs, strict=True)]
    ratio = statistics.median(a / b for a, b in pairs)
    kept = dict(zip(("ours", "theirs"), medians, strict=True)) | {"ratio": ratio}
    return {"name": job.name, "size": size, "against": job.against} | kept


def _seconds(call, n):
    start = time.process_time()
    for _ in range(n):
        call()
    return (time.process_time() - start) / n


def table(rows):
    """Return rows as a Markdown table."""
    lines = [
        "| job | size | ours | theirs | ours / theirs | theirs is |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {row['size']:,} | {_in_words(row['ours'])} | {_in_words(row['theirs'])} | "
        f"{row['ratio']:.2f} | {row['against']} |"
        for row in rows
    ]
    return "\n".join(lines)


def text():
    """Return what the page says of the record."""
    record = json.loads(RECORD.read_text())
    return f"Measured on {record['machine']}; one core.\n\n{table(record['rows'])}"


def _in_words(seconds):
    return f"{seconds * 1e6:.3g} µs" if seconds < 1e-3 else f"{seconds * 1e3:.3g} ms"


def jobs():
    """Return the jobs."""
    numpy = {"against": "numpy"}
    return [
        Job("one walk, by steps", (10, 1000, 10_000, 100_000), _walk),
        Job("walkers of 1000 steps, all kept, by walkers", (100, 1000), _walkers),
        Job("walkers of 1000 steps, the ends kept, by walkers", (100, 1000), _ends),
        Job("Lyapunov exponents, 40 rates, 1000 steps, by starts", (1, 10), _lyapunov, error=0.1),
        Job("Langevin path, by steps", (100, 1000, 10_000), _langevin, "sum over the whole past"),
        Job("TAMSD at 4 lags, by steps", (100, 1000, 10_000), _displacement),
        Job("minima of a fresh landscape, by side", (128, 512, 1024), _minima, **numpy),
        Job(
            "sharpness of the training loss, by features",
            (5, 10, 40),
            _sharpness,
            **numpy,
            error=1e-4,
        ),
        Job(
            "4000 epochs of training, by rows", (1503,), _training, "plain jitted scan", error=0.01
        ),
    ]


def _ground():
    surface = fbm_surface(1024, 0.5, rng=0)
    return surface, surface.values, surface.gradient


def _starts(n):
    return np.random.default_rng(1).uniform(0, 1023, (n, 2))


def _walk(n_steps):
    surface, values, gradient = _ground()
    ours = partial(descend, surface, [500.0, 500.0], learning_rate=_RATE, n_steps=n_steps)
    theirs = partial(twenty_lines.walk, values, gradient, 500.0, 500.0, _RATE, n_steps)
    return _then(ours, lambda walk: walk.losses), _then(theirs, lambda found: found[1])


def _walkers(n):
    surface, values, gradient = _ground()
    ours = partial(descend_ensemble, surface, _starts(n), learning_rates=[_RATE], n_steps=_STEPS)
    theirs = partial(twenty_lines.walks, values, gradient, _starts(n), _RATE, _STEPS)
    return _then(ours, lambda walks: walks.losses[0]), _then(theirs, lambda found: found[1])


def _ends(n):
    surface, _, gradient = _ground()
    rest = {"learning_rates": [_RATE], "n_steps": _STEPS, "keep_last": 1}
    ours = partial(descend_ensemble, surface, _starts(n), **rest)
    theirs = partial(twenty_lines.ends, gradient, _starts(n), _RATE, _STEPS)
    return _then(ours, lambda walks: walks.positions[0, :, 0]), theirs


def _lyapunov(n):
    surface, _, gradient = _ground()
    rates, span = np.logspace(0, 4, 40), {"n_steps": _STEPS, "burn_in": _STEPS // 2}
    ours = partial(lyapunov_exponents, surface, learning_rates=rates, starts=_starts(n), **span)
    theirs = partial(twenty_lines.lyapunov, gradient, _starts(n), rates, *span.values())
    return _then(ours, lambda found: found.exponents), theirs


def _langevin(n_steps):
    noise = np.random.default_rng(0).normal(size=n_steps + 1).cumsum()
    rest = {"hurst": _HURST, "learning_rate": 1.0, "beta": 1.0, "noise": noise}
    ours = partial(fractional_langevin, HarmonicPotential(1e-3), 5.0, n_steps=n_steps, **rest)
    theirs = partial(twenty_lines.langevin, 1e-3, 5.0, noise, _HURST)
    return _then(ours, lambda path: path.positions), theirs


def _displacement(n_steps):
    track = np.random.default_rng(0).normal(size=(n_steps, 2)).cumsum(axis=0)
    lags, window = np.array([1, 2, 4, 8]), n_steps // 2
    ours = partial(tamsd, track, lag_times=lags, window=window)
    theirs = partial(twenty_lines.displacement, track, lags, window)
    return _then(ours, lambda found: found.values[0]), theirs


def _minima(n):
    values = fbm_surface(n, 0.5, rng=0).values
    return (
        lambda: local_minima(Landscape(values)).flatness,
        lambda: twenty_lines.minima(values)[1],
    )


def _sharpness(n_features):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(442, n_features)).astype(np.float32)
    target = rng.normal(size=442).astype(np.float32)
    rest = {"n_train": 442, "learning_rate": 0.01, "dropout": 0.0, "seed": 0}
    descent = FullBatchDescent(inputs, target, **rest)
    theta = descent.start()
    return partial(descent.sharpness, theta), partial(twenty_lines.sharpness, theta, inputs, target)


def _training(rows):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(rows, 5)).astype(np.float32), rng.normal(size=rows).astype(np.float32)
    ours, theirs = _ours(*data, dropout=0.0), _obvious(*data, dropout=0.0)
    return _then(ours, lambda found: found[0][-1]), _then(theirs, lambda found: found[1][1][-1])


def _then(call, take):
    return lambda: take(call())
