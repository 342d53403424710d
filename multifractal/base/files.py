"""Files we write: atomic, never pickled, carrying a SHA-256 of their content that is checked on load."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from multifractal.base import checks
from multifractal.base.types import Array, ArrayLike, PathLike

try:
    import fcntl
except ImportError:  # not on Windows, where what a killed process leaves stays
    fcntl = None  # type: ignore[assignment]

_META = "__metadata__"


class DamagedFileError(ValueError):
    """A file whose content does not match the checksum it carries, or that cannot be parsed at all."""


@contextmanager
def atomic_write(path: PathLike, *, overwrite: bool = False) -> Iterator[IO[bytes]]:
    """Yield a binary file that becomes `path` only when the block ends well: flushed, fsynced, then renamed.

    Raises FileExistsError before any work when `path` exists and `overwrite` is False. On an error the old file stays.
    """
    path = Path(path)
    refuse_existing(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent.glob(f".{glob.escape(path.name)}.*.part"))
    handle, temporary, lock = _temporary_beside(path)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    finally:
        _unlock(lock)


@contextmanager
def locked(path: PathLike) -> Iterator[None]:
    """Hold the lock that tells `remove_leftovers` that `path`, a file or folder, is in use; needs no undoing if killed."""
    lock = _lock(path)
    try:
        yield
    finally:
        _unlock(lock)


def remove_leftovers(paths: Iterable[Path]) -> None:
    """Delete those temporary files and folders that no living process has locked: those of one that was killed."""
    for path in paths if fcntl is not None else ():
        try:
            lock = os.open(path, os.O_RDONLY)
        except OSError:  # its owner was quicker
            continue
        try:
            hold(lock)
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(
                missing_ok=True
            )
        except OSError:  # in use
            continue
        finally:
            os.close(lock)


def hold(file: int | IO[Any]) -> None:
    """Lock an open file or descriptor for this process until it is closed; OSError when another process holds it.

    Where there are no such locks (on Windows), nothing is locked.
    """
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def refuse_existing(path: PathLike, overwrite: bool) -> None:
    """Raise FileExistsError when `path` exists and may not be replaced."""
    if Path(path).exists() and not overwrite:
        raise FileExistsError(
            f"path must not exist yet, got {os.fspath(path)!r}; pass overwrite=True or another path"
        )


def save_arrays(
    path: PathLike,
    arrays: Mapping[str, ArrayLike],
    metadata: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> None:
    """Write `arrays` (name -> ndarray) and JSON-able `metadata` to one `.npz` with its SHA-256."""
    kept: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    text = json.dumps({"metadata": metadata, "sha256": _digest(kept, metadata)}, sort_keys=True)
    with atomic_write(path, overwrite=overwrite) as file:
        kept[_META] = np.array(text)
        np.savez(file, **kept)


def load_arrays(path: PathLike) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return (arrays, metadata) of a file written by `save_arrays`, after checking its SHA-256.

    Raises
    ------
    DamagedFileError
        When the file is truncated, altered, or was not written by `save_arrays`.
    """
    name = os.fspath(checks.path("path", path))
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files if key != _META}
            record = json.loads(str(stored[_META]))
        good = record["sha256"] == _digest(arrays, record["metadata"])
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # parsers raise errors of any kind on damaged bytes
        raise DamagedFileError(
            f"{name!r} cannot be read as a file of this package ({error}); "
            "restore it from a copy or compute it again"
        ) from error
    if not good:
        raise DamagedFileError(
            f"{name!r} does not match the SHA-256 it carries; restore it from a copy or "
            "compute it again"
        )
    return arrays, record["metadata"]


def file_sha256(path: PathLike) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}|{array.dtype.str}|{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()


def _temporary_beside(path: Path) -> tuple[int, str, int | None]:
    """Return (handle, name, lock) of a new temporary file, another than one deleted as a leftover before it was locked."""
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            lock = _lock(name)
        except FileNotFoundError:
            os.close(handle)
            continue
        if os.fstat(handle).st_nlink:
            return handle, name, lock
        os.close(handle)
        _unlock(lock)


def _lock(path: PathLike) -> int | None:
    """Return a descriptor that holds the lock of `path`; None where there are no locks."""
    if fcntl is None:
        return None
    lock = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        os.close(lock)
        return None
    return lock


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
