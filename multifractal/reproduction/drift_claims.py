"""Claims on where walks go: to flat ground or to sharp, and whether variants of descent go there too."""

from dataclasses import replace
from functools import partial

import numpy as np

from multifractal.base.curves import Curves
from multifractal.diffusion.diagram import AT_REST
from multifractal.diffusion.displacement import tamsd
from multifractal.figures import reproduced_dynamics as figures
from multifractal.figures import reproduction as surface_figures
from multifractal.reproduction import exponents
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
from multifractal.walkers.descent import descend_ensemble, start_near_maximum
from multifractal.walkers.drift import FIELDS, KINDS, drift_to_flat
from multifractal.walkers.stability import sharpness_at

_RATE, _N_STEPS = 1000.0, 9999  # paper
# the drift is measured on so many times the study's surfaces: surfaces differ by sd .14, see its rule
_DRIFT_FACTOR = 2
# second index of what these claims draw on a surface
_STREAM_DRIFT, _STREAM_VARIANTS, _STREAM_SHARPENING = 12, 13, 15


# Drift to flat regions


def _measure_drift(study):
    n = _DRIFT_FACTOR * study.n_surfaces
    parts = study.each(partial(_drift_on, study), range(n), title="drift")
    call = study.provenance(
        "drift_to_flat",
        learning_rate=_RATE,
        n_steps=_N_STEPS,
        n_walkers=_walkers(study),
        start="maximum",
        n_surfaces=n,
    )
    drift = replace(
        parts[0],
        shares=np.concatenate([part.shares for part in parts], axis=2),
        arrivals=np.concatenate([part.arrivals for part in parts], axis=1),
        provenance=call,
    )
    return drift_numbers(drift, call)


def drift_numbers(drift, call):
    """Return the Measured of a `Drift`."""
    shares = drift.shares
    flattest, lowest = (
        shares[:, FIELDS.index("flatness"), :, 9],
        shares[:, FIELDS.index("low loss"), :, 9],
    )
    quantities = {
        "descent": Quantity.mean(
            "share of the time in the flattest tenth of the grid", flattest[0], call
        )
    }
    for k, kind in enumerate(KINDS[1:], start=1):
        quantities[kind] = Quantity.mean(
            f"... less that of the control: {kind}", flattest[0] - flattest[k], call
        )
    quantities["low loss"] = Quantity.mean(
        f"share in the lowest tenth, less that of the control: {KINDS[3]}",
        lowest[0] - lowest[3],
        call,
    )
    return Measured(quantities=quantities, results={"drift": drift})


def _drift_on(study, i):
    # Surfaces beyond the study's own serve this claim alone and are not kept.
    landscape = study.surface(i) if i < study.n_surfaces else study.draw_surface(i, study)
    return drift_to_flat(
        [landscape],
        learning_rate=_RATE,
        n_steps=_N_STEPS,
        n_walkers=_walkers(study),
        rng=study.rng(i, _STREAM_DRIFT),
    )


def _walkers(study):
    return study.repeats(20, least=4)


def _judge_drift(found):
    forgetting, local, low = (
        [found[kind] for kind in KINDS[1:3]],
        found[KINDS[3]],
        found["low loss"],
    )
    worst = min(forgetting, key=lambda each: each.low)
    told = _in_words(worst)
    if not all(each.above(0) for each in forgetting):
        return Judgement(
            NOT_REPRODUCED,
            f"Descent is not more in the flattest tenth than walks that forget the place: {told}.",
        )
    if local.above(0):
        return Judgement(
            REPRODUCED,
            f"Descent is more in the flattest tenth than each control, at the least {told}.",
        )
    adds = (
        f" What descending adds is low loss: {_in_words(low)} in the lowest tenth."
        if low.above(0)
        else ""
    )
    return Judgement(
        CORRECTED,
        f"Descent is more in the flattest tenth than walks that forget the place ({told}), but not "
        f"more than steps as long as descent's at each place in random directions ({_in_words(local)}): flat "
        f"ground holds walkers because steps are short on it.{adds}",
    )


def _in_words(difference):
    return f"{difference.value:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}] of the time"


DRIFT = Claim(
    "drift",
    "Descent drifts to flat regions",
    "Gradient descent, without any noise, drifts from rough ground to flat regions. No number is given.",
    "Not reproduced unless descent is in the flattest tenth of the grid more of the time than two controls that forget the "
    "place (the same steps in random directions; the walk's increments shuffled), each difference above 0 with its whole "
    "interval. Reproduced if it is there more, too, than steps as long as descent's at each place in random directions; "
    "with a correction if not: then short steps on flat ground explain the gathering, and descending does not. Surfaces "
    f"differ much (standard deviation .14 of the time), so {_DRIFT_FACTOR} times as many are drawn as for the other claims.",
    _measure_drift,
    _judge_drift,
    figures.drift,
    "Share of the time in each tenth of the grid by flatness and by loss, 10 000 positions of 20 walkers a surface from "
    "near the global maximum, learning rate 1000: means over surfaces with 95 % intervals; dotted: no preference. Below: "
    "how soon walkers are first in the flattest tenth, by curvature averaged over 64 pixels.",
    Protocol(
        "One walk from near the global maximum, drawn on the flatness map; no share and no control (the figures show where "
        "it goes).",
        "Many walks on many surfaces, from the maximum as in the paper, each with three controls of the same steps.",
        no_file="The published walk (trajectory.mat, landscape.mat) is not among the files here, and no share is stated.",
    ),
    headline={
        "same steps, random directions": "share of the time in the flattest tenth, less that of the same steps in random directions",
        "local steps, random directions": "less that of local steps in random directions",
    },
)


# Progressive sharpening

SHARPENING_RATES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_SLOW = SHARPENING_RATES[
    :2
]  # 2/rate lies above the sharpness of all ground there, so that nothing stops a rise
_STEPS = 4999  # paper, edge of stability
TIMES = np.unique(np.concatenate([[0], np.geomspace(1, _STEPS, 31).round()])).astype(int)
_MIDDLE = int(
    np.abs(np.log(np.maximum(TIMES, 1)) - np.log(_STEPS) / 2).argmin()
)  # of log time, step 71
BEGUN = {"anywhere": "from anywhere", "near": "from near the maximum"}


def _measure_sharpening(study):
    found = study.each(partial(_ranks_on, study), title="sharpening")
    ranks = {arm: np.array([each[arm] for each in found]) for arm in BEGUN}
    return sharpening_numbers(ranks, partial(_sharpening_call, study))


def _sharpening_call(study, arm):
    return study.provenance(
        "sharpness_at",
        learning_rates=SHARPENING_RATES,
        n_steps=_STEPS,
        n_walkers=study.repeats(40, least=12),
        starts=BEGUN[arm],
    )


def _ranks_on(study, i):
    """Return {arm: mean rank of the sharpness among that of all the grid, (n_rates, n_times)} of surface i."""
    landscape, draw = study.surface(i), study.rng(i, _STREAM_SHARPENING)
    n = study.repeats(40, least=12)
    starts = {
        "anywhere": draw.uniform(0, np.array(landscape.shape[::-1]) - 1, (n, 2)),
        "near": np.array([start_near_maximum(landscape, draw) for _ in range(n)]),
    }
    grid = landscape.hessian_eigenvalues[1]
    unit = 1e-6 * np.abs(grid).max()  # below it ground of one sharpness differs by rounding
    ordered = np.sort(np.round(grid.ravel() / unit))
    found = {}
    for arm, begun in starts.items():
        walks = descend_ensemble(landscape, begun, learning_rates=SHARPENING_RATES, n_steps=_STEPS)
        sharpness = np.round(sharpness_at(landscape, walks.positions[:, :, TIMES]) / unit)
        ranks = [np.searchsorted(ordered, sharpness, side) for side in ("left", "right")]
        found[arm] = np.mean(ranks, axis=(0, 2)) / len(ordered)
    return found


def sharpening_numbers(ranks, call):
    """Return the Measured of ranks of sharpness among all ground by arm, each (n_surfaces, n_rates, n_times)."""
    quantities, results = {}, {}
    for arm, words in BEGUN.items():
        told, found = call(arm), ranks[arm]
        for k, rate in enumerate(SHARPENING_RATES):
            for name, first, what in (
                ("rise", 0, f"from the start to step {_STEPS + 1}"),
                ("later", _MIDDLE, f"from step {TIMES[_MIDDLE]} on"),
            ):
                quantities[f"{arm} {name} {rate:g}"] = Quantity.mean(
                    f"{words}, rate {rate:g}: rise of the rank of sharpness {what}",
                    found[:, k, -1] - found[:, k, first],
                    told,
                    published="above 0" if rate in _SLOW else "",
                )
            results[f"{arm} {rate:g}"] = Curves(
                x=TIMES, samples=found[:, k], over="surfaces", provenance=told
            )
    return Measured(quantities=quantities, results=results)


def _judge_sharpening(found):
    def rises(name):
        return all(found[f"{arm} {name} {rate:g}"].above(0) for arm in BEGUN for rate in _SLOW)

    told = "; ".join(
        f"{words} it rises by "
        + ", ".join(
            f"{found[f'{arm} rise {rate:g}'].value:+.2f} at rate {rate:g}"
            for rate in SHARPENING_RATES
        )
        for arm, words in BEGUN.items()
    )
    told = f"Rank of the sharpness among that of all ground, start to end: {told}."
    if not rises("rise"):
        return Judgement(NOT_REPRODUCED, f"Sharpness does not rise along slow walks. {told}")
    if rises("later"):
        return Judgement(REPRODUCED, f"Sharpness rises, and goes on rising. {told}")
    late = max(abs(found[f"{arm} later {rate:g}"].value) for arm in BEGUN for rate in _SLOW)
    return Judgement(
        CORRECTED,
        f"Sharpness rises along slow walks, but not progressively: after step {TIMES[_MIDDLE]}, in the second half of log time, "
        f"its rank changes by {late:.3f} at the most, since walkers lie in the nearest minimum, and minima are sharp. {told}",
    )


SHARPENING = Claim(
    "sharpening",
    "Sharpness rises along walks before the edge",
    "Progressive sharpening comes before the edge of stability in full-batch training (Cohen et al. 2021), which the paper's model "
    "is to explain. Whether the paper says so of the model we do not know: its text could not be had.",
    "At rates 3 and 10, where 2/rate lies above the sharpness of 99.98 % of the ground, so that nothing stops a rise: not "
    "reproduced unless from both kinds of start the sharpness (largest eigenvalue of the Hessian, ranked among that of all the "
    "grid, so that it is defined where it is negative) is higher at the end of the walk than at its start, with whole intervals. "
    "Reproduced if it is also higher at the end than in the middle of log time (step 71), for what is called progressive goes on; "
    "with a correction if not. Written before it was measured. Higher rates are shown: there walks drift to flat ground.",
    _measure_sharpening,
    _judge_sharpening,
    surface_figures.sharpening,
    "Share of the grid that is less sharp than where walkers are, by step and learning rate, from anywhere (above) and from near "
    "the global maximum (below): means over surfaces, 40 walkers each, with 95 % intervals. One half is no preference.",
    Protocol(
        "None on record: the published notebook keeps the sharpness of the last 100 positions only.",
        "Walks of 5000 positions at six rates, from anywhere and from near the maximum.",
        no_file="No file holds sharpness by time.",
    ),
    headline={
        "anywhere rise 10": "rise of the rank of sharpness at rate 10, from anywhere",
        "anywhere later 10": "of it after step 71",
        "near rise 10": "from near the maximum",
        "near later 10": "of it after step 71",
        "anywhere rise 1000": "at rate 1000, from anywhere",
    },
)


# Variants of descent

# Set before they were run, by one rule: each at three strengths about the paper's rate of 1000, a factor of about 3 apart. Plain
# descent at three rates; momentum at the rates that come to these in the long run, (1 - momentum) times them; Adam with steps as
# long as plain descent's are anywhere at these rates; noise of three shares of the gradient's root mean square, at rate 1000.
_STRENGTHS, _NOISES = (300.0, 1000.0, 3000.0), (0.1, 0.3, 1.0)
_MOMENTUM = 0.9  # also Adam's beta1: both remember 1 / (1 - 0.9) = 10 steps
VARIANTS = {
    f"{method} {strength:g}": (method, strength)
    for method in ("gd", "momentum", "adam", "sgd")
    for strength in (_NOISES if method == "sgd" else _STRENGTHS)
}
_METHODS = tuple(dict.fromkeys(method for method, _ in VARIANTS.values()))
_MOST = 2  # of its three settings, at which a rule must do what is claimed
_VARIANT_LAGS = np.unique(
    np.concatenate([np.arange(1, 11), np.geomspace(10, 400, 20).round()])
).astype(int)
# lags at which the exponent is read, in steps that a rule remembers
_READ_AT = {"gd": (3, 10), "sgd": (3, 10), "momentum": (30, 100), "adam": (30, 100)}
_WAITING, _WINDOW = 3200, 3000  # as in the claim on short lags


def setting(name, gradient):
    """Return (learning rate, parameters) of a variant where the gradient's components have this root mean square."""
    method, strength = VARIANTS[name]
    return {
        "gd": (strength, {}),
        "momentum": (strength * (1 - _MOMENTUM), {"momentum": _MOMENTUM}),
        "adam": (strength * gradient, {"beta1": _MOMENTUM}),
        "sgd": (_RATE, {"noise": "isotropic", "noise_scale": strength * gradient}),
    }[method]


def _measure_variants(study):
    found = study.each(partial(_variants_on, study), title="variants")
    curves, shares = (
        {name: np.array([surface[name][k] for surface in found]) for name in VARIANTS}
        for k in (0, 1)
    )
    return variant_numbers(curves, shares, partial(_variant_call, study))


def _variant_call(study, name):
    method, strength = VARIANTS[name]
    return study.provenance(
        "descend_ensemble",
        method=method,
        **{"noise share" if method == "sgd" else "strength": strength},
        waiting_time=_WAITING,
        window=_WINDOW,
        start="near the maximum",
        n_walkers=study.repeats(10, least=3),
    )


def _variants_on(study, i):
    """Return {name: (mean displacement by lag, share of positions in the flattest tenth of the grid)} of surface i."""
    landscape, draw = study.surface(i), study.rng(i, _STREAM_VARIANTS)
    starts = np.array(
        [start_near_maximum(landscape, draw) for _ in range(study.repeats(10, least=3))]
    )
    curvature = np.square(landscape.hessian_eigenvalues).sum(axis=0)
    flat = curvature <= np.quantile(curvature, 0.1)
    gradient = float(np.sqrt(np.square(landscape.gradient, dtype=np.float64).mean()))
    kept = _WINDOW + int(_VARIANT_LAGS[-1])
    found = {}
    for name, (method, _) in VARIANTS.items():
        rate, parameters = setting(name, gradient)
        walks = descend_ensemble(
            landscape,
            starts,
            learning_rates=[rate],
            n_steps=_WAITING + kept - 1,
            keep_last=kept,
            method=method,
            rng=draw if method == "sgd" else None,
            **parameters,
        )
        curve = tamsd(
            walks.unfolded[0], waiting_times=[0], lag_times=_VARIANT_LAGS, window=_WINDOW
        ).values[0]
        column, row = np.moveaxis(np.rint(walks.positions[0]).astype(int), -1, 0)
        found[name] = curve, float(flat[row, column].mean())
    return found


def variant_numbers(curves, shares, call):
    """Return the Measured of displacement (n_surfaces, n_lags) and shares of flat ground (n_surfaces,) by name."""
    quantities, results = {}, {}
    for name, (method, _) in VARIANTS.items():
        told, lags = call(name), _READ_AT[method]
        read = exponents.Stated("", "", 0.7, lags, "")
        moving = np.where(curves[name][:, -1:] >= AT_REST, curves[name], np.nan)
        quantities[f"{name} exponent"] = Quantity.mean(
            f"{name}: exponent at lags {lags[0]} to {lags[1]}",
            read.read_off(_VARIANT_LAGS, moving),
            told,
        )
        quantities[f"{name} share"] = Quantity.mean(
            f"{name}: share of the time in the flattest tenth of the grid", shares[name], told
        )
        results[name] = Curves(
            x=_VARIANT_LAGS, samples=curves[name], over="surfaces", provenance=told
        )
    return Measured(quantities=quantities, results=results)


def _judge_variants(found):
    def holds(name):
        alpha, share = found[f"{name} exponent"], found[f"{name} share"]
        return alpha.above(0) and alpha.below(1) and share.above(0.1)

    told = "; ".join(
        f"{name} {found[f'{name} exponent'].value:.2f} and {found[f'{name} share'].value:.2f}"
        for name in VARIANTS
    )
    told = f"Exponent and share of the time in the flattest tenth, by rule and setting: {told}."
    passed = {
        method: sum(holds(name) for name in VARIANTS if VARIANTS[name][0] == method)
        for method in _METHODS
    }
    told += (
        " Settings that pass, of three: " + ", ".join(f"{m} {n}" for m, n in passed.items()) + "."
    )
    holding = [method for method, n in passed.items() if n >= _MOST]
    if len(holding) == len(_METHODS):
        return Judgement(REPRODUCED, f"All are sub-diffusive and gather on flat ground. {told}")
    others = ", ".join(method for method in _METHODS if method not in holding)
    if "gd" in holding and len(holding) > 1:
        return Judgement(CORRECTED, f"It holds for {', '.join(holding)}, not for {others}. {told}")
    return Judgement(NOT_REPRODUCED, f"It does not hold for {others}. {told}")


VARIANTS_CLAIM = Claim(
    "variants",
    "Variants of descent do what descent does",
    "The abstract speaks of gradient descent and its variants. No number is given.",
    "A rule passes if at two of its three settings at least its walks are sub-diffusive (exponent between 0 and 1 at lags 3 to 10; "
    "for momentum and Adam, which remember ten steps, at ten times these lags) and spend more than a tenth of the time in the "
    "flattest tenth of the grid, both with whole intervals. Reproduced if plain descent, momentum, Adam and descent with gradient "
    "noise all pass; with a correction if plain descent and another do; else not reproduced. Settings follow one rule, written "
    "before they were run (an earlier report's had been chosen after trials): strengths 300, 1000 and 3000 about the paper's rate, "
    "that is rates for plain descent, rates times 1 − 0.9 for momentum 0.9, and for Adam steps as long as the root mean square "
    "gradient component times these; for noise, 0.1, 0.3 and 1 times that component at rate 1000. All are shown and all count. The "
    "controls of the drift claim are not repeated: that steps are short where it is flat may explain the share here too.",
    _measure_variants,
    _judge_variants,
    figures.variants,
    "Displacement by lag of walks from near the global maximum at waiting time 3200, by update rule: geometric mean over "
    "surfaces; the legend gives exponent and share of the time in the flattest tenth.",
    Protocol(
        "None that we could find in the published notebook: it simulates plain descent.",
        "Momentum, Adam and isotropic gradient noise, each at three settings that follow from the paper's rate by one rule.",
        no_file="No file holds walks of a variant.",
    ),
    headline={
        "gd 1000 exponent": "descent at rate 1000, exponent",
        "gd 1000 share": "share in the flattest tenth",
        "momentum 1000 exponent": "momentum that comes to it",
        "momentum 1000 share": "share",
        "adam 1000 exponent": "Adam of such steps",
        "adam 1000 share": "share",
        "sgd 0.3 exponent": "noise of 0.3 of the gradient",
        "sgd 0.3 share": "share",
    },
)

CLAIMS = (DRIFT, SHARPENING, VARIANTS_CLAIM)
