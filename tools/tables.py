"""Write the tables of docs/ from the results that are committed.

    python tools/tables.py [--check]

The commands that measure (`make bench`, `make campaign`, experiments/section_study.py --record ...) call it themselves. With
--check nothing is written, and the exit status is 1 where a table is not that of the results.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that it also runs as a file

from benchmarks import harness as benchmarks  # noqa: E402
from benchmarks import peers  # noqa: E402
from campaign import harness as campaign  # noqa: E402
from experiments import (  # noqa: E402
    d_dimensions_tables,
    edge_monitor,
    heavy_tails,
    learning_coefficient,
    persistence,
    real_dynamics_tables,
    section_study_tables,
)
from experiments.landscape_bench import page as landscape_bench  # noqa: E402
from experiments.where_fractal import page as where_fractal  # noqa: E402
from multifractal import RealDynamics, SectionStudy  # noqa: E402
from multifractal.base import files  # noqa: E402
from multifractal.reproduction import record as reproduction  # noqa: E402
from tools import marks  # noqa: E402

RESULTS = ROOT / "experiments" / "results"
DOCS = ROOT / "docs"


def tables():
    """Return a function that makes the text, by (page, name of its marks)."""
    found = {
        (DOCS / "benchmarks.md", "benchmarks"): benchmarks.text,
        (DOCS / "benchmarks.md", "growth"): benchmarks.growth_text,
        (DOCS / "benchmarks.md", "peers"): peers.table,
        (DOCS / "reliability.md", "campaign"): campaign.text,
        (DOCS / "heavy_tails.md", "heavy_tails"): heavy_tails.table,
        (DOCS / "learning_coefficient.md", "learning_coefficient"): learning_coefficient.table,
        (DOCS / "topology.md", "persistence"): persistence.table,
        (DOCS / "heavy_tails.md", "gradient_noise"): heavy_tails.gradient_table,
        (DOCS / "to_the_authors.md", "reproduction"): partial(
            reproduction.authors_page, RESULTS / "reproduction.json"
        ),
        (DOCS / "reproduction.md", "reproduction"): partial(
            reproduction.readme_table, RESULTS / "reproduction.json"
        ),
        (DOCS / "edge_monitor.md", "edge_monitor"): edge_monitor.table,
        (DOCS / "where_losses_are_fractal.md", "where_losses_are_fractal"): where_fractal.verdicts,
    }
    for page, result, module in (
        ("section_study.md", SectionStudy, section_study_tables),
        ("real_and_model.md", RealDynamics, real_dynamics_tables),
    ):
        stored = result.load(RESULTS / f"{module.NAME}.npz")
        found |= {
            (DOCS / page, name): partial(table, stored) for name, table in module.TABLES.items()
        }
    diagram = d_dimensions_tables.Diagram.load()
    found |= {
        (ROOT / "docs" / "d_dimensions.md", name): partial(make, diagram)
        for name, make in d_dimensions_tables.TABLES.items()
    }
    found |= {
        (DOCS / "landscape_bench.md", name): partial(landscape_bench.markdown, make)
        for name, make in landscape_bench.TABLES.items()
    }
    return found


def record(found):
    """Keep results, {path: what JSON can hold}, and write the tables that are made of them."""
    for path, results in found.items():
        with files.atomic_write(path, overwrite=True) as file:
            file.write((json.dumps(results, indent=1) + "\n").encode())
    main([])


def main(argv=None):
    """Write the tables, or compare them; return the exit status."""
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument("--check", action="store_true", help="write nothing")
    check = flags.parse_args(argv).check
    stale = {
        place: text for place, made in tables().items() if marks.between(*place) != (text := made())
    }
    for (page, name), text in stale.items():
        print(f"{'stale' if check else 'wrote'}: {name} in {page.name}")
        if not check:
            marks.put(page, name, text)
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
