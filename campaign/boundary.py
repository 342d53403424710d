"""Every public function that is cheap to call, each with small arguments that it accepts."""

import dataclasses
import functools
from pathlib import Path

import numpy as np

import multifractal as mf

LAGS, STARTS = [1, 2, 4, 8], [[3.5, 4.5], [20.0, 11.0]]
STUB = Path(mf.__file__).with_name("__init__.pyi")


def calls():
    """Return {name: (function, arguments)}: the core's functions, then those of networks."""
    return _core() | _networks()


@functools.cache
def _core():
    return (
        _landscapes() | _analysis() | _geometry_and_walkers() | _diffusion() | _tables_and_files()
    )


def _surface():
    return mf.fbm_surface(32, 0.5, rng=0)


def _image():
    return mf.fbm_surface(64, 0.5, rng=1).values


def _walk():
    return np.cumsum(np.random.default_rng(0).normal(size=(300, 2)), axis=0)


def _landscapes():
    surface, noise, image = _surface(), mf.surface_noise(16, max_hurst=0.6, rng=0), _image()
    law, hoelder = mf.LogNormal(0.5, -0.02), mf.paper_hoelder_map(32)
    field = mf.FractalField(3, 0.5, rng=0, n_modes=16, hurst_range=None)
    return {
        "Landscape": (mf.Landscape, {"values": image, "hoelder": np.full((64, 64), 0.5)}),
        "Landscape.value_at": (surface.value_at, {"xy": STARTS}),
        "Landscape.gradient_at": (surface.gradient_at, {"xy": STARTS}),
        "surface_noise": (
            mf.surface_noise,
            {"n": 16, "max_hurst": 0.6, "rng": 0, "dtype": np.float64},
        ),
        "fbm_surface": (
            mf.fbm_surface,
            {"n": 16, "hurst": 0.5, "rng": 0, "dtype": np.float64, "noise": None},
        ),
        "fbm_surface from noise": (mf.fbm_surface, {"n": 16, "hurst": 0.5, "noise": noise}),
        "fbm_path": (mf.fbm_path, {"n": 100, "hurst": 0.5, "rng": 0}),
        "paper_hoelder_map": (mf.paper_hoelder_map, {"n": 16}),
        "mbm_surface": (
            mf.mbm_surface,
            {"hoelder_map": hoelder, "rng": 0, "dtype": np.float64, "tol": 1e-3, "noise": None},
        ),
        "wavelet_cascade": (
            mf.wavelet_cascade,
            {"n": 16, "law": law, "rng": 0, "wavelet": "db3", "dtype": np.float64},
        ),
        "multifractal_random_walk_2d": (
            mf.multifractal_random_walk_2d,
            {
                "n": 16,
                "hurst": 0.5,
                "intermittency": 0.02,
                "rng": 0,
                "integral_scale": None,
                "dtype": np.float64,
            },
        ),
        "multiplicative_measure": (
            mf.multiplicative_measure,
            {"n": 16, "weights": [0.1, 0.2, 0.3, 0.4], "rng": 0, "dtype": np.float64},
        ),
        "measure_spectrum": (
            mf.measure_spectrum,
            {"masses": np.full((16, 16), 1 / 256), "q": [-1.0, 0.0, 2.0]},
        ),
        "weierstrass_mandelbrot": (
            mf.weierstrass_mandelbrot,
            {"n": 16, "hurst": 0.5, "base": 1.5, "rng": 0, "dtype": np.float64},
        ),
        "FractalField": (
            mf.FractalField,
            {
                "dimension": 3,
                "hurst": 0.5,
                "rng": 0,
                "hurst_range": None,
                "n_modes": 16,
                "scales": (0.01, 1.0),
                "tol": 0.05,
                "memory": 2**20,
            },
        ),
        "FractalField.value": (field.value, {"x": [0.1, 0.2, 0.3]}),
        "FractalField.gradient": (field.gradient, {"x": [0.1, 0.2, 0.3]}),
        "FractalField.value_and_gradient": (field.value_and_gradient, {"x": [0.1, 0.2, 0.3]}),
        "SubspaceExponent": (
            mf.SubspaceExponent,
            {"dimension": 3, "mean": 0.5, "swing": 0.2, "rng": 0},
        ),
        "ConfinedField": (
            functools.partial(mf.ConfinedField, field),
            {"curvature": 1.0, "amplitude": 0.5, "centre": 0.0},
        ),
        "LogNormal": (mf.LogNormal, {"c1": 0.5, "c2": -0.02}),
        "LogNormal.zeta": (law.zeta, {"q": [0.0, 1.0]}),
        "LogNormal.spectrum": (law.spectrum, {"q": [0.0, 1.0]}),
        "LogPoisson": (
            mf.LogPoisson,
            dict(zip(_fields(mf.LogPoisson), (0.5, 0.8, 0.1), strict=False)),
        ),
        "Multinomial": (mf.Multinomial, {"weights": (0.1, 0.2, 0.3, 0.4)}),
    }


def _analysis():
    image = _image()
    return {
        "wavelet_leaders": (
            mf.wavelet_leaders,
            {
                "landscape": image,
                "wavelet": "db2",
                "p": np.inf,
                "integration": 0.0,
                "first_scale": 2,
            },
        ),
        "multifractal_spectrum": (
            mf.multifractal_spectrum,
            {
                "landscape": np.asarray(mf.fbm_surface(128, 0.5, rng=1).values),
                "wavelet": "db2",
                "p": np.inf,
                "integration": 0.0,
                "correction": True,
                "first_scale": 2,
                "scales": (2, None),
                "weights": "count",
                "q": None,
                "floor": "relative",
                "n_bootstrap": 5,
                "rng": 0,
            },
        ),
        "q_grid": (mf.q_grid, {"smallest": 0.01, "largest": 5.0, "n": 10}),
        "variogram": (mf.variogram, {"landscape": image, "lags": [1, 2, 4]}),
        "power_spectrum": (mf.power_spectrum, {"landscape": image, "fit_range": None}),
        "local_hoelder": (
            mf.local_hoelder,
            {"landscape": image, "smoothing": 8.0, "method": "ratio"},
        ),
        "validate_estimator": (
            mf.validate_estimator,
            {
                "hurst": (0.5,),
                "n": 128,
                "n_surfaces": 2,
                "rng": 0,
                "dtype": np.float32,
                "scales": (2, None),
            },
        ),
        "tail_index": (
            functools.partial(mf.tail_index, n_bootstrap=20),
            {"samples": _walk(), "methods": ("hill", "quantiles"), "run_length": 1, "rng": 0},
        ),
        "mean_interval": (mf.mean_interval, {"samples": np.ones((4, 3)), "axis": 0, "of": "ones"}),
        "shuffle_within_blocks": (
            mf.shuffle_within_blocks,
            {"landscape": image, "block": 4, "rng": 0},
        ),
    }


def _geometry_and_walkers():
    surface, walk, hoelder = _surface(), _walk(), mf.paper_hoelder_map(32)
    minima, smooth = (
        mf.local_minima(surface),
        mf.Landscape(np.add.outer(np.arange(32.0) ** 2, np.arange(32.0))),
    )
    return {
        "local_minima": (mf.local_minima, {"landscape": surface}),
        "flatness": (mf.flatness, {"landscape": surface}),
        "basins": (mf.basins, {"minima": minima, "link_length": 12.0, "among": 6}),
        "loss_histogram": (
            mf.loss_histogram,
            {"landscape": surface, "box": (2, 2, 20, 20), "bins": 10},
        ),
        "clustering_curve": (
            mf.clustering_curve,
            {"points": walk[:50], "centres": None, "radii": None, "fit_range": None},
        ),
        "curvature_roughness": (
            mf.curvature_roughness,
            {"landscape": mf.mbm_surface(hoelder, rng=0), "bins": 5},
        ),
        "descend": (
            mf.descend,
            {
                "landscape": smooth,
                "start": [3.0, 4.0],
                "learning_rate": 0.1,
                "n_steps": 20,
                "unfold": "exact",
                "method": "gd",
                "rng": None,
            },
        ),
        "descend momentum": (
            mf.descend,
            {
                "landscape": surface,
                "start": [3.0, 4.0],
                "learning_rate": 5.0,
                "n_steps": 20,
                "method": "momentum",
                "momentum": 0.9,
            },
        ),
        "descend sgd": (
            mf.descend,
            {
                "landscape": surface,
                "start": [3.0, 4.0],
                "learning_rate": 5.0,
                "n_steps": 20,
                "method": "sgd",
                "noise": "isotropic",
                "noise_scale": 0.1,
                "rng": 0,
            },
        ),
        "descend stable": (
            mf.descend,
            {
                "landscape": surface,
                "start": [3.0, 4.0],
                "learning_rate": 5.0,
                "n_steps": 20,
                "walls": "periodic",
                "method": "sgd",
                "noise": "stable",
                "alpha": 1.5,
                "noise_scale": 0.1,
                "rng": 0,
            },
        ),
        "descend_ensemble": (
            mf.descend_ensemble,
            {
                "landscape": surface,
                "starts": STARTS,
                "learning_rates": [1.0, 10.0],
                "n_steps": 20,
                "unfold": "exact",
                "walls": "reflecting",
                "keep_last": None,
                "keep_every": 1,
                "method": "gd",
                "rng": None,
                "executor": None,
            },
        ),
        "start_near_maximum": (mf.start_near_maximum, {"landscape": surface, "rng": 0}),
        "edge_of_stability": (
            mf.edge_of_stability,
            {
                "landscape": surface,
                "learning_rates": [1.0, 10.0],
                "starts": STARTS,
                "n_steps": 50,
                "last": 10,
                "sharpness": "hessian",
                "walls": "reflecting",
            },
        ),
        "sharpness_at": (
            mf.sharpness_at,
            {"landscape": surface, "positions": STARTS, "kind": "hessian"},
        ),
        "lyapunov_exponents": (
            mf.lyapunov_exponents,
            {
                "landscape": surface,
                "learning_rates": [1.0, 10.0],
                "starts": STARTS,
                "n_steps": 50,
                "burn_in": 10,
                "method": "tangent",
                "walls": "reflecting",
            },
        ),
        "two_trajectories_ceiling": (mf.two_trajectories_ceiling, {"shape": (32, 32)}),
    }


def _diffusion():
    surface, walk, fit_lags = _surface(), _walk(), np.arange(1, 41)
    curve = mf.tamsd(walk, waiting_times=[0], lag_times=LAGS, window=200).values[0]
    return {
        "tamsd": (
            mf.tamsd,
            {"positions": walk, "waiting_times": [0, 50], "lag_times": LAGS, "window": 200},
        ),
        "walk_spectrum": (mf.walk_spectrum, {"positions": walk}),
        "diffusion_exponent": (
            mf.diffusion_exponent,
            {"lag_times": LAGS, "tamsd": curve, "lag_range": (1, 8)},
        ),
        "drift_to_flat": (
            mf.drift_to_flat,
            {
                "landscapes": [surface],
                "learning_rate": 30.0,
                "n_steps": 30,
                "n_walkers": 2,
                "start": "maximum",
                "smoothing": 8,
                "rng": 0,
            },
        ),
        "fractional_langevin": (
            mf.fractional_langevin,
            {
                "gradient": mf.HarmonicPotential(1.0),
                "x0": 0.0,
                "n_steps": 50,
                "hurst": 0.6,
                "learning_rate": 10.0,
                "beta": 1.0,
                "rng": 0,
                "noise": None,
            },
        ),
        "published_noise": (mf.published_noise, {"n_steps": 50, "hurst": 0.6, "seed": 0}),
        "HarmonicPotential": (mf.HarmonicPotential, {_fields(mf.HarmonicPotential)[0]: 1.0}),
        "well_passage": (
            mf.well_passage,
            {
                "potential": None,
                "x0": -700.0,
                "n_steps": 50,
                "n_walkers": 3,
                "hurst": 0.7,
                "learning_rate": 1000.0,
                "beta": 5000.0,
                "rng": 0,
            },
        ),
        "theoretical_tamsd": (
            mf.theoretical_tamsd,
            {
                "lag_times": LAGS,
                "learning_rate": 10.0,
                "hurst": 0.6,
                "theta": 1.0,
                "stiffness": 0.01,
            },
        ),
        "diffusion_exponent_law": (mf.diffusion_exponent_law, {"hurst": 0.6}),
        "fit_tamsd": (
            mf.fit_tamsd,
            {
                "lag_times": fit_lags,
                "tamsd": mf.theoretical_tamsd(
                    fit_lags, learning_rate=10.0, hurst=0.6, theta=1.0, stiffness=0.01
                ),
                "learning_rate": 10.0,
                "lag_choice": "distinct",
            },
        ),
        "diffusion_diagram": (
            mf.diffusion_diagram,
            {
                "hursts": [0.5],
                "learning_rates": [10.0],
                "n_surfaces": 1,
                "n_walkers": 2,
                "waiting_time": 5,
                "lag_range": (1, 4),
                "size": 16,
                "rng": 0,
                "folder": None,
                "executor": None,
            },
        ),
        "gradient_correlation": (mf.gradient_correlation, {"distance": [0.0, 2.0], "hurst": 0.6}),
    }


def _tables_and_files():
    table, image = mf.load_table("diabetes"), _image()
    return {
        "load_table": (mf.load_table, {"dataset": "diabetes", "data": "nowhere", "fetch": False}),
        "Table.of": (
            mf.Table.of,
            {"name": "mine", "values": np.random.default_rng(0).normal(size=(20, 3))},
        ),
        "Table.standardised": (table.standardised, {"n_train": 400, "by": "all"}),
        "Training": (
            mf.Training,
            {
                "learning_rate": 0.1,
                "dropout": 0.1,
                "epochs": 10,
                "n_train": 100,
                "hess_every": 5,
                "hess_term": 5,
                "rng": 0,
                "dtype": "float32",
                "every": 1,
                "standardise": "all",
            },
        ),
        "embed_path": (
            mf.embed_path,
            {
                "positions": _walk()[:40],
                "last": 40,
                "sample": 30,
                "perplexity": 5,
                "rng": 0,
                "progress": False,
            },
        ),
        "to_matlab": (
            mf.source_data.to_matlab,
            {"path": "written.mat", "result": {"a": image}, "overwrite": True},
        ),
        "published_displacement": (
            mf.published_displacement,
            {"learning_rate": 0.1, "dropout": 0.0, "folder": None},
        ),
        "source_data.read": (
            mf.source_data.read,
            {"name": "multifractional_brownian_surface/TAMSD.mat", "folder": None},
        ),
        "source_data.available": (
            mf.source_data.available,
            {"name": "multifractional_brownian_surface/TAMSD.mat", "folder": None},
        ),
        "increment_law": (
            mf.increment_law,
            {"landscape": image, "other": None, "n_bootstrap": 9, "rng": 0},
        ),
        "noise_share": (
            mf.noise_share,
            {"landscape": image, "other": None, "exponent": 1.0, "n_bootstrap": 9, "rng": 0},
        ),
        "model_of_section": (mf.model_of_section, {"landscape": image, "rng": 0, "smoothing": 8.0}),
        "contour_tree": (mf.contour_tree, {"landscape": image}),
        "topology": (mf.topology, {"landscape": image, "connectivity": "axis", "of": "minima"}),
        "Landscape.load": (mf.Landscape.load, {"path": "nothing-here.npz"}),
        "Spectrum.load": (mf.Spectrum.load, {"path": "nothing-here.npz"}),
    }


@functools.cache
def _networks():
    from campaign import boundary_networks  # which loads torch

    return boundary_networks.calls()


def _fields(kind):
    return [field.name for field in dataclasses.fields(kind)]
