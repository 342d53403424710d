"""The edge monitor: all that it does in 6000 steps at every=100 (60 measurements, one with the curvature), in steps of the run.

In processor time and on request: `python -m benchmarks EdgeMonitor`.
"""

import itertools
import time

import torch
from torch import nn

from benchmarks.harness import Case
from landscape_viz import EdgeMonitor, models

STEPS = 6000
FRACTION = 100  # one batch in 100 is shown to the monitor, which measures at each


class SmallGpt(nn.Module):
    """The shape of GPT-2, reduced: 3 layers of width 128, 4 heads, 64 tokens out of 2000."""

    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(2000, 128), nn.Embedding(64, 128)
        layer = nn.TransformerEncoderLayer(
            128, 4, 512, 0.1, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.last = nn.Linear(128, 2000, bias=False)

    def forward(self, tokens):
        """Return logits by class and place, shape (batch, 2000, tokens)."""
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        hidden = self.words(tokens) + self.places.weight[: tokens.shape[1]]
        return self.last(self.layers(hidden, mask, is_causal=True)).transpose(1, 2)


def _images(generator):
    return torch.randn(16, 3, 32, 32, generator=generator), torch.randint(
        10, (16,), generator=generator
    )


def _tokens(generator):
    tokens = torch.randint(2000, (8, 65), generator=generator)
    return tokens[:, :-1], tokens[:, 1:]


class Run:
    """A training run and its monitor."""

    def __init__(self, model, optimizer, batch):
        self.model, self.optimizer = model, optimizer
        generator = torch.Generator().manual_seed(0)
        self.batches = itertools.cycle([batch(generator) for _ in range(8)])
        self.monitor = EdgeMonitor(model, optimizer, "cross_entropy", every=1, curvature_every=60)

    def step(self):
        """Make one step."""
        inputs, targets = next(self.batches)
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.model(inputs), targets).backward()
        self.optimizer.step()

    def watch(self):
        """Measure as often as in 6000 steps at every=100."""
        for _ in range(STEPS // FRACTION):
            self.monitor.step(next(self.batches))


def cases():
    """Return this chapter's cases; below 1/300 of a step a step is 5 %."""
    torch.set_num_threads(1)
    resnet, gpt = models.build("resnet20", input_shape=(3, 32, 32)), SmallGpt()
    runs = {
        "ResNet-20, SGD with momentum, batch 16": Run(
            resnet, torch.optim.SGD(resnet.parameters(), lr=0.05, momentum=0.9), _images
        ),
        "a small GPT, AdamW, 8 x 64 tokens": Run(
            gpt, torch.optim.AdamW(gpt.parameters(), lr=1e-3), _tokens
        ),
    }
    for run in runs.values():
        for _ in range(10):
            run.step()
    return [
        Case(
            f"EdgeMonitor in 6000 steps, {name}",
            run.watch,
            yardstick=run.step,
            against="one step",
            aim="1/300 (5 %)",
            repeats=15,
            on_request=True,
            clock=time.process_time,
        )
        for name, run in runs.items()
    ]
