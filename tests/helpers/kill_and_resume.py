"""Train in forked children that are killed at random moments, and resume until the run is done.

Run apart from pytest (`python -m tests.helpers.kill_and_resume FOLDER KILLS SEED`): forking is safe only
while jax has no threads.
FOLDER/whole is a run never stopped, FOLDER/killed the one that was.
"""

import contextlib
import os
import random
import signal
import sys
import time
from pathlib import Path

import jax

import multifractal.training.full_batch  # noqa: F401  imported before forking, so that no child has to
from multifractal import Training, load_table, train_full_batch

EPOCHS, CHUNK = 2400, 40
TRAINING = Training(
    learning_rate=0.1, dropout=0.5, epochs=EPOCHS, hess_every=20, hess_term=60, every=3, n_train=400
)
BYTES_AT_THE_END = EPOCHS // 3 * 193 * 4


def train(table, folder):
    """Start or continue the run in this process, silently."""
    with (
        open(os.devnull, "w") as nothing,
        contextlib.redirect_stdout(nothing),
        contextlib.redirect_stderr(nothing),
    ):
        train_full_batch(table, TRAINING, folder, chunk=CHUNK, resume=True)


def whole(table, folder):
    """Train to the end in a child."""
    child = os.fork()
    if child == 0:
        train(table, folder)
        os._exit(0)
    os.waitpid(child, 0)


def killed(table, folder, grown_to, pause):
    """Train in a child, kill it `pause` seconds after the trajectory has `grown_to` bytes; return the bytes it then has."""
    child = os.fork()
    if child == 0:
        train(table, folder)
        time.sleep(60)  # if it was quicker than its killer, it waits
        os._exit(1)
    trajectory = Path(folder, "trajectory.npy")
    while (trajectory.stat().st_size if trajectory.exists() else 0) < grown_to:
        time.sleep(0.0005)
    time.sleep(pause)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    return trajectory.stat().st_size if trajectory.exists() else 0


def main(folder, kills, seed):
    """Make a whole run, then one killed `kills` times, each time later than the last; print how far each had come (0-1)."""
    # saves a second a child
    jax.config.update("jax_compilation_cache_dir", str(Path(folder, "compiled")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    draw, table = random.Random(int(seed)), load_table("diabetes")
    whole(table, Path(folder, "whole"))
    # below 0: before the first row
    for moment in sorted(draw.uniform(-0.02, 0.95) for _ in range(int(kills))):
        size = killed(
            table, Path(folder, "killed"), moment * BYTES_AT_THE_END, draw.uniform(0, 0.02)
        )
        print(size / BYTES_AT_THE_END)
    whole(table, Path(folder, "killed"))


if __name__ == "__main__":
    main(*sys.argv[1:])
