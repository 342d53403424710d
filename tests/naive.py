"""The slow, obvious twin of every kernel: the shortest transcription of its formula, for tests and benchmarks.

Imports numpy, scipy and the standard library only.
"""

import numpy as np

# --- landscape -------------------------------------------------------------------------------------------------------


def gradient(values):
    """Both derivatives by numpy.gradient, d/dx first."""
    dy, dx = np.gradient(values)
    return np.stack([dx, dy], axis=-1)


def hessian_eigenvalues(values):
    """Eigenvalues of the twice-applied gradient at every grid point, ascending."""
    dy, dx = np.gradient(values)
    dxy, dxx = np.gradient(dx)
    dyy = np.gradient(dy, axis=0)
    return np.moveaxis(np.linalg.eigvalsh(np.stack([np.stack([dxx, dxy], -1), np.stack([dxy, dyy], -1)], -2)), -1, 0)


def interpolate(grid, x, y):
    """Bilinear value of a grid at one position."""
    i, j = min(int(np.floor(x)), grid.shape[1] - 2), min(int(np.floor(y)), grid.shape[0] - 2)
    a, b, c, d = (i + 1) - x, x - i, (j + 1) - y, y - j
    return grid[j, i] * a * c + grid[j, i + 1] * b * c + grid[j + 1, i] * a * d + grid[j + 1, i + 1] * b * d


# --- brownian, multifractional, cascades, fields ---------------------------------------------------------------------

# --- descent, stability ----------------------------------------------------------------------------------------------

# --- displacement, langevin, theory ----------------------------------------------------------------------------------

# --- geometry --------------------------------------------------------------------------------------------------------

# --- leaders, spectrum, roughness ------------------------------------------------------------------------------------

# --- train_supplementary ---------------------------------------------------------------------------------------------
