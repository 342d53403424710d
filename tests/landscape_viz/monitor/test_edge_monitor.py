"""The monitor leaves a run as it is, bit for bit; on quadratics its numbers are those of closed forms."""

import pickle
import random

import numpy as np
import pytest
import torch
from torch import nn

import landscape_viz
from experiments.edge_optimizers import MuonLike, Sam
from landscape_viz import EdgeMonitor, batch_loss
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.monitor.record import COLUMNS, WITH_CURVATURE
from landscape_viz.monitor.twin import Twin
from multifractal.base.statistics import mean_and_error
from tests.helpers.small_networks import SmallConv, images

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-3),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, foreach=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True, momentum=0.5),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.01),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.01),
    "LBFGS": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=3),
    "SAM": lambda p: Sam(p, lr=0.05),
    "Muon-like": lambda p: MuonLike(p, lr=0.01),
}


@pytest.fixture(autouse=True)
def _one_thread():
    with pinned_threads(1):
        yield


class Watched:
    """A run of a network with BatchNorm and dropout, under a scheduler, monitored or not."""

    def __init__(self, name, monitored):
        torch.manual_seed(3)
        random.seed(3)
        np.random.seed(3)  # noqa: NPY002
        self.model, (self.inputs, self.targets) = SmallConv(), images(16)
        self.optimizer = OPTIMIZERS[name](self.model.parameters())
        self.schedule = torch.optim.lr_scheduler.StepLR(self.optimizer, 2)
        self.monitor = None
        if monitored:
            settings = {"every": 1, "curvature_every": 2, "n_batches": 2}
            self.monitor = EdgeMonitor(self.model, self.optimizer, "cross_entropy", **settings)

    def run(self, n_steps):
        """Train; the batches are drawn from torch's random state."""
        for _ in range(n_steps):
            self.step(torch.randint(16, (8,)))

    def step(self, rows):
        """Make one step."""
        batch = self.inputs[rows], self.targets[rows]

        def closure():
            self.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
            loss.backward()
            return loss

        closure()
        if self.monitor:
            self.monitor.step(batch)
        needs = isinstance(self.optimizer, torch.optim.LBFGS | Sam)
        self.optimizer.step(*([closure] if needs else []))
        self.schedule.step()

    def everything(self):
        """Return all that a run consists of, as bytes."""
        tensors = [*self.model.state_dict().values(), *(p.grad for p in self.model.parameters())]
        state = pickle.dumps(_listed(self.optimizer.state_dict()))
        generators = (
            torch.get_rng_state().numpy().tobytes(),
            random.getstate(),
            np.random.get_state()[1].tobytes(),  # noqa: NPY002
        )
        return [t.numpy().tobytes() for t in tensors], state, generators


def _listed(value):
    """Return a state with each tensor as its bytes."""
    if isinstance(value, torch.Tensor):
        return value.detach().numpy().tobytes()
    if isinstance(value, dict):
        return [(k, _listed(v)) for k, v in value.items() if k != "schedule"]
    return [_listed(v) for v in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_run_is_never_touched(name):
    """Weights, buffers, gradients, optimiser state and random states after five steps are those of a run without monitor."""
    ends = []
    for monitored in (False, True):
        run = Watched(name, monitored)
        run.run(5)
        ends.append(run.everything())
    assert ends[0] == ends[1]
    record = run.monitor.record()
    assert np.isfinite(record["critical_sharpness"]).any()
    assert np.isfinite(record["largest_eigenvalue"]).sum() == 3


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_virtual_step_is_the_next_step(name):
    """What the copy of an optimiser adds to the weights is what the optimiser itself adds then, bit for bit."""
    run = Watched(name, False)
    run.model.eval()  # no masks: the closure of the run and that of the twin see one loss
    run.run(3)
    twin = Twin(run.model, run.optimizer, "cross_entropy")
    rows = torch.arange(8)
    batch = run.inputs[rows], run.targets[rows]
    twin.follow(0)
    run.optimizer.zero_grad()
    nn.functional.cross_entropy(run.model(batch[0]), batch[1]).backward()
    gradient = torch.cat([p.grad.reshape(-1) for p in run.model.parameters()])
    before = torch.cat([p.detach().reshape(-1) for p in run.model.parameters()])
    if name in ("LBFGS", "SAM"):  # evaluated anew within the step, by another order of sums
        found = twin.update(batch, twin.gradient(batch)[1])[0]
        run.step(rows)
        after = torch.cat([p.detach().reshape(-1) for p in run.model.parameters()])
        assert torch.allclose(found, after - before, rtol=1e-3, atol=1e-6)
    else:
        found = twin.update(batch, gradient)[0]
        run.optimizer.step()
        after = torch.cat([p.detach().reshape(-1) for p in run.model.parameters()])
        assert torch.equal(found, after - before)


CURVATURES = torch.tensor([5.0, 2.0, 1.0], dtype=torch.float64)


class Bowl(nn.Module):
    """A quadratic with Hessian diag(5, 2, 1) and its minimum at the mean of the batch."""

    def __init__(self, start=(1.0, 2.0, -1.0)):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def loss(self, batch):
        """Return the mean over the batch."""
        return (0.5 * CURVATURES * (self.w - batch) ** 2).sum(1).mean()


BOWL = batch_loss(lambda model, batch: model.loss(batch))
CENTRE = torch.zeros(4, 3, dtype=torch.float64)


def watched_bowl(make, n_steps=3, **settings):
    """Return the last row of a monitored run on the bowl, the weights before the update, and the optimiser there."""
    model = Bowl()
    optimizer = make(model.parameters())
    monitor = EdgeMonitor(model, optimizer, BOWL, every=1, curvature_every=1, **settings)
    for _ in range(n_steps):
        here = model.w.detach().clone()
        row = monitor.step(CENTRE)
        optimizer.zero_grad()
        model.loss(CENTRE).backward()
        optimizer.step()
    return row, here.numpy(), model.w.detach().numpy() - here.numpy(), optimizer


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"SAM", "LBFGS", "Muon-like"}))
def test_indicators_on_a_quadratic(name):
    """Critical and directional sharpness, batch sharpness and eigenvalue equal their closed forms of H, g and the update."""
    row, w, update, optimizer = watched_bowl(OPTIMIZERS[name])
    h = CURVATURES.numpy()
    g, rate = h * w, optimizer.param_groups[0]["lr"]
    critical = (
        (update @ (h * update)) / -(g @ update) / rate
    )  # L(w + s u) = L(w) at s = -2 g.u / u'Hu
    assert row["critical_sharpness"] == pytest.approx(critical, rel=0.05)
    assert abs(row["critical_sharpness"] - critical) <= 1.1 * row["critical_sharpness_error"]
    assert row["directional_sharpness"] == pytest.approx(critical, rel=1e-9)
    assert row["batch_sharpness"] == pytest.approx((g @ (h * g)) / (g @ g), rel=1e-9)
    assert abs(row["largest_eigenvalue"] - 5) <= row["largest_eigenvalue_error"] + 1e-9
    assert row["loss"] == pytest.approx(0.5 * w @ (h * w), rel=1e-12)
    assert row["gradient_norm"] == pytest.approx(np.linalg.norm(g), rel=1e-12)
    assert row["update_norm"] == pytest.approx(np.linalg.norm(update), rel=1e-12)
    assert row["distance"] == pytest.approx(np.linalg.norm(w - [1, 2, -1]), rel=1e-12)


def test_preconditioned_sharpness_by_hand():
    """Adam's and RMSProp's preconditioned sharpness after one step, where their averages are known powers of the gradient."""
    h, w = CURVATURES.numpy(), np.array([1.0, 2.0, -1.0])
    size = np.abs(h * w)
    adam = watched_bowl(lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.9, 0.99)), 1)[0]
    # v / (1 - b2) = g^2 at the first step, and the first average's correction is 1 - b1
    expected = (h / (0.1 * (size + 1e-8))).max()
    assert adam["preconditioned_sharpness"] == pytest.approx(expected, rel=0.05)
    rmsprop = watched_bowl(lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.99), 1)[0]
    assert rmsprop["preconditioned_sharpness"] == pytest.approx(
        (h / (0.1 * size + 1e-8)).max(), rel=0.05
    )
    adagrad = watched_bowl(lambda p: torch.optim.Adagrad(p, lr=0.1), 1)[0]
    assert adagrad["preconditioned_sharpness"] == pytest.approx((h / size).max(), rel=0.05)
    assert np.isnan(
        watched_bowl(lambda p: torch.optim.SGD(p, lr=0.1), 1)[0]["preconditioned_sharpness"]
    )


def test_learning_rates_of_groups_precondition():
    """Two groups of different learning rates: the eigenvalue is that of H scaled by rates, in units of the first's."""
    model = nn.Linear(2, 1, bias=False).double()
    other = nn.Linear(2, 1, bias=False).double()
    both = nn.ModuleList([model, other])
    loss = batch_loss(lambda m, batch: (m[0].weight ** 2).sum() + (m[1].weight ** 2).sum())
    groups = [{"params": model.parameters()}, {"params": other.parameters(), "lr": 0.3}]
    monitor = EdgeMonitor(both, torch.optim.SGD(groups, lr=0.1), loss, every=1, curvature_every=1)
    row = monitor.step((CENTRE,))
    assert row["largest_eigenvalue"] == pytest.approx(2, rel=1e-6)
    assert row["preconditioned_sharpness"] == pytest.approx(6, rel=0.05)


def test_batch_sharpness_and_its_error_over_batches():
    """Batches of different minima: the mean and standard error are those of the four Rayleigh quotients."""
    model = Bowl()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    monitor = EdgeMonitor(model, optimizer, BOWL, every=4, curvature_every=4)
    generator = torch.Generator().manual_seed(0)
    batches = [3 * torch.randn(2, 3, generator=generator, dtype=torch.float64) for _ in range(5)]
    row = [monitor.step(batch) for batch in batches][-1]
    h, w = CURVATURES.numpy(), model.w.detach().numpy()
    gradients = [h * (w - b.numpy().mean(axis=0)) for b in batches[1:]]
    quotients = [(g @ (h * g)) / (g @ g) for g in gradients]
    mean, error, _ = mean_and_error(np.array(quotients))
    assert row["batch_sharpness"] == pytest.approx(mean, rel=1e-9)
    assert row["batch_sharpness_error"] == pytest.approx(error, rel=1e-9)
    assert np.isnan(row["critical_sharpness"])  # no step, no critical one


def test_a_fixed_reference_gives_the_eigenvalue_of_its_loss():
    """With a reference batch the eigenvalue is the reference's own, whatever the batch of the step."""
    model = nn.Linear(1, 1, bias=False).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    ones = torch.ones(4, 1, dtype=torch.float64)
    monitor = EdgeMonitor(
        model, optimizer, "mse", every=1, curvature_every=1, reference=(3 * ones, ones)
    )
    assert monitor.step((ones, ones))["largest_eigenvalue"] == pytest.approx(2 * 9)


def test_what_is_measured_when():
    """Measurements fall on multiples of `every`, those of the curvature on their own multiples; the log sees each."""
    seen = []
    model = Bowl()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    log = lambda step, values: seen.append((step, values))  # noqa: E731
    monitor = EdgeMonitor(model, optimizer, BOWL, every=3, curvature_every=6, log=log)
    rows = [monitor.step(CENTRE) for _ in range(10)]
    assert [i for i, row in enumerate(rows) if row] == [0, 3, 6, 9] == [step for step, _ in seen]
    record = monitor.record()
    assert record.steps.tolist() == [0, 3, 6, 9]
    for name in COLUMNS:
        if name in WITH_CURVATURE:
            assert np.isnan(record[name][[1, 3]]).all(), name
    assert set(seen[0][1]) == set(COLUMNS)


def test_clipping_is_repeated():
    """With `max_norm` the virtual step of plain SGD is learning rate times that norm."""
    row = watched_bowl(lambda p: torch.optim.SGD(p, lr=0.1), 1, max_norm=0.5)[0]
    assert row["update_norm"] == pytest.approx(0.05, rel=1e-6)


def test_a_network_that_blows_up_is_recorded_as_such():
    """NaN weights give NaN columns, no error and no stop."""
    model = Bowl()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    monitor = EdgeMonitor(model, optimizer, BOWL, every=1, curvature_every=1)
    model.w.data.fill_(np.nan)
    row = monitor.step(CENTRE)
    assert np.isnan(row["loss"])
    assert np.isnan(row["largest_eigenvalue"])


def test_dropout_draws_one_mask_a_measurement():
    """The loss along the update is a smooth function under dropout: its value at factor 0 is the loss itself."""
    run = Watched("SGD", False)
    run.model.train()
    twin = Twin(run.model, run.optimizer, "cross_entropy")
    twin.follow(1)
    batch = run.inputs, run.targets
    loss, gradient = twin.gradient(batch)
    assert twin.loss(batch, torch.zeros_like(gradient)) == pytest.approx(loss, rel=1e-6)
    twin.follow(2)
    assert twin.loss(batch) != pytest.approx(loss, rel=1e-4)


def test_frozen_parameters_stay():
    """Parameters of the optimiser that do not require a gradient have none, and no update."""
    run = Watched("SGD", False)
    run.model.first.weight.requires_grad_(False)
    monitor = EdgeMonitor(run.model, run.optimizer, "cross_entropy", every=1, curvature_every=1)
    row = monitor.step((run.inputs, run.targets))
    assert np.isfinite([row["largest_eigenvalue"], row["critical_sharpness"]]).all()


def test_refusals():
    """Parameters of another network, a period that does not fit, and things of the wrong kind are refused."""
    model, other = Bowl(), Bowl()
    own = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="optimizer must move parameters of the network only"):
        EdgeMonitor(other, own, BOWL)
    with pytest.raises(ValueError, match="curvature_every must be a multiple of every"):
        EdgeMonitor(model, own, BOWL, every=10, curvature_every=15)
    with pytest.raises(ValueError, match="optimizer must be a torch.optim.Optimizer"):
        EdgeMonitor(model, "adam", BOWL)
    turning = torch.nn.Linear(2, 2, dtype=torch.complex64)
    with pytest.raises(ValueError, match="model must have real parameters on one device"):
        EdgeMonitor(turning, torch.optim.SGD(turning.parameters(), 0.1), "mse")
    with pytest.raises(ValueError, match="model must be a torch.nn.Module"):
        EdgeMonitor(None, own, BOWL)
    with pytest.raises(ValueError, match="log must be callable"):
        EdgeMonitor(model, own, BOWL, log="run.csv")


def test_the_same_seed_gives_the_same_bits():
    """Two monitored runs of one seed agree in every column and position."""
    records = []
    for _ in range(2):
        run = Watched("Adam", True)
        torch.manual_seed(0)
        run.run(3)
        records.append(run.monitor.record())
    for name in COLUMNS:
        assert np.array_equal(records[0][name], records[1][name], equal_nan=True), name
    assert np.array_equal(records[0].positions, records[1].positions)


def test_wrapped_optimisers_and_networks_are_unwrapped():
    """An optimiser behind `.optimizer`, as accelerate has it, and a network under data parallelism give the same row."""
    rows = []
    for wrap in (False, True):
        model = Bowl()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        handed = type("Accelerated", (), {"optimizer": optimizer})() if wrap else optimizer
        outer = nn.DataParallel(model) if wrap else model
        rows.append(EdgeMonitor(outer, handed, BOWL, every=1).step(CENTRE))
    assert rows[0].keys() == rows[1].keys()
    assert rows[0]["critical_sharpness"] == rows[1]["critical_sharpness"]
    assert landscape_viz.EdgeMonitor is EdgeMonitor
