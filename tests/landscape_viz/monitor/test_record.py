"""Records are saved, read and drawn; projections keep distances and exponents; logs can be read back; adapters call the monitor."""

import csv
import json

import numpy as np
import pytest
import torch
from torch import nn

from landscape_viz import EdgeMonitor, EdgeRecord, figures
from landscape_viz.monitor import (
    csv_log,
    json_log,
    lightning_callback,
    tensorboard_log,
    watch_trainer,
)
from landscape_viz.monitor.record import COLUMNS
from landscape_viz.monitor.sketch import MOST, Sketch
from multifractal.base.rng import as_seed_sequence
from tests.landscape_viz.monitor.test_edge_monitor import BOWL, CENTRE, Bowl


def watched(n_steps=60, log=None, make=torch.optim.SGD):
    """Return the monitor of a run on the bowl."""
    model = Bowl()
    optimizer = make(model.parameters(), lr=0.01)
    monitor = EdgeMonitor(model, optimizer, BOWL, every=2, curvature_every=10, log=log)
    for _ in range(n_steps):
        optimizer.zero_grad()
        model.loss(CENTRE).backward()
        monitor.step(CENTRE)
        optimizer.step()
    return monitor


def test_a_record_is_saved_and_read(tmp_path):
    """All columns, positions and words come back."""
    record = watched().record()
    record.save(tmp_path / "run.npz")
    again = EdgeRecord.load(tmp_path / "run.npz")
    assert repr(again) == repr(record)
    assert all(np.array_equal(again[name], record[name], equal_nan=True) for name in COLUMNS)
    assert np.array_equal(again.positions, record.positions)
    assert "30 measurements, 6 of the curvature, SGD" in repr(record)


def test_bounds_belong_to_the_eigenvalue_that_the_optimiser_sees():
    """SGD's bound is for the plain eigenvalue, Adam's for the preconditioned one; the others are held against 2 / eta."""
    plain, adam = watched().record(), watched(make=torch.optim.Adam).record()
    assert np.nanmax(plain.bound("largest_eigenvalue")) == pytest.approx(200)
    assert np.isnan(plain.bound("preconditioned_sharpness")).all()
    assert np.isnan(adam.bound("largest_eigenvalue")[::5]).all()
    assert np.nanmax(adam.bound("preconditioned_sharpness")) == pytest.approx(3800)
    assert np.allclose(adam.bound("critical_sharpness"), 200)
    with pytest.raises(ValueError, match="indicator must be one of"):
        plain.bound("loss")


def sketch_of(walk):
    """Return the sketched positions of a walk, shape (T, d)."""
    sketch = Sketch(torch.zeros(walk.shape[1]), as_seed_sequence(0))
    for position in walk:
        sketch.add(torch.as_tensor(position))
    return sketch.positions()


def test_the_sketch_keeps_squared_distances():
    """Of 200 random vectors of 5000 entries the squared lengths are kept in the mean, with the stated spread of 9 %."""
    vectors = np.random.default_rng(0).normal(size=(200, 5000))
    found = (sketch_of(vectors)[0] ** 2).sum(axis=1) / (vectors**2).sum(axis=1)
    spread = np.sqrt(2 / 256)
    assert abs(found.mean() - 1) < 5 * spread / np.sqrt(200)
    assert found.std() == pytest.approx(
        spread, rel=0.25
    )  # 5 standard errors of a deviation from 200


def test_the_sketch_stays_small():
    """After 10000 positions fewer than 4096 are kept, equally spaced, the first one included."""
    positions, numbers = sketch_of(np.arange(10000.0)[:, None] * np.ones(3))
    assert len(positions) < MOST
    assert set(np.diff(numbers)) == {4}
    assert np.array_equal(np.abs(positions[:, 0]), numbers)


@pytest.mark.parametrize(("exponent", "power"), [(2.0, "straight"), (1.0, "random")])
def test_displacement_exponents_of_known_runs(exponent, power):
    """A straight run has exponent 2, a random walk in 2000 dimensions 1 (to 5 of its own spreads)."""
    rng = np.random.default_rng(1)
    steps = np.ones((400, 2000)) if power == "straight" else rng.normal(size=(400, 2000))
    positions, numbers = sketch_of(np.cumsum(steps, axis=0))
    record = watched(2).record()
    fields = {name: getattr(record, name) for name in record.__dataclass_fields__}
    record = EdgeRecord(**fields | {"positions": positions, "position_steps": numbers})
    assert record.displacement_exponent().exponent == pytest.approx(exponent, abs=0.05)


def test_short_runs_have_no_displacement():
    """Fewer than 16 positions are refused with the remedy."""
    with pytest.raises(ValueError, match="smaller `every`"):
        watched(6).record().displacement()


def test_logs_can_be_read_back(tmp_path):
    """CSV and JSON lines hold the record's columns, missing ones as nan and null; files are not overwritten."""
    table = csv_log(tmp_path / "run.csv")
    record = watched(log=table).record()
    lines = json_log(tmp_path / "run.jsonl")
    watched(log=lines)
    with (tmp_path / "run.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    loaded = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert (
        [int(row["step"]) for row in rows] == record.steps.tolist() == [x["step"] for x in loaded]
    )
    for name in COLUMNS:
        column = np.array([float(row[name]) for row in rows])
        assert np.array_equal(column, record[name], equal_nan=True), name
        known = np.array([np.nan if x[name] is None else x[name] for x in loaded])
        assert np.array_equal(known, record[name], equal_nan=True), name
    with pytest.raises(FileExistsError, match="overwrite=True"):
        csv_log(tmp_path / "run.csv")


def test_the_tensorboard_log_adds_scalars():
    """Each known value becomes a scalar at its step."""
    seen = []
    writer = type("Writer", (), {"add_scalar": lambda self, *scalar: seen.append(scalar)})()
    record = watched(3, log=tensorboard_log(writer)).record()
    losses = [value for name, value, _ in seen if name == "edge/loss"]
    assert losses == record["loss"].tolist()
    assert ("edge/learning_rate", 0.01, 2) in seen


@pytest.mark.usefixtures("drawn")
def test_the_figure_shows_the_record():
    """Loss above; below, each indicator over its bound, and the line of 1."""
    record = watched(make=torch.optim.Adam).record()
    above, below = figures.edge_record(record)
    assert np.array_equal(above.get_lines()[0].get_ydata(), record["loss"])
    ratio = record["critical_sharpness"] / record.bound("critical_sharpness")
    drawn = [line.get_ydata() for line in below.get_lines()]
    assert any(len(y) == len(ratio) and np.allclose(y, ratio) for y in drawn)
    assert "preconditioned" in " ".join(t.get_text() for t in below.get_legend().get_texts())


@pytest.mark.slow
def test_a_lightning_run_is_watched():
    """The callback measures at each multiple of `every` of a real Lightning run, and leaves its weights as they were."""
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(3, 2)

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, index):
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    generator = torch.Generator().manual_seed(0)
    data = torch.randn(32, 3, generator=generator), torch.arange(32) % 2
    ends = []
    for callbacks in ([], [lightning_callback("cross_entropy", every=2, curvature_every=4)]):
        lightning.seed_everything(0)
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data), batch_size=8)
        module = Module()
        lightning.Trainer(
            max_epochs=2,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            accelerator="cpu",
        ).fit(module, loader)
        ends.append(module.net.weight.detach().clone())
    assert torch.equal(*ends)
    record = callbacks[0].monitor.record()
    assert record.steps.tolist() == [0, 2, 4, 6]
    assert np.isfinite(record["critical_sharpness"]).all()


@pytest.mark.slow
def test_a_trainer_of_transformers_is_watched(tmp_path):
    """A real Trainer on a small GPT-2: measured at each multiple of `every`, the weights those of the run alone."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    config = transformers.GPT2Config(n_layer=1, n_head=2, n_embd=16, vocab_size=32, n_positions=16)
    tokens = torch.randint(32, (16, 8), generator=torch.Generator().manual_seed(0))
    data = [{"input_ids": row, "labels": row} for row in tokens]
    ends = []
    for watch in (False, True):
        transformers.set_seed(0)
        trainer = transformers.Trainer(
            transformers.GPT2LMHeadModel(config),
            transformers.TrainingArguments(
                output_dir=str(tmp_path),
                max_steps=5,
                per_device_train_batch_size=4,
                report_to=[],
                save_strategy="no",
                use_cpu=True,
            ),
            train_dataset=data,
        )
        monitor = watch_trainer(trainer, every=2, curvature_every=4) if watch else None
        trainer.train()
        ends.append(torch.cat([p.detach().reshape(-1) for p in trainer.model.parameters()]))
    assert torch.equal(*ends)
    record = monitor().record()
    assert record.steps.tolist() == [0, 2, 4]
    assert np.isfinite(record["largest_eigenvalue"][[0, 2]]).all()
