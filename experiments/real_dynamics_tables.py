"""The tables of docs/real_and_model.md, each made from a `RealDynamics`."""

import numpy as np

from experiments.section_study_tables import table
from multifractal.measured.descent_table import LONG, SHORT, over_runs
from multifractal.measured.real_dynamics import FACTS

NAME = "real_dynamics"
_TRAINING = "steps | lasts to | chaotic at | largest exponent, second half | grew | largest stretch"
_RATE, _RATES_OF_THE_SURFACE = 0.1, (100.0, 1000.0)


def sections(found):
    """Return the table of walks on measured sections and on their models."""
    return table(
        "section | exponents (least, median, largest) | smooth | noise | chaotic at (section) | edge | alpha | "
        "chaotic at (model) | edge | alpha",
        [_section(found.walks, k) for k in range(len(found.walks.names))],
    )


def training(found):
    """Return the table of trainings: rates that last, where they are chaotic, the largest exponent and stretch."""
    rows = [_training(found.training, k) for k in range(len(found.training.systems))]
    return table(f"training | {_TRAINING}", rows)


def surface(found):
    """Return the same table of the paper's surface."""
    return table(f"model | {_TRAINING}", [_training(found.surface, 0)])


def displacement(found):
    """Return the table of diffusion exponents: the supplement's network at its published rate, the surface at two."""
    rows = [
        _displacement(found.training, k, _RATE)
        for k, name in enumerate(found.training.systems)
        if "-16-1" in name
    ] + [_displacement(found.surface, 0, rate) for rate in _RATES_OF_THE_SURFACE]
    return table("training or model | early, short | early, long | late, short | late, long", rows)


def _section(walks, k):
    lowest, median, highest = walks.exponents[k]
    smooth, noise = (walks.facts[k, FACTS.index(fact)] for fact in ("share_smooth", "share_noise"))
    cells = [
        walks.names[k],
        f"{lowest:.2f}, {median:.2f}, {highest:.2f}",
        f"{smooth:.0%}",
        f"{noise:.0%}",
    ]
    at = int(np.flatnonzero(walks.step_lengths == 1.0)[0])
    for system in (k, len(walks.names) + k):  # the section, then its model
        ranges = walks.table.edge_range[system]
        cells += [
            _chaotic(walks.step_lengths, walks.table.sign[system]),
            f"{int(np.isfinite(ranges[:, 0]).sum())}",
            _in_words(walks.table.diffusion(0, SHORT)[system, at]),
        ]
    return cells


def _training(found, k):
    rates, exponents = found.learning_rates[k], found.exponents[k]
    lasted = np.isfinite(found.stretch[k, :, :, -1]).sum(axis=-1)
    top = int(np.argmax(np.where(lasted > 1, over_runs(exponents).value, -np.inf)))
    stretch = [
        row[np.isfinite(row)].mean() if np.isfinite(row).any() else -np.inf
        for row in found.stretch[k, :, :, -1]
    ]
    far = int(np.argmax(stretch))
    return [
        found.systems[k],
        f"{found.times[k, -1]}",
        f"{rates[lasted == found.stretch.shape[2]].max():g}",
        _chaotic(rates, found.sign[k]),
        f"{_in_words(exponents[top], 5)} at {rates[top]:g}",
        f"{np.nanmean(found.share_growing[k, top]):.0%}",
        f"{stretch[far]:.1f} at {rates[far]:g}",
    ]


def _displacement(found, k, rate):
    at = int(np.flatnonzero(found.learning_rates[k] == rate)[0])
    cells = [
        _in_words(found.diffusion(waiting, lags)[k, at])
        for waiting in (0, 2)
        for lags in (SHORT, LONG)
    ]
    return [f"{found.systems[k]}, rate {rate:g}", *cells]


def _chaotic(rates, sign):
    return ", ".join(f"{rate:g}" for rate in rates[sign == 1]) or "none"


def _in_words(samples, digits=2):
    found = over_runs(samples)
    if np.isnan(found.low):
        return "at rest"
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


TABLES = {
    "sections": sections,
    "training": training,
    "surface": surface,
    "displacement": displacement,
}
