"""SIGKILL at a random moment of a job that keeps what it has done; what stays is looked at, then the job is resumed.

The job runs in a forked child, killed at a moment drawn uniformly over the job's usual time; a job that is quicker than its
killer waits to be killed. Then every file must be whole or absent, resuming must end with the same bytes in the same files
as a job never stopped, and files that were finished must not have been made again.
"""

import atexit
import functools
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from campaign.harness import Kind, generator

WHOLE = "resumed to the same bytes"


def kinds():
    """Return twenty kills for each of five kinds of job."""
    jobs = {
        "full-batch": ("full-batch training", _full_batch, _whole_run),
        "training": ("training of a network", _training, _whole_checkpoints),
        "section": ("a section of the loss", _section, _whole_store),
        "sweep": ("a sweep of descents", _sweep, _whole_results),
        "download": ("downloads", _download, _whole_downloads),
    }
    return [
        Kind(
            f"killed-{name}",
            f"SIGKILL at a random moment of {what}",
            20,
            (WHOLE,),
            functools.partial(_trial, name, job, look),
            batch=20,
            environment=(("OMP_NUM_THREADS", "1"),),
            unit="kills",
        )
        for name, (what, job, look) in jobs.items()
    ]


def _trial(name, job, look, index, folder):
    _warm(name)
    whole, usual = _never_stopped(job)
    moment = generator(f"killed-{name}", index).uniform(0, usual)
    part = folder / "part"
    part.mkdir()
    child = _forked(lambda: (job(part), time.sleep(60)))
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    problem = _said(lambda: look(part, whole), folder / "said")
    if problem:
        return "HALF-WRITTEN", f"killed after {moment:.3f} of {usual:.3f} s: {problem}"
    finished = _finished(part, whole)
    problem = _said(lambda: job(part), folder / "said")
    if problem:
        return "NOT RESUMED", f"killed after {moment:.3f} of {usual:.3f} s: {problem}"
    if _bytes(part) != _bytes(whole):
        return (
            "OTHER BYTES",
            f"killed after {moment:.3f} of {usual:.3f} s: {_differing(part, whole)}",
        )
    again = [file for file, stamp in finished.items() if (part / file).stat().st_mtime_ns != stamp]
    if again:
        return "DONE AGAIN", f"killed after {moment:.3f} of {usual:.3f} s: {again}"
    return WHOLE, f"{moment / usual:.2f}"


@functools.cache
def _never_stopped(job):
    """Return the folder of a job that was not killed, and its seconds when everything is compiled."""
    folder = Path(tempfile.mkdtemp(prefix="campaign-whole-"))
    for number in range(2):
        (folder / str(number)).mkdir()
        start = time.perf_counter()
        problem = _said(lambda number=number: job(folder / str(number)), folder / "said")
        seconds = time.perf_counter() - start
        assert not problem, problem
    assert _bytes(folder / "0") == _bytes(folder / "1"), _differing(folder / "0", folder / "1")
    return folder / "1", seconds


def _forked(work):
    """Run `work` in a forked child, silently, and return its process id."""
    child = os.fork()
    if child == 0:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return child


def _said(work, path):
    """Run `work` in a child and return what went wrong in it, if anything: its error, or how it died."""

    def saying():
        try:
            work()
        except BaseException as error:
            path.write_text(f"{type(error).__name__}: {error}")
            raise

    path.unlink(missing_ok=True)
    status = os.waitpid(_forked(saying), 0)[1]
    return path.read_text() if path.exists() else f"status {status}" if status else ""


def _bytes(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def _differing(one, other):
    one, other = _bytes(one), _bytes(other)
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _finished(part, whole):
    """Return the files that are as they will be at the end and are written in one go, with the time they were written."""
    last = _bytes(whole)
    return {
        name: (part / name).stat().st_mtime_ns
        for name, content in _bytes(part).items()
        if content == last.get(name) and name.startswith(("epoch_", "surface_", "airfoil"))
    }


def _warm(name):
    """Import what the job needs, in this process, which starts no threads and so may fork."""
    import multifractal.training.run  # noqa: F401

    if name == "full-batch":
        import jax

        import multifractal.training.full_batch  # noqa: F401

        jax.config.update(
            "jax_compilation_cache_dir", str(Path(tempfile.gettempdir(), "campaign-jax"))
        )
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    if name == "download" and "CAMPAIGN_LOOPBACK" not in os.environ:
        server = subprocess.Popen(
            [sys.executable, "-m", "campaign.loopback"], stdout=subprocess.PIPE, text=True
        )
        atexit.register(server.kill)
        os.environ["CAMPAIGN_LOOPBACK"] = server.stdout.readline().strip()
    if name in ("training", "section"):
        import torch  # noqa: F401

        import landscape_viz.sections  # noqa: F401


# --- the jobs, and what may be there after a kill ------------------------------------------------------------------


def _full_batch(folder):
    from multifractal import Training, load_table, train_full_batch

    training = Training(
        learning_rate=0.1,
        dropout=0.5,
        epochs=2400,
        hess_every=20,
        hess_term=60,
        every=3,
        n_train=400,
    )
    train_full_batch(load_table("diabetes"), training, folder / "run", chunk=40, resume=True)


def _whole_run(part, whole):
    """Check that what can be read of the run is the beginning of the whole run."""
    import numpy as np

    from multifractal import FullBatchRun

    if not (part / "run" / "checkpoint.npz").exists():
        return
    run, end = FullBatchRun(part / "run"), FullBatchRun(whole / "run")
    for now, last in (
        (run.positions, end.positions),
        (run.losses, end.losses),
        (run.sharpness, end.sharpness),
    ):
        assert np.array_equal(now, last[: len(now)])


def _training(folder):
    import torch

    from landscape_viz import datasets, training

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(144, 64),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.2),
        torch.nn.Linear(64, 10),
    )
    data = datasets.synthetic(input_shape=(1, 12, 12), n_train=1000, n_test=100)
    training.train(model, data, folder / "run", epochs=12, resume=True)


def _whole_checkpoints(part, whole):
    """Check that each checkpoint is whole and verified."""
    from landscape_viz import checkpoint

    for file in part.rglob("epoch_*.pt"):
        assert checkpoint.load(file).verified
        assert file.read_bytes() == (whole / "run" / file.name).read_bytes()


def _section(folder):
    import torch

    from landscape_viz import Problem, directions, section

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(10, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3))
    generator = torch.Generator().manual_seed(1)
    data = torch.randn(200, 10, generator=generator), torch.randint(3, (200,), generator=generator)
    problem = Problem(_network, model.state_dict(), "cross_entropy", data)
    found = section(
        problem,
        directions.random(problem, 2, rng=0),
        ["-1:1:40", "-1:1:30"],
        path=folder / "store",
        resume=True,
        progress=False,
    )
    found.save(folder / "section.npz", overwrite=True)


def _network():
    import torch

    return torch.nn.Sequential(torch.nn.Linear(10, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3))


def _whole_store(part, whole):
    """Check that the store is the beginning of the whole one, byte for byte."""
    if (part / "store").exists():
        assert (whole / "store").read_bytes().startswith((part / "store").read_bytes())


def _sweep(folder):
    from multifractal import diffusion_diagram

    found = diffusion_diagram(
        hursts=[0.3, 0.6],
        learning_rates=[10, 100, 1000],
        n_surfaces=6,
        n_walkers=8,
        waiting_time=100,
        size=128,
        rng=0,
        folder=folder / "sweep",
    )
    found.save(folder / "sweep.npz", overwrite=True)


def _whole_results(part, whole):
    """Check that each surface's result is the same file as in the whole sweep."""
    for file in part.rglob("surface_*.npz"):
        assert file.read_bytes() == (whole / "sweep" / file.name).read_bytes()


def _download(folder):
    from campaign.loopback import TABLE
    from multifractal import source_data
    from multifractal.training.tables import AIRFOIL_FILE, fetch_airfoil

    url = os.environ["CAMPAIGN_LOOPBACK"]
    source_data.fetch(folder, server=url)
    if not (folder / AIRFOIL_FILE).exists():
        fetch_airfoil(folder / AIRFOIL_FILE, urls=(f"{url}{TABLE}",))


def _whole_downloads(part, whole):
    """Check that each file that is where it belongs is whole."""
    import json

    for file in whole.rglob("*"):
        found = part / file.relative_to(whole)
        if file.is_file() and found.exists() and file.name != "checksums.json":
            assert found.read_bytes() == file.read_bytes(), file.name
    if (part / "checksums.json").exists():
        json.loads((part / "checksums.json").read_text())
