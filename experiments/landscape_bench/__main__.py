"""LandscapeBench: optimisers on landscapes whose truth is known.

    python -m experiments.landscape_bench --optimizer mypackage.mymodule:MyOptimizer
    python -m experiments.landscape_bench [--record]

The first adds yours to the leaderboard in less than two minutes: it is called as MyOptimizer(parameters, lr=rate). The second runs all that
are shipped (some ten minutes). Stopped at any moment, the same command with --resume goes on where it was; the
page is FOLDER/leaderboard.html. The rules, written before the run, are in docs/landscape_bench.md.
"""

import argparse
import hashlib
import inspect
import json
import re
import time
from pathlib import Path

from multifractal.base.command import Parser, as_command, at_the_shell, can_go_on, refuse_results

at_the_shell(__name__)

from experiments.landscape_bench import grounds, page, protocol
from experiments.landscape_bench.optimizers import OPTIMIZERS, named
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.studies.experiment import Experiment
from multifractal.base import files


def parser():
    """Return the command line's parser."""
    flags = Parser(
        prog="python -m experiments.landscape_bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = flags.add_argument
    add(
        "--optimizer", nargs="+", metavar="NAME", help="of the table, or module:Class (all shipped)"
    )
    add("--grounds", nargs="+", choices=list(grounds.GROUNDS), metavar="GROUND", help="only these")
    add("--out", default="results/landscape_bench", metavar="FOLDER", help="(%(default)s)")
    add("--record", action="store_true", help="keep the results of all shipped, write the page")
    can_go_on(flags)
    return flags


def measure(names, chosen, folder, say=print):
    """Return {optimiser: {ground: result}}; each result is kept in the folder, and read from there where it is known."""
    experiment = Experiment(folder, protocol.SETTINGS)
    say(f"output: {experiment.folder}")
    makes, results = {name: named(name) for name in names}, {name: {} for name in names}
    for ground in chosen:  # outermost, so that draws are made once
        for name, make in makes.items():
            path = experiment.folder / _file(name, make, ground)
            if not path.exists():
                begun = time.process_time()
                with pinned_threads(1), files.atomic_write(path) as file:
                    text = json.dumps(protocol.measure(make, ground), allow_nan=False)
                    file.write(text.encode())
                say(f"{name} on {ground}: {time.process_time() - begun:.1f} s")
            results[name][ground] = json.loads(path.read_text())
    return results


def _file(name, make, ground):
    """Return the name of a result's file; that of an optimiser which is not shipped changes with its source."""
    if name in OPTIMIZERS:
        return f"{_words(name)} on {_words(ground)}.json"
    try:
        source = inspect.getsource(make.kind)
    except (TypeError, OSError):  # written in C, or at a prompt: its name is all there is
        source = name
    mark = hashlib.sha256(source.encode()).hexdigest()[:8]
    return f"{_words(name)} {mark} on {_words(ground)}.json"


def _words(name):
    return re.sub(r"[^\w.,= -]+", "_", name)


def main(argv=None):
    """Run the command line."""
    flags = parser().parse_args(argv)
    chosen = flags.grounds or list(grounds.GROUNDS)
    names = flags.optimizer or list(OPTIMIZERS)
    there = [_file(name, named(name), ground) for name in names for ground in chosen]
    refuse_results("--out", flags.out, there, flags)
    for file in there if flags.overwrite else ():
        Path(flags.out, file).unlink(missing_ok=True)
    results = measure(names, chosen, flags.out)
    shipped = {} if flags.optimizer is None else page.kept()
    shipped = {
        name: {g: one[g] for g in chosen}
        for name, one in shipped.items()
        if set(chosen) <= set(one)
    }
    board = page.Board({**shipped, **results}, kept=tuple(shipped))
    head, rows = page.leaderboard(board)
    for row in (head, *rows):
        print("  ".join(cell.ljust(22) for cell in row).rstrip())
    print(f"page: {page.write_html(board, Path(flags.out)).resolve()}")
    if flags.record:
        page.record(results, protocol.SETTINGS)
    return 0


if __name__ == "__main__":
    raise SystemExit(as_command(main, "landscape_bench", again="the same command with --resume"))
