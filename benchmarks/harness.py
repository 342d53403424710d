"""Time a kernel against its naive twin in one run, in turn, and write the tables of docs/benchmarks.md.

A module `benchmarks/bench_<chapter>.py` defines `cases()`, a list of `Case` and `Parts`. `results.json` keeps each timing;
growth, and cases that run on request only, stay from their last run, with the machine and date of that.
"""

import datetime
import importlib.metadata
import json
import platform
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from multifractal.base.chunks import processor_count, workers

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"


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
    on_request: bool = False  # runs only where a word names it
    clock: Callable = (
        time.perf_counter
    )  # process_time for what is compared by work, on a machine that others use
    prepare: Callable | None = None  # untimed, so that a list of cases makes no large network


@dataclass(frozen=True)
class Parts:
    """One thing that runs once and says itself how many seconds each of its named parts took."""

    name: str
    run: Callable
    aim: str = ""
    on_request: bool = False


@dataclass(frozen=True)
class Timing:
    """Medians in seconds; `first` is the first call, which loads or compiles; `ratio` is yardstick over ours."""

    name: str
    seconds: float
    first: float | None = None
    ratio: float | None = None
    against: str = ""
    aim: str = ""
    peak_gb: float | None = None
    measured: str = ""  # where and when, if not in the run that the table is of


def measure(case):
    """Return the timings of `case`: one call apart, then ours and the yardstick in turn, medians of both."""
    if isinstance(case, Parts):
        return [
            Timing(f"{case.name}: {part}", seconds, aim=case.aim if part == "total" else "")
            for part, seconds in case.run().items()
        ]
    if case.prepare is not None:
        case.prepare()
    if case.fresh_process:
        with workers(1) as pool:
            first, peak = pool.submit(_first_call_and_peak, case.run).result()
    else:
        first, peak = _seconds(case.run, case.clock), None
    ours, theirs = [], []
    for _ in range(case.repeats if first < 20 else 1):
        ours.append(first if first >= 20 or case.on_request else _seconds(case.run, case.clock))
        if case.yardstick is not None and (not theirs or sum(theirs) < 20):
            theirs.append(_seconds(case.yardstick, case.clock) / case.share)
    ratio = statistics.median(theirs) / statistics.median(ours) if theirs else None
    return [
        Timing(
            case.name,
            statistics.median(ours),
            first,
            ratio,
            case.against if theirs else "",
            case.aim,
            peak,
            where_and_when() if case.on_request else "",
        )
    ]


def table(timings):
    """Return the timings as a Markdown table."""
    rows = [
        "| what | time | first call | times faster | than | aim | peak memory |",
        "|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {t.name} | {_time(t.seconds)} | {_time(t.first)} | {'' if t.ratio is None else f'{t.ratio:.3g}'} | "
        f"{t.against} | {t.aim} | {'' if t.peak_gb is None else f'{t.peak_gb:.2f} GB'} |"
        for t in timings
    ]
    return "\n".join(rows)


def where_and_when():
    """Return the machine, the versions and the date in words."""
    versions = [
        f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "scipy", "numba")
    ]
    machine = f"{processor_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return f"{machine}, {', '.join(versions)}, {datetime.date.today().isoformat()}"


def stored():
    """Return what `results.json` holds: {"machine", "timings", "growth"}."""
    record = {"machine": "", "timings": [], "growth": None} | (
        json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    )
    return {**record, "timings": [Timing(**timing) for timing in record["timings"]]}


def write(timings, *, everything):
    """Keep the timings in `results.json`; those on request stay from their last run.

    With `everything` they are all cases but these, in order; otherwise cases on request, which take the place of their last.
    """
    record = stored()
    names = {timing.name for timing in timings}
    kept = [t for t in record["timings"] if t.name not in names and (t.measured or not everything)]
    ordinary = (
        [t for t in timings if not t.measured]
        if everything
        else [t for t in kept if not t.measured]
    )
    on_request = sorted((t for t in [*timings, *kept] if t.measured), key=lambda t: t.name)
    machine = where_and_when() if everything else record["machine"]
    _store({**record, "machine": machine, "timings": [*map(asdict, [*ordinary, *on_request])]})


def write_growth(rows):
    """Keep the rows of `growth` in `results.json`."""
    record = stored()
    _store(
        {
            **record,
            "timings": [asdict(t) for t in record["timings"]],
            "growth": {"machine": where_and_when(), "rows": [asdict(row) for row in rows]},
        }
    )


def text():
    """Return what the page says of the timings on record: machine, table, and what was measured elsewhere."""
    record = stored()
    timings, machine = record["timings"], record["machine"]
    elsewhere = sorted({t.measured for t in timings if t.measured} - {machine})
    notes = [
        "; ".join(t.name for t in timings if t.measured == where) + f": on {where}."
        for where in elsewhere
    ]
    return "\n\n".join([f"Measured on {machine}.", table(timings), *notes])


def growth_text():
    """Return what the page says of the growth on record."""
    growth = stored()["growth"]
    return f"Measured on {growth['machine']}.\n\n{growth_table(growth['rows'])}"


def growth_table(rows):
    """Return rows of growth, as dicts, as a Markdown table."""
    lines = [
        "| what | grows with | sizes | exponent | of the last two | expected | constant cost | why else they differ |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['name']} | {r['size']} | {r['sizes'][0]:,} to {r['sizes'][-1]:,} | "
        f"{r['exponent']:.2f} ± {r['error']:.2f} | {r['last']:.2f} | {r['expected']:.2f} ({r['law']}) | "
        f"{1e3 * r['constant']:.2g} ms, {r['constant'] / r['seconds'][0]:.0%} of the smallest | {r['why']} |"
        for r in rows
    ]
    return "\n".join(lines)


def _store(record):
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")


def _first_call_and_peak(run):
    seconds = _seconds(run)
    return seconds, _peak_kilobytes() * 1024 / 1e9


def _peak_kilobytes():
    """Return this process's own peak memory; ru_maxrss would start from that of the process which started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _seconds(call, clock=time.perf_counter):
    start = clock()
    call()
    return clock() - start


def _time(seconds):
    if seconds is None:
        return ""
    unit, scale = ("s", 1) if seconds >= 1 else ("ms", 1e3) if seconds >= 1e-3 else ("µs", 1e6)
    return f"{seconds * scale:.3g} {unit}"
