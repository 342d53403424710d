"""Chains of stochastic gradient Langevin dynamics around a network's weights, each of which can be stopped and continued.

The chains sample exp(-U), U(w) = n beta L(w) + gamma/2 |w - w0|^2, by w <- w - (epsilon/2) F + sqrt(epsilon) xi, F an unbiased
gradient of U and xi standard normal (Welling and Teh 2011, as Lau et al., arXiv 2308.12108, use it). In the code: epsilon the
learning rate, n beta `nbeta`, gamma the localization, w0 the centre.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from landscape_viz.loss import batches
from landscape_viz.loss.objective import Objective
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.loss.problem import Problem
from multifractal.base.rng import realisation
from multifractal.base.types import Array


@dataclass(frozen=True)
class Settings:
    """How a chain runs, already checked."""

    learning_rate: float
    nbeta: float
    localization: float
    n_draws: int
    n_burn_in: int
    steps_per_draw: int
    batch_size: int | None
    adjusted: bool

    @property
    def n_steps(self) -> int:
        """Steps of a chain, those before the first draw included."""
        return self.n_burn_in + self.n_draws * self.steps_per_draw


@dataclass
class Chain:
    """A chain after `step` steps: where it is, what it drew, and its source of random numbers."""

    weights: torch.Tensor
    losses: Array
    """Of the draws, over all data; NaN where there is none yet."""
    step: int
    sums: Array
    """Over the steps after the burn-in: (w - w0) . F, |F|^2, and the probability of acceptance."""
    generator: np.random.Generator

    @classmethod
    def begun(
        cls, centre: torch.Tensor, n_draws: int, seed: np.random.SeedSequence, index: int
    ) -> Chain:
        """Return chain `index` at the centre, before its first step."""
        return cls(centre, np.full(n_draws, np.nan), 0, np.zeros(3), realisation(seed, index))

    def packed(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return (arrays, plain values) that `unpacked` makes the chain of."""
        weights = self.weights.cpu().numpy()
        arrays = {"weights": weights, "losses": self.losses, "sums": self.sums}
        return arrays, {"step": self.step, "generator": self.generator.bit_generator.state}

    @classmethod
    def unpacked(cls, arrays: dict[str, Array], plain: dict[str, Any]) -> Chain:
        """Return the chain that was packed."""
        generator = np.random.default_rng()
        generator.bit_generator.state = plain["generator"]
        weights = torch.from_numpy(arrays["weights"])
        return cls(weights, arrays["losses"], plain["step"], arrays["sums"], generator)


def run_chain(
    problem: Problem,
    settings: Settings,
    device: str | torch.device,
    chain: Chain,
    told: Callable[[Chain], None] = lambda chain: None,
) -> Chain:
    """Return a chain after all its steps, on one thread of torch; `told(chain)` is called after each step."""
    with pinned_threads(1):
        Walker(Objective(problem, device=device), settings).run(chain, told)
    chain.weights = chain.weights[:0]  # nothing needs them any more
    return chain


class Walker:
    """Moves the network of an objective as a chain goes."""

    def __init__(self, objective: Objective, settings: Settings) -> None:
        self.objective, self.settings = objective, settings
        self.centre = objective.vector.clone()
        self._whole = None if settings.batch_size is None else objective.problem.load()
        self._count = None if self._whole is None else batches.n_samples(self._whole)

    def run(self, chain: Chain, told: Callable[[Chain], None]) -> None:
        """Take the steps that are left; where the weights are no longer finite the chain ends."""
        s, vector = self.settings, self.objective.vector
        vector.copy_(chain.weights)
        self.objective.point(vector)
        chain.weights, here = vector, None
        with self.objective.evaluating():
            while chain.step < s.n_steps:
                here = self._evaluated(chain) if here is None else here
                if not np.isfinite(here[0]):
                    chain.step = s.n_steps
                    break
                self._record(chain, *here)
                here = self._step(chain, *here)
                chain.step += 1
                told(chain)

    def _record(self, chain, loss, force):
        s = self.settings
        after = chain.step - s.n_burn_in
        if after < 0:
            return
        chain.sums[:2] += _dot(self.objective.vector - self.centre, force), _dot(force, force)
        if after % s.steps_per_draw == 0:
            known = loss if s.batch_size is None else self.objective.loss()
            chain.losses[after // s.steps_per_draw] = known

    def _step(self, chain, loss, force):
        """Take one step; return loss and force where it ends, or None where they are to be drawn anew."""
        s, vector = self.settings, self.objective.vector
        noise = torch.from_numpy(chain.generator.standard_normal(len(vector))).to(vector)
        move = noise * np.sqrt(s.learning_rate) - force * (s.learning_rate / 2)
        before = vector.clone() if s.adjusted else None
        vector.add_(move)
        self.objective.point(vector)
        if not s.adjusted:
            return None
        there = self._evaluated(chain)
        back = move - there[1] * (
            s.learning_rate / 2
        )  # the noise of the step back, but for its sign and scale
        gain = self._height(before, loss) - self._height(vector, there[0])
        gain += (_dot(noise, noise) - _dot(back, back) / s.learning_rate) / 2
        chance = float(np.exp(min(gain, 0.0))) if np.isfinite(gain) else 0.0
        chain.sums[2] += chance if chain.step >= s.n_burn_in else 0.0
        if chain.generator.random() < chance:
            return there
        vector.copy_(before)
        self.objective.point(vector)
        return loss, force

    def _height(self, vector, loss):
        away = vector - self.centre
        return self.settings.nbeta * loss + self.settings.localization / 2 * _dot(away, away)

    def _evaluated(self, chain):
        """Return the loss of all data (of a batch: 0, or NaN where its gradient is not finite) and F."""
        s = self.settings
        if s.batch_size is None:
            loss, gradient = self.objective.value_and_gradient_torch()
        else:
            rows = chain.generator.choice(self._count, s.batch_size, replace=False)
            batch = batches.taken(self._whole, torch.from_numpy(rows))
            gradient = torch.from_numpy(self.objective.batch_gradient(batch)).to(self.centre)
            loss = 0.0 if bool(torch.isfinite(gradient).all()) else np.nan
        return loss, s.nbeta * gradient + s.localization * (self.objective.vector - self.centre)


def _dot(a, b):
    return float(torch.dot(a.double(), b.double()))
