"""Fractional Langevin motion towards a harmonic well: first passage into it and time in it, against ordinary motion.

The ordinary Langevin equation, x_j = x_{j-1} - c1 g(x_{j-1}) - c2 xi_j with white noise xi, takes the fractional one's c1
and c2: the same response to the force in the first step, the same noise per step and the same temperature eta / beta, but
neither memory nor correlated noise. Each is also run without its force, to tell what noise alone does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gamma

from multifractal.base.checks import finite_number, positive_number, require, whole_number
from multifractal.base.deprecation import renamed
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_seed_sequence, realisation
from multifractal.base.types import Array, ArrayLike, Rng
from multifractal.diffusion.langevin import fractional_langevin
from multifractal.diffusion.potentials import PaperPotential, Potential

KINDS = ("fractional", "ordinary", "fractional, noise only", "ordinary, noise only")
NEVER = -1


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class WellPassage(Result):
    """When paths first enter the well, and how long they are in it.

    Attributes
    ----------
    kinds : tuple of str
        Fractional and ordinary Langevin motion, and both without the force; always `KINDS`.
    arrivals : ndarray, shape (4, n_walkers), int64
        Steps until abs(x) < radius; -1 if never.
    inside : ndarray, shape (4, n_walkers), float64
        Share of the steps after the arrival that are in the well; NaN if it never arrives.
    spread : ndarray, shape (4,), float64
        Standard deviation of x in the second half of the steps, over paths that are in the well throughout it; NaN without.
    n_steps : int
    radius : float
    temperature : float
        learning_rate / beta.
    provenance : Provenance
    """

    kinds = KINDS
    arrivals: np.ndarray
    inside: np.ndarray
    spread: np.ndarray
    n_steps: int
    radius: float
    temperature: float
    provenance: Provenance

    def arrived(self, kind: str, steps: ArrayLike) -> Array:
        """Return the share of paths of `kind` that have arrived within `steps` (an array), shape of `steps`."""
        arrivals = self.arrivals[self.kinds.index(kind)]
        return np.searchsorted(
            np.sort(arrivals[arrivals != NEVER]), np.asarray(steps), side="right"
        ) / len(arrivals)


@renamed(n_paths="n_walkers", eta="learning_rate")
def well_passage(
    *,
    potential: PaperPotential | None = None,
    x0: float = -700.0,
    n_steps: int = 10_000,
    n_walkers: int = 100,
    hurst: float = 0.7,
    learning_rate: float = 1000.0,
    beta: float = 5e3,
    rng: Rng,
) -> WellPassage:
    """Measure first passage into the harmonic well of the paper's potential, and the time in it.

    Parameters
    ----------
    potential : PaperPotential, optional
        Default (paper): `PaperPotential()`.
    x0, n_steps, hurst, learning_rate, beta
        As for `fractional_langevin`; defaults: paper.
    n_walkers : int
        Paths of each kind. Default: our choice.
    rng : int, SeedSequence or Generator

    Returns
    -------
    WellPassage

    Raises
    ------
    ValueError
        As for `fractional_langevin`.
    """
    potential = PaperPotential() if potential is None else potential
    require(
        isinstance(potential, Potential),
        "potential",
        potential,
        "be a named potential",
        "pass a PaperPotential(...)",
    )
    n_steps, n_walkers = whole_number("n_steps", n_steps), whole_number("n_walkers", n_walkers)
    rate, beta = positive_number("learning_rate", learning_rate), positive_number("beta", beta)
    made_by = Provenance.of(
        "well_passage",
        rng=rng,
        potential=potential,
        x0=x0,
        n_steps=n_steps,
        n_walkers=n_walkers,
        hurst=hurst,
        learning_rate=rate,
        beta=beta,
    )
    seed = as_seed_sequence(rng)
    starts = np.full(n_walkers, finite_number("x0", x0))
    found = fractional_langevin(
        potential, starts, n_steps=n_steps, hurst=hurst, learning_rate=rate, beta=beta, rng=seed
    )
    mobility, amplitude = one_step_coefficients(hurst, rate, beta)
    white = realisation(seed, n_walkers).standard_normal((n_steps, n_walkers))
    paths = (
        found.positions,
        _ordinary(potential.gradient, x0, mobility, amplitude * white),
        x0 - amplitude * found.noise,
        _ordinary(np.zeros_like, x0, mobility, amplitude * white),
    )
    measured = [_passage(path, potential.radius) for path in paths]
    arrivals, inside, spread = (np.array(column) for column in zip(*measured, strict=True))
    return WellPassage(
        arrivals=arrivals,
        inside=inside,
        spread=spread,
        n_steps=n_steps,
        radius=potential.radius,
        temperature=rate / beta,
        provenance=made_by,
    )


def one_step_coefficients(hurst, eta, beta):
    """Return (c1, c2): the response to the force in one step, and the noise per step, of the fractional equation."""
    scale = gamma(2 * hurst - 1) * gamma(3 - 2 * hurst)
    return eta / scale, eta * np.sqrt(2 / (beta * scale))


def _ordinary(gradient, x0, mobility, noise):
    """Return paths (n_walkers, n_steps + 1) of the ordinary Langevin equation driven by `noise` (n_steps, n_walkers)."""
    paths = np.empty((len(noise) + 1, noise.shape[1]))
    paths[0] = x0
    for j, kick in enumerate(noise):
        paths[j + 1] = paths[j] - mobility * gradient(paths[j]) - kick
    return paths.T


def _passage(paths, radius):
    """Return (arrivals, shares inside after arrival, spread of the paths that stay inside in the second half)."""
    inside = np.abs(paths) < radius
    arrivals = np.where(inside.any(axis=1), inside.argmax(axis=1), NEVER)
    shares = np.array(
        [
            row[start:].mean() if start != NEVER else np.nan
            for row, start in zip(inside, arrivals, strict=True)
        ]
    )
    half = slice(paths.shape[1] // 2, None)
    settled = paths[inside[:, half].all(axis=1), half]
    return arrivals, shares, settled.std() if settled.size else np.nan
