"""What the three scripts share: their flags, and the folder that they write to."""

import argparse
import json
import platform
from pathlib import Path

import numpy as np

from multifractal import figures
from multifractal.base import files
from multifractal.base.command import Parser, refuse_results


def parser(doc, name):
    """Return the parser with --seed, --outdir (or --out) and --overwrite; results/spurious_valleys/NAME by default."""
    flags = Parser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument(
        "--seed", type=int, default=0, help="of everything drawn (default: %(default)s)"
    )
    flags.add_argument(
        "--outdir",
        "--out",
        dest="out",
        metavar="FOLDER",
        default=f"results/spurious_valleys/{name}",
        help="(default: %(default)s)",
    )
    flags.add_argument(
        "--overwrite", action="store_true", help="replace the files of an earlier run"
    )
    return flags


class Folder:
    """Where one run writes: refused from the start when an earlier run is there and may not be replaced."""

    def __init__(self, path, overwrite, numbers="numbers.json"):
        self.path = Path(path).resolve()
        self._numbers = self.path / numbers
        refuse_results("--outdir", self.path, [numbers], argparse.Namespace(overwrite=overwrite))
        print(f"writes to {self.path}")

    def figure(self, axes, name, **arrays):
        """Write a figure as PNG and PDF, and the arrays behind it as .npz."""
        figures.save_figure(axes, self.path, name, **arrays)

    def finish(self, **numbers):
        """Write the numbers, last of all, as JSON."""
        numbers = {
            **numbers,
            "versions": {"python": platform.python_version(), "numpy": np.__version__},
        }
        with files.atomic_write(self._numbers, overwrite=True) as file:
            file.write((json.dumps(numbers, indent=1, default=_plain) + "\n").encode())
        print(f"wrote {self._numbers}")


def _plain(value):
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON; convert it first")
