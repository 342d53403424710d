"""Try slips of a careless refactoring on the test suite: `make mutants`, or ``python tools/mutants.py --help``.

A slip is made in a copy of the tree, and the tests that reach it are run: first those that call the function (or refer to it,
when it is compiled), the quickest first, then the other tests of their files. It is killed when one fails, or when they use
ten times the processor time that they were measured at (and a minute). A loaded machine kills nothing: what outruns the limit
of the clock, which is for what hangs, is counted with them as killed by time. With `--near` only the test file that mirrors
the slip's own and the few that name its function are mapped and run, the areas in the order of `PRIORITY`.
Everything is kept in the folder, so a run that was stopped goes on. The table of docs/reliability.md is written from all
results so far; `tools/mutants_explained.json` says, by key, why a survivor is one.
"""

import argparse
import ast
import collections
import concurrent.futures
import contextlib
import gzip
import hashlib
import importlib
import json
import os
import queue
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import mutation

ROOT = Path(__file__).resolve().parents[1]
PAGE, EXPLAINED = ROOT / "docs/reliability.md", ROOT / "tools/mutants_explained.json"
MARKS = "<!-- mutants: written by tools/mutants.py -->", "<!-- mutants end -->"
KILLED, LATE, SURVIVED = "killed", "killed by time", "survived"
PRIORITY = {"model": 1, "networks": 1, "scripts": 2, "figures": 3}  # the others first
# Tests that are dear, and where a slip in a formula should not be noticed first.
_DEAR = re.compile(
    "notebook|demo|site|zoo|ll_visual|experiments|campaign|packaging|benchmarks|docs|api_ref|mutants|no_network"
)
_LEFT_OUT = {".git", ".mutants", ".venv", "__pycache__", "results", "node_modules"}
_GOAL = {"kernels": 95, "statistics": 95, "rules": 95, "files": 95}  # per cent; 85 elsewhere


def main(arguments=None):
    """Map the tests, try what is left to try within the minutes given, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--count", type=int, default=320, help="of slips; the first ones stay the same"
    )
    parser.add_argument("--area", choices=["kernels", *mutation.AREAS], help="only this area")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="start no new slip after"
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="trees, each with one process at a time"
    )
    parser.add_argument("--limit", type=float, default=7200, help="seconds for one slip that hangs")
    parser.add_argument("--folder", type=Path, default=ROOT / ".mutants")
    parser.add_argument("--again", action="store_true", help="try the survivors again")
    parser.add_argument(
        "--tests", nargs="*", default=["tests"], help="only these, and slips they reach"
    )
    parser.add_argument(
        "--near", type=int, nargs="?", const=4, default=0, help="so many test files for each slip"
    )
    asked = parser.parse_args(arguments)
    run = Run(asked.folder, asked.workers, asked.limit, time.monotonic() + 60 * asked.minutes)
    run.map_tests([] if asked.near else asked.tests)
    mutants = mutation.chosen(ROOT, asked.count)
    mine = [m for m in mutants if asked.area in (None, m.area)]
    if asked.tests != ["tests"]:
        mine = [m for m in mine if run.reached[f"{m.path}::{m.scope}"]]
    run.try_all(_in_turn(mine), asked.again, asked.near)
    write_table(run.results, mutants)


def _in_turn(mutants):
    """Return the slips by priority, one of each area at a time, so that a part of a run says something of each."""
    count = collections.Counter()
    order = {}
    for m in mutants:
        order[m.key] = (PRIORITY.get(m.area, 0), count[m.area])
        count[m.area] += 1
    return sorted(mutants, key=lambda m: order[m.key])


class Run:
    """The trees, the map of the tests and the results of one folder."""

    def __init__(self, folder, workers, limit, end):
        self.folder, self.limit, self.end = folder.resolve(), limit, end
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / ".gitignore").write_text("*\n")
        _load_libraries(self.folder)
        self.trees = queue.SimpleQueue()
        for number in range(workers):
            self.trees.put(_copy(self.folder / f"tree{number}"))
        self.pool = concurrent.futures.ThreadPoolExecutor(workers)
        self.map_path, self.lock, self.saved = self.folder / "map.json.gz", threading.Lock(), 0.0
        self.map = (
            json.loads(gzip.decompress(self.map_path.read_bytes()))
            if self.map_path.exists()
            else {}
        )
        kept = self.folder / "results.jsonl"
        lines = kept.read_text().splitlines() if kept.exists() else []
        self.results = {r["key"]: r for r in map(json.loads, lines)}

    def map_tests(self, tests):
        """Run every test file once that is new or was changed, with its calls traced."""
        found = [path for name in tests for path in sorted((ROOT / name).rglob("test_*.py"))]
        found += [ROOT / name for name in tests if name.endswith(".py")]
        self.tests, self.reached = {}, collections.defaultdict(set)
        self.references, self.words = _references(), {}
        self._map(sorted(found, key=lambda path: -path.stat().st_size))  # the long ones first

    def _map(self, files):
        digests = {path.relative_to(ROOT).as_posix(): _digest(path) for path in files}
        new = [name for name, digest in digests.items() if digest not in self.map]
        outcomes = self.pool.map(lambda name: self._map_file(name, digests[name]), new)
        _report(outcomes, len(new), "test files mapped")
        self._save_map(0)
        for digest in digests.values():
            tests = self.map.get(digest, {})
            self.tests |= tests
            for test, entry in tests.items():
                for call in entry["calls"] if entry["passed"] else ():
                    self.reached[call].add(test)

    def try_all(self, mutants, again, near=0):
        """Try the slips that have no result yet, and the survivors once more if asked; on `near` test files only, if given."""
        done = {key for key, r in self.results.items() if not (again and r["outcome"] == SURVIVED)}
        left = [m for m in mutants if m.key not in done]
        if not near:
            _report(self.pool.map(self._try, left), len(left), "slips tried")
        for number, mutant in enumerate(left if near else (), 1):
            for files in (1, near):  # the nearest kills most of them
                self._map(self._near(mutant)[:files])
                if said := self._try(mutant):  # nothing after the end
                    print(f"{number} of {len(left)} slips: {said}", flush=True)
                if self.results.get(mutant.key, {}).get("outcome") != SURVIVED:
                    break

    def _near(self, mutant):
        """Return the test file that mirrors the slip's own, and the others that name its function or its callers most."""
        if not self.words:
            paths = [
                p for p in sorted((ROOT / "tests").rglob("test_*.py")) if not _DEAR.search(p.name)
            ]
            self.words = {p: collections.Counter(re.findall(r"\w+", p.read_text())) for p in paths}
        asked = _assigned(mutant) if mutant.scope == "<module>" else mutant.scope.split(".")
        names = {name for name in asked if len(name) > 3 and name[0] != "_"}
        waiting = [asked[-1]] if asked and not names else []
        while waiting and len(names) < 8:
            for caller in sorted(self.references[waiting.pop(0)]):
                word = caller.split("::")[1].split(".")[-1]
                if word not in names:
                    waiting += [word]
                    names.add(word)
        own = (
            ROOT
            / "tests"
            / Path(mutant.path).parent
            / f"test_{Path(mutant.path).stem.strip('_')}.py"
        )
        rank = {p: (p != own, -sum(words[n] for n in names)) for p, words in self.words.items()}
        named = [p for p in self.words if p == own or rank[p][1] < 0]
        return sorted(named, key=lambda p: rank[p])

    def _map_file(self, name, digest):
        if time.monotonic() > self.end:
            return ""
        tree, traces = self.trees.get(), self.folder / f"trace-{digest}"
        traces.mkdir(exist_ok=True)
        try:
            plugin = ["-p", "tools.mutants_trace"]
            self._pytest(tree, [name], 1800, plugin, MUTANTS_TRACE=str(traces))
            merged = {}
            for path in traces.glob("*.json"):
                for test, entry in json.loads(path.read_text()).items():
                    there = merged.setdefault(test, {"calls": [], "seconds": 0.0, "passed": True})
                    there["calls"] = sorted({*there["calls"], *entry["calls"]})
                    there["seconds"] += entry["seconds"]
                    there["passed"] &= entry["passed"]
            self.map[digest] = merged
            self._save_map(20)
        finally:
            shutil.rmtree(traces)
            self.trees.put(tree)
        return name

    def _save_map(self, seconds):
        """Write the map, unless it was written less than so many seconds ago."""
        with self.lock:
            if time.monotonic() - self.saved >= seconds:
                part = self.map_path.with_suffix(".part")
                part.write_bytes(gzip.compress(json.dumps(dict(self.map)).encode(), 3))
                os.replace(part, self.map_path)
                self.saved = time.monotonic()

    def _try(self, mutant):
        if time.monotonic() > self.end:
            return ""
        direct = self.reaching(mutant)
        files = sorted({test.split("::")[0] for test in direct}, key=lambda f: self._cost(f))
        tree = self.trees.get()
        path, began, outcome, by = tree / mutant.path, time.monotonic(), SURVIVED, ""
        original = (ROOT / mutant.path).read_text()
        try:
            path.write_text(mutant.apply(original))
            for tests in (direct[:60], files):
                if tests and outcome == SURVIVED:
                    outcome, by = self._pytest(tree, tests, 60 + 10 * self._seconds(tests), ["-x"])
        finally:
            path.write_text(original)
            self.trees.put(tree)
        result = {"key": mutant.key, "outcome": outcome if direct else SURVIVED, "by": by}
        result |= {"seconds": round(time.monotonic() - began, 1), "tests": len(direct)}
        self.results[mutant.key] = result
        with open(self.folder / "results.jsonl", "a") as out:
            out.write(json.dumps(result) + "\n")
        return f"{outcome} {mutant.area} {mutant.path}:{mutant.line} {mutant.kind} {mutant.old[-40:]!r} -> {mutant.new[-40:]!r} {by}"

    def reaching(self, mutant):
        """Return the tests that call the slip's function, the quickest first; by its name where no call was seen."""
        names, seen, tests = [mutant.scope], {mutant.scope}, set()
        tests |= self.reached[f"{mutant.path}::{mutant.scope}"]
        if mutant.scope == "<module>":
            names, tests = _assigned(mutant), set()
        while names and not tests:
            word = names.pop(0).split(".")[-1]
            for caller in self.references[word]:
                tests |= self.reached[caller]
                if caller.split("::")[1] not in seen:
                    seen.add(caller.split("::")[1])
                    names.append(caller.split("::")[1])
        return sorted(tests, key=lambda test: (self.tests[test]["seconds"], test))

    def _cost(self, file):
        return sum(e["seconds"] for test, e in self.tests.items() if test.startswith(f"{file}::"))

    def _seconds(self, tests):
        return sum(self.tests[t]["seconds"] if "::" in t else self._cost(t) for t in tests)

    def _pytest(self, tree, tests, seconds, options, **environment):
        """Run tests in a tree for so many seconds of processor time; return the outcome and the test that failed."""
        skip = [f"--deselect={t}" for t, e in getattr(self, "tests", {}).items() if not e["passed"]]
        command = ["-q", "--tb=line", "-p", "no:cacheprovider", *options, *tests, *skip]
        said = self.folder / f"said-{tree.name}.txt"
        code = _in_child(lambda: _run_tests(tree, command, seconds, environment), said, self.limit)
        if code in (None, -signal.SIGXCPU, -signal.SIGKILL):
            return LATE, ""
        lines = said.read_text(errors="replace").splitlines()
        if code == 4 and any("not found" in line for line in lines):
            raise RuntimeError(f"the map of the tests is not this tree's: {lines[-5:]}")
        failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        failed = failed or [f"exit {code}"] * (code not in (0, 5))
        return (SURVIVED if code in (0, 5) else KILLED), " ".join(failed)[:200]


def _in_child(work, said, limit):
    """Do work in a fork of this process, which has the large libraries; return its exit code, None after the limit."""
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            for number in (1, 2):
                os.dup2(
                    os.open(
                        said,
                        os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if number == 1 else os.O_APPEND),
                    ),
                    number,
                )
            code = int(work())
        except BaseException as error:
            print("ERROR", repr(error), flush=True)
            code = 70
        finally:
            sys.stdout.flush()
            os._exit(code)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.2)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _run_tests(tree, command, seconds, environment):
    """Run pytest in this process, in a tree; the processes that it starts have as much processor time each."""
    import pytest

    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 30))
    # No .pyc: one of the same size and second as a slip would hide it.
    same = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    os.environ.update(same | environment)
    os.environ.setdefault("MULTIFRACTAL_SHARED", str(ROOT.parent / "shared"))
    sys.dont_write_bytecode = True
    os.chdir(tree)
    sys.path[0] = str(tree)
    sys.argv = ["pytest", *command]
    return pytest.main(command)


def _load_libraries(folder):
    """Import what is large and not ours once, for all the processes that run tests."""
    os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_CACHE_DIR": str(folder / "numba")}
    for name in "numpy numba scipy.stats scipy.optimize scipy.ndimage matplotlib.figure torch pytest".split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _copy(tree):
    """Return a copy of the checkout's files, with a hook that traces the Python processes that tests start."""
    for name in _files():
        source, target = ROOT / name, tree / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists() or target.read_bytes() != source.read_bytes():
                shutil.copy2(source, target)
    for path in tree.rglob("*.py"):  # what the checkout no longer has
        if not (ROOT / path.relative_to(tree)).exists():
            path.unlink()
    with open(tree / "tests/helpers/no_network/sitecustomize.py", "a") as hook:
        hook.write(
            "\nimport os\nif {'MUTANTS_TRACE', 'PYTEST_CURRENT_TEST'} <= set(os.environ):\n"
            f"    import sys\n    sys.path.insert(0, {str(tree / 'tools')!r})\n"
            "    import mutants_trace\n    mutants_trace.start_in_subprocess()\n"
        )
    return tree


def _files():
    """Return the names of the checkout's files; where there is no repository, of all but caches and environments."""
    listed = ["git", "ls-files", "-coz", "--exclude-standard"]
    if (ROOT / ".git").exists():
        done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
        return [name for name in done.stdout.split("\0") if name]
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return [p.as_posix() for p in found if not (_LEFT_OUT & set(p.parts) or p.parts[0] == "shared")]


def _digest(path):
    name = path.relative_to(ROOT).as_posix()
    return hashlib.sha256(name.encode() + path.read_bytes()).hexdigest()[:16]


def _references():
    """Return which functions of the tree refer to each name."""
    found = collections.defaultdict(set)
    for path in mutation.sources(ROOT):
        for top in ast.parse((ROOT / path).read_text()).body:
            is_class = isinstance(top, ast.ClassDef)
            for part in top.body if is_class else [top]:
                named = getattr(part, "name", None) or next(iter(_targets(part)), "<module>")
                where = f"{path.as_posix()}::{top.name + '.' if is_class else ''}{named}"
                for node in ast.walk(part):
                    word = getattr(node, "id", getattr(node, "attr", None))
                    if isinstance(node, ast.Name | ast.Attribute) and word != named:
                        found[word].add(where)
    return found


def _commit():
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    return f" at commit {done.stdout.strip()}" if done.returncode == 0 else ""


def _targets(statement):
    return [
        n.id
        for n in ast.walk(statement)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    ]


def _assigned(mutant):
    """Return the names that the module's statement at the slip gives."""
    for statement in ast.parse((ROOT / mutant.path).read_text()).body:
        if statement.lineno <= mutant.line <= statement.end_lineno:
            return _targets(statement)
    return []


def _report(outcomes, total, what):
    for number, outcome in enumerate(outcomes, 1):
        if outcome:
            print(f"{number} of {total} {what}: {outcome}", flush=True)


def write_table(results, mutants):
    """Write the table by area, and each survivor with its reason, between the marks of the page."""
    explained = json.loads(EXPLAINED.read_text()) if EXPLAINED.exists() else {}
    tried = [m for m in mutants if m.key in results]
    lines = [
        "| area | slips | killed | of them by time | survived | killed, goal |",
        "|---|---|---|---|---|---|",
    ]
    for area in ["kernels", *mutation.AREAS]:
        outcomes = [results[m.key]["outcome"] for m in tried if m.area == area]
        alive, late = outcomes.count(SURVIVED), outcomes.count(LATE)
        if n := len(outcomes):
            share = f"{100 * (n - alive) / n:.0f} %, {_GOAL.get(area, 85)} %"
            lines.append(f"| {area} | {n} | {n - alive} | {late} | {alive} | {share} |")
    part = "the whole run" if len(tried) == len(mutants) else "a part of the run"
    lines = [f"{len(tried)} of {len(mutants)} slips were tried{_commit()}: {part}.", "", *lines]
    lines += ["", "What survived, and why:" if tried else "Nothing was tried yet.", ""]
    for m in tried:
        if results[m.key]["outcome"] == SURVIVED:
            slip = f"`{' '.join(m.old.split())[-50:]}` → `{' '.join(m.new.split())[-50:]}`".replace(
                "|", "\\|"
            )
            why = explained.get(m.key, "not explained yet")
            lines.append(f"- `{m.key}` {m.path}, `{m.scope}`, {m.kind}: {slip}: {why}")
    page = (
        PAGE.read_text()
        if PAGE.exists()
        else f"# Reliability\n\n## Mutants\n\n{MARKS[0]}\n{MARKS[1]}\n"
    )
    if MARKS[0] not in page:
        page += f"\n## Mutants\n\n{MARKS[0]}\n{MARKS[1]}\n"
    before, rest = page.split(MARKS[0])
    table = "\n".join(lines)
    PAGE.write_text(f"{before}{MARKS[0]}\n{table}\n{MARKS[1]}{rest.split(MARKS[1])[1]}")


if __name__ == "__main__":
    main()
