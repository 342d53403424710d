"""Measure every stated error of the package against repetition: `python -m benchmarks.calibrate [WORD ...]`.

Each case draws the same thing many times at small sizes, with a fresh seed each, and compares what is stated with what is seen: the
mean stated error over the standard deviation of the estimates (1 is right, below 1 too small; an interval counts as its half
width over Student's or the normal factor), and the share of 95 % intervals that hold the truth. Where the truth is not known it
is the mean of all repetitions. Draws are kept in `calibration.json` as each case is finished, so that a stopped run goes on; words
choose cases by name and measure them anew. Writes docs/calibration.md. Some ten minutes on one core.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

from multifractal.base.command import as_command, at_the_shell

at_the_shell(__name__)

import numpy as np

from benchmarks.harness import HERE, where_and_when
from multifractal.base.files import atomic_write
from multifractal.base.rng import realisation

PAGE, RECORD = HERE.parent / "docs" / "calibration.md", HERE / "calibration.json"
_SEED = 2
_NORMAL = 1.96
_INTRODUCTION = """# What the stated errors are worth

Every error bar and interval that the package states, measured against repetition on worlds where the truth is known (or taken as
the mean of all repetitions, marked *). "stated / true" is the mean stated standard error over the standard deviation of the
estimates: 1 is right, below 1 the error is understated; of an interval the half width is divided by the factor that made it.
"covered" is the share of 95 % intervals that held the truth, with its binomial standard error; where only an error is stated,
of the estimate plus and minus 1.96 of it. One command makes the table again, case by case, and resumes where it was stopped:

```sh
python -m benchmarks.calibrate
```

"""


@dataclass(frozen=True)
class Case:
    """An estimator with a stated error: `draw(rng)` returns (estimate, low, high), all arrays of one shape, or floats."""

    name: str
    settings: str
    draw: Callable
    n: int
    truth: float | None = None  # None: the mean of all draws
    factor: float = _NORMAL  # half width of the interval over the standard error behind it


@dataclass(frozen=True)
class Row:
    """What came of a case."""

    name: str
    settings: str
    n: int
    ratio: float
    covered: float
    known: bool  # whether the truth is
    missing: float  # share without interval


def measure(case):
    """Return the Row of a case."""
    draws = np.array([case.draw(realisation(_SEED, k)) for k in range(case.n)], dtype=float)
    estimates, low, high = draws.reshape(case.n, 3, -1).transpose(1, 0, 2)
    truth = estimates.mean(axis=0) if case.truth is None else case.truth
    there = np.isfinite(low) & np.isfinite(high)
    stated = np.where(there, (high - low) / (2 * case.factor), np.nan)
    stated = np.where(there, stated, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    ratio = stated / estimates.std(axis=0, ddof=1)
    held = ((low <= truth) & (truth <= high))[there]
    return Row(
        name=case.name,
        settings=case.settings,
        n=case.n,
        ratio=float(np.exp(np.log(ratio).mean())) if there.any() else float("nan"),
        covered=float(held.mean()) if there.any() else float("nan"),
        known=case.truth is not None,
        missing=float(1 - there.mean()),
    )


def table(rows):
    """Return the rows as a Markdown table."""
    lines = ["| estimator | settings | repetitions | stated / true | covered |", "|---" * 5 + "|"]
    for row in rows:
        if np.isnan(row.covered):
            lines.append(f"| {row.name} | {row.settings} | {row.n} | none stated | |")
            continue
        error = np.sqrt(max(row.covered * (1 - row.covered), 0.25 / row.n) / row.n)
        covered = f"{100 * row.covered:.0f} ± {100 * error:.0f} %" + ("" if row.known else " *")
        if row.missing:
            covered += f" ({100 * row.missing:.0f} % without interval)"
        lines.append(f"| {row.name} | {row.settings} | {row.n} | {row.ratio:.2f} | {covered} |")
    return "\n".join(lines)


def main(words):
    """Measure what is not on record, or what the words name; write the page."""
    from benchmarks.calibration_cases import cases

    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    known = cases()
    for case in known:
        key = f"{case.name}; {case.settings}"
        if key in record and not any(word in key for word in words):
            continue
        record[key] = asdict(measure(case)) | {"measured": where_and_when()}
        print(table([_row(record[key])]).splitlines()[-1], flush=True)
        with atomic_write(RECORD, overwrite=True) as file:
            file.write((json.dumps(record, indent=1) + "\n").encode())
    rows = [record[f"{case.name}; {case.settings}"] for case in known]
    machines = "; ".join(sorted({row["measured"] for row in rows}))
    text = f"{_INTRODUCTION}{table(map(_row, rows))}\n\nMeasured on {machines}, seed {_SEED}.\n"
    with atomic_write(PAGE, overwrite=True) as file:
        file.write(text.encode())


def _row(entry):
    return Row(**{name: value for name, value in entry.items() if name != "measured"})


if __name__ == "__main__":
    again = "the same command"
    raise SystemExit(as_command(lambda: main(sys.argv[1:]), "calibrate", again=again))
