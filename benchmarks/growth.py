"""How time grows with size: the exponent over four sizes or more beside the expected one (`python -m benchmarks growth`).

Times are processor time of all threads, the least of several calls, so that other work on the machine hardly matters.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch
from scipy.optimize import nnls
from threadpoolctl import threadpool_limits
from torch import nn

from benchmarks import harness
from landscape_viz import HessianOperator, Problem, directions
from landscape_viz.loss.evaluate import Evaluator
from landscape_viz.loss.precision import pinned_threads
from multifractal import (
    FractalField,
    Landscape,
    PaperPotential,
    clustering_curve,
    descend,
    descend_ensemble,
    fbm_surface,
    fractional_langevin,
    local_minima,
    mbm_surface,
    multifractal_spectrum,
    paper_hoelder_map,
    tamsd,
)
from multifractal.landscapes.brownian import _kept

_CALLS, _SECONDS = 3, 0.1  # at least so many calls and so much time a size


@dataclass(frozen=True)
class Study:
    """What grows with which size: `prepare(size)` returns the call to time; `work` is what its time should follow."""

    name: str
    size: str
    sizes: tuple
    prepare: Callable
    work: Callable
    law: str
    why: str = ""


@dataclass(frozen=True)
class Growth:
    """Processor seconds at each size; the exponent, with its standard error, over all sizes, and that of the last two.

    `constant` is c of c + b work, fitted: what a call costs at any size (checks, threads, provenance), in seconds.
    """

    name: str
    size: str
    sizes: tuple
    seconds: tuple
    exponent: float
    error: float
    last: float
    expected: float
    constant: float
    law: str
    why: str


def main():
    """Measure every study, print it as it comes, and keep the table."""
    rows = []
    for study in studies():
        rows.append(measure(study))
        print(harness.growth_table([asdict(rows[-1])]).splitlines()[-1], flush=True)
    harness.write_growth(rows)


def measure(study):
    """Return the `Growth` of a study; products run on one thread, since threads that wait for each other spin."""
    with threadpool_limits(1):
        seconds = [least_seconds(study.prepare(size)) for size in study.sizes]
    exponent, error = slope(study.sizes, seconds)
    expected, _ = slope(study.sizes, [study.work(float(size)) for size in study.sizes])
    last = np.log(seconds[-1] / seconds[-2]) / np.log(study.sizes[-1] / study.sizes[-2])
    constant = constant_cost([study.work(float(size)) for size in study.sizes], seconds)
    return Growth(
        study.name,
        study.size,
        study.sizes,
        tuple(seconds),
        exponent,
        error,
        float(last),
        expected,
        constant,
        study.law,
        study.why,
    )


def slope(sizes, seconds):
    """Return the slope of log seconds on log size and its standard error."""
    x, y = np.log(sizes) - np.log(sizes).mean(), np.log(seconds) - np.log(seconds).mean()
    found = (x @ y) / (x @ x)
    return float(found), float(np.sqrt(np.sum((y - found * x) ** 2) / (len(x) - 2) / (x @ x)))


def constant_cost(work, seconds):
    """Return c of the fit seconds = c + b work, neither negative, by least squares of the relative errors."""
    work, seconds = np.asarray(work), np.asarray(seconds)
    scale = work.mean()
    return float(
        nnls(np.column_stack([1 / seconds, work / scale / seconds]), np.ones(len(work)))[0][0]
    )


def least_seconds(call):
    """Return the least processor time of several calls, after one that compiles and fills caches."""
    call()
    times = []
    while len(times) < _CALLS or sum(times) < _SECONDS:
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def studies():
    """Return the studies, by pixels, steps, walkers, points and parameters."""
    return [*_by_pixels(), *_by_steps(), *_by_walkers_and_points(), *_by_parameters()]


def _by_pixels():
    sides = (256, 512, 1024, 2048)
    pixels = {"size": "pixels a side n", "sizes": sides}
    fourier = {"work": lambda n: n**2 * np.log(n), "law": "n² log n"}
    square = {"work": lambda n: n**2, "law": "n²"}
    largest, smallest = (
        "probably the cache, which 2048² exceeds",
        "probably the cache, which holds the smallest",
    )
    return [
        Study("fBm surface, the first", **pixels, **fourier, prepare=_fractional),
        Study(
            "mBm surface, float32, the first",
            **pixels,
            **fourier,
            prepare=_multifractional,
            why=largest,
        ),
        Study("multifractal spectrum", **pixels, **square, prepare=_spectrum, why=largest),
        Study("minima and Hessian eigenvalues", **pixels, **square, prepare=_minima, why=smallest),
    ]


def _by_steps():
    steps = {
        "size": "steps T",
        "sizes": (10_000, 30_000, 100_000, 300_000, 1_000_000),
        "work": lambda n: n,
        "law": "T",
    }
    longer = {**steps, "sizes": (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)}
    return [
        Study("one walk, rate 30", **steps, prepare=_walk),
        Study("TAMSD, 30 lags, window T/2", **longer, prepare=_displacement),
        Study(
            "fractional Langevin path",
            **{**steps, "work": lambda n: n * np.log(n), "law": "T log T"},
            prepare=_langevin,
        ),
    ]


def _by_walkers_and_points():
    return [
        Study(
            "100 steps of an ensemble, rate 30",
            "walkers",
            (100, 1000, 10_000, 100_000),
            _ensemble,
            lambda n: n,
            "walkers",
        ),
        Study(
            "N(R), every point a centre",
            "points",
            (1000, 2000, 4000, 8000, 16_000),
            _pairs,
            lambda n: n**2,
            "points²",
        ),
        Study(
            "FractalField, 1024 modes, d = 100",
            "points",
            (30, 100, 300, 1000, 3000),
            _field_of_points,
            lambda n: n,
            "points",
        ),
    ]


def _by_parameters():
    width = {
        "size": "width w of 3 layers",
        "sizes": (128, 256, 512, 1024, 2048),
        "work": lambda w: w**2,
        "law": "w²",
    }
    return [
        Study(
            "FractalField, 100 points, 256 modes",
            "parameters d",
            (100, 300, 1000, 3000, 10_000),
            _field_of_parameters,
            lambda d: d,
            "d",
        ),
        Study(
            "TAMSD of training, 20 000 epochs",
            "parameters d",
            (10, 30, 100, 300, 1000),
            _training,
            lambda d: d,
            "d",
        ),
        Study("section point, MLP of w² parameters, batch 64", **width, prepare=_section_point),
        Study("Hessian product, MLP of w² parameters, batch 64", **width, prepare=_hessian_product),
    ]


def _fractional(n):
    return lambda: (_kept.clear(), fbm_surface(n, 0.5, rng=0))


def _multifractional(n):
    hoelder = paper_hoelder_map(n)
    return lambda: (_kept.clear(), mbm_surface(hoelder, rng=0, dtype=np.float32))


def _rough(n):
    return np.random.default_rng(0).normal(size=(n, n)).cumsum(axis=0).cumsum(axis=1)


def _spectrum(n):
    return partial(multifractal_spectrum, _rough(n))


def _minima(n):
    values = _rough(n)
    return lambda: local_minima(Landscape(values))


def _walk(n_steps):
    surface = _surface()
    return partial(descend, surface, [500.0, 500.0], learning_rate=30.0, n_steps=n_steps)


def _surface():
    surface = fbm_surface(1024, 0.5, rng=0)
    surface.gradient  # noqa: B018  the cached part
    return surface


def _displacement(n_steps):
    walk = np.random.default_rng(0).normal(size=(n_steps, 2)).cumsum(axis=0)
    return partial(tamsd, walk, waiting_times=[0], lag_times=np.arange(1, 31), window=n_steps // 2)


def _langevin(n_steps):
    # its law does not matter to the time
    noise = np.random.default_rng(0).normal(size=n_steps + 1).cumsum()
    return partial(
        fractional_langevin,
        PaperPotential(),
        -700.0,
        n_steps=n_steps,
        hurst=0.7,
        learning_rate=1000,
        beta=5e3,
        noise=noise,
    )


def _ensemble(n):
    surface, starts = _surface(), np.random.default_rng(0).uniform(0, 1023, (n, 2))
    return partial(
        descend_ensemble, surface, starts, learning_rates=[30.0], n_steps=100, keep_last=1
    )


def _pairs(n):
    return partial(clustering_curve, np.random.default_rng(0).uniform(0, 1023, (n, 2)))


def _field_of_points(n):
    field, points = (
        FractalField(100, 0.5, rng=0, n_modes=1024),
        np.random.default_rng(0).normal(size=(n, 100)) / 10,
    )
    return partial(field.value_and_gradient, points)


def _field_of_parameters(d):
    field = FractalField(d, 0.5, rng=0, n_modes=256)
    return partial(
        field.value_and_gradient, np.random.default_rng(0).normal(size=(100, d)) / np.sqrt(d)
    )


def _training(d):
    walk = np.random.default_rng(0).standard_normal((20_000, d), dtype=np.float32).cumsum(axis=0)
    return partial(tamsd, walk, waiting_times=[0], lag_times=np.arange(1, 31), window=10_000)


def _wide_network(width):
    return nn.Sequential(
        nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    )


def _problem(width):
    data = torch.randn(64, 64, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 10
    return Problem(partial(_wide_network, width), None, "cross_entropy", data)


def _section_point(width):
    problem = _problem(width)
    evaluator, places = (
        Evaluator(problem, directions.random(problem, 2).vectors),
        iter(np.linspace(0, 1, 100_000)),
    )

    def point():
        with pinned_threads(1):
            evaluator.move((0.1, float(next(places))))
            evaluator.measure()

    return point


def _hessian_product(width):
    operator = HessianOperator(_problem(width))
    vector = np.random.default_rng(0).normal(size=operator.shape[0]).astype(np.float32)

    def product():
        with pinned_threads(1):
            operator.matvec(vector)

    return product
