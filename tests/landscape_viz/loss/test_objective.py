"""Gradients written into one vector as they come: autograd's own, added or not, also where backward passes are nested."""

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

from landscape_viz.curvature.hessian import HessianOperator
from landscape_viz.loss.objective import Objective, backward_into, empty_vector
from tests.landscape_viz.curvature.test_hessian import classification


@pytest.mark.parametrize("add", [False, True])
def test_parts_are_autograds(add):
    """The vector holds autograd.grad's parts in order, zeros for a parameter that is not used, and no `.grad` is left."""
    a, b, unused = (torch.randn(3, 2, requires_grad=True) for _ in range(3))
    root = (a.t() @ b).pow(3).sum()
    expected = torch.cat(
        [p.flatten() for p in torch.autograd.grad(root, (a, b), retain_graph=True)]
    )
    total = empty_vector(18, torch.float32, "cpu").fill_(5.0)
    backward_into(total, [a, unused, b], root, add=add)
    expected = torch.cat([expected[:6], torch.zeros(6), expected[6:]]) + 5.0 * add
    torch.testing.assert_close(total, expected)
    assert a.grad is b.grad is unused.grad is None
    assert not a._post_accumulate_grad_hooks


def test_nested_backward_passes_add_up():
    """A weight used in two reentrant checkpoints gets both parts: the derivative of tanh(w tanh(w x)) by the chain rule."""
    w = torch.tensor([0.7], requires_grad=True)
    x = torch.tensor([0.3], requires_grad=True)
    inner = checkpoint(lambda y: torch.tanh(w * y), x, use_reentrant=True)
    outer = checkpoint(lambda y: torch.tanh(w * y), inner, use_reentrant=True)
    total = torch.zeros(1)
    backward_into(total, [w], outer.sum())
    h = np.tanh(0.21)
    assert float(total) == pytest.approx(
        (1 - np.tanh(0.7 * h) ** 2) * (h + 0.7 * (1 - h**2) * 0.3), rel=1e-5
    )


def test_a_probe_shares_the_problems_weights_and_never_writes_to_them():
    """Before its first move an objective holds no copy; moved, written to and returned, the problem's numbers are what they were."""
    problem = classification()
    kept = {name: tensor.clone() for name, tensor in problem.state.tensors()}
    made = type(problem)(problem.build(), None, problem.loss, problem.data)
    objective = Objective(made)
    for name, parameter in objective.parameters.items():
        assert parameter.data_ptr() == made.state[name].data_ptr()
    here, gradient = objective.value_and_gradient()
    objective.set(objective.get() - 0.1 * gradient)
    assert objective.loss() < here
    objective.vector.zero_()
    operator = HessianOperator(made)
    operator.move(0 * gradient)
    operator.matvec(gradient)
    assert all(torch.equal(kept[name], tensor) for name, tensor in made.state.tensors())
    assert all(torch.equal(kept[n], t) for n, t in made.build().state_dict().items())


def test_micro_batches_change_nothing_but_rounding():
    """In batches of 7 of 40 samples loss, gradient and product are those of one batch to 1e-14, from graphs of a third the size."""
    whole, parts = classification(), classification().in_micro_batches(7)
    v = np.random.default_rng(0).normal(size=75)
    for there, here in zip(
        *(Objective(p).value_and_gradient() for p in (whole, parts)), strict=True
    ):
        np.testing.assert_allclose(there, here, rtol=0, atol=1e-14)
    products = HessianOperator(whole), HessianOperator(parts, memory_budget=2e4)
    np.testing.assert_allclose(products[0] @ v, products[1] @ v, rtol=0, atol=1e-14)
    assert not products[1].retained
    assert products[1].memory / len(products[1].objective.batches) < products[0].memory / 3
    assert classification(batch_size=5).in_micro_batches(7).batch_size == 5


@pytest.mark.parametrize("modes", [{"batch_norm": "batch"}, {"dropout": "fixed"}])
def test_batches_that_are_part_of_the_loss_stay(modes):
    """BatchNorm on the statistics of a batch and masks of dropout refuse other batches, with the remedy."""
    with pytest.raises(ValueError, match="problem must give the same loss in other batches"):
        classification(**modes).in_micro_batches(7)
