"""Claim on chaos: the Lyapunov exponent by learning rate, by the exact tangent map and by the published estimator."""

from functools import partial

import numpy as np

from multifractal import source_data
from multifractal.base.curves import Curves
from multifractal.base.result import Provenance
from multifractal.base.statistics import mean_and_error
from multifractal.figures import reproduced_dynamics as figures
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
from multifractal.reproduction.edge_claims import INSIDE, RATES, correlation
from multifractal.walkers.descent import start_near_maximum
from multifractal.walkers.stability import lyapunov_exponents
from multifractal.walkers.two_trajectories import carried_on, two_trajectories_ceiling

_FIRST, _LAST = 12, 34  # of the 40 rates: 17 to 3070, beyond both ends of the range
SWEEP = RATES[_FIRST:_LAST]
_LOWEST, _HIGHEST = np.flatnonzero(INSIDE[_FIRST:_LAST])[[0, -1]]  # rates 27 and 943
_AVERAGED = slice(14 - _FIRST, 29 - _FIRST)  # rates that the paper's mean exponent is over
_SHOWN_AT = 1000.0  # the paper's single example
_LATE_RATES = (70.0, 180.0, 460.0)
_N_TRIALS = 100  # paper
_LOW = 0.35  # H at the maximum up to which a surface counts as low there; the paper's start lies at about .31
# a perturbation grows by less than a factor e in a step, the smallest unit of time there is
_WEAK = 1.0
# second index of what this claim draws
_STREAM_CHAOS, _STREAM_NEAR, _STREAM_LATE, _STREAM_CARRIED = 22, 24, 25, 26
# first and last step of the average; the estimator's last of 100 periods of 9 steps
WINDOWS = {
    "tangent": (10_000, 20_000),
    "two_trajectories": (10_000, 10_900),
    "paper": (5000, 5900),
    "carried": (5000, 5900),
    "late": (100_000, 200_000),
}
# published estimator from near the maximum: name, and words for its trials
_NEAR = {"carried": "trials that carry on, as published", "paper": "independent trials"}


def _measure(study):
    rates = np.append(SWEEP, _SHOWN_AT)
    found = {
        name: np.array(
            study.each(
                partial(_carried, study)
                if name == "carried"
                else partial(_exponents, study, name, rates),
                title=f"Lyapunov, {name}",
            )
        )
        for name in WINDOWS
    }  # (n_surfaces, n_rates, n_starts)
    hoelder = np.array([study.hoelder_at_maximum(i) for i in range(study.n_surfaces)])
    ceiling = two_trajectories_ceiling(study.surface(0).shape)[0]
    return numbers(found, hoelder, ceiling, _published(), partial(_call, study))


def _carried(study, i):
    """Return the exponents of trials that carry on over all 40 rates, at those of the sweep, (n_rates, n_trials)."""
    landscape = study.surface(i)
    burn_in, n_steps = WINDOWS["carried"]
    row, column = np.unravel_index(np.argmax(landscape.values), landscape.shape)
    return carried_on(
        landscape,
        (column, row),
        learning_rates=RATES,
        n_trials=study.repeats(_N_TRIALS, least=4),
        n_steps=n_steps,
        burn_in=burn_in,
        rng=study.rng(i, _STREAM_CARRIED),
    )[_FIRST:_LAST]


def _exponents(study, name, rates, i):
    """Return the largest exponent of walks on surface i, (n_rates, n_starts)."""
    landscape, n = study.surface(i), _trials(study)
    if name == "late":
        rates, n, stream = _LATE_RATES, max(n // 5, 2), _STREAM_LATE
    else:
        stream = _STREAM_NEAR if name == "paper" else _STREAM_CHAOS
    draw = study.rng(i, stream)
    starts = (
        np.array([start_near_maximum(landscape, draw) for _ in range(n)])
        if name == "paper"
        else draw.uniform(0, np.array(landscape.shape[::-1]) - 1, (n, 2))
    )
    burn_in, n_steps = WINDOWS[name]
    shrunk = study.repeats(n_steps - burn_in, least=1000) if name in ("tangent", "late") else 900
    return lyapunov_exponents(
        landscape,
        learning_rates=rates,
        starts=starts,
        n_steps=burn_in + shrunk,
        burn_in=burn_in,
        method="tangent" if name in ("tangent", "late") else "two_trajectories",
    ).exponents[..., 0]


def _trials(study):
    return study.repeats(20, least=4)


def _call(study, name):
    burn_in, n_steps = WINDOWS[name]
    carried = name == "carried"
    return study.provenance(
        "carried_on" if carried else "lyapunov_exponents",
        n_starts=study.repeats(_N_TRIALS, least=4) if carried else _trials(study),
        starts="near the maximum" if name in _NEAR else "anywhere",
        burn_in=burn_in,
        n_steps=n_steps,
        method="tangent" if name in ("tangent", "late") else "two_trajectories",
    )


def numbers(found, hoelder, ceiling, file, call):
    """Return the Measured of exponents by window, each (n_surfaces, n_rates, n_walks), and of H at the maxima, (n_surfaces,).

    `file` is (rates, exponents) or None; `call(window)` tells where numbers come from.
    """
    means = {name: _mean_over_walks(each) for name, each in found.items()}
    quantities = _exact(means, call) | _near_the_maximum(means, hoelder, _file_numbers(file), call)
    anywhere = call("two_trajectories")
    quantities["estimate"] = Quantity.mean(
        "published estimator, from anywhere: at rate 1000",
        means["two_trajectories"][:, -1],
        anywhere,
    )
    quantities["ceiling"] = Quantity.single("ceiling of the published estimator", ceiling, anywhere)
    results = {}
    for name, given in (
        ("exact", "tangent"),
        ("estimate", "two_trajectories"),
        ("paper", "paper"),
        ("carried", "carried"),
    ):
        n = len(SWEEP)
        for key, samples, over in (
            (name, means[given], "surfaces"),
            (f"{name}, walks", np.concatenate(np.swapaxes(found[given], 1, 2)), "walks"),
        ):
            results[key] = Curves(
                x=SWEEP, samples=samples[:, :n], over=over, provenance=call(given)
            )
    for name in _NEAR:
        results[f"{name} turns"] = Curves(
            x=hoelder, samples=10 ** turns(means[name])[None], over="rates", provenance=call(name)
        )
    if file is not None:
        results["published"] = Curves(
            x=file[0],
            samples=file[1][None],
            over="files",
            provenance=Provenance.of("source_data.read", name="chaos.mat"),
        )
    return Measured(quantities=quantities, results=results)


def _exact(means, call):
    """Return the quantities of the exact exponent, in its two windows."""
    window, exact = "steps 10 000 to 20 000", means["tangent"]
    rows = {
        "lowest": (f"exponent at rate 27, {window}", exact[:, _LOWEST], "above 0"),
        "highest": (f"the same at 943, {window}", exact[:, _HIGHEST], "near 0"),
        "turns": (f"log₁₀ of the rate at which it turns positive, {window}", turns(exact), ""),
        "shown": (f"the same at 1000, {window}", exact[:, -1], "0.478 [0.464, 0.491]"),
        "averaged": (
            f"mean over rates 27 to 744, {window}",
            exact[:, _AVERAGED].mean(axis=1),
            "0.3475 ± 0.0640",
        ),
    }
    quantities = {
        name: Quantity.mean(words, samples, call("tangent"), published=stated)
        for name, (words, samples, stated) in rows.items()
    }
    for k, rate in enumerate(_LATE_RATES):
        quantities[f"late {rate:g}"] = Quantity.mean(
            f"exponent at rate {rate:g}, steps 100 000 to 200 000",
            means["late"][:, k],
            call("late"),
        )
    return quantities


def _near_the_maximum(means, hoelder, of_file, call):
    """Return the quantities of the published estimator from near the maximum, by kind of trial; the file's beside the paper's."""
    quantities = {}
    for name, trials in _NEAR.items():
        told, turning = call(name), turns(means[name])
        words = f"published estimator, from near the maximum, {trials}"
        turned = f"{words}: log₁₀ of the rate at which it turns positive"
        rows = {
            "turns": (turned, turning),
            "turns low": (
                f"{turned}, surfaces of H up to {_LOW} at the maximum",
                np.where(hoelder <= _LOW, turning, np.nan),
            ),
            "averaged": (
                f"{words}: mean over rates 27 to 744",
                means[name][:, _AVERAGED].mean(axis=1),
            ),
        }
        for key, (what, samples) in rows.items():
            each = Quantity.mean(what, samples, told)
            quantities[f"{name} {key}"] = each.beside(
                of_file.get(key) if name == "carried" else None
            )
        value, ends, n = correlation(hoelder, turning)
        quantities[f"{name} correlation"] = Quantity.single(
            f"{words}: correlation of that logarithm with H at the maximum",
            value,
            told,
            interval=ends,
            over="surfaces",
            n=n,
        )
    quantities["paper shown"] = Quantity.mean(
        f"published estimator, from near the maximum, {_NEAR['paper']}: at rate 1000",
        means["paper"][:, -1],
        call("paper"),
    )
    return quantities


def _mean_over_walks(exponents):
    """Return the mean over walks of what is finite: two trajectories that became one have no estimate."""
    return mean_and_error(np.where(np.isfinite(exponents), exponents, np.nan), axis=2)[0]


def turns(means):
    """Return log10 of the rate beyond which each surface's mean exponent stays positive, NaN where there is none.

    `means` is (n_surfaces, n_rates) at the rates of the sweep; what follows them is not looked at.
    """
    found = np.full(len(means), np.nan)
    for i, curve in enumerate(means[:, : len(SWEEP)]):
        below = np.flatnonzero(curve <= 0)
        if len(below) and below[-1] + 1 < len(curve):
            k = below[-1]
            found[i] = np.interp(0, curve[k : k + 2], np.log10(SWEEP[k : k + 2]))
    return found


def _published():
    """Return (rates, mean exponents) of the paper's file; None if it is not here."""
    name = "multifractional_brownian_surface/chaos.mat"
    if not source_data.available(name):
        return None
    file = source_data.read(name)
    return file["lrs"].ravel(), file["mle_mean"].ravel()


def _file_numbers(file):
    if file is None:
        return {}
    inside = file[1][_FIRST:_LAST]
    turning = turns(inside[None])[0]
    return {"turns": turning, "turns low": turning, "averaged": inside[_AVERAGED].mean()}


def _judge(found):
    lowest, highest, shown = (found[name] for name in ("lowest", "highest", "shown"))
    turning = found["turns"]
    estimator = (
        f" The published estimator, from near the maximum with trials that carry on, is {found['carried averaged'].value:.2f} in "
        "the mean over rates 27 to 744"
        + _turning(found["carried turns"], ", turns positive at {:.0f}")
        + _turning(
            found["carried turns low"], f" (where H at the maximum is up to {_LOW}, at {{:.0f}})"
        )
        + f", and is {found['paper shown'].value:.2f} at rate 1000; it cannot exceed {found['ceiling'].value:.2f} for long, since "
        "a separation cannot outgrow the landscape."
    )
    at_shown = f"{shown.value:.2f} [{shown.low:.2f}, {shown.high:.2f}] at rate 1000"
    faults = []
    if not lowest.above(0):
        faults.append(
            f"it is not positive throughout ({lowest.value:.2f} at rate 27"
            + (f"; it turns positive at {10**turning.value:.0f})" if turning.n > 1 else ")")
        )
    if not highest.below(_WEAK):
        faults.append(f"it is not small ({highest.value:.2f} at 943)")
    if faults:
        return Judgement(
            NOT_REPRODUCED,
            "The exact exponent in steps 10 000 to 20 000 is no weak chaos: "
            f"{' and '.join(faults)}; {at_shown}.{estimator}",
        )
    if shown.allows(0.478) and found["averaged"].allows(0.3475):
        return Judgement(
            REPRODUCED, f"The exact exponent is positive and small at both ends, {at_shown}."
        )
    return Judgement(
        CORRECTED,
        f"The exact exponent is positive and small at both ends, but it is {at_shown}.{estimator}",
    )


def _turning(found, words):
    return words.format(10**found.value) if found.n > 1 else ""


CHAOS = Claim(
    "lyapunov",
    "Descent is weakly chaotic over the range of the edge of stability",
    "The largest Lyapunov exponent is positive and near zero for learning rates from 25 to 1000: 0.478 [0.464, 0.491] at "
    "rate 1000, 0.3475 ± 0.0640 in the mean over rates 27 to 744 (an older file: 0.0971 ± 0.2329).",
    "Not reproduced unless the exact exponent, by the tangent map over steps 10 000 to 20 000, is positive at the lowest rate "
    "of the range (27) and below 1 a step at the highest (943; less than a factor e in the smallest unit of time), both with "
    "their intervals: two rates chosen beforehand, not the extremes of noisy ones. Reproduced if, besides, one more surface "
    "may show both published numbers; with a correction if only the numbers differ. The exponent is not stationary, since "
    "walks fall into traps for good: a later window is shown.",
    _measure,
    _judge,
    figures.lyapunov,
    "Largest Lyapunov exponent by learning rate, 20 walks a surface: exact, steps 10 000 to 20 000, from anywhere (mean over "
    "surfaces with its 95 % interval; dashed: median walk); the published estimator from anywhere and from near the maximum, with "
    "independent trials and with 100 that carry on, as published; its ceiling; and the paper's file, if it is here. In the middle: "
    "share of walks that are chaotic. Below: the rate at which the published estimator turns positive, by H where walks begin. "
    "Shaded: the range the paper states.",
    Protocol(
        "Starts near the global maximum, 5000 steps; then 100 periods of two trajectories 0.1 apart, of which the last counts. "
        "Each of 100 trials adds a standard normal step to the start and carries on from where the former ended, over trials and "
        "rates (notebook, cell 20).",
        "The same on each surface; and, since trials that carry on are no independent draws, 20 independent ones from near the "
        "maximum and from anywhere; and the exact tangent map from anywhere, in two windows.",
    ),
    headline={
        "lowest": "exact exponent in steps 10 000 to 20 000, at rate 27",
        "shown": "at 1000",
        "turns": "log₁₀ of the rate where it turns positive",
        "carried turns": "the published estimator's, by the paper's protocol",
        "carried turns low": "on surfaces of H up to 0.35 at the maximum",
    },
    data=("multifractional_brownian_surface/chaos.mat",),
)

CLAIMS = (CHAOS,)
