"""Sharpness of a minimum, in the senses of the literature, each by its definition; L is the problem's mean loss at w.

None of them predicts generalisation by itself. When a ReLU network is rescaled without changing its function, the adaptive
sharpness, the average case and the Fisher-Rao norm stay; the ball's, SAM's and Keskar's change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape_viz.curvature.twice import CheapSecondDerivatives
from landscape_viz.loss import batches, sameness
from landscape_viz.loss.objective import Objective
from landscape_viz.loss.problem import Problem
from multifractal.base.checks import finite_vector, positive_number, require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import realisation
from multifractal.base.statistics import mean_and_error
from multifractal.base.types import ArrayLike, Rng


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Sharpness(Result):
    """One number, with its standard error where it is a mean over random draws (else 0).

    Attributes
    ----------
    value : float
    standard_error : float
    loss : float
        L at the weights themselves.
    provenance : Provenance
    """

    value: float
    standard_error: float
    loss: float
    provenance: Provenance


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class BallSharpness(Result):
    """Rise of the loss in a ball around the weights: all in units of the loss.

    Attributes
    ----------
    mean : float
        Mean rise over points drawn uniformly on the sphere of the radius.
    standard_error : float
        Of the mean.
    sampled_maximum : float
        The largest rise drawn: a LOWER BOUND on the maximum, and in many dimensions a weak one.
    ascent : float
        The largest rise that projected gradient ascent found in the ball: a better lower bound.
    loss : float
    radius : float
    n_samples : int
    provenance : Provenance
    """

    mean: float
    standard_error: float
    sampled_maximum: float
    ascent: float
    loss: float
    radius: float
    n_samples: int
    provenance: Provenance


def ball_sharpness(
    problem: Problem,
    radius: float,
    *,
    n_samples: int = 50,
    n_ascent: int = 20,
    rng: Rng = 0,
    device: str | torch.device = "cpu",
) -> BallSharpness:
    """Return how much the loss rises within a distance `radius` of the weights (epsilon-sharpness).

    Parameters
    ----------
    problem : Problem
    radius : float
        Euclidean, in units of the weights.
    n_samples : int
        Points drawn on the sphere, at least 2 (our choice 50); point i draws from realisation i of `rng`.
    n_ascent : int
        Steps of projected gradient ascent (our choice 20), each of a fifth of the radius, from the gradient's direction.
    rng : int, SeedSequence or Generator
    device : str
        Where the network runs, for example "cuda"; so for the other measures.

    Returns
    -------
    BallSharpness

    Raises
    ------
    ValueError
        When the radius is not positive, or `n_samples` is below 2.
    """
    radius = positive_number("radius", radius)
    n_samples, n_ascent = (
        whole_number("n_samples", n_samples, 2),
        whole_number("n_ascent", n_ascent),
    )
    objective = Objective(problem, device=device)
    here = objective.loss()
    rises = np.array(
        [
            objective.loss(objective.origin + radius * _unit(realisation(rng, i), objective)) - here
            for i in range(n_samples)
        ]
    )
    made_by = _made_by(
        "ball_sharpness", problem, rng, radius=radius, n_samples=n_samples, n_ascent=n_ascent
    )
    highest = max(_ascend(objective, radius, n_ascent) - here, rises.max(), 0.0)
    return BallSharpness(
        mean=float(rises.mean()),
        standard_error=_error(rises),
        sampled_maximum=float(rises.max()),
        ascent=float(highest),
        loss=here,
        radius=radius,
        n_samples=n_samples,
        provenance=made_by,
    )


def sam_sharpness(
    problem: Problem, rho: float = 0.05, *, device: str | torch.device = "cpu"
) -> Sharpness:
    """Return L(w + rho g / |g|) - L(w), g the gradient: the rise that sharpness-aware minimisation penalises.

    Parameters
    ----------
    problem : Problem
    rho : float
        Euclidean radius; 0.05 is the default of Foret et al. (2021), equation 2.
    device : str
    """
    return _along_gradient("sam_sharpness", problem, rho, lambda w: np.ones_like(w), device)


def adaptive_sharpness(
    problem: Problem, rho: float = 0.5, *, device: str | torch.device = "cpu"
) -> Sharpness:
    """Return L(w + delta) - L(w), delta = rho T^2 g / |T g|, T = |w|: invariant when a ReLU network is rescaled.

    Parameters
    ----------
    problem : Problem
    rho : float
        Radius relative to the weights; 0.5 is the default of Kwon et al. (2021), equation 9.
    device : str
    """
    return _along_gradient("adaptive_sharpness", problem, rho, np.abs, device)


def average_sharpness(
    problem: Problem,
    rho: float = 0.1,
    *,
    n_samples: int = 50,
    rng: Rng = 0,
    device: str | torch.device = "cpu",
) -> Sharpness:
    """Return the mean of L(w + xi) - L(w), xi ~ N(0, rho^2 w^2) elementwise: average-case, and adaptive.

    Parameters
    ----------
    problem : Problem
    rho : float
        Relative size of the noise (our choice 0.1).
    n_samples : int
        Draws, each with its mirror image, at least 2 (our choice 50).
    rng : int, SeedSequence or Generator
    device : str

    Raises
    ------
    ValueError
        When `rho` is not positive, or `n_samples` is below 2.

    References
    ----------
    M. Andriushchenko et al., "A modern look at the relationship between sharpness and generalization", ICML 2023, section 3.
    """
    rho, n_samples = positive_number("rho", rho), whole_number("n_samples", n_samples, 2)
    objective = Objective(problem, device=device)
    here, w = objective.loss(), objective.origin
    steps = (
        rho * w * realisation(rng, i).standard_normal(len(w)).astype(w.dtype)
        for i in range(n_samples)
    )
    rises = np.array(
        [(objective.loss(w + step) + objective.loss(w - step)) / 2 - here for step in steps]
    )
    made_by = _made_by("average_sharpness", problem, rng, rho=rho, n_samples=n_samples)
    return Sharpness(
        value=float(rises.mean()), standard_error=_error(rises), loss=here, provenance=made_by
    )


def fisher_rao_norm(problem: Problem, *, device: str | torch.device = "cpu") -> Sharpness:
    """Return E[(w . grad l)^2] over the samples, l a sample's loss: the squared Fisher-Rao norm of Liang et al. (2019).

    A sample's loss is its share of the total, so that the mean of all is the loss; samples lie along the first axis.
    The standard error is that of the mean over the samples of `problem` as draws from a population. `device` is where the
    network runs.
    """
    objective = Objective(problem, device=device)
    objective.require_all_data("fisher_rao_norm")
    rates = np.concatenate([_radial_rates(objective, k) for k in range(len(objective.batches))])
    squares = (rates * len(rates) / objective.facts.divisor) ** 2
    return Sharpness(
        value=float(squares.mean()),
        standard_error=_error(squares),
        loss=objective.loss(),
        provenance=_made_by("fisher_rao_norm", problem),
    )


def keskar_sharpness(
    problem: Problem,
    epsilon: float = 1e-3,
    *,
    n_iterations: int = 10,
    device: str | torch.device = "cpu",
) -> Sharpness:
    """Return 100 (max L(w + y) - L(w)) / (1 + L(w)) over the box |y_i| <= epsilon (|w_i| + 1).

    Parameters
    ----------
    problem : Problem
    epsilon : float
        1e-3 is the paper's default.
    n_iterations : int
        Of L-BFGS-B, which is inexact: the value is a lower bound (paper: 10).
    device : str

    Raises
    ------
    ValueError
        When `epsilon` or `n_iterations` is not positive.

    References
    ----------
    N. S. Keskar et al., "On large-batch training for deep learning", ICLR 2017, metric 2.1.
    """
    epsilon, n_iterations = (
        positive_number("epsilon", epsilon),
        whole_number("n_iterations", n_iterations),
    )
    objective = Objective(problem, device=device)
    here, first = objective.value_and_gradient()
    w = objective.origin.astype(np.float64)
    box = epsilon * (np.abs(w) + 1)

    def descent(y):
        value, gradient = objective.value_and_gradient((w + y * box).astype(objective.dtype))
        return -value, -(gradient * box).astype(np.float64)

    start = 0.1 * np.sign(first)
    found = minimize(
        descent,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-1, 1)] * len(w),
        options={"maxiter": n_iterations, "maxfun": 3 * n_iterations},
    )
    made_by = _made_by("keskar_sharpness", problem, epsilon=epsilon, n_iterations=n_iterations)
    return Sharpness(
        value=float(100 * max(-found.fun - here, 0.0) / (1 + here)),
        standard_error=0.0,
        loss=here,
        provenance=made_by,
    )


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class ScaleDependentCurvature(Result):
    """kappa(epsilon): the size of the change of the gradient over a distance, per distance.

    Attributes
    ----------
    epsilons : ndarray, shape (n,)
        Distances, in units of the weights.
    values : ndarray, shape (n,)
        Mean over random directions.
    standard_error : ndarray, shape (n,)
    provenance : Provenance
    """

    epsilons: np.ndarray
    values: np.ndarray
    standard_error: np.ndarray
    provenance: Provenance


def scale_dependent_curvature(
    problem: Problem,
    epsilons: ArrayLike,
    *,
    n_directions: int = 10,
    rng: Rng = 0,
    device: str | torch.device = "cpu",
) -> ScaleDependentCurvature:
    """Return kappa(eps) = mean |g(w + eps v) - g(w - eps v)| / (2 eps) over random unit directions v.

    For a smooth loss it tends to |H v| as eps shrinks. For a ReLU network the kinks make it grow as eps falls, about as
    eps^(-1/2) over decades: it is then a property of the scale, not an estimate of the Hessian.

    Parameters
    ----------
    problem : Problem
    epsilons : array_like, shape (n,)
        Positive distances.
    n_directions : int
        At least 2 (our choice 10); direction i draws from realisation i of `rng`, the same at all distances.
    device : str

    Raises
    ------
    ValueError
        When a distance is not positive, or `n_directions` is below 2.
    """
    epsilons = finite_vector("epsilons", epsilons)
    require(
        len(epsilons) and (epsilons > 0).all(),
        "epsilons",
        epsilons,
        "be positive",
        "drop the others",
    )
    n_directions = whole_number("n_directions", n_directions, 2)
    objective = Objective(problem, device=device)
    w = objective.origin
    sizes = np.empty((n_directions, len(epsilons)))
    for i in range(n_directions):
        v = _unit(realisation(rng, i), objective)
        for k, epsilon in enumerate(epsilons):
            change = objective.gradient(w + epsilon * v).astype(np.float64) - objective.gradient(
                w - epsilon * v
            )
            sizes[i, k] = np.linalg.norm(change) / (2 * epsilon)
    mean, error, _ = mean_and_error(sizes, axis=0)
    made_by = _made_by(
        "scale_dependent_curvature", problem, rng, epsilons=epsilons, n_directions=n_directions
    )
    return ScaleDependentCurvature(
        epsilons=epsilons, values=mean, standard_error=error, provenance=made_by
    )


def _along_gradient(name, problem, rho, scale, device):
    """Return the rise along rho T^2 g / |T g|, T = scale(w)."""
    rho = positive_number("rho", rho)
    objective = Objective(problem, device=device)
    w = objective.origin
    here, g = objective.value_and_gradient()
    t = scale(w)
    length = np.linalg.norm((t * g).astype(np.float64))
    there = objective.loss((w + rho * t**2 * g / length).astype(w.dtype)) if length > 0 else here
    return Sharpness(
        value=there - here,
        standard_error=0.0,
        loss=here,
        provenance=_made_by(name, problem, rho=rho),
    )


def _ascend(objective, radius, n_steps):
    """Return the largest loss that projected gradient ascent meets in the ball."""
    w, offset, highest = objective.origin, np.zeros(objective.size), -np.inf
    gradient = objective.gradient(w)
    for _ in range(n_steps):
        length = np.linalg.norm(gradient.astype(np.float64))
        if length == 0:
            break
        offset = offset + 0.2 * radius * gradient / length
        offset *= min(1.0, radius / np.linalg.norm(offset))
        value, gradient = objective.value_and_gradient((w + offset).astype(objective.dtype))
        highest = max(highest, value)
    return highest


def _radial_rates(objective, k):
    """Return w . grad l for each sample of batch k, l its share of the batch's total.

    All at once where the rows of the outputs are the samples, which is tried on two of them; else one after the other.
    """
    batch = objective.batches[k]
    count = batches.n_samples(batch)
    require(
        count is not None,
        "problem",
        objective.problem,
        "have data whose tensors share their first length, the number of samples",
        "pass the samples along the first axis",
    )
    sameness.check_samples(objective, batch)
    together = _rates_of_rows(objective, batch, count)
    if objective.problem.batch_norm == "batch" or objective.problem.dropout == "fixed":
        require(
            together is not None,
            "problem",
            objective.problem,
            "have outputs of one row a sample where BatchNorm or dropout joins the samples of a batch",
            "make the Problem(..., batch_norm='eval', dropout='off')",
        )
        return together
    if together is not None and _agree(objective, batch, together):
        return together
    return np.array([_rate_of_one(objective, batch, i) for i in range(count)])


def _rates_of_rows(objective, batch, count):
    """Return the rates by rows of the outputs: d total / d outputs times the derivative of the outputs along w."""
    with objective.evaluating(), CheapSecondDerivatives(), sdpa_kernel(SDPBackend.MATH):
        term = objective.term(batch)
        outputs = term.outputs
        if not isinstance(outputs, torch.Tensor) or not outputs.ndim or len(outputs) != count:
            return None
        if not outputs.requires_grad:
            return None
        # The derivative of outputs along w by two backward passes: the pullback of u is linear in u.
        u = torch.zeros_like(outputs, requires_grad=True)
        pullback = objective.flat_gradient(outputs, grad_outputs=u, create_graph=True)
        if pullback.grad_fn is None:
            return np.zeros(count)
        try:
            (along,) = torch.autograd.grad(pullback @ _origin(objective), u, retain_graph=True)
        except RuntimeError:  # a layer without second derivative
            return None
        (slope,) = torch.autograd.grad(term.total, outputs)
    return (along * slope).reshape(count, -1).sum(dim=1).detach().double().cpu().numpy()


def _rate_of_one(objective, batch, i):
    """Return w . grad of the total of sample i alone."""
    with objective.evaluating():
        total = objective.term(batches.taken(batch, slice(i, i + 1))).total
        return float(objective.flat_gradient(total) @ _origin(objective))


def _agree(objective, batch, together):
    """Whether the rates of the first and the last sample are those of these samples alone."""
    rows = sorted({0, len(together) - 1})
    alone = np.array([_rate_of_one(objective, batch, i) for i in rows])
    close = np.sqrt(np.finfo(objective.dtype).eps) * max(
        np.abs(together).max(), np.abs(alone).max()
    )
    return bool((np.abs(together[rows] - alone) <= close).all())


def _origin(objective):
    return torch.as_tensor(objective.origin).to(objective.device)


def _unit(generator, objective):
    v = generator.standard_normal(objective.size)
    return (v / np.linalg.norm(v)).astype(objective.dtype)


def _error(values):
    return float(mean_and_error(values)[1])


def _made_by(function, problem, rng=None, **arguments):
    return Provenance.of(function, rng=rng, problem=problem, **arguments)
