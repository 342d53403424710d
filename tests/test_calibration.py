"""docs/calibration.md is the table of the record; a case counts what it should."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import calibrate
from benchmarks.calibrate import Case
from benchmarks.calibration_cases import cases


def draw(width):
    """Return a case's draw: a standard normal estimate with a stated error of `width`."""

    def one(rng):
        estimate = rng.normal()
        return estimate, estimate - 1.96 * width, estimate + 1.96 * width

    return one


@pytest.mark.parametrize(("width", "covered"), [(1.0, 0.95), (0.5, 0.673), (2.0, 1.0)])
def test_ratio_and_coverage_are_those_of_the_stated_error(width, covered):
    """Of 2000 draws: stated over true error is the width, and coverage that of a normal law, within 5 standard errors."""
    row = calibrate.measure(Case("a", "b", draw(width), 2000, 0.0))
    assert row.ratio == pytest.approx(width, rel=5 / np.sqrt(4000))
    assert abs(row.covered - covered) < 5 * np.sqrt(0.25 / 2000) * (1 if width < 2 else 0.1)
    assert (row.known, row.missing) == (True, 0)


def test_what_has_no_interval_is_counted_apart():
    """NaN ends are no misses: they are told as a share; a truth that is not known is the mean of the draws."""

    def one(rng):
        estimate = 7 + rng.normal()
        return (
            (estimate, np.nan, np.nan) if estimate > 7 else (estimate, estimate - 9, estimate + 9)
        )

    row = calibrate.measure(Case("a", "b", one, 400))
    assert 0.4 < row.missing < 0.6
    assert row.covered == 1
    assert "without interval" in calibrate.table([row])
    assert " *" in calibrate.table([row])
    none = calibrate.measure(
        replace(Case("a", "b", one, 400), draw=lambda rng: (rng.normal(), np.nan, np.nan))
    )
    assert np.isnan(none.covered)
    assert "none stated" in calibrate.table([none])


def test_the_page_is_that_of_the_record():
    """Each case of the code is on record, and the page holds its line."""
    record, page = json.loads(calibrate.RECORD.read_text()), calibrate.PAGE.read_text()
    keys = [f"{case.name}; {case.settings}" for case in cases()]
    assert len(set(keys)) == len(keys)
    for key in keys:
        line = calibrate.table([calibrate._row(record[key])]).splitlines()[-1]
        assert line in page, key


def test_no_stated_error_is_far_from_the_true_one():
    """What the page would have to confess: intervals that were calibrated hold the truth in 80 % or more of their draws."""
    record = json.loads(calibrate.RECORD.read_text())
    for key, row in record.items():
        if key.startswith("spectrum,"):
            assert row["covered"] > 0.8 - 0.01, key
