"""What no p features can fit: the tail of the spectrum of the ReLU kernel on the sphere, in closed form.

A teacher with independent random amplitudes on very many units is (nearly) a Gaussian field whose covariance is the kernel
of its units. On average over such teachers no p-dimensional space of functions leaves a smaller error than the span of the
kernel's first p eigenfunctions, which leaves the sum of the other eigenvalues: a floor under random features of width p.
"""

import numpy as np
from scipy.special import comb, eval_gegenbauer, roots_gegenbauer


def relu_kernel(cosine, dimension):
    """Return E[relu(<w, x> + b) relu(<w, x'> + b)], (w, b) uniform on the sphere in R^(dimension + 1), <x, x'> = cosine.

    The angle theta between (x, 1) and (x', 1), of length sqrt 2, has cos theta = (1 + cosine) / 2; the mean is Cho and
    Saul's arc-cosine kernel of order 1 (NIPS 2009), divided by E|g|^2 = dimension + 1.
    """
    theta = np.arccos(np.clip((1 + np.asarray(cosine)) / 2, -1, 1))
    return (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / (np.pi * (dimension + 1))


def eigenvalues(dimension, n_degrees=24, n_nodes=500):
    """Return (eigenvalue, multiplicity) of each degree 0 to n_degrees - 1 of the kernel on the sphere in R^dimension.

    Funk and Hecke: the eigenvalue of degree l is the mean of kernel(t) P_l(t) for t the first coordinate of a uniform
    point, P_l the Gegenbauer polynomial with P_l(1) = 1. Its eigenspace is that of the spherical harmonics.
    """
    order = dimension / 2 - 1
    nodes, mass = roots_gegenbauer(n_nodes, order)
    kernel = relu_kernel(nodes, dimension)
    degrees = np.arange(n_degrees)
    legendre = np.array(
        [
            eval_gegenbauer(degree, order, nodes) / eval_gegenbauer(degree, order, 1.0)
            for degree in degrees
        ]
    )
    below = np.where(degrees >= 2, comb(dimension + degrees - 3, degrees - 2), 0)
    return legendre @ (kernel * mass) / mass.sum(), comb(dimension + degrees - 1, degrees) - below


def tail(widths, dimension):
    """Return the share of the variance that the first `widths` eigenfunctions leave, shape of `widths`."""
    values, multiplicities = eigenvalues(dimension)
    total = relu_kernel(1.0, dimension)
    ends = np.cumsum(multiplicities)
    kept = np.cumsum(values * multiplicities)
    captured = np.interp(widths, np.concatenate([[0], ends]), np.concatenate([[0], kept]))
    return (total - captured) / (total - values[0])
