"""A field as a torch module: derivatives against torch's own, walks against `descend`, probes against the closed Hessian."""

import numpy as np
import pytest
import torch

from landscape_viz import FieldModule, HessianOperator, Problem, batch_loss
from multifractal import ConfinedField, FractalField, SubspaceExponent, descend, fbm_surface


def small(dimension=3, hurst=None, n_modes=40):
    """A field of few waves, of varying exponent unless one is given."""
    hurst = SubspaceExponent(dimension, rng=1) if hurst is None else hurst
    return FractalField(dimension, hurst, rng=0, n_modes=n_modes, wavenumbers=(0.5, 8.0))


def written_out(field, x):
    """The field at a tensor (d,) as its definition says, from the waves alone, in torch, which can differentiate it."""
    (waves,) = field._kept
    vectors = torch.from_numpy(waves.vectors * waves.scales) * 2 * torch.pi
    cosines, sines = (torch.from_numpy(part) for part in waves.phases)
    phases, lengths = torch.atan2(sines, cosines), vectors.norm(dim=0)
    u, v = torch.from_numpy(field.hurst.axes) @ x
    h = 0.5 + 0.2 * torch.sin(2 * torch.pi * u) * torch.cos(1.5 * torch.pi * v)
    half = torch.tensor(field.dimension / 2, dtype=torch.float64)
    log_c = torch.lgamma(1 - h) + torch.lgamma(half) - torch.lgamma(half + h) - torch.log(h)
    log_c = log_c - (2 * h + 1) * np.log(2)
    ratio = np.log(field.wavenumbers[1] / field.wavenumbers[0]) / field.n_modes
    amplitudes = torch.exp(0.5 * (np.log(ratio) - log_c)) * lengths**-h
    return (amplitudes * (torch.cos(x @ vectors + phases) - torch.cos(phases))).sum()


def test_value_gradient_and_hessian_are_those_of_the_definition_by_torch():
    """Torch's derivatives of the definition, varying exponent included, agree to 1e-9 with ours of all orders."""
    field, x = small(), torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
    value = float(written_out(field, x))
    derivatives = torch.autograd.functional
    gradient = derivatives.jacobian(lambda p: written_out(field, p), x).numpy()
    hessian = derivatives.hessian(lambda p: written_out(field, p), x).numpy()
    assert field.value(x.numpy()) == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(field.gradient(x.numpy()), gradient, atol=1e-9 * abs(gradient).max())
    np.testing.assert_allclose(field.hessian(x.numpy()), hessian, atol=1e-9 * abs(hessian).max())


@pytest.mark.parametrize("start", [[0.3, -0.2, 0.1], [[0.3, -0.2, 0.1], [0.0, 0.5, -0.4]]])
def test_torch_finds_both_derivatives_right(start):
    """`gradcheck` and `gradgradcheck` accept the module's function, at one position and at two."""
    module = FieldModule(small(), start)
    position = module.position.detach().clone().requires_grad_()

    def loss(p):
        return torch.func.functional_call(module, {"position": p}, ())

    assert torch.autograd.gradcheck(loss, position, eps=1e-5, atol=1e-5)
    assert torch.autograd.gradgradcheck(loss, position, eps=1e-5, atol=1e-4)


def test_sgd_of_torch_walks_as_descend_does():
    """Twenty steps of `torch.optim.SGD` end, to rounding, where `descend` ends; three walkers at once as one by one."""
    field, starts = small(4), np.random.default_rng(0).normal(size=(3, 4)) * 0.1
    module = FieldModule(field, starts)
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        module().sum().backward()
        optimizer.step()
    for start, end in zip(starts, module.position.detach().numpy(), strict=True):
        walk = descend(field, start, learning_rate=1e-3, n_steps=20)
        np.testing.assert_allclose(end, walk.positions[-1], rtol=1e-12, atol=1e-14)


def test_the_probes_of_networks_measure_it():
    """`HessianOperator` of the module is the field's Hessian, with a bowl as well; a third derivative is refused."""
    field = ConfinedField(small(5), np.arange(5.0), amplitude=0.1)
    start = np.full(5, 0.2)
    loss = batch_loss(lambda model, batch: model())
    problem = Problem(FieldModule(field, start), None, loss, torch.zeros(1, 1))
    expected = np.array([field.hessian_product(start, axis) for axis in np.eye(5)])
    found = HessianOperator(problem).to_dense()
    np.testing.assert_allclose(found, expected, atol=1e-10 * abs(expected).max())
    module = FieldModule(field, start)
    (slope,) = torch.autograd.grad(module(), module.position, create_graph=True)
    (curve,) = torch.autograd.grad(slope.sum(), module.position, create_graph=True)
    with pytest.raises(RuntimeError, match="derivatives up to the second"):
        torch.autograd.grad(curve.sum(), module.position)


@pytest.mark.parametrize(
    ("field", "start", "words"),
    [
        (fbm_surface(16, 0.5, rng=0), [1.0, 2.0], "field must be a field, got 'Landscape'"),
        (small(), [0.0, 1.0], r"start must have shape \(..., 3\)"),
        (small(), [0.0, 1.0, np.nan], "start must be finite"),
    ],
)
def test_what_is_no_field_or_no_start_is_refused(field, start, words):
    """Each refusal names the argument and the rule."""
    with pytest.raises(ValueError, match=words):
        FieldModule(field, start)
