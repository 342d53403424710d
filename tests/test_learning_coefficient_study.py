"""The page of the learning coefficient runs, the study's exact values are exact, and the page says what the results say."""

import json
import re

import numpy as np
import pytest

from experiments import learning_coefficient as study
from landscape_viz import Objective
from landscape_viz.loss.precision import pinned_threads
from tests.conftest import ROOT


def test_the_page_runs():
    """The block of learning_coefficient.md runs, and its interval holds the coefficient."""
    page, found = (ROOT / "docs" / "learning_coefficient.md").read_text(), {}
    with pinned_threads(1):
        exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], found)  # noqa: S102
    low, high = found["found"].interval
    assert low < 2 < high


def test_exact_values_at_a_temperature():
    """Without a pull w^4 gives 1/4 at any temperature; the product of two squares is summed on a fine grid instead."""
    for nbeta in (3.0, 300.0):
        assert study.at_temperature("w^4", nbeta, 0.0) == pytest.approx(0.25, rel=1e-6)
    w = (np.arange(2000) + 0.5) * 0.003
    loss = np.multiply.outer(w**2, w**2)
    weight = np.exp(-100 * loss - np.add.outer(w**2, w**2) / 2)
    summed = 100 * (loss * weight).sum() / weight.sum()
    assert study.at_temperature("w1^2 w2^2", 100.0, 1.0) == pytest.approx(summed, rel=1e-3)


def test_where_no_value_is_known_none_is_given():
    """A linear network at any pull, and a valley that runs on without one, have no value; a bowl's is 2 n beta over its pull."""
    for name, pull, known in (
        ("deep linear, 3-3-3-3, rank 1", 1.0, False),
        ("deep linear, 3-3-3-3, rank 1", 0.0, False),
        ("w1^2 w2^2", 0.0, False),
        ("w1^2 w2^2", 1.0, True),
        ("w^4", 0.0, True),
    ):
        assert np.isfinite(study.at_temperature(name, 100.0, pull)) == known, (name, pull)
    assert study.at_temperature(study.REGULAR, 3.0, 1.0) == pytest.approx(2 * 3 / 4)


def test_the_models_are_those_named():
    """The losses of the monomials and of the linear networks, away from their minimum, are the formulae's."""
    monomial = Objective(study.monomial([1, 2]))
    assert monomial.loss([0.5, 2.0]) == pytest.approx(0.25 * 16)
    linear = Objective(study.linear([3, 2, 3], 1))
    assert linear.loss() == 0
    first, second = np.random.default_rng(0).normal(size=(2, 6))
    product = second.reshape(3, 2) @ first.reshape(2, 3)
    right = ((product - np.diag([1.0, 0, 0])) ** 2).sum() / 2
    assert linear.loss(np.r_[first, second]) == pytest.approx(right)


def test_each_doubt_has_its_word():
    """What the table calls each rule is read from the sentences of the estimate."""
    rows = study.measure(
        2,
        {"short": study.CHAINS | {"learning_rate": 1e-4, "n_draws": 20, "n_burn_in": 0}},
        ["w^4"],
        intervals=0,
    )["rows"]
    assert "still spreading" in rows[0]["doubts"]
    assert rows[0]["trusted"] == [False, False]


def test_no_trusted_estimate_is_far_off():
    """In the results kept, what is trusted lies within a quarter of its law's exact value, or of the limit where only that is known."""
    rows = json.loads(study.RESULTS.read_text())["rows"]
    trusted = [
        (row["settings"], value, row["limit"] if np.isnan(row["exact"]) else row["exact"])
        for row in rows
        for value, good in zip(row["values"], row["trusted"], strict=True)
        if good
    ]
    assert len(trusted) > 5
    for settings, value, right in trusted:
        assert abs(value - right) < right / 4
        assert settings == "adjusted, 10 times the draws"
    doubted = [v / row["limit"] for row in rows if not any(row["trusted"]) for v in row["values"]]
    assert np.nanmax(doubted) > 1.5


def test_intervals_cover_as_often_as_they_say():
    """Thirty intervals of four chains each hold the exact value in 24 to 30 cases: fewer have a chance of 6 in 10 000."""
    held, of = json.loads(study.RESULTS.read_text())["coverage"]
    assert of == 30
    assert 24 <= held <= of
