"""Map a section in forked children that kill themselves at given evaluations, and resume until it is done.

Run apart from pytest (`python -m tests.helpers.kill_sections FOLDER KILL_AT ...`): forking is safe only before torch
has started threads. FOLDER/count gets one byte an evaluation, FOLDER/section.npz the finished section.
"""

import os
import signal
import sys

import numpy as np
import torch

from landscape_viz import Problem, directions, section
from tests.helpers.small_networks import Point, counted

AXES = ["-1:1:20", "-2:2:15"]


def mapped(folder):
    """Start or continue the section."""
    problem = Problem(Point, None, counted, (torch.zeros(1), torch.zeros(1)))
    return section(
        problem,
        directions.from_vectors(problem, np.eye(2)),
        AXES,
        metrics=("loss",),
        resume=True,
        path=f"{folder}/store",
        progress=False,
    )


def main(folder, *kills):
    """Kill at each of `kills` evaluations counted from the first, then finish."""
    os.environ["COUNT_FILE"] = f"{folder}/count"
    for kill_at in kills:
        os.environ["KILL_AT"] = kill_at
        child = os.fork()
        if child == 0:
            mapped(folder)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    del os.environ["KILL_AT"]
    mapped(folder).save(f"{folder}/section.npz")


if __name__ == "__main__":
    main(*sys.argv[1:])
