"""Four small networks of about the same size that differ in how their layers are joined: shallow, deep, residual, dense.

Each sees the image averaged over 4x4 pixels, so that a comparison takes seconds; all layers are linear, with ReLU between.
"""

import torch
from torch import nn

from landscape_viz.devices.random_state import seeded
from multifractal.base.checks import one_of, whole_number
from multifractal.base.deprecation import renamed

_POOLING = 4
_PARAMETERS = 16_000  # aimed at for 1x28x28 images (our choice)


class Joined(nn.Module):
    """Pooled pixels, hidden layers joined in one of four ways, a linear layer.

    Parameters
    ----------
    kind : {"shallow", "deep", "residual", "dense"}
        shallow: one hidden layer. deep: a chain of `depth`. residual: a first layer, then `depth` - 1 that each add to what
        they see. dense: each of `depth` layers sees the pixels and all layers before it.
    width, depth : int
        Units of a hidden layer, and how many hidden layers.
    """

    def __init__(self, kind, width, depth, input_shape, n_classes):
        super().__init__()
        self.kind, self.pool = kind, nn.AvgPool2d(_POOLING)
        n = _pixels(input_shape)
        sizes = (
            [n + k * width for k in range(depth)]
            if kind == "dense"
            else [n, *[width] * (depth - 1)]
        )
        self.hidden = nn.ModuleList(nn.Linear(size, width) for size in sizes)
        self.last = nn.Linear(n + depth * width if kind == "dense" else width, n_classes)

    def forward(self, images):
        """Return the logits, shape (batch, n_classes)."""
        seen = self.pool(images).flatten(1)
        for k, layer in enumerate(self.hidden):
            new = torch.relu(layer(seen))
            if self.kind == "dense":
                seen = torch.cat([seen, new], dim=1)
            else:
                seen = seen + new if self.kind == "residual" and k > 0 else new
        return self.last(seen)


DEPTHS = {"shallow": 1, "deep": 12, "residual": 12, "dense": 12}


@renamed(seed="rng")
def build(kind, *, rng=0, input_shape=(1, 28, 28), n_classes=10, parameters=_PARAMETERS):
    """Return one of the four networks, its width chosen so that it has about `parameters` parameters, at least 1 unit wide.

    Parameters
    ----------
    kind : {"shallow", "deep", "residual", "dense"}
        With 1, 12, 12 and 12 hidden layers.
    rng : int
        Of the initial weights, torch's default initialisation.
    input_shape : (channels, height, width)
        With sides of at least 4.
    n_classes, parameters : int

    Examples
    --------
    >>> from landscape_viz import models, small_models
    >>> {kind: models.parameter_count(small_models.build(kind)) for kind in small_models.DEPTHS}
    {'shallow': 16150, 'deep': 15970, 'residual': 15970, 'dense': 14300}
    """
    depth = DEPTHS[one_of("kind", kind, DEPTHS)]
    whole_number("parameters", parameters)
    pixels, width = _pixels(input_shape), 1
    while _count(kind, width + 1, depth, pixels, n_classes) <= parameters * 1.01:
        width += 1
    with seeded(whole_number("rng", rng, minimum=0)):
        return Joined(kind, width, depth, input_shape, n_classes)


def _pixels(input_shape):
    return input_shape[0] * (input_shape[1] // _POOLING) * (input_shape[2] // _POOLING)


def _count(kind, width, depth, pixels, n_classes):
    """Return the number of parameters of `Joined`."""
    if kind == "dense":
        return (
            sum((pixels + k * width + 1) * width for k in range(depth))
            + (pixels + depth * width + 1) * n_classes
        )
    return (pixels + 1) * width + (depth - 1) * (width + 1) * width + (width + 1) * n_classes
