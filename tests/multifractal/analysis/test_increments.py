"""Growth of an image by lag, and the share of white noise: naive twins, closed forms, coverage on exact surfaces."""

import numpy as np
import pytest

import multifractal as mf


def bowl(n):
    """A differentiable image."""
    y, x = (np.mgrid[:n, :n] - (n - 1) / 2) / n
    return x**2 + 2 * y**2


def test_the_naive_twin():
    """Mean squares over all pixels at least 4 (the longest lag) from the border, row by row and column by column."""
    image = np.random.default_rng(0).standard_normal((64, 71))
    found = mf.increment_law(image, rng=0)
    assert found.lags.tolist() == [1, 2, 4]
    for lag, first, second in zip(found.lags, found.first, found.second, strict=True):
        steps, bends = [], []
        for line in [*image, *image.T]:
            for k in range(4, len(line) - 4):
                bends.append(line[k + lag] - 2 * line[k] + line[k - lag])
                if lag > 1:
                    steps.append(line[k + lag // 2] - line[k - lag // 2])
                elif k < len(line) - 5:  # the middle of neighbours lies between two pixels
                    steps.append(line[k + 1] - line[k])
        assert first == pytest.approx(np.mean(np.square(steps)), rel=1e-12)
        assert second == pytest.approx(np.mean(np.square(bends)), rel=1e-12)


@pytest.mark.parametrize("hurst", [0.3, 0.7])
def test_intervals_hold_the_exponent_of_exact_surfaces(hurst):
    """At least 0.85 of 40 surfaces of 129 pixels at each lag: 0.95 less three binomial standard errors."""
    held = []
    for seed in range(40):
        low, high = mf.increment_law(mf.fbm_surface(129, hurst, rng=seed), rng=seed).second_interval
        held.append((low <= hurst) & (hurst <= high))
    assert np.mean(held, axis=0).min() >= 0.85


def test_a_differentiable_image_has_exponents_1_and_2():
    """Second differences of a bowl grow as the square of the lag r, first ones as r^2 (N^2 - 1) with N middles."""
    found = mf.increment_law(bowl(129), rng=0)
    np.testing.assert_allclose(found.second_exponents, 2, rtol=1e-9)
    law = found.lags**2 * (np.array([112, 113, 113, 113]) ** 2 - 1.0)
    np.testing.assert_allclose(found.first_exponents, np.log2(law[1:] / law[:-1]) / 2, rtol=1e-9)
    np.testing.assert_allclose(found.first_exponents, 1, atol=0.02)


def test_jumps_of_the_gradient_have_exponent_three_halves():
    """A kink's mean squared bend is proportional to lag^3; 800 random ones, within 4 errors; 1 and 2 are 10 errors off."""
    y, x = np.mgrid[:129, :129]
    found = []
    for seed in range(5):
        draw = np.random.default_rng(seed)
        image = np.zeros((129, 129))
        for angle, offset, size in zip(
            draw.uniform(0, 2 * np.pi, 800),
            draw.uniform(-64, 64, 800),
            draw.standard_normal(800),
            strict=True,
        ):
            image += size * np.maximum(
                np.cos(angle) * (x - 64) + np.sin(angle) * (y - 64) - offset, 0
            )
        found.append(mf.increment_law(image, rng=0).second_exponents)
    error = np.std(found, axis=0, ddof=1) / np.sqrt(5)
    assert (np.abs(np.mean(found, axis=0) - 1.5) < 4 * error + 1e-3).all()
    assert error.max() < 0.05


def test_white_noise_is_all_noise():
    """Share 1 at any lag and the standard deviation itself, from one image and from two; 5 standard errors."""
    one, other = 0.3 * np.random.default_rng(1).standard_normal((2, 129, 129))
    for found in (mf.noise_share(one, rng=0), mf.noise_share(one, other, rng=0)):
        assert found.sd == pytest.approx(0.3, abs=5 * 0.3 / 129)
    np.testing.assert_allclose(mf.noise_share(one, other, rng=0).share, 1, atol=5 * 2 / 129)


def test_noise_on_a_known_image_is_found():
    """Shares and deviations as they were put in: the intervals hold them in at least 0.84 of 60; noise grows along y."""
    smooth, y = bowl(129), np.mgrid[:129, :129][0] / 129
    envelope, held = 0.002 * (0.2 + y), []
    truth = np.sqrt(np.mean(envelope**2))
    for seed in range(30):
        draw = np.random.default_rng(seed)
        one, other = (smooth + envelope * draw.standard_normal(smooth.shape) for _ in range(2))
        for found in (mf.noise_share(one, rng=0), mf.noise_share(one, other, rng=0)):
            held.append(found.sd_interval[0] <= truth <= found.sd_interval[1])
    assert np.mean(held) >= 0.84
    law = mf.increment_law(one, other, rng=0)
    clean = mf.increment_law(smooth, rng=0)
    np.testing.assert_allclose(law.first, clean.first, rtol=0.02)
    share = 2 * truth**2 / (2 * truth**2 + clean.first)
    np.testing.assert_allclose(mf.noise_share(one, other, rng=0).share, share, rtol=0.05)


def test_what_hangs_on_the_assumed_exponent():
    """On a rough surface the right exponent finds the noise within 4 standard errors, and 2 takes roughness for noise."""
    right, smooth, sd = [], [], 0.04
    for seed in range(12):
        image = mf.fbm_surface(129, 0.5, rng=seed).values + sd * np.random.default_rng(
            seed
        ).standard_normal((129, 129))
        right.append(mf.noise_share(image, exponent=0.5, rng=0).sd ** 2)
        smooth.append(mf.noise_share(image, rng=0).sd ** 2)
    assert abs(np.mean(right) - sd**2) < 4 * np.std(right, ddof=1) / np.sqrt(12)
    assert np.mean(smooth) > 1.5 * sd**2


def test_the_same_seed_gives_the_same_bits():
    """Intervals depend on rng alone."""
    image = np.random.default_rng(0).standard_normal((64, 64))
    one, other = (mf.noise_share(image, rng=3).share_interval for _ in range(2))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, mf.noise_share(image, rng=4).share_interval)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mf.increment_law(np.zeros((31, 64)), rng=0), "at least 32 pixels"),
        (
            lambda: mf.increment_law(np.zeros((64, 64)), np.zeros((64, 65)), rng=0),
            "shape of landscape",
        ),
        (lambda: mf.noise_share(np.zeros((64, 64)), exponent=2.2, rng=0), r"lie in \(0, 2\]"),
        (lambda: mf.increment_law(np.full((64, 64), np.nan), rng=0), "finite"),
    ],
)
def test_refusals(call, words):
    """Too small, of two shapes, an exponent out of range, NaN."""
    with pytest.raises(ValueError, match=words):
        call()


def test_saved_and_loaded(tmp_path):
    """A result comes back as it was."""
    made = mf.noise_share(np.random.default_rng(0).standard_normal((64, 64)), rng=0)
    made.save(tmp_path / "share.npz")
    assert np.array_equal(mf.NoiseShare.load(tmp_path / "share.npz").share, made.share)
