"""Execute a notebook from top to bottom, showing its headings as they run; write HTML, or keep the outputs in the file."""

import argparse
import hashlib
import re
import time
from pathlib import Path

import nbclient
import nbformat
from nbconvert import HTMLExporter

_PROGRESS = re.compile(r"^epoch \d+ of \d+: .*\n?", re.MULTILINE)


def main(argv=None):
    """Run the command line; returns the seconds that the cells took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument(
        "--html", type=Path, help="write the executed notebook there as one self-contained page"
    )
    parser.add_argument(
        "--in-place", action="store_true", help="keep the outputs in the notebook itself"
    )
    options = parser.parse_args(argv)
    notebook = nbformat.read(options.notebook, as_version=4)
    print(f"Executing {options.notebook.resolve()}", flush=True)
    start = time.perf_counter()

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
    ).execute()
    seconds = time.perf_counter() - start
    if options.in_place:
        nbformat.write(_signed(_without_progress(_without_timings(notebook))), options.notebook)
    if options.html:
        _write_html(notebook, options.html)
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


def _write_html(notebook, path):
    # Nothing is fetched when the page is opened: the notebook uses neither LaTeX nor widgets.
    exporter = HTMLExporter(
        mathjax_url="",
        require_js_url="",
        jquery_url="",
        jupyter_widgets_base_url="",
        mermaid_js_url="",
    )
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": path.stem}})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _show_where(options, seconds):
    figures = sorted((options.notebook.resolve().parent / "results" / "figures").glob("*.png"))
    print(f"\nThe cells took {seconds:.0f} s.")
    if figures:
        print(f"{len(figures)} figures (.png, .pdf) and their numbers (.npz): {figures[0].parent}")
    for path in [options.html] if options.html else []:
        print(f"Page: {path.resolve()}")


if __name__ == "__main__":
    main()
