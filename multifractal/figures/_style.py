"""The house style: colours by meaning, letters of panels, numbers in words; applied in a context, global settings untouched."""

from __future__ import annotations

import functools
import string
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import ScalarFormatter, StrMethodFormatter

from multifractal.base.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    ManyAxes: TypeAlias = Sequence[Axes] | Array  # one for each panel


HOUSE_STYLE = Path(__file__).with_name("house.mplstyle")

F = TypeVar("F", bound=Callable[..., Any])

# The table of colours: one meaning has one colour in every figure. By role (Okabe & Ito's palette, safe for colour-blind
# readers): what we measured, the paper's own numbers, a law, what a finding is held against, the published method on our walks.
OURS, PUBLISHED, THEORY, CONTROL, ESTIMATOR = "#0072B2", "#D55E00", "#000000", "#999999", "#E69F00"
# More results of ours beside the first, in this order, whatever they are.
FURTHER = ("#009E73", "#CC79A7", "#56B4E9")
# Quantities: a Hurst exponent, a learning rate and a waiting time have each a scale of colours of their own.
_HURST_COLOURS, _RATE_COLOURS = "plasma", "viridis"
_RATES = (10.0, 1e4)  # ends of the scale: smaller and larger ones have the colours of the ends
PALEST = 0.88  # share of a scale in use: its end is too pale on white

_SECTION_WORDS = {
    "mlp": "MLP",
    "conv": "convolutional",
    "vgg": "VGG",
    "resnet": "ResNet",
    "sgd": "SGD",
    "adam": "Adam",
    "cifar10": "CIFAR-10",
    "fashionmnist": "FashionMNIST",
    "nodrop": "no dropout",
}


def hurst_colour(hurst: float) -> Any:
    """Return the colour that stands for a Hurst exponent between 0 and 1 in every figure."""
    return plt.get_cmap(_HURST_COLOURS)(PALEST * float(hurst))


def rate_colour(learning_rate: float) -> Any:
    """Return the colour that stands for a learning rate on a landscape, by its logarithm."""
    low, high = np.log(_RATES)
    share = np.clip((np.log(learning_rate) - low) / (high - low), 0, 1)
    return plt.get_cmap(_RATE_COLOURS)(PALEST * share)


def in_words(name: str) -> str:
    """Return the name of a section's file as a title: ``vgg_sgd_cifar10`` is "VGG, SGD, CIFAR-10"."""
    apart = "_" if "_" in name else " "
    words = [
        _SECTION_WORDS.get(word, word) for word in name.removeprefix("published ").split(apart)
    ]
    return ", ".join(words) if apart == "_" else " ".join(words)


def number(value: float, spec: str = ",g") -> str:
    """Return a number in words as all figures write it: thousands apart by commas, a true minus sign."""
    return format(value, spec).replace("-", "\N{MINUS SIGN}")


def styled(figure_function: F) -> F:
    """Decorate a figure function: it draws in the house style and leaves global settings alone.

    Panels of a new figure get letters, and their ticks commas between thousands; axes that were handed in stay as they are.
    """

    @functools.wraps(figure_function)
    def draw(*args, **kwargs):
        # loads the backend; inside the context a notebook's interactive mode would not outlive it
        plt.draw_if_interactive()
        before = set(plt.get_fignums())
        with plt.style.context(HOUSE_STYLE):
            axes = figure_function(*args, **kwargs)
            drawn = _panels(axes)
            if drawn and drawn[0].figure.number not in before:
                _letter_panels(drawn)
                _separate_thousands(drawn[0].figure.axes)
        return axes

    return cast(F, draw)


def axes_or_new(ax, n_rows=1, n_cols=1, **subplots):
    """Return `ax` as given, else the axes of a new figure: one, or an array of `n_rows` x `n_cols` (squeezed)."""
    if ax is not None:
        return ax
    width, height = plt.rcParams["figure.figsize"]
    subplots.setdefault("figsize", (width * n_cols, height * n_rows))
    return plt.subplots(n_rows, n_cols, **subplots)[1]


def _panels(drawn):
    """Return the visible panels of what a figure function returned, axes or a figure: insets count, scales of colours do not."""
    if hasattr(drawn, "get_axes"):
        drawn = drawn.get_axes()
    outer = np.ravel(np.asarray(drawn, dtype=object))
    found = [panel for ax in outer for panel in (ax, *ax.child_axes)]
    return [ax for ax in found if ax.get_visible() and ax.get_label() != "<colorbar>"]


def _letter_panels(axes):
    """Write a, b, c, ... at the upper left of each panel, if there are several."""
    for ax, letter in zip(axes, string.ascii_lowercase, strict=False):
        if len(axes) > 1:
            ax.annotate(
                letter,
                (0, 1),
                (-20, 5),
                xycoords="axes fraction",
                textcoords="offset points",
                weight="bold",
                fontsize=11,
                annotation_clip=False,
            )


def _separate_thousands(axes: Iterable[Axes]) -> None:
    for ax in axes:
        for axis in (ax.xaxis, ax.yaxis):
            plain = type(axis.get_major_formatter()) is ScalarFormatter
            if plain and axis.get_scale() == "linear" and _is_large(axis.get_view_interval()):
                axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _is_large(interval):
    return 1000 <= np.abs(interval).max() < 1e6 and np.ptp(interval) > 10
