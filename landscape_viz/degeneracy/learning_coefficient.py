"""The local learning coefficient of a network's weights, by Langevin chains, with what tells whether to believe it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from landscape_viz.degeneracy import chain_store
from landscape_viz.degeneracy.mixing import r_hat
from landscape_viz.degeneracy.sgld import Chain, Settings
from landscape_viz.loss.batches import n_samples
from landscape_viz.loss.objective import Objective
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.loss.problem import Problem
from multifractal.base import checks
from multifractal.base.checks import positive_number, refuse, require, whole_number
from multifractal.base.chunks import checked_executor
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_seed_sequence
from multifractal.base.statistics import mean_interval
from multifractal.base.types import Executor, PathLike, Rng

MIXED = 1.05  # R-hat at which each half of a chain holds some ten independent draws: sqrt(1 + 1/10)
FILLED = 0.95  # of the room that chains in equilibrium fill (our choice)
# most that nbeta e times as large may change the value, relative to it (our choice): where the pull is weak and the loss
# quadratic, the value is short of its limit by as much
STEADY = 0.1
LOST = 1e6  # times the number of weights, half of which is the most that a minimum has (our choice)
ACCEPTED = 0.2  # of adjusted steps, below which chains hardly move (our choice)


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class LearningCoefficient(Result):
    """An estimate of the local learning coefficient, and what tells whether to believe it.

    Attributes
    ----------
    value : float
        n beta (mean loss of the draws - loss at the weights); NaN where a chain diverged.
    interval : ndarray, shape (2,), float64
        95 % interval (low, high) by Student's t over the chains: of what chains of this length give, at these settings.
    by_chain : ndarray, shape (n_chains,), float64
    losses : ndarray, shape (n_chains, n_draws), float64
        The loss of all data at each draw.
    loss_at_weights : float
    r_hat : float
        Rank-normalised split R-hat of the losses; 1 where the chains have mixed.
    filled : float
        Share of the room of equilibrium that the chains fill: the mean of (w - w0) . F less what the step adds to it, over the number of
        weights. It is 1 in equilibrium whatever the loss, and below while chains still spread.
    filled_interval : ndarray, shape (2,), float64
        Its 95 % interval over the chains.
    step_bias : float
        What the step adds to `value`: exact where the loss is quadratic, and an upper bound for higher powers; 0 of adjusted chains.
    slope : float
        Change of `value` with ln(nbeta), from the variance of the losses: 0 where the value is that of the limit.
    slope_interval : ndarray, shape (2,), float64
        Its 95 % interval over the chains.
    acceptance : float
        Share of steps that adjusted chains took; NaN of others.
    nbeta, localization, learning_rate : float
    warnings : tuple of str
        What stands against the value, in words; empty where nothing does.
    provenance : Provenance
    """

    value: float
    interval: np.ndarray
    by_chain: np.ndarray
    losses: np.ndarray
    loss_at_weights: float
    r_hat: float
    filled: float
    filled_interval: np.ndarray
    step_bias: float
    slope: float
    slope_interval: np.ndarray
    acceptance: float
    nbeta: float
    localization: float
    learning_rate: float
    warnings: tuple
    provenance: Provenance

    @property
    def trusted(self) -> bool:
        """Whether nothing stands against the value."""
        return not self.warnings

    def __str__(self) -> str:
        low, high = self.interval
        doubts = "".join(f"\n- {doubt}" for doubt in self.warnings)
        return f"local learning coefficient {self.value:.3g} [{low:.3g}, {high:.3g}]" + (
            f", not to be trusted:{doubts}" if doubts else ""
        )


def local_learning_coefficient(
    problem: Problem,
    *,
    learning_rate: float,
    nbeta: float | None = None,
    localization: float = 1.0,
    n_chains: int = 4,
    n_draws: int = 1000,
    n_burn_in: int = 1000,
    steps_per_draw: int = 1,
    batch_size: int | None = None,
    adjusted: bool = False,
    rng: Rng = 0,
    device: str | torch.device = "cpu",
    executor: Executor | None = None,
    path: PathLike | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
) -> LearningCoefficient:
    """Estimate the local learning coefficient at a problem's weights by Langevin chains.

    Half the number of weights where the loss is quadratic, and less the more degenerate the minimum: the volume of the weights
    whose loss is below L + e shrinks as e^coefficient. The weights should be a minimum of the loss, and the loss the mean
    negative log-likelihood of a sample.

    Parameters
    ----------
    problem : Problem
        Dropout "live" and BatchNorm "recalibrate" are refused.
    learning_rate : float
        Step epsilon of the chains: w moves by -(epsilon/2) (nbeta grad L + localization (w - w0)) + sqrt(epsilon) noise.
        There is no default: nbeta times the largest eigenvalue of the Hessian times epsilon should be well below 4, where
        chains diverge. `step_bias` says what it adds.
    nbeta : float, optional
        Inverse temperature n beta; None takes n / ln n, n the number of samples (Watanabe 2013).
    localization : float
        Strength gamma of the pull towards the weights. Our choice 1; 0 is the default of devinterp 2. Directions whose
        curvature times nbeta is not far above it are counted in part only.
    n_chains : int
        At least 2 (devinterp 2: 4).
    n_draws, n_burn_in : int
        Losses kept of each chain, and steps before the first. Our choice; devinterp 2 keeps 200 from the first step on, where
        chains still spread.
    steps_per_draw : int
        Steps from one draw to the next (devinterp 2: 1).
    batch_size : int, optional
        Samples of a step's gradient, drawn without replacement; each draw's loss is that of all data. None (our choice) takes
        all data.
    adjusted : bool
        Take each step only with the probability of Metropolis and Hastings (MALA), so that the step's size adds nothing. It needs
        all data at each step.
    rng : int, SeedSequence or Generator
        Chain i draws from its child i.
    device : str
    executor : concurrent.futures.Executor, optional
        Runs the chains elsewhere. Bits are the same.
    path : path-like, optional
        File that keeps the finished chains, and here without an executor the one that is under way, once a minute.
    resume, overwrite : bool
        Resume an existing file, or overwrite it and start again.
    progress : bool, optional
        Show a bar; None (our choice) shows it on a terminal or in a notebook.

    Returns
    -------
    LearningCoefficient
        Look at its `warnings` before its `value`: chains that have not mixed or still spread, a step or a temperature that shifts
        the value, and weights that are no minimum are named there.

    Raises
    ------
    ValueError
        When a setting is out of its range, or the file is of another estimate.
    FileExistsError
        When the file exists and neither `resume` nor `overwrite` is set.

    Notes
    -----
    Estimator and localization: E. Lau et al., arXiv 2308.12108. The temperature: S. Watanabe, JMLR 14, 2013. In equilibrium
    |w - w0|^2 no longer grows, so that E[(w - w0) . F] = d + (epsilon / 4) E|F|^2 holds exactly, F the chain's (stochastic)
    gradient and d the number of weights: `filled` and `step_bias` are read from it.

    Examples
    --------
    A quadratic loss of four weights at its minimum; the coefficient is 2:

    >>> import torch
    >>> from landscape_viz import Problem, local_learning_coefficient
    >>> inputs = 2 * torch.eye(4)
    >>> problem = Problem(torch.nn.Linear(4, 1, bias=False), {"weight": torch.zeros(1, 4)}, "mse", (inputs, torch.zeros(4, 1)))
    >>> found = local_learning_coefficient(problem, learning_rate=0.01, nbeta=100, adjusted=True, n_draws=200, n_burn_in=50)
    >>> low, high = found.interval
    >>> bool(low < 2 < high), bool(found.r_hat < 1.05)
    (True, True)
    """
    settings = Settings(
        learning_rate=positive_number("learning_rate", learning_rate),
        nbeta=np.nan if nbeta is None else positive_number("nbeta", nbeta),
        localization=checks.finite_number("localization", localization),
        n_draws=whole_number("n_draws", n_draws, 4),
        n_burn_in=whole_number("n_burn_in", n_burn_in, 0),
        steps_per_draw=whole_number("steps_per_draw", steps_per_draw),
        batch_size=None if batch_size is None else whole_number("batch_size", batch_size),
        adjusted=bool(adjusted),
    )
    n_chains, seed = whole_number("n_chains", n_chains, 2), as_seed_sequence(rng)
    checked_executor(executor)
    objective = Objective(problem, device=device)
    objective.require_all_data("local_learning_coefficient")
    settings = _completed(settings, objective)
    identity = chain_store.identity_of(problem, settings, seed)
    store = chain_store.ChainStore(path, identity, resume, overwrite)
    start = objective.vector.clone()
    starts = [Chain.begun(start, settings.n_draws, seed, k) for k in range(n_chains)]
    chains = chain_store.run(store, problem, settings, starts, device, executor, progress)
    with pinned_threads(1):
        here = objective.loss()
    made_by = Provenance.of(
        "local_learning_coefficient",
        rng=seed if isinstance(rng, np.random.Generator) else rng,
        packages=("numpy", "torch"),
        problem=problem,
        n_chains=n_chains,
        **vars(settings),
    )
    return _result(settings, chains, here, objective.size, made_by)


def _completed(settings, objective):
    """Return the settings with their nbeta; refuse those that do not fit each other or the data."""
    counts = [n_samples(batch) for batch in objective.batches]
    count = None if None in counts else sum(counts)
    s = settings
    require(s.localization >= 0, "localization", s.localization, "be at least 0", "pass 0 or more")
    if s.batch_size is not None:
        require(not s.adjusted, "adjusted", True, "be False with a batch_size", "leave one out")
        require(
            count is not None and s.batch_size <= count,
            "batch_size",
            s.batch_size,
            f"be at most the number of samples, {count}",
            "pass a smaller one, or None for all data",
        )
    if np.isfinite(s.nbeta):
        return s
    if count is None or count < 3:
        raise refuse("nbeta", None, f"be given for data of {count} samples", "pass a number")
    return replace(s, nbeta=float(count / np.log(count)))


def _result(settings, chains, here, size, made_by):
    """Return the estimate of finished chains; every interval is over the chains."""
    s, losses = settings, np.array([chain.losses for chain in chains])
    sums = np.array([chain.sums for chain in chains]) / (s.n_draws * s.steps_per_draw)
    by_chain = s.nbeta * (losses.mean(axis=1) - here)
    added = 0.0 if s.adjusted else s.learning_rate / 4
    by_chain[~(np.abs(by_chain) < LOST * size)] = np.nan
    if np.isnan(by_chain).any():  # a chain that diverged says nothing, its sums included
        sums[:] = np.nan
    with np.errstate(over="ignore", invalid="ignore"):  # on the way there
        slopes = by_chain - s.nbeta**2 * losses.var(axis=1)
        value, filled, slope = (
            mean_interval(x + 0 * sums[:, 0], of="chains")
            for x in (by_chain, (sums[:, 0] - added * sums[:, 1]) / size, slopes)
        )
    found = LearningCoefficient(
        value=float(value.value),
        interval=value.interval,
        by_chain=by_chain,
        losses=losses,
        loss_at_weights=here,
        r_hat=r_hat(losses),
        filled=float(filled.value),
        filled_interval=filled.interval,
        step_bias=float(added * sums[:, 1].mean() / 2),
        slope=float(slope.value),
        slope_interval=slope.interval,
        acceptance=float(sums[:, 2].mean()) if s.adjusted else np.nan,
        nbeta=s.nbeta,
        localization=s.localization,
        learning_rate=s.learning_rate,
        warnings=(),
        provenance=made_by,
    )
    return replace(found, warnings=doubts(found))


def doubts(found: LearningCoefficient) -> tuple[str, ...]:
    """Return what stands against an estimate, in words, by the rules of this module."""
    if np.isnan(found.value):
        many = f"{int(np.isnan(found.by_chain).sum())} of {len(found.by_chain)} chains"
        return (f"{many} diverged: lower learning_rate, or raise localization",)
    half = float(found.interval[1] - found.value)
    lower = found.nbeta * (found.loss_at_weights - found.losses.min())
    most = float(np.abs(found.slope_interval).max())
    coarse = found.step_bias > half
    rules = (
        (
            not found.r_hat <= MIXED,
            f"the chains have not mixed (R-hat {found.r_hat:.3g}): take more draws",
        ),
        (
            found.filled_interval[1] < FILLED,
            f"the chains still spread, and fill {found.filled:.2f} of the room of equilibrium: take a longer n_burn_in, or a "
            "larger localization",
        ),
        (
            coarse,
            f"the step adds some {found.step_bias:.2g}, more than the interval says: lower learning_rate, or pass adjusted=True",
        ),
        (
            found.acceptance < ACCEPTED,
            f"only {found.acceptance:.2f} of the steps were taken: lower learning_rate",
        ),
        (
            lower > half,
            f"the weights are no minimum: a lower loss shifts the value by as much as {lower:.2g}: train further",
        ),
        (
            most > STEADY * abs(found.value) and not coarse,  # a coarse step slants it as well
            f"nbeta e times as large changes the value by {found.slope:.2g}, or as much as {most:.2g}: take more draws, raise nbeta, or "
            "lower localization",
        ),
    )
    return tuple(words for holds, words in rules if holds)
