"""Worker processes of scripts and of the writer of figures."""

import os
import signal
import subprocess
import sys
import time

from multifractal.base.chunks import workers

PARENT = """
import os, time
from multifractal.base.chunks import workers
if __name__ == "__main__":
    with workers(2) as executor:
        print(*{executor.submit(os.getpid).result() for _ in range(4)}, flush=True)
        time.sleep(60)
"""


def test_no_workers_is_no_executor():
    """A count of 0 gives None, which means in this process."""
    with workers(0) as executor:
        assert executor is None


def test_workers_end_with_a_killed_parent(tmp_path):
    """When the parent dies by SIGKILL its idle workers end too, instead of waiting for ever."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert pids
    assert all(_alive(pid) for pid in pids)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in pids)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"  # a zombie has ended
    except FileNotFoundError:
        return False
