"""Training: the first steps against a plain loop, learning, resuming to the same bits, and refusals."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from landscape_viz import checkpoint, datasets, models, training
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.optimizers import Rule
from multifractal.base.rng import realisation

OPTIMIZERS = ("sgd", "momentum", "adam")


@pytest.fixture(autouse=True)
def _one_thread():
    """Pin torch to one thread: bits depend on the number."""
    with pinned_threads(1):
        yield


def _data():
    return datasets.load("synthetic", input_shape=(1, 8, 8), n_train=203, n_test=50)


def _model(hidden=16, dropout=0.2, seed=0):
    return models.build("mlp", input_shape=(1, 8, 8), hidden=(hidden,), dropout=dropout, rng=seed)


def _digest(model):
    return checkpoint.content_sha256(dict(model.state_dict()))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_epoch_is_the_plain_loop_by_hand(optimizer):
    """Two epochs equal the update formulas of SGD, momentum and Adam written out, to float32 rounding."""
    data, model, twin = _data(), _model(dropout=0.0), _model(dropout=0.0)
    training.train(
        model, data, epochs=2, batch_size=50, optimizer=optimizer, learning_rate=0.01, rng=4
    )
    first, second = ([torch.zeros_like(p) for p in twin.parameters()] for _ in range(2))
    step = 0
    for epoch in (1, 2):
        order = torch.from_numpy(realisation(4, epoch).permutation(203))
        for chosen in (order[:50], order[50:100], order[100:150], order[150:200], order[200:]):
            step += 1
            loss = cross_entropy(twin(data.train_inputs[chosen]), data.train_targets[chosen])
            gradients = torch.autograd.grad(loss, list(twin.parameters()))
            with torch.no_grad():
                for p, g, m, v in zip(twin.parameters(), gradients, first, second, strict=True):
                    if optimizer == "adam":
                        m.mul_(0.9).add_(0.1 * g)
                        v.mul_(0.999).add_(0.001 * g * g)
                        p -= 0.01 * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
                    else:
                        m.mul_(0.9 if optimizer == "momentum" else 0.0).add_(g)
                        p -= 0.01 * m
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-6)


def test_training_learns_and_its_history_is_true():
    """The loss falls, the test accuracy exceeds .9 (chance .1), and the last entry is that of the network handed back."""
    data, model = datasets.load("synthetic"), models.build("mlp", hidden=(32,))
    run = training.train(model, data, epochs=3, optimizer="adam")
    assert run.train_loss[2] < run.train_loss[0] / 2
    assert run.test_accuracy[-1] > 0.9
    with torch.no_grad():
        outputs = model.eval()(data.test_inputs)
    assert run.test_accuracy[-1] == (outputs.argmax(1) == data.test_targets).double().mean().item()
    assert run.test_loss[-1] == pytest.approx(
        cross_entropy(outputs.double(), data.test_targets).item(), rel=1e-6
    )


def test_each_epoch_has_masks_of_its_own(monkeypatch):
    """Over six epochs of two seeds the generators of dropout are seeded with twelve different numbers."""
    seeds, seeded = [], training.seeded

    def noted(seed):
        seeds.append(seed)
        return seeded(seed)

    monkeypatch.setattr(training, "seeded", noted)
    for rng in (0, 1):
        training.train(_model(), _data(), epochs=6, rng=rng)
    assert len(set(seeds)) == len(seeds) == 12


def test_evaluation_drops_nothing_and_leaves_the_mode():
    """A network in training mode, half of it dropped, is evaluated whole, and is in training mode afterwards."""
    data, model = _data(), _model(dropout=0.5)
    model.train()
    found = training.evaluate(model, data.test_inputs, data.test_targets)
    assert model.training
    with torch.no_grad():
        outputs = model.eval()(data.test_inputs)
    expected = cross_entropy(outputs.double(), data.test_targets).item()
    assert found["loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resumed_runs_are_bitwise_the_straight_one(tmp_path, optimizer):
    """Stopping after epochs 1 and 3 and going on gives the same bits and history as five epochs in one go."""
    data, straight = _data(), _model()
    whole = training.train(straight, data, tmp_path / "a", epochs=5, optimizer=optimizer)
    for epochs in (1, 3, 5):
        model = models.build("mlp", input_shape=(1, 8, 8), hidden=(16,), dropout=0.2, rng=9)
        if epochs == 1:
            model = _model()
        torch.manual_seed(epochs)  # the caller's random stream has no part in it
        parts = training.train(
            model, data, tmp_path / "b", epochs=epochs, optimizer=optimizer, resume=True
        )
    assert _digest(model) == _digest(straight)
    for name in ("train_loss", "test_loss", "test_accuracy"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name))
    assert parts.saved_epochs == whole.saved_epochs == [0, 1, 2, 3, 4, 5]
    ends = [checkpoint.load(tmp_path / part / "epoch_0005.pt").training for part in "ab"]
    # the optimizer's state too
    assert checkpoint.content_sha256(ends[0]) == checkpoint.content_sha256(ends[1])


_ENDLESS = """
import sys, torch
from landscape_viz import datasets, models, training
torch.set_num_threads(1)
model = models.build("mlp", input_shape=(1, 8, 8), hidden=(16,), dropout=0.2)
data = datasets.load("synthetic", input_shape=(1, 8, 8), n_train=203, n_test=50)
training.train(model, data, sys.argv[1], epochs=10_000_000, batch_size=4, save_every=3)
"""


def test_a_killed_run_resumes_to_the_same_bits(tmp_path):
    """SIGKILL somewhere in an epoch: whole checkpoints only are left, and going on gives the bits of a run never killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, tmp_path / "killed"], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while len(training.saved_epochs(tmp_path / "killed")) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    newest = max(training.saved_epochs(tmp_path / "killed"))
    assert newest >= 6
    ends = newest + 2
    resumed, straight = _model(), _model()
    training.train(
        resumed, _data(), tmp_path / "killed", epochs=ends, batch_size=4, save_every=3, resume=True
    )
    training.train(straight, _data(), epochs=ends, batch_size=4)
    assert _digest(resumed) == _digest(straight)


def test_another_number_of_threads_is_refused_without_the_flag(tmp_path):
    """Bits are promised at the recorded thread count; any_threads=True goes on without the promise."""
    training.train(_model(), _data(), tmp_path, epochs=1)
    with pinned_threads(2):
        with pytest.raises(
            ValueError, match=r"threads must be 1 as recorded .* got 2; .*any_threads=True"
        ):
            training.train(_model(), _data(), tmp_path, epochs=2, resume=True)
        run = training.train(_model(), _data(), tmp_path, epochs=2, resume=True, any_threads=True)
    assert len(run.train_loss) == 2
    assert run.threads == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"optimizer": "sgd"}, "optimizer 'adam', now 'sgd'"),
        ({"batch_size": 32}, "batch_size 64, now 32"),
        ({"rng": 1}, "seed 0, now 1"),
        ({"learning_rate": 0.1}, "learning_rate 0.001, now 0.1"),
        ({"model": "other"}, "model 'MLP"),
        ({"data": "other"}, "data 'synthetic"),
    ],
)
def test_resuming_with_other_settings_names_the_difference(tmp_path, change, words):
    """A checkpoint of another run is refused, and left as it is."""
    training.train(_model(), _data(), tmp_path, epochs=1)
    before = (tmp_path / "epoch_0001.pt").read_bytes()
    model = _model(hidden=17) if "model" in change else _model()
    data = (
        datasets.load("synthetic", input_shape=(1, 8, 8), n_train=203, rng=1)
        if "data" in change
        else _data()
    )
    options = {name: value for name, value in change.items() if name not in ("model", "data")}
    with pytest.raises(ValueError, match=re.escape(words)):
        training.train(model, data, tmp_path, epochs=2, resume=True, **options)
    assert (tmp_path / "epoch_0001.pt").read_bytes() == before


def test_existing_checkpoints_need_resume_or_overwrite(tmp_path):
    """Neither asked for: refused before any work. Overwriting deletes the checkpoints of the old run and nothing else."""
    training.train(_model(), _data(), tmp_path, epochs=3)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"with 4 checkpoints; pass resume=True \(--resume\)"):
        training.train(_model(), _data(), tmp_path, epochs=1)
    training.train(_model(), _data(), tmp_path, epochs=1, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch_0000.pt",
        "epoch_0001.pt",
        "notes.txt",
    ]


def test_checkpoints_come_every_n_epochs_and_at_both_ends(tmp_path):
    """save_every=2 over 5 epochs keeps 0, 2, 4 and the last; epoch 0 is the initial network."""
    model = _model()
    before = _digest(model)
    run = training.train(model, _data(), tmp_path, epochs=5, save_every=2)
    assert run.saved_epochs == [0, 2, 4, 5]
    assert (
        checkpoint.content_sha256(checkpoint.load(tmp_path / "epoch_0000.pt").state_dict) == before
    )


def test_a_run_that_diverges_stops_and_keeps_what_it_had(tmp_path):
    """A loss that is not finite ends the run with the rate in the message; the checkpoints before stay."""
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        training.train(_model(), _data(), tmp_path, epochs=50, optimizer="sgd", learning_rate=1e30)
    assert 0 in training.saved_epochs(tmp_path)


def test_training_leaves_the_callers_random_state_and_mode():
    """The random stream of torch, the training flag and the number of threads are as before."""
    model = _model().eval()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    training.train(model, _data(), epochs=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert not model.training
    assert torch.get_num_threads() == 1


def test_a_last_batch_of_one_image_joins_the_one_before():
    """BatchNorm over single values cannot train on one image: 9 images in batches of 4 are 4 and 5."""
    assert [len(batch) for batch in training._batches(torch.arange(9), 4)] == [4, 5]
    assert [len(batch) for batch in training._batches(torch.arange(10), 4)] == [4, 4, 2]
    assert [len(batch) for batch in training._batches(torch.arange(3), 1)] == [1, 1, 1]
    assert [len(batch) for batch in training._batches(torch.arange(1), 4)] == [1]


def test_history_saves_and_loads(tmp_path):
    """A run's history survives a round trip."""
    run = training.train(_model(), _data(), epochs=2)
    run.save(tmp_path / "training.npz")
    again = training.TrainingHistory.load(tmp_path / "training.npz")
    assert np.array_equal(again.train_loss, run.train_loss)
    assert again.optimizer == "adam"
    assert again.provenance == run.provenance


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"optimizer": "lbfgs"},
            "optimizer must be one of 'sgd', 'momentum', 'nesterov', 'adam', got 'lbfgs'",
        ),
        ({"epochs": 0}, "epochs must be a whole number, at least 1, got 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number"),
        ({"save_every": 0}, "save_every must be a whole number"),
        ({"learning_rate": -1}, "learning_rate must be a positive finite number, got -1"),
        ({"resume": True}, "resume must be False without a folder"),
    ],
)
def test_bad_input_is_refused_with_its_rule(options, words):
    """Each refusal names the argument, its value and the rule."""
    with pytest.raises(ValueError, match=re.escape(words)):
        training.train(_model(), _data(), **options)


def test_rates_fall_by_their_schedule():
    """In steps by the decay from each milestone on, its own epoch included; as half a cosine from the rate towards 0; or not."""
    made = {
        "optimizer": "sgd",
        "epochs": 8,
        "learning_rate": 2.0,
        "milestones": (2, 5),
        "decay": 0.5,
    }
    steps = Rule(**made, schedule="steps")
    assert [steps.rate(e) for e in range(8)] == [2, 2, 1, 1, 1, 0.5, 0.5, 0.5]
    cosine = Rule(**made, schedule="cosine")
    assert [cosine.rate(e) for e in (0, 4, 8)] == pytest.approx([2, 1, 0], abs=1e-12)
    assert cosine.rate(2) == pytest.approx(1 + np.sqrt(0.5))
    assert {Rule(**made).rate(e) for e in range(8)} == {2.0}


def test_weight_decay_and_the_cosine_schedule_are_the_plain_loop_by_hand():
    """Three epochs of SGD with both equal w <- w - rate_k (g + decay w), rate_k = rate (1 + cos(pi k / 3)) / 2."""
    data, model, twin = _data(), _model(dropout=0.0), _model(dropout=0.0)
    training.train(
        model,
        data,
        epochs=3,
        batch_size=203,
        optimizer="sgd",
        learning_rate=0.1,
        weight_decay=0.05,
        schedule="cosine",
        rng=4,
    )
    for rate in (0.1, 0.075, 0.025):
        loss = cross_entropy(twin(data.train_inputs), data.train_targets)
        for p, g in zip(
            twin.parameters(), torch.autograd.grad(loss, list(twin.parameters())), strict=True
        ):
            p.data -= rate * (g + 0.05 * p.data)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


def test_a_cosine_run_resumes_to_the_same_weights_and_refuses_another_end(tmp_path):
    """Stopped after two of three epochs, a run goes on to the same bits; with another number of epochs it is refused."""
    options = {"optimizer": "momentum", "weight_decay": 5e-4, "schedule": "cosine"}
    whole, parts = _model(), _model()
    training.train(whole, _data(), tmp_path, epochs=3, **options)
    (tmp_path / "epoch_0003.pt").unlink()
    training.train(parts, _data(), tmp_path, epochs=3, resume=True, **options)
    assert _digest(parts) == _digest(whole)
    with pytest.raises(ValueError, match="cosine_epochs 3, now 4"):
        training.train(_model(), _data(), tmp_path, epochs=4, resume=True, **options)
    with pytest.raises(ValueError, match="schedule must be one of 'constant', 'cosine'"):
        training.train(_model(), _data(), schedule="step")
