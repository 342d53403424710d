"""Run notebooks by one process that has loaded torch once: each in a fork of it, as IPython runs cells, in its own folder.

`python -m tests.helpers.forked_notebooks NOTEBOOK FOLDER ...`; what each prints is left in FOLDER/printed.txt. A kernel for each
costs twice as much, and is what the slow tests start.
"""

import contextlib
import os
import sys
import traceback
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import nbformat
import sklearn.manifold  # noqa: F401
import torch
from IPython.core.interactiveshell import InteractiveShell

import landscape_viz.analyzer
import landscape_viz.figures
import landscape_viz.studies.comparison  # noqa: F401


def run(path, folder):
    """Run the code cells of a notebook in `folder`; each figure that a cell leaves is drawn, as a kernel would show it."""
    os.chdir(folder)
    shell = InteractiveShell.instance()
    with open("printed.txt", "w") as printed, contextlib.redirect_stdout(printed):
        for cell in nbformat.read(path, 4).cells:
            if cell.cell_type == "code":
                shell.run_cell(cell.source).raise_error()
                for number in plt.get_fignums():
                    plt.figure(number).canvas.draw()
                plt.close("all")


def forked(path, folder):
    """Return whether a fork of this process ran the notebook to its end."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    try:
        run(path, folder)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    torch.set_num_threads(1)
    words = [Path(word).resolve() for word in sys.argv[1:]]
    ended = [forked(*pair) for pair in zip(words[::2], words[1::2], strict=True)]
    sys.exit(not all(ended))
