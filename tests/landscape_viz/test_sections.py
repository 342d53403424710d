"""Sections: orientation, equality on all executors, resuming, holes, files and refusals."""

import dataclasses
import errno
import json
import multiprocessing
import os
import re
import subprocess
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from landscape_viz import Problem, Section, directions, section
from landscape_viz.loss.evaluate import Evaluator
from landscape_viz.mapping import workers
from landscape_viz.mapping.section_store import SectionStore
from landscape_viz.sections import estimate_seconds, parse_axis
from multifractal import DamagedFileError, variogram
from tests.helpers import naive_networks, small_networks
from tests.helpers.kill_sections import AXES as KILLED_AXES
from tests.helpers.small_networks import Point, SmallConv, images

ROOT = Path(__file__).resolve().parents[2]
AXES = ["-1:1:6", "-2:2:9"]
LOOKS = 8  # before any point: twice for sameness, 5 more for rounding, one probe point for identity


def of_function(function, n=2):
    """The problem and the unit vectors whose section is `function` of the coordinates."""
    problem = Problem(
        Point if n == 2 else f"{__name__}:point_of_{n}",
        None,
        function,
        (torch.zeros(1), torch.zeros(1)),
    )
    return problem, directions.from_vectors(problem, np.eye(n))


def point_of_1():
    """A point on a line."""
    return Point(1)


def point_of_3():
    """A point in space."""
    return Point(3)


@pytest.fixture(scope="module")
def network():
    """A small convolutional problem with live dropout, and two random directions."""
    problem = Problem(SmallConv, None, "cross_entropy", images(), dropout="live")
    return problem, directions.random(problem, 2, rng=1)


@pytest.fixture(scope="module")
def serial(network):
    """Its section, computed in this process."""
    with pytest.warns(UserWarning, match="noise of dropout"):
        return section(*network, AXES)


def test_index_ij_is_xy_and_the_landscape_is_transposed():
    """On a non-square grid of an asymmetric function, values[i, j] is f(x_i, y_j) and the landscape's [j, i] is the same."""
    result = section(*of_function(small_networks.crooked), AXES, metrics=("loss",))
    x, y = np.linspace(-1, 1, 6), np.linspace(-2, 2, 9)
    expected = [[(a - 0.3) ** 2 + 0.25 * b**3 + a * b for b in y] for a in x]
    np.testing.assert_allclose(result.values["loss"], expected, rtol=0, atol=1e-14)
    landscape = result.to_landscape()
    assert landscape.shape == (9, 6)
    assert landscape.value_at([2, 7]) == result.values["loss"][2, 7]
    np.testing.assert_allclose(
        landscape.gradient[4, 2, 0], (expected[3][4] - expected[1][4]) / 2, atol=1e-14
    )


def test_mean_slope_is_that_of_numpy():
    """Over the pairs of neighbours along x that are both finite; NaN where there are none."""
    result = section(*of_function(small_networks.crooked), [[-1, 0, 0.5], "-2:2:4"])
    result.grid[0, 0, 1], result.grid[0, 2, 2] = np.inf, np.nan
    z = np.where(np.isinf(result.grid[0]), np.nan, result.grid[0])
    assert result.mean_slope() == pytest.approx(
        np.nanmean(np.abs(np.diff(z, axis=0) / [[1], [0.5]]))
    )
    result.grid[0, 1] = np.nan
    assert np.isnan(result.mean_slope())


@pytest.mark.parametrize("n", [1, 3])
def test_one_and_three_dimensions(n):
    """A 1-D and a 3-D section hold f at the outer product of their axes, in the order of the directions."""
    axes = [np.linspace(-1, 1, 3 + k) for k in range(n)]
    result = section(*of_function(small_networks.sum_of_powers, n), axes, metrics=("loss",))
    grids = np.meshgrid(*axes, indexing="ij")
    np.testing.assert_allclose(
        result.values["loss"], sum(g ** (k + 1) for k, g in enumerate(grids)), atol=1e-14
    )
    assert [len(axis) for axis in result.axes] == [3 + k for k in range(n)]


def test_equals_the_naive_loop(network):
    """Loss and accuracy of a float32 network agree with the naive loop to float32 rounding of its logits (|logit| < 100)."""
    problem = Problem(SmallConv, None, "cross_entropy", images())
    result = section(problem, network[1], ["-1:1:4", "-1:1:3"])
    expected = naive_networks.section(problem, network[1].vectors, result.axes)
    np.testing.assert_allclose(
        result.values["loss"], expected[0], atol=100 * 10 * np.finfo(np.float32).eps
    )
    assert np.array_equal(result.values["accuracy"], expected[1])


def test_live_masks_are_numbered_over_the_whole_grid(network):
    """Each point of a section is what the evaluator gives at its coordinates under its own number, in C order."""
    with pytest.warns(UserWarning, match="noise of dropout"):
        result = section(*network, ["-1:1:20", "-1:1:15"])  # 100 chunks of 3 points
    evaluator = Evaluator(network[0], network[1].vectors)
    for i, j in [(0, 0), (0, 1), (0, 4), (7, 11), (19, 14)]:
        evaluator.move([result.x[i], result.y[j]])
        assert evaluator.measure(15 * i + j) == result.grid[:, i, j].tolist()


@pytest.mark.filterwarnings("ignore:dropout='live'")
def test_live_dropout_makes_a_smooth_section_look_like_noise():
    """V(2)/V(1) of a section is near 4, differentiable, with dropout off or one mask, and near 1, white noise, with live.

    So do the published sections: 3.85 without dropout layers, 1.05 to 1.15 with. A surface of exponent .9 has 2^1.8; white
    noise of 600 points gives .995 with sd .041 (300 simulations).
    """
    ratios = {}
    for dropout in ("off", "fixed", "live"):
        problem = Problem(SmallConv, None, "cross_entropy", images(), dropout=dropout)
        result = section(
            problem, directions.random(problem, 2), ["-.1:.1:30", "-.1:.1:20"], metrics=("loss",)
        )
        values = variogram(result.to_landscape(), [1, 2]).values
        ratios[dropout] = values[1] / values[0]
    assert min(ratios["off"], ratios["fixed"]) > 2**1.8
    assert abs(ratios["live"] - 0.995) < 5 * 0.041


def test_a_pool_of_processes_gives_the_same_bits(network, serial):
    """Two spawned workers give the serial bits, live dropout included, and compute every point outside this process."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        with pytest.warns(UserWarning, match="noise of dropout"):
            assert np.array_equal(section(*network, AXES, executor=pool).grid, serial.grid)
        pids = section(
            *of_function(small_networks.process_id), AXES, metrics=("loss",), executor=pool
        ).grid
        assert os.getpid() not in pids
        assert set(pids.ravel()) <= set(pool._processes)


def test_threads_give_the_same_bits(network, serial):
    """Workers that are threads of this process share torch's random state, and still give the serial bits."""
    with ThreadPoolExecutor(3) as pool, pytest.warns(UserWarning, match="noise of dropout"):
        assert np.array_equal(section(*network, AXES, executor=pool).grid, serial.grid)


def test_a_dask_cluster_gives_the_same_bits(network, serial):
    """Two dask workers on loopback give the serial bits and compute every point, both taking part."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor()
        assert workers.count(executor) == 2
        with pytest.warns(UserWarning, match="noise of dropout"):
            assert np.array_equal(section(*network, AXES, executor=executor).grid, serial.grid)
        pids = section(
            *of_function(small_networks.process_id), AXES, metrics=("loss",), executor=executor
        ).grid
        assert set(pids.ravel()) == set(client.run(os.getpid).values())
        assert os.getpid() not in pids


class Forgetful(Executor):
    """Runs at once, in a worker that has always just been restarted, and does not say how many workers there are."""

    sent = 0

    def submit(self, function, /, *args, **kwargs):
        """Forget what was held, then run."""
        vars(workers._held).clear()
        self.sent += args[1] is not None
        future = Future()
        future.set_result(function(*args, **kwargs))
        return future


def test_a_worker_that_holds_nothing_is_sent_the_task_again(network, serial):
    """A chunk refused by a worker without the task is sent again with it."""
    executor = Forgetful()
    executor.num_workers = 1
    with pytest.warns(UserWarning, match="noise of dropout"):
        assert np.array_equal(section(*network, AXES, executor=executor).grid, serial.grid)
    assert executor.sent == 54  # one chunk of one point each time
    unknown = Forgetful()
    assert workers.count(unknown) is None
    problem, vectors = of_function(small_networks.crooked)
    assert np.isfinite(
        section(problem, vectors, AXES, metrics=("loss",), executor=unknown).grid
    ).all()


class Job:
    """What submitit returns: like a future, but none."""

    def __init__(self, future):
        self.result, self.cancel, self._looks, self._done = (
            future.result,
            future.cancel,
            0,
            future.done,
        )

    def done(self):
        """Say no the first time."""
        self._looks += 1
        return self._looks > 1 and self._done()


class Queue(ThreadPoolExecutor):
    """An executor whose futures are jobs."""

    def submit(self, function, /, *args, **kwargs):
        """Return a job."""
        return Job(super().submit(function, *args, **kwargs))


def test_jobs_that_are_no_futures_are_asked_until_they_are_done(network, serial):
    """An executor whose futures can only be polled, as submitit's, gives the serial bits."""
    with Queue(2) as queue, pytest.warns(UserWarning, match="noise of dropout"):
        assert np.array_equal(
            section(*network, ["-1:1:6", "-2:2:9"], executor=queue).grid, serial.grid
        )


@given(shape=st.lists(st.integers(1, 60), min_size=1, max_size=3))
def test_chunks_cover_the_grid_once_in_steps_of_two_percent_at_most(shape):
    """Chunks tile the points in order, each at most 2 % of the grid or a single point."""
    task = workers.Task(None, None, tuple(np.zeros(n) for n in shape))
    covered = [index for first, stop in task.chunks() for index in range(first, stop)]
    assert covered == list(range(np.prod(shape)))
    assert all(stop - first <= max(1, 0.02 * len(covered)) for first, stop in task.chunks())


def test_killed_at_30_60_and_90_percent_and_resumed(tmp_path):
    """Killed three times, the section is bit for bit the undisturbed one, and each kill costs at most one chunk."""
    kills = [str(int(0.3 * 300)), str(int(0.6 * 300)), str(int(0.9 * 300))]
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.kill_sections", tmp_path, *kills],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    killed = Section.load(tmp_path / "section.npz")
    whole = section(*of_function(small_networks.crooked), KILLED_AXES, metrics=("loss",))
    assert np.array_equal(killed.grid, whole.grid)
    evaluations, chunk = (tmp_path / "count").stat().st_size, max(1, int(0.02 * 300))
    assert 300 + 3 <= evaluations - 4 * LOOKS + 3 <= 300 + 3 * chunk


def test_a_worker_that_dies_costs_only_what_was_under_way(tmp_path, monkeypatch):
    """When a worker is killed the error says how to go on, and resuming computes at most the chunks under way again."""
    monkeypatch.setenv("COUNT_FILE", str(tmp_path / "count"))
    monkeypatch.setenv("KILL_AT", "150")
    problem, vectors = of_function(small_networks.counted)
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
        pytest.raises(BrokenProcessPool, match="a worker died.*resume=True"),
    ):
        section(
            problem, vectors, KILLED_AXES, metrics=("loss",), path=tmp_path / "store", executor=pool
        )
    monkeypatch.delenv("KILL_AT")
    again = section(
        problem, vectors, KILLED_AXES, metrics=("loss",), path=tmp_path / "store", resume=True
    )
    whole = section(*of_function(small_networks.crooked), KILLED_AXES, metrics=("loss",))
    assert np.array_equal(again.grid, whole.grid)
    looks = (
        LOOKS + 2 + (LOOKS - 2)
    )  # the worker looks for itself; this problem was looked at already
    assert 300 < (tmp_path / "count").stat().st_size - looks <= 300 + 2 * 3


def test_a_store_is_continued_without_computing_again(tmp_path, monkeypatch):
    """Resuming a finished store evaluates nothing; a store that exists is refused unless told what to do with it."""
    store, count = tmp_path / "store", tmp_path / "count"
    monkeypatch.setenv("COUNT_FILE", str(count))
    arguments = {"metrics": ("loss",), "path": store}
    first = section(*of_function(small_networks.counted), AXES, **arguments)
    assert np.array_equal(
        section(*of_function(small_networks.counted), AXES, **arguments, resume=True).grid,
        first.grid,
    )
    assert count.stat().st_size == 54 + 2 * LOOKS
    with pytest.raises(FileExistsError, match="resume=True"):
        section(*of_function(small_networks.counted), AXES, **arguments)
    section(*of_function(small_networks.counted), AXES, **arguments, overwrite=True)
    assert count.stat().st_size == 108 + 3 * LOOKS


def test_a_store_of_another_problem_is_refused_with_the_difference(tmp_path):
    """The refusal names what differs: the loss, an axis, the directions; a file that is no store is left alone."""
    store = tmp_path / "store"
    problem, vectors = of_function(small_networks.crooked)
    section(problem, vectors, AXES, metrics=("loss",), path=store)
    other = of_function(small_networks.sum_of_powers)[0]
    with pytest.raises(
        ValueError,
        match=r"differs in problem.code of the loss .*loss at the weights \(stored 0.09, now 0.0",
    ):
        section(other, vectors, AXES, metrics=("loss",), path=store, resume=True)
    with pytest.raises(ValueError, match="differs in axes"):
        section(
            problem, vectors, ["-1:1:6", "-2:2.1:9"], metrics=("loss",), path=store, resume=True
        )
    with pytest.raises(ValueError, match="differs in directions"):
        section(
            problem,
            directions.from_vectors(problem, 2 * np.eye(2)),
            AXES,
            metrics=("loss",),
            path=store,
            resume=True,
        )
    (tmp_path / "notes").write_text("my notes\n")
    with pytest.raises(ValueError, match="be a store of a section"):
        section(problem, vectors, AXES, metrics=("loss",), path=tmp_path / "notes", resume=True)
    assert (tmp_path / "notes").read_text() == "my notes\n"


def test_cut_and_altered_lines_are_computed_again(tmp_path):
    """A line cut short is dropped silently, an altered one with a warning; the grid is the same."""
    store = tmp_path / "store"
    problem, vectors = of_function(small_networks.crooked)
    whole = section(problem, vectors, AXES, metrics=("loss",), path=store)
    lines = store.read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b".", b",", 1)
    store.write_bytes(b"".join(lines)[:-7])
    with pytest.warns(UserWarning, match="line 6 .* does not match"):
        again = section(problem, vectors, AXES, metrics=("loss",), path=store, resume=True)
    assert np.array_equal(again.grid, whole.grid)
    with pytest.warns(UserWarning, match="line 6 "):
        assert len(SectionStore(store, _identity(store), resume=True).chunks) == 54


def _identity(store):
    return json.loads(store.read_text().splitlines()[0].partition(" ")[2])["identity"]


def test_a_full_disk_says_so_and_keeps_what_was_finished(tmp_path, monkeypatch):
    """When the disk fills, the system's error comes through and the store can be continued."""
    problem, vectors = of_function(small_networks.crooked)
    whole, written, fsync = section(problem, vectors, AXES, metrics=("loss",)), [], os.fsync

    def full_after_twenty(handle):
        written.append(handle)
        if len(written) == 20:
            os.ftruncate(handle, os.fstat(handle).st_size - 9)  # the line came through in part
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_after_twenty)
        with pytest.raises(OSError, match="No space left"):
            section(problem, vectors, AXES, metrics=("loss",), path=tmp_path / "store")
    with SectionStore(tmp_path / "store", _identity(tmp_path / "store"), resume=True) as store:
        assert len(store.chunks) == 18
    again = section(problem, vectors, AXES, metrics=("loss",), path=tmp_path / "store", resume=True)
    assert np.array_equal(again.grid, whole.grid)


def test_two_sections_cannot_write_one_store(tmp_path):
    """A store that is open elsewhere is refused."""
    with (
        SectionStore(tmp_path / "store", {}),
        pytest.raises(ValueError, match="be used by one section at a time"),
    ):
        SectionStore(tmp_path / "store", {}, resume=True)


def test_nan_and_inf_are_kept_and_counted(tmp_path):
    """Holes stay in the grid as they came, through store and file, are counted, and have no landscape."""
    result = section(
        *of_function(small_networks.holed), AXES, metrics=("loss",), path=tmp_path / "store"
    )
    again = section(
        *of_function(small_networks.holed),
        AXES,
        metrics=("loss",),
        path=tmp_path / "store",
        resume=True,
    )
    assert np.array_equal(again.grid, result.grid, equal_nan=True)
    assert np.isnan(result.values["loss"][-1]).all()
    assert np.isposinf(result.values["loss"][0]).all()
    assert result.n_not_finite == 4 * 9  # x = .6 and 1, -.6 and -1
    assert np.array_equal(result.status == 1, np.isfinite(result.values["loss"]))
    with pytest.raises(ValueError, match="36 NaN or inf"):
        result.to_landscape()


def test_save_and_load_give_the_same_section(serial, tmp_path):
    """Everything survives a round trip, an altered file is refused, and the marks of live dropout stay."""
    serial.save(tmp_path / "section.npz")
    again = Section.load(tmp_path / "section.npz")
    for field in dataclasses.fields(Section):
        assert np.array_equal(getattr(again, field.name), getattr(serial, field.name)), field.name
    assert again.live_dropout
    assert again.values.keys() == {"loss", "accuracy"}
    expected = {"threads": 1, "device": "cpu", "at_once": None, "path": "channels last"}
    expected["better"] = {"loss": "low", "accuracy": "high"}
    assert again.settings == expected | {"rounding": serial.rounding}
    content = (tmp_path / "section.npz").read_bytes()
    (tmp_path / "section.npz").write_bytes(content[:700] + b"?" + content[701:])
    with pytest.raises(DamagedFileError):
        Section.load(tmp_path / "section.npz")


def test_more_threads_agree_to_rounding(network):
    """Two threads of torch give the loss of one to float32 rounding; the setting is recorded, and refused on resume."""
    problem = Problem(SmallConv, None, "cross_entropy", images())
    one, two = (section(problem, network[1], AXES, threads=threads) for threads in (1, 2))
    np.testing.assert_allclose(
        one.values["loss"], two.values["loss"], atol=100 * 10 * np.finfo(np.float32).eps
    )
    assert two.settings["threads"] == 2


def test_estimate_is_the_time_of_a_point_times_their_number(monkeypatch, network):
    """With a clock that ticks a second a call, each point takes one second."""
    ticks = iter(range(100))
    monkeypatch.setattr("landscape_viz.sections.time.perf_counter", lambda: next(ticks))
    problem, vectors = of_function(small_networks.crooked)
    assert estimate_seconds(problem, vectors, AXES, metrics=("loss",), n_workers=2) == 54 / 2


def test_points_a_launch_are_recorded_and_agree(network):
    """A section of stacked points is that of single ones to float32 rounding, and says so in its settings."""
    problem = Problem(SmallConv, None, "cross_entropy", images())
    one, stacked = (section(problem, network[1], AXES, at_once=at_once) for at_once in (None, 4))
    np.testing.assert_allclose(
        stacked.values["loss"], one.values["loss"], atol=100 * 10 * np.finfo(np.float32).eps
    )
    assert stacked.settings["at_once"] == 4
    assert (one.settings["path"], stacked.settings["path"]) == ("channels last", "4 at once")


def test_axes_are_parsed():
    """min:max:num includes both ends; arrays stay."""
    assert np.array_equal(parse_axis("-2.4:2.4:51"), np.linspace(-2.4, 2.4, 51))
    assert np.array_equal(parse_axis([0, 1, 5]), [0.0, 1.0, 5.0])


@pytest.mark.parametrize(
    "text", ["", "1:2", "a:b:3", "0:1:0", "0:1:2.5", "0:inf:3", "0:1:2:3", "0:1:-4"]
)
def test_axes_that_do_not_parse_are_refused(text):
    """The refusal shows the form wanted."""
    words = f"axis must read min:max:num with finite ends and at least one point, got {text!r}; write for example -1:1:51"
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_axis(text)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"axes": ["-1:1:3"]}, "axes must be as many as directions (2)"),
        ({"axes": ["-1:1:3", [0, np.nan]]}, "axes must be finite everywhere"),
        ({"metrics": ()}, "metrics must name at least one"),
        ({"metrics": ("error",)}, "metrics must be one of 'loss', 'accuracy'"),
        ({"at_once": 0}, "at_once must be a whole number"),
        ({"threads": 0}, "threads must be a whole number"),
    ],
)
def test_bad_input_is_refused_with_its_rule(changes, words):
    """Each refusal names the argument, its value and the rule."""
    problem, vectors = of_function(small_networks.crooked)
    arguments = {"axes": AXES, "metrics": ("loss",)} | changes
    with pytest.raises(ValueError, match=re.escape(words)):
        section(problem, vectors, **arguments)


def test_nothing_is_written_before_the_input_is_checked(tmp_path):
    """A refused section leaves no store behind."""
    problem, vectors = of_function(small_networks.crooked)
    with pytest.raises(ValueError, match="leave 'accuracy' out"):
        section(problem, vectors, AXES, metrics=("accuracy",), path=tmp_path / "store")
    assert not list(tmp_path.iterdir())


def test_directions_of_another_network_are_refused(network):
    """Directions must have as many entries as the network has parameters."""
    with pytest.raises(ValueError, match="directions must have the network's 2 parameters"):
        section(of_function(small_networks.crooked)[0], network[1], AXES)


def test_a_worker_takes_only_the_bytes_that_their_key_names():
    """Other bytes than those that were hashed are refused before they are unpickled: these would raise something else."""
    with pytest.raises(ValueError, match="must be the task that its key names"):
        workers.run_chunk("0" * 64, b"no pickle", 0, 1)
