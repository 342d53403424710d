"""Theorem 8 of Venturi, Bandeira and Bruna: no spurious valleys once the width reaches the dimension of the filters.

    python experiments/spurious_valleys/theorem8.py

The proof's path of non-increasing loss is built from every start, for activations z, z^2 and z^3, and networks are trained
on y = 3x. Expect, in half a minute: paths whose loss never rises by more than 1e-10 and ends at the least there is; four
training runs that end at zero loss; widths 2, 5 and 9 of 10 inputs that stay above zero, width 15 that does not.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # so that it also runs as a file

from experiments.spurious_valleys import script
from experiments.spurious_valleys.networks import OneHiddenLayer, square_loss, state_of
from experiments.spurious_valleys.rank_path import filter_dimension, least_loss, rank_path
from landscape_viz import Problem, directions, section, trajectory
from multifractal.base.rng import realisation

N_INPUTS, RATE, N_STARTS, WIDTHS = 10, 0.01, 4, (2, 5, 9, 15)
# degree: inputs of the networks whose paths are built, at a width of exactly the dimension
HIGHER = {1: 10, 2: 5, 3: 4}


def main(argv=None):
    """Run the experiment; return its numbers by name."""
    flags = script.parser(__doc__, "theorem8")
    flags.add_argument(
        "--epochs",
        type=int,
        default=1000,
        help="of the four runs; twice that by width (%(default)s)",
    )
    flags.add_argument(
        "--resolution",
        type=int,
        default=41,
        help="points a side of each plane (default: %(default)s)",
    )
    flags = flags.parse_args(argv)
    folder = script.Folder(flags.out, flags.overwrite)
    with pinned_torch():
        panels = [panel(flags.seed, k, flags.epochs, flags.resolution) for k in range(N_STARTS)]
        by_width = {
            width: trained_at_width(flags.seed, width, 2 * flags.epochs) for width in WIDTHS
        }
    paths = {degree: built_paths(flags.seed, degree) for degree in HIGHER}
    numbers = summary(panels, by_width, paths)
    report(numbers)
    draw(folder, panels, by_width, paths)
    folder.finish(seed=flags.seed, epochs=flags.epochs, **numbers)
    return numbers


def pinned_torch():
    """Return the context in which torch uses one thread, so that bits do not depend on the machine's cores."""
    from landscape_viz.loss.evaluate import pinned_threads

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


def panel(seed, index, epochs, resolution):
    """Train start `index` on 100 samples, width 20; return its path, the section of its PCA plane, and theorem 8's path."""
    generator = realisation(seed, index)
    inputs = draw_data(generator, 100)
    weights = draw_weights(generator, 20, N_INPUTS, N_INPUTS)
    losses, states = train(weights, inputs, 3 * inputs, epochs)
    problem = Problem(
        partial(OneHiddenLayer, N_INPUTS, 20, N_INPUTS, 1),
        states[-1],
        square_loss,
        (torch.as_tensor(inputs), torch.as_tensor(3 * inputs)),
    )
    plane = directions.pca(problem, states[:-1])
    path = trajectory.project(problem, states, plane)
    axes = [spread(column, resolution) for column in path.coordinates.T]
    map_ = section(problem, plane, axes, metrics=("loss",), progress=False)
    return {
        "losses": losses,
        "path": path,
        "section": map_,
        "built": rank_path(*weights, 1, inputs, 3 * inputs, rng=generator),
    }


def spread(coordinates, resolution):
    """Return an axis around `coordinates` with a margin on both sides."""
    margin = 0.35 * np.ptp(coordinates)
    return np.linspace(coordinates.min() - margin, coordinates.max() + margin, resolution)


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


def summary(panels, by_width, paths):
    """Return what is reported and written."""
    every = [path for built in paths.values() for path in built["paths"].values()] + [
        p["built"] for p in panels
    ]
    return {
        "final_losses": [p["losses"][-1] for p in panels],
        "largest_rise": max(path.largest_rise for path in every),
        "n_paths": len(every),
        "widths": {
            width: {
                "final_both": run["both"][-1],
                "final_output_only": run["output"][-1],
                "least_squares": run["least_squares"],
                "rank_bound": run["rank_bound"],
            }
            for width, run in by_width.items()
        },
        "built": {
            degree: {
                "dimension": next(iter(built["paths"].values())).dimension,
                "least": built["least"],
                **{name: path.losses[-1] for name, path in built["paths"].items()},
            }
            for degree, built in paths.items()
        },
    }


def report(numbers):
    """Print what was found."""
    print(
        f"four starts, width 20: final losses {', '.join(f'{loss:.1e}' for loss in numbers['final_losses'])}"
    )
    print("width   both layers   output only   least squares (hidden fixed)   best rank p")
    for width, found in numbers["widths"].items():
        print(
            f"{width:5d}{found['final_both']:14.4g}{found['final_output_only']:14.4g}{found['least_squares']:20.4g}"
            f"{found['rank_bound']:24.4g}"
        )
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


def draw(folder, panels, by_width, paths):
    """Write the figures."""
    from experiments.spurious_valleys import theorem8_figures as chapter

    folder.figure(
        chapter.planes(panels),
        "planes",
        **{
            f"{name}_{k}": array
            for k, p in enumerate(panels)
            for name, array in (
                ("coordinates", p["path"].coordinates),
                ("loss", p["section"].values["loss"]),
                ("x", p["section"].x),
                ("y", p["section"].y),
                ("losses", p["losses"]),
            )
        },
    )
    folder.figure(
        chapter.widths(by_width),
        "widths",
        **{
            f"{name}_{width}": values
            for width, run in by_width.items()
            for name, values in run.items()
        },
    )
    folder.figure(
        chapter.built(paths),
        "built",
        **{
            f"degree_{degree}_start_{k}": path.losses
            for degree, built in paths.items()
            for k, path in enumerate(built["paths"].values())
        },
    )


if __name__ == "__main__":
    main()
