"""Mixtures of a rough surface, a smooth one and pixel noise, in known shares: what the verdict is judged on."""

import numpy as np
from scipy.ndimage import gaussian_filter

from multifractal import fbm_surface
from multifractal.base.rng import realisation

KINDS = ("rough", "smooth", "noise")
_MARGIN = 50


def mixed_field(rng, index, n=256):
    """Return (values, shares): realisation `index` of a field, and what share of its lag-1 variogram each kind makes up.

    Rough: an exact fractional Brownian surface, H uniform in [0.05, 0.95]. Smooth: one of H uniform in [0.2, 0.8] blurred by
    a Gaussian of 1.5 to 12 pixels, in half of the cases with a bowl. Noise: white, Student t of 3, 5 or 50 degrees of
    freedom. Shares are those of the parts without their parabolas (so that the bowl is in none), drawn from a Dirichlet law
    of parameters 1/2 until one of them exceeds one half.
    """
    generator = realisation(rng, index)
    rough = fbm_surface(
        n, generator.uniform(0.05, 0.95), rng=generator, dtype=np.float32
    ).values.astype(float)
    smooth = _smooth(generator, n)
    noise = generator.standard_t(generator.choice([3, 5, 50]), size=(n, n))
    shares = np.zeros(3)
    while shares.max() <= 0.5:
        shares = generator.dirichlet([0.5, 0.5, 0.5])
    parts = zip(shares, (rough, smooth, noise), strict=True)
    return sum(np.sqrt(share / _lag_1(part)) * part for share, part in parts), shares


def _smooth(generator, n):
    hurst, blur = generator.uniform(0.2, 0.8), np.exp(generator.uniform(np.log(1.5), np.log(12)))
    surface = fbm_surface(n + 2 * _MARGIN, hurst, rng=generator, dtype=np.float32).values.astype(
        float
    )
    blurred = gaussian_filter(surface, blur)[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    if generator.random() < 0.5:
        x = np.linspace(-1, 1, n)
        a, b, c = generator.normal(size=3)
        bowl = a * x**2 + b * x[:, None] ** 2 + c * np.outer(x, x)
        blurred = blurred / blurred.std() + generator.uniform(0, 5) * bowl / bowl.std()
    return blurred


def _lag_1(values):
    """Return the mean squares of first differences, both axes, of what the best parabola leaves."""
    y, x = (axis.ravel() for axis in np.mgrid[-1 : 1 : len(values) * 1j, -1 : 1 : len(values) * 1j])
    terms = np.stack([x**0, x, y, x * x, x * y, y * y], axis=1)
    fit = np.linalg.lstsq(terms, values.ravel(), rcond=None)[0]
    rest = values - (terms @ fit).reshape(values.shape)
    return (np.diff(rest, axis=0) ** 2).mean() + (np.diff(rest, axis=1) ** 2).mean()
