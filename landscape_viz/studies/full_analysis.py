"""The chapters of a full analysis of one trained network: each measures, draws, and says what the numbers mean."""

from dataclasses import dataclass

import numpy as np

from landscape_viz import checkpoint, directions, figures, sharpness, trajectory
from landscape_viz.curvature.density import SpectralDensity, negative_eigenvalues, spectral_density
from landscape_viz.curvature.eigenpairs import Eigenpairs, top_eigenpairs
from landscape_viz.curvature.hessian import HessianOperator
from landscape_viz.curvature.xtrace import Trace, trace
from landscape_viz.figures import summaries
from landscape_viz.sections import Section, section
from landscape_viz.studies.experiment import Experiment, Subject, Trained
from landscape_viz.trajectory import Trajectory
from multifractal.base.result import Provenance, Result
from multifractal.figures.html_report import Chapter

_N_EIGENVALUES = 5
_MOST_STATES = 12  # of a training run that are projected
_MOST_HESSIANS = 5  # along it
_SMALL = 1e-3  # of the largest eigenvalue: what counts as negative is below minus that


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class SharpnessAlong(Result):
    """Largest Hessian eigenvalue at saved epochs.

    Attributes
    ----------
    epochs, values : ndarray, shape (n,)
    residuals : ndarray, shape (n,)
        Of the eigenpairs: an eigenvalue lies within it of each value.
    provenance : Provenance
    """

    epochs: np.ndarray
    values: np.ndarray
    residuals: np.ndarray
    provenance: Provenance


@dataclass(frozen=True)
class FullAnalysis:
    """What is measured: folder, data and network, training run; images a loss, device, points along an axis."""

    experiment: Experiment
    subject: Subject
    trained: Trained
    n_samples: int = 512
    device: str = "cpu"
    n_points: int = 21

    def training(self):
        """Return the chapter on training and its outcome."""
        run, best = self.trained.run, self.trained.best_epoch
        gap = float(run.test_loss[best - 1] - run.train_loss[best - 1])
        return Chapter(
            "Training",
            [
                f"Training loss is the mean over the batches of an epoch while the weights change; test loss and accuracy are "
                f"taken after it. The network probed below is that of epoch {best}, the most accurate on the test images: "
                f"chosen on them, so its accuracy is slightly flattering.",
                f"The test loss is {abs(gap):.3g} nats {'above' if gap > 0 else 'below'} the training loss there; since that is "
                f"a mean over an epoch that began worse, the two are not quite comparable.",
            ],
            {
                "data": repr(self.subject.data),
                "network": type(self.subject.factory()).__name__,
                "parameters": f"{len(self._problem().weights()):,}",
                "optimizer": f"{run.optimizer}, rate {run.learning_rate:g}, batches of {run.batch_size}",
                "best epoch": f"{best} of {len(run.train_loss)}",
                "test accuracy": _share(
                    self.trained.best_accuracy, len(self.subject.data.test_targets)
                ),
                "training loss": f"{run.train_loss[best - 1]:.4g} nats",
                "test loss": f"{run.test_loss[best - 1]:.4g} nats",
            },
            {
                self.experiment.picture(
                    "training", summaries.training(run)
                ): "Losses and accuracy by epoch."
            },
        )

    def sharpness(self):
        """Return the chapter on sharpness, which is cheap and always there."""
        problem = self._problem()
        radius = 0.05 * float(np.linalg.norm(problem.weights().double().numpy()))
        ball = self._kept(
            "ball_sharpness",
            sharpness.BallSharpness,
            lambda: sharpness.ball_sharpness(problem, radius, n_samples=20, device=self.device),
        )
        average = self._kept(
            "average_sharpness",
            sharpness.Sharpness,
            lambda: sharpness.average_sharpness(problem, n_samples=20, device=self.device),
        )
        adaptive = self._kept(
            "adaptive_sharpness",
            sharpness.Sharpness,
            lambda: sharpness.adaptive_sharpness(problem, device=self.device),
        )
        return Chapter(
            "Sharpness",
            [
                f"Within 5 % of the weights' norm ({radius:.3g}) the loss rises on average by {ball.mean:.3g} nats in a random "
                f"direction, and by at least {ball.ascent:.3g} in the worst: random directions say little about the worst one.",
                "What this does not say: whether the network generalises. Rescaling the layers of a ReLU network leaves its "
                "function, and so its test accuracy, as they are but changes the first two numbers at will; the last two stay. "
                "Even those are no law: measure the test loss where you can.",
            ],
            {
                "mean rise at 5 % of the norm": f"{ball.mean:.4g} ± {ball.standard_error:.2g} (n = {ball.n_samples})",
                "largest rise found in that ball": f"at least {ball.ascent:.4g} (by ascent; drawn {ball.sampled_maximum:.4g})",
                "rise under noise of 10 % of each weight": f"{average.value:.4g} ± {average.standard_error:.2g} (n = 20)",
                "adaptive sharpness, radius 0.5": f"{adaptive.value:.4g}",
            },
        )

    def landscape(self):
        """Return the chapter on the line to the initial weights and a plane of two random directions."""
        problem = self._problem(sections=True)
        start = directions.toward(problem, checkpoint.load(self.trained.checkpoints[0]).state_dict)
        start.labels[:] = ["0: trained, 1: initial weights"]
        line = self._section(
            "line", problem, start, [np.linspace(-0.5, 1.5, 2 * self.n_points - 1)]
        )
        axis = np.linspace(-1, 1, self.n_points)
        plane = self._section("plane", problem, directions.random(problem, 2), [axis, axis])
        along = line.values["loss"][(line.x >= 0) & (line.x <= 1)]
        bump = float(np.max(along) - max(along[0], along[-1]))
        middle = plane.values["loss"][self.n_points // 2, self.n_points // 2]
        lowest = float(np.nanmin(plane.values["loss"]))
        return Chapter(
            "The loss around the trained weights",
            [
                f"On the straight line from the initial to the trained weights the loss "
                f"{'rises over no barrier' if bump <= 1e-3 else f'climbs {bump:.3g} nats above both ends'}. Training itself did "
                f"not go along it.",
                f"In the plane of two random directions, each filter moved by up to its own norm, the lowest grid point is "
                f"{'the trained point' if lowest >= middle - 1e-9 else f'{middle - lowest:.3g} nats below the trained point'}; "
                f"{plane.n_not_finite} of {plane.status.size} points are not finite. Two of {len(problem.weights()):,} "
                f"directions are shown: a picture, not a proof of convexity.",
            ],
            {
                "loss at the trained weights": f"{middle:.4g} nats",
                "highest loss in the plane": f"{np.nanmax(plane.grid[0]):.4g} nats",
                "barrier on the line": f"{max(bump, 0.0):.3g} nats",
            },
            {
                self._picture(
                    "line", figures.line(line)
                ): "Along the line from the trained to the initial weights.",
                self._picture(
                    "plane", figures.overview(plane, clip=10)
                ): "Random plane, in units of the filters' norms; "
                "heights above the minimum + 10 are cut.",
            },
        )

    def hessian(self):
        """Return the chapter on the Hessian: extreme eigenvalues, trace, density, negative curvature."""
        operator = HessianOperator(self._problem(), device=self.device)
        pairs = self._kept("hessian", Eigenpairs, lambda: top_eigenpairs(operator, _N_EIGENVALUES))
        estimate = self._kept(
            "trace",
            Trace,
            lambda: trace(operator, n_products=min(10, 2 * (operator.shape[0] // 2))),
        )
        density = self._kept(
            "hessian_density",
            SpectralDensity,
            lambda: spectral_density(operator, n_probes=3, n_steps=15),
        )
        top, threshold = float(pairs.values[0]), _SMALL * float(np.abs(pairs.values).max())
        negative = negative_eigenvalues(density, threshold)
        classes = self.subject.data.n_classes
        return Chapter(
            "The Hessian",
            [
                f"Curvature sits in few directions: the largest eigenvalue is {top:.3g} while the mean over all is "
                f"{estimate.value / operator.shape[0]:.2g}. With {classes} classes about that many outliers are usual, and a "
                f"bulk around zero.",
                f"Plain gradient descent at a fixed rate is stable along the top eigenvector up to a rate of 2 / {top:.3g} = "
                f"{2 / top:.3g}."
                if top > 0
                else "The largest eigenvalue is not positive: this is no minimum.",
                "A Hessian of this size is singular, so its condition number over all eigenvalues is infinite or noise and is "
                "not given. Negative eigenvalues are usual where training has not converged; how many hangs on the threshold.",
            ],
            {
                "largest eigenvalues": ", ".join(f"{value:.4g}" for value in pairs.values)
                + f" (residuals at most {max(pairs.residuals.max(), 1e-6 * top):.1g})"
                + ("" if pairs.converged else " NOT converged"),
                "trace": f"{estimate.value:.4g} ± {estimate.standard_error:.2g} ({estimate.products} products)",
                f"eigenvalues below -{threshold:.2g}": f"{negative.count:.3g} ± {negative.standard_error:.2g}, "
                f"{negative.share:.2%} of {density.n:,}",
            },
            {
                self._picture(
                    "hessian", summaries.hessian(pairs, density)
                ): "Largest eigenvalues and spectral density "
                f"of the loss on {self.n_samples} training images."
            },
        )

    def trajectory(self):
        """Return the chapter on the training run: in its principal plane, and its sharpness epoch by epoch."""
        problem = self._problem(sections=True)
        epochs = _spread(sorted(self.trained.checkpoints), _MOST_STATES)
        states = [checkpoint.load(self.trained.checkpoints[epoch]).state_dict for epoch in epochs]
        along = self._kept(
            "sharpness_along",
            SharpnessAlong,
            lambda: self._sharpness_along(
                _spread(epochs, _MOST_HESSIANS), _spread(states, _MOST_HESSIANS)
            ),
        )
        chapter = Chapter(
            "The training run",
            [
                f"The largest Hessian eigenvalue goes from {along.values[0]:.3g} at the start to {along.values[-1]:.3g} at the "
                f"last epoch (on {self.n_samples} training images, evaluation mode)."
            ],
            {"saved states": f"{len(epochs)}, epochs {epochs[0]} to {epochs[-1]}"},
            {
                self._picture(
                    "sharpness_along",
                    summaries.sharpness_along(along.epochs, along.values, along.residuals),
                ): "Largest Hessian eigenvalue by epoch; bars are residuals."
            },
        )
        if len(states) < 4:
            chapter.words.append(
                "Too few saved states for a principal plane: train for at least 3 epochs."
            )
            return chapter
        plane = directions.pca(problem, states)
        run = self._kept(
            "trajectory", Trajectory, lambda: trajectory.project(problem, states, plane)
        )
        mapped = self._section(
            "trajectory_plane",
            problem,
            plane,
            [_spanning(column, self.n_points) for column in run.coordinates.T],
        )
        chapter.pictures[self._picture("trajectory", figures.trajectory(run, mapped, clip=10))] = (
            "The run in its principal plane; below, its own loss, that of its shadow in the plane, and the residual."
        )
        chapter.words.append(
            f"Projected on its own two principal directions the run leaves a residual of up to {run.residuals.max():.0%} of "
            f"its distance from the trained weights; its true loss and that of the plane under it differ by up to "
            f"{np.abs(run.true_loss - run.plane_loss).max():.3g} nats. A random walk too would seem explained by two "
            f"directions: compare the shares on the axes."
        )
        return chapter

    def _problem(self, sections=False):
        batch_norm = any("running_mean" in name for name in self.trained.state)
        mode = {"batch_norm": "recalibrate"} if sections and batch_norm else {}
        return self.subject.problem(self.trained.state, self.n_samples, **mode)

    def _sharpness_along(self, epochs, states):
        start, values, residuals = None, [], []
        for state in states:
            operator = HessianOperator(self._problem().with_state(state), device=self.device)
            pair = top_eigenpairs(operator, 1, tol=1e-2, start=start)
            start = pair.vectors
            values.append(pair.values[0])
            residuals.append(pair.residuals[0])
        return SharpnessAlong(
            epochs=np.array(epochs),
            values=np.array(values),
            residuals=np.array(residuals),
            provenance=Provenance.of("sharpness_along", packages=("numpy", "torch"), epochs=epochs),
        )

    def _section(self, name, problem, along, axes):
        store = self.experiment.path(f"{name}.store")
        mapped = self._kept(
            name,
            Section,
            lambda: section(problem, along, axes, device=self.device, path=store, resume=True),
        )
        store.unlink(missing_ok=True)  # what a stopped section goes on from
        return mapped

    def _kept(self, name, kind, compute):
        return self.experiment.result(name, kind, compute)

    def _picture(self, name, axes):
        return self.experiment.picture(name, axes)


def _spread(items, most):
    """Return at most `most` of the items, evenly spread, both ends among them."""
    return [
        items[i]
        for i in np.unique(
            np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
        )
    ]


def _spanning(values, n_points):
    """Return an axis over all values and 0, with a quarter of their range to spare on either side."""
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    return np.linspace(low - (high - low) / 4, high + (high - low) / 4, n_points)


def _share(share, n):
    """Return a share with its binomial standard error."""
    return f"{share:.1%} ± {np.sqrt(share * (1 - share) / n):.1%} (n = {n})"
