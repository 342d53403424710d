"""Sections in other people's formats: xarray, VTK (read by VTK itself where it is installed, and by hand), MATLAB."""

import base64
import dataclasses
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import scipy.io
import torch

from landscape_viz import Problem, directions, section
from multifractal import topology
from tests.helpers.small_networks import Point, crooked

AXES = ["-1:1:5", "0:2:4", "-3:0:3"]


def mapped(n):
    """Return a section of a function of n coordinates."""
    data = torch.zeros(2, 1, dtype=torch.float64), torch.zeros(2)
    problem = Problem(_placed(), None, crooked, data)
    return section(problem, directions.random(problem, n, rng=0), AXES[:n], progress=False)


def _placed():
    """Return a network whose filter is not zero, so that directions have a norm."""
    network = Point(3)
    network.where.data += 1
    return network


def arrays(path):
    """Return the arrays of a VTK file by name, decoded by hand, and its root."""
    root = ET.parse(path).getroot()
    found = {}
    for element in root.iter("DataArray"):
        raw = base64.b64decode(element.text)
        assert int.from_bytes(raw[:8], "little") == len(raw) - 8
        kind = {"Float64": "<f8", "Int64": "<i8"}[element.get("type")]
        found[element.get("Name")] = np.frombuffer(raw[8:], kind)
    return found, root


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_grid_file_holds_the_section(n, tmp_path):
    """The .vti has x fastest, and the origin and spacing of the axes; it is not overwritten."""
    result = mapped(n)
    result.to_vtk(tmp_path / "s.vti")
    found, root = arrays(tmp_path / "s.vti")
    assert np.array_equal(found["loss"], result.values["loss"].ravel(order="F"))
    image = root.find("ImageData")
    assert [float(s) for s in image.get("Spacing").split()][:n] == [0.5, 2 / 3, 1.5][:n]
    assert [float(s) for s in image.get("Spacing").split()][n:] == [1] * (3 - n)
    assert [float(s) for s in image.get("Origin").split()] == [-1, 0, -3][:n] + [0] * (3 - n)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        result.to_vtk(tmp_path / "s.vti")


def test_vtk_itself_reads_the_files(tmp_path):
    """VTK's readers give the values at their coordinates, and triangles that cover the plane."""
    pytest.importorskip("vtkmodules")
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOXML import vtkXMLImageDataReader, vtkXMLPolyDataReader

    result = mapped(2)
    for ending, reader in (("vti", vtkXMLImageDataReader()), ("vtp", vtkXMLPolyDataReader())):
        result.to_vtk(tmp_path / f"s.{ending}")
        reader.SetFileName(str(tmp_path / f"s.{ending}"))
        reader.Update()
        read = reader.GetOutput()
        loss = vtk_to_numpy(read.GetPointData().GetArray("loss"))
        assert read.GetNumberOfPoints() == 20
        for number in range(20):
            x, y, z = read.GetPoint(number)
            i, j = np.argmin(abs(result.x - x)), np.argmin(abs(result.y - y))
            assert (x, y) == pytest.approx((result.x[i], result.y[j]))
            assert loss[number] == result.values["loss"][i, j]
            assert ending == "vti" or z == pytest.approx(loss[number])
    assert read.GetNumberOfPolys() == 2 * 4 * 3


def test_a_surface_file_has_holes_where_values_are_missing(tmp_path):
    """Around one NaN six triangles are missing; the others are those of the grid."""
    result = mapped(2)
    grid = result.grid.copy()
    grid[:, 2, 1] = np.nan
    dataclasses.replace(result, grid=grid).to_vtk(tmp_path / "s.vtp")
    found, root = arrays(tmp_path / "s.vtp")
    assert int(root.find("PolyData/Piece").get("NumberOfPolys")) == 2 * 4 * 3 - 6
    assert 2 * 4 + 1 not in found["connectivity"]


def test_refusals(tmp_path):
    """Other endings, unequal steps in a .vti, other dimensions in a .vtp and unknown metrics are refused."""
    result = mapped(2)
    with pytest.raises(ValueError, match="end in .vti or .vtp"):
        result.to_vtk(tmp_path / "s.vtk")
    with pytest.raises(ValueError, match="ascend in equal steps"):
        dataclasses.replace(result, x=np.array([0, 1, 2, 3, 5.0])).to_vtk(tmp_path / "s.vti")
    with pytest.raises(ValueError, match="two-dimensional for a surface"):
        mapped(1).to_vtk(tmp_path / "s.vtp")
    with pytest.raises(ValueError, match="metric must be one of"):
        result.to_vtk(tmp_path / "s.vtp", metric="height")


def test_a_matlab_file_holds_the_section(tmp_path):
    """Metrics by name and coordinates come back from scipy's reader."""
    result = mapped(2)
    result.to_matlab(tmp_path / "s.mat")
    read = scipy.io.loadmat(tmp_path / "s.mat")
    assert np.array_equal(read["loss"], result.values["loss"])
    assert np.array_equal(read["x"].ravel(), result.x)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_an_xarray_dataset_holds_the_section(n):
    """Values are found by coordinate; axes carry words and units."""
    pytest.importorskip("xarray")
    result = mapped(n)
    dataset = result.to_xarray()
    assert dataset.loss.dims == ("x", "y", "z")[:n]
    assert float(dataset.loss.sel(x=0.5).values.ravel()[0]) == result.values["loss"][3].ravel()[0]
    assert dataset.x.attrs["long_name"] == result.labels[0]
    assert "multiples" in dataset.x.attrs["units"]


def test_topology_takes_a_section():
    """Of one, two and three directions; in two it is that of the landscape."""
    for n in (1, 2, 3):
        found = topology(mapped(n))
        assert found.births[0] == mapped(n).values["loss"].min()
    assert np.array_equal(topology(mapped(2)).pairs, topology(mapped(2).to_landscape()).pairs)
