"""One way to run chunks of work: in order, on threads (kernels release the GIL) or on any executor, with equal results."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
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


@contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor | None]:
    """Give an executor of `count` processes, or None for a `count` of 0, for the time of a `with` block.

    A block that is left by an error or by ^C ends them at once; ^C itself, which a shell sends to all, does not reach them.
    """
    if count == 0:
        yield None
        return
    context = _Spawn()
    with _Pool(count, context, initializer=end_with_parent) as pool:
        try:
            yield pool
        except BaseException:
            for process in context.started:
                if process.pid is not None:
                    process.terminate()
            raise


def end_with_parent() -> None:
    """Let this worker end when its parent does, however that ends: the initializer of an executor of processes."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker process has a parent"

    # A worker holds both ends of its queue, so that it would wait for ever for a parent that was killed by SIGKILL.
    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Pool(ProcessPoolExecutor):
    """A pool whose work is not cancelled but ends with it: Python 3.11 trips over cancelled work when processes are ended."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Submit work to the pool."""
        future = super().submit(fn, *args, **kwargs)
        future.cancel = lambda: False  # type: ignore[method-assign]
        return future


class _Worker(SpawnProcess):
    """A process that ^C does not reach."""

    def start(self) -> None:
        """Start while ^C is held back: a process begins, and here stays, with the signals that its parent holds back."""
        if not hasattr(signal, "pthread_sigmask"):  # on Windows
            return super().start()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Spawn(SpawnContext):
    """Makes workers, and knows them."""

    def __init__(self) -> None:
        self.started: list[_Worker] = []

    def Process(self, *args: Any, **kwargs: Any) -> _Worker:  # type: ignore[override]
        """Make one, under the name that an executor calls."""
        self.started.append(_Worker(*args, **kwargs))
        return self.started[-1]
