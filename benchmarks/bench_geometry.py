"""Geometry: minima, N(R) and the curvature law on a 1024 x 1024 surface."""

from benchmarks.harness import Case
from multifractal import (
    clustering_curve,
    contour_tree,
    curvature_roughness,
    fbm_surface,
    flatness,
    local_minima,
    topology,
)
from multifractal.geometry.clustering import PAPER_RADII
from tests.helpers import naive


def cases():
    """Return this chapter's cases."""
    surface = fbm_surface(1024, 0.5, rng=0)
    surface.hessian_eigenvalues  # noqa: B018  the cached part, timed with Landscape
    lowest = local_minima(surface).lowest(3000).positions
    return [
        Case(
            "minima, 1024²",
            lambda: local_minima(surface),
            lambda: naive.local_minima(surface.values),
            aim="15 ms",
        ),
        Case(
            "minima and the flatness of all points, 1024²",
            lambda: (local_minima(surface), flatness(surface)),
            lambda: (naive.local_minima(surface.values), naive.flatness(surface.values)),
            repeats=1,
        ),
        Case(
            "N(R), 3000 points x 100 radii",
            lambda: clustering_curve(lowest),
            lambda: naive.mean_counts(lowest, lowest[:30], PAPER_RADII),
            share=0.01,
            aim="60 ms",
        ),
        Case(
            "merge tree and persistence, 1024²",
            lambda: topology(surface),
            lambda: naive.flood(surface.values[:24, :24]),
            share=(24 / 1024) ** 2,
            aim="300 ms",
        ),
        Case(
            "contour tree, 1024² (the twin: one level of it)",
            lambda: contour_tree(surface),
            lambda: naive.level_components(surface.values[:64, :64], 0.0),
            share=(64 / 1024) ** 2,
        ),
        Case("curvature law, 1024²", lambda: curvature_roughness(surface)),
    ]
