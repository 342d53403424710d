"""The store of a section in the making: one append-only file of finished chunks, each line with its own SHA-256.

The first line says what the section is of; a store is only continued by a section whose first line would be the same. Each
further line is one chunk. A line cut off by a kill or a full disk is dropped, and its chunk computed again.
"""

import hashlib
import json
import os
import warnings
from pathlib import Path

import numpy as np

from multifractal.base import files
from multifractal.base.checks import refuse

_FORMAT = "landscape_viz section store, version 2"


class SectionStore:
    """Finished chunks of one section, on disk.

    Parameters
    ----------
    path : path-like
        The file; its folder is created if missing.
    identity : dict
        What the section is of, JSON-able.
    resume, overwrite : bool
        Resume an existing store, or overwrite it and start again. With neither an existing store is refused.

    Raises
    ------
    FileExistsError
        When the file exists and neither `resume` nor `overwrite` is set.
    ValueError
        When the existing store is of another section (the message gives the difference), is no store, or is in use.
    """

    def __init__(self, path, identity, *, resume=False, overwrite=False):
        self.path = Path(path)
        self.identity = json.loads(json.dumps(identity))
        self.chunks = {}
        refuse_existing(path, resume, overwrite)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "a+b")  # noqa: SIM115  open until close()
        try:
            self._lock()
            if overwrite and not resume:
                self._file.truncate(0)
            self._read()
        except BaseException:
            self._file.close()
            raise

    def add(self, first, values):
        """Append a finished chunk: the values, shape (n_metrics, n_points), of the points from flat index `first` on."""
        self._write({"first": first, "values": np.asarray(values).tolist()})
        self.chunks[first] = np.asarray(values)

    def close(self):
        """Close the file; what was added stays."""
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _lock(self):
        try:
            files.hold(self._file)
        except OSError as error:
            raise refuse(
                "path",
                os.fspath(self.path),
                "be used by one section at a time",
                "wait for the other process or take another path",
            ) from error

    def _read(self):
        self._file.seek(0)
        lines = self._file.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            self._file.truncate(sum(map(len, lines[:-1])))
            lines.pop()
        if not lines:
            self._write({"format": _FORMAT, "identity": self.identity})
            return
        self._check_identity(_parsed(lines[0]))
        for number, line in enumerate(lines[1:], start=2):
            record = _parsed(line)
            if record is None:
                warnings.warn(
                    f"line {number} of {self.path} does not match its SHA-256; its chunk is computed again",
                    stacklevel=4,
                )
            else:
                self.chunks[record["first"]] = np.array(record["values"], dtype=np.float64)

    def _check_identity(self, header):
        if header is None or header.get("format") != _FORMAT:
            raise refuse(
                "path",
                os.fspath(self.path),
                "be a store of a section",
                "pass overwrite=True or another path",
            )
        differences = list(_differences(header["identity"], self.identity))
        if differences:
            raise refuse(
                "path",
                os.fspath(self.path),
                "belong to the same section; it differs in " + "; ".join(differences),
                "take another path, or overwrite=True",
            )

    def _write(self, record):
        text = json.dumps(record)
        self._file.write(f"{_digest(text)} {text}\n".encode())
        self._file.flush()
        os.fsync(self._file.fileno())


def refuse_existing(path, resume, overwrite):
    """Raise FileExistsError where a store exists that is neither to be resumed nor overwritten."""
    if Path(path).exists() and not (resume or overwrite):
        raise FileExistsError(
            f"path must not exist yet, got {os.fspath(path)!r}; pass resume=True to resume it, "
            "overwrite=True to start again, or another path"
        )


def _differences(stored, asked, prefix=""):
    for name in sorted(stored.keys() | asked.keys()):
        old, new = stored.get(name), asked.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{prefix}{name}.")
        elif not _same(old, new):
            yield f"{prefix}{name} (stored {_short(old)}, now {_short(new)})"


def _same(old, new):
    """Whether two entries are equal; losses, which another machine rounds otherwise, to one part in 10^5."""
    if isinstance(old, float) and isinstance(new, float):
        return abs(old - new) <= 1e-5 * max(abs(old), abs(new)) or (old != old and new != new)
    return old == new


def _short(value):
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:60]}... sha256:{_digest(text)[:8]}"


def _parsed(line):
    try:
        given, _, text = line.decode().rstrip("\n").partition(" ")
        return json.loads(text) if given == _digest(text) else None
    except ValueError:
        return None


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()
