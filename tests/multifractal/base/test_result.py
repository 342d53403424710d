"""Files outlive their classes: fields and classes renamed, added and dropped; and what cannot be placed is refused."""

import copy
import importlib
import inspect
import pickle
import pkgutil
import re
from dataclasses import dataclass, field, fields

import numpy as np
import pytest

import multifractal
from multifractal import DamagedFileError
from multifractal.base import files, result
from multifractal.base.result import Provenance, Result, late
from multifractal.base.statistics import Estimate, mean_interval
from tests.conftest import ROOT

MADE_BY = Provenance("made_up()", "1", {"numpy": "2"})


def written(cls, path, **values):
    """Write a result by a class as a program of that day would have defined it, and return the path."""
    cls(**values, provenance=MADE_BY).save(path)
    return path


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Slow(Result):
    """A result whose field is a function until it is read."""

    given: int
    found: np.ndarray = late()
    provenance: Provenance


def test_a_late_field_is_computed_once_and_then_kept(tmp_path):
    """Until it is read it costs nothing; copies, pickles and files hold what it gave; without it the class cannot be made."""
    calls = []
    slow = Slow(given=1, found=lambda: calls.append(1) or np.arange(3), provenance=MADE_BY)
    assert calls == []
    first = slow.found
    assert slow.found is first
    assert calls == [1]
    early = Slow(given=1, found=np.arange(3), provenance=MADE_BY)
    for make in (copy.copy, lambda one: pickle.loads(pickle.dumps(one))):
        slow = Slow(given=1, found=lambda: np.arange(3), provenance=MADE_BY)
        np.testing.assert_array_equal(make(slow).found, early.found)
    slow = Slow(given=1, found=lambda: np.arange(3), provenance=MADE_BY)
    slow.save(tmp_path / "late.npz")
    np.testing.assert_array_equal(Slow.load(tmp_path / "late.npz").found, early.found)
    with pytest.raises(TypeError, match="found"):
        Slow(given=1, provenance=MADE_BY)


@pytest.fixture
def old_file(tmp_path):
    """A file written by an older definition of the class Walked: other names, one field that is no more."""

    @dataclass(frozen=True, repr=False, eq=False, kw_only=True)
    class Path(Result):
        eta: float
        positions: np.ndarray
        mood: str
        provenance: Provenance

    values = {"eta": 0.5, "positions": np.arange(6.0).reshape(3, 2), "mood": "good"}
    return written(Path, tmp_path / "old.npz", **values)


def test_a_file_of_an_older_class_loads(old_file):
    """Renamed class and fields find their places, new fields their defaults, dropped fields go."""

    @dataclass(frozen=True, repr=False, eq=False, kw_only=True)
    class Walked(
        Result, renamed={"eta": "learning_rate", "mood": None}, formerly=("Trace", "Path")
    ):
        learning_rate: float
        positions: np.ndarray
        n_walkers: int = 1
        notes: dict = field(default_factory=dict)
        provenance: Provenance

    found = Walked.load(old_file)
    assert (found.learning_rate, found.n_walkers, found.notes) == (0.5, 1, {})
    np.testing.assert_array_equal(found.positions, np.arange(6.0).reshape(3, 2))
    assert found.provenance == MADE_BY


def test_fields_that_have_no_place_are_refused(old_file):
    """A field that is unknown, or missing without a default, is named with the version that wrote the file."""

    @dataclass(frozen=True, repr=False, eq=False, kw_only=True)
    class Path(Result):
        learning_rate: float
        positions: np.ndarray
        provenance: Provenance

    version = multifractal.__version__
    with pytest.raises(DamagedFileError, match=f"written by {version}, has fields that Path does"):
        Path.load(old_file)

    @dataclass(frozen=True, repr=False, eq=False, kw_only=True)
    class Path(Result, renamed={"eta": None, "mood": None}):
        learning_rate: float
        positions: np.ndarray
        provenance: Provenance

    with pytest.raises(DamagedFileError, match="lacks fields of Path without default: learning_ra"):
        Path.load(old_file)


def test_another_class_is_refused(old_file):
    """A file of another class says whose it is."""
    with pytest.raises(
        DamagedFileError, match=r"holds a Path, not a Walk; load it with Path\.load"
    ):
        multifractal.Walk.load(old_file)


def test_a_file_from_the_future_is_refused(tmp_path, monkeypatch):
    """A format higher than this version's is not guessed at; formats without a number are read."""

    @dataclass(frozen=True, repr=False, eq=False, kw_only=True)
    class Small(Result):
        values: np.ndarray
        provenance: Provenance

    monkeypatch.setattr(result, "FORMAT", 99)
    path = written(Small, tmp_path / "new.npz", values=np.ones(2))
    monkeypatch.undo()
    with pytest.raises(DamagedFileError, match=f"of format 99, .* up to {result.FORMAT}; update"):
        Small.load(path)
    arrays, metadata = files.load_arrays(path)
    del metadata["format"], metadata["written by"]
    files.save_arrays(tmp_path / "early.npz", arrays, metadata)
    assert Small.load(tmp_path / "early.npz").values.tolist() == [1, 1]


@pytest.mark.parametrize("name", ["section_study", "real_dynamics"])
def test_the_committed_files_load(name):
    """The results that are kept with the code are read by it, each field."""
    cls = {"section_study": multifractal.SectionStudy, "real_dynamics": multifractal.RealDynamics}
    found = cls[name].load(ROOT / "experiments" / "results" / f"{name}.npz")
    assert found.provenance.versions["multifractal"]
    assert all(getattr(found, each.name) is not None for each in fields(found))


def test_results_hold_results(tmp_path):
    """Estimates, rows and whole results within a result, in tuples and dicts too, come back as what they were."""

    @dataclass(frozen=True, kw_only=True)
    class Row:
        name: str
        mean: Estimate
        again: Estimate | None = None

    @dataclass(frozen=True, repr=False, eq=False, kw_only=True)
    class Inner(Result):
        values: np.ndarray
        provenance: Provenance

    @dataclass(frozen=True, repr=False, eq=False, kw_only=True)
    class Outer(Result):
        rows: tuple[Row, ...]
        by_name: dict[str, Row]
        anything: dict
        provenance: Provenance

    mean = mean_interval([[1.0, 2.0], [3.0, 5.0]])
    row = Row(name="a", mean=mean, again=mean)
    inner = Inner(values=np.arange(3), provenance=MADE_BY)
    outer = Outer(
        rows=(row, Row(name="b", mean=mean_interval([1.0, 2.0]))),
        by_name={"a": row},
        anything={"inner": inner, "pair": [inner, 3]},
        provenance=MADE_BY,
    )
    outer.save(tmp_path / "outer.npz")
    found = Outer.load(tmp_path / "outer.npz")
    assert [type(each) for each in found.rows] == [Row, Row]
    assert isinstance(found.rows, tuple)
    assert found.rows[1].again is None
    for again in (found.rows[0].mean, found.rows[0].again, found.by_name["a"].mean):
        np.testing.assert_array_equal(again.interval, mean.interval)
    assert str(found.rows[1].mean).startswith("1.5 [")  # a single number is no array of one
    assert found.rows[1].mean.how == "mean of 2 samples, Student's t"
    assert isinstance(found.anything["inner"], Inner)
    assert found.anything["pair"][0].values.tolist() == [0, 1, 2]
    assert found.anything["inner"].provenance == MADE_BY


def results():
    """Return every class of results of both packages, all their modules imported."""
    for package in (multifractal, pytest.importorskip("landscape_viz")):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    classes, found = [Result], []
    while classes:
        cls = classes.pop()
        classes += cls.__subclasses__()
        if cls.__module__.partition(".")[0] in ("multifractal", "landscape_viz"):
            found.append(cls)
    return found[1:]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_result_is_built_by_keyword_and_says_what_its_fields_are():
    """No field can be given by its place, and help() shows each field: the Attributes of the docstring name them all."""
    classes = results()
    assert len(classes) > 50
    for cls in classes:
        assert all(each.kw_only for each in fields(cls)), cls
        told = re.split(r"Attributes\n\s*-+\n", inspect.getdoc(cls))[-1]
        heads = [line for line in told.splitlines() if re.match(r"\w.* : ", line)]
        named = {name for head in heads for name in head.split(" : ")[0].strip().split(", ")}
        assert {each.name for each in fields(cls)} <= named, cls


def test_no_two_results_share_a_name():
    """A file names its class, so that the name must be of one class only."""
    names = [cls.__name__ for cls in results()]
    assert len(names) == len(set(names))


def test_a_call_is_told_in_words():
    """Numbers as they are, small arrays by their values, larger ones by dtype and shape, nothing by its address."""
    small, large = np.arange(8) / 4, np.zeros((3, 3))
    call = Provenance.of("f", a=1, b=np.float64(0.5), c=small, d=large, e=(small[:2], 2), g=int, h=object()).call  # fmt: skip
    assert call.startswith(
        "f(a=1, b=0.5, c=[0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75], d=<float64 (3, 3)>, e=([0.0, 0.25], 2), g=int, h=<object"
    )
    assert "0x" not in call
