"""The reliability campaign: its harness, a handful of its trials, and proof that each judge can find fault."""

import contextlib
import json
import warnings

import numpy as np
import pytest

from campaign import (
    boundary,
    computations,
    harness,
    trial_boundary,
    trial_damage,
    trial_disk,
    trial_memory,
)
from multifractal import Landscape, fbm_surface
from tests.helpers import campaign_fakes


@pytest.fixture(autouse=True)
def memory_is_not_limited(monkeypatch):
    """A trial limits the memory of its process for good: here of the tests that follow, in which browsers would die of it."""
    monkeypatch.setattr(trial_boundary, "_limit_memory", lambda: None)


def _kind(name):
    return next(kind for kind in harness.kinds() if kind.name == name)


# --- the harness -----------------------------------------------------------------------------------------------------


def test_every_ending_is_an_outcome_and_nothing_is_done_twice(tmp_path, monkeypatch):
    """A crash, a hang and an error belong to their own trial, the others go on; what is done is not done again."""
    (kind,), log = campaign_fakes.kinds(), tmp_path / "log"
    monkeypatch.setenv("FAKE_LOG", str(log))
    first, _ = harness.carry_out(kind, 2, tmp_path)
    assert first[0] == ("good", "trial 0")
    assert first[1][0] == harness.CRASH
    assert "status -11" in first[1][1]
    done, seconds = harness.carry_out(kind, None, tmp_path)
    assert [done[index][0] for index in range(6)] == [
        "good",
        harness.CRASH,
        "good",
        harness.HANG,
        "trial broke",
        "bad",
    ]
    assert sorted(log.read_text().split()) == list("012345")
    record = harness.report(kind, done, seconds)
    assert (record["trials"], record["failures"]) == (6, 4)
    assert record["outcomes"]["good"] == 2
    harness.forget_failures(kind, tmp_path)
    assert sorted(harness.remembered(kind, tmp_path)[0]) == [0, 2]


def test_the_table_is_of_the_results_on_record(tmp_path):
    """What is written to results.json is what the page's text is made of; unfinished kinds say how far they came."""
    (kind,) = campaign_fakes.kinds()
    record = harness.report(kind, {0: ("good", ""), 1: ("bad", "why")}, 90.0)
    harness.write([record], tmp_path / "results.json")
    text = harness.text(tmp_path / "results.json")
    assert "| every ending | 2 of 6 | 1 good; 1 bad | 1 | 1.5 | `fake` |" in text
    assert harness.machine() in text
    assert json.loads((tmp_path / "results.json").read_text())["kinds"][0]["first_failures"] == [
        [1, "bad", "why"]
    ]


# --- trials ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["npz", "npy", "pt", "mat", "store", "run"])
def test_damaged_files_are_refused_or_marked(name, zenodo, tmp_path, monkeypatch):
    """Five damaged files a format, among them foreign ones."""
    monkeypatch.setenv("MULTIFRACTAL_DATA", str(zenodo))
    kind = _kind(f"damaged-{name}")
    for index in range(5):
        folder = tmp_path / str(index)
        folder.mkdir()
        outcome, detail = kind.run(index, folder)
        assert outcome in kind.good, detail


def test_damage_is_damage_and_its_judge_finds_fault():
    """Every damaged copy differs; a reader that gives other values, or a foreign file unmarked, is caught."""
    content = bytes(range(200))
    assert all(
        trial_damage.damaged(content, np.random.default_rng(seed)) != content for seed in range(200)
    )
    assert (
        trial_damage.verdict(lambda: {"a": np.array([1.0, 2.0])}, {"a": np.array([1.0, 2.5])})[0]
        == trial_damage.WRONG
    )
    assert (
        trial_damage.verdict(lambda: np.array([np.nan]), np.array([np.nan]))[0]
        == trial_damage.EQUAL
    )
    assert trial_damage.verdict(lambda: 1, None, foreign=True)[0] == trial_damage.UNMARKED
    marked = trial_damage.verdict(
        lambda: warnings.warn("read unverified", stacklevel=1), None, foreign=True
    )
    assert marked[0] == trial_damage.MARKED


def test_odd_arguments_are_accepted_or_refused_in_full_words(tmp_path):
    """A hundred calls of the core and twenty of networks."""
    for name, count in (("boundary-core", 100), ("boundary-networks", 20)):
        kind = _kind(name)
        for index in range(count):
            outcome, detail = kind.run(index, tmp_path)
            assert outcome in kind.good, detail


def test_every_call_of_the_boundary_is_accepted_as_it_stands(zenodo, monkeypatch, tmp_path):
    """What the odd arguments replace are arguments that the function takes; the loaders' files are missing."""
    monkeypatch.chdir(tmp_path)  # some of them write
    monkeypatch.setenv("MULTIFRACTAL_DATA", str(zenodo))
    for function, arguments in boundary._core().values():
        with contextlib.suppress(FileNotFoundError):
            function(**arguments)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda n: 1 / n, "OTHER EXCEPTION"),
        (lambda n: int("x"), "POORLY REFUSED"),
        (lambda n: n, trial_boundary.TAKEN),
        (lambda n: fbm_surface(8, -1.0, rng=0), "POORLY REFUSED"),
        (lambda n: fbm_surface(1, 0.5, rng=0), trial_boundary.REFUSED),
    ],
)
def test_the_judge_of_refusals_finds_fault(function, expected, monkeypatch, tmp_path):
    """An error of another kind, one without rule and remedy, and one that names no argument of the call are all faults."""
    monkeypatch.setattr("campaign.boundary._core", lambda: {"f": (function, {"n": 0})})
    monkeypatch.setattr(trial_boundary, "_cases", lambda part, block: [("f", {"n": 0})])
    assert trial_boundary._trial("_core", 0, tmp_path)[0] == expected


def test_hashes_see_every_number_and_no_provenance():
    """One bit of one value changes the hash; how a result was made does not."""
    surface = fbm_surface(16, 0.5, rng=0)
    same = Landscape(surface.values)
    other = surface.values.copy()
    other[3, 4] = np.nextafter(other[3, 4], 1)
    assert computations.content_hash({"a": surface}) == computations.content_hash({"a": same})
    assert computations.content_hash({"a": surface}) != computations.content_hash(
        {"a": Landscape(other)}
    )
    assert computations.content_hash([1, 2]) != computations.content_hash([1, 3])


def test_growth_of_memory_is_measured():
    """A leak of 50 kB a repeat under noise of 1 MB is found within 4 standard errors, and none where there is none."""
    noise = 1e6 * np.random.default_rng(0).normal(size=200)
    for growth in (0.0, 50e3):
        slope, error = trial_memory._slope(noise + growth * np.arange(200))
        assert abs(slope - growth) < 4 * error
    assert 50e3 > 2 * error + trial_memory._ALLOWED


def test_the_quick_part_of_the_suite_is_there():
    """The tests that the campaign repeats are found by their marker, in every chapter of the model that is not pictures."""
    marked = {
        path.parent.name
        for path in (harness.HERE.parent / "tests").rglob("test_*.py")
        if "pytestmark = pytest.mark.quick" in path.read_text()
    }
    assert {"base", "landscapes", "analysis", "geometry", "walkers", "diffusion"} <= marked


def test_a_full_disk_keeps_the_old_file(tmp_path):
    """A result written over on a full disk; mounting a small one needs root."""
    try:
        with trial_disk.small_disk(tmp_path / "probe"):
            pass
    except Exception as error:
        pytest.skip(f"no small file system can be mounted here: {error}")
    outcome, detail = trial_disk._file_trial(0, tmp_path)
    assert outcome == trial_disk.KEPT, detail


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "killed-sweep",
        "killed-section",
        "killed-download",
        "full-disk-jobs",
        "dead-worker-pool",
        "dead-worker-dask",
        "same-bits",
        "same-bits-processors",
    ],
)
def test_one_trial_of_each_longer_kind(name, tmp_path):
    """A kill, a full disk, a dead worker, and fresh processes."""
    kind = _kind(name)
    done, _ = harness.carry_out(kind, 1, tmp_path)
    assert done[0][0] in kind.good, done
