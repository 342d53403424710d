"""The fourteen probes of the zoo: each compares `landscape_viz` with the truth of an entry, and raises where they differ."""

import functools
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from landscape_viz import (
    HessianOperator,
    LossLandscapeAnalyzer,
    Problem,
    directions,
    fractal_report,
    linear_path,
    section,
    spectral_density,
    top_eigenpairs,
    trace,
    trained_path,
)
from landscape_viz.dynamics import gradient_noise_scale
from landscape_viz.loss.objective import Objective
from landscape_viz.sharpness import average_sharpness, fisher_rao_norm, sam_sharpness
from multifractal.base.rng import realisation
from tests.helpers.zoo.truth import NoTruth, Truth

ROUNDING = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 2e-2}
"""Relative error of a loss by dtype: some 20 roundings (two or three of bfloat16's)."""
DIFFERENCES = 1e-6  # of the truth's Hessian: central differences at a step of 1e-5


class Subject:
    """An entry of the zoo with its problem and its truth, each made when first asked for."""

    def __init__(self, entry):
        self.entry = entry

    @functools.cached_property
    def truth(self):
        """The truth in plain torch."""
        return Truth(self.entry) if self.entry.truth else NoTruth()

    @functools.cached_property
    def problem(self):
        """The problem, from what the user has: a module, data, a loss."""
        return Problem(self.model(), None, self.entry.loss, self.data(), **self.entry.options)

    @functools.cached_property
    def operator(self):
        """The Hessian."""
        return HessianOperator(self.problem)

    @functools.cached_property
    def plane(self):
        """Two random directions."""
        return directions.random(self.problem, 2, rng=0)

    @functools.cached_property
    def rounding(self):
        """The relative error that rounding explains, of a loss; of a gradient ten times, of a Hessian a hundred times."""
        return max(ROUNDING[kind] for kind in self.truth.dtypes)

    def model(self):
        """Return the user's network."""
        torch.manual_seed(0)
        return self.entry.make()

    def data(self):
        """Return the user's data."""
        whole = self.entry.data(torch.Generator().manual_seed(0))
        return self.entry.batches(whole) if self.entry.batches else whole

    def agree(self, found, true, factor=1.0, floor=0.0):
        """Raise unless `found` is `true` to rounding, over the largest |true| or `floor`; return the error."""
        found, true = np.asarray(found, float), np.asarray(true, float)
        scale = max(np.abs(true).max(), floor)
        error = np.abs(found - true).max() / scale if scale else np.abs(found).max()
        allowed = factor * self.rounding + (DIFFERENCES if factor > 1 else 0)
        assert error <= allowed, f"off by {error:.2g} where rounding allows {allowed:.2g}"
        return error


def loss(subject):
    """The loss, whatever the batch size."""
    true = subject.truth.loss(subject.truth.origin)
    subject.agree(Objective(subject.problem).loss(), true)
    if subject.entry.options.get("batch_size"):
        for size in (None, 3):
            options = subject.entry.options | {"batch_size": size}
            other = Problem(subject.model(), None, subject.entry.loss, subject.data(), **options)
            subject.agree(Objective(other).loss(), true)


def gradient(subject):
    """The gradient, and the value that comes with it."""
    value, found = Objective(subject.problem).value_and_gradient()
    subject.agree(value, subject.truth.loss(subject.truth.origin))
    subject.agree(found, subject.truth.gradient(subject.truth.origin), 10)


def product(subject):
    """A product with the Hessian."""
    v = np.random.default_rng(0).standard_normal(len(subject.truth.origin))
    found = subject.operator @ v.astype(subject.operator.dtype)
    subject.agree(found, subject.truth.hessian @ v, 100)


def eigenpairs(subject):
    """The largest eigenvalues."""
    true = np.linalg.eigvalsh(subject.truth.hessian)[::-1]
    count = min(3, len(true))
    found = top_eigenpairs(subject.operator, count, tol=1e-6)
    subject.agree(found.values, true[:count], 100, np.abs(true).max())


def whole_trace(subject):
    """The trace, from as many products as there are parameters."""
    n = len(subject.truth.origin)
    found = trace(subject.operator, n_products=max(4, n + n % 2)).value
    floor = np.abs(np.diag(subject.truth.hessian)).sum()
    subject.agree(found, np.trace(subject.truth.hessian), 100, floor)


def density(subject):
    """The first two moments of the density, probe by probe."""
    matrix = subject.truth.hessian
    n = len(matrix)
    found = spectral_density(subject.operator, n_probes=2, n_steps=4)
    largest = np.abs(np.linalg.eigvalsh(matrix)).max()
    for i in range(2):
        v = realisation(0, i).choice([-1.0, 1.0], n)
        for order in (1, 2):
            true = v @ np.linalg.matrix_power(matrix, order) @ v / n
            moment = np.sum(found.weights[i] * found.nodes[i] ** order)
            subject.agree(moment, true, 100, largest**order)


def sections(subject):
    """A section in one dimension and one in two, point by point."""
    axis = np.linspace(-0.5, 0.5, 5)
    one = directions.from_vectors(subject.problem, subject.plane.vectors[:1])
    line = section(subject.problem, one, [axis], metrics=("loss",), progress=False)
    true = [subject.truth.loss(at(subject, [x])) for x in axis]
    subject.agree(line.values["loss"], true, 2)
    axes = [axis[::2], axis[1::2]]
    plane = section(subject.problem, subject.plane, axes, metrics=("loss",), progress=False)
    true = [[subject.truth.loss(at(subject, [x, y])) for y in axes[1]] for x in axes[0]]
    subject.agree(plane.values["loss"], true, 2)


def at(subject, position):
    """Return the weights at a position in the subject's plane."""
    vectors = subject.plane.vectors[: len(position)].astype(float)
    return subject.truth.origin + np.asarray(position) @ vectors


def all_directions(subject):
    """Random directions have the norms of the weights; principal and Hessian ones are those of plain numpy."""
    vectors = directions.hessian(subject.problem, 2).vectors.astype(float)
    top = np.linalg.eigvalsh(subject.truth.hessian)[::-1]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    values = np.sum(vectors @ subject.truth.hessian * vectors, axis=1)
    scale = np.abs(top).max()
    assert np.abs(values - top[:2]).max() <= (2e-3 + 100 * subject.rounding) * scale
    drawn = directions.random(subject.problem, 1, norm="layer", rng=0).vectors[0]
    weights = subject.problem.unflatten(subject.truth.origin)
    least = 1 if any(weight.ndim > 1 for weight in weights.values()) else -1
    for name, part in subject.problem.unflatten(drawn.astype(float)).items():
        weight = weights[name]
        wanted = weight.norm() if weight.ndim > least else 0.0  # biases stay, unless all are biases
        subject.agree(part.norm(), wanted, 10, float(weight.norm()))
    states, moves = run(subject)
    found = directions.pca(subject.problem, states, 2).vectors
    true = np.linalg.svd(moves, full_matrices=False)[2][:2]
    subject.agree(np.abs(np.sum(found * true, axis=1) / np.linalg.norm(found, axis=1)), 1.0, 100)


def run(subject):
    """Return three states of an imagined run, and the moves from the problem's weights to them."""
    rng, origin = np.random.default_rng(1), subject.problem.weights().numpy()
    moves = rng.standard_normal((3, len(origin))) * np.array([[0.3], [0.2], [0.1]])
    state = subject.problem.build().state_dict()
    states = []
    for move in moves:
        parts = subject.problem.unflatten(torch.as_tensor((origin + move).astype(origin.dtype)))
        states.append(state | {name: part.to(state[name].dtype) for name, part in parts.items()})
    kept = [subject.problem.flatten(state).double().numpy() - origin for state in states]
    return states, np.array(kept)


def sharpness(subject):
    """SAM's sharpness and the average one."""
    w, here = subject.truth.origin, subject.truth.loss(subject.truth.origin)
    slope = subject.truth.gradient(w)
    true = subject.truth.loss(w + 0.05 * slope / np.linalg.norm(slope)) - here
    subject.agree(sam_sharpness(subject.problem).value, true, 10, max(here, 1e-3))
    draws = [0.1 * w * realisation(0, i).standard_normal(len(w)) for i in range(3)]
    mirrored = [(subject.truth.loss(w + d) + subject.truth.loss(w - d)) / 2 - here for d in draws]
    found = average_sharpness(subject.problem, n_samples=3)
    subject.agree(found.value, np.mean(mirrored), 10, max(here, 1e-3))


def fisher_rao(subject):
    """The Fisher-Rao norm, sample by sample."""
    found = fisher_rao_norm(subject.problem)
    shares = subject.truth.shares()
    slopes = shares @ subject.truth.origin
    squares = (len(shares) * slopes) ** 2
    subject.agree(found.value, squares.mean(), 100)


def paths(subject):
    """The loss along a straight and along a trained path."""
    state = run(subject)[0][0]
    for path in (
        linear_path(subject.problem, state, n_points=5),
        trained_path(subject.problem, state, n_steps=3, n_points=5),
    ):
        places = subject.truth.origin + path.coordinates @ path.vectors.astype(float)
        true = [subject.truth.loss(place) for place in places]
        subject.agree(path.losses, true, 2)


def noise_scale(subject):
    """The noise scale, from the gradients of the same draws."""
    small, big, n = 3, 8, 10
    found = gradient_noise_scale(subject.problem, small=small, big=big, n_draws=3)
    squares = np.empty((3, 2))
    for i in range(3):
        rows = torch.as_tensor(realisation(0, i).permutation(n)[:big])
        for k, size in enumerate((small, big)):
            slope = subject.truth.of_samples(rows[:size])
            squares[i, k] = slope @ slope
    of_small, of_big = squares.mean(axis=0)
    noise = (of_small - of_big) / (1 / small - 1 / big)
    subject.agree(found.variance, noise, 100, of_small)


def full_analysis(subject):
    """The analyzer's loss, eigenvalues and trace, in evaluation mode."""
    truth = (
        Truth(replace(subject.entry, training=False)) if subject.entry.training else subject.truth
    )
    data = subject.data()
    found = LossLandscapeAnalyzer(subject.model(), data, data, subject.entry.loss).full_analysis()
    true = np.linalg.eigvalsh(truth.hessian)[::-1]
    subject.agree(found.loss, truth.loss(truth.origin))
    largest = np.abs(true).max()
    subject.agree(found.top_eigenvalues, true[: len(found.top_eigenvalues)], 100, largest)
    subject.agree(found.trace, true.sum(), 100, np.abs(true).sum())


def fractality(subject):
    """The fractal report's losses: at the weights, at the corners, and where its zooms meet, which are computed apart."""
    options = {k: v for k, v in subject.entry.options.items() if k != "batch_size"}
    arguments = subject.model(), None, subject.entry.loss, subject.data()
    problem = Problem(*arguments, precision="float64", **options)
    found = fractal_report(
        subject.model(), subject.data(), subject.entry.loss, n_points=113, planes="all", **options
    )
    subject.agree(found.loss, subject.truth.loss(subject.truth.origin))
    vectors = directions.random(problem, 2, rng=realisation(0, 0)).vectors
    for k, width in enumerate(found.half_widths):
        for x, y in ((0, 0), (0, 1), (1, 0), (1, 1)):  # corners
            place = width * (2 * np.array([x, y]) - 1)
            true = subject.truth.loss(subject.truth.origin + place @ vectors)
            subject.agree(found.losses[k][-y, -x], true, 2)
    middle, steps = found.losses.shape[1] // 2, np.arange(-5, 6)
    for near, far in zip(found.losses[:-1], found.losses[1:], strict=True):
        inner = near[np.ix_(middle + steps, middle + steps)]
        subject.agree(far[np.ix_(middle + 10 * steps, middle + 10 * steps)], inner)


PROBES = {
    "loss": loss,
    "gradient": gradient,
    "Hessian product": product,
    "top eigenpairs": eigenpairs,
    "trace": whole_trace,
    "density": density,
    "sections": sections,
    "directions": all_directions,
    "sharpness": sharpness,
    "Fisher-Rao": fisher_rao,
    "paths": paths,
    "noise scale": noise_scale,
    "full_analysis": full_analysis,
    "fractal_report": fractality,
}


def cell(subject, probe):
    """Return "right", or the words of a refusal that is expected; raise what else happens."""
    words = subject.entry.refused.get(probe, subject.entry.refused.get("all"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if words is None:
            PROBES[probe](subject)
            return "right"
        with pytest.raises(ValueError, match=words) as refusal:
            PROBES[probe](subject)
    return str(refusal.value)
