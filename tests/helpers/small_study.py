"""The study of real sections with two small ones: `python -m tests.helpers.small_study FOLDER` (to be killed)."""

import sys
from pathlib import Path

from landscape_viz.studies.experiment import Experiment
from landscape_viz.studies.section_study import Wanted, study

PLAN = {"still": Wanted(images=4, epoch=1), "live": Wanted(images=4, epoch=1, dropout="live")}


def run(folder, plan=None):
    """Start or continue the study and return it."""
    return study(
        Experiment(folder, {"small": True}),
        plan=plan or PLAN,
        pairs=[["still", "live"]],
        kept=["live"],
        n_points=113,
        n_surfaces=2,
    )


if __name__ == "__main__":
    run(sys.argv[1]).save(Path(sys.argv[1], "study.npz"))
