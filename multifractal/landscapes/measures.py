"""Multiplicative measures on a square (the p-model in two dimensions) and the spectrum of a measure by box sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multifractal.base.checks import finite_array, float_dtype, require
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_generator
from multifractal.base.types import ArrayLike, DTypeLike, Rng
from multifractal.landscapes.cascades import power_of_two
from multifractal.landscapes.landscape import Landscape, LandscapeLike
from multifractal.landscapes.laws import Multinomial


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class MeasureSpectrum(Result):
    """Spectrum of a measure.

    Attributes
    ----------
    q, tau, h, D : ndarray, shape (n_q,)
        Orders, mass exponents, local dimensions and their spectrum.
    provenance : Provenance
    """

    q: np.ndarray
    tau: np.ndarray
    h: np.ndarray
    D: np.ndarray
    provenance: Provenance


def multiplicative_measure(
    n: int, weights: Sequence[float], *, rng: Rng, dtype: DTypeLike = np.float64
) -> Landscape:
    """Draw a multiplicative measure: each square gives its four quarters the shares `weights`, in random order.

    Parameters
    ----------
    n : int
        Side in pixels, a power of two, at least 4.
    weights : four floats
        Shares, positive, of sum 1; the law is `Multinomial(weights)`.
    rng : int, SeedSequence or Generator
    dtype : float64 (default) or float32

    Returns
    -------
    Landscape
        Masses of the pixels, of sum 1.

    Raises
    ------
    ValueError
        When `n` is not a power of two or `weights` are not four positive shares of sum 1.

    References
    ----------
    C. Meneveau, K. R. Sreenivasan, "Simple multifractal cascade model for fully developed turbulence", PRL 59 (1987) 1424.
    """
    n_scales, law, dtype = power_of_two("n", n), Multinomial(weights), float_dtype(dtype)
    provenance = Provenance.of(
        "multiplicative_measure", rng=rng, n=n, weights=law.weights, dtype=dtype.name
    )
    generator, masses = as_generator(rng), np.ones((1, 1))
    for _ in range(n_scales):
        side = len(masses)
        shares = generator.permuted(np.tile(law.weights, (side, side, 1)), axis=2).reshape(
            side, side, 2, 2
        )
        masses = (masses[:, None, :, None] * shares.transpose(0, 2, 1, 3)).reshape(
            2 * side, 2 * side
        )
    return Landscape(masses.astype(dtype), provenance=provenance)


def measure_spectrum(masses: LandscapeLike, q: ArrayLike) -> MeasureSpectrum:
    """Return the spectrum of a measure on a square of 2^J pixels from its sums over boxes of sides 1 to 2^(J-1).

    Parameters
    ----------
    masses : array_like or Landscape, shape (2^J, 2^J)
        Positive masses of the pixels.
    q : array_like, shape (n_q,)
        Orders.

    Returns
    -------
    MeasureSpectrum
        tau by regression of log2 sum mu^q on log2 side; h and D by the method of Chhabra & Jensen (PRL 62 (1989) 1327).

    Raises
    ------
    ValueError
        When the array is not a square of a power of two, or a mass is not positive.
    """
    masses, q = (
        finite_array("masses", masses, ndim=2, dtype=np.float64),
        finite_array("q", q, ndim=1, dtype=np.float64),
    )
    require(masses.shape[0] == masses.shape[1], "masses", masses.shape, "be square", "crop it")
    n_scales = power_of_two("masses' side", masses.shape[0])
    require(
        masses.min() > 0, "masses", masses.min(), "be positive", "leave out or fill the empty boxes"
    )
    provenance = Provenance.of("measure_spectrum", masses=masses, q=q)
    sums, boxes = [], masses / masses.sum()
    for _ in range(n_scales):
        logs = np.log2(boxes).ravel()
        sums.append([_box_sums(logs, order) for order in q])
        boxes = boxes.reshape(len(boxes) // 2, 2, -1, 2).sum(axis=(1, 3))
    slopes = np.polyfit(np.arange(n_scales), np.reshape(sums, (n_scales, -1)), 1)[0]
    tau, h, dimension = slopes.reshape(-1, 3).T
    return MeasureSpectrum(q=q, tau=tau, h=h, D=dimension, provenance=provenance)


def _box_sums(logs, q):
    """Return log2 sum mu^q, and the means of log2 mu and of log2 (mu^q / sum) under the shares mu^q / sum."""
    exponents = q * logs
    top = exponents.max()  # taken out, so that no power overflows
    weights = np.exp2(exponents - top)
    total = weights.sum()
    partition, local = np.log2(total) + top, weights @ logs / total
    return partition, local, q * local - partition
