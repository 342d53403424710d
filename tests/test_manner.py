"""One manner of all commands: how they end, the spelling of their flags, what they do where results are, the times on record."""

import argparse
import ast
import importlib
import json
import re
import sys

import pytest

from multifractal.base.command import Parser
from tests import test_readme
from tests.conftest import ROOT
from tests.test_settings import SCRIPTS, Parsed
from tools import stops, times
from tools.commands import COMMANDS, Command

FOLDERS = (
    "",
    "benchmarks/",
    "campaign/",
    "experiments/**/",
    "tools/",
    "multifractal/**/",
    "landscape_viz/**/",
)
# processes that others start, and one that may not load the package whose copies it tries
CHILDREN = {
    "campaign/trial_sockets.py",
    "multifractal/source_data/_mat.py",
    "campaign/child.py",
    "campaign/computations.py",
    "campaign/loopback.py",
    "benchmarks/bench_demo.py",
}
BY_HAND = {"tools/mutants.py"}
WITH_FLAGS = [
    *SCRIPTS,
    *("tools.execute_notebook", "tools.stops", "tools.tables", "tools.times", "tools.zoo"),
    *("benchmarks.gpu", "benchmarks.peers", "campaign.__main__", "landscape_viz.__main__"),
]


def run_as_programs():
    """Return {path: tree} of every file that does something when it is run."""
    found = {}
    for folder in FOLDERS:
        for path in ROOT.glob(f"{folder}*.py"):
            text = path.read_text()
            if '\nif __name__ == "__main__":' in text:
                found[path.relative_to(ROOT).as_posix()] = ast.parse(text)
    return found


PROGRAMS = run_as_programs()


def test_every_program_ends_by_the_one_handler():
    """Each ends in SystemExit of `as_command`, or of a `command` or `main` of a module that calls it; others are named above."""
    assert len(PROGRAMS) > 30
    for name in PROGRAMS.keys() - CHILDREN - BY_HAND:
        last = ast.unparse(PROGRAMS[name].body[-1])
        ended = re.search(r"raise SystemExit\((as_command|command|main)\(", last)
        assert ended, f"{name}: {last}"
        source = (ROOT / name).read_text()
        for module in re.findall(r"^from ([\w.]+) import .*\bcommand\b", source, re.MULTILINE):
            source += (ROOT / (module.replace(".", "/") + ".py")).read_text()
        assert "as_command(" in source, name
    for name in BY_HAND:
        assert "raise SystemExit(130)" in (ROOT / name).read_text()


def test_programs_are_quiet_when_they_are_stopped_while_they_load():
    """What takes seconds to load comes after `at_the_shell`; packages load it within `as_command`."""
    for name in PROGRAMS.keys() - CHILDREN - BY_HAND:
        if name.startswith(("multifractal/", "landscape_viz/")):
            continue
        ready = False
        for statement in PROGRAMS[name].body:
            ready = ready or ast.unparse(statement) == "at_the_shell(__name__)"
            if isinstance(statement, ast.Import | ast.ImportFrom):
                module = getattr(statement, "module", None) or statement.names[0].name
                light = module.partition(".")[0] in sys.stdlib_module_names
                light = light or module in ("multifractal.base.command", "tools.commands")
                assert light or ready, f"{name} loads {module} first"


@pytest.fixture
def parser_of(monkeypatch):
    """Return a function that gives the parser of a module's `main`, whose work is not done."""

    def parsed(parser, *_, **__):
        raise Parsed(parser)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", parsed)

    def found(module):
        with pytest.raises(Parsed) as caught:
            importlib.import_module(module).main(["section"])
        return caught.value.args[0]

    return found


def with_commands(parser):
    """Yield a parser and those of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


@pytest.mark.parametrize("module", WITH_FLAGS)
def test_flags_have_one_spelling_and_both_are_taken(module, parser_of):
    """Help shows words joined by underscores, and no others; dashes are taken; who resumes can also begin anew."""
    for parser in with_commands(parser_of(module)):
        assert isinstance(parser, Parser)
        flags = [flag for flag in parser._option_string_actions if flag.startswith("--")]
        for flag in flags:
            assert "-" not in flag[2:]
            assert parser._as_declared("--" + flag[2:].replace("_", "-")) == flag
        own = re.findall(r"(?<!\S)--[a-z]+-[a-z-]+", parser.format_help())
        assert not own
        assert ("--resume" in flags) <= ("--overwrite" in flags)


def test_what_a_stopped_command_leaves_is_judged():
    """One line and 130 are well; a traceback, another status, no word, a worker that speaks too are not."""
    well = "section:  12%\nstopped; the same command with --resume resumes where it was\n"
    assert stops.scars(130, well) == ""
    assert "Traceback" in stops.scars(130, "Traceback (most recent call last)\n" + well)
    assert "ended with 0" in stops.scars(0, well)
    assert "0 lines" in stops.scars(130, "")
    assert "2 lines" in stops.scars(130, well + "stopped\n")


WAITING = """
from multifractal.base.command import as_command
from multifractal.base.chunks import workers
def main():
    with workers(2) as pool:
        jobs = [pool.submit(sum, range(10**11)) for _ in range(8)]
        print([job.result() for job in jobs])
if __name__ == "__main__":
    raise SystemExit(as_command(main, "waiting"))
"""


@pytest.mark.parametrize("moment", [0.2, 0.6])
def test_a_command_with_workers_is_stopped_in_one_line(moment, tmp_path):
    """While its workers start, and while they work: neither they nor what waits for them says a word."""
    (tmp_path / "waiting.py").write_text(WAITING)
    sent, status, said = stops.stopped([sys.executable, "waiting.py"], moment, tmp_path)
    assert sent
    assert (status, said) == (130, "\nstopped\n")


def test_the_times_on_record_are_of_commands_of_the_pages():
    """What is timed is a command of the list, and the list names every experiment that a page tells how to run."""
    lines = {command.line for command in COMMANDS}
    assert set(json.loads(times.RECORD.read_text())) <= lines
    listed = {word for line in lines for word in line.split() if word.endswith(".py")}
    named = {
        word
        for line in test_readme.shell_commands()
        for word in line.split()
        if word.startswith("experiments/") and word.endswith(".py")
    }
    assert named <= listed


def test_which_commands_are_timed():
    """Those without a time, those that a word names, and those that are old and short; a time in words is never short."""
    asked = argparse.Namespace(words=[], before="2026-12-01", under=60.0)
    known = {"seconds": 30.0, "date": "2026-11-01"}
    assert times.wanted("make x", None, asked)
    assert times.wanted("make x", known, asked)
    assert not times.wanted("make x", known | {"date": "2026-12-01"}, asked)
    assert not times.wanted("make x", known | {"seconds": 61.0}, asked)
    assert not times.wanted("make x", known | {"seconds": "days"}, asked)
    assert times.wanted("make x", known | {"seconds": "days"}, argparse.Namespace(words=["x"]))
    assert not times.wanted("make x", None, argparse.Namespace(words=["y"]))


def test_a_command_is_timed_by_what_the_system_counts():
    """A loop of 0.2 s of processor time and a sleep count as the loop; a command that fails says so."""
    loop = (
        "import time; [0 for _ in iter(lambda: time.process_time() < 0.25, False)]; time.sleep(0.3)"
    )
    found = times.measured(Command(f'python -c "{loop}"', "", ""))
    assert 0.2 <= found["seconds"] < 0.55
    assert found["clock"] > found["seconds"]
    assert (
        found["gigabytes"] > 0.005
    )  # no less than what this process held when it started the other
    with pytest.raises(times.subprocess.CalledProcessError) as failed:
        times.measured(Command("python -c \"raise SystemExit('no')\"", "", ""))
    assert failed.value.output == "no\n"
