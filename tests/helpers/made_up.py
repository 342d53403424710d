"""Quantities with made-up numbers, for the rules of the report."""

import numpy as np

from multifractal import Provenance
from multifractal.reproduction.claim import Quantity

CALL = Provenance("made up")
HALF, SPREAD, N = 0.01, 0.03, 10


def told(value, n=N, spread=SPREAD, half=HALF):
    """Return a Quantity with an interval of `half` to either side."""
    return Quantity(
        words="words",
        value=value,
        low=value - half,
        high=value + half,
        spread=spread,
        n=n,
        over="walks",
        unit="",
        published="",
        provenance=CALL,
    )


NONE = told(np.nan, n=0, spread=np.nan)  # what nothing was measured for
