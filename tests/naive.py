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


def reflect(v, wall):
    """Fold v into [0, wall]; the sign tells in which direction motion along it now runs."""
    sign = 1
    if not abs(v) <= 1e6 * wall:
        return np.nan, sign
    while v < 0 or v > wall:
        v, sign = (-v if v < 0 else wall - (v - wall)), -sign
    return v, sign


def descend(values, start, learning_rate, n_steps, unfold="exact"):
    """Positions and unfolded positions of plain descent, (n_steps + 1, 2) each."""
    grids = gradient(values)[..., 0], gradient(values)[..., 1]
    walls = values.shape[1] - 1, values.shape[0] - 1
    position, track, sign = np.full((n_steps + 1, 2), np.nan), np.full((n_steps + 1, 2), np.nan), [1, 1]
    position[0] = track[0] = start
    for t in range(n_steps):
        for k in (0, 1):
            step = interpolate(grids[k], *position[t]) * learning_rate
            track[t + 1, k] = track[t, k] - sign[k] * step
            position[t + 1, k], flip = reflect(position[t, k] - step, walls[k])
            sign[k] *= flip if unfold == "exact" else 1
        if np.isnan(position[t + 1]).any():
            position[t + 1] = track[t + 1] = np.nan
            break
    return position, track

# --- displacement, langevin, theory ----------------------------------------------------------------------------------


def tamsd(walk, waiting_times, lag_times, window):
    """Time-averaged mean squared displacement of one walk (T, d), by waiting time and lag."""
    return np.array([[sum(np.sum((walk[t + lag].astype(float) - walk[t].astype(float)) ** 2)
                          for t in range(start, start + window)) / window for lag in lag_times] for start in waiting_times])


# --- geometry --------------------------------------------------------------------------------------------------------


def local_minima(values):
    """(x, y) of the interior points strictly below their 4 neighbours, lowest first."""
    v = values
    low = (v[1:-1, 1:-1] < v[1:-1, :-2]) & (v[1:-1, 1:-1] < v[1:-1, 2:]) & (v[1:-1, 1:-1] < v[:-2, 1:-1]) & (
        v[1:-1, 1:-1] < v[2:, 1:-1])
    y, x = np.nonzero(low)
    order = np.argsort(v[y + 1, x + 1], kind="stable")
    return np.column_stack([x + 1, y + 1])[order]


def flatness(values):
    """(l1^2 + l2^2)^(-1/4) of the Hessian eigenvalues at every grid point."""
    return (hessian_eigenvalues(values) ** 2).sum(axis=0) ** -0.25


def mean_counts(points, centres, radii):
    """N(R): the mean over centres of the number of points at a distance < R."""
    counts = np.zeros(len(radii))
    for x, y in centres:
        distance = np.sqrt((points[:, 0] - x) ** 2 + (points[:, 1] - y) ** 2)
        counts += [(distance < radius).sum() for radius in radii]
    return counts / len(centres)

# --- leaders, spectrum, roughness ------------------------------------------------------------------------------------

# --- train_supplementary ---------------------------------------------------------------------------------------------
