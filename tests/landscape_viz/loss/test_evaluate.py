"""Evaluator: the naive loop's numbers, whatever the order of positions and the modes, and nothing left changed."""

import numpy as np
import pytest
import torch

from landscape_viz import Problem, directions, section
from landscape_viz.loss.evaluate import Evaluator
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.loss.stacked import StackedEvaluator
from tests.helpers import naive_networks, small_networks
from tests.helpers.small_networks import SmallConv, images

POSITIONS = [(0.0, 0.0), (0.5, -0.25), (0.5, 1.5), (-1.0, 1.5), (0.5, -0.25)]


def double_network():
    """The small network in float64, so that equality can be sharp."""
    return SmallConv(double=True)


@pytest.fixture
def problem():
    """A float64 problem."""
    return Problem(double_network, None, "cross_entropy", images(double=True))


def measured(problem, positions=POSITIONS, vectors=None, indices=None):
    """Metrics at positions, in their order."""
    evaluator = Evaluator(
        problem, directions.random(problem, 2, rng=0).vectors if vectors is None else vectors
    )
    values = []
    for k, position in enumerate(positions):
        evaluator.move(position)
        values.append(evaluator.measure(k if indices is None else indices[k]))
    return np.array(values)


@pytest.mark.parametrize("batch_norm", ["eval", "batch"])
def test_equals_the_naive_loop(problem, batch_norm):
    """Loss within 200 roundings of the naive loop's in float64, accuracy exactly: memory order changes nothing else."""
    problem = Problem(
        double_network, problem.state, problem.loss, problem.data, batch_norm=batch_norm
    )
    vectors = directions.random(problem, 2, rng=0).vectors
    for position, (loss, accuracy) in zip(POSITIONS, measured(problem), strict=True):
        expected = naive_networks.section(problem, vectors, [[c] for c in position]).ravel()
        assert abs(loss - expected[0]) < 200 * np.finfo(float).eps * max(1, expected[0])
        assert accuracy == expected[1]


def test_batches_of_any_size_give_the_same_mean(problem):
    """The loss and the accuracy are those of all samples, also when the last batch is smaller."""
    split = Problem(double_network, None, "cross_entropy", problem.data, batch_size=7)
    np.testing.assert_allclose(measured(split), measured(problem), rtol=1e-13)


def test_values_do_not_depend_on_the_order_of_positions(problem):
    """Each position gives the same bits whichever came before."""
    there, back = measured(problem), measured(problem, POSITIONS[::-1])[::-1]
    assert np.array_equal(there, back)
    assert np.array_equal(there[1], there[4])


def test_weights_in_three_dimensions_are_the_sum_wherever_they_came_from(problem):
    """After jumps that change the first coordinate only, or any other set, the weights are origin + a u + b v + c w to rounding."""
    vectors = directions.random(problem, 3, rng=0).vectors
    evaluator = Evaluator(problem, vectors)
    origin = problem.weights().numpy()
    steps = [
        (0, 0, 0),
        (5, 0, 0),
        (5, 1, 2),
        (-3, 1, 2),
        (-3, 1, 7),
        (4, 1, 7),
        (4, -2, 7),
        (0, 0, 0),
    ]
    for position in steps:
        evaluator.move([float(c) for c in position])
        expected = origin + np.array(position, float) @ vectors
        np.testing.assert_allclose(evaluator._weights.numpy(), expected, rtol=0, atol=1e-13)


def test_recalibrated_running_statistics_are_those_of_the_data(problem):
    """In recalibrate mode the loss is that of eval mode after averaging the statistics over the data's batches."""
    mine = Problem(
        double_network, None, "cross_entropy", problem.data, batch_norm="recalibrate", batch_size=8
    )
    vectors = directions.random(mine, 2, rng=0).vectors
    model, (inputs, targets) = mine.build(), mine.load()
    expected = []
    for position in POSITIONS:
        naive_networks.set_parameters(model, mine, vectors, position)
        with torch.no_grad():
            hidden = [model.first(part) for part in inputs.split(8)]
            model.norm.running_mean = torch.stack([h.mean((0, 2, 3)) for h in hidden]).mean(0)
            model.norm.running_var = torch.stack([h.var((0, 2, 3)) for h in hidden]).mean(0)
            expected.append(float(torch.nn.functional.cross_entropy(model(inputs), targets)))
    np.testing.assert_allclose(measured(mine)[:, 0], expected, rtol=1e-12)


def test_fixed_dropout_is_one_mask_and_live_dropout_one_a_position(problem):
    """Fixed: the same loss at a position whatever its index. Live: another one for another index, the same for the same."""
    modes = {
        mode: Problem(double_network, None, "cross_entropy", problem.data, dropout=mode)
        for mode in ("fixed", "live")
    }
    same_place = [(0.5, 0.5)] * 3
    fixed, live = (
        measured(modes[mode], same_place, indices=[4, 5, 4])[:, 0] for mode in ("fixed", "live")
    )
    assert fixed[0] == fixed[1] == fixed[2] != measured(problem, same_place)[0, 0]
    assert live[0] == live[2] != live[1]


def test_fixed_masks_give_a_smooth_section_and_live_ones_noise(problem):
    """Along a short line the second differences under live dropout are far above those under one mask."""
    line = [(1e-4 * k, 0.0) for k in range(12)]
    rough = {
        mode: np.abs(
            np.diff(
                measured(
                    Problem(double_network, None, "cross_entropy", problem.data, dropout=mode), line
                )[:, 0],
                2,
            )
        ).max()
        for mode in ("off", "fixed", "live")
    }
    assert rough["fixed"] < 100 * rough["off"] < 1e-4 * rough["live"]


def test_autocast_does_not_reuse_stale_weights(problem):
    """Inside an autocast context, which caches cast weights, the section is the same as outside and not flat."""
    single = Problem(SmallConv, None, "cross_entropy", images())
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        inside = measured(single)
    assert np.array_equal(inside, measured(single))
    assert len(set(inside[:, 0])) == len(set(POSITIONS))


@pytest.mark.parametrize("kind", ["bfloat16", None])
def test_the_floor_of_autocast_is_measured(kind):
    """What a section says of its rounding is the spread of its losses around those in float64, with autocast and without."""
    single = Problem(SmallConv, None, "cross_entropy", images(), autocast=kind)
    line = directions.random(single, 1, rng=0), [np.linspace(-0.5, 0.5, 41)]
    measure = {"metrics": ("loss",), "progress": False}
    found = section(single, *line, **measure)
    exact = section(
        Problem(SmallConv, None, "cross_entropy", images(), precision="float64"), *line, **measure
    )
    spread = np.std(found.values["loss"] - exact.values["loss"])
    assert (
        1 / 3 < found.rounding / spread < 3
    )  # each a standard deviation, of 4 independent differences and of 41
    assert found.problem["autocast"] == ("bfloat16" if kind else "")
    assert (spread > 1e-6) == (kind is not None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"autocast": "float32"}, "be one of bfloat16, float16"),
        ({"autocast": "bfloat16", "precision": "float64"}, "go with precision='as-is'"),
    ],
)
def test_autocast_of_another_kind_is_refused(options, words):
    """Autocast to wide numbers, or of a promoted network, says two things at once."""
    with pytest.raises(ValueError, match=words):
        Problem(SmallConv, None, "cross_entropy", images(), **options)


def test_nothing_of_the_callers_is_changed(problem):
    """Random state, thread count, gradient mode and the state's tensors are as they were, with live dropout too."""
    state = double_network().state_dict()
    copies = {name: tensor.clone() for name, tensor in state.items()}
    random_state, threads = torch.get_rng_state(), torch.get_num_threads()
    with pinned_threads(2):
        measured(
            Problem(
                double_network,
                state,
                "cross_entropy",
                problem.data,
                dropout="live",
                batch_norm="batch",
            )
        )
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    assert all(torch.equal(state[name], copies[name]) for name in state)


def test_nan_outputs_are_wrong_predictions(problem):
    """Where the outputs are NaN the loss is NaN and no sample counts as right."""
    vectors = np.full((1, len(problem.weights())), np.nan)
    loss, accuracy = measured(problem, [(1.0,)], vectors)[0]
    assert np.isnan(loss)
    assert accuracy == 0


@pytest.mark.parametrize("at_once", [2, 5, 8])
@pytest.mark.parametrize(("batch_norm", "dropout"), [("eval", "off"), ("batch", "fixed")])
def test_several_positions_a_launch_give_the_same_values(problem, at_once, batch_norm, dropout):
    """Stacked or one by one, in whole groups or not, loss and accuracy agree to 200 roundings of float64."""
    problem = Problem(
        double_network, None, "cross_entropy", problem.data, batch_norm=batch_norm, dropout=dropout
    )
    vectors = directions.random(problem, 2, rng=0).vectors
    stacked = StackedEvaluator(problem, vectors, at_once=at_once).run(POSITIONS)
    np.testing.assert_allclose(stacked, measured(problem).T, rtol=200 * np.finfo(float).eps)


@pytest.mark.parametrize("changes", [{"batch_norm": "recalibrate"}, {"dropout": "live"}])
def test_modes_of_each_position_cannot_share_a_launch(problem, changes):
    """Recalibration and live dropout belong to one position and are refused in a stack."""
    with pytest.raises(ValueError, match="pass at_once=1"):
        StackedEvaluator(
            Problem(double_network, None, "cross_entropy", problem.data, **changes), [], at_once=2
        )


@pytest.mark.gpu
@pytest.mark.parametrize("at_once", [1, None])
def test_a_cuda_device_gives_the_same_values(problem, at_once):
    """On a CUDA device, one by one or as many as fit, the section agrees with the CPU's to 1000 roundings of float64."""
    plane = directions.random(problem, 2, rng=0)
    there, here = (
        section(problem, plane, ["-1:1:5", "-1:1:4"], **place).grid
        for place in ({"device": "cuda", "at_once": at_once}, {})
    )
    np.testing.assert_allclose(there, here, rtol=1000 * np.finfo(float).eps)


def test_large_networks_give_the_same_values_without_kept_sums(problem, monkeypatch):
    """Where no sums of directions are kept, each point is what it is with them, to 100 roundings of float64."""
    plane, axes = directions.random(problem, 3, rng=0), ["-1:1:3", "-1:1:2", "-1:1:3"]
    kept = section(problem, plane, axes)
    monkeypatch.setattr("landscape_viz.loss.evaluate.SMALL", 0)
    lean = section(problem, plane, axes)
    np.testing.assert_allclose(lean.grid, kept.grid, rtol=100 * np.finfo(float).eps)


@pytest.mark.parametrize("path", ["plain", "channels last"])
def test_the_loss_at_the_origin_is_known(problem, path, monkeypatch):
    """What was found before any point is the loss at coordinate 0 of either path, bit for bit, and the loss alone that of both."""
    if path == "plain":
        monkeypatch.setattr(Evaluator, "_try_channels_last", lambda self: None)
    vectors = directions.random(problem, 2, rng=0).vectors
    alone, both = Evaluator(problem, vectors, ("loss",)), Evaluator(problem, vectors)
    assert alone.path == path
    assert alone.loss_at_origin == alone.loss_at(0.0)
    assert np.array_equal(alone.run(POSITIONS)[0], both.run(POSITIONS)[0])


def test_losses_of_each_sample_are_refused(problem):
    """A loss that is not one number a batch is refused with the remedy."""
    unreduced = Problem(double_network, None, small_networks.each_sample, problem.data)
    with pytest.raises(
        ValueError, match="loss must give one number a batch, got .24.*average over the batch"
    ):
        Evaluator(unreduced, []).measure()


def test_accuracy_of_a_regression_is_refused(problem):
    """Targets that are no class indices have no accuracy; the remedy is to leave it out."""
    regression = Problem(double_network, None, "mse", (problem.data[0], torch.zeros(24, 5)))
    with pytest.raises(ValueError, match="leave 'accuracy' out"):
        Evaluator(regression, [], ("loss", "accuracy"))
    assert np.isfinite(Evaluator(regression, []).measure()).all()
