"""Fractal fields in any number of dimensions, evaluated on demand, with their analytic gradient: no grid.

f(x) = sum over m of a_m [cos(k_m . x + phi_m) - cos phi_m], with directions of k_m uniform on the sphere, |k_m| stratified
log-uniform in [kmin, kmax] sqrt(d), a_m^2 = ln(kmax / kmin) / (M C) |k_m|^(-2H) and
C(H) = Gamma(1 - H) Gamma(d/2) / (2^(2H+1) H Gamma(d/2 + H)), so that E|f(x) - f(y)|^2 = |x - y|^(2H) up to the truncation.

Symbols: d dimension, H Hurst exponent (it may vary with x), M number of modes, a_m amplitudes, k_m wave vectors, phi_m
phases. A wave vector is kept as a normal vector and its scale, in turns (2 pi radians): whole turns then drop out exactly.
"""

import math

import numpy as np
from scipy.special import digamma, gammaln

from multifractal.base.checks import (
    finite_number,
    positive_number,
    real_array,
    refuse,
    require,
    whole_number,
)
from multifractal.base.chunks import map_chunks
from multifractal.base.kernels import kernel
from multifractal.base.result import Provenance
from multifractal.base.rng import as_seed_sequence, realisation

# numbers drawn from one seed; a block of directions is made of pieces, so that threads can share the work
_PIECE = 2**20
_PIECES_PER_BLOCK = 8
_CELLS_PER_CHUNK = 2**22  # points x modes held at once
# of the shortest wave, for a directional derivative with a relative error of some 1e-8
_SHIFT_IN_RADIANS = 1e-4
_LARGEST_TURN = 2**40  # beyond it the phase of a mode keeps less than 12 of its 52 bits
# Taylor coefficients of sin(pi t) and cos(pi t): the rest is below rounding for |t| <= 1/4. Written out, the loop over modes
# compiles to vector instructions; calls of the library's sine and cosine would not.
_SIN = tuple((-1) ** i * math.pi ** (2 * i + 1) / math.factorial(2 * i + 1) for i in range(8))
_COS = tuple((-1) ** i * math.pi ** (2 * i) / math.factorial(2 * i) for i in range(9))


class FractalField:
    """A random field on R^d with E|f(x) - f(y)|^2 = |x - y|^(2H), or with an exponent that varies from place to place.

    Parameters
    ----------
    dimension : int
        Number of coordinates d.
    hurst : float or callable
        Hurst exponent in (0, 1), or a function that takes points (n, d) and returns their exponents (n,) and the gradients
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
        When an exponent leaves (0, 1), a number is not positive, or `tol` needs waves too short for exact phases.

    Notes
    -----
    Far outside `scales` the local variogram of a field of varying exponent is not r^(2H). Results do not depend on the
    number of threads or the size of the batch, but for rounding in the sums over modes.
    """

    def __init__(
        self,
        dimension,
        hurst,
        *,
        rng,
        hurst_range=None,
        n_modes=4096,
        scales=(0.01, 1.0),
        tol=0.05,
        memory=2**28,
    ):
        self.dimension = whole_number("dimension", dimension)
        self.n_modes = whole_number("n_modes", n_modes, minimum=2)
        self.hurst = hurst if callable(hurst) else _exponent("hurst", hurst)
        lowest, highest = self._hurst_range = _checked_range(self.hurst, hurst_range)
        shortest, longest = _checked_scales(scales)
        tol, memory = positive_number("tol", tol), finite_number("memory", memory)
        self.wavenumbers = wavenumbers_for(
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
        )
        self._seeds = as_seed_sequence(rng)
        generator = realisation(self._seeds, 0)
        kmin, kmax = self.wavenumbers
        strata = (np.arange(self.n_modes) + generator.random(self.n_modes)) / self.n_modes
        self._log_k = np.log(kmin * math.sqrt(self.dimension)) + strata * math.log(kmax / kmin)
        self._phases = generator.random(self.n_modes)  # in turns
        self._cos_phases = np.cos(math.tau * self._phases)
        rows = _PIECES_PER_BLOCK * self._rows_per_piece
        self._starts = range(0, self.n_modes, rows)
        keep = 8 * self.n_modes * self.dimension <= memory
        self._kept = [self._draw_block(start) for start in self._starts] if keep else None

    @property
    def reach(self):
        """How far out phases keep 12 of their 52 bits: descent stops a walker whose largest coordinate is not below it."""
        return _LARGEST_TURN * 2 * math.pi / self._largest_wave_number

    def hessian_product(self, x, v):
        """Return the derivative of the gradient at a point `x` along `v`, both of shape (d,), by a central difference."""
        h = _SHIFT_IN_RADIANS / (self._largest_wave_number * np.sqrt(v @ v))
        return (self.gradient(x + h * v) - self.gradient(x - h * v)) / (2 * h)

    def value(self, x):
        """Return the field at points `x` of shape (..., d): an array of shape (...), float64."""
        points, shape = self._points(x)
        return self._evaluate(points, want_gradient=False)[0].reshape(shape)[()]

    def gradient(self, x):
        """Return the gradient at points `x` of shape (..., d): an array of the same shape, float64."""
        return self.value_and_gradient(x)[1]

    def value_and_gradient(self, x):
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
    def _largest_wave_number(self):
        return self.wavenumbers[1] * np.sqrt(self.dimension)

    @property
    def _rows_per_piece(self):
        return max(1, _PIECE // self.dimension)

    def _draw_block(self, start):
        """Draw the block of modes that begins at `start`, the same at each call: normal vectors, and their scales."""
        vectors = np.empty(
            (min(_PIECES_PER_BLOCK * self._rows_per_piece, self.n_modes - start), self.dimension)
        )
        squares = np.empty(len(vectors))

        def draw(first):
            piece = slice(first, first + self._rows_per_piece)
            generator = realisation(self._seeds, 1 + (start + first) // self._rows_per_piece)
            generator.standard_normal(out=vectors[piece])
            np.einsum("md,md->m", vectors[piece], vectors[piece], out=squares[piece])

        map_chunks(draw, [(first,) for first in range(0, len(vectors), self._rows_per_piece)])
        return vectors, np.exp(self._log_k[start : start + len(vectors)]) / (
            math.tau * np.sqrt(squares)
        )

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
        factors = self._amplitude_factors(exponents)
        sums, gradients = (
            np.zeros((len(points), 2)),
            np.zeros((len(points) if want_gradient else 0, self.dimension)),
        )
        for index, start in enumerate(self._starts):
            vectors, scales = self._draw_block(start) if self._kept is None else self._kept[index]
            modes = slice(start, start + len(vectors))
            n_points = max(1, _CELLS_PER_CHUNK // len(vectors))
            for first in range(0, len(points), n_points):
                chunk = slice(first, first + n_points)
                waves = points[chunk] @ vectors.T
                self._sum_waves(waves, scales, modes, exponents[chunk], factors[chunk], sums[chunk])
                if want_gradient:
                    gradients[chunk] -= waves @ vectors
        if exponent_gradients is not None and want_gradient:
            slope = (
                digamma(1 - exponents)
                + digamma(self.dimension / 2 + exponents)
                + 2 * math.log(2)
                + 1 / exponents
            )
            gradients += (slope / 2 * sums[:, 0] - sums[:, 1])[:, None] * exponent_gradients
        return sums[:, 0], gradients

    def _sum_waves(self, waves, scales, modes, exponents, factors, sums):
        """Add a (cos - cos phi), and that times ln k, to `sums`; turn `waves` into the factors of the gradient."""
        varies, log_k = callable(self.hurst), self._log_k[modes]
        amplitudes = (factors if varies else factors[:1])[:, None] * np.exp(
            -(exponents if varies else exponents[:1])[:, None] * log_k
        )
        rows = max(16, -(-len(waves) // 4))
        map_chunks(
            _reduce_waves,
            [
                (
                    waves[i : i + rows],
                    scales,
                    self._phases[modes],
                    self._cos_phases[modes],
                    amplitudes[i : i + rows] if varies else amplitudes,
                    log_k if varies else log_k[:0],
                    sums[i : i + rows],
                )
                for i in range(0, len(waves), rows)
            ],
        )

    def _exponents(self, points):
        if not callable(self.hurst):
            return np.full(len(points), self.hurst), None
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
        kmin, kmax = self.wavenumbers
        return np.exp(
            0.5
            * (
                math.log(math.log(kmax / kmin) / self.n_modes)
                - log_variogram_constant(self.dimension, exponents)
            )
        )


def log_variogram_constant(dimension, hurst):
    """Return ln C(H): int_0^inf k^(-2H-1) [1 - mean of cos(k.r) over directions of k] dk = C r^(2H)."""
    hurst = np.asarray(hurst)
    return (
        gammaln(1 - hurst)
        + gammaln(dimension / 2)
        - (2 * hurst + 1) * math.log(2)
        - np.log(hurst)
        - gammaln(dimension / 2 + hurst)
    )


def wavenumbers_for(dimension, hursts, shortest, longest, tol):
    """Return kmin and kmax that leave out at most tol/2 of the variogram each, at the longest and the shortest distance."""
    share = np.log(tol / 2) + log_variogram_constant(dimension, hursts)
    low = (share + np.log(2 * dimension * (2 - 2 * hursts))) / (2 - 2 * hursts)
    high = -(share + np.log(2 * hursts)) / (2 * hursts)
    root = math.sqrt(dimension)
    log_kmin, log_kmax = (
        low.min() - math.log(root * longest),
        high.max() - math.log(root * shortest),
    )
    if log_kmax + math.log(root * longest / math.tau) > math.log(_LARGEST_TURN):
        raise refuse(
            "tol",
            tol,
            f"not need waves {longest / math.exp(-log_kmax):.2g} times shorter than the longest scale, "
            "whose phases would be lost in rounding",
            "pass a larger tol or a larger exponent",
        )
    return math.exp(log_kmin), math.exp(max(log_kmax, log_kmin + 1))


def _exponent(argument, hurst):
    number = finite_number(argument, hurst)
    require(
        0 < number < 1,
        argument,
        hurst,
        "lie in (0, 1)",
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


@kernel
def _reduce_waves(waves, scales, phases, cos_phases, amplitudes, log_k, sums):
    n_modes = waves.shape[1]
    terms = np.empty(n_modes)
    for i in range(waves.shape[0]):
        amplitude = amplitudes[min(i, amplitudes.shape[0] - 1)]
        for m in range(n_modes):
            turns = waves[i, m] * scales[m] + phases[m]
            half_turns = np.rint(2.0 * turns)
            t = turns - 0.5 * half_turns
            signed = amplitude[m] * (1.0 - 2.0 * (half_turns - 2.0 * np.floor(0.5 * half_turns)))
            s = t * t
            sine = t * (
                _SIN[0]
                + s
                * (
                    _SIN[1]
                    + s
                    * (
                        _SIN[2]
                        + s
                        * (_SIN[3] + s * (_SIN[4] + s * (_SIN[5] + s * (_SIN[6] + s * _SIN[7]))))
                    )
                )
            )
            cosine = 1.0 + s * (
                _COS[1]
                + s
                * (
                    _COS[2]
                    + s
                    * (
                        _COS[3]
                        + s
                        * (_COS[4] + s * (_COS[5] + s * (_COS[6] + s * (_COS[7] + s * _COS[8]))))
                    )
                )
            )
            terms[m] = signed - 2.0 * signed * sine * sine - amplitude[m] * cos_phases[m]
            waves[i, m] = 2.0 * signed * sine * cosine * (math.tau * scales[m])
        value = weighted = 0.0
        for m in range(n_modes):
            value += terms[m]
        for m in range(len(log_k)):  # empty when the exponent is the same everywhere
            weighted += terms[m] * log_k[m]
        sums[i, 0] += value
        sums[i, 1] += weighted
