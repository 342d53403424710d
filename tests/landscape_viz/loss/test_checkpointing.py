"""Activation checkpointing: derivatives equal to those without, less kept, and modules that it would make wrong refused."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from landscape_viz import HessianOperator, Objective, Problem, models
from tests.helpers.once_differentiable import Once

CLASSES = 3


class Layered(nn.Module):
    """Layers with a keyword, two outputs of which one is a number, and one layer that is used twice."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 5)
        self.layers = nn.ModuleList(Gated() for _ in range(2))
        self.last = nn.Linear(5, CLASSES)

    def forward(self, x):
        """Return logits."""
        x = self.first(x)
        for layer in [*self.layers, self.layers[0]]:
            x, found = layer(x, scale=0.5)
        return self.last(x * found["gate"])


class Gated(nn.Module):
    """x -> x + tanh(W x), and a dict that holds a gate and a number; it has a layer that it does not use."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Linear(2, 2)
        self.inner, self.gate = nn.Linear(5, 5), nn.Linear(5, 5)

    def forward(self, x, *, scale):
        """Return the outputs."""
        return x + scale * torch.tanh(self.inner(x)), {"gate": self.gate(x).sigmoid(), "count": 2}


def _problem(network, inputs, **options):
    targets = torch.arange(len(inputs)) % CLASSES
    return Problem(network, None, "cross_entropy", (inputs, targets), **options)


def _layered():
    torch.manual_seed(0)
    return Layered().double(), torch.randn(7, 4, dtype=torch.float64)


def _resnet():
    torch.manual_seed(0)
    network = models.build("resnet20", input_shape=(3, 8, 8), n_classes=CLASSES).double()
    return network.eval(), torch.randn(2, 3, 8, 8, dtype=torch.float64)


def _encoder():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    network = nn.Sequential(encoder, nn.Flatten(), nn.Linear(40, CLASSES)).double()
    return network.eval(), torch.randn(3, 5, 8, dtype=torch.float64)


def test_the_hessian_is_torchs_own():
    """The dense matrix of checkpointed layers, one of them used twice, is that of torch.func, which knows no checkpoints."""
    network, inputs = _layered()
    problem = _problem(network, inputs, checkpoint=True)

    def loss(vector):
        outputs = torch.func.functional_call(network, problem.unflatten(vector), (inputs,))
        return nn.functional.cross_entropy(outputs, torch.arange(len(inputs)) % CLASSES)

    expected = torch.func.hessian(loss)(problem.weights()).detach()
    found = torch.from_numpy(HessianOperator(problem).to_dense())
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("made", "batch_size"), [(_layered, None), (_layered, 2), (_resnet, None), (_encoder, 2)]
)
def test_derivatives_are_those_without(made, batch_size):
    """Gradients keep their bits and products differ by rounding; graphs are kept, or made anew for each batch."""
    network, inputs = made()
    plain = _problem(network, inputs, batch_size=batch_size)
    spared = _problem(network, inputs, batch_size=batch_size, checkpoint=True)
    assert len(Objective(spared).blocks) > 1
    assert (Objective(spared).gradient() == Objective(plain).gradient()).all()
    ours, theirs = HessianOperator(spared), HessianOperator(plain)
    v = torch.randn(ours.shape[0], dtype=torch.float64)
    product, expected = ours.product_torch(v), theirs.product_torch(v)
    torch.testing.assert_close(product, expected, rtol=0, atol=1e-13 * float(expected.norm()))


def test_less_is_kept():
    """Of six layers of four activations each (24, and their slopes) only inputs and slopes of outputs are kept, and the last."""
    layer = [nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Softplus()]
    network = nn.Sequential(*(nn.Sequential(*layer) for _ in range(6)), nn.Linear(8, CLASSES))
    inputs = torch.randn(500, 8)
    plain = HessianOperator(_problem(network, inputs))
    spared = HessianOperator(_problem(network, inputs, checkpoint=["0", "1", "2", "3", "4", "5"]))
    one = inputs.nbytes
    assert spared.memory < (2 * 6 + 6) * one < plain.memory / 2


class Cached(nn.Linear):
    """A layer that keeps its inputs in a cache that it is given, as language models do."""

    def forward(self, x, cache):
        """Return the outputs."""
        cache.append(x)
        return super().forward(sum(cache))


class Borrows(nn.Linear):
    """A layer that uses weights it was not given."""

    def forward(self, x):
        """Return the outputs."""
        return super().forward(x) + self.lender[0].weight.sum()


class InPlace(nn.Linear):
    """A layer that changes its inputs."""

    def forward(self, x):
        """Return the outputs."""
        return super().forward(x.mul_(2))


class Square(nn.Linear):
    """A layer that cannot be differentiated twice."""

    def forward(self, x):
        """Return the outputs."""
        return Once.apply(super().forward(x))


class Remembers(nn.Linear):
    """A layer that uses what a cache holds: the same numbers, of an earlier graph."""

    def forward(self, x, cache):
        """Return the outputs."""
        cache.kept = getattr(cache, "kept", x)
        return super().forward(cache.kept)


class WithCache(nn.Sequential):
    """Gives the second of its layers an empty cache."""

    def forward(self, x):
        """Return logits."""
        cache = [] if isinstance(self[1], Cached) else SimpleNamespace()
        return self[2](self[1](self[0](x), cache))


@pytest.mark.parametrize("layer", [Cached, Remembers, Borrows, InPlace])
def test_layers_that_would_be_wrong_are_refused(layer):
    """A layer that keeps a state, borrows weights or changes its inputs has another pullback when computed again."""
    second = layer(4, 4)
    kind = WithCache if layer in (Cached, Remembers) else nn.Sequential
    network = kind(nn.Linear(4, 4), second, nn.Linear(4, CLASSES))
    second.lender = [network[0]]
    with pytest.raises(ValueError, match="checkpoint must name modules that are functions"):
        Objective(_problem(network, torch.randn(5, 4), checkpoint=["1"])).gradient()


def test_a_layer_without_second_derivative_is_refused_by_name():
    """What autograd would leave out in silence inside a checkpointed layer is found at the first product."""
    network = nn.Sequential(nn.Linear(4, 4), Square(4, CLASSES))
    operator = HessianOperator(_problem(network, torch.randn(5, 4), checkpoint=True))
    with pytest.raises(ValueError, match=r"differentiable twice.* got '1 \(Square\)'"):
        operator @ torch.ones(operator.shape[0]).numpy()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["nowhere"], "name modules of the network, got 'nowhere'"),
        (True, "find layers"),
        (3, "be True, False or a list"),
    ],
)
def test_what_cannot_be_checkpointed_is_refused(asked, words):
    """Names that the network lacks, a network without layers, and other values are refused before any work."""
    with pytest.raises(ValueError, match=words):
        _problem(nn.Linear(4, CLASSES), torch.randn(5, 4), checkpoint=asked)


def test_checkpoints_and_dropout_are_refused():
    """A mask would be another one when a layer is computed again."""
    network = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.Linear(4, CLASSES))
    with pytest.raises(ValueError, match="go with dropout='off'"):
        _problem(network, torch.randn(5, 4), checkpoint=True, dropout="fixed")
