"""One object over all probes: a torch model, its loaders and its criterion in; numbers with their uncertainties out."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from landscape_viz import directions
from landscape_viz.connectivity import linear_path
from landscape_viz.curvature.eigenpairs import top_eigenpairs
from landscape_viz.curvature.hessian import HessianOperator
from landscape_viz.curvature.interpretation import in_words
from landscape_viz.curvature.pac_bayes import pac_bayes_bound
from landscape_viz.curvature.summary import hessian_summary
from landscape_viz.devices.random_state import seeded
from landscape_viz.loss import batch_loss, batches, data
from landscape_viz.loss.evaluate import Evaluator
from landscape_viz.loss.objective import Objective
from landscape_viz.loss.problem import Problem
from landscape_viz.sections import section
from landscape_viz.sharpness import ball_sharpness
from multifractal.base import files
from multifractal.base.checks import one_of, positive_number, require, whole_number
from multifractal.base.deprecation import renamed
from multifractal.base.result import Provenance, Result
from multifractal.base.types import PathLike

if TYPE_CHECKING:
    import pandas

_SEED = 0  # of probes, directions and samples, recorded with each result
_RADIUS = 0.05  # of the ball, relative to the norm of the weights
_N_SAMPLES = 50


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Analysis(Result):
    """What `full_analysis` found; `uncertainty` says, by field, how far to trust each number.

    Attributes
    ----------
    loss : float
    condition_number : float
    sharpness : float
        Largest rise of the loss at `sharpness_samples` points drawn on the sphere of
        `sharpness_radius`.
    sharpness_radius : float
    sharpness_samples : int
    flatness : float
        1 / sqrt(largest eigenvalue); infinite where that is not positive.
    spectral_gap : float
        Largest minus second largest eigenvalue.
    num_negative_eigenvalues : int
        Below minus `threshold`: counted where the whole Hessian is computed, else the estimate rounded; its standard error
        is in `uncertainty`.
    threshold : float
        What counts as different from zero, in units of the eigenvalues.
    top_eigenvalues : ndarray, shape (k,), float64
        Largest first.
    trace : float
    uncertainty : dict
    provenance : Provenance
    """

    loss: float
    condition_number: float
    sharpness: float
    sharpness_radius: float
    sharpness_samples: int
    flatness: float
    spectral_gap: float
    num_negative_eigenvalues: int
    threshold: float
    top_eigenvalues: np.ndarray
    trace: float
    uncertainty: dict
    provenance: Provenance


class LossLandscapeAnalyzer:
    """Probe the loss landscape around a trained model; the model itself is never changed.

    Parameters
    ----------
    model : torch.nn.Module
        Probed in evaluation mode (running statistics of BatchNorm, no dropout).
    train_loader, test_loader : any data of `Problem`
        Loaders, lists of batches or tensors; read once and kept, in the order of that pass. Shuffling, `drop_last` and worker
        processes are welcome.
    criterion : any loss of `Problem`
        A criterion of torch, a function (outputs, targets) -> mean loss of a batch, `landscape_viz.batch_loss(function)` for
        a function of (model, batch), or None for a model that returns its loss.
    device : str or torch.device, optional
        None (our choice) takes that of the model's first parameter.
    params : None, str, list of str, or callable
        Which parameters all probes move, as for `Problem`.
    norm : {"filter", "layer", "model"}
        Of random directions, as for `directions.random`; filter is the paper's.
    precision, augmentation, memory_budget
        As for `Problem`.

    Raises
    ------
    ValueError
        When the model has nothing to train, its weights are not finite, a loader is empty, or its samples change from pass to
        pass and `augmentation` is not "freeze".

    Examples
    --------
    >>> import torch
    >>> from landscape_viz import LossLandscapeAnalyzer
    >>> model = torch.nn.Linear(2, 2)
    >>> batches = [(torch.eye(2), torch.tensor([0, 1]))]
    >>> analyzer = LossLandscapeAnalyzer(model, batches, batches, torch.nn.CrossEntropyLoss())
    >>> found = analyzer.full_analysis()
    >>> bool(found.loss > 0), len(found.top_eigenvalues) > 0
    (True, True)
    """

    def __init__(
        self,
        model: torch.nn.Module,
        train_loader: Any,
        test_loader: Any,
        criterion: Any,
        device: str | torch.device | None = None,
        *,
        params: object = None,
        norm: str = "filter",
        precision: str = "as-is",
        augmentation: str = "refuse",
        memory_budget: float = data.MEMORY_BUDGET,
    ) -> None:
        parameters = list(model.parameters())
        require(
            any(p.requires_grad for p in parameters) or (parameters and params is not None),
            "model",
            type(model).__name__,
            "have trainable parameters",
            "call requires_grad_(True) on those to probe, or choose some by params=",
        )
        self._model, self._criterion = model, criterion
        self._how = {"params": params, "precision": precision, "rng": _SEED}
        self.norm = one_of("norm", norm, directions.NORMS)
        self.device = torch.device(parameters[0].device if device is None else device)
        reading = {"seed": _SEED, "augmentation": augmentation, "memory_budget": memory_budget}
        self._train, self._test = (
            data.read(loader, argument=name, **reading)
            for name, loader in (("train_loader", train_loader), ("test_loader", test_loader))
        )
        self.problem = self._problem(model, self._train)

    def full_analysis(self, damping: float = 0.0) -> Analysis:
        """Return the analysis of the loss on the training data: Hessian, trace and sharpness, with their uncertainties.

        With `damping` the numbers of the Hessian H are those of H + damping I.
        """
        metrics = self.compute_hessian_metrics(damping=damping)
        radius, ball = self._ball(_RADIUS, _N_SAMPLES)
        top = metrics["top_eigenvalues"]
        uncertainty = metrics["uncertainty"] | {
            "sharpness": f"a lower bound; mean rise {ball.mean:.3g} ± {ball.standard_error:.2g}, "
            f"by ascent {ball.ascent:.3g}",
            "flatness": f"relative error {metrics['uncertainty']['top_eigenvalues'][0] / abs(top[0]) / 2:.1g}",
        }
        made_by = Provenance.of(
            "full_analysis", rng=_SEED, packages=("numpy", "torch"), problem=self.problem
        )
        return Analysis(
            loss=ball.loss,
            sharpness=ball.sampled_maximum,
            sharpness_radius=radius,
            sharpness_samples=_N_SAMPLES,
            flatness=float(1 / np.sqrt(top[0])) if top[0] > 0 else np.inf,
            provenance=made_by,
            **{f.name: metrics[f.name] for f in fields(Analysis) if f.name in metrics}
            | {"uncertainty": uncertainty},
        )

    def compute_hessian_metrics(
        self, num_eigenvalues: int = 20, damping: float = 0.0
    ) -> dict[str, Any]:
        """Return a dict of what the Hessian H of the training loss says, with the uncertainty of each number.

        Keys: `top_eigenvalues`, `max_eigenvalue`, `min_eigenvalue`, `condition_number`, `spectral_gap`, `trace`,
        `num_negative_eigenvalues` (also `num_negative`), the `threshold` that it and the condition number refer to, and
        `uncertainty`, a dict by key. Up to 512 parameters the whole Hessian is computed and all are exact to rounding;
        beyond, they are estimates. With `damping` all are those of H + damping I.
        """
        operator = HessianOperator(self.problem, damping=damping, device=self.device)
        return hessian_summary(operator, whole_number("num_eigenvalues", num_eigenvalues), _SEED)

    def compute_sharpness(
        self, epsilon: float = _RADIUS, num_samples: int = _N_SAMPLES
    ) -> dict[str, Any]:
        """Return how the training loss rises at random points at a distance `epsilon` |w| from the weights w.

        Returns
        -------
        dict
            `sharpness` (largest rise sampled, a lower bound on the ball's), `max_loss` (the loss there), `ascent` (largest
            rise that gradient ascent found, a better bound), `mean_rise` and its `standard_error`, `loss` at w, `radius`.
        """
        radius, ball = self._ball(positive_number("epsilon", epsilon), num_samples)
        return {
            "sharpness": ball.sampled_maximum,
            "max_loss": ball.loss + ball.sampled_maximum,
            "ascent": ball.ascent,
            "mean_rise": ball.mean,
            "standard_error": ball.standard_error,
            "loss": ball.loss,
            "radius": radius,
        }

    def compute_generalization_bound(
        self, prior: Any = None, delta: float = 0.05, num_draws: int = 200
    ) -> Any:
        """Return a PAC-Bayes bound on the share of wrong answers, and that on the test data beside it.

        See `curvature.pac_bayes.pac_bayes_bound` for what it assumes and what it bounds: the network with noise on its weights.

        Parameters
        ----------
        prior : state dict, optional
            Weights chosen without the training data, the initial ones for example; None takes zeros.
        delta : float
            The bound fails with this probability at most.
        num_draws : int

        Returns
        -------
        dict
            `bound`, `noisy_error`, `kl`, `deviation`, `n_samples`, `vacuous` (a bound of 1 says nothing); `train_error` and
            `test_error` of the network without noise.
        """
        found = pac_bayes_bound(
            self.problem, prior, delta=delta, n_draws=num_draws, rng=_SEED, device=self.device
        )
        errors = [
            1
            - Evaluator(
                self._problem(self._model, kept), [], ("accuracy",), device=self.device
            ).measure()[0]
            for kept in (self._train, self._test)
        ]
        return {
            "bound": found.value,
            "vacuous": found.value >= 1,
            "noisy_error": found.noisy_error,
            "kl": found.divergence,
            "deviation": found.deviation,
            "n_samples": found.n_samples,
            "train_error": errors[0],
            "test_error": errors[1],
        }

    @renamed(save_path="path")
    def visualize_2d_landscape(
        self,
        distance: float = 1.0,
        resolution: int = 50,
        path: PathLike | None = None,
        *,
        direction1: Any = None,
        direction2: Any = None,
        overwrite: bool = False,
    ) -> Any:
        """Map the training loss along two directions; draw surface and contours side by side.

        Parameters
        ----------
        distance : float
            The axes run from -distance to distance, in units of the filters' norms, or of your own directions.
        resolution : int
            Points along each axis.
        path : path-like, optional
            Where to save the picture, `.png` or `.pdf`; an existing file is refused unless `overwrite`.
        direction1, direction2 : ndarray, dict or list of tensors, optional
            Your own, flat, by name, or one tensor a parameter, taken as they are. Without: random, filter-normalised.
        overwrite : bool

        Returns
        -------
        Section
        """
        distance, resolution = (
            positive_number("distance", distance),
            whole_number("resolution", resolution, 2),
        )
        if path is not None:
            files.refuse_existing(path, overwrite)
        axis = np.linspace(-distance, distance, resolution)
        mapped = section(
            self.problem,
            self._plane(direction1, direction2),
            [axis, axis],
            metrics=("loss",),
            device=str(self.device),
        )
        if path is not None:
            from landscape_viz import figures

            figure = figures.overview(mapped)[0].figure
            with files.atomic_write(path, overwrite=overwrite) as file:
                figure.savefig(file, format=Path(path).suffix.removeprefix(".") or "png")
        return mapped

    def analyze_optimization_trajectory(
        self, optimizer: torch.optim.Optimizer, num_steps: int = 100, track_interval: int = 10
    ) -> dict[str, Any]:
        """Train a copy of the model with a copy of its optimizer, and watch.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            Over the model's parameters; neither it nor the model is changed.
        num_steps : int
            One training batch each, in the loader's order of the first pass, again and again.
        track_interval : int
            Steps between two measurements.

        Returns
        -------
        dict
            `steps`, and at each of them `losses_train`, `losses_test` (mean over all data, evaluation mode) and `grad_norms`
            (of the training loss); `sharpness` (largest Hessian eigenvalue) at `steps[::5]`: float64 arrays. And
            `train_test_correlation`, Pearson's, of the two losses over these steps: NaN where one of them stays the same.
        """
        num_steps, interval = (
            whole_number("num_steps", num_steps),
            whole_number("track_interval", track_interval),
        )
        model, optimizer = _copies(self._model, optimizer)
        model.train()
        kept = self._train.split(None)
        rows, sharpness = [], []
        with seeded(_SEED):
            for step in range(num_steps + 1):
                if step % interval == 0:
                    problem = self._problem(model, self._train)
                    rows.append((step, *self._losses(model), _gradient_norm(problem, self.device)))
                    if len(rows) % 5 == 1:
                        operator = HessianOperator(problem, device=self.device)
                        sharpness.append(top_eigenpairs(operator, 1, rng=_SEED).values[0])
                if step < num_steps:
                    batch = kept[step % len(kept)]
                    _step(model, optimizer, batch_loss.made(self._criterion), batch, self.device)
        names = ("steps", "losses_train", "losses_test", "grad_norms")
        found = dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))
        correlation = _correlation(found["losses_train"], found["losses_test"])
        return found | {"sharpness": np.array(sharpness), "train_test_correlation": correlation}

    def compute_mode_connectivity(
        self, model2: torch.nn.Module, num_points: int = 50
    ) -> dict[str, Any]:
        """Measure the training loss on the straight line to another model of the same shape.

        Returns
        -------
        dict
            `barrier_height` = max L - max(L0, L1); `barrier_above_line` = max_t [L_t - (1 - t) L0 - t L1];
            `connectivity_score` = 1 / (1 + max(barrier_height, 0)); `path_norm` = |theta2 - theta1|; the curve, `t` and
            `losses`. Running statistics of BatchNorm are recomputed at each point.
        """
        batch_norm = any(
            isinstance(m, torch.nn.modules.batchnorm._NormBase) for m in self._model.modules()
        )
        problem = replace(self.problem, batch_norm="recalibrate") if batch_norm else self.problem
        state, at = model2.state_dict(), self.device
        path = linear_path(problem, state, n_points=num_points, device=at)
        return {
            "barrier_height": path.barrier_height,
            "barrier_above_line": path.barrier_above_line,
            "connectivity_score": 1 / (1 + max(path.barrier_height, 0.0)),
            "path_norm": path.norm,
            "t": path.t,
            "losses": path.losses,
        }

    def compare_architectures(self, models: Mapping[str, torch.nn.Module]) -> pandas.DataFrame:
        """Return a pandas frame, a row a model of the dict `models` {name: model}, on this analyzer's data and criterion."""
        import pandas

        require(
            isinstance(models, dict) and len(models) > 0,
            "models",
            models,
            "be a dict of name: model",
            "name each model",
        )
        rows = {}
        for name, model in models.items():
            other = copy.copy(self)
            other._model, other.problem = model, self._problem(model, self._train)
            found = other.full_analysis()
            train, test = other._losses(model)
            rows[name] = {
                "parameters": sum(p.numel() for p in model.parameters()),
                "loss_train": train,
                "loss_test": test,
                "largest_eigenvalue": found.top_eigenvalues[0],
                "trace": found.trace,
                "condition_number": found.condition_number,
                "sharpness": found.sharpness,
                "flatness": found.flatness,
                "num_negative_eigenvalues": found.num_negative_eigenvalues,
            }
        return pandas.DataFrame.from_dict(rows, orient="index")

    def interpret(self, analysis: Analysis | None = None, connectivity: Any = None) -> str:
        """Return an analysis in words, each with its threshold and its caveat; never a bare verdict.

        Parameters
        ----------
        analysis : Analysis, optional
            What `full_analysis` returned; computed again if it is not given.
        connectivity : dict, optional
            What `compute_mode_connectivity` returned.
        """
        return in_words(self.full_analysis() if analysis is None else analysis, connectivity)

    def _ball(self, share, n_samples):
        """Return (radius, rise of the loss in that ball), the radius a share of the weights' norm."""
        radius = share * float(np.linalg.norm(self.problem.weights().double().numpy()))
        return radius, ball_sharpness(
            self.problem, radius, n_samples=n_samples, rng=_SEED, device=self.device
        )

    def _plane(self, *given):
        """Return the directions given, flat, by name or a tensor a parameter, and random ones in the place of None."""
        random = directions.random(self.problem, 2, norm=self.norm, rng=_SEED)
        if all(one is None for one in given):
            return random
        rows = [
            row
            if one is None
            else np.concatenate([np.ravel(torch.as_tensor(t).detach().cpu().numpy()) for t in one])
            if isinstance(one, list | tuple)
            else one
            for one, row in zip(given, random.vectors, strict=True)
        ]
        return directions.from_vectors(self.problem, rows)

    def _problem(self, model, kept):
        return Problem(model, None, self._criterion, kept, **self._how)

    def _losses(self, model):
        return [
            Objective(self._problem(model, kept), device=self.device, derivatives=False).loss()
            for kept in (self._train, self._test)
        ]


def _correlation(first, second):
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return np.nan
    return float(np.corrcoef(first, second)[0, 1])


def _gradient_norm(problem, device):
    return float(np.linalg.norm(Objective(problem, device=device).gradient().astype(np.float64)))


def _copies(model, optimizer):
    """Return deep copies of both, the second over the parameters of the first."""
    memo = {}
    twin = copy.deepcopy(model, memo)
    groups = [[memo.get(id(p)) for p in group["params"]] for group in optimizer.param_groups]
    require(
        all(p is not None for group in groups for p in group),
        "optimizer",
        type(optimizer).__name__,
        "hold parameters of the analyzed model only",
        "make it from model.parameters()",
    )
    accepted = inspect.signature(type(optimizer)).parameters
    twin_optimizer = type(optimizer)(
        [{"params": group} for group in groups],
        **{name: value for name, value in optimizer.defaults.items() if name in accepted},
    )
    twin_optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return twin, twin_optimizer


def _step(model, optimizer, loss_of, batch, device):
    optimizer.zero_grad()
    term = loss_of(model.to(device), batches.mapped(lambda tensor: tensor.to(device), batch))
    mean = term.weight is not None and loss_of.reduction != "sum"
    loss = term.total / term.weight if mean else term.total
    if not torch.isfinite(loss):
        raise FloatingPointError(f"the training loss is {float(loss)}; lower the learning rate")
    loss.backward()
    optimizer.step()
