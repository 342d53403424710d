"""Networks of the paper, of the tutorials and of Li et al. (2018), by name: VGG, ResNet with and without shortcuts, DenseNet, MLP.

`build(name, **options)` is an importable factory, as `Problem` wants it: it draws the initial weights from its own seed and
leaves torch's random state alone. Layers carry the names of the published networks, so that published checkpoints fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, relu
from torch.nn.modules.batchnorm import _NormBase

from landscape_viz.devices.random_state import seeded
from landscape_viz.loss.network import checked_module, copied
from multifractal.base.checks import finite_number, one_of, refuse, require, whole_number
from multifractal.base.deprecation import renamed

# Widths between two poolings (paper, Methods: VGG-13 for 1x28x28, VGG-16 for 3x32x32).
_VGG13 = (64, 64), (128, 128), (256, 256, 256), (512, 512, 512)
_VGG16 = (*_VGG13, (512, 512, 512))
_VGG9 = (64, 64), (128, 128), (256, 256, 256)  # Li et al. 2018, their code


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
    """Two 3x3 convolutions around a shortcut, which is a 1x1 convolution where the shape changes; or without one."""

    def __init__(self, channels: int, width: int, stride: int, shortcuts: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        if not shortcuts:
            return
        self.shortcut = nn.Sequential()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the activations, `width` channels, sides divided by `stride`."""
        out = relu(self.bn1(self.conv1(images)))
        out = self.bn2(self.conv2(out))
        return relu(out + self.shortcut(images)) if hasattr(self, "shortcut") else relu(out)


class ResNet(nn.Module):
    """A 3x3 convolution, stages of residual blocks (all but the first halve the sides), pixel mean, a linear layer."""

    def __init__(
        self,
        widths: Sequence[int],
        blocks: int,
        input_shape: tuple[int, int, int],
        n_classes: int,
        shortcuts: bool = True,
    ) -> None:
        super().__init__()
        channels = widths[0]
        self.conv1 = nn.Conv2d(input_shape[0], channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self._stages = [f"layer{i + 1}" for i in range(len(widths))]
        for name, width in zip(self._stages, widths, strict=True):
            stride = 1 if name == "layer1" else 2
            rest = [ResidualBlock(width, width, 1, shortcuts) for _ in range(blocks - 1)]
            first = ResidualBlock(channels, width, stride, shortcuts)
            self.add_module(name, nn.Sequential(first, *rest))
            channels = width
        self.linear = nn.Linear(channels, n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (batch, n_classes)."""
        out = relu(self.bn1(self.conv1(images)))
        for name in self._stages:
            out = getattr(self, name)(out)
        return self.linear(out.mean((2, 3)))


class VGG9(nn.Module):
    """[3x3 convolution, BatchNorm, ReLU] in three stages ended by 2x2 pooling, a hidden layer of 256, a linear layer."""

    def __init__(self, input_shape: tuple[int, int, int], n_classes: int) -> None:
        super().__init__()
        channels, layers, sides = input_shape[0], [], list(input_shape[1:])
        for stage in _VGG9:
            for wide in stage:
                layers += [nn.Conv2d(channels, wide, 3, padding=1), nn.BatchNorm2d(wide), nn.ReLU()]
                channels = wide
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
            sides = [math.ceil(side / 2) for side in sides]
        self.features = nn.Sequential(*layers)
        hidden = nn.Linear(channels * sides[0] * sides[1], channels)
        self.fc = nn.Sequential(hidden, nn.BatchNorm1d(channels), nn.ReLU())
        self.classifier = nn.Linear(channels, n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (batch, n_classes)."""
        return self.classifier(self.fc(self.features(images).flatten(1)))


class DenseLayer(nn.Module):
    """A 1x1 and a 3x3 convolution, each after BatchNorm and ReLU, whose outputs join what they saw."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the new activations before the old ones, `growth` channels more."""
        out = self.conv1(relu(self.bn1(images)))
        return torch.cat([self.conv2(relu(self.bn2(out))), images], dim=1)


class Transition(nn.Module):
    """Half the channels by a 1x1 convolution, and half the sides by pooling."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels // 2, 1, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the activations."""
        return avg_pool2d(self.conv(relu(self.bn(images))), 2)


class DenseNet(nn.Module):
    """A 3x3 convolution, dense stages with a transition between two, pixel mean, a linear layer (Huang et al. 2017)."""

    def __init__(
        self, stages: Sequence[int], growth: int, input_shape: tuple[int, int, int], n_classes: int
    ) -> None:
        super().__init__()
        channels, self.n_stages = 2 * growth, len(stages)
        self.conv1 = nn.Conv2d(input_shape[0], channels, 3, padding=1, bias=False)
        for k, depth in enumerate(stages, 1):
            layers = [DenseLayer(channels + i * growth, growth) for i in range(depth)]
            self.add_module(f"dense{k}", nn.Sequential(*layers))
            channels += depth * growth
            if k < len(stages):
                self.add_module(f"trans{k}", Transition(channels))
                channels //= 2
        self.bn = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (batch, n_classes)."""
        out = self.conv1(images)
        for k in range(1, self.n_stages + 1):
            out = getattr(self, f"dense{k}")(out)
            out = getattr(self, f"trans{k}")(out) if k < self.n_stages else out
        return self.linear(relu(self.bn(out)).mean((2, 3)))


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


def vgg9(
    *, input_shape: tuple[int, int, int] = (1, 28, 28), n_classes: int = 10
) -> torch.nn.Module:
    """Return the VGG-9 of Li et al. 2018 (2 789 706 parameters for 3x32x32); arguments as for `build`."""
    return VGG9(input_shape, n_classes)


def densenet121(
    *, input_shape: tuple[int, int, int] = (1, 28, 28), n_classes: int = 10, growth: int = 32
) -> torch.nn.Module:
    """Return the DenseNet-121 for small images of Li et al. 2018 (6 956 298 parameters for 3x32x32).

    `growth` is the number of channels that each layer adds; other arguments and ValueError as for `build`.
    """
    return DenseNet((6, 12, 24, 16), whole_number("growth", growth), input_shape, n_classes)


def resnet18(
    *, input_shape: tuple[int, int, int] = (1, 28, 28), n_classes: int = 10, shortcuts: bool = True
) -> torch.nn.Module:
    """Return a ResNet-18 for small images (paper, Methods; 11 172 810 parameters for 1 channel, 11 173 962 for 3).

    Arguments as for `build`.
    """
    return ResNet((64, 128, 256, 512), 2, input_shape, n_classes, shortcuts)


def cifar_resnet(
    depth: int,
    *,
    input_shape: tuple[int, int, int] = (3, 32, 32),
    n_classes: int = 10,
    shortcuts: bool = True,
    widening: int = 1,
) -> torch.nn.Module:
    """Return a residual network of three stages for small images, with convolutional shortcuts (He et al. 2016, section 4.2).

    Parameters
    ----------
    depth : int
        6 n + 2: 20, 56 or 110, say.
    input_shape, n_classes
        As for `build`.
    shortcuts : bool
        False leaves them out (Li et al. 2018, "noshort").
    widening : int
        What the widths 16, 32 and 64 are multiplied by (Li et al. 2018, "wrn").

    Raises
    ------
    ValueError
        When the depth is not 6 n + 2.
    """
    whole_number("depth", depth, 8)
    require(depth % 6 == 2, "depth", depth, "be 6 n + 2", "pass 20, 56 or 110, say")
    widths = [whole_number("widening", widening) * width for width in (16, 32, 64)]
    return ResNet(widths, (depth - 2) // 6, input_shape, n_classes, shortcuts)


def resnet20(
    *, input_shape: tuple[int, int, int] = (1, 28, 28), n_classes: int = 10
) -> torch.nn.Module:
    """Return a ResNet-20 with convolutional shortcuts (He et al. 2016, section 4.2; 272 474 parameters for 3 channels).

    Arguments as for `build`.
    """
    return cifar_resnet(20, input_shape=input_shape, n_classes=n_classes)


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


def _of_li():
    """Return the builders under the names of Li et al. 2018 (plot_surface.py), those without shortcuts included."""
    found = {"resnet18": resnet18}
    for depth in (20, 32, 44, 56, 110):
        found[f"resnet{depth}"] = partial(cifar_resnet, depth)
        for widening in (2, 4, 8):
            found[f"wrn{depth}_{widening}"] = partial(cifar_resnet, depth, widening=widening)
    return found | {f"{name}_noshort": partial(f, shortcuts=False) for name, f in found.items()}


BUILDERS = {
    **_of_li(),
    "vgg": vgg,
    "vgg9": vgg9,
    "vgg13": vgg13,
    "vgg16": vgg16,
    "resnet": resnet18,
    "resnet20": resnet20,
    "densenet121": densenet121,
    "mlp": mlp,
}


@renamed(seed="rng")
def build(name: str, *, rng: int = 0, **options: Any) -> torch.nn.Module:
    """Return a network by name, its weights drawn from torch's default initialisation under `rng`.

    Parameters
    ----------
    name : str
        "vgg9", "vgg13", "vgg16", "resnet18", "resnet20", "resnet56", "resnet110", "wrn56_2", "densenet121", "mlp" ...;
        "resnet56_noshort" and so on, without shortcuts; or as published "vgg" (VGG-13 for 28x28 images, VGG-16 for 32x32) and
        "resnet" (ResNet-18). `models.BUILDERS` holds all names.
    rng : int
        Seed of the initial weights (paper: 0).
    **options
        `input_shape` (channels, height, width), `n_classes`, `dropout` (VGG-13, VGG-16 and MLP), `hidden` (MLP).

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


def moving_statistics(model: torch.nn.Module) -> torch.nn.Module:
    """Return a copy of `model` whose running statistics of BatchNorm are parameters, which directions move like weights.

    The states of both networks have the same names. Made for values in evaluation mode: torch has no derivative by running
    statistics. (Li et al. 2018: directions of the kind "states".)
    """
    twin = copied(checked_module("model", model))
    for module in twin.modules():
        if isinstance(module, _NormBase):
            for name in ("running_mean", "running_var"):
                if module._buffers.get(name) is not None:
                    statistic = module._buffers.pop(name)
                    module.register_parameter(name, nn.Parameter(statistic))
    return twin


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
