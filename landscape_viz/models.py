"""Networks of the paper and of the tutorials, by name: VGG-13/16, ResNet-18/20 and a multilayer perceptron.

`build(name, **options)` is an importable factory, as `Problem` wants it: it draws the initial weights from its own seed and
leaves torch's random state alone. Layers carry the names of the published networks, so that published checkpoints fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import relu

from landscape_viz.loss.random_state import seeded
from multifractal.base.checks import finite_number, one_of, refuse, require, whole_number
from multifractal.base.deprecation import renamed

# Widths between two poolings (paper, Methods: VGG-13 for 1x28x28, VGG-16 for 3x32x32).
_VGG13 = (64, 64), (128, 128), (256, 256, 256), (512, 512, 512)
_VGG16 = (*_VGG13, (512, 512, 512))


class VGG(nn.Module):
    """[3x3 convolution, ReLU, BatchNorm] in stages ended by 2x2 pooling, then three linear layers of 4096.

    Parameters
    ----------
    stages : sequence of sequence of int
        Widths of the convolutions of each stage.
    input_shape : (channels, height, width)
        Shape of one image; the poolings must leave at least one pixel.
    n_classes : int
        Number of classes.
    dropout : float
        Probability of the one dropout, before the last layer (paper: 0.5); 0 leaves the layer out.
    """

    def __init__(
        self,
        stages: Sequence[Sequence[int]],
        input_shape: tuple[int, int, int],
        n_classes: int,
        dropout: float,
    ) -> None:
        super().__init__()
        width, height = (side >> len(stages) for side in input_shape[1:])
        require(
            min(width, height) >= 1,
            "input_shape",
            input_shape,
            f"have sides of at least {2 ** len(stages)} pixels for {len(stages)} poolings",
            "take vgg13, or larger images",
        )
        channels, layers = input_shape[0], []
        for stage in stages:
            for wide in stage:
                layers += [nn.Conv2d(channels, wide, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(wide)]
                channels = wide
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        head = [
            nn.Linear(channels * width * height, 4096),
            nn.ReLU(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
        ]
        self.fc = nn.Sequential(*head, *_dropout(dropout), nn.Linear(4096, n_classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (batch, n_classes)."""
        return self.fc(self.features(images).flatten(1))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the activations, `width` channels, sides divided by `stride`."""
        out = relu(self.bn1(self.conv1(images)))
        return relu(self.bn2(self.conv2(out)) + self.shortcut(images))


class ResNet(nn.Module):
    """A 3x3 convolution, stages of residual blocks (all but the first halve the sides), pixel mean, a linear layer."""

    def __init__(
        self, widths: Sequence[int], blocks: int, input_shape: tuple[int, int, int], n_classes: int
    ) -> None:
        super().__init__()
        channels = widths[0]
        self.conv1 = nn.Conv2d(input_shape[0], channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self._stages = [f"layer{i + 1}" for i in range(len(widths))]
        for name, width in zip(self._stages, widths, strict=True):
            stride = 1 if name == "layer1" else 2
            rest = [ResidualBlock(width, width, 1) for _ in range(blocks - 1)]
            self.add_module(name, nn.Sequential(ResidualBlock(channels, width, stride), *rest))
            channels = width
        self.linear = nn.Linear(channels, n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (batch, n_classes)."""
        out = relu(self.bn1(self.conv1(images)))
        for name in self._stages:
            out = getattr(self, name)(out)
        return self.linear(out.mean((2, 3)))


class MLP(nn.Module):
    """Linear layers with ReLU between them, on flattened images; dropout, if any, after each ReLU."""

    def __init__(
        self,
        hidden: Sequence[int],
        input_shape: tuple[int, int, int],
        n_classes: int,
        dropout: float,
    ) -> None:
        super().__init__()
        sizes, layers = (math.prod(input_shape), *hidden), []
        for before, after in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [nn.Linear(before, after), nn.ReLU(), *_dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], n_classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (batch, n_classes)."""
        return self.layers(images.flatten(1))


def vgg13(
    *, input_shape: tuple[int, int, int] = (1, 28, 28), n_classes: int = 10, dropout: float = 0.5
) -> torch.nn.Module:
    """Return a VGG-13 (paper, Methods; 26 563 018 parameters for 1x28x28); arguments as for `build`."""
    return VGG(_VGG13, input_shape, n_classes, dropout)


def vgg16(
    *, input_shape: tuple[int, int, int] = (3, 32, 32), n_classes: int = 10, dropout: float = 0.5
) -> torch.nn.Module:
    """Return a VGG-16 (paper, Methods; 33 646 666 parameters for 3x32x32), for sides of at least 32.

    Arguments as for `build`.
    """
    return VGG(_VGG16, input_shape, n_classes, dropout)


def resnet18(
    *, input_shape: tuple[int, int, int] = (1, 28, 28), n_classes: int = 10
) -> torch.nn.Module:
    """Return a ResNet-18 for small images (paper, Methods; 11 172 810 parameters for 1 channel, 11 173 962 for 3).

    Arguments as for `build`.
    """
    return ResNet((64, 128, 256, 512), 2, input_shape, n_classes)


def resnet20(
    *, input_shape: tuple[int, int, int] = (1, 28, 28), n_classes: int = 10
) -> torch.nn.Module:
    """Return a ResNet-20 with convolutional shortcuts (He et al. 2016, section 4.2; 272 474 parameters for 3 channels).

    Arguments as for `build`.
    """
    return ResNet((16, 32, 64), 3, input_shape, n_classes)


def mlp(
    *,
    input_shape: tuple[int, int, int] = (1, 28, 28),
    n_classes: int = 10,
    hidden: Sequence[int] = (512, 256),
    dropout: float = 0.0,
) -> torch.nn.Module:
    """Return a multilayer perceptron; widths `hidden` and no dropout are our choice.

    Arguments and ValueError as for `build`.
    """
    return MLP(
        tuple(whole_number("hidden", width) for width in hidden), input_shape, n_classes, dropout
    )


def vgg(*, input_shape: tuple[int, int, int] = (1, 28, 28), **options: Any) -> torch.nn.Module:
    """Return the published VGG for these images: VGG-13 where a side is below 32, else VGG-16; arguments as for `build`."""
    return (vgg13 if min(input_shape[1:]) < 32 else vgg16)(input_shape=input_shape, **options)


BUILDERS = {
    "vgg": vgg,
    "vgg13": vgg13,
    "vgg16": vgg16,
    "resnet": resnet18,
    "resnet18": resnet18,
    "resnet20": resnet20,
    "mlp": mlp,
}


@renamed(seed="rng")
def build(name: str, *, rng: int = 0, **options: Any) -> torch.nn.Module:
    """Return a network by name, its weights drawn from torch's default initialisation under `rng`.

    Parameters
    ----------
    name : str
        "vgg13", "vgg16", "resnet18", "resnet20", "mlp", or as published "vgg" (VGG-13 for 28x28 images, VGG-16 for 32x32)
        and "resnet" (ResNet-18).
    rng : int
        Seed of the initial weights (paper: 0).
    **options
        `input_shape` (channels, height, width), `n_classes`, `dropout` (VGG and MLP), `hidden` (MLP).

    Returns
    -------
    torch.nn.Module
        A new float32 network on the CPU, in training mode. torch's random state is as it was before.

    Raises
    ------
    ValueError
        When the name is unknown, or an option is out of its range.

    Examples
    --------
    >>> from landscape_viz import models
    >>> models.parameter_count(models.build("resnet20", input_shape=(3, 32, 32)))
    272474
    """
    builder = BUILDERS[one_of("name", name, BUILDERS)]
    _check_shape(options.get("input_shape"))
    whole_number("n_classes", options.get("n_classes", 10))
    with seeded(whole_number("rng", rng, minimum=0)):
        return builder(**options)


def parameter_count(model: torch.nn.Module) -> int:
    """Return the number of trainable numbers of `model`, a torch module."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _check_shape(shape):
    good = shape is None or (
        isinstance(shape, tuple | list)
        and len(shape) == 3
        and all(isinstance(side, int) and side >= 1 for side in shape)
    )
    if not good:
        raise refuse(
            "input_shape", shape, "be three whole numbers", "pass (channels, height, width)"
        )


def _dropout(probability):
    good = 0 <= finite_number("dropout", probability) < 1
    require(
        good, "dropout", probability, "lie in [0, 1)", "pass a probability; 0 leaves the layer out"
    )
    return [nn.Dropout(probability)] if probability else []
