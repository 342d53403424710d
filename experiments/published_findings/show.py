"""What was found wrong in published code and data, each finding with numbers computed here and now.

    python experiments/published_findings/show.py

Published behaviour is shown by a minimal twin beside what this package does. Takes some 12 s and needs nothing but the
libraries; findings about the paper's source data are added where those are found. Expect the numbers of docs/findings.md;
--write puts them there.
"""

import argparse
import functools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # so that it also runs as a file

from multifractal.base.command import Parser, as_command, at_the_shell

at_the_shell(__name__)

from experiments.published_findings import (
    eigenvalues,
    files,
    finding,
    hessians,
    mapping,
    paper,
    source_files,
    spectra,
)
from landscape_viz.loss.precision import pinned_threads
from multifractal import source_data
from tools import marks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "findings.md"
CHAPTERS = {
    "The paper's code": (*paper.FINDINGS, mapping.live_dropout, mapping.drifting_statistics),
    "The paper's source data": source_files.FINDINGS,
    "Toolboxes for spectra and surfaces": spectra.FINDINGS,
    "Tools for networks": (*mapping.FINDINGS[2:], *eigenvalues.FINDINGS, *hessians.FINDINGS),
    "Files": files.FINDINGS,
}


def main(argv=None):
    """Compute and print all findings; return them by chapter."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--write", action="store_true", help="write the page as well")
    flags.add_argument(
        "--data", help="folder of the paper's source data (default: $MULTIFRACTAL_DATA, then data/)"
    )
    flags = flags.parse_args(argv)
    with pinned_threads(1):  # small operations: threads would only wait for each other
        found = {
            title: [computed(function, flags.data) for function in functions]
            for title, functions in CHAPTERS.items()
            if functions != source_files.FINDINGS or at_hand(flags.data)
        }
    text = "\n\n".join(chapter(title, findings) for title, findings in found.items()) + "\n"
    print(text)
    if flags.write:
        marks.put(PAGE, "findings", f"\n{text}")
    return found


def computed(function, folder):
    """Return one finding."""
    if function in source_files.FINDINGS:
        function = functools.update_wrapper(functools.partial(function, folder), function)
    return finding.run(function)


def at_hand(folder):
    """Return whether the files that `source_files` reads are found."""
    return all(source_data.available(name, folder) for name in source_files.NAMES)


def chapter(title, findings):
    """Return a chapter as Markdown."""
    return "\n\n".join([f"## {title}", *map(finding.markdown, findings)])


if __name__ == "__main__":
    raise SystemExit(as_command(main, "show.py"))
