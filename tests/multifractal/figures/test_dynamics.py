"""Figures of dynamics: what is drawn is what the results hold."""

import matplotlib as mpl
import numpy as np
import pytest

from multifractal import EdgeOfStability, Landscape, LyapunovExponents, descend_ensemble, figures


@pytest.fixture(autouse=True)
def _no_window():
    """Draw without a display."""
    mpl.use("Agg")


def edge(factor):
    """Return made-up sharpness of 3 walks: 2/rate times `factor` (one number a rate)."""
    rates = 2.0 ** np.arange(5)
    sharpness = (2 / rates * factor)[:, None, None] * np.array([0.9, 1, 1.1])[:, None]
    return EdgeOfStability(
        sharpness=sharpness, learning_rates=rates, n_steps=9, kind="hessian", provenance=None
    )


def exponents(method, shift):
    """Return made-up exponents of 4 walks at 5 rates."""
    spread = np.array([-1.0, 0, 0, 1])[:, None] + np.array([0, -0.5])
    return LyapunovExponents(
        exponents=shift + np.arange(5.0)[:, None, None] + spread,
        learning_rates=2.0 ** np.arange(5),
        n_steps=100,
        burn_in=50,
        method=method,
        provenance=None,
    )


def texts(ax):
    """Return the legend's entries."""
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_loss_by_step_draws_the_mean_of_each_rate():
    """One pale curve a rate at the mean over starts, steps from 1 on, and a bold one through some of its points."""
    walks = descend_ensemble(
        Landscape(np.random.default_rng(0).normal(size=(9, 9))),
        [[1, 2], [5, 5.5]],
        learning_rates=[0.1, 1.0],
        n_steps=20,
    )
    ax = figures.loss_by_step(walks)
    assert texts(ax) == ["0.1", "1"]
    pale, bold = ax.lines[2:4]
    expected = np.column_stack([range(1, 21), walks.losses[1].mean(0)[1:]])
    np.testing.assert_array_equal(pale.get_xydata(), expected)
    steps = bold.get_xdata().astype(int)
    assert (steps[0], steps[-1]) == (1, 20)
    np.testing.assert_array_equal(bold.get_xydata(), expected[steps - 1])
    assert bold.get_color() == pale.get_color() == figures._style.rate_colour(1.0)


def test_sharpness_by_rate_shades_the_range_it_was_given():
    """The range in the legend is the result's; without one there is no shade; a published result is named."""
    ax = figures.sharpness_by_rate(edge(np.array([9, 1, 1, 9, 9.0])), published=edge(np.ones(5)))
    assert texts(ax)[0] == "2 / rate within the first one's 95 %: 2 to 4"
    assert "published file" in texts(ax)
    ax = figures.sharpness_by_rate(edge(np.full(5, 9.0)))
    assert texts(ax) == ["2 / rate", "largest Hessian eigenvalue"]
    ax = figures.sharpness_by_rate(edge(np.ones(5)), edge(np.ones(5)), names=["anywhere", "near"])
    assert {"anywhere", "near"} < set(texts(ax))


def test_lyapunov_by_rate_draws_means_and_shares():
    """The first line is the mean of the largest exponent, the right panel the share that is positive."""
    exact, estimate = exponents("tangent", -1.5), exponents("two_trajectories", -1.0)
    published = {
        "lrs": exact.learning_rates,
        "mle_mean": np.zeros(5),
        "mle_95": np.tile([-0.1, 0.1], (5, 1)),
    }
    axes = figures.lyapunov_by_rate(
        exact, estimate, published=published, ceiling=0.86, edge=edge(np.ones(5))
    )
    np.testing.assert_array_equal(axes[0].lines[0].get_ydata(), exact.mean[:, 0])
    assert any("0.86" in text for text in texts(axes[0]))
    shares = {line.get_label(): line.get_ydata() for line in axes[1].lines}
    np.testing.assert_array_equal(shares["exact"], [0, 0.25, 0.75, 1, 1])


def test_lyapunov_by_trial_ends_at_the_mean(tmp_path):
    """The running mean's last value is the mean over walks; the figure saves with its numbers."""
    exact = exponents("tangent", 0.0)
    ax = figures.lyapunov_by_trial(exact, exponents("two_trajectories", -1.0), rate_index=2)
    assert ax.lines[0].get_ydata()[-1] == exact.mean[2, 0]
    beside = figures.lyapunov_by_trial(exact, rate_index=2, published=(0.478, 0.464, 0.491))
    assert "the paper: 0.478 [0.464, 0.491]" in texts(beside)
    bars = beside.containers[0].lines[2][0].get_segments()[0][:, 1]
    assert bars == pytest.approx([0.464, 0.491])
    figures.save_figure(ax, tmp_path, "trials", running=exact.running(2).value)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "trials.npz",
        "trials.pdf",
        "trials.png",
    ]
