"""A folder that a long run writes into, and can be killed at any moment without losing what it had done.

Arrays grow on disk (`GrowingArray`), then a checkpoint replaces the one before, atomically. The checkpoint says how many
rows of each array belong to it and their SHA-256: what was written after it is cut off on resuming, and damage is noticed.

The folder holds ``run.json`` (what is run; written first), the arrays as ``.npy``, and ``checkpoint.npz``.
"""

import hashlib
import io
import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np

from multifractal.base import files
from multifractal.base.checks import require
from multifractal.base.files import DamagedFileError

RECORD, CHECKPOINT, LOCK = "run.json", "checkpoint.npz", ".lock"
_BLOCK = 1 << 24  # bytes read at a time when a file is checked
_OVERWRITE = (
    "pass overwrite=True (--overwrite) to delete that run and start again, or another folder"
)
_READ = "read another folder, or train again into this one, which has to be asked to overwrite"


class GrowingArray:
    """A `.npy` file that grows along its first axis: its header is valid at all times, its rows are never held in memory."""

    def __init__(self, path, row_shape, dtype):
        self.path, self.row_shape, self.dtype = Path(path), tuple(row_shape), np.dtype(dtype)
        self.n_rows, self._digest, self._file = 0, hashlib.sha256(), None

    def create(self):
        """Start an empty file."""
        self._file = open(self.path, "w+b")
        self._write_header(0)
        return self

    def reopen(self, n_rows, sha256):
        """Continue a file after its first `n_rows` rows, cutting off the rest; refuse it if those were altered."""
        self._digest = self._checked(n_rows, sha256)
        self._file = open(self.path, "r+b")
        self._write_header(n_rows)
        self._file.truncate(len(self._header(0)) + n_rows * self._row_bytes())
        return self

    def mapped(self, n_rows, sha256):
        """Return the first `n_rows` rows as a read-only memory map; refuse the file if those were altered."""
        self._checked(n_rows, sha256)
        shape = (n_rows, *self.row_shape)
        if n_rows == 0:  # which cannot be mapped
            return np.empty(shape, self.dtype)
        return np.memmap(self.path, self.dtype, mode="r", offset=len(self._header(0)), shape=shape)

    def append(self, rows):
        """Write rows at the end; the header counts them only once they are written."""
        rows = np.ascontiguousarray(rows, self.dtype)
        assert rows.shape[1:] == self.row_shape, (rows.shape, self.row_shape)
        self._file.seek(len(self._header(0)) + self.n_rows * self._row_bytes())
        self._file.write(rows.data if rows.size else b"")
        self._file.flush()
        self._digest.update(rows.data if rows.size else b"")
        self._write_header(self.n_rows + len(rows))

    def sync(self):
        """Make what was written survive a power cut, and return (rows, SHA-256 of them)."""
        os.fsync(self._file.fileno())
        return self.n_rows, self._digest.hexdigest()

    def holds_more_than(self, n_rows):
        """Return whether the file on disk is longer than `n_rows` rows."""
        return (
            self.path.exists()
            and self.path.stat().st_size > len(self._header(0)) + n_rows * self._row_bytes()
        )

    def close(self):
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _checked(self, n_rows, sha256):
        """Return the running SHA-256 of the file's first `n_rows` rows, refusing a file in which it is not `sha256`."""
        header, left, digest = len(self._header(0)), n_rows * self._row_bytes(), hashlib.sha256()
        try:
            size = os.path.getsize(self.path)
        except FileNotFoundError as error:
            raise DamagedFileError(f"{str(self.path)!r} is missing; {_OVERWRITE}") from error
        if size < header + left:
            raise DamagedFileError(
                f"{str(self.path)!r} has {size} bytes, fewer than the {header + left} of its "
                f"checkpoint; {_OVERWRITE}"
            )
        with open(self.path, "rb") as file:
            file.seek(header)
            while block := file.read(min(_BLOCK, left)):
                left -= len(block)
                digest.update(block)
        if digest.hexdigest() != sha256:
            raise DamagedFileError(
                f"the first {n_rows} rows of {str(self.path)!r} are not those of its checkpoint; "
                f"{_OVERWRITE}"
            )
        return digest

    def _row_bytes(self):
        return self.dtype.itemsize * int(np.prod(self.row_shape))

    def _header(self, n_rows):
        # numpy leaves room for the first axis to grow, so that the header's length does not depend on the number of rows.
        buffer = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            buffer,
            {
                "descr": np.lib.format.dtype_to_descr(self.dtype),
                "fortran_order": False,
                "shape": (n_rows, *self.row_shape),
            },
        )
        return buffer.getvalue()

    def _write_header(self, n_rows):
        self._file.seek(0)
        self._file.write(self._header(n_rows))
        self._file.flush()
        self.n_rows = n_rows


class RunFolder:
    """One run's folder: its record, its growing arrays and its checkpoint; locked while open.

    Parameters
    ----------
    path : path-like
    arrays : dict of str to (row_shape, dtype)
        The growing arrays; each is kept in ``<name>.npy``.
    outputs : tuple of str
        Names of further files that the run leaves here; they go when it is overwritten.
    """

    def __init__(self, path, arrays, outputs=()):
        self.path, self.outputs = Path(path), outputs
        self.arrays = {
            name: GrowingArray(self.path / f"{name}.npy", *form) for name, form in arrays.items()
        }
        self._lock = None

    def start(self, parameters, *, resume=False, overwrite=False, may_grow=()):
        """Open the folder for a run of `parameters`; return its last checkpoint as (arrays, metadata), or None if it is new.

        Parameters
        ----------
        parameters : dict
            JSON-able; compared with the record of a folder that is resumed.
        resume, overwrite : bool
            What to do when the folder holds a run: continue it, or delete its files and start again.
        may_grow : tuple of str
            Parameters that may be larger than recorded (the record is then renewed).

        Raises
        ------
        FileExistsError
            When the folder is not empty and neither `resume` nor `overwrite` is given, or holds no run.
        ValueError
            When the recorded parameters differ; the message shows the difference.
        DamagedFileError
            When a file is missing, cut short or altered.
        BlockingIOError
            When another process is writing to the folder.
        """
        require(
            not (resume and overwrite),
            "resume and overwrite",
            (resume, overwrite),
            "not both be given",
            "choose one",
        )
        held = self._held()
        if held and not (resume or overwrite):
            raise FileExistsError(
                f"the folder must hold no results yet, got {str(self.path)!r} with {', '.join(sorted(held)[:5])}; "
                "pass resume=True (--resume) to go on, overwrite=True (--overwrite) to replace them, or another folder"
            )
        if held and RECORD not in held:
            raise FileExistsError(
                f"the folder must hold a run, got {str(self.path)!r} without {RECORD}; pass another one"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        for leftover in (p for p in self.path.iterdir() if _is_leftover(p.name)):
            leftover.unlink()
        try:
            if held and resume:
                self._compare(parameters, may_grow)
                if not self._only_begun(held):
                    return self._reopened()
            if overwrite:
                self._delete()
            self._write_record(parameters)
            for array in self.arrays.values():
                array.create()
        except BaseException:
            self.close()
            raise
        return None

    def checkpoint(self, arrays, **metadata):
        """Make all that was appended part of the run, with the state (`arrays`, `metadata`) to continue from."""
        rows = {name: array.sync() for name, array in self.arrays.items()}
        forms = {name: (array.dtype.str, array.row_shape) for name, array in self.arrays.items()}
        files.save_arrays(
            self.path / CHECKPOINT,
            arrays,
            {**metadata, "rows": rows, "forms": forms},
            overwrite=True,
        )

    def close(self):
        """Close the arrays and let other processes in."""
        for array in self.arrays.values():
            array.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _held(self):
        if not self.path.exists():
            return set()
        require(self.path.is_dir(), "out", str(self.path), "be a folder", "pass another path")
        return {p.name for p in self.path.iterdir() if not _is_leftover(p.name)} - {LOCK}

    def _take_lock(self):
        self._lock = open(self.path / LOCK, "w")
        try:
            files.hold(self._lock)
        except BlockingIOError as error:
            raise BlockingIOError(
                f"another process is writing to {str(self.path)!r}; wait for it, or pass another folder"
            ) from error

    def _compare(self, parameters, may_grow):
        record = read_record(self.path)
        recorded = record["parameters"]
        different = [
            name
            for name in sorted(recorded.keys() | parameters.keys())
            if recorded.get(name) != parameters.get(name)
        ]
        refused = [name for name in different if name not in may_grow]
        if refused:
            shown = "; ".join(
                f"{name}: {recorded.get(name)!r} in the folder, {parameters.get(name)!r} asked"
                for name in refused
            )
            raise ValueError(
                f"the run in {str(self.path)!r} has other parameters ({shown}); pass those of the folder, or "
                f"{_OVERWRITE[5:]}"
            )
        if record["versions"] != _versions():
            warnings.warn(
                f"the run in {str(self.path)!r} was begun with {record['versions']} and goes on with "
                f"{_versions()}: its bits may differ from those of a run never stopped",
                stacklevel=4,
            )
        if different:
            grown = {name: max(recorded[name], parameters[name]) for name in different}
            self._write_record(parameters | grown)

    def _only_begun(self, held):
        """Whether the run was killed before its first checkpoint, when there is nothing to lose."""
        begun = CHECKPOINT not in held
        if begun and any(array.holds_more_than(1) for array in self.arrays.values()):
            raise DamagedFileError(
                f"{str(self.path / CHECKPOINT)!r} is missing, but there are arrays; {_OVERWRITE}"
            )
        return begun

    def _reopened(self):
        arrays, metadata = files.load_arrays(self.path / CHECKPOINT)
        for name, array in self.arrays.items():
            array.reopen(*metadata["rows"][name])
        return arrays, metadata

    def _delete(self):
        """Delete what a run writes, the checkpoint first; foreign files stay."""
        for name in (
            CHECKPOINT,
            *(array.path.name for array in self.arrays.values()),
            *self.outputs,
        ):
            (self.path / name).unlink(missing_ok=True)

    def _write_record(self, parameters):
        record = {"parameters": parameters, "versions": _versions()}
        text = json.dumps(record | {"sha256": _sha256_of(record)}, indent=1, sort_keys=True) + "\n"
        with files.atomic_write(self.path / RECORD, overwrite=True) as file:
            file.write(text.encode())


def _is_leftover(name):
    """Whether a file is the unfinished one of an `files.atomic_write` that was killed."""
    return name.startswith((f".{RECORD}.", f".{CHECKPOINT}.")) and name.endswith(".part")


def read_record(path):
    """Return the record of a run folder, a dict of "parameters" and "versions", after checking its SHA-256."""
    try:
        record = json.loads((Path(path) / RECORD).read_text())
        given = record.pop("sha256")
        record["parameters"], record["versions"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFileError(
            f"{str(Path(path) / RECORD)!r} cannot be read ({error}); {_READ}"
        ) from error
    if given != _sha256_of(record):
        raise DamagedFileError(
            f"{str(Path(path) / RECORD)!r} does not match the SHA-256 it carries; {_READ}"
        )
    return record


def read_rows(path):
    """Return the arrays of a run folder by name, each a read-only memory map of the rows that belong to its checkpoint.

    Raises
    ------
    DamagedFileError
        When a file is missing, cut short, or does not match the checkpoint's SHA-256.
    """
    _, metadata = files.load_arrays(Path(path) / CHECKPOINT)
    arrays = {}
    for name, (dtype, row_shape) in metadata["forms"].items():
        array = GrowingArray(Path(path) / f"{name}.npy", row_shape, dtype)
        arrays[name] = array.mapped(*metadata["rows"][name])
    return arrays


def _sha256_of(record):
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def require_space(path, n_bytes):
    """Raise OSError unless the disk that `path` is or will be on has room for `n_bytes`; return the free bytes."""
    place = Path(path).absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if n_bytes > free:
        raise OSError(
            f"the run needs {n_bytes / 1e9:.3g} GB on the disk of {str(place)!r}, got {free / 1e9:.3g} GB free; "
            "free some, pass another folder (--out), or store fewer epochs (--every)"
        )
    return free


def _versions():
    from multifractal.base.result import Provenance

    return Provenance.of("run", packages=("numpy", "jax", "jaxlib")).versions
