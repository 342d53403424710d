"""Where real losses are fractal: seven parts, each judged by a rule that docs/where_losses_are_fractal.md states beforehand.

    python experiments/where_losses_are_fractal.py [--quick] [--seeds 20] [--points 128] [--parts plant zoom] [--record]

Stopped at any moment, the same command goes on where it was; several may work side by side on different parts. --quick takes
three seeds. With --record the rows of these parts are kept in experiments/results/where_losses_are_fractal.json, those of the other
parts as they are, and tables and figures of the page are written anew.
"""

import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that it also runs as a file

from experiments.where_fractal import parts  # noqa: E402
from landscape_viz.studies.experiment import Experiment  # noqa: E402
from multifractal.base import files  # noqa: E402
from multifractal.base.command import Parser, as_command  # noqa: E402

RESULTS = ROOT / "experiments" / "results" / "where_losses_are_fractal.json"


def parser():
    """Return the command line's parser."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = flags.add_argument
    add("--quick", action="store_true", help="3 seeds")
    add("--seeds", type=int, help="of each part (20; more where a rule needs them)")
    add("--points", type=int, default=128, help="along each side of a plane (%(default)s)")
    add("--parts", nargs="+", choices=parts.PARTS, default=list(parts.PARTS), metavar="PART")
    add("--save-dir", default="results/where_losses_are_fractal", metavar="FOLDER")
    add("--as-is", action="store_true", help="measure nothing more: what the folder holds")
    add("--record", action="store_true", help="keep the rows, write tables and figures")
    return flags


def measure(size, chosen, folder, as_is=False):
    """Return rows by part, each unit of work kept in the folder and read from there where it is known; as is: only those."""
    experiment = Experiment(folder, {"points": size.points})
    print(f"output: {experiment.folder}", flush=True)
    rows = {part: [] for part in parts.PARTS}
    for part, name, compute in parts.units(size, chosen):
        path = experiment.folder / f"{name}.json"
        if as_is and not path.exists():
            continue
        if not path.exists():
            start = time.perf_counter()
            text = json.dumps(compute())
            with files.atomic_write(path, overwrite=True) as file:
                file.write(text.encode())
            parts.say(f"{name}: {time.perf_counter() - start:.1f} s")
        rows[part] += json.loads(path.read_text())
    return rows


def main(argv=None):
    """Run the command line."""
    flags = parser().parse_args(argv)
    if flags.quick and flags.record:
        parser().error("--record keeps what decides: leave --quick out")
    size = parts.Size(seeds=3 if flags.quick else flags.seeds, points=flags.points)
    rows = measure(size, flags.parts, flags.save_dir, flags.as_is)
    from experiments.where_fractal import page

    results = {"points": size.points, "rows": rows}
    print(page.verdicts(results))
    if flags.record:
        results["rows"] = page.kept()["rows"] | {part: rows[part] for part in flags.parts}
        with files.atomic_write(RESULTS, overwrite=True) as file:
            file.write((json.dumps(_rounded(results)) + "\n").encode())
        page.record()
    return 0


def _rounded(value):
    """Return plain values with floats of six digits, which is more than any of them is worth."""
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


if __name__ == "__main__":
    raise SystemExit(as_command(main, "where_losses_are_fractal.py", again="the same command"))
