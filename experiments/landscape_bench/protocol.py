"""How one optimiser is tuned and run on one ground; the rules are those of docs/landscape_bench.md.

A budget is counted in gradient evaluations. Rates are stated by the length of the optimiser's first step, in units of the
ground's length, so that one grid is fair to rules whose rates mean different things.
"""

import inspect

import numpy as np
import torch

from experiments.landscape_bench import grounds
from multifractal.base.checks import refuse, require
from multifractal.base.rng import realisation

FIRST_STEPS = tuple(float(10 ** (-3 + 0.5 * i)) for i in range(9))
BUDGETS = (10, 20, 50, 100, 200)
TUNING, EVALUATION = (1000, 1001), tuple(range(6))  # seeds
SETTINGS = {
    "first_steps": list(FIRST_STEPS),
    "budgets": list(BUDGETS),
    "tuning": list(TUNING),
    "evaluation": list(EVALUATION),
    "pixels": grounds.PIXELS,
    "band": list(grounds.BAND),
}
_PROBE = 1e-4  # rate of the step that says how long a first step is
_FAR = 1e9  # a run that has gone so far has diverged
_EVERY = 2  # positions, of which one is asked whether it is flat


def measure(make, ground):
    """Tune an optimiser on a ground, then run it on fresh draws; return what the scores are made of, as plain values."""
    tuning = [
        [run(make, ground, seed, rate)["losses"] for rate in learning_rates(make, ground, seed)]
        for seed in TUNING
    ]
    losses = np.array(tuning, dtype=float)
    best = chosen(losses[:, :, 0], losses[:, :, -1])
    runs = [
        run(make, ground, seed, learning_rates(make, ground, seed)[best], watched=True)
        for seed in EVALUATION
    ]
    ends = [[[losses[0], losses[-1]] for losses in seed] for seed in tuning]
    return {"tuning": ends, "chosen": best, "runs": runs}


def chosen(starts, ends):
    """Return the index of the first step that is best, from losses (n_seeds, n_steps) at the starts and at the last budget.

    The loss that a run took off, as a share of the most that any run of that seed took off, is averaged over seeds; a run that
    diverged counts as -1, and no run counts less.
    """
    drops = np.where(np.isfinite(ends), starts - ends, -np.inf)
    most = np.maximum(drops.max(axis=1, keepdims=True), 1e-300)
    return int(np.maximum(drops / most, -1.0).mean(axis=0).argmax())


def learning_rates(make, ground, seed):
    """Return the rates whose first step, on this draw, is each of `FIRST_STEPS` times the ground's length.

    Raises
    ------
    ValueError
        When the optimiser cannot be made, or its first step fails or moves nothing.
    """
    world, name = grounds.draw(ground, seed), getattr(make, "kind", make)
    before = _position(world.begun())
    try:
        Runner(make, world.module, _PROBE, seed).step()
    except Exception as error:  # whatever a class that is not ours may raise
        why = f"{type(error).__name__}: {error}"
        rule = f"be called as MyOptimizer(parameters, lr=rate) and step on {ground!r} ({why})"
        remedy = "wrap it in a class of yours that can, or choose --grounds"
        raise refuse("--optimizer", name, rule, remedy) from error
    moved = float(np.linalg.norm(_position(world.module) - before))
    rule = f"move the parameters in its first step on {ground!r}, by a finite length"
    require(
        0 < moved < np.inf, "--optimizer", name, rule, f"mend its step, whose length is {moved}"
    )
    return [step * world.length / moved * _PROBE for step in FIRST_STEPS]


class Runner:
    """An optimiser on a module: steps of any `torch.optim` protocol, and a count of the gradients that they took."""

    def __init__(self, make, module, rate, seed=0):
        torch.manual_seed(seed)  # of a rule that draws
        self.module, self.evaluations = module, 0
        self.optimizer = make(list(module.parameters()), rate)
        closure = inspect.signature(self.optimizer.step).parameters.get("closure")
        self.asks = closure is not None and closure.default is inspect.Parameter.empty
        self.moves = hasattr(self.optimizer, "eval") and hasattr(self.optimizer, "train")
        if self.moves:
            self.optimizer.train()

    def closure(self):
        """Compute loss and gradient, and count it."""
        self.module.zero_grad()
        with torch.enable_grad():
            loss = self.module()
            loss.backward()
        self.evaluations += 1
        return loss

    def step(self):
        """Take one step; a rule that needs to evaluate again (SAM, L-BFGS) is given the closure."""
        self.closure()
        self.optimizer.step(*([self.closure] if self.asks else []))

    def shown(self):
        """Return the loss where the optimiser wants to be judged: its `eval()` place, if it has one."""
        if self.moves:
            self.optimizer.eval()
        with torch.no_grad():
            loss = float(self.module())
        if self.moves:
            self.optimizer.train()
        return loss


def run(make, ground, seed, rate, *, watched=False):
    """Run to the last budget; return losses at the start and the budgets, and where watched what else the ground knows.

    A run whose parameters are no longer finite, or beyond 1e9, has diverged: its losses from there on are None. A step that
    takes several gradients counts once all of them are within the budget.
    """
    world = grounds.draw(ground, seed)
    runner = Runner(make, world.begun(), rate, seed)
    before, losses, track = np.nan, [runner.shown()], [_position(world.module)]
    for budget in BUDGETS:
        while runner.evaluations < budget and np.abs(track[-1]).max() < _FAR:  # false for NaN
            before = runner.shown() if runner.asks else np.nan
            runner.step()
            track.append(_position(world.module))
        there = np.abs(track[-1]).max() < _FAR
        reached = before if runner.evaluations > budget else runner.shown() if there else np.nan
        losses.append(reached)
    if runner.evaluations > BUDGETS[-1]:
        track.pop()
    found = {"losses": [loss if np.isfinite(loss) else None for loss in losses]}
    if not watched:
        return found
    if world.minimum is not None:
        found["minimum"] = world.minimum
    if world.escape is not None:
        found["escaped"] = bool(np.nanmin(losses) < world.escape)
    if world.flatness is not None and np.isfinite(losses[-1]):
        rng = realisation(np.random.SeedSequence(seed, spawn_key=(99,)), 0)
        found["flat"], found["control"] = flat_shares(world, np.array(track), rng)
    return found


def flat_shares(world, track, rng):
    """Return the share of positions in the flattest tenth, of a run and of its steps taken in random directions."""
    edge = np.quantile(world.flatness(world.places), 0.1)
    steps = np.linalg.norm(np.diff(track, axis=0), axis=1)
    directions = rng.standard_normal((len(steps), track.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    control = np.concatenate([track[:1], track[0] + (steps[:, None] * directions).cumsum(axis=0)])
    return [float((world.flatness(walk[::_EVERY]) < edge).mean()) for walk in (track, control)]


def _position(module):
    return np.concatenate([p.detach().numpy().ravel() for p in module.parameters()])
