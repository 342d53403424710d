"""Fractal fields in any number of dimensions, evaluated on demand, with their analytic gradient: no grid.

f(x) = sum over m of a_m [cos(k_m . x + phi_m) - cos phi_m], with directions of k_m uniform on the sphere, |k_m| stratified
log-uniform in [kmin, kmax] sqrt(d), a_m^2 = ln(kmax / kmin) / (M C) |k_m|^(-2H) and
C(H) = Gamma(1 - H) Gamma(d/2) / (2^(2H+1) H Gamma(d/2 + H)), so that E|f(x) - f(y)|^2 = |x - y|^(2H) up to the truncation.

Symbols: d dimension, H Hurst exponent (it may vary with x), M number of modes, a_m amplitudes, k_m wave vectors, phi_m
phases. A wave vector is kept as a normal vector and its scale, in turns (2 pi radians): whole turns then drop out exactly.
"""

from __future__ import annotations

import math
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
from multifractal.base.products import product
from multifractal.base.result import Provenance
from multifractal.base.rng import as_seed_sequence, realisation
from multifractal.base.types import Array, ArrayLike, Pair, Rng
from multifractal.landscapes.waves import Waves, add_curvature, add_squares, add_waves

_PIECE = 2**20  # numbers of directions drawn from one seed; the bits depend on it
_PIECES_AT_ONCE = 8  # drawn by threads and held, where directions are not kept
_POINTS_PER_CHUNK = 64
_VECTORS_AT_ONCE = 63  # that the Hessian at one point is multiplied by
_SHIFT = 1e-5  # of a point, for the second derivative of an exponent that does not say its own
_LARGEST_TURN = 2**40  # beyond it the phase of a mode keeps less than 12 of its 52 bits
_LARGEST_HURST = 0.99  # beyond it the longest wave exceeds the range of a double


class FractalField:
    """A random field on R^d with E|f(x) - f(y)|^2 = |x - y|^(2H), or with an exponent that varies from place to place.

    Parameters
    ----------
    dimension : int
        Number of coordinates d.
    hurst : float or callable
        Hurst exponent in (0, 0.99], or a function that takes points (n, d) and returns their exponents (n,) and the gradients
        of the exponent (n, d); `SubspaceExponent` is one.
    rng : int, SeedSequence or Generator
    hurst_range : (float, float), optional
        Lowest and highest exponent; required when `hurst` is a function (that has no `hurst_range` of its own), whose values
        must stay inside.
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
        asked = getattr(hurst, "hurst_range", None) if hurst_range is None else hurst_range
        lowest, highest = self._hurst_range = _checked_range(self.hurst, asked)
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
        """Return the Hessian at points `x` times vectors `v`, both of shape (..., d), without forming it: in closed form.

        Where the exponent varies, its own second derivative is its method `hessian_product(points, vectors)`, if it has
        one; else a central difference of the gradients that it returns, which is right to some 1e-10 of their size where
        they change over distances of 1.
        """
        points, shape = self._points(x)
        try:
            vectors = np.broadcast_to(
                real_array("v", v, dtype=np.float64), (*shape, self.dimension)
            )
        except ValueError as error:
            rule = f"have shape ({self.dimension},) or that of x, {np.shape(x)}"
            remedy = "pass one vector for all points, or one for each"
            raise refuse("v", np.shape(v), rule, remedy) from error
        along, _ = self._points(vectors, "v")
        none = np.empty((0, self.dimension))
        return self._curvature(points, along[:, None], none).reshape(*shape, self.dimension)

    def gradient_and_hessian_products(self, x: ArrayLike, v: ArrayLike) -> tuple[Array, Array]:
        """Return the gradients (n, d) at points `x` (n, d) and the Hessian at each times its k vectors `v` (n, k, d), (n, k, d).

        The bits are those of `gradient` and `hessian_product`; one pass over the waves, whose phases both take, is quicker.

        Raises
        ------
        ValueError
            When an array has another shape, or holds NaN or inf.
        """
        points, shape = self._points(x)
        vectors, shapes = self._points(v, "v")
        good = len(shape) == 1 and len(shapes) == 2 and shapes[0] == shape[0]
        rule = f"have shape ({', '.join(map(str, shape))}, k, {self.dimension})"
        require(
            good, "v", np.shape(v), rule, "pass as many vectors for each of the points x (n, d)"
        )
        along = vectors.reshape(*shapes, self.dimension)
        if self._amplitudes is None:
            none = np.empty((0, self.dimension))
            return self.gradient(points), self._curvature(points, along, none)
        gradients = np.zeros_like(points)
        return gradients, self._curvature(points, along, gradients)

    def hessian(self, x: ArrayLike) -> Array:
        """Return the Hessian at one point `x` of shape (d,), (d, d) float64, symmetric to rounding; 8 d^2 bytes."""
        points, shape = self._points(x)
        require(shape == (), "x", np.shape(x), "be one point", "pass its coordinates")
        axes, none = np.eye(self.dimension), np.empty((0, self.dimension))
        parts = [axes[i : i + _VECTORS_AT_ONCE] for i in range(0, len(axes), _VECTORS_AT_ONCE)]
        return np.concatenate([self._curvature(points, part[None], none)[0] for part in parts])

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
        add_squares(vectors, lengths)
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

    def _points(self, x, argument="x"):
        x = real_array(argument, x, dtype=np.float64)
        good = x.ndim >= 1 and x.shape[-1] == self.dimension
        rule = f"have shape (..., {self.dimension})"
        require(good, argument, x.shape, rule, "stack the coordinates last")
        points = np.ascontiguousarray(x.reshape(-1, self.dimension))
        if not np.isfinite(points).all():
            raise refuse(argument, x, "be finite", "drop walkers that have left")
        return points, x.shape[:-1]

    def _evaluate(self, points, want_gradient):
        exponents, exponent_gradients = self._exponents(points)
        sums = np.zeros((len(points), 2))
        gradients = np.zeros((len(points) if want_gradient else 0, self.dimension))
        self._over_waves(add_waves, points, self._of_points(exponents), sums, gradients)
        if exponent_gradients is not None and want_gradient:
            half_slope = self._half_slope(exponents)
            gradients += (half_slope * sums[:, 0] - sums[:, 1])[:, None] * exponent_gradients
        return sums[:, 0], gradients

    def _over_waves(self, add, points, of_point, *rows):
        """Let the kernel `add` add the waves' shares to the `rows` of arrays that have one row a point (or none)."""
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

    def _curvature(self, points, along, gradients):
        """Return the Hessian at points (n, d) times vectors (n, k, d); add the gradients where those have rows."""
        exponents, slopes = self._exponents(points)
        products, sums = np.zeros_like(along), np.zeros((*along.shape[:2], 3))
        tilts = np.empty(along.shape[:2])
        if slopes is not None:
            across = np.repeat(slopes, along.shape[1], axis=0)
            tilts = product_of_rows(across, along.reshape(-1, self.dimension)).reshape(tilts.shape)
        of_point = self._of_points(exponents, with_derivatives=True)
        self._over_waves(add_curvature, points, of_point, along, tilts, gradients, products, sums)
        if slopes is not None:
            products += (sums[..., 0] + sums[..., 1] * tilts)[..., None] * slopes[:, None]
            products += sums[..., 2, None] * self._bend_of_exponent(points, along)
        return products

    def _of_points(self, exponents, with_derivatives=False):
        """Return what the kernels take of each point: exponent and factor of the amplitudes; half C'/C with its derivative."""
        if exponents is None:
            return np.empty((0, 4))
        columns = [exponents, self._amplitude_factors(exponents)]
        if with_derivatives:
            columns += [self._half_slope(exponents), self._half_bend(exponents)]
        return np.stack(columns, axis=1)

    def _half_slope(self, exponents):
        """Return -C'/(2 C), the derivative of the logarithm of the amplitudes' common factor."""
        return 0.5 * (
            elementary.digamma(1 - exponents)
            + elementary.digamma(self.dimension / 2 + exponents)
            + 2 * elementary.LN2
            + 1 / exponents
        )

    def _half_bend(self, exponents):
        """Return the derivative of `_half_slope`."""
        return 0.5 * (
            elementary.trigamma(self.dimension / 2 + exponents)
            - elementary.trigamma(1 - exponents)
            - 1 / exponents**2
        )

    def _bend_of_exponent(self, points, along):
        """Return the exponent's Hessian times each vector, (n, k, d)."""
        shape = along.shape
        points = np.repeat(points, shape[1], axis=0)
        along = along.reshape(-1, self.dimension)
        own = getattr(self.hurst, "hessian_product", None)
        if own is not None:
            bends = real_array("hurst.hessian_product", own(points, along), dtype=np.float64)
            return bends.reshape(shape)
        lengths = np.sqrt(product_of_rows(along, along))[:, None]
        h = _SHIFT / np.maximum(lengths, 1e-300)
        ahead, behind = (self.hurst(points + side * h * along)[1] for side in (1, -1))
        bends = (np.asarray(ahead, np.float64) - np.asarray(behind, np.float64)) / (2 * h)
        return bends.reshape(shape)

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
            "pass a larger tol, a larger exponent, or the band of waves as wavenumbers=(kmin, kmax)",
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


def product_of_rows(left, right):
    """Return the scalar product of each row of `left` with that of `right`, (n,), each summed in order."""
    return product(left * right, np.ones((left.shape[1], 1)))[:, 0]
