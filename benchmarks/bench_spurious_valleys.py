"""Spurious valleys: random-feature errors of all widths by one factorisation, against each width apart."""

import numpy as np
from scipy.linalg import solve
from threadpoolctl import threadpool_limits

from benchmarks.harness import Case
from experiments.spurious_valleys import random_features as rf
from experiments.spurious_valleys.theorem16 import half_octaves
from tests.helpers import naive

_RIDGE = 1e-8


def cases():
    """Return this chapter's cases: 15 widths, 16 to 2048, 8000 training and 10 000 test points, on one thread."""
    generator = np.random.default_rng(0)
    inputs, units = rf.on_sphere(18_000, 10, generator), rf.on_sphere(500, 11, generator)
    targets = rf.teacher_values(inputs, units, generator.standard_normal((500, 2)))
    train, test = (inputs[:8000], targets[:8000]), (inputs[8000:], targets[8000:])
    directions, widths = rf.on_sphere(2048, 11, generator), half_octaves(2048)

    def nested():
        with threadpool_limits(1):
            return rf.nested_errors(
                directions, widths, train, test, sample_sizes=[8000], ridge=_RIDGE
            )

    def apart(fit):
        with threadpool_limits(1):
            return [fit(directions[:width], train, test, _RIDGE) for width in widths]

    return [
        Case(
            "random features, 15 widths",
            nested,
            lambda: apart(normal_equations),
            against="Cholesky at each width",
            aim="2 times faster",
            repeats=3,
        ),
        Case(
            "random features, 15 widths, again",
            nested,
            lambda: apart(naive.ridge_test_error),
            aim="2 times faster",
            repeats=1,
        ),
    ]


def normal_equations(directions, train, test, ridge):
    """Return the test errors of one width by Cholesky of its own normal equations: the quickest way for one alone."""
    features = rf.relu_features(train[0], directions)
    gram = features.T @ features / len(features) + ridge * np.eye(len(directions))
    weights = solve(gram, features.T @ train[1] / len(features), assume_a="pos", check_finite=False)
    return np.mean((rf.relu_features(test[0], directions) @ weights - test[1]) ** 2, axis=0)
