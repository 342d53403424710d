"""Randomness enters as one argument, `rng`: an int seed, a SeedSequence or a Generator; never by global state."""

import numbers

import numpy as np

from multifractal.base.checks import refuse

_REMEDY = "pass an int seed, a numpy.random.SeedSequence or a numpy.random.Generator"


def as_generator(rng):
    """Return the Generator that `rng` stands for; a Generator is used as it is and advances."""
    if isinstance(rng, np.random.Generator):
        return rng
    return np.random.default_rng(as_seed_sequence(rng))


def as_seed_sequence(rng):
    """Return the SeedSequence that `rng` stands for; a Generator gives a child by spawning."""
    if isinstance(rng, np.random.Generator):
        return rng.bit_generator.seed_seq.spawn(1)[0]
    if isinstance(rng, np.random.SeedSequence):
        return rng
    if isinstance(rng, numbers.Integral) and not isinstance(rng, bool) and rng >= 0:
        return np.random.SeedSequence(int(rng))
    raise refuse("rng", rng, "be a seed or a source of random numbers", _REMEDY)


def realisation(rng, index):
    """Return the Generator of realisation `index`: the same whatever the number of workers or realisations drawn."""
    parent = as_seed_sequence(rng)
    return np.random.default_rng(
        np.random.SeedSequence(parent.entropy, spawn_key=(*parent.spawn_key, index))
    )


def describe(rng):
    """Return `rng` in words for a provenance record, sufficient to draw the same numbers again where that is possible."""
    if isinstance(rng, np.random.Generator):
        return (
            f"Generator({type(rng.bit_generator).__name__}, {describe(rng.bit_generator.seed_seq)})"
        )
    if isinstance(rng, np.random.SeedSequence):
        return f"SeedSequence({rng.entropy}, spawn_key={tuple(rng.spawn_key)})"
    return repr(rng)
