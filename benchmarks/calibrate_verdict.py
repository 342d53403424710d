"""Choose the thresholds of the verdict on synthetic fields, and print its confusion table on fresh ones.

`python -m benchmarks.calibrate_verdict` takes some two minutes on one core. Seed 1 is for choosing, seed 2 for the table.
"""

import itertools

from multifractal.base.command import as_command, at_the_shell

at_the_shell(__name__)

import numpy as np

from multifractal.analysis import verdict
from tests.helpers.mixed_fields import KINDS, mixed_field

N_CHOICE, N_FRESH = 800, 200
_N_PIXELS = 256**2
CANDIDATES = {
    "NOISE_SECOND_FINE": (0.125, 0.15, 0.175, 0.2),
    "SMOOTH_FIRST": (0.8, 0.825, 0.85, 0.875, 0.9),
    "STEADY_RISE": (0.0, 0.02, 0.03, 0.04, 0.05, 0.07),
    "SMOOTH_SECOND_COARSE": (0.9, 0.925, 0.95, 0.975, 1.0),
    "NOISY_SECOND_COARSE": (0.7, 0.75, 0.8, 0.85),
}


def three_exponents(values):
    """Return (first, second_fine, second_coarse) of a field."""
    rest = verdict.without_parabola(values)[0]
    moments = np.array([verdict.difference_moments(rest, lag) for lag in (1, 2, 4)])
    V, W, _ = moments.mean(axis=2).T
    return np.log2([V[2] / V[1], W[1] / W[0], W[2] / W[1]]) / 2


def draw(seed, n):
    """Return (exponents, shares) of `n` fields."""
    fields = [mixed_field(seed, i) for i in range(n)]
    return np.array([three_exponents(values) for values, _ in fields]), np.array(
        [shares for _, shares in fields]
    )


def hits(exponents, shares):
    """Return where the verdict names the largest share."""
    return np.array(
        [
            verdict.kind_of(*row, False, _N_PIXELS) == KINDS[share.argmax()]
            for row, share in zip(exponents, shares, strict=True)
        ]
    )


def choose(exponents, shares):
    """Print the candidates of the most hits."""
    scores = []
    for values in itertools.product(*CANDIDATES.values()):
        for name, value in zip(CANDIDATES, values, strict=True):
            setattr(verdict, name, value)
        scores.append((hits(exponents, shares).mean(), values))
    for score, values in sorted(scores, reverse=True)[:10]:
        print(f"{score:.4f}", dict(zip(CANDIDATES, values, strict=True)))


def confusion(exponents, shares):
    """Print how often each kind (rows, the largest share) was named each kind (columns)."""
    table = np.zeros((3, 3), int)
    for row, share in zip(exponents, shares, strict=True):
        table[share.argmax(), KINDS.index(verdict.kind_of(*row, False, _N_PIXELS))] += 1
    print("largest share \\ verdict", *KINDS)
    for kind, row in zip(KINDS, table, strict=True):
        print(f"{kind:>23}", *row)
    clear = shares.max(axis=1) > 2 / 3
    good = hits(exponents, shares)
    print(
        f"right: {good.mean():.3f} of {len(good)}; where one kind exceeds 2/3: {good[clear].mean():.3f} of {clear.sum()}"
    )


def main():
    """Print the confusion table, and how the thresholds compare."""
    confusion(*draw(2, N_FRESH))
    choose(*draw(1, N_CHOICE))


if __name__ == "__main__":
    raise SystemExit(as_command(main, "calibrate_verdict"))
