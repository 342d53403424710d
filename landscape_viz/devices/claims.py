"""Which of several devices a worker takes: workers of one machine number themselves, by locks on files."""

import os
import tempfile
import threading
from pathlib import Path

from multifractal.base import files

_MOST = 1024  # workers of one machine and user
_own = threading.local()


def claimed(devices):
    """Return the device for this worker, one of `devices`: nobody else's as long as there are as many as workers."""
    return devices[_number() % len(devices)]


def _number():
    """Return the smallest number that no other worker of this machine had when this one first asked, from 0 on."""
    if not hasattr(_own, "number"):
        folder = Path(tempfile.gettempdir(), f"landscape_viz_{getattr(os, 'getuid', int)()}")
        folder.mkdir(exist_ok=True)
        _own.number, _own.lock = next(_free(folder), (0, None))
    return _own.number


def _free(folder):
    """Yield (number, open file) of each lock that could be had; the system lets go of it when this process ends."""
    for number in range(_MOST):
        lock = open(folder / str(number), "wb")  # noqa: SIM115  held until the worker ends
        try:
            files.hold(lock)
        except OSError:
            lock.close()
        else:
            yield number, lock
