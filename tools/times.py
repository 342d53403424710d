"""Measure what the commands of `tools/commands.py` take, and write the second table of docs/expect.md.

    python tools/times.py                                        # those without a time
    python tools/times.py --before 2026-11-28 --under 120        # anew those of an older time, if under two minutes
    python tools/times.py theorem8                               # those whose line holds a word

Each runs alone in an empty folder, those of make in the checkout, with one thread of torch and BLAS: its time is the processor time
of the process and of those it started and waited for, its memory the peak of the largest of them, both as the system counts them. What
is measured is kept in docs/times.json at once, so that a measurement that was stopped goes on.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that it also runs as a file

from multifractal.base.command import Parser, as_command, at_the_shell

at_the_shell(__name__)

from multifractal.base import files
from tools.commands import COMMANDS

RECORD = ROOT / "docs" / "times.json"
_LAST_SAID = 2000  # characters of what a command that failed said last


def main(argv=None):
    """Measure what is asked for; return how many commands failed."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("words", nargs="*", help="of the lines of those to measure")
    flags.add_argument("--before", default="", metavar="DATE", help="anew if measured before")
    flags.add_argument(
        "--under", type=float, default=float("inf"), metavar="S", help="if they took less"
    )
    asked, failed = flags.parse_args(argv), 0
    for command in COMMANDS:
        if wanted(command.line, recorded().get(command.line), asked):
            print(command.line, flush=True)
            try:
                keep(command.line, measured(command))
            except subprocess.CalledProcessError as error:
                failed += 1
                print(f"ended with {error.returncode}: {error.output}", flush=True)
    from tools import tables

    tables.main(["expect.md"])
    return failed


def wanted(line, known, asked):
    """Whether a command is to be measured: its line holds one of the words, or, without words, it has no time or an old one."""
    if asked.words:
        return any(word in line for word in asked.words)
    if known is None:
        return True
    short = isinstance(known["seconds"], int | float) and known["seconds"] < asked.under
    return short and known["date"] < asked.before


def recorded():
    """Return what is on record, by line: seconds (or words), clock, gigabytes and date."""
    return json.loads(RECORD.read_text())


def keep(line, found):
    """Put what was found of a command on record."""
    with files.atomic_write(RECORD, overwrite=True) as file:
        file.write((json.dumps(recorded() | {line: found}, indent=1) + "\n").encode())


def measured(command):
    """Return what a command takes, by one run; CalledProcessError with its last words where it fails."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder, open(Path(folder, ".said"), "w+") as said:
        begun = time.time()
        process = subprocess.Popen(
            command.words(), cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            last = said.read()[-_LAST_SAID:]
            raise subprocess.CalledProcessError(process.returncode, command.line, last)
    return {
        "seconds": float(f"{usage.ru_utime + usage.ru_stime:.2g}"),
        "clock": float(f"{time.time() - begun:.2g}"),
        "gigabytes": float(f"{usage.ru_maxrss * 1024 / 1e9:.2g}"),
        "date": datetime.date.today().isoformat(),
    }


def table(record=None):
    """Return the second table of docs/expect.md."""
    record = recorded() if record is None else record
    rows = [
        ("command", "what it leaves", "time (s)", "memory (GB)", "measured", "number to expect")
    ]
    rows.append(("---",) * 6)
    for command in COMMANDS:
        known = record.get(command.line, {"seconds": "", "gigabytes": "", "date": ""})
        shown = f"`{command.line}`" + (
            "" if not command.also else f"{_comma(command.also)} {command.also}"
        )
        numbers = [_number(known[name]) for name in ("seconds", "gigabytes")]
        rows.append((shown, command.leaves, *numbers, known["date"], command.expect))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _comma(also):
    return "" if also.startswith("(") else ","


def _number(value):
    return value if isinstance(value, str) else f"{value:,g}"


if __name__ == "__main__":
    raise SystemExit(as_command(main, "times.py", again="the same command"))
