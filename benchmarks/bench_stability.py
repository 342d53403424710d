"""Stability: the published sweep of Lyapunov exponents (40 rates, 100 starts, 5000 steps) and of sharpness."""

import numpy as np

from benchmarks.harness import Case
from multifractal import edge_of_stability, fbm_surface, lyapunov_exponents
from multifractal.walkers.stability import sharpness_at
from multifractal.walkers.two_trajectories import carried_on
from tests.helpers import naive


def cases():
    """Return this chapter's cases; the twin follows one walker for 500 steps."""
    surface = fbm_surface(1024, 0.5, rng=0)
    surface.gradient, surface.hessian_eigenvalues  # noqa: B018  the cached parts, not timed here
    rates, starts = np.logspace(0, 4, 40), np.random.default_rng(1).uniform(0, 1023, size=(100, 2))
    points = np.random.default_rng(2).uniform(0, 1023, size=(100_000, 2))
    return [
        Case(
            "Lyapunov exponents, 40 rates x 100 starts x 5000 steps",
            lambda: lyapunov_exponents(
                surface, learning_rates=rates, starts=starts, n_steps=5000, burn_in=2500
            ),
            lambda: naive.lyapunov(surface.gradient, starts[0], 100.0, 500, 250),
            share=1 / 40_000,
            aim="3 s on one core",
            repeats=3,
        ),
        Case(
            "Lyapunov exponents, published estimator, the same walks",
            lambda: lyapunov_exponents(
                surface,
                learning_rates=rates,
                starts=starts,
                n_steps=5000,
                burn_in=4100,
                method="two_trajectories",
            ),
            lambda: naive.two_trajectories(surface.gradient, starts[0], 100.0, 1400, 500),
            share=2300 / 5900 / 4000,
            repeats=3,
        ),
        Case(
            "Lyapunov exponents, trials that carry on, 40 rates x 100 trials x 5900 steps",
            lambda: carried_on(
                surface,
                starts[0],
                learning_rates=rates,
                n_trials=100,
                n_steps=5900,
                burn_in=5000,
                rng=0,
            ),
            lambda: naive.carried_on(
                surface.gradient, starts[0], np.zeros((1, 1, 2)), [100.0], 1400, 500
            ),
            share=2300 / 6800 / 4000,
        ),
        Case(
            "edge of stability, 40 rates x 10 starts x 5000 positions",
            lambda: edge_of_stability(
                surface, learning_rates=rates, starts=starts[:10], n_steps=4999
            ),
        ),
        Case(
            "sharpness of the map at 100 000 positions",
            lambda: sharpness_at(surface, points, "map"),
            lambda: [
                np.linalg.eigvals(naive.jacobian(surface.gradient, *point)).real.max()
                for point in points[:1000]
            ],
            share=0.01,
        ),
    ]
