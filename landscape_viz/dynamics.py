"""Full-batch descent of a real network, watched: sharpness against 2 / eta, modified loss, displacement, chaos, noise."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from landscape_viz.curvature.eigenpairs import top_eigenpairs
from landscape_viz.curvature.hessian import HessianOperator
from landscape_viz.loss import batches, sameness
from landscape_viz.loss.objective import Objective
from landscape_viz.loss.problem import Problem, checked_problem
from multifractal.base.checks import diverged, positive_number, require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_generator, realisation
from multifractal.base.statistics import jackknife_interval, mean_and_error
from multifractal.base.types import Array, ArrayLike, Rng
from multifractal.diffusion.displacement import tamsd

if TYPE_CHECKING:
    from multifractal.diffusion.displacement import Displacement


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class DescentRecord(Result):
    """A run of full-batch gradient descent, step by step; row 0 is the start.

    Attributes
    ----------
    losses : ndarray, shape (n_steps + 1,), float64
    gradient_norms : ndarray, shape (n_steps + 1,), float64
        |grad L|.
    sharpness_steps : ndarray, shape (m,), int64
        The steps at which the sharpness was measured.
    sharpness : ndarray, shape (m,), float64
        Largest eigenvalue of the Hessian.
    sharpness_errors : ndarray, shape (m,), float64
        Residual of that eigenpair; NaN in `sharpness` marks one that did not converge.
    positions : ndarray, shape (n_kept, n_parameters)
        The weights at `position_steps`; empty when none were kept.
    position_steps : ndarray, shape (n_kept,), int64
    learning_rate : float
    products : int
        Hessian-vector products spent on the sharpness.
    provenance : Provenance
    """

    losses: np.ndarray
    gradient_norms: np.ndarray
    sharpness_steps: np.ndarray
    sharpness: np.ndarray
    sharpness_errors: np.ndarray
    positions: np.ndarray
    position_steps: np.ndarray
    learning_rate: float
    products: int
    provenance: Provenance

    @property
    def edge(self) -> float:
        """2 / eta: above this sharpness descent is unstable along the top eigenvector."""
        return 2 / self.learning_rate

    @property
    def implicit_regularisation(self) -> Array:
        """(eta / 4) |grad L|^2 at each step: what full-batch descent adds to the loss it follows (Barrett & Dherin 2021)."""
        return self.learning_rate / 4 * self.gradient_norms**2

    def tamsd(self, *, waiting_times: ArrayLike, lag_times: ArrayLike, window: int) -> Displacement:
        """Return the time-averaged displacement of the kept weights, times counted in kept positions."""
        return tamsd(
            self.positions, waiting_times=waiting_times, lag_times=lag_times, window=window
        )


def full_batch_descent(
    problem: Problem,
    *,
    learning_rate: float,
    n_steps: int,
    sharpness_every: int | None = None,
    keep_every: int | None = None,
    tol: float = 1e-3,
    device: str | torch.device = "cpu",
) -> DescentRecord:
    """Run gradient descent on the mean loss of a problem and record what it does.

    Parameters
    ----------
    problem : Problem
        Its weights are the start; nothing of it is changed.
    learning_rate : float
        eta.
    n_steps : int
    sharpness_every : int, optional
        Measure the largest Hessian eigenvalue every `sharpness_every`-th step (from step 0 on), each warm-started from the last.
    keep_every : int, optional
        Keep the weights of every `keep_every`-th step.
    tol : float
        Of the eigenvalues, as for `top_eigenpairs` (our choice 1e-3).
    device : str

    Returns
    -------
    DescentRecord

    Raises
    ------
    DivergedError
        When the loss is no longer finite: says at which step. It is a ValueError and a FloatingPointError.
    """
    rate, n_steps = (
        positive_number("learning_rate", learning_rate),
        whole_number("n_steps", n_steps),
    )
    every = [
        None if k is None else whole_number(name, k)
        for name, k in (("sharpness_every", sharpness_every), ("keep_every", keep_every))
    ]
    objective = Objective(problem, device=device)
    operator = HessianOperator(problem, device=device) if every[0] else None
    losses, norms, tops, kept, start, products = [], [], [], [], None, 0
    w = objective.origin.copy()
    for step in range(n_steps + 1):
        value, gradient = objective.value_and_gradient(w)
        losses.append(value)
        if not np.isfinite(losses[-1]):
            raise diverged(
                "learning_rate",
                rate,
                f"leave the loss finite, which is {losses[-1]} at step {step}",
                "lower the learning rate",
            )
        norms.append(np.linalg.norm(gradient.astype(np.float64)))
        if every[0] and step % every[0] == 0:
            operator.move(w)
            pair = top_eigenpairs(operator, 1, tol=tol, start=start)
            start, products = pair.vectors, products + pair.products
            tops.append((step, pair.values[0] if pair.converged else np.nan, pair.residuals[0]))
        if every[1] and step % every[1] == 0:
            kept.append((step, w.copy()))
        w = w - objective.dtype.type(rate) * gradient
    made_by = Provenance.of(
        "full_batch_descent",
        packages=("numpy", "torch"),
        problem=problem,
        learning_rate=rate,
        n_steps=n_steps,
        sharpness_every=every[0],
        keep_every=every[1],
        tol=tol,
    )
    steps, values, errors = (
        (np.array(column) for column in zip(*tops, strict=True)) if tops else (np.empty(0),) * 3
    )
    positions = np.array([position for _, position in kept], objective.dtype).reshape(
        len(kept), objective.size
    )
    return DescentRecord(
        losses=np.array(losses),
        gradient_norms=np.array(norms),
        sharpness_steps=steps.astype(np.int64),
        sharpness=values,
        sharpness_errors=errors,
        positions=positions,
        position_steps=np.array([step for step, _ in kept], np.int64),
        learning_rate=rate,
        products=products,
        provenance=made_by,
    )


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class TrainingLyapunov(Result):
    """Largest Lyapunov exponent of training, per step.

    Attributes
    ----------
    value : float
        Mean of ln |v_{t+1}| / |v_t| over the steps after the burn-in; NaN of a run that diverged.
    standard_error : float
        Of that mean, from ten blocks of steps: neighbouring steps are not independent; NaN of a run that diverged.
    rates : ndarray, shape (n_steps,), float64
        Logarithm of the growth at each step after the burn-in; NaN from where the run diverged.
    losses : ndarray, shape (burn_in + n_steps,), float64
        Before each step; NaN after the divergence.
    positions : ndarray, shape (n_kept, n_parameters)
        The weights after 0, keep_every, ... steps, up to the divergence; empty when none were kept.
    diverged_at : int or None
        The step, burn-in included, at which loss or tangent vector was no longer finite; None when all of them were.
    provenance : Provenance
    """

    value: float
    standard_error: float
    rates: np.ndarray
    losses: np.ndarray
    positions: np.ndarray
    diverged_at: int | None = None
    provenance: Provenance

    @property
    def status(self) -> str:
        """What the run was, in words: "finite", or where it diverged and what to do."""
        if self.diverged_at is None:
            return "finite"
        return f"diverged at step {self.diverged_at}, so that it has no exponent; lower the learning rate"


def training_lyapunov(
    problem: Problem,
    *,
    learning_rate: float,
    n_steps: int,
    burn_in: int = 0,
    keep_every: int | None = None,
    rng: Rng = 0,
    device: str | torch.device = "cpu",
) -> TrainingLyapunov:
    """Return the largest Lyapunov exponent of full-batch descent by its tangent map, v <- v - eta H v.

    For small networks: one Hessian-vector product a step. The exponent of a run that converges tends to ln |1 - eta lambda|
    with lambda the eigenvalue for which that is largest, so it is negative or near 0 there.

    Parameters
    ----------
    problem : Problem
    learning_rate : float
    n_steps : int
        Steps that count, at least 20.
    burn_in : int
        Steps before them, in which the tangent vector turns to the most expanding direction.
    keep_every : int, optional
        Keep the weights of every `keep_every`-th step.
    rng : int, SeedSequence or Generator
        For the first tangent vector.
    device : str

    Returns
    -------
    TrainingLyapunov
        Of a run that diverges the exponent is NaN, with a warning; `status` says where.

    Raises
    ------
    ValueError
        When the rate is not positive, or `n_steps` is below 20.
    """
    rate = positive_number("learning_rate", learning_rate)
    n_steps, burn_in = whole_number("n_steps", n_steps, 20), whole_number("burn_in", burn_in, 0)
    every = None if keep_every is None else whole_number("keep_every", keep_every)
    operator = HessianOperator(problem, device=device)
    objective = operator.objective
    v = as_generator(rng).standard_normal(objective.size)
    v /= np.linalg.norm(v)
    growth, losses = np.full((2, burn_in + n_steps), np.nan)
    kept, w, diverged_at = [], objective.origin.copy(), None
    for step in range(burn_in + n_steps + 1):
        if every and step % every == 0:
            kept.append(w)
        if step == burn_in + n_steps:
            break
        operator.move(w)
        losses[step], gradient = objective.value_and_gradient()
        v = v - rate * operator.matvec(v.astype(objective.dtype)).astype(np.float64)
        size = np.linalg.norm(v)
        if not np.isfinite([size, losses[step]]).all():
            diverged_at = step
            break
        growth[step], v = np.log(size), v / size
        w = w - objective.dtype.type(rate) * gradient
    counted = growth[burn_in:]
    blocks = np.array([block.mean() for block in np.array_split(counted, 10)])
    made_by = Provenance.of(
        "training_lyapunov",
        rng=rng,
        packages=("numpy", "torch"),
        problem=problem,
        learning_rate=rate,
        n_steps=n_steps,
        burn_in=burn_in,
        keep_every=every,
    )
    positions = np.array(kept, objective.dtype).reshape(len(kept), objective.size)
    if diverged_at is not None:
        warnings.warn(
            f"training diverged at step {diverged_at} at the learning rate {rate:g}: no exponent; lower the learning rate",
            stacklevel=2,
        )
    return TrainingLyapunov(
        value=float(counted.mean()),
        standard_error=float(mean_and_error(blocks)[1]),
        rates=counted,
        losses=losses,
        positions=positions,
        diverged_at=diverged_at,
        provenance=made_by,
    )


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class NoiseScale(Result):
    """Simple gradient noise scale B = S / |G|^2, in samples, and its parts.

    Attributes
    ----------
    value : float
    low, high : float
        95 % interval of `value`, by jackknife over draws on the logarithm; infinite where |G|^2 is
        not told from 0.
    gradient_squared : float
        Unbiased estimate of |G|^2, G the gradient over the population; can be negative.
    variance : float
        Unbiased estimate of S, the trace of the covariance of one sample's gradient.
    provenance : Provenance
    """

    value: float
    low: float
    high: float
    gradient_squared: float
    variance: float
    provenance: Provenance


def gradient_noise_scale(
    problem: Problem,
    *,
    small: int,
    big: int,
    n_draws: int = 20,
    rng: Rng = 0,
    device: str | torch.device = "cpu",
) -> NoiseScale:
    """Estimate the batch size at which noise and signal of the gradient are equal.

    Parameters
    ----------
    problem : Problem
        Batches are drawn from its data, without replacement within a draw; its own `batch_size` is not used.
    small, big : int
        Batch sizes, small < big <= the number of samples; the small batch is the first part of the big one.
    n_draws : int
        At least 3 (our choice 20); draw i uses realisation i of `rng`.
    device : str

    Returns
    -------
    NoiseScale

    Raises
    ------
    ValueError
        When the batch sizes do not ascend or exceed the data, or `n_draws` is below 3.

    References
    ----------
    S. McCandlish et al., "An empirical model of large-batch training" (2018), appendix A.1.
    """
    data = checked_problem(problem).load()
    n_samples = batches.n_samples(data)
    small, big, n_draws = (
        whole_number(name, value, minimum)
        for name, value, minimum in (("small", small, 1), ("big", big, 2), ("n_draws", n_draws, 3))
    )
    require(
        n_samples is not None,
        "problem",
        problem,
        "have data whose tensors share their first length, the number of samples",
        "pass the samples along the first axis",
    )
    require(
        small < big <= n_samples,
        "big",
        big,
        f"lie between small + 1 = {small + 1} and the {n_samples} samples",
        "choose other batch sizes",
    )
    objective = Objective(problem, device=device)
    sameness.check_samples(objective, data)
    squares = np.empty((n_draws, 2))
    for i in range(n_draws):
        drawn = torch.as_tensor(realisation(rng, i).permutation(n_samples)[:big])
        for k, size in enumerate((small, big)):
            gradient = objective.batch_gradient(batches.taken(data, drawn[:size]))
            squares[i, k] = np.sum(gradient.astype(np.float64) ** 2)
    parts = np.array(
        [_noise_parts(squares.mean(axis=0), small, big)]
        + [
            _noise_parts(np.delete(squares, i, axis=0).mean(axis=0), small, big)
            for i in range(n_draws)
        ]
    )
    made_by = Provenance.of(
        "gradient_noise_scale",
        rng=rng,
        packages=("numpy", "torch"),
        problem=problem,
        small=small,
        big=big,
        n_draws=n_draws,
    )
    value, low, high = _ratio_interval(parts)
    return NoiseScale(
        value=value,
        low=low,
        high=high,
        gradient_squared=float(parts[0, 0]),
        variance=float(parts[0, 1]),
        provenance=made_by,
    )


def _noise_parts(squares, small, big):
    """Return unbiased |G|^2 and S from the mean squared norms of small and big batches' gradients."""
    return (big * squares[1] - small * squares[0]) / (big - small), (squares[0] - squares[1]) / (
        1 / small - 1 / big
    )


def _ratio_interval(parts):
    if (parts <= 0).any():
        return float(parts[0, 1] / parts[0, 0]) if parts[0, 0] > 0 else np.inf, 0.0, np.inf
    logs = np.log(parts[:, 1] / parts[:, 0])
    low, high = jackknife_interval(logs[0], logs[1:])
    return float(np.exp(logs[0])), float(np.exp(low)), float(np.exp(high))
