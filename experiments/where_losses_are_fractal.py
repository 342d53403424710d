"""Where real losses are fractal: seven parts, each judged by a rule that docs/where_losses_are_fractal.md states beforehand.

    python experiments/where_losses_are_fractal.py [--quick] [--seeds 20] [--points 128] [--parts plant zoom] [--go_on] [--record]

Stopped at any moment, the same command with --resume goes on where it was; several may work side by side on different parts.
--quick takes three seeds and leaves whole spectra out. Without --seeds a part has 20, and further ones, up to 60, until 20
count in each of its cells. With --record the rows of these parts are kept in experiments/results/where_losses_are_fractal.json,
those of the other parts as they are, and tables and figures of the page are written anew; --go_on takes the seeds that are in
that file from there, and measures only others.
"""

import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that it also runs as a file

from multifractal.base.command import Parser, as_command, at_the_shell, can_go_on, refuse_results

at_the_shell(__name__)

from experiments.where_fractal import parts
from landscape_viz.studies.experiment import Experiment
from multifractal.base import files

RESULTS = ROOT / "experiments" / "results" / "where_losses_are_fractal.json"


def parser():
    """Return the command line's parser."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = flags.add_argument
    add("--quick", action="store_true", help="3 seeds, no part spectra")
    add("--seeds", type=int, help="of each part (20; more where a rule needs them)")
    add("--points", type=int, default=128, help="along each side of a plane (%(default)s)")
    add("--parts", nargs="+", choices=parts.PARTS, metavar="PART", help="all")
    add("--save_dir", default="results/where_losses_are_fractal", metavar="FOLDER")
    add("--go_on", action="store_true", help="measure no seed that the committed results have")
    add("--as_is", action="store_true", help="measure nothing more: what the folder holds")
    add("--record", action="store_true", help="keep the rows, write tables and figures")
    can_go_on(flags)
    return flags


def measure(size, chosen, folder, as_is=False, known=None):
    """Return rows by part, each seed's kept in the folder and read from there where it is known; as is: only those.

    `known` are rows by part and seed that are taken as they are.
    """
    experiment = Experiment(folder, {"points": size.points})
    print(f"output: {experiment.folder}", flush=True)
    rows = {part: [] for part in parts.PARTS}
    for part in chosen:
        for seed in parts.seeds(part, size, rows[part]):
            path = experiment.folder / f"{part}_{seed}.json"
            if found := (known or {}).get((part, seed)):
                rows[part] += found
            elif path.exists() or not as_is:
                rows[part] += _unit(path, part, seed, size)
    return rows


def _unit(path, part, seed, size):
    """Return the rows of one seed of a part, measured where its file is missing."""
    if not path.exists():
        start = time.process_time()
        text = json.dumps(parts.PARTS[part](seed, size))
        with files.atomic_write(path, overwrite=True) as file:
            file.write(text.encode())
        parts.say(f"{path.stem}: {time.process_time() - start:.1f} s of processor time")
    return json.loads(path.read_text())


def recorded(points):
    """Return the rows of the committed results by part and seed; refused where their planes have other points."""
    from experiments.where_fractal import page

    kept, by_seed = page.kept(), {}
    if kept["points"] != points:
        raise ValueError(
            f"--points must be those of the committed results, {kept['points']}, to go on with them, got {points}; "
            "leave --go_on out"
        )
    for part, rows in kept["rows"].items():
        for row in rows:
            by_seed.setdefault((part, row["seed"]), []).append(row)
    return by_seed


def main(argv=None):
    """Run the command line."""
    flags = parser().parse_args(argv)
    if flags.quick and flags.record:
        parser().error("--record keeps what decides: leave --quick out")
    size = parts.Size(seeds=3 if flags.quick else flags.seeds, points=flags.points)
    known = recorded(size.points) if flags.go_on else None
    asked = flags.parts or [part for part in parts.PARTS if not flags.quick or part != "spectra"]
    there = [path for part in asked for path in Path(flags.save_dir).glob(f"{part}_[0-9]*.json")]
    if not flags.as_is:
        refuse_results("--save_dir", flags.save_dir, there, flags)
    for path in there if flags.overwrite else ():
        path.unlink()
    rows = measure(size, asked, flags.save_dir, flags.as_is, known)
    from experiments.where_fractal import page

    results = {"points": size.points, "rows": rows}
    print(page.verdicts(results))
    if flags.record:
        results["rows"] = page.kept()["rows"] | {part: rows[part] for part in asked}
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
    raise SystemExit(
        as_command(main, "where_losses_are_fractal.py", again="the same command with --resume")
    )
