"""Time a kernel against its naive twin in one run, in turn, and write the table the README shows.

A module `benchmarks/bench_<chapter>.py` defines `cases()`, a list of `Case`; `python -m benchmarks [WORD ...]` runs those
whose name holds one of the words, prints the table, and without words writes `results.json` and the README's table too.
"""

import importlib.metadata
import json
import multiprocessing
import platform
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from multifractal._parallel import processor_count

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
MARKS = ("<!-- benchmarks: begin -->", "<!-- benchmarks: end -->")


@dataclass(frozen=True)
class Case:
    """One thing to time: `run` is ours; `yardstick`, if any, is what it is compared with and does `share` of the work."""

    name: str
    run: Callable
    yardstick: Callable | None = None
    share: float = 1.0
    against: str = "naive twin"
    aim: str = ""
    repeats: int = 5
    fresh_process: bool = False  # also report peak memory, from a process that runs nothing else


@dataclass(frozen=True)
class Timing:
    """Medians in seconds; `first` is the first call, which loads or compiles; `ratio` is yardstick over ours."""

    name: str
    seconds: float
    first: float
    ratio: float | None
    against: str
    aim: str
    peak_gb: float | None


def measure(case):
    """Time `case`: one call apart, then ours and the yardstick in turn, medians of both."""
    if case.fresh_process:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            first, peak = pool.apply(_first_call_and_peak, (case.run,))
    else:
        first, peak = _seconds(case.run), None
    ours, theirs = [], []
    for _ in range(case.repeats if first < 20 else 1):
        ours.append(first if first >= 20 else _seconds(case.run))
        if case.yardstick is not None and (not theirs or sum(theirs) < 20):
            theirs.append(_seconds(case.yardstick) / case.share)
    ratio = statistics.median(theirs) / statistics.median(ours) if theirs else None
    return Timing(case.name, statistics.median(ours), first, ratio, case.against if theirs else "", case.aim, peak)


def table(timings):
    """Return the timings as a Markdown table."""
    rows = ["| what | time | first call | times faster | than | aim | peak memory |", "|---|---|---|---|---|---|---|"]
    rows += [f"| {t.name} | {_time(t.seconds)} | {_time(t.first)} | {'' if t.ratio is None else f'{t.ratio:.3g}'} | "
             f"{t.against} | {t.aim} | {'' if t.peak_gb is None else f'{t.peak_gb:.2f} GB'} |" for t in timings]
    return "\n".join(rows)


def machine():
    """Return the machine and the versions in words."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "scipy", "numba")]
    cores = processor_count()
    return f"{cores} cores, {platform.machine()}, Python {platform.python_version()}, {', '.join(versions)}"


def write(timings):
    """Write `results.json` and the table between the README's marks."""
    record = {"machine": machine(), "timings": [asdict(t) for t in timings]}
    (HERE / "results.json").write_text(json.dumps(record, indent=1) + "\n")
    before, rest = README.read_text().split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    README.write_text(f"{before}{MARKS[0]}\nMeasured on {machine()}.\n\n{table(timings)}\n{MARKS[1]}{after}")


def _first_call_and_peak(run):
    seconds = _seconds(run)
    return seconds, _peak_kilobytes() * 1024 / 1e9


def _peak_kilobytes():
    """Return this process's own peak memory; ru_maxrss would start from that of the process which started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _time(seconds):
    unit, scale = ("s", 1) if seconds >= 1 else ("ms", 1e3) if seconds >= 1e-3 else ("µs", 1e6)
    return f"{seconds * scale:.3g} {unit}"
