"""Time-averaged mean squared displacement (TAMSD) of walks, by waiting time, and the diffusion exponents read off it.

TAMSD(t_w, tau) = (1/W) sum over t = t_w ... t_w + W - 1 of |x(t + tau) - x(t)|^2, with waiting time t_w, window W and
lag tau (Ly & Gong 2025, Methods). Two paths give the same numbers: sums over segments between the windows' ends, which keep
full relative accuracy, and Fourier transforms, which win when nearly all lags are asked for; each call takes the cheaper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from scipy import fft

from multifractal.base.checks import (
    ascending_pair,
    finite_array,
    finite_unless_masked,
    mask_of,
    real_array,
    refuse,
    require,
    whole_number,
)
from multifractal.base.chunks import map_chunks
from multifractal.base.curves import Curves
from multifractal.base.kernels import kernel
from multifractal.base.picture import Pictured
from multifractal.base.result import Provenance, Result
from multifractal.base.statistics import jackknife_interval, mean_and_error
from multifractal.base.types import Array, ArrayLike, Pair
from multifractal.walkers.descent import Walk

_LAGS_PER_CHUNK = 16
# elements of the walk that stay in the first cache while all lags of a chunk pass over them
_BLOCK = 8192
# partial sums kept side by side, so that the compiler can use vector registers without reordering a sum
_LANES = 64

# Seconds per elementary step of the two paths (ours, measured); they decide which path is taken, never what it gives.
_DIRECT_COST = 0.4e-9
_FFT_COST = 1.2e-9

# The Fourier path is accurate to 1e-14 of the window's variance; below this share of it a value is summed directly.
_SMALLEST_SHARE = 1e-2


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Displacement(Pictured, Result):
    """Time-averaged mean squared displacement of one or more walks, in squared units of the positions.

    Attributes
    ----------
    per_walk : ndarray, shape (n, n_waiting, n_lags)
        Each walk's own curve.
    waiting_times : ndarray, shape (n_waiting,)
    lag_times : ndarray, shape (n_lags,)
    window : int
    provenance : Provenance
    """

    _figure: ClassVar[str] = "multifractal.figures.displacement:displacement_curves"

    per_walk: np.ndarray
    waiting_times: np.ndarray
    lag_times: np.ndarray
    window: int
    provenance: Provenance

    @property
    def values(self) -> Array:
        """Mean over walks, shape (n_waiting, n_lags)."""
        return self.per_walk.mean(axis=0)

    def exponent(self, lag_range: Pair, *, waiting_time: int | None = None) -> DiffusionExponent:
        """Return the `DiffusionExponent` over a range of lags, as `diffusion_exponent` fits it to the curves of all walks.

        Parameters
        ----------
        lag_range : (int, int)
            First and last lag of the fit, ends included.
        waiting_time : int, optional
            Which of `waiting_times`; may be left out where there is one.

        Raises
        ------
        ValueError
            When there are several waiting times and none is named, or fewer than three lags lie in the range.
        """
        if waiting_time is None and len(self.waiting_times) == 1:
            waiting_time = self.waiting_times[0]
        curves = self.curves(waiting_time)
        return diffusion_exponent(curves.x, curves.samples, lag_range=lag_range)

    def curves(self, waiting_time: int | None, over: str = "walks") -> Curves:
        """Return the curves at a waiting time of the table as `Curves` over the lags, one for each walk."""
        times = self.waiting_times.tolist()
        require(
            waiting_time in times,
            "waiting_time",
            waiting_time,
            f"be one of {times}",
            "pass waiting_time= one of these",
        )
        samples = self.per_walk[:, times.index(waiting_time)]
        return Curves(x=self.lag_times, samples=samples, over=over, provenance=self.provenance)

    @property
    def geometric_mean(self) -> Array:
        """Geometric mean over the walks that move, shape (n_waiting, n_lags): of displacements that differ by factors."""
        flat = self.per_walk.reshape(len(self.per_walk), -1)
        found = Curves(
            x=np.arange(flat.shape[1]), samples=flat, over="", provenance=self.provenance
        )
        return np.reshape(found.geometric_mean.value, self.per_walk.shape[1:])

    @property
    def standard_error(self) -> Array:
        """Standard error of `values` over walks, shape (n_waiting, n_lags); NaN when there is one walk only."""
        return mean_and_error(self.per_walk, axis=0)[1]


def tamsd(
    positions: ArrayLike | Walk,
    *,
    waiting_times: ArrayLike = 0,
    lag_times: ArrayLike | None = None,
    window: int | None = None,
) -> Displacement:
    """Return the time-averaged mean squared displacement by waiting time and lag.

    Parameters
    ----------
    positions : Walk, or array_like of shape (T,), (T, d) or (n, T, d)
        A `Walk`, of which the unfolded track is taken; one walk in one or d dimensions; or n walks (an ensemble in one
        dimension has shape (n, T, 1)). float32 is read as it is, from a `numpy.memmap` too, without a copy; everything is
        subtracted and summed in float64. Use the unfolded positions of a walk between walls. Of a masked array (frames in
        which a tracker lost the particle) each time average runs over the pairs of which neither position is masked.
    waiting_times : array_like of int, shape (n_waiting,)
        First step of each window; at least 0. Default 0 (our choice).
    lag_times : array_like of int, shape (n_lags,), optional
        Lags in steps, in any order, at least 0; lag 0 gives 0. Default (our choice): about 20, evenly spaced in the logarithm
        from 1 to a tenth of the positions.
    window : int, optional
        Steps that each time average runs over (3000 in the paper's Figure 4, 100 000 in its supplement). Default (our
        choice): what the last waiting time and the longest lag leave.

    Returns
    -------
    Displacement
        With `.values` (n_waiting, n_lags), the mean over walks, and `.per_walk` (n, n_waiting, n_lags).

    Raises
    ------
    ValueError
        When a waiting time, the window and a lag together reach beyond the walk, a position read is NaN or infinite, or a
        window has no pair of unmasked positions.

    Examples
    --------
    >>> import numpy as np
    >>> import multifractal as mf
    >>> ballistic = np.arange(100.0)
    >>> mf.tamsd(ballistic, waiting_times=[0, 40], lag_times=[1, 2, 3], window=50).values
    array([[1., 4., 9.],
           [1., 4., 9.]])
    """
    positions = positions.unfolded if isinstance(positions, Walk) else positions
    walks = _as_walks(positions)
    steps = walks.shape[1]
    waiting_times = _whole_numbers("waiting_times", waiting_times)
    lag_times = _lags_up_to(steps // 10) if lag_times is None else lag_times
    lag_times = _whole_numbers("lag_times", lag_times)
    if window is None:
        window = max(1, steps - int(waiting_times.max() + lag_times.max()))
    window = whole_number("window", window)
    reach = int(waiting_times.max()) + window + int(lag_times.max())
    if reach > steps:
        raise refuse(
            "waiting time + window + lag",
            f"{waiting_times.max()} + {window} + {lag_times.max()} = {reach}",
            f"be at most the {steps} positions of the walk",
            "shorten the window or the lags, or walk further",
        )
    lags, place = _distinct(lag_times)
    curves = _fourier_curves if _fourier_is_cheaper(waiting_times, lags, window) else _direct_curves
    curves = curves if mask_of(positions) is None else _curves_of_unmasked
    per_walk = curves(walks, waiting_times, lags, window)[:, :, place]
    _refuse_unfinite(per_walk, walks, waiting_times, lag_times, window)
    provenance = Provenance.of(
        "tamsd", positions=walks, waiting_times=waiting_times, lag_times=lag_times, window=window
    )
    return Displacement(
        per_walk=per_walk,
        waiting_times=waiting_times,
        lag_times=lag_times,
        window=window,
        provenance=provenance,
    )


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class DiffusionExponent(Result):
    """Exponent alpha of a displacement curve ~ tau^alpha, with its 95 % interval.

    Attributes
    ----------
    exponent, low, high : float
    prefactor : float
        The fitted curve is prefactor * tau^exponent.
    lag_range : ndarray, shape (2,)
        First and last lag of the fit.
    interval_of : str
        What the interval covers.
    provenance : Provenance
    """

    exponent: float
    low: float
    high: float
    prefactor: float
    lag_range: np.ndarray
    interval_of: str
    provenance: Provenance


def diffusion_exponent(
    lag_times: ArrayLike, tamsd: ArrayLike, *, lag_range: Pair
) -> DiffusionExponent:
    """Fit the exponent of tau^alpha by least squares in log-log coordinates, with a 95 % interval.

    Parameters
    ----------
    lag_times : array_like, shape (n_lags,)
        Lags in steps; a lag given twice counts once.
    tamsd : array_like, shape (n_lags,) or (n, n_lags)
        One curve, or one per walk (or per surface). The exponent is that of their mean.
    lag_range : (float, float)
        First and last lag of the fit, both included; three distinct lags at least.

    Returns
    -------
    DiffusionExponent
        From n >= 2 curves the interval is the jackknife's over walks (Student's t with n - 1 degrees of freedom). One curve
        does not tell its own error, because neighbouring lags share their noise (the regression's interval held the truth
        in 22 of 100 cases): the interval is NaN. The field `interval_of` says which.

    Raises
    ------
    ValueError
        When fewer than three distinct positive lags lie in `lag_range`, or a value there is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> import multifractal as mf
    >>> lags = np.arange(1, 11)
    >>> round(mf.diffusion_exponent(lags, 3.0 * lags**0.7, lag_range=(1, 10)).exponent, 12)
    0.7
    """
    lags, curves = _curves_in_range(lag_times, tamsd, lag_range)
    log_lags = np.log(lags)
    slope, intercept = _line(log_lags, np.log(curves.mean(axis=0)))
    n = len(curves)
    if n > 1:
        left_out = (curves.sum(axis=0) - curves) / (n - 1)
        slopes = _line(log_lags, np.log(left_out))[0]
        low, high = jackknife_interval(float(slope), slopes)
        interval_of = f"{n} walks (jackknife)"
    else:
        low = high = np.nan
        interval_of = "one curve (no interval: neighbouring lags share their noise)"
    provenance = Provenance.of(
        "diffusion_exponent", lag_times=lags, tamsd=curves, lag_range=lag_range
    )
    return DiffusionExponent(
        exponent=float(slope),
        low=float(low),
        high=float(high),
        prefactor=float(np.exp(intercept)),
        lag_range=np.array(lag_range, dtype=np.float64),
        interval_of=interval_of,
        provenance=provenance,
    )


def _as_walks(positions):
    if mask_of(positions) is not None:
        walks = finite_unless_masked("positions", positions)
    else:  # nothing but what a window holds is read of an array on disk
        walks = (
            positions if isinstance(positions, np.ndarray) else real_array("positions", positions)
        )
    require(
        walks.ndim in (1, 2, 3),
        "positions",
        walks.shape,
        "have shape (T,), (T, d) or (n, T, d)",
        "stack walks first",
    )
    require(
        walks.dtype.kind in "iuf",
        "positions",
        walks.dtype,
        "hold real numbers",
        "convert it to a float array first",
    )
    if walks.dtype not in (np.float32, np.float64):
        walks = walks.astype(np.float64)
    walks = walks.reshape(-1, 1) if walks.ndim == 1 else walks
    walks = walks[None] if walks.ndim == 2 else walks
    require(walks.size > 0, "positions", walks.shape, "not be empty", "pass at least one position")
    return walks


def _lags_up_to(longest: int) -> Array:
    return np.unique(np.geomspace(1, max(longest, 1), 20).round())


def _whole_numbers(argument: str, values: ArrayLike) -> Array:
    if type(values) is int and 0 <= values < 2**62:
        return np.array([values])
    array = np.atleast_1d(values if type(values) is np.ndarray else real_array(argument, values))
    good = array.ndim == 1 and array.size > 0 and array.dtype.kind in "iuf"
    if good and array.dtype.kind == "f":
        good = bool((array == np.floor(array)).all())
    good = good and bool(array.min() >= 0 and array.max() < 2**62)
    require(good, argument, array, "be one or more whole numbers, at least 0", "round them first")
    return array.astype(np.int64)


def _distinct(lags):
    """Return the distinct lags, ascending, and where among them each is."""
    if (lags[1:] > lags[:-1]).all():
        # no slice: how the index lays out a table decides how means over walks are rounded
        return lags, np.arange(len(lags))
    return np.unique(lags, return_inverse=True)


def _refuse_unfinite(per_walk, walks, waiting_times, lag_times, window):
    if not np.isfinite(per_walk).all():
        bad = np.argwhere(~np.isfinite(per_walk))
        walk, at, lag = (int(i) for i in bad[0])
        first, shift = int(waiting_times[at]), int(lag_times[lag])
        rows = np.flatnonzero(~np.isfinite(walks[walk, first : first + window + shift]).all(axis=1))
        step = first + int(rows[0]) if len(rows) else first
        raise refuse(
            "positions",
            walks[walk, step],
            f"be finite within the windows (walk {walk}, step {step})",
            "leave out walkers that were stopped, or end the windows before what is not there",
        )


# --- direct path: whole segments, no cancellation --------------------------------------------------------------------


def _direct_curves(walks, waiting_times, lags, window):
    """Sum each lag over the segments between the windows' ends; each window is a sum of whole segments."""
    times = waiting_times.tolist()
    ends = sorted({end for time in times for end in (time, time + window)})
    place = {end: k for k, end in enumerate(ends)}
    spans = [(place[time], place[time + window]) for time in times]
    covered, sums = np.zeros(len(ends) - 1, bool), np.zeros((len(walks), len(lags), len(ends) - 1))
    for a, b in spans:
        covered[a:b] = True
    pieces = [slice(k, k + _LAGS_PER_CHUNK) for k in range(0, len(lags), _LAGS_PER_CHUNK)]
    segments = walks.shape[2], np.array(ends), covered
    map_chunks(
        _add_segments,
        [
            (flat, *segments, lags[piece], sums[i, piece])
            for i, flat in enumerate(map(_flat, walks))
            for piece in pieces
        ],
    )
    values = np.empty((len(walks), len(spans), len(lags)))
    for k, (a, b) in enumerate(spans):
        values[:, k] = sums[:, :, a:b].sum(axis=2)
    return values / window


def _flat(walk):
    flat = np.ascontiguousarray(walk).reshape(-1)
    flat.setflags(write=False)  # one compiled version serves arrays that may and may not be written
    return flat


@kernel
def _add_segments(flat, dim, ends, covered, lags, sums):
    lanes = np.empty(_LANES)
    for segment in range(len(ends) - 1):
        if covered[segment]:
            for first in range(ends[segment] * dim, ends[segment + 1] * dim, _BLOCK):
                stop = min(first + _BLOCK, ends[segment + 1] * dim)
                for k in range(len(lags)):
                    sums[k, segment] += _squared_distance(flat, first, stop, lags[k] * dim, lanes)


@kernel
def _squared_distance(flat, first, stop, shift, lanes):
    """Sum (flat[k + shift] - flat[k])^2 over first <= k < stop, in float64."""
    width = len(lanes)
    whole = first + (stop - first) // width * width
    lanes[:] = 0.0
    for start in range(first, whole, width):
        here = flat[start : start + width]
        there = flat[start + shift : start + shift + width]
        for i in range(width):
            difference = np.float64(there[i]) - np.float64(here[i])
            lanes[i] += difference * difference
    total = 0.0
    for i in range(width):
        total += lanes[i]
    for k in range(whole, stop):
        difference = np.float64(flat[k + shift]) - np.float64(flat[k])
        total += difference * difference
    return total


# --- masked positions: pairs of which both are there -----------------------------------------------------------------


def _curves_of_unmasked(walks, waiting_times, lags, window):
    """Average each window over the pairs of which neither position is masked (NaN); NaN where there is none."""
    values = np.empty((len(walks), len(waiting_times), len(lags)))
    for i, walk in enumerate(walks):
        for k, lag in enumerate(lags):
            squares = np.square(walk[lag:].astype(np.float64) - walk[: len(walk) - lag]).sum(axis=1)
            for j, first in enumerate(waiting_times):
                pairs = squares[first : first + window]
                there = np.isfinite(pairs)
                values[i, j, k] = pairs[there].mean() if there.any() else np.nan
    return values


# --- Fourier path: all lags of a window at once ----------------------------------------------------------------------


def _fourier_is_cheaper(waiting_times, lags, window):
    times = sorted(waiting_times.tolist())
    covered = sum(min(later - earlier, window) for earlier, later in pairwise(times)) + window
    length = window + int(lags[-1])
    direct = _DIRECT_COST * covered * len(lags)
    return _FFT_COST * len(waiting_times) * length * math.log2(length + 2) < direct


def _fourier_curves(walks, waiting_times, lags, window):
    """Autocorrelate each window; values that are small against the window's variance are summed directly instead."""
    chunks = [(walk, waiting_times, lags, window) for walk in walks]
    results = map_chunks(_fourier_curve, chunks)
    for walk, (values, accurate) in zip(walks, results, strict=True):
        redo = ~accurate.all(axis=0)
        if redo.any():
            values[:, redo] = _direct_curves(walk[None], waiting_times, lags[redo], window)[0]
    return np.stack([values for values, _ in results])


def _fourier_curve(walk, waiting_times, lags, window):
    """Return the values (n_waiting, n_lags) of one walk and where they are accurate."""
    values = np.empty((len(waiting_times), len(lags)))
    variances = np.empty((len(waiting_times), 1))
    span = window + int(lags[-1])
    for k, waiting in enumerate(waiting_times):
        x = walk[waiting : waiting + span].T.astype(np.float64)
        x -= x.mean(axis=1, keepdims=True)
        squares = np.concatenate([[0.0], np.cumsum((x * x).sum(axis=0))])
        length = fft.next_fast_len(span, real=True)
        spectrum = _cross_spectrum(fft.rfft(x[:, :window], length), fft.rfft(x, length))
        products = fft.irfft(spectrum, length)[lags]
        values[k] = (
            squares[window] + squares[window + lags] - squares[lags] - 2 * products
        ) / window
        variances[k] = squares[span] / span
    return values, values >= _SMALLEST_SHARE * variances


@kernel
def _cross_spectrum(first, second):
    """Sum conj(first) second over the rows; numpy's complex product has other last bits on other processors."""
    out = np.zeros(first.shape[1], np.complex128)
    for row in range(first.shape[0]):
        for k in range(first.shape[1]):
            a, b = first[row, k], second[row, k]
            real = a.real * b.real + a.imag * b.imag
            out[k] += complex(real, a.real * b.imag - a.imag * b.real)
    return out


# --- exponents -------------------------------------------------------------------------------------------------------


def _curves_in_range(lag_times, tamsd, lag_range):
    lag_times = finite_array("lag_times", lag_times, ndim=1, dtype=np.float64)
    curves = real_array("tamsd", tamsd, dtype=np.float64)
    require(
        curves.ndim in (1, 2) and curves.shape[-1] == len(lag_times) and curves.size > 0,
        "tamsd",
        curves.shape,
        f"have shape ({len(lag_times)},) or (n, {len(lag_times)})",
        "pass one waiting time's curves, one row a walk",
    )
    rule, remedy = "be (first, last) with 0 <= first < last", "pass two lags in steps"
    require(
        ascending_pair("lag_range", lag_range, remedy, rule)[0] >= 0,
        "lag_range",
        lag_range,
        rule,
        remedy,
    )
    lags, place = np.unique(lag_times, return_index=True)
    inside = (lags >= lag_range[0]) & (lags <= lag_range[1]) & (lags > 0)
    require(
        inside.sum() >= 3,
        "lag_range",
        lag_range,
        "hold three distinct positive lags at least",
        f"widen it, or compute more lags between {lag_times.min():g} and {lag_times.max():g}",
    )
    kept = np.atleast_2d(curves)[:, place[inside]]
    moving = (kept > 0).sum(axis=0) >= min(2, len(kept))
    bad = ~(np.isfinite(kept) & (kept >= 0)).all(axis=0) | ~moving
    if bad.any():
        raise refuse(
            "tamsd",
            kept[:, bad][:, 0],
            f"be finite and positive (in two curves or more, where there are several) "
            f"at lag {lags[inside][bad][0]:g}",
            "pass more walks that move, without those that were stopped",
        )
    return lags[inside], kept


def _line(x, y):
    """Return slope and intercept of the least-squares line through (x, y); y may be (..., len(x))."""
    centred = x - x.mean()
    slope = y @ centred / (centred @ centred)
    return slope, y.mean(axis=-1) - slope * x.mean()
