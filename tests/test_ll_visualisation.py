"""LL_visualisation.py: published flags, whole runs, kill and resume, other files' checkpoints, and refusals."""

import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import LL_visualisation
from landscape_viz import Section, checkpoint, datasets, directions, models, training
from landscape_viz.loss.precision import pinned_threads
from landscape_viz.studies import surface_run
from landscape_viz.studies.surface_subject import Subject
from tests.conftest import ROOT
from tests.helpers.small_data import write_cifar10

SMALL = "--dataset synthetic --model mlp --visualize y --x -1:1:5 --y -0.5:0.5:3 --workers 1 --device cpu".split()


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Pin torch to one thread."""
    with pinned_threads(1):
        yield


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    """Run where nothing is."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def small_run(tmp_path_factory, _one_thread):
    """Folder of a small whole run; not to be changed."""
    folder = tmp_path_factory.mktemp("small") / "run"
    LL_visualisation.main([*SMALL, "--out", str(folder)])
    return folder


def test_published_flags_have_their_published_defaults():
    """All flags of the published script, three defaults apart: dataset digits, model resnet20, train_mode n."""
    flags = vars(LL_visualisation.parser().parse_args([]))
    published = {
        "batch_size": 64,
        "optimizer": "adam",
        "epochs": 1,
        "save_every": 1,
        "no_drop": "n",
        "load_model": None,
        "visualize": "n",
        "interpolate": "linear",
        "x": "-2.4:2.4:51",
        "y": "-2.4:2.4:51",
        "shuffle": "n",
    }
    assert (
        flags.items()
        >= (published | {"dataset": "digits", "model": "resnet20", "train_mode": "n"}).items()
    )
    assert LL_visualisation.parser().parse_args(["-m", "vgg"]).model == "vgg"


def test_a_whole_run_leaves_everything_where_it_says(small_run, tmp_path, capsys):
    """An estimate first; at the end absolute paths of checkpoint, history, section, picture and page, all of them there."""
    LL_visualisation.main([*SMALL, "--out", "here"])
    said = capsys.readouterr().out
    assert said.index("estimate: about") < said.index("took")
    paths = dict(re.findall(r"^(\w+): +(/.+)$", said, re.M))
    expected = {
        "checkpoint": "epoch_0001.pt",
        "history": "training.npz",
        "section": "section.npz",
        "picture": "section.png",
        "page": "section.html",
    }
    assert {name: paths.get(name) for name in expected} == {
        k: str(tmp_path / "here" / v) for k, v in expected.items()
    }
    for name in expected.values():
        assert (tmp_path / "here" / name).stat().st_size > 500
    ours, other = (
        Section.load(folder / "section.npz") for folder in (tmp_path / "here", small_run)
    )
    assert np.array_equal(ours.grid, other.grid)


def test_the_section_is_the_loss_of_the_trained_network(small_run):
    """Every point equals a plain loop over weights + x d1 + y d2, on the drawn batch, in evaluation mode."""
    section = Section.load(small_run / "section.npz")
    assert section.grid.shape == (2, 5, 3)
    assert (section.problem["batch_norm"], section.problem["dropout"]) == ("eval", "off")
    model = models.build("mlp").eval()
    state = checkpoint.load(small_run / "epoch_0001.pt").state_dict
    inputs, targets = datasets.load("synthetic").batch(64, rng=0)
    rng = np.random.SeedSequence(0)
    subject = Subject(LL_visualisation.parser().parse_args(["-m", "mlp", "--dataset", "synthetic"]))
    plane = directions.random(subject.problem(state), 2, rng=rng)
    for i, x in enumerate(np.linspace(-1, 1, 5)):
        for j, y in enumerate(np.linspace(-0.5, 0.5, 3)):
            first, moved = 0, {}
            for name, tensor in state.items():
                d1, d2 = (
                    torch.tensor(v[first : first + tensor.numel()]).view_as(tensor)
                    for v in plane.vectors
                )
                moved[name] = tensor + x * d1 + y * d2
                first += tensor.numel()
            model.load_state_dict(moved)
            with torch.no_grad():
                loss = cross_entropy(model(inputs).double(), targets).item()
            assert section.values["loss"][i, j] == pytest.approx(loss, rel=1e-5)


def test_the_papers_command_without_its_data_says_what_is_missing(tmp_path):
    """CIFAR-10 is not there: which files, where, and how to get them; nothing is written."""
    command = "--optimizer sgd --epochs 20 --dataset cifar10 --model vgg --visualize y".split()
    with pytest.raises(datasets.MissingDataError, match="data_batch_1.*--download_data"):
        LL_visualisation.main(command)
    assert not list(tmp_path.rglob("*.pt"))


def test_the_papers_network_runs_on_real_format_files(tmp_path, monkeypatch, capsys):
    """VGG-16 trained by SGD on small CIFAR-10 files; train_mode y is batch BatchNorm with live dropout."""
    write_cifar10(tmp_path / "cifar", monkeypatch, per_batch=3)
    with pytest.warns(UserWarning, match="live"):
        section = LL_visualisation.main(
            "--optimizer sgd --epochs 1 --dataset cifar10 --model vgg --visualize y --train_mode y --x -1:1:2 --y -1:1:2 "
            "--batch_size 10 --data_root cifar --workers 1 --device cpu --html n".split()
        )
    assert (section.problem["batch_norm"], section.problem["dropout"]) == ("batch", "live")
    assert np.isfinite(section.values["loss"]).all()
    folder = tmp_path / "results/vgg_sgd_bs=10_dataset=cifar10_epochs=1"
    assert models.parameter_count(models.build("vgg16")) == 33_646_666
    assert checkpoint.load(folder / "epoch_0001.pt").state_dict["fc.5.weight"].shape == (10, 4096)
    assert not (folder / "section.html").exists()


@pytest.mark.parametrize(
    ("model", "flags", "modes"),
    [
        ("mlp", [], ("eval", "off")),
        ("vgg", ["--train_mode", "y"], ("batch", "live")),
        ("vgg", ["--train_mode", "y", "--no_drop", "y"], ("batch", "off")),
        ("resnet20", ["--train_mode", "y"], ("batch", "off")),
        ("vgg", ["--train_mode", "y", "--map_dropout", "fixed"], ("batch", "fixed")),
        ("vgg", ["--map_dropout", "live"], ("eval", "live")),
    ],
)
def test_modes_of_the_section_follow_the_flags(model, flags, modes):
    """--train_mode y means batch BatchNorm and, where the network has dropout and unless set otherwise, live dropout."""
    subject = Subject(LL_visualisation.parser().parse_args(["--model", model, *flags]))
    problem = subject.problem(subject.factory().state_dict())
    assert (problem.batch_norm, problem.dropout) == modes


def test_shuffle_puts_random_labels_on_the_batch(small_run, tmp_path):
    """With random labels the loss at the trained weights is far higher, and the images are the same."""
    LL_visualisation.main(
        [
            *SMALL,
            "--shuffle",
            "y",
            "--out",
            "here",
            "--load_model",
            str(small_run / "epoch_0001.pt"),
        ]
    )
    shuffled, true = (
        Section.load(folder / "section.npz").values["loss"][2, 1]
        for folder in (tmp_path / "here", small_run)
    )
    assert shuffled > 2 * true


def test_a_trained_network_is_mapped_again_beside_its_checkpoint(small_run, tmp_path, capsys):
    """--load_model gives the section of the run that trained, verified, also where its checkpoints lie."""
    state = checkpoint.load(small_run / "epoch_0001.pt")
    checkpoint.save(tmp_path / "epoch_0001.pt", state.state_dict, state.training)
    LL_visualisation.main([*SMALL, "--load_model", "epoch_0001.pt", "--out", "."])
    assert "epoch_0001.pt: verified; test loss" in capsys.readouterr().out
    ours, other = (Section.load(folder / "section.npz") for folder in (tmp_path, small_run))
    assert np.array_equal(ours.grid, other.grid)


def test_a_checkpoint_by_others_is_mapped_and_marked(small_run, capsys):
    """A published {'state_dict': ...} file works, and is said to be unverified; points where the loss overflows are counted."""
    torch.save({"state_dict": models.build("mlp").state_dict(), "epoch": 3}, "model_3.t7")
    with pytest.warns(UserWarning, match="unverified"):
        LL_visualisation.main([*SMALL, "--x", "-1e30:1e30:3", "--load_model", "model_3.t7"])
    said = capsys.readouterr().out
    assert "model_3.t7: UNVERIFIED" in said
    assert "6 of 9 are NaN or inf" in said


def test_a_checkpoint_that_does_not_fit_names_the_tensors():
    """Tensors that are missing, foreign and of another shape are told apart."""
    state = dict(models.build("mlp").state_dict())
    state["layers.0.weight"] = torch.zeros(512, 10)
    state["layers.9.weight"] = state.pop("layers.2.bias")
    checkpoint.save("odd.pt", state)
    with pytest.raises(
        ValueError,
        match=r"layers.2.bias is missing; layers.9.weight is not in the network; "
        r"layers.0.weight has shape \(512, 10\) instead of \(512, 784\)",
    ):
        LL_visualisation.main([*SMALL, "--load_model", "odd.pt"])


class _Hostile:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_a_hostile_pickle_is_refused_and_not_executed(tmp_path):
    """--load_model with a pickle that would make a folder: refused, no folder."""
    torch.save({"state_dict": _Hostile()}, "hostile.pt")
    with pytest.raises(ValueError, match="nothing in it was executed"):
        LL_visualisation.main([*SMALL, "--load_model", "hostile.pt"])
    assert not (tmp_path / "executed").exists()


def test_existing_output_needs_resume_or_overwrite(small_run, tmp_path):
    """Refused before any work, with the files named; the old ones stay as they were; --overwrite replaces them."""
    out = tmp_path / "run"
    LL_visualisation.main([*SMALL, "--out", str(out)])
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(FileExistsError, match=r"epoch_0000.pt.*--resume.*--overwrite"):
        LL_visualisation.main([*SMALL, "--out", str(out)])
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    LL_visualisation.main([*SMALL, "--out", str(out), "--seed", "1", "--overwrite"])
    assert not np.array_equal(
        Section.load(out / "section.npz").grid, Section.load(small_run / "section.npz").grid
    )


def test_a_store_of_another_section_is_refused_with_the_difference(tmp_path):
    """Resuming with another axis names what differs."""
    LL_visualisation.main([*SMALL, "--out", str(tmp_path)])
    with pytest.raises(ValueError, match="axes"):
        LL_visualisation.main([*SMALL, "--x", "-1:1:6", "--out", str(tmp_path), "--resume"])


def test_a_killed_run_resumes_to_the_same_section(tmp_path):
    """SIGKILL to the script and its two workers while they map; --resume ends in the bits of one run by one process."""
    command = "--visualize y --dataset synthetic --model mlp --x -1:1:28 --y -1:1:28 --device cpu --html n".split()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [
            sys.executable,
            ROOT / "LL_visualisation.py",
            *command,
            "--workers",
            "2",
            "--out",
            "killed",
        ],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    store, deadline = tmp_path / "killed/section.store", time.monotonic() + 120
    while (
        not (store.exists() and store.stat().st_size > 7_500)  # a fifth of it
        and time.monotonic() < deadline
        and process.poll() is None
    ):
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert store.exists()
    assert not (tmp_path / "killed/section.npz").exists()
    resumed = LL_visualisation.main([*command, "--workers", "1", "--out", "killed", "--resume"])
    straight = LL_visualisation.main([*command, "--workers", "1", "--out", "straight"])
    assert np.array_equal(resumed.grid, straight.grid)


_ON_A_FULL_DISK = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_full_disk_ends_in_a_clear_error_and_what_was_finished_stays(tmp_path):
    """The system refuses the second, larger checkpoint: no traceback, status 1, the first checkpoint whole."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _ON_A_FULL_DISK,
            ROOT / "LL_visualisation.py",
            *SMALL,
            "--out",
            "full",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search(
        r"error: .*File too large(.|\n)*what was finished stays; make room, then the same command with --resume",
        done.stderr,
    )
    assert training.saved_epochs(tmp_path / "full") == [0]
    assert checkpoint.load(tmp_path / "full/epoch_0000.pt").verified
    assert not list((tmp_path / "full").glob(".*"))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--x", "-1:1"], "--x: axis must read min:max:num"),
        (["--y", "a:b:c"], "--y: axis must read min:max:num"),
        (["--x", "-1:nan:5"], "--x: axis must read min:max:num"),
        (["--y", "1:1:5"], "--y must have two different points"),
        (["--x", "0:1:1"], "--x must have two different points"),
        (["--x", "0:1:2.5"], "--x: axis must read"),
        (["--dataset", "imagenet"], "name must be one of 'digits'"),
        (["--workers", "0"], "--workers must be a whole"),
        (["--epochs", "0"], "--epochs must be a whole number"),
        (["--batch_size", "5000"], "size must be at most the 2000"),
        (["--load_model", "nowhere.pt"], "nowhere.pt"),
        (
            ["--devices", "cpu,tpu"],
            "--devices: device must be a device that torch finds here, got 'tpu'",
        ),
        (["--seed", "-1"], "--seed must be a whole number, at least 0, got -1"),
    ],
)
def test_bad_flags_are_refused_with_the_rule(flags, words, tmp_path):
    """Each refusal names the flag, its value and the rule, before anything is written."""
    with pytest.raises((ValueError, OSError), match=re.escape(words)):
        LL_visualisation.main(
            [
                "--dataset",
                "synthetic",
                "--model",
                "mlp",
                "--visualize",
                "y",
                "--device",
                "cpu",
                *flags,
            ]
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_device_is_refused():
    """--device cuda where torch finds none."""
    with pytest.raises(ValueError, match="no CUDA device; pass --device cpu"):
        LL_visualisation.main([*SMALL, "--device", "cuda"])


@pytest.mark.gpu
def test_the_same_command_runs_on_a_cuda_device():
    """Training and mapping on the device agree with the CPU's section of the same checkpoint to float32 rounding."""
    LL_visualisation.main([*SMALL, "--device", "cuda", "--out", "gpu"])
    ours = LL_visualisation.main([*SMALL, "--out", "cpu", "--load_model", "gpu/epoch_0001.pt"])
    np.testing.assert_allclose(
        Section.load("gpu/section.npz").values["loss"], ours.values["loss"], rtol=1e-4
    )


def test_an_unknown_value_of_a_flag_is_refused_by_name(capsys):
    """The message names the flag and the choices, and ends with status 2."""
    with pytest.raises(SystemExit) as ended:
        LL_visualisation.main(["--visualize", "yes"])
    assert ended.value.code == 2
    assert "--visualize: invalid choice: 'yes'" in capsys.readouterr().err


def test_published_layout_writes_and_reads_the_published_names(tmp_path):
    """Weights, optimizer state and section under the published names too; the first is read back by --load_model."""
    words = [*SMALL, "--published_layout", "--shuffle", "y", "--f", "kernel.json"]
    mapped = LL_visualisation.main(words)
    (folder,) = (tmp_path / "trained_nets").iterdir()
    ours = checkpoint.load(folder / "epoch_0001.pt")
    weights = torch.load(folder / "model_1.t7", weights_only=True)
    optimizer = torch.load(folder / "opt_state_1.t7", weights_only=True)
    assert weights["epoch"] == 1
    assert all(torch.equal(t, ours.state_dict[k]) for k, t in weights["state_dict"].items())
    assert optimizer["optimizer"]["param_groups"] == ours.training["optimizer"]["param_groups"]
    stored = np.load(folder / "loss_landscape_1_linear_eval_y.npy")
    np.testing.assert_array_equal(stored, mapped.values["loss"])
    with pytest.warns(UserWarning, match="unverified"):
        again = LL_visualisation.main(
            [*words, "--load_model", str(folder / "model_1.t7"), "--out", str(tmp_path / "again")]
        )
    np.testing.assert_array_equal(again.values["loss"], mapped.values["loss"])
    assert (tmp_path / "again" / "loss_landscape_1_linear_eval_y.npy").exists()
    with pytest.raises(FileExistsError, match="model_0"):
        LL_visualisation.main(words)


def flags_of(*words):
    """Return the flags of a command."""
    return LL_visualisation.parser().parse_args(["--dataset", "synthetic", *words])


def test_the_rule_of_training_is_what_the_flags_say():
    """A schedule of steps has its factor and epochs; another schedule has none."""
    words = ["--lr_decay", "0.3", "--milestones", "2", "5"]
    for schedule, more in (("constant", {}), ("steps", {"decay": 0.3, "milestones": (2, 5)})):
        run = SimpleNamespace(
            flags=flags_of("--schedule", schedule, "--weight_decay", "0.1", *words)
        )
        assert surface_run.Run._rule(run) == more | {
            "optimizer": "adam",
            "learning_rate": None,
            "momentum": run.flags.momentum,
            "weight_decay": 0.1,
            "schedule": schedule,
        }


@pytest.mark.parametrize(("kind", "statistics"), [("weights", 0), ("states", 2 * 784)])
def test_states_are_moved_with_the_weights_only_where_that_is_asked_for(kind, statistics):
    """--dir_type states adds running means and variances: of ResNet-20's 7 x 16 + 7 x 32 + 7 x 64 channels."""
    subject = Subject(flags_of("--model", "resnet20", "--dir_type", kind))
    network = subject.factory()
    problem = subject.problem(network.state_dict())
    assert len(problem.weights()) == models.parameter_count(network) + statistics


def test_directions_are_written_and_read_again(tmp_path):
    """--dir_file keeps the two directions that were drawn, and gives them back; a line takes the first."""
    subject = Subject(flags_of("--model", "mlp", "--dir_file", "kept.npz"))
    problem = subject.problem(subject.factory().state_dict())
    made, again = subject.plane(problem), subject.plane(problem)
    right = directions.random(problem, 2, norm=subject.flags.norm, rng=0)
    np.testing.assert_array_equal(made.vectors, right.vectors)
    np.testing.assert_array_equal(again.vectors, made.vectors)
    subject.flags.y = "none"
    np.testing.assert_array_equal(subject.plane(problem).vectors, made.vectors[:1])


def test_a_section_is_drawn_again_where_nothing_was(small_run, tmp_path):
    """--draw with --out in a folder that is not there yet writes the pictures into it."""
    file = str(small_run / "section.npz")
    LL_visualisation.main(["--draw", file, "--out", "new/folder", "--html", "n"])
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["section.png"]
