"""The study of where losses are fractal: its cheapest part runs, is resumed and recorded, and its rules say yes and no."""

import json

import numpy as np
import pytest

from experiments import where_losses_are_fractal as study
from experiments.where_fractal import counting, figures, page, parts, rules
from tests import test_study_rules


def run(folder, *flags):
    """Run the cheapest part of experiments/where_losses_are_fractal.py."""
    return study.main(["--parts", "gated", "--save-dir", str(folder), *flags])


def test_lines_through_gated_networks_are_run_resumed_and_recorded(tmp_path, monkeypatch, capsys):
    """A second run with two seeds measures one; both are undecided; a record keeps the rows of other parts."""
    record = tmp_path / "record.json"
    record.write_text(json.dumps({"points": 128, "rows": {"zoom": [1], "gated": []}}))
    monkeypatch.setattr(study, "RESULTS", record)
    monkeypatch.setattr(page, "RESULTS", record)
    monkeypatch.setattr(page, "record", lambda: None)
    run(tmp_path / "runs", "--seeds", "1")
    assert "undecided (1 seeds)" in capsys.readouterr().out
    kept = (tmp_path / "runs" / "gated_0.json").stat().st_mtime_ns
    run(tmp_path / "runs", "--seeds", "2", "--record", "--resume")
    assert "undecided (2 seeds)" in capsys.readouterr().out
    assert (tmp_path / "runs" / "gated_0.json").stat().st_mtime_ns == kept
    rows = json.loads(record.read_text())["rows"]
    assert rows["zoom"] == [1]
    assert sorted({row["seed"] for row in rows["gated"]}) == [0, 1]


def test_a_quick_run_is_not_recorded(tmp_path):
    """Three seeds decide nothing and replace nothing."""
    with pytest.raises(SystemExit):
        run(tmp_path, "--quick", "--record")


def scattered(seed, *shape):
    """Normal numbers of standard deviation 0.03."""
    return 0.03 * np.random.default_rng(seed).standard_normal(shape)


def zoomed(offset):
    """Twenty fresh lines at each horizon: exponents .2 above 10^offset e^(-lambda T), 2 below, 0 where rounding is."""
    rows, spacings = [], np.logspace(-1, -11, 101)
    for horizon in (20, 40, 60):
        for seed in range(rules.FRESH, rules.FRESH + 20):
            stretched = 0.3 * horizon / np.log(10)
            over = np.log10(spacings) + stretched + scattered(seed, 1)[0]
            exponents = np.where(over > offset, 0.2, 2.0)
            exponents[over < stretched / 2 - 8] = 0
            rows.append(
                {"horizon": horizon, "lyapunov": 0.3, "seed": seed}
                | {"spacings": spacings.tolist(), "exponents": exponents.tolist()}
            )
    return rows


@pytest.mark.parametrize(("offset", "verdict"), [(-1.0, "supported"), (0.5, "refuted")])
def test_the_second_rule_of_zooming_says_yes_and_no(offset, verdict):
    """Crossings at a tenth of e^(-lambda T) support it, those beyond e^(-lambda T) refute it; rounding is left out of both."""
    assert [(line[0], line[-1]) for line in rules.zoom(zoomed(offset))] == [("3b", verdict)] * 3


def seeds_until_enough(part, size, row):
    """Return the seeds of a part whose every seed has the row that `row` makes."""
    rows, taken = [], []
    for seed in parts.seeds(part, size, rows):
        taken.append(seed)
        rows += row(seed)
    return taken


def test_each_part_has_a_rule_and_its_seeds():
    """No part is measured that no rule reads; zooms have seeds for both of theirs; as many as asked for, else at least 20."""
    assert set(parts.PARTS) == set(rules.JUDGES)
    assert set(counting.CELLS) < set(parts.PARTS)
    size = parts.Size()
    assert seeds_until_enough("zoom", size, lambda seed: []) == list(range(40))
    assert seeds_until_enough("plant", size, lambda seed: []) == list(range(20))
    assert seeds_until_enough("LSTM", parts.Size(seeds=3), lambda seed: []) == [0, 1, 2]


@pytest.mark.parametrize(("counts", "last"), [(lambda seed: True, 23), (lambda seed: seed % 2, 39)])
def test_seeds_are_added_until_twenty_count_in_each_cell(counts, last):
    """Those of which the law speaks: lambda above 0 and an exponent below 1; one cell that has enough does not do."""

    def of_seed(seed):
        known = {"seed": seed, "horizon": 45, "lyapunov": 1.0, "predicted": {"H": 0.5}}
        cell = {"discount": 0.85, "lyapunov": 1.0 if counts(seed) else -1.0}
        return [known | {"discount": 0.92}, known | cell]

    assert seeds_until_enough("LSTM", parts.Size(), of_seed)[-1] == last
    never = seeds_until_enough("LSTM", parts.Size(), lambda s: [of_seed(s)[1] | {"lyapunov": -1.0}])
    assert never[-1] == parts.MOST - 1


def test_what_counts_in_the_other_parts():
    """A gradient or an exponent that is missing, a line without a crossing, a walk without a number do not count."""
    line = zoomed(-1.0)[:20]
    assert counting.fewest("zoom", line) == 20
    assert counting.fewest("zoom", line[1:] + [line[0] | {"exponents": [0.2] * 101}]) == 19
    run = [
        {"clip": 0.0, "seed": 0, "lyapunov": v, "exponent": -v, "gradient": 1 + v} for v in range(4)
    ]
    saturated = [row | {"seed": 1, "lyapunov": float("nan")} for row in run]
    assert counting.fewest("training", run + saturated) == 1
    walk = {"ground": "RNN", "seed": 20, "short": 0.5, "edge": -1.0, "drift": -0.1}
    assert counting.fewest("walkers", [walk, walk | {"edge": float("nan")}]) == 1
    gated = {"kind": "GRU", "discount": 0.9, "lyapunov": 1.0, "predicted": {"H": 0.5}}
    assert counting.fewest("gated", [gated | {"gain": gain} for gain in (4.0, 8.0)]) == 1


def test_recorded_seeds_are_not_measured_again(tmp_path, monkeypatch):
    """With --go_on rows of the committed results are taken as they are; refused where planes have other points."""
    monkeypatch.setattr(page, "RESULTS", tmp_path / "record.json")
    known = [row | {"seed": 0} for row in test_study_rules.plant([0.5])]
    page.RESULTS.write_text(json.dumps({"points": 128, "rows": {"plant": known}}))
    monkeypatch.setitem(parts.PARTS, "plant", lambda seed, size: [known[0] | {"seed": seed}])
    rows = study.measure(
        parts.Size(seeds=2), ["plant"], tmp_path / "runs", known=study.recorded(128)
    )
    assert rows["plant"] == [*known, known[0] | {"seed": 1}]
    assert [path.name for path in (tmp_path / "runs").glob("plant*")] == ["plant_1.json"]
    with pytest.raises(ValueError, match="128, to go on with them, got 64"):
        study.recorded(64)


def test_walks_are_compared_with_the_control_of_the_same_seed():
    """The order of rows does not matter; what both grounds share cancels; seeds of the first runs have no part in it."""
    walk = {"edge": -1.0, "drift": -0.1}
    rough = [walk | {"ground": "RNN, gain 3", "seed": s, "short": s + 0.5} for s in range(20, 24)]
    smooth = [walk | {"ground": "RNN, gain 0.8", "seed": s, "short": s} for s in (23, 21, 22, 20)]
    told = [line[2] for line in rules.walkers(smooth + rough)]
    assert told == ["0.50 [0.50, 0.50]", "0.00 [0.00, 0.00]", "0.00 [0.00, 0.00]"]
    assert "0.50 [0.50" not in str([*rules.walkers([rough[0] | {"seed": 19}])])


def test_whole_spectra_are_told_beside_controls():
    """Of c1 and c2 those of exact surfaces are taken off; the law's c2 stands beside them, and no rule judges."""
    numbers = {"measured": {"c1": 0.5, "c2": -0.2}, "control": {"c1": 0.4, "c2": -0.05}}
    place = {"kind": "RNN", "discount": 0.85, "points": 256, "predicted": {"c2": -0.1}}
    (line,) = rules.spectra([numbers | place] * 8)
    told = "c1 0.100 [0.100, 0.100], c2 -0.150 [-0.150, -0.150] where the law has -0.100 [-0.100, -0.100]"
    assert line[2:] == (told, "no rule")


def test_predicted_moments_end_at_smoothness():
    """The law's where the pass is chaotic, at most 2; 2 where it is not."""
    rows = [
        {"lyapunov": at, "predicted": {"zeta2": moment}}
        for at, moment in ((0.5, 0.7), (0.5, 2.5), (-0.5, 0.7))
    ]
    assert figures._moment(rows).tolist() == [0.7, 2, 2]


@pytest.mark.parametrize("name", figures.FIGURES)
def test_figures_are_as_approved(name, drawn):
    """Those of the committed rows: lines, labels, limits and legends."""
    figures.FIGURES[name](page.kept())
