"""One object over all probes: a torch model, its loaders and its criterion in; numbers with their uncertainties out."""

import copy
import inspect
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from landscape_viz import directions
from landscape_viz.connectivity import linear_path
from landscape_viz.curvature.density import condition_number, negative_eigenvalues, spectral_density
from landscape_viz.curvature.eigenpairs import top_eigenpairs
from landscape_viz.curvature.hessian import HessianOperator
from landscape_viz.curvature.xtrace import trace
from landscape_viz.loss import batch_loss, batches, data
from landscape_viz.loss.objective import Objective
from landscape_viz.loss.problem import Problem
from landscape_viz.loss.random_state import seeded
from landscape_viz.sections import section
from landscape_viz.sharpness import ball_sharpness
from multifractal.base import files
from multifractal.base.checks import one_of, positive_number, refuse, require, whole_number
from multifractal.base.result import Provenance, Result

_SEED = 0  # of probes, directions and samples, recorded with each result
_EXACT_UP_TO = 512  # parameters: below, the whole Hessian is computed and its eigenvalues are exact
# of the largest |eigenvalue|: smaller ones count neither as negative nor for the condition number
_THRESHOLD = 1e-3
_RADIUS = 0.05  # of the ball, relative to the norm of the weights
_N_SAMPLES = 50

# (field, unremarkable below, large above, what it is called): thresholds of the analyzers that this one replaces, our words.
_THRESHOLDS = (
    (
        "condition_number",
        100,
        1000,
        "Condition number",
        "gradient descent along the flat directions is slower than along the steep ones by this factor; it covers only "
        "eigenvalues above the threshold",
    ),
    (
        "sharpness",
        0.1,
        1,
        "Sharpness",
        "rise of the loss at the worst point sampled in the ball, a lower bound; rescaling a ReLU network changes it without "
        "changing the function, so it does not compare networks",
    ),
    (
        "num_negative_eigenvalues",
        0.5,
        5,
        "Negative eigenvalues",
        "directions in which the loss curves down more than the threshold; a few are usual before convergence",
    ),
)


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
    num_negative_eigenvalues : float
        Below minus `threshold`.
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
    num_negative_eigenvalues: float
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
    """

    def __init__(
        self,
        model,
        train_loader,
        test_loader,
        criterion,
        device=None,
        *,
        params=None,
        norm="filter",
        precision="as-is",
        augmentation="refuse",
        memory_budget=data.MEMORY_BUDGET,
    ):
        parameters = list(model.parameters())
        require(
            any(p.requires_grad for p in parameters) or (parameters and params is not None),
            "model",
            type(model).__name__,
            "have trainable parameters",
            "call requires_grad_(True) on those to probe, or choose some by params=",
        )
        self._model, self._criterion = model, criterion
        self._how = {"params": params, "precision": precision, "seed": _SEED}
        self.norm = one_of("norm", norm, directions.NORMS)
        self.device = torch.device(parameters[0].device if device is None else device)
        reading = {"seed": _SEED, "augmentation": augmentation, "memory_budget": memory_budget}
        self._train, self._test = (
            data.read(loader, argument=name, **reading)
            for name, loader in (("train_loader", train_loader), ("test_loader", test_loader))
        )
        self.problem = self._problem(model, self._train)

    def full_analysis(self):
        """Return the analysis of the loss on the training data: Hessian, trace and sharpness, with their uncertainties."""
        metrics = self.compute_hessian_metrics()
        radius = _RADIUS * float(np.linalg.norm(self.problem.weights().double().numpy()))
        ball = ball_sharpness(
            self.problem, radius, n_samples=_N_SAMPLES, rng=_SEED, device=self.device
        )
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
            **metrics | {"uncertainty": uncertainty},
        )

    def compute_hessian_metrics(self, num_eigenvalues=20):
        """Return a dict of what the Hessian of the training loss says, with the uncertainty of each number.

        Keys: `top_eigenvalues`, `condition_number`, `spectral_gap`, `trace`, `num_negative_eigenvalues`, the `threshold`
        that the last and the second refer to, and `uncertainty`, a dict by key. Up to 512 parameters the whole Hessian is
        computed and all are exact to rounding; beyond, they are estimates.
        """
        operator = HessianOperator(self.problem, device=self.device)
        _check_finite(operator)
        count = min(whole_number("num_eigenvalues", num_eigenvalues), operator.shape[0])
        return (_exact if operator.shape[0] <= _EXACT_UP_TO else _estimated)(operator, count)

    def visualize_2d_landscape(self, distance=1.0, resolution=50, save_path=None):
        """Map the training loss along two random filter-normalised directions; draw surface and contours side by side.

        Parameters
        ----------
        distance : float
            The axes run from -distance to distance, in units of the filters' norms.
        resolution : int
            Points along each axis.
        save_path : path-like, optional
            Where to save the picture, `.png` or `.pdf`; an existing file is refused.

        Returns
        -------
        Section
        """
        distance, resolution = (
            positive_number("distance", distance),
            whole_number("resolution", resolution, 2),
        )
        if save_path is not None:
            files.refuse_existing(save_path, overwrite=False)
        axis = np.linspace(-distance, distance, resolution)
        mapped = section(
            self.problem,
            directions.random(self.problem, 2, norm=self.norm, rng=_SEED),
            [axis, axis],
            metrics=("loss",),
            device=str(self.device),
        )
        if save_path is not None:
            from landscape_viz import figures

            figure = figures.overview(mapped)[0].figure
            with files.atomic_write(save_path) as file:
                figure.savefig(file, format=Path(save_path).suffix.removeprefix(".") or "png")
        return mapped

    def analyze_optimization_trajectory(self, optimizer, num_steps, track_interval):
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
            (of the training loss); `sharpness` (largest Hessian eigenvalue) at `steps[::5]`. float64 arrays.
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
        return dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True)) | {
            "sharpness": np.array(sharpness)
        }

    def compute_mode_connectivity(self, model2, num_points=50):
        """Measure the training loss on the straight line to another model of the same shape.

        Returns
        -------
        dict
            `barrier_height` = max L - max(L0, L1); `barrier_above_line` = max_t [L_t - (1 - t) L0 - t L1];
            `connectivity_score` = 1 / (1 + max(barrier_height, 0)); `path_norm` = |theta2 - theta1|; the curve, `t` and
            `losses`. Running statistics of BatchNorm are computed anew at each point.
        """
        batch_norm = any(
            isinstance(m, torch.nn.modules.batchnorm._NormBase) for m in self._model.modules()
        )
        problem = replace(self.problem, batch_norm="recalibrate") if batch_norm else self.problem
        path = linear_path(problem, model2.state_dict(), n_points=num_points)
        return {
            "barrier_height": path.barrier_height,
            "barrier_above_line": path.barrier_above_line,
            "connectivity_score": 1 / (1 + max(path.barrier_height, 0.0)),
            "path_norm": path.norm,
            "t": path.t,
            "losses": path.losses,
        }

    def compare_architectures(self, models):
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

    def interpret(self, analysis=None, connectivity=None):
        """Return an analysis in words, each with its threshold and its caveat; never a bare verdict.

        Parameters
        ----------
        analysis : Analysis, optional
            What `full_analysis` returned; made anew without it.
        connectivity : dict, optional
            What `compute_mode_connectivity` returned.
        """
        analysis = self.full_analysis() if analysis is None else analysis
        lines = [
            _in_words(
                label, getattr(analysis, field), low, high, caveat, analysis.uncertainty.get(field)
            )
            for field, low, high, label, caveat in _THRESHOLDS
        ]
        if connectivity is not None:
            lines.append(
                _in_words(
                    "Barrier",
                    connectivity["barrier_height"],
                    0.1,
                    1,
                    "of the straight line only: a curved "
                    "path, or permuting hidden units, may have none",
                    None,
                )
            )
        return "\n".join(lines)

    def _problem(self, model, kept):
        return Problem(model, None, self._criterion, kept, **self._how)

    def _losses(self, model):
        return [
            Objective(self._problem(model, kept), device=self.device, derivatives=False).loss()
            for kept in (self._train, self._test)
        ]


def _check_finite(operator):
    """Refuse a loss without gradient or second derivative at the weights, as at the tip of a square root."""
    product = operator.matvec(np.ones(operator.shape[0], operator.dtype))
    if not (np.isfinite(product).all() and np.isfinite(operator.gradient).all()):
        raise refuse(
            "criterion",
            "a gradient or Hessian that is not finite",
            "be twice differentiable at the weights",
            "look for square roots or logarithms of 0, or probe other weights",
        )


def _exact(operator, count):
    values = np.linalg.eigvalsh(operator.to_dense().astype(np.float64))[::-1]
    threshold = _threshold(values)
    rounding = float(np.finfo(operator.dtype).eps * np.abs(values).max() * len(values))
    words = "all eigenvalues, exact to rounding"
    return {
        "top_eigenvalues": values[:count].copy(),
        "trace": float(values.sum()),
        "threshold": threshold,
        "condition_number": condition_number(values, threshold).value,
        "spectral_gap": _gap(values),
        "num_negative_eigenvalues": float((values < -threshold).sum()),
        "uncertainty": {
            "top_eigenvalues": [rounding] * count,
            "trace": rounding * len(values),
            "condition_number": words,
            "spectral_gap": 2 * rounding,
            "num_negative_eigenvalues": 0.0,
        },
    }


def _estimated(operator, count):
    pairs = top_eigenpairs(operator, count, rng=_SEED)
    threshold = _threshold(pairs.values)
    density = spectral_density(operator, rng=_SEED)
    negative = negative_eigenvalues(density, threshold)
    estimate = trace(operator, rng=_SEED)
    words = f"a lower bound: over the {count} largest eigenvalues only, those above the threshold {threshold:.2g}"
    return {
        "top_eigenvalues": pairs.values,
        "trace": estimate.value,
        "threshold": threshold,
        "condition_number": condition_number(pairs.values, threshold).value,
        "spectral_gap": _gap(pairs.values),
        "num_negative_eigenvalues": negative.count,
        "uncertainty": {
            "top_eigenvalues": pairs.residuals.tolist(),
            "trace": estimate.standard_error,
            "condition_number": words,
            "spectral_gap": float(pairs.residuals[:2].sum()),
            "num_negative_eigenvalues": negative.standard_error,
        },
    }


def _threshold(values):
    return float(_THRESHOLD * np.abs(values).max()) or np.finfo(float).tiny


def _gap(values):
    return float(values[0] - values[1]) if len(values) > 1 else np.nan


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


def _in_words(label, value, low, high, caveat, uncertainty):
    size = (
        f"below {low}"
        if value < low
        else f"above {high}"
        if value > high
        else f"between {low} and {high}"
    )
    known = (
        f" ({uncertainty})"
        if isinstance(uncertainty, str)
        else f" ± {uncertainty:.2g}"
        if uncertainty
        else ""
    )
    return f"{label}: {value:.4g}{known}, {size}. Caveat: {caveat}."
