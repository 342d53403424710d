"""Sections whose nature is known are what their names say."""

from types import SimpleNamespace

import numpy as np
import pytest

from multifractal.measured import control_sections as controls

pytestmark = pytest.mark.quick
AXIS = np.linspace(-1, 1, 9)


def test_a_bowl_is_multiplied_by_noise():
    """Over the bowl 0.2 + x^2 + y^2 the logarithms are the normal numbers drawn, of standard deviation `NOISE`."""
    found = controls.noisy_bowl(9, np.random.default_rng(0))
    bowl = 0.2 + AXIS[:, None] ** 2 + AXIS**2
    drawn = np.random.default_rng(0).standard_normal((9, 9))
    np.testing.assert_allclose(np.log(found / bowl) / controls.NOISE, drawn, atol=1e-12)


@pytest.mark.parametrize(
    ("angle", "expected"), [(0.0, np.tile(AXIS, (9, 1))), (np.pi / 2, np.tile(AXIS[:, None], 9))]
)
def test_a_kink_bends_at_its_line(angle, expected, monkeypatch):
    """One kink of height -3 along x = 1/2, or y = 1/2: nothing before, and -3 (x - 1/2) behind it."""
    monkeypatch.setattr(controls, "KINKS", 1)
    drawn = iter([np.array([angle]), np.array([0.5])])
    rng = SimpleNamespace(uniform=lambda *_: next(drawn), standard_normal=lambda n: np.full(n, -3.0))  # fmt: skip
    found = controls.kinks(9, rng)
    np.testing.assert_allclose(found, -3 * np.maximum(expected - 0.5, 0), atol=1e-12)


def test_masks_are_fresh_at_each_point_or_one_for_all():
    """With one mask the section is the mean squared error of a ReLU network whose weights move along two directions, x first."""
    paired, fresh = (make(9, np.random.default_rng(5)) for make in (controls.paired_masks, controls.fresh_masks))  # fmt: skip
    roughness = [np.square(np.diff(loss, 2)).mean() for loss in (paired, fresh)]
    assert roughness[1] > 10 * roughness[0]
    rng = np.random.default_rng(5)
    rows, target = (
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((controls.ROWS, controls.FEATURES), controls.ROWS)
    )
    first = rng.normal(0, np.sqrt(2 / 5), (3, 5, 16)).astype(np.float32)
    second = rng.normal(0, np.sqrt(2 / 16), (3, 16)).astype(np.float32)
    mask = rng.random((16, 16), np.float32) < 0.5
    for row, column in ((4, 4), (4, 8), (0, 4), (7, 1)):
        at = np.array([1, AXIS[column], AXIS[row]])
        hidden = np.maximum(rows @ np.tensordot(at, first, 1), 0) * mask
        outputs = 2 * hidden @ (at @ second)
        assert paired[row, column] == pytest.approx(np.mean((outputs - target) ** 2), rel=1e-5)
