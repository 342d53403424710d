"""docs/real_and_model.md says what the committed numbers say, row by row; the script makes such a file."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from multifractal.measured.descent_table import LONG, SHORT, interval
from multifractal.measured.real_dynamics import FACTS, RealDynamics

ROOT = Path(__file__).resolve().parents[1]
FILE, PAGE = (
    ROOT / "experiments" / "results" / "real_dynamics.npz",
    ROOT / "docs" / "real_and_model.md",
)


@pytest.fixture(scope="module")
def found():
    """The committed numbers."""
    return RealDynamics.load(FILE)


def section_row(walks, k):
    """Return the page's row of section k: exponents, shares, and where section and model become chaotic and diffuse how."""
    lowest, median, highest = walks.exponents[k]
    smooth, noise = (walks.facts[k, FACTS.index(fact)] for fact in ("share_smooth", "share_noise"))
    cells = [
        walks.names[k],
        f"{lowest:.2f}, {median:.2f}, {highest:.2f}",
        f"{smooth:.0%}",
        f"{noise:.0%}",
    ]
    at = int(np.flatnonzero(walks.step_lengths == 1.0)[0])
    for system in (k, len(walks.names) + k):
        ranges = walks.table.edge_range[system]
        cells += [
            chaotic(walks.step_lengths, walks.table.sign[system]),
            f"{int(np.isfinite(ranges[:, 0]).sum())}",
            in_words(walks.table.diffusion(0, SHORT)[system, at]),
        ]
    return f"| {' | '.join(cells)} |"


def training_row(table, k):
    """Return the page's row of training k: rates that last, signs, the largest exponent and stretch."""
    rates, exponents = table.learning_rates[k], table.exponents[k]
    lasted = np.isfinite(table.stretch[k, :, :, -1]).sum(axis=-1)
    mean = np.where(lasted > 1, interval(exponents)[0], -np.inf)
    top = int(np.argmax(mean))
    stretch = np.array(
        [
            row[np.isfinite(row)].mean() if np.isfinite(row).any() else -np.inf
            for row in table.stretch[k, :, :, -1]
        ]
    )
    far = int(np.argmax(stretch))
    cells = [
        table.systems[k],
        f"{table.times[k, -1]}",
        f"{rates[lasted == table.stretch.shape[2]].max():g}",
        chaotic(rates, table.sign[k]),
        f"{in_words(exponents[top], 5)} at {rates[top]:g}",
        f"{np.nanmean(table.share_growing[k, top]):.0%}",
        f"{stretch[far]:.1f} at {rates[far]:g}",
    ]
    return f"| {' | '.join(cells)} |"


def displacement_row(table, k, rate):
    """Return the page's row of diffusion exponents at one rate: short and long lags, from the start and late."""
    at = int(np.flatnonzero(table.learning_rates[k] == rate)[0])
    cells = [
        in_words(table.diffusion(waiting, lags)[k, at])
        for waiting in (0, 2)
        for lags in (SHORT, LONG)
    ]
    return f"| {table.systems[k]}, rate {rate:g} | {' | '.join(cells)} |"


def chaotic(rates, sign):
    """Return the rates of sign 1 in words."""
    return ", ".join(f"{rate:g}" for rate in rates[sign == 1]) or "none"


def displacement_rows(found):
    """Return the rows of the supplement's network at the published rate 0.1, and of the paper's surface at two rates."""
    systems = [k for k, name in enumerate(found.training.systems) if "-16-1" in name]
    return [displacement_row(found.training, k, 0.1) for k in systems] + [
        displacement_row(found.surface, 0, rate) for rate in (100.0, 1000.0)
    ]


def in_words(samples, digits=2):
    """Return mean and interval."""
    centre, low, high = interval(samples)
    return (
        "at rest"
        if np.isnan(centre)
        else f"{centre:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
    )


def test_each_row_of_the_page_is_in_the_file(found):
    """The tables of sections and of trainings, and the model's line, are made from the file, to the last digit."""
    text = re.sub(r"\s+", " ", PAGE.read_text())
    rows = [section_row(found.walks, k) for k in range(len(found.walks.names))]
    rows += [training_row(found.training, k) for k in range(len(found.training.systems))]
    rows += [training_row(found.surface, 0), *displacement_rows(found)]
    missing = [row for row in rows if row not in text]
    assert not missing, missing


def test_the_file_loads_without_torch_and_jax():
    """The numbers need numpy only; the file is small."""
    code = (
        f"import sys, multifractal as mf; mf.RealDynamics.load({str(FILE)!r}); "
        "assert not {'torch', 'jax', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert FILE.stat().st_size < 1e6


def test_the_figures_draw_the_file(found):
    """Both figures draw every system that the file holds."""
    from multifractal import figures

    axes = figures.section_beside_model(found.walks, [np.zeros((2, 3, 2))] * 2)
    assert len(axes[2].containers) == 2
    axes = figures.training_beside_model(found)
    assert len(axes[2].containers) == len(found.training.systems)


@pytest.mark.slow
def test_the_script_runs_and_goes_on(tmp_path):
    """A small run gives every system, and a second one the same numbers from the parts that are kept."""
    flags = "--runs 2 --n_points 64 --epochs 160 --steps 160 --side 64 --data_root none".split()
    command = [
        sys.executable,
        str(ROOT / "experiments" / "real_dynamics.py"),
        *flags,
        "--save_dir",
        str(tmp_path / "run"),
    ]
    results = []
    for _ in range(2):
        subprocess.run(command, check=True, cwd=tmp_path)
        results.append(RealDynamics.load(tmp_path / "run" / "real_dynamics.npz"))
    assert len(results[0].training.systems) == 4
    np.testing.assert_array_equal(results[0].training.stretch, results[1].training.stretch)
