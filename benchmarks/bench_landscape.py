"""Landscape: gradient and Hessian eigenvalues of a 1024 x 1024 surface."""

import numpy as np

from benchmarks.harness import Case
from multifractal import Landscape
from tests.helpers import naive


def cases():
    """Return this chapter's cases."""
    values = np.random.default_rng(0).normal(size=(1024, 1024))
    rough = Landscape(values)
    points = np.random.default_rng(1).uniform(0, 1023, (100_000, 2))
    rough.gradient  # noqa: B018  the cached part, not timed here
    return [
        Case("gradient, 1024²", lambda: Landscape(values).gradient, lambda: naive.gradient(values)),
        Case(
            "Hessian eigenvalues, 1024²",
            lambda: _fresh(rough).hessian_eigenvalues,
            lambda: naive.hessian_eigenvalues(values[:256, :256]),
            share=1 / 16,
            aim="20 ms",
        ),
        Case(
            "values at 100 000 positions",
            lambda: rough.value_at(points),
            lambda: [naive.interpolate(values, *point) for point in points[:1000]],
            share=0.01,
        ),
        Case(
            "gradients at 100 000 positions",
            lambda: rough.gradient_at(points),
            lambda: [
                naive.interpolate(rough.gradient[..., k], *point)
                for point in points[:1000]
                for k in (0, 1)
            ],
            share=0.01,
        ),
    ]


def _fresh(landscape):
    landscape.__dict__.pop("hessian_eigenvalues", None)
    return landscape
