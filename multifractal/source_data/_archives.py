"""Unpack a zip or tar archive that nobody vouches for: regular files only, inside one folder, of bounded size."""

import stat
import tarfile
import zipfile
from contextlib import contextmanager
from pathlib import PurePosixPath

MAX_BYTES = 16 * 2**30  # our choice: what one archive may unpack to
MAX_MEMBERS = 100_000  # our choice
MAX_DEPTH = 4  # our choice: archives in archives
_ENDINGS = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tar", ".zip")
_PIECE = 2**20


class HostileArchiveError(ValueError):
    """An archive that would write outside its folder, holds links or devices, or is far too large."""


def archive_stem(name):
    """Return `name` without the ending that says that it is a zip or tar archive; None when it has no such ending."""
    return next((name[: -len(end)] for end in _ENDINGS if name.lower().endswith(end)), None)


def is_archive(path):
    """Tell whether the file at `path` is a zip or tar archive, by its name and by its content."""
    return archive_stem(path.name) is not None and (
        zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    )


def unpack(path, folder):
    """Unpack the archive at `path` into the existing empty `folder`, and the archives in it into folders of their names.

    Raises
    ------
    HostileArchiveError
        For an absolute path, a `..`, a backslash or colon, a name used twice, a link or device, archives in archives more
        than `MAX_DEPTH` deep, more than `MAX_MEMBERS` members or more than `MAX_BYTES` bytes, declared or real. `folder`
        may then hold a part of the members.
    """
    left, waiting = [MAX_MEMBERS, MAX_BYTES], [(path, folder, 0)]
    while waiting:
        archive, place, depth = waiting.pop()
        _demand(depth < MAX_DEPTH, path, f"hold archives at most {MAX_DEPTH} deep", "more")
        _unpack_one(archive, place, left)
        for inner in [found for found in place.rglob("*") if found.is_file() and is_archive(found)]:
            packed = inner.rename(inner.with_name(f".packed-{depth}-{inner.name}"))
            (target := inner.with_name(archive_stem(inner.name))).mkdir(exist_ok=True)
            waiting.append((packed, target, depth + 1))
        if archive != path:
            archive.unlink()


def _unpack_one(path, folder, left):
    with _members(path) as members:
        for name, size, is_file, opened in members:
            target = folder / safe_name(name, path)
            left[0] -= 1
            _demand(left[0] >= 0, path, f"hold at most {MAX_MEMBERS} members", "more")
            _demand(size <= left[1], path, f"unpack to at most {MAX_BYTES} bytes", "more")
            if not is_file:
                target.mkdir(parents=True, exist_ok=True)
                continue
            _demand(not target.exists(), path, "hold every name once", f"{name!r} twice")
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened() as source, open(target, "xb") as out:
                left[1] -= _copy(source, out, left[1], path)


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
