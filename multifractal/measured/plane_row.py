"""What one plane of a loss is: its kind in words, how it grows with distance, its spectrum; a row of `FractalReport`."""

from types import SimpleNamespace

import numpy as np

from multifractal.analysis.increments import increment_law
from multifractal.analysis.spectrum import multifractal_spectrum, q_grid
from multifractal.analysis.verdict import verdict_of
from multifractal.measured.section_study import SMALL_SECTION_SETTINGS

_N_BOOTSTRAP = 199
_ROUNDINGS = 64  # epsilons that the losses of a constant plane differ by at most, relative to the largest (our choice)
_CONSTANT = SimpleNamespace(
    kind="constant", words="constant in this plane", rough_range=(), rough_exponent=np.nan
)


def row_of_plane(values, step, generator, eps):
    """Return what a plane is by the names of `FractalReport`'s fields; `step` is between pixels, `eps` that of the losses."""
    found = _kind(values, eps)
    spectrum = None if found.kind == "constant" else _spectrum(values, generator)
    law = increment_law(values, n_bootstrap=_N_BOOTSTRAP, rng=generator)
    return {
        "kinds": found.kind,
        "verdicts": found.words,
        "rough_exponents": found.rough_exponent,
        "rough_distances": step * np.array(found.rough_range or (np.nan, np.nan)),
        "distances": step * law.lags,
        "first": law.first,
        "second": law.second,
        "exponents": law.second_exponents,
        "exponents_interval": law.second_interval,
        **of_spectrum(spectrum),
    }


def _kind(values, eps):
    """Return the verdict on a plane, which is constant where its losses differ by no more than rounding."""
    if np.ptp(values) <= _ROUNDINGS * eps * np.abs(values).max():
        return _CONSTANT
    return verdict_of(values)


def _spectrum(values, generator):
    """Return the spectrum of a plane, or None where all but a few of its points are constant."""
    settings = SMALL_SECTION_SETTINGS | {"n_bootstrap": _N_BOOTSTRAP, "rng": generator}
    try:
        return multifractal_spectrum(values, **settings)
    except (
        ValueError
    ):  # fewer than two leaders at a scale: all else that it refuses was refused above
        return None


def of_spectrum(spectrum):
    """Return the fields of a spectrum, or of None."""
    if spectrum is None:
        empty, unknown = np.full(len(q_grid()), np.nan), np.full(2, np.nan)
        return {
            "h": empty,
            "D": empty,
            "c1": np.nan,
            "c2": np.nan,
            "c1_interval": unknown,
            "c2_interval": unknown,
            "valid": False,
        }
    c, interval = spectrum.log_cumulants, spectrum.log_cumulants_interval
    return {
        "h": spectrum.h,
        "D": spectrum.D,
        "c1": c[0],
        "c2": c[1],
        "c1_interval": interval[:, 0],
        "c2_interval": interval[:, 1],
        "valid": spectrum.diagnostics.valid,
    }
