"""The store of a section: what was added is on disk before `add` returns, and resuming finds exactly that."""

import contextlib
import os
from types import SimpleNamespace

import numpy as np
import pytest

from landscape_viz.mapping import computing
from landscape_viz.mapping.section_store import SectionStore

IDENTITY = {"axes": [[0.0, 1.0]], "loss": 0.5}


def test_a_chunk_is_on_disk_before_it_counts(tmp_path, monkeypatch):
    """Every add is followed by one sync of the store's file, at which its bytes are all there and the chunk is not known yet."""
    synced, stores, fsync = [], [], os.fsync

    def watched(handle):
        synced.append((os.fstat(handle).st_size, sum(len(store.chunks) for store in stores)))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    with SectionStore(tmp_path / "store", IDENTITY) as store:
        stores.append(store)
        for k in range(3):
            store.add(5 * k, np.full((1, 5), k / 3))
            assert synced[-1] == ((tmp_path / "store").stat().st_size, k)
    assert len(synced) == 4


def test_the_same_file_resumes_with_the_same_chunks_and_no_other(tmp_path):
    """Values, NaN and inf too, come back to the bit; a torn last line is cut off, and losses to 1e-5 are the same identity."""
    values = np.array([[0.1, np.nan, np.inf, -1e-300, 2 / 3]])
    with SectionStore(tmp_path / "store", IDENTITY) as store:
        store.add(0, values)
        store.add(5, 2 * values)
    with open(tmp_path / "store", "ab") as file:
        file.write(b"half a li")
    with SectionStore(tmp_path / "store", IDENTITY | {"loss": 0.500004}, resume=True) as store:
        assert sorted(store.chunks) == [0, 5]
        assert np.array_equal(store.chunks[5], 2 * values, equal_nan=True)
        store.add(10, values)
    with SectionStore(tmp_path / "store", IDENTITY, resume=True) as store:
        assert sorted(store.chunks) == [0, 5, 10]


def test_what_is_there_is_neither_resumed_nor_replaced_unasked(tmp_path):
    """Without a word a store that exists is refused and left as it is; with `overwrite` it is begun again."""
    path = tmp_path / "store"
    with SectionStore(path, IDENTITY) as store:
        store.add(0, np.zeros((1, 5)))
    kept = path.read_bytes()
    with pytest.raises(FileExistsError):
        SectionStore(path, IDENTITY)
    assert path.read_bytes() == kept
    with SectionStore(path, IDENTITY, overwrite=True) as store:
        assert store.chunks == {}


@pytest.mark.parametrize(
    ("new", "same"),
    [(0.5 * (1 + 0.99e-5), True), (0.5 * (1 + 1.01e-5), False), (-0.5, False), (np.nan, False)],
)
def test_a_loss_is_the_same_to_one_part_in_a_hundred_thousand(new, same, tmp_path):
    """What differs by more is another section, and refused both ways; an unknown loss is the same as an unknown one only."""
    one, other = IDENTITY, IDENTITY | {"loss": new}
    for k, (first, second) in enumerate(((one, other), (other, one))):
        path = tmp_path / str(k)
        SectionStore(path, first).close()
        SectionStore(path, first, resume=True).close()
        if same:
            SectionStore(path, second, resume=True).close()
        else:
            with pytest.raises(ValueError, match="0.5|nan"):
                SectionStore(path, second, resume=True)


def test_counts_are_compared_exactly(tmp_path):
    """A whole number is no loss: one hundred thousand and one hundred thousand and a half are different."""
    path = tmp_path / "store"
    SectionStore(path, {"n": 100_000}).close()
    for other in (100_000.5, 100_001, None):
        with pytest.raises(ValueError, match="100000"):
            SectionStore(path, {"n": other}, resume=True)


def test_the_progress_of_a_resumed_section_begins_where_it_was(monkeypatch):
    """Of ten points four are known: the bar starts at four and gets the other six; the grid holds all."""
    told = []

    class Bar:
        def __init__(self, **given):
            told.append((given["total"], given["initial"]))
            self.update = told.append

        __enter__ = __exit__ = lambda *_: None

    monkeypatch.setattr(computing, "tqdm", Bar)
    task = SimpleNamespace(
        problem=SimpleNamespace(ranks=None),
        n_points=10,
        chunks=lambda: [(0, 4), (4, 8), (8, 10)],
        steady=contextlib.nullcontext,
        run=lambda first, stop: np.arange(first, stop)[None] + 0.0,
    )
    grid, kept = np.full((1, 10), np.nan), []
    known = {0: np.arange(4.0)[None]}
    computing._fill(grid, task, known, None, True, lambda first, values: kept.append(first))
    assert told == [(10, 4), 4, 2]
    assert kept == [4, 8]
    np.testing.assert_array_equal(grid, [np.arange(10.0)])
