"""Circular block bootstrap of the leaders of each scale.

Leaders overlap and are correlated in space, so whole blocks of 4x4 are drawn, with wrapping at the borders, independently at
each scale. Every moment is a function of sums over leaders; these are added up once for every block, so that a resample
costs one addition per block and moment.
"""

from dataclasses import dataclass

import numpy as np

from multifractal.analysis.scaling import N_CUMULANTS, cumulants_of, slope
from multifractal.base.kernels import kernel
from multifractal.base.rng import as_generator

BLOCK = 4  # leaders along each side of a block
_ALL_STARTS = 2**16  # with more leaders, blocks start at every BLOCK-th leader only, to save memory


@dataclass(frozen=True, eq=False, kw_only=True)
class Replicates:
    """Estimates from the resamples, first axis; integration not taken off."""

    h: np.ndarray
    D: np.ndarray
    zeta: np.ndarray
    log_cumulants: np.ndarray
    of_scales: dict  # standard deviations of V, U, S and of the cumulants over ln 2 of each scale, by the names above
    n_blocks: np.ndarray  # drawn at each scale


def bootstrap(logs, q, w, n_resamples, rng):
    """Return the Replicates of h, D, zeta (n_resamples, n_q) and the log-cumulants (n_resamples, 4).

    Parameters
    ----------
    logs : list of ndarrays, two-dimensional
        log2 of the leaders of each scale; NaN marks one that is left out.
    q : ndarray
    w : ndarray
        Regression weights of the scales.
    n_resamples : int
    rng : int, SeedSequence or Generator
    """
    generator, moments, n_blocks = as_generator(rng), [], []
    for y in logs:
        sums, references, origin = _block_sums(y, q)
        n_blocks.append(max(round(np.isfinite(y).sum() / BLOCK**2), 1))
        picks = generator.integers(0, len(sums), size=(n_resamples, n_blocks[-1]))
        totals = np.zeros((n_resamples, sums.shape[1]))
        _add_picked(sums, picks, totals)
        moments.append(_moments(totals, q, references, origin))
    S, V, U, cumulants = (np.array(part) for part in zip(*moments, strict=True))
    by_scale = {"h": V, "D": U, "zeta": S, "log_cumulants": cumulants / np.log(2)}
    return Replicates(
        **{name: slope(w, part) + (2 if name == "D" else 0) for name, part in by_scale.items()},
        of_scales={name: part.std(axis=1, ddof=1) for name, part in by_scale.items()},
        n_blocks=np.array(n_blocks),
    )


def _block_sums(y, q):
    """Return (sums, references, origin): per block the count, 4 powers of ln l, and 2^(q y), y 2^(q y) for every q.

    y is taken relative to `references` (one for each q), so that no power overflows; ln l relative to `origin`.
    """
    present = np.isfinite(y)
    origin, lowest, highest = np.nanmean(y), np.nanmin(y), np.nanmax(y)
    references = np.where(q > 0, highest, lowest)
    starts = 1 if y.size <= _ALL_STARTS else BLOCK
    about_origin = np.where(present, y - origin, 0.0) * np.log(2)
    columns = [_blocks(present.astype(float), starts)]
    columns += [_blocks(about_origin**k, starts) for k in range(1, N_CUMULANTS + 1)]
    for exponent, reference in zip(q, references, strict=True):
        relative = np.where(present, y - reference, 0.0)
        weight = np.where(present, np.exp2(exponent * relative), 0.0)
        columns += [_blocks(weight, starts), _blocks(weight * relative, starts)]
    return np.stack(columns, axis=1), references, origin


def _blocks(values, starts):
    """Return the sums over all BLOCK x BLOCK blocks that wrap at the borders and start at every `starts`-th leader, flat."""
    for axis in (0, 1):
        wrapped = np.moveaxis(values, axis, 0)
        wrapped = np.concatenate([wrapped, wrapped[np.arange(BLOCK - 1) % len(wrapped)]])
        n = values.shape[axis]
        values = np.moveaxis(sum(wrapped[i : i + n : starts] for i in range(BLOCK)), 0, axis)
    return values.ravel()


def _moments(totals, q, references, origin):
    """Return (S, V, U, cumulants) of every resample from its totals."""
    count, powers = totals[:, :1], totals[:, 1 : 1 + N_CUMULANTS]
    weight, weighted_y = totals[:, 1 + N_CUMULANTS :: 2], totals[:, 2 + N_CUMULANTS :: 2]
    with np.errstate(invalid="ignore", divide="ignore"):  # NaN for a draw of blocks without leaders
        log_mean, relative_V = np.log2(weight / count), weighted_y / weight
        cumulants = cumulants_of(origin * np.log(2), (powers / count).T).T
    return log_mean + q * references, relative_V + references, q * relative_V - log_mean, cumulants


@kernel
def _add_picked(sums, picks, totals):
    """Add to each row of `totals` the rows of `sums` that were picked for it."""
    for b in range(picks.shape[0]):
        for pick in picks[b]:
            for k in range(sums.shape[1]):
                totals[b, k] += sums[pick, k]
