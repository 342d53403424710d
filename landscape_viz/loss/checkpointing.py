"""Activation checkpointing: modules that keep their inputs alone, and are computed again where a derivative needs what lies inside.

T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training deep nets with sublinear memory cost", arXiv 1604.06174 (2016).

torch's own checkpoints save memory in gradients, not in products with the Hessian: the graph of the gradient keeps what the second
computation made. Here the pullback of a module is a function of its own, which keeps inputs and slopes of outputs alone.
"""

import operator
from contextlib import contextmanager

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.autograd.graph import saved_tensors_hooks
from torch.utils import _pytree as trees

from multifractal.base.checks import refuse, require


def modules_of(model, asked):
    """Return the modules by name that shall be checkpointed: those of the names `asked`, or where it is True the network's layers."""
    if asked is True:
        found = dict(_layers(model))
        require(
            len(found) > 0,
            "checkpoint",
            asked,
            "find layers in a Sequential or ModuleList",
            "give the Problem a list of names of modules instead",
        )
        return found
    every = dict(model.named_modules())
    unknown = [name for name in asked if name not in every]
    require(
        not unknown,
        "checkpoint",
        ", ".join(unknown),
        "name modules of the network",
        f"take from {', '.join(list(every)[1:6])} ...",
    )
    return {name: every[name] for name in asked}


def checkpoint(model, asked, around):
    """Make modules of `model` keep their inputs alone, in place; return the blocks.

    `around()` is the context in which the objective computes, which a backward pass may be outside of.
    """
    found = modules_of(model, asked)
    scripted = [name for name, m in found.items() if isinstance(m, torch.jit.ScriptModule)]
    require(
        not scripted,
        "checkpoint",
        ", ".join(scripted),
        "name modules that are not scripted",
        "checkpoint the network before it is scripted",
    )
    blocks = [Block(name, module, around) for name, module in found.items()]
    for block, module in zip(blocks, found.values(), strict=True):
        module.forward = block
    return blocks


def _layers(model, prefix=""):
    """Yield (name, module) of the members with parameters of the outermost containers of several modules."""
    several = isinstance(model, nn.Sequential | nn.ModuleList) and len(model) > 1
    for name, child in model.named_children():
        if several and any(True for _ in child.parameters()):
            yield prefix + name, child
        elif not several:
            yield from _layers(child, f"{prefix}{name}.")


class Block:
    """The forward pass of a module, whose graph holds inputs alone.

    Attributes
    ----------
    watch : callable, optional
        Is given the slopes of a pullback that will be differentiated.
    active : bool
        False: the module is what it was.
    """

    def __init__(self, name, module, around):
        self.name, self.around, self.watch, self.active = name, around, None, True
        self._compute, self._checked = module.forward, False
        self.parameters = [p for p in module.parameters() if p.requires_grad]

    def __call__(self, *args, **kwargs):
        """Return what the module returns."""
        derived = torch.is_grad_enabled() and not torch._C._are_functorch_transforms_active()
        if not (self.active and derived):
            return self._compute(*args, **kwargs)
        call = _Call(self, (args, kwargs))
        if not call.inputs and not self.parameters:
            return self._compute(*args, **kwargs)
        inputs, call.inputs = call.inputs, None  # the graph holds them
        if not self._checked:
            self._check(call, inputs)
        return call.packed(_Forward.apply(call, *inputs, *self.parameters))

    def compute(self, args, kwargs):
        """Return what the module returns, now."""
        with self.around():
            return self._compute(*args, **kwargs)

    def _check(self, call, inputs):
        """Refuse a module that is another function the second time, or depends on moving tensors that it was not given."""
        self._checked, wrong = True, None
        with call.leaves(inputs) as before, call.leaves(inputs) as own:
            try:
                first = [x.detach().clone() for x in call.run(before)]
                again = call.run(own)
            except RuntimeError as error:
                if "in-place" not in str(error):
                    raise
                first, again, call.changed = [], [], True
        if call.changed or len(first) != len(again) or not all(map(torch.equal, first, again)):
            wrong = "changes its inputs, or keeps a state"
        elif _leaves(again) - {id(x) for x in (*own, *self.parameters)}:
            wrong = "uses tensors that it is not given"
        if wrong is not None:
            raise refuse(
                "checkpoint",
                f"{self.name}, which {wrong},",
                "name modules that are functions of their arguments and own parameters",
                "name other ones; switch the cache of a language model off in its configuration",
            )


def _leaves(outputs):
    """Return the ids of the leaves that outputs depend on."""
    seen, found = set(), set()
    waiting = [x.grad_fn for x in outputs]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            if hasattr(node, "variable"):
                found.add(id(node.variable))
            waiting.extend(following for following, _ in node.next_functions)
    return found


class _Call:
    """The arguments of one call of a block, without the tensors that it is differentiated in: these are its `inputs`."""

    def __init__(self, block, arguments):
        self.block = block
        self._given, self._tree = trees.tree_flatten(arguments)
        moving = [isinstance(x, torch.Tensor) and x.requires_grad for x in self._given]
        self._places = [k for k, moves in enumerate(moving) if moves]
        self.inputs = [self._given[k] for k in self._places]
        for k in self._places:
            self._given[k] = None

    def run(self, inputs):
        """Return the outputs of floating point, as a list."""
        given = list(self._given)
        for k, tensor in zip(self._places, inputs, strict=True):
            given[k] = tensor
        arguments = trees.tree_unflatten(given, self._tree)
        found = self.block.compute(*arguments)
        now = trees.tree_leaves(arguments)  # lists and dicts are given as copies
        self.changed = len(now) != len(given) or any(map(operator.is_not, now, given))
        self._found, self._found_tree = trees.tree_flatten(found)
        self._floating = [
            k
            for k, x in enumerate(self._found)
            if isinstance(x, torch.Tensor) and x.is_floating_point()
        ]
        outputs = [self._found[k] for k in self._floating]
        for k in self._floating:
            self._found[k] = None
        return outputs

    def packed(self, outputs):
        """Return outputs in the form that the module gives them."""
        found = list(self._found)
        for k, tensor in zip(self._floating, outputs, strict=True):
            found[k] = tensor
        return trees.tree_unflatten(found, self._found_tree)

    @contextmanager
    def leaves(self, inputs):
        """Enter a graph of its own, of leaves in the place of `inputs`; hooks around do not see it."""
        with torch.enable_grad(), saved_tensors_hooks(torch.Tensor.detach, lambda kept: kept):
            yield [x.detach().requires_grad_() for x in inputs]

    def pulled_back(self, slopes, own, *, create_graph=False):
        """Return the derivatives in `own` and the block's parameters, None where there are none."""
        pairs = [
            (x, slope) for x, slope in zip(self.run(own), slopes, strict=True) if x.requires_grad
        ]
        sources = [*own, *self.block.parameters]
        outputs, slopes = zip(*pairs, strict=True)
        return torch.autograd.grad(
            outputs, sources, slopes, create_graph=create_graph, allow_unused=True
        )


class _Forward(torch.autograd.Function):
    """(inputs, parameters) -> outputs of a block."""

    @staticmethod
    def forward(ctx, call, *tensors):
        inputs = tensors[: len(tensors) - len(call.block.parameters)]
        ctx.call = call
        ctx.save_for_backward(*inputs)
        with call.leaves(
            inputs
        ) as own:  # as without checkpoints: some layers have another path without gradients
            return tuple(x.detach() for x in call.run(own))

    @staticmethod
    def backward(ctx, *slopes):
        parameters = ctx.call.block.parameters
        return None, *_Backward.apply(
            ctx.call, len(slopes), *slopes, *ctx.saved_tensors, *parameters
        )


class _Backward(torch.autograd.Function):
    """(slopes of outputs, inputs, parameters) -> slopes of inputs and parameters; and the pullback of that."""

    @staticmethod
    def forward(ctx, call, count, *tensors):
        parameters = call.block.parameters
        tensors = tensors[: len(tensors) - len(parameters)]
        ctx.call, ctx.count = call, count
        ctx.save_for_backward(*tensors)
        with call.leaves(tensors[count:]) as own:
            found = call.pulled_back(tensors[:count], own)
            sources = [*own, *parameters]
        return tuple(_filled(found, sources))

    @staticmethod
    @once_differentiable
    def backward(ctx, *directions):
        call = ctx.call
        with call.leaves(ctx.saved_tensors) as own:
            slopes, inputs = own[: ctx.count], own[ctx.count :]
            found = call.pulled_back(slopes, inputs, create_graph=True)
            pairs = [
                (x, along)
                for x, along in zip(found, directions, strict=True)
                if x is not None and x.requires_grad
            ]
            if call.block.watch is not None:
                call.block.watch([x for x, _ in pairs])
            sources = [*own, *call.block.parameters]
            if not pairs:
                return None, None, *[None] * len(sources)
            found, along = zip(*pairs, strict=True)
            return None, None, *torch.autograd.grad(found, sources, along, allow_unused=True)


def _filled(found, sources):
    return [
        torch.zeros_like(source) if x is None else x
        for x, source in zip(found, sources, strict=True)
    ]
