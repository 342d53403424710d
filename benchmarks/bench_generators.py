"""Generators: fractional and multifractional surfaces, paths, and fields in many dimensions."""

import functools
import time
from dataclasses import dataclass

import numpy as np

from benchmarks.harness import Case
from multifractal import (
    FractalField,
    LogNormal,
    fbm_path,
    fbm_surface,
    mbm_surface,
    multifractal_random_walk_2d,
    paper_hoelder_map,
    wavelet_cascade,
    weierstrass_mandelbrot,
)
from multifractal.landscapes.brownian import _kept, torus_side
from multifractal.landscapes.multifractional import _add_level, chebyshev_nodes
from tests.helpers import naive

_LEVELS = 8  # exponents that the paper's map needs at 1024 x 1024; the twin draws one


def cases():
    """Return this chapter's cases."""
    hoelder, levels = paper_hoelder_map(), _Levels()
    return [
        Case(
            "fBm surface, 1024²",
            lambda: fbm_surface(1024, 0.5, rng=0),
            _naive_surface,
            against="same formulae, full torus",
        ),
        Case(
            "mBm surface, 1024², float32, the first",
            _first(lambda: mbm_surface(hoelder, rng=0, dtype=np.float32)),
        ),
        Case(
            "mBm surface, 1024², float32",
            lambda: mbm_surface(hoelder, rng=0, dtype=np.float32),
            _naive_surface,
            share=1 / _LEVELS,
            against="8 levels, full torus",
            aim="2 s",
        ),
        Case(
            "mBm surface, 1024², float64",
            lambda: mbm_surface(hoelder, rng=0),
            _naive_surface,
            share=1 / _LEVELS,
            against="8 levels, full torus",
            aim="3.5 s",
        ),
        Case(
            "mBm surface, 4096², float32",
            large_surface,
            aim="60 s, 4 GB",
            fresh_process=True,
            repeats=1,
        ),
        Case("fBm path, 10⁶ points", lambda: fbm_path(10**6, 0.3, rng=0)),
        Case("wavelet cascade, 1024²", lambda: wavelet_cascade(1024, LogNormal(0.5, -0.05), rng=0)),
        Case(
            "multifractal random walk, 1024²",
            lambda: multifractal_random_walk_2d(1024, 0.5, 0.05, rng=0),
        ),
        Case(
            "Weierstrass-Mandelbrot, 128²",
            lambda: weierstrass_mandelbrot(128, 0.5, rng=0),
            _naive_weierstrass,
        ),
        Case(
            "8 levels interpolated to a map, 1024²",
            levels.added,
            levels.naively,
            share=1 / 1024,
            repeats=3,
        ),
        *_field_cases(),
        *(
            Case(
                f"{kind} surface, 8192², {dtype}",
                Surface(kind, dtype),
                aim=aim,
                fresh_process=True,
                on_request=True,
                repeats=1,
            )
            for kind, aim in (("fBm", "24 GB"), ("mBm", "24 GB"))
            for dtype in ("float32", "float64")
        ),
    ]


@dataclass(frozen=True)
class Surface:
    """A surface of 8192 x 8192 pixels, in a form that a fresh process can receive."""

    kind: str
    dtype: str

    def __call__(self):
        """Draw it."""
        if self.kind == "fBm":
            return fbm_surface(8192, 0.5, rng=0, dtype=np.dtype(self.dtype))
        return mbm_surface(paper_hoelder_map(8192), rng=0, dtype=np.dtype(self.dtype))


class _Levels:
    """Surfaces of 8 exponents, drawn when first timed, to be interpolated at the paper's map."""

    @functools.cached_property
    def _made(self):
        nodes = chebyshev_nodes(0.3, 0.7, _LEVELS)
        surfaces = np.random.default_rng(0).normal(size=(_LEVELS, 1024, 1024))
        return surfaces, nodes, paper_hoelder_map()

    def added(self):
        """Add them up, one after the other."""
        surfaces, nodes, hoelder = self._made
        values = np.zeros(hoelder.shape)
        for k, surface in enumerate(surfaces):
            _add_level(values, surface, hoelder, nodes, k)

    def naively(self):
        """Interpolate a 32 x 32 corner, pixel by pixel."""
        surfaces, nodes, hoelder = self._made
        naive.interpolate_levels(surfaces[:, :32, :32], nodes, hoelder[:32, :32])


def large_surface():
    """Draw the paper's surface at 4096 x 4096."""
    mbm_surface(paper_hoelder_map(4096), rng=0, dtype=np.float32)


def _first(draw):
    """Return a call that draws as if no surface of this law had been drawn before."""
    return lambda: (_kept.clear(), draw())


def _naive_surface():
    side = torus_side((1024, 1024), 1.0)
    white = np.random.default_rng(0).normal(size=(side, side))
    naive.stein_surface((1024, 1024), 0.5, 1.0, white, (0.3, -0.2))


def _naive_weierstrass():
    k, angles, phases = np.ones((3, 261))  # as many waves as 128 pixels need at H = 0.5
    naive.weierstrass_mandelbrot((128, 128), k, angles, phases, 1.0, 0.5)


def _field_cases():
    points, vectors = np.random.default_rng(0).normal(size=(1000, 100)), np.ones((4096, 100))
    field = FractalField(100, 0.5, rng=0)
    one = np.zeros(100_000)
    redrawn, kept = (
        FractalField(100_000, 0.5, rng=0, n_modes=256, memory=memory) for memory in (0, 2**30)
    )
    return [
        Case(
            "FractalField, 1000 points, 4096 modes, d = 100",
            lambda: field.value_and_gradient(points),
            lambda: points @ vectors.T,
            against="one BLAS product",
            aim="3 products (0.33)",
            repeats=15,
            clock=time.process_time,
        ),
        Case(
            "FractalField, 1000 points, 4096 modes, d = 100, again",
            lambda: field.value_and_gradient(points),
            lambda: naive.fractal_field(
                points[0], vectors, np.ones(4096), field.wavenumbers, 0.5, np.zeros(100)
            ),
            share=1 / 1000,
        ),
        Case(
            "FractalField, 1 point, 256 modes, d = 10⁵, directions redrawn",
            lambda: redrawn.value_and_gradient(one),
            lambda: kept.value_and_gradient(one),
            against="directions kept",
        ),
    ]
