"""Drift: the control with local step lengths, and one surface of the whole study."""

import numpy as np

from benchmarks.harness import Case
from multifractal import drift_to_flat, fbm_surface
from multifractal.walkers.drift import _local_walks
from tests.helpers import naive


def cases():
    """Return this chapter's cases."""
    surface = fbm_surface(1024, 0.5, rng=0)
    surface.hessian_eigenvalues  # noqa: B018  the cached part, timed with Landscape
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (20, 10_000))
    directions, starts = (
        np.stack([np.cos(angles), np.sin(angles)], axis=-1),
        np.full((20, 2), 500.0),
    )
    return [
        Case(
            "walks with local steps, 20 x 10 000",
            lambda: _local_walks(surface, starts, 1000.0, directions),
            lambda: naive.local_walk(surface.gradient, starts[0], 1000.0, directions[0]),
            share=1 / 20,
        ),
        Case("drift study, one surface", lambda: drift_to_flat([surface], rng=0)),
    ]
