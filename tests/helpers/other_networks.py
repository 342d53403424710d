"""Networks, batches and losses of the kinds that other people bring, for tests: each small, each importable."""

import torch
from torch import nn
from torch.nn import functional

VOCABULARY = 7


class ByView(nn.Module):
    """A convolution whose outputs are flattened by `view`, as in LeNet, which channels_last order breaks."""

    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 3), nn.Linear(4 * 6 * 6, 3)

    def forward(self, x):
        """Return logits."""
        hidden = torch.relu(self.conv(x))
        return self.last(hidden.view(hidden.size(0), -1))


class Recurrent(nn.Module):
    """An LSTM, which vmap refuses."""

    def __init__(self):
        super().__init__()
        self.rnn, self.last = nn.LSTM(6, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        """Return logits of the last step."""
        return self.last(self.rnn(x[:, None])[0][:, -1])


class Language(nn.Module):
    """A causal language model with tied weights that returns its loss, over the labels that are not -100 after the shift."""

    def __init__(self):
        super().__init__()
        self.embed, self.mix = nn.Embedding(VOCABULARY, 4), nn.Linear(4, 4)
        self.head = nn.Linear(4, VOCABULARY, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids, labels=None):
        """Return a dict of logits and loss."""
        logits = self.head(torch.tanh(self.mix(self.embed(ids))))
        found = {"logits": logits}
        if labels is not None:
            found["loss"] = functional.cross_entropy(
                logits[:, :-1].reshape(-1, VOCABULARY), labels[:, 1:].reshape(-1)
            )
        return found


class Masked(Language):
    """A masked language model: its loss is over the labels as they are, returned first of two."""

    def forward(self, ids, labels):
        """Return (loss, logits)."""
        logits = super().forward(ids)["logits"]
        return functional.cross_entropy(logits.reshape(-1, VOCABULARY), labels.reshape(-1)), logits


class Physics(nn.Module):
    """A network that differentiates inside: the residual of u' = -u."""

    def __init__(self):
        super().__init__()
        self.u = nn.Sequential(nn.Linear(1, 5), nn.Tanh(), nn.Linear(5, 1)).double()

    def forward(self, t):
        """Return u' + u."""
        t = t.requires_grad_()
        u = self.u(t)
        return torch.autograd.grad(u.sum(), t, create_graph=True)[0] + u


class Noisy(nn.Linear):
    """A linear layer with noise in its forward pass."""

    def forward(self, x):
        """Return noisy outputs."""
        hidden = super().forward(x)
        return hidden + 0.1 * torch.randn_like(hidden)


class InPlace(nn.Linear):
    """A linear layer that scales its inputs in place."""

    def forward(self, x):
        """Return outputs."""
        return super().forward(x.mul_(1.5))


def tokens():
    """Return ids and labels, (6, 5), of which some are -100 and one row all."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(VOCABULARY, (6, 5), generator=generator)
    labels = ids.clone()
    labels[:3, 2:], labels[4] = -100, -100
    return ids, labels
