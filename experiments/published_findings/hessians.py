"""Tools that differentiate a network twice, twinned on networks of some forty weights."""

from functools import partial

import torch
from torch import nn
from torch.func import functional_call

from experiments.published_findings.finding import Row
from landscape_viz import HessianOperator, Problem

LAYERS = {
    "LayerNorm": lambda: nn.LayerNorm(4),
    "BatchNorm on the statistics of the batch": lambda: nn.BatchNorm1d(
        4, track_running_stats=False
    ),
}


def forward_over_reverse():
    """Forward over reverse gives a wrong Hessian under LayerNorm and batch statistics.

    `torch.func.hessian` (torch 2.14), and with it the Hessian of curvlinops 3.0.1, differentiates the gradient in forward
    mode, and the gradient of a normalisation loses a part there, without a word. `HessianOperator` differentiates it in
    reverse mode. Neither is the judge: the truth here is central differences of float64 gradients. Largest error of an entry
    of the Hessian, over the largest entry:
    """
    rows = []
    for name in LAYERS:
        true = by_differences(network(name))
        ours = torch.as_tensor(HessianOperator(problem(name)).to_dense())
        rows.append(
            Row(
                name,
                error(by_torch(network(name)), true),
                error(ours, true),
                "products here; errors against central differences of gradients",
                10,
            )
        )
    return rows


def fused_weight_norm():
    """The second derivative of torch's fused weight_norm is wrong.

    Two backward passes through `torch.nn.utils.parametrizations.weight_norm` (torch 2.14) give a matrix that is not even
    symmetric; its gradients are right. `HessianOperator` writes the normalisation out. Against central differences of float64
    gradients, largest error of an entry of the Hessian, over the largest entry:
    """
    name = "weight_norm"
    true = by_differences(network(name))
    ours = torch.as_tensor(HessianOperator(problem(name)).to_dense())
    return [
        Row(
            "weight_norm",
            error(by_autograd(network(name)), true),
            error(ours, true),
            "products here; errors against central differences of gradients",
            10,
        )
    ]


def network(name):
    """Return a float64 network of three classes with that normalisation."""
    torch.manual_seed(0)
    if name == "weight_norm":
        first = nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))
        return nn.Sequential(first, nn.Tanh(), nn.Linear(4, 3)).double()
    return nn.Sequential(nn.Linear(3, 4), LAYERS[name](), nn.Tanh(), nn.Linear(4, 3)).double()


def data():
    """Return 20 inputs and labels."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(20, 3, dtype=torch.float64, generator=generator)
    return inputs, torch.randint(3, (20,), generator=generator)


def loss(model, parameters, inputs, targets):
    """Return the loss of a model with these parameters, by name."""
    return nn.functional.cross_entropy(functional_call(model, parameters, (inputs,)), targets)


def by_torch(model):
    """Return the Hessian by torch.func.hessian."""
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    inputs, targets = data()
    blocks = torch.func.hessian(lambda p: loss(model, p, inputs, targets))(parameters)
    rows = [
        torch.cat([block.reshape(parameter.numel(), -1) for block in blocks[name].values()], 1)
        for name, parameter in parameters.items()
    ]
    return torch.cat(rows)


def by_autograd(model):
    """Return the Hessian by two backward passes."""
    parameters = list(model.parameters())
    scalar = loss(model, dict(model.named_parameters()), *data())
    slopes = torch.autograd.grad(scalar, parameters, create_graph=True)
    rows = []
    for slope in torch.cat([part.reshape(-1) for part in slopes]):
        parts = torch.autograd.grad(slope, parameters, retain_graph=True)
        rows.append(torch.cat([part.reshape(-1) for part in parts]))
    return torch.stack(rows)


def by_differences(model, step=1e-5):
    """Return the Hessian by central differences of gradients."""
    start = nn.utils.parameters_to_vector(model.parameters()).detach()

    def gradient(vector):
        nn.utils.vector_to_parameters(vector, model.parameters())
        scalar = loss(model, dict(model.named_parameters()), *data())
        parts = torch.autograd.grad(scalar, list(model.parameters()))
        return torch.cat([part.reshape(-1) for part in parts])

    moves = step * torch.eye(len(start), dtype=torch.float64)
    rows = [(gradient(start + move) - gradient(start - move)) / (2 * step) for move in moves]
    return torch.stack(rows)


def problem(name):
    """Return the same as a Problem."""
    mode = "batch" if "BatchNorm" in name else "eval"
    return Problem(partial(network, name), None, "cross_entropy", data(), batch_norm=mode)


def error(found, true):
    """Return the largest error of an entry over the largest entry."""
    return float((found - true).abs().max() / true.abs().max())


FINDINGS = (forward_over_reverse, fused_weight_norm)
