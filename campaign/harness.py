"""Carry out trials in child processes, remember each as it is done, and give the table of docs/reliability.md.

A module `campaign/<chapter>.py` defines `kinds()`, a list of `Kind`. The trials of a kind are numbered; trial i depends on
its number only, never on the others. They run in batches, each batch in a fresh Python, so that a crash of the interpreter
or a hang is an outcome like any other. What is done is kept in results/campaign/<name>.json, and not done again.
"""

import importlib
import importlib.metadata
import json
import os
import platform
import queue
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from multifractal._version import __version__
from multifractal.base import files
from multifractal.base.chunks import processor_count

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
STATE = HERE.parent / "results" / "campaign"
CRASH, HANG = "interpreter crashed", "hung"
_SECONDS_TO_START = 300  # of a child: it imports
_SHOWN = 5  # failures whose details are kept in results.json


@dataclass(frozen=True)
class Kind:
    """Trials of one kind: `run(index, folder)` returns (outcome, detail); each outcome but those in `good` is a failure."""

    name: str
    what: str  # what is done, for the table
    count: int
    good: tuple
    run: Callable
    batch: int = 100  # trials in one child process
    seconds: float = 300.0  # a trial that takes longer hangs
    environment: tuple = ()  # pairs, for the child
    unit: str = "trials"


def kinds():
    """Return every kind of trial, by module and in its order; those of the module $CAMPAIGN_TRIALS if it is set."""
    names = [f"campaign.{path.stem}" for path in sorted(HERE.glob("trial_*.py"))]
    names = [os.environ["CAMPAIGN_TRIALS"]] if "CAMPAIGN_TRIALS" in os.environ else names
    return [kind for name in names for kind in importlib.import_module(name).kinds()]


def generator(name, index):
    """Return the random numbers of trial `index` of the kind `name`."""
    return np.random.default_rng([zlib.crc32(name.encode()), index])


def carry_out(kind, count=None, state=STATE):
    """Do what is left of the first `count` trials (all); return {index: (outcome, detail)} of them and the seconds."""
    count = kind.count if count is None else min(count, kind.count)
    path = Path(state) / f"{kind.name}.json"
    done, seconds = _remembered(path)
    left = [index for index in range(count) if index not in done]
    for first in range(0, len(left), kind.batch):
        start = time.perf_counter()
        done |= _batch(kind, left[first : first + kind.batch])
        seconds += time.perf_counter() - start
        _remember(path, done, seconds)
    return {index: done[index] for index in range(count)}, seconds


def remembered(kind, state=STATE):
    """Return the trials done so far, as `carry_out` does."""
    return _remembered(Path(state) / f"{kind.name}.json")


def forget_failures(kind, state=STATE):
    """Forget the trials that failed, so that they are done again."""
    done, seconds = remembered(kind, state)
    _remember(
        Path(state) / f"{kind.name}.json",
        {i: found for i, found in done.items() if found[0] in kind.good},
        seconds,
    )


def report(kind, done, seconds):
    """Return the record of a kind that goes into results.json."""
    bad = {index: found for index, found in done.items() if found[0] not in kind.good}
    return {
        "name": kind.name,
        "what": kind.what,
        "trials": len(done),
        "of": kind.count,
        "unit": kind.unit,
        "outcomes": dict(Counter(outcome for outcome, _ in done.values()).most_common()),
        "failures": len(bad),
        "first_failures": [[index, *found] for index, found in sorted(bad.items())[:_SHOWN]],
        "seconds": round(seconds, 1),
        "command": f"python -m campaign {kind.name}",
    }


def table(records):
    """Return the records as a Markdown table."""
    rows = [
        "| what is done | trials | what came of it | failures | minutes | `python -m campaign` |",
        "|---|---|---|---|---|---|",
    ]
    for r in records:
        outcomes = "; ".join(f"{number} {outcome}" for outcome, number in r["outcomes"].items())
        number = f"{r['trials']}" if r["trials"] == r["of"] else f"{r['trials']} of {r['of']}"
        rows.append(
            f"| {r['what']} | {number} | {outcomes} | {r['failures']} | {r['seconds'] / 60:.1f} | `{r['name']}` |"
        )
    return "\n".join(rows)


def machine():
    """Return version, machine and libraries in words."""
    versions = []
    for name in ("numpy", "scipy", "numba", "torch", "jax"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return (
        f"version {__version__}, {processor_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"{', '.join(versions)}"
    )


def write(records, results=RESULTS):
    """Write `results.json`, of which the page's table is made."""
    with files.atomic_write(results, overwrite=True) as file:
        file.write((json.dumps({"machine": machine(), "kinds": records}, indent=1) + "\n").encode())


def text(results=RESULTS):
    """Return what the page says of the campaign on record."""
    record = json.loads(results.read_text())
    return f"Measured with {record['machine']}.\n\n{table(record['kinds'])}"


def _remembered(path):
    if not path.exists():
        return {}, 0.0
    stored = json.loads(path.read_text())
    return {int(index): tuple(found) for index, found in stored["done"].items()}, stored["seconds"]


def _remember(path, done, seconds):
    with files.atomic_write(path, overwrite=True) as file:
        file.write(json.dumps({"done": done, "seconds": seconds}, indent=0).encode())


def _batch(kind, indices):
    """Run trials in child processes; after one that crashes or hangs its child, the rest go on in another."""
    done, left = {}, list(indices)
    while left:
        for index, found in _child(kind, left):
            done[index] = found
        left = [index for index in left if index not in done]
    return done


def _child(kind, indices):
    """Yield (index, (outcome, detail)) of each trial as the child reports it; its death belongs to the trial under way."""
    environment = {**os.environ, **dict(kind.environment)}
    child = subprocess.Popen(
        [sys.executable, "-m", "campaign.child", kind.name, *map(str, indices)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=HERE.parent,
        start_new_session=True,
    )
    lines, errors = queue.Queue(), []
    readers = [
        threading.Thread(
            target=lambda: [lines.put(line) for line in child.stdout] + [lines.put(None)]
        ),
        threading.Thread(target=lambda: errors.extend(child.stderr.readlines()[-5:])),
    ]
    for reader in readers:
        reader.start()
    position, patience = 0, _SECONDS_TO_START
    while position < len(indices):
        try:
            line = lines.get(timeout=patience)
        except queue.Empty:
            os.killpg(child.pid, 9)
            yield indices[position], (HANG, f"after {kind.seconds:g} s")
            break
        if line is None:
            child.wait()
            readers[1].join(5)
            if child.returncode == 1:  # an error of the campaign's own
                raise RuntimeError(f"the trials of {kind.name} cannot be done: {''.join(errors)}")
            yield indices[position], (CRASH, f"status {child.returncode}: {''.join(errors)[-500:]}")
            break
        patience = kind.seconds
        if line.startswith("TRIAL "):
            index, *found = json.loads(line[6:])
            yield index, tuple(found)
            position += 1
    child.wait()
