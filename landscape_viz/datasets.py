"""Data sets as normalised tensors: digits (embedded), FashionMNIST, MNIST, CIFAR-10 (torchvision), and a synthetic one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from multifractal.base.checks import finite_number, one_of, require, whole_number
from multifractal.base.extras import needed
from multifractal.base.rng import as_generator
from multifractal.base.types import PathLike, Rng

# Mean and standard deviation of the training pixels, one per channel: CIFAR-10 and FashionMNIST as published, MNIST as usual.
_PIXELS = {
    "fashionmnist": ((0.2860,), (0.3530,)),
    "mnist": ((0.1307,), (0.3081,)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)),
}
# torchvision's names
_CLASSES = {"fashionmnist": "FashionMNIST", "mnist": "MNIST", "cifar10": "CIFAR10"}
_DIGITS_TEST = 360  # a fifth of the 1797 digits (our choice)


class MissingDataError(FileNotFoundError):
    """Files of a data set are not there, or not whole; the message says which, where and how to get them."""


@dataclass(frozen=True, repr=False, eq=False)
class Dataset:
    """Images and labels of a data set, whole, on the CPU.

    Attributes
    ----------
    name : str
        The name it was loaded by.
    train_inputs, test_inputs : torch.Tensor
        float32, shape (images, channels, height, width), normalised by the mean and the deviation of the training pixels.
    train_targets, test_targets : torch.Tensor
        int64 labels, shape (images,), from 0 to `n_classes` - 1.
    n_classes : int
        Number of classes.
    """

    name: str
    train_inputs: torch.Tensor
    train_targets: torch.Tensor
    test_inputs: torch.Tensor
    test_targets: torch.Tensor
    n_classes: int = 10

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one image, (channels, height, width)."""
        return tuple(self.train_inputs.shape[1:])

    def batch(
        self, size: int, *, rng: Rng = 0, random_labels: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw one batch of training images without replacement.

        Parameters
        ----------
        size : int
            Number of images; at most all of them.
        rng : int, SeedSequence or Generator
            Source of the draw.
        random_labels : bool
            Put labels drawn uniformly in place of the true ones (published as `--shuffle y`); the images stay the same.

        Returns
        -------
        inputs, targets : torch.Tensor
            Shapes (size, channels, height, width) and (size,).
        """
        rng, total = as_generator(rng), len(self.train_targets)
        size = whole_number("size", size)
        require(
            size <= total,
            "size",
            size,
            f"be at most the {total} training images",
            "pass a smaller batch",
        )
        chosen = torch.from_numpy(rng.permutation(total)[:size])
        targets = self.train_targets[chosen]
        if random_labels:
            targets = torch.from_numpy(rng.integers(self.n_classes, size=size))
        return self.train_inputs[chosen], targets

    def __repr__(self):
        """Name, sizes and shape."""
        return (
            f"Dataset({self.name!r}, {len(self.train_targets)} training and {len(self.test_targets)} test images "
            f"{self.input_shape}, {self.n_classes} classes)"
        )


def load(
    name: str, *, data_root: PathLike = "data", download: bool = False, **options: Any
) -> Dataset:
    """Return a data set by name.

    Parameters
    ----------
    name : {"digits", "fashionmnist", "mnist", "cifar10", "synthetic"}
        "digits" is scikit-learn's embedded set of 1797 real handwritten digits, resized from 8x8 to 28x28.
    data_root : path
        Folder of torchvision's files; not used by "digits" and "synthetic".
    download : bool
        Let torchvision fetch what is missing. Archives that are there whole are unpacked without.
    **options
        For "synthetic": `input_shape`, `n_train`, `n_test`, `noise`, `rng` (see `synthetic`).

    Raises
    ------
    MissingDataError
        When files are missing or damaged: which, where they are looked for, and how to get them.
    """
    one_of("name", name, NAMES)
    if name == "digits":
        return digits(**options)
    if name == "synthetic":
        return synthetic(**options)
    return _from_torchvision(name, Path(data_root), download, **options)


NAMES = ("digits", "fashionmnist", "mnist", "cifar10", "synthetic")


def digits() -> Dataset:
    """Return scikit-learn's digits at 28x28 by bilinear interpolation: 1437 for training, 360 for testing, fixed split."""
    raw = needed("sklearn.datasets").load_digits()
    images = torch.from_numpy(raw.images / 16.0).float()[:, None]
    images = interpolate(images, size=(28, 28), mode="bilinear", align_corners=False)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(images)))
    train, test = order[_DIGITS_TEST:], order[:_DIGITS_TEST]
    targets = torch.from_numpy(raw.target).long()
    mean, deviation = images[train].mean(), images[train].std()
    images = (images - mean) / deviation
    return Dataset("digits", images[train], targets[train], images[test], targets[test])


def synthetic(
    *,
    input_shape: tuple[int, int, int] = (1, 28, 28),
    n_classes: int = 10,
    n_train: int = 2000,
    n_test: int = 500,
    noise: float = 1.0,
    rng: Rng = 0,
) -> Dataset:
    """Return a set that can be learnt: one smooth random pattern of unit variance a class, plus white noise.

    Parameters
    ----------
    input_shape : (channels, height, width)
        Shape of one image.
    n_classes, n_train, n_test : int
        Number of classes and of images.
    noise : float
        Standard deviation of the noise of a pixel (our choice: 1, as strong as the pattern).
    rng : int, SeedSequence or Generator
        Source of patterns, labels and noise.

    Raises
    ------
    ValueError
        When a shape or a count is not positive, or the noise is negative.
    """
    good = isinstance(input_shape, tuple | list) and len(input_shape) == 3
    require(
        good, "input_shape", input_shape, "be three whole numbers", "pass (channels, height, width)"
    )
    for side in input_shape:
        whole_number("input_shape", side)
    for name, value in (("n_classes", n_classes), ("n_train", n_train), ("n_test", n_test)):
        whole_number(name, value)
    require(
        finite_number("noise", noise) >= 0,
        "noise",
        noise,
        "be at least 0",
        "pass a standard deviation",
    )
    rng = as_generator(rng)
    coarse = torch.from_numpy(rng.standard_normal((n_classes, input_shape[0], 4, 4))).float()
    patterns = interpolate(
        coarse, size=tuple(input_shape[1:]), mode="bilinear", align_corners=False
    )
    patterns = patterns / patterns.std((1, 2, 3), keepdim=True)
    targets = torch.from_numpy(rng.integers(n_classes, size=n_train + n_test))
    inputs = torch.from_numpy(
        rng.standard_normal((n_train + n_test, *input_shape), dtype=np.float32)
    ).mul_(noise)
    inputs += patterns[targets]
    inputs /= (1 + noise**2) ** 0.5
    return Dataset(
        "synthetic",
        inputs[:n_train],
        targets[:n_train],
        inputs[n_train:],
        targets[n_train:],
        n_classes,
    )


def _from_torchvision(name, root, download):
    import torchvision.datasets

    kind = getattr(torchvision.datasets, _CLASSES[name])
    unpack = _whole_archives(kind, root)  # torchvision then finds them, and fetches nothing
    if not (download or unpack):
        _refuse_missing(name, kind, root)
    try:
        train, test = (
            kind(root, train=part, download=download or unpack) for part in (True, False)
        )
        tensors = [*_tensors(name, train), *_tensors(name, test)]
    except (RuntimeError, OSError, ValueError, AssertionError, EOFError) as error:
        files = ", ".join(str(path) for path, _ in _files(kind, root))
        verb = "fetched or read" if download else "read"
        raise MissingDataError(
            f"data set {name!r} could not be {verb} ({error}); its files are {files}; delete a bad one "
            "and pass --download_data (download=True), or copy them from elsewhere"
        ) from error
    return Dataset(name, *tensors)


def _tensors(name, part):
    """Return (inputs, targets) of a torchvision set; bytes to [0, 1] to normalised float32, channels first."""
    images, targets = torch.as_tensor(part.data), torch.as_tensor(part.targets, dtype=torch.int64)
    if len(images) != len(targets):
        raise ValueError(f"{len(images)} images but {len(targets)} labels")
    if not 0 <= int(targets.min()) <= int(targets.max()) < len(part.classes):
        raise ValueError(
            f"labels from {int(targets.min())} to {int(targets.max())}, {len(part.classes)} classes"
        )
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
    mean, deviation = (torch.tensor(numbers).view(1, -1, 1, 1) for numbers in _PIXELS[name])
    return images.float().div_(255).sub_(mean).div_(deviation).contiguous(), targets


def _files(kind, root):
    """Return (path, md5 or None) of every file that torchvision reads for a data set."""
    if hasattr(kind, "base_folder"):  # CIFAR: python batches, with checksums
        listed = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
        return [(root / kind.base_folder / name, md5) for name, md5 in listed]
    return [(root / kind.__name__ / "raw" / Path(name).stem, None) for name, _ in kind.resources]


def _whole_archives(kind, root):
    """Say whether files are missing that can be unpacked: all archives of a data set are there, with the published MD5."""
    from torchvision.datasets.utils import check_integrity

    if all(path.is_file() for path, _ in _files(kind, root)):
        return False
    if hasattr(kind, "base_folder"):
        archives = [(root / kind.filename, kind.tgz_md5)]
    else:
        raw = root / kind.__name__ / "raw"
        archives = [(raw / name, md5) for name, md5 in kind.resources]
    return all(check_integrity(path, md5) for path, md5 in archives)


def _refuse_missing(name, kind, root):
    from torchvision.datasets.utils import check_integrity

    missing = [path for path, _ in _files(kind, root) if not path.is_file()]
    damaged = [
        path
        for path, md5 in _files(kind, root)
        if path.is_file() and not check_integrity(path, md5)
    ]
    if not missing and not damaged:
        return
    said = [
        f"{word}: {', '.join(str(path) for path in paths)}"
        for word, paths in (("missing", missing), ("not matching its MD5", damaged))
        if paths
    ]
    source = kind.url if hasattr(kind, "url") else kind.mirrors[0]
    raise MissingDataError(
        f"data set {name!r} is not whole under {root.resolve()}; {'; '.join(said)}. Pass --download_data (download=True) to "
        f"fetch it from {source}, or --data_root (data_root) with the folder that holds it, or take --dataset digits, "
        "which needs no files"
    )
