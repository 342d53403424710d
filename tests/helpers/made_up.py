"""Quantities with made-up numbers, for the rules of the report."""

from multifractal import Provenance
from multifractal.reproduction.claim import Quantity

HALF, SPREAD, N = 0.01, 0.03, 10


def told(value, n=N, spread=SPREAD):
    """Return a Quantity with an interval of HALF to either side."""
    return Quantity(
        words="",
        value=value,
        low=value - HALF,
        high=value + HALF,
        spread=spread,
        n=n,
        over="walks",
        unit="",
        published="",
        provenance=Provenance("made up"),
    )
