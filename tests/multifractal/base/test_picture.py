"""`thing.plot()` and what a notebook shows of it."""

import base64

import matplotlib
import numpy as np
import pytest

import multifractal as mf

matplotlib.use("agg")
pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def things():
    """Return one of each kind of the model half that has a picture, by its class."""
    surface = mf.fbm_surface(257, 0.5, rng=0)
    walk = mf.descend(surface, [60.0, 60.0], learning_rate=20, n_steps=200)
    moved = mf.tamsd(walk.unfolded, waiting_times=[0, 50], lag_times=[1, 2, 4], window=100)
    spectrum = mf.multifractal_spectrum(surface, n_bootstrap=19, rng=0)
    return {type(thing).__name__: thing for thing in (surface, walk, moved, spectrum)}


@pytest.mark.parametrize("kind", ["Landscape", "Walk", "Displacement", "Spectrum"])
def test_a_notebook_shows_a_picture(things, kind):
    """Words, and a PNG that is one."""
    shown = things[kind]._repr_html_()
    assert shown.startswith("<pre>")
    assert base64.b64decode(shown.partition("base64,")[2][:24]).startswith(b"\x89PNG")


def test_the_picture_holds_the_numbers(things):
    """The artists are read back: the map's pixels, the walk's losses, the mean curve, the spectrum."""
    axes = things["Landscape"].plot()
    assert (axes.images[0].get_array() == things["Landscape"].values).all()
    _, loss = things["Walk"].plot()
    assert (loss.lines[0].get_ydata() == things["Walk"].losses).all()
    curve = things["Displacement"].plot().lines[1]
    assert (curve.get_ydata() == things["Displacement"].values[1]).all()
    points = things["Spectrum"].plot().lines[0]
    assert (np.array(points.get_data()) == [things["Spectrum"].h, things["Spectrum"].D]).all()


def test_what_cannot_be_drawn_is_still_told(things, monkeypatch):
    """A failing picture leaves the words and the reason, escaped."""
    monkeypatch.setattr(
        type(things["Landscape"]), "plot", lambda self: (_ for _ in ()).throw(ValueError("a < b"))
    )
    assert "not drawn: a &lt; b" in things["Landscape"]._repr_html_()
