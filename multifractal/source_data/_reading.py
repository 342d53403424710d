"""Find a file of the paper's source data and read it: checksum first, then keys, shapes and finiteness."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

from multifractal.base import checks, files
from multifractal.base.files import DamagedFileError
from multifractal.base.types import Array, PathLike
from multifractal.source_data import _mat, _places
from multifractal.source_data._catalogue import shapes_of
from multifractal.source_data._content import checked
from multifractal.source_data._manifest import known_checksums, manifest, save_manifest
from multifractal.source_data._record import DOI

VARIABLE = "MULTIFRACTAL_DATA"
CONVERTED = ".converted"  # folder of the `.npz` that `fetch` makes of each `.mat`


class UnverifiedFileWarning(UserWarning):
    """A file was read that matches no known checksum: its form was checked, its numbers cannot be."""


def folders():
    """Return the folders that are searched: $MULTIFRACTAL_DATA, ./data, and data/ of the checkout this package is in."""
    named = os.environ.get(VARIABLE)
    checkout = Path(__file__).resolve().parents[2]
    found = ([Path(named).expanduser()] if named else []) + [Path("data").resolve()]
    return list(
        dict.fromkeys(
            found + ([checkout / "data"] if (checkout / "pyproject.toml").is_file() else [])
        )
    )


def find(name: str, folder: PathLike | None = None) -> Path:
    """Return the path of a file of the paper's source data.

    Parameters
    ----------
    name : str
        Path in the paper's tree, one of `NAMES` (or another ``real_training_dynamics/lr=..._dropout=..._epochs=.../`` file).
    folder : path-like, optional
        Where to look; default: $MULTIFRACTAL_DATA, then ``data/``. The tree may lie in a sub-folder, as an archive unpacks.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ValueError
        When `name` is not a file of the source data.
    FileNotFoundError
        When the file is in none of the folders; the message says where it was looked for and how to get it.
    """
    shapes_of(name)
    searched = [checks.path("folder", folder)] if folder is not None else folders()
    for place in searched:
        for path in _candidates(name, place):
            if path.is_file():
                return path
    raise FileNotFoundError(
        f"{name!r} is in none of {', '.join(map(str, searched))}; run `python -m multifractal.source_data fetch`, or set "
        f"{VARIABLE} to the folder that holds the paper's source data"
    )


def available(name: str, folder: PathLike | None = None) -> bool:
    """Return whether `find` finds the file; `name` and `folder` as there."""
    try:
        find(name, folder)
    except FileNotFoundError:
        return False
    return True


def read(name: str, folder: PathLike | None = None) -> dict[str, Array]:
    """Read one file of the paper's source data.

    The file's SHA-256 is compared with the one that `fetch` recorded, and a file with another one is refused. Without a
    record it is compared with those shipped in ``registry.json`` or taken by `accept`: the record may hold a file of the
    same name that was saved again, so a file that matches none is read with an `UnverifiedFileWarning` that names both
    checksums, as is a file for which none is known. Such a `.mat` is parsed in a separate process (damaged ones can crash
    the interpreter).

    Parameters
    ----------
    name, folder
        As for `find`.

    Returns
    -------
    dict of ndarray
        The arrays by key: ``xs``, ``ys`` (lines, lags) of TAMSD files; ``q``, ``hq``, ``Dq``, ``zq`` (q) of spectra (``hq``,
        ``Dq`` of sections' spectra); ``loss`` (257, 257) of sections; ``landscape`` (1024, 1024) as [row, column];
        ``trajectory``, ``trajectory_continuous`` (positions, 2) as (x, y); ``lrs``, ``leading_eig`` (rates, 10, 100);
        ``lrs``, ``mle_mean`` (rates), ``mle_95`` (rates, 2); ``alphas`` (9, 5) for H = 0.1 ... 0.9; ``TAMSDs`` (waiting
        times, lags), ``waiting_times``, ``lag_times``, ``window_size``; ``embedding`` (positions, 2). Integers stay
        integers, everything else is float64; MATLAB's row and column vectors come back one-dimensional.

    Raises
    ------
    ValueError, FileNotFoundError
        As for `find`.
    DamagedFileError
        When `fetch` recorded another checksum, the file cannot be parsed without pickle, or keys, shapes or finiteness are not right.
    """
    path = find(name, folder)
    known, actual = known_checksums(name, path), files.file_sha256(path)
    trusted = known.has(actual)
    if known.recorded and not trusted:
        raise DamagedFileError(
            f"{os.fspath(path)!r} matches none of the checksums known for {name!r}: its SHA-256 is {actual}, `fetch` "
            f"recorded {known.recorded}; restore it, or run `python -m multifractal.source_data fetch` again"
        )
    if not trusted:
        warnings.warn(_doubt(name, path, known, actual), UnverifiedFileWarning, 2)
    arrays = _converted(path, actual) if trusted and path.suffix == ".mat" else None
    if arrays is None:
        arrays = parse(path, name, trusted=trusted)
    return checked(arrays, shapes_of(name), path)


def accept(name: str, folder: PathLike | None = None) -> str:
    """Take the file that `find` finds as right: its form is checked and its SHA-256 recorded, so that `read` is silent.

    For a file that another person saved again, or for which no checksum is known; only what its content was when it was
    accepted is promised afterwards. The checksum goes into ``checksums.json`` of the folder that was searched.

    Parameters
    ----------
    name, folder
        As for `find`.

    Returns
    -------
    str
        The SHA-256.

    Raises
    ------
    ValueError, FileNotFoundError
        As for `find`.
    DamagedFileError
        When the form is wrong, or `fetch` recorded another checksum.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnverifiedFileWarning)
        read(name, folder)
    path = find(name, folder)
    searched = [Path(folder)] if folder is not None else folders()
    root = next(place for place in searched if path.is_relative_to(place))
    record, sha256 = manifest(root), files.file_sha256(path)
    record["accepted"][path.relative_to(root).as_posix()] = sha256
    save_manifest(root, record, DOI)
    return sha256


def _doubt(name, path, known, actual):
    """Say why the file at `path` is not known to be right."""
    if not known:
        return f"no checksum is known for {os.fspath(path)!r}: only its form is checked"
    return (
        f"{os.fspath(path)!r} is unverified: its SHA-256 is {actual}, known for {name!r} is "
        f"{' or '.join(sorted(known.others))}; its form is checked, its numbers cannot be. If you trust it: "
        f"python -m multifractal.source_data accept '{name}'"
    )


def parse(path, name, *, trusted):
    """Return the arrays of the file at `path`, by the keys that file `name` of the tree has, never unpickling.

    A `.mat` that is not trusted is parsed in a child process.
    """
    shapes, suffix = shapes_of(name), Path(name).suffix
    try:
        if suffix == ".mat":
            return _mat.load(path, list(shapes)) if trusted else _parsed_apart(path, shapes)
        with open(path, "rb") as file:
            stored = np.load(file, allow_pickle=False)
            if suffix == ".npy":
                (key,) = shapes
                return {key: np.asarray(stored)}
            return {key: stored[key] for key in shapes if key in stored.files}
    except Exception as error:  # parsers raise errors of any kind on damaged bytes
        raise DamagedFileError(
            f"{os.fspath(path)!r} cannot be read as a {suffix} file of numbers ({error}); restore "
            "it from a copy or fetch it again"
        ) from error


def save_converted(path, arrays, sha256):
    """Keep the arrays parsed from the `.mat` file `path`, whose SHA-256 is given, as an `.npz` beside it."""
    files.save_arrays(_converted_path(path), arrays, {"source_sha256": sha256}, overwrite=True)


def _candidates(name, place):
    """Yield the paths that may be file `name`, the surest first; a name after a prefix is not sure enough without a record."""
    yield place / name
    found = []
    for path in place.rglob("*"):
        there, sure = _places.place_in_tree(path.relative_to(place).as_posix())
        if there == name and sure < _places.PREFIXED:
            found.append((sure, path))
    yield from (path for _, path in sorted(found))


def _converted_path(path):
    return path.parent / CONVERTED / f"{path.name}.npz"


def _converted(path, sha256):
    """Return the arrays that `fetch` converted from `path`, or None without them or when they are of another file."""
    try:
        arrays, metadata = files.load_arrays(_converted_path(path))
    except (FileNotFoundError, DamagedFileError):
        return None
    return arrays if metadata.get("source_sha256") == sha256 else None


def _parsed_apart(path, shapes):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "arrays.npz"
        child = subprocess.run(
            [sys.executable, _mat.__file__, os.fspath(path), os.fspath(out), *shapes],
            capture_output=True,
            text=True,
            timeout=_mat.SECONDS + 30,
            check=False,
        )
        if child.returncode != 0:
            reason = child.stderr.strip().splitlines()[-1:] or [
                f"its reader died with status {child.returncode}"
            ]
            raise ValueError(reason[0])
        with np.load(out, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
