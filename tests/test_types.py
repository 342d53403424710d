"""Types: the public boundary is annotated, and the type checker finds a user's mistake and nothing else."""

import inspect
import os
import re
import subprocess
import sys
import textwrap

from tests.conftest import ROOT
from tests.test_vocabulary import CALLABLES

SCRIPT = """
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    import numpy as np

    import multifractal as mf
    from multifractal.base.types import Array, Rng


    def surface(hurst: float, rng: Rng) -> mf.Landscape:
        return mf.fbm_surface((128, 96), hurst, rng=rng, dtype=np.float32)


    def exponents(landscape: mf.Landscape, folder: Path) -> Array:
        with ThreadPoolExecutor(2) as pool:
            walks = mf.descend_ensemble(
                landscape,
                starts=[[3.0, 4.0], [50.0, 60.0]],
                learning_rates=np.array([10.0, 100.0]),
                n_steps=1000,
                rng=np.random.default_rng(1),
                executor=pool,
            )
        walks.save(folder / "walks.npz", overwrite=True)
        return mf.Ensemble.load(folder / "walks.npz").learning_rates


    found = surface(0.3, 1)
    curve = mf.tamsd(np.arange(100.0), waiting_times=[0], lag_times=[1, 2, 4], window=50)
    print(found.gradient.shape, curve.exponent((1, 4)), mf.local_minima(found.values).lowest(10))
    mean: mf.Estimate = mf.mean_interval([1.0, 2.0])
    spectrum = mf.multifractal_spectrum(found, weights="count")
    print(mean.interval, spectrum.D, mf.__version__)
"""


def unannotated(callables):
    """Return 'function: arguments' for all that a signature leaves without a type; the return value is called return."""
    found = []
    for name, function in functions_of(callables):
        signature = inspect.signature(function)
        missing = [
            one.name
            for one in signature.parameters.values()
            if one.annotation is one.empty and one.name not in ("self", "cls")
        ]
        missing += ["return"] if signature.return_annotation is signature.empty else []
        found += [f"{name}: {', '.join(missing)}"] if missing else []
    return found


def functions_of(callables):
    """Yield (name, function) of each function, and of each public method, property and constructor written in a class."""
    for name, thing in callables.items():
        if inspect.isfunction(thing):
            yield name, inspect.unwrap(thing)
            continue
        for member, value in vars(thing).items():
            for kind in ("__func__", "fget", "func"):
                value = getattr(value, kind, value)
            written = inspect.isfunction(value) and value.__module__ == thing.__module__
            if written and (not member.startswith("_") or member == "__init__"):
                yield f"{name}.{member}", inspect.unwrap(value)


def check(folder):
    """Return {(script, line with an error)} of the scripts in a folder and what mypy says; the package is as if installed."""
    others = "matplotlib numba plotly pooch pywt scipy sklearn threadpoolctl torch tqdm".split()
    (folder / "mypy.ini").write_text(
        "[mypy]\nstrict = true\n[mypy-multifractal.*]\nfollow_imports = silent\n"
        + "".join(f"[mypy-{one}.*]\nfollow_imports = skip\n" for one in others)
    )
    told = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-incremental", *sorted(map(str, folder.glob("*.py")))],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"MYPYPATH": str(ROOT)},
    )
    found = re.findall(r"^(\w+)\.py:(\d+): error", told.stdout, re.MULTILINE)
    return {(script, int(line)) for script, line in found}, told.stdout + told.stderr


def test_every_public_signature_is_annotated():
    """All arguments and results of the public functions, methods and properties of both libraries have types."""
    assert len(list(functions_of(CALLABLES))) > 300
    assert unannotated(CALLABLES) == []


def test_a_missing_type_is_found():
    """The rule can fail: an argument and a result without types are named, in functions and in properties."""

    def walk(landscape, n_steps: int):
        """Do nothing."""

    class Walk:
        @property
        def mean(self):
            """Nothing."""

    assert unannotated({"walk": walk, "Walk": Walk}) == [
        "walk: landscape, return",
        "Walk.mean: return",
    ]


def test_a_script_of_a_user_is_checked(tmp_path):
    """A right script passes `mypy --strict`, and of a wrong one the line that is wrong is the only one found."""
    right = textwrap.dedent(SCRIPT).lstrip()
    wrong = right.replace('weights="count"', 'weights="counts"')
    for name, script in (("right", right), ("wrong", wrong)):
        (tmp_path / f"{name}.py").write_text(script)
    found, told = check(tmp_path)
    lines = [n for n, line in enumerate(wrong.splitlines(), 1) if "counts" in line]
    assert found == {("wrong", n) for n in lines}, told
    assert len(lines) == 1
