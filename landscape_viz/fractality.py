"""Is your network's loss fractal? Sections at three zooms, how they grow with distance, spectra, a verdict in words."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from landscape_viz import directions
from landscape_viz.loss import data
from landscape_viz.loss.problem import Problem
from landscape_viz.sections import estimate_seconds, section
from multifractal.analysis import lines
from multifractal.analysis.increments import lags_of
from multifractal.analysis.verdict import NOISE_SECOND_FINE
from multifractal.base.checks import one_of, positive_number, require, whole_number
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import realisation
from multifractal.base.types import Executor, PathLike, Rng
from multifractal.measured.plane_row import of_spectrum, row_of_plane

ZOOMS = (1, 10, 100)
_N_LINES, _ON_A_LINE = 8, 257  # of a plane that is looked at cheaply first (our choice)
_LEAST_POINTS = 113  # two scales of 8 x 8 leaders
# of the ladder of lines (our choices)
_LINE_POINTS, _MOST_ZOOM = 129, 8
_NEAR_A_HALF = 0.1  # our choice: some eight standard errors of an exponent of 113 points a side
_UNRESOLVED = "unresolved at this distance: zoom in"
_POINTER = (
    "Losses whose forward pass is chaotic are rough by a law: see docs/where_losses_are_fractal.md."
)


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class FractalReport(Result):
    """What sections of a loss at three zooms of one plane are; `str` says it in words.

    Attributes
    ----------
    loss : float
        At the network's own weights.
    half_widths : ndarray, shape (3,)
        Of the planes, in units of the filters' norms.
    losses : ndarray, shape (3, n_points, n_points), float64
        Index [zoom, y, x]; NaN at a zoom whose plane was not mapped because its lines are smooth.
    lines : ndarray, shape (3, 8, 257), float64, or None
        Losses along lines through the middle, at the angles k 180 / 8 degrees; None where only planes were asked for.
    kinds, verdicts : list of str
        "constant" where the loss does not change in the plane, to rounding; else "rough", "smooth", "noise", "unresolved", "jumps"
        or "cannot tell" at the scale of a pixel; and the same in words (`multifractal.analysis.verdict`). Where pixels are
        unrelated, "noise" is dropout's or that of rounding; any other loss is the same each time it is computed (sections
        refuse what is not), and so it is unresolved at this distance.
    rough_distances : ndarray, shape (3, 2)
        First and last distance of the rough range in units of the filters' norms, or NaN.
    rough_exponents : ndarray, shape (3,)
    distances : ndarray, shape (3, n_lags)
        At which differences are taken, in units of the filters' norms.
    first, second : ndarray, shape (3, n_lags)
        Mean squared first and second differences of the loss.
    exponents : ndarray, shape (3, n_lags - 1)
        By which second differences grow from one distance to the next: 2 is twice differentiable, 1.5 a gradient that jumps
        along curves, below 1 rough, 0 white noise.
    exponents_interval : ndarray, shape (2, 3, n_lags - 1)
        95 %, axis 0 = (low, high), as for all intervals.
    h, D : ndarray, shape (3, n_q)
        Spectra, of our default orders of moments; NaN where the plane is constant, or all but a few points of it are.
    c1, c2 : ndarray, shape (3,)
    c1_interval, c2_interval : ndarray, shape (2, 3)
        95 %, calibrated for 512 pixels a side and more only.
    valid : ndarray of bool, shape (3,)
        Whether the spectrum's condition holds.
    dropout, batch_norm, norm : str
    resolved_half_widths : ndarray, shape (3,), or None
        Where a zoom is unresolved or cannot be told: the half width at which a line along the plane's first direction is
        resolved, NaN where none was found down to 1e-8 of the zoom's, and at the other zooms. None in files of before.
    provenance : Provenance
    """

    loss: float
    half_widths: np.ndarray
    losses: np.ndarray
    kinds: list
    verdicts: list
    rough_distances: np.ndarray
    rough_exponents: np.ndarray
    distances: np.ndarray
    first: np.ndarray
    second: np.ndarray
    exponents: np.ndarray
    exponents_interval: np.ndarray
    h: np.ndarray
    D: np.ndarray
    c1: np.ndarray
    c2: np.ndarray
    c1_interval: np.ndarray
    c2_interval: np.ndarray
    valid: np.ndarray
    dropout: str
    batch_norm: str
    norm: str = "filter"
    resolved_half_widths: np.ndarray | None = None
    lines: np.ndarray | None = None
    provenance: Provenance

    @classmethod
    def _upgraded(cls, fields, arrays, form):
        # intervals of format 0 had (low, high) along axis 1
        swapped = [name for name in fields if name.endswith("_interval") and form == 0]
        arrays.update({name: np.swapaxes(arrays[name], 0, 1) for name in swapped})
        return fields

    def __str__(self):
        """Describe it in plain words: one line per zoom, then what follows, and where to read which losses are fractal."""
        points = f"{self.losses.shape[1]} x {self.losses.shape[2]} points"
        if self.lines is None:
            mapped = f"{points} at each zoom"
        else:
            n, length = self.lines.shape[1:]
            mapped = f"{n} lines of {length} points at each zoom, and {points} where they are not clearly smooth"
        opening = (
            f"Loss {self.loss:.4g} at the weights; one random plane, BatchNorm {self.batch_norm}, dropout "
            f"{self.dropout}, {mapped}."
        )
        zooms = map(self._zoom_in_words, range(len(self.half_widths)))
        return "\n".join([opening, *zooms, self._conclusion(), _POINTER])

    def _zoom_in_words(self, k):
        if self.kinds[k] == "constant":
            return f"± {self.half_widths[k]:g}: {self.verdicts[k]}."
        low, high = self.exponents_interval[:, k, 0]
        spectrum = (
            "no spectrum without a plane"
            if np.isnan(self.losses[k]).all()
            else "the spectrum is not defined here"
            if not self.valid[k]
            else (
                f"spectrum c1 = {self.c1[k]:.2f}"
                + ("" if self.kinds[k] == "rough" else ", which tells no roughness here")
            )
        )
        return (
            f"± {self.half_widths[k]:g}: {self.verdicts[k]}; second differences grow as distance^"
            f"{self.exponents[k, 0]:.2f} [{low:.2f}, {high:.2f}] from {self.distances[k, 0]:.2g} on; {spectrum}."
        )

    def _conclusion(self):
        constant = [kind == "constant" for kind in self.kinds]
        if all(constant):
            return self._of_constant("in this plane")
        if any(constant):
            return f"{self._of_constant(f'at {self._widths(constant)}')} {self._of_the_rest()}"
        return self._of_the_rest()

    def _widths(self, chosen):
        return ", ".join(f"± {w:g}" for w, yes in zip(self.half_widths, chosen, strict=True) if yes)

    def _of_constant(self, where):
        remedy = (
            "Choose other params=, or a wider plane (half_width=)"
            if self.norm == "model"
            else "Pass norm='model', which moves also what has norm zero; else choose other params=, or a wider plane (half_width=)"
        )
        return (
            f"The loss is constant {where}: it does not depend on what moves there, as with a LoRA whose second factors are "
            f"zero, a head of zeros or dead units. {remedy}."
        )

    def _of_the_rest(self):
        """Say what follows from the zooms that are not constant."""
        told = [
            self._noise(),
            self._unresolved(),
            self._jumps(),
            self._cannot_tell(),
            self._rough(),
        ]
        told = [sentence for sentence in told if sentence]
        if told:
            return " ".join(told)
        odd = [kind not in ("smooth", "constant") for kind in self.kinds]
        if any(odd):
            return f"No steady exponent at any distance, so no sign of a fractal; see the verdict at {self._widths(odd)}."
        where = "zoom that is not constant" if "constant" in self.kinds else "zoom"
        return (
            f"Smooth at every {where}: no sign of a fractal in this plane at these distances. Widths of spectra measured on "
            "such sections do not mean multifractality."
        )

    def _where(self, kind):
        """Return at which zooms it is of this kind, in words."""
        return self._widths([found == kind for found in self.kinds])

    def _noise(self):
        where = self._where("noise")
        cause = (
            "every point drew its own dropout mask; map with dropout off or one fixed mask to see the landscape"
            if self.dropout == "live"
            else "they are no larger than rounding makes them; map a wider range"
        )
        return where and f"Noise, not landscape, makes up the differences at {where}: {cause}."

    def _unresolved(self):
        where = self._where("unresolved")
        if not where:
            return ""
        found = self._resolved("unresolved")
        remedy = (
            f"zoom in: {found}"
            if found
            else "zoom in; no line down to 1e-8 of that width was resolved"
        )
        return f"Unresolved at {where}: the loss is the same each time, so this is no noise, but it varies within a pixel; {remedy}."

    def _resolved(self, kind):
        """Return in words where lines are resolved, of the zooms of this kind; nothing where none is."""
        if self.resolved_half_widths is None:
            return ""
        widths = zip(self.resolved_half_widths, self.kinds, strict=True)
        found = [f"± {w:.2g}" for w, one in widths if one == kind and np.isfinite(w)]
        return found and f"a line is resolved at {', '.join(dict.fromkeys(found))}"

    def _jumps(self):
        where, sums = self._where("jumps"), self._widths(self._sums_of_jumps())
        more = f" At {sums} many of them within a pixel add up to 1/2." if sums else ""
        return where and (
            f"Jumps along curves at {where}, as where a router sends inputs elsewhere: no fractal, though first differences "
            f"grow as those of a rough surface of exponent 1/2.{more}"
        )

    def _near_a_half(self):
        return np.abs(self.rough_exponents - 0.5) < _NEAR_A_HALF

    def _sums_of_jumps(self):
        """Return at which zooms it is rough as many jumps within a pixel are, and jumps at a closer one."""
        jumps = np.array([kind == "jumps" for kind in self.kinds])
        closer = jumps.any() and np.arange(len(jumps)) < np.flatnonzero(jumps).max(initial=0)
        return closer & self._near_a_half() & np.array([kind == "rough" for kind in self.kinds])

    def _cannot_tell(self):
        where, found = self._where("cannot tell"), self._resolved("cannot tell")
        closer = f"; zoom in: {found}" if found else ""
        return where and (
            f"What the loss is at {where} cannot be told: no kind fits its differences{closer}."
        )

    def _rough(self):
        resolved = [kind not in ("jumps", "unresolved", "cannot tell") for kind in self.kinds]
        rough = np.isfinite(self.rough_exponents) & resolved & ~self._sums_of_jumps()
        if not rough.any() or "noise" in self.kinds:
            return ""
        found = [
            f"{exponent:.2f} from {low:.2g} to {high:.2g}"
            for exponent, (low, high) in zip(
                self.rough_exponents[rough], self.rough_distances[rough], strict=True
            )
        ]
        also = " Many jumps within a pixel, as a router makes, give 1/2 too: zoom in."
        return (
            f"Rough over some distances: exponent {'; '.join(found)} (near 0 it is noise, say rounding). A fractal "
            "would keep its exponent over several zooms; compare other planes (rng) before believing it."
            + (also if self._near_a_half()[rough].all() else "")
        )


def fractal_report(
    model: torch.nn.Module,
    loader: Any,
    criterion: Any,
    *,
    half_width: float = 1.0,
    n_points: int = 129,
    planes: Literal["rough", "all"] = "rough",
    dropout: str = "off",
    batch_norm: str = "eval",
    params: object = None,
    norm: Literal["filter", "layer", "model"] = "filter",
    precision: str = "float64",
    augmentation: str = "refuse",
    rng: Rng = 0,
    device: str | torch.device | None = None,
    executor: Executor | None = None,
    folder: PathLike | None = None,
    overwrite: bool = False,
) -> FractalReport:
    """Map a network's loss at three zooms (1, 10, 100) of one random plane, and say what it is: rough, smooth, unresolved or noise.

    The network runs in float64, so that rounding adds no roughness. At each zoom 8 lines of 257 points through the middle of
    the plane are mapped first, and the plane only where they are not clearly smooth: 3 x 2056 passes over the data for a
    smooth loss, and up to 3 x n_points^2 more for another. About how long that takes is said before it starts, where progress
    is shown. The model is left as it was.

    Parameters
    ----------
    model, loader, criterion, device
        As for `LossLandscapeAnalyzer`. With `batch_norm="batch"` or dropout the loader's batches are part of the loss.
    half_width : float
        Of the widest plane, in units of the filters' norms; default 1 (our choice).
    n_points : int
        Along each side, at least 113; default 129 (our choice).
    planes : {"rough", "all"}
        rough (our choice): planes only where lines are not clearly smooth, which is where second differences of all lines
        together grow as distance^1.25 or faster at 1, 2 and 4 steps (kinks along curves give 1.5, a rough loss less than 1).
        all: each plane, and no lines.
    dropout, batch_norm, params, augmentation : str
        As for `Problem`; default off, running statistics, what requires a gradient, and refused (our choice).
    norm : {"filter", "layer", "model"}
        Of the plane's directions, as for `directions.random`; filter is the paper's.
    precision : {"float64", "float32", "as-is"}
        float64 (our choice), so that rounding adds no roughness; "as-is" for a network that fixes its own dtype.
    rng : int, SeedSequence or Generator
        Of the plane and of the resampling.
    executor : concurrent.futures.Executor, optional
        As for `section`.
    folder : path-like, optional
        Keeps the finished points, so that a stopped report can be resumed, in another process too. What is kept belongs to this very
        network, loss and data: their content and code are compared.
    overwrite : bool
        Start again where the folder holds points of another network, which is refused otherwise.

    Returns
    -------
    FractalReport

    Raises
    ------
    ValueError
        When `half_width` is not positive, or so large that the loss is not finite everywhere; when there are too few points.
    """
    positive_number("half_width", half_width)
    whole_number("n_points", n_points, _LEAST_POINTS)
    one_of("planes", planes, ("rough", "all"))
    problem = Problem(
        model,
        None,
        criterion,
        data.read(loader, argument="loader", augmentation=augmentation),
        params=params,
        dropout=dropout,
        batch_norm=batch_norm,
        precision=precision,
    )
    if device is None:
        device = next(model.parameters()).device
    plane = directions.random(problem, 2, norm=norm, rng=realisation(rng, 0))
    kept = {"folder": folder, "executor": executor, "overwrite": overwrite, "device": str(device)}
    zooms = [_Zoom(problem, plane, half_width / zoom, f"zoom_{zoom}", kept) for zoom in ZOOMS]
    if planes == "rough":
        _tell_time(zooms[0], n_points)
    rows = [
        _row(zoom, n_points, planes == "rough", realisation(rng, k + 1))
        for k, zoom in enumerate(zooms)
    ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return FractalReport(
        half_widths=half_width / np.array(ZOOMS),
        loss=columns.pop("loss")[0],
        lines=None if planes == "all" else np.array(columns.pop("lines")),
        **{
            name: column
            if isinstance(column[0], str)
            else np.stack(column, axis=1 if name.endswith("_interval") else 0)
            for name, column in columns.items()
        },
        dropout=dropout,
        batch_norm=batch_norm,
        norm=norm,
        provenance=Provenance.of(
            "fractal_report",
            rng=rng,
            packages=("numpy", "torch"),
            problem=problem,
            half_width=half_width,
            n_points=n_points,
            planes=planes,
            norm=norm,
        ),
    )


@dataclass(frozen=True)
class _Zoom:
    """The middle of a plane, of a half width; `kept` says where it is mapped and what keeps its points."""

    problem: Problem
    plane: Any
    half_width: float
    name: str
    kept: dict

    @property
    def eps(self):
        """Of the losses: sums are taken in float32 at least, whatever the dtype of the weights."""
        return min(np.finfo(np.float32).eps, torch.finfo(self.problem.dtype).eps)

    def mapped(self, vectors, n_points, name):
        """Return the section along one or two directions."""
        axis = np.linspace(-self.half_width, self.half_width, n_points)
        folder, overwrite = self.kept["folder"], self.kept["overwrite"]
        found = section(
            self.problem,
            replace(self.plane, vectors=vectors, labels=self.plane.labels[: len(vectors)]),
            [axis] * len(vectors),
            metrics=("loss",),
            device=self.kept["device"],
            executor=self.kept["executor"],
            path=None if folder is None else Path(folder) / f"{name}.store",
            resume=not overwrite,
            overwrite=overwrite,
        )
        require(
            found.n_not_finite == 0,
            "half_width",
            f"{found.n_not_finite} NaN or inf within ± {self.half_width:g}",
            "leave the loss finite everywhere in the plane",
            "pass a smaller half_width",
        )
        return found

    def line(self, angle):
        """Return the direction at an angle, shape (1, n_parameters)."""
        first, second = self.plane.vectors
        return (np.cos(angle) * first + np.sin(angle) * second).astype(first.dtype)[None]

    def lines(self):
        """Return the losses along all lines, shape (8, 257)."""
        angles = np.pi * np.arange(_N_LINES) / _N_LINES
        return np.array(
            [
                self.mapped(self.line(a), _ON_A_LINE, f"{self.name}_line_{k}").values["loss"]
                for k, a in enumerate(angles)
            ]
        )


def _tell_time(zoom, n_points):
    """Say how long the lines will take, and each plane, where progress is shown at all."""
    if not sys.stderr.isatty():
        return
    axis = np.linspace(-zoom.half_width, zoom.half_width, _ON_A_LINE)
    line = replace(zoom.plane, vectors=zoom.line(0.0), labels=zoom.plane.labels[:1])
    settings = {"metrics": ("loss",), "device": zoom.kept["device"]}
    point = estimate_seconds(zoom.problem, line, [axis], **settings) / _ON_A_LINE
    first, more = (len(ZOOMS) * _N_LINES * _ON_A_LINE * point, n_points**2 * point)
    print(
        f"fractal_report: about {first:.0f} s for lines, and {more:.0f} s for each of {len(ZOOMS)} planes where they are "
        "not smooth",
        file=sys.stderr,
    )


def _row(zoom, n_points, cheap_first, generator):
    """Return the row of a zoom by the names of the report's fields: from its lines where they are smooth, else from its plane."""
    step, along = 2 * zoom.half_width / (n_points - 1), {}
    if cheap_first:
        along = {"lines": zoom.lines()}
        if lines.clearly_smooth(along["lines"], zoom.eps):
            return _of_lines(along["lines"], n_points, step) | along
    mapped = zoom.mapped(zoom.plane.vectors, n_points, zoom.name)
    values = mapped.to_landscape().values
    row = {"loss": float(values[n_points // 2, n_points // 2]), "losses": values}
    row |= row_of_plane(values, step, generator, zoom.eps) | {"resolved_half_widths": np.nan}
    unrelated = row["kinds"] in ("noise", "cannot tell")
    if unrelated and zoom.problem.dropout != "live" and not _is_rounding(mapped):
        width = _resolved_half_width(zoom.problem, zoom.plane, zoom.half_width, zoom.kept["device"])
        row["resolved_half_widths"] = width
        if row["kinds"] == "noise":
            row |= {"kinds": "unresolved", "verdicts": _UNRESOLVED}
    return row | along


def _of_lines(values, n_points, step):
    """Return the row of a zoom that is smooth along its lines; distances are about those of a plane."""
    spacing = step * (n_points - 1) / (_ON_A_LINE - 1)
    lags = max(1, round(step / spacing)) * lags_of((n_points, n_points))
    first, second = lines.mean_squares(values, lags)
    return {
        "loss": float(values[0, _ON_A_LINE // 2]),
        "losses": np.full((n_points, n_points), np.nan),
        "kinds": "smooth",
        "verdicts": f"smooth along {_N_LINES} lines; no plane mapped",
        "rough_exponents": np.nan,
        "rough_distances": np.full(2, np.nan),
        "resolved_half_widths": np.nan,
        "distances": spacing * lags,
        "first": first.mean(axis=1),
        "second": second.mean(axis=1),
        "exponents": lines.exponents(second),
        "exponents_interval": lines.exponents_interval(second),
        **of_spectrum(None),
    }


def _is_rounding(mapped):
    """Return whether the differences of a section are no larger than rounding makes them, within a factor of 4."""
    second = np.diff(mapped.to_landscape().values, 2, axis=0)
    return float(np.sqrt(np.mean(second**2) / 6)) < 4 * mapped.settings["rounding"]


def _resolved_half_width(problem, plane, half_width, device):
    """Return the half width of the first of ever shorter lines, each a tenth, whose neighbouring pixels are related; or NaN.

    A line is cheap: it tells where planes pay.
    """
    first = replace(plane, vectors=plane.vectors[:1].copy(), labels=plane.labels[:1])
    for power in range(1, _MOST_ZOOM + 1):
        axis = np.linspace(-1, 1, _LINE_POINTS) * half_width / 10.0**power
        mapped = section(problem, first, [axis], metrics=("loss",), device=device, progress=False)
        if line_exponent(mapped.values["loss"]) > NOISE_SECOND_FINE:
            return half_width / 10.0**power
    return float("nan")


def line_exponent(values):
    """Return log2(W(2)/W(1))/2 of a line, W(r) the mean squared second difference at lag r; NaN for a straight one."""
    one, two = (
        np.mean((values[2 * r :] - 2 * values[r:-r] + values[: -2 * r]) ** 2) for r in (1, 2)
    )
    return float(np.log2(two / one) / 2) if one > 0 and two > 0 else float("nan")
