"""Networks on sequences: recurrent ones, transformers of both layouts, a tied language model, an encoder with a decoder."""

import torch
from torch import nn
from torch.nn import functional

from landscape_viz import batch_loss
from tests.helpers.zoo.entry import CLASSES, TOGETHER, Entry, cross_entropy, tokens

WORDS = 7


class Recurrent(nn.Module):
    """An embedding, a recurrent layer, and a class from its last output."""

    def __init__(self, kind):
        super().__init__()
        self.words = nn.Embedding(WORDS, 3, padding_idx=0)
        self.layer, self.head = kind(3, 4, batch_first=True), nn.Linear(4, CLASSES)

    def forward(self, x):
        """Return logits."""
        return self.head(self.layer(self.words(x))[0][:, -1])


def rnn():
    """Return a plain recurrent network."""
    return Recurrent(nn.RNN)


def gru():
    """Return a GRU."""
    return Recurrent(nn.GRU)


def lstm():
    """Return an LSTM."""
    return Recurrent(nn.LSTM)


class SequenceFirst(nn.Module):
    """A transformer on (time, samples): logits (time, samples, words)."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, 4)
        self.layer = nn.TransformerEncoderLayer(4, 2, 4, 0.1)
        self.head = nn.Linear(4, WORDS)

    def forward(self, x):
        """Return logits."""
        return self.head(self.layer(self.words(x)))


def columns(rng):
    """Return (time, samples) words and their targets."""
    inputs = torch.randint(WORDS, (5, 6), generator=rng)
    return inputs, torch.randint(WORDS, (5, 6), generator=rng)


def two_uneven(batch):
    """Return batches of two and four columns."""
    return [tuple(part[:, :2] for part in batch), tuple(part[:, 2:] for part in batch)]


def summed(model, batch):
    """Return (sum over the words, their number)."""
    logits = model(batch[0]).view(-1, WORDS)
    return functional.cross_entropy(logits, batch[1].reshape(-1), reduction="sum"), batch[1].numel()


def column_truth(model, batch):
    """Return the mean cross-entropy over words, a column at a time."""
    total = 0.0
    for inputs, targets in zip(*(part.T for part in batch), strict=True):
        chances = torch.log_softmax(model(inputs[:, None])[:, 0], dim=1)
        total = total - chances.gather(1, targets[:, None]).sum()
    return total / batch[1].numel()


class GPT(nn.Module):
    """A language model of one causal layer whose output weights are its embedding."""

    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, 4), nn.Embedding(5, 4)
        self.before, self.after = nn.LayerNorm(4), nn.LayerNorm(4)
        self.qkv, self.out = nn.Linear(4, 12, bias=False), nn.Linear(4, 4, bias=False)
        self.head = nn.Linear(4, WORDS, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x):
        """Return logits of every word of the batch, one below the other: the first length is not the number of samples."""
        x = self.words(x) + self.places(torch.arange(x.shape[1], device=x.device))
        q, k, v = self.qkv(self.before(x))[:, None].chunk(3, dim=-1)
        x = x + self.out(functional.scaled_dot_product_attention(q, k, v, is_causal=True)[:, 0])
        return self.head(self.after(x)).view(-1, WORDS)


def following(rng):
    """Return words and the words that follow, a few of them ignored."""
    words = torch.randint(WORDS, (10, 6), generator=rng)
    targets = words[:, 1:].clone()
    targets[torch.rand(targets.shape, generator=rng) < 0.2] = -100
    return words[:, :-1].contiguous(), targets


def by_four(batch):
    """Return batches of four samples."""
    return list(zip(*(part.split(4) for part in batch), strict=True))


def flat(outputs, targets):
    """Return the mean over the words of a batch that count: no mean over samples."""
    return functional.cross_entropy(outputs, targets.reshape(-1))


def counted(sample):
    """Return how many labels count."""
    return int((sample[1] != -100).sum())


def flat_summed(model, batch):
    """Return (sum over the words that count, their number)."""
    targets = batch[1].reshape(-1)
    return functional.cross_entropy(model(batch[0]), targets, reduction="sum"), (targets >= 0).sum()


def flat_truth(model, batch):
    """Return the mean over the words that count."""
    chances = torch.log_softmax(model(batch[0]), dim=1)
    targets = batch[1].reshape(-1)
    kept = targets >= 0
    return -chances[kept, targets[kept]].sum() / kept.sum()


class Translator(nn.Module):
    """An encoder whose last state is the first of a decoder."""

    def __init__(self):
        super().__init__()
        self.source, self.target = nn.Embedding(WORDS, 3), nn.Embedding(WORDS, 3)
        self.encoder, self.decoder = nn.GRU(3, 3, batch_first=True), nn.GRU(3, 3, batch_first=True)
        self.head = nn.Linear(3, WORDS)

    def forward(self, source, target):
        """Return logits, (N, time, words)."""
        state = self.encoder(self.source(source))[1]
        return self.head(self.decoder(self.target(target), state)[0])


def sentences(rng):
    """Return a source of length 4, a target of length 3, and what follows each word of the target."""
    return tuple(torch.randint(WORDS, (10, length), generator=rng) for length in (4, 3, 3))


def translation(model, batch):
    """Return the mean cross-entropy over words."""
    source, target, following = batch
    return functional.cross_entropy(model(source, target).transpose(1, 2), following)


ZOO = {
    "RNN": Entry(rnn, tokens, cross_entropy),
    "GRU": Entry(gru, tokens, cross_entropy),
    "LSTM": Entry(lstm, tokens, cross_entropy),
    "transformer, sequence first": Entry(
        SequenceFirst,
        columns,
        column_truth,
        batch_loss(summed),
        {},
        batches=two_uneven,
        refused={"Fisher-Rao": TOGETHER, "noise scale": "have batches of one shape"},
    ),
    "GPT with tied weights": Entry(
        GPT, following, flat_truth, batch_loss(flat_summed), weight=counted
    ),
    "GPT, mean over its words": Entry(
        GPT,
        following,
        loss=flat,
        options={},
        batches=by_four,
        refused={"all": "loss must be a mean over samples where there are several batches"},
    ),
    "encoder and decoder": Entry(Translator, sentences, translation, batch_loss(translation)),
}
