"""Other people's networks and data: modules, loaders, any nesting, chosen parameters, fast paths, precision, identity."""

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from landscape_viz import HessianOperator, Objective, Problem, directions, section, sharpness
from landscape_viz.devices.random_state import states
from landscape_viz.loss import parameters, precision
from landscape_viz.loss.evaluate import Evaluator
from landscape_viz.loss.stacked import StackedEvaluator
from tests.helpers.other_networks import ByView, Language, Physics, Recurrent, tokens

ROOT = Path(__file__).resolve().parents[3]
X = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
Y = torch.randint(3, (20,), generator=torch.Generator().manual_seed(1))


def mlp():
    """Return a network 6-4-3."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))


def loss_of(model, x=X, y=Y):
    """Return torch's own cross-entropy in float64."""
    return float(functional.cross_entropy(model(x).double(), y))


@dataclass
class Pair:
    """A batch as a dataclass."""

    x: torch.Tensor
    y: torch.Tensor


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        [X, Y],
        [(X[:7], Y[:7]), (X[7:], Y[7:])],
        {"input": X, "labels": Y},
        Pair(X, Y),
        TensorDataset(X, Y),
        DataLoader(TensorDataset(X, Y), batch_size=8, shuffle=True),
        DataLoader(TensorDataset(X, Y), batch_size=8, generator=torch.Generator(), shuffle=True),
        iter([(X, Y)]),
    ],
    ids=[
        "pair",
        "list",
        "batches",
        "mapping",
        "dataclass",
        "data set",
        "loader",
        "generator",
        "iterator",
    ],
)
def test_data_of_any_kind(data):
    """Each way to hand over the same samples gives the same loss, and leaves all random states alone."""
    state = torch.get_rng_state()
    own = data.generator.get_state() if getattr(data, "generator", None) is not None else None
    problem = Problem(mlp_of := mlp(), None, "cross_entropy", data)
    torch.set_rng_state(state)
    assert Objective(problem).loss() == pytest.approx(loss_of(mlp_of), rel=1e-6)
    assert own is None or torch.equal(own, data.generator.get_state())


def test_a_loader_that_does_not_fit_is_read_again_in_the_same_order():
    """Streamed batches give the loss and the product of those kept, shuffled or not."""
    loader = DataLoader(TensorDataset(X, Y), batch_size=6, shuffle=True)
    kept, streamed = (
        Problem(mlp(), None, "cross_entropy", loader, memory_budget=budget) for budget in (4e9, 10)
    )
    assert Objective(streamed).loss() == pytest.approx(Objective(kept).loss(), rel=1e-7)
    v = np.ones(Objective(kept).size, np.float32)
    np.testing.assert_allclose(
        HessianOperator(streamed).matvec(v), HessianOperator(kept).matvec(v), atol=1e-6
    )


class Augmented(TensorDataset):
    """Samples with new noise each time."""

    def __getitem__(self, index):
        """Return a sample."""
        x, y = super().__getitem__(index)
        return x + torch.randn_like(x), y


def test_augmentation_is_refused_or_frozen():
    """Samples that change are refused, or kept as one pass drew them: the same ones for the same seed."""
    loader = DataLoader(Augmented(X, Y), batch_size=8, drop_last=True)
    with pytest.raises(ValueError, match="augmentation='freeze'"):
        Problem(mlp(), None, "cross_entropy", loader)
    losses = {
        Objective(Problem(mlp(), None, "cross_entropy", loader, augmentation="freeze")).loss()
        for _ in range(2)
    }
    assert len(losses) == 1


def test_params_choose_for_every_probe():
    """Frozen parameters stay by default; a prefix, a list and a function choose the same ones, in each probe."""
    model = mlp()
    model[0].requires_grad_(False)
    frozen = Problem(model, None, "cross_entropy", (X, Y))
    chosen = [
        Problem(mlp(), None, "cross_entropy", (X, Y), params=params)
        for params in ("2", ["2.weight", "2.bias"], lambda name, p: name.startswith("2"))
    ]
    for problem in (frozen, *chosen):
        assert list(problem.shapes) == ["2.weight", "2.bias"]
        assert directions.random(problem, 1).vectors.shape == (1, 15)
        assert HessianOperator(problem).shape == (15, 15)
        assert sharpness.sam_sharpness(problem).value == pytest.approx(
            sharpness.sam_sharpness(frozen).value, abs=1e-6
        )
    with pytest.warns(UserWarning, match="parameters that do not move differ"):
        directions.toward(frozen, {k: v + 1 for k, v in mlp().state_dict().items()})


def test_tied_weights_count_once_and_must_agree():
    """A tied weight is one parameter, and a state in which its two names differ is refused."""
    ids, labels = tokens()
    problem = Problem(Language(), None, None, {"ids": ids, "labels": labels})
    assert sum(np.prod(shape) for shape in problem.shapes.values()) == 7 * 4 + 4 * 4 + 4
    state = Language().state_dict()
    state["head.weight"] = state["head.weight"] + 1
    with pytest.raises(ValueError, match="embed.weight and head.weight that differ"):
        Problem(Language(), state, None, {"ids": ids, "labels": labels})


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        (nn.Conv2d(4, 6, 3, groups=2), 6),
        (nn.Conv2d(4, 4, 3, groups=4), 4),
        (nn.ConvTranspose2d(4, 6, 3), 6),
        (nn.ConvTranspose2d(4, 6, 3, groups=2), 6),
        (nn.Embedding(5, 3), 5),
        (nn.Linear(3, 7), 7),
    ],
)
def test_a_filter_is_what_makes_one_output(layer, count):
    """Zeroing one filter silences one output channel and no other; filters come back where they were."""
    groups = parameters.filter_groups(layer).get("weight")
    weight = layer.weight.detach()
    rows = parameters.as_filters(weight, groups)
    assert len(rows) == count
    assert torch.equal(parameters.from_filters(rows, weight.shape, groups), weight)
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        rows = rows.clone()
        rows[1] = 0
        with torch.no_grad():
            layer.weight.copy_(parameters.from_filters(rows, weight.shape, groups))
            layer.bias.zero_()
            silent = layer(torch.ones(1, 4, 5, 5)).abs().sum((0, 2, 3)) == 0
        assert silent.tolist() == [k == 1 for k in range(count)]


def test_only_biases_move_where_nothing_else_is_chosen():
    """A problem of biases alone has directions, each tensor with its own norm."""
    problem = Problem(mlp(), None, "cross_entropy", (X, Y), params=lambda n, p: n.endswith("bias"))
    made = directions.random(problem, 1).vectors[0]
    weights = problem.weights().numpy()
    assert np.linalg.norm(made[:4]) == pytest.approx(np.linalg.norm(weights[:4]), rel=1e-5)


def test_fast_paths_are_left_where_they_do_not_work():
    """`view` breaks channels_last and an LSTM breaks vmap: both are mapped by the plain path, and the record says so."""
    images = torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    torch.manual_seed(0)
    model = ByView()
    problem = Problem(model, None, "cross_entropy", (images, Y))
    line = section(problem, directions.random(problem, 1), ["0:0:1"])
    assert line.settings["path"] == "plain"
    assert line.values["loss"][0] == pytest.approx(loss_of(model, images), rel=1e-6)
    recurrent = Problem(Recurrent(), None, "cross_entropy", (X, Y))
    made = directions.random(recurrent, 1)
    assert StackedEvaluator(recurrent, made.vectors, at_once=4).path == "plain"
    stacked = StackedEvaluator(
        Problem(mlp(), None, "cross_entropy", (X, Y)), np.ones((1, 43)), at_once=4
    )
    assert stacked.path == "4 at once"


def test_low_precision_is_probed_as_it_is_or_promoted_and_its_rounding_told():
    """A bfloat16 network has a rounding floor near its eps, a promoted one that of float64; a close section is called noise."""
    model = mlp().bfloat16()
    half = Problem(model, None, "cross_entropy", (X.bfloat16(), Y))
    plane = directions.random(half, 1, rng=3)
    with pytest.warns(UserWarning, match="it shows noise, not landscape"):
        close = section(half, plane, ["-.001:.001:40"])
    assert 1e-6 < close.rounding < 1e-2
    double = Problem(model, None, "cross_entropy", (X.bfloat16(), Y), precision="float64")
    wide = section(double, directions.random(double, 1, rng=3), ["-.001:.001:40"])
    assert wide.rounding < 1e-14
    right = loss_of(mlp().bfloat16().double(), X.bfloat16().double())
    assert Objective(double).loss() == pytest.approx(right, rel=1e-12)


class KnowsNoDouble(nn.Linear):
    """A layer as torch's grouped products, which mixtures of experts take: they know no float64."""

    def forward(self, x):
        """Refuse float64 as torch does."""
        if x.dtype is torch.float64:
            raise RuntimeError(
                "Expected mat_a to be Float32, BFloat16 or Float16 matrix, got Double"
            )
        return super().forward(x)


def test_a_precision_that_an_operation_does_not_know_is_refused_in_words():
    """Torch's error is named with the argument and what to do; another error stays what it is."""
    model = nn.Sequential(KnowsNoDouble(6, 3))
    right = Objective(Problem(model, None, "cross_entropy", (X, Y))).loss()
    assert right == pytest.approx(loss_of(model), rel=1e-6)
    with pytest.raises(
        ValueError, match=r"precision must be .*got Double\), got 'float64'; pass 'as-is'"
    ):
        Objective(Problem(model, None, "cross_entropy", (X, Y), precision="float64")).loss()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Objective(
            Problem(nn.Linear(5, 3), None, "cross_entropy", (X, Y), precision="float64")
        ).loss()


@pytest.mark.parametrize("setting", ["legacy", "new"])
def test_the_callers_precision_switches_stay(setting, monkeypatch):
    """Probes run whichever of torch's two sets of switches the caller used, and leave them as they were."""
    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    if matmul is None:
        pytest.skip("before torch 2.9 there is one set of switches")
    before, legacy = matmul.fp32_precision, torch.get_float32_matmul_precision()
    try:
        if setting == "legacy":
            torch.set_float32_matmul_precision("medium")
        else:
            matmul.fp32_precision = "bf16"
        with precision.quiet_numerics(torch.device("cpu")):
            assert matmul.fp32_precision == "ieee"
        assert matmul.fp32_precision == "bf16"
        problem = Problem(mlp(), None, "cross_entropy", (X, Y))
        assert Objective(problem).loss() == pytest.approx(loss_of(mlp()), rel=1e-2)
    finally:
        torch.set_float32_matmul_precision(legacy)
        matmul.fp32_precision = before


def test_the_older_switch_is_off_in_a_probe():
    """Every torch has it: full float32 within, and what the caller chose afterwards."""
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with precision.quiet_numerics(torch.device("cpu")):
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_gpu_computes_in_full_float32():
    """TF32, torch's default for convolutions on a GPU, is off in a probe there and back after it; a CPU has none to switch."""
    conv = getattr(torch.backends.cudnn, "conv", None)
    if conv is None:
        pytest.skip("before torch 2.9 there is one switch for all")
    before = conv.fp32_precision
    assert before != "ieee"
    with precision.quiet_numerics(torch.device("cpu")):
        assert conv.fp32_precision == before
    with precision.quiet_numerics(torch.device("cuda")):
        assert conv.fp32_precision == "ieee"
    assert conv.fp32_precision == before


def test_accuracy_is_that_of_the_targets():
    """Accuracy is per token with ignored labels left out, by the sign of one logit, and absent for a regression."""
    ids, labels = tokens()
    torch.manual_seed(0)
    model = Language()
    found = Evaluator(Problem(model, None, None, {"ids": ids, "labels": labels}), [])
    right = (model(ids)["logits"].argmax(-1) == labels)[labels != -100].double().mean()
    metrics = dict(zip(found.metrics, found.measure(), strict=True))
    assert metrics["accuracy"] == pytest.approx(float(right))
    yes = (X[:, 0] > 0).long()
    torch.manual_seed(0)
    one = nn.Linear(6, 1)
    found = Evaluator(Problem(one, None, nn.BCEWithLogitsLoss(), (X, yes)), []).measure()
    assert found[1] == pytest.approx(float(((one(X)[:, 0] > 0) == yes).double().mean()))
    regression = Evaluator(Problem(one, None, "mse", (X, X[:, 0])), [])
    assert list(regression.metrics) == ["loss"]


def test_a_metric_of_your_own():
    """A function of (model, batch) that returns (sum, count) is mapped under its name."""

    def confident(model, batch):
        return (model(batch[0]).softmax(1).amax(1) > 0.4).sum(), len(batch[0])

    problem = Problem(mlp(), None, "cross_entropy", (X, Y), batch_size=8)
    line = section(problem, directions.random(problem, 1), ["0:0:1"], metrics=("loss", confident))
    right = float((mlp()(X).softmax(1).amax(1) > 0.4).double().mean())
    assert line.values["confident"][0] == pytest.approx(right)


def test_asking_for_the_loss_elsewhere_does_not_move_the_hessian():
    """After `objective.loss(w)` and `gradient(w)` products are those at the weights, kept graphs or not."""
    problem = Problem(mlp().double(), None, "cross_entropy", (X.double(), Y), batch_size=8)
    v = np.ones(43)
    for budget in (2e9, 3e4):
        operator = HessianOperator(problem, memory_budget=budget)
        before = operator.matvec(v)
        operator.objective.loss(operator.objective.origin + 1)
        operator.objective.gradient(operator.objective.origin - 1)
        assert np.array_equal(operator.matvec(v), before)


def test_what_cannot_be_sent_is_named_and_works_here():
    """A lambda inside a network is named when it is to be sent to a worker; in this process the network is probed."""
    model = mlp()
    model[1].act = lambda x: x
    problem = Problem(model, None, "cross_entropy", (X, Y))
    plane = directions.random(problem, 1)
    assert np.isfinite(section(problem, plane, ["-1:1:3"]).grid).all()
    with (
        ProcessPoolExecutor(1) as pool,
        pytest.raises(ValueError, match=r"problem.factory.module.1.act"),
    ):
        section(problem, plane, ["-1:1:3"], executor=pool)


PROGRAM = """
import sys, torch
from torch import nn
from landscape_viz import Problem, directions, section

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(6, 3)
    def forward(self, x):
        return self.last(torch.{act}(x))

torch.manual_seed(0)
net = Net()
problem = Problem(net, None, "cross_entropy", (torch.randn(9, 6), torch.arange(9) % 3))
plane = directions.random(problem, 1)
section(problem, plane, ["-1:1:5"], store=sys.argv[1], resume=True, progress=False)
"""


def run_program(tmp_path, name, act, note=""):
    """Run the program as a script of that name in a process of its own."""
    file = tmp_path / f"{name}.py"
    file.write_text(textwrap.dedent(PROGRAM).format(act=act) + note)
    return subprocess.run(
        [sys.executable, file, tmp_path / "store"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_store_is_continued_by_another_process_and_refused_after_an_edit(tmp_path):
    """Content decides: another file and comment go on with the store, another activation in the same class does not."""
    assert run_program(tmp_path, "first", "tanh").returncode == 0
    again = run_program(tmp_path, "second", "tanh", "# a note\n")
    assert again.returncode == 0, again.stderr
    edited = run_program(tmp_path, "first", "relu")
    assert edited.returncode != 0
    assert "differs in problem.code of the network" in edited.stderr


def test_products_under_weight_norm():
    """Products are differences of gradients, to their own error, where torch's fused second derivative is not."""
    torch.manual_seed(0)
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(6, 4))
    model = nn.Sequential(layer, nn.Tanh(), nn.Linear(4, 3)).double()
    operator = HessianOperator(Problem(model, None, "cross_entropy", (X.double(), Y)))
    objective = operator.objective
    v = np.random.default_rng(0).normal(size=objective.size)
    change = objective.gradient(objective.origin + 1e-5 * v) - objective.gradient(
        objective.origin - 1e-5 * v
    )
    np.testing.assert_allclose(operator.matvec(v), change / 2e-5, atol=1e-7)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["recurrent", "physics", "view"])
def test_other_networks_on_a_cuda_device(kind):
    """Sections and products on a CUDA device are those of the CPU, and torch's switches and random states stay."""
    torch.manual_seed(0)
    model, loss, data = {
        "recurrent": (Recurrent().double(), "cross_entropy", (X.double(), Y)),
        "physics": (Physics(), "mse", (X[:, :1].double(), torch.zeros(20, 1).double())),
        "view": (ByView().double(), "cross_entropy", (torch.randn(20, 3, 8, 8).double(), Y)),
    }[kind]
    torch.zeros(1, device="cuda")
    before = states(), torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark
    problem = Problem(model, None, loss, data)
    plane = directions.random(problem, 1)
    here, there = (section(problem, plane, ["-1:1:5"], device=d).grid for d in ("cpu", "cuda"))
    np.testing.assert_allclose(there, here, rtol=1e-12)
    v = np.ones(len(problem.weights()))
    here, there = (HessianOperator(problem, device=d).matvec(v) for d in ("cpu", "cuda"))
    np.testing.assert_allclose(there, here, atol=1e-12)
    assert (states(), torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark) == before
