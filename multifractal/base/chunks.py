"""One way to run chunks of work: in order, on threads (kernels release the GIL) or on any executor, with equal results."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from multifractal.base.checks import require
from multifractal.base.types import Executor

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)


def thread_count() -> int:
    """Return how many threads compiled kernels may use: $NUMBA_NUM_THREADS if set, else the processors we may run on."""
    asked = os.environ.get("NUMBA_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else processor_count()


def processor_count() -> int:
    """Return how many processors this process may run on (all of them where the system does not say)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_chunks(
    function: Callable[..., T], chunks: Iterable[tuple[Any, ...]], executor: Executor | None = None
) -> list[T]:
    """Return [function(*chunk) for chunk in chunks], in order; the chunks decide the bits, the workers never do.

    Without `executor` the chunks run on `thread_count()` threads of this process; `function` must then release the GIL to
    gain anything. A `concurrent.futures.Executor` needs a picklable module-level `function`; one whose worker dies raises
    `BrokenExecutor`.
    """
    chunks = list(chunks)
    if executor is not None:
        checked_executor(executor)
        try:
            return [
                future.result()
                for future in [executor.submit(function, *chunk) for chunk in chunks]
            ]
        except BrokenExecutor as error:
            raise died(error, "call again with a new executor") from error
    if len(chunks) < 2 or thread_count() == 1:
        return [function(*chunk) for chunk in chunks]
    with ThreadPoolExecutor(min(thread_count(), len(chunks))) as pool:
        return list(pool.map(lambda chunk: function(*chunk), chunks))


def checked_executor(executor: Executor | None) -> Executor | None:
    """Return `executor`; raise if it is neither None nor an object with a `submit` method."""
    require(
        executor is None or callable(getattr(executor, "submit", None)),
        "executor",
        executor,
        "be a concurrent.futures.Executor or None",
        "pass for example a ProcessPoolExecutor",
    )
    return executor


def died(error: E, remedy: str) -> E:
    """Return an error of the same type that says what a broken pool means and what to do."""
    return type(error)(
        f"a worker died: it was killed, ran out of memory or crashed, and its executor is broken; {remedy}"
    )


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
