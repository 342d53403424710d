"""The slow, obvious twin of every kernel: the shortest transcription of its formula, for tests and benchmarks.

Imports numpy, scipy and the standard library only.
"""

import decimal

import numpy as np
from scipy.interpolate import BarycentricInterpolator
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import digamma, gamma, poch

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
    return np.moveaxis(
        np.linalg.eigvalsh(np.stack([np.stack([dxx, dxy], -1), np.stack([dxy, dyy], -1)], -2)),
        -1,
        0,
    )


def interpolate(grid, x, y):
    """Bilinear value of a grid at one position."""
    i, j = min(int(np.floor(x)), grid.shape[1] - 2), min(int(np.floor(y)), grid.shape[0] - 2)
    a, b, c, d = (i + 1) - x, x - i, (j + 1) - y, y - j
    return (
        grid[j, i] * a * c
        + grid[j, i + 1] * b * c
        + grid[j + 1, i] * a * d
        + grid[j + 1, i + 1] * b * d
    )


# --- brownian, multifractional, cascades, fields ---------------------------------------------------------------------


def stein_surface(shape, hurst, reach, white, slopes):
    """Stein's fractional Brownian surface from white noise on the whole torus (Stein 2002, eqs 6-8)."""
    (rows, cols), side, alpha, big_r = shape, len(white), 2 * hurst, reach
    diagonal = np.hypot(rows - 1, cols - 1)
    beta = alpha * (2 - alpha) / (3 * big_r * (big_r**2 - 1)) if big_r > 1 else 0
    c2 = (alpha - beta * (big_r - 1) ** 2 * (big_r + 2)) / 2
    c0 = beta * (big_r - 1) ** 3 + 1 - c2
    step = np.minimum(np.arange(side), side - np.arange(side)) / diagonal
    r = np.hypot(step[:, None], step)
    rho = np.where(
        r <= 1,
        c0 - r**alpha + c2 * r**2,
        np.where(r < big_r, beta * (big_r - r) ** 3 / (r + (r == 0)), 0),
    )
    y = np.fft.ifft2(np.sqrt(np.maximum(np.fft.fft2(rho).real, 0)) * np.fft.fft2(white)).real[
        :rows, :cols
    ]
    plane = (
        np.sqrt(2 * c2)
        * (np.arange(cols) * slopes[0] + np.arange(rows)[:, None] * slopes[1])
        / diagonal
    )
    return (y - y[0, 0] + plane) / np.sqrt(2) * (diagonal / max(shape)) ** hurst


def fgn_covariance(n, hurst):
    """Covariance of unit increments of fractional Brownian motion at lags 0 to n - 1, in 50 digits."""
    with decimal.localcontext(prec=50):
        power = [
            decimal.Decimal(k) ** (2 * decimal.Decimal(hurst)) if k else decimal.Decimal(0)
            for k in range(n + 1)
        ]
        return np.array(
            [1.0] + [float((power[k + 1] - 2 * power[k] + power[k - 1]) / 2) for k in range(1, n)]
        )


def interpolate_levels(levels, exponents, hoelder):
    """Value at each pixel of the polynomial in H through all levels there."""
    out = np.empty(hoelder.shape)
    for index in np.ndindex(hoelder.shape):
        out[index] = BarycentricInterpolator(exponents, levels[(slice(None), *index)])(
            hoelder[index]
        )
    return out


def fractal_field(x, wave_vectors, phases, wavenumbers, hurst, hurst_gradient):
    """Value and gradient at one point of the sum over modes, one after the other; the exponent there and its gradient."""
    n_modes, d = wave_vectors.shape
    constant = gamma(1 - hurst) / (2 ** (2 * hurst + 1) * hurst) * poch(d / 2, hurst) ** -1
    relative_slope = -digamma(1 - hurst) - digamma(d / 2 + hurst) - 2 * np.log(2) - 1 / hurst
    value, slope = 0.0, np.zeros(d)
    for k, phi in zip(wave_vectors, phases, strict=True):
        length = np.sqrt(k @ k)
        a = np.sqrt(np.log(wavenumbers[1] / wavenumbers[0]) / (n_modes * constant)) * length**-hurst
        wave = np.cos(k @ x + phi) - np.cos(phi)
        value += a * wave
        slope += (
            -a * np.sin(k @ x + phi) * k
            + a * wave * (-np.log(length) - relative_slope / 2) * hurst_gradient
        )
    return value, slope


def wavelet_cascade(n, law, seed, low):
    """Sum of all periodic wavelets, each a spike taken through the filters and put in its place, times its coefficient."""
    rng, sizes, image = np.random.default_rng(seed), np.ones((1, 1)), np.zeros((n, n))
    high = low * -((-1.0) ** np.arange(len(low)))
    for scale in range(int(np.log2(n)), 0, -1):
        signs = 2.0 * rng.integers(0, 2, (3, *sizes.shape), dtype=np.int8) - 1
        # one coefficient of the scale; then x[2k + m] += h_m a_k, x[2k + 1 - m] += g_m d_k
        father = np.eye(n >> scale)[0]
        mother = sum(np.roll(np.eye(n >> scale - 1)[0], 1 - m) * g for m, g in enumerate(high))
        for level in range(scale, 0, -1):
            spread = [np.kron(f, [1, 0]) for f in (father, mother)]
            father = sum(np.roll(spread[0], m) * h for m, h in enumerate(low))
            mother = (
                sum(np.roll(spread[1], m) * h for m, h in enumerate(low))
                if level < scale
                else mother
            )
        # over its mother, which the filters put further left
        father = np.roll(father, -(len(low) // 2 - 1) << scale)
        for down, right in np.ndindex(sizes.shape):
            for band, (rows, cols) in enumerate(
                [(mother, father), (father, mother), (mother, mother)]
            ):
                wave = np.outer(np.roll(rows, down << scale), np.roll(cols, right << scale))
                image += signs[band, down, right] * sizes[down, right] * 2.0**scale * wave
        sizes = np.kron(sizes, np.ones((2, 2)))
        sizes *= law.multipliers(rng, sizes.shape) if scale > 1 else 1
    return image


def weierstrass_mandelbrot(shape, k, angles, phases, amplitude, hurst):
    """Sum over waves of a k^-H [cos phi - cos(k.x + phi)], x in units of the longer side."""
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape)
    return sum(
        amplitude
        * one**-hurst
        * (np.cos(phi) - np.cos(one * (x * np.cos(angle) + y * np.sin(angle)) + phi))
        for one, angle, phi in zip(k, angles, phases, strict=True)
    )


# --- descent, stability ----------------------------------------------------------------------------------------------


def reflect(v, wall):
    """Fold v into [0, wall]; the sign tells in which direction motion along it now runs."""
    sign = 1
    if not abs(v) <= 1e6 * wall:
        return np.nan, sign
    while v < 0 or v > wall:
        v, sign = (-v if v < 0 else wall - (v - wall)), -sign
    return v, sign


def wrap(v, wall):
    """Bring v into [0, wall] on a circle of that length; motion goes on in its direction."""
    return (v - wall * np.floor(v / wall) if abs(v) <= 1e6 * wall else np.nan), 1


def periodic_gradient(values):
    """Central differences of a torus, its first row and column again at the end, shape (rows + 1, cols + 1, 2)."""
    along = [(np.roll(values, -1, axis) - np.roll(values, 1, axis)) * 0.5 for axis in (1, 0)]
    return np.pad(np.stack(along, axis=-1), ((0, 1), (0, 1), (0, 0)), mode="wrap")


def stable(uniform, alpha):
    """Symmetric stable numbers by Chambers, Mallows and Stuck, of pairs of uniform ones, shape (n, 2)."""
    angle, wait = np.pi * (uniform[:, 0] - 0.5 + 2.0**-54), -np.log(uniform[:, 1] + 2.0**-54)
    waiting = (np.cos((1 - alpha) * angle) / wait) ** ((1 - alpha) / alpha)
    return np.sin(alpha * angle) / np.cos(angle) ** (1 / alpha) * waiting


def descend(values, start, learning_rate, n_steps, unfold="exact"):
    """Positions and unfolded positions of plain descent, (n_steps + 1, 2) each."""
    return optimise(gradient(values), start, learning_rate, n_steps, lambda g, memory, t: g, unfold)


def optimise(grid, start, learning_rate, n_steps, rule, unfold="exact", fold=reflect):
    """Positions and unfolded positions under a rule (gradient component, its memory of two numbers, t) -> direction."""
    walls = grid.shape[1] - 1, grid.shape[0] - 1
    position, track = np.full((2, n_steps + 1, 2), np.nan)
    position[0] = track[0] = start
    sign, memory = [1, 1], np.zeros((2, 2))
    for t in range(n_steps):
        for k in (0, 1):
            step = rule(interpolate(grid[..., k], *position[t]), memory[k], t) * learning_rate
            track[t + 1, k] = track[t, k] - sign[k] * step
            position[t + 1, k], flip = fold(position[t, k] - step, walls[k])
            memory[k, 0] *= flip
            sign[k] *= flip if unfold == "exact" else 1
        if np.isnan(position[t + 1]).any():
            position[t + 1] = track[t + 1] = np.nan
            break
    return position, track


def descend_on_field(gradient, start, learning_rate, n_steps):
    """Positions of plain descent where there are no walls, (n_steps + 1, d)."""
    positions = [np.array(start, dtype=float)]
    for _ in range(n_steps):
        positions.append(positions[-1] - learning_rate * gradient(positions[-1]))
    return np.array(positions)


def momentum(g, memory, t, mu=0.9):
    """Heavy ball: the velocity."""
    memory[0] = mu * memory[0] + g
    return memory[0]


def nesterov(g, memory, t, mu=0.9):
    """Nesterov's rule, at the positions where the gradient is taken."""
    return g + mu * momentum(g, memory, t, mu)


def adam(g, memory, t, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """Kingma & Ba (2015), Algorithm 1."""
    memory[0] = beta1 * memory[0] + (1 - beta1) * g
    memory[1] = beta2 * memory[1] + (1 - beta2) * g * g
    decay = np.prod([[1, 1]] + (t + 1) * [[beta1, beta2]], axis=0)
    return (memory[0] / (1 - decay[0])) / (np.sqrt(memory[1] / (1 - decay[1])) + epsilon)


def jacobian(grid, x, y):
    """Derivative of the bilinear gradient: differences along the sides of the cell, interpolated across."""
    i, j = min(int(x), grid.shape[1] - 2), min(int(y), grid.shape[0] - 2)
    along_x = [
        interpolate(grid[..., k], i + 1, y) - interpolate(grid[..., k], i, y) for k in (0, 1)
    ]
    along_y = [
        interpolate(grid[..., k], x, j + 1) - interpolate(grid[..., k], x, j) for k in (0, 1)
    ]
    return np.column_stack([along_x, along_y])


def lyapunov(grid, start, learning_rate, n_steps, burn_in):
    """Both Lyapunov exponents by QR of the tangent map, reflections included, at each step."""
    position, _ = optimise(grid, start, learning_rate, n_steps, lambda g, memory, t: g)
    frame, logs = np.linalg.qr([[np.cos(0.7), 0.0], [np.sin(0.7), 1.0]])[0], []
    for x, y in position[:-1]:
        signs = [
            reflect(v - interpolate(grid[..., k], x, y) * learning_rate, grid.shape[1 - k] - 1)[1]
            for k, v in enumerate((x, y))
        ]
        tangent = np.diag(signs) @ (np.eye(2) - learning_rate * jacobian(grid, x, y))
        frame, triangle = np.linalg.qr(tangent @ frame)
        logs.append(np.log(np.abs(np.diag(triangle))))
    return np.mean(logs[burn_in:], axis=0)


def two_trajectories(grid, start, learning_rate, n_steps, burn_in):
    """The published estimate of the largest exponent: d0 = .1, periods of 9 steps counted as 10, the last one."""

    def walk(start, n):
        return optimise(grid, start, learning_rate, n, lambda g, memory, t: g)[0][-1]

    walls = grid.shape[1] - 1, grid.shape[0] - 1
    position, direction = walk(start, burn_in), np.array([np.cos(0.7), np.sin(0.7)])
    for _ in range((n_steps - burn_in) // 9):
        other = [
            reflect(v, wall)[0] for v, wall in zip(position + 0.1 * direction, walls, strict=True)
        ]
        position, other = walk(position, 9), walk(other, 9)
        direction = (other - position) / np.linalg.norm(other - position)
    return np.log(np.linalg.norm(other - position) / 0.1) / 10


def carried_on(grid, start, steps, rates, n_steps, burn_in):
    """Trials of the published estimator, each a step from where the one before ended, rate after rate: (n_rates, n_trials)."""
    walls, found = (grid.shape[1] - 1, grid.shape[0] - 1), np.empty(steps.shape[:2])
    for i, j in np.ndindex(found.shape):
        start = [reflect(v, wall)[0] for v, wall in zip(start + steps[i, j], walls, strict=True)]
        found[i, j] = two_trajectories(grid, start, rates[i], n_steps, burn_in)
        run = burn_in + (n_steps - burn_in) // 9 * 9
        start = optimise(grid, start, rates[i], run, lambda g, memory, t: g)[0][-1]
    return found


# --- displacement, langevin, theory ----------------------------------------------------------------------------------


def tamsd(walk, waiting_times, lag_times, window):
    """Time-averaged mean squared displacement of one walk (T, d), by waiting time and lag."""
    return np.array(
        [
            [
                sum(
                    np.sum((walk[t + lag].astype(float) - walk[t].astype(float)) ** 2)
                    for t in range(start, start + window)
                )
                / window
                for lag in lag_times
            ]
            for start in waiting_times
        ]
    )


def fractional_langevin(gradient, x0, noise, hurst, eta, beta):
    """The path by the quadratic sum over the whole past."""
    n = np.arange(1.0, len(noise))
    w, scale = (
        n ** (2 - 2 * hurst) - (n - 1) ** (2 - 2 * hurst),
        gamma(2 * hurst - 1) * gamma(3 - 2 * hurst),
    )
    x, g = [x0], []
    for j in range(1, len(noise)):
        g.append(gradient(x[-1]))
        x.append(
            x0 - eta / scale * np.dot(w[:j], g[::-1]) - eta * np.sqrt(2 / (beta * scale)) * noise[j]
        )
    return np.array(x)


def paper_potential_gradient(potential, x):
    """dV/dx of the paper's potential, place by place: a well, a washboard on its left and minus that on its right."""
    out = []
    for one in x:
        turn = 2 * np.pi / potential.period
        washboard = potential.amplitude * turn * np.sin(turn * one) - potential.bias
        inside = abs(one) < potential.radius
        out.append(potential.stiffness * one if inside else washboard if one < 0 else -washboard)
    return np.array(out)


def mittag_leffler(z, order):
    """E_order(z) by its power series, for small |z|."""
    return sum(z**k / gamma(order * k + 1) for k in range(60))


# --- geometry --------------------------------------------------------------------------------------------------------


def local_minima(values):
    """(x, y) of the interior points strictly below their 4 neighbours, lowest first."""
    v = values
    low = (
        (v[1:-1, 1:-1] < v[1:-1, :-2])
        & (v[1:-1, 1:-1] < v[1:-1, 2:])
        & (v[1:-1, 1:-1] < v[:-2, 1:-1])
        & (v[1:-1, 1:-1] < v[2:, 1:-1])
    )
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


def local_walk(gradient, start, learning_rate, directions):
    """Steps as long as descent's would be, in given directions, reflected at the walls."""
    track = [np.array(start)]
    for direction in directions:
        x, y = track[-1]
        dx, dy = (interpolate(gradient[..., k], x, y) for k in (0, 1))
        track.append(track[-1] + learning_rate * np.sqrt(dx * dx + dy * dy) * direction)
        for axis, wall in enumerate((gradient.shape[1] - 1, gradient.shape[0] - 1)):
            while not 0 <= track[-1][axis] <= wall:
                track[-1][axis] = (
                    -track[-1][axis] if track[-1][axis] < 0 else wall - (track[-1][axis] - wall)
                )
    return np.array(track)


# --- leaders, spectrum, roughness ------------------------------------------------------------------------------------


def _filtered(x, h, detail):
    """One filter along the last axis on the grid ceil(n/2), NaN where it would need data beyond the ends."""
    g, out = (-1.0) ** np.arange(len(h)) * h, np.full((x.shape[0], (x.shape[1] + 1) // 2), np.nan)
    for k in range(out.shape[1]):
        places = 2 * k + 1 - np.arange(len(h)) if detail else 2 * k + np.arange(len(h))
        if places.min() >= 0 and places.max() < x.shape[1]:
            out[:, k] = x[:, places] @ (g if detail else h)
    return out


def wavelet_coefficients(x, h, integration=0.0):
    """Per level the three |details| 2^(-j) 2^(integration j) on the whole grid, NaN where not valid."""
    levels = []
    for j in range(1, int(np.floor(np.log2(min(x.shape) / (len(h) + 3)))) + 1):
        low, high = _filtered(x, h, False), _filtered(x, h, True)
        bands = [
            _filtered(low.T, h, True).T,
            _filtered(high.T, h, False).T,
            _filtered(high.T, h, True).T,
        ]
        levels.append(np.abs(bands) * 2.0 ** ((integration - 1) * j))
        x = _filtered(low.T, h, False).T
    return levels


def leaders(x, h, p=np.inf, integration=0.0, first_scale=2):
    """Leaders by scale, place by place as defined, on the box where they are.

    Over every coefficient of the three bands whose square lies within the 3x3 squares about the place: the supremum, or
    (sum of 4^(i - j) |c_i|^p)^(1/p).
    """
    levels, found = wavelet_coefficients(x, h, integration), {}
    for j in range(first_scale, len(levels) + 1):
        leader = np.full(levels[j - 1].shape[1:], np.nan)
        for row, col in np.ndindex(leader.shape):
            within = []
            for i in range(first_scale, j + 1):
                side = 2 ** (j - i)
                top, left = (row - 1) * side, (col - 1) * side
                bottom, right = top + 3 * side, left + 3 * side
                c = levels[i - 1]
                if min(top, left) < 0 or bottom > c.shape[1] or right > c.shape[2]:
                    break
                within.append((4.0 ** (i - j), c[:, top:bottom, left:right]))
            else:
                leader[row, col] = (
                    np.max([c.max() for _, c in within])
                    if p == np.inf
                    else sum(area * (c**p).sum() for area, c in within) ** (1 / p)
                )
        rows, cols = (np.isfinite(leader).any(axis=axis) for axis in (1, 0))
        found[j] = leader[np.ix_(rows, cols)]
    return found


def spectrum(leaders_by_scale, q, weights="count"):
    """(h, D, zeta, log-cumulants) of {scale: leaders}, sums as written in the formulae."""
    scales, n, S, U, V, kappa = np.array(sorted(leaders_by_scale), float), [], [], [], [], []
    for j in sorted(leaders_by_scale):
        values = leaders_by_scale[j].ravel()
        powers = values ** q[:, None]
        R = powers / powers.sum(axis=1, keepdims=True)
        n.append(len(values))
        S.append(np.log2(powers.mean(axis=1)))
        U.append((R * np.log2(R)).sum(axis=1) + np.log2(len(values)))
        V.append((R * np.log2(values)).sum(axis=1))
        about = np.log(values) - np.log(values).mean()
        kappa.append(
            [
                np.log(values).mean(),
                (about**2).mean(),
                (about**3).mean(),
                (about**4).mean() - 3 * (about**2).mean() ** 2,
            ]
        )
    b = np.array(n, float) if weights == "count" else np.ones(len(n))
    fit = [np.polyfit(scales, np.array(y), 1, w=np.sqrt(b))[0] for y in (V, U, S, kappa)]
    return fit[0], 2 + fit[1], fit[2], fit[3] / np.log(2)


def resampled_sums(sums, picks):
    """Sums of the picked rows, one resample after the other."""
    return np.array([sums[row].sum(axis=0) for row in picks])


def mean_squares(values, lag):
    """Mean squared first and second differences at a lag, each the mean over both axes."""
    first = [np.mean((v[lag:] - v[:-lag]) ** 2) for v in (values, values.T)]
    second = [
        np.mean((v[2 * lag :] - 2 * v[lag:-lag] + v[: -2 * lag]) ** 2) for v in (values, values.T)
    ]
    return np.mean(first), np.mean(second)


def local_second_differences(values, step, window, row, col):
    """Gaussian mean about one pixel of the squared second differences along both axes, from those inside the image."""
    total = weight = 0.0
    for i in range(values.shape[0]):
        for k in range(values.shape[1]):
            near = np.exp(-((i - row) ** 2 + (k - col) ** 2) / (2 * window**2))
            if max(abs(i - row), abs(k - col)) > int(4 * window + 0.5):
                continue
            if step <= k < values.shape[1] - step:
                total += near * (values[i, k + step] - 2 * values[i, k] + values[i, k - step]) ** 2
                weight += near
            if step <= i < values.shape[0] - step:
                total += near * (values[i + step, k] - 2 * values[i, k] + values[i - step, k]) ** 2
                weight += near
    return total / weight


# --- train_supplementary ---------------------------------------------------------------------------------------------


def network_loss_and_gradient(theta, x, y, mask=None, keep=1.0):
    """Mean squared error of the 16-unit ReLU network and its gradient; `mask` (rows, hidden) keeps units, times 1/keep."""
    k = x.shape[1]
    w1, b1, w2, b2 = (
        theta[: 16 * k].reshape(k, 16),
        theta[16 * k : 16 * k + 16],
        theta[16 * k + 16 : -1],
        theta[-1],
    )
    scale = 1.0 if mask is None else mask / keep
    before = x @ w1 + b1
    hidden = np.maximum(before, 0) * scale
    residual = hidden @ w2 + b2 - y
    back = 2 / len(y) * residual[:, None] * w2 * scale * (before > 0)
    gradient = [
        x.T @ back,
        back.sum(0),
        2 / len(y) * hidden.T @ residual,
        [2 / len(y) * residual.sum()],
    ]
    return np.mean(residual**2), np.concatenate([np.ravel(part) for part in gradient])


def full_batch_descent(theta, x, y, rate, epochs, masks=None, keep=1.0):
    """Positions after each epoch and losses before it."""
    positions, losses = [], []
    for epoch in range(epochs):
        value, slope = network_loss_and_gradient(
            theta, x, y, None if masks is None else masks[epoch], keep
        )
        theta = theta - rate * slope
        positions.append(theta)
        losses.append(value)
    return np.array(positions), np.array(losses)


def dropout_mask(cells, key, dropout):
    """Where a 32-bit hash of (cell, key) says that a unit is kept."""
    z = np.array([[int(c) for c in row] for row in cells], dtype=object)
    z = z ^ int(key[0])
    z = ((z ^ (z >> 16)) * 0x21F0AAAD % 2**32) ^ int(key[1])
    z = (z ^ (z >> 15)) * 0xD35A2D97 % 2**32
    return ((z ^ (z >> 15)) < (1 - dropout) * 2**32).astype(bool)


def nearest(points, sample):
    """Index of the sample point nearest to each point."""
    return np.array([np.argmin(((sample - point) ** 2).sum(axis=1)) for point in points])


# --- spurious valleys ------------------------------------------------------------------------------------------------


def monomial_tensors(rows, degree):
    """Each row's tensor power, flattened: its span is that of the row's filter <w, x>^degree."""
    tensors = np.ones((len(rows), 1))
    for _ in range(degree):
        tensors = np.einsum("ij,ik->ijk", tensors, rows).reshape(len(rows), -1)
    return tensors


def least_loss(inputs, targets, degree):
    """Least squares on the tensor powers."""
    features = monomial_tensors(inputs, degree)
    return np.sum((features @ np.linalg.pinv(features) @ targets - targets) ** 2) / len(inputs)


def relu_network_squares(hidden, output, inputs, targets):
    """Squared errors of a ReLU network, one a sample."""
    return (np.maximum(inputs @ hidden.T, 0) @ output - targets) ** 2


def ridge_test_error(directions, train, test, ridge):
    """Test errors of the ridge fit of ReLU features by least squares with extra rows (a singular value decomposition)."""

    def features(inputs):
        return np.maximum(np.column_stack([inputs, np.ones(len(inputs))]) @ directions.T, 0)

    (inputs, targets), p = train, len(directions)
    rows = np.vstack([features(inputs), np.sqrt(ridge * len(inputs)) * np.eye(p)])
    weights = np.linalg.lstsq(
        rows, np.vstack([targets, np.zeros((p, targets.shape[1]))]), rcond=None
    )[0]
    return np.mean((features(test[0]) @ weights - test[1]) ** 2, axis=0)


def flood(values):
    """Return minima, births, deaths, heirs, first saddles and volumes of an image, by flooding it point by point."""
    flat, places = values.ravel(), [tuple(p) for p in np.ndindex(values.shape)]
    order = sorted(range(flat.size), key=lambda i: (flat[i], i))
    rank = {places[i]: k for k, i in enumerate(order)}

    def wet_neighbours(place, level):
        for axis in range(values.ndim):
            for step in (-1, 1):
                other = tuple(c + step * (a == axis) for a, c in enumerate(place))
                if rank.get(other, level) < level:
                    yield other

    minima, deaths, heirs, first, home = [], [], [], [], {}
    basins = []  # sets of flooded points, each with the number of its lowest minimum and all of its minima
    for level, i in enumerate(order):
        place = places[i]
        wet = list(wet_neighbours(place, level))
        met = [basin for basin in basins if any(w in basin["points"] for w in wet)]
        if not met:
            home[place] = len(minima)
            basins.append({"points": {place}, "lowest": len(minima), "merged": False})
            minima.append(place)
            deaths.append(np.inf)
            heirs.append(-1)
            first.append(np.inf)
            continue
        home[place] = home[min(wet, key=rank.get)]
        winner = min(met, key=lambda basin: basin["lowest"])
        if len(met) > 1:
            # numbers of one level are told apart by the order in which neighbours are met; the value is the same
            for basin in met:
                if not basin["merged"]:
                    first[basin["lowest"]] = flat[i]
                if basin is not winner:
                    deaths[basin["lowest"]], heirs[basin["lowest"]] = flat[i], winner["lowest"]
            winner["merged"] = True
        points = set.union({place}, *(basin["points"] for basin in met))
        basins = [basin for basin in basins if basin not in met]
        basins.append({"points": points, "lowest": winner["lowest"], "merged": winner["merged"]})
    volumes = np.bincount(list(home.values()), minlength=len(minima))
    births = np.array([values[m] for m in minima])
    return {
        "minima": np.array(minima),
        "births": births,
        "deaths": np.array(deaths),
        "first_saddles": np.array(first),
        "volumes": volumes,
    }


def level_components(values, level):
    """Count the pieces of the level set of a triangulated image: edges that cross it, joined where they share a triangle."""
    rows, cols = values.shape
    number = np.arange(rows * cols).reshape(rows, cols)
    triangles = [
        t
        for y in range(rows - 1)
        for x in range(cols - 1)
        for t in (
            (number[y, x], number[y, x + 1], number[y + 1, x + 1]),
            (number[y, x], number[y + 1, x], number[y + 1, x + 1]),
        )
    ]
    above = values.ravel() > level
    crossing, pairs = {}, []
    for triangle in triangles:
        edges = [tuple(sorted((triangle[a], triangle[b]))) for a, b in ((0, 1), (1, 2), (0, 2))]
        cut = [crossing.setdefault(e, len(crossing)) for e in edges if above[e[0]] != above[e[1]]]
        pairs += [cut] if cut else []
    if not pairs:
        return 0
    first, second = np.array(pairs).T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(crossing),) * 2)
    return connected_components(graph, directed=False)[0]
