"""The public boundary: odd and bad arguments, drawn by hypothesis, into every public function that is cheap to call.

A call may succeed. If it is refused, then by ValueError or TypeError (or what is documented: a file that is missing, exists
or is damaged), in words that say which argument, what it must be, what it was and what to do instead.
"""

import contextlib
import datetime
import decimal
import fractions
import functools
import re
import resource
import warnings
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from campaign.harness import Kind
from multifractal import DamagedFileError

TAKEN, REFUSED = "accepted", "refused in full words"
_BLOCK, _BYTES = 100, 12 * 2**30
_SAID = re.compile(r"must .*(, got |, which has |already holds).*; .", re.DOTALL)
_FILES = (FileNotFoundError, FileExistsError, IsADirectoryError, PermissionError, DamagedFileError)


def kinds():
    """Return ten thousand calls, four fifths of them of the core."""
    return [
        Kind(
            "boundary-core",
            "odd arguments to the public functions of `multifractal`",
            8000,
            (TAKEN, REFUSED),
            functools.partial(_trial, "_core"),
            batch=500,
            seconds=300,
            unit="calls",
        ),
        Kind(
            "boundary-networks",
            "odd arguments to the public functions of `landscape_viz`",
            2000,
            (TAKEN, REFUSED),
            functools.partial(_trial, "_networks"),
            batch=500,
            seconds=300,
            unit="calls",
        ),
    ]


def _trial(part, index, folder):
    from campaign import boundary

    _limit_memory()
    calls = getattr(boundary, part)()
    name, changes = _cases(part, index // _BLOCK)[index % _BLOCK]
    function, arguments = calls[name]
    said = f"{name}({', '.join(f'{key}={value!r:.80}' for key, value in changes.items())})"
    try:
        with contextlib.chdir(folder), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            function(**(arguments | changes))
    except (ValueError, TypeError, *_FILES) as error:
        good = isinstance(error, _FILES) or (
            _SAID.search(str(error)) and _names_one(error, arguments)
        )
        return (
            (REFUSED, "")
            if good
            else ("POORLY REFUSED", f"{said}: {type(error).__name__}: {str(error)[:300]}")
        )
    except Exception as error:
        return "OTHER EXCEPTION", f"{said}: {type(error).__name__}: {str(error)[:300]}"
    return TAKEN, ""


def _names_one(error, arguments):
    """Whether the message names an argument, in the singular or plural, before it says what that must be."""
    subject = set(re.findall(r"\w+", str(error).split(" must ")[0]))
    return any({name, f"{name}s", name.removesuffix("s")} & subject for name in arguments)


@functools.cache
def _cases(part, block):
    """Return the calls of a block, as (name, arguments to change): decided by the block's number."""
    from campaign import boundary

    calls, drawn = getattr(boundary, part)(), []

    @seed(block)
    @settings(
        max_examples=2 * _BLOCK,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(sorted(calls)), st.data())
    def draw(name, data):
        keys = data.draw(
            st.lists(st.sampled_from(sorted(calls[name][1])), min_size=1, max_size=2, unique=True)
        )
        drawn.append((name, {key: data.draw(_odd()) for key in keys}))

    draw()
    return drawn[1 : _BLOCK + 1]  # the first is always the simplest


def _odd():
    """Return a strategy for arguments: near misses, numbers of every type, arrays of every kind, and things."""
    huge = st.sampled_from([2**63, -(2**70), 10**400, -0.0])
    numbers = st.one_of(st.integers(-5, 70), st.floats(), st.floats(-2, 2), huge)
    scalars = st.one_of(
        numbers,
        st.sampled_from(
            [
                np.float32(3),
                np.float64(0.5),
                np.int8(5),
                np.bool_(True),
                np.array(2.0),
                np.array(7),
                decimal.Decimal("0.5"),
                fractions.Fraction(1, 2),
                np.datetime64("2020-01-01"),
                1 + 2j,
                np.str_("a"),
            ]
        ),
    )
    arrays = hnp.arrays(
        st.sampled_from(
            [np.float64, np.float32, np.int64, np.uint8, np.bool_, np.complex128, "U3", object]
        ),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6),
    )
    things = st.sampled_from(
        [
            None,
            True,
            False,
            object(),
            int,
            np.float64,
            len,
            {},
            {"a": 1},
            set(),
            b"bytes",
            range(3),
            datetime.date(2020, 1, 1),
            Path("nowhere"),
            Ellipsis,
            slice(1, 2),
            NotImplemented,
        ]
    )
    lists = st.lists(st.one_of(numbers, st.none(), st.text(max_size=3)), max_size=4)
    return st.one_of(
        numbers,
        scalars,
        st.text(max_size=5),
        lists,
        lists.map(tuple),
        st.lists(lists, max_size=3),
        arrays,
        things,
    )


@functools.cache
def _limit_memory():
    """Let a call that asks for all memory fail by itself."""
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
