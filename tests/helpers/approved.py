"""Forms that are kept, so that what a change does to a figure or a setting is told, and approved on purpose.

``MULTIFRACTAL_APPROVE=1 python -m pytest ...`` writes what the tests find to `tests/approved/`; look at the difference, and
say in the CHANGELOG why a setting or a figure changed.
"""

import json
import os
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "approved"


def check(file, name, found, rtol=1e-3):
    """Compare what was found (lists, words and numbers) under a name of a file with what is kept there."""
    path, found = FOLDER / f"{file}.json", json.loads(json.dumps(found, default=float))
    kept = json.loads(path.read_text()) if path.exists() else {}
    if os.environ.get("MULTIFRACTAL_APPROVE"):
        kept[name] = found
        FOLDER.mkdir(exist_ok=True)
        lines = (f"{json.dumps(k)}: {_written(v)}" for k, v in sorted(kept.items()))
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    assert name in kept, (
        f"{name} is not in {path.name} yet: set MULTIFRACTAL_APPROVE=1, run again, look"
    )
    other = list(differences(kept[name], found, rtol))
    said = "; ".join(other[:5])
    assert not other, (
        f"{name} is not as approved in {path.name} (set MULTIFRACTAL_APPROVE=1): {said}"
    )


def check_all(file, found, rtol=1e-12):
    """Compare all that was found, by name, with a file that holds the same names and no others."""
    path = FOLDER / f"{file}.json"
    if os.environ.get("MULTIFRACTAL_APPROVE") and path.exists():
        path.unlink()
    for name, one in found.items():
        check(file, name, one, rtol)
    gone = {*json.loads(path.read_text())} - {*found}
    assert not gone, f"{sorted(gone)} are gone from {path.name} (set MULTIFRACTAL_APPROVE=1)"


def check_kept(file, found, rtol=1e-12):
    """Compare what was found, {place: {name: value}}, with what a file holds of it; what is new or gone there is no fault."""
    path = FOLDER / f"{file}.json"
    if os.environ.get("MULTIFRACTAL_APPROVE"):
        check_all(file, found, rtol)
    found, kept = json.loads(json.dumps(found, default=float)), json.loads(path.read_text())
    both = {place: kept[place].keys() & found[place].keys() for place in kept.keys() & found.keys()}
    parts = [{p: {n: one[p][n] for n in both[p]} for p in both} for one in (kept, found)]
    assert sum(map(len, both.values())) > len(kept) / 2, f"{path.name} is of another tree"
    other = list(differences(*parts, rtol))
    said = "; ".join(other[:5])
    assert not other, f"not as approved in {path.name} (set MULTIFRACTAL_APPROVE=1): {said}"


def differences(kept, found, rtol, where=""):
    """Yield in words what differs between two nested lists or dicts, numbers by more than `rtol` of the largest beside them."""
    if isinstance(kept, dict) and isinstance(found, dict):
        for key in sorted({*kept} | {*found}):
            if key in kept and key in found:
                yield from differences(kept[key], found[key], rtol, f"{where}.{key}")
            else:
                yield f"{where}.{key} is {'new' if key in found else 'gone'}"
    elif _numbers(kept) and _numbers(found) and len(kept) == len(found):
        if not _close(kept, found, rtol):
            yield f"{where}: {kept} became {found}"
    elif isinstance(kept, list) and isinstance(found, list) and len(kept) == len(found):
        for k, (one, other) in enumerate(zip(kept, found, strict=True)):
            yield from differences(one, other, rtol, f"{where}[{k}]")
    elif not (_numbers([kept, found]) and _close([kept], [found], rtol)) and kept != found:
        yield f"{where}: {kept!r} became {found!r}"


def _close(kept, found, rtol):
    """Tell whether numbers agree within `rtol` of the largest that is known; unknown ones stay unknown."""
    kept, found = np.array(kept, dtype=float), np.array(found, dtype=float)
    largest = np.abs(kept[np.isfinite(kept)]).max(initial=0.0)
    return np.allclose(kept, found, rtol=rtol, atol=rtol * largest, equal_nan=True)


def _numbers(value):
    return isinstance(value, list) and all(type(v) in (int, float) for v in value)


def _written(value):
    """Return JSON with one line for each part of a list of lists."""
    if isinstance(value, list) and value and isinstance(value[0], list | dict):
        return "[\n " + ",\n ".join(map(json.dumps, value)) + "\n]"
    return json.dumps(value)
