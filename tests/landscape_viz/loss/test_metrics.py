"""Metrics: each against plain torch on a section, and the user's own as `Metric` or as a plain function."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from landscape_viz import Metric, Problem, directions, section

torch.manual_seed(0)
DATA = torch.randn(30, 3), torch.randint(4, (30,))
AXES = ["-1:1:3", "-1:1:2"]
TRUTH = {
    "loss": ("low", lambda outputs, targets: cross_entropy(outputs.double(), targets)),
    "accuracy": ("high", lambda outputs, targets: (outputs.argmax(1) == targets).double().mean()),
}
"""By name: which is better, and the metric over all data in plain torch. A metric of the package stands here, or a test fails."""


def network():
    """Return a linear network of fixed weights."""
    generator = torch.Generator().manual_seed(1)
    model = torch.nn.Linear(3, 4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def wrong(model, batch):
    """Return how many answers of a batch are wrong, and how many there are."""
    return (model(batch[0]).argmax(1) != batch[1]).sum(), len(batch[1])


def mapped(metrics):
    """Return a section of the network in batches of 8, and its directions."""
    problem = Problem(network(), None, "cross_entropy", DATA, batch_size=8)
    plane = directions.random(problem, 2, rng=0)
    return section(problem, plane, AXES, metrics=metrics), plane.vectors


@pytest.mark.parametrize("name", list(TRUTH))
def test_each_metric_is_that_of_all_data_at_once(name):
    """At every point of a section, to rounding in float32; the best point is the right extreme."""
    better, truth = TRUTH[name]
    found, vectors = mapped((name,))
    model = network()
    origin = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    for i, x in enumerate(found.x):
        for j, y in enumerate(found.y):
            moved = origin + torch.as_tensor(x * vectors[0] + y * vectors[1], dtype=origin.dtype)
            torch.nn.utils.vector_to_parameters(moved, model.parameters())
            with torch.no_grad():
                expected = float(truth(model(DATA[0]), DATA[1]))
            assert found.values[name][i, j] == pytest.approx(expected, rel=2e-6)
    extreme = np.min if better == "low" else np.max
    (x, y), value = found.best(name)
    assert value == extreme(found.grid)
    assert found.values[name][list(found.x).index(x), list(found.y).index(y)] == value


def test_your_own_metric():
    """It has its name and its sense; a plain function is taken too, without a sense; both are 1 less the accuracy here."""
    found, _ = mapped(("accuracy", Metric("error", wrong, better="low"), wrong))
    assert found.metrics == ["accuracy", "error", "wrong"]
    np.testing.assert_allclose(found.values["error"], 1 - found.values["accuracy"], atol=1e-12)
    np.testing.assert_array_equal(found.values["error"], found.values["wrong"])
    assert found.best("error")[0] == found.best("accuracy")[0]
    with pytest.raises(ValueError, match="known whether low or high .*; map it as Metric"):
        found.best("wrong")
    renamed, _ = mapped({"miss": Metric("error", wrong, better="low")})
    assert renamed.best("miss") == found.best("error")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("loss", wrong, "low"), "name must be"),
        (("error", 3, "low"), "function must be"),
        (("error", wrong, "less"), "better must be one of"),
    ],
)
def test_refusals(arguments, words):
    """A name that is taken, no function, no sense."""
    with pytest.raises(ValueError, match=words):
        Metric(*arguments)
