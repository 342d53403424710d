"""Matrix products in a promised order: exact on whole numbers of every small shape, where any order gives numpy's bits."""

import functools
import operator

import numpy as np
import pytest
from numba.core.errors import TypingError

from multifractal.base.products import add_product, add_scalar_products, product

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8])
def test_products_of_every_small_shape(n):
    """Rows beyond a multiple of four, odd depths, one column and more than a tile hold."""
    draw = np.random.default_rng(n)
    for depth in (1, 2, 3, 6, 67):
        for width in (1, 2, 5, 33, 600):
            left, right = (
                draw.integers(-9, 9, s).astype(float) for s in ((n, depth), (depth, width))
            )
            found = product(left, right)
            np.testing.assert_array_equal(found, left @ right)
            back = np.ones((n, depth))
            add_scalar_products(found, right, 0, width, back)
            np.testing.assert_array_equal(back, 1 + found @ right.T)


def test_a_product_is_added_to_what_is_there():
    """The chosen columns of the right factor go to the first columns of a sum; nothing else is written."""
    draw = np.random.default_rng(0)
    left, right, start = (draw.integers(-9, 9, s).astype(float) for s in ((5, 3), (3, 7), (5, 4)))
    out = start.copy()
    add_product(left, right, 2, 5, out)
    np.testing.assert_array_equal(out[:, :3], start[:, :3] + left @ right[:, 2:5])
    np.testing.assert_array_equal(out[:, 3], start[:, 3])


@pytest.mark.parametrize(("n", "width"), [(1, 53), (7, 53), (1, 10), (7, 16), (2, 17)])
def test_sums_are_rounded_in_the_written_order(n, width):
    """To the last bit: the sums over k one after another; scalar products in 16 partial sums, which are then added in order."""
    draw = np.random.default_rng(n)
    left, right, other = (draw.normal(size=s) for s in ((n, 67), (67, width), (n, width)))
    found, back = product(left, right), np.zeros((n, 67))
    add_scalar_products(other, right, 0, width, back)
    for i in range(n):
        in_order = np.zeros(width)
        for k in range(67):
            in_order += left[i, k] * right[k]
        np.testing.assert_array_equal(found[i], in_order)
        for k in range(67):
            terms = np.append(other[i] * right[k], np.zeros(64 - width)).reshape(4, 16)
            partial = np.zeros(16)
            for part in terms:
                partial += part
            assert back[i, k] == functools.reduce(
                operator.add, partial.tolist()
            )  # sum() is no loop from Python 3.12 on


def test_only_contiguous_rows_are_read_at_once():
    """The columns of a transposed matrix are refused when a kernel is compiled, rather than read wrongly."""
    with pytest.raises(TypingError, match="no contiguous row"):
        add_product(np.ones((4, 3)), np.ones((40, 3)).T, 0, 40, np.zeros((4, 40)))
