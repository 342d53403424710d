"""The Hessian as an operator: against the dense matrix, curvlinops, a known quadratic, and its own promises."""

import contextlib
import copy
import functools
import gc
import weakref
from dataclasses import replace

import curvlinops
import numpy as np
import pytest
import torch
from torch import nn

from landscape_viz.curvature import hessian
from landscape_viz.curvature.hessian import HessianOperator
from landscape_viz.curvature.twice import CheapSecondDerivatives
from landscape_viz.loss.evaluate import Evaluator
from landscape_viz.loss.objective import Objective
from landscape_viz.loss.problem import Problem
from tests.helpers import small_networks
from tests.helpers.once_differentiable import Once

HALF = torch.arange(1.0, 7.0, dtype=torch.float64)


class Quadratic(nn.Module):
    """Loss = 1/2 sum_i i w_i^2 + w_0 w_1, whatever the data."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.linspace(-1, 1, 6, dtype=torch.float64))

    def forward(self, inputs):
        """Return the loss once a sample."""
        return (0.5 * (HALF * self.w**2).sum() + self.w[0] * self.w[1]).expand(len(inputs))


def mean_output(outputs, targets):
    """Return the mean output: the loss of a network that is its own loss."""
    return outputs.mean()


def small_network(dropout=0.0):
    """Return a float64 network with a BatchNorm layer, 3-8-3."""
    return nn.Sequential(
        nn.Linear(3, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Dropout(dropout), nn.Linear(8, 3)
    ).double()


def classification(batch_size=None, **modes):
    """Return a small problem of 3 classes."""
    rng = torch.Generator().manual_seed(0)
    data = (
        torch.randn(40, 3, generator=rng, dtype=torch.float64),
        torch.randint(3, (40,), generator=rng),
    )
    factory = (
        functools.partial(small_network, 0.3) if modes.get("dropout") == "fixed" else small_network
    )
    return Problem(factory, None, "cross_entropy", data, batch_size=batch_size, **modes)


def dense_hessian(problem):
    """Return the Hessian by torch.func on the whole parameter vector."""
    model, (inputs, targets) = problem.build(), problem.load()
    names = list(problem.shapes)

    def loss(vector):
        outputs = torch.func.functional_call(model, problem.unflatten(vector), (inputs,))
        return nn.functional.cross_entropy(outputs, targets)

    assert names == [name for name, _ in model.named_parameters()]
    return torch.func.hessian(loss)(problem.weights()).detach().numpy()


def test_a_quadratics_hessian_is_exact():
    """On a quadratic with a known Hessian the matrix, the gradient and the damping are exact."""
    problem = Problem(Quadratic, None, mean_output, (torch.zeros(4, 1), torch.zeros(4)))
    expected = np.diag(np.arange(1.0, 7.0))
    expected[0, 1] = expected[1, 0] = 1
    operator = HessianOperator(problem)
    np.testing.assert_allclose(operator.to_dense(), expected, atol=1e-14)
    np.testing.assert_allclose(operator.gradient, expected @ np.linspace(-1, 1, 6), atol=1e-14)
    np.testing.assert_allclose(
        HessianOperator(problem, damping=0.5).to_dense(), expected + 0.5 * np.eye(6), atol=1e-14
    )


@pytest.mark.parametrize(("batch_size", "retained"), [(None, True), (13, True), (13, False)])
def test_products_are_the_dense_hessians(batch_size, retained):
    """With one batch or several, graphs kept or computed anew, the matrix is torch.func's to 1e-10."""
    all_graphs = HessianOperator(classification(batch_size)).memory
    operator = HessianOperator(
        classification(batch_size), memory_budget=all_graphs * (1 if retained else 0.5)
    )
    assert operator.retained == retained
    np.testing.assert_allclose(operator.to_dense(), dense_hessian(classification()), atol=1e-10)
    assert operator.products == operator.shape[0]


@pytest.mark.parametrize("batch_size", [None, 20])
def test_products_under_batch_statistics(batch_size):
    """In BatchNorm's batch mode the matrix is that of central differences of the gradient, to their own error.

    (torch.func.hessian is no twin here: its forward-over-reverse result is not symmetric, off by 0.16 on this network.)
    """
    operator = HessianOperator(classification(batch_size, batch_norm="batch"))
    objective, step = operator.objective, 1e-5
    origin, matrix = objective.origin.copy(), operator.to_dense()
    for i, e in enumerate(step * np.eye(len(origin))):
        column = (objective.gradient(origin + e) - objective.gradient(origin - e)) / (2 * step)
        np.testing.assert_allclose(matrix[:, i], column, atol=1e-7)


def test_products_of_attention():
    """Fused attention has no second derivative in torch; ours is that of central differences, to their own error."""
    operator = HessianOperator(Problem(Attention, None, "cross_entropy", classification().data))
    v, objective = np.random.default_rng(0).normal(size=operator.shape[0]), operator.objective
    origin, product = objective.origin.copy(), operator.matvec(v)
    change = objective.gradient(origin + 1e-5 * v) - objective.gradient(origin - 1e-5 * v)
    np.testing.assert_allclose(product, change / 2e-5, atol=1e-7)


def test_products_agree_with_curvlinops():
    """An independent library's operator gives the same products to 1e-10."""
    problem = classification(batch_size=16)
    model, (inputs, targets) = problem.build(), problem.load()
    loader = list(zip(inputs.split(16), targets.split(16), strict=True))
    theirs = curvlinops.HessianLinearOperator(
        model, nn.CrossEntropyLoss(), list(model.parameters()), loader
    )
    v = np.random.default_rng(0).normal(size=problem.weights().numel())
    np.testing.assert_allclose(
        HessianOperator(problem).matvec(v), theirs.to_scipy() @ v, atol=1e-10
    )


def test_a_layers_hessian_is_a_block():
    """The filter by name and by function give the block of the dense matrix that belongs to those parameters."""
    problem = classification()
    whole = dense_hessian(problem)
    first = sum(
        int(np.prod(shape)) for name, shape in problem.shapes.items() if not name.startswith("4")
    )
    np.testing.assert_allclose(
        HessianOperator(problem, "4").to_dense(), whole[first:, first:], atol=1e-10
    )
    by_function = HessianOperator(problem, lambda name, parameter: name.startswith("4"))
    np.testing.assert_allclose(by_function.to_dense(), whole[first:, first:], atol=1e-10)


def test_fixed_dropout_gives_the_same_product_twice():
    """Products with fixed dropout repeat to the bit, kept or computed anew, and differ from those without dropout."""
    v = np.ones(problem_size := classification().weights().numel())
    fixed = [
        HessianOperator(classification(dropout="fixed"), memory_budget=budget)
        for budget in (2e9, 2e9)
    ]
    assert np.array_equal(fixed[0].matvec(v), fixed[1].matvec(v))
    assert np.array_equal(fixed[0].matvec(v), fixed[0].matvec(v))
    assert not np.allclose(fixed[0].matvec(v), HessianOperator(classification()).matvec(v))
    assert problem_size == fixed[0].shape[0]


def test_the_callers_network_and_random_state_stay_as_they_were():
    """Model, modes, buffers, gradients and random state are byte-equal after products, also when one raises."""
    model = small_network()
    model(torch.randn(5, 3, dtype=torch.float64)).sum().backward()
    before = copy.deepcopy(model)
    gradients = [p.grad.clone() for p in model.parameters()]
    data = torch.randn(20, 3, dtype=torch.float64), torch.randint(3, (20,))
    state = torch.get_rng_state()
    operator = HessianOperator(
        Problem(functools.partial(copy.deepcopy, model), None, "cross_entropy", data)
    )
    operator.matvec(np.ones(operator.shape[0]))
    with pytest.raises(ValueError, match="(?i)dimension mismatch"):
        operator.matvec(np.ones(3))
    assert model.training == before.training
    for (name, a), (_, b) in zip(
        model.state_dict().items(), before.state_dict().items(), strict=True
    ):
        assert torch.equal(a, b), name
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)
    assert torch.equal(torch.get_rng_state(), state)


def test_gradient_is_the_derivative_of_the_loss():
    """Central differences of the loss agree with the gradient to their own error, 1e-8."""
    objective = Objective(classification(batch_size=11))
    v = np.random.default_rng(1).normal(size=objective.size)
    slope = (
        objective.loss(objective.origin + 1e-5 * v) - objective.loss(objective.origin - 1e-5 * v)
    ) / 2e-5
    np.testing.assert_allclose(
        slope, objective.gradient(objective.origin) @ v, rtol=1e-8, atol=1e-8
    )


class OnceModule(nn.Module):
    """The module around `Once`."""

    def forward(self, x):
        """Return the square."""
        return Once.apply(x)


def with_once():
    """Return a network with a module that cannot be differentiated twice."""
    return nn.Sequential(nn.Linear(3, 4), OnceModule(), nn.Linear(4, 3)).double()


class Words(nn.Module):
    """A bag of embeddings, for which torch lacks the second derivative, inside another module."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.EmbeddingBag(5, 4, mode="max"), nn.Tanh())
        self.last = nn.Linear(4, 3)

    def forward(self, x):
        """Return logits."""
        return self.last(self.body(x.abs().long().clamp(max=4)))


class Attention(nn.Module):
    """One layer of self-attention over three tokens."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.first, self.last = nn.Linear(1, 4), nn.Linear(4, 3)
        self.double()

    def forward(self, x):
        """Return logits."""
        tokens = self.first(x[:, :, None])
        return self.last(self.attention(tokens, tokens, tokens, need_weights=False)[0].mean(1))


def frozen():
    """Return a network with nothing to train."""
    return small_network().requires_grad_(False)


def vector_loss(outputs, targets):
    """Return a loss for each sample: not a scalar."""
    return outputs.sum(1)


def rounded_loss(outputs, targets):
    """Return a loss that cannot be differentiated."""
    return outputs.detach().sum()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"factory": with_once},
            r"model must be differentiable twice in every module, got '1 \(OnceModule\)'",
        ),
        (
            {"factory": Words},
            r"model must be differentiable twice in every module, got 'body.0 \(EmbeddingBag\)'",
        ),
        ({"factory": frozen}, "model must have parameters that require a gradient"),
        ({"loss": vector_loss}, "loss must give one number a batch"),
        ({"loss": rounded_loss}, "loss must be differentiable in the parameters"),
        ({"dropout": "live"}, "dropout must be 'off' or 'fixed'"),
        ({"batch_norm": "recalibrate"}, "batch_norm must be 'eval' or 'batch'"),
    ],
)
def test_bad_problems_are_refused(change, words):
    """What has no second derivative, or not the same one twice, is refused with its name."""
    good = classification()
    fields = {"factory": good.factory, "loss": good.loss} | change
    modes = {name: fields.pop(name) for name in ("dropout", "batch_norm") if name in fields}

    def product():
        problem = Problem(fields["factory"], None, fields["loss"], good.data, **modes)
        return HessianOperator(problem).matvec(np.ones(problem.weights().numel()))

    with pytest.raises(ValueError, match=words):
        product()


def test_a_budget_below_one_batch_is_refused_with_what_would_fit():
    """The MemoryError names the bytes that one batch needs, and that budget is then accepted."""
    with pytest.raises(
        MemoryError, match=r"HessianOperator\(problem, memory_budget=(\S+)\), or"
    ) as refusal:
        HessianOperator(classification(batch_size=10), memory_budget=10)
    needed = float(str(refusal.value).split("memory_budget=")[1].split(")")[0])
    assert not HessianOperator(classification(batch_size=10), memory_budget=needed * 1.01).retained


def test_running_out_of_memory_names_the_budget_that_fits(monkeypatch):
    """When the second batch's graph does not fit the device the error says which budget does, and it does."""
    made = HessianOperator._gradient_graph

    def full(self, k):
        if k == 1 and self.retained:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return made(self, k)

    monkeypatch.setattr(HessianOperator, "_gradient_graph", full)
    with pytest.raises(
        MemoryError, match="4 batches, .* must fit the device, and 1 did; make a HessianOperator"
    ) as told:
        HessianOperator(classification(batch_size=10))
    needed = float(str(told.value).split("memory_budget=")[1].split(")")[0])
    assert np.isfinite(
        HessianOperator(classification(batch_size=10), memory_budget=needed).matvec(np.ones(75))
    ).all()
    monkeypatch.setattr(HessianOperator, "_gradient_graph", lambda self, k: torch.empty(2**50))
    with pytest.raises(
        MemoryError,
        match="of 40 samples must fit the device, and does not; pass a smaller batch_size",
    ):
        HessianOperator(classification())


@pytest.mark.parametrize("affine", [True, False])
def test_cheap_layers_are_torchs_own(affine):
    """ReLU and evaluation-mode BatchNorm give torch's values, gradients and Hessian products to 1e-12, also in parts."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3),
        nn.BatchNorm2d(3, affine=affine),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(48, 4),
        nn.BatchNorm1d(4, affine=affine),
        nn.ReLU(),
    ).double()
    x = torch.randn(5, 2, 6, 6, dtype=torch.float64)
    network(x)
    network.eval()
    parameters, found = list(network.parameters()), []
    for context in (CheapSecondDerivatives(), contextlib.nullcontext()):
        with context:
            out = network(x)
        first = torch.autograd.grad(out.pow(3).sum(), parameters, create_graph=True)
        torch.manual_seed(1)
        product = torch.autograd.grad(first, parameters, [torch.randn_like(part) for part in first])
        found.append([out, *first, *product])
    for ours, torchs in zip(*found, strict=True):
        torch.testing.assert_close(
            ours, torchs, rtol=1e-12, atol=1e-12 * float(torchs.detach().abs().max())
        )


def test_fixed_masks_and_loss_are_those_of_sections():
    """With fixed dropout on images the objective's loss is the section's at its origin, in several batches too, to 1e-6."""
    for batch_size in (None, 10):
        problem = Problem(
            small_networks.SmallConv,
            None,
            "cross_entropy",
            small_networks.images,
            dropout="fixed",
            batch_size=batch_size,
        )
        objective = Objective(problem)
        assert objective.loss() == pytest.approx(
            Evaluator(problem, [], ("loss",)).measure()[0], rel=1e-6
        )
        assert objective.loss() != pytest.approx(
            Objective(replace(problem, dropout="off")).loss(), rel=1e-3
        )


def test_moving_gives_the_hessian_there():
    """After `move` products and gradient are those of a problem at the new weights, to the bit."""
    problem = classification(batch_size=13)
    there = problem.weights().numpy() + 0.1
    moved = HessianOperator(problem)
    moved.move(there)
    state = problem.build().state_dict() | problem.unflatten(torch.tensor(there))
    fresh = HessianOperator(problem.with_state(state))
    v = np.linspace(-1, 1, len(there))
    assert np.array_equal(moved.matvec(v), fresh.matvec(v))
    assert np.array_equal(moved.gradient, fresh.gradient)


def test_an_unknown_layer_is_refused():
    """A filter that chooses nothing is refused with the names there are."""
    with pytest.raises(
        ValueError,
        match="params must choose at least one parameter, got 'nothing'; the names are 0.weight",
    ):
        HessianOperator(classification(), "nothing")


def test_nothing_of_an_operator_stays_in_memory():
    """The network and the graphs of an operator that is deleted are freed, though graphs hold outputs of their own nodes."""
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(12, 4, generator=generator), torch.randint(3, (12,), generator=generator)
    operator = HessianOperator(Problem(_with_relu, None, "cross_entropy", data))
    operator @ np.ones(operator.shape[0])
    network = weakref.ref(next(operator.objective.model.parameters()))
    del operator
    gc.collect()
    assert network() is None


def _with_relu():
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))


@pytest.mark.skipif(
    torch.__version__ < (2, 5), reason="before torch 2.5 a graph starts from tensors"
)
def test_a_kept_graph_does_not_hold_the_numbers_it_starts_from():
    """The tensor is let go, and its derivative is had from the edge: of w^3 along 1, 3 w^2."""
    w = torch.full((3,), 2.0, requires_grad=True)
    cubes = w**3
    root, numbers = hessian._root(cubes), weakref.ref(cubes)
    del cubes
    assert numbers() is None
    torch.autograd.backward([root], [torch.ones(3)])
    assert w.grad.tolist() == [12.0, 12.0, 12.0]
