"""Masked entries are seen whatever wraps them, and no function takes their fill values for data."""

import numpy as np
import pytest

import multifractal as mf
from multifractal.base.checks import finite_unless_masked, mask_of, real_array

SURFACE = np.random.default_rng(0).normal(size=(96, 80)).cumsum(axis=0).cumsum(axis=1)
HOLE = np.zeros(SURFACE.shape, bool)
HOLE[40:44, 30:33] = True
FILLED = np.where(HOLE, 1e20, SURFACE)
MASKED = np.ma.masked_array(FILLED, HOLE)


class Quantity:
    """An array with a unit, as pint keeps it."""

    def __init__(self, magnitude):
        self.magnitude = magnitude

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.magnitude, dtype)


class Labelled(Quantity):
    """An array with labels, as xarray keeps it."""

    def __init__(self, data):
        self.data = data

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.data, dtype)


class Masked(np.ndarray):
    """An array class with a mask of its own, as astropy has."""

    mask = HOLE


WRAPPED = {
    "numpy": MASKED,
    "units": Quantity(MASKED),
    "labels": Labelled(MASKED),
    "labels over units": Labelled(Quantity(MASKED)),
    "a class of its own": FILLED.view(Masked),
    "rows": list(MASKED),
}


@pytest.mark.parametrize("how", WRAPPED)
def test_a_mask_is_seen(how):
    """Where, whatever wraps it; it is refused with its count, or read as NaN where a formula leaves it out."""
    assert np.array_equal(mask_of(WRAPPED[how]), HOLE)
    with pytest.raises(ValueError, match="values must hold no masked entries, got '12 masked entr"):
        real_array("values", WRAPPED[how])
    read = finite_unless_masked("values", WRAPPED[how], ndim=2)
    assert np.array_equal(np.isnan(read), HOLE)
    assert np.array_equal(read[~HOLE], SURFACE[~HOLE])


@pytest.mark.parametrize(
    "values", [SURFACE, [1.0, 2.0], 3, [[1], [2]], np.ma.array([1.0]), (), "a"]
)
def test_nothing_is_masked(values):
    """Arrays, numbers, lists, and masked arrays of which no entry is masked."""
    assert mask_of(values) is None


def test_a_single_masked_number_in_a_list_is_seen():
    """Numpy makes a NaN, or the fill value, of it."""
    assert mask_of([1.0, np.ma.masked, 2.0]).tolist() == [False, True, False]


def test_an_unmasked_nan_of_a_masked_array_is_still_refused():
    """Only what is masked may be missing."""
    bad = MASKED.copy()
    bad[0, 5] = np.nan
    with pytest.raises(ValueError, match=r"index \(0, 5\)"):
        finite_unless_masked("values", bad)


def test_the_variogram_leaves_masked_pixels_out():
    """The mean over the pairs of which neither pixel is masked, as written; without a mask the same bits as before."""
    found = mf.variogram(MASKED, [1, 3])
    for k, lag in enumerate((1, 3)):
        down = [
            (SURFACE[i + lag, j] - SURFACE[i, j]) ** 2
            for i in range(96 - lag)
            for j in range(80)
            if not HOLE[i, j] and not HOLE[i + lag, j]
        ]
        assert found.along_y[k] == pytest.approx(np.mean(down), rel=1e-12)
    unmasked = np.ma.masked_array(SURFACE, np.zeros(SURFACE.shape, bool))
    assert np.array_equal(mf.variogram(unmasked).values, mf.variogram(SURFACE).values)


@pytest.mark.parametrize(
    "door",
    [
        mf.Landscape,
        mf.power_spectrum,
        lambda image: mf.local_hoelder(image, 4),
        lambda image: mf.increment_law(image, rng=0),
        lambda image: mf.noise_share(image, rng=0),
        lambda image: mf.shuffle_within_blocks(image, rng=0),
        lambda image: mf.mbm_surface(np.ma.masked_array(np.full((64, 64), 0.5), np.eye(64)), rng=0),
        lambda image: mf.model_of_section(image, rng=0),
        lambda image: mf.descend(
            mf.Landscape(SURFACE),
            np.ma.masked_array([3.0, 4.0], [True, False]),
            learning_rate=1,
            n_steps=2,
        ),
        lambda image: mf.embed_path(image),
        lambda image: mf.diffusion_exponent(
            [1, 2, 3, 4], np.ma.masked_array([1.0, 2, 3, 4], [1, 0, 0, 0]), lag_range=(1, 4)
        ),
    ],
)
def test_doors_that_cannot_leave_them_out_refuse(door):
    """A mask is refused where no formula is exact without the entry."""
    with pytest.raises(ValueError, match="must hold no masked entries"):
        door(MASKED)
