"""Walkers: one walk of 10 000 steps and ensembles on a rough 1024 x 1024 surface, at a gentle and a chaotic rate."""

import numpy as np

from benchmarks.harness import Case
from multifractal import FractalField, descend, descend_ensemble, fbm_surface
from tests.helpers import naive


def cases():
    """Return this chapter's cases."""
    surface = fbm_surface(1024, 0.5, rng=0)
    surface.gradient  # noqa: B018  the cached part, not timed here
    starts = np.random.default_rng(1).uniform(0, 1023, size=(1000, 2))
    field = FractalField(100, 0.6, rng=0, n_modes=1024)
    small = FractalField(10, 0.6, rng=0, n_modes=64)
    cases = []
    for rate in (30.0, 1000.0):
        cases += [
            Case(
                f"one walk, 10 000 steps, rate {rate:g}",
                _walk(surface, starts[0], rate),
                lambda rate=rate: naive.optimise(
                    surface.gradient, starts[0], rate, 10_000, lambda g, memory, t: g
                ),
                aim="2 ms",
                repeats=25,
            ),
            Case(
                f"1000 walkers in lockstep, 1000 steps, last kept, rate {rate:g}",
                _ensemble(surface, starts, rate),
                lambda rate=rate: [_walk(surface, start, rate, 1000)() for start in starts[:100]],
                share=1 / 10,
                against="one after the other, one thread",
                aim="60 ms",
            ),
        ]
    return cases + [
        Case(
            "Adam, 1000 walkers in lockstep, 1000 steps, last kept",
            _ensemble(surface, starts, 1.0, method="adam"),
        ),
        Case(
            "descent on a FractalField, 200 steps, 1024 modes, d = 100",
            lambda: descend(field, np.zeros(100), learning_rate=0.01, n_steps=200),
            lambda: naive.descend_on_field(field.gradient, np.zeros(100), 0.01, 200),
            against="the steps in Python",
        ),
        Case(
            "descent on a FractalField that is small, 200 steps, 64 modes, d = 10",
            lambda: descend(small, np.zeros(10), learning_rate=0.01, n_steps=200),
            lambda: naive.descend_on_field(small.gradient, np.zeros(10), 0.01, 200),
            against="the steps in Python",
            aim="5 times",
        ),
        Case(
            "a million walkers on 256², 100 steps, last kept",
            Million(),
            aim="bounded memory",
            repeats=1,
            fresh_process=True,
        ),
    ]


def _walk(surface, start, rate, n_steps=10_000):
    return lambda: descend(surface, start, learning_rate=rate, n_steps=n_steps)


def _ensemble(surface, starts, rate, **method):
    return lambda: descend_ensemble(
        surface, starts, learning_rates=[rate], n_steps=1000, keep_last=1, **method
    )


class Million:
    """A million walkers on a small surface, in a form that a fresh process can receive."""

    def __call__(self):
        """Walk."""
        surface, starts = (
            fbm_surface(256, 0.5, rng=0),
            np.random.default_rng(1).uniform(0, 255, size=(1_000_000, 2)),
        )
        return descend_ensemble(surface, starts, learning_rates=[100.0], n_steps=100, keep_last=1)
