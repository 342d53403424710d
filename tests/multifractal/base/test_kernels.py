"""Compiled kernels: kept between processes, never older than their sources, and usable where nothing can be written."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from multifractal.base.kernels import fingerprint
from multifractal.landscapes import landscape
from multifractal.walkers import optimizers, walking

ROOT = Path(__file__).resolve().parents[3]
PLAIN = "from numba import njit\nkernel = njit(nogil=True, cache=True)\n"
OURS = "from multifractal.base.kernels import kernel\n"
CALLER = (
    "from folded.callee import OFFSET, add\n@kernel\ndef total(x):\n    return add(x) + OFFSET\n"
)
# what a slice may be set to within kernels
NUMBERS = r"-?[\d.]+|np\.nan|\(?(_[A-Z]+(, )?)+\)?"
CALLEE = "OFFSET = {}\n@kernel\ndef add(x):\n    return x + {}\n"


def python(code, **environment):
    """Run code in a fresh process; return what it printed and what it complained of."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",  # bytecode goes by whole seconds and sizes, which edits in a test keep
            **environment,
        },
    )
    return done.stdout.strip(), done.stderr


def package(folder, decorator, offset, step):
    """Write a package whose kernel calls a kernel, and names a constant, of another file."""
    (folder / "folded").mkdir(exist_ok=True)
    (folder / "folded" / "__init__.py").touch()
    if not (folder / "folded" / "caller.py").exists():
        (folder / "folded" / "caller.py").write_text(decorator + CALLER)
    (folder / "folded" / "callee.py").write_text(decorator + CALLEE.format(offset, step))


@pytest.mark.parametrize(
    ("decorator", "callee", "constant"), [(PLAIN, "101", "101"), (OURS, "102", "203")]
)
def test_an_edit_in_another_file_reaches_the_kernel(tmp_path, decorator, callee, constant):
    """A fresh process sees an edited callee and an edited constant; with numba's own cache it sees neither."""
    run = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from folded.caller import total; print(total(0))"
    package(tmp_path, decorator, 100, 1)
    assert python(run)[0] == "101"
    package(tmp_path, decorator, 100, 2)
    assert python(run)[0] == callee
    package(tmp_path, decorator, 201, 2)
    assert python(run)[0] == constant


def test_code_is_kept_between_processes(tmp_path):
    """A second process loads what the first compiled."""
    package(tmp_path, OURS, 100, 1)
    run = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from folded.caller import total; total(0); "
        "print(sum(total.stats.cache_hits.values()))"
    )
    assert [python(run)[0], python(run)[0]] == ["0", "1"]


def test_the_fingerprint_follows_calls_and_constants(monkeypatch):
    """A walk's kernel depends on the constants of its own and of the modules whose kernels it calls, and on no others."""
    before = fingerprint(walking._lockstep.py_func)
    assert fingerprint(walking._lockstep.py_func) == before
    monkeypatch.setattr(optimizers, "ADAM", 7)  # named by `direction`, which `_lockstep` calls
    assert fingerprint(walking._lockstep.py_func) != before
    assert fingerprint(landscape._gradient_rows.py_func) == fingerprint(
        landscape._gradient_rows.py_func
    )


def test_a_place_that_cannot_be_written_costs_one_warning(tmp_path):
    """Without a folder for compiled code, kernels work, and one warning says so."""
    code = (
        "from numba.core import caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "import numpy as np, multifractal as mf\n"
        "print(mf.Landscape(np.arange(16.).reshape(4, 4)).gradient_at((1, 1)))"
    )
    printed, complaints = python(code)
    assert printed == "[1. 4.]"
    assert complaints.count("RuntimeWarning: compiled kernels cannot be kept") == 1


def test_a_folder_that_is_taken_away_costs_one_warning(tmp_path):
    """A cache folder that can be made but not written later (a full disk) does not stop the kernel."""
    code = (
        "import shutil, numpy as np, multifractal as mf\n"
        "from numba.core import caching\n"
        "def full(*_): raise OSError(28, 'No space left on device')\n"
        "caching.IndexDataCacheFile.save = full\n"
        "print(mf.Landscape(np.arange(16.).reshape(4, 4)).gradient_at((1, 1)))"
    )
    printed, complaints = python(code, NUMBA_CACHE_DIR=str(tmp_path))
    assert printed == "[1. 4.]"
    assert complaints.count("RuntimeWarning: compiled kernels cannot be kept") == 1


def test_every_kernel_has_the_one_decorator():
    """No module compiles by another way; numba itself is imported by `base.kernels` and for C callbacks, `base.products` extends it."""
    for path in sorted((ROOT / "multifractal").rglob("*.py")):
        if path.name == "kernels.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "numba":
                assert [name.name for name in node.names] == ["cfunc"], path
            elif isinstance(node, ast.Import):
                assert "numba" not in [name.name for name in node.names], path


def slices_that_take_arrays(source):
    """Return the lines within kernels where a slice is assigned anything but one number, or updated in place."""
    kernels = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(one).startswith("kernel") for one in node.decorator_list)
    ]
    found = []
    for line in (each for one in kernels for each in ast.walk(one)):
        targets = getattr(line, "targets", [getattr(line, "target", None)])
        sliced = [
            one
            for target in targets
            for one in ast.walk(target or ast.Pass())
            if isinstance(one, ast.Subscript) and isinstance(one.ctx, ast.Store)
            if any(isinstance(part, ast.Slice) for part in ast.walk(one.slice))
        ]
        one_number = isinstance(line, ast.Assign) and re.fullmatch(NUMBERS, ast.unparse(line.value))
        if sliced and not one_number:
            found.append(ast.unparse(line))
    return found


def test_no_kernel_assigns_an_array_to_a_slice():
    """Numba would compile the words of an error about shapes into each such kernel: 2.3 of 3.7 s that one took to compile."""
    written = (
        "@kernel\ndef f(x, y):\n    x[1::2] *= -1\n    x[:] = y\n    x[:2] = 0.0\n    x[0] = y[1]\n"
    )
    assert slices_that_take_arrays(written) == ["x[1::2] *= -1", "x[:] = y"]
    for path in sorted((ROOT / "multifractal").rglob("*.py")):
        assert slices_that_take_arrays(path.read_text()) == [], path


def test_an_unknown_rule_is_refused():
    """A rule code that the kernel does not know raises; it does not take Adam's step."""
    with pytest.raises(ValueError, match="unknown code"):
        optimizers.direction(9, np.zeros(3), 1.0, 0.0, 0.0, np.ones(2))
