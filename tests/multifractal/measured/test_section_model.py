"""Model surfaces made after a section: exponents, gradients, and what is said where the section is smooth or noise."""

import numpy as np
import pytest

from multifractal import Landscape, fbm_surface, local_hoelder, paper_hoelder_map
from multifractal.landscapes.multifractional import mbm_surface
from multifractal.measured.section_model import HIGHEST, LOWEST, model_of_section

pytestmark = pytest.mark.quick


def test_the_model_has_the_sections_exponents():
    """On a rough section the model's own map, mean of 6 draws, is off by less than one draw's standard error on average."""
    section = mbm_surface(paper_hoelder_map(96), rng=0)
    models = [model_of_section(section, rng=k) for k in range(6)]
    assert models[0].share_followed == 1.0
    found = np.mean([local_hoelder(model.landscape, 8.0).hoelder for model in models], axis=0)
    assert abs(np.mean(found - models[0].hoelder)) < np.median(models[0].standard_error)
    assert np.corrcoef(found.ravel(), models[0].hoelder.ravel())[0, 1] > 0.9


def test_gradients_have_the_sections_size():
    """The mean squared gradient, by numpy, is the section's to rounding; the relief is the ratio of deviations."""
    section = Landscape(7.0 * fbm_surface((70, 90), 0.6, rng=3).values)
    model = model_of_section(section, rng=1)
    ours, theirs = (
        np.mean(np.sum(np.square(np.gradient(values)), axis=0))
        for values in (model.values, section.values)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    np.testing.assert_allclose(model.rms_gradient, np.sqrt(theirs), rtol=1e-12)
    np.testing.assert_allclose(model.relief, model.values.std() / section.values.std(), rtol=1e-12)


def test_a_smooth_section_cannot_be_followed_and_says_so():
    """Of a differentiable section every pixel counts as smooth, none as followed, and the model's exponent is held."""
    y, x = np.mgrid[:64, :64] / 10
    model = model_of_section(np.cos(x) + np.sin(0.7 * y) + 0.1 * x**2, rng=0)
    assert (model.share_smooth, model.share_noise, model.share_followed) == (1.0, 0.0, 0.0)
    assert (model.hoelder == HIGHEST).all()
    assert (model.measured > 1.9).all()


def test_white_noise_counts_as_noise():
    """Exponents of white noise scatter about 0: about half at most the lowest, all within 5 standard errors of 0."""
    model = model_of_section(np.random.default_rng(0).normal(size=(64, 64)), rng=0)
    assert 0.3 < model.share_noise <= 1
    assert model.hoelder.min() == LOWEST
    assert (np.abs(model.measured) < 5 * model.standard_error).all()


def test_a_constant_patch_is_refused():
    """There is no exponent where nothing varies."""
    with pytest.raises(ValueError, match="vary within every window"):
        model_of_section(np.zeros((64, 64)), rng=0)
