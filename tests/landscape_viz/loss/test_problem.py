"""Problem: modes, copies, records that tell problems apart, and refusals."""

import pickle
import re
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from landscape_viz import Problem, directions, section
from tests.helpers.small_networks import Point, SmallConv, crooked, images

pytestmark = pytest.mark.quick


def problem(**changes):
    """A small convolutional problem."""
    arguments = {
        "factory": SmallConv,
        "state": None,
        "loss": "cross_entropy",
        "data": images(),
    } | changes
    return Problem(**arguments)


def as_data_set():
    """A loader that returns an object with training tensors."""
    inputs, targets = images()
    return SimpleNamespace(train_inputs=inputs, train_targets=targets)


def test_own_network_and_data_are_three_lines():
    """A user's own network gives a section from its problem, directions and axes."""
    mine = Problem(SmallConv, SmallConv().state_dict(), "cross_entropy", images())
    plane = directions.random(mine, 2, rng=0)
    assert section(mine, plane, ["-1:1:3", "-1:1:2"]).values["loss"].shape == (3, 2)


def test_the_state_is_copied():
    """Training the network further changes neither the problem's weights nor its record."""
    network = SmallConv()
    mine = problem(state=network.state_dict())
    record, weights = mine.record(), mine.weights()
    with torch.no_grad():
        network.last.weight += 1
    assert mine.record() == record
    assert torch.equal(mine.weights(), weights)
    assert not torch.equal(mine.build().last.weight, network.last.weight)


def test_a_problem_builds_the_network_of_its_weights():
    """Not those that the factory draws: the state that was given, in every tensor, shared or not."""
    state = {name: torch.full_like(t, 3) for name, t in SmallConv().state_dict().items()}
    for sharing in (False, True):
        built = problem(state=state).build(sharing=sharing).state_dict()
        assert all(torch.equal(built[name], t) for name, t in state.items())


def test_batches_are_made_smaller_only_where_they_are_no_part_of_the_loss():
    """BatchNorm on its batches and dropout are refused, running statistics and networks without BatchNorm are not."""
    assert problem().in_micro_batches(3).batch_size == 3
    assert problem(batch_size=2).in_micro_batches(3).batch_size == 2
    for changes, words in (
        ({"batch_norm": "batch"}, "BatchNorm batch"),
        ({"dropout": "fixed"}, "dropout fixed"),
    ):
        with pytest.raises(ValueError, match=words):
            problem(**changes).in_micro_batches(3)
    plain = Problem(Point, None, crooked, images(), batch_norm="batch")
    assert plain.in_micro_batches(3).batch_size == 3


def test_random_state_and_initial_weights_belong_to_the_seed():
    """Building leaves torch's random state alone, and without a state gives the seed's own weights."""
    before = torch.get_rng_state()
    first, again, other = (problem(rng=seed).weights() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("batch_norm", ["eval", "batch", "recalibrate"])
@pytest.mark.parametrize("dropout", ["off", "fixed", "live"])
def test_modes_set_each_kind_of_layer(batch_norm, dropout):
    """BatchNorm follows its own mode, everything else that of dropout; running statistics never drift in batch mode."""
    model = problem(batch_norm=batch_norm, dropout=dropout).build()
    assert model.norm.training == (batch_norm == "batch")
    assert model.training == model.drop.training == (dropout != "off")
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model(images()[0])
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


def test_flatten_and_unflatten_undo_each_other():
    """Vectors keep the order and the values of the named parameters."""
    mine = problem()
    parts = mine.unflatten(mine.weights())
    assert list(parts) == list(mine.shapes) == [name for name, _ in SmallConv().named_parameters()]
    assert torch.equal(mine.flatten(parts), mine.weights())


def test_with_a_loader_only_its_name_travels():
    """A problem whose data are a loader pickles to the size of its weights, and loads the same data again."""
    mine = problem(data=partial(images, n=5000))
    content = pickle.dumps(mine)
    assert len(content) < 4 * mine.weights().nbytes
    assert torch.equal(pickle.loads(content).load()[0], mine.load()[0])  # noqa: S301


def test_another_default_dtype_elsewhere_is_refused():
    """Where torch's default dtype would make another network than in the parent, building it is refused."""
    mine = Problem(partial(nn.Linear, 2, 2), None, "mse", (torch.zeros(1, 2), torch.zeros(1, 2)))
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(
            ValueError,
            match=r"make a network of torch.float32 in every process, got 'torch.float64'",
        ):
            mine.build()
    finally:
        torch.set_default_dtype(torch.float32)


def test_names_and_data_sets_are_found():
    """'module:function' is the function, and a data set's training part is the data."""
    mine = problem(factory="tests.helpers.small_networks:SmallConv", data=as_data_set)
    assert (
        mine.record()["factory"]
        == problem().record()["factory"]
        == "tests.helpers.small_networks:SmallConv"
    )
    assert torch.equal(mine.load()[1], images()[1])


@pytest.mark.parametrize(
    "changes",
    [
        {"factory": partial(SmallConv, double=False)},
        {"state": SmallConv().state_dict()},
        {"loss": crooked},
        {"data": images(seed=1)},
        {"data": partial(images, seed=0)},
        {"batch_norm": "batch"},
        {"dropout": "fixed"},
        {"batch_size": 8},
        {"rng": 1},
    ],
)
def test_records_tell_problems_apart(changes):
    """Equal problems have equal records; any change shows in the record under its name."""
    assert problem().record() == problem().record()
    differing = {
        name
        for name, value in problem(**changes).record().items()
        if value != problem().record()[name]
    }
    assert differing >= changes.keys()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"factory": lambda: SmallConv()}, "factory must be importable"),
        ({"factory": "tests.helpers.small_networks:Missing"}, "has no attribute 'Missing'"),
        ({"factory": images}, "factory must make a torch.nn.Module"),
        ({"loss": "hinge"}, "loss must be importable"),
        (
            {"data": (torch.zeros(3, 2), torch.zeros(4))},
            "data must have as many inputs as targets, and some, got (3, 4)",
        ),
        ({"batch_norm": "train"}, "batch_norm must be one of 'eval', 'batch', 'recalibrate'"),
        ({"dropout": "on"}, "dropout must be one of"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"params": []}, "params must be the start of names"),
        ({"params": ["last.bias", "missing"]}, "params must be the start of names"),
        ({"params": 3}, "params must be the start of names"),
        (
            {"state": {k: v for k, v in SmallConv().state_dict().items() if k != "last.bias"}},
            "last.bias is missing",
        ),
        (
            {"state": SmallConv().state_dict() | {"more": torch.zeros(2)}},
            "more is not in the network",
        ),
        (
            {"state": SmallConv().state_dict() | {"last.bias": torch.zeros(7)}},
            "last.bias has shape (7,) instead of (5,)",
        ),
    ],
)
def test_bad_input_is_refused_with_its_rule(changes, words):
    """Each refusal names the argument, or the tensors of a state that does not fit."""
    with pytest.raises(ValueError, match=re.escape(words)):
        problem(**changes)


def test_repr_says_what_it_is():
    """The repr names the factory, the number of parameters and the modes."""
    assert repr(Problem(Point, None, crooked, images())).startswith(
        "Problem(tests.helpers.small_networks:Point, 2 parameters, tests.helpers.small_networks:crooked"
    )
