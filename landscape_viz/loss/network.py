"""Networks given as modules: copied without what wraps them, and, where they cannot be copied or sent, told by attribute."""

import copy
import functools
import io
import pickle
import types

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from multifractal.base.checks import refuse, require

_WRAPPERS = ("OptimizedModule", "DistributedDataParallel", "DataParallel")
_GATHER = (
    "gather them by get_model_state_dict of torch.distributed.checkpoint.state_dict, with the StateDictOptions full_state_dict and "
    "cpu_offload, and pass what makes the network and these weights: Problem(factory, weights, ...)"
)


def checked_module(argument, model):
    """Return `model`, refusing what is no module."""
    good = isinstance(model, nn.Module)
    require(good, argument, model, "be a torch.nn.Module", "pass a network")
    return model


class Prototype:
    """A network given as a module; called, it makes another with the same weights, on the CPU."""

    def __init__(self, module):
        self.module = copied(whole(unwrapped(module)))

    def __call__(self):
        """Return a copy."""
        return copied(self.module)

    def sharing(self):
        """Return a copy whose parameters are this one's own numbers: to be read only, or shown others."""
        return copied(self.module, sharing=True)


def unwrapped(module):
    """Return the network itself, without torch.compile or data parallelism around it."""
    while type(module).__name__ in _WRAPPERS:
        module = getattr(module, "_orig_mod", None) or module.module
    return module


def whole(module, remedy=_GATHER):
    """Return `module`; raise where a process holds only shards of its weights, as under FSDP."""
    wrapped = [m for m in module.modules() if type(m).__name__ == "FullyShardedDataParallel"]
    sharded = [name for name, p in module.named_parameters() if is_shard(p)]
    if wrapped or sharded:
        raise refuse(
            "model",
            f"a network in shards ({', '.join(sharded[:2]) or 'FullyShardedDataParallel'} ...)",
            "have whole weights in each process",
            remedy,
        )
    return module


def is_shard(tensor):
    """Whether a tensor is a DTensor, of which a process holds a part."""
    return hasattr(tensor, "device_mesh") and hasattr(tensor, "full_tensor")


def copied(module, *, sharing=False):
    """Return a copy of a network on the CPU; what cannot be copied beside its weights and modules is shared.

    Functions that hold on to the network (closures, hooks) hold on to the copy afterwards. With `sharing` its parameters are
    new ones of the same numbers, which are not copied; buffers are.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return _script(module)
    try:
        memo = _tensors(module, sharing)
        twin = copy.deepcopy(module, memo)
    except (
        Exception
    ):  # a copy may fail in any way: locks, files, generators, a network's own refusal
        memo = _tensors(module, sharing)
        twin = _structural(module, memo)
    _rebind(twin, memo)
    return twin.to("cpu")


def plain_layers(model):
    """Return `model` with embeddings whose gradients are dense: the same function."""
    for module in model.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            module.sparse = False
    return model


def unsendable(value, path="problem"):
    """Return the path of what keeps `value` from being pickled, such as 'factory.act'; None where nothing does."""
    try:
        pickle.dumps(value)
    except Exception as error:
        for name, part in _parts(value):
            deeper = unsendable(part, f"{path}.{name}")
            if deeper is not None:
                return deeper
        return f"{path} ({type(value).__name__}: {str(error).splitlines()[0] if str(error) else error!r})"
    return None


def _script(module):
    """Return a copy of a scripted network, whose deep copy has weights that are no leaves of autograd."""
    file = io.BytesIO()
    torch.jit.save(module, file)
    file.seek(0)
    return torch.jit.load(file, map_location="cpu").train(module.training)


def _tensors(module, sharing):
    """Return what `copy.deepcopy` shall put in the place of each tensor: a copy on the CPU, without graph or gradient."""
    memo = {}
    for owner in module.modules():
        lazy = [name for name, p in owner._parameters.items() if _is_lazy(p)]
        if lazy:
            raise refuse(
                "model",
                f"{type(owner).__name__}.{lazy[0]}",
                "have weights of known shape",
                "call the network once on a batch first",
            )
        own = [*owner._parameters.values(), *owner._buffers.values(), *vars(owner).values()]
        for tensor in own:
            if isinstance(tensor, torch.Tensor) and id(tensor) not in memo:
                memo[id(tensor)] = _cloned(tensor, sharing)
    return memo


def _is_lazy(parameter):
    return isinstance(parameter, UninitializedParameter)


def _cloned(tensor, sharing):
    shared = sharing and isinstance(tensor, nn.Parameter)
    data = tensor.detach().to("cpu", copy=not shared)
    return nn.Parameter(data, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else data


def _structural(module, memo):
    """Return a copy of a module by its attributes, sharing those that cannot be copied."""
    if id(module) in memo:
        return memo[id(module)]
    twin = memo[id(module)] = type(module).__new__(type(module))
    for name, value in vars(module).items():
        twin.__dict__[name] = _attribute(name, value, memo)
    return twin


def _attribute(name, value, memo):
    if name == "_modules":
        return type(value)((k, m if m is None else _structural(m, memo)) for k, m in value.items())
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # whatever it is, it is shared
        return value


def _rebind(twin, memo):
    """Make functions that are attributes or hooks of the copied modules refer to the copy."""
    for module in twin.modules():
        attributes = vars(module)
        for name, value in list(attributes.items()):
            if isinstance(value, types.FunctionType):
                attributes[name] = _rebound(value, memo)
            elif isinstance(value, dict) and name.endswith("_hooks"):
                value.update({k: _rebound(v, memo) for k, v in value.items()})


def _rebound(function, memo):
    """Return a function whose closure holds the copies of the modules and tensors that it held."""
    if not isinstance(function, types.FunctionType) or not function.__closure__:
        return function
    cells = [_cell(cell, memo) for cell in function.__closure__]
    if all(new is old for new, old in zip(cells, function.__closure__, strict=True)):
        return function
    twin = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        tuple(cells),
    )
    return functools.update_wrapper(twin, function)


def _cell(cell, memo):
    try:
        held = cell.cell_contents
    except ValueError:  # empty
        return cell
    if isinstance(held, nn.Module | torch.Tensor) and id(held) in memo:
        return types.CellType(memo[id(held)])
    return cell


def _parts(value):
    if isinstance(value, functools.partial):
        return [("func", value.func), *enumerate(value.args), *value.keywords.items()]
    if isinstance(value, nn.Module):
        own = [(k, v) for k, v in vars(value).items() if k not in ("_modules", "_parameters")]
        return [*value._modules.items(), *own]
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, tuple | list):
        return list(enumerate(value))
    return list(getattr(value, "__dict__", {}).items())
