"""The study of real sections: its plan, its table, the committed numbers against the sections they were measured on."""

import dataclasses
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import multifractal as mf
from landscape_viz.loss.evaluate import Evaluator
from landscape_viz.studies import section_study as study_module
from landscape_viz.studies import study_networks
from landscape_viz.studies.section_study import KEPT, PAIRS, PLAN, PUBLISHED
from multifractal import figures, source_data
from multifractal.measured.section_study import SectionStudy, measured, measured_pair
from tests.helpers import small_study

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = ROOT / "experiments" / "results" / "section_study.npz"


@pytest.fixture(scope="module")
def committed():
    """The study of the committed run."""
    return SectionStudy.load(COMMITTED)


def test_the_plan_is_what_was_asked_for():
    """At most 24 sections; pairs differ by the seed of the masks only; what is kept is planned."""
    assert len(PLAN) <= 24
    for one, other in PAIRS:
        assert dataclasses.replace(PLAN[other], mask_seed=PLAN[one].mask_seed) == PLAN[one]
        assert PLAN[one].dropout == PLAN[other].dropout == "live"
        assert PLAN[one].mask_seed != PLAN[other].mask_seed
    assert set(KEPT) <= PLAN.keys()


def test_the_smallest_sections_have_a_spectrum(tmp_path):
    """What is refused before it is mapped has none at our settings, and the next size has one."""
    with pytest.raises(ValueError, match="n_points must .*102"):
        study_module.study(None, n_points=101)
    small = mf.fbm_surface(102, 0.5, rng=0)
    settings = study_module.SMALL_SECTION_SETTINGS
    assert np.isfinite(mf.multifractal_spectrum(small, **settings).h).all()
    with pytest.raises(ValueError, match="at least two scales"):
        mf.multifractal_spectrum(small.values[:101, :101], **settings)


def test_float32_and_float64_are_the_same_plane(tmp_path, monkeypatch):
    """Directions differ by one rounding, the loss at the middle by rounding; networks and images are of the right dtype."""
    state = study_networks.build("mlp", dropout=0.5).state_dict()
    monkeypatch.setattr(study_module, "trained", lambda *arguments: state)
    (single, one), (double, other) = (
        study_module.problem(tmp_path, PLAN[name])
        for name in ("mlp zoom 10000 float32", "mlp zoom 10000")
    )
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    np.testing.assert_array_equal(one.vectors, other.vectors.astype(np.float32))
    at = [
        Evaluator(problem, plane.vectors, ("loss",)).run([[0.1, 0.2]])[0, 0]
        for problem, plane in ((single, one), (double, other))
    ]
    assert at[0] == pytest.approx(at[1], rel=1e-5)
    assert at[0] != at[1]


def test_networks_of_the_study():
    """Parameter counts as stated; dropout only in training mode; the same weights in both dtypes."""
    counts = {
        kind: sum(p.numel() for p in study_networks.build(kind).parameters())
        for kind in study_networks.KINDS
    }
    assert counts == {"mlp": 8010, "mlp gelu": 8010, "conv": 3002, "resnet": 1382}
    inputs, targets = study_networks.images(5)
    assert inputs.shape == (5, 1, 7, 7)
    for kind in study_networks.KINDS:
        model = study_networks.build(kind, dropout=0.5, double=True)
        assert not torch.equal(model(inputs), model(inputs))
        assert torch.equal(model.eval()(inputs), model(inputs))
        assert model(inputs).dtype == torch.float64
        assert targets.dtype == torch.int64


def test_rows_of_known_images():
    """White noise and a smooth image give the row that their definition says."""
    noise = np.random.default_rng(0).standard_normal((129, 129))
    row = measured("noise", noise, 0.5, rng=0)
    assert (row.name, row.kind, row.settings) == ("noise", "noise", None)
    assert row.noise_share.value == pytest.approx(1, abs=0.05)
    assert row.noise_share.contains(1)
    assert not row.paper_valid
    np.testing.assert_allclose(row.second_exponents.value, 0, atol=0.05)
    y, x = np.mgrid[:129, :129] / 128
    row = measured("smooth", np.sin(3 * x + y), 0.5, rng=0)
    assert (row.kind, row.step) == ("smooth", 0.5)
    assert abs(row.noise_share.value) < 1e-3
    other = np.random.default_rng(1).standard_normal((129, 129))
    pair = measured_pair(("a", "b"), noise + 5 * x, other + 5 * x, rng=0)
    assert pair.names == ("a", "b")
    assert pair.sd.value == pytest.approx(1, abs=0.05)
    assert pair.centre_share.value == pytest.approx(pair.share.value[0], abs=0.05)


def test_the_committed_numbers_follow_from_the_committed_sections(committed):
    """Rows measured again on the kept sections (float32) agree: the table was not written by hand."""
    for name in committed.kept:
        row = committed.row(name)
        again = measured(
            name, committed.landscape(name).values, row.step, rng=_stream(committed, name)
        )
        assert again.verdict == row.verdict
        for number in ("pixel_noise_ratio", "first_exponents"):
            np.testing.assert_allclose(
                getattr(again, number), getattr(row, number), rtol=1e-3, atol=1e-4, err_msg=name
            )
        for number in ("second_exponents", "noise_share"):
            _assert_alike(getattr(again, number), getattr(row, number), name, 1e-3, 1e-4)
        # between its few kinks it is linear to rounding, and so are its leaders
        if name != "mlp zoom 10000":
            np.testing.assert_allclose(
                again.paper_c.value, row.paper_c.value, rtol=1e-2, atol=1e-2, err_msg=name
            )
    pair = committed.pairs[0]
    one, other = (committed.landscape(name).values for name in pair.names)
    again = measured_pair(pair.names, one, other, rng=np.random.SeedSequence(0, spawn_key=(100,)))
    np.testing.assert_allclose(again.share.value, pair.share.value, rtol=1e-4)


def _stream(committed, name):
    return np.random.SeedSequence(0, spawn_key=(committed.names.index(name),))


def _assert_alike(again, found, name, rtol, atol):
    """The same value and interval."""
    np.testing.assert_allclose(again.value, found.value, rtol=rtol, atol=atol, err_msg=name)
    np.testing.assert_allclose(again.interval, found.interval, rtol=rtol, atol=atol, err_msg=name)


def test_the_committed_numbers_of_published_sections(committed, zenodo):
    """Rows of the published sections that are here are what measuring them gives."""
    found = [
        name
        for name in committed.names
        if name in PUBLISHED and source_data.available(PUBLISHED[name], zenodo)
    ]
    assert len(found) >= 3
    for name in found[:2]:
        values = source_data.read(PUBLISHED[name], zenodo)["loss"]
        again = measured(name, values, np.nan, rng=_stream(committed, name))
        _assert_alike(again.noise_share, committed.row(name).noise_share, name, 1e-9, 0)
        assert again.verdict == committed.row(name).verdict


def test_the_committed_file_is_small_and_complete(committed):
    """Under 1.5 MB; all rows of the plan, in order; settings as planned; provenance."""
    assert COMMITTED.stat().st_size < 1.5e6
    assert committed.names[: len(PLAN)] == list(PLAN)
    settings = [row.settings for row in committed.rows]
    assert settings[: len(PLAN)] == [dataclasses.asdict(wanted) for wanted in PLAN.values()]
    assert set(map(str, settings[len(PLAN) :])) == {"None"}
    assert [list(pair.names) for pair in committed.pairs] == PAIRS
    assert {"torch", "numpy", "multifractal"} <= committed.provenance.versions.keys()
    assert isinstance(committed.landscape("mlp"), mf.Landscape)
    with pytest.raises(ValueError, match="name must be one of"):
        committed.landscape("resnet")


@pytest.mark.usefixtures("drawn")
def test_the_figure_draws_the_table(committed):
    """Six panels; spectra and shares are those of the rows."""
    axes = figures.section_study(committed)
    assert axes.shape == (2, 3)
    np.testing.assert_array_equal(
        axes[1, 1].lines[0].get_xdata(), committed.row("mlp batch live").paper_h
    )
    np.testing.assert_array_equal(axes[0, 1].lines[3].get_ydata(), committed.pairs[0].first)
    drawn = [text.get_text() for text in axes[1, 0].get_yticklabels()]
    assert drawn[-1] == "MLP batch live"
    assert len(drawn) == sum(
        "live" in name and not name.endswith(" 2") for name in committed.names
    ) + sum(name.startswith("published") for name in committed.names)


@pytest.mark.slow
def test_killed_and_resumed_to_the_same_bits(tmp_path):
    """Killed while training or mapping, three times, the table is that of a study never stopped."""
    whole = small_study.run(tmp_path / "whole")
    command = [sys.executable, "-m", "tests.helpers.small_study", str(tmp_path / "killed")]
    for awaited in ("networks", "still.store", "live.store"):
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while child.poll() is None and not (tmp_path / "killed" / awaited).exists():
            time.sleep(0.02)
        time.sleep(0.5)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    again = SectionStudy.load(tmp_path / "killed" / "study.npz")
    _assert_same(whole, again)


def _assert_same(one, other):
    """Equal to the bit, fields of fields included."""
    if dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            if field.name != "provenance":
                _assert_same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, tuple | list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            _assert_same(a, b)
    else:
        np.testing.assert_array_equal(one, other)
