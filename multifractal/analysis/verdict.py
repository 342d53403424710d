"""Is it fractal, or noise? A judgement of an image at the scale of its pixels.

The best parabola, planes included, is taken off first: it would otherwise make up most of any difference of a tilted or bent
surface. Then three exponents are read from the mean squares of first differences V(r) and second differences W(r) at lag r (both
axes): first = log2(V(4)/V(2))/2, second_fine = log2(W(2)/W(1))/2 and second_coarse = log2(W(4)/W(2))/2. A rough surface of
exponent H has H for all three, white noise 0, a differentiable surface 1, 2 and 2. Second differences feel noise first, first
differences feel smooth structure first: together they tell which of the three makes up most of V(1).

Two more cases are distinguished. A surface that jumps along curves has the exponent 1/2 for all three, as a rough one of H = 1/2 does, but
so few of its differences are large that their fourth moment grows as r too, and not as r^2. And where second differences shrink
with the lag, as those of a checkerboard do, soon grow no more, as those of smoothed noise do, or are rounding, no kind fits: that
cannot be told.

Smooth structure that a parabola does not fit, a wave or a deep bowl, may make up most of V(1) and next to nothing of second
differences. Where these grow with one and the same exponent from 1 to 4 pixels they tell that the image is rough.

The thresholds were chosen on 800 synthetic fields of 256 x 256, mixtures in random shares of an exact fractional Brownian
surface, a blurred one (with or without a bowl) and white noise of light or heavy tails. `benchmarks/calibrate_verdict.py`
draws them, lists the best thresholds, and prints the confusion table on 200 fresh fields. The verdict names the kind that
makes up most of V(1), parabolas taken off, in 88.1 % of the former and 85.5 % of the fresh ones; where that kind makes up more
than two thirds, in 93.6 % and 93.0 %. (The best of all candidates would name it in 89.0 % of the former.)
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

# No kind: second differences shrink from 1 to 2 pixels with an exponent below this, beyond four times the sampling error.
ALTERNATING = -0.25
# No kind either: they grow from 2 to 4 or from 4 to 8 pixels as little as noise does, with an exponent so much lower than from 1 to 2,
# beyond four times the sampling error.
FADING = 0.15
# Jumps: the second and the fourth moment of second differences grow from 1 to 4 pixels with exponents this near 1 (2H and 4H on
# a rough surface), and their kurtosis is at least this (3 on a Gaussian surface).
JUMP_MOMENT = 0.35
JUMP_KURTOSIS = 12.0

# exponents of a rough range stay this close to their mean (and two neighbours to each other), beyond twice their sampling error
_STEADY = 0.1
# what counts as a rough range
_ROUGH_EXPONENTS = {"rough": (STEADY_SECOND_FINE, 1.0), "smooth": (0.0, 0.85), "noise": (0.15, 1.0)}
_OPENINGS = {
    "rough": "rough",
    "smooth": "smooth at pixel scale",
    "noise": "dominated by pixel noise",
    "jumps": "jumps along curves",
    "cannot tell": "cannot tell",
}
# sampling error of one such exponent, times lag / sqrt(pixels) (see roughness.local_hoelder)
UNIT_ERROR = 1.2
# long lags: differences are taken at every (lag / 4)-th pixel, since nearer ones repeat each other
_OVERSAMPLING = 4
# pixels along each side, at least, that the parabola is fitted to
_FITTED = 64
# what is left of a polynomial, and second differences of rounding, are below so many epsilon of the largest value
_ROUNDING, _ROUNDING_OF_DIFFERENCES = 64, 4


@dataclass(frozen=True, eq=False, kw_only=True)
class Verdict:
    """What an image is at the scale of its pixels.

    Attributes
    ----------
    kind : {"rough", "smooth", "noise", "jumps", "cannot tell"}
    words : str
        The same in words, with the range of lags over which the image is rough.
    rough_range : tuple
        First and last lag in pixels of the longest range with a steady exponent, or empty.
    rough_exponent : float
        The mean exponent there, or NaN.
    pixel_noise_ratio : float
        Mean square of first differences at lag 2 over that at lag 1, of the image as it is: 1 is white noise, 2^(2H) a rough
        surface, 4 a surface that is differentiable at the scale of a pixel.
    lags, exponents : ndarray
        log2(W(2r)/W(r))/2 at the lags r = 1, 2, 4, ...
    anisotropy : float
        Such an exponent along the rows less that along the columns, at the lags 1, 2 and 4 (mean, weighted by their errors).
    """

    kind: str
    words: str
    rough_range: tuple
    rough_exponent: float
    pixel_noise_ratio: float
    lags: np.ndarray
    exponents: np.ndarray
    anisotropy: float


def verdict_of(values):
    """Return the Verdict on an image (float array, at least 12 pixels a side, not constant; NaN where a pixel is masked)."""
    lags = 2 ** np.arange(max(int(np.log2(min(values.shape) / 8)), 2) + 1)
    rest, size = without_parabola(values)
    V, W, W4 = np.array(
        [difference_moments(rest, lag, max(lag // _OVERSAMPLING, 1)) for lag in lags]
    ).transpose(1, 2, 0)
    epsilon = np.finfo(values.dtype).eps * size
    # rows of zeros give NaN and infinite exponents, hence "cannot tell"
    with np.errstate(divide="ignore", invalid="ignore"):
        first, exponents, by_axis = (
            np.log2(squares[..., 1:] / squares[..., :-1]) / 2
            for squares in (V.mean(axis=0), W.mean(axis=0), W)
        )
        anisotropy = by_axis[0, :3] - by_axis[1, :3]
        if np.nanmax(np.abs(rest)) < _ROUNDING * epsilon:
            kind, exponents = "smooth", exponents * np.nan
        elif W.mean(axis=0)[0] < (_ROUNDING_OF_DIFFERENCES * epsilon) ** 2:
            kind = "cannot tell"
        else:
            kind = kind_of(
                first[1], *exponents[:2], _jumps(W.mean(axis=0), W4.mean(axis=0)), rest.size
            )
            if kind == "rough" and _fades(exponents[:3], rest.size):
                kind = "cannot tell"
    rough_range, exponent = _rough_range(lags, exponents, rest.size, kind)
    return Verdict(
        kind=kind,
        words=_in_words(kind, rough_range, exponent),
        rough_range=rough_range,
        rough_exponent=exponent,
        pixel_noise_ratio=_pixel_noise_ratio(values),
        lags=lags[:-1],
        exponents=exponents,
        anisotropy=float(np.average(anisotropy, weights=lags[: len(anisotropy)] ** -2.0)),
    )


def without_parabola(values):
    """Return (rest, size): a float64 image less the parabola that fits it best, and its largest |value|, in one unit.

    The unit is such that the largest |value| lies in [0.5, 1), so that no square overflows. The fit is to some of the pixels;
    of the sum of an image and a parabola it is the image's own plus that parabola.
    """
    exponent = int(np.frexp(np.nanmax(np.abs(values)))[1])
    rest = np.ldexp(values.astype(np.float64), -exponent)
    size = float(np.nanmax(np.abs(rest)))
    y, x = (np.linspace(-1, 1, n) for n in rest.shape)
    some = tuple(slice(None, None, max(n // _FITTED, 1)) for n in rest.shape)
    Y, X = np.meshgrid(y[some[0]], x[some[1]], indexing="ij")
    terms, target = np.stack([X**0, X, X**2, Y, Y**2, X * Y], axis=-1), rest[some]
    there = np.isfinite(target)
    c = np.linalg.lstsq(terms[there], target[there], rcond=None)[0]
    rest -= c[0] + c[1] * x + c[2] * x**2
    rest -= (c[3] * y + c[4] * y**2)[:, None] + (c[5] * y)[:, None] * x
    return rest, size


def difference_moments(values, lag, stride=1):
    """Return the means of first differences squared, second ones squared and to the fourth, shape (3, 2): along x, along y.

    Differences at a lag are taken from every `stride`-th pixel; those that touch NaN are left out.
    """
    along = _moments if np.isfinite(values.sum()) else _moments_of_unmasked
    return np.array([along(values, 0, lag, stride), along(values, lag, 0, stride)]).T


def kind_of(first, second_fine, second_coarse, jumps, n_pixels):
    """Return the kind that the three exponents tell, where `jumps` says whether the moments are those of jumps."""
    if not np.isfinite([first, second_fine, second_coarse]).all():
        return "cannot tell"
    error = UNIT_ERROR / np.sqrt(n_pixels)  # of second_fine; twice that of second_coarse
    if second_fine < ALTERNATING - 4 * error:
        return "cannot tell"
    steady = second_fine > STEADY_SECOND_FINE and first - second_fine < STEADY_RISE
    if second_fine <= NOISE_SECOND_FINE and first <= SMOOTH_FIRST and not steady:
        return "noise"
    if jumps:
        return "jumps"
    apart = abs(second_coarse - second_fine)
    one_law = second_fine > NOISE_SECOND_FINE and apart <= _STEADY + 2 * np.sqrt(5) * error
    noisy_smooth = first > SMOOTH_FIRST and second_coarse < NOISY_SECOND_COARSE and not one_law
    return "smooth" if second_coarse > SMOOTH_SECOND_COARSE or noisy_smooth else "rough"


def _jumps(W, W4):
    """Return whether second and fourth moments of second differences are those of a few jumps, whose share grows as lag."""
    exponents = np.log2([W[2] / W[0], W4[2] / W4[0]]) / 2
    return bool((np.abs(exponents - 1) < JUMP_MOMENT).all() and W4[0] > JUMP_KURTOSIS * W[0] ** 2)


def _fades(exponents, n_pixels):
    """Return whether second differences soon grow no more: what varies within some pixels and is unrelated beyond."""
    errors = UNIT_ERROR * 2 ** np.arange(len(exponents)) / np.sqrt(n_pixels)
    falls = exponents[0] - exponents[1:] > FADING + 4 * np.hypot(errors[0], errors[1:])
    return bool((falls & (exponents[1:] <= NOISE_SECOND_FINE)).any())


def _rough_range(lags, exponents, n_pixels, kind):
    """Return ((first lag, last lag), mean exponent) of the longest steady run of two octaves or more, or ((), NaN)."""
    low, high = _ROUGH_EXPONENTS.get(kind, (0.0, 0.0))
    errors = UNIT_ERROR * lags[:-1] / np.sqrt(n_pixels)
    runs = [(i, k) for i in range(len(exponents)) for k in range(i + 2, len(exponents) + 1)]
    runs = [(i, k) for i, k in runs if np.isfinite(exponents[i:k]).all()]
    for i, k in sorted(runs, key=lambda run: (run[0] - run[1], run[0])):
        mean = np.average(exponents[i:k], weights=errors[i:k] ** -2.0)
        steady = (np.abs(exponents[i:k] - mean) <= _STEADY + 2 * errors[i:k]).all()
        if steady and low < mean < high:
            return (int(lags[i]), int(lags[k])), float(mean)
    return (), float("nan")


def _in_words(kind, rough_range, exponent):
    opening = _OPENINGS[kind]
    if kind not in _ROUGH_EXPONENTS:
        return opening
    if not rough_range:
        return opening + (
            ", no range of steady exponent" if kind == "rough" else ", no rough range"
        )
    told = f"from {rough_range[0]} to {rough_range[1]} pixels (exponent {exponent:.2f})"
    return f"rough {told}" if kind == "rough" else f"{opening}; rough {told}"


def _pixel_noise_ratio(values):
    scaled = np.ldexp(values, -int(np.frexp(np.nanmax(np.abs(values)))[1]))
    one, two = (difference_moments(scaled, lag)[0].mean() for lag in (1, 2))
    return float(two / one) if one > 0 else float("nan")


def _moments_of_unmasked(values, down, right, stride):
    n_rows, n_cols = values.shape
    ends = [
        values[
            k * down : n_rows - (n - k) * down : stride,
            k * right : n_cols - (n - k) * right : stride,
        ]
        for n in (1, 2)
        for k in range(n + 1)
    ]
    step, bend = np.square(ends[1] - ends[0]), np.square(ends[4] - ends[3] - (ends[3] - ends[2]))
    return np.nanmean(step), np.nanmean(bend), np.nanmean(bend**2)


@kernel
def _moments(values, down, right, stride):
    """Return the means of first differences squared, second ones squared, and those to the fourth."""
    n_rows, n_cols = values.shape
    first, second, fourth = 0.0, 0.0, 0.0
    for i in range(0, n_rows - down, stride):
        of_row = 0.0
        for k in range(0, n_cols - right, stride):
            step = values[i + down, k + right] - values[i, k]
            of_row += step * step
        first += of_row
    for i in range(0, n_rows - 2 * down, stride):
        of_row, fourth_of_row = 0.0, 0.0
        for k in range(0, n_cols - 2 * right, stride):
            middle = values[i + down, k + right]
            bend = values[i + 2 * down, k + 2 * right] - middle - (middle - values[i, k])
            square = bend * bend
            of_row += square
            fourth_of_row += square * square
        second += of_row
        fourth += fourth_of_row
    n_first = len(range(0, n_rows - down, stride)) * len(range(0, n_cols - right, stride))
    n_second = len(range(0, n_rows - 2 * down, stride)) * len(range(0, n_cols - 2 * right, stride))
    return first / n_first, second / n_second, fourth / n_second
