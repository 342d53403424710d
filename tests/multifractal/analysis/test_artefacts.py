"""Flat, saturated, quantised, masked and anisotropic images: the spectrum is that of the rest, or says what it measures."""

import re

import numpy as np
import pytest

from multifractal import fbm_surface, multifractal_spectrum, wavelet_leaders
from multifractal.analysis.artefacts import artefacts_of
from multifractal.analysis.flat import flat_pixels, flat_places, flat_shares
from multifractal.analysis.leaders import wavelet_coefficients

SURFACE = np.array(fbm_surface(512, 0.5, rng=3))
PLANE = np.add.outer(np.arange(512) * 0.01, np.arange(512) * 0.003)


def patched(*boxes, value=None):
    """The surface with constant boxes (row, column, height, width)."""
    image = SURFACE.copy()
    for i, k, height, width in boxes:
        image[i : i + height, k : k + width] = image[i, k] if value is None else value
    return image


PATCHED = {
    "one": patched((200, 200, 40, 40)),
    "elsewhere": patched((3, 400, 50, 30)),
    "several": patched((10, 20, 40, 50), (300, 100, 60, 30), (400, 400, 80, 80)),
    "border": patched((0, 0, 512, 20), (0, 0, 30, 512), value=0.0),
    "frame": np.pad(SURFACE[20:-20, 20:-20], 20),
    "offset": patched((200, 200, 40, 40)) + 1e6,
    "small": patched((200, 200, 40, 40)) * 1e-17,
    "float32": patched((200, 200, 40, 40)).astype(np.float32),
    "tilted": patched((200, 200, 40, 40)) + PLANE,
    "linear": np.where(np.pad(np.ones((60, 80)), ((100, 352), (150, 282))) > 0, PLANE, SURFACE),
}


@pytest.mark.parametrize("how", PATCHED)
def test_flat_parts_are_left_out(how):
    """With a flat part the spectrum is still narrow and c1 that of the surface, and the result says what was left out."""
    clean, found = multifractal_spectrum(SURFACE), multifractal_spectrum(PATCHED[how])
    # what fewer leaders scatter by: four standard deviations of c1 of such a surface, 0.027
    assert abs(found.log_cumulants[0] - clean.log_cumulants[0]) < 0.1
    assert np.ptp(found.h) < 0.1
    assert any(
        re.search("of the image is constant or linear to rounding; its leaders were left out", one)
        for one in found.warnings
    )
    assert 0 < found.diagnostics.flat_share < 0.2


def test_a_surface_without_flat_parts_loses_no_leader():
    """Neither float64 nor float32: single coefficients that are rounding by chance are no flat part."""
    for values in (SURFACE, SURFACE.astype(np.float32)):
        found = multifractal_spectrum(values)
        assert found.diagnostics.flat_share == 0
        assert found.n_leaders.tolist() == [3481, 729, 121]
        assert not found.warnings


@pytest.mark.parametrize(("wavelet", "level"), [("db2", 1), ("db2", 2), ("db3", 1), ("db3", 2)])
def test_flat_pixels_are_those_of_the_patch(wavelet, level):
    """All of a patch that a level resolves is found, and nothing beyond 2^level pixels about it."""
    image = np.random.default_rng(0).normal(size=(256, 300))
    image[60:160, 90:200] = 7.0
    places = flat_places(wavelet_coefficients(image, wavelet)[level - 1], wavelet)
    rows, cols = np.nonzero(flat_pixels(places, level, image.shape, wavelet))
    reach = 2**level
    for found, first, last in ((rows, 60, 159), (cols, 90, 199)):
        assert first - reach <= found.min() <= first
        assert last <= found.max() <= last + reach
    nothing = flat_places(wavelet_coefficients(image[:, 210:], wavelet)[level - 1], wavelet)
    assert not nothing.any()


def test_shares_are_those_of_the_places():
    """The share of a leader that is flat is that of the flat places among the 3x3 blocks of its descendants, as counted."""
    coefficients = wavelet_coefficients(np.random.default_rng(1).normal(size=(128, 140)))
    rows, cols = coefficients[1][2].shape
    places = np.random.default_rng(2).random((rows - 1, cols - 1)) < 0.3
    shares = flat_shares(places, coefficients[2:4], "db2")
    # db2 skips one place at each level: entry r of a level has the children 2r + 1 and 2r + 2, its neighbours too
    for row, col in ((0, 0), (3, 2)):
        under = places[2 * row + 1 : 2 * row + 7, 2 * col + 1 : 2 * col + 7]
        assert shares[1][row, col] == pytest.approx(under.mean())
        assert shares[0][row, col] == pytest.approx(places[row : row + 3, col : col + 3].mean())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("wavelet", ["db2", "db4", "sym8"])
def test_rounding_is_no_coefficient(wavelet, dtype):
    """Coefficients of a plane of any size and offset are exactly 0; those of a surface beside it are untouched."""
    for scale, offset in ((1, 0), (1e-12, 0), (3, 1e5)):
        image = (PLANE * scale + offset).astype(dtype)
        assert all(
            (band == 0).all() for level in wavelet_coefficients(image, wavelet) for band in level
        )
        kept = wavelet_coefficients(image, wavelet, keep_rounding=True)
        assert any(band.any() for level in kept for band in level)
    surface = SURFACE.astype(dtype)
    pairs = zip(
        wavelet_coefficients(surface, wavelet),
        wavelet_coefficients(surface, wavelet, keep_rounding=True),
        strict=True,
    )
    for one, other in pairs:
        for a, b in zip(one, other, strict=True):
            assert (a != b).mean() < 0.01
            assert np.array_equal(a[a > 0], b[a > 0])


def test_an_image_that_is_flat_nearly_everywhere_is_not_valid():
    """One step, or a few kinks: too few leaders are left without the flat part, and the result is not valid."""
    step = np.where(np.arange(256)[:, None] < 100, 0.0, 1.0) * np.ones(256)
    found = multifractal_spectrum(step)
    assert not found.diagnostics.valid
    assert any("too few leaders would be left" in warning for warning in found.warnings)


@pytest.mark.parametrize("end", [-1, 1])
@pytest.mark.parametrize(
    ("side", "cut", "said"), [(100, 15, False), (100, 16, True), (200, 40, False), (200, 41, True)]
)
def test_saturation_needs_a_number_and_a_share_of_pixels(end, side, cut, said):
    """16 pixels at the least, and more than a thousandth: of 100 x 100 the number decides, of 200 x 200 the share."""
    values = np.random.default_rng(0).permutation(side**2).astype(float)
    values = end * np.minimum(values, side**2 - cut).reshape(side, side)
    found = artefacts_of(values)
    assert len(found) == said
    assert all(f"its {'largest' if end == 1 else 'smallest'} value" in words for words in found)


@pytest.mark.parametrize("ends", [(0, 0.98), (0.02, 1), (0.05, 0.95)])
def test_a_saturated_image_says_so(ends):
    """Cut off at a quantile, above, below or at both: which end, and how much of it."""
    low, high = np.quantile(SURFACE, ends)
    warnings = " ".join(multifractal_spectrum(np.clip(SURFACE, low, high)).warnings)
    assert (
        "has its largest value"
        in warnings.replace("have", "has").replace("pixels has its", "has its")
    ) == (ends[1] < 1)
    assert ("its smallest value" in warnings) == (ends[0] > 0)
    assert "saturated" not in " ".join(multifractal_spectrum(SURFACE).warnings)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("levels", [16, 32, 256])
def test_a_quantised_image_says_so(levels, dtype):
    """A surface of H = 0.8 in so many grey levels; at 2^16 levels there is nothing to say."""
    surface = np.array(fbm_surface(256, 0.8, rng=1))
    grey = np.round((surface - surface.min()) / np.ptp(surface) * (levels - 1)).astype(dtype)
    assert any(
        "the image is quantised" in warning for warning in multifractal_spectrum(grey).warnings
    )
    fine = np.round((surface - surface.min()) / np.ptp(surface) * 65535).astype(np.uint16)
    assert not any("quantised" in warning for warning in multifractal_spectrum(fine).warnings)


def anisotropic(exponents, n=256, seed=0):
    """A surface whose rows and columns have their own exponents: |kx|^(1/Hx)... in the spectral density."""
    k = np.abs(np.fft.fftfreq(n))
    along_x, along_y = exponents
    with np.errstate(divide="ignore"):
        norm = k[None, :] ** (2 * along_x) + k[:, None] ** (2 * along_y)
        density = norm ** -(1 + 0.5 / along_x + 0.5 / along_y)
    density[0, 0] = 0
    noise = np.fft.fft2(np.random.default_rng(seed).normal(size=(n, n)))
    return np.fft.ifft2(noise * np.sqrt(density)).real


def test_an_anisotropic_image_says_so():
    """Exponents 0.3 and 0.8 along the axes: said; 0.5 along both: not."""
    found = multifractal_spectrum(anisotropic((0.3, 0.8)))
    assert any("the image is anisotropic" in warning for warning in found.warnings)
    alike = multifractal_spectrum(anisotropic((0.5, 0.5)))
    assert not any("anisotropic" in warning for warning in alike.warnings)


def test_masked_pixels_are_left_out():
    """The spectrum of a surface with masked pixels is that of the leaders that need none of them, whatever lies beneath."""
    hole = np.zeros(SURFACE.shape, bool)
    hole[100:110, 100:110] = True
    found, other = (
        multifractal_spectrum(np.ma.masked_array(np.where(hole, fill, SURFACE), hole))
        for fill in (1e20, np.nan)
    )
    assert np.array_equal(found.h, other.h)
    clean = wavelet_leaders(SURFACE)
    masked = wavelet_leaders(np.ma.masked_array(np.where(hole, 1e20, SURFACE), hole))
    for a, b in zip(clean.leaders, masked.leaders, strict=True):
        there = np.isfinite(b)
        assert np.array_equal(a[there], b[there])
        assert 0 < (~there).sum() < there.sum() or len(b) < 12
    assert abs(found.log_cumulants[0] - multifractal_spectrum(SURFACE).log_cumulants[0]) < 0.03
    assert any("0.0381 % of the image is masked" in warning for warning in found.warnings)


@pytest.mark.parametrize("factor", [1e200, 1e-200])
def test_very_large_and_very_small_images(factor):
    """A surface times 1e200 or 1e-200 has the same spectrum, and moments that scale as they must."""
    for settings in ({}, {"p": 2.0}):
        clean = multifractal_spectrum(SURFACE, **settings)
        found = multifractal_spectrum(SURFACE * factor, **settings)
        for name in ("h", "D", "zeta", "log_cumulants"):
            np.testing.assert_allclose(getattr(found, name), getattr(clean, name), atol=1e-7)
        shift = np.log2(factor) * found.q
        np.testing.assert_allclose(
            found.structure_functions, clean.structure_functions + shift, rtol=1e-10, atol=1e-7
        )
        assert found.diagnostics.kind == "rough"
        assert found.warnings == clean.warnings


def test_a_rough_surface_on_a_parabola_is_told_from_its_spectrum():
    """Second differences read 0.5 below it, leaders the parabola above: the spectrum says that they differ."""
    x = np.arange(512) / 512
    found = multifractal_spectrum(SURFACE + 300 * (x - 0.5) ** 2)
    assert found.diagnostics.kind == "rough"
    assert abs(found.diagnostics.rough_exponent - 0.5) < 0.02
    assert found.log_cumulants[0] > 0.8
    assert any("the spectrum is of other structure" in warning for warning in found.warnings)


def test_what_is_no_spectrum_is_not_valid():
    """A surface of H = 0.8 in 64 grey levels has D = 2.36 at q = -5, which is no dimension; the surface itself is valid."""
    surface = np.array(fbm_surface(512, 0.8, rng=0))
    grey = np.round((surface - surface.min()) / np.ptp(surface) * 63)
    found = multifractal_spectrum(grey)
    assert found.D.max() > 2.3
    assert not found.diagnostics.valid
    assert any("this is no spectrum (D up to 2.36" in warning for warning in found.warnings)
    assert multifractal_spectrum(surface).diagnostics.valid


def test_all_values_of_a_small_image_are_counted():
    """Forty values of which each column has one, so that those of every other pixel would be twenty."""
    columns = np.arange(80) % 40
    said = artefacts_of(np.tile(columns / 7.0, (64, 1)))
    assert "it takes some 40 values only" in said[0]
