"""Ranks: the processes of a `torch.distributed` job, over which data or the points of a section are shared out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import distributed

from multifractal.base.checks import refuse, require


class Ranks:
    """The processes of a `torch.distributed` job, each of which runs the same script.

    As `Problem(..., ranks=Ranks())` they share out the data: each computes its part of the batches, and losses, gradients and
    products with the Hessian are summed over all, so that every rank has the numbers of the whole. As
    `section(..., executor=Ranks())` they share out the points of a section. Every rank makes the same calls in the same order.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup, optional
        None takes all processes of the job.
    own_data : bool
        False (our choice): every rank is given the same data, and takes its share of the batches. True: each is given its own part.

    Attributes
    ----------
    index, count : int
        The number of this rank, and of all.

    Raises
    ------
    ValueError
        When there is no job: the script was not started by torchrun, or `init_process_group` not called.

    Examples
    --------
    >>> import torch
    >>> from landscape_viz import Ranks
    >>> place = {"store": torch.distributed.HashStore(), "rank": 0, "world_size": 1}
    >>> if not torch.distributed.is_initialized():
    ...     torch.distributed.init_process_group("gloo", **place)
    >>> Ranks().count
    1
    >>> torch.distributed.destroy_process_group()
    """

    def __init__(
        self, group: torch.distributed.ProcessGroup | None = None, *, own_data: bool = False
    ) -> None:
        require(
            distributed.is_available() and distributed.is_initialized(),
            "ranks",
            "a process without torch.distributed",
            "be made in a distributed job",
            "start the script by torchrun, and call torch.distributed.init_process_group() first",
        )
        self._group, self.own_data = group, own_data
        self.index, self.count = distributed.get_rank(group), distributed.get_world_size(group)

    def share(self, items: Sequence[Any]) -> Sequence[Any]:
        """Return this rank's part of `items`: of all ranks together each once, in turn; ValueError where a rank has none."""
        found = items if self.own_data else _Part(items, self.index, self.count)
        fewest = min(self.gathered(len(found)))
        require(
            fewest > 0,
            "batch_size",
            f"{len(items)} batches",
            f"leave each of the {self.count} ranks at least one batch",
            "pass a smaller batch_size",
        )
        return found

    def total(self, own: torch.Tensor) -> torch.Tensor:
        """Return the sum of every rank's `own` tensor, which it takes the place of, with the same bits on each."""
        whole = own.contiguous()  # a part of a basis is not
        distributed.all_reduce(whole, group=self._group)
        return own if whole is own else own.copy_(whole)

    def gathered(self, value: Any) -> list[Any]:
        """Return the `value` of every rank, anything that can be pickled, in their order."""
        found: list[Any] = [None] * self.count
        distributed.all_gather_object(found, value, group=self._group)
        return found

    def require_same_weights(self, own: str) -> None:
        """Raise ValueError unless the digest of the weights is the same on every rank."""
        require(
            len(set(self.gathered(own))) == 1,
            "state",
            f"other weights on some of the {self.count} ranks",
            "be the same on every rank",
            "seed what makes the network, or send its state_dict() from one rank to all",
        )

    def digest(self, own: str) -> str:
        """Return the digest of the data of all ranks from that of each; ValueError where the same were asked for and differ."""
        found = self.gathered(own)
        if self.own_data:
            return " ".join(found)
        require(
            len(set(found)) == 1,
            "data",
            f"{len(set(found))} sets of data on {self.count} ranks",
            "be the same on every rank, which takes its share of the batches",
            "seed what draws them, or pass Ranks(own_data=True) where each rank has its own part",
        )
        return own

    def __repr__(self) -> str:
        """Say which of how many."""
        return f"Ranks({self.index} of {self.count}{', own data' if self.own_data else ''})"

    def __getstate__(self) -> dict[str, Any]:
        """Refuse: a rank is a process of its job and of no other."""
        raise refuse(
            "ranks",
            self,
            "stay in their own job",
            "give either the data or the points to the ranks, and leave the other executor out",
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Ranks:
        """Return itself."""
        return self


class _Part(Sequence):
    """Every count-th of some items, from index on, taken when they are asked for."""

    def __init__(self, items, index, count):
        self._items, self._index, self._count = items, index, count

    def __len__(self):
        return len(range(self._index, len(self._items), self._count))

    def __getitem__(self, k):
        if not 0 <= k < len(self):
            raise IndexError(k)
        return self._items[self._index + k * self._count]
