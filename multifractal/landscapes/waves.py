"""The waves that a `FractalField` is a sum of, and the kernels that add them up: value and gradient, and the Hessian's product.

Symbols: theta = k . x, phi a phase, a an amplitude. Where the exponent H varies, s = d ln a / dH and r = ds / dH.
"""

import math
from collections import namedtuple

import numpy as np

from multifractal.base.elementary import exp_of
from multifractal.base.kernels import kernel
from multifractal.base.products import add_product, add_scalar_products

# points (and vectors) and modes of a tile, which stays in cache; lanes of the sums over modes
_TILE_ROWS, _TILE_MODES, _LANES = 64, 512, 16


def _power_of_pi(n):
    return math.prod([math.pi] * n)  # not by the library, whose bits depend on the processor


# Taylor coefficients of sin(pi t) / t and cos(pi t): the rest is below rounding for |t| <= 1/2. Written out, the loop over
# modes compiles to vector instructions; calls of the library's sine and cosine would not.
_SIN = tuple((-1) ** i * _power_of_pi(2 * i + 1) / math.factorial(2 * i + 1) for i in range(12))
_COS = tuple((-1) ** i * _power_of_pi(2 * i) / math.factorial(2 * i) for i in range(13))


# a piece of the modes, as the kernels take it: vectors (d, modes), turns of a unit along them, cosines and sines of the
# phases (2, modes), amplitudes (modes,) or none, and ln |k|
Waves = namedtuple("Waves", "vectors scales phases amplitudes log_k")


@kernel
def add_squares(vectors, out):
    """Add the squares of each column, in the order of the rows."""
    for row in range(vectors.shape[0]):
        for m in range(vectors.shape[1]):
            out[m] += vectors[row, m] * vectors[row, m]


@kernel
def add_waves(waves, points, of_point, sums, gradients):
    """Add to each point's sums a (cos(theta + phi) - cos phi), and that times ln k where `of_point` is given; and the gradient.

    As -2 a sin(theta/2) sin(theta/2 + phi), which is exact where theta is small (long waves, H near 1).
    """
    n_modes = waves.vectors.shape[1]
    turns = np.empty((min(_TILE_ROWS, len(points)), min(_TILE_MODES, n_modes)))
    terms, partial = np.empty(_TILE_MODES), np.empty((2, _LANES))
    for low in range(0, len(points), _TILE_ROWS):
        x = points[low : low + _TILE_ROWS]
        for first in range(0, n_modes, _TILE_MODES):
            stop = min(first + _TILE_MODES, n_modes)
            turns[: len(x)] = 0.0
            add_product(x, waves.vectors, first, stop, turns[: len(x)])
            for i in range(len(x)):
                amplitudes = _amplitudes(waves, first, stop, of_point, low + i, terms)
                _reduce(waves, first, stop, amplitudes, turns[i], terms)
                weigh = len(of_point) > 0
                _add_terms(terms, waves.log_k[first:stop], weigh, partial, sums[low + i])
            if len(gradients):
                out = gradients[low : low + _TILE_ROWS]
                add_scalar_products(turns, waves.vectors, first, stop, out)


@kernel
def add_curvature(waves, points, of_point, along, tilts, gradients, products, sums):
    """Add the Hessian at each point times its rows of `along` to `products`: sum of -a cos(theta + phi) k (k . v).

    Points are (n, d), their vectors (n, k, d). Where the exponent varies (`of_point` has rows), with its gradient times each
    vector in `tilts`, this adds -a s sin(theta + phi) k times the tilt as well, and to `sums` what the exponent's derivatives
    are multiplied by. Where it does not, the gradient is added to `gradients`, if that has rows: it takes the same phases.
    """
    n_modes, count = waves.vectors.shape[1], along.shape[1]
    size = max(1, min(_TILE_ROWS // (count + 1), len(points)))
    rows = np.empty((size * (count + 1), along.shape[2]))
    turns, scratch = np.empty((len(rows), min(_TILE_MODES, n_modes))), np.empty(_TILE_MODES)
    for low in range(0, len(points), size):
        n = min(size, len(points) - low)
        used = n * (count + 1)  # first the points, then their vectors
        begin = 0 if len(gradients) else n
        _gather(points, along, low, n, rows)
        out = np.empty((used, along.shape[2]))
        _gather(gradients, products, low, n, out)
        for first in range(0, n_modes, _TILE_MODES):
            stop = min(first + _TILE_MODES, n_modes)
            turns[:used] = 0.0
            add_product(rows[:used], waves.vectors, first, stop, turns)
            for i in range(n):
                speeds = turns[n + i * count : n + (i + 1) * count]
                a = _amplitudes(waves, first, stop, of_point, low + i, scratch)
                _bend(waves, first, stop, a, of_point, tilts, low + i, turns[i], speeds, sums)
            add_scalar_products(turns[begin:], waves.vectors, first, stop, out[begin:])
        _scatter(out, low, n, gradients, products)


@kernel
def _gather(points, along, low, n, rows):
    """Write n points from `low` on, if there are any, and after them their vectors to `rows` (kernel)."""
    count = along.shape[1]
    for i in range(n):
        if len(points):
            _copy(points[low + i], rows[i])
        for j in range(count):
            _copy(along[low + i, j], rows[n + i * count + j])


@kernel
def _scatter(rows, low, n, points, along):
    """Write what `_gather` has gathered back (kernel)."""
    count = along.shape[1]
    for i in range(n):
        if len(points):
            _copy(rows[i], points[low + i])
        for j in range(count):
            _copy(rows[n + i * count + j], along[low + i, j])


@kernel
def _copy(source, target):
    """Copy a vector entry by entry (kernel)."""
    for k in range(len(target)):
        target[k] = source[k]


@kernel
def _bend(waves, first, stop, amplitudes, of_point, tilts, i, turns, speeds, sums):
    """Write the factors of some modes' vectors in the Hessian's products over `speeds`, in the gradient over `turns` (kernel)."""
    if len(of_point) == 0:
        _curve(waves, first, stop, turns, speeds)
        return
    for j in range(len(speeds)):
        where = of_point[i], tilts[i, j]
        _curve_and_tilt(waves, first, stop, amplitudes, where, turns, speeds[j], sums[i, j])


@kernel
def _curve(waves, first, stop, turns, speeds):
    """Do so where the exponent does not vary (kernel)."""
    scales, amplitudes = waves.scales[first:stop], waves.amplitudes[first:stop]
    cosines, sines = waves.phases[0, first:stop], waves.phases[1, first:stop]
    factors = np.empty(stop - first)
    for m in range(stop - first):
        sine, cosine = _half_angle(turns[m] * scales[m])
        shifted_sine = sine * cosines[m] + cosine * sines[m]
        shifted_cosine = cosine * cosines[m] - sine * sines[m]
        whole = shifted_cosine * cosine - shifted_sine * sine
        rate = math.tau * scales[m]
        factors[m] = -amplitudes[m] * whole * (rate * rate)
        turns[m] = -amplitudes[m] * (shifted_sine * cosine + shifted_cosine * sine) * rate
    for j in range(len(speeds)):
        for m in range(stop - first):
            speeds[j, m] *= factors[m]


@kernel
def _curve_and_tilt(waves, first, stop, amplitudes, where, turns, speeds, sums):
    """Do so for one vector where the exponent varies; add a s d(wave)/dv, a (s^2 + r) wave and a s wave to `sums` (kernel)."""
    (_, _, half_slope, half_bend), tilt = where
    scales, log_k = waves.scales[first:stop], waves.log_k[first:stop]
    cosines, sines = waves.phases[0, first:stop], waves.phases[1, first:stop]
    for m in range(stop - first):
        sine, cosine = _half_angle(turns[m] * scales[m])
        shifted_sine = sine * cosines[m] + cosine * sines[m]
        shifted_cosine = cosine * cosines[m] - sine * sines[m]
        whole_sine = shifted_sine * cosine + shifted_cosine * sine
        whole_cosine = shifted_cosine * cosine - shifted_sine * sine
        a, wave, rate = amplitudes[m], -2.0 * sine * shifted_sine, math.tau * scales[m]
        s, pace = half_slope - log_k[m], rate * speeds[m]
        speeds[m] = -a * rate * (whole_cosine * pace + s * whole_sine * tilt)
        sums[0] -= a * s * whole_sine * pace
        sums[1] += a * (s * s + half_bend) * wave
        sums[2] += a * s * wave


@kernel
def _amplitudes(waves, first, stop, of_point, i, out):
    """Return the amplitudes of some modes at point i: the same everywhere, or factor k^-H of the point (kernel)."""
    if len(of_point) == 0:
        return waves.amplitudes[first:stop]
    log_k = waves.log_k[first:stop]
    for m in range(len(log_k)):
        out[m] = of_point[i, 1] * exp_of(-of_point[i, 0] * log_k[m])
    return out[: len(log_k)]


@kernel
def _reduce(waves, first, stop, amplitudes, turns, terms):
    """Write the modes' shares of the value to `terms`, and the factors of their vectors in the gradient over `turns`."""
    scales = waves.scales[first:stop]
    cosines, sines = waves.phases[0, first:stop], waves.phases[1, first:stop]
    for m in range(stop - first):
        sine, cosine = _half_angle(turns[m] * scales[m])
        shifted_sine = sine * cosines[m] + cosine * sines[m]
        shifted_cosine = cosine * cosines[m] - sine * sines[m]
        a = amplitudes[m]
        terms[m] = -2.0 * a * sine * shifted_sine
        turns[m] = -a * (shifted_sine * cosine + shifted_cosine * sine) * (math.tau * scales[m])


@kernel(inline="always")
def _half_angle(turns):
    """Return sine and cosine of pi turns, but for a sign that both share."""
    r = turns - np.rint(turns)
    s = r * r
    sine, cosine = _SIN[11], _COS[12]
    for i in range(10, -1, -1):
        sine = _SIN[i] + s * sine
    for i in range(11, -1, -1):
        cosine = _COS[i] + s * cosine
    return r * sine, cosine


@kernel
def _add_terms(terms, log_k, weigh, partial, sums):
    """Add the terms, and their sum weighted by `log_k`, to `sums`: in lanes, then the lanes in order (kernel)."""
    partial[:] = 0.0
    whole = len(log_k) - len(log_k) % _LANES
    for m in range(0, whole, _LANES):
        for lane in range(_LANES):
            partial[0, lane] += terms[m + lane]
    for m in range(whole, len(log_k)):
        partial[0, m - whole] += terms[m]
    if weigh:
        for m in range(len(log_k)):
            partial[1, m % _LANES] += terms[m] * log_k[m]
    for lane in range(_LANES):
        sums[0] += partial[0, lane]
        sums[1] += partial[1, lane]
