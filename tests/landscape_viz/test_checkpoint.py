"""Checkpoints: round trip, every flipped bit noticed, files by others, hostile pickles, full disks."""

import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from landscape_viz import checkpoint
from multifractal import DamagedFileError

pytestmark = pytest.mark.quick

STATE = {
    "a.weight": torch.arange(12.0).reshape(3, 4),
    "a.count": torch.tensor(7),
    "half": torch.ones(3, dtype=torch.bfloat16),
}
TRAINING = {
    "epoch": 3,
    "history": {"loss": [1.5, 0.25]},
    "optimizer": {"state": {0: {"m": torch.ones(2), "n": None}}},
}


@pytest.fixture
def saved(tmp_path):
    """A checkpoint of ours."""
    path = tmp_path / "epoch_0003.pt"
    checkpoint.save(path, STATE, TRAINING)
    return path


def test_round_trip_is_exact_and_verified(saved):
    """Every tensor and value comes back, dtype included, and the file counts as verified."""
    again = checkpoint.load(saved)
    assert again.verified
    assert checkpoint.content_sha256(again.state_dict) == checkpoint.content_sha256(STATE)
    assert checkpoint.content_sha256(again.training) == checkpoint.content_sha256(TRAINING)
    assert again.state_dict["half"].dtype == torch.bfloat16
    assert repr(again) == "Checkpoint(3 tensors, epoch 3, verified)"


def test_published_scripts_can_read_our_files(saved):
    """torch.load(path, weights_only=True)['state_dict'] is the network, as in the published files."""
    state = torch.load(saved, weights_only=True)["state_dict"]
    assert torch.equal(state["a.weight"], STATE["a.weight"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": 1.0}),
        ([1, 2], (1, 2)),
        ({"a": None}, {"a": "None"}),
        (["ab", "c"], ["a", "bc"]),
        ({}, []),
        (torch.zeros(2, 3), torch.zeros(3, 2)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.int32)),
        ([[1], 2], [[1, 2]]),
        ({"a": 1, "b": 2}, {"b": 1, "a": 2}),
        (0.0, -0.0),
        (True, 1),
        (torch.tensor(float("nan")), torch.tensor(0.0)),
    ],
)
def test_different_contents_have_different_digests(one, other):
    """The digest tells types, shapes, nesting and signs apart."""
    assert checkpoint.content_sha256(one) != checkpoint.content_sha256(other)


def test_no_flipped_bit_loads_as_another_checkpoint(saved):
    """200 single-bit flips, each refused or harmless; torch alone loads most of those in the weights silently."""
    whole, before = saved.read_bytes(), checkpoint.content_sha256([STATE, TRAINING])
    rng, refused = np.random.default_rng(0), 0
    for position, bit in zip(
        rng.integers(0, len(whole), 200), rng.integers(0, 8, 200), strict=True
    ):
        saved.write_bytes(
            whole[:position] + bytes([whole[position] ^ 1 << int(bit)]) + whole[position + 1 :]
        )
        try:
            again = checkpoint.load(saved)
        except DamagedFileError:
            refused += 1
            continue
        assert again.verified
        assert checkpoint.content_sha256([again.state_dict, again.training]) == before
    assert refused > 20


def test_every_flipped_bit_of_the_weights_is_refused(saved):
    """Flips inside a tensor's own bytes, which torch does not notice."""
    with zipfile.ZipFile(saved) as archive:
        content = archive.read(next(name for name in archive.namelist() if name.endswith("data/0")))
    whole = saved.read_bytes()
    start = whole.index(content)
    for offset in range(0, len(content), 5):
        flipped = (
            whole[: start + offset]
            + bytes([whole[start + offset] ^ 4])
            + whole[start + offset + 1 :]
        )
        saved.write_bytes(flipped)
        torch.load(saved, weights_only=True)
        with pytest.raises(DamagedFileError, match="does not match the SHA-256"):
            checkpoint.load(saved)


@pytest.mark.parametrize("content", [{"state_dict": STATE, "epoch": 4, "train_loss": 2.0}, STATE])
@pytest.mark.parametrize("modern", [True, False])
def test_files_by_others_are_read_and_marked_unverified(tmp_path, content, modern):
    """The published form and a bare state_dict load with a warning, in torch's present and older file formats."""
    path = tmp_path / "model_4.t7"
    torch.save(content, path, _use_new_zipfile_serialization=modern)
    with pytest.warns(UserWarning, match="unverified"):
        again = checkpoint.load(path)
    assert not again.verified
    assert again.training == {}
    assert checkpoint.content_sha256(again.state_dict) == checkpoint.content_sha256(STATE)


class _Hostile:
    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


@pytest.mark.parametrize(
    "wrap", [lambda bad: bad, lambda bad: {"state_dict": bad}, lambda bad: {"sha256": "", "a": bad}]
)
@pytest.mark.parametrize(
    "save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))]
)
def test_a_hostile_pickle_is_refused_and_not_executed(tmp_path, wrap, save):
    """A pickle that would make a folder when read makes none."""
    path, trace = tmp_path / "model.pt", tmp_path / "executed"
    save(wrap(_Hostile(trace)), path)
    with pytest.raises(DamagedFileError, match="nothing in it was executed"):
        checkpoint.load(path)
    assert not trace.exists()
    with open(path, "rb") as file:  # the trap itself works
        torch.load(file, weights_only=False) if save is torch.save else pickle.load(file)
    assert trace.exists()


@pytest.mark.parametrize("content", [b"", b"hello", bytes(range(256)) * 40])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    """Empty and arbitrary files are refused by name."""
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match="model.pt"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    "content", [{"state_dict": {"a": 3}}, {"state_dict": {}}, [1, 2], torch.ones(3)]
)
def test_a_file_without_tensors_by_name_is_refused(tmp_path, content):
    """Readable files that hold no state_dict are refused, with what they must hold."""
    path = tmp_path / "model.pt"
    torch.save(content, path)
    with (
        pytest.warns(UserWarning, match="unverified"),
        pytest.raises(DamagedFileError, match="must hold"),
    ):
        checkpoint.load(path)


def test_a_bare_state_dict_is_verified_by_the_file_beside_it(tmp_path):
    """What torch.load gives goes straight into a network; another content, or another file beside, is refused."""
    network, path = torch.nn.Linear(3, 2), tmp_path / "model.pth"
    checkpoint.save_state(path, network.state_dict(), {"epoch": 4})
    other = torch.nn.Linear(3, 2)
    other.load_state_dict(torch.load(path))
    assert torch.equal(other.weight, network.weight)
    stored = checkpoint.load(path)
    assert (stored.verified, stored.training) == (True, {"epoch": 4})
    with pytest.raises(FileExistsError):
        checkpoint.save_state(path, network.state_dict())
    torch.save(torch.nn.Linear(3, 2).state_dict(), path)
    with pytest.raises(DamagedFileError, match="SHA-256 beside it"):
        checkpoint.load(path)


def test_an_existing_file_is_not_overwritten_unasked(saved):
    """The old checkpoint stays, byte for byte."""
    before = saved.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        checkpoint.save(saved, STATE)
    assert saved.read_bytes() == before
    checkpoint.save(saved, STATE, overwrite=True)
    assert checkpoint.load(saved).training == {}


def test_only_tensors_and_plain_values_are_written(tmp_path):
    """An object that would need a pickle is refused before anything is written."""
    with pytest.raises(TypeError, match="tensors and plain values only, got set"):
        checkpoint.save(tmp_path / "model.pt", STATE, {"what": {1, 2}})
    assert list(tmp_path.iterdir()) == []


_FULL = """
import resource, signal, sys, torch
from landscape_viz import checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    checkpoint.save(sys.argv[1], {"w": torch.ones(100_000)}, overwrite=True)
except OSError as error:
    print("refused", error)
"""


def test_a_disk_that_fills_up_leaves_the_old_file(saved):
    """When the system refuses to write on (here at a file size limit), OSError is raised and no trace is left."""
    before = saved.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", _FULL, saved], capture_output=True, text=True, check=True
    )
    assert "refused" in done.stdout
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]
