"""Small random data sets in the real files' formats, written by hand from the formats' descriptions."""

import hashlib
import pickle
import struct

import numpy as np


def write_idx(root, family, n_train=64, n_test=32):
    """Write `family` (MNIST or FashionMNIST) as idx files; return {(part, kind): bytes array} of what was written."""
    rng, written = np.random.default_rng(1), {}
    folder = root / family / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", n_train), ("t10k", n_test)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">iiii", 0x803, count, 28, 28) + images.tobytes()
        )
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">ii", 0x801, count) + labels.tobytes()
        )
        written[part] = images, labels
    return written


def write_cifar10(root, monkeypatch, per_batch=32):
    """Write CIFAR-10 as python batches and tell torchvision their checksums; return the rows and labels of all six."""
    from torchvision.datasets import CIFAR10

    rng, folder = np.random.default_rng(2), root / CIFAR10.base_folder
    folder.mkdir(parents=True)
    rows = rng.integers(0, 256, (6, per_batch, 3072), dtype=np.uint8)
    labels = rng.integers(0, 10, (6, per_batch))
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    listed = [
        [name, _write(folder / name, {"data": row, "labels": label.tolist()})]
        for name, row, label in zip(names, rows, labels, strict=True)
    ]
    meta = _write(folder / "batches.meta", {"label_names": [f"class {i}" for i in range(10)]})
    monkeypatch.setattr(CIFAR10, "train_list", listed[:5])
    monkeypatch.setattr(CIFAR10, "test_list", listed[5:])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": meta})
    return rows, labels


def _write(path, content):
    path.write_bytes(pickle.dumps(content))
    return hashlib.md5(path.read_bytes()).hexdigest()
