"""Figures of what the paper shows besides its exponents: continuous tracks, all sections, its own pictures of paths."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from multifractal import Provenance, descend, fbm_surface, figures
from multifractal.training.embedding import PathEmbedding


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_tracks_are_drawn_as_they_are():
    """The grid positions, both unfoldings and the paper's track are each one line of the figure, point by point."""
    surface = fbm_surface(64, 0.4, rng=0)
    exact, published = (
        descend(surface, (30, 30), learning_rate=1000, n_steps=50, unfold=unfold)
        for unfold in ("exact", "published")
    )
    assert not np.allclose(exact.unfolded, published.unfolded), "no step of this walk is reflected"
    theirs = np.random.default_rng(0).uniform(0, 63, (40, 2))
    drawn = [line.get_xydata() for line in figures.unfolded_tracks(exact, published, theirs).lines]
    for track in (exact.positions, exact.unfolded, published.unfolded, theirs):
        assert any(line.shape == track.shape and np.array_equal(line, track) for line in drawn)


def test_every_section_has_a_panel():
    """Three sections make three panels, named, each with the share that lies above the cut."""
    rng = np.random.default_rng(1)
    sections = {name: 20 * rng.random((33, 33)) for name in ("one", "two", "three")}
    axes = figures.sections_in_relief(sections)
    assert [ax.get_title().splitlines()[0] for ax in axes] == list(sections)
    share = np.mean(sections["one"] > sections["one"].min() + 10)
    assert f"{share:.0%}" in axes[0].get_title()


def test_published_pictures_stand_below_ours():
    """One run and two published t-SNE make four panels; the last two hold the published points."""
    rng = np.random.default_rng(2)
    ours = PathEmbedding(
        points=rng.random((50, 2)),
        components=rng.random((50, 2)),
        explained=np.array([0.7, 0.3]),
        sample=np.arange(10),
        first=0,
        perplexity=5.0,
        provenance=Provenance("test"),
    )
    theirs = {"a": rng.random((30, 2)), "b": rng.random((40, 2))}
    axes = figures.training_paths({"run": ours}, published=theirs)
    assert len(axes) == 4
    for ax, (title, points) in zip(axes[2:], theirs.items(), strict=True):
        assert ax.get_title() == title
        np.testing.assert_array_equal(ax.collections[0].get_offsets(), points)
    assert len(figures.training_paths({"run": ours})) == 2
