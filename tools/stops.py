"""Stop the commands of `tools/commands.py` by ^C, early and late: each must end in one line and 130, and go on with --resume.

    python tools/stops.py                        # the small form of every command, at each moment
    python tools/stops.py compare --at 0.3 2     # those whose line holds a word, after these seconds of its processor time

As at a terminal, the signal goes to the command and to all processes that it started. A command whose folder keeps what it has
done is then called again as it was, which must be refused if there is something, and with --resume, which must end well.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that it also runs as a file

from multifractal.base.command import STOPPED, Parser, as_command
from tools.commands import COMMANDS

MOMENTS = (0.4, 1.0, 3.0, 8.0)  # seconds of processor time: libraries are loaded in the first ones
_REFUSED = re.compile(r"--resume\)? to go on")
_SCARS = ("Traceback", "Exception ignored", "leaked")  # of what was not brought to its end


def main(argv=None):
    """Try what is asked for; return how many trials failed."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("words", nargs="*", help="of the lines of those to stop (all)")
    flags.add_argument("--at", type=float, nargs="+", default=MOMENTS, metavar="S")
    flags.add_argument("--no_resume", action="store_true", help="do not call them again")
    asked, failed = flags.parse_args(argv), 0
    for command in COMMANDS:
        line = command.small
        if line and (not asked.words or any(word in line for word in asked.words)):
            for moment in asked.at:
                with tempfile.TemporaryDirectory() as folder:
                    found = trial(command, moment, folder, resume=not asked.no_resume)
                failed += found not in ("stopped", "over before", "resumed")
                print(f"{line} after {moment:g} s: {found}", flush=True)
    return failed


def trial(command, moment, folder, *, resume=True):
    """Stop a command in a folder; return "stopped", "resumed", "over before" or what is wrong."""
    words = command.words(command.small)
    if command.folder:
        words += [command.folder, str(Path(folder, "out"))]
    sent, status, said = stopped(words, moment, folder)
    if not sent:
        return "over before" if status == 0 else f"failed with {status}: {said[-500:]}"
    if wrong := scars(status, said):
        return wrong
    if not (command.folder and resume):
        return "stopped"
    begun = Path(folder, "out").is_dir() and any(Path(folder, "out").glob("[!.]*"))
    again = done(words, folder)
    if begun and (again.returncode != 1 or not _REFUSED.search(again.stderr)):
        return f"not refused, but {again.returncode}: {again.stderr[-500:]}"
    on = done([*words, "--resume"], folder)
    return "resumed" if on.returncode == 0 else f"not resumed: {on.stderr[-500:]}"


def stopped(words, moment, folder):
    """Send ^C to a command and all it started, once they have used so many seconds; return whether it was sent, status, words."""
    with open(Path(folder, "said"), "w+") as said:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=_environment(),
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        while process.poll() is None and _seconds(process.pid) < moment:
            time.sleep(0.02)
        if sent := process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        status = process.wait()
        said.seek(0)
        return sent, status, said.read()


def scars(status, said):
    """Return what is wrong with the end of a command that was stopped; nothing where all is well."""
    if status != STOPPED:
        return f"ended with {status}: {said[-500:]}"
    found = [scar for scar in _SCARS if scar in said]
    if found:
        return f"{found[0]} in what it said: {said[-1500:]}"
    lines = [line for line in said.splitlines() if line.startswith("stopped")]
    return "" if len(lines) == 1 else f"{len(lines)} lines say that it stopped"


def done(words, folder):
    """Run a command to its end, and return it with what it said."""
    return subprocess.run(words, cwd=folder, env=_environment(), capture_output=True, text=True)


def _environment():
    return os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
    }


def _seconds(session):
    """Return the processor time of all living processes of a session (Linux)."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == session:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    raise SystemExit(as_command(main, "stops.py"))
