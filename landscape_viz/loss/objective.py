"""Objective: the loss of a problem and its derivatives as functions of one flat vector of the parameters that move."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from landscape_viz.devices.heap import keep_freed_memory
from landscape_viz.devices.random_state import seeded
from landscape_viz.loss import batches, checkpointing, placing, sameness
from landscape_viz.loss.batch_loss import made
from landscape_viz.loss.precision import autocast_to, cast, checked_device, quiet_numerics
from landscape_viz.loss.problem import Problem, checked_problem
from multifractal.base.checks import refuse, require
from multifractal.base.types import Array, ArrayLike

SMALL = 32e6  # bytes of weights up to which time is dearer than memory (our choice)


class Objective:
    """The loss of a problem over its data, differentiable, on its own copy of the network: the caller's is never touched.

    Parameters
    ----------
    problem : Problem
        Its modes of BatchNorm and dropout are kept; dropout "live" and BatchNorm "recalibrate" are refused, because a
        derivative needs the same function twice. The loss is that of a section's origin, to rounding, dropout included.
    params : None, str, list of str, or callable
        As for `Problem`, in the place of the problem's own choice; None keeps that.
    device : str or torch.device
    derivatives : bool
        False allows all modes, for values alone.

    Attributes
    ----------
    batches : sequence
        What `term(k)` is the loss of.

    Raises
    ------
    ValueError
        When no parameter is left, or the loss is no differentiable scalar, not finite, or another one each time.
    """

    def __init__(
        self,
        problem: Problem,
        params: object = None,
        *,
        device: str | torch.device = "cpu",
        derivatives: bool = True,
    ) -> None:
        checked_problem(problem)
        if derivatives:
            _refuse_modes(problem)
        self.problem = problem if params is None else replace(problem, params=params)
        self.device = checked_device(device)
        self.model = self.problem.build(sharing=True).to(self.device)
        self.parameters = self.problem.chosen(self.model)
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        for parameter in self.parameters.values():
            parameter.requires_grad_(derivatives)
        self.around: Any = nullcontext  # what checkpointed modules are computed in, too
        asked = self.problem.checkpoint if derivatives else False
        self.blocks = checkpointing.checkpoint(self.model, asked, self._again) if asked else []
        recurrent = any(isinstance(m, torch.nn.RNNBase) for m in self.model.modules())
        self._cudnn, self._evaluating = not (derivatives and recurrent), False
        self.size = sum(parameter.numel() for parameter in self.parameters.values())
        self.dtype = np.dtype(str(self.problem.dtype).removeprefix("torch."))
        self.loss_of = made(self.problem.loss)
        self.batches, self._at_hand = self.problem.batches(), False
        self.memory_format, self.facts = torch.contiguous_format, None
        # before the first move the parameters are the problem's own numbers, which are never written to
        self._unmoved = [parameter.data for parameter in self.parameters.values()]
        self._weights = None
        self._shown: tuple[Any, Any] = (
            None,
            None,
        )  # the vector, and the memory order it is shown in
        self._copies: list[Any] = []  # parameters that are no views of it
        if self.device.type == "cpu" and self.size * self.dtype.itemsize <= SMALL:
            keep_freed_memory()
        self.facts = sameness.facts(self)
        if self.device.type != "cpu":
            self.keep_near()

    def keep_near(self) -> None:
        """Hold the data where and as the network takes them, those that are in memory at all."""
        self.batches = placing.near(self.batches, self.device, self._made_ready)
        safe = not self.facts.clones and not self.facts.needs_grad
        self._at_hand = safe and placing.are_plain(self.batches, self.device)

    @cached_property
    def origin(self) -> Array:
        """The problem's weights, shape (size,), made when first asked for."""
        return self.problem.weights().numpy()

    @property
    def vector(self) -> torch.Tensor:
        """The tensor that the parameters are views of: what is written into it moves the network (after `point`, always)."""
        if self._weights is None:
            self._weights, self._unmoved = self._gathered(), None
        return self._weights

    def get(self) -> Array:
        """Return the present parameters as a vector, shape (size,)."""
        if self._weights is None:
            return self.problem.weights().numpy()
        return self._weights.cpu().numpy().copy()

    def set(self, vector: ArrayLike) -> None:
        """Move the network to `vector`, shape (size,)."""
        self._weights, self._unmoved = self._as_vector(vector), None
        self.point(self._weights)

    def point(self, vector: torch.Tensor) -> None:
        """Make the network's parameters views of `vector`, a tensor, or copies where dtype or memory order differ."""
        shown, order = self._shown
        if shown is not vector or order != self.memory_format:
            self._shown = vector, self.memory_format
            parts = torch.split(vector, [p.numel() for p in self.parameters.values()])
            self._copies = list(zip(self.parameters.values(), parts, strict=True))
        self._copies = [pair for pair in self._copies if self._show(*pair)]

    def _gathered(self):
        """Return the problem's weights as one vector on the device, which takes the place of each tensor as it is copied."""
        vector = empty_vector(self.size, self.problem.dtype, self.device)
        parts = torch.split(vector, [p.numel() for p in self.parameters.values()])
        for (name, parameter), part in zip(self.parameters.items(), parts, strict=True):
            part.copy_(self.problem.state[name].reshape(-1))
            self._show(parameter, part)
        return vector

    def _show(self, parameter, part):
        """Make a parameter a view of a part of a vector, or a copy; return whether it is a copy."""
        found = part.view(parameter.shape).to(parameter.dtype)
        if found.ndim == 4:
            found = found.contiguous(memory_format=self.memory_format)
        parameter.data = found
        return found.data_ptr() != part.data_ptr()

    @contextmanager
    def at(self, vector: ArrayLike | None) -> Iterator[None]:
        """Be at `vector` inside the block, and where the network was after it; None stays."""
        if vector is None:
            yield
            return
        self.point(self._as_vector(vector))
        try:
            yield
        finally:
            self._return()

    def _return(self):
        """Show the parameters the present weights again."""
        if self._weights is not None:
            self.point(self._weights)
            return
        self._shown = None, None
        for parameter, data in zip(self.parameters.values(), self._unmoved, strict=True):
            parameter.data = data

    def loss(self, vector: ArrayLike | None = None, *, index: int = 0) -> float:
        """Return the loss at `vector` (without it, where the network is), to which the network does not move.

        `index` is that of the position whose masks of dropout are drawn.
        """
        with self.at(vector), self.evaluating(index), torch.set_grad_enabled(self.facts.needs_grad):
            totals = [self._total(k).detach() for k in range(len(self.batches))]
        return self.number(sum(totals[1:], totals[0])) / self.facts.divisor

    def gradient(self, vector: ArrayLike | None = None) -> Array:
        """Return the gradient of the loss at `vector` (without it, where the network is), shape (size,)."""
        return self.value_and_gradient(vector)[1]

    def value_and_gradient(self, vector: ArrayLike | None = None) -> tuple[float, Array]:
        """Return the loss and its gradient at `vector` (without it, where the network is), by one pass over the data."""
        with self.at(vector):
            value, gradient = self.value_and_gradient_torch()
        return value, gradient.cpu().numpy()

    def value_and_gradient_torch(self) -> tuple[float, torch.Tensor]:
        """Return the loss and its gradient where the network is, a tensor of shape (size,) on the device."""
        value, total = 0.0, empty_vector(self.size, self.problem.dtype, self.device)
        with self.evaluating():
            for k in range(len(self.batches)):
                loss = self.batch_loss(k)
                value += float(loss.detach())
                backward_into(total, list(self.parameters.values()), loss, add=k > 0)
        return self.number(value), self.summed(total)

    def batch_gradient(self, batch: Any, vector: ArrayLike | None = None) -> Array:
        """Return the gradient of the loss of one batch alone (a number, or a batch of samples); masks as in a first batch."""
        self.require_all_data("the gradient of a batch")
        with self.at(vector), self.evaluating():
            term = self.term(batch)
            weight = 1.0 if self.loss_of.reduction == "sum" else sameness.weight_of(term)
            return self.flat_gradient(self._differentiable(term.total) / weight).cpu().numpy()

    def summed(self, own: torch.Tensor) -> torch.Tensor:
        """Return a tensor summed over the ranks that share out the data; itself where this process has them all."""
        return own if self.problem.ranks is None else self.problem.ranks.total(own)

    def number(self, value: Any) -> float:
        """Return a number summed over the ranks that share out the data."""
        if self.problem.ranks is None:
            return float(value)
        kind = torch.float32 if self.device.type == "mps" else torch.float64
        return float(self.summed(torch.tensor(float(value), dtype=kind, device=self.device)))

    def require_all_data(self, name: str) -> None:
        """Refuse, for the probe of that name, data that are shared out over ranks."""
        require(
            self.problem.ranks is None,
            "problem",
            self.problem.ranks,
            f"hold all data in this process for {name}, which takes single batches or samples",
            "make it without ranks",
        )

    def batch_loss(self, k: int) -> torch.Tensor:
        """Return batch k's share of the loss, a differentiable float64 scalar; all shares together are the loss."""
        return self._differentiable(self._total(k)) / self.facts.divisor

    def term(self, batch: Any) -> Any:
        """Return the `Term` of a batch (its number, or a batch of samples) where the network is."""
        return self.of_batch(self.placed(batch))

    def of_batch(self, placed: Any) -> Any:
        """Return the `Term` of a batch that is on the device already."""
        return self.loss_of(self.model, placed)

    def placed(self, batch: Any) -> Any:
        """Return a batch (or that of a number) on the device, in the problem's precision, in containers that may be changed."""
        if not isinstance(batch, int):
            return self._made_ready(batch)
        return self.batches[batch] if self._at_hand else self._made_ready(self.batches[batch])

    def flat_gradient(self, scalar: torch.Tensor, **autograd: Any) -> torch.Tensor:
        """Return the gradient of `scalar` as a flat tensor; parameters it does not depend on give zeros."""
        parameters = list(self.parameters.values())
        parts = torch.autograd.grad(scalar, parameters, allow_unused=True, **autograd)
        return torch.cat(
            [
                torch.zeros(p.numel(), dtype=self.problem.dtype, device=self.device)
                if part is None
                else part.reshape(-1).to(self.problem.dtype)
                for p, part in zip(parameters, parts, strict=True)
            ]
        )

    @contextmanager
    def evaluating(self, index: int = 0) -> Iterator[None]:
        """Compute in full precision, with the masks of dropout that belong to position `index`."""
        if self._evaluating and self.problem.dropout == "off":  # as it is already
            yield
            return
        with ExitStack() as stack:
            numerics = quiet_numerics(self.device, self._autocast, cudnn=self._cudnn)
            stack.enter_context(numerics)
            if self.problem.dropout != "off":
                stack.enter_context(seeded(_mask_seed(self.problem, index)))
            outer, self._evaluating = self._evaluating, True
            try:
                yield
            finally:
                self._evaluating = outer

    @property
    def _autocast(self):
        """The dtype that is cast to, None without."""
        kept = self.problem.precision == "as-is"
        return self.problem.autocast.get(self.device.type) if kept else None

    @contextmanager
    def _again(self):
        """Compute as in `evaluating`, in a backward pass, which on other devices runs in a thread without autocast."""
        with autocast_to(self.device, self._autocast), self.around():
            yield

    def _total(self, k):
        """Return the total of batch k, by which it adds to the loss."""
        return self.loss_of.total(self.model, self.placed(k))

    def _made_ready(self, batch):
        return batches.mapped(self._placed, batch)

    def _placed(self, tensor):
        tensor = placing.sent(cast(tensor.detach(), self.problem.precision), self.device)
        tensor = tensor.clone() if self.facts is not None and self.facts.clones else tensor
        if tensor.ndim == 4 and self.memory_format != torch.contiguous_format:
            return tensor.contiguous(memory_format=self.memory_format)
        return tensor

    def _differentiable(self, total):
        if torch.is_grad_enabled() and total.grad_fn is None:
            raise refuse(
                "loss",
                self.problem.loss,
                "be differentiable in the parameters",
                "do not detach or round outputs",
            )
        return total

    def _as_vector(self, vector):
        vector = torch.as_tensor(np.array(vector, dtype=self.dtype).reshape(-1))
        return vector.to(self.device)


def empty_vector(size, dtype, device):
    """Return a vector of any numbers; on the CPU in numpy's memory, whose large pages cost a third of torch's to touch."""
    if torch.device(device).type != "cpu":
        return torch.empty(size, dtype=dtype, device=device)
    return torch.from_numpy(np.empty(size, str(dtype).removeprefix("torch.")))


def backward_into(total, parameters, roots, directions=None, *, add=False, **options):
    """Write the derivatives of `roots` (along `directions`) in the parameters into the vector `total`, or add them to it.

    `parameters` is a list of leaves without a `.grad`, whose parts follow each other in `total`; those that the roots do not
    depend on give zeros. `options` are those of `torch.autograd.backward`; without `inputs` other leaves get a `.grad`, and what
    is checkpointed by nested backward passes is differentiated too.
    """
    parts = torch.split(total, [parameter.numel() for parameter in parameters])
    left = dict(enumerate(parts))
    hooks = [
        parameter.register_post_accumulate_grad_hook(_taker(left, k, part, add))
        for k, (parameter, part) in enumerate(zip(parameters, parts, strict=True))
    ]
    try:
        torch.autograd.backward(roots, directions, **options)
    finally:
        for parameter, hook in zip(parameters, hooks, strict=True):
            hook.remove()
            parameter.grad = None
    if not add:
        for part in left.values():
            part.zero_()


def _write(part, gradient, add):
    place = part.view(gradient.shape)
    place.add_(gradient) if add else place.copy_(gradient)


def _taker(left, k, part, add):
    """Return a hook that takes the gradient of parameter `k` into its part, and notes it."""

    def take(parameter):
        # a second part comes where a backward pass runs inside this one
        _write(part, parameter.grad, left.pop(k, None) is None or add)
        parameter.grad = None

    return take


def as_tensor(array, dtype=None):
    """Return a one-dimensional array as a tensor on its memory, a copy where dtype or order differ; to be read only."""
    array = np.ascontiguousarray(np.asarray(array, dtype=dtype).reshape(-1))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


def _mask_seed(problem, index):
    if problem.dropout != "live":
        return problem.rng
    words = np.random.SeedSequence(problem.rng, spawn_key=(index,)).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))


def _refuse_modes(problem):
    require(
        problem.dropout != "live",
        "dropout",
        problem.dropout,
        "be 'off' or 'fixed' for derivatives",
        "choose one of these in the Problem",
    )
    require(
        problem.batch_norm != "recalibrate",
        "batch_norm",
        problem.batch_norm,
        "be 'eval' or 'batch' for derivatives",
        "choose one of these in the Problem",
    )
