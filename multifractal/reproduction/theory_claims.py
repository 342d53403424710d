"""Claims of the theory: the exponent by Hurst exponent, fits of the displacement law, and the fractional Langevin path."""

from functools import partial

import numpy as np

from multifractal import source_data
from multifractal.base.chunks import map_chunks
from multifractal.base.curves import Curves
from multifractal.base.result import Provenance
from multifractal.diffusion.diagram import DiffusionDiagram, curves_on
from multifractal.diffusion.displacement import Displacement, tamsd
from multifractal.diffusion.langevin import fractional_langevin, published_noise
from multifractal.diffusion.potentials import PaperPotential
from multifractal.diffusion.theory import diffusion_exponent_law, fit_tamsd
from multifractal.figures import reproduced_dynamics as figures
from multifractal.reproduction import exponents
from multifractal.reproduction.claim import (
    CORRECTED,
    NOT_REPRODUCED,
    REPRODUCED,
    Claim,
    Judgement,
    Measured,
    Quantity,
)
from multifractal.reproduction.exponents import Stated
from multifractal.walkers.descent import descend_ensemble

# second index of what these claims draw on a surface
_STREAM_ALPHA, _STREAM_FITS, _STREAM_PATHS = 31, 32, 33


# The diffusion exponent as a function of H

_HURSTS = (0.3, 0.5, 0.6, 0.7, 0.8)
_RATES = np.array([100.0, 300.0, 1000.0, 3000.0, 10_000.0, 100_000.0])
_JUDGED = (1000.0, 3000.0, 10_000.0)  # the published rate, and a decade up from it
_LAGS, _WAITING = np.arange(1, 11), 1000
_CLOSE = 0.05  # as `diffusion_diagram`, which was written before this rule


def _measure_alpha(study):
    jobs = [(hurst, i) for hurst in _HURSTS for i in range(study.n_surfaces)]
    found = study.each(partial(_alpha_curves, study), jobs, title="alpha(H)")
    shape = (len(_HURSTS), study.n_surfaces, len(_RATES))
    curves = np.array([curve for curve, _ in found]).reshape(*shape, len(_LAGS))
    at_rest = np.array([resting for _, resting in found]).reshape(shape)
    alphas = np.where(at_rest > 0.5, np.nan, exponents.log_slope(_LAGS, curves))
    call = study.provenance(
        "diagram.curves_on",
        hursts=_HURSTS,
        learning_rates=_RATES,
        n_starts=_starts(study),
        waiting_time=_WAITING,
        lag_range=(1, 10),
    )
    quantities = {
        _name(hurst, rate): Quantity.mean(
            f"exponent at H = {hurst}, rate {rate:,.0f}",
            alphas[k, :, _RATES == rate][0],
            call,
            published=f"{diffusion_exponent_law(hurst):.2g}",
        )
        for rate in _JUDGED
        for k, hurst in enumerate(_HURSTS)
    }
    diagram = DiffusionDiagram.of(
        curves=curves,
        at_rest=at_rest,
        hursts=np.array(_HURSTS),
        learning_rates=_RATES,
        lag_times=_LAGS,
        waiting_time=_WAITING,
        n_walkers=_starts(study),
        provenance=call,
    )
    return Measured(quantities=quantities, results={"diagram": diagram} | _published_alphas())


def _published_alphas():
    """Return the paper's exponents by Hurst exponent, one curve for each of its trials, if its file is here."""
    name = "fractional_brownian_surfaces/alphas.mat"
    if not source_data.available(name):
        return {}
    alphas = source_data.read(name)["alphas"]
    return {
        "published": Curves(
            x=np.arange(1, 10) / 10,
            samples=alphas.T,
            over="trials",
            provenance=Provenance.of("source_data.read", name=name),
        )
    }


def _alpha_curves(study, job):
    hurst, i = job
    return curves_on(
        study.monofractal(hurst, i),
        study.rng(i, _STREAM_ALPHA),
        _RATES,
        _starts(study),
        _WAITING,
        _LAGS,
    )


def _starts(study):
    return study.repeats(15, least=4)


def _name(hurst, rate):
    return f"H={hurst} rate={rate:g}"


def _judge_alpha(found):
    off = {
        rate: [hurst for hurst in _HURSTS if not _follows(found, hurst, rate)] for rate in _JUDGED
    }
    holding = [rate for rate in _JUDGED if not off[rate]]
    if len(holding) == len(_JUDGED):
        return Judgement(
            REPRODUCED,
            "The exponent follows the law at rates 1000, 3000 and 10 000: it depends on H alone.",
        )
    misses = "; ".join(
        f"at rate {rate:,.0f} it fails for H = "
        + ", ".join(
            f"{hurst} ({_alpha_in_words(found[_name(hurst, rate)])})" for hurst in off[rate]
        )
        for rate in _JUDGED
        if off[rate]
    )
    if holding:
        return Judgement(
            CORRECTED,
            f"The exponent is not a function of H alone, but at rate {holding[0]:,.0f} of our "
            f"surfaces it follows the law for every H: {misses}. A rate counts with the amplitude of the "
            "surface, which the paper does not record.",
        )
    return Judgement(
        NOT_REPRODUCED, f"At no one rate does the exponent follow the law for every H: {misses}."
    )


def _follows(found, hurst, rate):
    return found[_name(hurst, rate)].allows(float(diffusion_exponent_law(hurst)), _CLOSE)


def _alpha_in_words(quantity):
    return f"{quantity.value:.2f}" if quantity.n > 1 else "walks rest"


ALPHA = Claim(
    "alpha_of_hurst",
    "The diffusion exponent is a function of the Hurst exponent",
    "On fractional Brownian surfaces walks diffuse at short times with an exponent of 1 for H up to 1/2 and 2 − 2H above "
    "(learning rate 1000).",
    "A rate passes if for each H one more surface may show the law's exponent within 0.05 (95 %). Reproduced if the "
    "published rate 1000, and 3000 and 10 000 too, pass: a function of H alone does not depend on the rate. Reproduced "
    "with a correction if one or two of them pass. Not reproduced if none does. All H must pass at the same rate: an "
    "exponent that rises with the rate takes every value at some rate.",
    _measure_alpha,
    _judge_alpha,
    figures.alpha_of_hurst,
    "Short-time diffusion exponent (lags 1 to 10, waiting time 1000, exact unfolding, 15 walks a surface from anywhere) by "
    "Hurst exponent at three learning rates: mean curve over surfaces, bootstrap 95 %. Below: all rates; grey where walks "
    "rest.",
)


# Fits of the displacement law

# Hurst exponent of the surface: line of the published file (paper)
_FITTED = {0.4: 3, 0.5: 2, 0.6: -1, 0.7: -1}
_FIT_RATE, _FIT_WAITING, _FIT_WINDOW, _FIT_LAGS = 1000.0, 3000, 3000, np.arange(1, 1000)
# decades, the largest of the paper's own files under this fit (H = 0.4)
_PUBLISHED_RESIDUAL = 0.057


def _measure_fits(study):
    jobs = [(hurst, i) for hurst in _FITTED for i in range(study.n_surfaces)]
    found = study.each(partial(_fit_on, study), jobs, title="fits of the theory")
    table = np.array([_numbers(*one) for one in found])
    table = table.reshape(len(_FITTED), study.n_surfaces, -1)
    call = study.provenance(
        "fit_tamsd",
        learning_rate=_FIT_RATE,
        waiting_time=_FIT_WAITING,
        window=_FIT_WINDOW,
        n_walks=study.repeats(10, least=3),
    )
    published = _published_fits()
    quantities = {}
    for k, hurst in enumerate(_FITTED):
        of_file = (
            f"; {published[f'published fit {hurst}'].hurst:.3f} in its file"
            if f"published fit {hurst}" in published
            else ""
        )
        for name, words, column, unit, stated in (
            ("slope", "slope of displacement over lags 1 to 999", 2, "", "below 1"),
            ("hurst", "H of the fit", 0, "", f"{hurst}{of_file}"),
            ("residual", "residual of the fit", 1, "decades", ""),
        ):
            quantities[f"{name} {hurst}"] = Quantity.mean(
                f"surface H = {hurst}: {words}",
                table[k, :, column],
                call,
                unit=unit,
                published=stated,
            )
    first = found[:: study.n_surfaces]
    shown = {
        f"{name} {hurst}": result
        for hurst, pair in zip(_FITTED, first, strict=True)
        for name, result in zip(("ours", "fit"), pair, strict=True)
        if result is not None
    }
    return Measured(quantities=quantities, results=shown | published)


def _fit_on(study, job):
    """Return (Displacement, TamsdFit) of one surface; None for the fit where walks rest."""
    hurst, i = job
    landscape, stream = study.monofractal(hurst, i), study.rng(i, _STREAM_FITS)
    starts = stream.uniform(0, np.array(landscape.shape[::-1]) - 1, (study.repeats(10, least=3), 2))
    walks = descend_ensemble(landscape, starts, learning_rates=[_FIT_RATE], n_steps=6999)
    found = tamsd(
        walks.unfolded[0], waiting_times=[_FIT_WAITING], lag_times=_FIT_LAGS, window=_FIT_WINDOW
    )
    return found, _fit(found)


def _fit(displacement):
    curve = displacement.values[0]
    if not (curve > 0).all():
        return None
    return fit_tamsd(displacement.lag_times, curve, learning_rate=_FIT_RATE)


def _numbers(displacement, fit):
    """Return (fitted H, residual, slope over log-spaced lags); NaN where walks rest."""
    if fit is None:
        return [np.nan] * 3
    lags, curve = displacement.lag_times, displacement.values[0]
    spaced = np.unique(np.searchsorted(lags, fit.lag_times))  # as the fit's
    return [fit.hurst, fit.rms_log10, float(exponents.log_slope(lags[spaced], curve[spaced]))]


def _published_fits():
    """Return the displacement of the paper's files that are here, and its fit, by H of the surface."""
    found = {}
    for hurst, line in _FITTED.items():
        name = f"fractional_brownian_surfaces/TAMSD_H={hurst}.mat"
        if source_data.available(name):
            file = source_data.read(name)
            moving = file["xs"][line] > 0
            curve = Displacement(
                per_walk=file["ys"][line][moving][None, None],
                waiting_times=np.array([_FIT_WAITING]),
                lag_times=file["xs"][line][moving],
                window=_FIT_WINDOW,
                provenance=Provenance.of("source_data.read", name=name),
            )
            found |= {f"published {hurst}": curve, f"published fit {hurst}": _fit(curve)}
    return found


def _judge_fits(found):
    resting = [hurst for hurst in _FITTED if found[f"slope {hurst}"].n < 2]
    if resting:
        return Judgement(
            NOT_REPRODUCED,
            f"Walks rest on the surface of H = {resting[0]}: there is nothing to fit.",
        )
    slopes = {hurst: found[f"slope {hurst}"] for hurst in _FITTED}
    ordinary = [hurst for hurst, slope in slopes.items() if not (slope.above(0) and slope.below(1))]
    if ordinary:
        return Judgement(
            NOT_REPRODUCED,
            "Displacement is not sub-diffusive for H = "
            + ", ".join(f"{hurst} (slope {slopes[hurst].value:.2f})" for hurst in ordinary)
            + ".",
        )
    poor = [hurst for hurst in _FITTED if found[f"residual {hurst}"].above(_PUBLISHED_RESIDUAL)]
    if poor:
        return Judgement(
            NOT_REPRODUCED,
            "The law does not fit for H = "
            + ", ".join(
                f"{hurst} (residual {found[f'residual {hurst}'].value:.3f} decades)"
                for hurst in poor
            )
            + ".",
        )
    others = [h for h in _FITTED if found[f"hurst {h}"].below(h) or found[f"hurst {h}"].above(h)]
    if not others:
        return Judgement(
            REPRODUCED,
            "Displacement is sub-diffusive, the law fits, and the H it gives is the surface's.",
        )
    return Judgement(
        CORRECTED,
        "Displacement is sub-diffusive and the law fits, but the H of the fit is not the surface's: "
        + ", ".join(f"{found[f'hurst {h}'].value:.2f} on {h}" for h in others)
        + ".",
    )


FITS = Claim(
    "subdiffusion_fits",
    "The theory's law fits sub-diffusion",
    "Walks on surfaces of H = 0.4, 0.5, 0.6, 0.7 are sub-diffusive, and the displacement law of the fractional Langevin "
    "equation in a harmonic well, of the surface's H, fits them.",
    "Not reproduced unless, for each H, displacement over lags 1 to 999 has a slope between 0 and 1 and the residual of the "
    "fit is not above 0.057 decades, the largest of this fit to the paper's own files; both by the intervals of the means. "
    "Reproduced if besides the interval of the fitted H contains the surface's for each; with a correction (the H is that "
    "of the walk's memory) if not.",
    _measure_fits,
    _judge_fits,
    figures.subdiffusion_fits,
    "Displacement after waiting time 3000 on the first surface of each H (mean of 10 walks, learning rate 1000) with the "
    "fit of the law, and the paper's files with theirs, if they are here (scaled for display as in the paper).",
)


# The fractional Langevin path

_PATH = {"n_steps": 10_000, "hurst": 0.7, "learning_rate": 1000.0, "beta": 5e3}  # paper
_X0, _PATH_WINDOW, _PATH_WAITING = -700.0, 3000, (0, 4000)  # on the way, in the well
_SLIDE_SHORT = Stated("short", "short", 0.6, (2, 20), "on the way, at lags 2 to 20")
_SLIDE_LONG = Stated("long", "long", 1.2, (100, 500), "on the way, at lags 100 to 500")
_IN_WELL = Stated("well", "well", 0.35, (2, 10), "in the well, at lags 2 to 10 (waiting time 4000)")
_PATH_LAGS = np.unique(np.geomspace(1, 999, 60).round().astype(int))


def measure_langevin(study, potential=None):
    """Return the Measured of the Langevin claim, in the paper's potential unless another is given."""
    potential = PaperPotential() if potential is None else potential
    n_paths = study.repeats(200, least=10)
    paths = fractional_langevin(
        potential, np.full(n_paths, _X0), rng=study.rng(0, _STREAM_PATHS), **_PATH
    )
    curves = _displacements(paths.positions)
    call = study.provenance(
        "fractional_langevin", potential=potential, x0=_X0, n_paths=n_paths, **_PATH
    )
    quantities = {
        each.name: Quantity.mean(
            f"exponent {each.words}",
            each.read_off(_PATH_LAGS, curves[:, row]),
            call,
            over="paths",
            published=f"{each.published:g}",
        )
        for each, row in ((_SLIDE_SHORT, 0), (_SLIDE_LONG, 0), (_IN_WELL, 1))
    }
    shown = fractional_langevin(
        potential, _X0, noise=published_noise(_PATH["n_steps"], _PATH["hurst"], seed=0), **_PATH
    )
    found = _as_displacement(curves, call)
    lines = [
        each.line(
            _PATH_LAGS, found.curves(_PATH_WAITING[row], "paths").median, quantities[each.name]
        )
        for each, row in ((_SLIDE_SHORT, 0), (_SLIDE_LONG, 0), (_IN_WELL, 1))
    ]
    return Measured(
        quantities=quantities,
        results={
            "displacement": found,
            "exponents": lines,
            "published": _as_displacement(_displacements(shown.positions[None]), shown.provenance),
        },
    )


def _as_displacement(curves, provenance):
    return Displacement(
        per_walk=curves,
        waiting_times=np.array(_PATH_WAITING),
        lag_times=_PATH_LAGS,
        window=_PATH_WINDOW,
        provenance=provenance,
    )


def _displacements(positions):
    """Return displacement curves (n_paths, n_waiting, n_lags), a path at a time on all processors."""
    found = map_chunks(
        partial(tamsd, waiting_times=_PATH_WAITING, lag_times=_PATH_LAGS, window=_PATH_WINDOW),
        [(path,) for path in positions],
    )
    return np.array([each.values for each in found])


def _judge_langevin(found):
    return exponents.judge((_SLIDE_SHORT, _SLIDE_LONG, _IN_WELL), found)


LANGEVIN = Claim(
    "langevin",
    "The fractional Langevin equation gives the three regimes",
    "A path that slides down a rippled slope into a harmonic well (H = 0.7) has exponents of 0.6 at short and 1.2 at long "
    "lags on the way, and 0.35 in the well.",
    exponents.RULE.format(one="one more path"),
    measure_langevin,
    _judge_langevin,
    figures.langevin,
    "Displacement by lag of paths from x = −700 at waiting times 0 (on the way) and 4000 (in the well): median over paths, "
    "band: 95 % of the paths; dashed: the path from the published seed.",
)

CLAIMS = (ALPHA, FITS, LANGEVIN)
