"""The scores of the bench, as pure functions of what `protocol.measure` returned; the rules stand in docs/landscape_bench.md.

Results are {optimiser: {ground: what `measure` returned}}. A reference is {ground: lowest loss of each seed}.
"""

import numpy as np

from experiments.landscape_bench import protocol
from multifractal.base.statistics import mean_interval

WORST, NEAR = 2.0, 0.1  # regret at most counted; within so much of the best a rate is as good
DECADES = 0.5  # from one first step of the grid to the next


def reference(results, ground):
    """Return the loss that counts as 0 for each evaluated draw: the minimum where it is known, else the lowest that was reached."""
    runs = [one[ground]["runs"] for one in results.values() if ground in one]
    if "minimum" in runs[0][0]:
        return np.array([run["minimum"] for run in runs[0]])
    losses = np.array([[run["losses"] for run in one] for one in runs], dtype=float)
    return np.nanmin(losses, axis=(0, 2))


def regrets(result, floors):
    """Return (L - floor) / (L_start - floor), (n_seeds, n_budgets): 1 at the start, at most 2, 2 where the run diverged."""
    losses = np.array([run["losses"] for run in result["runs"]], dtype=float)
    floors = np.asarray(floors)[:, None]
    share = (losses[:, 1:] - floors) / (losses[:, :1] - floors)
    return np.minimum(np.where(np.isfinite(share), share, WORST), WORST)


def flat(result):
    """Return the share of time in the flattest tenth less that of the control, with its interval; None where it is not asked."""
    pairs = [(run["flat"], run["control"]) for run in result["runs"] if "flat" in run]
    if len(pairs) < 2:
        return None
    return mean_interval([a - b for a, b in pairs], of="draws")


def seeks_flat(estimate):
    """Return what an interval of that difference says: "seeks", "avoids" or "neither"."""
    if estimate.low > 0:
        return "seeks"
    return "avoids" if estimate.high < 0 else "neither"


def escaped(result):
    """Return (runs that left the valley, runs), or None on a ground without one."""
    known = [run["escaped"] for run in result["runs"] if "escaped" in run]
    return (sum(known), len(known)) if known else None


def width(result):
    """Return over how many decades of the rate the tuning draws lose no more than a tenth of what the best rate takes off."""
    starts, ends = np.array(result["tuning"], dtype=float).transpose(2, 0, 1)
    drops = np.where(np.isfinite(ends), starts - ends, -np.inf)
    most = np.maximum(drops.max(axis=1, keepdims=True), 1e-300)
    share = np.maximum(drops / most, -1.0).mean(axis=0)
    good = (share > 0) & (share >= (1 - NEAR) * share.max())
    return float(DECADES * good.sum())


def at_the_end(result):
    """Whether the chosen rate is the first or the last of the grid: a better one may lie beyond."""
    return result["chosen"] in (0, len(protocol.FIRST_STEPS) - 1)


def table_of_regrets(results, floors, grounds):
    """Return {optimiser: regrets at the last budget, (n_grounds, n_seeds)}."""
    return {
        name: np.array([regrets(one[g], floors[g])[:, -1] for g in grounds])
        for name, one in results.items()
    }


def as_good(table):
    """Return {optimiser: bool for each ground}: whether its regret is not shown to be above that of the best there.

    The best is that of the lowest mean. Draws are the same for all, so that differences are taken draw by draw.
    """
    found = {}
    means = {name: rows.mean(axis=1) for name, rows in table.items()}
    n_grounds = len(next(iter(table.values())))
    best = [table[min(means, key=lambda name, g=g: means[name][g])][g] for g in range(n_grounds)]
    for name, rows in table.items():
        intervals = [mean_interval(rows[g] - best[g], of="draws") for g in range(n_grounds)]
        found[name] = [not i.low > 0 for i in intervals]
    return found


def ranking(table):
    """Return [(optimiser, estimate of its mean regret)], best first: the mean over grounds, its interval over draws."""
    found = [(name, mean_interval(rows.mean(axis=0), of="draws")) for name, rows in table.items()]
    return sorted(found, key=lambda pair: pair[1].value)
