"""Diffusion: displacement of a published-size walk and of a long training run, a long Langevin path, a fit of the law."""

import functools

import numpy as np

from benchmarks.harness import Case
from multifractal import PaperPotential, fit_tamsd, fractional_langevin, tamsd, theoretical_tamsd
from tests.helpers import naive

_WAITING = np.array(
    [0, 500, 1000, 1500, 2000, 2500, 3000, 3200, 3400, 3600, 3800, 4000, 4500, 5000]
)
_LONG_WAITING = np.round(np.logspace(0, 5, 10)).astype(int)
_LONG_LAGS = np.unique(np.round(np.logspace(0, 4, 100)).astype(int))


def cases():
    """Return this chapter's cases."""
    walk = np.cumsum(np.random.default_rng(0).normal(size=(10_000, 2)), axis=0)
    # its law does not matter to the time
    noise = np.cumsum(np.random.default_rng(2).normal(size=1_000_001))
    potential, lags = PaperPotential(), np.arange(1000)
    places = np.linspace(-1000, 1000, 1_000_000)
    law = theoretical_tamsd(lags, learning_rate=1000, hurst=0.6, theta=1e4, stiffness=1e-4)
    return [
        Case(
            "TAMSD, 14 waiting times x 1000 lags x window 3000",
            lambda: tamsd(walk, waiting_times=_WAITING, lag_times=np.arange(1000), window=3000),
            lambda: naive.tamsd(walk, _WAITING[:1], np.arange(0, 1000, 100), 3000),
            share=1 / 1400,
            aim="30 ms",
        ),
        Case(
            "TAMSD of training, 1e6 x 113 float32, 84 lags",
            lambda: tamsd(
                _long_walk(), waiting_times=_LONG_WAITING, lag_times=_LONG_LAGS, window=100_000
            ),
            lambda: naive.tamsd(_long_walk(), [0], [1], 10_000),
            share=1e4 / (84 * 1e6),
            aim="1 s",
        ),
        Case(
            "fractional Langevin path, 1e6 steps",
            lambda: fractional_langevin(
                potential, -700.0, n_steps=1_000_000, hurst=0.7, eta=1000, beta=5e3, noise=noise
            ),
            lambda: naive.fractional_langevin(
                potential.gradient, -700.0, noise[:5001], 0.7, 1000, 5e3
            ),
            share=(5000 / 1e6) ** 2,
            aim="1 s",
        ),
        Case(
            "gradient of the paper's potential, 1e6 places",
            lambda: potential.gradient(places),
            lambda: naive.paper_potential_gradient(potential, places[:10_000]),
            share=0.01,
        ),
        Case("fit of the displacement law", lambda: fit_tamsd(lags, law, learning_rate=1000)),
    ]


@functools.cache
def _long_walk():
    """Return a walk of a million steps in 113 dimensions, 452 MB, drawn once and when it is asked for."""
    steps = np.random.default_rng(1).standard_normal((1_000_000, 113), dtype=np.float32)
    return np.cumsum(steps, axis=0, out=steps)
