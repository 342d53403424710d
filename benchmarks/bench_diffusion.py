"""Diffusion: displacement of a published-size walk and of a long training run."""

import functools

import numpy as np

from benchmarks.harness import Case
from multifractal import tamsd
from tests import naive

_WAITING = np.array([0, 500, 1000, 1500, 2000, 2500, 3000, 3200, 3400, 3600, 3800, 4000, 4500, 5000])
_LONG_WAITING = np.round(np.logspace(0, 5, 10)).astype(int)
_LONG_LAGS = np.unique(np.round(np.logspace(0, 4, 100)).astype(int))


def cases():
    """Return this chapter's cases."""
    walk = np.cumsum(np.random.default_rng(0).normal(size=(10_000, 2)), axis=0)
    return [
        Case("TAMSD, 14 waiting times x 1000 lags x window 3000",
             lambda: tamsd(walk, waiting_times=_WAITING, lag_times=np.arange(1000), window=3000),
             lambda: naive.tamsd(walk, _WAITING[:1], np.arange(0, 1000, 100), 3000), share=1 / 1400, aim="30 ms"),
        Case("TAMSD of training, 1e6 x 113 float32, 84 lags",
             lambda: tamsd(_long_walk(), waiting_times=_LONG_WAITING, lag_times=_LONG_LAGS, window=100_000),
             lambda: naive.tamsd(_long_walk(), [0], [1], 10_000), share=1e4 / (84 * 1e6), aim="1 s"),
    ]


@functools.cache
def _long_walk():
    """Return a walk of a million steps in 113 dimensions, 452 MB, drawn once and when it is asked for."""
    steps = np.random.default_rng(1).standard_normal((1_000_000, 113), dtype=np.float32)
    return np.cumsum(steps, axis=0, out=steps)
