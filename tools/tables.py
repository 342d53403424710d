"""Write the tables of docs/ from the results that are committed.

    python tools/tables.py [--check] [PAGE.md ...]

The commands that measure (`make bench`, `make campaign`, experiments/section_study.py --record ...) call it themselves. With
--check nothing is written, and the exit status is 1 where a table is not that of the results. What makes the tables of a page is
imported when that page is asked for: those of the report need no torch.
"""

import argparse
import importlib
import json
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that it also runs as a file

from multifractal.base.command import Parser, as_command, at_the_shell

at_the_shell(__name__)

from multifractal.base import files
from tools import marks

RESULTS = ROOT / "experiments" / "results"
DOCS = ROOT / "docs"


def _functions(module, **by_name):
    """Return {name of the marks: function}, of functions of a module by their names."""
    loaded = importlib.import_module(module)
    return {name: getattr(loaded, function) for name, function in by_name.items()}


def _of_report(function):
    made = _functions("multifractal.reproduction.record", reproduction=function)
    return {name: partial(make, RESULTS / "reproduction.json") for name, make in made.items()}


def _of_stored(result, module):
    """Return the tables of a module that are made of a stored result of `multifractal`."""
    import multifractal

    module = importlib.import_module(module)
    stored = getattr(multifractal, result).load(RESULTS / f"{module.NAME}.npz")
    return {name: partial(table, stored) for name, table in module.TABLES.items()}


def _of_dimensions():
    from experiments import d_dimensions_tables

    diagram = d_dimensions_tables.Diagram.load()
    return {name: partial(make, diagram) for name, make in d_dimensions_tables.TABLES.items()}


def _of_bench():
    from experiments.landscape_bench import page

    return {name: partial(page.markdown, make) for name, make in page.TABLES.items()}


def _of_benchmarks():
    tables = _functions("benchmarks.harness", benchmarks="text", growth="growth_text")
    tables |= _functions("benchmarks.obvious", obvious="text")
    return tables | _functions("benchmarks.peers", peers="table")


PAGES = {  # page: what gives {name of its marks: function that makes the text}
    "benchmarks.md": _of_benchmarks,
    "expect.md": partial(_functions, "tools.times", times="table"),
    "reliability.md": partial(_functions, "campaign.harness", campaign="text"),
    "heavy_tails.md": partial(
        _functions, "experiments.heavy_tails", heavy_tails="table", gradient_noise="gradient_table"
    ),
    "learning_coefficient.md": partial(
        _functions, "experiments.learning_coefficient", learning_coefficient="table"
    ),
    "topology.md": partial(_functions, "experiments.persistence", persistence="table"),
    "to_the_authors.md": partial(_of_report, "authors_page"),
    "reproduction.md": partial(_of_report, "readme_table"),
    "edge_monitor.md": partial(_functions, "experiments.edge_monitor", edge_monitor="table"),
    "where_losses_are_fractal.md": partial(
        _functions, "experiments.where_fractal.page", where_losses_are_fractal="verdicts"
    ),
    "section_study.md": partial(_of_stored, "SectionStudy", "experiments.section_study_tables"),
    "real_and_model.md": partial(_of_stored, "RealDynamics", "experiments.real_dynamics_tables"),
    "d_dimensions.md": _of_dimensions,
    "landscape_bench.md": _of_bench,
}


def tables(pages=PAGES):
    """Return a function that makes the text, by (page, name of its marks)."""
    return {(DOCS / page, name): make for page in pages for name, make in PAGES[page]().items()}


def record(found):
    """Keep results, {path: what JSON can hold}, and write the tables that are made of them."""
    for path, results in found.items():
        with files.atomic_write(path, overwrite=True) as file:
            file.write((json.dumps(results, indent=1) + "\n").encode())
    main([])


def main(argv=None):
    """Write the tables, or compare them; return the exit status."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--check", action="store_true", help="write nothing")
    flags.add_argument("pages", nargs="*", help=f"all by default: {', '.join(PAGES)}")
    asked = flags.parse_args(argv)
    if unknown := set(asked.pages) - set(PAGES):
        flags.error(f"no tables are made for {min(unknown)}")
    check, made_of = asked.check, tables(asked.pages or PAGES)
    stale = {
        place: text for place, made in made_of.items() if marks.between(*place) != (text := made())
    }
    for (page, name), text in stale.items():
        print(f"{'stale' if check else 'wrote'}: {name} in {page.name}")
        if not check:
            marks.put(page, name, text)
    return int(check and bool(stale))


if __name__ == "__main__":
    raise SystemExit(as_command(main, "tables.py"))
