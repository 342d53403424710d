"""Summaries of networks, read back from their artists: each number on its axis, under its own name."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from landscape_viz.figures import summaries


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def lines_of(axis):
    """Return the points of each line by its label."""
    return {line.get_label(): line.get_xydata() for line in axis.get_lines()}


def test_training_shows_each_loss_and_the_accuracy_by_epoch():
    """Epochs count from 1; both losses stand on the left axis, the accuracy on the right, all three in the legend."""
    run = SimpleNamespace(
        train_loss=np.array([2.0, 1.0, 0.5]),
        test_loss=np.array([2.5, 1.5, 1.2]),
        test_accuracy=np.array([0.2, 0.5, 0.6]),
    )
    left, right = summaries.training(run)
    drawn = lines_of(left) | lines_of(right)
    for name, values in (
        ("training loss", run.train_loss),
        ("test loss", run.test_loss),
        ("test accuracy (right)", run.test_accuracy),
    ):
        np.testing.assert_array_equal(drawn[name], np.column_stack([[1, 2, 3], values]))
    assert {text.get_text() for text in left.get_legend().get_texts()} == set(drawn)


def test_sharpness_is_drawn_with_its_residuals():
    """Bars reach one residual to either side."""
    axis = summaries.sharpness_along([0, 5], np.array([3.0, 4.0]), np.array([0.1, 0.2]))
    bars = np.array([bar for bar in axis.containers[0].lines[2][0].get_segments()])
    np.testing.assert_allclose(bars[:, :, 0], [[0, 0], [5, 5]])
    np.testing.assert_allclose(bars[:, :, 1], [[2.9, 3.1], [3.8, 4.2]])


def test_planes_of_architectures_rise_from_their_middle(monkeypatch):
    """The first direction runs to the right, heights are above the middle, and the title has accuracy and training loss."""
    filled = []
    monkeypatch.setattr(
        plt.Axes,
        "contourf",
        lambda axis, x, y, z, levels, real=plt.Axes.contourf: (
            filled.append((x, y, z)) or real(axis, x, y, z, levels)
        ),
    )
    first, second = np.array([1.0, 0.5, 0, 3, 4]), np.array([0.3, 0.1, 0, 0.2, 0.4])
    plane = 0.7 + np.add.outer(first, second)
    found = SimpleNamespace(
        axis=np.linspace(-1, 1, 5),
        plane=plane,
        names=["loss_train", "accuracy"],
        values=np.array([0.7, 0.93]),
    )
    axes = summaries.architectures({"net": found})
    x, y, z = filled[0]
    np.testing.assert_array_equal(x, found.axis)
    np.testing.assert_array_equal(y, found.axis)
    np.testing.assert_allclose(z, np.add.outer(second, first), atol=1e-12)
    title = np.ravel(axes)[0].get_title()
    assert title == "net: 93% of test right\nloss at the cross 0.700 nats"
