"""A worker that is killed.

In a pool of processes the error must say what happened and how to go on; a dask cluster must do its chunks again. The result
must have the bits of one process.
"""

import functools
import os
import signal
import tempfile
import threading
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from campaign.harness import Kind, generator

EQUAL, SPARED = "same bits, chunks done again", "done before the kill"


def kinds():
    """Return ten kills in a pool under a section, five under an ensemble, and ten in a dask cluster."""
    return [
        Kind(
            "dead-worker-pool",
            "a worker of a process pool killed in a section: error, then resumed",
            10,
            (EQUAL, SPARED),
            _pool,
            batch=10,
        ),
        Kind(
            "dead-worker-ensemble",
            "a worker of a process pool killed in an ensemble: error, then again",
            5,
            (EQUAL, SPARED),
            _ensemble,
            batch=5,
        ),
        Kind(
            "dead-worker-dask",
            "a worker of a dask cluster killed in a section",
            10,
            (EQUAL, SPARED),
            _dask,
            batch=5,
        ),
    ]


def slow_loss(outputs, targets):
    """Return a loss that takes 20 ms."""
    from torch.nn.functional import cross_entropy

    time.sleep(0.02)
    return cross_entropy(outputs, targets)


def _pool(index, folder):
    expected, usual = _whole()
    store = folder / "store"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        error = _killing(
            pool, usual, "dead-worker-pool", index, lambda: _mapped(executor=pool, path=store)
        )
    if isinstance(error, np.ndarray):
        return (SPARED, "") if np.array_equal(error, expected) else ("OTHER BITS", "")
    if not isinstance(error, BrokenExecutor) or "resume=True" not in str(error):
        return "UNCLEAR ERROR", repr(error)[:300]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        again = _mapped(executor=pool, path=store, resume=True)
    return (EQUAL, "") if np.array_equal(again, expected) else ("OTHER BITS", "")


def _ensemble(index, folder):
    from multifractal import descend_ensemble, fbm_surface

    surface, starts = (
        fbm_surface(128, 0.4, rng=0),
        np.random.default_rng(0).uniform(0, 127, size=(4000, 2)),
    )

    def walked(pool):
        return descend_ensemble(
            surface, starts, learning_rates=[300.0], n_steps=2000, keep_last=1, executor=pool
        ).positions

    expected = walked(None)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        error = _killing(pool, 3.0, "dead-worker-ensemble", index, lambda: walked(pool))
    if isinstance(error, np.ndarray):
        return (SPARED, "") if np.array_equal(error, expected) else ("OTHER BITS", "")
    if not isinstance(error, BrokenExecutor) or "worker died" not in str(error):
        return "UNCLEAR ERROR", repr(error)[:300]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        return (EQUAL, "") if np.array_equal(walked(pool), expected) else ("OTHER BITS", "")


def _dask(index, folder):
    import distributed

    expected, usual = _whole()
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            local_directory=tempfile.gettempdir(),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        workers = sorted(client.run(os.getpid).values())
        killed = []
        rng = generator("dead-worker-dask", index)
        victim, moment = workers[rng.integers(2)], rng.uniform(0, 0.7 * usual)
        timer = threading.Timer(moment, lambda: killed.append(os.kill(victim, signal.SIGKILL)))
        timer.start()
        found = _mapped(executor=client.get_executor())
        timer.cancel()
    if not np.array_equal(found, expected):
        return "OTHER BITS", ""
    return (EQUAL if killed else SPARED), f"killed after {moment:.2f} of {usual:.2f} s"


def _killing(pool, usual, name, index, work):
    """Return what `work` gives, or its error, when a random worker of the pool is killed at a random moment."""
    rng = generator(name, index)
    for future in [pool.submit(os.getpid) for _ in range(8)]:
        future.result()
    victim = sorted(pool._processes)[int(rng.integers(2)) % len(pool._processes)]
    timer = threading.Timer(rng.uniform(0, usual), os.kill, (victim, signal.SIGKILL))
    timer.start()
    try:
        return work()
    except Exception as error:
        return error
    finally:
        timer.cancel()


def _mapped(**how):
    import torch

    from campaign.computations import network
    from landscape_viz import Problem, directions, section

    torch.manual_seed(0)
    problem = Problem(
        network, network().state_dict(), slow_loss, (torch.randn(20, 10), torch.randint(3, (20,)))
    )
    return section(
        problem, directions.random(problem, 2, rng=0), ["-1:1:20", "-1:1:10"], progress=False, **how
    ).grid


@functools.cache
def _whole():
    """Return the section by this process alone, and about how long two workers take."""
    start = time.perf_counter()
    return _mapped(), (time.perf_counter() - start) / 2 + 1.0
