"""The batch loss: the loss of a data set is torch's own over all of it at once, whatever the batches, in every probe."""

import functools
import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from landscape_viz import HessianOperator, Objective, Problem, batch_loss, directions, section
from landscape_viz.loss import criteria
from tests.helpers import other_networks
from tests.helpers.other_networks import Language, Masked, Physics, tokens

N = 21


def draws(*shape, seed=0):
    """Return standard normal float64 numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels(n_classes=3, shape=(N,), seed=1):
    """Return random labels."""
    return torch.randint(n_classes, shape, generator=torch.Generator().manual_seed(seed))


X, WEIGHT = draws(N, 6), torch.tensor([10.0, 1.0, 0.5], dtype=torch.float64)
CLASSES, MANY, POSITIVE = labels(), draws(N, 3, seed=2), torch.rand(N, 3, dtype=torch.float64)
CRITERIA = {
    "weights": (nn.CrossEntropyLoss(weight=WEIGHT), CLASSES),
    "smoothed": (nn.CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.2, ignore_index=1), CLASSES),
    "sum": (nn.CrossEntropyLoss(weight=WEIGHT, reduction="sum"), CLASSES),
    "probabilities": (nn.CrossEntropyLoss(weight=WEIGHT), POSITIVE / POSITIVE.sum(1, keepdim=True)),
    "nll": (nn.NLLLoss(weight=WEIGHT, ignore_index=2), CLASSES),
    "int32": (nn.CrossEntropyLoss(), CLASSES.int()),
    "bce": (nn.BCEWithLogitsLoss(pos_weight=WEIGHT), (MANY > 0).double()),
    "mse": (nn.MSELoss(), MANY),
    "mse sum": (nn.MSELoss(reduction="sum"), MANY),
    "l1": (nn.L1Loss(), MANY),
    "huber": (nn.HuberLoss(delta=0.3), MANY),
    "kl": (nn.KLDivLoss(reduction="batchmean"), POSITIVE),
    "poisson": (nn.PoissonNLLLoss(), POSITIVE),
    "multilabel": (nn.MultiLabelSoftMarginLoss(), (MANY > 0).double()),
    "function": (functools.partial(functional.cross_entropy, weight=WEIGHT), CLASSES),
}


def linear():
    """Return a float64 network of 3 outputs."""
    torch.manual_seed(3)
    return nn.Linear(6, 3).double()


def brute(loss, model, *batch):
    """Return loss and gradient by torch over all data at once."""
    value = loss(model, *batch)
    parts = torch.autograd.grad(value, list(model.parameters()))
    return float(value.detach()), torch.cat([part.reshape(-1) for part in parts]).numpy()


@pytest.mark.parametrize(("batch_size", "name"), list(itertools.product((None, 4), CRITERIA)))
def test_criteria_are_those_of_all_data_at_once(batch_size, name):
    """Loss, gradient and section of each criterion equal torch's over all data in one batch, to rounding."""
    criterion, targets = CRITERIA[name]
    problem = Problem(linear(), None, criterion, (X, targets), batch_size=batch_size)
    long = targets.long() if not targets.is_floating_point() else targets
    value, gradient = brute(lambda model: criterion(model(X), long), problem.build())
    found, slope = Objective(problem).value_and_gradient()
    assert found == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(slope, gradient, atol=1e-12 * max(1, abs(value)))
    line = section(problem, directions.random(problem, 1), ["0:0:1"], metrics=("loss",))
    assert line.values["loss"][0] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("name", ["weights", "smoothed", "sum", "nll"])
def test_rows_taken_piece_by_piece_add_up(name, monkeypatch):
    """Where values alone are asked for, two rows at once give torch's sum over all float32 logits in float64, to 25 roundings."""
    criterion, targets = CRITERIA[name]
    outputs = (10 * draws(N, 3, seed=5)).float().log_softmax(1)
    own = criteria.known_criterion(criterion)
    right = own.function(outputs.double(), targets, reduction="sum", **own.options)
    monkeypatch.setattr(criteria, "_AT_ONCE", 6)
    assert float(own.total(outputs, targets)) == float(right)  # with a gradient: as torch does it
    with torch.no_grad():
        pieces, weight = own(outputs, targets)
        assert float(pieces) == pytest.approx(float(right), rel=25 * np.finfo(float).eps)
        assert float(own.total(outputs, targets)) == float(pieces)
    mean = type(criterion)(reduction="mean", **own.options)(outputs.double(), targets)
    assert float(pieces) / float(weight) == pytest.approx(float(mean), rel=1e-14)


@pytest.mark.parametrize("batch_size", [None, 5])
def test_classes_of_tokens_may_stand_last(batch_size):
    """Outputs (N, T, C) with labels (N, T) have the loss and gradient of N T samples apart."""
    inputs, targets = draws(12, 4, 6), labels(shape=(12, 4))
    problem = Problem(linear(), None, "cross_entropy", (inputs, targets), batch_size=batch_size)
    rows = inputs.reshape(48, 6), targets.reshape(48)
    value, slope = brute(lambda m, x, y: functional.cross_entropy(m(x), y), linear(), *rows)
    found, gradient = Objective(problem).value_and_gradient()
    assert found == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(gradient, slope, atol=1e-12)


@pytest.mark.parametrize("batch_size", [None, 5])
def test_images_with_unlabelled_pixels(batch_size):
    """With `ignore_index`, loss and Hessian are those of the labelled pixels, also where a batch has none."""
    images, targets = draws(12, 1, 4, 4), labels(shape=(12, 4, 4))
    targets[:6] = -100
    torch.manual_seed(0)
    model = nn.Conv2d(1, 3, 3, padding=1).double()
    whole = Problem(model, None, "cross_entropy", (images[6:], targets[6:]))
    problem = Problem(model, None, "cross_entropy", (images, targets), batch_size=batch_size)
    assert Objective(problem).loss() == pytest.approx(Objective(whole).loss(), rel=1e-12)
    v = np.ones(Objective(problem).size)
    np.testing.assert_allclose(
        HessianOperator(problem).matvec(v), HessianOperator(whole).matvec(v), atol=1e-12
    )


@pytest.mark.parametrize("network", [Language, Masked])
@pytest.mark.parametrize("batch_size", [None, 3, 1])
def test_models_that_return_their_loss_are_weighted_by_tokens(network, batch_size):
    """loss=None: the loss does not depend on the batches, although labels are unevenly ignored, for shifted labels too."""
    ids, targets = tokens()
    torch.manual_seed(0)
    model = network().double()
    returned = model(ids, targets)
    right = float(returned["loss"] if isinstance(returned, dict) else returned[0])
    data = {"ids": ids, "labels": targets}
    problem = Problem(model, None, None, data, batch_size=batch_size)
    assert Objective(problem).loss() == pytest.approx(right, rel=1e-12)


def test_your_own_function_of_model_and_batch():
    """A mean, a sum and (total, weight) of (model, batch) give the data set's loss, for a bare tensor as the batch."""

    def mean(model, batch):
        return (model(batch) ** 2).mean()

    def total(model, batch):
        return (model(batch) ** 2).sum()

    right = float((linear()(X) ** 2).mean())
    for loss, expected in (
        (batch_loss(mean), right),
        (batch_loss(total, reduction="sum"), right * 3 * N),
        (batch_loss(lambda model, batch: (total(model, batch), 3 * len(batch))), right),
    ):
        problem = Problem(linear(), None, loss, X, batch_size=4)
        assert Objective(problem).loss() == pytest.approx(expected, rel=1e-12)


def test_a_network_that_differentiates_inside():
    """A physics-informed network, which needs autograd for its value, has sections and products."""
    torch.manual_seed(0)
    problem = Problem(
        Physics(), None, "mse", (draws(9, 1), torch.zeros(9, 1).double()), batch_size=4
    )
    objective, v = Objective(problem), np.random.default_rng(0).normal(size=16)
    change = objective.gradient(objective.origin + 1e-5 * v) - objective.gradient(
        objective.origin - 1e-5 * v
    )
    np.testing.assert_allclose(HessianOperator(problem).matvec(v), change / 2e-5, atol=1e-7)
    line = section(problem, directions.random(problem, 1), ["0:0:1"])
    assert line.values["loss"][0] == pytest.approx(objective.loss(), rel=1e-12)


@pytest.mark.parametrize(
    ("model", "loss", "targets", "words"),
    [
        (
            linear(),
            lambda o, t: functional.cross_entropy(o, t, reduction="sum"),
            CLASSES,
            "two halves",
        ),
        (linear(), lambda o, t: functional.mse_loss(o, t).sqrt(), MANY, "two halves"),
        (linear(), "mse", MANY[:, 0], "be of outputs and targets of one shape"),
        (
            nn.Linear(6, 1).double(),
            "cross_entropy",
            torch.zeros(N).long(),
            "use torch.nn.BCEWithLogits",
        ),
        (linear(), nn.CrossEntropyLoss(), torch.full((N,), -100), "have samples that count"),
        (linear(), lambda o, t: o.mean() * torch.nan, CLASSES, "not finite"),
        (linear(), None, CLASSES, "give one number a batch"),
        (
            other_networks.Noisy(6, 3).double(),
            "cross_entropy",
            CLASSES,
            "forward draws random numbers",
        ),
    ],
)
def test_what_is_no_loss_of_a_data_set_is_refused(model, loss, targets, words):
    """Sums taken for means, means of roots, broadcasts, one column, no labels, NaN and noise are refused in words."""
    inputs = X if loss is not None else X[:, :6]
    data = (inputs, targets) if loss is not None else [(inputs[:4],), (inputs[4:],)]
    with pytest.raises(ValueError, match=words):
        Objective(Problem(model, None, loss, data, batch_size=None if loss is None else 8))


def test_labels_are_the_last_tensor_of_a_batch():
    """Of two tensors or of three; a lone tensor, or a batch that ends with a word, has none; a mapping's are told by name."""
    from landscape_viz.loss.calling import labels_of

    x, mask, y = torch.zeros(2), torch.ones(2), torch.arange(2)
    assert labels_of((x, y)) is labels_of((x, mask, y)) is y
    assert labels_of((x, mask, "words")) is labels_of((x,)) is labels_of(x) is None
    assert labels_of({"inputs": x, "labels": y}) is y
    assert labels_of({"inputs": x, "mask": mask}) is None


def test_noise_is_fixed_by_its_seed():
    """Noise in the forward pass is allowed with dropout='fixed': the same draws each time, random states left alone."""
    before = torch.get_rng_state()
    problem = Problem(other_networks.Noisy(6, 3).double(), None, "mse", (X, MANY), dropout="fixed")
    after = torch.get_rng_state()
    objective = Objective(problem)
    assert objective.loss() == objective.loss()
    assert torch.equal(torch.get_rng_state(), after)
    assert before.shape == after.shape


def test_inputs_changed_in_place_stay_the_callers():
    """A network that scales its inputs in place gives the same loss each time, and the data are left as they were."""
    data = X.clone()
    torch.manual_seed(3)
    model = other_networks.InPlace(6, 3).double()
    right = float(
        functional.cross_entropy(functional.linear(1.5 * X, model.weight, model.bias), CLASSES)
    )
    objective = Objective(Problem(model, None, "cross_entropy", (data, CLASSES), batch_size=8))
    assert objective.loss() == pytest.approx(right, rel=1e-12) == objective.loss()
    assert torch.equal(data, X)


class Graph(nn.Module):
    """Returns its own loss, a mean over the nodes of a graph; it has more edges than nodes."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1).double()

    def forward(self, nodes, edges):
        """Return the loss."""
        return {"loss": self.layer(nodes).square().mean()}


def test_batches_without_a_number_of_samples_have_no_known_weight():
    """One graph has its own loss; several are refused in full words, since it is not known what each of them weighs."""
    graphs = [{"nodes": draws(n, 2), "edges": torch.zeros(n + 2, 2).long()} for n in (3, 4)]
    model = Graph()
    alone = Problem(model, None, None, graphs[0], batch_size=None)
    right = model(**graphs[0])["loss"].item()
    assert Objective(alone).loss() == pytest.approx(right, rel=1e-12)
    with pytest.raises(
        ValueError, match=r"^loss must have a known weight a batch.*no first length"
    ):
        Objective(Problem(model, None, None, graphs))
