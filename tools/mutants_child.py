"""Forks that run tests: of a process that has loaded what is large, with the compiled kernels of all trees in one place.

`tools/mutants.py` makes one for each run of tests. A fork starts in two seconds where a new process needs ten, and what a
slip leaves alone is not compiled again.
"""

import contextlib
import gc
import hashlib
import importlib
import os
import re
import resource
import signal
import sys
import time
import types
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What tests import that is not ours: loaded once, and shared by the forks that run them.
_LARGE = """
numpy numba numba.core.caching numba.np.arrayobj scipy.stats scipy.optimize scipy.ndimage scipy.signal scipy.spatial scipy.special
scipy.fft scipy.sparse.linalg scipy.io scipy.integrate scipy.interpolate matplotlib.pyplot matplotlib.backends.backend_agg
torch torch.func torch._dynamo torchvision jax jax.numpy pandas sklearn.decomposition sklearn.manifold sklearn.neighbors
statsmodels.api mpmath gudhi pywt plotly.graph_objects curvlinops dask.array tqdm nbformat pytest hypothesis
_hypothesis_pytestplugin _pytest.doctest _pytest.junitxml _pytest.logging platformdirs doctest pdb
"""


def in_child(work, said, limit):
    """Do work in a fork of this process, which has the large libraries; return its exit code, None after the limit."""
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(out, 1)
            os.dup2(out, 2)
            code = int(work())
        except BaseException as error:
            print("ERROR", repr(error), flush=True)
            code = 70
        finally:
            sys.stdout.flush()
            os._exit(code)
    end, done, status = time.monotonic() + limit, 0, 0
    while not done and time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0 if done else 0.1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what it started must not live on either
    if not done:
        os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if done else None


def run_tests(tree, command, seconds, environment, slip):
    """Run pytest in this process, in a tree; the processes that it starts have as much processor time each."""
    import pytest

    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 30))
    os.environ.update({"PYTHONPATH": str(tree)} | environment)
    os.environ.setdefault("MULTIFRACTAL_SHARED", str(ROOT.parent / "shared"))
    os.chdir(tree)
    sys.path[0] = str(tree)
    sys.argv = ["pytest", *command]
    if slip is not None and slip.path != "multifractal/base/kernels.py":
        _keep_kernels(slip)
    return pytest.main(command)


def load_libraries(folder):
    """Import what is large and not ours once, for all the processes that run tests."""
    os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_CACHE_DIR": str(folder / "numba")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _LARGE.split():
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    _share_machine_code(str(folder / "tree"))
    gc.freeze()  # the forks' collections then leave these pages shared


def _keep_kernels(slip):
    """Let the kernels that do not call the slip's function keep their machine code; the others are not kept at all."""
    from multifractal.base import kernels

    hashed = kernels._source_hash
    untouched = hashlib.sha256((ROOT / slip.path).read_bytes()).digest()
    kernels._source_hash = lambda path: untouched if path.endswith(slip.path) else hashed(path)
    for name in ("load_overload", "save_overload"):
        kept = getattr(kernels._LateCache, name)

        def unless_touched(cache, *arguments, kept=kept):
            return None if _calls(cache._function, slip) else kept(cache, *arguments)

        setattr(kernels._LateCache, name, unless_touched)


def _calls(function, slip, seen=None):
    """Tell whether a kernel's Python function is the slip's, or calls it through kernels of any depth."""
    from multifractal.base.kernels import _names

    function = getattr(function, "py_func", function)
    seen = set() if seen is None else seen
    if not isinstance(function, types.FunctionType) or function in seen:
        return False
    seen.add(function)
    code = function.__code__
    if code.co_filename.endswith(slip.path) and code.co_qualname.startswith(slip.scope):
        return True
    used = [function.__globals__.get(name) for name in _names(code)]
    used += [cell.cell_contents for cell in function.__closure__ or ()]
    return any(_calls(value, slip, seen) for value in used)


def _share_machine_code(trees):
    """Let numba keep the kernels of all trees in one place: they are the same until a slip is made."""
    from numba.core.caching import _CacheLocator

    place = _CacheLocator.get_suitable_cache_subpath.__func__
    _CacheLocator.get_suitable_cache_subpath = classmethod(
        lambda cls, path: place(cls, re.sub(f"^{re.escape(trees)}[0-9]+", str(ROOT), path))
    )
