"""A full disk: a small file system (tmpfs; mounting it needs root) is filled but for a random number of bytes.

A file that is written over must stay as it was, and nothing half-written may be left beside it; a job that keeps what it has
done must stop with an error that says so, and end with the right bytes when there is room again.
"""

import errno
import functools
import subprocess
import warnings
from contextlib import contextmanager

import numpy as np

from campaign import trial_kill
from campaign.harness import Kind, generator

KEPT, ENOUGH = "clear error, old file kept", "there was room enough"
RESUMED = "clear error, then resumed to the same bytes"


def kinds():
    """Return five full disks a kind of file, and eight a kind of job."""
    jobs = [
        ("full-batch", trial_kill._full_batch),
        ("training", trial_kill._training),
        ("section", trial_kill._section),
        ("sweep", trial_kill._sweep),
        ("download", trial_kill._download),
    ]
    return [
        Kind(
            "full-disk-files",
            "a full disk under every kind of file",
            5 * len(_WRITERS),
            (KEPT, ENOUGH),
            _file_trial,
        ),
        Kind(
            "full-disk-jobs",
            "a full disk under every kind of job",
            8 * len(jobs),
            (RESUMED, ENOUGH),
            functools.partial(_job_trial, jobs),
            batch=40,
            environment=(("OMP_NUM_THREADS", "1"),),
        ),
    ]


@contextmanager
def small_disk(folder, megabytes=16):
    """Mount a file system of so many megabytes on `folder`."""
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder],
        check=True,
        capture_output=True,
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill_but(path, room):
    """Write zeros to `path` until only `room` bytes, rounded to pages, are free."""
    with open(path, "wb", buffering=0) as file, _until_full():
        while True:
            file.write(bytes(1 << 12))
    with open(path, "r+b") as file:
        file.truncate(max(0, path.stat().st_size - room))


@contextmanager
def _until_full():
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def _file_trial(index, folder):
    write, name = _WRITERS[index % len(_WRITERS)], _WRITERS[index % len(_WRITERS)].__name__
    disk = folder / "disk"
    with small_disk(disk):
        write(disk, 0)
        before = trial_kill._bytes(disk)
        size = sum(map(len, before.values()))
        fill_but(
            folder / "disk" / "filler", int(generator("full-disk-files", index).uniform(0, size))
        )
        outcome = _refused(lambda: write(disk, 1))
        (disk / "filler").unlink()
        if outcome is None:
            return ENOUGH, name
        after = trial_kill._bytes(disk)
        if outcome:
            return "UNCLEAR ERROR", f"{name}: {outcome}"
        return (
            (KEPT, name)
            if after == before
            else ("OLD FILE LOST", f"{name}: {sorted(before)}, now {sorted(after)}")
        )


def _job_trial(jobs, index, folder):
    name, job = jobs[index % len(jobs)]
    trial_kill._warm(name)
    whole, _ = trial_kill._never_stopped(job)
    size, disk = sum(map(len, trial_kill._bytes(whole).values())), folder / "disk"
    with small_disk(disk):
        (disk / "part").mkdir()
        fill_but(disk / "filler", int(generator("full-disk-jobs", index).uniform(0, 1.2 * size)))
        said = trial_kill._said(lambda: job(disk / "part"), folder / "said")
        (disk / "filler").unlink()
        if said and not any(words in said for words in _CLEAR):
            return "UNCLEAR ERROR", f"{name}: {said[-300:]}"
        again = trial_kill._said(lambda: job(disk / "part"), folder / "said")
        if again:
            return "NOT RESUMED", f"{name}: {again[-300:]}"
        if trial_kill._bytes(disk / "part") != trial_kill._bytes(whole):
            return "OTHER BYTES", f"{name}: {trial_kill._differing(disk / 'part', whole)}"
    return (RESUMED if said else ENOUGH), name


_CLEAR = ("No space left on device", "GB free")


def _refused(write):
    """Return None if `write` succeeds, "" if it says that the disk is full, else its error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            write()
    except Exception as error:
        return (
            ""
            if any(words in str(error) for words in _CLEAR)
            else f"{type(error).__name__}: {error}"
        )
    return None


# --- what is written: `version` tells the old file from the new one ------------------------------------------------------


def result(folder, version):
    """Write a displacement."""
    from multifractal import tamsd

    tamsd(
        np.random.default_rng(version).normal(size=(40, 3000, 2)),
        waiting_times=[0],
        lag_times=np.arange(1, 400),
        window=2000,
    ).save(folder / "result.npz", overwrite=True)


def landscape(folder, version):
    """Write a surface."""
    from multifractal import fbm_surface

    fbm_surface(128, 0.5, rng=version).save(folder / "surface.npz", overwrite=True)


def checkpoint(folder, version):
    """Write a network's weights."""
    import torch

    from landscape_viz import checkpoint

    torch.manual_seed(version)
    checkpoint.save(folder / "weights.pt", torch.nn.Linear(200, 200).state_dict(), overwrite=True)


def figure(folder, version):
    """Write a figure in its formats."""
    import matplotlib
    import matplotlib.pyplot as plt

    from multifractal import figures, paper_hoelder_map

    matplotlib.use("agg")
    axes = plt.figure().subplots()
    axes.imshow(paper_hoelder_map(64) + version)
    figures.save_figure(
        axes, folder / "figures", "map", values=np.random.default_rng(version).normal(size=2000)
    )
    plt.close("all")


def section_page(folder, version):
    """Write the page of a section of the record."""
    from multifractal import figures

    figures.write_section_page(
        folder / "page.html", np.random.default_rng(version).uniform(1, 2, (40, 40)), overwrite=True
    )


def report(folder, version):
    """Write a section's page of `landscape_viz`."""
    from landscape_viz.figures.page import write_page

    write_page(_section(version), folder / "section.html", overwrite=True)


def _section(version):
    import torch

    from campaign.computations import network
    from landscape_viz import Problem, directions, section

    torch.manual_seed(version)
    problem = Problem(
        network,
        network().state_dict(),
        "cross_entropy",
        (torch.randn(20, 10), torch.randint(3, (20,))),
    )
    return section(
        problem, directions.random(problem, 2, rng=0), ["-1:1:5", "-1:1:4"], progress=False
    )


_WRITERS = (result, landscape, checkpoint, figure, section_page, report)
