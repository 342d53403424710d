"""What of the source data is there, and whether it is intact."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from multifractal.base.files import DamagedFileError, file_sha256
from multifractal.base.types import PathLike
from multifractal.source_data._catalogue import NAMES
from multifractal.source_data._manifest import known_checksums
from multifractal.source_data._reading import UnverifiedFileWarning, find, read


@dataclass(frozen=True)
class Entry:
    """One file of the source data: its name, its path or None, and in words how it stands."""

    name: str
    path: Path | None
    status: str
    good: bool


def inventory(folder: PathLike | None = None) -> list[Entry]:
    """Return one `Entry` for each of `NAMES`, without reading the files; `folder` as for `find`."""
    return [_listed(name, folder) for name in NAMES]


def verify(folder: PathLike | None = None) -> list[Entry]:
    """Return one `Entry` for each of `NAMES`, every file that is there read and checked; `folder` as for `find`."""
    return [_verified(entry, folder) if entry.path else entry for entry in inventory(folder)]


def _listed(name, folder):
    try:
        path = find(name, folder)
    except FileNotFoundError:
        return Entry(name, None, "missing", True)
    return Entry(name, path, f"{path.stat().st_size / 1e6:.3g} MB", True)


def _verified(entry, folder):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnverifiedFileWarning)
            read(entry.name, folder)
    except DamagedFileError as error:
        return Entry(entry.name, entry.path, f"DAMAGED: {error}", False)
    return Entry(entry.name, entry.path, _standing(entry), True)


def _standing(entry):
    known, actual = known_checksums(entry.name, entry.path), file_sha256(entry.path)
    if known.has(actual):
        return "intact"
    if not known:
        return "form is right; no checksum is known"
    return f"form is right; SHA-256 {actual}, known {' or '.join(sorted(known.others))}"
