"""Find a file of the paper's source data and read it: checksum first, then keys, shapes and finiteness."""

import functools
import json
import os
import subprocess
import sys
import tempfile
import warnings
from importlib import resources
from pathlib import Path

import numpy as np

from multifractal.base import checks, files
from multifractal.base.files import DamagedFileError
from multifractal.source_data import _mat
from multifractal.source_data._catalogue import NAMES, shapes_of
from multifractal.source_data._content import checked

VARIABLE = "MULTIFRACTAL_DATA"
# written by `fetch` into the folder it fills: SHA-256 by path within that folder
CHECKSUMS = "checksums.json"
CONVERTED = ".converted"  # folder of the `.npz` that `fetch` makes of each `.mat`


class UnverifiedFileWarning(UserWarning):
    """A file was read for which no checksum is known: its form was checked, its content cannot be."""


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


def find(name, folder=None):
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


def available(name, folder=None):
    """Return whether `find` finds the file; `name` and `folder` as there."""
    try:
        find(name, folder)
    except FileNotFoundError:
        return False
    return True


def read(name, folder=None):
    """Read one file of the paper's source data.

    The file's SHA-256 is compared with the one that `fetch` recorded, else with those shipped in ``registry.json``; a file
    that matches none of its known checksums is refused. A file without a known checksum is read with an
    `UnverifiedFileWarning`, and if it is a `.mat` in a process of its own (damaged ones can crash the interpreter).

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
        When the checksum is wrong, the file cannot be parsed without pickle, or keys, shapes or finiteness are not right.
    """
    path = find(name, folder)
    shapes = shapes_of(name)
    known = known_checksums(name, path)
    actual = files.file_sha256(path)
    if known and actual not in known:
        raise DamagedFileError(
            f"{os.fspath(path)!r} matches none of the checksums known for {name!r}; restore it, or run "
            "`python -m multifractal.source_data fetch` for the version of the record"
        )
    if not known:
        warnings.warn(
            f"no checksum is known for {os.fspath(path)!r}: only its form is checked",
            UnverifiedFileWarning,
            2,
        )
    arrays = _converted(path, actual) if known and path.suffix == ".mat" else None
    if arrays is None:
        arrays = parse(path, shapes, trusted=bool(known))
    return checked(arrays, shapes, path)


def known_checksums(name, path):
    """Return the set of SHA-256 that file `name`, found at `path`, may have; empty when none is known."""
    for parent in path.parents:
        recorded = manifest(parent)["sha256"].get(path.relative_to(parent).as_posix())
        if recorded:
            return {recorded}
    return set(_registry().get(name, ()))


def manifest(folder):
    """Return what `fetch` recorded in `folder`: `sha256` by path, and `files` of the record; both empty without it."""
    path = folder / CHECKSUMS
    if not path.is_file():
        return {"sha256": {}, "files": {}}
    try:
        recorded = json.loads(path.read_text())
        return {"sha256": dict(recorded["sha256"]), "files": dict(recorded["files"])}
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(
            f"{os.fspath(path)!r} is damaged ({error}); delete it and fetch again"
        ) from error


def parse(path, shapes, *, trusted):
    """Return the arrays of a file by key, never unpickling; a `.mat` that is not trusted is parsed in a child process."""
    try:
        if path.suffix == ".mat":
            return _mat.load(path, list(shapes)) if trusted else _parsed_apart(path, shapes)
        with open(path, "rb") as file:
            stored = np.load(file, allow_pickle=False)
            if path.suffix == ".npy":
                (key,) = shapes
                return {key: np.asarray(stored)}
            return {key: stored[key] for key in shapes if key in stored.files}
    except Exception as error:  # parsers raise errors of any kind on damaged bytes
        raise DamagedFileError(
            f"{os.fspath(path)!r} cannot be read as a {path.suffix} file of numbers ({error}); restore "
            "it from a copy or fetch it again"
        ) from error


def save_converted(path, arrays, sha256):
    """Keep the arrays parsed from the `.mat` file `path`, whose SHA-256 is given, as an `.npz` beside it."""
    files.save_arrays(_converted_path(path), arrays, {"source_sha256": sha256}, overwrite=True)


def _candidates(name, place):
    yield place / name
    yield from sorted(
        path for path in place.glob(f"**/{name}") if not _is_hidden(path.relative_to(place))
    )
    base = name.rsplit("/", 1)[-1]
    if sum(other.endswith(f"/{base}") for other in NAMES) == 1:
        yield place / base


def _is_hidden(relative):
    return any(part.startswith(".") for part in relative.parts)


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


@functools.cache
def _registry():
    return json.loads(resources.files(__package__).joinpath("registry.json").read_text())["sha256"]
