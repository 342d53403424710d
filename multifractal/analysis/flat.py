"""Flat parts of an image: where it is constant or linear to rounding, so that its wavelet coefficients tell nothing.

A saturated, padded or cropped image has such parts, a section of a ReLU network between its kinks too. A leader there is nothing
but the tail of a wavelet that reaches beyond, and moments of negative order live on such leaders alone: a flat patch of 0.4 % of
an exact surface widened its spectrum 38 times. At its edge the image may jump, too. So a flat part is left out as masked pixels
are; or, where too few leaders would be left, those leaders of which more than a quarter is flat.
"""

import numpy as np
from scipy.ndimage import maximum_filter, maximum_filter1d, minimum_filter

from multifractal.analysis.leaders import common_region, taps

MOST_FLAT = 0.25  # of a leader (our choice): the largest coefficient of the other three quarters is hardly smaller


def flat_places(details, wavelet):
    """Return where coefficients of a level are rounding, on the common region of the three orientations.

    A single such place may be chance: a flat part has 3x3 at least.

    Parameters
    ----------
    details : tuple of three two-dimensional ndarrays
        `wavelet_coefficients` of a level, in which rounding is 0.
    wavelet : str

    Returns
    -------
    ndarray of bool, two-dimensional
    """
    zero = (common_region(details, _skipped(wavelet)) == 0).all(axis=0)
    return maximum_filter(minimum_filter(zero, 3, mode="constant", cval=True), 3) & zero


def flat_pixels(places, level, shape, wavelet):
    """Return the pixels that the coefficients of flat `places` of a level touch, and those within 2^level of them.

    Parameters
    ----------
    places : ndarray of bool
    level : int
    shape : (int, int)
        Of the image.
    wavelet : str

    Returns
    -------
    ndarray of bool, shape `shape`
    """
    step, n_taps, flat = 2**level, len(taps(wavelet)), np.zeros(shape, bool)
    rows, cols = np.nonzero(places)
    flat[(rows + _skipped(wavelet)) * step, (cols + _skipped(wavelet)) * step] = True
    # place k touches the pixels from step k - before to step k + after
    before, after = step // 2 * (n_taps - 2) + step, (step - 1) * (n_taps - 1) + step
    size = before + after + 1
    for axis in (0, 1):
        flat = maximum_filter1d(flat, size, axis, mode="constant", origin=after - size // 2)
    return flat


def flat_shares(places, coefficients, wavelet):
    """Return which share of each leader is flat.

    Parameters
    ----------
    places : ndarray of bool
        Flat places of the finest level of the leaders.
    coefficients : list of tuples of three two-dimensional ndarrays
        Of the coarser levels.
    wavelet : str

    Returns
    -------
    list of two-dimensional ndarrays, one for each level, the finest first
    """
    skipped, flat, shares = _skipped(wavelet), places.astype(float), []
    for details in coefficients:
        shares.append(_mean_of_nine(flat))
        rows, cols = common_region(details, skipped).shape[1:]
        children = [
            flat[skipped + i :, skipped + k :][: 2 * rows : 2, : 2 * cols : 2]
            for i, k in ((0, 0), (0, 1), (1, 0), (1, 1))
        ]
        flat = sum(children) / 4
    return [*shares, _mean_of_nine(flat)]


def _skipped(wavelet):
    return len(taps(wavelet)) // 2 - 1


def _mean_of_nine(x):
    over_rows = x[:-2] + x[1:-1] + x[2:]
    return (over_rows[:, :-2] + over_rows[:, 1:-1] + over_rows[:, 2:]) / 9
