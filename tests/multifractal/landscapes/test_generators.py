"""What every generator of landscapes keeps: same seed, same bits; another seed, another draw; and nothing but finite numbers."""

import inspect

import numpy as np
import pytest

from campaign import boundary
from tools import api_reference

GENERATORS = {
    name
    for name, thing in api_reference.public("multifractal")
    if inspect.isfunction(thing)
    and thing.__module__.startswith("multifractal.landscapes.")
    and "rng" in inspect.signature(thing).parameters
}
CALLS = {  # with the arguments that the campaign has for each
    name: boundary._landscapes()[name] for name in sorted(GENERATORS & set(boundary._landscapes()))
}


def drawn(name, rng):
    """Return the numbers that a generator draws."""
    function, arguments = CALLS[name]
    found = function(**arguments | {"rng": rng})
    for part in ("values", "spectrum"):  # of a Landscape; of SurfaceNoise
        found = getattr(found, part, found)
    return np.asarray(found)


@pytest.mark.parametrize("name", list(CALLS))
def test_every_generator_keeps_its_bits(name):
    """Twice from one seed the same bits, from a SeedSequence of it too; from another seed other numbers."""
    first = drawn(name, 0)
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(drawn(name, 0), first)
    np.testing.assert_array_equal(drawn(name, np.random.SeedSequence(0)), first)
    assert not np.array_equal(drawn(name, 1), first)
