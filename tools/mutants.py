"""Try slips of a careless refactoring on the test suite: `make mutants`, or ``python tools/mutants.py --help``.

A slip is made in a copy of the tree, and the tests that reach it are run: first those that call the function (or refer to it,
when it is compiled), the quickest first, then the other tests of their files. It is killed when one fails, or when they
outrun the limit. Everything is kept in the folder, so a run that was stopped goes on. The table of docs/reliability.md is
written from all results so far; `tools/mutants_explained.json` says, by key, why a survivor is one.
"""

import argparse
import ast
import collections
import concurrent.futures
import gzip
import hashlib
import json
import os
import queue
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
KILLED, LATE, SURVIVED = "killed", "killed by the clock", "survived"
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
    parser.add_argument("--limit", type=float, default=300, help="seconds for one slip")
    parser.add_argument("--folder", type=Path, default=ROOT / ".mutants")
    parser.add_argument("--again", action="store_true", help="try the survivors again")
    parser.add_argument(
        "--tests", nargs="*", default=["tests"], help="only these, and slips they reach"
    )
    asked = parser.parse_args(arguments)
    run = Run(asked.folder, asked.workers, asked.limit, time.monotonic() + 60 * asked.minutes)
    run.map_tests(asked.tests)
    mutants = mutation.chosen(ROOT, asked.count)
    mine = [m for m in mutants if asked.area in (None, m.area)]
    if asked.tests != ["tests"]:
        mine = [m for m in mine if run.reached[f"{m.path}::{m.scope}"]]
    run.try_all(mine, asked.again)
    write_table(run.results, mutants)


class Run:
    """The trees, the map of the tests and the results of one folder."""

    def __init__(self, folder, workers, limit, end):
        self.folder, self.limit, self.end = folder.resolve(), limit, end
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / ".gitignore").write_text("*\n")
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
        found.sort(key=lambda path: -path.stat().st_size)  # the long ones first
        digests = {path.relative_to(ROOT).as_posix(): _digest(path) for path in found}
        new = [name for name, digest in digests.items() if digest not in self.map]
        outcomes = self.pool.map(lambda name: self._map_file(name, digests[name]), new)
        _report(outcomes, len(new), "test files mapped")
        self._save_map(0)
        self.tests = {}
        for digest in digests.values():
            self.tests |= self.map.get(digest, {})
        self.reached = collections.defaultdict(set)
        for test, entry in self.tests.items():
            for call in entry["calls"] if entry["passed"] else ():
                self.reached[call].add(test)
        self.references = _references()

    def try_all(self, mutants, again):
        """Try the slips that have no result yet, and the survivors once more if asked."""
        done = {key for key, r in self.results.items() if not (again and r["outcome"] == SURVIVED)}
        left = [m for m in mutants if m.key not in done]
        outcomes = self.pool.map(self._try, left)
        _report(outcomes, len(left), "slips tried")

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
        original, fresh = (ROOT / mutant.path).read_text(), tree / f".numba-{mutant.key}"
        compiled = mutant.area == "kernels" or mutant.scope == "<module>"
        try:
            path.write_text(mutant.apply(original))
            for tests in (direct[:60], files):
                left = self.limit - (time.monotonic() - began)
                if tests and left > 0 and outcome == SURVIVED:
                    cache = {"NUMBA_CACHE_DIR": str(fresh)} if compiled else {}
                    outcome, by = self._pytest(tree, tests, left, ["-x"], **cache)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
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

    def _pytest(self, tree, tests, seconds, options, **environment):
        """Run tests in a tree; return the outcome and the test that failed."""
        # No .pyc: one of the same size and second as a slip would hide it.
        same = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
        environment = os.environ | same | {"NUMBA_CACHE_DIR": str(tree / ".numba")} | environment
        environment.setdefault("MULTIFRACTAL_SHARED", str(ROOT.parent / "shared"))
        skip = [
            f"--deselect={test}"
            for test, e in getattr(self, "tests", {}).items()
            if not e["passed"]
        ]
        command = [sys.executable, "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider"]
        child = subprocess.Popen(
            [*command, *options, *tests, *skip], cwd=tree, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            said = child.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            return LATE, ""
        if child.returncode == 4 and "not found" in said:
            raise RuntimeError(f"the map of the tests is not this tree's: {said[-500:]}")
        failed = [line for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return (SURVIVED if child.returncode in (0, 5) else KILLED), " ".join(failed)[:200]


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
        "| area | slips | killed | of them by the clock | survived | killed, goal |",
        "|---|---|---|---|---|---|",
    ]
    for area in ["kernels", *mutation.AREAS]:
        outcomes = [results[m.key]["outcome"] for m in tried if m.area == area]
        alive, late = outcomes.count(SURVIVED), outcomes.count(LATE)
        if n := len(outcomes):
            share = f"{100 * (n - alive) / n:.0f} %, {_GOAL.get(area, 85)} %"
            lines.append(f"| {area} | {n} | {n - alive} | {late} | {alive} | {share} |")
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
