"""Every compiled kernel serves a public function that has a naive twin and a benchmark; fits and tables are right."""

import ast
import re
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import harness
from benchmarks.growth import constant_cost, slope
from benchmarks.harness import Case, Parts, Timing
from tests.helpers import naive

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("multifractal", "landscape_viz")

# kernel: the twin of the public function it serves, and how the name of that function's case begins
SERVES = {
    "bootstrap._add_picked": ("resampled_sums", "sums of 199 resamples"),
    "clustering._counts_by_ring": ("mean_counts", "N(R)"),
    "displacement._add_segments": ("tamsd", "TAMSD"),
    "drift._walk_with_local_steps": ("local_walk", "walks with local steps"),
    "minima._flatness_inside": ("local_minima", "minima"),
    "minima._flatness_of": ("flatness", "minima and the flatness"),
    "minima._minima_in_rows": ("local_minima", "minima"),
    "landscape._gradient_rows": ("gradient", "gradient"),
    "landscape._gradients_at": ("interpolate", "gradients at"),
    "landscape._hessian_eigenvalue_rows": ("hessian_eigenvalues", "Hessian eigenvalues"),
    "landscape._values_at": ("interpolate", "values at"),
    "langevin._integrate": ("fractional_langevin", "fractional Langevin path"),
    "leaders._filter_rows": ("leaders", "wavelet leaders"),
    "multifractional._add_level": ("interpolate_levels", "8 levels interpolated"),
    "potentials._gradients": ("paper_potential_gradient", "gradient of the paper's potential"),
    "roughness._mean_square": ("mean_squares", "variogram"),
    "stability._map_sharpness": ("jacobian", "sharpness of the map"),
    "stability._tangent": ("lyapunov", "Lyapunov exponents, 40 rates"),
    "two_trajectories.two_trajectories": (
        "two_trajectories",
        "Lyapunov exponents, published estimator",
    ),
    "two_trajectories._carry_on": ("carried_on", "Lyapunov exponents, trials that carry on"),
    "topology._arcs": ("level_components", "contour tree"),
    "topology._augmented": ("level_components", "contour tree"),
    "topology._merge": ("flood", "merge tree"),
    "topology._reduced": ("level_components", "contour tree"),
    "verdict._moments": ("mean_squares", "verdict"),
    "walking._alone": ("optimise", "one walk"),
    "walking._lockstep": ("optimise", "1000 walkers in lockstep"),
    "walking._advance_on_waves": ("descend_on_field", "descent on a FractalField"),
}


# small parts of functions whose twins and cases stand above, or kernels tried against another package's values
PARTS = {
    "brownian._increment_covariance",
    "displacement._cross_spectrum",
    "langevin.gauss_points",
    "noise._stable",
    "products.product",
    "tangent._orthonormalise",
    "waves.add_curvature",
    "waves.add_squares",
}


def compiled():
    """Return (kernels that are called from Python, those only other kernels call), as module.function."""
    kernels, called = set(), set()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef) and any(
                    ast.unparse(d).partition("(")[0] == "kernel" for d in node.decorator_list
                ):
                    kernels.add(f"{path.stem}.{node.name}")
                    called |= {
                        ast.unparse(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)
                    }
    inner = {kernel for kernel in kernels if kernel.split(".")[1] in called}
    return kernels - inner, inner


def test_every_kernel_has_a_twin_and_a_case():
    """A new kernel must be listed with the twin and the benchmark of the function it serves, and both must be in use."""
    outer, inner = compiled()
    assert outer == set(SERVES) | PARTS
    assert len(inner) >= 8
    benchmarks = "".join(path.read_text() for path in (ROOT / "benchmarks").glob("bench_*.py"))
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    cases = re.findall(r"Case\(\s*f?\"([^\"]+)", benchmarks)
    for kernel, (twin, case) in SERVES.items():
        assert callable(getattr(naive, twin)), kernel
        assert re.search(rf"naive\.{twin}\b", tests), f"no test compares {kernel} with naive.{twin}"
        assert re.search(rf"naive\.{twin}\b", benchmarks), (
            f"no benchmark compares {kernel} with naive.{twin}"
        )
        assert any(name.startswith(case) for name in cases), (
            f"no benchmark of {kernel} begins with {case!r}"
        )


def test_slope_of_a_power_law_and_of_a_scattered_one():
    """A power law gives its exponent without error; with one time doubled, the error is that of the regression."""
    sizes = np.array([100, 300, 1000, 10_000])
    assert slope(sizes, 3e-6 * sizes**1.5) == pytest.approx((1.5, 0), abs=1e-12)
    seconds = 3e-6 * sizes**1.5 * np.array([1, 2, 1, 1])
    coefficients, covariance = np.polyfit(np.log(sizes), np.log(seconds), 1, cov=True)
    assert slope(sizes, seconds) == pytest.approx((coefficients[0], covariance[0, 0] ** 0.5))


def test_constant_cost_is_told_from_growth():
    """Times that are a constant and a square give the constant; a pure power law gives none."""
    work = np.array([10, 30, 100, 300]) ** 2
    assert constant_cost(work, 2e-3 + 1e-7 * work) == pytest.approx(2e-3)
    assert constant_cost(work, 1e-7 * work**1.1) == 0


def test_ratio_counts_the_share_of_the_work():
    """A yardstick that does a hundredth of the work in the same time makes ours 100 times faster."""
    (timing,) = harness.measure(
        Case(
            "sum",
            lambda: sum(range(200_000)),
            lambda: sum(range(200_000)),
            share=0.01,
            clock=time.process_time,
        )
    )
    assert 20 < timing.ratio < 500
    parts = harness.measure(Parts("demo", lambda: {"drawing": 2.0, "total": 3.0}, aim="5 s"))
    assert [(p.name, p.seconds, p.aim) for p in parts] == [
        ("demo: drawing", 2.0, ""),
        ("demo: total", 3.0, "5 s"),
    ]


def test_named_cases_take_their_place_in_the_table_when_they_are_to_be_recorded(
    tmp_path, monkeypatch
):
    """Of two cases the one that is named is timed; without --record it is printed only, with it kept with machine and date."""
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "results.json")
    harness.write([Timing("walk of one", 9.0), Timing("walk of two", 9.0)], everything=True)
    chapter = SimpleNamespace(cases=lambda: [Case(f"walk of {n}", int) for n in ("one", "two")])
    monkeypatch.setattr(command.importlib, "import_module", lambda name: chapter)
    monkeypatch.setattr(command.harness, "HERE", tmp_path)
    monkeypatch.setattr(command.tables, "main", lambda words: 0)
    (tmp_path / "bench_walks.py").touch()
    for words, kept in ((["two"], [9.0, 9.0]), (["--record", "two"], [9.0])):
        command.main(words)
        stored = harness.stored()["timings"]
        assert [t.seconds for t in stored if t.seconds == 9.0] == kept
    assert [t.measured for t in stored] == ["", harness.where_and_when()]


def test_what_runs_on_request_stays_in_the_table(tmp_path, monkeypatch):
    """A full run replaces all else; a run on request replaces its own, with the place and date of that."""
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "results.json")
    harness.write([Timing("a", 1.0), Timing("b", 2.0)], everything=True)
    harness.write([Timing("huge", 100.0, measured="elsewhere, once")], everything=False)
    harness.write([Timing("a", 3.0)], everything=True)
    assert [(t.name, t.seconds) for t in harness.stored()["timings"]] == [
        ("a", 3.0),
        ("huge", 100.0),
    ]
    harness.write([Timing("huge", 50.0, measured="elsewhere, twice")], everything=False)
    assert [(t.name, t.seconds) for t in harness.stored()["timings"]] == [
        ("a", 3.0),
        ("huge", 50.0),
    ]
    text = harness.text()
    assert all(
        words in text for words in ("| a | 3 s |", "| huge | 50 s |", "huge: on elsewhere, twice.")
    )
    assert not any(words in text for words in ("| b |", "once"))
