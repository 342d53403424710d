"""Calibrate the intervals of the spectrum on exact surfaces, and measure their coverage on fresh ones.

`python -m benchmarks.calibrate_intervals` takes half an hour on one core. Seed 1 is for calibration, seed 2 for coverage.
"""

import sys

import numpy as np

from multifractal import (
    LogNormal,
    fbm_surface,
    multifractal_random_walk_2d,
    multifractal_spectrum,
    q_grid,
    wavelet_cascade,
)
from multifractal.analysis import intervals
from multifractal.analysis.bootstrap import bootstrap
from multifractal.analysis.leaders import leaders_of, wavelet_coefficients
from multifractal.analysis.scaling import log2_leaders, regression_weights
from multifractal.analysis.spectrum import MIN_LEADERS
from multifractal.base.rng import realisation

HURST = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
N_CALIBRATION, N_COVERAGE = {512: 60, 1024: 30}, {512: 100, 1024: 60}


def errors_of(surface, generator):
    """Return the estimates of c1..c4 at the default settings, and their bootstrap standard errors, not stretched."""
    leaders = [
        level
        for level in leaders_of(wavelet_coefficients(surface))[1:]
        if level.size >= MIN_LEADERS
    ]
    logs = [log2_leaders(level, "relative") for level in leaders]
    w = regression_weights(3 + np.arange(len(logs)), [y.size for y in logs])
    draws = bootstrap(logs, np.array([1.0]), w, 199, generator)
    return multifractal_spectrum(surface).log_cumulants, draws.log_cumulants.std(axis=0, ddof=1)


def calibrate(seed=1):
    """Print the stretch of c1..c4, and for each exponent the mean c1 and the biases of c1..c4 (means over both sizes)."""
    stretches, biases = {}, {}
    for n, n_surfaces in N_CALIBRATION.items():
        for i, hurst in enumerate(HURST):
            generators = [realisation(seed, 10**6 * n + 1000 * i + m) for m in range(n_surfaces)]
            estimates, errors = zip(
                *[errors_of(fbm_surface(n, hurst, rng=g, dtype=np.float32), g) for g in generators],
                strict=True,
            )
            estimates, errors = np.array(estimates), np.array(errors)
            stretches[n, hurst] = estimates.var(axis=0, ddof=1) / (errors**2).mean(axis=0)
            biases[n, hurst] = estimates.mean(axis=0) - [hurst, 0, 0, 0]
            print(
                n,
                hurst,
                "stretch",
                np.sqrt(stretches[n, hurst]).round(2),
                "bias",
                biases[n, hurst].round(5),
                flush=True,
            )
    of_calibrated = [ratio for (_, hurst), ratio in stretches.items() if hurst > 0.25]
    print("stretch of c1..c4, H >= 0.3", np.sqrt(np.mean(of_calibrated, axis=0)).round(3))
    print("H, mean c1, bias of c1..c4")
    for hurst in HURST:
        bias = np.mean([biases[n, hurst] for n in N_CALIBRATION], axis=0)
        print(hurst, round(hurst + bias[0], 4), bias.round(5).tolist())


def measure_coverage(seed=2, counts=N_COVERAGE, hursts=HURST[1:]):
    """Print the share of fresh surfaces whose intervals hold the truth, and return it by size, for (c1, c2, h, D, zeta)."""
    q, found = q_grid(), {}
    for n, n_surfaces in counts.items():
        covered = []
        for i, hurst in enumerate(hursts):
            truths = (
                np.array([hurst, 0, 0, 0]),
                np.full(len(q), hurst),
                np.full(len(q), 2.0),
                hurst * q,
            )
            for m in range(n_surfaces):
                generator = realisation(seed, 10**6 * n + 1000 * i + m)
                surface = fbm_surface(n, hurst, rng=generator, dtype=np.float32)
                spectrum = multifractal_spectrum(surface, n_bootstrap=199, rng=generator)
                ends = (
                    spectrum.log_cumulants_interval,
                    spectrum.h_interval,
                    spectrum.D_interval,
                    spectrum.zeta_interval,
                )
                held = [
                    (low <= truth) & (truth <= high)
                    for (low, high), truth in zip(ends, truths, strict=True)
                ]
                covered.append(
                    [
                        held[0][0],
                        held[0][1],
                        held[1].mean(),
                        np.delete(held[2], 12).mean(),
                        np.delete(held[3], 12).mean(),
                    ]
                )
            rows = np.array(covered[-n_surfaces:])
            print(
                n,
                hurst,
                "covered: c1, c2, h, D, zeta (means over q):",
                rows.mean(axis=0).round(3),
                flush=True,
            )
        found[n] = np.mean(covered, axis=0)
        print(n, "all H", found[n].round(3), "of", len(covered), "surfaces", flush=True)
    return found


def measure_multifractals(n=512, n_surfaces=40, seed=5):
    """Print estimates and coverage of c1, c2 on multifractal surfaces of known law: not what was calibrated on."""
    cases = [(f"log-normal cascade, c2 = {c2}", LogNormal(0.6, c2), 0.0) for c2 in (-0.02, -0.08)]
    for name, law, integration in [*cases, ("multifractal random walk, c2 = -0.05", None, 1.0)]:
        truth = np.array([0.6, law.c2] if law else [0.55, -0.05])
        found, held = [], []
        for m in range(n_surfaces):
            generator = realisation(seed, m)
            surface = (
                wavelet_cascade(n, law, rng=generator, wavelet="db2")
                if law
                else multifractal_random_walk_2d(n, 0.5, 0.05, rng=generator)
            )
            spectrum = multifractal_spectrum(
                surface, integration=integration, n_bootstrap=199, rng=generator
            )
            low, high = spectrum.log_cumulants_interval[:, :2]
            found.append(spectrum.log_cumulants[:2])
            held.append((low <= truth) & (truth <= high))
        print(
            name,
            "mean c1, c2",
            np.mean(found, axis=0).round(4),
            "covered",
            np.mean(held, axis=0),
            flush=True,
        )


if __name__ == "__main__":
    print("in use:", intervals.STRETCH, intervals.BIAS)
    if "coverage" not in sys.argv[1:]:
        calibrate()
    measure_coverage()
    measure_multifractals()
