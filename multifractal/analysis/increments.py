"""How an image grows with distance, lag by lag, with intervals; and how much of it is white noise.

First differences grow as lag^(2H) in the mean square: H below 1 is rough, 1 is what any differentiable image gives, 0 is
white noise. Second differences are blind to slopes and tell apart what first ones cannot: exponent 2 is a twice
differentiable image, 1.5 one whose gradient jumps along curves, as a sum of ReLU units does (the share of pixels that a jump
touches grows with the lag), below 1 again a rough one.

White noise of variance s^2 adds 2 s^2 to the mean square of first differences at any lag (6 s^2 to that of second ones). Two
images that share all but the noise (the same section under live dropout from two seeds) give it without a model: the mean
product of their differences holds no noise. From a single image the noise can only be told by assuming how the rest grows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multifractal.base.checks import finite_array, finite_number, require, whole_number
from multifractal.base.deprecation import renamed
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_generator
from multifractal.base.statistics import student_interval
from multifractal.base.types import Rng
from multifractal.landscapes.landscape import LandscapeLike

_TILES = 8  # along each side
N_TILES = _TILES**2  # that are resampled
_LAGS = 16  # the longest lag is this part of the shorter side, so that a tile is twice as long
# true over resampled standard deviation of second exponents: at most this for H = 0.2 to 0.9, 129 pixels
_STRETCH = 1.3
_FIRST, _SECOND = (-1.0, 1.0), (1.0, -2.0, 1.0)
_FIRST_PER_SECOND = 2 / 6  # mean squares of first and second differences of white noise


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class IncrementLaw(Result):
    """Mean squares of first and second differences by lag, and the local exponents between them.

    Attributes
    ----------
    lags : ndarray of int, shape (n,)
        1, 2, 4, ... pixels, up to a sixteenth of the shorter side.
    first, second : ndarray, shape (n,)
        Mean squares, both axes, in squared units of the image; of two images the mean products, which may be negative.
    first_exponents, second_exponents : ndarray, shape (n - 1,)
        Half the log2 of the ratio of neighbouring lags; NaN where a mean product is not positive.
    first_interval, second_interval : ndarray, shape (2, n - 1)
        95 % intervals. That of the first exponents is right for noise on a given landscape only: first differences of rough
        surfaces with H above 1/2 are correlated over the whole image, which resampling its parts does not see.
    provenance : Provenance
    """

    lags: np.ndarray
    first: np.ndarray
    second: np.ndarray
    first_exponents: np.ndarray
    second_exponents: np.ndarray
    first_interval: np.ndarray
    second_interval: np.ndarray
    provenance: Provenance


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class NoiseShare(Result):
    """How much of the mean squared first differences of an image is white noise.

    Attributes
    ----------
    lags : ndarray of int, shape (n,)
    share, share_interval : ndarray, shape (n,) and (2, n)
        Of the mean squared difference at each lag, and its 95 % interval; an estimate, so that it may leave [0, 1].
    sd, sd_interval : float and ndarray, shape (2,)
        Root mean square of the noise, in units of the image; 0 where the estimated variance is negative.
    exponent : float
        Assumed for second differences of what is not noise; NaN where two images made the assumption unnecessary.
    provenance : Provenance
    """

    lags: np.ndarray
    share: np.ndarray
    share_interval: np.ndarray
    sd: float
    sd_interval: np.ndarray
    exponent: float
    provenance: Provenance


@renamed(values="landscape")
def increment_law(
    landscape: LandscapeLike,
    other: LandscapeLike | None = None,
    *,
    n_bootstrap: int = 199,
    rng: Rng,
) -> IncrementLaw:
    """Return the growth of an image with distance, lag by lag.

    All differences are taken about the same pixels, those at least the longest lag from the border. The intervals resample
    8 x 8 tiles of the image and are stretched by 1.3, which was measured on exact fractional Brownian surfaces of 129
    pixels: they say what another stretch of a like image would give.

    Parameters
    ----------
    landscape : Landscape or array_like of shape (rows, cols)
        At least 32 pixels a side.
    other : array_like or Landscape, optional
        Another image that differs by independent noise only: mean products of the two take the place of mean squares, and
        so leave the noise out.
    n_bootstrap : int
        Resamples; default 199 (our choice).
    rng : int, SeedSequence or Generator

    Returns
    -------
    IncrementLaw

    Raises
    ------
    ValueError
        When an image holds NaN or inf, is too small, or the two are not of one shape.
    """
    values, other = _checked(landscape, other)
    lags = lags_of(values.shape)
    draws = _draws(n_bootstrap, rng)
    first, second = (
        _mean_products(values, other, stencil, lags, draws) for stencil in (_FIRST, _SECOND)
    )
    (h1, i1), (h2, i2) = (_with_interval(_exponents(means)) for means in (first, second))
    provenance = Provenance.of(
        "increment_law",
        rng=rng,
        landscape=values,
        pair=other is not values,
        n_bootstrap=n_bootstrap,
    )
    return IncrementLaw(
        lags=lags,
        first=first[0],
        second=second[0],
        first_exponents=h1,
        second_exponents=h2,
        first_interval=i1,
        second_interval=i2,
        provenance=provenance,
    )


@renamed(values="landscape")
def noise_share(
    landscape: LandscapeLike,
    other: LandscapeLike | None = None,
    *,
    exponent: float = 2.0,
    n_bootstrap: int = 199,
    rng: Rng,
) -> NoiseShare:
    """Return how much of the differences of an image is white noise.

    From one image it is an upper bound if the rest is rougher than `exponent` says, or has structure of a pixel or two; on
    simulated sections with live dropout it read some 2 % high. The intervals are made as those of `increment_law`; where a
    few corners hold most of the noise, they held the truth in 0.85 of cases before they were stretched.

    Parameters
    ----------
    landscape, other, n_bootstrap, rng
        As for `increment_law`. With `other` no assumption is made: noise is what the two do not share.
    exponent : float
        By which second differences of what is not noise grow, in (0, 2]; used where there is no `other`: the noise then
        follows from second differences at lags 1 and 2. 2 (our choice) is a twice differentiable image; a lower one, say the
        H of a rough surface, calls less of the same image noise.

    Returns
    -------
    NoiseShare

    Raises
    ------
    ValueError
        When `exponent` lies outside (0, 2].
    """
    exponent = finite_number("exponent", exponent)
    require(
        0 < exponent <= 2,
        "exponent",
        exponent,
        "lie in (0, 2]",
        "pass 2 where what is not noise is smooth",
    )
    alone = other is None
    values, other = _checked(landscape, other)
    lags, draws = lags_of(values.shape), _draws(n_bootstrap, rng)
    total = (
        _mean_products(values, values, _FIRST, lags, draws)
        + _mean_products(other, other, _FIRST, lags, draws)
    ) / 2
    if alone:
        growth, bends = 4.0**exponent, _mean_products(values, values, _SECOND, lags[:2], draws)
        noise = (_FIRST_PER_SECOND * (growth * bends[:, 0] - bends[:, 1]) / (growth - 1))[:, None]
    else:
        noise = total - _mean_products(values, other, _FIRST, lags, draws)
    with np.errstate(
        invalid="ignore", divide="ignore"
    ):  # a flat image has no differences, and NaN for a share
        of_total = noise / total
    (share, shares), (sd, sds) = map(
        _with_interval, (of_total, np.sqrt(np.maximum(noise[:, 0], 0) / 2))
    )
    provenance = Provenance.of(
        "noise_share",
        rng=rng,
        landscape=values,
        pair=not alone,
        exponent=exponent,
        n_bootstrap=n_bootstrap,
    )
    return NoiseShare(
        lags=lags,
        share=share,
        share_interval=shares,
        sd=float(sd),
        sd_interval=sds,
        exponent=float(exponent) if alone else float("nan"),
        provenance=provenance,
    )


def _checked(landscape, other):
    values = finite_array("landscape", landscape, ndim=2, dtype=np.float64)
    require(
        min(values.shape) >= 4 * _TILES,
        "landscape",
        values.shape,
        f"be at least {4 * _TILES} pixels a side",
        "pass a larger image",
    )
    if other is None:
        return values, values
    other = finite_array("other", other, ndim=2, dtype=np.float64)
    require(
        other.shape == values.shape,
        "other",
        other.shape,
        f"have the shape of landscape, {values.shape}",
        "pass two sections of one grid",
    )
    return values, other


def lags_of(shape):
    """Return the lags at which an image of that shape is measured: 1, 2, 4, ... pixels."""
    return 2 ** np.arange(int(np.log2(min(shape) // _LAGS)) + 1)


def _draws(n_bootstrap, rng):
    """Return how often each tile is drawn in each resample, shape (n_bootstrap, n_tiles)."""
    n = _TILES**2
    return as_generator(rng).multinomial(
        n, np.full(n, 1 / n), size=whole_number("n_bootstrap", n_bootstrap, 2)
    )


def _mean_products(one, other, stencil, lags, draws):
    """Return the mean products of differences by lag: a row for the images as they are, then one a resample."""
    sums, counts = _tile_sums(one, other, stencil, lags, lags_of(one.shape)[-1])
    weights = np.vstack([np.ones(draws.shape[1]), draws])
    return (weights @ sums.T) / (weights @ counts.T)


def _tile_sums(one, other, stencil, lags, margin):
    """Return sums of products of differences and how many there are, shapes (n_lags, n_tiles), by tile of their middle."""
    pairs = [
        [
            _along(a, b, stencil, lag, margin, axis)
            for axis, (a, b) in enumerate(((one, other), (one.T, other.T)))
        ]
        for lag in lags
    ]
    return tuple(
        np.array([[part[k] for part in both] for both in pairs]).sum(axis=1) for k in (0, 1)
    )


def _along(one, other, stencil, lag, margin, transposed):
    """Return (sums, counts) by tile of the differences down the columns; of transposed images, tiles transposed back."""
    reach = (len(stencil) - 1) * lag
    first, n = margin - reach // 2, len(one) - 2 * margin - reach % 2
    a, b = (
        sum(c * image[first + k * lag : first + k * lag + n] for k, c in enumerate(stencil))
        for image in (one, other)
    )
    placed = np.zeros((2, *one.shape))
    placed[:, margin : margin + n] = a * b, np.ones_like(a)
    edges = [np.linspace(0, size, _TILES, endpoint=False).astype(int) for size in one.shape]
    tiles = np.add.reduceat(np.add.reduceat(placed, edges[0], axis=1), edges[1], axis=2)
    return (tiles.transpose(0, 2, 1) if transposed else tiles).reshape(2, -1)


def _exponents(mean):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log2(mean[..., 1:] / mean[..., :-1]) / 2


def _with_interval(rows):
    """Return (estimate, 95 % interval) from rows: the first the estimate, then resamples."""
    with np.errstate(invalid="ignore"):  # no interval (NaN) where a resample has no exponent
        error = _STRETCH * rows[1:].std(axis=0, ddof=1)
    return rows[0], student_interval(rows[0], error, N_TILES - 1)
