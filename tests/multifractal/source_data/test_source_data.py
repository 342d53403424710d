"""Source data: the real files, fakes of those not at hand, damage of every kind, and `fetch` from a record on loopback."""

import email.utils
import functools
import hashlib
import http.server
import io
import json
import pickle
import re
import shutil
import socket
import stat
import tarfile
import threading
import warnings
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import scipy.io

from multifractal import DamagedFileError, source_data
from multifractal.source_data import (
    FetchError,
    UnverifiedFileWarning,
    _archives,
    _download,
    _places,
    _reading,
    _transfer,
    fetch,
    read,
)
from multifractal.source_data.__main__ import main
from multifractal.source_data._record import DOI

TAMSD = "multifractional_brownian_surface/TAMSD.mat"
CHAOS = "multifractional_brownian_surface/chaos.mat"
SECTION = "real_loss_landscape/vgg_sgd_cifar10.npy"
RESNET = "real_loss_landscape/resnet_sgd_fashionmnist.npy"
RUN = "real_training_dynamics/lr=0.1_dropout=0.0_epochs=1000000"


@pytest.fixture
def copy(zenodo, tmp_path):
    """A writable copy of the real files."""
    shutil.copytree(zenodo, tmp_path / "zenodo", copy_function=shutil.copyfile)
    return tmp_path / "zenodo"


# --- reading ---------------------------------------------------------------------------------------------------------


def test_every_real_file_reads_without_a_warning(zenodo):
    """All 16 files kept beside the checkout match the registry and their documented form."""
    there = [name for name in source_data.NAMES if source_data.available(name, zenodo)]
    assert len(there) == 16
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in there:
            arrays = read(name, zenodo)
            assert all(np.isfinite(array).all() for array in arrays.values())


def test_real_files_hold_the_published_numbers(zenodo):
    """The Lyapunov mean over rates 14 to 28 is .3475 +- .0640, the section is 257 x 257, lags run from 0 to 999."""
    chaos = read(CHAOS, zenodo)
    assert chaos["mle_mean"][14:29].mean() == pytest.approx(0.3475, abs=5e-4)
    assert chaos["mle_95"].shape == (40, 2)
    assert read(SECTION, zenodo)["loss"].shape == (257, 257)
    assert np.array_equal(read(TAMSD, zenodo)["xs"], np.tile(np.arange(1000), (14, 1)))
    assert read("multifractional_brownian_surface/eos.mat", zenodo)["leading_eig"].shape == (
        40,
        10,
        100,
    )
    training = read(f"{RUN}/TAMSDs.npz", zenodo)
    assert training["TAMSDs"].shape == (10, 100)
    assert training["window_size"] == 100_000


def _put(folder, name, arrays):
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".mat":
        scipy.io.savemat(path, arrays)
    else:
        np.save(path, arrays)
    return path


RANDOM = np.random.default_rng(0)
TRACK = RANDOM.uniform(0, 1023, (50, 2))
SURFACE = RANDOM.normal(size=(1024, 1024))


@pytest.mark.parametrize(
    ("name", "stored", "expected"),
    [
        (
            "multifractional_brownian_surface/landscape.mat",
            {"landscape": SURFACE},
            {"landscape": SURFACE},
        ),
        (
            "multifractional_brownian_surface/trajectory.mat",
            {"trajectory": TRACK.T, "trajectory_continuous": [TRACK] * 3},
            {"trajectory": TRACK, "trajectory_continuous": TRACK},
        ),
        (
            "fractional_brownian_surfaces/alphas.mat",
            {"alphas": TRACK[:45].reshape(9, 10)[:, :5]},
            {"alphas": TRACK[:45].reshape(9, 10)[:, :5]},
        ),
        (
            "fractional_brownian_surfaces/TAMSD_H=0.6.mat",
            {"xs": np.arange(9), "ys": np.arange(9) / 2},
            {"xs": np.arange(9)[None], "ys": np.arange(9)[None] / 2},
        ),
        (
            "real_loss_landscape/epoch_20_spectrum.mat",
            {"hq": np.ones((23, 1)), "Dq": np.ones((1, 23), np.float32)},
            {"hq": np.ones(23), "Dq": np.ones(23)},
        ),
        (
            RESNET,
            SURFACE[:257, :257].astype(np.float32),
            {"loss": SURFACE[:257, :257].astype(np.float32)},
        ),
        (f"{RUN}/trajectory_tsne.npy", TRACK, {"embedding": TRACK}),
        (
            "real_training_dynamics/lr=0.2_dropout=0.5_epochs=9/trajectory_tsne.npy",
            TRACK,
            {"embedding": TRACK},
        ),
    ],
)
def test_files_not_at_hand_are_read_in_their_documented_form(tmp_path, name, stored, expected):
    """Fakes stored as MATLAB does, vectors as rows or columns, tracks transposed or repeated, come back in one form."""
    path = _put(tmp_path, name, stored)
    assert source_data.find(name, tmp_path) == path
    with pytest.warns(UnverifiedFileWarning, match="no checksum is known"):
        arrays = read(name, tmp_path)
    assert list(arrays) == list(expected)
    for key, array in expected.items():
        assert arrays[key].dtype in (np.int64, np.float64)
        assert arrays[key].flags.c_contiguous
        assert np.array_equal(arrays[key], array)


EPOCH = "real_loss_landscape/epoch_20_spectrum.mat"
GOOD = np.ones(23)


@pytest.mark.parametrize(
    ("name", "stored", "words"),
    [
        (EPOCH, {"hq": GOOD}, "must hold 'Dq', got ['hq']"),
        (EPOCH, {"hq": GOOD, "Dq": np.ones(22)}, "'Dq' of"),
        (EPOCH, {"hq": GOOD, "Dq": np.ones((2, 23))}, "must have shape (23), got (2, 23)"),
        (
            EPOCH,
            {"hq": GOOD, "Dq": np.where(np.arange(23) == 4, np.nan, 1)},
            "must be finite everywhere, got 1 values",
        ),
        (EPOCH, {"hq": GOOD, "Dq": GOOD * 1j}, "must hold 'Dq'"),
        (EPOCH, {"hq": GOOD, "Dq": "text"}, "must hold 'Dq'"),
        (
            EPOCH,
            {"hq": GOOD, "Dq": np.zeros((1, 0))},
            "must hold real numbers, got float64 of shape",
        ),
        (
            "multifractional_brownian_surface/trajectory.mat",
            {"trajectory": TRACK, "trajectory_continuous": [TRACK, TRACK + 1]},
            "must have shape (50, 2), got (2, 50, 2)",
        ),
        (RESNET, np.ones((256, 257)), "must have shape (257, 257), got (256, 257)"),
        (RESNET, np.full((257, 257), np.inf), "must be finite everywhere, got 66049 values"),
    ],
)
def test_wrong_content_is_refused(tmp_path, name, stored, words):
    """A missing key, another shape, what is no finite real number: each is named."""
    _put(tmp_path, name, stored)
    with (
        pytest.warns(UnverifiedFileWarning),
        pytest.raises(DamagedFileError, match=re.escape(words)),
    ):
        read(name, tmp_path)


def test_one_flipped_byte_or_a_cut_is_refused_where_fetch_recorded_the_file(copy):
    """In every file that `fetch` recorded a flipped byte and a missing end are noticed before anything is parsed."""
    there = [name for name in source_data.NAMES if (copy / name).is_file()]
    sha256 = {name: hashlib.sha256((copy / name).read_bytes()).hexdigest() for name in there}
    (copy / "checksums.json").write_text(json.dumps({"sha256": sha256, "files": {}}))
    for name in there:
        whole = (copy / name).read_bytes()
        for damaged in (whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], whole[:-1]):
            (copy / name).write_bytes(damaged)
            with pytest.raises(
                DamagedFileError, match="matches none of the checksums known"
            ) as caught:
                read(name, copy)
            assert sha256[name] in str(caught.value)
            assert hashlib.sha256(damaged).hexdigest() in str(caught.value)


@pytest.mark.parametrize("name", [TAMSD, SECTION])
def test_a_file_saved_again_is_read_with_both_hashes_and_can_be_accepted(copy, name):
    """Without a record of `fetch`, the same numbers in other bytes are read with a warning, until they are accepted."""
    there, first = read(name, copy), (copy / name).read_bytes()
    if name == TAMSD:
        scipy.io.savemat(copy / name, there, do_compression=True)
    else:
        np.save(copy / name, np.asfortranarray(there["loss"]))
    hashes = [hashlib.sha256(x).hexdigest() for x in (first, (copy / name).read_bytes())]
    with pytest.warns(UnverifiedFileWarning, match="source_data accept") as warned:
        again = read(name, copy)
    assert all(digest in str(warned[0].message) for digest in hashes)
    assert all(np.array_equal(again[key], there[key]) for key in there)
    assert source_data.accept(name, copy) == hashes[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(name, copy)
        (copy / name).write_bytes(first)  # the shipped checksum stays good
        read(name, copy)


def test_accept_refuses_a_wrong_form_and_what_fetch_recorded_otherwise(copy):
    """A file of another shape is not accepted, nor one in place of a file that `fetch` recorded."""
    np.save(copy / SECTION, np.ones((3, 3)))
    with pytest.raises(DamagedFileError, match="must have shape"):
        source_data.accept(SECTION, copy)
    np.save(copy / SECTION, np.ones((257, 257)))
    (copy / "checksums.json").write_text(json.dumps({"sha256": {SECTION: "0" * 64}, "files": {}}))
    with pytest.raises(DamagedFileError, match="`fetch` recorded 000"):
        source_data.accept(SECTION, copy)


def test_a_converted_file_of_another_mat_is_not_read(packed, tmp_path):
    """When the .mat is replaced and accepted, the .npz made of the old one is left aside."""
    packed.files = {"alphas.mat": packed.files["alphas.mat"]}
    name = "fractional_brownian_surfaces/alphas.mat"
    fetch(tmp_path, server=packed.url)
    (tmp_path / "checksums.json").unlink()
    scipy.io.savemat(tmp_path / name, {"alphas": np.full((9, 5), 7.0)})
    source_data.accept(name, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (read(name, tmp_path)["alphas"] == 7).all()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (EPOCH, b""),
        (EPOCH, b"MATLAB 5.0 MAT-file" * 40),
        (RESNET, b"\x93NUMPY\x01\x00v\x00{"),
        (RESNET, b"not an array"),
        ("real_training_dynamics/lr=1_dropout=0_epochs=1/TAMSDs.npz", b"PK\x03\x04 and no more"),
    ],
)
def test_garbage_is_refused(tmp_path, name, content):
    """What cannot be parsed is a damaged file, whatever the parser raised."""
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(content)
    with (
        pytest.warns(UnverifiedFileWarning),
        pytest.raises(DamagedFileError, match="cannot be read as a"),
    ):
        read(name, tmp_path)


def test_a_reader_that_dies_is_a_damaged_file(tmp_path, monkeypatch):
    """When the child that parses an unknown .mat crashes, this process lives on and refuses the file."""
    _put(tmp_path, EPOCH, {"hq": GOOD, "Dq": GOOD})
    suicide = tmp_path / "suicide.py"
    suicide.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setattr(_reading._mat, "__file__", str(suicide))
    with (
        pytest.warns(UnverifiedFileWarning),
        pytest.raises(DamagedFileError, match="died with status -11"),
    ):
        read(EPOCH, tmp_path)


class _Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def _pickled_array(marker):
    out = io.BytesIO()
    np.save(out, np.array([_Bomb(marker)] * 2, dtype=object), allow_pickle=True)
    return out.getvalue()


def test_a_pickle_is_never_opened(tmp_path):
    """A pickle in an .npy or .npz, or in place of one, is refused and not executed."""
    marker = tmp_path / "executed"
    training = f"{RUN.replace('0.1', '7')}/TAMSDs.npz"
    for name, content in (
        (RESNET, _pickled_array(marker)),
        (RESNET, pickle.dumps(_Bomb(marker))),
        (training, pickle.dumps(_Bomb(marker))),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
        with (
            pytest.warns(UnverifiedFileWarning),
            pytest.raises(DamagedFileError, match="cannot be read"),
        ):
            read(name, tmp_path)
    assert not marker.exists()


# --- finding ---------------------------------------------------------------------------------------------------------


def test_files_are_found_in_the_environment_then_in_data(tmp_path, monkeypatch):
    """$MULTIFRACTAL_DATA comes before ./data; a tree one folder down and a file with a unique name are found too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_reading, "folders", lambda: [tmp_path / "data"])
    assert not source_data.available(RESNET)
    in_data = _put(tmp_path / "data", f"Source Data/{RESNET}", TRACK)
    assert source_data.find(RESNET) == in_data
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(_reading.VARIABLE, str(tmp_path / "mine"))
    assert _reading.folders()[:2] == [tmp_path / "mine", tmp_path / "data"]
    assert source_data.find(RESNET) == in_data
    in_mine = _put(tmp_path / "mine", RESNET.split("/")[1], TRACK)
    assert source_data.find(RESNET) == in_mine


def test_a_missing_file_says_how_to_get_it(tmp_path):
    """The message names the file, the folders and the command."""
    with pytest.raises(
        FileNotFoundError, match=re.escape("python -m multifractal.source_data fetch")
    ):
        source_data.find(TAMSD, tmp_path)
    assert not source_data.available(TAMSD, tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name",
    [
        "TAMSD.mat",
        "real_training_dynamics/lr=../../x",
        3,
        "../TAMSD.mat",
        "real_training_dynamics/lr=.._dropout=.._epochs=../TAMSDs.npz",
    ],
)
def test_unknown_names_are_refused(name, tmp_path):
    """Only names of the paper's tree are looked for."""
    with pytest.raises(ValueError, match="name must be a file of the paper's source data"):
        source_data.available(name, tmp_path)


# --- fetching --------------------------------------------------------------------------------------------------------


class Record(http.server.ThreadingHTTPServer):
    """A Zenodo record on loopback: `files` by key; `wrong` serves other bytes than the hash is of; `failures` by path."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files, self.wrong, self.failures, self.asked = {}, {}, {}, []
        self.listing, self.apart, self.busy = None, b"{}", {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def record(self):
        """Return the record as Zenodo's API does."""
        return {
            "id": 14997499,
            "files": [
                {
                    "key": key,
                    "size": len(content),
                    "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
                    "links": {"self": f"{self.url}/api/records/14997499/files/{key}/content"},
                }
                for key, content in self.files.items()
            ],
        }


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802  the standard library's name
        path = unquote(self.path)
        self.server.asked.append(path)
        if self.server.failures.get(path, 0) > 0:
            self.server.failures[path] -= 1
            return self.send_error(503)
        if self.server.busy.get(path):
            self.send_response(429)
            self.send_header("Retry-After", self.server.busy[path].pop(0))
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if path == "/api/records/14997499/files":
            return self._send(self.server.apart)
        if path == "/api/records/14997499":
            listing = self.server.listing
            return self._send(
                json.dumps(self.server.record()).encode() if listing is None else listing
            )
        key = path.removeprefix("/api/records/14997499/files/").removesuffix("/content")
        if key not in self.server.files:
            return self.send_error(404)
        content = self.server.files[key]
        return self._send(self.server.wrong.get(key, content), len(content))

    def _send(self, content, length=None):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        """Stay silent."""


@pytest.fixture
def record():
    """A fake record, served until the test ends."""
    server = Record()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _array(values):
    out = io.BytesIO()
    np.save(out, values)
    return out.getvalue()


def _mat(**arrays):
    out = io.BytesIO()
    scipy.io.savemat(out, arrays)
    return out.getvalue()


def _zip(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def _tar(members, mode="w:gz"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for member, content in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


LOSS = _array(np.ones((257, 257)))


@pytest.fixture
def packed(record):
    """The record in every packing at once: a zip with a wrapping folder, a bare zip, a tar, a lone file, a stranger."""
    spectrum = _mat(hq=GOOD, Dq=GOOD)
    record.files = {
        "Source Data.zip": _zip(
            [
                ("Source Data/", b""),
                (f"Source Data/{EPOCH}", spectrum),
                ("Source Data/notes/read me.txt", b"hello"),
            ]
        ),
        "real_loss_landscape.zip": _zip([(RESNET.split("/")[1], LOSS)]),
        "dynamics.tar.gz": _tar([(f"{RUN}/trajectory_tsne.npy", _array(TRACK))]),
        "alphas.mat": _mat(alphas=np.ones((9, 5))),
        "code.txt": b"print()",
    }
    return record


def test_fetch_puts_every_packing_in_its_place(packed, tmp_path):
    """Zips, tars and single files end up in the paper's tree, verified, and a second fetch downloads nothing."""
    done = fetch(tmp_path / "data", server=packed.url)
    assert (len(done.downloaded), done.present) == (5, [])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(read(EPOCH, done.folder)["hq"], GOOD)
        assert np.array_equal(read(RESNET, done.folder)["loss"], np.ones((257, 257)))
        assert np.array_equal(read(f"{RUN}/trajectory_tsne.npy", done.folder)["embedding"], TRACK)
        assert read("fractional_brownian_surfaces/alphas.mat", done.folder)["alphas"].shape == (
            9,
            5,
        )
    assert (done.folder / "Source Data/Source Data/notes/read me.txt").read_text() == "hello"
    assert not list(done.folder.glob(".fetching*"))
    packed.asked.clear()
    again = fetch(tmp_path / "data", server=packed.url)
    assert (again.downloaded, len(again.present)) == ([], 5)
    assert packed.asked == ["/api/records/14997499"]


def test_a_fetched_mat_is_parsed_once(packed, tmp_path, monkeypatch):
    """After fetch the `.npz` made of a `.mat` is read; when that is damaged the verified `.mat` itself."""
    packed.files = {"alphas.mat": packed.files["alphas.mat"]}
    fetch(tmp_path, server=packed.url)
    name = "fractional_brownian_surfaces/alphas.mat"
    converted = tmp_path / "fractional_brownian_surfaces/.converted/alphas.mat.npz"
    with monkeypatch.context() as patch:
        patch.setattr(_reading, "parse", lambda *args, **kwargs: pytest.fail("parsed again"))
        assert read(name, tmp_path)["alphas"].shape == (9, 5)
    converted.write_bytes(converted.read_bytes()[:-40])
    assert read(name, tmp_path)["alphas"].shape == (9, 5)
    (tmp_path / name).write_bytes(_mat(alphas=np.zeros((9, 5))))
    with pytest.raises(DamagedFileError, match="matches none of the checksums"):
        read(name, tmp_path)


def test_fetch_goes_on_where_it_was_cut_and_mends_what_is_damaged(packed, tmp_path):
    """A file that was altered or deleted is fetched again, alone."""
    packed.files = {"resnet_sgd_fashionmnist.npy": LOSS, "code.txt": b"print()"}
    fetch(tmp_path, server=packed.url)
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(LOSS[:-1] + b"\1")):
        damage(tmp_path / RESNET)
        done = fetch(tmp_path, server=packed.url)
        assert done.downloaded == ["resnet_sgd_fashionmnist.npy"]
        assert read(RESNET, tmp_path)["loss"].sum() == 257**2
    newer = _array(np.zeros((257, 257)))
    packed.files["resnet_sgd_fashionmnist.npy"] = newer
    assert fetch(tmp_path, server=packed.url).downloaded == ["resnet_sgd_fashionmnist.npy"]
    assert read(RESNET, tmp_path)["loss"].sum() == 0


def test_fetch_removes_what_a_killed_fetch_left(packed, tmp_path):
    """The staging folder of a killed download goes with the next one."""
    (tmp_path / ".fetching-killed" / "0").mkdir(parents=True)
    (tmp_path / ".fetching-killed" / "0" / "half").write_bytes(b"half a file")
    fetch(tmp_path, server=packed.url)
    assert not list(tmp_path.glob(".fetching-*"))


def test_fetch_tries_again(packed, tmp_path):
    """A server that fails once, for the record or for a file, is asked again."""
    packed.files = {"code.txt": b"print()"}
    packed.failures = {
        "/api/records/14997499": 1,
        "/api/records/14997499/files/code.txt/content": 1,
    }
    assert fetch(tmp_path, server=packed.url, retries=1).downloaded == ["code.txt"]


@pytest.mark.parametrize(
    "wrong", [LOSS[:500] + b"\1" + LOSS[501:], LOSS[:-100]], ids=["flipped byte", "cut short"]
)
def test_wrong_bytes_are_refused_and_the_old_file_stays(record, tmp_path, wrong):
    """A download that is not what the record's hash says leaves the old file; the other files are fetched all the same."""
    old = _put(tmp_path, RESNET, TRACK).read_bytes()
    record.files = {"resnet_sgd_fashionmnist.npy": LOSS, "code.txt": b"print()"}
    record.wrong = {"resnet_sgd_fashionmnist.npy": wrong}
    with pytest.raises(
        FetchError, match=re.escape("1 of 2 files of 10.5281/zenodo.14997499")
    ) as caught:
        fetch(tmp_path, server=record.url, retries=0)
    assert "resnet_sgd_fashionmnist.npy: " in str(caught.value)
    assert (tmp_path / RESNET).read_bytes() == old
    assert (tmp_path / "code.txt").read_bytes() == b"print()"


def test_a_pickle_from_the_record_is_refused_and_the_old_file_stays(record, tmp_path):
    """Even with the right hash, a pickled .npy is not installed and not executed."""
    marker = tmp_path / "executed"
    old = _put(tmp_path, RESNET, np.ones((257, 257))).read_bytes()
    record.files = {"resnet_sgd_fashionmnist.npy": _pickled_array(marker)}
    with pytest.raises(FetchError, match="cannot be read as a .npy file of numbers"):
        fetch(tmp_path, server=record.url)
    assert not marker.exists()
    assert (tmp_path / RESNET).read_bytes() == old


def _special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def _zipped_link():
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return _zip([(info, b"/etc")])


@pytest.mark.parametrize(
    ("key", "content", "words"),
    [
        ("a.zip", _zip([("../out.txt", b"x")]), "plain relative paths, got '../out.txt'"),
        ("a.zip", _zip([("fine.txt", b"x"), ("a/../../out.txt", b"x")]), "plain relative paths"),
        ("a.zip", _zip([("/out.txt", b"x")]), "plain relative paths"),
        ("a.zip", _zip([("C:/out.txt", b"x")]), "plain relative paths"),
        ("a.zip", _zip([("..\\out.txt", b"x")]), "plain relative paths"),
        ("a.zip", _zip([("a\nb.txt", b"x")]), "plain relative paths"),
        ("a.zip", _zipped_link(), "only files and folders, got 'link'"),
        ("a.zip", _zip([("a.txt", b"x"), ("./a.txt", b"y")]), "every name once"),
        ("a.tar", _tar([("../out.txt", b"x")], "w"), "plain relative paths"),
        ("a.tgz", _tar([("/out.txt", b"x")]), "plain relative paths"),
        (
            "a.tgz",
            _tar([(_special("s", tarfile.SYMTYPE, "/etc"), b""), ("s/out.txt", b"x")]),
            "only files and folders",
        ),
        (
            "a.tgz",
            _tar([(_special("h", tarfile.LNKTYPE, "../../out.txt"), b"")]),
            "only files and folders",
        ),
        ("a.tgz", _tar([(_special("d", tarfile.CHRTYPE), b"")]), "only files and folders"),
        ("a.zip", _zip([("zeros", bytes(20_000))]), "unpack to at most 10000 bytes"),
        (
            "a.tgz",
            _tar([("zeros", bytes(6_000)), ("more", bytes(6_000))]),
            "unpack to at most 10000 bytes",
        ),
        ("a.zip", _zip([(str(k), b"") for k in range(30)]), "hold at most 20 members"),
        (
            "a.zip",
            _zip([("b.zip", _zip([("../../out.txt", b"x")]))]),
            "plain relative paths, got '../../out.txt'",
        ),
        ("a.zip", functools.reduce(lambda x, _: _zip([("b.zip", x)]), range(5), b""), "4 deep"),
        ("../out.txt", b"x", "the record must hold only plain relative paths"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,  # a zip holds the time
)
def test_hostile_archives_are_refused(record, tmp_path, monkeypatch, key, content, words):
    """Paths that leave the folder, links, devices, bombs: nothing is installed, and nothing written elsewhere."""
    monkeypatch.setattr(_archives, "MAX_BYTES", 10_000)
    monkeypatch.setattr(_archives, "MAX_MEMBERS", 20)
    record.files = {key: content}
    before = {path for path in tmp_path.rglob("*")}
    with pytest.raises(FetchError, match=re.escape(words)):
        fetch(tmp_path / "deep/data", server=record.url)
    assert {path for path in tmp_path.rglob("*")} - before == {
        tmp_path / "deep",
        tmp_path / "deep/data",
    }


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path, monkeypatch):
    """The bytes that come out are counted, not only the bytes declared."""
    monkeypatch.setattr(_archives, "MAX_BYTES", 10_000)
    out = io.BytesIO()
    with pytest.raises(_archives.HostileArchiveError, match="more than it declares"):
        _archives._copy(io.BytesIO(bytes(20_000)), out, 10_000, tmp_path)
    assert len(out.getvalue()) <= 10_000


@pytest.mark.parametrize(
    "listing",
    [
        b"<html>",
        b"{}",
        b'{"files": [{}]}',
        b'{"files": [{"key": 3, "checksum": "md5:0"}]}',
        b'{"files": [{"key": "a", "checksum": "md5:0", "links": {"self": "file:///etc/passwd"}}]}',
        b'["files"]',
        b'{"access_right": "restricted", "files": []}',
        b'{"access": {"files": "restricted"}, "files": {"enabled": true, "entries": {}}}',
    ],
)
def test_a_record_that_makes_no_sense_is_refused(record, tmp_path, listing):
    """An answer that is no record is named as such."""
    record.listing = listing
    with pytest.raises(FetchError, match="cannot be read from http://127"):
        fetch(tmp_path, server=record.url)


def test_the_newer_form_of_the_api_is_understood(record, tmp_path):
    """Files given as entries by key, with a content link or none, are fetched as well."""
    record.files = {"code.txt": b"print()", "more.txt": b"more"}
    entries = {file["key"]: file for file in record.record()["files"]}
    entries["code.txt"]["links"] = {}
    entries["more.txt"]["links"] = {
        "self": "http://127.0.0.1:1/",
        "content": entries["more.txt"]["links"]["self"],
    }
    record.listing = json.dumps({"files": {"enabled": True, "entries": entries}}).encode()
    assert fetch(tmp_path, server=record.url).downloaded == ["code.txt", "more.txt"]


def test_a_record_that_lists_no_files_is_no_success(record, tmp_path):
    """The error says that no file is listed, and the record's access right."""
    record.listing = b'{"access_right": "embargoed", "files": []}'
    with pytest.raises(FetchError, match="lists no files; its access right is 'embargoed'"):
        fetch(tmp_path, server=record.url)


def test_older_forms_of_the_api_and_other_checksums_are_understood(record, tmp_path):
    """`filename` and `download`, a bare or SHA-256 checksum, one of an unknown kind or none: all are fetched and recorded."""
    record.files = {f"{k}.txt": str(k).encode() for k in range(6)}
    md5, sha256 = (
        {k: new(str(k).encode()).hexdigest() for k in range(6)}
        for new in (hashlib.md5, hashlib.sha256)
    )
    link = f"{record.url}/api/records/14997499/files/{{}}/content"
    files = [
        {"filename": "0.txt", "checksum": md5[0], "filesize": 1}
        | {"links": {"download": link.format("0.txt"), "self": "http://127.0.0.1:1/"}},
        {"key": "1.txt", "checksum": f"sha256:{sha256[1].upper()}"},
        {"key": "2.txt", "checksum": f"SHA-256:{sha256[2]}"},
        {"key": "3.txt", "checksum": None, "size": 1},
        {"key": "4.txt"},
        {"key": "5.txt", "checksum": "crc32:00000000"},
    ]
    record.listing = json.dumps({"files": files}).encode()
    assert len(fetch(tmp_path, server=record.url).downloaded) == 6
    assert len(fetch(tmp_path, server=record.url).present) == 6
    files[1]["checksum"], files[3]["size"] = f"sha256:{sha256[2]}", 2
    record.listing = json.dumps({"files": files}).encode()
    (tmp_path / "3.txt").unlink()
    with pytest.raises(FetchError, match="2 of 6 files") as caught:
        fetch(tmp_path, server=record.url, retries=0)
    assert "3.txt: 1 bytes came, the record says 2" in str(caught.value)
    assert "1.txt: " in str(caught.value)


def test_a_list_of_files_kept_apart_is_asked_for(record, tmp_path):
    """When the record itself has no entries, those under its files address are taken."""
    record.files = {"code.txt": b"print()"}
    record.apart = json.dumps({"entries": record.record()["files"]}).encode()
    record.listing = b'{"files": {"enabled": true}}'
    assert fetch(tmp_path, server=record.url).downloaded == ["code.txt"]


def test_the_pause_that_a_busy_server_names_is_kept(record, tmp_path, monkeypatch):
    """429 with Retry-After in seconds or as a date is asked again after it; a pause of hours and a 404 end the attempts."""
    slept = []
    monkeypatch.setattr(_transfer.time, "sleep", slept.append)
    record.files = {"code.txt": b"print()"}
    path = "/api/records/14997499/files/code.txt/content"
    in_a_minute = email.utils.format_datetime(
        datetime.now(UTC) + timedelta(seconds=60), usegmt=True
    )
    record.busy = {path: ["37", in_a_minute, "0", "not a time"]}
    assert fetch(tmp_path, server=record.url, retries=4).downloaded == ["code.txt"]
    assert slept[0] == 37
    assert 50 < slept[1] <= 60
    assert slept[2:] == [0, 4]
    record.busy = {path: ["7200"]}
    with pytest.raises(FetchError, match="asks for a pause of 7200 s"):
        fetch(tmp_path / "other", server=record.url)
    record.busy, record.failures[path], slept[:] = {}, 0, []
    record.files, record.listing = {}, json.dumps(record.record()).encode()
    with pytest.raises(FetchError, match="404"):
        fetch(tmp_path / "third", server=record.url)
    assert not slept


@pytest.mark.parametrize(
    ("key", "member", "place"),
    [
        ("Source_Data.ZIP", f"Source Data/Data/{EPOCH}", EPOCH),
        ("data.zip", f"x/{EPOCH.upper().replace('.MAT', '.Mat')}", EPOCH),
        ("data.zip", "x/" + EPOCH.replace("/", "_"), EPOCH),
        ("data.tgz", "Fig 5 - epoch_20_spectrum.mat", EPOCH),
        ("deep.tar", "a/b/c/epoch_20_spectrum.mat", EPOCH),
        (f"Source data/{EPOCH}", None, EPOCH),
        ("Source-Data_" + EPOCH.replace("/", "-"), None, EPOCH),
        ("SourceData_epoch_20_spectrum.mat", None, EPOCH),
        (EPOCH.split("/")[1].upper(), None, EPOCH),
        ("a.zip", "b.tar.gz", EPOCH),
        ("epoch_120_spectrum.mat", None, "epoch_120_spectrum.mat"),
        ("multifractal_spectrum.mat", None, "multifractal_spectrum.mat"),
    ],
)
def test_names_of_other_spelling_find_their_place(record, tmp_path, key, member, place):
    """Another case, a prefix, folders in the name or archives in archives: the file lands in the tree; others stay outside."""
    content = _mat(hq=GOOD, Dq=GOOD)
    if member is None:
        record.files = {key: content}
    elif member.endswith(".tar.gz"):
        record.files = {key: _zip([(member, _tar([(EPOCH, content)]))])}
    else:
        pack = _zip if key.lower().endswith("zip") else _tar
        record.files = {key: pack([(member, content), ("__MACOSX/._epoch_20_spectrum.mat", b"x")])}
    fetch(tmp_path, server=record.url)
    assert (tmp_path / place).read_bytes() == content
    if place == EPOCH:
        assert np.array_equal(read(EPOCH, tmp_path)["hq"], GOOD)


def test_a_prefixed_name_of_another_form_is_a_strangers(record, tmp_path):
    """`my_landscape.mat` that holds something else is kept under its own name; the surer of two claims has the place."""
    record.files = {
        "my_landscape.mat": _mat(x=1.0),
        "two.zip": _zip([("a/resnet_sgd_fashionmnist.npy", b"no"), (f"b/{RESNET}", LOSS)]),
        "doubt.zip": _zip([("a/eos.mat", b"1"), ("b/eos.mat", b"2")]),
    }
    fetch(tmp_path, server=record.url)
    assert (tmp_path / "my_landscape.mat").exists()
    assert (tmp_path / RESNET).read_bytes() == LOSS
    assert (tmp_path / "two/a/resnet_sgd_fashionmnist.npy").read_bytes() == b"no"
    assert (tmp_path / "doubt/a/eos.mat").read_bytes() == b"1"


def test_a_tree_of_other_case_is_found(tmp_path):
    """Files unpacked by hand into folders of another case, or flat, are found."""
    path = _put(tmp_path, f"x/{RESNET.title()}".replace(".Npy", ".npy"), TRACK)
    assert source_data.find(RESNET, tmp_path) == path
    run = _put(tmp_path, "y/" + RUN.split("/")[1] + "/trajectory_tsne.npy", TRACK)
    assert source_data.find(f"{RUN}/trajectory_tsne.npy", tmp_path) == run


def test_two_files_for_one_place_are_refused(record, tmp_path):
    """An archive that holds two versions of one file of the tree is not guessed about."""
    record.files = {"a.zip": _zip([(f"new/{RESNET}", LOSS), (f"old/{RESNET}", LOSS)])}
    with pytest.raises(FetchError, match="two members belong at the same place"):
        fetch(tmp_path, server=record.url)
    assert not (tmp_path / RESNET).exists()


# --- from a shell ----------------------------------------------------------------------------------------------------


def test_the_commands_list_verify_and_fetch(packed, copy, capsys):
    """`list` and `verify` say what is there and end with 1 on damage; `fetch` says where it put what."""
    assert main(["list", "--folder", str(copy)]) == 0
    printed = capsys.readouterr().out
    assert "16 of 24 files are there" in printed
    assert re.search(r"alphas.mat +missing", printed)
    assert main(["verify", "--folder", str(copy)]) == 0
    assert capsys.readouterr().out.count("  intact  ") == 16
    (copy / SECTION).write_bytes((copy / SECTION).read_bytes()[:-1])
    assert main(["verify", "--folder", str(copy)]) == 1
    assert "DAMAGED" in capsys.readouterr().out
    np.save(copy / SECTION, np.ones((257, 257)))
    assert main(["verify", "--folder", str(copy)]) == 0
    assert re.search(r"form is right; SHA-256 \w{64}, known 19da9a29", capsys.readouterr().out)
    assert main(["accept", SECTION, "--folder", str(copy)]) == 0
    assert main(["accept", RESNET, "--folder", str(copy)]) == 1
    capsys.readouterr()
    assert main(["verify", "--folder", str(copy)]) == 0
    assert capsys.readouterr().out.count("  intact  ") == 16
    packed.files = {"code.txt": b"print()"}
    assert main(["fetch", "--folder", str(copy), "--server", packed.url]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"Fetching doi {DOI} into {copy}\n")
    assert f"1 files downloaded, 0 were there, in {copy}" in told
    packed.files = {"a.zip": _zip([("../x", b"")])}
    assert main(["fetch", "--folder", str(copy), "--server", packed.url]) == 1
    assert "plain relative paths" in capsys.readouterr().err


def test_a_command_must_be_named(capsys):
    """Without one the refusal names the four."""
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "command" in capsys.readouterr().err


def test_no_socket_without_fetch(zenodo, monkeypatch, capsys):
    """Reading, listing and verifying open no socket at all."""
    monkeypatch.setattr(
        socket, "socket", lambda *args, **kwargs: pytest.fail("a socket was opened")
    )
    read(TAMSD, zenodo)
    assert main(["list", "--folder", str(zenodo)]) == main(["verify", "--folder", str(zenodo)]) == 0


def test_the_default_place_is_the_environments(packed, tmp_path, monkeypatch):
    """Without a folder, fetch fills $MULTIFRACTAL_DATA, and read finds the files there."""
    monkeypatch.setenv(_reading.VARIABLE, str(tmp_path / "mine"))
    packed.files = {"resnet_sgd_fashionmnist.npy": LOSS}
    assert _download.fetch(server=packed.url).folder == tmp_path / "mine"
    assert read(RESNET)["loss"].shape == (257, 257)


def test_the_longest_end_of_a_name_is_tried_first():
    """So that the end of one file's name is not taken for a shorter one of another's; each belongs to one file alone."""
    ends = _places._ENDS
    lengths = [len(end) for end in ends]
    assert lengths == sorted(lengths, reverse=True)
    for end, name in ends.items():
        owners = [one for one in _places.NAMES if f"/{one.lower()}".endswith(f"/{end}")]
        assert owners == [name]
