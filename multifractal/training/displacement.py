"""Does full-batch training diffuse anomalously? Displacement of a run by waiting time, exponents by regime, sharpness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multifractal import source_data
from multifractal.base.checks import finite_number, positive_number, require
from multifractal.base.result import Provenance, Result
from multifractal.base.types import Array, PathLike
from multifractal.diffusion.displacement import (
    DiffusionExponent,
    Displacement,
    diffusion_exponent,
    tamsd,
)
from multifractal.training.run import FullBatchRun

WINDOW = 100_000  # paper, Supplementary; waiting times reach as far, lags a tenth of it
_REACH = 2.1  # window + longest waiting time + longest lag, in windows
_N_WAITING, _N_LAGS = 10, 100  # paper

# Name, which of the ten waiting times, first and last lag (our choice). The paper shows .7, 1.3 and .2 without saying where
# they were read; here its file for dropout .75 gives .70, 1.27 and .22.
REGIMES = (
    ("early, short lags", 0, (1, 10)),
    ("early, long lags", 0, (300, 1000)),
    ("late, long lags", 7, (100, 1000)),
)


def training_displacement(run: FullBatchRun) -> Displacement:
    """Return the time-averaged mean squared displacement of a run at the published waiting times and lags.

    Parameters
    ----------
    run : FullBatchRun
        With every epoch stored. Of a run shorter than 210 000 epochs the window, the longest waiting time (as long as the
        window) and the longest lag (a tenth of it) shrink in proportion.

    Returns
    -------
    Displacement
        Waiting times round(logspace(0, log10 window, 10)), lags round(logspace(0, log10 window/10, 100)) without repeats.

    Raises
    ------
    ValueError
        When only each N-th epoch was stored, or there are fewer than 420 positions.
    """
    require(
        run.parameters["every"] == 1,
        "every",
        run.parameters["every"],
        "be 1: waiting times and lags are in epochs",
        "train with --every 1, or call multifractal.tamsd on the positions that were stored",
    )
    n = len(run.positions)
    require(
        n >= 200 * _REACH,
        "positions",
        n,
        f"be at least {200 * _REACH:.0f}",
        "train for more epochs",
    )
    window = min(WINDOW, int(n / _REACH))
    waiting_times = np.round(np.logspace(0, np.log10(window), _N_WAITING)).astype(int)
    lag_times = np.unique(np.round(np.logspace(0, np.log10(window / 10), _N_LAGS)).astype(int))
    return tamsd(run.positions, waiting_times=waiting_times, lag_times=lag_times, window=window)


def published_displacement(
    learning_rate: float = 0.1, dropout: float = 0.0, folder: PathLike | None = None
) -> Displacement:
    """Return the published displacement of a run of a million epochs, from the paper's source data; repeated lags once.

    Parameters
    ----------
    learning_rate, dropout : float
        Published are rate 0.1 with dropout 0.0 and 0.75.
    folder : path-like, optional
        Where to look, as for `source_data.find`.
    """
    name = published_name(learning_rate, dropout)
    stored = source_data.read(name, folder=folder)
    lags, first = np.unique(stored["lag_times"].astype(np.int64), return_index=True)
    return Displacement(
        per_walk=stored["TAMSDs"][None, :, first],
        waiting_times=stored["waiting_times"].astype(np.int64),
        lag_times=lags,
        window=int(stored["window_size"]),
        provenance=Provenance.of("published_displacement", name=name),
    )


def published_name(learning_rate=0.1, dropout=0.0):
    """Return the name in the paper's source data of a training run's displacement."""
    rate, dropout = (
        positive_number("learning_rate", learning_rate),
        finite_number("dropout", dropout),
    )
    run = f"lr={rate}_dropout={dropout}_epochs=1000000"
    return f"real_training_dynamics/{run}/TAMSDs.npz"


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class RegimeExponent(Result):
    """Diffusion exponent in one regime of a training run.

    Attributes
    ----------
    regime : str
        Its name, of `REGIMES`.
    waiting_time : int
    fit : DiffusionExponent
    even_lags_only : bool
        Whether odd lags were left out, where the run oscillates.
    provenance : Provenance
    """

    regime: str
    waiting_time: int
    fit: DiffusionExponent
    even_lags_only: bool
    provenance: Provenance


def regime_exponents(displacement: Displacement) -> list[RegimeExponent]:
    """Return the diffusion exponent in each regime that the curves reach.

    Where the displacement over one epoch exceeds that over two, the run oscillates with period two across the valley (the
    edge of stability), and odd lags measure the oscillation; then only even lags are fitted.

    Parameters
    ----------
    displacement : Displacement
        From `training_displacement` or `published_displacement`.

    Returns
    -------
    list of RegimeExponent
        One for each of `REGIMES` whose lags the curves hold.
    """
    found = []
    for regime, index, lag_range in REGIMES:
        lags, curve = displacement.lag_times, displacement.values[index]
        oscillates = bool(curve[lags == 1][0] > curve[lags == 2][0])
        chosen = (lags % 2 == 0) | (not oscillates)
        if lags.max() >= lag_range[1]:
            fit = diffusion_exponent(lags[chosen], curve[chosen], lag_range=lag_range)
            found.append(
                RegimeExponent(
                    regime=regime,
                    waiting_time=int(displacement.waiting_times[index]),
                    fit=fit,
                    even_lags_only=oscillates,
                    provenance=fit.provenance,
                )
            )
    return found


def sharpness_over_edge(run: FullBatchRun) -> Array:
    """Return largest Hessian eigenvalue x learning rate / 2 at the run's `sharpness_epochs`; 1 is the edge of stability."""
    return run.sharpness * run.parameters["learning_rate"] / 2
