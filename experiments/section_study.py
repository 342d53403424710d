"""Train small networks on handwritten digits, map 24 sections of their losses, and measure whether they are multifractal.

    python experiments/section_study.py

takes some 11 minutes of processor time (33 minutes on two cores that others were using) and needs no files; the paper's
published sections are measured beside them where they are found (see data/README.md). Stopped at any moment, the same
command with --resume goes on where it was. docs/section_study.md says what comes out; the numbers of that run are in
experiments/results/section_study.npz, and --out with that file writes the tables of the page as well.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from multifractal.base.command import Parser, as_command, can_go_on, refuse_results

ROOT = Path(__file__).resolve().parents[1]


def parser():
    """Return the command line's parser."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = flags.add_argument
    add("--save_dir", default="results/section_study", metavar="FOLDER", help="(%(default)s)")
    add("--out", default=None, metavar="FILE", help="the numbers (SAVE_DIR/study.npz)")
    add(
        "--points",
        default=129,
        type=int,
        metavar="N",
        help="along each side of a section (%(default)s)",
    )
    add(
        "--workers",
        default=2,
        type=int,
        metavar="N",
        help="processes; the numbers are the same with any (%(default)s)",
    )
    can_go_on(flags)
    return flags


def main(argv=None):
    """Run the study as the flags say; return the path of its table."""
    flags = parser().parse_args(argv)
    from landscape_viz.studies.experiment import Experiment
    from landscape_viz.studies.section_study import check_points, study
    from multifractal.base.chunks import workers

    start = time.perf_counter()
    check_points(flags.points, "--points")
    if flags.out is not None:
        refuse_results("--out", Path(flags.out).parent, [flags.out], flags)
    experiment = Experiment.asked("--save_dir", flags.save_dir, {"points": flags.points}, flags)
    path = experiment.path("study.npz") if flags.out is None else Path(flags.out)
    print(f"output: {experiment.folder}", flush=True)
    with workers(flags.workers if flags.workers > 1 else 0) as executor:
        found = study(experiment, n_points=flags.points, executor=executor)
    found.save(path, overwrite=True)
    if path.resolve() == ROOT / "experiments" / "results" / "section_study.npz":
        subprocess.run([sys.executable, ROOT / "tools" / "tables.py"], check=True)
    for row in found.rows:
        share = row.noise_share.value
        print(
            f"{row.name}: {row.verdict}; white noise at one pixel {share:.3f} if the rest is smooth"
        )
    print(f"took {time.perf_counter() - start:.0f} s\ntable: {path}")
    return path


if __name__ == "__main__":
    raise SystemExit(as_command(main, "section_study.py", again="the same command with --resume"))
