"""Problem: a network, its weights, a loss and data, small enough to send to a worker that builds the network itself."""

import threading
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from landscape_viz.loss.call import digest, importable, in_words
from multifractal.base.checks import one_of, refuse, require, whole_number

BATCH_NORM_MODES = ("eval", "batch", "recalibrate")
DROPOUT_MODES = ("off", "fixed", "live")
LOSSES = ("cross_entropy", "mse")
_RANDOM_STATE = threading.RLock()


@dataclass(frozen=True, eq=False)
class Problem:
    """What the loss of a network is a function of: everything but the weights' position.

    Your own network and data are three lines::

        problem = Problem(MyNetwork, my_network.state_dict(), "cross_entropy", (inputs, targets))
        plane = directions.random(problem, 2, rng=0)
        result = section(problem, plane, ["-1:1:51", "-1:1:51"])

    Parameters
    ----------
    factory : callable, functools.partial or "module:function"
        Makes the network (a `torch.nn.Module`) without arguments. It must be importable, since a worker calls it again.
    state : dict of str to Tensor, or None
        The network's `state_dict()`, copied here, so that further training does not change the problem. None takes what the
        factory makes when torch's seed is `seed`.
    loss : "cross_entropy", "mse", or an importable callable
        A callable is given (outputs, targets) of one batch and returns the mean over that batch. The two named losses are
        taken in float64 on the network's outputs, so that rounding adds no roughness to a section.
    data : (inputs, targets) tensors, or an importable loader
        Tensors of equal length. A loader (callable, partial or "module:function") is called in each worker, so that only
        its name travels; it returns (inputs, targets), or an object with `train_inputs` and `train_targets`.
    batch_norm : {"eval", "batch", "recalibrate"}
        eval (our choice): the stored running statistics. batch (paper): the statistics of each batch, running ones left
        alone. recalibrate: the running statistics are computed anew over the data at each position, at twice the cost.
    dropout : {"off", "fixed", "live"}
        off (our choice). fixed: one mask for all positions, drawn from `seed`. live (paper): at each position a new mask,
        drawn from `seed` and the index of the position; what is measured then is the loss plus the noise of dropout.
    batch_size : int, optional
        Samples per forward pass; None (our choice) takes all in one. It is part of the problem wherever BatchNorm uses
        batch statistics or dropout draws masks.
    seed : int
        For dropout masks and, without `state`, the initial weights; 0 is the paper's.

    Attributes
    ----------
    shapes : dict of str to tuple
        Of the parameters, by name, in the order that vectors hold them.
    dtype : torch.dtype
        Of all parameters: float32 or float64.

    Raises
    ------
    ValueError
        When something is not importable, a mode is unknown, the data do not fit together, or the state does not fit the
        network (the message names the tensors).
    """

    factory: object
    state: dict | None
    loss: object
    data: object
    batch_norm: str = field(default="eval", kw_only=True)
    dropout: str = field(default="off", kw_only=True)
    batch_size: int | None = field(default=None, kw_only=True)
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self):
        one_of("batch_norm", self.batch_norm, BATCH_NORM_MODES)
        one_of("dropout", self.dropout, DROPOUT_MODES)
        whole_number("seed", self.seed, 0)
        if self.batch_size is not None:
            whole_number("batch_size", self.batch_size)
        self._set("factory", importable("factory", self.factory))
        if self.loss not in LOSSES:
            self._set("loss", importable("loss", self.loss))
        self._set("data", _checked_data(self.data))
        model = self._made()
        self._set(
            "shapes", {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
        )
        self._set("dtype", _dtype(model))
        if self.state is not None:
            _fit(model, checked_state("state", self.state))
        state = model.state_dict() if self.state is None else self.state
        self._set(
            "state", {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}
        )

    def build(self):
        """Return a new network with this problem's weights, on the CPU, in this problem's modes of BatchNorm and dropout."""
        model = self._made()
        require(
            _dtype(model) == self.dtype,
            "factory",
            _dtype(model),
            f"make a network of {self.dtype} in every process",
            "set the dtype in the factory, not torch's default",
        )
        model.load_state_dict(self.state)
        return set_modes(model, self.batch_norm, self.dropout)

    def load(self):
        """Return (inputs, targets), calling the loader if the data are one."""
        if not callable(self.data):
            return self.data
        loaded = self.data()
        pair = (
            (loaded.train_inputs, loaded.train_targets)
            if hasattr(loaded, "train_inputs")
            else loaded
        )
        return _checked_pair(pair)

    def weights(self):
        """Return the parameters as one contiguous vector, in the order of `shapes`, float32 or the network's own dtype."""
        return self.flatten(self.state)

    def flatten(self, state):
        """Return the parameters in `state` (a dict by name; buffers are left out) as one vector on the CPU."""
        _fit_parameters(self.shapes, checked_state("state", state))
        return torch.cat(
            [state[name].detach().to("cpu", self.dtype).reshape(-1) for name in self.shapes]
        )

    def unflatten(self, vector):
        """Return a vector of all parameters as a dict of tensors by name, which are views of it."""
        parts = torch.split(
            torch.as_tensor(vector), [torch.Size(shape).numel() for shape in self.shapes.values()]
        )
        return {
            name: part.view(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def with_state(self, state):
        """Return the same problem at other weights."""
        return replace(self, state=state)

    def record(self):
        """Return what identifies this problem, as a dict of words and digests; equal records mean equal losses."""
        return {
            "factory": in_words(self.factory),
            "state": digest(sorted(self.state.items())),
            "loss": in_words(self.loss),
            "data": in_words(self.data),
            "batch_norm": self.batch_norm,
            "dropout": self.dropout,
            "batch_size": self.batch_size,
            "seed": self.seed,
        }

    def __repr__(self):
        """Name the factory, the number of parameters and the modes."""
        count = sum(torch.Size(shape).numel() for shape in self.shapes.values())
        return (
            f"Problem({in_words(self.factory)}, {count} parameters, {in_words(self.loss)}, "
            f"batch_norm={self.batch_norm!r}, dropout={self.dropout!r}, batch_size={self.batch_size})"
        )

    def _made(self):
        with seeded(self.seed):
            model = self.factory()
        require(
            isinstance(model, nn.Module),
            "factory",
            self.factory,
            "make a torch.nn.Module",
            "return the network",
        )
        return model

    def _set(self, name, value):
        object.__setattr__(self, name, value)


@contextmanager
def seeded(seed, devices=()):
    """Seed torch's global generators inside the block and put their states back after it; one thread at a time."""
    with _RANDOM_STATE, torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed)
        yield


def set_modes(model, batch_norm, dropout):
    """Put `model` in the modes of a problem, in place, and return it.

    All modules but the normalising ones follow `dropout` (so that functional dropout does too); those follow `batch_norm`
    and, in batch mode, no longer touch their running statistics.
    """
    model.train(dropout != "off")
    for module in model.modules():
        if isinstance(module, _NormBase):
            module.train(batch_norm == "batch")
            if batch_norm == "batch":
                module.track_running_stats = False
    return model


def _dtype(model):
    kinds = {parameter.dtype for parameter in model.parameters()}
    require(
        kinds in ({torch.float32}, {torch.float64}),
        "factory",
        sorted(map(str, kinds)),
        "make a network whose parameters are all float32 or all float64",
        "convert it in the factory",
    )
    return kinds.pop()


def checked_problem(problem):
    """Return `problem`, refusing what is none."""
    require(
        isinstance(problem, Problem),
        "problem",
        problem,
        "be a Problem",
        "pass landscape_viz.Problem(...)",
    )
    return problem


def checked_state(argument, state):
    """Return `state`, refusing what is no dict of tensors by name."""
    good = isinstance(state, Mapping) and all(
        isinstance(tensor, torch.Tensor) for tensor in state.values()
    )
    require(
        good, argument, state, "be a state dict: tensors by name", "pass the network's state_dict()"
    )
    return state


def _checked_data(data):
    if (
        isinstance(data, tuple | list)
        and len(data) == 2
        and all(isinstance(part, torch.Tensor) for part in data)
    ):
        return _checked_pair(data)
    return importable("data", data)


def _checked_pair(pair):
    inputs, targets = (part.detach().cpu() for part in pair)
    require(
        len(inputs) == len(targets) > 0,
        "data",
        (len(inputs), len(targets)),
        "have as many inputs as targets, and some",
        "pair them up first",
    )
    return inputs, targets


def _fit_parameters(shapes, state):
    expected = {name: tuple(shape) for name, shape in shapes.items()}
    _refuse_misfit(
        expected, {name: tuple(t.shape) for name, t in state.items() if name in expected}
    )


def _fit(model, state):
    _refuse_misfit(
        {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()},
        {name: tuple(tensor.shape) for name, tensor in state.items()},
    )


def _refuse_misfit(expected, got):
    wrong = [f"{name} is missing" for name in expected if name not in got]
    wrong += [f"{name} is not in the network" for name in got if name not in expected]
    wrong += [
        f"{name} has shape {got[name]} instead of {expected[name]}"
        for name in expected
        if name in got and got[name] != expected[name]
    ]
    if wrong:
        more = f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        raise refuse(
            "state",
            "; ".join(wrong[:8]) + more,
            "fit the network",
            "use the factory the state was saved from",
        )
