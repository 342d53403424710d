"""A run under the names that the paper's repository gave its files, beside our own; written on request, read back by any tool.

`model_{epoch}.t7` is {'epoch', 'state_dict'}, `opt_state_{epoch}.t7` {'optimizer'}, as torch saves them, without a checksum;
`loss_landscape_{epoch}_{interp}_{mode}_{shuffle}.npy` the losses of a section, [i, j] at (x[i], y[j]), mode being train or eval.
"""

import io
import re
from pathlib import Path

import numpy as np
import torch

from landscape_viz import checkpoint
from multifractal.base import files
from multifractal.base.checks import require

FOLDER = "trained_nets"


def write_checkpoints(folder, *, overwrite=False):
    """Write `model_{epoch}.t7` and `opt_state_{epoch}.t7` for each `epoch_*.pt` of a folder; return their paths."""
    written = []
    for path in sorted(Path(folder).glob("epoch_*.pt")):
        epoch, stored = int(path.stem.removeprefix("epoch_")), checkpoint.load(path)
        contents = {
            f"model_{epoch}.t7": {"epoch": epoch, "state_dict": stored.state_dict},
            f"opt_state_{epoch}.t7": {"optimizer": stored.training["optimizer"]},
        }
        for name, content in contents.items():
            buffer = io.BytesIO()
            torch.save(content, buffer)
            with files.atomic_write(path.with_name(name), overwrite=overwrite) as file:
                file.write(buffer.getbuffer())
            written.append(path.with_name(name))
    return written


def checkpoints(folder):
    """Return the checkpoints of a run, ours or the published ones, in the order of their epochs; at least two."""
    folder = Path(folder)
    found = list(folder.glob("epoch_*.pt")) or list(folder.glob("model_*.t7"))
    require(
        len(found) > 1,
        "folder",
        f"{folder} with {len(found)} checkpoints",
        "hold epoch_*.pt or model_*.t7, several",
        "train with --save_every 1 for some epochs",
    )
    return sorted(found, key=epoch_of)


def section_path(folder, epoch, *, interpolate="linear", train_mode="n", shuffle="n"):
    """Return the path of a section's losses, by the flags of the published script."""
    mode = "train" if train_mode == "y" else "eval"
    return Path(folder) / f"loss_landscape_{epoch}_{interpolate}_{mode}_{shuffle}.npy"


def write_section(path, section, *, overwrite=False):
    """Write the losses of a section as a bare array, float64."""
    with files.atomic_write(path, overwrite=overwrite) as file:
        np.save(file, section.values["loss"], allow_pickle=False)


def epoch_of(path):
    """Return the epoch that a checkpoint's name tells, ours or the published one; 0 without."""
    found = re.search(r"(?:epoch|model)_(\d+)$", Path(path).stem)
    return int(found[1]) if found else 0
