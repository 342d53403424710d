"""What an entry of the zoo is: a network as its user has it, data, the loss as `Problem` takes it, and the same in plain torch."""

from dataclasses import dataclass, field

import torch
from torch.nn import functional

SAMPLES = 10  # in batches of 4, 4 and 2, so that a mean of means is not the mean
CLASSES = 3
TOGETHER = "have samples along the first axis of each tensor that can be taken one by one"


@dataclass(frozen=True)
class Entry:
    """A network of the zoo."""

    make: object
    """Makes the network; called after `torch.manual_seed(0)`."""
    data: object
    """Makes the whole data as one batch, from a torch.Generator."""
    truth: object = None
    """(model, batch) -> mean loss over the whole batch, in plain torch, independent of `landscape_viz`."""
    loss: object = "cross_entropy"
    options: dict = field(default_factory=lambda: {"batch_size": 4})
    """Of the `Problem`."""
    plain: object = None
    """Makes the same network without what wraps it (torch.compile, DDP); None is `make`."""
    batches: object = None
    """Turns the whole batch into what a user hands over (a list of batches, say); None hands it over whole."""
    weight: object = lambda sample: 1  # noqa: E731
    """Weight of a batch of one sample in the loss; by default 1."""
    shares: object = None
    """(model, batch) -> what each sample adds to the loss, where samples meet in the network (statistics of the batch)."""
    refused: dict = field(default_factory=dict)
    """{probe: words of the refusal that is right}; "all" for every probe."""
    needs: str = ""
    """The package it comes from."""
    training: bool = False
    """Whether the network is in training mode in the truth (statistics of the batch)."""


def generator(seed=0):
    """Return a generator of torch."""
    return torch.Generator().manual_seed(seed)


def cross_entropy(model, batch):
    """Return the mean cross-entropy of (inputs, targets)."""
    return functional.cross_entropy(model(batch[0]), batch[1])


def squared_error(model, batch):
    """Return the mean squared error of (inputs, targets)."""
    return ((model(batch[0]) - batch[1]) ** 2).mean()


def images(rng, channels=1, side=6):
    """Return images and labels."""
    inputs = torch.randn(SAMPLES, channels, side, side, generator=rng)
    return inputs, torch.randint(CLASSES, (SAMPLES,), generator=rng)


def rows(rng, width=4):
    """Return rows of numbers and labels."""
    inputs = torch.randn(SAMPLES, width, generator=rng)
    return inputs, torch.randint(CLASSES, (SAMPLES,), generator=rng)


def tokens(rng, vocabulary=7, length=5):
    """Return sequences of words, and a label for each."""
    inputs = torch.randint(vocabulary, (SAMPLES, length), generator=rng)
    return inputs, torch.randint(CLASSES, (SAMPLES,), generator=rng)
