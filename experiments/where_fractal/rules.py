"""The rules of docs/where_losses_are_fractal.md as functions of the rows: each gives lines (part, what, numbers, verdict)."""

import numpy as np
from scipy.stats import spearmanr

from multifractal.base.statistics import mean_interval

SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "undecided"
LEAST = 20  # seeds of a part that carries a claim
LOG_TEN = np.log(10)


def estimate(values):
    """Return the mean over seeds with its interval; nothing is left out but NaN."""
    return mean_interval(np.asarray(values, dtype=np.float64), of="seeds")


def decide(supported, refuted, *estimates):
    """Return the verdict, undecided below 20 seeds."""
    fewest = min(int(one.n) for one in estimates)
    if fewest < LEAST:
        return f"{UNDECIDED} ({fewest} seeds)"
    return SUPPORTED if supported else REFUTED if refuted else UNDECIDED


def within(found, limit):
    """Tell whether an interval lies within +-limit."""
    return bool(found.low >= -limit and found.high <= limit)


def outside(found, limit):
    """Tell whether an interval lies wholly outside +-limit."""
    return bool(found.low > limit or found.high < -limit)


def words(found, digits=3):
    """Return an estimate in words."""
    ends = f"{found.low:.{digits}f}, {found.high:.{digits}f}"
    return f"{found.value:.{digits}f} [{ends}]" if found.n else "none"


def column(rows, *names):
    """Return a number of each row, by its path of names."""
    return np.array([_at(row, names) for row in rows], dtype=np.float64)


def _at(row, names):
    for name in names:
        row = row[name]
    return np.nan if row is None else row


def chosen(rows, **wanted):
    """Return the rows that have these values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def with_law(rows):
    """Return the rows of which the law says how rough the loss is: a chaotic pass, and an exponent below 1."""
    return [row for row in rows if row["lyapunov"] > 0 and row["predicted"]["H"] < 1]


def differences(rows):
    """Return the estimates that parts 1 and 2 judge."""
    measured, control = column(rows, "measured", "exponent"), column(rows, "measured", "c2")
    c2 = control - column(rows, "control", "c2")
    return {
        "H": estimate(measured - column(rows, "predicted", "H")),
        "moment": estimate(measured - column(rows, "predicted", "zeta2")),
        "c2": estimate(c2),
        "c2 less law": estimate(c2 - column(rows, "predicted", "c2")),
    }


def plant(rows):
    """Part 1, and the bent plant, which no rule judges."""
    for discount in (0.6, 0.8, 0.9):
        found = differences(chosen(rows, bend=0.0, discount=discount))
        good = within(found["H"], 0.05) and within(found["c2"], 0.03)
        verdict = decide(good, outside(found["H"], 0.05), found["H"], found["c2"])
        told = f"H {words(found['H'])}, c2 {words(found['c2'])}"
        yield "1", f"plant, gamma {discount:g}: measured less law, less controls", told, verdict
    for discount in (0.6, 0.8, 0.9):
        found = differences(chosen(rows, bend=0.9, discount=discount))
        told = f"H {words(found['H'])}, second moment {words(found['moment'])}"
        yield "1", f"bent plant, gamma {discount:g}: measured less law", told, "no rule"


def cell(rows):
    """Part 2: one kind of network."""
    for kind, horizon, discount in sorted({(r["kind"], r["horizon"], r["discount"]) for r in rows}):
        counted = with_law(chosen(rows, kind=kind, horizon=horizon, discount=discount))
        name = f"{kind}, gamma {discount:g}, {horizon} steps"
        if not counted:
            yield "2", name, "no seed with H below 1", UNDECIDED
            continue
        found = differences(counted)
        for key, title in (("H", "exponent"), ("moment", "second moment")):
            verdict = decide(within(found[key], 0.1), outside(found[key], 0.1), found[key])
            yield "2", f"{name}: {title} less law", words(found[key]), verdict
        negative = bool(found["c2"].high < 0)
        verdict = decide(negative, within(found["c2"], 0.02), found["c2"])
        yield "2", f"{name}: multifractal, c2 less controls", words(found["c2"]), verdict
        law, holds = found["c2 less law"], bool(found["c2 less law"].contains(0.0))
        verdict = decide(negative and holds, not holds, law)
        yield "2", f"{name}: large deviations, c2 less controls less law", words(law), verdict


def spectra(rows):
    """Beside part 2: whole spectra, against those of exact surfaces whose exponent is the law's."""
    for kind, discount in sorted({(row["kind"], row["discount"]) for row in rows}):
        some = chosen(rows, kind=kind, discount=discount)
        c1, c2 = (
            column(some, "measured", name) - column(some, "control", name) for name in ("c1", "c2")
        )
        law = column(some, "predicted", "c2")
        told = f"c1 {words(estimate(c1))}, c2 {words(estimate(c2))} where the law has {words(estimate(law))}"
        name = f"{kind}, gamma {discount:g}, {some[0]['points']} points: spectrum less that of controls"
        yield "2", name, told, "no rule"


def lines_of_networks(rows):
    """Part 2, along lines: exponents of networks of one kind and gain, where the law has them below 1."""
    kinds = sorted({(row.get("kind", "RNN"), row["gain"], row["discount"]) for row in rows})
    for kind, gain, discount in kinds:
        some = with_law(chosen(rows, gain=gain, discount=discount))
        counted = [row for row in some if row.get("kind", "RNN") == kind]
        if not counted:
            continue
        measured = column(counted, "exponent")
        for key, title in (("H", "exponent"), ("zeta2", "second moment")):
            found = estimate(measured - column(counted, "predicted", key))
            verdict = decide(within(found, 0.1), outside(found, 0.1), found)
            name = f"{kind}, gain {gain:g}, gamma {discount:g}, lines: {title} less law"
            yield "2", name, words(found), verdict


def crossing(row):
    """Return log10 of the distance at which a line becomes smooth over e^(-lambda T): exponent 1, from large to small."""
    distances, exponents = np.log10(row["spacings"]), column([row], "exponents")[0]
    above = np.flatnonzero(exponents > 1)
    if not len(above) or above[0] == 0:
        return np.nan
    k = above[0]
    share = (1 - exponents[k - 1]) / (exponents[k] - exponents[k - 1])
    where = distances[k - 1] + share * (distances[k] - distances[k - 1])
    return where + row["lyapunov"] * row["horizon"] / LOG_TEN


FRESH = 20  # the first seed that rules 3b and 6' speak of


def zoom(rows):
    """Part 3, on the seeds of the first run, and 3b, on those after it."""
    for horizon in (20, 40, 60):
        some = chosen(rows, horizon=horizon)
        first, fresh = (
            [row for row in some if (row["seed"] >= FRESH) == late] for late in (False, True)
        )
        yield from (_zoomed(name, horizon, of) for name, of in (("3", first), ("3b", fresh)) if of)


def zoom_numbers(rule, row):
    """Return exponents (far, near) and the log10 of the crossing over e^(-lambda T), of one line; NaN where there is none."""
    stretched = row["lyapunov"] * row["horizon"] / LOG_TEN
    over, exponents = np.log10(row["spacings"]) + stretched, column([row], "exponents")[0]
    if rule == "3":
        above, below = over > 1, over < -2
    else:
        # thirty times the distance at which rounding takes over, e^(-lambda T / 2) 10^-8
        rounding = np.log10(30) - 8 + stretched / 2
        above, below = over > 0, (over > rounding) & (over < -np.log10(300))
    far, near = (np.mean(exponents[s]) if s.any() else np.nan for s in (above, below))
    return far, near, crossing(row)


def _zoomed(rule, horizon, some):
    """Return the line of a horizon by rule 3, or by 3b."""
    far, near, ratio = map(estimate, zip(*(zoom_numbers(rule, row) for row in some), strict=True))
    if rule == "3":
        good, bad = far.high < 1 and near.low > 1.8 and within(ratio, 1), outside(ratio, 1)
    else:
        good = far.high < 1 and near.low > 1.8 and ratio.low >= -1.5 and ratio.high <= -0.5
        bad = far.low > 1 or near.high < 1.8 or ratio.low > -0.5 or ratio.high < -1.5
    told = f"above {words(far, 2)}, below {words(near, 2)}, log10 of the ratio {words(ratio, 2)}"
    name = f"zoom, {horizon} steps: exponents; crossing over e^(-lambda T)"
    return rule, name, told, decide(good, bad, far, near, ratio)


def training(rows):
    """Part 4: one line a task, with and without clipping."""
    for task, clip in sorted({(row["task"], row["clip"]) for row in rows}):
        some = chosen(rows, task=task, clip=clip)
        runs = [chosen(some, seed=seed) for seed in sorted({row["seed"] for row in some})]
        rough, steep = map(estimate, zip(*map(rank_correlations, runs), strict=True))
        wrong = rough.low > 0 or steep.high < 0
        verdict = decide(rough.high < 0 and steep.low > 0, wrong, rough, steep)
        name = "clipped at 1" if clip else "without clipping"
        told = f"with the exponent {words(rough, 2)}, with log gradient {words(steep, 2)}"
        yield "4", f"training on {task} {name}: rank correlation of lambda", told, verdict


def rank_correlations(run):
    """Return those of lambda with the exponent and with the log of the gradient's norm, over the checkpoints of a run."""
    others = column(run, "exponent"), np.log(column(run, "gradient"))
    return [_rank_correlation(run, other) for other in others]


def _rank_correlation(run, other):
    """Return that of lambda with another number over the checkpoints of a run."""
    lyapunov = column(run, "lyapunov")
    good = np.isfinite(other) & np.isfinite(lyapunov)
    return spearmanr(lyapunov[good], other[good]).statistic if good.sum() > 2 else np.nan


def unrolled(rows):
    """Part 5: settings at which lambda is positive, or negative, at the longest horizon are judged."""
    for rates, decay in sorted({(tuple(row["rates"]), row["decay"]) for row in rows}):
        of_all = chosen(rows, rates=list(rates), decay=decay)
        longest = chosen(of_all, horizon=160)
        lyapunov, last = (estimate(column(longest, n)) for n in ("lyapunov", "exponent"))
        told = f"lambda {words(lyapunov)}, exponent at 160 steps {words(last, 2)}"
        if lyapunov.low > 0:
            verdict = decide(last.high < 1, last.low > 1, last)
        elif lyapunov.high < 0:
            every = [
                estimate(column(chosen(of_all, horizon=h), "exponent"))
                for h in (10, 20, 40, 80, 160)
            ]
            smooth, rough = all(e.low > 1.8 for e in every), any(e.high < 1 for e in every)
            verdict = decide(smooth, rough, *every)
        else:
            verdict = UNDECIDED
        name = f"unrolled, learning rates {rates[0]:g} and {rates[1]:g}, weight decay {decay:g}"
        yield "5", name, told, verdict


def walkers(rows):
    """Part 6, on the seeds of the first runs, and what roughness does beyond the control, on those after them."""
    first, fresh = (
        [row for row in rows if (row["seed"] >= FRESH) == late] for late in (False, True)
    )
    for ground in sorted({row["ground"] for row in first}):
        yield from _on_one_ground(ground, chosen(first, ground=ground))
    if fresh:
        yield from _beyond_the_control(fresh)


def _on_one_ground(ground, some):
    """Yield the lines of one kind of section."""
    short, edge, drift = (estimate(column(some, n)) for n in ("short", "edge", "drift"))
    verdict = decide(short.high < 1, short.low > 1, short)
    yield "6a", f"{ground}: displacement at short lags", words(short, 2), verdict
    falls = decide(edge.high < 0 and edge.contains(-1.0), edge.low > 0, edge)
    if edge.n >= LEAST and edge.high < 0 and edge.low > -1:
        falls = "falls, but not as 2 / rate"
    yield "6b", f"{ground}: slope of settled sharpness", words(edge, 2), falls
    verdict = decide(drift.high < 0, drift.low > 0, drift)
    yield "6c", f"{ground}: change of log10 roughness", words(drift, 2), verdict
    if "descent" in some[0]:
        own = estimate(column(some, "descent", "short"))
        verdict = decide(own.high < 1, own.low > 1, own)
        yield "6a", f"{ground}, descent of the network itself", words(own, 2), verdict


def _beyond_the_control(rows):
    """Yield by how much walks on chaotic sections differ from those on sections of the same seed's network that are not."""
    rough, smooth = (
        sorted(chosen(rows, ground=f"RNN, gain {gain}"), key=lambda row: row["seed"])
        for gain in ("3", "0.8")
    )
    for letter, title, name in (
        ("a", "displacement at short lags", "short"),
        ("b", "slope of settled sharpness", "edge"),
        ("c", "change of log10 roughness", "drift"),
    ):
        more = estimate(column(rough, name) - column(smooth, name))
        verdict = decide(more.high < 0, more.low > 0, more)
        yield f"6'{letter}", f"RNN, gain 3 less gain 0.8: {title}", words(more, 2), verdict


def boundary(rows):
    """Part 7, and the lines' share of part 2: shares of cases."""
    yield from lines_of_networks(rows)
    smooth, rough = [], []
    for row in rows:
        needed = np.log(1 / row["spacing"])
        stretched = row["lyapunov"] * row["horizon"]
        exponent = _at(row, ("exponent",))
        if stretched < needed - 3:
            smooth.append(exponent > 1.5)
        elif row["predicted"]["H"] < 0.8 and stretched > needed + 3:
            rough.append(exponent < 1)
    seeds = len({row["seed"] for row in rows})
    shares = [np.mean(one) if one else np.nan for one in (smooth, rough)]
    told = " and ".join(
        f"{share:.1%} of {len(cases)} {kind}"
        for share, cases, kind in zip(shares, (smooth, rough), ("smooth", "rough"), strict=True)
    )
    verdict = SUPPORTED if min(shares) >= 0.95 else REFUTED if min(shares) < 0.8 else UNDECIDED
    yield (
        "7",
        "boundary: cases as expected",
        told,
        (verdict if seeds >= LEAST else f"{UNDECIDED} ({seeds} seeds)"),
    )


def others(rows):
    """Beside the parts."""
    for kind, gain in sorted({(row["kind"], row["gain"]) for row in rows}):
        some = chosen(rows, kind=kind, gain=gain)
        lyapunov, exponent = (estimate(column(some, n)) for n in ("lyapunov", "exponent"))
        told = f"lambda {words(lyapunov)}, exponent {words(exponent, 2)}"
        yield "-", f"{kind}, gain {gain:g}, gamma {some[0]['discount']:g}", told, "no rule"


JUDGES = {"plant": plant, "RNN": cell, "GRU": cell, "LSTM": cell, "zoom": zoom}
JUDGES |= {
    "training": training,
    "copying": training,
    "unrolled": unrolled,
    "walkers": walkers,
    "boundary": boundary,
}
JUDGES |= {"gated": lines_of_networks, "spectra": spectra, "others": others}


def lines(results):
    """Yield the lines of all parts that have rows."""
    for part, judge in JUDGES.items():
        if results["rows"].get(part):
            yield from judge(results["rows"][part])
