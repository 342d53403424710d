"""Write results as MATLAB files, under the names of the paper's source data where it has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.io

from multifractal.base import files
from multifractal.base.checks import refuse
from multifractal.base.result import Result
from multifractal.base.types import PathLike

if TYPE_CHECKING:
    from multifractal.landscapes.landscape import Landscape


# By class: MATLAB's name of each attribute; the paper's own where its record holds such a file.
_NAMES = {
    "Landscape": {"landscape": "values", "hoelder": "hoelder"},
    "Walk": {"trajectory": "positions", "trajectory_continuous": "unfolded", "loss": "losses"},
    "Ensemble": {
        "trajectory": "positions",
        "trajectory_continuous": "unfolded",
        "loss": "losses",
        "steps": "steps",
        "lrs": "learning_rates",
    },
    "Spectrum": {"q": "q", "hq": "h", "Dq": "D", "zq": "zeta", "cp": "log_cumulants"},
    "LangevinPath": {"trajectory": "positions", "noise": "noise"},
    "Section": {"loss": "grid", "x": "x", "y": "y"},
}


def to_matlab(
    path: PathLike, result: Result | Landscape | Mapping[str, Any], *, overwrite: bool = False
) -> None:
    """Write a landscape, walk, displacement, spectrum or section as a `.mat` file that MATLAB and Octave load.

    Parameters
    ----------
    path : path-like
        Ends in `.mat`.
    result : Landscape, Walk, Ensemble, Displacement, Spectrum, LangevinPath, Section, or dict of arrays
        Keys are those of the paper's source data: `landscape`; `trajectory` (within the walls) and `trajectory_continuous` (the
        unfolded track), of shape (positions, 2); `xs` and `ys`, a row a waiting time; `q`, `hq`, `Dq`, `zq`. A dict keeps its own.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    ValueError
        When the name has another ending, or the result has no form for MATLAB.
    FileExistsError
        When the file exists and `overwrite` is False.

    Notes
    -----
    Arrays stay as they are: landscapes are [row, column] = [y, x], positions (x, y) counted from 0, where MATLAB counts from 1.
    What a result lacks is left out. For files to be read here again use `save`, which keeps a checksum.
    """
    if not str(path).endswith(".mat"):
        raise refuse("path", str(path), "end in .mat", f"pass {str(path)}.mat")
    arrays = _arrays(result)
    with files.atomic_write(path, overwrite=overwrite) as file:
        scipy.io.savemat(file, arrays, do_compression=True)


def _arrays(result):
    """Return {MATLAB's name: array} of a result."""
    kind = type(result).__name__
    if isinstance(result, dict):
        named = result
    elif kind == "Displacement":
        shape = result.values.shape
        named = {"xs": np.broadcast_to(result.lag_times, shape), "ys": result.values}
        named |= {"waiting_times": result.waiting_times, "window": result.window}
    elif kind in _NAMES:
        named = {name: getattr(result, field) for name, field in _NAMES[kind].items()}
    else:
        raise refuse(
            "result",
            kind,
            f"be one of {', '.join([*_NAMES, 'Displacement'])}, or a dict of arrays",
            "pass {'name': array}",
        )
    return {name: np.asarray(value) for name, value in named.items() if value is not None}
