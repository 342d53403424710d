"""Data sets: contents and normalisation from real-format files, learnable synthetic data, and missing or damaged files."""

import re

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from landscape_viz import datasets
from tests.helpers.small_data import write_cifar10, write_idx


def test_digits_are_the_embedded_ones_resized_and_normalised():
    """Each of the 1797 digits appears once with its label, interpolated bilinearly; training pixels have mean 0, sd 1."""
    raw, data = load_digits(), datasets.load("digits")
    assert (len(data.train_targets), len(data.test_targets), data.input_shape) == (
        1437,
        360,
        (1, 28, 28),
    )
    assert abs(data.train_inputs.mean()) < 1e-5
    assert abs(data.train_inputs.std() - 1) < 1e-5
    ours = torch.cat([data.train_inputs, data.test_inputs]).flatten(1).double()
    weights = np.array(
        [np.interp((np.arange(28) + 0.5) * 8 / 28 - 0.5, range(8), unit) for unit in np.eye(8)]
    )
    resized = torch.from_numpy(np.einsum("nij,ia,jb->nab", raw.images, weights, weights)).flatten(1)
    distance = torch.cdist(*((images - images.mean()) / images.std() for images in (ours, resized)))
    nearest = distance.min(1)
    assert sorted(nearest.indices.tolist()) == list(range(1797))
    assert nearest.values.max() < 1e-4
    assert (
        raw.target[nearest.indices].tolist()
        == torch.cat([data.train_targets, data.test_targets]).tolist()
    )


@pytest.mark.parametrize(
    ("name", "family", "mean", "deviation"),
    [("fashionmnist", "FashionMNIST", 0.2860, 0.3530), ("mnist", "MNIST", 0.1307, 0.3081)],
)
def test_idx_files_are_read_and_normalised(tmp_path, name, family, mean, deviation):
    """Images and labels of both parts are those in the files, normalised by the published mean and deviation."""
    written = write_idx(tmp_path, family)
    data = datasets.load(name, data_root=tmp_path)
    for part, inputs, targets in (
        ("train", data.train_inputs, data.train_targets),
        ("t10k", data.test_inputs, data.test_targets),
    ):
        images, labels = written[part]
        np.testing.assert_allclose(inputs[:, 0], (images / 255 - mean) / deviation, atol=1e-6)
        assert targets.tolist() == labels.tolist()
        assert inputs.dtype == torch.float32
        assert targets.dtype == torch.int64


def test_cifar10_batches_are_read_and_normalised(tmp_path, monkeypatch):
    """Pixels arrive channel by channel with each channel's published mean and deviation; five batches train, one tests."""
    rows, labels = write_cifar10(tmp_path, monkeypatch)
    data = datasets.load("cifar10", data_root=tmp_path)
    mean, deviation = np.array([[0.4914, 0.4822, 0.4465], [0.247, 0.243, 0.261]])[
        :, None, :, None, None
    ]
    expected = (rows.reshape(-1, 3, 32, 32) / 255 - mean) / deviation
    np.testing.assert_allclose(
        torch.cat([data.train_inputs, data.test_inputs]), expected, atol=2e-6
    )
    assert torch.cat([data.train_targets, data.test_targets]).tolist() == labels.ravel().tolist()
    assert data.train_inputs.is_contiguous()


def test_synthetic_data_can_be_learnt():
    """The nearest class mean of the training part names over 99 % of the test images; chance is 10 %."""
    data = datasets.load("synthetic", input_shape=(3, 32, 32), rng=3)
    means = torch.stack(
        [data.train_inputs[data.train_targets == k].mean(0) for k in range(10)]
    ).flatten(1)
    guessed = torch.cdist(data.test_inputs.flatten(1), means).argmin(1)
    assert (guessed == data.test_targets).float().mean() > 0.99
    assert data.input_shape == (3, 32, 32)
    again = datasets.load("synthetic", input_shape=(3, 32, 32), rng=3)
    assert torch.equal(again.train_inputs, data.train_inputs)


def test_batch_draws_distinct_training_images_and_random_labels_keep_them():
    """A batch holds distinct training images with their labels; random labels change the labels only."""
    data = datasets.load("synthetic", n_train=50, n_test=5)
    inputs, targets = data.batch(50, rng=1)
    order = torch.cdist(inputs.flatten(1), data.train_inputs.flatten(1)).argmin(1)
    assert sorted(order.tolist()) == list(range(50))
    assert order.tolist() != list(range(50))
    assert torch.equal(targets, data.train_targets[order])
    shuffled = data.batch(50, rng=1, random_labels=True)
    assert torch.equal(shuffled[0], inputs)
    assert (shuffled[1] == targets).float().mean() < 0.5
    assert set(shuffled[1].tolist()) <= set(range(10))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cifar10", "cifar-10-batches-py/data_batch_3"),
        ("mnist", "MNIST/raw/t10k-labels-idx1-ubyte"),
        ("fashionmnist", "FashionMNIST/raw/train-images-idx3-ubyte"),
    ],
)
def test_missing_files_are_named_with_the_place_and_the_remedy(tmp_path, name, file):
    """The message says which files, under which folder, and how to get them."""
    with pytest.raises(datasets.MissingDataError) as caught:
        datasets.load(name, data_root=tmp_path)
    for words in (
        str(tmp_path / file),
        str(tmp_path.resolve()),
        "--download_data",
        "--data_root",
        "http",
    ):
        assert words in str(caught.value)


def test_one_missing_file_is_named_alone(tmp_path):
    """Of a data set that lacks one file, only that file is named."""
    write_idx(tmp_path, "MNIST")
    (tmp_path / "MNIST/raw/train-labels-idx1-ubyte").unlink()
    with pytest.raises(datasets.MissingDataError) as caught:
        datasets.load("mnist", data_root=tmp_path)
    assert "train-labels" in str(caught.value)
    assert "train-images" not in str(caught.value)


def test_a_damaged_cifar_batch_is_never_unpickled(tmp_path, monkeypatch):
    """A batch whose MD5 differs is named and refused before its pickle is read."""
    write_cifar10(tmp_path, monkeypatch)
    victim, trace = tmp_path / "cifar-10-batches-py/data_batch_2", tmp_path / "executed"
    victim.write_bytes(b"cposix\nsystem\n(S'touch " + str(trace).encode() + b"'\ntR.")
    with pytest.raises(datasets.MissingDataError, match="not matching its MD5: .*data_batch_2"):
        datasets.load("cifar10", data_root=tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize("keep", [5, 2000])
def test_a_truncated_idx_file_is_refused(tmp_path, keep):
    """A file cut short is refused and the data set's files are listed."""
    write_idx(tmp_path, "MNIST")
    victim = tmp_path / "MNIST/raw/train-images-idx3-ubyte"
    victim.write_bytes(victim.read_bytes()[:keep])
    with pytest.raises(
        datasets.MissingDataError, match="could not be read .*train-images-idx3-ubyte"
    ):
        datasets.load("mnist", data_root=tmp_path)


def test_labels_that_no_class_has_are_refused(tmp_path):
    """A label beyond the classes is refused when the set is read, not as an index error in training."""
    write_idx(tmp_path, "MNIST")
    victim = tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte"
    victim.write_bytes(victim.read_bytes()[:-1] + b"\xc8")
    with pytest.raises(datasets.MissingDataError, match="labels from 0 to 200, 10 classes"):
        datasets.load("mnist", data_root=tmp_path)


def test_a_failed_download_says_so(tmp_path):
    """Without a connection (tests have none) --download_data ends in a clear error, not in a traceback of urllib."""
    with pytest.raises(datasets.MissingDataError, match="could not be fetched or read"):
        datasets.load("cifar10", data_root=tmp_path, download=True)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: datasets.load("imagenet"), "name must be one of 'digits'"),
        (lambda: datasets.synthetic(input_shape=(8, 8)), "input_shape must be three whole numbers"),
        (lambda: datasets.synthetic(input_shape=8), "input_shape must be three whole numbers"),
        (lambda: datasets.synthetic(input_shape=(1, 8, 0)), "input_shape must be a whole number"),
        (lambda: datasets.synthetic(noise=-1e-9), "noise must be at least 0"),
        (
            lambda: datasets.load("digits").batch(2000),
            "size must be at most the 1437 training images, got 2000",
        ),
        (
            lambda: datasets.load("digits").batch(0),
            "size must be a whole number, at least 1, got 0",
        ),
    ],
)
def test_bad_input_is_refused_with_its_rule(call, words):
    """Each refusal names the argument, its value and the rule."""
    with pytest.raises(ValueError, match=re.escape(words)):
        call()
