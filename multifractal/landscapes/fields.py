"""Fractal fields in any number of dimensions, evaluated on demand, with their analytic gradient: no grid.

f(x) = sum over m of a_m [cos(k_m . x + phi_m) - cos phi_m], with directions of k_m uniform on the sphere, |k_m| stratified
log-uniform in [kmin, kmax] sqrt(d), a_m^2 = ln(kmax / kmin) / (M C) |k_m|^(-2H) and
C(H) = Gamma(1 - H) Gamma(d/2) / (2^(2H+1) H Gamma(d/2 + H)), so that E|f(x) - f(y)|^2 = |x - y|^(2H) up to the truncation.

Symbols: d dimension, H Hurst exponent (it may vary with x), M number of modes, a_m amplitudes, k_m wave vectors, phi_m
phases. A wave vector is kept as a normal vector and its scale, in turns (2 pi radians): whole turns then drop out exactly.
"""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np

from multifractal.base import elementary
from multifractal.base.checks import (
    ascending_pair,
    finite_number,
    positive_number,
    real_array,
    refuse,
    require,
    whole_number,
)
from multifractal.base.chunks import map_chunks
from multifractal.base.elementary import exp_of
from multifractal.base.kernels import kernel
from multifractal.base.products import add_product, add_scalar_products
from multifractal.base.result import Provenance
from multifractal.base.rng import as_seed_sequence, realisation
from multifractal.base.types import Array, ArrayLike, Pair, Rng

_PIECE = 2**20  # numbers of directions drawn from one seed; the bits depend on it
_PIECES_AT_ONCE = 8  # drawn by threads and held, where directions are not kept
_POINTS_PER_CHUNK = 64
# of the shortest wave, for a directional derivative with a relative error of some 1e-8
_SHIFT_IN_RADIANS = 1e-4
_LARGEST_TURN = 2**40  # beyond it the phase of a mode keeps less than 12 of its 52 bits
_LARGEST_HURST = 0.99  # beyond it the longest wave exceeds the range of a double
# points and modes of a tile, which stays in cache; lanes of the sums over modes
_TILE_POINTS, _TILE_MODES, _LANES = 16, 512, 16


def _power_of_pi(n):
    return math.prod([math.pi] * n)  # not by the library, whose bits depend on the processor


# Taylor coefficients of sin(pi t) / t and cos(pi t): the rest is below rounding for |t| <= 1/2. Written out, the loop over
# modes compiles to vector instructions; calls of the library's sine and cosine would not.
_SIN = tuple((-1) ** i * _power_of_pi(2 * i + 1) / math.factorial(2 * i + 1) for i in range(12))
_COS = tuple((-1) ** i * _power_of_pi(2 * i) / math.factorial(2 * i) for i in range(13))


# a piece of the modes, as the kernels take it: vectors (d, modes), turns of a unit along them, cosines and sines of the
# phases (2, modes), amplitudes (modes,) or none, and ln |k|
Waves = namedtuple("Waves", "vectors scales phases amplitudes log_k")


class FractalField:
    """A random field on R^d with E|f(x) - f(y)|^2 = |x - y|^(2H), or with an exponent that varies from place to place.

    Parameters
    ----------
    dimension : int
        Number of coordinates d.
    hurst : float or callable
        Hurst exponent in (0, 0.99], or a function that takes points (n, d) and returns their exponents (n,) and the gradients
        of the exponent (n, d).
    rng : int, SeedSequence or Generator
    hurst_range : (float, float), optional
        Lowest and highest exponent; required when `hurst` is a function, whose values must stay inside.
    n_modes : int
        Number of waves M; our choice 4096. The variogram of one field scatters around the law, the less the more waves.
    scales : (float, float)
        Range of distances over which the law is to hold; our choice 0.01 to 1. Keep |x| to about the larger.
    tol : float
        Largest share of the variogram that the missing long and short waves may take over these scales; our choice 0.05.
    wavenumbers : (float, float), optional
        kmin and kmax per sqrt(d), in place of those that `scales` and `tol` ask for: the same waves for every exponent.
    memory : int
        Bytes that may be kept for directions (8 M d in all); our choice 2^28. Beyond it they are drawn again, block by
        block, at each evaluation: the same numbers, memory that does not grow with M d, and more time (see `benchmarks`).

    Attributes
    ----------
    dimension, n_modes : int
    reach : float
    wavenumbers : (float, float)
        kmin and kmax, per sqrt(d).
    provenance : Provenance

    Raises
    ------
    ValueError
        When an exponent leaves (0, 0.99], a number is not positive, or `tol` needs waves too short for exact phases.

    Notes
    -----
    Far outside `scales` the local variogram of a field of varying exponent is not r^(2H). The bits of a result depend neither
    on the processor, nor on the number of threads, nor on the other points of the batch.

    Examples
    --------
    >>> import numpy as np
    >>> from multifractal import FractalField
    >>> field = FractalField(10, 0.5, rng=1, n_modes=256, scales=(0.1, 1.0), tol=0.2)
    >>> float(field.value(np.zeros(10))), field.gradient(np.zeros(10)).shape
    (0.0, (10,))
    """

    def __init__(
        self,
        dimension: int,
        hurst: float | Callable[[Array], Any],
        *,
        rng: Rng,
        hurst_range: Pair | None = None,
        n_modes: int = 4096,
        scales: Pair = (0.01, 1.0),
        tol: float = 0.05,
        wavenumbers: Pair | None = None,
        memory: float = 2**28,
    ) -> None:
        self.dimension = whole_number("dimension", dimension)
        self.n_modes = whole_number("n_modes", n_modes, minimum=2)
        self.hurst = hurst if callable(hurst) else _exponent("hurst", hurst)
        lowest, highest = self._hurst_range = _checked_range(self.hurst, hurst_range)
        shortest, longest = _checked_scales(scales)
        tol, memory = positive_number("tol", tol), finite_number("memory", memory)
        band = None if wavenumbers is None else _checked_band(wavenumbers, longest)
        self.wavenumbers = band or wavenumbers_for(
            self.dimension, np.linspace(lowest, highest, 33), shortest, longest, tol
        )
        self.provenance = Provenance.of(
            "FractalField",
            rng=rng,
            dimension=dimension,
            hurst=hurst,
            n_modes=n_modes,
            scales=(shortest, longest),
            tol=tol,
            **({} if band is None else {"wavenumbers": band}),
        )
        self._seeds = as_seed_sequence(rng)
        generator = realisation(self._seeds, 0)
        kmin, kmax = self.wavenumbers
        strata = (np.arange(self.n_modes) + generator.random(self.n_modes)) / self.n_modes
        self._log_k = elementary.log(kmin * math.sqrt(self.dimension)) + strata * self._log_range
        half_turns = 2.0 * generator.random(self.n_modes)
        self._phases = np.array([elementary.cospi(half_turns), elementary.sinpi(half_turns)])
        self._amplitudes = None if callable(hurst) else self._constant_amplitudes()
        modes = max(1, _PIECE // self.dimension)
        self._pieces = [
            slice(start, min(start + modes, self.n_modes))
            for start in range(0, self.n_modes, modes)
        ]
        keep = 8 * self.n_modes * self.dimension <= memory
        self._kept = map_chunks(self._draw, enumerate(self._pieces)) if keep else None

    @property
    def reach(self) -> float:
        """How far out phases keep 12 of their 52 bits: descent stops a walker whose largest coordinate is not below it."""
        return _LARGEST_TURN * 2 * math.pi / self._largest_wave_number

    def hessian_product(self, x: ArrayLike, v: ArrayLike) -> Array:
        """Return the Hessian at points `x` times vectors `v`, both of shape (..., d), without forming it.

        In closed form where the exponent is the same everywhere; else by a central difference of the gradient along each
        vector, with a relative error of some 1e-8.
        """
        points, shape = self._points(x)
        along, _ = self._points(np.broadcast_to(v, np.shape(x)))
        if callable(self.hurst):
            lengths = np.sqrt((along * along).sum(axis=1, keepdims=True))
            h = _SHIFT_IN_RADIANS / (self._largest_wave_number * np.maximum(lengths, 1e-300))
            difference = self.gradient(points + h * along) - self.gradient(points - h * along)
            products = difference / (2 * h)
        else:
            products = np.zeros_like(points)
            self._over_waves(_add_curvature, points, None, along, products)
        return products.reshape(*shape, self.dimension)

    def hessian(self, x: ArrayLike) -> Array:
        """Return the Hessian at one point `x` of shape (d,), (d, d) float64, symmetric to rounding; 8 d^2 bytes."""
        points, shape = self._points(x)
        require(shape == (), "x", np.shape(x), "be one point", "pass its coordinates")
        axes = np.eye(self.dimension)
        return self.hessian_product(np.broadcast_to(points, axes.shape), axes)

    def value(self, x: ArrayLike) -> Any:
        """Return the field at points `x` of shape (..., d): an array of shape (...), float64."""
        points, shape = self._points(x)
        return self._evaluate(points, want_gradient=False)[0].reshape(shape)[()]

    def gradient(self, x: ArrayLike) -> Array:
        """Return the gradient at points `x` of shape (..., d): an array of the same shape, float64."""
        return self.value_and_gradient(x)[1]

    def value_and_gradient(self, x: ArrayLike) -> tuple[Any, Array]:
        """Return value (...) and gradient (..., d) at points `x` of shape (..., d), float64, in one pass over the modes.

        Raises
        ------
        ValueError
            When the last axis of `x` is not d, or `x` holds NaN or inf.
        """
        points, shape = self._points(x)
        values, gradients = self._evaluate(points, want_gradient=True)
        return values.reshape(shape)[()], gradients.reshape(*shape, self.dimension)

    def __repr__(self):
        return self.provenance.call

    @property
    def only_waves(self) -> Any:
        """The waves as the kernel `add_waves` takes them, where they are one kept piece of one exponent; else None."""
        one = self._kept is not None and len(self._kept) == 1 and self._amplitudes is not None
        return self._kept[0] if one and self._kept else None

    @property
    def _largest_wave_number(self):
        return self.wavenumbers[1] * np.sqrt(self.dimension)

    @property
    def _log_range(self):
        kmin, kmax = self.wavenumbers
        return float(elementary.log(kmax / kmin))

    def _draw(self, index, modes):
        """Draw a piece of the modes, the same at each call."""
        generator = realisation(self._seeds, 1 + index)
        vectors = generator.standard_normal((self.dimension, modes.stop - modes.start))
        lengths = np.zeros(vectors.shape[1])
        _add_squares(vectors, lengths)
        log_k = self._log_k[modes]
        return Waves(
            vectors,
            elementary.exp(log_k) / (math.tau * np.sqrt(lengths)),
            np.ascontiguousarray(self._phases[:, modes]),
            np.empty(0) if self._amplitudes is None else self._amplitudes[modes],
            log_k,
        )

    def _waves(self):
        """Yield the waves piece by piece; those that are not kept are drawn again, some at once."""
        if self._kept is not None:
            yield from self._kept
            return
        pieces = list(enumerate(self._pieces))
        for first in range(0, len(pieces), _PIECES_AT_ONCE):
            yield from map_chunks(self._draw, pieces[first : first + _PIECES_AT_ONCE])

    def _points(self, x):
        x = real_array("x", x, dtype=np.float64)
        good = x.ndim >= 1 and x.shape[-1] == self.dimension
        require(
            good, "x", x.shape, f"have shape (..., {self.dimension})", "stack the coordinates last"
        )
        points = np.ascontiguousarray(x.reshape(-1, self.dimension))
        if not np.isfinite(points).all():
            raise refuse("x", x, "be finite", "drop walkers that have left")
        return points, x.shape[:-1]

    def _evaluate(self, points, want_gradient):
        exponents, exponent_gradients = self._exponents(points)
        sums = np.zeros((len(points), 2))
        gradients = np.zeros((len(points) if want_gradient else 0, self.dimension))
        self._over_waves(add_waves, points, exponents, sums, gradients)
        if exponent_gradients is not None and want_gradient:
            slope = (
                elementary.digamma(1 - exponents)
                + elementary.digamma(self.dimension / 2 + exponents)
                + 2 * elementary.LN2
                + 1 / exponents
            )
            gradients += (slope / 2 * sums[:, 0] - sums[:, 1])[:, None] * exponent_gradients
        return sums[:, 0], gradients

    def _over_waves(self, add, points, exponents, *rows):
        """Let the kernel `add` add the waves' shares to the `rows` of arrays that have one row a point (or none)."""
        if self._amplitudes is None:
            of_point = np.stack([exponents, self._amplitude_factors(exponents)], axis=1)
        else:
            of_point = np.empty((0, 2))
        parts = [
            slice(first, first + _POINTS_PER_CHUNK)
            for first in range(0, len(points), _POINTS_PER_CHUNK)
        ]
        for waves in self._waves():
            map_chunks(
                add,
                [
                    (waves, points[part], of_point[part], *(array[part] for array in rows))
                    for part in parts
                ],
            )

    def _constant_amplitudes(self):
        hurst = np.array([self.hurst])
        return self._amplitude_factors(hurst)[0] * elementary.exp(-self.hurst * self._log_k)

    def _exponents(self, points):
        if not callable(self.hurst):
            return None, None
        exponents, gradients = (np.asarray(part, dtype=np.float64) for part in self.hurst(points))
        expected = ((len(points),), points.shape)
        require(
            (exponents.shape, gradients.shape) == expected,
            "hurst",
            (exponents.shape, gradients.shape),
            f"return arrays of shapes {expected}",
            "return the exponents and their gradients",
        )
        lowest, highest = self._hurst_range
        inside = (exponents >= lowest) & (exponents <= highest)
        require(
            inside.all(),
            "hurst",
            exponents,
            f"stay in its hurst_range {self._hurst_range}",
            "widen the range",
        )
        return exponents, gradients

    def _amplitude_factors(self, exponents):
        log_constants = log_variogram_constant(self.dimension, exponents)
        return np.sqrt(self._log_range / self.n_modes) * elementary.exp(-0.5 * log_constants)


def log_variogram_constant(dimension, hurst):
    """Return ln C(H): int_0^inf k^(-2H-1) [1 - mean of cos(k.r) over directions of k] dk = C r^(2H)."""
    hurst = np.asarray(hurst)
    return (
        elementary.log_gamma(1 - hurst)
        + elementary.log_gamma(dimension / 2)
        - (2 * hurst + 1) * elementary.LN2
        - elementary.log(hurst)
        - elementary.log_gamma(dimension / 2 + hurst)
    )


def wavenumbers_for(dimension, hursts, shortest, longest, tol):
    """Return kmin and kmax that leave out at most tol/2 of the variogram each, at the longest and the shortest distance."""
    log, root = elementary.log, math.sqrt(dimension)
    share = log(tol / 2) + log_variogram_constant(dimension, hursts)
    low = (share + log(2 * dimension * (2 - 2 * hursts))) / (2 - 2 * hursts)
    high = -(share + log(2 * hursts)) / (2 * hursts)
    log_kmin, log_kmax = low.min() - log(root * longest), high.max() - log(root * shortest)
    if log_kmax + log(root * longest / math.tau) > log(_LARGEST_TURN):
        raise refuse(
            "tol",
            tol,
            f"not need waves {longest / math.exp(-log_kmax):.2g} times shorter than the longest scale, "
            "whose phases would be lost in rounding",
            "pass a larger tol or a larger exponent",
        )
    return float(elementary.exp(log_kmin)), float(elementary.exp(max(log_kmax, log_kmin + 1)))


def _exponent(argument, hurst):
    number = finite_number(argument, hurst)
    require(
        0 < number <= _LARGEST_HURST,
        argument,
        hurst,
        f"lie in (0, {_LARGEST_HURST}]",
        "for a differentiable field smooth it instead",
    )
    return number


def _checked_range(hurst, hurst_range):
    if not callable(hurst):
        return hurst, hurst
    good = isinstance(hurst_range, tuple | list) and len(hurst_range) == 2
    require(
        good,
        "hurst_range",
        hurst_range,
        "be a pair (lowest, highest) when hurst is a function",
        "pass its bounds",
    )
    lowest, highest = (_exponent("hurst_range", bound) for bound in hurst_range)
    require(lowest <= highest, "hurst_range", hurst_range, "ascend", "swap its bounds")
    return lowest, highest


def _checked_scales(scales):
    good = isinstance(scales, tuple | list) and len(scales) == 2
    require(good, "scales", scales, "be a pair (shortest, longest)", "pass two distances")
    shortest, longest = (positive_number("scales", scale) for scale in scales)
    require(shortest <= longest, "scales", scales, "ascend", "swap them")
    return shortest, longest


def _checked_band(wavenumbers, longest):
    rule, remedy = (
        "be a pair of numbers 0 < kmin < kmax",
        "pass the longest wave's and the shortest's",
    )
    low, high = ascending_pair("wavenumbers", wavenumbers, remedy, rule)
    require(0 < low < high, "wavenumbers", wavenumbers, rule, remedy)
    most = _LARGEST_TURN * math.tau / longest
    require(
        high <= most, "wavenumbers", wavenumbers, f"be at most {most:.2g}", "pass a smaller kmax"
    )
    return low, high


@kernel
def _add_squares(vectors, out):
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
    turns = np.empty((_TILE_POINTS, _TILE_MODES))
    terms, partial = np.empty(_TILE_MODES), np.empty((2, _LANES))
    for low in range(0, len(points), _TILE_POINTS):
        x = points[low : low + _TILE_POINTS]
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
                out = gradients[low : low + _TILE_POINTS]
                add_scalar_products(turns, waves.vectors, first, stop, out)


@kernel
def _add_curvature(waves, points, of_point, along, products):
    """Add the Hessian at each point times its row of `along`: sum of -a cos(theta + phi) k (k . v)."""
    n_modes = waves.vectors.shape[1]
    turns = np.empty((_TILE_POINTS, _TILE_MODES))
    speeds = np.empty((_TILE_POINTS, _TILE_MODES))
    for low in range(0, len(points), _TILE_POINTS):
        x, v = points[low : low + _TILE_POINTS], along[low : low + _TILE_POINTS]
        for first in range(0, n_modes, _TILE_MODES):
            stop = min(first + _TILE_MODES, n_modes)
            turns[: len(x)] = 0.0
            speeds[: len(x)] = 0.0
            add_product(x, waves.vectors, first, stop, turns[: len(x)])
            add_product(v, waves.vectors, first, stop, speeds[: len(x)])
            for i in range(len(x)):
                _curve(waves, first, stop, turns[i], speeds[i])
            out = products[low : low + _TILE_POINTS]
            add_scalar_products(speeds, waves.vectors, first, stop, out)


@kernel
def _curve(waves, first, stop, turns, speeds):
    """Write the factors of some modes' vectors in the Hessian's product over `speeds`, turns along v (kernel)."""
    scales, amplitudes = waves.scales[first:stop], waves.amplitudes[first:stop]
    cosines, sines = waves.phases[0, first:stop], waves.phases[1, first:stop]
    for m in range(stop - first):
        sine, cosine = _half_angle(turns[m] * scales[m])
        shifted_sine = sine * cosines[m] + cosine * sines[m]
        shifted_cosine = cosine * cosines[m] - sine * sines[m]
        whole = shifted_cosine * cosine - shifted_sine * sine
        rate = math.tau * scales[m]
        speeds[m] *= -amplitudes[m] * whole * (rate * rate)


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
