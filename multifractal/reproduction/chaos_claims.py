"""Claims on stability: sharpness where walkers settle against 2/rate, and the Lyapunov exponent by learning rate."""

from functools import partial

import numpy as np

from multifractal import source_data
from multifractal.base.curves import Curves
from multifractal.base.result import Provenance
from multifractal.figures import reproduced_dynamics as figures
from multifractal.reproduction.claim import (
    CORRECTED,
    NOT_REPRODUCED,
    REPRODUCED,
    Claim,
    Judgement,
    Measured,
    Quantity,
)
from multifractal.walkers.stability import edge_of_stability, lyapunov_exponents
from multifractal.walkers.two_trajectories import two_trajectories_ceiling

_RATES = np.logspace(0, 4, 40)  # paper
_RANGE = (25.0, 1000.0)  # of the edge of stability: paper
_INSIDE = (_RATES >= _RANGE[0]) & (_RATES <= _RANGE[1])
_LOWEST, _HIGHEST = np.flatnonzero(_INSIDE)[[0, -1]]  # rates 27 and 943
_STREAM_EDGE, _STREAM_CHAOS = 21, 22  # second index of what these claims draw on a surface


# Edge of stability


def _measure_edge(study):
    logs = np.array(study.each(partial(_log_sharpness, study), title="edge of stability"))
    call = study.provenance(
        "edge_of_stability",
        learning_rates="logspace(0, 4, 40)",
        n_walkers=_starts(study),
        n_steps=4999,
        last=100,
        sharpness="hessian",
    )
    over_edge = logs - np.log10(2 / _RATES)
    published = _published_sharpness()
    in_file = f"; in its file {_published_slope(published['published']):.2f}" if published else ""
    quantities = {
        "slope": Quantity.mean(
            "slope of log sharpness on log rate, rates 27 to 943",
            _slope(logs),
            call,
            published=f"−1 (2/rate){in_file}",
        ),
        **{
            name: Quantity.mean(
                f"log₁₀ of sharpness × rate / 2 at rate {_RATES[k]:.0f}",
                over_edge[:, k],
                call,
                published="0",
            )
            for name, k in (("lowest", _LOWEST), ("highest", _HIGHEST))
        },
        "crossing": Quantity.mean(
            "log₁₀ of the rate at which sharpness is 2/rate",
            _crossings(over_edge),
            call,
            published="1.4 to 3 (25 to 1000)",
        ),
    }
    return Measured(
        quantities=quantities,
        results={"over_edge": Curves(x=_RATES, samples=over_edge, over="surfaces", provenance=call)}
        | published,
    )


def _log_sharpness(study, i):
    """Return the mean log10 sharpness over walks at each rate, (n_rates,)."""
    landscape = study.surface(i)
    starts = study.rng(i, _STREAM_EDGE).uniform(
        0, np.array(landscape.shape[::-1]) - 1, (_starts(study), 2)
    )
    return edge_of_stability(
        landscape, learning_rates=_RATES, starts=starts, n_steps=4999
    ).mean_log10


def _starts(study):
    return study.repeats(10, least=3)


def _slope(logs):
    x = np.log10(_RATES[_INSIDE]) - np.log10(_RATES[_INSIDE]).mean()
    return logs[..., _INSIDE] @ x / (x @ x)


def _crossings(over_edge):
    """Return log10 of the rate at which each surface's curve first rises through 0, NaN where it never does."""
    found = np.full(len(over_edge), np.nan)
    for i, curve in enumerate(over_edge):
        rising = np.flatnonzero((curve[:-1] < 0) & (curve[1:] >= 0))
        if len(rising):
            k = rising[0]
            found[i] = np.interp(0, curve[k : k + 2], np.log10(_RATES[k : k + 2]))
    return found


def _published_sharpness():
    """Return log10 of the paper's sharpness over 2/rate, the mean over its walks; empty if its file is not here."""
    name = "multifractional_brownian_surface/eos.mat"
    if not source_data.available(name):
        return {}
    file = source_data.read(name)
    logs = np.log10(np.maximum(file["leading_eig"], 1e-12)).mean(axis=(1, 2))
    rates = file["lrs"].ravel()
    return {
        "published": Curves(
            x=rates,
            samples=(logs - np.log10(2 / rates))[None],
            over="files",
            provenance=Provenance.of("source_data.read", name=name),
        )
    }


def _published_slope(published):
    return float(_slope(published.samples[0] + np.log10(2 / published.x)))


def _judge_edge(found):
    slope, ends = found["slope"], (found["lowest"], found["highest"])
    told = f"sharpness falls as rate^{slope.value:.2f} [{slope.low:.2f}, {slope.high:.2f}]"
    if slope.n < 2:
        return Judgement(NOT_REPRODUCED, "Walkers settle nowhere that has a positive sharpness.")
    factors = (
        f"{10 ** ends[0].value:.2g} times 2/rate at 27 and {10 ** ends[1].value:.2g} times at 943"
    )
    if not slope.allows(-1):
        crossing = found["crossing"]
        met = (
            f"it meets 2/rate at one rate, {10**crossing.value:.0f} [{10**crossing.low:.0f}, {10**crossing.high:.0f}]"
            if crossing.n > 1
            else "it does not cross 2/rate upwards"
        )
        return Judgement(
            NOT_REPRODUCED,
            f"Over rates 25 to 1000 {told}, not as 1/rate: it is {factors}, and {met}.",
        )
    if all(end.allows(0) for end in ends):
        return Judgement(
            REPRODUCED, f"Over rates 25 to 1000 {told} and is 2/rate at both ends ({factors})."
        )
    return Judgement(CORRECTED, f"Sharpness falls as 1/rate ({told}), but it is {factors}.")


EDGE = Claim(
    "edge_of_stability",
    "Walkers settle at the edge of stability",
    "For learning rates from 25 to 1000 the sharpness where walkers settle is 2/rate, as in full-batch training.",
    "Not reproduced unless one more surface may show a slope of −1 of log sharpness on log rate over that range (95 %): a "
    "curve of another slope crosses 2/rate somewhere whatever it is due to. Reproduced if, besides, one more surface may "
    "show 2/rate at both ends of the range. Reproduced with a correction if the slope is right and the factor is not. "
    "Sharpness is the largest eigenvalue of the grid Hessian; the published one, the largest absolute eigenvalue, counts "
    "negative curvature.",
    _measure_edge,
    _judge_edge,
    figures.sharpness_over_edge,
    "Sharpness times rate over 2 in the last 100 of 5000 positions of 10 walks a surface from anywhere: mean of log over "
    "surfaces with its 95 % interval (band: where one more surface is expected); squares: the paper's file, if it is here. "
    "Shaded: the range the paper states.",
)


# Lyapunov exponents

_FIRST, _LAST = 12, 34  # of the 40 rates: 17 to 3070, beyond both ends of the range
_SWEEP = _RATES[_FIRST:_LAST]
_IN_SWEEP = _INSIDE[_FIRST:_LAST]
_AVERAGED = slice(14 - _FIRST, 29 - _FIRST)  # rates that the paper's mean exponent is over
_SHOWN_AT = 1000.0  # the paper's single example
# a perturbation grows by less than a factor e in a step, the smallest unit of time there is
_WEAK = 1.0


def _measure_chaos(study):
    rates = np.append(_SWEEP, _SHOWN_AT)
    exact, estimate = (
        np.array(study.each(partial(_exponents, study, rates, method), title=f"Lyapunov, {method}"))
        for method in ("tangent", "two_trajectories")
    )  # (n_surfaces, n_rates, n_starts, 2)
    means = np.nanmean(exact[..., 0], axis=2)
    inside = means[:, :-1][:, _IN_SWEEP]
    calls = {
        method: study.provenance(
            "lyapunov_exponents", n_starts=_trials(study), burn_in=10_000, method=method
        )
        for method in ("tangent", "two_trajectories")
    }
    tangent, two = calls.values()
    quantities = {
        "smallest": Quantity.mean(
            "smallest exponent over rates 25 to 1000",
            inside.min(axis=1),
            tangent,
            published="above 0",
        ),
        "largest": Quantity.mean(
            "largest exponent over rates 25 to 1000",
            inside.max(axis=1),
            tangent,
            published="near 0",
        ),
        "turns": Quantity.mean(
            "log₁₀ of the rate at which the exponent turns positive", _turns(means[:, :-1]), tangent
        ),
        "shown": Quantity.mean(
            "exponent at rate 1000", means[:, -1], tangent, published="0.478 [0.464, 0.491]"
        ),
        "averaged": Quantity.mean(
            "mean exponent over rates 27 to 744",
            means[:, _AVERAGED].mean(axis=1),
            tangent,
            published="0.3475 ± 0.0640",
        ),
        "estimate": Quantity.mean(
            "published estimator at rate 1000",
            _mean_estimate(estimate[:, -1, :, 0]),
            two,
            published="0.478 [0.464, 0.491]",
        ),
        "ceiling": Quantity.single(
            "ceiling of the published estimator",
            two_trajectories_ceiling(study.surface(0).shape)[0],
            two,
        ),
    }
    return Measured(
        quantities=quantities,
        results={
            name: Curves(x=_SWEEP, samples=samples[..., :-1], over=over, provenance=calls[method])
            for name, samples, over, method in (
                ("exact", means, "surfaces", "tangent"),
                ("exact, walks", _by_walk(exact), "walks", "tangent"),
                ("estimate", _mean_estimate(estimate[..., 0]), "surfaces", "two_trajectories"),
                ("estimate, walks", _by_walk(estimate), "walks", "two_trajectories"),
            )
        }
        | _published_chaos(),
    )


def _by_walk(exponents):
    """Return the largest exponent of each walk of all surfaces, (n_surfaces x n_starts, n_rates)."""
    return np.swapaxes(exponents[..., 0], 1, 2).reshape(-1, exponents.shape[1])


def _exponents(study, rates, method, i):
    landscape = study.surface(i)
    starts = study.rng(i, _STREAM_CHAOS).uniform(
        0, np.array(landscape.shape[::-1]) - 1, (_trials(study), 2)
    )
    n_steps = 20_000 if method == "tangent" else 10_900
    return lyapunov_exponents(
        landscape,
        learning_rates=rates,
        starts=starts,
        n_steps=n_steps,
        burn_in=10_000,
        method=method,
    ).exponents


def _trials(study):
    return study.repeats(20, least=4)


def _turns(means):
    """Return log10 of the rate beyond which each surface's mean exponent stays positive, NaN where there is none."""
    found = np.full(len(means), np.nan)
    for i, curve in enumerate(means):
        below = np.flatnonzero(curve <= 0)
        if len(below) and below[-1] + 1 < len(curve):
            k = below[-1]
            found[i] = np.interp(0, curve[k : k + 2], np.log10(_SWEEP[k : k + 2]))
    return found


def _mean_estimate(estimates):
    """Return the mean over walks of finite estimates: two trajectories that became one have none."""
    finite = np.isfinite(estimates)
    total = np.where(finite, estimates, 0.0).sum(axis=-1)
    return np.divide(
        total, finite.sum(axis=-1), out=np.full(total.shape, np.nan), where=finite.any(axis=-1)
    )


def _published_chaos():
    name = "multifractional_brownian_surface/chaos.mat"
    if not source_data.available(name):
        return {}
    file = source_data.read(name)
    return {
        "published": Curves(
            x=file["lrs"].ravel(),
            samples=file["mle_mean"].ravel()[None],
            over="files",
            provenance=Provenance.of("source_data.read", name=name),
        )
    }


def _judge_chaos(found):
    smallest, largest, shown = (found[name] for name in ("smallest", "largest", "shown"))
    saturates = (
        f"The published estimator gives {found['estimate'].value:.2f} at rate 1000 on our walks; it saturates "
        f"(ceiling {found['ceiling'].value:.2f})."
    )
    at_shown = f"{shown.value:.2f} [{shown.low:.2f}, {shown.high:.2f}] at rate 1000"
    faults = []
    if not smallest.above(0):
        turns = found["turns"]
        faults.append(
            f"it is not positive throughout (down to {smallest.value:.2f}"
            + (f"; it turns positive at rate {10**turns.value:.0f})" if turns.n > 1 else ")")
        )
    if not largest.below(_WEAK):
        faults.append(f"it is not small (up to {largest.value:.2f} a step)")
    if faults:
        return Judgement(
            NOT_REPRODUCED,
            "Over rates 25 to 1000 the exact exponent is no weak chaos: "
            f"{' and '.join(faults)}; {at_shown}. {saturates}",
        )
    if shown.allows(0.478) and found["averaged"].allows(0.3475):
        return Judgement(
            REPRODUCED, f"The exact exponent is positive and small throughout, {at_shown}."
        )
    return Judgement(
        CORRECTED,
        f"The exact exponent is positive and small throughout, but it is {at_shown}. {saturates}",
    )


CHAOS = Claim(
    "lyapunov",
    "Descent is weakly chaotic over the range of the edge of stability",
    "The largest Lyapunov exponent is positive and near zero for learning rates from 25 to 1000: 0.478 [0.464, 0.491] at "
    "rate 1000, 0.3475 ± 0.0640 in the mean over rates 27 to 744 (an older file: 0.0971 ± 0.2329).",
    "Not reproduced unless the exact exponent, by the tangent map, is positive over the whole range and below 1 a step "
    "(less than a factor e in the smallest unit of time), both with their intervals. Reproduced if, besides, one more "
    "surface may show both published numbers; with a correction if only the numbers differ. The published estimator is "
    "shown beside it: a separation cannot outgrow the landscape, so it has a ceiling.",
    _measure_chaos,
    _judge_chaos,
    figures.lyapunov,
    "Largest Lyapunov exponent by learning rate, steps 10 000 to 20 000 of 20 walks a surface from anywhere: exact (mean "
    "over surfaces with its 95 % interval; dashed: median walk), the published estimator on the same walks, its ceiling, "
    "and the paper's file, if it is here. Below: share of walks that are chaotic. Shaded: the range the paper states.",
)

CLAIMS = (EDGE, CHAOS)
