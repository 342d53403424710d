"""Real networks for the comparison with the model: sections of one, and full-batch training of small ones, with chaos."""

import warnings
from functools import partial

import numpy as np
from tqdm.auto import tqdm

from landscape_viz import datasets, directions, models, small_models, training
from landscape_viz.curvature.eigenpairs import top_eigenpairs
from landscape_viz.curvature.hessian import HessianOperator
from landscape_viz.dynamics import training_lyapunov
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.loss.problem import Problem
from landscape_viz.sections import section
from multifractal.base.result import Provenance
from multifractal.measured.descent_table import displacement_of, stretch_times, training_record

DROPOUT = {"eval mode": "off", "live dropout": "live", "fixed mask": "fixed"}
# Kind of `small_models`: learning rates, from far below the edge of stability at the start to where training fails.
NETWORKS = {
    "shallow": (0.1, 0.2, 0.4, 0.6, 0.8, 1.2, 2.0),
    "residual": (0.005, 0.01, 0.02, 0.04, 0.07, 0.1, 0.2),
}
# of a small network, and of the training set that it descends on (our choice)
_PARAMETERS, _IMAGES = 1000, 256


def trained_mlp(epochs=20):
    """Return (factory, weights, data) of a 784-64-32-10 perceptron with dropout 0.5 trained on digits by Adam, seed 0."""
    data = datasets.load("digits")
    factory = partial(models.build, "mlp", rng=0, hidden=(64, 32), dropout=0.5)
    model = factory()
    with pinned_threads(1):
        training.train(model, data, epochs=epochs, rng=0)
    return factory, model.state_dict(), data


def mlp_section(mode, n_points=129, *, network=None, **options):
    """Return the loss of `trained_mlp` on 512 images over a random plane from -1 to 1 in filter norms.

    Parameters
    ----------
    mode : str
        A key of `DROPOUT`: what dropout does while the section is mapped.
    n_points : int
        Along either axis.
    network : tuple, optional
        What `trained_mlp` returned.
    **options
        As for `section`: `store`, `resume`, `executor`, `progress`.
    """
    factory, state, data = trained_mlp() if network is None else network
    problem = Problem(
        factory, state, "cross_entropy", data.batch(512, rng=0), dropout=DROPOUT[mode]
    )
    axis = np.linspace(-1, 1, n_points)
    return section(
        problem, directions.random(problem, 2, rng=0), [axis, axis], metrics=("loss",), **options
    )


def network_table(kind, *, learning_rates=None, n_runs=5, n_steps=160):
    """Descend with a small network on all of 256 digits at each rate from each seed, and return what descent did.

    Parameters
    ----------
    kind : str
        Of `small_models`, with 1000 parameters.
    learning_rates : array_like, optional
        Default: those in `NETWORKS`.
    n_runs, n_steps : int
        Weights from seeds 0, 1, ...; steps a run, even.

    Returns
    -------
    DescentTable
        Of one system; a run that diverged is NaN.
    """
    rates = np.asarray(
        NETWORKS[kind] if learning_rates is None else learning_rates, dtype=np.float64
    )
    batch = datasets.load("digits").batch(_IMAGES, rng=0)
    times = stretch_times(n_steps)
    with tqdm(total=len(rates) * n_runs, desc=kind, unit=" runs", disable=None) as bar:
        cells = [
            [_trained(kind, batch, rate, seed, times, bar) for seed in range(n_runs)]
            for rate in rates
        ]
    stretch, growing, at_start, at_end, loss, curves = (
        np.array([[cell[k] for cell in row] for row in cells]) for k in range(6)
    )
    made_by = Provenance.of(
        "network_table",
        packages=("numpy", "torch"),
        kind=kind,
        learning_rates=rates,
        n_runs=n_runs,
        n_steps=n_steps,
    )
    return training_record(
        f"{kind} network, digits",
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


def _trained(kind, batch, rate, seed, times, bar):
    """Return stretch, whether it grew late, sharpness over edge at start and end, losses and displacement of one run."""
    bar.update()
    n_steps = int(times[-1])
    problem = Problem(
        partial(small_models.build, kind, rng=seed, parameters=_PARAMETERS),
        None,
        "cross_entropy",
        batch,
    )
    with pinned_threads(1):
        operator = HessianOperator(problem)
        at_start = _over_edge(operator, rate)
        with warnings.catch_warnings():  # a run that diverges is NaN in the table
            warnings.filterwarnings("ignore", "training diverged")
            found = training_lyapunov(
                problem, learning_rate=rate, n_steps=n_steps, keep_every=1, rng=seed
            )
        if found.diverged_at is not None:
            curves = displacement_of(np.full((1, n_steps + 1, 1), np.nan), n_steps)
            return (
                np.full(len(times), np.nan),
                np.nan,
                at_start,
                np.nan,
                [operator.objective.loss(), np.nan],
                curves,
            )
        operator.move(found.positions[-1])
        at_end = _over_edge(operator, rate)
    stretch = np.cumsum(found.rates)[times - 1]
    loss = [found.losses[0], operator.objective.loss()]
    curves = displacement_of(found.positions[None], n_steps)
    return stretch, float(stretch[-1] - stretch[-3] > 1), at_start, at_end, loss, curves


def _over_edge(operator, rate):
    return top_eigenpairs(operator, 1).values[0] * rate / 2
