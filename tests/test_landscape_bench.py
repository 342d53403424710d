"""LandscapeBench: planted optimisers win and lose, bits stay, a killed run is resumed, and the scores say yes and no."""

import json
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from experiments.landscape_bench import __main__ as command
from experiments.landscape_bench import grounds, page, protocol, scores
from experiments.landscape_bench.optimizers import OPTIMIZERS, Lion, ScheduleFree, Yours, named
from experiments.spurious_valleys import certificates
from experiments.spurious_valleys.valley import trapped
from multifractal import descend
from tests.conftest import ROOT

SMALL = {
    "FIRST_STEPS": (0.01, 0.1, 1.0),
    "BUDGETS": (5, 15),
    "TUNING": (1000,),
    "EVALUATION": (0, 1, 2),
}
BOWL, ROUGH = "bowl, condition 1000", "bowl, condition 1000, rough"


class Planted(torch.optim.Optimizer):
    """An optimiser that knows the way: towards the origin, or away from it."""

    towards = 1.0

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        """Go along the straight line to the bottom of the bowl, never beyond it."""
        for group in self.param_groups:
            for p in group["params"]:
                p.mul_(1 - self.towards * min(group["lr"], 1.0))


class Lost(Planted):
    """The same, the other way."""

    towards = -1.0


@pytest.fixture
def small(monkeypatch):
    """A protocol of few and short runs."""
    for name, value in SMALL.items():
        monkeypatch.setattr(protocol, name, value)


def measured(monkeypatch, folder, names=("SGD", "Adam"), chosen=(BOWL,)):
    """The results of a run in a folder, planted optimisers by name."""
    monkeypatch.setitem(OPTIMIZERS, "winner", Yours(Planted))
    monkeypatch.setitem(OPTIMIZERS, "loser", Yours(Lost))
    return command.measure(names, chosen, folder, say=lambda words: None)


def test_a_planted_winner_wins_and_a_planted_loser_loses(small, monkeypatch, tmp_path):
    """On both bowls who knows the way to the bottom is first, and who walks uphill is last, diverged or above the start."""
    names = ("loser", "Adam", "winner", "SGD")
    board = page.Board(measured(monkeypatch, tmp_path, names, (BOWL, ROUGH)))
    assert board.names[0] == "winner"
    assert board.names[-1] == "loser"
    assert board.ranking[-1][1].low > 1.0
    good = scores.as_good(board.table)
    assert good["winner"] == [True, True]
    assert good["loser"] == [False, False]
    one = {name: {BOWL: result[BOWL]} for name, result in board.results.items()}
    text = page.write_html(page.Board(one), tmp_path).read_text()
    assert text.index('<td data-of="">winner') < text.index('<td data-of="">loser')
    assert text.count("<img") == 2
    for make in page.TABLES.values():
        head, rows = make(board)
        assert all(len(row) == len(head) for row in rows)


KILLED = """
import os, signal
from experiments.landscape_bench import __main__ as command, protocol
for name, value in {small}.items():
    setattr(protocol, name, value)
    protocol.SETTINGS[name] = 0
measure = protocol.measure
def once(make, ground):
    if {folder!r} and os.listdir({folder!r}) != ["experiment.json"] and len(os.listdir({folder!r})) > 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return measure(make, ground)
protocol.measure = once
command.measure(("SGD", "Adam"), ({bowl!r},), {folder!r}, say=lambda words: None)
"""


@pytest.mark.slow
def test_a_killed_run_is_resumed_to_the_same_bits(small, monkeypatch, tmp_path):
    """Killed while the second of two units is written, a run goes on in another process with the first as it was kept."""
    monkeypatch.setattr(protocol, "SETTINGS", protocol.SETTINGS | dict.fromkeys(SMALL, 0))
    folder = str(tmp_path / "killed")
    script = KILLED.format(small=SMALL, folder=folder, bowl=BOWL)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    first = tmp_path / "killed" / f"SGD on {BOWL}.json"
    stamp = first.stat().st_mtime_ns
    assert not (tmp_path / "killed" / f"Adam on {BOWL}.json").exists()
    resumed = measured(monkeypatch, folder)
    assert first.stat().st_mtime_ns == stamp
    assert resumed == measured(monkeypatch, tmp_path / "whole")


def test_your_optimiser_is_measured_again_when_its_source_changes():
    """The name of its file holds a mark of its source; those that are shipped have none; what cannot be imported is refused."""
    yours = named(f"{__name__}:Planted")
    assert yours.kind is Planted
    names = {command._file("mine:X", Yours(kind), BOWL) for kind in (Planted, Lost)}
    assert len(names) == 2
    assert command._file("SGD", named("SGD"), BOWL) == f"SGD on {BOWL}.json"
    for name in ("nothing", "torch.optim:Nothing", "nowhere.at.all:X"):
        with pytest.raises(ValueError, match="--optimizer must be one of SGD, momentum"):
            named(name)


def test_the_budget_counts_gradients_and_a_first_step_has_the_length_it_says():
    """SAM takes two gradients a step, SGD one; the rate of the grid moves the parameters by its step times the length."""
    for name, per_step in (("SGD", 1), ("SAM", 2), ("schedule-free", 1)):
        world = grounds.draw(BOWL, 3)
        runner = protocol.Runner(OPTIMIZERS[name], world.begun(), 1e-4)
        for _ in range(3):
            runner.step()
        assert runner.evaluations == 3 * per_step, name
    for name in ("SGD", "Adam", "Lion"):
        rates = protocol.learning_rates(OPTIMIZERS[name], BOWL, 3)
        before = protocol._position(world.begun())
        protocol.Runner(OPTIMIZERS[name], world.module, rates[4]).step()
        moved = np.linalg.norm(protocol._position(world.module) - before)
        assert moved == pytest.approx(protocol.FIRST_STEPS[4] * world.length, rel=1e-6), name


class Costly(Planted):
    """A rule whose step takes seven gradients."""

    def step(self, closure):
        """Evaluate six times more, then step."""
        for _ in range(6):
            closure()
        super().step()


def test_a_step_counts_once_all_its_gradients_are_within_the_budget(small):
    """Of steps of seven gradients none fits into a budget of 5 and two fit into one of 15: (1 - 0.1)^4 of the bowl is left."""
    world = grounds.draw(BOWL, 0)
    rate = 0.1
    losses = protocol.run(Yours(Costly), BOWL, 0, rate)["losses"]
    assert losses[0] == losses[1] == float(world.begun()().detach())
    assert losses[2] == pytest.approx(0.9**4 * losses[0], rel=1e-12)


class Strict(torch.optim.SGD):
    """A rule that steps only after `train()`, as the package schedulefree has it, and adds noise of torch's own."""

    training = False

    def train(self):
        """Be ready to step."""
        self.training = True

    def eval(self):
        """Be looked at."""
        self.training = False

    @torch.no_grad()
    def step(self):
        """Step with noise."""
        assert self.training
        for p in self.param_groups[0]["params"]:
            p.sub_(self.param_groups[0]["lr"] * (p.grad + torch.randn_like(p)))


class Breaks(Planted):
    """A rule that gives NaN in its second step."""

    @torch.no_grad()
    def step(self):
        """Step once."""
        for p in self.param_groups[0]["params"]:
            p.mul_(np.nan if self.state[p] else 1 - self.param_groups[0]["lr"])
            self.state[p]["begun"] = True


def test_odd_optimisers_have_the_same_bits_and_diverging_ones_the_worst_score(small, tmp_path):
    """Noise is drawn from the run's seed; NaN counts as 2, is null in JSON, and neither tables nor pictures warn."""
    results = {
        name: {BOWL: json.loads(json.dumps(protocol.measure(make, BOWL), allow_nan=False))}
        for name, make in {"noisy": Yours(Strict), "breaks": Yours(Breaks)}.items()
    }
    assert protocol.measure(Yours(Strict), BOWL) == results["noisy"][BOWL]
    board = page.Board({**results, "SGD": {BOWL: protocol.measure(OPTIMIZERS["SGD"], BOWL)}})
    assert board.names[-1] == "breaks"
    assert (board.table["breaks"] == 2.0).all()
    assert board.results["breaks"][BOWL]["runs"][0]["losses"][1:] == [None, None]
    page.write_html(board, tmp_path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p, rate: torch.optim.SparseAdam(p, lr=rate), "RuntimeError: SparseAdam does not"),
        (Yours(type("NoRate", (), {})), "TypeError: NoRate"),
        (lambda p, rate: torch.optim.SGD(p, lr=0.0), "move the parameters in its first step"),
    ],
)
def test_an_optimiser_that_cannot_step_is_refused_with_its_error(make, words):
    """Sparse gradients, no rate and no motion: a line that names the ground and what was raised."""
    with pytest.raises(ValueError, match=f"--optimizer must .*{words}"):
        protocol.learning_rates(make, BOWL, 0)


def test_the_rate_is_chosen_by_the_share_of_the_loss_it_takes_off():
    """A rate that is good on both draws beats one that is best on one and diverges on the other; nothing gained is the smallest."""
    starts = np.ones((2, 3))
    assert protocol.chosen(starts, np.array([[0.5, 0.2, 0.1], [0.5, 0.2, np.nan]])) == 1
    assert protocol.chosen(starts, np.array([[2.0, 3.0, np.inf], [2.0, 3.0, np.nan]])) == 0


def test_lion_and_schedule_free_take_the_steps_of_their_papers():
    """Three steps on f = p^2 / 2 by hand: signs of the averaged gradient; the average of z, with the gradient taken at y."""
    gradients, m, p = [], 0.0, 3.0
    for _ in range(3):
        gradients.append(p)
        p -= 0.5 * np.sign(0.9 * m + 0.1 * gradients[-1])
        m = 0.99 * m + 0.01 * gradients[-1]
    assert _descended(Lion, 3.0, 0.5)[0] == pytest.approx(p)
    z = x = y = 3.0
    visited = []
    for _ in range(3):
        z -= 0.5 * y
        visited.append(z)
        x = np.mean(visited)
        y = 0.1 * z + 0.9 * x
    trained, shown = _descended(ScheduleFree, 3.0, 0.5)
    assert trained == pytest.approx(y)
    assert shown == pytest.approx(x)


def _descended(kind, start, rate):
    p = torch.nn.Parameter(torch.tensor([start], dtype=torch.float64))
    optimizer = kind([p], lr=rate)
    for _ in range(3):
        optimizer.zero_grad()
        (p**2 / 2).sum().backward()
        optimizer.step()
    trained = float(p.detach())
    if hasattr(optimizer, "eval"):
        optimizer.eval()
    return trained, float(p.detach())


def test_a_mirrored_surface_is_the_ground_that_walkers_unfold():
    """SGD on it goes where `descend` goes, unfolded, wall after wall, to rounding; flat is what the grid's Hessian says."""
    world = grounds.draw("fBm surface, H = 0.7", 0)
    field, rate = world.module.field, 3000.0
    runner = protocol.Runner(OPTIMIZERS["SGD"], world.begun(), rate)
    track = [protocol._position(world.module)]
    for _ in range(6):
        runner.step()
        track.append(protocol._position(world.module))
    walk = descend(field.surface, track[0], learning_rate=rate, n_steps=6)
    track = np.array(track)
    assert np.abs(track - walk.unfolded).max() < 1e-6 * np.abs(walk.unfolded).max()
    assert not ((track >= 0) & (track <= 255)).all()
    at = np.array([[10.0, 20.0], [-10.0, 20.0], [10.0, 490.0]])
    assert np.ptp(field.curvature(at)) == 0
    assert field.curvature(at[:1])[0] == (field.surface.hessian_eigenvalues[:, 20, 10] ** 2).sum()


def test_a_start_in_the_valley_is_proved_to_be_there_and_small_steps_stay():
    """All six starts are trapped by the certificate; 50 small steps of descent stay above 2.25, and the other point is below."""
    for seed in range(6):
        world = grounds.draw("valley of theorem 13", seed)
        module = world.begun()
        weights = [p.detach().numpy() for p in (module.hidden, module.output)]
        assert trapped(module.mixture, *weights, certificates.orthonormal_rim_bound())
    runner = protocol.Runner(OPTIMIZERS["SGD"], module, 0.05)
    for _ in range(50):
        runner.step()
    assert runner.shown() > world.escape == 2.25
    with torch.no_grad():
        for p, value in zip(
            (module.hidden, module.output), module.mixture.other_point(), strict=True
        ):
            p.copy_(torch.tensor(value))
    assert runner.shown() == pytest.approx(1.0)


def made(losses, *, tuning=None, best=1, **more):
    """A result as `measure` returns it, of runs with these losses."""
    keys = [{name: value[i] for name, value in more.items()} for i in range(len(losses))]
    runs = [{"losses": list(row), **extra} for row, extra in zip(losses, keys, strict=True)]
    return {"tuning": tuning, "chosen": best, "runs": runs}


def test_regret_is_the_share_that_is_left():
    """Half way to the minimum is 0.5, the start 1, divergence and far above it 2; without a minimum the lowest seen is 0."""
    known = made([[3.0, 2.0], [3.0, 9.0], [3.0, np.nan], [3.0, 3.0]], minimum=[1.0] * 4)
    floors = scores.reference({"a": {"g": known}}, "g")
    assert scores.regrets(known, floors)[:, 0].tolist() == [0.5, 2.0, 2.0, 1.0]
    a, b = made([[3.0, 2.0], [4.0, 4.0]]), made([[3.0, 1.0], [4.0, np.nan]])
    floors = scores.reference({"a": {"g": a}, "b": {"g": b}}, "g")
    assert floors.tolist() == [1.0, 4.0]


def test_verdicts_say_yes_and_no():
    """Flat places, escapes, the width of good rates and the end of the grid, each in worlds where it must say either."""
    shares = np.array([0.5, 0.6, 0.55]), np.array([0.1, 0.12, 0.1])
    words = [
        scores.seeks_flat(scores.flat(made([[1.0]] * 3, flat=a, control=b)))
        for a, b in (shares, shares[::-1], (shares[0], shares[0][[1, 2, 0]]))
    ]
    assert words == ["seeks", "avoids", "neither"]
    assert scores.flat(made([[1.0]] * 3)) is None
    assert scores.escaped(made([[1.0]] * 3, escaped=[True, False, True])) == (2, 3)
    assert scores.escaped(made([[1.0]] * 3)) is None
    starts = [4.0] * 4
    wide = np.array([[starts, [0.1, 0.0, 0.2, np.nan]]]).transpose(0, 2, 1).tolist()
    assert scores.width(made([[1.0]], tuning=wide)) == 1.5
    none = np.array([[starts, [5.0, 4.0, 9.0, np.nan]]]).transpose(0, 2, 1).tolist()
    assert scores.width(made([[1.0]], tuning=none)) == 0.0
    assert scores.at_the_end(made([[1.0]], best=0))
    assert not scores.at_the_end(made([[1.0]], best=4))


def test_the_results_that_are_kept_are_those_of_the_page_and_of_the_protocol():
    """All shipped optimisers on all grounds, by today's settings; the plain bowl is where all of them get far."""
    stored = json.loads(page.RESULTS.read_text())
    assert stored["settings"] == json.loads(json.dumps(protocol.SETTINGS))
    assert list(stored["results"]) == list(OPTIMIZERS)
    assert all(list(one) == list(grounds.GROUNDS) for one in stored["results"].values())
    assert set(grounds.SAID) == set(grounds.GROUNDS)


def test_rates_that_diverge_stand_at_the_bottom():
    """What a rate takes off is a share of the most that any does; NaN, inf, and rises by more than that are drawn at -1."""
    n = len(protocol.FIRST_STEPS)
    ends = [np.nan, np.inf, 9.0, 1.5, 0.5] + [0.75] * (n - 5)
    tuning = {"a": [[(1.0, end) for end in ends]], "b": [[(1.0, 0.0)] * n]}
    results = {name: {BOWL: {"tuning": drawn}} for name, drawn in tuning.items()}
    figure = page.rates(SimpleNamespace(names=["a", "b"], results=results), BOWL)
    of_a, of_b = (line.get_ydata() for line in figure.axes[0].lines[:2])
    np.testing.assert_allclose(of_a, [-1, -1, -1, -0.5, 0.5] + [0.25] * (n - 5))
    np.testing.assert_allclose(of_b, np.ones(n))
