"""Toolboxes for spectra and surfaces, twinned."""

import numpy as np

import multifractal as mf
from experiments.published_findings.finding import Row


def correction_left_out():
    """PLBMF leaves the finite-size correction out where an image is rougher than its p-leaders can bear.

    p-leaders need zeta(p) > 0. Where it is negative the toolbox prints a warning and continues without the correction; the
    published spectra of real sections are in that case. White noise in the plane, which is what a section mapped with live
    dropout holds, has exponent -1 everywhere. With `integration=2` the condition holds and the exponent comes out; without,
    the result here is marked invalid, and says why.
    """
    noise = np.random.default_rng(0).standard_normal((257, 257))
    published = mf.multifractal_spectrum(noise, **mf.PAPER_SECTION_SETTINGS)
    remedied = mf.multifractal_spectrum(
        noise, **mf.PAPER_SECTION_SETTINGS | {"integration": 2.0, "correction": True}
    )
    return [
        Row(
            "c1 of white noise, true value -1",
            published.log_cumulants[0],
            remedied.log_cumulants[0],
            "the same image, integrated twice",
            0.02,
        ),
        Row(
            "zeta(1), the p = 1 moment's exponent, and after two integrations",
            published.diagnostics.eta[0],
            published.diagnostics.eta[0] + 2,
            "each integration adds p = 1",
            0.02,
        ),
    ]


def product_of_ramps():
    """A widespread script for fractional Brownian surfaces adds the product of two ramps, not their sum.

    Stein's method draws a stationary field whose variogram is that of the surface less c r², and makes up for c r² by a
    random plane, a sum of two ramps. With a product instead nothing is added along the edges. Expected squared increments
    over their law r^(2H), along an edge at half its length, where c = H for exponents up to 3/4 (Stein 2002, equation 6):
    """
    hurst, r = 0.7, 0.5
    return [
        Row.drawn(
            "squared increments over their law, H = 0.7",
            1 - hurst * r ** (2 - 2 * hurst),
            along_the_edge(hurst),
            "400 surfaces of `fbm_surface`; 1 by definition",
        )
    ]


def along_the_edge(hurst, n=64, n_surfaces=400):
    """Return the squared increments between column 0 and n / 2 on the first row, over their law, of our surfaces."""
    first_rows = np.array(
        [mf.fbm_surface(n, hurst, rng=seed).values[0] for seed in range(n_surfaces)]
    )
    return (first_rows[:, n // 2] - first_rows[:, 0]) ** 2 / 0.5 ** (2 * hurst)


FINDINGS = (correction_left_out, product_of_ramps)
