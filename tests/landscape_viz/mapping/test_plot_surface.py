"""Files of plot_surface.py: as its own code fills them, as its plotters read them, and what is refused."""

import sys

import numpy as np
import pytest
import torch

from landscape_viz import Directions, Problem, Section, directions, section

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def problem():
    """Return a problem of classes with a bias, which does not move."""
    torch.manual_seed(0)
    data = torch.randn(8, 3), torch.arange(8) % 2
    return Problem(torch.nn.Linear(3, 2), None, "cross_entropy", data)


@pytest.fixture(scope="module")
def mapped(problem):
    """Return a section that is not square."""
    return section(problem, directions.random(problem, 2), ["-1:1:4", "0:1:3"])


def filled_as_theirs(path, x, y, f):
    """Fill a surface file as their code does: an array (len(x), len(y)), its flat entries in the order of meshgrid(x, y)."""
    losses = -np.ones((len(x), len(y)))
    at = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    for k, (a, b) in enumerate(at):
        losses.ravel()[k] = f(a, b)
    with h5py.File(path, "w") as file:
        file["dir_file"] = "directions.h5"
        file["xcoordinates"], file["ycoordinates"] = x, y
        file["train_loss"], file["train_acc"] = losses, np.full(losses.shape, 25.0)


@pytest.mark.parametrize("count", [3, 4])
def test_their_files_are_read_with_each_value_at_its_place(count, tmp_path):
    """Square or not, entry [i, j] is f(x[i], y[j]); the accuracy is a share, the point not computed NaN."""
    x, y = np.linspace(-1, 1, count), np.linspace(0, 2, 3)
    filled_as_theirs(
        tmp_path / "s.h5", x, y, lambda a, b: -1 if (a, b) == (-1, 2) else 10 * a + b + 11
    )
    found = Section.from_h5(tmp_path / "s.h5")
    expected = 10 * x[:, None] + y + 11
    expected[0, 2] = np.nan
    np.testing.assert_array_equal(found.values["loss"], expected)
    assert found.values["accuracy"][0, 0] == 0.25
    assert found.n_not_finite == 1
    assert found.best()[0] == (-1, 0)


def test_our_file_is_what_their_plotters_draw(mapped, tmp_path):
    """Z has the shape of their meshgrid(x, y), its entries at their places; accuracy in percent."""
    mapped.to_h5(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5") as file:
        wide, high = np.meshgrid(file["xcoordinates"][:], file["ycoordinates"][:])
        z = file["train_loss"][:]
        assert z.shape == wide.shape == (3, 4)
        for k in range(z.size):
            i = list(mapped.x).index(wide.flat[k])
            j = list(mapped.y).index(high.flat[k])
            assert z.flat[k] == mapped.values["loss"][i, j]
        assert file["train_acc"][0, 0] == 100 * mapped.values["accuracy"][0, 0]


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_surface_comes_back(split, mapped, tmp_path):
    """Values and axes are those that were written, of either split; an existing file is not overwritten."""
    mapped.to_h5(tmp_path / "s.h5", split=split)
    found = Section.from_h5(tmp_path / "s.h5", split=split)
    np.testing.assert_array_equal(found.x, mapped.x)
    np.testing.assert_array_equal(found.y, mapped.y)
    np.testing.assert_array_equal(found.values["loss"], mapped.values["loss"])
    np.testing.assert_allclose(found.values["accuracy"], mapped.values["accuracy"], rtol=1e-15)
    with pytest.raises(FileExistsError, match="overwrite"):
        mapped.to_h5(tmp_path / "s.h5")


def test_a_line_comes_back(problem, tmp_path):
    """One direction has no ycoordinates."""
    line = section(problem, directions.random(problem, 1), ["-1:1:5"])
    line.to_h5(tmp_path / "s.h5")
    found = Section.from_h5(tmp_path / "s.h5")
    assert found.y is None
    np.testing.assert_array_equal(found.grid[0], line.grid[0])


def test_directions_come_back_and_are_laid_out_as_theirs(problem, tmp_path):
    """Groups xdirection and ydirection with a tensor a parameter, in the order of the network; read back to the bit."""
    plane = directions.random(problem, 2)
    plane.to_h5(tmp_path / "d.h5", problem)
    with h5py.File(tmp_path / "d.h5") as file:
        assert [file["ydirection"][k].shape for k in ("0", "1")] == [(2, 3), (2,)]
        np.testing.assert_array_equal(file["xdirection"]["0"][()].ravel(), plane.vectors[0][:6])
    np.testing.assert_array_equal(
        directions.from_h5(problem, tmp_path / "d.h5").vectors, plane.vectors
    )


def test_directions_of_states_are_read(tmp_path):
    """A list over the state dict, running statistics included, leaves out what does not move."""
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    problem = Problem(network, None, "cross_entropy", (torch.randn(8, 3), torch.arange(8) % 2))
    with h5py.File(tmp_path / "d.h5", "w") as file:
        group = file.create_group("xdirection")
        for k, tensor in enumerate(network.state_dict().values()):
            group[str(k)] = np.full(tensor.shape, k + 1.0)
    found = directions.from_h5(problem, tmp_path / "d.h5")
    assert isinstance(found, Directions)
    assert found.vectors[0].tolist() == [1.0] * 6 + [2.0] * 2 + [3.0] * 2 + [4.0] * 2


def test_refusals(problem, mapped, tmp_path):
    """Files of other kinds or networks, and three directions, are refused with what to do."""
    (tmp_path / "no.h5").write_text("no")
    mapped.to_h5(tmp_path / "s.h5")
    directions.random(problem, 1).to_h5(tmp_path / "d.h5", problem)
    other = Problem(torch.nn.Linear(2, 2), None, "mse", (torch.randn(4, 2), torch.randn(4, 2)))
    with pytest.raises(ValueError, match="be an HDF5 file"):
        Section.from_h5(tmp_path / "no.h5")
    with pytest.raises(FileNotFoundError, match="check the spelling"):
        Section.from_h5(tmp_path / "nowhere.h5")
    with pytest.raises(ValueError, match="read a file of directions by directions.from_h5"):
        Section.from_h5(tmp_path / "d.h5")
    with pytest.raises(ValueError, match="read a surface by Section.from_h5"):
        directions.from_h5(problem, tmp_path / "s.h5")
    with pytest.raises(ValueError, match="one tensor a parameter"):
        directions.from_h5(other, tmp_path / "d.h5")
    with pytest.raises(ValueError, match="be one or two"):
        directions.random(problem, 3).to_h5(tmp_path / "three.h5", problem)
    with pytest.raises(ValueError, match="hold values on its 4 x 3 points"):
        Section.from_h5(_emptied(tmp_path / "s.h5"))


def _emptied(path):
    with h5py.File(path, "a") as file:
        del file["train_loss"], file["train_acc"]
    return path


def test_without_h5py_the_words_name_it(mapped, tmp_path, monkeypatch):
    """The error holds the line that installs the extra."""
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"multifractal-landscapes\[exchange\]"):
        mapped.to_h5(tmp_path / "s.h5")
