"""The zoo: every network of tests/helpers/zoo against every probe; docs/zoo.md is the matrix.

    make zoo                                # resumable: cells that were right are not run again
    python tools/zoo.py --fresh             # all anew
    python tools/zoo.py --networks "ViT" --probes loss sections --no_page

Each cell is right against brute force in float64, or refused in the words that the zoo expects; anything else is a failure, and the
command ends with 1.
"""

import argparse
import json
import os
import re
import sys
import time
import traceback
from concurrent.futures import as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # small networks: threads would only wait for each other

from multifractal.base.command import Parser, as_command, at_the_shell

at_the_shell(__name__)

from multifractal.base import files
from multifractal.base.chunks import workers

STORE, PAGE = ROOT / "results" / "zoo.json", ROOT / "docs" / "zoo.md"


def main(argv=None):
    """Run what is missing, write the page, and return how many cells failed."""
    from tests.helpers.zoo import ALL, ZOO
    from tests.helpers.zoo.probes import PROBES

    flags = parsed(argv, list(PROBES))
    kept = json.loads(STORE.read_text()) if STORE.exists() else {}
    names = [name for name in ZOO if re.search(flags.networks, name)]
    todo = {
        name: [p for p in flags.probes if flags.fresh or not good(kept, name, p)] for name in names
    }
    todo = {name: probes for name, probes in todo.items() if probes}
    with workers(flags.workers) as pool:
        waiting = {pool.submit(run, name, probes): name for name, probes in todo.items()}
        for done in as_completed(waiting):
            name = waiting[done]
            kept[name] = kept.get(name, {}) | done.result()
            report(name, done.result())
            STORE.parent.mkdir(exist_ok=True)
            with files.atomic_write(STORE, overwrite=True) as file:
                file.write(json.dumps(kept, indent=1).encode())
    failed = [(n, p) for n in names for p in flags.probes if not good(kept, n, p)]
    if flags.page and not failed and set(names) == set(ALL):
        PAGE.write_text(page(kept, list(ALL), list(PROBES)))
    print(f"{len(names) * len(flags.probes) - len(failed)} cells hold, {len(failed)} do not")
    return len(failed)


def parsed(argv, probes):
    """Return the flags."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--networks", default="", help="pattern of names (default: all)")
    flags.add_argument("--probes", nargs="+", default=probes, choices=probes)
    flags.add_argument("--workers", type=int, default=2)
    flags.add_argument("--fresh", action="store_true", help="run again what was right before")
    flags.add_argument("--no_page", dest="page", action="store_false")
    return flags.parse_args(argv)


def run(name, probes):
    """Return {probe: [outcome, words, seconds]} of a network; the outcome is "right", "refused" or "failed"."""
    import torch

    from tests.helpers.zoo import ZOO
    from tests.helpers.zoo.probes import Subject, cell

    torch.set_num_threads(1)
    subject, found = Subject(ZOO[name]), {}
    for probe in probes:
        start = time.process_time()
        try:
            words = cell(subject, probe)
            outcome = "right" if words == "right" else "refused"
        except BaseException as error:  # a cell that fails in any way is a result
            outcome, words = "failed", f"{type(error).__name__}: {error}"
            words += "\n" + "".join(traceback.format_tb(error.__traceback__)[-3:])
        found[probe] = [outcome, words, round(time.process_time() - start, 2)]
    return found


def good(kept, name, probe):
    """Return whether a cell is right or refused as it should be."""
    return kept.get(name, {}).get(probe, ["missing"])[0] in ("right", "refused")


def report(name, found):
    """Print a network's row, failures in full."""
    seconds = sum(row[2] for row in found.values())
    counts = [sum(row[0] == kind for row in found.values()) for kind in ("right", "refused")]
    print(
        f"{name}: {counts[0]} right, {counts[1]} refused of {len(found)}, {seconds:.0f} s",
        flush=True,
    )
    for probe, (outcome, words, _) in found.items():
        if outcome == "failed":
            print(f"  FAILED {probe}: {words}", flush=True)


def page(kept, names, probes):
    """Return docs/zoo.md."""
    notes, lines = [], []
    for name in names:
        marks = [mark(kept[name].get(probe), notes) for probe in probes]
        lines.append(f"| {name} | {' | '.join(marks)} |")
    minutes = sum(row[2] for rows in kept.values() for row in rows.values()) / 60
    outcomes = [row[0] for rows in kept.values() for row in rows.values()]
    return PAGE_TEXT.format(
        networks=len(names),
        probes=len(probes),
        right=outcomes.count("right"),
        refused=outcomes.count("refused"),
        missing=len(names) * len(probes) - len(outcomes),
        minutes=f"{minutes:.0f}",
        head=f"| network | {' | '.join(probes)} |\n|---|{'---|' * len(probes)}",
        rows="\n".join(lines),
        notes="\n".join(f"- **r{k + 1}** {note}" for k, note in enumerate(notes)),
    )


def mark(row, notes):
    """Return what stands in a cell, and note the words of a refusal."""
    if row is None:
        return "–"
    if row[0] == "right":
        return "✓"
    words = re.sub(r"\s+", " ", re.sub(r", got .*?; ", " ...; ", row[1], flags=re.DOTALL))
    if words not in notes:
        notes.append(words)
    return f"r{notes.index(words) + 1}"


PAGE_TEXT = """# The zoo: which networks each probe is right for

Small networks of every family that users bring ({networks}), each under every probe ({probes}). ✓ is right: the same as brute force in
float64, computed in plain torch beside the package. The loss is that of all data in one batch, the Hessian (at most 340 parameters)
central differences of gradients, sections and paths are taken point by point on a copy. Agreement is to rounding: 2e-6 of the loss in
float32, ten times that for gradients, a hundred times for the Hessian. **r** is refused, in words that say what to do; they stand
below. {right} cells are right, {refused} are refused, {missing} (–) were not run.

This page is written by `make zoo` ({minutes} minutes of processor time). The networks are in
[`tests/helpers/zoo/`](../tests/helpers/zoo); add yours there.

{head}
{rows}

Refusals (argument, rule, remedy):

{notes}
"""

if __name__ == "__main__":
    raise SystemExit(as_command(lambda: int(bool(main())), "zoo.py", again="the same command"))
