"""A picture of a long path in many dimensions: principal components, and t-SNE of a sample with the rest placed exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from tqdm.auto import tqdm

from multifractal.base.checks import positive_number, real_array, refuse, require, whole_number
from multifractal.base.chunks import thread_count
from multifractal.base.result import Provenance, Result
from multifractal.base.rng import as_generator
from multifractal.base.types import ArrayLike, Rng

_ROWS = 16_384  # rows taken from disk at a time


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class PathEmbedding(Result):
    """Two pictures of one path, one point for each of its positions.

    Attributes
    ----------
    points : ndarray, shape (n, 2), float64
        By t-SNE; a position outside the sample has the point of its nearest sampled one.
    components : ndarray, shape (n, 2), float64
        Coordinates along the first two principal components.
    explained : ndarray, shape (parameters,)
        Share of the variance of each principal component, descending.
    sample : ndarray, shape (sample,)
        Which of the n positions t-SNE saw.
    first : int
        Index, in the whole path, of the first of the n positions.
    perplexity : float
    provenance : Provenance
    """

    points: np.ndarray
    components: np.ndarray
    explained: np.ndarray
    sample: np.ndarray
    first: int
    perplexity: float
    provenance: Provenance


def embed_path(
    positions: ArrayLike,
    *,
    last: int = 500_000,
    sample: int = 10_000,
    perplexity: float = 500,
    rng: Rng = 0,
    progress: bool = True,
) -> PathEmbedding:
    """Embed a path in two dimensions by t-SNE of a sample and by principal components.

    Parameters
    ----------
    positions : array_like, shape (T, d)
        The path; a memory map is read a block at a time.
    last : int, default 500 000 (paper)
        How many of the last positions are embedded; all if there are fewer.
    sample : int, default 10 000 (paper)
        How many of them t-SNE places; all if there are fewer. One is drawn from each of as many equal stretches (our choice:
        equal spacing would see one side only of a path that swings between two, as it does at the edge of stability).
    perplexity : float, default 500 (paper)
        At most (sample - 1) / 3.
    rng : int, SeedSequence or Generator
        Seed of the sample and of t-SNE, which starts from the principal components.
    progress : bool
        Whether progress bars are shown when the output is a terminal or a notebook.

    Returns
    -------
    PathEmbedding

    Raises
    ------
    ValueError
        When the path has another shape, holds NaN (the row is named), does not move, or is too short for the perplexity.
    """
    positions = real_array("positions", positions)
    require(
        positions.ndim == 2 and positions.shape[1] >= 2 and len(positions) >= 4,
        "positions",
        positions.shape,
        "have shape (T, d) with T >= 4 and d >= 2",
        "stack positions first",
    )
    window = positions[-whole_number("last", last) :]
    first = len(positions) - len(window)
    n_sampled = min(whole_number("sample", sample), len(window))
    perplexity = positive_number("perplexity", perplexity)
    most = (n_sampled - 1) / 3
    require(
        perplexity <= most,
        "perplexity",
        perplexity,
        f"be at most {most:g}, a third of the sampled positions",
        "pass a smaller perplexity or a longer path",
    )
    generator = as_generator(rng)
    drawn = _one_of_each_stretch(len(window), n_sampled, generator)
    mean, axes, explained = _principal_axes(window, first)
    rotated = (window[drawn] - mean) @ axes
    placed = _tsne(rotated, perplexity, int(generator.integers(2**31)), progress)
    points, components = _place_all(window, mean, axes, rotated, placed, progress)
    provenance = Provenance.of(
        "embed_path",
        rng=rng,
        packages=("numpy", "scipy", "openTSNE"),
        positions=positions,
        last=last,
        sample=n_sampled,
        perplexity=perplexity,
    )
    return PathEmbedding(
        points=points,
        components=components,
        explained=explained,
        sample=drawn,
        first=first,
        perplexity=perplexity,
        provenance=provenance,
    )


def _one_of_each_stretch(n, n_sampled, generator):
    """Return one random index of each of `n_sampled` stretches of 0 ... n - 1 whose lengths differ by at most one."""
    first = np.arange(n_sampled + 1) * n // n_sampled
    return generator.integers(first[:-1], first[1:])


def _blocks(window):
    return (
        (start, np.asarray(window[start : start + _ROWS], np.float64))
        for start in range(0, len(window), _ROWS)
    )


def _principal_axes(window, first):
    """Return mean, principal axes (columns) and their shares of the variance, in float64, a block at a time."""
    mean, scatter = np.zeros(window.shape[1]), np.zeros((window.shape[1],) * 2)
    for start, block in _blocks(window):
        bad = ~np.isfinite(block).all(axis=1)
        if bad.any():
            raise refuse(
                "positions",
                block[bad][0],
                f"be finite (row {first + start + int(np.argmax(bad))})",
                "leave out what follows a divergence",
            )
        mean += block.sum(axis=0) / len(window)
    for _, block in _blocks(window):
        scatter += (block - mean).T @ (block - mean)
    variances, axes = np.linalg.eigh(scatter)
    require(variances[-1] > 0, "positions", window[0], "move", "pass a path that is not constant")
    axes = axes[:, ::-1] * np.where(axes[:, ::-1].sum(axis=0) < 0, -1, 1)  # a fixed choice of sign
    return mean, axes, np.maximum(variances[::-1], 0) / variances.sum()


def _tsne(rotated, perplexity, seed, progress):
    import openTSNE

    with tqdm(desc="t-SNE", total=750, disable=None if progress else True) as bar:

        def report(iteration, error, embedding):
            bar.update(50)

        # The rotation into principal axes leaves distances alone, and the first two columns are the usual start. One thread:
        # openTSNE's OpenMP threads wait by spinning, which on a busy machine takes 3 to 6 times as long (measured).
        start = rotated[:, :2] / rotated[:, 0].std() * 1e-4
        return np.array(
            openTSNE.TSNE(
                perplexity=perplexity,
                initialization=start,
                neighbors="exact",
                random_state=seed,
                n_jobs=1,
                callbacks=report,
                callbacks_every_iters=50,
            ).fit(rotated)
        )


def _place_all(window, mean, axes, rotated, placed, progress):
    """Give each position the point of its nearest sampled one (exact), and its first two principal coordinates."""
    tree, points, components = (
        cKDTree(rotated),
        np.empty((len(window), 2)),
        np.empty((len(window), 2)),
    )
    with tqdm(
        desc="nearest neighbours", total=len(window), disable=None if progress else True
    ) as bar:
        for start, block in _blocks(window):
            here = (block - mean) @ axes
            points[start : start + len(here)] = placed[tree.query(here, workers=thread_count())[1]]
            components[start : start + len(here)] = here[:, :2]
            bar.update(len(here))
    return points, components
