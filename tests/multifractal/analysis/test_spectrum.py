"""The spectrum: naive twin, exact surfaces, published numbers, bootstrap, intervals, warnings, refusals."""

import re

import numpy as np
import pytest
import pywt

from multifractal import (
    PAPER_SECTION_SETTINGS,
    PAPER_SURFACE_SETTINGS,
    EstimatorValidation,
    Spectrum,
    fbm_surface,
    mbm_surface,
    multifractal_spectrum,
    paper_hoelder_map,
    q_grid,
    source_data,
    validate_estimator,
)
from multifractal.analysis.bootstrap import BLOCK, _add_picked, _blocks, bootstrap
from multifractal.analysis.scaling import cumulants_of
from multifractal.analysis.spectrum import _require_leaders
from tests.helpers import naive

ROUGH = np.random.default_rng(0).normal(size=(257, 300)).cumsum(axis=0).cumsum(axis=1)


def agrees_with_naive(spectrum, values, settings):
    """Compare h, D, zeta and the log-cumulants with the naive twin, to rounding."""
    h = np.array(pywt.Wavelet(settings["wavelet"]).rec_lo)
    leaders = naive.leaders(
        values, h, settings["p"], settings.get("integration", 0.0), settings["first_scale"]
    )
    leaders = {j: leaders[j] for j in spectrum.scales}
    gamma = settings.get("integration", 0.0)
    expected = naive.spectrum(leaders, spectrum.q, settings.get("weights", "count"))
    for ours, theirs, off in zip(
        (spectrum.h, spectrum.D, spectrum.zeta, spectrum.log_cumulants),
        expected,
        (gamma, 0, gamma * spectrum.q, np.array([gamma, 0, 0, 0])),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs - off, rtol=1e-9, atol=1e-9)


def test_default_settings_match_the_naive_twin():
    """With the default settings every estimate equals the sums as written in the formulae."""
    agrees_with_naive(
        multifractal_spectrum(ROUGH), ROUGH, {"wavelet": "db2", "p": np.inf, "first_scale": 2}
    )


def test_integration_and_uniform_weights_match_the_naive_twin():
    """Integration of order 10 and uniform weights, as the paper's surfaces have, on the scales 1 to 4."""
    settings = PAPER_SURFACE_SETTINGS | {"scales": (1, 4)}
    agrees_with_naive(multifractal_spectrum(ROUGH, **settings), ROUGH, settings)


@pytest.mark.parametrize("name", ["vgg_sgd_cifar10", "vgg_nodrop_sgd_fashionmnist"])
def test_section_settings_match_the_naive_twin_on_published_sections(zenodo, name):
    """The paper's settings on its own sections: counts as published (14884, 3249, 576, 64), estimates as naive."""
    section = source_data.read(f"real_loss_landscape/{name}.npy", folder=zenodo)["loss"]
    spectrum = multifractal_spectrum(section, **PAPER_SECTION_SETTINGS)
    assert spectrum.n_leaders.tolist() == [14884, 3249, 576, 64]
    agrees_with_naive(spectrum, section, PAPER_SECTION_SETTINGS)


def test_published_sections_read_as_an_independent_implementation_does(zenodo):
    """h(0) at the paper's settings is that of a p-leader code written elsewhere, which gives the paper's own spectrum."""
    for name, expected in {
        "vgg_sgd_cifar10": 0.340,
        "vgg_sgd_fashionmnist": 0.287,
        "vgg_adam_fashionmnist": 0.260,
        "vgg_nodrop_sgd_fashionmnist": 1.484,
    }.items():
        section = source_data.read(f"real_loss_landscape/{name}.npy", folder=zenodo)["loss"]
        spectrum = multifractal_spectrum(section, **PAPER_SECTION_SETTINGS)
        assert abs(spectrum.h[spectrum.q == 0][0] - expected) < 0.0006


def test_the_width_of_an_exact_monofractal_at_the_papers_settings():
    """The same code gives surfaces of H = 0.5 and 257 pixels a mean width of h of 0.066; here 12, within 5 errors."""
    widths = np.array(
        [
            np.ptp(multifractal_spectrum(fbm_surface(257, 0.5, rng=k), **PAPER_SECTION_SETTINGS).h)
            for k in range(12)
        ]
    )
    assert abs(widths.mean() - 0.066) < 0.0005 + 5 * widths.std(ddof=1) / np.sqrt(12)
    assert widths.std(ddof=1) < 0.005


def test_the_published_section_spectra_belong_to_sections_that_are_not_here(zenodo):
    """No section kept here has a published spectrum: the nearest is off by 0.6 in h, which no rounding explains."""
    names = (
        "vgg_sgd_cifar10",
        "vgg_sgd_fashionmnist",
        "vgg_adam_fashionmnist",
        "vgg_nodrop_sgd_fashionmnist",
    )
    for epoch in (1, 10):
        published = np.ravel(
            source_data.read(f"real_loss_landscape/epoch_{epoch}_spectrum.mat", folder=zenodo)["hq"]
        )
        for name in names:
            section = source_data.read(f"real_loss_landscape/{name}.npy", folder=zenodo)["loss"]
            assert (
                np.abs(multifractal_spectrum(section, **PAPER_SECTION_SETTINGS).h - published).max()
                > 0.6
            )


@pytest.mark.parametrize(
    "folder", ["fractional_brownian_surfaces", "multifractional_brownian_surface"]
)
def test_published_surface_spectra_obey_our_conventions(zenodo, folder):
    """The published orders are q_grid(), and D = 2 + q h - zeta holds with 10 added to h: zq is not reduced, hq is."""
    published = {
        name: np.ravel(array)
        for name, array in source_data.read(
            f"{folder}/multifractal_spectrum.mat", folder=zenodo
        ).items()
    }
    np.testing.assert_allclose(published["q"], q_grid(), atol=1e-12)
    np.testing.assert_allclose(
        published["Dq"], 2 + published["q"] * (published["hq"] + 10) - published["zq"], atol=1e-9
    )
    ours = multifractal_spectrum(ROUGH, **(PAPER_SURFACE_SETTINGS | {"scales": (1, 4)}))
    np.testing.assert_allclose(ours.D, 2 + ours.q * ours.h - ours.zeta, atol=1e-9)


def test_published_section_orders(zenodo):
    """The section setting has as many orders as the published section spectra, and D is 2 at q = 0 in both."""
    published = np.ravel(
        source_data.read("real_loss_landscape/epoch_1_spectrum.mat", folder=zenodo)["Dq"]
    )
    q = np.array(PAPER_SECTION_SETTINGS["q"])
    assert len(q) == len(published) == 23
    assert abs(published[q == 0][0] - 2) < 1e-12


@pytest.mark.slow
def test_the_published_model_spectrum_is_reproduced_in_law(zenodo):
    """Exponents at q = -5, 0, 5 and D at +-5 of the published surface lie within 4 standard deviations of ours."""
    published = source_data.read(
        "multifractional_brownian_surface/multifractal_spectrum.mat", folder=zenodo
    )
    surfaces = (mbm_surface(paper_hoelder_map(), rng=seed, dtype=np.float32) for seed in range(6))
    spectra = [multifractal_spectrum(surface, **PAPER_SURFACE_SETTINGS) for surface in surfaces]
    for name, picked in (("h", [0, 12, 24]), ("D", [0, 24])):
        found = np.array([getattr(spectrum, name)[picked] for spectrum in spectra])
        distance = np.ravel(published[f"{name}q"])[picked] - found.mean(axis=0)
        assert (np.abs(distance) < 4 * np.sqrt(1 + 1 / 6) * found.std(axis=0, ddof=1)).all()


@pytest.mark.parametrize("hurst", [0.3, 0.5, 0.7, 0.9])
def test_exact_surfaces_of_1024_pixels(hurst):
    """Mean over 6 exact surfaces: |c1 - H| < 0.02, |c2| < 0.01; no warning but, at H = 0.3, that hmin is not positive."""
    spectra = [
        multifractal_spectrum(fbm_surface(1024, hurst, rng=seed, dtype=np.float32))
        for seed in range(6)
    ]
    c1, c2 = np.mean([spectrum.log_cumulants[:2] for spectrum in spectra], axis=0)
    assert abs(c1 - hurst) < 0.02
    assert abs(c2) < 0.01
    assert all(
        spectrum.diagnostics.kind == "rough" and spectrum.diagnostics.eta[0] > 0
        for spectrum in spectra
    )
    said = {warning[:14] for spectrum in spectra for warning in spectrum.warnings}
    assert said <= ({"invalid: hmin "} if hurst == 0.3 else set())
    assert spectra[0].scales.tolist() == [3, 4, 5, 6]
    assert min(spectra[0].diagnostics.r_squared) > 0.97


def test_an_unreliable_exponent_says_so():
    """At H = 0.1 c1 is off by more than 0.05, and the result says that it is not reliable."""
    spectrum = multifractal_spectrum(fbm_surface(1024, 0.1, rng=0, dtype=np.float32))
    assert abs(spectrum.log_cumulants[0] - 0.1) > 0.05
    assert any("is not reliable" in warning for warning in spectrum.warnings)


def test_p_leaders_agree_with_leaders_where_both_hold():
    """On 6 exact surfaces corrected p = 2 leaders and leaders find c1 = 0.5 within 5 standard errors; uncorrected do not."""
    plain, corrected, uncorrected = (
        np.array(
            [
                multifractal_spectrum(surface, **settings).log_cumulants[0]
                for surface in (fbm_surface(512, 0.5, rng=seed) for seed in range(6))
            ]
        )
        for settings in ({}, {"p": 2}, {"p": 2, "correction": False})
    )
    for estimates in (plain, corrected):
        assert abs(estimates.mean() - 0.5) < 5 * estimates.std(ddof=1) / np.sqrt(6)
    assert uncorrected.mean() - 0.5 > 15 * uncorrected.std(ddof=1) / np.sqrt(6)


def test_the_correction_is_that_of_the_formula():
    """Corrected leaders are the plain ones times [(1 - 2^(-J eta))/(1 - 2^-eta)]^(-1/p), eta that of the coefficients."""
    plain, corrected = (
        multifractal_spectrum(ROUGH, p=2, correction=which) for which in (False, True)
    )
    eta = plain.diagnostics.eta[plain.diagnostics.eta_orders == 2][0]
    factor = ((1 - 2 ** (-(plain.scales - 1) * eta)) / (1 - 2**-eta)) ** (-1 / 2)
    np.testing.assert_allclose(
        corrected.cumulants[:, 0] - plain.cumulants[:, 0], np.log(factor), rtol=1e-9
    )
    np.testing.assert_allclose(corrected.cumulants[:, 1:], plain.cumulants[:, 1:], rtol=1e-9)


def test_eta_is_the_exponent_of_the_coefficients():
    """eta(p) and hmin are slopes over the naive coefficients, all that are valid in each orientation."""
    spectrum = multifractal_spectrum(ROUGH, weights="uniform")
    levels = naive.wavelet_coefficients(ROUGH, np.array(pywt.Wavelet("db2").rec_lo))
    levels = [levels[j - 1][np.isfinite(levels[j - 1])] for j in spectrum.scales]
    for order, eta in zip((1, 2), spectrum.diagnostics.eta, strict=True):
        assert (
            abs(
                np.polyfit(spectrum.scales, [np.log2((c**order).mean()) for c in levels], 1)[0]
                - eta
            )
            < 1e-10
        )
    assert (
        abs(
            np.polyfit(spectrum.scales, [np.log2(c.max()) for c in levels], 1)[0]
            - spectrum.diagnostics.hmin
        )
        < 1e-10
    )


def test_integration_makes_the_condition_hold():
    """White noise, on which leaders are not defined, is valid after integration of order 2; its own hmin stays negative."""
    noise = np.random.default_rng(6).normal(size=(257, 257))
    plain, integrated = multifractal_spectrum(noise), multifractal_spectrum(noise, integration=2)
    assert abs(plain.diagnostics.hmin - integrated.diagnostics.hmin) < 1e-9
    assert plain.diagnostics.hmin < 0
    assert (plain.diagnostics.valid, integrated.diagnostics.valid) == (False, True)


def test_a_field_in_small_units_keeps_its_leaders():
    """Scaling an image by 2^-56 (1e-17) changes no exponent; the absolute floor of the paper's toolbox loses all leaders."""
    spectrum, small = multifractal_spectrum(ROUGH), multifractal_spectrum(ROUGH * 2.0**-60)
    np.testing.assert_allclose(small.h, spectrum.h, rtol=1e-10)
    with pytest.raises(ValueError, match="floor='relative'"):
        multifractal_spectrum(ROUGH * 2.0**-75, floor="absolute")


def test_cumulants_are_those_of_known_laws():
    """A two-point law at 0 and 1 has cumulants 1/2, 1/4, 0, -1/8, from any origin."""
    x = np.array([0.0, 1.0]) - 0.3
    np.testing.assert_allclose(
        cumulants_of(0.3, [(x**k).mean() for k in (1, 2, 3, 4)]), [0.5, 0.25, 0, -0.125], atol=1e-15
    )


def test_block_sums_wrap():
    """Sums over blocks equal the naive ones with indices modulo the size, for every start and for every fourth."""
    x = np.random.default_rng(1).normal(size=(9, 6))
    for starts in (1, BLOCK):
        expected = [
            x[np.ix_([(i + a) % 9 for a in range(4)], [(k + a) % 6 for a in range(4)])].sum()
            for i in range(0, 9, starts)
            for k in range(0, 6, starts)
        ]
        np.testing.assert_allclose(_blocks(x, starts), expected, atol=1e-13)


def test_resampled_sums_match_the_naive_twin():
    """Totals of a resample are the sums of the picked rows."""
    generator = np.random.default_rng(2)
    sums, picks = generator.normal(size=(30, 7)), generator.integers(0, 30, (11, 5))
    totals = np.zeros((11, 7))
    _add_picked(sums, picks, totals)
    np.testing.assert_allclose(totals, naive.resampled_sums(sums, picks), atol=1e-13)


def test_the_bootstraps_error_of_a_mean_is_the_closed_form():
    """For c1, a mean, the error over 4000 resamples is (var(block means) / blocks)^(1/2), within 4 of its own errors."""
    y = np.random.default_rng(3).normal(size=(40, 36)).cumsum(axis=1)
    means = _blocks(y, 1) / BLOCK**2
    draws = bootstrap([y], np.array([1.0]), np.array([1.0]), 4000, rng=0)
    expected = np.sqrt(means.var() / draws.n_blocks[0])
    assert draws.n_blocks[0] == 90
    assert abs(draws.log_cumulants[:, 0].std() / expected - 1) < 4 / np.sqrt(2 * 4000)


def test_missing_leaders_are_left_out_of_the_bootstrap():
    """NaN in place of half of the leaders gives the estimates of the other half."""
    y = np.random.default_rng(4).normal(size=(40, 40))
    y[:, 20:] = np.nan
    draws = bootstrap([y], np.array([-1.0, 2.0]), np.array([1.0]), 400, rng=0)
    expected = [np.log2((2 ** (q * y[:, :20])).mean()) for q in (-1, 2)]
    assert np.isfinite(draws.zeta).all()
    assert (np.abs(draws.zeta.mean(axis=0) - expected) < 2 * draws.zeta.std(axis=0)).all()


def test_the_bootstrap_repeats_itself_and_does_not_touch_estimates(monkeypatch):
    """The same rng gives the same bits on one thread and on three; estimates are those without bootstrap."""
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        found.append(multifractal_spectrum(ROUGH, n_bootstrap=20, rng=5))
    for name in ("h", "D", "zeta", "log_cumulants"):
        assert np.array_equal(
            getattr(found[0], f"{name}_interval"), getattr(found[1], f"{name}_interval")
        )
        assert np.array_equal(getattr(found[0], name), getattr(multifractal_spectrum(ROUGH), name))
    assert found[0].n_blocks.tolist() == [round(n / 16) for n in found[0].n_leaders]


def test_save_and_load(tmp_path):
    """Arrays, diagnostics, warnings and settings survive a round trip."""
    spectrum = multifractal_spectrum(ROUGH, n_bootstrap=20, rng=5)
    spectrum.save(tmp_path / "spectrum.npz")
    again = Spectrum.load(tmp_path / "spectrum.npz")
    assert np.array_equal(again.h_interval, spectrum.h_interval)
    assert np.array_equal(again.diagnostics.eta, spectrum.diagnostics.eta)
    assert again.diagnostics.verdict == spectrum.diagnostics.verdict
    assert again.warnings == spectrum.warnings
    assert again.provenance == spectrum.provenance


def test_validation_reports_bias_spread_and_coverage(tmp_path):
    """A validation of two surfaces repeats itself, holds every estimate, and prints one row for each exponent."""
    settings = {"n": 256, "n_surfaces": 2, "n_bootstrap": 20}
    found = validate_estimator((0.4, 0.8), rng=1, **settings)
    assert found.log_cumulants.shape == (2, 2, 4)
    np.testing.assert_allclose(
        found.bias[:, 0], found.log_cumulants[..., 0].mean(axis=1) - [0.4, 0.8], atol=1e-14
    )
    assert np.array_equal(found.spread, validate_estimator((0.4, 0.8), rng=1, **settings).spread)
    assert len(found.table().splitlines()) == 4
    found.save(tmp_path / "validation.npz")
    assert EstimatorValidation.load(tmp_path / "validation.npz").table() == found.table()


@pytest.mark.parametrize(
    ("values", "settings", "words"),
    [
        (np.random.default_rng(5).normal(size=(257, 257)), {}, "invalid: hmin = "),
        (
            np.random.default_rng(5).normal(size=(257, 257)),
            {"p": 1, "first_scale": 1, "scales": (1, 4)},
            "invalid: eta(1) = ",
        ),
        (np.random.default_rng(5).normal(size=(257, 257)), {}, "dominated by pixel noise"),
        (ROUGH, {"q": [60.0]}, "the moments of q = 60 rest on one neighbourhood of leaders"),
        (ROUGH, {"scales": (2, 3)}, "only two scales"),
        (
            np.where(np.arange(257)[:, None] < 128, 1.0, ROUGH),
            {},
            "of the image is constant or linear to rounding; its leaders were left out",
        ),
        (
            np.add.outer(np.linspace(0, 1, 200), np.linspace(1, 3, 200)),
            {"scales": (2, 4)},
            "invalid: 100 % of the image is constant or linear to rounding",
        ),
        (
            ROUGH,
            {"n_bootstrap": 9, "rng": 0, "p": 2.0},
            "no intervals: none was calibrated for these settings and this size",
        ),
        (
            ROUGH,
            {"n_bootstrap": 9, "rng": 0, "wavelet": "db3"},
            "no intervals: none was calibrated for these settings and this size",
        ),
        (
            np.cos(np.add.outer(np.arange(300) / 50, np.arange(300) / 40)),
            {"n_bootstrap": 9, "rng": 0},
            "no intervals: no exact surface that they were calibrated on has such a c1",
        ),
    ],
)
def test_results_carry_warnings(values, settings, words):
    """What a user must know before using the numbers is said on the result."""
    found = multifractal_spectrum(values, **settings)
    assert any(words in warning for warning in found.warnings), found.warnings
    assert found.diagnostics.valid != any(
        warning.startswith("invalid") for warning in found.warnings
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"scales": (3, 6)},
            "scales must give at least two scales of this image, which has leaders:",
        ),
        ({"landscape": ROUGH[:60, :60]}, "pass a larger image or finer scales"),
        ({"scales": (1, 3)}, "both at least first_scale = 2"),
        ({"landscape": np.ones((64, 64))}, "landscape must vary"),
        ({"landscape": np.where(ROUGH == ROUGH[7, 9], np.nan, ROUGH)}, "at index (7, 9)"),
        (
            {"weights": "uniform", "n_bootstrap": 9, "rng": 0},
            "weights must be 'count' for a bootstrap",
        ),
        ({"weights": "equal"}, "weights must be one of 'count', 'uniform'"),
        ({"n_bootstrap": 9}, "rng must be a seed"),
        ({"n_bootstrap": 1, "rng": 0}, "n_bootstrap must be 0 or at least 2"),
        ({"q": [1, 1]}, "q must hold distinct orders"),
        ({"q": [np.nan]}, "q must be finite"),
    ],
)
def test_bad_input_is_refused_with_its_rule(change, words):
    """Each refusal names the argument, its value and the rule."""
    with pytest.raises(ValueError, match=re.escape(words)):
        multifractal_spectrum(**({"landscape": ROUGH} | change))


def test_two_leaders_at_a_scale_are_enough_and_one_is_not():
    """With counts of 2 and more nothing is refused; with one the scale is named."""
    _require_leaders(np.array([3, 4]), np.array([9, 2]))
    with pytest.raises(ValueError, match=re.escape("scale(s) [4]")):
        _require_leaders(np.array([3, 4]), np.array([9, 1]))
