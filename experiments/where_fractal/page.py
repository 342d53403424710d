"""The table and the figures of docs/where_losses_are_fractal.md, from the committed rows."""

import json
from pathlib import Path

from experiments.where_fractal import rules

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "experiments" / "results" / "where_losses_are_fractal.json"
FIGURES = ROOT / "docs" / "figures"


def kept():
    """Return the committed results."""
    return json.loads(RESULTS.read_text())


def verdicts(results=None):
    """Return the table of all parts: what was measured, and the verdict of the rule that was written before."""
    rows = [
        "| part | what | mean over seeds [95 %] | verdict |",
        "|---|---|---|---|",
        *("| " + " | ".join(line) + " |" for line in rules.lines(results or kept())),
    ]
    return "\n".join(rows)


def record():
    """Write the table and the figures anew."""
    from experiments.where_fractal import figures
    from multifractal.base import files
    from tools import tables

    tables.main([])
    for name, draw in figures.FIGURES.items():
        with files.atomic_write(FIGURES / f"{name}.png", overwrite=True) as file:
            draw(kept()).savefig(file, format="png", dpi=110, bbox_inches="tight")


TABLES = {"where_losses_are_fractal": verdicts}
