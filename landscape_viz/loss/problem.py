"""Problem: a network, its weights, a loss and data: everything that a loss is a function of but the position of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from landscape_viz.devices.random_state import seeded
from landscape_viz.devices.ranks import Ranks
from landscape_viz.loss import batch_loss, checkpointing, data, parameters
from landscape_viz.loss.call import code_digest, digest, importable, in_words
from landscape_viz.loss.network import Prototype, is_shard, plain_layers, unwrapped
from landscape_viz.loss.precision import PRECISIONS, promoted, vector_dtype
from multifractal.base.checks import one_of, refuse, require, whole_number
from multifractal.base.deprecation import FormerName, renamed
from multifractal.base.types import ArrayLike

BATCH_NORM_MODES = ("eval", "batch", "recalibrate")
DROPOUT_MODES = ("off", "fixed", "live")
_CASTS = {"bfloat16": torch.bfloat16, "float16": torch.float16}
_CAST_KINDS = ("cpu", "cuda", "mps", "xpu")
_PREFIXES = ("module.", "_orig_mod.")  # of states saved from wrapped networks


@dataclass(frozen=True, eq=False)
class Problem:
    """What the loss of a network is a function of: everything but the weights' position.

    Your own network and data are three lines::

        problem = Problem(my_network, None, "cross_entropy", (inputs, targets))
        plane = directions.random(problem, 2, rng=0)
        result = section(problem, plane, ["-1:1:51", "-1:1:51"])

    The loss is sum(total) / sum(weight) over the batches, in float64, so that it does not depend on `batch_size`. Every probe
    uses this one definition: sections, gradients, products with the Hessian, paths, sharpness, noise, the analyzer.

    Parameters
    ----------
    factory : torch.nn.Module, callable, functools.partial or "module:function"
        The network, copied here with its weights; or what makes it without arguments, importable, since a worker calls it
        again. A module is sent to workers as it is; where that cannot be, the error names the attribute.
    state : dict of str to Tensor, or None
        The network's `state_dict()`, copied here, so that further training does not change the problem. None takes the
        module's own, or what the factory makes when the random state is that of `rng`.
    loss : str, None, torch criterion, `batch_loss(function)`, or callable
        "cross_entropy" or "mse" (of equal shapes; axes of length 1 may be missing); a criterion of torch or a function of
        torch.nn.functional, weighted exactly (class weights, `ignore_index`, `label_smoothing`, `reduction`);
        `landscape_viz.batch_loss(function)` for a function of (model, batch); None for a model that returns its own loss. Any
        other callable is given (outputs, targets) of a batch and returns the mean over it; where there are several batches
        it is compared once with the halves of a batch.
    data : tensors, list of batches, loader, data set, or importable loader
        (inputs, targets), or any nesting of tuples, mappings and dataclasses of tensors, whose first axis is the samples; a
        list of two tensors is (inputs, targets), any other list is batches. A loader is read once, under `rng`, and kept
        in the order of that pass. An importable function is called in each worker, so that only its name travels.
    params : None, str, list of str, or callable
        Which parameters move: those that require a gradient (None, our choice), those whose name starts with the text, those
        of the list, or those for which `params(name, parameter)` is true. Tied weights count once. It holds for every probe.
    batch_norm : {"eval", "batch", "recalibrate"}
        eval (our choice): the stored running statistics. batch (paper): the statistics of each batch, running ones left
        alone. recalibrate: the running statistics are recomputed over the data at each position, at twice the cost.
    dropout : {"off", "fixed", "live"}
        off (our choice). fixed: one mask for all positions, drawn from `rng`. live (paper): at each position a new mask,
        drawn from `rng` and the index of the position; what is measured then is the loss plus the noise of dropout.
        Any other random numbers that `forward` draws follow the same rule, and are refused with "off".
    batch_size : int, optional
        Samples per forward pass; None (our choice) takes all in one, or the batches of the loader. It is part of the problem
        wherever BatchNorm uses batch statistics or dropout draws masks.
    rng : int
        For dropout masks, a loader's pass and, without `state`, a factory's initial weights; 0 is the paper's.
    precision : {"as-is", "float32", "float64"}
        as-is (our choice): in the dtypes of the parameters, and under autocast where that is asked for. Otherwise network and
        data are promoted. The smallest difference of the loss that is not rounding is reported with sections.
    augmentation : {"refuse", "freeze"}
        What to do with loaders whose samples are other ones each time: refuse (our choice), or keep those of one pass.
    memory_budget : float
        Bytes of a loader's data that are kept (our choice 4e9); larger ones are read again at each pass.
    autocast : str or torch.dtype, optional
        "bfloat16" or "float16": what `torch.autocast` computes in, the weights staying what they are. None (our choice) takes
        the autocast under which the problem is made, if any. The floor that such rounding gives the loss is measured with each
        section, as `Section.rounding`.
    ranks : Ranks, optional
        The processes of a `torch.distributed` job that share out the batches: losses, gradients and products with the Hessian
        are those of all, on every rank. Not with dropout or recalibrated BatchNorm, which depend on the order of the batches.
    checkpoint : bool or sequence of str
        Activation checkpointing: True for the layers that stand in a `Sequential` or `ModuleList`, or names of modules. For
        gradients and products with the Hessian these keep their inputs alone and are computed again: less memory for more time,
        the same values to rounding. Not with dropout.

    Attributes
    ----------
    shapes : dict of str to tuple
        Of the parameters that move, by name, in the order that vectors hold them.
    dtype : torch.dtype
        Of vectors: float64 where a parameter is, else float32.

    Raises
    ------
    ValueError
        When something is not importable, a mode is unknown, the data do not fit together, the state does not fit the network
        (the message names the tensors) or holds NaN, or no parameter is left to move.

    Examples
    --------
    >>> from landscape_viz import Problem
    >>> data = torch.ones(4, 3), torch.zeros(4, dtype=torch.long)
    >>> problem = Problem(nn.Linear(3, 2), None, "cross_entropy", data, params="weight")
    >>> problem.weights().shape
    torch.Size([6])
    """

    factory: object
    state: dict | None
    loss: object
    data: object
    params: object = field(default=None, kw_only=True)
    batch_norm: str = field(default="eval", kw_only=True)
    dropout: str = field(default="off", kw_only=True)
    batch_size: int | None = field(default=None, kw_only=True)
    rng: int = field(default=0, kw_only=True)  # a number, that every process draws the same from
    precision: str = field(default="as-is", kw_only=True)
    augmentation: str = field(default="refuse", kw_only=True)
    memory_budget: float = field(default=data.MEMORY_BUDGET, kw_only=True)  # type: ignore[attr-defined]
    autocast: Any = field(default=None, kw_only=True, repr=False)  # kept by kind of device
    ranks: Ranks | None = field(default=None, kw_only=True)
    checkpoint: bool | Sequence[str] = field(default=False, kw_only=True)

    seed = FormerName("rng")

    if TYPE_CHECKING:  # set by `__post_init__`: no fields

        @property
        def shapes(self) -> dict[str, tuple[int, ...]]:
            """Of the parameters that move, by name."""

        @property
        def dtype(self) -> torch.dtype:
            """Of vectors."""

        names: ClassVar[list[str]]
        kinds: ClassVar[set[Any]]

    def __post_init__(self):
        one_of("batch_norm", self.batch_norm, BATCH_NORM_MODES)
        one_of("dropout", self.dropout, DROPOUT_MODES)
        one_of("precision", self.precision, PRECISIONS)
        whole_number("rng", self.rng, 0)
        if self.batch_size is not None:
            whole_number("batch_size", self.batch_size)
        self._check_ranks()
        self._check_checkpoint()
        if not isinstance(self.factory, nn.Module | Prototype):
            require(
                callable(self.factory) or isinstance(self.factory, str),
                "factory",
                self.factory,
                "be a torch.nn.Module, or what makes one: a function, or 'module:function'",
                "pass the network first",
            )
            self._set("factory", importable("factory", self.factory))
        if isinstance(self.loss, str) and self.loss not in batch_loss.NAMED:
            self._set("loss", importable("loss", self.loss))
        batch_loss.made(self.loss)
        self._read()
        self._set("autocast", _autocast(self.autocast, self.precision))
        self._take_weights()
        if self.ranks is not None:
            self.ranks.require_same_weights(digest(sorted(self.state.tensors())))
            self._digest()

    def build(self, *, sharing: bool = False) -> torch.nn.Module:
        """Return a new network with this problem's weights, on the CPU, in this problem's modes of BatchNorm and dropout.

        With `sharing` its parameters may be the problem's own numbers: to be read only, or shown others.
        """
        model = self._made(sharing)
        kinds = self._kinds(model)
        require(
            kinds == self.kinds,
            "factory",
            ", ".join(sorted(map(str, kinds))),
            f"make a network of {', '.join(sorted(map(str, self.kinds)))} in every process",
            "set the dtype in the factory, not torch's default",
        )
        if self.state.owner is not self.factory:
            model.load_state_dict(self.state)
        return set_modes(
            plain_layers(promoted(model, self.precision)), self.batch_norm, self.dropout
        )

    def load(self) -> Any:
        """Return all data as one batch, (inputs, targets) mostly, calling the loader if the data are one."""
        return self.source().whole()

    def source(self) -> Any:
        """Return the data as `data.Kept` or `data.Streamed`."""
        found = self.data() if callable(self.data) else self.data
        return data.read(found, **self._reading())

    def batches(self) -> Any:
        """Return the data in batches of this problem's size: a list, or what is read again at each pass."""
        found = self.source().split(self.batch_size)
        return found if self.ranks is None else self.ranks.share(found)

    def chosen(self, model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
        """Return the parameters of `model` that move, by name."""
        return parameters.chosen(model, self.params)

    def weights(self) -> torch.Tensor:
        """Return the parameters that move as one contiguous vector, in the order of `shapes`, in `dtype`."""
        return self.flatten(self.state)

    def flatten(self, state: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the parameters that move in `state` (a dict by name; all else is left out) as one vector on the CPU."""
        state = _unprefixed(checked_state("state", state), self.shapes)
        _fit_parameters(self.shapes, state)
        return torch.cat(
            [state[name].detach().to("cpu", self.dtype).reshape(-1) for name in self.shapes]
        )

    def unflatten(self, vector: ArrayLike) -> dict[str, torch.Tensor]:
        """Return a vector of the parameters that move as a dict of tensors by name, which are views of it."""
        parts = torch.split(
            torch.as_tensor(vector), [torch.Size(shape).numel() for shape in self.shapes.values()]
        )
        return {
            name: part.view(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def unmoved(self, state: Mapping[str, torch.Tensor]) -> list[str]:
        """Return the names of parameters that do not move and differ in `state` from this problem's."""
        return [
            name
            for name in self.names
            if name not in self.shapes and name in state and name in self.state
            if not torch.equal(state[name].detach().cpu(), self.state[name])
        ]

    def with_state(self, state: Mapping[str, torch.Tensor]) -> Problem:
        """Return the same problem at other weights."""
        return replace(self, state=state)

    def in_micro_batches(self, size: int) -> Problem:
        """Return the same problem, computed in batches of at most `size` samples: less memory, the same values to rounding.

        Parameters
        ----------
        size : int

        Returns
        -------
        Problem

        Raises
        ------
        ValueError
            Where batches are part of the loss: BatchNorm on their statistics, or dropout masks drawn for each.
        """
        size = whole_number("size", size)
        mixed = [f"BatchNorm {self.batch_norm}"] * (
            self.batch_norm != "eval" and self._normalises()
        )
        mixed += [f"dropout {self.dropout}"] * (self.dropout != "off")
        require(
            not mixed,
            "problem",
            f"batches that are part of the loss ({', '.join(mixed)})",
            "give the same loss in other batches",
            "make the Problem with batch_norm='eval' and dropout='off'; or with a smaller batch_size, which is another loss",
        )
        return replace(self, batch_size=min(size, self.batch_size or size))

    def record(self) -> dict[str, Any]:
        """Return what describes this problem, as a dict of words and digests."""
        return {
            "factory": _words_of_factory(self.factory),
            "state": digest(sorted(self.state.tensors())),
            "loss": in_words(self.loss),
            "data": in_words(self.data) if callable(self.data) else self.source().digest(),
            "params": in_words(self.params),
            "batch_norm": self.batch_norm,
            "dropout": self.dropout,
            "batch_size": self.batch_size,
            "rng": self.rng,
            "precision": self.precision,
            "autocast": ", ".join(sorted({str(kind)[6:] for kind in self.autocast.values()})),
        }

    def identity(self) -> dict[str, Any]:
        """Return what tells whether two problems are the same by their content: no names, the same in every process.

        Sections add the loss at the weights and at one more point.
        """
        made = self.factory.module if isinstance(self.factory, Prototype) else self._made()
        moving = [(name, torch.tensor(shape)) for name, shape in self.shapes.items()]
        return {
            "weights": digest(sorted(self.state.tensors())),
            "data": self._digest(),
            "code of the network": code_digest(made),
            "code of the loss": code_digest(self.loss),
            "loss": in_words(self.loss) if not callable(self.loss) else "",
            "moving parameters": digest(moving),
            "batch_norm": self.batch_norm,
            "dropout": self.dropout,
            "batch_size": self.batch_size,
            "rng": self.rng if self.dropout != "off" else None,
            "precision": self.precision,
            "autocast": in_words({k: str(v) for k, v in self.autocast.items()}),
        }

    def __repr__(self):
        """Name the factory, the number of parameters and the modes."""
        count = sum(torch.Size(shape).numel() for shape in self.shapes.values())
        return (
            f"Problem({_words_of_factory(self.factory)}, {count} parameters, {in_words(self.loss)}, "
            f"batch_norm={self.batch_norm!r}, dropout={self.dropout!r}, batch_size={self.batch_size})"
        )

    def __getstate__(self):
        """Leave what was found out about this problem in this process behind."""
        return vars(self) | {"facts": {}}

    def __setstate__(self, state):
        """Take the fields; this class is frozen."""
        self.__dict__.update(state)

    def _check_ranks(self):
        require(
            self.ranks is None or isinstance(self.ranks, Ranks),
            "ranks",
            self.ranks,
            "be Ranks",
            "pass landscape_viz.Ranks()",
        )
        alike = self.dropout == "off" and self.batch_norm != "recalibrate"
        require(
            self.ranks is None or alike,
            "ranks",
            f"{self.ranks} with dropout={self.dropout!r} and batch_norm={self.batch_norm!r}",
            "go with dropout='off' and batch_norm='eval' or 'batch': the others depend on the order of the batches",
            "choose these modes, or give the ranks to the section as its executor",
        )

    def _check_checkpoint(self):
        asked = self.checkpoint
        names = isinstance(asked, list | tuple) and all(isinstance(name, str) for name in asked)
        require(
            isinstance(asked, bool) or names,
            "checkpoint",
            asked,
            "be True, False or a list of names of modules",
            "pass checkpoint=True",
        )
        require(
            not asked or self.dropout == "off",
            "checkpoint",
            f"{asked!r} with dropout={self.dropout!r}",
            "go with dropout='off': another mask would be drawn when a module is computed again",
            "choose dropout='off'",
        )

    def _digest(self):
        own = self.source().digest()
        return own if self.ranks is None else self.ranks.digest(own)

    def _made(self, sharing=False):
        sharing = sharing and self.state.owner is self.factory
        with seeded(self.rng):
            model = self.factory.sharing() if sharing else self.factory()
        require(
            isinstance(model, nn.Module),
            "factory",
            self.factory,
            "make a torch.nn.Module",
            "return the network",
        )
        return unwrapped(model)

    def _normalises(self):
        """Whether the network has a layer whose statistics may be those of a batch."""
        return any(isinstance(module, _NormBase) for module in self._made(True).modules())

    def _kinds(self, model):
        return {p.dtype for p in self.chosen(model).values()}

    def _reading(self):
        return {
            "seed": self.rng,
            "augmentation": self.augmentation,
            "memory_budget": self.memory_budget,
        }

    def _read(self):
        """Keep the data; one batch of tensors stays as it is, for users to look at."""
        found = data.read(self.data, **self._reading())
        one = isinstance(found, data.Kept) and data.is_one_batch(self.data)
        self._set("data", found.batches[0] if one else found)

    def _take_weights(self):
        given = self.state
        if isinstance(self.factory, nn.Module):
            self._set("factory", Prototype(self.factory))
            model = self.factory.module
            if given is not None:
                model.load_state_dict(_fitting(model, given))
            self._set("state", State(model.state_dict(), owner=self.factory))
        else:
            model = self._made()
            state = model.state_dict() if given is None else _fitting(model, given)
            if not isinstance(state, State):
                self._set("state", State(_copied(state)))
        if self.checkpoint:
            checkpointing.modules_of(model, self.checkpoint)
        found = self.chosen(model)
        parameters.checked_finite({n: self.state[n] for n, _ in model.named_parameters()})
        self._set("names", [name for name, _ in model.named_parameters()])
        self._set("shapes", {name: tuple(p.shape) for name, p in found.items()})
        self._set("filters", parameters.filter_groups(model))
        self._set("kinds", self._kinds(model))
        kinds = self.kinds if self.precision == "as-is" else {getattr(torch, self.precision)}
        self._set("dtype", vector_dtype(kinds))
        self._set("facts", {})

    def _set(self, name, value):
        object.__setattr__(self, name, value)


Problem.__init__ = renamed(seed="rng")(Problem.__init__)


class State(dict):
    """A state dict that this package keeps and does not copy again; `owner` is the prototype whose weights they are."""

    def __init__(self, tensors, owner=None):
        super().__init__(tensors)
        self.owner = owner

    def tensors(self):
        """Return (name, tensor) pairs, without what modules keep beside tensors."""
        return [(name, t) for name, t in self.items() if isinstance(t, torch.Tensor)]


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


def checked_problem(problem):
    """Return `problem`; raise if it is not a Problem."""
    require(
        isinstance(problem, Problem),
        "problem",
        problem,
        "be a Problem",
        "pass landscape_viz.Problem(...)",
    )
    return problem


def checked_state(argument, state):
    """Return `state`; raise if it is not a dict of whole tensors by name."""
    good = isinstance(state, Mapping) and all(
        isinstance(tensor, torch.Tensor) or name.endswith("_extra_state")
        for name, tensor in state.items()
    )
    require(
        good, argument, state, "be a state dict: tensors by name", "pass the network's state_dict()"
    )
    shards = [name for name, tensor in state.items() if is_shard(tensor)]
    require(
        not shards,
        argument,
        f"shards ({', '.join(shards[:2])} ...)",
        "hold whole tensors",
        "gather them: {name: tensor.full_tensor() for name, tensor in state.items()}",
    )
    return state


def _autocast(asked, precision):
    """Return the dtype that each kind of device is under autocast to: the one asked for, or that of now."""
    if isinstance(asked, dict):  # of another problem
        return asked
    if asked is None:
        kinds = _CAST_KINDS[:2]
        return {k: torch.get_autocast_dtype(k) for k in kinds if torch.is_autocast_enabled(k)}
    dtype = _CASTS.get(str(asked).removeprefix("torch."))
    require(
        dtype is not None,
        "autocast",
        asked,
        f"be one of {', '.join(_CASTS)}",
        "pass autocast='bfloat16'",
    )
    require(
        precision == "as-is",
        "autocast",
        f"{asked!r} with precision={precision!r}",
        "go with precision='as-is'",
        "choose one of the two",
    )
    return dict.fromkeys(_CAST_KINDS, dtype)


def _words_of_factory(factory):
    if not isinstance(factory, Prototype):
        return in_words(factory)
    return f"{type(factory.module).__module__}:{type(factory.module).__qualname__}"


def _copied(state):
    return {
        name: t.detach().to("cpu", copy=True) if isinstance(t, torch.Tensor) else t
        for name, t in state.items()
    }


def _fitting(model, state):
    """Return a state that fits `model`, without the prefixes of wrapped networks."""
    state = _unprefixed(checked_state("state", state), model.state_dict())
    _refuse_misfit(_shapes_of(model.state_dict()), _shapes_of(state))
    for names in parameters.tied(model):
        first, *others = [name for name in names if name in state]
        for other in others:
            if not torch.equal(state[first].detach().cpu(), state[other].detach().cpu()):
                raise refuse(
                    "state",
                    f"{first} and {other} that differ",
                    "hold the same numbers for weights that the network ties",
                    "take the state of a network that ties them",
                )
    return state


def _unprefixed(state, names):
    """Return `state` without a prefix that all its names have and none of `names` has."""
    for prefix in _PREFIXES:
        wrapped = isinstance(state, Mapping) and state and all(n.startswith(prefix) for n in state)
        if wrapped and not any(name.startswith(prefix) for name in names):
            return _unprefixed({n.removeprefix(prefix): t for n, t in state.items()}, names)
    return state


def _shapes_of(state):
    return {name: tuple(t.shape) for name, t in state.items() if isinstance(t, torch.Tensor)}


def _fit_parameters(shapes, state):
    got = {name: tuple(t.shape) for name, t in state.items() if name in shapes}
    _refuse_misfit(dict(shapes), got)


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
