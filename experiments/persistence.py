"""How the persistence of a rough surface's minima depends on the pixel: what topology measures there is the grid.

    python experiments/persistence.py [--planes 10] [--record]

Exact fractional Brownian surfaces, each sampled at every 8th, 4th, 2nd and every pixel, and sums of a few waves, sampled the
same way. With --record the results are kept in experiments/results/persistence.json, and the table and figure of
docs/topology.md are written anew.
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

import multifractal as mf
from multifractal.base.rng import realisation
from multifractal.base.statistics import mean_interval

RESULTS = ROOT / "experiments" / "results" / "persistence.json"
FIGURE = ROOT / "docs" / "figures" / "persistence.png"
HURSTS = (0.3, 0.5, 0.7, 0.9)
STRIDES = (8, 4, 2, 1)
SIZE = 512
MEANS = ("persistence", "smad", "weighted")  # columns of what is measured


def rough(hurst):
    """Return what draws an exact surface of that exponent."""
    return lambda rng: mf.fbm_surface(SIZE, hurst, rng=rng).values


def waves(rng):
    """Draw a sum of 30 waves, of at most five periods a side: a smooth surface with minima of its own."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    k = rng.uniform(-5, 5, (30, 2))
    phase = rng.uniform(0, 2 * np.pi, 30)
    return sum(np.cos(2 * np.pi * (a * x + b * y) + p) for (a, b), p in zip(k, phase, strict=True))


WORLDS = {f"fBm, H = {hurst}": rough(hurst) for hurst in HURSTS} | {"30 waves": waves}


def means(values):
    """Return the mean persistence of the minima, SMAD, SMAD weighted by persistence, and whether it warns."""
    found = mf.topology(values)
    return [
        float(found.persistence.mean()),
        found.smad(),
        found.smad(weights="persistence"),
        bool(found.warnings),
    ]


def measure(planes, worlds=WORLDS, progress=lambda words: None):
    """Return, by world, what is measured of each plane at each stride, shape (planes, strides, 4)."""
    found = {}
    for number, (name, draw) in enumerate(worlds.items()):
        progress(name)
        surfaces = (draw(realisation(number, k)) for k in range(planes))
        found[name] = [[means(s[::stride, ::stride]) for stride in STRIDES] for s in surfaces]
    return {"planes": planes, "worlds": found}


def slopes(results, name):
    """Return the Estimate of d log2(mean) / d log2(pixel) over planes, for each of MEANS."""
    values = np.array(results["worlds"][name], dtype=float)[..., : len(MEANS)]
    x = np.log2(STRIDES) - np.mean(np.log2(STRIDES))
    return mean_interval(np.einsum("pks,k->ps", np.log2(values), x) / (x @ x), axis=0, of="planes")


def table(results=None):
    """Return the table of docs/topology.md."""
    results = results or json.loads(RESULTS.read_text())
    head = ["surface", "mean persistence", "SMAD", "SMAD weighted by persistence", "warns"]
    rows = [head, ["---"] * len(head)]
    for name, planes in results["worlds"].items():
        found = slopes(results, name)
        cells = [
            f"{value:.2f} [{low:.2f}, {high:.2f}]"
            for value, low, high in zip(found.value, found.low, found.high, strict=True)
        ]
        warned = np.array(planes, dtype=float)[..., -1]
        rows.append([name, *cells, f"{warned.mean():.0%}"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def figure(results):
    """Return the axes of the mean persistence against the pixel, with the law pixel^H of each exponent."""
    import matplotlib.pyplot as plt

    from multifractal.figures import _style

    with plt.style.context(_style.HOUSE_STYLE):
        ax = plt.subplots(figsize=(5.5, 4), layout="constrained")[1]
        colours = plt.get_cmap("viridis")(np.linspace(0, 0.85, len(WORLDS)))
        for (name, planes), colour, marker in zip(
            results["worlds"].items(), colours, "osD^v", strict=True
        ):
            values = np.array(planes, dtype=float)[..., 0]
            mean = mean_interval(values / values.mean(axis=0)[-1], axis=0, of="planes")
            ax.errorbar(
                STRIDES, mean.value, mean.bars, fmt=marker, color=colour, label=name, capsize=2
            )
            if name.startswith("fBm"):
                hurst = float(name.rpartition("= ")[2])
                ax.plot(STRIDES, np.array(STRIDES) ** hurst, color=colour, lw=0.8)
        ax.set(xscale="log", yscale="log", xticks=STRIDES, xticklabels=map(str, STRIDES))
        ax.minorticks_off()
        ax.set(yticks=(1, 2, 5), yticklabels=("1", "2", "5"))
        ax.set(xlabel="pixel (finest = 1)", ylabel="mean persistence (at the finest pixel = 1)")
        ax.legend(title="lines: pixel$^H$")
    return ax


def main(argv=None):
    """Run the command line."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--planes", type=int, default=10, help="surfaces of each law (%(default)s)")
    flags.add_argument("--record", action="store_true", help="keep the results, write the page")
    options = flags.parse_args(argv)
    results = measure(options.planes, progress=lambda name: print(name, flush=True))
    print(table(results))
    if options.record:
        figure(results).figure.savefig(FIGURE, dpi=150)
        from tools import tables

        tables.record({RESULTS: results})
    return 0


if __name__ == "__main__":
    raise SystemExit(as_command(main, "persistence.py"))
