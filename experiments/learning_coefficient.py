"""How far the local learning coefficient is off, by setting, where it is known exactly.

    python experiments/learning_coefficient.py [--repeats 3] [--record]

A regular model, monomials, reduced-rank regression and a deep linear network, each at its most degenerate minimum, in the limit
of infinite data. With --record the results are kept in experiments/results/learning_coefficient.json and the table of
docs/learning_coefficient.md is written anew.
"""

import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that it also runs as a file

from multifractal.base.command import Parser, as_command, at_the_shell

at_the_shell(__name__)

import numpy as np
import torch
from scipy.integrate import quad
from scipy.special import stdtrit
from torch import nn

import landscape_viz as lv
from multifractal.base.statistics import mean_interval

RESULTS = ROOT / "experiments" / "results" / "learning_coefficient.json"
CHAINS = {"n_chains": 4, "n_draws": 600, "n_burn_in": 600, "nbeta": 100.0, "localization": 1.0}
SETTINGS = {
    "adjusted": CHAINS | {"learning_rate": 0.005, "adjusted": True},
    "adjusted, 10 times the draws": CHAINS
    | {"learning_rate": 0.005, "adjusted": True, "n_chains": 8, "n_draws": 3000},
    "small step": CHAINS | {"learning_rate": 0.003},
    "large step": CHAINS | {"learning_rate": 0.015},
    "strong pull": CHAINS | {"learning_rate": 0.005, "adjusted": True, "localization": 30.0},
    "cold": CHAINS | {"learning_rate": 0.0005, "adjusted": True, "nbeta": 1000.0},
    "200 draws from the first step, no pull": {
        "n_chains": 4,
        "n_draws": 200,
        "n_burn_in": 0,
        "nbeta": 100.0,
        "localization": 0.0,
        "learning_rate": 0.003,
    },
}


class Monomial(nn.Module):
    """Weights at 0; `forward` returns the square root of their loss, the product of w_i^k_i."""

    def __init__(self, exponents):
        super().__init__()
        self.exponents = torch.tensor(exponents)
        self.w = nn.Parameter(torch.zeros(len(exponents), dtype=torch.float64))

    def forward(self, x):
        """Return the product, for each row of x."""
        return (self.w**self.exponents).prod() * x


def monomial(exponents):
    """Return the problem of the loss that is the product of w_i^(2 k_i)."""
    one = torch.ones(1, 1, dtype=torch.float64)
    return lv.Problem(Monomial(exponents), None, "mse", (one, torch.zeros_like(one)))


def linear(widths, rank):
    """Return the problem of half the squared distance to a matrix of a rank, each layer the identity of that rank and 0 beyond."""
    layers = [nn.Linear(a, b, bias=False).double() for a, b in zip(widths, widths[1:])]  # noqa: B905
    state = {f"{k}.weight": truth(layer.weight.shape, rank) for k, layer in enumerate(layers)}
    target = truth((widths[-1], widths[0]), rank).T

    def half_square(model, batch):
        return (model(batch) - target).square().sum() / 2

    data = torch.eye(widths[0], dtype=torch.float64)
    return lv.Problem(nn.Sequential(*layers), state, lv.batch_loss(half_square), data)


def truth(shape, rank):
    """Return the matrix of a shape with `rank` ones on its diagonal and 0 elsewhere."""
    found = torch.zeros(shape, dtype=torch.float64)
    found[range(rank), range(rank)] = 1.0
    return found


REGULAR = "regular, 2 x 2 weights"
WORLDS = {
    REGULAR: (linear, ([2, 2], 1)),
    "w^4": (monomial, ([2],)),
    "w1^2 w2^2": (monomial, ([1, 1],)),
    "w1^2 w2^4": (monomial, ([1, 2],)),
    "reduced rank, 3-2-3, rank 1": (linear, ([3, 2, 3], 1)),
    "deep linear, 3-3-3-3, rank 1": (linear, ([3, 3, 3, 3], 1)),
}


def limit(name):
    """Return the exact coefficient of a world and its multiplicity."""
    make, arguments = WORLDS[name]
    return (lv.monomial_coefficient if make is monomial else lv.linear_network_coefficient)(
        *arguments
    )


def at_temperature(name, nbeta, localization):
    """Return n beta E[loss] of the law that the chains sample, by quadrature; NaN where that is not done or there is no law."""
    make, arguments = WORLDS[name]
    if name == REGULAR:
        return 2 * nbeta / (nbeta + localization)
    if make is linear or (localization == 0 and len(arguments[0]) > 1):
        return np.nan
    k, *rest = sorted(arguments[0], reverse=True)
    inner = rest[0] if rest else 0

    def over_first(scale, power):
        """Integrate loss^power exp(-U) over the weight of the largest exponent, where the others give `scale`."""
        return quad(
            lambda w: (
                (scale * w ** (2 * k)) ** power
                * np.exp(-nbeta * scale * w ** (2 * k) - localization * w * w / 2)
            ),
            0,
            np.inf,
            epsabs=0,
            limit=400,
        )[0]

    if not inner:
        return nbeta * over_first(1.0, 1) / over_first(1.0, 0)
    sums = [
        quad(
            lambda v, p=p: np.exp(-localization * v * v / 2) * over_first(v ** (2 * inner), p),
            0,
            12 / np.sqrt(localization),
            epsabs=0,
            epsrel=1e-6,
            limit=400,
        )[0]
        for p in (1, 0)
    ]
    return nbeta * sums[0] / sums[1]


def measure(repeats, settings=SETTINGS, worlds=WORLDS, intervals=30, progress=lambda words: None):
    """Return, by world and setting, the values over repeats, what their intervals say, and how many are trusted."""
    rows = []
    for name in worlds:
        make, arguments = WORLDS[name]
        problem = make(*arguments)
        for words, chosen in settings.items():
            began = time.process_time()
            found = [
                lv.local_learning_coefficient(problem, **chosen, rng=k, progress=False)
                for k in range(repeats)
            ]
            rows.append(
                {
                    "world": name,
                    "settings": words,
                    "limit": limit(name)[0],
                    "exact": at_temperature(name, chosen["nbeta"], chosen["localization"]),
                    "values": [one.value for one in found],
                    "half_widths": [float(np.ptp(one.interval)) / 2 for one in found],
                    "trusted": [one.trusted for one in found],
                    "doubts": sorted({doubt_of(w) for one in found for w in one.warnings}),
                    "seconds": time.process_time() - began,
                }
            )
            progress(f"{name}, {words}: {cells(rows[-1])}")
    return {"repeats": repeats, "rows": rows, "coverage": coverage(intervals)}


DOUBTS = {  # a short word for each rule, by words of its sentence
    "diverged": "diverged",
    "have not mixed": "not mixed",
    "still spread": "still spreading",
    "the step adds": "step",
    "steps were taken": "few steps taken",
    "no minimum": "no minimum",
    "nbeta e times": "temperature",
}


def doubt_of(words):
    """Return the short word of a doubt."""
    return next(short for part, short in DOUBTS.items() if part in words)


def cells(row):
    """Return the cells of a row of the table after the first two."""
    mean = mean_interval(row["values"])
    exact = row["exact"]
    if not mean.n:
        return [f"{row['limit']:.3g}", "–", "–", "–", f"0 of {len(row['trusted'])}", "diverged"]
    return [
        f"{row['limit']:.3g}",
        "–" if np.isnan(exact) else f"{exact:.3g}",
        f"{mean.value:.3g} [{mean.low:.3g}, {mean.high:.3g}]"
        if mean.n > 1
        else f"{mean.value:.3g}",
        f"{mean.value - row['limit']:+.2f}",
        f"{sum(row['trusted'])} of {len(row['trusted'])}",
        ", ".join(row["doubts"]) or "none",
    ]


def table(results=None):
    """Return the table of docs/learning_coefficient.md."""
    results = results or json.loads(RESULTS.read_text())
    head = ["model", "settings", "coefficient", "exact at these settings", "mean of estimates"]
    head += ["bias", "trusted", "doubts"]
    rows = [head, ["---"] * len(head)]
    rows += [[row["world"], row["settings"], *cells(row)] for row in results["rows"]]
    held, of = results["coverage"]
    return (
        "\n".join("| " + " | ".join(row) + " |" for row in rows)
        + f"\n\nOf {of} intervals of four chains each, adjusted, on the regular model {held} hold the exact value. Over all cells the "
        f"stated error is {stated_over_true(results):.2f} times the spread of repetition; cells share their seeds."
    )


def stated_over_true(results):
    """Return the root mean square of the stated errors over that of the estimates' spread, both relative to the cell's mean."""
    stated = spread = 0.0
    for row in results["rows"]:
        if np.isfinite(row["values"]).all():
            t = stdtrit(SETTINGS[row["settings"]]["n_chains"] - 1, 0.975)
            size = np.mean(row["values"]) ** 2
            stated += np.mean(np.square(row["half_widths"])) / t**2 / size
            spread += np.var(row["values"], ddof=1) / size
    return float(np.sqrt(stated / spread))


def coverage(n_groups):
    """Return how many of the intervals of four chains each hold the exact value of the regular model, and of how many."""
    if n_groups == 0:
        return [0, 0]
    make, arguments = WORLDS[REGULAR]
    settings = CHAINS | {"learning_rate": 0.01, "adjusted": True, "n_draws": 200}
    settings["n_chains"] = 4 * n_groups
    found = lv.local_learning_coefficient(make(*arguments), **settings, rng=99, progress=False)
    each = mean_interval(found.by_chain.reshape(n_groups, 4))
    exact = at_temperature(REGULAR, settings["nbeta"], settings["localization"])
    return [int(each.contains(exact).sum()), n_groups]


def main(argv=None):
    """Run the command line."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--repeats", type=int, default=3, help="estimates a cell (%(default)s)")
    flags.add_argument("--record", action="store_true", help="keep the results, write the page")
    options = flags.parse_args(argv)
    results = measure(options.repeats, progress=lambda words: print(words, flush=True))
    print(table(results))
    if options.record:
        from tools import tables

        tables.record({RESULTS: results})
    return 0


if __name__ == "__main__":
    raise SystemExit(as_command(main, "learning_coefficient.py"))
