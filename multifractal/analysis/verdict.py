"""Is it fractal, or noise? A judgement of an image at the scale of its pixels.

Three exponents are read from the mean squares of first differences V(r) and second differences W(r) at lag r (both axes):
first = log2(V(4)/V(2))/2, second_fine = log2(W(2)/W(1))/2 and second_coarse = log2(W(4)/W(2))/2. A rough surface of exponent
H has H for all three, white noise 0, a differentiable surface 1, 2 and 2. Second differences feel noise first and are blind
to slopes, first differences feel smooth structure first: together they tell which of the three makes up most of V(1).

The thresholds were chosen on 800 synthetic fields of 256 x 256, mixtures in random shares of an exact fractional Brownian
surface, a blurred one (with or without a bowl) and white noise of light or heavy tails. `benchmarks/calibrate_verdict.py`
draws them, lists the best thresholds, and prints the confusion table on 200 fresh fields. The verdict names the kind that
makes up most of V(1) in 89 % of the former and 84.5 % of the fresh ones; where that kind makes up more than two thirds, in
94 % and 92 %.
No measured loss section had a part in it.
"""

from dataclasses import dataclass

import numpy as np

from multifractal.base.kernels import kernel

# Noise: second_fine and first at most these two, unless they are as steady as those of a rough surface of low exponent:
NOISE_SECOND_FINE = 0.175
SMOOTH_FIRST = 0.85
STEADY_RISE = 0.04  # first is less than this above second_fine ...
STEADY_SECOND_FINE = 0.03  # ... and second_fine is above this.
# Smooth: second_coarse above the first of these; or, as noise lowers it, below the second with first above SMOOTH_FIRST.
SMOOTH_SECOND_COARSE = 0.925
NOISY_SECOND_COARSE = 0.85

# exponents of a rough range stay this close to their mean, beyond twice their sampling error
_STEADY = 0.1
# what counts as a rough range
_ROUGH_EXPONENTS = {"rough": (0.0, 1.0), "smooth": (0.0, 0.85), "noise": (0.15, 1.0)}
# sampling error of one such exponent, times lag / sqrt(pixels) (see roughness.local_hoelder)
_UNIT_ERROR = 1.2
# long lags: differences are taken at every (lag / 4)-th pixel, since nearer ones repeat each other
_OVERSAMPLING = 4


@dataclass(frozen=True, eq=False, kw_only=True)
class Verdict:
    """What an image is at the scale of its pixels.

    Attributes
    ----------
    kind : {"rough", "smooth", "noise"}
    words : str
        The same in words, with the range of lags over which the image is rough.
    rough_range : tuple
        First and last lag in pixels of the longest range with a steady exponent, or empty.
    rough_exponent : float
        The mean exponent there, or NaN.
    pixel_noise_ratio : float
        V(2)/V(1): 1 is white noise, 2^(2H) a rough surface, 4 a surface that is differentiable at the scale of a pixel.
    lags, exponents : ndarray
        log2(W(2r)/W(r))/2 at the lags r = 1, 2, 4, ...
    """

    kind: str
    words: str
    rough_range: tuple
    rough_exponent: float
    pixel_noise_ratio: float
    lags: np.ndarray
    exponents: np.ndarray


def verdict_of(values):
    """Return the Verdict on an image (finite float array, at least 12 pixels a side, not constant)."""
    lags = 2 ** np.arange(max(int(np.log2(min(values.shape) / 8)), 2) + 1)
    V, W = np.array([_mean_squares(values, lag, max(lag // _OVERSAMPLING, 1)) for lag in lags]).T
    # a patch of exact zeros gives NaN exponents, hence "smooth"
    with np.errstate(divide="ignore", invalid="ignore"):
        first, exponents = np.log2(V[2] / V[1]) / 2, np.log2(W[1:] / W[:-1]) / 2
        ratio = V[1] / V[0]
    kind = _kind(first, exponents[0], exponents[1])
    rough_range, exponent = _rough_range(lags, exponents, values.size, _ROUGH_EXPONENTS[kind])
    return Verdict(
        kind=kind,
        words=_in_words(kind, rough_range, exponent),
        rough_range=rough_range,
        rough_exponent=exponent,
        pixel_noise_ratio=float(ratio),
        lags=lags[:-1],
        exponents=exponents,
    )


def _kind(first, second_fine, second_coarse):
    if not np.isfinite([first, second_fine, second_coarse]).all():
        return "smooth"
    steady = second_fine > STEADY_SECOND_FINE and first - second_fine < STEADY_RISE
    if second_fine <= NOISE_SECOND_FINE and first <= SMOOTH_FIRST and not steady:
        return "noise"
    noisy_smooth = first > SMOOTH_FIRST and second_coarse < NOISY_SECOND_COARSE
    return "smooth" if second_coarse > SMOOTH_SECOND_COARSE or noisy_smooth else "rough"


def _rough_range(lags, exponents, n_pixels, between):
    """Return ((first lag, last lag), mean exponent) of the longest steady run of two octaves or more, or ((), NaN)."""
    errors = _UNIT_ERROR * lags[:-1] / np.sqrt(n_pixels)
    runs = [(i, k) for i in range(len(exponents)) for k in range(i + 2, len(exponents) + 1)]
    for i, k in sorted(runs, key=lambda run: (run[0] - run[1], run[0])):
        mean = np.average(exponents[i:k], weights=errors[i:k] ** -2.0)
        steady = (np.abs(exponents[i:k] - mean) <= _STEADY + 2 * errors[i:k]).all()
        if steady and between[0] < mean < between[1]:
            return (int(lags[i]), int(lags[k])), float(mean)
    return (), float("nan")


def _in_words(kind, rough_range, exponent):
    opening = {
        "rough": "rough",
        "smooth": "smooth at pixel scale",
        "noise": "dominated by pixel noise",
    }[kind]
    if not rough_range:
        return opening + (
            ", no range of steady exponent" if kind == "rough" else ", no rough range"
        )
    told = f"from {rough_range[0]} to {rough_range[1]} pixels (exponent {exponent:.2f})"
    return f"rough {told}" if kind == "rough" else f"{opening}; rough {told}"


def _mean_squares(values, lag, stride):
    """Return the mean squares of first and second differences at a lag, over both axes, from every `stride`-th pixel."""
    along_x = _row_squares(values, lag, stride)
    along_y = _column_squares(values, lag, stride)
    return (along_x[0] + along_y[0]) / 2, (along_x[1] + along_y[1]) / 2


@kernel
def _row_squares(values, lag, stride):
    """Return the mean squared first and second differences along every `stride`-th row, from every `stride`-th pixel."""
    n_rows, n_cols = values.shape
    first, second = 0.0, 0.0
    for i in range(0, n_rows, stride):
        of_row = 0.0
        for k in range(0, n_cols - lag, stride):
            step = values[i, k + lag] - values[i, k]
            of_row += step * step
        first += of_row
        of_row = 0.0
        for k in range(0, n_cols - 2 * lag, stride):
            bend = values[i, k + 2 * lag] - values[i, k + lag] - (values[i, k + lag] - values[i, k])
            of_row += bend * bend
        second += of_row
    n_used = len(range(0, n_rows, stride))
    return (
        first / (n_used * len(range(0, n_cols - lag, stride))),
        second / (n_used * len(range(0, n_cols - 2 * lag, stride))),
    )


@kernel
def _column_squares(values, lag, stride):
    """Return the mean squared first and second differences along every `stride`-th column, from every `stride`-th pixel."""
    n_rows, n_cols = values.shape
    first, second = 0.0, 0.0
    for i in range(0, n_rows - lag, stride):
        of_row = 0.0
        for k in range(0, n_cols, stride):
            step = values[i + lag, k] - values[i, k]
            of_row += step * step
        first += of_row
    for i in range(0, n_rows - 2 * lag, stride):
        of_row = 0.0
        for k in range(0, n_cols, stride):
            bend = values[i + 2 * lag, k] - values[i + lag, k] - (values[i + lag, k] - values[i, k])
            of_row += bend * bend
        second += of_row
    n_used = len(range(0, n_cols, stride))
    return (
        first / (n_used * len(range(0, n_rows - lag, stride))),
        second / (n_used * len(range(0, n_rows - 2 * lag, stride))),
    )
