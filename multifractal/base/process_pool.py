"""Worker processes for a script: fresh ones, which end with the script however it ends."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext


def workers(count: int) -> AbstractContextManager[ProcessPoolExecutor | None]:
    """Return a context manager that gives an executor of `count` processes, or None for a `count` of 0."""
    if count == 0:
        return nullcontext()
    return ProcessPoolExecutor(
        count, multiprocessing.get_context("spawn"), initializer=end_with_parent
    )


def end_with_parent() -> None:
    """Let this worker end when its parent does, however that ends: the initializer of an executor of processes."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker process has a parent"

    # A worker holds both ends of its queue, so that it would wait for ever for a parent that was killed by SIGKILL.
    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
