"""Networks small enough to be mapped at a millisecond a point: perceptrons, a convolutional and a residual network.

They see handwritten digits averaged over 4x4 pixels. For sections they are made in float64, so that rounding adds no
roughness at any zoom.
"""

from dataclasses import replace
from functools import cache

from torch import nn
from torch.nn.functional import avg_pool2d

from landscape_viz import datasets
from landscape_viz.devices.random_state import seeded
from landscape_viz.models import MLP, ResNet, _dropout
from multifractal.base.checks import one_of

_POOLING = 4
_INPUT_SHAPE = (1, 7, 7)
_CLASSES = 10


class SmallConv(nn.Module):
    """Two 3x3 convolutions with pooling between, a hidden layer with dropout (as in the paper's VGG), a linear layer."""

    def __init__(self, dropout):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 8, 3, padding=1),
            nn.ReLU(),
        )
        self.fc = nn.Sequential(
            nn.Linear(72, 32), nn.ReLU(), *_dropout(dropout), nn.Linear(32, _CLASSES)
        )

    def forward(self, images):
        """Return the logits, shape (batch, 10)."""
        return self.fc(self.features(images).flatten(1))


class NarrowResNet(ResNet):
    """A residual network with BatchNorm of widths 4 and 8, a block each; dropout, if any, before the last layer."""

    def __init__(self, dropout):
        super().__init__((4, 8), 1, _INPUT_SHAPE, _CLASSES)
        self.linear = nn.Sequential(*_dropout(dropout), self.linear)


def _perceptron(dropout):
    return MLP((64, 64), _INPUT_SHAPE, _CLASSES, dropout)


def _smooth_perceptron(dropout):
    """Return the perceptron with GELU, which is analytic, in the place of ReLU, whose derivative jumps."""
    model = _perceptron(dropout)
    for k, layer in enumerate(model.layers):
        if isinstance(layer, nn.ReLU):
            model.layers[k] = nn.GELU()
    return model


KINDS = {
    "mlp": _perceptron,
    "mlp gelu": _smooth_perceptron,
    "conv": SmallConv,
    "resnet": NarrowResNet,
}


def build(kind, *, dropout=0.0, seed=0, double=False):
    """Return one of the networks, its weights drawn from torch's default initialisation under `seed`.

    Parameters
    ----------
    kind : {"mlp", "mlp gelu", "conv", "resnet"}
        8 010, 8 010, 3 002 and 1 382 parameters (49-64-64-10; 4 and 8 filters; widths 4 and 8).
    dropout : float
        Probability, after each hidden layer of the perceptrons and before the last layer of the others.
    seed : int
    double : bool
        In float64.
    """
    maker = KINDS[one_of("kind", kind, KINDS)]
    with seeded(seed):
        model = maker(dropout)
    return model.double() if double else model


@cache
def pooled_digits():
    """Return the handwritten digits, 1437 for training, averaged over 4x4 pixels to 7x7, as a `Dataset`."""
    data = datasets.load("digits")
    return replace(
        data,
        name="digits 7x7",
        train_inputs=avg_pool2d(data.train_inputs, _POOLING),
        test_inputs=avg_pool2d(data.test_inputs, _POOLING),
    )


def images(size, *, double=True):
    """Return (inputs, targets) of `size` training images, drawn once: the first of a fixed random order."""
    inputs, targets = pooled_digits().batch(size, rng=0)
    return (inputs.double() if double else inputs), targets
