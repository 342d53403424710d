"""to_matlab: what scipy, MATLAB's other reader here, finds in the files, under the names of the paper's record."""

import zipfile

import numpy as np
import pytest
import scipy.io

import multifractal as mf
from multifractal.source_data import (
    UnverifiedFileWarning,
    _archives,
    _content,
    _record,
    read,
    to_matlab,
)
from multifractal.source_data._catalogue import shapes_of
from multifractal.source_data._content import checked
from multifractal.source_data._reading import parse


@pytest.fixture(scope="module")
def made():
    """Return a small surface, a walk on it, its displacement and the surface's spectrum."""
    surface = mf.fbm_surface(64, 0.6, rng=0)
    walk = mf.descend(surface, (30.0, 30.0), learning_rate=5.0, n_steps=300)
    moved = mf.tamsd(walk.unfolded, waiting_times=[0, 50], lag_times=[1, 5, 10], window=100)
    return surface, walk, moved, mf.multifractal_spectrum(mf.fbm_surface(256, 0.6, rng=0).values)


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (0, "multifractional_brownian_surface/landscape.mat"),
        (1, "multifractional_brownian_surface/trajectory.mat"),
        (2, "multifractional_brownian_surface/TAMSD.mat"),
        (3, "multifractional_brownian_surface/multifractal_spectrum.mat"),
    ],
)
def test_the_papers_names(made, index, name, tmp_path):
    """Each kind of result has the keys of the paper's file of it, with as many dimensions; values to the bit."""
    path = tmp_path / "file.mat"
    to_matlab(path, made[index])
    stored = scipy.io.loadmat(path, squeeze_me=True)
    shapes = shapes_of(name)
    assert set(shapes) <= set(stored)
    assert all(stored[key].ndim == len(shape) for key, shape in shapes.items())
    surface, walk, moved, spectrum = made
    expected = {
        0: {"landscape": surface.values},
        1: {"trajectory": walk.positions, "trajectory_continuous": walk.unfolded},
        2: {"ys": moved.values, "xs": np.array([[1, 5, 10]] * 2)},
        3: {"hq": spectrum.h, "Dq": spectrum.D, "zq": spectrum.zeta},
    }[index]
    for key, values in expected.items():
        np.testing.assert_array_equal(stored[key], values)


def test_our_readers_take_them_for_files_of_the_record(made, tmp_path):
    """Under its name in the paper's tree each file is read as one of the record is: form checked, the same numbers."""
    _, walk, moved, spectrum = made
    folder = "multifractional_brownian_surface"
    for result, name, expected in (
        (walk, "trajectory", {"trajectory_continuous": walk.unfolded}),
        (moved, "TAMSD", {"ys": moved.values}),
        (spectrum, "multifractal_spectrum", {"q": spectrum.q, "hq": spectrum.h}),
    ):
        path = f"{folder}/{name}.mat"
        (tmp_path / folder).mkdir(exist_ok=True)
        to_matlab(tmp_path / path, result)
        stored = checked(
            parse(tmp_path / path, path, trusted=True), shapes_of(path), tmp_path / path
        )
        for key, values in expected.items():
            np.testing.assert_array_equal(stored[key], values)
    with pytest.warns(UnverifiedFileWarning, match="no checksum|unverified"):
        read(f"{folder}/trajectory.mat", tmp_path)


def test_refusals(made, tmp_path):
    """Another ending, an existing file and a thing without a MATLAB form are refused; a dict keeps its names."""
    with pytest.raises(ValueError, match=r"path must end in \.mat"):
        to_matlab(tmp_path / "surface", made[0])
    with pytest.raises(ValueError, match="result must be one of Landscape"):
        to_matlab(tmp_path / "x.mat", 3)
    to_matlab(tmp_path / "x.mat", {"mine": np.arange(3)})
    np.testing.assert_array_equal(scipy.io.loadmat(tmp_path / "x.mat")["mine"], [[0, 1, 2]])
    with pytest.raises(FileExistsError):
        to_matlab(tmp_path / "x.mat", made[0])
    to_matlab(tmp_path / "x.mat", made[0], overwrite=True)
    assert "landscape" in scipy.io.loadmat(tmp_path / "x.mat")


def test_a_track_is_read_however_matlab_stored_it():
    """As it is, transposed, and many times over; pages that differ are no track, and a shape of the right sizes is taken first."""
    track, wanted = np.arange(10.0).reshape(5, 2), ("positions", 2)
    for stored in (track, track.T, np.stack([track] * 3), np.stack([track.T] * 3)):
        lengths = {}
        np.testing.assert_array_equal(_content._fitted(stored, wanted, lengths), track)
        assert lengths == {"positions": 5}
    assert _content._fitted(np.stack([track, track + 1]), wanted, {}) is None
    assert _content._fitted(track, wanted, {"positions": 4}) is None


def test_an_archive_is_one_by_name_and_by_content(tmp_path):
    """A zip by another name and another file by the name of a zip are none."""
    for name, content, is_one in (
        ("a.zip", True, True),
        ("a.zip", False, False),
        ("a.npy", True, False),
    ):
        path = tmp_path / name
        path.write_bytes(b"nothing")
        if content:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("b.txt", "words")
        assert _archives.is_archive(path) == is_one


def test_a_files_key_may_have_either_name():
    """That of the older and of the newer form of a record, or the key of the entry itself."""
    for key, entry in ((None, {"key": "a.mat"}), (None, {"filename": "a.mat"}), ("a.mat", {})):
        found = _record._record_file(key, entry, "https://there")
        assert found.key == "a.mat"
        assert found.url.startswith("https://there/api/records/")
