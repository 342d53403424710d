"""How networks are mapped: the paper's sections, and widely used plotters, twinned on networks of a thousand weights."""

import warnings
from functools import partial

import numpy as np
import torch
from torch import nn

from experiments.published_findings.finding import Row
from landscape_viz import (
    HessianOperator,
    LossLandscapeAnalyzer,
    Problem,
    directions,
    models,
    section,
    trajectory,
)
from landscape_viz.sharpness import scale_dependent_curvature
from multifractal.analysis.verdict import verdict_of
from multifractal.base.rng import realisation


def problem(*, dropout=0.0, mode="off"):
    """Return a perceptron on 64 random points."""
    inputs = torch.randn(64, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    factory = partial(
        models.build, "mlp", input_shape=(1, 3, 3), hidden=(32, 32), n_classes=3, dropout=dropout
    )
    return Problem(
        factory, None, "cross_entropy", (inputs, inputs.flatten(1)[:, :3].argmax(1)), dropout=mode
    )


def live_dropout():
    """The paper's sections were mapped in training mode: each pixel drew its own dropout mask.

    The roughness of such a section is the noise of dropout. The ratio of the variogram at lags of two and one pixels tells:
    1 for white noise, 4 for a smooth surface. Here dropout is off while mapping unless asked for, and a section records how
    it was. The published sections themselves are below, where the source data are at hand.
    """
    ratios = []
    for mode in ("live", "off"):
        network = problem(dropout=0.5, mode=mode)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the section will hold the noise of dropout
            plane = section(
                network,
                directions.random(network, 2),
                ["-0.2:0.2:41"] * 2,
                metrics=("loss",),
                progress=False,
            )
        ratios.append(verdict_of(plane.to_landscape().values).pixel_noise_ratio)
    return [
        Row(
            "variogram at lag 2 over lag 1",
            *ratios,
            "the same network, dropout off; 4 for a smooth surface",
            tolerance=0.05,
        )
    ]


def drifting_statistics():
    """Mapping in training mode changes the network that is mapped.

    BatchNorm in training mode updates its running statistics at each forward pass, so that the network at the end is not
    the one at the start. Here buffers, modes and random state are left as they were, whatever is measured.
    """
    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 4) + 1, torch.arange(64) % 2
    network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    before = loss_of(network.eval(), inputs, targets)
    LossLandscapeAnalyzer(
        network, [(inputs, targets)], [(inputs, targets)], nn.CrossEntropyLoss()
    ).visualize_2d_landscape(resolution=10)
    ours = loss_of(network.eval(), inputs, targets)
    for _ in range(100):
        network.train()(inputs)
    return [
        Row(
            "change of the loss of the network by mapping 100 points",
            loss_of(network.eval(), inputs, targets) - before,
            ours - before,
            "the same network mapped here",
            0.02,
        )
    ]


def loss_of(network, inputs, targets):
    """Return the mean cross-entropy."""
    with torch.no_grad():
        return nn.functional.cross_entropy(network(inputs), targets).item()


def alternate_rows():
    """loss-landscapes shifts alternate rows of a plane by one step.

    It walks the plane in place, forth in one row and back in the next; forth it evaluates after a step, back too, so that
    rows of even number hold the points 1 to n and the others 0 to n - 1. On a plane whose loss is the coordinate along the
    row, neighbouring rows then differ by a step. Its random directions are uniform on [0, 1], not normal: two of them point
    41 degrees apart instead of being orthogonal.
    """
    n, position, rows = 10, 0, []
    for i in range(n):
        row = []
        for _ in range(n):
            position += 1 if i % 2 == 0 else -1
            row.insert(len(row) if i % 2 == 0 else 0, position)
        rows.append(row)
    network = problem()
    drawn = np.random.default_rng(0).uniform(size=(2, 10_000))
    cosine = drawn[0] @ drawn[1] / np.linalg.norm(drawn[0]) / np.linalg.norm(drawn[1])
    return [
        Row(
            "largest difference between neighbouring rows, in steps",
            int(np.abs(np.diff(rows, axis=0)).max()),
            0,
            "the loss is the coordinate along the row",
        ),
        Row(
            "angle between two random directions in degrees",
            np.degrees(np.arccos(cosine)),
            directions.random(network, 2).angles[0, 1],
            "`directions.random`, normal",
            0.1,
        ),
    ]


def oblong_grids():
    """loss-landscape (Li et al.) stores oblong grids scrambled.

    Losses have shape (len(x), len(y)) but are filled in the order of `meshgrid(x, y)`, which has shape (len(y), len(x)):
    a square grid is transposed, an oblong one scrambled. Entries [i, j] of a 4 x 3 grid that hold the loss of (x_i, y_j), or
    of (x_j, y_i):
    """
    x, y = np.arange(4), np.arange(3)
    stored = (10 * np.meshgrid(x, y)[0] + np.meshgrid(x, y)[1]).ravel().reshape(4, 3)
    true = 10 * x[:, None] + y
    right = max(
        np.mean(stored == true),
        np.mean(stored.T == true.T),
        np.mean(stored == np.arange(4)[:, None] + 10 * y),
    )
    ours = section(
        Problem(Plane, None, first_output, (torch.eye(2), torch.zeros(2))),
        coordinate_directions(),
        [x.astype(float), y.astype(float)],
        metrics=("loss",),
        progress=False,
    )
    return [
        Row(
            "share of entries in their place",
            right,
            np.mean(ours.values["loss"] == true),
            "`section` of the same plane",
        )
    ]


class Plane(nn.Module):
    """A 'network' whose output is 10 x + y of its two weights."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(2))

    def forward(self, inputs):
        """Return the output for each row of `inputs`."""
        return (10 * self.weights[0] + self.weights[1]).expand(len(inputs), 1)


def first_output(outputs, targets):
    """Return the mean output: a loss that knows its place."""
    return outputs.mean()


def coordinate_directions():
    """Return the two axes of a Plane as directions."""
    return directions.from_vectors(
        Problem(Plane, None, first_output, (torch.eye(2), torch.zeros(2))), np.eye(2, dtype="f4")
    )


def off_the_contours():
    """A training path on contours does not lie on the surface that the contours show.

    The states of a run lie off the plane of its two principal directions, so that the loss under the drawn path is not that
    of the states. `trajectory.project` returns both, and the distance from the plane. Here the state halfway through a run:
    """
    start, states = problem(), []
    network, (inputs, targets) = start.build(), start.load()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    for step in range(200):
        if step % 5 == 0:
            states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        batch = torch.randint(64, (8,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(inputs[batch]), targets[batch]).backward()
        optimizer.step()
    end = start.with_state(states[-1])
    path = trajectory.project(end, states, directions.pca(end, states[:-1]))
    half = len(states) // 2
    return [
        Row(
            "loss under the drawn path, and of the state itself",
            path.plane_loss[half],
            path.true_loss[half],
            "the loss of that state",
            0.2,
        )
    ]


def labels_of_an_axis():
    """Landscaper 1.3.1 labels an axis from -1 to 1 that reaches from -0.909 to 0.909.

    Eleven points are placed at whole multiples of 2 / 11 about the middle one and labelled by eleven values from -1 to 1.
    The loss x², read at the label 1:
    """
    placed, labels = (np.arange(11) - 5) * 2 / 11, np.linspace(-1, 1, 11)
    return [Row("x² at the label 1", np.interp(1, labels, placed**2), 1.0, "1²")]


def stale_weights():
    """Weights edited in place inside one autocast context are not seen.

    Autocast keeps the bfloat16 copy of a weight that it made at its first use. A tool that moves the weights in place within
    one context maps the first point again and again: a perfectly flat section. Here weights are never edited in place while
    mapping.
    """
    torch.manual_seed(0)
    layer, inputs = nn.Linear(8, 1), torch.ones(1, 8)
    start, losses = layer.weight.detach().clone(), {}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses["inside"] = [moved(layer, start, step, inputs) for step in range(5)]
    losses["anew"] = []
    for step in range(5):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses["anew"].append(moved(layer, start, step, inputs))
    return [
        Row(
            "range of the loss along a section of five points",
            np.ptp(losses["inside"]),
            np.ptp(losses["anew"]),
            "a new context for each point",
            0.05,
        )
    ]


def moved(layer, start, step, inputs):
    """Return the output of a layer whose weight was moved in place."""
    layer.weight.data.copy_(start + step)
    return layer(inputs).float().item()


def difference_quotients():
    """Hessian products by finite differences do not converge on ReLU networks.

    At each kink that a step crosses the gradient jumps, so that the quotient grows as the step shrinks, about as its inverse
    square root over decades: it is a property of the step, not an estimate of the Hessian. Products here are exact, by two
    derivatives; `scale_dependent_curvature` measures the quotient. Mean size of the quotient along random directions, over
    that of the exact product, for a network fitted to random labels:
    """
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(64, 1, 4, 4, generator=generator, dtype=torch.float64)
    targets = torch.randint(3, (64,), generator=generator)
    network = relu_network()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(300):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(inputs), targets).backward()
        optimizer.step()
    fitted = Problem(relu_network, network.state_dict(), "cross_entropy", (inputs, targets))
    steps, operator = [1e-2, 1e-4], HessianOperator(fitted)
    quotients = scale_dependent_curvature(fitted, steps, n_directions=6).values
    # the same directions
    vectors = [realisation(0, i).standard_normal(operator.shape[0]) for i in range(6)]
    exact = np.mean(
        [np.linalg.norm(operator.matvec(vector / np.linalg.norm(vector))) for vector in vectors]
    )
    return [
        Row(
            f"quotient over exact product, step {step:g}",
            value / exact,
            1.0,
            "the exact product along the same directions",
            0.5,
        )
        for step, value in zip(steps, quotients, strict=True)
    ]


def relu_network():
    """Return a float64 ReLU perceptron."""
    return models.build("mlp", input_shape=(1, 4, 4), hidden=(64, 64), n_classes=3).double()


FINDINGS = (
    live_dropout,
    drifting_statistics,
    alternate_rows,
    oblong_grids,
    off_the_contours,
    labels_of_an_axis,
    stale_weights,
    difference_quotients,
)
