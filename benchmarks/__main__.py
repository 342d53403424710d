"""Run the benchmarks: `python -m benchmarks [WORD ...]`."""

import importlib
import sys

from benchmarks import harness


def main(words):
    """Measure the cases whose name holds one of `words` (all without words), printing each as it comes."""
    modules = [importlib.import_module(f"benchmarks.{path.stem}") for path in sorted(harness.HERE.glob("bench_*.py"))]
    timings = []
    for case in (case for module in modules for case in module.cases()):
        if not words or any(word.lower() in case.name.lower() for word in words):
            timings.append(harness.measure(case))
            print(harness.table(timings[-1:]).splitlines()[-1], flush=True)
    if not words:
        harness.write(timings)


if __name__ == "__main__":
    main(sys.argv[1:])
