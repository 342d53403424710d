"""Where a monitor's values go during the run: CSV, JSON lines, TensorBoard; each is called as log(step, values)."""

import csv
import json
import math

from multifractal.base import files
from multifractal.base.checks import path as checked_path


def csv_log(path, *, overwrite=False):
    """Return a log that adds a row to a CSV file at each measurement; the first row names the columns."""
    path = checked_path("path", path)
    files.refuse_existing(path, overwrite)
    path.write_text("")

    def log(step, values):
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if file.tell() == 0:
                writer.writerow(["step", *values])
            writer.writerow([step, *(repr(value) for value in values.values())])

    return log


def json_log(path, *, overwrite=False):
    """Return a log that adds a line of JSON to a file at each measurement; what was not measured is null."""
    path = checked_path("path", path)
    files.refuse_existing(path, overwrite)
    path.write_text("")

    def log(step, values):
        known = {k: v if math.isfinite(v) else None for k, v in values.items()}
        with path.open("a") as file:
            file.write(json.dumps({"step": step} | known) + "\n")

    return log


def tensorboard_log(writer, prefix="edge/"):
    """Return a log into a `torch.utils.tensorboard.SummaryWriter`, or anything with its `add_scalar`."""

    def log(step, values):
        for name, value in values.items():
            if math.isfinite(value):
                writer.add_scalar(prefix + name, value, step)

    return log
