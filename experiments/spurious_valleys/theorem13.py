"""Theorem 13 of Venturi, Bandeira and Bruna: for ReLU some data give a spurious valley, whatever the width.

    python experiments/spurious_valleys/theorem13.py

The data live on two orthogonal subspaces (half of 20 000 samples in the first 9 coordinates, half in the tenth). Expect, in
some two minutes, risks of 2.25 at the bad point and 1.0 at the other, a barrier on every path between them (1.0 on the
straight line, 0.224 on the best), gradient descent that never leaves, and a valley that one unit more removes.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # so that it also runs as a file

from experiments.spurious_valleys import script, valley
from experiments.spurious_valleys.mixture import Mixture
from multifractal.base.rng import realisation

N_SAMPLES, NOISE, N_POINTS = 20_000, 0.05, 200
TRAINING_STEPS = 300  # of Bézier curves and polygons
RATE, N_STEPS = 0.1, 4000  # of gradient descent on the exact risk; at a rate of 0.5 it diverges
GROWN = (3, 5, 9, 17, 33)  # numbers of inputs; the width is one less
TRAINED = {"Bézier, 1 bend": ("bezier", 1), "polygon, 3 bends": ("polychain", 3)}


def main(argv=None):
    """Run the experiment; return its numbers by name."""
    flags = script.parser(__doc__, "theorem13")
    flags.add_argument(
        "--restarts", type=int, default=20, help="of each family of paths (default: %(default)s)"
    )
    flags = flags.parse_args(argv)
    folder = script.Folder(flags.out, flags.overwrite)
    mixture, seed = Mixture(), flags.seed
    with threadpool_limits(1):  # the matrices are small: more threads only wait for one another
        lines = straight_lines(mixture, seed, flags.restarts)
        families = {"straight, start perturbed": lines["exact"]}
        families |= {
            name: trained(mixture, seed, flags.restarts, *how) for name, how in TRAINED.items()
        }
        families["dragged out"] = dragged(mixture, seed, flags.restarts)
        numbers = summary(mixture, seed, lines, families, flags.restarts)
    report(numbers)
    draw(folder, numbers, lines, families)
    folder.finish(seed=seed, n_restarts=flags.restarts, **numbers)
    return numbers


def problem(mixture, seed, start, n_samples=N_SAMPLES):
    """Return the `landscape_viz.Problem` of a sample of the mixture, at the network `start`."""
    import torch

    from experiments.spurious_valleys.networks import OneHiddenLayer, state_of
    from landscape_viz import Problem

    inputs, targets = mixture.sample(n_samples, realisation(seed, 0))
    network = partial(OneHiddenLayer, mixture.n_inputs, len(start[1]), 1)
    return Problem(
        network,
        state_of(*start),
        "mse",
        (torch.as_tensor(inputs), torch.as_tensor(targets)[:, None]),
        batch_size=1000,
    )


def straight_lines(mixture, seed, restarts):
    """Return losses along straight lines to the other point, from the bad point and from starts perturbed by 0.05."""
    from experiments.spurious_valleys.networks import state_of
    from landscape_viz import linear_path

    end = mixture.other_point()
    starts = [mixture.bad_point(), *perturbed(mixture, seed, restarts)]
    sampled = [
        linear_path(problem(mixture, seed, start), state_of(*end), n_points=N_POINTS)
        for start in starts
    ]
    exact = [mixture.risk(*valley.straight(start, end, N_POINTS)) for start in starts]
    return {
        "t": sampled[0].t,
        "sampled": np.array([path.losses for path in sampled[1:]]),
        "exact": np.array(exact[1:]),
        "from_bad_point": exact[0],
        "from_bad_point_sampled": sampled[0].losses,
    }


def perturbed(mixture, seed, restarts):
    """Return networks near the bad point: normal noise of standard deviation 0.05 on every weight."""
    hidden, output = mixture.bad_point()
    generators = [realisation(seed, 100 + k) for k in range(restarts)]
    return [
        (
            hidden + NOISE * g.standard_normal(hidden.shape),
            output + NOISE * g.standard_normal(output.shape),
        )
        for g in generators
    ]


def trained(mixture, seed, restarts, kind, n_bends):
    """Return the exact risk (restarts, points) along paths from the bad point whose bends were trained on the sample."""
    from experiments.spurious_valleys.networks import state_of
    from landscape_viz import trained_path

    start, end = mixture.bad_point(), mixture.other_point()
    at_start = problem(mixture, seed, start)
    risks = []
    for k in range(restarts):
        path = trained_path(
            at_start,
            state_of(*end),
            kind=kind,
            n_bends=n_bends,
            n_steps=TRAINING_STEPS,
            learning_rate=0.03,
            n_points=N_POINTS + 1,
            rng=realisation(seed, 200 + k),
        )
        networks = at_start.weights().numpy() + path.coordinates @ path.vectors
        n_hidden = start[0].size
        risks.append(
            valley.risk_along(
                mixture,
                networks[:, :n_hidden].reshape(-1, *start[0].shape),
                networks[:, n_hidden:],
                n_between=5,
            )
        )
    return np.array(risks)


def dragged(mixture, seed, restarts):
    """Return the exact risk (restarts, points) along paths that drag one unit out of the valley, the units in turn."""
    hidden, output = mixture.bad_point()
    return np.array(
        [
            valley.risk_along(
                mixture,
                *valley.dragged_path(
                    mixture,
                    hidden,
                    output,
                    k % len(output),
                    noise=NOISE,
                    rng=realisation(seed, 300 + k),
                ),
            )
            for k in range(restarts)
        ]
    )


def summary(mixture, seed, lines, families, restarts):
    """Return what is reported and written."""
    floor = mixture.beta**2 / 4
    barriers = {name: risks.max(axis=1) - floor for name, risks in families.items()}
    rims = valley.rim(mixture, mixture.n_inputs - 2, restarts=restarts, rng=realisation(seed, 1))
    starts = perturbed(mixture, seed, restarts)
    descended = valley.descend(mixture, *map(np.array, zip(*starts, strict=True)), RATE, N_STEPS)
    hidden, output = mixture.other_point()
    below = valley.descend(mixture, hidden[None], output[None], RATE, N_STEPS)
    return {
        "risk_bad_point": mixture.risk(*mixture.bad_point()),
        "risk_other_point": mixture.risk(*mixture.other_point()),
        "sampled_bad_point": lines["from_bad_point_sampled"][0],
        "sampled_other_point": lines["from_bad_point_sampled"][-1],
        "straight_barrier": lines["from_bad_point"].max() - floor,
        "straight_barrier_sampled": lines["from_bad_point_sampled"].max()
        - lines["from_bad_point_sampled"][0],
        "barriers": barriers,
        "smallest": min(b.min() for b in barriers.values()),
        "rims": rims,
        "sampled_smallest": sampled_rim(mixture, seed),
        "descended": mixture.risk(*descended),
        "descended_negative": int((descended[1] < 0).sum()),
        "below_other_point": float(mixture.risk(*below)[0]),
        "grown": {
            n: valley.rim(Mixture(n), n - 2, restarts=4, rng=realisation(seed, 2))[0] for n in GROWN
        },
        "wider": wider(mixture),
    }


def sampled_rim(mixture, seed, n_samples=N_SAMPLES, repeats=20):
    """Return the barrier of one dragged path on fresh samples, each as large as the data: (repeats,).

    The samples are drawn anew, and the path was made for the exact risk, so that their spread is that of Monte Carlo alone.
    """
    hidden, output = valley.dragged_path(mixture, *mixture.bad_point(), 0)
    top = valley.risk_along(mixture, hidden, output, n_between=1).argmax()
    barriers = []
    for k in range(repeats):
        inputs, targets = mixture.sample(n_samples, realisation(seed, 400 + k))
        losses = [
            np.mean((np.maximum(inputs @ hidden[i].T, 0) @ output[i] - targets) ** 2)
            for i in (0, top)
        ]
        barriers.append(losses[1] - losses[0])
    return np.array(barriers)


def wider(mixture):
    """Return the exact risk along the straight way out that one spare unit with weight zero opens, shape (N_POINTS,)."""
    hidden, output = mixture.bad_point()
    start = np.vstack([hidden, np.eye(mixture.n_inputs)[-1]]), np.append(output, 0.0)
    return mixture.risk(
        *valley.straight(start, (start[0], np.append(output, -mixture.beta)), N_POINTS)
    )


def report(numbers):
    """Print what was found."""
    print(
        f"risk at the bad point {numbers['risk_bad_point']:.4f} (beta^2/4 = 2.25; sample "
        f"{numbers['sampled_bad_point']:.3f}), at the other {numbers['risk_other_point']:.4f} (alpha^2/4 = 1; sample "
        f"{numbers['sampled_other_point']:.3f})"
    )
    print(
        f"the other point is not a minimum: gradient descent from it reaches {numbers['below_other_point']:.4f}"
    )
    print(
        f"barrier of the straight line {numbers['straight_barrier']:.4f} (sample "
        f"{numbers['straight_barrier_sampled']:.3f})"
    )
    for name, barriers in numbers["barriers"].items():
        print(
            f"  {name:26s} smallest {barriers.min():.4f}, median {np.median(barriers):.4f}, n = {len(barriers)}"
        )
    fresh = numbers["sampled_smallest"]
    print(
        f"smallest barrier {numbers['smallest']:.5f}, exact risk; the same path on {len(fresh)} fresh samples: "
        f"{fresh.mean():.4f}, standard deviation {fresh.std(ddof=1):.4f}"
    )
    print(
        f"no path does better than the least risk of {Mixture().n_inputs - 2} units on the first subspace: "
        f"{numbers['rims'][0]:.5f}, found from {len(numbers['rims'])} starts that differ by {np.ptp(numbers['rims']):.1e}"
    )
    print(
        f"gradient descent from {len(numbers['descended'])} perturbed starts ends at {numbers['descended'].min():.4f} to "
        f"{numbers['descended'].max():.4f}, with {numbers['descended_negative']} negative output weights: no escape"
    )
    grown = ", ".join(f"{n - 1}: {rim:.3f}" for n, rim in numbers["grown"].items())
    print(
        f"one more unit on the same data: the way out rises by {np.diff(numbers['wider']).max():.1e} at most (no barrier)"
    )
    print(f"data that grow with the width keep it (width: barrier): {grown}")


def draw(folder, numbers, lines, families):
    """Write the figures."""
    from experiments.spurious_valleys import theorem13_figures as chapter

    folder.figure(chapter.straight(lines), "straight", **lines)
    folder.figure(
        chapter.barriers(numbers, families),
        "barriers",
        smallest=numbers["smallest"],
        **{f"risk_{k}": risks for k, risks in enumerate(families.values())},
        grown_inputs=list(numbers["grown"]),
        grown=list(numbers["grown"].values()),
    )


if __name__ == "__main__":
    main()
