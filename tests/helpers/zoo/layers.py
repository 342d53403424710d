"""Networks with a peculiarity: of normalisation, of routing, of parameters, of number formats, or of what wraps them."""

import torch
from torch import nn
from torch.nn import functional

from landscape_viz import batch_loss
from tests.helpers.zoo.entry import (
    CLASSES,
    SAMPLES,
    TOGETHER,
    Entry,
    cross_entropy,
    images,
    rows,
    tokens,
)


def perceptron(*between, width=6):
    """Return a perceptron with these layers after its first."""
    return nn.Sequential(nn.Linear(4, width), *between, nn.Tanh(), nn.Linear(width, CLASSES))


def weight_norm():
    """Return a network with two layers of normalised weights."""
    norm = nn.utils.parametrizations.weight_norm
    return nn.Sequential(norm(nn.Linear(4, 6)), nn.Tanh(), norm(nn.Linear(6, CLASSES)))


def spectral_norm():
    """Return a network with a layer of spectral norm 1."""
    norm = nn.utils.parametrizations.spectral_norm
    return nn.Sequential(norm(nn.Linear(4, 6)), nn.Tanh(), nn.Linear(6, CLASSES))


def layer_norm():
    """Return a perceptron with LayerNorm."""
    return perceptron(nn.LayerNorm(6))


def batch_norm():
    """Return a network with BatchNorm, whose statistics have seen data, and dropout."""
    model = perceptron(nn.BatchNorm1d(6), nn.Dropout(0.5))
    for _ in range(3):
        model(2 * torch.randn(20, 4) + 1)
    return model


def sample_shares(model, batch):
    """Return what each sample adds to the mean cross-entropy."""
    return functional.cross_entropy(model(batch[0]), batch[1], reduction="none") / len(batch[0])


def group_norm():
    """Return convolutions with GroupNorm."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.Tanh(), nn.Flatten(), nn.Linear(64, CLASSES)
    )


class Experts(nn.Module):
    """A mixture of three experts, of which each sample takes its best, weighted by the gate."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(4, 3)
        self.experts = nn.ModuleList([perceptron(width=3) for _ in range(3)])

    def forward(self, x):
        """Return logits."""
        chances = torch.softmax(self.gate(x), dim=1)
        best, chosen = chances.max(dim=1)
        everyone = torch.stack([expert(x) for expert in self.experts], dim=1)
        return best[:, None] * everyone[torch.arange(len(x)), chosen]


def siamese():
    """Return an embedding of rows."""
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))


def pairs(rng):
    """Return pairs of rows, and whether each is of one kind."""
    first, second = (torch.randn(SAMPLES, 4, generator=rng) for _ in range(2))
    return {"left": first, "right": second, "same": torch.arange(SAMPLES) % 2}


def contrastive(model, batch):
    """Return the contrastive loss of pairs, the two through one network."""
    distance = ((model(batch["left"]) - model(batch["right"])) ** 2).sum(1)
    apart = functional.softplus(1 - distance)
    return torch.where(batch["same"] == 1, distance, apart).mean()


class Graph(nn.Module):
    """Two graph convolutions in plain torch; the edges come with the batch."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, CLASSES)

    def forward(self, x, edges):
        """Return logits of every node."""
        return edges @ self.second(torch.tanh(edges @ self.first(x)))


def graph(rng):
    """Return features, normalised edges and labels of one graph of ten nodes."""
    inputs, labels = rows(rng)
    edges = (torch.rand(SAMPLES, SAMPLES, generator=rng) < 0.3).float() + torch.eye(SAMPLES)
    edges = ((edges + edges.T) > 0).float()
    return {"x": inputs, "edges": edges / edges.sum(1, keepdim=True), "labels": labels}


def nodes(model, batch):
    """Return the mean cross-entropy over the nodes."""
    return functional.cross_entropy(model(batch["x"], batch["edges"]), batch["labels"])


class Bag(nn.Module):
    """Bags of words with sparse gradients."""

    def __init__(self):
        super().__init__()
        self.words, self.head = nn.EmbeddingBag(7, 4, sparse=True), nn.Linear(4, CLASSES)

    def forward(self, x):
        """Return logits."""
        return self.head(torch.tanh(self.words(x)))


def frozen():
    """Return a perceptron whose first layer does not move."""
    model = perceptron()
    model[0].requires_grad_(False)
    return model


def compiled():
    """Return a perceptron under torch.compile."""
    return torch.compile(perceptron(), backend="eager")


def distributed():
    """Return a perceptron wrapped for data parallel training, in a group of one process."""
    if not torch.distributed.is_initialized():
        store = torch.distributed.HashStore()
        torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    return nn.parallel.DistributedDataParallel(perceptron())


def double():
    """Return a perceptron in float64."""
    return perceptron().double()


def double_rows(rng):
    """Return float64 rows and labels."""
    inputs, labels = rows(rng)
    return inputs.double(), labels


def half():
    """Return a perceptron in bfloat16."""
    return perceptron().bfloat16()


def half_rows(rng):
    """Return bfloat16 rows and labels."""
    inputs, labels = rows(rng)
    return inputs.bfloat16(), labels


def quantised():
    """Return a perceptron with 8-bit weights."""
    return torch.ao.quantization.quantize_dynamic(perceptron(), {nn.Linear}, torch.qint8)


class Complex(nn.Module):
    """A layer with complex weights."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, CLASSES, dtype=torch.complex64)

    def forward(self, x):
        """Return the sizes of its outputs."""
        return self.layer(x.to(torch.complex64)).abs()


class Noisy(nn.Module):
    """A network that adds noise whenever it is called."""

    def __init__(self):
        super().__init__()
        self.layers = perceptron()

    def forward(self, x):
        """Return logits of disturbed inputs."""
        return self.layers(x + 0.1 * torch.randn_like(x))


class OwnLoss(nn.Module):
    """A network that is given the labels and returns its loss."""

    def __init__(self):
        super().__init__()
        self.layers = perceptron()

    def forward(self, x, labels):
        """Return the mean loss of the batch."""
        return functional.cross_entropy(self.layers(x), labels)


def own_loss(model, batch):
    """Return the loss that the model returns."""
    return model(*batch)


class Dicts(nn.Module):
    """A dict in, a dict out."""

    def __init__(self):
        super().__init__()
        self.layers = perceptron()

    def forward(self, batch):
        """Return {"scores": logits}."""
        return {"scores": self.layers(batch["features"])}


def dicts(rng):
    """Return rows and labels by name."""
    inputs, labels = rows(rng)
    return {"features": inputs, "classes": labels}


def by_name(model, batch):
    """Return the mean cross-entropy of a dict."""
    return functional.cross_entropy(model(batch)["scores"], batch["classes"])


WHOLE = {"batch_size": None}
ZOO = {
    "weight_norm": Entry(weight_norm, rows, cross_entropy),
    "spectral_norm": Entry(spectral_norm, rows, cross_entropy),
    "LayerNorm only": Entry(layer_norm, rows, cross_entropy),
    "BatchNorm and dropout": Entry(batch_norm, rows, cross_entropy),
    "BatchNorm on the batch": Entry(
        batch_norm,
        rows,
        cross_entropy,
        options={"batch_norm": "batch"},
        training=True,
        shares=sample_shares,
    ),
    "GroupNorm": Entry(group_norm, images, cross_entropy),
    "mixture of experts": Entry(Experts, rows, cross_entropy),
    "siamese": Entry(siamese, pairs, contrastive, batch_loss(contrastive)),
    "graph convolution": Entry(
        Graph,
        graph,
        nodes,
        batch_loss(nodes),
        WHOLE,
        refused={"Fisher-Rao": TOGETHER, "noise scale": TOGETHER},
    ),
    "embedding bag, sparse": Entry(Bag, tokens, cross_entropy),
    "frozen backbone": Entry(frozen, rows, cross_entropy),
    "torch.compile'd": Entry(compiled, rows, cross_entropy, plain=perceptron),
    "DDP-wrapped": Entry(distributed, rows, cross_entropy, plain=perceptron),
    "float64": Entry(double, double_rows, cross_entropy),
    "bfloat16": Entry(half, half_rows, cross_entropy),
    "quantised": Entry(quantised, rows, refused={"all": "model must have (trainable )?parameters"}),
    "complex weights": Entry(
        Complex, rows, refused={"all": "model must have parameters of real floating numbers"}
    ),
    "stochastic forward": Entry(
        Noisy, rows, refused={"all": "forward draws random numbers.*dropout='fixed'"}
    ),
    "returns its loss": Entry(OwnLoss, rows, own_loss, None),
    "dict in, dict out": Entry(Dicts, dicts, by_name, batch_loss(by_name)),
}
