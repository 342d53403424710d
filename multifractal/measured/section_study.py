"""A study of sections of real networks: each measured alike, pairs that differ by noise only, and what the methods tell.

`landscape_viz.studies.section_study` maps the sections and fills the table; here is what it measures and the file it writes,
which needs no torch to be read.
"""

from dataclasses import dataclass

import numpy as np

from multifractal.analysis.increments import increment_law, noise_share
from multifractal.analysis.spectrum import PAPER_SECTION_SETTINGS, multifractal_spectrum
from multifractal.analysis.surrogates import shuffle_within_blocks
from multifractal.base.checks import one_of
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import realisation
from multifractal.landscapes.landscape import Landscape

# Sections of 129 pixels have too few leaders for the default scales, which begin at 3; our choice from `validate_estimator`.
SMALL_SECTION_SETTINGS = {"scales": (2, None)}
# The paper's absolute floor would leave out the leaders of deep zooms, whose losses differ by less than 1e-6 nats.
PAPER_SETTINGS_AT_ANY_ZOOM = PAPER_SECTION_SETTINGS | {"floor": "relative"}
# the exponent assumed, instead of 2, for what is not noise, to see what hangs on the assumption
ROUGH_ALTERNATIVE = 0.5
N_LAGS = 4  # 1, 2, 4, 8 pixels: all that 129 pixels allow
_N_BOOTSTRAP = 199


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class SectionStudy(Result):
    """What was measured on sections of real networks, a row a section; the first `len(settings)` are our own.

    Intervals are of 95 %, lower end first. "Paper" are numbers at the paper's settings for sections with a relative floor
    (`PAPER_SETTINGS_AT_ANY_ZOOM`), "ours" at `SMALL_SECTION_SETTINGS`.

    Attributes
    ----------
    names : list of str
        Of the rows.
    settings : list of dict
        Of our own sections: network, dropout in training, epoch, half width of the plane (in units of the filters' norms),
        images, modes of dropout and BatchNorm, seed of the masks, dtype.
    kinds, verdicts : list of str
        What each is at the scale of its pixels, and the same in words (`multifractal.analysis.verdict`).
    pixel_noise_ratio, rough_exponent : ndarray, shape (n,)
        From the verdict; the exponent is NaN where there is no rough range.
    rough_range : ndarray, shape (n, 2)
        First and last lag of it in pixels, or NaN.
    steps : ndarray, shape (n,)
        Side of a pixel in units of the filters' norms (NaN for published sections, whose range is not on file).
    first, second : ndarray, shape (n, 4)
        Mean squared first and second differences at 1, 2, 4 and 8 pixels, in nats squared.
    first_exponents, second_exponents : ndarray, shape (n, 3)
    second_interval : ndarray, shape (n, 2, 3)
    noise_share, noise_share_interval : ndarray, shape (n,), (n, 2)
        Share of white noise in `first` at one pixel, read from this section alone, if the rest is twice differentiable.
    noise_share_rough, noise_share_rough_interval : ndarray, shape (n,), (n, 2)
        The same if the rest is as rough as H = 0.5.
    noise_sd : ndarray, shape (n,)
        Root mean square of that noise in nats (rest twice differentiable).
    paper_h, paper_D : ndarray, shape (n, 23)
    paper_c, ours_c : ndarray, shape (n, 2)
        c1 and c2.
    paper_c_interval, ours_c_interval : ndarray, shape (n, 2, 2)
    paper_valid, ours_valid : ndarray of bool, shape (n,)
    paper_eta : ndarray, shape (n,)
        eta(1), which must be positive for the paper's spectrum to be defined.
    shuffled_c : ndarray, shape (n, 2)
        c1 and c2 at the paper's settings after the pixels were shuffled within blocks of 4x4.
    pairs : list of list
        Names of two rows that differ by the seed of their masks only.
    pair_share, pair_share_interval : ndarray, shape (n_pairs, 4), (n_pairs, 2, 4)
        Share of noise at 1, 2, 4, 8 pixels, from what the two do not share: no assumption.
    pair_centre_share, pair_centre_interval : ndarray, shape (n_pairs,), (n_pairs, 2)
        At one pixel, in the inner half of the plane along each side.
    pair_sd, pair_sd_interval : ndarray, shape (n_pairs,), (n_pairs, 2)
    pair_first : ndarray, shape (n_pairs, 4)
        Mean squared first differences without the noise.
    pair_exponents, pair_exponents_interval : ndarray, shape (n_pairs, 3), (n_pairs, 2, 3)
        Of first differences without the noise.
    checked : list of str
        What the spectrum was checked at, on exact fractional Brownian surfaces: settings and side.
    checked_hurst : ndarray, shape (4,)
    checked_bias, checked_spread, checked_coverage : ndarray, shape (n_checked, 4, 2)
        Of c1 and c2.
    kept : list of str
        Rows whose sections are in this file.
    sections : ndarray of float32, shape (n_kept, 129, 129)
        Index [y, x], in nats, less `offsets`, the loss at the middle.
    offsets : ndarray, shape (n_kept,)
    provenance : Provenance
    """

    names: list
    settings: list
    kinds: list
    verdicts: list
    pixel_noise_ratio: np.ndarray
    rough_exponent: np.ndarray
    rough_range: np.ndarray
    steps: np.ndarray
    first: np.ndarray
    second: np.ndarray
    first_exponents: np.ndarray
    second_exponents: np.ndarray
    second_interval: np.ndarray
    noise_share: np.ndarray
    noise_share_interval: np.ndarray
    noise_share_rough: np.ndarray
    noise_share_rough_interval: np.ndarray
    noise_sd: np.ndarray
    paper_h: np.ndarray
    paper_D: np.ndarray
    paper_c: np.ndarray
    paper_c_interval: np.ndarray
    paper_valid: np.ndarray
    paper_eta: np.ndarray
    ours_c: np.ndarray
    ours_c_interval: np.ndarray
    ours_valid: np.ndarray
    shuffled_c: np.ndarray
    pairs: list
    pair_share: np.ndarray
    pair_share_interval: np.ndarray
    pair_centre_share: np.ndarray
    pair_centre_interval: np.ndarray
    pair_sd: np.ndarray
    pair_sd_interval: np.ndarray
    pair_first: np.ndarray
    pair_exponents: np.ndarray
    pair_exponents_interval: np.ndarray
    checked: list
    checked_hurst: np.ndarray
    checked_bias: np.ndarray
    checked_spread: np.ndarray
    checked_coverage: np.ndarray
    kept: list
    sections: np.ndarray
    offsets: np.ndarray
    provenance: Provenance

    def row(self, name):
        """Return the index of a row by its name."""
        return self.names.index(one_of("name", name, self.names))

    def landscape(self, name):
        """Return a section that is kept in this file as a `Landscape`, index [y, x], in nats."""
        k = self.kept.index(one_of("name", name, self.kept))
        return Landscape(
            self.sections[k].astype(np.float64) + self.offsets[k], provenance=self.provenance
        )


def measured(values, step, *, rng):
    """Return a row of `SectionStudy` as a dict, from a section and the side of its pixels.

    Parameters
    ----------
    values : ndarray, shape (rows, cols)
        At least some 100 pixels a side, for two scales of leaders.
    step : float
    rng : int or SeedSequence
        Of resampling and shuffling.
    """
    draws = [realisation(rng, k) for k in range(6)]
    law = increment_law(values, n_bootstrap=_N_BOOTSTRAP, rng=draws[0])
    noise, rough = (
        noise_share(values, exponent=exponent, n_bootstrap=_N_BOOTSTRAP, rng=draw)
        for exponent, draw in ((2.0, draws[1]), (ROUGH_ALTERNATIVE, draws[2]))
    )
    paper = multifractal_spectrum(
        values, **PAPER_SETTINGS_AT_ANY_ZOOM, n_bootstrap=_N_BOOTSTRAP, rng=draws[3]
    )
    ours = multifractal_spectrum(
        values, **SMALL_SECTION_SETTINGS, n_bootstrap=_N_BOOTSTRAP, rng=draws[4]
    )
    shuffled = multifractal_spectrum(
        shuffle_within_blocks(values, rng=draws[5]), **PAPER_SETTINGS_AT_ANY_ZOOM
    )
    found = paper.diagnostics
    lags = slice(0, N_LAGS)
    return {
        "kinds": found.kind,
        "verdicts": found.verdict,
        "pixel_noise_ratio": found.pixel_noise_ratio,
        "rough_exponent": found.rough_exponent,
        "rough_range": np.array(found.rough_range or (np.nan, np.nan), float),
        "steps": step,
        "first": law.first[lags],
        "second": law.second[lags],
        "first_exponents": law.first_exponents[: N_LAGS - 1],
        "second_exponents": law.second_exponents[: N_LAGS - 1],
        "second_interval": law.second_interval[:, : N_LAGS - 1],
        "noise_share": noise.share[0],
        "noise_share_interval": noise.share_interval[:, 0],
        "noise_sd": noise.sd,
        "noise_share_rough": rough.share[0],
        "noise_share_rough_interval": rough.share_interval[:, 0],
        "paper_h": paper.h,
        "paper_D": paper.D,
        "paper_c": paper.log_cumulants[:2],
        "paper_c_interval": paper.log_cumulants_interval[:, :2],
        "paper_valid": found.valid,
        "paper_eta": found.eta[0],
        "ours_c": ours.log_cumulants[:2],
        "ours_c_interval": ours.log_cumulants_interval[:, :2],
        "ours_valid": ours.diagnostics.valid,
        "shuffled_c": shuffled.log_cumulants[:2],
    }


def measured_pair(one, other, *, rng):
    """Return what two sections tell that differ by the seed of their masks only, as a dict of columns of `SectionStudy`."""
    draws = [realisation(rng, k) for k in range(3)]
    law = increment_law(one, other, n_bootstrap=_N_BOOTSTRAP, rng=draws[0])
    noise = noise_share(one, other, n_bootstrap=_N_BOOTSTRAP, rng=draws[1])
    inner = tuple(slice(size // 4, size - size // 4) for size in one.shape)
    centre = noise_share(one[inner], other[inner], n_bootstrap=_N_BOOTSTRAP, rng=draws[2])
    return {
        "pair_share": noise.share[:N_LAGS],
        "pair_share_interval": noise.share_interval[:, :N_LAGS],
        "pair_sd": noise.sd,
        "pair_sd_interval": noise.sd_interval,
        "pair_centre_share": centre.share[0],
        "pair_centre_interval": centre.share_interval[:, 0],
        "pair_first": law.first[:N_LAGS],
        "pair_exponents": law.first_exponents[: N_LAGS - 1],
        "pair_exponents_interval": law.first_interval[:, : N_LAGS - 1],
    }
