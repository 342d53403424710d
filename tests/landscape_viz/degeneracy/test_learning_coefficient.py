"""The local learning coefficient: closed forms of Langevin chains, the rules that doubt it, and chains that are continued."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from landscape_viz import LearningCoefficient, Objective, Problem, local_learning_coefficient
from landscape_viz.degeneracy import chain_store, sgld
from landscape_viz.degeneracy.learning_coefficient import doubts
from landscape_viz.degeneracy.mixing import r_hat
from multifractal.base.rng import realisation
from tests.helpers import naive_networks

CURVATURES = np.array([1.0, 0.5])  # of the quadratic loss below
STEP = {"learning_rate": 0.01, "nbeta": 100.0, "localization": 2.0}
SHORT = {"n_chains": 2, "n_draws": 20, "n_burn_in": 5}


def bowl(at=(0.0, 0.0)):
    """Return the problem of the loss sum of h w^2 / 2 over two weights, as a mean over four samples."""
    inputs = torch.tensor(np.vstack([np.diag(np.sqrt(CURVATURES))] * 2))
    model = nn.Linear(2, 1, bias=False).double()
    state = {"weight": torch.tensor([at], dtype=torch.float64)}
    return Problem(model, state, "mse", (inputs, torch.zeros(4, 1, dtype=torch.float64)))


class Quartic(nn.Module):
    """One weight; its loss is w^4 by the mean squared error of w^2 x."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x):
        """Return w^2 x."""
        return self.w**2 * x


def quartic():
    """Return the problem of the loss w^4 at 0, whose coefficient is 1/4."""
    one = torch.ones(3, 1, dtype=torch.float64)
    return Problem(Quartic(), None, "mse", (one, torch.zeros_like(one)))


def test_quadratic_loss_in_closed_form():
    """Each direction of curvature k = n beta h + gamma adds (n beta h / 2k) / (1 - epsilon k / 4), whatever the step epsilon."""
    found = local_learning_coefficient(bowl(), **STEP, n_chains=7, n_draws=200, n_burn_in=40)
    stiff = STEP["nbeta"] * CURVATURES
    k = stiff + STEP["localization"]
    growth = 1 / (1 - STEP["learning_rate"] * k / 4)
    exact, ideal = (stiff / k * growth / 2).sum(), (stiff / k / 2).sum()
    half = found.interval[1] - found.value
    assert (
        abs(found.value - exact) < 2 * half
    )  # twice the interval: 1 in 500 by Student's t of 6 degrees
    assert exact - ideal > half  # so that the step's part is seen
    assert found.step_bias == pytest.approx(exact - ideal, rel=0.2)
    assert found.filled_interval[0] < 1 < found.filled_interval[1]
    assert found.r_hat < 1.05


def test_adjusted_chains_have_no_bias_of_the_step():
    """By Metropolis and Hastings the same step gives the value of the exact law, of a quadratic and of w^4."""
    options = {"adjusted": True, "n_chains": 5, "n_draws": 120, "n_burn_in": 20}
    for problem, exact, step in (
        (bowl(), (STEP["nbeta"] * CURVATURES / (STEP["nbeta"] * CURVATURES + 2) / 2).sum(), STEP),
        (quartic(), 0.25, STEP | {"localization": 0.0, "learning_rate": 0.05}),
    ):
        found = local_learning_coefficient(problem, **options | step)
        assert abs(found.value - exact) < 2 * (found.interval[1] - found.value)
        assert found.step_bias == 0
        assert 0.5 < found.acceptance < 1
        assert found.filled_interval[0] < 1 < found.filled_interval[1]


def test_a_chain_is_the_textbooks():
    """The losses are those of a plain loop with the same noise, to rounding; chain i draws from child i of the seed."""
    problem = bowl((0.3, -0.2))
    found = local_learning_coefficient(problem, **STEP, **SHORT, rng=3)
    objective = Objective(problem)
    for i, losses in enumerate(found.losses):
        noise = realisation(3, i).standard_normal((25, 2))
        twin = naive_networks.langevin_losses(
            objective.value_and_gradient, problem.weights().numpy(), noise, **STEP
        )
        np.testing.assert_allclose(losses, twin[5:], rtol=1e-10)


def test_batches_of_samples_heat_the_chain_as_step_bias_says():
    """With a gradient of two of four samples the identity of equilibrium holds, and the value is higher by `step_bias`."""
    options = STEP | {"n_chains": 6, "n_draws": 60, "n_burn_in": 30, "steps_per_draw": 2}
    found = local_learning_coefficient(bowl(), **options, batch_size=2)
    ideal = (STEP["nbeta"] * CURVATURES / (STEP["nbeta"] * CURVATURES + 2) / 2).sum()
    assert abs(found.value - found.step_bias - ideal) < 2 * (found.interval[1] - found.value)
    full = STEP["learning_rate"] * (STEP["nbeta"] * CURVATURES + 2) / 8
    assert found.step_bias > 1.2 * (full / (1 - 2 * full)).sum()  # more than of all four
    assert found.filled_interval[0] < 1 < found.filled_interval[1]


WORLDS = {  # words of a doubt: settings where it must be raised
    "diverged": {"learning_rate": 0.09},
    "not mixed": {"learning_rate": 1e-4, "n_draws": 50},
    "still spread": {"learning_rate": 2e-5, "n_burn_in": 0},
    "the step adds": {"learning_rate": 0.025},
    "steps were taken": {"learning_rate": 0.2, "adjusted": True},
    "no minimum": {"at": (0.5, 0.0)},
    "nbeta e times": {"nbeta": 2.0, "learning_rate": 0.02, "localization": 4.0},
}
COARSE = STEP | {"learning_rate": 0.004, "n_chains": 3, "n_draws": 90, "n_burn_in": 20}


@pytest.fixture(scope="module")
def sound():
    """Return an estimate against which nothing stands: an honest one, and numbers just within each rule's limit."""
    settings = STEP | {"n_chains": 2, "n_draws": 8, "n_burn_in": 0}
    found = local_learning_coefficient(bowl(), **settings, adjusted=True)
    return replace(
        found,
        value=1.0,
        interval=np.array([0.8, 1.2]),
        losses=np.full((2, 8), found.loss_at_weights - 0.199 / STEP["nbeta"]),
        r_hat=1.05,
        filled_interval=np.array([0.7, 0.95]),
        step_bias=0.199,
        slope_interval=np.array([-0.02, 0.1]),
        acceptance=0.2,
        warnings=(),
    )


BEYOND = {  # words of a rule's doubt: what lies just beyond its limit, the rest being sound
    "not mixed": {"r_hat": 1.051},
    "fill": {"filled_interval": np.array([0.7, 0.949])},
    "the step adds": {"step_bias": 0.201},
    "steps were taken": {"acceptance": 0.199},
    "no minimum": {"loss_at_weights": 0.201 / STEP["nbeta"], "losses": np.zeros((2, 8))},
    "nbeta e times": {"slope_interval": np.array([-0.101, 0.0])},
}


def test_rules_at_their_limits(sound):
    """Within all limits nothing is said; beyond one of them its words, and no others."""
    assert doubts(sound) == ()
    assert sound.trusted
    assert str(sound) == "local learning coefficient 1 [0.8, 1.2]"
    for words, changed in BEYOND.items():
        (said,) = doubts(replace(sound, **changed))
        assert words in said
    assert doubts(replace(sound, r_hat=np.nan)) != ()
    assert "nbeta" not in " ".join(doubts(replace(sound, step_bias=9.0, slope_interval=np.ones(2))))


@pytest.mark.parametrize("words", WORLDS)
def test_each_doubt_in_a_world_that_breaks_its_rule(words):
    """Chains that diverge, have not mixed, still spread, take too large a step, or start away from the minimum say so."""
    settings = COARSE | WORLDS[words]
    found = local_learning_coefficient(bowl(settings.pop("at", (0.0, 0.0))), **settings)
    assert words in " ".join(found.warnings)
    assert "not to be trusted" in str(found)


def test_r_hat_is_that_of_arviz():
    """Values of arviz-stats 0.8 (`rhat`, method "rank"): of chains that agree, one that drifts, and Cauchy samples."""
    rng = np.random.default_rng(7)
    good = rng.gamma(2.0, size=(4, 100))
    drift = good + np.linspace(0, 2, 100) * np.array([[1], [0], [0], [0]])
    odd = rng.standard_cauchy((3, 51))
    known = (1.0114254985857878, 1.101009064734219, 0.9975876222148375)
    for draws, value in zip((good, drift, odd), known, strict=True):
        assert r_hat(draws) == pytest.approx(value, rel=1e-12)
    assert np.isnan(r_hat(np.ones((4, 100))))


def test_chains_are_continued_to_the_same_bits(tmp_path, monkeypatch):
    """Stopped within its second chain, an estimate goes on to the bits of one that was not, and may take more chains then."""
    path, options = tmp_path / "chains.npz", STEP | SHORT | {"rng": 5, "batch_size": 3}
    whole = local_learning_coefficient(bowl(), **options | {"n_chains": 3})
    monkeypatch.setattr(chain_store, "_SECONDS_BETWEEN_SAVES", 0.0)
    keep, steps = chain_store.ChainStore.keep, []

    def stopped(self, number, chain):
        keep(self, number, chain)
        steps.append(chain.step)
        if len(steps) == 40:
            raise KeyboardInterrupt

    monkeypatch.setattr(chain_store.ChainStore, "keep", stopped)
    with pytest.raises(KeyboardInterrupt):
        local_learning_coefficient(bowl(), **options, path=path)
    monkeypatch.setattr(chain_store.ChainStore, "keep", keep)
    assert 0 < steps[-1] < 25  # within the second chain
    with pytest.raises(FileExistsError, match="resume=True"):
        local_learning_coefficient(bowl(), **options, path=path)
    with pytest.raises(ValueError, match="it differs in weights"):
        local_learning_coefficient(bowl((1.0, 0.0)), **options, path=path, resume=True)
    found = local_learning_coefficient(bowl(), **options | {"n_chains": 3}, path=path, resume=True)
    np.testing.assert_array_equal(found.losses, whole.losses)
    again = local_learning_coefficient(bowl(), **options | {"n_chains": 3}, path=path, resume=True)
    np.testing.assert_array_equal(again.losses, whole.losses)


def test_workers_give_the_same_bits(tmp_path):
    """An executor runs chains elsewhere; their file and the result are those of one process, and the result loads."""
    from concurrent.futures import ThreadPoolExecutor

    here = local_learning_coefficient(bowl(), **STEP, **SHORT)
    with ThreadPoolExecutor(1) as pool:
        there = local_learning_coefficient(
            bowl(), **STEP, **SHORT, executor=pool, path=tmp_path / "x"
        )
    np.testing.assert_array_equal(here.losses, there.losses)
    there.save(tmp_path / "found.npz")
    loaded = LearningCoefficient.load(tmp_path / "found.npz")
    assert loaded.warnings == here.warnings
    assert loaded.value == here.value


def test_the_temperature_is_watanabes():
    """Without nbeta it is n / ln n."""
    found = local_learning_coefficient(bowl(), learning_rate=0.01, **SHORT)
    assert found.nbeta == pytest.approx(4 / np.log(4))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be a positive"),
        ({"localization": -1.0}, "localization must be at least 0"),
        ({"n_chains": 1}, "n_chains must be a whole number, at least 2"),
        ({"batch_size": 9}, "batch_size must be at most the number of samples, 4"),
        ({"batch_size": 2, "adjusted": True}, "adjusted must be False with a batch_size"),
    ],
)
def test_refusals(options, words):
    """What cannot be is refused before any step."""
    with pytest.raises(ValueError, match=words):
        local_learning_coefficient(bowl(), **STEP | options)


class Mixed(nn.Module):
    """Half the square of six weights, three in single precision, so that no vector can stand in the place of all."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(3, dtype=torch.float64))
        self.v = nn.Parameter(torch.ones(3, dtype=torch.float32))

    def forward(self, x):
        """Return the square for each sample."""
        return x * ((self.w**2).sum() + (self.v**2).sum()).reshape(1, 1) / 2


def test_a_chain_goes_on_from_its_own_weights():
    """Whatever the precision of the weights, the first loss of a chain that is continued is that at its weights: 12, not 3."""
    one = torch.ones(1, 1, dtype=torch.float64)
    problem = Problem(Mixed(), None, lambda out, target: (out - 0 * target).mean(), (one, one))
    settings = sgld.Settings(1e-9, 1.0, 0.0, 1, 0, 1, None, adjusted=False)
    for size, loss in ((1.0, 3.0), (2.0, 12.0)):
        weights = torch.full((6,), size, dtype=torch.float64)
        chain = sgld.Chain(weights, np.full(1, np.nan), 0, np.zeros(3), np.random.default_rng(0))
        assert sgld.run_chain(problem, settings, "cpu", chain).losses[0] == pytest.approx(loss)
