"""Which seeds count: a part whose rule asks for twenty that do gets further ones until each of its cells has them."""

import numpy as np

from experiments.where_fractal import rules


def fewest(part, rows):
    """Return how many seeds count in the cell of a part that has fewest; infinite for parts all of whose seeds count."""
    cells = CELLS[part](rows) if part in CELLS else []
    return min(map(len, cells), default=np.inf)


def _planes(rows):
    """Yield the rows of each cell of part 2 of which the law speaks: lambda decides, nothing that is measured of the loss."""
    for horizon, discount in {(row["horizon"], row["discount"]) for row in rows}:
        yield rules.with_law(rules.chosen(rows, horizon=horizon, discount=discount))


def _lines(rows):
    """Yield the same along lines, at the gain of the planes."""
    strong = rules.chosen(rows, gain=8.0)
    for kind, discount in {(row["kind"], row["discount"]) for row in strong}:
        yield rules.with_law(rules.chosen(strong, kind=kind, discount=discount))


def _fresh(rows):
    """Return the rows of seeds that rules 3b and 6' speak of."""
    return [row for row in rows if row["seed"] >= rules.FRESH]


def _zoomed(rows):
    """Yield the fresh lines of each horizon that have a distance of each kind and a crossing."""
    for horizon in {row["horizon"] for row in _fresh(rows)}:
        some = rules.chosen(_fresh(rows), horizon=horizon)
        yield [row for row in some if np.isfinite(rules.zoom_numbers("3b", row)).all()]


def _trained(rows):
    """Yield the seeds, with and without clipping, whose run has rank correlations."""
    for clip in {row["clip"] for row in rows}:
        some = rules.chosen(rows, clip=clip)
        runs = [rules.chosen(some, seed=seed) for seed in {row["seed"] for row in some}]
        yield [run for run in runs if np.isfinite(rules.rank_correlations(run)).all()]


def _walked(rows):
    """Yield the fresh rows of each ground that have all of their numbers."""
    for ground in {row["ground"] for row in _fresh(rows)}:
        some = rules.chosen(_fresh(rows), ground=ground)
        numbers = np.transpose([rules.column(some, name) for name in ("short", "edge", "drift")])
        yield [row for row, own in zip(some, numbers, strict=True) if np.isfinite(own).all()]


CELLS = {"RNN": _planes, "GRU": _planes, "LSTM": _planes, "gated": _lines, "zoom": _zoomed}
CELLS |= {"training": _trained, "copying": _trained, "walkers": _walked}
