"""The edge monitor: all that it does in 6000 steps at every=100 (60 measurements, one with the curvature), in steps of the run.

Of a large network, where these would take ten minutes, the two kinds of measurement alone. In processor time and on request:
`python -m benchmarks EdgeMonitor`.
"""

import functools
import itertools
import time

import torch
from torch import nn

from benchmarks.harness import Case
from landscape_viz import EdgeMonitor, models

STEPS = 6000
FRACTION = 100  # one batch in 100 is shown to the monitor, which measures at each


class Gpt(nn.Module):
    """The shape of GPT-2, by default reduced: 3 layers of width 128, 4 heads, 64 tokens out of 2000."""

    def __init__(self, n_words=2000, n_places=64, width=128, n_heads=4, n_layers=3, tied=False):
        super().__init__()
        self.words, self.places = nn.Embedding(n_words, width), nn.Embedding(n_places, width)
        layer = nn.TransformerEncoderLayer(
            width, n_heads, 4 * width, 0.1, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.last = nn.Linear(width, n_words, bias=False)
        if tied:
            self.last.weight = self.words.weight

    def forward(self, tokens):
        """Return logits by class and place, shape (batch, n_words, tokens)."""
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        hidden = self.words(tokens) + self.places.weight[: tokens.shape[1]]
        return self.last(self.layers(hidden, mask, is_causal=True)).transpose(1, 2)


def _resnet():
    model = models.build("resnet20", input_shape=(3, 32, 32))
    return model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def _small_gpt():
    model = Gpt()
    return model, torch.optim.AdamW(model.parameters(), lr=1e-3)


def _gpt2():
    """Return GPT-2's 124 M parameters, tied embeddings among them, with random weights."""
    model = Gpt(50257, 1024, 768, 12, 12, tied=True)
    return model, torch.optim.AdamW(model.parameters(), lr=1e-4)


def _images(generator):
    return torch.randn(16, 3, 32, 32, generator=generator), torch.randint(
        10, (16,), generator=generator
    )


def _tokens(n_words, n_samples, generator):
    tokens = torch.randint(n_words, (n_samples, 65), generator=generator)
    return tokens[:, :-1], tokens[:, 1:]


class Run:
    """A training run and its monitor, made when it is first asked for."""

    def __init__(self, make, batch):
        self.make, self.batch = make, batch

    @functools.cached_property
    def parts(self):
        """(model, optimiser, batches, monitor) after four steps."""
        torch.set_num_threads(1)
        torch.manual_seed(0)
        model, optimizer = self.make()
        generator = torch.Generator().manual_seed(0)
        batches = itertools.cycle([self.batch(generator) for _ in range(8)])
        for _ in range(4):
            _step(model, optimizer, next(batches))
        monitor = EdgeMonitor(model, optimizer, "cross_entropy", every=1, curvature_every=60)
        return model, optimizer, batches, monitor

    def step(self):
        """Make one step."""
        model, optimizer, batches, _ = self.parts
        _step(model, optimizer, next(batches))

    def watch(self):
        """Measure as often as in 6000 steps at every=100."""
        _, _, batches, monitor = self.parts
        for _ in range(STEPS // FRACTION):
            monitor.step(next(batches))

    def measure(self):
        """Measure once: the first time with the curvature."""
        self.parts[-1].step(next(self.parts[2]))


def _step(model, optimizer, batch):
    inputs, targets = batch
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(inputs), targets).backward()
    optimizer.step()


RUNS = {
    "ResNet-20, SGD with momentum, batch 16": (_resnet, _images),
    "a small GPT, AdamW, 8 x 64 tokens": (_small_gpt, functools.partial(_tokens, 2000, 8)),
}
LARGE = "GPT-2 of 124 M, AdamW, 2 x 64 tokens"


def cases():
    """Return this chapter's cases; below 1/300 of a step a step is 5 %."""
    large = Run(_gpt2, functools.partial(_tokens, 50257, 2))
    whole = [(f"in 6000 steps, {name}", Run(*parts)) for name, parts in RUNS.items()]
    return [
        *(_case(name, run, run.watch, "1/300 (5 %)") for name, run in whole),
        _case(f"once in 6000 steps, {LARGE}", large, large.measure, "1/60 (1 %)"),
        _case(f"once in 100 steps, {LARGE}", large, large.measure, "1/4 (4 %)"),
    ]


def _case(name, run, work, aim):
    return Case(
        f"EdgeMonitor {name}",
        work,
        yardstick=run.step,
        against="one step",
        aim=aim,
        repeats=15,
        on_request=True,
        clock=time.process_time,
        prepare=lambda: run.parts,
    )
