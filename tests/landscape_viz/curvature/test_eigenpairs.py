"""Eigenpairs, trace and density: against LAPACK on matrices whose spectra are hard, and on a small network's Hessian."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator

from landscape_viz.curvature.density import (
    _smoothed,
    condition_number,
    negative_eigenvalues,
    spectral_density,
)
from landscape_viz.curvature.eigenpairs import top_eigenpairs
from landscape_viz.curvature.hessian import HessianOperator
from landscape_viz.curvature.lanczos import Lanczos
from landscape_viz.curvature.products import Products
from landscape_viz.curvature.xtrace import trace
from landscape_viz.loss.problem import Problem
from tests.landscape_viz.curvature.test_hessian import classification, small_network

BULK = np.linspace(-1, 1, 400)
SPECTRA = {
    "decay": 1 / np.arange(1.0, 401),
    "cluster": np.r_[10 + 1e-3 * np.arange(5), BULK],
    "outliers": np.r_[[50.0, 20, 10, 5, 3], BULK / 100],
    "repeated": np.r_[[7.0] * 3, [2.0] * 297, [1.0] * 100],
    "indefinite": np.r_[[-30.0, 25, -20, 15, -10], BULK],
    "low rank": np.r_[[3.0, 2, 1], np.zeros(400)],
    "bulk": BULK,
}


def matrix(eigenvalues, seed=0):
    """Return a symmetric matrix with these eigenvalues and random eigenvectors."""
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(eigenvalues),) * 2))[0]
    return (basis * eigenvalues) @ basis.T


@pytest.mark.parametrize("which", ["LA", "SA", "LM"])
@pytest.mark.parametrize("name", SPECTRA)
def test_eigenvalues_of_hard_spectra(name, which):
    """Clusters, repetitions, low rank and indefinite spectra: each of the first five values to the tolerance asked for."""
    eigenvalues = SPECTRA[name]
    order = {
        "LA": np.argsort(-eigenvalues),
        "SA": np.argsort(eigenvalues),
        "LM": np.argsort(-np.abs(eigenvalues)),
    }[which]
    found = top_eigenpairs(matrix(eigenvalues), 5, which, tol=1e-3, max_products=len(eigenvalues))
    expected = eigenvalues[order[:5]]
    assert found.converged
    error = (
        np.abs(np.abs(found.values) - np.abs(expected))
        if which == "LM"
        else np.abs(found.values - expected)
    )
    assert (error <= 1e-3 * np.abs(expected) + 1e-6 * np.abs(eigenvalues).max()).all(), (
        found.values,
        expected,
    )


COPIES = {
    "four and four": np.r_[[2.487] * 4, [2.453] * 4, 2.108, np.linspace(-0.5, 2, 300)],
    "a pair below the top": np.r_[5.0, 4.0, 4.0, 3.0, np.linspace(-1, 1, 200)],
    "copies at both ends": np.r_[[3.0] * 3, [-3.5] * 2, np.linspace(-1, 1, 150)],
    "identity": np.ones(60),
    "zero": np.zeros(40),
    "copies in a cluster": np.r_[[1.0] * 2, [0.98] * 3, [0.96] * 2, np.linspace(-0.2, 0.7, 200)],
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("which", ["LA", "SA", "LM"])
@pytest.mark.parametrize("name", COPIES)
def test_no_copy_of_a_repeated_eigenvalue_is_missing(name, which, dtype):
    """Of repeated eigenvalues each copy is found, to the tolerance, from 2 seeds; in float32 as well."""
    key = {"LA": -COPIES[name], "SA": COPIES[name], "LM": -np.abs(COPIES[name])}[which]
    expected = COPIES[name][np.argsort(key, kind="stable")]
    for seed in range(2):
        found = top_eigenpairs(matrix(COPIES[name], seed).astype(dtype), 8, which, rng=seed)
        assert found.converged
        size = np.abs(expected[:8]) if which == "LM" else expected[:8]
        values = np.abs(found.values) if which == "LM" else found.values
        floor = 1e-6 * np.abs(expected).max()
        np.testing.assert_allclose(values, size, rtol=1.1e-3, atol=max(floor, 1e-6))


def test_a_start_on_an_eigenvector_hides_nothing():
    """Where the first vector is an eigenvector of a small eigenvalue the large ones are found all the same."""
    eigenvalues = np.r_[7.0, 5.0, np.linspace(-1, 1, 100)]
    found = top_eigenpairs(np.diag(eigenvalues), 2, start=np.eye(102)[:, 50])
    np.testing.assert_allclose(found.values, [7, 5], rtol=1e-3)
    assert found.converged


def test_residuals_are_true():
    """The residual reported is |H v - theta v|, and the vectors are orthonormal."""
    a = matrix(SPECTRA["outliers"])
    found = top_eigenpairs(a, 5)
    true = np.linalg.norm(a @ found.vectors - found.vectors * found.values, axis=0)
    np.testing.assert_allclose(true, found.residuals, rtol=1e-6, atol=1e-11)
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(5), atol=1e-12)


def test_residuals_that_are_large_are_true():
    """Stopped after 12 products, the residuals reported are |H v - theta v|: all above 1e-3, to 1e-9 of themselves."""
    a = matrix(SPECTRA["bulk"])
    found = top_eigenpairs(a, 5, max_products=12)
    true = np.linalg.norm(a @ found.vectors - found.vectors * found.values, axis=0)
    assert true.min() > 1e-3
    np.testing.assert_allclose(found.residuals, true, rtol=1e-9)


def test_a_sequence_knows_its_residuals():
    """The last coefficient times the last component of each Ritz vector is |H v - theta v| (Paige), after 10 steps."""
    a = matrix(SPECTRA["bulk"])
    product, generator = Products(a), np.random.default_rng(0)
    lanczos = Lanczos(product, product.normal(generator), 11, None)
    lanczos.advance(10)
    theta, s, residuals = lanczos.ritz()
    vectors = lanczos.combined(s).numpy().T
    true = np.linalg.norm(a @ vectors - vectors * theta, axis=0)
    np.testing.assert_allclose(residuals, true, rtol=1e-9, atol=1e-12)


def single_precision():
    """Return the small network in float32."""
    return small_network().float()


def test_residuals_are_measured_in_float32_too():
    """On a float32 network, asked for more than rounding allows, the residual stated is that of one more product."""
    inputs = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    problem = Problem(single_precision, None, "cross_entropy", (inputs, inputs.argmax(1)))
    operator = HessianOperator(problem)
    found = top_eigenpairs(operator, 2, tol=1e-14)
    true = [
        np.linalg.norm(operator.matvec(v).astype(float) - theta * v.astype(float))
        for v, theta in zip(found.vectors.T, found.values, strict=True)
    ]
    np.testing.assert_allclose(found.residuals, true, atol=5e-7 * found.values[0])
    assert found.residuals.max() > 1e-9 * found.values[0]


def test_an_operator_that_is_not_finite_is_said():
    """One NaN in a matrix ends each of the three estimates with the number of bad entries and where to look."""
    bad = matrix(BULK)
    bad[3, 4] = np.nan
    for estimate in (
        lambda: top_eigenpairs(bad, 2),
        lambda: trace(bad),
        lambda: spectral_density(bad),
    ):
        with pytest.raises(
            ArithmeticError, match="not finite in 1 of 400 entries.*NaN in the weights"
        ):
            estimate()


def test_no_ghosts_in_a_long_run():
    """After 150 steps on a spectrum of 5 outliers each outlier shows once; the basis is orthonormal to 1e-12."""
    eigenvalues = SPECTRA["outliers"]
    product, generator = Products(matrix(eigenvalues)), np.random.default_rng(0)
    lanczos = Lanczos(product, product.normal(generator), 150, None)
    lanczos.advance(150)
    theta = lanczos.ritz()[0]
    assert (theta > 1).sum() == 5
    basis = lanczos.combined(np.eye(150)).numpy().T
    np.testing.assert_allclose(basis.T @ basis, np.eye(150), atol=1e-12)


def test_running_out_of_products_is_said():
    """Too few products give `converged` False, and an eigenvalue does lie within each residual of each value."""
    found = top_eigenpairs(matrix(SPECTRA["bulk"]), 5, max_products=12)
    assert not found.converged
    assert found.products == 12
    assert (np.abs(found.values[:, None] - BULK).min(axis=1) <= found.residuals).all()


def test_a_warm_start_saves_products():
    """Starting from the eigenvectors of a slightly changed matrix needs fewer products (of a cluster it may need more)."""
    a = matrix(SPECTRA["decay"])
    cold = top_eigenpairs(a, 3)
    drift = 1e-4 * matrix(np.random.default_rng(2).normal(size=len(a)), seed=3)
    assert (
        top_eigenpairs(a + drift, 3, start=cold.vectors).products
        < top_eigenpairs(a + drift, 3).products
    )


def test_a_networks_eigenvalues_to_1e_6():
    """Top and bottom eigenvalues of a small network's Hessian are LAPACK's to 1e-6, in float64."""
    operator = HessianOperator(classification())
    exact = np.linalg.eigvalsh(operator.to_dense())
    np.testing.assert_allclose(
        top_eigenpairs(operator, 5, tol=1e-6).values, exact[::-1][:5], rtol=1e-6
    )
    np.testing.assert_allclose(
        top_eigenpairs(operator, 3, "SA", tol=1e-6).values, exact[:3], rtol=1e-6
    )


@pytest.mark.parametrize("name", ["decay", "outliers", "indefinite", "bulk"])
def test_trace_lies_within_its_standard_error(name):
    """Over 60 seeds the error is unbiased within 4 standard errors and its size is that stated, within a factor 1.6.

    The jackknife's square is not below the true one on average, and up to 2.5 times the true error on steep spectra.
    """
    a = matrix(SPECTRA[name])
    runs = [trace(a, n_products=32, rng=seed) for seed in range(40)]
    errors = np.array([run.value for run in runs]) - np.trace(a)
    stated = np.sqrt(np.mean([run.standard_error**2 for run in runs]))
    assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(40)
    # 4 standard errors of a deviation from 40 above, and 2.5 besides below
    assert 1 / (1.6 * 2.5) < np.sqrt(np.mean(errors**2)) / stated < 1.6
    assert runs[0].products == 32


def test_trace_of_a_small_network():
    """The trace of a network's Hessian lies within 3 stated standard errors; with n products it is exact."""
    operator = HessianOperator(classification())
    exact = np.trace(operator.to_dense())
    rough = trace(operator, n_products=32)
    assert abs(rough.value - exact) < 3 * rough.standard_error
    assert trace(operator, n_products=100).value == pytest.approx(exact, rel=1e-10)
    assert trace(operator, n_products=100).standard_error == 0


def test_low_rank_trace_is_exact():
    """A matrix of rank 3 has its trace from 16 products to rounding, though the images are linearly dependent."""
    assert trace(matrix(SPECTRA["low rank"]), n_products=16).value == pytest.approx(6, rel=1e-9)


def test_density_moments_are_the_matrixs():
    """Each probe's third moment is v'A^3 v / n to 1e-9; moments 1 to 9 lie within 4 standard errors of tr A^k / n."""
    a = matrix(SPECTRA["indefinite"])
    density = spectral_density(a, n_probes=12, n_steps=40)
    for order in range(1, 10):
        exact = np.trace(np.linalg.matrix_power(a, order)) / len(a)
        mean, error = density.moment(order)
        assert abs(mean - exact) < 4 * error
    quadratures = np.sum(density.weights * density.nodes**3, axis=1)
    from multifractal.base.rng import realisation

    probes = [realisation(0, i).choice([-1.0, 1.0], len(a)) for i in range(12)]
    np.testing.assert_allclose(quadratures, [v @ a @ a @ a @ v / len(a) for v in probes], rtol=1e-9)


def test_density_of_a_network_holds_its_mass():
    """A network's density integrates to 1; with 400 probes its moments are the exact ones to 1e-3 or 4 standard errors."""
    operator = HessianOperator(classification()).to_dense()
    density = spectral_density(operator, n_probes=400, n_steps=30)
    assert np.trapezoid(density.density, density.grid) == pytest.approx(1, abs=1e-3)
    exact = np.linalg.eigvalsh(operator)
    for order in (1, 2, 3):
        mean, error = density.moment(order)
        assert abs(mean - np.mean(exact**order)) < max(
            1e-3 * np.mean(np.abs(exact) ** order), 4 * error
        )


@pytest.mark.parametrize("name", ["outliers", "low rank"])
def test_density_without_a_basis_is_the_same(name):
    """The recurrence finds outliers several times, and zeros of rank 3 too soon; weights, moments and density are the same."""
    a, options = matrix(SPECTRA[name]), {"n_probes": 2, "n_steps": 60, "width": 0.3}
    kept, lean = spectral_density(a, **options), spectral_density(a, memory_budget=1, **options)
    assert (kept.reorthogonalised, lean.reorthogonalised) == (True, False)
    top = np.sum(lean.nodes > 0.99 * SPECTRA[name][0], axis=1)
    assert (top > 1).all() == (name == "outliers")
    np.testing.assert_allclose(lean.weights.sum(axis=1), 1, rtol=1e-12)
    for order in range(1, 10):
        assert lean.moment(order)[0] == pytest.approx(kept.moment(order)[0], rel=1e-10)
    curves = [
        _smoothed(kept.grid, *pair, 0.3) for pair in zip(lean.nodes, lean.weights, strict=True)
    ]
    np.testing.assert_allclose(
        np.mean(curves, axis=0), kept.density, atol=1e-8 * kept.density.max()
    )


def test_density_from_unit_vectors_is_exact():
    """With n probes the unit vectors serve: a network's first nine moments are the exact ones to 1e-9, with error 0."""
    operator = HessianOperator(classification())
    matrix = operator.to_dense()
    density = spectral_density(matrix, n_probes=75, n_steps=30)
    exact = np.linalg.eigvalsh(matrix)
    for order in range(1, 10):
        mean, error = density.moment(order)
        assert mean == pytest.approx(
            np.mean(exact**order), rel=1e-9, abs=1e-12 * np.abs(exact).max() ** order
        )
        assert error == 0
    count = negative_eigenvalues(spectral_density(matrix, n_probes=75, n_steps=75), 1e-4)
    assert count.count == pytest.approx((exact < -1e-4).sum(), abs=0.01)


def test_negative_eigenvalues_are_counted():
    """The count below a threshold agrees with the exact one within 4 standard errors, and depends on the threshold."""
    eigenvalues = np.r_[np.full(40, -5.0) + np.linspace(0, 0.1, 40), np.linspace(-0.01, 3, 160)]
    density = spectral_density(matrix(eigenvalues), n_probes=30, n_steps=60)
    count = negative_eigenvalues(density, threshold=0.1)
    assert abs(count.count - 40) < 4 * count.standard_error
    assert negative_eigenvalues(density, threshold=10).count == 0


def test_condition_number_is_that_of_what_exceeds_the_threshold():
    """Small eigenvalues are left out; a threshold above all is refused."""
    found = condition_number([100, -4, 1e-9, 0], threshold=1e-3)
    assert (found.value, found.largest, found.smallest) == (25, 100, 4)
    with pytest.raises(ValueError, match="threshold must be below the largest"):
        condition_number([1, 2], threshold=3)


def test_results_survive_a_file(tmp_path):
    """Eigenpairs are saved with their checksum and read back."""
    found = top_eigenpairs(matrix(SPECTRA["outliers"]), 3)
    found.save(tmp_path / "pairs.npz")
    again = type(found).load(tmp_path / "pairs.npz")
    assert np.array_equal(again.vectors, found.vectors)
    assert again.converged is True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"k": 0}, "k must be a whole number, at least 1"),
        ({"k": 500}, "k must be at most n = 400"),
        ({"k": 2, "which": "XX"}, "which must be one of"),
        ({"k": 5, "max_products": 4}, "max_products must be at least 2 k = 10"),
        ({"k": 2, "tol": 0}, "tol must be a positive finite number"),
        ({"k": 2, "start": np.zeros(400)}, "start must be finite, not zero"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    """Each refusal names argument, value and rule."""
    with pytest.raises(ValueError, match=words):
        top_eigenpairs(matrix(BULK), **arguments)


def test_a_search_that_cannot_end_takes_the_products_it_may():
    """30 k + 150 unless told otherwise, those of the residuals included, and it says that it has not converged."""
    d = np.linspace(0, 1, 4000)
    hard = LinearOperator((4000, 4000), matvec=lambda v: d * v.ravel(), dtype=np.float64)
    for k, given, most in ((1, None, 180), (2, None, 210), (2, 40, 40)):
        found = top_eigenpairs(hard, k, tol=1e-14, max_products=given)
        assert found.products == most
        assert not found.converged
