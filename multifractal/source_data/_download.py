"""Download the paper's source data from its Zenodo record, check every byte, and put the files where `find` looks.

The record is asked at run time for its files and their hashes. A file is downloaded by pooch, checked, unpacked into a
staging folder if it is an archive, parsed once, and only then moved into place; `checksums.json` records the SHA-256 of
what was put there. So an interrupted or refused download leaves what was there before, and the next one resumes.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from multifractal.base import files
from multifractal.base.extras import needed
from multifractal.base.files import DamagedFileError
from multifractal.base.types import PathLike
from multifractal.source_data import _archives, _manifest, _places, _reading
from multifractal.source_data._catalogue import is_source_data, shapes_of
from multifractal.source_data._content import checked
from multifractal.source_data._record import DOI, record_files
from multifractal.source_data._transfer import download

SERVER = "https://zenodo.org"
_STAGING = ".fetching-"


class FetchError(OSError):
    """Some files of the record could not be fetched; the others are in place."""


@dataclass
class Fetched:
    """What `fetch` did: the folder, and the record's files that were downloaded and that were there already."""

    folder: Path
    downloaded: list = field(default_factory=list)
    present: list = field(default_factory=list)


def fetch(
    folder: PathLike | None = None,
    *,
    server: str = SERVER,
    retries: int = 3,
    progress: bool = False,
) -> Fetched:
    """Download what is missing of the record doi 10.5281/zenodo.14997499. This is the only function that opens a socket.

    Parameters
    ----------
    folder : path-like, optional
        Where to put the tree; default: $MULTIFRACTAL_DATA if set, else ``data/`` of the working directory.
    server : str
        Address of the Zenodo instance; another one is for tests.
    retries : int
        Further attempts for each file after a failure, after the pause that the server names (``Retry-After``, up to 15
        minutes) or growing ones. Default: our choice.
    progress : bool
        Show a bar for each download.

    Returns
    -------
    Fetched

    Raises
    ------
    FetchError
        When the record could not be had or lists no files, or any of its files could not be had or was refused; the message
        names each with its reason.
    MissingExtraError
        Where pooch is not installed; nothing is made then.
    """
    needed("pooch")
    folder = Path(folder) if folder is not None else _reading.folders()[0]
    folder.mkdir(parents=True, exist_ok=True)
    done, problems = Fetched(folder.resolve()), []
    files.remove_leftovers(folder.glob(f"{_STAGING}*"))
    with tempfile.TemporaryDirectory(dir=folder, prefix=_STAGING) as staging, files.locked(staging):
        listed = _record_files(server, Path(staging), retries)
        for number, file in enumerate(listed):
            place = Path(staging) / str(number)
            place.mkdir()
            try:
                news = _fetch_one(file, folder, place, retries, progress)
            except Exception as error:  # noqa: BLE001  each file on its own: the others can still be had
                problems.append(f"{file.key}: {error}")
            else:
                (done.downloaded if news else done.present).append(file.key)
    if problems:
        raise FetchError(
            f"{len(problems)} of {len(listed)} files of {DOI} could not be fetched into {folder}:\n  "
            + "\n  ".join(problems)
        )
    return done


def _record_files(server, staging, retries):
    def ask(address):
        return download(address, staging / "record.json", retries=retries).read_text()

    try:
        return record_files(server, ask)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FetchError(
            f"the record {DOI} cannot be read from {server} ({type(error).__name__}: {error}); try again "
            "later, or download its files by hand into data/"
        ) from error


def _fetch_one(file, folder, staging, retries, progress):
    """Bring one file of the record into place; return whether it had to be downloaded."""
    if _is_present(file, folder):
        return False
    path = staging / quote(PurePosixPath(file.key).name, safe="")
    download(file.url, path, file.checksum, file.size, retries=retries, progress=progress)
    unpacked = staging / "unpacked"
    if _archives.is_archive(path):
        root = unpacked / _archives.archive_stem(file.key)
        root.mkdir(parents=True)
        _archives.unpack(path, root)
    else:
        (unpacked / file.key).parent.mkdir(parents=True)
        os.replace(path, unpacked / file.key)
    _install(file, folder, unpacked, _placed(unpacked))
    return True


def _placed(unpacked):
    """Return where each file below `unpacked` belongs: in the paper's tree if its name says so, else as it lies there.

    Of several files for one place the one whose name is surest has it; two that are equally sure are not guessed about.
    """
    members = sorted(
        path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()
    )
    claims = {}
    for member in members:
        name, sure = _places.place_in_tree(member)
        if name and not (sure == _places.PREFIXED and not _has_form(unpacked / member, name)):
            claims.setdefault(name, {}).setdefault(sure, []).append(member)
    places = {member: member for member in members}
    for name, claim in claims.items():
        sure = min(claim)
        if len(claim[sure]) == 1:
            places[claim[sure][0]] = name
        elif sure == _places.EXACT:
            raise ValueError(f"two members belong at the same place {name!r}: {claim[sure]}")
    return places


def _has_form(path, name):
    try:
        _parsed(path, name)
    except DamagedFileError:
        return False
    return True


def _install(file, folder, unpacked, places):
    """Parse all members first, then move them into place, keep each `.mat` as `.npz` too, and record the checksums."""
    members = [
        (
            unpacked / member,
            place,
            files.file_sha256(unpacked / member),
            _parsed(unpacked / member, place),
        )
        for member, place in places.items()
    ]
    for path, place, sha256, arrays in members:
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
        if arrays is not None and target.suffix == ".mat":
            _reading.save_converted(target, arrays, sha256)
    recorded = _manifest.manifest(folder)
    recorded["sha256"] |= {place: sha256 for _, place, sha256, _ in members}
    recorded["files"][file.key] = {"checksum": file.checksum, "members": list(places.values())}
    _manifest.save_manifest(folder, recorded, DOI)


def _parsed(path, place):
    """Return the arrays of a file of the tree, or None for other files; raises when it is not what it should be."""
    if not is_source_data(place):
        return None
    return checked(_reading.parse(path, place, trusted=False), shapes_of(place), path)


def _is_present(file, folder):
    recorded = _manifest.manifest(folder)
    entry = recorded["files"].get(file.key)
    return (
        bool(entry)
        and entry["checksum"] == file.checksum
        and all(
            (folder / place).is_file()
            and files.file_sha256(folder / place) == recorded["sha256"][place]
            for place in entry["members"]
        )
    )
