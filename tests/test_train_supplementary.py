"""train_supplementary.py: outputs, kill and resume to the same bits, refusals, analysis."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

import train_supplementary
from multifractal import (
    Displacement,
    FullBatchRun,
    PathEmbedding,
    Training,
    load_table,
    regime_exponents,
    train_full_batch,
)
from multifractal.training.full_batch import FullBatchDescent
from tests.conftest import ROOT
from tests.helpers import naive

FILES = ("trajectory.npy", "max_eigs.npy", "losses.npy", "learning_curves.npz", "checkpoint.npz")
FLAGS = "--dataset diabetes --lr 0.1 --dropout 0.5 --epochs 60 --hess_every 20 --hess_term 50 --ntrain 400".split()


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    """Folder of a short run; copy it before changing anything."""
    folder = tmp_path_factory.mktemp("small") / "run"
    train_supplementary.main([*FLAGS, "--out", str(folder)])
    return folder


def same_files(one, other):
    """Whether two runs left the same bytes."""
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in FILES)


def test_outputs_are_as_published(small_run):
    """Shapes, names, row 0 the start, eigenvalues at every 20th epoch below 50, parameters and versions in the record."""
    run = FullBatchRun(small_run)
    assert run.positions.shape == (61, 193)
    assert run.positions.dtype == np.float32
    assert isinstance(run.positions, np.memmap)
    data = load_table("diabetes").standardised(400)
    descent = FullBatchDescent(*data, n_train=400, learning_rate=0.1, dropout=0.5, seed=0)
    assert np.array_equal(run.positions[0], descent.start())
    with np.load(small_run / "learning_curves.npz") as curves:
        assert curves["train_losses"].shape == curves["test_losses"].shape == (60,)
        assert np.array_equal(
            run.losses, np.column_stack([curves["train_losses"], curves["test_losses"]])
        )
    assert run.sharpness_epochs.tolist() == [0, 20, 40]
    assert run.sharpness.tolist() == [
        descent.sharpness(run.positions[epoch]) for epoch in (0, 20, 40)
    ]
    record = json.loads((small_run / "run.json").read_text())
    assert record["parameters"]["data_sha256"] == load_table("diabetes").sha256
    assert record["parameters"]["n_train"] == 400
    assert {"jax", "numpy", "python"} <= record["versions"].keys()


def test_defaults_are_the_published_ones():
    """Flags and the default folder's name are the paper's."""
    flags = train_supplementary.parser().parse_args([])
    assert (flags.lr, flags.dropout, flags.epochs, flags.seed) == (0.01, 0.0, 1_000_000, 0)
    assert (flags.hess_every, flags.hess_term, flags.dtype, flags.standardise) == (
        10,
        1000,
        "float32",
        "all",
    )
    assert str(Training(0.1, 0.75).default_folder) == "results/lr=0.1_dropout=0.75_epochs=1000000"


def test_the_real_table_trains_113_parameters(airfoil_table, tmp_path, capsys):
    """All 1503 rows train: no test set is said, the test curve is empty rather than NaN, the loss is the naive twin's."""
    run = train_supplementary.main(
        [
            "--data",
            str(airfoil_table),
            "--out",
            str(tmp_path / "a"),
            "--epochs",
            "40",
            "--lr",
            "0.1",
            "--hess_term",
            "0",
            "--dtype",
            "float64",
        ]
    )
    assert run.positions.shape == (41, 113)
    assert run.sharpness.shape == (0,)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == out[-1] == f"output: {tmp_path / 'a'}"
    assert "no test set: all 1503 rows train" in out
    assert any(line.startswith("estimate: 40 epochs") for line in out)
    with np.load(tmp_path / "a" / "learning_curves.npz") as curves:
        assert curves["test_losses"].shape == (0,)
        x, y = load_table("airfoil", airfoil_table).standardised(1503)
        positions, losses = naive.full_batch_descent(run.positions[0], x, y, 0.1, 40)
        np.testing.assert_allclose(curves["train_losses"], losses, atol=1e-12)
    np.testing.assert_allclose(run.positions[1:], positions, atol=1e-12)


def test_every_nth_epoch_is_stored(small_run, tmp_path):
    """--every 7 stores epochs 0, 7, 14, ... of the same run, whatever the chunks."""
    training = Training(0.1, 0.5, 60, 400, hess_every=20, hess_term=50, every=7)
    run = train_full_batch(load_table("diabetes"), training, tmp_path / "a", chunk=16)
    assert np.array_equal(run.positions, FullBatchRun(small_run).positions[::7])
    assert np.array_equal(run.losses, FullBatchRun(small_run).losses)
    assert np.array_equal(run.sharpness, FullBatchRun(small_run).sharpness)


def test_a_finished_run_can_be_resumed_and_made_longer(small_run, tmp_path):
    """Resuming a finished run changes nothing; with more epochs it goes on to the bits of a run that was that long."""
    folder = shutil.copytree(small_run, tmp_path / "a")
    train_supplementary.main([*FLAGS, "--out", str(folder), "--resume"])
    assert same_files(folder, small_run)
    train_supplementary.main([*FLAGS, "--out", str(folder), "--resume", "--epochs", "90"])
    train_supplementary.main([*FLAGS, "--out", str(tmp_path / "b"), "--epochs", "90"])
    assert same_files(folder, tmp_path / "b")
    assert FullBatchRun(folder).parameters["epochs"] == 90


def test_killed_at_20_random_moments_and_resumed_it_is_the_same_run(tmp_path):
    """A run killed 20 times by SIGKILL, mostly in the middle, ends in the same bytes as one never stopped."""
    output = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "tests.helpers.kill_and_resume",
            str(tmp_path),
            "20",
            "0",
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=500,
    ).stdout
    reached = [float(word) for word in output.split()]
    assert len(reached) == 20
    # killed in at least five different chunks
    assert len({share for share in reached if 0 < share < 1}) >= 5
    assert same_files(tmp_path / "killed", tmp_path / "whole")


def test_resuming_with_repeated_masks_is_noticed(small_run, tmp_path, monkeypatch):
    """Negative control: if dropout restarted from its first mask on resuming, the bytes would differ."""
    training = Training(0.1, 0.5, 60, 400, hess_every=20, hess_term=50)
    table, advance = load_table("diabetes"), FullBatchDescent.advance

    class Stop(Exception):
        pass

    def stop_at_40(self, theta, epoch, n_epochs):
        if epoch >= 40:
            raise Stop
        return advance(self, theta, epoch, n_epochs)

    for folder, resumed in (
        (tmp_path / "right", advance),
        (
            tmp_path / "wrong",
            lambda self, theta, epoch, n: advance(self, theta, max(epoch - 40, 0), n),
        ),
    ):
        monkeypatch.setattr(FullBatchDescent, "advance", stop_at_40)
        with pytest.raises(Stop):
            train_full_batch(table, training, folder, chunk=20)
        monkeypatch.setattr(FullBatchDescent, "advance", resumed)
        train_full_batch(table, training, folder, chunk=20, resume=True)
    assert same_files(tmp_path / "right", small_run)
    assert not same_files(tmp_path / "wrong", small_run)


@pytest.mark.slow
def test_the_script_itself_killed_at_random_times(tmp_path):
    """The command line, killed at 20 random times from its start on (imports and compilation included), then resumed."""
    flags = "--dataset diabetes --lr 0.1 --dropout 0.5 --epochs 200000 --every 10 --hess_term 50 --resume --out".split()
    command = [sys.executable, str(ROOT / "train_supplementary.py"), *flags]
    start = time.perf_counter()
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    duration, draw = time.perf_counter() - start, random.Random(1)
    for _ in range(20):
        child = subprocess.Popen(
            [*command, str(tmp_path / "killed")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(draw.uniform(0, 0.7 * duration))
        child.kill()
        child.wait()
    subprocess.run([*command, str(tmp_path / "killed")], check=True, capture_output=True)
    assert same_files(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.parametrize(
    ("flags", "error", "words"),
    [
        (["--dropout", "1"], ValueError, "dropout must lie in [0, 1), got 1.0"),
        (["--dropout", "nan"], ValueError, "dropout must lie in [0, 1), got nan"),
        (["--lr", "0"], ValueError, "learning_rate must be a positive finite number, got 0.0"),
        (["--epochs", "0"], ValueError, "epochs must be a whole number, at least 1, got 0"),
        (["--every", "0"], ValueError, "every must be a whole number"),
        (["--seed", "-1"], ValueError, "rng must be a whole number"),
        (["--ntrain", "443"], ValueError, "n_train must be at most the table's 442 rows, got 443"),
        (["--lr", "1e9"], FloatingPointError, "the training must stay finite"),
        ([], FileExistsError, "--resume"),
        (["--resume", "--lr", ".2"], ValueError, "learning_rate: 0.1 in the folder, 0.2 asked"),
        (["--resume", "--seed", "1"], ValueError, "seed: 0 in the folder, 1 asked"),
        (["--resume", "--ntrain", "300"], ValueError, "n_train: 400 in the folder, 300 asked"),
        (
            ["--resume", "--epochs", "59"],
            ValueError,
            "epochs must be at least the 60 epochs done, got 59",
        ),
    ],
)
def test_bad_input_is_refused(small_run, tmp_path, flags, error, words):
    """Each refusal names the argument, its value and the rule, and leaves the run in the folder as it is."""
    folder = tmp_path / "new" if "1e9" in flags else shutil.copytree(small_run, tmp_path / "a")
    with pytest.raises(error, match=re.escape(words)):
        train_supplementary.main([*FLAGS, "--out", str(folder), *flags])
    if "1e9" not in flags:
        assert same_files(folder, small_run)


def test_another_data_set_is_refused(small_run, airfoil_table, tmp_path):
    """The folder remembers its table: by name and by checksum."""
    folder = shutil.copytree(small_run, tmp_path / "a")
    with pytest.raises(
        ValueError, match=r"data_sha256: .*dataset: 'diabetes' in the folder, 'airfoil' asked"
    ):
        train_supplementary.main(
            [
                *FLAGS,
                "--out",
                str(folder),
                "--resume",
                "--dataset",
                "airfoil",
                "--data",
                str(airfoil_table),
            ]
        )


def test_no_space_left_is_refused_before_training(tmp_path, monkeypatch):
    """A disk without room is refused with both numbers, and --every as a remedy.

    An epoch is 193 weights, its two losses and their two places in the curves: of a million 789 MB with the checkpoint's 1 MiB.
    """
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**6))
    with pytest.raises(OSError, match=r"needs 0.789 GB on the disk .* 0.001 GB free; .*--every"):
        train_supplementary.main([*FLAGS, "--out", str(tmp_path / "a"), "--epochs", "1000000"])


def test_the_command_line_reports_errors_without_a_traceback(small_run):
    """As a script, a refusal is one line on stderr and exit status 1."""
    done = subprocess.run(
        [sys.executable, "train_supplementary.py", *FLAGS, "--out", str(small_run)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("multifractal train: error: the folder must hold no results yet")
    assert "Traceback" not in done.stderr


def test_analyse_prints_exponents_and_saves_results_and_figures(tmp_path, capsys):
    """--analyse leaves displacement, embedding and figures in the folder and ends with its path; --every N is refused."""
    flags = [
        "--dataset",
        "diabetes",
        "--lr",
        "0.1",
        "--epochs",
        "2200",
        "--hess_every",
        "100",
        "--out",
        str(tmp_path / "a"),
    ]
    with pytest.raises(ValueError, match="--every must be 1 with --analyse"):
        train_supplementary.main([*flags, "--analyse", "--every", "2"])
    assert not (tmp_path / "a").exists()
    with pytest.raises(ValueError, match="--published_layout needs --analyse"):
        train_supplementary.main([*flags, "--published_layout"])
    run = train_supplementary.main([*flags, "--analyse", "--published_layout", "--f", "x.json"])
    published = np.load(run.path / "TAMSDs.npz")
    assert published["TAMSDs"].shape == (
        len(published["waiting_times"]),
        len(published["lag_times"]),
    )
    assert published["window_size"] > 0
    assert np.load(run.path / "trajectory_tsne.npy").shape[1] == 2
    out = capsys.readouterr().out
    displacement = Displacement.load(run.path / "displacement.npz")
    embedding = PathEmbedding.load(run.path / "embedding.npz")
    assert f"diffusion exponent {regime_exponents(displacement)[0].fit.exponent:.3f}" in out
    assert f"{run.sharpness[0] * 0.05:.3f} at the start" in out
    assert embedding.points.shape == (2201, 2)
    assert {p.name for p in (run.path / "figures").glob("*.png")} == {
        "displacement.png",
        "learning.png",
        "path.png",
    }
    assert out.splitlines()[-1] == f"output: {tmp_path / 'a'}"
