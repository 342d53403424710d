"""Theorem 13 of Venturi, Bandeira and Bruna: for ReLU some data give a spurious valley, whatever the width.

    python experiments/spurious_valleys/theorem13.py
    python experiments/spurious_valleys/theorem13.py --n 6 --N 5000 --alpha 2 --beta 3 --runs 5 --outdir outputs_t13

The data live on two orthogonal subspaces (half of 20 000 samples in the first 9 coordinates, half in the tenth). Expect, in
about a minute, risks of 2.25 at the bad point and 1.0 at the other, a barrier on every path between them (1.0 on the
straight line, 0.224 on the best, at least 0.1817 on any: proved), gradient descent that never leaves, a valley that one
unit more removes, and others, as certain, for any number of units in R^3 and for z^2.
"""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # so that it also runs as a file

from multifractal.base.command import as_command, at_the_shell

at_the_shell(__name__)

import numpy as np
from threadpoolctl import threadpool_limits

from experiments.spurious_valleys import certificates, script, valley
from experiments.spurious_valleys.mixture import Mixture, SquareMixture
from multifractal.base.checks import require
from multifractal.base.rng import realisation

NOISE, TRAINING_STEPS = 0.05, 300  # of starts; of Bézier curves and polygons
RATE, N_STEPS = 0.1, 4000  # of gradient descent on the exact risk; at a rate of 0.5 it diverges
GROWN = (3, 5, 9, 17, 33)  # numbers of inputs; the width is one less
IN_PLANE = (2, 3, 4, 6, 8)  # widths in R^3
TRAINED = {"Bézier, 1 bend": ("bezier", 1), "polygon, 3 bends": ("polychain", 3)}


@dataclass(frozen=True)
class Setup:
    """What one run is made with: the data, and the numbers of samples, points on a path and runs of each family."""

    mixture: Mixture
    seed: int = 0
    n_samples: int = 20_000
    n_points: int = 200
    runs: int = 20
    device: str = "cpu"


def parser():
    """Return the command line's parser, with the published names."""
    flags = script.parser(__doc__, "theorem13")
    add = flags.add_argument
    add("--n", type=int, default=10, help="inputs (default: %(default)s)")
    add("--p", type=int, help="units: n - 1, as the theorem's data have it")
    add("--N", type=int, default=20_000, help="samples (default: %(default)s)")
    add("--alpha", type=float, default=2.0, help="of the first subspace (default: %(default)s)")
    add("--beta", type=float, default=3.0, help="of the last coordinate (default: %(default)s)")
    add("--path_points", type=int, default=200, help="of straight lines (default: %(default)s)")
    add("--runs", "--restarts", type=int, default=20, help="of each family (default: %(default)s)")
    add("--device", default="cpu", help="that bends are trained on (default: %(default)s)")
    return flags


def main(argv=None):
    """Run the experiment; return its numbers by name."""
    flags = parser().parse_args(argv)
    require(
        flags.n >= 3 and flags.p in (None, flags.n - 1),
        "--p",
        flags.p,
        f"be n - 1 = {flags.n - 1}, and n at least 3: the theorem's data grow with the width",
        f"pass --n {(flags.p or 2) + 1}",
    )
    setup = Setup(
        Mixture(flags.n, flags.alpha, flags.beta),
        flags.seed,
        flags.N,
        flags.path_points,
        flags.runs,
        flags.device,
    )
    folder = script.Folder(flags.out, flags.overwrite)
    with threadpool_limits(1):  # the matrices are small: more threads only wait for one another
        lines = straight_lines(setup)
        families = {"straight, start perturbed": lines["exact"]}
        families |= {name: trained(setup, *how) for name, how in TRAINED.items()}
        families["dragged out"] = dragged(setup)
        numbers = summary(setup, lines, families)
    report(setup, numbers)
    draw(folder, numbers, lines, families)
    folder.finish(seed=setup.seed, n_restarts=setup.runs, **numbers)
    return numbers


def problem(setup, start):
    """Return the `landscape_viz.Problem` of a sample of the mixture, at the network `start`."""
    import torch

    from experiments.spurious_valleys.networks import OneHiddenLayer, state_of
    from landscape_viz import Problem

    inputs, targets = setup.mixture.sample(setup.n_samples, realisation(setup.seed, 0))
    network = partial(OneHiddenLayer, setup.mixture.n_inputs, len(start[1]), 1)
    return Problem(
        network,
        state_of(*start),
        "mse",
        (torch.as_tensor(inputs), torch.as_tensor(targets)[:, None]),
        batch_size=1000,
    )


def straight_lines(setup):
    """Return losses along straight lines to the other point, from the bad point and from starts perturbed by 0.05."""
    from experiments.spurious_valleys.networks import state_of
    from landscape_viz import linear_path

    mixture, n_points = setup.mixture, setup.n_points
    end = mixture.other_point()
    starts = [mixture.bad_point(), *perturbed(mixture, setup.seed, setup.runs)]
    sampled = [
        linear_path(problem(setup, start), state_of(*end), n_points=n_points) for start in starts
    ]
    exact = [mixture.risk(*valley.straight(start, end, n_points)) for start in starts]
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


def trained(setup, kind, n_bends):
    """Return the exact risk (runs, points) along paths from the bad point whose bends were trained on the sample."""
    from experiments.spurious_valleys.networks import state_of
    from landscape_viz import trained_path

    start, end = setup.mixture.bad_point(), setup.mixture.other_point()
    at_start = problem(setup, start)
    risks = []
    for k in range(setup.runs):
        path = trained_path(
            at_start,
            state_of(*end),
            kind=kind,
            n_bends=n_bends,
            n_steps=TRAINING_STEPS,
            learning_rate=0.03,
            n_points=setup.n_points + 1,
            device=setup.device,
            rng=realisation(setup.seed, 200 + k),
        )
        networks = at_start.weights().numpy() + path.coordinates @ path.vectors
        n_hidden = start[0].size
        hidden = networks[:, :n_hidden].reshape(-1, *start[0].shape)
        risks.append(valley.risk_along(setup.mixture, hidden, networks[:, n_hidden:], n_between=5))
    return np.array(risks)


def dragged(setup):
    """Return the exact risk (runs, points) along paths that drag one unit out of the valley, the units in turn."""
    mixture = setup.mixture
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
                    rng=realisation(setup.seed, 300 + k),
                ),
            )
            for k in range(setup.runs)
        ]
    )


def summary(setup, lines, families):
    """Return what is reported and written."""
    mixture, seed, floor = setup.mixture, setup.seed, setup.mixture.floor
    barriers = {name: risks.max(axis=1) - floor for name, risks in families.items()}
    rims = valley.rim(mixture, mixture.n_inputs - 2, restarts=setup.runs, rng=realisation(seed, 1))
    bound = certificates.orthonormal_rim_bound(mixture.alpha)
    starts = perturbed(mixture, seed, setup.runs)
    descended = valley.descend(mixture, *map(np.array, zip(*starts, strict=True)), RATE, N_STEPS)
    hidden, output = mixture.other_point()
    below = valley.descend(mixture, hidden[None], output[None], RATE, N_STEPS)
    mean = lines["sampled"].mean(axis=0)
    return {
        "risk_bad_point": mixture.risk(*mixture.bad_point()),
        "risk_other_point": mixture.risk(*mixture.other_point()),
        "sampled_bad_point": lines["from_bad_point_sampled"][0],
        "sampled_other_point": lines["from_bad_point_sampled"][-1],
        "straight_barrier": lines["from_bad_point"].max() - floor,
        "straight_barrier_sampled": lines["from_bad_point_sampled"].max()
        - lines["from_bad_point_sampled"][0],
        "mean_curve_maximum": mean.max(),
        "mean_curve_maximum_at": lines["t"][mean.argmax()],
        "barriers": barriers,
        "smallest": min(b.min() for b in barriers.values()),
        "rims": rims,
        "rim_bound": bound,
        "sampled_smallest": sampled_rim(setup),
        "descended": mixture.risk(*descended),
        "descended_negative": int((descended[1] < 0).sum()),
        "descended_trapped": int(valley.trapped(mixture, *descended, bound).sum()),
        "below_other_point": float(mixture.risk(*below)[0]),
        "grown": {
            n: valley.rim(Mixture(n), n - 2, restarts=4, rng=realisation(seed, 2))[0] for n in GROWN
        },
        "wider": wider(mixture),
        **certified(seed),
    }


def certified(seed):
    """Return (found, proved) rims by width in R^3, at alpha = 2, and (found, exact) rims of z^2 by number of inputs."""
    plane, square = {}, {}
    for k in IN_PLANE:
        mixture = Mixture.in_plane(k)
        found = valley.rim(mixture, k - 1, restarts=8, rng=realisation(seed, 3))[0]
        plane[k] = found, certificates.relu_rim_bound(mixture.directions, k - 1)
    for n in GROWN[:3]:
        found = valley.rim(SquareMixture(n), n - 2, restarts=4, rng=realisation(seed, 4))[0]
        square[n] = found, certificates.square_rim(n)
    bound = certificates.orthonormal_rim_bound()
    return {"in_plane": plane, "square": square, "orthonormal_bound": bound}


def sampled_rim(setup, repeats=20):
    """Return the barrier of one dragged path on fresh samples, each as large as the data: (repeats,).

    The samples are drawn anew, and the path was made for the exact risk, so that their spread is that of Monte Carlo alone.
    """
    mixture = setup.mixture
    hidden, output = valley.dragged_path(mixture, *mixture.bad_point(), 0)
    top = valley.risk_along(mixture, hidden, output, n_between=1).argmax()
    barriers = []
    for k in range(repeats):
        inputs, targets = mixture.sample(setup.n_samples, realisation(setup.seed, 400 + k))
        losses = [
            np.mean((np.maximum(inputs @ hidden[i].T, 0) @ output[i] - targets) ** 2)
            for i in (0, top)
        ]
        barriers.append(losses[1] - losses[0])
    return np.array(barriers)


def wider(mixture, n_points=200):
    """Return the exact risk along the straight way out that one spare unit with weight zero opens, shape (n_points,)."""
    hidden, output = mixture.bad_point()
    start = np.vstack([hidden, np.eye(mixture.n_inputs)[-1]]), np.append(output, 0.0)
    return mixture.risk(
        *valley.straight(start, (start[0], np.append(output, -mixture.beta)), n_points)
    )


def report(setup, numbers):
    """Print what was found."""
    alpha, beta, units = setup.mixture.alpha, setup.mixture.beta, setup.mixture.n_inputs - 2
    print(
        f"risk at the bad point {numbers['risk_bad_point']:.4f} (beta^2/4 = {beta**2 / 4:g}; sample "
        f"{numbers['sampled_bad_point']:.3f}), at the other {numbers['risk_other_point']:.4f} (alpha^2/4 = "
        f"{alpha**2 / 4:g}; sample {numbers['sampled_other_point']:.3f})"
    )
    print(
        f"the other point is not a minimum: gradient descent from it reaches {numbers['below_other_point']:.4f}"
    )
    print(
        f"barrier of the straight line {numbers['straight_barrier']:.4f} (sample "
        f"{numbers['straight_barrier_sampled']:.3f}); mean curve of {setup.runs} perturbed runs: highest "
        f"{numbers['mean_curve_maximum']:.3f} at t = {numbers['mean_curve_maximum_at']:.2f}"
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
        f"no path does better than the least risk of {units} units on the first subspace: at least "
        f"{numbers['rim_bound']:.4f} (proved), at most {numbers['rims'][0]:.5f} (found from {len(numbers['rims'])} "
        f"starts that differ by {np.ptp(numbers['rims']):.1e})"
    )
    print(
        f"gradient descent from {len(numbers['descended'])} perturbed starts ends at {numbers['descended'].min():.4f} to "
        f"{numbers['descended'].max():.4f}, with {numbers['descended_negative']} negative output weights; "
        f"{numbers['descended_trapped']} are below the proved rim: trapped for good"
    )
    grown = ", ".join(f"{n - 1}: {rim:.3f}" for n, rim in numbers["grown"].items())
    print(
        f"one more unit on the same data: the way out rises by {np.diff(numbers['wider']).max():.1e} at most (no barrier)"
    )
    print(f"data that grow with the width keep it (width: barrier): {grown}")
    for k, (found, proved) in numbers["in_plane"].items():
        print(f"  R^3, {k} units: rim at least {proved:.6f} (proved), at most {found:.6f} (found)")
    for n, (found, exact) in numbers["square"].items():
        print(f"  z^2, {n} inputs, {n - 1} units: rim {exact:.6f} (closed form; found {found:.6f})")


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
    raise SystemExit(as_command(main, "theorem13.py"))
