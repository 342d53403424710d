"""Where a file belongs in the paper's tree, when its name may have another case, other folders or a prefix."""

import re
from pathlib import PurePosixPath

from multifractal.source_data._catalogue import NAMES, RUNS_FOLDER, is_source_data

# How sure a match is: by the whole name; by the whole name in other letters, or with its folders in the file's name; by an
# end of the name that no other file of the tree has; by such an end after a prefix, which a stranger's name may also have.
EXACT, SPELLED, END, PREFIXED = range(4)


def place_in_tree(path):
    """Return the name in the tree that the relative `path` stands for, or None, and how sure that is: `EXACT` to `PREFIXED`."""
    parts = PurePosixPath(path).parts
    if any(
        part.startswith(".") or part == "__MACOSX" for part in parts
    ):  # of the system that packed it
        return None, PREFIXED
    tails = ["/".join(parts[first:]) for first in range(len(parts))]
    for sure, names in (
        (EXACT, {tail: tail for tail in tails if is_source_data(tail)}),
        (SPELLED, _whole_names(tails)),
        (END, {tail: _ENDS.get(tail.lower()) for tail in tails}),
        (PREFIXED, {end: name for end, name in _ENDS.items() if _ends_with(path, end)}),
    ):
        if found := next(filter(None, names.values()), None):
            return found, sure
    return None, PREFIXED


def _whole_names(tails):
    """Return the names of the tree that the path spells in another way, and the folder of a run that lost its parent."""
    spelled = {name: name for name in NAMES if _ends_with(tails[0], name)}
    runs = (f"{RUNS_FOLDER}/{tail}" for tail in tails)
    return spelled | {run: run for run in runs if is_source_data(run)}


def _ends_with(path, end):
    return f"_{_flat(path)}".endswith(f"_{_flat(end)}")


def _flat(path):
    return re.sub(r"[/\s_=-]+", "_", path.lower())


def _unique_ends():
    """Return the names of the tree by each end that belongs to one of them alone, in lower case, the longest first."""
    parts = {name: PurePosixPath(name.lower()).parts for name in NAMES}
    ends = [("/".join(p[k:]), name) for name, p in parts.items() for k in range(1, len(p))]
    counts = [end for end, _ in ends]
    unique = {end: name for end, name in ends if counts.count(end) == 1}
    return dict(sorted(unique.items(), key=lambda item: -len(item[0])))


_ENDS = _unique_ends()
