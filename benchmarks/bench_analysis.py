"""Analysis: leaders, spectrum, bootstrap, verdict, local Hoelder map."""

import numpy as np
import pywt

from benchmarks.harness import Case
from multifractal import fbm_surface, local_hoelder, multifractal_spectrum, variogram
from multifractal.analysis.bootstrap import _add_picked, bootstrap
from multifractal.analysis.leaders import leaders_of, wavelet_coefficients
from multifractal.analysis.scaling import log2_leaders, regression_weights
from multifractal.analysis.spectrum import q_grid
from multifractal.analysis.verdict import verdict_of
from tests.helpers import naive

TAPS = np.array(pywt.Wavelet("db2").rec_lo)


def cases():
    """Return this chapter's cases."""
    surface = fbm_surface(1024, 0.5, rng=0)
    values = np.array(surface.values)
    logs = [
        log2_leaders(level, "relative") for level in leaders_of(wavelet_coefficients(values))[1:5]
    ]
    picks = np.random.default_rng(0).integers(4096, size=(199, 4096))
    sums = np.random.default_rng(1).normal(size=(4096, 55))
    w = regression_weights(np.arange(3, 7), [y.size for y in logs])
    return [
        Case(
            "wavelet leaders, 1024²",
            lambda: leaders_of(wavelet_coefficients(values)),
            lambda: naive.leaders(values, TAPS),
        ),
        Case(
            "spectrum with 25 moments, 1024²",
            lambda: multifractal_spectrum(surface),
            lambda: naive.spectrum(naive.leaders(values, TAPS), q_grid()),
            aim="150 ms on one core",
        ),
        Case(
            "199 bootstrap resamples, 1024²",
            lambda: bootstrap(logs, q_grid(), w, 199, 0),
            aim="50 ms",
        ),
        Case(
            "sums of 199 resamples, 4096 blocks x 55",
            lambda: _add_picked(sums, picks, np.zeros((199, 55))),
            lambda: naive.resampled_sums(sums, picks),
        ),
        Case("spectrum with 25 moments, 4096², float32", _large_spectrum(), aim="4 s", repeats=3),
        Case(
            "verdict, 1024²",
            lambda: verdict_of(values),
            lambda: [naive.mean_squares(values, 2**k) for k in range(8)],
        ),
        Case(
            "variogram, 1024²",
            lambda: variogram(values),
            lambda: [naive.mean_squares(values, lag) for lag in variogram(values).lags],
            share=2,  # second differences too
            repeats=3,
        ),
        Case(
            "local Hölder map (ratio), 1024²",
            lambda: local_hoelder(values, 16),
            lambda: [
                naive.local_second_differences(values[:129, :129], step, 16, 64, 64)
                for step in (1, 2)
            ],
            share=1 / values.size,
        ),
    ]


def _large_spectrum():
    values = (
        np.random.default_rng(0)
        .normal(size=(4096, 4096))
        .astype(np.float32)
        .cumsum(axis=0)
        .cumsum(axis=1)
    )
    return lambda: multifractal_spectrum(values)
