"""Lines: exact fractional Brownian ones are never called smooth, smooth ones and ReLU's kinks always are."""

import numpy as np
import pytest

import multifractal as mf
from multifractal.analysis import lines

pytestmark = pytest.mark.quick
X = np.linspace(-1, 1, 257)


@pytest.mark.parametrize("hurst", [0.2, 0.5, 0.8, 0.9])
def test_rough_lines_are_not_smooth(hurst):
    """Of 40 sets of 8 exact lines none is clearly smooth; the exponent from 1 to 2 steps is theirs within 4 standard errors."""
    rows = mf.fbm_surface(320, hurst, rng=0).values[:, :257].reshape(40, 8, 257)
    assert not any(lines.clearly_smooth(of_place, 2.0**-52) for of_place in rows)
    found = [
        lines.exponents(lines.mean_squares(of_place, np.array([1, 2]))[1]) for of_place in rows
    ]
    error = np.std(found) / np.sqrt(40)
    assert abs(np.mean(found) - hurst) < 4 * error + 0.02  # neighbouring rows are related


def test_smooth_lines_and_kinks_are():
    """A parabola has exponent 2, a sum of 5 kinks about 1.5; both are clearly smooth, and so is one rough line of eight not."""
    generator = np.random.default_rng(0)
    cubic = np.array([a * X**3 + X**2 for a in range(1, 9)])
    kinks = np.array(
        [np.abs(X[:, None] - generator.uniform(-1, 1, 5)).sum(axis=1) for _ in range(8)]
    )
    law = lines.exponents(lines.mean_squares(np.tile(X**2, (8, 1)), np.array([1, 2, 4]))[1])
    np.testing.assert_allclose(law, 2.0, atol=1e-9)
    # the mean square of a kink's second differences is 2/3 lag^3 over all its places within a step
    law = lines.exponents(lines.mean_squares(kinks, np.array([1, 2, 4]))[1])
    np.testing.assert_allclose(law, 1.5, atol=0.1)
    assert lines.clearly_smooth(cubic, 2.0**-52)
    assert lines.clearly_smooth(kinks, 2.0**-52)
    one_rough = cubic.copy()
    one_rough[3] += mf.fbm_surface(257, 0.5, rng=1).values[0]
    assert not lines.clearly_smooth(one_rough, 2.0**-52)
    assert not lines.clearly_smooth(np.ones((8, 257)) + X, 2.0**-52)  # straight: rounding only


def test_the_interval_leaves_out_a_line_at_a_time():
    """Eight equal lines have an interval of no width; the estimate lies in that of eight different ones."""
    equal = np.tile(X**2 + X**3, (8, 1))
    second = lines.mean_squares(equal, np.array([1, 2, 4]))[1]
    low, high = lines.exponents_interval(second)
    np.testing.assert_allclose(low, high, atol=1e-9)
    second = np.random.default_rng(0).exponential(size=(4, 8)) * np.array([[1], [4], [16], [64]])
    low, high = lines.exponents_interval(second)
    assert (low < lines.exponents(second)).all()
    assert (lines.exponents(second) < high).all()


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize(("side", "smooth"), [(-1, False), (1, True)])
def test_a_line_is_smooth_from_an_exponent_of_five_quarters_on(monkeypatch, at, side, smooth):
    """One of three exponents a millionth to either side of 1.25, the others 2."""
    exponents = np.full(3, 2.0)
    exponents[at] = 1.25 + side * 1e-6
    second = 4.0 ** np.append(0, np.cumsum(exponents))[:, None] * np.ones(8)
    monkeypatch.setattr(lines, "mean_squares", lambda values, lags: (None, second))
    assert lines.clearly_smooth(np.ones((8, 9)), 1e-6) == smooth


@pytest.mark.parametrize(("side", "smooth"), [(-1, False), (1, True)])
def test_a_line_is_told_beyond_64_roundings(side, smooth):
    """Parabolas of second difference 1 of either sign, whose largest value is such that 64 roundings of it are 1, or nearly."""
    t = np.arange(17.0)
    values = np.array([(t**2 / 2 - 130) * sign for sign in (-1, 1)])
    assert np.abs(values).max() == 130
    assert lines.clearly_smooth(values, (1 - side * 1e-6) / (64 * 130)) == smooth
