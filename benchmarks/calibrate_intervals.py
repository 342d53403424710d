"""Calibrate the intervals of the spectrum on exact surfaces of known exponents.

`python -m benchmarks.calibrate_intervals [WORD ...]` prints what `multifractal.analysis.intervals.CALIBRATIONS` holds, of those
whose name has one of the words (all without); some minutes on one core, the two largest sizes half an hour. Seed 1; coverage is
measured on other surfaces, by `python -m benchmarks.calibrate`.
"""

import sys

from multifractal.base.command import as_command, at_the_shell

at_the_shell(__name__)

import numpy as np

from multifractal import fbm_surface
from multifractal.analysis.bootstrap import bootstrap
from multifractal.analysis.intervals import CALIBRATIONS
from multifractal.analysis.spectrum import _checked_settings, _leaders_to_fit, multifractal_spectrum
from multifractal.base.rng import realisation

HURST = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# surfaces of each exponent, by side in pixels
SURFACES = {
    "default, 512 and more": {512: 60, 1024: 30},
    "default, 256 to 511": {256: 60, 384: 30},
    "scales from 2, 129 to 255": {129: 60, 200: 30},
    "paper's sections, 129 to 257": {129: 40, 257: 40},
}


def errors_of(surface, settings, generator):
    """Return the estimates of c1..c4 at some settings, and their bootstrap standard errors, not stretched."""
    recorded = _checked_settings(**settings, floor="relative", n_bootstrap=199)
    fit = _leaders_to_fit(np.array(surface.values), recorded)
    draws = bootstrap(fit.logs, np.array([1.0]), fit.w, 199, generator)
    estimates = multifractal_spectrum(surface, **settings).log_cumulants
    return estimates, draws.log_cumulants.std(axis=0, ddof=1)


def calibrate(name, seed=1, hursts=HURST):
    """Return the table of a calibration, a row an exponent: mean c1, mean errors of c1..c4, two stretches.

    Means over the sizes; the stretches (of c1, and the largest of those of c2 to c4) are those of a line through all exponents.
    """
    tables = []
    for n, n_surfaces in SURFACES[name].items():
        table = []
        for i, hurst in enumerate(hursts):
            generators = [realisation(seed, 10**6 * n + 1000 * i + m) for m in range(n_surfaces)]
            surfaces = ((fbm_surface(n, hurst, rng=g, dtype=np.float32), g) for g in generators)
            found = [errors_of(surface, CALIBRATIONS[name].settings, g) for surface, g in surfaces]
            estimates, errors = map(np.array, zip(*found, strict=True))
            stretch = estimates.var(axis=0, ddof=1) / (errors**2).mean(axis=0)
            bias = estimates.mean(axis=0) - [hurst, 0, 0, 0]
            table.append([hurst + bias[0], *bias, stretch[0], stretch[1:].max()])
            print(name, n, hurst, np.round(table[-1], 4).tolist(), flush=True)
        tables.append(table)
    table = np.mean(tables, axis=0)
    for column in (-2, -1):
        line = np.polyfit(hursts, np.sqrt(table[:, column]), 1)
        table[:, column] = np.polyval(line, hursts)
    return table


def main(words):
    """Print the tables of the names that hold one of the words, all without."""
    for name in SURFACES:
        if not words or any(word in name for word in words):
            table = calibrate(name)
            print(
                name,
                *(f"[{', '.join(f'{value:.4f}' for value in row)}]," for row in table),
                sep="\n",
            )


if __name__ == "__main__":
    raise SystemExit(as_command(lambda: main(sys.argv[1:]), "calibrate_intervals"))
