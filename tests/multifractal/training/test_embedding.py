"""Embedding of a path: components against scikit-learn's, the rest placed by exact nearest neighbours, refusals."""

import re

import numpy as np
import pytest
from sklearn.decomposition import PCA

from multifractal import PathEmbedding, embed_path
from tests.helpers import naive

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def path():
    """A float32 walk in 12 dimensions that jumps far away half-way."""
    steps = np.random.default_rng(0).normal(size=(700, 12)) * np.linspace(1, 0.1, 12)
    steps[350] += 300
    return np.cumsum(steps, axis=0).astype(np.float32)


@pytest.fixture(scope="module")
def embedding(path):
    """Its last 600 positions embedded from 200 of them."""
    return embed_path(path, last=600, sample=200, perplexity=10)


def test_principal_components_are_scikit_learns(path, embedding):
    """Coordinates (up to sign) and shares of the variance agree with an exact decomposition to float64 rounding."""
    exact = PCA(svd_solver="full").fit(path[100:].astype(np.float64))
    expected = exact.transform(path[100:].astype(np.float64))[:, :2]
    expected *= np.sign((expected * embedding.components).sum(axis=0))
    np.testing.assert_allclose(embedding.components, expected, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_allclose(embedding.explained, exact.explained_variance_ratio_, atol=1e-12)


def test_each_position_stands_at_its_nearest_sampled_one(path, embedding):
    """Sampled positions keep their own points; every other has the point of the naive twin's nearest sampled position."""
    window = path[100:].astype(np.float64)
    nearest = naive.nearest(window, window[embedding.sample])
    assert np.array_equal(embedding.sample // 3, np.arange(200))  # one of each stretch of three
    assert embedding.first == 100
    assert len(embedding.sample) == len({tuple(point) for point in embedding.points}) == 200
    assert np.array_equal(nearest[embedding.sample], np.arange(200))
    assert np.array_equal(embedding.points, embedding.points[embedding.sample][nearest])


def test_far_parts_of_the_path_stay_apart(embedding):
    """The two halves, 300 apart with steps of 1, do not mix: every point is nearer to its own half's centre."""
    early = np.arange(600) < 250
    centres = np.array(
        [embedding.points[early].mean(axis=0), embedding.points[~early].mean(axis=0)]
    )
    assert np.array_equal(naive.nearest(embedding.points, centres) == 0, early)


def test_a_seed_repeats_the_bits_and_files_keep_them(path, embedding, tmp_path):
    """The same seed gives the same points; a file round trip keeps everything."""
    again = embed_path(path, last=600, sample=200, perplexity=10, progress=False)
    assert np.array_equal(again.points, embedding.points)
    embedding.save(tmp_path / "e.npz")
    assert np.array_equal(PathEmbedding.load(tmp_path / "e.npz").points, embedding.points)


@pytest.mark.parametrize(
    ("change", "settings", "words"),
    [
        (lambda p: p[:, 0], {}, "have shape (T, d)"),
        (lambda p: np.where(np.arange(len(p))[:, None] == 444, np.nan, p), {}, "finite (row 444)"),
        (np.zeros_like, {}, "positions must move"),
        (lambda p: p, {"perplexity": 67}, "perplexity must be at most 66.3333"),
        (lambda p: p, {"sample": 0}, "sample must be a whole number"),
        (lambda p: p, {"last": 2.5}, "last must be a whole number"),
    ],
)
def test_bad_input_is_refused(path, change, settings, words):
    """Each refusal names the argument and the rule, before t-SNE starts."""
    with pytest.raises(ValueError, match=re.escape(words)):
        embed_path(change(path), **{"last": 600, "sample": 200, "perplexity": 10} | settings)
