"""Landscape: derivatives against numpy, interpolation against the naive twin, saving, and refusals."""

import re

import numpy as np
import pytest

from multifractal import DamagedFileError, Landscape
from tests.helpers import naive

pytestmark = pytest.mark.quick


@pytest.fixture
def landscape():
    """A rough non-square landscape."""
    return Landscape(np.random.default_rng(0).normal(size=(37, 300)), hoelder=0.5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 4), (5, 9), (700, 31)])
def test_gradient_is_numpys_to_the_bit(shape, dtype):
    """The gradient equals numpy.gradient bit for bit, in the values' dtype."""
    values = np.random.default_rng(1).normal(size=shape).astype(dtype)
    assert np.array_equal(Landscape(values).gradient, naive.gradient(values))
    assert Landscape(values).gradient.dtype == dtype


@pytest.mark.parametrize("shape", [(4, 4), (6, 23), (300, 17)])
def test_hessian_eigenvalues_are_lapacks(shape):
    """Closed-form eigenvalues agree with LAPACK to rounding."""
    values = np.random.default_rng(2).normal(size=shape)
    np.testing.assert_allclose(
        Landscape(values).hessian_eigenvalues, naive.hessian_eigenvalues(values), atol=1e-14
    )


def test_interpolation_matches_the_naive_twin_bit_for_bit(landscape):
    """Value and gradient at random positions, on walls, corners and integer coordinates equal the naive twin's."""
    rng = np.random.default_rng(3)
    xy = rng.uniform(0, [299, 36], size=(200, 2))
    xy = np.concatenate(
        [
            xy,
            np.floor(xy),
            [[0, 0], [299, 36], [299, 5.5], [4.25, 36]],
            np.column_stack([np.floor(xy[:, 0]), xy[:, 1]]),
        ]
    )
    expected = [naive.interpolate(landscape.values, x, y) for x, y in xy]
    assert np.array_equal(landscape.value_at(xy), expected)
    gradient = [
        [naive.interpolate(landscape.gradient[..., k], x, y) for k in (0, 1)] for x, y in xy
    ]
    assert np.array_equal(landscape.gradient_at(xy), gradient)


def test_interpolation_keeps_leading_shape_and_nan(landscape):
    """Positions of shape (..., 2) give values of shape (...), and NaN gives NaN."""
    xy = np.full((3, 5, 2), 2.5)
    xy[1, 2] = np.nan
    assert landscape.value_at(xy).shape == (3, 5)
    assert landscape.gradient_at(xy).shape == (3, 5, 2)
    assert np.isnan(landscape.value_at(xy)).sum() == 1
    assert landscape.value_at([7, 8]) == landscape.values[8, 7]


def test_save_and_load_give_the_same_landscape(landscape, tmp_path):
    """Values, Hoelder map and provenance survive a round trip; an existing file is not overwritten."""
    path = tmp_path / "surface.npz"
    landscape.save(path)
    again = Landscape.load(path)
    assert np.array_equal(again.values, landscape.values)
    assert np.array_equal(again.hoelder, landscape.hoelder)
    assert again.provenance == landscape.provenance
    with pytest.raises(FileExistsError, match="overwrite=True"):
        landscape.save(path)


def test_a_flipped_byte_is_noticed(landscape, tmp_path):
    """No single flipped byte of a saved file loads as a different landscape."""
    path = tmp_path / "surface.npz"
    landscape.save(path)
    whole = path.read_bytes()
    for position in np.random.default_rng(4).integers(0, len(whole), 60):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        try:
            again = Landscape.load(path)
        except DamagedFileError:
            continue
        assert np.array_equal(again.values, landscape.values)
        assert np.array_equal(again.hoelder, landscape.hoelder)


@pytest.mark.parametrize(
    ("values", "hoelder", "words"),
    [
        (np.zeros((3, 9)), None, "values must be at least 4x4, got (3, 9)"),
        (np.zeros(9), None, "values must have 2 dimension(s), got (9,)"),
        (np.where(np.arange(36).reshape(6, 6) == 9, np.inf, 0.0), None, "at index (1, 3)"),
        (np.zeros((6, 6)), 1.2, "hoelder must lie in (0, 1), got"),
        (
            np.zeros((6, 6)),
            np.full((6, 5), 0.5),
            "hoelder must be a number or have the shape (6, 6)",
        ),
        (np.zeros((6, 6)), np.nan, "hoelder must be finite"),
    ],
)
def test_bad_input_is_refused_with_its_rule(values, hoelder, words):
    """Each refusal names the argument, its value and the rule."""
    with pytest.raises(ValueError, match=re.escape(words)):
        Landscape(values, hoelder)


def test_positions_outside_are_refused(landscape):
    """A position beyond a wall is refused with the walls."""
    with pytest.raises(ValueError, match=re.escape("0 <= x <= 299 and 0 <= y <= 36")):
        landscape.value_at([[3, 4], [299.5, 4]])


def test_a_change_of_the_array_does_not_reach_the_landscape():
    """Values, gradient and Hessian belong together, whatever happens to the array that was passed."""
    values = np.random.default_rng(0).normal(size=(8, 9))
    landscape = Landscape(values)
    before = landscape.values.copy()
    _ = landscape.gradient
    values[:] = 0
    assert np.array_equal(landscape.values, before)
    assert np.array_equal(landscape.gradient[..., 0], np.gradient(before)[1])
