"""A process of the campaign: `python -m campaign.child KIND INDEX ...` does these trials and prints a line for each."""

import json
import os
import sys
import tempfile
import traceback
from pathlib import Path

from campaign import harness


def main(name, *indices):
    """Do the trials `indices` of the kind `name`, each in an empty folder."""
    kind = next(kind for kind in harness.kinds() if kind.name == name)
    report = os.fdopen(os.dup(1), "w")  # what the trials print goes nowhere
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    print("READY", file=report, flush=True)
    for index in map(int, indices):
        with tempfile.TemporaryDirectory(prefix="campaign-") as folder:
            try:
                outcome, detail = kind.run(index, Path(folder))
            except Exception:
                outcome, detail = "trial broke", traceback.format_exc()[-1000:]
        print("TRIAL", json.dumps([index, outcome, detail]), file=report, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
