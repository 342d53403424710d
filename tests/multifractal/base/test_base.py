"""Files we write: atomic, checked, never overwritten unasked; and the helpers below everything else."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from scipy import fft

from multifractal import DamagedFileError
from multifractal.base import checks, chunks, files, fourier, vtk
from multifractal.base.rng import as_generator, realisation

pytestmark = pytest.mark.quick


def test_an_error_while_writing_keeps_the_old_file(tmp_path):
    """When the block raises, the old content stays and no temporary file is left."""
    path = tmp_path / "kept"
    path.write_bytes(b"old")

    def write_half():
        with files.atomic_write(path, overwrite=True) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_a_killed_writer_go_and_those_of_a_living_one_stay(tmp_path):
    """A write deletes the temporary file that a killed writer of the same path left, and no other file."""
    path = tmp_path / "kept"
    killed = (
        "import os, sys; from multifractal.base import files\n"
        "with files.atomic_write(sys.argv[1]) as f: f.write(b'half'); f.flush(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", killed, str(path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    (tmp_path / ".kept2.abc.part").write_bytes(b"of another")
    with files.atomic_write(path, overwrite=True) as slow:
        slow.write(b"slow")
        with files.atomic_write(path, overwrite=True) as quick:
            quick.write(b"quick")
        assert path.read_bytes() == b"quick"
    assert path.read_bytes() == b"slow"
    assert {found.name for found in tmp_path.iterdir()} == {"kept", ".kept2.abc.part"}


def test_a_file_system_without_locks_is_written_to_and_leaves_no_descriptor_open(
    tmp_path, monkeypatch
):
    """Where flock is refused the file is written all the same, and as many descriptors are open after as before."""

    def refused(*_):
        raise OSError("no locks here")

    monkeypatch.setattr(files.fcntl, "flock", refused)
    before = len(os.listdir("/dev/fd"))
    for k in range(3):
        with files.atomic_write(tmp_path / f"{k}") as file:
            file.write(b"whole")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == 3 * [b"whole"]
    assert len(os.listdir("/dev/fd")) == before


def test_pickles_are_refused_and_not_executed(tmp_path):
    """An object array in a file is refused; nothing in it runs."""

    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("executed").touch, ())

    np.savez(tmp_path / "bomb.npz", values=np.array([Bomb()], dtype=object))
    (tmp_path / "executed").unlink(missing_ok=True)
    with pytest.raises(DamagedFileError):
        files.load_arrays(tmp_path / "bomb.npz")
    assert not (tmp_path / "executed").exists()


def test_a_parser_that_trips_over_damage_is_a_damaged_file(tmp_path):
    """A header on which numpy raises tokenize.TokenError, an error of no usual kind, makes the file a damaged one."""
    files.save_arrays(tmp_path / "a.npz", {"values": np.zeros((3, 4))}, {})
    content = (tmp_path / "a.npz").read_bytes()
    assert b"(3, 4)" in content
    (tmp_path / "a.npz").write_bytes(content.replace(b"(3, 4)", b"(3, 4("))
    with pytest.raises(DamagedFileError, match="cannot be read as a file of this package"):
        files.load_arrays(tmp_path / "a.npz")


def test_checksum_covers_names_shapes_and_metadata(tmp_path):
    """Renaming an array, reshaping it or altering the metadata is noticed."""
    array = np.arange(6.0)
    good = files._digest({"a": array}, {"k": 1})
    assert (
        len(
            {
                good,
                files._digest({"b": array}, {"k": 1}),
                files._digest({"a": array.reshape(2, 3)}, {"k": 1}),
                files._digest({"a": array}, {"k": 2}),
                files._digest({"a": array.astype("f4")}, {"k": 1}),
            }
        )
        == 5
    )


def test_realisations_do_not_depend_on_how_many_are_drawn():
    """Realisation 3 of a seed is the same alone or after others, and differs from its neighbours."""
    alone = realisation(7, 3).normal(size=4)
    assert np.array_equal(alone, [realisation(7, i).normal(size=4) for i in range(5)][3])
    assert not np.array_equal(alone, realisation(7, 2).normal(size=4))


@pytest.mark.parametrize("rng", [-1, 1.5, None, "seed", True])
def test_a_bad_source_of_randomness_is_refused(rng):
    """Anything but a seed, a SeedSequence or a Generator is refused with the remedy."""
    with pytest.raises(ValueError, match=r"rng must be .*; pass an int seed"):
        as_generator(rng)


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_chunks_come_back_in_order(monkeypatch, threads):
    """Results are in the order of the chunks, whatever the number of threads."""
    monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
    assert chunks.map_chunks(divmod, [(k, 7) for k in range(40)]) == [
        divmod(k, 7) for k in range(40)
    ]


@pytest.mark.parametrize("value", [0, -1, np.inf, np.nan, "1", True, None])
def test_positive_number_refuses(value):
    """What is not a positive finite number is refused by name."""
    with pytest.raises(ValueError, match="rate must be a positive finite number, got"):
        checks.positive_number("rate", value)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda: checks.float_dtype(5), "dtype must be float32 or float64, got 5; pass"),
        (
            lambda: checks.float_dtype("nothing"),
            "dtype must be float32 or float64, got 'nothing'; pass",
        ),
        (lambda: checks.finite_array("a", [[1], [1, 2]]), "a must be an array of numbers, got"),
        (
            lambda: checks.finite_array("a", [10**400, 0.5]),
            "a must (be an array of|hold real) numbers, got",
        ),
        (lambda: checks.real_array("a", ["x"]), "a must hold real numbers, got"),
        (lambda: checks.whole_number("n", 2**70), "n must be below 2\\^63, got"),
        (
            lambda: checks.grid_shape("n", (8, 2**40)),
            "n must be a whole number or .* below 2\\^31, got",
        ),
        (lambda: checks.positive_number("a", 10**400), "a must be a positive finite number, got"),
        (lambda: checks.finite_number("a", np.nan), "a must be a finite number, got nan"),
        (
            lambda: checks.ascending_pair("a", (2, 1)),
            "a must be two finite numbers, the first the smaller, got",
        ),
        (
            lambda: checks.ascending_pair("a", [[1, 2], [3, 4]]),
            "a must be two finite numbers, the first the smaller, got",
        ),
        (lambda: checks.path("a", 3), "a must be a path, got 3"),
        (
            lambda: chunks.map_chunks(divmod, [(1, 2)], 3),
            "executor must be a concurrent.futures.Executor or None, got 3",
        ),
    ],
)
def test_what_is_odd_is_refused_in_full_words(check, words):
    """Argument, rule and value are said for numbers too large, ragged lists, and what is no dtype, path or executor."""
    with pytest.raises(ValueError, match=words):
        check()


def test_no_test_reaches_the_network():
    """A connection that would leave this machine is refused here and in a Python that a test starts."""
    attempt = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    with pytest.raises(OSError, match="must not open a connection"):
        exec(attempt)
    done = subprocess.run([sys.executable, "-c", attempt], capture_output=True, text=True)
    assert "must not open a connection to 192.0.2.1" in done.stderr


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transforms_have_the_same_bits_on_any_threads(monkeypatch, dtype):
    """Transforms agree with scipy's, return to where they came from, and have the same bits on 1, 2 and 5 threads."""
    values = np.random.default_rng(0).normal(size=(150, 271)).astype(dtype)
    spectra = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        spectra.append(fourier.rfft2(values))
    assert np.array_equal(spectra[0], spectra[1])
    assert np.array_equal(spectra[0], spectra[2])
    tolerance = 1e3 * np.finfo(dtype).eps
    np.testing.assert_allclose(spectra[0], fft.rfft2(values), atol=tolerance * np.sqrt(values.size))
    np.testing.assert_allclose(fourier.irfft2(spectra[0].copy(), 271), values, atol=tolerance)


def test_a_file_is_on_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    """Flushed, synced and only then renamed: at the sync all bytes are in the file, and the old file still has its name."""
    target, seen = tmp_path / "x", []
    target.write_bytes(b"old")
    fsync, replace = os.fsync, os.replace

    def synced(handle):
        seen.append(("sync", os.fstat(handle).st_size, target.read_bytes()))
        fsync(handle)

    def renamed(source, to):
        seen.append(("rename", os.stat(source).st_size, target.read_bytes()))
        replace(source, to)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    with files.atomic_write(target, overwrite=True) as file:
        file.write(b"new content")
    assert seen == [("sync", 11, b"old"), ("rename", 11, b"old")]
    assert target.read_bytes() == b"new content"


def test_realisations_differ_and_do_not_depend_on_how_many_there_are():
    """First draws of 1000 realisations of two seeds are all different, and one is the same alone and after others."""
    first = [realisation(seed, k).random() for seed in (0, 1) for k in range(1000)]
    assert len(set(first)) == 2000
    assert realisation(1, 7).random() == first[1007]
    child = np.random.SeedSequence(0, spawn_key=(3,))
    assert realisation(child, 5).random() not in first


def test_a_file_is_replaced_only_when_asked(tmp_path):
    """Without a word the old file stays and nothing is begun; with `overwrite` the new one takes its place."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError), files.atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    with files.atomic_write(path, overwrite=True) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_a_grid_of_fewer_than_three_axes_lies_at_the_origin_of_the_others(tmp_path):
    """Of one axis from 2 in steps of 0.5 the file says origin (2, 0, 0), spacing (0.5, 1, 1) and one point along the others."""
    vtk.write_grid(tmp_path / "g.vti", [2 + 0.5 * np.arange(4)], {"f": np.arange(4.0)})
    text = (tmp_path / "g.vti").read_text()
    for name, expected in (("Origin", [2, 0, 0]), ("Spacing", [0.5, 1, 1])):
        assert [float(n) for n in re.search(f'{name}="([^"]*)"', text)[1].split()] == expected
    assert 'WholeExtent="0 3 0 0 0 0"' in text
