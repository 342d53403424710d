"""Directions: norms of filters, layers and the whole, principal directions against SVD, eigenvectors, refusals."""

import re

import numpy as np
import pytest
import torch

from landscape_viz import Directions, Problem, directions
from landscape_viz.loss import parameters
from tests.helpers import naive_networks
from tests.helpers.small_networks import Point, SmallConv, crooked, images

pytestmark = pytest.mark.quick

ROUNDING = 8 * np.finfo(np.float32).eps


@pytest.fixture(scope="module")
def problem():
    """A small convolutional problem."""
    return Problem(SmallConv, None, "cross_entropy", images())


def parts(problem, vector):
    """A vector's tensors by name."""
    return {
        name: part.numpy()
        for name, part in problem.unflatten(torch.tensor(np.array(vector))).items()
    }


def run_of(problem, n, seed=0):
    """`n` states of a random walk that ends at the problem's weights."""
    rng, vector = np.random.default_rng(seed), problem.weights().numpy()
    steps = rng.standard_normal((n, len(vector)))
    steps[-1] = 0
    walk = vector + 0.1 * np.cumsum(steps[::-1], axis=0)[::-1]
    buffers = dict(problem.build().named_buffers())
    return [
        dict(problem.unflatten(torch.tensor(row, dtype=torch.float32))) | buffers for row in walk
    ]


def test_filters_get_the_norms_of_the_networks(problem):
    """Filter norm: each filter has its weight's norm, equals the naive twin, and tensors of one dimension are zero."""
    made, weights = (
        directions.random(problem, 2, norm="filter", rng=3),
        parts(problem, problem.weights().numpy()),
    )
    plain = directions.random(problem, 2, norm="layer", rng=3)
    for vector, same_draw in zip(made.vectors, plain.vectors, strict=True):
        for name, part in parts(problem, vector).items():
            if part.ndim == 1:
                assert not part.any()
                continue
            twin = naive_networks.filter_normalised(parts(problem, same_draw)[name], weights[name])
            np.testing.assert_allclose(part, twin, rtol=ROUNDING)


def test_layers_and_the_model_get_the_norms_of_the_networks(problem):
    """Layer norm: each tensor has its weight's norm. Model norm: the whole has that of all moving weights."""
    weights = parts(problem, problem.weights().numpy())
    for name, part in parts(
        problem, directions.random(problem, 1, norm="layer").vectors[0]
    ).items():
        if part.ndim > 1:
            np.testing.assert_allclose(
                np.linalg.norm(part), np.linalg.norm(weights[name]), rtol=ROUNDING
            )
    whole = np.sqrt(sum(np.sum(w**2) for w in weights.values() if w.ndim > 1))
    np.testing.assert_allclose(
        directions.random(problem, 1, norm="model").norms, whole, rtol=ROUNDING
    )


def test_direction_k_depends_on_the_seed_and_k_alone(problem):
    """Asking for more directions leaves the first ones alone; another seed gives others."""
    three, one = directions.random(problem, 3, rng=5), directions.random(problem, 1, rng=5)
    assert np.array_equal(three.vectors[0], one.vectors[0])
    assert three.hash != directions.random(problem, 3, rng=6).hash
    assert three.hash == directions.random(problem, 3, rng=5).hash


def test_angles_and_orthogonalised(problem):
    """Angles are those of arccos; after Gram-Schmidt they are right, norms and the first direction are kept."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((3, len(problem.weights())))
    vectors[1] += 2 * vectors[0]
    made = directions.from_vectors(problem, vectors)
    cosine = vectors[0] @ vectors[1] / np.linalg.norm(vectors[0]) / np.linalg.norm(vectors[1])
    np.testing.assert_allclose(made.angles[0, 1], np.degrees(np.arccos(cosine)), rtol=1e-5)
    right = made.orthogonalised()
    np.testing.assert_allclose(right.angles, 90 * (1 - np.eye(3)), atol=np.degrees(ROUNDING))
    np.testing.assert_allclose(right.norms, made.norms, rtol=ROUNDING)
    np.testing.assert_allclose(right.vectors[0], made.vectors[0], rtol=ROUNDING)
    with pytest.raises(ValueError, match="linearly independent"):
        directions.from_vectors(problem, [vectors[0], -2 * vectors[0]]).orthogonalised()


def test_a_direction_is_at_no_angle_to_itself(problem):
    """Exactly 0, where the arc cosine of one less rounding would say a millionth of a degree; a multiple is at 0 or 180."""
    rng = np.random.default_rng(4)
    vectors = rng.standard_normal((12, len(problem.weights())))
    vectors[1] = -3 * vectors[0]
    angles = directions.from_vectors(problem, vectors).angles
    assert (np.diag(angles) == 0).all()
    assert angles[0, 1] == pytest.approx(180, abs=0.1)


def test_toward_another_network_reaches_it_at_one(problem):
    """Origin plus the direction is the other network's parameters, to rounding."""
    other = Problem(SmallConv, None, "cross_entropy", images(), rng=9)
    made = directions.toward(problem, other.build().state_dict())
    np.testing.assert_allclose(
        problem.weights().numpy() + made.vectors[0], other.weights().numpy(), atol=1e-7
    )


@pytest.mark.parametrize("about", ["end", "mean"])
def test_principal_directions_are_those_of_svd(problem, about):
    """PCA by the Gram matrix gives the right singular vectors up to sign."""
    states = run_of(problem, 9)
    made = directions.pca(problem, states, 3, about=about)
    moves = directions.displacements(problem, states).astype(float)
    twin = naive_networks.principal_directions(moves - (moves.mean(0) if about == "mean" else 0), 3)
    np.testing.assert_allclose(np.abs(made.vectors @ twin.T), np.eye(3), atol=1e-5)
    np.testing.assert_allclose(made.norms, 1, rtol=ROUNDING)


def test_a_random_walk_explains_what_the_design_states():
    """The first shares are 81 and 9 % about the end, 8/pi^2 (1, 1/9), and 61 and 15 % about the mean, 6/pi^2 (1, 1/4)."""
    end, mean, steps = 8 / np.pi**2 / np.array([1, 9]), 6 / np.pi**2 / np.array([1, 4]), 200
    np.testing.assert_allclose(directions.random_walk_shares(steps)[:2], end, atol=2 / steps**2)
    np.testing.assert_allclose(
        directions.random_walk_shares(steps, "mean")[:2], mean, atol=2 / steps**2
    )


def test_labels_give_the_shares_beside_a_random_walks(problem):
    """A random walk in some 1000 dimensions explains about what the endless-dimensional one does; the label shows both."""
    label = directions.pca(problem, run_of(problem, 30), 2).labels[0]
    share, walk = map(
        int, re.fullmatch(r"weights along PC 1 \((\d+)%; random walk (\d+)%\)", label).groups()
    )
    assert walk == round(100 * directions.random_walk_shares(30)[0])
    assert len(problem.weights()) > 1000
    # relative sd of an eigenvalue sqrt(2/1000) = 4.5 %, of a share p then p (1 - p) sqrt(2) 4.5 % = 1 %; 5 sd and rounding
    assert abs(share - walk) <= 6


def bowl(outputs, targets):
    """A quadratic with Hessian [[3, 1], [1, 1]]."""
    x, y = outputs[0, 0], outputs[0, 1]
    return 1.5 * x**2 + x * y + 0.5 * y**2


def test_hessian_directions_are_the_eigenvectors():
    """For a quadratic loss they are the eigenvectors of its matrix, the largest first."""
    made = directions.hessian(
        Problem(Point, None, bowl, (torch.zeros(1), torch.zeros(1))), 2, tol=1e-10
    )
    twin = np.linalg.eigh([[3.0, 1.0], [1.0, 1.0]])[1][:, ::-1].T
    np.testing.assert_allclose(np.abs(np.sum(made.vectors * twin, axis=1)), 1, rtol=1e-6)
    assert made.labels[0].endswith("(λ = 3.41)")


def test_combined_and_own_directions(problem):
    """Directions are joined in order, and dicts by name make the same vectors as flat ones."""
    made = directions.random(problem, 2)
    again = directions.from_vectors(
        problem, [dict(problem.unflatten(torch.tensor(np.array(v)))) for v in made.vectors]
    )
    assert again.hash == made.hash
    both = directions.combined(made, again)
    assert len(both) == 4
    assert both.labels[:2] == made.labels


def test_save_and_load_give_the_same_directions(problem, tmp_path):
    """Vectors, labels and hash survive a round trip."""
    made = directions.random(problem, 2)
    made.save(tmp_path / "directions.npz")
    again = Directions.load(tmp_path / "directions.npz")
    assert again.hash == made.hash
    assert again.labels == made.labels


@pytest.mark.parametrize(
    ("norm", "words"), [("filter", "1 of 25 filters"), ("layer", "1 of 4 layers")]
)
def test_what_has_norm_zero_stays_and_is_counted(problem, norm, words):
    """A filter (or layer) of norm zero gets a zero direction, all others their norm, and a warning counts it."""
    state = problem.build().state_dict()
    state["grouped.weight"][2 if norm == "filter" else slice(None)] = 0
    there = problem.with_state(state)
    with pytest.warns(
        UserWarning, match=f"{words} have norm zero and do not move .in grouped.weight"
    ):
        made = directions.random(there, 1, norm=norm)
    part = parts(there, made.vectors[0])["grouped.weight"]
    assert np.array_equal(part == 0, state["grouped.weight"].numpy() == 0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: directions.random(p, 0), "n must be a whole number, at least 1"),
        (
            lambda p: directions.random(p, norm="sphere"),
            "norm must be one of 'filter', 'layer', 'model'",
        ),
        (lambda p: directions.toward(p), "states must hold at least one"),
        (lambda p: directions.toward(p, {"first.weight": torch.zeros(1)}), "first.bias is missing"),
        (
            lambda p: directions.from_vectors(p, [np.zeros(len(p.weights()))]),
            "directions must be finite and not zero",
        ),
        (lambda p: directions.from_vectors(p, [np.ones(3)]), "parameters"),
        (
            lambda p: directions.pca(p, run_of(p, 2), 2),
            "n must be less than the number of independent states",
        ),
    ],
)
def test_bad_input_is_refused_with_its_rule(problem, make, words):
    """Each refusal names the argument, its value and the rule."""
    with pytest.raises(ValueError, match=re.escape(words)):
        make(problem)


def test_crooked_problems_keep_their_dtype():
    """A float64 network has float64 directions."""
    assert (
        directions.random(Problem(SmallConv, None, crooked, images()), 1).vectors.dtype
        == np.float32
    )
    made = directions.from_vectors(
        Problem(Point, None, crooked, (torch.zeros(1), torch.zeros(1))), np.eye(2)
    )
    assert made.vectors.dtype == np.float64


@pytest.mark.parametrize(
    ("shape", "groups", "rows"),
    [((), None, 1), ((5,), None, 1), ((4, 3), None, 4), ((4, 3, 2, 2), None, 4), ((6, 4, 3), 2, 8)],
)
def test_filters_are_rows_and_go_back(shape, groups, rows):
    """Tensors of one dimension are one filter; of transposed layers each column of a group is one; nothing is lost on the way."""
    tensor = torch.arange(float(np.prod(shape, dtype=int))).reshape(shape)
    filters = parameters.as_filters(tensor, groups)
    assert len(filters) == rows
    assert torch.equal(parameters.from_filters(filters, shape, groups), tensor)
    if groups:  # output channel 1 of the first group, then of the second
        assert torch.equal(filters[1], tensor[:3, 1].flatten())
        assert torch.equal(filters[5], tensor[3:, 1].flatten())
