"""What one would write instead, in twenty lines each: numba loops and numpy, which check nothing and record nothing."""

import numba
import numpy as np
from scipy.special import gamma

_njit = numba.njit(nogil=True)


@_njit
def _cell(values, x, y):
    """Return column, row and the weights of a position."""
    i, j = min(int(x), values.shape[1] - 2), min(int(y), values.shape[0] - 2)
    return i, j, x - i, y - j


@_njit
def _at(values, i, j, u, v):
    upper = values[j, i] * (1 - u) + values[j, i + 1] * u
    return upper * (1 - v) + (values[j + 1, i] * (1 - u) + values[j + 1, i + 1] * u) * v


@_njit
def _reflected(x, wall):
    """Return a coordinate within the walls, and its sign."""
    sign = 1.0
    while x < 0 or x > wall:
        x, sign = (-x if x < 0 else 2 * wall - x), -sign
    return x, sign


@_njit
def walk(values, gradient, x, y, rate, n_steps):
    """Return positions, the unfolded track and losses."""
    positions, losses = np.empty((2, n_steps + 1, 2)), np.empty(n_steps + 1)
    along_x, along_y, sign_x, sign_y = x, y, 1.0, 1.0
    for t in range(n_steps + 1):
        i, j, u, v = _cell(values, x, y)
        positions[0, t, 0], positions[0, t, 1] = x, y
        positions[1, t, 0], positions[1, t, 1] = along_x, along_y
        losses[t] = _at(values, i, j, u, v)
        dx = rate * _at(gradient[..., 0], i, j, u, v)
        dy = rate * _at(gradient[..., 1], i, j, u, v)
        along_x, along_y = along_x - sign_x * dx, along_y - sign_y * dy
        x, turned_x = _reflected(x - dx, values.shape[1] - 1.0)
        y, turned_y = _reflected(y - dy, values.shape[0] - 1.0)
        sign_x, sign_y = sign_x * turned_x, sign_y * turned_y
    return positions, losses


@_njit
def walks(values, gradient, starts, rate, n_steps):
    """Return positions, tracks and losses of all walkers, one after the other."""
    positions = np.empty((2, len(starts), n_steps + 1, 2))
    losses = np.empty((len(starts), n_steps + 1))
    for w in range(len(starts)):
        positions[:, w], losses[w] = walk(
            values, gradient, starts[w, 0], starts[w, 1], rate, n_steps
        )
    return positions, losses


@_njit
def ends(gradient, starts, rate, n_steps):
    """Return the last positions of all walkers."""
    out = starts.copy()
    for w in range(len(starts)):
        x, y = starts[w]
        for _ in range(n_steps):
            i, j, u, v = _cell(gradient, x, y)
            dx, dy = _at(gradient[..., 0], i, j, u, v), _at(gradient[..., 1], i, j, u, v)
            x = _reflected(x - rate * dx, gradient.shape[1] - 1.0)[0]
            y = _reflected(y - rate * dy, gradient.shape[0] - 1.0)[0]
        out[w] = x, y
    return out


@_njit
def lyapunov(gradient, starts, rates, n_steps, burn_in):
    """Return both exponents of each walk: a length and a determinant in each step."""
    out = np.empty((len(rates), len(starts), 2))
    for r, rate in enumerate(rates):
        for s in range(len(starts)):
            (x, y), a, b, one, both = starts[s], 0.765, 0.644, 0.0, 0.0
            for t in range(n_steps):
                i, j, u, v = _cell(gradient, x, y)
                x0, x1 = gradient[j, i, 0], gradient[j, i + 1, 0]
                x2, x3 = gradient[j + 1, i, 0], gradient[j + 1, i + 1, 0]
                y0, y1 = gradient[j, i, 1], gradient[j, i + 1, 1]
                y2, y3 = gradient[j + 1, i, 1], gradient[j + 1, i + 1, 1]
                xx = 1 - rate * ((x1 - x0) * (1 - v) + (x3 - x2) * v)
                xy = -rate * ((x2 - x0) * (1 - u) + (x3 - x1) * u)
                yx = -rate * ((y1 - y0) * (1 - v) + (y3 - y2) * v)
                yy = 1 - rate * ((y2 - y0) * (1 - u) + (y3 - y1) * u)
                dx = (x0 * (1 - u) + x1 * u) * (1 - v) + (x2 * (1 - u) + x3 * u) * v
                dy = (y0 * (1 - u) + y1 * u) * (1 - v) + (y2 * (1 - u) + y3 * u) * v
                x, sign_x = _reflected(x - rate * dx, gradient.shape[1] - 1.0)
                y, sign_y = _reflected(y - rate * dy, gradient.shape[0] - 1.0)
                a, b = sign_x * (xx * a + xy * b), sign_y * (yx * a + yy * b)
                length = np.sqrt(a * a + b * b)
                a, b = a / length, b / length
                if t >= burn_in:
                    one += np.log(length)
                    both += np.log(abs(xx * yy - xy * yx))
            out[r, s] = one / (n_steps - burn_in), (both - one) / (n_steps - burn_in)
    return out


@_njit
def _langevin(stiffness, x0, noise, weights, c1, c2):
    x, forces = np.empty(len(noise)), np.empty(len(noise))
    x[0] = x0
    for j in range(1, len(noise)):
        forces[j - 1] = stiffness * x[j - 1]
        past = 0.0
        for m in range(1, j + 1):
            past += weights[m - 1] * forces[j - m]
        x[j] = x0 - c1 * past - c2 * noise[j]
    return x


def langevin(stiffness, x0, noise, hurst):
    """Return the path in a harmonic potential, mobility and noise strength 1: the sum over the whole past at each step."""
    n, scale = np.arange(1.0, len(noise)), gamma(2 * hurst - 1) * gamma(3 - 2 * hurst)
    weights = n ** (2 - 2 * hurst) - (n - 1) ** (2 - 2 * hurst)
    return _langevin(stiffness, x0, noise, weights, 1 / scale, np.sqrt(2 / scale))


@_njit
def displacement(track, lags, window):
    """Return the time-averaged mean squared displacement from the first step on."""
    out = np.zeros(len(lags))
    for k, lag in enumerate(lags):
        for t in range(window):
            for d in range(track.shape[1]):
                out[k] += (track[t + lag, d] - track[t, d]) ** 2
    return out / window


def minima(values):
    """Return losses and flatness of the local minima, the lowest first."""
    inside = values[1:-1, 1:-1]
    lower = (inside < values[1:-1, :-2]) & (inside < values[1:-1, 2:])
    j, i = np.nonzero(lower & (inside < values[:-2, 1:-1]) & (inside < values[2:, 1:-1]))
    gy, gx = np.gradient(values)
    (gxy, gxx), gyy = np.gradient(gx), np.gradient(gy, axis=0)
    xx, xy, yy = (each[1:-1, 1:-1][j, i] for each in (gxx, gxy, gyy))
    middle, spread = (xx + yy) / 2, np.sqrt((xx - yy) ** 2 / 4 + xy**2)
    flat = ((middle - spread) ** 2 + (middle + spread) ** 2) ** -0.25
    order = np.argsort(inside[j, i])
    return inside[j, i][order], flat[order]


def sharpness(theta, inputs, target):
    """Return the largest eigenvalue of the Hessian of the mean squared error of a network of 16 hidden units."""
    x = np.column_stack([inputs, np.ones(len(inputs), inputs.dtype)])
    first, second = theta[: 16 * x.shape[1]].reshape(-1, 16), theta[-17:-1]
    before = x @ first
    active = (before > 0).astype(x.dtype)
    residual = (before * active) @ second + theta[-1] - target
    to_first = (x[:, :, None] * (active * second)[:, None]).reshape(len(x), -1)
    slopes = np.column_stack([to_first, before * active, np.ones(len(x), x.dtype)])
    hessian = slopes.T @ slopes
    meeting = x.T @ (residual[:, None] * active)
    for unit in range(16):
        rows, column = np.arange(unit, first.size, 16), first.size + unit
        hessian[rows, column] += meeting[:, unit]
        hessian[column, rows] += meeting[:, unit]
    return np.linalg.eigvalsh(2 / len(x) * hessian.astype(np.float64))[-1]
