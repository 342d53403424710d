"""What the Zenodo record lists: its files with their addresses and checksums, in the forms that Zenodo's answers have had."""

import json
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from multifractal.source_data._archives import safe_name

RECORD = "14997499"
DOI = f"10.5281/zenodo.{RECORD}"
_ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
_BY_LENGTH = {
    32: "md5",
    40: "sha1",
    64: "sha256",
    128: "sha512",
}  # hexadecimal digits of a bare checksum


@dataclass(frozen=True)
class RecordFile:
    """One file of the record: its name, address, checksum as "md5:..." or None, and size in bytes or None."""

    key: str
    url: str
    checksum: str | None
    size: int | None


def record_files(server, ask):
    """Return the files of the record; `ask` returns what an address answers.

    Raises
    ------
    ValueError
        When the record lists no file, or what it says makes no sense.
    """
    address = f"{server}/api/records/{RECORD}"
    record = json.loads(ask(address))
    entries = _entries(record.get("files"))
    if not entries:  # Zenodo's newer form may keep the list apart
        entries = _entries(json.loads(ask(f"{address}/files")))
    if not entries:
        access = record.get("access_right") or (record.get("access") or {}).get("files")
        raise ValueError(
            "it lists no files" + (f"; its access right is {access!r}" if access else "")
        )
    return [_record_file(key, entry, server) for key, entry in entries]


def _entries(listed):
    """Return (key or None, entry) of each file, from a list or from the newer form, a dictionary by key or a list in one."""
    if isinstance(listed, dict):
        listed = listed.get("entries", listed.get("files")) or []
    if isinstance(listed, dict):
        return list(listed.items())
    return [(None, entry) for entry in listed or []]


def _record_file(key, entry, server):
    key = entry.get("key") or entry.get("filename") or key
    safe_name(key, "the record")
    links = entry.get("links") or {}
    url = links.get("content") or links.get("download") or links.get("self")
    url = urljoin(f"{server}/", url or f"{server}/api/records/{RECORD}/files/{quote(key)}/content")
    if urlsplit(url).scheme not in ("https", urlsplit(server).scheme):
        raise ValueError(f"the address of {key} must be {urlsplit(server).scheme}, got {url!r}")
    size = entry.get("size", entry.get("filesize"))
    return RecordFile(
        key, url, _checksum(entry.get("checksum")), None if size is None else int(size)
    )


def _checksum(stated):
    """Return a checksum as "algorithm:digits", or None where there is none or its algorithm is not known here."""
    algorithm, _, digits = (stated or "").strip().lower().rpartition(":")
    algorithm = (algorithm or _BY_LENGTH.get(len(digits), "")).replace("-", "")
    return f"{algorithm}:{digits}" if algorithm in _ALGORITHMS else None
