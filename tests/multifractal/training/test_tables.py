"""Tables: the real airfoil table, fetching from a loopback server, refusals, standardisation."""

import http.server
import io
import re
import threading
import zipfile

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from multifractal import load_table
from multifractal.training import tables

pytestmark = pytest.mark.quick


@pytest.fixture
def airfoil_bytes(airfoil_table):
    """The bytes of the real table."""
    return airfoil_table.read_bytes()


@pytest.fixture
def served():
    """Serve what is put into the returned dict, by path, on the loopback address; `served.url` is its root."""

    class Files(dict):
        url = ""

    files = Files()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    files.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield files
    server.shutdown()
    server.server_close()


def zipped(content):
    """Return a zip that holds `content` as the airfoil file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(tables.AIRFOIL_FILE, content)
    return buffer.getvalue()


def test_the_real_table_is_read(airfoil_table):
    """1503 rows of 5 inputs and a target, with the known first row and checksum; Windows line ends change nothing."""
    table = load_table("airfoil", airfoil_table)
    assert table.inputs.shape == (1503, 5)
    assert table.inputs[0].tolist() == [800, 0, 0.3048, 71.3, 0.00266337]
    assert table.target[0] == 126.201
    assert table.sha256 == tables.AIRFOIL_SHA256


def test_line_ends_do_not_change_the_checksum(airfoil_bytes, tmp_path):
    """The archive's file has Windows line ends: the same numbers, the same checksum."""
    (tmp_path / tables.AIRFOIL_FILE).write_bytes(airfoil_bytes.replace(b"\n", b"\r\n"))
    assert load_table("airfoil", tmp_path).sha256 == tables.AIRFOIL_SHA256


@pytest.mark.parametrize("packed", [False, True])
def test_a_missing_table_is_fetched(airfoil_bytes, tmp_path, served, monkeypatch, packed):
    """A source that is down is passed over; the file, or the zip that holds it, lands in a new folder and is read."""
    served["/table"] = zipped(airfoil_bytes) if packed else airfoil_bytes
    monkeypatch.setattr(
        tables,
        "fetch_airfoil",
        lambda path: fetch(path, (f"{served.url}/gone", f"{served.url}/table")),
    )
    # what a killed download left
    (tmp_path / "new" / f".{tables.AIRFOIL_FILE}.killed").mkdir(parents=True)
    table = load_table("airfoil", tmp_path / "new")
    assert table.sha256 == tables.AIRFOIL_SHA256
    assert [p.name for p in (tmp_path / "new").iterdir()] == [tables.AIRFOIL_FILE]
    assert (tmp_path / "new" / tables.AIRFOIL_FILE).read_bytes() == airfoil_bytes


fetch = tables.fetch_airfoil


@pytest.mark.parametrize(
    "content", [b"<html>moved</html>", b"1 2 3\n", b"", zipped(b"nothing of use")]
)
def test_a_wrong_download_is_refused_and_leaves_nothing(tmp_path, served, content):
    """A page, another table, an empty file or a wrong zip: refused with every source's problem, no file left."""
    served["/table"] = content
    with pytest.raises(FileNotFoundError, match="could not be fetched") as caught:
        fetch(tmp_path / tables.AIRFOIL_FILE, (f"{served.url}/table", f"{served.url}/gone"))
    assert f"{served.url}/table: " in str(caught.value)
    assert f"{served.url}/gone: " in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_without_network_the_message_says_what_to_do(tmp_path):
    """No file and no source: the message names both remedies."""
    with pytest.raises(FileNotFoundError, match="--dataset diabetes"):
        load_table("airfoil", tmp_path, fetch=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-1], "have shape (1503, 6), got (1502, 6)"),
        (
            lambda lines: [line.rsplit(b"\t", 1)[0] for line in lines],
            "have shape (1503, 6), got (1503, 5)",
        ),
        (
            lambda lines: [*lines[:17], b"nan\t" + lines[17].split(b"\t", 1)[1], *lines[18:]],
            "row 17, column 0",
        ),
        (
            lambda lines: [*lines[:17], b"90\t" + lines[17].split(b"\t", 1)[1], *lines[18:]],
            "frequency in row 17",
        ),
        (
            lambda lines: [*lines[:17], b"x\t" + lines[17].split(b"\t", 1)[1], *lines[18:]],
            "rows of 6 numbers",
        ),
        (lambda lines: [*lines[:17], lines[17] + b"\t3", *lines[18:]], "rows of 6 numbers"),
    ],
)
def test_a_wrong_table_is_refused(airfoil_bytes, tmp_path, change, words):
    """Wrong shape, NaN, a number out of range, words: the message says which row."""
    path = tmp_path / tables.AIRFOIL_FILE
    path.write_bytes(b"\n".join(change(airfoil_bytes.splitlines())))
    with pytest.raises(ValueError, match=re.escape(words)):
        load_table("airfoil", path)


def test_a_changed_number_is_noticed(airfoil_bytes, tmp_path):
    """A table of the right form with another number is read, with a warning."""
    path = tmp_path / tables.AIRFOIL_FILE
    path.write_bytes(airfoil_bytes.replace(b"126.201", b"126.202", 1))
    with pytest.warns(UserWarning, match="not its numbers"):
        load_table("airfoil", path)


@pytest.mark.parametrize(("by", "rows"), [("all", 442), ("train", 300)])
def test_standardisation_is_scikit_learns(by, rows):
    """Inputs and target have mean 0 and variance 1 over all rows, or over the training rows."""
    table = load_table("diabetes")
    inputs, target = table.standardised(300, by)
    np.testing.assert_allclose(
        inputs, StandardScaler().fit(table.inputs[:rows]).transform(table.inputs), atol=1e-12
    )
    np.testing.assert_allclose([target[:rows].mean(), target[:rows].std()], [0, 1], atol=1e-12)


def test_bad_arguments_are_refused():
    """More training rows than rows, a constant column, an unknown name or rule."""
    table = load_table("diabetes")
    with pytest.raises(
        ValueError, match=re.escape("n_train must be at most the table's 442 rows, got 443")
    ):
        table.standardised(443)
    with pytest.raises(ValueError, match="vary in every column over its first 1 rows"):
        table.standardised(1, "train")
    with pytest.raises(ValueError, match="by must be one of"):
        table.standardised(300, "test")
    with pytest.raises(ValueError, match="dataset must be one of"):
        load_table("iris")
