"""The valley around the bad point of theorem 13: its rim, paths out of it, and gradient descent inside it.

At the bad point all output weights are positive, and while they stay non-negative the network is non-negative on the last
coordinate, where the risk is then at least beta^2 / 4. To fit -beta relu(x_n) some output weight must become negative, and
at the first moment one is zero the rest, p - 1 units with non-negative weights, must do the first subspace alone. So any
way out passes beta^2 / 4 + rim, where rim is the least risk on the first subspace of p - 1 such units. `rim` finds it from
above, `certificates` proves bounds from below.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.stats import binomtest

from multifractal.base.rng import as_generator


def rim(mixture, width, *, restarts, rng, start_noise=0.1):
    """Return the risks on the first subspace that descents of `width` units with non-negative weights end at, ascending.

    Half of the starts are e_1 to e_width with noise, half are random; the smallest bounds the true minimum from above, and
    equal numbers from many starts make it likely, but do not prove, that it is the minimum.
    """
    generator = as_generator(rng)
    found = []
    for k in range(restarts):
        hidden, output = mixture.bad_point(width)
        noise = generator.standard_normal(hidden.shape)
        hidden = hidden + start_noise * noise if k % 2 == 0 else noise
        found.append(
            mixture.risk(*_lowest(mixture, hidden, output, np.ones(width, bool))) - mixture.floor
        )
    return np.sort(found)


def dragged_path(mixture, hidden, output, unit, *, noise=0.0, rng=0, n_steps=40):
    """Return the corners (hidden (s, p, n), output (s, p)) of a path that drags one unit's output weight out of the valley.

    The weight goes to zero in equal steps, the others each time down to where the risk is least; then the unit, which no
    longer counts, turns to e_n, and its weight goes to -beta. Straight lines join the corners. Each descent starts at the
    corner before it with normal noise of standard deviation `noise` on the hidden weights.
    """
    generator = as_generator(rng)
    free = np.arange(len(output)) != unit
    corners = [(hidden, output)]
    for share in np.linspace(1, 0, n_steps + 1)[1:]:
        hidden, moved = (
            corners[-1][0] + noise * generator.standard_normal(hidden.shape),
            corners[-1][1].copy(),
        )
        moved[unit] = share * output[unit]
        corners.append(_lowest(mixture, hidden, moved, free))
    turned, last = corners[-1][0].copy(), corners[-1][1].copy()
    turned[unit] = np.eye(mixture.n_inputs)[-1]
    corners.append((turned, last))
    crossed = last.copy()
    crossed[unit] = -mixture.beta
    corners.append((turned, crossed))
    return np.array([h for h, _ in corners]), np.array([u for _, u in corners])


def straight(start, end, n_points):
    """Return (hidden, output) at `n_points` along the straight line between two networks."""
    t = np.linspace(0, 1, n_points)
    return tuple(
        a + t.reshape(-1, *[1] * a.ndim) * (b - a) for a, b in zip(start, end, strict=True)
    )


def risk_along(mixture, hidden, output, n_between=20):
    """Return the exact risk along the straight lines that join networks hidden (s, p, n), output (s, p), shape (t,)."""
    parts = [
        mixture.risk(
            *straight((hidden[k], output[k]), (hidden[k + 1], output[k + 1]), n_between + 1)
        )
        for k in range(len(hidden) - 1)
    ]
    return np.concatenate([part[(k > 0) :] for k, part in enumerate(parts)])


def descend(mixture, hidden, output, learning_rate, n_steps):
    """Return (hidden, output) after gradient descent on the exact risk; leading axes are networks."""
    for _ in range(n_steps):
        _, by_hidden, by_output = mixture.risk_and_gradient(hidden, output)
        hidden, output = hidden - learning_rate * by_hidden, output - learning_rate * by_output
    return hidden, output


def random_starts(width, n_inputs, n_runs, rng):
    """Return hidden (n_runs, p, n) and output (n_runs, p), normal with variances 1 / n and 1 / p: symmetric about zero."""
    generator = as_generator(rng)
    return (
        generator.standard_normal((n_runs, width, n_inputs)) / np.sqrt(n_inputs),
        generator.standard_normal((n_runs, width)) / np.sqrt(width),
    )


def trapped(mixture, hidden, output, rim_bound):
    """Return which networks (..., p, n), (..., p) are in the valley for good: all output weights positive, risk below the rim.

    With `rim_bound` a proved bound (`certificates`) this is certain: no path of non-increasing risk leaves.
    """
    inside = (output > 0).all(axis=-1)
    return inside & (mixture.risk(hidden, output) < mixture.floor + rim_bound)


def least_over_outputs(mixture, hidden):
    """Return the least exact risk over the output weights, which may have any sign, with hidden weights (p, n) fixed.

    That is where descent in the output layer alone ends: the risk is a quadratic in u, with half its gradient G u - b.
    """
    p = len(hidden)
    at_zero, _, slope = mixture.risk_and_gradient(hidden, np.zeros(p))
    stacked = np.broadcast_to(hidden, (p, *hidden.shape))
    gram = (mixture.risk_and_gradient(stacked, np.eye(p))[2] - slope) / 2
    return float(at_zero + slope @ np.linalg.lstsq(gram, -slope / 2, rcond=1e-12)[0] / 2)


def share_trapped(mixture, width, *, n_runs, n_steps, learning_rate, rim_bound, rng):
    """Return how gradient descent on both layers ends from symmetric random starts: (share, low, high), exact 95 % intervals.

    `in_cone`: starts whose output weights are all positive, 2^-p on average; `trapped`: runs that end in the valley for good
    (`trapped`; None where no bound is given); `above_floor`: runs that end no lower than the valley's bottom; with the median end,
    and the median least risk over the output weights from the same hidden weights.
    """
    starts = random_starts(width, mixture.n_inputs, n_runs, rng)
    hidden, output = descend(mixture, *starts, learning_rate, n_steps)
    risk = mixture.risk(hidden, output)
    return {
        "in_cone": _share((starts[1] > 0).all(axis=1)),
        "trapped": None
        if rim_bound is None
        else _share(trapped(mixture, hidden, output, rim_bound)),
        "above_floor": _share(risk >= mixture.floor),
        "median_end": float(np.median(risk)),
        "median_output_only": float(
            np.median([least_over_outputs(mixture, h) for h in starts[0][:200]])
        ),
        "n_runs": n_runs,
    }


def _share(yes):
    """Return (share, low, high) with the exact binomial interval of 95 % (Clopper and Pearson)."""
    found = binomtest(int(yes.sum()), len(yes))
    interval = found.proportion_ci(0.95)
    return found.statistic, float(interval.low), float(interval.high)


def _lowest(mixture, hidden, output, free):
    """Return the network descended to from here with non-negative output weights, fixed where not `free`, and v = 0."""
    p, n = hidden.shape
    last_column = np.arange(p * n) % n == n - 1
    bounds = [(0, 0) if last else (None, None) for last in last_column]
    bounds += [
        (0, None) if moves else (weight, weight) for moves, weight in zip(free, output, strict=True)
    ]

    def objective(vector):
        risk, by_hidden, by_output = mixture.risk_and_gradient(
            vector[: p * n].reshape(p, n), vector[p * n :]
        )
        return risk, np.concatenate([by_hidden.ravel(), by_output])

    start = np.concatenate([np.where(last_column, 0, hidden.ravel()), output])
    found = minimize(
        objective,
        start,
        jac=True,
        bounds=bounds,
        method="L-BFGS-B",
        options={"maxiter": 2000, "maxfun": 4000, "ftol": 1e-13, "gtol": 1e-8},
    )
    return found.x[: p * n].reshape(p, n), found.x[p * n :]
