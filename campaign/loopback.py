"""A Zenodo record and a table on loopback, served slowly: `python -m campaign.loopback` prints the port and stays."""

import hashlib
import http.server
import io
import json
import time
import zipfile

import numpy as np

RECORD = "/api/records/14997499"
TABLE = "/airfoil_self_noise.dat"
_PIECE, _PAUSE = 1 << 16, 0.01  # bytes, and the seconds before each


def contents():
    """Return the record's files by key: an archive of two sections, and one section alone."""
    rng = np.random.default_rng(0)
    sections = {
        name: _npy(rng.normal(size=(257, 257)))
        for name in ("vgg_a", "resnet_sgd_fashionmnist", "alone")
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        for name in ("vgg_a", "resnet_sgd_fashionmnist"):
            out.writestr(f"{name}.npy", sections[name])
    return {"real_loss_landscape.zip": archive.getvalue(), "alone.npy": sections["alone"]}


def table():
    """Return the bytes of a table of the airfoil's shape and ranges, other numbers."""
    from multifractal.training.tables import AIRFOIL_COLUMNS, AIRFOIL_SHAPE

    rng = np.random.default_rng(0)
    columns = [rng.uniform(low, high, AIRFOIL_SHAPE[0]) for _, _, low, high in AIRFOIL_COLUMNS]
    text = io.StringIO()
    np.savetxt(text, np.column_stack(columns))
    return text.getvalue().encode()


def main():
    """Serve until killed."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    files = contents()
    entries = [
        {
            "key": key,
            "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
            "links": {"self": f"{server.url}{RECORD}/files/{key}/content"},
        }
        for key, content in files.items()
    ]
    server.answers = {RECORD: json.dumps({"files": entries}).encode(), TABLE: table()}
    server.answers |= {f"{RECORD}/files/{key}/content": content for key, content in files.items()}
    print(server.url, flush=True)
    server.serve_forever()


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802  the standard library's name
        """Send an answer piece by piece."""
        content = self.server.answers.get(self.path)
        if content is None:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for first in range(0, len(content), _PIECE):
            time.sleep(_PAUSE)
            self.wfile.write(content[first : first + _PIECE])

    def log_message(self, *arguments):
        """Stay silent."""


def _npy(values):
    out = io.BytesIO()
    np.save(out, values)
    return out.getvalue()


if __name__ == "__main__":
    main()
