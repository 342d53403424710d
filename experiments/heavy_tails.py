"""What four estimators of a tail exponent say of samples whose law is known.

    python experiments/heavy_tails.py [--repeats 40] [--only laws or gradients] [--record]

Stable laws, where the truth is alpha; Student's t, whose tail exponent is its degrees of freedom; Gaussian samples of unequal
variance, independent or in runs; a Gaussian process with memory. Then the noise of a network's gradients, by layer, along its
training on digits. With --record the results are kept in experiments/results/heavy_tails.json and gradient_noise.json, and the
tables of docs/heavy_tails.md are written anew.
"""

import argparse
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

from landscape_viz import Problem, gradient_noise
from multifractal import tail_index
from multifractal.base.rng import realisation
from multifractal.base.statistics import mean_interval

N_SAMPLES = 4000
RESULTS = ROOT / "experiments" / "results" / "heavy_tails.json"
GRADIENTS = ROOT / "experiments" / "results" / "gradient_noise.json"
STEPS, BATCH_SIZES = (
    (0, 100, 2000),
    (4, 64),
)  # of SGD before the noise is measured, and samples of its batches


def stable(alpha, rng, size):
    """Draw from the symmetric stable law exp(-|t|^alpha) by the formula of Chambers, Mallows and Stuck (1976)."""
    angle, wait = rng.uniform(-np.pi / 2, np.pi / 2, size), rng.exponential(size=size)
    if alpha == 1:
        return np.tan(angle)
    return (
        np.sin(alpha * angle)
        / np.cos(angle) ** (1 / alpha)
        * (np.cos((1 - alpha) * angle) / wait) ** ((1 - alpha) / alpha)
    )


def in_runs(rng, size):
    """Draw Gaussian samples whose standard deviation is log-normal, and stays for 100 samples: noise that is not identical."""
    return rng.normal(size=size) * np.repeat(np.exp(rng.normal(size=-(-size // 100))), 100)[:size]


def with_memory(rng, size):
    """Draw a Gaussian process in which each sample keeps nine tenths of the one before."""
    from scipy.signal import lfilter

    return lfilter([1.0], [1.0, -0.9], rng.normal(size=size))


# name: (true tail exponent in words, draw)
WORLDS = {
    "stable, alpha = 1.2": ("1.2", lambda rng, n: stable(1.2, rng, n)),
    "stable, alpha = 1.5": ("1.5", lambda rng, n: stable(1.5, rng, n)),
    "stable, alpha = 1.8": ("1.8", lambda rng, n: stable(1.8, rng, n)),
    "Gaussian": ("none (2 as a stable law)", lambda rng, n: rng.normal(size=n)),
    "Student's t, 3 degrees": ("3", lambda rng, n: rng.standard_t(3, n)),
    "Gaussian, log-normal scales, independent": (
        "none",
        lambda rng, n: rng.normal(size=n) * np.exp(rng.normal(size=n)),
    ),
    "Gaussian, log-normal scales in runs of 100": ("none", in_runs),
    "Gaussian with memory": ("none (2 as a stable law)", with_memory),
}


def measure(repeats, progress=lambda name: None):
    """Return, by world, the mean of each estimator and its interval, and how often blocks of all sizes agree."""
    found = {}
    for number, (name, (truth, draw)) in enumerate(WORLDS.items()):
        progress(name)
        indices = [
            tail_index(draw(realisation(number, k), N_SAMPLES), n_bootstrap=100, rng=k)
            for k in range(repeats)
        ]
        means = mean_interval([one.alpha for one in indices], axis=0)
        ends = np.array([one.by_block for one in indices])[:, [0, -1]]
        found[name] = {
            "truth": truth,
            "alpha": means.value.tolist(),
            "interval": means.interval.tolist(),
            "blocks": ends.mean(axis=0).tolist(),
            "steady": float(np.mean([one.steady for one in indices])),
            "agree": float(np.mean([one.agree for one in indices])),
        }
    return {"repeats": repeats, "n": N_SAMPLES, "worlds": found}


def table(results=None):
    """Return the table of docs/heavy_tails.md."""
    results = results or json.loads(RESULTS.read_text())
    head = ["samples", "true exponent", "Hill", "quantiles", "characteristic function", "blocks"]
    head += ["blocks of 4, of 133", "sizes agree", "estimators agree"]
    rows = [head, ["---"] * len(head)]
    for name, one in results["worlds"].items():
        low, high = one["interval"]
        numbers = [
            f"{value:.2f} [{a:.2f}, {b:.2f}]"
            for value, a, b in zip(one["alpha"], low, high, strict=True)
        ]
        rows.append(
            [name, one["truth"], *numbers, "{:.2f}, {:.2f}".format(*one["blocks"])]
            + [f"{one['steady']:.0%}", f"{one['agree']:.0%}"]
        )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def network():
    """Return a perceptron of 64, 32 and 10 units with tanh, at weights that are always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))


def digits():
    """Return scikit-learn's digits, pixels between 0 and 1 and classes."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return torch.as_tensor(pixels / 16, dtype=torch.float32), torch.as_tensor(labels)


def trained(model, data, n_steps, rng):
    """Take steps of SGD on the cross-entropy, at rate 0.1 with batches of 32."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(n_steps):
        rows = torch.from_numpy(rng.choice(len(data[0]), 32, replace=False))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(data[0][rows]), data[1][rows]).backward()
        optimizer.step()


def measure_gradients(n_batches=500, progress=lambda words: None):
    """Return, for each time of the run, size of batch and layer, what the estimators say of the gradient's noise."""
    model, data, rng, rows, done = network(), digits(), np.random.default_rng(0), [], 0
    for steps in STEPS:
        trained(model, data, steps - done, rng)
        done = steps
        for size in BATCH_SIZES:
            progress(f"{steps} steps, batches of {size}")
            problem = Problem(model, None, "cross_entropy", data)
            noise = gradient_noise(problem, batch_size=size, n_batches=n_batches)
            for name, *both in zip(noise.layers, noise.projected, noise.pooled, strict=True):
                readings = [
                    {"alpha": one.alpha.tolist(), "agree": one.agree, "steady": one.steady}
                    for one in both
                ]
                place = {"steps": steps, "batch_size": size, "layer": name}
                rows.append(place | {"projected": readings[0], "pooled": readings[1]})
    return {"n_batches": n_batches, "rows": rows}


def gradient_table(results=None):
    """Return the second table of docs/heavy_tails.md."""
    results = results or json.loads(GRADIENTS.read_text())
    said = ["Hill", "quantiles, characteristic function, blocks", "agree"]
    head = ["steps", "batch", "layer", *(f"projections: {w}" for w in said)]
    head += [f"coordinates pooled: {w}" for w in said]
    rows = [head, ["---"] * len(head)]
    for row in results["rows"]:
        cells = [str(row["steps"]), str(row["batch_size"]), row["layer"]]
        for kind in ("projected", "pooled"):
            hill, *stable_ones = row[kind]["alpha"]
            cells += [f"{hill:.1f}", ", ".join(f"{alpha:.2f}" for alpha in stable_ones)]
            cells += ["yes" if row[kind]["agree"] else "no"]
        rows.append(cells)
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main(argv=None):
    """Run the command line."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--repeats", type=int, default=40, help="samples of each law (%(default)s)")
    flags.add_argument("--record", action="store_true", help="keep the results, write the page")
    flags.add_argument("--only", choices=("laws", "gradients"), help="one of the two parts")
    options = flags.parse_args(argv)
    found = {}
    if options.only != "gradients":
        found[RESULTS] = measure(options.repeats, progress=lambda name: print(name, flush=True))
        print(table(found[RESULTS]))
    if options.only != "laws":
        found[GRADIENTS] = measure_gradients(progress=lambda words: print(words, flush=True))
        print(gradient_table(found[GRADIENTS]))
    if options.record:
        from tools import tables

        tables.record(found)
    return 0


if __name__ == "__main__":
    raise SystemExit(as_command(main, "heavy_tails.py"))
