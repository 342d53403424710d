"""Matrix products in a promised order: exact on whole numbers of every small shape, where any order gives numpy's bits."""

import numpy as np
import pytest

from multifractal.base.products import add_product, product

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8])
def test_products_of_every_small_shape(n):
    """Rows beyond a multiple of four, odd depths, one column and more than a tile hold."""
    draw = np.random.default_rng(n)
    for depth in (1, 2, 3, 6):
        for width in (1, 2, 5, 300):
            left, right = (
                draw.integers(-9, 9, s).astype(float) for s in ((n, depth), (depth, width))
            )
            np.testing.assert_array_equal(product(left, right), left @ right)


def test_a_product_is_added_to_what_is_there():
    """The chosen columns of the right factor go to the first columns of a sum; nothing else is written."""
    draw = np.random.default_rng(0)
    left, right, start = (draw.integers(-9, 9, s).astype(float) for s in ((5, 3), (3, 7), (5, 4)))
    out = start.copy()
    add_product(left, right, 2, 5, out)
    np.testing.assert_array_equal(out[:, :3], start[:, :3] + left @ right[:, 2:5])
    np.testing.assert_array_equal(out[:, 3], start[:, 3])
