"""Does the picture of the paper survive in d dimensions? Descent on fractal fields over H, learning rate and d.

    python experiments/d_dimensions.py --workers 2 --minutes 50 --out runs/d_dimensions [--record]
    python experiments/d_dimensions.py --quick

Each field is a job; its numbers are written to FOLDER when it is done. The jobs are done in the order of `jobs`, the most
telling first, and no new one is begun that would not end in time: call again with --resume to go on. The rules, written
before the run, are in docs/d_dimensions.md. With --record what is in the folder is gathered in
experiments/results/d_dimensions.npz, from which the tables of that page are written.
"""

import argparse
import os
import sys
import time
from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(
        _name, "1"
    )  # a process for each core: threads would only be in each other's way
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that it also runs as a file

from multifractal.base.command import Parser, as_command, at_the_shell, can_go_on, refuse_results

at_the_shell(__name__)

from experiments.d_dimensions_jobs import SETTINGS, Job, Stopped, jobs, measure
from multifractal.base import files
from multifractal.base.chunks import workers

# seconds that a job may be expected to take before any of its kind is done; measured ones replace them
_GUESS = {2: 2, 5: 2, 10: 4, 30: 4, 100: 10, 300: 30, 1000: 130}


def run(todo, folder, n_workers, seconds, say=print):
    """Do jobs in their order until `seconds` are over; return how many are done and how many remain."""
    folder, begun = Path(folder), time.time()
    waiting = [job for job in todo if not _done(folder, job)]
    done, expected, last = len(todo) - len(waiting), {}, 0.0
    stop = begun + seconds
    say(f"{len(waiting)} of {len(todo)} jobs to do, {n_workers} processes, {seconds:.0f} s")
    with workers(n_workers) as pool:
        # compiled by one process while the others walk: what methods and drift need later
        pool.submit(measure, Job("adam", 2, 0.5, 0, 32), n_steps=20, waiting=5)
        running = {}
        while waiting or running:
            left = stop - time.time()
            while len(running) < n_workers and (job := _next(waiting, expected, left)) is not None:
                waiting.remove(job)
                running[pool.submit(_timed, job, stop)] = job
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job, result = running.pop(future), future.result()
                if result is None:  # out of time
                    continue
                took, arrays = result
                expected[job.kind, job.d] = max(took, expected.get((job.kind, job.d), 0.0))
                files.save_arrays(folder / job.file, arrays, _record(job))
                done += 1
            if time.time() - last > 10:
                last = time.time()
                say(f"{last - begun:5.0f} s: {done} of {len(todo)} done")
    say(f"{time.time() - begun:5.0f} s: {done} of {len(todo)} done")
    return done, len(todo) - done


def _next(waiting, expected, left):
    """Return the first job that is expected to end in the time that is left; None if there is none."""
    for job in waiting:
        if 1.2 * expected.get((job.kind, job.d), _GUESS[job.d]) < left:
            return job
    return None


def _timed(job, stop):
    """Return (seconds, arrays) of a job; None where the time was over first."""
    begun = time.time()
    try:
        arrays = measure(job, stop=stop)
    except Stopped:
        return None
    return time.time() - begun, arrays


def _record(job):
    return {"job": job._asdict(), "settings": SETTINGS}


def _done(folder, job):
    """Whether a job's file is there; one of other settings, or damaged, is an error."""
    if not (folder / job.file).exists():
        return False
    _, record = files.load_arrays(folder / job.file)
    if record != _record(job):
        raise SystemExit(
            f"{folder} holds results of other settings; pass another --out, or delete it"
        )
    return True


def parser():
    """Return the command line's flags."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (all cores)")
    flags.add_argument(
        "--minutes",
        type=float,
        default=50.0,
        help="when to stop, after compiling, which takes up to one more (%(default)s)",
    )
    flags.add_argument(
        "--out",
        default="runs/d_dimensions",
        metavar="FOLDER",
        help="where results go, and are gone on from (%(default)s)",
    )
    flags.add_argument(
        "--quick",
        action="store_true",
        help="three exponents, d up to 100, two fields: 3 minutes at most",
    )
    flags.add_argument(
        "--record", action="store_true", help="gather the results, write the page's tables"
    )
    can_go_on(flags)
    return flags


def main(argv=None):
    """Run the command line."""
    options = parser().parse_args(argv)
    todo = [job for job in jobs() if job.is_quick] if options.quick else jobs()
    minutes = min(options.minutes, 3.0) if options.quick else options.minutes
    there = [job.file for job in todo]
    refuse_results("--out", options.out, there, options)
    for file in there if options.overwrite else ():
        Path(options.out, file).unlink(missing_ok=True)
    measure(
        Job("plain", 2, 0.5, 0), n_steps=20, waiting=5
    )  # compiles what each process then reads from disk
    run(todo, options.out, options.workers, 60 * minutes, say=lambda text: print(text, flush=True))
    if options.record:
        from experiments import d_dimensions_tables

        d_dimensions_tables.record(options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(as_command(main, "d_dimensions.py", again="the same command with --resume"))
