"""The estimators whose stated errors `benchmarks.calibrate` measures, each on a world where the truth is known or can be repeated."""

from functools import partial

import numpy as np
from scipy.special import stdtrit

import multifractal as mf
from benchmarks.calibrate import Case
from multifractal.analysis.intervals import CALIBRATIONS
from multifractal.base.statistics import mean_interval, median_interval

_STUDENT_8 = float(stdtrit(7, 0.975))


def cases():
    """Return all cases."""
    return [*_of_surfaces(), *_of_spectra(), *_of_walks(), *_of_means(), *_of_networks()]


def _with_error(estimate, error):
    return estimate, estimate - 1.96 * error, estimate + 1.96 * error


# --- roughness -------------------------------------------------------------------------------------------------------


def _of_surfaces():
    return [
        *(
            Case(
                "power_spectrum, exponent", f"{n}², H = {H:g}", partial(_power, n, H), 80, 2 + 2 * H
            )
            for n, H in ((128, 0.3), (256, 0.5), (256, 0.8))
        ),
        *(
            Case(
                f"local_hoelder, {how}",
                f"96², window 8, H = {H:g}",
                partial(_local, how, H),
                120,
                H,
            )
            for how in ("ratio", "amplitude")
            for H in (0.3, 0.7)
        ),
        Case("increment_law, second exponents", "129², H = 0.5", _increments, 80, 0.5),
        Case("noise_share, one image", "129², half noise on a smooth surface", _noise, 80),
        Case("noise_share, two images", "129², the same", _noise_of_pair, 80),
    ]


def _power(n, hurst, rng):
    found = mf.power_spectrum(mf.fbm_surface(n, hurst, rng=rng))
    return _with_error(found.exponent, found.exponent_error)


def _local(how, hurst, rng):
    found = mf.local_hoelder(mf.fbm_surface(96, hurst, rng=rng), 8, method=how)
    return _with_error(found.hoelder[48, 48], found.standard_error[48, 48])


def _increments(rng):
    found = mf.increment_law(mf.fbm_surface(129, 0.5, rng=rng), rng=rng)
    return found.second_exponents, *found.second_interval


def _smooth_and_noise(rng):
    x = np.linspace(0, 3, 129)
    smooth = np.sin(x + rng.uniform(0, 6)) * np.cos(x[:, None] + rng.uniform(0, 6))
    return [smooth + 0.02 * rng.normal(size=smooth.shape) for _ in range(2)]


def _noise(rng):
    found = mf.noise_share(_smooth_and_noise(rng)[0], rng=rng)
    return found.sd, *found.sd_interval


def _noise_of_pair(rng):
    found = mf.noise_share(*_smooth_and_noise(rng), rng=rng)
    return found.sd, *found.sd_interval


# --- spectra: settings and sizes of each calibration -----------------------------------------------------------------


_SIDES = {
    "default, 512 and more": (512, 100),
    "default, 256 to 511": (256, 240),
    "scales from 2, 129 to 255": (129, 240),
    "paper's sections, 129 to 257": (257, 60),
}
_OF = {
    "c1": lambda s: (s.log_cumulants[0], *s.log_cumulants_interval[:, 0]),
    "c2": lambda s: (s.log_cumulants[1], *s.log_cumulants_interval[:, 1]),
    "h at q = -2, 2": lambda s: _at(s, s.h, s.h_interval),
    "D at q = -2, 2": lambda s: _at(s, s.D, s.D_interval),
    "zeta at q = -2, 2": lambda s: _at(s, s.zeta, s.zeta_interval),
}


def _at(spectrum, values, interval):
    where = np.abs(spectrum.q) == 2
    return values[where], *interval[:, where]


def _of_spectra():
    truths = {
        "c1": lambda H: H,
        "c2": lambda H: 0.0,
        "h at q = -2, 2": lambda H: H,
        "D at q = -2, 2": lambda H: 2.0,
        "zeta at q = -2, 2": lambda H: np.array([-2 * H, 2 * H]),
    }
    return [
        Case(
            f"spectrum, {what}",
            f"{name}; {_SIDES[name][0]}², H = {H:g}",
            partial(_spectrum, name, what, H),
            _SIDES[name][1],
            truths[what](H),
        )
        for name in CALIBRATIONS
        for H in ((0.3, 0.7) if "512 and" not in name else (0.5,))
        for what in _OF
        if what[:2] in ("c1", "c2") or H == 0.7
    ]


def _spectrum(name, what, hurst, rng):
    settings = CALIBRATIONS[name].settings | {"q": [-2.0, 1.0, 2.0]}
    surface = mf.fbm_surface(_SIDES[name][0], hurst, rng=rng, dtype=np.float32)
    return _OF[what](mf.multifractal_spectrum(surface, n_bootstrap=199, rng=rng, **settings))


# --- walks -----------------------------------------------------------------------------------------------------------


def _of_walks():
    surface = mf.fbm_surface(128, 0.5, rng=0)
    return [
        Case(
            "diffusion_exponent, walks",
            "8 Brownian walks of 400 steps, lags 1 to 20",
            _diffusion,
            200,
            1.0,
            _STUDENT_8,
        ),
        *(
            Case("fit_tamsd, H", f"the law under {what}", partial(_fitted, what), 100, 0.7, 2.12)
            for what in ("5 % of independent noise", "one Langevin path of 20 000 steps")
        ),
        Case(
            "lyapunov_exponents, interval of the mean",
            "8 walks on 128², rate 60",
            partial(_chaos, surface),
            100,
            None,
            _STUDENT_8,
        ),
        Case(
            "lyapunov_exponents, interval of the median",
            "8 walks on 128², rate 60",
            partial(_chaos_of_most, surface),
            100,
            None,
        ),
        Case(
            "edge_of_stability, interval of log10 sharpness",
            "8 walks on 128², rate 60",
            partial(_edge, surface),
            100,
            None,
            _STUDENT_8,
        ),
        Case("clustering_curve, power", "3000 uniform points", _clustering, 40, 2.0),
        Case("variogram, Hurst exponent", "128², H = 0.5", _variogram, 40, 0.5),
    ]


def _diffusion(rng):
    walks, lags = rng.normal(size=(8, 400, 1)).cumsum(axis=1), np.arange(1, 21)
    curves = mf.tamsd(walks, waiting_times=[0], lag_times=lags, window=300).per_walk[:, 0]
    found = mf.diffusion_exponent(lags, curves, lag_range=(1, 20))
    return found.exponent, found.low, found.high


def _fitted(what, rng):
    lags = np.unique(np.round(np.logspace(0, 3, 30)).astype(int))
    settings = {"learning_rate": 1000.0, "hurst": 0.7}
    if "noise" in what:
        law = mf.theoretical_tamsd(lags, theta=50.0, stiffness=1e-4, **settings)
        curve = law * np.exp(0.05 * rng.normal(size=len(lags)))
    else:
        well = mf.HarmonicPotential(stiffness=1e-4)
        path = mf.fractional_langevin(well, 0.0, n_steps=20_000, beta=5e3, rng=rng, **settings)
        curve = mf.tamsd(
            path.positions.reshape(-1), waiting_times=[4000], lag_times=lags, window=12_000
        ).values[0]
    found = mf.fit_tamsd(lags, curve, learning_rate=1000.0)
    return found.hurst, *found.hurst_interval


def _starts(rng):
    return rng.uniform(0, 127, (8, 2))


def _chaos(surface, rng):
    found = _exponents(surface, rng)
    return found.mean[0, 0], *found.interval[:, 0, 0]


def _chaos_of_most(surface, rng):
    found = _exponents(surface, rng)
    return found.median[0, 0], *found.median_interval[:, 0, 0]


def _exponents(surface, rng):
    return mf.lyapunov_exponents(
        surface, learning_rates=[60.0], starts=_starts(rng), n_steps=2000, burn_in=500
    )


def _edge(surface, rng):
    found = mf.edge_of_stability(surface, learning_rates=[60.0], starts=_starts(rng), n_steps=2000)
    return found.mean_log10[0], *found.interval[:, 0]


def _clustering(rng):
    found = mf.clustering_curve(rng.uniform(0, 1024, (3000, 2)))
    return found.power, np.nan, np.nan


def _variogram(rng):
    return mf.variogram(mf.fbm_surface(128, 0.5, rng=rng)).hurst, np.nan, np.nan


# --- means -----------------------------------------------------------------------------------------------------------


def _of_means():
    return [
        Case("mean_interval", "8 normal samples", _mean, 400, 0.0, _STUDENT_8),
        Case(
            "mean_interval",
            "8 samples of a log-normal",
            _mean_of_skewed,
            400,
            float(np.exp(0.5)),
            _STUDENT_8,
        ),
        Case("median_interval", "12 samples of a log-normal", _median, 400, 1.0),
    ]


def _mean(rng):
    found = mean_interval(rng.normal(size=8))
    return found.value, found.low, found.high


def _mean_of_skewed(rng):
    found = mean_interval(np.exp(rng.normal(size=8)))
    return found.value, found.low, found.high


def _median(rng):
    found = median_interval(np.exp(rng.normal(size=12)))
    return found.value, found.low, found.high


# --- networks, and matrices that stand for their Hessians ------------------------------------------------------------


def _of_networks():
    spectra = {
        "flat spectrum": np.linspace(0.5, 1.5, 300),
        "power law": np.arange(1, 301.0) ** -1.5,
    }
    listed = []
    for name, eigenvalues in spectra.items():
        matrix = _matrix(eigenvalues)
        told = f"300 x 300, {name}"
        listed += [
            Case(
                "trace (XTrace)",
                f"{told}, 32 products",
                partial(_trace, matrix),
                100,
                eigenvalues.sum(),
            ),
            Case(
                "trace (Hutch++)",
                f"{told}, 32 products, memory for 9 vectors",
                partial(_trace, matrix, memory_budget=9 * matrix[0].nbytes),
                100,
                eigenvalues.sum(),
            ),
            Case(
                "hutchinson",
                f"{told}, 32 products",
                partial(_hutchinson, matrix),
                100,
                eigenvalues.sum(),
            ),
            Case(
                "spectral_density, mean eigenvalue",
                f"{told}, 10 probes",
                partial(_moment, matrix),
                100,
                eigenvalues.mean(),
            ),
        ]
    return [
        *listed,
        Case(
            "gradient_noise_scale",
            "perceptron, batches of 8 and 64, 20 draws",
            _noise_scale,
            40,
            None,
            float(stdtrit(19, 0.975)),
        ),
        Case("ball_sharpness, mean rise", "perceptron, radius 0.5, 20 samples", _ball, 40),
    ]


def _matrix(eigenvalues):
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(len(eigenvalues),) * 2))[0]
    return (q * eigenvalues) @ q.T


def _trace(matrix, rng, **options):
    from landscape_viz import trace

    found = trace(matrix, n_products=32, rng=rng, **options)
    return _with_error(found.value, found.standard_error)


def _hutchinson(matrix, rng):
    probes = rng.choice([-1.0, 1.0], (32, len(matrix)))
    found = mean_interval(np.einsum("ij,jk,ik->i", probes, matrix, probes, optimize=True))
    return found.value, found.low, found.high


def _moment(matrix, rng):
    from landscape_viz import spectral_density

    return _with_error(*spectral_density(matrix, n_probes=10, n_steps=20, rng=rng).moment(1))


def _problem():
    import torch
    from torch import nn

    from landscape_viz import Problem

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    inputs = torch.randn(200, 6)
    targets = (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()
    return Problem(model, None, "cross_entropy", (inputs, targets))


def _noise_scale(rng):
    from landscape_viz.dynamics import gradient_noise_scale

    found = gradient_noise_scale(_problem(), small=8, big=64, n_draws=20, rng=rng)
    return found.value, found.low, found.high


def _ball(rng):
    from landscape_viz.sharpness import ball_sharpness

    found = ball_sharpness(_problem(), 0.5, n_samples=20, n_ascent=1, rng=rng)
    return _with_error(found.mean, found.standard_error)
