"""The scripts in experiments/: outputs, reports that need nothing else, going on after a stop, refusals."""

import argparse
import contextlib
import io
import json
import re
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from experiments import (
    compare_architectures,
    data_preparation,
    run_full_analysis,
    train_and_analyze,
)
from landscape_viz import Eigenpairs, Section, checkpoint, datasets, small_models, training
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.studies import comparison, experiment, full_analysis
from multifractal.base.files import DamagedFileError
from tests.helpers.small_data import write_cifar10

QUICK = "--dataset digits --epochs 3 --analysis_samples 64 --hessian_iters 6".split()


@pytest.fixture(autouse=True)
def _one_thread():
    """Pin torch to one thread: the machine is shared."""
    with pinned_threads(1):
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder of a short run of train_and_analyze."""
    folder = tmp_path_factory.mktemp("run") / "outputs"
    said = io.StringIO()
    with pinned_threads(1), contextlib.redirect_stdout(said):
        train_and_analyze.main([*QUICK, "--save_dir", str(folder)])
    (folder / "said.txt").write_text(said.getvalue())
    return folder


def test_defaults_are_those_of_the_issue():
    """Flags and defaults of train_and_analyze, as users of the script that it replaces know them."""
    known = {
        "model": "mlp",
        "dataset": "synthetic",
        "epochs": 10,
        "batch_size": 128,
        "lr": 0.1,
        "analysis_samples": 512,
        "hessian_iters": 20,
        "download_data": False,
        "save_dir": "experiments/outputs",
    }
    flags = vars(train_and_analyze.parser().parse_args([]))
    assert {name: flags[name] for name in known} == known
    assert {"num_workers", "data_root"} <= flags.keys()


def test_the_perceptron_is_3072_512_256_10_and_the_synthetic_set_is_neither_trivial_nor_random():
    """Layer sizes on the default set; a short training beats chance (10 %) by far and is not perfect."""
    chosen = experiment.subject("synthetic", "mlp")
    model = chosen.factory()
    sizes = [layer.weight.shape for layer in model.layers if hasattr(layer, "weight")]
    assert sizes == [(512, 3072), (256, 512), (10, 256)]
    run = training.train(
        model, chosen.data, epochs=2, batch_size=128, optimizer="momentum", learning_rate=0.1
    )
    assert 0.6 < run.test_accuracy[-1] < 0.95


def test_outputs_of_train_and_analyze(trained):
    """Pictures, the numbers behind them and the best epoch's weights, which give the accuracy of that epoch."""
    for name in ("hessian.png", "interp_1d.png", "random_1d.png", "contour_2d.png"):
        assert (trained / name).stat().st_size > 10_000
    run = training.TrainingHistory.load(trained / "training.npz")
    stored = checkpoint.load(trained / "model.pth")
    assert stored.verified
    plain = torch.load(trained / "model.pth")
    best = int(np.argmax(run.test_accuracy))
    chosen = experiment.subject("digits", "mlp")
    model = chosen.factory()
    model.load_state_dict(plain)
    measured = training.evaluate(model, chosen.data.test_inputs, chosen.data.test_targets)[
        "accuracy"
    ]
    assert stored.training["epoch"] == best + 1
    assert measured == run.test_accuracy[best] > 0.8
    assert (run.optimizer, run.learning_rate, run.batch_size) == ("momentum", 0.1, 128)
    assert (np.diff(run.train_accuracy) > 0).all()
    assert run.train_accuracy[-1] > 0.8
    random = Section.load(trained / "random_1d.npz")
    assert (random.x[0], random.x[-1], random.metrics) == (-1, 2, ["loss", "accuracy"])
    line = Section.load(trained / "interp_1d.npz")
    assert "accuracy" in line.metrics
    for name, x in (("random_1d", 0), ("interp_1d", 0)):
        section = Section.load(trained / f"{name}.npz")
        at_zero = section.values["loss"][np.argmin(np.abs(section.x - x))]
        # both lines start from the trained weights
        np.testing.assert_allclose(at_zero, random.values["loss"][20], rtol=1e-4)
    middle = chosen.problem(stored.state_dict, 64)
    model.load_state_dict(checkpoint.load(trained / "checkpoints" / "epoch_0000.pt").state_dict)
    with torch.no_grad():
        start = torch.nn.functional.cross_entropy(
            model(middle.data[0]).double(), middle.data[1]
        ).item()
    at_start = line.values["loss"][np.argmin(np.abs(line.x - 1))]
    # float32 weights, rounded once along the line
    np.testing.assert_allclose(at_start, start, rtol=1e-4)
    assert Section.load(trained / "contour_2d.npz").grid.shape == (2, 25, 25)
    pairs = Eigenpairs.load(trained / "hessian.npz")
    said = (trained / "said.txt").read_text()
    assert f"largest Hessian eigenvalue: {pairs.values[0]:.4g}, residual " in said
    assert ("raise --hessian_iters" in said) != pairs.converged
    assert pairs.products <= 5 * 6
    assert pairs.values[0] > 0


def test_data_preparation_counts_and_keeps_a_draw(tmp_path, capsys):
    """The published command's job: what is there is checked and counted, a draw is kept, and not replaced unasked."""
    words = ["--dataset", "digits", "--data_root", str(tmp_path), "--samples", "50"]
    data = data_preparation.main(words)
    said = capsys.readouterr().out
    assert "deviation 1.0000; images by class: 149, 144" in said
    assert ", ".join(map(str, np.bincount(data.test_targets))) in said
    kept = np.load(tmp_path / "digits_50.npz")
    np.testing.assert_array_equal(kept["targets"], data.batch(50, rng=0)[1])
    with pytest.raises(FileExistsError, match="digits_50"):
        data_preparation.main(words)


def test_an_archive_that_is_there_is_unpacked_without_a_download(tmp_path, monkeypatch):
    """CIFAR-10 as an archive, torchvision's downloader made to fail: it is read; a damaged archive is refused."""
    import hashlib
    import tarfile

    from torchvision.datasets import CIFAR10

    (tmp_path / "made").mkdir()
    rows, labels = write_cifar10(tmp_path / "made", monkeypatch)
    archive = tmp_path / CIFAR10.filename
    with tarfile.open(archive, "w:gz") as file:
        file.add(tmp_path / "made" / CIFAR10.base_folder, CIFAR10.base_folder)
    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", None)
    monkeypatch.setattr(CIFAR10, "tgz_md5", "0" * 32)
    with pytest.raises(datasets.MissingDataError, match="missing"):
        data_preparation.main(["--data_root", str(tmp_path)])
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    data = data_preparation.main(["--data_root", str(tmp_path)])
    np.testing.assert_array_equal(data.test_targets, labels[5])
    assert data.train_inputs.shape == (5 * rows.shape[1], 3, 32, 32)


def test_a_stopped_run_goes_on_to_the_same_files(trained, tmp_path):
    """Without its last checkpoint, plane and weights, a copy of the folder gets the same ones again."""
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    for name in ("checkpoints/epoch_0003.pt", "contour_2d.npz", "model.pth", "training.npz"):
        (copy / name).unlink()
    kept = (copy / "hessian.npz").stat().st_mtime_ns
    train_and_analyze.main([*QUICK, "--save_dir", str(copy), "--resume"])
    one, other = (Section.load(folder / "contour_2d.npz") for folder in (trained, copy))
    assert np.array_equal(one.grid, other.grid)
    assert (copy / "hessian.npz").stat().st_mtime_ns == kept


@pytest.mark.parametrize(
    ("change", "words"),
    [(["--epochs", "4"], "epochs 3, now 4"), (["--lr", "0.05"], "lr 0.1, now 0.05")],
)
def test_a_folder_of_other_settings_is_refused(trained, change, words):
    """The difference is named and nothing is touched."""
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    with pytest.raises(FileExistsError, match=words):
        train_and_analyze.main([*QUICK, *change, "--save_dir", str(trained), "--resume"])
    assert before == {path: path.stat().st_mtime_ns for path in trained.rglob("*")}


def test_a_folder_of_unknown_results_is_refused(tmp_path):
    """Results without our record are not mixed with ours; other files do not matter; a damaged result is not used."""
    (tmp_path / "notes.txt").write_text("mine")
    experiment.Experiment(tmp_path / "sub", {"a": 1})
    (tmp_path / "old.npz").write_bytes(b"")
    with pytest.raises(FileExistsError, match=r"hold no other results, got .*old\.npz"):
        experiment.Experiment(tmp_path, {"a": 1})
    made = experiment.Experiment(tmp_path / "sub", {"a": 1})
    (tmp_path / "sub" / "hessian.npz").write_bytes(b"PK damaged")
    with pytest.raises(DamagedFileError, match="hessian"):
        made.result("hessian", Eigenpairs, None)


def test_a_command_begins_anew_only_when_asked(tmp_path):
    """The folder of an experiment is refused; --overwrite deletes what it wrote, settings too, and no file of the user's."""
    new, resume, overwrite = (
        argparse.Namespace(resume=r, overwrite=o)
        for r, o in ((False, False), (True, False), (False, True))
    )
    asked = partial(experiment.Experiment.asked, "--save_dir", tmp_path)
    written = asked({"a": 1}, new).path("old.npz")
    with pytest.raises(FileExistsError, match=r"with experiment\.json; pass --resume"):
        asked({"a": 1}, new)  # begun, without a result yet
    (tmp_path / "checkpoints").mkdir()
    others = ("mine.npz", "mine.png", "table.csv", "notes.txt", "checkpoints/mine.pt")
    for name in (*others, "checkpoints/epoch_0001.pt"):
        (tmp_path / name).write_bytes(b"")
    written.write_bytes(b"")
    with pytest.raises(
        FileExistsError,
        match=r"--save_dir must hold no results yet.*with experiment\.json, old\.npz;",
    ):
        asked({"a": 1}, new)
    assert asked({"a": 1}, resume).path("old.npz") == written
    with pytest.raises(FileExistsError, match="a 1, now 2"):
        asked({"a": 2}, resume)
    asked({"a": 2}, overwrite)
    kept = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    assert kept == sorted(["experiment.json", *others])
    assert json.loads((tmp_path / "experiment.json").read_text()) == {"a": 2}
    with pytest.raises(FileExistsError, match=r"earlier version; choose another folder"):
        asked({"a": 3}, overwrite)  # nothing tells whose mine.npz is


def test_unknown_names_list_the_known_ones(capsys):
    """A mistyped model or data set is answered with the list."""
    for script, flags, listed in (
        (train_and_analyze, ["--model", "vit"], ("mlp", "resnet20")),
        (run_full_analysis, ["--dataset", "svhn"], ("digits", "fashionmnist", "cifar10")),
        (run_full_analysis, ["--model", "vit"], ("mlp", "resnet18", "resnet20", "vgg")),
    ):
        with pytest.raises(SystemExit):
            script.main(flags)
        message = capsys.readouterr().err
        assert all(name in message for name in listed)


def test_cifar10_is_read_from_a_cache_and_a_hole_in_it_is_named(tmp_path, monkeypatch):
    """A complete cache is used without a download; without one, or with a file missing, the error names the file."""
    with pytest.raises(datasets.MissingDataError, match=r"(?s)data_batch_1.*--download_data"):
        train_and_analyze.main(
            [
                "--dataset",
                "cifar10",
                "--data_root",
                str(tmp_path),
                "--save_dir",
                str(tmp_path / "out"),
            ]
        )
    assert not (tmp_path / "out").exists()
    rows, _ = write_cifar10(tmp_path, monkeypatch)
    chosen = experiment.subject("cifar10", "mlp", data_root=tmp_path)
    assert len(chosen.data.train_targets) == 5 * rows.shape[1]
    next(tmp_path.rglob("data_batch_3")).unlink()
    with pytest.raises(
        datasets.MissingDataError, match="missing: .*data_batch_3;|missing: .*data_batch_3"
    ):
        train_and_analyze.main(
            [
                "--dataset",
                "cifar10",
                "--data_root",
                str(tmp_path),
                "--save_dir",
                str(tmp_path / "out"),
            ]
        )


def test_the_report_holds_everything_and_fetches_nothing(tmp_path, capsys):
    """All chapters: figures inside the page, the numbers of the results in it, no address to fetch, no script."""
    flags = "--epochs 3 --samples 32 --points 5 --visualize --compute-hessian --track-trajectory".split()
    report = run_full_analysis.main([*flags, "--save-dir", str(tmp_path)])
    page = report.read_text()
    assert len(re.findall(r'<img [^>]*alt="[^"]+" src="data:image/png;base64,', page)) == 6
    assert not re.search(
        r"https?:|<script|<link(?! rel=\"icon\" href=\"data:)|src=\"(?!data:)", page
    )
    for title in (
        "Training",
        "The loss around the trained weights",
        "The Hessian",
        "Sharpness",
        "The training run",
    ):
        assert f">{title}</h2>" in page
    pairs = Eigenpairs.load(tmp_path / "hessian.npz")
    run = training.TrainingHistory.load(tmp_path / "training.npz")
    assert f"{pairs.values[0]:.4g}" in page
    assert f"{run.test_accuracy.max():.1%}" in page
    assert json.loads((tmp_path / "experiment.json").read_text())["samples"] == 32
    assert str(report) in capsys.readouterr().out
    changed = report.stat().st_mtime_ns
    # everything is there: only drawn and written again
    run_full_analysis.main([*flags, "--save-dir", str(tmp_path), "--resume"])
    assert report.stat().st_mtime_ns > changed


@pytest.mark.parametrize("kind", small_models.DEPTHS)
def test_small_networks_are_what_their_names_say(kind):
    """Outputs equal the networks written out as sums and concatenations of layers; sizes agree within 15 %."""
    model = small_models.build(kind)
    images = torch.randn(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    pixels = images.reshape(5, 7, 4, 7, 4).mean((2, 4)).reshape(5, 49)
    layers = [
        lambda x, layer=layer: torch.clamp(x @ layer.weight.T + layer.bias, min=0)
        for layer in model.hidden
    ]
    hidden = layers[0](pixels)
    seen = [pixels, hidden]
    for layer in layers[1:]:
        if kind == "dense":
            seen.append(layer(torch.cat(seen, 1)))
        else:
            hidden = layer(hidden) + (hidden if kind == "residual" else 0)
    expected = (
        torch.cat(seen, 1) if kind == "dense" else hidden
    ) @ model.last.weight.T + model.last.bias
    torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-5)
    assert len(model.hidden) == (1 if kind == "shallow" else 12)
    size, width = sum(p.numel() for p in model.parameters()), model.hidden[0].out_features
    assert 0.85 * 16_000 < size <= 1.01 * 16_000
    sizes = [
        small_models._count(kind, w, small_models.DEPTHS[kind], 49, 10) for w in (width, width + 1)
    ]
    assert sizes[0] == size
    assert sizes[1] > 1.01 * 16_000


def test_comparing_architectures(tmp_path):
    """A table with a row a network, its figure, and that the plain deep network trains worst, as its table says."""
    table = compare_architectures.main(
        [
            "--seeds",
            "1",
            "--epochs",
            "5",
            "--samples",
            "64",
            "--points",
            "5",
            "--save-dir",
            str(tmp_path),
        ]
    )
    assert list(table.index) == list(small_models.DEPTHS)
    losses = table["loss_train"]["mean"]
    assert losses["deep"] > 3 * losses.drop("deep").max()
    assert (tmp_path / "architectures.png").stat().st_size > 10_000
    kept = comparison.Compared.load(tmp_path / "residual_0.npz")
    assert dict(zip(kept.names, kept.values, strict=True))["loss_train"] == losses["residual"]
    assert kept.plane[2, 2] == pytest.approx(losses["residual"], rel=1e-6)
    assert "residual" in comparison.as_text(table)


def test_cuda_is_refused_where_there_is_none():
    """The message says what to take instead."""
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here, so its absence cannot be refused")
    with pytest.raises(ValueError, match="take 'cpu' or 'auto'"):
        experiment.device_named("cuda")


@pytest.mark.parametrize(
    ("losses", "said", "barrier"),
    [
        ([9.0, 1.0, 2.0, 5.0, 3.0, 9.0], "climbs 2 nats above both ends", "2 nats"),
        ([9.0, 1.0, 2.0, 2.5, 3.0, 9.0], "rises over no barrier", "0 nats"),
    ],
)
def test_a_barrier_is_what_lies_above_the_higher_end(losses, said, barrier, monkeypatch):
    """On made-up sections: the highest loss between both weights over that of the higher end, and the lowest point of a plane."""
    line = SimpleNamespace(
        x=np.array([-0.5, 0.0, 0.3, 0.6, 1.0, 1.5]), values={"loss": np.array(losses)}
    )
    grid = np.full((3, 3), 4.0)
    grid[0, 1], grid[1, 1] = 0.75, 1.0
    plane = SimpleNamespace(values={"loss": grid}, grid=[grid], status=grid > 9, n_not_finite=0)
    nothing = lambda *_, **__: SimpleNamespace(labels=[0], state_dict=None)  # noqa: E731
    for where, name in (
        (full_analysis.checkpoint, "load"),
        (full_analysis.directions, "toward"),
        (full_analysis.directions, "random"),
        (full_analysis.figures, "line"),
        (full_analysis.figures, "overview"),
    ):
        monkeypatch.setattr(where, name, nothing)
    monkeypatch.setattr(full_analysis.FullAnalysis, "_picture", lambda self, name, axes: name)
    monkeypatch.setattr(
        full_analysis.FullAnalysis,
        "_section",
        lambda self, name, *_: {"line": line, "plane": plane}[name],
    )
    monkeypatch.setattr(
        full_analysis.FullAnalysis,
        "_problem",
        lambda self, sections: SimpleNamespace(weights=lambda: [0]),
    )
    run = full_analysis.FullAnalysis(None, None, SimpleNamespace(checkpoints=[None]), n_points=3)
    chapter = run.landscape()
    assert said in chapter.words[0]
    assert "0.25 nats below the trained point" in chapter.words[1]
    assert chapter.numbers == {
        "loss at the trained weights": "1 nats",
        "highest loss in the plane": "4 nats",
        "barrier on the line": barrier,
    }
