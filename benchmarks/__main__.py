"""Run the benchmarks: `python -m benchmarks [WORD ...] [--record]`; `growth` or `obvious` alone run these.

`growth` fits exponents of growth with size; `obvious` stands the model beside the twenty lines that one would write. Without
words every case runs but those on request (8192²), and results.json and docs/benchmarks.md are written. Words choose cases by
name, and only print, except that cases on request take their place there; with --record all that ran do, with machine and date.
"""

import importlib
import sys
from dataclasses import replace

from multifractal.base.command import as_command, at_the_shell

at_the_shell(__name__)

from benchmarks import growth, harness, obvious
from tools import tables


def main(words):
    """Measure the cases whose name holds one of `words` (all without words), printing each as it comes."""
    record, words = "--record" in words, [word for word in words if word != "--record"]
    if words in (["growth"], ["obvious"]):
        {"growth": growth, "obvious": obvious}[words[0]].main()
        return tables.main([])
    modules = [
        importlib.import_module(f"benchmarks.{path.stem}")
        for path in sorted(harness.HERE.glob("bench_*.py"))
    ]
    timings = []
    for case in (case for module in modules for case in module.cases()):
        named = any(word.lower() in case.name.lower() for word in words)
        if named or (not words and not case.on_request):
            new = harness.measure(case)
            if named and record:
                new = [replace(timing, measured=harness.where_and_when()) for timing in new]
            timings += new
            print("\n".join(harness.table(new).splitlines()[2:]), flush=True)
            if new[0].measured:  # each at once: those on request take minutes
                harness.write(new, everything=False)
    if not words:
        harness.write(timings, everything=True)
    return tables.main([])


if __name__ == "__main__":
    raise SystemExit(as_command(lambda: main(sys.argv[1:]), "benchmarks"))
