"""Tables to train on: airfoil self-noise (looked for, then fetched) and diabetes (comes with scikit-learn)."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from multifractal.base import files
from multifractal.base.checks import one_of, real_array, refuse, require, whole_number
from multifractal.base.extras import needed
from multifractal.base.types import Array, ArrayLike, PathLike

AIRFOIL_FILE = "airfoil_self_noise.dat"
# UCI Machine Learning Repository, data set 291 (Brooks, Pope, Marcolini 1989, NASA RP 1218; CC BY 4.0)
AIRFOIL_URLS = (
    "https://archive.ics.uci.edu/static/public/291/airfoil+self+noise.zip",
    "https://archive.ics.uci.edu/ml/machine-learning-databases/00291/airfoil_self_noise.dat",
)
AIRFOIL_SHAPE = (1503, 6)

# SHA-256 of the table's numbers (float64, row by row), which does not depend on line ends or spaces.
AIRFOIL_SHA256 = "11fab2c660f61031935f9995d27929df39a175d3551271b397c8aa254b19b6b6"

# What each column may hold: name, unit, lowest, highest (the extremes of the published table).
AIRFOIL_COLUMNS = (
    ("frequency", "Hz", 200, 20000),
    ("angle of attack", "degrees", 0, 22.2),
    ("chord length", "m", 0.0254, 0.3048),
    ("free-stream velocity", "m/s", 31.7, 71.3),
    ("displacement thickness", "m", 0.000400682, 0.0584113),
    ("sound pressure level", "dB", 103.38, 140.987),
)


@dataclass(frozen=True)
class Table:
    """A regression table: one row a case, the last column of the file is the target."""

    name: str
    inputs: np.ndarray  # (rows, features), float64
    target: np.ndarray  # (rows,), float64
    sha256: str  # of the numbers, float64, row by row, target last

    @classmethod
    def of(cls, name: str, values: ArrayLike) -> Table:
        """Return the table whose last column is the target; refuses NaN, inf and constant columns."""
        values = np.ascontiguousarray(real_array("values", values, dtype=np.float64))
        require(
            values.ndim == 2 and values.shape[1] >= 2 and len(values) >= 2,
            f"values of table {name!r}",
            values.shape,
            "have at least 2 rows and 2 columns",
            "pass one row a case, the target last",
        )
        _refuse_unfinite(name, values)
        return cls(
            name, values[:, :-1], values[:, -1], hashlib.sha256(values.tobytes()).hexdigest()
        )

    def standardised(self, n_train: int, by: str = "all") -> tuple[Array, Array]:
        """Return (inputs, target) with mean 0 and variance 1 in each column.

        Parameters
        ----------
        n_train : int
            The first rows train.
        by : {"all", "train"}
            Rows that mean and variance are taken over. "all" is the published choice (the test rows then leak into the
            scale); "train" uses the first `n_train` rows only.

        Returns
        -------
        inputs : ndarray, shape (rows, features), float64
        target : ndarray, shape (rows,), float64
        """
        n_train = whole_number("n_train", n_train)
        require(
            n_train <= len(self.target),
            "n_train",
            n_train,
            f"be at most the table's {len(self.target)} rows",
            "train on fewer rows",
        )
        rows = len(self.target) if one_of("by", by, ("all", "train")) == "all" else n_train
        values = np.column_stack([self.inputs, self.target])
        spread = values[:rows].std(axis=0)
        require(
            (spread > 0).all(),
            "table",
            spread,
            f"vary in every column over its first {rows} rows",
            "train on more rows, or leave the constant column out",
        )
        values = (values - values[:rows].mean(axis=0)) / spread
        return values[:, :-1], values[:, -1]


def load_table(dataset: str = "airfoil", data: PathLike = "data", *, fetch: bool = True) -> Table:
    """Return a table by name.

    Parameters
    ----------
    dataset : {"airfoil", "diabetes"}
        "airfoil" (paper): airfoil self-noise, 1503 x 5; "diabetes": scikit-learn's, 442 x 10, needs no file.
    data : path-like, default "data"
        For "airfoil": the file itself, or the folder it is looked for in and fetched to.
    fetch : bool, default True
        Whether a missing file is downloaded from the UCI archive.

    Returns
    -------
    Table

    Raises
    ------
    FileNotFoundError
        When the file is missing and could not be, or was not to be, fetched.
    ValueError
        When the file is not the airfoil table: shape, a number out of its column's range, NaN (the row is named).
    """
    if one_of("dataset", dataset, ("airfoil", "diabetes")) == "diabetes":
        return _diabetes()
    path = Path(data)
    path = path / AIRFOIL_FILE if path.is_dir() or path.suffix == "" else path
    if not path.exists():
        if not fetch:
            raise FileNotFoundError(f"no file {path}; {_BY_HAND}")
        fetch_airfoil(path)
    return read_airfoil(path)


def read_airfoil(path):
    """Return the airfoil self-noise table in a file of 1503 rows of 6 numbers; refuses any other table."""
    values = _parsed(path)
    require(
        values.shape == AIRFOIL_SHAPE,
        f"table {str(path)!r}",
        values.shape,
        f"have shape {AIRFOIL_SHAPE}",
        _BY_HAND,
    )
    _refuse_unfinite(str(path), values)
    for column, (name, unit, lowest, highest) in enumerate(AIRFOIL_COLUMNS):
        outside = np.flatnonzero((values[:, column] < lowest) | (values[:, column] > highest))
        if len(outside):
            raise refuse(
                f"{name} in row {outside[0]} of {str(path)!r}",
                float(values[outside[0], column]),
                f"lie in [{lowest:g}, {highest:g}] {unit}",
                _BY_HAND,
            )
    table = Table.of("airfoil", values)
    if table.sha256 != AIRFOIL_SHA256:
        warnings.warn(
            f"{str(path)!r} has the airfoil table's shape and ranges, but not its numbers",
            stacklevel=2,
        )
    return table


def fetch_airfoil(path, urls=AIRFOIL_URLS):
    """Download the airfoil table to `path`, trying each of `urls` (a `.dat`, or a `.zip` that holds it), and check it.

    Nothing is left at `path` unless the download is the right table.
    """
    path, problems = Path(path), []
    for url in urls:
        try:
            _download(url, path)
            return
        except (
            Exception
        ) as error:  # any failure of one source: the next is tried, and all are reported
            problems.append(f"{url}: {error}")
    raise FileNotFoundError(
        f"no file {path}, and it could not be fetched ({'; '.join(problems)}); {_BY_HAND}"
    )


_BY_HAND = (
    f"put the UCI table {AIRFOIL_FILE} (airfoil self-noise, data set 291) there, or pass --dataset diabetes, which "
    "needs no file"
)


def _download(url, path):
    pooch = needed("pooch")
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = f".{path.name}."
    files.remove_leftovers(path.parent.glob(f"{hidden}*"))
    with (
        tempfile.TemporaryDirectory(dir=path.parent, prefix=hidden) as staging,
        files.locked(staging),
    ):
        download = Path(
            pooch.retrieve(
                url,
                known_hash=None,
                fname=path.name,
                path=staging,
                downloader=pooch.HTTPDownloader(timeout=30),
            )
        )
        if zipfile.is_zipfile(download):
            with zipfile.ZipFile(download) as archive:
                download.write_bytes(archive.read(AIRFOIL_FILE))
        read_airfoil(download)
        download.replace(path)


def _parsed(path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an empty file warns, and is then refused by its shape
            return np.loadtxt(path, dtype=np.float64, ndmin=2)
    except ValueError as error:
        raise ValueError(
            f"table {str(path)!r} must hold rows of 6 numbers ({error}); {_BY_HAND}"
        ) from error


def _diabetes():
    inputs, target = needed("sklearn.datasets").load_diabetes(return_X_y=True, scaled=False)
    return Table.of("diabetes", np.column_stack([inputs, target]))


def _refuse_unfinite(name, values):
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = (int(i) for i in bad[0])
        raise refuse(
            f"table {name!r}, row {row}, column {column}",
            float(values[row, column]),
            "be finite",
            "repair or drop the row",
        )
