"""Networks of physics: one whose loss holds derivatives in its inputs, an equilibrium, a pendulum with learned constants."""

import torch
from torch import nn

from landscape_viz import batch_loss
from tests.helpers.zoo.entry import SAMPLES, Entry, cross_entropy, rows


def field():
    """Return u(x)."""
    return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))


def points(rng):
    """Return places at which the equation is to hold."""
    return torch.rand(SAMPLES, 1, generator=rng)


def residual(model, batch):
    """Return the mean square of u'' + pi² sin(pi x) and of u at both ends, by autograd in the inputs."""
    x = batch.clone().requires_grad_()
    (first,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    ends = model(torch.tensor([[0.0], [1.0]], dtype=x.dtype))
    equation = second + torch.pi**2 * torch.sin(torch.pi * x)
    return (equation**2).mean() + (ends**2).mean()


def residual_truth(model, batch):
    """Return the same with u'' written out for tanh layers."""
    (w1, b1), (w2, b2), (w3, _) = ((model[k].weight, model[k].bias) for k in (0, 2, 4))
    a, da = torch.tanh(batch @ w1.T + b1), w1.T
    first = (1 - a**2) * da
    curved = -2 * a * first * da
    c, dc = torch.tanh(a @ w2.T + b2), first @ w2.T
    second = (-2 * c * (1 - c**2) * dc**2 + (1 - c**2) * (curved @ w2.T)) @ w3.T
    ends = model(torch.tensor([[0.0], [1.0]], dtype=batch.dtype))
    equation = second + torch.pi**2 * torch.sin(torch.pi * batch)
    return (equation**2).mean() + (ends**2).mean()


class Equilibrium(nn.Module):
    """A deep equilibrium: z = tanh(W z + x) found by forty iterations of a contraction."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
        with torch.no_grad():
            self.inner.weight.mul_(0.5)

    def forward(self, x):
        """Return logits."""
        z = torch.zeros_like(x)
        for _ in range(40):
            z = torch.tanh(self.inner(z) + x)
        return self.head(z)


class Pendulum(nn.Module):
    """A damped pendulum: its three constants are the parameters, its path comes from Runge-Kutta steps."""

    def __init__(self):
        super().__init__()
        self.frequency, self.damping = (
            nn.Parameter(torch.tensor(1.2)),
            nn.Parameter(torch.tensor(0.1)),
        )
        self.drive = nn.Parameter(torch.tensor(0.3))

    def slope(self, state):
        """Return the change of (angle, speed)."""
        angle, speed = state.unbind(-1)
        push = self.drive - self.damping * speed - self.frequency**2 * torch.sin(angle)
        return torch.stack([speed, push], dim=-1)

    def forward(self, state):
        """Return the states after 10 and 20 steps of 0.1."""
        found = []
        for step in range(20):
            k1 = self.slope(state)
            k2 = self.slope(state + 0.05 * k1)
            k3 = self.slope(state + 0.05 * k2)
            k4 = self.slope(state + 0.1 * k3)
            state = state + 0.1 * (k1 + 2 * k2 + 2 * k3 + k4) / 6
            if step % 10 == 9:
                found.append(state)
        return torch.stack(found, dim=1)


def paths(rng):
    """Return states at the start and (roughly) those seen later."""
    start = torch.randn(SAMPLES, 2, generator=rng)
    return start, torch.randn(SAMPLES, 2, 2, generator=rng)


def seen(model, batch):
    """Return the mean squared error of the states."""
    return (model(batch[0]) - batch[1]).square().mean()


ZOO = {
    "PINN": Entry(field, points, residual_truth, batch_loss(residual)),
    "deep equilibrium": Entry(Equilibrium, rows, cross_entropy),
    "physics ODE": Entry(Pendulum, paths, seen, "mse"),
}
