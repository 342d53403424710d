"""One computation of each area of the package, large enough to be cut into chunks: functions of an executor or None."""

import dataclasses
import hashlib
import json
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import multifractal as mf


def core():
    """Return the computations of `multifractal`."""
    starts = np.random.default_rng(0).uniform(0, 255, size=(300, 2))
    image = np.random.default_rng(1).normal(size=(512, 512)).cumsum(0)
    walk = np.random.default_rng(2).normal(size=(4, 6000, 2)).cumsum(1)

    def surface():
        return mf.fbm_surface(256, 0.4, rng=0)

    lags = np.arange(1, 41)
    return {
        "fbm_surface": lambda _: mf.fbm_surface((300, 400), 0.6, rng=0),
        "fbm_path": lambda _: mf.fbm_path(50_000, 0.7, rng=0),
        "mbm_surface": lambda _: mf.mbm_surface(mf.paper_hoelder_map(256), rng=0, dtype=np.float32),
        "wavelet_cascade": lambda _: mf.wavelet_cascade(512, mf.LogNormal(0.5, -0.05), rng=0),
        "random walk measure": lambda _: mf.multifractal_random_walk_2d(256, 0.5, 0.02, rng=0),
        "multiplicative_measure": lambda _: mf.multiplicative_measure(
            256, [0.1, 0.2, 0.3, 0.4], rng=0
        ),
        "weierstrass_mandelbrot": lambda _: mf.weierstrass_mandelbrot(128, 0.5, rng=0),
        "FractalField": lambda _: mf.FractalField(50, 0.6, rng=0, n_modes=512).value_and_gradient(
            np.full((40, 50), 0.01)
        ),
        "spectrum with bootstrap": lambda _: mf.multifractal_spectrum(image, n_bootstrap=99, rng=0),
        "leaders": lambda _: mf.wavelet_leaders(image),
        "local_hoelder": lambda _: mf.local_hoelder(image[:256, :256]),
        "variogram": lambda _: mf.variogram(image),
        "power_spectrum": lambda _: mf.power_spectrum(image),
        "increment_law": lambda _: mf.increment_law(image, n_bootstrap=19, rng=0),
        "validate_estimator": lambda pool: mf.validate_estimator(
            (0.4,), n=256, n_surfaces=4, rng=0, executor=pool
        ),
        "local_minima": lambda _: mf.local_minima(surface()),
        "clustering_curve": lambda _: mf.clustering_curve(mf.local_minima(surface()).positions),
        "curvature_roughness": lambda _: mf.curvature_roughness(
            mf.mbm_surface(mf.paper_hoelder_map(256), rng=0)
        ),
        "ensemble": lambda pool: mf.descend_ensemble(
            surface(), starts, learning_rates=[30.0], n_steps=500, executor=pool
        ),
        "ensemble, noisy": lambda pool: mf.descend_ensemble(
            surface(),
            starts,
            learning_rates=[30.0],
            n_steps=300,
            method="sgd",
            noise_scale=0.1,
            rng=0,
            executor=pool,
        ),
        "ensemble, Adam": lambda pool: mf.descend_ensemble(
            surface(), starts, learning_rates=[0.5], n_steps=200, method="adam", executor=pool
        ),
        "edge_of_stability": lambda _: mf.edge_of_stability(
            surface(), learning_rates=[1, 10, 100, 1000], starts=starts[:20], n_steps=400
        ),
        "lyapunov_exponents": lambda _: mf.lyapunov_exponents(
            surface(),
            learning_rates=[1, 10, 100, 1000],
            starts=starts[:20],
            n_steps=400,
            burn_in=100,
        ),
        "tamsd": lambda _: mf.tamsd(walk, waiting_times=[0, 1000], lag_times=lags, window=3000),
        "drift_to_flat": lambda _: mf.drift_to_flat(
            [surface()], learning_rate=300.0, n_steps=300, n_walkers=6, rng=0
        ),
        "fractional_langevin": lambda _: mf.fractional_langevin(
            mf.HarmonicPotential(1e-3),
            0.0,
            n_steps=5000,
            hurst=0.7,
            learning_rate=100.0,
            beta=10.0,
            rng=0,
        ),
        "well_passage": lambda _: mf.well_passage(n_steps=2000, n_walkers=10, rng=0),
        "fit_tamsd": lambda _: mf.fit_tamsd(
            lags,
            mf.theoretical_tamsd(lags, learning_rate=30.0, hurst=0.6, theta=2.0, stiffness=1e-3),
            learning_rate=30.0,
        ),
        "diffusion_diagram": lambda _: mf.diffusion_diagram(
            hursts=[0.3, 0.6],
            learning_rates=[10.0, 300.0],
            n_surfaces=2,
            n_walkers=10,
            waiting_time=100,
            size=128,
            rng=0,
        ),
        "full-batch training": lambda _: _full_batch(),
    }


def promised():
    """Return what is promised bit for bit on any x86-64 processor: generators, walks, Langevin paths, displacements."""
    starts = np.random.default_rng(0).uniform(0, 127, size=(40, 2))
    everywhere = core()
    names = (
        "fbm_surface",
        "fbm_path",
        "mbm_surface",
        "wavelet_cascade",
        "random walk measure",
        "multiplicative_measure",
        "weierstrass_mandelbrot",
        "FractalField",
        "ensemble, noisy",
        "ensemble, Adam",
        "tamsd",
        "drift_to_flat",
        "fractional_langevin",
    )

    def surface():
        return mf.mbm_surface(mf.paper_hoelder_map(128), rng=0)

    def varying(points):
        slopes = np.zeros_like(points)
        slopes[:, 0] = 0.1
        return 0.5 + 0.1 * np.clip(points[:, 0], -1, 1), slopes

    field = {"rng": 0, "n_modes": 300}
    return {name: everywhere[name] for name in names} | {
        "normal numbers": lambda _: np.random.default_rng(0).standard_normal(10**6),
        "mbm_surface, float64": lambda _: surface(),
        "log-Poisson cascade": lambda _: mf.wavelet_cascade(
            128, mf.LogPoisson(0.3, 0.8, 0.6), rng=0
        ),
        "steep Weierstrass": lambda _: mf.weierstrass_mandelbrot(32, 0.99, rng=0),
        "field of varying exponent": lambda _: mf.FractalField(
            3, varying, hurst_range=(0.4, 0.6), **field
        ).value_and_gradient(np.full((5, 3), 0.2)),
        "chaotic walk": lambda _: mf.descend(surface(), (60, 70), learning_rate=1000, n_steps=9999),
        "Hessian of a field of varying exponent": lambda _: mf.FractalField(
            6, mf.SubspaceExponent(6, rng=1), **field
        ).hessian(np.full(6, 0.2)),
        "walk on a field": lambda _: mf.descend(
            mf.FractalField(20, 0.5, **field), np.zeros(20), learning_rate=0.01, n_steps=200
        ),
        "lyapunov_exponents": lambda _: mf.lyapunov_exponents(
            surface(), learning_rates=[10, 1000], starts=starts, n_steps=300, burn_in=100
        ),
        "published estimator": lambda _: mf.lyapunov_exponents(
            surface(),
            learning_rates=[1000],
            starts=starts,
            n_steps=300,
            burn_in=0,
            method="two_trajectories",
        ),
        "Langevin in the paper's potential": lambda _: mf.fractional_langevin(
            mf.PaperPotential(),
            -700.0,
            n_steps=2000,
            hurst=0.7,
            learning_rate=1000.0,
            beta=5e3,
            rng=0,
        ),
        "TAMSD by Fourier": lambda _: mf.tamsd(
            np.random.default_rng(2).normal(size=(1, 6000, 2)).cumsum(1),
            waiting_times=[0],
            lag_times=np.arange(1, 1000),
            window=3000,
        ),
    }


def networks():
    """Return the computations of `landscape_viz`; torch's threads are pinned to one where its bits depend on them."""
    import torch

    import landscape_viz as lv
    from landscape_viz.loss.precision import pinned_threads

    def problem():
        torch.manual_seed(0)
        return lv.Problem(
            network,
            network().state_dict(),
            "cross_entropy",
            (torch.randn(100, 10), torch.randint(3, (100,))),
        )

    def pinned(work):
        with pinned_threads(1):
            return work()

    return {
        "section": lambda pool: (
            lv.section(
                problem(),
                lv.directions.random(problem(), 2, rng=0),
                ["-1:1:15", "-1:1:10"],
                executor=pool,
                progress=False,
            ).grid
        ),
        "top_eigenpairs": lambda _: pinned(
            lambda: lv.top_eigenpairs(lv.HessianOperator(problem()), 3, rng=0).values
        ),
        "trace": lambda _: pinned(
            lambda: lv.trace(lv.HessianOperator(problem()), n_products=12, rng=0)
        ),
        "training of a network": lambda _: pinned(_trained),
    }


def everything():
    """Return all of them."""
    return core() | networks()


def network():
    """Return a small network; workers import it."""
    from torch import nn

    return nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 3))


def content_hash(value):
    """Return the SHA-256 of every array and number in nested results, whatever was recorded about their making left out."""
    digest = hashlib.sha256()
    _absorb(digest, value)
    return digest.hexdigest()


def _absorb(digest, value):
    if isinstance(value, np.ndarray):
        digest.update(
            f"{value.dtype} {value.shape};".encode() + np.ascontiguousarray(value).tobytes()
        )
    elif isinstance(value, mf.Landscape):
        _absorb(digest, value.values)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.name not in ("provenance", "threads"):
                _absorb(digest, getattr(value, field.name))
    elif isinstance(value, dict):
        for key in sorted(value):
            digest.update(str(key).encode())
            _absorb(digest, value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            _absorb(digest, item)
    else:
        digest.update(f"{type(value).__name__} {value!r};".encode())


def _full_batch():
    with tempfile.TemporaryDirectory() as folder:
        run = mf.train_full_batch(
            mf.load_table("diabetes"),
            mf.Training(learning_rate=0.1, dropout=0.5, epochs=200, hess_every=50),
            Path(folder, "run"),
        )
        return np.array(run.positions), np.array(run.losses), np.array(run.sharpness)


def _trained():
    import torch

    from landscape_viz import datasets, training

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    data = datasets.synthetic(input_shape=(1, 8, 8), n_train=300, n_test=50)
    training.train(model, data, epochs=1)
    return [parameter.detach().numpy() for parameter in model.parameters()]


def main(workers):
    """Print {name: hash} of every computation; with `workers` above 0, those that take an executor get so many processes.

    "promised" in place of a number: those of `promised`.
    """
    report = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    work = promised() if workers == "promised" else everything()
    count = 0 if workers == "promised" else int(workers)
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn")) if count else None
    print(
        json.dumps({name: content_hash(compute(pool)) for name, compute in work.items()}),
        file=report,
        flush=True,
    )
    if pool:
        pool.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
