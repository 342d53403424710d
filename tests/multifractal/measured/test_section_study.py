"""The table of the study of sections: rows survive saving, and files of columns become rows."""

from types import SimpleNamespace

import numpy as np
import pytest

from multifractal import Landscape, Provenance, SectionStudy
from multifractal.base import files
from multifractal.measured.section_study import _c1_and_c2, measured, measured_pair


@pytest.fixture(scope="module")
def study():
    """A study of two sections of white noise, which are a pair, without checks."""
    rng = np.random.default_rng(0)
    values = {name: rng.standard_normal((113, 113)) for name in ("one", "other")}
    rows = tuple(
        measured(name, loss, 0.5, settings={"epoch": 1} if name == "one" else None, rng=0)
        for name, loss in values.items()
    )
    return SectionStudy(
        rows=rows,
        pairs=(measured_pair(tuple(values), *values.values(), rng=1),),
        checks=(),
        kept=["one"],
        sections=values["one"][None].astype(np.float32),
        offsets=np.zeros(1),
        provenance=Provenance("made"),
    )


def same(found, study):
    """Assert that rows and pairs are those of the study."""
    assert found.names == study.names == ["one", "other"]
    for one, other in zip(found.rows, study.rows, strict=True):
        assert (one.settings, one.kind, one.verdict) == (other.settings, other.kind, other.verdict)
        assert one.paper_valid == other.paper_valid
        for name in (
            "second_exponents",
            "noise_share",
            "noise_share_if_rough",
            "paper_c",
            "ours_c",
        ):
            np.testing.assert_array_equal(
                getattr(one, name).interval, getattr(other, name).interval
            )
        for name in ("first", "second", "paper_h", "paper_D", "shuffled_c", "rough_range"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    (one,), (other,) = found.pairs, study.pairs
    assert one.names == other.names
    for name in ("share", "centre_share", "sd", "exponents"):
        np.testing.assert_array_equal(getattr(one, name).interval, getattr(other, name).interval)
    assert isinstance(found.landscape("one"), Landscape)


def test_rows_survive_saving(study, tmp_path):
    """Each row and pair loads as it was saved, Estimates as such."""
    study.save(tmp_path / "study.npz")
    found = SectionStudy.load(tmp_path / "study.npz")
    same(found, study)
    assert str(found.rows[0].noise_share).endswith("(64 tiles resampled)")
    with pytest.raises(ValueError, match="name must be one of 'one', 'other'"):
        found.row("third")


def test_a_file_of_columns_becomes_rows(study, tmp_path):
    """Files of format 0 held one array for each quantity: they load as the rows that they were."""
    columns = as_columns(study)
    arrays = {name: value for name, value in columns.items() if isinstance(value, np.ndarray)}
    packed = {
        name: {"__array__": name} if name in arrays else value for name, value in columns.items()
    }
    files.save_arrays(tmp_path / "old.npz", arrays, {"class": "SectionStudy", "fields": packed})
    same(SectionStudy.load(tmp_path / "old.npz"), study)


def as_columns(study):
    """Return the fields of a study as they were in files of format 0."""
    rows, (pair,) = study.rows, study.pairs

    def column(name):
        return np.array([getattr(row, name) for row in rows])

    def estimates(name):
        found = [getattr(row, name) for row in rows]
        return np.array([one.value for one in found]), np.array([one.interval for one in found])

    plain = (
        "pixel_noise_ratio rough_exponent rough_range first second first_exponents noise_sd paper_h "
        "paper_D paper_valid paper_eta ours_valid shuffled_c"
    ).split()
    named = {
        "second_exponents": ("second_exponents", "second_interval"),
        "noise_share": ("noise_share", "noise_share_interval"),
        "noise_share_if_rough": ("noise_share_rough", "noise_share_rough_interval"),
        "paper_c": ("paper_c", "paper_c_interval"),
        "ours_c": ("ours_c", "ours_c_interval"),
    }
    of_pair = {
        "share": ("pair_share", "pair_share_interval"),
        "centre_share": ("pair_centre_share", "pair_centre_interval"),
        "sd": ("pair_sd", "pair_sd_interval"),
        "exponents": ("pair_exponents", "pair_exponents_interval"),
    }
    columns = {
        "names": study.names,
        "settings": [{"__items__": [["epoch", 1]]}],
        "kinds": [row.kind for row in rows],
        "verdicts": [row.verdict for row in rows],
        "steps": column("step"),
        "pairs": [list(pair.names)],
        "pair_first": pair.first[None],
        "checked": [],
        "checked_hurst": np.zeros(0),
        **{f"checked_{name}": np.zeros((0, 0, 2)) for name in ("bias", "spread", "coverage")},
        "kept": study.kept,
        "sections": study.sections,
        "offsets": study.offsets,
        "provenance": {"call": "made", "seed": None, "versions": {"__items__": []}},
    }
    columns |= {name: column(name) for name in plain}
    for name, (value, interval) in named.items():
        columns[value], columns[interval] = estimates(name)
    for name, (value, interval) in of_pair.items():
        found = getattr(pair, name)
        columns[value], columns[interval] = np.array(found.value)[None], found.interval[None]
    return columns


def test_intervals_of_c1_and_c2_are_their_own():
    """Of an interval (low, high) of four cumulants those of the first two are kept, each end with its own."""
    spectrum = SimpleNamespace(
        log_cumulants=np.array([0.5, -0.02, 0, 0]),
        log_cumulants_interval=np.array([[0.4, -0.03, 9, 9], [0.7, 0.01, 9, 9]]),
        n_blocks=np.array([400, 90]),
    )
    found = _c1_and_c2(spectrum)
    assert found.value.tolist() == [0.5, -0.02]
    assert (found.low.tolist(), found.high.tolist()) == ([0.4, -0.03], [0.7, 0.01])
    assert found.n == 90
