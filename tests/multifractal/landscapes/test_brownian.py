"""Fractional Brownian surfaces and paths: the covariance by construction and by Monte Carlo, bits, coupling, refusals."""

import re
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
from scipy import fft

from multifractal import fbm_path, fbm_surface, mbm_surface, surface_noise
from multifractal.landscapes import brownian
from tests.helpers import naive

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("hurst", [0.01, 0.1, 0.3, 0.5, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("shape", [(4, 4), (5, 90), (64, 64), (257, 100), (512, 512)])
@pytest.mark.parametrize("margin", [False, True])
def test_variogram_of_the_embedding_is_the_models(shape, hurst, margin):
    """The variogram implied by the eigenvalues is (r/N)^(2H) at every lag in the grid, to a relative 1e-11."""
    reach = brownian.reach_for(hurst, margin=margin)
    side = brownian.torus_side(shape, reach)
    eigenvalues, c2 = brownian.surface_eigenvalues(shape, hurst, reach, side)
    covariance = fft.idctn(eigenvalues, type=1)[: shape[0], : shape[1]]
    r = np.hypot(*np.ogrid[: shape[0], : shape[1]])
    diagonal = np.hypot(shape[0] - 1, shape[1] - 1)
    implied = (covariance[0, 0] - covariance + c2 * (r / diagonal) ** 2) * (
        diagonal / max(shape)
    ) ** (2 * hurst)
    np.testing.assert_allclose(
        implied.ravel()[1:], (r.ravel()[1:] / max(shape)) ** (2 * hurst), rtol=1e-11
    )


@pytest.mark.parametrize(("shape", "hurst"), [((24, 24), 0.2), ((13, 30), 0.6), ((30, 13), 0.9)])
def test_surface_equals_the_naive_twin(shape, hurst):
    """The surface is the one that Stein's formulae give from the same white noise on the whole torus in real space."""
    noise = surface_noise(shape, max_hurst=0.9, rng=1)
    white = fft.irfft2(noise.spectrum, s=2 * noise.spectrum.shape[:1]) * len(noise.spectrum)
    expected = naive.stein_surface(shape, hurst, noise.reach, white, noise.slopes)
    np.testing.assert_allclose(fbm_surface(shape, hurst, noise=noise).values, expected, atol=1e-12)


def test_white_noise_of_a_torus_is_white():
    """Noise drawn in Fourier space has unit variance and no correlation at any lag, also along the Hermitian columns."""
    draws = [surface_noise((4, 4), max_hurst=0.5, rng=seed).spectrum for seed in range(4000)]
    side = len(draws[0])
    white = np.array([fft.irfft2(spectrum, s=(side, side)) * side for spectrum in draws])
    products = white[:, :1, :1] * white
    expected = np.zeros((side, side))
    expected[0, 0] = 1
    standard_error = products.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(products.mean(axis=0) - expected) < 5 * standard_error).all()


@pytest.mark.parametrize("hurst", [0.2, 0.5, 0.9])
def test_variogram_by_monte_carlo(hurst):
    """600 non-square surfaces have the model's variogram within 5 standard errors, along both axes and obliquely."""
    surfaces = np.array([fbm_surface((20, 36), hurst, rng=seed).values for seed in range(600)])
    for down, right in [(0, 1), (1, 0), (7, 0), (0, 35), (19, 0), (19, 35), (5, 12)]:
        moved = surfaces[:, down:, right:] - surfaces[:, : 20 - down, : 36 - right]
        per_surface = (moved**2).mean(axis=(1, 2))
        standard_error = per_surface.std(ddof=1) / np.sqrt(len(surfaces))
        assert (
            abs(per_surface.mean() - (np.hypot(down, right) / 36) ** (2 * hurst))
            < 5 * standard_error
        )
    other_diagonal = (surfaces[:, 19, 0] - surfaces[:, 0, 35]) ** 2
    assert abs(
        other_diagonal.mean() - (np.hypot(19, 35) / 36) ** (2 * hurst)
    ) < 5 * other_diagonal.std() / np.sqrt(600)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_thread_count_never_changes_a_bit(dtype, monkeypatch):
    """One, two and five threads give the same bits."""
    hoelder = np.linspace(0.2, 0.8, 150 * 270).reshape(150, 270)
    drawn = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        drawn.append(
            (
                fbm_surface((150, 270), 0.4, rng=7, dtype=dtype).values,
                mbm_surface(hoelder, rng=7, dtype=dtype).values,
            )
        )
    for fbm, mbm in drawn[1:]:
        assert np.array_equal(fbm, drawn[0][0])
        assert np.array_equal(mbm, drawn[0][1])
    assert drawn[0][0].dtype == drawn[0][1].dtype == dtype


def test_what_is_kept_between_surfaces_is_bounded_and_changes_no_bit(monkeypatch):
    """Surfaces drawn again, in another order, are equal; what is kept stays below its bound, and nothing large is kept."""
    monkeypatch.setattr(brownian, "_kept", kept := OrderedDict())
    once = {hurst: fbm_surface(32, hurst, rng=1).values for hurst in (0.2, 0.5, 0.7)}
    one = next(iter(kept.values()))[0].nbytes
    assert len(kept) == 3
    monkeypatch.setattr(brownian, "_KEPT_BYTES", 8 * one)
    for hurst in np.linspace(0.1, 0.7, 12):
        fbm_surface(32, hurst, rng=1)
    assert sum(root.nbytes for root, _ in kept.values()) == 8 * one
    assert all(
        np.array_equal(fbm_surface(32, hurst, rng=1).values, once[hurst])
        for hurst in reversed(once)
    )
    before = list(kept)
    fbm_surface(64, 0.5, rng=1)
    assert list(kept) == before


def test_float32_is_rounding_of_float64():
    """The same noise in single precision gives the same surface to single precision of its range."""
    noise = surface_noise(200, max_hurst=0.9, rng=3)
    single = replace(noise, spectrum=noise.spectrum.astype(np.complex64))
    for hurst in (0.1, 0.5, 0.9):
        exact = fbm_surface(200, hurst, noise=noise).values
        rounded = fbm_surface(200, hurst, noise=single).values
        assert rounded.dtype == np.float32
        assert np.abs(rounded - exact).max() < 20 * np.finfo(np.float32).eps * np.abs(exact).max()


def test_surfaces_from_one_noise_are_coupled_and_from_one_seed_equal(tmp_path):
    """Neighbouring exponents on one draw are nearly the same surface; a seed repeats itself; noise survives a file."""
    noise = surface_noise(64, max_hurst=0.8, rng=5)
    first, second = (fbm_surface(64, hurst, noise=noise).values for hurst in (0.5, 0.51))
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.999
    assert np.array_equal(
        fbm_surface(64, 0.5, rng=9).values,
        fbm_surface(64, 0.5, rng=np.random.default_rng(9)).values,
    )
    noise.save(tmp_path / "noise.npz")
    again = brownian.SurfaceNoise.load(tmp_path / "noise.npz")
    assert np.array_equal(fbm_surface(64, 0.5, noise=again).values, first)
    assert fbm_surface(64, 0.5, noise=noise).provenance.seed == "5"


@pytest.mark.parametrize("hurst", [0.05, 0.3, 0.5, 0.8, 0.98])
def test_path_variogram_is_the_models(hurst):
    """The covariance that the path's eigenvalues imply sums to |i-j|^(2H) over every span, to a relative 1e-11."""
    steps = 3000
    eigenvalues = brownian.path_eigenvalues(steps, hurst)
    covariance = fft.irfft(eigenvalues)[:steps]
    k = np.arange(steps)
    span = np.arange(1, steps + 1)
    sums = span * covariance[0] + 2 * (
        span * np.cumsum(np.r_[0, covariance[1:]]) - np.cumsum(k * np.r_[0, covariance[1:]])
    )
    np.testing.assert_allclose(sums, span ** (2 * hurst), rtol=1e-11)
    np.testing.assert_allclose(covariance, naive.fgn_covariance(steps, hurst), atol=1e-11)


@pytest.mark.parametrize("hurst", [0.1, 0.5, 0.9])
def test_paths_by_monte_carlo(hurst):
    """2000 paths have the model's mean square displacement within 5 standard errors, from the start and between points."""
    paths = np.array([fbm_path(50, hurst, rng=seed) for seed in range(2000)])
    assert (paths[:, 0] == 0).all()
    for i, j in [(0, 1), (0, 49), (20, 21), (10, 40), (48, 49)]:
        squares = (paths[:, i] - paths[:, j]) ** 2
        assert abs(squares.mean() - ((j - i) / 50) ** (2 * hurst)) < 5 * squares.std() / np.sqrt(
            2000
        )


@pytest.mark.parametrize("hurst", [0.02, 0.3, 0.5, 0.98])
@pytest.mark.parametrize("n", [2, 3, 10**6])
def test_any_length_of_path_can_be_drawn(n, hurst):
    """The embedding of paths has no negative eigenvalue beyond rounding, from 2 to a million points."""
    assert np.isfinite(fbm_path(n, hurst, rng=0)).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: fbm_surface(16, 1.2, rng=0),
            "hurst must lie in (0, 0.99], got 1.2; for a differentiable surface smooth",
        ),
        (lambda: fbm_surface(16, np.nan, rng=0), "hurst must lie in (0, 0.99], got nan"),
        (
            lambda: fbm_surface(3, 0.5, rng=0),
            "n must be a whole number or (rows, cols), each at least 4 and below 2^31, got 3",
        ),
        (lambda: fbm_surface((16, 2.5), 0.5, rng=0), "n must be a whole number or (rows, cols)"),
        (
            lambda: fbm_surface(16, 0.5),
            "rng must be a seed or a source of random numbers, got None",
        ),
        (lambda: fbm_surface(16, 0.5, rng=0, dtype=int), "dtype must be float32 or float64"),
        (
            lambda: fbm_surface(16, 0.9, noise=surface_noise(16, max_hurst=0.5, rng=0)),
            "noise must have a reach of at least 1.1",
        ),
        (
            lambda: fbm_surface(16, 0.5, noise=surface_noise(17, max_hurst=0.5, rng=0)),
            "noise must be drawn for the size (16",
        ),
        (lambda: fbm_surface(16, 0.5, noise=np.zeros((16, 16))), "noise must be a SurfaceNoise"),
        (lambda: fbm_path(1, 0.5, rng=0), "n must be a whole number, at least 2"),
        (lambda: fbm_path(10, 1.0, rng=0), "hurst must lie in (0, 1), got 1.0"),
    ],
)
def test_bad_input_is_refused_with_its_rule(call, words):
    """Each refusal names the argument, its value, the rule and the remedy."""
    with pytest.raises(ValueError, match=re.escape(words)):
        call()


def test_roots_of_float32_are_those_of_float64_rounded():
    """A float32 surface is the same to the bit whether a float64 surface of its law was drawn before it or not."""
    brownian._kept.clear()
    alone = fbm_surface(48, 0.37, rng=1, dtype=np.float32).values
    brownian._kept.clear()
    fbm_surface(48, 0.37, rng=2)
    after = fbm_surface(48, 0.37, rng=1, dtype=np.float32).values
    assert len(brownian._kept) == 2
    assert after.dtype == np.float32
    assert np.array_equal(alone, after)


def test_the_law_used_longest_ago_is_forgotten_first(monkeypatch):
    """Where two roots fit, and the first was used again, the third takes the place of the second."""
    monkeypatch.setattr(brownian, "_kept", OrderedDict())
    monkeypatch.setattr(brownian, "_KEPT_BYTES", 200)
    monkeypatch.setattr(brownian, "_KEPT_AT_LEAST", 1)
    monkeypatch.setattr(brownian, "_root", lambda *key: (np.zeros(10), 0.0))
    for name in "abac":
        brownian._kept_root((name, np.dtype(np.float64)))
    assert [name for name, _ in brownian._kept] == ["a", "c"]
