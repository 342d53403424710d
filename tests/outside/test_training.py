"""Full-batch training and the embedding of its path against torch, scipy's tests of randomness and scikit-learn."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.manifold import TSNE, trustworthiness

from multifractal import embed_path
from multifractal.training.full_batch import FullBatchDescent

ROWS, HIDDEN = 64, 16


def _descent(dropout, seed=0):
    generator = np.random.default_rng(0)
    inputs, target = generator.normal(size=(ROWS, 5)), generator.normal(size=ROWS)
    return FullBatchDescent(
        inputs,
        target,
        n_train=ROWS,
        learning_rate=0.1,
        dropout=dropout,
        seed=seed,
        dtype=np.float64,
    )


@pytest.mark.parametrize("dropout", [0.5, 0.75])
def test_dropout_masks_pass_scipys_tests_of_randomness(dropout):
    """4000 epochs of masks: kept cells are binomial, in every cell, and no cell, epoch or seed tells another's.

    Binomial and chi-squared laws by scipy; correlations of +-1 signs are normal of variance 1/n: 5 standard errors.
    """
    n = 4000
    kept = _descent(dropout).masks(0, n).reshape(n, -1)
    share = 1 - dropout
    assert stats.binomtest(int(kept.sum()), kept.size, share).pvalue > 1e-6
    per_cell = (kept.sum(axis=0) - n * share) ** 2 / (n * share * dropout)
    assert 1e-6 < stats.chi2(kept.shape[1]).cdf(per_cell.sum()) < 1 - 1e-6
    per_epoch = (kept.sum(axis=1) - kept.shape[1] * share) ** 2 / (kept.shape[1] * share * dropout)
    assert 1e-6 < stats.chi2(n).cdf(per_epoch.sum()) < 1 - 1e-6
    sign = (kept - share) / np.sqrt(share * dropout)
    other = (_descent(dropout, seed=1).masks(0, n).reshape(n, -1) - share) / np.sqrt(
        share * dropout
    )
    for a, b in (
        (sign[1:], sign[:-1]),
        (sign[:, 1:], sign[:, :-1]),
        (sign[:, HIDDEN:], sign[:, :-HIDDEN]),
        (sign, other),
    ):
        assert abs(np.mean(a * b)) < 5 / np.sqrt(a.size)
    assert np.array_equal(_descent(dropout).masks(7, 3), kept.reshape(n, HIDDEN, ROWS)[7:10])


def _clusters():
    """A path that visits four places in ten dimensions, 60 steps each."""
    generator = np.random.default_rng(4)
    return np.concatenate(
        [10 * generator.normal(size=10) + generator.normal(size=(60, 10)) for _ in range(4)]
    )


def test_the_map_keeps_neighbours_as_scikit_learns_does():
    """Trustworthiness (Venna & Kaski 2001, by scikit-learn) is that of scikit-learn's own t-SNE to .02, and beats the plane's."""
    path = _clusters()
    ours = embed_path(path, sample=240, perplexity=20, rng=0, progress=False)
    theirs = TSNE(perplexity=20, init="pca", random_state=0).fit_transform(path)
    score = trustworthiness(path, ours.points, n_neighbors=10)
    assert score == pytest.approx(trustworthiness(path, theirs, n_neighbors=10), abs=0.02)
    assert score > trustworthiness(path, ours.components[:, :2], n_neighbors=10)


def test_components_are_those_of_torchs_svd():
    """The two components and their shares of the variance agree with a singular value decomposition, up to sign."""
    path = _clusters()
    found = embed_path(path, sample=240, perplexity=20, rng=0, progress=False)
    centred = torch.tensor(path - path.mean(axis=0))
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    share = (s**2 / (s**2).sum()).numpy()
    assert found.explained[:2] == pytest.approx(share[:2], rel=1e-9)
    for k in range(2):
        wanted = (u[:, k] * s[k]).numpy()
        assert np.abs(found.components[:, k] @ wanted) == pytest.approx(wanted @ wanted, rel=1e-9)
