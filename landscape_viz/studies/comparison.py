"""Networks of one size but different shape, trained alike from several seeds and probed alike."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from landscape_viz import directions, models, sharpness, small_models, training
from landscape_viz.curvature.eigenpairs import top_eigenpairs
from landscape_viz.curvature.hessian import HessianOperator
from landscape_viz.curvature.xtrace import trace
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.loss.problem import Problem
from landscape_viz.sections import section
from multifractal.base.result import Provenance, Result

COLUMNS = {
    "parameters": "parameters",
    "accuracy": "test accuracy",
    "loss_train": "training loss",
    "loss_test": "test loss",
    "largest_eigenvalue": "largest eigenvalue",
    "trace": "trace",
    "average": "rise at 10 % noise",
    "ball": "rise in ball",
}
_RADIUS = 0.05  # of the ball, relative to the norm of the weights (our choice)


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Compared(Result):
    """What one trained network is like.

    Attributes
    ----------
    names : list
        Keys of `COLUMNS`.
    values : ndarray, shape (len(names),), float64
    axis : ndarray, shape (n,), float64
        Coordinates along either random direction, in units of the filters' norms.
    plane : ndarray, shape (n, n), float64
        Loss at [i, j] = (axis[i], axis[j]).
    provenance : Provenance
    """

    names: list
    values: np.ndarray
    axis: np.ndarray
    plane: np.ndarray
    provenance: Provenance


def compared(kind, data, *, seed, epochs, n_samples, n_points):
    """Train one of `small_models` with Adam and probe it.

    Parameters
    ----------
    kind : str
        "shallow", "deep", "residual" or "dense".
    data : Dataset
    seed : int
        Of weights and order of images.
    epochs : int
    n_samples : int
        Training images that the loss is taken on.
    n_points : int
        Along an axis of the section, which spans -1 to 1 in units of the filters' norms.

    Returns
    -------
    Compared
    """
    factory = partial(
        small_models.build, kind, input_shape=data.input_shape, n_classes=data.n_classes
    )
    model = factory(rng=seed)
    with pinned_threads(1):  # such small networks gain nothing from more
        run = training.train(
            model, data, epochs=epochs, optimizer="adam", learning_rate=3e-3, rng=seed
        )
        problem = Problem(
            factory, model.state_dict(), "cross_entropy", data.batch(n_samples, rng=0)
        )
        found = {
            "parameters": models.parameter_count(model),
            "accuracy": run.test_accuracy[-1],
            "loss_test": run.test_loss[-1],
        } | _probed(problem)
        axis = np.linspace(-1, 1, n_points)
        mapped = section(
            problem, directions.random(problem, 2), [axis, axis], metrics=("loss",), progress=False
        )
    made_by = Provenance.of(
        "compared", rng=seed, packages=("numpy", "torch"), kind=kind, data=data, epochs=epochs
    )
    return Compared(
        names=list(COLUMNS),
        values=np.array([float(found[name]) for name in COLUMNS]),
        axis=axis,
        plane=mapped.grid[0],
        provenance=made_by,
    )


def _probed(problem):
    operator = HessianOperator(problem)
    radius = _RADIUS * float(np.linalg.norm(operator.objective.origin))
    ball = sharpness.ball_sharpness(problem, radius, n_samples=10)
    return {
        "loss_train": ball.loss,
        "ball": ball.ascent,
        "largest_eigenvalue": top_eigenpairs(operator, 1).values[0],
        "trace": trace(operator).value,
        "average": sharpness.average_sharpness(problem, n_samples=20).value,
    }


def table(networks):
    """Return a pandas frame of `Compared` by (kind, seed): by kind, mean and standard deviation of each column."""
    import pandas

    frame = pandas.DataFrame(
        [
            dict(zip(found.names, found.values, strict=True)) | {"network": kind}
            for (kind, _), found in networks.items()
        ]
    )
    return frame.groupby("network", sort=False).agg(["mean", "std"])


def as_text(frame):
    """Return a frame of `table` as text, one line per network: mean ± standard deviation where there are several seeds."""
    rows = [["network", *(COLUMNS[name] for name in frame.columns.get_level_values(0)[::2])]]
    for network, row in frame.iterrows():
        pairs = zip(row.to_numpy()[::2], row.to_numpy()[1::2], strict=True)
        rows.append(
            [
                network,
                *(
                    f"{mean:.3g} ± {spread:.1g}" if spread > 0 else f"{mean:.5g}"
                    for mean, spread in pairs
                ),
            ]
        )
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
