"""Each rule of the studies turns at each of its thresholds, told by the right end of an interval, and asks for twenty seeds."""

import numpy as np
import pytest
from scipy import stats

from experiments import edge_monitor
from experiments.where_fractal import rules
from experiments.where_fractal.rules import REFUTED, SUPPORTED, UNDECIDED

S, R, U = SUPPORTED, REFUTED, UNDECIDED
HALF, EPSILON, SEEDS = 0.004, 1e-6, 20
END = {"low": HALF, "high": -HALF}
# n numbers, half of them a above and half a below their mean, have a 95 % interval of t a / sqrt(n - 1) to either side of it.
_A = HALF * np.sqrt(SEEDS - 1) / stats.t.ppf(0.975, SEEDS - 1)


def scattered(mean, seeds=SEEDS):
    """Return numbers of which the interval of the mean reaches HALF to either side."""
    return mean + _A * np.where(np.arange(seeds) % 2, 1.0, -1.0)


def network(value, of="H", c2=-0.5, **place):
    """Return a row in which one of H, zeta2, c2 and c2 less its law is `value` above what the law says, the others as it says."""
    measured = {"exponent": 0.5 + value * (of in ("H", "zeta2")), "c2": c2 + value * (of == "c2")}
    predicted = {"H": 0.5 + value * (of == "zeta2"), "zeta2": 0.5 + value * (of == "H")}
    predicted["c2"] = (c2 if of != "c2" else 0.0) - value * (of == "law")
    return {
        "measured": measured,
        "control": {"c2": 0.0},
        "predicted": predicted,
        "lyapunov": 1.0,
        **place,
    }


def plant(values, of="H"):
    """Return the rows of part 1."""
    places = [{"discount": d, "bend": b} for d in (0.6, 0.8, 0.9) for b in (0.0, 0.9)]
    return [network(v, of, 0.0, **place) for v in values for place in places]


def cell(values, of="H", c2=-0.5):
    """Return the rows of part 2."""
    return [network(v, of, c2, kind="RNN", horizon=40, discount=0.9) for v in values]


def lines(values, of="H"):
    """Return the rows of lines of networks of part 2."""
    rows = []
    for v in values:
        predicted = {"H": 0.5 + v * (of == "zeta2"), "zeta2": 0.5 + v * (of == "H")}
        row = {"gain": 2.0, "discount": 0.9, "lyapunov": 1.0, "predicted": predicted}
        rows.append(row | {"exponent": 0.5 + v})
    return rows


def zoom(values, of="ratio"):
    """Return the rows of part 3: exponents at four distances, of which the middle two are to either side of the crossing."""
    rows = []
    for v in values:
        far, near = (v if of == name else usual for name, usual in (("far", 0.5), ("near", 1.9)))
        at = v if of == "ratio" else 0.0
        for horizon in (20, 40, 60):
            over = np.array([1.5, at + 0.05, at - 0.05, -3.0])  # log10 of distance e^(lambda T)
            row = {"horizon": horizon, "lyapunov": rules.LOG_TEN / horizon, "seed": 0}
            rows.append(row | {"spacings": 10.0 ** (over - 1), "exponents": [far, 0.9, 1.1, near]})
    return rows


def unrolled(values, of="exponent", lyapunov=0.5, exponent=0.5):
    """Return the rows of part 5 at one setting."""
    usual = {"lyapunov": lyapunov, "exponent": exponent}
    horizons = (10, 20, 40, 80, 160)
    setting = {"rates": [0.1, 0.1], "decay": 0.0}
    return [setting | {"horizon": h, **usual, of: v} for v in values for h in horizons]


def walkers(values, of="short"):
    """Return the rows of part 6."""
    usual = {"ground": "model", "seed": 0, "short": 0.5, "edge": -1.0, "drift": -0.5}
    return [
        usual
        | {"descent": {"short": 0.5}}
        | ({"descent": {"short": v}} if of == "descent" else {of: v})
        for v in values
    ]


def walkers_beyond(values, of="short"):
    """Return fresh rows of part 6 of which the chaotic ground has `values` beyond the other."""
    usual = {"short": 0.5, "edge": -1.0, "drift": -0.5}
    grounds = {"RNN, gain 0.8": 0.0, "RNN, gain 3": 1.0}
    return [
        {"ground": ground, "seed": rules.FRESH + seed} | usual | {of: usual[of] + share * v}
        for seed, v in enumerate(values)
        for ground, share in grounds.items()
    ]


# (rule, its line, rows of values, end of the interval, threshold, verdict below, verdict above)
CASES = [
    (rules.plant, 0, plant, "high", 0.05, S, U),
    (rules.plant, 0, plant, "low", 0.05, U, R),
    (rules.plant, 0, plant, "low", -0.05, U, S),
    (rules.plant, 0, plant, "high", -0.05, R, U),
    (rules.plant, 0, lambda v: plant(v, "c2"), "high", 0.03, S, U),
    (rules.plant, 0, lambda v: plant(v, "c2"), "low", -0.03, U, S),
]
for line, of in ((0, "H"), (1, "zeta2")):
    for rule, make in ((rules.cell, cell), (rules.lines_of_networks, lines)):
        CASES += [
            (rule, line, lambda v, make=make, of=of: make(v, of), "high", 0.1, S, U),
            (rule, line, lambda v, make=make, of=of: make(v, of), "low", 0.1, U, R),
            (rule, line, lambda v, make=make, of=of: make(v, of), "low", -0.1, U, S),
            (rule, line, lambda v, make=make, of=of: make(v, of), "high", -0.1, R, U),
        ]
CASES += [
    (rules.cell, 2, lambda v: cell(v, "c2", 0.0), "high", 0, S, R),
    (rules.cell, 2, lambda v: cell(v, "c2", 0.0), "high", 0.02, R, U),
    (rules.cell, 3, lambda v: cell(v, "law"), "low", 0, S, R),
    (rules.cell, 3, lambda v: cell(v, "law"), "high", 0, R, S),
    (rules.zoom, 0, lambda v: zoom(v, "near"), "low", 1.8, U, S),
    (rules.zoom, 0, zoom, "high", 1, S, U),
    (rules.zoom, 0, zoom, "low", 1, U, R),
    (rules.zoom, 0, zoom, "low", -1, U, S),
    (rules.zoom, 0, zoom, "high", -1, R, U),
    (rules.unrolled, 0, unrolled, "high", 1, S, U),
    (rules.unrolled, 0, unrolled, "low", 1, U, R),
    (rules.unrolled, 0, lambda v: unrolled(v, "lyapunov"), "low", 0, U, S),
    (rules.unrolled, 0, lambda v: unrolled(v, "lyapunov", exponent=1.9), "high", 0, S, U),
    (rules.unrolled, 0, lambda v: unrolled(v, lyapunov=-0.5), "low", 1.8, U, S),
    (rules.unrolled, 0, lambda v: unrolled(v, lyapunov=-0.5), "high", 1, R, U),
    (rules.walkers, 0, walkers, "high", 1, S, U),
    (rules.walkers, 0, walkers, "low", 1, U, R),
    (rules.walkers, 1, lambda v: walkers(v, "edge"), "low", 0, U, R),
    (rules.walkers, 1, lambda v: walkers(v, "edge"), "high", 0, "falls, but not as 2 / rate", U),
    (rules.walkers, 1, lambda v: walkers(v, "edge"), "low", -1, S, "falls, but not as 2 / rate"),
    (rules.walkers, 1, lambda v: walkers(v, "edge"), "high", -1, U, S),
    (rules.walkers, 2, lambda v: walkers(v, "drift"), "high", 0, S, U),
    (rules.walkers, 2, lambda v: walkers(v, "drift"), "low", 0, U, R),
    (rules.walkers, 3, lambda v: walkers(v, "descent"), "high", 1, S, U),
    (rules.walkers, 3, lambda v: walkers(v, "descent"), "low", 1, U, R),
]
for line, of in enumerate(("short", "edge", "drift")):
    CASES += [
        (rules.walkers, line, lambda v, of=of: walkers_beyond(v, of), "high", 0, S, U),
        (rules.walkers, line, lambda v, of=of: walkers_beyond(v, of), "low", 0, U, R),
    ]


@pytest.mark.parametrize(
    ("rule", "line", "rows", "end", "threshold", "below", "above"),
    CASES,
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_verdict_turns_at_its_threshold(rule, line, rows, end, threshold, below, above):
    """One millionth to either side of it; with nineteen seeds nothing is decided."""
    for side, expected in ((-1, below), (1, above)):
        mean = threshold + END[end] + side * EPSILON
        assert list(rule(rows(scattered(mean))))[line][-1] == expected
        few = list(rule(rows(scattered(mean, SEEDS - 1))))[line][-1]
        assert few in ("undecided (19 seeds)", UNDECIDED)


def test_far_exponents_are_below_one_by_their_interval():
    """One seed a tenth below the others, which are below 1: the interval reaches t - 1 twentieths of that above them."""
    for side, expected in ((-1, S), (1, U)):
        far = np.full(SEEDS, 1 - 0.1 * (stats.t.ppf(0.975, SEEDS - 1) - 1) / SEEDS + side * EPSILON)
        far[7] -= 0.1
        assert next(rules.zoom(zoom(far, "far")))[-1] == expected


@pytest.mark.parametrize("clip", [0.0, 1.0])
@pytest.mark.parametrize(
    ("rough", "steep", "expected"), [(-1, 1, S), (1, 1, R), (-1, -1, R), (0, 1, U), (-1, 0, U)]
)
def test_training_is_judged_by_both_rank_correlations(clip, rough, steep, expected):
    """Three instants a seed, ranked alike, opposite, or (0) half the seeds each; the other clipping says what it says."""

    def rank(sign, seed):
        return np.arange(3.0) * (sign or (-1) ** seed)

    rows = [
        {
            "task": "sine",
            "seed": seed,
            "clip": c,
            "lyapunov": k,
            "exponent": rank(rough if c == clip else -1, seed)[k],
        }
        | {"gradient": np.exp(rank(steep if c == clip else 1, seed)[k])}
        for seed in range(SEEDS)
        for c in (0.0, 1.0)
        for k in range(3)
    ]
    assert list(rules.training(rows))[int(clip)][-1] == expected


@pytest.mark.parametrize(
    ("smooth", "rough", "expected"),
    [(95, 95, S), (94, 95, U), (95, 94, U), (80, 95, U), (79, 95, R), (95, 79, R), (95, 80, U)],
)
def test_the_boundary_is_judged_by_the_worse_share(smooth, rough, expected):
    """Of a hundred cases each, those on the right side of 1.5 and of 1 by a millionth; cases within 3 of the boundary are none."""
    place = {"spacing": 1.0, "horizon": 1, "gain": 2.0, "discount": 0.9, "kind": "RNN"}

    def row(k, stretched, exponent, hurst=0.8 - EPSILON):
        predicted = {"H": hurst, "zeta2": hurst}
        return place | {
            "seed": k % SEEDS,
            "lyapunov": stretched,
            "exponent": exponent,
            "predicted": predicted,
        }

    rows = [row(k, -3 - EPSILON, 1.5 + EPSILON * (1 if k < smooth else -1)) for k in range(100)]
    rows += [row(k, 3 + EPSILON, 1 - EPSILON * (1 if k < rough else -1)) for k in range(100)]
    rows += [row(k, where, 1.2) for k in range(100) for where in (-3 + EPSILON, 3 - EPSILON)]
    rows += [row(k, 3 + EPSILON, 1.2, hurst=0.8 + EPSILON) for k in range(100)]
    assert list(rules.boundary(rows))[-1][-1] == expected
    few = [row for row in rows if row["seed"] < SEEDS - 1]
    assert list(rules.boundary(few))[-1][-1] == "undecided (19 seeds)"


@pytest.mark.parametrize(
    ("low", "middle", "high", "expected"),
    [
        (0.7, 0.8 - EPSILON, 0.9, "below"),
        (0.7, 0.8 + EPSILON, 0.9, "hovers"),
        (1.1, 1.25 - EPSILON, 1.3, "hovers"),
        (1.1, 1.25 + EPSILON, 1.3, "above"),
        (0.4 - EPSILON, 1.0, 1.3, "wanders"),
        (0.4 + EPSILON, 1.0, 1.3, "hovers"),
        (0.9, 1.0, 2.5 - EPSILON, "hovers"),
        (0.9, 1.0, 2.5 + EPSILON, "wanders"),
    ],
)
def test_the_edge_is_judged_by_the_quarters_of_the_second_half(low, middle, high, expected):
    """The median between .8 and 1.25, the quarters within twice as much."""
    second = np.array(
        [low, low, middle, high, high]
    )  # whose quarters are the second and the fourth
    verdict, median = edge_monitor.judged(np.r_[np.full(5, 50.0), second])
    assert (verdict, median) == (expected, middle)


@pytest.mark.parametrize(("length", "least"), [(40, 4), (200, 5)])
def test_the_edge_is_not_judged_on_too_few(length, least):
    """Four known ratios of the second half at the least, or a twentieth of it."""
    for known, expected in ((least - 1, "none"), (least, "hovers")):
        second = np.full(length // 2, np.nan)
        second[:known] = 1.0
        assert edge_monitor.judged(np.r_[np.ones(length // 2), second])[0] == expected
