"""Unpack a zip or tar archive that nobody vouches for: regular files only, inside one folder, of bounded size."""

import stat
import tarfile
import zipfile
from contextlib import contextmanager
from pathlib import PurePosixPath

MAX_BYTES = 16 * 2**30  # our choice: what one archive may unpack to
MAX_MEMBERS = 100_000  # our choice
_PIECE = 2**20


class HostileArchiveError(ValueError):
    """An archive that would write outside its folder, holds links or devices, or is far too large."""


def is_archive(path):
    """Tell whether the file at `path` is a zip or a tar archive; `.npz` files are zips, and data."""
    return path.suffix not in (".npz", ".npy", ".mat") and (
        zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    )


def unpack(path, folder):
    """Unpack the archive at `path` into the existing empty `folder`.

    Raises
    ------
    HostileArchiveError
        For an absolute path, a `..`, a backslash or colon, a name used twice, a link or device, more than `MAX_MEMBERS`
        members or more than `MAX_BYTES` bytes, declared or real. `folder` may then hold a part of the members.
    """
    left = MAX_BYTES
    with _members(path) as members:
        for count, (name, size, is_file, opened) in enumerate(members):
            target = folder / safe_name(name, path)
            _demand(count < MAX_MEMBERS, path, f"hold at most {MAX_MEMBERS} members", "more")
            _demand(size <= left, path, f"unpack to at most {MAX_BYTES} bytes", "more")
            if not is_file:
                target.mkdir(parents=True, exist_ok=True)
                continue
            _demand(not target.exists(), path, "hold every name once", f"{name!r} twice")
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened() as source, open(target, "xb") as out:
                left -= _copy(source, out, left, path)


def safe_name(name, what):
    """Return `name` as a relative path without tricks, else raise `HostileArchiveError`; `what` names its source."""
    parts = PurePosixPath(name).parts
    good = (
        parts
        and not name.startswith("/")
        and ".." not in parts
        and not any(c in name for c in "\\:\0")
        and name.isprintable()
    )
    _demand(good, what, "hold only plain relative paths", repr(name))
    return PurePosixPath(*parts)


@contextmanager
def _members(path):
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield (
                (
                    info.filename,
                    info.file_size,
                    _zip_is_file(info, path),
                    lambda info=info: archive.open(info),
                )
                for info in archive.infolist()
            )
    else:
        with tarfile.open(path) as archive:
            yield (
                (
                    member.name,
                    member.size,
                    _tar_is_file(member, path),
                    lambda member=member: archive.extractfile(member),
                )
                for member in archive
            )


def _zip_is_file(info, path):
    kind = stat.S_IFMT(info.external_attr >> 16)
    _demand(
        kind in (0, stat.S_IFREG, stat.S_IFDIR),
        path,
        "hold only files and folders",
        f"{info.filename!r}, another kind",
    )
    return not info.is_dir()


def _tar_is_file(member, path):
    _demand(
        member.isreg() or member.isdir(),
        path,
        "hold only files and folders",
        f"{member.name!r}, a link or device",
    )
    return member.isreg()


def _copy(source, out, limit, path):
    """Copy `source` to `out` and return the bytes, which may not exceed `limit` whatever the archive declared."""
    copied = 0
    while piece := source.read(_PIECE):
        copied += len(piece)
        _demand(
            copied <= limit, path, f"unpack to at most {MAX_BYTES} bytes", "more than it declares"
        )
        out.write(piece)
    return copied


def _demand(condition, path, rule, got):
    if not condition:
        raise HostileArchiveError(
            f"{getattr(path, 'name', path)} must {rule}, got {got}; nothing of it was installed"
        )
