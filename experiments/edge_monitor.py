"""Which indicator hovers at which bound? Seven optimisers, three batch sizes, three seeds, on digits.

    python experiments/edge_monitor.py [--quick] [--record]

The rules stand in docs/edge_monitor.md and were written before the runs. With --record the results are kept in
experiments/results/edge_monitor.json, and the table and figure of docs/edge_monitor.md are written anew.
"""

import argparse
import functools
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that it also runs as a file

from multifractal.base.command import Parser, as_command, at_the_shell

at_the_shell(__name__)

import numpy as np
import torch
from torch import nn

from experiments.edge_optimizers import MuonLike, Sam
from landscape_viz import EdgeMonitor, figures
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.monitor.record import INDICATORS

RESULTS = ROOT / "experiments" / "results" / "edge_monitor.json"
FIGURE = ROOT / "docs" / "figures" / "edge_monitor.png"
OPTIMIZERS = {
    "SGD": lambda p, lr: torch.optim.SGD(p, lr=lr),
    "momentum": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
    "Adam": lambda p, lr: torch.optim.Adam(p, lr=lr),
    "AdamW": lambda p, lr: torch.optim.AdamW(p, lr=lr),
    "RMSProp": lambda p, lr: torch.optim.RMSprop(p, lr=lr),
    "SAM": lambda p, lr: Sam(p, lr=lr, rho=0.05),
    "Muon-like": lambda p, lr: MuonLike(p, lr=lr),
}
RATES = tuple(m * 10.0**k for k in range(1, -5, -1) for m in (5, 2, 1))  # the grid, largest first
BATCH_SIZES = (16, 128, 1024)
STEPS, EVERY, CURVATURE_EVERY = 1000, 10, 50
HOVERS = (0.8, 1.25)  # of the median over the second half, and twice as wide for its quarters


def network(seed):
    """Return a perceptron of 64, 32 and 10 units with tanh."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))


def steps(name, batch_size, seed, rate, n_steps, before):
    """Train by an optimiser on the mean squared error, yielding the loss of each step's batch before the step.

    `before(model, optimizer)` is called once and returns what is called with each batch before the optimiser's step.
    """
    inputs, targets = digits()
    model = network(seed)
    optimizer = OPTIMIZERS[name](model.parameters(), rate)
    seen = before(model, optimizer)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(n_steps):
        rows = torch.randperm(len(inputs), generator=draw)[:batch_size]
        batch = inputs[rows], targets[rows]

        def closure(batch=batch):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(batch[0]), batch[1])
            loss.backward()
            return loss

        yield float(closure().detach())
        seen(batch)
        optimizer.step(*([closure] if isinstance(optimizer, Sam) else []))


def run(name, batch_size, seed, rate, n_steps=STEPS):
    """Train by the optimiser `name`, and return the record of its monitor."""
    watching = []

    def watched(model, optimizer):
        watching.append(
            EdgeMonitor(
                model,
                optimizer,
                "mse",
                every=EVERY,
                curvature_every=CURVATURE_EVERY,
                reference=digits(),
                rng=seed,
            )
        )
        return watching[0].step

    for _ in steps(name, batch_size, seed, rate, n_steps, watched):
        pass
    return watching[0].record()


def trains(losses):
    """Whether a run's losses stay finite and their last tenth lies, on average, below the first."""
    kept = []
    for loss in losses:
        if not np.isfinite(loss):
            return False
        kept.append(loss)
    return bool(np.mean(kept[-max(1, len(kept) // 10) :]) < kept[0])


def chosen_rate(name, seeds=3, batch_sizes=BATCH_SIZES, n_steps=STEPS):
    """Return the largest rate of the grid at which all runs of an optimiser train, nothing else being looked at."""
    plain = lambda model, optimizer: lambda batch: None  # noqa: E731
    for rate in RATES:
        runs = ((size, seed) for size in batch_sizes for seed in range(seeds))
        if all(trains(steps(name, *one, rate, n_steps, plain)) for one in runs):
            return rate
    raise ArithmeticError(f"no rate of the grid lets {name} train")


@functools.cache
def digits():
    """Return 1280 images of scikit-learn's digits, shape (n, 64), between 0 and 1, and their classes as rows of 0 and 1."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    inputs = torch.as_tensor(pixels[:1280] / 16, dtype=torch.float32)
    return inputs, nn.functional.one_hot(torch.as_tensor(labels[:1280]), 10).float()


def judged(ratios):
    """Return (verdict, median) of an indicator over its bound by the rule of the page: hovers, below, above, wanders or none."""
    second = np.asarray(ratios)[len(ratios) // 2 :]
    known = second[np.isfinite(second)]
    if len(known) < max(4, len(second) // 20):
        return "none", np.nan
    low, middle, high = np.percentile(known, [25, 50, 75])
    if middle < HOVERS[0]:
        return "below", float(middle)
    if middle > HOVERS[1]:
        return "above", float(middle)
    steady = HOVERS[0] / 2 <= low and high <= 2 * HOVERS[1]
    return "hovers" if steady else "wanders", float(middle)


def summary(record):
    """Return {indicator: [verdict, median ratio]}, and the loss at the end."""
    found = {name: judged(record[name] / record.bound(name)) for name in INDICATORS}
    return found | {"loss": float(np.median(record["loss"][-10:]))}


def measure(
    seeds=3, batch_sizes=BATCH_SIZES, n_steps=STEPS, names=OPTIMIZERS, progress=lambda words: None
):
    """Return the rates, and the summaries of all runs, by optimiser and batch size."""
    runs, rates = [], {}
    for name in names:
        rates[name] = chosen_rate(name, seeds, batch_sizes, n_steps)
        progress(f"{name}: rate {rates[name]:g}")
        for size in batch_sizes:
            records = [run(name, size, seed, rates[name], n_steps) for seed in range(seeds)]
            row = {"optimizer": name, "batch_size": size, "seeds": [summary(r) for r in records]}
            runs.append(row)
            progress(f"{name}, batch {size}: " + _cells(row))
    return {"seeds": seeds, "n_steps": n_steps, "rates": rates, "runs": runs}


def _cell(row, name):
    verdicts = [one[name][0] for one in row["seeds"]]
    middle = np.array([one[name][1] for one in row["seeds"]], dtype=float)
    if "none" in verdicts:
        return "–"
    words = verdicts[0] if len(set(verdicts)) == 1 else "/".join(sorted(set(verdicts)))
    return f"{words}, {np.median(middle):.2g}"


def _cells(row):
    return "; ".join(f"{name} {_cell(row, name)}" for name in INDICATORS)


def table(results=None):
    """Return the table of docs/edge_monitor.md."""
    results = results or json.loads(RESULTS.read_text())
    head = [
        "optimiser",
        "rate",
        "batch",
        *(name.replace("_", " ") for name in INDICATORS),
        "loss at the end",
    ]
    rows = [head, ["---"] * len(head)]
    for row in results["runs"]:
        loss = np.median([one["loss"] for one in row["seeds"]])
        cells = [_cell(row, name) for name in INDICATORS]
        rate = f"{results['rates'][row['optimizer']]:g}"
        rows.append([row["optimizer"], rate, str(row["batch_size"]), *cells, f"{loss:.2g}"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main(argv=None):
    """Run the command line."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--quick", action="store_true", help="one seed, two batch sizes, 400 steps")
    flags.add_argument("--record", action="store_true", help="keep the results, write the page")
    options = flags.parse_args(argv)
    smaller = {"seeds": 1, "batch_sizes": BATCH_SIZES[::2], "n_steps": 400} if options.quick else {}
    with pinned_threads(1):
        results = measure(**smaller, progress=lambda words: print(words, flush=True))
        print(table(results))
        if options.record:
            record = run("SGD", 1024, 0, results["rates"]["SGD"])
            axes = figures.edge_record(record)
            axes[0].figure.savefig(FIGURE, dpi=150)
    if options.record:
        from tools import tables

        tables.record({RESULTS: results})
    return 0


if __name__ == "__main__":
    raise SystemExit(as_command(main, "edge_monitor.py"))
