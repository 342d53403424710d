"""Claims on minima: where they lie, how they cluster, losses in a basin."""

from functools import partial

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import skew

from multifractal import source_data
from multifractal.base.curves import Curves
from multifractal.base.result import Provenance
from multifractal.figures import reproduction as figures
from multifractal.geometry.clustering import clustering_curve
from multifractal.geometry.minima import basins, local_minima
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

_LOWEST, _PAPER_SIZE = 3000, 1024  # minima that are looked at on a surface of that size (paper)
_FEWEST = 30  # a basin counts from a 30th of those minima on: 100 of 3000, our choice
# pixels between two minima: beyond the reach of the stencil of the Hessian, within a basin
_PAIRS = (16.0, 32.0)
_GATHERED = 1 / 32  # of the side: the circle in which neighbours are counted, 32 pixels of 1024
_PAPER_BOX = np.array([650, 900, 700, 950])  # of the loss histogram on the paper's surface
_POWERS = {"smoother": (1.72, 36.7), "rougher": (1.60, 29.4)}  # and R0 in pixels: published


# Clustered degenerate minima


def _measure_minima(study):
    found = study.each(partial(_minima_of, study), title="minima")
    call = study.provenance("local_minima", lowest=_lowest_count(study))
    gathered, alike, spread = (np.array([surface[k] for surface in found]) for k in range(3))
    quantities = {
        "gathered": Quantity.mean(
            f"lowest minima within {_GATHERED * study.size:.0f} pixels of one, over that of scattered "
            "points",
            gathered,
            call,
        ),
        "alike": Quantity.mean(
            f"correlation of log flatness of two minima {_PAIRS[0]:.0f} to {_PAIRS[1]:.0f} pixels apart",
            alike,
            call,
        ),
        "spread": Quantity.mean("range of their losses, over that of the surface", spread, call),
    }
    return Measured(quantities=quantities, results={"lowest": lowest_and_basins(study, 0)[0]})


def _minima_of(study, i):
    """Return (neighbours over those of scattered points, correlation of log flatness over pairs, range of losses)."""
    landscape, (lowest, _) = study.surface(i), lowest_and_basins(study, i)
    if len(lowest) < 2:
        return np.nan, np.nan, np.nan
    radius = _GATHERED * study.size
    scattered = study.rng(i, 1).uniform(
        0, np.array(landscape.shape[::-1]) - 1, size=lowest.positions.shape
    )
    return (
        _neighbours(lowest.positions, radius) / _neighbours(scattered, radius),
        _alike(lowest),
        float(np.ptp(lowest.losses) / np.ptp(landscape.values)),
    )


def _alike(lowest):
    tree = cKDTree(lowest.positions)
    near, far = (tree.query_pairs(radius, output_type="ndarray") for radius in _PAIRS)
    if len(far) - len(near) < 30:
        return np.nan
    log_flat, size = np.log(lowest.flatness), len(lowest)
    pairs = far[~np.isin(far @ [size, 1], near @ [size, 1])]
    return float(np.corrcoef(np.concatenate([log_flat[pairs], log_flat[pairs[:, ::-1]]]).T)[0, 1])


def _neighbours(positions, radius):
    tree = cKDTree(positions)
    return tree.count_neighbors(tree, radius) / len(positions)


def _judge_minima(found):
    gathered, alike = found["gathered"], found["alike"]
    if gathered.n < 2:
        return Judgement(NOT_REPRODUCED, "There are no minima to cluster.")
    if not gathered.above(2):
        return Judgement(
            NOT_REPRODUCED,
            f"The lowest minima are scattered: {gathered.value:.2f} times the neighbours of "
            "points placed at random.",
        )
    gather = (
        f"The lowest minima gather ({gathered.value:.1f} times the neighbours of scattered points)"
    )
    if not alike.above(0.1):
        shown = "there are none" if alike.below(0.1) else "none are shown"
        return Judgement(
            NOT_REPRODUCED,
            f"{gather}, but not in flat regions ({shown}): the log flatness of neighbours "
            f"correlates by {alike.value:.2f} [{alike.low:.2f}, {alike.high:.2f}]. Low ground gathers them.",
        )
    if not alike.above(0.3):
        low, high = alike.one_more()
        return Judgement(
            CORRECTED,
            f"{gather}, and flat ones lie beside flat ones, but not on every surface: the "
            f"correlation is {alike.value:.2f} on average, and one more surface may show {low:.2f} to "
            f"{high:.2f}. That they gather needs no flat regions: low ground does so on any rough surface.",
        )
    return Judgement(
        REPRODUCED,
        f"{gather} and are as flat as those around them (correlation {alike.value:.2f}).",
    )


MINIMA = Claim(
    "minima",
    "Degenerate minima are clustered",
    "The 3000 lowest minima lie in clusters, and flat minima lie beside flat ones, in regions (map of flatness "
    "F = (λ₁² + λ₂²)^(−1/4), the ten flattest enlarged). No number is given.",
    "Not reproduced unless minima have at least twice the neighbours of as many points placed at random (1 is no "
    "clustering), and unless the log flatness of two minima in one region, apart by more than the stencil reaches, "
    "correlates above 0.1 (0 is no flat regions, 0.1 a hundredth of the variance). Reproduced if it correlates above 0.3, a "
    "tenth of the variance; between the two, reproduced with a correction. Whole intervals decide. The 0.1 was added after "
    "the first run, so that a surface without flat regions does not pass.",
    _measure_minima,
    _judge_minima,
    figures.minima,
    "The lowest minima of our surface 0, coloured by flatness as in the paper; the ten flattest enlarged.",
    Protocol(
        "A map of one surface, judged by eye.",
        "The same minima on each surface; neighbours against scattered points, flatness against that of neighbours.",
        no_file="The published surface (landscape.mat) is not among the files here.",
    ),
    headline={
        "gathered": "neighbours over those of scattered points",
        "alike": "correlation of log flatness, 16 to 32 pixels apart",
    },
)


# N(R)


def lowest_and_basins(study, i):
    """Return the lowest minima of surface i and those of their basins that count, largest first, as Minima."""
    lowest = local_minima(study.surface(i)).lowest(_lowest_count(study))
    if len(lowest) < _FEWEST:
        return lowest, []
    found = basins(lowest)
    large = np.flatnonzero(found.sizes >= max(_lowest_count(study) // _FEWEST, 10))[:6]
    return lowest, [lowest.at(found.labels == k) for k in large]


def smoother_and_rougher(basins_of_surface):
    """Return the basins of largest and of smallest mean log flatness."""
    ordered = sorted(basins_of_surface, key=lambda basin: np.log(basin.flatness).mean())
    return ordered[-1], ordered[0]


def _measure_clustering(study):
    found = study.each(partial(_curves_of, study), title="clustering")
    call = study.provenance(
        "clustering_curve",
        points=f"{_lowest_count(study)} lowest minima",
        centres="the minima of a basin, link length 12 pixels",
    )
    mono = study.each(partial(_monofractal_power, study), title="clustering, monofractal")
    mono_call = study.provenance("clustering_curve", surface="fbm_surface", hurst=0.5)
    quantities = clustering_numbers(found, mono, call, mono_call)
    return Measured(quantities=quantities, results=_drawn_curves(found, call))


def clustering_numbers(found, mono, call, mono_call):
    """Return the quantities of curves by surface, {"smoother": curve, "rougher": curve} or less, and powers of monofractals."""
    quantities = {}
    for name, (power, radius) in _POWERS.items():
        powers, radii = (
            np.array([getattr(curves[name], of) if name in curves else np.nan for curves in found])
            for of in ("power", "crossover")
        )
        quantities |= {
            f"{name}_power": Quantity.mean(
                f"power of N(R), {name} basin", powers, call, published=f"{power:.2f}"
            ),
            f"{name}_radius": Quantity.mean(
                f"crossover R₀, {name} basin", radii, call, unit="pixels", published=f"{radius}"
            ),
        }
    both = [curves for curves in found if len(curves) >= 2]
    quantities["difference"] = Quantity.mean(
        "smoother minus rougher power, same surface",
        [curves["smoother"].power - curves["rougher"].power for curves in both],
        call,
        published="0.12",
    )
    quantities["monofractal"] = Quantity.mean(
        "power of N(R), largest basin of a monofractal surface, H = 0.5", mono, mono_call
    )
    return quantities


def _curves_of(study, i):
    """Return the clustering curves of the smoother and the rougher basin by name, and their radii; {} without two basins."""
    lowest, large = lowest_and_basins(study, i)
    if len(large) < 2:
        return {}
    curves = {}
    for name, basin in zip(_POWERS, smoother_and_rougher(large), strict=True):
        curve = _curve(lowest, basin)
        curves |= {} if curve is None else {name: curve}
    return curves


def _curve(lowest, centres):
    try:
        return clustering_curve(lowest.positions, centres.positions)
    except ValueError:  # too few radii between 2 neighbours and the whole basin for two segments
        return None


def _monofractal_power(study, i):
    lowest = local_minima(study.monofractal(0.5, i)).lowest(_lowest_count(study))
    if len(lowest) < _FEWEST:
        return np.nan
    found = basins(lowest)
    if found.sizes[0] < max(_lowest_count(study) // _FEWEST, 10):
        return np.nan
    curve = _curve(lowest, lowest.at(found.labels == 0))
    return np.nan if curve is None else curve.power


def _drawn_curves(found, call):
    """Return N(R) of the smoother and of the rougher basin of all surfaces that have them, by name."""
    by_name = {name: [surface[name] for surface in found if name in surface] for name in _POWERS}
    return {
        name: Curves(
            x=curves[0].radii,
            samples=np.array([curve.counts for curve in curves], dtype=np.float64),
            over="surfaces",
            provenance=call,
        )
        for name, curves in by_name.items()
        if curves
    }


def _judge_clustering(found):
    powers = {name: found[f"{name}_power"] for name in _POWERS}
    fewest = min(power.n for power in powers.values())
    if fewest < 2:
        return Judgement(NOT_REPRODUCED, "There are no two basins of minima: nothing clusters.")
    if not all(power.below(1.95) for power in powers.values()):
        return Judgement(NOT_REPRODUCED, "A power below 2, which fills the plane, is not shown.")
    published = {
        f"{name}_{of}": value
        for name, pair in _POWERS.items()
        for of, value in zip(("power", "radius"), pair, strict=True)
    }
    beyond = [name for name, value in published.items() if not found[name].allows(value)]
    if beyond:
        told = ", ".join(
            f"{found[name].words} {published[name]} (ours {found[name].value:.3g})"
            for name in beyond
        )
        return Judgement(
            NOT_REPRODUCED,
            f"Published values beyond what a further surface is expected to show: {told}.",
        )
    order, mono = found["difference"], found["monofractal"]
    sides = (
        "the smoother basin has the larger power"
        if order.above(0)
        else "which basin has the larger power is not settled"
    )
    also = (
        f" Neither number tells multifractality: a monofractal surface gives {mono.value:.2f}."
        if mono.n > 1 and mono.below(1.95)
        else ""
    )
    if order.above(0):
        return Judgement(
            REPRODUCED,
            f"All four published numbers are what one surface may show, and {sides}.{also}",
        )
    radius = found["smoother_radius"]
    return Judgement(
        CORRECTED,
        f"Minima cluster with powers below 2, and the published numbers are what one surface may "
        f"show; but they scatter from surface to surface (R₀ by ± {radius.spread:.0f} pixels), the typical "
        f"powers are {powers['smoother'].value:.2f} and {powers['rougher'].value:.2f}, and {sides}.{also}",
    )


CLUSTERING = Claim(
    "clustering",
    "Minima cluster as a power law",
    "The number N(R) of low minima within R of a minimum of a basin grows as R^1.72 up to R₀ = 36.7 pixels in a smoother "
    "basin and as R^1.60 up to R₀ = 29.4 in a rougher one, of one surface.",
    "Not reproduced without two basins of at least a 30th of the minima each, unless both powers lie below 1.95 with their "
    "whole intervals (2 fills the plane), or when a published number lies outside the interval of one more surface. "
    "Reproduced if besides the smoother basin has the larger power with its whole interval; otherwise with a correction. On "
    "each surface the smoother and the rougher are those of largest and smallest mean log flatness among the six largest "
    "basins.",
    _measure_clustering,
    _judge_clustering,
    figures.clustering,
    "N(R) of the smoother and the rougher basin of each of our surfaces (thin) with the published power laws up to their R₀ "
    "(thick, at the height of our median curve).",
    Protocol(
        "Two boxes chosen by eye on one surface, smooth (x 670 to 810, y 700 to 950) and rough (x 200 to 300, y 710 to 860); "
        "the 3000 lowest minima.",
        "Basins found, not boxed: connected parts of the lowest minima, the smoothest and the roughest of the six largest.",
        no_file="The published surface (landscape.mat) is not among the files here; the numbers stated are held against one more.",
    ),
    headline={
        "smoother_power": "power in the smoother basin",
        "rougher_power": "in the rougher",
        "monofractal": "on a monofractal surface",
    },
)


# Losses in a basin


def _measure_losses(study):
    found = study.each(partial(_losses_of, study), title="losses")
    call = study.provenance("loss_histogram", box="bounding box of the smoother basin", bins=50)
    rank, width, lean, minima = (np.array([surface[k] for surface in found]) for k in range(4))
    quantities = {
        "rank": Quantity.mean("share of the surface below the median loss of the box", rank, call),
        "width": Quantity.mean(
            "interquartile range of the box, over that of the surface", width, call
        ),
        "skew": Quantity.mean("skewness of the losses in the box", lean, call),
        "minima": Quantity.mean(
            "interquartile range of the lowest minima in the box (the paper's histogram), over that of the surface",
            minima,
            call,
        ),
    }
    histograms = {
        name: np.array([surface[k] for surface in found]) for name, k in (("box", 4), ("whole", 5))
    }
    return Measured(
        quantities=quantities,
        results={
            name: _densities(density[np.isfinite(density).all(axis=1)], "surfaces", call)
            for name, density in histograms.items()
        }
        | _published_losses(),
    )


def _densities(samples, over, call):
    return Curves(x=_EDGES, samples=samples, over=over, provenance=call)


_EDGES = np.linspace(-0.2, 1.2, 57)  # of the histograms, in units of the surface's central 98 %


def _losses_of(study, i):
    """Return (rank, width, skewness, width of the minima) of the smoother basin's box, and both histograms as densities."""
    values, (lowest, large) = study.surface(i).values, lowest_and_basins(study, i)
    if not large:
        return *[np.nan] * 4, np.full(len(_EDGES) - 1, np.nan), _density(values, values)
    x, y = smoother_and_rougher(large)[0].positions.astype(int).T
    inside = values[y.min() : y.max() + 1, x.min() : x.max() + 1]
    corners = np.array([[x.min(), y.min()], [x.max(), y.max()]])
    in_box = ((lowest.positions >= corners[0]) & (lowest.positions <= corners[1])).all(axis=1)
    rank, width, lean, *densities = _against(inside, values)
    return rank, width, lean, _quartiles(lowest.losses[in_box]) / _quartiles(values), *densities


def _quartiles(losses):
    """Return the range between the quartiles."""
    return float(np.diff(np.quantile(np.asarray(losses, dtype=np.float64), [0.25, 0.75]))[0])


def _against(inside, values):
    inside = np.asarray(inside, dtype=np.float64)
    return (
        float((values < np.median(inside)).mean()),
        _quartiles(inside) / _quartiles(values),
        float(skew(inside.ravel())),
        _density(inside, values),
        _density(values, values),
    )


def _density(losses, values):
    low, high = np.quantile(values, [0.01, 0.99])
    return np.histogram((np.asarray(losses, dtype=np.float64) - low) / (high - low), bins=_EDGES)[
        0
    ] / (losses.size * np.diff(_EDGES))


def _published_losses():
    name = "multifractional_brownian_surface/landscape.mat"
    if not source_data.available(name):
        return {}
    values, (x0, x1, y0, y1) = source_data.read(name)["landscape"], _PAPER_BOX
    density = _against(values[y0 : y1 + 1, x0 : x1 + 1], values)[3]
    call = Provenance.of("source_data.read", name=name)
    return {"published": _densities(density[None], "files", call)}


def _judge_losses(found):
    rank, width = found["rank"], found["width"]
    if rank.n < 2:
        return Judgement(
            NOT_REPRODUCED, "There is no basin of low minima, hence no box to count in."
        )
    if rank.below(0.25) and width.below(0.5):
        return Judgement(
            REPRODUCED,
            f"The box is a low and narrow part of the surface: its median loss lies above "
            f"{rank.value:.0%} of it, and its losses spread over {width.value:.0%} of the surface's range "
            "between quartiles. The paper gives no number to compare.",
        )
    return Judgement(
        NOT_REPRODUCED,
        f"The box is not set apart: its median loss lies above {rank.value:.0%} of the "
        f"surface, and its losses spread over {width.value:.0%} of the surface's range between quartiles.",
    )


LOSSES = Claim(
    "losses",
    "Losses in a basin",
    "A histogram of the losses, above the global minimum, of those of the 3000 lowest minima that lie in the box of the "
    "smoother basin (x 650 to 900, y 700 to 950 on the paper's surface). No number is given; we read it as: the basin is one "
    "low-lying region of nearly equal losses.",
    "Minima among the lowest are low wherever they lie, so all grid points of the box are judged and its minima shown. "
    "Reproduced if the median loss of the box lies in the lowest quarter of the surface, and the box's range between "
    "quartiles is less than half of the surface's, both with their whole intervals (a box anywhere has 1/2 and, if it is "
    "large, 1). The box is that of the smoother basin found in the claim on clustering.",
    _measure_losses,
    _judge_losses,
    figures.losses,
    "Losses in the box of the smoother basin and on the whole surface, as densities, in units of the central 98 % of each "
    "surface: mean over surfaces, band: their standard deviation.",
    Protocol(
        "The losses of the 3000 lowest minima that lie in the box, above the global minimum (as the notebook has it), on one "
        "surface.",
        "The losses of those minima in the box of the smoother basin, and of all grid points there, on each surface.",
        no_file="The published surface (landscape.mat) is not among the files here.",
    ),
    headline={
        "rank": "share of the surface below the box's median",
        "width": "quartile range over the surface's",
        "minima": "that of its minima",
    },
    data=("multifractional_brownian_surface/landscape.mat",),
)

CLAIMS = (MINIMA, CLUSTERING, LOSSES)


def _lowest_count(study):
    """Return how many of the lowest minima are looked at: 3000 (paper), fewer on a smaller surface, at least 400."""
    return max(round(_LOWEST * (study.size / _PAPER_SIZE) ** 2), 400)
