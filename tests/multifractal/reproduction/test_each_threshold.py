"""Each rule of the report turns at each of its thresholds: just below and just above, told by the right end of the interval."""

import numpy as np
import pytest
from scipy import stats

from multifractal.reproduction.claim import (
    CORRECTED,
    NOT_JUDGED,
    NOT_REPRODUCED,
    PUBLISHED_ONLY,
    REPRODUCED,
)
from multifractal.reproduction.page import claims
from tests.helpers.made_up import HALF, SPREAD, N, told

EPSILON = 1e-6
ONE_MORE = stats.t.ppf(0.975, N - 1) * SPREAD * np.sqrt(1 + 1 / N)
# Where the value lies when that end of its interval, or of the interval of one more sample, is at the threshold.
ENDS = {
    "low": HALF,
    "high": -HALF,
    "value": 0.0,
    "one more's low": ONE_MORE,
    "one more's high": -ONE_MORE,
}
HURSTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
KINDS = ("same steps, random directions", "shuffled increments", "local steps, random directions")
VARIANTS = [
    f"{method} {strength}"
    for method in ("gd", "momentum", "adam", "sgd")
    for strength in ((0.1, 0.3, 1) if method == "sgd" else (300, 1000, 3000))
]
ONE_PASSES = {f"sgd {strength} share": 0.0 for strength in (0.3, 1)}  # of three, where two must
SLOW = [f"{arm} {{}} {rate}" for arm in ("anywhere", "near") for rate in (3, 10)]
LINKS = {"flat": 0.5, "drift": -0.5, "whole": -0.5}
TABLES = ("digits", "airfoil")
ARMS = ("paper", "near", "anywhere")

# A world for each rule on which it says "reproduced".
WORLDS = {
    "alpha_of_hurst": {f"equal {h}": min(1.0, 2 - 2 * h) for h in HURSTS} | {"fall": 0.5},
    "lyapunov": {"lowest": 0.5, "highest": 0.5, "shown": 0.478, "averaged": 0.3475},
    "curvature": {"slope": 1.0, "ends": 1.0, "exact": 1.0},
    "multiscale": {"fine": 0.5, "coarse": 0.5, "difference": 0.0},
    "drift": dict.fromkeys((*KINDS, "low loss"), 0.5),
    "variants": {f"{name} {of}": 0.5 for name in VARIANTS for of in ("exponent", "share")},
    "edge_of_stability": {f"{arm} slope": -1.0 for arm in ARMS}
    | {f"{arm} {end}": 0.0 for arm in ARMS for end in ("lowest", "highest")},
    "range_set_by_start": {f"{arm} crossing": 2.0 for arm in ARMS},
    "surface_spectrum": {"difference": 0.5, "left": 0.788, "middle": 0.461, "right": 0.16},
    "section_spectra": {"rough:a:ratio": 2.0, "rough:a:eta": 1.0, "rough:a:c2": -0.5}
    | {"mono_c2": 0.0, "kinks_c2": -0.3, "kinks_rough": 0.0},
    "minima": {"gathered": 5.0, "alike": 0.5},
    "clustering": {"smoother_power": 1.72, "smoother_radius": 36.7, "rougher_power": 1.6}
    | {"rougher_radius": 29.4, "difference": 0.5},
    "losses": {"rank": 0.1, "width": 0.2},
    "subdiffusion_fits": {f"slope {h}": 0.5 for h in (0.4, 0.5, 0.6, 0.7)}
    | {f"residual {h}": 0.01 for h in (0.4, 0.5, 0.6, 0.7)}
    | {"hurst 0.4": 0.5, "hurst 0.5": 0.5, "hurst 0.6": 0.6, "hurst 0.7": 0.7},
    "langevin": {"short": 0.6, "long": 1.2, "well": 0.35},
    "tamsd_short": {"early": 0.7, "early, one walk": 0.7, "late": 0.6, "late, one walk": 0.6},
    "tamsd_long": {"long": 1.1, "long, one walk": 1.1, "published unfolding": 1.1},
    "premise": {"chaotic": 0.5, "quiet": 0.5},
    "sharpening": {name.format(of): 0.2 for name in SLOW for of in ("rise", "later")},
    "generalisation": {
        f"{table} {link}": value for table in TABLES for link, value in LINKS.items()
    },
    "training": {"early, short lags": 0.7, "early, long lags": 1.3, "late, long lags": 0.2}
    | {"runs on the paper's table": 3.0},
}
R, C, N_ = REPRODUCED, CORRECTED, NOT_REPRODUCED
ROUNDED = 0.05  # the paper states exponents to one decimal
# (rule, number, end, threshold, verdict below, verdict above, what else is changed of the world)
THRESHOLDS = [
    ("alpha_of_hurst", "fall", "low", 0.3, N_, R, {}),
    *(
        ("alpha_of_hurst", f"equal {h}", "one more's low", min(1, 2 - 2 * h) + 0.05, R, C, {})
        for h in HURSTS
    ),
    *(
        ("alpha_of_hurst", f"equal {h}", "one more's high", min(1, 2 - 2 * h) - 0.05, C, R, {})
        for h in HURSTS
    ),
    ("lyapunov", "lowest", "low", 0, N_, R, {}),
    ("lyapunov", "highest", "high", 1, R, N_, {}),
    ("lyapunov", "shown", "one more's low", 0.478, R, C, {}),
    ("lyapunov", "shown", "one more's high", 0.478, C, R, {}),
    ("lyapunov", "averaged", "one more's low", 0.3475, R, C, {}),
    ("lyapunov", "averaged", "one more's high", 0.3475, C, R, {}),
    ("curvature", "slope", "low", 0.5, N_, R, {}),
    ("curvature", "ends", "low", 0.9, C, R, {}),
    ("curvature", "ends", "high", 1.1, R, C, {}),
    ("curvature", "exact", "low", 0.95, N_, C, {"ends": 2.0}),
    ("curvature", "exact", "high", 1.05, C, N_, {"ends": 2.0}),
    *(("multiscale", name, "low", 0.1, N_, R, {}) for name in ("fine", "coarse")),
    *(("multiscale", name, "high", 0.9, R, N_, {}) for name in ("fine", "coarse")),
    ("multiscale", "difference", "low", -0.1, C, R, {}),
    ("multiscale", "difference", "high", 0.1, R, C, {}),
    *(("drift", name, "low", 0, N_, R, {}) for name in KINDS[:2]),
    ("drift", KINDS[2], "low", 0, C, R, {}),
    ("variants", "sgd 0.1 exponent", "low", 0, C, R, {"sgd 1 share": 0.0}),
    ("variants", "sgd 0.1 exponent", "high", 1, R, C, {"sgd 1 share": 0.0}),
    ("variants", "sgd 0.1 share", "low", 0.1, C, R, {"sgd 1 share": 0.0}),
    ("variants", "sgd 0.1 share", "low", 0.1, C, C, ONE_PASSES),
    ("variants", "gd 1000 share", "low", 0.1, N_, R, {"gd 300 share": 0.0}),
    (
        "variants",
        "sgd 0.1 share",
        "low",
        0.1,
        N_,
        C,
        {f"{name} share": 0.0 for name in VARIANTS[3:9]} | {"sgd 1 share": 0.0},
    ),
    ("premise", "chaotic", "high", 1, R, N_, {}),
    ("premise", "quiet", "high", 1, R, C, {}),
    *(("sharpening", name.format("rise"), "low", 0, N_, R, {}) for name in SLOW),
    *(("sharpening", name.format("later"), "low", 0, C, R, {}) for name in SLOW),
    *(("generalisation", f"{table} flat", "low", 0, N_, R, {}) for table in TABLES),
    *(
        ("generalisation", f"{table} {link}", "high", 0, R, C, {})
        for table in TABLES
        for link in ("drift", "whole")
    ),
    *(("edge_of_stability", f"{arm} slope", "one more's low", -1, R, C, {}) for arm in ARMS),
    *(("edge_of_stability", f"{arm} slope", "one more's high", -1, C, R, {}) for arm in ARMS),
    *(
        ("edge_of_stability", f"{arm} {end}", "one more's low", 0, R, C, {})
        for arm in ARMS
        for end in ("lowest", "highest")
    ),
    (
        "edge_of_stability",
        "near slope",
        "one more's low",
        -1,
        C,
        N_,
        {"paper slope": 0.0, "anywhere slope": 0.0},
    ),
    *(
        ("range_set_by_start", f"{arm} crossing", "value", 2 + np.log10(2), R, C, {})
        for arm in ARMS
    ),
    *(
        ("range_set_by_start", f"{arm} crossing", "value", 2 - np.log10(2), C, R, {})
        for arm in ARMS
    ),
    ("surface_spectrum", "difference", "low", 0.2, N_, R, {}),
    *(
        ("surface_spectrum", name, "one more's low", value, R, C, {})
        for name, value in (("left", 0.788), ("middle", 0.461), ("right", 0.16))
    ),
    *(
        ("surface_spectrum", name, "one more's high", value, C, R, {})
        for name, value in (("left", 0.788), ("middle", 0.461), ("right", 0.16))
    ),
    ("section_spectra", "rough:a:eta", "value", 0, N_, R, {}),
    ("section_spectra", "rough:a:c2", "value", -ONE_MORE, R, N_, {}),
    ("section_spectra", "rough:a:c2", "value", -0.3 - ONE_MORE, R, N_, {"kinks_rough": 1.0}),
    ("section_spectra", "kinks_rough", "value", 0.5, R, N_, {"rough:a:c2": -0.2}),
    ("minima", "gathered", "low", 2, N_, R, {}),
    ("minima", "alike", "low", 0.1, N_, C, {}),
    ("minima", "alike", "low", 0.3, C, R, {}),
    *(
        ("clustering", name, "one more's low", value, R, N_, {})
        for name, value in (
            ("smoother_power", 1.72),
            ("smoother_radius", 36.7),
            ("rougher_power", 1.6),
            ("rougher_radius", 29.4),
        )
    ),
    *(
        ("clustering", name, "one more's high", value, N_, R, {})
        for name, value in (
            ("smoother_power", 1.72),
            ("smoother_radius", 36.7),
            ("rougher_power", 1.6),
            ("rougher_radius", 29.4),
        )
    ),
    ("clustering", "difference", "low", 0, C, R, {}),
    ("losses", "rank", "high", 0.25, R, N_, {}),
    ("losses", "width", "high", 0.5, R, N_, {}),
    *(("subdiffusion_fits", f"slope {h}", "low", 0, N_, R, {}) for h in (0.4, 0.5, 0.6, 0.7)),
    *(("subdiffusion_fits", f"slope {h}", "high", 1, R, N_, {}) for h in (0.4, 0.5, 0.6, 0.7)),
    *(
        ("subdiffusion_fits", f"residual {h}", "low", 0.057, R, N_, {})
        for h in (0.4, 0.5, 0.6, 0.7)
    ),
    *(
        ("subdiffusion_fits", f"hurst {h}", "one more's low", max(h, 0.5) + 0.05, R, C, {})
        for h in (0.4, 0.5, 0.6, 0.7)
    ),
    *(
        ("subdiffusion_fits", f"hurst {h}", "one more's high", max(h, 0.5) - 0.05, C, R, {})
        for h in (0.4, 0.5, 0.6, 0.7)
    ),
    ("tamsd_long", "published unfolding", "low", 1, N_, PUBLISHED_ONLY, {"long": 0.5}),
    ("training", "runs on the paper's table", "value", 0, NOT_JUDGED, R, {}),
]
# The exponents that are stated: the kind of diffusion by the mean, the number by one walk.
STATED = [
    ("langevin", "short", "short", 0.6),
    ("langevin", "long", "long", 1.2),
    ("langevin", "well", "well", 0.35),
    ("tamsd_short", "early", "early, one walk", 0.7),
    ("tamsd_short", "late", "late, one walk", 0.6),
    ("tamsd_long", "long", "long, one walk", 1.1),
    ("training", "early, short lags", "early, short lags", 0.7),
    ("training", "early, long lags", "early, long lags", 1.3),
    ("training", "late, long lags", "late, long lags", 0.2),
]
for rule, mean, one, published in STATED:
    if published < 1:
        THRESHOLDS += [(rule, mean, "low", 0, N_, None, {}), (rule, mean, "high", 1, None, N_, {})]
    else:
        below = PUBLISHED_ONLY if rule == "tamsd_long" else N_
        THRESHOLDS += [(rule, mean, "low", 1, below, None, {})]
    THRESHOLDS += [(rule, one, "one more's low", published + ROUNDED, R, C, {})]
    THRESHOLDS += [(rule, one, "one more's high", published - ROUNDED, C, R, {})]
# Numbers that must have been measured twice at the least.
MEASURED = [
    *(("alpha_of_hurst", f"equal {h}") for h in HURSTS),
    *(("edge_of_stability", f"{arm} slope") for arm in ARMS),
    *(("range_set_by_start", f"{arm} crossing") for arm in ARMS),
    ("minima", "gathered"),
    ("clustering", "smoother_power"),
    ("clustering", "rougher_power"),
    ("losses", "rank"),
    *(("subdiffusion_fits", f"slope {h}") for h in (0.4, 0.5, 0.6, 0.7)),
    *((rule, mean) for rule, mean, *_ in STATED),
]
RULES = {claim.name: claim.judge for claim in claims()}


class World(dict):
    """Quantities by name; those that only words hold are 0."""

    def __missing__(self, name):
        return told(0.0)


def verdict(rule, changed, quantity=None, name=None):
    """Return what a rule says of its world with some values changed, and one Quantity put in."""
    world = World({key: told(value) for key, value in (WORLDS[rule] | changed).items()})
    if quantity is not None:
        world[name] = quantity
    return RULES[rule](world).verdict


@pytest.mark.parametrize("rule", WORLDS)
def test_each_world_is_one_where_the_claim_holds(rule):
    """The rule says so of the numbers that every case here starts from."""
    assert verdict(rule, {}) == REPRODUCED


@pytest.mark.parametrize(
    ("rule", "name", "end", "threshold", "below", "above", "changed"),
    THRESHOLDS,
    ids=lambda value: "" if isinstance(value, dict) or value is None else str(value),
)
def test_a_verdict_turns_at_its_threshold(rule, name, end, threshold, below, above, changed):
    """One millionth to either side of the threshold changes the verdict; None stands for any but the other one."""
    found = [
        verdict(rule, changed, told(threshold + ENDS[end] + side * EPSILON), name)
        for side in (-1, 1)
    ]
    for said, expected, other in zip(found, (below, above), (above, below), strict=True):
        assert said == expected if expected else said != other


@pytest.mark.parametrize(("rule", "name"), MEASURED)
def test_one_sample_is_none(rule, name):
    """With two samples of a number a rule goes on; with one it is not reproduced."""
    value = WORLDS[rule][name]
    for n, expected in ((1, NOT_REPRODUCED), (2, REPRODUCED)):
        assert verdict(rule, {}, told(value, n=n, spread=1e-6), name) == expected


@pytest.mark.parametrize("name", ["smoother_power", "rougher_power"])
def test_a_power_is_below_two_up_to_1_95(name):
    """The end of its interval decides, where the spread is so large that one more surface may show the published power."""
    for side, expected in ((-1, REPRODUCED), (1, NOT_REPRODUCED)):
        power = told(1.95 - HALF + side * EPSILON, spread=1.0)
        assert verdict("clustering", {}, power, name) == expected


def test_a_crossing_is_wide_from_a_factor_of_two_on():
    """Half the interval of one more surface, of a spread for which it is log10 2 less or more a millionth."""
    spread = np.log10(2) / (stats.t.ppf(0.975, N - 1) * np.sqrt(1 + 1 / N))
    for arm in ARMS:
        name, wide = f"{arm} crossing", CORRECTED if arm == "paper" else NOT_REPRODUCED
        assert (
            verdict("range_set_by_start", {}, told(2.0, spread=spread * (1 - EPSILON)), name)
            == REPRODUCED
        )
        assert (
            verdict("range_set_by_start", {}, told(2.0, spread=spread * (1 + EPSILON)), name)
            == wide
        )


def test_every_rule_is_here():
    """A new claim needs a world and its thresholds here."""
    assert {*RULES} == {*WORLDS}
