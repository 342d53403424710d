"""Theorem 8 of Venturi, Bandeira and Bruna: no spurious valleys once the width reaches the dimension of the filters.

    python experiments/spurious_valleys/theorem8.py                               # everything
    python experiments/spurious_valleys/theorem8.py main1 --outdir outputs_t8     # figure 2a alone; main2: 2b; demo: x^2

The proof's path of non-increasing loss is built from every start, for powers, polynomials of several degrees and ReLU on N
points, for the square and the logistic loss; at twice the width a path joins two minima. Expect, in half a minute: paths
whose loss never rises by more than 1e-10 and ends at the least there is; four starts that reach zero loss over one hidden
layer; widths 2, 5 and 9 of 10 inputs that stay above zero, width 15 that does not.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # so that it also runs as a file

from multifractal.base.command import as_command, at_the_shell

at_the_shell(__name__)

import numpy as np
import torch

from experiments.spurious_valleys import script
from experiments.spurious_valleys.activations import (
    RELU,
    Polynomial,
    as_activation,
    filter_dimension,
)
from experiments.spurious_valleys.convex_losses import LOGISTIC, SQUARE
from experiments.spurious_valleys.networks import OneHiddenLayer, square_loss, state_of
from experiments.spurious_valleys.one_valley import minima_path
from experiments.spurious_valleys.rank_path import (
    along,
    completed,
    freed_output,
    least_loss,
    losses_along,
    rank_path,
)
from landscape_viz import Problem, directions, section, trajectory
from multifractal.base.rng import realisation

N_INPUTS, RATE, N_STARTS, WIDTHS = 10, 0.01, 4, (2, 5, 9, 15)
RESOLUTION = 41
EPOCHS = {"starts": 3000, "widths": 2000}
# degree: inputs of the networks whose paths are built, at a width of exactly the dimension
HIGHER = {1: 10, 2: 5, 3: 4}
# name: activation, number of points, loss; five inputs, two outputs, at a width of exactly the dimension
CERTIFIED = {
    "ReLU, N = 12": (RELU, 12, SQUARE),
    "ReLU, N = 20": (RELU, 20, SQUARE),
    "ReLU, N = 20, logistic": (RELU, 20, LOGISTIC),
    "$1 + z^2/2 + z^3/5$": (Polynomial((1, 0, 0.5, 0.2)), 100, SQUARE),
    "$z + z^2$, logistic": (Polynomial((0, 1, 1)), 100, LOGISTIC),
}


def main(argv=None):
    """Run what the command asks for; return its numbers by name."""
    flags = script.parser(__doc__, "theorem8")
    flags.add_argument(
        "what", nargs="?", default="all", choices=("all", "main1", "main2", "demo"), help="(all)"
    )
    flags.add_argument(
        "--epochs", type=int, metavar="N", help="of each run (3000 of four starts, 2000 by width)"
    )
    flags.add_argument(
        "--resolution",
        type=int,
        default=RESOLUTION,
        help="points a side of each plane (default: %(default)s)",
    )
    flags = flags.parse_args(argv)
    epochs = {name: flags.epochs or default for name, default in EPOCHS.items()}
    common = {"outdir": flags.out, "seed": flags.seed, "overwrite": flags.overwrite}
    if flags.what == "main1":
        return main1(epochs=epochs["starts"], resolution=flags.resolution, **common)
    if flags.what == "main2":
        return main2(epochs=epochs["widths"], **common)
    if flags.what == "demo":
        return demo(epochs=epochs["widths"], **common)
    folder = script.Folder(flags.out, flags.overwrite)
    starts = four_starts(flags.seed, epochs["starts"], flags.resolution)
    by_width = all_widths(flags.seed, epochs["widths"])
    paths = {degree: built_paths(flags.seed, degree) for degree in HIGHER}
    certified = {
        name: certificate(*how, realisation(flags.seed, 300 + k))
        for k, (name, how) in enumerate(CERTIFIED.items())
    }
    numbers = summary(starts, by_width, paths, certified)
    report(numbers)
    draw(folder, starts, by_width, paths, certified)
    folder.finish(seed=flags.seed, epochs=epochs, **numbers)
    return numbers


def main1(outdir="outputs_t8", *, seed=0, epochs=3000, resolution=RESOLUTION, overwrite=False):
    """Draw figure 2a: one data set, one hidden layer of full rank, four starts of the output layer, which alone is trained."""
    folder = script.Folder(outdir, overwrite, "main1.json")
    starts = four_starts(seed, epochs, resolution)
    numbers = {"final_losses": [start["losses"][-1] for start in starts]}
    print(f"four starts, width 20: final losses {_listed(numbers['final_losses'])}")
    draw_starts(folder, starts)
    folder.finish(seed=seed, epochs=epochs, **numbers)
    return numbers


def main2(outdir="outputs_t8", *, seed=0, epochs=2000, overwrite=False):
    """Draw figure 2b: the loss against epoch at widths 2, 5, 9 and 15."""
    folder = script.Folder(outdir, overwrite, "main2.json")
    by_width = all_widths(seed, epochs)
    numbers = {"widths": widths_in_numbers(by_width)}
    report_widths(numbers["widths"])
    draw_widths(folder, by_width)
    folder.finish(seed=seed, epochs=epochs, **numbers)
    return numbers


def demo(outdir="outputs_t8", *, seed=0, epochs=2000, overwrite=False):
    """Fit y = x^2 by a network of degree 1: the least loss is not zero, and no start ends anywhere else."""
    folder = script.Folder(outdir, overwrite, "demo.json")
    inputs = draw_data(realisation(seed, 400), 100, 1)
    targets = inputs**2
    ends = []
    with pinned_torch():
        for k in range(N_STARTS):
            weights = draw_weights(realisation(seed, 401 + k), 4, 1, 1)
            path = rank_path(*weights, 1, inputs, targets)
            ends.append((train(weights, inputs, targets, epochs)[0][-1], path.losses[-1]))
    numbers = {"ends": ends, "least": least_loss(inputs, targets, 1)}
    print(f"x^2 by degree 1: least loss {numbers['least']:.6f}; trained, and at the path's end:")
    for trained, built in ends:
        print(f"  {trained:.6f}   {built:.6f}")
    folder.finish(seed=seed, epochs=epochs, **numbers)
    return numbers


def pinned_torch():
    """Return the context in which torch uses one thread, so that bits do not depend on the machine's cores."""
    from landscape_viz.loss.precision import pinned_threads

    return pinned_threads(1)


def draw_data(generator, n_samples, n_inputs=N_INPUTS):
    """Return inputs uniform on (-2, 2), shape (n_samples, n_inputs)."""
    return generator.uniform(-2, 2, (n_samples, n_inputs))


def draw_weights(generator, width, n_inputs, n_outputs):
    """Return (hidden, output), normal with variances 1 / n_inputs and 1 / width."""
    return (
        generator.standard_normal((width, n_inputs)) / np.sqrt(n_inputs),
        generator.standard_normal((n_outputs, width)) / np.sqrt(width),
    )


def train(weights, inputs, targets, epochs, *, hidden_too=True):
    """Return (losses (epochs + 1,), states at some 40 epochs, most of them early) of descent with linear activation."""
    network = OneHiddenLayer(inputs.shape[1], len(weights[0]), targets.shape[1], degree=1)
    network.load_state_dict(state_of(*weights))
    network.hidden.requires_grad_(hidden_too)
    descent = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=RATE)
    inputs, targets = torch.as_tensor(inputs), torch.as_tensor(targets)
    kept = {0, *np.geomspace(1, max(epochs, 3), 40).round().astype(int)}
    losses, states = [], []
    for epoch in range(epochs + 1):
        if epoch in kept:
            states.append({name: p.detach().clone() for name, p in network.named_parameters()})
        descent.zero_grad()
        loss = square_loss(network(inputs), targets)
        losses.append(loss.item())
        loss.backward()
        descent.step()
    return np.array(losses), states


def four_starts(seed, epochs, resolution):
    """Return four runs of the output layer over one data set of 100 samples and one hidden layer of 20 units.

    The hidden weights are drawn once, and completed to full rank as in the proof's second step.
    """
    generator = realisation(seed, 0)
    inputs = draw_data(generator, 100)
    hidden, output = draw_weights(generator, 20, N_INPUTS, N_INPUTS)
    rho = as_activation(1)
    _, spare = freed_output(rho.filters(hidden, inputs), output)
    hidden = completed(hidden, spare, rho, inputs, rng=generator)
    with pinned_torch():
        runs = [start(hidden, inputs, realisation(seed, 1 + k), epochs) for k in range(N_STARTS)]
        points = np.concatenate([run["path"].coordinates for run in runs])
        axes = [spread(column, resolution) for column in points.T]
        return [{**run, "section": mapped(run, axes)} for run in runs]


def start(hidden, inputs, generator, epochs):
    """Train one draw of the output weights, standard normal; return its losses and its path in its PCA plane."""
    weights = hidden, generator.standard_normal((N_INPUTS, 20))
    losses, states = train(weights, inputs, 3 * inputs, epochs, hidden_too=False)
    problem = Problem(
        partial(OneHiddenLayer, N_INPUTS, 20, N_INPUTS, 1),
        states[-1],
        square_loss,
        (torch.as_tensor(inputs), torch.as_tensor(3 * inputs)),
    )
    plane = directions.pca(problem, states[:-1])
    path = trajectory.project(problem, states, plane)
    return {"losses": losses, "path": path, "problem": problem, "plane": plane}


def mapped(run, axes):
    """Return the section of a run's plane on axes that all runs share."""
    return section(run["problem"], run["plane"], axes, metrics=("loss",), progress=False)


def spread(coordinates, resolution):
    """Return an axis around `coordinates` with a margin on both sides."""
    margin = 0.2 * np.ptp(coordinates)
    return np.linspace(coordinates.min() - margin, coordinates.max() + margin, resolution)


def all_widths(seed, epochs):
    """Return what `trained_at_width` gives, by width."""
    with pinned_torch():
        return {width: trained_at_width(seed, width, epochs) for width in WIDTHS}


def trained_at_width(seed, width, epochs):
    """Return losses at one width, both layers trained or the output only, and the two levels they cannot go below."""
    generator = realisation(seed, 100 + width)
    inputs = draw_data(generator, 200)
    weights = draw_weights(generator, width, N_INPUTS, N_INPUTS)
    return {
        "both": train(weights, inputs, 3 * inputs, epochs)[0],
        "output": train(weights, inputs, 3 * inputs, epochs, hidden_too=False)[0],
        "least_squares": fixed_hidden_level(weights[0], inputs, 3 * inputs),
        "rank_bound": rank_bound(inputs, 3 * inputs, width),
    }


def fixed_hidden_level(hidden, inputs, targets):
    """Return the least loss over the output weights when the hidden weights stay: the least-squares residual."""
    features = inputs @ hidden.T
    misses = features @ np.linalg.lstsq(features, targets, rcond=None)[0] - targets
    return float(np.sum(misses**2) / len(inputs))


def rank_bound(inputs, targets, rank):
    """Return the least loss of any linear map of this rank: the residual of least squares plus the fit's small directions.

    (Eckart and Young on the fitted values; for y = 3x, 9 times the sum of the smallest eigenvalues of the inputs' second
    moments.)
    """
    fitted = inputs @ np.linalg.lstsq(inputs, targets, rcond=None)[0]
    small = np.linalg.svd(fitted, compute_uv=False)[rank:]
    return float((np.sum((fitted - targets) ** 2) + np.sum(small**2)) / len(inputs))


def built_paths(seed, degree):
    """Return theorem 8's path from a generic start, two degenerate ones, and one whose width is too small by one unit."""
    n_inputs = HIGHER[degree]
    dimension = filter_dimension(n_inputs, degree)
    generator = realisation(seed, 200 + degree)
    inputs = draw_data(generator, 10 * dimension, n_inputs)
    # no polynomial of one degree, so that the least loss is not zero
    targets = 3 * np.maximum(inputs, 0)
    starts = {
        name: draw_weights(generator, dimension - (name == "one unit too few"), n_inputs, n_inputs)
        for name in ("generic", "all filters equal", "half of them zero", "one unit too few")
    }
    starts["all filters equal"][0][:] = starts["all filters equal"][0][0]
    starts["half of them zero"][0][::2] = 0
    paths = {
        name: rank_path(*start, degree, inputs, targets, rng=generator)
        for name, start in starts.items()
    }
    return {"paths": paths, "least": least_loss(inputs, targets, degree)}


def certificate(activation, n_samples, kind, generator):
    """Return theorem 8's path at width D, and the path between two minima at width 2D beside the straight line."""
    inputs = draw_data(generator, n_samples, 5)
    targets = np.sin(3 * inputs[:, :2])
    targets = np.sign(targets) if kind is LOGISTIC else targets
    dimension = activation.dimension(inputs)
    weights = draw_weights(generator, dimension, 5, 2)
    weights[0][::2] = weights[0][0]  # half of the filters equal
    path = rank_path(*weights, activation, inputs, targets, kind=kind, rng=generator)
    minima = []
    for _ in range(2):
        weights = draw_weights(generator, 2 * dimension, 5, 2)
        found = rank_path(
            *weights, activation, inputs, targets, kind=kind, n_points=2, rng=generator
        )
        minima.append((found.hidden[-1], found.output[-1]))
    straight = losses_along(*along(minima, 100)[:2], activation, inputs, targets, kind)
    return {
        "path": path,
        "least": least_loss(inputs, targets, activation, kind),
        "joined": minima_path(*minima, activation, inputs, targets, kind=kind),
        "straight": straight,
    }


def summary(starts, by_width, paths, certified):
    """Return what is reported and written."""
    every = [path for built in paths.values() for path in built["paths"].values()]
    every += [found["path"] for found in certified.values()]
    return {
        "final_losses": [start["losses"][-1] for start in starts],
        "largest_rise": max(path.largest_rise for path in every),
        "n_paths": len(every),
        "widths": widths_in_numbers(by_width),
        "built": {
            degree: {
                "dimension": next(iter(built["paths"].values())).dimension,
                "least": built["least"],
                **{name: path.losses[-1] for name, path in built["paths"].items()},
            }
            for degree, built in paths.items()
        },
        "certified": {
            name: {
                "dimension": found["path"].dimension,
                "start": found["path"].losses[0],
                "end": found["path"].losses[-1],
                "least": found["least"],
                "largest_rise": found["path"].largest_rise,
                "barrier_between_minima": found["joined"].barrier,
                "barrier_of_straight_line": found["straight"].max() - found["straight"][0],
            }
            for name, found in certified.items()
        },
    }


def widths_in_numbers(by_width):
    """Return the final losses by width, and the two levels they cannot go below."""
    return {
        width: {
            "final_both": run["both"][-1],
            "final_output_only": run["output"][-1],
            "least_squares": run["least_squares"],
            "rank_bound": run["rank_bound"],
        }
        for width, run in by_width.items()
    }


def report_widths(widths):
    """Print the final losses by width."""
    print("width   both layers   output only   least squares (hidden fixed)   best rank p")
    for width, found in widths.items():
        print(
            f"{width:5d}{found['final_both']:14.4g}{found['final_output_only']:14.4g}{found['least_squares']:20.4g}"
            f"{found['rank_bound']:24.4g}"
        )


def report(numbers):
    """Print what was found."""
    print(f"four starts, width 20: final losses {_listed(numbers['final_losses'])}")
    report_widths(numbers["widths"])
    print(
        f"{numbers['n_paths']} paths built; largest rise of the loss along any: {numbers['largest_rise']:.1e}"
    )
    for degree, built in numbers["built"].items():
        ends = ", ".join(
            f"{name} {end:.6g}" for name, end in built.items() if name not in ("dimension", "least")
        )
        print(
            f"  degree {degree}, {HIGHER[degree]} inputs, width {built['dimension']}: least {built['least']:.6g}; {ends}"
        )
    print("width D: loss at the start, at the end, the least, largest rise; width 2D: barriers")
    for name, found in numbers["certified"].items():
        print(
            f"  {name:24s} D {found['dimension']:3d}: {found['start']:8.3g} -> {found['end']:9.4g} "
            f"({found['least']:.4g}), rise {found['largest_rise']:.0e}; minima joined at "
            f"{found['barrier_between_minima']:.0e}, straight line {found['barrier_of_straight_line']:.3g}"
        )


def _listed(losses):
    return ", ".join(f"{loss:.1e}" for loss in losses)


def draw(folder, starts, by_width, paths, certified):
    """Write the figures."""
    from experiments.spurious_valleys import theorem8_figures as chapter

    draw_starts(folder, starts)
    draw_widths(folder, by_width)
    folder.figure(
        chapter.built(paths),
        "built",
        **{
            f"degree_{degree}_start_{k}": path.losses
            for degree, built in paths.items()
            for k, path in enumerate(built["paths"].values())
        },
    )
    folder.figure(
        chapter.certified(certified),
        "certified",
        **{
            f"{name}_{k}": losses
            for k, found in enumerate(certified.values())
            for name, losses in (
                ("path", found["path"].losses),
                ("joined", found["joined"].losses),
                ("straight", found["straight"]),
            )
        },
    )


def draw_starts(folder, starts):
    """Write the figure of the four starts."""
    from experiments.spurious_valleys import theorem8_figures as chapter

    folder.figure(
        chapter.planes(starts),
        "planes",
        **{
            f"{name}_{k}": array
            for k, p in enumerate(starts)
            for name, array in (
                ("coordinates", p["path"].coordinates),
                ("loss", p["section"].values["loss"]),
                ("x", p["section"].x),
                ("y", p["section"].y),
                ("losses", p["losses"]),
            )
        },
    )


def draw_widths(folder, by_width):
    """Write the figure of the losses by width."""
    from experiments.spurious_valleys import theorem8_figures as chapter

    folder.figure(
        chapter.widths(by_width),
        "widths",
        **{
            f"{name}_{width}": values
            for width, run in by_width.items()
            for name, values in run.items()
        },
    )


if __name__ == "__main__":
    raise SystemExit(as_command(main, "theorem8.py"))
