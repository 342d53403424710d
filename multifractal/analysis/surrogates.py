"""Surrogates: images that keep part of what an image has, to see what an estimate rests on."""

from __future__ import annotations

from multifractal.base.checks import finite_array, whole_number
from multifractal.base.deprecation import renamed
from multifractal.base.rng import as_generator
from multifractal.base.types import Array, Rng
from multifractal.landscapes.landscape import LandscapeLike


@renamed(values="landscape")
def shuffle_within_blocks(landscape: LandscapeLike, block: int = 4, *, rng: Rng) -> Array:
    """Return the image with its pixels shuffled within square blocks: the envelope stays, order at pixel scale is lost.

    An exponent that survives this is one of noise and of its envelope, not of a rough surface.

    Parameters
    ----------
    landscape : Landscape or array_like of shape (rows, cols)
    block : int
        Side of the blocks in pixels, at least 2; those at the lower and right border are cut. Default 4 (our choice).
    rng : int, SeedSequence or Generator

    Returns
    -------
    ndarray, shape (rows, cols)

    Raises
    ------
    ValueError
        When the values are no finite image, or `block` is below 2.
    """
    shuffled = finite_array("landscape", landscape, ndim=2).copy()
    whole_number("block", block, minimum=2)
    generator = as_generator(rng)
    for i in range(0, shuffled.shape[0], block):
        for k in range(0, shuffled.shape[1], block):
            patch = shuffled[i : i + block, k : k + block]
            patch[:] = generator.permutation(patch.ravel()).reshape(patch.shape)
    return shuffled
