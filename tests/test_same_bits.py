"""Same seed, same bits, whatever the processor: small draws and walks in fresh processes that take older processors' code."""

import os
import subprocess
import sys

import pytest

from campaign.trial_bits import OLDER
from tests.conftest import ROOT

DRAWS = """
import hashlib
import numpy as np
import multifractal as mf

def mark(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:12]

surface = mf.mbm_surface(mf.paper_hoelder_map(64), rng=0)
field = mf.FractalField(7, 0.4, rng=0, n_modes=32)
varying = mf.FractalField(7, mf.SubspaceExponent(7, rng=1), rng=0, n_modes=32)
points = np.linspace(-1, 1, 70).reshape(10, 7)
print(
    mark(surface.values),
    mark(mf.fbm_surface(48, 0.3, rng=1).values),
    mark(mf.wavelet_cascade(64, mf.LogNormal(0.5, -0.05), rng=0).values),
    mark(mf.multifractal_random_walk_2d(64, 0.5, 0.05, rng=0).values),
    mark(mf.weierstrass_mandelbrot((24, 24), 0.5, rng=0).values),
    mark(mf.fbm_path(500, 0.4, rng=0)),
    mark(field.value_and_gradient(points)[1]),
    mark(varying.hessian(points[3])),
    mark(mf.descend(surface, [31.0, 17.0], learning_rate=100, n_steps=2000).unfolded),
    mark(mf.fractional_langevin(
        mf.PaperPotential(), -700.0, n_steps=500, hurst=0.7, learning_rate=1000, beta=5e3, rng=0
    ).positions),
)
"""
NAMES = "mbm fbm cascade random-walk weierstrass path field hessian walk langevin".split()


def marks(**changed):
    """Return {name: hash} of the draws, from a fresh process with these environment variables."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DRAWS],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            **changed,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(NAMES, done.stdout.split(), strict=True))


@pytest.fixture(scope="module")
def here():
    """The hashes as this processor computes them."""
    return marks()


@pytest.mark.parametrize("older", ["older numpy", "older C library and BLAS"])
def test_an_older_processors_library_code_gives_the_same_bits(here, older):
    """With numpy's, or the C library's and BLAS's, newer instructions switched off, every hash is the same."""
    assert marks(**OLDER[older]) == here


@pytest.mark.slow
@pytest.mark.parametrize("older", ["older numba", "numba of the first AVX2"])
def test_kernels_compiled_for_an_older_processor_give_the_same_bits(here, older, tmp_path):
    """Kernels compiled anew for an older processor give the same hashes; it takes a minute of compiling."""
    assert marks(**OLDER[older], NUMBA_CACHE_DIR=str(tmp_path)) == here


def test_other_bits_would_be_seen(here):
    """The comparison can fail: another seed changes the hash of what it draws and of nothing else."""
    changed = DRAWS.replace("mf.fbm_path(500, 0.4, rng=0)", "mf.fbm_path(500, 0.4, rng=1)")
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", changed],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ).stdout.split()
    assert [name for name, mark in zip(NAMES, found, strict=True) if mark != here[name]] == ["path"]
