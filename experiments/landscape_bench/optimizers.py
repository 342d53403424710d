"""The optimisers of the bench, by name: a function of (parameters, learning rate); and yours, by "module:Class".

torch.optim's with their defaults, SAM and a Muon-like one of `experiments.edge_optimizers`, and two that torch does not have.
"""

import importlib

import torch

from experiments.edge_optimizers import MuonLike, Sam
from multifractal.base.checks import refuse


class Lion(torch.optim.Optimizer):
    """The sign of an average of momentum and gradient (Chen et al. 2023), without weight decay."""

    def __init__(self, params, lr, betas=(0.9, 0.99)):
        super().__init__(params, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self):
        """Step by sign(beta1 m + (1 - beta1) g); then m <- beta2 m + (1 - beta2) g."""
        for group in self.param_groups:
            first, second = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.sub_(group["lr"] * (first * m + (1 - first) * p.grad).sign())
                m.lerp_(p.grad, 1 - second)


class ScheduleFree(torch.optim.Optimizer):
    """SGD whose iterates are averaged instead of a schedule (Defazio et al. 2024): train at y, evaluate at x.

    z <- z - lr g(y), x <- (1 - 1/t) x + z / t, y <- (1 - momentum) z + momentum x. Parameters hold y; `eval` shows x.
    """

    def __init__(self, params, lr, momentum=0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self.steps = 0

    @torch.no_grad()
    def step(self):
        """Take one step of z and move the average x."""
        self.steps += 1
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["z"], state["x"] = p.clone(), p.clone()
                state["z"].sub_(group["lr"] * p.grad)
                state["x"].lerp_(state["z"], 1 / self.steps)
        self.train()

    @torch.no_grad()
    def eval(self):
        """Let the parameters hold x, the average."""
        for p, state in self.state.items():
            if state:
                p.copy_(state["x"])

    @torch.no_grad()
    def train(self):
        """Let the parameters hold y, where the gradient is taken."""
        for group in self.param_groups:
            for p in group["params"]:
                if self.state[p]:
                    p.copy_(torch.lerp(self.state[p]["z"], self.state[p]["x"], group["momentum"]))


OPTIMIZERS = {
    "SGD": lambda p, rate: torch.optim.SGD(p, lr=rate),
    "momentum": lambda p, rate: torch.optim.SGD(p, lr=rate, momentum=0.9),
    "Adam": lambda p, rate: torch.optim.Adam(p, lr=rate),
    "AdamW": lambda p, rate: torch.optim.AdamW(p, lr=rate),
    "RMSProp": lambda p, rate: torch.optim.RMSprop(p, lr=rate),
    "SAM": lambda p, rate: Sam(p, lr=rate),
    "Lion": Lion,
    "Muon-like": MuonLike,
    "schedule-free": ScheduleFree,
}


class Yours:
    """An optimiser of somebody else's: a class, called with the parameters and lr."""

    def __init__(self, kind):
        self.kind = kind

    def __call__(self, params, rate):
        """Return the optimiser."""
        return self.kind(params, lr=rate)


def named(name):
    """Return the optimiser of the table, or `Yours` of the class that "module:Class" says.

    Raises
    ------
    ValueError
        When it is neither.
    """
    if name in OPTIMIZERS:
        return OPTIMIZERS[name]
    module, _, attribute = name.partition(":")
    try:
        return Yours(getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError, ValueError) as error:
        rule = f"be one of {', '.join(OPTIMIZERS)}, or module:Class that can be imported ({error})"
        raise refuse("--optimizer", name, rule, "run where `import module` works") from None
