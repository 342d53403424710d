"""A study of sections of real networks: each measured alike, pairs that differ by noise only, and what the methods tell.

`landscape_viz.studies.section_study` maps the sections and fills the table; here is what it measures and the file it writes,
which needs no torch to be read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multifractal.analysis.increments import N_TILES, increment_law, noise_share
from multifractal.analysis.spectrum import PAPER_SECTION_SETTINGS, multifractal_spectrum
from multifractal.analysis.surrogates import shuffle_within_blocks
from multifractal.base.checks import one_of
from multifractal.base.result import Provenance, Result, unpacked
from multifractal.base.rng import realisation
from multifractal.base.statistics import Estimate
from multifractal.landscapes.landscape import Landscape

# Sections of 129 pixels have too few leaders for the default scales, which begin at 3; our choice from `validate_estimator`.
SMALL_SECTION_SETTINGS = {"scales": (2, None)}
# The paper's absolute floor would leave out the leaders of deep zooms, whose losses differ by less than 1e-6 nats.
PAPER_SETTINGS_AT_ANY_ZOOM = PAPER_SECTION_SETTINGS | {"floor": "relative"}
# the exponent assumed, instead of 2, for what is not noise, to see what hangs on the assumption
ROUGH_ALTERNATIVE = 0.5
N_LAGS = 4  # 1, 2, 4, 8 pixels: all that 129 pixels allow
_N_BOOTSTRAP = 199


@dataclass(frozen=True, eq=False, kw_only=True)
class SectionRow:
    """One section of a real network, and what was measured on it.

    "Paper" are numbers at the paper's settings for sections with a relative floor (`PAPER_SETTINGS_AT_ANY_ZOOM`), "ours" at
    `SMALL_SECTION_SETTINGS`. Intervals are of 95 %.

    Attributes
    ----------
    name : str
    settings : dict or None
        Network, dropout in training, epoch, half width of the plane (in units of the filters' norms), images, modes of
        dropout and BatchNorm, seed of the masks, dtype; None for a published section.
    step : float
        Side of a pixel in units of the filters' norms (NaN for published sections, whose range is not on file).
    kind, verdict : str
        What it is at the scale of its pixels, and the same in words (`multifractal.analysis.verdict`).
    pixel_noise_ratio, rough_exponent : float
        From the verdict; the exponent is NaN where there is no rough range.
    rough_range : ndarray, shape (2,)
        First and last lag of it in pixels, or NaN.
    first, second : ndarray, shape (4,)
        Mean squared first and second differences at 1, 2, 4 and 8 pixels, in nats squared.
    first_exponents : ndarray, shape (3,)
    second_exponents : Estimate, shape (3,)
    noise_share : Estimate
        Share of white noise in `first` at one pixel, read from this section alone, if the rest is twice differentiable.
    noise_share_if_rough : Estimate
        The same if the rest is as rough as H = 0.5.
    noise_sd : float
        Root mean square of that noise in nats (rest twice differentiable).
    paper_h, paper_D : ndarray, shape (23,)
    paper_c, ours_c : Estimate, shape (2,)
        c1 and c2.
    paper_valid, ours_valid : bool
    paper_eta : float
        eta(1), which must be positive for the paper's spectrum to be defined.
    shuffled_c : ndarray, shape (2,)
        c1 and c2 at the paper's settings after the pixels were shuffled within blocks of 4x4.
    """

    name: str
    settings: dict | None
    step: float
    kind: str
    verdict: str
    pixel_noise_ratio: float
    rough_exponent: float
    rough_range: np.ndarray
    first: np.ndarray
    second: np.ndarray
    first_exponents: np.ndarray
    second_exponents: Estimate
    noise_share: Estimate
    noise_share_if_rough: Estimate
    noise_sd: float
    paper_h: np.ndarray
    paper_D: np.ndarray
    paper_c: Estimate
    paper_valid: bool
    paper_eta: float
    ours_c: Estimate
    ours_valid: bool
    shuffled_c: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class NoisePair:
    """Two sections that differ by the seed of their masks only: what they do not share is noise, without an assumption.

    Attributes
    ----------
    names : tuple of str
    share : Estimate, shape (4,)
        Of noise in mean squared differences at 1, 2, 4, 8 pixels.
    centre_share : Estimate
        At one pixel, in the inner half of the plane along each side.
    sd : Estimate
        Root mean square of the noise in nats.
    first : ndarray, shape (4,)
        Mean squared first differences without the noise.
    exponents : Estimate, shape (3,)
        Of first differences without the noise.
    """

    names: tuple
    share: Estimate
    centre_share: Estimate
    sd: Estimate
    first: np.ndarray
    exponents: Estimate


@dataclass(frozen=True, eq=False, kw_only=True)
class EstimatorCheck:
    """What the spectrum reads on exact fractional Brownian surfaces.

    Attributes
    ----------
    name : str
        Settings and side.
    hurst : ndarray, shape (4,)
    bias, spread, coverage : ndarray, shape (4, 2)
        Of c1 and c2.
    """

    name: str
    hurst: np.ndarray
    bias: np.ndarray
    spread: np.ndarray
    coverage: np.ndarray


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class SectionStudy(Result):
    """What was measured on sections of real networks: one row for each, our own first, then the published ones.

    Attributes
    ----------
    rows : tuple of SectionRow
    pairs : tuple of NoisePair
    checks : tuple of EstimatorCheck
    kept : list of str
        Rows whose sections are in this file.
    sections : ndarray of float32, shape (n_kept, 129, 129)
        Index [y, x], in nats, less `offsets`, the loss at the middle.
    offsets : ndarray, shape (n_kept,)
    provenance : Provenance
    """

    rows: tuple[SectionRow, ...]
    pairs: tuple[NoisePair, ...]
    checks: tuple[EstimatorCheck, ...]
    kept: list
    sections: np.ndarray
    offsets: np.ndarray
    provenance: Provenance

    @property
    def names(self) -> list[str]:
        """Names of the rows, in their order."""
        return [row.name for row in self.rows]

    def row(self, name: str) -> SectionRow:
        """Return the `SectionRow` of this name."""
        return self.rows[self.names.index(one_of("name", name, self.names))]

    def landscape(self, name: str) -> Landscape:
        """Return a section that is kept in this file as a `Landscape`, index [y, x], in nats."""
        k = self.kept.index(one_of("name", name, self.kept))
        return Landscape(
            self.sections[k].astype(np.float64) + self.offsets[k], provenance=self.provenance
        )

    @classmethod
    def _upgraded(cls, fields, arrays, form):
        if "names" not in fields:
            return fields
        kept = {name: fields[name] for name in ("kept", "sections", "offsets", "provenance")}
        return kept | _rows_of_columns(
            {name: unpacked(value, None, arrays) for name, value in fields.items()}
        )


def measured(name, values, step, *, settings=None, rng):
    """Return the `SectionRow` of a section.

    Parameters
    ----------
    name : str
    values : ndarray, shape (rows, cols)
        At least some 100 pixels a side, for two scales of leaders.
    step : float
        Side of a pixel, in units of the filters' norms.
    settings : dict, optional
        How it was mapped.
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
    found, exponents = paper.diagnostics, slice(N_LAGS - 1)
    return SectionRow(
        name=name,
        settings=settings,
        step=step,
        kind=found.kind,
        verdict=found.verdict,
        pixel_noise_ratio=found.pixel_noise_ratio,
        rough_exponent=found.rough_exponent,
        rough_range=np.array(found.rough_range or (np.nan, np.nan), float),
        first=law.first[:N_LAGS],
        second=law.second[:N_LAGS],
        first_exponents=law.first_exponents[exponents],
        second_exponents=_by_tiles(
            law.second_exponents[exponents], law.second_interval[:, exponents]
        ),
        noise_share=_by_tiles(noise.share[0], noise.share_interval[:, 0]),
        noise_share_if_rough=_by_tiles(rough.share[0], rough.share_interval[:, 0]),
        noise_sd=noise.sd,
        paper_h=paper.h,
        paper_D=paper.D,
        paper_c=_c1_and_c2(paper),
        paper_valid=found.valid,
        paper_eta=found.eta[0],
        ours_c=_c1_and_c2(ours),
        ours_valid=ours.diagnostics.valid,
        shuffled_c=shuffled.log_cumulants[:2],
    )


def measured_pair(names, one, other, *, rng):
    """Return the `NoisePair` of two sections of these names that differ by the seed of their masks only."""
    draws = [realisation(rng, k) for k in range(3)]
    law = increment_law(one, other, n_bootstrap=_N_BOOTSTRAP, rng=draws[0])
    noise = noise_share(one, other, n_bootstrap=_N_BOOTSTRAP, rng=draws[1])
    inner = tuple(slice(size // 4, size - size // 4) for size in one.shape)
    centre = noise_share(one[inner], other[inner], n_bootstrap=_N_BOOTSTRAP, rng=draws[2])
    exponents = slice(N_LAGS - 1)
    return NoisePair(
        names=tuple(names),
        share=_by_tiles(noise.share[:N_LAGS], noise.share_interval[:, :N_LAGS]),
        centre_share=_by_tiles(centre.share[0], centre.share_interval[:, 0]),
        sd=_by_tiles(noise.sd, noise.sd_interval),
        first=law.first[:N_LAGS],
        exponents=_by_tiles(law.first_exponents[exponents], law.first_interval[:, exponents]),
    )


def _by_tiles(value, interval):
    low, high = interval
    return Estimate(value=value, low=low, high=high, n=N_TILES, how=f"{N_TILES} tiles resampled")


def _c1_and_c2(spectrum):
    low, high = spectrum.log_cumulants_interval[:, :2]
    return Estimate(
        value=spectrum.log_cumulants[:2],
        low=low,
        high=high,
        n=int(np.min(spectrum.n_blocks)),
        how="blocks of leaders resampled",
    )


def _rows_of_columns(old):
    """Return rows, pairs and checks of a file of format 0, which held one array for each quantity."""

    def estimate(name, k, interval=None, make=_by_tiles):
        return make(old[name][k], old[interval or f"{name}_interval"][k])

    def resampled(value, interval):
        low, high = interval
        return Estimate(value=value, low=low, high=high, n=0, how="blocks of leaders, not counted")

    plain = (
        "pixel_noise_ratio rough_exponent rough_range first second first_exponents noise_sd paper_h "
        "paper_D paper_valid paper_eta ours_valid shuffled_c"
    ).split()
    rows = tuple(
        SectionRow(
            name=name,
            settings=old["settings"][k] if k < len(old["settings"]) else None,
            step=old["steps"][k],
            kind=old["kinds"][k],
            verdict=old["verdicts"][k],
            second_exponents=estimate("second_exponents", k, "second_interval"),
            noise_share=estimate("noise_share", k),
            noise_share_if_rough=estimate("noise_share_rough", k),
            paper_c=estimate("paper_c", k, make=resampled),
            ours_c=estimate("ours_c", k, make=resampled),
            **{each: old[each][k] for each in plain},
        )
        for k, name in enumerate(old["names"])
    )
    pairs = tuple(
        NoisePair(
            names=tuple(names),
            share=estimate("pair_share", k),
            centre_share=estimate("pair_centre_share", k, "pair_centre_interval"),
            sd=estimate("pair_sd", k),
            first=old["pair_first"][k],
            exponents=estimate("pair_exponents", k),
        )
        for k, names in enumerate(old["pairs"])
    )
    checks = tuple(
        EstimatorCheck(
            name=name,
            hurst=old["checked_hurst"],
            **{each: old[f"checked_{each}"][k] for each in ("bias", "spread", "coverage")},
        )
        for k, name in enumerate(old["checked"])
    )
    return {"rows": rows, "pairs": pairs, "checks": checks}
