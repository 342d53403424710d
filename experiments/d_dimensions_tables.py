"""The tables of docs/d_dimensions.md: the rules stated there, applied to the results that are committed.

Symbols: s step in shortest wavelengths, s_c the rate from which on walks are chaotic, s_e the semicircle's estimate of it.
"""

from functools import cached_property
from pathlib import Path

import numpy as np

from experiments import d_dimensions_jobs as study
from experiments.section_study_tables import table
from multifractal.base import files
from multifractal.base.statistics import mean_interval
from multifractal.diffusion.displacement import diffusion_exponent
from multifractal.diffusion.theory import diffusion_exponent_law

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "experiments" / "results" / "d_dimensions.npz"
CHAOTIC = 0.05  # per step; chosen after the run, see the page
_RATES = [f"s = {s:.3g}" for s in study.STEPS[::2]]
_SHORT = slice(len(study.SHORT_LAGS))


def record(folder, path=RESULTS):
    """Gather the files of a run in one, and write the tables and the figure of the page."""
    by_kind, settings = {}, None
    for file in sorted(Path(folder).glob("*.npz")):
        arrays, metadata = files.load_arrays(file)
        job = study.Job(**metadata["job"])
        settings = metadata["settings"]
        by_kind.setdefault(job.kind, []).append((job, arrays))
    gathered, jobs = {}, {}
    for kind, found in by_kind.items():
        found.sort(key=lambda pair: pair[0])
        jobs[kind] = [list(job[1:]) for job, _ in found]
        for name in found[0][1]:
            values = np.stack([arrays[name] for _, arrays in found])
            gathered[f"{kind}.{name}"] = values.astype(np.float32)
    files.save_arrays(path, gathered, {"jobs": jobs, "settings": settings}, overwrite=True)
    if path == RESULTS:
        from experiments.d_dimensions_figures import draw
        from tools import tables

        draw(Diagram.load(path), ROOT / "docs" / "figures")
        tables.main([])


def edge_of_semicircle(d, hurst):
    """Return s_e, the step at which the edge of the semicircle of a random point's Hessian is 2 / learning rate."""
    per_s = study.learning_rates(d, hurst)[0] / study.STEPS[0]
    return 2 / study.typical_curvature(d, hurst) / per_s


class Cell:
    """What the fields of one (H, d) say at each learning rate."""

    def __init__(self, d, hurst, arrays):
        self.d, self.hurst, self.n = d, hurst, len(arrays["displacement"])
        self.moved, self.exponents = arrays["displacement"], arrays.get("exponents")
        self.rates = study.learning_rates(d, hurst)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.edges = np.log(arrays["sharpness"] * self.rates / 2)

    @cached_property
    def trapped(self):
        """Share of the walks that are trapped, (n_rates,)."""
        return mean_interval(self._rest, axis=0).value

    @property
    def _rest(self):
        last = self.moved[..., -1]
        near = np.sqrt(last) < study.shortest_wavelength(self.d) / 2
        return np.where(np.isnan(last), np.nan, near)

    @cached_property
    def alpha(self):
        """Exponent of the displacement with the ends of its interval, (3, n_rates); NaN in trapped cells."""
        found = np.full((3, len(self.rates)), np.nan)
        for i in np.flatnonzero(self.trapped <= 0.5):
            curves = self.moved[:, i, _SHORT].astype(np.float64)
            fit = diffusion_exponent(
                study.SHORT_LAGS, curves[np.isfinite(curves).all(axis=1)], lag_range=(1, 10)
            )
            found[:, i] = fit.exponent, fit.low, fit.high
        return found

    @cached_property
    def exponent(self):
        """Estimate of the largest Lyapunov exponent, (n_rates,)."""
        return mean_interval(self.exponents, axis=0, of="fields")

    @cached_property
    def edge(self):
        """Geometric mean of sharpness times rate / 2 over fields where it is positive, (n_rates,)."""
        return np.exp(
            mean_interval(np.where(np.isfinite(self.edges), self.edges, np.nan), axis=0).value
        )

    @cached_property
    def chaos(self):
        """Index of s_c by rule 4 as amended, exponents above 0.05; None without chaos."""
        return self._above(CHAOTIC)

    @property
    def chaos_as_written(self):
        """Index of s_c by rule 4 as it was written, exponents above 0."""
        return self._above(0.0)

    def _above(self, threshold):
        """Return from which rate on the interval lies above a threshold (of one field, its number)."""
        low = self.exponent.low if self.n > 1 else self.exponent.value
        calm = np.flatnonzero(~(np.nan_to_num(low, nan=-1.0) > threshold))
        first = calm[-1] + 1 if len(calm) else 0
        return int(first) if first < len(low) else None

    @property
    def semicircle(self):
        """The step s_e of `edge_of_semicircle`."""
        return edge_of_semicircle(self.d, self.hurst)

    @cached_property
    def law_holds(self):
        """Where alpha comes within 0.05 of the law, (n_rates,) bool."""
        law = float(diffusion_exponent_law(np.array([self.hurst]))[0])
        return (self.alpha[1] - 0.05 <= law) & (law <= self.alpha[2] + 0.05)


class Diagram:
    """All that was measured, by kind and place."""

    def __init__(self, arrays, jobs):
        self.arrays, self.jobs = arrays, {kind: np.array(places) for kind, places in jobs.items()}
        self._cells = {}

    @classmethod
    def load(cls, path=RESULTS):
        """Read the results that `record` wrote."""
        arrays, metadata = files.load_arrays(path)
        return cls(arrays, metadata["jobs"])

    def cell(self, d, hurst, kind="plain", modes=0):
        """Return the `Cell` of a place, or None where no field is done."""
        place = (kind, d, hurst, modes)
        if place not in self._cells:
            found = self.rows(*place)
            self._cells[place] = Cell(d, hurst, found) if found else None
        return self._cells[place]

    def rows(self, kind, d, hurst, modes=0):
        """Return the arrays of the fields of a place; {} where there are none."""
        if kind not in self.jobs:
            return {}
        at = self.jobs[kind]
        rows = (at[:, 0] == d) & (at[:, 1] == hurst) & (at[:, 3] == modes)
        if not rows.any():
            return {}
        names = [name for name in self.arrays if name.startswith(f"{kind}.")]
        return {name.partition(".")[2]: self.arrays[name][rows] for name in names}


def fields(found):
    """Return the table of how many fields of each place are done."""
    return _by_place(found, lambda cell: f"{cell.n}")


def chaos(found):
    """Return the table of s_c beside s_e, and of s_c by the rule as written where it is another."""

    def words(cell):
        if cell.chaos is None:
            return "none"
        at, guess = study.STEPS[cell.chaos], cell.semicircle
        no = ", no" if cell.n > 1 and not 0.5 < at / guess < 2 else ""
        written = cell.chaos_as_written
        other = "" if written == cell.chaos else f"; as written {study.STEPS[written]:.2g}"
        return f"{at:.2g} ({guess:.2g}{no}{other})"

    return _by_place(found, words)


def edge(found):
    """Return the table of sharpness times rate / 2 at the last rate below s_c."""

    def words(cell):
        if not cell.chaos:
            return "none"
        value = cell.edge[cell.chaos - 1]
        return f"{value:.2f}{', no' if cell.n > 1 and not 0.8 <= value <= 1.25 else ''}"

    return _by_place(found, words)


def steeper(found):
    """Return the table of the sharpness at the end over that at the start, at H = 0.5: the median over fields."""
    rows = []
    for d in study.DIMENSIONS:
        arrays = found.rows("plain", d, 0.5)
        if arrays:
            ratio = np.median(arrays["sharpness"] / arrays["sharpness_at_start"][:, None], axis=0)
            rows.append([f"{d}", *(f"{value:.2f}" for value in ratio[::2])])
    return table(" | ".join(["d", *_RATES]), rows)


def trapping(found):
    """Return the table of regions below s_c: trapped, descent, other."""

    def words(cell):
        if not cell.chaos:
            return "none"
        below = slice(cell.chaos)
        rest = (cell.trapped[below] > 0.5).sum()
        return f"{rest}, {(cell.alpha[0, below] > 1.5).sum()} of {cell.chaos}"

    return _by_place(found, words)


def law(found):
    """Return the table of where alpha = 2 - 2H holds."""

    def words(cell):
        at = np.flatnonzero(cell.law_holds)
        runs = np.split(at, np.flatnonzero(np.diff(at) > 1) + 1)
        kind = "plateau" if max(map(len, runs)) >= 3 else "crossing" if len(at) else "nowhere"
        where = f" {study.STEPS[at[0]]:.2g} to {study.STEPS[at[-1]]:.2g}" if len(at) else ""
        return kind + where

    return _by_place(found, words, least=2)


def alpha(found):
    """Return the table of alpha at d = 2, 10, 100 and 1000, for three exponents H, by rate."""
    rows = []
    for hurst in (0.3, 0.5, 0.7):
        for d in (2, 10, 100, 1000):
            cell = found.cell(d, hurst)
            if cell is not None:
                rows.append([f"{hurst}", f"{d}", *_alphas(cell)])
    return table(" | ".join(["H", "d", *_RATES]), rows)


def dimension(found):
    """Return the table of chaotic cells whose alpha differs from that of d = 2 at the same multiple of s_c."""

    def words(cell):
        base = found.cell(2, cell.hurst)
        if cell.d == 2 or base is None or cell.chaos is None or base.chaos is None:
            return "-"
        count = min(len(study.STEPS) - cell.chaos, len(study.STEPS) - base.chaos)
        a, b = cell.alpha[:, cell.chaos :][:, :count], base.alpha[:, base.chaos :][:, :count]
        both = np.isfinite(a).all(axis=0) & np.isfinite(b).all(axis=0)
        apart = (a[1] > b[2]) | (b[1] > a[2])
        return f"{(both & apart & (np.abs(a[0] - b[0]) > 0.1)).sum()} of {both.sum()}"

    return _by_place(found, words, least=2)


def drift(found):
    """Return the table of the share of time in the flattest tenth, of descent and of its controls."""
    rows = []
    for d in (2, 10, 100):
        for hurst in (0.3, 0.5, 0.7):
            shares = found.rows("drift", d, hurst).get("shares")
            for i, step in enumerate(
                study.DRIFT_STEPS if shares is not None and len(shares) > 1 else ()
            ):
                rows.append(
                    [f"{d}", f"{hurst}", f"{study.STEPS[step]:.2g}", *_drift(shares[:, i, :, 0])]
                )
    return table("d | H | s | " + " | ".join(study.DRIFT_KINDS) + " | survives | its own", rows)


def _drift(shares):
    """Return the cells of one row: shares (n_fields, n_kinds) in the flattest tenth, and the verdicts."""
    means = mean_interval(shares, axis=0, of="fields")
    beyond = mean_interval(shares[:, :1] - shares[:, 1:], axis=0, of="fields")
    survives = means.value[0] > 0.15 and means.low[0] > 0.1
    numbers = [
        f"{v:.2f} [{low:.2f}, {high:.2f}]"
        for v, low, high in zip(means.value, means.low, means.high, strict=True)
    ]
    own = survives and bool((beyond.low > 0).all())
    return [*numbers, "yes" if survives else "no", "yes" if own else "no"]


def methods(found):
    """Return the table of alpha by method at H = 0.5."""
    rows = []
    for method in ("plain", *study.METHODS):
        for d in (2, 10, 100):
            cell = found.cell(d, 0.5, method)
            if cell is not None:
                name = "gradient descent" if method == "plain" else method
                rows.append([name, f"{d}", f"{cell.n}", *_alphas(cell)])
    return table(" | ".join(["rule", "d", "fields", *_RATES]), rows)


def _alphas(cell):
    """Return alpha with half its interval at every second rate, in words."""
    half = (cell.alpha[2] - cell.alpha[1]) / 2
    return [
        "trapped" if np.isnan(a) else f"{a:.2f} ± {h:.2f}"
        for a, h in zip(cell.alpha[0, ::2], half[::2], strict=True)
    ]


def waves(found):
    """Return the table of what other numbers of waves give at H = 0.5."""
    rows = []
    for d, tried in study.MODES.items():
        usual = study.Job("plain", d, 0.5, 0).n_modes
        cells = {m or usual: found.cell(d, 0.5, modes=m) for m in (*tried, 0)}
        cells = {m: cells[m] for m in sorted(cells) if cells[m] is not None and cells[m].n > 1}
        if not cells:
            continue
        best = cells[max(cells)]
        for m, cell in cells.items():
            met = (cell.exponent.low <= best.exponent.high) & (
                best.exponent.low <= cell.exponent.high
            )
            near = None not in (cell.chaos, best.chaos) and abs(cell.chaos - best.chaos) <= 1
            at = "none" if cell.chaos is None else f"{study.STEPS[cell.chaos]:.2g}"
            a, b = cell.alpha[0, -6:], best.alpha[0, -6:]
            rows.append(
                [f"{d}", f"{m}", f"{m / d:.3g}", f"{cell.n}", at, f"{met.sum()} of {len(met)}"]
                + [f"{np.nanmax(np.abs(a - b)):.2f}", "yes" if met.sum() >= 14 and near else "no"]
            )
    return table(
        "d | waves | per dimension | fields | s_c | exponents that agree | alpha differs by (s > 5) | enough",
        rows,
    )


def _by_place(found, words, least=1):
    """Return a table of a row a dimension and a column an exponent H."""
    rows = []
    for d in study.DIMENSIONS:
        cells = [found.cell(d, hurst) for hurst in study.HURSTS]
        rows.append([f"{d}"] + ["" if c is None or c.n < least else words(c) for c in cells])
    return table(" | ".join(["d", *(f"H = {h}" for h in study.HURSTS)]), rows)


TABLES = {
    f"d_dimensions_{make.__name__}": make
    for make in (
        fields,
        chaos,
        edge,
        steeper,
        trapping,
        alpha,
        law,
        dimension,
        drift,
        methods,
        waves,
    )
}
