"""Figures of the analysis: each draws what it is given; the interactive page needs no network."""

import matplotlib as mpl
import numpy as np
import pytest

from multifractal import (
    descend,
    figures,
    local_hoelder,
    multifractal_spectrum,
    shuffle_within_blocks,
)

mpl.use("Agg")
ROUGH = np.random.default_rng(0).normal(size=(257, 257)).cumsum(axis=0).cumsum(axis=1)
PUBLISHED = {"hq": np.linspace(0.8, 0.2, 5)[None], "Dq": np.array([[1.5, 1.9, 2.0, 1.9, 1.5]])}


def test_model_spectra_draw_ours_and_the_published():
    """A single spectrum, several as a mean, and a published one give three labelled curves in one panel."""
    spectrum = multifractal_spectrum(ROUGH)
    ax = figures.model_spectra(
        {"a": spectrum, "b": [spectrum, spectrum]}, {"a": PUBLISHED}, theory={"b": (0.5, 2.0)}
    )
    labels = ax.get_legend_handles_labels()[1]
    assert sorted(labels) == ["a, ours", "a, published", "b, law", "b, ours (mean of 2, bars: sd)"]
    drawn = {line.get_label(): line for line in ax.lines}["a, published"]
    ours = [container.lines[0].get_color() for container in ax.containers]
    assert len({*ours, drawn.get_color()}) == 3
    assert np.array_equal(drawn.get_xdata(), PUBLISHED["hq"][0])


def test_missing_epochs_are_named():
    """Only available epochs get a panel, and the title names the missing one."""
    axes = figures.published_epochs({1: PUBLISHED, 10: PUBLISHED, 20: None})
    assert len(axes) == 2
    assert "epoch 20 not available" in axes[0].figure.get_suptitle()
    with pytest.raises(ValueError, match="hold the spectrum of an epoch"):
        figures.published_epochs({1: None})


def test_section_spectra_show_the_verdict():
    """A panel for each section, its title the verdict; intervals and the shuffled spectrum are drawn when given."""
    spectra = {
        "first": multifractal_spectrum(ROUGH, n_bootstrap=9, rng=0),
        "second": multifractal_spectrum(ROUGH),
    }
    axes = figures.section_spectra(
        spectra, {"first": multifractal_spectrum(shuffle_within_blocks(ROUGH, rng=0))}
    )
    told = axes[0].get_title().replace(",\n", ", ").replace(";\n", "; ")
    assert spectra["first"].diagnostics.verdict in told
    assert len(axes[0].get_legend_handles_labels()[1]) == 2


def test_a_section_is_cut_for_display(tmp_path):
    """The relief is cut 10 above the minimum, and the page carries its own plotly and is not overwritten unasked."""
    loss = np.add.outer(np.arange(40.0), np.arange(30.0))
    ax = figures.section_relief(loss, (np.linspace(-1, 1, 30), np.linspace(-1, 1, 40)))
    assert ax.get_zlim()[1] < 11
    assert "above the cut at minimum + 10" in ax.get_title()
    walk = descend(loss, (5.0, 5.0), learning_rate=0.1, n_steps=3)
    page = figures.write_section_page(tmp_path / "section.html", loss, walk=walk, title="A <plane>")
    text = page.read_text()
    assert "A &lt;plane&gt;" in text
    assert all(f'"name":"{name}"' in text for name in ("walk", "start", "finish"))
    assert "<script src=" not in text
    assert len(text) > 1_000_000
    with pytest.raises(FileExistsError):
        figures.write_section_page(page, loss)


def test_hoelder_maps_share_their_colours():
    """Prescribed and recovered map have the same colour scale."""
    found = local_hoelder(ROUGH, 8)
    prescribed = np.full(ROUGH.shape, 0.5) + np.linspace(-0.1, 0.1, 257)
    axes = figures.hoelder_maps(prescribed, found, border=16)
    assert axes[0].images[0].get_clim() == axes[1].images[0].get_clim()
    error = np.sqrt(np.mean((found.hoelder - prescribed)[16:-16, 16:-16] ** 2))
    assert f"rms error {error:.4f}" in axes[2].get_title()
    assert axes[2].collections[0].get_array().sum() == 225**2
    with pytest.raises(ValueError, match="border must leave some pixels"):
        found.compared_with(prescribed, border=129)
