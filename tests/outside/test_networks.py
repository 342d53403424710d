"""Probes of networks against linear and softmax regression, whose losses are closed forms, and against numpy and scipy."""

import numpy as np
import pytest
import torch
from scipy import stats

from landscape_viz import Problem, directions, dynamics, sharpness, spectral_density, trace
from landscape_viz.connectivity import linear_path
from landscape_viz.curvature.hessian import HessianOperator
from landscape_viz.loss.evaluate import Evaluator

GENERATOR = np.random.default_rng(5)
INPUTS, TARGETS = GENERATOR.normal(size=(80, 4)), GENERATOR.normal(size=(80, 1))
LABELS = GENERATOR.integers(0, 3, 80)
WEIGHTS = GENERATOR.normal(size=(1, 4))


def linear():
    """A linear map of four inputs."""
    return torch.nn.Linear(4, 1, bias=False, dtype=torch.float64)


def softmax():
    """Logits of three classes, linear in four inputs."""
    return torch.nn.Linear(4, 3, dtype=torch.float64)


def normalised():
    """Batch normalisation alone."""
    return torch.nn.BatchNorm1d(4, dtype=torch.float64)


def dropped():
    """Dropout before a fixed sum of 2000 inputs."""
    return torch.nn.Sequential(
        torch.nn.Dropout(0.3), torch.nn.Linear(2000, 2000, bias=False, dtype=torch.float64)
    )


@pytest.fixture(scope="module")
def regression():
    """Mean squared error of a linear map: L(w) = |X w - y|^2 / n."""
    data = torch.tensor(INPUTS), torch.tensor(TARGETS)
    return Problem(linear, {"weight": torch.tensor(WEIGHTS)}, "mse", data)


def _loss(w):
    return float(np.mean((INPUTS @ w - TARGETS[:, 0]) ** 2))


def _gradient(w):
    return 2 * INPUTS.T @ (INPUTS @ w - TARGETS[:, 0]) / len(INPUTS)


def test_sam_and_adaptive_sharpness_are_the_quadratics_own(regression):
    """L(w + delta) - L(w) = g.delta + delta'H delta/2 for delta = rho g/|g| (Foret et al.) and rho w^2 g/|w g| (Kwon et al.)."""
    w, H = WEIGHTS[0], 2 * INPUTS.T @ INPUTS / len(INPUTS)
    g = _gradient(w)
    for found, delta in (
        (sharpness.sam_sharpness(regression, 0.3), 0.3 * g / np.linalg.norm(g)),
        (sharpness.adaptive_sharpness(regression, 0.3), 0.3 * w**2 * g / np.linalg.norm(w * g)),
    ):
        assert found.value == pytest.approx(g @ delta + delta @ H @ delta / 2, rel=1e-9)
        assert found.loss == pytest.approx(_loss(w), rel=1e-12)


def test_average_sharpness_is_a_weighted_trace(regression):
    """E of the quadratic's rise under N(0, rho^2 w^2) is rho^2 sum w_i^2 H_ii / 2, within 4 of the stated errors, which are true.

    Var = rho^4 tr((W H W)^2) / 2 for one Gaussian draw; antithetic pairs have the same one for a quadratic.
    """
    w, H = WEIGHTS[0], 2 * INPUTS.T @ INPUTS / len(INPUTS)
    WHW = w[:, None] * H * w
    found = sharpness.average_sharpness(regression, 0.2, n_samples=400, rng=0)
    true_error = np.sqrt(0.2**4 * np.sum(WHW**2) / 2 / 400)
    assert found.value == pytest.approx(0.02 * np.trace(WHW), abs=4 * true_error)
    assert found.standard_error == pytest.approx(true_error, rel=0.25)


def test_keskars_maximum_over_the_box_is_at_a_corner(regression):
    """A convex quadratic is largest in one of the box's 16 corners, found here by trying all: 100 (max - L) / (1 + L)."""
    w = WEIGHTS[0]
    corners = np.stack(np.meshgrid(*[[-1, 1]] * 4), axis=-1).reshape(-1, 4) * 0.1 * (np.abs(w) + 1)
    highest = max(_loss(w + corner) for corner in corners)
    found = sharpness.keskar_sharpness(regression, 0.1, n_iterations=50)
    assert found.value == pytest.approx(100 * (highest - _loss(w)) / (1 + _loss(w)), rel=1e-6)


def test_ball_sharpness_of_a_quadratic_has_its_closed_mean(regression):
    """E over the sphere of radius r is r^2 tr H / (2 d); the ascent comes near the maximum, solved by scipy, from below."""
    from scipy.optimize import minimize

    w, H, r = WEIGHTS[0], 2 * INPUTS.T @ INPUTS / len(INPUTS), 0.5
    found = sharpness.ball_sharpness(regression, r, n_samples=600, n_ascent=60, rng=0)
    assert found.mean == pytest.approx(r**2 * np.trace(H) / 8, abs=4 * found.standard_error)

    def fall(v):
        return -_loss(w + r * v / np.linalg.norm(v))

    highest = max(
        -minimize(fall, start).fun for start in np.random.default_rng(0).normal(size=(8, 4))
    )
    assert found.sampled_maximum <= found.ascent <= highest - _loss(w) + 1e-9
    assert found.ascent > 0.95 * (highest - _loss(w))


def test_fisher_rao_of_softmax_regression_is_its_closed_form():
    """w.grad l = (p - e_y).z for logits z that are linear in the weights: E of its square, by numpy (Liang et al. 2019)."""
    weight, bias = GENERATOR.normal(size=(3, 4)), GENERATOR.normal(size=3)
    state = {"weight": torch.tensor(weight), "bias": torch.tensor(bias)}
    problem = Problem(softmax, state, "cross_entropy", (torch.tensor(INPUTS), torch.tensor(LABELS)))
    z = INPUTS @ weight.T + bias
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    p[np.arange(80), LABELS] -= 1
    squares = np.sum(p * z, axis=1) ** 2
    found = sharpness.fisher_rao_norm(problem)
    assert found.value == pytest.approx(squares.mean(), rel=1e-10)
    assert found.standard_error == pytest.approx(squares.std(ddof=1) / np.sqrt(80), rel=1e-10)


def test_scale_dependent_curvature_of_a_quadratic_does_not_depend_on_scale(regression):
    """Kappa = mean |H v| over unit v, the same at all distances: between the eigenvalues, and of the right second moment."""
    H = 2 * INPUTS.T @ INPUTS / len(INPUTS)
    found = sharpness.scale_dependent_curvature(
        regression, [1e-3, 1e-1, 1.0], n_directions=300, rng=0
    )
    assert found.values == pytest.approx(np.full(3, found.values[0]), rel=1e-6)
    v = np.random.default_rng(0).normal(size=(40_000, 4))
    wanted = np.linalg.norm(v @ H, axis=1) / np.linalg.norm(v, axis=1)
    assert found.values[0] == pytest.approx(wanted.mean(), abs=5 * found.standard_error[0])
    assert found.standard_error[0] == pytest.approx(wanted.std() / np.sqrt(300), rel=0.25)


def test_the_noise_scale_of_linear_regression_is_by_its_samples_gradients(regression):
    """B = tr(cov of one sample's gradient) / |G|^2 over the data (McCandlish et al. 2018), drawn without replacement: S grows."""
    w = WEIGHTS[0]
    each = 2 * INPUTS * (INPUTS @ w - TARGETS[:, 0])[:, None]
    found = dynamics.gradient_noise_scale(regression, small=4, big=40, n_draws=1200, rng=0)
    spread = np.trace(np.cov(each.T))
    # without replacement E|G_B|^2 = |G|^2 + S (1/B - 1/n), so that the two parts are S and |G|^2 - S/n
    wanted = spread / (np.sum(_gradient(w) ** 2) - spread / 80)
    error = np.log(found.high / found.low) / 2 / 1.96  # of the logarithm, as stated
    assert np.log(found.value / wanted) == pytest.approx(0, abs=4 * error)
    assert error < 0.1
    assert found.variance == pytest.approx(spread, rel=4 * error)


def test_the_barrier_of_a_quadratic_is_known(regression):
    """On a line a convex quadratic lies below its chord (barrier 0), and its highest point is an end: both by numpy."""
    other = {"weight": torch.tensor(WEIGHTS + np.array([[1.0, -2.0, 0.5, 0.0]]))}
    path = linear_path(regression, other, n_points=21)
    ends = WEIGHTS[0], WEIGHTS[0] + [1.0, -2.0, 0.5, 0.0]
    wanted = [_loss((1 - t) * ends[0] + t * ends[1]) for t in path.t]
    assert path.losses == pytest.approx(wanted, rel=1e-10)
    chord = (1 - path.t) * wanted[0] + path.t * wanted[-1]
    assert path.barrier_above_line == pytest.approx(max(np.max(wanted - chord), 0), abs=1e-12)
    assert path.barrier_height == pytest.approx(max(wanted) - max(wanted[0], wanted[-1]), abs=1e-12)
    assert wanted[0] != pytest.approx(wanted[-1], rel=0.1)


def test_the_hessian_is_numpys(regression):
    """The operator's dense form is 2 X'X / n."""
    assert HessianOperator(regression).to_dense() == pytest.approx(
        2 * INPUTS.T @ INPUTS / 80, abs=1e-12
    )


def test_trace_and_density_of_a_known_matrix():
    """300 eigenvalues known by construction: the trace within 4 stated errors, moments too, and Gauss nodes in the spectrum."""
    values = np.concatenate([np.linspace(-1, 1, 290), [5, 6, 8, 9, 12, 20, 30, 45, 60, 99.0]])
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(300, 300)))[0]
    matrix = (basis * values) @ basis.T
    found = trace(matrix, n_products=60, rng=0)
    assert found.value == pytest.approx(values.sum(), abs=4 * found.standard_error)
    assert found.standard_error < 0.05 * values.sum()
    density = spectral_density(matrix, n_probes=20, n_steps=40, rng=0)
    for order in (1, 2, 3):
        mean, error = density.moment(order)
        assert mean == pytest.approx(np.mean(values**order), abs=4 * error)
    assert density.nodes.max() == pytest.approx(99, abs=1e-6)
    assert density.nodes.min() >= -1 - 1e-9


def many_filters():
    """One layer of 400 filters with six weights each."""
    return torch.nn.Linear(6, 400, bias=False, dtype=torch.float64)


def test_filter_normalised_directions_are_uniform_on_each_filters_sphere():
    """|d| = |w| for each filter, and (d_1/|d|)^2 is Beta(1/2, 5/2) in six dimensions (scipy's Kolmogorov-Smirnov test)."""
    data = torch.zeros(2, 6, dtype=torch.float64), torch.zeros(2, 400, dtype=torch.float64)
    problem = Problem(many_filters, None, "mse", data)
    w = problem.build().weight.detach().numpy()
    d = np.asarray(directions.random(problem, 1, norm="filter", rng=3).vectors).reshape(400, 6)
    assert np.linalg.norm(d, axis=1) == pytest.approx(np.linalg.norm(w, axis=1), rel=1e-8)
    unit = d / np.linalg.norm(d, axis=1, keepdims=True)
    for k in range(6):
        assert stats.kstest(unit[:, k] ** 2, stats.beta(0.5, 2.5).cdf).pvalue > 1e-4
    assert np.abs(unit.sum(axis=0)).max() < 5 * np.sqrt(400 / 6)


@pytest.mark.parametrize("mode", ["eval", "batch", "recalibrate"])
def test_batch_normalisation_uses_the_statistics_its_mode_says(mode):
    """The loss of (x - m)/sqrt(v + 1e-5) against 0 with the stored m and v, or with the data's own (v biased in a batch)."""
    state = {name: value for name, value in normalised().state_dict().items()}
    state |= {
        "running_mean": torch.full((4,), 0.7, dtype=torch.float64),
        "running_var": torch.full((4,), 2.5, dtype=torch.float64),
    }
    data = torch.tensor(INPUTS), torch.zeros(80, 4, dtype=torch.float64)
    problem = Problem(normalised, state, "mse", data, batch_norm=mode)
    mean, var = {
        "eval": (0.7, 2.5),
        "batch": (INPUTS.mean(axis=0), INPUTS.var(axis=0)),
        "recalibrate": (INPUTS.mean(axis=0), INPUTS.var(axis=0, ddof=1)),
    }[mode]
    evaluator = Evaluator(problem, np.zeros((0, 8)), ("loss",))
    found = evaluator.run(np.zeros((1, 0)))
    assert np.ravel(found)[0] == pytest.approx(
        np.mean((INPUTS - mean) ** 2 / (var + 1e-5)), rel=1e-9
    )


def test_dropout_masks_are_bernoulli_and_differ_between_positions_only_when_live():
    """E of the squared masked inputs is 1 / (1 - p); off gives 1, fixed one value, live new ones that scatter as it must."""
    state = {"1.weight": torch.eye(2000, dtype=torch.float64)}
    data = torch.ones(1, 2000, dtype=torch.float64), torch.zeros(1, 2000, dtype=torch.float64)

    def losses(mode, n):
        problem = Problem(dropped, state, "mse", data, dropout=mode)
        vectors = np.zeros((1, 4_000_000))
        return np.ravel(Evaluator(problem, vectors, ("loss",)).run(np.zeros((n, 1))))

    assert losses("off", 2) == pytest.approx(1, abs=1e-12)
    fixed, live = losses("fixed", 3), losses("live", 12)
    assert len(set(fixed)) == 1
    assert len(set(live)) == 12
    sd = np.sqrt(0.3 * 0.7 / 2000) / 0.7**2  # of one loss, a mean of 2000 Bernoulli(.7) / .7^2
    for values in (fixed[:1], live):
        assert np.mean(values) == pytest.approx(1 / 0.7, abs=5 * sd / np.sqrt(len(values)))
    assert np.std(live, ddof=1) == pytest.approx(sd, rel=5 / np.sqrt(24))


def test_a_section_of_a_quadratic_is_its_formula(regression):
    """The loss at w + a d1 + b d2 over a 3 x 5 grid is numpy's, rows first."""
    from landscape_viz import section

    plane = directions.random(regression, 2, rng=1)
    d = np.asarray(plane.vectors, dtype=float)
    found = section(regression, plane, ["-1:1:3", "-2:2:5"])
    wanted = [
        [_loss(WEIGHTS[0] + a * d[0] + b * d[1]) for b in np.linspace(-2, 2, 5)] for a in (-1, 0, 1)
    ]
    values = found["loss"] if not hasattr(found, "values") else found.values["loss"]
    assert np.asarray(values) == pytest.approx(np.array(wanted), rel=1e-9)


def test_the_lyapunov_exponent_of_training_a_quadratic_is_ln_of_its_largest_factor(regression):
    """V <- (1 - rate H) v: the exponent is ln max |1 - rate lambda|, below and beyond the edge 2 / lambda."""
    eigenvalues = np.linalg.eigvalsh(2 * INPUTS.T @ INPUTS / 80)
    for rate in (0.1, 2.2 / eigenvalues[-1]):
        found = dynamics.training_lyapunov(regression, learning_rate=rate, n_steps=60, burn_in=400)
        assert found.value == pytest.approx(np.log(np.abs(1 - rate * eigenvalues).max()), abs=1e-6)


def test_descent_and_its_plane_are_numpys(regression):
    """Weights after t steps are w* + (1 - rate H)^t (w - w*); principal directions are numpy's, projections its least squares."""
    from landscape_viz import trajectory

    H = 2 * INPUTS.T @ INPUTS / 80
    solution = np.linalg.lstsq(INPUTS, TARGETS[:, 0], rcond=None)[0]
    run = dynamics.full_batch_descent(regression, learning_rate=0.2, n_steps=12, keep_every=1)
    step = np.eye(4) - 0.2 * H
    for t, position in zip(run.position_steps, run.positions, strict=True):
        wanted = solution + np.linalg.matrix_power(step, int(t)) @ (WEIGHTS[0] - solution)
        assert position == pytest.approx(wanted, abs=1e-10)
    states = [{"weight": torch.tensor(p[None])} for p in run.positions]
    end = regression.with_state(states[-1])
    plane = directions.pca(end, states)
    moves = run.positions[:-1] - run.positions[-1]
    _, _, axes = np.linalg.svd(moves, full_matrices=False)
    assert np.abs(np.asarray(plane.vectors, float) @ axes[:2].T) == pytest.approx(
        np.eye(2), abs=1e-6
    )
    seen = trajectory.project(end, states, plane)
    wanted = np.linalg.lstsq(
        np.asarray(plane.vectors, float).T, (run.positions - run.positions[-1]).T, rcond=None
    )[0].T
    assert seen.coordinates == pytest.approx(wanted, abs=1e-9)
    assert seen.true_loss == pytest.approx([_loss(p) for p in run.positions], rel=1e-9)


def hidden_layer():
    """Four inputs, seven hidden units, one output."""
    layers = (
        torch.nn.Linear(4, 7, dtype=torch.float64),
        torch.nn.ReLU(),
        torch.nn.Linear(7, 1, dtype=torch.float64),
    )
    return torch.nn.Sequential(*layers)


def test_matching_undoes_a_planted_permutation():
    """A network whose units were shuffled by numpy is matched back to itself, unit by unit (Ainsworth et al. 2023)."""
    from landscape_viz import match, permuted, sequential_groups

    problem = Problem(hidden_layer, None, "mse", (torch.tensor(INPUTS), torch.tensor(TARGETS)))
    state = problem.build().state_dict()
    order = np.random.default_rng(2).permutation(7)
    shuffled = {
        "0.weight": state["0.weight"][order], "0.bias": state["0.bias"][order],
        "2.weight": state["2.weight"][:, order], "2.bias": state["2.bias"],
    }  # fmt: skip
    groups = sequential_groups(problem.build())
    found = match(problem, shuffled, groups)
    back = permuted(shuffled, groups, found.permutations)
    for name, tensor in state.items():
        assert torch.equal(back[name], tensor)
    assert found.similarity_after == pytest.approx(
        sum(float((state[k] ** 2).sum()) for k in state if k != "2.bias"), rel=0.2
    )
