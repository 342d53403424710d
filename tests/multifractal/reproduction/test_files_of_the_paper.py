"""What claims read from the paper's files: made-up ones whose numbers are known, and nothing where none is here."""

from types import SimpleNamespace

import numpy as np
import pytest

from multifractal.reproduction import (
    alpha_claims,
    chaos_claims,
    edge_claims,
    spectra_claims,
    surface_claims,
    theory_claims,
    walk_claims,
)

pytestmark = pytest.mark.quick
MODEL, MONO = "multifractional_brownian_surface", "fractional_brownian_surfaces"
READERS = [  # function, its arguments, what it returns without a file
    (chaos_claims, "_published", (), None),
    (walk_claims, "_published", (), None),
    (edge_claims, "published", (), None),
    (spectra_claims, "_h_in_file", (0,), None),
    (spectra_claims, "_epoch_files", (), ({}, {})),
    (spectra_claims, "_published_spectra", (), {}),
    (alpha_claims, "_published", (), {}),
    (alpha_claims, "_exponents_in_files", (), {}),
    (surface_claims, "_published_losses", (), {}),
    (theory_claims, "_published_fits", (), {}),
]


@pytest.fixture
def read(monkeypatch):
    """Call a reader with files by name in the place of the paper's."""

    def reading(module, function, files, *arguments):
        shelf = SimpleNamespace(available=files.__contains__, read=files.__getitem__)
        monkeypatch.setattr(module, "source_data", shelf)
        return getattr(module, function)(*arguments)

    return reading


@pytest.mark.parametrize(("module", "function", "arguments", "nothing"), READERS)
def test_without_a_file_nothing_is_read(read, module, function, arguments, nothing):
    """Nothing is opened that is not here, and the report goes on without it."""
    assert read(module, function, {}, *arguments) == nothing


def test_lyapunov_exponents_of_the_file(read):
    """Rates and mean exponents, which a file of MATLAB holds as one row each."""
    file = {"lrs": np.array([[1.0, 10.0]]), "mle_mean": np.array([[-0.5, 0.3]])}
    rates, means = read(chaos_claims, "_published", {f"{MODEL}/chaos.mat": file})
    assert rates.tolist() == [1, 10]
    assert means.tolist() == [-0.5, 0.3]


def test_displacement_of_the_file(read):
    """A curve at each of the paper's waiting times, at the lags of the first row."""
    curves, lags = np.random.default_rng(0).random((14, 5)), np.arange(5)
    found = read(walk_claims, "_published", {walk_claims._FILE: {"ys": curves, "xs": lags + 0 * curves}})  # fmt: skip
    assert found.per_walk.shape == (1, 14, 5)
    np.testing.assert_array_equal(found.per_walk[0], curves)
    np.testing.assert_array_equal(found.lag_times, lags)
    assert found.waiting_times.shape == (14,)


def test_sharpness_of_the_file(read):
    """Sharpness of 2 over each of the 40 rates is at the edge everywhere, with zeros, which have no logarithm, at their least."""
    sharpness = np.tile((2 / edge_claims.RATES)[:, None, None], (1, 3, 4))
    found = read(edge_claims, "published", {edge_claims._FILE: {"leading_eig": sharpness}})
    np.testing.assert_allclose(found.over_edge, np.zeros((1, 40)), atol=1e-12)
    np.testing.assert_allclose(found.slope, -1.0, rtol=1e-12)
    sharpness[5] = -1.0
    found = read(edge_claims, "published", {edge_claims._FILE: {"leading_eig": sharpness}})
    assert found.mean[0, 5] == pytest.approx(-12)


def test_spectra_of_the_files(read):
    """The h of the order that is nearest to the one asked for."""
    q, h = np.array([-2.0, -0.9, 0.1, 1.0]), np.array([0.9, 0.7, 0.5, 0.2])
    file = {"q": q, "hq": h, "Dq": np.array([1.0, 2.0, 1.9, 1.2])}
    name = f"{MODEL}/multifractal_spectrum.mat"
    assert read(spectra_claims, "_h_in_file", {name: file}, 0) == 0.5
    assert read(spectra_claims, "_h_in_file", {name: file}, -1) == 0.7


def test_epochs_that_are_here(read, monkeypatch):
    """An epoch without a file is left out, the others are told."""
    file = {"hq": np.array([0.9, 0.7, 0.2]), "Dq": np.array([1.0, 2.0, 1.2])}
    first, *_, last = spectra_claims._EPOCHS
    files = {f"real_loss_landscape/epoch_{epoch}_spectrum.mat": file for epoch in (first, last)}
    monkeypatch.setattr(spectra_claims, "published_spectrum", lambda name: name)
    quantities, results = read(spectra_claims, "_epoch_files", files)
    assert [one.value for one in quantities.values()] == [0.7, 0.7]
    assert quantities[f"epoch_{last}"].published == "h from 0.20 to 0.90"
    assert results == {f"epoch {e}": n for e, n in zip((first, last), files, strict=True)}


def test_exponents_of_the_files(read):
    """One curve a trial of the nine Hurst exponents; of displacement t^1.4 from lag 0 on the exponent 1.4 and the mean of one step."""
    trials = np.arange(18.0).reshape(9, 2)
    drawn = read(alpha_claims, "_published", {f"{MONO}/alphas.mat": {"alphas": trials}})
    np.testing.assert_array_equal(drawn["published"].samples, trials.T)
    np.testing.assert_allclose(drawn["published"].x, np.linspace(0.1, 0.9, 9))
    law = np.arange(30.0) ** 1.4
    file = {"ys": np.array([[3.0], [5.0]]) * law}
    found = read(alpha_claims, "_exponents_in_files", {f"{MONO}/TAMSD_H=0.5.mat": file})
    assert found == {0.5: (pytest.approx(1.4), pytest.approx(4.0))}


def test_losses_of_the_box_in_the_file(read):
    """Columns 650 to 900 and rows 700 to 950, ends included: all at one place of a ramp whose central 98 % are the unit."""
    values = np.add.outer(np.zeros(1000), np.linspace(-1, 1, 1000))
    values[700:951, 650:901] = 0.125
    found = read(surface_claims, "_published_losses", {f"{MODEL}/landscape.mat": {"landscape": values}})  # fmt: skip
    edges, density = found["published"].x, found["published"].samples[0]
    place = np.searchsorted(edges, (0.125 + 0.98) / 1.96) - 1
    assert np.flatnonzero(density).tolist() == [place]
    assert density[place] == pytest.approx(1 / (edges[1] - edges[0]))


def test_fits_of_the_files(read, monkeypatch):
    """The row of each file that the paper fits, without the lag 0; other files are left out."""
    line, lags = theory_claims._FITTED[0.5], np.arange(4)
    file = {"xs": np.tile(lags, (5, 1)), "ys": np.arange(5.0)[:, None] + lags}
    monkeypatch.setattr(theory_claims, "_fit", lambda curve: curve)
    found = read(theory_claims, "_published_fits", {f"{MONO}/TAMSD_H=0.5.mat": file})
    assert found.keys() == {"published 0.5", "published fit 0.5"}
    assert found["published 0.5"].lag_times.tolist() == [1, 2, 3]
    assert found["published 0.5"].per_walk.tolist() == [[[line + 1.0, line + 2.0, line + 3.0]]]
