"""No socket unless asked: every computation and public call under strace, which sees each socket that a process makes.

The first trial is a control: a download that is asked for must be seen. Unix sockets between a process and its own children
do not count; sockets of the internet do.
"""

import functools
import os
import shutil
import subprocess
import sys

from campaign.harness import HERE, Kind

NONE, SEEN = "no socket", "asked for, and seen"
_GROUPS = (
    "download",
    "computations.core",
    "computations.networks",
    "boundary._core",
    "boundary._networks",
    "data",
)


def kinds():
    """Return one trial a group of calls."""
    return [
        Kind(
            "sockets",
            "internet sockets made by every computation and public call, under strace",
            len(_GROUPS),
            (NONE, SEEN),
            _trial,
            batch=len(_GROUPS),
            seconds=900,
            environment=(("OMP_NUM_THREADS", "1"),),
            unit="groups of calls",
        )
    ]


def _trial(index, folder):
    if shutil.which("strace") is None:
        raise FileNotFoundError("this trial needs strace; install it with the system's packages")
    seen = folder / "sockets"
    done = subprocess.run(
        [
            "strace",
            "-f",
            "-qq",
            "-e",
            "trace=socket",
            "-o",
            seen,
            sys.executable,
            "-m",
            __spec__.name,
            _GROUPS[index],
            folder,
        ],
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-800:]
    internet = [line for line in seen.read_text().splitlines() if "AF_INET" in line]
    said = done.stdout.splitlines()[-1]
    if index == 0:
        return (SEEN, said) if internet else ("NOT SEEN", said)
    return (NONE, said) if not internet else ("SOCKET OPENED", f"{_GROUPS[index]}: {internet[:3]}")


def perform(group, folder):
    """Do every call of a group, and print how many they were."""
    work = _calls(group, folder)
    for call in work:
        call()
    print(f"{len(work)} calls of {group}")


def _calls(group, folder):
    from campaign import boundary, computations

    if group == "download":
        return [functools.partial(_download, folder)]
    if group == "data":
        from multifractal.source_data import __main__ as commands

        return [functools.partial(commands.main, [command]) for command in ("list", "verify")]
    module, part = group.split(".")
    calls = getattr({"boundary": boundary, "computations": computations}[module], part)()
    if module == "computations":
        return [functools.partial(compute, None) for compute in calls.values()]
    return [
        functools.partial(_ignoring_missing_files, function, arguments)
        for function, arguments in calls.values()
    ]


def _download(folder):
    from campaign import loopback
    from multifractal.training.tables import fetch_airfoil

    server = subprocess.Popen(
        [sys.executable, "-m", "campaign.loopback"], stdout=subprocess.PIPE, text=True
    )
    try:
        fetch_airfoil(
            f"{folder}/airfoil.dat", urls=(server.stdout.readline().strip() + loopback.TABLE,)
        )
    finally:
        server.kill()
        server.wait()


def _ignoring_missing_files(function, arguments):
    try:
        function(**arguments)
    except FileNotFoundError:  # the calls that load name a file that is not there
        return


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    perform(*sys.argv[1:])
