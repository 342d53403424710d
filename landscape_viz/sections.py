"""Sections: the loss of a network on a grid of one to three directions through its weights, resumable, on any executor."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from landscape_viz.devices.ranks import Ranks
from landscape_viz.directions import Directions
from landscape_viz.loss import metrics as measures
from landscape_viz.loss.precision import checked_device
from landscape_viz.loss.problem import Problem, checked_problem
from landscape_viz.mapping import computing, plot_surface, rounding, workers
from landscape_viz.mapping.section_store import refuse_existing
from multifractal import source_data
from multifractal.base import checks, vtk
from multifractal.base.checks import finite_array, refuse, require, whole_number
from multifractal.base.chunks import checked_executor
from multifractal.base.chunks import workers as processes
from multifractal.base.deprecation import renamed
from multifractal.base.extras import needed
from multifractal.base.picture import Pictured
from multifractal.base.result import Provenance, Result
from multifractal.base.types import Array, ArrayLike, Executor, PathLike
from multifractal.landscapes.landscape import Landscape

FINITE, NOT_FINITE = 1, 2
_PACKAGES = ("numpy", "torch")


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Section(Pictured, Result):
    """The metrics of a network on a grid of positions origin + x d_1 + y d_2 + z d_3.

    Attributes
    ----------
    metrics : list of str
        Names along the first axis of `grid`.
    grid : ndarray, shape (n_metrics, len(x)[, len(y)[, len(z)]]), float64
        Index [metric, i, j, k]; NaN and inf are kept as they came.
    status : ndarray of int8, shape (len(x)[, len(y)[, len(z)]])
        1 (`FINITE`), or 2 (`NOT_FINITE`): computed, and some metric is NaN or inf there.
    x, y, z : ndarray or None
        Coordinates along each direction, float64.
    labels : list of str
        What each direction is.
    angles : ndarray, shape (n, n)
        Angles between the directions in degrees.
    directions_hash : str
        SHA-256 of the directions.
    problem : dict
        `Problem.record()`: factory, weights, loss, data, the modes of BatchNorm and dropout, seed.
    settings : dict
        Threads of torch, device, points a launch as asked for; the `path` by which positions were computed ("plain",
        "channels last", "64 at once"); `rounding`, the size of the differences of the loss that rounding makes.
    provenance : Provenance
    """

    _figure: ClassVar[str] = "landscape_viz.figures.sections:section"

    metrics: list
    grid: np.ndarray
    status: np.ndarray
    x: np.ndarray
    y: np.ndarray | None
    z: np.ndarray | None
    labels: list
    angles: np.ndarray
    directions_hash: str
    problem: dict
    settings: dict
    provenance: Provenance

    @property
    def values(self) -> dict[str, Array]:
        """The metrics by name: arrays of shape (len(x), len(y)), index [i, j] (one axis fewer or more in 1-D and 3-D)."""
        return dict(zip(self.metrics, self.grid, strict=True))

    @property
    def axes(self) -> list[Array]:
        """The coordinates, one array a direction."""
        return [axis for axis in (self.x, self.y, self.z) if axis is not None]

    @property
    def n_not_finite(self) -> int:
        """How many points are NaN or inf."""
        return int((self.status == NOT_FINITE).sum())

    @property
    def rounding(self) -> float:
        """Standard deviation of the loss that rounding makes at the origin: smaller differences say nothing."""
        return self.settings["rounding"]

    def best(self, metric: str = "loss") -> tuple[tuple[float, ...], float]:
        """Return (coordinates, value) of the best finite point of a metric: the lowest loss, the highest accuracy, or as `Metric` says.

        Raises
        ------
        ValueError
            When the section lacks the metric, it is a plain function, or no point of it is finite.
        """
        better = self.settings.get("better", {"loss": "low", "accuracy": "high"}).get(metric)
        require(
            metric in self.metrics and better is not None,
            "metric",
            metric,
            f"be one of {self.metrics} of which it is known whether low or high is better",
            "map it as Metric(name, function, better='low' or 'high')",
        )
        values = self.values[metric]
        finite = np.isfinite(values)
        require(finite.any(), "section", "no finite value", "be finite", "map a smaller range")
        worst = np.inf if better == "low" else -np.inf
        values = np.where(finite, values, worst)
        flat = values.argmin() if better == "low" else values.argmax()
        place = np.unravel_index(flat, values.shape)
        coordinates = tuple(float(a[i]) for a, i in zip(self.axes, place, strict=True))
        return coordinates, float(values[place])

    def mean_slope(self, metric: str = "loss") -> float:
        """Return the mean of |change of the metric / change of x| between neighbours along x; NaN where no two are finite."""
        checks.one_of("metric", metric, self.metrics)
        values = np.where(np.isfinite(self.values[metric]), self.values[metric], np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):  # points at the same x
            slopes = np.abs(np.diff(values, axis=0).T / np.diff(self.x))
        known = slopes[np.isfinite(slopes)]
        return float(known.mean()) if len(known) else np.nan

    @property
    def live_dropout(self) -> bool:
        """Whether each point drew its own dropout mask, so that the values hold the noise of dropout."""
        return self.problem["dropout"] == "live"

    def __repr__(self):
        """Say what was measured where, and in which modes."""
        points = " x ".join(str(len(axis)) for axis in self.axes)
        return (
            f"Section({', '.join(self.metrics)} at {points} points, batch_norm={self.problem['batch_norm']!r}, "
            f"dropout={self.problem['dropout']!r}, {self.n_not_finite} not finite)"
        )

    def to_landscape(self, metric: str = "loss") -> Landscape:
        """Return a two-dimensional section as a `multifractal.Landscape`, transposed to [y, x], with unit spacing.

        Raises
        ------
        ValueError
            When the section is not two-dimensional, lacks the metric, or has points that are not finite.
        """
        require(
            metric in self.metrics,
            "metric",
            metric,
            f"be one of {self.metrics}",
            "measure it with the section",
        )
        require(
            len(self.axes) == 2,
            "section",
            self.grid.shape[1:],
            "be two-dimensional",
            "take a slice of two directions",
        )
        values = self.values[metric]
        bad = np.argwhere(~np.isfinite(values))
        require(
            not len(bad),
            "section",
            f"{len(bad)} NaN or inf, the first at {bad[:1].tolist()}",
            "be finite everywhere",
            "map a smaller range",
        )
        return Landscape(np.ascontiguousarray(values.T), provenance=self.provenance)

    def to_xarray(self) -> Any:
        """Return the metrics as an `xarray.Dataset` over x, y and z, with what each axis is among its attributes.

        `dataset.to_netcdf(path)` and `dataset.to_zarr(path)` come with it. xarray comes with the extra `exchange`.
        """
        xarray = needed("xarray")
        names = ("x", "y", "z")[: len(self.axes)]
        words = zip(names, self.axes, self.labels, strict=True)
        units = "1 (multiples of the direction)"
        coordinates = {n: (n, axis, {"long_name": w, "units": units}) for n, axis, w in words}
        return xarray.Dataset(
            {name: (names, values) for name, values in self.values.items()}
            | {"status": (names, self.status)},
            coordinates,
            {"directions_hash": self.directions_hash, "made_by": self.provenance.call},
        )

    def to_vtk(self, path: PathLike, *, metric: str = "loss", overwrite: bool = False) -> None:
        """Write this section for ParaView: `.vti`, all metrics on their grid, or `.vtp`, a surface whose height is `metric`.

        Parameters
        ----------
        path : path-like
            Ends in `.vti` (one to three directions, equally spaced points) or `.vtp` (two directions; triangles with a point
            that is not finite are holes).
        metric : str
            The height of a `.vtp`.
        overwrite : bool

        Raises
        ------
        ValueError
            When the name has another ending, or the section does not fit it.
        FileExistsError
            When the file exists and `overwrite` is False.
        """
        path = checks.path("path", path)
        require(
            path.suffix in (".vti", ".vtp"), "path", str(path), "end in .vti or .vtp", "rename it"
        )
        if path.suffix == ".vti":
            return vtk.write_grid(path, self.axes, self.values, overwrite=overwrite)
        require(
            len(self.axes) == 2,
            "section",
            self.grid.shape[1:],
            "be two-dimensional for a surface",
            "write a .vti",
        )
        checks.one_of("metric", metric, self.metrics)
        height = self.values[metric]
        return vtk.write_surface(path, self.x, self.y, height, self.values, overwrite=overwrite)

    def to_h5(self, path: PathLike, *, split: str = "train", overwrite: bool = False) -> None:
        """Write the metrics over one or two directions to `path`, a surface file of plot_surface.py (Li et al. 2018); needs h5py.

        The loss and the accuracy are `train_loss` and `train_acc` (in percent) there, or of another `split`, "test" say. ValueError
        with three directions, FileExistsError where the file exists and `overwrite` is False.
        """
        plot_surface.write_surface(path, self.axes, self.values, split=split, overwrite=overwrite)

    @staticmethod
    def from_h5(path: PathLike, *, split: str = "train") -> Section:
        """Return the surface file of plot_surface.py at `path` as a section; needs h5py. `split` is "train" or "test", as for `to_h5`.

        Of network, loss, data and directions the file says nothing. What was not computed yet is NaN. ValueError where the
        file is no surface file.
        """
        axes, values = plot_surface.read_surface(path, split=split)
        grid, unknown = np.array(list(values.values())), "unknown"
        x, y = [*axes, None][:2]
        names = ("factory", "state", "loss", "data", "params", "batch_norm", "dropout")
        return Section(
            metrics=list(values),
            grid=grid,
            status=_status(grid),
            x=x,
            y=y,
            z=None,
            labels=[f"direction {k + 1}" for k in range(len(axes))],
            angles=np.full((len(axes), len(axes)), np.nan),
            directions_hash=unknown,
            problem=dict.fromkeys(names, unknown),
            settings={"path": unknown, "rounding": np.nan},
            provenance=Provenance.of("Section.from_h5", packages=_PACKAGES, split=split),
        )

    def to_matlab(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Write the metrics by name, and x, y and z, as a `.mat` file; arrays are [i, j] = [x, y]. See `source_data.to_matlab`."""
        named = self.values | dict(zip("xyz", self.axes, strict=False))
        source_data.to_matlab(path, named, overwrite=overwrite)


@renamed(store="path")
def section(
    problem: Problem,
    directions: Directions,
    axes: Sequence[ArrayLike | str],
    *,
    metrics: Any = None,
    threads: int = 1,
    device: str | torch.device = "cpu",
    devices: Sequence[str | torch.device] | None = None,
    at_once: int | None = None,
    executor: Executor | Ranks | None = None,
    path: PathLike | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
) -> Section:
    """Return the metrics of a network on a grid of positions along one, two or three directions.

    Every point depends on its coordinates and (with live dropout) its index only, so the values are equal bit for bit
    whether computed in this process, in a pool or on a cluster, at once or resumed, as long as the kind of processor, the
    version of torch and `threads` are the same. (Sums inside torch are split by threads, so that the last bits may differ
    between thread counts.)

    Parameters
    ----------
    problem : Problem
    directions : Directions
        One to three.
    axes : sequence of array_like or "min:max:num"
        Coordinates along each direction, finite.
    metrics : sequence of "loss", "accuracy", "largest_eigenvalue", `Metric` or functions, or dict of these by name, optional
        A function is given (model, batch) and returns (sum, count) of a batch, what is mapped being the sum of sums over the
        sum of counts. None (our choice) takes the loss, and the accuracy where targets have right answers: classes, also one
        a pixel or token (ignored labels left out), or yes and no by the sign of one logit. "largest_eigenvalue" and
        "smallest_eigenvalue" are those of the Hessian at each point, to 1e-3 (some tens of products each).
    threads : int
        Threads of torch in each worker, and here without an executor; 1 (our choice) is what shares a machine best
        among worker processes.
    device : str
        Where the network runs, for example "cuda".
    devices : sequence of str or torch.device, optional
        Several, for example ["cuda:0", "cuda:1"], in the place of `device`: a worker process for each, or the workers of
        `executor`, each of which takes the first one that is free on its machine.
    at_once : int, optional
        Points a launch (`stacked.StackedEvaluator`). None (our choice) is 1 on the CPU, and elsewhere what memory allows
        where the problem's modes permit it. Above 1 the last bits depend on it.
    executor : concurrent.futures.Executor, optional
        Process pool (spawned), `dask.distributed.Client(...).get_executor()`, mpi4py, submitit, or `Ranks()` in a job of
        torchrun, where each rank runs its points on its own `device`. Only this process (the first rank) writes.
    path : path-like, optional
        File that keeps the finished chunks (each at most 1 % of the grid, or one point), so that a stopped section can be
        continued; what is lost is one chunk a worker.
    resume, overwrite : bool
        Resume an existing store, or overwrite it and start again. A store of another section is refused with the difference.
    progress : bool, optional
        Show a bar; None (our choice) shows it on a terminal or in a notebook.

    Returns
    -------
    Section

    Raises
    ------
    ValueError
        When axes and directions do not fit each other or the problem, or the store is of another section.
    FileExistsError
        When the store exists and neither `resume` nor `overwrite` is set.

    Examples
    --------
    >>> from functools import partial
    >>> import torch
    >>> from landscape_viz import Problem, directions, section
    >>> data = torch.randn(64, 4), torch.arange(64) % 3
    >>> problem = Problem(partial(torch.nn.Linear, 4, 3), None, "cross_entropy", data)
    >>> result = section(problem, directions.random(problem, 2), ["-1:1:6", "-1:1:4"])
    >>> result.values["loss"].shape, result.to_landscape().shape
    ((6, 4), (4, 6))
    """
    require(
        isinstance(axes, list | tuple),
        "axes",
        axes,
        "be a list, an axis a direction",
        'pass ["-1:1:51", "-1:1:51"]',
    )
    axes = [parse_axis(axis) for axis in axes]
    require(
        isinstance(directions, Directions),
        "directions",
        directions,
        "be Directions",
        "make them by directions.random",
    )
    directions.check(checked_problem(problem))
    require(
        1 <= len(axes) == len(directions) <= 3,
        "axes",
        len(axes),
        f"be as many as directions ({len(directions)}), one to three",
        "pass one axis a direction",
    )
    chosen = None if metrics is None else measures.named(metrics)
    if not isinstance(executor, Ranks):
        checked_executor(executor)
    devices = _checked_devices(devices, executor)
    device = devices[0] if devices else checked_device(device)
    path = None if path is None else checks.path("path", path)
    if path is not None:
        refuse_existing(path, resume, overwrite)
    if problem.dropout == "live":
        warnings.warn(
            "dropout='live' draws a new mask at each point: the section holds the noise of dropout, and so does "
            "its spectrum",
            stacklevel=2,
        )
    task = workers.Task(
        problem,
        directions.vectors,
        tuple(axes),
        chosen,
        whole_number("threads", threads),
        str(device),
        None if at_once is None else whole_number("at_once", at_once),
        devices,
    )
    known = task.look()
    where = ", ".join(devices) or str(device)
    settings = {"threads": threads, "device": where, "at_once": at_once}
    better = measures.better_of(measures.named(known.metrics) if chosen is None else chosen)
    provenance = Provenance.of(
        "section", rng=problem.rng, packages=_PACKAGES, problem=problem, axes=[len(a) for a in axes]
    )
    identity = {
        "problem": {} if path is None else problem.identity() | task.values(),
        "directions": directions.hash,
        "axes": [axis.tolist() for axis in axes],
        "metrics": known.metrics,
        "chunk": task.chunk_size,
        **settings,
        "torch": provenance.versions["torch"],
    }
    pool = processes(len(devices) if devices and executor is None else 0)
    with pool as own:
        grid = computing.computed(
            task, identity, own or executor, path, resume, overwrite, progress
        )
    rounding.warn_if_reached(grid[0] if known.metrics[0] == "loss" else grid[:0], known.rounding)
    x, y, z = axes + [None] * (3 - len(axes))
    return Section(
        metrics=known.metrics,
        grid=grid,
        x=x,
        y=y,
        z=z,
        status=_status(grid),
        labels=list(directions.labels),
        angles=directions.angles,
        directions_hash=identity["directions"],
        problem=problem.record(),
        settings=settings | {"path": known.path, "rounding": known.rounding, "better": better},
        provenance=provenance,
    )


def estimate_seconds(
    problem, directions, axes, *, metrics=None, threads=1, device="cpu", at_once=None, n_workers=1
):
    """Return about how many seconds the section of the same arguments will take: the median of 3 launches, times all.

    Building the network is not counted. Workers that share a machine with others take longer.
    """
    axes = tuple(parse_axis(axis) for axis in axes)
    chosen = None if metrics is None else measures.named(metrics)
    task = workers.Task(problem, directions.vectors, axes, chosen, threads, str(device), at_once)
    size = min(task.chunk_size, at_once or (1 if str(device) == "cpu" else task.chunk_size))
    seconds = []
    for _ in range(4):  # the first one warms up
        start = time.perf_counter()
        task.run(0, size)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[1:])) * task.n_points / size / n_workers


def _status(grid):
    return np.where(np.isfinite(grid).all(axis=0), FINITE, NOT_FINITE).astype(np.int8)


def _checked_devices(devices, executor):
    """Return the names of several devices, all of them here, as a tuple; an empty one for None."""
    if devices is None:
        return ()
    require(
        isinstance(devices, list | tuple) and len(devices) > 0 and not isinstance(executor, Ranks),
        "devices",
        devices,
        "be a list of devices, without Ranks, of which each has its own device",
        'pass ["cuda:0", "cuda:1"], or with Ranks one device on each',
    )
    return tuple(str(checked_device(device)) for device in devices)


def parse_axis(axis):
    """Return an axis as a float64 array, from an array or from text as "min:max:num" (num points, both ends included)."""
    if not isinstance(axis, str):
        return finite_array("axes", axis, ndim=1, dtype=np.float64)
    try:
        low, high, number = axis.split(":")
        low, high, number = float(low), float(high), int(number)
        good = np.isfinite(low) and np.isfinite(high) and number > 0
    except ValueError:
        good = False
    if not good:
        raise refuse(
            "axis",
            axis,
            "read min:max:num with finite ends and at least one point",
            "write for example -1:1:51",
        )
    return np.linspace(low, high, number)
