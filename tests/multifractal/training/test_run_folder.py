"""Run folders: growing files, every half-written state, damage, locks and refusals."""

import errno
import multiprocessing
import os
import re

import numpy as np
import pytest

from multifractal import DamagedFileError
from multifractal.training import run_folder
from multifractal.training.run import _multiples, _refuse_divergence
from multifractal.training.run_folder import (
    GrowingArray,
    RunFolder,
    read_record,
    read_rows,
    require_space,
)

pytestmark = pytest.mark.quick

FORMS = {"track": ((3,), np.float32), "loss": ((), np.float64)}
PARAMETERS = {"rate": 0.1, "epochs": 20}


def rows(first, stop):
    """Rows `first` to `stop` of a made-up run, for both arrays."""
    epochs = np.arange(first, stop)
    return {
        "track": np.sin(epochs[:, None] + np.arange(3.0)).astype(np.float32),
        "loss": np.exp(-epochs),
    }


def run(path, stop=20, **how):
    """Do the made-up run up to epoch `stop`, five epochs a chunk, from wherever the folder is."""
    folder = RunFolder(path, FORMS)
    state = folder.start(PARAMETERS, may_grow=("epochs",), **how)
    try:
        epoch = 0 if state is None else state[1]["epoch"]
        if state is None:
            folder.checkpoint({"position": np.zeros(3)}, epoch=0)
        while epoch < stop:
            for name, new in rows(epoch, epoch + 5).items():
                folder.arrays[name].append(new)
            epoch += 5
            folder.checkpoint({"position": rows(epoch - 1, epoch)["track"][0]}, epoch=epoch)
    finally:
        folder.close()


def files(path):
    """Bytes of every file of a run."""
    return {
        name: (path / name).read_bytes()
        for name in ("track.npy", "loss.npy", "checkpoint.npz", "run.json")
    }


def test_a_growing_file_is_valid_after_every_row(tmp_path):
    """What numpy reads is exactly the rows appended so far, at each length, also 0 and past a digit more in the header."""
    array = GrowingArray(tmp_path / "a.npy", (2,), np.float32).create()
    values = np.random.default_rng(0).normal(size=(1200, 2)).astype(np.float32)
    for first, stop in ((0, 0), (0, 1), (1, 9), (9, 11), (11, 1200)):
        array.append(values[first:stop])
        assert np.array_equal(np.load(tmp_path / "a.npy"), values[:stop])
    array.close()


class Killed(BaseException):
    """Stands for the moment of a kill."""


def test_every_half_written_state_resumes_to_the_same_bytes(tmp_path, monkeypatch):
    """Stopped before or after each write, sync and rename: arrays can be read, and resuming gives a whole run's files."""
    run(tmp_path / "whole")
    real = {
        "write": GrowingArray._write_header,
        "sync": os.fsync,
        "rename": os.replace,
        "append": GrowingArray.append,
    }
    moment = {}

    def stopping(function):
        def stopped(*args, **kwargs):
            moment["left"] -= 1
            if moment["left"] == 0:
                raise Killed
            result = function(*args, **kwargs)
            moment["left"] -= 1
            if moment["left"] == 0:
                raise Killed
            return result

        return stopped

    monkeypatch.setattr(GrowingArray, "_write_header", stopping(real["write"]))
    monkeypatch.setattr(GrowingArray, "append", stopping(real["append"]))
    monkeypatch.setattr(os, "fsync", stopping(real["sync"]))
    monkeypatch.setattr(os, "replace", stopping(real["rename"]))
    n_stops = 0
    while True:
        path = tmp_path / f"stop{n_stops}"
        moment["left"] = n_stops + 1
        try:
            run(path, resume=True)
        except Killed:
            n_stops += 1
            moment["left"] = 10**9
            for array in path.glob("*.npy"):
                assert array.stat().st_size == 0 or len(np.load(array)) <= 20
            run(path, resume=True)
            assert files(path) == files(tmp_path / "whole"), f"stopped at {n_stops}"
            continue
        break
    # before and after: 8 calls a chunk, 4 of the first checkpoint, 4 to begin
    assert n_stops == 2 * (4 * 8 + 4 + 4)


def test_what_was_written_after_the_checkpoint_is_cut_off(tmp_path):
    """Rows, even wrong ones, and half rows beyond the checkpoint leave no trace after resuming."""
    run(tmp_path / "whole")
    run(tmp_path / "part", stop=10)
    with open(tmp_path / "part" / "track.npy", "ab") as file:
        file.write(100 * b"half a row and more of rubbish")
    run(tmp_path / "part", resume=True)
    assert files(tmp_path / "part") == files(tmp_path / "whole")


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("track.npy", lambda b: b[:-7], "bytes, fewer than"),
        (
            "track.npy",
            lambda b: b[:150] + bytes([b[150] ^ 1]) + b[151:],
            "are not those of its checkpoint",
        ),
        ("loss.npy", None, "is missing"),
        ("checkpoint.npz", lambda b: b[: len(b) // 2], "cannot be read"),
        ("checkpoint.npz", None, "is missing, but there are arrays"),
        ("run.json", lambda b: b[:40], "cannot be read"),
    ],
)
def test_damage_is_refused_with_the_file_and_the_remedy(tmp_path, name, damage, words):
    """A file cut short, altered by one bit or missing is named; nothing is changed; --overwrite starts again."""
    run(tmp_path / "a", stop=10)
    path = tmp_path / "a" / name
    content = path.read_bytes()
    path.unlink() if damage is None else path.write_bytes(damage(content))
    with pytest.raises(DamagedFileError, match=re.escape(words)) as caught:
        run(tmp_path / "a", resume=True)
    assert name in str(caught.value)
    run(tmp_path / "a", overwrite=True)
    run(tmp_path / "whole")
    assert files(tmp_path / "a") == files(tmp_path / "whole")


def test_what_is_read_back_is_what_was_checkpointed(tmp_path):
    """Rows come back without those after the checkpoint, whatever the header says; one altered bit of them is refused."""
    run(tmp_path / "a", stop=10)
    path = tmp_path / "a" / "track.npy"
    content = path.read_bytes()
    start = content.index(b"\n") + 1
    path.write_bytes(content.replace(b"<f4", b">i4") + rows(10, 15)["track"].tobytes())
    found = read_rows(tmp_path / "a")
    assert np.array_equal(found["track"], rows(0, 10)["track"])
    assert np.array_equal(found["loss"], rows(0, 10)["loss"])
    assert found["track"].dtype == np.float32
    path.write_bytes(content[: start + 5] + bytes([content[start + 5] ^ 4]) + content[start + 6 :])
    with pytest.raises(DamagedFileError, match="are not those of its checkpoint"):
        read_rows(tmp_path / "a")
    path.write_bytes(content[:-1])
    with pytest.raises(DamagedFileError, match="fewer than"):
        read_rows(tmp_path / "a")


def test_an_altered_record_is_refused(tmp_path):
    """One digit of a parameter changed in run.json does not pass for the run's own, read or resumed."""
    run(tmp_path / "a", stop=10)
    record = tmp_path / "a" / "run.json"
    record.write_text(record.read_text().replace('"rate": 0.1', '"rate": 0.2'))
    with pytest.raises(DamagedFileError, match="does not match the SHA-256"):
        read_record(tmp_path / "a")
    with pytest.raises(DamagedFileError, match="does not match the SHA-256"):
        run(tmp_path / "a", resume=True)


def test_an_existing_folder_is_refused_and_foreign_files_are_kept(tmp_path):
    """Without resume or overwrite a run's folder is refused; one of other things is never taken, nor its files deleted."""
    run(tmp_path / "a")
    with pytest.raises(FileExistsError, match="--resume"):
        run(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "track.npy").write_text("precious")
    for how in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(FileExistsError):
            run(tmp_path / "b", **how)
    assert (tmp_path / "b" / "track.npy").read_text() == "precious"
    (tmp_path / "a" / "notes.txt").write_text("precious")
    run(tmp_path / "a", overwrite=True)
    assert (tmp_path / "a" / "notes.txt").read_text() == "precious"
    with pytest.raises(ValueError, match="not both"):
        run(tmp_path / "a", overwrite=True, resume=True)


def test_other_parameters_are_refused_with_the_difference(tmp_path):
    """The message names each differing parameter with both values; a larger `epochs` is a longer run, and is recorded."""
    run(tmp_path / "a")
    with pytest.raises(
        ValueError,
        match=re.escape("rate: 0.1 in the folder, 0.2 asked; seed: None in the folder, 3 asked"),
    ):
        RunFolder(tmp_path / "a", FORMS).start({"rate": 0.2, "epochs": 20, "seed": 3}, resume=True)
    folder = RunFolder(tmp_path / "a", FORMS)
    folder.start(PARAMETERS | {"epochs": 40}, resume=True, may_grow=("epochs",))
    folder.close()
    assert read_record(tmp_path / "a")["parameters"] == {"rate": 0.1, "epochs": 40}


def test_another_version_is_noticed(tmp_path, monkeypatch):
    """Resuming with other versions than the run was begun with warns that bits may differ."""
    run(tmp_path / "a", stop=10)
    monkeypatch.setattr(run_folder, "_versions", lambda: {"jax": "99"})
    with pytest.warns(UserWarning, match="bits may differ"):
        run(tmp_path / "a", resume=True)


def _hold(path, held, done):
    folder = RunFolder(path, FORMS)
    folder.start(PARAMETERS, resume=True)
    held.set()
    done.wait(60)


def test_two_writers_are_refused(tmp_path):
    """While one process writes, another is refused; when the first is killed, the folder is free."""
    run(tmp_path / "a", stop=10)
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    writer = context.Process(target=_hold, args=(tmp_path / "a", held, done))
    writer.start()
    assert held.wait(60)
    with pytest.raises(BlockingIOError, match="another process"):
        run(tmp_path / "a", resume=True)
    writer.kill()
    writer.join()
    run(tmp_path / "a", resume=True)
    run(tmp_path / "whole")
    assert files(tmp_path / "a") == files(tmp_path / "whole")


def test_no_space_left_is_refused_before_and_survived_during_a_run(tmp_path, monkeypatch):
    """Too little room is refused with the numbers; a disk that fills up in between loses nothing that was done."""
    with pytest.raises(OSError, match=r"needs 1e\+09 GB .* free some"):
        require_space(tmp_path / "not" / "there", 10**18)
    write = GrowingArray._write_header

    def full(self, n_rows):
        if n_rows == 15:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, n_rows)

    monkeypatch.setattr(GrowingArray, "_write_header", full)
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path / "a")
    monkeypatch.undo()
    run(tmp_path / "a", resume=True)
    run(tmp_path / "whole")
    assert files(tmp_path / "a") == files(tmp_path / "whole")


def test_checkpoints_are_at_multiples_of_the_step():
    """From the first multiple that is not below the start, to before the end."""
    assert list(_multiples(5, 7, 31)) == [10, 15, 20, 25, 30]
    assert list(_multiples(5, 10, 20)) == [10, 15]


def test_the_epoch_of_a_divergence_is_told():
    """The first epoch with a position or a loss that is not finite; finite ones pass."""
    positions, losses = np.zeros((4, 3)), np.zeros((4, 2))
    _refuse_divergence(positions, losses, 100)
    positions[3, 1] = losses[2, 0] = np.nan
    with pytest.raises(FloatingPointError, match="in epoch 102;"):
        _refuse_divergence(positions, losses, 100)
    with pytest.raises(FloatingPointError, match="in epoch 103;"):
        _refuse_divergence(positions, np.zeros((4, 2)), 100)
