"""Worker processes for a script: fresh ones, which end with the script however it ends."""

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext


def workers(count):
    """Return a context manager that gives an executor of `count` processes, or None for a `count` of 0."""
    if count == 0:
        return nullcontext()
    return ProcessPoolExecutor(
        count, multiprocessing.get_context("spawn"), initializer=end_with_parent
    )


def end_with_parent():
    """Let this worker end when its parent does, however that ends: the initializer of an executor of processes."""

    # A worker holds both ends of its queue, so that it would wait for ever for a parent that was killed by SIGKILL.
    def watch():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
