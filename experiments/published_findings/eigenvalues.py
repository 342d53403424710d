"""Tools for the Hessian's spectrum, twinned on matrices whose spectrum is known."""

import numpy as np

from experiments.published_findings.finding import Row
from landscape_viz import spectral_density, top_eigenpairs
from multifractal.base.statistics import mean_and_error


def stopping_on_change():
    """A stop on the change from step to step is not an error.

    PyHessian's power iteration stops when an eigenvalue changes by less than 1e-3 of itself, and removes what it found
    before the next. Where eigenvalues are close the change is small long before the value is right. `top_eigenpairs` stops
    on residuals. Largest relative error of ten eigenvalues that fall by 3 % each, tolerance 1e-3:
    """
    values = 0.97 ** np.arange(200)
    rng = np.random.default_rng(0)
    found, kept = [], []
    for _ in range(10):
        vector, value = orthogonal(rng.standard_normal(200), kept), np.inf
        while True:
            product = orthogonal(values * vector, kept)
            before, value, vector = value, vector @ product, product / np.linalg.norm(product)
            if abs(value - before) < 1e-3 * abs(before):
                break
        found.append(value)
        kept.append(vector)
    ours = top_eigenpairs(np.diag(values), 10, tol=1e-3).values
    return [
        Row(
            "largest relative error of the ten",
            np.abs(found / values[:10] - 1).max(),
            np.abs(ours / values[:10] - 1).max(),
            "`top_eigenpairs` on the same matrix, whose spectrum is known",
            0.5,
        )
    ]


def orthogonal(vector, others):
    """Return a vector of norm 1 (or its product's) without its parts along others."""
    for other in others:
        vector = vector - (vector @ other) * other
    return (
        vector if others and np.linalg.norm(vector) < 1 else vector / max(np.linalg.norm(vector), 1)
    )


def ghosts():
    """Lanczos without reorthogonalisation returns copies of eigenvalues that it has already found.

    hessian-eigenthings switches reorthogonalisation off beyond 50 steps: converged eigenvalues then come again and again
    ("ghosts"), each with a small residual, so that all are marked converged. `top_eigenpairs` reorthogonalises fully. How
    many of ten returned eigenvalues are within 1 % of the largest, of which there is one:
    """
    values = np.concatenate([np.linspace(0, 1, 990), 2.0 ** np.arange(1, 11)])
    nodes, _ = lanczos(values, 200, reorthogonalise=False)
    ours = top_eigenpairs(np.diag(values), 10).values
    return [
        Row(
            "copies of the largest among the ten",
            int(np.sum(np.sort(nodes)[-10:] > 0.99 * 1024)),
            int(np.sum(ours > 0.99 * 1024)),
            "`top_eigenpairs` on the same matrix, whose spectrum is known",
            0.5,
        )
    ]


def weights_of_a_density():
    """The weights of a spectral density by Lanczos are first components squared, not whole eigenvectors.

    Landscaper 1.3.1 takes the whole squared eigenvector matrix, which sums to 1 over each eigenvector: every node gets the
    same weight. Share of eigenvalues above 5 for a matrix of size 200 with one such eigenvalue, from 20 steps:
    """
    values = np.concatenate([np.linspace(0, 1, 199), [10.0]])
    nodes, vectors = lanczos(values, 20, reorthogonalise=True)
    equal = (vectors**2).sum(axis=0) / len(nodes)
    density = spectral_density(np.diag(values), n_probes=20, n_steps=20)
    ours = np.where(density.nodes > 5, density.weights, 0).sum(axis=1)
    return [
        Row(
            "share of eigenvalues above 5, true value 0.005",
            equal[nodes > 5].sum(),
            ours.mean(),
            "`spectral_density`, 20 probes",
            5 * mean_and_error(ours)[1] / ours.mean(),
        )
    ]


def lanczos(diagonal, n_steps, *, reorthogonalise):
    """Return nodes and their vectors of n steps of Lanczos iteration on a diagonal matrix."""
    basis = [np.random.default_rng(0).standard_normal(len(diagonal))]
    basis[0] /= np.linalg.norm(basis[0])
    alphas, betas, before = [], [], 0
    for _ in range(n_steps):
        vector = diagonal * basis[-1] - before
        alphas.append(vector @ basis[-1])
        vector -= alphas[-1] * basis[-1]
        if reorthogonalise:
            for other in basis:
                vector -= (vector @ other) * other
        betas.append(np.linalg.norm(vector))
        before = betas[-1] * basis[-1]
        basis.append(vector / betas[-1])
    return np.linalg.eigh(np.diag(alphas) + np.diag(betas[:-1], 1) + np.diag(betas[:-1], -1))


FINDINGS = (stopping_on_change, ghosts, weights_of_a_density)
