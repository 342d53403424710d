"""Data: read once, in the order of that pass, and kept where they fit; loaders that are larger are read again each time.

Shuffling, `drop_last` and random augmentation belong to the first pass, which is made under a recorded seed.
"""

from collections.abc import Mapping

import torch

from landscape_viz.devices.random_state import seeded
from landscape_viz.loss import batches
from landscape_viz.loss.call import digest, importable
from multifractal.base.checks import one_of, refuse, require

AUGMENTATIONS = ("refuse", "freeze")
MEMORY_BUDGET = 4e9  # bytes of data that are kept (our choice)
_LOOKED_AT = 8  # samples of a data set, taken twice
_BATCH = 256  # of a data set that is no loader


class Kept:
    """Batches in memory, on the CPU."""

    def __init__(self, found):
        self.batches = found

    def split(self, size):
        """Return a list of batches of at most `size` samples."""
        return [part for batch in self.batches for part in batches.split(batch, size)]

    def whole(self):
        """Return all samples as one batch."""
        return batches.joined(self.batches)

    def digest(self):
        """Return the digest of their content."""
        return digest([(str(k), t) for k, b in enumerate(self.batches) for t in batches.leaves(b)])

    def __repr__(self):
        """Say how many batches."""
        return f"<{len(self.batches)} batches>"


class Streamed:
    """A loader too large to keep, read again under the same seed at each pass; `streamed[k]` is cheap in ascending order."""

    def __init__(self, loader, seed, sha):
        self.loader, self.seed, self.sha = loader, seed, sha
        self._length, self._next, self._pass = None, None, None

    def split(self, size):
        """Return itself: batches stay as the loader gives them."""
        require(
            size is None,
            "batch_size",
            size,
            "be None for data that are streamed",
            "set it in the loader",
        )
        return self

    def whole(self):
        """Refuse: they do not fit."""
        raise refuse(
            "data",
            "a loader that does not fit memory_budget",
            "be kept in memory here",
            "raise memory_budget, or pass a part of the data",
        )

    def digest(self):
        """Return the digest of the first pass."""
        return self.sha

    def __len__(self):
        """Return the number of batches of a pass."""
        if self._length is None:
            self._length = sum(1 for _ in self._read())
        return self._length

    def __getitem__(self, k):
        """Return batch k of a pass."""
        if self._pass is None or k != self._next:
            self._pass, self._next = self._read(), 0
        while True:
            batch = next(self._pass)
            self._next += 1
            if self._next == k + 1:
                return batch

    def __getstate__(self):
        """Leave the pass under way behind."""
        return vars(self) | {"_next": None, "_pass": None}

    def __repr__(self):
        """Name the loader."""
        return f"<streamed {type(self.loader).__name__}>"

    def _read(self):
        return _passed(self.loader, self.seed)


def read(data, *, argument="data", seed=0, augmentation="refuse", memory_budget=MEMORY_BUDGET):
    """Return a `Problem`'s data as `Kept`, `Streamed`, or a callable (a loader that is called where it is needed).

    Data are a tensor, a tuple, a mapping or a dataclass of tensors (one batch); a list of two tensors (inputs, targets); a
    list of batches; a loader or a data set of torch; or something importable that returns any of these. `argument` is what
    messages call them.
    """
    one_of("augmentation", augmentation, AUGMENTATIONS)
    if isinstance(data, Kept | Streamed):
        return data
    if callable(data) or isinstance(data, str):
        return importable("data", data)
    if hasattr(data, "train_inputs"):
        data = (data.train_inputs, data.train_targets)
    if is_one_batch(data):
        return Kept([_checked(tuple(data) if isinstance(data, list) else data)])
    return _looped(argument, data, seed, augmentation, memory_budget)


def is_one_batch(data):
    """Whether `data` are one batch of tensors, rather than batches or what gives them."""
    pair = isinstance(data, list) and len(data) == 2
    if pair and all(isinstance(part, torch.Tensor) for part in data):
        return True
    if isinstance(data, list) or hasattr(data, "dataset"):
        return False
    return isinstance(data, torch.Tensor | tuple | Mapping) or hasattr(
        type(data), "__dataclass_fields__"
    )


def _checked(data):
    """Return one batch on the CPU, whose tensors fit each other where it is (inputs, targets)."""
    batch = batches.mapped(lambda tensor: tensor.detach().cpu(), data)
    found = batches.leaves(batch)
    require(len(found) > 0, "data", data, "hold tensors", "convert arrays by torch.as_tensor")
    if isinstance(batch, tuple | list) and len(found) == 2:
        lengths = tuple(len(tensor) if tensor.ndim else 0 for tensor in found)
        require(
            lengths[0] == lengths[1] > 0,
            "data",
            lengths,
            "have as many inputs as targets, and some",
            "pair them up first",
        )
    return batch


def _looped(name, loader, seed=0, augmentation="refuse", memory_budget=MEMORY_BUDGET):
    if isinstance(loader, torch.utils.data.Dataset) and not hasattr(loader, "__iter__"):
        loader = torch.utils.data.DataLoader(loader, batch_size=_BATCH)
    require(
        hasattr(loader, "__iter__") or hasattr(loader, "__getitem__"),
        name,
        type(loader).__name__,
        "be tensors, a list of batches, a loader, or importable",
        "pass (inputs, targets)",
    )
    kept, held, shas = [], 0, []
    for batch in _passed(loader, seed):
        require(
            len(batches.leaves(batch)) > 0,
            name,
            type(batch).__name__,
            "give batches of tensors",
            "convert what the loader gives to tensors",
        )
        held += batches.n_bytes(batch)
        shas.append(_sha(batch))
        kept = [*kept, batch] if held <= memory_budget else []
    require(len(shas) > 0, name, loader, "give at least one batch", "check its data set")
    if augmentation == "refuse":
        _refuse_augmentation(name, loader, seed, kept)
    if held <= memory_budget:
        return Kept(kept)
    total = digest([("", torch.frombuffer(bytearray("".join(shas).encode()), dtype=torch.uint8))])
    again = [_sha(batch) for batch in _passed(loader, seed)]
    if again != shas:
        raise refuse(
            name,
            loader,
            "give the same batches under the same seed to be streamed",
            f"raise memory_budget above {held:.3g} bytes, so that the first pass is kept",
        )
    return Streamed(loader, seed, total)


def _passed(loader, seed):
    """Yield the batches of one pass on the CPU; its random numbers come from `seed`, and no state is left changed."""
    generator, steps, number = _Borrowed(loader, seed), None, 0
    while True:
        with seeded((seed << 20) + number), generator:
            try:
                steps = iter(loader) if steps is None else steps
                batch = next(steps)
            except StopIteration:
                return
        number += 1
        yield batches.mapped(lambda tensor: tensor.detach().cpu(), batch)


class _Borrowed:
    """A loader's own generator, in a state of ours inside the block and in its own after it."""

    def __init__(self, loader, seed):
        found = getattr(loader, "generator", None)
        self.generator = found if isinstance(found, torch.Generator) else None
        self.ours = (
            None if self.generator is None else torch.Generator().manual_seed(seed).get_state()
        )

    def __enter__(self):
        if self.generator is not None:
            self.theirs = self.generator.get_state()
            self.generator.set_state(self.ours)

    def __exit__(self, *_):
        if self.generator is not None:
            self.ours = self.generator.get_state()
            self.generator.set_state(self.theirs)


def _refuse_augmentation(name, loader, seed, kept):
    """Refuse data whose samples are other ones each time they are taken."""
    data_set = getattr(loader, "dataset", None)
    if hasattr(loader, "__next__"):  # an iterator can be read only once
        return
    if hasattr(data_set, "__getitem__") and hasattr(data_set, "__len__"):
        same = _samples_repeat(data_set, seed)
    elif isinstance(loader, list | tuple):
        same = True
    else:
        same = _samples(kept) == _samples(_passed(loader, seed + 1))
    if not same:
        raise refuse(
            name,
            loader,
            "give the same samples at each pass",
            "leave random augmentation out, or pass augmentation='freeze' to keep the samples of one pass",
        )


def _samples_repeat(data_set, seed):
    count = len(data_set)
    rows = sorted({k * (count - 1) // (_LOOKED_AT - 1) for k in range(_LOOKED_AT)})
    shas = []
    for other in (seed, seed + 1):
        with seeded(other):
            shas.append([_sha(data_set[row]) for row in rows])
    return shas[0] == shas[1]


def _samples(found):
    """Return the digests of the samples of all batches, sorted."""
    shas = []
    for batch in found:
        count = batches.n_samples(batch)
        parts = [batch] if count is None else [batches.taken(batch, k) for k in range(count)]
        shas += map(_sha, parts)
    return sorted(shas)


def _sha(batch):
    return digest([("", tensor) for tensor in batches.leaves(batch)])
