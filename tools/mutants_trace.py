"""A pytest plugin that writes which functions of this tree each test calls, in subprocesses too; `tools/mutants.py` uses it.

The cases of a parametrised test count as one.

``MUTANTS_TRACE`` names the folder to write to. The functions are seen by a trace of calls, so compiled ones are not.
"""

import atexit
import json
import os
import sys
import threading
import time
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[1]) + os.sep
_calls, _tests = set(), {}


def _processor_time():
    """Return the seconds that this process and those it has waited for have used."""
    return sum(os.times()[:4])


def _trace(frame, event, argument):
    _calls.add(frame.f_code)


def start():
    """Trace the calls of this process, whatever the thread."""
    threading.settrace(_trace)
    sys.settrace(_trace)


def start_in_subprocess():
    """Trace this process to its end, and write what it called under the test that started it."""
    test = os.environ["PYTEST_CURRENT_TEST"].split("[")[0].split(" ")[0]
    start()
    atexit.register(lambda: _write({test: {"calls": _names(), "seconds": 0.0, "passed": True}}))


def _names():
    """Return "path::function" of the calls so far that were of this tree's own code, and forget them."""
    codes = [code for code in list(_calls) if code.co_filename.startswith(ROOT)]
    _calls.clear()
    return sorted(
        {f"{code.co_filename[len(ROOT) :]}::{_plain(code.co_qualname)}" for code in codes}
    )


def _plain(qualname):
    """Return the name of the function at the module's or a class's top that the code belongs to."""
    return qualname.split(".<locals>")[0].split(".<")[0] if qualname[0] != "<" else "<module>"


def _write(tests):
    folder = Path(os.environ["MUTANTS_TRACE"])
    (folder / f"{os.getpid()}-{time.time_ns()}.json").write_text(json.dumps(tests))


def pytest_sessionstart(session):
    """Begin."""
    start()


def pytest_runtest_logstart(nodeid, location):
    """Charge what follows to this test."""
    _names()
    test = _tests.setdefault(nodeid.split("[")[0], {"calls": [], "seconds": 0.0, "passed": True})
    test["began"] = _processor_time()
    sys.settrace(_trace)


def pytest_runtest_logreport(report):
    """Note a test that fails as it is."""
    if report.failed:
        _tests[report.nodeid.split("[")[0]]["passed"] = False


def pytest_runtest_logfinish(nodeid, location):
    """Keep what the test called, its fixtures included."""
    test = _tests[nodeid.split("[")[0]]
    test["seconds"] += _processor_time() - test.pop("began")
    test["calls"] = sorted({*test["calls"], *_names()})


def pytest_sessionfinish(session, exitstatus):
    """Write all."""
    _write({name: test for name, test in _tests.items() if "began" not in test})
