"""The study of where losses are fractal: its cheapest part runs, is resumed and recorded, and its rules say yes and no."""

import json

import numpy as np
import pytest

from experiments import where_losses_are_fractal as study
from experiments.where_fractal import figures, page, parts, rules


def run(folder, *flags):
    """Run the plant's part of experiments/where_losses_are_fractal.py."""
    return study.main(["--parts", "plant", "--save-dir", str(folder), *flags])


def test_the_plant_runs_is_resumed_and_recorded(tmp_path, monkeypatch, capsys):
    """A second run with two seeds measures one; both are undecided; a record keeps the rows of other parts."""
    record = tmp_path / "record.json"
    record.write_text(json.dumps({"points": 128, "rows": {"zoom": [1], "plant": []}}))
    monkeypatch.setattr(study, "RESULTS", record)
    monkeypatch.setattr(page, "RESULTS", record)
    monkeypatch.setattr(page, "record", lambda: None)
    run(tmp_path / "runs", "--seeds", "1")
    assert "undecided (1 seeds)" in capsys.readouterr().out
    kept = (tmp_path / "runs" / "plant_0.json").stat().st_mtime_ns
    run(tmp_path / "runs", "--seeds", "2", "--record")
    assert "undecided (2 seeds)" in capsys.readouterr().out
    assert (tmp_path / "runs" / "plant_0.json").stat().st_mtime_ns == kept
    rows = json.loads(record.read_text())["rows"]
    assert rows["zoom"] == [1]
    assert sorted({row["seed"] for row in rows["plant"]}) == [0, 1]


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


def test_each_part_has_a_rule_and_its_seeds():
    """No part is measured that no rule reads, and zooms have seeds for both of theirs."""
    assert set(parts.PARTS) == set(rules.JUDGES)
    size = parts.Size()
    assert [name for _, name, _ in parts.units(size, ["zoom"])][-1] == "zoom_39"
    assert len(list(parts.units(size, ["plant"]))) == 20


@pytest.mark.slow
@pytest.mark.parametrize("name", figures.FIGURES)
def test_figures_are_as_approved(name, drawn):
    """Those of the committed rows: lines, labels, limits and legends."""
    figures.FIGURES[name](page.kept())
