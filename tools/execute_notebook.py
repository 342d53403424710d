"""Execute a notebook from top to bottom, showing its headings as they run; write HTML, or keep the outputs in the file."""

import hashlib
import importlib
import re
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it also runs as a file

from multifractal.base.command import Parser, as_command, at_the_shell

at_the_shell(__name__)

import nbclient
import nbformat

_PAGE = "tools.notebook_page"
# Of what is said on the error stream: progress, and that no bar can be drawn for it.
_PROGRESS = re.compile(
    r"^epoch \d+ of \d+: .*\n?|^.*TqdmWarning: IProgress.*\n?(?: +from .*\n?)?", re.MULTILINE
)
# The kernel's own warnings: that it talks to this process on this machine without encryption.
_QUIET = "--IPKernelApp.log_level=ERROR"


def main(argv=None):
    """Run the command line; returns the seconds that the cells took."""
    parser = Parser(description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument(
        "--html", type=Path, help="write the executed notebook there as one self-contained page"
    )
    parser.add_argument(
        "--in_place", action="store_true", help="keep the outputs in the notebook itself"
    )
    options = parser.parse_args(argv)
    notebook = nbformat.read(options.notebook, as_version=4)
    print(f"Executing {options.notebook.resolve()}", flush=True)
    start = time.perf_counter()
    if options.html:  # it takes a second to load, while the kernel starts; notebooks kept in place need no latex2mathml
        threading.Thread(target=importlib.import_module, args=[_PAGE], daemon=True).start()

    def show_heading(cell, cell_index):
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            print(
                f"{time.perf_counter() - start:5.0f} s  {cell.source.splitlines()[0].lstrip('# ')}",
                flush=True,
            )

    nbclient.NotebookClient(
        notebook,
        timeout=None,
        resources={"metadata": {"path": options.notebook.resolve().parent}},
        on_cell_start=show_heading,
        extra_arguments=[_QUIET],
    ).execute()
    seconds = time.perf_counter() - start
    if options.in_place:
        nbformat.write(_signed(_without_progress(_without_timings(notebook))), options.notebook)
    if options.html:
        importlib.import_module(_PAGE).write(notebook, options.html)
    _show_where(options, seconds)
    return seconds


def _without_timings(notebook):
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return notebook


def _without_progress(notebook):
    """Leave out what training says of each epoch; anything else on the error stream stays, and is seen."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":
                output["text"] = _PROGRESS.sub("", output["text"])
        if cell.cell_type == "code":
            cell.outputs = [
                output
                for output in cell.outputs
                if output.get("name") != "stderr" or output["text"].strip()
            ]
    return notebook


def source_hash(cell):
    """Return the hash of a cell's source that is stored beside its outputs: of another source they are stale."""
    return hashlib.sha256(cell.source.encode()).hexdigest()[:16]


def stale_cells(notebook):
    """Return the indices of code cells whose source is not the one that their outputs came from."""
    return [
        index
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.metadata.get("source_sha256") != source_hash(cell)
    ]


def _signed(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata["source_sha256"] = source_hash(cell)
    return notebook


def _show_where(options, seconds):
    folder = options.notebook.resolve().parent / "results" / "figures"
    figures = sorted(folder.glob("*.png"))
    print(f"\nThe cells took {seconds:.0f} s.")
    if figures:
        kinds = ".png, .pdf" if any(folder.glob("*.pdf")) else ".png"
        print(f"{len(figures)} figures ({kinds}) and their numbers (.npz): {folder}")
    for path in [options.html] if options.html else []:
        print(f"Page: {path.resolve()}")


if __name__ == "__main__":
    raise SystemExit(as_command(main, "execute_notebook.py"))
