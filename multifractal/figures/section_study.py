"""Figure of the study of real loss sections: what dropout does to them, and what remains without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from multifractal.base.types import Array
from multifractal.figures._style import (
    CONTROL,
    FURTHER,
    OURS,
    PUBLISHED,
    THEORY,
    axes_or_new,
    in_words,
    styled,
)

if TYPE_CHECKING:
    from multifractal.figures._style import ManyAxes
    from multifractal.measured.section_study import SectionStudy


_CLIP = 10.0  # of the profile, in nats
_MODES = {
    "mlp batch live": (FURTHER[1], "live dropout"),
    "mlp batch fixed": (FURTHER[0], "one fixed mask"),
    "mlp batch": (OURS, "no dropout (eval)"),
}
_ZOOMS = ("mlp", "mlp zoom 10", "mlp zoom 100", "mlp zoom 10000")
_LEVELS = {2: "twice differentiable", 1.5: "gradient jumps", 1: "rough below", 0: "white noise"}


@styled
def section_study(study: SectionStudy, axes: ManyAxes | None = None) -> Array:
    """Draw what a `SectionStudy` found, in six panels.

    Parameters
    ----------
    study : SectionStudy
        With the rows of `landscape_viz.studies.section_study.PLAN`; published sections are drawn if they are in it.
    axes : 2 x 3 array of Axes, optional

    Returns
    -------
    ndarray of 2 x 3 Axes
    """
    axes = axes_or_new(axes, 2, 3, figsize=(11.4, 7.0))
    _profiles(axes[0, 0], study)
    _differences(axes[0, 1], study)
    _exponents(axes[0, 2], study)
    _shares(axes[1, 0], study)
    _spectra(axes[1, 1], study)
    _checks(axes[1, 2], study)
    return axes


def _profiles(ax, study):
    for name, (colour, label) in _MODES.items():
        values = study.landscape(name).values
        half = study.row(name).settings["half_width"]
        x = np.linspace(-half, half, values.shape[1])
        ax.plot(
            x,
            np.where(values[len(values) // 2] < _CLIP, values[len(values) // 2], np.nan),
            color=colour,
            label=label,
        )
    ax.set(
        xlabel="random direction 1 (filter norms)",
        ylabel="loss (nats)",
        title="the same line through one network",
    )
    ax.legend(loc="upper center", fontsize=8)


def _differences(ax, study):
    for name, (colour, label) in _MODES.items():
        first = study.row(name).first
        lags = 2.0 ** np.arange(len(first))
        ax.loglog(lags, first, "o-", color=colour, label=label)
    pair = study.pairs[0]
    ax.loglog(
        lags, pair.first, "D--", color=FURTHER[1], mfc="none", label="live, without the noise"
    )
    ax.axhline(2 * pair.sd.value**2, color=CONTROL, zorder=0)
    ax.annotate(
        "noise of the masks",
        (lags[0], 2 * pair.sd.value**2),
        xytext=(0, -11),
        textcoords="offset points",
        fontsize=8,
        color="#555555",
    )
    ax.set(
        xlabel="lag (pixels)",
        ylabel="mean squared difference (nats²)",
        title="how the loss differs with distance",
        xticks=lags,
        xticklabels=[f"{lag:g}" for lag in lags],
    )
    ax.minorticks_off()
    ax.legend(fontsize=8)


def _exponents(ax, study):
    looks = {name: (OURS, "o-", "eval mode" if name == "mlp" else None) for name in _ZOOMS}
    looks |= {
        "mlp gelu zoom 10000": (FURTHER[2], "^-", "GELU, not ReLU"),
        "mlp zoom 10000 float32": (CONTROL, "s:", "in float32"),
        "mlp batch live": (FURTHER[1], "D-", "live dropout"),
    }
    for name, (colour, line, label) in looks.items():
        row = study.row(name)
        found = row.second_exponents
        between = row.step * 2.0 ** (np.arange(len(found.value)) + 0.5)
        ax.errorbar(between, found.value, found.bars, fmt=line, color=colour, ms=4, label=label)
    for exponent, words in _LEVELS.items():
        ax.axhline(exponent, color=CONTROL, linewidth=0.8, zorder=0)
        ax.annotate(
            words,
            (0.2, exponent),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            fontsize=7,
            color="#555555",
        )
    ax.set(
        xscale="log",
        xlabel="distance (filter norms)",
        ylabel="exponent of second differences",
        ylim=(-0.25, 2.4),
        title="four zooms of one plane, 95 % bars",
    )
    ax.legend(loc="center", bbox_to_anchor=(0.5, 0.35), fontsize=8)


def _shares(ax, study):
    live = [name for name in study.names if "live" in name and not name.endswith(" 2")]
    names = [*live, *[name for name in study.names if name.startswith("published")]][::-1]
    for y, name in enumerate(names):
        found = study.row(name).noise_share
        colour = PUBLISHED if name.startswith("published") else OURS
        ax.errorbar(
            found.value, y, xerr=np.maximum(found.bars, 0)[:, None], fmt="o", color=colour, ms=4
        )
    ax.set(
        yticks=range(len(names)),
        xlim=(-0.03, 1.03),
        xlabel="share of white noise in differences at one pixel",
        title="noise by section, 95 % bars",
    )
    ax.set_yticklabels([in_words(name) for name in names], fontsize=7)
    for colour, words in ((OURS, "our networks"), (PUBLISHED, "published")):
        ax.plot([], [], "o", color=colour, ms=4, label=words)
    ax.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 0.12))


def _spectra(ax, study):
    for name, (colour, label) in _MODES.items():
        row = study.row(name)
        ax.plot(
            row.paper_h,
            row.paper_D,
            "o-",
            color=colour,
            ms=3,
            label=label + ("" if row.paper_valid else " (not defined)"),
        )
    if "published vgg_sgd_cifar10" in study.names:
        row = study.row("published vgg_sgd_cifar10")
        ax.plot(
            row.paper_h,
            row.paper_D,
            "s--",
            color=PUBLISHED,
            ms=3,
            label="published VGG (not defined)",
        )
    ax.set(
        xlabel="Hölder exponent h",
        ylabel="dimension D(h)",
        title="spectra at the paper's settings",
        ylim=(0, 2.9),
    )
    ax.legend(loc="upper right", fontsize=7)


def _checks(ax, study):
    for check, marker in zip(study.checks, "osD", strict=True):
        ax.errorbar(
            check.hurst,
            check.hurst + check.bias[:, 0],
            check.spread[:, 0],
            fmt=f"{marker}-",
            ms=4,
            color=OURS if check.name.startswith("ours") else PUBLISHED,
            mfc="none" if "257" in check.name else None,
            label=check.name,
        )
    ax.plot([0.2, 1], [0.2, 1], color=THEORY, lw=0.8, ls="--", label="equal")
    ax.set(
        xlabel="true exponent of an exact surface",
        ylabel=r"$c_1$ read",
        title="what the spectrum is worth, bars: sd",
    )
    ax.legend(fontsize=7, loc="lower right")
