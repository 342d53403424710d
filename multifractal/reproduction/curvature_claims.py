"""Claims on roughness: that rough ground is curved ground, and that the surface has structure at all scales."""

import numpy as np

from multifractal.analysis.roughness import variogram
from multifractal.base.curves import Curves
from multifractal.figures import reproduction as figures
from multifractal.geometry.curvature import _log_bins, curvature_roughness, published_curvature
from multifractal.reproduction.claim import (
    CORRECTED,
    NOT_REPRODUCED,
    REPRODUCED,
    Claim,
    Judgement,
    Measured,
    Protocol,
    Quantity,
)

_EDGE = 2  # rows and columns at each wall that `curvature_roughness` leaves out


# Curvature against roughness


def _measure_curvature(study):
    laws = study.each(lambda i: curvature_roughness(study.surface(i)), title="curvature")
    x, y, exact = (
        np.array([getattr(law, name) for law in laws])
        for name in ("published_x", "curvature", "exact")
    )
    compact = np.array(study.each(lambda i: compact_curvature(study.surface(i)), title="compact"))
    call = study.provenance("curvature_roughness", bins=20)
    found = curvature_numbers(x, y, exact, compact, study.size, call)
    found.results["law"] = laws[0]
    return found


def curvature_numbers(x, y, exact, compact, size, call):
    """Return the Measured of curvature by bins of x, each (n_surfaces, n_bins), by the paper's and the compact stencil."""
    over_exact = y / exact
    quantities = {
        "slope": Quantity.mean(
            "slope of log curvature against log x", _slopes(x, y), call, published="1 (y = m x)"
        ),
        "ends": Quantity.mean(
            "curvature / x where smoothest, over that where roughest",
            _ratio_of_ends(y / x),
            call,
            published="1",
        ),
        "prefactor": Quantity.mean(
            "m × 10⁸", 1e8 * (y / x).mean(axis=1), call, unit="loss²/pixel⁴"
        ),
        "exact": Quantity.mean(
            "curvature over the exact law of the stencil", over_exact.mean(axis=1), call
        ),
        "worst": Quantity.single(
            "the same, furthest bin of the mean over surfaces",
            _furthest_from_one(over_exact.mean(axis=0)),
            call,
            over="surfaces",
            n=len(y),
        ),
        "compact ends": Quantity.mean(
            "compact stencil [1, −2, 1]: curvature / x where smoothest, over that where roughest",
            _ratio_of_ends(compact / x),
            call,
            published="1",
        ),
        "compact": Quantity.mean(
            "compact stencil: m over its exact value 1/(2 N²)",
            2 * size**2 * (compact / x).mean(axis=1),
            call,
        ),
    }
    return Measured(
        quantities=quantities,
        results={
            "curvature": Curves(x=x[0], samples=y, over="surfaces", provenance=call),
            "compact": Curves(x=x[0], samples=compact, over="surfaces", provenance=call),
        },
    )


def compact_curvature(landscape):
    """Return the mean of f_xx² + f_yy² + 2 f_xy² in the bins of `curvature_roughness`, by second differences [1, -2, 1].

    f_xy is the central difference over 2 pixels along both axes. On a surface with E|B(u)-B(v)|² = (|u-v|/N)^(2H) its mean is
    r(H) N^(-2H)/2, with the r(H) that the paper prints.
    """
    values = np.asarray(landscape.values, dtype=np.float64)
    centre = values[1:-1, 1:-1]
    f_xx = values[1:-1, 2:] - 2 * centre + values[1:-1, :-2]
    f_yy = values[2:, 1:-1] - 2 * centre + values[:-2, 1:-1]
    f_xy = (values[2:, 2:] - values[2:, :-2] - values[:-2, 2:] + values[:-2, :-2]) / 4
    inner = (slice(_EDGE - 1, 1 - _EDGE),) * 2
    squared = (f_xx**2 + f_yy**2 + 2 * f_xy**2)[inner].ravel()
    hoelder = landscape.hoelder[_EDGE:-_EDGE, _EDGE:-_EDGE].ravel()
    index = _log_bins(published_curvature(hoelder, max(landscape.shape)), 20)
    return np.bincount(index, squared) / np.bincount(index)


def _judge_curvature(found):
    slope, ends, exact = found["slope"], found["ends"], found["exact"]
    if not slope.above(0.5):
        return Judgement(
            NOT_REPRODUCED,
            "The surface has no range of exponents over which curvature could change."
            if slope.n == 0
            else f"Curvature does not follow the roughness: the slope is {slope.value:.2f}.",
        )
    if ends.above(0.9) and ends.below(1.1):
        return Judgement(
            REPRODUCED,
            f"Curvature is proportional to x: the ratio at both ends agrees ({ends.value:.2f}).",
        )
    if exact.above(0.95) and exact.below(1.05):
        return Judgement(
            CORRECTED,
            "Curvature follows roughness, but not as y = m x: that constant r(H) belongs to another "
            f"difference stencil, and y/x differs by a factor of {ends.value:.2f} between the smoothest and "
            f"the roughest ground. The exact law of the stencil in use holds to "
            f"{abs(found['worst'].value - 1):.1%} in every bin. With the compact stencil [1, −2, 1], to which r(H) "
            f"belongs, y = m x does hold: the ratio of the ends is {found['compact ends'].value:.2f}, and m is "
            f"{found['compact'].value:.2f} of its exact value.",
        )
    return Judgement(
        NOT_REPRODUCED,
        f"Neither y = m x nor the law of the stencil holds (mean ratio {exact.value:.2f}).",
    )


CURVATURE = Claim(
    "curvature",
    "Curvature follows roughness",
    "The squared Frobenius norm of the Hessian is proportional to x = r(H) χ^(2H−2), χ = 1/1024, over x from 10³ to 10⁵: "
    "rough ground is curved ground.",
    "Not reproduced unless the log-log slope lies above 0.5 with its whole interval (the paper's is 1, no dependence is 0). "
    "Reproduced if y/x is the same within 10 % at both ends of the range. Reproduced with a correction if it is not, but "
    "curvature over the exact law of the stencil (numpy.gradient twice) is 1 within 5 %.",
    _measure_curvature,
    _judge_curvature,
    figures.curvature,
    "Squared Frobenius norm of the Hessian, mean in 20 bins of the Hölder exponent: ours (points: mean over surfaces, bars: "
    "their standard deviation), the exact law of the stencil, and the paper's law with m fitted; squares: the compact "
    "stencil, with its own m. All grid points at least 2 pixels from a wall.",
    Protocol(
        "numpy.gradient applied twice; 10 000 points drawn with replacement; m fitted to y = m x.",
        "The same stencil at every grid point, against its own exact law; and the compact stencil, whose law the printed r(H) "
        "is.",
        no_file="The published surface (landscape.mat) is not among the files here, and m is not stated.",
    ),
    headline={
        "ends": "y/x at one end over the other",
        "exact": "over the stencil's own law",
        "compact ends": "y/x with the compact stencil [1, −2, 1]",
    },
)


# Structure at all scales


def _measure_scales(study):
    fine, coarse = np.array([1, 2, 4]), study.size // np.array([32, 16, 8])
    found = np.array(
        study.each(lambda i: _increments(study.surface(i), fine, coarse), title="scales")
    )
    call = study.provenance("variogram", lags=[*fine.tolist(), *coarse.tolist()])
    return scale_numbers(np.concatenate([fine, coarse]), found, call)


def _increments(landscape, fine, coarse):
    found = variogram(landscape, lags=np.concatenate([fine, coarse]))
    return found.values


def scale_numbers(lags, values, call):
    """Return the Measured of mean squared increments (n_surfaces, n_lags) at fine (first half) and coarse lags (the rest)."""
    half = len(lags) // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        fine, coarse = (
            _slopes(np.tile(lags[part], (len(values), 1)), values[:, part])
            for part in (slice(half), slice(half, None))
        )
    fine, coarse = np.array(fine) / 2, np.array(coarse) / 2
    told = f"{lags[half]} to {lags[-1]} pixels"
    quantities = {
        "fine": Quantity.mean(
            f"exponent of increments at {lags[0]} to {lags[half - 1]} pixels", fine, call
        ),
        "coarse": Quantity.mean(f"exponent of increments at {told}", coarse, call),
        "difference": Quantity.mean("coarse less fine", coarse - fine, call),
    }
    drawn = Curves(x=lags, samples=values, over="surfaces", provenance=call)
    return Measured(quantities=quantities, results={"increments": drawn})


def _judge_scales(found):
    fine, coarse, difference = (found[name] for name in ("fine", "coarse", "difference"))
    told = f"increments grow with exponents of {fine.value:.2f} at a few pixels and {coarse.value:.2f} at an eighth of the side"
    if not all(each.above(0.1) and each.below(0.9) for each in (fine, coarse)):
        return Judgement(
            NOT_REPRODUCED, f"There is no structure at all scales: {told} (noise 0, smooth 1)."
        )
    if difference.above(-0.1) and difference.below(0.1):
        return Judgement(
            REPRODUCED, f"The surface is rough at all scales, by one exponent within 0.1: {told}."
        )
    return Judgement(
        CORRECTED,
        f"The surface is rough at all scales, but by no single exponent: {told}. The roughest ground decides at small scales.",
    )


MULTISCALE = Claim(
    "multiscale",
    "The landscape has structure at all scales",
    "The abstract: loss landscapes have multiscale structure. No number is given.",
    "Not reproduced unless increments grow with exponents between 0.1 and 0.9, with whole intervals, both at 1 to 4 pixels and "
    "between a 32nd and an eighth of the side (noise gives 0, smooth ground 1). Reproduced if both are the same within 0.1 "
    "with the whole interval, as a scale-free surface has it; with a correction if they differ. A monofractal surface passes "
    "too: the claim does not tell multifractality.",
    _measure_scales,
    _judge_scales,
    figures.scales,
    "Mean squared increments by lag, one line a surface; dashed: the exponents at either end.",
    Protocol(
        "In words only.",
        "The variogram of the whole surface at its two ends.",
        no_file="No number of it is on file; the published surface (landscape.mat) is not among the files here.",
    ),
    headline={"fine": "exponent of increments at 1 to 4 pixels", "coarse": "at 32 to 128"},
)

CLAIMS = (CURVATURE, MULTISCALE)


def _slopes(x, y):
    if x.shape[1] < 2:
        return np.full(len(x), np.nan)
    return [
        np.polyfit(np.log(a), np.log(np.maximum(b, 1e-300)), 1)[0]
        for a, b in zip(x, y, strict=True)
    ]


def _ratio_of_ends(ratios):
    """Return, by surface, the ratio in the smoothest bin (the first: smallest x) over that in the roughest."""
    return ratios[:, 0] / ratios[:, -1] if ratios.shape[1] > 1 else np.full(len(ratios), np.nan)


def _furthest_from_one(ratios):
    return float(ratios[np.abs(ratios - 1).argmax()])
