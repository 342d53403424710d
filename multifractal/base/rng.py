"""Randomness enters as one argument, `rng`: an int seed, a SeedSequence or a Generator; never by global state."""

from __future__ import annotations

import numbers
from typing import cast

import numpy as np

from multifractal.base.checks import refuse
from multifractal.base.types import Rng

_REMEDY = "pass an int seed, a numpy.random.SeedSequence or a numpy.random.Generator"


def as_generator(rng: Rng) -> np.random.Generator:
    """Return the Generator that `rng` stands for; a Generator is used as it is and advances."""
    if isinstance(rng, np.random.Generator):
        return rng
    return np.random.default_rng(as_seed_sequence(rng))


def as_seed_sequence(rng: Rng) -> np.random.SeedSequence:
    """Return the SeedSequence that `rng` stands for; a Generator gives a child by spawning."""
    if isinstance(rng, np.random.Generator):
        return _seed_sequence_of(rng).spawn(1)[0]
    if isinstance(rng, np.random.SeedSequence):
        return rng
    if isinstance(rng, numbers.Integral) and not isinstance(rng, bool) and rng >= 0:
        return np.random.SeedSequence(int(rng))
    raise refuse("rng", rng, "be a seed or a source of random numbers", _REMEDY)


def realisation(rng: Rng, index: int) -> np.random.Generator:
    """Return the Generator of realisation `index`: the same whatever the number of workers or realisations drawn."""
    parent = as_seed_sequence(rng)
    return np.random.default_rng(
        np.random.SeedSequence(parent.entropy, spawn_key=(*parent.spawn_key, index))
    )


def describe(rng: Rng) -> str:
    """Return `rng` in words for a provenance record, sufficient to draw the same numbers again where that is possible."""
    if isinstance(rng, np.random.Generator):
        return f"Generator({type(rng.bit_generator).__name__}, {describe(_seed_sequence_of(rng))})"
    if isinstance(rng, np.random.SeedSequence):
        return f"SeedSequence({rng.entropy}, spawn_key={tuple(rng.spawn_key)})"
    return repr(rng)


def _seed_sequence_of(generator: np.random.Generator) -> np.random.SeedSequence:
    return cast(np.random.SeedSequence, generator.bit_generator.seed_seq)
