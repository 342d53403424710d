"""How commands behave at a shell, and what is said where an extra is missing."""

import argparse
import errno
import os
import subprocess
import sys
import tomllib

import pytest

from multifractal.base import extras
from multifractal.base.command import Parser, as_command, can_go_on, refuse_results
from tests.conftest import ROOT

pytestmark = pytest.mark.quick


def test_a_flag_has_two_spellings():
    """Dashes and underscores are one, with = too, in commands within commands; values and what follows -- stay."""
    flags = Parser()
    flags.add_argument("--hess_every", type=int)
    flags.add_argument("--compute-hessian", action="store_true")
    inner = flags.add_subparsers().add_parser("inner")
    inner.add_argument("--half_width")
    inner.add_argument("rest", nargs="*")
    asked = flags.parse_args(
        ["--hess-every=3", "--compute_hessian", "inner", "--half-width", "a-b"]
    )
    assert (asked.hess_every, asked.compute_hessian, asked.half_width) == (3, True, "a-b")
    assert flags.parse_args(["inner", "--", "--half-width"]).rest == ["--half-width"]
    with pytest.raises(SystemExit):
        flags.parse_args(["--hess-never", "3"])


SWALLOWED = """
import os, signal
from multifractal.base.command import as_command, at_the_shell
at_the_shell(__name__)
if {loaded}:
    as_command(lambda: None, "x")
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    pass
print("went on")
"""


@pytest.mark.parametrize(
    ("loaded", "ended"), [(False, (130, "", "\nstopped\n")), (True, (0, "went on\n", ""))]
)
def test_a_library_cannot_swallow_an_interrupt_while_it_loads(loaded, ended, tmp_path):
    """Until `as_command` takes over ^C ends the process whoever catches it; after that it is an exception like others."""
    script = tmp_path / "swallowed.py"
    script.write_text(SWALLOWED.format(loaded=loaded))
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stdout, done.stderr) == ended


COLLECTED = """
import gc, os, signal, time
from multifractal.base.command import as_command
def stop(*_):
    gc.callbacks.clear()
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.001)
def main():
    gc.callbacks.append(stop)
    gc.collect()
    time.sleep(10)
    print("went on")
raise SystemExit(as_command(main, "x"))
"""


def test_an_interrupt_within_a_callback_is_not_lost(tmp_path):
    """Python ignores what a callback of its garbage collection raises, and jax has one: ^C comes again when it is over."""
    script = tmp_path / "collected.py"
    script.write_text(COLLECTED)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nstopped\n")


def test_plain_argparse_takes_one_spelling():
    """What the parser adds is missing without it."""
    flags = argparse.ArgumentParser()
    flags.add_argument("--hess_every")
    with pytest.raises(SystemExit):
        flags.parse_args(["--hess-every", "3"])


@pytest.mark.parametrize(
    ("raised", "status", "words"),
    [
        (None, 0, ""),
        (KeyboardInterrupt(), 130, "the same command with --resume resumes"),
        (ValueError("n must be 1"), 1, "x: error: n must be 1"),
        (OSError(errno.ENOSPC, "full"), 1, "make room"),
        (BrokenPipeError("a worker has gone"), 1, "x: error: a worker has gone"),
        (extras.MissingExtraError("pip install"), 1, "x: error: pip install"),
    ],
)
def test_what_a_command_leaves(raised, status, words, capsys):
    """The exit status, and a line on stderr; no traceback."""

    def main():
        if raised:
            raise raised

    assert as_command(main, "x", again="the same command with --resume") == status
    assert words in capsys.readouterr().err


def test_a_reader_that_has_gone_is_no_error():
    """As in `... | head`: nothing on stderr, and the status that shells give for it."""
    words = "from multifractal.base.command import as_command as run; raise SystemExit(run(lambda: print('x'), 'x'))"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", words], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_fault_of_ours_is_not_hidden():
    """What the user cannot mend keeps its traceback."""
    with pytest.raises(ModuleNotFoundError):
        as_command(lambda: __import__("no_such_module_of_ours"), "x")


def test_a_missing_extra_names_the_pip_line(monkeypatch):
    """By `needed` and through a package's names; a module that belongs to no extra is left as it is."""
    monkeypatch.setitem(extras.EXTRAS, "no_such_package", "interactive")
    line = r"pip install 'multifractal-landscapes\[interactive\]'"
    with pytest.raises(extras.MissingExtraError, match=line):
        extras.needed("no_such_package.graph")
    get = extras.explained(lambda name: __import__(name))
    with pytest.raises(extras.MissingExtraError, match=line):
        get("no_such_package")
    with pytest.raises(ModuleNotFoundError) as raised:
        get("no_such_module_of_ours")
    assert not isinstance(raised.value, extras.MissingExtraError)


def test_extras_are_those_that_are_declared():
    """Each extra that a message names brings the package that is missing, by itself or by an extra within it."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    named = {"sklearn": "scikit-learn"}
    for package, extra in extras.EXTRAS.items():
        assert any(line.startswith(named.get(package, package)) for line in declared[extra]), (
            package
        )


def test_a_folder_with_results_is_refused_unless_asked(tmp_path):
    """What would be gone on with or written over is named, with the flags that the command has; what does not exist counts not."""
    flags = Parser()
    can_go_on(flags)
    (tmp_path / "a.npz").touch()
    refuse_results("--out", tmp_path, ["b.npz"], flags.parse_args([]))
    words = (
        "--out must hold no results yet, got .* with a.npz; pass --resume to go on, --overwrite to"
    )
    with pytest.raises(FileExistsError, match=words):
        refuse_results("--out", tmp_path, ["a.npz", "b.npz"], flags.parse_args([]))
    for flag in ("--resume", "--overwrite"):
        refuse_results("--out", tmp_path, ["a.npz"], flags.parse_args([flag]))
    with pytest.raises(FileExistsError, match=r"a\.npz; pass --overwrite to replace them"):
        refuse_results("--out", tmp_path, ["a.npz"], argparse.Namespace(overwrite=False))
    with pytest.raises(SystemExit):
        flags.parse_args(["--resume", "--overwrite"])


def test_what_starts_over_promises_nothing(capsys):
    """Without words on how it is resumed, ^C says that it stopped and no more."""

    def main():
        raise KeyboardInterrupt

    assert as_command(main, "x") == 130
    assert capsys.readouterr().err == "\nstopped\n"
