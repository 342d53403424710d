"""The commands `landscape` and `multifractal`: what they write, their exit codes, and that the wheel declares them."""

import importlib
import sys
import tomllib

import pytest
import torch

from landscape_viz import FractalReport, Section
from landscape_viz import __main__ as landscape
from multifractal import __main__ as multifractal
from tests.conftest import ROOT

CODE = """
import torch
def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
def data():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 2, generator=generator), torch.arange(8) % 2
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Return a folder, the present one, with a module of the user's; its network and data in arguments."""
    (tmp_path / "mine_at_the_shell.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return ["mine_at_the_shell:network", "--data", "mine_at_the_shell:data", "--folder", "out"]


def test_a_section_from_the_shell(mine, tmp_path, capsys):
    """The file holds the asked points around given weights, beside picture and page; --resume goes on, and without it is refused."""
    module = importlib.import_module("mine_at_the_shell")
    network = module.network()
    state = {name: 2 * tensor for name, tensor in network.state_dict().items()}
    torch.save(state, tmp_path / "weights.pt")
    asked = ["section", *mine, "--points", "5", "--state", "weights.pt"]
    assert landscape.main(asked) == 0
    result = Section.load(tmp_path / "out" / "section.npz")
    assert result.grid.shape[1:] == (5, 5)
    network.load_state_dict(state)
    loss = torch.nn.functional.cross_entropy(network(module.data()[0]), module.data()[1])
    assert result.values["loss"][2, 2] == pytest.approx(loss.item(), rel=1e-6)
    assert (tmp_path / "out" / "section.html").stat().st_size > 1e6
    assert landscape.main(asked) == 1
    assert "section.store; pass --resume to go on" in capsys.readouterr().err
    assert landscape.main([*asked, "--resume"]) == 0
    assert "section.png" in capsys.readouterr().out


@pytest.mark.slow
def test_a_report_from_the_shell(mine, tmp_path, capsys):
    """The verdict is printed and kept."""
    assert landscape.main(["report", *mine, "--points", "113"]) == 0
    assert str(FractalReport.load(tmp_path / "out" / "report.npz")) in capsys.readouterr().out


def test_what_the_user_can_mend_is_one_line(mine, capsys):
    """A function that is not there, or that needs arguments, gives exit status 1 and one line."""
    for factory, words in (
        ("mine_at_the_shell:nothing", "module:function"),
        ("textwrap:dedent", "called without arguments, got 'textwrap:dedent'"),
    ):
        assert landscape.main(["section", factory, *mine[1:]]) == 1
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "package", "extra"), [("fetch", "pooch", "fetch"), ("train", "jax", "training")]
)
def test_a_missing_package_is_named_before_any_work(
    command, package, extra, monkeypatch, tmp_path, capsys
):
    """What a command cannot do without is asked for first: one line with the extra, no folder made, nothing fetched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MULTIFRACTAL_DATA", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    assert multifractal.main([command]) == 1
    said = capsys.readouterr().err
    assert f"pip install 'multifractal-landscapes[{extra}]'" in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["report", "section", "visualise", "compare"])
def test_without_torch_a_network_is_refused_in_a_line(command, monkeypatch, tmp_path, capsys):
    """Wherever it is that torch is loaded first: each command of networks names its extra."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.startswith("landscape_viz.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    needs = ["mine:network", "--data", "mine:data"] if command in ("report", "section") else []
    assert landscape.main([command, *needs]) == 1
    said = capsys.readouterr().err
    assert "pip install 'multifractal-landscapes[networks]'" in said
    assert said.count("\n") == 1


def test_the_demo_from_the_shell(tmp_path, capsys):
    """The picture is drawn, and the exponent printed."""
    words = ["demo", "--folder", str(tmp_path), "--size", "64", "--steps", "500"]
    assert multifractal.main(words) == 0
    assert (tmp_path / "demo.png").exists()
    assert "TAMSD grows as lag^" in capsys.readouterr().out
    assert multifractal.main(["demo", "--steps", "10"]) == 1
    assert "--steps must be a whole number, at least 65, got 10" in capsys.readouterr().err


def test_commands_are_passed_on(monkeypatch):
    """The words after each command reach what it stands for, and its exit status comes back."""
    seen = []
    for module in ("reproduction", "training", "source_data"):
        other = importlib.import_module(f"multifractal.{module}.__main__")
        name = "command"
        monkeypatch.setattr(other, name, lambda words, at=module: seen.append((at, words)) or 7)
    assert multifractal.main(["report", "--surfaces", "2"]) == 7
    assert multifractal.main(["train", "--lr", "1"]) == 7
    given = [[word, "--folder", "x"] for word in ("fetch", "list", "verify", "accept")]
    assert [multifractal.main(words) for words in given] == [7] * 4
    assert seen[:2] == [("reproduction", ["--surfaces", "2"]), ("training", ["--lr", "1"])]
    assert seen[2:] == [("source_data", words) for words in given]
    for module in ("surface", "comparison"):
        other = importlib.import_module(f"landscape_viz.studies.{module}_command")
        monkeypatch.setattr(
            other, "command", lambda words, at=module: seen.append((at, words)) or 7
        )
    assert landscape.main(["visualise", "--epochs", "2"]) == 7
    assert landscape.main(["compare", "--help"]) == 7
    assert seen[6:] == [("surface", ["--epochs", "2"]), ("comparison", ["--help"])]


@pytest.mark.parametrize("command", [multifractal.main, landscape.main])
def test_without_words_a_command_says_what_there_is(command, capsys):
    """The help is printed, and nothing is done."""
    assert command([]) == 0
    assert "report" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        command(["nothing"])


def test_the_commands_are_declared():
    """Each of pyproject's scripts is a function that exists."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(scripts) == {"landscape", "multifractal"}
    for target in scripts.values():
        module, name = target.split(":")
        assert callable(getattr(importlib.import_module(module), name))
