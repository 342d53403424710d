"""Is full-batch training chaotic? Tangent vectors along runs of the supplement's network, with and without dropout."""

from __future__ import annotations

import numpy as np
from tqdm.auto import tqdm

from multifractal.base.checks import require, whole_number
from multifractal.base.deprecation import renamed
from multifractal.base.result import Provenance
from multifractal.base.rng import realisation
from multifractal.base.types import ArrayLike
from multifractal.measured.descent_table import (
    DescentTable,
    displacement_of,
    schedule,
    stretch_times,
    training_record,
)
from multifractal.training.tables import Table
from multifractal.walkers.descent import checked_rates

_CHUNK = 4000  # epochs a call of the compiled loop
# the stream of a seed that the first tangent vector is drawn from; 0 and 1 are start and masks
_TANGENT = 2


@renamed(seeds="n_runs")
def training_table(
    table: Table,
    *,
    learning_rates: ArrayLike,
    dropout: float = 0.0,
    n_runs: int = 5,
    n_steps: int = 4000,
) -> DescentTable:
    """Train the 16-unit network of the paper's supplement at each rate from each seed, and return what descent did.

    The training map is theta -> theta - rate grad L(theta), and the tangent vector follows v -> v - rate H v, H the Hessian
    at theta (of a ReLU network: where it exists, which is almost everywhere). With dropout, L and H are those under the
    epoch's mask: the exponent says whether two runs with the SAME masks come together or part, not two with their own.

    Parameters
    ----------
    table : Table
        From `load_table`; all rows train, standardised, as published.
    learning_rates : array_like, shape (rates,)
    dropout : float in [0, 1)
    n_runs : int
        Runs at each rate, from seeds 0, 1, ...: of the start, the masks and the first tangent vector.
    n_steps : int
        Epochs; even.

    Returns
    -------
    DescentTable
        Of one system; a run that diverged is NaN. Computed in float64 (the published runs are float32), so that rounding
        does not blur an exponent near 0.

    Raises
    ------
    ValueError
        When a rate or count is not positive, or `dropout` lies outside [0, 1).
    """
    rates, n_runs, times = (
        checked_rates(learning_rates),
        whole_number("n_runs", n_runs),
        stretch_times(n_steps),
    )
    require(
        0 <= dropout < 1,
        "dropout",
        dropout,
        "lie in [0, 1)",
        "pass the probability that a hidden unit is dropped",
    )
    shape = len(rates), n_runs
    stretch, loss = np.empty((*shape, len(times))), np.empty((*shape, 2))
    at_start, at_end = np.empty((2, *shape))
    curves = np.empty((*shape, *(len(axis) for axis in schedule(n_steps)[:2])))
    system = f"{table.inputs.shape[1]}-16-1, {table.name}, dropout {dropout:g}"
    with tqdm(total=len(rates) * n_runs, desc=system, unit=" runs", disable=None) as bar:
        for seed in range(n_runs):
            descent = _descent(table, dropout, seed)  # one compilation serves all rates
            for i, rate in enumerate(rates):
                positions, growth = _run(descent, rate, seed, n_steps)
                stretch[i, seed] = np.cumsum(growth)[times - 1]
                curves[i, seed] = displacement_of(positions[None], n_steps)
                ends = positions[0], positions[-1]
                loss[i, seed] = [descent.loss_without_dropout(theta) for theta in ends]
                at_start[i, seed], at_end[i, seed] = (
                    _sharpness(descent, theta) * rate / 2 for theta in ends
                )
                bar.update()
    made_by = Provenance.of(
        "training_table",
        packages=("numpy", "jax"),
        table=table.name,
        learning_rates=rates,
        dropout=dropout,
        n_runs=n_runs,
        n_steps=n_steps,
    )
    with np.errstate(invalid="ignore"):
        growing = np.where(
            np.isfinite(stretch[..., -1]), stretch[..., -1] - stretch[..., -3] > 1, np.nan
        )
    return training_record(
        system,
        rates,
        times,
        made_by,
        stretch=stretch,
        share_growing=growing,
        edge_at_start=at_start,
        edge_at_end=at_end,
        loss=loss,
        tamsd=curves,
    )


def _descent(table, dropout, seed):
    from multifractal.training.full_batch import FullBatchDescent

    inputs, target = table.standardised(len(table.target))
    return FullBatchDescent(
        inputs,
        target,
        n_train=len(target),
        learning_rate=1.0,
        dropout=dropout,
        seed=int(seed),
        dtype=np.float64,
        chunk=_CHUNK,
    )


def _run(descent, rate, seed, n_steps):
    """Return the positions (n_steps + 1, parameters) and the growth (n_steps,); NaN from where the run diverged."""
    theta = descent.start()
    tangent = realisation(int(seed), _TANGENT).standard_normal(theta.size)
    state = np.stack([theta, tangent / np.linalg.norm(tangent)])
    positions, growth = np.full((n_steps + 1, theta.size), np.nan), np.full(n_steps, np.nan)
    positions[0] = theta
    for first in range(0, n_steps, _CHUNK):
        n = min(_CHUNK, n_steps - first)
        states, growth[first : first + n] = descent.advance_with_tangent(state, rate, first, n)
        positions[first + 1 : first + n + 1], state = states[:, 0], states[-1]
        if not np.isfinite(state).all():
            break
    return positions, growth


def _sharpness(descent, theta):
    return descent.sharpness(theta) if np.isfinite(theta).all() else np.nan
