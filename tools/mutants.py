"""Try slips of a careless refactoring on the test suite: `make mutants`, or ``python tools/mutants.py --help``.

A slip is made in a copy of the tree, and the tests that reach it are run, those that call the function (or refer to it, when
it is compiled): first those of the test file that mirrors the slip's own, then the quickest, until they took `--budget` seconds
together. It is killed when one fails, or when they use ten times the processor time that they were measured at (and a minute).
A loaded machine kills nothing: what outruns the limit of the clock, which is for what hangs, is counted with them as killed by
time. Each run of tests is a fork of this process, which has loaded what is large; kernels that a slip leaves alone are not
compiled again.
Everything is kept in the folder, so a run that was stopped goes on. Outcomes are also kept in `tools/mutants_record.json`, with the
commit at which each was found: a slip's key holds the code of its function, so an outcome counts until that code changes. The
table of docs/reliability.md is written from all outcomes so far; `tools/mutants_explained.json` says, by key, why a survivor is one.
"""

import argparse
import ast
import collections
import concurrent.futures
import gzip
import hashlib
import itertools
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import mutants_child
import mutation

ROOT = Path(__file__).resolve().parents[1]
PAGE, EXPLAINED = ROOT / "docs/reliability.md", ROOT / "tools/mutants_explained.json"
RECORD = ROOT / "tools/mutants_record.json"
MARKS = "<!-- mutants: written by tools/mutants.py -->", "<!-- mutants end -->"
KILLED, LATE, SURVIVED = "killed", "killed by time", "survived"
PRIORITY = {"model": 1, "networks": 1, "figures": 1}  # the others first
# Tests that are dear, and where a slip in a formula should not be noticed first.
_DEAR = re.compile(
    "notebook|demo|site|zoo|readme|campaign|packaging|benchmarks|docs|api_ref|mutants|no_network|same_bits|evidence|types|vocabulary|architecture|migration|beyond_one"
)
_PARSING = threading.Lock()
_FIRST_SECONDS = 6  # of tests, before the others of a slip are collected too
_PLUGINS = "-p no:cacheprovider -p no:xdist -p no:anyio".split()
_LEFT_OUT = {".git", ".mutants", ".venv", "__pycache__", "results", "node_modules"}
_RECORDED = ("outcome", "at", "first", "near")  # of an outcome, in the committed record
_GOAL = {"kernels": 95, "statistics": 95, "rules": 95, "files": 95}  # per cent; 85 elsewhere


def main(arguments=None):
    """Map the tests, try what is left to try within the minutes given, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--count", type=int, default=556, help="of slips; the first ones stay the same"
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
        "--budget", type=float, default=60, help="seconds of tests for one slip, the nearest first"
    )
    parser.add_argument("--keys", nargs="*", help="only these slips")
    asked = parser.parse_args(arguments)
    run = Run(asked.folder, asked.workers, asked.limit, time.monotonic() + 60 * asked.minutes)
    run.budget = asked.budget
    mutants = mutation.chosen(ROOT, asked.count)
    mine = _in_turn([m for m in mutants if asked.area in (None, m.area)])
    if asked.keys is not None:
        mine = [m for m in mine if m.key in asked.keys]
    if asked.tests == ["tests"]:
        run.try_nearest(mine)
    run.map_tests(asked.tests)
    if asked.tests != ["tests"]:
        mine = [m for m in mine if run.reached[f"{m.path}::{m.scope}"]]
    run.try_all(mine, asked.again)
    write_record(run.results, mutants)
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
        mutants_child.load_libraries(self.folder)
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
        self.tests, self.reached = {}, collections.defaultdict(set)
        self.references = _references()
        self.seconds = itertools.count(int(time.time()))
        kept = self.folder / "results.jsonl"
        lines = kept.read_text().splitlines() if kept.exists() else []
        self.results = recorded() | {r["key"]: r for r in map(json.loads, lines)}

    def map_tests(self, names):
        """Run every test file of these folders and files once that is new or was changed, with its calls traced."""
        files = self._files(names)
        new = [file for file in files if _digest(file) not in self.map]
        _report(self.pool.map(self._map_file, new), len(new), "test files mapped")
        self._save_map(0)
        for file in files:
            self._take(file)

    def _files(self, names):
        found = [
            p.relative_to(ROOT).as_posix() for n in names for p in (ROOT / n).rglob("test_*.py")
        ]
        if names == ["tests"]:
            found = [name for name in found if not _DEAR.search(name.rpartition("/")[2])]
        return sorted(found + [name for name in names if name.endswith(".py")])

    def _take(self, file):
        """Let the tests of a file that was mapped count."""
        tests = self.map.get(_digest(file), {})
        self.tests |= tests
        for test, entry in tests.items():
            for call in entry["calls"] if entry["passed"] else ():
                self.reached[call].add(test)

    def try_nearest(self, mutants):
        """Try the slips that have no result yet on the tests of one file each, which is mapped if it has to be."""
        files, guard = self._files(["tests"]), collections.defaultdict(threading.Lock)
        words = {f: collections.Counter(re.findall(r"\w+", (ROOT / f).read_text())) for f in files}

        def work(mutant):
            file = self._nearest(mutant, words)
            with guard[file]:
                if _digest(file) not in self.map:
                    self._map_file(file)
                self._take(file)
            return self._try(mutant, file)

        left = [m for m in mutants if m.key not in self.results]
        _report(self.pool.map(work, left), len(left), "slips tried on the nearest tests")

    def try_all(self, mutants, again):
        """Try the slips that the nearest tests left alive, or all survivors once more if asked."""
        left = [m for m in mutants if self.results.get(m.key, {"near": True}).get("near")]
        if again:
            left = [m for m in mutants if self.results.get(m.key, {}).get("outcome") == SURVIVED]
        _report(
            self.pool.map(self._try, left), len(left), "slips tried on all tests that reach them"
        )

    def _nearest(self, mutant, words):
        """Return the test file that mirrors the slip's own; without one, that which names its function or its callers most."""
        path = Path(mutant.path)
        own = f"tests/{path.parent.as_posix()}/test_{path.stem.strip('_')}.py"
        if own in words:
            return own
        names = _assigned(mutant) if mutant.scope == "<module>" else [mutant.scope]
        names = [name.split(".")[-1] for name in names]
        names += [w.split("::")[1].split(".")[-1] for n in names for w in self.references[n]]
        return max(words, key=lambda file: (sum(words[file][name] for name in names), file))

    def _map_file(self, name):
        digest = _digest(name)
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

    def _try(self, mutant, only=""):
        """Try a slip on the tests that reach it, of one file if it is named; keep the outcome and tell it."""
        if time.monotonic() > self.end:
            return ""
        ordered = self.reaching(mutant, only)
        tree = self.trees.get()
        path, began, outcome, by = tree / mutant.path, os.times(), SURVIVED, ""
        original, at = (ROOT / mutant.path).read_text(), path.stat().st_mtime
        try:
            path.write_text(mutant.apply(original))
            os.utime(path, (at, next(self.seconds)))  # no two of one time: a .pyc goes by it
            for tests in self._within(ordered):
                if tests and outcome == SURVIVED:
                    limit = 60 + 10 * self._seconds(tests)
                    outcome, by = self._pytest(tree, tests, limit, ["-x"], slip=mutant)
        finally:
            path.write_text(original)
            os.utime(path, (at, at))
            self.trees.put(tree)
        seconds = round(os.times().elapsed - began.elapsed, 1)
        tried = sum(map(len, self._within(ordered)))
        result = {"key": mutant.key, "outcome": outcome, "by": by, "seconds": seconds}
        result |= {"tests": tried, "of": len(ordered), "at": _commit()}
        if only and outcome == SURVIVED:
            result["near"] = True
        else:  # what came out before any test was written for this slip
            result["first"] = self.results.get(mutant.key, {}).get("first", outcome)
        self.results[mutant.key] = result
        with open(self.folder / "results.jsonl", "a") as out:
            out.write(json.dumps(result) + "\n")
        return f"{outcome} {mutant.area} {mutant.path}:{mutant.line} {mutant.kind} {mutant.old[-40:]!r} -> {mutant.new[-40:]!r} {by}"

    def _within(self, tests):
        """Return the tests in two parts, of some seconds and of all the seconds that one slip may cost."""
        parts, spent = ([], []), 0.0
        for test in tests:
            spent += self.tests[test]["seconds"]
            if spent <= self.budget or not parts[0]:
                parts[spent > _FIRST_SECONDS and bool(parts[0])].append(test)
        return parts

    def reaching(self, mutant, only=""):
        """Return the tests (of one file, if it is named) that call the slip's function, or whose code names it, the quickest first."""
        names, seen, tests = [mutant.scope], {mutant.scope}, set()
        if mutant.scope == "<module>":
            names = _assigned(mutant)
        else:
            tests = self._calling(f"{mutant.path}::{mutant.scope}", only)
        while names and not tests:
            word = names.pop(0).split(".")[-1]
            for caller in self.references[word]:
                tests |= self._calling(caller, only)
                if caller.split("::")[1] not in seen:
                    seen.add(caller.split("::")[1])
                    names.append(caller.split("::")[1])
        if not only:  # what reads settings calls nothing
            tests |= {
                test for test in list(self.tests) if test.startswith("tests/test_settings.py")
            }
        return sorted(tests, key=lambda test: (self.tests[test]["seconds"], test))

    def _calling(self, function, only):
        return {test for test in set(self.reached.get(function, ())) if test.startswith(only)}

    def _seconds(self, tests):
        return sum(self.tests[test]["seconds"] for test in tests)

    def _pytest(self, tree, tests, seconds, options, slip=None, **environment):
        """Run tests in a tree for so many seconds of processor time; return the outcome and the test that failed."""
        command = ["-q", "--tb=line", *_PLUGINS, *options, *tests]
        said = self.folder / f"said-{tree.name}.txt"
        code = mutants_child.in_child(
            lambda: mutants_child.run_tests(tree, command, seconds, environment, slip),
            said,
            self.limit,
        )
        if code in (None, -signal.SIGXCPU, -signal.SIGKILL):
            return LATE, ""
        lines = said.read_text(errors="replace").splitlines()
        if code == 4 and any("not found" in line for line in lines):
            raise RuntimeError(f"the map of the tests is not this tree's: {lines[-5:]}")
        failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        failed = failed or [f"exit {code}"] * (code not in (0, 5))
        return (SURVIVED if code in (0, 5) else KILLED), " ".join(failed)[:200]


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


def _digest(name):
    return hashlib.sha256(name.encode() + (ROOT / name).read_bytes()).hexdigest()[:16]


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
    return done.stdout.strip() if done.returncode == 0 else "?"


def _targets(statement):
    return [
        n.id
        for n in ast.walk(statement)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    ]


def _assigned(mutant):
    """Return the names that the module's statement at the slip gives."""
    with _PARSING:  # two threads at once confuse Python 3.11's count of its depth
        top = ast.parse((ROOT / mutant.path).read_text())
    for statement in top.body:
        if statement.lineno <= mutant.line <= statement.end_lineno:
            return _targets(statement)
    return []


def _report(outcomes, total, what):
    for number, outcome in enumerate(outcomes, 1):
        if outcome:
            print(f"{number} of {total} {what}: {outcome}", flush=True)


def recorded():
    """Return the outcomes that are committed, by key."""
    kept = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    return {key: {"key": key, **one} for key, one in kept.items()}


def write_record(results, mutants):
    """Keep the outcomes of these slips: what came out, at which commit, and what came out when it was tried first."""
    kept = {
        m.key: {name: results[m.key][name] for name in _RECORDED if name in results[m.key]}
        for m in mutants
        if m.key in results
    }
    lines = (f"{json.dumps(key)}: {json.dumps(one)}" for key, one in sorted(kept.items()))
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def write_table(results, mutants):
    """Write the table by area, and each survivor with its reason, between the marks of the page."""
    explained = json.loads(EXPLAINED.read_text()) if EXPLAINED.exists() else {}
    tried = [m for m in mutants if m.key in results]
    lines = [
        "| area | slips | killed | of them by time | survived | killed, goal | at first |",
        "|---|---|---|---|---|---|---|",
    ]
    for area in ["kernels", *mutation.AREAS]:
        of_area = [results[m.key] for m in tried if m.area == area]
        outcomes = [one["outcome"] for one in of_area]
        alive, late = outcomes.count(SURVIVED), outcomes.count(LATE)
        if n := len(outcomes):
            share = f"{100 * (n - alive) / n:.0f} %, {_GOAL.get(area, 85)} %"
            lines.append(
                f"| {area} | {n} | {n - alive} | {late} | {alive} | {share} | {_at_first(of_area)} |"
            )
    lines = [f"{_tried(results, tried)} of {len(mutants)} that are drawn.", "", *lines]
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


def _tried(results, tried):
    """Return in words how many slips were tried, and at which commits."""
    at = collections.Counter(results[m.key].get("at", "?") for m in tried)
    return (
        f"{len(tried)} slips were tried ({', '.join(f'{n} at {c}' for c, n in at.most_common())})"
    )


def _at_first(results):
    """Return how many were killed of those that this record saw tried for the first time, before any test was written for them."""
    first = [one["first"] for one in results if one.get("first")]
    return f"{sum(one != SURVIVED for one in first)} of {len(first)}" if first else "–"


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # by hand: the package is for the trees' processes to load
        print("\nstopped; the same command resumes where it was", file=sys.stderr)
        raise SystemExit(130) from None
