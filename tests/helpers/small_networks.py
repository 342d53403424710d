"""Small importable networks, losses and data for tests: worker processes import them by name."""

import os
import signal

import torch
from torch import nn
from torch.nn import functional


class Point(nn.Module):
    """A network whose output is its parameter, so that any function of the plane can be its loss; float64."""

    def __init__(self, n=2):
        super().__init__()
        self.where = nn.Parameter(torch.zeros(n, dtype=torch.float64))

    def forward(self, inputs):
        """Return the parameter once a sample."""
        return self.where.expand(len(inputs), -1)


class SmallConv(nn.Module):
    """Convolutions with and without groups, BatchNorm, dropout as a module and as a function."""

    def __init__(self, double=False):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.grouped = nn.Conv2d(8, 8, 3, groups=4, bias=False)
        self.pointwise = nn.Conv2d(8, 4, 1)
        self.drop = nn.Dropout(0.3)
        self.last = nn.Linear(4 * 6 * 6, 5)
        self.norm.running_mean += 0.1
        self.to(torch.float64 if double else torch.float32)

    def forward(self, images):
        """Return logits, shape (batch, 5)."""
        hidden = functional.relu(self.norm(self.first(images)))
        hidden = functional.relu(self.pointwise(functional.relu(self.grouped(hidden))))
        return self.last(functional.dropout(self.drop(hidden.flatten(1)), 0.2, self.training))


def images(n=24, double=False, seed=0):
    """Return random images (n, 3, 8, 8) and labels below 5; a loader for `Problem`."""
    generator = torch.Generator().manual_seed(seed)
    kind = torch.float64 if double else torch.float32
    return torch.randn(n, 3, 8, 8, generator=generator, dtype=kind), torch.randint(
        0, 5, (n,), generator=generator
    )


def crooked(outputs, targets):
    """An asymmetric function of the plane, x first."""
    x, y = outputs[0, 0], outputs[0, 1]
    return (x - 0.3) ** 2 + 0.25 * y**3 + x * y


def sum_of_powers(outputs, targets):
    """The first coordinate plus the square of the second plus the cube of the third ..."""
    return sum(outputs[0, k] ** (k + 1) for k in range(outputs.shape[1]))


def holed(outputs, targets):
    """NaN where x > 0.5, inf where x < -0.5."""
    x = outputs[0, 0]
    return torch.where(x > 0.5, torch.nan, torch.where(x < -0.5, torch.inf, x + outputs[0, 1]))


def each_sample(outputs, targets):
    """A loss a sample, which is no loss."""
    return functional.cross_entropy(outputs, targets, reduction="none")


def process_id(outputs, targets):
    """The process that computed it, as the loss."""
    return outputs[0, 0] * 0 + os.getpid()


def counted(outputs, targets):
    """`crooked`, writing one byte to $COUNT_FILE a call and killing this process from call number $KILL_AT on."""
    with open(os.environ["COUNT_FILE"], "ab") as file:
        file.write(b".")
        if file.tell() >= float(os.environ.get("KILL_AT", "inf")):
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    return crooked(outputs, targets)
