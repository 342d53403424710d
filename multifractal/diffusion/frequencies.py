"""How the power of a walk is spread over frequencies, and the exponents of its power laws, as in the authors' thesis code.

The displacement of a walk of Hurst exponent H grows as lag^(2H) and its power falls as frequency^-(2H + 1): beta = alpha + 1 for
0 < alpha < 2, alpha the diffusion exponent. That holds where one power law spans the whole range; what `tamsd` says of short and long
lags is then at high and low frequencies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.signal

from multifractal.base.checks import ascending_pair, finite_array, require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.statistics import Estimate, mean_interval
from multifractal.base.types import Array, ArrayLike, Pair


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class WalkSpectrum(Result):
    """Power spectral density of walks, summed over their coordinates.

    Attributes
    ----------
    frequencies : ndarray, shape (n,)
        Cycles a step, up to 1/2; zero is left out.
    per_walk : ndarray, shape (n_walks, n)
        Squared units of the positions times steps: its sum over frequencies, divided by their number of steps, is the variance.
    n_steps : int
        Positions in each walk.
    provenance : Provenance
    """

    frequencies: np.ndarray
    per_walk: np.ndarray
    n_steps: int
    provenance: Provenance

    @property
    def values(self) -> Array:
        """Mean over walks, shape (n,)."""
        return self.per_walk.mean(axis=0)

    def level(self, frequency_range: Pair, exponent: float) -> float:
        """Return c of the power law c frequency^-exponent that lies on the mean over walks: a geometric mean over the range."""
        low, high = ascending_pair("frequency_range", frequency_range)
        inside = (self.frequencies >= low) & (self.frequencies <= high)
        return float(
            np.exp(
                np.mean(np.log(self.values[inside]) + exponent * np.log(self.frequencies[inside]))
            )
        )

    def exponent(self, frequency_range: Pair, *, bins: int = 20) -> Estimate:
        """Return beta of power ~ frequency^-beta over a range of frequencies, as an `Estimate`.

        Each walk's log power is averaged in logarithmic bins, and a line fitted through the bins by least squares, weighted by how
        many frequencies each holds; the interval is Student's t over walks, NaN for a single one.

        Parameters
        ----------
        frequency_range : (low, high)
            Cycles a step.
        bins : int
            At most, 3 or more (our choice 20); empty ones are left out.
        """
        low, high = ascending_pair("frequency_range", frequency_range)
        inside = (self.frequencies >= low) & (self.frequencies <= high)
        edges = np.geomspace(low, high * (1 + 1e-12), whole_number("bins", bins, 3) + 1)
        bin_of = np.digitize(self.frequencies[inside], edges) - 1
        kept = np.unique(bin_of)
        require(
            len(kept) >= 3,
            "frequency_range",
            frequency_range,
            "hold frequencies in three bins at least",
            f"widen it within {self.frequencies[0]:.3g} to 0.5",
        )
        x, y = (
            np.stack([rows[..., bin_of == k].mean(axis=-1) for k in kept], axis=-1)
            for rows in (np.log(self.frequencies[inside]), np.log(self.per_walk[:, inside]))
        )
        counts = np.array([np.sum(bin_of == k) for k in kept])
        x = counts * (x - np.average(x, weights=counts))
        return mean_interval(-(y @ x) / (x @ (x / counts)), of="walks")


def walk_spectrum(positions: ArrayLike) -> WalkSpectrum:
    """Return the power spectral density of one walk or several.

    Parameters
    ----------
    positions : array_like, shape (n_steps, d) or (n_walks, n_steps, d)
        Continuous tracks: unfolded, not within walls, whose reflections would be taken for motion.

    Returns
    -------
    WalkSpectrum

    Raises
    ------
    ValueError
        When positions are not finite, or fewer than 32.

    Notes
    -----
    A straight line is taken off and a Hann window applied (our choices), one periodogram a coordinate by
    `scipy.signal.periodogram`. Without the window the jump between the two ends of a walk would add a law of exponent 2 and
    hide any steeper one.
    """
    walks = finite_array("positions", positions, dtype=np.float64)
    walks = finite_array("positions", walks[None] if walks.ndim == 2 else walks, 3)
    n_steps = walks.shape[1]
    require(n_steps >= 32, "positions", n_steps, "have at least 32 steps", "pass a longer walk")
    frequencies, density = scipy.signal.periodogram(
        walks, window="hann", detrend="linear", axis=1, scaling="density"
    )
    return WalkSpectrum(
        frequencies=frequencies[1:],
        per_walk=density.sum(axis=2)[:, 1:],
        n_steps=n_steps,
        provenance=Provenance.of("walk_spectrum", n_walks=len(walks), n_steps=n_steps),
    )
