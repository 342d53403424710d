"""The seven parts. Each unit of work is a function of (seed, options) that returns a list of rows: plain numbers by name."""

import math
import sys
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

import multifractal as mf
from experiments.where_fractal import counting
from experiments.where_fractal import measures as m
from experiments.where_fractal.rules import LEAST
from landscape_viz import recurrent
from multifractal.base.rng import realisation
from multifractal.landscapes.landscape import Landscape

HALF = 0.01  # of planes, in units of filter norms
HORIZON = 90
DISCOUNTS = (0.85, 0.92)
CELLS = {"RNN": 3.0, "GRU": 8.0, "LSTM": 8.0}  # gain by kind
UNITS = {"RNN": 60, "GRU": 32, "LSTM": 32}
KINDS = {"RNN": recurrent.TanhRNN, "GRU": recurrent.GRU, "LSTM": recurrent.LSTM}
# 20 of zoom for rule 3 and 20 for rule 3b, of walkers likewise; networks with gates, as some of theirs are not chaotic enough to count
SEEDS = {"zoom": 40, "walkers": 40, "GRU": 24, "LSTM": 24, "spectra": 8}
MOST = 60  # seeds of a part, where those that count are too few
GAINS = (0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.4, 3.0)


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    seeds: int | None = None
    """Of each part; None: those of `SEEDS`, else 20."""
    points: int = 128
    """Along each side of a plane."""

    def seeds_of(self, part):
        """Return how many seeds a part has."""
        return SEEDS.get(part, 20) if self.seeds is None else self.seeds


def network(kind, gain, seed, horizon=HORIZON):
    """Return the problem of an autonomous recurrent network and its plane."""
    made = KINDS[kind](UNITS[kind], horizon=horizon, gain=gain, rng=realisation(seed, 0))
    return m.problem_of(made, m.zeros(horizon), seed)


def plant(seed, size):
    """Part 1: the doubling plant, straight (monofractal) and bent."""
    rows, axis = [], np.linspace(-0.1, 0.1, size.points)
    for bend in (0.0, 0.9):
        made = recurrent.DoublingPlant(8, horizon=40, bend=bend, rng=realisation(seed, 0))
        problem, plane = m.problem_of(made, m.gaussian(realisation(seed, 5), 1, 40, 8), seed)
        _, found = m.stretching(problem, plane, 0.1, seed)
        discounts = (0.6, 0.8, 0.9)
        losses = recurrent.plane_losses(problem, plane, [axis, axis], discounts)
        for discount, loss in zip(discounts, losses, strict=True):
            law = m.predicted(found, discount)
            rows.append(
                {"bend": bend, "discount": discount, "lyapunov": found.lyapunov}
                | {"predicted": law, "measured": m.spectrum(loss)}
                | {"control": m.control(law["H"], size.points, seed), "seed": seed}
            )
    return rows


def cells(kind, gain, seed, size):
    """Part 2: one plane of a recurrent network; discounts and horizons share its forward passes."""
    problem, plane = network(kind, gain, seed)
    growth, _ = m.stretching(problem, plane, HALF, seed)
    axis = np.linspace(-HALF, HALF, size.points)
    at = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    costs, rows = recurrent.costs_at(problem, plane.vectors, at), []
    for horizon in (45, HORIZON):
        found = recurrent.stretching(growth[:, :horizon])
        for discount in DISCOUNTS:
            loss = m.weighted(costs[:, :horizon], discount).reshape(size.points, -1)
            law = m.predicted(found, discount)
            rows.append(
                {"kind": kind, "gain": gain, "horizon": horizon, "discount": discount}
                | {"lyapunov": found.lyapunov, "variance": found.variance, "seed": seed}
                | {"predicted": law, "measured": m.spectrum(loss)}
                | {"control": m.control(law["H"], size.points, seed)}
            )
    return rows


def spectra(seed, size):
    """Beside part 2: planes of more points, whose whole spectra stand beside the predicted ones; no rule judges them."""
    made = recurrent.DoublingPlant(8, horizon=40, bend=0.9, rng=realisation(seed, 0))
    data = m.gaussian(realisation(seed, 5), 1, 40, 8)
    subjects = (
        ("bent plant", m.problem_of(made, data, seed), 0.1, (0.6,), 4 * size.points),
        ("RNN", network("RNN", CELLS["RNN"], seed), HALF, DISCOUNTS, 2 * size.points),
    )
    return [row for subject in subjects for row in _spectra(*subject, seed)]


def _spectra(kind, of, half, discounts, points, seed):
    problem, plane = of
    _, found = m.stretching(problem, plane, half, seed, passes=512)
    axis = np.linspace(-half, half, points)
    losses = recurrent.plane_losses(problem, plane, [axis, axis], discounts)
    for discount, loss in zip(discounts, losses, strict=True):
        law = m.predicted(found, discount)
        exact = mf.fbm_surface(
            points, float(np.clip(law["H"], 0.05, 0.95)), rng=realisation(seed, 4)
        )
        yield (
            {"kind": kind, "discount": discount, "points": points, "seed": seed}
            | {"lyapunov": found.lyapunov, "variance": found.variance, "predicted": law}
            | {"measured": m.whole_spectrum(loss), "control": m.whole_spectrum(exact.values)}
        )


def zoom(seed, size):
    """Part 3: lines through an RNN of gain 3 at ever smaller distances, for three horizons."""
    rows = []
    for horizon in (20, 40, 60):
        problem, plane = network("RNN", 3.0, seed, horizon)
        growth, _ = m.stretching(problem, plane, 1e-3, seed)
        # all the stretching there is from the first step to the last
        lyapunov = float(growth[:, -1].mean() / horizon)
        spacings = np.logspace(-1, -11, 21)
        exponents = [m.second_exponent(one) for one in _lines(problem, plane, spacings)]
        rows.append(
            {"horizon": horizon, "lyapunov": lyapunov, "spacings": spacings.tolist()}
            | {"exponents": exponents, "seed": seed}
        )
    return rows


def _lines(problem, plane, spacings, n=129):
    """Return the losses along lines of these distances between points, shape (n_spacings, n), of one set of passes."""
    steps = np.outer(spacings, np.arange(n) - n // 2)
    costs = recurrent.costs_at(problem, plane.vectors[:1], steps.reshape(-1, 1), at_once=512)
    return m.weighted(costs, 0.92).reshape(steps.shape)


def training(task, seed, size):
    """Part 4: an RNN learns a task, with and without clipping; roughness, lambda and gradient by epoch."""
    data, rows = TASKS[task](seed), []
    for clip in (0.0, 1.0):
        told = {"task": task, "clip": clip, "seed": seed}
        rows += [told | row for row in _trained(data, clip, seed)]
    return rows


TRAINING_STEPS = 40  # of the network


def _sine(seed):
    """Return four waves, of which the next value is to be told."""
    phase = torch.from_numpy(realisation(seed, 6).uniform(0, 2 * math.pi, (4, 1)))
    wave = torch.sin(0.4 * torch.arange(TRAINING_STEPS + 1) + phase)[..., None]
    return wave[:, :-1].contiguous(), wave[:, 1:].contiguous()


def _copying(seed, delay=5):
    """Return four rows of random signs, to be told again five steps later."""
    signs = torch.from_numpy(realisation(seed, 8).choice([-1.0, 1.0], (4, TRAINING_STEPS, 1)))
    later = torch.zeros_like(signs)
    later[:, delay:] = signs[:, :-delay]
    return signs, later


TASKS = {"sine": _sine, "copying": _copying}


def _trained(data, clip, seed):
    """Return the rows of a run of plain gradient descent."""
    made = recurrent.TanhRNN(32, horizon=TRAINING_STEPS, gain=3.0, rng=realisation(seed, 0))
    optimizer, rows = torch.optim.SGD(made.parameters(), lr=0.01), []
    for epoch in range(101):
        loss = made(data).mean()
        optimizer.zero_grad()
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(made.parameters(), clip or math.inf))
        if epoch in (0, 5, 10, 20, 40, 70, 100):
            row = {"epoch": epoch, "loss": loss.item(), "gradient": norm}
            rows.append(row | _checkpoint(made, data, seed))
        optimizer.step()
    return rows


def _checkpoint(made, data, seed):
    problem, plane = m.problem_of(made, data, seed)
    _, found = m.stretching(problem, plane, 1e-3, seed, passes=16)
    costs = m.line(problem, plane, 1e-4, 129).mean(axis=1)
    return {"lyapunov": found.lyapunov, "exponent": m.second_exponent(costs)}


# of both layers, and weight decay: descent that contracts, descent that is neither, chaotic descent
INNER = (((4.0, 4.0), 0.01), ((4.0, 4.0), 0.0), ((100.0, 8.0), 0.0))


def unrolled(seed, size):
    """Part 5: the loss after k steps of training a small network, along a line of its initial weights and learning rates."""
    inputs = torch.linspace(-2, 2, 16, dtype=torch.float64)[:, None]
    data, rows = (inputs, torch.sin(3 * inputs)), []
    for rates, decay in INNER:
        made = recurrent.UnrolledOptimizer(
            8, horizon=160, learning_rate=rates, weight_decay=decay, rng=realisation(seed, 0)
        )
        problem, plane = m.problem_of(made, data, seed, norm="model")
        growth, _ = m.stretching(problem, plane, 1e-3, seed, passes=16)
        costs = m.line(problem, plane, 1e-4, 129)
        for horizon in (10, 20, 40, 80, 160):
            found = recurrent.stretching(growth[:, :horizon])
            rows.append(
                {"rates": list(rates), "decay": decay, "horizon": horizon, "seed": seed}
                | {"lyapunov": found.lyapunov, "loss": float(np.median(costs[:, horizon - 1]))}
                | {"exponent": m.second_exponent(costs[:, horizon - 1])}
            )
    return rows


GROUND = 96  # points along each side that walkers have


def walkers(seed, size):
    """Part 6: walkers on sections of an RNN, chaotic or not, and on an exact surface; descent of the network itself."""
    rows = []
    for gain in (0.8, 3.0):
        problem, plane = network("RNN", gain, seed, 45)
        axis = np.linspace(-HALF, HALF, GROUND)
        loss = recurrent.plane_losses(problem, plane, [axis, axis], [0.85])[0]
        rows.append({"ground": f"RNN, gain {gain:g}", "seed": seed} | _walked(loss, seed))
        rows[-1]["descent"] = _descended(problem)
    surface = mf.fbm_surface(GROUND, 0.6, rng=realisation(seed, 4)).values
    rows.append({"ground": "exact surface, H = 0.6", "seed": seed} | _walked(surface, seed))
    return rows


RATES = np.logspace(-0.5, 1.5, 9)  # pixels a step where the slope is the root mean square one


def _walked(loss, seed):
    """Return exponents of displacement, the slope of settled sharpness on the rate, and the change of local roughness."""
    slopes = np.gradient(loss)
    ground = Landscape(loss / np.sqrt(np.mean(np.square(slopes))))
    starts = realisation(seed, 7).uniform(0, len(loss) - 1, (20, 2))
    edge = mf.edge_of_stability(ground, learning_rates=RATES, starts=starts, n_steps=2000)
    known = np.isfinite(edge.mean_log10) & (edge.share_positive > 0.5)
    slope = (
        np.polyfit(np.log10(RATES[known]), edge.mean_log10[known], 1)[0]
        if known.sum() > 3
        else math.nan
    )
    walk = mf.descend_ensemble(ground, starts, learning_rates=[RATES[4]], n_steps=2000)
    tracks = np.asarray(walk.unfolded)[0]
    energy = np.log10(_local_energy(ground.values))
    ends = np.asarray(walk.positions)[0]
    return {
        "edge": float(slope),
        "excess": float(np.nanmean((edge.mean_log10 - np.log10(2 / RATES))[known])),
        "short": _diffusion(tracks, (1, 10)),
        "long": _diffusion(tracks, (30, 200)),
        "drift": float(np.mean(_at(energy, ends[:, -1]) - _at(energy, ends[:, 0]))),
    }


def _diffusion(tracks, lag_range):
    """Return the exponent of the mean displacement of walks over lags, the first hundred steps left out."""
    lags = np.unique(np.round(np.geomspace(*lag_range, 8)).astype(int))
    if not np.isfinite(tracks).all():
        return math.nan
    found = mf.tamsd(
        tracks, waiting_times=[100], lag_times=lags, window=len(tracks[0]) - 101 - lags[-1]
    )
    curve = found.per_walk.mean(axis=0)[0]
    return float(np.polyfit(np.log(lags), np.log(curve), 1)[0]) if curve.min() > 0 else math.nan


def _local_energy(values):
    rows, cols = np.gradient(values)
    return np.square(np.gradient(rows)).sum(axis=0) + np.square(np.gradient(cols)).sum(axis=0)


def _at(grid, positions):
    x, y = np.round(positions).astype(int).T
    return grid[y, x]


def _descended(problem, n_steps=500, rate=0.001):
    """Descend the discounted loss by its own gradient and return the exponents of the weights' displacement."""
    made, batch = problem.build(), problem.load()
    made.horizon = 30
    weights = torch.from_numpy(recurrent.step_weights(30, 0.85))
    optimizer, path = torch.optim.SGD(made.parameters(), lr=rate), []
    for _ in range(n_steps + 1):
        path.append(torch.nn.utils.parameters_to_vector(made.parameters()).detach().numpy().copy())
        optimizer.zero_grad()
        (made(batch) @ weights).sum().backward()
        optimizer.step()
    path = np.array(path)[None]
    return {"short": _diffusion(path, (1, 10)), "long": _diffusion(path, (30, 200))}


def boundary(seed, size):
    """Part 7: lines through RNNs of nine gains."""
    rows = []
    for gain in GAINS:
        problem, plane = network("RNN", gain, seed)
        _, found = m.stretching(problem, plane, HALF, seed, passes=64)
        spacing = 1e-4
        costs = m.line(problem, plane, spacing)
        for discount in DISCOUNTS:
            rows.append(
                {"gain": gain, "discount": discount, "lyapunov": found.lyapunov, "seed": seed}
                | {
                    "horizon": HORIZON,
                    "spacing": spacing,
                    "predicted": m.predicted(found, discount),
                }
                | {"exponent": m.second_exponent(m.weighted(costs, discount))}
            )
    return rows


def gated(seed, size):
    """Part 2 along lines, for networks with gates: cheaper than planes, and enough for exponents."""
    rows = []
    for kind in ("GRU", "LSTM"):
        for gain in (4.0, 8.0):
            problem, plane = network(kind, gain, seed)
            _, found = m.stretching(problem, plane, HALF, seed, passes=64)
            costs = m.line(problem, plane, 1e-4)
            for discount in DISCOUNTS:
                loss = m.weighted(costs, discount)
                rows.append(
                    {"kind": kind, "gain": gain, "discount": discount, "seed": seed}
                    | {"lyapunov": found.lyapunov, "variance": found.variance}
                    | {"predicted": m.predicted(found, discount)}
                    | {"exponent": m.second_exponent(loss)}
                )
    return rows


def others(seed, size):
    """Beside the parts: lines through a residual network of shared weights and a cart with a pole; no rule judges them."""
    rows = []
    made = [
        ("residual", 4.0, recurrent.SharedResidual, 32, 90, (1, 32), 0.92),
        ("residual", 0.5, recurrent.SharedResidual, 32, 90, (1, 32), 0.92),
        ("cart-pole", 1.0, recurrent.CartPole, 8, 250, (1, 4), 0.98),
    ]
    for kind, gain, cls, units, horizon, shape, discount in made:
        data = m.gaussian(realisation(seed, 5), *shape)
        if cls is recurrent.SharedResidual:
            data = (data, torch.zeros(1, 1, dtype=torch.float64))
        problem, plane = m.problem_of(
            cls(units, horizon=horizon, gain=gain, rng=realisation(seed, 0)), data, seed
        )
        _, found = m.stretching(problem, plane, HALF, seed, passes=32)
        loss = m.weighted(m.line(problem, plane, 1e-4, 129), discount)
        rows.append(
            {"kind": kind, "gain": gain, "discount": discount, "lyapunov": found.lyapunov}
            | {"predicted": m.predicted(found, discount), "seed": seed}
            | {"exponent": m.second_exponent(loss)}
        )
    return rows


PARTS = {
    "plant": plant,
    **{kind: partial(cells, kind, gain) for kind, gain in CELLS.items()},
    "spectra": spectra,
    "zoom": zoom,
    "training": partial(training, "sine"),
    "copying": partial(training, "copying"),
    "unrolled": unrolled,
    "walkers": walkers,
    "boundary": boundary,
    "gated": gated,
    "others": others,
}


def seeds(part, size, rows):
    """Yield the seeds of a part; `rows`, which the caller fills, decide how many more than its size has are needed."""
    for seed in range(MOST if size.seeds is None else size.seeds):
        if seed >= size.seeds_of(part) and counting.fewest(part, rows) >= LEAST:
            return
        yield seed


def say(words):
    """Tell the terminal."""
    print(words, file=sys.stderr, flush=True)
