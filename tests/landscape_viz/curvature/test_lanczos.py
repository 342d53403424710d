"""Lanczos steps: against the obvious twin, restarted in little memory, on the device, and sure of what they missed."""

import numpy as np
import pytest
import torch

from landscape_viz.curvature import hessian, products
from landscape_viz.curvature import lanczos as chapter
from landscape_viz.curvature.density import spectral_density
from landscape_viz.curvature.eigenpairs import top_eigenpairs
from landscape_viz.curvature.hessian import HessianOperator
from landscape_viz.curvature.lanczos import Lanczos
from landscape_viz.curvature.products import Products
from landscape_viz.curvature.xtrace import trace
from tests.helpers import naive_networks
from tests.landscape_viz.curvature.test_eigenpairs import SPECTRA, matrix
from tests.landscape_viz.curvature.test_hessian import classification


def steps(a, count, seed=0, **options):
    """Return (Lanczos after `count` steps, its first vector) of a matrix."""
    product, generator = Products(a), np.random.default_rng(seed)
    first = product.normal(generator)
    unit = (first / first.norm()).numpy()
    lanczos = Lanczos(product, first, len(a), generator, **options)
    lanczos.advance(count)
    return lanczos, unit


def test_steps_are_the_twins():
    """30 steps on an indefinite spectrum have the twin's Ritz values and vectors, to rounding of the largest eigenvalue."""
    a = matrix(SPECTRA["indefinite"])
    lanczos, first = steps(a, 30)
    T, basis = naive_networks.lanczos(a, first, 30)
    theta, s, _ = lanczos.ritz()
    np.testing.assert_allclose(theta, np.linalg.eigvalsh(T), atol=1e-12 * 30)
    np.testing.assert_allclose(lanczos.combined(s[:, -3:]).numpy().T, basis @ s[:, -3:], atol=1e-9)


def test_a_first_vector_that_is_partly_known_keeps_its_basis_orthonormal():
    """Steps apart from known eigenvectors: whatever share of the first vector they take, the basis has unit vectors."""
    a = np.diag(np.arange(1.0, 41.0))
    known = torch.eye(40, dtype=torch.float64)[-3:]
    product, generator = Products(a), np.random.default_rng(0)
    first = product.normal(generator) + 30 * known.sum(dim=0)
    lanczos = Lanczos(product, first, 40, generator, known)
    lanczos.advance(10)
    basis = lanczos.combined(np.eye(lanczos.size)).numpy()
    basis = basis if basis.shape[1] == 40 else basis.T
    np.testing.assert_allclose(basis @ basis.T, np.eye(10), atol=1e-12)
    np.testing.assert_allclose(basis[:, -3:], 0, atol=1e-12)
    assert 30 < lanczos.ritz()[0].max() < 37 + 1e-9


@pytest.mark.parametrize("most", [8, 20])
def test_a_restarted_basis_keeps_the_recurrence(most):
    """After restarts the basis is orthonormal, T is the operator in it, and each residual is the measured one, to 1e-12 of 50."""
    a = matrix(SPECTRA["outliers"])
    lanczos, _ = steps(a, 45, most=most, rank=lambda theta: theta)
    theta, s, residuals = lanczos.ritz()
    vectors = lanczos.combined(s).numpy()
    assert len(theta) <= most
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(len(theta)), atol=1e-12)
    images = vectors @ a
    np.testing.assert_allclose((images * vectors).sum(axis=1), theta, atol=5e-11)
    measured = np.linalg.norm(images - theta[:, None] * vectors, axis=1)
    np.testing.assert_allclose(measured, residuals, atol=5e-11)


@pytest.mark.parametrize("most", [None, 8])
def test_parts_of_an_eigenvector_follow_from_the_steps(most):
    """An eigenvector's parts along the basis and the next vector are those told from T times that along the first one."""
    values = np.r_[3.0, np.linspace(-1, 1, 99)]
    lanczos, first = steps(np.diag(values), 12, most=most, rank=lambda theta: theta)
    rows = [*lanczos.combined(np.eye(lanczos.size)), lanczos._next / lanczos._next.norm()]
    along = np.array([float(row[0]) for row in rows])
    p = np.ones(1)
    for T, s in lanczos._past:
        p = chapter._parts_along(p, T, 3.0, len(s) + 1)
        p = np.r_[s.T @ p[:-1], p[-1]]
    T = lanczos._T.copy()
    T[lanczos.size - 1, lanczos.size] = lanczos._beta
    p = chapter._parts_along(p, T, 3.0, lanczos.size + 1)
    np.testing.assert_allclose(first[0] * p, along, atol=1e-9)
    square = 2 * 100 / np.pi / np.square(p).sum()
    assert lanczos.chance_beyond(3.0) == pytest.approx(np.sqrt(square))


def test_what_a_first_vector_may_hide_becomes_unlikely():
    """Beyond the largest of 301 eigenvalues, 1, another at 1.05 may be hidden from 6 steps, and hardly from 40."""
    values = np.diag(np.linspace(-0.5, 1, 301))
    chances = [steps(values, count)[0].chance_beyond(1.05) for count in (6, 40)]
    assert chances[0] > 0.5 > 1e-3 > chances[1]


def test_the_largest_value_is_right_as_often_as_is_said():
    """Two eigenvalues 2 % apart, 100 seeds: at most 5 + 4 sqrt(5) of 100 values are off by more than 1 %, from 35 products at most."""
    a = np.diag(np.r_[1.02, 1.0, np.linspace(-0.5, 0.9, 300)])
    found = [top_eigenpairs(a, 1, tol=1e-2, rng=seed) for seed in range(100)]
    assert sum(pair.values[0] < 0.99 * 1.02 for pair in found) <= 5 + 4 * 5**0.5
    assert np.mean([pair.products for pair in found]) < 35
    assert all(pair.converged for pair in found)


def test_little_memory_gives_the_same_values(monkeypatch):
    """With room for 2 k + 6 vectors the five largest of 400 are the same to the tolerance, and no more rows were made."""
    a, made = matrix(SPECTRA["decay"]), []
    rows = Products.rows
    monkeypatch.setattr(Products, "rows", lambda self, n: made.append(n) or rows(self, n))
    found = top_eigenpairs(a, 5, memory_budget=1)
    np.testing.assert_allclose(found.values, SPECTRA["decay"][:5], rtol=1e-3)
    assert found.converged
    assert max(made) <= 16


def refuse(*arguments):
    """Stand for what must not be called."""
    raise AssertionError("an array where a tensor should stay")


@pytest.mark.parametrize(
    "estimate",
    [
        lambda operator: top_eigenpairs(operator, 2, tol=1e-2),
        lambda operator: trace(operator, n_products=8),
        lambda operator: trace(operator, n_products=8, memory_budget=1),
        lambda operator: spectral_density(operator, n_probes=2, n_steps=5),
        lambda operator: spectral_density(operator, n_probes=2, n_steps=5, memory_budget=1),
    ],
    ids=["top_eigenpairs", "trace", "trace by Hutchinson", "spectral_density", "no basis"],
)
def test_no_vector_leaves_the_device(estimate, monkeypatch):
    """No tensor as long as the weights becomes an array, but for the eigenvectors at the end; arrays go in for draws only."""
    operator = HessianOperator(classification())
    moved = {"out": [], "in": [], "drawn": []}

    def note(owner, name, kind):
        kept = getattr(owner, name)

        def noted(thing, *rest, **options):
            if operator.shape[0] in np.shape(thing):
                moved[kind].append(np.shape(thing))
            return kept(thing, *rest, **options)

        monkeypatch.setattr(owner, name, noted)

    for name in ("numpy", "cpu", "tolist", "__array__"):
        note(torch.Tensor, name, "out")
    for name in ("from_numpy", "as_tensor", "tensor"):
        note(torch, name, "in")
    for module in (products, hessian):  # whose numpy memory on the CPU is no transfer
        empty = lambda size, dtype, device: torch.empty(size, dtype=dtype, device=device)  # noqa: E731
        monkeypatch.setattr(module, "empty_vector", empty)
    drawn = Products.drawn
    monkeypatch.setattr(Products, "drawn", lambda *a: moved["drawn"].append(1) or drawn(*a))
    monkeypatch.setattr(HessianOperator, "_matvec", refuse)
    found = estimate(operator)
    assert len(moved["out"]) == (2 if hasattr(found, "vectors") else 0)
    assert len(moved["in"]) == len(moved["drawn"])
    assert operator.products >= 8


@pytest.mark.parametrize(
    ("vectors", "method"), [(4, "Hutchinson"), (6, "Hutch++"), (10, "Hutch++")]
)
def test_hutchinson_takes_over_where_memory_is_short(vectors, method):
    """The budget chooses; over 40 seeds the mean is the trace within 4 standard errors, its stated error the true one."""
    a = matrix(SPECTRA["outliers"])
    budget = {"memory_budget": vectors * a[0].nbytes}
    found = [trace(a, n_products=16, rng=seed, **budget) for seed in range(40)]
    errors = np.array([one.value for one in found]) - np.trace(a)
    assert {one.method for one in found} == {method}
    assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(40)
    stated = np.sqrt(np.mean([one.standard_error**2 for one in found]))
    assert 0.6 < errors.std() / stated < 1.6  # 4 standard errors of a deviation from 40


def test_the_budget_chooses_the_estimate_of_a_trace(monkeypatch):
    """XTrace draws its test vectors twice where they cannot be kept, to the same bits; no more vectors are made than fit."""
    a, made = matrix(SPECTRA["decay"]), []
    rows = Products.rows
    monkeypatch.setattr(Products, "rows", lambda self, n: made.append(n) or rows(self, n))
    found = {n: trace(a, n_products=16, memory_budget=n * a[0].nbytes) for n in (19, 11, 10, 4)}
    methods = [one.method for one in found.values()]
    assert methods == ["XTrace", "XTrace", "Hutch++", "Hutchinson"]
    assert made == [8, 8, 5, 0]
    assert found[19].value == found[11].value
    assert found[19].standard_error == found[11].standard_error
    assert {one.products for one in found.values()} == {16}


def test_hutch_plus_plus_sees_few_large_eigenvalues():
    """Three eigenvalues that hold all of the trace lie in a basis of five: no error is left, where Hutchinson has one."""
    a = matrix(np.r_[3.0, 2.0, 1.0, np.zeros(97)])
    found, rough = (trace(a, n_products=16, memory_budget=n * a[0].nbytes) for n in (10, 4))
    assert found.value == pytest.approx(6, rel=1e-12)
    assert found.standard_error < 1e-12 < 0.1 < rough.standard_error
