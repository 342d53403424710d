"""Download the paper's source data from its Zenodo record, check every byte, and put the files where `find` looks.

The record is asked at run time for its files and their hashes. A file is downloaded by pooch, checked, unpacked into a
staging folder if it is an archive, parsed once, and only then moved into place; `checksums.json` records the SHA-256 of
what was put there. So an interrupted or refused download leaves what was there before, and the next one goes on.
"""

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

import pooch

from multifractal.base import files
from multifractal.source_data import _archives, _reading
from multifractal.source_data._catalogue import is_source_data, shapes_of
from multifractal.source_data._content import checked

RECORD = "14997499"
DOI = f"10.5281/zenodo.{RECORD}"
SERVER = "https://zenodo.org"
_TIMEOUT = 60  # seconds without an answer; our choice
_STAGING = ".fetching-"
_ENDINGS = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tar", ".zip")


class FetchError(OSError):
    """Some files of the record could not be fetched; the others are in place."""


@dataclass
class Fetched:
    """What `fetch` did: the folder, and the record's files that were downloaded and that were there already."""

    folder: Path
    downloaded: list = field(default_factory=list)
    present: list = field(default_factory=list)


@dataclass(frozen=True)
class RecordFile:
    """One file of the record: its name, `md5:...` and address."""

    key: str
    checksum: str
    url: str


def fetch(folder=None, *, server=SERVER, retries=3, progress=False):
    """Download what is missing of the record doi 10.5281/zenodo.14997499. This is the only function that opens a socket.

    Parameters
    ----------
    folder : path-like, optional
        Where to put the tree; default: $MULTIFRACTAL_DATA if set, else ``data/`` of the working directory.
    server : str
        Address of the Zenodo instance; another one is for tests.
    retries : int
        Further attempts for each file after a failure, with growing pauses. Default: our choice.
    progress : bool
        Show a bar for each download.

    Returns
    -------
    Fetched

    Raises
    ------
    FetchError
        When the record or any of its files could not be had, or was refused; the message names each with its reason.
    """
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
    try:
        path = _download(
            f"{server}/api/records/{RECORD}", "record.json", None, staging, retries, False
        )
        record = json.loads(path.read_text())
        listed = record["files"]
        entries = listed["entries"] if isinstance(listed, dict) else listed
        entries = entries.values() if isinstance(entries, dict) else entries
        return [_record_file(entry, server) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FetchError(
            f"the record {DOI} cannot be read from {server} ({type(error).__name__}: {error}); try again "
            "later, or download its files by hand into data/"
        ) from error


def _record_file(entry, server):
    key, checksum = entry["key"], entry["checksum"]
    _archives.safe_name(key, "the record")
    if not checksum.startswith("md5:"):
        checksum = f"md5:{checksum}"
    links = entry.get("links", {})
    url = (
        links.get("content")
        or links.get("self")
        or f"{server}/api/records/{RECORD}/files/{quote(key)}/content"
    )
    if urlsplit(url).scheme not in ("https", urlsplit(server).scheme):
        raise ValueError(f"the address of {key} must be {urlsplit(server).scheme}, got {url!r}")
    return RecordFile(key, checksum, url)


def _fetch_one(file, folder, staging, retries, progress):
    """Bring one file of the record into place; return whether it had to be downloaded."""
    if _is_present(file, folder):
        return False
    path = _download(file.url, quote(file.key, safe=""), file.checksum, staging, retries, progress)
    unpacked = staging / "unpacked"
    unpacked.mkdir()
    if _archives.is_archive(path):
        _archives.unpack(path, unpacked)
        inside = [
            member.relative_to(unpacked).as_posix()
            for member in sorted(unpacked.rglob("*"))
            if member.is_file()
        ]
    else:
        inside = [file.key]
        (unpacked / file.key).parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, unpacked / file.key)
    places = {member: _place_in_tree(member, file.key) for member in inside}
    if len(set(places.values())) < len(places):
        raise ValueError(f"two members belong at the same place: {sorted(places.values())}")
    _install(file, folder, [(unpacked / member, place) for member, place in places.items()])
    return True


def _place_in_tree(member, key):
    """Return where a member belongs: at its place in the paper's tree if it has one, else under the archive's own name."""
    stem = next((key[: -len(ending)] for ending in _ENDINGS if key.endswith(ending)), "")
    parts = PurePosixPath(stem, member).parts
    for first in range(len(parts)):
        if is_source_data(tail := "/".join(parts[first:])):
            return tail
    matches = [name for name in _reading.NAMES if name.endswith(f"/{parts[-1]}")]
    return matches[0] if len(parts) == 1 and len(matches) == 1 else "/".join(parts)


def _install(file, folder, members):
    """Parse all `members` first, then move them into place, keep each `.mat` as `.npz` too, and record the checksums."""
    checked = [
        (path, place, files.file_sha256(path), _parsed(path, place)) for path, place in members
    ]
    for path, place, sha256, arrays in checked:
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
        if arrays is not None and target.suffix == ".mat":
            _reading.save_converted(target, arrays, sha256)
    manifest = _reading.manifest(folder)
    manifest["sha256"] |= {place: sha256 for _, place, sha256, _ in checked}
    manifest["files"][file.key] = {
        "checksum": file.checksum,
        "members": [place for _, place, _, _ in checked],
    }
    with files.atomic_write(folder / _reading.CHECKSUMS, overwrite=True) as out:
        out.write(json.dumps({"record": DOI} | manifest, indent=1, sort_keys=True).encode())


def _parsed(path, place):
    """Return the arrays of a file of the tree, or None for other files; raises when it is not what it should be."""
    if not is_source_data(place):
        return None
    return checked(_reading.parse(path, shapes_of(place), trusted=False), shapes_of(place), path)


def _is_present(file, folder):
    manifest = _reading.manifest(folder)
    entry = manifest["files"].get(file.key)
    return (
        bool(entry)
        and entry["checksum"] == file.checksum
        and all(
            (folder / place).is_file()
            and files.file_sha256(folder / place) == manifest["sha256"][place]
            for place in entry["members"]
        )
    )


def _download(url, name, checksum, folder, retries, progress):
    keeper = pooch.create(
        folder, base_url="", registry={name: checksum}, urls={name: url}, retry_if_failed=retries
    )
    downloader = pooch.HTTPDownloader(progressbar=progress, chunk_size=2**20, timeout=_TIMEOUT)
    return Path(keeper.fetch(name, downloader=downloader))
