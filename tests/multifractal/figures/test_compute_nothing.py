"""Figures compute nothing: they take results with their means and intervals, and never make a statistic themselves."""

import ast

import pytest

from tests.conftest import ROOT

STATISTICS = set(
    "mean nanmean average median nanmedian std nanstd var nanvar quantile nanquantile percentile nanpercentile histogram "
    "corrcoef cov polyfit lstsq linregress ppf sem curve_fit mean_interval mean_and_error student_interval "
    "percentile_interval median_interval one_more_interval jackknife_interval".split()
)
FIGURES = sorted(
    path
    for package in ("multifractal", "landscape_viz")
    for path in (ROOT / package / "figures").glob("*.py")
)


def statistics_made(source):
    """Return 'line: call' of every call of a statistic, by whatever module or method."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    named = [(call, getattr(call.func, "attr", getattr(call.func, "id", ""))) for call in calls]
    return [f"{call.lineno}: {name}" for call, name in named if name in STATISTICS]


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_a_figure_makes_no_statistic(path):
    """No mean, spread, quantile, fit or interval is called for in a module of figures."""
    assert statistics_made(path.read_text()) == []


def test_a_statistic_is_found():
    """The rule can fail, on functions of numpy and on methods."""
    assert statistics_made("import numpy as np\nnp.nanmean(x)\nx.std(axis=0)\nresult.mean\n") == [
        "2: nanmean",
        "3: std",
    ]
