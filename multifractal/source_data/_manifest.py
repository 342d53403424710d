"""What is known of the files' content: the SHA-256 that `fetch` recorded, those a user accepted, and those shipped."""

import functools
import json
import os
from dataclasses import dataclass
from importlib import resources

from multifractal.base import files
from multifractal.base.files import DamagedFileError

CHECKSUMS = (
    "checksums.json"  # in the folder that `fetch` fills; paths in it are relative to that folder
)
_PARTS = ("sha256", "files", "accepted")


@dataclass(frozen=True)
class Known:
    """The SHA-256 known for one file: the one that `fetch` recorded, or None, and the others that it may have."""

    recorded: str | None
    others: frozenset

    def __bool__(self):
        return bool(self.recorded or self.others)

    def has(self, sha256):
        """Return whether `sha256` is the recorded one, or without a record one of the others."""
        return sha256 == self.recorded if self.recorded else sha256 in self.others


def known_checksums(name, path):
    """Return what is known of file `name` of the tree, found at `path`."""
    accepted = set()
    for parent in path.parents:
        relative, recorded = path.relative_to(parent).as_posix(), manifest(parent)
        if relative in recorded["sha256"]:
            return Known(recorded["sha256"][relative], frozenset())
        accepted |= {recorded["accepted"].get(relative)} - {None}
    return Known(None, frozenset(accepted | set(_registry().get(name, ()))))


def manifest(folder):
    """Return the record of `folder`: `sha256` and `accepted` by path, and `files` of the Zenodo record; empty without it."""
    path = folder / CHECKSUMS
    if not path.is_file():
        return {part: {} for part in _PARTS}
    try:
        recorded = json.loads(path.read_text())
        return {part: dict(recorded.get(part, {})) for part in _PARTS}
    except (ValueError, AttributeError, TypeError) as error:
        raise DamagedFileError(
            f"{os.fspath(path)!r} is damaged ({error}); delete it and fetch again"
        ) from error


def save_manifest(folder, record, doi):
    """Write `record`, as `manifest` returns it, to `folder`."""
    with files.atomic_write(folder / CHECKSUMS, overwrite=True) as out:
        out.write(json.dumps({"record": doi} | record, indent=1, sort_keys=True).encode())


@functools.cache
def _registry():
    return json.loads(resources.files(__package__).joinpath("registry.json").read_text())["sha256"]
