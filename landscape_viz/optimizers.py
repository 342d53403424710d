"""Update rules of training by name, and their learning rate from epoch to epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from multifractal.base.checks import finite_number, one_of, positive_number, require, whole_number

# Default learning rates: SGD and Adam the paper's (Methods), with momentum our choice.
LEARNING_RATES = {"sgd": 1e-3, "momentum": 1e-2, "nesterov": 1e-2, "adam": 1e-3}
SCHEDULES = ("constant", "cosine", "steps")
MILESTONES = (150, 225, 275)  # of 300 epochs (Li et al. 2018, their code)
_MOMENTUM = 0.9


@dataclass(frozen=True)
class Rule:
    """An update rule and its schedule, checked; None stands for the default of the optimizer."""

    optimizer: str
    epochs: int = 1
    learning_rate: float | None = None
    momentum: float | None = None
    weight_decay: float = 0.0
    schedule: str = "constant"
    decay: float = 0.1
    milestones: tuple[int, ...] = MILESTONES

    def __post_init__(self) -> None:
        one_of("optimizer", self.optimizer, LEARNING_RATES)
        one_of("schedule", self.schedule, SCHEDULES)
        usual = LEARNING_RATES[self.optimizer]
        rate = usual if self.learning_rate is None else self.learning_rate
        object.__setattr__(self, "learning_rate", positive_number("learning_rate", rate))
        weight_decay = finite_number("weight_decay", self.weight_decay)
        require(
            0 <= weight_decay < np.inf,
            "weight_decay",
            weight_decay,
            "be a finite number, at least 0",
            "pass 0 for none",
        )
        positive_number("decay", self.decay)
        for milestone in self.milestones:
            whole_number("milestones", milestone)
        self._check_momentum()

    def _check_momentum(self) -> None:
        usual = _MOMENTUM if self.optimizer in ("momentum", "nesterov") else 0.0
        momentum = usual if self.momentum is None else finite_number("momentum", self.momentum)
        require(
            0 <= momentum < 1 and (self.optimizer != "adam" or momentum == 0),
            "momentum",
            momentum,
            "lie in [0, 1), and be left out with adam, which has its own",
            "pass for example 0.9 with optimizer='momentum'",
        )
        object.__setattr__(self, "momentum", momentum)

    def made(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        """Return torch's optimizer of the parameters that require a gradient."""
        parameters = [p for p in model.parameters() if p.requires_grad]
        common = {"lr": self.learning_rate, "weight_decay": self.weight_decay}
        if self.optimizer == "adam":
            return torch.optim.Adam(parameters, **common)
        nesterov = self.optimizer == "nesterov"
        return torch.optim.SGD(parameters, momentum=self.momentum, nesterov=nesterov, **common)

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0."""
        usual = float(self.learning_rate or 0)
        if self.schedule == "cosine":
            return usual * (1 + math.cos(math.pi * epoch / self.epochs)) / 2
        if self.schedule == "steps":
            return usual * self.decay ** sum(m <= epoch for m in self.milestones)
        return usual

    def settings(self) -> dict[str, object]:
        """Return what a run must have in common with the checkpoint that it resumes from."""
        found = {"optimizer": self.optimizer, "learning_rate": self.learning_rate}
        # Only where they are asked for, so that checkpoints from before they existed can still be resumed.
        found |= {"weight_decay": self.weight_decay} if self.weight_decay else {}
        found |= {"cosine_epochs": self.epochs} if self.schedule == "cosine" else {}
        usual = Rule(self.optimizer).momentum if self.momentum != 0.0 else 0.0
        found |= {"momentum": self.momentum} if self.momentum != usual else {}
        steps = [self.decay, *self.milestones]
        return found | ({"steps": steps} if self.schedule == "steps" else {})
